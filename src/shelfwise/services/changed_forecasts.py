"""Whose forecasts have changed, told from the events that were committed since one last looked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shelfwise.app import App
from shelfwise.domain.events import (
    ForecastRefreshed,
    MovementsRecorded,
    PurchaseOrderChanged,
    RecommendationDecided,
    StockoutRiskCleared,
    StockoutRiskRaised,
)
from shelfwise.storage import live_forecasts, outbox

MOST_EVENTS: Final = 500
"""After more of them than that everything is taken to have changed."""
UNTOUCHED: Final = (
    MovementsRecorded, PurchaseOrderChanged, RecommendationDecided, StockoutRiskCleared, StockoutRiskRaised,
)  # fmt: skip
"""Events that change no forecast by themselves; where one follows from them, an event of its own says so."""


@dataclass(frozen=True)
class Changed:
    """What has changed up to event ``watermark``.

    Parameters
    ----------
    products
        Codes of products whose forecast is another one; None for all.
    """

    watermark: int
    products: frozenset[str] | None

    @property
    def anything(self) -> bool:
        """Whether any forecast is another one."""
        return self.products is None or bool(self.products)


def changed_since(app: App, watermark: int | None) -> Changed:
    """Return whose forecasts have changed since an event; None looks for the first time.

    Raises
    ------
    StorageError
        The database does not answer.
    """
    with app.database.read() as connection:
        if watermark is None:
            return Changed(live_forecasts.newest_event(connection), None)
        events = outbox.since(connection, watermark, MOST_EVENTS)
        if len(events) == MOST_EVENTS:
            return Changed(live_forecasts.newest_event(connection), None)
        if not events:
            newest = live_forecasts.newest_event(connection)
            # Fewer events than before: another database, or one from a backup, stands in its place.
            return Changed(newest, frozenset() if newest == watermark else None)
    products: set[str] = set()
    for happened in events:
        event = happened.event
        if isinstance(event, UNTOUCHED):
            continue
        if not isinstance(event, ForecastRefreshed) or not event.products:
            return Changed(events[-1].number, None)
        products.update(event.products)
    return Changed(events[-1].number, frozenset(products))
