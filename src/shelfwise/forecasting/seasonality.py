"""Seasonal shapes: short cycles (time of day, weekday) and the year, as factors around 1.

A category's shape is measured on all its series together; a series' own shape is shrunk to its category's by as many
units as its noise is worth. Functions work on a block of series: values [N, T], and the calendar of their columns as
[1, T] where all series end together and as [N, T] where they do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.domain.calendar import Frequency

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]

RECENT_CYCLES: Final = 16  # a weekday shape is read off the last 16 weeks: shapes drift
SHRINKAGE_UNITS: Final = 15.0  # units of noise (variance over mean) that a category's shape is worth
FLOOR: Final = 0.02  # a season never divides by less than this share of the level


@dataclass(frozen=True)
class Cycle:
    """A short cycle of a frequency.

    Parameters
    ----------
    name
        ``time_of_day``, ``weekday`` or ``time_of_week``.
    length
        Places in the cycle.
    """

    name: str
    length: int

    def index(self, freq: Frequency, ordinals: Integers) -> Integers:
        """Return the place of each period in the cycle; weekdays count from Monday."""
        if self.name == "weekday":
            return freq.weekday(ordinals)
        return ordinals % self.length

    def periods(self, freq: Frequency) -> int:
        """Return the length of the cycle in periods."""
        return self.length if self.name != "weekday" or freq.unit == "d" else 7 * 1440 // freq.minutes


def short_cycles(freq: Frequency) -> tuple[Cycle, ...]:
    """Return the cycles shorter than a year that a shop shows at this frequency, coarse to fine.

    >>> [(c.name, c.length) for c in short_cycles(Frequency.parse("1h"))]
    [('time_of_day', 24), ('weekday', 7), ('time_of_week', 168)]
    """
    if freq.unit == "d" and freq.count == 1:
        return (Cycle("weekday", 7),)
    if freq.unit in ("min", "h") and 1440 % freq.minutes == 0:
        a_day = 1440 // freq.minutes
        return (Cycle("time_of_day", a_day), Cycle("weekday", 7), Cycle("time_of_week", 7 * a_day))
    return ()


def year_bins(freq: Frequency) -> int:
    """Return into how many parts the year is cut: 52 weeks, or as many months or quarters as it has.

    >>> year_bins(Frequency.parse("1d")), year_bins(Frequency.parse("1mo"))
    (52, 12)
    """
    return 52 if freq.unit != "mo" else max(1, round(12 / freq.count))


def year_index(freq: Frequency, ordinals: Integers) -> Floats:
    """Return where in the year each period lies, in bins, 0 <= position < `year_bins`; whole for months."""
    if freq.unit == "mo":
        return (ordinals % year_bins(freq)).astype(np.float64)
    middle = 0.5 / freq.periods_per_year  # a week stands for its middle, not its first day
    return ((freq.year_fraction(ordinals) + middle) % 1.0) * year_bins(freq)


def read(shape: Floats, index: Integers) -> Floats:
    """Return each series' shape [N, L] at the places ``index`` [1 or N, T]: [N, T]."""
    return shape[:, index[0]] if len(index) == 1 else np.take_along_axis(shape, index, axis=1)


def read_year(shape: Floats, position: Floats) -> Floats:
    """Return each series' year [N, B] at the positions [1 or N, T]: straight lines between the middles of the bins."""
    bins = shape.shape[1]
    if np.array_equal(position, np.rint(position)):
        return read(shape, position.astype(np.int64) % bins)
    low = np.floor(position - 0.5).astype(np.int64)
    part = position - 0.5 - low
    found: Floats = read(shape, low % bins) * (1.0 - part) + read(shape, (low + 1) % bins) * part
    return found


