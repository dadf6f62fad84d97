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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shelfwise.inventory.order_options import Flags, Floats, Integers

CHUNK_OPTIONS: Final = 2**17
"""Options worked on at a time, so that they stay in the processor's cache."""
MOST_GROUPS: Final = 256
MOST_SUPPLIERS: Final = 1_000
"""Suppliers with a minimum that are a group each; the others share what is left of the groups, a few at least."""
SAMPLE_ITEMS: Final = 20_000
"""Prices are first sought on about so many items, evenly taken, where there are three times as many or more."""
MOST_ROUNDS: Final = 300
MOST_LOWERINGS: Final = 12


@dataclass(frozen=True, eq=False)
class PricedLimit:
    """A limit as ``sum over members of use <= most``; a soft one may be missed at ``cap`` per unit.

    Parameters
    ----------
    column
        Which column of use it adds up, 0 to D - 1.
    members
        [m] the items it covers.
    most
        Right side, in units of the column.
    cap
        Largest price, money per unit; infinite for a limit that must be kept.
    """

    column: int
    members: Integers
    most: float
    cap: float = np.inf


@dataclass(frozen=True, eq=False)
class SupplierMinimum:
    """Members' spend is at least ``least`` money, or zero."""

    members: Integers
    least: float


@dataclass(frozen=True, eq=False)
class JointProblem:
    """Items with options, what they cost and use, and the limits they share.

    Parameters
    ----------
    offsets
        [N + 1] first option of each item.
    cost
        [C] money.
    use
        D arrays [C]: what each option uses; column 0 is spend.
    limits, minima
        K priced limits and B supplier minima; no item has two minima.
    """

    offsets: Integers
    cost: Floats
    use: tuple[Floats, ...]
    limits: tuple[PricedLimit, ...]
    minima: tuple[SupplierMinimum, ...] = ()

    @property
    def n_items(self) -> int:
        """Number of items N."""
        return len(self.offsets) - 1

    def used(self, rows: Integers) -> Floats:
        """Return [K] what the options ``rows`` [N] use of each priced limit."""
        return np.array([self.use[limit.column][rows[limit.members]].sum() for limit in self.limits])

    def penalty(self, used: Floats) -> float:
        """Return what missing the soft limits costs, money."""
        return float(
            sum(
                limit.cap * max(0.0, float(u) - limit.most)
                for limit, u in zip(self.limits, used, strict=True)
                if np.isfinite(limit.cap)
            )
        )


@dataclass(frozen=True, eq=False)
class Layer:
    """Limits on one column that share no item: each item's limit, or -1."""

    column: int
    labels: NDArray[np.int32]  # [n]


@dataclass(eq=False)
class _Chunk:
    start: int
    stop: int
    cost: Floats  # [c, m]
    use: list[Floats]  # D times [c, m]


@dataclass(frozen=True, eq=False)
class Point:
    """The items' answer to one set of prices.

    Parameters
    ----------
    value
        L at the prices, money: a lower bound.
    option
        [n] chosen option of each item, 0 for ordering nothing; keeps every supplier minimum.
    on
        [B] False where nothing is ordered from the supplier.
    lead
        [B] what ordering nothing costs more than keeping the minimum, at the prices; infinite where it is no question.
    minimum_price
        [B] price of each supplier's minimum, money per money.
    rise_on, rise_off
        [B] by how much ``value`` rises at least if the supplier has to get its minimum, or nothing.
    cut_cost, cut_use
        [G], [G, K]: cost and use of each group; the cut ``value_g <= cut_cost_g + sum_k price_k cut_use_gk``.
    """

    value: float
    option: NDArray[np.int64]
    on: Flags
    lead: Floats
    minimum_price: Floats
    rise_on: Floats
    rise_off: Floats
    cut_cost: Floats
    cut_use: Floats

    @property
    def cut(self) -> Cut:
        """What the answer says of other prices."""
        return Cut(self.on, self.cut_cost, self.cut_use)


