"""Movements of small named shops."""

from __future__ import annotations

import datetime as dt
from typing import Any

MONDAY = dt.date(2024, 11, 18)


def sales(
    product: str, first: dt.date, units: list[float], *, warehouse: str = "main", price: float | None = 5.0
) -> list[dict[str, Any]]:
    """Movements of one sale a day from ``first`` on; zero is no sale."""
    return [
        {
            "source": "test",
            "line_id": f"{product}-{warehouse}-{first}-{n}",
            "kind": "sale",
            "occurred_at": dt.datetime.combine(first + dt.timedelta(days=n), dt.time(12)),
            "product": product,
            "warehouse": warehouse,
            "quantity": float(quantity),
            "unit_price": price,
        }
        for n, quantity in enumerate(units)
        if quantity
    ]


def count(product: str, at: dt.datetime, units: float, *, warehouse: str = "main") -> dict[str, Any]:
    """A stock count."""
    return {
        "source": "test", "line_id": f"count-{product}-{warehouse}-{at}", "kind": "count", "occurred_at": at,
        "product": product, "warehouse": warehouse, "quantity": float(units), "unit_price": None,
    }  # fmt: skip
