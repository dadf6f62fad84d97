"""A budget over the proposal: kept, spent where it prevents most, and the proposal itself where it suffices."""

from __future__ import annotations

import polars as pl
import pytest

from shelfwise.app import App
from shelfwise.domain.errors import ParameterError
from shelfwise.services import budgeting, catalogue, decisions, planning
from shelfwise.services.planning import Plan, make_plan


def budgeted(demo: App, **budgets: float) -> Plan:
    return make_plan(demo, budgets=budgets)


@pytest.fixture
def whole(demo: App) -> Plan:
    return make_plan(demo)


def test_a_budget_is_kept_and_no_line_gets_more_than_was_proposed(demo: App, whole: Plan) -> None:
    asked = float(whole.lines["cost"].sum())
    plan = budgeted(demo, all=asked / 4)
    assert plan.budget is not None
    spend = float(plan.lines["cost"].sum())
    assert 0.9 * asked / 4 < spend <= asked / 4
    assert plan.budget.spend == pytest.approx(spend)
    assert plan.budget.asked == pytest.approx(asked)
    both = plan.lines.join(whole.lines.select("unique_id", before="quantity"), on="unique_id")
    assert (both["quantity"] <= both["before"]).all()
    packs = both["quantity"] / both["pack_size"]
    assert (packs == packs.round()).all()
    assert ((both["quantity"] == 0) | (both["quantity"] >= both["minimum_order_quantity"])).all()


def test_every_sum_says_what_the_budget_took(demo: App, whole: Plan) -> None:
    plan = budgeted(demo, all=float(whole.lines["cost"].sum()) / 3)
    cut = plan.lines.filter(pl.col("cut") > 0)
    assert cut.height
    for line in cut.iter_rows(named=True):
        assert line["quantity"] == line["rounded"] + line["top_up"] - line["cut"]
        assert line["arithmetic"].endswith(f"for the budget -> {line['quantity']:g}")


def test_a_budget_that_suffices_changes_nothing(demo: App, whole: Plan) -> None:
    plan = budgeted(demo, all=float(whole.lines["cost"].sum()) + 1)
    assert plan.budget is not None
    assert plan.budget.limits[0]["price"] == 0
    key = ["unique_id", "quantity", "arithmetic"]
    assert plan.lines.select(key).equals(whole.lines.select(key))


def test_more_money_never_costs_more_and_is_worth_less_the_more_there_is(demo: App, whole: Plan) -> None:
    asked = float(whole.lines["cost"].sum())
    found = [budgeted(demo, all=asked * share).budget for share in (0.1, 0.3, 0.6)]
    costs = [one.cost for one in found if one is not None]
    prices = [one.limits[0]["price"] for one in found if one is not None]
    assert costs == sorted(costs, reverse=True)
    assert prices == sorted(prices, reverse=True)
    assert prices[0] > 0
    assert all(one is not None and 0 <= one.gap < 0.01 for one in found)


def test_a_suppliers_budget_touches_that_supplier_alone(demo: App, whole: Plan) -> None:
    spend = dict(whole.lines.group_by("supplier").agg(pl.col("cost").sum()).sort("cost").iter_rows())
    name = list(spend)[-1]
    plan = budgeted(demo, **{name: spend[name] / 2})
    after = dict(plan.lines.group_by("supplier").agg(pl.col("cost").sum()).iter_rows())
    assert after[name] <= spend[name] / 2
    for other in set(spend) - {name}:
        assert after[other] == pytest.approx(spend[other])


def test_a_suppliers_minimum_is_kept_or_nothing_is_ordered_there(demo: App, whole: Plan) -> None:
    minima = dict(catalogue.suppliers(demo).select("supplier", "minimum_order_value").drop_nulls().iter_rows())
    reached = set(whole.orders.filter(pl.col("minimum").is_in(["met", "topped up"]))["supplier"])
    plan = budgeted(demo, all=float(whole.lines["cost"].sum()) / 8)
    after = dict(plan.lines.group_by("supplier").agg(pl.col("cost").sum()).iter_rows())
    assert reached
    for supplier in reached:
        assert after[supplier] == 0 or after[supplier] >= minima[supplier] - 1e-6


