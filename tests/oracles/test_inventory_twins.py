"""Slow twins: the same answers by plain loops over one product, one path, one period at a time."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from shelfwise.inventory.lead_time_demand import CHUNK_BYTES, LeadTime, protection_demand
from shelfwise.inventory.proposal import propose
from shelfwise.inventory.safety_stock import fill_rate_stock
from shelfwise.inventory.stockout_risk import projected_stock, stockout_risk


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def walk_by_hand(on_hand: float, inbound: list[float], demand: list[float]) -> tuple[list[float], list[float]]:
    """Return closing stock and lost units by period, one unit of bookkeeping after the other."""
    stock, closing, lost = max(on_hand, 0.0), [], []
    for arrives, asked in zip(inbound, demand, strict=True):
        stock += arrives
        served = min(stock, asked)
        lost.append(asked - served)
        stock -= served
        closing.append(stock)
    return closing, lost


def test_stockout_risk_equals_the_walk_by_hand(rng: np.random.Generator) -> None:
    n, s, h = 6, 15, 12
    paths = rng.poisson(4, (n, s, h)).astype(float)
    inbound = rng.choice([0.0, 0.0, 0.0, 20.0], (n, h))
    on_hand = np.array([0.0, 5.0, 20.0, 60.0, 1000.0, -3.0])
    risk = stockout_risk(on_hand, inbound, paths)
    stock = projected_stock(on_hand, inbound, paths)
    for i in range(n):
        first = []
        lost_units = np.zeros(h)
        for j in range(s):
            closing, lost = walk_by_hand(on_hand[i], inbound[i].tolist(), paths[i, j].tolist())
            assert_allclose(stock[i, j], closing)
            lost_units += lost
            first.append(next((t for t, units in enumerate(lost) if units > 0), h))
        assert_allclose(risk.lost_units[i], lost_units / s)
        assert_allclose(risk.probability[i], [sum(f <= t for f in first) / s for t in range(h)])
        middle = sorted(first)[math.ceil(s / 2) - 1]
        assert risk.median_period()[i] == middle + 1 or (middle == h and np.isnan(risk.median_period()[i]))


def test_order_by_equals_trying_every_day(rng: np.random.Generator) -> None:
    """An order of plenty, placed as late as order_by says, keeps the promise; a period later it does not."""
    s, h, lead, level = 200, 30, 4, 0.9
    paths = rng.poisson(5, (1, s, h)).astype(float)
    wait = int(stockout_risk([70.0], np.zeros((1, h)), paths).order_by([lead], level)[0])

    def chance(order_after: int) -> float:
        arriving = np.zeros((1, h))
        arriving[0, order_after + lead] = 1e6
        return float(stockout_risk([70.0], arriving, paths).probability[0, -1])

    assert chance(wait) <= 1 - level < chance(wait + 1)


def test_protection_demand_equals_sums_by_hand(rng: np.random.Generator) -> None:
    paths = rng.gamma(2.0, 3.0, (5, 8, 20)).astype(np.float32)
    lead, review = rng.integers(0, 12, (5, 8)), rng.integers(1, 8, 5)
    got = protection_demand(paths, lead, review)
    for i in range(5):
        for j in range(8):
            assert got[i, j] == pytest.approx(sum(paths[i, j, : lead[i, j] + review[i]].tolist()), rel=1e-5)


def test_slices_of_series_change_no_number(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = rng.poisson(2, (11, 7, 13)).astype(float)
    lead, inbound = rng.integers(0, 8, (11, 7)), rng.poisson(1, (11, 13)).astype(float)
    whole = protection_demand(paths, lead, 2), stockout_risk(np.full(11, 9.0), inbound, paths)
    monkeypatch.setattr("shelfwise.inventory.lead_time_demand.CHUNK_BYTES", 7 * 13 * 8 * 3)
    parts = protection_demand(paths, lead, 2), stockout_risk(np.full(11, 9.0), inbound, paths)
    assert_array_equal(whole[0], parts[0])
    assert_array_equal(whole[1].probability, parts[1].probability)
    assert_array_equal(whole[1].lost_units, parts[1].lost_units)
    assert CHUNK_BYTES > 7 * 13 * 8 * 3


def test_fill_rate_stock_equals_a_search_in_small_steps(rng: np.random.Generator) -> None:
    demand = rng.gamma(1.5, 10.0, (4, 50))
    cycle = np.array([5.0, 10.0, 20.0, 1000.0])
    got = fill_rate_stock(demand, cycle, 0.9)
    for i in range(4):
        grid = np.arange(0, demand[i].max() + 1, 0.01)
        enough = [np.maximum(demand[i] - y, 0).mean() <= 0.1 * cycle[i] for y in grid]
        assert got[i] == pytest.approx(grid[enough.index(True)], abs=0.011)


def propose_by_hand(item: dict, paths: np.ndarray, inbound: np.ndarray, leads: list[int]) -> float:
    """Return the order of one product by the definitions alone."""
    review = int(item["review_periods"])
    totals = sorted(sum(paths[j][: leads[j] + review]) for j in range(len(paths)))
    target = totals[math.ceil(item["service_level"] * len(totals) - 1e-9) - 1]
    window = math.ceil(item["lead_time_periods"]) + review
    need = math.ceil(target) - math.floor(item["on_hand"]) - math.floor(sum(inbound[:window]))
    if need <= 0:
        return 0.0
    return math.ceil(max(need, item["minimum_order_quantity"]) / item["pack_size"]) * item["pack_size"]


def test_propose_equals_the_definitions_product_by_product(rng: np.random.Generator) -> None:
    n, s, h = 12, 40, 60
    paths = rng.negative_binomial(2, 0.3, (n, s, h)).astype(float)
    inbound = rng.choice([0.0, 0.0, 0.0, 0.0, 11.5], (n, h))
    items = pl.DataFrame(
        {
            "unique_id": [f"p{i}" for i in range(n)],
            "product": [f"p{i}" for i in range(n)],
            "warehouse": ["main"] * n,
            "on_hand": rng.integers(0, 150, n) + 0.5,
            "pack_size": rng.choice([1.0, 6.0, 12.0], n),
            "minimum_order_quantity": rng.choice([0.0, 50.0], n),
            "lead_time_periods": rng.integers(2, 12, n).astype(float),
            "lead_time_sd_periods": rng.choice([0.0, 2.0], n),
            "review_periods": rng.choice([1.0, 7.0], n),
            "service_level": rng.choice([0.5, 0.8, 0.95], n),
        }
    )
    days = [date(2026, 11, 21) + timedelta(days=d) for d in range(h + 1)]
    lines = propose(items, paths, inbound, days, seed=3)
    lead_time = LeadTime(items["lead_time_periods"].to_numpy(), items["lead_time_sd_periods"].to_numpy())
    leads = lead_time.draw(items["unique_id"].to_list(), s, seed=3)
    by_hand = [
        propose_by_hand(row, paths[i], inbound[i], leads[i].tolist())
        for i, row in enumerate(items.iter_rows(named=True))
    ]
    assert lines["quantity"].to_list() == by_hand
    assert 0 < sum(q > 0 for q in by_hand) < n
