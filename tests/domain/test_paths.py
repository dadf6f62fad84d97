"""Joint paths: whose draws they are, and what ties them together."""

from __future__ import annotations

import numpy as np
import pytest

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.paths import Dependence, draw_paths

MARGINALS = Marginals(np.full((3, 6), 9.0), np.full((3, 6), 20.0))
IDS = ["a", "b", "c"]


def test_the_same_seed_draws_the_same_paths_and_another_seed_others():
    one = draw_paths(MARGINALS, Dependence(0.2, 0.3), IDS, 100, seed=4)
    np.testing.assert_array_equal(one, draw_paths(MARGINALS, Dependence(0.2, 0.3), IDS, 100, seed=4))
    assert not np.array_equal(one, draw_paths(MARGINALS, Dependence(0.2, 0.3), IDS, 100, seed=5))


def test_a_path_belongs_to_the_series_and_not_to_its_place():
    whole = draw_paths(MARGINALS, Dependence(0.2, 0.3), IDS, 50, seed=0)
    last = Marginals(MARGINALS.mean[2:], MARGINALS.variance[2:])
    np.testing.assert_array_equal(draw_paths(last, Dependence(0.2, 0.3), ["c"], 50, seed=0)[0], whole[2])
    assert not np.array_equal(whole[0], whole[1])


def test_a_longer_horizon_begins_with_the_shorter_ones_paths():
    short = Marginals(MARGINALS.mean[:, :2], MARGINALS.variance[:, :2])
    np.testing.assert_array_equal(
        draw_paths(short, Dependence(0.1, 0.4), IDS, 80, seed=0),
        draw_paths(MARGINALS, Dependence(0.1, 0.4), IDS, 80, seed=0)[:, :, :2],
    )


@pytest.mark.parametrize("n_paths", [1, 0, -3])
def test_fewer_than_two_paths_are_refused(n_paths):
    with pytest.raises(ParameterError, match=f"n_paths must be at least 2, got {n_paths}"):
        draw_paths(MARGINALS, Dependence(), IDS, n_paths, seed=0)


@pytest.mark.parametrize("shares", [(-0.1, 0.0), (0.0, 1.1), (0.6, 0.6), (float("nan"), 0.0)])
def test_shares_of_the_draw_add_up_to_at_most_one(shares):
    with pytest.raises(ParameterError, match="together at most 1"):
        Dependence(*shares)


def test_at_full_dependence_every_period_and_every_series_rank_the_paths_alike():
    level = draw_paths(MARGINALS, Dependence(level=1.0), IDS, 200, seed=0)
    assert (np.sort(level, axis=1)[:, :, 0] == np.sort(level, axis=1)[:, :, 1]).all()
    np.testing.assert_array_equal(level[:, :, 0], level[:, :, 5])
    world = draw_paths(MARGINALS, Dependence(world=1.0), IDS, 200, seed=0)
    np.testing.assert_array_equal(world[0], world[1])
    assert not np.array_equal(world[0, :, 0], world[0, :, 1])
