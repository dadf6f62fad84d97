"""Bundles in a store: imported, taken apart in plan and reasons, off the shelf when they sell, never ordered."""

import datetime as dt
import re

import numpy as np
import polars as pl
import pytest
from tests.services.worlds import count, sales

from shelfwise.domain.errors import DataError, NotFound, ParameterError
from shelfwise.services import explaining, importing, new_products, override_scores, overrides, planning, risks, supply
from shelfwise.services.adjusting import Change
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


def test_risks_leave_what_sells_in_bundles_alone_out(filled) -> None:
    table = risks.assess(filled, correct=False).table
    assert table["unique_id"].to_list() == ["tea@main"]


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
