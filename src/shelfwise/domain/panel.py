"""`Panel`: the histories of N series, ragged and columnar, with what was known and when.

One flat array of values plus offsets, one table of series, and covariates in two kinds that are never mixed:
``past_only`` (known up to the cutoff, such as visitors) and ``known_future`` (known ahead, such as promotions).
Shape letters: N series, T past periods, H horizon.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.domain.calendar import Frequency, Moments
from shelfwise.domain.errors import PanelError, ParameterError

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Gaps = Literal["auto", "zero", "missing"]

DEFAULT_LEVELS: Final = ("product", "category", "warehouse")
LONG_COLUMNS: Final = ("unique_id", "ds", "y", "available")


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
        return _gather(self.values, lows, lengths, starts - self.starts, length, np.nan)

    def until(self, ends: Integers) -> Covariate:
        """Return the covariate without values at or after each series' ordinal ``ends`` [N]."""
        if self.offsets is None:
            keep = int(np.clip(ends.max(initial=0) - self.starts[0], 0, len(self.values)))
            return replace(self, values=self.values[:keep])
        lengths = np.clip(ends - self.starts, 0, np.diff(self.offsets))
        values, offsets = _take(self.values, self.offsets[:-1], lengths)
        return replace(self, values=values, offsets=offsets)

    def select(self, positions: Integers) -> Covariate:
        """Return the rows of the series at ``positions``."""
        if self.offsets is None:
            return self
        lows = self.offsets[:-1][positions]
        values, offsets = _take(self.values, lows, np.diff(self.offsets)[positions])
        return replace(self, values=values, offsets=offsets, starts=self.starts[positions])


