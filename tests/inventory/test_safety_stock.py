"""Order-up-to levels for both kinds of service."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.safety_stock import (
    critical_ratio,
    cycle_service_stock,
    fill_rate_stock,
    stock_target,
)


@pytest.fixture
def hundred() -> np.ndarray:
    """One product whose protection demand is 1, 2, ... 100."""
    return np.arange(1.0, 101.0)[None, :]


def test_cycle_service_is_the_smallest_stock_that_covers_that_share_of_paths(hundred: np.ndarray) -> None:
    assert [float(cycle_service_stock(hundred, level)[0]) for level in (0.01, 0.5, 0.9, 0.95)] == [1, 50, 90, 95]


def test_two_thousand_paths_speak_for_their_own_tail() -> None:
    many = np.arange(1.0, 2001.0)[None, :]
    assert cycle_service_stock(many, 0.999)[0] == 1998


def test_few_paths_get_a_tail_beyond_their_largest() -> None:
    demand = np.random.default_rng(1).gamma(2.0, 10.0, (1, 100))
    assert cycle_service_stock(demand, 0.9999)[0] > demand.max()


def test_the_tail_joins_the_paths_without_a_jump(hundred: np.ndarray) -> None:
    assert cycle_service_stock(hundred, 0.95 + 1e-7)[0] - cycle_service_stock(hundred, 0.95)[0] <= 1.0


def test_one_in_twenty_promotions_is_not_smoothed_away() -> None:
    """A fitted bell would put the 98 % point far below what 4 % of the paths ask for."""
    demand = np.where(np.arange(200) < 192, 1.0, 500.0)[None, :]
    assert cycle_service_stock(demand, 0.98)[0] >= 500


def test_certain_demand_needs_no_safety_stock() -> None:
    sure = np.full((1, 50), 7.0)
    for kind in ("cycle", "fill"):
        for level in (0.5, 0.95, 0.999):
            target = stock_target(sure, [7.0], level, kind)
            assert target.order_up_to[0] == pytest.approx(7.0 if kind == "cycle" else 7.0 * level, abs=1e-6)


def test_no_demand_needs_no_stock() -> None:
    for kind in ("cycle", "fill"):
        assert_array_equal(stock_target(np.zeros((2, 30)), [0.0, 0.0], 0.99, kind).order_up_to, [0.0, 0.0])


def test_safety_stock_is_level_less_mean_and_may_be_below_zero() -> None:
    rare = np.where(np.arange(100) < 97, 0.0, 10.0)[None, :]
    target = stock_target(rare, [0.3], 0.95)
    assert target.order_up_to[0] == 0
    assert target.safety_stock[0] == pytest.approx(-0.3)


def test_a_fill_rate_allows_more_shortage_where_each_order_is_larger() -> None:
    demand = np.random.default_rng(2).gamma(4.0, 10.0, (2, 500))
    demand[1] = demand[0]
    stock = fill_rate_stock(demand, [10.0, 100.0], 0.95)
    assert stock[1] < stock[0]


def test_each_series_has_its_own_level_and_kind(hundred: np.ndarray) -> None:
    both = np.repeat(hundred, 2, axis=0)
    target = stock_target(both, [50.0, 50.0], [0.9, 0.8], ["cycle", "fill"])
    assert_allclose(target.order_up_to[0], cycle_service_stock(hundred, 0.9)[0])
    assert_allclose(target.order_up_to[1], fill_rate_stock(hundred, [50.0], 0.8)[0])
    assert_allclose(target.mean + target.safety_stock, target.order_up_to)


def test_parameters_out_of_range_are_refused(hundred: np.ndarray) -> None:
    with pytest.raises(ParameterError, match=r"above 0 and below 1, got 95 \(series 0\); for example 0\.95"):
        cycle_service_stock(hundred, 95)
    with pytest.raises(ParameterError, match="one of cycle, fill, got 'type 3'"):
        stock_target(hundred, [1.0], 0.9, "type 3")
    with pytest.raises(ParameterError, match="2 service kinds for 1 series"):
        stock_target(hundred, [1.0], 0.9, ["cycle", "fill"])
    with pytest.raises(ParameterError, match="above zero"):
        critical_ratio(0.0, 1.0)
