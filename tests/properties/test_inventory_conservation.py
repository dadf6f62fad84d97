"""No simulation makes units or loses them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from shelfwise.domain.panel import Panel
from shelfwise.inventory.policies import BaseStock, ReorderPointOrderUpTo
from shelfwise.inventory.replay import ReplayTerms, Round, Stock, replay_ledger
from shelfwise.inventory.simulation import simulate

SIZES = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 12))


@settings(max_examples=40, deadline=None)
@given(SIZES, st.integers(0, 2**31), st.integers(0, 4), st.sampled_from(["lost", "backorder"]), st.booleans())
def test_opening_stock_and_orders_are_what_was_served_is_left_and_is_to_come(
    sizes: tuple[int, int, int], seed: int, longest: int, unmet: str, lots: bool
) -> None:
    random = np.random.default_rng(seed)
    n, _, periods = sizes
    demand = random.poisson(4.0, size=sizes).astype(float)
    opening = random.integers(0, 12, n).astype(float)
    inbound = random.integers(0, 3, (n, periods)).astype(float)
    level = random.integers(0, 30, n).astype(float)
    policy = ReorderPointOrderUpTo(level, level + 7) if lots else BaseStock(level, 3.0)
    done = simulate(
        policy, demand, on_hand=opening, lead_time_periods=random.integers(0, longest + 1, n), inbound=inbound,
        unmet=unmet,
    )  # fmt: skip
    brought = opening[:, None] + inbound.sum(axis=1)[:, None] + done.ordered
    assert_allclose(brought, done.served + done.left + done.on_order, atol=1e-9)
    assert_allclose(done.demand, done.served + (done.short if unmet == "lost" else done.owed), atol=1e-9)
    assert np.all(done.left >= 0)
    assert np.all(done.served <= done.demand + 1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 3), st.integers(1, 3), st.integers(0, 2**31))
def test_a_replay_conserves_units_in_every_period(n: int, count: int, lead: int, review: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    terms = ReplayTerms.of(n, lead_time_periods=random.integers(0, lead + 1, n), review_periods=review)
    periods = terms.periods(count)
    demand = random.poisson(3.0, (n, periods)).astype(float)
    opening = Stock(random.integers(0, 9, n).astype(float), random.integers(0, 3, (n, lead + 1)).astype(float))
    panel = Panel.from_wide(np.ones((n, 3)), start="2025-01-06", freq="1w")

    def none(history: Panel, horizon: int) -> None:
        return None

    rounds = [Round(k, panel, 1, none) for k in range(count)]  # type: ignore[arg-type]
    ledger = replay_ledger(
        lambda now: random.integers(0, 6, n).astype(float), rounds, demand, np.ones(demand.shape, bool), opening, terms
    )
    before = np.concatenate([opening.on_hand[:, None], ledger.left[:, :-1]], axis=1)
    assert_allclose(before + ledger.arrived, ledger.sold + ledger.left)
    assert_allclose(demand, ledger.sold + ledger.lost)
    assert np.all(ledger.left >= 0)
    brought = opening.pipeline.sum(axis=1) + ledger.ordered.sum(axis=1)
    assert np.all(ledger.arrived.sum(axis=1) <= brought + 1e-9)
