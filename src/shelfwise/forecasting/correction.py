"""Correction: what the series of each cell are multiplied by, so that their sum is what the totals expect of it.

Letters as in `aggregates`; H steps that a correction is laid out for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.domain.forecast import Forecast
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.aggregates import Aggregates, Chains, still_sold

Floats = npt.NDArray[np.floating[Any]]
Flags = npt.NDArray[np.bool_]

LARGEST: Final = 1.6  # factor on a series, and its inverse


@dataclass(frozen=True, eq=False)
class Correction:
    """What the series of each cell are multiplied by.

    Parameters
    ----------
    chains, cells
        How a series finds its cell.
    first
        Ordinal of the first factor.
    factors
        [C, H]; beyond them the mean of the last week's (or last period's) holds, before them none.
    closes
        [P] periods from ``first`` on, a year and more, in which the whole shop is closed; P may be any.
    """

    chains: Chains
    cells: tuple[str, ...]
    first: int
    factors: Floats
    closes: Flags

    def at(self, forecast: Forecast) -> Floats:
        """Return the factor [N, H] of each series and period; 1 for a cell never seen."""
        place = {name: i for i, name in enumerate(self.cells)}
        codes = [place.get(name, len(self.cells)) for name in self.chains.names(forecast.series).to_list()]
        length = self.factors.shape[1]
        steps = (forecast.starts - self.first)[:, None] + np.arange(forecast.horizon)
        last = self.factors[:, -min(7, length) :]
        held = last > 0
        tail = np.where(held.any(axis=1), (last * held).sum(axis=1) / np.maximum(held.sum(axis=1), 1), 1.0)
        padded = np.concatenate([np.ones((len(self.cells), 1)), self.factors, tail[:, None]], axis=1)
        padded = np.concatenate([padded, np.ones((1, padded.shape[1]))])
        found: Floats = padded[np.array(codes, dtype=np.int64)[:, None], np.clip(steps, -1, length) + 1]
        closes = np.concatenate([[False], self.closes, [False]])
        found[closes[np.clip(steps, -1, len(self.closes)) + 1]] = 0.0
        return found


def sums_of(panel: Panel, aggregates: Aggregates, mean: Floats) -> Floats:
    """Return [C, H] sums over the series that are still sold of ``mean`` [N, H], from the end of the panel on.

    Of a series that ends some days earlier, the last days are those of the week before.
    """
    season, horizon = aggregates.freq.season, mean.shape[1]
    living = still_sold(panel, aggregates.end)
    place = np.arange(horizon) + (aggregates.end - panel.ends[living])[:, None]
    place -= season * np.maximum(0, -((horizon - 1 - place) // season))
    cells = np.zeros((len(aggregates.nodes.cells), horizon))
    code = aggregates.nodes.cell_of(panel.series)[living]
    np.add.at(cells, code, np.take_along_axis(mean[living], np.maximum(place, 0), axis=1))
    return cells


def open_share_of(panel: Panel, aggregates: Aggregates, steps: int) -> Floats:
    """Return [C, H] share of the usual sales of a cell whose series are open, 1 where nothing is said of it."""
    cells = len(aggregates.nodes.cells)
    if "open" not in panel.known_future:
        return np.ones((cells, steps))
    chosen = panel.select(still_sold(panel, aggregates.end))
    start = np.full(chosen.n_series, aggregates.end, dtype=np.int64)
    opened = np.nan_to_num(chosen.known_future["open"].at(start, steps), nan=1.0) > 0
    length = int(min(chosen.lengths.max(), 4 * aggregates.freq.season * 4))
    usable = chosen.available_window(length)
    sold = np.where(usable, np.maximum(np.nan_to_num(chosen.window(length)), 0.0), 0.0)
    size = sold.sum(axis=1) / np.maximum(usable.sum(axis=1), 1)
    code = aggregates.nodes.cell_of(chosen.series)
    whole, there = np.zeros((cells, 1)), np.zeros((cells, steps))
    np.add.at(whole, code, size[:, None])
    np.add.at(there, code, size[:, None] * opened)
    return np.where(whole > 0, there / np.maximum(whole, 1e-12), 1.0)


def factors_of(expected: Floats, bottom: Floats, open_share: Floats) -> Floats:
    """Return [C, H] what the series of a cell are to be multiplied by; 1 where one of the two says nothing."""
    told = (expected > 1e-9) & (bottom > 1e-9) & (open_share > 0.05)
    ratio = np.where(told, expected * open_share / np.where(told, bottom, 1.0), 1.0)
    return np.clip(ratio, 1.0 / LARGEST, LARGEST)
