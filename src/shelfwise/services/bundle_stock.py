"""The closing stock of components and bundles, day by day: what bundles took is off the components' shelf.

The books of a component know its own sales alone. Since its last count bundles took q units of it with each one sold,
so with c(d) the books' closing stock of day d and B(d) the bundles sold from that count to the day's end, its shelf
closed at c(d) - q B(d). A bundle could be sold as long as every component was there: its stock is the least of its
components' over their units in it. Days on which a component is not known leave the bundle unknown, too.
"""

from __future__ import annotations

import polars as pl

_PLACE = ("product", "warehouse")


def with_bundle_stock(
    on_hand: pl.DataFrame, recipes: pl.DataFrame, sold: pl.DataFrame, counts: pl.DataFrame
) -> pl.DataFrame:
    """Return DAILY_ON_HAND of what is stocked less what bundles took, and of bundles as their components allow.

    Parameters
    ----------
    on_hand
        DAILY_ON_HAND as the books have it; what it says of bundles themselves is left out.
    recipes
        BUNDLES down to components that are no bundles.
    sold
        Sales and returns of bundles: product, warehouse, occurred_at, ``change`` (minus what was sold).
    counts
        Counts of components: product, warehouse, occurred_at.
    """
    if recipes.is_empty():
        return on_hand
    parts = recipes.select(pl.col("bundle").alias("sold"), product="component", units="quantity")
    stocked = on_hand.filter(~pl.col("product").is_in(recipes["bundle"].unique().implode()))
    counted = counts.select(*_PLACE, "occurred_at", counted_at="occurred_at").sort("occurred_at")
    # every sale takes from the count that came last at its moment, every day closes at the last count of the day
    took = (
        sold.rename({"product": "sold"})
        .join(parts, on="sold")
        .sort("occurred_at")
        .join_asof(counted, on="occurred_at", by=list(_PLACE), strategy="backward")
        .drop_nulls("counted_at")
        .group_by(*_PLACE, "counted_at", day=pl.col("occurred_at").dt.date())
        .agg(taken=-(pl.col("change") * pl.col("units")).sum())
        .sort("day")
        .with_columns(pl.col("taken").cum_sum().over(*_PLACE, "counted_at"))
    )
    of_components = stocked.filter(pl.col("product").is_in(recipes["component"].unique().implode()))
    closed = (
        of_components.with_columns(
            occurred_at=pl.col("day").cast(pl.Datetime("us")) + pl.duration(days=1, microseconds=-1)
        )
        .sort("occurred_at")
        .join_asof(counted, on="occurred_at", by=list(_PLACE), strategy="backward")
        .sort("day")
        .join_asof(took, on="day", by=[*_PLACE, "counted_at"], strategy="backward")
        .with_columns(pl.col("on_hand") - pl.col("taken").fill_null(0.0))
        .select(on_hand.columns)
    )
    needed = recipes.group_by("bundle").agg(parts=pl.len())
    of_bundles = (
        closed.join(recipes, left_on="product", right_on="component")
        .group_by("bundle", "warehouse", "day")
        .agg(known=pl.len(), on_hand=(pl.col("on_hand") / pl.col("quantity")).min().floor())
        .join(needed, on="bundle")
        .filter(pl.col("known") == pl.col("parts"))
        .rename({"bundle": "product"})
        .select(on_hand.columns)
    )
    others = stocked.join(closed, on=[*_PLACE, "day"], how="anti")
    return pl.concat([others, closed, of_bundles]).sort(*_PLACE, "day")
