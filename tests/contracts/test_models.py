"""What every model of the catalog promises. A new line in `MODELS` joins all of it."""

from __future__ import annotations

import io
import pickle
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from shelfwise.domain.errors import ModelError, ParameterError
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.panel import Covariate, Panel
from shelfwise.forecasting.catalog import MODELS, estimator

NAN = float("nan")
HORIZON = 9

# These search through dozens of models for each series; their sister `auto_ets` stands for them at every change.
# Prophet starts a process for each; tests/forecasting/models/test_prophet.py asks it for a few.
SEARCHING = {"auto_arima", "auto_ces", "prophet"}
pytestmark = pytest.mark.parametrize(
    "model", [pytest.param(name, marks=pytest.mark.nightly) if name in SEARCHING else name for name in sorted(MODELS)]
)


def counts(n=8, periods=120, seed=0):
    rng = np.random.default_rng(seed)
    week = 1.0 + 0.5 * np.sin(2 * np.pi * np.arange(periods) / 7)
    return rng.poisson(rng.gamma(2.0, 2.0, (n, 1)) * week).astype(float)


def panel_of(values, freq="1d", **given):
    n = len(values)
    series = {"unique_id": [f"p{i}" for i in range(n)], "category": ["tea" if i % 3 else "cups" for i in range(n)]}
    return Panel.from_wide(values, start="2026-01-01", freq=freq, series=series, **given)


def mixed_histories():
    """Old, young, one-point, not yet begun, gapped, all-zero, censored and discontinued series side by side."""
    values = counts(12)
    available = np.ones(values.shape, dtype=bool)
    values[1, :80] = NAN
    values[2, :113] = NAN
    values[3, :119] = NAN
    values[4] = NAN
    values[5, 60:75] = NAN
    values[6] = 0.0
    values[7, 40:60] = 0.0
    available[7, 40:60] = False
    panel = panel_of(values, available=available)
    ends = panel.ends.copy()
    ends[8] -= 30
    ends[9] -= 1
    return panel.until(ends)


@cache
def fitted(model):
    return MODELS[model]().fit(mixed_histories())


def same(one, other):
    np.testing.assert_array_equal(one.mean(), other.mean())
    np.testing.assert_array_equal(one.quantiles(), other.quantiles())
    np.testing.assert_array_equal(one.paths, other.paths)


def sound(forecast, panel, horizon=HORIZON, n_paths=50):
    """Check everything that holds for any forecast at all."""
    levels = [0.01, 0.1, 0.5, 0.9, 0.99]
    mean, quantiles, paths = forecast.mean(), forecast.quantiles(levels), forecast.paths
    assert mean.shape == (panel.n_series, horizon)
    assert quantiles.shape == (panel.n_series, horizon, len(levels))
    assert paths.shape == (panel.n_series, n_paths, horizon)
    for numbers in (mean, quantiles, paths):
        assert np.isfinite(numbers).all()
        assert (numbers >= 0).all()
    assert (np.diff(quantiles, axis=2) >= 0).all()
    if panel.is_count:
        assert np.array_equal(paths, np.rint(paths))
        assert np.array_equal(quantiles, np.rint(quantiles))
    np.testing.assert_array_equal(forecast.starts, panel.ends)
    assert forecast.ids.to_list() == panel.ids.to_list()
    assert forecast.freq == panel.freq
    return forecast


def forecast_of(model, panel, horizon=HORIZON, n_paths=50):
    return sound(MODELS[model]().fit(panel).predict(panel, horizon, n_paths=n_paths), panel, horizon, n_paths)


# ---------------------------------------------------------------------- the same every time


def test_the_catalog_gives_the_model_under_its_name(model):
    assert estimator(model).name == model
    assert fitted(model).name == model
    assert fitted(model).version
    provenance = fitted(model).predict(mixed_histories(), 1, seed=3).provenance
    assert (provenance.model, provenance.version, provenance.seed) == (model, fitted(model).version, 3)
    assert provenance.data_until == mixed_histories().data_until


def test_the_same_seed_gives_the_same_paths_and_another_seed_others(model):
    panel = mixed_histories()
    one = fitted(model).predict(panel, HORIZON, seed=1)
    same(one, fitted(model).predict(panel, HORIZON, seed=1))
    again = MODELS[model]().fit(mixed_histories()).predict(panel, HORIZON, seed=1)
    same(one, again)
    assert not np.array_equal(one.paths, fitted(model).predict(panel, HORIZON, seed=2).paths)


