"""Excess: what demand will hardly use, never what it will; an order that has not come is the first to go."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.excess import excess_stock


def excess_by_hand(on_hand: float, due: float, paths: np.ndarray, cover: int, level: float = 0.95) -> float:
    """The slow twin of one item: sort the paths' totals and take the one that `level` of them do not exceed."""
    horizon = paths.shape[1]
    totals = sorted(sum(path[: min(cover, horizon)]) * max(cover / horizon, 1.0) for path in paths)
    used = totals[int(np.ceil(level * len(totals) - 1e-12)) - 1]
    return max(np.floor(on_hand + due - used + 1e-9), 0.0)


@given(
    st.integers(0, 500), st.integers(0, 200), st.integers(1, 40), st.integers(0, 2**31),
    st.integers(1, 12), st.integers(1, 30),
)  # fmt: skip
def test_excess_is_what_a_count_by_hand_finds(
    on_hand: int, due: int, cover: int, seed: int, n_paths: int, horizon: int
) -> None:
    paths = np.random.default_rng(seed).poisson(3.0, (1, n_paths, horizon)).astype(float)
    found = excess_stock([on_hand], [due], paths, [cover])
    assert found.units[0] == excess_by_hand(on_hand, due, paths[0], cover)
    assert found.due_units[0] + found.on_hand_units[0] == found.units[0]
    assert 0 <= found.due_units[0] <= due


def test_what_is_on_order_is_too_much_before_what_is_on_the_shelf() -> None:
    found = excess_stock([50.0], [30.0], np.full((1, 5, 10), 4.0), [10])
    assert (found.units[0], found.due_units[0], found.on_hand_units[0]) == (40.0, 30.0, 10.0)


def test_time_to_sell_is_the_median_path_and_never_ends_without_demand() -> None:
    paths = np.array([[[2.0] * 10, [5.0] * 10, [10.0] * 10], [[0.0] * 10] * 3])
    found = excess_stock([20.0, 20.0], [0.0, 0.0], paths, [10, 10])
    assert found.periods_to_sell.tolist() == [4.0, np.inf]
    assert found.dead.tolist() == [False, True]


def test_an_empty_shelf_is_neither_dead_nor_in_excess() -> None:
    found = excess_stock([0.0, -4.0], [0.0, 0.0], np.zeros((2, 3, 5)), [5, 5])
    assert found.units.tolist() == [0.0, 0.0]
    assert not found.dead.any()
    assert found.periods_to_sell.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("change", "why"),
    [({"due": [-1.0]}, "zero or more"), ({"on_hand": [np.nan]}, "finite"), ({"cover_periods": [0]}, "at least 1"),
     ({"level": 1.0}, "above 0 and below 1")],
)  # fmt: skip
def test_wrong_input_is_refused(change: dict, why: str) -> None:
    given_ = {"on_hand": [1.0], "due": [0.0], "paths": np.ones((1, 2, 3)), "cover_periods": [3], **change}
    with pytest.raises(ParameterError, match=why):
        excess_stock(**given_)
