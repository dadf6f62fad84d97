"""Demand as level x season: what is fitted on a panel, and how a forecast is put together from it.

A series' level is a mix of decayed means at several half-lives, each leaning on the series' long-run mean and that on
its category's. Its season is a product of factors: opening, known-ahead flags, year, time of day, weekday. Every sum
here is taken row by row in a fixed order, so that a series' forecast does not depend on the company it is in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.covariates import Covariate
from shelfwise.domain.errors import ModelError
from shelfwise.domain.panel import Panel
from shelfwise.domain.paths import Dependence
from shelfwise.forecasting.calendar_model import Calendar
from shelfwise.forecasting.seasonality import (
    FLOOR,
    RECENT_CYCLES,
    bin_sums,
    cycle_shape,
    moving_level,
    read,
    read_year,
    short_cycles,
    year_bins,
    year_index,
)

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

ROWS_PER_BLOCK: Final = 1024  # series read at once
ROWS_PER_SLICE: Final = 256  # series of a block worked on at once: their arrays stay near the processor
SERIES_PER_GROUP: Final = 30  # a level of the hierarchy with fewer to a group has no shape of its own to lend
DEFAULT_LEVEL_SHARE: Final = 0.25  # of Dependence, where too little is held out to choose it


@dataclass(frozen=True, eq=False)
class Groups:
    """Which category each series belongs to; the last group is everything else."""

    column: str  # attribute of the series, '' where there is none
    names: tuple[str, ...]

    @classmethod
    def of(cls, panel: Panel) -> Groups:
        """Return the groups of ``category``, or of the finest level of the hierarchy with enough series to each."""
        if "category" in panel.series.columns:
            return cls("category", _words(panel, "category"))
        levels = {name: _words(panel, name) for name in panel.attributes if name not in ("product", "warehouse")}
        usable = [name for name, words in levels.items() if 1 < len(words) <= panel.n_series / SERIES_PER_GROUP]
        finest = max(usable, key=lambda name: len(levels[name]), default="")
        return cls(finest, levels.get(finest, ()))

    def __len__(self) -> int:
        return len(self.names) + 1

    def codes(self, panel: Panel) -> Integers:
        """Return the group [N] of each series; one never seen while fitting falls to the last group."""
        if not self.column or self.column not in panel.series.columns:
            return np.full(panel.n_series, len(self.names), dtype=np.int64)
        place = {name: i for i, name in enumerate(self.names)}
        cells = panel.series[self.column].cast(pl.String).to_list()
        return np.array([place.get(cell, len(self.names)) for cell in cells], dtype=np.int64)


def _words(panel: Panel, column: str) -> tuple[str, ...]:
    return tuple(panel.series[column].cast(pl.String).drop_nulls().unique().sort())


@dataclass(frozen=True, eq=False)
class Fitted:
    """Everything measured on the panel a model was fitted on."""

    freq: Frequency
    is_count: bool
    groups: Groups
    half_lives: Floats  # [K] periods
    window: int  # periods of history looked at
    cycle_shapes: tuple[Floats, ...]  # one [G, length] for each short cycle
    year_shape: Floats  # [G, B]
    year_strength: float
    flags: tuple[str, ...]  # names of known-ahead flags
    lifts: Floats  # [G, flags] factor while the flag is up
    prior_level: Floats  # [G] units per period
    prior_periods: Floats  # [G] periods of history the prior is worth
    prior_spread: Floats  # [G] squared coefficient of variation of level within the group
    noise: Floats  # [G] variance over mean
    buckets: Integers  # [C] last horizon step of each bucket of the mix
    mix: Floats  # [C, classes, K + 1] weights of the decayed means and of the long-run mean
    class_edges: Floats  # [classes - 1] levels between classes
    widths: Floats  # [C, classes] factor on the noise
    dependence: Dependence
    calendar: Calendar | None = None  # what the calendar of the aggregates explains, in place of year and shared flags

    @classmethod
    def default(cls, pool: Panel, half_lives: tuple[float, ...], days: int, groups: Groups) -> Fitted:
        freq, is_count, n_groups = pool.freq, pool.is_count, len(groups)
        lives = np.asarray(half_lives) * _pace(freq)
        start = np.full(len(lives) + 1, 1.0 / (len(lives) + 1))
        wanted = freq.periods(days) if freq.unit not in ("w", "mo") else freq.periods_per_year * _YEARS[freq.unit]
        cycles = [RECENT_CYCLES * cycle.periods(freq) for cycle in short_cycles(freq)]
        window = int(min(max(wanted if freq.is_daily_or_longer else 0, *cycles, 28), pool.lengths.max()))
        return cls(
            freq=freq,
            is_count=is_count,
            groups=groups,
            half_lives=lives,
            window=window,
            cycle_shapes=tuple(np.ones((n_groups, cycle.length)) for cycle in short_cycles(freq)),
            year_shape=np.ones((n_groups, year_bins(freq))),
            year_strength=0.0,
            flags=(),
            lifts=np.ones((n_groups, 0)),
            prior_level=np.zeros(n_groups),
            prior_periods=np.ones(n_groups),
            prior_spread=np.ones(n_groups),
            noise=np.ones(n_groups),
            buckets=np.array([1], dtype=np.int64),
            mix=start[None, None, :],
            class_edges=np.zeros(0),
            widths=np.ones((1, 1)),
            dependence=Dependence(0.0, DEFAULT_LEVEL_SHARE),
        )

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        arrays = {
            "freq": np.array([self.freq.count, self.freq.unit, self.freq.anchor], dtype=np.str_),
            "groups": np.array([self.groups.column, *self.groups.names], dtype=np.str_),
            "flags": np.array(self.flags, dtype=np.str_),
            "scalars": np.array(
                [self.is_count, self.window, self.year_strength, self.dependence.world, self.dependence.level]
            ),
        }
        arrays |= {f"cycle_{i}": shape for i, shape in enumerate(self.cycle_shapes)}
        if self.calendar is not None:
            arrays |= self.calendar.to_arrays()
        return arrays | {name: getattr(self, name) for name in _ARRAY_FIELDS}

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> Fitted:
        try:
            count, unit, anchor = arrays["freq"].tolist()
            column, *names = arrays["groups"].tolist()
            is_count, window, strength, world, level = arrays["scalars"].tolist()
            freq = Frequency(int(count), unit, int(anchor))
            return cls(
                freq=freq,
                is_count=bool(is_count),
                groups=Groups(column, tuple(names)),
                window=int(window),
                cycle_shapes=tuple(arrays[f"cycle_{i}"] for i in range(len(short_cycles(freq)))),
                year_strength=float(strength),
                flags=tuple(arrays["flags"].tolist()),
                dependence=Dependence(float(world), float(level)),
                calendar=Calendar.from_arrays(arrays),
                **{name: arrays[name] for name in _ARRAY_FIELDS},
            )
        except (KeyError, ValueError) as error:
            raise ModelError(f"stored base model cannot be read: {error}; fit it again") from error


_ARRAY_FIELDS: Final = (
    "half_lives",
    "year_shape",
    "lifts",
    "prior_level",
    "prior_periods",
    "prior_spread",
    "noise",
    "buckets",
    "mix",
    "class_edges",
    "widths",
)


_YEARS: Final = {"w": 3, "mo": 5}  # years of weeks and months that levels and own seasons are read off


def _pace(freq: Frequency) -> float:
    """Return periods per day of shop life, as half-lives in days are too short for weeks and months."""
    if freq.unit in ("w", "mo"):
        return 0.5
    return max(1.0, 1440.0 / freq.minutes)


@dataclass(frozen=True, eq=False)
class Block:
    """Series as arrays over their last T periods."""

    values: Floats  # [n, T] units, zero where not seen
    seen: Floats  # [n, T] 1 where recorded, on sale and open
    ordinals: Integers  # [1, T] where all series end together, else [n, T]
    flags: dict[str, Floats]  # name -> [n, T + H] 0 or 1, missing read as 0
    open: Floats | None  # [n, T + H] share of the period the shop is open, where given
    calendar: Floats | None  # [1 | n, T + H] factor of the calendar of the aggregates, where it is used
    groups: Integers  # [n]

    @property
    def periods(self) -> int:
        """Number of past periods T."""
        return int(self.values.shape[1])

    def slices(self) -> Iterator[tuple[slice, Block]]:
        """Yield the block in views of `ROWS_PER_SLICE` series, and their rows in it."""
        for low in range(0, len(self.groups), ROWS_PER_SLICE):
            rows = slice(low, low + ROWS_PER_SLICE)
            yield (
                rows,
                replace(
                    self,
                    values=self.values[rows],
                    seen=self.seen[rows],
                    ordinals=self.ordinals if len(self.ordinals) == 1 else self.ordinals[rows],
                    flags={name: flag[rows] for name, flag in self.flags.items()},
                    open=None if self.open is None else self.open[rows],
                    calendar=self.calendar if self.calendar is None or len(self.calendar) == 1 else self.calendar[rows],
                    groups=self.groups[rows],
                ),
            )


def iterate_blocks(panel: Panel, fitted: Fitted, future: int) -> Iterator[tuple[Integers, Block]]:
    """Yield blocks of at most `ROWS_PER_BLOCK` series, and their rows in the panel."""
    for low in range(0, panel.n_series, ROWS_PER_BLOCK):
        yield read_block(panel, fitted, low, future)


def read_block(whole: Panel, fitted: Fitted, low: int, future: int) -> tuple[Integers, Block]:
    """Return the block of series that begins at row ``low``, and its rows."""
    rows = np.arange(low, min(low + ROWS_PER_BLOCK, whole.n_series))
    panel = whole.select(rows)
    length = fitted.window  # never the chunk's own longest: sums must not depend on the company a series is in
    values = panel.window(length)
    seen = ~np.isnan(values) if panel.available is None else panel.available_window(length)
    starts = panel.ends - length
    flags: dict[str, Floats] = {
        name: (panel.known_future[name].at(starts, length + future) > 0.5).astype(np.float64)  # NaN is not above
        for name in fitted.flags
        if name in panel.known_future and not panel.known_future[name].categories
    }
    opened = None
    if "open" in panel.known_future:
        opened = panel.known_future["open"].at(starts, length + future)
        opened = np.clip(np.where(np.isnan(opened), 1.0, opened), 0.0, 1.0)
        seen = seen & (opened[:, :length] > 0)
    for name, covariate in panel.known_future.items():
        if "price" in name and not covariate.shared and not covariate.categories:  # no price yet: not yet on sale
            priced = ~np.isnan(covariate.at(starts, length))
            first = priced.argmax(axis=1)
            silent = np.flatnonzero(~priced.any(axis=1))
            first[silent] = np.where(_priced_ever(covariate, silent), length, 0)
            if first.any():
                seen = seen & (np.arange(length) >= first[:, None])
    ends = panel.ends[:1] if (panel.ends == panel.ends[0]).all() else panel.ends
    calendar = None
    if fitted.calendar is not None:
        cells = fitted.calendar.codes(panel.series)
        calendar = fitted.calendar.at(cells, ends[:, None] + np.arange(-length, future))
        changed = fitted.calendar.plans.changed(panel, cells, future) if future else None
        if changed is not None:
            calendar[:, length:] *= changed
        seen = seen & (calendar[:, :length] > 0)
    weight = seen.astype(np.float64)
    known = np.fmax(values, 0.0).astype(np.float64)  # of a number and NaN, fmax takes the number
    known *= weight
    ordinals = ends[:, None] + np.arange(-length, 0)
    codes = fitted.groups.codes(panel)
    return rows, Block(known, weight, ordinals, flags, opened, calendar, codes)


def _priced_ever(covariate: Covariate, rows: Integers) -> Flags:
    """Return which series at ``rows`` have a price at any time: nothing can be said of one that is on no price list."""
    some = covariate.select(rows)
    told = np.concatenate([[0], np.cumsum(~np.isnan(some.values))])
    ever: Flags = np.diff(told[some.offsets]) > 0
    return ever


@dataclass(frozen=True, eq=False)
class Parts:
    """What the forecasts of a block are made of."""

    means: Floats  # [n, K + 1] decayed means, then the long-run mean, in units per period of season 1
    season: Floats  # [n, H] product of the factors
    factors: dict[str, Floats]  # name -> [n, H]
    noise: Floats  # [n] variance over mean
    known: Floats  # [n] periods of history, as deseasonalised weight
    groups: Integers  # [n]

    def only(self, rows: Integers) -> Parts:
        """Return some rows."""
        factors = {name: factor[rows] for name, factor in self.factors.items()}
        known, groups = self.known[rows], self.groups[rows]
        return Parts(self.means[rows], self.season[rows], factors, self.noise[rows], known, groups)

    @classmethod
    def stacked(cls, parts: list[Parts]) -> Parts:
        """Return the parts of several blocks as one, row by row."""
        factors = {name: np.concatenate([one.factors[name] for one in parts]) for name in parts[0].factors}
        arrays = ("means", "season", "noise", "known", "groups")
        return cls(factors=factors, **{name: np.concatenate([getattr(one, name) for one in parts]) for name in arrays})


def decompose(block: Block, fitted: Fitted, horizon: int) -> Parts:
    """Return what the next ``horizon`` periods of a block are made of."""
    if len(block.groups) > ROWS_PER_SLICE:
        return Parts.stacked([decompose(some, fitted, horizon) for _, some in block.slices()])
    periods = block.periods
    ordinals = np.concatenate([block.ordinals, block.ordinals[:, -1:] + np.arange(1, horizon + 1)], axis=1)
    season = np.ones((len(block.groups), periods + horizon))
    factors: dict[str, Floats] = {}

    def apply(name: str, factor: Floats) -> None:
        nonlocal season
        season *= factor
        factors[name] = factors.get(name, 1.0) * factor[:, periods:]  # a flag may be called like a season

    if block.open is not None:
        apply("open", block.open[:, : periods + horizon])
    for i, name in enumerate(fitted.flags):
        if name in block.flags:
            raised = block.flags[name][:, : periods + horizon]
            apply(name, 1.0 + raised * (fitted.lifts[block.groups, i] - 1.0)[:, None])
    if block.calendar is not None:
        apply("calendar", block.calendar[:, : periods + horizon])
    if fitted.year_strength and fitted.freq.is_daily_or_longer:
        apply("year", year_factors(fitted, block.groups, ordinals))
    noise = noise_of(block, season[:, :periods], fitted)
    for cycle, shape in zip(short_cycles(fitted.freq), fitted.cycle_shapes, strict=True):
        index = cycle.index(fitted.freq, ordinals)
        own = cycle_shape(
            block.values,
            block.seen,
            np.maximum(season[:, :periods], FLOOR),
            index[:, :periods],
            cycle.periods(fitted.freq),
            cycle.length,
            noise,
            shape[block.groups],
        )
        apply(cycle.name, read(own, index))
    if fitted.year_strength and fitted.freq.unit in ("w", "mo"):
        apply("own_year", _own_year(block, season[:, :periods], ordinals, fitted, noise))
    past = np.maximum(season[:, :periods], FLOOR)
    means, known = _decayed_means(block, past, fitted)
    noise = noise_of(block, past, fitted)
    return Parts(means, np.maximum(season[:, periods:], 0.0), factors, noise, known, block.groups)


def year_factors(fitted: Fitted, groups: Integers, ordinals: Integers) -> Floats:
    """Return the year [n, T] of the series' groups at ordinals [1 or n, T]."""
    shape, position = fitted.year_shape**fitted.year_strength, year_index(fitted.freq, ordinals)
    if len(position) == 1:  # a group's row is read once and then handed to its series
        return read_year(shape, position)[groups]
    return read_year(shape[groups], position)