@pytest.mark.parametrize("n", [2, 3, 5, 12])
def test_chunks_change_nothing(model, n):
    panel = mixed_histories()
    whole = fitted(model).predict(panel, HORIZON)
    parts = [fitted(model).predict(chunk, HORIZON) for chunk in panel.chunks(n)]
    np.testing.assert_array_equal(np.concatenate([p.mean() for p in parts]), whole.mean())
    np.testing.assert_array_equal(np.concatenate([p.quantiles() for p in parts]), whole.quantiles())
    np.testing.assert_array_equal(np.concatenate([p.paths for p in parts]), whole.paths)


def test_the_order_of_series_changes_nothing(model):
    panel = mixed_histories()
    order = np.random.default_rng(0).permutation(panel.n_series)
    same(fitted(model).predict(panel.select(order), HORIZON), fitted(model).predict(panel, HORIZON).select(order))


def test_chunks_change_nothing_in_a_panel_as_long_as_others_are_short(model):
    values = counts(30, 200, seed=4)
    values[:20, :150] = NAN
    panel = panel_of(values)
    predictor = MODELS[model]().fit(panel)
    same(predictor.predict(panel.select([3]), HORIZON), predictor.predict(panel, HORIZON).select([3]))
    same(predictor.predict(panel.select([25]), HORIZON), predictor.predict(panel, HORIZON).select([25]))


def test_a_shorter_horizon_expects_what_a_longer_one_begins_with(model):
    panel = mixed_histories()
    short, long = (fitted(model).predict(panel, h) for h in (3, HORIZON))
    by_chance = long.paths.std(axis=1)[:, :3] / np.sqrt(long.n_paths) + 1e-9  # [N, 3] of a mean over drawn paths
    assert (np.abs(short.mean() - long.mean()[:, :3]) < 6 * by_chance).all()
    assert short.horizon == 3


def test_nothing_after_the_cutoff_matters(model):
    past, later = counts(6, 100), counts(6, 140, seed=9)
    later[:, :100] = past
    poisoned = later.copy()
    poisoned[:, 100:] = 1e12
    answers = []
    for values in (later, poisoned):
        panel = panel_of(values, past_only={"visits": values})
        known = panel.until(panel.starts + 100)
        answers.append(MODELS[model]().fit(known).predict(known, HORIZON))
    same(*answers)
    same(answers[0], MODELS[model]().fit(panel_of(past)).predict(panel_of(past), HORIZON))


def test_predicting_reads_the_panel_it_is_given_without_a_new_fit(model):
    values = counts(4, 120)
    more = np.concatenate([values, values[:, :28] * 3 + 40], axis=1)
    predictor = MODELS[model]().fit(panel_of(values))
    after = predictor.predict(panel_of(more), HORIZON)
    assert (after.mean().mean(axis=1) > predictor.predict(panel_of(values), HORIZON).mean().mean(axis=1) + 5).all()
    assert after.moments()[0, 0] - predictor.predict(panel_of(values), HORIZON).moments()[0, 0] == np.timedelta64(
        28, "D"
    )


def test_predicting_changes_neither_the_panel_nor_the_predictor(model):
    panel = mixed_histories()
    before = panel.values.copy()
    first = fitted(model).predict(panel, HORIZON)
    fitted(model).predict(panel_of(counts(3, 50, seed=8) * 100), HORIZON)
    same(first, fitted(model).predict(panel, HORIZON))
    np.testing.assert_array_equal(panel.values, before)


def test_saving_and_loading_changes_nothing(model):
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **fitted(model).to_arrays())
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as stored:
        restored = MODELS[model]().restore({name: stored[name] for name in stored.files})
    assert (restored.name, restored.version) == (fitted(model).name, fitted(model).version)
    panel = mixed_histories()
    same(restored.predict(panel, HORIZON), fitted(model).predict(panel, HORIZON))


def test_a_predictor_and_its_forecast_travel_to_other_processes(model):
    panel = mixed_histories()
    predictor = pickle.loads(pickle.dumps(fitted(model)))
    forecast = predictor.predict(panel, HORIZON)
    same(pickle.loads(pickle.dumps(forecast)), fitted(model).predict(panel, HORIZON))


