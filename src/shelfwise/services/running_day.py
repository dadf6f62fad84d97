"""The running day: what a sale of today says about today, and about the days after it.

A forecast is made from complete days, and today is not one. Its sales are felt all the same. Let y be today's demand
on a path and s what has sold so far. By its end the day will have asked for at least s, so on each path

    demand of today      max(y, s)           units
    still to sell today  max(y, s) - s       units

A path that expected less than s is raised to it, the others stay: nothing sold (s = 0) changes nothing, and nothing is
ever lowered. What still sells is taken from the shelf as it is now, which the s units have left already; so what will
be left at the end of the day is the same whether the day's sales were booked one by one or not at all.

A running day that has sold more than was expected of all of it, s > mean of y, says that demand is higher than it was
taken to be. Then, and only then, it enters the history as one more day with s units, and the days after it are
forecast again from there by the same fitted model, each where that expects more than before: what has sold so far is a
lower bound of the day, so it can raise a forecast and never lower it.

Example: expected today are 4 units, paths 2, 4 and 6, on hand this morning 10. After 3 sales paths are 3, 4 and 6; 0, 1
and 3 units are still to sell from the 7 that are left, so 7, 6 or 4 will be left at night. After 5 sales, more than the
4 expected, paths are 5, 5 and 6, and tomorrow is forecast as if today had ended with 5.

Letters: N series, P bundles, S sample paths, H days. Day 1 is the running day.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from shelfwise.domain.forecast import Forecast
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.contract import Predictor

Floats = npt.NDArray[np.float64]


def raised_by_today(predictor: Predictor, panel: Panel, made: Forecast, sold: Floats) -> Forecast:
    """Return a forecast in which those that sold more than was expected of today have it in their history.

    Parameters
    ----------
    panel
        N series up to yesterday.
    made
        What ``predictor`` forecast from it: H days, the running one first.
    sold
        [N] units sold so far today.

    Returns
    -------
    The forecast of the same days, before what has sold is counted in: see `Day`.
    """
    rows = np.flatnonzero(sold > made.mean()[:, 0]) if (sold > 0).any() else np.empty(0, dtype=np.int64)
    if not len(rows) or made.horizon < 2:
        return made
    again = predictor.predict(
        with_day(panel.select(rows), sold[rows]), made.horizon - 1, n_paths=made.n_paths, seed=made.provenance.seed
    )
    more = again.mean() >= made.mean()[rows, 1:]  # [n, H - 1]
    if made.marginals is not None and again.marginals is not None:
        before, after = made.marginals, again.marginals
        mean, variance = before.mean.copy(), before.variance.copy()
        mean[rows, 1:] = np.where(more, after.mean, before.mean[rows, 1:])
        variance[rows, 1:] = np.where(more, after.variance, before.variance[rows, 1:])
        return replace(made, marginals=Marginals(mean, variance, before.is_count))
    drawn = made.paths.copy()
    drawn[rows, :, 1:] = np.where(more[:, None, :], again.paths, drawn[rows, :, 1:])
    return replace(made, marginals=None, drawn=drawn)


def with_day(panel: Panel, units: Floats) -> Panel:
    """Return a panel with one more day of ``units`` [N] at the end of each series."""
    ends = panel.offsets[1:]
    values = np.insert(panel.values, ends, units)
    available = None if panel.available is None else np.insert(panel.available, ends, values=True)
    offsets = panel.offsets + np.arange(panel.n_series + 1)
    return replace(panel, values=values, offsets=offsets, available=available)


@dataclass(frozen=True, eq=False)
class Day:
    """Demand from the running day on, with what has sold of it counted in.

    Parameters
    ----------
    demand
        [N, S, H] units asked for; of the running day all of it, what has sold included.
    left
        [N, S, H] the same, of the running day only what is still to sell.
    mean
        [N, H] expected units of ``demand``, from the model's own distributions where nothing has sold.
    raised
        [N] whether some path had to be raised.
    """

    demand: npt.NDArray[Any]
    left: npt.NDArray[Any]
    mean: Floats
    raised: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, forecast: Forecast, sold: Floats, sold_parts: Floats | None = None) -> Day:
        """Count what has sold in.

        Parameters
        ----------
        forecast
            Of N series from the running day on; its ``parts`` are the P bundles that they are sold in.
        sold
            [N] units of each series sold so far by themselves.
        sold_parts
            [P] units of each bundle sold so far.

        >>> import polars as pl
        >>> from shelfwise.domain.calendar import Frequency
        >>> from shelfwise.domain.forecast import Provenance
        >>> paths = np.array([[[2.0, 9.0], [4.0, 9.0], [6.0, 9.0]]], dtype=np.float32)
        >>> table, day = pl.DataFrame({"unique_id": ["a"]}), Frequency.parse("1d")
        >>> made = Forecast(table, np.zeros(1, dtype=np.int64), day, Provenance("m", "1"), 3, drawn=paths)
        >>> after = Day.of(made, np.array([3.0]))
        >>> after.demand[0, :, 0].tolist(), after.left[0, :, 0].tolist()
        ([3.0, 4.0, 6.0], [0.0, 1.0, 3.0])
        """
        paths, mean = forecast.paths, np.array(forecast.mean(), dtype=np.float64)
        if not sold.any() and (sold_parts is None or not sold_parts.any()):
            return cls(paths, paths, mean, np.zeros(len(forecast), dtype=np.bool_))
        own = forecast.alone().paths[:, :, 0].astype(np.float64)  # [N, S]
        extra = np.maximum(sold[:, None] - own, 0.0)  # [N, S] units that the day asked for beyond its path
        done = np.repeat(sold[:, None], own.shape[1], axis=1)
        if forecast.parts is not None and forecast.shares is not None and sold_parts is not None:
            of_parts = np.maximum(sold_parts[:, None] - forecast.parts.paths[:, :, 0], 0.0)  # [P, S]
            extra = extra + forecast.shares @ of_parts
            done = done + (forecast.shares @ sold_parts)[:, None]
        today = paths[:, :, 0].astype(np.float64) + extra
        demand, left = paths.copy(), paths.copy()
        demand[:, :, 0] = today
        left[:, :, 0] = np.maximum(today - done, 0.0)  # never below zero but for rounding
        raised: npt.NDArray[np.bool_] = (extra > 0).max(axis=1)
        mean[:, 0] = np.where(raised, np.maximum(mean[:, 0], today.mean(axis=1)), mean[:, 0])
        return cls(demand, left, mean, raised)
