"""The policies a replay compares by name: what shops do today, what textbooks say, and levels read from a forecast.

Each is a function from what is known to units to order. Those that need no forecast look at the last periods of the
history; the others read the round's sample paths. Periods in which a stockout may have hidden demand are left out of
every mean.

Letters: N product-warehouses, S sample paths, T past periods, H periods ahead, L lead time, R review time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
import scipy
from numpy.typing import NDArray

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.panel import Panel
from shelfwise.inventory.lead_time_demand import demand_over
from shelfwise.inventory.optimise import optimise
from shelfwise.inventory.order_inputs import Tuning
from shelfwise.inventory.replay import OrderRule, Situation
from shelfwise.inventory.safety_stock import cycle_service_stock, stock_target

Floats = NDArray[np.float64]

WINDOW: Final = 13
"""Periods that moving means look back over; with a season shorter than a month, so many seasons."""
COVER: Final = 1
"""Periods beyond lead and review time that the moving average orders for: four weeks where those are three."""


def _window(history: Panel) -> int:
    season = history.freq.season
    return WINDOW * season if season < 28 and season != 12 else WINDOW


def recent_demand(history: Panel, periods: int) -> Floats:
    """Return the last ``periods`` of demand [N, periods], NaN where it is not known."""
    values = np.asarray(history.window(periods), dtype=np.float64)
    return np.where(history.available_window(periods), values, np.nan)


def _mean(values: Floats) -> Floats:
    """Return the mean of what is known in each row [N]; nothing known counts as no demand."""
    there = ~np.isnan(values)
    return np.asarray(np.where(there, values, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1), dtype=np.float64)


def _deviation(values: Floats) -> Floats:
    """Return the standard deviation of what is known in each row [N]."""
    there = ~np.isnan(values)
    about = np.where(there, values - _mean(values)[:, None], 0.0)
    return np.asarray(np.sqrt((about**2).sum(axis=1) / np.maximum(there.sum(axis=1) - 1, 1)), dtype=np.float64)


def seasonal_factors(history: Panel, ahead: int) -> tuple[Floats, Floats]:
    """Return the shop's seasonal factor of each past period [T] and of the coming ones [ahead]; 1 where none is known.

    A factor is what all series together sell in a period of the season over what they sell in a mean period, from
    whole seasons only. With less than one season of history every factor is 1.

    >>> panel = Panel.from_wide(np.array([[1.0, 3.0] * 12]), start="2024-01-01", freq="6mo")
    >>> past, coming = seasonal_factors(panel, 2)
    >>> past[-2:].tolist(), coming.tolist()
    ([0.5, 1.5], [0.5, 1.5])
    """
    length, season, end = int(history.lengths.max(initial=1)), history.freq.season, int(history.ends.max(initial=0))
    whole = length // season * season
    if not whole or season < 2:
        return np.ones(length), np.ones(ahead)
    total = np.nansum(recent_demand(history, whole), axis=0)  # [whole]
    place = history.freq.season_index(np.arange(end - whole, end))
    sums = np.bincount(place, weights=total, minlength=season) / (whole // season)  # [season]
    factor = np.maximum(sums / sums.mean(), 1e-2) if sums.mean() > 0 else np.ones(season)
    past = factor[history.freq.season_index(np.arange(end - length, end))]
    return past, factor[history.freq.season_index(np.arange(end, end + ahead))]


def moving_average(now: Situation) -> Floats:
    """Order up to the coming four weeks of a 13-week seasonal moving average.

    With q the seasonal factors of the shop as a whole, ``level_i = mean of y_it / q_t`` over the last 13 periods and
    ``order = (level_i x sum of q_h over h = 1 .. L + R + 1 - position)+``: lead time, review time and a period of
    safety. With a lead time of two weeks and a weekly review that is four weeks.
    """
    window = min(_window(now.history), int(now.history.lengths.max(initial=1)))
    cover = now.terms.protection_periods + COVER  # [N]
    past, coming = seasonal_factors(now.history, int(cover.max(initial=1)))
    level = _mean(recent_demand(now.history, window) / past[-window:])
    return np.asarray(np.maximum(level * coming.cumsum()[cover - 1] - now.position, 0.0), dtype=np.float64)


def _normal_level(now: Situation) -> tuple[Floats, Floats]:
    """Return the classical order-up-to level and the mean demand per period [N]: ``mu (L+R) + z sigma sqrt(L+R)``."""
    recent = recent_demand(now.history, min(2 * _window(now.history), int(now.history.lengths.max(initial=1))))
    mean, deviation = _mean(recent), _deviation(recent)
    cover = now.terms.protection_periods
    free = np.flatnonzero(now.terms.critical_ratio >= 1)
    if len(free):
        raise ParameterError(
            f"series {now.history.ids[int(free[0])]!r} has a holding cost of 0, so textbook base stock would hold "
            "without end; give a holding_cost above zero"
        )
    level = mean * cover + scipy.special.ndtri(now.terms.critical_ratio) * deviation * np.sqrt(cover)
    return np.maximum(level, 0.0), mean


def normal_base_stock(now: Situation) -> Floats:
    """Order up to a level of normal demand: ``S = mu (L + R) + z sigma sqrt(L + R)``.

    mu and sigma are mean and standard deviation over the last 26 periods, z the normal quantile of the critical
    ratio. Source: Silver, Pyke and Thomas, 4th ed., chapter 6.
    """
    level, _ = _normal_level(now)
    return np.maximum(np.ceil(level - 1e-9) - now.position, 0.0)


def _lot(now: Situation, mean: Floats) -> Floats:
    """Return the lot [N]: the economic order quantity, at least the mean demand between two reviews."""
    holding = np.where(now.terms.holding_cost > 0, now.terms.holding_cost, np.inf)
    economic = np.sqrt(2 * mean * now.terms.order_cost / holding)
    return np.maximum(np.ceil(np.maximum(economic, mean * now.terms.review_periods) - 1e-9), 1.0)


def min_max(now: Situation) -> Floats:
    """Below the minimum, order up to the maximum: (s, S) with normal demand.

    s is the level of `normal_base_stock`, S a lot above it: the economic order quantity, at least the mean demand of
    a review.
    """
    level, mean = _normal_level(now)
    low = np.ceil(level - 1e-9)
    return np.where(now.position < low, low + _lot(now, mean) - now.position, 0.0)


def reorder_point(now: Situation) -> Floats:
    """(s, Q): below the level of `normal_base_stock`, order as many lots as lift the position to it."""
    level, mean = _normal_level(now)
    lot = _lot(now, mean)
    return np.ceil(np.maximum(np.ceil(level - 1e-9) - now.position, 0.0) / lot - 1e-9) * lot


def base_stock(now: Situation) -> Floats:
    """Order up to the critical-ratio quantile of the protection demand of the forecast's paths."""
    asked = demand_over(now.forecast.paths, now.terms.protection_periods)  # [N, S]
    return np.maximum(np.ceil(cycle_service_stock(asked, now.terms.critical_ratio) - 1e-9) - now.position, 0.0)


