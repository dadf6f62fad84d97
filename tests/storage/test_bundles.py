"""Bundles: kept as recipes, replaced as a whole, and off the shelf of their components when they sell."""

from __future__ import annotations

import polars as pl
import pytest
from tests.storage.worlds import moment, movements

from shelfwise.domain.errors import DataError
from shelfwise.domain.frames import BUNDLES
from shelfwise.storage import bundles, stock
from shelfwise.storage.database import Database
from shelfwise.storage.sales import append_movements


def recipe(*rows: tuple[str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["bundle", "component", "quantity"], orient="row")


def test_bundles_come_back_and_are_replaced_as_a_whole(database: Database) -> None:
    with database.write() as connection:
        assert bundles.bundles(connection).equals(BUNDLES.empty())
        assert bundles.set_bundles(connection, recipe(("box", "tea", 2), ("box", "cup", 1), ("set", "cup", 4))) == 2
        assert bundles.set_bundles(connection, recipe(("box", "pot", 1.5))) == 1
        assert bundles.set_bundles(connection, BUNDLES.empty()) == 0
    with database.read() as connection:
        assert bundles.bundles(connection).rows() == [("box", "pot", 1.5), ("set", "cup", 4.0)]


@pytest.mark.parametrize(
    "rows", [[("box", "box", 1.0)], [("box", "set", 1.0), ("set", "box", 1.0)], [("set", "case", 1.0)]]
)
def test_a_bundle_made_of_itself_is_refused_and_nothing_changes(database: Database, rows: list) -> None:
    with database.write() as connection:
        bundles.set_bundles(connection, recipe(("case", "set", 1.0)))
    with pytest.raises(DataError, match="would be made of itself"), database.write() as connection:
        bundles.set_bundles(connection, recipe(*rows))
    with database.read() as connection:
        assert bundles.bundles(connection).rows() == [("case", "set", 1.0)]


@pytest.mark.parametrize("quantity", [0.0, -1.0, float("nan")])
def test_a_bundle_holds_more_than_none_of_a_component(database: Database, quantity: float) -> None:
    with database.write() as connection, pytest.raises(DataError, match="must be above zero"):
        bundles.set_bundles(connection, recipe(("box", "tea", quantity)))


def test_what_bundles_took_is_counted_from_each_components_own_count_on(database: Database) -> None:
    booked = movements(
        ("sale", "2026-01-01 10:00", "box", 5),
        ("sale", "2026-01-03 10:00", "box", 2),
        ("sale", "2026-01-05 10:00", "box", 1),
        ("return", "2026-01-06 10:00", "box", 1),
        ("sale", "2026-01-05 10:00", "set", 1),
    )
    counted = pl.DataFrame(
        {
            "product": ["tea", "cup", "cup"], "warehouse": ["main", "main", "web"], "on_hand": [50.0, 50.0, 9.0],
            "as_of": [moment("2026-01-02 00:00"), moment("2026-01-04 00:00"), moment("2026-01-01 00:00")],
        }
    )  # fmt: skip
    parts = recipe(("box", "tea", 2.0), ("box", "cup", 1.0), ("box", "pot", 1.0), ("set", "cup", 4.0))
    with database.write() as connection:
        append_movements(connection, booked)
        stock.set_stock_levels(connection, counted)
        taken = bundles.sold_since_counts(connection, parts)
        assert bundles.sold_since_counts(connection, BUNDLES.empty()).is_empty()
    # tea: 2 x (2 + 1 - 1); cups: 1 x (1 - 1) + 4 x 1; a pot was never counted, the web shop sold none
    assert taken.rows() == [("cup", "main", 4.0), ("tea", "main", 4.0)]
