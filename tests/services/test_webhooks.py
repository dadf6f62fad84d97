"""Webhooks over a real receiver: what is sent, signed, tried again, given up, and kept from others' trouble."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from tests.receivers import Receiver, receiver, status
from tests.storage.worlds import moment, movements

from shelfwise.app import App, open_app
from shelfwise.domain.encryption_keys import new_key
from shelfwise.domain.errors import ConflictError, NotFound, ParameterError
from shelfwise.domain.events import (
    Event,
    ForecastRefreshed,
    ImportFinished,
    MovementsRecorded,
    PlanPublished,
    PurchaseOrderChanged,
    StockoutRiskCleared,
    StockoutRiskRaised,
)
from shelfwise.services import background, history, job_kinds, planning, webhook_messages, webhooks
from shelfwise.services.background import Background
from shelfwise.services.webhooks import Changes
from shelfwise.storage import jobs, outbox, tables
from shelfwise.storage.sealing import NoKey

KINDS = {job_kinds.DELIVER: job_kinds.KINDS[job_kinds.DELIVER]}
ORDERS = ["purchase_order.changed", "import.finished"]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """A shop whose webhooks may send to this machine."""
    with open_app(tmp_path / "shop.db", folder=tmp_path, webhook_private_addresses=True) as made:
        yield made


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def happen(app: App, *events: Event) -> None:
    with app.database.write() as connection:
        outbox.append(connection, app.now(), *events)


def imported(number: int) -> ImportFinished:
    return ImportFinished(number, (f"till-{number}.csv",))


def work(app: App) -> None:
    """Do what is due, as a worker does."""
    Background(app, kinds=KINDS, schedule=()).drain()


def hurry(app: App) -> None:
    """Let what waits for a later time be due now."""
    with app.database.write() as connection:
        now = jobs.now(connection)
        connection.execute(update(tables.webhook_deliveries).values(next_at=now))
        connection.execute(update(tables.webhooks).values(paused_until=None))
        connection.execute(update(tables.jobs).values(run_after=now))


def states(app: App, number: int) -> list[str]:
    """The states of a webhook's deliveries, the oldest first."""
    return [one.state for one in reversed(webhooks.deliveries(app, number).deliveries)]


# --- what is sent


def test_an_event_is_sent_signed_to_who_wants_it_and_to_nobody_else(app: App, there: Receiver) -> None:
    happen(app, imported(1))
    made = webhooks.add(app, there.url, ["import.finished"], name="accounts")
    with receiver() as other:
        webhooks.add(app, other.url, ["order_proposal.ready"])
        happen(app, imported(2), MovementsRecorded("till", 1, ("tea",)))
        work(app)
        assert other.got == []
    [one] = there.got
    assert one.message["type"] == "import.finished"
    assert one.message["data"] == {"import": 2, "files": ["till-2.csv"], "movements": None}, "not what was before it"
    at = dt.datetime.fromisoformat(one.message["timestamp"])
    assert abs((dt.datetime.now(tz=dt.UTC) - at).total_seconds()) < 60
    assert made.secret is not None
    assert one.is_signed_by(made.secret)
    assert not one.is_signed_by("whsec_" + "A" * 43 + "=")
    assert (one.headers["content-type"], one.headers["webhook-id"][:4]) == ("application/json", "msg_")
    [delivery] = webhooks.deliveries(app, 1).deliveries
    assert (delivery.state, delivery.status, delivery.attempts) == ("delivered", 204, 1)
    assert delivery.message_id == one.id


def test_each_event_is_told_once_however_often_it_is_looked_for(app: App, there: Receiver) -> None:
    webhooks.add(app, there.url, ["import.finished"])
    for number in range(3):
        happen(app, imported(number))
        assert webhooks.relay(app) == 1
        assert webhooks.relay(app) == 0
    work(app)
    assert [one.message["data"]["import"] for one in there.got] == [0, 1, 2]
    assert len({one.id for one in there.got}) == 3


