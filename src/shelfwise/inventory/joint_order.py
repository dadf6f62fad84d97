"""What to order of everything together under limits that product-warehouses share: the choice, its bound, its prices.

Each item has a few options (`OrderOptions`), each limit joins some items (`Limit`). The choice of least expected cost
is found through prices of the limits (`lagrangian.py`), made to keep them (`joint_repair.py`) and, where items are few
enough and the proof is not close enough, by branch and bound (`exact_choice.py`). Whatever the way, a lower bound is
published beside the cost: nobody can do better than that under these limits and with these options.

Letters: N items, C options, K limits.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

import numpy as np

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.exact_choice import MOST_ITEMS, solve_exactly
from shelfwise.inventory.joint_problem import MOST_SUPPLIERS, JointProblem, PricedLimit, SupplierMinimum, least_rows
from shelfwise.inventory.joint_repair import repaired
from shelfwise.inventory.lagrangian import Dual, solve_dual
from shelfwise.inventory.order_options import Flags, Floats, Integers, Limit, OrderOptions
from shelfwise.inventory.priced_items import PricedItems
from shelfwise.inventory.supplier_choice import SupplierChoice

Mode = Literal["auto", "lagrangian", "exact"]

SERVICE_CAP: Final = 10.0
"""A service target is paid for up to so many times what a lost unit of its group costs, and is missed beyond."""
NEAR: Final = 1e-6
"""Of a limit: what a plan may be beside it and still be said to meet it."""


@dataclass(frozen=True, eq=False)
class Choice:
    """One option for each item, with the proof of how good it is.

    Parameters
    ----------
    rows
        [N] chosen rows of the options.
    cost
        Their expected cost, money.
    bound
        No choice that comes as near to the limits as this one costs less, money.
    gap
        ``(cost - bound) / |cost|``; 0 without limits that bind.
    prices
        [K] what one unit more of the limit would save, money: per unit of money of a budget, per cubic metre, per unit
        of money less of a supplier minimum, per 0.01 less of a service target. Zero or more.
    used
        [K] what the chosen rows use: money, cubic metres, or the fraction of demand served.
    unmet
        Which limits are not met, by how much, and why.
    mode
        ``unconstrained``, ``lagrangian`` or ``exact``: what the rows come from.
    iterations
        Sets of prices tried.
    seconds
        Wall-clock time.
    """

    rows: Integers
    cost: float
    bound: float
    gap: float
    prices: Floats
    used: Floats
    unmet: tuple[str, ...]
    mode: str
    iterations: int
    seconds: float


def choose(
    options: OrderOptions,
    limits: Sequence[Limit],
    *,
    gap: float = 1e-3,
    time_limit: float = 60.0,
    mode: Mode = "auto",
) -> Choice:
    """Choose one option for each item so that together they cost least and keep the limits.

    Budgets and space are always kept, except that what stock already there takes beyond a limit cannot be undone: then
    nothing may be added. A supplier's orders come to its minimum or to nothing. A service target is kept as far as
    `SERVICE_CAP` times the cost of a lost unit pays for it. What is not met is said in ``unmet``.

    Parameters
    ----------
    options
        The table of N items.
    limits
        K limits; ``members`` [N] each.
    gap
        Stop when cost is proven to be within this fraction of the least.
    time_limit
        Seconds after which the best choice so far is returned with its proven bound.
    mode
        ``lagrangian``: prices and repair. ``exact``: branch and bound alone, an independent check, for up to
        `MOST_ITEMS` items. ``auto``: the first, then the second if the gap is wider than asked and items few enough.

    >>> options = OrderOptions(
    ...     offsets=np.array([0, 2, 4]), quantity=np.array([0.0, 10.0, 0.0, 10.0]),
    ...     cost=np.array([50.0, 20.0, 40.0, 15.0]), spend=np.array([0.0, 30.0, 0.0, 20.0]),
    ...     lost_units=np.array([5.0, 1.0, 5.0, 1.0]), stockout=np.zeros(4), space=np.zeros((4, 0)),
    ...     demand_units=np.array([10.0, 10.0]),
    ... )
    >>> choice = choose(options, [Limit("budget", None, None, 40.0, np.array([True, True]))])
    >>> choice.rows.tolist(), choice.cost, choice.used.tolist()
    ([1, 2], 60.0, [30.0])
    """  # fmt: skip
    started = time.monotonic()
    _check(options, limits, gap, time_limit, mode)
    problem = _problem(options, limits)
    free = least_rows(options.offsets, options.cost)
    if _meets_all(problem, free):
        return _published(
            options, limits, problem, free, float(options.cost[free].sum()), np.zeros(len(limits)), "unconstrained", 0,
            started,
        )  # fmt: skip
    deadline = started + time_limit
    if mode == "exact":
        return _exact_alone(options, limits, problem, gap, deadline, started)

    priced = PricedItems(problem)
    finest = 1e-7 if problem.minima else 1e-9  # the prices of minima are found to 1e-8
    dual = solve_dual(priced, tolerance=min(max(0.001 * gap, finest), 1e-5), deadline=deadline)
    plan, bound, rounds = repaired(priced, dual, gap=gap, deadline=deadline), dual.point.value, dual.rounds
    few_minima = 0 < len(problem.minima) <= MOST_SUPPLIERS
    if few_minima and plan.objective - bound > gap * max(abs(_cost(options, priced.rows(plan.option))), 1e-12):
        until = started + 0.25 * time_limit if mode == "auto" and len(free) <= MOST_ITEMS else deadline
        search = SupplierChoice(priced, dual, plan, gap, until)
        bound = max(bound, search.run())
        plan, rounds = search.plan, rounds + search.rounds
    rows, used_mode = priced.rows(plan.option), "lagrangian"
    minimum_prices = np.where(plan.on, dual.point.minimum_price, 0.0)
    reached = plan.objective
    if mode == "auto" and reached - bound > gap * max(abs(_cost(options, rows)), 1e-12) and len(free) <= MOST_ITEMS:
        left = deadline - time.monotonic()
        if left > 0:
            possible = _possible(priced, dual, reached)
            # Of the cost alone, as published; HiGHS counts what missing soft limits costs too.
            of_all = gap * abs(_cost(options, rows)) / max(abs(reached), 1e-12)
            exact = solve_exactly(problem, gap=of_all, time_limit=left, possible=possible, start=rows)
            bound = max(bound, min(exact.bound, reached))
            if exact.rows is not None and _objective(problem, exact.rows) < reached:
                rows, used_mode = exact.rows, "exact"
    prices = _limit_prices(limits, dual.worth, minimum_prices, options)
    return _published(options, limits, problem, rows, bound, prices, used_mode, rounds, started)


def _check(options: OrderOptions, limits: Sequence[Limit], gap: float, time_limit: float, mode: str) -> None:
    if not (np.isfinite(gap) and gap >= 0):
        raise ParameterError(f"gap must be a fraction of zero or more, got {gap}")
    if not time_limit > 0:
        raise ParameterError(f"time_limit must be above 0 seconds, got {time_limit}")
    if mode not in get_args(Mode):
        raise ParameterError(f"mode is one of {', '.join(get_args(Mode))}, got {mode!r}")
    if mode == "exact" and options.n_items > MOST_ITEMS:
        raise ParameterError(
            f"mode 'exact' takes up to {MOST_ITEMS:,} product-warehouses, got {options.n_items:,}; "
            "use 'auto' or 'lagrangian'"
        )
    under_minimum = np.zeros(options.n_items, dtype=bool)
    for limit in limits:
        if len(limit.members) != options.n_items:
            raise ParameterError(f"the {limit.name} has {len(limit.members)} members for {options.n_items} items")
        if limit.kind == "space" and not 0 <= limit.column < options.space.shape[1]:
            raise ParameterError(
                f"the {limit.name} names column {limit.column} of {options.space.shape[1]} columns of space"
            )
        if limit.kind == "supplier_min":
            if np.any(under_minimum & limit.members):
                raise ParameterError(
                    f"the {limit.name} covers a product-warehouse that another supplier minimum covers; "
                    "each has one supplier"
                )
            under_minimum |= limit.members


def _problem(options: OrderOptions, limits: Sequence[Limit]) -> JointProblem:
    """Write the limits as sums of what options use; what stock there already exceeds is let stand."""
    nothing = options.offsets[:-1]
    use: list[Floats] = [options.spend]
    column_of: dict[object, int] = {"spend": 0}

    def column(key: object, values: Floats) -> int:
        if key not in column_of:
            column_of[key] = len(use)
            use.append(np.ascontiguousarray(values))
        return column_of[key]

    priced, minima = [], []
    for limit in limits:
        members = np.flatnonzero(limit.members)
        if limit.kind == "budget":
            priced.append(PricedLimit(0, members, limit.value))
        elif limit.kind == "space":
            number = column(("space", limit.column), options.space[:, limit.column])
            there = float(use[number][nothing[members]].sum())
            priced.append(PricedLimit(number, members, max(limit.value, there)))
        elif limit.kind == "service":
            number = column("lost", options.lost_units)
            most = (1 - limit.value) * float(options.demand_units[members].sum())
            priced.append(PricedLimit(number, members, most, SERVICE_CAP * _cost_of_a_lost_unit(options, members)))
        else:
            minima.append(SupplierMinimum(members, limit.value))
    return JointProblem(options.offsets, options.cost, tuple(use), tuple(priced), tuple(minima))


def _cost_of_a_lost_unit(options: OrderOptions, members: Integers) -> float:
    """Return the median over lost units of cost per lost unit if nothing is ordered, money."""
    nothing = options.offsets[:-1][members]
    lost = options.lost_units[nothing]
    some = lost > 0
    if not some.any():
        return 0.0
    ratio, weight = options.cost[nothing][some] / lost[some], lost[some]
    order = np.argsort(ratio, kind="stable")
    half = np.searchsorted(np.cumsum(weight[order]), 0.5 * weight.sum())
    return max(0.0, float(ratio[order][min(int(half), len(order) - 1)]))


def _meets_all(problem: JointProblem, rows: Integers) -> bool:
    for limit, used in zip(problem.limits, problem.used(rows), strict=True):
        if used > limit.most * (1 + 1e-12) + 1e-12:
            return False
    spent = [float(problem.use[0][rows[minimum.members]].sum()) for minimum in problem.minima]
    return all(not 0 < money < minimum.least for money, minimum in zip(spent, problem.minima, strict=True))


def _cost(options: OrderOptions, rows: Integers) -> float:
    return float(options.cost[rows].sum())


def _objective(problem: JointProblem, rows: Integers) -> float:
    return float(problem.cost[rows].sum()) + problem.penalty(problem.used(rows))


def _possible(priced: PricedItems, dual: Dual, reached: float) -> Flags:
    """Return [C] False for options whose charge alone lifts the bound above a plan in hand: reduced-cost fixing.

    Of a supplier that orders at the prices, the bound with an option forced is at least that of keeping the minimum
    with it forced; of one that does not, nothing is left out.
    """
    problem, point = priced.problem, dual.point
    possible = np.zeros(len(problem.cost), dtype=bool)
    possible[priced.rows(np.zeros(len(priced.items), dtype=np.int64))] = True
    possible[priced.first] = False
    room = np.full(len(priced.items), reached - point.value + 1e-9 * max(1.0, abs(reached)))
    charges = priced.charges(dual.prices, point.minimum_price)
    kept = ~np.append(point.on, True)[priced.bundle]  # [n] every option
    if len(priced.least):
        least = np.concatenate([priced.charged(chunk, charges).min(axis=0) for chunk in priced.chunks])
        with_minimum = priced.bundle_sums(least) + point.minimum_price * priced.least
        nothing = priced.charges(dual.prices)
        zero = priced.bundle_sums(np.concatenate([priced.charged(chunk, nothing)[0] for chunk in priced.chunks]))
        # The bound counted zero - lead for the supplier; what its last price proves may be a little less.
        room += np.append(np.where(point.on, np.maximum(zero - point.lead - with_minimum, 0.0), 0.0), 0.0)[
            priced.bundle
        ]
        off_too = np.append(point.lead, np.inf)[priced.bundle] <= room  # nothing at all may be best: option 0 stays
    else:
        off_too = np.zeros(len(priced.items), dtype=bool)
    for chunk in priced.chunks:
        part = slice(chunk.start, chunk.stop)
        charged = priced.charged(chunk, charges)
        near = (charged - charged.min(axis=0) <= room[part]) | kept[part]
        near[0] |= off_too[part]
        option, item = np.nonzero(near)
        possible[priced.first[chunk.start + item] + option] = True
    return possible


def _exact_alone(
    options: OrderOptions, limits: Sequence[Limit], problem: JointProblem, gap: float, deadline: float, started: float
) -> Choice:  # fmt: skip
    dual = solve_dual(PricedItems(problem), tolerance=1e-6, deadline=deadline)  # for the prices alone
    found = solve_exactly(problem, gap=gap, time_limit=deadline - time.monotonic())
    rows = options.offsets[:-1] if found.rows is None else found.rows
    bound = min(found.bound, _objective(problem, rows))
    if not np.isfinite(bound):
        bound = float(options.cost[least_rows(options.offsets, options.cost)].sum())
    prices = _limit_prices(limits, dual.worth, dual.point.minimum_price, options)
    return _published(options, limits, problem, rows, bound, prices, "exact", dual.rounds, started)


def _limit_prices(
    limits: Sequence[Limit], prices: Floats, minimum_prices: Floats, options: OrderOptions
) -> Floats:  # fmt: skip
    """Return [K] prices in the limits' own order and units."""
    rest, minima = iter(prices.tolist()), iter(minimum_prices.tolist())
    out = np.zeros(len(limits))
    for number, limit in enumerate(limits):
        if limit.kind == "supplier_min":
            out[number] = next(minima)
        else:
            out[number] = next(rest)
            if limit.kind == "service":
                out[number] *= 0.01 * float(options.demand_units[limit.members].sum())
    return np.maximum(out, 0.0)


