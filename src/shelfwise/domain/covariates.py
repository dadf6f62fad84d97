"""Covariates of a panel: numbers or words beside the sales, for each series or shared by all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.domain.errors import PanelError
from shelfwise.domain.ragged import gather, take

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Covariate:
    """One covariate of a panel: per series, or one row shared by all.

    Parameters
    ----------
    values
        Flat values, text as codes into ``categories``; NaN (or code -1 read as NaN) where unknown.
    offsets
        [N + 1] bounds of each series in ``values``; None when the row is shared.
    starts
        [N] ordinal of each series' first value, or [1] when shared.
    categories
        Words behind the codes of a text covariate; empty for numbers.
    """

    values: Floats
    offsets: Integers | None
    starts: Integers
    categories: tuple[str, ...] = ()

    @property
    def shared(self) -> bool:
        """True where all series see the same row, like a holiday."""
        return self.offsets is None

    def at(self, starts: Integers, length: int) -> Floats:
        """Return [N, length] values from each series' own start, NaN where nothing is known.

        Parameters
        ----------
        starts
            [N] ordinal of the first wanted period of each series.
        length
            Periods wanted.
        """
        if self.offsets is None:
            lows = np.zeros(1, dtype=np.int64)
            lengths = np.array([len(self.values)], dtype=np.int64)
        else:
            lows, lengths = self.offsets[:-1], np.diff(self.offsets)
        return gather(self.values, lows, lengths, starts - self.starts, length, np.nan)

    def until(self, ends: Integers) -> Covariate:
        """Return the covariate without values at or after each series' ordinal ``ends`` [N]."""
        if self.offsets is None:
            kept = np.clip(ends - self.starts[0], 0, len(self.values))  # [N]
            if (kept == kept[:1]).all():
                return replace(self, values=self.values[: int(kept.max(initial=0))])
            # series known for different times can share the row no longer
            values, offsets = take(self.values, np.zeros_like(kept), kept)
            return replace(self, values=values, offsets=offsets, starts=np.repeat(self.starts, len(kept)))
        lengths = np.clip(ends - self.starts, 0, np.diff(self.offsets))
        values, offsets = take(self.values, self.offsets[:-1], lengths)
        return replace(self, values=values, offsets=offsets)

    def select(self, positions: Integers) -> Covariate:
        """Return the rows of the series at ``positions``."""
        if self.offsets is None:
            return self
        lows = self.offsets[:-1][positions]
        values, offsets = take(self.values, lows, np.diff(self.offsets)[positions])
        return replace(self, values=values, offsets=offsets, starts=self.starts[positions])


def encoded(column: pl.Series) -> tuple[Floats, tuple[str, ...]]:
    """Return numbers, or codes of words in sorted order; NaN where null."""
    if column.dtype.is_numeric() or column.dtype == pl.Boolean or column.dtype == pl.Null:
        return column.cast(pl.Float64).fill_null(float("nan")).to_numpy(), ()
    if column.dtype.is_nested():
        raise PanelError(f"{column.name!r} is of type {column.dtype}; give one number or word in each row")
    words = column.cast(pl.String)
    categories = tuple(words.drop_nulls().unique().sort())
    codes = words.cast(pl.Enum(categories)).to_physical().cast(pl.Float64).fill_null(float("nan"))
    return codes.to_numpy(), categories


def wide_covariate(name: str, values: npt.ArrayLike, n: int, periods: int, first: int, *, future: bool) -> Covariate:
    """Return a covariate given as [N, T + H] or [T + H] (``future``), or [N, T] or [T], from ordinal ``first`` on."""
    grid = np.asarray(values)
    kind = "known_future" if future else "past_only"
    last = grid.shape[-1] if grid.ndim else -1
    fits = last >= periods if future else last == periods
    if grid.ndim not in (1, 2) or not fits or (grid.ndim == 2 and grid.shape[0] != n):
        wanted = f"[{n}, {periods} + H] or [{periods} + H]" if future else f"[{n}, {periods}] or [{periods}]"
        raise PanelError(f"{kind} {name!r} has shape {list(grid.shape)}; give {wanted}")
    categories: tuple[str, ...] = ()
    if grid.dtype.kind in "OUS":
        flat, categories = encoded(pl.Series(grid.reshape(-1).tolist(), strict=False))
    else:
        flat = grid.reshape(-1)
        flat = flat if flat.dtype in (np.float32, np.float64) else flat.astype(np.float64)
    if grid.ndim == 1:
        return Covariate(flat, None, np.array([first], dtype=np.int64), categories)
    offsets = np.arange(n + 1, dtype=np.int64) * grid.shape[1]
    return Covariate(flat, offsets, np.full(n, first, dtype=np.int64), categories)
