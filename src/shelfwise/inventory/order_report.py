"""The frames of an order decision: every quantity with its reason and its arithmetic, policies, risk, the next units.

Letters: N product-warehouses, C options of all of them, S paths, H periods.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.domain.order_frames import NEXT_UNITS, ORDERS, STOCK_POLICIES
from shelfwise.inventory.cost_table import ItemSummary
from shelfwise.inventory.lead_time_demand import series_slices
from shelfwise.inventory.order_inputs import Demand
from shelfwise.inventory.order_options import Limit, OrderOptions
from shelfwise.inventory.order_terms import ItemTerms
from shelfwise.inventory.stockout_risk import severity, stockout_risk

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def orders(
    options: OrderOptions,
    chosen: Integers,
    summary: ItemSummary,
    items: ItemTerms,
    limits: Sequence[Limit],
    prices: Floats,
    due: Floats,
    due_later: Floats,
) -> pl.DataFrame:
    """Return one line for each item, those that save most first."""
    nothing, free = options.offsets[:-1], options.cheapest()
    quantity, wanted = options.quantity[chosen], options.quantity[free]
    saving = options.cost[nothing] - options.cost[chosen]
    before = np.maximum(chosen - 1, nothing)
    money = options.spend[chosen] - options.spend[before]
    marginal = np.where(
        money > 0, (options.cost[before] - options.cost[chosen]) / np.where(money > 0, money, 1.0), np.nan
    )
    arrives = np.ceil(items.lead_mean - 1e-9).astype(np.int64) + 1
    cutters = _cutters(quantity, wanted, limits, prices)
    lines = _Lines(options, chosen, summary, items, due, due_later, wanted, cutters)
    frame = pl.DataFrame(
        {
            "unique_id": items.frame["unique_id"],
            "supplier": items.frame["supplier"],
            "quantity": quantity,
            "arrives": arrives,
            "spend": options.spend[chosen],
            "unconstrained": wanted,
            "cost": options.cost[chosen],
            "saving": saving,
            "marginal_value": pl.Series(marginal).fill_nan(None),
            "minimum_stock": summary.protection_quantiles[:, 0],
            "regular_stock": summary.protection_quantiles[:, 1],
            "protected_stock": summary.protection_quantiles[:, 2],
            "minimum_stockout": summary.protection_chances[:, 0],
            "regular_stockout": summary.protection_chances[:, 1],
            "protected_stockout": summary.protection_chances[:, 2],
            "stockout": options.stockout[chosen],
            "reason": [lines.reason(i) for i in range(len(quantity))],
            "arithmetic": [lines.arithmetic(i) for i in range(len(quantity))],
        }
    )
    return ORDERS.check(frame.sort(["saving", "unique_id"], descending=[True, False]))


def _cutters(quantity: Floats, wanted: Floats, limits: Sequence[Limit], prices: Floats) -> list[list[str]]:
    """Return for each item the names of the limits that made its quantity another than it would be by itself."""
    found: list[list[str]] = [[] for _ in range(len(quantity))]
    for limit, price in zip(limits, prices, strict=True):
        more = limit.kind in ("supplier_min", "service")
        moved = limit.members & ((quantity > wanted + 1e-9) if more else (quantity < wanted - 1e-9))
        if limit.kind == "supplier_min":  # below its minimum a supplier's lines are dropped, at no price
            moved |= limit.members & (quantity < wanted - 1e-9)
        elif price <= 0:
            continue
        for item in np.flatnonzero(moved).tolist():
            found[item].append(limit.name)
    return found


class _Lines:
    """The words of each line."""

    def __init__(
        self,
        options: OrderOptions,
        chosen: Integers,
        summary: ItemSummary,
        items: ItemTerms,
        due: Floats,
        due_later: Floats,
        wanted: Floats,
        cutters: list[list[str]],
    ) -> None:
        terms = items.terms
        nothing = options.offsets[:-1]
        lead = np.rint(items.lead_mean).astype(np.int64)
        self.periods = (lead + terms.review).tolist()
        self.lead = lead.tolist()
        self.quantity, self.wanted = options.quantity[chosen].tolist(), wanted.tolist()
        self.spend, self.cost = options.spend[chosen].tolist(), options.cost[chosen].tolist()
        self.cost_of_nothing = options.cost[nothing].tolist()
        self.stockout, self.stockout_of_nothing = options.stockout[chosen].tolist(), options.stockout[nothing].tolist()
        self.lost, self.lost_of_nothing = options.lost_units[chosen].tolist(), options.lost_units[nothing].tolist()
        self.low, self.middle, self.high = (summary.protection_quantiles[:, k].tolist() for k in range(3))
        self.mean, self.at_arrival = summary.protection_mean.tolist(), summary.at_arrival.tolist()
        self.mean_demand = summary.mean_demand.tolist()
        self.on_hand = terms.on_hand.tolist()
        inside = np.arange(due.shape[1]) < (lead + terms.review)[:, None]
        self.due = (due * inside).sum(axis=1).tolist()
        self.later = (due.sum(axis=1) + due_later - (due * inside).sum(axis=1)).tolist()
        self.pack, self.smallest, self.moq = terms.pack.tolist(), terms.smallest.tolist(), terms.moq.tolist()
        self.largest, self.order_cost = terms.largest.tolist(), terms.order_cost.tolist()
        ordering = options.cost.copy()
        ordering[nothing] = np.inf
        self.cost_of_ordering = np.minimum.reduceat(ordering, nothing).tolist()  # the cheapest quantity above 0
        self.cutters = cutters

    def reason(self, i: int) -> str:
        """Say why this quantity, in words."""
        periods = "period" if self.periods[i] == 1 else f"{self.periods[i]} periods"
        asked = (
            f"the next {periods} ask for {_units(self.mean[i])} (10 % to 90 %: {_units(self.low[i])} to "
            f"{_units(self.high[i])}); {_units(self.at_arrival[i])} will be left when an order can arrive"
        )
        quantity, wanted = self.quantity[i], self.wanted[i]
        if quantity == 0 and wanted == 0:
            return f"nothing: {asked}, and {self._why_nothing(i)}"
        head = f"{_units(quantity)}: {asked}; {self._effect(i)}"
        if quantity == 0:
            head = f"nothing: {asked}"
        if quantity == wanted:
            capped = quantity + self.pack[i] > self.largest[i] + 1e-9
            return f"{head}; no more than {_units(self.largest[i])} may be ordered" if capped else head
        why = " and ".join(self.cutters[i]) or "the limits together"
        return f"{head}; {_units(wanted)} without limits, changed by the {why}"

    def _effect(self, i: int) -> str:
        """Say what the order changes: the chance of running out, or where that is sure anyway the units lost."""
        before, after = f"{self.stockout_of_nothing[i]:.0%}", f"{self.stockout[i]:.0%}"
        if before != after:
            return f"the order takes the chance of running out from {before} to {after}"
        lost = f"the order takes the units lost from {_units(self.lost_of_nothing[i])} to {_units(self.lost[i])}"
        return f"{lost}, and the chance of running out stays {before}"

    def _why_nothing(self, i: int) -> str:
        if self.mean[i] <= 0:
            return "no path of demand asks for any"
        if self.smallest[i] > self.largest[i] + 1e-9:
            return (
                f"no more than {_units(self.largest[i])} may be ordered, less than the smallest order of "
                f"{_units(self.smallest[i])}"
            )
        if self.stockout_of_nothing[i] <= 0.02:
            return "that lasts until the next order can arrive"
        if self.cost_of_nothing[i] - self.cost_of_ordering[i] + self.order_cost[i] > 1e-6 * self.order_cost[i]:
            return f"placing an order costs {self.order_cost[i]:,.2f}, more than it would save"
        if self.smallest[i] > max(self.pack[i], 4 * self.mean_demand[i]):
            return f"the smallest order of {_units(self.smallest[i])} would cost more to hold than the sales it saves"
        return "a unit more would cost more to hold than the sales it saves"

    def arithmetic(self, i: int) -> str:
        """Write the sum: demand, stock, due, packs, minimum, money."""
        position = self.on_hand[i] + self.due[i]
        quantity = self.quantity[i]
        up_to = position + quantity
        safety = up_to - self.mean[i]
        text = (
            f"{_units(self.mean[i])} demand of {self.periods[i]} periods {'+' if safety >= 0 else '-'} "
            f"{_units(abs(safety))} safety - {_units(self.on_hand[i])} on hand - {_units(self.due[i])} due = "
            f"{_units(quantity)}"
        )
        if quantity == 0 and safety > 0:
            text = (
                f"{_units(self.on_hand[i])} on hand + {_units(self.due[i])} due cover {_units(self.mean[i])} demand "
                f"of {self.periods[i]} periods -> 0"
            )
        if self.later[i] > 0:
            text += f" ({_units(self.later[i])} due later)"
        if quantity > 0 and self.moq[i] > self.pack[i]:
            text += f", minimum {_units(self.moq[i])}"
        if quantity > 0 and self.pack[i] != 1:
            text += f", {_units(quantity / self.pack[i])} packs of {_units(self.pack[i])}"
        return (
            f"{text}; cost {self.cost_of_nothing[i]:,.2f} with nothing, {self.cost[i]:,.2f} with this, "
            f"spend {self.spend[i]:,.2f}"
        )


def _units(value: float) -> str:
    """Write units without needless decimals: ``144``, ``2.5``."""
    return f"{value:,.1f}".removesuffix(".0")


def policy(
    options: OrderOptions, summary: ItemSummary, items: ItemTerms, due: Floats, due_later: Floats
) -> pl.DataFrame:
    """Return reorder point, order-up-to level, safety and cycle stock of each item.

    Where something is ordered by itself, the level is what that order fills up to; elsewhere the follow-on rule's.
    """
    terms = items.terms
    position = terms.on_hand + due.sum(axis=1) + due_later
    wanted = options.quantity[options.cheapest()]
    unit = np.minimum(terms.pack, 1.0)
    rule = np.maximum(summary.level, 0.0) + np.where(summary.level > 0, summary.lot - unit, 0.0)
    up_to = np.where(wanted > 0, position + wanted, rule)
    per_review = summary.mean_demand * terms.review
    frame = pl.DataFrame(
        {
            "unique_id": items.frame["unique_id"],
            "reorder_point": np.maximum(up_to - summary.lot, 0.0),
            "order_up_to": up_to,
            "safety_stock": up_to - summary.protection_mean,
            "cycle_stock": np.maximum(per_review, np.where(up_to > 0, summary.lot, 0.0)) / 2,
        }
    )
    return STOCK_POLICIES.check(frame)


def risk(
    options: OrderOptions, chosen: Integers, items: ItemTerms, demand: Demand, due: Floats, widening: float
) -> pl.DataFrame:
    """Return chance, time and size of stockouts, on the very paths the orders were decided on."""
    n, horizon = due.shape
    chance, lost = np.zeros((n, horizon)), np.zeros(n)
    median, helpful = np.full((2, n), np.nan)
    protection = np.rint(items.lead_mean).astype(np.int64) + items.terms.review
    for part in series_slices(n, demand.n_paths, 2 * horizon):
        rows = np.arange(part.start, part.stop)
        paths: NDArray[Any] = np.asarray(demand.draw(rows), dtype=np.float64)
        if widening != 1.0:
            middle = paths.mean(axis=1, keepdims=True)
            paths = np.maximum(middle + widening * (paths - middle), 0.0)
        walked = stockout_risk(items.terms.on_hand[part], due[part], paths)
        chance[part], median[part] = walked.probability, walked.median_period()
        lost[part] = walked.lost_within(protection[part])
        helpful[part] = walked.last_helpful_order(items.lead_times[part])
    within = np.take_along_axis(chance, np.minimum(protection, horizon)[:, None] - 1, axis=1)[:, 0]
    return pl.DataFrame(
        {
            "unique_id": items.frame["unique_id"],
            "p_stockout": within,
            "p_stockout_after": options.stockout[chosen],
            "by_period": pl.Series(chance, dtype=pl.Array(pl.Float64, horizon)).cast(pl.List(pl.Float64)),
            "median_periods_to_stockout": pl.Series(median).fill_nan(None),
            "lost_units": lost,
            "lost_units_after": options.lost_units[chosen],
            "lost_margin": lost * items.margin,
            "severity": severity(within, lost * items.margin),
            "order_can_wait_periods": pl.Series(helpful).fill_nan(None),
        }
    )


def next_units(options: OrderOptions, chosen: Integers, ids: pl.Series) -> pl.DataFrame:
    """Return the steps of all items' concave envelopes, the most saving per money first, with what is chosen.

    From nothing up, each item takes the step that saves most per unit of money, then from there the next; put in one
    order, the steps up to any budget are the best use of it, to within the last step (greedy for a knapsack of concave
    gains). Steps that save nothing are left out.
    """
    at = options.offsets[:-1].copy()
    item, start, stop = [], [], []
    open_items = np.arange(options.n_items)
    while len(open_items):
        upto = _best_step(options, open_items, at[open_items])
        going = upto >= 0
        open_items, upto = open_items[going], upto[going]
        item.append(open_items)
        start.append(at[open_items])
        stop.append(upto)
        at[open_items] = upto
    who, low, high = (np.concatenate([np.zeros(0, dtype=np.int64), *parts]) for parts in (item, start, stop))
    spend = options.spend[high] - options.spend[low]
    saving = options.cost[low] - options.cost[high]
    ratio = np.where(spend > 0, saving / np.where(spend > 0, spend, 1.0), np.inf)
    order = np.lexsort((low, who, -ratio))
    who, low, high, spend, saving, ratio = (values[order] for values in (who, low, high, spend, saving, ratio))
    frame = pl.DataFrame(
        {
            "rank": np.arange(1, len(who) + 1),
            "unique_id": ids.gather(who),
            "from_quantity": options.quantity[low],
            "to_quantity": options.quantity[high],
            "spend": spend,
            "saving": saving,
            "value_per_money": pl.Series(ratio).replace(np.inf, None),
            "total_spend": np.cumsum(spend),
            "chosen": options.quantity[high] <= options.quantity[chosen[who]] + 1e-9,
        }
    )
    return NEXT_UNITS.check(frame)


def _best_step(options: OrderOptions, items: Integers, at: Integers) -> Integers:
    """Return for each item the later option that saves most per unit of money from option ``at``; -1: none saves."""
    ends = options.offsets[items + 1]
    lengths = ends - at  # the option itself is the first: it saves nothing
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = np.arange(offsets[-1]) + np.repeat(at - offsets[:-1], lengths)
    saving = np.repeat(options.cost[at], lengths) - options.cost[rows]
    spend = options.spend[rows] - np.repeat(options.spend[at], lengths)
    ratio = np.where(saving > 1e-12, saving / np.maximum(spend, 1e-12), -np.inf)
    best = np.maximum.reduceat(ratio, offsets[:-1])
    hit = np.flatnonzero((ratio >= np.repeat(best, lengths)) & np.isfinite(ratio))
    owner = np.searchsorted(offsets, hit, side="right") - 1
    found = np.full(len(items), -1, dtype=np.int64)
    found[owner] = rows[hit]  # of equals the last: the longest step
    return found