def _used(options: OrderOptions, limit: Limit, rows: Integers) -> float:
    chosen = rows[limit.members]
    if limit.kind == "space":
        return float(options.space[chosen, limit.column].sum())
    if limit.kind == "service":
        demand = float(options.demand_units[limit.members].sum())
        return 1.0 - float(options.lost_units[chosen].sum()) / demand if demand > 0 else 1.0
    return float(options.spend[chosen].sum())


def _published(
    options: OrderOptions,
    limits: Sequence[Limit],
    problem: JointProblem,
    rows: Integers,
    bound: float,
    prices: Floats,
    mode: str,
    iterations: int,
    started: float,
) -> Choice:
    """Make the result: what missing soft limits costs is taken off the bound, so that cost and bound are both money."""
    cost = _cost(options, rows)
    bound = min(bound - problem.penalty(problem.used(rows)), cost)
    used = np.array([_used(options, limit, rows) for limit in limits])
    choice = Choice(
        rows, cost, bound, (cost - bound) / max(abs(cost), 1e-12) if cost > bound else 0.0, prices, used, (), mode,
        iterations, 0.0,
    )  # fmt: skip
    unmet = tuple(text for limit, got in zip(limits, used, strict=True) for text in _unmet(options, limit, got, rows))
    return replace(choice, unmet=unmet, seconds=time.monotonic() - started)