def _own_year(block: Block, season: Floats, ordinals: Integers, fitted: Fitted, noise: Floats) -> Floats:
    """Return [n, T + H] the part of its year that a series does not share with its category; needs two years."""
    bins = year_bins(fitted.freq)
    periods = block.periods
    if periods < 2 * bins:
        return np.ones((len(block.groups), ordinals.shape[1]))
    position = year_index(fitted.freq, ordinals)
    index = np.floor(position).astype(np.int64) % bins
    past = np.maximum(season, FLOOR)
    explained = block.seen * past
    level = moving_level(block.values, explained, bins)
    top, bottom = (bin_sums(x, index[:, :periods], bins) for x in (block.values, level * explained))
    if fitted.freq.unit == "w":  # neighbouring weeks share their season
        top, bottom = (x + 0.5 * (np.roll(x, 1, axis=1) + np.roll(x, -1, axis=1)) for x in (top, bottom))
    units = 8.0 * noise[:, None]
    shape = (top + units) / np.maximum(bottom + units, 1e-9)
    shape /= np.maximum(shape.mean(axis=1, keepdims=True), 1e-9)
    return read(shape**fitted.year_strength, index)


def noise_of(block: Block, season: Floats, fitted: Fitted, lean: float = 20.0) -> Floats:
    """Return [n] variance over mean around a local level, shrunk to the group's by ``lean`` periods' worth."""
    explained = np.maximum(season, FLOOR)
    explained *= block.seen
    span = max(4 * fitted.freq.season, 13) if not fitted.freq.is_daily_or_longer else noise_span(fitted.freq)
    span = min(span, explained.shape[1])
    expected = moving_level(block.values, explained, span)
    expected *= explained
    total = expected.sum(axis=1)
    gap = np.subtract(block.values, expected, out=expected)
    gap *= gap
    gap *= block.seen
    error = gap.sum(axis=1)
    seen = block.seen.sum(axis=1)
    lost = 1.0 / (1.0 - 1.0 / max(2.0, span))  # the level was fitted to the same periods
    prior = fitted.noise[block.groups]
    mean = np.where(seen > 0, total / np.maximum(seen, 1.0), 0.0)
    weight = lean * np.maximum(mean, 1e-9)
    noise: Floats = (error * lost + prior * weight) / np.maximum(total + weight, 1e-9)
    return np.maximum(noise, 1.0 if fitted.is_count else 1e-6)


