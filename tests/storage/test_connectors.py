"""Where connectors stand, on each kind of database."""

from __future__ import annotations

import contextlib
import datetime as dt

import pytest

from shelfwise.storage import connectors, jobs
from shelfwise.storage.connectors import Overtaken, Run
from shelfwise.storage.database import Database


def run(n: int) -> Run:
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=n)
    return Run(moment, moment, "done", 1, 1, n, 0, 0, None)


def test_a_place_moves_from_where_it_is_and_from_nowhere_else(database: Database) -> None:
    with database.write() as connection:
        connectors.move(connection, "inventory", "movements", "here", None, "c1", booked=3, refused=1)
        connectors.move(connection, "inventory", "movements", "here", "c1", "c2", booked=2, duplicates=4)
    with database.write() as connection, pytest.raises(Overtaken, match="read movements further"):
        connectors.move(connection, "inventory", "movements", "here", "c1", "c3", booked=9)
    with database.read() as connection:
        found = connectors.place(connection, "inventory", "movements")
        assert connectors.place(connection, "inventory", "stock-levels") is None
    assert found is not None
    assert (found.read_until, found.booked, found.duplicates, found.refused) == ("c2", 5, 4, 1)


def test_the_cursor_of_another_address_is_none_of_this_one(database: Database) -> None:
    with database.write() as connection:
        connectors.move(connection, "inventory", "movements", "here", None, "c1", booked=3)
        with pytest.raises(Overtaken):
            connectors.move(connection, "inventory", "movements", "there", "c1", "c2")
        connectors.move(connection, "inventory", "movements", "there", None, "c7", booked=1)
        [found] = connectors.places(connection, "inventory")
    assert (found.origin, found.read_until, found.booked) == ("there", "c7", 4)


def test_a_place_that_is_not_committed_has_not_moved(database: Database) -> None:
    with contextlib.suppress(KeyboardInterrupt), database.write() as connection:
        connectors.move(connection, "inventory", "movements", "here", None, "c1", booked=3)
        raise KeyboardInterrupt
    with database.read() as connection:
        assert connectors.places(connection, "inventory") == []


def test_a_breaker_opens_for_its_pause_and_closes_at_an_answer(database: Database) -> None:
    with database.write() as connection:
        assert connectors.standing(connection, "logistics").breaker == "closed"
        connectors.failed(connection, "logistics", 2, "it is down")
        assert connectors.standing(connection, "logistics").breaker == "closed"
        connectors.failed(connection, "logistics", 5, "it is down", pause_seconds=60)
        found = connectors.standing(connection, "logistics")
        assert (found.breaker, found.failures, found.pause_seconds) == ("open", 5, 60.0)
        assert found.retry_at is not None
        assert dt.timedelta(seconds=55) < found.retry_at - jobs.now(connection) <= dt.timedelta(seconds=60)
        assert connectors.standing(connection, "inventory").failures == 0
        connectors.failed(connection, "logistics", 5, "it is down", pause_seconds=1e-6)
        assert connectors.standing(connection, "logistics").breaker == "half-open"
        connectors.answered(connection, "logistics")
        assert connectors.standing(connection, "logistics").breaker == "closed"
        assert connectors.standing(connection, "logistics").error == "it is down", "until a whole run goes well"
        connectors.succeeded(connection, "logistics")
        found = connectors.standing(connection, "logistics")
    assert found.error is None
    assert found.succeeded_at is not None


def test_the_last_runs_are_kept_the_newest_first(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connectors, "RUNS_KEPT", 3)
    with database.write() as connection:
        connectors.keep_run(connection, "logistics", run(99))
        for n in range(5):
            connectors.keep_run(connection, "inventory", run(n))
        assert [one.booked for one in connectors.runs(connection, "inventory", 10)] == [4, 3, 2]
        assert connectors.runs(connection, "inventory", 1) == [run(4)]
        assert [one.booked for one in connectors.runs(connection, "logistics", 10)] == [99]


def test_a_refused_row_is_kept_once_and_the_oldest_go(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connectors, "REFUSALS_KEPT", 3)
    with database.write() as connection:
        connectors.refuse(connection, "inventory", "movements", [("a", "why"), ("b", "why"), ("ü 😀", "why")])
        connectors.refuse(connection, "inventory", "movements", [("a", "why now")])
        assert connectors.count_refusals(connection, "inventory") == 3
        connectors.refuse(connection, "inventory", "stock-levels", [("a", "why")])
        connectors.refuse(connection, "inventory", "movements", [("d", "why")])
        found = connectors.refusals(connection, "inventory", 10, "movements")
        assert [(one.content, one.reason) for one in found] == [("d", "why"), ("a", "why now"), ("ü 😀", "why")]
        connectors.settle(connection, [found[0].id])
        connectors.settle(connection, [])
        assert connectors.count_refusals(connection, "inventory") == 3
        assert len(connectors.refusals(connection, "inventory", 1)) == 1
