"""Events go out in order and nothing of them is lost; movements come in once each, whatever happens on the way."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.exchange.buses import EVERY, SERVED, apart, buses, door_before
from tests.services.test_live import TODAY, world
from tests.services.worlds import sales as daily

from shelfwise.app import App, open_app
from shelfwise.domain.errors import ParameterError, StorageError
from shelfwise.domain.events import MovementsRecorded
from shelfwise.exchange.transports import open_bus
from shelfwise.exchange.transports.contract import Bus, BusError, Delivery, Message, Names
from shelfwise.services import event_bus as service
from shelfwise.services import live, subscribing
from shelfwise.services.event_bus import EventBus, bus_of, probe, publish_all
from shelfwise.services.movement_messages import read_message
from shelfwise.services.publishing import Publisher
from shelfwise.services.subscribing import book
from shelfwise.storage import outbox, sales, workers

ROOT = Path(__file__).parents[2]
SALE = {"productId": "TEA", "transactionType": "SALE", "quantity": 2, "createdAt": "2026-11-01T10:00:00"}


def say(app: App, *products: str) -> None:
    """Write events, one for each product."""
    with app.database.write() as connection:
        outbox.append(connection, app.now(), *(MovementsRecorded("till", 1, (code,)) for code in products))


def read_all(here: Bus, wanted: int, seconds: float = 10.0) -> list[dict[str, Any]]:
    """What came in, each as the event that it is."""
    inlet = here.inlet("reader")
    found: list[dict[str, Any]] = []
    end = time.monotonic() + seconds
    while len(found) < wanted and time.monotonic() < end:
        taken = inlet.receive(500, 0.2)
        found += [json.loads(one.body) for one in taken]
        inlet.settle(taken)
    inlet.close()
    return found


def subjects(found: list[dict[str, Any]]) -> list[str]:
    """The products in the order in which each came first."""
    return list(dict.fromkeys(one["subject"] for one in found))


def until(good: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not good():
        assert time.monotonic() < end
        time.sleep(0.05)


def count_of(app: App, name: str) -> int:
    found = service.status(app).counts.get(name)
    return 0 if found is None else found.total


def booked_units(app: App) -> float:
    with app.database.read() as connection:
        return float(sum(sales.sold_on(connection, dt.date(2026, 11, 1)).values()))


def sale(number: int | str, **more: Any) -> dict[str, Any]:
    return SALE | {"id": f"till-{number}", "quantity": 1} | more


def told(*rows: Any, key: str | None = None) -> list[Message]:
    """A message of each row."""
    return [Message(key or f"m-{n}", "sale", json.dumps(row).encode()) for n, row in enumerate(rows)]


# --- out


@pytest.mark.parametrize("kind", EVERY)
def test_events_go_out_in_their_order_as_cloud_events(shop: App, kind: str) -> None:
    say(shop, "before there was a bus")
    with buses(kind) as (there, here):
        publisher = Publisher(shop, there, "one")
        publisher.begin()
        names = [f"P{n}" for n in range(30)]
        say(shop, *names)
        assert publisher.publish_due() == 30
        assert publisher.publish_due() == 0
        found = read_all(here, 30)
        publisher.close()
    assert [one["subject"] for one in found] == names
    assert len({one["id"] for one in found}) == 30
    first = found[0]
    assert {key: first[key] for key in ("specversion", "type", "source", "datacontenttype")} == {
        "specversion": "1.0", "type": "shelfwise.movements_recorded", "source": "/shelfwise",
        "datacontenttype": "application/json",
    }  # fmt: skip
    assert dt.datetime.fromisoformat(first["time"]).tzinfo is not None
    assert first["data"] == {"source": "till", "inserted": 1, "products": ["P0"]}
    assert count_of(shop, "published") == 30
    assert service.status(shop).waiting == 0


@pytest.mark.parametrize("kind", ["in_process"])
def test_a_changed_forecast_goes_out_with_all_a_subscriber_needs(
    quick: App, fill: Callable[..., None], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(App, "today", lambda _: TODAY)
    world(fill)
    with buses(kind) as (there, here):
        publisher = Publisher(quick, there, "one")
        publisher.begin()
        live.publish(quick)
        with quick.database.write() as connection:
            sales.append_movements(connection, _sold_today("TEA", 40))
            outbox.append(connection, quick.now(), MovementsRecorded("till", 1, ("TEA",)))
        live.refresh(quick, ["TEA"])
        while publisher.publish_due():
            pass
        found = read_all(here, 5)
        forecasts = [one for one in found if one["type"] == "shelfwise.forecast_refreshed"]
        assert sorted(one["subject"] for one in forecasts) == ["CUP", "POT", "TEA"], "the newest state of each, once"
        tea = next(one["data"] for one in forecasts if one["subject"] == "TEA")
        row = json.loads(next(iter(_rows(quick, "TEA"))).payload)
        assert tea["demand"] == row["demand"]
        assert tea["order"] == row["order"]
        assert tea["risk"] == row["risk"]
        assert tea["total"]["mean"] == row["cumulative"]["mean"][-1]
        assert tea["days"] == len(tea["demand"]["q0.5"])
        live.refresh(quick, ["TEA"])  # nothing changed, so nothing is said
        assert publisher.publish_due() == 0
        publisher.close()


def _sold_today(product: str, units: float) -> Any:
    from tests.storage.worlds import movements

    return movements(("sale", f"{TODAY} 10:00", product, units))


def _rows(app: App, product: str) -> Any:
    from shelfwise.storage import live_forecasts

    with app.database.read() as connection:
        return live_forecasts.of_product(connection, product)


def test_a_process_killed_between_bus_and_note_publishes_the_same_ids_again(
    shop: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    with buses("in_process") as (there, here):
        publisher = Publisher(shop, there, "one")
        publisher.begin()
        say(shop, "A", "B")

        def killed(*_: object) -> None:
            raise StorageError("killed before the place was noted")

        with monkeypatch.context() as patched:
            patched.setattr(workers, "set_read_until", killed)
            with pytest.raises(StorageError, match="killed"):
                publisher.publish_due()
        say(shop, "C")
        assert publisher.publish_due() == 3
        found = read_all(here, 5)
        assert [one["subject"] for one in found] == ["A", "B", "A", "B", "C"]
        assert found[0]["id"] == found[2]["id"]
        assert len({one["id"] for one in found}) == 3
        publisher.close()


def test_one_worker_publishes_at_a_time_and_another_takes_over(shop: App) -> None:
    with buses("in_process") as (there, here):
        one, other = Publisher(shop, there, "one"), Publisher(shop, there, "other")
        one.begin()
        say(shop, "A")
        assert one.publish_due() == 1
        say(shop, "B")
        assert other.publish_due() == 0, "the first one has the lease"
        assert one.publish_due() == 1
        one.close()
        say(shop, "C")
        assert other.publish_due() == 1
        other.close()
        assert [found["subject"] for found in read_all(here, 3)] == ["A", "B", "C"]


@contextmanager
def running(app: App, bus: Bus, felt: Callable[..., object] = lambda _: None) -> Iterator[EventBus]:
    started = EventBus(app, bus, "host-1-test", felt)
    try:
        yield started
    finally:
        started.close()


@pytest.mark.parametrize("kind", SERVED)
def test_a_dead_bus_loses_nothing_and_catches_up_in_order(
    shop: App, kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LONGEST_PAUSE_SECONDS", 0.5)
    door = door_before(kind)
    with ExitStack() as at_end:
        at_end.callback(door.shut)
        there, here = at_end.enter_context(buses(kind, door.url))
        bus = at_end.enter_context(running(shop, there))
        until(lambda: service.status(shop).waiting is not None)
        say(shop, "A")
        until(lambda: count_of(shop, "published") == 1)
        door.shut()
        say(shop, "B", "C")
        until(lambda: "publishing to the event bus fails" in caplog.text)
        say(shop, "D")
        assert bus.is_alive
        assert count_of(shop, "published") == 1
        door.open()
        until(lambda: count_of(shop, "published") >= 4)
        assert subjects(read_all(here, 4)) == ["A", "B", "C", "D"]
        until(lambda: "works again" in caplog.text)
    assert len([one for one in caplog.records if "fails, and is tried again" in one.message]) == 1
    assert all(one.levelno == logging.WARNING for one in caplog.records if "event bus" in one.message)


def test_a_worker_that_works_until_idle_publishes_what_is_due(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with (
        buses("in_process") as (there, here),
        open_app(
            tmp_path / "shop.db", folder=tmp_path, event_bus_url=there.url, event_bus_events=there.names.outgoing
        ) as app,
    ):
        say(app, "before there was a bus")
        assert publish_all(app, "one") == 0
        say(app, *(f"P{n}" for n in range(250)))
        assert publish_all(app, "one") == 250
        assert len(read_all(here, 250)) == 250
        say(app, "later")
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("shelfwise.exchange.transports.in_process.InProcessBus.outlet", _dead)
            assert publish_all(app, "two") == 0
        assert "left to the next worker" in caplog.text
        assert publish_all(app, "three") == 1, "who could not publish has given the lease up"


def _dead(_: Bus) -> None:
    raise BusError("nobody answers")


# --- in


@pytest.mark.parametrize("kind", EVERY)
def test_movements_come_in_once_each_and_what_cannot_be_booked_is_put_aside(shop: App, kind: str) -> None:
    felt: set[str] = set()
    with buses(kind) as (there, here):
        outlet = there.outlet()
        with running(shop, apart(here), felt.update):
            outlet.publish([
                Message("a", "sale", json.dumps(sale(1)).encode()),
                Message("b", "sale", b"no JSON at all"),
                Message("c", "sale", json.dumps([sale(2), sale(3)]).encode()),
                Message("d", "sale", json.dumps(sale(1)).encode()),
                Message("e", "sale", json.dumps(sale(1, quantity=7)).encode()),
                Message("f", "sale", json.dumps(sale(4) | {"quantity": -0.0}).encode()),
                Message("g", "sale", json.dumps(SALE).encode()),
            ])  # fmt: skip
            until(lambda: count_of(shop, "refused") == 3)
            until(lambda: count_of(shop, "consumed") == 4)
        assert booked_units(shop) == 5.0
        assert count_of(shop, "duplicates") == 1
        assert felt == {"TEA"}
        outlet.close()
        aside = open_bus(here.url, Names(here.names.outgoing, here.names.refused)).inlet("looking")
        refused: list[Delivery] = []
        until(lambda: bool(refused.extend(aside.receive(10, 0.2)) or len(refused) >= 3))
        assert [one.key for one in refused] == ["b", "e", "f"]
        aside.close()
    counted = service.status(shop).counts["refused"]
    assert "a SALE is of some units" in str(counted.last_reason)


_BOOKS_AND_HANGS = """
import sys, time
from pathlib import Path
from shelfwise.app import open_app
from shelfwise.exchange.transports import open_bus
from shelfwise.exchange.transports.contract import Names
from shelfwise.services.subscribing import book
database, url, outgoing, incoming = sys.argv[1:]
with open_app(database, folder=Path(database).parent) as app:
    inlet = open_bus(url, Names(outgoing, incoming, lease_seconds=1.0)).inlet("killed")
    taken = []
    while len(taken) < 3:
        taken += inlet.receive(10, 1.0)
    book(app, taken)
    print("booked", flush=True)
    sys.stdin.read()