def moving_level(numerator: Floats, denominator: Floats, length: int) -> Floats:
    """Return [N, T] local level: sums of ``numerator`` over sums of ``denominator`` in windows of ``length``.

    Windows are centred and slide inwards at the ends, so that each holds a whole cycle; 0 where nothing is known.
    """
    n, periods = numerator.shape
    length = min(length, periods)
    top, bottom = (_window_sums(values, length) for values in (numerator, denominator))  # [N, T - length + 1]
    np.maximum(bottom, 1e-9, out=bottom)
    level = np.empty((n, periods), dtype=np.result_type(top, bottom))
    first = length // 2
    last = first + top.shape[1]
    np.divide(top, bottom, out=level[:, first:last])
    level[:, :first] = level[:, first : first + 1]
    level[:, last:] = level[:, last - 1 : last]
    return level


def _window_sums(values: Floats, length: int) -> Floats:
    running = np.cumsum(values, axis=1)
    sums: Floats = np.empty((len(values), values.shape[1] - length + 1), dtype=running.dtype)
    sums[:, :1] = running[:, length - 1 : length]
    np.subtract(running[:, length:], running[:, :-length], out=sums[:, 1:])
    return sums


def bin_sums(values: Floats, index: Integers, length: int) -> Floats:
    """Return [N, length] sums of ``values`` [N, T] over the columns of each place ``index`` [1 or N, T].

    >>> bin_sums(np.array([[1.0, 2.0, 4.0]]), np.array([[0, 1, 0]]), 2).tolist()
    [[5.0, 2.0]]
    """
    n = len(values)
    flat = (index + length * np.arange(n)[:, None]).reshape(-1)
    counted = np.bincount(flat, weights=values.reshape(-1), minlength=n * length).astype(np.float64)
    return counted.reshape(n, length)


def cycle_shape(
    values: Floats,
    seen: Floats,
    season: Floats,
    index: Integers,
    cycle_periods: int,
    length: int,
    noise: Floats | None = None,
    prior: Floats | None = None,
) -> Floats:
    """Return factors [N, length] of one cycle: sales in each place over what the level alone explains there.

    f = (sum y + k p) / (sum level + k), k = `SHRINKAGE_UNITS` x noise, then scaled to mean 1 over the places.

    Parameters
    ----------
    values
        [N, T] units, zero where not seen.
    seen
        [N, T] 1 where recorded and on sale.
    season
        [N, T] factors already explained.
    index
        [1 or N, T] place of each column in the cycle.
    cycle_periods
        Length of the cycle in periods.
    length
        Number of places.
    noise
        [N] variance over mean of each series; None for no shrinkage.
    prior
        [N, length] shape to shrink to.
    """
    recent = slice(max(0, index.shape[1] - RECENT_CYCLES * cycle_periods), None)
    explained = seen[:, recent] * season[:, recent]
    level = moving_level(values[:, recent], explained, 4 * cycle_periods)
    top = bin_sums(values[:, recent], index[:, recent], length)
    bottom = bin_sums(level * explained, index[:, recent], length)
    if noise is not None and prior is not None:
        units = SHRINKAGE_UNITS * noise[:, None]
        top, bottom = top + units * prior, bottom + units
    shape = np.where(bottom > 1e-12, top / np.maximum(bottom, 1e-12), 1.0 if prior is None else prior)
    mean = shape.mean(axis=1, keepdims=True)
    return np.where(mean > 1e-9, shape / np.maximum(mean, 1e-9), 1.0)


def cycle_sums(
    values: Floats, seen: Floats, season: Floats, index: Integers, cycle_periods: int, length: int
) -> tuple[Floats, Floats]:
    """Return sums [N, length] of sales, and of what the level alone explains, in each place of a cycle.

    Series count by their units, so each is divided by its own mean to the power 1/2: large ones are surer but do not
    rule alone. Arguments as in `cycle_shape`.
    """
    recent = slice(max(0, index.shape[1] - RECENT_CYCLES * cycle_periods), None)
    explained = seen[:, recent] * season[:, recent]
    level = moving_level(values[:, recent], explained, 4 * cycle_periods)
    weight = 1.0 / np.sqrt(np.maximum(level.mean(axis=1, keepdims=True), 1e-9))
    weight[~(level > 1e-9).any(axis=1)] = 0.0
    explained *= level
    top = bin_sums(values[:, recent], index[:, recent], length) * weight
    bottom = bin_sums(explained, index[:, recent], length) * weight
    return top, bottom


