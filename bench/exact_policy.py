"""How far our orders are from the best there are, where the best is known: ``python bench/exact_policy.py``.

One product, lost sales, an order a period with a lead time of two, 0.2 a period for a unit left and 1.0 for a unit
lost, demand negative binomial and independent over time. The best policy comes from value iteration over what is on
hand and due (Zipkin 2008, Old and new methods for lost-sales inventory systems); the best base stock from trying all
levels. Ours decides every period from 200 paths of the true distribution, so what is measured is the decision alone,
not the forecast. All meet the same demand. Prints the cost a period of the best policy and how much more others cost.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import polars as pl
from scipy.stats import nbinom

from shelfwise.inventory.optimise import optimise

HOLDING, SHORTAGE, LEAD = 0.2, 1.0, 2
WARM_UP = 12
CASES = ((0.15, 2.0), (0.5, 1.0), (2.0, 0.5), (8.0, 0.3), (8.0, 1.0))  # mean, dispersion: variance mean + d mean^2

Rule = Callable[[np.ndarray, np.ndarray], np.ndarray]  # on hand [N] and pipeline [N, L + 1] to units [N]


def drawn(mean: float, dispersion: float, size: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return negative binomial demand."""
    return rng.poisson(rng.gamma(1 / dispersion, dispersion * mean, size))


def best_orders(mean: float, dispersion: float, most: int) -> np.ndarray:
    """Return the best order [X, Y] by what can be sold now (on hand and arriving) and what is due next period."""
    asked = np.arange(3 * most)
    chance = nbinom.pmf(asked, 1 / dispersion, 1 / (1 + dispersion * mean))
    chance[-1] += 1 - chance.sum()
    stocks, n_due = np.arange(most + 1), most // 2 + 1
    cost = np.maximum(stocks[:, None] - asked, 0) @ chance * HOLDING
    cost += np.maximum(asked - stocks[:, None], 0) @ chance * SHORTAGE
    left = np.zeros((most + 1, most + 1))  # chance of what is left, by what there was
    for stock in stocks:
        np.add.at(left[stock], np.maximum(stock - asked, 0), chance)
    value, order = np.zeros((most + 1, n_due)), np.zeros((most + 1, n_due), dtype=np.int64)
    for _ in range(1000):
        new = np.empty_like(value)
        for due in range(n_due):
            ahead = left @ value[np.minimum(stocks + due, most)]  # [X, order]
            order[:, due], new[:, due] = ahead.argmin(axis=1), cost + ahead.min(axis=1)
        change = new - value
        value = new - new[0, 0]
        if change.max() - change.min() < 1e-4 * max(change.min(), 1e-3):
            break
    return order


def looked_up(table: np.ndarray) -> Rule:
    """Return the rule that a table of `best_orders` is; beyond its edge the edge counts."""
    edge, wide = table.shape[0] - 1, table.shape[1] - 1

    def order(on_hand: np.ndarray, pipeline: np.ndarray) -> np.ndarray:
        now, due = np.minimum(on_hand + pipeline[:, 0], edge), np.minimum(pipeline[:, 1], wide)
        return table[now.astype(int), due.astype(int)].astype(float)

    return order


def cost_of(rule: Rule, demand: np.ndarray) -> float:
    """Return the cost a period of a rule, after a warm-up."""
    n, periods = demand.shape
    on_hand, pipeline, cost = np.zeros(n), np.zeros((n, LEAD + 1)), 0.0
    for period in range(periods):
        pipeline[:, LEAD] += rule(on_hand, pipeline)
        there = on_hand + pipeline[:, 0]
        pipeline = np.concatenate([pipeline[:, 1:], np.zeros((n, 1))], axis=1)
        on_hand = np.maximum(there - demand[:, period], 0)
        if period >= WARM_UP:
            cost += float((HOLDING * on_hand + SHORTAGE * np.maximum(demand[:, period] - there, 0)).sum())
    return cost / (n * (periods - WARM_UP))


def base_stock(level: int) -> Rule:
    """Return the rule that orders up to a level."""
    return lambda on_hand, pipeline: np.maximum(level - on_hand - pipeline.sum(axis=1), 0)


def ours(paths: np.ndarray) -> Rule:
    """Return what `shelfwise.optimise` orders on paths [N, S, H]."""
    n = len(paths)
    ids = pl.Series("unique_id", [f"p{k}" for k in range(n)])
    costs = {"unit_cost": 1.0, "holding_cost": HOLDING, "shortage_cost": SHORTAGE, "lead_time_periods": float(LEAD)}

    def order(on_hand: np.ndarray, pipeline: np.ndarray) -> np.ndarray:
        items = pl.DataFrame({"unique_id": ids, "on_hand": on_hand, **{k: np.full(n, v) for k, v in costs.items()}})
        rows, due = np.nonzero(pipeline)
        inbound = {"unique_id": ids.gather(rows), "period": due + 1, "quantity": pipeline[rows, due]}
        return optimise(items, paths, inbound).quantity

    return order


def main() -> None:
    """Print a row for each kind of demand."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copies", type=int, default=500, help="of the product, each with a demand of its own")
    parser.add_argument("--periods", type=int, default=36)
    options = parser.parse_args()
    print("| mean | variance | best policy | best base stock | ours |\n|---|---|---|---|---|")
    for mean, dispersion in CASES:
        rng = np.random.default_rng(0)
        variance = mean + dispersion * mean**2
        most = int(np.ceil(5 * mean + 6 * np.sqrt(variance) + 3))
        demand = drawn(mean, dispersion, (options.copies, options.periods), rng)
        table = best_orders(mean, dispersion, most)
        best = cost_of(looked_up(table), demand)
        base = min(cost_of(base_stock(level), demand) for level in range(most + 1))
        own = cost_of(ours(drawn(mean, dispersion, (options.copies, 200, 8), rng)), demand)
        print(
            f"| {mean:g} | {variance:.3g} | {best:.3f} | {base / best - 1:+.1%} | {own / best - 1:+.1%} |", flush=True
        )


if __name__ == "__main__":
    main()
