"""The base model: level x season for all series at once, in numpy, with negative binomial noise.

A series' level is a mix of decayed means at several half-lives, each leaning on the long-run mean and that on its
category's; the mix, the strength of the yearly shape, the width of the noise and how errors persist are all chosen on
held-out windows of the panel it is fitted on. Shapes (time of day, weekday, year) and the lift of known-ahead flags
such as promotions are shrunk to the category's. Censored and missing periods weigh nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import optimize

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.errors import ModelError, ParameterError
from shelfwise.domain.forecast import Forecast, Provenance
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.panel import Panel
from shelfwise.domain.paths import Dependence, draw_paths
from shelfwise.forecasting.contract import check_horizon
from shelfwise.forecasting.seasonality import (
    FLOOR,
    RECENT_CYCLES,
    bin_sums,
    cycle_shape,
    moving_level,
    pooled_cycle_shape,
    pooled_year_shape,
    read,
    read_year,
    short_cycles,
    year_bins,
    year_index,
)

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]

VERSION: Final = "1"
ROWS_PER_BLOCK: Final = 1024  # series worked on at once: their arrays stay near the processor
YEAR_STRENGTHS: Final = (0.0, 0.5, 1.0)
WIDTHS: Final = (0.3, 0.45, 0.6, 0.75, 0.9, 1.1, 1.4, 1.8, 2.4, 3.4, 5.0, 8.0)
LONGEST_YEARS: Final = 5  # a yearly shape is read off the last five
WIDTH_ROWS, TOTAL_ROWS = 4500, 900  # held-out windows that widths, and the dependence over time, are chosen on
OPTIMISM: Final = 0.08  # widths are chosen on the windows the mix was fitted to, so they come out this much narrow
SUM_ROWS: Final = 0.3  # how firmly the weights of a mix sum to 1, as a share of the data's own pull
CLASSES: Final = 5  # classes of level with a width of their own
LEVELS: Final = np.array([0.1, 0.3, 0.5, 0.7, 0.9])  # quantiles a width is judged by
TOTAL_LEVELS: Final = np.array([0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95])  # of the horizon's total: orders live above 1/2
SHARES: Final = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)  # candidates for Dependence.level
DEFAULT_LEVEL_SHARE: Final = 0.2


@dataclass(frozen=True)
class BaseLevel:
    """The base model's parameters.

    Parameters
    ----------
    half_lives
        Half-lives of the decayed means, in short seasons' worth of time: periods for days, see `_half_lives`.
    history_days
        Days of history that levels and weekday shapes of daily and finer series are read off, at least 28; weeks and
        months look at three and five years.
    sample
        Series the pooled quantities are measured on, chosen by a hash of their ids; at least 50.
    cutoffs
        Held-out windows used while fitting, at least 1.

    >>> BaseLevel(cutoffs=0)
    Traceback (most recent call last):
    shelfwise.domain.errors.ParameterError: cutoffs must be at least 1, got 0
    """

    name: str = field(default="base_level", init=False)
    half_lives: tuple[float, ...] = (1.0, 3.0, 7.0, 14.0, 30.0, 90.0)
    history_days: int = 400
    sample: int = 4000
    cutoffs: int = 3

    def __post_init__(self) -> None:
        if not self.half_lives or min(self.half_lives) <= 0:
            raise ParameterError(f"half_lives must be above 0 periods, got {self.half_lives}")
        for name, low in (("history_days", 28), ("sample", 50), ("cutoffs", 1)):
            if getattr(self, name) < low:
                raise ParameterError(f"{name} must be at least {low}, got {getattr(self, name)}")

    def fit(self, panel: Panel) -> BaseLevelPredictor:
        """Return a predictor with shapes, mix, widths and persistence measured on ``panel``."""
        pool = _sample(panel, self.sample)
        groups = _Groups.of(pool)
        start = _Fitted.default(pool, self.half_lives, self.history_days, groups)
        fitted = _choose(pool, groups, start, self.cutoffs)
        return BaseLevelPredictor(fitted)

    def restore(self, arrays: dict[str, npt.NDArray[Any]]) -> BaseLevelPredictor:
        """Return the predictor that `BaseLevelPredictor.to_arrays` described."""
        return BaseLevelPredictor(_Fitted.from_arrays(arrays))


@dataclass(frozen=True, eq=False)
class BaseLevelPredictor:
    """The base model, fitted."""

    fitted: _Fitted
    name: str = field(default="base_level", init=False)
    version: str = field(default=VERSION, init=False)

    def predict(self, panel: Panel, horizon: int, *, n_paths: int = 200, seed: int = 0) -> Forecast:
        """Return the forecast of the next ``horizon`` periods; see `contract.Predictor.predict`."""
        check_horizon(horizon)
        if panel.freq != self.fitted.freq:
            raise ModelError(f"fitted on periods of {self.fitted.freq}, asked for {panel.freq}; fit on such a panel")
        mean = np.empty((panel.n_series, horizon))
        variance = np.empty((panel.n_series, horizon))

        def fill(low: int) -> None:
            rows, block = _block(panel, self.fitted, low, horizon)
            mean[rows], variance[rows] = _moments(_decompose(block, self.fitted, horizon), self.fitted)

        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            list(pool.map(fill, range(0, panel.n_series, ROWS_PER_BLOCK)))
        return Forecast(
            series=panel.series,
            starts=panel.ends,
            freq=panel.freq,
            provenance=Provenance(self.name, self.version, panel.data_until, seed, self._notes(panel)),
            n_paths=n_paths,
            marginals=Marginals(mean, variance, self.fitted.is_count),
            dependence=self.fitted.dependence,
        )

    def components(self, panel: Panel, horizon: int) -> dict[str, Floats]:
        """Return what each forecast is made of: factors [N, H] whose product is the mean.

        ``level`` is in units per period; ``weekday`` (and other cycles), ``year`` and one entry for each known-ahead
        flag are factors around 1.
        """
        check_horizon(horizon)
        factors: dict[str, Floats] = {}
        for rows, block in _blocks(panel, self.fitted, horizon):
            parts = _decompose(block, self.fitted, horizon)
            level = _level(parts, self.fitted)
            for name, factor in {"level": level, **parts.factors}.items():
                factors.setdefault(name, np.ones((panel.n_series, horizon)))[rows] = factor
        return factors

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return everything fitted as named arrays."""
        return self.fitted.to_arrays()

    def _notes(self, panel: Panel) -> tuple[str, ...]:
        notes = []
        unused = [n for n in (*panel.known_future, *panel.past_only) if n not in (*self.fitted.flags, "open")]
        if unused:
            notes.append(f"covariates not used by this model: {', '.join(sorted(unused))}")
        young = int((panel.lengths < 7).sum())
        if young:
            notes.append(f"{young:,} series with under 7 periods of history lean on their category")
        return tuple(notes)


