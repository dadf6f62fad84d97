"""Prophet on histories whose future is known."""

from __future__ import annotations

import logging
import sys

import numpy as np
import pytest

from shelfwise.domain.errors import ModelError
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.local_models import CEILING
from shelfwise.forecasting.models import prophet
from shelfwise.forecasting.models.prophet import Prophet

WEEK = np.array([10.0, 12.0, 11.0, 14.0, 20.0, 30.0, 5.0])
DAYS = 112


def panel_of(values, freq="1d", **given):
    return Panel.from_wide(np.asarray(values, dtype=float), start="2026-01-05", freq=freq, **given)


def weeks(n=1, seed=0):
    return np.random.default_rng(seed).poisson(np.tile(WEEK, DAYS // 7), (n, DAYS))


def forecast(panel, horizon=14, **given):
    return Prophet().fit(panel).predict(panel, horizon, **given)


def test_a_week_that_repeats_itself_is_found_and_its_noise_too():
    made = forecast(panel_of(weeks(2)), n_paths=400)
    np.testing.assert_allclose(made.mean().reshape(2, 2, 7).mean(axis=(0, 1)), WEEK, rtol=0.25)
    band = made.quantiles([0.1, 0.9])
    fresh = np.random.default_rng(1).poisson(np.tile(WEEK, 2), (200, 2, 14))
    assert 0.7 < ((fresh >= band[..., 0]) & (fresh <= band[..., 1])).mean() < 0.97
    assert np.array_equal(made.paths, np.rint(made.paths))


def test_paths_hang_together_by_their_trend_and_are_those_of_seed_and_series_alone():
    values = weeks(2)
    panel = panel_of(values)
    one = forecast(panel, 60, seed=5)
    np.testing.assert_array_equal(one.paths, forecast(panel, 60, seed=5).paths)
    np.testing.assert_array_equal(one.paths[1:], forecast(panel.select([1]), 60, seed=5).paths)
    assert not np.array_equal(one.paths, forecast(panel, 60, seed=6).paths)
    walk = 1000 + np.cumsum(np.random.default_rng(2).normal(0, 10, 480))
    bent = forecast(panel_of([walk], "1w"), 52, n_paths=400).paths[0]
    assert np.corrcoef(bent[:, 40], bent[:, 51])[0, 1] > 0.4, "a path that is high is high for long"


def test_what_others_draw_from_numpy_is_left_as_it_was():
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.random(2)  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    forecast(panel_of(weeks()), 3)
    np.testing.assert_array_equal(np.random.random(2), expected)  # noqa: NPY002


def test_a_promotion_known_ahead_lifts_its_days_alone():
    flag = np.zeros(DAYS + 14)
    flag[5::17] = 1.0
    flag[DAYS:] = [0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    values = weeks() * (1 + 2 * flag[:DAYS])
    given = {"promotion": flag, "price": np.full(DAYS + 14, 3.0)}
    made = forecast(panel_of(values, known_future=given)).mean()[0]
    plain = forecast(panel_of(values)).mean()[0]
    assert made[2] > 1.8 * plain[2]
    assert made[3] == pytest.approx(plain[3], rel=0.35)


def test_closed_days_sell_nothing_and_teach_nothing():
    opened = np.ones(DAYS + 14)
    opened[6::7] = 0.0
    values = weeks() * opened[:DAYS]
    made = forecast(panel_of(values, known_future={"open": opened}))
    assert not made.paths[0, :, opened[DAYS:] == 0].any()
    np.testing.assert_allclose(made.mean()[0, :6], WEEK[:6], rtol=0.3)


def test_few_observations_take_their_mean_and_say_so():
    values = np.full((3, 40), np.nan)
    values[0, -13:] = np.arange(13) % 5 + 2
    values[1, -14:] = np.arange(14) % 5 + 2
    values[2, -1:] = 4.0
    made = forecast(panel_of(values), 7)
    assert made.provenance.notes == ("too short for the model and take their mean: 0",)
    np.testing.assert_allclose(made.mean()[0], made.mean()[0, 0], rtol=0.3)
    assert (made.mean() > 1).all()


def test_a_series_that_the_library_cannot_fit_takes_its_mean_and_the_others_theirs(monkeypatch):
    own = prophet._Series.paths

    def broken(self, *given):
        if self.unique_id == "1":
            raise RuntimeError("the optimiser gave up")
        return own(self, *given)

    panel = panel_of(weeks(3))
    whole = forecast(panel)
    monkeypatch.setattr(prophet._Series, "paths", broken)
    made = forecast(panel)
    np.testing.assert_array_equal(made.paths[[0, 2]], whole.paths[[0, 2]])
    assert made.mean()[1].mean() == pytest.approx(WEEK.mean(), rel=0.2)
    assert made.provenance.notes == (
        "could not be fitted and take their mean: 1 (RuntimeError: the optimiser gave up)",
    )


def test_nothing_goes_beyond_the_ceiling_or_below_zero():
    falling = np.maximum(100 - np.arange(60), 0) + np.arange(60) % 3
    rising = 2.0 ** (np.arange(60) / 6)
    made = forecast(panel_of([falling, rising], "1w"), 52)
    assert made.paths.min() >= 0
    assert (made.paths.max(axis=(1, 2)) <= CEILING * np.array([falling.max(), rising.max()]) + 1).all()


def test_the_library_says_nothing(capfd, caplog):
    with caplog.at_level(logging.DEBUG):
        forecast(panel_of(weeks()), 3)
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "prophet", None)
    with pytest.raises(ModelError, match=r"prophet needs the extra 'classic'; pip install 'shelfwise\[classic\]'"):
        Prophet().fit(panel_of(weeks()))
