"""Croston-SBA, TSB and IMAPA: one rate for all coming periods, with noise of counts around it."""

from __future__ import annotations

import numpy as np
import pytest

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.panel import Panel
from shelfwise.forecasting import metrics
from shelfwise.forecasting.models.croston import SMOOTHING, croston_sba, imapa, tsb, waiting_factor

MODELS = [croston_sba, tsb, imapa]


def panel_of(values, **given):
    return Panel.from_wide(values, start="2020-01-01", freq="1mo", **given)


def forecast(model, values, horizon=6, **given):
    panel = panel_of(values, **given)
    return model().fit(panel).predict(panel, horizon)


def slow_movers(n=300, periods=72, seed=0):
    """Counts [n, periods] of a rate of their own each, with a variance of 2.5 times their mean."""
    rng = np.random.default_rng(seed)
    return rng.negative_binomial(rng.uniform(0.1, 1.5, (n, 1)) / 1.5, 1 / 2.5, (n, periods)).astype(float)


@pytest.mark.parametrize("model", MODELS)
def test_the_rate_is_that_of_demand_on_average(model):
    values = slow_movers()
    found = forecast(model, values).mean()
    np.testing.assert_array_equal(found, found[:, :1] * np.ones(6))
    assert found.mean() == pytest.approx(values.mean(), rel=0.1)


@pytest.mark.parametrize("model", MODELS)
def test_what_comes_lies_within_the_band_as_often_as_the_band_says(model):
    values = slow_movers(periods=84)
    paths = forecast(model, values[:, :72], 12).paths
    covered = metrics.coverage(values[:, 72:], paths, np.ones((len(values), 12), dtype=bool))
    assert 0.75 < covered < 0.88


def test_croston_is_size_over_interval_smoothed_by_a_tenth_and_reduced_by_a_twentieth():
    values = np.zeros(40)
    values[[1, 4, 6, 11, 13, 20, 22, 39]] = [2, 4, 3, 1, 5, 2, 2, 6]
    sizes, intervals = [2, 4, 3, 1, 5, 2, 2, 6], [2, 3, 2, 5, 2, 7, 2, 17]
    size, interval = float(sizes[0]), float(intervals[0])
    for s, i in zip(sizes[1:], intervals[1:], strict=True):
        size, interval = size + 0.1 * (s - size), interval + 0.1 * (i - interval)
    assert forecast(croston_sba, values[None, :]).mean()[0, 0] == pytest.approx(0.95 * size / interval)


@pytest.mark.parametrize("model", MODELS)
def test_a_product_that_no_longer_sells_fades(model):
    values = slow_movers(20, 60)
    ended = np.concatenate([values, np.zeros((20, 36))], axis=1)
    before, after = (forecast(model, v).mean().mean() for v in (values, ended))
    assert after < 0.6 * before


def test_waiting_counts_once_it_is_longer_than_the_expected_interval():
    steady = np.tile([0.0, 0.0, 1.0], 5)
    assert waiting_factor(steady) == 1.0
    assert waiting_factor(np.append(steady, [0.0] * 3)) == 1.0
    assert waiting_factor(np.append(steady, [0.0] * 13)) == pytest.approx(3 / (3 + SMOOTHING * 10))
    assert waiting_factor(np.zeros(4)) == 1.0


@pytest.mark.parametrize("model", MODELS)
def test_a_stockout_is_no_pause_in_demand(model):
    values = slow_movers(30, 72)
    sold_out, flags = values.copy(), np.ones(values.shape, dtype=bool)
    sold_out[:, 60:], flags[:, 60:] = 0.0, False
    np.testing.assert_array_equal(
        forecast(model, sold_out, available=flags).mean(), forecast(model, values[:, :60]).mean()
    )


@pytest.mark.parametrize("name", ["size_weight", "chance_weight"])
def test_weights_check_themselves(name):
    for weight in (0.0, 1.5):
        with pytest.raises(ParameterError, match=f"{name} must be above 0 and at most 1, got {weight:g}"):
            tsb(**{name: weight})


def test_a_larger_weight_follows_the_latest_sales_faster():
    values = np.concatenate([np.tile([0.0, 1.0], 20), np.full(12, 3.0)])[None, :]
    slow, fast = (tsb(w, w).fit(panel_of(values)).predict(panel_of(values), 1).mean()[0, 0] for w in (0.05, 0.5))
    assert fast > slow + 0.5
