"""Coherence: sums add up, follow models of the sums where that pays, and are as uncertain as sums are."""

from __future__ import annotations

import io
import pickle
from dataclasses import replace

import numpy as np
import pytest
from tests.forecasting.worlds import DAILY, PERIODS, START, calm, shape_of, world

from shelfwise.domain.errors import ModelError, ParameterError
from shelfwise.domain.paths import Dependence
from shelfwise.forecasting.catalog import MODELS
from shelfwise.forecasting.coherence import Coherent
from shelfwise.forecasting.correction import LARGEST
from shelfwise.forecasting.models.base_level import BaseLevel
from shelfwise.forecasting.models.naive import SeasonalNaive
from shelfwise.forecasting.models.theta import Theta
from shelfwise.forecasting.shared_shocks import LARGEST_SHARE

HORIZON = 28


@pytest.fixture(scope="module")
def panel():
    return world()


@pytest.fixture(scope="module")
def theta(panel):
    return Theta().fit(panel)


@pytest.fixture(scope="module")
def predictor(panel):
    made = Coherent(Theta()).fit(panel)
    assert made.correction is not None
    assert made.dependence is not None
    return made


# ---------------------------------------------------------------- the correction


def test_strength_must_be_a_share():
    for strength in (-0.1, 1.1, float("nan")):
        with pytest.raises(ParameterError, match="strength must be from 0 to 1"):
            Coherent(Theta(), strength=strength)


def test_paths_add_up_over_all_levels(predictor, panel):
    ahead = predictor.predict(panel, HORIZON, n_paths=50)
    stores, whole = ahead.aggregate(["store"]), ahead.aggregate()
    np.testing.assert_array_equal(stores.paths.sum(axis=0), whole.paths[0])
    np.testing.assert_array_equal(ahead.paths.astype(np.float64).sum(axis=0), whole.paths[0])


def test_sums_follow_a_peak_that_single_series_hardly_show(predictor, theta, panel):
    truth = 60 * 0.6 * shape_of(np.arange(PERIODS, PERIODS + HORIZON))
    corrected, alone = (m.predict(panel, HORIZON).mean().sum(axis=0) for m in (predictor, theta))
    corrected, alone = np.abs(corrected - truth).mean(), np.abs(alone - truth).mean()
    assert corrected < 0.6 * alone
    assert corrected < 0.15 * truth.mean()


def test_no_correction_leaves_means_and_quantiles_as_they_are(panel, theta):
    found = Coherent(Theta(), strength=0.0).fit(panel).predict(panel, HORIZON)
    plain = theta.predict(panel, HORIZON)
    np.testing.assert_array_equal(found.mean(), plain.mean())
    np.testing.assert_array_equal(found.quantiles(), plain.quantiles())
    assert found.provenance.model == "coherent"


def test_the_mean_is_multiplied_by_the_factor_of_its_cell_and_noise_with_it(predictor, theta, panel):
    found, plain = predictor.predict(panel, HORIZON), theta.predict(panel, HORIZON)
    factor = predictor.correction.factors[np.arange(60) % 2, :HORIZON]
    np.testing.assert_allclose(found.marginals.mean, plain.marginals.mean * factor)
    np.testing.assert_allclose(found.marginals.variance, plain.marginals.variance * factor)
    assert (predictor.correction.factors <= LARGEST + 1e-9).all()
    assert (predictor.correction.factors >= 1 / LARGEST - 1e-9).all()


def test_a_full_correction_meets_what_the_totals_expect(panel):
    full = Coherent(Theta(), strength=1.0).fit(panel)
    half = Coherent(Theta(), strength=0.5).fit(panel)
    np.testing.assert_allclose(half.correction.factors**2, full.correction.factors)


# --------------------------------------------------------------------- sameness


def test_the_same_panel_and_seed_give_the_same_forecast_and_another_seed_others(panel, predictor):
    again = Coherent(Theta()).fit(panel)
    one, two = predictor.predict(panel, 7, seed=3), again.predict(panel, 7, seed=3)
    np.testing.assert_array_equal(one.paths, two.paths)
    other = predictor.predict(panel, 7, seed=4)
    np.testing.assert_array_equal(one.mean(), other.mean())
    assert not np.array_equal(one.paths, other.paths)


def test_what_the_fit_has_asked_already_changes_nothing(predictor, panel):
    steps = next(iter(predictor.said.values())).horizon
    known = predictor.predict(panel, steps, n_paths=30, seed=5)
    fresh = replace(predictor, said=type(predictor.said)()).predict(panel, steps, n_paths=30, seed=5)
    np.testing.assert_array_equal(known.paths, fresh.paths)
    assert known.provenance == fresh.provenance
    np.testing.assert_array_equal(predictor.predict(panel, 9).mean(), known.mean()[:, :9])


