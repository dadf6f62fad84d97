"""Booked lines as columns, as they stand after corrections, for the checks on what is stored.

Products and warehouses stay the store's own numbers: codes of a million lines would be a million texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Final

import polars as pl
from sqlalchemy import Connection, case, func, select

from shelfwise.storage import tables
from shelfwise.storage.corrected import corrected_movements
from shelfwise.storage.database import fetch

_LINES: Final = {
    "line": pl.Int64(),
    "product": pl.Int64(),
    "warehouse": pl.Int64(),
    "file": pl.Int64(),
    "occurred_at": pl.Datetime("us"),
    "quantity": pl.Float64(),
    "unit_price": pl.Float64(),
}


def sale_lines(connection: Connection, *, since: date) -> pl.DataFrame:
    """Read sales and returns from a day on, in no order: line, product, warehouse, file, occurred_at, quantity, price.

    ``line`` is its number; ``quantity`` of a return is negative. ``file`` is the number of the import; of lines that
    came by none, minus the number of their source.
    """
    m = corrected_movements(connection)
    query = select(
        m.c.id,
        m.c.product_id,
        m.c.warehouse_id,
        func.coalesce(m.c.import_id, -m.c.source_id),
        m.c.occurred_at,
        case((m.c.kind == "return", -m.c.quantity), else_=m.c.quantity),
        m.c.unit_price,
    )
    # By the moment, which has no index: SQLite would look each line up by the index of days, where most lines are asked
    # for, and that takes three times as long as reading them in their order.
    query = query.where(m.c.kind.in_(["sale", "return"]), m.c.occurred_at >= datetime.combine(since, time()))
    return fetch(connection, query, _LINES)


def codes(connection: Connection) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read the numbers of products and of warehouses with their codes: ``product, code`` and ``warehouse, code``."""
    found = []
    for name, table in (("product", tables.products), ("warehouse", tables.warehouses)):
        query = select(table.c.id, table.c.code)
        found.append(fetch(connection, query, {name: pl.Int64(), "code": pl.String()}))
    return found[0], found[1]


def counted(connection: Connection) -> pl.DataFrame:
    """Read when each product in each warehouse was last counted and last booked otherwise than by a sale.

    Columns: product, warehouse (codes), ``counted_at`` and ``booked_at`` (moment of the latest receipt, adjustment or
    transfer since that count; null where there is none).
    """
    level, m = tables.stock_levels, corrected_movements(connection)
    booked = (
        select(m.c.product_id, m.c.warehouse_id, func.max(m.c.occurred_at).label("booked_at"))
        .where(m.c.kind.in_(["receipt", "adjustment", "transfer"]))
        .group_by(m.c.product_id, m.c.warehouse_id)
        .subquery()
    )
    same = (booked.c.product_id == level.c.product_id) & (booked.c.warehouse_id == level.c.warehouse_id)
    since = case((booked.c.booked_at >= level.c.counted_at, booked.c.booked_at))
    query = (
        select(tables.products.c.code, tables.warehouses.c.code, level.c.counted_at, since)
        .select_from(level.join(tables.products).join(tables.warehouses).outerjoin(booked, same))
        .order_by(tables.products.c.code, tables.warehouses.c.code)
    )
    moment = pl.Datetime("us")
    schema = {"product": pl.String(), "warehouse": pl.String(), "counted_at": moment, "booked_at": moment}
    return fetch(connection, query, schema)


def movements_of(connection: Connection, products: Sequence[str], kinds: Sequence[str]) -> pl.DataFrame:
    """Read movements of some products: product, warehouse (codes), occurred_at, ``change`` of stock; in their order."""
    schema = {
        "product": pl.String(), "warehouse": pl.String(), "occurred_at": pl.Datetime("us"), "change": pl.Float64(),
    }  # fmt: skip
    if not products:
        return pl.DataFrame(schema=schema)
    m, p, w = corrected_movements(connection), tables.products, tables.warehouses
    query = (
        select(p.c.code, w.c.code, m.c.occurred_at, m.c.stock_change)
        .select_from(m.join(p, m.c.product_id == p.c.id).join(w, m.c.warehouse_id == w.c.id))
        .where(m.c.kind.in_(list(kinds)), p.c.code.in_(list(products)))
        .order_by(m.c.occurred_at, m.c.id)
    )
    return fetch(connection, query, schema)
