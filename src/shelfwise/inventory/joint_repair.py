"""From prices to orders: make the items' own choices keep every limit, then use up what is left.

At the best prices almost all items choose what they also choose in the best joint plan. The rest is moved greedily, the
least loss for the most help first, then whatever still fits and saves money is taken, and last, options are exchanged
in pairs. No move takes a limit that must be kept beyond its right side.

Letters: n items in canonical order, D columns of use, K priced limits, B supplier minima, M candidate moves.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shelfwise.inventory.joint_problem import Layer
from shelfwise.inventory.lagrangian import Dual
from shelfwise.inventory.order_options import Floats, Integers
from shelfwise.inventory.priced_items import Point, PricedItems

CANDIDATES: Final = 100_000
MOST_WALKED: Final = 60_000
PAIRED: Final = 200
TOLERANCE: Final = 1e-9
"""Of a limit's right side: what a sum of floats may be over it."""


@dataclass(frozen=True, eq=False)
class _Moves:
    """Options that an item could change to, near in charged cost: cost [M], D uses [M]."""

    item: Integers
    option: NDArray[np.int64]
    cost: Floats
    use: list[Floats]


class _Walk:
    """Moves looked at one after the other: plain numbers, because each changes what is left for the next."""

    def __init__(self, plan: Repair, order: Integers, cost: Floats, changes: list[Floats]) -> None:
        self.costs = cost[order].tolist()
        self.steps = list(
            zip(
                [label[order].tolist() for label in plan.labels],
                [change[order].tolist() for change in changes],
                strict=True,
            )
        )
        self.over = (plan.used - plan.most).tolist()
        self.allowed, self.cap = plan.allowed.tolist(), plan.cap.tolist()
        self.soft = np.isfinite(plan.cap).tolist()
        self.exceeded = sum(over > most for over, most in zip(self.over, self.allowed, strict=True))

    def look(self, number: int) -> tuple[float, bool]:
        """Return a move's change of the objective, infinite if it does not fit, and if it helps an exceeded limit."""
        worth, helps = self.costs[number], False
        for labels, changes in self.steps:
            limit, change = labels[number], changes[number]
            if limit < 0 or change == 0:
                continue
            before = self.over[limit]
            if self.soft[limit]:
                worth += self.cap[limit] * (max(0.0, before + change) - max(0.0, before))
            elif change > 0 and before + change > self.allowed[limit]:
                return np.inf, False
            elif change < 0 and before > self.allowed[limit]:
                helps = True
        return worth, helps

    def take(self, number: int) -> None:
        """Count a move as done."""
        for labels, changes in self.steps:
            limit = labels[number]
            if limit >= 0:
                was = self.over[limit] > self.allowed[limit]
                self.over[limit] += changes[number]
                self.exceeded += (self.over[limit] > self.allowed[limit]) - was