def pooled_ratio(top: Floats, bottom: Floats, groups: Integers, n_groups: int) -> Floats:
    """Return factors [G, length] of each group's series together, shrunk a little to those of all series.

    Parameters
    ----------
    top, bottom
        [N, length] as `cycle_sums` returns them.
    groups
        [N] group of each series.
    """
    member = np.zeros((n_groups, len(groups)))
    member[groups, np.arange(len(groups))] = 1.0
    group_top, group_bottom = member @ top, member @ bottom
    all_top, all_bottom = group_top.sum(axis=0), group_bottom.sum(axis=0)
    overall = np.where(all_bottom > 1e-9, all_top / np.maximum(all_bottom, 1e-9), 1.0)
    share = 0.02 * all_bottom.mean()
    shape = (group_top + share * overall) / np.maximum(group_bottom + share, 1e-9)
    mean = shape.mean(axis=1, keepdims=True)
    return np.where(mean > 1e-9, shape / np.maximum(mean, 1e-9), 1.0)


def pooled_year_shape(
    totals: Floats, position: Floats, bins: int, *, level_stiffness: float, smoothness: float
) -> Floats:
    """Return yearly factors [G, B] of group totals [G, T] from one penalised least-squares fit each.

    log total_t = level_t + shape_bin(t) with a penalty on changes of the level and on the shape's curvature, so that
    little more than one year still tells the season from the trend. The last group is the total of all; the shapes
    of the others are fitted on what it leaves.

    Parameters
    ----------
    totals
        [G, T] deseasonalised units by period, NaN where a group sold nothing; the last row is the whole.
    position
        [T] place in the year, in bins.
    level_stiffness, smoothness
        Penalties in units of one observation's squared log error.
    """
    periods = len(position)
    bin_of = np.floor(position).astype(np.int64) % bins
    design = np.zeros((periods, periods + bins))
    design[np.arange(periods), np.arange(periods)] = 1.0
    design[np.arange(periods), periods + bin_of] = 1.0
    steps = np.zeros((periods - 1, periods + bins))
    steps[np.arange(periods - 1), np.arange(periods - 1)] = -1.0
    steps[np.arange(periods - 1), np.arange(1, periods)] = 1.0
    curve = np.zeros((bins, periods + bins))
    for b in range(bins):
        curve[b, periods + (b - 1) % bins] += 1.0
        curve[b, periods + b] -= 2.0
        curve[b, periods + (b + 1) % bins] += 1.0
    ridge = np.zeros((bins, periods + bins))
    ridge[:, periods:] = np.eye(bins)
    penalty = level_stiffness * steps.T @ steps + smoothness * curve.T @ curve + 0.05 * ridge.T @ ridge
    shapes = np.ones((len(totals), bins))
    whole = np.zeros(bins)
    for row in range(len(totals) - 1, -1, -1):
        known = np.isfinite(totals[row]) & (totals[row] > 0)
        if known.sum() < 6:
            shapes[row] = np.exp(whole)
            continue
        weighted = design * known[:, None]
        target = np.where(known, np.log(np.where(known, totals[row], 1.0)) - whole[bin_of], 0.0)
        extra = 0.0 if row == len(totals) - 1 else 1.0  # a category departs from the whole only with evidence
        system = weighted.T @ weighted + penalty + extra * ridge.T @ ridge + 1e-9 * np.eye(periods + bins)
        found = np.linalg.solve(system, weighted.T @ target)[periods:]
        if row == len(totals) - 1:
            whole = found - found.mean()
            shapes[row] = np.exp(whole)
        else:
            shapes[row] = np.exp(whole + found - found.mean())
    return shapes