@dataclass(frozen=True)
class ServiceLevelRule:
    """The rule of the shop's order proposal: order up to what a service level asks for, whatever it costs.

    >>> ServiceLevelRule(0.95).service_level
    0.95
    """

    service_level: float = 0.95
    service_kind: str = "cycle"

    def __post_init__(self) -> None:
        if not 0 < self.service_level < 1:
            raise ParameterError(f"service_level must be above 0 and below 1, got {self.service_level}; say 0.95")

    def __call__(self, now: Situation) -> Floats:
        """Return the units [N] to order."""
        paths = now.forecast.paths
        asked = demand_over(paths, now.terms.protection_periods)  # [N, S]
        cycle = asked.mean(axis=1) - demand_over(paths, now.terms.lead_time_periods).mean(axis=1)
        target = stock_target(asked, cycle, self.service_level, self.service_kind)
        return np.maximum(np.ceil(target.order_up_to - 1e-9) - now.position, 0.0)


@dataclass(frozen=True)
class Optimised:
    """Ours: the orders that `shelfwise.optimise` makes from the round's forecast, the stock and the costs.

    Parameters
    ----------
    tuning
        What the shop's own past chose; None takes the defaults.
    """

    tuning: Tuning | None = None

    def __call__(self, now: Situation) -> Floats:
        """Return the units [N] to order."""
        terms, ids = now.terms, now.history.ids
        items = pl.DataFrame(
            {
                "unique_id": ids, "on_hand": now.on_hand,
                "lead_time_periods": terms.lead_time_periods.astype(np.float64),
                "review_periods": np.full(terms.n_series, float(terms.review_periods)),
                "unit_cost": terms.unit_value, "holding_cost": terms.holding_cost,
                "shortage_cost": terms.shortage_cost, "order_cost": terms.order_cost, "pack": terms.pack,
                "moq": terms.moq,
            }
        )  # fmt: skip
        rows, periods = np.nonzero(now.pipeline)
        inbound = pl.DataFrame(
            {"unique_id": ids.gather(rows), "period": periods + 1, "quantity": now.pipeline[rows, periods]}
        )
        return optimise(items, now.forecast, inbound, tuning=self.tuning).quantity


RULES: Final[dict[str, OrderRule]] = {
    "today": ServiceLevelRule(),
    "moving_average": moving_average,
    "min_max": min_max,
    "s_q": reorder_point,
    "base_stock_normal": normal_base_stock,
    "base_stock": base_stock,
    "optimise": Optimised(),
}
"""Policies by name that need nothing but a situation."""
