"""Orders of many product-warehouses over several periods under shared limits, with a proven gap.

A plan of one product-warehouse is what it orders at the start of every period, the same on all demand paths. Limits
on money and space tie the product-warehouses together. Plans are made one by one (column generation, Dantzig-Wolfe):
a linear program mixes the plans known so far within the limits; its duals are prices of money and space by period;
at these prices the cheapest plan of each product-warehouse is found exactly (`plan_pricing`) and joins the rest. For
any prices ``mu >= 0`` the sum of the cheapest plans' values less ``mu`` times the limits is a lower bound on the cost
of every set of plans, so the bound holds whenever the search stops. Whole plans are then chosen by a mixed-integer
program over the plans made.

What a plan of several periods leaves out: later orders do not react to what sold meanwhile. It shows money and space
ahead; orders are placed period by period, each time on a new plan.

Source: Barnhart et al., Branch-and-price, Operations Research 46 (1998), section 2; prices are smoothed as in Wentges,
Weighted Dantzig-Wolfe decomposition, International Transactions in Operational Research 4 (1997).

Letters: N product-warehouses, S sample paths, H periods of the horizon, T periods that orders are planned for, R rows
(a limit in a period), C plans.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shelfwise.domain.errors import ModelError, ParameterError
from shelfwise.inventory.follow_on_rule import LONGEST_HELD
from shelfwise.inventory.lead_time_demand import checked_paths
from shelfwise.inventory.order_inputs import UNMET, OrderTerms
from shelfwise.inventory.order_options import Limit
from shelfwise.inventory.plan_pricing import PlanPricer

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_SMOOTHING: Final = 0.5  # weight of the prices of the best bound so far in the prices asked next
_NEAR: Final = 6  # plans of one product-warehouse that may join in one round
_CANDIDATES: Final = 15  # plans of one product-warehouse, the cheapest at the prices, that whole plans are chosen from
_MOST_TOGETHER: Final = 5_000  # plans of all product-warehouses, where all that could be chosen are listed
_CLOSER: Final = 4.0  # the linear program is brought this much closer to the bound than the gap, then again
_FIRST_SHARE: Final = 0.25  # of the time left, for the first choice of whole plans
_SAFETY: Final = 1e-8  # of the sum of values: the bound gives way by what rounding could have added to it


@dataclass(frozen=True, eq=False)
class NetworkPlan:
    """Orders over T periods, what they cost, and how much cheaper any others could be at most.

    quantity
        [N, T] units ordered at the start of each period.
    costs
        [N] expected cost of each product-warehouse: holding, shortage, ordering, run-down.
    lost_units
        [N] demand lost over the horizon, units.
    opening
        [N, H] mean units on hand at the start of each period, arrivals included.
    cost, bound, gap
        Expected cost of all, the proven lower bound on it, and ``(cost - bound) / cost``.
    rows
        One `Limit` for each limit and period, in the order of ``prices``.
    allowed, used
        [R] the limits (raised where not even ordering nothing meets them) and the use of them.
    prices
        [R] expected cost saved by one unit more of each limit, at the linear program's optimum.
    infeasible
        Which limits had to be raised, and why.
    plans, rounds, seconds, stopped
        Plans made, rounds of pricing, wall time, and what ended the search: ``gap``, ``no new plan``, ``all
        plans`` (so few that none is left out; the orders are optimal) or ``time``.
    """

    quantity: Floats
    costs: Floats
    lost_units: Floats
    opening: Floats
    cost: float
    bound: float
    rows: tuple[Limit, ...]
    allowed: Floats
    used: Floats
    prices: Floats
    infeasible: tuple[str, ...]
    plans: int
    rounds: int
    seconds: float
    stopped: str

    @property
    def gap(self) -> float:
        """Share of the cost that no other set of plans can save more than."""
        return 0.0 if self.cost <= self.bound else (self.cost - self.bound) / max(abs(self.cost), 1e-12)


def plan_network(
    paths: NDArray[Any],
    due: Floats,
    lead_times: Integers,
    terms: OrderTerms,
    limits: Sequence[Limit] = (),
    *,
    periods: int | None = None,
    gap: float = 1e-2,
    time_limit: float = 60.0,
    unmet: str = "lost",
    longest_held: float = LONGEST_HELD,
) -> NetworkPlan:
    """Choose the orders of all product-warehouses over the next periods so that the expected cost is least.

    Parameters
    ----------
    paths
        [N, S, H] units asked for; path s is the same world for every product-warehouse.
    due
        [N, H] units on the shelf from the start of each period, ordered before.
    lead_times
        [N] or [N, S] whole periods.
    terms
        Stock, costs and rules; an order can be placed every ``review`` periods, the first now.
    limits
        Budgets (money spent in a period) and space (mean cubic metres at the start of a period, arrivals included).
        A limit without a period holds in each.
    periods
        T, periods that orders are planned for; None for all H.
    gap
        Stop when cost and bound are this close, as a share of the cost.
    time_limit
        Seconds, looked at between steps: the first round of plans is always made.
    unmet
        ``lost`` or ``backorder``.
    longest_held
        Units left after the horizon are held until they have sold at the mean rate, but no longer than this.

    >>> each, none = np.ones(2), np.zeros(2)
    >>> terms = OrderTerms(
    ...     on_hand=none, review=np.array([1, 1]), pack=each, moq=none, largest=each * np.inf, unit_cost=each,
    ...     shortage_cost=np.array([2.0, 1.0]), holding_cost=each / 10, order_cost=none, volume=none,
    ... )
    >>> budget = Limit("budget", None, None, 5.0, np.array([True, True]))
    >>> plan = plan_network(np.full((2, 1, 3), 4.0), np.zeros((2, 3)), np.array([1, 1]), terms, [budget])
    >>> plan.quantity.tolist(), round(plan.cost, 6)  # the dearer shortage is served first
    ([[4.0, 4.0, 0.0], [1.0, 1.0, 0.0]], 18.0)
    >>> plan.used.tolist(), plan.prices.tolist()
    ([5.0, 5.0, 0.0], [1.0, 1.0, 0.0])
    """  # fmt: skip
    began = time.monotonic()
    search = _Search.of(paths, due, lead_times, terms, limits, periods, unmet, longest_held)
    if not (np.isfinite(gap) and gap >= 0):
        raise ParameterError(f"gap must be zero or more, as a share of the cost, got {gap}")
    if not time_limit > 0:
        raise ParameterError(f"time_limit must be above 0 seconds, got {time_limit}")
    until = began + time_limit
    chosen, stopped = search.run(gap, began, until)
    return search.result(chosen, stopped, time.monotonic() - began)


@dataclass(eq=False)
class _Plans:
    """The plans made so far, one after the other."""

    item: list[int] = field(default_factory=list)
    quantity: list[Floats] = field(default_factory=list)  # [T] units each
    money: list[float] = field(default_factory=list)
    use: list[Floats] = field(default_factory=list)  # [R] each
    known: dict[tuple[int, bytes], int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.item)


@dataclass(eq=False)
class _Search:
    """Column generation: the pricers, the rows, the plans, and the best prices and bound so far."""

    pricers: list[PlanPricer]
    terms: OrderTerms
    periods: int
    rows: list[Limit]
    spends: Floats  # [R, T] 1 where the row is a budget of the period
    opens: Floats  # [R, H] 1 where the row is space of the period
    allowed: Floats  # [R]
    infeasible: list[str]
    plans: _Plans = field(default_factory=_Plans)
    bound: float = -np.inf
    prices: Floats = field(default_factory=lambda: np.zeros(0))  # [R] of the bound
    duals: Floats = field(default_factory=lambda: np.zeros(0))  # [R] of the last linear program
    rounds: int = 0
    all_listed: bool = False

    @classmethod
    def of(
        cls,
        paths: NDArray[Any],
        due: Floats,
        lead_times: Integers,
        terms: OrderTerms,
        limits: Sequence[Limit],
        periods: int | None,
        unmet: str,
        longest_held: float,
    ) -> _Search:
        """Check what was given and make the search, with the plan of ordering nothing for all."""
        paths = checked_paths(paths)
        n, n_paths, horizon = paths.shape
        periods = horizon if periods is None else periods
        if not 1 <= periods <= horizon:
            raise ParameterError(f"periods must be from 1 to the horizon {horizon}, got {periods}")
        if unmet not in UNMET:
            raise ParameterError(f"unmet must be one of {', '.join(UNMET)}, got {unmet!r}")
        if not (np.isfinite(longest_held) and longest_held >= 0):
            raise ParameterError(f"longest_held must be zero or more periods, got {longest_held}")
        if not np.all(np.isfinite(paths) & (paths >= 0)):
            raise ParameterError("paths must be finite and zero or more units in every period")
        if len(terms.on_hand) != n or due.shape != (n, horizon) or lead_times.shape not in ((n,), (n, n_paths)):
            raise ParameterError(
                f"terms of {len(terms.on_hand)} items, due {list(due.shape)} and lead_times {list(lead_times.shape)} "
                f"do not fit paths {list(paths.shape)}; give terms of {n}, due [{n}, {horizon}] and lead_times [{n}] "
                f"or [{n}, {n_paths}]"
            )
        if not np.all(np.isfinite(due) & (due >= 0)) or np.any(lead_times < 0):
            raise ParameterError("due must be finite and zero or more units, lead_times zero or more periods")
        search = cls(
            pricers=_pricers(paths, due, lead_times, terms, periods, unmet, longest_held), terms=terms, periods=periods,
            rows=[], spends=np.zeros((0, periods)), opens=np.zeros((0, horizon)), allowed=np.zeros(0), infeasible=[],
        )  # fmt: skip
        search._take_limits(limits, n, horizon)
        for item, pricer in enumerate(search.pricers):
            search._add(item, pricer, np.zeros((1, len(pricer.periods)), dtype=np.int64))
        search._raise_limits()
        return search

    def _take_limits(self, limits: Sequence[Limit], n: int, horizon: int) -> None:
        for limit in limits:
            if limit.kind not in ("budget", "space"):
                raise ParameterError(
                    f"a plan of several periods keeps budgets and space, got the {limit.name}; leave it out, or order "
                    "for now only"
                )
            if limit.members.shape != (n,):
                raise ParameterError(f"the {limit.name} covers {limit.members.shape} of {n} product-warehouses")
            last = self.periods if limit.kind == "budget" else horizon
            if limit.period is not None and not 1 <= limit.period <= last:
                raise ParameterError(f"the {limit.name} is for period {limit.period}; the plan has periods 1 to {last}")
            which = range(1, last + 1) if limit.period is None else [limit.period]
            self.rows += [
                Limit(limit.kind, limit.scope, period, limit.value, limit.members, limit.column) for period in which
            ]
        self.allowed = np.array([row.value for row in self.rows], dtype=np.float64)
        self.spends, self.opens = np.zeros((len(self.rows), self.periods)), np.zeros((len(self.rows), horizon))
        for r, row in enumerate(self.rows):
            (self.spends if row.kind == "budget" else self.opens)[r, (row.period or 1) - 1] = 1.0
        self.prices = self.duals = np.zeros(len(self.rows))

    def _raise_limits(self) -> None:
        """Raise limits that not even ordering nothing meets, and say so: more stock never uses less space."""
        used = np.sum(self.plans.use, axis=0) if self.rows else np.zeros(0)
        for r in np.flatnonzero(used > self.allowed + 1e-9 * (1 + self.allowed)):
            self.infeasible.append(
                f"{self.rows[r].name} in period {self.rows[r].period}: stock and orders that are there already need "
                f"{used[r]:,.1f}, the limit is {self.allowed[r]:,.1f}; planned with {used[r]:,.1f}"
            )
        self.allowed = np.maximum(self.allowed, used)
        for item, pricer in enumerate(self.pricers):
            pricer.tighten(self._affordable(item, pricer, self.allowed))

    def _affordable(self, item: int, pricer: PlanPricer, left: Floats) -> Integers:
        """Return the packs [n] of an item that each order may have at most, by what is ``left`` [R] of the limits.

        An order alone has to be paid for when it is placed, and to find room when it is on the shelf.
        """
        mine = np.array([bool(row.members[item]) for row in self.rows], dtype=bool)
        money = np.where(self.spends[mine] > 0, left[mine, None], np.inf).min(axis=0, initial=np.inf)  # [T]
        room = np.where(self.opens[mine] > 0, left[mine, None], np.inf).min(axis=0, initial=np.inf)  # [H]
        price, volume = self.terms.unit_cost[item] * pricer.pack, self.terms.volume[item] * pricer.pack
        packs = np.minimum(money[pricer.periods - 1] / max(price, 1e-12), pricer.most)
        packs = np.minimum(packs, np.append(room, np.inf)[pricer.arrives] / max(volume, 1e-12))
        return np.asarray(np.floor(packs + 1e-9), dtype=np.int64)

    def _add(self, item: int, pricer: PlanPricer, packs: Integers) -> int:
        """Add the plans ``packs`` [C, n] of an item that are not there yet; return how many."""
        new = [row for row in np.unique(packs, axis=0) if (item, row.tobytes()) not in self.plans.known]
        if not new:
            return 0
        rows = np.array(new, dtype=np.int64).reshape(len(new), -1)
        costs = pricer.costs(rows)
        quantity = np.zeros((len(rows), self.periods))
        quantity[:, pricer.periods - 1] = rows * pricer.pack
        spend = quantity * self.terms.unit_cost[item]
        use = spend @ self.spends.T + costs.opening * self.terms.volume[item] @ self.opens.T  # [C, R]
        use *= np.array([row.members[item] for row in self.rows], dtype=np.float64)
        for c, row in enumerate(new):
            self.plans.known[item, row.tobytes()] = len(self.plans)
            self.plans.item.append(item)
            self.plans.quantity.append(quantity[c])
            self.plans.money.append(float(costs.money[c]))
            self.plans.use.append(use[c])
        return len(new)

    def _prices_of(self, item: int, prices: Floats) -> tuple[Floats, Floats]:
        """Return what a unit ordered [n] and a unit on hand at the start of each period [H] cost at the prices [R]."""
        mine = prices * np.array([row.members[item] for row in self.rows], dtype=np.float64)
        unit = (mine @ self.spends)[self.pricers[item].periods - 1] * self.terms.unit_cost[item]
        return unit, mine @ self.opens * self.terms.volume[item]

    def run(self, gap: float, began: float, until: float) -> tuple[Integers, str]:
        """Make plans and choose among them in turn, each time closer, until the gap is reached; say why it stopped."""
        master = _Master(len(self.pricers), self.allowed)
        self._price(self.prices, None, until)
        chosen = np.arange(len(self.pricers))  # ordering nothing, which meets every limit
        within, share, most = gap / _CLOSER, _FIRST_SHARE, _CANDIDATES
        while True:
            stopped = self._generate(master, within, until)
            added = self._enrich(most)
            now = time.monotonic()
            done = self._choose(master, most, gap, now + max(share * (until - now), 1.0), chosen)
            chosen = done.chosen
            if self.gap_of(chosen) > gap:
                chosen = self._polish(chosen)
            if self.gap_of(chosen) <= gap:
                return chosen, "gap"
            if stopped == "time" or time.monotonic() >= until:
                return chosen, "time"
            if stopped == "no new plan" and self._list_all(chosen):
                done = self._choose(master, len(self.plans), gap, until, chosen)
                return done.chosen, "all plans" if done.best_of_all else "time"
            if stopped == "no new plan" and not added and done.best_of_all:
                return chosen, stopped
            within, share, most = within / _CLOSER, min(1.0, 2 * share), 2 * most

    def _generate(self, master: _Master, within: float, until: float) -> str:
        """Make plans until the linear program is this close to the bound; return why it stopped."""
        smoothing = _SMOOTHING
        while True:
            value, self.duals, worth = master.solve(self.plans)
            if value - self.bound <= within * abs(value):
                return "gap"
            if time.monotonic() >= until:
                return "time"
            before = self.bound
            added = self._price(smoothing * self.prices + (1 - smoothing) * self.duals, worth, until)
            if added is None:
                return "time"
            if not added and smoothing == 0.0:
                return "no new plan"
            smoothing = _SMOOTHING if added and self.bound > before else (smoothing / 2 if added else 0.0)

    def _price(self, prices: Floats, worth: Floats | None, until: float) -> int | None:
        """Price all items, raise the bound, add plans; return how many, None where time ran out first.

        ``worth`` [N] are the duals of the items: plans join that are cheaper than theirs at the duals of the limits.
        """
        values = np.zeros(len(self.pricers))
        added = 0
        for item, pricer in enumerate(self.pricers):
            if worth is not None and time.monotonic() >= until:
                return None
            found = pricer.cheapest(*self._prices_of(item, prices))
            values[item] = found.value
            near = found.near[:_NEAR]
            if worth is not None:
                near = near[
                    pricer.values(near, *self._prices_of(item, self.duals)) < worth[item] - 1e-9 * abs(worth[item])
                ]
            added += self._add(item, pricer, near)
        self.rounds += 1
        bound = float(values.sum() - _SAFETY * np.abs(values).sum() - prices @ self.allowed)
        if bound > self.bound:
            self.bound, self.prices = bound, prices
        return added

    def _list_all(self, chosen: Integers) -> bool:
        """Add every plan that a better choice could hold, where there are few enough; return whether all are there.

        At the prices of the bound a choice costs at least the bound plus what its plans cost more than the cheapest.
        """
        spare = self.gap_of(chosen) * self._cost(chosen)
        listed = []
        for item, pricer in enumerate(self.pricers):
            plans = pricer.every()
            if plans is None:
                return False
            prices = self._prices_of(item, self.prices)
            above = pricer.values(plans, *prices) - pricer.cheapest(*prices).value
            listed.append(plans[above <= spare + 1e-6 * (1 + abs(self.bound))])
        if sum(len(plans) for plans in listed) > _MOST_TOGETHER:
            return False
        for item, (pricer, plans) in enumerate(zip(self.pricers, listed, strict=True)):
            self._add(item, pricer, plans)
        self.all_listed = True
        return True

    def _enrich(self, most: int) -> int:
        """Add plans beside the cheapest ones at the last prices, for whole plans to fit the limits; return how many."""
        added = 0
        for item, pricer in enumerate(self.pricers):
            unit, opening = self._prices_of(item, self.duals)
            found = pricer.cheapest(unit, opening)
            beside = pricer.beside(found.near[:_NEAR])
            values = pricer.values(beside, unit, opening)
            added += self._add(item, pricer, beside[np.argsort(values, kind="stable")[:most]])
        return added

    def _choose(self, master: _Master, most: int, gap: float, until: float, chosen: Integers) -> _Choice:
        """Choose whole plans within the limits, among those of each item that are cheapest at the prices."""
        _, self.duals, worth = master.solve(self.plans)
        item, use = np.array(self.plans.item), np.array(self.plans.use)
        excess = np.array(self.plans.money) + use @ self.duals - worth[item]  # [C] reduced costs
        order = np.lexsort((excess, item))
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order)) - np.searchsorted(item[order], item[order])
        kept = np.union1d(np.flatnonzero(rank < most), chosen)
        enough = self.bound + gap * abs(self.bound)
        done = _choose(self.plans, kept, len(self.pricers), self.allowed, enough, until, chosen)
        if self.all_listed and len(kept) == len(self.plans):
            self.bound = max(self.bound, min(done.bound, self._cost(done.chosen)))
        return done

    def _polish(self, chosen: Integers) -> Integers:
        """Give each item in turn the cheapest plan that what the others leave of the limits allows, while it helps."""
        chosen = chosen.copy()
        used = np.sum([self.plans.use[c] for c in chosen], axis=0)
        helped = bool(self.rows)
        while helped:
            helped = False
            for item, pricer in enumerate(self.pricers):
                now = int(chosen[item])
                left = self.allowed - used + self.plans.use[now]
                best = self._cheapest_within(item, pricer, left)
                if best is not None and self.plans.money[best] < self.plans.money[now] - 1e-9 * (1 + self.bound):
                    used += self.plans.use[best] - self.plans.use[now]
                    chosen[item], helped = best, True
        return chosen

    def _cheapest_within(self, item: int, pricer: PlanPricer, left: Floats) -> int | None:
        """Return the cheapest plan found that uses at most ``left`` [R]; budgets bound orders, space has its price."""
        _, opening = self._prices_of(item, self.duals)
        found = pricer.cheapest(0.0, opening, self._affordable(item, pricer, left))
        tried = np.concatenate([found.near[:_NEAR], pricer.beside(found.near[:1])])
        self._add(item, pricer, tried)
        plans = (self.plans.known[item, row.tobytes()] for row in tried)
        fit = [c for c in plans if np.all(self.plans.use[c] <= left + 1e-9 * (1 + left))]
        return min(fit, key=self.plans.money.__getitem__) if fit else None

    def gap_of(self, chosen: Integers) -> float:
        """Return the gap of a choice to the bound."""
        cost = self._cost(chosen)
        return max(0.0, cost - self.bound) / max(abs(cost), 1e-12)

    def _cost(self, chosen: Integers) -> float:
        return float(sum(self.plans.money[c] for c in chosen))

    def result(self, chosen: Integers, stopped: str, seconds: float) -> NetworkPlan:
        """Return the plan that a choice of plans makes."""
        quantity = np.array([self.plans.quantity[c] for c in chosen]).reshape(len(chosen), self.periods)
        costs = [
            pricer.costs(np.rint(row[pricer.periods - 1] / pricer.pack).astype(np.int64))
            for pricer, row in zip(self.pricers, quantity, strict=True)
        ]
        money = np.array([one.money[0] for one in costs])
        cost = float(money.sum())
        return NetworkPlan(
            quantity=quantity, costs=money, lost_units=np.array([one.lost_units[0] for one in costs]),
            opening=np.array([one.opening[0] for one in costs]).reshape(len(chosen), -1), cost=cost,
            bound=min(self.bound, cost), rows=tuple(self.rows), allowed=self.allowed,
            used=np.sum([self.plans.use[c] for c in chosen], axis=0) if self.rows else np.zeros(0),
            prices=self.duals, infeasible=tuple(self.infeasible), plans=len(self.plans), rounds=self.rounds,
            seconds=seconds, stopped=stopped,
        )  # fmt: skip


def _pricers(
    paths: NDArray[Any],
    due: Floats,
    lead_times: Integers,
    terms: OrderTerms,
    periods: int,
    unmet: str,
    longest_held: float,
) -> list[PlanPricer]:
    n, n_paths, _ = paths.shape
    lead = np.broadcast_to(lead_times[:, None] if lead_times.ndim == 1 else lead_times, (n, n_paths))
    receipts = np.array(due, dtype=np.float64)
    receipts[:, 0] += terms.on_hand
    return [
        PlanPricer(
            demand=np.asarray(paths[i], dtype=np.float64), receipts=receipts[i], lead_time_periods=lead[i],
            order_periods=np.arange(1, periods + 1, terms.review[i]), holding_cost=float(terms.holding_cost[i]),
            shortage_cost=float(terms.shortage_cost[i]), order_cost=float(terms.order_cost[i]),
            pack=float(terms.pack[i]), moq=float(terms.moq[i]), largest_quantity=float(terms.largest[i]),
            longest_held=longest_held, backorder=unmet == "backorder",
        )
        for i in range(n)
    ]  # fmt: skip


class _Master:
    """The linear program that mixes plans within the limits; it grows by the plans made since it was last solved."""

    def __init__(self, n_items: int, allowed: Floats) -> None:
        self.n_items, self.n_rows, self.taken = n_items, len(allowed), 0
        self.highs = _silent()
        _add_rows(self.highs, allowed, n_items)

    def solve(self, plans: _Plans) -> tuple[float, Floats, Floats]:
        """Return the least mixed cost, the prices [R] of the limits, zero or more, and the duals [N] of the items."""
        _add_columns(self.highs, plans, list(range(self.taken, len(plans))), self.n_rows, np.inf)
        self.taken = len(plans)
        self.highs.run()
        ended = self.highs.modelStatusToString(self.highs.getModelStatus())
        if ended != "Optimal":
            raise ModelError(f"the linear program over plans ended as {ended!r}; give less extreme costs or limits")
        dual = np.array(self.highs.getSolution().row_dual)
        return (
            float(self.highs.getInfo().objective_function_value),
            np.maximum(-dual[: self.n_rows], 0.0),
            dual[self.n_rows :],
        )


def _silent() -> Any:
    import highspy

    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    return highs


def _add_rows(highs: Any, allowed: Floats, n_items: int) -> None:
    """Add a row for each limit, at most so much, and one for each item, exactly one plan."""
    rows = len(allowed) + n_items
    low = np.concatenate([np.full(len(allowed), -np.inf), np.ones(n_items)])
    high = np.concatenate([allowed, np.ones(n_items)])
    highs.addRows(rows, low, high, 0, np.zeros(rows, dtype=np.int32), np.zeros(0, dtype=np.int32), np.zeros(0))


def _add_columns(highs: Any, plans: _Plans, which: list[int], n_rows: int, most: float) -> None:
    starts: list[int] = []
    index: list[int] = []
    value: list[float] = []
    for c in which:
        starts.append(len(index))
        used = np.flatnonzero(plans.use[c])
        index += [*used.tolist(), n_rows + plans.item[c]]
        value += [*plans.use[c][used].tolist(), 1.0]
    n = len(which)
    highs.addCols(
        n, np.array([plans.money[c] for c in which]), np.zeros(n), np.full(n, most), len(index),
        np.array(starts, dtype=np.int32), np.array(index, dtype=np.int32), np.array(value),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Choice:
    """A whole choice of plans [N], whether it is known to be the best of all plans made so far, and a bound on them."""

    chosen: Integers
    best_of_all: bool
    bound: float


def _choose(
    plans: _Plans, kept: Integers, n_items: int, allowed: Floats, enough: float, until: float, start: Integers
) -> _Choice:
    """Choose one of the plans ``kept`` for each item by a mixed-integer program, from the choice ``start`` on."""
    highs = _silent()
    _add_rows(highs, allowed, n_items)
    _add_columns(highs, plans, kept.tolist(), len(allowed), 1.0)
    n = len(kept)
    highs.changeColsIntegrality(n, np.arange(n, dtype=np.int32), np.full(n, 1, dtype=np.uint8))
    highs.setOptionValue("objective_target", enough)
    highs.setOptionValue("mip_rel_gap", 1e-7)
    highs.setOptionValue("time_limit", max(0.5, until - time.monotonic()))
    highs.setSolution(n_items, np.searchsorted(kept, start).astype(np.int32), np.ones(n_items))
    highs.run()
    chosen = kept[np.flatnonzero(np.array(highs.getSolution().col_value) > 0.5)]
    if len(chosen) != n_items:
        return _Choice(start, best_of_all=False, bound=-np.inf)
    chosen = chosen[np.argsort(np.array(plans.item)[chosen])]
    better = sum(plans.money[c] for c in chosen) <= sum(plans.money[c] for c in start)
    finished = highs.modelStatusToString(highs.getModelStatus()) == "Optimal"
    bound = float(highs.getInfo().mip_dual_bound)
    return _Choice(chosen if better else start, finished and n == len(plans), bound - 1e-6 * abs(bound))