def test_where_nobody_listens_nothing_is_written(app: App, there: Receiver) -> None:
    happen(app, imported(1))
    assert webhooks.relay(app) == 0
    webhooks.add(app, there.url, ["order_proposal.ready"])
    happen(app, *[imported(n) for n in range(5)])
    assert webhooks.relay(app) == 0
    assert webhooks.waiting(app) == {}


def test_what_happens_many_times_a_second_is_gathered_until_it_is_sent(app: App, there: Receiver) -> None:
    webhooks.add(app, there.url, ["movements.recorded", "forecast.changed"])
    happen(app, MovementsRecorded("till", 2, ("tea",)), ForecastRefreshed(("tea",)))
    webhooks.relay(app)
    happen(app, MovementsRecorded("web", 3, ("mug", "tea")), ForecastRefreshed(("cup",)))
    webhooks.relay(app)
    work(app)
    assert there.got == [], "they are gathered for some seconds"
    hurry(app)
    work(app)
    told = {one.message["type"]: one.message["data"] for one in there.got}
    assert told == {
        "movements.recorded": {"movements": 5, "sources": ["till", "web"], "products": ["tea", "mug"]},
        "forecast.changed": {"products": ["tea", "cup"]},
    }
    happen(app, ForecastRefreshed(()))
    webhooks.relay(app)
    hurry(app)
    work(app)
    assert there.got[-1].message["data"] == {"products": None}
    assert len(there.got) == 3, "what was sent takes in nothing more"


def test_an_event_that_cannot_be_told_holds_up_no_other(app: App, there: Receiver, caplog: Any) -> None:
    webhooks.add(app, there.url, ["stockout_risk.raised", "import.finished"])
    happen(app, StockoutRiskRaised(("tea",), (), 1), imported(2))
    work(app)
    assert [one.message["type"] for one in there.got] == ["import.finished"]
    assert "event 1 cannot be told to webhooks" in caplog.text


# --- what is not taken


def test_what_is_not_taken_is_tried_again_later_under_its_own_id(app: App, there: Receiver) -> None:
    made = webhooks.add(app, there.url, ["import.finished"])
    there.answer = status(500, b"no disk")
    happen(app, imported(1))
    work(app)
    [delivery] = webhooks.deliveries(app, 1).deliveries
    assert (delivery.state, delivery.status, delivery.error) == ("waiting", 500, "answered 500")
    assert delivery.answer == "no disk"
    assert delivery.tried_at is not None
    assert 5 <= (delivery.next_at - delivery.tried_at).total_seconds() < 6.5
    work(app)
    assert len(there.got) == 1, "its time has not come"
    there.answer = status(200)
    hurry(app)
    work(app)
    first, second = there.got
    assert (first.id, first.body) == (second.id, second.body)
    assert made.secret is not None
    assert second.is_signed_by(made.secret)
    assert states(app, 1) == ["delivered"]
    assert webhooks.one(app, 1).failing_since is None


def test_the_times_between_tries_follow_the_schedule_and_then_it_has_failed(app: App, there: Receiver) -> None:
    webhooks.add(app, there.url, ["import.finished"])
    there.answer = status(503)
    happen(app, imported(1))
    webhooks.relay(app)
    waits = []
    for _ in range(len(webhooks.SCHEDULE) + 1):
        hurry(app)
        work(app)
        [delivery] = webhooks.deliveries(app, 1).deliveries
        assert delivery.tried_at is not None
        waits.append((delivery.next_at - delivery.tried_at).total_seconds())
    assert len({one.id for one in there.got}) == 1
    assert len(there.got) == 10
    for wait, planned in zip(waits, webhooks.SCHEDULE, strict=False):
        assert planned - 1 <= wait <= planned * 1.2 + 1
    assert sum(webhooks.SCHEDULE) > 3 * 86_400
    assert states(app, 1) == ["failed"]
    assert webhooks.one(app, 1).enabled, "it failed for moments, and not for days"


