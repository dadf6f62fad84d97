"""When the stock runs out, how surely and at what loss, by walking the stock down every demand path.

Sales that find an empty shelf are lost, they are not owed. So what is on order may not simply be added to what is on
hand: an order that comes after the shelf is empty does not serve the demand before it. The stock of path s at the end
of period h is::

    available = x[s, h-1] + inbound[h]            arrivals are on the shelf at the start of the period
    lost[s, h] = max(y[s, h] - available, 0)      units
    x[s, h] = max(available - y[s, h], 0)         units

The same walk gives the time of the first stockout: its chance by period, its median, and the hazard, the chance to run
out in a period given that one has not before. What is lost is worth its margin; probability and money together give
the grade of a risk (`severity`).

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

SEVERITIES: Final = ("none", "low", "medium", "high", "critical")
"""Grades of a risk, the mildest first."""


@dataclass(frozen=True)
class SeverityRules:
    """Where a grade of risk begins.

    least_probability
        Below this chance of running out the grade is ``none``, whatever it would cost: the stock is in order.
    likely
        From this chance on the grade is at least ``medium``, however little money it is.
    medium_margin, high_margin, critical_margin
        Expected lost margin, in the shop's currency, from which the grade is ``medium``, ``high``, ``critical``. The
        expectation has the probability in it already: one chance in ten to lose 1,000 weighs like losing 100 surely.

    >>> SeverityRules(medium_margin=100.0, high_margin=50.0)
    Traceback (most recent call last):
    ...
    shelfwise.domain.errors.ParameterError: margins of the grades must rise from above 0, got 100, 50, 1000
    """

    least_probability: float = 0.05
    likely: float = 0.5
    medium_margin: float = 10.0
    high_margin: float = 100.0
    critical_margin: float = 1000.0

    def __post_init__(self) -> None:
        if not 0 <= self.least_probability <= self.likely <= 1:
            raise ParameterError(
                f"probabilities of the grades must rise from 0 to 1, got {self.least_probability:g}, {self.likely:g}"
            )
        if not 0 < self.medium_margin < self.high_margin < self.critical_margin:
            raise ParameterError(
                f"margins of the grades must rise from above 0, got {self.medium_margin:g}, {self.high_margin:g}, "
                f"{self.critical_margin:g}"
            )


def severity(probability: ArrayLike, lost_margin: ArrayLike, rules: SeverityRules | None = None) -> list[str]:
    """Return the grade of each risk, a word of `SEVERITIES` [N].

    Parameters
    ----------
    probability
        [N] chance to run out within the time looked at; nan: not known, then the money alone grades.
    lost_margin
        [N] expected lost margin in that time, in the shop's currency; nan: price or cost is not known, then the
        probability alone grades: ``none``, ``low``, or from ``likely`` on ``medium``.

    >>> severity([0.01, 0.2, 0.2, 0.7, 0.7], [500.0, 4.0, 40.0, 4.0, 4000.0])
    ['none', 'low', 'medium', 'medium', 'critical']
    """
    rules = rules or SeverityRules()
    chance = np.asarray(probability, dtype=np.float64)
    money = np.nan_to_num(np.asarray(lost_margin, dtype=np.float64), nan=0.0)
    if chance.shape != money.shape or chance.ndim != 1:
        raise ParameterError(f"give one probability and one margin each, got {chance.shape} and {money.shape}")
    grade = 1 + np.searchsorted([rules.medium_margin, rules.high_margin, rules.critical_margin], money, side="right")
    grade = np.where(chance >= rules.likely, np.maximum(grade, 2), grade)
    grade = np.where(chance < rules.least_probability, 0, grade)
    return [SEVERITIES[place] for place in grade]


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

    @property
    def first_stockout(self) -> Floats:
        """[N, H] chance that the first stockout falls into each period; what is missing to 1 is none in the horizon.

        >>> stockout_risk([10.0], [[0.0, 0.0]], np.array([[[6.0, 6.0], [2.0, 2.0]]])).first_stockout.tolist()
        [[0.0, 0.5]]
        """
        return np.diff(self.probability, axis=1, prepend=0.0)

    @property
    def hazard(self) -> Floats:
        """[N, H] chance to run out in period h, given that it has not before; 0 once it surely has.

        ``h(t) = P(T = t) / P(T >= t)``, the discrete-time hazard. Source: Kalbfleisch and Prentice, 2002, The
        Statistical Analysis of Failure Time Data, 2nd ed., section 1.2.

        >>> paths = np.array([[[9.0, 0.0], [0.0, 9.0], [0.0, 9.0], [0.0, 0.0]]])
        >>> stockout_risk([5.0], [[0.0, 0.0]], paths).hazard.round(3).tolist()
        [[0.25, 0.667]]
        """
        still = 1.0 - (self.probability - self.first_stockout)  # [N, H] not out before period h
        some = still > NOTHING
        return np.where(some, self.first_stockout / np.where(some, still, 1.0), 0.0)

    def lost_margin(self, margin: ArrayLike, periods: ArrayLike) -> Floats:
        """Return [N] expected margin lost in the first ``periods`` [N] periods: expected lost units times ``margin``.

        Parameters
        ----------
        margin
            [N] price less cost, money per unit; nan gives nan.
        """
        return self.lost_within(periods) * np.asarray(margin, dtype=np.float64)

    def saved_by_order(self, lead_time_periods: ArrayLike, wait: ArrayLike = 0.0) -> Floats:
        """Return [N] the units that an order placed ``wait`` periods from now can still save within the horizon.

        What is lost from its arrival on, at the start of period ``wait + L + 1``, if it is large enough; what is lost
        before that no order can save.

        >>> risk = stockout_risk([5.0], np.zeros((1, 10)), np.ones((1, 4, 10)))  # 5 units lost, in periods 6 to 10
        >>> risk.saved_by_order([3]).tolist(), risk.saved_by_order([7]).tolist(), risk.saved_by_order([12]).tolist()
        ([5.0], [3.0], [0.0])
        """
        lead = np.ceil(np.asarray(lead_time_periods, dtype=np.float64) - NOTHING)
        first = np.maximum(np.asarray(wait, dtype=np.float64) + lead, 0.0)
        return self.lost_within(self.lost_units.shape[1]) - self.lost_within(first)

    def last_helpful_order(self, lead_time_periods: ArrayLike, share: float = 0.5) -> Floats:
        """Return [N] how many periods an order can wait and still help; nan: no path runs out in the horizon.

        An order helps while it still comes before the shelf is empty in at least ``share`` of the cases in which the
        product does run out. With T the first period of a stockout and L the lead time, an order placed w periods
        from now is on the shelf at the start of period w + L + 1, so this is the largest w with
        ``P(w + L + 1 <= T | T <= H) >= share``. Zero is now; below zero it should have been placed so many periods
        ago. It asks what `order_by` does not: not when the promise of a service level is at stake, but until when an
        order is more than a repair.

        Parameters
        ----------
        lead_time_periods
            [N] periods, rounded up, or [N, S] whole draws of an uncertain lead time (`LeadTime.draw`).

        >>> risk = stockout_risk([5.0], np.zeros((1, 10)), np.ones((1, 4, 10)))  # empty in period 6
        >>> risk.last_helpful_order([3]).tolist(), risk.last_helpful_order([8]).tolist()
        ([2.0], [-3.0])
        >>> risk.last_helpful_order([[1, 1, 1, 4]], share=0.9).tolist()  # one delivery in four is late
        [1.0]
        """
        if not 0 < share <= 1:
            raise ParameterError(f"share must be above 0 and at most 1, got {share:g}")
        n_series, horizon = self.probability.shape
        lead = np.ceil(np.asarray(lead_time_periods, dtype=np.float64) - NOTHING).astype(np.int64)
        lead = lead[:, None] if lead.ndim == 1 else lead  # [N, 1] or [N, S]
        if lead.ndim != 2 or len(lead) != n_series or (lead.size and lead.min() < 0):
            raise ParameterError(f"lead times must be zero or more periods for each of the {n_series} series")
        ever = self.probability[:, -1:]  # [N, 1] P(T <= H)
        some = ever > 0
        before = np.concatenate([np.zeros((n_series, 1)), self.probability[:, :-1]], axis=1)  # [N, H] P(T < h)
        in_time = (ever - before) / np.where(some, ever, 1.0)  # [N, H] P(h <= T | T <= H)
        longest = int(lead.max(initial=0))
        # what is on the shelf before period 1 is in time, what comes after the horizon is not
        padded = np.concatenate(
            [np.ones((n_series, longest)), in_time, np.zeros((n_series, longest + horizon))], axis=1
        )
        found = np.full(n_series, -float(longest))
        rows = np.arange(n_series)[:, None]
        for wait in range(-longest, horizon):
            helps = padded[rows, longest + wait + lead].mean(axis=1) >= share - NOTHING
            found[helps] = wait
        return np.where(some[:, 0], found, np.nan)


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
