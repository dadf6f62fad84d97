"""Ragged arrays: runs of values end to end in one flat array, with the bounds of each run beside it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]

LONG: Final = 64  # runs of so many values are copied faster one by one than value by value


def take(flat: npt.NDArray[Any], lows: Integers, lengths: Integers) -> tuple[npt.NDArray[Any], Integers]:
    """Return the runs ``flat[low : low + length]`` end to end with their offsets; a view where they are adjacent."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    if len(lows) == 0:
        return flat[:0], offsets
    if np.array_equal(lows[1:], lows[:-1] + lengths[:-1]):
        return flat[lows[0] : lows[0] + offsets[-1]], offsets
    if offsets[-1] >= LONG * len(lows):
        bounds = zip(lows.tolist(), (lows + lengths).tolist(), strict=True)
        return np.concatenate([flat[low:high] for low, high in bounds]), offsets
    index = np.arange(offsets[-1]) + np.repeat(lows - offsets[:-1], lengths)
    return flat[index], offsets


def gather(
    flat: Floats, lows: Integers, lengths: Integers, shift: Integers, length: int, fill: float
) -> npt.NDArray[Any]:
    """Return [N, length]: for each run, positions ``shift .. shift + length - 1`` of it, ``fill`` outside the run."""
    if len(shift) and (shift == shift[0]).all():
        size = int(lengths[0])
        if len(lows) == 1 or ((lengths == size).all() and (np.diff(lows) == size).all()):
            return _columns(flat, int(lows[0]), (len(lows), size), int(shift[0]), (len(shift), length), fill)
    if length >= LONG:
        return _rows(flat, lows, lengths, shift, length, fill)
    position = shift[:, None] + np.arange(length)  # [N, length]
    inside = (position >= 0) & (position < lengths[:, None])
    if not flat.size:
        return np.full(position.shape, fill, dtype=flat.dtype)
    found = flat[np.where(inside, lows[:, None] + position, 0)]
    return np.where(inside, found, np.asarray(fill, dtype=flat.dtype))


def _rows(
    flat: Floats, lows: Integers, lengths: Integers, shift: Integers, length: int, fill: float
) -> npt.NDArray[Any]:
    """Return what `gather` does, run by run."""
    found = np.full((len(shift), length), fill, dtype=flat.dtype)
    left, right = np.clip(-shift, 0, length), np.clip(lengths - shift, 0, length)  # columns inside the run
    bounds = zip(left.tolist(), right.tolist(), (lows + shift).tolist(), strict=True)  # [N] each, as are the rows
    for row, (begin, end, low) in enumerate(bounds):
        if begin < end:
            found[row, begin:end] = flat[low + begin : low + end]
    return found


def _columns(
    flat: Floats, low: int, shape: tuple[int, int], first: int, wanted: tuple[int, int], fill: float
) -> npt.NDArray[Any]:
    """Return the columns from ``first`` on of runs that form a grid of ``shape``, or of the one that all share."""
    grid = flat[low : low + shape[0] * shape[1]].reshape(shape)
    found = np.full(wanted, fill, dtype=flat.dtype)
    left, right = max(first, 0), min(first + wanted[1], shape[1])
    if left < right:
        found[:, left - first : right - first] = grid[:, left:right]
    return found


def lay_end_to_end(grid: npt.NDArray[Any], lead: Integers) -> tuple[npt.NDArray[Any], Integers]:
    """Drop the first ``lead`` cells of each row of ``grid`` [N, T] and lay the rest end to end."""
    n, periods = grid.shape
    offsets = np.concatenate([[0], np.cumsum(periods - lead)]).astype(np.int64)
    if not lead.any():
        return np.ascontiguousarray(grid).reshape(-1), offsets
    return grid[np.arange(periods) >= lead[:, None]], offsets