class Repair:
    """One plan being made: each item's option, and what it uses of each limit."""

    def __init__(self, priced: PricedItems, prices: Floats, point: Point, most_moves: int = CANDIDATES) -> None:
        n_limits = len(priced.most)
        self.priced = priced
        self.on = point.on
        self.most = np.append(priced.most, np.where(point.on, -priced.least, np.inf))  # [K + B]
        self.cap = np.append(priced.cap, np.full(len(priced.least), np.inf))
        self.allowed = TOLERANCE * np.maximum(1.0, np.where(np.isfinite(self.most), np.abs(self.most), 1.0))
        self.price = np.append(prices, point.minimum_price)
        self.charges = priced.charges(prices, point.minimum_price)
        self.signs = [1.0] * len(priced.layers)
        self.layers = list(priced.layers)
        if len(priced.least):
            under = priced.bundle
            self.layers.append(Layer(0, np.where(under >= 0, under + n_limits, -1).astype(np.int32)))
            self.signs.append(-1.0)
        self.set_options(point.option)
        self.moves = self._near(most_moves)
        self.labels = [layer.labels[self.moves.item] for layer in self.layers]  # [M] each

    @property
    def signed_layers(self) -> list[tuple[Layer, float]]:
        """Layers of limits, the suppliers' minima last; a minimum is a limit on spend below zero."""
        return list(zip(self.layers, self.signs, strict=True))

    def set_options(self, option: NDArray[np.int64]) -> None:
        """Start from these options [n]."""
        self.option = option.copy()
        self.cost, self.use = self.priced.gather(option)
        self.used = np.append(self.priced.others[1], np.zeros(len(self.priced.least)))
        for layer, sign in zip(self.layers, self.signs, strict=True):
            there = layer.labels >= 0
            self.used += sign * np.bincount(
                layer.labels[there], weights=self.use[layer.column][there], minlength=len(self.used)
            )

    @property
    def objective(self) -> float:
        """Cost with what missing the soft limits costs, money."""
        soft = np.isfinite(self.cap)
        over = np.maximum(self.used - self.most, 0.0)[soft]
        return float(self.cost.sum() + self.priced.others[0] + self.cap[soft] @ over)

    @property
    def kept(self) -> bool:
        """True where no limit that must be kept is exceeded."""
        return not np.any((self.used > self.most + self.allowed) & np.isinf(self.cap))

    def _near(self, most_moves: int) -> _Moves:
        """Return the options of least loss at the prices, about ``most_moves`` of them."""
        priced = self.priced
        losses = []
        total = sum(chunk.cost.size for chunk in priced.chunks)
        stride = max(1, total // 200_000)
        bound = np.inf
        if total > most_moves:
            for chunk in priced.chunks:
                charged = priced.charged(chunk, self.charges)
                few = charged[:, ::stride]
                losses.append((few - few.min(axis=0)).ravel())
            some = np.sort(np.concatenate(losses))
            bound = some[min(len(some) - 1, int(len(some) * (most_moves + len(priced.items)) / total))]
        movable = np.append(self.on, True)[priced.bundle]  # [n]
        items, options, costs = [], [], []
        uses: list[list[Floats]] = [[] for _ in priced.problem.use]
        for chunk in priced.chunks:
            part = slice(chunk.start, chunk.stop)
            near = movable[part] & np.ones(chunk.cost.shape, dtype=bool)
            if np.isfinite(bound):
                charged = priced.charged(chunk, self.charges)
                near &= charged - charged.min(axis=0) <= bound
            near &= np.count_nonzero(near, axis=0) > 1  # else there is nothing to change to
            option, column = np.nonzero(near)
            items.append(column + chunk.start)
            options.append(option)
            costs.append(chunk.cost[near])
            for to, source in zip(uses, chunk.use, strict=True):
                to.append(source[near])
        if not items:
            none = np.zeros(0)
            return _Moves(none.astype(np.int64), none.astype(np.int64), none, [none for _ in uses])
        return _Moves(
            np.concatenate(items), np.concatenate(options), np.concatenate(costs), [np.concatenate(use) for use in uses]
        )

    def _changes(self) -> tuple[Floats, list[Floats]]:
        """Return what each move changes: cost [M], and per layer the use of its limit [M]."""
        item = self.moves.item
        delta = [new - old[item] for new, old in zip(self.moves.use, self.use, strict=True)]
        return self.moves.cost - self.cost[item], [
            sign * delta[layer.column] for layer, sign in zip(self.layers, self.signs, strict=True)
        ]

    def _worth(self, cost: Floats, changes: list[Floats]) -> tuple[Floats, NDArray[np.bool_]]:
        """Return each move's change of the objective [M], and whether it keeps the limits [M]."""
        over = np.append(self.used - self.most, -np.inf)  # label -1 is the last
        cap = np.append(np.where(np.isfinite(self.cap), self.cap, 0.0), 0.0)
        hard = np.append(np.isinf(self.cap), False)
        allowed = np.append(self.allowed, 0.0)
        worth = cost.copy()
        fits = np.ones(len(cost), dtype=bool)
        for label, change in zip(self.labels, changes, strict=True):
            before = over[label]
            after = before + change
            fits &= ~hard[label] | (change <= 0) | (after <= allowed[label])
            worth += cap[label] * (np.maximum(after, 0.0) - np.maximum(before, 0.0))
        return worth, fits

    def keep_limits(self) -> bool:
        """Move items until every limit is kept, the least loss for the most help first; False where it does not do."""
        for _ in range(30):
            over = self.used - self.most
            over = np.where(over > self.allowed, over, 0.0)
            if not over.any():
                return True
            weight = np.append(np.where(over > 0, 1.0 / np.where(over > 0, over, 1.0), 0.0), 0.0)
            need = np.append(over, 0.0)
            cost, changes = self._changes()
            loss = cost.copy()
            help_ = np.zeros(len(cost))
            item = self.moves.item
            for new, old, charge in zip(self.moves.use, self.use, self.charges, strict=True):
                if charge is not None:
                    loss += charge[item] * (new - old[item])
            for label, change in zip(self.labels, changes, strict=True):
                help_ -= weight[label] * np.maximum(change, -need[label])
            _, fits = self._worth(cost, changes)
            useful = np.flatnonzero(fits & (help_ > 0))
            rank = np.maximum(loss[useful], 0.0) / help_[useful]
            order = useful[np.argsort(rank, kind="stable")]
            if not self._walk(order, cost, changes, until_kept=True):
                break
        return self.kept

    def fill(self) -> None:
        """Take whatever still fits and lowers the objective, the most for what it uses at the prices first."""
        price = np.append(self.price, 0.0)
        for _ in range(30):
            cost, changes = self._changes()
            worth, fits = self._worth(cost, changes)
            good = np.flatnonzero(fits & (worth < -1e-12 * max(1.0, abs(self.objective))))
            if not len(good):
                return
            weighted = np.full(len(good), 1e-12)
            for label, change in zip(self.labels, changes, strict=True):
                weighted += price[label[good]] * np.maximum(change[good], 0.0)
            order = good[np.argsort(worth[good] / weighted, kind="stable")]
            if not self._walk(order, cost, changes, until_kept=False):
                return

    def _walk(self, order: Integers, cost: Floats, changes: list[Floats], *, until_kept: bool) -> bool:
        """Apply moves in this order, one for an item, each only if it fits (and helps) by then; True if any did."""
        order = order[:MOST_WALKED]
        items = self.moves.item[order].tolist()
        walk = _Walk(self, order, cost, changes)
        least_worth = -1e-12 * max(1.0, abs(self.objective))
        moved: set[int] = set()
        taken: list[int] = []
        for number, item in enumerate(items):
            if item in moved:
                continue
            worth, helps = walk.look(number)
            if worth < least_worth or (until_kept and helps):
                walk.take(number)
                moved.add(item)
                taken.append(number)
                if until_kept and not walk.exceeded:
                    break
        if taken:
            chosen = order[taken]
            self.option[self.moves.item[chosen]] = self.moves.option[chosen]
            self.set_options(self.option)
        return bool(taken)

    def exchange(self, enough: float, deadline: float) -> None:
        """Change options of two items at a time while that lowers the objective, down to ``enough``."""
        for _ in range(200):
            if self.objective <= enough or time.monotonic() > deadline:
                return
            if not self._best_pair():
                return
            self.fill()

    def _best_pair(self) -> bool:
        cost, changes = self._changes()
        worth, fits = self._worth(cost, changes)
        loss = cost.copy()
        item = self.moves.item
        for new, old, charge in zip(self.moves.use, self.use, self.charges, strict=True):
            if charge is not None:
                loss += charge[item] * (new - old[item])
        own = self.option[item] == self.moves.option
        gains = np.flatnonzero(~own & ((worth < 0) & ~fits))
        gives = np.flatnonzero(~own & (worth >= 0))
        gains = gains[np.argsort(loss[gains], kind="stable")[:PAIRED]]
        gives = gives[np.argsort(loss[gives], kind="stable")[:PAIRED]]
        if not len(gains) or not len(gives):
            return False
        some = np.append(gains, gives)
        touched = np.unique(np.concatenate([label[some] for label in self.labels]))
        fit = item[gains][:, None] != item[gives][None, :]
        pair = cost[gains][:, None] + cost[gives][None, :]
        for limit in touched[touched >= 0]:
            change = np.zeros(len(some))
            for label, step in zip(self.labels, changes, strict=True):
                change += np.where(label[some] == limit, step[some], 0.0)
            both = change[: len(gains), None] + change[None, len(gains) :]
            before = self.used[limit] - self.most[limit]
            if np.isinf(self.cap[limit]):
                fit &= (both <= 0) | (before + both <= self.allowed[limit])
            else:
                pair = pair + self.cap[limit] * (np.maximum(before + both, 0.0) - max(before, 0.0))
        pair = np.where(fit, pair, np.inf)
        best = int(np.argmin(pair))
        up, down = divmod(best, len(gives))
        if not pair[up, down] < -1e-12 * max(1.0, abs(self.objective)):
            return False
        for move in (gains[up], gives[down]):
            self.option[item[move]] = self.moves.option[move]
        self.set_options(self.option)
        return True


def repaired(priced: PricedItems, dual: Dual, *, gap: float, deadline: float) -> Repair:
    """Return a plan that keeps every limit that must be kept, near the bound of ``dual``.

    Where suppliers have minima it may be far from it; which of them to order from is then another question.
    """
    plan = walked(priced, dual.prices, dual.point)
    if not plan.kept and plan.on.any():
        without = priced.answer(dual.prices, np.full(len(priced.least), -1, dtype=np.int8))
        plan = walked(priced, dual.prices, without)
    if not plan.kept:
        plan.set_options(np.zeros(len(priced.items), dtype=np.int64))
        plan.fill()
    elif not len(priced.least):
        plan.exchange(dual.point.value + gap * abs(dual.point.value), deadline)
    return plan


def walked(priced: PricedItems, prices: Floats, point: Point) -> Repair:
    """Return the plan that moves of one item at a time make of the answer ``point``; it may not keep the limits."""
    plan = Repair(priced, prices, point)
    if not plan.keep_limits() and len(plan.moves.item) < sum(chunk.cost.size for chunk in priced.chunks):
        plan = Repair(priced, prices, point, most_moves=20 * CANDIDATES)
        plan.keep_limits()
    if plan.kept:
        plan.fill()
    return plan
