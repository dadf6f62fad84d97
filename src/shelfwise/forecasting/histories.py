"""One series' history, made ready for a model that knows neither gaps nor stockouts.

Periods in which nothing was recorded or nothing was on sale are not zeros. Models that read a season need every period
in its place, so such periods are filled with the series' own level and season there; models that only look from sale
to sale get the history without them. A period that sold out is neither: it counts with what was expected given what
sold (`censoring`). Functions work on one history [T], so that a series' answer is its own.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.forecasting.censoring import mean_above, trust
from shelfwise.forecasting.seasonality import FLOOR, moving_level

Floats = npt.NDArray[np.floating[Any]]
Flags = npt.NDArray[np.bool_]

LEAN: Final = 2.0  # seasons of average demand that an own season leans on
SPAN: Final = (8, 56)  # periods, at least and at most, over which a level is read: two seasons where that lies between
ROUNDS: Final = 6  # times that the demand of sold-out periods is expected with the last answer in place


def seasonal_shape(values: Floats, seen: Flags, season: int) -> Floats:
    """Return factors [T] of mean about 1: what each period's place in the season sells over the series' average.

    f = (sum y + k m) / ((n + k) m) over the n seen periods of a place, with m the mean of all seen periods and
    k = `LEAN`; all ones where fewer than two seasons were seen or nothing was sold.

    >>> seasonal_shape(np.array([1.0, 3.0] * 40), np.ones(80, dtype=bool), 2)[:2].round(2).tolist()
    [0.52, 1.48]
    """
    mean = float(values[seen].mean()) if seen.any() else 0.0
    if season < 2 or seen.sum() < 2 * season or mean <= 0:
        return np.ones(len(values))
    place = np.arange(len(values)) % season
    sums = np.bincount(place[seen], weights=values[seen], minlength=season)
    counts = np.bincount(place[seen], minlength=season)
    shape = (sums + LEAN * mean) / ((counts + LEAN) * mean)
    shape = np.maximum(shape / shape.mean(), FLOOR)
    factors: Floats = shape[place]
    return factors


def local_level(values: Floats, seen: Flags, shape: Floats, span: int) -> Floats:
    """Return the level [T] in units per period of season 1, over ``span`` periods around each one.

    A level is read only where half the span was seen (or as much as ever was), because a single sale is no level. Over
    a gap it runs straight from the one before to the one after; beyond the first and last it stays.
    """
    if not seen.any():
        return np.zeros(len(values))
    span = min(span, len(values))
    level = moving_level(np.where(seen, values, 0.0)[None, :], (seen * shape)[None, :], span)[0]
    known = np.flatnonzero(_well_seen(seen, span))
    found: Floats = np.maximum(np.interp(np.arange(len(values)), known, level[known]), 0.0)
    return found


def _well_seen(seen: Flags, span: int) -> Flags:
    """Return which periods [T] have their window, the one that `moving_level` reads, seen by half or more."""
    share = moving_level(seen[None, :].astype(np.float64), np.ones((1, len(seen))), span)[0]
    found: Flags = share > min(0.5, float(share.max())) - 0.5 / span
    return found


def expected(values: Floats, seen: Flags, season: int) -> Floats:
    """Return [T] what a series' local level and own season lead to expect in each period, in units."""
    shape = seasonal_shape(values, seen, season)
    product: Floats = local_level(values, seen, shape, int(np.clip(2 * season, *SPAN))) * shape
    return product


def filled(values: Floats, seen: Flags, season: int) -> Floats:
    """Return the history [T] with what is expected in place of what was not seen.

    >>> week = np.array([0.0, 2.0] * 8)
    >>> seen = np.arange(16) != 9
    >>> float(filled(np.where(seen, week, -1.0), seen, 2)[9].round(1))
    1.8
    """
    if seen.all():
        return values
    return np.where(seen, values, expected(values, seen, season))


def at_least(values: Floats, seen: Flags, sold: Floats, season: int, noise: float, *, is_count: bool) -> Floats:
    """Return the history [T] with E[D | D >= sold] in the periods that sold out, around the series' level and season.

    Parameters
    ----------
    seen
        [T] periods whose values are demand; those that sold out are not among them.
    sold
        [T] units sold in the periods that sold out, zero elsewhere.
    noise
        Variance over mean of demand.

    >>> history, out = np.full(20, 4.0), np.arange(20) == 9
    >>> at_least(np.where(out, 0.0, history), ~out, np.where(out, 5.0, 0.0), 1, 1.0, is_count=True)[8:10].round(
    ...     1
    ... ).tolist()
    [4.0, 6.2]
    """
    out = sold > 0
    if not out.any():
        return values
    found = np.where(out, sold, values)
    spread = np.full(int(out.sum()), noise)
    trusted = float(trust(np.array(float(seen.sum())), np.array(float(out.sum()))))
    for _ in range(ROUNDS):
        above, _ = mean_above(expected(found, seen | out, season)[out], spread, sold[out], is_count)
        found[out] = sold[out] + trusted * (above - sold[out])
    return found
