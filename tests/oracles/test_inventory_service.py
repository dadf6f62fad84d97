"""The service that is promised is the service that is delivered: levels set on paths, judged on other demand.

300 products are run for a year and a half, unmet demand is owed (the world for which the formulas are exact); with
lost sales the service is higher still. Demand is negative binomial, stock ordered every R days, arriving after L.
"""

from __future__ import annotations

import numpy as np
import pytest

from shelfwise.inventory.lead_time_demand import demand_over, protection_demand
from shelfwise.inventory.policies import PeriodicReview
from shelfwise.inventory.safety_stock import stock_target

PRODUCTS, DAYS, WARM_UP = 300, 550, 60


def sales(rng: np.random.Generator, n_paths: int, horizon: int, mean: float) -> np.ndarray:
    return rng.negative_binomial(4, 4 / (4 + mean), (PRODUCTS, n_paths, horizon)).astype(float)


def run(order_up_to: np.ndarray, demand: np.ndarray, lead: int, review: int) -> tuple[float, float]:
    """Return the share of units filled and of cycles without a shortage."""
    policy = PeriodicReview(review, np.ceil(order_up_to - 1e-9))
    stock = np.asarray(policy.order_up_to).copy()
    coming = np.zeros((PRODUCTS, DAYS + lead + 1))
    filled = asked = covered = cycles = 0.0
    short = np.zeros(PRODUCTS, dtype=bool)
    for day in range(DAYS):
        stock += coming[:, day]
        coming[:, day + lead] += policy.order_quantity(stock + coming[:, day + 1 :].sum(axis=1), day)
        if day >= WARM_UP and (day - lead) % review == 0:
            covered, cycles = covered + float((~short).sum()), cycles + PRODUCTS
            short[:] = False
        served = np.minimum(np.maximum(stock, 0), demand[:, day])
        if day >= WARM_UP - review:
            filled, asked = filled + served.sum(), asked + demand[:, day].sum()
            short |= served < demand[:, day]
        stock -= demand[:, day]
    return filled / asked, covered / cycles


@pytest.mark.parametrize(("kind", "level"), [("cycle", 0.9), ("cycle", 0.98), ("fill", 0.9), ("fill", 0.98)])
@pytest.mark.parametrize(("lead", "review"), [(3, 7), (14, 7)])
def test_the_service_promised_is_delivered_and_not_much_more(kind: str, level: float, lead: int, review: int) -> None:
    rng = np.random.default_rng(11)
    paths = sales(rng, 200, lead + review, mean=4.0)
    protection = protection_demand(paths, np.full(PRODUCTS, lead), review)
    cycle = protection.mean(axis=1) - demand_over(paths, np.full(PRODUCTS, lead)).mean(axis=1)
    target = stock_target(protection, cycle, level, kind)
    fill_rate, cycle_service = run(target.order_up_to, sales(rng, 1, DAYS, mean=4.0)[:, 0], lead, review)
    got = cycle_service if kind == "cycle" else fill_rate
    assert level - 0.005 <= got <= level + 0.025
