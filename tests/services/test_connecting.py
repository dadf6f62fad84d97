"""Connectors from a real local service to the store: nothing lost, nothing twice, whatever goes wrong on the way."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sqlalchemy import update
from tests.exchange import connector_service as faults
from tests.exchange.connector_service import Service, serving
from tests.storage.databases import EVERY, Pool

from shelfwise.app import App, open_app
from shelfwise.domain.addresses import Address
from shelfwise.domain.errors import ConflictError, NotFound, StorageError
from shelfwise.exchange.connectors.endpoint import Patience
from shelfwise.services import connecting, job_kinds, jobs, ordering, reactions, recording
from shelfwise.services.background import Background, queue_scheduled
from shelfwise.storage import catalogue, connectors, outbox, stock, tables
from shelfwise.storage import jobs as stored_jobs
from shelfwise.storage import purchasing as stored_orders
from shelfwise.storage.connectors import Run

DAY = "2026-03-0"


def sale(n: int, product: str = "tea", quantity: float = 1.0, **more: Any) -> dict[str, Any]:
    return {
        "id": f"s-{n}", "productId": product, "transactionType": "SALE", "quantity": quantity,
        "createdAt": f"{DAY}2T09:{n:02}:00Z", "warehouseId": "main", **more,
    }  # fmt: skip


def level(quantity: float, at: str = f"{DAY}1T00:00:00Z", product: str = "tea") -> dict[str, Any]:
    return {"productId": product, "warehouseId": "main", "quantity": quantity, "countedAt": at}


def shipment(status: str = "in_transit", number: str = "SH-1", **more: Any) -> dict[str, Any]:
    lines = [{"productId": "tea", "warehouseId": "main", "quantity": 48, "unitCost": 3.2}]
    return {
        "id": number, "supplierId": "north", "status": status, "orderedOn": f"{DAY}1", "expectedOn": f"{DAY}8",
        "lines": lines, **more,
    }  # fmt: skip


@pytest.fixture
def inventory() -> Iterator[Service]:
    with serving(Service({"movements": [sale(n) for n in range(7)], "stock-levels": [level(100)]})) as found:
        yield found


@pytest.fixture
def logistics() -> Iterator[Service]:
    with serving(Service({"lead-times": [{"supplierId": "north", "leadTimeDays": 9}], "shipments": []})) as found:
        yield found


Open = Callable[..., App]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    made: list[App] = []

    def make(*services: Service, database: Any = None, **settings: Any) -> App:
        names = {"movements": "inventory_sync_url", "lead-times": "logistics_engine_url"}
        urls = {names[next(iter(one.feeds))]: one.url for one in services}
        made.append(open_app(database or tmp_path / "shop.db", folder=tmp_path, **urls, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


def sync(app: App, name: str = "inventory", **more: Any) -> Run:
    return connecting.sync(app, name, **{"wait": lambda _: None, **more}).run


def counts(run: Run) -> tuple[str, int, int, int]:
    return run.outcome, run.booked, run.duplicates, run.refused


def on_hand(app: App) -> dict[str, float]:
    with app.database.read() as connection:
        return dict(stock.stock_levels(connection).select("product", "on_hand").iter_rows())


def standing(app: App, name: str = "inventory") -> connectors.Standing:
    with app.database.read() as connection:
        return connectors.standing(connection, name)


# --- stock and sales, on each kind of database


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    made = Pool()
    yield made
    made.close()


@pytest.fixture(params=EVERY)
def everywhere(request: pytest.FixtureRequest, tmp_path: Path, pool: Pool) -> str:
    return (
        str(tmp_path / "every.db")
        if request.param == "sqlite"
        else str(pool.address(request.param).with_password(None))
    )


def test_what_the_services_tell_is_in_the_store_once(
    opened: Open, inventory: Service, logistics: Service, everywhere: Path | Address
) -> None:
    logistics.feeds["shipments"] = [shipment(), shipment("delivered", "SH-2", deliveredAt=f"{DAY}7T10:00:00Z")]
    app = opened(inventory, logistics, database=everywhere)
    assert counts(sync(app)) == ("done", 8, 0, 0)
    assert counts(sync(app, "logistics")) == ("done", 3, 0, 0)
    assert on_hand(app) == {"tea": 93.0}, "the delivered goods are the inventory service's to report"
    orders = ordering.purchase_orders(app)
    assert dict(orders.select("purchase_order", "status").iter_rows()) == {"SH-1": "sent", "SH-2": "received"}
    with app.database.read() as connection:
        assert catalogue.suppliers(connection)["lead_time_days"].to_list() == [9.0]
        told = [one.event.name for one in outbox.since(connection)]
    assert told == ["movements_recorded"] * 4 + ["purchase_order_changed"] * 2
    assert counts(sync(app)) == ("done", 0, 0, 0), "the place is behind all of it"
    inventory.feeds["movements"].append(sale(7))
    logistics.feeds["shipments"].append(shipment("delivered", deliveredAt=f"{DAY}8T10:00:00Z"))
    logistics.feeds["lead-times"].append({"supplierId": "north", "leadTimeDays": 9, "leadTimeSdDays": 2})
    assert counts(sync(app)) == ("done", 1, 0, 0)
    assert counts(sync(app, "logistics")) == ("done", 2, 0, 0)
    with app.database.write() as connection:  # as if the place had been lost
        connection.execute(update(tables.connector_feeds).values(read_until=None))
    assert counts(sync(app)) == ("done", 0, 9, 0)
    assert counts(sync(app, "logistics")) == ("done", 0, 5, 0)
    assert on_hand(app) == {"tea": 92.0}
    assert set(ordering.purchase_orders(app)["status"]) == {"received"}


def test_a_sync_that_is_cut_off_after_any_page_goes_on_where_it_was(
    opened: Open, inventory: Service, everywhere: Path | Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(inventory, database=everywhere)
    real = connectors.refuse
    cut = iter([True, False, True, True, False] + [False] * 99)

    def power_fails(*arguments: Any) -> None:
        real(*arguments)
        if next(cut):  # everything of the page is written, and not committed
            raise KeyboardInterrupt

    monkeypatch.setattr(connectors, "refuse", power_fails)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            sync(app)
    assert counts(sync(app))[0] == "done"
    assert on_hand(app) == {"tea": 93.0}
    with app.database.read() as connection:
        assert [(one.feed, one.booked) for one in connectors.places(connection, "inventory")] == [
            ("movements", 7), ("stock-levels", 1),
        ]  # fmt: skip


def test_of_two_runs_at_once_the_later_one_leaves_a_page_to_the_other(opened: Open, inventory: Service) -> None:
    app = opened(inventory)
    other: list[Run] = []

    def while_waiting(handler: Any, body: bytes) -> None:
        inventory.faults.clear()
        other.append(sync(app))  # all of it, while the first page of this run is on its way
        faults.answer(handler, body)

    inventory.faults.append(while_waiting)
    assert counts(sync(app)) == ("overtaken", 0, 0, 0)
    assert counts(other[0]) == ("done", 8, 0, 0)
    assert on_hand(app) == {"tea": 93.0}
    assert standing(app).error is None


# --- rows that cannot be booked


def test_bad_rows_are_kept_with_their_reason_and_good_ones_are_booked(opened: Open, inventory: Service) -> None:
    inventory.feeds["movements"][2:4] = [{"id": "s-2"}, sale(3, quantity=0), "no row", sale(1, quantity=9)]
    app = opened(inventory)
    assert counts(sync(app)) == ("done", 6, 0, 4)
    [found] = [one for one in connecting.shown(app) if one.name == "inventory"]
    told = {(one.content[:16], one.reason.partition(";")[0]) for one in found.refusals}
    assert ('{"id": "s-2"}', "productId: Field required") in told
    assert any(said == '"no row"' and "should be a valid dictionary" in why for said, why in told)
    assert any("a SALE is of some units, got 0" in why for _, why in told)
    assert any("something else is booked under the id 's-1'" in why for _, why in told)
    assert found.refused == 4
    assert not found.degraded


def test_a_row_from_ahead_of_the_clock_is_booked_once_its_moment_has_come(
    opened: Open, inventory: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = dt.datetime.now(tz=dt.UTC) + dt.timedelta(hours=2)
    inventory.feeds["movements"] = [sale(1), sale(2, createdAt=ahead.isoformat())]
    app = opened(inventory)
    assert counts(sync(app)) == ("done", 2, 0, 1)
    assert counts(sync(app)) == ("done", 0, 0, 0)
    with app.database.read() as connection:
        [kept] = connectors.refusals(connection, "inventory", 9)
    assert "has not come yet" in kept.reason
    monkeypatch.setattr(recording, "CLOCK_SECONDS", 3 * 3600)
    assert counts(sync(app)) == ("done", 1, 0, 0)
    assert counts(sync(app)) == ("done", 0, 0, 0)
    assert on_hand(app) == {"tea": 98.0}


def test_a_product_that_was_unknown_is_booked_once_it_is_there(opened: Open, inventory: Service) -> None:
    inventory.feeds = {"movements": [sale(1, "tea")]}
    app = opened(inventory, create_unknown_products=False)
    assert counts(sync(app)) == ("done", 0, 0, 1)
    with app.database.write() as connection:
        catalogue.code_ids(connection, tables.products, ["tea"])
    assert counts(sync(app)) == ("done", 1, 0, 0)


def test_a_page_of_which_nothing_can_be_booked_does_not_move_the_place(opened: Open, inventory: Service) -> None:
    inventory.rows_a_page = 50
    inventory.feeds["movements"] = [{**sale(n), "quantity": str(n)} for n in range(30)]
    app = opened(inventory)
    run = sync(app)
    assert counts(run) == ("failed", 1, 0, 0), "the other feed is read"
    assert "none of the 30 rows of a page can be booked" in str(run.error)
    assert "quantity: Input should be a valid number" in str(run.error)
    inventory.feeds["movements"] = [sale(n) for n in range(30)]
    assert counts(sync(app)) == ("done", 30, 0, 0)


# --- cursors


def test_a_cursor_that_does_not_move_ends_the_run(opened: Open, inventory: Service) -> None:
    stuck = {"items": [sale(1)], "cursor": "here", "more": True}
    inventory.faults.extend([faults.says(stuck), faults.says(stuck)])
    app = opened(inventory)
    run = sync(app)
    assert counts(run) == ("failed", 2, 0, 0)
    assert "'here', which was asked for already" in str(run.error)


def test_pages_in_a_circle_end_the_run_and_book_nothing_twice(opened: Open, inventory: Service) -> None:
    def page(n: int, cursor: str) -> faults.Fault:
        return faults.says({"items": [sale(n)], "cursor": cursor, "more": True})

    inventory.faults.extend([page(1, "a"), page(2, "b"), page(1, "a")])
    app = opened(inventory)
    run = sync(app)
    assert counts(run) == ("failed", 3, 0, 0)
    assert "'a', which was asked for already" in str(run.error)


def test_a_service_without_cursors_is_read_anew_each_time(opened: Open, inventory: Service) -> None:
    inventory.faults.append(faults.says({"items": [sale(1), sale(2)], "cursor": None, "more": False}))
    app = opened(inventory)
    assert counts(sync(app)) == ("done", 3, 0, 0)
    inventory.faults.append(faults.says({"items": [sale(1), sale(2), sale(3)], "cursor": None, "more": False}))
    assert counts(sync(app)) == ("done", 1, 2, 0)


def test_another_address_is_read_from_its_beginning(opened: Open, inventory: Service) -> None:
    sync(opened(inventory))
    with serving(Service({"movements": [sale(50)], "stock-levels": []})) as moved:
        assert counts(sync(opened(moved))) == ("done", 1, 0, 0)
        assert moved.asked[0].cursor is None


# --- the breaker


def test_a_breaker_opens_probes_and_closes(opened: Open, inventory: Service) -> None:
    app = opened(inventory)
    inventory.always = faults.status(500)
    run = sync(app)
    assert (run.outcome, run.requests) == ("failed", 4)
    assert standing(app).breaker == "closed"
    run = sync(app)
    assert (run.outcome, run.requests) == ("failed", 1)
    found = standing(app)
    assert (found.breaker, found.failures, found.pause_seconds) == ("open", 5, 60.0)
    run = sync(app)
    assert (run.outcome, run.requests) == ("paused", 0)
    assert "answered 500" in str(run.error)
    [shown] = [one for one in connecting.shown(app) if one.name == "inventory"]
    assert shown.degraded
    assert [one.outcome for one in shown.runs] == ["paused", "failed", "failed"]

    def wait_out() -> None:
        with app.database.write() as connection:
            connection.execute(update(tables.connectors).values(retry_at=stored_jobs.now(connection)))

    wait_out()
    assert standing(app).breaker == "half-open"
    assert (sync(app).requests, standing(app).pause_seconds) == (1, 120.0), "one probe, and a longer pause"
    for _ in range(9):
        wait_out()
        sync(app)
    assert standing(app).pause_seconds == 3600.0
    inventory.always = None
    assert sync(app).outcome == "paused"
    assert counts(sync(app, asked=True)) == ("done", 8, 0, 0), "a person who asks is not kept waiting"
    assert (standing(app).breaker, standing(app).failures, standing(app).error) == ("closed", 0, None)


def test_a_service_that_asks_for_an_hour_is_left_alone_for_an_hour(opened: Open, inventory: Service) -> None:
    inventory.always = faults.status(429, Retry_After="3600")
    app = opened(inventory)
    assert (sync(app).requests, standing(app).breaker, standing(app).pause_seconds) == (1, "open", 3600.0)


def test_a_failed_page_is_tried_again_within_the_run(opened: Open, inventory: Service) -> None:
    inventory.faults.extend([faults.status(502), faults.cut_off, faults.hung_up])
    run = sync(opened(inventory))
    assert counts(run) == ("done", 8, 0, 0)
    assert run.requests == 7


def test_a_feed_that_is_missing_keeps_nobody_from_the_others(opened: Open, inventory: Service) -> None:
    inventory.faults.append(faults.status(404))
    app = opened(inventory)
    run = sync(app)
    assert counts(run) == ("failed", 1, 0, 0)
    assert "there is no such feed" in str(run.error)
    assert standing(app).breaker == "closed"


def test_a_wrong_token_ends_the_run_and_is_told_nowhere(
    opened: Open, inventory: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    inventory.token = "right"
    app = opened(inventory, inventory_sync_token="open-sesame")
    run = sync(app)
    assert (run.outcome, run.requests) == ("failed", 1)
    assert "look at the connector's token" in str(run.error)
    assert "open-sesame" not in f"{run} {connecting.shown(app)} {caplog.text} {app.settings!r}"
    assert counts(sync(opened(inventory, inventory_sync_token="right"))) == ("done", 8, 0, 0)


def test_a_token_may_stand_in_a_file(opened: Open, inventory: Service, tmp_path: Path) -> None:
    inventory.token = "right"
    (tmp_path / "token").write_text("right\n")
    assert sync(opened(inventory, inventory_sync_token_file=str(tmp_path / "token"))).outcome == "done"


def test_a_connector_without_a_service_says_so(opened: Open) -> None:
    app = opened()
    with pytest.raises(ConflictError, match="SHELFWISE_INVENTORY_SYNC_URL"):
        sync(app)
    with pytest.raises(NotFound, match="inventory and logistics"):
        sync(app, "weather")
    assert connecting.configured(app) == []
    assert [one.degraded for one in connecting.shown(app)] == [False, False]


# --- shipments


def lines(app: App) -> list[tuple[Any, ...]]:
    table = ordering.purchase_orders(app)
    columns = ("purchase_order", "product", "quantity", "quantity_received", "status", "expected_on")
    return list(table.select(columns).iter_rows())


def tell(app: App, service: Service, *rows: dict[str, Any]) -> Run:
    service.feeds["shipments"] += rows
    return sync(app, "logistics")


def test_a_delivered_shipment_goes_into_stock_where_nobody_else_reports_it(opened: Open, logistics: Service) -> None:
    app = opened(logistics)
    with app.database.write() as connection:
        recording.record(
            app, connection, [recording.Request(recording.Movement("tea", "count", 5.0, warehouse="main"))]
        )
    now = dt.datetime.now(tz=dt.UTC).isoformat()
    assert counts(tell(app, logistics, shipment("delivered", deliveredAt=now))) == ("done", 2, 0, 0)
    assert on_hand(app) == {"tea": 53.0}
    never = opened(logistics, shipments_change_stock="never")
    tell(never, logistics, shipment("delivered", "SH-2", deliveredAt=now))
    assert on_hand(app) == {"tea": 53.0}


def test_the_newest_row_of_a_shipment_holds(opened: Open, logistics: Service) -> None:
    app = opened(logistics)
    tell(app, logistics, shipment())
    assert lines(app) == [("SH-1", "tea", 48.0, 0.0, "sent", dt.date(2026, 3, 8))]
    fewer = [{"productId": "tea", "warehouseId": "main", "quantity": 40}, {"productId": "mug", "quantity": 6}]
    assert counts(tell(app, logistics, shipment(lines=fewer, expectedOn=f"{DAY}9"))) == ("done", 1, 0, 0)
    assert lines(app) == [
        ("SH-1", "tea", 40.0, 0.0, "sent", dt.date(2026, 3, 9)), ("SH-1", "mug", 6.0, 0.0, "sent", dt.date(2026, 3, 9)),
    ]  # fmt: skip
    assert counts(tell(app, logistics, shipment(lines=fewer, expectedOn=f"{DAY}9"))) == ("done", 0, 1, 0)
    tell(app, logistics, shipment(lines=fewer[:1], expectedOn=f"{DAY}9"))
    assert lines(app)[1][2:4] == (0.0, 0.0), "what is no longer on its way is no longer due"
    tell(app, logistics, shipment("cancelled"))
    assert {line[4] for line in lines(app)} == {"cancelled"}
    assert counts(tell(app, logistics, shipment(), shipment("cancelled"))) == ("done", 0, 2, 0)


def test_a_shipment_of_an_order_made_here_says_when_it_comes_and_that_it_came(opened: Open, logistics: Service) -> None:
    app = opened(logistics)
    tell(app, logistics, shipment("cancelled"))
    ordered = pl.DataFrame({"product": ["tea", "mug"], "warehouse": ["main", "main"], "quantity": [100.0, 10.0]})
    with app.database.write() as connection:
        stored_orders.create_purchase_order(connection, "north", ordered, created_at=app.now(), number="PO-7")
    tell(app, logistics, shipment(purchaseOrder="PO-7", orderedOn=None))
    assert [line[1:] for line in lines(app)] == [
        ("tea", 100.0, 0.0, "sent", dt.date(2026, 3, 8)), ("mug", 10.0, 0.0, "sent", None),
    ]  # fmt: skip
    now = dt.datetime.now(tz=dt.UTC).isoformat()
    came = shipment("delivered", purchaseOrder="PO-7", deliveredAt=now)
    assert counts(tell(app, logistics, came, came)) == ("done", 1, 1, 0)
    assert [line[2:5] for line in lines(app)] == [(100.0, 48.0, "part_received"), (10.0, 0.0, "part_received")]
    tell(app, logistics, shipment("cancelled", "SH-9", purchaseOrder="PO-7"))
    assert {line[4] for line in lines(app)} == {"part_received"}, "the rest of the order is for a person to cancel"
    other = [{"productId": "cup", "warehouseId": "main", "quantity": 1}]
    run = tell(
        app, logistics,
        shipment("delivered", "SH-3", purchaseOrder="PO-7", deliveredAt=now, lines=other),
        shipment("delivered", "SH-4", purchaseOrder="PO-7", deliveredAt=f"{DAY}1T00:00:00Z"),
        shipment("in_transit", "SH-5", purchaseOrder="PO-7", supplierId="south"),
        shipment("in_transit", "SH-6", orderedOn="2999-01-01", expectedOn=None),
    )  # fmt: skip
    assert counts(run) == ("done", 0, 0, 4)
    with app.database.read() as connection:
        reasons = " ".join(one.reason for one in connectors.refusals(connection, "logistics", 9))
    for said in ("not on purchase order 'PO-7'", "PO-7 was placed on", "an order at north", "has not come yet"):
        assert said in reasons


# --- jobs and the clock


def test_a_configured_connector_is_asked_at_once_and_then_every_so_many_minutes(
    opened: Open, inventory: Service
) -> None:
    app = opened(inventory, sync_minutes=5)
    queue_scheduled(app)
    assert queue_scheduled(app) == 1
    assert queue_scheduled(app) == 0
    assert [(job.kind, job.subject) for job in jobs.listed(app).jobs] == [("sync", "inventory")]
    one = next(one for one in reactions.SCHEDULE if one.name == "inventory")
    assert reactions.rule_of(app, one) == "every 5 minutes"
    now = dt.datetime.now(tz=dt.UTC)
    assert reactions.next_time(app, one, now) == now + dt.timedelta(minutes=5)
    assert reactions.rule_of(opened(inventory, sync_minutes=0), one) is None
    assert reactions.rule_of(opened(), one) is None


def test_the_clock_knows_every_connector() -> None:
    planned = {one.subject: one.payload["connector"] for one in reactions.SCHEDULE if one.kind == job_kinds.SYNC}
    assert planned == {one.name: one.name for one in connecting.CONNECTORS}


def test_a_worker_does_what_was_asked_for_and_a_failed_run_is_no_failed_job(opened: Open, inventory: Service) -> None:
    app = opened(inventory)
    job = connecting.ask(app, "inventory", request_id="r-1")
    assert connecting.ask(app, "inventory").id == job.id
    only = {job_kinds.SYNC: job_kinds.KINDS[job_kinds.SYNC]}
    Background(app, kinds=only, schedule=()).drain()
    done = jobs.look(app, job.id)
    assert (done.state, done.result) == ("done", {"outcome": "done", "booked": 8, "duplicates": 0, "refused": 0})
    inventory.token = "another"
    job = connecting.ask(app, "inventory")
    Background(app, kinds=only, schedule=()).drain()
    done = jobs.look(app, job.id)
    assert (done.state, done.result["outcome"]) == ("done", "failed")
    assert "answered 401" in done.result["error"]
    gone = job_kinds.sync(opened(), {"connector": "inventory"}, lambda *_: None)
    assert "not configured" in gone["skipped"]


def test_a_run_that_is_out_of_time_asks_for_another(
    opened: Open, inventory: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(inventory)
    monkeypatch.setattr(connecting, "RUN_SECONDS", 0.0)
    job_kinds.sync(app, {"connector": "inventory"}, lambda *_: None)
    assert [(job.kind, job.subject) for job in jobs.listed(app).jobs] == [("sync", "inventory")]
    assert on_hand(app) == {}


def test_a_database_that_is_busy_fails_the_run_and_loses_nothing(
    opened: Open, inventory: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(inventory)
    real = connectors.move

    def full(*arguments: Any, **more: Any) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(connectors, "move", full)
    with pytest.raises(StorageError):
        sync(app)
    monkeypatch.setattr(connectors, "move", real)
    assert counts(sync(app)) == ("done", 8, 0, 0)


def test_progress_tells_the_feed_and_the_rows(opened: Open, inventory: Service) -> None:
    told: list[str] = []
    sync(opened(inventory), progress=lambda step, done, total: told.append(step), patience=Patience(attempts=1))
    assert told[:3] == ["inventory: movements, 0 rows", "inventory: movements, 3 rows", "inventory: movements, 6 rows"]
    assert told[-1] == "inventory: stock-levels, 0 rows"
