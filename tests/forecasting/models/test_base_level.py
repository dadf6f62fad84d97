"""The base model finds what was put into made-up demand: levels, seasons, lifts, closed days, borrowed levels."""

from __future__ import annotations

import numpy as np
import pytest

from shelfwise.domain.errors import ModelError, ParameterError
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.models.base_level import BaseLevel

WEEK = np.array([0.6, 0.7, 0.8, 1.0, 1.3, 1.7, 0.9])  # Monday to Sunday, mean 1


def demand(expected, seed=0):
    return np.random.default_rng(seed).poisson(expected).astype(float)


def panel_of(values, start="2026-01-05", freq="1d", category=None, **given):  # a Monday
    series = {"unique_id": [f"p{i}" for i in range(len(values))]}
    if category is not None:
        series["category"] = category
    return Panel.from_wide(values, start=start, freq=freq, series=series, **given)


def forecast(panel, horizon=28, n_paths=200):
    return BaseLevel().fit(panel).predict(panel, horizon, n_paths=n_paths)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"half_lives": ()}, "half_lives must be above 0"),
        ({"half_lives": (7.0, -1.0)}, "half_lives must be above 0"),
        ({"sample": 3}, "sample must be at least 50, got 3"),
        ({"cutoffs": 0}, "cutoffs must be at least 1, got 0"),
    ],
)
def test_parameters_check_themselves(given, words):
    with pytest.raises(ParameterError, match=words):
        BaseLevel(**given)


def test_the_level_and_the_weekdays_come_out():
    levels = np.array([2.0, 8.0, 30.0, 100.0])
    days = np.arange(200)
    panel = panel_of(demand(levels[:, None] * WEEK[days % 7]))
    mean = forecast(panel).mean()
    truth = levels[:, None] * WEEK[(200 + np.arange(28)) % 7]
    np.testing.assert_allclose(mean.sum(axis=1), truth.sum(axis=1), rtol=0.15)
    by_weekday = mean[2:].reshape(2, 4, 7).mean(axis=1)
    np.testing.assert_allclose(by_weekday, truth[2:, :7], rtol=0.2)


def test_the_year_comes_out_of_two_and_a_half_years():
    days = np.arange(900)
    year = 1.0 + 0.6 * np.sin(2 * np.pi * (days + 4) / 365.25)
    levels = np.random.default_rng(1).gamma(4.0, 5.0, (40, 1))
    values = demand(levels * year)
    panel = panel_of(values[:, :810])
    truth = (levels * year[None, 810:]).sum(axis=0)
    found = forecast(panel, 90).mean().sum(axis=0)
    assert np.abs(found - truth).sum() < 0.12 * truth.sum()
    flat = np.abs(values[:, 782:810].mean(axis=1).sum() - truth).sum()
    assert np.abs(found - truth).sum() < 0.5 * flat


def test_components_multiply_to_the_mean():
    values = demand(10.0 * WEEK[np.arange(150) % 7] * np.ones((5, 1)))
    promotion = (np.arange(178) % 13 == 0).astype(float)
    panel = panel_of(values, known_future={"promotion": promotion})
    predictor = BaseLevel().fit(panel)
    factors = predictor.components(panel, 28)
    assert {"level", "weekday", "promotion"} <= set(factors)
    np.testing.assert_allclose(np.prod(list(factors.values()), axis=0), predictor.predict(panel, 28).mean(), rtol=1e-9)


@pytest.mark.parametrize("lift", [2.0, 0.5])
def test_the_lift_of_a_promotion_is_found_and_applied(lift):
    rng = np.random.default_rng(3)
    flags = (rng.random((30, 228)) < 0.1).astype(float)
    expected = rng.gamma(3.0, 3.0, (30, 1)) * np.where(flags > 0, lift, 1.0)
    panel = panel_of(demand(expected[:, :200]), known_future={"promotion": flags})
    predictor = BaseLevel().fit(panel)
    found = predictor.components(panel, 28)["promotion"]
    up = flags[:, 200:] > 0
    assert found[up] == pytest.approx(lift, rel=0.25)
    assert found[~up] == pytest.approx(1.0)
    mean = predictor.predict(panel, 28).mean()
    assert mean[up].mean() / expected[:, 200:][up].mean() == pytest.approx(1.0, abs=0.2)


def test_lifts_and_categories_survive_saving():
    flags = (np.arange(228) % 9 == 0).astype(float)
    values = demand(10.0 * np.where(flags[:200] > 0, 2.0, 1.0) * np.ones((12, 1)))
    panel = panel_of(values, category=["tea"] * 6 + ["Tassen, groß"] * 6, known_future={"promotion": flags})
    predictor = BaseLevel().fit(panel)
    restored = BaseLevel().restore(predictor.to_arrays())
    assert restored.fitted.flags == ("promotion",)
    np.testing.assert_array_equal(restored.predict(panel, 28).paths, predictor.predict(panel, 28).paths)


def test_closed_days_sell_nothing_and_do_not_lower_the_others():
    opened = np.ones(168)
    opened[6::7] = 0.0  # Sundays
    values = demand(np.full((10, 140), 12.0)) * opened[:140]
    panel = panel_of(values, known_future={"open": opened})
    found = forecast(panel)
    closed = opened[140:] == 0
    assert not found.mean()[:, closed].any()
    assert not found.quantiles([0.5, 0.99])[:, closed].any()
    assert not found.paths[:, :, closed].any()
    assert found.mean()[:, ~closed].mean() == pytest.approx(12.0, rel=0.1)


