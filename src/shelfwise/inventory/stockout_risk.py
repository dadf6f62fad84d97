"""When the stock runs out, how surely and at what loss, by walking the stock down every demand path.

Sales that find an empty shelf are lost, they are not owed. So what is on order may not simply be added to what is on
hand: an order that comes after the shelf is empty does not serve the demand before it. The stock of path s at the end
of period h is::

    available = x[s, h-1] + inbound[h]            arrivals are on the shelf at the start of the period
    lost[s, h] = max(y[s, h] - available, 0)      units
    x[s, h] = max(available - y[s, h], 0)         units

Letters: N product-warehouses, S sample paths, H periods. Period 1 starts now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.lead_time_demand import checked_paths, series_slices

Floats = NDArray[np.float64]

NOTHING: Final = 1e-9
"""Units below this are rounding, not a shortage."""


@dataclass(frozen=True, eq=False)
class StockoutRisk:
    """What happens if nothing more is ordered.

    probability
        [N, H] chance that demand found too little stock in period h or before; it never falls with h.
    lost_units
        [N, H] expected demand lost in period h, units.
    """

    probability: Floats
    lost_units: Floats

    def by_period(self, periods: ArrayLike) -> Floats:
        """Return [N] the probability of a stockout within the first ``periods`` [N] periods (cut at the horizon)."""
        n_series, horizon = self.probability.shape
        last = np.broadcast_to(np.clip(np.asarray(periods, dtype=np.int64), 0, horizon), (n_series,))
        picked = np.take_along_axis(self.probability, np.maximum(last - 1, 0)[:, None], axis=1)[:, 0]
        return np.where(last > 0, picked, 0.0)

    def lost_within(self, periods: ArrayLike) -> Floats:
        """Return [N] expected units lost in the first ``periods`` [N] periods (cut at the horizon)."""
        n_series, horizon = self.lost_units.shape
        last = np.broadcast_to(np.asarray(periods, dtype=np.int64), (n_series,))
        inside = np.arange(horizon)[None, :] < last[:, None]  # [N, H]
        return np.asarray((self.lost_units * inside).sum(axis=1), dtype=np.float64)

    def first_period(self, threshold: ArrayLike) -> Floats:
        """Return [N] the first period (from 1) in which the probability exceeds ``threshold``; nan: not in sight.

        ``threshold`` 0.5 gives the median time of the first stockout.
        """
        n_series = self.probability.shape[0]
        limit = np.broadcast_to(np.asarray(threshold, dtype=np.float64), (n_series,))
        over = self.probability > limit[:, None] + 1e-12
        return np.where(over.any(axis=1), np.argmax(over, axis=1) + 1.0, np.nan)

    def median_period(self) -> Floats:
        """Return [N] the first period by which at least half of the paths have run out; nan: not in the horizon."""
        return self.first_period(0.5 - 2e-12)

    def order_by(self, lead_time_periods: ArrayLike, service_level: ArrayLike) -> Floats:
        """Return [N] how many periods an order can wait and still arrive in time; nan: no need in the horizon.

        With k the first period in which the probability of a stockout exceeds 1 - level, goods must be on the shelf
        at the start of period k, and an order placed w periods from now with lead time L is there at the start of
        period w + L + 1. So ``w = k - 1 - L``. Zero is now; below zero the shortage comes before any order can.

        >>> paths = np.ones((1, 4, 10))
        >>> risk = stockout_risk([5.0], np.zeros((1, 10)), paths)  # empty after 5 periods
        >>> risk.order_by([3], 0.95).tolist(), risk.order_by([8], 0.95).tolist()
        ([2.0], [-3.0])
        """
        lead = np.ceil(np.asarray(lead_time_periods, dtype=np.float64) - NOTHING)
        level = np.asarray(service_level, dtype=np.float64)
        if np.any(~((level > 0) & (level < 1))):
            raise ParameterError("service level must be above 0 and below 1; for example 0.95")
        return self.first_period(1 - level) - 1 - lead


def stockout_risk(on_hand: ArrayLike, inbound: ArrayLike, paths: NDArray[Any]) -> StockoutRisk:
    """Walk the stock down every path and return the chance and the size of shortages by period.

    Parameters
    ----------
    on_hand
        [N] units now; books below zero count as zero.
    inbound
        [N, H] units on the shelf from the start of each period.
    paths
        [N, S, H] units asked for per period.

    >>> risk = stockout_risk([10.0], [[0.0, 0.0, 8.0]], np.array([[[6.0, 6.0, 6.0], [2.0, 2.0, 2.0]]]))
    >>> risk.probability.tolist(), risk.lost_units.tolist(), risk.median_period().tolist()
    ([[0.0, 0.5, 0.5]], [[0.0, 1.0, 0.0]], [2.0])
    """
    paths = checked_paths(paths)
    n_series, n_paths, horizon = paths.shape
    stock_now, arriving = _checked_stock(on_hand, inbound, n_series, horizon)
    probability = np.empty((n_series, horizon))
    lost_units = np.empty((n_series, horizon))
    for part in series_slices(n_series, n_paths, 2 * horizon):
        asked = np.ascontiguousarray(np.moveaxis(paths[part], 2, 0), dtype=np.float64)  # [H, n, S]
        stock = np.repeat(stock_now[part, None], n_paths, axis=1)  # [n, S]
        short = np.zeros(stock.shape, dtype=bool)  # [n, S] has this path run out yet
        for period in range(horizon):
            stock += arriving[part, period, None]
            stock -= asked[period]
            lost = np.maximum(-stock, 0.0)
            np.maximum(stock, 0.0, out=stock)
            short |= lost > NOTHING
            probability[part, period] = short.mean(axis=1)
            lost_units[part, period] = lost.mean(axis=1)
    return StockoutRisk(probability=probability, lost_units=lost_units)


def projected_stock(on_hand: ArrayLike, inbound: ArrayLike, paths: NDArray[Any]) -> Floats:
    """Return stock at the end of each period on every path, [N, S, H] units: for the chart of a few products.

    >>> projected_stock([10.0], [[0.0, 0.0, 8.0]], np.array([[[6.0, 6.0, 6.0]]])).tolist()
    [[[4.0, 0.0, 2.0]]]
    """
    paths = checked_paths(paths)
    n_series, n_paths, horizon = paths.shape
    stock_now, arriving = _checked_stock(on_hand, inbound, n_series, horizon)
    stock = np.repeat(stock_now[:, None], n_paths, axis=1)  # [N, S]
    left = np.empty(paths.shape)
    for period in range(horizon):
        stock = np.maximum(stock + arriving[:, period, None] - paths[:, :, period], 0.0)
        left[:, :, period] = stock
    return left


def _checked_stock(on_hand: ArrayLike, inbound: ArrayLike, n_series: int, horizon: int) -> tuple[Floats, Floats]:
    stock = np.asarray(on_hand, dtype=np.float64)
    arriving = np.asarray(inbound, dtype=np.float64)
    if stock.shape != (n_series,) or not np.all(np.isfinite(stock)):
        raise ParameterError(f"on_hand must be one finite number for each of the {n_series} series")
    if arriving.shape != (n_series, horizon):
        raise ParameterError(f"inbound must have the shape ({n_series}, {horizon}), got {arriving.shape}")
    if not np.all(np.isfinite(arriving) & (arriving >= 0)):
        raise ParameterError("inbound must be finite and zero or more units")
    return np.maximum(stock, 0.0), arriving
