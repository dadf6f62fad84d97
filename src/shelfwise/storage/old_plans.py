"""Plans that nobody needs any more: a plan is made each night and after each change, and each keeps its forecasts."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, delete, exists, func, select

from shelfwise.storage.tables import decisions, forecast_archive, plan_runs, recommendations, scenarios

_AT_ONCE = 20


def forget_plans(connection: Connection, before: datetime, kept_chunks: Collection[int]) -> int:
    """Delete plans made before a moment in shop time, with their forecasts and recommendations; return how many.

    The latest plan stays, and so does one of which a line was decided, of which a scenario was asked, or whose archive
    has one of ``kept_chunks``. At most `_AT_ONCE` are deleted, so that others do not wait long for their turn.
    """
    run, line = plan_runs.c.id, recommendations.c
    decided = exists().where(line.run_id == run, decisions.c.recommendation_id == line.id)
    asked = exists().where(scenarios.c.run_id == run)
    needed = exists().where(forecast_archive.c.run_id == run, forecast_archive.c.chunk.in_(sorted(kept_chunks)))
    latest = connection.scalar(select(func.max(run)))
    old = list(
        connection.scalars(
            select(run)
            .where(plan_runs.c.created_at < before, run != latest, ~decided, ~asked, ~needed)
            .order_by(run)
            .limit(_AT_ONCE)
        )
    )
    if old:
        connection.execute(delete(recommendations).where(line.run_id.in_(old)))
        connection.execute(delete(forecast_archive).where(forecast_archive.c.run_id.in_(old)))
        connection.execute(delete(plan_runs).where(run.in_(old)))
    return len(old)
