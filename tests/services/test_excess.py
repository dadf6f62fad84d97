"""Dead and excess stock of a shop: found with its money and with what to do, and nothing that the plan would buy."""

from __future__ import annotations

import polars as pl
import pytest

from shelfwise.app import App
from shelfwise.domain.errors import ParameterError
from shelfwise.services import excess
from shelfwise.services.planning import make_plan


def set_stock(app: App, product: str, warehouse: str, units: float) -> None:
    with app.database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE stock_levels SET on_hand = ? WHERE product_id = (SELECT id FROM products WHERE code = ?) "
            "AND warehouse_id = (SELECT id FROM warehouses WHERE code = ?)",
            (units, product, warehouse),
        )


@pytest.fixture
def steady(demo: App) -> dict:
    """A line that sells well, is ordered, and has a sister in the other warehouse that is ordered too."""
    lines = make_plan(demo).lines.filter((pl.col("quantity") > 10) & pl.col("unit_cost").is_not_null())
    both = lines.filter(pl.col("product").is_duplicated())
    return both.sort("mean_per_day", descending=True).row(0, named=True)


def test_what_the_plan_orders_is_never_in_excess(demo: App) -> None:
    found = excess.find(demo)
    ordered = make_plan(demo).lines.filter(pl.col("quantity") > 0)["unique_id"]
    assert not set(found.lines.filter(pl.col("kind") == "excess")["unique_id"]) & set(ordered)


def test_too_much_is_found_with_its_money_and_goes_to_the_warehouse_that_needs_it(demo: App, steady: dict) -> None:
    set_stock(demo, steady["product"], steady["warehouse"], 100_000.0)
    found = excess.find(demo)
    row = found.lines.row(0, named=True)
    assert row["unique_id"] == steady["unique_id"]
    assert row["kind"] == "excess"
    assert 50_000 < row["units"] < 100_000 + row["due"]
    assert row["value"] == pytest.approx(row["units"] * steady["unit_cost"])
    assert "move " in row["advice"]
    assert "mark down" in row["advice"]
    assert found.value <= found.stock_value + (found.lines["due_units"] * found.lines["unit_cost"]).sum()


def test_what_has_long_not_sold_is_dead_down_to_the_last_unit(demo: App) -> None:
    found = excess.find(demo)
    dead = found.lines.filter(pl.col("kind") == "dead")
    assert dead.height
    assert (dead["units"] == dead["on_hand"] + dead["due"]).all()
    assert dead["advice"].str.contains("return or write off").all()
    planned = set(make_plan(demo).lines["unique_id"])
    for name, advice in dead.select("unique_id", "advice").iter_rows():
        assert ("planned no more" in advice) == (name not in planned)


def test_a_new_product_that_has_not_sold_yet_is_not_dead(demo: App) -> None:
    planned = set(make_plan(demo).lines.filter(pl.col("mean_per_day") > 0.1)["unique_id"])
    found = excess.find(demo).lines
    fresh = found.filter(pl.col("last_sold").is_null() & (pl.col("kind") == "dead"))
    assert not set(fresh["unique_id"]) & planned


def test_a_longer_cover_leaves_less_in_excess(demo: App, steady: dict) -> None:
    set_stock(demo, steady["product"], steady["warehouse"], 5_000.0)

    def units(cover: int) -> float:
        lines = excess.find(demo, cover_days=cover).lines
        return float(lines.filter(pl.col("unique_id") == steady["unique_id"])["units"].sum())

    assert units(10) > units(90) > units(365)


def test_a_cover_below_a_day_is_refused(demo: App) -> None:
    with pytest.raises(ParameterError, match="at least 1, got 0 and 180"):
        excess.find(demo, cover_days=0)
