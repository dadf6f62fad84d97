"""Lifts: what an event did is measured, told apart from what came with it, and sane where nothing was seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from shelfwise.domain.panel import Panel
from shelfwise.forecasting.lifts import lifts, unseen
from shelfwise.forecasting.models.base_level import BaseLevel
from shelfwise.forecasting.models.naive import SeasonalNaive
from shelfwise.forecasting.models.trees import Trees
from shelfwise.forecasting.usual import laid_ahead

N, PAST, AHEAD = 90, 420, 14
TRUE = {"promotion": 1.8, "fair": 1.4, "cheap": 1.5}


def world(**changed) -> Panel:
    """A shop whose promotions mostly fall on fairs; one category never has a promotion."""
    rng = np.random.default_rng(3)
    days = np.arange(PAST + AHEAD)
    fair = (days + 4 * np.arange(N)[:, None]) % 15 < 4  # on all weekdays in turn, and not for all at once
    category = np.array(["tea", "cups", "jars"])[np.arange(N) % 3]
    promotion = np.where(fair, rng.random((N, len(days))) < 0.6, rng.random((N, len(days))) < 0.05).astype(float)
    promotion[category == "jars"] = 0.0
    cheap = np.repeat(rng.random((N, len(days) // 7 + 1)) < 0.2, 7, axis=1)[:, : len(days)]
    rate = rng.gamma(6.0, 2.0, (N, 1)) * np.array([0.8, 0.9, 1.0, 1.0, 1.1, 1.4, 0.8])[days % 7]
    rate = rate * np.where(promotion > 0, TRUE["promotion"], 1.0) * np.where(fair, TRUE["fair"], 1.0)
    rate = rate * np.where(cheap, TRUE["cheap"], 1.0)
    known = {
        "promotion": promotion,
        "event": np.where(fair, "fair", "none").astype(object),
        "price": np.where(cheap, 4.0, 5.0),
    } | changed
    values = rng.poisson(rate).astype(float)
    ids = {"unique_id": [f"p{i:02}" for i in range(N)], "category": category}
    return Panel.from_wide(values, start="2025-01-06", series=ids, known_future=known).split(AHEAD)[0]


@pytest.fixture(scope="module")
def past() -> Panel:
    return world()


@pytest.fixture(scope="module")
def rows(past: Panel) -> dict[tuple[str, str | None], dict]:
    found = lifts(BaseLevel().fit(past), past, AHEAD)
    return {(row["name"], row["category"]): row for row in found.iter_rows(named=True)}


@pytest.mark.parametrize(("name", "true"), [("promotion", 1.8), ("event fair", 1.4), ("price down", 1.5)])
def test_the_true_factor_lies_in_or_near_the_range_though_events_come_together(rows, name, true):
    row = rows[name, None]
    assert row["lift"] == pytest.approx(true, rel=0.06)
    assert row["low"] < row["lift"] < row["high"]
    assert row["high"] / row["low"] < 1.15


def test_a_price_that_promotions_mostly_cut_is_part_of_them():
    plain = world()
    promotion = plain.known_future["promotion"].at(plain.starts, PAST + AHEAD)
    cheap = plain.known_future["price"].at(plain.starts, PAST + AHEAD) < 5.0
    cut = world(price=np.where(promotion > 0, 4.0, 5.0))
    found = lifts(BaseLevel().fit(cut), cut, AHEAD).filter(pl.col("category").is_null())
    rows = {row["name"]: row for row in found.iter_rows(named=True)}
    expected = TRUE["promotion"] * (1 + (TRUE["cheap"] - 1) * cheap.mean())
    assert rows["promotion"]["lift"] == pytest.approx(expected, rel=0.1)
    assert rows["price down"]["periods"] == 0


def test_the_periods_dates_and_series_an_event_was_seen_on_are_counted(past, rows):
    row = rows["promotion", None]
    up = past.known_future["promotion"].at(past.starts, PAST) > 0.5
    length = 400  # the base model's window
    assert row["periods"] == int(up[:, -length:].sum())
    assert row["dates"] == int(up[:, -length:].any(axis=0).sum())
    assert row["series"] == 60


def test_a_category_that_never_had_a_promotion_takes_the_factor_of_all(past, rows):
    row = rows["promotion", "jars"]
    assert row["periods"] == 0
    assert row["lift"] == rows["promotion", None]["lift"]
    assert row["note"] == "never seen in this category: the factor of all"
    assert row["forecast_lift"] == pytest.approx(rows["promotion", "tea"]["forecast_lift"], rel=0.25)
    assert row["forecast_lift"] > 1.3


def test_what_the_base_model_cannot_read_has_no_effect_on_its_forecast(rows):
    assert rows["price down", None]["forecast_lift"] == 1.0
    assert rows["event fair", None]["forecast_lift"] == 1.0


def test_trees_lower_the_price_and_sell_more(past):
    found = lifts(Trees(rounds=60, trust=1.0).fit(past), past, AHEAD)
    rows = {(row["name"], row["category"]): row for row in found.iter_rows(named=True)}
    assert rows["price down", None]["forecast_lift"] > 1.15
    assert rows["price up", None]["note"] == "never seen, so its effect cannot be learnt"
    assert rows["price up", None]["forecast_lift"] == pytest.approx(1.0, abs=0.1)  # as the highest price seen
    assert rows["event fair", None]["forecast_lift"] > 1.2


def test_a_model_that_reads_no_covariates_has_no_lift_in_its_forecast(past):
    found = lifts(SeasonalNaive().fit(past), past, AHEAD)
    assert found["forecast_lift"].null_count() == found.height
    assert found["lift"].is_not_null().any()


def test_an_event_seen_in_a_single_week_is_told_as_such():
    one = np.zeros(PAST + AHEAD)
    one[300:303] = 1.0
    panel = world(promotion=one)
    found = lifts(BaseLevel().fit(panel), panel, AHEAD)
    row = next(r for r in found.iter_rows(named=True) if (r["name"], r["category"]) == ("promotion", None))
    assert row["note"] == "seen in a single week: how much weeks differ is not known"
    assert row["dates"] == 3


def test_the_same_panel_in_another_order_has_the_same_lifts(past, rows):
    turned = past.select(np.random.default_rng(1).permutation(N))
    found = lifts(BaseLevel().fit(past), turned, AHEAD)
    again = {(row["name"], row["category"]): row for row in found.iter_rows(named=True)}
    assert again.keys() == rows.keys()
    for key, row in rows.items():
        for name in ("lift", "low", "high", "forecast_lift"):
            assert again[key][name] == (None if row[name] is None else pytest.approx(row[name], rel=1e-9))


def test_a_panel_without_covariates_or_history_has_no_lifts(past):
    bare = replace(past, known_future={})
    assert lifts(BaseLevel().fit(bare), bare, AHEAD).height == 0
    opened = replace(past, known_future={"open": past.known_future["promotion"]})
    assert lifts(SeasonalNaive().fit(opened), opened, AHEAD).height == 0


# ---------------------------------------------------------------------- what was never seen


MODELS = {"base_level": BaseLevel(), "trees": Trees(rounds=60, trust=1.0)}


def never_promoted(ahead: float) -> Panel:
    promotion = np.zeros((N, PAST + AHEAD))
    promotion[:, PAST:] = ahead
    return world(promotion=promotion)


@pytest.mark.parametrize("model", sorted(MODELS))
def test_a_promotion_that_nobody_ever_had_changes_nothing_and_is_noted(model):
    up, down = never_promoted(1.0), never_promoted(0.0)
    predictor = MODELS[model].fit(up)
    np.testing.assert_allclose(predictor.predict(up, AHEAD).mean(), predictor.predict(down, AHEAD).mean(), rtol=1e-9)
    (note,) = unseen(up, AHEAD, "promotion")
    assert "never was in any history" in note
    assert unseen(down, AHEAD, "promotion") == []


@pytest.mark.parametrize("model", sorted(MODELS))
def test_a_first_promotion_of_a_product_lifts_it_about_as_it_lifts_its_category(model, past):
    ahead = past.known_future["promotion"].at(past.ends, AHEAD)
    first = np.flatnonzero((past.series["category"] == "tea").to_numpy())[0]
    whole = past.known_future["promotion"].at(past.starts, PAST + AHEAD)
    whole[first] = 0.0
    fresh = world(promotion=whole)
    predictor = MODELS[model].fit(fresh)
    ahead[first] = 1.0
    up = with_ahead(fresh, ahead)
    down = with_ahead(fresh, np.where(np.arange(N)[:, None] == first, 0.0, ahead))
    lift = (predictor.predict(up, AHEAD).mean() / predictor.predict(down, AHEAD).mean())[first]
    assert (lift > 1.3).all()
    assert (lift < 2.6).all()


@pytest.mark.parametrize("model", sorted(MODELS))
def test_a_word_and_a_price_never_seen_stay_finite_and_within_the_clipping(model, past):
    predictor = MODELS[model].fit(past)
    event = past.known_future["event"]
    words = (*event.categories, "flood")
    codes = np.full((N, AHEAD), float(len(words) - 1))
    strange = laid_ahead(replace(event, categories=words), past.ends, codes)
    dear = laid_ahead(past.known_future["price"], past.ends, np.full((N, AHEAD), 500.0))
    told = replace(past, known_future={**past.known_future, "event": strange, "price": dear})
    mean = predictor.predict(told, AHEAD).mean()
    usual = predictor.predict(past, AHEAD).mean()
    assert np.isfinite(mean).all()
    assert (mean >= 0).all()
    assert (mean <= usual * 4.0 / 0.2).all()
    (note,) = unseen(told, AHEAD, "event")
    assert "'flood' ahead, which no history has" in note


def with_ahead(panel: Panel, ahead) -> Panel:
    laid = laid_ahead(panel.known_future["promotion"], panel.ends, ahead)
    return replace(panel, known_future={**panel.known_future, "promotion": laid})


def test_an_event_of_one_late_series_is_found_among_many(past):
    whole = np.zeros((N, PAST + AHEAD))
    whole[N - 1, 7] = 1.0
    whole[:, PAST] = 1.0
    assert unseen(world(promotion=whole), AHEAD, "promotion") == []


def test_lifts_are_a_declared_frame(past):
    found = lifts(BaseLevel().fit(past), past, AHEAD)
    assert found.schema["lift"] == pl.Float64
    assert (found["low"].drop_nulls() >= 0).all()
