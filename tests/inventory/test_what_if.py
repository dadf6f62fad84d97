"""What-if on a decision: the same paths, only what was asked is changed, and errors that say what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.inventory.optimise import OrderDecision, optimise
from shelfwise.inventory.order_inputs import Tuning
from shelfwise.inventory.what_if import Edits, LeadTimeChange, PriceChange, concerned

PERIODS = 10


def decided(limits: Any = None, **columns: Any) -> OrderDecision:
    """A decision about four products of two suppliers in two groups."""
    mean = np.array([2.0, 5.0, 30.0, 80.0])
    paths = np.random.default_rng(0).poisson(mean[:, None, None], (4, 80, PERIODS))
    items = {
        "unique_id": list("abcd"), "on_hand": [4, 8, 60, 100], "lead_time_periods": [2, 1, 2, 3],
        "unit_cost": [3.0, 2.0, 1.0, 0.5], "price": [6.0, 5.0, 2.0, 1.0], "supplier": ["S1", "S1", "S2", "S2"],
        "group": ["Tea", "Tea", "Mugs", "Mugs"],
    } | columns  # fmt: skip
    return optimise(items, paths, limits=limits)


@pytest.fixture(scope="module")
def base() -> OrderDecision:
    return decided()


def total(answer: Any, measure: str) -> tuple[float, float, float]:
    return answer.totals.row(by_predicate=pl.col("measure") == measure)[1:]


def test_nothing_asked_changes_nothing(base: OrderDecision) -> None:
    answer = base.what_if()
    assert (answer.totals["difference"] == 0).all()
    assert answer.decision.quantity.tolist() == base.quantity.tolist()


def test_the_same_question_has_the_same_answer(base: OrderDecision) -> None:
    once, twice = (base.what_if(demand=1.2, lead_time={"S1": 1}) for _ in range(2))
    assert_frame_equal(once.totals, twice.totals)
    assert_frame_equal(once.lines, twice.lines)


def test_an_edit_of_a_group_leaves_the_others_as_they_were(base: OrderDecision) -> None:
    answer = base.what_if(demand={"group:Tea": 2.0})
    tea, mugs = answer.lines[:2], answer.lines[2:]
    assert tea["demand"].to_list() == pytest.approx((2 * tea["base_demand"]).to_list())
    assert (tea["quantity"] > tea["base_quantity"]).all()
    for name in ("quantity", "demand", "lost_units", "stock_value"):
        assert mugs[name].to_list() == mugs[f"base_{name}"].to_list()


def test_a_promotion_raises_demand_in_its_periods_alone(base: OrderDecision) -> None:
    answer = base.what_if(promotion=[("d", 3.0, 4, 5)])
    asked = answer.decision.demand.draw(np.arange(4)) / np.maximum(base.demand.draw(np.arange(4)), 1)
    assert np.unique(asked[3, :, 3:5]).tolist() == [3.0]
    assert set(np.unique(asked[3, :, :3])) == {1.0}
    assert total(answer, "demand")[2] == pytest.approx(2 * base.demand.draw(np.arange(4))[3, :, 3:5].sum(1).mean())


def test_a_slower_supplier_needs_more_stock_on_order(base: OrderDecision) -> None:
    answer = base.what_if(lead_time={"S2": 2})
    lines = answer.lines
    assert lines["quantity"][2] > lines["base_quantity"][2]
    assert lines["quantity"][0] == lines["base_quantity"][0]
    assert answer.decision.terms.lead_mean.tolist() == [2, 1, 4, 5]


def test_a_budget_as_a_factor_cuts_what_would_be_spent(base: OrderDecision) -> None:
    answer = base.what_if(budget=0.5)
    spend = total(answer, "spend")
    assert spend[0] == pytest.approx(base.spend)
    assert spend[1] <= 0.5 * base.spend + 1e-9
    assert total(answer, "cost")[2] > 0


def test_a_budget_as_a_factor_scales_the_budget_there_is() -> None:
    one = decided(limits={"kind": ["budget"], "scope": [None], "value": [100.0]})
    assert one.what_if(budget=0.6).decision.prices["value"].to_list() == pytest.approx([60.0])
    named = one.what_if(budget={"S1": 20.0}).decision.prices
    assert named.select("scope", "value").rows() == [("S1", 20.0)]


def test_a_service_level_takes_the_place_of_those_there_were() -> None:
    low = decided({"kind": ["service"], "scope": ["Tea"], "value": [0.5]}, holding_cost=[2.0] * 4)
    answer = low.what_if(service_level=0.995)
    assert answer.decision.prices.select("kind", "scope", "value").rows() == [("service", None, 0.995)]
    assert answer.decision.quantity.sum() > low.quantity.sum()
    assert total(answer, "fill_rate")[2] > 0


def test_a_price_moves_margin_and_demand(base: OrderDecision) -> None:
    cut = PriceChange.with_elasticity("c", 0.9, -2.0)
    answer = base.what_if(price={"c": (cut.factor, cut.demand)})
    assert cut.demand == pytest.approx(0.9**-2)
    line = answer.lines.row(2, named=True)
    assert line["demand"] == pytest.approx(line["base_demand"] * cut.demand, rel=1e-6)
    sold = line["demand"] - line["lost_units"]
    assert line["margin"] == pytest.approx(sold * (0.9 * 2.0 - 1.0))


def test_the_rule_for_later_orders_is_that_of_the_decision() -> None:
    paths = np.full((1, 20, 8), 5.0)
    items = {"unique_id": ["a"], "on_hand": [10], "lead_time_periods": [1], "unit_cost": [1.0], "price": [9.0]}
    alone = optimise(items, paths, tuning=Tuning(follow_on="none")).what_if()
    served = optimise(items, paths).what_if()
    assert total(alone, "spend_later")[0] == 0
    assert total(served, "lost_units")[0] == 0
    assert total(served, "spend_later")[0] > 0


def test_a_closed_supplier_is_ordered_from_when_it_opens_and_brings_nothing_before(base: OrderDecision) -> None:
    answer = base.what_if(closed={"S1": 3})
    tea, mugs = answer.lines[:2], answer.lines[2:]
    assert tea["quantity"].sum() > tea["base_quantity"].sum()
    assert (tea["lost_units"] > tea["base_lost_units"]).all()
    for name in ("quantity", "lost_units", "spend_later"):
        assert mugs[name].to_list() == mugs[f"base_{name}"].to_list()
    nothing = base.what_if(closed={"S1": 0})
    assert (nothing.totals["difference"] == 0).all()


def test_what_is_due_from_a_closed_supplier_comes_when_it_opens() -> None:
    paths, items = np.full((1, 4, 8), 2.0), {"unique_id": ["a"], "on_hand": [2], "lead_time_periods": [2]}
    items |= {"price": [5.0], "supplier": ["S1"]}
    one = optimise(items, paths, inbound={"unique_id": ["a"], "period": [2], "quantity": [20.0]})
    answer = one.what_if(closed=3)
    assert answer.lines["base_lost_units"].to_list() == [0.0]
    assert answer.lines["lost_units"].to_list() == [4.0]  # of periods 2 and 3: the 20 come in period 4
    assert answer.decision.due[0, :4].tolist() == [0.0, 0.0, 0.0, 20.0]


def test_what_cannot_be_asked_is_refused_in_words(base: OrderDecision) -> None:
    with pytest.raises(ParameterError, match="no line is about 'Tee'; name a product"):
        base.what_if(demand={"Tee": 1.1})
    with pytest.raises(ParameterError, match="must be a factor from 0 to 100, got -1"):
        base.what_if(demand=-1.0)
    with pytest.raises(ParameterError, match=r"service_level must be above 0 and below 1, got 97"):
        base.what_if(service_level=97)
    with pytest.raises(ParameterError, match="a budget must be zero or more, got -5 for S1"):
        base.what_if(budget={"S1": -5.0})
    with pytest.raises(ParameterError, match="periods must rise from 1 on, got 4 to 2"):
        base.what_if(promotion=[("a", 1.5, 4, 2)])
    with pytest.raises(DataError, match="longer than the horizon of 10; forecast at least 13 periods"):
        base.what_if(lead_time=9)
    with pytest.raises(ParameterError, match=r"closed for whole periods from now on, got 1.5 for S1"):
        base.what_if(closed={"S1": 1.5})
    with pytest.raises(ParameterError, match="no line is about 'supplier:S9'"):
        base.what_if(closed={"S9": 1})
    with pytest.raises(DataError, match="horizon"):
        base.what_if(closed=9)
    with pytest.raises(ParameterError, match="elasticity must be zero or less"):
        PriceChange.with_elasticity("a", 0.9, 1.5)
    unpriced = decided(price=[None] * 4, shortage_cost=[1.0] * 4)
    with pytest.raises(DataError, match="the price of item 'a' is not known"):
        unpriced.what_if(price={"a": (0.9, 1.2)})


def test_lead_times_change_by_factor_and_by_periods_and_never_below_zero() -> None:
    assert LeadTimeChange("S1", added=-5.0, factor=2.0).of(np.array([1.0, 4.0])).tolist() == [0.0, 3.0]


def test_changes_that_meet_multiply() -> None:
    edits = Edits.of(demand={"a": 1.5, "all": 2.0}, price={"a": (0.9, 1.2)}, promotion=[("a", 2.0, 2, 2)])
    table = pl.DataFrame({"unique_id": ["a", "b"]})
    assert edits.demand_factors(table, 2)[0].tolist() == pytest.approx([3.6, 7.2])
    assert edits.price_factors(table).tolist() == [0.9, 1.0]


def test_a_scope_is_looked_up_in_its_own_column() -> None:
    table = pl.DataFrame({"unique_id": ["Tea@x", "b@x"], "product": ["Tea", "b"], "category": ["Mugs", "Tea"]})
    assert concerned("category:Tea", table).tolist() == [False, True]
    assert concerned("product:Tea", table).tolist() == [True, False]
    assert concerned("line:b@x", table).tolist() == [False, True]