@dataclass(frozen=True, eq=False)
class Panel:
    """Histories of N series on one frequency.

    Make one with `from_long` or `from_wide`; the constructor checks only shapes.

    Parameters
    ----------
    values
        [sum of lengths] observed quantity per period in units; NaN where nothing was recorded.
    offsets
        [N + 1] bounds of each series in ``values``.
    starts
        [N] ordinal of each series' first period.
    freq
        Frequency of all series.
    series
        N rows: ``unique_id`` and static attributes such as product, warehouse, category.
    available
        Same layout as ``values``; False where a stockout may have hidden demand (the period is censored).
    past_only, known_future
        Covariates by name.
    hierarchy
        Attribute columns of ``series`` that form levels.
    """

    values: Floats
    offsets: Integers
    starts: Integers
    freq: Frequency
    series: pl.DataFrame
    available: Flags | None = None
    past_only: Mapping[str, Covariate] = field(default_factory=dict)
    known_future: Mapping[str, Covariate] = field(default_factory=dict)
    hierarchy: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.offsets) - 1
        if n != self.series.height or n != len(self.starts) or self.offsets[-1] != len(self.values):
            raise PanelError(
                f"offsets for {n} series over {self.offsets[-1]} values do not fit {self.series.height} rows of "
                f"series, {len(self.starts)} starts and {len(self.values)} values"
            )
        if self.available is not None and self.available.shape != self.values.shape:
            raise PanelError(f"available has {self.available.size} flags for {self.values.size} values; give one each")
        both = set(self.past_only) & set(self.known_future)
        if both:
            raise PanelError(f"covariate {min(both)!r} is both past_only and known_future; choose one")
        lost = [name for name in self.hierarchy if name not in self.series.columns]
        if lost:
            raise PanelError(
                f"hierarchy names {lost[0]!r}, which is no attribute of the series; "
                f"attributes are {', '.join(self.series.columns)}"
            )

    # ------------------------------------------------------------------ making

    @classmethod
    def from_wide(
        cls,
        values: npt.ArrayLike,
        *,
        start: dt.date | dt.datetime | str,
        freq: str | Frequency = "1d",
        series: Any = None,
        available: npt.ArrayLike | None = None,
        known_future: Mapping[str, npt.ArrayLike] | None = None,
        past_only: Mapping[str, npt.ArrayLike] | None = None,
        hierarchy: Sequence[str] | None = None,
    ) -> Panel:
        """Make a panel from an array with one row per series and one column per period.

        Parameters
        ----------
        values
            [N, T] units; NaN before a series begins, and inside it where nothing was recorded.
        start
            Label of the first column.
        freq
            Frequency of the columns.
        series
            Frame of N rows with ``unique_id`` and attributes (polars, pandas or a mapping); default ids are 0 .. N-1.
        available
            [N, T] flags, False where a stockout may have hidden demand.
        known_future
            ``{name: [N, T + H] or [T + H]}``, numbers or text, for any H >= 0.
        past_only
            ``{name: [N, T] or [T]}``.
        hierarchy
            Attributes that form levels; by default product, category and warehouse where present.

        Raises
        ------
        PanelError
            Shapes do not fit, ids repeat, or ``start`` is off the grid.

        >>> panel = Panel.from_wide([[np.nan, 2, 3], [1, 0, 4]], start="2026-11-01", series={"unique_id": ["a", "b"]})
        >>> panel.n_series, panel.lengths.tolist(), panel.window(2).tolist()
        (2, [2, 3], [[2.0, 3.0], [0.0, 4.0]])
        """
        grid = _floats(values)
        if grid.ndim != 2:
            raise PanelError(f"values must be [N, T], got {grid.ndim} dimensions; use values[None, :] for one series")
        n, periods = grid.shape
        frequency = Frequency.parse(freq)
        moment = _start(start)
        frequency = frequency.anchored(moment)
        first = int(frequency.ordinals(moment)[0])
        seen = ~np.isnan(grid)
        lead = np.where(seen.any(axis=1), seen.argmax(axis=1), periods) if periods else np.zeros(n, dtype=np.int64)
        flat, offsets = _ragged(grid, lead)
        flags = None
        if available is not None:
            given = np.asarray(available)
            if given.shape != grid.shape:
                raise PanelError(f"available has shape {given.shape}, values {grid.shape}; they must be the same")
            flags = _ragged(given.astype(np.bool_), lead)[0]
        return cls(
            values=flat,
            offsets=offsets,
            starts=first + lead.astype(np.int64),
            freq=frequency,
            series=_series_table(series, n),
            available=flags,
            past_only={k: _wide_covariate(k, v, n, periods, first, future=False) for k, v in (past_only or {}).items()},
            known_future={
                k: _wide_covariate(k, v, n, periods, first, future=True) for k, v in (known_future or {}).items()
            },
            hierarchy=(),
        )._with_hierarchy(hierarchy)

    @classmethod
    def from_long(
        cls,
        history: Any,
        *,
        freq: str | Frequency | None = None,
        known_future: Any = None,
        past_only: Sequence[str] | None = None,
        static: Any = None,
        gaps: Gaps = "auto",
        hierarchy: Sequence[str] | None = None,
    ) -> Panel:
        """Make a panel from a table with one row per series and period.

        Parameters
        ----------
        history
            polars or pandas frame with ``unique_id``, ``ds``, ``y``, optionally ``available``, and covariates.
        freq
            Frequency; None takes the commonest step between dates.
        known_future
            Frame with ``ds`` and covariates for the coming periods, with ``unique_id`` unless all series share them.
            Its columns are known ahead; where the history has them too, that is their past.
        past_only
            Names of the history's other covariates; None takes every column that is not ``known_future``.
        static
            Frame with ``unique_id`` and attributes, one row per series.
        gaps
            What an absent row means: ``"zero"`` (no sale; all series then end on the table's last date), ``"missing"``
            (not recorded, such as a closed day), or ``"auto"``: zero in a table that never says zero and has gaps
            (sales lines), missing in one that records its zeros.
        hierarchy
            Attributes that form levels; by default product, category and warehouse where present.

        Raises
        ------
        PanelError
            A column is missing, dates repeat, lie off the grid or are empty, or ``y`` is no number.
        """
        frame = to_polars(history, "history")
        _need(frame, ("unique_id", "ds", "y"), "history")
        if frame.height == 0:
            raise PanelError("history has no rows; give at least one observation")
        if frame["unique_id"].null_count():
            row = int(frame["unique_id"].is_null().arg_true()[0])
            raise PanelError(f"history has no unique_id in row {row:,}; every row needs one")
        frame = frame.with_columns(pl.col("unique_id").cast(pl.String), _moment_column(frame, "history"))
        y = _number_column(frame, "y")
        future = None if known_future is None else to_polars(known_future, "known_future")
        known = [] if future is None else [c for c in future.columns if c not in LONG_COLUMNS]
        extra = [c for c in frame.columns if c not in LONG_COLUMNS and c not in known]
        past = extra if past_only is None else list(past_only)
        lost = [name for name in past if name not in frame.columns]
        if lost:
            raise PanelError(f"past_only names {lost[0]!r}, which is no column of history ({', '.join(frame.columns)})")

        ids = frame["unique_id"].unique(maintain_order=True)
        codes = frame["unique_id"].cast(pl.Enum(ids)).to_physical().cast(pl.Int64).to_numpy()
        times = frame["ds"].to_numpy()
        frequency = Frequency.parse(freq) if freq is not None else _commonest_step(codes, times)
        frequency = frequency.anchored(times)
        ordinals = frequency.ordinals(times)
        layout = _Layout.of(codes, ordinals, len(ids), _gap_meaning(gaps, codes, ordinals, y))
        _refuse_repeats(layout, ids, frequency)

        available = None
        if "available" in frame.columns:
            flags = _number_column(frame, "available")
            available = layout.place(np.where(np.isnan(flags), 1.0, flags), 1.0) > 0
        table = _series_table({"unique_id": ids}, len(ids)) if static is None else _static_table(static, ids)
        return cls(
            values=layout.place(y, 0.0 if layout.zero else np.nan),
            offsets=layout.offsets,
            starts=layout.starts,
            freq=frequency,
            series=table,
            available=available,
            past_only={name: _long_covariate(frame[name], layout) for name in past},
            known_future={} if future is None else _future_covariates(frame, future, known, ids, frequency),
        )._with_hierarchy(hierarchy)

    def _with_hierarchy(self, hierarchy: Sequence[str] | None) -> Panel:
        if hierarchy is None:
            hierarchy = [name for name in DEFAULT_LEVELS if name in self.series.columns]
        return replace(self, hierarchy=tuple(hierarchy))

    # ------------------------------------------------------------------ reading

    def __len__(self) -> int:
        """Return N."""
        return self.n_series

    @property
    def n_series(self) -> int:
        """Number of series N."""
        return len(self.starts)

    @cached_property
    def lengths(self) -> Integers:
        """[N] periods of history of each series."""
        return np.diff(self.offsets)

    @property
    def ends(self) -> Integers:
        """[N] ordinal after the last period of each series: where its forecast begins."""
        ends: Integers = self.starts + self.lengths
        return ends

    @property
    def ids(self) -> pl.Series:
        """[N] unique ids."""
        return self.series["unique_id"]

    @cached_property
    def is_count(self) -> bool:
        """True where every observed value is a whole number, so that demand is counted rather than measured."""
        known = self.values[~np.isnan(self.values)]
        return bool(np.array_equal(known, np.rint(known)))

    @property
    def data_until(self) -> dt.datetime | None:
        """Label of the last period of the longest-running series; None for a panel without history."""
        if not self.n_series or not len(self.values):
            return None
        last = self.freq.moments([int(self.ends[self.lengths > 0].max()) - 1])[0]
        return last.astype(object)  # type: ignore[no-any-return]

    def window(self, length: int) -> Floats:
        """Return the last ``length`` periods of each series as [N, length], NaN before a series begins.

        A view where every series has exactly that length.
        """
        return self._last(self.values, length, np.nan)

    def available_window(self, length: int) -> Flags:
        """Return [N, length] flags: recorded and on sale. False before a series begins."""
        seen = ~np.isnan(self.window(length))
        if self.available is None:
            return seen
        return seen & (self._last(self.available.astype(np.float32), length, 0.0) > 0)

    def _last(self, flat: Floats, length: int, fill: float) -> Floats:
        if length < 1:
            raise ParameterError(f"a window must be at least 1 period, got {length}")
        if self.n_series and (self.lengths == length).all():
            return flat.reshape(self.n_series, length)
        return _gather(flat, self.offsets[:-1], self.lengths, self.lengths - length, length, fill)

    def moments(self, position: int) -> Moments:
        """Return the labels [T] of one series' periods."""
        return self.freq.moments(np.arange(self.starts[position], self.ends[position]))

    # ------------------------------------------------------------------ cutting

    def until(self, ends: npt.ArrayLike) -> Panel:
        """Return the panel as it was known before the ordinal ``ends`` ([N] or one for all): nothing later remains.

        Known-future covariates stay whole, because they were known.
        """
        limit = np.broadcast_to(np.asarray(ends, dtype=np.int64), (self.n_series,))
        lengths = np.clip(limit - self.starts, 0, self.lengths)
        values, offsets = _take(self.values, self.offsets[:-1], lengths)
        available = None if self.available is None else _take(self.available, self.offsets[:-1], lengths)[0]
        return replace(
            self,
            values=values,
            offsets=offsets,
            starts=np.minimum(self.starts, limit),
            available=available,
            past_only={k: c.until(limit) for k, c in self.past_only.items()},
        )

    def split(self, holdout: int) -> tuple[Panel, Floats, Flags]:
        """Cut the last ``holdout`` periods off every series.

        Returns
        -------
        past : Panel
            What a model may see.
        actual : [N, holdout]
            What came, NaN where a series did not yet exist. Never give it to a model.
        scored : [N, holdout]
            Where ``actual`` is demand rather than censored or missing.
        """
        if holdout < 1:
            raise ParameterError(f"holdout must be at least 1 period, got {holdout}")
        return self.until(self.ends - holdout), self.window(holdout), self.available_window(holdout)

    def select(self, positions: npt.ArrayLike) -> Panel:
        """Return the series at ``positions`` (whole numbers or flags), in that order."""
        chosen = np.asarray(positions)
        if chosen.dtype == np.bool_:
            chosen = np.flatnonzero(chosen)
        chosen = chosen.astype(np.int64)
        lows, lengths = self.offsets[:-1][chosen], self.lengths[chosen]
        values, offsets = _take(self.values, lows, lengths)
        return replace(
            self,
            values=values,
            offsets=offsets,
            starts=self.starts[chosen],
            series=self.series[chosen],
            available=None if self.available is None else _take(self.available, lows, lengths)[0],
            past_only={k: c.select(chosen) for k, c in self.past_only.items()},
            known_future={k: c.select(chosen) for k, c in self.known_future.items()},
        )

    def chunks(self, n: int) -> Iterator[Panel]:
        """Yield ``n`` panels of neighbouring series, as views of this one's arrays."""
        if n < 1:
            raise ParameterError(f"a panel splits into at least 1 chunk, got {n}")
        bounds = np.linspace(0, self.n_series, min(n, max(1, self.n_series)) + 1).astype(np.int64)
        for low, high in zip(bounds[:-1], bounds[1:], strict=True):
            yield self.select(np.arange(low, high))


