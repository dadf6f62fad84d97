"""What to order now: frames in, a decision out, with its proof, its prices and the reason of every line.

Three steps. A table of what each allowed quantity of each product-warehouse would cost (`cost_table.py`); one choice of
all of them under the limits they share (`joint_order.py`); where a lattice was too long to be laid out in single packs,
both again with the packs around what was chosen, until the step is one pack.

Letters: N product-warehouses, C options of all of them, S paths, H periods, K limits.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.domain.order_frames import INBOUND, LIMIT_PRICES, LIMITS, TRANSFERS
from shelfwise.inventory import order_report
from shelfwise.inventory.cost_table import ItemSummary, cost_table
from shelfwise.inventory.demand_source import DemandSource, demand_source
from shelfwise.inventory.joint_order import Choice, Mode, choose
from shelfwise.inventory.order_inputs import ArrayDemand, Demand, Tuning
from shelfwise.inventory.order_limits import order_limits
from shelfwise.inventory.order_options import Limit, OrderOptions
from shelfwise.inventory.order_terms import ItemTerms, arrivals, checked_frame, item_terms
from shelfwise.inventory.transfers import Moves, StockValue, best_transfers, read_lanes
from shelfwise.inventory.what_if import (
    EditedDemand,
    Edits,
    OrderThenBaseStock,
    WhatIf,
    compared,
    played_out,
    side_by_side,
    told,
    totals,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_FINE: Final = 8  # packs, or parts of a coarse step, looked at on either side of a choice
_MOST_ROUNDS: Final = 8
_CELLS_AT_ONCE: Final = 12_000_000  # path cells [n, S, H] played out at once


@dataclass(frozen=True, eq=False)
class OrderDecision:
    """What to order now of N product-warehouses, and what it rests on.

    The frames are made when they are first asked for; ``quantity`` [N] is there at once, in the order of ``ids``.

    Parameters
    ----------
    cost, bound, gap
        Expected cost of the orders and of moving stock, money; after these moves no orders from the table that keep
        the limits as well cost less than ``bound``; ``(cost - bound) / |cost|``.
    infeasible
        Which limits cannot be met, by how much and why.
    notes
        What was assumed because it was not given, and what was relaxed.
    mode
        How the joint choice was found: ``unconstrained``, ``lagrangian`` or ``exact``.
    options, summary, chosen
        The table, what the walk found about each item, and [N] the chosen rows.
    items, source, inbound, limits, lanes, tuning, seed
        What the decision was made from, for asking again with something changed.
    """

    cost: float
    bound: float
    gap: float
    infeasible: list[str]
    notes: list[str]
    mode: str
    options: OrderOptions
    summary: ItemSummary
    chosen: Integers
    choice: Choice
    terms: ItemTerms
    shared: list[Limit]
    due: Floats  # [N, H]
    due_later: Floats  # [N]
    items: Any = field(repr=False)
    source: DemandSource = field(repr=False)
    inbound: Any = field(repr=False)
    limits: Any = field(repr=False)
    lanes: Any = field(repr=False)
    tuning: Tuning = field(default_factory=Tuning)
    seed: int = 0
    moves: Moves | None = None

    def __repr__(self) -> str:
        """Name size, money and proof, not the arrays."""
        lines = int((self.quantity > 0).sum())
        return (
            f"OrderDecision({lines:,} of {len(self.quantity):,} lines ordered, spend {self.spend:,.2f}, expected cost "
            f"{self.cost:,.2f}, gap {self.gap:.3%})"
        )

    @property
    def demand(self) -> Demand:
        """Where the paths come from."""
        return self.source.demand

    @property
    def ids(self) -> pl.Series:
        """[N] the items' ids."""
        return self.terms.frame["unique_id"]

    @property
    def quantity(self) -> Floats:
        """[N] units to order now."""
        return self.options.quantity[self.chosen]

    @property
    def spend(self) -> float:
        """Money spent now."""
        return float(self.options.spend[self.chosen].sum())

    @cached_property
    def orders(self) -> pl.DataFrame:
        """One line for each item, those that save most first; columns as in ``ORDERS``."""
        return order_report.orders(self.options, self.chosen, self.summary, self.terms, self.shared, self.choice.prices,
                                   self.due, self.due_later)  # fmt: skip

    @cached_property
    def policy(self) -> pl.DataFrame:
        """Reorder point, order-up-to level, safety and cycle stock of each item."""
        return order_report.policy(self.options, self.summary, self.terms, self.due, self.due_later)

    @cached_property
    def risk(self) -> pl.DataFrame:
        """Chance, time and size of a stockout of each item, if nothing more is ordered and after the order.

        Within the protection time: ``p_stockout, lost_units, lost_margin`` if nothing is ordered, and the first two
        once more after the order; ``by_period`` the chance by each period of the horizon if nothing is ordered;
        ``severity`` the grade; ``order_can_wait_periods`` how long an order can wait and still come before the shelf is
        empty in half of the cases in which it does run out: below zero it is late already, null: it never runs out.
        """
        return order_report.risk(self.options, self.chosen, self.terms, self.demand, self.due, self.tuning.widening)

    @cached_property
    def prices(self) -> pl.DataFrame:
        """What one unit more of each limit would save; columns as in ``LIMIT_PRICES``."""
        rows = {
            "kind": [limit.kind for limit in self.shared],
            "scope": [limit.scope for limit in self.shared],
            "period": [limit.period for limit in self.shared],
            "value": [limit.value for limit in self.shared],
            "used": self.choice.used,
            "price": self.choice.prices,
        }
        return LIMIT_PRICES.check(pl.DataFrame(rows, schema={n: c.dtype for n, c in LIMIT_PRICES.columns.items()}))

    @cached_property
    def next_units(self) -> pl.DataFrame:
        """The next best packs of all items under any budget, the best use of money first."""
        return order_report.next_units(self.options, self.chosen, self.ids)

    @cached_property
    def transfers(self) -> pl.DataFrame:
        """Stock to move between warehouses now; columns as in ``TRANSFERS``."""
        if self.moves is None:
            return TRANSFERS.empty()
        return self.moves.frame(self.terms.frame["product"].to_list(), self.terms.frame["warehouse"].to_list())

    def what_if(
        self,
        *,
        demand: float | Mapping[str, float] | None = None,
        lead_time: float | Mapping[str, float] | None = None,
        budget: float | Mapping[str, float] | None = None,
        service_level: float | None = None,
        promotion: Sequence[tuple[str, float, int, int]] = (),
        price: Mapping[str, tuple[float, float]] | None = None,
        closed: float | Mapping[str, float] | None = None,
        gap: float = 1e-3,
        time_limit: float = 60.0,
    ) -> WhatIf:
        """Decide again with something changed, on the same paths, and return what that would do.

        A scope is ``all``, an item, or like ``product:beans``, ``group:Tea``, ``warehouse:North``, ``supplier:S7``.

        Parameters
        ----------
        demand
            Factor on all demand, or factors by scope.
        lead_time
            Periods more (or less), of all suppliers or by supplier.
        budget
            Money by supplier or ``all``; a number alone is a factor on the budgets there are, or where there are none
            on what this decision spends.
        service_level
            Fraction of demand to be served, in place of the service targets there are.
        promotion
            ``(scope, factor on demand, first period, last period)``, each.
        price
            By scope the factor on the price and the factor on demand that it brings; `PriceChange.with_elasticity`
            gives the latter.
        closed
            Periods from now on in which a supplier takes no orders and delivers nothing, by supplier, or of all: the
            order is placed when it opens, and what it should bring before comes then.
        gap, time_limit
            Of the new decision.

        Raises
        ------
        ParameterError
            An edit breaks its rule, or is about no item.
        DataError
            A price is to change that is not known, or lead times grow beyond the horizon.

        >>> demand = {"unique_id": ["beans"] * 6, "period": range(1, 7), "mean": [20.0] * 6}
        >>> items = {"unique_id": ["beans"], "on_hand": [25], "lead_time_periods": [1], "price": [9.0], "pack": [12]}
        >>> answer = optimise(items, demand).what_if(demand=1.5)
        >>> answer.totals.filter(pl.col("measure") == "quantity").row(0)
        ('quantity', 60.0, 84.0, 24.0)
        """
        edits = Edits.of(
            demand=demand, lead_time=lead_time, budget=budget, service_level=service_level, promotion=promotion,
            price=price, closed=closed,
        )  # fmt: skip
        table = self._scopes()
        factors = edits.demand_factors(table, self.demand.horizon)
        source = replace(self.source, demand=EditedDemand(self.demand, factors)) if (factors != 1).any() else None
        limits = LIMITS.empty() if self.limits is None else checked_frame(self.limits, LIMITS)
        asked = edits.limits(limits, self.spend)
        inbound = self.inbound
        if inbound is not None and edits.closed:
            inbound = edits.inbound(checked_frame(inbound, INBOUND), self.terms.frame)
        again = optimise(
            edits.items(self.terms.frame), source or self.source, inbound, asked if asked.height else None,
            self.lanes, gap, time_limit, seed=self.seed, tuning=self.tuning,
        )  # fmt: skip
        prices = self._prices()
        waits = edits.waits(self.terms.frame)
        base, changed = self._told(prices), again._told(prices * edits.price_factors(table), waits)
        return WhatIf(
            compared({**totals(base), "cost": self.cost}, {**totals(changed), "cost": again.cost}),
            side_by_side(self.ids, base, changed),
            again,
        )

    def _scopes(self) -> pl.DataFrame:
        """Return what scopes are looked up in: the items, and the attributes of the demand's series."""
        table = self.source.table
        if table is None:
            return self.terms.frame
        more = [name for name in table.columns if name not in self.terms.frame.columns]
        return pl.concat([self.terms.frame, table.select(more)], how="horizontal")

    def _prices(self) -> Floats:
        """Return [N] prices; where none is known, unit cost and the margin assumed."""
        known = self.terms.frame["price"].cast(pl.Float64).to_numpy()
        return np.where(np.isnan(known), self.terms.terms.unit_cost + self.terms.margin, known)

    def _told(self, prices: Floats, waits: Integers | None = None) -> pl.DataFrame:
        """Return what the orders lead to if later orders fill up to the levels that the decision counts on.

        Parameters
        ----------
        waits
            [N] periods until the first order is placed, which are within the lead times of the decision; None: none.
        """
        terms, n = self.terms.terms, len(self.quantity)
        waits = np.zeros(n, dtype=np.int64) if waits is None else waits
        lead = self.terms.lead_times
        lead = np.maximum(lead - (waits if lead.ndim == 1 else waits[:, None]), 0)
        level = self.summary.level if self.tuning.follow_on == "base_stock" else np.full(n, -1.0)
        step = max(1, _CELLS_AT_ONCE // (self.demand.n_paths * self.demand.horizon))
        parts = []
        for low in range(0, n, step):
            some = np.arange(low, min(low + step, n))
            policy = OrderThenBaseStock(
                self.quantity[some], level[some], waits[some], terms.review[some], terms.pack[some], terms.moq[some]
            )
            done = played_out(
                policy, self.demand.draw(some), on_hand=terms.on_hand[some], inbound=self.due[some],
                lead_time_periods=lead[some], unmet=self.tuning.unmet,
            )  # fmt: skip
            parts.append(told(done, self.quantity[some], terms.unit_cost[some], prices[some]))
        return pl.concat(parts)


def optimise(
    items: Any,
    demand: Any,
    inbound: Any = None,
    limits: Any = None,
    lanes: Any = None,
    gap: float = 1e-3,
    time_limit: float = 60.0,
    mode: Mode = "auto",
    seed: int = 0,
    *,
    tuning: Tuning | None = None,
    threads: int | None = None,
) -> OrderDecision:
    """Decide what to order now, so that the expected cost of holding, shortage and ordering is least.

    Parameters
    ----------
    items
        Frame with ``unique_id, on_hand, lead_time_periods`` and what else is known; see ``ITEMS``.
    demand
        A `Forecast`; or paths [N, S, H] in the order of ``items``; or a frame ``unique_id, ds`` (or ``period``)``,
        mean`` and optionally ``q0.1, q0.9``.
    inbound
        Frame ``unique_id, period, quantity`` of what is on order; period 1 starts now.
    limits
        Frame ``kind, scope, period, value``: ``budget`` (of a supplier), ``space`` (of a warehouse),
        ``supplier_min``, ``service`` (of a group).
    lanes
        Frame ``from, to, lead_time_periods, cost`` on which stock may move between warehouses.
    gap, time_limit, mode
        Of the joint choice, the table not counted: wanted proof, seconds, and ``auto``, ``lagrangian`` or ``exact``.
    seed
        Of lead times that vary and of paths drawn from a table of means.
    tuning
        What a shop's own past chose; None takes the defaults.
    threads
        Threads over chunks of items; they change nothing but the time.

    Raises
    ------
    DataError
        A frame breaks its rules, or frames do not fit each other; the message names the item.
    ParameterError
        A parameter breaks its rule.

    >>> demand = {"unique_id": ["beans"] * 6, "period": range(1, 7), "mean": [20.0] * 6}
    >>> items = {"unique_id": ["beans"], "on_hand": [25], "lead_time_periods": [1], "price": [9.0], "pack": [12]}
    >>> decision = optimise(items, demand)
    >>> decision.orders.select("unique_id", "quantity", "arrives").row(0)
    ('beans', 60.0, 2)
    """
    _check_call(gap, time_limit, seed, threads)
    source = demand_source(demand, seed=seed)
    paths = source.demand
    terms = item_terms(
        items, source.ids, source.table, source.freq, n_paths=paths.n_paths, horizon=paths.horizon, seed=seed
    )
    _check_size(source, terms)
    ids = terms.frame["unique_id"]
    due, later = arrivals(inbound, ids, paths.horizon)
    shared, space_periods = order_limits(limits, terms.frame, paths.horizon)
    tuning = Tuning() if tuning is None else tuning
    engine = _Engine(paths, due, terms, shared, space_periods, tuning, threads)
    options, summary, choice = engine.decide(gap, time_limit, mode)
    notes = [*source.notes, *terms.notes, *engine.notes(options, summary)]
    moves = None
    if lanes is not None:
        moves = engine.transfers(choice, lanes)
        notes += _idle_lanes(lanes, terms.frame)
        after = engine.after(moves)
        moved, found, chosen = after.decide(gap, time_limit, mode) if len(moves) else (options, summary, choice)
        if chosen.cost + moves.cost.sum() < choice.cost and len(chosen.unmet) <= len(choice.unmet):
            engine, options, summary, choice = after, moved, found, chosen
        else:
            if len(moves):
                notes.append("moving stock would not have lowered the cost under the limits: nothing is moved")
            moves = None
    transport = 0.0 if moves is None else float(moves.cost.sum())
    return OrderDecision(
        cost=choice.cost + transport,
        bound=choice.bound + transport,
        gap=max(choice.cost - choice.bound, 0.0) / max(abs(choice.cost + transport), 1e-12),
        infeasible=list(choice.unmet),
        notes=notes,
        mode=choice.mode,
        options=options,
        summary=summary,
        chosen=choice.rows,
        choice=choice,
        terms=engine.terms,
        shared=shared,
        due=engine.due,
        due_later=later,
        items=items,
        source=source,
        inbound=inbound,
        limits=limits,
        lanes=lanes,
        tuning=tuning,
        seed=seed,
        moves=moves,
    )


def _check_call(gap: float, time_limit: float, seed: int, threads: int | None) -> None:
    if not (np.isfinite(gap) and gap >= 0):
        raise ParameterError(f"gap must be a fraction of zero or more, got {gap}")
    if not time_limit > 0:
        raise ParameterError(f"time_limit must be above 0 seconds, got {time_limit}")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ParameterError(f"seed must be a whole number, got {seed!r}")
    if threads is not None and threads < 1:
        raise ParameterError(f"threads must be at least 1, got {threads}; leave it out for as many as there are")


def _idle_lanes(lanes: Any, items: pl.DataFrame) -> list[str]:
    """Say which warehouses of the lanes no item has, so that a misspelt one is seen."""
    known = set(items.filter(pl.col("product").is_not_null())["warehouse"].drop_nulls())
    lost = sorted({end for lane in read_lanes(lanes) for end in (lane.source, lane.target)} - known)
    if not lost:
        return []
    return [f"no item with a product is in warehouse {', '.join(lost[:5])}: lanes from and to there move nothing"]


def _check_size(source: DemandSource, terms: ItemTerms) -> None:
    if not isinstance(source.demand, ArrayDemand):
        return
    n = len(source.demand.paths)
    if n != terms.frame.height:
        raise DataError(
            f"demand has paths of {n:,} items, items has {terms.frame.height:,} rows; "
            "give them in the same order, one each"
        )


@dataclass(eq=False)
class _Engine:
    """Table, choice and refinement of one decision."""

    demand: Demand
    due: Floats
    terms: ItemTerms
    limits: Sequence[Limit]
    space_periods: tuple[int, ...]
    tuning: Tuning
    threads: int | None

    def table(
        self, rows: Integers | None = None, quantities: Sequence[Floats] | None = None
    ) -> tuple[OrderOptions, ItemSummary]:
        """Return the options of all items, or of some with given quantities."""
        return cost_table(
            self.demand, self.due, self.terms.lead_times, self.terms.terms, rows=rows,
            quantities=quantities, headroom=self._headroom(), space_periods=self.space_periods, tuning=self.tuning,
            threads=self.threads,
        )  # fmt: skip

    def _headroom(self) -> Floats | None:
        """Return [N] units that suppliers with a minimum may sell beyond the usual: the minimum itself, if need be."""
        minima = [limit for limit in self.limits if limit.kind == "supplier_min"]
        if not minima:
            return None
        room = np.zeros(len(self.due))
        for limit in minima:
            cost = np.maximum(self.terms.terms.unit_cost, 1e-9)
            room = np.where(limit.members, np.maximum(room, limit.value / cost), room)
        mean = self._mean_demand()
        return np.minimum(room, 8 * mean * self.terms.terms.review)

    def _mean_demand(self) -> Floats:
        """Return [N] mean demand per period, drawn in slices."""
        n, cells = len(self.due), self.demand.n_paths * self.demand.horizon
        step = max(1, 3_000_000 // cells)
        parts = [np.arange(low, min(low + step, n)) for low in range(0, n, step)]
        means = [self.demand.draw(part).mean(axis=(1, 2), dtype=np.float64) for part in parts]
        return np.concatenate([np.zeros(0), *means])

    def decide(self, gap: float, time_limit: float, mode: Mode) -> tuple[OrderOptions, ItemSummary, Choice]:
        """Make the table and the choice, then look closer where the lattice was coarse."""
        options, summary = self.table()
        deadline = time.monotonic() + time_limit
        choice = choose(options, self.limits, gap=gap, time_limit=time_limit, mode=mode)
        step = summary.step.copy()
        pack = self.terms.terms.pack
        for _ in range(_MOST_ROUNDS):
            coarse = np.flatnonzero(step > pack * (1 + 1e-9))
            if not len(coarse):
                break
            finer = np.maximum(np.ceil(step[coarse] / pack[coarse] / _FINE), 1) * pack[coarse]
            finer = np.where(step[coarse] / pack[coarse] <= _FINE, pack[coarse], finer)
            wanted = self._around(options, choice, coarse, step[coarse], finer)
            extra, _ = self.table(coarse, wanted)
            options = merged(options, extra, coarse)
            step[coarse] = finer
            left = max(deadline - time.monotonic(), 0.1 * time_limit)  # a plan of coarse steps is no answer
            choice = choose(options, self.limits, gap=gap, time_limit=left, mode=mode)
        return options, summary, choice

    def _around(
        self, options: OrderOptions, choice: Choice, items: Integers, step: Floats, finer: Floats
    ) -> list[Floats]:
        """Return for each item the quantities a fine step apart around the chosen and the cheapest, 0 first."""
        terms = self.terms.terms
        smallest, pack = terms.smallest, terms.pack
        largest = np.floor(np.minimum(terms.largest, 1e15) / pack + 1e-9) * pack
        cheapest = options.cheapest()
        found = []
        for i, wide, fine in zip(items.tolist(), step.tolist(), finer.tolist(), strict=True):
            reach = np.arange(-round(wide / fine), round(wide / fine) + 1) * fine
            near = [reach + options.quantity[row] for row in {int(choice.rows[i]), int(cheapest[i])}]
            quantity = np.unique(np.concatenate(near))
            quantity = quantity[(quantity >= smallest[i] - 1e-9) & (quantity <= largest[i] + 1e-9)]
            found.append(np.concatenate([[0.0], quantity[quantity > 0]]))
        return found

    def transfers(self, choice: Choice, lanes: Any) -> Moves:
        """Return the stock to move at the prices of the limits that a choice found."""
        frame = self.terms.frame
        names = frame["product"].to_list(), frame["warehouse"].to_list()
        return best_transfers(self.least_costs(choice), self.terms.terms.on_hand, self.due, *names, read_lanes(lanes))

    def after(self, moves: Moves) -> _Engine:
        """Return the same decision after moves of stock."""
        on_hand, due = moves.applied(self.terms.terms.on_hand, self.due)
        return replace(self, due=due, terms=replace(self.terms, terms=replace(self.terms.terms, on_hand=on_hand)))

    def least_costs(self, choice: Choice) -> StockValue:
        """Return what values stocks that items could have: the cost of the best order, limits at their prices."""

        def value(rows: Integers, on_hand: Floats, due: Floats) -> Floats:
            drawn, place = np.unique(rows, return_inverse=True)
            options, _ = cost_table(
                ArrayDemand(self.demand.draw(drawn)[place]), due, self.terms.lead_times[rows],
                replace(self.terms.terms.select(rows), on_hand=on_hand), space_periods=self.space_periods,
                tuning=self.tuning, threads=self.threads,
            )  # fmt: skip
            cost = options.cost.copy()
            for limit, price in zip(self.limits, choice.prices, strict=True):
                used = {"budget": options.spend, "supplier_min": -options.spend}.get(limit.kind)
                if limit.kind == "space":
                    used = options.space[:, limit.column]
                if used is not None and price > 0:
                    cost += price * used * limit.members[rows][options.item]
            return np.minimum.reduceat(cost, options.offsets[:-1]) if len(rows) else np.zeros(0)

        return value

    def notes(self, options: OrderOptions, summary: ItemSummary) -> list[str]:
        """Say what the bound covers and how far the demand reached."""
        notes = []
        coarse = summary.step > self.terms.terms.pack * (1 + 1e-9)
        if coarse.any():
            notes.append(
                f"{int(coarse.sum()):,} items have more quantities than are laid out: single packs near the chosen "
                "one, coarser steps elsewhere; the bound covers these quantities"
            )
        if self.tuning.critical_ratio_factor != 1.0 or self.tuning.widening != 1.0:
            notes.append(
                f"tuned: critical ratio x {self.tuning.critical_ratio_factor:g}, spread of demand x "
                f"{self.tuning.widening:g}; costs are those of the tuned shortage cost"
            )
        return notes


def merged(options: OrderOptions, extra: OrderOptions, items: Integers) -> OrderOptions:
    """Return the options with those of some items added, sorted by quantity; what is there twice counts once.

    >>> one = np.array([0.0, 4.0])
    >>> table = OrderOptions(np.array([0, 2]), one, one, one, one, one, np.zeros((2, 0)), np.ones(1))
    >>> more = OrderOptions(np.array([0, 2]), one / 2, one, one, one, one, np.zeros((2, 0)), np.ones(1))
    >>> merged(table, more, np.array([0])).quantity.tolist()
    [0.0, 2.0, 4.0]
    """
    owner = np.concatenate([options.item, items[extra.item]])
    quantity = np.concatenate([options.quantity, extra.quantity])
    order = np.lexsort((quantity, owner))
    owner, quantity = owner[order], quantity[order]
    tolerance = 1e-9 * np.maximum(1.0, quantity[1:])
    first = np.concatenate([[True], (owner[1:] != owner[:-1]) | (np.diff(quantity) > tolerance)])
    keep = order[first]
    columns = {
        name: np.concatenate([getattr(options, name), getattr(extra, name)])[keep]
        for name in ("quantity", "cost", "spend", "lost_units", "stockout", "space")
    }
    offsets = np.searchsorted(owner[first], np.arange(options.n_items + 1))
    return OrderOptions(offsets=offsets.astype(np.int64), demand_units=options.demand_units, **columns)
