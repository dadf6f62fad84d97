"""What a plan needs of its products, suppliers and stock, and lacks."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Final

import polars as pl

from shelfwise.domain import words
from shelfwise.inventory.bundles import without_bundles
from shelfwise.inventory.incoming import incoming
from shelfwise.services.demand import Demand
from shelfwise.services.findings import RECENT_DAYS, Effects, Finding
from shelfwise.services.supply import Supply

_COUNT: Final = "`shelfwise stock count PRODUCT UNITS`"

SOLD_OUT_DAYS: Final = 7
STALE_DAYS: Final = 7
COUNT_GOOD_DAYS: Final = 31
"""For so long a count holds where nothing but sales is booked: then goods come in, and the books do not know."""
KEPT_COUNT_GOOD_DAYS: Final = 366
"""For so long it holds where receipts and corrections are booked."""


def planned_lines(known: Demand, side: Supply) -> pl.DataFrame:
    """Return a row for each product in each warehouse that a plan orders: live ones, bundles as their components."""
    live = known.panel.series.filter(pl.col("live"))
    return without_bundles(live, side.bundles, known.products)


def lacking(
    effects: Effects, planned: pl.DataFrame, side: Supply, prices: pl.DataFrame, assumed: float
) -> list[Finding]:
    """Look for what lines need and lack.

    Parameters
    ----------
    prices
        PRICES: a product with one needs no selling price of its own.
    assumed
        Lead time in days that plans assume where none is known.
    """
    stated = side.lead_times.select("supplier", "mean_days")
    table = planned.select(
        "unique_id", "product", "warehouse", "name", "supplier", "unit_cost", "price", "category"
    ).join(stated, on="supplier", how="left", maintain_order="left")
    none = pl.col("supplier").is_null()
    products = table.unique("product", maintain_order=True).drop("unique_id", "warehouse")
    unpriced = products.filter(pl.col("price").is_null()).join(prices, on="product", how="anti")
    return [
        *effects.found(
            "no-lead-time", "problem",
            products.filter(~none & pl.col("mean_days").is_null()).select("product", "name", "supplier"),
            f"{{has}} no lead time: {assumed:g} days assumed",
            f"{_fill_in('no-lead-time', 'suppliers.csv')}, or `shelfwise suppliers edit SUPPLIER --lead-time DAYS`",
        ),
        *effects.found(
            "no-supplier", "problem", products.filter(none).select("product", "name"),
            f"{{has}} no supplier: {{it_is}} ordered from nobody, {assumed:g} days of lead time assumed",
            f"{_fill_in('no-supplier', 'products.csv')}, or `shelfwise products edit PRODUCT --supplier NAME`",
        ),
        *effects.found(
            "no-cost", "note", products.filter(pl.col("unit_cost").is_null()).select("product", "name"),
            "{has} no unit cost: {its} orders and margin cannot be valued",
            f"{_fill_in('no-cost', 'products.csv')}, or `shelfwise products edit PRODUCT --cost MONEY`",
        ),
        *effects.found(
            "no-price", "note", unpriced.select("product", "name"),
            "{has} no selling price in the product list: {its} margin at risk cannot be told",
            f"{_fill_in('no-price', 'products.csv')}, or `shelfwise products edit PRODUCT --price MONEY`",
        ),
        *effects.found(
            "no-category", "note", products.filter(pl.col("category").is_null()).select("product", "name"),
            "{has} no category: {it} {has} no kin to borrow a season from",
            f"{_fill_in('no-category', 'products.csv')}, or `shelfwise products edit PRODUCT --category NAME`",
        ),
    ]  # fmt: skip


def stock_findings(
    effects: Effects, known: Demand, planned: pl.DataFrame, side: Supply, counted: pl.DataFrame
) -> list[Finding]:
    """Look for stock that is not known, cannot be, is old, or lies where nothing sells.

    Parameters
    ----------
    counted
        When each product in each warehouse was counted (``counted_at``) and its stock booked since (``booked_at``).
    """
    key = ["product", "warehouse"]
    table = planned.select("unique_id", *key, "name").join(
        side.stock.select(*key, "on_hand"), on=key, how="left", maintain_order="left"
    )
    age = (pl.lit(known.planning_day) - pl.col("counted_at").dt.date()).dt.total_days()
    good = pl.when(pl.col("booked_at").is_null()).then(COUNT_GOOD_DAYS).otherwise(KEPT_COUNT_GOOD_DAYS)
    old = (
        table.join(counted, on=key, maintain_order="left")
        .with_columns(days=age)
        .filter(pl.col("days") > good)
        .select("unique_id", *key, "name", "on_hand", "counted_at", "booked_at", "days")
    )
    bundles = side.bundles["bundle"].unique().to_list()
    boxed = side.stock.filter(pl.col("product").is_in(bundles) & (pl.col("on_hand") > 0))
    return [
        *effects.found(
            "no-stock", "problem", table.filter(pl.col("on_hand").is_null()).drop("on_hand"),
            "{was} never counted: {its} order covers the whole demand",
            f"{_fill_in('no-stock', 'stock.csv')}, or {_COUNT}",
        ),
        *effects.found(
            "negative-stock", "problem", table.filter(pl.col("on_hand") < 0),
            "{has} stock below zero in the books: more was sold than was there",
            f"count what is there: {_COUNT}, or {_fill_in('negative-stock', 'stock.csv')}",
        ),
        *effects.found(
            "stale-stock", "note", old,
            f"{{was}} counted long ago: over {COUNT_GOOD_DAYS} days with only sales booked since, or over a year",
            f"count what is there: {_COUNT}, or {_fill_in('stale-stock', 'stock.csv')}",
        ),
        *effects.found(
            "stocked-bundles", "note", boxed.select(*key, "on_hand"),
            "{is} sold as {a}bundle and {has} a stock of {its} own, which plans do not count",
            "count what is packed as its components: `shelfwise products bundle` lists them",
        ),
        *_silent(effects, known, side),
    ]  # fmt: skip


def bundle_findings(effects: Effects, known: Demand, planned: pl.DataFrame, side: Supply) -> list[Finding]:
    """Look for bundles made of what is over, and for products that take over from a bundle and are ordered as such."""
    over = known.products.filter(pl.col("discontinued_on") <= known.data_until).select(component="product")
    gone = planned.join(side.bundles.join(over, on="component"), left_on="product", right_on="component")
    bundles = side.bundles["bundle"].unique()
    heirs = known.products.filter(
        pl.col("replaces").is_in(bundles.implode()) & ~pl.col("product").is_in(bundles.implode())
    )
    rows = pl.concat(
        [
            gone.select(
                "product", "name", "bundle", about=pl.lit("is over, and in a bundle that still sells")
            ).unique(),
            heirs.select(
                "product", "name", bundle="replaces", about=pl.lit("replaces a bundle, and is made of nothing")
            ),
        ]
    ).sort("product", "bundle")
    return effects.found(
        "unfinished-bundles", "problem", rows,
        "{is} ordered for want of a list: over but in a bundle, or a bundle's heir without components",
        "`shelfwise products bundle` lists what bundles are made of, `shelfwise products bundle BUNDLE COMPONENT=7` "
        "says it anew",
    )  # fmt: skip


def _silent(effects: Effects, known: Demand, side: Supply) -> list[Finding]:
    """Look for stock of products that are not planned any more, because they no longer sell."""
    key = ["product", "warehouse"]
    over = (pl.col("discontinued_on") <= known.data_until).fill_null(value=False)
    gone = known.panel.series.filter(~pl.col("live") & ~over)
    rows = (
        gone.join(side.stock.filter(pl.col("on_hand") > 0).select(*key, "on_hand"), on=key, maintain_order="left")
        .with_columns(value=pl.col("on_hand") * pl.col("unit_cost"))
        .select("unique_id", *key, "name", "last_sale", "on_hand", "value")
        .sort("value", "on_hand", descending=True, nulls_last=True)
    )
    return effects.found(
        "silent-stock", "note", rows,
        "{has} stock and no longer {sells}: {it_is} not planned",
        "`shelfwise excess` says what to do about it; for what is out of the range: "
        f"{_fill_in('silent-stock', 'products.csv')}",
    )  # fmt: skip


def sold_out(effects: Effects, known: Demand) -> list[Finding]:
    """Look for lines that were sold out, or seem to have been, on many of the last days."""
    live = known.panel.select(known.panel.series["live"].to_numpy())
    if not live.n_series:
        return []
    hidden = ~live.available_window(RECENT_DAYS) & (live.window(RECENT_DAYS) == 0)  # [N, 28]
    rows = live.series.select("unique_id", "product", "warehouse", "name", days=pl.Series(hidden.sum(axis=1)))
    said = f"sold out, or silent beyond chance, on {SOLD_OUT_DAYS} or more of the last {RECENT_DAYS} days"
    return effects.found(
        "sold-out-days", "note", rows.filter(pl.col("days") >= SOLD_OUT_DAYS),
        f"{{was}} {said}: those days count as unknown demand",
    )  # fmt: skip


def late_orders(effects: Effects, known: Demand, side: Supply, assumed: float) -> list[Finding]:
    """Look for order lines that are so late that they are not waited for."""
    late = incoming(
        side.open_orders, known.planning_day, lead_times=side.lead_times, assumed_lead_time_days=assumed
    ).left_out.select("purchase_order", "supplier", "product", "warehouse", "outstanding", "expected_on", "reason")
    if late.is_empty():
        return []
    (found,) = effects.found(
        "late-orders", "problem", late, "{is} so late as to count no more",
        noun=("purchase order line", "purchase order lines"),
    )  # fmt: skip
    numbers = found.rows["purchase_order"].unique(maintain_order=True)
    first = shlex.quote(str(numbers[0]))
    return [
        replace(
            found, examples=tuple(numbers.head(5)),
            way_out=f"`shelfwise receive {first}` if it came, `shelfwise purchase-orders --cancel {first}` if it will "
            "not",
        )
    ]  # fmt: skip


def slow_suppliers(effects: Effects, planned: pl.DataFrame, side: Supply) -> list[Finding]:
    """Look for suppliers whose deliveries take much longer than they state."""
    slow = side.lead_times.filter(
        (pl.col("deliveries") >= 3) & (pl.col("measured_mean_days") > 1.1 * pl.col("stated_days"))
    ).select("supplier", "stated_days", "measured_mean_days", "mean_days", "deliveries")
    found = []
    for row in slow.iter_rows(named=True):
        lines = planned.filter(pl.col("supplier") == row["supplier"]).select(
            "unique_id", "product", "warehouse", "name"
        )
        about = slow.filter(pl.col("supplier") == row["supplier"])
        some = effects.found("slow-suppliers", "note", lines.join(about, how="cross"), "")
        said = (
            f"{row['supplier']} states {row['stated_days']:.0f} days and took {row['measured_mean_days']:.1f} on "
            f"average over {row['deliveries']} deliveries; plans use {row['mean_days']:.1f}"
        )
        way_out = (
            f"`shelfwise suppliers edit {shlex.quote(row['supplier'])} --lead-time {row['measured_mean_days']:.1f}` "
            "states what was measured"
        )
        bare = Finding("slow-suppliers", "note", said, way_out, examples=(row["supplier"],), rows=about)
        found.append(replace(some[0], what=said, way_out=way_out, examples=(row["supplier"],)) if some else bare)
    return found


def stale_sales(known: Demand, days: int) -> list[Finding]:
    """Say that the sales end ``days`` days ago, where that is long."""
    if days <= STALE_DAYS:
        return []
    said = f"the sales end on {known.data_until}, {words.count(days, 'day')} ago"
    return [Finding("stale-sales", "problem", said, "`shelfwise import FILE` with newer sales")]


def _fill_in(kind: str, file: str) -> str:
    return f"fill in and import: `shelfwise check --fix-list {kind} > {file}`, `shelfwise import {file}`"
