"""Bundles in a store: imported, taken apart in plan and reasons, off the shelf when they sell, never ordered."""

import datetime as dt
import re

import numpy as np
import polars as pl
import pytest
from tests.services.worlds import count, sales

from shelfwise.domain.errors import DataError, NotFound, ParameterError
from shelfwise.services import (
    demand,
    explaining,
    importing,
    new_products,
    override_scores,
    overrides,
    planning,
    risks,
    supply,
)
from shelfwise.services.adjusting import Change
from shelfwise.services.bundle_stock import with_bundle_stock
from shelfwise.services.planning import make_plan

START = dt.date(2024, 9, 2)  # a Monday
DAY = dt.timedelta(days=1)
FIRST = START + 70 * DAY
NOON = dt.time(13)


@pytest.fixture
def filled(quick, fill):
    """A box of two teas and a cup; tea sells by itself too, the cup only in the box."""
    fill(
        suppliers=[{"supplier": "north", "lead_time_days": 5.0, "review_days": 7.0}],
        products=[
            {"product": name, "supplier": "north", "unit_cost": 1.0, "price": 3.0} for name in ("box", "cup", "tea")
        ],
        movements=[
            *sales("tea", START, [6.0, 4.0] * 35), *sales("box", START, [2.0, 4.0] * 35),
            count("tea", dt.datetime.combine(FIRST - DAY, NOON), 30),
            count("cup", dt.datetime.combine(FIRST - 3 * DAY, NOON), 20),
        ],
        bundles=[
            {"bundle": "box", "component": "tea", "quantity": 2.0},
            {"bundle": "box", "component": "cup", "quantity": 1.0},
        ],
    )  # fmt: skip
    return quick


def line(plan, name):
    return plan.lines.row(by_predicate=pl.col("unique_id") == name, named=True)


def test_components_are_ordered_for_the_bundle_and_the_bundle_is_not(filled) -> None:
    plan = make_plan(filled)
    assert plan.lines["unique_id"].to_list() == ["cup@main", "tea@main"]
    assert line(plan, "tea@main")["mean_per_day"] == pytest.approx(5 + 2 * 3, rel=0.05)
    assert line(plan, "cup@main")["mean_per_day"] == pytest.approx(3, rel=0.05)
    assert line(plan, "cup@main")["unit_cost"] == 1.0
    assert any("1 product is a bundle (box) and not ordered" in note for note in plan.notes)
    assert make_plan(filled).run_id == plan.run_id


def test_on_every_path_the_components_ask_for_what_the_bundle_asks_for(filled) -> None:
    plan = make_plan(filled)
    kept = planning.published_forecast(filled, plan.run_id)
    assert kept.parts is not None
    box = kept.parts.paths[0]
    cup, tea = (kept.paths[kept.ids.to_list().index(name)] for name in ("cup@main", "tea@main"))
    assert np.array_equal(cup, box)
    own = kept.alone().paths[kept.ids.to_list().index("tea@main")]
    assert np.array_equal(tea, own + 2 * box)
    mean = kept.mean()
    assert mean[0] == pytest.approx(kept.parts.mean()[0])
    assert kept.paths.mean(axis=1) == pytest.approx(mean, rel=0.1)


def test_a_bundle_that_sold_since_the_count_is_off_its_components_shelf(filled) -> None:
    stock = dict(supply.load(filled).stock.select("product", "on_hand").iter_rows())
    assert stock == {"tea": 30.0, "cup": 20.0 - (2 + 4)}  # two days of boxes since the cups were counted at noon


def test_another_recipe_makes_another_plan(filled) -> None:
    before = make_plan(filled)
    new_products.set_bundle(filled, "box", {"tea": 1.0})
    after = make_plan(filled)
    assert (before.run_id, after.run_id) == (1, 2)
    assert after.lines["unique_id"].to_list() == ["tea@main"]
    assert line(after, "tea@main")["mean_per_day"] == pytest.approx(5 + 3, rel=0.05)


