"""Seasonal naive: the last season again."""

from __future__ import annotations

import numpy as np
import pytest

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.models import naive
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


HOURS = 24 * 7 * 6
DAYS = np.array([1.0, 1.0, 1.1, 1.2, 1.5, 2.0, 0.5])


def hourly(noise=0.0, growth=0.0, n=1):
    """Hours of six weeks whose days differ, and those of the two weeks after."""
    hours = np.arange(HOURS + 336)
    shape = 50.0 + 30.0 * np.sin(2 * np.pi * hours / 24)
    values = shape * DAYS[hours // 24 % 7] + growth * hours / 24
    values = values + noise * np.random.default_rng(3).standard_normal((n, len(hours)))
    return panel_of(values[:, :HOURS], "1h"), values[:, HOURS:]


@pytest.fixture
def whole(monkeypatch):
    """All of the usual change is taken, so that what is known exactly is forecast exactly."""
    monkeypatch.setattr(naive, "TAKEN", 1.0)


@pytest.mark.usefixtures("whole")
def test_days_of_a_week_that_differ_are_told_apart_and_growth_goes_on_for_a_week():
    past, came = hourly(growth=2.0)
    found = forecast(past, 336, weekly=True).mean()
    np.testing.assert_allclose(found[:, :168], came[:, :168], rtol=1e-4)
    second = came[:, 168:] - 2.0 * (np.arange(168) // 24 + 1)  # the week after, without what would have grown
    np.testing.assert_allclose(found[:, 168:], second, rtol=1e-3)


def test_half_of_the_usual_change_is_taken():
    past, came = hourly()
    plain, found = (forecast(past, 24, weekly=weekly).mean() for weekly in (False, True))
    np.testing.assert_allclose(found, (plain + came[:, :24]) / 2, atol=5.0)
    assert np.abs(found - came[:, :24]).mean() < 0.7 * np.abs(plain - came[:, :24]).mean()


def test_weeks_that_are_not_alike_give_the_last_day_again():
    values = np.random.default_rng(8).uniform(20.0, 30.0, (30, HOURS))
    plain, found = (forecast(panel_of(values, "1h"), 24, weekly=weekly).mean() for weekly in (False, True))
    assert np.abs(found - plain).mean() < 0.35 * np.abs(plain - values.mean()).mean()


@pytest.mark.usefixtures("whole")
def test_the_spread_is_what_the_week_leaves_unexplained():
    past, _ = hourly(noise=2.0, n=20)
    plain, found = (forecast(past, 24, weekly=weekly).paths.std(axis=1).mean() for weekly in (False, True))
    assert found < 0.5 * plain
    assert found == pytest.approx(2.0 * np.sqrt(2.0), rel=0.35)


@pytest.mark.parametrize(("freq", "season"), [("1d", None), ("1w", None), ("7h", None), ("1h", 8)])
def test_where_a_day_is_no_season_nothing_comes_again_by_the_week(freq, season):
    values = panel_of(np.random.default_rng(1).poisson(9.0, (3, 400)).astype(float), freq)
    plain, found = (forecast(values, 9, season=season, weekly=weekly).paths for weekly in (False, True))
    np.testing.assert_array_equal(plain, found)


@pytest.mark.usefixtures("whole")
def test_gaps_and_a_first_week_change_nothing_but_what_they_tell():
    past, came = hourly()
    values = past.window(HOURS).copy()
    values[0, 300:340] = np.nan
    values[0, -28:-4] = np.nan  # there the last day is read off the one before, and what usually changed since
    found = forecast(panel_of(values, "1h"), 168, weekly=True).mean()
    np.testing.assert_allclose(found, came[:, :168], rtol=1e-3)
    young = forecast(panel_of(values[:, :60], "1h"), 24, weekly=True).mean()
    np.testing.assert_array_equal(young, forecast(panel_of(values[:, :60], "1h"), 24).mean())


def test_the_week_survives_storage():
    past, _ = hourly()
    fitted = SeasonalNaive(weekly=True).fit(past)
    again = SeasonalNaive().restore(fitted.to_arrays())
    np.testing.assert_array_equal(again.predict(past, 30).paths, fitted.predict(past, 30).paths)
    assert SeasonalNaive().restore({"season": np.array([24, 8])}).week == 0  # as stored by earlier versions


def test_no_series_have_no_paths_by_the_week_either():
    past, _ = hourly()
    assert SeasonalNaive(weekly=True).fit(past).predict(past.select([]), 30).paths.shape == (0, 200, 30)
