"""Seasonal shapes: factors around 1, shrunk where little is known."""

from __future__ import annotations

import numpy as np
import pytest

from shelfwise.domain.calendar import Frequency
from shelfwise.forecasting.seasonality import (
    bin_sums,
    cycle_shape,
    cycle_sums,
    moving_level,
    pooled_ratio,
    pooled_year_shape,
    read,
    read_year,
    short_cycles,
    year_bins,
    year_index,
)


@pytest.mark.parametrize(
    ("freq", "names"),
    [
        ("5min", ["time_of_day", "weekday", "time_of_week"]),
        ("1h", ["time_of_day", "weekday", "time_of_week"]),
        ("1d", ["weekday"]),
        ("2d", []),
        ("7h", []),
        ("1w", []),
        ("1mo", []),
    ],
)
def test_each_frequency_shows_the_cycles_that_fit_it(freq, names):
    assert [cycle.name for cycle in short_cycles(Frequency.parse(freq))] == names


def test_places_in_a_cycle_lie_within_it_and_follow_the_calendar():
    for text in ("15min", "1h", "1d"):
        freq = Frequency.parse(text)
        ordinals = np.arange(freq.ordinal("2026-11-16"), freq.ordinal("2026-11-30"))[None, :]  # two weeks from Monday
        for cycle in short_cycles(freq):
            index = cycle.index(freq, ordinals)
            assert index.min() == 0
            assert index.max() == cycle.length - 1
            steps = 7 * 1440 // freq.minutes
            np.testing.assert_array_equal(index[:, :steps], index[:, steps:])
    assert short_cycles(Frequency.parse("1d"))[0].index(Frequency.parse("1d"), np.array([[20454]])).tolist() == [[3]]


def test_a_year_goes_round():
    for text, bins in (("1d", 52), ("1w", 52), ("1mo", 12), ("1q", 4)):
        freq = Frequency.parse(text)
        ordinals = np.arange(freq.ordinal("2020-01-01"), freq.ordinal("2025-01-01"))
        position = year_index(freq, ordinals)
        assert year_bins(freq) == bins
        assert position.min() >= 0
        assert position.max() < bins


def test_a_shape_is_read_straight_between_the_middles_of_its_bins():
    shape = np.array([[1.0, 2.0, 4.0, 3.0]])
    position = np.array([[0.5, 1.0, 1.5, 3.9, 0.1]])
    np.testing.assert_allclose(read_year(shape, position), [[1.0, 1.5, 2.0, 2.2, 1.8]])
    np.testing.assert_allclose(read_year(shape, np.array([[0.0, 3.0]])), [[1.0, 3.0]])
    assert read(shape, np.array([[2, 0]])).tolist() == [[4.0, 1.0]]


@pytest.mark.parametrize("length", [1, 2, 5, 12, 40])
def test_the_moving_level_is_the_ratio_of_window_sums(length):
    rng = np.random.default_rng(0)
    top, bottom = rng.random((3, 12)), rng.random((3, 12)) + 0.1
    size = min(length, 12)
    by_hand = np.empty((3, 12))
    for t in range(12):
        low = min(max(t - size // 2, 0), 12 - size)
        by_hand[:, t] = top[:, low : low + size].sum(axis=1) / bottom[:, low : low + size].sum(axis=1)
    np.testing.assert_allclose(moving_level(top, bottom, length), by_hand)


def test_the_moving_level_is_zero_where_nothing_is_known():
    assert not moving_level(np.zeros((1, 9)), np.zeros((1, 9)), 4).any()


def test_sums_by_place_are_the_same_for_one_calendar_and_for_one_each():
    rng = np.random.default_rng(1)
    values, index = rng.random((4, 30)), np.arange(30)[None, :] % 7
    by_hand = np.array([[row[index[0] == place].sum() for place in range(7)] for row in values])
    np.testing.assert_allclose(bin_sums(values, index, 7), by_hand)
    np.testing.assert_allclose(bin_sums(values, np.tile(index, (4, 1)), 7), by_hand)


WEEK = np.array([0.5, 0.8, 0.9, 1.0, 1.2, 1.6, 1.0])


def test_a_weekday_shape_comes_out_and_averages_one():
    days = np.arange(112)[None, :] % 7
    values = 20.0 * WEEK[days]
    shape = cycle_shape(values, np.ones_like(values), np.ones_like(values), days, 7, 7)
    np.testing.assert_allclose(shape[0], WEEK / WEEK.mean(), rtol=1e-6)


def test_a_shape_leans_on_its_prior_the_more_the_less_was_sold():
    days = np.arange(112)[None, :] % 7
    prior, noise = np.ones((1, 7)), np.ones(1)
    seen = np.ones((1, 112))
    little, much = (
        cycle_shape(level * WEEK[days], seen, seen, days, 7, 7, noise, prior)[0] for level in (0.01, 1000.0)
    )
    np.testing.assert_allclose(little, 1.0, atol=0.05)
    np.testing.assert_allclose(much, WEEK / WEEK.mean(), atol=0.01)


def test_each_groups_shape_is_its_own_and_one_without_members_takes_that_of_all():
    days = np.arange(112)[None, :] % 7
    values = np.concatenate([np.full((5, 1), 30.0) * WEEK[days], np.full((5, 1), 30.0) * WEEK[::-1][days]])
    seen = np.ones_like(values)
    groups = np.array([0] * 5 + [1] * 5)
    shape = pooled_ratio(*cycle_sums(values, seen, seen, days, 7, 7), groups, 3)
    np.testing.assert_allclose(shape[0], WEEK / WEEK.mean(), atol=0.03)
    np.testing.assert_allclose(shape[1], (WEEK / WEEK.mean())[::-1], atol=0.03)
    np.testing.assert_allclose(shape[2], ((WEEK + WEEK[::-1]) / 2) / WEEK.mean(), atol=0.03)


def test_a_year_and_a_trend_are_told_apart():
    months = np.arange(60)
    year = 1.0 + 0.4 * np.cos(2 * np.pi * months / 12)
    totals = (100.0 + 3.0 * months) * year
    shape = pooled_year_shape(
        np.stack([totals, totals]), months.astype(float) % 12, 12, level_stiffness=5.0, smoothness=0.1
    )
    truth = year[:12] / np.exp(np.log(year[:12]).mean())
    np.testing.assert_allclose(shape[1], truth, rtol=0.12)
    np.testing.assert_allclose(shape[0], shape[1], rtol=0.05)


def test_a_group_that_sold_nothing_takes_the_year_of_the_whole():
    months = np.arange(36)
    totals = 50.0 * (1.0 + 0.4 * np.cos(2 * np.pi * months / 12))
    shape = pooled_year_shape(
        np.stack([np.full(36, np.nan), totals]), months % 12.0, 12, level_stiffness=5.0, smoothness=1.0
    )
    np.testing.assert_array_equal(shape[0], shape[1])