def test_why_tells_the_bundle_apart_from_what_sells_by_itself(filled) -> None:
    (tea,) = explaining.explain(filled, "tea")
    (told,) = [text for text in tea.sentences if text.startswith("Of its demand")]
    assert re.fullmatch(r"Of its demand, 6(\.\d)? a day are sold in bundles: box \(2 in each, 6(\.\d)? a day\)\.", told)
    parts = dict(tea.made_of.group_by("part").agg(pl.col("units").sum()).iter_rows())
    assert sum(parts.values()) == pytest.approx(tea.weeks["demand"].sum())
    assert parts["bundles"] / sum(parts.values()) == pytest.approx(6 / 11, rel=0.05)
    (cup,) = explaining.explain(filled, "cup")
    assert cup.sentences[0] == "It has not sold by itself."
    assert cup.weeks["demand"].sum() == pytest.approx(3 * 7 * cup.weeks.height, rel=0.05)
    (box,) = explaining.explain(filled, "box")
    assert box.line is None
    assert box.sentences == (
        "It is a bundle of 1 x cup and 2 x tea: it is not ordered, and its demand is that of its components.",
    )


def test_an_override_of_a_bundle_reaches_its_components_and_is_scored_on_the_bundle(filled, fill) -> None:
    overrides.set_forecast(filled, "box", Change(factor=2.0), until=FIRST + 50 * DAY, reason="gift season")
    plan = make_plan(filled)
    assert line(plan, "cup@main")["mean_per_day"] == pytest.approx(6, rel=0.05)
    fill(movements=sales("box", FIRST, [6.0] * 4) + sales("tea", FIRST, [5.0] * 4))
    (row,) = override_scores.score(filled).forecasts.to_dicts()
    assert (row["about"], row["sold"]) == ("box@main", 24.0)
    assert row["value_units"] > 8


def test_bundles_in_bundles_reach_what_is_stocked(filled, fill) -> None:
    fill(
        products=[{"product": "hamper"}], movements=sales("hamper", START, [1.0] * 70),
        bundles=[{"bundle": "hamper", "component": "box", "quantity": 3.0}],
    )  # fmt: skip
    assert line(make_plan(filled), "cup@main")["mean_per_day"] == pytest.approx(3 + 3, rel=0.05)


@pytest.mark.parametrize("correct", [False, True])
def test_what_sells_in_bundles_alone_has_its_risk_and_bundles_have_none(filled, correct) -> None:
    table = risks.assess(filled, correct=correct).table.sort("unique_id")
    assert table["unique_id"].to_list() == ["cup@main", "tea@main"]
    cup = table.row(0, named=True)
    assert cup["chance"] == cup["chance_paths"] > 0.9  # 14 cups and three boxes a day
    assert cup["chance_corrected"] is None


def test_a_product_in_two_bundles_is_asked_for_and_taken_by_both(filled, fill) -> None:
    fill(
        products=[{"product": "pair"}], movements=sales("pair", START, [1.0] * 70),
        bundles=[{"bundle": "pair", "component": "cup", "quantity": 2.0}],
    )  # fmt: skip
    assert line(make_plan(filled), "cup@main")["mean_per_day"] == pytest.approx(3 + 2, rel=0.05)
    stock = dict(supply.load(filled).stock.select("product", "on_hand").iter_rows())
    assert stock["cup"] == 20 - (2 + 4) - 2 * 2


def test_a_bundle_sold_in_another_warehouse_asks_for_its_components_there(filled, fill) -> None:
    fill(movements=sales("box", START, [2.0] * 70, warehouse="web"))
    plan = make_plan(filled)
    assert plan.lines["unique_id"].to_list() == ["cup@main", "cup@web", "tea@main", "tea@web"]
    assert line(plan, "tea@web")["mean_per_day"] == pytest.approx(4, rel=0.05)
    assert line(plan, "tea@main")["mean_per_day"] == pytest.approx(11, rel=0.05)


def test_a_bundle_that_replaces_a_bundle_takes_over_its_sales(filled, fill) -> None:
    fill(
        products=[{"product": "box", "discontinued_on": FIRST - DAY}, {"product": "case", "replaces": "box"}],
        bundles=[{"bundle": "case", "component": "cup", "quantity": 1.0}],
        movements=[*sales("case", FIRST, [3.0]), *sales("tea", FIRST, [5.0])],
    )
    plan = make_plan(filled)
    assert line(plan, "cup@main")["mean_per_day"] == pytest.approx(3, rel=0.1)
    assert line(plan, "tea@main")["mean_per_day"] == pytest.approx(5, rel=0.1)


