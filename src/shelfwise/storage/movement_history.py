"""The history of a product's stock: its lines as they were booked and their corrections, with who, when and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, Select, and_, func, or_, select, true
from sqlalchemy.sql.elements import ColumnElement

from shelfwise.storage import tables
from shelfwise.storage.corrected import CONTENT, any_correction, holding_corrections

SCHEMA: Final = {
    "line": pl.Int64(), "record": pl.String(), "correction": pl.Int64(), "holds": pl.Boolean(), "kind": pl.String(),
    "product": pl.String(), "warehouse": pl.String(), "occurred_at": pl.Datetime("us"), "quantity": pl.Float64(),
    "unit_price": pl.Float64(), "by": pl.String(), "at": pl.Datetime("us"), "reason": pl.String(),
    "source": pl.String(), "line_id": pl.String(),
}  # fmt: skip
_SAYS: Final = ("kind", "product", "warehouse", "occurred_at", "quantity", "unit_price")
_KEYED: Final = {"product_id": tables.products, "warehouse_id": tables.warehouses, "source_id": tables.sources}


def movement_history(
    connection: Connection,
    product: str,
    warehouse: str | None = None,
    limit: int = 30,
    after: tuple[datetime, int] | None = None,
) -> pl.DataFrame:
    """Return the newest ``limit`` lines of a product, newest first, each followed by its corrections in their order.

    Columns (`SCHEMA`): ``line``, its number; ``record``, which is *booked*, *corrected*, *taken off* (the line counts
    no more) or *reverted* (a correction was taken back); ``correction``, the number of that record; ``holds``, whether
    demand and stock count this row; what the line says by it; who said so, when and why. A line is the product's where
    it was booked for it or a correction put it there. ``after`` names a line by its moment and number: those that
    follow it in this order are given.
    """
    m = tables.stock_movements.c
    mine = _is_of(m, product, warehouse)
    corrected = any_correction(connection)
    if corrected:
        line = tables.correction_lines.c
        put_here = (
            select(m.id)
            .select_from(tables.correction_lines)
            .join(tables.stock_movements, and_(m.source_id == line.source_id, m.line_id == line.line_id))
            .where(_is_of(line, product, warehouse))
        )
        mine = or_(mine, m.id.in_(put_here))
    if after is not None:
        mine = and_(mine, or_(m.occurred_at < after[0], and_(m.occurred_at == after[0], m.id < after[1])))
    newest = select(m.id).where(mine).order_by(m.occurred_at.desc(), m.id.desc()).limit(limit)
    lines = connection.scalars(newest).all()
    records: list[dict[str, Any]] = [dict(row._mapping) for row in connection.execute(_booked(lines))]
    holding: dict[int, int] = {}
    if corrected:
        now = holding_corrections()
        held = select(now.c.movement_id, now.c.correction_id).where(now.c.movement_id.in_(lines))
        holding = {number: correction for number, correction in connection.execute(held)}
        records += [dict(row._mapping) for row in connection.execute(_corrections(lines))]
        records += [dict(row._mapping) for row in connection.execute(_reverts(lines))]
    place = {number: i for i, number in enumerate(lines)}
    records.sort(key=lambda record: (place[record["line"]], record.get("correction") or 0))
    for record in records:
        number = record.get("correction")
        taken_off = number is not None and record.get("kind") is None
        record["record"] = "booked" if number is None else "taken off" if taken_off else "corrected"
        if record.pop("reverts", None) is not None:
            record["record"] = "reverted"
        record["holds"] = record["record"] != "reverted" and holding.get(record["line"]) == number
    return pl.DataFrame(records, schema=SCHEMA)


def _is_of(c: Any, product: str, warehouse: str | None) -> ColumnElement[bool]:
    products, places = tables.products.c, tables.warehouses.c
    here = true() if warehouse is None else c.warehouse_id.in_(select(places.id).where(places.code == warehouse))
    return and_(c.product_id.in_(select(products.id).where(products.code == product)), here)


def _booked(lines: Sequence[int]) -> Select[Any]:
    m, note, brought = tables.stock_movements.c, tables.movement_notes.c, tables.imports.c
    return (
        select(
            *_key(m), *_content(m), note.made_by.label("by"),
            func.coalesce(note.made_at, brought.imported_at).label("at"),
            func.coalesce(note.reason, brought.file_name).label("reason"),
        )
        .select_from(tables.stock_movements)
        .outerjoin(tables.movement_notes, and_(note.source_id == m.source_id, note.line_id == m.line_id))
        .outerjoin(tables.imports, brought.id == m.import_id)
        .where(m.id.in_(lines))
    )  # fmt: skip


def _corrections(lines: Sequence[int]) -> Select[Any]:
    m, line, made = tables.stock_movements.c, tables.correction_lines.c, tables.corrections
    columns = [*_key(m), *_content(line), *_record(made.c)]
    return _of_lines(columns, lines).join(made, made.c.id == line.correction_id)


def _reverts(lines: Sequence[int]) -> Select[Any]:
    m, line, made = tables.stock_movements.c, tables.correction_lines.c, tables.corrections
    columns = [*_key(m), *_record(made.c), made.c.reverts_id.label("reverts")]
    return _of_lines(columns, lines).join(made, made.c.reverts_id == line.correction_id)


def _of_lines(columns: Sequence[ColumnElement[Any]], lines: Sequence[int]) -> Select[Any]:
    m, line = tables.stock_movements.c, tables.correction_lines.c
    same = and_(m.source_id == line.source_id, m.line_id == line.line_id)
    return (
        select(*columns).select_from(tables.correction_lines).join(tables.stock_movements, same).where(m.id.in_(lines))
    )


def _key(m: Any) -> list[ColumnElement[Any]]:
    return [m.id.label("line"), _named(m, "source_id", "source"), m.line_id.label("line_id")]


def _record(made: Any) -> list[ColumnElement[Any]]:
    return [
        made.id.label("correction"), made.made_by.label("by"), made.made_at.label("at"), made.reason.label("reason")
    ]  # fmt: skip


def _content(c: Any) -> list[ColumnElement[Any]]:
    return [_named(c, column, name) for column, name in zip(CONTENT, _SAYS, strict=True)]


def _named(c: Any, column: str, name: str) -> ColumnElement[Any]:
    """Return a column under its name in the history, with the code in the place of a key."""
    value: ColumnElement[Any] = c[column]
    if column in _KEYED:
        known = _KEYED[column]
        value = select(known.c.code).where(known.c.id == value).scalar_subquery()
    return value.label(name)
