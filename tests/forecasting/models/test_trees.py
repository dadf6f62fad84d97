"""The tree model on a panel it is trained on: what the base model cannot say is learnt, and every promise is kept."""

from __future__ import annotations

import io
import pickle
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest

from shelfwise.domain.errors import ModelError, ParameterError
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.features import FeatureNames, build
from shelfwise.forecasting.held_out import choose
from shelfwise.forecasting.level_season import Fitted, Groups, decompose, iterate_blocks
from shelfwise.forecasting.metrics import wql
from shelfwise.forecasting.models.base_level import BaseLevel
from shelfwise.forecasting.models.trees import Trees, TreesPredictor, _Learner, _Rows

N, PAST, AHEAD = 120, 400, 28
LEVELS = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
CLOSED_EVERY = 40  # days; day 399 is the first closed one of such a period
CENSORED = slice(300, 330)  # days, in the first 30 series


@dataclass(frozen=True)
class Shop:
    """Made-up demand, with what was known of it."""

    values: np.ndarray  # [N, T + H] units
    available: np.ndarray  # [N, T + H]
    known: dict[str, np.ndarray]
    visits: np.ndarray  # [N, T + H]

    def panel(self, *, values=None, visits=None, available=None) -> Panel:
        """Return the whole panel, T + H days long; cut it before it is fitted or asked."""
        return Panel.from_wide(
            self.values if values is None else values,
            start="2025-01-06",  # a Monday
            series={"unique_id": [f"p{i:03}" for i in range(N)], "category": [f"c{i % 4}" for i in range(N)]},
            available=self.available if available is None else available,
            known_future=self.known,
            past_only={"visits": self.visits if visits is None else visits},
        )


