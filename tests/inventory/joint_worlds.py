"""Small worlds of order options under shared limits, for the tests of the joint choice."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from scipy.stats import norm

from shelfwise.inventory.order_options import Limit, OrderOptions

KINDS = ("budget", "supplier_budget", "space", "service", "supplier_min")


def some_options(n_items: int, seed: int, most: int = 6, periods: int = 1) -> OrderOptions:
    """Items with normal demand of one period, and up to ``most`` order sizes each."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, most + 1, n_items)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    item = np.repeat(np.arange(n_items), counts)
    step = np.arange(offsets[-1]) - offsets[:-1][item]
    pack, smallest = rng.integers(1, 13, n_items), rng.integers(1, 4, n_items)
    quantity = np.where(step > 0, (smallest[item] + step - 1) * pack[item], 0).astype(np.float64)
    mean = rng.gamma(2.0, 12.0, n_items)
    stock = mean * rng.uniform(0.0, 1.2, n_items)
    unit_cost = rng.lognormal(1.5, 0.8, n_items)
    shortage, holding = unit_cost * rng.uniform(0.3, 1.2, n_items), unit_cost * 0.04 * rng.uniform(0.5, 2.0, n_items)
    level, spread = (stock[item] + quantity), 0.5 * mean[item] + 1
    score = (level - mean[item]) / spread
    lost = spread * (norm.pdf(score) - score * norm.sf(score))
    left = level - mean[item] + lost
    line = np.where(step > 0, rng.uniform(0.0, 3.0, n_items)[item], 0.0)
    volume = rng.uniform(0.001, 0.02, n_items)
    later = [volume[item] * np.maximum(level - 0.3 * period * mean[item], 0.0) for period in range(periods)]
    return OrderOptions(
        offsets=offsets, quantity=quantity, cost=shortage[item] * lost + holding[item] * left + line,
        spend=quantity * unit_cost[item], lost_units=lost, stockout=norm.sf(score),
        space=np.stack(later, axis=1) if periods else np.zeros((len(item), 0)), demand_units=mean,
    )  # fmt: skip


def some_limits(
    options: OrderOptions, seed: int, kinds: Collection[str], tight: float = 0.6, scopes: int = 2
) -> list[Limit]:  # fmt: skip
    """Limits of these kinds that bind: a part of what the cheapest options would use."""
    rng = np.random.default_rng([seed, 1])
    n_items, rows, nothing = options.n_items, options.cheapest(), options.offsets[:-1]
    supplier, warehouse, group = rng.integers(0, scopes, (3, n_items))
    limits: list[Limit] = []
    wanted = options.spend[rows]
    if "budget" in kinds:
        limits.append(Limit("budget", None, None, tight * float(wanted.sum()), np.ones(n_items, dtype=bool)))
    for scope in range(scopes):
        if "supplier_budget" in kinds:
            members = supplier == scope
            value = rng.uniform(0.3, 1.0) * float(wanted[members].sum())
            limits.append(Limit("budget", f"S{scope}", None, value, members))
        if "space" in kinds:
            members = warehouse == scope
            for period in range(options.space.shape[1]):
                there = float(options.space[nothing[members], period].sum())
                more = float(options.space[rows[members], period].sum()) - there
                value = max(0.0, there + rng.uniform(-0.1, 1.0) * more)
                limits.append(Limit("space", f"W{scope}", period + 1, value, members, period))
        if "service" in kinds:
            limits.append(Limit("service", f"G{scope}", None, rng.uniform(0.5, 1.0), group == scope))
        if "supplier_min" in kinds:
            members = supplier == scope
            value = tight * rng.uniform(0.3, 1.6) * float(wanted[members].sum())
            limits.append(Limit("supplier_min", f"S{scope}", None, value, members))
    return limits


def supplier_world(n_items: int, n_suppliers: int, seed: int, budget: float = 0.5) -> tuple[OrderOptions, list[Limit]]:
    """Items under suppliers' minima that do not fit the budget together, with tight space and service out of reach.

    Minima come to 30 to 100 % of what a supplier's cheapest options would spend, the budget to a part of all that.
    """
    options = some_options(n_items, seed)
    rng = np.random.default_rng([seed, 3])
    supplier = rng.integers(0, n_suppliers, n_items)
    warehouse, group = rng.integers(0, min(3, n_items), (2, n_items))
    rows, nothing = options.cheapest(), options.offsets[:-1]
    wanted, more = options.spend[rows], options.space[rows, 0] - options.space[nothing, 0]
    limits = [Limit("budget", None, None, budget * float(wanted.sum()), np.ones(n_items, dtype=bool))]
    for scope in range(3):
        members = warehouse == scope
        space = float(options.space[nothing[members], 0].sum()) + 0.7 * float(more[members].clip(0.0).sum())
        limits.append(Limit("space", f"W{scope}", 1, space, members))
        limits.append(Limit("service", f"G{scope}", None, 0.99, group == scope))
    for scope in range(n_suppliers):
        members = supplier == scope
        limits.append(
            Limit("supplier_min", f"S{scope}", None, rng.uniform(0.3, 1.0) * float(wanted[members].sum()), members)
        )
    return options, limits