def noise_span(freq: Frequency) -> int:
    """Return the periods over which a level is taken to be steady when noise is measured: eight weeks or a quarter."""
    return 56 if freq.unit == "d" else 13


def _decayed_means(block: Block, season: Floats, fitted: Fitted) -> tuple[Floats, Floats]:
    """Return [n, K + 1] decayed means (the long-run one last) and [n] periods of history."""
    periods = season.shape[1]
    age = np.arange(periods - 1, -1, -1)  # [T] periods before the origin
    decay = 0.5 ** (age / fitted.half_lives[:, None])  # [K, T]
    weight = block.seen * season
    known = weight.sum(axis=1)
    prior = fitted.prior_periods[block.groups]
    long_run = (block.values.sum(axis=1) + prior * fitted.prior_level[block.groups]) / (known + prior)
    # einsum, not matmul: a matrix product may round a row differently in another chunk
    top, bottom = (np.einsum("nt,kt->nk", x, decay) for x in (block.values, weight))
    lean = 0.5  # a decayed mean that has seen nothing lately is the long-run one
    means = (top + lean * long_run[:, None]) / (bottom + lean)
    return np.concatenate([means, long_run[:, None]], axis=1), known


def level_of(parts: Parts, fitted: Fitted) -> Floats:
    """Return the level [n, H] of each step of the horizon, from the mix of its bucket and class."""
    horizon = parts.season.shape[1]
    classes = classes_of(parts, fitted)
    bucket = np.minimum(np.searchsorted(fitted.buckets, np.arange(1, horizon + 1)), len(fitted.buckets) - 1)
    per_bucket: Floats = np.stack(
        [np.einsum("nk,nk->n", parts.means, mix[classes]) for mix in fitted.mix], axis=1
    )  # [n, C] units
    level: Floats = np.maximum(per_bucket, 0.0)[:, bucket]
    return level


