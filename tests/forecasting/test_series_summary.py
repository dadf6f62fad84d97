"""The summary of one series: slopes, weekdays and noise that were put in come out, and chance is not taken for them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwise.domain.errors import ParameterError
from shelfwise.forecasting.series_summary import LONGEST_DAYS, summarise


def test_a_line_comes_out_as_it_was_put_in():
    summary = summarise(3.0 + 0.25 * np.arange(100.0), 0)
    assert summary.slope == pytest.approx(0.25)
    assert summary.intercept == pytest.approx(3.0)
    assert summary.trend == "increasing"
    assert summary.trend_strength == pytest.approx(1.0)
    assert summary.volatility == pytest.approx(0.0, abs=1e-9)
    assert not summary.has_seasonality


def test_a_falling_line_is_decreasing():
    assert summarise(50.0 - 0.25 * np.arange(100.0), 2).trend == "decreasing"


@pytest.mark.parametrize("first_weekday", range(7))
def test_weekly_factors_begin_on_monday_whatever_day_comes_first(first_weekday: int):
    shape = np.array([0.5, 0.5, 1.0, 1.0, 1.0, 2.0, 1.0])
    values = 10 * shape[(first_weekday + np.arange(70)) % 7]
    summary = summarise(values, first_weekday)
    assert summary.has_seasonality
    assert summary.weekly_factors == pytest.approx(shape, abs=0.02)


def test_noise_is_rarely_taken_for_a_trend_or_a_season():
    rng = np.random.default_rng(1)
    summaries = [summarise(rng.poisson(4, 120).astype(float), 0) for _ in range(400)]
    assert sum(s.trend != "stable" for s in summaries) < 0.07 * 400
    assert sum(s.has_seasonality for s in summaries) < 0.03 * 400


def test_only_the_last_year_counts():
    values = np.concatenate([np.full(500, 1000.0), np.full(LONGEST_DAYS, 5.0)])
    summary = summarise(values, 0)
    assert (summary.days, summary.mean, summary.slope) == (LONGEST_DAYS, 5.0, 0.0)


def test_a_silent_product_has_no_trend_season_or_noise():
    summary = summarise(np.zeros(30), 0)
    assert (summary.trend, summary.has_seasonality, summary.volatility) == ("stable", False, 0.0)
    assert summary.weekly_factors == (1.0,) * 7


@given(st.lists(st.floats(0, 1e9), min_size=7, max_size=400), st.integers(0, 6))
def test_every_history_has_a_finite_summary(values: list[float], first_weekday: int):
    summary = summarise(np.array(values), first_weekday)
    numbers = [summary.mean, summary.slope, summary.intercept, summary.volatility, *summary.weekly_factors]
    assert np.isfinite(numbers).all()
    assert 0 <= summary.trend_strength <= 1


def test_too_few_days_and_gaps_are_refused():
    with pytest.raises(ParameterError, match="at least 7 days, got 6"):
        summarise(np.ones(6), 0)
    with pytest.raises(ParameterError, match="finite number for every day"):
        summarise(np.array([1.0] * 9 + [np.nan]), 0)
