"""Marginal distributions check what they are given and answer for every cell."""

from __future__ import annotations

import numpy as np
import pytest

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.marginals import Marginals

LEVELS = [0.01, 0.1, 0.5, 0.9, 0.99, 0.999]


@pytest.mark.parametrize(
    ("mean", "variance", "words"),
    [
        ([1.0], [1.0], r"must both be \[N, H\]"),
        ([[1.0]], [[1.0, 2.0]], r"must both be \[N, H\]"),
        ([[np.nan]], [[1.0]], "must be finite"),
        ([[1.0]], [[np.inf]], "must be finite"),
        ([[-1.0]], [[1.0]], "zero or more"),
        ([[1.0]], [[-1.0]], "zero or more"),
    ],
)
def test_moments_of_no_demand_are_refused(mean, variance, words):
    with pytest.raises(ParameterError, match=words):
        Marginals(np.array(mean), np.array(variance))


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_level_outside_zero_and_one_is_refused_by_value(level):
    with pytest.raises(ParameterError, match=f"above 0 and below 1, got {level:g}"):
        Marginals(np.ones((1, 1)), np.ones((1, 1))).quantiles([0.5, level])


@pytest.mark.parametrize("is_count", [True, False])
def test_quantiles_rise_with_the_level_whatever_order_they_are_asked_in(is_count):
    mean = np.array([[0.0, 1e-9, 0.01, 0.5, 3.0, 60.0, 64.0, 65.0, 1e3, 1e9]])
    for spread in (0.0, 1.0, 5.0, 100.0):
        marginals = Marginals(mean, mean * spread, is_count)
        found = marginals.quantiles(LEVELS)
        assert np.isfinite(found).all()
        assert (found >= 0).all()
        assert (np.diff(found, axis=2) >= 0).all()
        np.testing.assert_array_equal(marginals.quantiles(LEVELS[::-1]), found[:, :, ::-1])
        assert not is_count or np.array_equal(found, np.rint(found))


@pytest.mark.parametrize("is_count", [True, False])
def test_no_demand_has_no_quantiles_but_zero(is_count):
    nothing = Marginals(np.zeros((2, 3)), np.zeros((2, 3)), is_count)
    assert not nothing.quantiles([0.5, 0.999]).any()
    assert not nothing.stratified(50).any()


@pytest.mark.parametrize("is_count", [True, False])
def test_the_mean_of_stratified_samples_is_the_mean(is_count):
    mean = np.array([[0.2, 2.0, 20.0, 63.0, 90.0, 4e4]])
    samples = Marginals(mean, 3.0 * mean, is_count).stratified(4000)
    np.testing.assert_allclose(samples.mean(axis=2), mean, rtol=0.01)
    np.testing.assert_allclose(samples.var(axis=2), 3.0 * mean, rtol=0.03)


def test_a_cell_answers_alone_as_in_company():
    rng = np.random.default_rng(1)
    mean = rng.gamma(0.4, 60.0, (300, 7))
    marginals = Marginals(mean, mean * 2.5)
    whole, samples = marginals.quantiles(LEVELS), marginals.stratified(64)
    for row in (0, 17, 299):
        alone = Marginals(mean[row : row + 1], mean[row : row + 1] * 2.5)
        np.testing.assert_array_equal(alone.quantiles(LEVELS)[0], whole[row])
        np.testing.assert_array_equal(alone.stratified(64)[0], samples[row])
