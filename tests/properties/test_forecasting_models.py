"""What holds for any history: units do not matter, nor how long ago nothing was known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from shelfwise.domain.panel import Panel
from shelfwise.forecasting import metrics
from shelfwise.forecasting.catalog import MODELS

HISTORIES = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(1, 40)),
    elements=st.one_of(st.integers(-2, 20).map(float), st.just(float("nan")), st.floats(0, 1e7)),
)


# These search through dozens of models for each series.
SEARCHING = {"auto_arima", "auto_ces", "auto_ets", "prophet"}
QUICK_FIRST = [pytest.param(name, marks=pytest.mark.nightly) if name in SEARCHING else name for name in sorted(MODELS)]


def forecast(model, values, horizon=5):
    panel = Panel.from_wide(values, start="2026-01-01")
    return MODELS[model]().fit(panel).predict(panel, horizon, n_paths=20)


@pytest.mark.parametrize("model", QUICK_FIRST)
@given(values=HISTORIES)
@settings(max_examples=25)
def test_any_numbers_at_all_give_finite_demand_of_zero_or_more(model, values):
    values[0, -1] = 1.0  # something was observed
    found = forecast(model, values)
    for numbers in (found.mean(), found.quantiles(), found.paths):
        assert np.isfinite(numbers).all()
        assert (numbers >= 0).all()


@pytest.mark.parametrize("model", QUICK_FIRST)
@given(seed=st.integers(0, 100), unit=st.sampled_from([1e-3, 10.0, 1000.0]))
@settings(max_examples=8)
def test_measured_demand_scales_with_its_unit(model, seed, unit):
    values = np.random.default_rng(seed).gamma(2.0, 3.0, (6, 80))
    one, other = forecast(model, values), forecast(model, values * unit)
    np.testing.assert_allclose(other.mean(), unit * one.mean(), rtol=0.1)
    wide, scaled = (f.quantiles([0.1, 0.9]).sum(axis=(0, 1)) for f in (one, other))
    np.testing.assert_allclose(scaled, unit * wide, rtol=0.2)  # widths are chosen from a short list


@pytest.mark.parametrize("model", QUICK_FIRST)
@given(seed=st.integers(0, 100), lead=st.integers(1, 60))
@settings(max_examples=8)
def test_periods_before_every_series_begins_change_nothing(model, seed, lead):
    values = np.random.default_rng(seed).poisson(4.0, (4, 60)).astype(float)
    padded = np.concatenate([np.full((4, lead), np.nan), values], axis=1)
    panel = Panel.from_wide(values, start="2026-06-01")
    longer = Panel.from_wide(padded, start=(np.datetime64("2026-06-01") - lead).astype(object))
    known, asked, fitted_longer = (
        MODELS[model]().fit(trained).predict(given, 5).paths
        for trained, given in ((panel, panel), (panel, longer), (longer, longer))
    )
    np.testing.assert_array_equal(asked, known)
    np.testing.assert_array_equal(fitted_longer, known)


CELLS = arrays.arrays(np.float64, (3, 4), elements=st.floats(0, 1e3))


@given(CELLS, arrays.arrays(np.float64, (3, 9, 4), elements=st.floats(0, 1e3)), st.floats(0.01, 100))
@settings(max_examples=60)
def test_scores_in_units_scale_and_relative_ones_do_not(actual, paths, unit):
    scored = np.ones(actual.shape, dtype=bool)
    assert metrics.crps(actual * unit, paths * unit, scored) == pytest.approx(
        unit * metrics.crps(actual, paths, scored), abs=1e-9 * unit
    )
    assert metrics.crps(actual, paths, scored) >= -1e-9
    one, other = (metrics.wape(actual * k, paths[:, 0] * k, scored) for k in (1.0, unit))
    assert other == pytest.approx(one, nan_ok=True)
    assert 0 <= metrics.coverage(actual, paths, scored) <= 1