def test_a_stored_forecast_gives_the_same_paths(model):
    forecast = fitted(model).predict(mixed_histories(), HORIZON)
    same(Forecast.from_bytes(forecast.to_bytes()), forecast)


# ---------------------------------------------------------------------- any history


def test_histories_of_every_kind_stand_side_by_side(model):
    panel = mixed_histories()
    forecast = sound(fitted(model).predict(panel, HORIZON, n_paths=50), panel)
    assert (forecast.mean()[6] < 1.0).all()  # it never sold
    assert len(set(forecast.starts.tolist())) == 3


HISTORIES = {
    "all zero": np.zeros((5, 60)),
    "one point": np.array([[4.0]]),
    "one zero": np.array([[0.0]]),
    "two points": np.array([[4.0, 6.0], [NAN, 1.0]]),
    "constant": np.full((3, 60), 5.0),
    "single series": counts(1, 90),
    "seven observations": counts(6, 7),
    "huge": counts(4, 90) * 1e9,
    "tiny": counts(4, 90) * 1e-6,
    "measured": counts(4, 90) + 0.25,
    "returns": counts(4, 90) - 3.0,
    "only returns": -np.ones((2, 60)),
    "gaps": np.where(np.random.default_rng(0).random((5, 90)) < 0.4, NAN, counts(5, 90)),
    "unrecorded at the end": np.where(np.arange(90) > 60, NAN, counts(3, 90)),
    "one spike": np.where(np.arange(90) == 45, 1e6, np.zeros((2, 90))),
    "with one not begun": np.where(np.arange(3)[:, None] == 1, NAN, counts(3, 90)),
    "hardly ever": np.where(np.arange(90) % 37 == 5, 1.0, np.zeros((4, 90))),
    "float32": counts(3, 90).astype(np.float32),
    "two years": counts(3, 740),
}


@pytest.mark.parametrize("kind", list(HISTORIES))
def test_any_history_gives_a_sound_forecast(model, kind):
    forecast_of(model, panel_of(HISTORIES[kind]))


def test_a_constant_history_goes_on_and_a_zero_one_stays_near_zero(model):
    assert np.allclose(forecast_of(model, panel_of(np.full((4, 120), 5.0))).mean(), 5.0, rtol=0.05)
    assert (forecast_of(model, panel_of(np.zeros((4, 120)))).mean() < 0.05).all()


def test_a_panel_of_which_nothing_is_known_is_refused_or_forecast_as_nothing(model):
    panel = panel_of(np.full((2, 5), NAN))
    try:
        forecast = MODELS[model]().fit(panel).predict(panel, HORIZON)
    except ModelError as error:
        assert "give at least one observation" in str(error)  # noqa: PT017 - refusing is one of two good answers
    else:
        assert not forecast.mean().any()


def test_a_panel_without_series_gives_a_forecast_without_series(model):
    assert fitted(model).predict(mixed_histories().select([]), HORIZON).mean().shape == (0, HORIZON)


def test_a_whole_panel_may_be_censored(model):
    panel = panel_of(counts(3, 60), available=np.zeros((3, 60), dtype=bool))
    forecast_of(model, panel)


@pytest.mark.parametrize("freq", ["5min", "15min", "30min", "1h", "1d", "1w", "W-SUN", "1mo", "ME", "1q", "2d", "7h"])
def test_every_frequency_works(model, freq):
    start = "2026-01-31" if freq == "ME" else "2026-01-01"
    panel = Panel.from_wide(counts(4, 90), start=start, freq=freq)
    forecast = forecast_of(model, panel)
    label = panel.freq.moments(panel.ends)
    np.testing.assert_array_equal(forecast.moments()[:, 0], label)


@pytest.mark.parametrize(("n_paths", "horizon"), [(2, HORIZON), (500, HORIZON), (50, 1), (50, 300)])
def test_few_and_many_paths_and_periods_work(model, n_paths, horizon):
    forecast_of(model, panel_of(counts(3, 90)), horizon, n_paths)


