"""Trees of the aggregates: what each cell sells against its own level, learnt from all cells over the whole history.

Two boosted ensembles, direct in the horizon: one of totals as they are, one of totals without what the calendar model
explains. Their mean in logs with the calendar model's own forecast is steadier than any of the three. Letters as in
`aggregates`; O origins, H horizon.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.domain.errors import ModelError
from shelfwise.forecasting.aggregates import Aggregates
from shelfwise.forecasting.calendar_model import CalendarFit

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]

ROUNDS: Final = 200
LEARNING_RATE: Final = 0.06
HALF_LIFE_YEARS: Final = 1.9  # of the weight of a past origin
FEWEST_ROWS: Final = 3000
LARGEST_RATIO: Final = 3.0
SIZE_POWER: Final = 0.7  # a cell's rows count with its size to this power
DRIFT_LAG: Final = 0.25  # of the horizon: the level at the origin is this much older than the origin
LARGEST_DRIFT: Final = 0.25  # log growth over a year that is carried on
FARTHEST_EVENT: Final = 30.0
PLAIN_FEATURES: Final = 13


@dataclass(frozen=True, eq=False)
class History:
    """The cells' totals laid out for lookups.

    Parameters
    ----------
    sums
        [C, T + 1] running sums of the totals, closed and unknown periods replaced by their neighbours' mean.
    plain
        [C, T] the totals themselves.
    """

    sums: Floats
    plain: Floats

    @classmethod
    def of(cls, values: Floats) -> History:
        """Return the lookups of totals [C, T]."""
        return cls(np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1), values)

    def mean(self, ends: Integers, length: int) -> Floats:
        """Return [C, O] means of the ``length`` periods before each of the ordinals ``ends`` [O]; NaN before time."""
        low = ends - length
        found = (self.sums[:, np.maximum(ends, 0)] - self.sums[:, np.maximum(low, 0)]) / length
        return np.where(low >= 0, found, np.nan)

    def at(self, places: Integers) -> Floats:
        """Return [C, ...] totals at places; NaN outside."""
        inside = (places >= 0) & (places < self.plain.shape[1])
        found = self.plain[:, np.clip(places, 0, self.plain.shape[1] - 1)]
        return np.where(inside, found, np.nan)


@dataclass(frozen=True, eq=False)
class AggregateTrees:
    """The two ensembles, and how many periods they were trained to look ahead."""

    raw: Any
    bare: Any
    horizon: int

    def ahead(self, fit: CalendarFit, horizon: int) -> list[Floats]:
        """Return the two forecasts [C, H] of the periods after the origin, in units."""
        aggregates = fit.aggregates
        origin = np.array([aggregates.periods], dtype=np.int64)
        found = []
        for booster, bare in ((self.raw, False), (self.bare, True)):
            table = _Table.of(fit, bare)
            x, level, _ = table.rows(origin, horizon)
            ratio = booster.predict(x, num_threads=1).reshape(-1, horizon)
            units = np.clip(ratio, 0.0, LARGEST_RATIO) * level
            if bare:
                units = units * np.exp(table.explained[:, aggregates.periods : aggregates.periods + horizon])
            found.append(units)
        return found


def train(fit: CalendarFit, horizon: int, seasons: int = 2) -> AggregateTrees | None:
    """Return the ensembles trained on everything before the origin; None where that is too little.

    Rows are taken from an origin every so many ``seasons`` (weeks of days).
    """
    season = fit.aggregates.freq.season if fit.aggregates.freq.unit == "d" else 1
    periods = fit.aggregates.periods
    step = max(1, seasons * season)
    first = int(min(1.35 * fit.aggregates.freq.periods_per_year, 0.5 * periods))
    origins = np.arange(periods - horizon, max(first, 4 * season), -step, dtype=np.int64)
    cells = len(fit.aggregates.nodes.cells)
    if len(origins) * cells * horizon < FEWEST_ROWS:
        return None
    try:
        boosters = [_train(_Table.of(fit, bare), origins, horizon) for bare in (False, True)]
    except ModelError:
        return None
    return AggregateTrees(boosters[0], boosters[1], horizon)


def _train(table: _Table, origins: Integers, horizon: int) -> Any:
    try:
        import lightgbm
    except (ImportError, OSError) as error:
        raise ModelError(f"LightGBM cannot be loaded ({error}); the calendar model stands alone") from error
    x, level, target = table.rows(origins, horizon)
    age = (origins.max() - origins) / table.fit.aggregates.freq.periods_per_year
    weight = (level**SIZE_POWER * 0.5 ** (age / HALF_LIFE_YEARS)).repeat(horizon, axis=1)  # [C, O x H]
    usable = ~np.isnan(target) & (weight > 0)
    data = lightgbm.Dataset(
        x[usable.reshape(-1)],
        label=np.clip(target[usable], 0.0, LARGEST_RATIO),
        weight=weight[usable],
        categorical_feature=list(table.categorical),
        params={"max_bin": 63, "verbosity": -1},
    )
    parameters = {
        "objective": "regression",
        "learning_rate": LEARNING_RATE,
        "num_leaves": 31,
        "min_data_in_leaf": int(np.clip(usable.sum() // 500, 20, 200)),
        "feature_fraction": 0.6,
        "bagging_fraction": 0.6,
        "bagging_freq": 1,
        "max_bin": 63,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "seed": 0,
        "verbosity": -1,
    }
    return lightgbm.train(parameters, data, num_boost_round=ROUNDS)


@dataclass(frozen=True, eq=False)
class _Table:
    """Features of the cells at any origin."""

    fit: CalendarFit
    history: History
    explained: Floats  # [C, L] zero where totals are taken as they are
    bare: bool
    lengths: tuple[int, int, int, int]  # short, usual, long level, and a year, in periods

    @classmethod
    def of(cls, fit: CalendarFit, bare: bool) -> _Table:
        aggregates = fit.aggregates
        cells, periods = len(aggregates.nodes.cells), aggregates.periods
        explained = fit.explained[:cells] if bare else np.zeros((cells, len(aggregates.closes)))
        values = aggregates.values[:cells] / np.exp(explained[:, :periods])
        usable = aggregates.known[:cells] & ~aggregates.closed
        lengths = {"d": (7, 28, 84, 364), "w": (4, 8, 26, 52), "mo": (2, 3, 6, 12)}[aggregates.freq.unit]
        return cls(fit, History.of(_filled(values, usable, lengths[0])), explained, bare, lengths)

    @property
    def categorical(self) -> tuple[int, ...]:
        """Positions of codes among the features: the cell's groups come last, and the events before them."""
        groups = self.fit.aggregates.nodes.codes.shape[1]
        flags, events = len(self._flags()), len(self._events())
        width = PLAIN_FEATURES + int(self.bare) + flags + events + groups
        first = PLAIN_FEATURES + int(self.bare) + flags
        return (*((first, first + 2, first + 4) if events else ()), *range(width - groups, width))

    def rows(self, origins: Integers, horizon: int) -> tuple[npt.NDArray[np.float32], Floats, Floats]:
        """Return features [C x O x H, F], levels [C, O] and targets [C, O x H] (NaN where not usable)."""
        aggregates, history = self.fit.aggregates, self.history
        freq = aggregates.freq
        short, usual, long, year = self.lengths
        cells, n = len(aggregates.nodes.cells), len(origins)
        steps = np.arange(horizon)
        places = origins[:, None] + steps  # [O, H]
        level = np.maximum(history.mean(origins, usual), 1e-6)  # [C, O]
        last = np.maximum(history.mean(origins - year, usual), 1e-6)
        shape = (cells, n, horizon)

        def spread(values: Floats) -> Floats:
            return np.broadcast_to(values, shape)

        ordinals = aggregates.first + places
        day = freq.moments(ordinals).astype("datetime64[D]")
        in_month = (day - day.astype("datetime64[M]").astype("datetime64[D]")).astype(np.float64)
        same = history.at(places - year)
        season = freq.season if freq.unit == "d" else 1
        near = 0.5 * (history.at(places - year - season) + history.at(places - year + season))
        columns = [
            spread((steps + 1.0)[None, None, :]),
            spread((ordinals % season if freq.unit != "d" else freq.weekday(ordinals)).astype(np.float64)[None]),
            spread(in_month[None]),
            spread(freq.year_fraction(ordinals)[None]),
            spread(self._same_season(origins, places, season) / level[:, :, None]),
            same / last[:, :, None],
            near / last[:, :, None],
            spread((history.mean(origins - year + usual, usual) / last)[:, :, None]),
            spread((history.mean(origins, short) / level)[:, :, None]),
            spread((history.mean(origins, long) / level)[:, :, None]),
            spread((level / last)[:, :, None]),
            spread((history.mean(origins, year) / level)[:, :, None]),
            spread(np.log(level)[:, :, None]),
        ]
        if self.bare:
            columns.append(self.explained[:, places])
        columns.extend(np.broadcast_to(each[:, places], shape) for each in self._flags())
        columns.extend(spread(each[None, places]) for each in self._events())
        columns.extend(spread(codes.astype(np.float64)[:, None, None]) for codes in aggregates.nodes.codes[:cells].T)
        x = np.empty((*shape, len(columns)), dtype=np.float32)
        for i, column in enumerate(columns):
            x[..., i] = column
        target = history.at(places) / level[:, :, None]
        inside = np.minimum(places, aggregates.periods - 1)
        usable = aggregates.known[:cells][:, inside] & ~aggregates.closed[inside] & (places < aggregates.periods)
        target = np.where(usable, target, np.nan).reshape(cells, n * horizon)
        return x.reshape(-1, len(columns)), level, target

    def _same_season(self, origins: Integers, places: Integers, season: int) -> Floats:
        """Return [C, O, H] mean of the same weekday over eight weeks before the origin."""
        back = origins[:, None] - 1 - (origins[:, None] - 1 - places) % season  # the last such period before the origin
        found = np.stack([self.history.at(back - season * k) for k in range(8)])
        mean: Floats = np.mean(np.nan_to_num(found), axis=0)
        return mean

    def _flags(self) -> list[Floats]:
        """Return [C | 1, L] how far each flag that is often up holds."""
        cells = len(self.fit.aggregates.nodes.cells)
        found = self.fit.aggregates.regressors
        return [each.values[:cells] for each in found if not each.rare]

    def _events(self) -> list[Floats]:
        """Return [L] which event it is (0 for none), which comes next and how soon, which was last and how long ago."""
        events = [each.values[-1] > 0.5 for each in self.fit.aggregates.regressors if each.rare]
        if not events:
            return []
        code = np.zeros(len(events[0]))
        for i, holds in enumerate(events):
            code[holds] = i + 1
        index = np.arange(len(code))
        nearest = np.where(code > 0, index, len(code) + 10**6)
        following = np.minimum.accumulate(nearest[::-1])[::-1]
        latest = np.maximum.accumulate(np.where(code > 0, index, -(10**6)))
        ahead, since = following - index, index - latest
        named = np.append(code, 0.0)
        return [
            code,
            np.minimum(ahead, FARTHEST_EVENT),
            np.where(ahead < FARTHEST_EVENT, named[np.minimum(following, len(code))], 0.0),
            np.minimum(since, FARTHEST_EVENT),
            np.where(since < FARTHEST_EVENT, named[np.maximum(latest, 0)], 0.0),
        ]