def test_a_receiver_is_left_alone_for_as_long_as_it_asks(app: App, there: Receiver) -> None:
    webhooks.add(app, there.url, ["import.finished"])
    there.answer = status(429, retry_after="1800")
    happen(app, imported(1))
    work(app)
    [delivery] = webhooks.deliveries(app, 1).deliveries
    assert delivery.tried_at is not None
    assert (delivery.next_at - delivery.tried_at).total_seconds() >= 1799


def test_a_receiver_that_takes_nothing_for_days_is_switched_off_and_said_so(
    app: App, there: Receiver, caplog: Any
) -> None:
    webhooks.add(app, there.url, ["import.finished"])
    there.answer = status(500)
    happen(app, imported(1), imported(2))
    work(app)
    with app.database.write() as connection:
        past = jobs.now(connection) - webhooks.OFF_AFTER
        connection.execute(update(tables.webhooks).values(failing_since=past))
    hurry(app)
    work(app)
    off = webhooks.one(app, 1)
    assert not off.enabled
    assert off.off_reason is not None
    assert "has taken nothing since" in off.off_reason
    assert "answered 500" in off.off_reason
    assert "shelfwise webhooks enable 1" in caplog.text
    assert states(app, 1) == ["dropped", "dropped"]
    happen(app, imported(3))
    work(app)
    assert len(there.got) == 2
    there.answer = status(200)
    on = webhooks.change(app, 1, Changes(enabled=True))
    assert (on.enabled, on.off_reason, on.failing_since) == (True, None, None)
    happen(app, imported(4))
    work(app)
    assert there.got[-1].message["data"]["import"] == 4, "it hears of what happens from then on"
    assert len(there.got) == 3


def test_a_receiver_that_is_gone_is_switched_off_at_once(app: App, there: Receiver) -> None:
    webhooks.add(app, there.url, ["import.finished"])
    there.answer = status(410)
    happen(app, imported(1), imported(2))
    work(app)
    off = webhooks.one(app, 1)
    assert (off.enabled, off.off_reason) == (False, "its receiver answered 410 Gone")
    assert len(there.got) == 1
    with pytest.raises(ConflictError, match="webhook 1 is off"):
        webhooks.resend(app, 1, 1)


def test_a_dead_receiver_is_tried_less_and_less_and_what_waits_goes_out_when_it_lives(
    app: App, there: Receiver
) -> None:
    webhooks.add(app, there.url, ["import.finished"])
    there.answer = status(500)
    happen(app, *[imported(n) for n in range(20)])
    work(app)
    assert len(there.got) == 1, "the others wait until one was taken"
    paused = webhooks.one(app, 1).paused_until
    assert paused is not None
    there.answer = status(200)
    hurry(app)
    work(app)
    assert sorted(one.message["data"]["import"] for one in there.got[1:]) == list(range(20))


def test_a_receiver_that_answers_for_ever_is_given_up_in_time(app: App, there: Receiver) -> None:
    with open_app(
        app.settings.database, webhook_private_addresses=True, webhook_timeout_seconds=0.5, folder=Path.cwd()
    ) as hasty:
        webhooks.add(hasty, there.url, ["import.finished"])
        waits = threading.Event()
        there.answer = lambda *_: (waits.wait(10), status(200)(*_))[1]
        happen(hasty, imported(1))
        began = time.monotonic()
        work(hasty)
        waits.set()
        assert time.monotonic() - began < 5
        [delivery] = webhooks.deliveries(hasty, 1).deliveries
    assert (delivery.error, delivery.status) == ("no answer within 0.5 s", None)


def test_a_slow_receiver_holds_up_neither_other_receivers_nor_other_jobs(app: App, there: Receiver) -> None:
    done: list[float] = []
    kinds = KINDS | {"quick": job_kinds.Kind("quick", lambda *_: done.append(time.monotonic()))}
    waits = threading.Event()
    with receiver(lambda *_: (waits.wait(20), (200, {}, b""))[1]) as slow:
        for _ in range(3):
            webhooks.add(app, slow.url, ["import.finished"])
        webhooks.add(app, there.url, ["import.finished"])
        happen(app, imported(1))
        with Background(app, kinds=kinds, schedule=(), poll_seconds=0.05):
            slow.wait(3)
            there.wait(1)
            began = time.monotonic()
            with app.database.write() as connection:
                jobs.enqueue(connection, [jobs.Wanted("quick")])
            happen(app, imported(2))
            there.wait(2)
            while not done and time.monotonic() < began + 5:
                time.sleep(0.02)
            assert done, "the job ran while three receivers kept their senders waiting"
            assert len(slow.got) == 3
            waits.set()
            slow.wait(6)
    assert states(app, 4) == ["delivered", "delivered"]