def test_a_plan_with_a_budget_is_read_back_with_it(demo: App) -> None:
    plan = budgeted(demo, all=2000.0)
    read = planning.latest(demo)
    assert read is not None
    assert read.budget == plan.budget
    assert budgeted(demo, all=2000.0).run_id == plan.run_id
    assert budgeted(demo, all=2001.0).run_id != plan.run_id
    assert make_plan(demo).budget is None


@pytest.mark.parametrize(("name", "money", "why"), [("all", -1.0, "zero or more"), ("S-NOBODY", 5.0, "nothing is")])
def test_a_budget_that_cannot_be_is_refused(demo: App, name: str, money: float, why: str) -> None:
    with pytest.raises(ParameterError, match=why):
        budgeted(demo, **{name: money})


def test_lines_without_a_cost_are_proposed_in_full_and_said(demo: App) -> None:
    with demo.database.write() as connection:
        connection.exec_driver_sql("UPDATE products SET unit_cost = NULL WHERE code LIKE 'CF-10%'")
    whole = make_plan(demo)
    plan = budgeted(demo, all=100.0)
    assert plan.budget is not None
    assert any("no unit cost" in note for note in plan.budget.notes)
    unpriced = pl.col("unit_cost").is_null()
    key = ["unique_id", "quantity"]
    assert whole.lines.filter(unpriced)["quantity"].sum() > 0
    assert plan.lines.filter(unpriced).select(key).equals(whole.lines.filter(unpriced).select(key))


def test_what_stands_behind_the_lines_is_told_of_each(demo: App, whole: Plan) -> None:
    ids = whole.open_lines["unique_id"].to_list()
    details = budgeting.details(planning.weighed(demo, whole), ids)
    assert details["unique_id"].to_list() == ids
    assert (details["reorder_point"] <= details["order_up_to"]).all()
    assert (details["minimum_stock"] <= details["regular_stock"]).all()
    assert (details["regular_stock"] <= details["protected_stock"]).all()
    assert (details["protected_stockout"] <= 0.1 + 1e-9).all()


def test_a_trial_plan_cannot_be_explained(demo: App) -> None:
    with pytest.raises(ParameterError, match="was not saved"):
        planning.weighed(demo, make_plan(demo, service_level=0.8, save=False))


def test_what_was_rejected_frees_its_money_for_other_lines(demo: App, whole: Plan) -> None:
    money = float(whole.lines["cost"].sum()) / 3
    first = budgeted(demo, all=money)
    dearest = first.open_lines.sort("cost", descending=True)["unique_id"][0]
    decisions.reject(demo, first, [dearest], "not this season")
    again = budgeted(demo, all=money + 1)
    assert again.budget is not None
    waiting = again.open_lines
    assert dearest not in waiting["unique_id"]
    assert 0.95 * money < float(waiting["cost"].sum()) <= money + 1
    assert again.budget.spend == pytest.approx(float(waiting["cost"].sum()))


def test_what_was_edited_is_paid_for_first(demo: App, whole: Plan) -> None:
    money = float(whole.lines["cost"].sum()) / 3
    line = whole.open_lines.filter(pl.col("cost") < money / 2).sort("cost").row(-1, named=True)
    decisions.edit(demo, whole, {line["unique_id"]: line["quantity"] + line["pack_size"]}, "a fair")
    plan = budgeted(demo, all=money)
    edited = plan.lines.row(by_predicate=pl.col("unique_id") == line["unique_id"], named=True)
    assert edited["quantity"] == line["quantity"] + line["pack_size"]
    assert 0.95 * money < float(plan.open_lines["cost"].sum()) <= money
    assert plan.budget is not None
    assert plan.budget.limits[0]["used"] == pytest.approx(float(plan.open_lines["cost"].sum()))
