"""When a stockout risk is worth telling: once as it rises, and once as it is over.

The grade that was told last stands in the store, and is looked at in the transaction that writes a series' newest risk.
A risk is told from the grade ``medium`` on, again only when it comes to a higher grade, and as over only once the grade
is ``none``: a product whose grade goes to and fro with each sale is told once. What one transaction raises is one
event, however many series that are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from shelfwise.domain.events import MOST_PRODUCTS, Event, StockoutRiskCleared, StockoutRiskRaised
from shelfwise.inventory.stockout_risk import SEVERITIES
from shelfwise.storage import stockout_alerts
from shelfwise.storage.live_forecasts import LiveRow
from shelfwise.storage.stockout_alerts import Series

LEAST: Final = "medium"
_GRADE: Final = {severity: grade for grade, severity in enumerate(SEVERITIES)}


def changed(
    connection: Any, rows: Iterable[LiveRow], at: datetime, *, every: bool = False, but: Sequence[str] = ()
) -> list[Event]:
    """Return what is to be told of rows that were written in this transaction, and keep that it is.

    Parameters
    ----------
    rows
        As they were worked out just now.
    every
        Whether they are all there are: a series that is not among them is not at risk.
    but
        Products whose rows were not written after all, and of which nothing is said.
    """
    left_out = set(but)
    fresh = {(row.product, row.warehouse): row for row in rows if row.product not in left_out}
    told = stockout_alerts.told(connection, None if every else sorted({product for product, _ in fresh}))
    raised = [
        series
        for series, row in fresh.items()
        if _GRADE[row.severity] >= _GRADE[LEAST] and _GRADE[row.severity] > _GRADE[told.get(series, "none")]
    ]
    over = [
        series
        for series in told
        if (fresh[series].severity == "none" if series in fresh else every and series[0] not in left_out)
    ]
    stockout_alerts.forget(connection, over)
    stockout_alerts.tell(connection, {series: fresh[series].severity for series in raised}, at)
    raised.sort(key=lambda series: (-_GRADE[fresh[series].severity], -fresh[series].at_stake, series))
    events: list[Event] = [StockoutRiskRaised(*_named(raised))] if raised else []
    return [*events, StockoutRiskCleared(*_named(sorted(over)))] if over else events


def _named(series: Sequence[Series]) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    shown = series[:MOST_PRODUCTS]
    return tuple(product for product, _ in shown), tuple(warehouse for _, warehouse in shown), len(series)