def test_chunks_and_the_order_of_series_change_nothing(predictor, panel):
    whole = predictor.predict(panel, HORIZON, n_paths=40)
    parts = [predictor.predict(chunk, HORIZON, n_paths=40) for chunk in panel.chunks(7)]
    np.testing.assert_array_equal(np.concatenate([part.paths for part in parts]), whole.paths)
    order = np.random.default_rng(2).permutation(60)
    found = predictor.predict(panel.select(order), HORIZON, n_paths=40)
    np.testing.assert_array_equal(found.paths, whole.paths[order])


def test_the_order_of_series_in_the_fit_changes_nothing_that_can_be_seen(predictor, panel):
    other = Coherent(Theta()).fit(panel.select(np.random.default_rng(2).permutation(60)))
    np.testing.assert_allclose(other.correction.factors, predictor.correction.factors, rtol=1e-9)
    assert other.dependence.shares == pytest.approx(predictor.dependence.shares)


def test_a_stored_predictor_gives_the_same_paths(predictor, panel):
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **predictor.to_arrays())
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as stored:
        again = Coherent(Theta()).restore({name: stored[name] for name in stored.files})
    assert again.dependence == predictor.dependence
    assert again.correction.chains == predictor.correction.chains
    for horizon in (5, 200):
        one, two = (p.predict(panel, horizon, n_paths=20, seed=1) for p in (predictor, again))
        np.testing.assert_array_equal(one.paths, two.paths)


def test_a_predictor_may_travel(predictor, panel):
    again = pickle.loads(pickle.dumps(predictor))
    np.testing.assert_array_equal(again.predict(panel, 9).paths, predictor.predict(panel, 9).paths)


def test_nothing_after_the_cutoff_matters(panel):
    rng = np.random.default_rng(5)
    values = panel.window(PERIODS).copy()
    values[:, -50:] = rng.poisson(9.0, (60, 50))
    one, two = (p.until(p.ends - 50) for p in (panel, replace(panel, values=values.reshape(-1))))
    found = [Coherent(Theta()).fit(p).predict(p, 14).paths for p in (one, two)]
    np.testing.assert_array_equal(*found)


# ------------------------------------------------------------- where and when


def test_a_holiday_beyond_the_correction_is_forecast_at_nothing():
    days = np.arange(900)
    dates = np.datetime64(START) + days
    christmas = np.char.endswith(dates.astype(str), "12-25")
    panel = world(rate=2.0, periods=620 + 200, factor=np.where(christmas[: 620 + 200], 0.0, 1.0))  # to June 2023
    panel = panel.until(DAILY.ordinal("2023-06-01"))
    made = Coherent(Theta()).fit(panel)
    assert made.correction.factors.shape[1] < 200
    found = made.predict(panel, 250).mean()
    place = DAILY.ordinal("2023-12-25") - DAILY.ordinal("2023-06-01")
    assert not found[:, place].any()
    assert (found[:, [place - 1, place + 1]] > 0).all()


def test_new_sales_are_forecast_with_the_factors_of_their_own_days(predictor, theta, panel):
    longer = world(periods=PERIODS + 6)
    np.testing.assert_array_equal(longer.window(PERIODS + 6).shape, (60, PERIODS + 6))
    found = predictor.predict(longer, 10).mean() / theta.predict(longer, 10).mean()
    np.testing.assert_allclose(found, predictor.correction.factors[np.arange(60) % 2, 6:16])


def test_a_horizon_beyond_the_correction_is_forecast(predictor, panel):
    found = predictor.predict(panel, 300, n_paths=4)
    assert np.isfinite(found.mean()).all()
    assert (found.mean() >= 0).all()


def test_series_without_the_attributes_of_the_hierarchy_are_forecast_uncorrected(predictor, theta, panel):
    bare = replace(panel, series=panel.series.select("unique_id"), hierarchy=())
    found = predictor.predict(bare, 7)
    np.testing.assert_array_equal(found.mean(), theta.predict(bare, 7).mean())
    assert found.paths.shape == (60, 200, 7)