def test_days_on_which_bundles_emptied_a_components_shelf_are_hidden_from_both(quick, fill) -> None:
    fill(
        products=[{"product": "box"}, {"product": "tea"}, {"product": "cup"}],
        bundles=[
            {"bundle": "box", "component": "tea", "quantity": 2.0},
            {"bundle": "box", "component": "cup", "quantity": 1.0},
        ],
        movements=[
            *sales("tea", START, [2.0, 2.0, 1.0, 0.0, 2.0, 2.0]), *sales("box", START, [3.0, 3.0, 2.0, 0.0, 3.0, 3.0]),
            count("tea", dt.datetime.combine(START, dt.time()), 21),  # 8, 8 and 5 are gone on the third day
            count("tea", dt.datetime.combine(START + 4 * DAY, dt.time()), 100),
            count("cup", dt.datetime.combine(START, dt.time()), 100),
        ],
    )  # fmt: skip
    panel = demand.load(quick).panel
    for row, seen in enumerate([[True, True, False, False, True, True]] * 2):  # box and tea; the cup never sold alone
        assert panel.available[panel.offsets[row] : panel.offsets[row + 1]].tolist() == seen


def test_a_count_in_the_day_has_seen_the_bundles_before_it_and_unknown_components_say_nothing() -> None:
    day = START + DAY
    on_hand = pl.DataFrame(
        {"product": ["tea", "tea", "tea", "box"], "warehouse": "m", "day": [START, day, day + DAY, day],
         "on_hand": [10.0, 7.0, 7.0, 99.0]}
    )  # fmt: skip
    recipes = pl.DataFrame({"bundle": ["box"], "component": ["tea"], "quantity": [2.0]})
    at = [dt.datetime.combine(day, dt.time(hour)) for hour in (9, 15)]
    sold = pl.DataFrame({"product": "box", "warehouse": "m", "occurred_at": at, "change": [-4.0, -1.0]})
    counts = pl.DataFrame(
        {"product": "tea", "warehouse": "m",
         "occurred_at": [dt.datetime.combine(START, dt.time()), dt.datetime.combine(day, dt.time(12))]}
    )  # fmt: skip
    both = {"occurred_at": pl.Datetime("us")}
    made = with_bundle_stock(on_hand, recipes, sold.cast(both), counts.cast(both))
    closing = {(product, at): units for product, _, at, units in made.rows()}
    assert [closing["tea", one] for one in (START, day, day + DAY)] == [10.0, 5.0, 5.0]
    assert [closing["box", one] for one in (START, day, day + DAY)] == [5.0, 2.0, 2.0]
    pair = pl.concat([recipes, pl.DataFrame({"bundle": ["box"], "component": ["cup"], "quantity": [1.0]})])
    assert "box" not in with_bundle_stock(on_hand, pair, sold.cast(both), counts.cast(both))["product"]


def test_bundles_are_imported_from_a_table(quick, tmp_path) -> None:
    sold = ["date,sku,units"] + [f"{START + n * DAY},box,2" for n in range(30)]
    (tmp_path / "sales.csv").write_text("\n".join(sold))
    (tmp_path / "kits.csv").write_text("kit,component,qty\nbox,tea,2\nbox,cup,1\nbox,box,1\n")
    done = importing.import_files(quick, [tmp_path / "sales.csv", tmp_path / "kits.csv"])
    assert done.rejects["reason"].to_list() == ["is the bundle itself"]
    assert new_products.bundle_list(quick).select("bundle", "component", "quantity").rows() == [
        ("box", "cup", 1.0),
        ("box", "tea", 2.0),
    ]
    assert make_plan(quick).lines["unique_id"].to_list() == ["cup@main", "tea@main"]


@pytest.mark.parametrize(
    ("bundle", "components", "kind", "words"),
    [
        ("tea", {"box": 1.0}, DataError, "would be made of itself"),
        ("box", {}, ParameterError, "needs components"),
        ("box", {"tea": 0.0}, ParameterError, "more than none"),
        ("box", {"pot": 1.0}, NotFound, "there is no product 'pot'"),
    ],
)
def test_a_bundle_that_cannot_be_is_refused(filled, bundle, components, kind, words) -> None:
    with pytest.raises(kind, match=words):
        new_products.set_bundle(filled, bundle, components)
    assert new_products.bundle_list(filled).height == 2
