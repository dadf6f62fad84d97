"""What happens next: one table from the class of an event to the jobs that follow, and what happens by the clock.

A reaction is a function of the event that returns the jobs; it may look into the store, in the transaction that queues
them. The last rows of the table are for events from which nothing follows, so that no event is forgotten by accident: a
test compares the table with `shelfwise.domain.events.EVENTS`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

from shelfwise.app import App
from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.domain.events import (
    MOST_PRODUCTS,
    Event,
    ForecastRefreshed,
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
    Unreadable,
)
from shelfwise.services import job_kinds
from shelfwise.services.jobs import Wanted, wanted
from shelfwise.settings import Settings
from shelfwise.storage import touched

_GATHER_SECONDS: Final = 1.0
"""How long sales of one product are gathered: the process that served them has reacted by itself at once."""

Reaction = Callable[[Any, Any], Sequence[Wanted]]


def _refresh(products: Sequence[str]) -> list[Wanted]:
    """Refresh each product by itself, so that what is said of one many times is done once; or publish all anew."""
    if not products:
        return [wanted(job_kinds.PUBLISH)]
    return [wanted(job_kinds.REFRESH, {"products": [code]}, code, delay_seconds=_GATHER_SECONDS) for code in products]


def _recorded(_: Any, event: MovementsRecorded) -> list[Wanted]:
    return _refresh(event.products)


def _corrected(connection: Any, event: MovementsCorrected) -> list[Wanted]:
    return _refresh(touched.by_correction(connection, event.correction_id, MOST_PRODUCTS))


def _ordered(connection: Any, event: PurchaseOrderChanged) -> list[Wanted]:
    return _refresh(touched.by_order(connection, event.purchase_order, MOST_PRODUCTS))


def _overridden(connection: Any, event: OverrideChanged) -> list[Wanted]:
    return _refresh(touched.by_override(connection, event.override_id))


def _published_anew(_: Any, __: Event) -> list[Wanted]:
    return [wanted(job_kinds.PUBLISH)]


def _nothing(_: Any, __: Event) -> list[Wanted]:
    return []


REACTIONS: Final[Mapping[type[Event], Reaction]] = {
    MovementsRecorded: _recorded,
    MovementsCorrected: _corrected,
    PurchaseOrderChanged: _ordered,
    OverrideChanged: _overridden,
    ImportFinished: _published_anew,
    ImportUndone: _published_anew,
    ImportRedone: _published_anew,
    PlanPublished: _nothing,
    RecommendationDecided: _nothing,
    ForecastRefreshed: _nothing,
    StockoutRiskRaised: _nothing,
    StockoutRiskCleared: _nothing,
}


def jobs_after(connection: Any, event: Event) -> Sequence[Wanted]:
    """Return the jobs that follow from an event.

    Raises
    ------
    DataError
        It cannot be read, so nobody knows what follows.
    """
    if isinstance(event, Unreadable):
        raise DataError(
            f"{event.reason}; where a newer version of the program wrote it, let that one work: `shelfwise jobs retry`"
        )
    reaction: Reaction = REACTIONS.get(type(event), _nothing)
    return reaction(connection, event)


When = dt.time | dt.timedelta | None
"""At a time of every day, again and again after so long, or never."""


@dataclass(frozen=True)
class Scheduled:
    """What happens by the clock.

    Parameters
    ----------
    name
        The word it is kept under.
    kind
        Kind of the job.
    when
        From the settings: shop time of every day, or the time from one to the next; None: it does not happen.
    subject, payload
        Of the job.
    """

    name: str
    kind: str
    when: Callable[[Settings], When]
    subject: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)


def _synced(setting: str) -> Callable[[Settings], When]:
    """Return when the service that a setting names is asked: every so many minutes, where it names one."""

    def when(settings: Settings) -> When:
        wanted = settings.sync_minutes and getattr(settings, setting) is not None
        return dt.timedelta(minutes=settings.sync_minutes) if wanted else None

    return when


SCHEDULE: Final = (
    Scheduled("nightly publication", job_kinds.PUBLISH, lambda settings: settings.nightly_at),
    Scheduled("nightly stock", job_kinds.STOCK, lambda settings: settings.nightly_at),
    Scheduled("nightly plan", job_kinds.PLAN, lambda settings: settings.nightly_at),
    Scheduled("nightly retraining", job_kinds.RETRAIN, lambda settings: settings.nightly_at),
    Scheduled(
        "nightly backup", job_kinds.BACKUP, lambda settings: settings.nightly_at if settings.backup_folder else None
    ),
    Scheduled("nightly tidying", job_kinds.TIDY, lambda settings: settings.nightly_at),
    Scheduled("inventory", job_kinds.SYNC, _synced("inventory_sync_url"), "inventory", {"connector": "inventory"}),
    Scheduled("logistics", job_kinds.SYNC, _synced("logistics_engine_url"), "logistics", {"connector": "logistics"}),
)


def rule_of(app: App, one: Scheduled) -> str | None:
    """Return in words when something happens; another rule than the one kept means that it was changed."""
    when = one.when(app.settings)
    if when is None:
        return None
    if isinstance(when, dt.timedelta):
        return f"every {when.total_seconds() / 60:g} minutes"
    return f"every day at {when:%H:%M} {app.calendar.timezone}"


def first_time(app: App, one: Scheduled, moment: dt.datetime) -> dt.datetime:
    """Return when something happens first that was never planned: what happens again and again begins at once."""
    return moment if isinstance(one.when(app.settings), dt.timedelta) else next_time(app, one, moment)


def next_time(app: App, one: Scheduled, after: dt.datetime) -> dt.datetime:
    """Return when something happens next after a moment in UTC.

    A time of day that is skipped when the clocks go forward happens as much later; one that comes twice when they go
    back happens the first time.

    Raises
    ------
    ParameterError
        It does not happen.
    """
    zone, when = ZoneInfo(app.calendar.timezone), one.when(app.settings)
    if when is None:
        raise ParameterError(f"{one.name} does not happen under these settings")
    if isinstance(when, dt.timedelta):
        return after + when
    day = after.astimezone(zone).date()
    while True:
        found = dt.datetime.combine(day, when, tzinfo=zone).astimezone(dt.UTC)
        if found > after:
            return found
        day += dt.timedelta(days=1)
