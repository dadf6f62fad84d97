"""Stock levels are set by counts and read as a declared frame."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.storage.worlds import moment

from shelfwise.domain.errors import DataError
from shelfwise.domain.frames import DAILY_ON_HAND, STOCK_LEVELS
from shelfwise.storage.database import Database
from shelfwise.storage.sales import Appended
from shelfwise.storage.stock import daily_on_hand, set_stock_levels, stock_levels

TWO_PLACES = STOCK_LEVELS.check(
    pl.DataFrame(
        {
            "product": ["milk", "tea"],
            "warehouse": ["back", "main"],
            "on_hand": [0.0, 12.5],
            "as_of": [moment("2026-01-01 08:00"), moment("2026-01-01 08:00")],
        }
    )
)


def test_levels_come_back_as_they_were_set(database: Database) -> None:
    with database.write() as connection:
        assert set_stock_levels(connection, TWO_PLACES) == Appended(2, 0)
        assert_frame_equal(stock_levels(connection), TWO_PLACES)


def test_the_same_snapshot_twice_is_booked_once(database: Database) -> None:
    with database.write() as connection:
        set_stock_levels(connection, TWO_PLACES)
        assert set_stock_levels(connection, TWO_PLACES) == Appended(0, 2)


def test_a_corrected_count_of_the_same_moment_holds(database: Database) -> None:
    with database.write() as connection:
        set_stock_levels(connection, TWO_PLACES)
        corrected = TWO_PLACES.with_columns(on_hand=pl.col("on_hand") + 1)
        assert set_stock_levels(connection, corrected) == Appended(2, 0)
        assert_frame_equal(stock_levels(connection), corrected)


def test_an_older_snapshot_fills_in_history_only(database: Database) -> None:
    with database.write() as connection:
        set_stock_levels(connection, TWO_PLACES)
        older = TWO_PLACES.with_columns(as_of=pl.col("as_of").dt.offset_by("-2d"), on_hand=pl.lit(99.0))
        set_stock_levels(connection, older)
        assert_frame_equal(stock_levels(connection), TWO_PLACES)
        tea = daily_on_hand(connection).filter(pl.col("product") == "tea")
    assert tea.select("day", "on_hand").rows() == [
        (date(2025, 12, 30), 99.0),
        (date(2025, 12, 31), 99.0),
        (date(2026, 1, 1), 12.5),
    ]


def test_a_negative_count_is_refused(database: Database) -> None:
    with database.write() as connection, pytest.raises(DataError, match="a count of -1 units"):
        set_stock_levels(connection, TWO_PLACES.with_columns(on_hand=pl.lit(-1.0)))


def test_an_empty_store_has_no_history_of_stock(database: Database) -> None:
    with database.read() as connection:
        assert_frame_equal(daily_on_hand(connection), DAILY_ON_HAND.empty())
        assert_frame_equal(stock_levels(connection), STOCK_LEVELS.empty())
