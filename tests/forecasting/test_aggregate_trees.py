"""Trees of the aggregates: totals of a clean world come close to the truth, and growth is carried on with care."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.aggregate_trees import (
    DRIFT_LAG,
    LARGEST_DRIFT,
    LARGEST_RATIO,
    History,
    combined,
    drift,
    train,
)
from shelfwise.forecasting.aggregates import Aggregates
from shelfwise.forecasting.calendar_model import Calendars, fit_calendar

DAILY = Frequency.parse("1d")
START, PERIODS, HORIZON = "2021-01-01", 1100, 28
WEEK = np.array([0.8, 0.8, 0.9, 1.0, 1.1, 1.5, 0.9])
LEVELS = np.repeat([9.0, 5.0, 12.0, 7.0], 30)


def truth_of(days, growth=0.0):
    ordinals = DAILY.ordinal(START) + days
    year = 1.0 + 0.3 * np.sin(2 * np.pi * DAILY.year_fraction(ordinals))
    fair = np.where(days % 41 == 20, 1.7, 1.0)
    return WEEK[DAILY.weekday(ordinals)] * year * fair * np.exp(growth * (days - PERIODS) / 365.0)


def world(periods=PERIODS, growth=0.0, seed=0, levels=LEVELS):
    days = np.arange(periods + 120)
    rng = np.random.default_rng(seed)
    names = [f"p{i:03}" for i in range(len(levels))]
    values = rng.poisson(levels[:, None] * truth_of(days, growth)[:periods]).astype(float)
    return Panel.from_wide(
        values,
        start=START,
        series={"unique_id": names, "store": [f"s{i // 30}" for i in range(len(levels))]},
        hierarchy=("store",),
        known_future={"fair": (days % 41 == 20).astype(float), "weekend": (DAILY.weekday(days + 5) > 4).astype(float)},
    )


@pytest.fixture(scope="module")
def panel():
    return world()


@pytest.fixture(scope="module")
def fit(panel):
    return Calendars.of(panel).fit(0)


@pytest.fixture(scope="module")
def trees(fit):
    made = train(fit, HORIZON)
    assert made is not None
    return made


def error_of(found, growth=0.0):
    """Return the mean absolute error of totals [C, H] over their mean."""
    truth = np.add.reduceat(LEVELS, [0, 30, 60, 90])[:, None] * truth_of(
        np.arange(PERIODS, PERIODS + found.shape[1]), growth
    )
    return np.abs(found - truth).mean() / truth.mean()


def test_totals_of_a_clean_world_are_forecast_close_to_the_truth(fit, trees):
    assert error_of(combined(fit, trees, HORIZON)) < 0.05
    for member in trees.ahead(fit, HORIZON):
        assert member.shape == (4, HORIZON)
        assert error_of(member) < 0.09


def test_the_answer_is_the_mean_in_logs_of_the_members_with_growth(fit, trees):
    members = [fit.ahead(HORIZON)[:4], *trees.ahead(fit, HORIZON)]
    expected = np.exp(np.mean(np.log(members), axis=0)) * np.exp(drift(fit.aggregates, HORIZON))
    np.testing.assert_allclose(combined(fit, trees, HORIZON), expected)


def test_trees_may_be_asked_further_than_they_were_trained(fit, trees):
    far = combined(fit, trees, 3 * HORIZON)
    assert error_of(far) < 0.08
    np.testing.assert_allclose(trees.ahead(fit, 3 * HORIZON)[0][:, :HORIZON], trees.ahead(fit, HORIZON)[0])


def test_the_same_totals_train_the_same_trees(fit, trees):
    again = train(fit, HORIZON)
    for one, two in zip(trees.ahead(fit, HORIZON), again.ahead(fit, HORIZON), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_forecast_stays_within_a_few_times_the_level(fit, trees):
    level = fit.aggregates.values[:4, -28:].mean(axis=1, keepdims=True)
    assert (trees.ahead(fit, HORIZON)[0] <= LARGEST_RATIO * level).all()


def test_nothing_after_the_origin_matters(panel):
    values = panel.window(PERIODS).copy()
    values[:, -60:] = 77.0
    other = Calendars.of(replace(panel, values=values.reshape(-1)))
    one, two = Calendars.of(panel).fit(60), other.fit(60)
    np.testing.assert_array_equal(
        combined(one, train(one, HORIZON), HORIZON), combined(two, train(two, HORIZON), HORIZON)
    )


def test_a_short_history_trains_no_trees():
    short = Calendars.of(world(periods=500)).fit(0)
    assert train(short, HORIZON) is None
    found = combined(short, None, HORIZON)
    np.testing.assert_allclose(found, short.ahead(HORIZON)[:4])  # under two years no growth is known either


def test_without_lightgbm_the_calendar_model_stands_alone(fit, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    assert train(fit, HORIZON) is None
    found = combined(fit, None, HORIZON)
    np.testing.assert_allclose(found, fit.ahead(HORIZON)[:4] * np.exp(drift(fit.aggregates, HORIZON)))


def test_closed_days_are_forecast_at_nothing(panel):
    values = panel.window(PERIODS).copy()
    sunday = DAILY.weekday(DAILY.ordinal(START) + np.arange(PERIODS + HORIZON)) == 6
    values[:, sunday[:PERIODS]] = 0.0
    closed = Calendars.of(replace(panel, values=values.reshape(-1))).fit(0)
    found = combined(closed, train(closed, HORIZON), HORIZON)
    assert not found[:, sunday[PERIODS:]].any()
    assert error_of(np.where(sunday[PERIODS:], error_free(), found)) < 0.06


def error_free():
    return np.add.reduceat(LEVELS, [0, 30, 60, 90])[:, None] * truth_of(np.arange(PERIODS, PERIODS + HORIZON))


# ------------------------------------------------------------------------ growth


@pytest.mark.parametrize("growth", [-0.15, 0.0, 0.15])
def test_growth_of_the_last_year_is_carried_on(growth):
    found = drift(Aggregates.of(world(growth=growth)), HORIZON)
    expected = growth * (np.arange(1, HORIZON + 1) + DRIFT_LAG * HORIZON) / 365
    np.testing.assert_allclose(found, expected, atol=0.002)


@pytest.mark.parametrize("growth", [-2.0, 2.0])
def test_growth_is_carried_on_no_faster_than_the_cap(growth):
    found = drift(Aggregates.of(world(growth=growth, levels=20 * LEVELS)), HORIZON)
    assert found[-1] == pytest.approx(np.sign(growth) * LARGEST_DRIFT * (1 + DRIFT_LAG) * HORIZON / 365)


def test_a_year_of_which_nothing_is_known_has_no_growth(panel):
    values = panel.window(PERIODS).copy()
    values[:, PERIODS - 730 : PERIODS - 360] = np.nan
    found = Aggregates.of(replace(panel, values=values.reshape(-1)))
    assert not found.known[-1, PERIODS - 730 : PERIODS - 360].any()
    np.testing.assert_array_equal(drift(found, HORIZON), np.zeros(HORIZON))
    fitted = fit_calendar(found)
    assert np.isfinite(combined(fitted, train(fitted, HORIZON), HORIZON)).all()


def test_a_series_of_single_sums_is_looked_up_by_its_place():
    history = History.of(np.array([[1.0, 2.0, 4.0, 8.0]]))
    np.testing.assert_allclose(history.mean(np.array([4, 2, 1, -3]), 2), [[6.0, 1.5, np.nan, np.nan]])
    np.testing.assert_allclose(history.at(np.array([-1, 0, 3, 4])), [[np.nan, 1.0, 8.0, np.nan]])
