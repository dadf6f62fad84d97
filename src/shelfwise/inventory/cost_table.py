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
which the K follow-on orders looked at act (`follow_on_rule.py` has their levels and the run-down, `option_walk.py` the
walk). The results depend on neither blocks, chunks nor threads.

Letters: N product-warehouses, C options of one of them, S sample paths, H periods. Period 1 starts now; index 0 here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.follow_on_rule import NEVER, FollowOnRule, follow_on_rule
from shelfwise.inventory.item_group import BeforeArrival, ItemGroup, walk_to_arrival
from shelfwise.inventory.option_walk import Answers, walk_options
from shelfwise.inventory.order_inputs import Demand, OrderTerms, Tuning
from shelfwise.inventory.order_options import OrderOptions
from shelfwise.inventory.quantity_lattice import QuantityLattice, quantity_lattice

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]

_CHUNK_CELLS: Final = 3_000_000  # path cells [n, S, H] worked on at once by a thread: 12 MB
_BLOCK_CELLS: Final = 49_152  # cells [n, C, S] of one block: a handful of float32 arrays of this size stay in cache


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

    >>> from shelfwise.inventory.order_inputs import ArrayDemand
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
    found: list[tuple[Integers, Answers]] = []
    for members in _alike(terms.review, longest, follow_ons):
        one = members[0]
        whole = len(members) == n
        group = ItemGroup(
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


def _laid_out(
    found: list[tuple[Integers, Answers]], terms: OrderTerms, summary: ItemSummary, n_space: int
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


def _work_group(
    group: ItemGroup, given: list[Floats] | None, extra: Floats, inputs: _Inputs, summary: ItemSummary
) -> Iterator[tuple[Integers, Answers]]:
    """Yield the answers of a group's items block by block, with their positions in the group."""
    tuning = inputs.tuning
    backorder = tuning.unmet == "backorder"
    before = walk_to_arrival(group, backorder)
    rule, mean, protection = follow_on_rule(group, tuning)
    first = slice(group.shortest, group.longest + group.review)
    coming = group.inbound[:, first].sum(axis=1)[:, None]
    until = group.asked[first].sum(axis=0)
    needed = np.max(until - before.stock - (coming if group.fixed else 0), axis=1, initial=0).astype(np.float64)
    lattice = quantity_lattice(group, needed, extra, rule)
    if given is not None:
        lattice.given, lattice.counts = given, np.array([len(one) for one in given], dtype=np.int64)
    _summarise(group, before, rule, mean, protection, lattice, summary)
    order = np.argsort(lattice.counts, kind="stable")
    for part in _blocks(order, lattice.counts[order] * group.lead.shape[1]):
        quantity = lattice.quantities(part)
        yield part, walk_options(
            group, part, before, rule, quantity, lattice.counts[part], protection,
            space_periods=inputs.space_periods, backorder=backorder,
        )  # fmt: skip


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
    group: ItemGroup,
    before: BeforeArrival,
    rule: FollowOnRule,
    mean: Floats,
    protection: Singles,
    lattice: QuantityLattice,
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
    summary.level[rows] = np.where(rule.levels[0] > NEVER, rule.levels[0], -1.0)
    summary.lot[rows] = rule.lot
    summary.waiting_demand[rows] = group.asked[: group.shortest].sum(axis=0).mean(axis=1, dtype=np.float64)
    summary.waiting_lost[rows] = before.lost.mean(axis=1, dtype=np.float64)
    summary.at_arrival[rows] = before.stock.mean(axis=1, dtype=np.float64)
    summary.last_period[rows] = group.end
    summary.step[rows] = lattice.stride * lattice.pack