def test_series_that_ended_early_are_not_counted_among_those_to_come(panel):
    gone = np.arange(60) % 3 == 0
    ends = np.where(gone, panel.ends - 40, panel.ends)
    cut = panel.until(ends)
    alone = panel.select(~gone)
    full = Coherent(Theta(), strength=1.0)
    made = full.fit(cut)
    theta = Theta().fit(cut)
    found = made.predict(cut, HORIZON).mean()
    np.testing.assert_array_equal(found[gone, :7], theta.predict(cut, HORIZON).mean()[gone, :7])  # their time is past
    sums, expected = found[~gone].sum(), full.fit(alone).predict(alone, HORIZON).mean().sum()
    assert sums == pytest.approx(expected, rel=0.12)


def test_panels_that_mostly_end_early_are_not_blown_up(panel):
    """Where rows are missing after the last sale, few series end with the panel: their sum is no total."""
    rng = np.random.default_rng(3)
    cut = panel.until(panel.ends - rng.integers(0, 60, 60))
    cut = cut.until(np.where(np.arange(60) == 0, panel.ends, cut.ends)) if (cut.ends == panel.ends).any() else cut
    made = Coherent(Theta()).fit(cut)
    living = cut.ends == cut.ends.max()
    theta = Theta().fit(cut)
    ratio = made.predict(cut, HORIZON).mean()[living].sum() / theta.predict(cut, HORIZON).mean()[living].sum()
    assert 0.8 < ratio < 1.45


def test_series_that_end_some_days_earlier_are_still_sold():
    """A day on which few series were recorded ends the panel; the others' forecasts begin some days before."""
    panel = world(rate=2.0)
    cut = panel.until(panel.ends - np.where(np.arange(60) % 6 > 1, 1 + np.arange(60) % 3, 0))
    made = Coherent(Theta()).fit(cut)
    whole = Coherent(Theta()).fit(panel)
    assert made.correction.first == whole.correction.first
    assert np.median(np.abs(np.log(made.correction.factors / whole.correction.factors))) < 0.05
    assert not np.allclose(whole.correction.factors, 1.0)
    truth = 60 * 2.0 * shape_of(np.arange(PERIODS, PERIODS + HORIZON))
    later = made.predict(cut, HORIZON + 6)
    starts = PERIODS + DAILY.ordinal(START) - later.starts
    found = sum(row[low : low + HORIZON] for row, low in zip(later.mean(), starts, strict=True))
    np.testing.assert_allclose(found.sum(), truth.sum(), rtol=0.12)


def test_days_on_which_the_shop_is_closed_are_forecast_at_nothing():
    days = np.arange(PERIODS + HORIZON)
    sunday = DAILY.weekday(DAILY.ordinal(START) + days) == 6
    panel = world(factor=np.where(sunday[:PERIODS], 0.0, 1.0))
    made = Coherent(Theta()).fit(panel).predict(panel, HORIZON)
    assert not made.mean()[:, sunday[PERIODS:]].any()
    assert not made.paths[:, :, sunday[PERIODS:]].any()
    assert (made.mean()[:, ~sunday[PERIODS:]].sum(axis=0) > 0).all()


def test_opening_days_of_single_stores_scale_what_is_expected_of_them():
    opened = np.ones((60, PERIODS + HORIZON))
    opened[:30, PERIODS : PERIODS + 10] = 0.0  # half the series of both stores close for ten days
    panel = world(rate=3.0, factor=1.0, known_future={"open": opened})
    made = Coherent(Theta(), strength=1.0).fit(panel)
    found = made.predict(panel, HORIZON).mean()
    assert not found[:30, :10].any()
    truth = 30 * 3.0 * shape_of(np.arange(PERIODS, PERIODS + HORIZON))
    np.testing.assert_allclose(found[30:, :10].sum(axis=0), truth[:10], rtol=0.25)
    np.testing.assert_allclose(found[:, 10:].sum(axis=0), 2 * truth[10:], rtol=0.25)


# ------------------------------------------------------- where there is nothing to do


@pytest.mark.parametrize(("freq", "periods"), [("1w", 120), ("1mo", 48), ("1h", 24 * 21), ("1d", 200)])
def test_without_a_correction_the_answer_is_that_of_the_wrapped_model(freq, periods):
    panel = world(20, 3.0, periods=periods, freq=freq)
    for inner in (Theta(), SeasonalNaive()):
        made = Coherent(inner).fit(panel)
        assert made.correction is None
        found, plain = made.predict(panel, 5, seed=2), inner.fit(panel).predict(panel, 5, seed=2)
        np.testing.assert_array_equal(found.paths, plain.paths)
        np.testing.assert_array_equal(found.mean(), plain.mean())
        assert found.provenance == replace(plain.provenance, model="coherent", version=found.provenance.version)