@dataclass(eq=False)
class _Stand:
    """A choice seen by supplier: options [n], spend [B], cost with charges [B]."""

    option: NDArray[np.int64]
    spend: Floats
    pays: Floats

    def take(self, other: _Stand, which: Flags, bundle: NDArray[np.int32]) -> None:
        """Take over the choice of the suppliers ``which`` [B]."""
        np.copyto(self.option, other.option, where=np.append(which, False)[bundle])
        self.spend = np.where(which, other.spend, self.spend)
        self.pays = np.where(which, other.pays, self.pays)


@dataclass(frozen=True, eq=False)
class _Kept:
    """Choices that keep the suppliers' minima.

    ``option`` [n] is the choice, ``weight`` [n] of ``high`` [n] and the rest of ``low`` [n] the mix that makes the cut;
    ``on``, ``lead``, ``price`` and the rises [B] as in `Point`; ``unproven`` money by which the mix is above the bound.
    """

    option: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]
    weight: Floats
    on: Flags
    lead: Floats
    price: Floats
    rise_on: Floats
    rise_off: Floats
    unproven: float


class PricedItems:
    """The items of a problem that limits touch, laid out so that one pass answers any prices fast.

    Items stand in canonical order (by their own numbers, whatever order they came in) and, those of equally many
    options together, in chunks with options along the first axis.
    """

    def __init__(self, problem: JointProblem, items: Integers | None = None) -> None:
        self.problem = problem
        self.most = np.array([limit.most for limit in problem.limits])  # [K]
        self.cap = np.array([limit.cap for limit in problem.limits])
        self.least = np.array([minimum.least for minimum in problem.minima])
        layers = _layers(problem)
        bundle = np.full(problem.n_items, -1, dtype=np.int32)
        for number, minimum in enumerate(problem.minima):
            bundle[minimum.members] = number
        counts = np.diff(problem.offsets)
        whole = items is None
        if items is None:
            items = _canonical(problem, layers, bundle, counts)
        self.items = items  # [n]
        self.first = problem.offsets[:-1][items]
        self.counts = counts[items]
        self.layers = [Layer(layer.column, layer.labels[items]) for layer in layers]
        self.bundle = bundle[items]
        self.bundled = np.flatnonzero(self.bundle >= 0)
        self.group, self.n_groups = _groups(self.layers, self.bundle, len(problem.minima))
        self.group_of = np.full(len(problem.minima), -1, dtype=np.int64)  # [B] -1: no item of it has a choice
        self.group_of[self.bundle[self.bundled]] = self.group[self.bundled]
        self.chunks = list(self._cut())
        self.ends: list[tuple[NDArray[np.int64], Floats, list[Floats]]] = []  # least and largest spend
        self.hint = np.zeros(len(problem.minima))  # [B] prices of the minima found last
        self.others = self._others(layers) if whole else (0.0, np.zeros(len(problem.limits)))

    def _cut(self) -> Iterator[_Chunk]:
        edges = np.flatnonzero(np.diff(self.counts)) + 1
        for start, stop in zip([0, *edges], [*edges, len(self.items)], strict=True):
            if start == stop:
                continue
            c = int(self.counts[start])
            step = max(1, CHUNK_OPTIONS // c)
            for low in range(start, stop, step):
                high = min(low + step, stop)
                rows = self.first[low:high][None, :] + np.arange(c)[:, None]  # [c, m]
                yield _Chunk(low, high, self.problem.cost[rows], [use[rows] for use in self.problem.use])

    def _others(self, layers: list[Layer]) -> tuple[float, Floats]:
        """Return cost and use [K] of the items left out: at their cheapest where no limit is, or their only option."""
        problem = self.problem
        out = np.ones(problem.n_items, dtype=bool)
        out[self.items] = False
        rows = np.flatnonzero(out)
        if not len(rows):
            return 0.0, np.zeros(len(problem.limits))
        cheapest = least_rows(problem.offsets, problem.cost)[rows]
        use = np.zeros(len(problem.limits))
        for layer in layers:
            labels = layer.labels[rows]
            there = labels >= 0
            use += np.bincount(
                labels[there], weights=problem.use[layer.column][cheapest[there]], minlength=len(problem.limits)
            )
        return float(problem.cost[cheapest].sum()), use

    def charges(self, prices: Floats, minimum_price: Floats | None = None) -> list[Floats | None]:
        """Return for each column what an item pays for a unit of it, [n], or None where nothing is charged."""
        extended = np.append(prices, 0.0)  # label -1 is the last
        charged: list[Floats | None] = [None] * len(self.problem.use)
        for layer in self.layers:
            price = extended[layer.labels]
            if price.any():
                before = charged[layer.column]
                charged[layer.column] = price if before is None else before + price
        if minimum_price is not None and minimum_price.any():
            off = np.append(minimum_price, 0.0)[self.bundle]
            charged[0] = -off if charged[0] is None else charged[0] - off
        return charged

    def charged(self, chunk: _Chunk, charges: list[Floats | None]) -> Floats:
        """Return [c, m] cost of a chunk's options with what they pay for the limits."""
        total = chunk.cost
        for column, charge in enumerate(charges):
            if charge is not None:
                total = total + chunk.use[column] * charge[chunk.start : chunk.stop]
        return total

    def pick(self, charges: list[Floats | None]) -> NDArray[np.int64]:
        """Return [n] each item's cheapest option under the charges, of equals the first."""
        option = np.zeros(len(self.items), dtype=np.int64)
        for chunk in self.chunks:
            option[chunk.start : chunk.stop] = first_least(self.charged(chunk, charges))
        return option

    def gather(self, option: NDArray[np.int64]) -> tuple[Floats, list[Floats]]:
        """Return cost [n] and D uses [n] of the chosen options."""
        cost = np.empty(len(self.items))
        use = [np.empty(len(self.items)) for _ in self.problem.use]
        for chunk in self.chunks:
            part = slice(chunk.start, chunk.stop)
            flat = option[part] * (chunk.stop - chunk.start) + np.arange(chunk.stop - chunk.start)
            cost[part] = chunk.cost.ravel()[flat]
            for to, source in zip(use, chunk.use, strict=True):
                to[part] = source.ravel()[flat]
        return cost, use

    def answer(self, prices: Floats, force: NDArray[np.int8] | None = None) -> Point:
        """Let the items choose at the prices [K]; ``force`` [B] says 1 on, -1 off, 0 as is cheaper (else no bound)."""
        n_minima = len(self.least)
        charges = self.charges(prices)
        option = self.pick(charges)
        cost, use = self.gather(option)
        on = np.ones(n_minima, dtype=bool)
        lead = np.full(n_minima, np.inf)
        minimum_price = rise_on = rise_off = np.zeros(n_minima)
        unproven = 0.0
        if n_minima:
            kept = self._keep_minima(charges, option, cost, use, force)
            option, on, lead, minimum_price, unproven = kept.option, kept.on, kept.lead, kept.price, kept.unproven
            rise_on, rise_off = kept.rise_on, kept.rise_off
            cost, use = self.gather(kept.high)
            other_cost, other_use = self.gather(kept.low)
            cost = kept.weight * cost + (1 - kept.weight) * other_cost
            use = [kept.weight * a + (1 - kept.weight) * b for a, b in zip(use, other_use, strict=True)]
        cut_cost, cut_use = self.sums(cost, use)
        value = float(cut_cost.sum() + (cut_use.sum(axis=0) - self.most) @ prices) - unproven
        return Point(value, option, on, lead, minimum_price, rise_on, rise_off, cut_cost, cut_use)

    def sums(self, cost: Floats, use: list[Floats]) -> tuple[Floats, Floats]:
        """Return [G] and [G, K] cost and use of each group, what limits do not touch last."""
        n_limits = len(self.most)
        cut_cost = np.bincount(self.group, weights=cost, minlength=self.n_groups + 1).astype(np.float64)
        cut_use = np.zeros((self.n_groups + 1, n_limits))
        for layer in self.layers:
            where = self.group * (n_limits + 1) + layer.labels + 1  # label -1 falls into a column thrown away
            sums = np.bincount(where, weights=use[layer.column], minlength=(self.n_groups + 1) * (n_limits + 1))
            cut_use += sums.reshape(self.n_groups + 1, n_limits + 1)[:, 1:]
        cut_cost[-1] += self.others[0]  # the last group holds what limits do not touch
        cut_use[-1] += self.others[1]
        return cut_cost, cut_use

    def bundle_sums(self, values: Floats) -> Floats:
        """Sum values [n] by supplier with a minimum, [B]."""
        sums = np.bincount(self.bundle[self.bundled], weights=values[self.bundled], minlength=len(self.least))
        return sums.astype(np.float64)

    def _keep_minima(
        self,
        charges: list[Floats | None],
        option: NDArray[np.int64],
        cost: Floats,
        use: list[Floats],
        force: NDArray[np.int8] | None,
    ) -> _Kept:
        """Make each supplier's orders nothing or at least its minimum, whichever costs less at the prices."""
        if not self.ends:
            nothing = np.zeros(len(self.items), dtype=np.int64)
            largest = np.concatenate([nothing[:0], *(first_least(-chunk.use[0]) for chunk in self.chunks)])
            for end in (nothing, largest):
                self.ends.append((end, *self.gather(end)))
        nothing_pays = zero = self._stand(charges, *self.ends[0]).pays  # [B]
        if force is not None:
            zero = np.where(force > 0, 1e300, np.where(force < 0, -1e300, zero))
        low = self._stand(charges, option, cost, use)
        short = (low.pays < zero) & (low.spend < self.least * (1 - 1e-12))
        high = self._stand(charges, *self.ends[1])  # the steepest line: everybody's largest spend
        reachable = high.spend >= self.least * (1 - 1e-12)
        mixed = short & reachable
        minimum_price, proven = self._minimum_prices(charges, zero, mixed, low, high)
        share = np.zeros(len(self.least))  # of the dearer choice
        np.divide(self.least - low.spend, high.spend - low.spend, out=share, where=mixed & (high.spend > low.spend))
        with_minimum = np.where(mixed, low.pays + share * (high.pays - low.pays), low.pays)
        proven = np.where(mixed, proven, with_minimum)
        with_minimum[short & ~reachable] = proven[short & ~reachable] = np.inf
        lead = zero - with_minimum
        counted = np.minimum(nothing_pays, proven)
        on = lead > 0
        mixed &= on
        plain = self._just_enough(charges, minimum_price, mixed, high)
        is_on, is_mixed = np.append(on, True)[self.bundle], np.append(mixed, False)[self.bundle]  # no minimum: on
        return _Kept(
            option=np.where(is_on, np.where(is_mixed, plain.option, option), 0),
            high=np.where(is_on, np.where(is_mixed, high.option, option), 0),
            low=np.where(is_on, np.where(is_mixed, low.option, option), 0),
            weight=np.append(np.where(mixed, share, 1.0), 1.0)[self.bundle],
            on=on,
            lead=lead,
            price=np.where(mixed, minimum_price, 0.0),
            rise_on=proven - counted,
            rise_off=nothing_pays - counted,
            unproven=float((np.minimum(zero, with_minimum) - np.minimum(zero, proven)).clip(0.0).sum()),
        )

    def _just_enough(self, charges: list[Floats | None], price: Floats, mixed: Flags, high: _Stand) -> _Stand:
        """Return choices that spend the minimum, not the largest spend there is, where the search met no other."""
        plain = _Stand(high.option.copy(), high.spend.copy(), high.pays.copy())
        largest = self.bundle_sums(self.ends[1][2][0])
        left = mixed & (high.spend >= largest)
        for step in (1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0):
            if not left.any():
                break
            trial = self._trial(charges, price * (1 + step), left)
            found = left & (trial.spend >= self.least * (1 - 1e-12))
            plain.take(trial, found, self.bundle)
            left &= ~found
        return plain

    def _minimum_prices(
        self, charges: list[Floats | None], zero: Floats, mixed: Flags, low: _Stand, high: _Stand
    ) -> tuple[Floats, Floats]:
        """Return [B] the price at which a supplier's orders just come to its minimum, and the bound proven there.

        The least cost with the minimum is the maximum over its price m of
        ``min over options of (charged - m spend) + m least``, concave in m. For all suppliers at once the best rising
        line (``low``) and the best falling one (``high``) are brought nearer at their crossing, first beside the price
        found last time; where they cross, a mix of both spends the minimum exactly.
        """
        active = mixed.copy()
        price = np.zeros(len(self.least))
        proven = low.pays.copy()
        below, above = np.zeros(len(self.least)), np.full(len(self.least), np.inf)  # prices of low and high
        for turn in range(60):
            if not active.any():
                break
            rise = np.where(active, high.spend - low.spend, 1.0)
            price = np.where(active, (high.pays - low.pays) / rise, price)  # of the crossing
            if turn < 2:
                near = self.hint * (0.98 if turn == 0 else 1.02)
                price = np.where(active & (near > below) & (near < above), near, price)
            price = np.clip(price, below, above)
            trial = self._trial(charges, price, active)
            proven = np.where(active, np.maximum(proven, trial.pays + price * (self.least - trial.spend)), proven)
            enough = trial.spend >= self.least * (1 - 1e-12)
            high.take(trial, active & enough, self.bundle)
            low.take(trial, active & ~enough, self.bundle)
            above, below = np.where(active & enough, price, above), np.where(active & ~enough, price, below)
            rise = np.where(active, high.spend - low.spend, 1.0)
            most = low.pays + (high.pays - low.pays) * (self.least - low.spend) / rise
            active &= (proven < most - 1e-8 * np.abs(most)) & (proven < zero)  # else: nothing at all is cheaper
        self.hint = np.where(mixed, price, self.hint)
        return price, proven

    def _stand(
        self, charges: list[Floats | None], option: NDArray[np.int64], cost: Floats, use: list[Floats]
    ) -> _Stand:  # fmt: skip
        return _Stand(option.copy(), self.bundle_sums(use[0]), self.bundle_sums(self._pays(charges, cost, use)))

    def _trial(self, charges: list[Floats | None], price: Floats, which: Flags) -> _Stand:
        """Let the items of the suppliers ``which`` [B] choose with spend worth ``price`` [B] to them."""
        seen = np.append(which, False)
        bonus = np.append(np.where(which, price, 0.0), 0.0)
        option = np.zeros(len(self.items), dtype=np.int64)
        spend, pays = np.zeros(len(bonus)), np.zeros(len(bonus))
        for chunk in self.chunks:
            bundle = self.bundle[chunk.start : chunk.stop]
            if not seen[bundle].any():
                continue
            charged = self.charged(chunk, charges)
            best = first_least(charged - chunk.use[0] * bonus[bundle])
            option[chunk.start : chunk.stop] = best
            flat = best * len(bundle) + np.arange(len(bundle))
            spend += np.bincount(bundle + 1, weights=chunk.use[0].ravel()[flat], minlength=len(bonus))
            pays += np.bincount(bundle + 1, weights=charged.ravel()[flat], minlength=len(bonus))
        return _Stand(option, spend[1:], pays[1:])

    def _pays(self, charges: list[Floats | None], cost: Floats, use: list[Floats]) -> Floats:
        """Return [n] cost with charges of chosen options."""
        total = cost
        for amount, charge in zip(use, charges, strict=True):
            if charge is not None:
                total = total + amount * charge
        return total

    def rows(self, option: NDArray[np.int64]) -> Integers:
        """Return [N] the option rows of all items of the problem: the chosen ones, else the cheapest."""
        rows = least_rows(self.problem.offsets, self.problem.cost)
        rows[self.items] = self.first + option
        return rows


def first_least(values: Floats) -> NDArray[np.int64]:
    """Return [m] the first index of the least value along the first axis of ``values`` [c, m].

    >>> first_least(np.array([[3.0, 1.0], [2.0, 1.0], [2.0, 5.0]])).tolist()
    [1, 0]
    """
    above = values > values.min(axis=0)
    running = above[0].copy()
    count = running.astype(np.int64)
    for row in above[1:-1]:  # how many come before the first least: several times as fast as argmin along this axis
        running &= row
        count += running
    return np.asarray(count, dtype=np.int64)


def least_rows(offsets: Integers, value: Floats) -> Integers:
    """Return [N] the first row of each item where ``value`` [C] is least."""
    if len(offsets) < 2:
        return np.zeros(0, dtype=np.int64)
    counts = np.diff(offsets)
    if counts.min() == counts.max():
        return np.asarray(offsets[:-1] + value.reshape(len(counts), -1).argmin(axis=1), dtype=np.int64)
    lowest = np.minimum.reduceat(value, offsets[:-1])
    rows = np.flatnonzero(value <= np.repeat(lowest, counts))
    items = np.searchsorted(offsets, rows, side="right") - 1
    first = np.concatenate([[True], items[1:] != items[:-1]])
    return np.asarray(rows[first], dtype=np.int64)


def _layers(problem: JointProblem) -> list[Layer]:
    """Put limits that share no item into one layer, first fit."""
    layers: list[Layer] = []
    for number, limit in enumerate(problem.limits):
        for layer in layers:
            if layer.column == limit.column and np.all(layer.labels[limit.members] < 0):
                break
        else:
            layer = Layer(limit.column, np.full(problem.n_items, -1, dtype=np.int32))
            layers.append(layer)
        layer.labels[limit.members] = number
    return layers


def _canonical(
    problem: JointProblem, layers: list[Layer], bundle: NDArray[np.int32], counts: Integers
) -> Integers:  # fmt: skip
    """Return the items that a limit touches and that have a choice, in an order that depends on their numbers only."""
    touched = bundle >= 0
    for layer in layers:
        touched |= layer.labels >= 0
    items = np.flatnonzero(touched & (counts > 1))
    first, last = problem.offsets[items], problem.offsets[items + 1] - 1
    # Ties are broken by one number made of everything else an item is known by; twins are all the same to the choice.
    ties = problem.cost[last].copy()
    for number, use in enumerate(problem.use):
        ties += np.sqrt(number + 3.0) * use[last]
    for number, layer in enumerate(layers):
        ties += np.sqrt(number + 0.3) * (layer.labels[items] + 1)
    return np.asarray(items[np.lexsort((ties, problem.cost[first], bundle[items], counts[items]))], dtype=np.int64)


def _groups(layers: list[Layer], bundle: NDArray[np.int32], n_minima: int) -> tuple[NDArray[np.int64], int]:
    """Number the sets of limits items are under, about `MOST_GROUPS`; a supplier with a minimum is one of its own.

    Where there are more suppliers than `MOST_SUPPLIERS`, several share a group.
    """
    code = np.zeros(len(bundle), dtype=np.int64)
    for layer in layers:
        _, code = np.unique(code * (int(layer.labels.max(initial=-1)) + 2) + layer.labels + 1, return_inverse=True)
    if n_minima:
        n_codes = int(code.max(initial=-1)) + 1
        alone = n_minima <= MOST_SUPPLIERS
        if alone:
            rest = max(MOST_GROUPS - n_minima, 32)
            code, n_codes = code % rest, min(n_codes, rest)
        _, code = np.unique(np.where(bundle >= 0, n_codes + bundle, code), return_inverse=True)
        if alone:
            return code, int(code.max(initial=-1)) + 1
    code = code % MOST_GROUPS
    return code, int(code.max(initial=-1)) + 1


@dataclass(frozen=True, eq=False)
class Cut:
    """What an answer says of other prices: [G] cost and [G, K] use of each group, with [B] suppliers on or off."""

    on: Flags
    cost: Floats
    use: Floats


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
        few = solve_dual(_sample(priced), tolerance=max(tolerance, 1e-6), deadline=deadline)
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


def _sample(priced: PricedItems) -> PricedItems:
    """Take every so-many-th item, with limits cut in proportion to what the cheapest options use."""
    step = len(priced.items) // SAMPLE_ITEMS
    sample = PricedItems(priced.problem, priced.items[step // 2 :: step])
    nothing: list[Floats | None] = [None] * len(priced.problem.use)
    cost, use = priced.gather(priced.pick(nothing))
    few_cost, few_use = sample.gather(sample.pick(nothing))
    _, of_all = priced.sums(cost, use)
    _, of_few = sample.sums(few_cost, few_use)
    sample.most = _part(of_few.sum(axis=0), of_all[:-1].sum(axis=0), 1 / step) * (priced.most - priced.others[1])
    if len(priced.least):
        sample.least = _part(sample.bundle_sums(few_use[0]), priced.bundle_sums(use[0]), 1 / step) * priced.least
    return sample


def _part(few: Floats, of_all: Floats, otherwise: float) -> Floats:
    return np.where(of_all > 0, few / np.where(of_all > 0, of_all, 1.0), otherwise)
