"""Stock at the end of shop days, as the book said it when the day was over: written once and never changed.

What was on hand on a past day can be worked out from the movements (`daily_on_hand`), as they stand *today*; a later
correction changes that, and a snapshot not. What was on order cannot always be: an order does not tell when it was
cancelled, nor an imported one when its goods came. So `on_order` is null for a day that was missed and is made up for
where the orders of the product do not tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

import polars as pl
from sqlalchemy import Connection, delete, func, insert, select

from shelfwise.storage import tables
from shelfwise.storage.database import fetch
from shelfwise.storage.purchasing import OPEN, receipts
from shelfwise.storage.stock import daily_on_hand
from shelfwise.storage.tables import stock_snapshots

SCHEMA: Final = {
    "day": pl.Date(),
    "product": pl.String(),
    "warehouse": pl.String(),
    "on_hand": pl.Float64(),
    "on_order": pl.Float64(),
}
_KEY: Final = ["day", "product", "warehouse"]
_LINES: Final = {
    "purchase_order": pl.String(),
    "product": pl.String(),
    "warehouse": pl.String(),
    "quantity": pl.Float64(),
    "quantity_received": pl.Float64(),
    "status": pl.String(),
    "created_at": pl.Datetime("us"),
    "ordered_on": pl.Date(),
}


def last_day(connection: Connection) -> date | None:
    """Return the last day that a snapshot was taken of; None before the first."""
    found: date | None = connection.scalar(select(func.max(stock_snapshots.c.day)))
    return found


def is_taken(connection: Connection, day: date) -> bool:
    """Return whether there is a snapshot of a day."""
    query = select(stock_snapshots.c.day).where(stock_snapshots.c.day == day)
    return connection.execute(query.limit(1)).first() is not None


def of_day(connection: Connection, day: date) -> pl.DataFrame:
    """Read the snapshot of a day (`SCHEMA`), by product and warehouse; no row where none was taken."""
    t = stock_snapshots.c
    query = select(t.day, t.product, t.warehouse, t.on_hand, t.on_order).where(t.day == day)
    return fetch(connection, query.order_by(t.product, t.warehouse), SCHEMA)


def worked_out(connection: Connection, days: Sequence[date], *, just_ended: date | None = None) -> pl.DataFrame:
    """Work out stock at the end of days (`SCHEMA`) from movements and orders as they stand now.

    Parameters
    ----------
    days
        Without repeats, in order.
    just_ended
        The day that ended last: its orders are as they stand now, so that what is on order is known for all of it.
    """
    if not days:
        return pl.DataFrame(schema=SCHEMA)
    on_hand = daily_on_hand(connection, until=days[-1]).filter(pl.col("day").is_in(list(days)))
    lines, came = _order_lines(connection), receipts(connection)
    parts = [_on_order(lines, came, day, as_it_stands=day == just_ended) for day in days]
    joined = on_hand.join(pl.concat(parts), on=_KEY, how="full", coalesce=True)
    # Where no order names the product nothing was on order; where one does and does not tell, nobody knows.
    known = pl.when(pl.col("told").fill_null(value=True)).then(pl.col("on_order").fill_null(0.0))
    return joined.select("day", "product", "warehouse", "on_hand", on_order=known).sort(_KEY)


def keep(connection: Connection, snapshot: pl.DataFrame, taken_at: datetime) -> int:
    """Write what `worked_out` returned, but for days that have a snapshot; return the rows. Needs the writers' turn."""
    fresh = [day for day in snapshot["day"].unique().sort() if not is_taken(connection, day)]
    rows = snapshot.filter(pl.col("day").is_in(fresh)).to_dicts()
    if rows:
        connection.execute(insert(stock_snapshots), [{**row, "taken_at": taken_at} for row in rows])
    return len(rows)


def forget(connection: Connection, before: date) -> int:
    """Delete the snapshots of days before a day; return the rows."""
    return connection.execute(delete(stock_snapshots).where(stock_snapshots.c.day < before)).rowcount


def _order_lines(connection: Connection) -> pl.DataFrame:
    order, line = tables.purchase_orders, tables.purchase_order_lines
    query = (
        select(
            order.c.number, tables.products.c.code, tables.warehouses.c.code, line.c.quantity,
            line.c.quantity_received, order.c.status, order.c.created_at, order.c.ordered_on,
        )
        .select_from(line.join(order))
        .join(tables.products, line.c.product_id == tables.products.c.id)
        .join(tables.warehouses, line.c.warehouse_id == tables.warehouses.c.id)
    )  # fmt: skip
    return fetch(connection, query, _LINES)


def _on_order(all_lines: pl.DataFrame, came: pl.DataFrame, day: date, *, as_it_stands: bool) -> pl.DataFrame:
    """Return what was on order at the end of a day (``day, product, warehouse, on_order, told``), where orders name it.

    Parameters
    ----------
    all_lines, came
        The lines of orders (`_LINES`), and what came of them (``RECEIPTS``).
    as_it_stands
        Whether the orders were the same then, so that each of them tells.
    """
    begun = pl.coalesce(pl.col("created_at").dt.date(), "ordered_on")
    lines = all_lines.filter(begun.is_null() | (begun <= day))
    at = ["purchase_order", "product", "warehouse"]
    dated = came.group_by(at).agg(
        pl.col("quantity").sum().alias("dated"),
        pl.col("quantity").filter(pl.col("received_on") <= day).sum().alias("by_then"),
    )
    whole = lines.join(dated, on=at, how="left").with_columns(pl.col("dated", "by_then").fill_null(0.0))
    # Of an order that is over, what came in the end was due before; what came on no known day came before.
    wanted = pl.when(pl.col("status").is_in(OPEN)).then("quantity").otherwise("quantity_received")
    undated = (pl.col("quantity_received") - pl.col("dated")).clip(lower_bound=0.0)
    due = pl.when(pl.col("status") == "cancelled").then(0.0).otherwise(wanted - pl.col("by_then") - undated)
    told = pl.lit(as_it_stands) | ((pl.col("status") != "cancelled") & (undated == 0))
    return whole.group_by("product", "warehouse").agg(
        due.clip(lower_bound=0.0).sum().alias("on_order"), told.all().alias("told")
    ).select(pl.lit(day).alias("day"), "product", "warehouse", "on_order", "told")  # fmt: skip
