"""Scores of one forecast at every level of a hierarchy: WRMSSE as the M5 competition defines it, loss, coverage, bias.

A level is a tuple of attribute columns of the panel's series: ``()`` is the total, ``("store",)`` one node a store,
``("store", "item")`` one node for each pair that exists.

WRMSSE, from "The M5 Competition: Competitors' Guide" (2020): a node's squared errors, averaged over the horizon, are
divided by the mean squared change from one day to the next of its own sums since its first sale; the root of that is
weighted by the node's share of the sales value of the last 28 known days, and levels count alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from shelfwise.domain.forecast import DEFAULT_LEVELS, Forecast
from shelfwise.domain.panel import Panel
from shelfwise.forecasting import metrics

Floats = npt.NDArray[np.floating[Any]]
Level = tuple[str, ...]

M5_LEVELS: tuple[Level, ...] = (
    (),
    ("state",),
    ("store",),
    ("category",),
    ("department",),
    ("state", "category"),
    ("state", "department"),
    ("store", "category"),
    ("store", "department"),
    ("item",),
    ("item", "state"),
    ("item", "store"),
)
ROWS = 2_000  # nodes whose whole history is summed at once
CHUNK = 1_000  # series whose paths are drawn at once


@dataclass(frozen=True, eq=False)
class Nodes:
    """The nodes of one level.

    Parameters
    ----------
    level
        Attribute columns; ``()`` is the total.
    codes
        [N] node of each series.
    names
        [G] names of the nodes, their attributes joined with a slash.
    """

    level: Level
    codes: npt.NDArray[np.int64]
    names: tuple[str, ...]

    @classmethod
    def of(cls, series: pl.DataFrame, level: Level) -> Nodes:
        """Return the nodes that the attribute columns of ``level`` form, in order of their names."""
        if not level:
            return cls(level, np.zeros(series.height, dtype=np.int64), ("total",))
        words = series.select(pl.concat_str([pl.col(c).cast(pl.String) for c in level], separator="/")).to_series()
        names = words.unique().sort()
        codes = words.cast(pl.Enum(names)).to_physical().cast(pl.Int64).to_numpy()
        return cls(level, codes, tuple(names))

    def __len__(self) -> int:
        """Return G."""
        return len(self.names)

    @property
    def label(self) -> str:
        """Name of the level."""
        return " x ".join(self.level) or "total"

    def matrix(self) -> Any:
        """Return the summing matrix [G, N], sparse."""
        ones = np.ones(len(self.codes), dtype=np.float32)
        return sparse.csr_array((ones, (self.codes, np.arange(len(self.codes)))), shape=(len(self), len(self.codes)))

    def sums(self, values: Floats) -> Floats:
        """Return [G, ...] sums of ``values`` [N, ...] over the series of each node."""
        flat = self.matrix() @ np.nan_to_num(values).reshape(len(self.codes), -1)
        return np.asarray(flat).reshape(len(self), *values.shape[1:])


def sales_value(past: Panel, price: str = "price", days: int = 28) -> Floats:
    """Return [N] value of what each series sold in its last ``days`` periods: units x the covariate ``price``."""
    paid = past.known_future[price].at(past.ends - days, days)
    return np.nansum(np.nan_to_num(past.window(days)) * np.nan_to_num(paid), axis=1, dtype=np.float64)


def one_step_scales(history: Floats, nodes: Nodes) -> Floats:
    """Return [G] mean squared change from one period to the next of each node's sums, from its first sale on.

    ``history`` [N, T] in units, NaN where a series had not begun. NaN for a node with fewer than two such periods.

    >>> nodes = Nodes.of(pl.DataFrame({"shop": ["a", "a"]}), ("shop",))
    >>> one_step_scales(np.array([[0.0, 2.0, 2.0, 0.0], [np.nan, 0.0, 1.0, 1.0]]), nodes)  # 2, 3, 1: (1 + 4) / 2
    array([2.5])
    """
    matrix = nodes.matrix()
    filled = np.nan_to_num(history)
    scales = np.empty(len(nodes))
    for low in range(0, len(nodes), ROWS):
        sums = np.asarray(matrix[low : low + ROWS] @ filled)  # [rows, T]
        sold = sums != 0
        first = np.where(sold.any(axis=1), sold.argmax(axis=1), sums.shape[1])
        change = np.diff(sums, axis=1) ** 2
        change[np.arange(change.shape[1]) < first[:, None]] = 0.0  # the first change is the one after the first sale
        steps = sums.shape[1] - 1 - first
        with np.errstate(invalid="ignore", divide="ignore"):
            scales[low : low + ROWS] = np.where(steps > 0, change.sum(axis=1, dtype=np.float64) / steps, np.nan)
    return scales


def wrmsse(
    past: Panel,
    actual: Floats,
    forecast: Forecast | Floats,
    levels: Sequence[Level] = M5_LEVELS,
    value: Floats | None = None,
) -> pl.DataFrame:
    """Return one row a level: ``level, nodes, wrmsse, rmsse, bias``.

    ``rmsse`` is the plain mean over nodes, ``bias`` the sum of (mean - y) over the sum of y. The score of the whole
    hierarchy is the mean of the column ``wrmsse``.

    Parameters
    ----------
    past
        N series up to the cutoff.
    actual
        [N, H] units that came, NaN read as zero.
    forecast
        A forecast, or its mean [N, H].
    value
        [N] weight of each series; None takes the sales value of the last 28 periods (`sales_value`), or the units
        where the panel has no price.
    """
    mean = forecast.mean() if isinstance(forecast, Forecast) else np.asarray(forecast)
    if value is None:
        value = sales_value(past) if "price" in past.known_future else np.nansum(past.window(28), axis=1)
    history = past.window(int(past.lengths.max()))
    rows: list[dict[str, Any]] = []
    for level in levels:
        nodes = Nodes.of(past.series, level)
        came, said = nodes.sums(actual), nodes.sums(mean)
        scale = one_step_scales(history, nodes)
        known = scale > 0  # a node that never changed has no scale and, as in the competition, no weight
        error = np.zeros(len(nodes))
        error[known] = np.sqrt(((came - said)[known] ** 2).mean(axis=1, dtype=np.float64) / scale[known])
        weight = np.where(known, nodes.sums(np.asarray(value, dtype=np.float64)), 0.0)
        rows.append(
            {
                "level": nodes.label,
                "nodes": len(nodes),
                "wrmsse": float(weight @ error / weight.sum()),
                "rmsse": float(error[known].mean()),
                "bias": float((said - came).sum(dtype=np.float64) / np.abs(came).sum(dtype=np.float64)),
            }
        )
    return pl.DataFrame(rows)


def calibration(actual: Floats, forecast: Forecast, levels: Sequence[Level] = M5_LEVELS) -> pl.DataFrame:
    """Return one row a level: ``level, nodes, wql, coverage, total_coverage, wql_total``, from the sums of the paths.

    ``coverage`` is what the 10-90 band of each node's day holds, ``total_coverage`` that of its whole horizon, ties
    split; ``wql_total`` the weighted quantile loss of the whole horizon. Paths are drawn chunk by chunk.
    """
    nodes = [Nodes.of(forecast.series, level) for level in levels]
    n, horizon, chosen = len(forecast), forecast.horizon, np.asarray(DEFAULT_LEVELS)
    sums = [np.zeros((len(one), forecast.n_paths, horizon), dtype=np.float32) for one in nodes if len(one) < n]
    bottom: list[tuple[Floats, Floats, Floats, Floats]] = []
    low = 0
    for part in forecast.chunks(-(-n // CHUNK)):
        rows = slice(low, low + len(part))
        low += len(part)
        paths = part.paths
        flat = paths.reshape(len(part), -1)
        for one, into in zip((one for one in nodes if len(one) < n), sums, strict=True):
            here, codes = np.unique(one.codes[rows], return_inverse=True)
            ones = np.ones(len(part), dtype=np.float32)
            matrix = sparse.csr_array((ones, (codes, np.arange(len(part)))), shape=(len(here), len(part)))
            into[here] += np.asarray(matrix @ flat).reshape(len(here), forecast.n_paths, horizon)
        if len(sums) < len(nodes):
            bottom.append(_told(np.nan_to_num(actual[rows]), paths))
    results: list[dict[str, Any]] = []
    made = iter(sums)
    for one in nodes:
        if len(one) < n:
            came = one.sums(actual)
            parts = _told(came, next(made))
        else:
            came = np.nan_to_num(actual)
            parts = tuple(np.concatenate(column) for column in zip(*bottom, strict=True))
        quantiles, inside, total, total_inside = parts
        everywhere = np.ones(came.shape, dtype=np.bool_)
        whole = came.sum(axis=1, keepdims=True)
        results.append(
            {
                "level": one.label,
                "nodes": len(one),
                "wql": metrics.wql(came, quantiles, chosen, everywhere),
                "coverage": float(inside.mean()),
                "total_coverage": float(total_inside.mean()),
                "wql_total": metrics.wql(whole, total, chosen, np.ones(whole.shape, dtype=np.bool_)),
            }
        )
    return pl.DataFrame(results)


def _told(came: Floats, paths: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return quantiles [G, H, Q], the share inside the band [G], and both of the whole horizon ([G, 1, Q], [G])."""
    whole, drawn = came.sum(axis=1, keepdims=True), paths.sum(axis=2, keepdims=True)
    return (
        _quantiles(paths),
        _inside(came, paths),
        _quantiles(drawn),
        _inside(whole, drawn),
    )


def _quantiles(paths: Floats) -> Floats:
    """Return [G, H, Q] of paths [G, S, H]."""
    ranks = np.ceil(np.asarray(DEFAULT_LEVELS) * paths.shape[1] - 1e-9).astype(np.int64) - 1
    return np.moveaxis(np.partition(paths, ranks, axis=1)[:, ranks], 1, 2)


def _inside(came: Floats, paths: Floats) -> Floats:
    """Return [G] mean share of each outcome's stretch of probability inside the 10-90 band."""
    below, up_to = metrics.probabilities(came, paths)
    return np.array([metrics.pit_share(b, u, 0.1, 0.9) for b, u in zip(below, up_to, strict=True)])
