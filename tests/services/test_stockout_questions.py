"""Questions about running out: the walk down the paths, what the caller knows better, and the day to order by."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest
from tests.services.worlds import MONDAY, count, sales

from shelfwise.app import App
from shelfwise.domain.errors import DataError, NotFound, ParameterError
from shelfwise.services import demand_questions, risks
from shelfwise.services.demand_questions import Features
from shelfwise.services.stockout_questions import Question, answer, answer_all

FIRST = MONDAY - dt.timedelta(days=112)
START = MONDAY
NOON = dt.datetime.combine(START - dt.timedelta(days=1), dt.time(20))


@pytest.fixture
def filled(quick: App, fill) -> App:
    fill(
        suppliers=[{"supplier": "S1", "lead_time_days": 3.0, "review_days": 7.0}],
        products=[{"product": "TEA", "supplier": "S1", "price": 9.0, "unit_cost": 5.0}, {"product": "MUG"}],
        movements=[
            *sales("TEA", FIRST, [4.0] * 112), count("TEA", NOON, 20.0),
            *sales("MUG", FIRST, [1.0] * 112), *sales("MUG", FIRST, [2.0] * 112, warehouse="web"),
        ],
    )  # fmt: skip
    return quick


def about(product: str = "TEA", horizon: int = 10, warehouse: str | None = None, **changes: Any) -> Question:
    return Question(demand_questions.Question(product, horizon, warehouse, with_metrics=False), **changes)


def steady(units: float, days: int = 60) -> Features:
    first = dt.datetime.combine(START - dt.timedelta(days=days), dt.time())
    return Features(sales=tuple((first + dt.timedelta(days=n), units) for n in range(days)))


def test_the_risk_is_that_of_the_whole_shops_table(filled: App):
    found = answer(filled, about(horizon=21))
    row = risks.assess(filled, products=["TEA"], days=21, correct=False).table.row(0, named=True)
    assert found.probability[-1] == pytest.approx(row["chance_paths"], abs=0.02)
    assert sum(found.lost_units) == pytest.approx(row["lost_units"], rel=0.05)
    assert found.lost_margin == pytest.approx(sum(found.lost_units) * 4.0)
    assert (found.on_hand, found.warehouse, found.lead_time_days) == (20.0, "main", 3.0)
    assert found.dates[0] == START
    assert found.severity == row["severity"]


def test_the_chance_never_falls_and_the_days_stand_in_order(filled: App):
    found = answer(filled, about(horizon=28))
    assert list(found.probability) == sorted(found.probability)
    early, median, late = (found.days_until[share] for share in (0.1, 0.5, 0.9))
    assert early is not None
    assert median is not None
    assert late is not None
    assert early <= median <= late
    assert found.probability[median] >= 0.5 > found.probability[median - 1]


def test_a_steady_demand_runs_out_on_the_day_that_arithmetic_says(filled: App):
    asked = demand_questions.Question("X", 10, model="seasonal_naive", features=steady(4.0), with_metrics=False)
    found = answer(filled, Question(asked, on_hand=10.0, inbound=((START + dt.timedelta(days=3), 8.0),)))
    # left at the end of each day: 6, 2, 0 (2 lost), 4 with the 8 that came, 0, 0 (4 lost)
    assert next(day for day, chance in enumerate(found.probability) if chance > 0.5) == 2
    np.testing.assert_allclose(np.round(found.lost_units[:6]), [0, 0, 2, 0, 0, 4], atol=1.0)
    assert found.lost_margin is None
    priced = answer(filled, Question(asked, on_hand=10.0, price=3.0, unit_cost=1.0))
    assert priced.lost_margin == pytest.approx(sum(priced.lost_units) * 2.0)
    loss = answer(filled, Question(asked, on_hand=10.0, price=1.0, unit_cost=3.0))
    assert (loss.unit_margin, loss.lost_margin) == (0.0, 0.0)


def test_what_is_said_stands_in_place_of_what_is_stored(filled: App):
    known = answer(filled, about())
    full = answer(filled, about(on_hand=1000.0))
    assert full.probability[-1] == 0.0
    assert full.days_until == {0.1: None, 0.5: None, 0.9: None}
    assert (full.order_by, full.last_helpful_order, full.severity) == (None, None, "none")
    slow = answer(filled, about(lead_time_days=30.0))
    assert known.order_by is not None
    assert slow.order_by is not None
    assert (known.order_by - slow.order_by).days == 27
    assert answer(filled, about(inbound=((START - dt.timedelta(days=9), 980.0),))).inbound_units == 980.0
    assert answer(filled, about()) == known


def test_a_product_in_two_warehouses_must_be_asked_for_in_one(filled: App):
    with pytest.raises(ParameterError, match="MUG sells in main, web, each with stock of its own"):
        answer(filled, about("MUG"))
    with pytest.raises(DataError, match="was never counted"):
        answer(filled, about("MUG", warehouse="web"))
    assert answer(filled, about("MUG", warehouse="web", on_hand=3.0)).warehouse == "web"


def test_many_questions_fail_alone(filled: App):
    found = answer_all(filled, [about(), about("NOPE"), about("MUG"), about("MUG", warehouse="web", on_hand=1.0)])
    assert [type(one.error) for one in found] == [type(None), NotFound, ParameterError, type(None)]
    assert found[0].answer == answer(filled, about())


@pytest.mark.parametrize("changes", [{"on_hand": float("nan")}, {"lead_time_days": -1.0}, {"price": float("inf")}])
def test_numbers_that_are_none_are_refused(changes: dict[str, float]):
    with pytest.raises(ParameterError, match=next(iter(changes))):
        about(**changes)


def test_a_stockout_is_told_by_day():
    with pytest.raises(ParameterError, match="granularity must be 1d"):
        Question(demand_questions.Question("TEA", 4, granularity="1w"))
