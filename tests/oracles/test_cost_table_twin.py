"""The slow twin of the cost table: one option, one path, one period at a time, in plain Python."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from shelfwise.inventory.cost_table import cost_table
from shelfwise.inventory.follow_on_rule import LONGEST_HELD
from shelfwise.inventory.order_inputs import ArrayDemand, OrderTerms, Tuning

EPS = 1e-3


def level_by_hand(demand: list[float], ratio: float, lot: float, unit: float) -> float:
    """Return the smallest level whose mean chance of covering, over the positions of a lot, is the ratio."""
    ordered, n = sorted(demand), len(demand)
    level = ordered[min(max(math.ceil(ratio * n - 1e-9) - 1, 0), n - 1)]
    if lot > unit:
        low, high = max(level - lot, 0.0), level
        for _ in range(16):
            middle = (low + high) / 2
            covered = sum(max(middle + lot - d, 0) - max(middle - d, 0) for d in demand) / n
            low, high = (low, middle) if covered >= ratio * lot else (middle, high)
        level = high
    return math.ceil(level - EPS)


def packs(need: float, pack: float, least: float) -> float:
    return math.ceil(max(need, least) / pack - EPS) * pack if need > EPS else 0.0


class Twin:
    """One item, walked by hand."""

    def __init__(self, world: dict[str, Any], item: int, tuning: Tuning) -> None:
        self.paths = world["paths"][item].tolist()  # [S][H]
        self.inbound = world["inbound"][item].tolist()
        self.lead = world["lead"][item].tolist()
        self.t = {f.name: float(getattr(world["terms"], f.name)[item]) for f in fields(world["terms"])}
        self.tuning = tuning
        self.review = int(self.t["review"])
        self.n, self.horizon = len(self.paths), len(self.paths[0])
        longest = max(self.lead)
        self.k = min(max((self.horizon - longest) // self.review - 1, 0), tuning.reviews_ahead)
        self.end = (self.k + 1) * self.review + longest
        self.rule()

    def lead_of(self, look: int, s: int) -> int:
        return int(self.lead[(s - 17 * look) % self.n])

    def rule(self) -> None:
        t, r = self.t, self.review
        first = min((self.k + 1) * r, self.horizon - r)
        self.mean = sum(sum(path[first:]) for path in self.paths) / self.n / (self.horizon - first)
        safe = max(self.mean, 1e-9)
        h, p = t["holding_cost"], t["shortage_cost"]
        self.unit = min(t["pack"], 1.0)
        economic = min(math.sqrt(2 * safe * t["order_cost"] / max(h, 1e-12)), safe * LONGEST_HELD)
        lot = max(self.unit, economic, t["moq"], t["pack"])
        self.lot = math.ceil(lot / t["pack"] - 1e-9) * t["pack"]
        each = t["order_cost"] / self.lot + h * max(self.lot + self.unit - self.mean, 0) / (2 * safe)
        self.off = self.tuning.follow_on == "none"
        self.never = self.mean <= 1e-9 or self.off or (self.tuning.unmet == "lost" and each >= p)
        wait = sum(self.lead) / self.n / 2 if self.tuning.unmet == "lost" else 0
        ratio = p / max(p + h * (r + wait), 1e-12)
        self.levels = []
        for look in range(1, self.k + 2):
            demand = []
            for s, path in enumerate(self.paths):
                length = self.lead_of(look, s) + r
                start = min(look * r, self.horizon - length)
                demand.append(sum(path[start : start + length]))
            self.levels.append(-1e9 if self.never else level_by_hand(demand, ratio, self.lot, self.unit))
        share = h * (self.lot - self.unit) / (2 * safe) + t["order_cost"] / max(self.lot, self.mean * r)
        self.credit = min(p, share)
        if self.never:
            self.credit = 0.0 if self.off else p

    def run_down(self, excess: float) -> float:
        if excess <= 0:
            return 0.0
        h, safe = self.t["holding_cost"], max(self.mean, 1e-9)
        more = -self.mean if self.off else self.mean * self.review
        value = h * excess * (excess + self.unit + more) / (2 * safe) - self.credit * excess
        return min(value, h * LONGEST_HELD * excess)

    def walk(self, quantity: float, s: int) -> dict[str, float]:
        t, path, r = self.t, self.paths[s], self.review
        stock = t["on_hand"]
        coming = {h: units for h, units in enumerate(self.inbound)}
        ours = quantity  # on order of what was ordered from now on
        coming[self.lead[s]] = coming.get(self.lead[s], 0) + quantity
        cost = t["order_cost"] * (quantity > 0)
        lost_in_time, came, gone, opening = 0.0, 0.0, 0.0, stock
        for period in range(self.end + 1):
            look = period // r
            if period and period % r == 0 and look <= self.k + 1 and not self.off:
                due = sum(self.inbound[period : period + max(self.lead) + r])
                position = stock + ours + due
                order = packs(self.levels[look - 1] - position, t["pack"], self.lot)
                cost += t["order_cost"] * (order > 0)
                if look <= self.k:
                    when = period + self.lead_of(look, s)
                    coming[when] = coming.get(when, 0) + order
                    ours += order
                else:
                    cost += self.run_down(position + order - max(self.levels[-1], 0.0))
            if period == self.end:
                break
            arrives = coming.pop(period, 0.0)
            ours -= arrives - self.inbound[period]
            stock += arrives
            came += arrives
            if self.tuning.unmet == "lost":
                sold = min(stock, path[period])
                short = lost = path[period] - sold
                stock -= sold
                gone += sold
            else:
                stock -= path[period]
                short = max(-stock, 0.0)
                lost = min(short, path[period])
            cost += t["holding_cost"] * max(stock, 0.0) + t["shortage_cost"] * short
            if period < self.lead[s] + r:
                lost_in_time += lost
        if self.tuning.unmet == "lost":
            assert opening + came == pytest.approx(gone + stock, abs=1e-9)  # no unit appears or vanishes
        if self.off:
            cost += self.run_down(max(stock, 0.0))
        return {"cost": cost, "lost": lost_in_time, "out": float(lost_in_time > EPS)}


def made_up_world(
    rng: np.random.Generator, n: int, s: int, h: int, *, random_lead: bool, whole: bool
) -> dict[str, Any]:
    """Return items of every kind: slow and fast, packs, minima, order costs, stock on hand and due."""
    mean = rng.choice([0.0, 0.05, 0.4, 3.0, 25.0], n)
    paths = rng.poisson(mean[:, None, None] * rng.gamma(2, 0.5, (n, s, h))).astype(float)
    if not whole:
        paths *= 0.75
    review = rng.integers(1, 3, n)
    lead = rng.integers(0, 3, (n, s)) if random_lead else np.repeat(rng.integers(0, 5, (n, 1)), s, axis=1)
    terms = OrderTerms(
        on_hand=rng.integers(0, 5, n) * np.maximum(mean, 1),
        review=review,
        pack=rng.choice([1.0, 1.0, 4.0, 12.0], n),
        moq=rng.choice([0.0, 0.0, 10.0], n),
        largest=rng.choice([np.inf, 30.0], n),
        unit_cost=rng.uniform(1, 9, n),
        shortage_cost=rng.uniform(0.2, 5, n),
        holding_cost=rng.choice([0.02, 0.2, 1.0], n),
        order_cost=rng.choice([0.0, 0.0, 3.0], n),
        volume=rng.uniform(0, 1, n),
    )
    inbound = rng.choice([0.0, 0.0, 0.0, 6.0], (n, h))
    return {"paths": paths, "lead": lead, "terms": terms, "inbound": inbound}


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    random_lead=st.booleans(),
    whole=st.booleans(),
    unmet=st.sampled_from(["lost", "lost", "backorder"]),
    follow_on=st.sampled_from(["base_stock", "base_stock", "none"]),
    ahead=st.integers(0, 3),
    horizon=st.integers(6, 11),
)
def test_the_table_equals_the_walk_by_hand(
    seed: int, random_lead: bool, whole: bool, unmet: str, follow_on: str, ahead: int, horizon: int
) -> None:
    tuning = Tuning(unmet=unmet, follow_on=follow_on, reviews_ahead=ahead)
    world = made_up_world(np.random.default_rng(seed), 4, 5, horizon, random_lead=random_lead, whole=whole)
    options, summary = cost_table(
        ArrayDemand(world["paths"]), world["inbound"], world["lead"], world["terms"], tuning=tuning
    )
    for item in range(4):
        twin = Twin(world, item, tuning)
        assert summary.last_period[item] == twin.end
        for row in range(options.offsets[item], options.offsets[item + 1])[:8]:
            walks = [twin.walk(float(options.quantity[row]), s) for s in range(5)]
            for name, got in (("cost", options.cost), ("lost", options.lost_units), ("out", options.stockout)):
                want = sum(walk[name] for walk in walks) / 5
                assert_allclose(got[row], want, rtol=2e-5, atol=2e-4, err_msg=f"{name} of {options.quantity[row]}")