# --- test, again, log


def test_the_test_button_sends_at_once_and_says_what_came_of_it(app: App, there: Receiver) -> None:
    made = webhooks.add(app, there.url, ["import.finished"])
    tested = webhooks.try_out(app, 1)
    assert (tested.state, tested.status, tested.type) == ("delivered", 204, "webhook.test")
    [one] = there.got
    assert made.secret is not None
    assert one.is_signed_by(made.secret)
    there.answer = status(404, b"<b>no such hook\x00</b>")
    failed = webhooks.try_out(app, 1)
    assert (failed.state, failed.error, failed.answer) == ("failed", "answered 404", "<b>no such hook </b>")
    assert webhooks.one(app, 1).failing_since is None
    hurry(app)
    work(app)
    assert len(there.got) == 2, "a test is not tried again"
    with pytest.raises(NotFound, match="there is no webhook 9"):
        webhooks.try_out(app, 9)


def test_what_was_sent_is_sent_again_under_its_own_id(app: App, there: Receiver) -> None:
    webhooks.add(app, there.url, ["import.finished"])
    happen(app, imported(1))
    work(app)
    [first] = webhooks.deliveries(app, 1).deliveries
    again = webhooks.resend(app, 1, first.id)
    assert (again.state, again.attempts) == ("waiting", 0)
    with pytest.raises(ConflictError, match="waits to be sent already"):
        webhooks.resend(app, 1, first.id)
    work(app)
    assert [one.id for one in there.got] == [first.message_id] * 2
    assert webhooks.body_of(app, 1, first.id)["data"]["import"] == 1
    webhooks.add(app, there.url, ["import.finished"])
    with pytest.raises(NotFound, match="there is no delivery 1 to webhook 2"):
        webhooks.resend(app, 2, first.id)


def test_the_log_is_listed_in_pages_and_by_state(app: App, there: Receiver) -> None:
    webhooks.add(app, there.url, ["import.finished"])
    happen(app, *[imported(n) for n in range(5)])
    webhooks.relay(app)
    page = webhooks.deliveries(app, 1, limit=2)
    assert [one.id for one in page.deliveries] == [5, 4]
    assert [one.id for one in webhooks.deliveries(app, 1, before=page.before).deliveries] == [3, 2, 1]
    assert webhooks.deliveries(app, 1, state="failed").deliveries == []
    assert webhooks.waiting(app) == {1: 5}
    with pytest.raises(ParameterError, match="there is no state 'sent'"):
        webhooks.deliveries(app, 1, state="sent")
    removed = webhooks.remove(app, 1)
    assert removed.url == there.url
    with pytest.raises(NotFound):
        webhooks.deliveries(app, 1)
    work(app)
    assert there.got == []


# --- secrets


def test_a_changed_secret_signs_beside_the_one_before_until_its_time_is_over(app: App, there: Receiver) -> None:
    first = webhooks.add(app, there.url, ["import.finished"]).secret
    second = webhooks.rotate(app, 1, overlap_hours=1).secret
    assert first is not None
    assert second is not None
    webhooks.try_out(app, 1)
    assert there.got[-1].is_signed_by(first)
    assert there.got[-1].is_signed_by(second)
    webhooks.rotate(app, 1, overlap_hours=0)
    webhooks.try_out(app, 1)
    assert not there.got[-1].is_signed_by(first)
    assert not there.got[-1].is_signed_by(second)


