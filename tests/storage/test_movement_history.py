"""A product's lines by pages: the newest first, each once, with lines of one moment told apart by their number."""

from __future__ import annotations

import datetime as dt

import polars as pl

from shelfwise.domain.frames import MOVEMENTS
from shelfwise.storage.database import Database
from shelfwise.storage.movement_history import movement_history
from shelfwise.storage.sales import append_movements

NOON = dt.datetime.combine(dt.date(2026, 11, 2), dt.time(12, 0, 0, 250_000))


def test_pages_of_a_products_lines_hold_each_once_even_those_of_one_moment(database: Database) -> None:
    moments = [NOON, NOON, NOON - dt.timedelta(days=3), NOON, NOON - dt.timedelta(microseconds=1), NOON]
    lines = [
        {
            "source": "till", "line_id": f"{product}-{n}", "kind": "sale", "occurred_at": moment, "product": product,
            "warehouse": "main", "quantity": 1.0,
        }
        for product in ("tea", "mug")
        for n, moment in enumerate(moments)
    ]  # fmt: skip
    with database.write() as connection:
        append_movements(connection, MOVEMENTS.check(pl.DataFrame(lines)))
    seen: list[tuple[dt.datetime, int]] = []
    with database.read() as connection:
        whole = movement_history(connection, "tea", limit=100)
        while True:
            page = movement_history(connection, "tea", limit=2, after=seen[-1] if seen else None)
            if page.is_empty():
                break
            seen += page.select("occurred_at", "line").rows()
    assert seen == whole.select("occurred_at", "line").rows()
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == len(moments)
