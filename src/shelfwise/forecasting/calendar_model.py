"""The calendar model of the aggregates: weekday, year, day of month, flags and events by ridge regression in logs.

One closed form for each node: log of the total = level at the origin + steps of the level + what the calendar explains.
A node is first reduced by what explains its parent, so that its coefficients shrink to its parent's. Nothing drifts or
explodes, and what the calendar explains of a cell is a factor that its series share. Letters as in `aggregates`; K
columns of the regression.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.aggregates import Aggregates, Chains, Regressor
from shelfwise.forecasting.calendar_plans import AROUND, EFFECTS, FACTORS, Plans, beside

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# Penalties on squared coefficients of the log, in units of the variance of one period's log total.
LEVEL_STEP: Final = 5.0
WEEKDAY: Final = 0.1
YEAR: Final = 1.0  # times the order of the harmonic
WEEKDAY_BY_YEAR: Final = 5.0
DAY_OF_MONTH: Final = 10.0
MONTH: Final = 1.0
FLAG: Final = 1.0
FLAG_BY_WEEKDAY: Final = 5.0
EVENT: Final = 1.0
AROUND_EVENT: Final = 3.0  # the three days before and the two after

HARMONICS: Final = 3
HALF_LIFE_YEARS: Final = 1.65  # of the weight of a past period
SMALLEST: Final = 0.5  # units a log is taken of
LEAST_YEARS: Final = 0.9  # of history for a calendar
CLOSED_FOR_RIDGE: Final = 0.3  # of the usual total: half-closed days teach a regression nothing


@dataclass(frozen=True, eq=False)
class Columns:
    """Columns of the regression that one set of nodes shares.

    Parameters
    ----------
    values
        [L, K].
    penalties
        [K].
    common
        [K] False where the effect belongs to single series rather than to their calendar.
    regressor
        [K] the covariate a column belongs to, as its place in the aggregates' regressors; -1 for none.
    """

    values: Floats
    penalties: Floats
    common: Flags
    regressor: Integers


@dataclass(frozen=True, eq=False)
class CalendarFit:
    """The regression of every node.

    Parameters
    ----------
    aggregates
        What it was fitted on, with its last known period.
    level
        [M] log of the level at the origin.
    explained
        [M, L] log of everything the columns explain.
    calendar
        [M, L] the part of it that the series of a node share.
    spread
        [M] variance of a period's log error.
    effects
        [M, regressors, `EFFECTS`] what each covariate adds to the log: itself, then by weekday or around it.
    """

    aggregates: Aggregates
    level: Floats
    explained: Floats
    calendar: Floats
    spread: Floats
    effects: Floats

    def ahead(self, horizon: int) -> Floats:
        """Return [M, H] expected totals of the periods after the origin, in units."""
        start = self.aggregates.periods
        log = self.level[:, None] + self.explained[:, start : start + horizon] + 0.5 * self.spread[:, None]
        units: Floats = np.exp(log)
        return units

    def shape(self) -> Calendar:
        """Return the calendars of the cells."""
        aggregates = self.aggregates
        cells = len(aggregates.nodes.cells)
        factors = np.exp(np.clip(self.calendar[:cells], np.log(FACTORS[0]), np.log(FACTORS[1])))
        year = slice(max(0, aggregates.periods - int(aggregates.freq.periods_per_year)), aggregates.periods)
        factors /= np.maximum(factors[:, year].mean(axis=1, keepdims=True), 1e-9)
        factors[:, aggregates.closes] = 0.0
        factors[:, : aggregates.periods][:, aggregates.closed] = 0.0
        return Calendar(
            aggregates.nodes.chains,
            aggregates.nodes.cells,
            aggregates.first,
            factors.astype(np.float32),
            tuple(sorted({regressor.name for regressor in aggregates.regressors if regressor.common})),
            _laps(aggregates.freq),
            self._plans(),
        )

    def _plans(self) -> Plans:
        """Return what the covariates of the calendars were expected to be after the origin."""
        aggregates = self.aggregates
        cells = len(aggregates.nodes.cells)
        since = max(0, aggregates.periods - AROUND)
        chosen = [i for i, regressor in enumerate(aggregates.regressors) if regressor.common]
        values = [
            np.broadcast_to(aggregates.regressors[i].values[:cells, since:], (cells, len(aggregates.closes) - since))
            for i in chosen
        ]
        daily = aggregates.freq.unit == "d" and aggregates.freq.count == 1
        return Plans(
            tuple(aggregates.regressors[i].name for i in chosen),
            np.array([aggregates.regressors[i].rare and daily for i in chosen], dtype=np.bool_),
            aggregates.first + since,
            np.array(values, dtype=np.uint8).reshape(len(chosen), cells, len(aggregates.closes) - since),
            self.effects[:cells][:, chosen].astype(np.float32),
        )


@dataclass(frozen=True, eq=False)
class Calendar:
    """Factors [C, L] that the series of a cell share, mean 1 over the last year.

    Parameters
    ----------
    chains, cells
        How a series finds its cell.
    first
        Ordinal of the first factor.
    factors
        [C, L].
    covers
        Names of the covariates whose effect is in the factors.
    lap
        Periods of a year in whole weeks: beyond what is laid out, last year's factors come again.
    plans
        What the factors expect of those covariates.
    """

    chains: Chains
    cells: tuple[str, ...]
    first: int
    factors: npt.NDArray[np.float32]
    covers: tuple[str, ...]
    lap: int
    plans: Plans

    def codes(self, series: pl.DataFrame) -> Integers:
        """Return the row [N] of each series; the last, plain row for a cell never seen."""
        place = {name: i for i, name in enumerate(self.cells)}
        return np.array(
            [place.get(name, len(self.cells)) for name in self.chains.names(series).to_list()], dtype=np.int64
        )

    def at(self, codes: Integers, ordinals: Integers) -> Floats:
        """Return [n, T] factors of the cells at ordinals [1 | n, T]."""
        place = ordinals - self.first
        length = self.factors.shape[1]
        beyond = np.maximum(0, -((length - 1 - place) // self.lap))  # years too far, in either direction
        before = np.maximum(0, -(place // self.lap))
        place = np.clip(place - beyond * self.lap + before * self.lap, 0, length - 1)
        padded = np.concatenate([self.factors, np.ones((1, self.factors.shape[1]), dtype=np.float32)])
        found: Floats
        if len(place) == 1:  # a cell's row is read once and then handed to its series
            found = padded[:, place[0]].astype(np.float64)[codes]
        else:
            found = padded[codes[:, None], place].astype(np.float64)
        return found

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the calendar as named arrays."""
        return {
            "calendar_factors": self.factors,
            "calendar_place": np.array([self.first, self.lap], dtype=np.int64),
            "calendar_cells": np.array(self.cells, dtype=np.str_),
            "calendar_covers": np.array(self.covers, dtype=np.str_),
            "calendar_chains": np.array(["\x1f".join(chain) for chain in self.chains.chains], dtype=np.str_),
            "plan_names": np.array(self.plans.names, dtype=np.str_),
            "plan_rare": self.plans.rare,
            "plan_first": np.array(self.plans.first, dtype=np.int64),
            "plan_values": self.plans.values,
            "plan_effects": self.plans.effects,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> Calendar | None:
        """Read what `to_arrays` wrote; None where there is no calendar."""
        if "calendar_factors" not in arrays:
            return None
        first, lap = arrays["calendar_place"].tolist()
        return cls(
            Chains(tuple(tuple(text.split("\x1f")) for text in arrays["calendar_chains"].tolist())),
            tuple(arrays["calendar_cells"].tolist()),
            int(first),
            arrays["calendar_factors"],
            tuple(arrays["calendar_covers"].tolist()),
            int(lap),
            Plans(
                tuple(arrays["plan_names"].tolist()),
                arrays["plan_rare"],
                int(arrays["plan_first"]),
                arrays["plan_values"],
                arrays["plan_effects"],
            ),
        )


def fit_calendar(aggregates: Aggregates) -> CalendarFit:
    """Return the regression of every node on what is known of them."""
    nodes, periods = aggregates.nodes, aggregates.periods
    laid_out = len(aggregates.closes)
    total = len(nodes)
    level, spread = np.zeros(total), np.zeros(total)
    explained, calendar = np.zeros((total, laid_out)), np.zeros((total, laid_out))
    effects = np.zeros((total, len(aggregates.regressors), EFFECTS))
    plain = _plain_columns(aggregates)
    usable = aggregates.known & ~_half_closed(aggregates)
    logs = np.log(np.maximum(aggregates.values, SMALLEST))
    age = np.arange(periods - 1, -1, -1)
    weight = 0.5 ** (age / (HALF_LIFE_YEARS * aggregates.freq.periods_per_year))
    solved: dict[bytes, tuple[Columns, Floats, Floats]] = {}
    for node in nodes.top_down():
        rows = usable[node].copy()
        sold = np.flatnonzero(aggregates.values[node] > 0)
        rows[: int(sold[0]) if len(sold) else periods] = False  # before its first sale a node did not exist
        parent = int(nodes.parents[node])
        lean, lean_calendar = (explained[parent], calendar[parent]) if parent >= 0 else (0.0, 0.0)
        if parent >= 0:
            effects[node] = effects[parent]
        if rows.sum() < 3:
            level[node] = np.log(SMALLEST) if not len(sold) else logs[node, sold[-1]]
            explained[node], calendar[node] = lean, lean_calendar  # nothing of its own is known yet
            continue
        key = _key(aggregates.regressors, node) + rows.tobytes()
        if key not in solved:
            columns = _with_regressors(plain, aggregates, node)
            past = columns.values[:periods]
            weighted = past * (weight * rows)[:, None]
            gram = weighted.T @ past
            gram[np.diag_indices_from(gram)] += columns.penalties
            solved[key] = (columns, np.linalg.inv(gram), weighted)
        columns, inverse, weighted = solved[key]
        target = logs[node] - (explained[parent, :periods] if parent >= 0 else 0.0)
        found = inverse @ (weighted.T @ np.where(rows, target, 0.0))
        season = columns.penalties < np.inf
        season[: plain.steps + 1] = False
        both = columns.values @ np.stack([found * season, found * (season & columns.common)], axis=1)  # [L, 2]
        explained[node], calendar[node] = lean + both[:, 0], lean_calendar + both[:, 1]
        for i in np.unique(columns.regressor[columns.regressor >= 0]):
            mine = found[columns.regressor == i]
            effects[node, i, : len(mine)] += mine
        level[node] = found[0]
        spread[node] = _spread(logs[node] - explained[node, :periods], rows, aggregates.freq)
    return CalendarFit(aggregates, level, explained, calendar, spread, effects)


@dataclass(frozen=True, eq=False)
class _Plain(Columns):
    """Columns that every node has: the level, its steps, and the calendar."""

    steps: int = 0


def _plain_columns(aggregates: Aggregates) -> _Plain:
    """Return level, steps of the level and calendar as columns."""
    freq, ordinals, periods = aggregates.freq, aggregates.laid_out, aggregates.periods
    step = freq.season if freq.unit == "d" else 1
    year = int(freq.periods_per_year)
    recent, old = np.arange(step, min(periods - step, year), step), np.arange(year, periods - step, 4 * step)
    backs = np.concatenate([recent, old])
    # the level is the one at the origin: a step k back lowers what lies before it
    steps = -(np.arange(len(ordinals))[:, None] < periods - backs[None, :]).astype(np.float64)
    blocks: list[tuple[Floats, Floats]] = [
        (np.ones((len(ordinals), 1)), np.array([1e-6])),
        (steps, np.concatenate([np.full(len(recent), LEVEL_STEP), np.full(len(old), LEVEL_STEP / 4.0)])),
    ]
    angle = 2 * np.pi * freq.year_fraction(ordinals)
    has_year = periods >= 0.9 * freq.periods_per_year
    if has_year:
        for order in range(1, HARMONICS + 1):
            wave = np.stack([np.sin(order * angle), np.cos(order * angle)], axis=1)
            blocks.append((wave, np.full(2, YEAR * order)))
    if freq.unit == "d" and freq.count == 1:
        days = np.eye(7)[freq.weekday(ordinals)] - 1.0 / 7.0
        blocks.append((days, np.full(7, WEEKDAY)))
        if has_year:
            waves = (np.sin(angle), np.cos(angle))
            blocks.extend((days * wave[:, None], np.full(7, WEEKDAY_BY_YEAR)) for wave in waves)
        moments = freq.moments(ordinals).astype("datetime64[D]")
        day = (moments - moments.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64)
        blocks.append((np.eye(31)[day] - 1.0 / 31.0, np.full(31, DAY_OF_MONTH)))
    if freq.unit == "mo" and freq.count == 1 and has_year:
        blocks.append((np.eye(12)[ordinals % 12] - 1.0 / 12.0, np.full(12, MONTH)))
    values = np.concatenate([block for block, _ in blocks], axis=1)
    penalties = np.concatenate([penalty for _, penalty in blocks])
    none = np.full(len(penalties), -1, dtype=np.int64)
    return _Plain(values, penalties, np.ones(len(penalties), dtype=np.bool_), none, steps=len(backs))


def _with_regressors(plain: _Plain, aggregates: Aggregates, node: int) -> Columns:
    """Return the columns of a node: the plain ones, its flags and its events."""
    blocks, penalties, common, places = [plain.values], [plain.penalties], [plain.common], [plain.regressor]
    freq = aggregates.freq
    daily = freq.unit == "d" and freq.count == 1
    days = np.eye(7)[freq.weekday(aggregates.laid_out)] - 1.0 / 7.0 if daily else None

    def add(place: int, block: Floats, penalty: float, shared: bool) -> None:
        blocks.append(block)
        penalties.append(np.full(block.shape[1], penalty))
        common.append(np.full(block.shape[1], shared, dtype=np.bool_))
        places.append(np.full(block.shape[1], place, dtype=np.int64))

    for i, regressor in enumerate(aggregates.regressors):
        values = regressor.values[node if len(regressor.values) > 1 else 0]
        if not values[: aggregates.periods].any():
            continue
        if regressor.rare and daily:
            around = _around(values)
            add(i, values[:, None], EVENT, regressor.common)
            add(i, around, AROUND_EVENT, regressor.common)
            continue
        add(i, values[:, None], FLAG, regressor.common)
        if days is not None:
            add(i, values[:, None] * days, FLAG_BY_WEEKDAY, regressor.common)
    return Columns(
        np.concatenate(blocks, axis=1), np.concatenate(penalties), np.concatenate(common), np.concatenate(places)
    )


def _around(values: Floats) -> Floats:
    """Return [L, 2] the three days before an event and the two after it."""
    return np.stack(beside(values), axis=1)


def _key(regressors: tuple[Regressor, ...], node: int) -> bytes:
    """Return what tells nodes with other covariates apart."""
    return b"".join(r.values[node].tobytes() if len(r.values) > 1 else b"" for r in regressors)


def _half_closed(aggregates: Aggregates) -> Flags:
    """Return [T] days on which the whole sold under three tenths of its usual total."""
    total, known = aggregates.values[-1], aggregates.known[-1]
    if aggregates.freq.unit != "d" or len(total) < 28:
        return np.zeros(len(total), dtype=np.bool_)
    open_days = known & ~aggregates.closed
    kernel = np.ones(28)
    near = np.convolve(np.where(open_days, total, 0.0), kernel, mode="same")
    count = np.convolve(open_days.astype(np.float64), kernel, mode="same")
    usual = near / np.maximum(count, 1.0)
    half: Flags = aggregates.closed | (known & (total < CLOSED_FOR_RIDGE * usual))
    return half


def _spread(errors: Floats, rows: Flags, freq: Frequency) -> float:
    """Return the variance of a period's log error: half that of the changes between neighbouring periods."""
    last = int(freq.periods_per_year)
    error, use = errors[-last:], rows[-last:]
    both = use[1:] & use[:-1]
    if both.sum() < 3:
        return 0.0
    change = np.diff(error)[both]
    low, high = np.quantile(change, [0.02, 0.98])  # a few wild days would raise every mean
    return min(0.5 * float(np.var(np.clip(change, low, high))), 0.5)


def _laps(freq: Frequency) -> int:
    """Return the periods of a year, in whole weeks for days."""
    year = int(round(freq.periods_per_year))
    return year - year % 7 if freq.unit == "d" else year


@dataclass(frozen=True, eq=False)
class Calendars:
    """The calendar of a panel as it was known at any past cutoff, each fitted once."""

    aggregates: Aggregates
    known: dict[int, CalendarFit] = field(default_factory=dict)

    @classmethod
    def of(cls, panel: Panel) -> Calendars | None:
        """Return the calendars of a panel; None where it has no days or too few of them to tell a year's shape.

        Several models that are fitted on one panel share them, for as long as the panel lives.
        """
        if panel not in _CALENDARS:
            _CALENDARS[panel] = cls._of(panel)
        return _CALENDARS[panel]

    @classmethod
    def _of(cls, panel: Panel) -> Calendars | None:
        aggregates = Aggregates.of(panel) if cls.told(panel) else None
        return None if aggregates is None else cls(aggregates)

    @staticmethod
    def told(panel: Panel) -> bool:
        """Return whether a panel has days, and enough of them to tell a year's shape."""
        if panel.freq.unit != "d" or panel.freq.count != 1 or not panel.n_series:
            return False
        return bool(panel.lengths.max() >= LEAST_YEARS * panel.freq.periods_per_year)

    def fit(self, back: int) -> CalendarFit:
        """Return the regression on what was known ``back`` periods before the end."""
        if back not in self.known:
            self.known[back] = fit_calendar(self.aggregates.until(self.aggregates.end - back))
        return self.known[back]

    def at(self, back: int) -> Calendar | None:
        """Return the calendar as known ``back`` periods before the end; None where there was too little history."""
        if self.aggregates.periods - back < LEAST_YEARS * self.aggregates.freq.periods_per_year:
            return None
        return self.fit(back).shape()


_CALENDARS: Final[WeakKeyDictionary[Panel, Calendars | None]] = WeakKeyDictionary()
