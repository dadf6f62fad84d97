"""Joint paths: whose draws they are, and what ties them together."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import special

from shelfwise.domain import paths as paths_module
from shelfwise.domain.errors import ParameterError
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.paths import Dependence, draw_paths, paths_under

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


def test_paths_under_several_dependences_are_those_of_each_by_itself():
    several = [Dependence(0.2, 0.3), Dependence(0.2, 0.0), Dependence(0.0, 0.8), Dependence(0.1, 0.1, 0.2)]
    for dependence, paths in zip(several, paths_under(MARGINALS, several, IDS, 50, seed=3), strict=True):
        np.testing.assert_array_equal(paths, draw_paths(MARGINALS, dependence, IDS, 50, seed=3))


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


# ------------------------------------------------------- shares of the draw, measured


MANY = 4000  # paths: a correlation is measured to 0.016
EIGHT = Marginals(np.full((8, 3), 1e6), np.full((8, 3), 1e8), False)
NAMES = [f"s{i}" for i in range(8)]
GROUPS = ["a", "a", "b", "b", "a", "b", "a", "b"]
ALL = Dependence(world=0.15, level=0.2, world_level=0.1, group=0.25, group_level=0.12)


def correlations(dependence, groups=GROUPS, seed=0):
    """Return correlations [N, H, N, H] of the normal scores of large continuous demand."""
    paths = draw_paths(EIGHT, dependence, NAMES, MANY, seed, groups)
    ranks = paths.argsort(axis=1).argsort(axis=1)
    scores = special.ndtri((ranks + 0.5) / MANY).transpose(0, 2, 1).reshape(24, MANY)
    return np.corrcoef(scores).reshape(8, 3, 8, 3)


def means_of(found, groups=GROUPS):
    """Return the mean correlation of pairs by what they have in common: (series, group, period)."""
    n, horizon = found.shape[:2]
    pairs = {}
    for i, t, j, u in np.ndindex(found.shape):
        if (i, t) < (j, u):
            kind = ("series" if i == j else "group" if groups[i] == groups[j] else "world", t == u)
            pairs.setdefault(kind, []).append(found[i, t, j, u])
    return {kind: float(np.mean(values)) for kind, values in pairs.items()}


@pytest.mark.parametrize(
    "given",
    [ALL, Dependence(world=0.3), Dependence(world_level=0.3), Dependence(group=0.4), Dependence(group_level=0.4),
     Dependence(level=0.5), Dependence(group=0.5, group_level=0.5), Dependence()],
)  # fmt: skip
def test_series_hang_together_by_as_much_as_they_are_asked_to(given):
    measured = means_of(correlations(given))
    over_time = {
        "series": given.level + given.world_level + given.group_level,
        "group": given.world_level + given.group_level,
        "world": given.world_level,
    }
    in_a_period = {"group": given.world + given.group, "world": given.world}
    for kind, lasting in over_time.items():
        assert measured[kind, False] == pytest.approx(lasting, abs=0.025)
        if kind != "series":
            assert measured[kind, True] == pytest.approx(lasting + in_a_period[kind], abs=0.025)


def test_without_groups_what_they_would_share_is_noise():
    found = means_of(correlations(ALL, groups=None))
    assert found["group", True] == pytest.approx(ALL.world + ALL.world_level, abs=0.025)
    assert found["series", False] == pytest.approx(ALL.level + ALL.world_level, abs=0.025)


def test_shares_of_groups_belong_to_their_names_and_not_to_their_places():
    whole = draw_paths(EIGHT, ALL, NAMES, 50, 3, GROUPS)
    for rows in ([3], [7, 0], [6, 5, 4, 3, 2, 1, 0]):
        some = Marginals(EIGHT.mean[rows], EIGHT.variance[rows], False)
        part = draw_paths(some, ALL, [NAMES[i] for i in rows], 50, 3, [GROUPS[i] for i in rows])
        np.testing.assert_array_equal(part, whole[rows])
    renamed = draw_paths(EIGHT, ALL, NAMES, 50, 3, ["c" if name == "b" else name for name in GROUPS])
    np.testing.assert_array_equal(renamed[[0, 1, 4, 6]], whole[[0, 1, 4, 6]])
    assert not np.array_equal(renamed[2], whole[2])


def test_blocks_of_series_draw_the_same_paths_with_groups(monkeypatch):
    whole = draw_paths(EIGHT, ALL, NAMES, 50, 3, GROUPS)
    monkeypatch.setattr(paths_module, "_CELLS_PER_BLOCK", 1)
    np.testing.assert_array_equal(draw_paths(EIGHT, ALL, NAMES, 50, 3, GROUPS), whole)


def test_a_longer_horizon_begins_with_the_shorter_ones_paths_with_groups():
    short = Marginals(EIGHT.mean[:, :1], EIGHT.variance[:, :1], False)
    np.testing.assert_array_equal(
        draw_paths(short, ALL, NAMES, 64, 0, GROUPS), draw_paths(EIGHT, ALL, NAMES, 64, 0, GROUPS)[:, :, :1]
    )


def test_every_period_holds_the_stratified_samples_whatever_is_shared():
    alone = draw_paths(EIGHT, Dependence(), NAMES, 100, 0)
    tied = draw_paths(EIGHT, ALL, NAMES, 100, 0, GROUPS)
    np.testing.assert_array_equal(np.sort(alone, axis=1), np.sort(tied, axis=1))


@pytest.mark.parametrize(
    "given", [{"group": -0.1}, {"world_level": 1.2}, {"world": 0.5, "group": 0.3, "group_level": 0.3}]
)
def test_all_five_shares_add_up_to_at_most_one(given):
    with pytest.raises(ParameterError, match="together at most 1"):
        Dependence(**given)
    assert sum(Dependence(0.2, 0.2, 0.2, 0.2, 0.2).shares.values()) == pytest.approx(1.0)


def test_groups_are_named_by_their_columns_and_none_where_they_share_nothing():
    table = pl.DataFrame({"unique_id": ["x", "y", "z"], "store": ["a", None, "b"], "line": [1, 2, 1]})
    shares = Dependence(group=0.2, columns=("store", "line"))
    assert shares.groups(table) == ["a\x1f1", "\x1f2", "b\x1f1"]
    assert Dependence(world=0.2, columns=("store",)).groups(table) is None
    assert shares.groups(table.drop("line")) is None
    assert Dependence(group_level=0.2).groups(table) == ["", "", ""]
