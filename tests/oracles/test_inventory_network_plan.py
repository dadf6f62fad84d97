"""Plans of several periods beside what finds them slowly: every plan tried, and the compact mixed-integer program."""

from __future__ import annotations

import itertools
from dataclasses import replace

import highspy
import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.inventory.plan_worlds import PlanWorld, cost_by_hand, plan_world

from shelfwise.inventory.order_options import Limit
from shelfwise.inventory.plan_pricing import PlanPricer


def pricer_of(world: PlanWorld, item: int, longest_held: float, backorder: bool = False) -> PlanPricer:
    terms, horizon = world.terms, world.paths.shape[2]
    receipts = world.due[item].copy()
    receipts[0] += terms.on_hand[item]
    return PlanPricer(
        demand=world.paths[item],
        receipts=receipts,
        lead_time_periods=np.broadcast_to(world.lead_times[item], (world.paths.shape[1],)),
        order_periods=np.arange(1, horizon + 1, terms.review[item]),
        holding_cost=float(terms.holding_cost[item]),
        shortage_cost=float(terms.shortage_cost[item]),
        order_cost=float(terms.order_cost[item]),
        pack=float(terms.pack[item]),
        moq=float(terms.moq[item]),
        largest_quantity=float(terms.largest[item]),
        longest_held=longest_held,
        backorder=backorder,
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("backorder", [False, True])
def test_the_cheapest_plan_is_that_of_trying_every_plan(seed: int, backorder: bool) -> None:
    world = plan_world(seed, n=1, n_paths=3, horizon=4, late=seed % 2 == 1)
    rng = np.random.default_rng(seed)
    pricer = pricer_of(world, 0, 26.0, backorder)
    unit_price, opening_price = rng.uniform(0, 1, len(pricer.periods)), rng.uniform(0, 0.2, 4)

    def value(packs: tuple[int, ...]) -> float:
        orders = np.zeros(4)
        orders[pricer.periods - 1] = np.array(packs) * pricer.pack
        money, opening = cost_by_hand(world, 0, orders, 26.0, backorder)
        return money + float(orders[pricer.periods - 1] @ unit_price) + float(opening @ opening_price)

    sizes = [0, *range(pricer.least, pricer.least + 5 + 1)]
    best = min(value(packs) for packs in itertools.product(sizes, repeat=len(pricer.periods)))
    found = pricer.cheapest(unit_price, opening_price)
    assert_allclose(found.value, value(tuple(found.packs.tolist())))
    assert found.value <= best + 1e-9
    if set(found.packs.tolist()) <= set(sizes):
        assert_allclose(found.value, best)


def compact_program(world: PlanWorld, pricers: list[PlanPricer]) -> float:
    """Return the least cost of the compact program: packs and switches of each order, stock and loss on each path."""
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("mip_rel_gap", 1e-7)
    n, n_paths, horizon = world.paths.shape
    terms, cost = world.terms, []
    spends = {(i, t): [] for i in range(n) for t in range(horizon)}
    openings = {(i, t): [] for i in range(n) for t in range(horizon)}
    for i, pricer in enumerate(pricers):
        packs, lead = {}, np.broadcast_to(world.lead_times[i], (n_paths,))
        for period in pricer.periods.tolist():
            asked = world.paths[i].sum(axis=1).max() + terms.moq[i] + pricer.pack
            most = int(min(terms.largest[i], asked) // pricer.pack)
            packs[period - 1] = highs.addIntegral(0, most)
            switch = highs.addBinary()
            highs.addConstr(packs[period - 1] <= most * switch)
            highs.addConstr(packs[period - 1] >= pricer.least * switch)
            cost.append(terms.order_cost[i] * switch)
            spends[i, period - 1].append(terms.unit_cost[i] * pricer.pack * packs[period - 1])
        for s in range(n_paths):
            before = None
            for t in range(horizon):
                stock, lost = highs.addVariable(0), highs.addVariable(0)
                there = pricer.receipts[t] + sum(
                    pricer.pack * units for k, units in packs.items() if k + int(lead[s]) == t
                )
                there = there if before is None else there + before
                highs.addConstr(stock - lost == there - world.paths[i, s, t])
                cost += [terms.holding_cost[i] / n_paths * stock, terms.shortage_cost[i] / n_paths * lost]
                openings[i, t].append(terms.volume[i] / n_paths * (stock - lost + world.paths[i, s, t]))
                before = stock
    for limit in world.limits:
        for t in range(horizon) if limit.period is None else [limit.period - 1]:
            use = spends if limit.kind == "budget" else openings
            parts = [part for i in np.flatnonzero(limit.members).tolist() for part in use[i, t]]
            if parts:
                highs.addConstr(sum(parts[1:], parts[0]) <= limit.value)
    highs.minimize(sum(cost[1:], cost[0]))
    assert highs.modelStatusToString(highs.getModelStatus()) == "Optimal"
    return float(highs.getInfo().objective_function_value)


@pytest.mark.parametrize("seed", range(6))
def test_column_generation_agrees_with_the_compact_program(seed: int) -> None:
    world = plan_world(seed, n=3 + seed % 3, n_paths=1 + seed % 2, horizon=3 + seed % 2, tightness=0.7)
    plan = world.plan(gap=0.0, time_limit=20.0, longest_held=0.0)
    pricers = [pricer_of(world, i, 0.0) for i in range(len(world.paths))]
    raised = tuple(
        Limit(row.kind, row.scope, row.period, float(value) + 1e-7, row.members)
        for row, value in zip(plan.rows, plan.allowed, strict=True)
    )
    least = compact_program(replace(world, limits=raised), pricers)
    assert plan.bound <= least + 1e-6
    assert least <= plan.cost + 1e-6
    assert plan.cost - least <= plan.gap * plan.cost + 1e-6
    assert plan.stopped in ("all plans", "no new plan")
    if plan.stopped == "all plans":
        assert_allclose(plan.cost, least, rtol=1e-6)
