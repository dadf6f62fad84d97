"""Metrics beside slow loops that follow their definitions, and beside published figures."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest

from shelfwise.domain.marginals import Marginals
from shelfwise.domain.panel import Panel
from shelfwise.forecasting import metrics
from shelfwise.forecasting.backtest import score, windows
from shelfwise.forecasting.catalog import estimator

LEVELS = np.array([0.1, 0.25, 0.5, 0.9])


@pytest.fixture
def world():
    """Five series over six periods: outcomes, 40 paths, quantiles, and which cells count."""
    rng = np.random.default_rng(0)
    actual = rng.poisson(3.0, (5, 6)).astype(float)
    paths = rng.poisson(3.5, (5, 40, 6)).astype(float)
    scored = rng.random((5, 6)) < 0.8
    scored[4] = False
    quantiles = np.moveaxis(np.quantile(paths, LEVELS, axis=1), 0, -1)
    return actual, paths, scored, quantiles


def cells(scored):
    return [(i, h) for i, h in itertools.product(*map(range, scored.shape)) if scored[i, h]]


def loss(y, q, level):
    return level * (y - q) if y >= q else (1 - level) * (q - y)


def test_pinball_and_weighted_quantile_loss(world):
    actual, _, scored, quantiles = world
    total = [
        sum(loss(actual[i, h], quantiles[i, h, k], level) for i, h in cells(scored)) for k, level in enumerate(LEVELS)
    ]
    units = sum(actual[i, h] for i, h in cells(scored))
    assert metrics.wql(actual, quantiles, LEVELS, scored) == pytest.approx(np.mean([2 * t / units for t in total]))
    assert metrics.pinball(actual, quantiles, LEVELS, scored) == pytest.approx(np.mean(total) / len(cells(scored)))


def test_crps_is_the_double_loop(world):
    actual, paths, scored, _ = world
    found = []
    for i, h in cells(scored):
        x, y = paths[i, :, h], actual[i, h]
        spread = sum(abs(a - b) for a in x for b in x) / len(x) ** 2
        found.append(sum(abs(a - y) for a in x) / len(x) - spread / 2)
    assert metrics.crps(actual, paths, scored) == pytest.approx(np.mean(found))


def test_scaled_errors(world):
    actual, paths, scored, _ = world
    point = paths.mean(axis=1)
    history = np.random.default_rng(1).poisson(3.0, (5, 30)).astype(float)
    history[2, :20] = np.nan
    season, absolute, squared = 7, [], []
    mase, rmsse = [], []
    for i in range(5):
        steps = [history[i, t] - history[i, t - season] for t in range(season, 30)]
        steps = [step for step in steps if not np.isnan(step)]
        absolute.append(np.mean(np.abs(steps)))
        squared.append(np.mean(np.square(steps)))
        mine = [actual[i, h] - point[i, h] for k, h in cells(scored) if k == i]
        if mine:
            mase.append(np.mean(np.abs(mine)) / absolute[-1])
            rmsse.append(np.sqrt(np.mean(np.square(mine)) / squared[-1]))
    scale = metrics.naive_scales(history, season)
    np.testing.assert_allclose(scale, [absolute, squared])
    assert metrics.mase(actual, point, scored, scale[0]) == pytest.approx(np.mean(mase))
    assert metrics.rmsse(actual, point, scored, scale[1]) == pytest.approx(np.mean(rmsse))


def test_coverage_is_the_share_of_randomised_ranks_in_the_band(world):
    actual, paths, scored, _ = world
    rng = np.random.default_rng(2)
    inside = []
    for i, h in cells(scored):
        below, up_to = (paths[i, :, h] < actual[i, h]).mean(), (paths[i, :, h] <= actual[i, h]).mean()
        ranks = below + (up_to - below) * rng.random(20_000)
        inside.append(np.mean((ranks > 0.1) & (ranks < 0.9)))
    assert metrics.coverage(actual, paths, scored) == pytest.approx(np.mean(inside), abs=0.005)


@pytest.mark.parametrize("mean", [0.1, 1.0, 10.0])
def test_an_exact_forecast_of_counts_covers_what_it_says(mean):
    n = 20_000
    actual = np.random.default_rng(3).poisson(mean, (n, 1)).astype(float)
    one = Marginals(np.array([[mean]]), np.array([[mean]])).stratified(1000)[0].T  # [S, 1]
    paths = np.broadcast_to(one, (n, 1000, 1))
    scored = np.ones((n, 1), dtype=bool)
    assert metrics.coverage(actual, paths, scored) == pytest.approx(0.8, abs=0.012)
    assert metrics.coverage(actual, paths, scored, 0.05, 0.5) == pytest.approx(0.45, abs=0.015)


def test_too_narrow_and_too_wide_forecasts_cover_less_and_more():
    rng = np.random.default_rng(4)
    actual = rng.poisson(10.0, (3000, 1)).astype(float)
    scored = np.ones((3000, 1), dtype=bool)
    narrow, wide = (
        metrics.coverage(actual, np.broadcast_to(rng.normal(10.0, sd, (1, 500, 1)), (3000, 500, 1)), scored)
        for sd in (1.5, 6.0)
    )
    assert narrow < 0.6
    assert wide > 0.93


# ---------------------------------------------------------------------- published figures


@pytest.fixture(scope="module")
def car_parts(data_folder):
    frame = pl.read_parquet(data_folder / "carparts" / "carparts.parquet")
    grid = frame.drop("Part").cast(pl.Float64).fill_null(float("nan")).to_numpy()
    complete = grid[~np.isnan(grid).any(axis=1)]
    return Panel.from_wide(complete, start="1998-01-01", freq="1mo")


@pytest.mark.data("carparts")
def test_seasonal_naive_on_car_parts_scores_as_published(car_parts):
    assert car_parts.n_series == 2509
    past, actual, scored = car_parts.split(12)
    last_year = past.window(12)
    levels = np.arange(1, 10) / 10
    absolute, _ = metrics.naive_scales(past.window(39), 12)
    assert metrics.wql(actual, np.repeat(last_year[:, :, None], 9, axis=2), levels, scored) == pytest.approx(
        1.59995, abs=1e-5
    )
    assert metrics.mase(actual, last_year, scored, absolute) == pytest.approx(1.20146, abs=1e-5)


@pytest.mark.data("carparts")
def test_the_base_model_beats_the_best_published_model_on_car_parts(car_parts):
    (window,) = windows(car_parts, 12, 1)
    found = score(window, estimator("base_level").fit(window.past).predict(window.past, 12, n_paths=100), 12)
    assert found["wql"] <= 0.90
    assert found["coverage"] == pytest.approx(0.8, abs=0.05)