def test_no_horizon_and_a_single_path_are_refused(model):
    panel = mixed_histories()
    for horizon in (0, -1):
        with pytest.raises(ParameterError, match=f"horizon must be at least 1 period, got {horizon}"):
            fitted(model).predict(panel, horizon)
    with pytest.raises(ParameterError, match="n_paths must be at least 2, got 1"):
        fitted(model).predict(panel, HORIZON, n_paths=1)


def test_series_never_seen_while_fitting_are_forecast_from_seven_observations(model):
    young = panel_of(counts(5, 7, seed=3) + 30)
    young = replace(young, series=young.series.with_columns(category=young.series["category"] + " never seen"))
    forecast = sound(fitted(model).predict(young, HORIZON, n_paths=50), young)
    assert (forecast.mean().mean(axis=1) > 5).all()


def test_series_without_the_attributes_of_the_others_are_forecast_too(model):
    panel = mixed_histories()
    bare = replace(panel, series=panel.series.select("unique_id"), hierarchy=())
    sound(fitted(model).predict(bare, HORIZON, n_paths=50), bare)
    blank = replace(panel, series=panel.series.with_columns(category=None))
    forecast_of(model, blank)


# ---------------------------------------------------------------------- what is known ahead


def test_covariates_may_come_and_go(model):
    values = counts(4, 90)
    known = {
        "promotion": (np.arange(90 + HORIZON) % 20 == 3).astype(float),
        "price": np.linspace(1, 2, 4 * (90 + HORIZON)).reshape(4, -1),
        "weather": np.array(["sun", "rain", None] * (30 + HORIZON // 3), dtype=object),
    }
    with_all = panel_of(values, known_future=known, past_only={"visits": values})
    bare = panel_of(values)
    short = panel_of(values, known_future={name: column[..., :90] for name, column in known.items()})
    for trained in (with_all, bare):
        predictor = MODELS[model]().fit(trained)
        for asked in (with_all, bare, short):
            sound(predictor.predict(asked, HORIZON, n_paths=50), asked)


def test_covariates_of_nothing_but_gaps_are_ignored(model):
    gaps = np.full(90 + HORIZON, NAN)
    panel = panel_of(counts(4, 90), known_future={"promotion": gaps, "open": gaps})
    np.testing.assert_allclose(
        forecast_of(model, panel).mean(), forecast_of(model, panel_of(counts(4, 90))).mean(), rtol=1e-9
    )


def test_a_censored_run_of_zeros_does_not_lower_the_level_and_a_sold_out_one_does(model):
    truth = counts(6, 140, seed=5) + 4
    zeros = truth.copy()
    zeros[:, -21:] = 0.0
    flags = np.ones(truth.shape, dtype=bool)
    flags[:, -21:] = False
    level = {
        name: forecast_of(model, panel).mean().mean()
        for name, panel in {
            "truth": panel_of(truth),
            "censored": panel_of(zeros, available=flags),
            "zeros": panel_of(zeros),
        }.items()
    }
    assert level["censored"] == pytest.approx(level["truth"], rel=0.25)
    assert level["zeros"] < 0.5 * level["truth"]


def test_a_period_without_stock_says_no_more_than_one_never_recorded(model):
    values = counts(4, 90)
    flags = np.ones(values.shape, dtype=bool)
    flags[:, 50:60] = False
    empty, unknown = values.copy(), values.copy()
    empty[:, 50:60], unknown[:, 50:60] = 0.0, NAN
    same(forecast_of(model, panel_of(empty, available=flags)), forecast_of(model, panel_of(unknown, available=flags)))


def test_latest_periods_that_sold_out_at_many_units_do_not_lower_a_forecast(model):
    values = counts(4, 90)
    flags = np.ones(values.shape, dtype=bool)
    flags[:, 80:] = False
    means = []
    for sold in (0.0, 40.0):
        values[:, 80:] = sold
        means.append(forecast_of(model, panel_of(values, available=flags)).mean().sum(axis=1))
    assert (means[1] >= means[0]).all()


def test_a_shared_covariate_says_the_same_as_one_for_each_series(model):
    values, flag = counts(4, 90), (np.arange(90 + HORIZON) % 9 == 0).astype(float)
    shared = panel_of(values, known_future={"promotion": flag})
    own = panel_of(values, known_future={"promotion": np.tile(flag, (4, 1))})
    assert isinstance(shared.known_future["promotion"], Covariate)
    same(forecast_of(model, shared), forecast_of(model, own))
