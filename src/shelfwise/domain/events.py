"""What happened, as small frozen facts: a service writes each in the same commit as the state it tells of.

Whoever reacts to an event may see it twice, so an event names what changed and never carries an amount to add.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, ClassVar, Final

from shelfwise.domain.errors import DataError

MOST_PRODUCTS: Final = 100
"""An event names the products it touches up to so many; one that touches more names none."""


@dataclass(frozen=True)
class Event:
    """Base of all events; ``name`` is the word it is stored under."""

    name: ClassVar[str] = ""

    def to_json(self) -> str:
        """Return the event's fields as JSON."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class MovementsRecorded(Event):
    """Stock movements were booked: forecasts and orders of what they touch are out of date.

    ``products`` are the codes of what they touch; empty where that is not known, or more than `MOST_PRODUCTS`.
    """

    name: ClassVar[str] = "movements_recorded"
    source: str
    inserted: int
    products: tuple[str, ...] = ()


@dataclass(frozen=True)
class MovementsCorrected(Event):
    """Booked movements were corrected, or a correction was taken back: the same are out of date."""

    name: ClassVar[str] = "movements_corrected"
    correction_id: int
    action: str


@dataclass(frozen=True)
class ImportFinished(Event):
    """Files were imported."""

    name: ClassVar[str] = "import_finished"
    import_id: int
    files: tuple[str, ...]


@dataclass(frozen=True)
class ImportUndone(Event):
    """An import was taken back: what it brought is out of the store."""

    name: ClassVar[str] = "import_undone"
    import_id: int
    files: tuple[str, ...]


@dataclass(frozen=True)
class ImportRedone(Event):
    """An undone import was put back."""

    name: ClassVar[str] = "import_redone"
    import_id: int
    files: tuple[str, ...]


@dataclass(frozen=True)
class PlanPublished(Event):
    """A plan run was saved with its forecasts and recommendations."""

    name: ClassVar[str] = "plan_published"
    plan_run_id: int


@dataclass(frozen=True)
class RecommendationDecided(Event):
    """A person approved, edited, snoozed or rejected a recommendation, or took that back."""

    name: ClassVar[str] = "recommendation_decided"
    recommendation_id: int
    action: str


@dataclass(frozen=True)
class PurchaseOrderChanged(Event):
    """A purchase order was made, sent, received in part or whole, or cancelled."""

    name: ClassVar[str] = "purchase_order_changed"
    purchase_order: str
    status: str


@dataclass(frozen=True)
class OverrideChanged(Event):
    """A planner's override was set or reverted."""

    name: ClassVar[str] = "override_changed"
    override_id: int
    action: str


@dataclass(frozen=True)
class ForecastRefreshed(Event):
    """The live forecast, order and risk of products changed; no product named: those of all were made anew."""

    name: ClassVar[str] = "forecast_refreshed"
    products: tuple[str, ...]


@dataclass(frozen=True)
class StockoutRiskRaised(Event):
    """Series came to a higher grade of stockout risk than was told before, from ``medium`` on.

    ``products`` and ``warehouses`` are codes, place by place one series each, those with the most at stake first and at
    most `MOST_PRODUCTS` of them; ``count`` is how many they are in all.
    """

    name: ClassVar[str] = "stockout_risk_raised"
    products: tuple[str, ...]
    warehouses: tuple[str, ...]
    count: int


@dataclass(frozen=True)
class StockoutRiskCleared(Event):
    """Series of which a risk was told are in order again; the fields are as of `StockoutRiskRaised`."""

    name: ClassVar[str] = "stockout_risk_cleared"
    products: tuple[str, ...]
    warehouses: tuple[str, ...]
    count: int


@dataclass(frozen=True)
class Unreadable(Event):
    """What was stored as ``stored_as`` and this version of the program cannot read; it is never written.

    Whoever looks for what an event changed must take it for one that may have changed anything.
    """

    name: ClassVar[str] = "unreadable"
    stored_as: str
    reason: str


EVENTS: Final[dict[str, type[Event]]] = {
    event.name: event
    for event in (
        MovementsRecorded,
        MovementsCorrected,
        ImportFinished,
        ImportUndone,
        ImportRedone,
        PlanPublished,
        RecommendationDecided,
        PurchaseOrderChanged,
        OverrideChanged,
        ForecastRefreshed,
        StockoutRiskRaised,
        StockoutRiskCleared,
    )
}


def named(products: Iterable[str]) -> tuple[str, ...]:
    """Return the products that an event names: each once, or none if they are more than `MOST_PRODUCTS`.

    >>> named(["tea", "mug", "tea"]), named(map(str, range(101)))
    (('tea', 'mug'), ())
    """
    each = tuple(dict.fromkeys(products))
    return each if len(each) <= MOST_PRODUCTS else ()


def read_event(name: str, payload: str) -> Event:
    """Return the event that was stored under ``name`` as JSON.

    A field that the event got since it was stored, with a default, may be missing.

    Raises
    ------
    DataError
        The name is unknown, or the payload is not that event's.

    >>> read_event("plan_published", PlanPublished(7).to_json())
    PlanPublished(plan_run_id=7)
    """
    if name not in EVENTS:
        raise DataError(f"event {name!r} is not known; events are {', '.join(EVENTS)}")
    kind = EVENTS[name]
    try:
        values: dict[str, Any] = json.loads(payload)
        wanted = {f.name for f in fields(kind)}
        needed = {f.name for f in fields(kind) if f.default is MISSING}
        if not needed <= set(values) <= wanted:
            raise ValueError(f"its fields are {sorted(values)}, not {sorted(wanted)}")
        return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
    except (ValueError, TypeError) as error:
        raise DataError(f"stored event {name!r} cannot be read: {error}") from error