# ---------------------------------------------------------------------- what is fitted


@dataclass(frozen=True, eq=False)
class _Groups:
    """Which category each series belongs to; the last group is everything else."""

    column: str  # attribute of the series, '' where there is none
    names: tuple[str, ...]

    @classmethod
    def of(cls, panel: Panel) -> _Groups:
        for column in ("category", *[c for c in panel.hierarchy if c not in ("product", "warehouse")]):
            if column in panel.series.columns:
                known = panel.series[column].cast(pl.String).drop_nulls()
                return cls(column, tuple(known.unique().sort()))
        return cls("", ())

    def __len__(self) -> int:
        return len(self.names) + 1

    def codes(self, panel: Panel) -> Integers:
        """Return the group [N] of each series; one never seen while fitting falls to the last group."""
        if not self.column or self.column not in panel.series.columns:
            return np.full(panel.n_series, len(self.names), dtype=np.int64)
        place = {name: i for i, name in enumerate(self.names)}
        cells = panel.series[self.column].cast(pl.String).to_list()
        return np.array([place.get(cell, len(self.names)) for cell in cells], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class _Fitted:
    """Everything measured on the panel a model was fitted on."""

    freq: Frequency
    is_count: bool
    groups: _Groups
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

    @classmethod
    def default(cls, pool: Panel, half_lives: tuple[float, ...], days: int, groups: _Groups) -> _Fitted:
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
        return arrays | {name: getattr(self, name) for name in _ARRAY_FIELDS}

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> _Fitted:
        try:
            count, unit, anchor = arrays["freq"].tolist()
            column, *names = arrays["groups"].tolist()
            is_count, window, strength, world, level = arrays["scalars"].tolist()
            freq = Frequency(int(count), unit, int(anchor))
            return cls(
                freq=freq,
                is_count=bool(is_count),
                groups=_Groups(column, tuple(names)),
                window=int(window),
                cycle_shapes=tuple(arrays[f"cycle_{i}"] for i in range(len(short_cycles(freq)))),
                year_strength=float(strength),
                flags=tuple(arrays["flags"].tolist()),
                dependence=Dependence(float(world), float(level)),
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


# ---------------------------------------------------------------------- blocks of series with one calendar


@dataclass(frozen=True, eq=False)
class _Block:
    """Series as arrays over their last T periods."""

    values: Floats  # [n, T] units, zero where not seen
    seen: Floats  # [n, T] 1 where recorded, on sale and open
    ordinals: Integers  # [1, T] where all series end together, else [n, T]
    flags: dict[str, Floats]  # name -> [n, T + H] 0 or 1, missing read as 0
    open: Floats | None  # [n, T + H] share of the period the shop is open, where given
    groups: Integers  # [n]

    @property
    def periods(self) -> int:
        """Number of past periods T."""
        return int(self.values.shape[1])


def _blocks(panel: Panel, fitted: _Fitted, future: int) -> Iterator[tuple[Integers, _Block]]:
    """Yield blocks of at most `ROWS_PER_BLOCK` series, and their rows in the panel."""
    for low in range(0, panel.n_series, ROWS_PER_BLOCK):
        yield _block(panel, fitted, low, future)


def _block(whole: Panel, fitted: _Fitted, low: int, future: int) -> tuple[Integers, _Block]:
    """Return the block of series that begins at row ``low``, and its rows."""
    rows = np.arange(low, min(low + ROWS_PER_BLOCK, whole.n_series))
    panel = whole.select(rows)
    length = fitted.window  # never the chunk's own longest: sums must not depend on the company a series is in
    values = panel.window(length).astype(np.float64)
    seen = panel.available_window(length)
    starts = panel.ends - length
    flags: dict[str, Floats] = {
        name: (np.nan_to_num(panel.known_future[name].at(starts, length + future)) > 0.5).astype(np.float64)
        for name in fitted.flags
        if name in panel.known_future
    }
    opened = None
    if "open" in panel.known_future:
        opened = panel.known_future["open"].at(starts, length + future)
        opened = np.clip(np.where(np.isnan(opened), 1.0, opened), 0.0, 1.0)
        seen = seen & (opened[:, :length] > 0)
    values = np.where(seen, np.maximum(np.nan_to_num(values), 0.0), 0.0)
    ends = panel.ends[:1] if (panel.ends == panel.ends[0]).all() else panel.ends
    ordinals = ends[:, None] + np.arange(-length, 0)
    return rows, _Block(values, seen.astype(np.float64), ordinals, flags, opened, fitted.groups.codes(panel))


# ---------------------------------------------------------------------- decomposition


@dataclass(frozen=True, eq=False)
class _Parts:
    """What the forecasts of a block are made of."""

    means: Floats  # [n, K + 1] decayed means, then the long-run mean, in units per period of season 1
    season: Floats  # [n, H] product of the factors
    factors: dict[str, Floats]  # name -> [n, H]
    noise: Floats  # [n] variance over mean
    known: Floats  # [n] periods of history, as deseasonalised weight
    groups: Integers  # [n]


def _decompose(block: _Block, fitted: _Fitted, horizon: int) -> _Parts:
    periods = block.periods
    ordinals = np.concatenate([block.ordinals, block.ordinals[:, -1:] + np.arange(1, horizon + 1)], axis=1)
    season = np.ones((len(block.groups), periods + horizon))
    factors: dict[str, Floats] = {}

    def apply(name: str, factor: Floats) -> None:
        nonlocal season
        season *= factor
        factors[name] = factor[:, periods:]

    if block.open is not None:
        apply("open", block.open[:, : periods + horizon])
    for i, name in enumerate(fitted.flags):
        if name in block.flags:
            raised = block.flags[name][:, : periods + horizon]
            apply(name, 1.0 + raised * (fitted.lifts[block.groups, i] - 1.0)[:, None])
    if fitted.year_strength and fitted.freq.is_daily_or_longer:
        position = year_index(fitted.freq, ordinals)
        apply("year", read_year(fitted.year_shape[block.groups] ** fitted.year_strength, position))
    noise = _noise(block, season[:, :periods], fitted)
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
    noise = _noise(block, past, fitted)
    return _Parts(means, np.maximum(season[:, periods:], 0.0), factors, noise, known, block.groups)


def _own_year(block: _Block, season: Floats, ordinals: Integers, fitted: _Fitted, noise: Floats) -> Floats:
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


def _noise(block: _Block, season: Floats, fitted: _Fitted) -> Floats:
    """Return [n] variance over mean around a local level, shrunk to the group's by 20 periods' worth."""
    past = np.maximum(season, FLOOR)
    explained = block.seen * past
    span = max(4 * fitted.freq.season, 13) if not fitted.freq.is_daily_or_longer else _noise_span(fitted.freq)
    level = moving_level(block.values, explained, min(span, explained.shape[1]))
    expected = level * explained
    error = (block.seen * (block.values - expected) ** 2).sum(axis=1)
    total = expected.sum(axis=1)
    seen = block.seen.sum(axis=1)
    lost = 1.0 / (1.0 - 1.0 / max(2.0, min(span, explained.shape[1])))  # the level was fitted to the same periods
    prior = fitted.noise[block.groups]
    mean = np.where(seen > 0, total / np.maximum(seen, 1.0), 0.0)
    weight = 20.0 * np.maximum(mean, 1e-9)
    noise: Floats = (error * lost + prior * weight) / np.maximum(total + weight, 1e-9)
    return np.maximum(noise, 1.0 if fitted.is_count else 1e-6)


def _noise_span(freq: Frequency) -> int:
    return 56 if freq.unit == "d" else 13


def _decayed_means(block: _Block, season: Floats, fitted: _Fitted) -> tuple[Floats, Floats]:
    """Return [n, K + 1] decayed means (the long-run one last) and [n] periods of history."""
    periods = season.shape[1]
    age = np.arange(periods - 1, -1, -1)[:, None]  # [T, 1] periods before the origin
    decay = 0.5 ** (age / fitted.half_lives)  # [T, K]
    weight = block.seen * season
    known = weight.sum(axis=1)
    prior = fitted.prior_periods[block.groups]
    long_run = (block.values.sum(axis=1) + prior * fitted.prior_level[block.groups]) / (known + prior)
    # einsum, not matmul: a matrix product may round a row differently in another chunk
    top, bottom = (np.einsum("nt,tk->nk", x, decay) for x in (block.values, weight))
    lean = 0.5  # a decayed mean that has seen nothing lately is the long-run one
    means = (top + lean * long_run[:, None]) / (bottom + lean)
    return np.concatenate([means, long_run[:, None]], axis=1), known


def _level(parts: _Parts, fitted: _Fitted) -> Floats:
    """Return the level [n, H] of each step of the horizon, from the mix of its bucket and class."""
    horizon = parts.season.shape[1]
    classes = _classes(parts, fitted)
    bucket = np.minimum(np.searchsorted(fitted.buckets, np.arange(1, horizon + 1)), len(fitted.buckets) - 1)
    per_bucket: Floats = np.stack(
        [np.einsum("nk,nk->n", parts.means, mix[classes]) for mix in fitted.mix], axis=1
    )  # [n, C] units
    level: Floats = np.maximum(per_bucket, 0.0)[:, bucket]
    return level


def _classes(parts: _Parts, fitted: _Fitted) -> Integers:
    found: Integers = np.searchsorted(fitted.class_edges, parts.means.mean(axis=1))
    return found


def _moments(parts: _Parts, fitted: _Fitted) -> tuple[Floats, Floats]:
    """Return mean and variance [n, H].

    variance = width x noise x mean + spread x share x mean^2: the second part is what is not known of the level of a
    series with little history, the share of its level that is borrowed.
    """
    horizon = parts.season.shape[1]
    mean = _level(parts, fitted) * parts.season
    bucket = np.minimum(np.searchsorted(fitted.buckets, np.arange(1, horizon + 1)), len(fitted.buckets) - 1)
    width = fitted.widths[:, _classes(parts, fitted)].T[:, bucket]  # [n, H]
    prior = fitted.prior_periods[parts.groups]
    borrowed = prior / (parts.known + prior)
    unknown = fitted.prior_spread[parts.groups] * borrowed
    variance = _widened(parts.noise[:, None], width, fitted.is_count) * mean + unknown[:, None] * mean**2
    return mean, variance


def _widened(noise: Floats, width: Floats, is_count: bool) -> Floats:
    """Return noise (variance over mean) times width; counts keep their Poisson part."""
    return 1.0 + width * (noise - 1.0) + 0.25 * np.maximum(width - 1.0, 0.0) if is_count else width * noise


# ---------------------------------------------------------------------- fitting


def _sample(panel: Panel, size: int) -> Panel:
    """Return at most ``size`` series, chosen by a hash of their ids so that their order does not matter."""
    with_history = np.flatnonzero(panel.lengths > 0)
    if not len(with_history):
        raise ModelError("no series has any history; give at least one observation")
    if len(with_history) <= size:
        return panel.select(with_history)
    keys = panel.ids.gather(with_history).hash(seed=1).to_numpy()
    return panel.select(np.sort(with_history[np.argsort(keys)[:size]]))


def _choose(pool: Panel, groups: _Groups, start: _Fitted, cutoffs: int) -> _Fitted:
    """Return the fitted quantities: everything that has a choice is chosen on held-out windows of ``pool``."""
    horizon = _reference_horizon(pool)
    start = replace(start, flags=_flags(pool))
    now = _measure(pool, start)
    ends = [horizon * (i + 1) for i in range(cutoffs)]
    longest = int(pool.lengths.max())
    windows = []
    for back in ends:
        if longest - back < max(3, horizon):
            break
        past = pool.until(pool.ends - back)
        keep = past.lengths > 0
        past = past.select(keep)
        if past.n_series:
            future = pool.select(keep)
            actual, scored = _cells(future, past.ends, horizon)
            windows.append((past, actual, scored))
    if not windows:
        return now
    buckets = _buckets(pool.freq, horizon)
    best: tuple[float, _Fitted, list[_Held]] | None = None
    strengths = YEAR_STRENGTHS if longest >= 1.15 * pool.freq.periods_per_year else (0.0,)
    for strength in strengths if pool.freq.is_daily_or_longer else (0.0,):
        held = []
        for past, actual, scored in windows:
            fitted = replace(_measure(past, start, strength), year_strength=strength)
            for rows, block in _blocks(past, fitted, horizon):
                held.append(_Held(_decompose(block, fitted, horizon), actual[rows], scored[rows], fitted))
        tuned = _tune(held, replace(now, year_strength=strength, buckets=buckets))
        loss = _loss(held, tuned)
        if best is None or loss < best[0] * 0.998:  # the simpler shape unless it is beaten
            best = (loss, tuned, held)
    assert best is not None  # noqa: S101 - strengths is never empty
    chosen = best[1]
    final = _measure(pool, start, chosen.year_strength)
    return replace(
        final,
        year_strength=chosen.year_strength,
        buckets=chosen.buckets,
        mix=chosen.mix,
        class_edges=chosen.class_edges,
        widths=chosen.widths,
        dependence=_dependence(best[2], chosen),
    )


def _reference_horizon(pool: Panel) -> int:
    """Return the periods held out while fitting: four weeks, a quarter or a year, at most a fifth of the history."""
    wanted = {"min": 1440, "h": 48, "d": 28, "w": 13, "mo": 12}[pool.freq.unit] // pool.freq.count
    return int(max(1, min(wanted, pool.lengths.max() // 5)))


def _buckets(freq: Frequency, horizon: int) -> Integers:
    """Return the last step of the early, middle and late part of the horizon."""
    return np.unique(np.maximum(1, np.array([horizon // 4, horizon // 2, horizon]))).astype(np.int64)


def _cells(panel: Panel, starts: Integers, length: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return what came [N, length] from each start on, and which cells are demand."""
    back = panel.ends - starts
    longest = int(back.max())
    values, usable = panel.window(longest), panel.available_window(longest)
    columns = (longest - back)[:, None] + np.arange(length)
    inside = columns < longest
    columns = np.minimum(columns, longest - 1)
    return np.take_along_axis(values, columns, axis=1), np.take_along_axis(usable, columns, axis=1) & inside


def _flags(panel: Panel) -> tuple[str, ...]:
    """Return the known-ahead numbers that are only ever 0 or 1 and are sometimes up in the past."""
    names = []
    for name, covariate in panel.known_future.items():
        values = covariate.values[~np.isnan(covariate.values)]
        if name != "open" and not covariate.categories and np.isin(values, (0.0, 1.0)).all() and values.any():
            names.append(name)
    return tuple(sorted(names))


def _measure(panel: Panel, start: _Fitted, strength: float = 0.0) -> _Fitted:
    """Return ``start`` with the pooled shapes, lifts, priors and noise of ``panel``."""
    fitted = replace(
        start,
        year_strength=0.0,
        lifts=np.ones((len(start.groups), len(start.flags))),
        cycle_shapes=tuple(np.ones((len(start.groups), c.length)) for c in short_cycles(start.freq)),
    )
    blocks = [block for _, block in _blocks(panel, fitted, 0)]
    fitted = replace(fitted, cycle_shapes=_pooled_cycles(blocks, fitted), noise=_pooled_noise(blocks, fitted))
    if fitted.flags:
        fitted = replace(fitted, lifts=_pooled_lifts(blocks, fitted))
        fitted = replace(fitted, cycle_shapes=_pooled_cycles(blocks, fitted))
    if strength:
        years = int(min(LONGEST_YEARS * fitted.freq.periods_per_year, panel.lengths.max()))
        longer = [block for _, block in _blocks(panel, replace(fitted, window=years), 0)]
        fitted = replace(fitted, year_shape=_pooled_year(longer, fitted), year_strength=strength)
    return _priors(blocks, fitted)


def _season_so_far(block: _Block, fitted: _Fitted, *, cycles: bool = True, lifts: bool = True) -> Floats:
    """Return [n, T] the pooled factors of a block's past."""
    season = np.ones(block.values.shape)
    if block.open is not None:
        season *= np.maximum(block.open[:, : block.periods], FLOOR)
    if lifts:
        for i, name in enumerate(fitted.flags):
            if name in block.flags:
                raised = block.flags[name][:, : block.periods]
                season *= 1.0 + raised * (fitted.lifts[block.groups, i] - 1.0)[:, None]
    if cycles:
        for cycle, shape in zip(short_cycles(fitted.freq), fitted.cycle_shapes, strict=True):
            season *= read(shape[block.groups], cycle.index(fitted.freq, block.ordinals))
    if fitted.year_strength and fitted.freq.is_daily_or_longer:
        position = year_index(fitted.freq, block.ordinals)
        season *= read_year(fitted.year_shape[block.groups] ** fitted.year_strength, position)
    return np.maximum(season, FLOOR)


def _pooled_cycles(blocks: list[_Block], fitted: _Fitted) -> tuple[Floats, ...]:
    """Return the shapes of the short cycles by group, each measured on what the ones before it leave."""
    shapes: list[Floats] = []
    for cycle in short_cycles(fitted.freq):
        tops = np.zeros((len(fitted.groups), cycle.length))
        weight = np.zeros((len(fitted.groups), 1))
        for block in blocks:
            season = _season_so_far(block, fitted, cycles=False)
            for done, shape in zip(short_cycles(fitted.freq), shapes, strict=False):
                season = season * read(shape[block.groups], done.index(fitted.freq, block.ordinals))
            found = pooled_cycle_shape(
                block.values,
                block.seen,
                np.maximum(season, FLOOR),
                block.groups,
                len(fitted.groups),
                cycle.index(fitted.freq, block.ordinals),
                cycle.periods(fitted.freq),
                cycle.length,
            )
            size = np.bincount(block.groups, weights=block.seen.sum(axis=1), minlength=len(fitted.groups))[:, None]
            tops += found * size
            weight += size
        overall = tops.sum(axis=0) / max(float(weight.sum()), 1e-9)
        shapes.append(np.where(weight > 0, tops / np.maximum(weight, 1e-9), overall))
    return tuple(shapes)


def _pooled_noise(blocks: list[_Block], fitted: _Fitted) -> Floats:
    """Return [G] variance over mean: the middle series of each group, since a few wild ones would rule a mean."""
    noise, groups = [], []
    unshrunk = replace(fitted, noise=np.ones(len(fitted.groups)))
    for block in blocks:
        live = block.values.sum(axis=1) > 0
        noise.append(_noise(block, _season_so_far(block, fitted), unshrunk)[live])
        groups.append(block.groups[live])
    return _by_group(np.concatenate(noise), np.concatenate(groups), len(fitted.groups), np.median, 1.0)


def _by_group(values: Floats, groups: Integers, n_groups: int, statistic: Any, empty: float) -> Floats:
    overall = float(statistic(values)) if len(values) else empty
    found = np.full(n_groups, overall)
    for group in range(n_groups):
        mine = values[groups == group]
        if len(mine) >= 5:
            found[group] = float(statistic(mine))
    return found


def _pooled_lifts(blocks: list[_Block], fitted: _Fitted) -> Floats:
    """Return [G, flags] factors: sales while a flag is up over what the level explains, shrunk to all groups'."""
    n_groups, n_flags = len(fitted.groups), len(fitted.flags)
    top, bottom = np.zeros((n_groups, n_flags)), np.zeros((n_groups, n_flags))
    for block in blocks:
        season = _season_so_far(block, fitted, lifts=False)
        down = block.seen.copy()
        for name in block.flags:
            down *= 1.0 - block.flags[name][:, : block.periods]
        level = moving_level(block.values * down, down * season, _noise_span(fitted.freq))
        for i, name in enumerate(fitted.flags):
            if name in block.flags:
                raised = block.seen * block.flags[name][:, : block.periods]
                np.add.at(top[:, i], block.groups, (block.values * raised).sum(axis=1))
                np.add.at(bottom[:, i], block.groups, (level * season * raised).sum(axis=1))
    overall = (top.sum(axis=0) + 5.0) / (bottom.sum(axis=0) + 5.0)
    lean = 10.0 * np.maximum(fitted.noise.mean(), 1e-6)
    lifts: Floats = np.clip((top + lean * overall) / (bottom + lean), 0.05, 20.0)
    return lifts


def _pooled_year(blocks: list[_Block], fitted: _Fitted) -> Floats:
    """Return [G, B] yearly shapes from the groups' totals by week or month."""
    freq = fitted.freq
    bins = year_bins(freq)
    step = max(1, round(freq.periods_per_year / bins))  # periods per bin
    first = min(int(block.ordinals.min()) for block in blocks)
    last = max(int(block.ordinals.max()) for block in blocks)
    n_steps = min((last - first + 1) // step, LONGEST_YEARS * bins)
    start = last + 1 - n_steps * step
    sums = np.zeros((2, len(fitted.groups) + 1, n_steps + 1))  # slot 0 takes what lies before the first whole step
    for block in blocks:
        season = _season_so_far(block, fitted)
        slot = np.maximum((block.ordinals - start) // step, -1) + 1
        scale = np.sqrt(np.maximum(block.values.mean(axis=1, keepdims=True), 1e-9))  # large series count, not rule
        for side, values in enumerate((block.values / scale, block.seen * season * scale)):
            mine = bin_sums(values, slot, n_steps + 1)
            np.add.at(sums[side], block.groups, mine)
            sums[side, -1] += mine.sum(axis=0)
    top, bottom = sums[:, :, 1:]
    ratio = np.where(bottom > 1e-9, top / np.maximum(bottom, 1e-9), np.nan)
    middles = start + step * np.arange(n_steps) + (step - 1) // 2
    shape = pooled_year_shape(ratio, year_index(freq, middles), bins, level_stiffness=5.0, smoothness=1.0)
    return np.asarray(shape[:-1])


def _priors(blocks: list[_Block], fitted: _Fitted) -> _Fitted:
    """Return ``fitted`` with each group's prior level and what it is worth.

    Levels vary within a group with squared coefficient of variation c2; a gamma prior of that spread is worth
    noise / (c2 x level) periods of history (the gamma-Poisson posterior mean, noise counted in its units).
    """
    levels, groups = [], []
    for block in blocks:
        season = _season_so_far(block, fitted)
        known = (block.seen * season).sum(axis=1)
        keep = known > 0
        levels.append(block.values.sum(axis=1)[keep] / known[keep])
        groups.append(block.groups[keep])
    level, group = np.concatenate(levels), np.concatenate(groups)
    mean = _by_group(level, group, len(fitted.groups), np.mean, 0.0)
    spread = _by_group(level, group, len(fitted.groups), _squared_variation, 1.0)
    periods = np.clip(fitted.noise / np.maximum(spread * mean, 1e-9), 0.05, 60.0)
    return replace(fitted, prior_level=mean, prior_spread=np.clip(spread, 0.05, 10.0), prior_periods=periods)


def _squared_variation(values: Floats) -> float:
    mean = float(values.mean())
    return float(np.clip(values.var() / max(mean * mean, 1e-12), 0.05, 10.0)) if mean > 0 else 1.0


# ---------------------------------------------------------------------- tuning on held-out windows


@dataclass(frozen=True, eq=False)
class _Held:
    """Forecast parts of a block at a past cutoff, beside what came."""

    parts: _Parts
    actual: Floats  # [n, H]
    scored: npt.NDArray[np.bool_]  # [n, H]
    fitted: _Fitted  # shapes and priors as measured at that cutoff

    def under(self, tuned: _Fitted) -> tuple[Floats, Floats]:
        """Return mean and variance [n, H] with the mix and widths of ``tuned``."""
        mine = replace(
            self.fitted,
            buckets=tuned.buckets,
            mix=tuned.mix,
            class_edges=tuned.class_edges,
            widths=tuned.widths,
        )
        return _moments(self.parts, mine)


def _tune(held: list[_Held], start: _Fitted) -> _Fitted:
    """Return ``start`` with mix, widths and dependence chosen on the held-out windows."""
    means = np.concatenate([h.parts.means for h in held])
    overall = means.mean(axis=1)
    live = overall[overall > 0]
    edges = np.unique(np.quantile(live, np.linspace(0, 1, CLASSES + 1)[1:-1])) if len(live) >= 200 else np.zeros(0)
    n_classes = len(edges) + 1
    shape = (len(start.buckets), n_classes, means.shape[1])
    tuned = replace(
        start,
        class_edges=edges,
        mix=np.broadcast_to(start.mix[0, 0], shape).copy(),
        widths=np.ones(shape[:2]),
    )
    tuned = replace(tuned, mix=_mix(held, tuned))
    return replace(tuned, widths=_widths(held, tuned))


def _mix(held: list[_Held], tuned: _Fitted) -> Floats:
    """Return weights [C, classes, K + 1] by non-negative least squares of what came on the decayed means.

    Each class leans on the mix of all, and that on the default, by as much as 200 and 50 rows of the data.
    """
    low = np.concatenate([[0], tuned.buckets[:-1]])
    mix = tuned.mix.copy()
    for bucket, (first, last) in enumerate(zip(low, tuned.buckets, strict=True)):
        rows, targets, classes = [], [], []
        for h in held:
            cells = h.scored[:, first:last]
            weight = (cells * h.parts.season[:, first:last]).sum(axis=1)
            total = np.where(cells, h.actual[:, first:last], 0.0).sum(axis=1)
            keep = weight > 0.25
            level = h.parts.means.mean(axis=1)
            spread = h.parts.noise * np.maximum(level, 1e-6) / np.maximum(weight, 1e-6) + (0.15 * level) ** 2
            scale = 1.0 / np.sqrt(np.maximum(spread, 1e-9))
            # sqrt(level): money and units are lost on what sells, so a row counts with what it sells
            scale *= np.sqrt(np.minimum(spread, level + 1e-6))
            rows.append((h.parts.means * scale[:, None])[keep])
            targets.append((np.maximum(total, 0.0) / np.maximum(weight, 1e-9) * scale)[keep])
            classes.append(_classes(h.parts, tuned)[keep])
        x, y, group = np.concatenate(rows), np.concatenate(targets), np.concatenate(classes)
        default = tuned.mix[bucket, 0]
        overall = _leaning_nnls(x, y, default, 50.0)
        for k in range(mix.shape[1]):
            mine = group == k
            mix[bucket, k] = _leaning_nnls(x[mine], y[mine], overall, 200.0)
    return mix


def _leaning_nnls(x: Floats, y: Floats, prior: Floats, rows: float) -> Floats:
    """Return non-negative weights w minimising |x w - y|^2 + rows x mean(x^2) |w - prior|^2."""
    if len(x) < 3:
        return prior
    size = np.sqrt(rows * np.mean(x * x) + 1e-12)
    whole = np.full((1, x.shape[1]), SUM_ROWS * np.sqrt(np.sum(x * x)))
    found, _ = optimize.nnls(
        np.concatenate([x, size * np.eye(x.shape[1]), whole]),
        np.concatenate([y, size * prior, whole[0, :1]]),
        maxiter=500,
    )
    return np.asarray(found)


def _widths(held: list[_Held], tuned: _Fitted) -> Floats:
    """Return [C, classes] factors on the noise that lose least by quantile loss, smoothed over neighbours."""
    low = np.concatenate([[0], tuned.buckets[:-1]])
    losses = np.zeros((*tuned.widths.shape, len(WIDTHS)))
    for h in held:
        rows = _some(np.flatnonzero(h.scored.any(axis=1)), WIDTH_ROWS // len(held))
        classes = _classes(h.parts, tuned)[rows]
        for i, width in enumerate(WIDTHS):
            mean, variance = h.under(replace(tuned, widths=np.full(tuned.widths.shape, width)))
            quantiles = Marginals(mean[rows], variance[rows], tuned.is_count).quantiles(LEVELS)  # [n, H, Q]
            gap = np.where(h.scored[rows], h.actual[rows], 0.0)[:, :, None] - quantiles
            loss = np.maximum(LEVELS * gap, (LEVELS - 1.0) * gap).sum(axis=2) * h.scored[rows]  # [n, H]
            for bucket, (first, last) in enumerate(zip(low, tuned.buckets, strict=True)):
                np.add.at(losses[bucket, :, i], classes, loss[:, first:last].sum(axis=1))
    pooled = losses.sum(axis=(0, 1))
    if pooled.max() <= 0:
        return tuned.widths
    size = np.maximum(losses.mean(axis=2, keepdims=True), 1e-12)
    leaning = losses / size + 0.25 * pooled / pooled.mean()  # each class leans a quarter on what fits all
    chosen: Floats = np.asarray(WIDTHS)[leaning.argmin(axis=2)] * (1.0 + OPTIMISM)
    return chosen


def _some(rows: Integers, most: int) -> Integers:
    """Return at most about ``most`` of the rows, evenly spread: no more are needed to tell neighbours apart."""
    return rows[:: max(1, len(rows) // max(1, most))]


def _loss(held: list[_Held], tuned: _Fitted) -> float:
    """Return the quantile loss per unit sold over the held-out windows."""
    total, units = 0.0, 0.0
    for h in held:
        mean, variance = h.under(tuned)
        quantiles = Marginals(mean, variance, tuned.is_count).quantiles(LEVELS)
        actual = np.where(h.scored, h.actual, 0.0)
        gap = actual[:, :, None] - quantiles
        total += float((np.maximum(LEVELS * gap, (LEVELS - 1.0) * gap).sum(axis=2) * h.scored).sum())
        units += float(np.abs(actual).sum())
    return total / max(units, 1e-9)


def _dependence(held: list[_Held], tuned: _Fitted) -> Dependence:
    """Return how errors hang together: over one series' horizon (level) and between series in a period (world).

    ``world`` is the mean product of two series' standardised errors in a period, errors beyond four deviations cut to
    that. ``level`` is the share under which the paths' totals over the held-out windows lose least by quantile loss:
    it is the totals that orders are made on.
    """
    top = pairs = 0.0
    for h in held:
        mean, variance = h.under(tuned)
        error = (h.actual - mean) / np.sqrt(np.maximum(variance, 1e-9))
        here = h.scored & (mean > 1e-6)
        z = np.where(here, np.clip(np.nan_to_num(error), -4.0, 4.0), 0.0)
        count = here.sum(axis=0).astype(np.float64)
        top += float((z.sum(axis=0) ** 2 - (z * z).sum(axis=0)).sum())
        pairs += float((count * (count - 1.0)).sum())
    world = float(np.clip(top / pairs, 0.0, 0.4)) if pairs > 500 else 0.0
    losses = np.zeros(len(SHARES))
    for h in held:
        rows = _some(np.flatnonzero(h.scored.all(axis=1)), TOTAL_ROWS // len(held))
        if not len(rows):
            continue
        mean, variance = h.under(tuned)
        marginals = Marginals(mean[rows], variance[rows], tuned.is_count)
        total = h.actual[rows].sum(axis=1)
        for i, share in enumerate(SHARES):
            share = min(share, 1.0 - world)
            paths = draw_paths(marginals, Dependence(world, share), [str(row) for row in rows], 64, 0)
            quantiles = np.quantile(paths.sum(axis=2), TOTAL_LEVELS, axis=1).T  # [rows, Q]
            gap = total[:, None] - quantiles
            losses[i] += np.maximum(TOTAL_LEVELS * gap, (TOTAL_LEVELS - 1.0) * gap).sum()
    level = SHARES[int(losses.argmin())] if losses.any() else DEFAULT_LEVEL_SHARE
    return Dependence(world=world, level=min(level, 1.0 - world))
