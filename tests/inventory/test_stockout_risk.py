"""When the stock runs out, and by when an order has to be placed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.stockout_risk import projected_stock, stockout_risk

FIVE_A_DAY = np.full((1, 4, 10), 5.0)


def no_arrivals(n_series: int = 1, horizon: int = 10) -> np.ndarray:
    return np.zeros((n_series, horizon))


def test_the_shelf_is_empty_in_the_period_whose_demand_it_cannot_serve() -> None:
    assert stockout_risk([25.0], no_arrivals(), FIVE_A_DAY).median_period()[0] == 6
    assert stockout_risk([24.0], no_arrivals(), FIVE_A_DAY).median_period()[0] == 5


def test_what_comes_too_late_does_not_serve_the_demand_before_it() -> None:
    """Adding what is on order to what is on hand would see no stockout here."""
    arriving = no_arrivals()
    arriving[0, 8] = 1000.0
    risk = stockout_risk([10.0], arriving, FIVE_A_DAY)
    assert_array_equal(risk.probability[0], [0, 0] + [1] * 8)
    assert risk.lost_units.sum() == 30


def test_lost_sales_are_not_owed_when_stock_comes() -> None:
    arriving = no_arrivals()
    arriving[0, 4] = 20.0
    assert projected_stock([0.0], arriving, FIVE_A_DAY)[0, 0].tolist() == [0, 0, 0, 0, 15, 10, 5, 0, 0, 0]


def test_an_empty_shelf_without_demand_is_no_stockout() -> None:
    risk = stockout_risk([0.0], no_arrivals(), np.zeros((1, 4, 10)))
    assert risk.probability.max() == 0
    assert np.isnan(risk.median_period()[0])
    assert np.isnan(risk.order_by([3], 0.95)[0])


def test_the_median_is_reached_when_half_of_the_paths_have_run_out() -> None:
    paths = np.array([[[0.0, 9.0, 0.0], [0.0, 0.0, 0.0]]])
    assert stockout_risk([1.0], no_arrivals(1, 3), paths).median_period()[0] == 2


def test_probability_and_loss_within_a_time_stop_at_the_horizon() -> None:
    risk = stockout_risk([24.0], no_arrivals(), FIVE_A_DAY)
    assert [float(risk.by_period(k)[0]) for k in (0, 4, 5, 99)] == [0, 0, 1, 1]
    assert [float(risk.lost_within(k)[0]) for k in (4, 5, 6, 99)] == [0, 1, 6, 26]


def test_an_order_by_below_zero_says_that_no_order_can_come_in_time() -> None:
    risk = stockout_risk([10.0], no_arrivals(), FIVE_A_DAY)
    assert [float(risk.order_by([lead], 0.9)[0]) for lead in (0, 2, 2.5, 5)] == [2, 0, -1, -3]


def test_books_below_zero_are_an_empty_shelf() -> None:
    assert_array_equal(
        stockout_risk([-50.0], no_arrivals(), FIVE_A_DAY).lost_units,
        stockout_risk([0.0], no_arrivals(), FIVE_A_DAY).lost_units,
    )


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"inbound must have the shape \(1, 10\), got \(1, 9\)"):
        stockout_risk([1.0], no_arrivals(1, 9), FIVE_A_DAY)
    with pytest.raises(ParameterError, match="one finite number for each of the 1 series"):
        stockout_risk([float("nan")], no_arrivals(), FIVE_A_DAY)
    with pytest.raises(ParameterError, match="zero or more units"):
        stockout_risk([1.0], no_arrivals() - 1, FIVE_A_DAY)
    with pytest.raises(ParameterError, match=r"\[series, paths, periods\]"):
        stockout_risk([1.0], no_arrivals(), FIVE_A_DAY[0])
    with pytest.raises(ParameterError, match="service level must be above 0 and below 1"):
        stockout_risk([1.0], no_arrivals(), FIVE_A_DAY).order_by([1], 1.0)
