"""Items whose stock is walked together, and the part of the walk that all quantities share: until the order arrives.

Letters: n items, S sample paths, H periods. Period 1 starts now; index 0 here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shelfwise.inventory.order_inputs import OrderTerms

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]


@dataclass(eq=False)
class ItemGroup:
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


@dataclass(eq=False)
class BeforeArrival:
    """Where every path stands when the first order can arrive, and what it cost until then; [n, S] unless said."""

    stock: Singles
    held: Singles  # units x periods
    short: Singles  # units lost (backorder: units x periods)
    positions: list[Singles]  # at the reviews before the arrival: on hand and due, the order placed now left out
    lost: Singles  # units lost, whichever way they are paid for


def walk_to_arrival(group: ItemGroup, backorder: bool) -> BeforeArrival:
    """Walk the stock of all paths until the first of them may see the order."""
    n, s = group.lead.shape
    stock = np.repeat(group.terms.on_hand.astype(np.float32)[:, None], s, axis=1)
    held, short, lost = np.zeros((3, n, s), dtype=np.float32)
    positions = []
    for period in range(group.shortest):
        if is_review(group, period):
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
    return BeforeArrival(stock, held, short, positions, lost)


def is_review(group: ItemGroup, period: int) -> bool:
    """Say whether a simulated follow-on order, or the look at what is left, falls on the start of this period."""
    return period > 0 and period % group.review == 0 and period // group.review <= group.follow_ons + 1
