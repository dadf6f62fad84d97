"""Products of which more comes back than can be: more than was sold, or many times the shop's own share."""

from __future__ import annotations

from typing import Final

import polars as pl

UNUSUAL_SHARE: Final = 0.3
TIMES_USUAL: Final = 5.0
FEWEST_UNITS: Final = 10.0


def unusual_returns(lines: pl.DataFrame) -> pl.DataFrame:
    """Return products with ``sold``, ``returned`` and ``share``: beyond what was sold, or an unusual share of it.

    An unusual share is at least `UNUSUAL_SHARE` and `TIMES_USUAL` times the shop's, of `FEWEST_UNITS` or more.

    >>> lines = pl.DataFrame({"product": ["A", "A", "B", "B"], "quantity": [20.0, -25.0, 900.0, -9.0]})
    >>> unusual_returns(lines).rows()
    [('A', 20.0, 25.0, 1.25)]
    """
    units = pl.col("quantity")
    per_product = lines.group_by("product").agg(
        sold=units.filter(units > 0).sum(), returned=-units.filter(units < 0).sum()
    )
    sold, returned = (float(per_product[name].sum()) for name in ("sold", "returned"))
    share = pl.col("returned") / pl.col("sold")
    limit = max(UNUSUAL_SHARE, TIMES_USUAL * returned / sold) if sold else UNUSUAL_SHARE
    return (
        per_product.with_columns(share=share)
        .filter(
            (pl.col("returned") >= FEWEST_UNITS) & ((pl.col("returned") > pl.col("sold")) | (pl.col("share") >= limit))
        )
        .sort("returned", "product", descending=[True, False])
    )
