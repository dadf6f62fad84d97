"""What later orders are assumed to do, and what stock above their level is charged with.

What stands above the follow-on level by the end of the periods looked at has still to be sold. Units above the level,
y, are held on average for ``(y + u + m R) / (2 m)`` periods each (m mean demand per period, R review, u one unit: they
go one after the other, and none before the next review), and they put off the next order, whose share of order cost
and of the pack or minimum that has to be bought with it is ``g`` per unit::

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

Letters: n items, S sample paths, H periods, K follow-on orders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shelfwise.inventory.item_group import ItemGroup
from shelfwise.inventory.lot_sizing import orderable_quantity
from shelfwise.inventory.order_inputs import Tuning

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]

LONGEST_HELD: Final = 104
"""Periods of holding charged at most for a unit that does not sell."""

NEVER: Final = np.float32(-1e9)
"""Follow-on level of what is not worth ordering again."""

ROLL: Final = 17
"""The k-th follow-on order takes the lead time that path s - 17 k drew for the order placed now."""

_ROWS: Final = 128  # rows [S] of a search that stay in the cache


@dataclass(eq=False)
class FollowOnRule:
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


def follow_on_rule(group: ItemGroup, tuning: Tuning) -> tuple[FollowOnRule, Floats, Singles]:
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
        lead = group.lead if group.fixed else np.roll(group.lead, ROLL * (look + 1), axis=1)
        length = lead + review
        start = np.minimum((look + 1) * review, horizon - length)
        ahead = _window(running, start, start + length, group.fixed)
        levels[look] = np.where(never, NEVER, _level(ahead, ratio, lot, unit))
    share = holding * (lot - unit) / (2 * safe) + terms.order_cost / np.maximum(lot, mean * review)
    credit = np.minimum(shortage, share)
    credit = np.where(never, 0.0 if off else shortage, credit)
    square = holding / (2 * safe)
    linear = holding * (unit + (-mean if off else mean * review)) / (2 * safe) - credit
    rule = FollowOnRule(
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
