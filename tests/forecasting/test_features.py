"""Features of the tree model: the same columns for every panel, nothing from after the cutoff, ratios by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shelfwise.domain.panel import Panel
from shelfwise.forecasting.features import FeatureNames, build
from shelfwise.forecasting.held_out import choose
from shelfwise.forecasting.level_season import Fitted, Groups, decompose, iterate_blocks

NAN = float("nan")
N, T, H = 6, 120, 10
LIVES = (3.0, 14.0)


def counts(n=N, periods=T, seed=0, mean=6.0):
    return np.random.default_rng(seed).poisson(mean, (n, periods)).astype(float)


def panel_of(values, freq="1d", start="2025-01-06", **given):  # a Monday
    n = len(values)
    series = {"unique_id": [f"p{i}" for i in range(n)], "category": ["tea" if i % 2 else "cups" for i in range(n)]}
    return Panel.from_wide(values, start=start, freq=freq, series=series, **given)


def everything(values):
    n, days = len(values), values.shape[1] + H
    rng = np.random.default_rng(5)
    known = {
        "promotion": (rng.random((n, days)) < 0.2).astype(float),
        "price": rng.uniform(5, 10, (n, days)),
        "event": np.where(np.arange(days) % 9 == 0, "fair", "none").astype(object),
        "open": (np.arange(days) % 30 != 7).astype(float),
    }
    past = {"visits": rng.uniform(0, 9, values.shape), "wind": np.array(["N", "S"] * (values.shape[1] // 2), object)}
    return panel_of(values, known_future=known, past_only=past)


def measured(panel, horizon=H):
    """Return what the base model fits, with flags and the year where it finds them."""
    groups = Groups.of(panel)
    return choose(panel, groups, Fitted.default(panel, LIVES, 400, groups), 2)


def features(panel, fitted=None, names=None, horizon=H):
    fitted = measured(panel) if fitted is None else fitted
    ((_, block),) = iterate_blocks(panel, fitted, horizon)
    parts = decompose(block, fitted, horizon)
    return build(panel, block, parts, fitted, FeatureNames.of(panel) if names is None else names, horizon)


def column(found, name):
    """Return [n, H] of one feature."""
    return found.values[:, :, found.names.index(name)]


# ---------------------------------------------------------------------- columns


def test_every_column_has_a_name_and_codes_are_marked():
    panel = everything(counts())
    found = features(panel)
    assert found.values.shape == (N, H, len(found.names))
    assert len(set(found.names)) == len(found.names)
    assert {found.names[i] for i in found.categorical} == {"event", "event before", "event next", "category"}


def test_the_columns_are_those_of_the_fitted_panel_whatever_is_asked():
    panel = everything(counts())
    fitted, names = measured(panel), FeatureNames.of(panel)
    whole = features(panel, fitted, names)
    for asked in (
        panel_of(counts()),
        replace(panel, known_future={}),
        replace(panel, past_only={}),
        replace(panel, series=panel.series.select("unique_id"), hierarchy=()),
        panel_of(counts(), known_future={"weather": np.zeros(T + H), "price": np.ones(T)}),
        panel.select([3]),
        panel.until(panel.starts + 5),
    ):
        found = features(asked, fitted, names)
        assert found.names == whole.names
        assert found.categorical == whole.categorical


def test_what_a_panel_lacks_is_missing_and_the_rest_is_the_same():
    panel = everything(counts())
    fitted, names = measured(panel), FeatureNames.of(panel)
    whole = features(panel, fitted, names)
    bare = features(
        replace(panel, known_future={k: panel.known_future[k] for k in ("promotion", "open")}), fitted, names
    )
    for name in whole.names:
        if name.startswith(("price", "event")):
            assert np.isnan(column(bare, name)).all()
        else:
            np.testing.assert_array_equal(column(bare, name), column(whole, name), err_msg=name)


@pytest.mark.parametrize("freq", ["1h", "1d", "24h", "2d", "1w", "1mo", "1q"])
def test_features_are_finite_or_missing_at_every_frequency(freq):
    found = features(panel_of(counts(), freq=freq, start="2024-01-01"))
    assert found.values.shape == (N, H, len(found.names))
    assert not np.isinf(found.values).any()
    assert (column(found, "step") == np.arange(1, H + 1)).all()


def test_a_day_spelled_24h_has_the_same_time_last_year_of_a_day():
    values = counts(periods=400)
    one, other = (column(features(panel_of(values, freq=freq)), "last year") for freq in ("1d", "24h"))
    assert np.isfinite(one).all()
    assert np.isfinite(other).all()


def test_words_and_attributes_of_one_kind_or_of_far_too_many_are_left_out():
    panel = panel_of(counts(n=600, periods=20))
    attributes = panel.series.with_columns(brand=panel.ids, store=panel.series["category"], state=None)
    attributes = attributes.with_columns(warehouse=attributes["store"].str.slice(0, 0))
    names = FeatureNames.of(replace(panel, series=attributes))
    assert names.static == ("category", "store")
    assert names.words["static category"] == ("cups", "tea")


# ---------------------------------------------------------------------- the cutoff


def test_nothing_after_the_cutoff_is_read():
    cutoff = T - 30
    values = counts()
    clean = everything(values)
    poison, visits = values.copy(), clean.past_only["visits"].values.reshape(N, T).copy()
    poison[:, cutoff:], visits[:, cutoff:] = 1e6, 1e6
    wind = np.array(["N", "S"] * (T // 2), object)
    poisoned = replace(
        panel_of(poison, past_only={"visits": visits, "wind": wind}), known_future=dict(clean.known_future)
    )
    past, other = (panel.until(panel.starts + cutoff) for panel in (clean, poisoned))
    fitted, names = measured(past), FeatureNames.of(past)
    np.testing.assert_array_equal(features(other, fitted, names).values, features(past, fitted, names).values)


def test_known_ahead_covariates_are_read_at_the_period_that_is_forecast_and_no_later():
    panel = everything(counts())
    found = features(panel)
    price = panel.known_future["price"].values.reshape(N, T + H)
    np.testing.assert_array_equal(column(found, "price"), price[:, T:].astype(np.float32))
    cut = panel.until(panel.ends - 20)
    np.testing.assert_array_equal(column(features(cut), "price"), price[:, T - 20 : T - 20 + H].astype(np.float32))
    later = price.copy()
    later[:, T + 4 :] = 777.0
    changed = replace(panel, known_future={**panel.known_future, "price": replaced(panel, "price", later)})
    np.testing.assert_array_equal(features(changed).values[:, :4], found.values[:, :4])


def replaced(panel, name, values):
    return replace(panel.known_future[name], values=values.reshape(-1))


# ---------------------------------------------------------------------- by hand


def test_covariates_over_usual_by_hand():
    days = T + H
    price = np.full(days, 10.0)
    price[T + 2] = 5.0
    share = np.zeros(days)  # its usual value is zero: a difference rather than a ratio
    share[T + 3] = 0.5
    visits = np.full(T, 20.0)
    visits[-7:] = 100.0, 30.0, 30.0, 30.0, 30.0, 30.0, 30.0  # on average 40, only if the week ends at the cutoff
    panel = panel_of(counts(), known_future={"price": price, "share": share}, past_only={"visits": visits})
    found = features(panel)
    expected = np.zeros(H)
    expected[2] = np.log(0.5)
    np.testing.assert_allclose(column(found, "price over usual")[0], expected, atol=1e-6)
    expected = np.zeros(H)
    expected[3] = 0.5
    np.testing.assert_allclose(column(found, "share over usual")[0], expected, atol=1e-6)
    np.testing.assert_allclose(column(found, "visits"), 40.0)
    usual = (113 * 20.0 + 7 * 40.0) / 120
    np.testing.assert_allclose(column(found, "visits over usual"), np.log(40.0 / usual), rtol=1e-5)


def test_usual_values_reach_back_half_a_year_only():
    periods = 26 * 7 + 50
    price = np.concatenate([np.full(50, 1e6), np.full(26 * 7 + H, 10.0)])
    panel = panel_of(counts(periods=periods), known_future={"price": price})
    np.testing.assert_allclose(column(features(panel), "price over usual"), 0.0, atol=1e-6)


@pytest.mark.parametrize("odd", [np.inf, -np.inf, 1e300, -1e300])
def test_infinite_amounts_are_read_as_missing(odd):
    price, gaps = np.full(T + H, 10.0), np.full(T + H, 10.0)
    price[::9], gaps[::9] = odd, NAN
    found, expected = (
        features(panel_of(counts(), known_future={"price": given}, past_only={"visits": given[:T]})).values
        for given in (price, gaps)
    )
    np.testing.assert_array_equal(found, expected)


def test_the_smallest_amounts_over_usual_do_not_overflow():
    price = np.full(T + H, 1e-300)
    price[T + 1] = 1e29
    found = column(features(panel_of(counts(), known_future={"price": price})), "price over usual")
    np.testing.assert_allclose(found[0, :3], [0.0, np.log(1e29) - np.log(1e-300), 0.0], atol=1e-4)


def test_recency_by_hand():
    values = np.zeros((4, 60))
    values[0, [10, 50, 55]] = 1.0, 6.0, 2.0
    values[1] = 3.0
    values[2, :40] = NAN
    values[2, 59] = 4.0
    available = np.ones(values.shape, dtype=bool)
    available[1, -7:] = False
    found = features(panel_of(values, available=available))
    first = {name: found.values[:, 0, i] for i, name in enumerate(found.names)}
    # nothing sold in 60 days; the last 7 days of the second were hidden, and no stock is no pause in sales
    np.testing.assert_array_equal(first["periods since last sale"], [4, 0, 0, 60])
    np.testing.assert_array_equal(first["age"], [60, 60, 20, 60])
    np.testing.assert_allclose(first["share of periods with sales, 2 seasons"], [2 / 14, 1.0, 1 / 14, 0.0], rtol=1e-6)
    np.testing.assert_allclose(first["share of periods with sales, 8 seasons"], [3 / 56, 1.0, 1 / 20, 0.0], rtol=1e-6)
    level = np.exp(first["level"])
    largest = np.log((np.array([6.0, 3.0, 4.0, 0.0]) + level) / level)
    np.testing.assert_allclose(first["largest period over level, 2 seasons"], largest, rtol=1e-4)
    for name in ("periods since last sale", "age", "level", "noise"):
        np.testing.assert_array_equal(column(found, name), column(found, name)[:, :1].repeat(H, axis=1))


def test_the_long_silence_of_a_product_is_counted_up_to_a_quarter():
    values = np.zeros((2, 300))
    values[0, 0], values[1, 250] = 5.0, 5.0
    since = column(features(panel_of(values)), "periods since last sale")[:, 0]
    np.testing.assert_array_equal(since, [91, 49])


def slow_last_year(values, seen, noise, mean, horizon):
    """Return log of sales in the week around each coming day's day 364 days before, over the four weeks before that."""
    n, periods = values.shape
    found = np.full((n, horizon), NAN)
    for i in range(n):

        def total(first, last, i=i):
            days = [d for d in range(max(0, first), min(periods, last)) if seen[i, d]]
            return sum(values[i, d] for d in days), len(days)

        units, cells = total(periods - 392, periods - 364)
        lean = 2 * noise[i]
        level = (units + lean) / (cells + lean / mean[i])
        for step in range(horizon):
            day = periods + step % 364 - 364
            around, known = total(max(day - 3, periods - 392), day + 4)
            if cells > 14 and known:
                found[i, step] = np.log(max((around + lean) / (known * level + lean), 1e-3))
    return found


