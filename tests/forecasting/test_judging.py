"""A correction is judged on windows it has not seen, whoever can be asked there."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from tests.forecasting.worlds import PERIODS, calm, world

from shelfwise.forecasting import judging
from shelfwise.forecasting.calendar_model import Calendars
from shelfwise.forecasting.coherence import Coherent
from shelfwise.forecasting.held_out import reference_horizon
from shelfwise.forecasting.judging import STRENGTHS, strength_of
from shelfwise.forecasting.models.naive import SeasonalNaive
from shelfwise.forecasting.models.theta import Theta
from shelfwise.forecasting.models.trees import Trees


@pytest.fixture(scope="module")
def panel():
    return world()


def strength(panel, judged):
    return strength_of(judged, panel, Calendars.of(panel), reference_horizon(panel))


def test_a_correction_that_pays_is_taken_over_and_makes_sums_better_than_the_calendar_alone_or_as_good(panel):
    chosen, error_ratio = strength(panel, Theta())
    assert chosen in STRENGTHS[1:]
    assert 0.5 <= error_ratio <= 1.0


def test_a_correction_that_does_not_pay_is_left_out():
    days = np.arange(PERIODS)
    once = np.where((days > 195) & (days < 255), 10.0, 1.0)  # October and November of the first year alone
    panel = world(rate=2.0, factor=calm() * once)
    found = Coherent(Theta()).fit(panel)
    np.testing.assert_array_equal(found.correction.factors, 1.0)
    taken = Coherent(Theta(), strength=1.0).fit(panel).correction.factors
    assert not np.allclose(taken, 1.0)


def test_a_judge_that_draws_its_paths_leaves_the_choice_to_the_levels(panel):
    made = Coherent(Theta(), judged=SeasonalNaive()).fit(panel)
    assert made.correction is not None
    assert np.isfinite(made.predict(panel, 7).mean()).all()


def test_a_judge_that_cannot_be_fitted_costs_no_forecast(panel, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    made = Coherent(Theta(), judged=Trees()).fit(panel)
    assert np.isfinite(made.predict(panel, 7).mean()).all()


def test_a_store_that_was_never_recorded_costs_no_forecast(monkeypatch):
    panel = world(rate=3.0)
    values = panel.window(PERIODS).copy()
    values[1::2, :-30] = np.nan
    values[1::2, 0] = 1.0
    given = replace(panel, values=values.reshape(-1))
    for cells in (judging.JUDGED_CELLS, 0):
        monkeypatch.setattr(judging, "JUDGED_CELLS", cells)
        made = Coherent(Theta()).fit(replace(given))
        assert np.isfinite(made.predict(given, 7).mean()).all()


def test_large_panels_are_judged_by_their_levels(panel, monkeypatch):
    monkeypatch.setattr(judging, "JUDGED_CELLS", 0)
    made = Coherent(Theta()).fit(replace(panel))
    assert made.correction is not None
    assert np.isfinite(made.predict(panel, 7).mean()).all()
