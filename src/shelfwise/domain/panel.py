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
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.domain.calendar import Frequency, Moments
from shelfwise.domain.covariates import Covariate, wide_covariate
from shelfwise.domain.errors import PanelError, ParameterError
from shelfwise.domain.long_tables import (
    Gaps,
    Layout,
    commonest_step,
    future_covariates,
    gap_meaning,
    long_covariate,
    refuse_repeats,
)
from shelfwise.domain.ragged import gather, lay_end_to_end, take
from shelfwise.domain.tables import (
    moment_column,
    need_columns,
    number_column,
    read_grid,
    read_start,
    rows_at,
    series_table,
    static_table,
    to_polars,
)

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

DEFAULT_LEVELS: Final = ("product", "category", "warehouse")
LONG_COLUMNS: Final = ("unique_id", "ds", "y", "available")


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
        grid = read_grid(values)
        if grid.ndim != 2:
            raise PanelError(f"values must be [N, T], got {grid.ndim} dimensions; use values[None, :] for one series")
        n, periods = grid.shape
        frequency = Frequency.parse(freq)
        moment = read_start(start)
        frequency = frequency.anchored(moment)
        first = int(frequency.ordinals(moment)[0])
        seen = ~np.isnan(grid)
        lead = np.where(seen.any(axis=1), seen.argmax(axis=1), periods) if periods else np.zeros(n, dtype=np.int64)
        flat, offsets = lay_end_to_end(grid, lead)
        flags = None
        if available is not None:
            given = np.asarray(available)
            if given.shape != grid.shape:
                raise PanelError(f"available has shape {given.shape}, values {grid.shape}; they must be the same")
            flags = lay_end_to_end(given.astype(np.bool_), lead)[0]
        return cls(
            values=flat,
            offsets=offsets,
            starts=first + lead.astype(np.int64),
            freq=frequency,
            series=series_table(series, n),
            available=flags,
            past_only={k: wide_covariate(k, v, n, periods, first, future=False) for k, v in (past_only or {}).items()},
            known_future={
                k: wide_covariate(k, v, n, periods, first, future=True) for k, v in (known_future or {}).items()
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
        need_columns(frame, ("unique_id", "ds", "y"), "history")
        if frame.height == 0:
            raise PanelError("history has no rows; give at least one observation")
        if frame["unique_id"].null_count():
            row = int(frame["unique_id"].is_null().arg_true()[0])
            raise PanelError(f"history has no unique_id in row {row:,}; every row needs one")
        frame = frame.with_columns(pl.col("unique_id").cast(pl.String), moment_column(frame, "history"))
        y = number_column(frame, "y")
        future = None if known_future is None else to_polars(known_future, "known_future")
        known = [] if future is None else [c for c in future.columns if c not in LONG_COLUMNS]
        extra = [c for c in frame.columns if c not in LONG_COLUMNS and c not in known]
        if isinstance(past_only, str):
            raise PanelError(f"past_only takes a list of names, got {past_only!r}; write [{past_only!r}]")
        past = extra if past_only is None else list(past_only)
        if not all(isinstance(name, str) for name in past):
            raise PanelError("past_only takes names of columns of history, such as ['visitors'], not a table")
        lost = [name for name in past if name not in frame.columns]
        if lost:
            raise PanelError(f"past_only names {lost[0]!r}, which is no column of history ({', '.join(frame.columns)})")

        ids = frame["unique_id"].unique(maintain_order=True)
        codes = frame["unique_id"].cast(pl.Enum(ids)).to_physical().cast(pl.Int64).to_numpy()
        times = frame["ds"].to_numpy()
        frequency = Frequency.parse(freq) if freq is not None else commonest_step(codes, times)
        frequency = frequency.anchored(times)
        ordinals = frequency.ordinals(times)
        layout = Layout.of(codes, ordinals, len(ids), gap_meaning(gaps, codes, ordinals, y))
        refuse_repeats(layout, ids, frequency)

        available = None
        if "available" in frame.columns:
            flags = number_column(frame, "available")
            available = layout.place(np.where(np.isnan(flags), 1.0, flags), 1.0) > 0
        table = series_table({"unique_id": ids}, len(ids)) if static is None else static_table(static, ids)
        return cls(
            values=layout.place(y, 0.0 if layout.zero else np.nan),
            offsets=layout.offsets,
            starts=layout.starts,
            freq=frequency,
            series=table,
            available=available,
            past_only={name: long_covariate(frame[name], layout) for name in past},
            known_future={} if future is None else future_covariates(frame, future, known, ids, frequency),
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

    @property
    def attributes(self) -> tuple[str, ...]:
        """Columns of the series that may group them: the hierarchy first, then every other attribute in words."""
        words = [name for name, dtype in self.series.schema.items() if dtype == pl.String or dtype == pl.Categorical]
        return tuple(dict.fromkeys((*self.hierarchy, *(name for name in words if name != "unique_id"))))

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
        return gather(flat, self.offsets[:-1], self.lengths, self.lengths - length, length, fill)

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
        values, offsets = take(self.values, self.offsets[:-1], lengths)
        available = None if self.available is None else take(self.available, self.offsets[:-1], lengths)[0]
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
        if len(chosen) == self.n_series and (chosen == np.arange(self.n_series)).all():
            return self
        lows, lengths = self.offsets[:-1][chosen], self.lengths[chosen]
        values, offsets = take(self.values, lows, lengths)
        return replace(
            self,
            values=values,
            offsets=offsets,
            starts=self.starts[chosen],
            series=rows_at(self.series, chosen),
            available=None if self.available is None else take(self.available, lows, lengths)[0],
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
