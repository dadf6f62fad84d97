"""Speed, proof and memory of an order decision: ``python bench/optimise.py [--size 100000] [--size 1000000]``.

Made-up product-warehouses with counts drawn beforehand (one byte a cell, so that a million fit), packs, minimum
quantities, a joint budget and space of three warehouses that bind. With ``--minima N`` each of N suppliers asks 80 % of
what would be ordered from it without limits, or nothing: all of them together do not fit the budget. Forecasts are not
timed. For each size: the table, the joint choice, both together, what was proven, and the peak memory. With ``--exact``
HiGHS alone chooses from the same table, an independent check for up to 10,000.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import polars as pl

from shelfwise.inventory.cost_table import cost_table
from shelfwise.inventory.joint_order import Choice, choose
from shelfwise.inventory.order_inputs import ArrayDemand, OrderTerms
from shelfwise.inventory.order_options import Limit, OrderOptions
from shelfwise.library import optimise

PERIODS, LEAD_TIME = 5, 2


def made_up_shop(n: int, n_paths: int) -> tuple[np.ndarray, pl.DataFrame]:
    """Return paths [N, S, H] as bytes and the frame of items: slow and fast, in packs that fit their demand."""
    generator = np.random.default_rng(0)
    mean = np.minimum(np.exp(generator.normal(0.6, 1.2, n)), 40.0)
    paths = np.empty((n, n_paths, PERIODS), dtype=np.uint8)
    for low in range(0, n, 20_000):
        part = slice(low, min(low + 20_000, n))
        size = (part.stop - low, n_paths, 1)
        level = generator.gamma(4.0, 0.25, size) * mean[part, None, None]  # a level misjudged stays misjudged
        paths[part] = np.minimum(generator.poisson(level, (size[0], n_paths, PERIODS)), 255)
    pack = np.maximum(np.exp2(np.rint(np.log2(mean / 2))), 1.0)
    price = np.exp(generator.normal(2.5, 0.8, n))
    items = pl.DataFrame(
        {
            "unique_id": np.arange(n).astype(str),
            "on_hand": np.rint(mean * generator.uniform(0, 4, n)),
            "lead_time_periods": np.full(n, float(LEAD_TIME)),
            "price": price,
            "unit_cost": 0.6 * price,
            "holding_cost": 0.01 * price,
            "pack": pack,
            "moq": pack * generator.integers(1, 4, n),
            "volume": np.exp(generator.normal(-4.0, 1.0, n)),
            "warehouse": generator.choice(["north", "south", "west"], n),
        }
    )
    return paths, items


def shared_limits(items: pl.DataFrame, options: OrderOptions) -> list[Limit]:
    """Return a budget of 60 % and space of 90 % of what would be used without limits, and suppliers' minima of 80 %."""
    free = options.cheapest()
    everyone = np.ones(options.n_items, dtype=np.bool_)
    limits = [Limit("budget", None, None, 0.6 * float(options.spend[free].sum()), everyone)]
    for warehouse in ("north", "south", "west"):
        members = (items["warehouse"] == warehouse).to_numpy()
        limits.append(Limit("space", warehouse, 3, 0.9 * float(options.space[free[members], 0].sum()), members))
    if "supplier" in items.columns:
        for supplier in items["supplier"].unique().sort():
            members = (items["supplier"] == supplier).to_numpy()
            limits.append(
                Limit("supplier_min", supplier, None, 0.8 * float(options.spend[free[members]].sum()), members)
            )
    return limits


def table_of(paths: np.ndarray, items: pl.DataFrame, threads: int) -> OrderOptions:
    """Return the cost table alone."""
    column = {
        name: items[name].to_numpy() for name in items.columns if name not in ("unique_id", "warehouse", "supplier")
    }
    n = items.height
    terms = OrderTerms(
        on_hand=column["on_hand"], review=np.ones(n, dtype=np.int64), pack=column["pack"], moq=column["moq"],
        largest=np.full(n, np.inf), unit_cost=column["unit_cost"], shortage_cost=column["price"] - column["unit_cost"],
        holding_cost=column["holding_cost"], order_cost=np.zeros(n), volume=column["volume"],
    )  # fmt: skip
    lead = np.full(n, LEAD_TIME, dtype=np.int64)
    return cost_table(ArrayDemand(paths), np.zeros((n, PERIODS)), lead, terms, space_periods=(3,), threads=threads)[0]


class Clock:
    """Wall and processor seconds of a step."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def __str__(self) -> str:
        return f"{time.perf_counter() - self.wall:7.2f} s wall {time.process_time() - self.cpu:7.2f} s processor"


def say(title: str, clock: Clock, text: str = "") -> None:
    """Print one line."""
    print(f"  {title:<34} {clock}   {text}", flush=True)


def proof(choice: Choice) -> str:
    """Say what was chosen and proven."""
    return f"cost {choice.cost:,.2f}, bound {choice.bound:,.2f}, gap {choice.gap:.5%} ({choice.mode})"


def main() -> None:
    """Print seconds, gaps and memory of each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, action="append", help="product-warehouses; may be given several times")
    parser.add_argument("--paths", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--gap", type=float, default=1e-4)
    parser.add_argument("--exact", action="store_true", help="let HiGHS alone choose too, for up to 10,000")
    parser.add_argument("--minima", type=int, default=0, help="suppliers that ask a minimum")
    options = parser.parse_args()
    for size in options.size or [1_000, 10_000, 100_000]:
        paths, items = made_up_shop(size, options.paths)
        if options.minima:
            own = pl.Series("supplier", np.arange(size) % options.minima).cast(pl.String)
            items = items.with_columns(own)
        print(f"{size:,} product-warehouses, {options.paths} paths x {PERIODS} periods, {options.threads} threads")
        clock = Clock()
        table = table_of(paths, items, options.threads)
        say("table", clock, f"{len(table.quantity) / size:.1f} options each")
        limits = shared_limits(items, table)
        clock = Clock()
        say("joint choice", clock, proof(choose(table, limits, gap=options.gap)))
        if options.exact and size <= 10_000:
            clock = Clock()
            say("exact (HiGHS)", clock, proof(choose(table, limits, gap=options.gap, mode="exact", time_limit=300)))
        frame = pl.DataFrame(
            {
                "kind": [limit.kind for limit in limits],
                "scope": [limit.scope for limit in limits],
                "period": [limit.period for limit in limits],
                "value": [limit.value for limit in limits],
            }
        )
        del table
        clock = Clock()
        decision = optimise(items, paths, limits=frame, gap=options.gap, threads=options.threads)
        say("frames in, decision out", clock, repr(decision))
        print(f"  peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB", flush=True)


if __name__ == "__main__":
    main()
