"""Classes of demand, from each series' own history: what kind of model suits it depends on how it sells.

Four come from how often a series sells and how unlike its sales are, with the limits of Syntetos, Boylan and Croston,
2005, Journal of the Operational Research Society 56(5). Two more stand beside them: regular, where one season is
nearly the next, and short, where too little has been seen to tell.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.panel import Panel

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]

CLASSES: Final = ("smooth", "erratic", "intermittent", "lumpy", "regular", "short")
SMOOTH, ERRATIC, INTERMITTENT, LUMPY, REGULAR, SHORT = range(len(CLASSES))

INTERVAL: Final = 1.32  # periods from sale to sale from which demand is intermittent
VARIATION: Final = 0.49  # squared coefficient of variation of sales from which they are unlike
REGULARITY: Final = 0.02  # mean change over a season, as a share of the mean, below which the next season is the last
SEEN: Final = 10  # periods, below which nothing is told
SOLD: Final = 2  # periods with demand, likewise
WINDOW: Final = 400  # latest periods looked at, or three seasons where those are longer


def classes_of(panel: Panel) -> Integers:
    """Return the class [N] of each series, as a position in `CLASSES`.

    ADI = seen periods / periods with demand; CV2 = variance / mean^2 of demand where there was any. Smooth is ADI below
    1.32 and CV2 below 0.49, erratic the latter above, intermittent the former above, lumpy both.

    >>> panel = Panel.from_wide([[3.0, 4] * 20, [0.0, 0, 0, 5] * 10, [1.0] * 4 + [np.nan] * 36], start="2026-01-01")
    >>> [CLASSES[code] for code in classes_of(panel.until(panel.ends))]
    ['smooth', 'intermittent', 'short']
    """
    season, length = panel.freq.season, window_of(panel.freq)
    values, seen = panel.window(length), panel.available_window(length)
    demand = np.where(seen, np.maximum(np.nan_to_num(values), 0.0), 0.0).astype(np.float64)  # [N, length]
    periods = seen.sum(axis=1)
    sold = (demand > 0).sum(axis=1)
    size = demand.sum(axis=1) / np.maximum(sold, 1)
    spread = np.where(demand > 0, demand - size[:, None], 0.0)
    unlike = (spread * spread).sum(axis=1) / np.maximum(sold, 1) >= VARIATION * size * size
    rare = periods >= INTERVAL * sold
    both = seen[:, season:] & seen[:, :-season]
    change = np.where(both, np.abs(demand[:, season:] - demand[:, :-season]), 0.0).sum(axis=1)
    pairs = both.sum(axis=1)
    mean = demand.sum(axis=1) / np.maximum(periods, 1)
    regular = (pairs >= season) & (change <= REGULARITY * mean * pairs) & (sold > 0)
    found = 2 * rare + unlike
    found = np.where(regular, REGULAR, found)
    return np.where((periods < SEEN) | (sold < SOLD), SHORT, found).astype(np.int64)


def window_of(freq: Frequency) -> int:
    """Return the periods looked at: the same for every series, so that a class is the series' own."""
    return max(WINDOW, 3 * freq.season)
