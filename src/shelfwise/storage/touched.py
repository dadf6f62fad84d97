"""Which products an event is about, where the event names only what changed."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, FromClause, select

from shelfwise.storage import tables


def by_order(connection: Connection, number: str, most: int) -> tuple[str, ...]:
    """Return the products of a purchase order; none if they are more than ``most``."""
    line, order = tables.purchase_order_lines, tables.purchase_orders
    return _codes(connection, line.join(order), line.c.product_id, order.c.number == number, most)


def by_correction(connection: Connection, number: int, most: int) -> tuple[str, ...]:
    """Return the products of the lines of a correction, as they were and as they are; none if more than ``most``."""
    line = tables.correction_lines
    where = line.c.correction_id == number
    was = _codes(connection, line, line.c.was_product_id, where, most)
    now = _codes(connection, line, line.c.product_id, where, most)
    found = tuple(dict.fromkeys([*was, *now]))
    return found if was and len(found) <= most else ()


def by_override(connection: Connection, number: int) -> tuple[str, ...]:
    """Return the product that an override is of; none if it is of more than one."""
    t = tables.overrides
    row = connection.execute(select(t.c.scope_kind, t.c.scope).where(t.c.id == number)).first()
    if row is None or row.scope_kind not in ("product", "line"):
        return ()
    return (row.scope if row.scope_kind == "product" else row.scope.rpartition("@")[0],)


def _codes(
    connection: Connection, source: FromClause, product: ColumnElement[int], where: ColumnElement[bool], most: int
) -> tuple[str, ...]:
    code = tables.products.c.code
    joined = source.join(tables.products, tables.products.c.id == product)
    found = tuple(
        connection.scalars(select(code).select_from(joined).where(where).distinct().order_by(code).limit(most + 1))
    )
    return found if len(found) <= most else ()
