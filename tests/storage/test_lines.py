"""Booked lines as columns: signed, with the import they came by, as they stand after corrections."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import polars as pl
from tests.storage.worlds import moment, movements

from shelfwise.storage import corrections, lines, stock
from shelfwise.storage.database import Database
from shelfwise.storage.sales import append_movements


def booked(database: Database) -> pl.DataFrame:
    """Sales of tea with their codes, in the order of booking."""
    with database.read() as connection:
        found = lines.sale_lines(connection, since=dt.date(2026, 1, 2)).sort("line")
        products, warehouses = lines.codes(connection)
    named = found.join(products, on="product").join(warehouses, on="warehouse", suffix="_of_warehouse")
    return named.select("line", "code", "code_of_warehouse", "file", "occurred_at", "quantity", "unit_price").sort(
        "line"
    )


def test_sales_and_returns_are_read_with_their_import_or_source(database: Database) -> None:
    first = movements(("sale", "2026-01-01 10:00", "tea", 9), ("sale", "2026-01-02 10:00", "tea", 2))
    second = movements(
        ("return", "2026-01-03 09:30", "tea", 1), ("receipt", "2026-01-03 11:00", "tea", 50), source="web"
    )
    with database.write() as connection:
        append_movements(connection, first, import_id=7)
        append_movements(connection, second)
    assert booked(database).drop("line").rows() == [
        ("tea", "main", 7, moment("2026-01-02 10:00"), 2.0, 2.5),
        ("tea", "main", -2, moment("2026-01-03 09:30"), -1.0, 2.5),
    ]
    assert booked(database)["line"].is_sorted()
    assert booked(database)["line"].n_unique() == 2


def test_lines_are_read_as_corrections_have_them(database: Database) -> None:
    with database.write() as connection:
        append_movements(
            connection, movements(("sale", "2026-01-02 10:00", "tea", 2000), ("sale", "2026-01-02 11:00", "tea", 1))
        )
        said = corrections.booked_line(connection, 1).booked
        corrections.correct(
            connection,
            {1: replace(said, quantity=2.0), 2: None},
            reason="zeros",
            made_by="ann",
            made_at=moment("2026-01-03"),
        )
    assert booked(database).select("line", "quantity").rows() == [(1, 2.0)]


def test_a_store_without_sales_has_no_lines(database: Database) -> None:
    assert booked(database).is_empty()
    with database.read() as connection:
        assert lines.counted(connection).is_empty()


def test_counts_are_read_with_what_was_booked_since(database: Database) -> None:
    counts = pl.DataFrame(
        {
            "product": ["tea", "cup", "pot"], "warehouse": "main", "on_hand": [5.0, 6.0, 7.0],
            "as_of": [moment("2026-01-05 00:00")] * 3,
        }
    )  # fmt: skip
    other = movements(
        ("receipt", "2026-01-06 08:00", "tea", 50), ("adjustment", "2026-01-09 08:00", "tea", -1),
        ("receipt", "2026-01-02 08:00", "cup", 50), ("sale", "2026-01-08 08:00", "pot", 1),
    )  # fmt: skip
    with database.write() as connection:
        append_movements(connection, other)
        stock.set_stock_levels(connection, counts)
    at = moment("2026-01-05 00:00")
    with database.read() as connection:
        assert lines.counted(connection).rows() == [
            ("cup", "main", at, None), ("pot", "main", at, None), ("tea", "main", at, moment("2026-01-09 08:00")),
        ]  # fmt: skip
