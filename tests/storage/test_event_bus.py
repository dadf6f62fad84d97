"""Who publishes, from where on, and what is counted: the same on every kind of database."""

from __future__ import annotations

import datetime as dt
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tests.storage.test_live_forecasts import MADE, row

from shelfwise.domain.events import MovementsRecorded
from shelfwise.storage import event_bus, live_forecasts, outbox, workers
from shelfwise.storage.database import Database

AT = dt.datetime(2026, 11, 21, 9, 30)  # noqa: DTZ001  (shop time)


def say(database: Database, count: int) -> None:
    with database.write() as connection:
        outbox.append(connection, AT, *(MovementsRecorded("till", 1, (f"P{n}",)) for n in range(count)))


def test_a_lease_is_held_by_one_and_free_when_it_is_over_or_given_up(database: Database) -> None:
    with database.write_beside() as connection:
        assert event_bus.is_free(connection, "x", "one")
        assert event_bus.hold(connection, "x", "one", 0.3)
        assert not event_bus.hold(connection, "x", "two", 10)
        assert not event_bus.is_free(connection, "x", "two")
        assert event_bus.hold(connection, "x", "one", 0.3)
        assert event_bus.hold(connection, "y", "two", 10), "another lease is another matter"
    time.sleep(0.4)
    with database.write_beside() as connection:
        assert event_bus.hold(connection, "x", "two", 10)
        assert not event_bus.hold(connection, "x", "one", 10)
        event_bus.let_go(connection, "x", "one")
        assert not event_bus.is_free(connection, "x", "one"), "only who holds it can give it up"
        event_bus.let_go(connection, "x", "two")
        assert event_bus.hold(connection, "x", "one", 10)


def test_of_many_who_ask_at_once_one_gets_the_lease(database: Database) -> None:
    def ask(n: int) -> bool:
        with database.write_beside() as connection:
            return event_bus.hold(connection, "x", f"worker-{n}", 60)

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(ask, range(6))) == 1


def test_counts_add_up_however_many_count_and_keep_the_last_reason(database: Database) -> None:
    def count(n: int) -> None:
        with database.write_beside() as connection:
            event_bus.count(connection, "refused", n, f"reason {n}")
            event_bus.count(connection, "refused", 0, "nothing was refused")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(1, 9)))
    with database.write() as connection:
        event_bus.count(connection, "refused", 1, "the last")
        event_bus.count(connection, "refused", 1)
        event_bus.count(connection, "published", 5)
        found = event_bus.counts(connection)
    assert {name: one.total for name, one in found.items()} == {"refused": 38, "published": 5}
    assert found["refused"].last_reason == "the last"
    assert found["published"].last_reason is None


def test_what_happened_before_the_first_time_is_not_published_and_begun_once(database: Database) -> None:
    say(database, 3)
    with database.write() as connection:
        assert event_bus.unpublished(connection) is None
        event_bus.begin(connection)
        assert event_bus.unpublished(connection) == 0
    say(database, 2)
    with database.write() as connection:
        event_bus.begin(connection)
        assert event_bus.unpublished(connection) == 2
        last = outbox.latest(connection, 1)[0].number
        workers.set_read_until(connection, event_bus.EVENTS, last)
        assert event_bus.unpublished(connection) == 0


def test_changed_forecasts_come_in_order_and_in_parts_without_a_gap(database: Database) -> None:
    rows = [row(f"P{n}", b"1", warehouse=where) for n in range(4) for where in ("a", "b")]
    with database.write() as connection:
        live_forecasts.publish(connection, MADE, rows[:7])
        live_forecasts.save(connection, [rows[7], replace(rows[0], payload=b"anew")])
        live_forecasts.save(connection, [replace(rows[3], payload=b"anew")])
    with database.read() as connection:
        every = event_bus.changed_after(connection, (0, "", ""), 100)
        assert [(one.version, one.product, one.warehouse) for one in every] == sorted(
            (one.version, one.product, one.warehouse) for one in every
        )
        assert len(every) == 8
        assert every[-1] == replace(rows[3], payload=b"anew", version=3)
        found, place = [], (0, "", "")
        while part := event_bus.changed_after(connection, place, 3):
            found += part
            place = (part[-1].version, part[-1].product, part[-1].warehouse)
        assert found == every
        assert event_bus.changed_after(connection, (every[-1].version + 1, "", ""), 3) == []