def _unmet(options: OrderOptions, limit: Limit, used: float, rows: Integers) -> list[str]:
    """Say what of a limit is not met and why, with numbers."""
    members = np.flatnonzero(limit.members)
    nothing = options.offsets[:-1][members]
    if limit.kind == "space" and used > limit.value * (1 + NEAR) + 1e-12:
        there = float(options.space[nothing, limit.column].sum())
        when = "" if limit.period is None else f" in period {limit.period}"
        return [
            f"{limit.name}{when}: {limit.value:,.6g} m3 allowed, {used:,.6g} m3 used; stock that is there or on its "
            f"way takes {there:,.6g} m3 without any order, so nothing may be added"
        ]
    if limit.kind == "service" and used < limit.value - NEAR:
        least = np.minimum.reduceat(options.lost_units, options.offsets[:-1])[members].sum()
        reachable = 1.0 - float(least) / float(options.demand_units[members].sum())
        if reachable < limit.value - NEAR:
            reason = f"opening stock cannot be changed within the lead time: at most {reachable:.4g} can be reached"
        else:
            reason = (
                f"{reachable:.4g} could be reached alone, but the other limits or a price above {SERVICE_CAP:g} times "
                "the cost of a lost unit stand against it"
            )
        return [f"{limit.name}: {limit.value:.4g} asked, {used:.4g} reached; {reason}"]
    if limit.kind == "supplier_min" and used == 0 and limit.value > 0:
        free = least_rows(options.offsets, options.cost)[members]
        wanted = float(options.spend[free].sum())
        if 0 < wanted < limit.value:
            most = float(np.maximum.reduceat(options.spend, options.offsets[:-1])[members].sum())
            can = f"; all options together come to {most:,.2f}" if most < limit.value else ""
            return [
                f"{limit.name}: {limit.value:,.2f} asked, orders that pay for themselves come to {wanted:,.2f}{can}; "
                "nothing is ordered"
            ]
        if wanted > 0:
            return [f"{limit.name}: {limit.value:,.2f} does not pay under the other limits; nothing is ordered"]
    if limit.kind == "budget":
        return _too_dear(options, limit, members, rows)
    return []


def _too_dear(options: OrderOptions, limit: Limit, members: Integers, rows: Integers) -> list[str]:
    counts = np.diff(options.offsets)[members]
    several = members[counts > 1]
    smallest = options.spend[options.offsets[:-1][several] + 1]
    free = least_rows(options.offsets, options.cost)[several]
    wants = options.quantity[free] > 0
    too_dear = wants & (smallest > limit.value * (1 + 1e-12)) & (options.quantity[rows[several]] == 0)
    if not too_dear.any():
        return []
    return [
        f"{limit.name}: {limit.value:,.2f} is less than the smallest order of {int(too_dear.sum()):,} "
        f"product-warehouses (from {float(smallest[too_dear].min()):,.2f}); nothing is ordered of them"
    ]
