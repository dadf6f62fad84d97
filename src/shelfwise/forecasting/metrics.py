"""Metrics: what came beside what was forecast, over cells that are demand (recorded and on sale).

Every metric takes arrays [N, H] (``quantiles`` [N, H, Q], ``paths`` [N, S, H]) and a mask ``scored`` [N, H], and
returns one number over all scored cells, NaN where there is nothing to score.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Flags = npt.NDArray[np.bool_]


def _ratio(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom > 0 else float("nan")


def wape(actual: Floats, mean: Floats, scored: Flags) -> float:
    """Return the weighted absolute percentage error: sum |y - mean| / sum |y|.

    >>> wape(np.array([[2.0, 4.0]]), np.array([[3.0, 3.0]]), np.array([[True, True]]))
    0.3333333333333333
    """
    y = actual[scored]
    return _ratio(np.abs(y - mean[scored]).sum(), np.abs(y).sum())


def mape(actual: Floats, mean: Floats, scored: Flags) -> tuple[float, int]:
    """Return the mean absolute percentage error, and how many scored cells it leaves out.

    mean of |y - mean| / |y| over scored cells with y other than 0; a period in which nothing sold has no percentage,
    so those are left out and counted. Source: Hyndman and Koehler, 2006, International Journal of Forecasting 22(4),
    which says why not to choose models by it.

    >>> mape(np.array([[2.0, 0.0, 4.0]]), np.array([[3.0, 1.0, 3.0]]), np.array([[True, True, True]]))
    (0.375, 1)
    """
    sold = scored & (actual != 0)
    left_out = int(scored.sum() - sold.sum())
    if not sold.any():
        return float("nan"), left_out
    y = actual[sold]
    return float((np.abs(y - mean[sold]) / np.abs(y)).mean()), left_out


def bias(actual: Floats, mean: Floats, scored: Flags) -> float:
    """Return sum (mean - y) / sum |y|: above zero where too much is forecast."""
    y = actual[scored]
    return _ratio((mean[scored] - y).sum(), np.abs(y).sum()) if y.size else float("nan")


def mase(actual: Floats, median: Floats, scored: Flags, scale: Floats) -> float:
    """Return the mean absolute scaled error, averaged over series.

    Parameters
    ----------
    median
        [N, H] point forecast that minimises absolute error.
    scale
        [N] mean absolute error of seasonal naive over each series' own past (`naive_scales`); series whose scale is
        zero or unknown are left out. Source: Hyndman and Koehler, 2006, International Journal of Forecasting 22(4).
    """
    return _mean_over_series(np.abs(actual - median), scored, scale)


def rmsse(actual: Floats, mean: Floats, scored: Flags, scale: Floats) -> float:
    """Return the root mean squared scaled error, averaged over series; ``scale`` [N] in squared units."""
    squared = np.where(scored, (actual - mean) ** 2, 0.0).sum(axis=1)
    cells = scored.sum(axis=1)
    keep = (cells > 0) & (scale > 0) & np.isfinite(scale)
    if not keep.any():
        return float("nan")
    return float(np.sqrt(squared[keep] / cells[keep] / scale[keep]).mean())


def _mean_over_series(error: Floats, scored: Flags, scale: Floats) -> float:
    cells = scored.sum(axis=1)
    keep = (cells > 0) & (scale > 0) & np.isfinite(scale)
    if not keep.any():
        return float("nan")
    total = np.where(scored, error, 0.0).sum(axis=1)
    return float((total[keep] / cells[keep] / scale[keep]).mean())


def naive_scales(history: Floats, season: int) -> tuple[Floats, Floats]:
    """Return mean absolute and mean squared change over one season in each history [N, T], NaN where unknown.

    >>> absolute, squared = naive_scales(np.array([[1.0, 3.0, 1.0, 5.0]]), 2)
    >>> absolute.tolist(), squared.tolist()
    ([1.0], [2.0])
    """
    if history.shape[1] <= season:
        unknown = np.full(history.shape[0], np.nan)
        return unknown, unknown.copy()
    change = history[:, season:] - history[:, :-season]  # [N, T - season]
    known = ~np.isnan(change)
    cells = known.sum(axis=1)
    change = np.where(known, change, 0.0)
    with np.errstate(invalid="ignore"):
        return np.abs(change).sum(axis=1) / cells, (change**2).sum(axis=1) / cells


def pinball(actual: Floats, quantiles: Floats, levels: Floats, scored: Flags) -> float:
    """Return the mean pinball loss over cells and levels, in units.

    loss = max(level (y - q), (level - 1) (y - q)); half the absolute error at the median.
    """
    y = actual[scored]
    if not y.size:
        return float("nan")
    return float(_pinball_cells(y, quantiles[scored], levels).mean())


def _pinball_cells(y: Floats, q: Floats, levels: Floats) -> Floats:
    """Return losses [..., Q] of outcomes [...] and quantiles [..., Q]."""
    gap = y[..., None] - q
    losses: Floats = np.maximum(levels * gap, (levels - 1.0) * gap)
    return losses


def quantile_losses(actual: Floats, quantiles: Floats, levels: Floats, scored: Flags) -> Floats:
    """Return [N, H] twice the pinball loss, averaged over levels, in units; 0 where a cell is not scored.

    Summed and divided by the units sold, they are the weighted quantile loss of any part of the cells.

    >>> quantile_losses(np.array([[2.0]]), np.array([[[3.0]]]), np.array([0.5]), np.array([[True]])).tolist()
    [[1.0]]
    """
    losses: Floats = np.zeros(actual.shape)
    losses[scored] = 2.0 * _pinball_cells(actual[scored], quantiles[scored], levels).mean(axis=-1)
    return losses


def wql(actual: Floats, quantiles: Floats, levels: Floats, scored: Flags) -> float:
    """Return the weighted quantile loss: 2 x pinball summed over cells, averaged over levels, / sum |y|.

    Source: Ansari and others, 2024, Chronos, appendix; the same as GluonTS's mean weighted quantile loss.

    >>> wql(np.array([[2.0, 4.0]]), np.array([[[3.0], [3.0]]]), np.array([0.5]), np.array([[True, True]]))
    0.3333333333333333
    """
    y = actual[scored]
    losses = _pinball_cells(y, quantiles[scored], levels)
    return _ratio(2.0 * losses.sum(axis=0).mean(), np.abs(y).sum()) if y.size else float("nan")


def coverage(actual: Floats, paths: Floats, scored: Flags, low_level: float = 0.1, high_level: float = 0.9) -> float:
    """Return the share of outcomes inside the band between two levels, with ties split.

    A forecast of counts jumps at its values, so an outcome stands for the whole stretch of probability from "less
    than it" to "at most it"; the share of that stretch inside the band is what the outcome counts. Exact forecasts
    then cover exactly ``high_level - low_level``. Source: Czado, Gneiting and Held, 2009, Biometrics 65(4).

    Parameters
    ----------
    paths
        [N, S, H] units.

    >>> paths = np.zeros((1, 100, 1))  # all zeros, and zero comes: every level is as right as any other
    >>> round(coverage(np.array([[0.0]]), paths, np.array([[True]])), 9)
    0.8
    """
    below, up_to = probabilities(actual, paths)
    return pit_share(below[scored], up_to[scored], low_level, high_level)


def probabilities(actual: Floats, paths: Floats) -> tuple[Floats, Floats]:
    """Return the share of paths [N, S, H] below, and at most, the actual values [N, H]; each [N, H]."""
    return (paths < actual[:, None, :]).mean(axis=1), (paths <= actual[:, None, :]).mean(axis=1)


def pit_share(below: Floats, up_to: Floats, low_level: float, high_level: float) -> float:
    """Return the mean share of each stretch of probability ``below .. up_to`` [cells] inside the band."""
    if not below.size:
        return float("nan")
    inside = np.minimum(up_to, high_level) - np.maximum(below, low_level)
    width = up_to - below
    point = ((below >= low_level) & (below <= high_level)).astype(np.float64)  # continuous: no stretch, inside or not
    return float(np.where(width > 1e-12, np.clip(inside / np.maximum(width, 1e-12), 0.0, 1.0), point).mean())


def crps(actual: Floats, paths: Floats, scored: Flags) -> float:
    """Return the mean continuous ranked probability score of the paths [N, S, H], in units; see `crps_cells`."""
    return float(crps_cells(actual, paths, scored)[scored].mean()) if scored.any() else float("nan")


def crps_cells(actual: Floats, paths: Floats, scored: Flags) -> Floats:
    """Return [N, H] the continuous ranked probability score of each cell, in units; 0 where a cell is not scored.

    CRPS = mean |x_s - y| - 1/2 mean |x_s - x_s'|, by the sorted-sample form. Source: Gneiting and Raftery, 2007,
    JASA 102(477), equation 20.
    """
    n_paths = paths.shape[1]
    weight = (2.0 * np.arange(1, n_paths + 1) - n_paths - 1.0) / n_paths**2  # [S]
    found: Floats = np.zeros(actual.shape)
    for row in range(paths.shape[0]):
        keep = scored[row]
        if keep.any():
            ordered = np.sort(paths[row][:, keep].astype(np.float64), axis=0)  # [S, cells]
            found[row, keep] = np.abs(ordered - actual[row, keep]).mean(axis=0) - weight @ ordered
    return found
