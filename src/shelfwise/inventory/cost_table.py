"""What each quantity that could be ordered now would cost, simulated along every path of demand.

For each product-warehouse the allowed quantities (nothing, the minimum, a pack more, ...) are laid out, and the stock
is walked down every path with each of them: what is due comes in, demand is served or lost, the order arrives after
its lead time, and from the next review on a follow-on rule orders up to a level. Until the order arrives all quantities
share one walk; only from there on there is one for each. Stock is never netted against the pipeline: what was lost
while waiting is lost.

The cost of a quantity, in money and as a mean over the paths::

    sum over periods 1 .. E of [ shortage_cost x lost + holding_cost x left at the end of the period ]
    + order_cost x [quantity > 0] + order_cost x follow-on orders + run-down of the excess

E is the period before an order placed K + 1 reviews from now could arrive, ``E = (K + 1) R + L``: the last period on
which the K follow-on orders looked at act. What stands above the follow-on level by then has still to be sold. Units
above the level, y, are held on average for ``(y + u + m R) / (2 m)`` periods each (m mean demand per period, R review,
u one unit: they go one after the other, and none before the next review), and they put off the next order, whose share
of order cost and of the pack or minimum that has to be bought with it is ``g`` per unit::

    W(y) = h y (y + u + m R) / (2 m) - g y,   g = min(p, h (Q - u) / (2 m) + K0 / max(Q, m R))   [money]

with Q the lot (pack, minimum or economic order quantity, the largest), h and p the holding and shortage cost and K0
the order cost; at most `LONGEST_HELD` periods of holding are charged for a unit. It is the relative value of a cyclic
stock, the function whose minimum over Q is the economic order quantity (Zipkin, Foundations of Inventory Management,
sections 3.2 and 9.4). The follow-on level covers the demand of its own protection time with probability
``p / (p + h (R + L / 2))``: less than the critical ratio ``p / (p + h R)`` of backorders, because what is lost while
waiting need not be bought any more. A lost-sales system costs between those of backorders at p and at p / (L + 1)
(Janakiraman, Seshadri and Shanthikumar 2007, Operations Research 55); half of L is the middle. Where even a whole lot
costs more to order and to hold than the sales it would save, the follow-on rule orders nothing, and each unit left is
worth the lost sale it will save one day.

Inner loops are float32 in blocks that stay in the cache (whole units below 16 million are exact), sums float64. The
results depend on neither blocks, chunks nor threads. The file is long because table, lattice and walk share one layout.

Letters: N product-warehouses, C options of one of them, S sample paths, H periods. Period 1 starts now; index 0 here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.lot_sizing import orderable_quantity
from shelfwise.inventory.order_options import OrderOptions

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]

FOLLOW_ON: Final = ("base_stock", "none")
UNMET: Final = ("lost", "backorder")
LONGEST_HELD: Final = 104
"""Periods of holding charged at most for a unit that does not sell."""

MOST_UNITS: Final = 1e12
"""No quantity or price is beyond: its squares and sums would leave what float32 can hold."""

MOST_OPTIONS: Final = 24
"""Options of one product-warehouse; a longer lattice is looked at in coarse steps first."""

_CHUNK_CELLS: Final = 3_000_000  # path cells [n, S, H] worked on at once by a thread: 12 MB
_BLOCK_CELLS: Final = 49_152  # cells [n, C, S] of one block: a handful of float32 arrays of this size stay in cache
_ROWS: Final = 128  # rows [S] of a search that stay in the cache
_NEVER: Final = np.float32(-1e9)  # follow-on level of what is not worth ordering again
_ROLL: Final = 17  # the k-th follow-on order takes the lead time that path s - 17 k drew for the order placed now


@dataclass(frozen=True)
class Tuning:
    """What a shop's own past may choose about the decision, by `replay`; the defaults need no past.

    Parameters
    ----------
    critical_ratio_factor
        Factor on the critical ratio p / (p + h R); the shortage cost that decides is the one that gives this ratio.
    widening
        Factor on each path's distance from the mean demand; 1 takes the paths as they are.
    follow_on
        ``base_stock``: later orders fill up to a level. ``none``: there are none.
    unmet
        ``lost``: who finds nothing goes away. ``backorder``: waits, at the shortage cost for each unit and period.
    reviews_ahead
        Follow-on orders that are simulated, as far as the horizon allows.

    >>> Tuning(widening=-1.0)
    Traceback (most recent call last):
    shelfwise.domain.errors.ParameterError: widening must be zero or more, got -1.0
    """

    critical_ratio_factor: float = 1.0
    widening: float = 1.0
    follow_on: str = "base_stock"
    unmet: str = "lost"
    reviews_ahead: int = 2

    def __post_init__(self) -> None:
        if not (np.isfinite(self.critical_ratio_factor) and self.critical_ratio_factor > 0):
            raise ParameterError(f"critical_ratio_factor must be above zero, got {self.critical_ratio_factor}")
        if not (np.isfinite(self.widening) and self.widening >= 0):
            raise ParameterError(f"widening must be zero or more, got {self.widening}")
        if self.follow_on not in FOLLOW_ON:
            raise ParameterError(f"follow_on must be one of {', '.join(FOLLOW_ON)}, got {self.follow_on!r}")
        if self.unmet not in UNMET:
            raise ParameterError(f"unmet must be one of {', '.join(UNMET)}, got {self.unmet!r}")
        if self.reviews_ahead < 0:
            raise ParameterError(f"reviews_ahead must be zero or more, got {self.reviews_ahead}")


@dataclass(frozen=True, eq=False)
class OrderTerms:
    """Stock, costs and rules of N product-warehouses, each [N] and complete: no defaults here.

    ``review`` is whole periods; ``largest`` may be infinite; money per unit, holding cost per unit and period.
    """

    on_hand: Floats
    review: Integers
    pack: Floats
    moq: Floats
    largest: Floats
    unit_cost: Floats
    shortage_cost: Floats
    holding_cost: Floats
    order_cost: Floats
    volume: Floats

    def __post_init__(self) -> None:
        n = len(self.on_hand)
        for column in fields(self):
            values = getattr(self, column.name)
            if len(values) != n:
                raise ParameterError(f"{column.name} has {len(values)} numbers for {n} items; give one for each")
            bad = ~(values >= 0) if column.name == "largest" else ~(np.isfinite(values) & (values >= 0))
            beyond = (values > MOST_UNITS) & (column.name != "largest")
            if beyond.any():
                raise ParameterError(
                    f"{column.name} of {values[beyond][0]:g} (item {beyond.argmax()}) is beyond {MOST_UNITS:g}; "
                    "give it in larger units"
                )
            if bad.any():
                raise ParameterError(f"{column.name} must be zero or more, got {values[bad][0]} (item {bad.argmax()})")
        if np.any(self.pack <= 0) or np.any(self.review < 1):
            raise ParameterError("pack must be above zero units and review at least 1 period")

    def select(self, rows: Integers) -> OrderTerms:
        """Return the terms of some items."""
        return OrderTerms(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @property
    def smallest(self) -> Floats:
        """[N] the smallest quantity that can be ordered, units."""
        return orderable_quantity(self.pack, self.pack, self.moq)


class Demand(Protocol):
    """Where the paths come from: N items of S paths over H periods, drawn for some items at a time."""

    @property
    def n_paths(self) -> int:
        """Paths S."""
        ...

    @property
    def horizon(self) -> int:
        """Periods H."""
        ...

    def draw(self, rows: Integers) -> NDArray[Any]:
        """Return [n, S, H] units of the items at ``rows``."""
        ...


@dataclass(frozen=True, eq=False)
class ArrayDemand:
    """Paths [N, S, H] that are there already."""

    paths: NDArray[Any]

    @property
    def n_paths(self) -> int:
        """Paths S."""
        return int(self.paths.shape[1])

    @property
    def horizon(self) -> int:
        """Periods H."""
        return int(self.paths.shape[2])

    def draw(self, rows: Integers) -> NDArray[Any]:
        """Return [n, S, H] units."""
        if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
            return self.paths[rows[0] : rows[-1] + 1]
        return self.paths[rows]


@dataclass(frozen=True, eq=False)
class ItemSummary:
    """What the walk found about each item, [N] unless said.

    protection_quantiles, protection_chances
        [N, 3] 10th, 50th and 90th percentile of demand over the protection time, and the chance of more, units.
    protection_mean, mean_demand
        Mean demand over the protection time, and per period after the next review (units).
    level, lot
        Follow-on level at the next review (-1: nothing is ordered again) and lot, units.
    waiting_demand, waiting_lost, at_arrival
        Until the order arrives: mean demand, mean units lost, and mean stock then, units.
    last_period
        E, the last period whose cost counts.
    step
        Units between two neighbouring quantities of the first lattice; more than a pack where it is coarse.
    """

    protection_quantiles: Floats
    protection_chances: Floats
    protection_mean: Floats
    mean_demand: Floats
    level: Floats
    lot: Floats
    waiting_demand: Floats
    waiting_lost: Floats
    at_arrival: Floats
    last_period: Floats
    step: Floats

    @classmethod
    def blank(cls, n: int) -> ItemSummary:
        """Return a summary of n items to be filled."""
        wide = {"protection_quantiles", "protection_chances"}
        return cls(**{f.name: np.zeros((n, 3) if f.name in wide else n) for f in fields(cls)})

    @classmethod
    def joined(cls, parts: Sequence[ItemSummary]) -> ItemSummary:
        """Put the summaries of several chunks, in their order, into one."""
        if not parts:
            return cls.blank(0)
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})


def cost_table(
    demand: Demand,
    inbound: NDArray[Any],
    lead_times: Integers,
    terms: OrderTerms,
    *,
    rows: Integers | None = None,
    quantities: Sequence[Floats] | None = None,
    headroom: Floats | None = None,
    space_periods: Sequence[int] = (),
    tuning: Tuning | None = None,
    threads: int | None = None,
    chunk_cells: int = _CHUNK_CELLS,
) -> tuple[OrderOptions, ItemSummary]:
    """Return the options of N items with what each would cost, and a summary of each item.

    Parameters
    ----------
    demand
        Paths [N, S, H].
    inbound
        [N, H] units on the shelf from the start of each period; a follow-on order counts on what comes within its own
        protection time, not on what comes after it.
    lead_times
        [N, S] whole periods of the order placed now on each path, or [N] where they never vary.
    terms
        Stock, costs and rules.
    rows
        The items to look at; None takes all. All arrays are of all items.
    quantities
        For each of the rows the quantities to look at, rising, 0 first; None lays out the lattice.
    headroom
        [N] units beyond the usual end of the lattice, for those who must order more than pays.
    space_periods
        [P] periods (1 is now) whose stock is measured; 0 is the period in which the order arrives.
    tuning, threads, chunk_cells
        Choices; they change speed and memory, except for ``tuning``.

    >>> terms = OrderTerms(*(np.array([v]) for v in (0.0, 1, 1.0, 0.0, np.inf, 3.0, 5.0, 1.0, 0.0, 0.0)))
    >>> paths = np.tile([4.0, 4.0, 4.0], (1, 2, 1))
    >>> options, about = cost_table(ArrayDemand(paths), np.zeros((1, 3)), np.array([1]), terms)
    >>> options.quantity.tolist(), options.cost.tolist()
    ([0.0, 1.0, 2.0, 3.0, 4.0], [44.0, 38.0, 32.0, 26.0, 20.0])
    """
    tuning = Tuning() if tuning is None else tuning
    inputs = _Inputs(demand, inbound, lead_times, terms, headroom, tuple(space_periods), tuning)
    every = np.arange(len(terms.on_hand)) if rows is None else rows
    step = max(1, chunk_cells // max(1, demand.n_paths * demand.horizon))
    starts = range(0, len(every), step)

    def work(start: int) -> tuple[OrderOptions, ItemSummary]:
        part = every[start : start + step]
        return _chunk(inputs, part, None if quantities is None else quantities[start : start + step])

    workers = threads or min(4, os.cpu_count() or 1)
    if workers == 1 or len(starts) < 2:
        done = [work(start) for start in starts]
    else:
        with ThreadPoolExecutor(max_workers=workers) as pool:
            done = list(pool.map(work, starts))
    if not done:
        return _no_options(len(space_periods)), ItemSummary.blank(0)
    return OrderOptions.joined([one for one, _ in done]), ItemSummary.joined([two for _, two in done])


def _no_options(n_space: int) -> OrderOptions:
    none = np.zeros(0)
    return OrderOptions(np.zeros(1, dtype=np.int64), none, none, none, none, none, np.zeros((0, n_space)), none)


@dataclass(frozen=True, eq=False)
class _Inputs:
    """The whole call, from which each chunk takes its rows."""

    demand: Demand
    inbound: NDArray[Any]  # [N, H]
    lead_times: Integers  # [N, S] or [N]
    terms: OrderTerms
    headroom: Floats | None
    space_periods: tuple[int, ...]
    tuning: Tuning

    def __post_init__(self) -> None:
        n, horizon = len(self.terms.on_hand), self.demand.horizon
        if self.inbound.shape != (n, horizon):
            raise ParameterError(f"inbound must have the shape ({n}, {horizon}), got {self.inbound.shape}")
        if len(self.lead_times) != n:
            raise ParameterError(f"{len(self.lead_times)} lead times for {n} items; give one for each")
        longest = self.lead_times if self.lead_times.ndim == 1 else self.lead_times.max(axis=1, initial=0)
        needed = longest + self.terms.review
        if n and needed.max() > horizon:
            raise ParameterError(
                f"lead time and review of item {needed.argmax()} take {needed.max()} periods, longer than the horizon "
                f"{horizon}; forecast at least {needed.max()} periods"
            )


@dataclass(eq=False)
class _Group:
    """Items of one chunk that share review time, longest lead time and the number of follow-on orders."""

    rows: Integers  # [n] within the chunk
    asked: Singles  # [H, n, S] demand
    inbound: Singles  # [n, H]
    lead: Integers  # [n, S]
    terms: OrderTerms
    review: int
    follow_ons: int  # K
    shortage: Floats  # [n] the shortage cost that decides
    fixed: bool  # the lead time never varies
    due_at: dict[int, Singles] = field(default_factory=dict)  # what `due` has answered

    @cached_property
    def shortest(self) -> int:
        return int(self.lead.min())

    @cached_property
    def longest(self) -> int:
        return int(self.lead.max())

    def due(self, period: int) -> Singles:
        """Return [n] units on order that come within the protection time of an order placed at a period's start."""
        if period not in self.due_at:
            window = slice(period, period + self.longest + self.review)
            self.due_at[period] = np.asarray(self.inbound[:, window].sum(axis=1))
        return self.due_at[period]

    @property
    def end(self) -> int:
        """E, periods whose cost counts."""
        return (self.follow_ons + 1) * self.review + self.longest


