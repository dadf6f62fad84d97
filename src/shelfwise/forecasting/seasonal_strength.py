"""How strongly each series of days follows the week and the year, and where it peaks.

For a person who asks when a product sells; forecasts do not read it. A season is what means by weekday, or by month,
explain of what is left of demand once its own level is taken off: the level over four weeks for the week, over a year
for the year. Its strength is the share of variance explained, less what as many means would explain of noise (adjusted
R squared), and 0 where an analysis of variance does not reject chance at 1 %.

Letters: N series, T days, W weeks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.seasonality import bin_sums, moving_level

DAYS: Final = 364  # that weekdays are compared over
WEEKS: Final = 156  # that months are compared over
FEWEST_DAYS: Final = 21
FEWEST_WEEKS: Final = 104  # with fewer no month was seen twice
CHANCE: Final = 0.01
PEAK: Final = 1.1  # times the mean from which a weekday or a month is a peak
WEEK: Final = 7
YEAR_WEEKS: Final = 52
SERIES_AT_ONCE: Final = 2_000

Floats = npt.NDArray[np.floating[Any]]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Season:
    """One season of N series over its G places.

    Parameters
    ----------
    strength
        [N] share of variance that it explains, 0 to 1; nan where too little was seen.
    factors
        [N, G] demand in each place as a multiple of the mean; nan likewise.
    """

    strength: Floats
    factors: Floats

    def peaks(self, row: int) -> list[int]:
        """Return the places where a series peaks, the highest first; none where there is no season."""
        if not self.strength[row] > 0:
            return []
        factors = self.factors[row]
        return [int(place) for place in np.argsort(-factors, kind="stable") if factors[place] >= PEAK]


@dataclass(frozen=True, eq=False)
class Seasons:
    """The week ([N, 7] from Monday on) and the year ([N, 12] from January on) of N series."""

    weekly: Season
    yearly: Season


def seasons_of(panel: Panel) -> Seasons:
    """Return the seasons of a panel of days.

    Raises
    ------
    ParameterError
        Its periods are no days.

    >>> days = np.tile([2.0, 2, 2, 2, 2, 8, 2], 20)
    >>> found = seasons_of(Panel.from_wide([days], start="2026-01-05"))
    >>> found.weekly.peaks(0), float(found.weekly.strength[0].round(2)), found.yearly.peaks(0)
    ([5], 1.0, [])
    """
    if panel.freq.minutes != 1440:
        raise ParameterError(f"seasons are told of days, got periods of {panel.freq}; sum them to days")
    parts = [
        _of_block(panel.select(np.arange(low, min(low + SERIES_AT_ONCE, len(panel)))))
        for low in range(0, len(panel), SERIES_AT_ONCE)
    ]
    return Seasons(_joined([one.weekly for one in parts], WEEK), _joined([one.yearly for one in parts], 12))


def _joined(parts: list[Season], places: int) -> Season:
    strength = [np.empty(0), *(one.strength for one in parts)]
    return Season(np.concatenate(strength), np.concatenate([np.empty((0, places)), *(one.factors for one in parts)]))


def _of_block(panel: Panel) -> Seasons:
    length = WEEKS * WEEK
    seen = panel.available_window(length)  # [N, T]
    units = np.where(seen, np.maximum(np.nan_to_num(panel.window(length)), 0.0), 0.0).astype(np.float64)
    ordinals = panel.ends[:, None] - np.arange(length, 0, -1)  # [N, T]
    days = panel.freq.moments(ordinals).astype("datetime64[D]")
    recent = slice(length - DAYS, None)
    weekday = panel.freq.weekday(ordinals[:, recent])
    weekly = _season(
        units[:, recent], seen[:, recent].astype(np.float64), weekday, places=WEEK, level=4 * WEEK, fewest=FEWEST_DAYS
    )
    by_week = (len(units), WEEKS, WEEK)
    in_week = seen.reshape(by_week).sum(axis=2)  # [N, W] days seen
    enough = in_week > WEEK // 2
    sums = np.where(enough, units.reshape(by_week).sum(axis=2) * WEEK / np.maximum(in_week, 1), 0.0)
    month = days[:, WEEK // 2 :: WEEK].astype("datetime64[M]").astype(np.int64) % 12  # of the middle of each week
    yearly = _season(
        sums, enough.astype(np.float64), month, places=12, level=YEAR_WEEKS, fewest=FEWEST_WEEKS
    )  # fmt: skip
    return Seasons(weekly, yearly)


def _season(units: Floats, seen: Floats, place: Integers, *, places: int, level: int, fewest: int) -> Season:
    """Return the season of ``units`` [N, T], 0 where not ``seen``, over the ``place`` [N, T] of each column."""
    from scipy.special import fdtrc

    count = seen.sum(axis=1)
    local = moving_level(units, seen, level)
    left = (units - local) * seen
    left -= (left.sum(axis=1) / np.maximum(count, 1))[:, None] * seen
    times = bin_sums(seen, place, places)  # [N, places]
    effect = bin_sums(left, place, places) / np.maximum(times, 1)
    whole = (left**2).sum(axis=1)
    between = (times * effect**2).sum(axis=1)
    groups = (times > 0).sum(axis=1)
    within = np.maximum(whole - between, 0.0)
    spare = np.maximum(count - groups, 1)
    ratio = (between / np.maximum(groups - 1, 1)) / np.maximum(within / spare, 1e-12 * np.maximum(whole, 1e-300))
    certain = (whole > 1e-12) & (groups > 1) & (fdtrc(np.maximum(groups - 1, 1), spare, ratio) < CHANCE)
    explained = 1.0 - (within / spare) / np.maximum(whole / np.maximum(count - 1, 1), 1e-300)
    mean = units.sum(axis=1) / np.maximum(count, 1)
    known = (count >= fewest) & (mean > 0)
    factors = 1.0 + effect / np.where(mean > 0, mean, 1.0)[:, None]
    return Season(
        np.where(known, np.where(certain, np.clip(explained, 0.0, 1.0), 0.0), np.nan),
        np.where(known[:, None], np.maximum(factors, 0.0), np.nan),
    )
