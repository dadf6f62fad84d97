"""Gaps and stockouts are filled with the series' own level and season."""

from __future__ import annotations

import numpy as np
import pytest

from shelfwise.forecasting.histories import expected, filled, local_level, seasonal_shape

WEEK = np.array([2.0, 4.0, 6.0, 8.0, 10.0, 20.0, 0.0])


def seen_but(length, *gaps):
    seen = np.ones(length, dtype=bool)
    for gap in gaps:
        seen[gap] = False
    return seen


def test_a_history_without_gaps_stays_as_it_is():
    values = np.tile(WEEK, 4)
    assert filled(values, seen_but(28), 7) is values


def test_what_was_not_seen_is_filled_with_the_level_and_the_weekday_around_it():
    values = np.tile(WEEK, 12)
    seen = seen_but(84, slice(38, 47))
    given = np.where(seen, values, -999.0)
    found = filled(given, seen, 7)
    np.testing.assert_array_equal(found[seen], values[seen])
    np.testing.assert_allclose(found[~seen], values[~seen], atol=2.5)
    np.testing.assert_array_equal(found, filled(np.where(seen, values, 1e9), seen, 7))


def test_a_gap_at_the_end_takes_the_latest_level_and_one_longer_than_the_window_bridges_both_sides():
    rising = np.repeat([10.0, 40.0], 100)
    level = local_level(rising, seen_but(200, slice(170, 200)), np.ones(200), 14)
    assert level[199] == pytest.approx(40.0)
    bridge = local_level(rising, seen_but(200, slice(60, 140)), np.ones(200), 14)
    assert (np.diff(bridge) > -1e-9).all()
    assert bridge[100] == pytest.approx(25.0, abs=2.0)


def test_a_season_seen_less_than_twice_is_no_season():
    values = np.tile(WEEK, 2)
    np.testing.assert_array_equal(seasonal_shape(values, seen_but(14, 3), 7), np.ones(14))
    np.testing.assert_array_equal(seasonal_shape(values, seen_but(14), 1), np.ones(14))
    assert np.ptp(seasonal_shape(values, seen_but(14), 7)) > 1


def test_nothing_seen_and_nothing_sold_expect_nothing():
    nothing = np.zeros(20)
    assert not expected(nothing, np.zeros(20, dtype=bool), 7).any()
    assert not expected(nothing, seen_but(20), 7).any()
    assert not filled(nothing, seen_but(20, 4), 7).any()
