"""History: what was done in this shop, read off the outbox."""

from __future__ import annotations

from typing import Final

import polars as pl

from shelfwise.app import App
from shelfwise.domain.errors import ParameterError
from shelfwise.domain.events import (
    Event,
    ImportFinished,
    MovementsRecorded,
    OverrideChanged,
    PlanPublished,
    PurchaseOrderChanged,
    RecommendationDecided,
)
from shelfwise.storage import outbox

SCHEMA: Final = {"number": pl.Int64(), "at": pl.Datetime("us"), "event": pl.String(), "what": pl.String()}


def history(app: App, limit: int = 30) -> pl.DataFrame:
    """Return the newest events, newest first: ``number, at, event, what``.

    Raises
    ------
    ParameterError
        ``limit`` is below 1.
    """
    if limit < 1:
        raise ParameterError(f"limit must be at least 1 event, got {limit}")
    with app.database.read() as connection:
        happened = outbox.latest(connection, limit)
    rows = [(each.number, each.at, each.event.name, _told(each.event)) for each in happened]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _told(event: Event) -> str:
    match event:
        case MovementsRecorded():
            return f"{event.inserted:,} movements booked from {event.source}"
        case ImportFinished():
            return f"import {event.import_id} of {', '.join(event.files)}"
        case PlanPublished():
            return f"plan {event.plan_run_id} made"
        case RecommendationDecided():
            return f"line {event.recommendation_id}: {event.action}"
        case PurchaseOrderChanged():
            return f"{event.purchase_order} is {event.status.replace('_', ' ')}"
        case OverrideChanged():
            return f"override {event.override_id} {event.action}"
    return event.to_json()