def test_a_given_secret_signs_and_one_that_is_none_is_refused(app: App, there: Receiver) -> None:
    given = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert webhooks.add(app, there.url, ["import.finished"], secret=given).secret == given
    webhooks.try_out(app, 1)
    assert there.got[0].is_signed_by(given)
    for wrong in ("hush", "whsec_hush", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + "A" * 88 + "AA=="):
        with pytest.raises(ParameterError, match="a secret is whsec_"):
            webhooks.add(app, there.url, ["import.finished"], secret=wrong)


def test_a_secret_is_sealed_in_the_database_where_the_shop_has_a_key(tmp_path: Path, there: Receiver) -> None:
    key, second = new_key(), new_key()
    settings: dict[str, Any] = {"folder": tmp_path, "webhook_private_addresses": True}
    with open_app(tmp_path / "shop.db", encryption_key=key, **settings) as app:
        secret = webhooks.add(app, there.url, ["import.finished"]).secret
        assert secret is not None
        assert webhooks.one(app, 1).secret != secret
        webhooks.try_out(app, 1)
    raw = b"".join(file.read_bytes() for file in tmp_path.glob("shop.db*"))
    assert secret.removeprefix("whsec_").encode() not in raw
    with open_app(tmp_path / "shop.db", encryption_key=second, **settings) as app, pytest.raises(NoKey):
        webhooks.try_out(app, 1)
    with open_app(tmp_path / "shop.db", encryption_key=second, encryption_key_previous=key, **settings) as app:
        webhooks.try_out(app, 1)
        webhooks.rotate(app, 1)
    with open_app(tmp_path / "shop.db", encryption_key=second, **settings) as app:
        webhooks.try_out(app, 1)
    assert [one.is_signed_by(secret) for one in there.got] == [True, True, True], "the last beside its successor"


# --- what is told


def test_a_webhook_wants_known_events_and_few_are_enough(app: App, there: Receiver) -> None:
    for wrong in ([], ["import.finished", "everything"]):
        with pytest.raises(ParameterError, match=r"the events are order_proposal\.ready, "):
            webhooks.add(app, there.url, wrong)
    made = webhooks.add(app, there.url, ["import.finished", "order_proposal.ready", "import.finished"])
    assert made.webhook.events == ("order_proposal.ready", "import.finished")
    changed = webhooks.change(app, 1, Changes(events=["import.finished"], name="books", url=there.url + "/2"))
    assert (changed.events, changed.name, changed.url) == (("import.finished",), "books", there.url + "/2")
    for _ in range(webhooks.MOST_WEBHOOKS - 1):
        webhooks.add(app, there.url, ["import.finished"])
    with pytest.raises(ParameterError, match="there are 50 webhooks, which is the most"):
        webhooks.add(app, there.url, ["import.finished"])


def test_the_messages_of_a_planned_shop_tell_money_and_days(quick: App, fill: Callable[..., None]) -> None:
    fill_with_tea(quick, fill)
    planning.make_plan(quick)
    with quick.database.write() as connection:
        plan = next(each.event for each in outbox.latest(connection, 5) if isinstance(each.event, PlanPublished))
        ready = told(quick, connection, plan)
        order = told(quick, connection, PurchaseOrderChanged("PO-7", "sent"))
        gone = outbox.Happened(1, quick.now(), PurchaseOrderChanged("PO-none", "sent"))
        kind = webhook_messages.KINDS["purchase_order.changed"]
        assert webhook_messages.body_of(quick, connection, kind, gone) is None
    assert ready["plan"] == plan.plan_run_id
    assert (ready["lines"], ready["lines_without_cost"], ready["currency"]) == (1, 0, "EUR")
    assert float(ready["cost"]) > 0
    day = dt.date.fromisoformat(ready["order_by"])
    text = webhook_messages.text_of({"type": "order_proposal.ready", "data": ready})
    assert text == (
        f"The new order proposal is ready: 1 line for EUR {float(ready['cost']):,.2f}. The first must be ordered by "
        f"{day:%a} {day.day} {day:%b} {day.year}."
    )
    assert order == {
        "purchase_order": "PO-7", "status": "sent", "supplier": "S-MILL", "supplier_name": "Mill", "lines": 1,
        "units": 3.0, "value": "12.00", "currency": "EUR", "expected_on": "2099-01-31",
    }  # fmt: skip