# ---------------------------------------------------------------------- layout


def _take(flat: npt.NDArray[Any], lows: Integers, lengths: Integers) -> tuple[npt.NDArray[Any], Integers]:
    """Return the runs ``flat[low : low + length]`` end to end with their offsets; a view where they are adjacent."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    if len(lows) == 0:
        return flat[:0], offsets
    if np.array_equal(lows[1:], lows[:-1] + lengths[:-1]):
        return flat[lows[0] : lows[0] + offsets[-1]], offsets
    index = np.arange(offsets[-1]) + np.repeat(lows - offsets[:-1], lengths)
    return flat[index], offsets


def _gather(
    flat: Floats, lows: Integers, lengths: Integers, shift: Integers, length: int, fill: float
) -> npt.NDArray[Any]:
    """Return [N, length]: for each run, positions ``shift .. shift + length - 1`` of it, ``fill`` outside the run."""
    position = shift[:, None] + np.arange(length)  # [N, length]
    inside = (position >= 0) & (position < lengths[:, None])
    if not flat.size:
        return np.full(position.shape, fill, dtype=flat.dtype)
    found = flat[np.where(inside, lows[:, None] + position, 0)]
    return np.where(inside, found, np.asarray(fill, dtype=flat.dtype))


def _ragged(grid: npt.NDArray[Any], lead: Integers) -> tuple[npt.NDArray[Any], Integers]:
    """Drop the first ``lead`` cells of each row of ``grid`` [N, T] and lay the rest end to end."""
    n, periods = grid.shape
    offsets = np.concatenate([[0], np.cumsum(periods - lead)]).astype(np.int64)
    if not lead.any():
        return np.ascontiguousarray(grid).reshape(-1), offsets
    return grid[np.arange(periods) >= lead[:, None]], offsets


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where the rows of a long table go in the flat arrays of a panel."""

    offsets: Integers  # [N + 1]
    starts: Integers  # [N]
    target: Integers  # [rows] position in the flat array
    zero: bool  # an absent row is a zero

    @classmethod
    def of(cls, codes: Integers, ordinals: Integers, n: int, zero: bool) -> _Layout:
        starts = np.full(n, np.iinfo(np.int64).max)
        np.minimum.at(starts, codes, ordinals)
        ends = np.full(n, np.iinfo(np.int64).min)
        np.maximum.at(ends, codes, ordinals)
        absent = starts > ends  # a series without rows has a history of length 0
        starts[absent], ends[absent] = 0, -1
        if zero:
            ends[:] = ends.max()
        offsets = np.concatenate([[0], np.cumsum(ends + 1 - starts)]).astype(np.int64)
        return cls(offsets, starts, offsets[:-1][codes] + ordinals - starts[codes], zero)

    def place(self, column: Floats, fill: float) -> Floats:
        """Return ``column`` [rows] in panel order, ``fill`` where the table has no row."""
        flat = np.full(self.offsets[-1], fill, dtype=np.float64)
        flat[self.target] = column
        return flat


