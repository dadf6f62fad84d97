"""Quantiles, samples and paths beside scipy's distributions and a plain argsort."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from shelfwise.domain.marginals import Marginals
from shelfwise.domain.paths import Dependence, _order, draw_paths

LEVELS = np.array([0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999])
SMALL = np.concatenate([np.geomspace(1e-6, 0.1, 6), np.linspace(0.2, 64.0, 80)])


def negative_binomial(mean, dispersion, levels):
    """Return scipy's quantiles [C, Q] for variance = dispersion x mean; the Poisson at 1."""
    if dispersion == 1.0:
        return stats.poisson.ppf(levels, mean[:, None])
    return stats.nbinom.ppf(levels, mean[:, None] / (dispersion - 1.0), 1.0 / dispersion)


@pytest.mark.parametrize("dispersion", [1.0, 1.01, 1.5, 3.0, 10.0, 40.0])
def test_count_quantiles_are_scipys_below_the_last_count_of_the_recursion(dispersion):
    found = Marginals(SMALL[None, :], dispersion * SMALL[None, :]).quantiles(LEVELS)[0]
    exact = negative_binomial(SMALL, dispersion, LEVELS)
    inside = exact <= 128
    assert inside.mean() > 0.8
    np.testing.assert_array_equal(found[inside], exact[inside])
    assert (found[~inside] > 128).all()
    assert np.abs(found[~inside] - exact[~inside]).max(initial=0) <= 2


@pytest.mark.parametrize("dispersion", [1.0, 2.0, 8.0])
def test_quantiles_of_larger_counts_are_scipys_within_a_unit(dispersion):
    mean = np.array([64.5, 70.0, 100.0, 400.0, 5000.0])
    central = LEVELS[(LEVELS >= 0.05) & (LEVELS <= 0.95)]
    found = Marginals(mean[None, :], dispersion * mean[None, :]).quantiles(central)[0]
    assert np.abs(found - negative_binomial(mean, dispersion, central)).max() <= 1.0
    whole = Marginals(mean[None, :], dispersion * mean[None, :]).quantiles(LEVELS)[0]
    assert np.abs(whole - negative_binomial(mean, dispersion, LEVELS)).max() <= 2  # far out in the tails


def test_less_than_poisson_variance_is_read_as_poisson():
    found = Marginals(SMALL[None, :], 0.2 * SMALL[None, :]).quantiles(LEVELS)[0]
    np.testing.assert_array_equal(found, stats.poisson.ppf(LEVELS, SMALL[:, None]))


@pytest.mark.parametrize("variation", [0.02, 0.3, 1.0, 3.0, 10.0])
def test_measured_quantiles_are_scipys_gamma(variation):
    mean = np.array([1e-3, 0.7, 5.0, 300.0, 1e6])
    shape = np.full(5, 1.0 / variation**2)
    found = Marginals(mean[None, :], (variation * mean[None, :]) ** 2, is_count=False).quantiles(LEVELS)[0]
    exact = stats.gamma.ppf(LEVELS, shape[:, None], scale=(mean / shape)[:, None])
    np.testing.assert_allclose(found / mean[:, None], exact / mean[:, None], rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("is_count", [True, False])
@pytest.mark.parametrize("n_samples", [2, 7, 64, 200])
def test_stratified_samples_are_the_quantiles_of_equal_parts(is_count, n_samples):
    mean = np.array([[0.0, 1e-4, 0.3, 2.0, 17.5, 50.0, 64.0, 90.0, 1500.0]])
    for dispersion in (1.0, 1.7, 12.0):
        marginals = Marginals(mean, dispersion * mean, is_count)
        parts = (np.arange(n_samples) + 0.5) / n_samples
        np.testing.assert_array_equal(marginals.stratified(n_samples), marginals.quantiles(parts))


@pytest.mark.parametrize("dependence", [Dependence(), Dependence(0.3, 0.4), Dependence(level=1.0)])
@pytest.mark.parametrize("is_count", [True, False])
def test_every_period_of_the_paths_holds_exactly_the_stratified_samples(dependence, is_count):
    mean = np.random.default_rng(0).gamma(1.0, 20.0, (5, 6))
    marginals = Marginals(mean, 2.5 * mean, is_count)
    paths = draw_paths(marginals, dependence, list("abcde"), 90, seed=3)
    np.testing.assert_array_equal(np.sort(paths, axis=1).transpose(0, 2, 1), marginals.stratified(90))


@pytest.mark.parametrize("n_paths", [2, 3, 64, 200, 1000, 5000])
def test_the_order_of_the_draws_is_argsort_but_for_draws_that_hardly_differ(n_paths):
    draws = np.random.default_rng(1).standard_normal((4, 3, n_paths), dtype=np.float32)
    order = _order(draws.copy())
    np.testing.assert_array_equal(np.sort(order, axis=-1), np.broadcast_to(np.arange(n_paths), order.shape))
    sorted_draws = np.take_along_axis(draws, order, axis=-1)
    exact = np.sort(draws, axis=-1)
    # 32 - log2(S) bits of a float32 are kept: ties differ by at most S units in the last place
    assert (np.abs(sorted_draws - exact) <= 2 * n_paths * np.spacing(np.abs(exact).max())).all()
    if n_paths <= 200:
        assert (order == np.argsort(draws, axis=-1)).mean() > 0.99


def correlations(dependence, n=60, n_paths=1000):
    mean = np.full((n, 8), 40.0)
    return draw_paths(Marginals(mean, 2 * mean, False), dependence, [str(i) for i in range(n)], n_paths, seed=0)


def test_the_correlation_of_two_periods_is_the_level_share():
    found = []
    for level in (0.0, 0.2, 0.5, 0.8):
        paths = correlations(Dependence(level=level))
        matrices = np.array([np.corrcoef(path.T) for path in paths])  # [N, H, H]
        found.append(matrices[:, ~np.eye(8, dtype=bool)].mean())
    np.testing.assert_allclose(found, [0.0, 0.2, 0.5, 0.8], atol=0.03)


def test_the_correlation_of_two_series_is_the_world_share_in_the_same_period_only():
    for world in (0.0, 0.3, 0.6):
        paths = correlations(Dependence(world=world))
        same = np.corrcoef(paths[:, :, 0])[~np.eye(60, dtype=bool)].mean()
        other = np.corrcoef(paths[:, :, 0], paths[:, :, 5])[:60, 60:].mean()
        assert same == pytest.approx(world, abs=0.03)
        assert other == pytest.approx(0.0, abs=0.03)


def test_the_spread_of_a_total_grows_with_the_level_share_and_its_mean_does_not():
    spreads = []
    for level in (0.0, 0.3, 0.9):
        totals = correlations(Dependence(level=level)).sum(axis=2)
        np.testing.assert_allclose(totals.mean(), 320.0, rtol=1e-3)
        spreads.append(totals.var(axis=1).mean() / (8 * 80.0))
    np.testing.assert_allclose(spreads, [1.0, 1 + 7 * 0.3, 1 + 7 * 0.9], rtol=0.06)
