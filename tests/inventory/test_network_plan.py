"""Plans of several periods under shared limits: what they keep, what they refuse, what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.inventory.plan_worlds import PlanWorld, plan_world

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.order_options import Limit


@pytest.fixture(scope="module")
def world() -> PlanWorld:
    return plan_world(11, n=12, n_paths=5, horizon=5)


def test_a_plan_without_limits_is_proven_best_and_has_no_prices(world: PlanWorld) -> None:
    plan = replace(world, limits=()).plan()
    assert plan.gap < 1e-6
    assert plan.prices.shape == plan.used.shape == (0,)
    assert plan.stopped == "gap"


def test_limits_cost_money_and_what_binds_has_a_price(world: PlanWorld) -> None:
    free, tied = replace(world, limits=()).plan(), world.plan(gap=0.05, time_limit=20.0)
    assert tied.cost > free.cost
    assert np.all(tied.used <= tied.allowed + 1e-6)
    assert tied.prices.max() > 0
    assert np.all(tied.prices >= 0)


def test_a_limit_without_a_period_holds_in_each(world: PlanWorld) -> None:
    plan = world.plan(gap=0.05, time_limit=10.0)
    spend = plan.quantity * world.terms.unit_cost[:, None]
    assert np.all(spend.sum(axis=0) <= world.limits[0].value + 1e-6)
    assert [row.period for row in plan.rows if row.scope is None] == [1, 2, 3, 4, 5]


def test_space_that_stock_already_exceeds_is_raised_and_said(world: PlanWorld) -> None:
    none = Limit("space", "odd", 1, 0.0, world.limits[2].members)
    plan = replace(world, limits=(none,)).plan(gap=0.05, time_limit=10.0)
    assert "space of odd in period 1" in plan.infeasible[0]
    assert plan.used[0] <= plan.allowed[0] + 1e-9


def test_same_world_same_plan(world: PlanWorld) -> None:
    one, two = (world.plan(gap=0.1, time_limit=30.0) for _ in range(2))
    assert_allclose(one.quantity, two.quantity)
    assert one.bound == two.bound


def test_orders_are_placed_only_at_reviews_and_planned_periods(world: PlanWorld) -> None:
    plan = replace(world, limits=()).plan(periods=3)
    assert plan.quantity.shape == (12, 3)
    assert np.all(plan.quantity[world.terms.review == 2, 1] == 0)


def test_an_item_that_may_order_nothing_gets_nothing(world: PlanWorld) -> None:
    largest = world.terms.largest.copy()
    largest[0] = 0.0
    plan = replace(world, terms=replace(world.terms, largest=largest)).plan(gap=0.05, time_limit=10.0)
    assert plan.quantity[0].sum() == 0


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"gap": -1.0}, "gap must be zero or more"),
        ({"time_limit": 0.0}, "time_limit must be above 0"),
        ({"periods": 9}, "periods must be from 1 to the horizon 5"),
        ({"unmet": "gone"}, "unmet must be one of lost, backorder"),
        ({"longest_held": np.nan}, "longest_held must be zero or more"),
    ],
)
def test_wrong_choices_are_refused(world: PlanWorld, choices: dict[str, object], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        world.plan(**choices)


def test_what_a_plan_cannot_keep_is_refused(world: PlanWorld) -> None:
    service = Limit("service", "fast", None, 0.9, world.limits[0].members)
    with pytest.raises(ParameterError, match="keeps budgets and space, got the service target of fast"):
        replace(world, limits=(service,)).plan()
    late = Limit("budget", None, 6, 10.0, world.limits[0].members)
    with pytest.raises(ParameterError, match="is for period 6; the plan has periods 1 to 5"):
        replace(world, limits=(late,)).plan()
    with pytest.raises(ParameterError, match="plan at most 10"):
        plan_world(1, n=4, n_paths=1, horizon=14).plan()
    with pytest.raises(ParameterError, match="paths must be finite"):
        replace(world, paths=world.paths * np.nan).plan()
    with pytest.raises(ParameterError, match="do not fit paths"):
        replace(world, due=world.due[:, :2]).plan()
