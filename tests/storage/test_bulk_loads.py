"""Bulk loads large enough for SQLite to index afterwards: the same store as row by row, repeats and errors included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import text

from shelfwise.domain.errors import DataError
from shelfwise.storage import sqlite
from shelfwise.storage.database import Database
from shelfwise.storage.sales import Appended, append_movements, daily_demand

ROWS = 2_000


@pytest.fixture(autouse=True)
def large_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a load counts as large, so that a test need not write a hundred thousand rows."""
    monkeypatch.setattr(sqlite, "_LARGE", 500)


def sales(first: int, rows: int) -> pl.DataFrame:
    """Sales in order of time whose line ids come in no order, as ids that begin with a product do."""
    number = pl.int_range(first, first + rows, eager=True)
    return pl.DataFrame({"n": number}).select(
        source=pl.lit("till"),
        line_id=(pl.col("n") * 7_919 % 1_000_003).cast(pl.String),
        kind=pl.lit("sale"),
        occurred_at=pl.datetime(2024, 1, 1) + pl.duration(minutes=pl.col("n")),
        product="P-" + (pl.col("n") % 50).cast(pl.String),
        warehouse=pl.lit("main"),
        quantity=(pl.col("n") % 5).cast(pl.Float64),
        unit_price=pl.lit(2.5),
    )


def booked(database: Database, frame: pl.DataFrame) -> Appended:
    with database.write(stage={"movements": frame}) as connection:
        return append_movements(connection)


def booked_and_then_failed(database: Database) -> None:
    with database.write(stage={"movements": sales(0, ROWS)}) as connection:
        append_movements(connection)
        raise ZeroDivisionError


def state(database: Database) -> tuple[pl.DataFrame, list[tuple[str, str]]]:
    """Everything booked, and the indices there are."""
    with database.read() as connection:
        rows = connection.execute(
            text("SELECT line_id, product_id, occurred_at, quantity FROM stock_movements ORDER BY id")
        ).all()
        indices = connection.execute(
            text("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'stock_movements'")
        ).all()
        frame = pl.DataFrame([tuple(row) for row in rows], orient="row", schema=["line", "product", "moment", "units"])
        assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
    return frame, sorted(tuple(row) for row in indices)


def one_by_one(folder: Path, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[tuple[str, str]]]:
    with Database.open(folder / "slow.db") as database:
        with database.write() as connection:
            for part in frame.iter_slices(100):
                append_movements(connection, part)
        return state(database)


@pytest.fixture
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with Database.open(tmp_path_factory.mktemp("bulk") / "shop.db") as database:
        yield database


def test_an_empty_store_is_filled_as_row_by_row(shop: Database, tmp_path: Path):
    frame = sales(0, ROWS)
    assert booked(shop, frame) == Appended(ROWS, 0)
    found, indices = state(shop)
    expected, their_indices = one_by_one(tmp_path, frame)
    assert found.equals(expected)
    assert indices == their_indices
    assert len(indices) == 2


def test_lines_repeated_within_a_first_load_are_booked_once_and_the_first_counts(shop: Database, tmp_path: Path):
    frame = pl.concat([sales(0, ROWS), sales(100, 300).with_columns(quantity=pl.lit(99.0))])
    assert booked(shop, frame) == Appended(ROWS, 300)
    found, indices = state(shop)
    expected, their_indices = one_by_one(tmp_path, frame)
    assert found.equals(expected)
    assert indices == their_indices


def test_a_later_load_knows_the_lines_of_the_first(shop: Database, tmp_path: Path):
    booked(shop, sales(0, ROWS))
    assert booked(shop, sales(1_000, ROWS)) == Appended(1_000, 1_000)
    found, indices = state(shop)
    expected, their_indices = one_by_one(tmp_path, sales(0, ROWS + 1_000))
    assert found.equals(expected)
    assert indices == their_indices


def test_a_first_load_that_fails_leaves_an_empty_store_with_its_indices(shop: Database):
    before = state(shop)
    bad = sales(0, ROWS).with_columns(quantity=pl.when(pl.col("line_id") == "0").then(-1.0).otherwise("quantity"))
    with pytest.raises(DataError, match="must be zero or more"):
        booked(shop, bad)
    with pytest.raises(ZeroDivisionError):
        booked_and_then_failed(shop)
    assert state(shop)[1] == before[1]
    assert state(shop)[0].is_empty()
    assert booked(shop, sales(0, ROWS)) == Appended(ROWS, 0)


def test_a_reader_of_the_empty_store_sees_it_empty_while_a_first_load_is_under_way(shop: Database):
    with shop.read() as reader:
        assert daily_demand(reader).is_empty()
        booked(shop, sales(0, ROWS))
        assert daily_demand(reader).is_empty()
    with shop.read() as reader:
        assert daily_demand(reader)["quantity"].sum() == sales(0, ROWS)["quantity"].sum()
