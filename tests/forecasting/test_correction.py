"""A correction finds each series' cell and day."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.forecasting.worlds import world

from shelfwise.forecasting.aggregates import Chains
from shelfwise.forecasting.correction import Correction, factors_of
from shelfwise.forecasting.models.theta import Theta


def correction():
    factors = np.array([[1.1, 1.2, 1.3, 0.0], [0.9, 0.8, 0.7, 0.0]])
    closes = np.array([False, False, False, True, False, False, True])
    return Correction(Chains((("store",),)), ("s0", "s1"), 100, factors, closes)


def at(starts, horizon, stores):
    ahead = Theta().fit(world(4)).predict(world(4), horizon)
    table = ahead.series.head(len(starts)).with_columns(store=np.array(stores))
    return correction().at(replace(ahead.select(range(len(starts))), series=table, starts=np.array(starts)))


def test_periods_that_have_passed_take_the_later_factors():
    np.testing.assert_allclose(at([100, 101], 2, ["s0", "s1"]), [[1.1, 1.2], [0.8, 0.7]])


def test_periods_before_the_correction_are_not_corrected():
    np.testing.assert_allclose(at([98, 99], 3, ["s0", "s1"]), [[1.0, 1.0, 1.1], [1.0, 0.9, 0.8]])


def test_beyond_what_is_laid_out_the_mean_of_the_last_open_days_holds():
    np.testing.assert_allclose(at([103, 120], 3, ["s0", "s1"]), [[0.0, 1.2, 1.2], [0.8, 0.8, 0.8]])


def test_the_shop_is_closed_whatever_the_cell_and_beyond_the_factors_too():
    np.testing.assert_allclose(at([105, 103], 3, ["s0", "new"]), [[1.2, 0.0, 1.2], [0.0, 1.0, 1.0]])


def test_a_cell_never_seen_is_not_corrected():
    np.testing.assert_allclose(at([100, 100], 2, ["new", "s0"]), [[1.0, 1.0], [1.1, 1.2]])


def test_a_factor_is_bounded_and_one_where_nothing_is_told():
    expected, bottom = np.array([[9.0, 1.0, 3.0, 0.0, 3.0]]), np.array([[1.0, 9.0, 2.0, 2.0, 2.0]])
    share = np.array([[1.0, 1.0, 1.0, 1.0, 0.0]])
    np.testing.assert_allclose(factors_of(expected, bottom, share), [[1.6, 1 / 1.6, 1.5, 1.0, 1.0]])


def test_half_a_cell_open_is_expected_to_sell_half():
    np.testing.assert_allclose(factors_of(np.array([[6.0]]), np.array([[2.5]]), np.array([[0.5]])), [[1.2]])
