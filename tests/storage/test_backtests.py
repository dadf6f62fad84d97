"""Backtests in the store: parts are kept as they come, shared by runs that ask the same, and go with their last run."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect, update
from tests.storage.worlds import moment

from shelfwise.domain.errors import NotFound
from shelfwise.storage import backtests, migrations
from shelfwise.storage.database import Database
from shelfwise.storage.tables import backtest_parts

NOON = moment("2026-11-21T12:00:00")


def begin(connection, fingerprint, *parts):
    parameters = {"horizon": 28, backtests.PARTS: {f"model {part}": part for part in parts}}
    return backtests.begin(connection, fingerprint, parameters=parameters, created_at=NOON)


def save(connection, fingerprint, cutoff, payload=b"scores"):
    backtests.save_part(connection, fingerprint, cutoff, payload=payload, created_at=NOON)


def test_a_run_is_begun_once_and_finished_with_what_came_of_it(database: Database) -> None:
    with database.write() as connection:
        number = begin(connection, "f", "a", "b")
        assert begin(connection, "f", "a", "b") == number
        assert backtests.run(connection, number).summary is None
        backtests.finish(connection, number, {"best": "a"})
    with database.read() as connection:
        (found,) = backtests.runs(connection)
    assert (found.id, found.created_at, found.summary) == (number, NOON, {"best": "a"})
    assert found.parameters == {"horizon": 28, "parts": {"model a": "a", "model b": "b"}}


def test_parts_come_back_as_they_were_and_the_later_replaces_the_earlier(database: Database) -> None:
    with database.write() as connection:
        save(connection, "a", "2026-10-01", b"old")
        save(connection, "a", "2026-10-01", b"new")
        save(connection, "a", "2026-11-01")
        save(connection, "b", "2026-10-01")
    with database.read() as connection:
        assert backtests.parts(connection, ["a"]) == {("a", "2026-10-01"): b"new", ("a", "2026-11-01"): b"scores"}
        assert backtests.parts(connection, []) == {}
        assert backtests.cutoffs_of_parts(connection) == {"a": 2, "b": 1}


def test_a_part_whose_bytes_have_changed_is_not_given_out(database: Database) -> None:
    with database.write() as connection:
        save(connection, "a", "2026-10-01")
        connection.execute(update(backtest_parts).values(payload=b"spoilt"))
        assert backtests.parts(connection, ["a"]) == {}


def test_a_part_stays_while_any_run_has_it(database: Database) -> None:
    with database.write() as connection:
        first, second = begin(connection, "one", "a", "b"), begin(connection, "other", "b")
        for fingerprint in "ab":
            save(connection, fingerprint, "2026-10-01")
        backtests.remove(connection, first)
        assert backtests.cutoffs_of_parts(connection) == {"b": 1}
        backtests.remove(connection, second)
        assert backtests.cutoffs_of_parts(connection) == {}


def test_the_oldest_runs_go_with_their_parts(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtests, "KEPT", 2)
    with database.write() as connection:
        for name in "abc":
            begin(connection, name, name)
            save(connection, name, "2026-10-01")
        assert [run.id for run in backtests.runs(connection)] == [3, 2]
        assert set(backtests.cutoffs_of_parts(connection)) == {"b", "c"}


def test_a_run_that_is_not_there_is_named_with_the_way_to_those_that_are(database: Database) -> None:
    with database.write() as connection:
        for step in (backtests.run, backtests.remove):
            with pytest.raises(NotFound, match="no backtest 7; `shelfwise backtests` lists"):
                step(connection, 7)
        with pytest.raises(NotFound):
            backtests.finish(connection, 7, {})


def test_the_step_that_brings_the_tables_can_be_undone_and_done_again(database: Database) -> None:
    with database.write() as connection:
        begin(connection, "f", "a")
    assert database.migrate("0004") == (migrations.HEAD, "0004")
    with database.read() as connection:
        names = set(inspect(connection).get_table_names())
    assert not {name for name in names if name.startswith("backtest")}
    database.migrate()
    with database.read() as connection:
        assert backtests.runs(connection) == []
