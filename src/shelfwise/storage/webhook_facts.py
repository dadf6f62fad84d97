"""What messages to webhooks tell beside the event itself: sums over a plan or an order, names, and grades of risk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, func, select

from shelfwise.storage.tables import (
    imports,
    live_forecasts,
    outbox,
    plan_runs,
    products,
    purchase_order_lines,
    purchase_orders,
    recommendations,
    suppliers,
)

_WAITS = ("proposed", "edited")


@dataclass(frozen=True)
class Proposal:
    """What a plan run proposes to order and nobody has decided on: ``cost`` is of lines whose cost is known."""

    data_until: date
    lines: int
    without_cost: int
    cost: float
    order_by: date | None


@dataclass(frozen=True)
class Order:
    """A purchase order: ``value`` is of lines whose cost is known, ``expected_on`` the first delivery."""

    supplier: str
    supplier_name: str | None
    lines: int
    units: float
    value: float | None
    expected_on: date | None


def newest_event(connection: Connection) -> int:
    """Return the number of the newest event; 0 before the first."""
    return int(connection.scalar(select(func.max(outbox.c.id))) or 0)


def proposal(connection: Connection, run_id: int) -> Proposal | None:
    """Return what a plan run proposes; None where it is deleted."""
    until = connection.scalar(select(plan_runs.c.data_until).where(plan_runs.c.id == run_id))
    if until is None:
        return None
    t = recommendations.c
    row = connection.execute(
        select(func.count(), func.count(t.cost), func.sum(t.cost), func.min(t.order_by)).where(
            t.run_id == run_id, t.quantity > 0, t.status.in_(_WAITS)
        )
    ).one()
    return Proposal(until, int(row[0]), int(row[0] - row[1]), float(row[2] or 0.0), row[3])


def order(connection: Connection, number: str) -> Order | None:
    """Return a purchase order by its number; None where it is deleted."""
    o, t = purchase_orders.c, purchase_order_lines.c
    row = connection.execute(
        select(
            suppliers.c.code, suppliers.c.name, func.count(t.id), func.sum(t.quantity),
            func.sum(t.quantity * t.unit_cost), func.min(t.expected_on),
        )
        .select_from(
            purchase_orders.join(suppliers, o.supplier_id == suppliers.c.id).outerjoin(
                purchase_order_lines, t.purchase_order_id == o.id
            )
        )
        .where(o.number == number)
        .group_by(suppliers.c.code, suppliers.c.name)
    ).first()  # fmt: skip
    if row is None:
        return None
    value = None if row[4] is None else float(row[4])
    return Order(row[0], row[1], int(row[2]), float(row[3] or 0.0), value, row[5])


def imported_lines(connection: Connection, number: int) -> int | None:
    """Return how many movements an import booked; None where that is not known."""
    lines: int | None = connection.scalar(select(imports.c.new_lines).where(imports.c.id == number))
    return lines


def names_of(connection: Connection, codes: Sequence[str]) -> dict[str, str | None]:
    """Return the names of products by their codes."""
    rows = connection.execute(select(products.c.code, products.c.name).where(products.c.code.in_(list(codes))))
    return {code: name for code, name in rows}


def risks_of(connection: Connection, codes: Sequence[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the newest stockout risk of products in each warehouse, as their live forecasts hold it."""
    t = live_forecasts.c
    rows = connection.execute(select(t.product, t.warehouse, t.payload).where(t.product.in_(list(codes))))
    return {(product, warehouse): json.loads(bytes(payload))["risk"] for product, warehouse, payload in rows}