@pytest.mark.parametrize("horizon", [H, 400])
def test_the_same_time_last_year_by_hand(horizon):
    periods = 420
    values = counts(4, periods) * np.where(np.arange(periods) % 364 < 60, 3.0, 1.0)
    available = np.ones(values.shape, dtype=bool)
    available[1, 60:64] = False
    values[1, 60:64] = 99.0
    values[2, : periods - 385] = NAN  # too little of the weeks before
    values[3, 70:80] = NAN
    panel = panel_of(values, available=available)
    fitted = measured(panel)
    ((_, block),) = iterate_blocks(panel, fitted, horizon)
    parts = decompose(block, fitted, horizon)
    found = column(features(panel, fitted, horizon=horizon), "last year")
    seen = available & ~np.isnan(values)
    slow = slow_last_year(values, seen, parts.noise, parts.means.mean(axis=1), horizon)
    np.testing.assert_allclose(found, slow, rtol=1e-4, atol=1e-5)
    assert np.isfinite(found[[0, 1, 3], :H]).all()


def test_the_same_time_last_year_needs_a_year_and_asks_each_series_for_itself():
    values = counts(3, 420)
    values[1, :200] = NAN
    panel = panel_of(values)
    fitted = measured(panel)
    found = column(features(panel, fitted), "last year")
    assert np.isnan(found[1]).all()
    assert np.isfinite(found[[0, 2]]).all()
    for i in range(3):
        alone = column(features(panel.select([i]), fitted), "last year")
        np.testing.assert_array_equal(alone[0], found[i])


