"""Stock movements, of which sales are the most: appended once each, read as daily demand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, bindparam, func, literal, select
from sqlalchemy.sql.elements import ColumnElement

from shelfwise.domain.errors import DataError
from shelfwise.domain.frames import DAILY_DEMAND
from shelfwise.storage import levels, tables
from shelfwise.storage.catalogue import code_ids, with_codes
from shelfwise.storage.corrected import any_correction, corrected_movements, holding_corrections, stock_change
from shelfwise.storage.database import fetch, insert_new, keys, staged
from shelfwise.storage.staging import Staged

_M, _P, _W = tables.stock_movements, tables.products, tables.warehouses
# Made once: joining tables in SQLAlchemy takes longer than reading a row of the result.
_BOOKINGS_SINCE: Final = (
    select(_M.c.id, _P.c.code, _W.c.code, _M.c.kind, _M.c.day, _M.c.quantity)
    .select_from(_M.join(_P, _M.c.product_id == _P.c.id).join(_W, _M.c.warehouse_id == _W.c.id))
    .where(_M.c.id > bindparam("number"))
    .order_by(_M.c.id)
    .limit(bindparam("most"))
)


@dataclass(frozen=True)
class Appended:
    """What an append did; ``inserted=0`` with duplicates is a success: the lines are there."""

    inserted: int
    duplicates: int


def append_movements(
    connection: Connection, frame: pl.DataFrame | None = None, import_id: int | None = None
) -> Appended:
    """Book movements once each, by (source, line_id), and move the stock levels by the fresh ones.

    Parameters
    ----------
    frame
        ``MOVEMENTS``; None takes the frame given to ``Database.write(stage={"movements": ...})``, which is the way for
        more than some ten thousand lines. Lines already booked, and lines that come twice in the frame, are
        counted as duplicates and change nothing. Unknown products and warehouses are created by their code.
    import_id
        The import these movements belong to, so that it can be undone.

    Raises
    ------
    DataError
        A sale, return, receipt or count has a negative quantity.
    """
    target = tables.stock_movements
    with staged(connection, "movements", frame) as batch:
        rows = batch.columns
        _check_signs(connection, batch)
        source_ids = code_ids(connection, tables.sources, batch.codes["source"])
        product_ids = code_ids(connection, tables.products, batch.codes["product"])
        warehouse_ids = code_ids(connection, tables.warehouses, batch.codes["warehouse"])
        # Keys grow, and a write is alone: rows with a key above this one are the fresh ones.
        last_id = int(connection.scalar(select(func.max(target.c.id))) or 0)
        with (
            keys(connection, batch, "source", source_ids) as source_id,
            keys(connection, batch, "product", product_ids) as product_id,
            keys(connection, batch, "warehouse", warehouse_ids) as warehouse_id,
        ):
            values: dict[str, ColumnElement[Any]] = {
                "source_id": source_id,
                "line_id": rows["line_id"],
                "kind": rows["kind"],
                "product_id": product_id,
                "warehouse_id": warehouse_id,
                "occurred_at": rows["occurred_at"],
                "day": rows["occurred_at_day"],
                "quantity": rows["quantity"],
                "stock_change": stock_change(rows["kind"], rows["quantity"]),
                "unit_price": rows["unit_price"],
                "import_id": literal(import_id),
            }
            inserted = insert_new(connection, target, values, batch.table)
    if inserted:
        levels.apply_since(connection, last_id)
    return Appended(inserted, batch.rows - inserted)


def daily_demand(
    connection: Connection,
    *,
    products: list[str] | None = None,
    since: date | None = None,
    until: date | None = None,
) -> pl.DataFrame:
    """Sum sales by product, warehouse and shop day (``DAILY_DEMAND``), as they stand after corrections; returns are not
    taken off.

    Days without a sale have no row. ``revenue`` is null where no sale of the day has a price.

    Parameters
    ----------
    products
        Product codes; None for all.
    since, until
        First and last day, both included; None for no limit.
    """
    m = corrected_movements(connection)
    query = select(m.c.product_id, m.c.warehouse_id, m.c.day, m.c.quantity, m.c.unit_price).where(m.c.kind == "sale")
    if products is not None:
        wanted = select(tables.products.c.id).where(tables.products.c.code.in_(products))
        query = query.where(m.c.product_id.in_(wanted))
    if since is not None:
        query = query.where(m.c.day >= since)
    if until is not None:
        query = query.where(m.c.day <= until)
    schema = {
        "product": pl.Int64(),
        "warehouse": pl.Int64(),
        "day": pl.Date(),
        "quantity": pl.Float64(),
        "price": pl.Float64(),
    }
    # Lines are read and summed here: SQLite's own GROUP BY was measured to take three times as long.
    revenue = pl.col("quantity") * pl.col("price")
    demand = (
        fetch(connection, query, schema)
        .group_by("product", "warehouse", "day")
        .agg(pl.col("quantity").sum(), pl.when(revenue.count() > 0).then(revenue.sum()).alias("revenue"))
    )
    return DAILY_DEMAND.check(with_codes(connection, demand))


def sales_span(connection: Connection) -> tuple[date, date] | None:
    """Return the first and last day with a sale; None if there is none."""
    m = tables.stock_movements.c
    days: list[date] = []
    counted = m.kind == "sale"
    if any_correction(connection):  # apart, so that the booked lines are still found by the index of their days
        now = holding_corrections()
        counted &= m.id.not_in(select(now.c.movement_id))
        first_and_last = select(func.min(now.c.day), func.max(now.c.day)).where(now.c.kind == "sale")
        days += [day for day in connection.execute(first_and_last).one() if day is not None]
    for order in (m.day.asc(), m.day.desc()):
        found = connection.scalar(select(m.day).where(counted).order_by(order).limit(1))
        days += [] if found is None else [found]
    return (min(days), max(days)) if days else None


@dataclass(frozen=True)
class Booking:
    """A booked line as a reader that follows the bookings needs it: its number, what it is about, and when."""

    id: int
    product: str
    warehouse: str
    kind: str
    day: date
    quantity: float


def last_booking(connection: Connection) -> int:
    """Return the number of the line booked last; 0 before the first."""
    return int(connection.scalar(select(func.max(tables.stock_movements.c.id))) or 0)


def bookings_since(connection: Connection, number: int, limit: int) -> list[Booking]:
    """Return lines booked after a number, as they were booked, in the order of their numbers, at most ``limit``.

    Read by the key, so it costs what was booked since and not what is in the store.
    """
    rows = connection.execute(_BOOKINGS_SINCE, {"number": number, "most": limit})
    return [Booking(*row) for row in rows]


def sold_on(
    connection: Connection, day: date, *, until_booking: int | None = None, product: str | None = None
) -> dict[tuple[str, str], float]:
    """Return units sold on a day by product and warehouse, as they stand after corrections.

    Parameters
    ----------
    until_booking
        Leave out lines booked after this number.
    product
        One product alone.
    """
    m, p, w = corrected_movements(connection), tables.products, tables.warehouses
    query = (
        select(p.c.code, w.c.code, func.sum(m.c.quantity))
        .select_from(m.join(p, m.c.product_id == p.c.id).join(w, m.c.warehouse_id == w.c.id))
        .where(m.c.kind == "sale", m.c.day == day)
        .group_by(p.c.code, w.c.code)
    )
    if until_booking is not None:
        query = query.where(m.c.id <= until_booking)
    if product is not None:
        query = query.where(p.c.code == product)
    return {(code, place): float(units) for code, place, units in connection.execute(query)}


def sources_of_sales(connection: Connection) -> set[str]:
    """Return the sources that sales were booked from."""
    m, source = tables.stock_movements, tables.sources
    sold = select(m.c.id).where(m.c.source_id == source.c.id, m.c.kind == "sale").exists()
    return set(connection.scalars(select(source.c.code).where(sold)))


def _check_signs(connection: Connection, batch: Staged) -> None:
    rows = batch.columns
    signed = rows["kind"].in_(("adjustment", "transfer"))
    query = select(rows["source"], rows["line_id"], rows["kind"], rows["quantity"]).select_from(batch.table)
    bad = connection.execute(query.where(rows["quantity"] < 0, ~signed).limit(1)).first()
    if bad is not None:
        source = batch.codes["source"][bad[0]]
        raise DataError(
            f"movement {bad[1]!r} of {source!r}: a {bad[2]} of {bad[3]:g} units; its quantity must be zero or more, "
            "what came back is a return, what was corrected an adjustment"
        )
