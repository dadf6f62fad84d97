"""Plans: what a calendar that series share expects of flags and events, so that a plan made after its fit counts.

The calendar of the aggregates lays its factors out when it is fitted. An event that is added, moved or called off later
changes them by its own effect; where nothing changed, nothing is touched. Letters: N series, H horizon, R covariates, C
cells, P planned periods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.domain.panel import Panel

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

AROUND: Final = 3  # days before an event that have an effect; after it one fewer
EFFECTS: Final = 8  # of one covariate: itself, and seven weekdays or the days before and after
FACTORS: Final = (0.02, 20.0)  # what a calendar may multiply an average period by


@dataclass(frozen=True, eq=False)
class Plans:
    """What the covariates within a calendar were expected to be when it was made, so that a change of plan counts.

    Parameters
    ----------
    names
        [R] covariates: flags, or a text column and its word.
    rare
        [R] events, with an effect around them, rather than flags, with one by weekday.
    first
        Ordinal of the first planned period.
    values
        [R, C, P] 0 or 1.
    effects
        [C, R, `EFFECTS`] on the log of a factor.
    """

    names: tuple[str, ...]
    rare: Flags
    first: int
    values: npt.NDArray[np.uint8]
    effects: npt.NDArray[np.float32]

    def changed(self, panel: Panel, codes: Integers, horizon: int) -> Floats | None:
        """Return factors [N, H] for coming periods in which covariates are not as planned; None where all are.

        Periods for which nothing was planned stay as they are.
        """
        length, reach = self.values.shape[2], horizon + 2 * AROUND
        starts = panel.ends - AROUND
        together = bool((panel.ends == panel.ends[:1]).all())
        place = (starts[:1] if together else starts)[:, None] - self.first + np.arange(reach)  # [1 | N, reach]
        known = (place >= 0) & (place < length)
        place = np.clip(place, 0, max(0, length - 1))
        cells = self.values.shape[1]
        row = np.minimum(codes, cells - 1)[:, None]
        known_too = known & (codes < cells)[:, None]
        inside = slice(AROUND, AROUND + horizon)
        log: Floats | None = None
        for i, name in enumerate(self.names):
            holds = _holds(panel, name, starts, reach, together=together)
            if holds is None:
                continue
            if len(holds) == 1 and ((self.values[i][:, place[0]] == holds) | ~known).all():
                continue  # most often nothing has changed, and one row says so for all
            planned = self.values[i][row, place]
            now, then = np.where(known_too, holds, 0.0), np.where(known_too, planned, 0.0)
            change = (now - then)[:, inside]
            effects = self.effects[row[:, 0], i].astype(np.float64)  # [N, EFFECTS]
            if not (now != then).any():
                continue
            mine = change * effects[:, :1]
            if self.rare[i]:
                for side, (after, before) in enumerate(zip(beside(now), beside(then), strict=True)):
                    mine = mine + (after - before)[:, inside] * effects[:, 1 + side : 2 + side]
            else:
                weekday = panel.freq.weekday(panel.ends[:, None] + np.arange(horizon))
                by_weekday = effects[:, 1:] - effects[:, 1:].mean(axis=1, keepdims=True)
                mine = mine + change * np.take_along_axis(by_weekday, weekday, axis=1)
            log = mine if log is None else log + mine
        if log is None:
            return None
        factor: Floats = np.clip(np.exp(log), *FACTORS)
        return factor


def beside(values: Floats) -> tuple[Floats, Floats]:
    """Return the three days before an event, and the two after it, along the last axis of ``values`` [..., L]."""
    before, after = np.zeros(values.shape), np.zeros(values.shape)
    for distance in range(1, AROUND + 1):
        before[..., :-distance] = np.maximum(before[..., :-distance], values[..., distance:])
    for distance in range(1, AROUND):
        after[..., distance:] = np.maximum(after[..., distance:], values[..., :-distance])
    return before, after


def _holds(panel: Panel, name: str, starts: Integers, length: int, *, together: bool) -> Floats | None:
    """Return [N, length] where a flag is up or a text column says its word; None where the panel has no such one.

    One row [1, length] where all series share it and end ``together``.
    """
    for column, covariate in panel.known_future.items():
        at = starts[:1] if covariate.shared and together else starts
        if not covariate.categories and column == name:
            return np.nan_to_num(covariate.at(at, length)).astype(np.float64)
        word = name.removeprefix(f"{column} ")
        if covariate.categories and word != name and word in covariate.categories:
            said: Floats = (covariate.at(at, length) == covariate.categories.index(word)).astype(np.float64)
            return said
    return None