def test_a_season_that_comes_once_a_year_shows_in_the_same_time_last_year():
    periods = 380  # the cutoff is 16 days into the second year; the peak came on the days 20 to 24 of the first
    values = counts(3, periods, mean=4.0)
    values[:, 34:41] *= 6  # 364 days before the days 18 to 24 of the horizon
    found = column(features(panel_of(values), horizon=40), "last year")
    assert found[:, 18:25].min() > found[:, 28:].max() + 0.5


def test_levels_by_hand():
    values = np.tile(np.arange(1.0, 4.0)[:, None] * 4, (1, 140))
    panel = panel_of(values)
    found = features(panel)
    np.testing.assert_allclose(np.exp(column(found, "level")[:, 0]), [4, 8, 12], rtol=0.1)
    for life in ("3", "14", "long run"):
        np.testing.assert_allclose(column(found, f"mean {life} over level"), np.log(1.01), atol=0.05)
    rising = values.copy()
    rising[:, -3:] *= 3
    found = features(panel_of(rising))
    assert (column(found, "mean 3 over level") > column(found, "mean 14 over level") + 0.2).all()
    assert (column(found, "mean 14 over level") > column(found, "mean long run over level") + 0.1).all()


def test_places_in_the_calendar_by_hand():
    found = features(panel_of(counts(periods=T)))  # Monday, 6 January 2025, and 120 days: Tuesday, 6 May
    np.testing.assert_array_equal(column(found, "weekday")[0], [1, 2, 3, 4, 5, 6, 0, 1, 2, 3])
    np.testing.assert_array_equal(column(found, "day of month")[0], np.arange(5, 15))


