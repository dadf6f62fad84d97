"""The usual state of covariates, and panels put back to it."""

from __future__ import annotations

import numpy as np
import pytest

from shelfwise.domain.panel import Panel
from shelfwise.forecasting.usual import as_usual, drivers_of, laid_ahead, usual_of

PAST, AHEAD = 30, 4


def panel_of(**known) -> Panel:
    n = 3
    whole = Panel.from_wide(np.ones((n, PAST + AHEAD)), start="2026-01-05", known_future=known)
    return whole.split(AHEAD)[0]


def grid(ahead, past=0.0):
    return np.concatenate([np.full(PAST, past), np.asarray(ahead, dtype=float)])


def test_a_flag_departs_where_it_is_up_and_an_unknown_one_does_not():
    (driver,) = drivers_of(panel_of(promotion=grid([0, 1, np.nan, 1])), AHEAD)
    assert driver.departs.tolist() == [[False, True, False, True]] * 3
    assert (driver.is_event, driver.words) == (True, ())


def test_opening_days_are_no_event():
    assert drivers_of(panel_of(open=grid([0, 1, 1, 0], 1.0)), AHEAD) == ()


def test_a_price_departs_from_the_median_of_its_past():
    past = np.where(np.arange(PAST) % 5 == 0, 4.0, 5.0)
    (driver,) = drivers_of(panel_of(price=np.concatenate([past, [5.0, 4.0, 6.0, np.nan]])), AHEAD)
    assert driver.usual[0, 0] == 5.0
    assert driver.departs[0].tolist() == [False, True, True, False]
    assert not driver.is_event


def test_a_price_without_a_past_departs_from_nothing():
    assert drivers_of(panel_of(price=grid([5.0] * 4, np.nan)), AHEAD) == ()


def test_the_commonest_word_of_each_series_is_usual_and_no_word_may_be():
    words = np.full((3, PAST + AHEAD), "none", dtype=object)
    words[1, :25] = "season"
    words[2, :] = None
    words[:, PAST + 1] = "fair"
    panel = panel_of(event=words)
    (driver,) = drivers_of(panel, AHEAD)
    assert driver.departs.tolist() == [
        [False, True, False, False],
        [True, True, True, True],
        [False, True, False, False],
    ]
    assert np.isnan(usual_of(panel, panel.known_future["event"], flag=False)[2, 0])


@pytest.mark.parametrize("shared", [True, False])
def test_back_to_the_usual_the_future_is_changed_and_the_past_is_not(shared):
    row = grid([0, 1, 1, 0])
    row[3] = 1.0
    panel = panel_of(promotion=row if shared else np.tile(row, (3, 1)))
    plain = as_usual(panel, drivers_of(panel, AHEAD), AHEAD)
    assert not plain.known_future["promotion"].at(panel.ends, AHEAD).any()
    before = panel.known_future["promotion"].at(panel.starts, PAST)
    np.testing.assert_array_equal(plain.known_future["promotion"].at(panel.starts, PAST), before)
    assert panel.known_future["promotion"].at(panel.ends, AHEAD).any()
    assert drivers_of(plain, AHEAD) == ()


def test_a_shared_row_is_laid_out_by_series_where_they_end_apart():
    panel = panel_of(promotion=grid([0, 1, 1, 0]))
    panel = panel.until(panel.ends - np.array([0, 1, 2]))
    plain = as_usual(panel, drivers_of(panel, AHEAD), AHEAD)
    assert not plain.known_future["promotion"].at(panel.ends, AHEAD).any()


def test_values_beyond_what_was_known_are_laid_out_too():
    panel = panel_of(promotion=grid([0, 1, 1, 0]))
    laid = laid_ahead(panel.known_future["promotion"], panel.ends, np.ones((3, 9)))
    assert laid.at(panel.ends, 9).tolist() == [[1.0] * 9] * 3
