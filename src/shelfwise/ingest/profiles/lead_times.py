"""Lead times that a source states per product, as the supplier's: ours is a property of who delivers."""

from __future__ import annotations

import polars as pl


def lead_time_of_suppliers(rows: pl.DataFrame) -> tuple[pl.DataFrame, str | None]:
    """Return supplier and lead_time_days from rows of product, supplier, lead_time_days, and a note.

    A supplier's lead time is the middle one of its products, of two the longer; a zero is an empty field. The note
    says of how many products it is not the stated one.

    >>> rows = pl.DataFrame({"supplier": ["A", "A", "A"], "lead_time_days": [7.0, 7.0, 21.0]})
    >>> lead_time_of_suppliers(rows)[0].row(0)
    ('A', 7.0)
    """
    schema = {"supplier": pl.String, "lead_time_days": pl.Float64}
    if not set(schema) <= set(rows.columns):
        return pl.DataFrame(schema=schema), None
    stated = rows.select("supplier", pl.col("lead_time_days").cast(pl.Float64)).filter(
        pl.col("supplier").is_not_null() & (pl.col("lead_time_days") > 0)
    )
    suppliers = (
        stated.group_by("supplier").agg(pl.col("lead_time_days").quantile(0.5, interpolation="higher")).sort("supplier")
    )
    both = stated.join(suppliers.rename({"lead_time_days": "middle"}), on="supplier")
    other = both.filter(pl.col("lead_time_days") != pl.col("middle"))
    if not other.height:
        return suppliers, None
    shortest, longest = other.select(pl.min("lead_time_days"), pl.max("lead_time_days").alias("longest")).row(0)
    return suppliers, (
        f"lead times belong to suppliers: each has the middle one of its products; {other.height:,} product(s) of "
        f"{other['supplier'].n_unique():,} supplier(s) state another, from {shortest:g} to {longest:g} days"
    )
