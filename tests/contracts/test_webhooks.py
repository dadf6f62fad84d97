"""What the log of deliveries promises on every kind of database, over real connections."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from tests.storage.worlds import moment

from shelfwise.domain.errors import ConflictError, NotFound
from shelfwise.storage import jobs, stockout_alerts, tables, webhooks
from shelfwise.storage.database import Database
from shelfwise.storage.webhooks import Begun, Delivery, Message, Tried

GOOD, BAD = Tried(200, None, "", 0.1), Tried(500, "answered 500", "no\0disk \U0001f375", 0.1)


def add(database: Database, **values: Any) -> int:
    given = {"name": "é", "url": "https://hooks.example.com/", "format": "standard", "events": ["import.finished"]}
    with database.write() as connection:
        return webhooks.add(connection, given | {"since_event": 0, "created_by": "mia"} | values)


def queue(database: Database, webhook: int, *messages: Message) -> None:
    with database.write() as connection:
        webhooks.deliver(connection, webhook, messages)


def begin(database: Database, webhook: int) -> Begun | None:
    with database.write_beside() as connection:
        return webhooks.begin(connection, webhook)


def settle(database: Database, begun: Begun, tried: Tried, again: float | None) -> None:
    with database.write_beside() as connection:
        webhooks.settle(connection, begun, tried, again)


def log(database: Database, webhook: int) -> list[Delivery]:
    with database.read() as connection:
        return webhooks.page(connection, webhook)


def joined(earlier: bytes, later: bytes) -> bytes:
    return earlier + b"+" + later


def test_a_webhook_is_kept_changed_and_removed_with_its_log(database: Database) -> None:
    number = add(database, secret="whsec_x" * 100)
    queue(database, number, Message("m1", "import.finished", b"{}" * 50_000))
    with database.read() as connection:
        found = webhooks.one(connection, number)
        assert (found.name, found.events, found.enabled, found.failures) == ("é", ("import.finished",), True, 0)
        assert webhooks.waiting(connection) == {number: 1}
        assert webhooks.body_of(connection, 1) == b"{}" * 50_000
    with database.write() as connection:
        webhooks.change(connection, number, {"name": "other", "events": ["forecast.changed"]})
        assert webhooks.one(connection, number).events == ("forecast.changed",)
        webhooks.remove(connection, number)
        assert webhooks.every(connection) == []
        assert webhooks.waiting(connection) == {}
        with pytest.raises(NotFound, match="there is no webhook"):
            webhooks.one(connection, number)


def test_deliveries_are_tried_in_their_order_and_a_try_that_was_not_written_down_is_made_again(
    database: Database,
) -> None:
    number, other = add(database), add(database)
    queue(database, number, Message("m1", "a", b"1"), Message("m2", "a", b"2"))
    queue(database, other, Message("m3", "a", b"3"))
    first = begin(database, number)
    assert first is not None
    assert (first.message_id, first.body, first.attempts, first.webhook.id) == ("m1", b"1", 1, number)
    lost = begin(database, number)  # whoever sent it died before writing down what came of it
    assert lost is not None
    assert (lost.message_id, lost.attempts) == ("m1", 2)
    settle(database, lost, GOOD, None)
    second = begin(database, number)
    assert second is not None
    settle(database, second, BAD, 60.0)
    assert begin(database, number) is None, "its time has not come"
    newest, oldest = log(database, number)
    assert (oldest.state, oldest.status, oldest.attempts) == ("delivered", 200, 2)
    assert (newest.state, newest.status, newest.error) == ("waiting", 500, "answered 500")
    assert newest.answer == "nodisk \U0001f375"
    assert newest.tried_at is not None
    assert timedelta(seconds=59) < newest.next_at - newest.tried_at < timedelta(seconds=65)
    assert [one.state for one in log(database, other)] == ["waiting"]


def test_a_message_is_gathered_while_it_waits_and_not_once_it_was_tried(database: Database) -> None:
    number = add(database)
    gathers = Message("m1", "a", b"1", 0.0, joined)
    queue(database, number, gathers, Message("m2", "a", b"2", 0.0, joined), Message("m3", "b", b"3", 0.0, joined))
    assert [one.message_id for one in log(database, number)] == ["m3", "m1"]
    begun = begin(database, number)
    assert begun is not None
    assert begun.body == b"1+2"
    queue(database, number, Message("m4", "a", b"4", 0.0, joined), Message("m5", "a", b"5", 0.0, lambda *_: None))
    assert [one.message_id for one in log(database, number)] == ["m5", "m4", "m3", "m1"]


def test_what_is_gathered_beside_a_sender_is_in_exactly_one_message(database: Database) -> None:
    number, count = add(database), 40
    sent: list[bytes] = []
    done = threading.Event()

    def send() -> None:
        while True:
            last = done.is_set()
            begun = begin(database, number)
            if begun is not None:
                sent.append(begun.body)
                settle(database, begun, GOOD, None)
            elif last:
                return

    thread = threading.Thread(target=send)
    thread.start()
    for n in range(count):
        queue(database, number, Message(f"m{n}", "a", str(n).encode(), 0.0, joined))
    done.set()
    thread.join()
    assert sorted(int(n) for body in sent for n in body.split(b"+")) == list(range(count))


def test_a_receiver_that_fails_is_paused_and_one_that_takes_is_not(database: Database) -> None:
    number = add(database)
    queue(database, number, Message("m1", "a", b"1"), Message("m2", "a", b"2"))
    with database.write_beside() as connection:
        first = webhooks.refused(connection, number, 30.0)
        assert webhooks.refused(connection, number, 60.0) == first
        assert webhooks.one(connection, number).failures == 2
        wait = webhooks.next_in_seconds(connection, number)
        assert wait is not None
        assert 55 < wait <= 60
    assert begin(database, number) is None
    with database.write_beside() as connection:
        webhooks.received(connection, number)
        assert webhooks.one(connection, number).failing_since is None
        assert webhooks.next_in_seconds(connection, number) == 0.0
    assert begin(database, number) is not None


def test_switching_off_drops_what_waits_and_what_was_sent_can_be_sent_again(database: Database) -> None:
    number = add(database)
    queue(database, number, Message("m1", "a", b"1"), Message("m2", "a", b"2"))
    begun = begin(database, number)
    assert begun is not None
    with database.write() as connection:
        webhooks.switch_off(connection, number, "it is gone")
    settle(database, begun, GOOD, None)
    assert [one.state for one in log(database, number)] == ["dropped", "dropped"]
    with database.write() as connection:
        found = webhooks.one(connection, number)
        assert (found.enabled, found.off_reason) == (False, "it is gone")
        with pytest.raises(ConflictError, match="is off"):
            webhooks.check_on(connection, number)
        assert webhooks.backlog(connection).switched_off == 1
        webhooks.change(connection, number, {"enabled": True, "off_reason": None})
        webhooks.send_again(connection, number, begun.id)
        with pytest.raises(ConflictError, match="waits to be sent already"):
            webhooks.send_again(connection, number, begun.id)
        with pytest.raises(NotFound):
            webhooks.send_again(connection, number, 99)
    again = begin(database, number)
    assert again is not None
    assert (again.message_id, again.attempts) == ("m1", 1)


def test_the_backlog_and_what_is_forgotten(database: Database) -> None:
    number = add(database)
    queue(database, number, *[Message(f"m{n}", "a", b"1") for n in range(3)])
    begun = begin(database, number)
    assert begun is not None
    settle(database, begun, GOOD, None)
    with database.write() as connection:
        long_ago = jobs.now(connection) - timedelta(days=40)
        connection.execute(update(tables.webhook_deliveries).values(created_at=long_ago))
        note = Message("m9", "webhook.test", b"9")
        assert webhooks.delivery(connection, number, webhooks.note(connection, number, note, BAD)).state == "failed"
        told = webhooks.backlog(connection)
        assert told.by_state == {"waiting": 2, "delivered": 1, "failed": 1}
        assert 39 * 86_400 < told.oldest_waiting_seconds < 41 * 86_400
        assert webhooks.forget(connection, days=30) == 1
        assert [one.message_id for one in webhooks.page(connection, number)] == ["m9", "m2", "m1"]


def test_the_grade_that_was_told_last_is_kept_by_series(database: Database) -> None:
    at = moment("2026-11-21 09:00")
    with database.write() as connection:
        stockout_alerts.tell(
            connection, {("tea", "main"): "medium", ("Tea", "main"): "high", ("tea", "web"): "low"}, at
        )
        stockout_alerts.tell(connection, {("tea", "main"): "critical"}, at)
        stockout_alerts.tell(connection, {}, at)
    with database.write() as connection:
        assert stockout_alerts.told(connection, ["tea"]) == {("tea", "main"): "critical", ("tea", "web"): "low"}
        stockout_alerts.forget(connection, [("tea", "web"), ("mug", "main")])
        assert stockout_alerts.told(connection) == {("tea", "main"): "critical", ("Tea", "main"): "high"}
