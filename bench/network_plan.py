"""Plans of several weeks to a proven gap: ``python bench/network_plan.py [--products 20] [--paths 10] [--gap 0.01]``.

Made-up products in three warehouses: lead times of 1 to 3 weeks, packs, minimum quantities, a cost per order line, a
weekly budget in all and for each of four suppliers, space by warehouse and week; all bind. For each seed: cost, bound,
gap, and the time of the whole call. ``--compact`` also gives the same weeks to HiGHS as one mixed-integer program, as
long as ``--seconds``, to show what the decomposition is for; neither then charges for running down what is left.
"""

from __future__ import annotations

import argparse
import os
import time

import highspy
import numpy as np

from shelfwise.inventory.follow_on_rule import LONGEST_HELD
from shelfwise.inventory.network_plan import NetworkPlan, plan_network
from shelfwise.inventory.order_inputs import OrderTerms
from shelfwise.inventory.order_options import Limit

WAREHOUSES, SUPPLIERS = 3, 4
World = tuple[np.ndarray, np.ndarray, np.ndarray, OrderTerms, list[Limit]]


def made_up_network(products: int, n_paths: int, weeks: int, tightness: float, order_cost: float, seed: int) -> World:
    """Return paths [N, S, H], what is due, lead times, terms and limits."""
    rng = np.random.default_rng(seed)
    n = products * WAREHOUSES
    mean = rng.lognormal(2.7, 0.7, n)
    paths = rng.negative_binomial(4, (4 / (4 + mean))[:, None, None], (n, n_paths, weeks)).astype(float)
    unit_cost, volume = rng.uniform(2, 20, n), rng.uniform(0.005, 0.05, n)
    supplier, warehouse = rng.integers(0, SUPPLIERS, n), np.arange(n) % WAREHOUSES
    terms = OrderTerms(
        on_hand=np.rint(mean * rng.uniform(0.5, 3, n)),
        review=np.ones(n, dtype=np.int64),
        pack=rng.choice([1.0, 4.0, 6.0, 12.0], n),
        moq=rng.choice([0.0, 12.0, 24.0], n),
        largest=np.full(n, np.inf),
        unit_cost=unit_cost,
        shortage_cost=0.5 * unit_cost,
        holding_cost=0.02 * unit_cost,
        order_cost=np.full(n, order_cost),
        volume=volume,
    )
    money, space = mean * unit_cost, 3 * mean * volume
    limits = [Limit("budget", None, None, tightness * money.sum(), np.ones(n, dtype=bool))]
    for code in range(SUPPLIERS):
        of = supplier == code
        limits.append(Limit("budget", f"supplier {code}", None, 1.3 * tightness * money[of].sum(), of))
    for code in range(WAREHOUSES):
        of = warehouse == code
        limits.append(Limit("space", f"warehouse {code}", None, tightness * space[of].sum(), of))
    return paths, np.zeros((n, weeks)), rng.integers(1, 4, n), terms, limits


def compact(world: World, plan: NetworkPlan, seconds: float) -> str:
    """Give HiGHS the whole plan as one program; return what it has after so many seconds."""
    paths, _, lead, terms, _ = world
    n, n_paths, weeks = paths.shape
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("time_limit", seconds)
    spends = [[[] for _ in range(weeks)] for _ in range(n)]
    opens = [[[] for _ in range(weeks)] for _ in range(n)]
    cost = []
    for i in range(n):
        least, most = max(1, -(-terms.moq[i] // terms.pack[i])), paths[i].sum(axis=1).max() // terms.pack[i] + 30
        packs = {}
        for t in range(weeks - int(lead[i])):
            packs[t], switch = highs.addIntegral(0, most), highs.addBinary()
            highs.addConstr(packs[t] <= most * switch)
            highs.addConstr(packs[t] >= least * switch)
            cost.append(terms.order_cost[i] * switch)
            spends[i][t].append(terms.unit_cost[i] * terms.pack[i] * packs[t])
        for s in range(n_paths):
            before = None
            for t in range(weeks):
                stock, lost = highs.addVariable(0), highs.addVariable(0)
                asked = paths[i, s, t] - (terms.on_hand[i] if t == 0 else 0)
                row = stock - lost
                row = row if before is None else row - before
                k = t - int(lead[i])
                highs.addConstr((row - terms.pack[i] * packs[k] if k >= 0 else row) == -asked)
                cost += [terms.holding_cost[i] / n_paths * stock, terms.shortage_cost[i] / n_paths * lost]
                opens[i][t].append(terms.volume[i] / n_paths * (stock - lost + paths[i, s, t]))
                before = stock
    for row, most in zip(plan.rows, plan.allowed, strict=True):
        of = spends if row.kind == "budget" else opens
        parts = [part for i in np.flatnonzero(row.members) for part in of[i][(row.period or 1) - 1]]
        if parts:
            highs.addConstr(highs.qsum(parts) <= most)
    started = time.perf_counter()
    highs.minimize(highs.qsum(cost))
    info, took = highs.getInfo(), time.perf_counter() - started
    found = "no plan" if info.primal_solution_status != 2 else f"cost {info.objective_function_value:,.1f}"
    return f"one program: {found}, bound {info.mip_dual_bound:,.1f} after {took:.1f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=20, help="products, each in three warehouses")
    parser.add_argument("--paths", type=int, default=10)
    parser.add_argument("--weeks", type=int, default=8)
    parser.add_argument("--gap", type=float, default=0.01)
    parser.add_argument("--tightness", type=float, nargs="+", default=[0.7, 0.9])
    parser.add_argument("--order-cost", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--compact", action="store_true")
    options = parser.parse_args()
    for tightness in options.tightness:
        for seed in range(options.seeds):
            world = made_up_network(
                options.products, options.paths, options.weeks, tightness, options.order_cost, seed
            )  # fmt: skip
            cpu, load = time.process_time(), os.getloadavg()[0]
            held = 0.0 if options.compact else LONGEST_HELD  # the one program runs nothing down
            plan = plan_network(*world, gap=options.gap, time_limit=options.seconds, longest_held=held)
            print(
                f"{len(world[0])} product-warehouses, {options.paths} paths, {options.weeks} weeks, limits at "
                f"{tightness:.0%}, seed {seed}: cost {plan.cost:,.1f}, bound {plan.bound:,.1f}, gap {plan.gap:.2%}, "
                f"{plan.rounds} rounds, {plan.plans} plans, {plan.seconds:.1f} s wall, "
                f"{time.process_time() - cpu:.1f} s of processor, load {load:.1f}, ended by {plan.stopped}"
            )
            if options.compact:
                print("  " + compact(world, plan, options.seconds))


if __name__ == "__main__":
    main()
