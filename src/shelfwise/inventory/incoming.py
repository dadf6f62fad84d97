"""What is on order and still to be believed: open order lines, the rule for late ones, and arrivals by period.

The overdue rule: an open line counts as incoming until it is late by more than 14 days or by more than twice the
standard deviation of its supplier's lead time, whichever is longer. From then on it counts for nothing, and is listed
with the reason, so that a lost order cannot hide a stockout. A line that is late but still counts is expected
tomorrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.frames import PURCHASE_ORDER_LINES
from shelfwise.inventory.order_calendar import periods_until

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class OverdueRule:
    """When a late order line stops counting: after ``max(days, deviations x lead-time standard deviation)`` days.

    >>> OverdueRule().patience_days(sd_days=3.0), OverdueRule().patience_days(sd_days=10.0)
    (14.0, 20.0)
    """

    days: float = 14.0
    deviations: float = 2.0

    def __post_init__(self) -> None:
        if not (self.days >= 0 and self.deviations >= 0):
            raise ParameterError(f"the overdue rule must have numbers of zero or more, got {self}")

    def patience_days(self, sd_days: float) -> float:
        """Return how many days late a line may be and still count."""
        return max(self.days, self.deviations * sd_days)


@dataclass(frozen=True)
class Incoming:
    """Open order lines sorted into those that count and those that do not.

    ``counted`` has the declared columns of an order line plus ``outstanding`` (units still to come), ``arrives_on``
    and ``days_late``; ``left_out`` has the same plus ``reason``.
    """

    counted: pl.DataFrame
    left_out: pl.DataFrame

    def by_period(
        self, products: Sequence[str], warehouses: Sequence[str], period_starts: Sequence[date], horizon: int
    ) -> Floats:
        """Return units that are on the shelf from the start of each period, [N, H], for N (product, warehouse) pairs.

        Arrivals after the last period are not in the array.
        """
        rows = {pair: row for row, pair in enumerate(zip(products, warehouses, strict=True))}
        inbound = np.zeros((len(rows), horizon))
        if self.counted.height:
            index = periods_until(self.counted["arrives_on"].to_list(), period_starts[:horizon])
            lines = self.counted.select("product", "warehouse", "outstanding").iter_rows()
            for period, (product, warehouse, units) in zip(index.tolist(), lines, strict=True):
                row = rows.get((product, warehouse))
                if row is not None and period < horizon:
                    inbound[row, period] += units
        return inbound


def incoming(
    open_lines: pl.DataFrame,
    as_of: date,
    *,
    lead_times: pl.DataFrame | None = None,
    rule: OverdueRule | None = None,
    assumed_lead_time_days: float = 14.0,
) -> Incoming:
    """Sort open order lines by the overdue rule, and say of each that is left out why.

    Parameters
    ----------
    open_lines
        PURCHASE_ORDER_LINES; drafts, sent and part received orders count (an approved order counts at once).
    lead_times
        Columns supplier, mean_days, sd_days, as `measured_lead_times` returns them: the deviation for the rule, and
        the mean for lines that have no expected day (order day, or ``as_of``, plus the mean).

    >>> lines = pl.DataFrame(
    ...     {
    ...         "purchase_order": ["P1", "P2"],
    ...         "supplier": ["Hario", "Hario"],
    ...         "product": ["V60", "V60"],
    ...         "warehouse": ["main", "main"],
    ...         "quantity": [100.0, 60.0],
    ...         "quantity_received": [40.0, 0.0],
    ...         "expected_on": [date(2026, 11, 25), date(2026, 10, 1)],
    ...         "status": ["part_received", "sent"],
    ...     }
    ... )
    >>> result = incoming(lines, date(2026, 11, 21))
    >>> result.counted["outstanding"].to_list(), result.left_out["reason"].to_list()
    ([60.0], ['51 days late, more than 14: no longer counted; receive or cancel it'])
    """
    rule = rule or OverdueRule()
    known = lead_times if lead_times is not None else pl.DataFrame(schema=_LEAD_TIME_SCHEMA)
    lines = (
        PURCHASE_ORDER_LINES.check(open_lines)
        .join(known.select("supplier", "mean_days", "sd_days"), on="supplier", how="left")
        .with_columns(
            outstanding=pl.col("quantity") - pl.col("quantity_received").fill_null(0),
            wait=pl.col("mean_days").fill_null(assumed_lead_time_days).ceil().cast(pl.Int64),
            patience=pl.max_horizontal(pl.lit(rule.days), rule.deviations * pl.col("sd_days").fill_null(0.0)),
        )
        .with_columns(
            expected_on=pl.coalesce(
                "expected_on", pl.coalesce("ordered_on", pl.lit(as_of)) + pl.duration(days=pl.col("wait"))
            )
        )
        .with_columns(days_late=(pl.lit(as_of) - pl.col("expected_on")).dt.total_days().clip(0))
        .with_columns(
            arrives_on=pl.when(pl.col("days_late") > 0)
            .then(pl.lit(as_of + timedelta(days=1)))
            .otherwise("expected_on"),
            reason=pl.when(pl.col("status").is_in(["received", "cancelled"]).fill_null(value=False))
            .then(pl.format("the order is {}", "status"))
            .when(pl.col("outstanding") <= 0)
            .then(pl.lit("everything ordered has been received"))
            .when(pl.col("days_late") > pl.col("patience"))
            .then(
                pl.format(
                    "{} days late, more than {}: no longer counted; receive or cancel it",
                    "days_late",
                    pl.col("patience").floor().cast(pl.Int64),
                )
            ),
        )
        .drop("mean_days", "sd_days", "wait", "patience")
    )
    return Incoming(
        counted=lines.filter(pl.col("reason").is_null()).drop("reason"),
        left_out=lines.filter(pl.col("reason").is_not_null()),
    )


_LEAD_TIME_SCHEMA = {"supplier": pl.String(), "mean_days": pl.Float64(), "sd_days": pl.Float64()}
