"""From frames to a plan of several periods: what it takes, what it answers, what it refuses."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose

import shelfwise as sw
from shelfwise.domain.errors import DataError, ParameterError

ITEMS = pl.DataFrame(
    {
        "unique_id": ["beans", "tea", "cups"],
        "on_hand": [10.0, 4.0, 0.0],
        "lead_time_periods": [1.0, 2.0, 1.0],
        "price": [9.0, 6.0, 12.0],
        "pack": [6.0, 4.0, 1.0],
        "order_cost": [2.0, 2.0, 2.0],
        "volume": [0.01, 0.02, 0.05],
        "supplier": ["north", "north", "south"],
        "warehouse": ["W1", "W1", "W1"],
    }
)
LIMITS = pl.DataFrame(
    {
        "kind": ["budget", "budget", "space"],
        "scope": [None, "north", "W1"],
        "period": [None, 2, None],
        "value": [90.0, 30.0, 1.0],
    }
)


def paths(n_paths: int = 8) -> np.ndarray:
    rng = np.random.default_rng(5)
    return rng.poisson(np.array([8.0, 5.0, 3.0])[:, None, None], (3, n_paths, 6)).astype(np.float32)


def test_the_plan_keeps_weekly_limits_and_tells_what_more_of_them_is_worth() -> None:
    plan = sw.plan_orders(ITEMS, paths(), limits=LIMITS, periods=4, gap=0.15)
    spend = plan.orders.group_by("period").agg(pl.col("spend").sum())
    assert (spend["spend"] <= 90.0 + 1e-9).all()
    north = plan.orders.filter((pl.col("supplier") == "north") & (pl.col("period") == 2))
    assert north["spend"].sum() <= 30.0 + 1e-9
    assert plan.prices.filter(pl.col("kind") == "budget").height == 5
    assert plan.prices.filter(pl.col("kind") == "space")["period"].to_list() == [1, 2, 3, 4, 5, 6]
    assert (plan.prices["used"] <= plan.prices["value"] + 1e-9).all()
    assert plan.prices["price"].max() > 0
    assert plan.bound <= plan.cost
    assert 0 <= plan.gap < 1
    assert plan.infeasible == ()


def test_orders_come_by_period_with_arrival_and_spend() -> None:
    plan = sw.plan_orders(ITEMS, paths(), periods=4)
    orders = plan.orders
    assert orders["period"].is_sorted()
    lead = dict(zip(ITEMS["unique_id"], ITEMS["lead_time_periods"], strict=True))
    assert [row["period"] + lead[row["unique_id"]] for row in orders.to_dicts()] == orders["arrives"].to_list()
    cost = dict(zip(ITEMS["unique_id"], 0.6 * ITEMS["price"], strict=True))
    assert_allclose(orders["spend"], [row["quantity"] * cost[row["unique_id"]] for row in orders.to_dicts()])
    assert f"{orders.height} orders of 3 items over 4 periods" in repr(plan)
    assert any("unit_cost" in note for note in plan.notes)


def test_a_plan_is_made_on_no_more_paths_than_asked_for() -> None:
    many, few = paths(20), paths(20)[:, :5]
    one = sw.plan_orders(ITEMS, many, periods=3, n_paths=5)
    two = sw.plan_orders(ITEMS, few, periods=3)
    assert one.cost == two.cost


def test_a_forecast_is_planned_with_what_is_due() -> None:
    days = pl.date_range(pl.date(2026, 1, 1), pl.date(2026, 3, 1), eager=True)
    history = pl.concat(
        [pl.DataFrame({"unique_id": name, "ds": days, "y": float(k + 3)}) for k, name in enumerate(ITEMS["unique_id"])]
    )
    ahead = sw.forecast(history, horizon=6, model="seasonal_naive", n_paths=60)
    empty = sw.plan_orders(ITEMS, ahead, periods=3)
    due = pl.DataFrame({"unique_id": ["cups", "cups"], "period": [2, 40], "quantity": [500.0, 7.0]})
    stocked = sw.plan_orders(ITEMS, ahead, inbound=due, periods=3)
    assert empty.orders.filter(pl.col("unique_id") == "cups").height
    assert not stocked.orders.filter(pl.col("unique_id") == "cups").height
    assert any("7 units due after the horizon" in note for note in stocked.notes)


def test_what_a_plan_cannot_do_is_refused_with_a_way_out() -> None:
    with pytest.raises(ParameterError, match="keeps budgets and space, got the supplier minimum of north"):
        sw.plan_orders(ITEMS, paths(), limits={"kind": ["supplier_min"], "scope": ["north"], "value": [50.0]})
    with pytest.raises(DataError, match="is for period 5, but orders of periods 1 to 4 are planned"):
        sw.plan_orders(ITEMS, paths(), limits={"kind": ["budget"], "period": [5], "value": [50.0]}, periods=4)
    with pytest.raises(DataError, match="with plan_orders"):
        sw.optimise(ITEMS, paths(), limits={"kind": ["budget"], "period": [5], "value": [50.0]})
    with pytest.raises(ParameterError, match="n_paths must be at least 1, got 0"):
        sw.plan_orders(ITEMS, paths(), n_paths=0)
    with pytest.raises(DataError, match="demand has paths of 2 items, items has 3 rows"):
        sw.plan_orders(ITEMS, paths()[:2])
    with pytest.raises(ParameterError, match="periods must be from 1 to the horizon 6, got 7"):
        sw.plan_orders(ITEMS, paths(), periods=7)


def test_orders_of_more_packs_than_can_be_told_apart_are_refused() -> None:
    with pytest.raises(ParameterError, match="give demand in larger units or a larger pack"):
        sw.plan_orders(ITEMS, paths() * 10**9)
