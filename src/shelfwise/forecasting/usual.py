"""The usual state of known-ahead covariates: the world against which events, promotions and prices are measured.

A flag's usual state is down, a word's the commonest one (or none), an amount's its median over the recent past. Closed
periods (``open``) are no event and stay as they are.

Letters: N series, H horizon, L periods a covariate is laid out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.domain.covariates import Covariate
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.features import USUAL_SEASONS

Floats = npt.NDArray[np.floating[Any]]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

_VALUES_AT_ONCE: Final = 1_000_000  # values of a covariate looked at before the next
NOT_EVENTS: Final = ("open",)


@dataclass(frozen=True, eq=False)
class Driver:
    """A known-ahead covariate that departs from its usual state in some coming period.

    Parameters
    ----------
    name
        The covariate.
    ahead, usual
        [N, H] its values in the coming periods, and what they would usually be.
    departs
        [N, H] where the two differ.
    is_event
        A flag or words, rather than an amount.
    words
        Words behind the codes of a text covariate; empty for numbers.
    """

    name: str
    ahead: Floats
    usual: Floats
    departs: Flags
    is_event: bool
    words: tuple[str, ...] = ()

    def select(self, positions: Integers) -> Driver:
        """Return the driver of the series at ``positions``."""
        return replace(self, ahead=self.ahead[positions], usual=self.usual[positions], departs=self.departs[positions])


def drivers_of(panel: Panel, horizon: int, *, flags: tuple[str, ...] = ()) -> tuple[Driver, ...]:
    """Return the covariates that depart from their usual state in the next ``horizon`` periods, by name.

    Parameters
    ----------
    flags
        Covariates known to be flags; others are flags where they are only ever 0 or 1.
    """
    found = []
    for name in sorted(panel.known_future):
        covariate = panel.known_future[name]
        if name in NOT_EVENTS:
            continue
        flag = not covariate.categories and (name in flags or is_flag(covariate))
        ahead = covariate.at(panel.ends, horizon)
        usual = np.broadcast_to(usual_of(panel, covariate, flag=flag), ahead.shape)
        if covariate.categories:
            departs = ~((ahead == usual) | (np.isnan(ahead) & np.isnan(usual)))
        else:
            with np.errstate(invalid="ignore"):
                departs = np.abs(ahead - usual) > 1e-9 * np.maximum(1.0, np.abs(usual))
        if departs.any():
            event = flag or bool(covariate.categories)
            found.append(Driver(name, ahead, usual, departs, event, covariate.categories))
    return tuple(found)


def is_flag(covariate: Covariate) -> bool:
    """Return whether a covariate of numbers is only ever 0 or 1."""
    values = covariate.values
    for low in range(0, len(values), _VALUES_AT_ONCE):  # of a price the first values tell
        some = values[low : low + _VALUES_AT_ONCE]
        if not ((some == 0) | (some == 1) | np.isnan(some)).all():
            return False
    return True


def usual_of(panel: Panel, covariate: Covariate, *, flag: bool) -> Floats:
    """Return [N, 1] the usual value of a covariate for each series; NaN where none is known."""
    if flag:
        return np.zeros((panel.n_series, 1))
    if covariate.categories:
        return _commonest(panel, covariate)
    season = max(1, min(panel.freq.season, 28))
    length = USUAL_SEASONS * season
    if covariate.shared and len(panel.ends) and (panel.ends == panel.ends[0]).all():
        row = covariate.at(panel.ends[:1] - length, length)
        return np.broadcast_to(_median(row), (panel.n_series, 1))
    return _median(covariate.at(panel.ends - length, length))


def _median(values: Floats) -> Floats:
    """Return [n, 1] median of the known values of each row, NaN where none is known; an amount that did occur."""
    count = (~np.isnan(values)).sum(axis=1)
    ordered = np.sort(values, axis=1)  # NaN last
    middle = np.maximum(count - 1, 0) // 2
    found: Floats = ordered[np.arange(len(values)), middle][:, None]
    return found


def _commonest(panel: Panel, covariate: Covariate) -> Floats:
    """Return [N, 1] code of each series' commonest word, NaN where it mostly has none."""
    kinds = len(covariate.categories) + 1  # the last place counts periods without a word
    codes = np.where(np.isnan(covariate.values) | (covariate.values < 0), kinds - 1, covariate.values).astype(np.int64)
    if covariate.offsets is None:
        counts = np.bincount(codes, minlength=kinds)[None, :]
    else:
        row = np.repeat(np.arange(panel.n_series), np.diff(covariate.offsets))
        counts = np.bincount(row * kinds + codes, minlength=panel.n_series * kinds).reshape(-1, kinds)
    best = counts.argmax(axis=1).astype(np.float64)
    return np.broadcast_to(np.where(best == kinds - 1, np.nan, best)[:, None], (panel.n_series, 1))


def as_usual(panel: Panel, drivers: tuple[Driver, ...], horizon: int) -> Panel:
    """Return the panel with the drivers at their usual values where they depart from them in the coming periods."""
    if not drivers:
        return panel
    known = dict(panel.known_future)
    for driver in drivers:
        values = np.where(driver.departs, driver.usual, driver.ahead)
        known[driver.name] = laid_ahead(known[driver.name], panel.ends, values)
    return replace(panel, known_future=known)


def laid_ahead(covariate: Covariate, ends: Integers, values: Floats) -> Covariate:
    """Return the covariate with ``values`` [N, H] from each series' ordinal ``ends`` [N] on; its past stays."""
    horizon = values.shape[1]
    if covariate.offsets is None:
        same = (ends == ends[0]).all() and ((values == values[:1]) | (np.isnan(values) & np.isnan(values[:1]))).all()
        if same:
            first = int(ends[0] - covariate.starts[0])
            length = max(len(covariate.values), first + horizon)
            row = np.full(length, np.nan)
            row[: len(covariate.values)] = covariate.values
            row[max(0, first) : first + horizon] = values[0, max(0, -first) :]
            return replace(covariate, values=row)
    first = int(covariate.starts.min()) if len(covariate.starts) else 0
    length = int(max(ends.max(initial=first), first)) - first + horizon
    grid = covariate.at(np.full(len(ends), first, dtype=np.int64), length)  # [N, L]
    at = (ends - first)[:, None] + np.arange(horizon)
    row, column = np.nonzero(at >= 0)
    grid[row, at[row, column]] = values[row, column]
    offsets = np.arange(len(ends) + 1, dtype=np.int64) * length
    return Covariate(grid.reshape(-1), offsets, np.full(len(ends), first, dtype=np.int64), covariate.categories)
