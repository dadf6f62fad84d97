"""Policies over given demand: the fast simulation against a slow twin, and closed forms against textbooks and search.

Snyder and Shen, Fundamentals of Supply Chain Theory: examples 3.1 and 3.8 (EOQ without and with backorders), 4.3
(newsvendor), 4.7 ((s, S) of Poisson demand). Federgruen and Zheng 1992: the first of their (r, Q) cases.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.closed_forms import (
    UnitCosts,
    eoq_with_backorders,
    negative_binomial,
    newsvendor_discrete,
    newsvendor_normal,
    over_periods,
    poisson,
    reorder_and_order_up_to,
    reorder_point_and_quantity,
)
from shelfwise.inventory.policies import (
    BaseStock,
    PeriodicReview,
    Policy,
    ReorderPointOrderUpTo,
    ReorderPointQuantity,
)
from shelfwise.inventory.simulation import simulate


def by_hand(
    policy: Policy, demand: list[float], on_hand: float, lead: int, unmet: str, costs: tuple[float, float, float]
) -> dict[str, float]:
    """Walk one product through one path, period by period."""
    holding, shortage, fixed = costs
    stock, owed, coming = on_hand, 0.0, [0.0] * (len(demand) + lead + 1)
    sums = dict.fromkeys(("served", "short", "short_periods", "ordered", "orders", "holding", "shortage", "stock"), 0.0)
    cycles, good, fine = 0, 0, True
    for period, asked in enumerate(demand):
        position = stock - owed + sum(coming[period:])
        quantity = float(policy.order_quantity([position], period)[0])
        coming[period + lead] += quantity
        sums["ordered"] += quantity
        sums["orders"] += quantity > 0
        if coming[period] > 0:
            cycles, good, fine = cycles + 1, good + fine, True
        stock += coming[period]
        first = min(stock, owed)
        stock, owed = stock - first, owed - first
        now = min(stock, asked)
        stock -= now
        sums["served"] += first + now
        sums["short"] += asked - now
        sums["short_periods"] += asked > now
        fine = fine and asked - now == 0
        if unmet == "backorder":
            owed += asked - now
            sums["shortage"] += shortage * owed
        else:
            sums["shortage"] += shortage * (asked - now)
        sums["holding"] += holding * stock
        sums["stock"] += stock
    return {
        **sums,
        "left": stock,
        "owed": owed,
        "on_order": sum(coming[len(demand) :]),
        "cycle_service": (good + fine) / (cycles + 1),
        "cost": sums["holding"] + sums["shortage"] + fixed * sums["orders"],
    }


POLICIES = [
    BaseStock([12.0, 7.0, 30.0]),
    BaseStock([12.0, 7.0, 30.0], pack=[1.0, 4.0, 6.0]),
    ReorderPointQuantity([9.0, 4.0, 20.0], [6.0, 5.0, 18.0]),
    ReorderPointOrderUpTo([9.0, 4.0, 20.0], [16.0, 9.0, 40.0]),
    PeriodicReview([1, 2, 3], [14.0, 12.0, 44.0]),
]


@pytest.mark.parametrize("unmet", ["lost", "backorder"])
@pytest.mark.parametrize("lead", [0, 1, 3])
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_the_fast_simulation_is_the_walk_by_hand(policy: Policy, lead: int, unmet: str) -> None:
    demand = np.random.default_rng(1).poisson([[[3.0]], [[1.0]], [[7.0]]], size=(3, 4, 30)).astype(float)
    leads = np.array([lead, 2, lead])
    costs = (0.3, 1.7, 2.0)
    opening = np.array([5.0, 0.0, 20.0])
    done = simulate(
        policy, demand, on_hand=opening, lead_time_periods=leads, unmet=unmet,
        holding_cost=costs[0], shortage_cost=costs[1], order_cost=costs[2],
    )  # fmt: skip
    for i in range(3):
        own = type(policy)(*(np.atleast_1d(v)[i if np.size(v) > 1 else 0] for v in vars(policy).values()))
        for s in range(4):
            slow = by_hand(own, demand[i, s].tolist(), opening[i], int(leads[i]), unmet, costs)
            for name in ("served", "short", "ordered", "orders", "left", "owed", "on_order", "cycle_service", "cost"):
                assert getattr(done, name)[i, s] == pytest.approx(slow[name], abs=1e-9), (name, i, s)


def test_a_path_with_a_lead_time_of_its_own_is_walked_with_it() -> None:
    demand = np.random.default_rng(2).poisson([[[3.0]], [[7.0]]], size=(2, 4, 30)).astype(float)
    leads = np.array([[0, 1, 4, 2], [3, 3, 0, 1]])
    policy = BaseStock([12.0, 30.0])
    done = simulate(policy, demand, on_hand=[5.0, 20.0], lead_time_periods=leads)
    for i in range(2):
        for s in range(4):
            own = BaseStock([[12.0, 30.0][i]])
            slow = by_hand(own, demand[i, s].tolist(), [5.0, 20.0][i], int(leads[i, s]), "lost", (0.0, 0.0, 0.0))
            for name in ("served", "short", "short_periods", "ordered", "left", "on_order", "cycle_service"):
                assert getattr(done, name)[i, s] == pytest.approx(slow[name], abs=1e-9), (name, i, s)


def test_inbound_is_on_the_shelf_from_the_start_of_its_period() -> None:
    done = simulate(BaseStock([0.0]), [[2.0, 2.0]], on_hand=0.0, lead_time_periods=1, inbound=[[0.0, 3.0]])
    assert (done.short[0, 0], done.left[0, 0], done.on_order[0, 0]) == (2.0, 1.0, 0.0)


def test_what_cannot_be_simulated_is_refused_in_words() -> None:
    policy = BaseStock([1.0])
    with pytest.raises(ParameterError, match="demand must be finite and zero or more"):
        simulate(policy, [[1.0, np.nan]], on_hand=0.0, lead_time_periods=1)
    with pytest.raises(ParameterError, match="lead times must be whole periods"):
        simulate(policy, [[1.0]], on_hand=0.0, lead_time_periods=0.5)
    with pytest.raises(ParameterError, match="on_hand must be finite and zero or more, got -1"):
        simulate(policy, [[1.0]], on_hand=-1.0, lead_time_periods=1)
    with pytest.raises(ParameterError, match="unmet must be one of lost, backorder"):
        simulate(policy, [[1.0]], on_hand=0.0, lead_time_periods=1, unmet="kept")


def test_newsvendor_of_example_4_3() -> None:
    level, cost = newsvendor_normal(50.0, 8.0, holding_cost=0.18, shortage_cost=0.70)
    assert (float(level), float(cost)) == pytest.approx((56.60395592743389, 1.9976051931766445), rel=1e-9)


def test_base_stock_covers_lead_time_and_review() -> None:
    level, cost = newsvendor_normal(50.0, 8.0, holding_cost=0.18, shortage_cost=0.70, lead_time_periods=3)
    assert float(level) == pytest.approx(4 * 50 + 2 * (56.60395592743389 - 50), rel=1e-9)
    assert float(cost) == pytest.approx(2 * 1.9976051931766445, rel=1e-9)


def test_eoq_with_backorders_of_example_3_8() -> None:
    assert [float(v) for v in eoq_with_backorders(1300.0, 8.0, 0.225, 5.0)] == pytest.approx(
        [310.81255515896464, 0.0430622009569378, 66.92136355097325], rel=1e-9
    )


def test_s_S_of_example_4_7() -> None:
    found = reorder_and_order_up_to(poisson(6.0), holding_cost=1.0, shortage_cost=4.0, order_cost=5.0)
    assert found == pytest.approx((4, 10, 8.034111561471642), rel=1e-7)


def test_r_Q_of_federgruen_and_zheng() -> None:
    found = reorder_point_and_quantity(1.5, 2.0, holding_cost=20.0, shortage_cost=150.0, order_cost=100.0)
    assert found == pytest.approx((3, 5, 107.92358063314975), rel=1e-7)


@pytest.mark.parametrize("chances", [poisson(3.2), negative_binomial(3.2, 12.0)], ids=["poisson", "negative_binomial"])
@pytest.mark.parametrize("order_cost", [0.0, 4.0, 40.0])
@pytest.mark.parametrize("lead", [0, 2])
def test_no_other_s_S_costs_less_in_a_search(chances: np.ndarray, order_cost: float, lead: int) -> None:
    s, up_to, cost = reorder_and_order_up_to(
        chances, holding_cost=1.0, shortage_cost=6.0, order_cost=order_cost, lead_time_periods=lead
    )
    level_cost = UnitCosts(over_periods(chances, lead + 1), 1.0, 6.0)
    of = {y: level_cost(y) for y in range(s - 6, up_to + 16)}
    found = {(low, high): stationary(chances, of, low, high, order_cost)
             for low in range(s - 4, s + 5) for high in range(max(low + 1, up_to - 12), up_to + 13, 2)}  # fmt: skip
    found[s, up_to] = stationary(chances, of, s, up_to, order_cost)
    assert found[s, up_to] == pytest.approx(cost, rel=1e-9)
    assert min(found.values()) >= cost - 1e-9


def stationary(chances: np.ndarray, of: dict[int, float], low: int, high: int, order_cost: float) -> float:
    """Return the cost per period from the stationary distribution of the position after ordering, s + 1 .. S."""
    size = high - low
    move = np.zeros((size, size))
    ordering = np.zeros(size)
    for i in range(size):  # position high - i
        for units in range(len(chances)):
            if i + units < size:
                move[i, i + units] += chances[units]
            else:
                move[i, 0] += chances[units]
                ordering[i] += chances[units]
    system = np.vstack([move.T - np.eye(size), np.ones(size)])
    share = np.linalg.lstsq(system, np.concatenate([np.zeros(size), [1.0]]), rcond=None)[0]
    return float(share @ [of[high - i] for i in range(size)] + order_cost * share @ ordering)


def test_the_exact_cost_of_s_S_is_what_a_long_simulation_pays() -> None:
    chances = negative_binomial(4.0, 10.0)
    s, up_to, cost = reorder_and_order_up_to(
        chances, holding_cost=1.0, shortage_cost=9.0, order_cost=12.0, lead_time_periods=2
    )
    demand = np.random.default_rng(0).choice(len(chances), p=chances, size=(1, 200, 600)).astype(float)
    done = simulate(
        ReorderPointOrderUpTo([s], [up_to]), demand, on_hand=float(up_to), lead_time_periods=2, unmet="backorder",
        holding_cost=1.0, shortage_cost=9.0, order_cost=12.0,
    )  # fmt: skip
    assert done.cost.mean() / 600 == pytest.approx(cost, rel=0.02)


def test_the_newsvendor_of_counts_is_the_smallest_level_with_the_critical_ratio() -> None:
    chances = negative_binomial(6.0, 20.0)
    level, cost = newsvendor_discrete(chances, holding_cost=1.0, shortage_cost=4.0)
    assert chances[: level + 1].sum() >= 0.8 > chances[:level].sum()
    costs = UnitCosts(chances, 1.0, 4.0)
    assert cost == min(costs(y) for y in range(60))


def test_closed_forms_refuse_what_has_no_answer() -> None:
    with pytest.raises(ParameterError, match="nothing is ever asked for"):
        reorder_and_order_up_to([1.0], holding_cost=1.0, shortage_cost=1.0, order_cost=1.0)
    with pytest.raises(ParameterError, match="must be probabilities"):
        newsvendor_discrete([0.5, 0.4], holding_cost=1.0, shortage_cost=1.0)
    with pytest.raises(ParameterError, match="shortage cost must be above zero"):
        eoq_with_backorders(1.0, 1.0, 1.0, 0.0)
    with pytest.raises(ParameterError, match="variance must be above the mean"):
        negative_binomial(2.0, 2.0)
    assert_allclose(poisson(3.0).sum(), 1.0)