def classes_of(parts: Parts, fitted: Fitted) -> Integers:
    """Return the class of level [n] of each series."""
    found: Integers = np.searchsorted(fitted.class_edges, parts.means.mean(axis=1))
    return found


def moments_of(parts: Parts, fitted: Fitted, factor: Floats | None = None) -> tuple[Floats, Floats]:
    """Return mean and variance [n, H]; ``factor`` [n, H] multiplies the mean where another model corrects it.

    variance = width x noise x mean x (1 + 1 / periods) + spread x share x mean^2: the error of a level read off so many
    periods, and what is not known of a level of which that share is borrowed. Both are small after a season or two.
    """
    horizon = parts.season.shape[1]
    mean = level_of(parts, fitted) * parts.season
    if factor is not None:
        mean = mean * factor
    bucket = np.minimum(np.searchsorted(fitted.buckets, np.arange(1, horizon + 1)), len(fitted.buckets) - 1)
    width = fitted.widths[:, classes_of(parts, fitted)].T[:, bucket]  # [n, H]
    prior = fitted.prior_periods[parts.groups]
    borrowed = prior / (parts.known + prior)
    unknown = fitted.prior_spread[parts.groups] * borrowed
    read_off = 1.0 + parts.known / (parts.known + prior) ** 2  # [n]
    noise = _widened(parts.noise[:, None], width, fitted.is_count) * read_off[:, None]
    variance = noise * mean + unknown[:, None] * mean**2
    return mean, variance


def _widened(noise: Floats, width: Floats, is_count: bool) -> Floats:
    """Return noise (variance over mean) times width; counts keep their Poisson part."""
    return 1.0 + width * (noise - 1.0) + 0.25 * np.maximum(width - 1.0, 0.0) if is_count else width * noise
