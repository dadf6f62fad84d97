"""Overrides in a store: set, seen in plan, forecast and reasons, carried to the next plan, reverted, expired."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from tests.services.worlds import count, sales

from shelfwise.domain.errors import ConflictError, DataError, NotFound, ParameterError
from shelfwise.library import Store
from shelfwise.services import decisions, explaining, history, overrides, planning, predictions
from shelfwise.services.adjusting import Change
from shelfwise.services.planning import make_plan

START = dt.date(2024, 9, 2)  # a Monday
DAY = dt.timedelta(days=1)
FIRST = START + 70 * DAY  # the day after the data
MORE = Change.parse("+50%")


@pytest.fixture
def filled(quick, fill):
    """Two products of a supplier, ten weeks of sales, stock counted on the last morning."""
    counted = dt.datetime.combine(FIRST - DAY, dt.time())
    fill(
        suppliers=[{"supplier": "north", "lead_time_days": 5.0, "review_days": 7.0}],
        products=[
            {"product": "tea", "name": "Green tea", "category": "Tea", "supplier": "north", "unit_cost": 2.0,
             "price": 5.0, "pack_size": 6.0},
            {"product": "mug", "category": "Ware", "supplier": "north", "unit_cost": 4.0, "price": 9.0},
        ],
        movements=[
            *sales("tea", START, [4.0, 6.0, 5.0, 5.0, 4.0, 6.0, 5.0] * 10), *sales("mug", START, [2.0] * 70),
            count("tea", counted, 20), count("mug", counted, 10),
        ],
    )  # fmt: skip
    return quick


def line(plan, name="tea@main"):
    return plan.lines.row(by_predicate=pl.col("unique_id") == name, named=True)


def test_a_forecast_override_makes_a_new_plan_that_orders_for_it(filled) -> None:
    before = make_plan(filled)
    overrides.set_forecast(filled, "Green tea", MORE, until=FIRST + 40 * DAY, reason="trade fair")
    after = make_plan(filled)
    assert (before.run_id, after.run_id) == (1, 2)
    assert line(after)["mean_demand"] == pytest.approx(1.5 * line(before)["mean_demand"], rel=0.03)
    assert line(after)["quantity"] > line(before)["quantity"]
    assert line(after, "mug@main")["quantity"] == line(before, "mug@main")["quantity"]
    assert any("trade fair" in note and "+50 %" in note for note in after.notes)
    assert make_plan(filled).run_id == 2  # and this one holds


def test_a_reverted_override_gives_the_plan_back(filled) -> None:
    before = make_plan(filled)
    made = overrides.set_forecast(filled, "tea", MORE, until=FIRST + 40 * DAY, reason="fair")
    make_plan(filled)
    overrides.revert(filled, made.id)
    after = make_plan(filled)
    assert after.run_id == 3
    columns = ["unique_id", "quantity", "mean_demand", "arithmetic"]
    assert after.lines.select(columns).equals(before.lines.select(columns))
    with pytest.raises(ConflictError, match="already"):
        overrides.revert(filled, made.id)


def test_an_expired_override_does_nothing(filled, fill) -> None:
    overrides.set_forecast(filled, "shop", Change(factor=0.0), until=FIRST + 2 * DAY, reason="works")
    assert predictions.forecast(filled, horizon=5).forecast.mean()[:, :3].sum() == 0
    more = sales("tea", FIRST, [5.0] * 3) + sales("mug", FIRST, [2.0] * 3)
    fill(movements=more)
    made = predictions.forecast(filled, horizon=5).forecast
    assert made.mean().min() > 1
    assert not any("override" in note for note in made.provenance.notes)


def test_the_forecast_command_and_the_plan_follow_the_same_override(filled) -> None:
    bare = predictions.forecast(filled, horizon=10).forecast
    overrides.set_forecast(filled, "category:tea", MORE, since=FIRST + 2 * DAY, until=FIRST + 4 * DAY, reason="fair")
    made = predictions.forecast(filled, horizon=10).forecast
    row = made.ids.to_list().index("tea@main")
    assert made.mean()[row] / bare.mean()[row] == pytest.approx(np.repeat([1.0, 1.5, 1.0], [2, 3, 5]))
    plan = make_plan(filled)
    kept = planning.published_forecast(filled, plan.run_id)
    assert kept.mean()[kept.ids.to_list().index("tea@main"), :10] == pytest.approx(made.mean()[row], rel=1e-5)


def test_why_shows_an_override_with_its_reason_last_day_and_part(filled) -> None:
    until = FIRST + 55 * DAY
    made = overrides.set_forecast(filled, "tea@main", MORE, until=until, reason="trade fair")
    (told,) = explaining.explain(filled, "tea")
    sentences = " ".join(told.sentences)
    assert f"Override {made.id} changes the forecast of tea@main by hand: +50 % until {until} (trade fair" in sentences
    parts = dict(told.made_of.group_by("part").agg(pl.col("units").sum()).iter_rows())
    total = sum(parts.values())
    assert parts["override"] == pytest.approx(total / 3, rel=0.01)
    assert total == pytest.approx(told.weeks["demand"].sum())
    (other,) = explaining.explain(filled, "mug")
    assert "by hand" not in " ".join(other.sentences)


def test_an_order_override_edits_the_line_at_once_and_on_every_plan_until_its_day(filled, fill) -> None:
    plan = make_plan(filled)
    made, units = overrides.set_order(filled, plan, "tea", 6.0, reason="shelf is full", until=FIRST + 3 * DAY)
    now = line(make_plan(filled))
    assert make_plan(filled).run_id == 1  # the plan still holds; its line is edited
    assert (units, now["quantity"], now["status"]) == (6.0, 6.0, "edited")
    assert now["decision_reason"] == f"override {made.id}: shelf is full"
    fill(movements=sales("tea", FIRST, [90.0] * 2))  # nothing like the plan before: an edit by hand would fall
    assert line(make_plan(filled))["quantity"] == 6.0
    fill(movements=sales("tea", FIRST + 2 * DAY, [5.0] * 2))
    after = line(make_plan(filled))
    assert (after["status"], after["quantity"]) == ("proposed", after["proposed"])


def test_an_order_override_may_order_what_no_plan_proposes(filled, fill) -> None:
    fill(movements=[count("mug", dt.datetime.combine(FIRST - DAY, dt.time(1)), 900)])
    plan = make_plan(filled)
    assert line(plan, "mug@main")["quantity"] == 0
    overrides.set_order(filled, plan, "mug", 24.0, reason="price rise", rule="at least", until=FIRST + 30 * DAY)
    assert "mug@main" in make_plan(filled).open_lines["unique_id"]
    other = make_plan(filled, service_level=0.9)
    assert line(other, "mug@main")["quantity"] == 24.0


def test_approving_spends_an_exact_override(filled) -> None:
    plan = make_plan(filled)
    overrides.set_order(filled, plan, "tea", 6.0, reason="trial", until=FIRST + 30 * DAY)
    decisions.approve(filled, make_plan(filled), ["tea"])
    again = line(make_plan(filled, service_level=0.9))
    assert (again["status"], again["quantity"]) == ("proposed", again["proposed"])
    assert overrides.listed(filled, every=True)["state"].to_list() == ["spent"]
    assert overrides.listed(filled).height == 0


def test_reverting_an_order_override_undoes_its_edit(filled) -> None:
    before = line(make_plan(filled))["quantity"]
    made, _ = overrides.set_order(filled, make_plan(filled), "tea", 6.0, reason="trial")
    overrides.revert(filled, made.id)
    after = line(make_plan(filled))
    assert (after["status"], after["quantity"]) == ("proposed", before)


def test_what_a_person_decides_after_an_override_stands(filled) -> None:
    plan = make_plan(filled)
    overrides.set_order(filled, plan, "tea", 6.0, reason="trial", until=FIRST + 30 * DAY)
    decisions.reject(filled, make_plan(filled), ["tea"], "not now")
    assert line(make_plan(filled, service_level=0.94))["status"] == "rejected"


def test_overrides_are_listed_the_newest_first_with_their_state(filled) -> None:
    overrides.set_forecast(filled, "supplier:North", MORE, since=FIRST + DAY, until=FIRST + 9 * DAY, reason="b")
    overrides.set_forecast(filled, "warehouse:main", Change(per_day=None, factor=2.5), until=FIRST, reason="a")
    table = overrides.listed(filled)
    assert table["about"].to_list() == ["warehouse main", "supplier north"]
    assert table["change"].to_list() == ["x2.5", "+50 %"]
    assert table["state"].to_list() == ["holds", "to come"]
    assert [row for row in history.history(filled)["what"] if "override" in row] == ["override 2 set", "override 1 set"]


@pytest.mark.parametrize(
    ("what", "change", "until", "words"),
    [
        ("shop", Change(per_day=5.0), FIRST, "more than one product"),
        ("tea", MORE, FIRST - DAY, "before the first day that is forecast"),
    ],
)
def test_an_override_that_cannot_be_meant_is_refused(filled, what, change, until, words) -> None:
    with pytest.raises(ParameterError, match=words):
        overrides.set_forecast(filled, what, change, until=until, reason="r")


@pytest.mark.parametrize("what", ["tee house", "tea@attic", "category:Coffee", "supplier:South", "warehouse:attic"])
def test_what_is_not_in_the_store_is_answered_with_near_names(filled, what) -> None:
    with pytest.raises(NotFound, match="there is no"):
        overrides.set_forecast(filled, what, MORE, until=FIRST, reason="r")


def test_an_override_without_a_reason_or_a_quantity_is_refused(filled) -> None:
    plan = make_plan(filled)
    with pytest.raises(ParameterError, match="needs a reason"):
        overrides.set_forecast(filled, "tea", MORE, until=FIRST, reason=" ")
    with pytest.raises(ParameterError, match="zero or more units"):
        overrides.set_order(filled, plan, "tea", -1.0, reason="r")
    with pytest.raises(ParameterError, match="exactly, at least, at most"):
        overrides.set_order(filled, plan, "tea", 1.0, reason="r", rule="about")
    with pytest.raises(ParameterError, match="name a later day"):
        overrides.set_order(filled, plan, "tea", 1.0, reason="r", until=FIRST - DAY)
    assert overrides.listed(filled, every=True).height == 0


def test_an_empty_store_has_no_overrides_and_takes_none(quick) -> None:
    assert overrides.listed(quick).height == 0
    with pytest.raises(DataError, match="no sales yet"):
        overrides.set_forecast(quick, "shop", MORE, until=FIRST, reason="r")


def test_a_notebook_sets_lists_reverts_and_scores_overrides(filled) -> None:
    store = Store(filled)
    made = store.override_forecast("tea", "+50%", until=FIRST + 9 * DAY, reason="fair")
    capped = store.override_order("tea", 6.0, rule="at most", reason="shelf is full")
    assert store.overrides()["override"].to_list() == [capped.id, made.id]
    assert line(store.plan())["quantity"] == 6.0
    store.revert_override(made.id)
    assert store.overrides(every=True)["state"].to_list() == ["holds", "reverted"]
    assert store.override_scores().summary["scored"].to_list() == [0, 0]
    store.products_like("chai", "tea", times=0.5, create=True)
    store.bundle("mug", {"tea": 2.0})
    assert store.plan(save=False).lines["unique_id"].to_list() == ["chai@main", "tea@main"]


def test_a_plan_on_trial_orders_what_the_kept_plan_would(filled) -> None:
    first = make_plan(filled)
    overrides.set_order(filled, first, "tea", 60.0, reason="trade fair", until=FIRST + 9 * DAY)
    decisions.reject(filled, make_plan(filled), ["mug"], "discontinued")
    tried = make_plan(filled, service_level=0.97, save=False)
    assert tried.run_id is None
    assert (line(tried)["quantity"], line(tried)["status"]) == (60.0, "edited")
    assert line(tried)["proposed"] != 60.0
    assert line(tried, "mug@main")["status"] == "rejected"
    kept = make_plan(filled, service_level=0.97)
    shown = ["unique_id", "quantity", "proposed", "status", "decision_reason", "snoozed_until", "cost"]
    assert tried.lines.sort("unique_id").select(shown).equals(kept.lines.sort("unique_id").select(shown))
    assert tried.orders.equals(kept.orders)


def test_a_quantity_that_packs_or_the_minimum_do_not_allow_is_kept_and_said(filled, fill) -> None:
    plan = make_plan(filled)
    assert decisions.odd_quantities(plan, {"tea": 24.0, "mug": 5.0}) == []
    assert decisions.odd_quantities(plan, {"tea": 0.0}) == []
    (said,) = decisions.odd_quantities(plan, {"tea": 25.0})
    assert said.startswith("tea@main: 25 is no whole number of packs of 6 (24 or 30 would be); it is kept as asked")
    assert "(6 would be)" in decisions.odd_quantities(plan, {"tea": 2.0})[0]
    fill(products=[{"product": "mug", "supplier": "north", "minimum_order_quantity": 10.0}])
    assert (
        "mug@main: 4 is below the smallest order of 10" in decisions.odd_quantities(make_plan(filled), {"mug": 4.0})[0]
    )
