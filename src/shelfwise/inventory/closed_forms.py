"""Textbook answers in closed form or exact: newsvendor, base stock, EOQ with backorders, (r, Q), (s, S).

They are what the numbers of the other files are checked against, and quick answers where demand is stationary. The
economic order quantity itself is in `lot_sizing.py`, the critical ratio in `safety_stock.py`.

Letters: N problems solved at once, K units a distribution of demand reaches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.lot_sizing import economic_order_quantity
from shelfwise.inventory.safety_stock import critical_ratio

Floats = NDArray[np.float64]

TAIL: Final = 1e-13
"""Probability of demand beyond the last unit looked at."""


def newsvendor_normal(
    mean: ArrayLike,
    sd: ArrayLike,
    *,
    holding_cost: ArrayLike,
    shortage_cost: ArrayLike,
    lead_time_periods: ArrayLike = 0,
) -> tuple[Floats, Floats]:
    """Return the base stock of normal demand and its cost per period [N]: with no lead time, the newsvendor's order.

    With z the normal quantile of ``p / (p + h)`` and demand over L + 1 periods of mean ``m = mu (L + 1)`` and standard
    deviation ``s = sigma sqrt(L + 1)``: ``S = m + z s`` [units], ``cost = (h + p) phi(z) s`` [money per period].
    Source: Snyder and Shen, Fundamentals of Supply Chain Theory, 2nd ed., section 4.3.

    >>> level, cost = newsvendor_normal(50.0, 8.0, holding_cost=0.18, shortage_cost=0.70)
    >>> round(float(level), 2), round(float(cost), 4)
    (56.6, 1.9976)
    """
    ratio = critical_ratio(shortage_cost, holding_cost)
    periods = np.asarray(lead_time_periods, dtype=np.float64) + 1
    spread = np.asarray(sd, dtype=np.float64)
    if np.any(~(spread >= 0)) or np.any(~(periods >= 1)):
        raise ParameterError("the standard deviation and the lead time must be zero or more")
    z, spread = scipy.special.ndtri(ratio), spread * np.sqrt(periods)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    unit = np.asarray(holding_cost, dtype=np.float64) + np.asarray(shortage_cost, dtype=np.float64)
    level = np.asarray(mean, dtype=np.float64) * periods + z * spread
    return np.asarray(level, dtype=np.float64), np.asarray(unit * density * spread, dtype=np.float64)


def poisson(mean: float) -> Floats:
    """Return the probabilities [K] of Poisson demand of 0, 1, 2, ... units.

    >>> poisson(2.0)[:2].round(4).tolist()
    [0.1353, 0.2707]
    """
    if not mean > 0:
        raise ParameterError(f"mean demand must be above zero, got {mean}")
    units = np.arange(int(scipy.stats.poisson.isf(TAIL, mean)) + 2)
    return np.asarray(scipy.stats.poisson.pmf(units, mean), dtype=np.float64)


def negative_binomial(mean: float, variance: float) -> Floats:
    """Return the probabilities [K] of demand of 0, 1, 2, ... units whose variance is above its mean.

    ``r = mean^2 / (variance - mean)``, ``p = mean / variance``. Source: Johnson, Kemp and Kotz, Univariate Discrete
    Distributions, 3rd ed., section 5.1.

    >>> chances = negative_binomial(2.0, 6.0)
    >>> units = np.arange(len(chances))
    >>> round(float(chances @ units), 6), round(float(chances @ units**2 - 4), 6)
    (2.0, 6.0)
    """
    if not (mean > 0 and variance > mean):
        raise ParameterError(f"the variance must be above the mean and that above zero, got {variance} and {mean}")
    size, chance = mean**2 / (variance - mean), mean / variance
    units = np.arange(int(scipy.stats.nbinom.isf(TAIL, size, chance)) + 2)
    return np.asarray(scipy.stats.nbinom.pmf(units, size, chance), dtype=np.float64)


def over_periods(chances: ArrayLike, periods: int) -> Floats:
    """Return the probabilities of demand summed over independent periods, by convolution.

    >>> over_periods([0.5, 0.5], 2).tolist()
    [0.25, 0.5, 0.25]
    """
    one = _checked(chances)
    if periods < 1:
        raise ParameterError(f"periods to sum over must be at least 1, got {periods}")
    total = one
    for _ in range(periods - 1):
        total = np.convolve(total, one)
    return total


@dataclass(frozen=True, eq=False)
class UnitCosts:
    """Expected cost per period of a level: ``G(y) = h E[(y - D)+] + p E[(D - y)+]``, y units after ordering.

    Parameters
    ----------
    chances
        [K] probabilities of demand D of 0, 1, 2, ... units over the time the level has to cover.
    holding_cost, shortage_cost
        h and p, money per unit.
    """

    chances: Floats
    holding_cost: float
    shortage_cost: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "chances", _checked(self.chances))
        critical_ratio(self.shortage_cost, self.holding_cost)

    def __call__(self, level: int) -> float:
        """Return G(y), money."""
        units = np.arange(len(self.chances))
        over = np.maximum(level - units, 0) @ self.chances
        under = np.maximum(units - level, 0) @ self.chances
        return float(self.holding_cost * over + self.shortage_cost * under)

    @property
    def best(self) -> int:
        """The level of least cost: the smallest that serves demand with the critical ratio."""
        ratio = float(critical_ratio(self.shortage_cost, self.holding_cost))
        return int(np.searchsorted(np.cumsum(self.chances), ratio - 1e-12))


def newsvendor_discrete(chances: ArrayLike, *, holding_cost: float, shortage_cost: float) -> tuple[int, float]:
    """Return the best order of a newsvendor whose demand is counted, and its cost; with L, give L + 1 periods' demand.

    ``y = min {y : P(D <= y) >= p / (p + h)}``. Source: Snyder and Shen, 2nd ed., section 4.3.2.

    >>> level, cost = newsvendor_discrete(poisson(50.0), holding_cost=1.0, shortage_cost=4.0)
    >>> level, round(cost, 4)
    (56, 10.0752)
    """
    costs = UnitCosts(np.asarray(chances, dtype=np.float64), holding_cost, shortage_cost)
    return costs.best, costs(costs.best)


def eoq_with_backorders(
    demand_per_period: ArrayLike,
    order_cost: ArrayLike,
    holding_cost_per_unit_period: ArrayLike,
    shortage_cost_per_unit_period: ArrayLike,
) -> tuple[Floats, Floats, Floats]:
    """Return lot, share of demand that waits, and cost per period [N] where customers wait at a price.

    ``Q = sqrt(2 D K (h + p) / (h p))`` [units], ``x = h / (h + p)``, ``cost = sqrt(2 D K h p / (h + p))``. Source:
    Zipkin, Foundations of Inventory Management, section 3.3; Snyder and Shen, 2nd ed., section 3.5.

    >>> lot, waits, cost = eoq_with_backorders(1300.0, 8.0, 0.225, 5.0)
    >>> round(float(lot), 2), round(float(waits), 4), round(float(cost), 2)
    (310.81, 0.0431, 66.92)
    """
    holding = np.asarray(holding_cost_per_unit_period, dtype=np.float64)
    short = np.asarray(shortage_cost_per_unit_period, dtype=np.float64)
    if np.any(~(short > 0)):
        raise ParameterError("the shortage cost must be above zero; without one nobody is ever served")
    plain = economic_order_quantity(demand_per_period, order_cost, holding)
    share = holding / (holding + short)
    return plain / np.sqrt(1 - share), np.asarray(share), plain * holding * np.sqrt(1 - share)


def reorder_point_and_quantity(
    demand_rate: float, lead_time: float, *, holding_cost: float, shortage_cost: float, order_cost: float
) -> tuple[int, int, float]:
    """Return the best (r, Q) of Poisson demand under continuous review with backorders, and its cost per period.

    ``C(r, Q) = (K D + sum of G(y) over y = r + 1 .. r + Q) / Q``, G the cost of a level over the lead time. Units of
    position are added to the cycle from the cheapest on, as long as they cost less than the mean. Source: Federgruen
    and Zheng 1992, An efficient algorithm for computing an optimal (r, Q) policy.

    >>> r, lot, cost = reorder_point_and_quantity(1.5, 2.0, holding_cost=20.0, shortage_cost=150.0, order_cost=100.0)
    >>> r, lot, round(cost, 2)
    (3, 5, 107.92)
    """
    if not order_cost >= 0:
        raise ParameterError(f"the cost of an order must be zero or more, got {order_cost}")
    level_cost = UnitCosts(poisson(demand_rate * lead_time), holding_cost, shortage_cost)
    low = high = level_cost.best
    total, size = order_cost * demand_rate + level_cost(low), 1
    while True:
        below, above = level_cost(low - 1), level_cost(high + 1)
        if min(below, above) >= total / size - 1e-12:
            return low - 1, size, total / size
        if below <= above:
            low -= 1
        else:
            high += 1
        total, size = total + min(below, above), size + 1


def reorder_and_order_up_to(
    chances: ArrayLike, *, holding_cost: float, shortage_cost: float, order_cost: float, lead_time_periods: int = 0
) -> tuple[int, int, float]:
    """Return the best (s, S) of counted demand per period with backorders, and its cost per period: exact.

    With m the renewal function of the demand, ``m_0 = 1 / (1 - p_0)``, ``m_j = sum of p_i m_(j-i) / (1 - p_0)``, and
    M its sums, ``c(s, S) = (K + sum of m_j G(S - j) over j = 0 .. S - s - 1) / M_(S-s)``. Order at or below s up to S.
    Source: Zheng and Federgruen 1991, Finding optimal (s, S) policies is about as simple as evaluating a single policy.

    Parameters
    ----------
    chances
        [K] probabilities of demand of 0, 1, 2, ... units in a period.
    lead_time_periods
        Whole periods L; the cost of a level is that of demand over L + 1 periods.

    >>> s, up_to, cost = reorder_and_order_up_to(poisson(6.0), holding_cost=1.0, shortage_cost=4.0, order_cost=5.0)
    >>> s, up_to, round(cost, 4)
    (4, 10, 8.0341)
    """
    one = _checked(chances)
    if one[0] >= 1 - 1e-12:
        raise ParameterError("nothing is ever asked for, so there is nothing to order; give demand above zero")
    if not order_cost >= 0:
        raise ParameterError(f"the cost of an order must be zero or more, got {order_cost}")
    cycle = _Cycle(one, UnitCosts(over_periods(one, lead_time_periods + 1), holding_cost, shortage_cost), order_cost)
    best_up_to = cycle.level_cost.best
    s = best_up_to - 1
    while cycle.cost(s, best_up_to) > cycle.of(s):
        s -= 1
    least, up_to = cycle.cost(s, best_up_to), best_up_to + 1
    while cycle.of(up_to) <= least:
        if cycle.cost(s, up_to) < least:
            best_up_to = up_to
            while cycle.cost(s, best_up_to) <= cycle.of(s + 1):
                s += 1
            least = cycle.cost(s, best_up_to)
        up_to += 1
    return s, best_up_to, least


class _Cycle:
    """Cost per period of any (s, S), with the renewal function and the costs of levels kept as they are needed."""

    def __init__(self, chances: Floats, level_cost: UnitCosts, order_cost: float) -> None:
        self.chances, self.level_cost, self.order_cost = chances, level_cost, order_cost
        self._known: dict[int, float] = {}
        self._renewal = [1 / (1 - float(chances[0]))]

    def of(self, level: int) -> float:
        if level not in self._known:
            self._known[level] = self.level_cost(level)
        return self._known[level]

    def cost(self, low: int, high: int) -> float:
        renewal, chances = self._renewal, self.chances
        while len(renewal) < high - low:
            reach = min(len(renewal), len(chances) - 1)
            past = np.array(renewal[len(renewal) - reach :][::-1])  # m_(j-1) .. m_(j-reach)
            renewal.append(float(chances[1 : reach + 1] @ past) / (1 - float(chances[0])))
        weights = renewal[: high - low]
        spent = sum(weight * self.of(high - j) for j, weight in enumerate(weights))
        return (self.order_cost + spent) / sum(weights)


def _checked(chances: ArrayLike) -> Floats:
    found = np.asarray(chances, dtype=np.float64)
    if found.ndim != 1 or not len(found) or np.any(~(found >= 0)) or abs(found.sum() - 1) > 1e-6:
        raise ParameterError("chances must be probabilities of 0, 1, 2, ... units that sum to 1")
    return np.asarray(found / found.sum(), dtype=np.float64)
