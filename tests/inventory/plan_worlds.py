"""Small worlds of product-warehouses to plan for, and the slow walk of a plan by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shelfwise.inventory.network_plan import NetworkPlan, plan_network
from shelfwise.inventory.order_inputs import OrderTerms
from shelfwise.inventory.order_options import Limit


@dataclass(frozen=True)
class PlanWorld:
    """N items, S paths, H periods: paths [N, S, H], due [N, H], lead times [N] or [N, S], terms, limits."""

    paths: np.ndarray
    due: np.ndarray
    lead_times: np.ndarray
    terms: OrderTerms
    limits: tuple[Limit, ...]

    def plan(self, **choices: object) -> NetworkPlan:
        return plan_network(self.paths, self.due, self.lead_times, self.terms, self.limits, **choices)  # type: ignore[arg-type]


def plan_world(
    seed: int, n: int = 4, n_paths: int = 2, horizon: int = 4, tightness: float = 0.6, late: bool = False
) -> PlanWorld:
    """Make a world whose budgets and space leave about ``tightness`` of what would be spent and held freely."""
    rng = np.random.default_rng(seed)
    mean = rng.uniform(3, 12, n)
    unit_cost = rng.uniform(1, 6, n)
    volume = rng.uniform(0.01, 0.1, n)
    terms = OrderTerms(
        on_hand=np.floor(mean * rng.uniform(0, 2, n)),
        review=rng.choice([1, 1, 2], n),
        pack=rng.choice([1.0, 2.0, 4.0], n),
        moq=rng.choice([0.0, 5.0, 8.0], n),
        largest=np.where(rng.random(n) < 0.3, 16.0, np.inf),
        unit_cost=unit_cost,
        shortage_cost=unit_cost * rng.uniform(0.4, 1.5, n),
        holding_cost=unit_cost * rng.uniform(0.01, 0.1, n),
        order_cost=rng.choice([0.0, 2.0, 8.0], n),
        volume=volume,
    )
    lead = rng.integers(0, 3, (n, n_paths)) if late else rng.integers(0, 3, n)
    every, half = np.ones(n, dtype=bool), np.arange(n) % 2 == 0
    limits = (
        Limit("budget", None, None, tightness * float(mean @ unit_cost), every),
        Limit("budget", "even", 1, tightness * float((mean * unit_cost)[half].sum()), half),
        Limit("space", "odd", None, 2 * tightness * float((mean * volume)[~half].sum()), ~half),
    )
    paths = rng.poisson(mean[:, None, None], (n, n_paths, horizon)).astype(float)
    due = rng.choice([0.0, 0.0, 5.0], (n, horizon))
    return PlanWorld(paths, due, lead, terms, limits)


def walk(
    demand: np.ndarray, receipts: np.ndarray, lead: np.ndarray, orders: np.ndarray, backorder: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return opening and closing stock and units short (lost; owed) [S, H] of orders [T], one path after the other."""
    opening, closing, short = (np.zeros(demand.shape) for _ in range(3))
    for s, path in enumerate(demand):
        stock, owed = 0.0, 0.0
        for t, asked in enumerate(path):
            stock += receipts[t] + sum(orders[k] for k in range(len(orders)) if k + lead[s] == t)
            opening[s, t] = stock
            wanted = asked + owed
            served = min(stock, wanted)
            stock -= served
            short[s, t] = wanted - served
            owed = wanted - served if backorder else 0.0
            closing[s, t] = stock
    return opening, closing, short


def cost_by_hand(
    world: PlanWorld, item: int, orders: np.ndarray, longest_held: float, backorder: bool = False
) -> tuple[float, np.ndarray]:
    """Return the expected cost of orders [T] of one item, and its mean opening stock [H]."""
    terms = world.terms
    receipts = world.due[item].copy()
    receipts[0] += terms.on_hand[item]
    n_paths = world.paths.shape[1]
    lead = np.broadcast_to(world.lead_times[item], (n_paths,))
    opening, closing, short = walk(world.paths[item], receipts, lead, orders, backorder)
    held, rate = terms.holding_cost[item], max(world.paths[item].mean(), 1e-12)
    rundown = 0.0
    for left in closing[:, -1]:
        moving = min(left, rate * longest_held)
        rundown += held * (moving**2 / (2 * rate) + longest_held * (left - moving)) / n_paths
    money = held * closing.sum() / n_paths + terms.shortage_cost[item] * short.sum() / n_paths + rundown
    return float(money + terms.order_cost[item] * np.count_nonzero(orders)), opening.mean(axis=0)