def _refuse_repeats(layout: _Layout, ids: pl.Series, freq: Frequency) -> None:
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


def _gap_meaning(gaps: Gaps, codes: Integers, ordinals: Integers, y: Floats) -> bool:
    if gaps not in ("auto", "zero", "missing"):
        raise ParameterError(f"gaps must be 'auto', 'zero' or 'missing', got {gaps!r}")
    if gaps != "auto":
        return gaps == "zero"
    if (y == 0).any() or np.isnan(y).any():
        return False  # the table says zero or unknown where it means it
    order = np.lexsort((ordinals, codes))
    step = np.diff(ordinals[order])[np.diff(codes[order]) == 0]
    return bool((step > 1).any())


def _commonest_step(codes: Integers, times: Moments) -> Frequency:
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


# ---------------------------------------------------------------------- reading what callers give


def to_polars(table: Any, name: str) -> pl.DataFrame:
    """Return a polars frame of a polars or pandas frame, an Arrow table or a mapping of columns.

    Raises
    ------
    PanelError
        ``table`` is none of these; ``name`` says which argument it was.
    """
    if isinstance(table, pl.DataFrame):
        return table
    if isinstance(table, pl.LazyFrame):
        return table.collect()
    if isinstance(table, Mapping):
        return pl.DataFrame({name: _from_mapping(cells) for name, cells in table.items()})
    if type(table).__module__.partition(".")[0] == "pandas":
        # column by column through numpy, because polars needs pyarrow to read a pandas frame as a whole
        return pl.DataFrame({str(name): _from_pandas(table[name]) for name in table.columns})
    if hasattr(table, "__arrow_c_stream__"):
        return pl.DataFrame(table)
    raise PanelError(f"{name} must be a polars or pandas frame, got {type(table).__name__}")