def _filled(values: Floats, usable: npt.NDArray[np.bool_], season: int) -> Floats:
    """Return totals with unusable periods replaced by the mean of those a season before and after."""
    if usable.all():
        return values
    filled = np.where(usable, values, np.nan)
    for reach in (season, 2 * season, 3 * season):
        missing = np.isnan(filled)
        if not missing.any():
            break
        before = np.pad(filled, ((0, 0), (reach, 0)), constant_values=np.nan)[:, : filled.shape[1]]
        after = np.pad(filled, ((0, 0), (0, reach)), constant_values=np.nan)[:, reach:]
        count = (~np.isnan(before)).astype(np.float64) + ~np.isnan(after)
        mean = (np.nan_to_num(before) + np.nan_to_num(after)) / np.maximum(count, 1.0)
        filled = np.where(missing & (count > 0), mean, filled)
    known = ~np.isnan(filled)
    usual = np.nansum(filled, axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
    return np.where(known, filled, usual)


def combined(fit: CalendarFit, trees: AggregateTrees | None, horizon: int) -> Floats:
    """Return [C, H] totals of the cells after the origin: the mean in logs of the members, with growth carried on."""
    cells = len(fit.aggregates.nodes.cells)
    members = [fit.ahead(horizon)[:cells]]
    if trees is not None:
        members.extend(trees.ahead(fit, horizon))
    log = np.mean([np.log(np.maximum(member, 1e-6)) for member in members], axis=0)
    units: Floats = np.exp(log + drift(fit.aggregates, horizon))
    units[:, fit.aggregates.closes[fit.aggregates.periods : fit.aggregates.periods + horizon]] = 0.0
    return units


def drift(aggregates: Aggregates, horizon: int) -> Floats:
    """Return [H] log growth of the whole since the level was measured, as it grew over the last year."""
    year = int(round(aggregates.freq.periods_per_year))
    usable = aggregates.known[-1] & ~aggregates.closed
    if aggregates.periods < 2 * year:
        return np.zeros(horizon)
    total, count = (
        [each[-year:].sum(), each[-2 * year : -year].sum()] for each in (usable * aggregates.values[-1], usable)
    )
    if min(count) < 0.5 * year or not min(total) > 0:  # a few weeks of a year would be their season
        return np.zeros(horizon)
    now, before = np.array(total) / count
    growth = float(np.clip(np.log(now / before), -LARGEST_DRIFT, LARGEST_DRIFT))
    carried: Floats = growth * (np.arange(1, horizon + 1) + DRIFT_LAG * horizon) / year
    return carried
