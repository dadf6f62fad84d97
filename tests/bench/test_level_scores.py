import numpy as np
import polars as pl
import pytest
from bench._level_scores import M5_LEVELS, Nodes, Sums, calibration, one_step_scales, wrmsse

from shelfwise.domain.forecast import Forecast, Provenance
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.panel import Panel
from shelfwise.domain.paths import Dependence
from shelfwise.forecasting import metrics

SHOPS = {"unique_id": ["a", "b"], "shop": ["x", "y"]}


def test_wrmsse_is_what_the_guide_computes_by_hand():
    # Series a: 0 0 2 4, begins with its first sale: one change of 2, scale 4. Series b: 1 3 3 2: changes 2 0 -1,
    # scale 5/3.
    # Total: 1 3 5 6: changes 2 2 1, scale 3. Prices 2 and 1: values (2 + 4) * 2 = 12 and (1 + 3 + 3 + 2) * 1 = 9.
    past = Panel.from_wide(
        [[0, 0, 2, 4], [1, 3, 3, 2]],
        start="2026-01-01",
        series=SHOPS,
        known_future={"price": [[np.nan, np.nan, 2, 2, 2, 2], [1, 1, 1, 1, 1, 1]]},
    )
    actual = np.array([[5.0, 3.0], [2.0, 2.0]])
    mean = np.array([[4.0, 4.0], [2.0, 0.0]])
    # Total: errors 1 and 1: sqrt(1 / 3). Shops: sqrt(1 / 4) and sqrt((0 + 4) / 2 / (5 / 3)), weights 12/21 and 9/21.
    found = wrmsse(past, actual, mean, levels=((), ("shop",)))
    assert found["wrmsse"].to_list() == pytest.approx(
        [np.sqrt(1 / 3), (12 * np.sqrt(1 / 4) + 9 * np.sqrt(2 / (5 / 3))) / 21]
    )
    assert found["rmsse"].to_list() == pytest.approx([np.sqrt(1 / 3), (np.sqrt(1 / 4) + np.sqrt(2 / (5 / 3))) / 2])
    assert found["bias"].to_list() == pytest.approx([-2 / 12, -2 / 12])
    assert found["total_wape"].to_list() == pytest.approx([2 / 12, (0 + 2) / 12])
    assert found["nodes"].to_list() == [1, 2]


def test_a_node_that_never_sold_weighs_nothing():
    past = Panel.from_wide([[0, 0, 0], [1, 2, 1]], start="2026-01-01", series=SHOPS)
    found = wrmsse(past, np.array([[3.0], [1.0]]), np.array([[0.0], [1.0]]), levels=(("shop",),))
    assert found["wrmsse"].to_list() == [0.0]


def test_scales_are_those_of_the_plain_loop():
    rng = np.random.default_rng(0)
    history = rng.poisson(0.3, (40, 60)).astype(float)
    history[::3, :20] = np.nan
    nodes = Nodes.of(pl.DataFrame({"g": [str(n % 7) for n in range(40)]}), ("g",))
    expected = []
    for node in range(len(nodes)):
        sums = np.nansum(history[nodes.codes == node], axis=0)
        sums = sums[np.flatnonzero(sums)[0] :]
        expected.append(np.mean((sums[1:] - sums[:-1]) ** 2))
    np.testing.assert_allclose(one_step_scales(history, nodes), expected)


def test_calibration_by_chunks_is_that_of_the_paths_summed_at_once(monkeypatch):
    monkeypatch.setattr("bench._level_scores.CHUNK", 3)
    n, horizon = 10, 4
    rng = np.random.default_rng(1)
    mean = rng.gamma(2.0, 1.0, (n, horizon))
    series = pl.DataFrame({"unique_id": [f"s{i}" for i in range(n)], "g": ["u", "v"] * 5})
    panel = Panel.from_wide(np.ones((n, 3)), start="2026-01-01", series=series)
    forecast = Forecast(
        series=series,
        starts=panel.ends,
        freq=panel.freq,
        provenance=Provenance("m", "1"),
        n_paths=50,
        marginals=Marginals(mean, 2 * mean),
        dependence=Dependence(world=0.2, level=0.3),
    )
    actual = rng.poisson(mean).astype(float)
    found = calibration(actual, forecast, levels=((), ("g",), ("unique_id",)))
    for row, level in enumerate(((), ("g",), ("unique_id",))):
        nodes = Nodes.of(series, level)
        paths, came = nodes.sums(forecast.paths), nodes.sums(actual)
        everywhere = np.ones(came.shape, dtype=bool)
        whole = came.sum(axis=1, keepdims=True)
        assert found["coverage"][row] == pytest.approx(metrics.coverage(came, paths, everywhere))
        assert found["total_coverage"][row] == pytest.approx(
            metrics.coverage(whole, paths.sum(axis=2, keepdims=True), everywhere[:, :1])
        )
        levels = np.arange(1, 10) / 10
        quantiles = np.moveaxis(np.quantile(paths, levels, axis=1, method="inverted_cdf"), 0, -1)
        if len(nodes) == n:  # the series' own quantiles are known without paths
            quantiles = forecast.quantiles(levels)
        assert found["wql"][row] == pytest.approx(metrics.wql(came, quantiles, levels, everywhere), rel=1e-5)


def test_quantiles_of_sums_are_those_of_the_summed_paths():
    rng = np.random.default_rng(4)
    series = pl.DataFrame({"unique_id": ["a", "b", "c"], "g": ["u", "u", "v"]})
    panel = Panel.from_wide(np.ones((3, 2)), start="2026-01-01", series=series)
    paths = rng.poisson(2.0, (3, 40, 5)).astype(np.float32)
    forecast = Forecast(series, panel.ends, panel.freq, Provenance("m", "1"), n_paths=40, drawn=paths)
    sums = Sums.of(forecast, levels=(("g",), ("unique_id",)))
    (days, whole), (_, totals) = sums.quantiles([0.25, 0.9])
    expected = np.quantile(paths[:2].sum(axis=0), [0.25, 0.9], axis=0, method="inverted_cdf").T
    np.testing.assert_array_equal(days[0], expected)
    np.testing.assert_array_equal(
        whole[0, 0], np.quantile(paths[:2].sum(axis=(0, 2)), [0.25, 0.9], method="inverted_cdf")
    )
    np.testing.assert_array_equal(totals[2, 0], np.quantile(paths[2].sum(axis=1), [0.25, 0.9], method="inverted_cdf"))


def test_the_levels_are_the_twelve_of_the_competition():
    series = pl.DataFrame(
        {
            "item": ["i", "i", "j", "j"],
            "department": ["d", "d", "e", "e"],
            "category": ["c"] * 4,
            "store": ["A1", "B1"] * 2,
            "state": ["A", "B"] * 2,
        }
    )
    assert [len(Nodes.of(series, level)) for level in M5_LEVELS] == [1, 2, 2, 1, 2, 2, 4, 2, 4, 2, 4, 4]