def _from_mapping(cells: Any) -> pl.Series:
    if isinstance(cells, pl.Series):
        return cells
    if type(cells).__module__.partition(".")[0] == "pandas":
        return _from_pandas(cells)
    if isinstance(cells, np.ndarray) and cells.dtype.kind != "O":
        return _from_array(cells)
    return pl.Series(list(cells), strict=False)


def _from_array(cells: npt.NDArray[Any]) -> pl.Series:
    if cells.dtype.kind == "M":  # polars reads days and microseconds but not numpy's seconds
        cells = cells.astype("datetime64[us]")
    return pl.Series(cells, nan_to_null=False)


def _from_pandas(column: Any) -> pl.Series:
    array = column.to_numpy()  # object where the column has pandas' own missing values or a time zone
    if array.dtype.kind in "biufM":
        return _from_array(array)
    missing = column.isna().to_numpy()
    return pl.Series([None if lost else cell for cell, lost in zip(array, missing, strict=True)], strict=False)


def _need(frame: pl.DataFrame, columns: Sequence[str], name: str) -> None:
    lost = [c for c in columns if c not in frame.columns]
    if lost:
        raise PanelError(f"{name} lacks the column {lost[0]!r}; it has {', '.join(frame.columns) or 'none'}")


def _moment_column(frame: pl.DataFrame, name: str) -> pl.Expr:
    column = frame["ds"]
    if column.null_count():
        raise PanelError(f"{name} has no ds in row {int(column.is_null().arg_true()[0]):,}; every row needs a date")
    if column.dtype == pl.String:
        # days and months never change places silently: only ISO dates are read from text
        text = pl.col("ds").str.replace("T", " ", literal=True)
        size = text.str.len_chars()
        whole = pl.when(size == 10).then(text + " 00:00:00").when(size == 16).then(text + ":00").otherwise(text)
        parsed = frame.select(whole.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False))["ds"]
        if parsed.null_count():
            row = int(parsed.is_null().arg_true()[0])
            raise PanelError(
                f"{name} has ds {column[row]!r} in row {row:,}, which is no ISO date in shop time; "
                "give dates, datetimes, or text such as 2026-11-21 or 2026-11-21 09:30"
            )
        return pl.lit(parsed).alias("ds")
    if not isinstance(column.dtype, (pl.Date, pl.Datetime)):
        raise PanelError(f"{name} has ds of type {column.dtype}; give dates or datetimes")
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None:
        raise PanelError(f"{name} has ds in zone {column.dtype.time_zone}; give naive shop time")
    return pl.col("ds").cast(pl.Datetime("us"))


