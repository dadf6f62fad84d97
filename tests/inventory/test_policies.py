"""The four policies, each by its own rule; what they share is in tests/properties."""

from __future__ import annotations

import pytest
from numpy.testing import assert_array_equal

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.frames import REPLENISHMENT_POLICIES
from shelfwise.inventory.policies import (
    POLICIES,
    BaseStock,
    PeriodicReview,
    ReorderPointOrderUpTo,
    ReorderPointQuantity,
)


def test_the_list_and_the_declared_names_are_the_same() -> None:
    assert tuple(POLICIES) == REPLENISHMENT_POLICIES


def test_base_stock_closes_the_gap_in_whole_packs() -> None:
    assert_array_equal(BaseStock([50.0, 50.0], [1.0, 24.0]).order_quantity([30.0, 30.0]), [20.0, 24.0])


def test_reorder_point_quantity_orders_at_the_point_and_enough_lots_to_pass_it() -> None:
    policy = ReorderPointQuantity(reorder_point=10.0, quantity=5.0)
    assert_array_equal(policy.order_quantity([11.0, 10.0, 6.0, 5.0, -1.0]), [0.0, 5.0, 5.0, 10.0, 15.0])


def test_order_up_to_waits_for_the_reorder_point() -> None:
    policy = ReorderPointOrderUpTo(reorder_point=10.0, order_up_to=40.0, pack=8.0)
    assert_array_equal(policy.order_quantity([11.0, 10.0, 0.0]), [0.0, 32.0, 40.0])


def test_periodic_review_orders_only_in_its_periods() -> None:
    policy = PeriodicReview(review_periods=[7, 3], order_up_to=10.0)
    assert_array_equal(policy.order_quantity([0.0, 0.0], period=6), [0.0, 10.0])
    assert_array_equal(policy.order_quantity([0.0, 0.0], period=0), [10.0, 10.0])


def test_parameters_that_make_no_policy_are_refused() -> None:
    with pytest.raises(ParameterError, match="pack must be above zero units, got 0"):
        BaseStock(10.0, pack=0.0)
    with pytest.raises(ParameterError, match="order_up_to must be a finite number of units, got nan"):
        BaseStock(float("nan"))
    with pytest.raises(ParameterError, match="quantity must be above zero units, got 0"):
        ReorderPointQuantity(10.0, 0.0)
    with pytest.raises(ParameterError, match="quantity must be whole packs; round it up"):
        ReorderPointQuantity(10.0, 30.0, pack=12.0)
    with pytest.raises(ParameterError, match="order_up_to must not be below the reorder point"):
        ReorderPointOrderUpTo(10.0, 9.0)
    with pytest.raises(ParameterError, match="review time must be whole periods and at least 1, got 0"):
        PeriodicReview(0, 10.0)
    with pytest.raises(ParameterError, match="position must be a finite number"):
        BaseStock(10.0).order_quantity([float("inf")])