def test_the_automatic_forecast_of_weeks_is_the_ensemble():
    panel = world(12, 3.0, periods=70, freq="1w")
    found = MODELS["coherent"]().fit(panel).predict(panel, 5)
    np.testing.assert_array_equal(found.paths, MODELS["ensemble"]().fit(panel).predict(panel, 5).paths)


def test_paths_that_a_model_drew_itself_are_not_changed(panel):
    made = Coherent(SeasonalNaive()).fit(panel)
    assert made.correction is None
    plain = SeasonalNaive().fit(panel).predict(panel, 7, n_paths=30)
    assert plain.marginals is None
    np.testing.assert_array_equal(made.predict(panel, 7, n_paths=30).paths, plain.paths)


# ------------------------------------------------------------------------ bands


def shocked(seed, n=60, periods=PERIODS):
    """A world whose days and whose level wander for all series together, and for each store by itself."""
    rng = np.random.default_rng(seed)
    days = np.exp(rng.normal(0, 0.18, periods))
    stores = np.exp(np.cumsum(rng.normal(0, 0.012, (2, periods)), axis=1) + rng.normal(0, 0.1, (2, periods)))
    return world(n, 2.0, periods, seed, factor=(days * stores * calm(periods))[np.arange(n) % 2])


def held(forecast, actual):
    """Return how often the 10-90 band of a sum holds: [G, H] outcomes."""
    low, high = np.moveaxis(forecast.quantiles([0.1, 0.9]), -1, 0)
    return float(((actual >= low) & (actual <= high)).mean())


def test_bands_of_sums_hold_where_those_of_independent_series_do_not():
    totals, stores, alone, items, plain_items = [], [], [], [], []
    for seed in range(5):
        past, actual, _ = shocked(seed).split(HORIZON)
        made = Coherent(Theta()).fit(past).predict(past, HORIZON, n_paths=400)
        independent = replace(made, dependence=Dependence())
        by_store = np.stack([actual[0::2].sum(axis=0), actual[1::2].sum(axis=0)])
        totals.append(held(made.aggregate(), by_store.sum(axis=0, keepdims=True)))
        stores.append(held(made.aggregate(["store"]), by_store))
        alone.append(held(independent.aggregate(), by_store.sum(axis=0, keepdims=True)))
        items.append(held(made, actual))
        plain_items.append(held(independent, actual))
    assert np.mean(totals) > np.mean(alone) + 0.2
    assert 0.72 < np.mean(totals) < 0.92  # 140 days, whose level errs together in each of the five worlds
    assert 0.72 < np.mean(stores) < 0.92
    assert items == plain_items  # what is shared changes no series' own band


def test_a_world_without_shared_shocks_has_hardly_any():
    quiet = Coherent(Theta()).fit(world(rate=2.0, factor=calm())).dependence
    loud = Coherent(Theta()).fit(shocked(0)).dependence
    assert quiet.world + quiet.group < 0.35 * (loud.world + loud.group)
    assert sum(loud.shares.values()) <= LARGEST_SHARE + 1e-9
    assert loud.columns == ("store",)


def test_the_spread_of_one_series_total_is_no_wider_for_being_shared(predictor, theta, panel):
    found, plain = (p.predict(panel, HORIZON, n_paths=400) for p in (predictor, theta))
    lasting = found.dependence.level + found.dependence.world_level + found.dependence.group_level
    assert lasting <= max(plain.dependence.level, found.dependence.world_level + found.dependence.group_level) + 1e-9


def test_a_panel_of_one_cell_has_no_groups():
    panel = world()
    one = replace(panel, series=panel.series.select("unique_id"), hierarchy=())
    made = Coherent(Theta()).fit(one)
    assert made.dependence.columns == ()
    assert made.dependence.group == made.dependence.group_level == 0.0
    stored = Coherent(Theta()).restore(made.to_arrays())
    np.testing.assert_array_equal(stored.predict(one, 5).paths, made.predict(one, 5).paths)


def test_components_multiply_to_the_mean():
    panel = world(40, 2.0, 450)
    made = Coherent(BaseLevel(cutoffs=1), strength=1.0).fit(panel)
    found = made.components(panel, 9)
    assert "aggregates" in found
    np.testing.assert_allclose(np.prod(list(found.values()), axis=0), made.predict(panel, 9).mean(), rtol=1e-6)


def test_a_model_that_does_not_say_what_it_is_made_of_is_named_when_asked(predictor, panel):
    with pytest.raises(ModelError, match="theta does not say what its forecasts are made of"):
        predictor.components(panel, 9)