def _number_column(frame: pl.DataFrame, name: str) -> Floats:
    column = frame[name]
    try:
        numbers = column.cast(pl.Float64, strict=True).to_numpy()
    except pl.exceptions.PolarsError:
        bad = (column.cast(pl.Float64, strict=False).is_null() & column.is_not_null()).arg_true()
        raise PanelError(f"{name} in row {int(bad[0]):,} is {column[int(bad[0])]!r}, which is no number") from None
    if np.isinf(numbers).any():
        raise PanelError(f"{name} in row {int(np.flatnonzero(np.isinf(numbers))[0]):,} is infinite; give a number")
    return numbers


def _floats(values: npt.ArrayLike) -> Floats:
    try:
        grid = np.asarray(values)
        if grid.dtype.kind in "cmM":
            raise TypeError(f"their type is {grid.dtype}")
        grid = grid if grid.dtype in (np.float32, np.float64) else grid.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise PanelError(f"values must be numbers: {error}") from None
    if np.isinf(grid).any():
        raise PanelError("values hold an infinite number; use NaN where nothing was recorded")
    return grid


def _start(start: dt.date | dt.datetime | str) -> Moments:
    """Return the label of the first column as an array [1]."""
    if getattr(start, "tzinfo", None) is not None:
        raise PanelError(f"start {start} has a time zone; give naive shop time")
    try:
        return np.asarray([start], dtype="datetime64[us]")
    except ValueError:
        raise PanelError(f"start {start!r} is no date; give a date, a datetime or text such as 2026-11-21") from None


