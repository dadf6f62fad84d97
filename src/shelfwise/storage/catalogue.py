"""Products, warehouses, suppliers, prices and calendar events: written by upsert, read as declared frames.

An empty cell never wipes out what is known: an upsert takes the new value where there is one and keeps the old one
where there is none. A code that is only mentioned (a supplier on a product, a product on a sale) is created with
nothing but its code, so files may come in any order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import Connection, FromClause, Table, func, select
from sqlalchemy.sql.elements import ColumnElement

from shelfwise.domain.frames import CALENDAR_EVENTS, PRICES, PRODUCTS, SUPPLIERS, WAREHOUSES, Frame
from shelfwise.storage import tables
from shelfwise.storage.database import fetch, insert_new, keys, staged, temporary_table, upsert
from shelfwise.storage.staging import Staged
from shelfwise.storage.successors import refuse_circles

_FEW: int = 500


@dataclass(frozen=True)
class Upserted:
    """What an upsert did: rows that are new, and rows that were there (changed or not)."""

    inserted: int
    updated: int


def upsert_products(connection: Connection, frame: pl.DataFrame | None = None) -> Upserted:
    """Insert or update products by code; their suppliers are created where unknown. None: the staged frame.

    Raises
    ------
    DataError
        Products would replace one another in a circle.
    """
    with staged(connection, "products", frame) as batch:
        ids = code_ids(connection, tables.suppliers, batch.codes["supplier"])
        with keys(connection, batch, "supplier", ids) as supplier_id:
            replaced = {"code": batch.columns["product"], "supplier_id": supplier_id}
            done = _upsert_codes(connection, tables.products, batch, replaced)
    refuse_circles(connection)
    return done


def upsert_warehouses(connection: Connection, frame: pl.DataFrame | None = None) -> Upserted:
    """Insert or update warehouses by code. None: the staged frame."""
    with staged(connection, "warehouses", frame) as batch:
        code = {"code": batch.columns["warehouse"]}
        return _upsert_codes(connection, tables.warehouses, batch, code)


def upsert_suppliers(connection: Connection, frame: pl.DataFrame | None = None) -> Upserted:
    """Insert or update suppliers by code. None: the staged frame."""
    with staged(connection, "suppliers", frame) as batch:
        code = {"code": batch.columns["supplier"]}
        return _upsert_codes(connection, tables.suppliers, batch, code)


def upsert_prices(connection: Connection, frame: pl.DataFrame | None = None) -> Upserted:
    """Insert or update prices by product, warehouse and first day. None: the staged frame."""
    target = tables.prices
    with staged(connection, "prices", frame) as batch:
        rows = batch.columns
        before = _count(connection, target)
        with (
            keys(
                connection, batch, "product", code_ids(connection, tables.products, batch.codes["product"])
            ) as product,
            keys(
                connection, batch, "warehouse", code_ids(connection, tables.warehouses, batch.codes["warehouse"])
            ) as warehouse,
        ):
            query = select(
                product.label("product_id"),
                warehouse.label("warehouse_id"),
                func.coalesce(warehouse, 0).label("warehouse_key"),
                rows["starts_on"].label("starts_on"),
                rows["price"].label("price"),
            ).select_from(batch.table)
            upsert(connection, target, query, ("product_id", "warehouse_key", "starts_on"))
        return _outcome(connection, target, before, batch.rows)


def upsert_calendar_events(connection: Connection, frame: pl.DataFrame | None = None) -> Upserted:
    """Insert or update promotions, holidays and closures by kind, name, first day and scope. None: the staged frame."""
    target = tables.calendar_events
    with staged(connection, "calendar_events", frame) as batch:
        rows = batch.columns
        before = _count(connection, target)
        query = select(
            *(rows[name].label(name) for name in ("kind", "name", "starts_on", "ends_on", "scope_kind")),
            func.coalesce(rows["scope"], "").label("scope"),
        ).select_from(batch.table)
        upsert(connection, target, query, ("kind", "name", "starts_on", "scope_kind", "scope"))
        return _outcome(connection, target, before, batch.rows)


def products(connection: Connection) -> pl.DataFrame:
    """Read all products, ordered by code."""
    t, supplier = tables.products, tables.suppliers
    values = {"product": t.c.code, "supplier": supplier.c.code}
    return _read(connection, PRODUCTS, t.outerjoin(supplier), t, values)


def warehouses(connection: Connection) -> pl.DataFrame:
    """Read all warehouses, ordered by code."""
    t = tables.warehouses
    return _read(connection, WAREHOUSES, t, t, {"warehouse": t.c.code})


def suppliers(connection: Connection) -> pl.DataFrame:
    """Read all suppliers, ordered by code."""
    t = tables.suppliers
    return _read(connection, SUPPLIERS, t, t, {"supplier": t.c.code})


def prices(connection: Connection) -> pl.DataFrame:
    """Read all prices, ordered by product, warehouse (everywhere first) and first day."""
    t = tables.prices
    source = t.join(tables.products).outerjoin(tables.warehouses)
    values = {"product": tables.products.c.code, "warehouse": tables.warehouses.c.code}
    return _read(connection, PRICES, source, t, values)


def calendar_events(connection: Connection) -> pl.DataFrame:
    """Read all promotions, holidays and closures, ordered by kind, name and first day."""
    t = tables.calendar_events
    return _read(connection, CALENDAR_EVENTS, t, t, {"scope": func.nullif(t.c.scope, "")})


def code_ids(connection: Connection, target: Table, codes: Sequence[str]) -> list[int]:
    """Return the key of each code in ``target``, creating rows for codes that are new."""
    if not codes:
        return []
    found = _find(connection, target, codes)
    missing = [(code,) for code in codes if code not in found]
    if missing:
        with temporary_table(connection, "new_codes", [("code", "CODE")], missing) as rows:
            insert_new(connection, target, {"code": rows.c.code}, rows)
        found = _find(connection, target, codes)
    return [found[code] for code in codes]


def with_codes(connection: Connection, frame: pl.DataFrame) -> pl.DataFrame:
    """Replace integer keys in the columns ``product`` and ``warehouse`` by codes; order by both and ``day``.

    Codes are looked up once each and not once a row, and rows are ordered by the rank of their codes, which is a
    number: that is what makes reading a million rows quick.
    """
    ranked = {}
    for name, target in (("product", tables.products), ("warehouse", tables.warehouses)):
        query = select(target.c.id, target.c.code).order_by(target.c.code)
        ranked[name] = fetch(connection, query, {"id": pl.Int64(), "code": pl.String()}).with_row_index("rank")
        frame = frame.with_columns(pl.col(name).replace_strict(ranked[name]["id"], ranked[name]["rank"]))
    frame = frame.sort("product", "warehouse", "day")
    return frame.with_columns(known["code"].gather(frame[name]).alias(name) for name, known in ranked.items())


def _find(connection: Connection, target: Table, codes: Sequence[str]) -> dict[str, int]:
    query = select(target.c.code, target.c.id)
    # A single sale names one product of thirty thousand; an import names most of them.
    if len(codes) <= _FEW:
        query = query.where(target.c.code.in_(codes))
    return {code: key for code, key in connection.execute(query)}


def _upsert_codes(
    connection: Connection, target: Table, batch: Staged, replaced: Mapping[str, ColumnElement[Any]]
) -> Upserted:
    before = _count(connection, target)
    own = {c.name: batch.columns[c.name] for c in target.columns if c.name in batch.columns}
    query = select(*(value.label(name) for name, value in {**own, **replaced}.items())).select_from(batch.table)
    upsert(connection, target, query, ("code",), merge=lambda new, old: func.coalesce(new, old))
    return _outcome(connection, target, before, batch.rows)


def _count(connection: Connection, target: Table) -> int:
    return int(connection.scalar(select(func.count()).select_from(target)) or 0)


def _outcome(connection: Connection, target: Table, before: int, rows: int) -> Upserted:
    inserted = _count(connection, target) - before
    return Upserted(inserted, rows - inserted)


def _read(
    connection: Connection, frame: Frame, source: FromClause, own: Table, values: Mapping[str, ColumnElement[Any]]
) -> pl.DataFrame:
    columns = [values[name] if name in values else own.c[name] for name in frame.columns]
    keys_ = [columns[list(frame.columns).index(name)] for name in frame.key]
    # Nulls first, where one database has them last.
    query = select(*columns).select_from(source).order_by(*(part for key in keys_ for part in (key.is_not(None), key)))
    return frame.check(fetch(connection, query, {name: column.dtype for name, column in frame.columns.items()}))