@pytest.fixture(scope="module")
def shop() -> Shop:
    """Promotions that lift demand a little on weekdays and much at weekends; price drops; fairs; closed days."""
    rng = np.random.default_rng(7)
    days = np.arange(PAST + AHEAD)
    weekend = days % 7 >= 4
    promotion = (rng.random((N, len(days))) < 0.15).astype(float)
    cheap = np.repeat(rng.random((N, len(days) // 7 + 1)) < 0.15, 7, axis=1)[:, : len(days)]
    price = np.where(cheap, 7.0, 10.0) * rng.uniform(0.5, 2.0, (N, 1))
    event = np.where(days % 11 == 3, "fair", np.where(days % 13 == 5, "holiday", "none")).astype(object)
    opened = (days % CLOSED_EVERY != CLOSED_EVERY - 1).astype(float)
    expected = rng.gamma(4.0, 2.0, (N, 1)) * np.array([0.7, 0.8, 0.9, 1.0, 1.3, 1.5, 0.8])[days % 7]
    expected = expected * np.where(promotion > 0, np.where(weekend, 5.0, 1.2), 1.0)
    expected = expected * np.where(cheap, 2.0, 1.0) * np.where(event == "fair", 2.5, 1.0) * opened
    values = rng.poisson(expected).astype(float)
    available = np.ones(values.shape, dtype=bool)
    available[:30, CENSORED] = False
    values[:30, CENSORED] = 0.0
    known = {"promotion": promotion, "price": price, "event": event, "open": opened}
    return Shop(values, available, known, np.round(values * 3 + rng.poisson(5, values.shape)))


@pytest.fixture(scope="module")
def past(shop: Shop) -> Panel:
    """The panel at the cutoff: the last 28 days remain for judging."""
    return shop.panel().split(AHEAD)[0]


@pytest.fixture(scope="module")
def predictor(past: Panel) -> TreesPredictor:
    return Trees().fit(past)


def same(one, other):
    np.testing.assert_array_equal(one.mean(), other.mean())
    np.testing.assert_array_equal(one.marginals.variance, other.marginals.variance)
    np.testing.assert_array_equal(one.paths, other.paths)


def sound(forecast):
    for numbers in (forecast.mean(), forecast.quantiles(LEVELS), forecast.paths):
        assert np.isfinite(numbers).all()
        assert (numbers >= 0).all()
    return forecast


def without(panel, *names):
    return replace(panel, known_future={k: c for k, c in panel.known_future.items() if k not in names})


def changed(panel, shop, **known):
    """Return ``panel`` with other known-ahead covariates, given as [T + H] or [N, T + H]."""
    return replace(replace(shop, known=shop.known | known).panel(), **kept(panel))


def kept(panel):
    return {name: getattr(panel, name) for name in ("values", "offsets", "available", "past_only")}


def through_a_file(predictor):
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **predictor.to_arrays())
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


# ---------------------------------------------------------------------- what they are for


def test_trees_are_trained_and_trusted_where_lifts_differ_by_weekday(predictor):
    assert predictor.booster is not None
    assert predictor.trust > 0
    assert predictor.notes == ()


def test_trees_lose_clearly_less_than_the_base_model_on_days_they_never_saw(shop, past, predictor):
    _, actual, scored = shop.panel().split(AHEAD)
    base = BaseLevel().fit(past).predict(past, AHEAD)
    loss = {
        name: wql(actual, forecast.quantiles(LEVELS), LEVELS, scored)
        for name, forecast in (("trees", predictor.predict(past, AHEAD)), ("base", base))
    }
    assert loss["trees"] < 0.8 * loss["base"]


def test_a_promotion_lifts_a_weekend_more_than_a_weekday(shop, past, predictor):
    up, down = (
        predictor.predict(changed(past, shop, promotion=np.full((N, PAST + AHEAD), x)), AHEAD).mean().sum(axis=0)
        for x in (1.0, 0.0)
    )
    weekday = (PAST + np.arange(AHEAD)) % 7
    open_days = shop.known["open"][PAST:] > 0
    lift = np.where(open_days, up / np.maximum(down, 1e-9), np.nan)
    assert np.nanmin(lift[(weekday >= 4)]) > 1.5 * np.nanmax(lift[weekday < 4])


def test_intervals_hold_what_they_promise(shop, past, predictor):
    _, actual, scored = shop.panel().split(AHEAD)
    scored = scored & (shop.known["open"][PAST:] > 0)
    low, high = np.moveaxis(predictor.predict(past, AHEAD).quantiles([0.1, 0.9]), 2, 0)
    inside = ((actual >= low) & (actual <= high))[scored].mean()
    assert inside > 0.76


def test_closed_days_are_forecast_as_nothing(shop, past, predictor):
    opened = shop.known["open"].copy()
    opened[[PAST + 2, PAST + 9]] = 0.0
    forecast = predictor.predict(changed(past, shop, open=opened), AHEAD)
    assert not forecast.mean()[:, [2, 9]].any()
    assert not forecast.paths[:, :, [2, 9]].any()
    assert (forecast.mean()[:, [1, 3, 8, 10]] > 0).all()


# ---------------------------------------------------------------------- the same every time


def test_the_same_seed_gives_the_same_paths_and_another_seed_others(past, predictor):
    one = predictor.predict(past, AHEAD, seed=1)
    same(one, predictor.predict(past, AHEAD, seed=1))
    other = predictor.predict(past, AHEAD, seed=2)
    np.testing.assert_array_equal(one.mean(), other.mean())
    assert not np.array_equal(one.paths, other.paths)


@pytest.mark.parametrize("n", [3, 7, 120])
def test_chunks_change_nothing(past, predictor, n):
    whole = predictor.predict(past, AHEAD)
    parts = [predictor.predict(chunk, AHEAD) for chunk in past.chunks(n)]
    np.testing.assert_array_equal(np.concatenate([p.mean() for p in parts]), whole.mean())
    np.testing.assert_array_equal(np.concatenate([p.marginals.variance for p in parts]), whole.marginals.variance)
    np.testing.assert_array_equal(np.concatenate([p.paths for p in parts]), whole.paths)


def test_the_order_of_series_changes_nothing(past, predictor):
    order = np.random.default_rng(0).permutation(N)
    same(predictor.predict(past.select(order), AHEAD), predictor.predict(past, AHEAD).select(order))


def test_series_that_end_at_different_times_are_forecast_as_if_alone(past, predictor):
    ragged = past.until(past.ends - np.arange(N) % 3 * 9)
    whole = predictor.predict(ragged, AHEAD)
    for place in (0, 1, 2, 50):
        same(predictor.predict(ragged.select([place]), AHEAD), whole.select([place]))


def test_nothing_after_the_cutoff_matters_and_a_second_fit_gives_the_same_trees(shop, past, predictor):
    values, visits = shop.values.copy(), shop.visits.copy()
    values[:, PAST:], visits[:, PAST:] = 1e9, -1e9
    available = shop.available.copy()
    available[:, PAST:] = False
    whole = shop.panel(values=values, visits=visits, available=available)
    poisoned = whole.until(whole.ends - AHEAD)
    again = Trees().fit(poisoned)
    one, other = predictor.to_arrays(), again.to_arrays()
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(other[name], array, err_msg=name)
    same(again.predict(poisoned, AHEAD), predictor.predict(past, AHEAD))


def test_what_came_later_is_not_in_the_features_of_a_training_row(shop, predictor):
    back = 2 * AHEAD
    values, visits = shop.values.copy(), shop.visits.copy()
    values[:, -back:], visits[:, -back:] = 1e6, 1e6
    learner = _Learner(Trees(), predictor.fitted, predictor.names, AHEAD)
    found = []
    for panel in (shop.panel(), shop.panel(values=values, visits=visits)):
        cut, measured, _, _ = learner.at(panel, back, N)
        ((rows, block),) = iterate_blocks(cut, measured, AHEAD)
        parts = decompose(block, measured, AHEAD)
        found.append(build(cut.select(rows), block, parts, measured, predictor.names, AHEAD).values)
    np.testing.assert_array_equal(*found)


def test_days_without_stock_do_not_matter_and_days_that_sold_out_are_demand_at_least(shop, predictor):
    found = []
    for sold in (0.0, np.nan, 777.0):
        values = shop.values.copy()
        values[:30, CENSORED] = sold
        found.append(predictor.predict(shop.panel(values=values).split(AHEAD)[0], AHEAD))
    same(found[0], found[1])
    assert (found[2].mean()[:30].sum(axis=1) > found[0].mean()[:30].sum(axis=1)).all()
    np.testing.assert_array_equal(found[2].mean()[30:], found[0].mean()[30:])


def test_censored_and_closed_days_are_not_among_the_training_rows(shop, past, predictor):
    learner = _Learner(Trees(), predictor.fitted, predictor.names, AHEAD)
    back = PAST - CENSORED.start  # the 28 days that follow lie within the censored month
    rows = learner.rows(past, [back])
    open_days = int(shop.known["open"][CENSORED.start : CENSORED.start + AHEAD].sum())
    assert open_days < AHEAD
    assert len(rows.labels) == (N - 30) * open_days
    assert len(rows.features) == len(rows.offsets) == len(rows.labels)


def test_trees_are_judged_on_windows_that_they_have_not_seen(past):
    trained, judged = [], []

    class Watched(_Learner):
        def rows(self, panel, backs):
            trained.append(backs)
            return super().rows(panel, backs)

        def judge(self, trees, panel, backs):
            judged.append(backs)
            return super().judge(trees, panel, backs)

    few = past.select(np.arange(40))
    groups = Groups.of(few)
    start = Fitted.default(few, Trees().half_lives, 400, groups)
    fitted = choose(few, groups, start, 3)
    Watched(Trees(rounds=5), fitted, FeatureNames.of(few), AHEAD).learn(few)
    assert judged == [[AHEAD, 2 * AHEAD]]
    assert min(trained[0]) - AHEAD >= max(
        judged[0]
    )  # the latest window trained on ends where the earliest judged begins
    assert AHEAD in trained[1]  # what is used in the end has seen the latest window


# ---------------------------------------------------------------------- kept and handed on


def test_a_stored_predictor_gives_the_same_forecasts(past, predictor):
    restored = Trees().restore(through_a_file(predictor))
    assert (restored.name, restored.version, restored.trust) == (predictor.name, predictor.version, predictor.trust)
    assert (restored.clip, restored.notes, restored.names) == (predictor.clip, predictor.notes, predictor.names)
    same(restored.predict(past, AHEAD), predictor.predict(past, AHEAD))
    for name, array in predictor.to_arrays().items():
        np.testing.assert_array_equal(restored.to_arrays()[name], array, err_msg=name)


def test_a_predictor_travels_to_other_processes(past, predictor):
    same(pickle.loads(pickle.dumps(predictor)).predict(past, AHEAD), predictor.predict(past, AHEAD))


def test_what_was_not_stored_whole_is_refused(predictor):
    arrays = predictor.to_arrays()
    half = arrays["trees"][: len(arrays["trees"]) // 2]
    wrong = (
        {name: array for name, array in arrays.items() if name != "trees"},
        {name: array for name, array in arrays.items() if name != "trees_header"},
        arrays | {"trees_header": np.frombuffer(b"{}", dtype=np.uint8)},
        arrays | {"trees_header": np.frombuffer(b"no json", dtype=np.uint8)},
        arrays | {"trees": np.frombuffer(b"no trees", dtype=np.uint8)},
        arrays | {"trees": half},
    )
    for given in wrong:
        with pytest.raises(ModelError, match="fit it again"):
            Trees().restore(given)


# ---------------------------------------------------------------------- what is known, and what is not


@pytest.mark.parametrize("name", ["promotion", "price", "event", "open"])
def test_a_covariate_may_be_missing_when_asked(past, predictor, name):
    bare = sound(predictor.predict(without(past, name), AHEAD))
    assert np.median(bare.mean()) > 1


def test_all_covariates_may_be_missing_when_asked(past, predictor):
    bare = replace(without(past, *past.known_future), past_only={})
    assert np.median(sound(predictor.predict(bare, AHEAD)).mean()) > 1


@pytest.mark.parametrize("name", ["promotion", "price", "event", "open"])
def test_the_future_of_a_covariate_may_be_unknown(shop, past, predictor, name):
    blank = shop.known[name].copy()
    blank[..., PAST:] = None if name == "event" else np.nan
    short = shop.known[name][..., : PAST + AHEAD - 20]
    given = shop.known | {name: blank}
    forecast = sound(predictor.predict(changed(past, shop, **given), AHEAD))
    assert np.median(forecast.mean()) > 1
    cut = Panel.from_wide(
        shop.values[:, :PAST],
        start="2025-01-06",
        series=past.series,
        available=shop.available[:, :PAST],
        known_future=shop.known | {name: short},
        past_only={"visits": shop.visits[:, :PAST]},
    )
    longer = predictor.predict(cut, AHEAD).mean()
    told = AHEAD - 21  # the period before the first unknown one asks what comes next,
    np.testing.assert_array_equal(longer[:, :told], predictor.predict(past, AHEAD).mean()[:, :told])
    np.testing.assert_array_equal(
        longer[:, AHEAD - 19 :], forecast.mean()[:, AHEAD - 19 :]
    )  # and the one after, what was


def test_a_word_never_seen_is_read_as_unknown_and_the_others_keep_their_meaning(shop, past, predictor):
    other = shop.known["event"].copy()
    other[PAST + 3 :] = "a carnival never seen"  # sorts first, so that all codes of the panel shift
    gap = shop.known["event"].copy()
    gap[PAST + 3 :] = None
    new, unknown = (predictor.predict(changed(past, shop, event=words), AHEAD) for words in (other, gap))
    same(sound(new), unknown)
    usual = predictor.predict(past, AHEAD)
    np.testing.assert_array_equal(new.mean()[:, :2], usual.mean()[:, :2])  # the third asks what comes next
    assert not np.array_equal(new.mean()[:, 3:], usual.mean()[:, 3:])


def test_words_where_there_were_numbers_and_numbers_where_words_are_read_as_unknown(shop, past, predictor):
    days = PAST + AHEAD
    words = predictor.predict(changed(past, shop, price=np.array(["dear", "cheap"] * (days // 2), dtype=object)), AHEAD)
    same(sound(words), predictor.predict(without(past, "price"), AHEAD))
    numbers = predictor.predict(changed(past, shop, event=np.arange(days) % 3.0), AHEAD)
    same(sound(numbers), predictor.predict(without(past, "event"), AHEAD))


def test_a_category_never_seen_is_forecast_like_none_at_all(past, predictor):
    new = replace(past, series=past.series.with_columns(category=past.series["category"] + " never seen"))
    none = replace(past, series=past.series.with_columns(category=None))
    bare = replace(past, series=past.series.select("unique_id"), hierarchy=())
    forecast = sound(predictor.predict(new, AHEAD))
    same(forecast, predictor.predict(none, AHEAD))
    same(forecast, predictor.predict(bare, AHEAD))
    assert np.median(forecast.mean()) > 1


def test_past_values_of_a_covariate_may_be_unknown(shop, past, predictor):
    blank = shop.panel(visits=np.full(shop.visits.shape, np.nan)).split(AHEAD)[0]
    same(sound(predictor.predict(blank, AHEAD)), predictor.predict(replace(past, past_only={}), AHEAD))


def test_extra_covariates_are_left_aside(shop, past, predictor):
    same(
        predictor.predict(changed(past, shop, weather=np.linspace(0, 1, PAST + AHEAD)), AHEAD),
        predictor.predict(past, AHEAD),
    )


def test_young_and_unborn_and_dead_series_are_forecast(shop, past, predictor):
    values = shop.values[:, :PAST].copy()
    values[0, : PAST - 1] = np.nan
    values[1, : PAST - 7] = np.nan
    values[2] = np.nan
    values[3] = 0.0
    values[4, 5:] = np.nan
    panel = Panel.from_wide(values, start="2025-01-06", series=past.series, known_future=shop.known)
    forecast = sound(predictor.predict(panel, AHEAD))
    assert forecast.mean()[3].sum() < 0.1 * AHEAD


# ---------------------------------------------------------------------- what forecasts are made of


def test_components_multiply_to_the_mean_and_the_learnt_one_stays_within_bounds(past, predictor):
    factors = predictor.components(past, AHEAD)
    assert {"level", "open", "promotion", "weekday", "learnt"} <= set(factors)
    product = np.prod(list(factors.values()), axis=0)
    np.testing.assert_allclose(product, predictor.predict(past, AHEAD).mean(), rtol=1e-9, atol=1e-12)
    learnt = factors["learnt"]
    assert learnt.std() > 0.05
    assert (learnt >= 0.2**predictor.trust - 1e-12).all()
    assert (learnt <= 4.0**predictor.trust + 1e-12).all()


def test_a_flag_that_is_called_like_a_season_is_a_component_with_it(shop, past):
    named = shop.known | {"weekday": shop.known["promotion"]}
    few = changed(past, replace(shop, known=named)).select(np.arange(40))
    fitted = Trees(rounds=5).fit(few)
    product = np.prod(list(fitted.components(few, AHEAD).values()), axis=0)
    np.testing.assert_allclose(product, fitted.predict(few, AHEAD).mean(), rtol=1e-9, atol=1e-12)


def test_a_tighter_clip_bounds_what_trees_multiply_by(past, predictor):
    tight = replace(predictor, clip=(0.9, 1.25))
    learnt = tight.components(past, AHEAD)["learnt"]
    assert learnt.min() == pytest.approx(0.9**predictor.trust)
    assert learnt.max() == pytest.approx(1.25**predictor.trust)


def test_trees_that_are_not_trusted_change_nothing(past, predictor):
    alone = replace(predictor, booster=None)
    same(replace(predictor, trust=0.0).predict(past, AHEAD), alone.predict(past, AHEAD))
    assert "learnt" not in alone.components(past, AHEAD)


@pytest.mark.parametrize("horizon", [1, 100, 500])
def test_any_horizon_works_and_a_longer_one_begins_like_a_shorter(past, predictor, horizon):
    forecast = sound(predictor.predict(past, horizon, n_paths=10))
    assert forecast.horizon == horizon
    common = min(horizon, AHEAD)
    np.testing.assert_array_equal(forecast.mean()[:, :common], predictor.predict(past, AHEAD).mean()[:, :common])


def test_another_frequency_and_no_horizon_are_refused(predictor):
    weekly = Panel.from_wide(np.ones((2, 30)), start="2025-01-06", freq="1w")
    with pytest.raises(ModelError, match="fitted on periods of 1d, asked for 1w"):
        predictor.predict(weekly, 4)
    for ask in (predictor.predict, predictor.components):
        with pytest.raises(ParameterError, match="horizon must be at least 1 period, got 0"):
            ask(weekly, 0)


# ---------------------------------------------------------------------- where the base model stands alone


def alone(fitted, panel, words):
    """Check that the predictor is the base model, says why, and can be stored."""
    assert fitted.booster is None
    assert len(fitted.notes) == 1
    assert words in fitted.notes[0]
    forecast = sound(fitted.predict(panel, AHEAD))
    assert forecast.provenance.notes == fitted.notes
    np.testing.assert_array_equal(forecast.mean(), BaseLevel().fit(panel).predict(panel, AHEAD).mean())
    same(Trees().restore(through_a_file(fitted)).predict(panel, AHEAD), forecast)


def test_without_lightgbm_the_base_model_answers_and_says_what_to_install(past, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    few = past.select(np.arange(40))
    alone(Trees().fit(few), few, "install libgomp1")


def test_stored_trees_without_lightgbm_say_what_to_install(predictor, monkeypatch):
    arrays = through_a_file(predictor)
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(ModelError, match="install libgomp1"):
        Trees().restore(arrays)


def test_a_short_history_is_the_base_models_and_noted(past):
    short = past.select(np.arange(40))
    young = Panel.from_wide(short.window(60), start="2026-01-05", series=short.series)
    alone(Trees().fit(young), young, "history too short")


def test_products_that_no_longer_sell_are_the_base_models_and_noted():
    values = np.zeros((40, 300))
    values[:, :10] = np.random.default_rng(0).poisson(5.0, (40, 10))
    dead = Panel.from_wide(values, start="2025-01-06")
    alone(Trees().fit(dead), dead, "without sales")


def test_pure_noise_teaches_nothing_wrong():
    values = np.random.default_rng(0).poisson(3.0, (40, 300)).astype(float)
    noise = Panel.from_wide(values, start="2025-01-06")
    fitted = Trees(rounds=30).fit(noise)
    assert fitted.booster is not None or "did not help" in fitted.notes[0]
    off, base_off = (
        np.abs(each.predict(noise, AHEAD).mean() - 3.0).mean() for each in (fitted, BaseLevel().fit(noise))
    )
    assert off < max(1.1 * base_off, 0.15)


def test_a_few_old_products_among_many_young_ones_are_found():
    values = np.random.default_rng(0).poisson(3.0, (960, 300)).astype(float)
    values[60:, :260] = np.nan
    panel = Panel.from_wide(values, start="2025-01-06")
    fitted = Trees(rounds=5, rows=10_000).fit(panel)
    assert fitted.booster is not None or "did not help" in fitted.notes[0]


@pytest.mark.parametrize(("freq", "periods"), [("1h", 24 * 40), ("24h", 420), ("1w", 150), ("1mo", 100)])
def test_trees_are_trained_at_other_frequencies(freq, periods):
    rng = np.random.default_rng(3)
    promotion = (rng.random((60, periods)) < 0.2).astype(float)
    odd = np.arange(periods) % 2
    values = rng.poisson(rng.gamma(4.0, 2.0, (60, 1)) * (1 + 4 * promotion * odd)).astype(float)
    panel = Panel.from_wide(
        values, start="2020-01-01", freq=freq, known_future={"promotion": promotion, "odd": odd.astype(float)}
    )
    fitted = Trees(rounds=30).fit(panel)
    assert fitted.booster is not None
    assert sound(fitted.predict(panel, 5)).horizon == 5


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rounds": 0}, "rounds must be at least 1, got 0"),
        ({"leaves": 1}, "leaves must be at least 2, got 1"),
        ({"rows": 9_999}, "rows must be at least 10,000, got 9999"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0 and at most 1, got 0.0"),
        ({"clip": (4.0, 0.2)}, "clip must be"),
        ({"clip": (0.0, 4.0)}, "clip must be"),
        ({"half_lives": ()}, "half_lives must be above 0"),
        ({"sample": 3}, "sample must be at least 50, got 3"),
        ({"history_days": 7}, "history_days must be at least 28, got 7"),
    ],
)
def test_parameters_check_themselves(given, words):
    with pytest.raises(ParameterError, match=words):
        Trees(**given)


def test_names_of_features_come_back_from_text(past):
    names = FeatureNames.of(past)
    assert FeatureNames.from_json(names.to_json()) == names


def test_a_few_series_that_sell_out_of_nothing_do_not_spoil_the_trees_of_all_others(past):
    """Rows of products that were as good as dead and came back; seen on 2 of 16 cutoffs of the made-up chain."""
    rng = np.random.default_rng(0)
    features = rng.random((20_000, 3)).astype(np.float32)
    base, labels = np.full(20_000, 5.0), rng.poisson(5.0, 20_000).astype(float)
    features[:400, 0] += 2.0
    base[:400], labels[:400] = 1e-6, 1000.0
    learner = _Learner(Trees(), Fitted.default(past, (7.0,), 400, Groups.of(past)), FeatureNames.of(past), AHEAD)
    raw = learner.train(_Rows(features, labels, np.log(base), ())).predict(features[400:], raw_score=True)
    assert abs(np.median(raw)) < 0.1  # the others sell what was expected of them
