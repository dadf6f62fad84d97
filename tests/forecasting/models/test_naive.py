"""Seasonal naive: the last season again."""

from __future__ import annotations

import numpy as np
import pytest

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.models.naive import SeasonalNaive


def panel_of(values, freq="1d", **given):
    return Panel.from_wide(values, start="2026-01-01", freq=freq, **given)


def forecast(panel, horizon, **given):
    return SeasonalNaive(**given).fit(panel).predict(panel, horizon)


@pytest.mark.parametrize("field", ["season", "changes"])
def test_parameters_check_themselves(field):
    with pytest.raises(ParameterError, match=f"{field} must be at least 1 .*, got 0"):
        SeasonalNaive(**{field: 0})


def test_a_history_that_repeats_itself_is_repeated_exactly():
    week = np.arange(1.0, 8.0)
    found = forecast(panel_of([np.tile(week, 10)]), 17)
    np.testing.assert_array_equal(found.mean()[0], np.tile(week, 3)[:17])
    np.testing.assert_array_equal(found.quantiles([0.1, 0.9])[0, :, 0], found.quantiles([0.1, 0.9])[0, :, 1])


def test_the_season_is_the_frequencys_own_or_the_one_given():
    assert SeasonalNaive().fit(panel_of(np.ones((1, 30)), "1mo")).season == 12
    assert SeasonalNaive(season=5).fit(panel_of(np.ones((1, 30)))).season == 5


def test_the_spread_grows_with_the_seasons_ahead():
    values = np.random.default_rng(0).poisson(50, (20, 200)).astype(float)
    spread = forecast(panel_of(values), 28).paths.std(axis=1).reshape(20, 4, 7).mean(axis=(0, 2))
    assert (np.diff(spread) > 0).all()
    assert spread[3] / spread[0] == pytest.approx(2.0, rel=0.2)  # four seasons' changes: twice one's deviation


def test_a_place_not_seen_last_season_takes_its_latest_value():
    values = np.tile(np.arange(1.0, 8.0), 10)
    values[-7 + 2] = np.nan
    assert forecast(panel_of([values]), 7).mean()[0].tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_a_place_never_seen_takes_the_series_own_values():
    found = forecast(panel_of([[2.0, 4.0, 6.0]]), 7)
    assert np.median(found.paths[0, :, 5:], axis=0) == pytest.approx([4.0, 6.0], abs=2.0)  # places that were seen
    assert set(np.unique(found.paths[0, :, :4])) == {
        0.0,
        2.0,
        4.0,
        6.0,
        8.0,
    }  # own values, and neighbours' changes of 2
    assert found.mean()[0, :4] == pytest.approx(4.0, abs=0.5)


def test_a_jump_in_the_past_is_no_drift_to_come():
    """The changes of a level shift all point one way; carried on, they made 64 of a steady 50."""
    values = np.repeat([5.0, 50.0], [150, 50])
    assert forecast(panel_of([values]), 28).mean()[0] == pytest.approx(50.0, rel=0.1)


def test_one_observation_may_come_again_or_not_or_twice():
    found = forecast(panel_of([[6.0]]), 7)
    assert {0.0, 6.0, 12.0} >= set(np.unique(found.paths))
    assert found.mean()[0] == pytest.approx(6.0, rel=0.15)
    assert (found.quantiles([0.9]) > found.quantiles([0.1])).all()


def test_censored_periods_are_not_repeated():
    values = np.tile(np.arange(1.0, 8.0), 10)
    flags = np.ones(70, dtype=bool)
    values[-3:], flags[-3:] = 0.0, False
    assert forecast(panel_of([values], available=[flags]), 7).mean()[0].tolist() == [1, 2, 3, 4, 5, 6, 7]
