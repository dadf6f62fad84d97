"""From a need in units to a quantity that can be ordered: packs, minimum quantities, minimum order values, EOQ.

Letters: N product-warehouses.
"""

from __future__ import annotations

import heapq
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shelfwise.domain.errors import ParameterError

Floats = NDArray[np.float64]

LEAST_DEMAND: Final = 1e-9
"""Units per period; less is no demand, and covers nothing."""


def whole_packs(need: ArrayLike, pack: ArrayLike) -> Floats:
    """Round a need up to whole packs; no need, no packs. Shapes [N] and [N], units.

    >>> whole_packs([134.0, 0.0, -5.0], 12.0).tolist()
    [144.0, 0.0, 0.0]
    """
    units, size = np.asarray(need, dtype=np.float64), np.asarray(pack, dtype=np.float64)
    return np.where(units > 1e-9, np.ceil(units / size - 1e-9), 0.0) * size


def orderable_quantity(need: ArrayLike, pack: ArrayLike, minimum: ArrayLike = 0.0) -> Floats:
    """Round a need up to the minimum order quantity and then to whole packs [N]; no need, no order.

    ``q = ceil(max(need, minimum) / pack) * pack`` [units] where need > 0.

    >>> orderable_quantity([34.0, 134.0, -2.0], pack=12.0, minimum=50.0).tolist()
    [60.0, 144.0, 0.0]
    """
    size, least = np.asarray(pack, dtype=np.float64), np.asarray(minimum, dtype=np.float64)
    if np.any(~(size > 0)):
        raise ParameterError(f"pack must be above zero units, got {np.nanmin(size):g}")
    if np.any(~(least >= 0)):
        raise ParameterError(f"minimum order quantity must be zero or more units, got {np.nanmin(least):g}")
    units = np.asarray(need, dtype=np.float64)
    return whole_packs(np.where(units > 1e-9, np.maximum(units, least), 0.0), size)


def economic_order_quantity(
    demand_per_period: ArrayLike, order_cost: ArrayLike, holding_cost_per_unit_period: ArrayLike
) -> Floats:
    """Return the lot that balances the cost of ordering and of holding.

    ``Q = sqrt(2 D K / h)`` [units], D demand per period [units], K cost of placing one order [money], h cost of
    holding a unit for a period [money]. Source: Harris 1913; Silver, Pyke and Thomas, 4th ed., chapter 4.

    >>> float(economic_order_quantity(demand_per_period=1200.0, order_cost=100.0, holding_cost_per_unit_period=6.0))
    200.0
    """
    demand, fixed = np.asarray(demand_per_period, dtype=np.float64), np.asarray(order_cost, dtype=np.float64)
    holding = np.asarray(holding_cost_per_unit_period, dtype=np.float64)
    if np.any(~(demand >= 0)) or np.any(~(fixed >= 0)):
        raise ParameterError("demand and the cost of an order must be zero or more")
    if np.any(~(holding > 0)):
        raise ParameterError("the holding cost must be above zero; without one there is no reason to order less")
    return np.asarray(np.sqrt(2 * demand * fixed / holding), dtype=np.float64)


def top_up(
    quantity: Floats,
    *,
    position: Floats,
    demand_per_period: Floats,
    pack: Floats,
    minimum: Floats,
    unit_cost: Floats,
    minimum_value: float,
    most_cover_periods: float,
) -> Floats:
    """Return the units [N] to add to one supplier's lines so that the order reaches the supplier's minimum value.

    Pack by pack, each to the line that would run out first (position plus order, over demand per period), so what is
    bought early is what will be needed soonest. A line that was not needed starts with its minimum order quantity.
    A line that would then last longer than ``most_cover_periods``, or has no cost or no demand, gets nothing: if that
    stops the order short of the minimum, nothing at all is added and the order stays below it, for a person to decide.
    An order of nothing is not topped up.

    >>> top_up(
    ...     np.array([12.0, 0.0]), position=np.array([0.0, 30.0]), demand_per_period=np.array([1.0, 1.0]),
    ...     pack=np.array([12.0, 10.0]), minimum=np.array([0.0, 0.0]), unit_cost=np.array([5.0, 4.0]),
    ...     minimum_value=150.0, most_cover_periods=90.0,
    ... ).tolist()
    [24.0, 0.0]
    """  # fmt: skip
    none = np.zeros(len(quantity))
    value = float(np.nansum(quantity * unit_cost))
    if not np.any(quantity > 0) or value >= minimum_value - 1e-9:
        return none
    added = none.copy()
    usable = (unit_cost > 0) & (demand_per_period > LEAST_DEMAND)
    waiting = [(float((position[i] + quantity[i]) / demand_per_period[i]), i) for i in np.flatnonzero(usable).tolist()]
    heapq.heapify(waiting)
    while waiting and value < minimum_value - 1e-9:
        cover, line = heapq.heappop(waiting)
        ordered = quantity[line] + added[line]
        step = pack[line] if ordered > 0 else float(orderable_quantity(pack[line], pack[line], minimum[line]))
        cover += step / demand_per_period[line]
        if cover > most_cover_periods:
            continue
        added[line] += step
        value += step * unit_cost[line]
        heapq.heappush(waiting, (cover, line))
    return added if value >= minimum_value - 1e-9 else none
