"""Movements as they stand: what was booked, with the corrections that hold in the place of the lines they correct.

The rule
--------
A booked line is never changed and never deleted for being wrong. A *correction* is a record beside it: which line, what
that said, what it is to say instead (or that it is to count no more), who said so, when and why.

* **The newest correction of a line that was not taken back holds**; taking one back is one more record, and the
  correction before it, or the line as it was booked, holds again.
* **A correction is of what a line said.** It names the line by its own id and keeps its content; where the line is not
  booked (its import was undone) or says something else (it was booked anew from another file), the correction waits and
  changes nothing, and holds again once the very line is back (its import was redone).
* **A correction that an import brought** goes when that import is undone.
* A corrected line keeps its place in the order of booking, which decides between two counts at one moment.

Everything that reads movements, demand and stock alike, reads them from `corrected_movements`. A store without
corrections reads the table itself.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, FromClause, Subquery, and_, case, exists, func, select, union_all
from sqlalchemy.sql.elements import ColumnElement

from shelfwise.storage.tables import correction_lines, corrections, imports, stock_movements

CONTENT: Final = ("kind", "product_id", "warehouse_id", "occurred_at", "quantity", "unit_price")
"""What a line says, beside its key: the columns that a correction can change."""


def corrected_movements(connection: Connection) -> FromClause:
    """Return what stands in the place of ``stock_movements``, with its very columns."""
    if not any_correction(connection):
        return stock_movements
    m, now = stock_movements.c, holding_corrections()
    kept = select(*m).where(m.id.not_in(select(now.c.movement_id)))
    instead = {
        "stock_change": stock_change(now.c.kind, now.c.quantity),
        "id": now.c.movement_id,
        **{name: now.c[name] for name in ("source_id", "line_id", "day", *CONTENT, "import_id")},
    }
    corrected = select(*(instead[c.name].label(c.name) for c in m)).where(now.c.kind.is_not(None))
    return union_all(kept, corrected).subquery("corrected_movements")


def any_correction(connection: Connection) -> bool:
    """Say whether a correction was ever made."""
    return connection.scalar(select(corrections.c.id).limit(1)) is not None


def holding_corrections() -> Subquery:
    """Return the corrections that hold, one for each corrected line.

    Columns: ``movement_id``, ``correction_id``, the key and the import of the line (``source_id``, ``line_id``,
    ``import_id``), and what it is to say: ``day`` and `CONTENT`, all null where the line counts no more.
    """
    m, line, correction = stock_movements.c, correction_lines.c, corrections.c
    newest_first = func.row_number().over(partition_by=m.id, order_by=correction.id.desc())
    ranked = (
        select(
            m.id.label("movement_id"), correction.id.label("correction_id"), m.source_id, m.line_id, m.import_id,
            line.day, *(line[name] for name in CONTENT), newest_first.label("newest_first"),
        )
        .select_from(correction_lines)
        .join(corrections, line.correction_id == correction.id)
        .join(stock_movements, and_(m.source_id == line.source_id, m.line_id == line.line_id))
        .where(*(m[name].is_not_distinct_from(line[f"was_{name}"]) for name in CONTENT), standing())
        .subquery("ranked_corrections")
    )  # fmt: skip
    return (
        select(*(c for c in ranked.c if c.name != "newest_first"))
        .where(ranked.c.newest_first == 1)
        .subquery("holding_corrections")
    )


def standing() -> ColumnElement[bool]:
    """Say of ``corrections`` that they were not taken back, by a person or with their import."""
    revert = corrections.alias("reverts")
    return and_(
        ~exists().where(revert.c.reverts_id == corrections.c.id),
        ~exists().where(imports.c.id == corrections.c.import_id, imports.c.undone_at.is_not(None)),
    )


def stock_change(kind: ColumnElement[Any], quantity: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return what a movement does to stock: minus a sale, plus a receipt; 0 for a count, which sets a level instead."""
    return case((kind == "sale", -quantity), (kind == "count", 0.0), else_=quantity)