def fill_with_tea(app: App, fill: Callable[..., None]) -> None:
    """Tea that sells five a day, and three of it on order for the year 2099."""
    days = [app.today() - dt.timedelta(days=n) for n in range(60, 0, -1)]
    fill(
        suppliers=[{"supplier": "S-MILL", "name": "Mill"}],
        products=[{"product": "tea", "name": "Tea", "price": 9.0, "unit_cost": 4.0, "supplier": "S-MILL"}],
        movements=[
            {
                "source": "till", "line_id": f"{day}", "kind": "sale",
                "occurred_at": dt.datetime.combine(day, dt.time(12)), "product": "tea", "warehouse": "main",
                "quantity": 5.0, "unit_price": 9.0,
            }
            for day in days
        ],
        stock_levels=[{"product": "tea", "warehouse": "main", "on_hand": 9.0, "as_of": moment(str(app.today()))}],
        purchase_order_lines=[
            {
                "purchase_order": "PO-7", "supplier": "S-MILL", "product": "tea", "warehouse": "main", "quantity": 3.0,
                "quantity_received": 0.0, "unit_cost": 4.0, "ordered_on": app.today(),
                "expected_on": dt.date(2099, 1, 31), "status": "sent",
            }
        ],
    )  # fmt: skip


def told(app: App, connection: Any, event: Event) -> Any:
    kind = webhook_messages.kind_of(event)
    assert kind is not None
    body = webhook_messages.body_of(app, connection, kind, outbox.Happened(1, app.now(), event))
    assert body is not None
    return json.loads(body)["data"]


# --- Slack


def test_slack_gets_a_sentence_with_money_and_day_and_nothing_that_it_would_interpret(
    app: App, there: Receiver
) -> None:
    made = webhooks.add(app, there.url, ["import.finished"], format="slack")
    assert made.secret is None
    happen(app, ImportFinished(7, ("<!channel> & tea.csv",)))
    work(app)
    [one] = there.got
    assert one.message == {"text": "Import 7 of &lt;!channel&gt; &amp; tea.csv is done."}
    assert "webhook-signature" not in one.headers
    risk = {
        "count": 8, "currency": "EUR",
        "items": [
            {
                "product": "T1", "name": "Tea & co", "warehouse": "SHOP", "severity": "high", "chance": 0.81,
                "days": 28, "stockout_on": "2026-11-25", "order_by": "2026-11-22", "lost_units": 12.0,
                "lost_margin": "1204.50",
            }
        ],
    }  # fmt: skip
    body = webhook_messages.envelope("stockout_risk.raised", dt.datetime.now(tz=dt.UTC), risk)
    assert json.loads(webhook_messages.for_slack(body))["text"] == (
        "May run out: Tea &amp; co in SHOP (high) with a chance of 81 %, by Wed 25 Nov 2026, EUR 1,204.50 of margin at "
        "stake, order by Sun 22 Nov 2026, and 7 more."
    )
    with pytest.raises(ParameterError, match="reads no signatures"):
        webhooks.rotate(app, 1)
    with pytest.raises(ParameterError, match="does not read signatures"):
        webhooks.add(app, there.url, ["import.finished"], format="slack", secret="whsec_" + "A" * 32)


def test_an_address_of_slack_is_known_for_one(app: App) -> None:
    made = webhooks.add(app, "https:" + "//hooks.slack.com/services/T0/B0/x", ["import.finished"])
    assert (made.webhook.format, made.secret) == ("slack", None)
    assert webhooks.add(app, "https://slack.example.com/services", ["import.finished"]).webhook.format == "standard"


