"""The cheapest plan of one product-warehouse over several periods at given prices, found exactly.

A plan says now what is ordered at the start of every period; its orders are the same on all demand paths, and sales
that find an empty shelf are lost on each path by itself. With ``A`` the units put on the shelf up to period t and
``D`` the demand up to it, the units lost up to t are ``M[t] = max(0, max over j <= t of D[j] - A[j])`` and the stock
left is ``M[t] - D[t] + A[t]``. Both are L-natural-convex in the cumulated orders, and so is every cost that rises
with them: holding, shortage, run-down, money spent at a price, space at a price. A minimum over whole packs is then
reached as soon as no set of cumulated orders moved by one pack up or down is better, which is what is checked here.
The cost of placing a line and minimum quantities are not convex: every set of periods to order in, a pattern, is
searched by itself, or ruled out by a bound.

Sources: Murota, Discrete Convex Analysis (2003), theorem 7.14 (local minima of L-natural-convex functions are
global); Zipkin, On the structure of lost-sales inventory models, Operations Research 56 (2008).

Letters: S sample paths, H periods, n periods that an order can be placed in, C candidate plans, U patterns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shelfwise.domain.errors import ParameterError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

MOST_ORDER_PERIODS: Final = 10
"""Order periods of one product-warehouse: its patterns are 2 to this power, the moves from a plan as many."""

MOST_LISTED: Final = 300_000
"""Plans of one product-warehouse that are listed one by one, where its choice is that small."""

MOST_PACKS: Final = 10_000_000
"""Packs of one order: one pack more would change the cost by less than rounding does, and the search would stop."""

_CELLS_AT_ONCE: Final = 400_000  # candidate plans times paths worked on at once: about 3 MB an array
_NO_GAIN: Final = 1e-10  # of the cost: less is rounding, not a cheaper plan


@dataclass(frozen=True, eq=False)
class PlanCosts:
    """What a set of plans costs and uses, expected over the paths.

    money
        [C] holding, shortage, ordering and run-down, without any price of a limit.
    lost_units
        [C] demand lost (backordered: owed at the ends of periods) over the horizon.
    opening
        [C, H] units on hand at the start of each period, arrivals included.
    closing
        [C, H] units on hand at the end of each period.
    """

    money: Floats
    lost_units: Floats
    opening: Floats
    closing: Floats


@dataclass(eq=False)
class PlanPricer:
    """One product-warehouse: its demand paths and terms, and the search for its cheapest plan at given prices.

    Parameters
    ----------
    demand
        [S, H] units asked for.
    receipts
        [H] units that come in anyhow, at the start of each period; what is on hand now counts to period 1.
    lead_time_periods
        [S] whole periods; an order placed at the start of period t is on the shelf at the start of t + lead time.
    order_periods
        [n] periods (from 1) an order can be placed in.
    holding_cost, shortage_cost
        Money per unit and period left, per unit lost (owed, per period).
    order_cost
        Money per order placed.
    pack, moq, largest_quantity
        Units; the last may be infinite.
    longest_held
        Units left after the horizon are held until they have sold at the mean rate, but no longer than this, periods.
    backorder
        False: unmet demand is lost. True: it is owed and served first.

    >>> pricer = PlanPricer(
    ...     demand=np.array([[4.0, 4.0, 4.0]]), receipts=np.zeros(3), lead_time_periods=np.array([1]),
    ...     order_periods=np.array([1, 2]), holding_cost=0.1, shortage_cost=2.0, order_cost=0.3,
    ... )
    >>> found = pricer.cheapest()
    >>> found.packs.tolist(), round(found.value, 6)  # 4 units lost in period 1, and two orders
    ([4, 4], 8.6)
    """  # fmt: skip

    demand: Floats
    receipts: Floats
    lead_time_periods: Integers
    order_periods: Integers
    holding_cost: float
    shortage_cost: float
    order_cost: float = 0.0
    pack: float = 1.0
    moq: float = 0.0
    largest_quantity: float = np.inf
    longest_held: float = 0.0
    backorder: bool = False

    def __post_init__(self) -> None:
        n_paths, horizon = self.demand.shape
        arrival = self.order_periods[:, None] - 1 + self.lead_time_periods[None, :]  # [n, S] from 0
        useful = arrival.min(axis=1, initial=horizon) < horizon
        self.periods = self.order_periods[useful]  # [n]
        if len(self.periods) > MOST_ORDER_PERIODS:
            raise ParameterError(
                f"a plan with {len(self.periods)} order periods is too long to be solved exactly; plan at most "
                f"{MOST_ORDER_PERIODS}, or review less often"
            )
        arrival = np.minimum(arrival[useful], horizon)
        n = len(self.periods)
        # share[j, t]: share of the paths on which order j is on the shelf by period t
        here = arrival[:, None, :] <= np.arange(horizon)[None, :, None]  # [n, H, S]
        self._share = here.mean(axis=2)
        self._one_lead = bool(np.all(self.lead_time_periods == self.lead_time_periods[:1]))
        self._by = here.astype(np.float64)  # [n, H, S]
        cumulated = self.demand.cumsum(axis=1).T  # [H, S]
        self._gap = cumulated - self.receipts.cumsum()[:, None]  # [H, S] D - A without orders
        self._mean_gap = self._gap.mean(axis=1)  # [H]
        self._mean_demand = self.demand.mean(axis=0)  # [H]
        self._daily = max(float(self.demand.mean()), 1e-12)
        least = max(1, int(np.ceil(self.moq / self.pack - 1e-9)))
        # more than all demand that an order can still meet only costs; what is owed can be met later, too
        ahead = self.demand if self.backorder else self.demand * here.swapaxes(1, 2)  # [S, H] or [n, S, H]
        met = np.broadcast_to(ahead.sum(axis=-1).max(axis=-1, initial=0.0), (n,))
        most = np.maximum(least, np.ceil(met / self.pack)).astype(np.int64)  # [n]
        if np.isfinite(self.largest_quantity):
            most = np.minimum(most, int(np.floor(self.largest_quantity / self.pack + 1e-9)))
        if most.max(initial=0) > MOST_PACKS:
            raise ParameterError(
                f"an order of up to {most.max():,} packs of {self.pack:g} cannot be planned exactly; give demand in "
                f"larger units or a larger pack, at most {MOST_PACKS:,} packs"
            )
        if np.any(most < least):  # no quantity is allowed at all
            self.periods, n, most = self.periods[:0], 0, most[:0]
            self._share, self._by, arrival = self._share[:0], self._by[:0], arrival[:0]
        self.least, self.most = least, most  # packs of an order; the last [n]
        # [n] period (from 0) an order is on the shelf from, where that is the same on all paths; else the horizon
        self.arrives = np.where(arrival.min(axis=1) == arrival.max(axis=1), arrival.min(axis=1), horizon)
        self._patterns = _patterns(n)
        self._start = self._patterns.member * least  # [U, n] packs: where the last search ended

    def costs(self, packs: Integers) -> PlanCosts:
        """Return what plans ``packs`` [C, n], in the order of ``periods``, cost and use."""
        packs = np.atleast_2d(packs)
        short, gap, final = self._walk(np.asarray(packs * self.pack, dtype=np.float64))
        lost = short if self.backorder else np.diff(short, axis=1, prepend=0.0)
        opening = self._opening(short, gap)
        closing = short - gap
        money = self.holding_cost * closing.sum(axis=1) + self.shortage_cost * lost.sum(axis=1) + final
        money += self.order_cost * (packs > 0).sum(axis=1)
        return PlanCosts(money, lost.sum(axis=1), opening, closing)

    def cheapest(
        self, unit_price: Floats | float = 0.0, opening_price: Floats | float = 0.0, most: Integers | None = None
    ) -> PricedPlans:
        """Return the cheapest plan, and beside it the cheapest of other patterns that were looked at.

        Parameters
        ----------
        unit_price
            [n] price on top of each unit ordered.
        opening_price
            [H] price of each unit on hand at the start of a period.
        most
            [n] packs ordered at most in each period; None takes the terms' own bound.
        """
        prices = (
            np.broadcast_to(np.asarray(unit_price, dtype=np.float64), self.periods.shape),
            np.broadcast_to(np.asarray(opening_price, dtype=np.float64), (self.demand.shape[1],)),
        )
        patterns = self._patterns
        bound = self.most if most is None else np.minimum(most, self.most)  # [n] packs
        allowed = np.all(~patterns.member.astype(bool) | (bound >= self.least), axis=1)
        start = np.where(allowed[:, None], np.minimum(self._start, np.maximum(bound, self.least)), 0)
        value = self._value(start, *prices) + self.order_cost * patterns.size  # [U] of the plans last found
        best = value[allowed].min()
        whole = np.array([len(patterns.size) - 1])
        _, free = self._descend(whole, np.minimum(self._start[whole], np.maximum(bound, 0)), 0, bound, prices)
        slack = _NO_GAIN * (1 + abs(best))
        alive = np.flatnonzero(allowed & (free[0] + self.order_cost * patterns.size <= best + slack))
        found, cost = self._descend(alive, start[alive], self.least, bound, prices)
        if most is None:
            self._start[alive] = found
        cost = cost + self.order_cost * patterns.size[alive]
        order = np.argsort(cost, kind="stable")
        return PricedPlans(float(cost[order[0]]), found[order[0]], found[order], cost[order])

    def tighten(self, most: Integers) -> None:
        """Allow at most ``most`` [n] packs in each order period, because no more can be paid for."""
        self.most = np.minimum(self.most, most)

    def every(self) -> Integers | None:
        """Return all plans [C, n] there are, or None where they are more than `MOST_LISTED`."""
        sizes = [np.concatenate([[0], np.arange(self.least, most + 1)]) for most in self.most.tolist()]
        if float(np.prod([float(len(size)) for size in sizes])) > MOST_LISTED:
            return None
        grid = np.meshgrid(*sizes, indexing="ij") if sizes else [np.zeros(1, dtype=np.int64)]
        return np.stack([axis.ravel() for axis in grid], axis=1)[:, : len(sizes)]

    def values(self, packs: Integers, unit_price: Floats, opening_price: Floats) -> Floats:
        """Return what plans ``packs`` [C, n] cost at these prices, all in."""
        placed = (packs > 0).sum(axis=1)
        return np.asarray(self._value(packs, unit_price, opening_price) + self.order_cost * placed, dtype=np.float64)

    def beside(self, packs: Integers) -> Integers:
        """Return plans [C, n] that differ from ``packs`` by one pack in some of the cumulated orders."""
        if not packs.shape[1]:
            return packs
        full = self._patterns.moves[self._patterns.offsets[-2] :]
        tried = np.unique((packs[:, None, :] + full).reshape(-1, packs.shape[1]), axis=0)
        allowed = (tried == 0) | ((tried >= self.least) & (tried <= self.most))
        return np.asarray(tried[np.all(allowed, axis=1)])

    def _descend(
        self, patterns: Integers, packs: Integers, least: int, most: Integers, prices: tuple[Floats, Floats]
    ) -> tuple[Integers, Floats]:
        """Return the cheapest plans [u, n] of some patterns and their values, without the cost of placing orders.

        ``packs`` [u, n] is where the search starts; an order has ``least`` to ``most`` [n] packs.
        """
        table = self._patterns
        value = self._value(packs, *prices)
        active = np.arange(len(patterns))
        while len(active):
            rows, owner = table.moves_of(patterns[active])  # rows of moves, and positions in ``active``
            tried = packs[active][owner] + table.moves[rows]
            member = table.member[patterns[active]][owner]
            allowed = np.flatnonzero(np.all((tried >= least * member) & (tried <= most), axis=1))
            if not len(allowed):
                break
            tried, owner, rows = tried[allowed], owner[allowed], rows[allowed]
            worth = self._value(tried, *prices)
            ranked = np.lexsort((worth, owner))
            first = ranked[np.flatnonzero(np.diff(owner[ranked], prepend=-1))]  # best move of each that has one
            mine = active[owner[first]]
            better = worth[first] < value[mine] - _NO_GAIN * (1 + np.abs(value[mine]))
            first, mine = first[better], mine[better]
            packs[mine], value[mine] = tried[first], worth[first]
            limits = least * table.member[patterns[mine]], most
            self._stride(packs, value, mine, table.moves[rows[first]], limits, prices)
            active = mine
        return packs, value

    def _stride(
        self,
        packs: Integers,
        value: Floats,
        mine: Integers,
        moves: Integers,
        limits: tuple[Integers, Integers],
        prices: tuple[Floats, Floats],
    ) -> None:
        """Go on in the same direction, in steps twice as long each time, as long as it gets cheaper."""
        step = 1
        low, most = limits
        while len(mine):
            tried = packs[mine] + step * moves
            allowed = np.all((tried >= low) & (tried <= most), axis=1)
            tried, mine, moves, low = tried[allowed], mine[allowed], moves[allowed], low[allowed]
            if not len(mine):
                return
            worth = self._value(tried, *prices)
            better = worth < value[mine] - _NO_GAIN * (1 + np.abs(value[mine]))
            mine, moves, low = mine[better], moves[better], low[better]
            packs[mine], value[mine] = tried[better], worth[better]
            step *= 2

    def _value(self, packs: Integers, unit_price: Floats, opening_price: Floats) -> Floats:
        """Return the cost [C] of plans at these prices, without the cost of placing orders."""
        units = np.asarray(packs * self.pack, dtype=np.float64)
        result = np.empty(len(units))
        step = max(1, _CELLS_AT_ONCE // self.demand.shape[0])
        for low in range(0, len(units), step):
            part = units[low : low + step]
            short, gap, final = self._walk(part)
            total = final + part @ unit_price + self.holding_cost * (short - gap).sum(axis=1)
            total += self.shortage_cost * (short.sum(axis=1) if self.backorder else short[:, -1])
            if np.any(opening_price):
                total += self._opening(short, gap) @ opening_price
            result[low : low + step] = total
        return result

    def _walk(self, units: Floats) -> tuple[Floats, Floats, Floats]:
        """Return means over the paths: units short [C, H] (lost so far; owed now), D - A [C, H], and run-down [C]."""
        horizon, n_paths = self._gap.shape
        arrived = units @ self._share if len(self.periods) else np.zeros((len(units), horizon))  # [C, H]
        short = np.empty((len(units), horizon))
        worst = np.zeros((len(units), n_paths))  # [C, S] the largest D - A so far, at least 0
        ahead = np.empty_like(worst)
        mean = np.full(n_paths, 1.0 / n_paths)
        for period in range(horizon):
            if self._one_lead:
                np.subtract(self._gap[period], arrived[:, period, None], out=ahead)
            else:
                np.subtract(self._gap[period], units @ self._by[:, period], out=ahead)
            np.maximum(ahead, 0.0 if self.backorder else worst, out=worst)
            short[:, period] = worst @ mean
        gap = self._mean_gap - arrived
        if not self.longest_held:
            return short, gap, np.zeros(len(units))
        np.subtract(worst, ahead, out=worst)  # units left
        cap = self._daily * self.longest_held
        inside = np.minimum(worst, cap)
        final = (inside**2 / (2 * self._daily) + self.longest_held * (worst - inside)) @ mean
        return short, gap, self.holding_cost * final

    def _opening(self, short: Floats, gap: Floats) -> Floats:
        before = np.concatenate([np.zeros((len(short), 1)), short[:, :-1]], axis=1)
        return np.asarray(before - gap + self._mean_demand, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class PricedPlans:
    """The cheapest plan of one product-warehouse at given prices, and the other plans found beside it.

    value
        Its cost, prices of limits included.
    packs
        [n] packs ordered in each order period.
    near
        [C, n] the cheapest plan of each pattern that could not be ruled out, cheapest first.
    near_values
        [C] their costs.
    """

    value: float
    packs: Integers
    near: Integers
    near_values: Floats


@dataclass(frozen=True, eq=False)
class _Patterns:
    """All sets of periods to order in, and the moves that a plan of each is compared with.

    member
        [U, n] 1 where the pattern orders.
    size
        [U] number of orders.
    moves
        [V, n] change of the orders in packs when a set of cumulated orders moves by one.
    offsets
        [U + 1] first move of each pattern, and V.
    """

    member: Integers
    size: Integers
    moves: Integers
    offsets: Integers

    def moves_of(self, patterns: Integers) -> tuple[Integers, Integers]:
        """Return the rows of the moves of ``patterns`` [u] one after the other, and which of the u each is of."""
        counts = self.offsets[patterns + 1] - self.offsets[patterns]
        owner = np.repeat(np.arange(len(patterns)), counts)
        inside = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        return self.offsets[patterns][owner] + inside, owner


@lru_cache(maxsize=16)
def _patterns(n: int) -> _Patterns:
    """Return the patterns of n order periods; the last orders in every one."""
    bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1  # [U, n]
    moves, offsets = [np.zeros((0, n), dtype=np.int64)], [0]
    for member in bits:
        places = np.flatnonzero(member)
        k = len(places)
        raised = (np.arange(1, 2**k)[:, None] >> np.arange(k)) & 1  # [2^k - 1, k] cumulated orders moved by one
        change = np.zeros((len(raised), n), dtype=np.int64)
        change[:, places] = np.diff(raised, axis=1, prepend=0) if k else 0
        moves.extend([change, -change])
        offsets.append(offsets[-1] + 2 * len(raised))
    return _Patterns(bits, bits.sum(axis=1), np.concatenate(moves), np.array(offsets))
