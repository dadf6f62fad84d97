"""The walk of every quantity that could be ordered, down every path, from the arrival of the order on.

Inner loops are float32 in blocks that stay in the cache (whole units below 16 million are exact), sums float64.

Letters: n items, C options of one of them, S sample paths, P periods whose space is limited.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shelfwise.inventory.follow_on_rule import ROLL, FollowOnRule
from shelfwise.inventory.item_group import BeforeArrival, ItemGroup, is_review

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]


@dataclass(eq=False)
class Answers:
    """The options of a few items: [n, C] each, of which the first ``counts`` [n] are real."""

    counts: Integers
    quantity: Floats
    cost: Floats
    lost_units: Floats
    stockout: Floats
    space: Floats  # [n, C, P] units
    demand_units: Floats  # [n]


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


def walk_options(
    group: ItemGroup,
    part: Integers,
    before: BeforeArrival,
    rule: FollowOnRule,
    quantity: Floats,
    counts: Integers,
    protection: Singles,
    *,
    space_periods: Sequence[int],
    backorder: bool,
) -> Answers:
    """Walk the stock of a few items' options along every path from the arrival on."""
    walk = _Walk(group, part, before, rule, quantity.astype(np.float32), backorder)
    space = np.zeros((*quantity.shape, len(space_periods)))
    at = [period - 1 if period else None for period in space_periods]
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
        self,
        group: ItemGroup,
        part: Integers,
        before: BeforeArrival,
        rule: FollowOnRule,
        quantity: Singles,
        backorder: bool,
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
        if is_review(self.group, period):
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
            lead = group.longest if group.fixed else np.roll(self.lead, ROLL * look, axis=1)
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

    def answers(self, quantity: Floats, counts: Integers, protection: Singles, space: Floats) -> Answers:
        """Return the means over the paths, float64."""
        group, part, terms, before = self.group, self.part, self.terms, self.before
        if is_review(group, group.end):  # no lead time: the last look falls on the end itself
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
        return Answers(
            counts=counts,
            quantity=quantity,
            cost=cost,
            lost_units=lost.astype(np.float64).sum(axis=2) / n_paths,
            stockout=(lost > np.float32(1e-3)).mean(axis=2),
            space=space,
            demand_units=protection.mean(axis=1, dtype=np.float64),
        )
