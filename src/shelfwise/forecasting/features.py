"""Features of the global tree model: what was known at the cutoff, as ratios to the series' own level.

Ratios let a fast and a slow product share what is learnt. Known-ahead covariates are read at the period that is
forecast; past-only ones at the cutoff. Letters: n series of a block, H horizon, F features.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.domain.covariates import Covariate
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.level_season import Block, Fitted, Parts
from shelfwise.forecasting.seasonality import short_cycles

Floats = npt.NDArray[np.floating[Any]]
Add = Callable[..., None]
Integers = npt.NDArray[np.int64]

MOST_WORDS: Final = 500  # a text attribute of more words than this names the series rather than its kind
UNKNOWN: Final[Floats] = np.full((1, 1), np.nan)
MOST_AMOUNT: Final = 1e30  # infinity and what single precision cannot hold are no amounts
USUAL_SEASONS: Final = 26  # "usual" values of a covariate are its mean over so many short seasons


@dataclass(frozen=True)
class FeatureNames:
    """Which features a panel offers, with the words of its text columns; fixed when a model is fitted.

    Parameters
    ----------
    known_future, past_only
        Names of covariates.
    words
        Words of each text covariate or attribute, in the order of their codes.
    static
        Attributes of the series.
    """

    known_future: tuple[str, ...]
    past_only: tuple[str, ...]
    words: dict[str, tuple[str, ...]]
    static: tuple[str, ...]

    @classmethod
    def of(cls, panel: Panel) -> FeatureNames:
        """Return what ``panel`` offers."""
        words = {}
        for name, covariate in (*panel.known_future.items(), *panel.past_only.items()):
            if covariate.categories:
                words[f"covariate {name}"] = covariate.categories
        static = []
        for name in panel.attributes:
            if name in panel.series.columns and name != "product":
                known = tuple(panel.series[name].cast(pl.String).drop_nulls().unique().sort())
                if 1 < len(known) <= MOST_WORDS:
                    static.append(name)
                    words[f"static {name}"] = known
        return cls(tuple(sorted(panel.known_future)), tuple(sorted(panel.past_only)), words, tuple(static))

    def to_json(self) -> str:
        """Return the names as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> FeatureNames:
        """Read what `to_json` wrote."""
        found = json.loads(text)
        words = {name: tuple(each) for name, each in found["words"].items()}
        return cls(tuple(found["known_future"]), tuple(found["past_only"]), words, tuple(found["static"]))


@dataclass(frozen=True, eq=False)
class Features:
    """A block's features.

    Parameters
    ----------
    values
        [n, H, F].
    names
        [F] names, in the words of the glossary.
    categorical
        Positions of the features that are codes rather than amounts.
    """

    values: npt.NDArray[np.float32]
    names: tuple[str, ...]
    categorical: tuple[int, ...]


def build(panel: Panel, block: Block, parts: Parts, fitted: Fitted, names: FeatureNames, horizon: int) -> Features:
    """Return the features of a block's next ``horizon`` periods.

    Parameters
    ----------
    panel
        The block's series, cut at the cutoff.
    block, parts
        The block and its decomposition.
    """
    n = len(block.groups)
    columns: list[tuple[str, Floats, bool]] = []  # name, [n | 1, H | 1], is a code

    def add(name: str, values: Floats, *, code: bool = False) -> None:
        columns.append((name, values, code))

    _add_level(block, parts, fitted, add)
    _add_calendar(panel, block, parts, fitted, horizon, add)
    _add_covariates(panel, names, fitted, horizon, add)
    for name in names.static:
        words = names.words[f"static {name}"]
        cells = panel.series[name].cast(pl.String) if name in panel.series.columns else None
        add(name, UNKNOWN if cells is None else _codes(cells, words)[:, None], code=True)
    found = np.empty((n, horizon, len(columns)), dtype=np.float32)
    for i, (_, values, _) in enumerate(columns):
        found[:, :, i] = values
    return Features(found, tuple(c[0] for c in columns), tuple(i for i, c in enumerate(columns) if c[2]))


