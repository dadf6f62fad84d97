"""AutoETS, AutoTheta, AutoARIMA and CES on histories whose future is known."""

from __future__ import annotations

import numpy as np
import pytest

from shelfwise.domain.panel import Panel
from shelfwise.forecasting.local_models import CEILING
from shelfwise.forecasting.models.statistical import auto_arima, auto_ces, auto_ets, auto_theta

MODELS = [auto_ets, auto_theta, auto_arima, auto_ces]
WEEK = np.array([10.0, 12.0, 11.0, 14.0, 20.0, 30.0, 5.0])


def panel_of(values, freq="1d", **given):
    start = "2026-01-01" if freq == "1mo" else "2026-01-05"
    return Panel.from_wide(values, start=start, freq=freq, **given)


def forecast(model, panel, horizon=14):
    return model().fit(panel).predict(panel, horizon)


@pytest.mark.parametrize("model", MODELS)
def test_a_week_that_repeats_itself_is_found(model):
    values = np.random.default_rng(0).poisson(np.tile(WEEK, 16), (3, 112)).astype(float)
    found = forecast(model, panel_of(values)).mean().reshape(3, 2, 7).mean(axis=(0, 1))
    np.testing.assert_allclose(found, WEEK, rtol=0.25)


@pytest.mark.parametrize("model", [auto_ets, auto_theta, auto_arima])
def test_a_trend_goes_on(model):
    rising = 20 + 2.0 * np.arange(60) + np.random.default_rng(1).normal(0, 2, (2, 60))
    found = forecast(model, panel_of(rising, "1w"), 6).mean()
    assert (found[:, -1] > rising[:, -5:].mean(axis=1) + 4).all()


@pytest.mark.parametrize("model", MODELS)
def test_the_models_own_deviation_becomes_the_spread(model):
    rng = np.random.default_rng(2)
    quiet, loud = (1000 + rng.normal(0, sigma, (4, 90)) for sigma in (5, 50))
    spread = [np.sqrt(forecast(model, panel_of(values, "1w"), 4).marginals.variance[:, 0]) for values in (quiet, loud)]
    np.testing.assert_allclose(spread[0], 5, rtol=0.5)
    np.testing.assert_allclose(spread[1], 50, rtol=0.5)


@pytest.mark.parametrize("model", MODELS)
def test_a_stockout_is_no_week_without_demand(model):
    values = np.random.default_rng(3).poisson(np.tile(WEEK, 12), (2, 84)).astype(float)
    sold_out, flags = values.copy(), np.ones(values.shape, dtype=bool)
    sold_out[:, 63:77], flags[:, 63:77] = 0.0, False
    truth, masked = (
        forecast(model, panel).mean().mean() for panel in (panel_of(values), panel_of(sold_out, available=flags))
    )
    assert masked == pytest.approx(truth, rel=0.15)


@pytest.mark.parametrize("model", MODELS)
def test_intermittent_demand_with_bursts_never_explodes(model):
    rng = np.random.default_rng(4)
    values = np.where(rng.random((8, 60)) < 0.15, rng.integers(1, 50, (8, 60)), 0).astype(float)
    values[:4, -6:] = np.array([1, 3, 9, 27, 81, 243.0])
    found = forecast(model, panel_of(values, "1mo"), 24)
    assert (found.mean().max(axis=1) <= CEILING * values.max(axis=1)).all()
    assert (found.quantiles([0.99]).max(axis=(1, 2)) < 20 * values.max(axis=1)).all()


def test_a_shorter_history_may_be_read():
    values = np.random.default_rng(5).poisson(9.0, (1, 120)).astype(float)
    values[:, :60] *= 10
    whole, part = (auto_ets(longest=n).fit(panel_of(values)).predict(panel_of(values), 3) for n in (None, 60))
    assert part.marginals.variance.mean() < 0.5 * whole.marginals.variance.mean()
