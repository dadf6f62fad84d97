"""Time what-if questions: ``python bench/what_if.py [--products 300] [--model base_level] [--runs 3]``.

Makes the made-up shop with so many products in two warehouses, plans it once, and asks each question on that plan, from
reading the store to the table of differences (the first that needs the model's own lifts measures them, the others
read them); then asks a library decision about as many products, with its orders
decided again. Prints CPU seconds, the median over the runs: they do not depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from shelfwise.app import open_app
from shelfwise.demo import make_shop
from shelfwise.inventory.optimise import optimise
from shelfwise.services import importing, planning
from shelfwise.services.what_if import ask
from shelfwise.services.what_if_questions import LeadTimeChange, Price, Promotion, Question

TODAY = date(2026, 11, 23)
WEEK = TODAY + timedelta(days=8), TODAY + timedelta(days=14)

QUESTIONS = {
    "demand +10 %": Question(demand={"shop": 1.1}),
    "lead time of S-BRIN +5 days": Question(lead_time={"S-BRIN": LeadTimeChange("S-BRIN", 5.0)}),
    "S-QANL closed for a month": Question(closed={"S-QANL": TODAY + timedelta(days=30)}),
    "budget": Question(budget={"all": 20_000.0}),
    "service level 99 %": Question(service_level=0.99),
    "promotion, factor given": Question(promotions=(Promotion("category:Cups", *WEEK, 1.6),)),
    "promotion, the model's lift": Question(promotions=(Promotion("category:Cups", *WEEK),)),
    "price -10 %, elasticity -2": Question(prices=(Price("category:Cups", 0.9),), elasticity=-2.0),
    "all of these at once": Question(
        demand={"shop": 1.1}, lead_time={"S-BRIN": LeadTimeChange("S-BRIN", 5.0)},
        closed={"S-QANL": TODAY + timedelta(days=30)}, budget={"all": 20_000.0}, service_level=0.97,
        promotions=(Promotion("category:Cups", *WEEK, 1.6),), prices=(Price("category:Filters", 0.9, 1.2),),
    ),
}  # fmt: skip


def seconds(work: Callable[[], object], runs: int) -> float:
    """Return median CPU seconds."""
    taken = []
    for _ in range(runs):
        before = time.process_time()
        work()
        taken.append(time.process_time() - before)
    return statistics.median(taken)


def in_a_shop(products: int, model: str, runs: int) -> None:
    """Ask a shop with a database."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_app(Path(folder) / "shop.db", folder=Path(folder), model=model) as app,
    ):
        frames = make_shop(today=TODAY, n_products=products)
        importing.book(app, frames, file_name="made up", fingerprint="1", profile="demo", receipt={})
        before = time.process_time()
        plan = planning.make_plan(app)
        print(
            f"shop: {products} products, {plan.lines.height} product-warehouses, {app.settings.n_paths} paths, "
            f"{plan.horizon} days; planned with {plan.model} in {time.process_time() - before:.2f} s CPU"
        )
        measured = QUESTIONS["promotion, the model's lift"]
        print(f"  {'lifts measured, once a plan':30} {seconds(lambda: ask(app, measured), 1):6.2f} s CPU")
        for name, question in QUESTIONS.items():
            print(f"  {name:30} {seconds(lambda asked=question: ask(app, asked), runs):6.2f} s CPU")


def in_the_library(products: int, runs: int) -> None:
    """Ask a decision about arrays."""
    rng = np.random.default_rng(0)
    mean = rng.lognormal(1.5, 1.2, products)
    paths = rng.poisson(mean[:, None, None] * rng.gamma(8, 1 / 8, (products, 200, 1)), (products, 200, 26))
    items = {
        "unique_id": [f"p{n}" for n in range(products)],
        "on_hand": np.round(mean * 2),
        "unit_cost": np.full(products, 3.0),
        "price": np.full(products, 5.0),
        "lead_time_periods": rng.integers(1, 5, products),
        "supplier": [f"S{n % 5}" for n in range(products)],
    }
    decision = optimise(items, paths)
    print(f"library: {products} products, 200 paths, 26 periods, orders decided again")
    for name, edit in {
        "demand=1.1": {"demand": 1.1},
        'lead_time={"S1": 2}': {"lead_time": {"S1": 2}},
        "budget=0.8": {"budget": 0.8},
        "service_level=0.97": {"service_level": 0.97},
    }.items():
        print(f"  {name:30} {seconds(lambda asked=edit: decision.what_if(**asked), runs):6.2f} s CPU")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=300, help="of the shop, 20 to 300, in two warehouses")
    parser.add_argument(
        "--model", default="base_level", help="the plan is made with; it decides nothing about a question"
    )
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}")
    in_a_shop(arguments.products, arguments.model, arguments.runs)
    in_the_library(500, arguments.runs)


if __name__ == "__main__":
    main()