def _series_table(series: Any, n: int) -> pl.DataFrame:
    table = pl.DataFrame({"unique_id": [str(i) for i in range(n)]}) if series is None else to_polars(series, "series")
    if table.height != n:
        raise PanelError(f"series has {table.height} rows for {n} series of values; give one row each")
    if "unique_id" not in table.columns:
        table = table.insert_column(0, pl.Series("unique_id", [str(i) for i in range(n)]))
    table = table.with_columns(pl.col("unique_id").cast(pl.String))
    if table["unique_id"].null_count():
        raise PanelError("series has an empty unique_id; every series needs one")
    if table["unique_id"].n_unique() != n:
        repeated = table["unique_id"].filter(table["unique_id"].is_duplicated())[0]
        raise PanelError(f"unique_id {repeated!r} names more than one series; ids must differ")
    return table


def _static_table(static: Any, ids: pl.Series) -> pl.DataFrame:
    table = to_polars(static, "static")
    _need(table, ("unique_id",), "static")
    table = table.with_columns(pl.col("unique_id").cast(pl.String))
    joined = pl.DataFrame({"unique_id": ids}).join(table, on="unique_id", how="left", maintain_order="left")
    if joined.height != len(ids):
        raise PanelError("static has more than one row for a unique_id; give one row each")
    lost = pl.DataFrame({"unique_id": ids}).join(table, on="unique_id", how="anti")
    if lost.height:
        raise PanelError(f"static lacks unique_id {lost['unique_id'][0]!r}; give one row for every series")
    return joined


def _encoded(column: pl.Series) -> tuple[Floats, tuple[str, ...]]:
    """Return numbers, or codes of words in sorted order; NaN where null."""
    if column.dtype.is_numeric() or column.dtype == pl.Boolean or column.dtype == pl.Null:
        return column.cast(pl.Float64).fill_null(float("nan")).to_numpy(), ()
    words = column.cast(pl.String)
    categories = tuple(words.drop_nulls().unique().sort())
    codes = words.cast(pl.Enum(categories)).to_physical().cast(pl.Float64).fill_null(float("nan"))
    return codes.to_numpy(), categories


def _wide_covariate(name: str, values: npt.ArrayLike, n: int, periods: int, first: int, *, future: bool) -> Covariate:
    grid = np.asarray(values)
    kind = "known_future" if future else "past_only"
    last = grid.shape[-1] if grid.ndim else -1
    fits = last >= periods if future else last == periods
    if grid.ndim not in (1, 2) or not fits or (grid.ndim == 2 and grid.shape[0] != n):
        wanted = f"[{n}, {periods} + H] or [{periods} + H]" if future else f"[{n}, {periods}] or [{periods}]"
        raise PanelError(f"{kind} {name!r} has shape {list(grid.shape)}; give {wanted}")
    categories: tuple[str, ...] = ()
    if grid.dtype.kind in "OUS":
        flat, categories = _encoded(pl.Series(grid.reshape(-1).tolist(), strict=False))
    else:
        flat = grid.reshape(-1)
        flat = flat if flat.dtype in (np.float32, np.float64) else flat.astype(np.float64)
    if grid.ndim == 1:
        return Covariate(flat, None, np.array([first], dtype=np.int64), categories)
    offsets = np.arange(n + 1, dtype=np.int64) * grid.shape[1]
    return Covariate(flat, offsets, np.full(n, first, dtype=np.int64), categories)


def _long_covariate(column: pl.Series, layout: _Layout) -> Covariate:
    values, categories = _encoded(column)
    return Covariate(layout.place(values, np.nan), layout.offsets, layout.starts, categories)


def _future_covariates(
    frame: pl.DataFrame, future: pl.DataFrame, names: list[str], ids: pl.Series, freq: Frequency
) -> dict[str, Covariate]:
    """Join the past of each known-ahead covariate (in the history) with its future, per series or shared."""
    _need(future, ("ds",), "known_future")
    future = future.with_columns(_moment_column(future, "known_future"))
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
    own = _Layout.of(codes, freq.ordinals(times), 1 if shared else len(ids), zero=False)
    covariates = {}
    for name in names:
        values, categories = _encoded(whole[name])
        placed = own.place(values, np.nan)
        covariates[name] = Covariate(placed, None if shared else own.offsets, own.starts, categories)
    return covariates
