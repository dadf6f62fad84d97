"""What-if on a shop: nothing asked changes nothing, an edit does what a plan would, and no guess goes unsaid."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.services.worlds import MONDAY

from shelfwise.app import App
from shelfwise.domain.errors import NotFound, ParameterError
from shelfwise.services import decisions, overrides, planning, what_if
from shelfwise.services.adjusting import Change
from shelfwise.services.what_if import ask
from shelfwise.services.what_if_questions import LeadTimeChange, Price, Promotion, Question, elasticity_of, lift_of

WEEK = MONDAY + dt.timedelta(days=13), MONDAY + dt.timedelta(days=19)


@pytest.fixture
def line(demo: App) -> dict:
    """A line of which the plan orders a good number."""
    lines = planning.make_plan(demo).lines.filter((pl.col("quantity") > 10) & pl.col("stock_known"))
    return lines.sort("mean_per_day", descending=True).row(0, named=True)


def slower(supplier: str, days: float) -> Question:
    return Question(lead_time={supplier: LeadTimeChange(supplier, days)})


def test_nothing_asked_changes_nothing_and_the_base_is_the_plan_as_proposed(demo: App) -> None:
    answer = ask(demo, Question())
    assert (answer.totals["difference"] == 0).all()
    assert answer.changed.is_empty()
    plan = planning.latest(demo)
    assert plan is not None
    both = plan.lines.select("unique_id", "proposed").join(answer.lines, on="unique_id")
    assert both.height == plan.lines.height
    assert both["quantity"].to_list() == both["proposed"].to_list() == both["base_quantity"].to_list()


def test_the_same_question_has_the_same_answer_whatever_is_worked_on_at_once(
    demo: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = Question(demand={"shop": 1.2}, closed={"S-QANL": MONDAY + dt.timedelta(days=10)})
    once = ask(demo, question)
    monkeypatch.setattr(what_if, "CELLS_PER_CHUNK", 300_000)
    again = ask(demo, question)
    assert_frame_equal(once.lines, again.lines)
    assert_frame_equal(once.totals, again.totals)


def test_asking_changes_nothing_in_the_store(demo: App) -> None:
    before = planning.latest(demo)
    ask(demo, Question(demand={"shop": 1.5}, budget={"all": 5000.0}, service_level=0.99))
    after = planning.latest(demo)
    assert before is not None
    assert after is not None
    assert after.run_id == before.run_id
    assert_frame_equal(after.lines, before.lines)


def test_more_demand_orders_what_the_plan_would_with_such_an_override(demo: App, line: dict) -> None:
    answer = ask(demo, Question(demand={line["product"]: 1.4}))
    plan = planning.make_plan(demo)
    until = plan.as_of + dt.timedelta(days=plan.horizon + 30)
    overrides.set_forecast(demo, line["product"], Change.parse("+40%"), until=until, reason="as asked")
    planned = planning.make_plan(demo).lines.select("unique_id", "proposed")
    both = answer.lines.join(planned, on="unique_id")
    assert both["quantity"].to_list() == both["proposed"].to_list()
    assert answer.changed["product"].unique().to_list() == [line["product"]]


def test_a_slower_supplier_needs_more_and_serves_less_and_others_stay(demo: App) -> None:
    answer = ask(demo, slower("S-BRIN", 5.0))
    mine = answer.lines.filter(pl.col("supplier") == "S-BRIN")
    assert (mine["quantity"] >= mine["base_quantity"]).all()
    assert mine["quantity"].sum() > mine["base_quantity"].sum()
    assert answer.total("lost_units")[2] > 0
    assert set(answer.changed["supplier"]) == {"S-BRIN"}


def test_a_closed_supplier_brings_nothing_until_it_opens(demo: App) -> None:
    until = MONDAY + dt.timedelta(days=40)
    answer = ask(demo, Question(closed={"s-qanl": until}))
    assert answer.question.closed == {"S-QANL": until}
    assert answer.asked == ("S-QANL closed until Sat 28 Dec 2024",)
    assert set(answer.changed["supplier"]) == {"S-QANL"}
    assert answer.total("stockout_days")[2] > 0
    assert any("days beyond are taken to be like the last 28" in note for note in answer.notes)


def test_a_budget_is_kept_and_costs_service(demo: App) -> None:
    answer = ask(demo, Question(budget={"all": 4000.0}))
    _, spend, less = answer.total("spend")
    assert 0 < spend <= 4000.0
    assert less < 0
    assert answer.total("fill_rate")[2] < 0
    assert (answer.lines["quantity"] <= answer.lines["base_quantity"]).all()


def test_a_higher_service_level_serves_more_and_holds_more(demo: App) -> None:
    answer = ask(demo, Question(service_level=0.99))
    assert (answer.lines["quantity"] >= answer.lines["base_quantity"]).all()
    assert answer.total("fill_rate")[2] > 0
    assert answer.total("stock_value")[2] > 0


def test_the_budget_of_the_plan_holds_in_the_scenario_too(demo: App) -> None:
    planning.make_plan(demo, budgets={"all": 3000.0})
    answer = ask(demo, Question(demand={"shop": 1.3}))
    assert answer.total("spend")[0] <= 3000.0
    assert answer.total("spend")[1] <= 3000.0
    plan = planning.latest(demo)
    assert plan is not None
    assert plan.run_id == answer.run_id
    assert plan.budget is not None


def test_a_budget_of_a_supplier_who_has_been_ordered_from_is_over(demo: App) -> None:
    plan = planning.make_plan(demo, budgets={"S-BRIN": 500.0})
    decisions.approve(demo, plan, ["S-BRIN"])
    answer = ask(demo, Question(demand={"shop": 1.1}))
    assert answer.run_id > (plan.run_id or 0)
    assert answer.total("demand")[2] > 0


def test_a_promotion_with_a_factor_raises_the_demand_of_its_days(demo: App, line: dict) -> None:
    plan = planning.make_plan(demo)
    answer = ask(demo, Question(promotions=(Promotion(line["unique_id"], *WEEK, 3.0),)))
    row = answer.lines.filter(pl.col("unique_id") == line["unique_id"]).row(0, named=True)
    forecast = planning.published_forecast(demo, plan.run_id or 0)
    own = forecast.mean()[forecast.ids.to_list().index(line["unique_id"])]
    assert row["demand"] - row["base_demand"] <= 2.2 * own[13:20].sum()
    assert row["demand"] > row["base_demand"]
    assert answer.changed["unique_id"].to_list() == [line["unique_id"]]


def test_a_promotion_without_a_factor_takes_the_models_own_and_says_so(demo: App, line: dict) -> None:
    answer = ask(demo, Question(promotions=(Promotion(f"category:{line['category']}", *WEEK),)))
    assert any("is taken to lift demand by +" in note and "as the model expects" in note for note in answer.notes)
    assert answer.total("demand")[2] > 0


def test_where_no_lift_is_known_the_error_says_what_to_add() -> None:
    with pytest.raises(ParameterError, match=r"give a factor, like --promotion tea=1.5@2024-12-01\.\.2024-12-07"):
        lift_of(Promotion("tea", *WEEK), None, "Tea")


def test_a_lower_price_sells_more_at_a_lower_margin(demo: App, line: dict) -> None:
    answer = ask(demo, Question(prices=(Price(line["product"], 0.9, 1.25),)))
    row = answer.lines.filter(pl.col("unique_id") == line["unique_id"]).row(0, named=True)
    assert row["demand"] > 1.2 * row["base_demand"]
    earned = row["margin"] / (row["demand"] - row["lost_units"])
    assert earned < row["base_margin"] / (row["base_demand"] - row["base_lost_units"])


def test_an_elasticity_says_what_a_price_does_where_nothing_else_does() -> None:
    price = Price("tea", 0.9)
    assert elasticity_of(price, Question(prices=(price,), elasticity=-1.5), None, "Tea") == -1.5
    with pytest.raises(ParameterError, match=r"give --elasticity, like -1.5, or the demand itself, like --price tea="):
        elasticity_of(price, Question(prices=(price,)), None, "Tea")
    known = pl.DataFrame(
        {"kind": "price", "name": "price down", "category": [None, "Tea"], "forecast_lift": [1.5, 1.2], "periods": 9}
    )
    assert 0.9 ** elasticity_of(price, Question(prices=(price,)), known, "Tea") == pytest.approx(1.2)
    assert 0.9 ** elasticity_of(price, Question(prices=(price,)), known, "Cups") == pytest.approx(1.5)


def test_a_line_without_a_count_has_no_service_to_tell(demo: App, line: dict) -> None:
    with demo.database.write() as connection:
        connection.exec_driver_sql(
            "DELETE FROM stock_levels WHERE product_id = (SELECT id FROM products WHERE code = ?)", (line["product"],)
        )
    answer = ask(demo, Question(demand={"shop": 1.1}))
    row = answer.lines.filter(pl.col("unique_id") == line["unique_id"]).row(0, named=True)
    assert row["lost_units"] is None
    assert row["quantity"] > 0
    assert any("no stock count" in note for note in answer.notes)


def test_what_cannot_be_asked_is_refused_in_words(demo: App) -> None:
    with pytest.raises(NotFound, match="there is no supplier 'S-BRIM'; the nearest is S-BRIN"):
        ask(demo, slower("S-BRIM", 2.0))
    with pytest.raises(ParameterError, match="cannot be closed until 2024-11-01; the plan is of 2024-11-18"):
        ask(demo, Question(closed={"S-BRIN": dt.date(2024, 11, 1)}))
    with pytest.raises(ParameterError, match="is not within the .* days from 2024-11-18 on that are forecast"):
        ask(demo, Question(promotions=(Promotion("shop", dt.date(2026, 1, 1), dt.date(2026, 1, 7), 1.5),)))
    with pytest.raises(ParameterError, match="must be a factor above 0"):
        Question(demand={"shop": -0.5})
    with pytest.raises(ParameterError, match="cannot end before it begins"):
        Promotion("shop", WEEK[1], WEEK[0])


def test_a_question_survives_being_kept() -> None:
    question = Question(
        demand={"all": 1.1}, lead_time={"S1": LeadTimeChange("S1", 2.0, 1.5)}, closed={"S1": WEEK[0]},
        budget={"all": 5.0}, service_level=0.9, promotions=(Promotion("a", *WEEK, 1.5),),
        prices=(Price("a", 0.9, 1.1), Price("b", 1.1)), elasticity=-1.5,
    )  # fmt: skip
    assert Question.from_json(question.to_json()) == question
    assert Question().is_empty
    assert not question.is_empty
