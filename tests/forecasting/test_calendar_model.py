"""The calendar model of the aggregates: known weekdays, years and events are found again, and nothing else."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.aggregates import Aggregates
from shelfwise.forecasting.calendar_model import Calendar, Calendars, fit_calendar
from shelfwise.forecasting.models.base_level import BaseLevel
from shelfwise.forecasting.pooling import flags_of

DAILY = Frequency.parse("1d")
START = "2021-03-01"
PAST, AHEAD = 800, 240
WEEK = np.array([0.8, 0.8, 0.9, 1.0, 1.1, 1.5, 0.9])


def shape_of(days, sizes=(1.0, 1.0, 1.0)):
    """Return factors by a formula: weekday, year and a fair on every 37th day; [days]."""
    ordinals = DAILY.ordinal(START) + days
    week, year, fair = sizes
    found = WEEK[DAILY.weekday(ordinals)] ** week
    found = found * (1.0 + 0.35 * np.sin(2 * np.pi * (DAILY.year_fraction(ordinals) - 0.2))) ** year
    return found * np.where(days % 37 == 5, 1.8, 1.0) ** fair


def fairs(days):
    return np.where(days % 37 == 5, "fair", None)


def world(n=90, rate=6.0, past=PAST, seed=1, sizes=(1.0, 1.0, 1.0), factor=1.0, **given):
    """Series whose sales follow the formula, in departments of 30."""
    days = np.arange(past + AHEAD)
    rng = np.random.default_rng(seed)
    levels = np.broadcast_to(rate, (n,))[:, None] * rng.gamma(5.0, 0.2, (n, 1))
    values = rng.poisson(levels * (shape_of(days, sizes) * factor)[..., :past]).astype(float)
    attributes = {"department": [f"d{i // 30}" for i in range(n)]}
    return Panel.from_wide(
        values,
        start=START,
        series={"unique_id": [f"p{i:03}" for i in range(n)]} | attributes,
        hierarchy=("department",),
        known_future={"event": fairs(days)} | given,
    )


@pytest.fixture(scope="module")
def known():
    return world()


@pytest.fixture(scope="module")
def calendars(known):
    return Calendars.of(known)


def factors_of(calendar, low, high):
    """Return [C + 1, days] factors of the cells from day ``low`` to ``high``."""
    ordinals = DAILY.ordinal(START) + np.arange(low, high)
    return calendar.at(np.arange(len(calendar.cells) + 1), ordinals[None, :])


def truth_of(low, high, sizes=(1.0, 1.0, 1.0)):
    year = shape_of(np.arange(PAST - 365, PAST), sizes).mean()
    return shape_of(np.arange(low, high), sizes) / year


# ------------------------------------------------------------------- recovery


def test_weekday_year_and_events_made_by_a_formula_are_found_again(calendars):
    found = factors_of(calendars.at(0), PAST, PAST + AHEAD)[:-1]
    truth = truth_of(PAST, PAST + AHEAD)
    near = np.abs(np.arange(PAST, PAST + AHEAD) % 37 - 5) <= 3
    assert np.median(np.abs(found / truth - 1)) < 0.03
    np.testing.assert_allclose(found[:, :28].mean(axis=1), truth[:28].mean(), rtol=0.03)
    fair = np.arange(PAST, PAST + AHEAD) % 37 == 5
    np.testing.assert_allclose((found / truth)[:, fair].mean(axis=1), 1.0, atol=0.08)
    np.testing.assert_allclose((found / truth)[:, near & ~fair].mean(axis=1), 1.0, atol=0.06)


@pytest.mark.parametrize("sizes", [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, 0.0)])
def test_each_effect_is_found_alone_and_none_where_there_is_none(sizes):
    found = factors_of(Calendars.of(world(sizes=sizes)).at(0), PAST, PAST + 60)[:-1]
    assert np.median(np.abs(found / truth_of(PAST, PAST + 60, sizes) - 1)) < 0.025


def test_expected_totals_are_means_and_not_medians():
    week, ratios = (1.0, 0.0, 0.0), []
    for seed in range(16):
        wild = np.random.default_rng(seed).lognormal(-0.125, 0.5, 400 + AHEAD)  # mean 1, median 0.88; shared by all
        panel = world(n=30, past=400, factor=wild, sizes=week, seed=seed)
        level = panel.window(400).sum(axis=0) / shape_of(np.arange(400), week)
        found = Calendars.of(panel).fit(0).ahead(28)[-1] / shape_of(np.arange(400, 428), week)
        ratios.append(found.mean() / level.mean())
    # the level at the origin is that of a few weeks: about 0.13 off in each world, 0.03 in the mean of sixteen
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.07)


def test_the_expected_level_follows_a_step():
    step = np.where(np.arange(PAST + AHEAD) < PAST - 70, 1.0, 2.0)
    panel = world(factor=step)
    found = Calendars.of(panel).fit(0).ahead(28)[-1]
    before = panel.window(PAST).sum(axis=0)[: PAST - 70] / shape_of(np.arange(PAST - 70))
    assert (found / shape_of(np.arange(PAST, PAST + 28))).mean() == pytest.approx(2 * before.mean(), rel=0.1)


def test_a_small_department_leans_on_the_whole():
    rate = np.repeat([12.0, 0.5, 12.0], 30)
    panel = world(rate=rate)
    small = panel.select(np.arange(30, 60))
    leaning = factors_of(Calendars.of(panel).at(0), PAST, PAST + AHEAD)[1]
    alone = factors_of(Calendars.of(small).at(0), PAST, PAST + AHEAD)[0]
    truth = truth_of(PAST, PAST + AHEAD)
    assert np.abs(leaning - truth).mean() < 0.95 * np.abs(alone - truth).mean()


def test_a_department_with_a_week_of_its_own_keeps_it():
    panel = world()
    other = np.where(np.arange(90) // 30 == 1, 1.0, 0.0)[:, None]
    monday = DAILY.weekday(DAILY.ordinal(START) + np.arange(PAST + 28)) == 0
    values = panel.window(PAST) * np.where(monday[:PAST], 1.0 + 2.0 * other, 1.0)
    given = replace(panel, values=values.reshape(-1))
    found = factors_of(Calendars.of(given).at(0), PAST, PAST + 28)[:-1] / shape_of(np.arange(PAST, PAST + 28))
    ratio = found[:, monday[PAST:]].mean(axis=1) / found[:, ~monday[PAST:]].mean(axis=1)
    np.testing.assert_allclose(ratio, [1.0, 3.0, 1.0], rtol=0.06)


# ----------------------------------------------------------------- rows and time


def test_factors_average_one_over_the_last_year(calendars):
    for back in (0, 56, 300):
        found = factors_of(calendars.at(back), PAST - back - 365, PAST - back)
        np.testing.assert_allclose(found.mean(axis=1), 1.0, atol=1e-4)


def test_nothing_after_the_origin_matters(known, calendars):
    rng = np.random.default_rng(9)
    values = known.window(PAST).copy()
    values[:, PAST - 90 :] = rng.poisson(50.0, (90, 90))
    other = Calendars.of(replace(known, values=values.reshape(-1)))
    one, two = calendars.at(90), other.at(90)
    np.testing.assert_array_equal(one.factors, two.factors)
    assert not np.array_equal(calendars.at(0).factors, other.at(0).factors)


def test_a_past_calendar_is_that_of_the_panel_as_it_was(known, calendars):
    then = Calendars.of(known.until(known.ends - 90)).at(0)
    now = calendars.at(90)
    assert (then.cells, then.first, then.covers) == (now.cells, now.first, now.covers)
    length = then.factors.shape[1]
    np.testing.assert_allclose(now.factors[:, :length], then.factors, rtol=1e-5)


def test_beyond_what_is_laid_out_the_last_year_comes_again_by_weekday(calendars):
    calendar = calendars.at(0)
    last = calendar.first + calendar.factors.shape[1]
    ordinals = np.arange(last, last + 1000)
    found = calendar.at(np.arange(3), ordinals[None, :])
    np.testing.assert_array_equal(found[:, :364], calendar.factors[:, -364:])
    np.testing.assert_array_equal(found[:, 364:728], found[:, :364])
    early = calendar.at(np.arange(3), (calendar.first - 1 - np.arange(20))[None, :])
    np.testing.assert_array_equal(early, calendar.factors[:, 363 - np.arange(20)])


def test_each_series_may_be_asked_at_times_of_its_own(calendars):
    calendar = calendars.at(0)
    ordinals = calendar.first + np.array([[0, 1], [700, 701], [1700, 1701], [5, 6]])
    found = calendar.at(np.array([0, 1, 2, 3]), ordinals)
    for row in range(4):
        np.testing.assert_array_equal(found[row], calendar.at(np.array([row]), ordinals[row : row + 1])[0])


def test_a_cell_never_seen_has_a_plain_calendar(calendars, known):
    calendar = calendars.at(0)
    table = known.series.head(2).with_columns(department=np.array(["new", "d1"]))
    codes = calendar.codes(table)
    assert codes.tolist() == [3, 1]
    assert (calendar.at(codes, np.arange(calendar.first, calendar.first + 9)[None, :])[0] == 1.0).all()


def test_a_department_that_has_hardly_begun_has_the_calendar_of_all():
    panel = world()
    values = panel.window(PAST).copy()
    values[30:60, : PAST - 2] = 0.0
    found = factors_of(Calendars.of(replace(panel, values=values.reshape(-1))).at(0), PAST, PAST + 60)
    np.testing.assert_allclose(found[1] / found[1].mean(), found[0] / found[0].mean(), rtol=0.1)
    assert found[1].max() / found[1].min() > 1.5


def test_before_its_first_sale_a_department_says_nothing():
    panel = world()
    values = panel.window(PAST).copy()
    values[30:60, : PAST - 200] = 0.0
    fit = Calendars.of(replace(panel, values=values.reshape(-1))).fit(0)
    new = values[30:60, -100:].sum(axis=0) / shape_of(np.arange(PAST - 100, PAST))
    found = fit.ahead(28)[1] / shape_of(np.arange(PAST, PAST + 28))
    assert found.mean() == pytest.approx(new.mean(), rel=0.1)


def test_closed_days_have_no_share():
    panel = world()
    values = panel.window(PAST).copy()
    sunday = DAILY.weekday(DAILY.ordinal(START) + np.arange(PAST + AHEAD)) == 6
    values[:, sunday[:PAST]] = 0.0
    found = factors_of(Calendars.of(replace(panel, values=values.reshape(-1))).at(0), 0, PAST + AHEAD)[:-1]
    assert not found[:, sunday].any()
    assert (found[:, ~sunday] > 0.1).all()


# -------------------------------------------------------------------- covariates


def flagged(common):
    """A sale that all series of a department see together, or each series by itself; it lifts by 1.6."""
    days = np.arange(PAST + AHEAD)
    rng = np.random.default_rng(4)
    first = days % 13 < 3
    if common:
        up = np.repeat([first, days % 11 < 3, np.zeros(len(days), dtype=bool)], 30, axis=0)
    else:
        up = rng.random((90, len(days))) < 0.2
    up = up.astype(float)
    return world(factor=np.where(up > 0, 1.6, 1.0)[:, :], sale=up), up


@pytest.mark.parametrize("common", [True, False])
def test_a_flag_is_in_the_calendar_or_the_models_own_and_never_in_both(common):
    panel, _ = flagged(common)
    calendar = Calendars.of(panel).at(0)
    assert ("sale" in calendar.covers) == common
    assert ("sale" in flags_of(panel, calendar)) != common
    assert "event fair" in calendar.covers


@pytest.mark.parametrize("common", [True, False])
def test_a_flag_lifts_the_base_forecast_once(common):
    panel, up = flagged(common)
    made = BaseLevel(cutoffs=1).fit(panel).predict(panel, 60).mean()
    shape = made / shape_of(np.arange(PAST, PAST + 60))
    level = np.where(up[:, PAST : PAST + 60] > 0, np.nan, shape)
    lifted = np.where(up[:, PAST : PAST + 60] > 0, shape, np.nan)
    ratio = np.nanmean(lifted[:60]) / np.nanmean(level[:60])
    assert ratio == pytest.approx(1.6, rel=0.1)


def test_the_calendar_of_a_cell_leaves_out_what_single_series_see():
    panel, _ = flagged(False)
    found = factors_of(Calendars.of(panel).at(0), PAST, PAST + 60)[:-1]
    assert np.median(np.abs(found / truth_of(PAST, PAST + 60) - 1)) < 0.04


# ------------------------------------------------------------------------ keeping


def test_a_stored_calendar_is_the_same(calendars):
    calendar = calendars.at(0)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **calendar.to_arrays())
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as stored:
        again = Calendar.from_arrays({name: stored[name] for name in stored.files})
    assert (again.chains, again.cells, again.first, again.covers, again.lap) == (
        calendar.chains, calendar.cells, calendar.first, calendar.covers, calendar.lap,
    )  # fmt: skip
    np.testing.assert_array_equal(again.factors, calendar.factors)
    np.testing.assert_array_equal(again.plans.values, calendar.plans.values)
    assert again.plans.names == calendar.plans.names
    assert Calendar.from_arrays({}) is None


def test_a_calendar_of_one_whole_is_stored_too():
    panel = replace(world(n=30), hierarchy=())
    calendar = Calendars.of(replace(panel, series=panel.series.select("unique_id"))).at(0)
    again = Calendar.from_arrays(calendar.to_arrays())
    assert (again.chains.columns, again.cells) == ((), ("",))
    assert again.codes(panel.series).tolist() == [0] * 30


def test_models_of_one_panel_share_its_calendars(known, calendars):
    assert Calendars.of(known) is calendars
    assert calendars.fit(0) is calendars.fit(0)


def test_short_histories_and_other_periods_than_days_have_no_calendar(known):
    assert Calendars.of(known.until(DAILY.ordinal(START) + 300)) is None
    weekly = Panel.from_wide(np.ones((3, 300)), start="2018-01-01", freq="1w")
    assert Calendars.of(weekly) is None
    year = known.until(DAILY.ordinal(START) + 350)
    assert Calendars.of(year).at(0) is not None
    assert Calendars.of(year).at(30) is None


@pytest.mark.parametrize(("freq", "lap"), [("1w", 52), ("1mo", 12)])
def test_sums_of_weeks_and_months_have_a_calendar_of_their_year(freq, lap):
    rng = np.random.default_rng(0)
    periods = 4 * lap
    frequency = Frequency.parse(freq)
    ordinals = frequency.ordinal("2018-01-01") + np.arange(periods + lap)
    year = 1.0 + 0.4 * np.sin(2 * np.pi * frequency.year_fraction(ordinals))
    values = rng.poisson(30.0 * np.broadcast_to(year[:periods], (40, periods))).astype(float)
    panel = Panel.from_wide(values, start="2018-01-01", freq=freq)
    found = fit_calendar(Aggregates.of(panel)).ahead(lap)[-1]
    np.testing.assert_allclose(found, 1200.0 * year[periods:], rtol=0.13)
    assert np.corrcoef(found, year[periods:])[0, 1] > 0.99
