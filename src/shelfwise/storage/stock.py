"""Stock levels and their history, read; and counts, booked. The rule they follow is in `shelfwise.storage.levels`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from hashlib import sha256
from typing import Final

import polars as pl
from sqlalchemy import Connection, bindparam, func, select

from shelfwise.domain.frames import DAILY_ON_HAND, STOCK_LEVELS
from shelfwise.storage import tables
from shelfwise.storage.catalogue import with_codes
from shelfwise.storage.corrected import corrected_movements
from shelfwise.storage.database import fetch
from shelfwise.storage.sales import Appended, append_movements

COUNT_SOURCE: Final = "count"
_LINES: Final = {
    "id": pl.Int64(),
    "product": pl.Int64(),
    "warehouse": pl.Int64(),
    "day": pl.Date(),
    "occurred_at": pl.Datetime("us"),
    "kind": pl.String(),
    "quantity": pl.Float64(),
    "stock_change": pl.Float64(),
}
# Made once: joining tables in SQLAlchemy takes longer than reading a row of the result.
_ON_HAND_OF: Final = (
    select(tables.products.c.code, tables.warehouses.c.code, tables.stock_levels.c.on_hand)
    .select_from(tables.stock_levels.join(tables.products).join(tables.warehouses))
    .where(tables.products.c.code.in_(bindparam("wanted", expanding=True)))
)


@dataclass(frozen=True)
class Level:
    """Units on hand, the moment of what was booked last, and that of the count they are known from."""

    on_hand: float
    as_of: datetime
    counted_at: datetime


def stock_levels(connection: Connection) -> pl.DataFrame:
    """Read what is on hand (``STOCK_LEVELS``), ordered by product and warehouse.

    A product in a warehouse has a row once it was counted there; one without a row is unknown, not zero.
    """
    t = tables.stock_levels
    query = (
        select(tables.products.c.code, tables.warehouses.c.code, t.c.on_hand, t.c.as_of)
        .select_from(t.join(tables.products).join(tables.warehouses))
        .order_by(tables.products.c.code, tables.warehouses.c.code)
    )
    return STOCK_LEVELS.check(fetch(connection, query, {n: c.dtype for n, c in STOCK_LEVELS.columns.items()}))


def level_of(connection: Connection, product: str, warehouse: str) -> Level | None:
    """Return the level of a product in a warehouse; None where it was never counted."""
    t = tables.stock_levels
    query = (
        select(t.c.on_hand, t.c.as_of, t.c.counted_at)
        .select_from(t.join(tables.products).join(tables.warehouses))
        .where(tables.products.c.code == product, tables.warehouses.c.code == warehouse)
    )
    row = connection.execute(query).first()
    return None if row is None else Level(*row)


def on_hand_of(connection: Connection, products: Sequence[str]) -> dict[tuple[str, str], float]:
    """Return units on hand of some products by product and warehouse; where one was never counted there is none."""
    rows = connection.execute(_ON_HAND_OF, {"wanted": list(products)})
    return {(product, warehouse): units for product, warehouse, units in rows}


def set_stock_levels(connection: Connection, frame: pl.DataFrame, import_id: int | None = None) -> Appended:
    """Book a count for each row of ``frame`` (``STOCK_LEVELS``): so much was there at that moment.

    The same count given twice is booked once. An older snapshot than the latest count fills in history and leaves
    today's level alone.
    """
    return append_movements(connection, counts(frame), import_id)


def counts(frame: pl.DataFrame) -> pl.DataFrame:
    """Return stock levels (``STOCK_LEVELS``) as the counts (``MOVEMENTS``) that are booked for them."""
    levels = STOCK_LEVELS.check(frame)
    key = pl.concat_str(
        pl.col("product"), pl.col("warehouse"), pl.col("as_of").cast(pl.Int64), pl.col("on_hand"), separator="|"
    )
    return levels.select(
        pl.lit(COUNT_SOURCE).alias("source"),
        # Two long codes and a moment can outgrow a key; their fingerprint cannot.
        pl.Series("line_id", [sha256(text.encode()).hexdigest() for text in levels.select(key).to_series()], pl.String),
        pl.lit("count").alias("kind"),
        pl.col("as_of").alias("occurred_at"),
        "product",
        "warehouse",
        pl.col("on_hand").alias("quantity"),
    )


def daily_on_hand(connection: Connection, *, until: date | None = None) -> pl.DataFrame:
    """Work out the closing stock of each day (``DAILY_ON_HAND``), from each first count on, without gaps.

    A day closes at its last count plus what was booked at or after that, or at the day before plus what was booked.
    Days before the first count of a product in a warehouse are unknown and have no row.

    Parameters
    ----------
    until
        Last day; None for the last day on which anything was booked.
    """
    m = corrected_movements(connection)
    # By the moment, which has no index: SQLite would look each line up by the index of days, where most lines are asked
    # for, and that takes three to seven times as long as reading them in their order.
    first_count = connection.scalar(select(func.min(m.c.occurred_at)).where(m.c.kind == "count"))
    last = until or connection.scalar(select(func.max(m.c.day)))
    if first_count is None or last is None:
        return DAILY_ON_HAND.empty()
    query = select(
        m.c.id, m.c.product_id, m.c.warehouse_id, m.c.day, m.c.occurred_at, m.c.kind, m.c.quantity, m.c.stock_change
    ).where(m.c.occurred_at >= datetime.combine(first_count, time()))
    lines = fetch(connection, query, _LINES)
    series = ["product", "warehouse"]
    at_day = [*series, "day"]
    counts = (
        lines.filter(pl.col("kind") == "count")
        .sort("occurred_at", "id")
        .group_by(at_day)
        .agg(pl.col("quantity").last().alias("count"), pl.col("occurred_at").last().alias("counted_at"))
    )
    known = counts.group_by(series).agg(pl.col("day").min().alias("since"))
    changes = (
        lines.join(counts.select(*at_day, "counted_at"), on=at_day, how="left")
        # A day's last count has seen what came before it on that day.
        .filter(pl.col("counted_at").is_null() | (pl.col("occurred_at") >= pl.col("counted_at")))
        .group_by(at_day)
        .agg(pl.col("stock_change").sum().alias("change"))
    )
    days = (
        known.filter(pl.col("since") <= last)
        .select(*series, pl.date_ranges("since", pl.lit(last)).alias("day"))
        .explode("day", empty_as_null=True, keep_nulls=True)
    )
    closing = (
        days.join(changes, on=at_day, how="left")
        .join(counts.select(*at_day, "count"), on=at_day, how="left")
        .sort(at_day)
        .with_columns(pl.col("change").fill_null(0.0), since=pl.col("count").is_not_null().cum_sum().over(series))
        .with_columns(
            on_hand=pl.col("count").first().over([*series, "since"])
            + pl.col("change").cum_sum().over([*series, "since"])
        )
    )
    return DAILY_ON_HAND.check(with_codes(connection, closing.select(*series, "day", "on_hand")))
