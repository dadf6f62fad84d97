"""Sales of so many units at once that they are no part of how the product sells: a typing error, or one large order.

A line is outlying when it is beyond all of these, which its own product's other lines set:

* ten times the quantity that 98 % of the product's lines stay within;
* five standard deviations above the median on a logarithmic scale, the deviation taken from that same 98 % point
  (2.054 deviations above the median of a lognormal), so that a product with wild lines is allowed wilder ones;
* what the product's other lines sell in 28 days, so that it matters.

The 98 % point is taken from below: in up to 50 lines the largest does not move it.
"""

from __future__ import annotations

from typing import Final

import polars as pl

FEWEST_LINES: Final = 12
"""With fewer lines there is no saying what is usual."""
BEYOND: Final = 10.0
DEVIATIONS: Final = 5.0
_SHARE: Final = 0.98
_NORMAL_POINT: Final = 2.0537
"""Of a standard normal, 98 % is below this."""
_MONTH: Final = 28


def outlying_lines(lines: pl.DataFrame) -> pl.DataFrame:
    """Return the outlying sales, each with ``usual`` (median units of the product's lines) and ``times`` (of that).

    >>> import datetime as dt
    >>> days = [dt.datetime(2026, 1, 1) + dt.timedelta(days=n) for n in range(30)]
    >>> lines = pl.DataFrame(
    ...     {
    ...         "product": "A",
    ...         "warehouse": "m",
    ...         "file": 1,
    ...         "occurred_at": days,
    ...         "quantity": [1.0, 2.0, 3.0] * 9 + [1.0, 2.0, 3000.0],
    ...         "unit_price": 5.0,
    ...     }
    ... )
    >>> outlying_lines(lines).select("occurred_at", "quantity", "usual", "times").rows()
    [(datetime.datetime(2026, 1, 30, 0, 0), 3000.0, 2.0, 1500.0)]
    """
    sold = lines.filter(pl.col("quantity") > 0)
    usual = (
        sold.group_by("product")
        .agg(
            n=pl.len(),
            usual=pl.col("quantity").median(),
            wide=pl.col("quantity").quantile(_SHARE, "lower"),
            first=pl.col("occurred_at").min(),
            last=pl.col("occurred_at").max(),
            total=pl.col("quantity").sum(),
        )
        .filter(pl.col("n") >= FEWEST_LINES)
        .with_columns(
            limit=pl.max_horizontal(
                BEYOND * pl.col("wide"),
                pl.col("usual") * (pl.col("wide") / pl.col("usual")).pow(DEVIATIONS / _NORMAL_POINT),
            ),
            days=((pl.col("last") - pl.col("first")).dt.total_days() + 1).clip(_MONTH),
        )
    )
    others = pl.col("total") - pl.col("quantity")
    return (
        sold.join(usual, on="product")
        .filter(pl.col("quantity") > pl.max_horizontal("limit", others / pl.col("days") * _MONTH))
        .with_columns(times=pl.col("quantity") / pl.col("usual"))
        .select(*lines.columns, "usual", "times")
        .sort("times", "product", "occurred_at", descending=[True, False, False])
    )