TEXTS = {
    "order_proposal.ready": (
        {"lines": 0, "lines_without_cost": 0, "cost": "0.00", "currency": "EUR", "order_by": None},
        "The new order proposal is ready: nothing has to be ordered.",
    ),
    "stockout_risk.cleared": (
        {"count": 2, "items": [{"product": "T1", "name": None, "warehouse": "SHOP"}]},
        "No longer at risk of running out: T1 in SHOP, and 1 more.",
    ),
    "import.finished": (
        {"import": 3, "files": ["a.csv", "b.csv"], "movements": 1200},
        "Import 3 of a.csv, b.csv is done: 1,200 new movements.",
    ),
    "forecast.changed": ({"products": None}, "Forecasts of many products changed."),
    "purchase_order.changed": (
        {
            "purchase_order": "PO-7", "status": "part_received", "supplier": "S", "supplier_name": "Mill",
            "value": "12.00", "currency": "EUR", "expected_on": "2026-11-30",
        },
        "Purchase order PO-7 to Mill is part received, EUR 12.00, expected on Mon 30 Nov 2026.",
    ),
    "movements.recorded": (
        {"movements": 1, "products": ["tea"], "sources": ["till"]},
        "1 stock movement of tea booked.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", webhook_messages.KINDS)
def test_every_type_of_message_has_words(name: str) -> None:
    if name == "stockout_risk.raised":  # above
        return
    data, text = TEXTS[name]
    assert webhook_messages.text_of({"type": name, "data": data}) == text


# --- stockout risks


def test_a_risk_is_told_as_it_rises_and_as_it_is_over_and_not_in_between(
    quick: App, fill: Callable[..., None], there: Receiver
) -> None:
    from shelfwise.services import live
    from shelfwise.storage.sales import append_movements
    from shelfwise.storage.stock import set_stock_levels

    today = quick.today()
    fill_with_tea(quick, fill)

    def stock(units: float) -> None:
        import polars as pl

        level = {"product": ["tea"], "warehouse": ["main"], "on_hand": [units], "as_of": [quick.now()]}
        with quick.database.write() as connection:
            set_stock_levels(connection, pl.DataFrame(level))

    def since(number: int) -> Sequence[Event]:
        with quick.database.read() as connection:
            found = [each.event for each in outbox.since(connection, number)]
        return [one for one in found if isinstance(one, StockoutRiskRaised | StockoutRiskCleared)]

    stock(1000.0)
    live.publish(quick)
    assert since(0) == []
    stock(2.0)
    live.publish(quick)
    [raised] = since(0)
    assert raised == StockoutRiskRaised(("tea",), ("main",), 1)
    with quick.database.read() as connection:
        data = told(quick, connection, raised)
        newest = outbox.latest(connection, 1)[0].number
    [item] = data["items"]
    assert (item["name"], item["warehouse"], data["currency"]) == ("Tea", "main", "EUR")
    assert item["severity"] in ("medium", "high", "critical")
    assert float(item["lost_margin"]) > 0
    assert item["stockout_on"] is not None
    live.publish(quick)
    for n in range(3):  # each sale writes the row anew, and the risk stays what it is
        sold = movements(("sale", f"{today} 12:00", "tea", 1), source=f"web{n}")
        with quick.database.write() as connection:
            append_movements(connection, sold)
        live.refresh(quick, ["tea"])
    assert since(newest) == []
    stock(1000.0)
    live.publish(quick)
    assert since(newest) == [StockoutRiskCleared(("tea",), ("main",), 1)]
    assert "stockout risk of tea@main is over" in history.history(quick)["what"].to_list()


def test_the_worker_drops_old_deliveries_in_the_night(app: App, there: Receiver) -> None:
    webhooks.add(app, there.url, ["import.finished"])
    happen(app, imported(1), imported(2), imported(3))
    work(app)
    with app.database.write() as connection:
        long_ago = moment("2026-01-01").replace(tzinfo=dt.UTC)
        connection.execute(update(tables.webhook_deliveries).values(created_at=long_ago))
    done = job_kinds.tidy(app, {}, lambda *_: None)
    assert done["deliveries"] == 2, "the newest stays, so that no number is given twice"
    assert background.AT_ONCE["beside"] == 50
