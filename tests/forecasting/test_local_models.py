"""What happens around the fit of one history, whatever model fits it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shelfwise.domain.errors import ModelError, ParameterError
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.local_models import CEILING, LocalModel, Outlook


def panel_of(values, freq="1d", **given):
    ids = [f"p{i}" for i in range(len(values))]
    given.setdefault("series", {"unique_id": ids})
    return Panel.from_wide(values, start="2026-01-01", freq=freq, **given)


def last_value(history, season, horizon):
    """The naive model, with the histories it was asked about kept on the side."""
    return Outlook(np.full(horizon, history[-1]), np.full(horizon, season / 100))


def model_of(fit_one, **given):
    return LocalModel("test", "1", fit_one, lambda: None, **given)


def forecast(panel, horizon=5, fit_one=last_value, **given):
    return model_of(fit_one, **given).fit(panel).predict(panel, horizon)


def counts(n=6, periods=120, seed=0):
    return np.random.default_rng(seed).poisson(4.0, (n, periods)).astype(float) + 1


def test_a_model_sees_a_history_of_mean_one_and_answers_in_units():
    seen = []

    def watch(history, season, horizon):
        seen.append(history)
        return last_value(history, season, horizon)

    values = counts(1)
    found = forecast(panel_of(values * 1000), fit_one=watch)
    assert seen[0].mean() == pytest.approx(1.0)
    np.testing.assert_allclose(found.mean(), values[0, -1] * 1000)


def test_a_history_of_less_than_two_seasons_is_fitted_without_one_and_a_shorter_one_takes_its_mean():
    values = counts(3, 30)
    values[1, : 30 - 13] = np.nan
    values[2, : 30 - 7] = np.nan
    found = forecast(panel_of(values))
    scale = [values[0].mean(), values[1, 17:].mean()]
    assert found.marginals.variance[0, 0] == pytest.approx(0.07 * scale[0] ** 2)
    assert found.marginals.variance[1, 0] == pytest.approx(0.01 * scale[1] ** 2)
    np.testing.assert_allclose(found.mean()[2], values[2, 23:].mean())
    assert "too short for the model and take their mean: p2" in found.provenance.notes


def test_a_season_longer_than_the_model_takes_is_left_out():
    panel = panel_of(counts(1, 120), "1w")
    scale = panel.values.mean()
    assert forecast(panel).marginals.variance[0, 0] == pytest.approx(0.01 * scale**2)
    assert forecast(panel, longest_season=52).marginals.variance[0, 0] == pytest.approx(0.52 * scale**2)


def test_a_seasonal_form_that_fails_gives_way_to_the_one_without():
    def fails_with_season(history, season, horizon):
        if season > 1:
            raise ValueError("singular")
        return last_value(history, season, horizon)

    found = forecast(panel_of(counts()), fit_one=fails_with_season)
    np.testing.assert_allclose(found.mean()[:, 0], counts()[:, -1])
    assert not found.provenance.notes


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_series_that_cannot_be_fitted_is_named_and_takes_its_mean_while_the_others_do_not(broken):
    values = counts()
    values[2, -1] = 77.0

    def fails(history, season, horizon):
        if history[-1] > 5:
            raise RuntimeError("no convergence")
        if history[-1] == history.max():
            return Outlook(np.full(horizon, broken), np.ones(horizon))
        return last_value(history, season, horizon)

    found = forecast(panel_of(values), fit_one=fails)
    np.testing.assert_allclose(found.mean()[2], values[2].mean())
    np.testing.assert_allclose(found.mean()[3, 0], values[3, -1])
    (note,) = [note for note in found.provenance.notes if "could not be fitted" in note]
    assert "p2" in note
    assert "p3" not in note
    assert "RuntimeError: no convergence" in note


def test_an_explosion_is_held_to_twice_the_largest_value_of_the_past_and_named():
    def explodes(history, season, horizon):
        return Outlook(10.0 ** np.arange(horizon), 100.0 ** np.arange(horizon))

    values = counts(1)
    found = forecast(panel_of(values), 9, fit_one=explodes)
    assert found.mean().max() == CEILING * values.max()
    assert found.marginals.variance.max() == (CEILING * values.max()) ** 2
    assert found.mean()[0, 0] == pytest.approx(values.mean())
    assert "held to 2 times the largest value in history: p0" in found.provenance.notes


@pytest.mark.parametrize("by", [MemoryError, KeyboardInterrupt])
def test_an_interruption_and_a_full_memory_are_no_fault_of_a_series(by):
    def stops(history, season, horizon):
        raise by

    with pytest.raises(by):
        forecast(panel_of(counts()), fit_one=stops)


def test_long_lists_of_series_are_cut_to_a_number():
    def fails(history, season, horizon):
        raise RuntimeError("never")

    (note,) = forecast(panel_of(counts(9)), fit_one=fails).provenance.notes
    assert "p0, p1, p2, p3, p4 and 4 more" in note


def test_nothing_is_expected_below_zero():
    def falls(history, season, horizon):
        return Outlook(1.0 - np.arange(horizon), np.ones(horizon))

    found = forecast(panel_of(counts()), fit_one=falls)
    assert (found.mean()[:, 1:] == 0).all()
    assert (found.paths >= 0).all()


def test_a_model_without_a_distribution_takes_the_noise_around_what_it_expected():
    def level(spread):
        def fit_one(history, season, horizon):
            return Outlook(np.ones(horizon), fitted=np.where(np.arange(len(history)) == 0, np.nan, 1.0))

        rng = np.random.default_rng(1)
        values = rng.negative_binomial(20.0 / (spread - 1.0), 1.0 / spread, (50, 400)).astype(float)
        return forecast(panel_of(values), fit_one=fit_one).marginals

    for spread in (1.5, 6.0):
        found = level(spread)
        assert (found.variance / found.mean).mean() == pytest.approx(spread, rel=0.1)


def test_periods_not_seen_are_filled_or_left_out_and_never_zeros():
    asked = []

    def watch(history, season, horizon):
        asked.append(history * 5.0)
        return last_value(history, season, horizon)

    values = np.tile([4.0, 6.0], 30)[None, :]
    flags = np.ones(values.shape, dtype=bool)
    flags[0, 20:30] = False
    values[0, 20:30] = 0.0
    for gaps, length in (("fill", 60), ("drop", 50)):
        found = forecast(panel_of(values, available=flags), fit_one=watch, gaps=gaps)
        assert asked[-1].shape == (length,)
        assert asked[-1].min() > 3.5
        assert found.mean()[0, 0] == pytest.approx(6.0)


def test_closed_days_sell_nothing_and_are_no_zeros_of_the_past():
    values = counts(4, 70)
    opened = (np.arange(77) % 7 != 6).astype(float)
    values[:, opened[:70] == 0] = 0.0
    found = forecast(panel_of(values, known_future={"open": opened}), 7, gaps="drop")
    closed = opened[70:] == 0
    assert closed.any()
    assert not found.mean()[:, closed].any()
    np.testing.assert_allclose(found.mean()[:, 0], values[:, 68])
    assert not found.provenance.notes


def test_a_series_without_history_takes_the_mean_of_its_category_and_is_named():
    values = np.concatenate([counts(6), counts(6) * 10])
    values[0] = np.nan
    table = {"unique_id": [f"p{i}" for i in range(12)], "category": ["tea"] * 6 + ["cups"] * 6}
    found = forecast(panel_of(values, series=table))
    np.testing.assert_allclose(found.mean()[0], values[1:6].mean())
    assert "without history, take the mean of their category: p0" in found.provenance.notes


def test_errors_that_share_a_level_hang_together_and_those_that_share_a_day_too():
    rng = np.random.default_rng(2)
    drift = np.exp(np.cumsum(rng.normal(0, 0.06, (60, 200)), axis=1))
    day = np.exp(rng.normal(0, 0.5, 200))
    plain = model_of(last_value).fit(panel_of(rng.poisson(20.0, (60, 200)).astype(float))).common.dependence
    drifting = model_of(last_value).fit(panel_of(rng.poisson(20.0 * drift).astype(float))).common.dependence
    daily = model_of(last_value).fit(panel_of(rng.poisson(20.0 * day * np.ones((60, 1))).astype(float)))
    assert plain.level < 0.15
    assert plain.world < 0.05
    assert drifting.level > plain.level + 0.2
    assert daily.common.dependence.world > 0.3


def test_covariates_are_named_as_unused():
    panel = panel_of(counts(), known_future={"promotion": np.zeros(130)})
    assert "covariates not used by this model: promotion" in forecast(panel).provenance.notes


def test_another_frequency_and_damaged_arrays_are_refused():
    model = model_of(last_value)
    predictor = model.fit(panel_of(counts()))
    with pytest.raises(ModelError, match="fitted on periods of 1d, asked for 1w"):
        predictor.predict(panel_of(counts(), "1w"), 1)
    arrays = predictor.to_arrays()
    del arrays["noise"]
    with pytest.raises(ModelError, match="stored model cannot be read: 'noise'; fit it again"):
        model.restore(arrays)


def test_parameters_check_themselves():
    with pytest.raises(ParameterError, match="longest must be at least 8 periods, got 7"):
        model_of(last_value, longest=7)
    with pytest.raises(ParameterError, match="longest must be at least 8"):
        replace(model_of(last_value), longest=0)


def test_only_the_latest_periods_are_read_where_the_model_says_so():
    values = counts(2, 100)
    values[:, :60] *= 50
    np.testing.assert_allclose(
        forecast(panel_of(values), longest=40).marginals.variance,
        forecast(panel_of(values[:, 60:])).marginals.variance,
    )
