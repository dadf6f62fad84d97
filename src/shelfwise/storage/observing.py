"""What is asked of the database by who watches the service: counts and ages, each one a query over an index."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from shelfwise.storage.tables import (
    backtest_runs,
    jobs,
    model_aliases,
    model_scores,
    model_versions,
    plan_runs,
    workers,
)

SHOP_SCOPE = "shop"


@dataclass(frozen=True)
class Queue:
    """Jobs of one kind: how many wait, since when the longest, UTC, and how many are parked."""

    kind: str
    waiting: int
    oldest: datetime | None
    parked: int


@dataclass(frozen=True)
class Champion:
    """The version of a model that answers for the whole shop, and its newest score on what came since.

    ``scores`` is empty before the first.
    """

    model: str
    number: int
    created_at: datetime
    scores: dict[str, float]


def queues(connection: Connection) -> list[Queue]:
    """Return one row for each kind with waiting or parked jobs, in the order of the kinds."""
    t = jobs
    found: dict[str, dict[str, tuple[int, datetime | None]]] = {}
    rows = connection.execute(
        select(t.c.kind, t.c.state, func.count(), func.min(t.c.run_after))
        .where(t.c.state.in_(["queued", "parked"]))
        .group_by(t.c.kind, t.c.state)
    )
    for kind, state, count, oldest in rows:
        found.setdefault(kind, {})[state] = (count, oldest)
    none = (0, None)
    return [
        Queue(kind, *states.get("queued", none), states.get("parked", none)[0])
        for kind, states in sorted(found.items())
    ]


def last_seen_of_workers(connection: Connection) -> dict[str, datetime]:
    """Return when each worker was last heard of, UTC, by its name."""
    rows = connection.execute(select(workers.c.name, workers.c.last_seen).order_by(workers.c.name))
    return {name: seen for name, seen in rows}


def champion(connection: Connection) -> Champion | None:
    """Return the version that answers for the shop; None where none was deployed."""
    v, a, s = model_versions, model_aliases, model_scores
    row = connection.execute(
        select(v.c.id, v.c.name, v.c.number, v.c.created_at)
        .join(a, a.c.version_id == v.c.id)
        .where(a.c.scope == SHOP_SCOPE, a.c.alias == "champion")
    ).first()
    if row is None:
        return None
    newest = select(s.c.metrics).where(s.c.version_id == row.id).order_by(s.c.cutoff.desc(), s.c.periods.desc())
    return Champion(row.name, row.number, row.created_at, _numbers(connection.scalar(newest.limit(1))))


def backtest_error(connection: Connection) -> tuple[str, float] | None:
    """Return the best model of the newest finished backtest and its WQL; None before the first."""
    t = backtest_runs
    summary: Any = connection.scalar(
        select(t.c.summary).where(t.c.summary.is_not(None)).order_by(t.c.id.desc()).limit(1)
    )
    if not summary or summary.get("best") is None or summary.get("wql") is None:
        return None
    return str(summary["best"]), float(summary["wql"])


def last_plan(connection: Connection) -> tuple[datetime, date] | None:
    """Return when the newest plan was made, shop time, and the last day of the data it knew; None before the first."""
    t = plan_runs
    row = connection.execute(select(t.c.created_at, t.c.data_until).order_by(t.c.id.desc()).limit(1)).first()
    return None if row is None else (row.created_at, row.data_until)


def _numbers(found: Any) -> dict[str, float]:
    if not isinstance(found, dict):
        return {}
    return {
        str(name): float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
