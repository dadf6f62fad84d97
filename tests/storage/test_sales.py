"""Sales are booked once each and read as daily demand."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.storage.worlds import moment, movements

from shelfwise.domain.errors import DataError
from shelfwise.domain.frames import DAILY_DEMAND, MOVEMENTS
from shelfwise.storage import catalogue, sales
from shelfwise.storage.database import Database
from shelfwise.storage.sales import Appended, append_movements, daily_demand, sales_span
from shelfwise.storage.stock import set_stock_levels, stock_levels

THREE_DAYS = movements(
    ("sale", "2026-01-01 09:00", "tea", 3),
    ("sale", "2026-01-01 17:30", "tea", 2),
    ("return", "2026-01-02 10:00", "tea", 1),
    ("sale", "2026-01-03 23:59:59.999999", "milk", 0.5),
)


def counted(product: str, on_hand: float, as_of: str) -> pl.DataFrame:
    return pl.DataFrame({"product": [product], "warehouse": ["main"], "on_hand": [on_hand], "as_of": [moment(as_of)]})


@pytest.mark.parametrize("bulk", [True, False], ids=["staged", "handed over"])
def test_repeated_lines_are_told_from_fresh_ones_exactly(database: Database, bulk: bool) -> None:
    def append(frame: pl.DataFrame) -> Appended:
        with database.write(stage={"movements": frame} if bulk else None) as connection:
            return append_movements(connection, None if bulk else frame)

    assert append(THREE_DAYS) == Appended(4, 0)
    assert append(THREE_DAYS) == Appended(0, 4)
    doubled_inside = pl.concat([THREE_DAYS, THREE_DAYS.with_columns(line_id=pl.lit("9")), THREE_DAYS.head(1)])
    assert append(doubled_inside) == Appended(1, 8)
    assert append(THREE_DAYS.with_columns(source=pl.lit("web"))) == Appended(4, 0)


def test_duplicate_sale_does_not_lower_stock_twice(database: Database) -> None:
    with database.write() as connection:
        set_stock_levels(connection, counted("tea", 10, "2025-12-31 20:00"))
        for _ in range(3):
            append_movements(connection, THREE_DAYS)
        twice = pl.concat([THREE_DAYS, THREE_DAYS]).with_columns(source=pl.lit("web"))
        append_movements(connection, twice)
        assert stock_levels(connection)["on_hand"].to_list() == [10 - 2 * (3 + 2 - 1)]


def test_unknown_products_and_warehouses_are_created_by_code(database: Database) -> None:
    with database.write() as connection:
        catalogue.upsert_products(connection, pl.DataFrame({"product": ["tea"], "name": ["Tea"]}))
        append_movements(connection, THREE_DAYS)
        assert catalogue.products(connection).select("product", "name").rows() == [("milk", None), ("tea", "Tea")]
        assert catalogue.warehouses(connection)["warehouse"].to_list() == ["main"]


def test_daily_demand_sums_sales_by_day_and_nets_no_returns(database: Database) -> None:
    with database.write() as connection:
        append_movements(connection, THREE_DAYS.with_columns(unit_price=pl.Series([2.0, None, 2.0, None])))
        read = daily_demand(connection)
    expected = {
        "product": ["milk", "tea"],
        "warehouse": ["main", "main"],
        "day": [date(2026, 1, 3), date(2026, 1, 1)],
        "quantity": [0.5, 5.0],
        "revenue": [None, 6.0],
    }
    assert_frame_equal(read, DAILY_DEMAND.check(pl.DataFrame(expected)))


def test_daily_demand_can_be_cut_to_products_and_days(database: Database) -> None:
    with database.write() as connection:
        append_movements(connection, THREE_DAYS)
        assert daily_demand(connection, products=["milk"])["product"].to_list() == ["milk"]
        assert daily_demand(connection, since=date(2026, 1, 2))["product"].to_list() == ["milk"]
        assert daily_demand(connection, until=date(2026, 1, 2))["product"].to_list() == ["tea"]
        assert daily_demand(connection, products=[]).is_empty()


def test_daily_demand_agrees_with_a_sum_by_hand(database: Database) -> None:
    rng = np.random.default_rng(1)
    rows = 3_000
    frame = pl.DataFrame(
        {
            "source": "till",
            "line_id": pl.Series(range(rows)).cast(pl.String),
            "kind": rng.choice(["sale", "return", "receipt"], rows),
            # Around 1970 too: a day is rounded down, also before the epoch.
            "occurred_at": pl.Series(rng.integers(-5 * 86_400_000_000, 5 * 86_400_000_000, rows)).cast(
                pl.Datetime("us")
            ),
            "product": rng.choice(["a", "b", "c"], rows),
            "warehouse": rng.choice(["x", "y"], rows),
            "quantity": rng.integers(0, 9, rows).astype(float),
            "unit_price": rng.integers(1, 9, rows).astype(float),
        }
    )
    by_hand: dict[tuple[str, str, date], list[float]] = {}
    for row in frame.filter(pl.col("kind") == "sale").iter_rows(named=True):
        total = by_hand.setdefault((row["product"], row["warehouse"], row["occurred_at"].date()), [0.0, 0.0])
        total[0] += row["quantity"]
        total[1] += row["quantity"] * row["unit_price"]
    with database.write(stage={"movements": frame}) as connection:
        append_movements(connection)
        read = daily_demand(connection)
    assert {row[:3]: list(row[3:]) for row in read.iter_rows()} == by_hand


def test_sales_span_covers_sales_only(database: Database) -> None:
    with database.write() as connection:
        assert sales_span(connection) is None
        append_movements(connection, movements(("receipt", "2025-01-01", "tea", 3), source="dock"))
        assert sales_span(connection) is None
        append_movements(connection, THREE_DAYS)
        assert sales_span(connection) == (date(2026, 1, 1), date(2026, 1, 3))


@pytest.mark.parametrize("kind", ["sale", "return", "receipt", "count"])
def test_a_negative_quantity_is_refused_where_the_kind_says_the_direction(database: Database, kind: str) -> None:
    with database.write() as connection:
        with pytest.raises(DataError, match=f"movement '1' of 'till': a {kind} of -2 units"):
            append_movements(connection, movements((kind, "2026-01-01", "tea", -2)))
        assert sales_span(connection) is None


def test_an_empty_frame_is_a_success_of_nothing(database: Database) -> None:
    with database.write(stage={"movements": MOVEMENTS.empty()}) as connection:
        assert append_movements(connection) == Appended(0, 0)
        assert append_movements(connection, MOVEMENTS.empty()) == Appended(0, 0)
        assert_frame_equal(daily_demand(connection), DAILY_DEMAND.empty())


def test_a_line_that_cannot_be_booked_leaves_nothing_of_its_batch(database: Database) -> None:
    bad = pl.concat([THREE_DAYS, THREE_DAYS.head(1).with_columns(line_id=pl.lit("bad"), quantity=pl.lit(-1.0))])
    with pytest.raises(DataError), database.write(stage={"movements": bad}) as connection:
        sales.append_movements(connection)
    with database.read() as connection:
        assert daily_demand(connection).is_empty()
        assert catalogue.products(connection).is_empty()
