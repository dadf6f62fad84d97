"""What is asked of the database by who watches the service, on every kind of database."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import insert, select

from shelfwise.storage import backtests, observing, plans
from shelfwise.storage.database import Database
from shelfwise.storage.tables import jobs, model_aliases, model_scores, model_versions, workers

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def at(day: int, hour: int = 0) -> datetime:
    """Shop time."""
    return datetime.combine(date(2026, 11, day), time(hour))


def job(kind: str, state: str, minutes: float = 0) -> dict[str, Any]:
    return {
        "kind": kind, "subject": "", "payload": {}, "state": state, "priority": 0, "attempts": 0, "most_attempts": 3,
        "run_after": NOON - timedelta(minutes=minutes), "done": 0, "total": 0, "created_at": NOON,
    }  # fmt: skip


def test_an_empty_database_has_nothing_to_tell(database: Database) -> None:
    with database.read() as connection:
        assert observing.queues(connection) == []
        assert observing.last_seen_of_workers(connection) == {}
        assert observing.champion(connection) is None
        assert observing.backtest_error(connection) is None
        assert observing.last_plan(connection) is None


def test_jobs_are_counted_by_kind_with_the_age_of_the_oldest_that_waits(database: Database) -> None:
    rows = [job("plan", "queued", 5), job("plan", "queued", 90), job("plan", "running", 200), job("train", "parked", 9)]
    with database.write() as connection:
        connection.execute(insert(jobs), [*rows, job("import", "done", 999)])
    with database.read() as connection:
        assert observing.queues(connection) == [
            observing.Queue("plan", 2, NOON - timedelta(minutes=90), 0),
            observing.Queue("train", 0, None, 1),
        ]


def test_workers_are_told_with_when_they_were_heard_of(database: Database) -> None:
    with database.write() as connection:
        connection.execute(
            insert(workers).values(name="w1", host="h", pid=7, started_at=NOON - timedelta(hours=1), last_seen=NOON)
        )
    with database.read() as connection:
        assert observing.last_seen_of_workers(connection) == {"w1": NOON}


def version(number: int, scope: str = "shop") -> dict[str, Any]:
    return {
        "name": "coherent", "number": number, "scope": scope, "created_at": at(number), "state": "ready",
        "parameters": {}, "metrics": {}, "data_until": date(2026, 11, 1), "data_fingerprint": "", "sha256": "",
        "size": 1, "made_by": "anna",
    }  # fmt: skip


def test_the_champion_of_the_shop_is_told_with_its_newest_score(database: Database) -> None:
    with database.write() as connection:
        connection.execute(insert(model_versions), [version(1), version(2), version(3, "product:CUP")])
        numbers = select(model_versions.c.number, model_versions.c.id)
        ids = {number: id_ for number, id_ in connection.execute(numbers)}
        aliases = [("shop", "challenger", 1), ("shop", "champion", 2), ("product:CUP", "champion", 3)]
        connection.execute(
            insert(model_aliases),
            [{"scope": s, "alias": a, "version_id": ids[n], "since": at(5)} for s, a, n in aliases],
        )
        scores = [(2, 10, {"wql": 0.3}), (2, 12, {"wql": 0.25, "mape": None, "reason": "text"}), (1, 14, {"wql": 0.1})]
        connection.execute(
            insert(model_scores),
            [
                {
                    "version_id": ids[n], "cutoff": date(2026, 11, day), "periods": 7, "metrics": metrics,
                    "measured_at": at(20),
                }
                for n, day, metrics in scores
            ],
        )  # fmt: skip
    with database.read() as connection:
        assert observing.champion(connection) == observing.Champion("coherent", 2, at(2), {"wql": 0.25})


def test_the_newest_finished_backtest_and_plan_are_told(database: Database) -> None:
    with database.write() as connection:
        for number, summary in enumerate(({"best": "trees", "wql": 0.4}, {"best": "theta", "wql": 0.3}, None)):
            made = backtests.begin(connection, f"f{number}", parameters={}, created_at=at(1))
            if summary is not None:
                backtests.finish(connection, made, summary)
        for day in (1, 2):
            plans.save_run(
                connection,
                created_at=at(day, 6),
                data_until=date(2026, 10, 30),
                horizon=28,
                model="auto",
            )
    with database.read() as connection:
        assert observing.backtest_error(connection) == ("theta", 0.3)
        assert observing.last_plan(connection) == (at(2, 6), date(2026, 10, 30))
