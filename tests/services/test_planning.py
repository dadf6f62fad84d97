"""The plan: its sums, its saving, and what carries over to the next one."""

import datetime as dt
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from tests.services.worlds import MONDAY, sales

from shelfwise.app import App
from shelfwise.services import catalogue, decisions, plan_lines, planning, prices, supply
from shelfwise.services.planning import make_plan


def test_a_saved_plan_is_read_back_as_it_was_made(demo: App) -> None:
    made = make_plan(demo, service_level=0.9)
    read = planning.latest(demo)
    assert read is not None
    assert made.run_id == read.run_id == 2
    columns = [name for name in made.lines.columns if name in read.lines.columns]
    assert set(columns) == set(made.lines.columns)
    key = "unique_id"
    assert read.lines.sort(key).select(columns).equals(made.lines.sort(key).select(columns))
    assert read.orders.equals(made.orders)
    assert (read.as_of, read.data_until, read.rules, read.notes) == (
        made.as_of,
        made.data_until,
        made.rules,
        made.notes,
    )


def test_working_in_chunks_changes_no_line(demo: App, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = make_plan(demo, service_level=0.9, save=False)
    monkeypatch.setattr(plan_lines, "CELLS_PER_CHUNK", 100_000)
    parts = make_plan(demo, service_level=0.9, save=False)
    assert parts.lines.equals(whole.lines)


def test_the_published_forecast_draws_the_very_paths_of_the_plan(demo: App) -> None:
    plan = make_plan(demo)
    assert plan.run_id is not None
    forecast = planning.published_forecast(demo, plan.run_id)
    line = plan.lines.row(0, named=True)
    row = forecast.ids.to_list().index(line["unique_id"])
    rate = forecast.total(plan_lines.RATE_DAYS)[row] / plan_lines.RATE_DAYS
    assert np.quantile(rate, [0.1, 0.9]) == pytest.approx([line["low_per_day"], line["high_per_day"]])


def test_an_edit_stays_while_the_proposal_hardly_changes_and_falls_when_it_does(demo: App) -> None:
    plan = make_plan(demo)
    line = plan.open_lines.filter(pl.col("quantity") >= 40).row(0, named=True)
    decisions.edit(demo, plan, {line["unique_id"]: 5.0}, "too much")
    near = make_plan(demo, service_level=0.945).lines.row(
        by_predicate=pl.col("unique_id") == line["unique_id"], named=True
    )
    assert abs(near["proposed"] - line["quantity"]) <= 0.25 * line["quantity"]
    assert (near["status"], near["quantity"], near["decision_reason"]) == ("edited", 5.0, "too much")
    far = make_plan(demo, service_level=0.5).lines.row(
        by_predicate=pl.col("unique_id") == line["unique_id"], named=True
    )
    assert far["proposed"] < 0.75 * line["quantity"]
    assert (far["status"], far["quantity"]) == ("proposed", far["proposed"])


def test_a_plan_stands_through_decisions_and_falls_with_anything_booked_or_changed(demo: App) -> None:
    plan = planning.standing(demo, supply.load(demo))
    assert plan is not None
    line = plan.open_lines.row(0, named=True)
    decisions.edit(demo, plan, {line["unique_id"]: 3.0}, "one box")
    edited = planning.standing(demo, supply.load(demo))
    assert edited is not None
    assert edited.run_id == plan.run_id
    assert edited.lines.filter(pl.col("status") == "edited")["unique_id"].to_list() == [line["unique_id"]]
    decisions.approve(demo, edited, [line["unique_id"]])
    assert planning.standing(demo, supply.load(demo)) is None
    again = make_plan(demo)
    assert planning.standing(demo, supply.load(demo)) is not None
    catalogue.edit_supplier(demo, "S-BRIN", {"lead_time_days": 2.0})
    assert planning.standing(demo, supply.load(demo)) is None
    assert make_plan(demo).run_id == (again.run_id or 0) + 1


def test_a_snoozed_line_comes_back_on_its_day(demo: App) -> None:
    plan = make_plan(demo)
    name = plan.open_lines["unique_id"][0]
    decisions.snooze(demo, plan, {name: MONDAY.replace(day=25)}, None)
    again = make_plan(demo, service_level=0.94)
    assert name not in again.open_lines["unique_id"]
    row = again.lines.row(by_predicate=pl.col("unique_id") == name, named=True)
    assert (row["status"], row["snoozed_until"]) == ("snoozed", MONDAY.replace(day=25))


def test_nothing_presses_where_no_stock_is_known(shop: App, book) -> None:
    from tests.services.worlds import sales

    book(movements=sales("A", MONDAY.replace(month=9), [3.0] * 60))
    plan = make_plan(shop)
    assert plan.open_lines.height == 1
    assert plan.due_now.height == 0
    line = plan.open_lines.row(0, named=True)
    assert line["quantity"] == line["demand"] + line["safety"]
    assert any("no stock on hand is known" in note for note in plan.notes)


def test_a_measured_lead_time_is_used_in_place_of_the_stated_one(demo: App) -> None:
    supplier = catalogue.suppliers(demo).row(by_predicate=pl.col("supplier") == "S-OKKE", named=True)
    assert supplier["measured_days"] > supplier["lead_time_days"]
    line = make_plan(demo).lines.filter(pl.col("supplier") == "S-OKKE").row(0, named=True)
    assert line["lead_time_periods"] >= round(supplier["used_days"])


def test_stating_a_shorter_lead_time_and_other_order_days_changes_the_plan(demo: App) -> None:
    before = make_plan(demo).lines.filter(pl.col("supplier") == "S-BRIN")
    catalogue.edit_supplier(demo, "Brindlewick Roastery", {"order_weekdays": "wed", "review_days": 7.0})
    after = make_plan(demo).lines.filter(pl.col("supplier") == "S-BRIN")
    assert before["wait_periods"].unique().to_list() == [0]
    assert after["wait_periods"].unique().to_list() == [2]
    assert after["mean_demand"].sum() > before["mean_demand"].sum()


def test_a_snoozed_line_can_be_approved_though_its_supplier_has_no_open_line(demo: App) -> None:
    plan = make_plan(demo)
    supplier = plan.orders["supplier"][0]
    own = plan.open_lines.filter(pl.col("supplier") == supplier)["unique_id"].to_list()
    decisions.snooze(demo, plan, dict.fromkeys(own, MONDAY.replace(day=30)), None)
    asleep = planning.latest(demo)
    assert asleep is not None
    assert supplier not in asleep.orders["supplier"]
    (made,) = decisions.approve(demo, asleep, own[:1])
    assert (made.supplier, made.lines) == (supplier, 1)


def test_stock_counted_after_the_sales_end_is_said_to_be_short_of_them(shop: App, book: Callable[..., None]) -> None:
    book(movements=sales("A", dt.date(2024, 9, 1), [3.0] * 60))  # until 30 October
    before = make_plan(shop, model="base_level", save=False)
    assert not any("ordered again" in note for note in before.notes)
    level = {
        "product": "A",
        "warehouse": "main",
        "on_hand": 5.0,
        "as_of": dt.datetime.fromisoformat("2024-11-08T09:00"),
    }
    book(stock_levels=[level])
    notes = make_plan(shop, model="base_level", save=False).notes
    assert any("sales are known until 2024-10-30 only: the demand of 8 days" in note for note in notes)


def test_a_planned_price_makes_the_plan_stale(demo: App) -> None:
    before = make_plan(demo)
    assert make_plan(demo).run_id == before.run_id
    line = before.lines.sort("mean_per_day", descending=True).row(0, named=True)
    prices.plan_price(demo, line["product"], 1.0, before.as_of)
    assert planning.standing(demo, supply.load(demo)) is None
    assert make_plan(demo).run_id != before.run_id
