"""History: what was done in this shop, read off the outbox."""

from __future__ import annotations

from typing import Final

import polars as pl

from shelfwise.app import App
from shelfwise.domain import words
from shelfwise.domain.errors import ParameterError
from shelfwise.domain.events import (
    Event,
    ImportFinished,
    ImportRedone,
    ImportUndone,
    MovementsCorrected,
    MovementsRecorded,
    OverrideChanged,
    PlanPublished,
    PurchaseOrderChanged,
    RecommendationDecided,
    StockoutRiskCleared,
    StockoutRiskRaised,
)
from shelfwise.services.stock_movements import SOURCE as BY_HAND
from shelfwise.storage import outbox

SCHEMA: Final = {"number": pl.Int64(), "at": pl.Datetime("us"), "event": pl.String(), "what": pl.String()}

_BECAME: Final[dict[type[Event], str]] = {ImportFinished: "", ImportUndone: " undone", ImportRedone: " put back"}


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
            source = BY_HAND if event.source == BY_HAND else f"from {event.source}"
            return f"{words.count(event.inserted, 'movement')} booked {source}"
        case MovementsCorrected():
            return f"correction {event.correction_id} {event.action}"
        case ImportFinished() | ImportUndone() | ImportRedone():
            return f"import {event.import_id} of {', '.join(event.files)}{_BECAME[type(event)]}"
        case PlanPublished():
            return f"plan {event.plan_run_id} made"
        case RecommendationDecided():
            return f"line {event.recommendation_id}: {event.action}"
        case PurchaseOrderChanged():
            return f"{event.purchase_order} is {event.status.replace('_', ' ')}"
        case OverrideChanged():
            return f"override {event.override_id} {event.action}"
        case StockoutRiskRaised():
            return f"stockout risk of {_series(event)} rose"
        case StockoutRiskCleared():
            return f"stockout risk of {_series(event)} is over"
    return event.to_json()


def _series(event: StockoutRiskRaised | StockoutRiskCleared) -> str:
    named = [f"{product}@{place}" for product, place in zip(event.products, event.warehouses, strict=True)]
    more = event.count - len(named[:3])
    return ", ".join(named[:3]) + (f" and {more:,} more" if more else "")
