"""Sales that two files have brought: the same days of the same products with the same units, under other ids.

An id keeps a line from being booked twice, so a line that comes again under another id is booked again: an export with
order numbers after one without, or daily totals after single lines. Units are therefore compared by product, warehouse
and day. Two files that both sell a product on a day may agree by chance; they are suspected where most product-days of
one of them, over the days that both know, stand in the other with the very same units.
"""

from __future__ import annotations

from typing import Final

import polars as pl

SHARE: Final = 0.5
FEWEST: Final = 10
_DAY: Final = ("product", "warehouse", "day")


def doubled_days(lines: pl.DataFrame) -> pl.DataFrame:
    """Return the product-days that seem to be booked twice: product, warehouse, day, quantity, ``file``, ``again``.

    ``file`` is the smaller of the two numbers, ``again`` the other; ``quantity`` are the units of one of them.
    """
    days = (
        lines.filter(pl.col("quantity") > 0)
        .group_by("file", "product", "warehouse", day=pl.col("occurred_at").dt.date())
        .agg(pl.col("quantity").sum().round(6))
    )
    if days["file"].n_unique() < 2:
        return _result(days.with_columns(again="file").clear())
    key = [*_DAY, "quantity"]
    repeated = days.filter(pl.struct(key).is_duplicated())
    both = repeated.join(repeated, on=key, suffix="_again").filter(pl.col("file") < pl.col("file_again"))
    both = both.rename({"file_again": "again"})
    pairs = both.group_by("file", "again").agg(n=pl.len(), first=pl.col("day").min(), last=pl.col("day").max())
    suspected = []
    for file, again, matched, first, last in pairs.filter(pl.col("n") >= FEWEST).sort("file", "again").iter_rows():
        known = days.filter(pl.col("day").is_between(first, last))
        fewer = min(known.filter(pl.col("file") == number).height for number in (file, again))
        if matched > SHARE * fewer:
            suspected.append((file, again))
    chosen = pl.DataFrame(suspected, schema={"file": days["file"].dtype, "again": days["file"].dtype}, orient="row")
    return _result(both.join(chosen, on=["file", "again"], how="semi"))


def _result(days: pl.DataFrame) -> pl.DataFrame:
    return days.select(*_DAY, "quantity", "file", "again").sort(*_DAY, "file", "again")
