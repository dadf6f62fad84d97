"""A lower bound on what orders under shared limits cost, and the price of each limit, by Lagrangian relaxation.

Limits are what makes a joint choice hard: without them every product-warehouse takes its cheapest option. So each limit
gets a price, every option is charged for what it uses, and the items choose alone::

    L(price) = sum over items i of  min over options c of (cost_c + sum_k price_k use_kc)  -  sum_k price_k most_k

For any prices of zero or more L is at most the cost of the best choice that keeps the limits, and the largest L is the
bound that is published [money]. Source: Fisher, The Lagrangian relaxation method for solving integer programming
problems, Management Science 27 (1981); solved by cutting planes in a box around the best prices so far (Kelley, 1960;
the boxstep method of Marsten, Hogan and Blankenship, 1975), one cut for each group of items under the same limits.

A soft limit has a largest price, beyond which it is rather missed. A supplier minimum is not a price but an either-or:
of each such supplier the cheaper of "nothing at all" and "at least the minimum" counts, at the prices of the limits.

Letters: n items in canonical order, C options, D columns of use, K priced limits, B suppliers with a minimum, G groups.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shelfwise.inventory.order_options import Floats, Integers
from shelfwise.inventory.priced_items import SAMPLE_ITEMS, Cut, Point, PricedItems, sampled

MOST_ROUNDS: Final = 300
MOST_LOWERINGS: Final = 12


@dataclass(eq=False)
class Dual:
    """The best prices found, what the items do there, and how it was found.

    ``worth`` [K] are the smallest prices of the same bound: what one unit more of a limit saves, where ``prices`` may
    be what one unit less would cost. ``cuts`` are all that was learnt on the way.
    """

    prices: Floats
    worth: Floats
    point: Point
    rounds: int
    cuts: tuple[Cut, ...] = ()


@dataclass(eq=False)
class _Master:
    """The linear program over all cuts: the prices at which the cuts allow the highest bound.

    With ``force`` [B] only cuts of choices that it allows are taken; ``group_of`` [B] is each supplier's group.
    """

    n_limits: int
    n_groups: int
    most: Floats
    group_of: Integers
    force: NDArray[np.int8] | None = None
    cuts: list[Cut] = field(default_factory=list)
    rows: list[tuple[int, bool]] = field(default_factory=list)  # group of each row, and if its supplier is on
    known: set[tuple[int, bytes]] = field(default_factory=set)
    solver: Any = field(init=False)

    def __post_init__(self) -> None:
        import highspy

        self.solver = highspy.Highs()
        self.solver.setOptionValue("output_flag", False)
        self.solver.setOptionValue("presolve", "off")
        infinite = highspy.kHighsInf
        none = np.zeros(0, dtype=np.int32), np.zeros(0)
        for most in self.most:
            self.solver.addCol(float(most), 0.0, 0.0, 0, *none)
        for _ in range(self.n_groups):
            self.solver.addCol(-1.0, -infinite, infinite, 0, *none)

    def add(self, cut: Cut) -> None:
        """Add the cuts of one answer, ``value_g - sum_k price_k use_gk <= cost_g``, that are new and allowed."""
        import highspy

        self.cuts.append(cut)
        on = np.ones(self.n_groups, dtype=bool)
        allowed = np.ones(self.n_groups, dtype=bool)
        there = np.flatnonzero(self.group_of >= 0)
        on[self.group_of[there]] = cut.on[there]
        if self.force is not None:
            fits = (self.force == 0) | ((self.force > 0) == cut.on)
            allowed[self.group_of[there]] = fits[there]
        touched = cut.use != 0  # [G, K]
        starts, indices, values, upper, n_values = [], [], [], [], 0
        for group in np.flatnonzero(allowed).tolist():
            key = group, cut.use[group].tobytes() + cut.cost[group].tobytes()
            if key in self.known:
                continue
            self.known.add(key)
            self.rows.append((group, bool(on[group])))
            which = np.flatnonzero(touched[group])
            starts.append(n_values)
            n_values += len(which) + 1
            indices.append(np.append(which, self.n_limits + group))
            values.append(np.append(-cut.use[group, which], 1.0))
            upper.append(cut.cost[group])
        if starts:
            self.solver.addRows(
                len(starts), np.full(len(starts), -highspy.kHighsInf), np.array(upper), n_values,
                np.array(starts, dtype=np.int32), np.concatenate(indices).astype(np.int32), np.concatenate(values),
            )  # fmt: skip

    def shares(self, cap: Floats) -> Floats:
        """Return [B] how far each supplier is on, 0 to 1, in the mix of answers that the cuts think best."""
        self.solve(np.zeros(self.n_limits), cap)
        weight = np.abs(np.array(self.solver.getSolution().row_dual))
        by_group = np.zeros(self.n_groups)
        for share, (group, on) in zip(weight.tolist(), self.rows, strict=True):
            if on:
                by_group[group] += share
        return np.asarray(np.where(self.group_of >= 0, by_group[self.group_of], 0.0), dtype=np.float64)

    def lowest(self, value: float, weight: Floats, cap: Floats) -> tuple[float, Floats]:
        """Return the prices of least weighted sum at which the cuts allow a bound of ``value``."""
        import highspy

        n_columns = self.n_limits + self.n_groups
        columns = np.arange(n_columns, dtype=np.int32)
        bound = np.concatenate([-self.most, np.ones(self.n_groups)])
        row = self.solver.getNumRow()
        self.solver.addRow(value, highspy.kHighsInf, n_columns, columns, bound)
        self.solver.changeColsCost(n_columns, columns, np.append(weight, np.zeros(self.n_groups)))
        found = self.solve(np.zeros(self.n_limits), cap)
        self.solver.changeColsCost(n_columns, columns, -bound)
        self.solver.deleteRows(1, np.array([row], dtype=np.int32))
        return found

    def solve(self, low: Floats, high: Floats) -> tuple[float, Floats]:
        """Return the highest bound the cuts allow with prices between ``low`` and ``high``, and where."""
        import highspy

        for number, (least, largest) in enumerate(zip(low, high, strict=True)):
            self.solver.changeColBounds(number, float(least), float(largest))
        self.solver.run()
        if self.solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return -np.inf, low  # numbers beyond what HiGHS can tell apart: the bound found so far stands
        solution = np.array(self.solver.getSolution().col_value)
        return -float(self.solver.getInfo().objective_function_value), np.clip(solution[: self.n_limits], low, high)


def solve_dual(
    priced: PricedItems,
    *,
    tolerance: float,
    deadline: float,
    force: NDArray[np.int8] | None = None,
    enough: float = np.inf,
) -> Dual:
    """Raise the bound until the cuts show that ``tolerance`` (a fraction of it) is all that is left.

    With ``force`` [B] as in `PricedItems.answer` it is a bound for such choices only; there may be none, so the search
    ends at a bound of ``enough``.
    """
    prices = np.zeros(len(priced.most))
    if not len(prices):
        return Dual(prices, prices, priced.answer(prices), 1)
    scale = _scale(priced)
    reach = 2.0 * scale
    if len(priced.items) > 3 * SAMPLE_ITEMS:
        few = solve_dual(sampled(priced), tolerance=max(tolerance, 1e-6), deadline=deadline)
        prices = few.prices
        reach = 0.05 * prices + 0.02 * scale
    master = _Master(len(prices), priced.n_groups + 1, priced.most, priced.group_of, force)
    dual = _raised(priced, master, prices, reach, tolerance, deadline, force, enough)
    if force is not None:
        return dual
    return _lowered(priced, master, dual, 1.0 / np.maximum(scale, 1e-300), tolerance, deadline)


def solve_node(
    priced: PricedItems,
    cuts: Sequence[Cut],
    force: NDArray[np.int8],
    prices: Floats,
    *,
    tolerance: float,
    deadline: float,
    enough: float,
) -> tuple[Dual, Floats]:
    """Raise the bound of choices that keep to ``force`` from prices and cuts already known.

    Returns the prices and [B] how far each supplier is on, 0 to 1, in the mix of choices that the bound stands for.
    """
    master = _Master(len(prices), priced.n_groups + 1, priced.most, priced.group_of, force)
    for cut in cuts:
        master.add(cut)
    master.cuts.clear()
    reach = 0.25 * prices + 0.05 * _scale(priced)
    dual = _raised(priced, master, prices, reach, tolerance, deadline, force, enough)
    return dual, master.shares(priced.cap)


def _raised(
    priced: PricedItems,
    master: _Master,
    prices: Floats,
    reach: Floats,
    tolerance: float,
    deadline: float,
    force: NDArray[np.int8] | None,
    enough: float,
) -> Dual:  # fmt: skip
    """Look for the highest bound in a box of ``reach`` [K] around the best prices so far, sized as it goes."""
    best = priced.answer(prices, force)
    master.add(best.cut)
    rounds = 1
    while rounds < MOST_ROUNDS and best.value < enough and time.monotonic() < deadline:
        low, high = np.maximum(prices - reach, 0.0), np.minimum(prices + reach, priced.cap)
        highest, trial = master.solve(low, high)
        promised = highest - best.value
        small = tolerance * max(abs(best.value), 1e-9)
        edge = ((trial <= low) & (low > 0)) | ((trial >= high) & (high < priced.cap))
        if promised <= 0.01 * small or (promised <= small and not edge.any()):
            break
        point = priced.answer(trial, force)
        rounds += 1
        master.add(point.cut)
        gained = point.value - best.value
        if gained > 0:
            prices, best = trial, point
        if gained >= 0.5 * promised:
            reach = np.where(edge, 4.0 * reach, reach)
        elif gained <= 0:
            reach = 0.5 * reach
    return Dual(prices, prices, best, rounds, tuple(master.cuts))


def _lowered(
    priced: PricedItems, master: _Master, dual: Dual, weight: Floats, tolerance: float, deadline: float
) -> Dual:  # fmt: skip
    """Look for smaller prices of the same bound: a limit that has room to spare, or that nobody can use, costs 0."""
    slack = 0.2 * tolerance * abs(dual.point.value)
    for turn in range(MOST_LOWERINGS):
        highest, trial = master.lowest(dual.point.value - slack, weight, priced.cap)
        if not np.isfinite(highest) or np.all(trial >= dual.prices * (1 - 1e-6)) or time.monotonic() > deadline:
            break
        point = priced.answer(trial)
        master.add(point.cut)
        if point.value >= dual.point.value - 2 * slack:
            return replace(dual, worth=trial, rounds=dual.rounds + turn + 1)
    return dual


def _scale(priced: PricedItems) -> Floats:
    """Return [K] a first idea of a price: what the items save on ordering nothing, for what they use more by it."""
    cheapest = priced.pick([None] * len(priced.problem.use))
    cost, use = priced.gather(cheapest)
    zero_cost, zero_use = priced.gather(np.zeros_like(cheapest))
    saved, more = np.zeros(len(priced.most)), np.zeros(len(priced.most))
    for layer in priced.layers:
        there = layer.labels >= 0
        labels = layer.labels[there]
        saved += np.bincount(labels, weights=(zero_cost - cost)[there], minlength=len(saved))
        change = np.abs(use[layer.column] - zero_use[layer.column])
        more += np.bincount(labels, weights=change[there], minlength=len(saved))
    scale = np.where((more > 0) & (saved > 0), saved / np.where(more > 0, more, 1.0), 1.0)
    return np.asarray(np.minimum(scale, priced.cap), dtype=np.float64)
