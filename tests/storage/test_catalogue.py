"""Products, warehouses, suppliers, prices and calendar events go in and come out."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from sqlalchemy import delete

from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.domain.frames import CALENDAR_EVENTS, PRICES, PRODUCTS, SUPPLIERS, WAREHOUSES
from shelfwise.storage import catalogue
from shelfwise.storage.database import Database
from shelfwise.storage.tables import products

FULL_PRODUCTS = PRODUCTS.check(
    pl.DataFrame(
        {
            "product": ["a", "b ☕️", "c'; DROP TABLE products; --"],
            "name": ["Æther 🫖 " + "long " * 2_000, None, '"quoted"\nover lines'],
            "category": ["tea", None, "tea"],
            "brand": [None, "B", None],
            "supplier": ["north", None, "north"],
            "unit_cost": [0.1 + 0.2, None, 1e-9],
            "price": [1.0, 2.0, None],
            "pack_size": [12.0, None, 0.25],
            "minimum_order_quantity": [None, 0.0, 24.0],
            "launched_on": [date(1969, 12, 31), None, date(2024, 2, 29)],
            "discontinued_on": [None, date(2026, 1, 1), None],
            "replaces": [None, None, "a product never seen"],
        }
    )
)


def test_products_come_back_exactly_with_emoji_long_text_and_nulls(database: Database) -> None:
    with database.write() as connection:
        done = catalogue.upsert_products(connection, FULL_PRODUCTS)
    with database.read() as connection:
        assert_frame_equal(catalogue.products(connection), FULL_PRODUCTS)
    assert done == catalogue.Upserted(3, 0)


def test_staged_products_come_back_exactly_too(database: Database) -> None:
    with database.write(stage={"products": FULL_PRODUCTS}) as connection:
        catalogue.upsert_products(connection)
        assert_frame_equal(catalogue.products(connection), FULL_PRODUCTS)


@given(
    frame=st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40),
            st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
            st.none() | st.floats(0, 1e300),
            st.none() | st.dates(),
        ),
        unique_by=lambda row: row[0],
        max_size=20,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
def test_any_product_comes_back_as_it_was(database: Database, frame: list[tuple[object, ...]]) -> None:
    columns = {"product": pl.String, "name": pl.String, "unit_cost": pl.Float64, "launched_on": pl.Date}
    given_ = PRODUCTS.check(pl.DataFrame(frame, schema=columns, orient="row"))
    with database.write() as connection:
        connection.execute(delete(products))  # what the example before left
        catalogue.upsert_products(connection, given_)
        assert_frame_equal(catalogue.products(connection), given_, check_row_order=False)


def test_an_empty_cell_keeps_what_is_known_and_a_filled_one_replaces_it(database: Database) -> None:
    with database.write() as connection:
        catalogue.upsert_products(connection, FULL_PRODUCTS)
        done = catalogue.upsert_products(connection, pl.DataFrame({"product": ["a", "d"], "price": [9.0, 4.0]}))
        read = catalogue.products(connection)
    assert done == catalogue.Upserted(inserted=1, updated=1)
    changed = read.row(by_predicate=pl.col("product") == "a", named=True)
    before = FULL_PRODUCTS.row(0, named=True)
    assert changed == {**before, "price": 9.0}


def test_a_supplier_only_mentioned_by_a_product_exists_by_its_code(database: Database) -> None:
    with database.write() as connection:
        catalogue.upsert_products(connection, FULL_PRODUCTS)
        catalogue.upsert_suppliers(connection, pl.DataFrame({"supplier": ["north"], "lead_time_days": [12]}))
        suppliers = catalogue.suppliers(connection)
    expected = SUPPLIERS.check(pl.DataFrame({"supplier": ["north"], "lead_time_days": [12.0]}))
    assert_frame_equal(suppliers, expected)


def test_warehouses_keep_their_name_when_named_again_without_one(database: Database) -> None:
    with database.write() as connection:
        catalogue.upsert_warehouses(connection, pl.DataFrame({"warehouse": ["main"], "name": ["Shop floor"]}))
        catalogue.upsert_warehouses(connection, pl.DataFrame({"warehouse": ["main"]}))
        read = catalogue.warehouses(connection)
    assert_frame_equal(read, WAREHOUSES.check(pl.DataFrame({"warehouse": ["main"], "name": ["Shop floor"]})))


def test_a_price_for_everywhere_is_replaced_and_not_doubled(database: Database) -> None:
    prices = PRICES.check(
        pl.DataFrame(
            {
                "product": ["a", "a", "a"],
                "warehouse": [None, None, "main"],
                "starts_on": [date(2026, 1, 1), date(2026, 2, 1), date(2026, 1, 1)],
                "price": [1.0, 2.0, 3.0],
            }
        )
    )
    with database.write() as connection:
        assert catalogue.upsert_prices(connection, prices) == catalogue.Upserted(3, 0)
        raised = prices.with_columns(pl.col("price") + 1)
        assert catalogue.upsert_prices(connection, raised) == catalogue.Upserted(0, 3)
        assert_frame_equal(catalogue.prices(connection), raised)


def test_calendar_events_of_the_whole_shop_are_replaced_and_not_doubled(database: Database) -> None:
    events = CALENDAR_EVENTS.check(
        pl.DataFrame(
            {
                "kind": ["closure", "promotion"],
                "name": ["Stocktaking", "Tea week"],
                "starts_on": [date(2026, 1, 2), date(2026, 3, 2)],
                "ends_on": [date(2026, 1, 2), date(2026, 3, 8)],
                "scope_kind": ["shop", "category"],
                "scope": [None, "tea"],
            }
        )
    )
    with database.write() as connection:
        catalogue.upsert_calendar_events(connection, events)
        longer = events.with_columns(ends_on=pl.col("ends_on").dt.offset_by("1d"))
        assert catalogue.upsert_calendar_events(connection, longer) == catalogue.Upserted(0, 2)
        assert_frame_equal(catalogue.calendar_events(connection), longer)


def test_readers_of_an_empty_store_give_empty_declared_frames(database: Database) -> None:
    with database.read() as connection:
        for frame, reader in (
            (PRODUCTS, catalogue.products),
            (WAREHOUSES, catalogue.warehouses),
            (SUPPLIERS, catalogue.suppliers),
            (PRICES, catalogue.prices),
            (CALENDAR_EVENTS, catalogue.calendar_events),
        ):
            assert_frame_equal(reader(connection), frame.empty())


def test_a_code_longer_than_a_key_may_be_is_refused_with_its_row(database: Database) -> None:
    with database.write() as connection, pytest.raises(DataError, match=r"'product', row 1: .* 256 characters"):
        catalogue.upsert_products(connection, pl.DataFrame({"product": ["a", "x" * 256]}))


def test_a_frame_that_was_neither_given_nor_staged_is_named(database: Database) -> None:
    with database.write() as connection, pytest.raises(ParameterError, match=r"no frame 'prices' was given"):
        catalogue.upsert_prices(connection)


def test_many_codes_are_found_as_well_as_few(database: Database) -> None:
    codes = [f"p{number}" for number in range(1_200)]
    with database.write() as connection:
        first = catalogue.code_ids(connection, products, codes)
        assert len(set(first)) == 1_200
        assert catalogue.code_ids(connection, products, codes[::-1]) == first[::-1]
        assert catalogue.code_ids(connection, products, codes[7:9]) == first[7:9]
