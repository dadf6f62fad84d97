"""Weights by class of demand: who forecasts best weighs most, errors that cancel are blended, little data leans."""

from __future__ import annotations

import numpy as np
import pytest

from shelfwise.forecasting.blending import blend, candidates_of, choose_weights, member_errors
from shelfwise.forecasting.conformal import Outcomes
from shelfwise.forecasting.rehearsal import Rehearsal

AHEAD = 14


def rehearsal(errors, classes, seed=0, scale=5.0, size=None):
    """Members whose means are off by normal errors of the given deviations, [M] or [M, R]; outcomes around 50."""
    rng = np.random.default_rng(seed)
    rows, members = len(classes), len(errors)
    size = np.full(rows, 50.0) if size is None else size
    expected = size[:, None] * rng.uniform(0.8, 1.2, (rows, AHEAD))
    actual = np.maximum(expected + rng.normal(0, 3, expected.shape), 0.0)
    off = np.broadcast_to(np.asarray(errors, dtype=float).reshape(members, -1, 1), (members, rows, 1))
    mean = np.maximum(expected + rng.normal(0, 1, (members, rows, AHEAD)) * off, 0.1)
    windows = np.arange(rows) % 2
    known = Outcomes(actual, np.ones(actual.shape, dtype=bool), np.asarray(classes), windows, False)
    names = tuple(f"m{i}" for i in range(members))
    return Rehearsal(names, mean, np.full(mean.shape, 9.0), known, np.full(rows, scale))


def test_a_member_that_is_far_better_answers_nearly_alone():
    weights = choose_weights(rehearsal([12.0, 1.0, 12.0], np.zeros(400, dtype=np.int64)), 1)
    assert weights[0, 1] > 0.8
    assert weights.sum() == pytest.approx(1.0)


def test_members_whose_errors_cancel_are_blended_and_the_blend_loses_less_than_each():
    known = rehearsal([5.0, 5.0], np.zeros(400, dtype=np.int64))
    weights = choose_weights(known, 1)
    assert weights[0] == pytest.approx([0.5, 0.5], abs=0.1)
    mean, _ = blend(known.mean, known.variance, np.repeat(weights.T, 400, axis=1))
    error = [np.abs(known.outcomes.actual - one).mean() for one in (mean, *known.mean)]
    assert error[0] < 0.9 * min(error[1:])


def test_a_member_that_adds_nothing_is_left_out():
    known = rehearsal([1.0, 60.0], np.zeros(400, dtype=np.int64))
    assert choose_weights(known, 1)[0].tolist() == [1.0, 0.0]


def test_each_class_takes_its_own_members_and_a_small_or_unseen_one_leans_on_all():
    classes = np.array([0] * 400 + [1] * 400 + [2] * 12)
    own = np.array([np.where(classes == 0, 1.0, 20.0), np.where(classes == 0, 20.0, 1.0)])
    weights = choose_weights(rehearsal(own, classes), 4)
    assert weights[0, 0] > 0.75
    assert weights[1, 1] > 0.75
    assert abs(weights[2] - weights[3]).max() < 0.15  # six series a window against the fifty they lean on
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)


def test_many_small_series_count_beside_one_that_sells_more_than_they_all():
    size = np.where(np.arange(300) < 2, 50_000.0, 50.0)  # one large series in each of two windows
    own = np.array([np.where(size > 50, 4000.0, 1.0), np.where(size > 50, 1.0, 12.0)])
    by_units = rehearsal(own, np.zeros(300, dtype=np.int64), size=size, scale=np.nan)
    by_both = rehearsal(own, np.zeros(300, dtype=np.int64), size=size)
    by_both.scale[:] = size / 10
    assert choose_weights(by_units, 1)[0, 0] < 0.25
    assert choose_weights(by_both, 1)[0, 0] > 0.5


def test_what_nobody_sold_tells_nothing():
    known = rehearsal([1.0, 2.0], np.zeros(40, dtype=np.int64))
    nothing = Rehearsal(
        known.names, known.mean * 0, known.variance * 0, known.outcomes.only(np.arange(40)), known.scale * np.nan
    )
    nothing.outcomes.actual[:] = 0.0
    assert choose_weights(nothing, 2).tolist() == [[1.0, 0.0], [1.0, 0.0]]


def test_a_member_s_losses_are_told_by_class():
    classes = np.array([0] * 200 + [1] * 200)
    errors = member_errors(rehearsal([np.where(classes == 0, 1.0, 9.0), np.where(classes == 0, 9.0, 1.0)], classes), 3)
    assert (errors[0, 0] < errors[0, 1]).all()
    assert (errors[1, 1] < errors[1, 0]).all()
    assert np.isnan(errors[2]).all()


@pytest.mark.parametrize(("members", "number"), [(1, 1), (2, 5), (3, 16), (4, 38)])
def test_candidates_are_members_alone_and_plain_blends(members, number):
    found = np.array(list(candidates_of(members)))
    assert len(found) == number == len(np.unique(found, axis=0))
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert (found[:members] == np.eye(members)).all()
