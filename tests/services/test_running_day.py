"""The running day: what has sold is a lower bound, it leaves the shelf, and it lowers nothing."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.forecast import Forecast, Provenance
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.catalog import estimator
from shelfwise.services.running_day import Day, raised_by_today, with_day

DAILY = Frequency.parse("1d")
units = st.integers(0, 30).map(float)


def drawn(paths: list[list[float]], name: str = "a") -> Forecast:
    """One series with paths [S, H]."""
    table = pl.DataFrame({"unique_id": [name]})
    body = np.array([paths], dtype=np.float32)
    return Forecast(table, np.zeros(1, dtype=np.int64), DAILY, Provenance("m", "1"), len(paths), drawn=body)


@given(today=st.lists(units, min_size=2, max_size=8), sold=units, shelf=units)
def test_nothing_is_lowered_and_no_unit_is_lost_or_counted_twice(today: list[float], sold: float, shelf: float):
    forecast = drawn([[first, 5.0] for first in today])
    day = Day.of(forecast, np.array([sold]))
    assert (day.demand >= forecast.paths).all()
    assert (day.demand[:, :, 0] >= sold).all()
    assert (day.mean >= forecast.mean()).all()
    assert (day.left[:, :, 0] == day.demand[:, :, 0] - sold).all()
    assert (day.demand[:, :, 1:] == forecast.paths[:, :, 1:]).all()
    # what is left at night is the same from this morning's shelf and all demand, and from the shelf now and the rest
    assert ((shelf - sold) - day.left[:, :, 0] == shelf - day.demand[:, :, 0]).all()
    assert day.raised[0] == (min(today) < sold)


def test_nothing_sold_has_no_effect_at_all():
    forecast = drawn([[2.0, 1.0], [4.0, 1.0]])
    day = Day.of(forecast, np.zeros(1))
    assert day.demand is day.left is forecast.paths
    assert not day.raised.any()


def test_the_worked_example_of_the_documentation():
    forecast = drawn([[2.0], [4.0], [6.0]])
    three, five = Day.of(forecast, np.array([3.0])), Day.of(forecast, np.array([5.0]))
    assert three.demand[0, :, 0].tolist() == [3.0, 4.0, 6.0]
    assert three.left[0, :, 0].tolist() == [0.0, 1.0, 3.0]
    assert ((10 - 3) - three.left[0, :, 0]).tolist() == [7.0, 6.0, 4.0]
    assert five.demand[0, :, 0].tolist() == [5.0, 5.0, 6.0]


def test_bundles_sold_leave_their_units_of_the_component_and_are_a_lower_bound_too():
    bundle = drawn([[1.0], [3.0]], "box")
    own = drawn([[2.0], [2.0]], "tea")
    made = Forecast(
        own.series, own.starts, DAILY, Provenance("m", "1"), 2, drawn=own.drawn, parts=bundle,
        shares=sparse.csr_array(np.array([[3.0]])),
    )  # fmt: skip
    day = Day.of(made, np.array([1.0]), np.array([2.0]))
    assert day.demand[0, :, 0].tolist() == [2 + 3 * 2.0, 2 + 3 * 3.0]
    assert day.left[0, :, 0].tolist() == [1 + 0.0, 1 + 3.0]


@pytest.fixture(scope="module")
def panel() -> Panel:
    rng = np.random.default_rng(5)
    table = {"unique_id": ["slow", "fast"], "product": ["slow", "fast"], "warehouse": ["m", "m"]}
    return Panel.from_wide(rng.poisson([[0.5], [8.0]], (2, 90)).astype(float), start="2026-08-01", series=table)


@pytest.mark.parametrize("model", ["base_level", "seasonal_naive", "theta"])
def test_a_day_beyond_what_was_expected_raises_the_days_after_and_never_lowers_one(panel: Panel, model: str):
    predictor = estimator(model).fit(panel)
    made = predictor.predict(panel, 14, n_paths=50)
    after = raised_by_today(predictor, panel, made, np.array([0.0, 60.0]))
    assert after.mean()[0].tolist() == made.mean()[0].tolist()
    assert (after.mean()[1] >= made.mean()[1]).all()
    assert after.mean()[1, 1:].sum() > made.mean()[1, 1:].sum()
    assert after.mean()[1, 0] == made.mean()[1, 0]  # today itself is counted in path by path
    assert raised_by_today(predictor, panel, made, np.array([0.0, 1.0])) is made


def test_one_more_day_stands_at_the_end_of_each_series(panel: Panel):
    longer = with_day(panel, np.array([3.0, 4.0]))
    assert longer.window(2)[:, -1].tolist() == [3.0, 4.0]
    assert (longer.ends == panel.ends + 1).all()
    assert longer.window(91)[:, :90].tolist() == panel.window(90).tolist()
