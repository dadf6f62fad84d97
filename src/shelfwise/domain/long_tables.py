"""From one row per series and period to the flat arrays of a panel: grid, gaps, repeats, covariates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.domain.calendar import Frequency, Moments
from shelfwise.domain.covariates import Covariate, encoded
from shelfwise.domain.errors import PanelError, ParameterError
from shelfwise.domain.tables import moment_column, need_columns

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]
Gaps = Literal["auto", "zero", "missing"]
MOST_PERIODS = 20_000_000
MOST_PERIODS_PER_ROW = 1000
"""A table that needs more periods in all, and so many for each row, has a slip in a date and would fill the memory."""
STEPS_THAT_SHOW = 8
"""Steps between dates from which on the smallest shows that a frequency is too fine: weekly sums read as days."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the rows of a long table go in the flat arrays of a panel."""

    offsets: Integers  # [N + 1]
    starts: Integers  # [N]
    target: Integers  # [rows] position in the flat array
    zero: bool  # an absent row is a zero

    @classmethod
    def of(cls, codes: Integers, ordinals: Integers, n: int, zero: bool) -> Layout:
        starts = np.full(n, np.iinfo(np.int64).max)
        np.minimum.at(starts, codes, ordinals)
        ends = np.full(n, np.iinfo(np.int64).min)
        np.maximum.at(ends, codes, ordinals)
        absent = starts > ends  # a series without rows has a history of length 0
        starts[absent], ends[absent] = 0, -1
        if zero:
            ends[:] = ends.max()
        lengths = ends + 1 - starts
        if lengths.sum() > MOST_PERIODS and lengths.sum() > MOST_PERIODS_PER_ROW * len(codes):
            raise PanelError(
                f"{len(codes):,} rows span {int(lengths.max()):,} periods; check the dates, or give a coarser freq"
            )
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return cls(offsets, starts, offsets[:-1][codes] + ordinals - starts[codes], zero)

    def place(self, column: Floats, fill: float) -> Floats:
        """Return ``column`` [rows] in panel order, ``fill`` where the table has no row."""
        flat = np.full(self.offsets[-1], fill, dtype=np.float64)
        flat[self.target] = column
        return flat


def refuse_repeats(layout: Layout, ids: pl.Series, freq: Frequency) -> None:
    """Raise `PanelError` where two rows are for one series and period."""
    order = np.sort(layout.target)
    repeated = order[1:][order[1:] == order[:-1]]
    if not len(repeated):
        return
    row = int(np.searchsorted(layout.offsets, repeated[0], side="right")) - 1
    moment = freq.moments([int(layout.starts[row] + repeated[0] - layout.offsets[row])])[0].astype("datetime64[s]")
    raise PanelError(
        f"unique_id {ids[row]!r} has ds {moment} more than once ({len(repeated):,} repeats in all); "
        "give one row per series and period, for example by summing y"
    )


def gap_meaning(gaps: Gaps, codes: Integers, ordinals: Integers, y: Floats) -> bool:
    """Return whether an absent row is a zero; see `Panel.from_long`."""
    if gaps not in ("auto", "zero", "missing"):
        raise ParameterError(f"gaps must be 'auto', 'zero' or 'missing', got {gaps!r}")
    if gaps != "auto":
        return gaps == "zero"
    order = np.lexsort((ordinals, codes))
    step = np.diff(ordinals[order])[np.diff(codes[order]) == 0]
    if (y == 0).any() or np.isnan(y).any():
        if len(step) >= STEPS_THAT_SHOW and step.min() > 1:
            raise PanelError(
                f"no two dates of a series are closer than {step.min()} periods, so {len(step) + 1:,} values would be "
                "spread over periods they are not of; give the right freq, such as '1w', or gaps='zero' or 'missing' "
                "to Panel.from_long"
            )
        return False  # the table says zero or unknown where it means it
    return bool((step > 1).any())


def commonest_step(codes: Integers, times: Moments) -> Frequency:
    """Read the frequency off the commonest step between neighbouring dates of a series."""
    order = np.lexsort((times, codes))
    same = np.diff(codes[order]) == 0
    minutes = np.diff(times[order]).astype("timedelta64[m]").astype(np.int64)[same]
    minutes = minutes[minutes > 0]
    if not len(minutes):
        return Frequency(1, "d")
    steps, counts = np.unique(minutes, return_counts=True)
    step = int(steps[counts.argmax()])
    if 28 * 1440 <= step <= 31 * 1440:
        return Frequency(1, "mo")
    if 89 * 1440 <= step <= 92 * 1440:
        return Frequency(3, "mo")
    for unit, size in (("w", 10_080), ("d", 1440), ("h", 60), ("min", 1)):
        if step % size == 0:
            return Frequency(step // size, unit)  # type: ignore[arg-type]
    raise PanelError(f"the commonest step between dates is {step} minutes, which is no frequency; give freq")


def long_covariate(column: pl.Series, layout: Layout) -> Covariate:
    """Return a covariate given as a column of the long table."""
    values, categories = encoded(column)
    return Covariate(layout.place(values, np.nan), layout.offsets, layout.starts, categories)


def future_covariates(
    frame: pl.DataFrame, future: pl.DataFrame, names: list[str], ids: pl.Series, freq: Frequency
) -> dict[str, Covariate]:
    """Join the past of each known-ahead covariate (in the history) with its future, per series or shared."""
    need_columns(future, ("ds",), "known_future")
    future = future.with_columns(moment_column(future, "known_future"))
    shared = "unique_id" not in future.columns
    key = ["ds"] if shared else ["unique_id", "ds"]
    past = frame.select(*key, *[n for n in names if n in frame.columns])
    if not shared:
        future = future.with_columns(pl.col("unique_id").cast(pl.String))
        future = future.filter(pl.col("unique_id").is_in(ids.implode()))
    repeated = future.select(key).is_duplicated()
    if repeated.any():
        shown = ", ".join(f"{k} {v}" for k, v in future.filter(repeated).select(key).row(0, named=True).items())
        raise PanelError(f"known_future has {shown} more than once; give one row per series and period")
    if shared and past.unique().height > past["ds"].n_unique():  # the series' own pasts differ: each gets its own row
        shared, key = False, ["unique_id", "ds"]
        past = frame.select(*key, *past.columns[1:])
        future = pl.DataFrame({"unique_id": ids}).join(future, how="cross")
    whole = pl.concat([past, future.select([*key, *names])], how="diagonal_relaxed").unique(
        key, keep="last", maintain_order=True
    )
    times = whole["ds"].to_numpy()
    off_grid = freq.moments(freq.ordinals(times)) != times
    if off_grid.any():
        raise PanelError(f"known_future has ds {times[off_grid][0].astype('datetime64[s]')} off the grid of {freq}")
    codes = (
        np.zeros(whole.height, dtype=np.int64)
        if shared
        else whole["unique_id"].cast(pl.Enum(ids)).to_physical().cast(pl.Int64).to_numpy()
    )
    own = Layout.of(codes, freq.ordinals(times), 1 if shared else len(ids), zero=False)
    covariates = {}
    for name in names:
        values, categories = encoded(whole[name])
        placed = own.place(values, np.nan)
        covariates[name] = Covariate(placed, None if shared else own.offsets, own.starts, categories)
    return covariates
