"""Calibration of noise on held-out outcomes: exact forecasts stay, wrong ones are put right, shocks teach nothing."""

from __future__ import annotations

import numpy as np
import pytest

from shelfwise.domain.marginals import Marginals
from shelfwise.forecasting.conformal import (
    Outcomes,
    agreed_factor,
    agreed_factors,
    inside,
    noise_ratio,
    probabilities_of,
    relative_noise,
    widened,
)
from shelfwise.forecasting.metrics import coverage, probabilities

ROWS, AHEAD = 600, 12
KINDS = {  # mean, variance over mean, whether counted
    "hardly ever": (0.1, 1.3, True),
    "few": (1.5, 2.0, True),
    "many": (30.0, 4.0, True),
    "thousands": (4000.0, 50.0, True),
    "litres": (2.5, 0.6, False),
}


def drawn(kind, rng, rows=ROWS):
    """Mean and variance [R, H], and outcomes drawn from them."""
    level, noise, is_count = KINDS[kind]
    mean = level * rng.uniform(0.5, 1.5, (rows, AHEAD))
    variance = noise * mean
    if is_count:
        actual = rng.poisson(rng.gamma(mean / (noise - 1), noise - 1)).astype(float)
    else:
        actual = rng.gamma(mean / noise, noise)
    return mean, variance, actual, is_count


def outcomes(actual, is_count, windows=2, classes=None):
    rows = len(actual)
    return Outcomes(
        actual=actual,
        scored=np.ones(actual.shape, dtype=bool),
        classes=np.zeros(rows, dtype=np.int64) if classes is None else classes,
        windows=np.arange(rows) * windows // rows,
        is_count=is_count,
    )


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_band_of_an_exact_forecast_holds_four_outcomes_of_five(kind):
    mean, variance, actual, is_count = drawn(kind, np.random.default_rng(1), 2000)
    assert inside(mean, variance, actual, is_count).mean() == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("kind", list(KINDS))
def test_probabilities_and_band_are_those_that_paths_show(kind):
    mean, variance, actual, is_count = drawn(kind, np.random.default_rng(2), 80)
    paths = Marginals(mean, variance, is_count).stratified(1000).transpose(0, 2, 1)  # [R, S, H]
    exact = probabilities_of(mean.ravel(), variance.ravel(), actual.ravel(), is_count)
    for ours, shown in zip(exact, probabilities(actual, paths), strict=True):
        np.testing.assert_allclose(ours, shown.ravel(), atol=0.004)
    measured = coverage(actual, paths, np.ones(actual.shape, dtype=bool))
    assert inside(mean, variance, actual, is_count).mean() == pytest.approx(measured, abs=0.01)


def test_nothing_is_inside_or_outside_by_more_than_all_of_it_where_nothing_is_expected():
    nothing = np.zeros(3)
    below, up_to = probabilities_of(nothing, nothing, np.array([0.0, 2.0, -1.0]), True)
    assert below.tolist() == [0.0, 1.0, 0.0]
    assert up_to.tolist() == [1.0, 1.0, 0.0]
    assert inside(nothing, nothing, nothing, True).tolist() == pytest.approx([0.8] * 3)


@pytest.mark.parametrize("kind", list(KINDS))
def test_an_exact_forecast_is_left_alone(kind):
    mean, variance, actual, is_count = drawn(kind, np.random.default_rng(3))
    assert agreed_factor(mean, variance, outcomes(actual, is_count)) == pytest.approx(1.0, abs=0.11)
    assert 0.7 < noise_ratio(mean, variance, outcomes(actual, is_count)) < 1.1  # rare large errors are cut


@pytest.mark.parametrize("kind", ["few", "many", "litres"])
@pytest.mark.parametrize("wrong", [0.3, 4.0])
def test_noise_told_too_small_or_too_large_is_put_right(kind, wrong):
    mean, variance, actual, is_count = drawn(kind, np.random.default_rng(4))
    told = widened(mean, variance, wrong, is_count)
    before = inside(mean, told, actual, is_count).mean()
    factor = agreed_factor(mean, told, outcomes(actual, is_count))
    after = inside(mean, widened(mean, told, factor, is_count), actual, is_count).mean()
    assert (factor > 1) == (wrong < 1)
    assert abs(after - 0.8) < 0.5 * abs(before - 0.8)


def test_windows_that_disagree_change_nothing_and_those_that_agree_are_followed_the_shorter_way():
    mean, variance, actual, is_count = drawn("many", np.random.default_rng(5))
    halves = outcomes(actual, is_count)
    first = (halves.windows == 0)[:, None]
    told = {name: np.where(first, a, b) * variance for name, (a, b) in {"no": (0.2, 5.0), "yes": (2.0, 6.0)}.items()}
    assert agreed_factor(mean, told["no"], halves) == 1.0
    assert 0.3 < agreed_factor(mean, told["yes"], halves) < 0.7  # what the first asks for; the second wants a sixth


def test_a_class_whose_band_is_wrong_is_put_right_and_the_others_are_left_alone():
    mean, variance, actual, is_count = drawn("litres", np.random.default_rng(7), 2700)
    classes = np.arange(2700) % 3
    halves = outcomes(actual, is_count, classes=classes)
    told = variance * np.array([1.0, 6.0, 1.0])[classes][:, None]
    factors = agreed_factors(mean, told, halves, 4)
    assert factors[[0, 2]] == pytest.approx(1.0, abs=0.11)
    assert 0.15 < factors[1] < 0.35  # a sixth, leaning on 1
    assert factors[3] == pytest.approx(1.0, abs=0.11)  # nothing was seen of it
    before = inside(mean, told, actual, is_count)[classes == 1].mean()
    after = inside(mean, told * factors[classes][:, None], actual, is_count)[classes == 1].mean()
    assert abs(after - 0.8) < 0.5 * abs(before - 0.8)


def test_a_forecast_has_its_own_noise_in_terms_of_itself():
    mean, variance, actual, is_count = drawn("many", np.random.default_rng(6))
    parts = np.array([3, 6, 12])
    same = relative_noise((mean, variance), (mean, variance), outcomes(actual, is_count), 2, parts)
    assert same.tolist() == [[1.0] * 3] * 2


def test_noise_is_told_by_class_and_part_and_leans_on_all_where_a_class_has_few_rows():
    rng = np.random.default_rng(7)
    classes = np.where(np.arange(ROWS) < 580, 0, 1)
    exact = rng.uniform(20, 40, (ROWS, AHEAD))
    spread = np.where(np.arange(AHEAD) < 6, 1.0, 2.0)  # true deviations: the later half is twice as uncertain
    spread = np.where(classes[:, None] == 1, 6.0 * spread, spread)
    actual = exact + rng.normal(0, 1, exact.shape) * spread
    reference = exact + rng.normal(0, 3, exact.shape), np.full(exact.shape, 9.0)
    factors = relative_noise(
        (exact, np.full(exact.shape, 9.0)), reference, outcomes(actual, False, classes=classes), 3, np.array([6, 12])
    )
    assert factors[0, 0] < 0.5 * factors[0, 1] < 0.5
    alone = relative_noise(
        (exact, np.full(exact.shape, 9.0)),
        reference,
        outcomes(actual, False, classes=np.where(classes == 1, 1, 0)).only(np.flatnonzero(classes == 1)),
        3,
        np.array([6, 12]),
    )
    assert (factors[0] < factors[1]).all()
    assert (factors[1] < alone[1]).all()
    assert np.ptp(factors[2]) == 0.0  # a class never seen takes the factor of all