def _chunk(inputs: _Inputs, rows: Integers, quantities: Sequence[Floats] | None) -> tuple[OrderOptions, ItemSummary]:
    """Work out the options of some items."""
    terms, n = inputs.terms.select(rows), len(rows)
    summary = ItemSummary.blank(n)
    lead = inputs.lead_times[rows]
    fixed = lead.ndim == 1
    longest = lead if fixed else lead.max(axis=1)
    reach = max(inputs.space_periods, default=0)
    wanted = np.maximum(inputs.tuning.reviews_ahead, -((longest + terms.review - reach) // terms.review))
    follow_ons = np.clip((inputs.demand.horizon - longest) // terms.review - 1, 0, wanted)
    end = (follow_ons + 1) * terms.review + longest
    if reach > end.min(initial=reach):
        item = int(end.argmin())
        needed = longest[item] - (longest[item] - reach) // terms.review[item] * terms.review[item]
        raise ParameterError(
            f"space is asked for in period {reach}, but of item {rows[item]} only {end[item]} periods can be walked; "
            f"forecast at least {needed} periods"
        )
    paths = inputs.demand.draw(rows)
    asked = np.ascontiguousarray(np.moveaxis(paths, 2, 0), dtype=np.float32)  # [H, n, S]
    if inputs.tuning.widening != 1.0:
        middle = asked.mean(axis=2, keepdims=True)
        asked = np.maximum(middle + np.float32(inputs.tuning.widening) * (asked - middle), np.float32(0))
    shortage = _deciding_shortage_cost(terms, inputs.tuning)
    found: list[tuple[Integers, _Answers]] = []
    for members in _alike(terms.review, longest, follow_ons):
        one = members[0]
        whole = len(members) == n
        group = _Group(
            rows=members,
            asked=asked if whole else asked[:, members],
            inbound=inputs.inbound[rows[members]].astype(np.float32),
            lead=(np.broadcast_to(lead[:, None], (n, paths.shape[1])) if fixed else lead)[members],
            terms=terms.select(members),
            review=int(terms.review[one]),
            follow_ons=int(follow_ons[one]),
            shortage=shortage[members],
            fixed=fixed or bool((lead[members] == longest[one]).all()),
        )
        given = None if quantities is None else [quantities[i] for i in members]
        extra = np.zeros(len(members)) if inputs.headroom is None else inputs.headroom[rows[members]]
        for part, answers in _work_group(group, given, extra, inputs, summary):
            found.append((members[part], answers))
    return _laid_out(found, terms, summary, len(inputs.space_periods)), summary


def _deciding_shortage_cost(terms: OrderTerms, tuning: Tuning) -> Floats:
    """Return the shortage cost [n] whose critical ratio is the tuned one."""
    if tuning.critical_ratio_factor == 1.0:
        return terms.shortage_cost
    holding = terms.holding_cost * terms.review
    ratio = terms.shortage_cost / np.maximum(terms.shortage_cost + holding, 1e-12)
    ratio = np.minimum(ratio * tuning.critical_ratio_factor, 0.995)
    return np.where(holding > 0, holding * ratio / (1 - ratio), terms.shortage_cost)


def _alike(*keys: Integers) -> Iterator[Integers]:
    """Yield the positions of items that agree in all keys."""
    order = np.lexsort(keys)
    if not len(order):
        return
    changed = np.zeros(len(order) - 1, dtype=np.bool_)
    for key in keys:
        changed |= key[order][1:] != key[order][:-1]
    for part in np.split(order, np.flatnonzero(changed) + 1):
        yield np.sort(part)


@dataclass(eq=False)
class _Answers:
    """The options of a few items: [n, C] each, of which the first ``counts`` [n] are real."""

    counts: Integers
    quantity: Floats
    cost: Floats
    lost_units: Floats
    stockout: Floats
    space: Floats  # [n, C, P] units
    demand_units: Floats  # [n]


def _laid_out(
    found: list[tuple[Integers, _Answers]], terms: OrderTerms, summary: ItemSummary, n_space: int
) -> OrderOptions:
    """Put the blocks' answers, which came in any order of items, into one flat table."""
    n = len(terms.on_hand)
    counts, asked_for = np.zeros(n, dtype=np.int64), np.zeros(n)
    for items, answers in found:
        counts[items] = answers.counts
        asked_for[items] = answers.demand_units
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    columns = {name: np.zeros(offsets[-1]) for name in ("quantity", "cost", "lost_units", "stockout")}
    space = np.zeros((offsets[-1], n_space))
    for items, answers in found:
        width = answers.quantity.shape[1]
        real = np.arange(width) < answers.counts[:, None]  # [n, C]
        target = (offsets[items][:, None] + np.arange(width))[real]
        for name, column in columns.items():
            column[target] = getattr(answers, name)[real]
        if n_space:
            space[target] = answers.space[real] * np.repeat(terms.volume[items], answers.counts)[:, None]
    unit_cost = np.repeat(terms.unit_cost, counts)
    return OrderOptions(
        offsets=offsets,
        quantity=columns["quantity"],
        cost=columns["cost"],
        spend=columns["quantity"] * unit_cost,
        lost_units=columns["lost_units"],
        stockout=columns["stockout"],
        space=space,
        demand_units=asked_for,
    )


# ---------------------------------------------------------------------- what is shared by all options of an item


@dataclass(eq=False)
class _Before:
    """Where every path stands when the first order can arrive, and what it cost until then; [n, S] unless said."""

    stock: Singles
    held: Singles  # units x periods
    short: Singles  # units lost (backorder: units x periods)
    positions: list[Singles]  # at the reviews before the arrival: on hand and due, the order placed now left out
    lost: Singles  # units lost, whichever way they are paid for


def _walk_to_arrival(group: _Group, backorder: bool) -> _Before:
    """Walk the stock of all paths until the first of them may see the order."""
    n, s = group.lead.shape
    stock = np.repeat(group.terms.on_hand.astype(np.float32)[:, None], s, axis=1)
    held, short, lost = np.zeros((3, n, s), dtype=np.float32)
    positions = []
    for period in range(group.shortest):
        if _is_review(group, period):
            positions.append(stock + group.due(period)[:, None])
        stock += group.inbound[:, period, None]
        stock -= group.asked[period]
        below = np.maximum(-stock, 0)
        if backorder:
            lost += np.minimum(below, group.asked[period])  # newly short in this period
            short += below
            held += np.maximum(stock, 0)
        else:
            np.maximum(stock, 0, out=stock)
            lost += below
            short += below
            held += stock
    return _Before(stock, held, short, positions, lost)


def _is_review(group: _Group, period: int) -> bool:
    """Say whether a simulated follow-on order, or the look at what is left, falls on the start of this period."""
    return period > 0 and period % group.review == 0 and period // group.review <= group.follow_ons + 1


@dataclass(eq=False)
class _Rule:
    """The follow-on rule of a group: levels [K + 1, n] by review, lot and pack [n], and the run-down's terms [n]."""

    levels: Singles
    lot: Singles
    pack: Singles
    plain: bool  # orders are the gap itself
    off: bool  # there are none; what is on the shelf at the end runs down
    base: Singles  # [n] level above which stock is excess at the last look
    square: Singles
    linear: Singles
    most: Singles


def _follow_on_rule(group: _Group, tuning: Tuning) -> tuple[_Rule, Floats, Singles]:
    """Return the rule, the mean demand per period [n] behind it, and demand over the protection time [n, S]."""
    terms, review, looks = group.terms, group.review, group.follow_ons + 1
    horizon = group.asked.shape[0]
    running = np.zeros((horizon + 1, *group.lead.shape), dtype=np.float32)  # [H + 1, n, S]
    np.cumsum(group.asked, axis=0, out=running[1:])
    now = _window(running, np.zeros_like(group.lead), group.lead + review, group.fixed)
    from_there = min(looks * review, horizon - review)
    mean = (running[-1] - running[from_there]).mean(axis=1, dtype=np.float64) / (horizon - from_there)  # [n]
    safe = np.maximum(mean, 1e-9)
    unit = np.minimum(terms.pack, 1.0)
    holding, shortage = terms.holding_cost, group.shortage
    economic = np.sqrt(2 * safe * terms.order_cost / np.maximum(holding, 1e-12))
    economic = np.minimum(economic, safe * LONGEST_HELD)
    lot = np.maximum(orderable_quantity(np.maximum(economic, unit), terms.pack, terms.moq), terms.pack)  # [n] Q
    per_unit = terms.order_cost / lot + holding * np.maximum(lot + unit - mean, 0) / (2 * safe)
    off = tuning.follow_on == "none"
    never = (mean <= 1e-9) | off
    if tuning.unmet == "lost":  # what waits must be bought one day, whatever it costs; what is lost need not
        never |= per_unit >= shortage
    waiting = group.lead.mean(axis=1) / 2 if tuning.unmet == "lost" else 0.0
    ratio = shortage / np.maximum(shortage + holding * (review + waiting), 1e-12)
    levels = np.empty((looks, len(mean)), dtype=np.float32)
    for look in range(looks):
        lead = group.lead if group.fixed else np.roll(group.lead, _ROLL * (look + 1), axis=1)
        length = lead + review
        start = np.minimum((look + 1) * review, horizon - length)
        ahead = _window(running, start, start + length, group.fixed)
        levels[look] = np.where(never, _NEVER, _level(ahead, ratio, lot, unit))
    share = holding * (lot - unit) / (2 * safe) + terms.order_cost / np.maximum(lot, mean * review)
    credit = np.minimum(shortage, share)
    credit = np.where(never, 0.0 if off else shortage, credit)
    square = holding / (2 * safe)
    linear = holding * (unit + (-mean if off else mean * review)) / (2 * safe) - credit
    rule = _Rule(
        levels=levels,
        lot=lot.astype(np.float32),
        pack=terms.pack.astype(np.float32),
        plain=bool((lot <= unit).all() and (terms.pack == 1).all()),
        off=off,
        base=np.maximum(levels[-1], 0),
        square=square.astype(np.float32),
        linear=linear.astype(np.float32),
        most=(holding * LONGEST_HELD).astype(np.float32),
    )
    return rule, mean, now


def _window(running: Singles, start: Integers, stop: Integers, fixed: bool) -> Singles:
    """Return demand from index ``start`` up to ``stop`` [n, S] on each path, from the running sums [H + 1, n, S]."""
    if fixed:
        return np.asarray(running[stop.flat[0]] - running[start.flat[0]])
    upper = np.take_along_axis(running, stop[None], axis=0)[0]
    return np.asarray(upper - np.take_along_axis(running, start[None], axis=0)[0])


def _level(demand: Singles, ratio: Floats, lot: Floats, unit: Floats) -> Floats:
    """Return the level [n] at or above which a position is filled up in lots, from the demand [n, S] it has to cover.

    After an order the position lies anywhere from the level to a lot above it, less a unit. The level makes the mean
    chance of covering the demand, over those positions, the critical ratio: ``mean F(y) = ratio``; with lots of one
    unit it is the quantile. Source: Zheng 1992, Management Science 38, on (r, Q) policies.
    """
    ordered = np.sort(demand, axis=1)
    s = demand.shape[1]
    rank = np.clip(np.ceil(ratio * s - 1e-9).astype(np.int64) - 1, 0, s - 1)
    level = np.take_along_axis(ordered, rank[:, None], axis=1)[:, 0].astype(np.float64)
    wide = np.flatnonzero(lot > unit)
    for start in range(0, len(wide), _ROWS):
        rows = wide[start : start + _ROWS]
        some, reach = ordered[rows].astype(np.float64), lot[rows]
        low, high = np.maximum(level[rows] - reach, 0), level[rows].copy()
        for _ in range(16):
            middle = (low + high) / 2
            short = middle[:, None] - some
            covered = np.maximum(short + reach[:, None], 0)
            covered -= np.maximum(short, 0, out=short)
            enough = covered.mean(axis=1) >= ratio[rows] * reach
            high, low = np.where(enough, middle, high), np.where(enough, low, middle)
        level[rows] = high
    return np.ceil(level - 1e-3)


@dataclass(eq=False)
class _Lattice:
    """The quantities of n items above nothing: the first, packs between two, how many; or those that were given."""

    smallest: Floats
    pack: Floats
    stride: Floats  # packs
    steps: Floats  # quantities above nothing, were they all laid out
    counts: Integers  # quantities laid out, nothing among them
    given: list[Floats] | None = None

    def quantities(self, items: Integers) -> Floats:
        """Return [n, C] quantities of some items; those with fewer than the widest repeat their last."""
        width = int(self.counts[items].max())
        if self.given is not None:
            found = np.empty((len(items), width))
            for place, item in enumerate(items.tolist()):
                one = self.given[item]
                found[place, : len(one)] = one
                found[place, len(one) :] = one[-1]
            return found
        packs = np.minimum(np.arange(width - 1) * self.stride[items, None], self.steps[items, None] - 1)
        above = np.maximum(packs, 0) * self.pack[items, None] + self.smallest[items, None]
        above[self.steps[items] == 0] = 0.0
        return np.concatenate([np.zeros((len(items), 1)), above], axis=1)


def _lattice(group: _Group, needed: Floats, extra: Floats, rule: _Rule) -> _Lattice:
    """Lay out the quantities of each item: up to what any path could use, a lot more where lots are wide."""
    terms = group.terms
    smallest = terms.smallest
    lots = np.where(rule.lot > terms.pack, rule.lot.astype(np.float64), 0.0)
    most = orderable_quantity(needed + np.where(needed > 0, lots, 0.0) + extra, terms.pack, terms.moq)
    most = np.minimum(most, np.floor(terms.largest / terms.pack + 1e-9) * terms.pack)
    steps = np.where(most >= smallest - 1e-9, np.floor((most - smallest) / terms.pack + 1e-6) + 1, 0)
    stride = np.maximum(np.ceil((steps - 1) / (MOST_OPTIONS - 2)), 1)
    counts = 1 + np.where(steps > 0, np.ceil((steps - 1) / stride) + 1, 0).astype(np.int64)
    return _Lattice(smallest, terms.pack, stride, steps, counts)


def _work_group(
    group: _Group, given: list[Floats] | None, extra: Floats, inputs: _Inputs, summary: ItemSummary
) -> Iterator[tuple[Integers, _Answers]]:
    """Yield the answers of a group's items block by block, with their positions in the group."""
    tuning = inputs.tuning
    before = _walk_to_arrival(group, tuning.unmet == "backorder")
    rule, mean, protection = _follow_on_rule(group, tuning)
    first = slice(group.shortest, group.longest + group.review)
    coming = group.inbound[:, first].sum(axis=1)[:, None]
    until = group.asked[first].sum(axis=0)
    needed = np.max(until - before.stock - (coming if group.fixed else 0), axis=1, initial=0).astype(np.float64)
    lattice = _lattice(group, needed, extra, rule)
    if given is not None:
        lattice.given, lattice.counts = given, np.array([len(one) for one in given], dtype=np.int64)
    _summarise(group, before, rule, mean, protection, lattice, summary)
    order = np.argsort(lattice.counts, kind="stable")
    for part in _blocks(order, lattice.counts[order] * group.lead.shape[1]):
        quantity = lattice.quantities(part)
        yield part, _walk_options(group, part, before, rule, quantity, lattice.counts[part], protection, inputs)


def _blocks(order: Integers, cells: Integers) -> Iterator[Integers]:
    """Cut items, given from the narrowest to the widest with their cells, into blocks that fill the cache."""
    start = 0
    while start < len(order):
        some = cells[start : start + max(1, _BLOCK_CELLS // int(cells[start]))]
        filled = np.arange(1, len(some) + 1) * some
        stop = start + max(1, int(np.searchsorted(filled, _BLOCK_CELLS, side="right")))
        yield order[start:stop]
        start = stop


def _summarise(
    group: _Group,
    before: _Before,
    rule: _Rule,
    mean: Floats,
    protection: Singles,
    lattice: _Lattice,
    summary: ItemSummary,
) -> None:
    """Write what is known of a group's items into the chunk's summary."""
    rows, s = group.rows, protection.shape[1]
    ordered = np.sort(protection, axis=1)
    for column, level in enumerate((0.1, 0.5, 0.9)):
        value = ordered[:, max(int(np.ceil(level * s - 1e-9)) - 1, 0)]
        summary.protection_quantiles[rows, column] = value
        summary.protection_chances[rows, column] = (protection > value[:, None]).mean(axis=1)
    summary.protection_mean[rows] = protection.mean(axis=1, dtype=np.float64)
    summary.mean_demand[rows] = mean
    summary.level[rows] = np.where(rule.levels[0] > _NEVER, rule.levels[0], -1.0)
    summary.lot[rows] = rule.lot
    summary.waiting_demand[rows] = group.asked[: group.shortest].sum(axis=0).mean(axis=1, dtype=np.float64)
    summary.waiting_lost[rows] = before.lost.mean(axis=1, dtype=np.float64)
    summary.at_arrival[rows] = before.stock.mean(axis=1, dtype=np.float64)
    summary.last_period[rows] = group.end
    summary.step[rows] = lattice.stride * lattice.pack


# ---------------------------------------------------------------------- the walk of every option


@dataclass(eq=False)
class _Orders:
    """Follow-on orders of one review: when they arrive [n, S] (or one number for all) and their units [n, C, S]."""

    arrives: Integers | int
    units: Singles

    def at(self, period: int) -> Singles | None:
        """Return what arrives at the start of a period, None where nothing can."""
        if isinstance(self.arrives, int):
            return self.units if self.arrives == period else None
        here = self.arrives == period
        return self.units * here[:, None, :] if here.any() else None

    def still_due(self, period: int) -> Singles | None:
        """Return what has not arrived before the start of a period."""
        if isinstance(self.arrives, int):
            return self.units if self.arrives >= period else None
        late = self.arrives >= period
        return self.units * late[:, None, :] if late.any() else None


def _walk_options(
    group: _Group,
    part: Integers,
    before: _Before,
    rule: _Rule,
    quantity: Floats,
    counts: Integers,
    protection: Singles,
    inputs: _Inputs,
) -> _Answers:
    """Walk the stock of a few items' options along every path from the arrival on."""
    walk = _Walk(group, part, before, rule, quantity.astype(np.float32), inputs.tuning.unmet == "backorder")
    space = np.zeros((*quantity.shape, len(inputs.space_periods)))
    at = [period - 1 if period else None for period in inputs.space_periods]
    own = np.minimum(np.rint(group.lead[part].mean(axis=1)).astype(np.int64), group.end - 1)  # the order's own period
    for period in range(group.end):
        wanted = [
            (column, np.arange(len(part)) if when is not None else np.flatnonzero(own == period))
            for column, when in enumerate(at)
            if when == period or (when is None and (own == period).any())
        ]
        if period < group.shortest:
            if wanted:
                shelf = walk.shelf_before(period)
                for column, items in wanted:
                    space[items, :, column] = shelf[items, None]
            continue
        walk.step(period, wanted, space)
    return walk.answers(quantity, counts, protection[part], space)


class _Walk:
    """The state of a block: stock of n items x C options x S paths, and what it has cost so far."""

    def __init__(
        self, group: _Group, part: Integers, before: _Before, rule: _Rule, quantity: Singles, backorder: bool
    ) -> None:
        whole = len(part) == len(group.lead) and bool((part[1:] > part[:-1]).all())
        self.group, self.part, self.rule, self.backorder = group, part, rule, backorder
        self.quantity = quantity[:, :, None]  # [n, C, 1]
        self.asked = group.asked[: group.end] if whole else group.asked[: group.end, part]  # [E, n, S]
        self.inbound, self.lead = group.inbound[part], group.lead[part]
        self.terms = group.terms.select(part)
        shape = (len(part), quantity.shape[1], self.lead.shape[1])
        self.start = before.stock[part]  # [n, S]
        self.before = before
        self.stock = np.empty(shape, dtype=np.float32)
        self.stock[:] = self.start[:, None, :]
        self.held = np.zeros(shape, dtype=np.float32)
        self.short = np.zeros(shape, dtype=np.float32) if backorder else None
        self.lost_in_time = np.zeros(shape, dtype=np.float32)  # within the protection time
        self.orders: list[_Orders] = []
        self.order_count = np.zeros(shape[:2])  # follow-on orders, mean over the paths
        self.count_orders = bool((self.terms.order_cost > 0).any())
        self.run_down = np.zeros(shape[:2])
        self.spare = np.empty(shape, dtype=np.float32)
        for look, shelf_and_due in enumerate(before.positions):
            position = shelf_and_due[part][:, None, :] + self.quantity
            for order in self.orders:  # none of them has arrived yet
                position += order.units
            self._review(look + 1, position)

    def shelf_before(self, period: int) -> Floats:
        """Return [n] mean units on the shelf at the start of a period before the arrival, walked again."""
        stock = np.repeat(self.terms.on_hand.astype(np.float32)[:, None], self.lead.shape[1], axis=1)
        for h in range(period + 1):
            stock += self.inbound[:, h, None]
            if h < period:
                stock -= self.asked[h]
                if not self.backorder:
                    np.maximum(stock, 0, out=stock)
        return np.asarray(np.maximum(stock, 0).mean(axis=1, dtype=np.float64))

    def step(self, period: int, wanted: list[tuple[int, Integers]], space: Floats) -> None:
        """Go through one period: review, arrivals, demand, what is left."""
        if _is_review(self.group, period):
            self._review(period // self.group.review, self._position(period))
        self._arrive(period)
        for column, items in wanted:
            space[items, :, column] = np.maximum(self.stock[items], 0).astype(np.float64).mean(axis=2)
        asked = self.asked[period][:, None, :]  # [n, 1, S]
        self.stock -= asked
        in_time = period < self.group.longest + self.group.review
        if self.short is not None or in_time:
            self._run_short(period, asked, in_time)
        if self.short is not None:
            self.held += np.maximum(self.stock, 0, out=self.spare)
        else:
            np.maximum(self.stock, 0, out=self.stock)
            self.held += self.stock

    def _arrive(self, period: int) -> None:
        """Put on the shelf what comes at the start of a period."""
        if not self.group.fixed:
            here = self.lead == period
            if here.any():
                self.stock += self.quantity * here[:, None, :]
        elif period == self.group.longest:
            self.stock += self.quantity
        for order in self.orders:
            units = order.at(period)
            if units is not None:
                self.stock += units
        arriving = self.inbound[:, period]
        if arriving.any():
            self.stock += arriving[:, None, None]

    def _run_short(self, period: int, asked: Singles, in_time: bool) -> None:
        """Count the units that were asked for and not there."""
        below = np.negative(self.stock, out=self.spare)
        np.maximum(below, 0, out=below)
        if self.short is not None:
            self.short += below
            np.minimum(below, asked, out=below)  # those of this period alone
        if in_time:
            if not self.group.fixed:
                below *= (period < self.lead + self.group.review)[:, None, :]
            self.lost_in_time += below

    def _position(self, period: int) -> Singles:
        """Return on hand and due at the start of a period, before anything arrives in it."""
        position: Singles = self.stock + self.group.due(period)[self.part, None, None]
        if self.group.fixed:
            if self.group.longest >= period:
                position += self.quantity
        else:
            position += self.quantity * (self.lead >= period)[:, None, :]
        for order in self.orders:
            units = order.still_due(period)
            if units is not None:
                position += units
        return position

    def _review(self, look: int, position: Singles) -> None:
        """Order what the follow-on rule says; at the last look, charge the run-down of the excess instead."""
        rule, part, group = self.rule, self.part, self.group
        if rule.off:
            return
        gap = rule.levels[look - 1][part][:, None, None] - position
        if rule.plain:
            units = np.ceil(np.maximum(gap, 0, out=gap) - np.float32(1e-3), out=gap)
        else:
            pack = rule.pack[part][:, None, None]
            none = gap <= np.float32(1e-3)
            units = np.maximum(gap, rule.lot[part][:, None, None], out=gap)
            units /= pack
            units -= np.float32(1e-3)
            np.ceil(units, out=units)
            units *= pack
            np.copyto(units, np.float32(0), where=none)
        if self.count_orders:
            self.order_count += (units > 0).mean(axis=2)
        if look <= group.follow_ons:
            lead = group.longest if group.fixed else np.roll(self.lead, _ROLL * look, axis=1)
            self.orders.append(_Orders(look * group.review + lead, units))
            return
        units += position
        units -= rule.base[part][:, None, None]
        self.run_down = self._charge(np.maximum(units, 0, out=units))

    def _charge(self, excess: Singles) -> Floats:
        """Return the mean run-down [n, C] of units above the level [n, C, S], money."""
        square = self.rule.square[self.part][:, None, None]
        linear = self.rule.linear[self.part][:, None, None]
        most = self.rule.most[self.part][:, None, None]
        charge = (square * excess + linear) * excess
        np.minimum(charge, most * excess, out=charge)
        return np.asarray(charge.astype(np.float64).mean(axis=2))

    def answers(self, quantity: Floats, counts: Integers, protection: Singles, space: Floats) -> _Answers:
        """Return the means over the paths, float64."""
        group, part, terms, before = self.group, self.part, self.terms, self.before
        if _is_review(group, group.end):  # no lead time: the last look falls on the end itself
            self._review(group.follow_ons + 1, self._position(group.end))
        if self.rule.off:
            self.run_down = self._charge(np.maximum(self.stock, 0))
        n_paths = self.lead.shape[1]
        held = self.held.astype(np.float64).sum(axis=2) + before.held[part].sum(axis=1, dtype=np.float64)[:, None]
        if self.short is not None:
            short = self.short.astype(np.float64).sum(axis=2)
        else:  # what was asked for and did not leave the shelf
            came = self.quantity + self.inbound[:, group.shortest : group.end].sum(axis=1)[:, None, None]
            for order in self.orders:
                came = came + order.units
            asked = self.asked[group.shortest :].sum(axis=0) - self.start  # [n, S]
            short = np.maximum(self.stock - came + asked[:, None, :], 0).astype(np.float64).sum(axis=2)
        short += before.short[part].sum(axis=1, dtype=np.float64)[:, None]
        lost = self.lost_in_time
        lost += before.lost[part][:, None, :]
        cost = (
            terms.holding_cost[:, None] * held / n_paths
            + group.shortage[part][:, None] * short / n_paths
            + terms.order_cost[:, None] * ((quantity > 0) + self.order_count)
            + self.run_down
        )
        return _Answers(
            counts=counts,
            quantity=quantity,
            cost=cost,
            lost_units=lost.astype(np.float64).sum(axis=2) / n_paths,
            stockout=(lost > np.float32(1e-3)).mean(axis=2),
            space=space,
            demand_units=protection.mean(axis=1, dtype=np.float64),
        )
