"""Metrics on figures small enough to work out by hand, and what they do where there is nothing to score."""

from __future__ import annotations

import numpy as np
import pytest

from shelfwise.forecasting import metrics

ACTUAL = np.array([[2.0, 4.0], [0.0, 10.0]])
MEAN = np.array([[3.0, 3.0], [1.0, 4.0]])
ALL = np.ones((2, 2), dtype=bool)
LAST_LEFT_OUT = np.array([[True, True], [True, False]])
LEVELS = np.array([0.1, 0.5, 0.9])


def test_errors_weigh_by_units():
    assert metrics.wape(ACTUAL, MEAN, ALL) == pytest.approx(9 / 16)
    assert metrics.bias(ACTUAL, MEAN, ALL) == pytest.approx(-5 / 16)
    assert metrics.wape(ACTUAL, MEAN, LAST_LEFT_OUT) == pytest.approx(3 / 6)


def test_bias_is_above_zero_where_too_much_is_forecast():
    assert metrics.bias(ACTUAL, ACTUAL + 1, ALL) > 0 > metrics.bias(ACTUAL, ACTUAL - 1, ALL)


def test_mape_leaves_out_periods_without_a_sale_and_counts_them():
    found, left_out = metrics.mape(ACTUAL, MEAN, ALL)
    assert found == pytest.approx((1 / 2 + 1 / 4 + 6 / 10) / 3)
    assert left_out == 1
    unscored = np.array([[True, True], [False, True]])
    assert metrics.mape(ACTUAL, MEAN, unscored) == (pytest.approx(found), 0)
    nothing, left_out = metrics.mape(np.zeros((2, 2)), MEAN, ALL)
    assert np.isnan(nothing)
    assert left_out == 4


def test_mape_divides_returns_by_their_size():
    assert metrics.mape(np.array([[-4.0]]), np.array([[-3.0]]), np.array([[True]])) == (0.25, 0)


def test_losses_by_cell_add_up_to_the_metrics():
    quantiles = np.repeat(MEAN[:, :, None], 3, axis=2) + np.array([-1.0, 0.0, 1.0])
    losses = metrics.quantile_losses(ACTUAL, quantiles, LEVELS, LAST_LEFT_OUT)
    assert losses[1, 1] == 0
    units = np.abs(ACTUAL[LAST_LEFT_OUT]).sum()
    assert losses.sum() / units == pytest.approx(metrics.wql(ACTUAL, quantiles, LEVELS, LAST_LEFT_OUT))
    assert losses.sum() / 2 / 3 == pytest.approx(metrics.pinball(ACTUAL, quantiles, LEVELS, LAST_LEFT_OUT))


def test_what_is_not_scored_does_not_matter():
    poisoned, paths = ACTUAL.copy(), np.repeat(MEAN[:, None, :], 6, axis=1)
    poisoned[1, 1] = 1e12
    quantiles = np.repeat(MEAN[:, :, None], 3, axis=2)
    scale = np.array([2.0, 3.0])
    for one, other in (
        [
            (
                metrics.wape(y, MEAN, LAST_LEFT_OUT),
                metrics.bias(y, MEAN, LAST_LEFT_OUT),
                metrics.mape(y, MEAN, LAST_LEFT_OUT)[0],
                metrics.mase(y, MEAN, LAST_LEFT_OUT, scale),
                metrics.rmsse(y, MEAN, LAST_LEFT_OUT, scale),
                metrics.pinball(y, quantiles, LEVELS, LAST_LEFT_OUT),
                metrics.wql(y, quantiles, LEVELS, LAST_LEFT_OUT),
                metrics.crps(y, paths, LAST_LEFT_OUT),
                metrics.coverage(y, paths, LAST_LEFT_OUT),
            )
            for y in (ACTUAL, poisoned)
        ],
    ):
        assert one == pytest.approx(other)


def test_nothing_to_score_is_not_a_number_rather_than_a_perfect_score():
    nothing = np.zeros((2, 2), dtype=bool)
    paths, quantiles = np.zeros((2, 5, 2)), np.zeros((2, 2, 3))
    scale = np.array([1.0, 1.0])
    for found in (
        metrics.wape(ACTUAL, MEAN, nothing),
        metrics.bias(ACTUAL, MEAN, nothing),
        metrics.mase(ACTUAL, MEAN, nothing, scale),
        metrics.rmsse(ACTUAL, MEAN, nothing, scale),
        metrics.pinball(ACTUAL, quantiles, LEVELS, nothing),
        metrics.wql(ACTUAL, quantiles, LEVELS, nothing),
        metrics.crps(ACTUAL, paths, nothing),
        metrics.coverage(ACTUAL, paths, nothing),
    ):
        assert np.isnan(found)
    assert np.isnan(metrics.wape(np.zeros((2, 2)), MEAN, ALL))  # no units sold to weigh by


def test_series_without_a_scale_are_left_out_of_scaled_errors():
    for scale in (np.array([2.0, 0.0]), np.array([2.0, np.nan])):
        assert metrics.mase(ACTUAL, MEAN, ALL, scale) == pytest.approx(1.0 / 2.0)
        assert metrics.rmsse(ACTUAL, MEAN, ALL, scale) == pytest.approx(np.sqrt(1.0 / 2.0))


def test_scales_skip_gaps_and_are_unknown_for_short_histories():
    history = np.array([[1.0, 2.0, np.nan, 6.0, 3.0], [np.nan] * 4 + [1.0]])
    absolute, squared = metrics.naive_scales(history, 2)
    assert absolute[0] == pytest.approx(4.0)  # only 2 -> 6 has both ends
    assert squared[0] == pytest.approx(16.0)
    assert np.isnan(absolute[1])
    assert np.isnan(metrics.naive_scales(history, 5)[0]).all()


def test_ties_are_split_over_the_stretch_of_probability_they_stand_for():
    paths = np.array([0.0] * 50 + [1.0] * 45 + [2.0] * 5)[None, :, None]
    zero, one, two = (metrics.coverage(np.array([[y]]), paths, np.array([[True]])) for y in (0.0, 1.0, 2.0))
    assert zero == pytest.approx((0.5 - 0.1) / 0.5)
    assert one == pytest.approx((0.9 - 0.5) / 0.45)
    assert two == 0.0
    assert metrics.coverage(np.array([[3.0]]), paths, np.array([[True]])) == 0.0
    assert metrics.coverage(np.array([[0.5]]), paths, np.array([[True]])) == 1.0


def test_a_perfect_forecast_costs_nothing():
    paths = np.repeat(ACTUAL[:, None, :], 7, axis=1)
    assert metrics.crps(ACTUAL, paths, ALL) == pytest.approx(0.0)
    assert metrics.wql(ACTUAL, np.repeat(ACTUAL[:, :, None], 3, axis=2), LEVELS, ALL) == 0.0
