"""Seasons for people: found where they are, told with their peaks, and hardly ever found in noise."""

from __future__ import annotations

import numpy as np
import pytest

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.seasonal_strength import CHANCE, seasons_of

DAYS = 1095
START = np.datetime64("2023-01-02")  # a Monday


def panel_of(*rows: np.ndarray) -> Panel:
    """Series that all end on the same day."""
    wide = [np.concatenate([np.full(DAYS - len(row), np.nan), row]) for row in rows]
    return Panel.from_wide(np.array(wide), start=str(START))


def usual(days: int = DAYS) -> np.ndarray:
    """Ten a day, twice as many on Saturdays and in November and December."""
    day = np.arange(DAYS)
    month = (START + day).astype("datetime64[M]").astype(int) % 12
    return (10.0 * np.where(month >= 10, 2.0, 1.0) * np.where(day % 7 == 5, 2.0, 1.0))[-days:]


def test_weekday_and_months_that_sell_more_are_the_peaks():
    sold = np.random.default_rng(3).poisson(usual()).astype(float)
    found = seasons_of(panel_of(sold))
    assert found.weekly.peaks(0) == [5]
    assert set(found.yearly.peaks(0)) == {10, 11}
    assert found.weekly.strength[0] > 0.4
    assert found.yearly.strength[0] > 0.7
    assert found.weekly.factors[0] @ np.ones(7) == pytest.approx(7, abs=0.1)
    assert found.weekly.factors[0][5] == pytest.approx(14 / 8, abs=0.15)


def test_a_trend_is_no_year_and_a_change_of_level_no_week():
    growing = 5.0 + 0.02 * np.arange(DAYS) + np.random.default_rng(4).normal(0, 1, DAYS)
    stepped = np.where(np.arange(DAYS) < DAYS - 100, 5.0, 15.0) + np.random.default_rng(5).normal(0, 1, DAYS)
    found = seasons_of(panel_of(growing, stepped))
    assert found.weekly.strength.tolist() == [0.0, 0.0]
    assert found.yearly.peaks(0) == []


def test_where_too_little_was_seen_nothing_is_told():
    found = seasons_of(panel_of(usual(20), usual(21), usual(103 * 7), usual(), np.zeros(DAYS)))
    assert np.isnan(found.weekly.strength).tolist() == [True, False, False, False, True]
    assert np.isnan(found.yearly.strength).tolist() == [True, True, True, False, True]
    assert found.yearly.peaks(0) == found.weekly.peaks(4) == []


def test_days_that_were_not_seen_are_no_days_without_demand():
    sold = np.random.default_rng(6).poisson(usual()).astype(float)
    gaps = sold.copy()
    gaps[6::7] = np.nan  # closed on Sundays
    whole, closed = seasons_of(panel_of(sold)), seasons_of(panel_of(gaps))
    assert closed.weekly.peaks(0) == [5]
    assert set(closed.yearly.peaks(0)) == set(whole.yearly.peaks(0))


def test_noise_has_a_season_about_as_rarely_as_is_said():
    rng = np.random.default_rng(7)
    sold = rng.poisson(rng.uniform(0.05, 5, (600, 1)), (600, DAYS)).astype(float)
    found = seasons_of(panel_of(*sold))
    assert (found.weekly.strength > 0).mean() < 4 * CHANCE
    assert (found.yearly.strength > 0).mean() < 4 * CHANCE


def test_only_days_have_these_seasons():
    with pytest.raises(ParameterError, match="sum them to days"):
        seasons_of(Panel.from_wide([[1.0, 2.0, 3.0]], start="2026-01-05", freq="1w"))