"""


@pytest.mark.kill
@pytest.mark.parametrize(
    "kind", [SERVED[0], *(pytest.param(*one.values, marks=[*one.marks, pytest.mark.nightly]) for one in SERVED[1:])]
)
def test_a_consumer_killed_between_commit_and_settling_loses_and_doubles_nothing(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with open_app(path, folder=tmp_path) as app, buses(kind, lease_seconds=1.0) as (there, here):
        outlet = there.outlet()
        outlet.publish(told(sale(1), SALE, [sale(2), SALE]))  # with ids of their own, and without
        command = [
            sys.executable, "-c", _BOOKS_AND_HANGS, str(path), here.url, here.names.outgoing, here.names.incoming,
        ]  # fmt: skip
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "booked\n"
            process.kill()
        assert booked_units(app) == 6.0
        with running(app, apart(here)):
            until(lambda: count_of(app, "duplicates") == 4)
            outlet.publish([Message("later", "sale", json.dumps(sale(9)).encode())])
            until(lambda: count_of(app, "consumed") == 5)
        outlet.close()
        assert booked_units(app) == 7.0
        assert count_of(app, "redelivered") == 3
        assert count_of(app, "refused") == 0


@pytest.mark.parametrize("kind", SERVED)
def test_a_cut_connection_in_the_middle_of_a_stream_of_sales_loses_and_doubles_nothing(
    shop: App, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LONGEST_PAUSE_SECONDS", 0.5)
    monkeypatch.setattr(subscribing, "AT_ONCE", 20)
    door = door_before(kind)
    with ExitStack() as at_end:
        at_end.callback(door.shut)
        there, here = at_end.enter_context(buses(kind, lease_seconds=1.0))
        reading = type(here)(door.url, apart(here).names)
        outlet = there.outlet()
        outlet.publish(told(*(sale(n) for n in range(100))))
        with running(shop, reading):
            until(lambda: count_of(shop, "consumed") >= 20)
            door.shut()
            outlet.publish([Message(f"n-{n}", "sale", json.dumps(sale(n)).encode()) for n in range(100, 150)])
            door.open()
            until(lambda: count_of(shop, "consumed") >= 150)
        outlet.close()
        assert booked_units(shop) == 150.0
        assert count_of(shop, "refused") == 0


def test_while_the_database_cannot_book_nothing_is_settled_and_nothing_lost(
    shop: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def full_at_first(app: App, deliveries: Any) -> Any:
        tries.append(len(deliveries))
        if len(tries) < 3:
            raise StorageError("the disk is full")
        return book(app, deliveries)

    monkeypatch.setattr(subscribing, "book", full_at_first)
    monkeypatch.setattr(service, "FIRST_PAUSE_SECONDS", 0.05)
    with buses("in_process") as (there, here):
        outlet = there.outlet()
        outlet.publish(told(sale(1), sale(2)))
        with running(shop, apart(here)):
            until(lambda: count_of(shop, "consumed") == 2)
        assert tries[:3] == [2, 2, 2]
        assert booked_units(shop) == 2.0


def test_a_fault_of_the_program_at_one_message_keeps_no_other_up(shop: App, monkeypatch: pytest.MonkeyPatch) -> None:
    record = subscribing.record

    def stumbles(app: App, connection: Any, asked: Any) -> Any:
        if any(one.movement.id == "till-2" for one in asked):
            raise TypeError("a fault")
        return record(app, connection, asked)

    monkeypatch.setattr(subscribing, "record", stumbles)
    found = book(shop, [Delivery(f"k{n}", json.dumps(sale(n)).encode()) for n in range(5)])
    assert [(one.delivery.key, one.reason) for one in found.refused] == [("k2", "TypeError: a fault")]
    assert booked_units(shop) == 4.0


# --- messages


def test_a_cloud_event_gives_its_data_and_its_id() -> None:
    body = json.dumps({"specversion": "1.0", "type": "sale", "source": "/till", "id": "7", "data": SALE}).encode()
    (movement,) = read_message(body, "of the bus").movements
    assert (movement.product, movement.quantity, movement.id) == ("TEA", 2.0, "/till#7")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no JSON"),
        (b'"text"', "no movement"),
        (b"[" * 100_000, "no JSON"),
        (b" " * 1_000_001, "at most 1,000,000 bytes"),
        (json.dumps([SALE] * 1001).encode(), "at most 1,000 movements"),
        (json.dumps(SALE | {"colour": "red"}).encode(), "colour: Extra inputs"),
        (json.dumps(SALE | {"transactionType": "THEFT"}).encode(), "transactionType: Input should be"),
        (json.dumps(SALE | {"quantity": 0}).encode(), "a SALE is of some units"),
        (json.dumps({}).encode(), "productId: Field required"),
    ],
)
def test_a_message_that_is_no_movement_says_why(body: bytes, why: str) -> None:
    found = read_message(body, "k")
    assert found.movements == ()
    assert why in "; ".join(found.wrong)


def test_of_a_list_the_good_ones_are_read_and_the_others_told_by_their_place() -> None:
    found = read_message(json.dumps([sale(1), {"productId": "TEA"}, SALE]).encode(), "k")
    assert [one.id for one in found.movements] == ["till-1", "k/2"]
    assert found.wrong[0].startswith("movement 1: transactionType: Field required")


def test_a_movement_without_any_id_is_refused_since_it_could_be_booked_twice() -> None:
    assert "give it its own id" in read_message(json.dumps(SALE).encode(), None).wrong[0]


def test_an_id_too_long_to_keep_is_kept_by_its_fingerprint() -> None:
    (first,), (second,) = (read_message(json.dumps(SALE).encode(), "k" * 300).movements for _ in range(2))
    assert first.id == second.id
    assert len(str(first.id)) == 64


# --- settings


@pytest.mark.parametrize("kind", EVERY)
def test_a_probe_goes_to_the_bus_and_back_and_leaves_nothing(kind: str, tmp_path: Path) -> None:
    with buses(kind) as (there, _):
        with open_app(
            tmp_path / "shop.db", folder=tmp_path, event_bus_url=there.url, event_bus_events=there.names.outgoing
        ) as app:
            found = probe(app.settings)
        assert found.kind == kind
        assert "guest" not in found.address


def test_no_bus_is_opened_where_none_is_set_and_a_wrong_address_ends_the_start(tmp_path: Path) -> None:
    with open_app(tmp_path / "shop.db", folder=tmp_path) as app:
        assert EventBus.start(app, "worker") is None
    with (
        open_app(tmp_path / "shop.db", folder=tmp_path, event_bus_url="kafka://localhost") as app,
        pytest.raises(ParameterError, match="event_bus_url begins with 'kafka'"),
    ):
        EventBus.start(app, "worker")
    with (
        open_app(
            tmp_path / "shop.db",
            folder=tmp_path,
            event_bus_url="in-process://x",
            event_bus_movements="shelfwise.events",
        ) as app,
        pytest.raises(ParameterError, match="give them two names"),
    ):
        bus_of(app.settings)


# --- the whole


@pytest.mark.nightly
@pytest.mark.service("redis")
def test_a_sale_on_the_bus_comes_back_as_a_forecast_through_a_worker_process(
    quick: App, fill: Callable[..., None], tmp_path: Path
) -> None:
    end_yesterday = quick.today() - dt.timedelta(days=70)
    fill(movements=daily("TEA", end_yesterday, [4.0, 6.0, 5.0, 3.0, 7.0, 9.0, 8.0] * 10))
    live.publish(quick)
    with buses("redis_streams") as (there, here):
        incoming = f"{there.names.outgoing}-sales"
        environment = os.environ | {
            "SHELFWISE_DATABASE": str(quick.settings.database.path), "SHELFWISE_EVENT_BUS_URL": there.url,
            "SHELFWISE_EVENT_BUS_EVENTS": there.names.outgoing, "SHELFWISE_EVENT_BUS_MOVEMENTS": incoming,
            "SHELFWISE_MODEL": "base_level", "SHELFWISE_N_PATHS": "100",
        }  # fmt: skip
        command = [sys.executable, "-c", "from shelfwise.cli.main import main; main()", "worker"]
        with (
            redis.Redis.from_url(there.url, protocol=2) as client,
            subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process,
        ):
            try:
                sold = {"productId": "TEA", "transactionType": "SALE", "quantity": 9}
                client.xadd(incoming, {"body": json.dumps(sold)})  # as a till written in any language would say it
                found: list[dict[str, Any]] = []

                def is_felt() -> bool:
                    found.extend(read_all(here, 1, 0.3))
                    return "shelfwise.forecast_refreshed" in [one["type"] for one in found]

                until(is_felt, 60.0)
                process.terminate()
                assert process.wait(30) == 0
            finally:
                process.kill()
                client.delete(incoming, f"{incoming}-refused")
    types = [one["type"] for one in found]
    assert types.index("shelfwise.movements_recorded") < types.index("shelfwise.forecast_refreshed")
    (forecast,) = [one for one in found if one["type"] == "shelfwise.forecast_refreshed"]
    assert forecast["subject"] == "TEA"
    assert forecast["data"]["demand"]["mean"][0] >= 9
