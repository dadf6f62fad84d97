"""Judging a correction: how much of what the totals expect is worth taking over, told on held-out windows.

A model of the totals may know less than the series' own sums do, so each strength of the correction is tried on windows
that it has not seen.

Letters as in `aggregates`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.domain.errors import ModelError
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.aggregate_trees import AggregateTrees, combined, train
from shelfwise.forecasting.aggregates import still_sold
from shelfwise.forecasting.calendar_model import Calendars
from shelfwise.forecasting.contract import Estimator
from shelfwise.forecasting.correction import Correction, factors_of, open_share_of, sums_of
from shelfwise.forecasting.held_out import LEVELS, cells_after

Floats = npt.NDArray[np.floating[Any]]
Flags = npt.NDArray[np.bool_]

STRENGTHS: Final = (0.0, 0.5, 0.75, 1.0)  # how much of the difference is taken over
WORTH_IT: Final = 0.995  # a correction must lose this much less on windows it has not seen
JUDGED_CELLS: Final = 300_000  # series x steps up to which a model of the series itself is tried on held-out windows
JUDGED_WINDOWS: Final = 2
LEVEL_WINDOWS: Final = 4  # where only the totals are tried, which costs little
JUDGED_SERIES: Final = 2000  # whose quantiles are scored
SMALLEST_ERROR_RATIO: Final = 0.5


def strength_of(judged: Estimator, panel: Panel, calendars: Calendars, horizon: int) -> tuple[float, float]:
    """Return how much of the correction pays on the latest windows, and the error of sums then left.

    On a panel that is small enough a model of the series is corrected, as fitted before those windows; on a large one
    the models of the totals must beat what the calendar makes of the cells' recent levels. The error is that of the
    whole over that of the calendar model alone.
    """
    small = panel.n_series * horizon <= JUDGED_CELLS
    windows = JUDGED_WINDOWS if small else LEVEL_WINDOWS
    backs = [horizon * (windows - i) for i in range(windows)]
    if calendars.at(backs[0]) is None:
        return 0.0, 1.0
    trees = train(calendars.fit(backs[0]), horizon, seasons=4)
    losses = _losses_of_series(judged, panel, calendars, backs, trees, horizon) if small else None
    if losses is None:
        losses = np.sum([_losses_of_levels(calendars, back, trees, horizon) for back in backs], axis=0)
    relative = losses / np.maximum(losses[:1], 1e-12)
    mean = relative.mean(axis=1)
    best = int(np.argmin(mean + 1e-9 * np.arange(len(mean))))
    if not (mean[best] < WORTH_IT and relative[best, 0] < 2 - WORTH_IT):
        best = 0
    alone = sum(_calendar_error(calendars, back, horizon) for back in backs)
    return STRENGTHS[best], float(np.clip(losses[best, 2] / max(alone, 1e-12), SMALLEST_ERROR_RATIO, 1.0))


def _losses_of_series(
    judged: Estimator, panel: Panel, calendars: Calendars, backs: list[int], trees: AggregateTrees | None, horizon: int
) -> Floats | None:
    """Return [strengths, 3] the losses of a model of the series; None where it cannot be fitted or draws its paths."""
    losses = np.zeros((len(STRENGTHS), 3))
    living = still_sold(panel, calendars.aggregates.end)
    try:
        early = judged.fit(panel.until(panel.ends - backs[0]))
        for back in backs:
            past = panel.until(panel.ends - back)
            keep = living & (past.lengths > 0)
            past, future = past.select(keep), panel.select(keep)
            if not past.n_series:
                return None
            made = early.predict(past, horizon, n_paths=2)
            if made.marginals is None:
                return None
            came = cells_after(future, past.ends, horizon)
            losses += _losses_of(made, made.marginals, past, *came, calendars, back, trees)
    except ModelError:  # such as a library that is not there: the wrapped model may well do without
        return None
    return losses


def _calendar_error(calendars: Calendars, back: int, horizon: int) -> float:
    """Return the absolute error of the whole when the calendar model forecasts it alone, in units."""
    fit, whole = calendars.fit(back), calendars.aggregates
    cells = len(fit.aggregates.nodes.cells)
    window = slice(fit.aggregates.periods, fit.aggregates.periods + horizon)
    usable = whole.known[:cells, window] & ~whole.closed[window]
    error = np.where(usable, fit.ahead(horizon)[:cells] - whole.values[:cells, window], 0.0)
    return float(np.abs(error.sum(axis=0)).sum())


def _losses_of(
    made: Forecast, marginals: Marginals, past: Panel, actual: Floats, scored: Flags, calendars: Calendars, back: int,
    trees: AggregateTrees | None,
) -> Floats:  # fmt: skip
    """Return [strengths, 3]: quantile loss of the series, absolute errors of cells and of the whole."""
    known = calendars.aggregates.until(calendars.aggregates.end - back)
    horizon = made.horizon
    mean, variance = marginals.mean, marginals.variance
    expected = combined(calendars.fit(back), trees, horizon)
    factors = factors_of(expected, sums_of(past, known, mean), open_share_of(past, known, horizon))
    none = np.zeros(0, dtype=np.bool_)  # strengths are told apart on open days
    correction = Correction(known.nodes.chains, known.nodes.cells, known.end, factors, none)
    each = correction.at(made)
    came = np.where(scored, np.nan_to_num(actual), 0.0)
    code = known.nodes.cell_of(past.series)
    rows = np.argsort(past.ids.hash(seed=1).to_numpy())[:JUDGED_SERIES]
    found = np.zeros((len(STRENGTHS), 3))
    for i, strength in enumerate(STRENGTHS):
        factor = each**strength
        told = np.where(scored, mean * factor, 0.0)
        quantiles = Marginals(mean[rows] * factor[rows], variance[rows] * factor[rows], marginals.is_count)
        gap = came[rows][:, :, None] - quantiles.quantiles(LEVELS)
        found[i, 0] = float((np.maximum(LEVELS * gap, (LEVELS - 1.0) * gap).sum(axis=2) * scored[rows]).sum())
        error = np.zeros((len(known.nodes.cells), horizon))
        np.add.at(error, code, told - came)
        found[i, 1] = np.abs(error).sum()
        found[i, 2] = np.abs(error.sum(axis=0)).sum()
    return found


def _losses_of_levels(calendars: Calendars, back: int, trees: AggregateTrees | None, horizon: int) -> Floats:
    """Return [strengths, 3] the same for the cells alone: their recent level under the calendar, corrected or not."""
    fit = calendars.fit(back)
    known, whole = fit.aggregates, calendars.aggregates
    cells, start = len(known.nodes.cells), known.periods
    came = whole.values[:cells, start : start + horizon]
    usable = whole.known[:cells, start : start + horizon] & ~whole.closed[start : start + horizon]
    shape = np.exp(fit.explained[:cells])
    seen = (known.known[:cells] & ~known.closed).astype(np.float64)
    level = np.zeros(cells)
    for life, share in ((3.0, 0.2), (7.0, 0.1), (14.0, 0.35), (30.0, 0.2), (90.0, 0.15)):
        weight = seen * 0.5 ** (np.arange(start - 1, -1, -1) / life)
        explained = np.maximum((weight * shape[:, :start]).sum(axis=1), 1e-12)  # nothing of a cell may be known
        level += share * (weight * known.values[:cells]).sum(axis=1) / explained
    base = level[:, None] * shape[:, start : start + horizon]
    expected = combined(fit, trees, horizon)
    found = np.zeros((len(STRENGTHS), 3))
    for i, strength in enumerate(STRENGTHS):
        told = base ** (1.0 - strength) * np.maximum(expected, 1e-9) ** strength
        error = np.where(usable, told - came, 0.0)
        found[i] = np.abs(error).sum(), np.abs(error).sum(), np.abs(error.sum(axis=0)).sum()
    return found
