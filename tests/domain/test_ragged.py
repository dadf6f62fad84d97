"""Runs of values end to end agree with a loop over the runs."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shelfwise.domain.ragged import LONG, gather, lay_end_to_end, take

RUNS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 8)), max_size=6)


def parts(runs):
    lows, lengths = (np.array([run[i] for run in runs], dtype=np.int64) for i in (0, 1))
    return np.arange(20.0), lows, lengths


@given(RUNS)
def test_taken_runs_are_the_slices_end_to_end(runs):
    flat, lows, lengths = parts(runs)
    values, offsets = take(flat, lows, lengths)
    slices = [flat[low : low + length] for low, length in zip(lows, lengths, strict=True)]
    np.testing.assert_array_equal(values, np.concatenate([np.zeros(0), *slices]))
    assert [values[a:b].tolist() for a, b in zip(offsets[:-1], offsets[1:], strict=True)] == [
        s.tolist() for s in slices
    ]


def test_neighbouring_runs_are_taken_without_a_copy():
    flat = np.arange(10.0)
    values, offsets = take(flat, np.array([2, 5, 5]), np.array([3, 0, 4]))
    assert np.shares_memory(values, flat)
    assert values.tolist() == [2, 3, 4, 5, 6, 7, 8]
    assert offsets.tolist() == [0, 3, 3, 7]


@given(RUNS, st.integers(-6, 10), st.integers(1, 9))
def test_gathered_rows_are_filled_outside_their_run(runs, shift, length):
    flat, lows, lengths = parts(runs)
    found = gather(flat, lows, lengths, np.full(len(lows), shift), length, np.nan)
    assert found.shape == (len(lows), length)
    for row, (low, size) in enumerate(zip(lows, lengths, strict=True)):
        by_hand = [flat[low + k] if 0 <= k < size else np.nan for k in range(shift, shift + length)]
        np.testing.assert_array_equal(found[row], by_hand)


LONG_RUNS = st.lists(st.tuples(st.integers(0, 900), st.integers(LONG, 3 * LONG)), min_size=1, max_size=4)


@given(LONG_RUNS)
def test_long_runs_are_taken_like_short_ones(runs):
    lows, lengths = (np.array([run[i] for run in runs], dtype=np.int64) for i in (0, 1))
    values, offsets = take(np.arange(1200.0), lows, lengths)
    assert values.tolist() == [k for low, size in runs for k in range(low, low + size)]
    assert np.diff(offsets).tolist() == lengths.tolist()


@given(LONG_RUNS, st.integers(-150, 250), st.integers(LONG, 2 * LONG))
def test_long_rows_are_filled_outside_their_run(runs, shift, length):
    lows, lengths = (np.array([run[i] for run in runs], dtype=np.int64) for i in (0, 1))
    shifts = shift + 7 * np.arange(len(runs))
    found = gather(np.arange(1200.0), lows, lengths, shifts, length, -1.0)
    shared = gather(np.arange(1200.0), lows[:1], lengths[:1], shifts, length, -1.0)  # one run read by all
    for row, begin in enumerate(shifts.tolist()):
        for told, (low, size) in ((found, runs[row]), (shared, runs[0])):
            by_hand = [low + k if 0 <= k < size else -1 for k in range(begin, begin + length)]
            assert told[row].tolist() == by_hand


def test_rows_lose_their_lead():
    grid = np.arange(12.0).reshape(3, 4)
    flat, offsets = lay_end_to_end(grid, np.array([0, 4, 3]))
    assert flat.tolist() == [0, 1, 2, 3, 11]
    assert offsets.tolist() == [0, 4, 4, 5]
    assert np.shares_memory(lay_end_to_end(grid, np.zeros(3, dtype=np.int64))[0], grid)
