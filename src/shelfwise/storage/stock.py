"""Stock levels and their history, read; and counts, booked. The rule they follow is in `shelfwise.storage.levels`."""

from __future__ import annotations

from datetime import date
from hashlib import sha256
from typing import Final

import polars as pl
from sqlalchemy import Connection, case, func, select

from shelfwise.domain.frames import DAILY_ON_HAND, STOCK_LEVELS
from shelfwise.storage import tables
from shelfwise.storage.catalogue import with_codes
from shelfwise.storage.database import fetch
from shelfwise.storage.sales import Appended, append_movements

COUNT_SOURCE: Final = "count"


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


def set_stock_levels(connection: Connection, frame: pl.DataFrame, import_id: int | None = None) -> Appended:
    """Book a count for each row of ``frame`` (``STOCK_LEVELS``): so much was there at that moment.

    The same count given twice is booked once. An older snapshot than the latest count fills in history and leaves
    today's level alone.
    """
    levels = STOCK_LEVELS.check(frame)
    key = pl.concat_str(
        pl.col("product"), pl.col("warehouse"), pl.col("as_of").cast(pl.Int64), pl.col("on_hand"), separator="|"
    )
    counts = levels.select(
        pl.lit(COUNT_SOURCE).alias("source"),
        # Two long codes and a moment can outgrow a key; their fingerprint cannot.
        pl.Series("line_id", [sha256(text.encode()).hexdigest() for text in levels.select(key).to_series()], pl.String),
        pl.lit("count").alias("kind"),
        pl.col("as_of").alias("occurred_at"),
        "product",
        "warehouse",
        pl.col("on_hand").alias("quantity"),
    )
    return append_movements(connection, counts, import_id)


def daily_on_hand(connection: Connection, *, until: date | None = None) -> pl.DataFrame:
    """Work out the closing stock of each day (``DAILY_ON_HAND``), from each first count on, without gaps.

    A day closes at its last count plus what was booked at or after that, or at the day before plus what was booked.
    Days before the first count of a product in a warehouse are unknown and have no row.

    Parameters
    ----------
    until
        Last day; None for the last day on which anything was booked.
    """
    m = tables.stock_movements
    rank = func.row_number().over(
        partition_by=(m.c.product_id, m.c.warehouse_id, m.c.day), order_by=(m.c.occurred_at.desc(), m.c.id.desc())
    )
    ranked = (
        select(m.c.product_id, m.c.warehouse_id, m.c.day, m.c.occurred_at, m.c.quantity, rank.label("rank"))
        .where(m.c.kind == "count")
        .subquery()
    )
    count = select(ranked).where(ranked.c.rank == 1).subquery()
    begin = (
        select(ranked.c.product_id, ranked.c.warehouse_id, func.min(ranked.c.day).label("day"))
        .group_by(ranked.c.product_id, ranked.c.warehouse_id)
        .subquery()
    )
    after_count = count.c.occurred_at.is_(None) | (m.c.occurred_at >= count.c.occurred_at)
    query = (
        select(
            m.c.product_id,
            m.c.warehouse_id,
            m.c.day,
            func.sum(case((after_count, m.c.stock_change), else_=0.0)),
            func.max(count.c.quantity),
        )
        .join_from(m, begin, (m.c.product_id == begin.c.product_id) & (m.c.warehouse_id == begin.c.warehouse_id))
        .outerjoin(
            count,
            (m.c.product_id == count.c.product_id)
            & (m.c.warehouse_id == count.c.warehouse_id)
            & (m.c.day == count.c.day),
        )
        .where(m.c.day >= begin.c.day)
        .group_by(m.c.product_id, m.c.warehouse_id, m.c.day)
    )
    schema = {
        "product": pl.Int64(),
        "warehouse": pl.Int64(),
        "day": pl.Date(),
        "change": pl.Float64(),
        "count": pl.Float64(),
    }
    booked = fetch(connection, query, schema)
    last = until or connection.scalar(select(func.max(m.c.day)))
    if booked.is_empty() or last is None:
        return DAILY_ON_HAND.empty()
    series = ["product", "warehouse"]
    days = (
        booked.group_by(series)
        .agg(pl.col("day").min())
        .filter(pl.col("day") <= last)
        .with_columns(pl.date_ranges("day", pl.lit(last)))
        .explode("day", empty_as_null=True, keep_nulls=True)
    )
    closing = (
        days.join(booked, on=[*series, "day"], how="left")
        .sort([*series, "day"])
        .with_columns(pl.col("change").fill_null(0.0), since=pl.col("count").is_not_null().cum_sum().over(series))
        .with_columns(
            on_hand=pl.col("count").first().over([*series, "since"])
            + pl.col("change").cum_sum().over([*series, "since"])
        )
    )
    return DAILY_ON_HAND.check(with_codes(connection, closing.select(*series, "day", "on_hand")))
