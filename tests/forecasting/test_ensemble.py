"""The ensemble: as good as its best member class by class, calibrated on unseen windows, never without an answer."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
import pytest

from shelfwise.domain.errors import ModelError, ParameterError
from shelfwise.domain.forecast import DEFAULT_LEVELS, Forecast
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.demand_classes import CLASSES
from shelfwise.forecasting.ensemble import OTHER_MODELS, Ensemble
from shelfwise.forecasting.metrics import coverage, wql
from shelfwise.forecasting.models.base_level import BaseLevel
from shelfwise.forecasting.models.naive import SeasonalNaive
from shelfwise.forecasting.models.statistical import auto_theta
from shelfwise.forecasting.models.trees import Trees

NAN = float("nan")
PAST, AHEAD = 350, 28
CLOSED_EVERY = 45  # days; day 359 is closed, which lies ahead


@pytest.fixture(scope="module")
def shop():
    """60 products with promotions, 20 that hardly ever sell, 40 meters that repeat their week; closed at times."""
    rng = np.random.default_rng(3)
    days = np.arange(PAST + AHEAD)
    opened = (days % CLOSED_EVERY != CLOSED_EVERY - 1).astype(float)
    promotion = (rng.random((120, len(days))) < 0.15).astype(float)
    week = np.array([0.7, 0.8, 0.9, 1.0, 1.3, 1.5, 0.8])[days % 7]
    lift = np.where(promotion > 0, np.where(days % 7 >= 4, 4.0, 1.2), 1.0)
    sold = rng.poisson(rng.gamma(4.0, 3.0, (60, 1)) * week * lift[:60]).astype(float)
    rare = rng.poisson(rng.uniform(0.05, 0.2, (20, 1)) * np.ones(len(days))).astype(float)
    own_week = rng.uniform(0.2, 2.0, (40, 7))[:, days % 7] * rng.uniform(500, 2000, (40, 1))
    drift = 1 + 0.1 * np.sin(2 * np.pi * days / 90 + rng.uniform(0, 6, (40, 1)))
    meters = np.rint(own_week * drift + rng.normal(0, 2, own_week.shape))
    return Panel.from_wide(
        np.concatenate([sold, rare, meters]) * opened,
        start="2025-01-06",
        series={"unique_id": [f"p{i:03}" for i in range(120)]},
        known_future={"promotion": promotion, "open": opened},
    )


@pytest.fixture(scope="module")
def held_out(shop):
    return shop.split(AHEAD)


@pytest.fixture(scope="module")
def predictor(held_out):
    return Ensemble().fit(held_out[0])


def loss_of(forecast, actual, scored, rows=slice(None)):
    quantiles = forecast.quantiles(DEFAULT_LEVELS)
    return wql(np.nan_to_num(actual)[rows], quantiles[rows], np.array(DEFAULT_LEVELS), scored[rows])


# ---------------------------------------------------------------------- as good as the best


def test_it_loses_no_more_than_the_best_member_on_each_kind_of_series(held_out, predictor):
    past, actual, scored = held_out
    ours = predictor.predict(past, AHEAD)
    members = [member.fit(past).predict(past, AHEAD) for member in (BaseLevel(), Trees(), SeasonalNaive())]
    for kind in (slice(0, 60), slice(60, 80), slice(80, 120)):
        best = min(loss_of(member, actual, scored, kind) for member in members)
        assert loss_of(ours, actual, scored, kind) <= 1.03 * best


def test_the_weights_say_what_answers_for_which_class(predictor):
    weights = predictor.weights
    assert weights.columns == ["class", "member", "rows", "weight"]
    sums = weights.group_by("class").agg(pl.col("weight").sum())
    assert sums["class"].sort().to_list() == sorted(CLASSES)
    assert sums["weight"].to_list() == pytest.approx([1.0] * len(CLASSES))
    by_class = {(row["class"], row["member"]): row["weight"] for row in weights.to_dicts()}
    assert by_class["erratic", "trees"] > 0.5  # promotions that only trees understand
    assert by_class["intermittent", "seasonal_naive"] == by_class["lumpy", "seasonal_naive"] == 0.0


def test_the_errors_of_the_rehearsal_are_told_by_class_and_member(predictor):
    errors = predictor.errors.filter((pl.col("class") == "erratic") & (pl.col("rows") > 0))
    by_member = {row["member"]: row for row in errors.to_dicts()}
    assert by_member["trees"]["wql"] < by_member["base_level"]["wql"] < by_member["seasonal_naive"]["wql"]
    assert by_member["trees"]["scaled"] < by_member["seasonal_naive"]["scaled"]
    assert predictor.noise.columns == ["class", "first", "last", "factor"]
    assert (predictor.noise["factor"] > 0).all()


@pytest.mark.parametrize(("level", "noise"), [(0.3, 1.3), (4.0, 2.0), (60.0, 5.0)])
def test_the_band_holds_four_of_five_on_a_window_that_nobody_saw(level, noise):
    rng = np.random.default_rng(11)
    mean = rng.gamma(3.0, level / 3, (150, 1)) * np.ones(220)
    values = rng.poisson(rng.gamma(mean / (noise - 1), noise - 1)).astype(float)
    past, actual, scored = Panel.from_wide(values, start="2026-01-01").split(AHEAD)
    forecast = Ensemble().fit(past).predict(past, AHEAD)
    assert 0.77 <= coverage(actual, forecast.paths, scored) <= 0.83


def test_nothing_is_expected_on_a_day_that_is_known_to_be_closed(held_out, predictor):
    past = held_out[0]
    mean = predictor.predict(past, AHEAD).mean()
    closed = past.known_future["open"].at(past.ends, AHEAD) == 0
    assert closed.any()
    assert (mean[closed] == 0).all()
    assert (mean[~closed] > 0).all()


def test_components_multiply_to_the_mean(held_out, predictor):
    past = held_out[0].select([0, 3, 70, 100])
    factors = predictor.components(past, AHEAD)
    product = np.ones((4, AHEAD))
    for values in factors.values():
        product = product * values
    np.testing.assert_allclose(product, predictor.predict(past, AHEAD).mean(), rtol=1e-9)
    inside = predictor.members["trees"].components(past, AHEAD)
    assert set(factors) == {*inside, OTHER_MODELS}
    np.testing.assert_array_equal(factors["level"], inside["level"])
    assert (factors[OTHER_MODELS] != 1.0).any()


# ---------------------------------------------------------------------- whatever fails


@dataclass(frozen=True)
class Failing:
    """A constant forecast that fails where it is told to; where it is late, for series whose last value is 13."""

    at: str
    name: str = field(default="failing", init=False)

    def fit(self, panel):
        if self.at == "fit":
            raise ZeroDivisionError("float division by zero")
        return self

    @property
    def version(self):
        return "1"

    def predict(self, panel, horizon, *, n_paths=200, seed=0):
        unlucky = panel.window(1)[:, 0] == 13
        if self.at == "asking" or (self.at == "one series" and unlucky.any()):
            raise np.linalg.LinAlgError("singular matrix")
        value = {"nan": NAN, "infinite": np.inf, "explodes": 1e9}.get(self.at, 5.0)
        mean = np.full((panel.n_series, horizon), 5.0)
        mean[unlucky if self.at.startswith("late") else slice(None)] = NAN if self.at == "late nan" else value
        drawn = np.repeat(mean[:, None, :], n_paths, axis=1).astype(np.float32)
        told = SeasonalNaive().fit(panel).predict(panel, horizon, n_paths=n_paths).provenance
        return Forecast(panel.series, panel.ends, panel.freq, told, n_paths, drawn=drawn)

    def to_arrays(self):
        return {}

    def restore(self, arrays):
        return self


@dataclass(frozen=True)
class Stopped(SeasonalNaive):
    """Seasonal naive that is stopped by ``by`` while it is fitted, or asked about more than no series."""

    by: type[BaseException] = MemoryError
    at: str = "fit"

    def fit(self, panel):
        if self.at == "fit":
            raise self.by
        return self

    def predict(self, panel, horizon, *, n_paths=200, seed=0):
        if panel.n_series:
            raise self.by
        return SeasonalNaive().fit(panel).predict(panel, horizon)


@pytest.mark.parametrize("by", [MemoryError, KeyboardInterrupt])
def test_an_interruption_and_a_full_memory_are_no_fault_of_a_member(by):
    panel = flat_panel()
    for at in ("fit", "asking"):
        with pytest.raises(by):
            Ensemble(members=(BaseLevel(), Stopped(by=by, at=at))).fit(panel)
    alone = Ensemble(members=(Stopped(by=by, at="asking"),)).fit(panel)  # one member is not rehearsed
    with pytest.raises(by):
        alone.predict(panel, AHEAD)


def flat_panel(unlucky=()):
    values = np.random.default_rng(0).poisson(5.0, (30, 90)).astype(float)
    values[:, -1] = 5.0
    values[list(unlucky), -1] = 13.0
    return Panel.from_wide(values, start="2026-01-01", series={"unique_id": [f"p{i}" for i in range(30)]})


@dataclass(frozen=True)
class GoesAstray(SeasonalNaive):
    """Seasonal naive whose final fit, on the whole past, expects only so much of what it should."""

    share: float = 0.2

    def fit(self, panel):
        whole = panel.lengths.max() == WHOLE
        return _Astray(SeasonalNaive().fit(panel), self.share if whole else 1.0)


@dataclass(frozen=True)
class _Astray:
    inner: object
    share: float
    name: str = "seasonal_naive"
    version: str = "1"

    def predict(self, panel, horizon, *, n_paths=200, seed=0):
        made = self.inner.predict(panel, horizon, n_paths=n_paths, seed=seed)
        return replace(made, marginals=None, drawn=(made.paths * self.share).astype(np.float32))


WHOLE = 90


@pytest.mark.parametrize("share", [0.2, 3.0])
def test_a_member_whose_final_fit_went_astray_is_left_out_and_told(share):
    panel = flat_panel()
    told = Ensemble(members=(BaseLevel(), GoesAstray(share=share))).fit(panel).predict(panel, AHEAD)
    assert any(n.startswith("member seasonal_naive is left out: it expects") for n in told.provenance.notes)
    alone = Ensemble(members=(BaseLevel(),)).fit(panel).predict(panel, AHEAD)
    np.testing.assert_allclose(told.mean(), alone.mean())


def test_a_member_that_differs_as_models_do_stays():
    told = Ensemble(members=(BaseLevel(), GoesAstray(share=0.6))).fit(flat_panel())
    assert not any("is left out" in note for note in told.notes)


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        ("fit", "ZeroDivisionError: float division by zero"),
        ("asking", "LinAlgError: singular matrix"),
        ("nan", "100% of its forecasts exploded or were no finite numbers"),
        ("infinite", "100% of its forecasts exploded"),
        ("explodes", "100% of its forecasts exploded"),
    ],
)
@pytest.mark.parametrize("first", [False, True])
def test_a_member_that_fails_is_reported_and_left_out(at, reason, first):
    panel = flat_panel()
    others = (BaseLevel(), SeasonalNaive())
    members = (Failing(at), *others) if first else (*others, Failing(at))
    predictor = Ensemble(members=members).fit(panel)
    assert "failing" not in predictor.members
    forecast = predictor.predict(panel, AHEAD)
    assert any(f"member failing is left out: {reason}" in note for note in forecast.provenance.notes)
    np.testing.assert_array_equal(forecast.mean(), Ensemble(members=others).fit(panel).predict(panel, AHEAD).mean())


@pytest.mark.parametrize("at", ["one series", "late nan"])
def test_a_series_that_a_member_fails_at_does_not_take_the_others_with_it(at):
    panel, late = flat_panel(), flat_panel(unlucky=[4, 17])
    predictor = Ensemble(members=(Failing(at), SeasonalNaive())).fit(panel)
    assert predictor.members.keys() == {"failing", "seasonal_naive"}
    share = predictor.weights.filter(pl.col("member") == "failing")["weight"].min()
    assert share > 0.5  # five is what they sell
    fine, forecast = predictor.predict(panel, AHEAD), predictor.predict(late, AHEAD)
    same = np.setdiff1d(np.arange(30), [4, 17])
    np.testing.assert_array_equal(forecast.mean()[same], fine.mean()[same])
    assert np.isfinite(forecast.mean()).all()
    assert any("p4 among them" in note for note in forecast.provenance.notes)
    for chunk, rows in zip(late.chunks(3), np.array_split(np.arange(30), 3), strict=True):
        np.testing.assert_array_equal(predictor.predict(chunk, AHEAD).mean(), forecast.mean()[rows])


def test_where_every_member_fails_a_series_its_own_past_answers():
    panel = flat_panel(unlucky=[4])
    predictor = Ensemble(members=(Failing("late nan"),)).fit(panel)
    forecast = predictor.predict(panel, AHEAD)
    np.testing.assert_allclose(forecast.mean()[4], panel.select([4]).values.mean())
    assert any("no member could forecast 1 series, p4" in note for note in forecast.provenance.notes)


def test_without_lightgbm_the_base_model_answers_and_a_note_says_why(held_out, monkeypatch):
    past = held_out[0].select(np.arange(40))
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    predictor = Ensemble(members=(BaseLevel(), Trees(trust=1.0))).fit(past)
    assert set(predictor.members) == {"base_level"}
    assert any("LightGBM cannot be loaded" in note for note in predictor.notes)
    base = BaseLevel().fit(past).predict(past, AHEAD)
    np.testing.assert_array_equal(predictor.predict(past, AHEAD).mean(), base.mean())


def test_without_the_extra_a_model_that_needs_it_is_named_and_the_others_answer(monkeypatch):
    panel = flat_panel()
    with_it = Ensemble(members=(auto_theta(), SeasonalNaive())).fit(panel)
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    note = "member auto_theta is left out: model auto_theta needs the extra 'classic'; pip install 'shelfwise[classic]'"
    predictor = Ensemble(members=(BaseLevel(), auto_theta())).fit(panel)
    assert note in predictor.predict(panel, AHEAD).provenance.notes
    asked = replace(with_it, plan=replace(with_it.plan, shares=np.full((len(CLASSES), 2), 0.5)))
    asked = replace(asked, members=with_it.members | {"seasonal_naive": SeasonalNaive().fit(panel)})
    forecast = asked.predict(panel, AHEAD)  # fitted with the extra, asked without
    assert note in forecast.provenance.notes
    assert (forecast.mean() > 0).all()


def test_where_the_base_model_cannot_be_fitted_seasonal_naive_answers():
    unknown = Panel.from_wide(np.full((3, 40), NAN), start="2026-01-01")  # the base model refuses it
    predictor = Ensemble(members=(BaseLevel(), Trees(trust=1.0), SeasonalNaive())).fit(unknown)
    assert set(predictor.members) == {"seasonal_naive"}
    assert any("member base_level is left out: no series has any history" in note for note in predictor.notes)
    late = Panel.from_wide(np.full((2, 30), 4.0), start="2026-01-01")
    np.testing.assert_array_equal(predictor.predict(late, 7).mean(), 4.0)


def test_an_answer_comes_from_a_single_observation_and_none_where_nobody_can():
    one = Panel.from_wide([[3.0]], start="2026-01-01")
    assert (Ensemble().fit(one).predict(one, AHEAD).mean() > 0).all()
    with pytest.raises(ModelError, match="no member could be fitted: ZeroDivisionError"):
        Ensemble(members=(Failing("fit"),)).fit(one)


# ---------------------------------------------------------------------- keeping and asking


def test_what_is_stored_gives_the_same_weights_notes_and_members(predictor):
    restored = Ensemble().restore(predictor.to_arrays())
    for name in ("weights", "errors", "noise"):
        assert getattr(restored, name).equals(getattr(predictor, name), null_equal=True)
    assert (restored.notes, list(restored.members)) == (predictor.notes, list(predictor.members))
    assert restored.plan.dependence == predictor.plan.dependence


@pytest.mark.parametrize("lost", ["ensemble", "shares", "base_level/mix"])
def test_an_incomplete_store_is_refused(predictor, lost):
    arrays = {name: array for name, array in predictor.to_arrays().items() if name != lost}
    with pytest.raises(ModelError, match="cannot be read"):
        Ensemble().restore(arrays)
    with pytest.raises(ModelError, match="cannot be read"):
        Ensemble().restore(predictor.to_arrays() | {"ensemble": np.frombuffer(b"{}", dtype=np.uint8)})


def test_another_frequency_is_refused(predictor):
    weekly = Panel.from_wide([[1.0, 2.0, 3.0]], start="2026-01-05", freq="1w")
    with pytest.raises(ModelError, match="fitted on periods of 1d, asked for 1w"):
        predictor.predict(weekly, 3)


def test_parameters_check_themselves():
    with pytest.raises(ParameterError, match="members need names of their own, got base_level, base_level"):
        Ensemble(members=(BaseLevel(), BaseLevel(cutoffs=1)))
    with pytest.raises(ParameterError, match="sample must be at least 50, got 10"):
        Ensemble(sample=10)


def test_a_blend_of_paths_and_marginals_is_a_compact_forecast(held_out):
    past = held_out[0].select(np.arange(80, 120))
    predictor = Ensemble(members=(SeasonalNaive(), BaseLevel())).fit(past)
    forecast = predictor.predict(past, AHEAD)
    assert isinstance(forecast.marginals, Marginals)
    assert forecast.dependence == predictor.plan.dependence
