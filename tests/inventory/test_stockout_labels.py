"""Stock replayed over sales, and the labels that come of it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.lead_time_demand import LeadTime
from shelfwise.inventory.stockout_labels import Replenishment, replay_stock, window_labels


def walk_by_hand(demand, lead, review, generosity, memory, moment, horizon):
    """One series, no missed order, written the slow way: orders are (period placed, period it comes, units)."""
    shelf = generosity * (lead + 2 * review) * np.mean(demand[:memory])
    orders, empty = [], []
    for period in range(moment + 1):
        if period >= memory and period % review == 0:
            level = np.ceil(generosity * (lead + 2 * review) * np.mean(demand[period - memory : period]) - 1e-9)
            open_units = sum(units for placed, comes, units in orders if comes >= period)
            orders.append((period, period + lead, max(level - shelf - open_units, 0.0)))
        if period == moment:
            inbound = np.zeros(horizon)
            for _, comes, units in orders:
                if period <= comes < period + horizon:
                    inbound[comes - period] += units
            return shelf, inbound, empty
        shelf += sum(units for _, comes, units in orders if comes == period)
        empty.append(demand[period] > shelf)
        shelf = max(shelf - demand[period], 0.0)
    raise AssertionError


def test_the_replay_is_what_the_slow_walk_gives() -> None:
    demand = np.random.default_rng(3).poisson(4.0, (6, 40)).astype(float)
    rules = Replenishment(generosity=(0.8, 0.8), missed=0.0, memory=8)
    names = [f"p{i}" for i in range(6)]
    for state in replay_stock(demand, names, LeadTime(np.full(6, 3.0), 0.0), [8, 9, 25, 40], 5, rules=rules):
        for row in range(6):
            shelf, inbound, empty = walk_by_hand(demand[row], 3, 1, 0.8, 8, state.period, 5)
            assert_allclose(state.on_hand[row], shelf)
            assert_allclose(state.inbound[row], inbound)
            assert_array_equal(state.ran_out[row], empty)


def test_units_are_neither_made_nor_lost_when_deliveries_are_late() -> None:
    """Walking on from any moment with what really came gives the shelf of the next, until new orders come."""
    demand = np.random.default_rng(4).poisson(5.0, (30, 60)).astype(float)
    names = [f"p{i}" for i in range(30)]
    lead_time = LeadTime(np.full(30, 2.0), 1.5)
    states = list(replay_stock(demand, names, lead_time, list(range(20, 61)), 40))
    for before, after in zip(states, states[1:], strict=False):
        shelf = np.maximum(before.on_hand + before.came[:, 0] - demand[:, before.period], 0.0)
        assert_allclose(after.on_hand, shelf)
    assert_allclose(states[0].came.sum(axis=1), states[0].inbound.sum(axis=1))
    assert any((state.came != state.inbound).any() for state in states)


def test_deliveries_that_keep_their_day_come_as_they_are_expected() -> None:
    demand = np.random.default_rng(4).poisson(5.0, (9, 40)).astype(float)
    for state in replay_stock(demand, list("abcdefghi"), LeadTime(np.full(9, 2.0), 0.0), [20, 30], 5):
        assert_array_equal(state.came, state.inbound)


def test_a_more_generous_policy_runs_out_less() -> None:
    demand = np.random.default_rng(5).poisson(4.0, (80, 60)).astype(float)
    names = [f"p{i}" for i in range(80)]
    shares = []
    for generosity in (0.5, 1.0, 1.4):
        rules = Replenishment(generosity=(generosity, generosity))
        (last,) = replay_stock(demand, names, LeadTime(np.full(80, 2.0), 0.0), [60], 3, rules=rules)
        shares.append(last.ran_out[:, 20:].mean())
    assert shares[0] > shares[1] > shares[2] > 0


def test_a_series_is_replayed_alike_whatever_stands_beside_it() -> None:
    demand = np.random.default_rng(6).poisson(4.0, (5, 30)).astype(float)
    names = ["a", "b", "c", "d", "e"]
    (together,) = replay_stock(demand, names, LeadTime(np.full(5, 2.0), 0.5), [30], 3)
    (alone,) = replay_stock(demand[3:4], names[3:4], LeadTime([2.0], 0.5), [30], 3)
    assert together.on_hand[3] == alone.on_hand[0]
    assert_array_equal(together.inbound[3], alone.inbound[0])


def test_no_label_stands_on_demand_that_is_not_known() -> None:
    demand = np.array([[9.0, np.nan, 9.0], [1.0, 1.0, 1.0], [1.0, 9.0, 0.0]])
    found = window_labels([5.0, 5.0, 5.0], np.zeros((3, 3)), demand)
    assert_array_equal(found, [[1, np.nan, np.nan], [0, 0, 0], [0, 1, 1]])


def test_what_does_not_fit_is_refused() -> None:
    four = np.ones((1, 4))
    with pytest.raises(ParameterError, match="moments must be from 1 to 4, got 0 to 5"):
        list(replay_stock(four, ["a"], LeadTime([1.0], 0.0), [0, 5], 3))
    with pytest.raises(ParameterError, match="one unique_id and one lead time each"):
        list(replay_stock(four, ["a", "b"], LeadTime([1.0], 0.0), [2], 3))
    with pytest.raises(ParameterError, match="horizon must be at least 1"):
        list(replay_stock(four, ["a"], LeadTime([1.0], 0.0), [2], 0))
    with pytest.raises(ParameterError, match="two rising numbers above 0, got 1.4 and 0.5"):
        Replenishment(generosity=(1.4, 0.5))
    with pytest.raises(ParameterError, match="demand must be"):
        window_labels([1.0], np.zeros((1, 3)), np.zeros(3))
