"""Items that choose their orders alone at given prices of what they share, laid out for one fast pass.

Letters: n items in canonical order, C options, D columns of use, K priced limits, B suppliers with a minimum, G groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shelfwise.inventory.joint_problem import JointProblem, Layer, canonical, grouped, in_layers, least_rows
from shelfwise.inventory.order_options import Flags, Floats, Integers

CHUNK_OPTIONS: Final = 2**17
"""Options worked on at a time, so that they stay in the processor's cache."""
SAMPLE_ITEMS: Final = 20_000
"""Prices are first sought on about so many items, evenly taken, where there are three times as many or more."""


@dataclass(frozen=True, eq=False)
class Cut:
    """What an answer says of other prices: [G] cost and [G, K] use of each group, with [B] suppliers on or off."""

    on: Flags
    cost: Floats
    use: Floats


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
        layers = in_layers(problem)
        bundle = np.full(problem.n_items, -1, dtype=np.int32)
        for number, minimum in enumerate(problem.minima):
            bundle[minimum.members] = number
        counts = np.diff(problem.offsets)
        whole = items is None
        if items is None:
            items = canonical(problem, layers, bundle, counts)
        self.items = items  # [n]
        self.first = problem.offsets[:-1][items]
        self.counts = counts[items]
        self.layers = [Layer(layer.column, layer.labels[items]) for layer in layers]
        self.bundle = bundle[items]
        self.bundled = np.flatnonzero(self.bundle >= 0)
        self.group, self.n_groups = grouped(self.layers, self.bundle, len(problem.minima))
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


def sampled(priced: PricedItems) -> PricedItems:
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