# ---------------------------------------------------------------------- scale, company, words


@pytest.mark.parametrize("factor", [0.01, 1000.0])
def test_measured_quantities_in_another_unit_have_the_same_features_but_level_and_noise(factor):
    values = np.random.default_rng(1).gamma(3.0, 2.0, (20, 420))
    one, other = (features(panel_of(each)) for each in (values, values * factor))
    for name in one.names:
        shift = np.log(factor) if name in ("level", "noise") else 0.0
        np.testing.assert_allclose(column(other, name), column(one, name) + shift, rtol=2e-3, atol=2e-3, err_msg=name)


def test_a_series_has_the_same_features_to_the_bit_in_any_company():
    panel = everything(counts(periods=420))
    fitted, names = measured(panel), FeatureNames.of(panel)
    whole = features(panel, fitted, names).values
    for chosen in ([0], [5], [4, 1], [5, 4, 3, 2, 1, 0]):
        np.testing.assert_array_equal(features(panel.select(chosen), fitted, names).values, whole[chosen])


def test_codes_of_words_are_those_of_the_fit():
    days = T + H
    words = np.array(["fair", "none"] * (days // 2), dtype=object)
    panel = panel_of(counts(), known_future={"event": words})
    fitted, names = measured(panel), FeatureNames.of(panel)
    np.testing.assert_array_equal(column(features(panel, fitted, names), "event")[0], [0, 1] * (H // 2))
    other = np.array(["carnival", "none", None, "fair", "zoo"] * (days // 5), dtype=object)  # T is a multiple of 5
    asked = panel_of(counts(), known_future={"event": other})
    np.testing.assert_array_equal(column(features(asked, fitted, names), "event")[0], [NAN, 1, NAN, 0, NAN] * 2)
    swapped = replace(asked, series=asked.series.with_columns(category=asked.series["category"].replace("tea", "new")))
    np.testing.assert_array_equal(column(features(swapped, fitted, names), "category")[:, 0], [0, NAN] * (N // 2))
