"""What is corrected reaches everything that is worked out from it: demand, fitted models, plans, orders, bundles."""

from __future__ import annotations

import datetime as dt

import polars as pl
from tests.services.worlds import count, sales

from shelfwise.services import demand, fitting, planning, stock_corrections, stock_movements, supply
from shelfwise.storage import bundles, purchasing

FIRST = dt.date(2026, 8, 3)


def number_of(shop, product, quantity):
    """The line of a product that says so many units."""
    told = stock_movements.history(shop, product, limit=1000)
    return told.filter((pl.col("record") == "booked") & (pl.col("quantity") == quantity))["line"][0]


def past(shop):
    panel = demand.load(shop).panel
    return fitting.panel_fingerprint(panel), panel.values.sum()


def test_a_corrected_sale_is_the_demand_that_models_are_fitted_on(quick, fill):
    fill(movements=sales("tea", FIRST, [4.0, 6.0] * 30 + [400.0]))
    before = past(quick)
    done = stock_corrections.correct(quick, number_of(quick, "tea", 400.0), quantity=4.0, reason="two zeros too many")
    corrected = past(quick)
    assert corrected[1] == before[1] - 396
    assert corrected[0] != before[0]
    stock_corrections.revert(quick, done.number, reason="a big order after all")
    assert past(quick) == before


def test_a_correction_makes_the_plan_anew(quick, fill):
    fill(
        movements=[
            *sales("tea", FIRST, [4.0, 6.0] * 30 + [400.0]),
            count("tea", dt.datetime.combine(FIRST, dt.time()), 800),
        ]
    )
    first = planning.make_plan(quick)
    assert planning.standing(quick, supply.load(quick)) is not None
    stock_corrections.correct(quick, number_of(quick, "tea", 400.0), quantity=4.0, reason="two zeros too many")
    assert planning.standing(quick, supply.load(quick)) is None
    again = planning.make_plan(quick)
    assert again.run_id != first.run_id
    assert again.lines["on_hand"][0] == first.lines["on_hand"][0] + 396


def test_a_sale_corrected_to_another_day_moves_the_span_of_the_data(quick, fill):
    fill(movements=[*sales("tea", FIRST, [4.0] * 60), *sales("milk", FIRST - dt.timedelta(days=365), [9.0])])
    assert demand.load(quick).first_day == FIRST - dt.timedelta(days=365)
    stock_corrections.correct(quick, number_of(quick, "milk", 9.0), at=FIRST, reason="the wrong year")
    assert demand.load(quick).first_day == FIRST


def test_a_corrected_sale_of_a_bundle_takes_the_corrected_units_off_its_components(quick, fill):
    counted = dt.datetime.combine(FIRST, dt.time())
    fill(
        bundles=[{"bundle": "set", "component": "cup", "quantity": 2.0}],
        movements=[count("cup", counted, 50), *sales("set", FIRST, [7.0])],
    )
    stock_corrections.correct(quick, number_of(quick, "set", 7.0), quantity=3.0, reason="counted twice")
    with quick.database.read() as connection:
        taken = bundles.sold_since_counts(connection, bundles.bundles(connection))
    assert taken["taken"].to_list() == [6.0]


def test_a_file_of_receipts_does_not_book_again_what_a_person_received_that_day(quick):
    line = pl.DataFrame({"product": ["tea"], "warehouse": ["main"], "quantity": [24.0]})
    told = pl.DataFrame(
        {
            "purchase_order": ["PO-1"], "supplier": ["north"], "product": ["tea"], "warehouse": ["main"],
            "quantity": [10.0], "received_on": [FIRST],
        }
    )  # fmt: skip
    with quick.database.write() as connection:
        purchasing.create_purchase_order(connection, "north", line, created_at=quick.now(), number="PO-1")
        purchasing.send(connection, "PO-1", FIRST)
        came = pl.DataFrame({"product": ["tea"], "quantity": [10.0]})
        purchasing.receive(connection, "PO-1", came, received_on=FIRST)
        assert purchasing.load_receipts(connection, told) == 0
        assert purchasing.open_order_lines(connection)["quantity_received"].to_list() == [10.0]
