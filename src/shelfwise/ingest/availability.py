"""Infer on which days a product could not be bought, where nobody recorded it.

Two signs, both marking days as *censored* (sales seen, demand hidden), never filling anything in:

1. **Stock on hand.** Closing stock of zero or less. A day that sold and closed empty is censored too: it may have
   sold more.
2. **A run of zero sales that the product's own rate makes implausible.** A run is flagged when its probability under
   the product's recent rate is below a threshold, by default 1e-4.

The probability is kept high on purpose, so that only clear cases are flagged. For each day of a run the chance of no
sale is the larger of two estimates: a negative binomial with the product's mean on open days around the run (the lower
of the mean before and the mean after), its weekday factors and its own dispersion; and the share of days without a
sale, before or after the run, by weekday. Days on which nothing was sold in any of ten or more series (the shop was
closed) prove nothing and count as certain zeros.

What is never flagged by the second sign: days before the first sale; the run that reaches the end, because a silent
product may as well be discontinued and only the person knows (``tail_days`` lets short ones count); runs longer than
``longest_days``, which are seasons or delistings rather than stockouts; days known to have closed with stock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from shelfwise.domain.errors import DataError, ParameterError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

SEASON: Final = 7
ENOUGH_SERIES: Final = 10  # with fewer, a day without any sale does not show that the shop was closed


@dataclass(frozen=True)
class StockoutRule:
    """When a run of zero sales counts as a stockout.

    Parameters
    ----------
    threshold
        Probability below which a run is implausible.
    window_days
        Days before and after a run from which the product's rate is taken.
    shortest_days, longest_days
        Runs outside these lengths are never flagged.
    tail_days
        A run that reaches the end is flagged only up to this length; 0: never.
    """

    threshold: float = 1e-4
    window_days: int = 56
    shortest_days: int = 2
    longest_days: int = 60
    tail_days: int = 0

    def __post_init__(self) -> None:
        """Check the parameters."""
        if not 0 < self.threshold < 1:
            raise ParameterError(f"threshold must be above 0 and below 1, got {self.threshold}")
        if self.window_days < SEASON:
            raise ParameterError(f"window must be at least {SEASON} days, got {self.window_days}")
        if not 1 <= self.shortest_days <= self.longest_days:
            raise ParameterError(
                f"run lengths must be 1 or more and in order, got {self.shortest_days} to {self.longest_days}"
            )
        if self.tail_days < 0:
            raise ParameterError(f"tail days must be 0 or more, got {self.tail_days}")


def infer(
    values: npt.ArrayLike,
    offsets: npt.ArrayLike,
    *,
    starts: npt.ArrayLike | None = None,
    on_hand: npt.ArrayLike | None = None,
    rule: StockoutRule | None = None,
) -> Flags:
    """Return which days are censored.

    Parameters
    ----------
    values
        [F] units sold per day, all series one after the other, no day missing. NaN: not recorded.
    offsets
        [N + 1] where each series begins in ``values``; the last is F.
    starts
        [N] day number of each series' first day (any day counts as 0, the same for all). Gives weekdays and days on
        which the whole shop was closed. Without it all series start on the same day.
    on_hand
        [F] closing stock; NaN where it is not known.
    rule
        Parameters of the second sign.

    Returns
    -------
    [F] True where demand was hidden.

    >>> week = [5, 6, 4, 5, 7, 5, 6]
    >>> sold = week * 4 + [0, 0, 0, 0, 0] + week * 2
    >>> infer(sold, [0, 47]).nonzero()[0].tolist()
    [28, 29, 30, 31, 32]
    """
    rule = rule if rule is not None else StockoutRule()
    sold = np.asarray(values, dtype=np.float64)
    bounds = np.asarray(offsets, dtype=np.int64)
    _check(sold, bounds)
    flags = np.zeros(len(sold), dtype=bool)
    if not len(sold):
        return flags
    lengths = np.diff(bounds)
    first_days = np.zeros(len(lengths), dtype=np.int64) if starts is None else np.asarray(starts, dtype=np.int64)
    if first_days.shape != lengths.shape:
        raise DataError(f"starts must hold one day per series: {len(first_days)} for {len(lengths)} series")
    day = np.arange(len(sold)) - np.repeat(bounds[:-1] - first_days, lengths)  # [F] day number
    stock = None if on_hand is None else np.asarray(on_hand, dtype=np.float64)
    if stock is not None and stock.shape != sold.shape:
        raise DataError(f"on_hand must have one value per day: {stock.shape} for {sold.shape}")
    _flag_runs(flags, sold, bounds, day, rule, stock)
    if stock is not None:
        alive = np.nan_to_num(sold) > 0
        alive |= np.nan_to_num(stock) > 0
        flags |= (stock <= 0) & _begun(alive, bounds)
    return flags


def _check(sold: Floats, bounds: Ints) -> None:
    if sold.ndim != 1 or bounds.ndim != 1 or not len(bounds):
        raise DataError("values and offsets must be flat arrays, offsets with one more entry than there are series")
    if bounds[0] != 0 or bounds[-1] != len(sold) or (np.diff(bounds) < 0).any():
        raise DataError(f"offsets must rise from 0 to {len(sold)}, got {bounds[0]} to {bounds[-1]}")


def _begun(alive: Flags, bounds: Ints) -> Flags:
    """Return per day [F] whether its series has been alive on that day or before."""
    total = np.concatenate(([0], np.cumsum(alive)))
    begun: Flags = total[1:] > np.repeat(total[bounds[:-1]], np.diff(bounds))
    return begun


def _flag_runs(flags: Flags, sold: Floats, bounds: Ints, day: Ints, rule: StockoutRule, stock: Floats | None) -> None:
    """Set ``flags`` on the runs of zeros that are implausible."""
    units = np.maximum(np.nan_to_num(sold), 0.0)
    ordinal = day - day.min()
    shop_sold = np.bincount(ordinal, weights=units)  # [days] units of the whole shop
    shop_open = shop_sold > 0 if len(bounds) > ENOUGH_SERIES else np.ones(len(shop_sold), dtype=bool)  # [days]
    open_day = shop_open[ordinal] & ~np.isnan(sold)  # [F]
    run_start, run_end, home = _zero_runs(sold <= 0, bounds)
    length = run_end - run_start
    reaches_end = run_end == bounds[home + 1]
    usable = (length >= rule.shortest_days) & (length <= rule.longest_days)
    usable &= run_start > bounds[home]  # a run at the very start is before the first sale
    usable &= ~reaches_end | (length <= rule.tail_days)
    run_start, run_end, home, reaches_end = run_start[usable], run_end[usable], home[usable], reaches_end[usable]
    if not len(run_start):
        return
    history = _History(units, open_day, (day % SEASON).astype(np.int8), bounds)
    # Open days by weekday up to each day of the shop: [7, days + 1]
    calendar = np.arange(len(shop_sold)) + day.min()
    by_weekday = np.stack([_running(shop_open & (calendar % SEASON == w)) for w in range(SEASON)])
    first = ordinal[run_start]
    days = (by_weekday[:, first + run_end - run_start] - by_weekday[:, first]).T  # [R, 7]
    chance = history.log_chance_of_no_sale(run_start, run_end, home, reaches_end, rule.window_days, days)
    hit = chance < np.log(rule.threshold)
    edges = np.zeros(len(sold) + 1, dtype=np.int32)
    np.add.at(edges, run_start[hit], 1)
    np.add.at(edges, run_end[hit], -1)
    inside = np.cumsum(edges[:-1]) > 0
    if stock is not None:
        inside &= ~(stock > 0)
    flags |= inside & open_day


def _zero_runs(zero: Flags, bounds: Ints) -> tuple[Ints, Ints, Ints]:
    """Return start, end (exclusive) and series of every maximal run of ``zero`` days [R]."""
    begins = zero.copy()
    begins[1:] &= ~zero[:-1]
    ends = zero.copy()
    ends[:-1] &= ~zero[1:]
    filled = np.diff(bounds) > 0
    firsts = bounds[:-1][filled]
    begins[firsts] |= zero[firsts]  # a run never crosses from one series into the next
    lasts = bounds[1:][filled] - 1
    ends[lasts] |= zero[lasts]
    start = np.flatnonzero(begins)
    home = np.searchsorted(bounds, start, side="right") - 1
    return start, np.flatnonzero(ends) + 1, home


class _History:
    """Running sums over the flat days, from which means of any window of any series come in one step."""

    def __init__(self, units: Floats, open_day: Flags, weekday: npt.NDArray[np.int8], bounds: Ints) -> None:
        self.bounds = bounds
        lengths = np.diff(bounds)
        home = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        self.units = _running(units * open_day)
        self.open = _running(open_day)
        self.sold = _running((units > 0) & open_day)
        begun = open_day & _begun(units > 0, bounds)
        home, some = home[begun], units[begun]  # open days since the first sale
        cell = home * SEASON + weekday[begun]
        size, shape = len(lengths) * SEASON, (len(lengths), SEASON)
        days = np.bincount(cell, minlength=size).reshape(shape)  # [N, 7]
        sums = np.bincount(cell, weights=some, minlength=size).reshape(shape)
        sold = np.bincount(cell[some > 0], minlength=size).reshape(shape)
        squares = np.bincount(home, weights=np.square(some), minlength=len(lengths))
        total = np.maximum(days.sum(axis=1), 1)
        mean, share = sums.sum(axis=1) / total, sold.sum(axis=1) / total  # [N]
        # Weekday factors, shrunk as if four more average weeks had been seen.
        self.volume = (sums + 4 * mean[:, None]) / np.maximum((days + 4) * mean[:, None], 1e-12)  # [N, 7]
        self.presence = (sold + 4 * share[:, None]) / np.maximum((days + 4) * share[:, None], 1e-12)  # [N, 7]
        variance = squares / total - np.square(mean)
        # Negative binomial with mean m and size r has variance m + m^2 / r; r is kept within sane bounds.
        self.size = np.clip(np.square(mean) / np.maximum(variance - mean, 1e-9), 0.05, 1e4)  # [N]

    def log_chance_of_no_sale(
        self, start: Ints, end: Ints, home: Ints, reaches_end: Flags, window: int, days: Floats
    ) -> Floats:
        """Return per run [R] the log of the probability that it sells nothing although the product is there.

        ``days`` [R, 7] counts the open days of each run by weekday.
        """
        low = np.maximum(start - window, self.bounds[home])
        high = np.minimum(end + window, self.bounds[home + 1])
        before, after = self._rates(low, start), self._rates(end, high)
        rate = np.where(reaches_end, before[0], np.minimum(before[0], after[0]))  # [R] units per open day
        share = np.where(reaches_end, before[1], np.minimum(before[1], after[1]))  # [R] of days with a sale
        mean = rate[:, None] * self.volume[home]  # [R, 7]
        size = self.size[home][:, None]
        negative_binomial = np.exp(-size * np.log1p(mean / size))
        observed = np.clip(1 - share[:, None] * self.presence[home], 0.0, 1.0)
        chance = np.clip(np.maximum(negative_binomial, observed), 1e-9, 1.0)
        result: Floats = (days * np.log(chance)).sum(axis=1)
        return result

    def _rates(self, low: Ints, high: Ints) -> tuple[Floats, Floats]:
        days = self.open[high] - self.open[low]
        # One day without a sale is added to each window: a short window must not look certain.
        units = (self.units[high] - self.units[low]) / (days + 1)
        return units, (self.sold[high] - self.sold[low]) / (days + 1)


def _running(values: npt.NDArray[np.float64] | Flags) -> Floats:
    return np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
