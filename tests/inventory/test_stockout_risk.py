"""When the stock runs out, and by when an order has to be placed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.stockout_risk import SeverityRules, projected_stock, severity, stockout_risk

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


def test_chances_of_the_first_stockout_add_up_to_the_chance_of_any() -> None:
    paths = np.random.default_rng(0).poisson(3.0, (20, 50, 12)).astype(float)
    risk = stockout_risk(np.linspace(0, 60, 20), no_arrivals(20, 12), paths)
    assert_allclose(risk.first_stockout.sum(axis=1), risk.probability[:, -1])
    assert risk.first_stockout.min() >= 0
    assert_allclose(1 - np.prod(1 - risk.hazard, axis=1), risk.probability[:, -1])


def test_open_orders_move_the_last_helpful_order_back() -> None:
    arriving = no_arrivals()
    arriving[0, 1] = 10.0
    alone, with_orders = (stockout_risk([15.0], due, FIVE_A_DAY) for due in (no_arrivals(), arriving))
    assert alone.last_helpful_order([2])[0] == 1
    assert with_orders.last_helpful_order([2])[0] == 3


def test_an_order_helps_as_long_as_it_comes_first_in_half_of_the_cases_that_run_out() -> None:
    paths = np.zeros((1, 4, 10))
    paths[0, 0, 3] = paths[0, 1, 7] = 9.0  # out in period 4 or in period 8; two paths never
    risk = stockout_risk([5.0], no_arrivals(), paths)
    assert risk.last_helpful_order([2])[0] == 5
    assert risk.last_helpful_order([2], share=0.6)[0] == 1
    assert np.isnan(stockout_risk([5.0], no_arrivals(), np.zeros((1, 4, 10))).last_helpful_order([2])[0])


def test_an_order_saves_what_is_lost_after_it_has_come() -> None:
    risk = stockout_risk([10.0], no_arrivals(), FIVE_A_DAY)
    assert [float(risk.saved_by_order([lead])[0]) for lead in (0, 2, 5, 99)] == [40, 40, 25, 0]
    assert float(risk.saved_by_order([2], wait=[4])[0]) == 20
    assert float(risk.lost_margin([2.5], [10])[0]) == 100


def test_more_money_or_more_chance_never_makes_a_grade_milder() -> None:
    order = ("none", "low", "medium", "high", "critical")
    chance, money = (grid.ravel() for grid in np.meshgrid(np.linspace(0, 1, 41), np.geomspace(0.1, 1e5, 61)))
    grades = np.array([order.index(word) for word in severity(chance, money)]).reshape(61, 41)
    assert np.diff(grades, axis=0).min() >= 0
    assert np.diff(grades, axis=1).min() >= 0
    assert set(grades.ravel()) == {0, 1, 2, 3, 4}


def test_a_risk_without_known_money_is_graded_by_its_chance() -> None:
    assert severity([0.04, 0.3, 0.9], [np.nan] * 3) == ["none", "low", "medium"]
    assert severity([np.nan], [150.0]) == ["high"]


def test_grades_that_do_not_rise_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"must rise from 0 to 1, got 0.6, 0.5"):
        SeverityRules(least_probability=0.6)
    with pytest.raises(ParameterError, match="one probability and one margin each"):
        severity([0.5], [1.0, 2.0])
    with pytest.raises(ParameterError, match="share must be above 0"):
        stockout_risk([1.0], no_arrivals(), FIVE_A_DAY).last_helpful_order([1], share=0.0)
    with pytest.raises(ParameterError, match="zero or more periods for each of the 1 series"):
        stockout_risk([1.0], no_arrivals(), FIVE_A_DAY).last_helpful_order([1, 2])
