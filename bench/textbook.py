"""Ours beside stockpyl on textbook cases, and how fast both simulate: ``python bench/textbook.py [--runs 5]``.

The cases are those of Snyder and Shen, Fundamentals of Supply Chain Theory, that stockpyl's own documentation shows.
Both libraries answer them in this run, and the run fails where the answers differ. Then both simulate the same demand
under the same policies, ours for many products at once, and the run fails where a cost differs; they take turns, and
the figures are medians over the runs and the median of the ratios of each turn, in CPU seconds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own imports warn
    from stockpyl import eoq, newsvendor, rq, ss
    from stockpyl.sim import simulation
    from stockpyl.supply_chain_network import single_stage_system

from shelfwise.inventory.closed_forms import (
    eoq_with_backorders,
    newsvendor_discrete,
    newsvendor_normal,
    poisson,
    reorder_and_order_up_to,
    reorder_point_and_quantity,
)
from shelfwise.inventory.lot_sizing import economic_order_quantity
from shelfwise.inventory.policies import BaseStock, Policy, ReorderPointOrderUpTo, ReorderPointQuantity
from shelfwise.inventory.simulation import simulate

TOLERANCE = 1e-6


def cases() -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Return the textbook cases: what we answer, and what stockpyl does."""
    pmf = [0.25, 0.25, 0.25, 0.25]
    return {
        "EOQ (D 1300, K 8, h 0.225)": (
            lambda: (economic_order_quantity(1300.0, 8.0, 0.225), np.sqrt(2 * 1300 * 8 * 0.225)),
            lambda: eoq.economic_order_quantity(8, 0.225, 1300),
        ),
        "EOQ with backorders (p 5)": (
            lambda: eoq_with_backorders(1300.0, 8.0, 0.225, 5.0),
            lambda: eoq.economic_order_quantity_with_backorders(8, 0.225, 5, 1300),
        ),
        "newsvendor, normal (50, 8)": (
            lambda: newsvendor_normal(50.0, 8.0, holding_cost=0.18, shortage_cost=0.70),
            lambda: newsvendor.newsvendor_normal(0.18, 0.70, 50, 8),
        ),
        "base stock, normal, lead time 3": (
            lambda: newsvendor_normal(50.0, 8.0, holding_cost=0.18, shortage_cost=0.70, lead_time_periods=3),
            lambda: newsvendor.newsvendor_normal(0.18, 0.70, 50, 8, lead_time=3),
        ),
        "newsvendor, Poisson (50)": (
            lambda: newsvendor_discrete(poisson(50.0), holding_cost=1.0, shortage_cost=4.0),
            lambda: newsvendor.newsvendor_poisson(1, 4, 50),
        ),
        "newsvendor, four chances": (
            lambda: newsvendor_discrete(pmf, holding_cost=1.0, shortage_cost=4.0),
            lambda: newsvendor.newsvendor_discrete(1, 4, demand_pmf=dict(enumerate(pmf))),
        ),
        "(s, S), Poisson (6)": (
            lambda: reorder_and_order_up_to(poisson(6.0), holding_cost=1.0, shortage_cost=4.0, order_cost=5.0),
            lambda: ss.s_s_discrete_exact(1, 4, 5, True, 6),
        ),
        "(r, Q), Poisson (1.5 x 2)": (
            lambda: reorder_point_and_quantity(1.5, 2.0, holding_cost=20.0, shortage_cost=150.0, order_cost=100.0),
            lambda: rq.r_q_poisson_exact(20, 150, 100, 1.5, 2),
        ),
    }


def compare_cases() -> bool:
    """Print both answers to every case and say whether all agree."""
    print("| case | ours | stockpyl | same |\n|---|---|---|---|")
    good = True
    for name, (ours, theirs) in cases().items():
        mine = np.array([float(value) for value in ours()])  # type: ignore[attr-defined]
        other = np.array([float(value) for value in theirs()])  # type: ignore[attr-defined]
        same = bool(np.allclose(mine, other, rtol=TOLERANCE))
        good &= same
        cells = [", ".join(f"{value:.6g}" for value in values) for values in (mine, other)]
        print(f"| {name} | {cells[0]} | {cells[1]} | {'yes' if same else 'NO'} |")
    return good


def simulated(kind: str, demand: np.ndarray) -> tuple[float, float]:
    """Return the cost of one product over ``demand`` [T] by stockpyl, with backorders, and CPU seconds."""
    policy = {
        "base stock": {"policy_type": "BS", "base_stock_level": 70},
        "(s, S)": {"policy_type": "sS", "reorder_point": 55, "order_up_to_level": 95},
        "(r, Q)": {"policy_type": "rQ", "reorder_point": 55, "order_quantity": 40},
    }[kind]
    network = single_stage_system(
        holding_cost=0.18, stockout_cost=0.7, demand_type="D", demand_list=demand.tolist(), shipment_lead_time=3,
        initial_inventory_level=70, **policy,
    )  # fmt: skip
    began = time.process_time()
    cost = simulation(network, len(demand), rand_seed=1, progress_bar=False)
    return float(cost), time.process_time() - began


def ours(kind: str, demand: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the costs of N products over ``demand`` [N, T], and CPU seconds.

    stockpyl orders once it has seen a period's demand, we at the start of the next period: its lead time of 3 is our 2.
    """
    n = len(demand)
    policy: Policy = {
        "base stock": BaseStock(np.full(n, 70.0)),
        "(s, S)": ReorderPointOrderUpTo(np.full(n, 55.0), np.full(n, 95.0)),
        "(r, Q)": ReorderPointQuantity(np.full(n, 55.0), np.full(n, 40.0)),
    }[kind]
    began = time.process_time()
    done = simulate(
        policy, demand, on_hand=70.0, lead_time_periods=2, unmet="backorder", holding_cost=0.18, shortage_cost=0.7
    )
    return done.cost[:, 0], time.process_time() - began


def compare_speed(runs: int, products: int, periods: int) -> bool:
    """Print item-weeks a second of both, and say whether every cost agrees."""
    random = np.random.default_rng(0)
    good = True
    print("\n| policy | same cost | ours, item-weeks/s | stockpyl, item-weeks/s | ratio | least to most |\n"
          "|---|---|---|---|---|---|")  # fmt: skip
    for kind in ("base stock", "(s, S)", "(r, Q)"):
        speeds: list[tuple[float, float]] = []
        same = True
        for _ in range(runs):
            demand = random.poisson(20.0, (products, periods)).astype(np.float64)
            costs, mine = ours(kind, demand)
            cost, theirs = simulated(kind, demand[0])
            same &= bool(np.isclose(costs[0], cost, rtol=TOLERANCE))
            speeds.append((products * periods / mine, periods / theirs))
        good &= same
        ratios = sorted(a / b for a, b in speeds)
        median = [statistics.median(column) for column in zip(*speeds, strict=True)]
        print(f"| {kind} | {'yes' if same else 'NO'} | {median[0]:,.0f} | {median[1]:,.0f} | "
              f"{statistics.median(ratios):,.0f} | {ratios[0]:,.0f} to {ratios[-1]:,.0f} |")  # fmt: skip
    return good


def main() -> None:
    """Compare answers, then speeds; a difference in an answer ends the run with an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="turns of each")
    parser.add_argument("--products", type=int, default=20_000, help="products that ours simulates at once")
    parser.add_argument("--periods", type=int, default=208, help="weeks")
    options = parser.parse_args()
    good = compare_cases()
    good &= compare_speed(options.runs, options.products, options.periods)
    if not good:
        sys.exit("an answer differs")


if __name__ == "__main__":
    main()
