"""The theta method: what it is made of, beside a slow twin and numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from shelfwise.domain.errors import ModelError, ParameterError
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.models.theta import BEGIN, WEIGHTS, WINDOW, Theta

NAN = float("nan")


def panel_of(values, freq="1d", **given):
    return Panel.from_wide(values, start="2026-01-05", freq=freq, **given)


def mean_of(values, horizon=7, **given):
    panel = panel_of(np.atleast_2d(values), **given)
    return Theta().fit(panel).predict(panel, horizon).mean()


def by_hand(history, horizon):
    """Simple exponential smoothing by the best weight, and half the slope of the line: one series, no season."""
    best = None
    for weight in WEIGHTS:
        level, squares = history[:BEGIN].mean(), 0.0
        for t, y in enumerate(history):
            squares += (y - level) ** 2 if t >= BEGIN else 0.0
            level += weight * (y - level)
        if best is None or squares < best[0]:
            best = squares, level, weight
    slope = np.polyfit(np.arange(len(history)), history, 1)[0]
    ahead = np.arange(1, horizon + 1)
    error = best[0] / (len(history) - BEGIN)
    return best[1] + 0.5 * slope * ahead, error * (1 + (ahead - 1) * best[2] ** 2)


def test_it_is_exponential_smoothing_with_half_the_trend():
    rng = np.random.default_rng(0)
    for kind in (np.cumsum(rng.normal(0, 1, 120)) + 100.5, 40.25 + 0.2 * np.arange(120) + rng.normal(0, 2, 120)):
        panel = panel_of([kind])
        forecast = Theta().fit(panel).predict(panel, 10)
        mean, variance = by_hand(kind, 10)
        np.testing.assert_allclose(forecast.mean()[0], mean, rtol=1e-9)
        np.testing.assert_allclose(forecast.marginals.variance[0], variance, rtol=1e-9)


def test_a_level_that_wanders_is_followed_and_noise_is_averaged():
    rng = np.random.default_rng(1)
    walk = np.cumsum(rng.normal(0, 5, 300)) + 500
    noise = 500 + rng.normal(0, 30, 300)
    assert mean_of(walk, 1)[0, 0] == pytest.approx(walk[-1], abs=5)
    assert mean_of(noise, 1)[0, 0] == pytest.approx(500, abs=10)


def test_a_season_is_divided_out_where_there_is_one_and_left_alone_where_there_is_none():
    rng = np.random.default_rng(2)
    week = np.array([10.0, 20, 30, 40, 50, 60, 5])
    seasonal = np.tile(week, 20) + rng.normal(0, 1, 140)
    np.testing.assert_allclose(mean_of(seasonal)[0], week, rtol=0.2)
    assert np.ptp(mean_of(100 + rng.normal(0, 10, 140))[0]) < 3


def test_periods_that_were_hidden_or_closed_teach_nothing():
    rng = np.random.default_rng(3)
    sold = rng.poisson(20, 200).astype(float)
    there = np.ones((1, 200), dtype=bool)
    there[0, -20:] = False
    hidden = mean_of(np.where(there[0], sold, 0.0), available=there)
    np.testing.assert_allclose(hidden, mean_of(np.where(there[0], sold, NAN)))
    assert hidden.mean() > 15
    opened = np.append(there[0], [True] * 3 + [False] * 4).astype(float)
    closed = mean_of(np.where(there[0], sold, 0.0), known_future={"open": opened})
    assert (closed[0, 3:] == 0).all()
    np.testing.assert_allclose(closed[0, :3], hidden[0, :3])


def test_a_trend_goes_on_for_as_long_as_it_was_seen_and_ends_at_nothing():
    falling, rising = np.linspace(150, 51, 100), np.linspace(1, 100, 100)
    assert mean_of(falling - 50, 300)[0, -1] == 0.0
    assert mean_of(rising, 900)[0, [100, -1]].tolist() == [pytest.approx(150.0), pytest.approx(150.0)]


def test_a_few_periods_give_their_mean_and_none_that_of_all():
    values = np.full((3, 60), NAN)
    values[0], values[1, -4:] = 6.0, [1.0, 2, 3, 2]
    assert mean_of(values)[:, 0].tolist() == [6.0, 2.0, pytest.approx((6 * 60 + 8) / 64)]


def test_only_the_latest_periods_are_read():
    long = np.random.default_rng(4).poisson(9.0, WINDOW + 200).astype(float)
    season = 7
    read = -(-WINDOW // season) * season
    np.testing.assert_allclose(mean_of(long), mean_of(long[-read:]))


def test_parameters_and_frequencies_are_checked():
    with pytest.raises(ParameterError, match=r"drift must be from 0 to 1, got -0.1"):
        Theta(drift=-0.1)
    predictor = Theta().fit(panel_of([[1.0, 2.0]]))
    with pytest.raises(ModelError, match="fitted on periods of 1d, asked for 1w"):
        predictor.predict(panel_of([[1.0]], freq="1w"), 1)
    with pytest.raises(ModelError, match="stored theta model cannot be read"):
        Theta().restore({})