def test_what_was_booked_on_a_closed_day_says_nothing_of_the_open_ones():
    opened = np.ones(168)
    opened[6::7] = 0.0
    values = demand(np.full((10, 140), 12.0))
    booked = np.where(opened[:140] == 0, 300.0, values)  # a week's web orders, booked on Sunday
    with_them, without = (
        forecast(panel_of(v, known_future={"open": opened})).mean() for v in (booked, values * opened[:140])
    )
    np.testing.assert_allclose(with_them, without)


def test_a_product_without_history_takes_its_categorys_shape_and_a_wide_band():
    rng = np.random.default_rng(2)
    levels = np.concatenate([rng.gamma(9.0, 1.0, 20), rng.gamma(9.0, 10.0, 20)])[:, None]  # of about 9 and 90
    values = demand(levels * WEEK[np.arange(150) % 7])
    values = np.concatenate([values, np.full((2, 150), np.nan)])
    panel = panel_of(values, category=["small"] * 20 + ["large"] * 20 + ["small", "large"])
    found = forecast(panel)
    mean = found.mean()
    assert mean[40].mean() == pytest.approx(9.0, rel=0.4)
    assert mean[41].mean() == pytest.approx(90.0, rel=0.4)
    for row in (40, 41):
        by_weekday = mean[row].reshape(4, 7).mean(axis=0) / mean[row].mean()
        np.testing.assert_allclose(by_weekday, WEEK[(150 + np.arange(7)) % 7], rtol=0.15)
    band = found.quantiles([0.1, 0.9])
    width = (band[:, :, 1] - band[:, :, 0]).mean(axis=1) / mean.mean(axis=1)
    assert width[40] > 1.2 * np.median(width[:20])
    assert width[41] > 1.2 * np.median(width[20:40])


def test_a_young_product_leans_on_its_category_less_with_every_week():
    rng = np.random.default_rng(6)
    values = demand(rng.gamma(9.0, 1.0, (30, 1)) * np.ones((30, 200)))
    fresh = np.full((3, 200), np.nan)
    for row, age in enumerate((1, 7, 56)):
        fresh[row, -age:] = 40.0
    found = forecast(panel_of(np.concatenate([values, fresh]), category=["tea"] * 33)).mean()[30:].mean(axis=1)
    assert found[0] < found[1] < found[2]
    assert found[2] == pytest.approx(40.0, rel=0.15)


@pytest.mark.parametrize(("is_count", "dispersion"), [(True, 1.0), (True, 4.0), (False, 2.0)])
def test_the_band_holds_about_what_it_says(is_count, dispersion):
    rng = np.random.default_rng(5)
    levels = rng.gamma(2.0, 3.0, (150, 1)) * np.ones((150, 228))
    if is_count and dispersion > 1:
        values = rng.negative_binomial(levels / (dispersion - 1), 1 / dispersion).astype(float)
    elif is_count:
        values = rng.poisson(levels).astype(float)
    else:
        values = rng.gamma(levels / dispersion, dispersion)
    found = forecast(panel_of(values[:, :200]))
    assert found.marginals.is_count is is_count
    actual = values[:, 200:]
    below, up_to = ((op(found.paths, actual[:, None, :])).mean(axis=1) for op in (np.less, np.less_equal))
    width = np.maximum(up_to - below, 1e-12)
    inside = np.clip((np.minimum(up_to, 0.9) - np.maximum(below, 0.1)) / width, 0, 1)
    inside = np.where(up_to > below, inside, (below >= 0.1) & (below <= 0.9))
    assert inside.mean() == pytest.approx(0.8, abs=0.06)


def test_measured_demand_scales_with_its_unit():
    litres = np.random.default_rng(8).gamma(2.0, 3.0, (20, 150))
    in_litres, in_millilitres = (forecast(panel_of(litres * unit)) for unit in (1.0, 1000.0))
    np.testing.assert_allclose(in_millilitres.mean(), 1000 * in_litres.mean(), rtol=0.05)


def test_a_panel_of_another_frequency_is_refused():
    predictor = BaseLevel().fit(panel_of(demand(np.full((2, 60), 3.0))))
    with pytest.raises(ModelError, match="fitted on periods of 1d, asked for 1w; fit on such a panel"):
        predictor.predict(panel_of(demand(np.full((2, 60), 3.0)), freq="1w"), 4)


def test_what_a_reader_must_know_is_noted():
    values = demand(np.full((3, 60), 3.0))
    values[2, :57] = np.nan
    panel = panel_of(values, known_future={"price": np.linspace(1, 2, 70)}, past_only={"visits": values})
    notes = " ".join(forecast(panel, 7).provenance.notes)
    assert "price, visits" in notes
    assert "1 series with under 7 periods" in notes


def test_arrays_that_are_no_model_are_refused():
    arrays = BaseLevel().fit(panel_of(demand(np.full((2, 60), 3.0)))).to_arrays()
    arrays.pop("mix")
    with pytest.raises(ModelError, match="stored base model cannot be read.*fit it again"):
        BaseLevel().restore(arrays)
