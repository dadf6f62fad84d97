"""What holds for any plan of several periods: units are kept, limits hold, the bound is below the cost."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from tests.inventory.plan_worlds import cost_by_hand, plan_world, walk

SEEDS = st.integers(0, 10_000)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.booleans(), st.sampled_from([0.3, 0.6, 1.0]), st.booleans())
def test_a_plan_keeps_its_word(seed: int, late: bool, tightness: float, backorder: bool) -> None:
    world = plan_world(seed, n=4, n_paths=3, horizon=4, tightness=tightness, late=late)
    plan = world.plan(gap=0.05, time_limit=2.0, unmet="backorder" if backorder else "lost", longest_held=13.0)
    terms = world.terms
    assert plan.bound <= plan.cost
    packs = plan.quantity / terms.pack[:, None]
    assert_allclose(packs, np.rint(packs), atol=1e-9)
    ordered = plan.quantity > 0
    assert np.all(~ordered | (plan.quantity >= terms.moq[:, None] - 1e-9))
    assert np.all(plan.quantity <= terms.largest[:, None])
    used = np.zeros(len(plan.rows))
    for i in range(4):
        money, opening = cost_by_hand(world, i, plan.quantity[i], 13.0, backorder)
        assert_allclose(plan.costs[i], money)
        assert_allclose(plan.opening[i], opening, atol=1e-9)
        for r, row in enumerate(plan.rows):
            of = plan.quantity[i] * terms.unit_cost[i] if row.kind == "budget" else opening * terms.volume[i]
            used[r] += of[row.period - 1] if row.members[i] else 0.0
    assert_allclose(plan.used, used, atol=1e-9)
    assert np.all(used <= plan.allowed + 1e-6)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.booleans())
def test_units_neither_appear_nor_vanish(seed: int, late: bool) -> None:
    world = plan_world(seed, n=2, n_paths=2, horizon=4, late=late)
    plan = world.plan(gap=0.05, time_limit=2.0)
    for i in range(2):
        receipts = world.due[i].copy()
        receipts[0] += world.terms.on_hand[i]
        lead = np.broadcast_to(world.lead_times[i], (2,))
        _, closing, short = walk(world.paths[i], receipts, lead, plan.quantity[i])
        for s in range(2):
            came = receipts.sum() + sum(plan.quantity[i, t] for t in range(4) if t + lead[s] < 4)
            sold = world.paths[i, s].sum() - short[s].sum()
            assert_allclose(came, sold + closing[s, -1])


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_the_bound_under_looser_limits_is_not_above_the_cost_under_tighter_ones(seed: int) -> None:
    """The bound of a looser limit is a bound on a wider choice: it can only be as high as the tighter one's cost."""
    tight, loose = (plan_world(seed, n=3, n_paths=2, horizon=3, tightness=t) for t in (0.5, 1.0))
    assert loose.plan(gap=0.01, time_limit=2.0).bound <= tight.plan(gap=0.01, time_limit=2.0).cost + 1e-6
