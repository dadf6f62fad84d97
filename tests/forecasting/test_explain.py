"""What forecasts are made of: it adds up, to the last unit, for every model and every odd series."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from shelfwise.domain.marginals import Marginals
from shelfwise.domain.panel import Panel
from shelfwise.domain.paths import Dependence
from shelfwise.forecasting.catalog import MODELS
from shelfwise.forecasting.coherence import Coherent
from shelfwise.forecasting.ensemble import Ensemble
from shelfwise.forecasting.explain import (
    KINDS,
    LEARNT,
    MODEL,
    Part,
    composed,
    explain,
    part_of_feature,
    with_residual,
)
from shelfwise.forecasting.features import FeatureNames, build
from shelfwise.forecasting.level_season import decompose, iterate_blocks
from shelfwise.forecasting.models.base_level import BaseLevel
from shelfwise.forecasting.models.naive import SeasonalNaive
from shelfwise.forecasting.models.trees import Trees
from shelfwise.forecasting.pooling import flags_of
from shelfwise.forecasting.usual import laid_ahead

NAN = float("nan")
N, PAST, AHEAD = 60, 300, 28
CLOSED = 13  # the day of the horizon, and of each 40 before it, on which the shop is closed
FAIR, SALE = slice(5, 7), slice(10, 17)  # days of the horizon


def world(seed: int = 1) -> Panel:
    """A shop with a promotion, a price cut, a fair, closed days, and series of every odd kind."""
    rng = np.random.default_rng(seed)
    days = np.arange(PAST + AHEAD)
    shape = (N, len(days))
    promotion = (rng.random(shape) < 0.1).astype(float)
    promotion[:, PAST:] = 0.0
    promotion[: N // 2, PAST + SALE.start : PAST + SALE.stop] = 1.0
    cut = np.repeat(rng.random((N, len(days) // 7 + 1)) < 0.15, 7, axis=1)[:, : len(days)]
    cut[:, PAST:] = False
    cut[0, PAST : PAST + 7] = True
    price = np.where(cut, 7.0, 10.0)
    event = np.where(days % 23 == 4, "fair", "none").astype(object)
    event[PAST:] = "none"
    event[PAST + FAIR.start : PAST + FAIR.stop] = "fair"
    opened = (days % 40 != (PAST + CLOSED) % 40).astype(float)
    week = np.array([0.7, 0.8, 0.9, 1.0, 1.3, 1.5, 0.8])[days % 7]
    rate = rng.gamma(4.0, 2.0, (N, 1)) * week * np.where(promotion > 0, 2.0, 1.0) * np.where(cut, 1.6, 1.0)
    values = rng.poisson(rate * np.where(event == "fair", 1.8, 1.0) * opened).astype(float)
    values[1] = 0.0
    values[2, : PAST - 1] = NAN
    values[3, : PAST - 20] = NAN
    values[4] *= 1e6
    values[5, PAST - 100 :] = 0.0
    panel = Panel.from_wide(
        values,
        start="2025-01-06",
        series={
            "unique_id": [f"p{i:02}" for i in range(N)],
            "category": ["huge" if i == 4 else f"c{i % 3}" for i in range(N)],
        },
        known_future={"promotion": promotion, "sell_price": price, "event": event, "open": opened},
        past_only={"visits": np.nan_to_num(values) + 3.0},
    )
    return panel.split(AHEAD)[0]


@pytest.fixture(scope="module")
def past() -> Panel:
    return world()


@pytest.fixture(scope="module")
def fitted(past: Panel) -> dict[str, object]:
    made = {"base_level": BaseLevel().fit(past), "trees": Trees(rounds=60, trust=0.8).fit(past)}
    assert made["trees"].booster is not None
    return made


def part(found, kind, name=None):
    return found.units[:, :, found.parts.index(Part(kind, name or kind))]


@pytest.mark.parametrize("model", ["base_level", "trees"])
def test_the_parts_of_every_period_add_up_to_the_mean_of_the_forecast(fitted, past, model):
    found = explain(fitted[model], past, AHEAD)
    mean = fitted[model].predict(past, AHEAD).mean()
    np.testing.assert_allclose(found.mean(), mean, rtol=1e-6, atol=1e-9)
    assert found.units.shape == (N, AHEAD, len(found.parts))
    assert np.isfinite(found.units).all()
    assert {p.kind for p in found.parts} <= set(KINDS)
    assert MODEL not in found.parts  # nothing is left over


@pytest.mark.parametrize("model", sorted(MODELS))
def test_every_model_adds_up_on_zero_constant_short_and_empty_series(model):
    odd = odd_series()
    predictor = MODELS[model]().fit(odd)
    found = explain(predictor, odd, 9)
    np.testing.assert_allclose(found.mean(), predictor.predict(odd, 9).mean(), rtol=1e-6, atol=1e-9)
    if composed(predictor) is None:
        assert {p.kind for p in found.parts} <= {"level", "opening", "model"}
        assert "does not say" in found.notes[0]


def odd_series() -> Panel:
    rng = np.random.default_rng(0)
    values = rng.poisson(3.0, (6, 90)).astype(float)
    values[0] = 0.0
    values[1, :89] = NAN
    values[2] = NAN
    values[3] = 7.0
    values[4, :60] = NAN
    opened = np.ones((6, 99))
    opened[:, 92] = 0.0
    return Panel.from_wide(values, start="2026-01-05", known_future={"open": opened})


@pytest.mark.parametrize("model", ["base_level", "trees"])
def test_a_closed_day_takes_the_whole_level_away_and_nothing_else_counts(fitted, past, model):
    found = explain(fitted[model], past, AHEAD)
    level, opening = part(found, "level")[:, CLOSED], part(found, "opening")[:, CLOSED]
    np.testing.assert_allclose(opening, -level)
    others = [i for i, p in enumerate(found.parts) if p.kind not in ("level", "opening")]
    assert not found.units[:, CLOSED, others].any()
    assert not np.delete(part(found, "opening"), CLOSED, axis=1).any()


def test_a_series_that_never_sold_owes_nothing_that_is_not_its_categorys(fitted, past):
    found = explain(fitted["base_level"], past, AHEAD)
    never = found.units[1].sum(axis=1)
    assert (never < 0.2).all()


@pytest.mark.parametrize("model", ["base_level", "trees"])
def test_events_that_are_not_there_add_nothing(fitted, past, model):
    found = explain(fitted[model], past, AHEAD)
    promoted = part(found, "promotion")
    assert not promoted[N // 2 :].any()
    assert not np.delete(promoted, np.r_[SALE], axis=1).any()
    if model == "trees":
        fair = part(found, "event", "event fair")
        assert not np.delete(fair, np.r_[FAIR], axis=1).any()


def test_promotions_fairs_and_price_cuts_that_lifted_demand_add_units(fitted, past):
    found = explain(fitted["trees"], past, AHEAD)
    live = np.arange(6, N // 2)
    days = [day for day in range(SALE.start, SALE.stop) if day != CLOSED]
    mean = found.mean()
    assert (part(found, "promotion")[np.ix_(live, days)] > 0.2 * mean[np.ix_(live, days)]).all()
    assert part(found, "event", "event fair")[6:, FAIR].sum() > 0.2 * mean[6:, FAIR].sum()
    assert part(found, "price", "sell_price")[0, :5].sum() > 0.1 * mean[0, :5].sum()


def test_one_event_alone_has_what_the_forecast_without_it_lacks_on_the_log_scale(fitted, past):
    """units / (mean - level) = log effect / log(mean / level), for the base model by hand."""
    found = explain(fitted["base_level"], past, AHEAD)
    factors = fitted["base_level"].components(past, AHEAD)
    mean, level = found.mean(), part(found, "level")
    day, row = SALE.start, 8
    by_hand = (mean - level)[row, day] * np.log(factors["promotion"][row, day]) / np.log((mean / level)[row, day])
    assert part(found, "promotion")[row, day] == pytest.approx(by_hand)


def test_two_events_at_once_share_what_they_add_together(fitted, past):
    both = world()
    ahead = both.known_future["promotion"].at(both.ends, AHEAD)
    ahead[:, FAIR] = 1.0
    known = {**both.known_future, "promotion": laid_ahead(both.known_future["promotion"], both.ends, ahead)}
    both = replace(both, known_future=known)
    found = explain(fitted["trees"], both, AHEAD)
    np.testing.assert_allclose(found.mean(), fitted["trees"].predict(both, AHEAD).mean(), rtol=1e-6)
    assert (part(found, "promotion")[6:, FAIR] > 0).all()
    assert part(found, "event", "event fair")[6:, FAIR].sum() > 0


@pytest.mark.parametrize("chunks", [2, 7])
def test_chunks_and_the_order_of_series_change_nothing(fitted, past, chunks):
    whole = explain(fitted["trees"], past, AHEAD)
    order = np.random.default_rng(0).permutation(N)
    turned = explain(fitted["trees"], past.select(order), AHEAD)
    assert turned.parts == whole.parts
    np.testing.assert_allclose(turned.units, whole.units[order], rtol=1e-9, atol=1e-9)
    pieces = [explain(fitted["trees"], one, AHEAD) for one in past.chunks(chunks)]
    for p in whole.parts:
        mine = np.concatenate([one.of_kind(p.kind) for one in pieces])
        np.testing.assert_allclose(mine, whole.of_kind(p.kind), rtol=1e-9, atol=1e-9)


def test_the_frame_has_one_row_for_each_series_period_and_part(fitted, past):
    found = explain(fitted["trees"], past, 3)
    frame = found.to_frame()
    assert frame.height == N * 3 * len(found.parts)
    sums = frame.group_by("unique_id", "ds", maintain_order=True).agg(pl.col("units").sum())
    np.testing.assert_allclose(sums["units"].to_numpy().reshape(N, 3), found.mean())


def test_what_a_correction_changes_is_a_part_of_its_own(fitted, past):
    found = explain(fitted["base_level"], past, AHEAD)
    corrected = with_residual(found, found.mean() * 1.1)
    np.testing.assert_allclose(corrected.mean(), found.mean() * 1.1)
    np.testing.assert_allclose(corrected.of_kind("model"), found.mean() * 0.1, atol=1e-9)
    assert with_residual(found, found.mean()) is found


FREQUENCIES = [("1h", "time_of_day"), ("1d", "weekday"), ("1w", "season"), ("1mo", "season")]


@pytest.mark.parametrize(("freq", "cycle"), FREQUENCIES)
def test_every_feature_of_the_trees_speaks_of_a_part(freq, cycle):
    rng = np.random.default_rng(0)
    periods = {"1h": 400, "1d": 420, "1w": 120, "1mo": 40}[freq]
    flag = (rng.random(periods + 6) < 0.2).astype(float)
    panel = Panel.from_wide(
        rng.poisson(5.0, (8, periods)).astype(float),
        start="2024-01-01",
        freq=freq,
        series={"unique_id": list("abcdefgh"), "category": list("xxxxyyyy"), "brand": list("uvuvuvuv")},
        known_future={"promotion": flag, "open": np.ones(periods + 6), "price": rng.uniform(1, 2, periods + 6)},
        past_only={"visits": rng.poisson(9.0, (8, periods)).astype(float)},
    )
    fitted = BaseLevel().fit(panel).fitted
    fitted = replace(fitted, flags=flags_of(panel))
    names = FeatureNames.of(panel)
    ((rows, block),) = iterate_blocks(panel, fitted, 6)
    parts = decompose(block, fitted, 6)
    features = build(panel.select(rows), block, parts, fitted, names, 6)
    assert len(features.names) > 20
    for name in features.names:
        if name != "season":  # the product of the factors, shared among them
            assert part_of_feature(name, names) is not None, f"{name} speaks of no part; name it in explain.py"
    for name in parts.factors:
        assert part_of_feature(f"factor {name}", names).kind in KINDS
    assert part_of_feature("something new", names) is None
    assert part_of_feature("visits", names) == Part("covariate", "visits")
    assert part_of_feature("price over usual", names) == LEARNT


def test_a_model_that_does_not_say_has_its_level_and_itself():
    panel = odd_series()
    found = explain(SeasonalNaive().fit(panel), panel, 9)
    assert {p.kind for p in found.parts} <= {"level", "model"}
    np.testing.assert_allclose(found.of_kind("level")[3], 7.0)
    assert not found.of_kind("model")[3].any()


def test_a_closed_day_is_no_part_of_a_model_that_does_not_say():
    panel = odd_series()
    found = explain(OpenDaysOnly(), panel, 9)
    assert (found.of_kind("opening")[3, 2], found.of_kind("level")[3, 2]) == (-7.0, 7.0)
    np.testing.assert_allclose(np.delete(found.of_kind("model")[3], 2), -2.0)


class OpenDaysOnly:
    """A predictor that sells five a day, and nothing on closed days."""

    name, version = "five", "1"

    def predict(self, panel, horizon, *, n_paths=200, seed=0):
        made = SeasonalNaive().fit(panel).predict(panel, horizon)
        opened = panel.known_future["open"].at(panel.ends, horizon)
        return replace(
            made, marginals=Marginals(5.0 * opened, 5.0 * opened), dependence=Dependence(0.0, 0.0), drawn=None
        )

    def to_arrays(self):
        return {}


# ---------------------------------------------------------------------- aggregates and their calendar


def chain_of_shops(days: int = 440) -> Panel:
    """A chain whose sales follow the year, with fairs that all its series share and promotions that they do not."""
    rng = np.random.default_rng(2)
    n, ordinal = 120, np.arange(days + AHEAD)
    fair = np.where(ordinal % 31 < 2, "fair", "none").astype(object)
    promotion = (rng.random((n, days + AHEAD)) < 0.08).astype(float)
    year = 1.0 + 0.5 * np.sin(2 * np.pi * ordinal / 365.25)
    rate = rng.gamma(4.0, 2.0, (n, 1)) * year * np.array([0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 0.9])[ordinal % 7]
    rate = rate * np.where(fair == "fair", 2.0, 1.0) * np.where(promotion > 0, 1.8, 1.0)
    return Panel.from_wide(
        rng.poisson(rate).astype(float),
        start="2024-01-01",
        series={"unique_id": [f"p{i:03}" for i in range(n)], "category": [f"c{i % 3}" for i in range(n)]},
        known_future={"event": fair, "promotion": promotion},
    ).split(AHEAD)[0]


@pytest.fixture(scope="module")
def chain() -> Panel:
    return chain_of_shops()


@pytest.mark.parametrize("inner", [BaseLevel(), Trees(rounds=40, trust=1.0)], ids=["base_level", "trees"])
def test_a_forecast_held_against_models_of_its_sums_adds_up_too(chain, inner):
    predictor = Coherent(inner, "held", strength=1.0).fit(chain)
    found = explain(predictor, chain, AHEAD)
    np.testing.assert_allclose(found.mean(), predictor.predict(chain, AHEAD).mean(), rtol=1e-6)
    assert predictor.correction is not None
    assert found.of_kind("company").any()
    assert MODEL not in found.parts
    assert found.of_kind("promotion").sum() > 0
    assert found.of_kind("event").sum() > 0


def test_a_wrapper_of_a_model_that_does_not_say_does_not_say_either(chain):
    predictor = Coherent(SeasonalNaive(), "held", strength=1.0).fit(chain)
    found = explain(predictor, chain, AHEAD)
    assert {part.kind for part in found.parts} <= {"level", "opening", "model"}
    np.testing.assert_allclose(found.mean(), predictor.predict(chain, AHEAD).mean(), rtol=1e-6)


def test_an_ensemble_is_explained_by_its_trees_and_what_the_others_change(past):
    predictor = Ensemble(members=(BaseLevel(), Trees(rounds=40, trust=1.0), SeasonalNaive())).fit(past)
    found = explain(predictor, past, AHEAD)
    np.testing.assert_allclose(found.mean(), predictor.predict(past, AHEAD).mean(), rtol=1e-6, atol=1e-9)
    assert MODEL not in found.parts