def _add_level(block: Block, parts: Parts, fitted: Fitted, add: Add) -> None:
    """Add the level, the decayed means over it, and what the recent past looked like."""
    level = np.maximum(parts.means.mean(axis=1), 1e-9)
    add("level", np.log(level)[:, None])
    add("noise", np.log(np.maximum(parts.noise, 1e-6))[:, None])
    for k, life in enumerate([*[f"{life:g}" for life in fitted.half_lives], "long run"]):
        add(f"mean {life} over level", np.log((parts.means[:, k] + 0.01 * level) / level)[:, None])
    for name, values in _recency(block, fitted, level).items():
        add(name, values[:, None])


def _add_calendar(panel: Panel, block: Block, parts: Parts, fitted: Fitted, horizon: int, add: Add) -> None:
    """Add the step, the base model's factors, places in the week and month, and the same time last year."""
    steps = np.arange(1, horizon + 1)
    add("step", np.broadcast_to(steps, (1, horizon)).astype(np.float64))
    ahead = block.ordinals[:, -1:] + steps  # [1 | n, H]
    add("season", np.log(np.maximum(parts.season, 0.02)))
    for name, factor in parts.factors.items():
        if name not in ("open", *fitted.flags):
            add(f"factor {name}", np.log(np.maximum(factor, 0.02)))
    for cycle in short_cycles(fitted.freq):
        add(cycle.name, cycle.index(fitted.freq, ahead).astype(np.float64))
    if fitted.freq.is_daily_or_longer:
        add("last year", _last_year(panel, parts, fitted, horizon))
    if fitted.freq.unit == "d":
        days = fitted.freq.moments(ahead).astype("datetime64[D]")
        add("day of month", (days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(np.float64))


def _recency(block: Block, fitted: Fitted, level: Floats) -> dict[str, Floats]:
    """Return [n] features of the recent past: selling days, the last sale, the largest period, age."""
    season = max(1, min(fitted.freq.season, 28))
    sold = block.values > 0
    periods = block.periods
    seen_since = np.cumsum(block.seen[:, ::-1], axis=1)  # [n, T] from the last period backwards: no stock is no pause
    latest = np.where(sold.any(axis=1), np.argmax(sold[:, ::-1], axis=1), periods - 1)
    back = seen_since[np.arange(len(sold)), latest] - sold.any(axis=1)
    first = np.where(block.seen.any(axis=1), np.argmax(block.seen > 0, axis=1), periods)
    found: dict[str, Floats] = {
        "periods since last sale": np.minimum(back, 13 * season).astype(np.float64),
        "age": (periods - first).astype(np.float64),
    }
    for seasons in (2, 8):
        last = slice(max(0, periods - seasons * season), None)
        seen = np.maximum(block.seen[:, last].sum(axis=1), 1.0)
        found[f"share of periods with sales, {seasons} seasons"] = (sold & (block.seen > 0))[:, last].sum(axis=1) / seen
        found[f"largest period over level, {seasons} seasons"] = np.log(
            (block.values[:, last].max(axis=1) + level) / level
        )
    return found


def _last_year(panel: Panel, parts: Parts, fitted: Fitted, horizon: int) -> Floats:
    """Return [n, H] log of the same time last year over the weeks before it, NaN without a year of history."""
    freq = fitted.freq
    year = int(round(freq.periods_per_year))
    unit = freq.unit if freq.unit in ("w", "mo") else "d"  # a day may be spelled 24h
    year -= year % 7 if unit == "d" and freq.minutes == 1440 else 0  # 364 days: the same weekday
    before = {"d": 28, "w": 8, "mo": 3}[unit]
    reach = {"d": 3, "w": 1, "mo": 0}[unit]
    length = year + before
    if not panel.n_series or panel.lengths.max() < year + 1:
        return UNKNOWN
    past, seen = panel.window(length), panel.available_window(length)
    past = np.where(seen, np.maximum(np.nan_to_num(past), 0.0), 0.0)
    sums = [np.cumsum(np.pad(x.astype(np.float64), ((0, 0), (1, 0))), axis=1) for x in (past, seen)]

    def mean(low: int, high: int) -> tuple[Floats, Floats]:
        low, high = max(0, low), min(length, high)
        return sums[0][:, high] - sums[0][:, low], sums[1][:, high] - sums[1][:, low]

    level_units, level_cells = mean(0, before)
    lean = 2.0 * parts.noise
    level = (level_units + lean) / np.maximum(level_cells + lean / np.maximum(parts.means.mean(axis=1), 1e-12), 1e-12)
    found = np.full((panel.n_series, horizon), np.nan)
    for step in range(horizon):
        column = before + step % year
        units, cells = mean(column - reach, column + reach + 1)
        ratio = (units + lean) / np.maximum(cells * level + lean, 1e-9)
        found[:, step] = np.where((level_cells > before / 2) & (cells > 0), np.log(np.maximum(ratio, 1e-3)), np.nan)
    return found


def _add_covariates(panel: Panel, names: FeatureNames, fitted: Fitted, horizon: int, add: Add) -> None:
    """Add known-ahead covariates at the forecast periods, past-only ones at the cutoff, and both against their usual.

    A covariate the panel lacks is missing in all its columns, so that the columns are those of the fitted trees.
    """
    season = max(1, min(fitted.freq.season, 28))
    length = USUAL_SEASONS * season
    for name in names.known_future:
        words = names.words.get(f"covariate {name}")
        covariate = panel.known_future.get(name)
        around = UNKNOWN if covariate is None else _around(covariate, words, panel.ends, horizon)  # [n, H + 2]
        ahead = around if covariate is None else around[:, 1:-1]
        add(name, ahead, code=words is not None)
        if words is None:
            past = UNKNOWN if covariate is None else _at(covariate, panel.ends - length, length)
            add(f"{name} over usual", _over(ahead, _usual(past)))
            add(f"{name} over latest", _over(ahead, past[:, -1:]))
            add(f"{name} over highest", _over(ahead, _highest(past)))
        else:
            add(f"{name} before", around if covariate is None else around[:, :-2], code=True)
            add(f"{name} next", around if covariate is None else around[:, 2:], code=True)
    for name in names.past_only:
        covariate = panel.past_only.get(name)
        if f"covariate {name}" in names.words:
            continue  # words of the past say nothing of a coming period
        if covariate is None or covariate.categories:  # words where there were numbers say nothing
            past = np.full((1, length), np.nan)
        else:
            past = _at(covariate, panel.ends - length, length)
        recent, usual = _usual(past[:, -season:]), _usual(past)
        add(name, recent)
        add(f"{name} over usual", _over(recent, usual))


def _at(covariate: Covariate, starts: Integers, length: int) -> Floats:
    """Return [n, length] values from each start on; what no price or temperature can be is missing."""
    values = covariate.at(starts, length)
    return np.where(np.abs(values) < MOST_AMOUNT, values, np.nan)


def _around(covariate: Covariate, words: tuple[str, ...] | None, ends: Integers, horizon: int) -> Floats:
    """Return [n, H + 2] values from the last known period to the one after the horizon."""
    return _translated(covariate, words, _at(covariate, ends - 1, horizon + 2))


def _highest(values: Floats) -> Floats:
    """Return [n, 1] largest of the known values, NaN where none is known."""
    known = ~np.isnan(values)
    found = np.where(known, values, -np.inf).max(axis=1, keepdims=True)
    return np.where(known.any(axis=1, keepdims=True), found, np.nan)


def _over(values: Floats, usual: Floats) -> Floats:
    """Return the log ratio to the usual value where both are above zero, the difference elsewhere."""
    positive = (usual > 0) & (values > 0)
    ratio = np.log(np.where(positive, values, 1.0)) - np.log(np.where(positive, usual, 1.0))
    return np.where(positive, ratio, values - usual)


def _usual(values: Floats) -> Floats:
    """Return [n, 1] mean of the known values, NaN where none is known."""
    known = ~np.isnan(values)
    count = known.sum(axis=1, keepdims=True)
    total = np.where(known, values, 0.0).sum(axis=1, keepdims=True)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _translated(covariate: Covariate, words: tuple[str, ...] | None, values: Floats) -> Floats:
    """Return codes of ``words`` for a covariate that has its own.

    A word never seen while fitting is missing, and so are words where there were numbers and numbers where words.
    """
    if (words or ()) == covariate.categories:
        return values
    if words is None or not covariate.categories:
        return np.full_like(values, np.nan)
    place = {word: float(i) for i, word in enumerate(words)}
    table = np.array([*(place.get(word, np.nan) for word in covariate.categories), np.nan])
    return table[np.where(np.isnan(values), len(table) - 1, values).astype(np.int64)]


def _codes(cells: pl.Series, words: tuple[str, ...]) -> Floats:
    place = {word: float(i) for i, word in enumerate(words)}
    return np.array([place.get(cell, np.nan) for cell in cells.to_list()])
