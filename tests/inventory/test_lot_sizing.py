"""Packs, minimum quantities and minimum order values."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.lot_sizing import economic_order_quantity, orderable_quantity, top_up, whole_packs

LINES = {
    "position": np.array([10.0, 40.0, 0.0]),
    "demand_per_period": np.array([2.0, 2.0, 0.0]),
    "pack": np.array([6.0, 10.0, 1.0]),
    "minimum": np.array([0.0, 20.0, 0.0]),
    "unit_cost": np.array([1.0, 1.0, 1.0]),
    "most_cover_periods": 180.0,
}


def test_no_need_is_no_order_even_with_a_minimum() -> None:
    assert_array_equal(orderable_quantity([0.0, -10.0], 12.0, 50.0), [0.0, 0.0])


def test_the_minimum_is_reached_before_packs_are_rounded() -> None:
    assert_array_equal(orderable_quantity([1.0, 61.0, 144.0], 12.0, 50.0), [60.0, 72.0, 144.0])


def test_rounding_noise_does_not_buy_a_pack() -> None:
    assert_array_equal(
        whole_packs([0.1 + 0.2, 12.000000000001, 1e-12], [0.1, 12.0, 12.0]), [0.30000000000000004, 12, 0]
    )


def test_packs_of_nothing_are_refused() -> None:
    with pytest.raises(ParameterError, match="pack must be above zero units, got 0"):
        orderable_quantity([1.0], 0.0)
    with pytest.raises(ParameterError, match="minimum order quantity must be zero or more"):
        orderable_quantity([1.0], 1.0, -1.0)
    with pytest.raises(ParameterError, match="the holding cost must be above zero"):
        economic_order_quantity(10.0, 10.0, 0.0)


def test_top_up_goes_first_to_the_line_that_would_run_out_first() -> None:
    # Line 0 covers 8 periods, line 1 covers 20: line 0 gets packs until it would outlast line 1.
    assert_array_equal(top_up(np.array([6.0, 0.0, 0.0]), minimum_value=30.0, **LINES), [24.0, 0.0, 0.0])


def test_a_line_joins_a_top_up_with_its_minimum_quantity() -> None:
    added = top_up(np.array([6.0, 0.0, 0.0]), minimum_value=50.0, **LINES)
    assert_array_equal(added, [30.0, 20.0, 0.0])


def test_an_order_that_meets_the_minimum_or_is_empty_is_left_alone() -> None:
    assert_array_equal(top_up(np.array([60.0, 0.0, 0.0]), minimum_value=60.0, **LINES), [0.0, 0.0, 0.0])
    assert_array_equal(top_up(np.zeros(3), minimum_value=60.0, **LINES), [0.0, 0.0, 0.0])


def test_a_minimum_out_of_reach_within_the_cover_limit_adds_nothing() -> None:
    assert_array_equal(top_up(np.array([6.0, 0.0, 0.0]), minimum_value=5000.0, **LINES), [0.0, 0.0, 0.0])
