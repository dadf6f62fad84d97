"""Small named worlds for the storage tests, built in a line each."""

from __future__ import annotations

from datetime import datetime

import polars as pl


def moment(text: str) -> datetime:
    """Naive shop time, as everywhere in the store."""
    return datetime.fromisoformat(text)


def movements(*rows: tuple[str, str, str, float], warehouse: str = "main", source: str = "till") -> pl.DataFrame:
    """Movements (kind, moment, product, quantity), with line ids 1, 2, 3 ..."""
    return pl.DataFrame(
        [
            {
                "source": source,
                "line_id": str(number),
                "kind": kind,
                "occurred_at": moment(when),
                "product": product,
                "warehouse": warehouse,
                "quantity": float(quantity),
                "unit_price": 2.5,
            }
            for number, (kind, when, product, quantity) in enumerate(rows, start=1)
        ]
    )
