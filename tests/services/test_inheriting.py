"""Whose history a new product takes over: successors, copies that fade, and what stays the old one's."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from tests.services.worlds import count, sales

from shelfwise.domain.errors import DataError, NotFound, ParameterError
from shelfwise.services import catalogue, demand, explaining, new_products, overrides, predictions
from shelfwise.services.inheriting import PRIOR_DAYS, inheritance, with_inherited
from shelfwise.services.planning import make_plan

START = dt.date(2024, 9, 2)  # a Monday
DAY = dt.timedelta(days=1)
FIRST = START + 70 * DAY


def history(app, unique_id: str) -> list[float]:
    found = demand.load(app)
    row = found.panel.ids.to_list().index(unique_id)
    return found.panel.values[found.panel.offsets[row] : found.panel.offsets[row + 1]].tolist()


def line(plan, name):
    return plan.lines.row(by_predicate=pl.col("unique_id") == name, named=True)


def test_a_successor_is_planned_from_the_old_sales_and_its_own_stock(quick, fill) -> None:
    fill(
        products=[{"product": "old", "discontinued_on": FIRST - 8 * DAY}, {"product": "new", "replaces": "old"}],
        movements=[
            *sales("old", START, [4.0] * 63), *sales("new", START + 63 * DAY, [4.0] * 7),
            count("old", dt.datetime.combine(FIRST - DAY, dt.time()), 500),
            count("new", dt.datetime.combine(FIRST - DAY, dt.time()), 12),
        ],
    )  # fmt: skip
    assert history(quick, "new@main") == [4.0] * 70
    plan = make_plan(quick)
    assert plan.lines["unique_id"].to_list() == ["new@main"]  # the old one is ordered no more
    assert line(plan, "new@main")["on_hand"] == 8  # of its own: what is left of the old one is not the new one's
    assert line(plan, "new@main")["mean_per_day"] == pytest.approx(4.0, rel=0.1)
    (told,) = explaining.explain(quick, "new")
    assert "It replaces old and continues its sales." in told.sentences


def test_a_chain_of_successors_takes_over_all_of_it(quick, fill) -> None:
    fill(
        products=[{"product": "a"}, {"product": "b", "replaces": "a"}, {"product": "c", "replaces": "b"}],
        movements=[
            *sales("a", START, [1.0] * 4), *sales("b", START + 3 * DAY, [2.0] * 3),
            *sales("c", START + 5 * DAY, [3.0] * 2),
        ],
    )  # fmt: skip
    assert history(quick, "c@main") == [1, 1, 1, 2, 2, 3, 3]
    assert history(quick, "b@main") == [1, 1, 1, 2, 2, 2, 0]


def test_successors_in_a_circle_are_refused_and_a_link_can_be_taken_back(quick, fill) -> None:
    fill(
        products=[{"product": "a", "replaces": "b"}, {"product": "b"}],
        movements=[*sales("a", START, [1.0] * 4), *sales("b", START + 2 * DAY, [2.0] * 3)],
    )
    with pytest.raises(DataError, match="a replaces b replaces a: a circle.*products edit a --replaces ''"):
        fill(products=[{"product": "b", "replaces": "a"}])
    with pytest.raises(DataError, match="a replaces a"):
        catalogue.edit_product(quick, "a", {"replaces": "a"})
    catalogue.edit_product(quick, "a", {"replaces": ""})
    catalogue.edit_product(quick, "b", {"replaces": "a"})
    assert catalogue.products(quick).select("product", "replaces").rows() == [("a", None), ("b", "a")]
    assert history(quick, "b@main") == [1, 1, 2, 2, 2]


def test_a_circle_of_an_older_store_ends_where_it_closes() -> None:
    day = [START, START + DAY]
    lines = pl.DataFrame({"product": ["a", "b"], "warehouse": "m", "day": day, "quantity": 1.0, "revenue": None})
    table = pl.DataFrame({"product": ["a", "b"], "replaces": ["b", "a"], "launched_on": [None, None]})
    taken = inheritance(lines, table, [], START + DAY)
    assert [(heir.product, heir.source) for heir in taken.heirs] == [("a", "b"), ("b", "a")]


def test_a_warehouse_is_taken_over_when_the_successor_comes_there(quick, fill) -> None:
    fill(
        products=[{"product": "old"}, {"product": "new", "replaces": "old"}],
        movements=[
            *sales("old", START, [4.0] * 4), *sales("new", START + 4 * DAY, [3.0] * 4),
            *sales("old", START, [2.0] * 6, warehouse="web"),
            *sales("new", START + 6 * DAY, [1.0] * 2, warehouse="web"),
            *sales("old", START, [7.0] * 8, warehouse="far"),
        ],
    )  # fmt: skip
    assert history(quick, "new@main") == [4, 4, 4, 4, 3, 3, 3, 3]
    assert history(quick, "new@web") == [2, 2, 2, 2, 2, 2, 1, 1]  # no hole where main had changed over already
    assert history(quick, "new@far") == [7, 7, 7, 7, 0, 0, 0, 0]  # where the old one sells on, it is the old one's


def test_a_chain_is_taken_over_warehouse_by_warehouse(quick, fill) -> None:
    fill(
        products=[{"product": "a"}, {"product": "b", "replaces": "a"}, {"product": "c", "replaces": "b"}],
        movements=[
            *sales("a", START, [1.0] * 2), *sales("b", START + 2 * DAY, [2.0] * 2), *sales("c", START + 4 * DAY, [3.0]),
            *sales("a", START, [1.0] * 5, warehouse="web"),
        ],
    )  # fmt: skip
    assert history(quick, "c@main") == [1, 1, 2, 2, 3]
    assert history(quick, "c@web") == [1, 1, 0, 0, 0]


def test_a_successor_of_what_never_sold_inherits_nothing_and_says_so(quick, fill) -> None:
    fill(products=[{"product": "new", "replaces": "typo"}], movements=sales("new", START, [4.0] * 70))
    assert history(quick, "new@main") == [4.0] * 70
    (told,) = explaining.explain(quick, "new")
    assert "It replaces typo, of which no sale is known, so it inherits nothing." in told.sentences


def test_a_successor_is_ordered_in_its_own_packs(quick, fill) -> None:
    fill(
        products=[
            {"product": "old", "pack_size": 6.0, "discontinued_on": FIRST - DAY},
            {"product": "new", "pack_size": 25.0, "replaces": "old", "launched_on": FIRST},
        ],
        movements=[*sales("old", START, [4.0] * 70), count("new", dt.datetime.combine(FIRST - DAY, dt.time()), 0)],
    )
    ordered = line(make_plan(quick), "new@main")["quantity"]
    assert ordered > 0
    assert ordered % 25 == 0


def test_days_on_which_the_old_one_was_sold_out_are_hidden_from_the_new_one_too(quick, fill) -> None:
    fill(
        products=[{"product": "old"}, {"product": "new", "replaces": "old"}],
        movements=[
            *sales("old", START, [4, 4, 0, 0, 0]), *sales("new", START + 5 * DAY, [4.0] * 3),
            count("old", dt.datetime.combine(START, dt.time()), 8),
        ],
    )  # fmt: skip
    found = demand.load(quick)
    row = found.panel.ids.to_list().index("new@main")
    seen = found.panel.available[found.panel.offsets[row] : found.panel.offsets[row + 1]]
    assert seen.tolist() == [True, False, False, False, False, True, True, True]


def test_a_product_like_another_is_forecast_and_planned_before_its_first_sale(quick, fill) -> None:
    fill(
        products=[{"product": "old", "category": "Tea", "unit_cost": 2.0, "price": 5.0, "pack_size": 6.0}],
        movements=sales("old", START, [10.0] * 70),
    )
    new_products.set_like(quick, "new", "old", times=0.8, launch=FIRST + 5 * DAY, create=True)
    made = predictions.forecast(quick, horizon=10, products=["new"]).forecast
    assert made.mean()[0, :5].sum() == 0  # not before its launch
    assert made.mean()[0, 5:] == pytest.approx(8.0, rel=0.1)
    copied = catalogue.products(quick).row(by_predicate=pl.col("product") == "new", named=True)
    assert (copied["category"], copied["price"], copied["pack_size"]) == ("Tea", 5.0, 6.0)
    assert line(make_plan(quick), "new@main")["quantity"] > 0


def test_the_multiplier_fades_into_what_the_product_itself_sells(quick, fill) -> None:
    fill(products=[{"product": "new"}], movements=sales("old", START, [10.0] * 70))
    new_products.set_like(quick, "new", "old", times=2.0)
    assert history(quick, "new@main") == [20.0] * 70
    fill(movements=[*sales("old", FIRST, [10.0] * 14), *sales("new", FIRST, [5.0] * 14)])
    times = (2.0 * PRIOR_DAYS * 10 + 14 * 5) / (PRIOR_DAYS * 10 + 14 * 10)
    copied = history(quick, "new@main")
    assert copied[70:] == [5.0] * 14
    assert sum(copied[:70]) == pytest.approx(times * 700, abs=1)
    assert copied == np.rint(copied).tolist()  # counts stay counts
    (told,) = explaining.explain(quick, "new")
    assert f"times 2; after 14 days of its own the multiplier is {times:.2f}" in " ".join(told.sentences)


def test_where_the_other_sells_no_more_its_usual_sales_stand_in(quick, fill) -> None:
    fill(
        products=[{"product": "new", "launched_on": START + 30 * DAY}],
        movements=[*sales("old", START, [10.0] * 30), *sales("new", START + 30 * DAY, [10.0] * 40)],
    )
    new_products.set_like(quick, "new", "old", times=2.0)
    times = (2.0 * PRIOR_DAYS * 10 + 400) / (PRIOR_DAYS * 10 + 400)
    assert sum(history(quick, "new@main")[:30]) == pytest.approx(300 * times, abs=1)


def test_after_its_last_day_or_reverted_a_copy_counts_no_more(quick, fill) -> None:
    fill(
        products=[{"product": "new"}],
        movements=[*sales("old", START, [10.0] * 70), *sales("new", START + 60 * DAY, [5.0] * 10)],
    )
    made = new_products.set_like(quick, "new", "old", until=FIRST + 3 * DAY)
    assert len(history(quick, "new@main")) == 70
    fill(movements=[*sales("old", FIRST, [10.0] * 3), *sales("new", FIRST, [5.0] * 3)])
    assert len(history(quick, "new@main")) == 73
    fill(movements=[*sales("old", FIRST + 3 * DAY, [10.0]), *sales("new", FIRST + 3 * DAY, [5.0])])
    assert history(quick, "new@main") == [5.0] * 14
    again = new_products.set_like(quick, "new", "old", times=0.5)
    assert len(history(quick, "new@main")) == 74
    overrides.revert(quick, again.id)
    assert history(quick, "new@main") == [5.0] * 14
    states = overrides.listed(quick, every=True).select("override", "change", "state").rows()
    assert states == [(2, "that of old x0.5", "reverted"), (1, "that of old x1", "reverted")]
    assert made.id == 1


@pytest.mark.parametrize(
    ("new", "old", "given", "kind", "words"),
    [
        ("old", "old", {}, ParameterError, "cannot be like itself"),
        ("new", "old", {}, NotFound, "there is no product 'new'"),
        ("new", "odd one", {"create": True}, NotFound, "there is no product"),
        ("old", "old", {"times": 0.0}, ParameterError, "above 0 and at most 100"),
        ("old", "old", {"times": float("nan")}, ParameterError, "above 0 and at most 100"),
    ],
)
def test_a_likeness_that_cannot_be_is_refused(quick, fill, new, old, given, kind, words) -> None:
    fill(movements=sales("old", START, [10.0] * 7))
    with pytest.raises(kind, match=words):
        new_products.set_like(quick, new, old, **given)
    assert catalogue.products(quick)["product"].to_list() == ["old"]


def test_without_heirs_nothing_is_copied() -> None:
    lines = pl.DataFrame({"product": ["a"], "warehouse": ["m"], "day": [START], "quantity": [1.0], "revenue": [None]})
    assert with_inherited(lines, ()) is lines
