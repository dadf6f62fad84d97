"""Policies over given demand: what they would order, hold, lose and cost, for many products and paths at once.

The clock of this floor: what is due comes in at the start of a period, then the policy orders with the position that
all periods before have left, and an order with lead time L comes in at the start of the period L later, with L = 0 at
once; then demand comes, and at the period's end holding is charged on what is left and shortage on what was lost or is
owed. Units are conserved: opening stock and orders are what was served, what is left and what is still to come.

One loop over periods, arrays over products and paths; a policy's parameters are [N], so positions are kept as [S, N].

Letters: N product-warehouses, S paths, T periods, L lead time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.policies import Policy

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

UNMET: Final = ("lost", "backorder")
_NOTHING: Final = 1e-9


@dataclass(frozen=True, eq=False)
class Simulated:
    """What a policy did over T periods, [N, S] each: units, or money where it says cost.

    Parameters
    ----------
    demand, served, short
        Units asked for, handed over, and not there in the period they were asked for.
    short_periods
        Periods with such a shortage.
    ordered, orders
        Units ordered and number of orders.
    left, owed, on_order
        At the end: units on hand, backorders, units still to come.
    mean_stock
        Mean units on hand at the end of a period.
    fill_rate
        Share of units asked for that were there at once; 1 where nothing was asked for.
    cycle_service
        Share of order cycles, from one arrival to the next, without a shortage.
    holding_cost, shortage_cost, order_cost
        Money over all T periods.
    """

    demand: Floats
    served: Floats
    short: Floats
    short_periods: Floats
    ordered: Floats
    orders: Floats
    left: Floats
    owed: Floats
    on_order: Floats
    mean_stock: Floats
    fill_rate: Floats
    cycle_service: Floats
    holding_cost: Floats
    shortage_cost: Floats
    order_cost: Floats

    @property
    def cost(self) -> Floats:
        """[N, S] money in all."""
        return np.asarray(self.holding_cost + self.shortage_cost + self.order_cost, dtype=np.float64)


def simulate(
    policy: Policy,
    demand: ArrayLike,
    *,
    on_hand: ArrayLike,
    lead_time_periods: ArrayLike,
    inbound: ArrayLike | None = None,
    unmet: str = "lost",
    holding_cost: ArrayLike = 0.0,
    shortage_cost: ArrayLike = 0.0,
    order_cost: ArrayLike = 0.0,
) -> Simulated:
    """Let a policy order in every period of the demand given.

    Parameters
    ----------
    policy
        Of `shelfwise.inventory.policies`, its parameters [N] or one number for all.
    demand
        [N, S, T], or [N, T] for a single path: units asked for.
    on_hand
        [N] units at the beginning.
    lead_time_periods
        [N] whole periods, or [N, S] of one path each: every order of path s takes as long.
    inbound
        [N, T] units on order at the beginning, on the shelf from the start of each period.
    unmet
        ``lost``: who finds nothing goes away; ``backorder``: waits, and is served first.
    holding_cost, shortage_cost, order_cost
        [N] money: per unit on hand at the end of a period; per unit lost, or owed at the end of a period; per order.

    >>> from shelfwise.inventory.policies import BaseStock
    >>> done = simulate(
    ...     BaseStock([10.0]),
    ...     [[4.0, 4.0, 4.0]],
    ...     on_hand=[5.0],
    ...     lead_time_periods=1,
    ...     holding_cost=1.0,
    ...     shortage_cost=9.0,
    ... )
    >>> done.left.tolist(), done.short.tolist(), done.cost.tolist(), done.on_order.tolist()
    ([[2.0]], [[0.0]], [[5.0]], [[4.0]])
    """
    asked = _checked_demand(demand)
    periods, n_paths, n = asked.shape
    if unmet not in UNMET:
        raise ParameterError(f"unmet must be one of {', '.join(UNMET)}, got {unmet!r}")
    lead = _lead(lead_time_periods, n, n_paths)
    opening = _each("on_hand", on_hand, n)
    due = np.zeros((n, periods)) if inbound is None else np.asarray(inbound, dtype=np.float64)
    if due.shape != (n, periods) or not np.all(np.isfinite(due) & (due >= 0)):
        raise ParameterError(f"inbound must be zero or more units of the shape ({n}, {periods}), got {due.shape}")
    money = {
        name: _each(name, value, n)
        for name, value in {
            "holding_cost": holding_cost, "shortage_cost": shortage_cost, "order_cost": order_cost,
        }.items()
    }  # fmt: skip
    sums = _walked(policy, asked, opening, due, lead, lost=unmet == "lost")
    total = asked.sum(axis=0)  # [S, N]
    found = {
        "demand": total, "served": sums["served"], "short": sums["short"], "short_periods": sums["short_periods"],
        "ordered": sums["ordered"], "orders": sums["orders"],
        "left": np.maximum(sums["net"], 0.0), "owed": np.maximum(-sums["net"], 0.0),
        "on_order": sums["pending"], "mean_stock": sums["stock"] / periods,
        "fill_rate": np.where(total > 0, 1 - sums["short"] / np.where(total > 0, total, 1.0), 1.0),
        "cycle_service": sums["good"] / sums["cycles"],
        "holding_cost": money["holding_cost"] * sums["stock"],
        "shortage_cost": money["shortage_cost"] * sums["owing"],
        "order_cost": money["order_cost"] * sums["orders"],
    }  # fmt: skip
    return Simulated(**{name: np.ascontiguousarray(values.T) for name, values in found.items()})


def _walked(
    policy: Policy, asked: Floats, opening: Floats, due: Floats, lead: Integers, *, lost: bool
) -> dict[str, Floats]:
    """Walk the stock through demand [T, S, N] and return sums over periods and the last state, [S, N] each."""
    periods, n_paths, n = asked.shape
    net = np.repeat(opening[None, :], n_paths, axis=0)  # [S, N] on hand less owed
    coming = np.zeros((int(lead.max(initial=0)) + 1, n_paths, n))  # by period of arrival, in a ring
    pending = np.repeat(due.sum(axis=1)[None, :], n_paths, axis=0)  # [S, N] on order
    leads = [(int(value), np.flatnonzero(lead == value)) for value in np.unique(lead)] if lead.ndim == 1 else []
    names = ("served", "short", "short_periods", "ordered", "orders", "stock", "owing")
    sums = {name: np.zeros((n_paths, n)) for name in names}
    cycles, good, fine = np.zeros((n_paths, n)), np.zeros((n_paths, n)), np.ones((n_paths, n), dtype=np.bool_)
    for period in range(periods):
        slot = period % len(coming)
        arrived = coming[slot] + due[:, period]
        coming[slot] = 0.0
        position = net + pending
        quantity = np.asarray(policy.order_quantity(position, period), dtype=np.float64)  # [S, N]
        _place(quantity, lead, leads, period, coming)
        arrived += coming[slot]  # what was ordered just now and takes no time; the rest of the slot is empty
        coming[slot] = 0.0
        came = arrived > _NOTHING
        cycles += came
        good += came & fine
        fine |= came
        pending += quantity - arrived
        before = net + arrived  # [S, N]
        wanted = asked[period]
        there = np.maximum(before, 0.0)
        at_once = np.minimum(there, wanted)
        short = wanted - at_once
        fine &= short <= _NOTHING
        after = before - wanted
        if lost:
            after = np.maximum(after, 0.0)
            sums["owing"] += short
            sums["served"] += at_once
        else:
            owed = np.maximum(-after, 0.0)
            sums["owing"] += owed
            sums["served"] += np.maximum(-net, 0.0) + wanted - owed
        net = after
        sums["short"] += short
        sums["short_periods"] += short > _NOTHING
        sums["ordered"] += quantity
        sums["orders"] += quantity > _NOTHING
        sums["stock"] += np.maximum(net, 0.0)
    cycles, good = cycles + 1, good + fine  # the cycle that is still open counts too
    return {**sums, "net": net, "pending": pending, "cycles": cycles, "good": good}


def _place(quantity: Floats, lead: Integers, leads: list[tuple[int, Integers]], period: int, coming: Floats) -> None:
    """Put orders [S, N] into the ring of arrivals: by lead time where it is [N], path by path where it is [S, N]."""
    if lead.ndim == 2:
        ordering = np.flatnonzero(quantity.any(axis=0))  # most products order in few periods
        if len(ordering):
            some = quantity[:, ordering]
            row, place = np.nonzero(some)
            column = ordering[place]
            coming[(period + lead[row, column]) % len(coming), row, column] += some[row, place]
    for value, columns in leads:
        coming[(period + value) % len(coming)][:, columns] += quantity[:, columns]


def _checked_demand(demand: ArrayLike) -> Floats:
    """Return demand as [T, S, N]."""
    array = np.asarray(demand, dtype=np.float64)
    if array.ndim == 2:
        array = array[:, None, :]
    if array.ndim != 3 or array.shape[1] < 1 or array.shape[2] < 1:
        raise ParameterError(
            f"demand must be [series, paths, periods] or [series, periods] with at least one period, got {array.shape}"
        )
    if not np.all(np.isfinite(array) & (array >= 0)):
        raise ParameterError("demand must be finite and zero or more units in every period")
    return np.ascontiguousarray(array.transpose(2, 1, 0))


def _lead(value: ArrayLike, n: int, n_paths: int) -> Integers:
    """Return lead times as [N], or as [S, N] where they differ by path."""
    given = np.asarray(value, dtype=np.float64)
    lead = np.broadcast_to(given, (n,)) if given.ndim < 2 else np.broadcast_to(given, (n, n_paths)).T
    if np.any(~(lead >= 0)) or np.any(lead != np.floor(lead)) or not np.all(np.isfinite(lead)):
        raise ParameterError(f"lead times must be whole periods, zero or more, got {np.asarray(value).tolist()}")
    return np.asarray(lead, dtype=np.int64)


def _each(name: str, value: ArrayLike, n: int) -> Floats:
    values: NDArray[Any] = np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), (n,)))
    if not np.all(np.isfinite(values) & (values >= 0)):
        raise ParameterError(f"{name} must be finite and zero or more, got {values.min():g}")
    return values
