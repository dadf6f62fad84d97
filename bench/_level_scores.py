"""Scores of one forecast at every level of a hierarchy: WRMSSE as the M5 competition defines it, loss, coverage, bias.

A level is a tuple of attribute columns of the panel's series: ``()`` is the total, ``("store",)`` one node a store,
``("store", "item")`` one node for each pair that exists.

WRMSSE, from "The M5 Competition: Competitors' Guide" (2020): a node's squared errors, averaged over the horizon, are
divided by the mean squared change from one day to the next of its own sums since its first sale; the root of that is
weighted by the node's share of the sales value of the last 28 known days, and levels count alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    """Return one row a level: ``level, nodes, wrmsse, rmsse, bias, total_wape``.

    ``rmsse`` is the plain mean over nodes, ``bias`` the sum of (mean - y) over the sum of y, ``total_wape`` what the
    nodes' whole horizons are off in either direction over the same. The score of the whole hierarchy is the mean of
    the column ``wrmsse``.

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
        sold = float(np.abs(came).sum(dtype=np.float64))
        rows.append(
            {
                "level": nodes.label,
                "nodes": len(nodes),
                "wrmsse": float(weight @ error / weight.sum()),
                "rmsse": float(error[known].mean()),
                "bias": float((said - came).sum(dtype=np.float64) / sold),
                "total_wape": float(np.abs((said - came).sum(axis=1, dtype=np.float64)).sum() / sold),
            }
        )
    return pl.DataFrame(rows)


@dataclass(frozen=True, eq=False)
class Sums:
    """Joint paths summed to the nodes of each level, and over the horizon.

    Parameters
    ----------
    nodes
        The levels that have fewer nodes than there are series.
    paths
        [G, S, H] for each of them.
    totals
        [N, S] of the series themselves.
    """

    nodes: tuple[Nodes, ...]
    paths: tuple[Floats, ...]
    totals: Floats

    @classmethod
    def of(cls, forecast: Forecast, levels: Sequence[Level] = M5_LEVELS) -> Sums:
        """Draw the paths chunk by chunk and sum them."""
        n, horizon, n_paths = len(forecast), forecast.horizon, forecast.n_paths
        nodes = tuple(one for one in (Nodes.of(forecast.series, level) for level in levels) if len(one) < n)
        sums = tuple(np.zeros((len(one), n_paths, horizon), dtype=np.float32) for one in nodes)
        totals = np.empty((n, n_paths), dtype=np.float32)
        for rows, paths in _in_chunks(forecast):
            flat = paths.reshape(len(paths), -1)
            totals[rows] = paths.sum(axis=2)
            for one, into in zip(nodes, sums, strict=True):
                here, codes = np.unique(one.codes[rows], return_inverse=True)
                ones = np.ones(len(paths), dtype=np.float32)
                matrix = sparse.csr_array((ones, (codes, np.arange(len(paths)))), shape=(len(here), len(paths)))
                into[here] += np.asarray(matrix @ flat).reshape(len(here), n_paths, horizon)
        return cls(nodes, sums, totals)

    def quantiles(self, levels: Sequence[float] = DEFAULT_LEVELS) -> list[tuple[Floats, Floats]]:
        """Return quantiles of each node's periods [G, H, Q] and whole horizon [G, 1, Q], the series' totals last."""
        made = [(_quantiles(paths, levels), _quantiles(paths.sum(axis=2)[:, :, None], levels)) for paths in self.paths]
        return [*made, (np.empty((0, 0, len(levels))), _quantiles(self.totals[:, :, None], levels))]


def calibration(
    actual: Floats, forecast: Forecast, levels: Sequence[Level] = M5_LEVELS, sums: Sums | None = None
) -> pl.DataFrame:
    """Return one row a level: ``level, nodes, wql, coverage, total_coverage, wql_total``, from the sums of the paths.

    ``coverage`` is what the 10-90 band of each node's periods holds, ``total_coverage`` that of its whole horizon, ties
    split; ``wql_total`` the weighted quantile loss of the whole horizon. ``sums`` saves making them again.
    """
    sums = Sums.of(forecast, levels) if sums is None else sums
    above = {one.level: (one, paths) for one, paths in zip(sums.nodes, sums.paths, strict=True)}
    rows = []
    for level in levels:
        if level in above:
            nodes, paths = above[level]
            row = _told(nodes.sums(actual), paths, paths.sum(axis=2))
        else:
            nodes = Nodes.of(forecast.series, level)
            row = _told_series(np.nan_to_num(actual), forecast, sums.totals)
        rows.append({"level": nodes.label, "nodes": len(nodes), **row})
    return pl.DataFrame(rows)


def _in_chunks(forecast: Forecast) -> Iterator[tuple[slice, Floats]]:
    """Yield rows and paths [rows, S, H] of neighbouring series, so that memory stays bounded."""
    low = 0
    for part in forecast.chunks(-(-len(forecast) // CHUNK)):
        yield slice(low, low + len(part)), part.paths
        low += len(part)


def _told(came: Floats, paths: Floats, totals: Floats) -> dict[str, float]:
    """Return the scores of nodes by what came [G, H], their paths [G, S, H] and the paths' totals [G, S]."""
    scored = np.ones(came.shape, dtype=np.bool_)
    levels = np.asarray(DEFAULT_LEVELS)
    return {
        "wql": metrics.wql(came, _quantiles(paths, DEFAULT_LEVELS), levels, scored),
        "coverage": metrics.coverage(came, paths, scored),
        **_told_totals(came, totals),
    }


def _told_totals(came: Floats, totals: Floats) -> dict[str, float]:
    whole, drawn = came.sum(axis=1, keepdims=True), totals[:, :, None]
    scored = np.ones(whole.shape, dtype=np.bool_)
    levels = np.asarray(DEFAULT_LEVELS)
    return {
        "total_coverage": metrics.coverage(whole, drawn, scored),
        "wql_total": metrics.wql(whole, _quantiles(drawn, DEFAULT_LEVELS), levels, scored),
    }


def _told_series(came: Floats, forecast: Forecast, totals: Floats) -> dict[str, float]:
    """Return the same for the series themselves, their paths drawn chunk by chunk."""
    scored = np.ones(came.shape, dtype=np.bool_)
    inside = sum(
        metrics.coverage(came[rows], paths, scored[rows]) * len(paths) for rows, paths in _in_chunks(forecast)
    ) / len(forecast)
    levels = np.asarray(DEFAULT_LEVELS)
    wql = metrics.wql(came, forecast.quantiles(levels), levels, scored)
    return {"wql": wql, "coverage": inside, **_told_totals(came, totals)}


def _quantiles(paths: Floats, levels: Sequence[float]) -> Floats:
    """Return [G, H, Q] of paths [G, S, H]: the smallest value that at least that share of the paths reaches at most."""
    ranks = np.ceil(np.asarray(levels) * paths.shape[1] - 1e-9).astype(np.int64) - 1
    return np.sort(np.ascontiguousarray(np.moveaxis(paths, 1, 2)), axis=2)[:, :, ranks]
