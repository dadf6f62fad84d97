"""Which stockout risks were told, by series, until they are over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select

from shelfwise.storage.tables import stockout_alerts

Series = tuple[str, str]
"""Codes of a product and a warehouse."""


def told(connection: Connection, products: Sequence[str] | None = None) -> dict[Series, str]:
    """Return the grade that was told last of each series at risk, of some products or of all."""
    t = stockout_alerts.c
    query = select(t.product, t.warehouse, t.severity)
    if products is not None:
        query = query.where(t.product.in_(list(products)))
    return {(product, warehouse): severity for product, warehouse, severity in connection.execute(query)}


def tell(connection: Connection, grades: Mapping[Series, str], since: datetime) -> None:
    """Keep the grades that are told now."""
    forget(connection, grades)
    if grades:
        rows = [
            {"product": product, "warehouse": warehouse, "severity": severity, "since": since}
            for (product, warehouse), severity in grades.items()
        ]
        connection.execute(insert(stockout_alerts), rows)


def forget(connection: Connection, series: Iterable[Series]) -> None:
    """Take away series that are not at risk any more."""
    gone = [{"of_product": product, "of_warehouse": warehouse} for product, warehouse in series]
    if gone:
        t = stockout_alerts.c
        which = t.product == bindparam("of_product"), t.warehouse == bindparam("of_warehouse")
        connection.execute(delete(stockout_alerts).where(*which), gone)
