"""What holds for any decision: orders in whole packs, never more than allowed, and money that buys never less."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from shelfwise.inventory.cost_table import cost_table
from shelfwise.inventory.joint_order import choose
from shelfwise.inventory.lot_sizing import orderable_quantity
from shelfwise.inventory.optimise import OrderDecision, optimise
from shelfwise.inventory.order_inputs import ArrayDemand, OrderTerms, Tuning
from shelfwise.inventory.order_options import Limit, OrderOptions

SEEDS = st.integers(0, 100_000)


def any_items(rng: np.random.Generator, n: int, horizon: int = 8) -> tuple[np.ndarray, dict[str, Any]]:
    """Return paths [n, 40, H] and items of every kind."""
    mean = rng.choice([0.0, 0.1, 1.0, 8.0, 90.0], n)
    paths = rng.poisson(mean[:, None, None] * rng.gamma(3, 1 / 3, (n, 40, 1)), (n, 40, horizon))
    items = {
        "unique_id": [f"i{k}" for k in range(n)],
        "on_hand": (rng.integers(-1, 5, n) * np.maximum(mean, 1)).tolist(),
        "lead_time_periods": rng.integers(0, 4, n).tolist(),
        "review_periods": rng.integers(1, 4, n).tolist(),
        "unit_cost": rng.uniform(1, 9, n).tolist(),
        "shortage_cost": rng.uniform(0.5, 6, n).tolist(),
        "holding_cost": rng.choice([0.0, 0.02, 0.3], n).tolist(),
        "order_cost": rng.choice([0.0, 0.0, 4.0], n).tolist(),
        "pack": rng.choice([1.0, 6.0, 2.5], n).tolist(),
        "moq": rng.choice([0.0, 15.0], n).tolist(),
        "largest_quantity": [None if u < 0.7 else 40.0 for u in rng.random(n)],
    }
    return paths, items


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_orders_are_whole_packs_of_at_least_the_minimum_and_at_most_the_largest(seed: int) -> None:
    paths, items = any_items(np.random.default_rng(seed), 12)
    decision = optimise(items, paths)
    quantity, pack = decision.quantity, np.array(items["pack"])
    ordered = quantity > 0
    assert np.all(quantity >= 0)
    assert_allclose(quantity / pack, np.rint(quantity / pack), atol=1e-6)
    assert np.all(quantity[ordered] >= orderable_quantity(pack, pack, np.array(items["moq"]))[ordered] - 1e-6)
    largest = np.array([np.inf if most is None else most for most in items["largest_quantity"]])
    assert np.all(quantity <= largest + 1e-6)
    nothing = decision.options.cost[decision.options.offsets[:-1]]
    assert np.all(decision.options.cost[decision.chosen] <= nothing)
    assert decision.orders.height == 12


@settings(max_examples=8, deadline=None)
@given(SEEDS, st.floats(0.05, 0.9))
def test_more_budget_never_costs_more(seed: int, share: float) -> None:
    paths, items = any_items(np.random.default_rng(seed), 12)
    free = optimise(items, paths)
    spends = [share * free.spend, (share + 0.1) * free.spend]
    less, more = (
        optimise(items, paths, limits={"kind": ["budget"], "value": [value]}, gap=1e-9, mode="exact")
        for value in spends
    )
    assert free.cost <= more.cost + 1e-6
    assert more.cost <= less.cost + 1e-6
    assert less.spend <= spends[0] + 1e-6
    assert less.bound <= less.cost + 1e-9


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(40, 4000), st.integers(1, 3), st.booleans())
def test_chunks_threads_and_company_change_nothing(seed: int, cells: int, threads: int, random_lead: bool) -> None:
    rng = np.random.default_rng(seed)
    paths, items = any_items(rng, 9)
    lead = rng.integers(0, 4, (9, 40)) if random_lead else np.array(items["lead_time_periods"])
    terms = terms_of(items)
    inbound = rng.choice([0.0, 0.0, 5.0], (9, 8))
    whole, _ = cost_table(ArrayDemand(paths), inbound, lead, terms, space_periods=(0, 2), threads=1)
    parts, _ = cost_table(
        ArrayDemand(paths), inbound, lead, terms, space_periods=(0, 2), threads=threads, chunk_cells=cells
    )
    assert_same(whole, parts)
    some = np.array([1, 4, 8])
    alone, _ = cost_table(ArrayDemand(paths), inbound, lead, terms, rows=some, space_periods=(0, 2))
    rows = np.concatenate([np.arange(whole.offsets[i], whole.offsets[i + 1]) for i in some])
    assert_array_equal(alone.cost, whole.cost[rows])
    assert_array_equal(alone.space, whole.space[rows])


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.sampled_from(["lost", "backorder"]))
def test_more_ordered_means_fewer_lost_and_more_space(seed: int, unmet: str) -> None:
    paths, items = any_items(np.random.default_rng(seed), 8)
    items["lead_time_periods"] = [min(lead, 2) for lead in items["lead_time_periods"]]
    options, _ = cost_table(
        ArrayDemand(paths), np.zeros((8, 8)), np.array(items["lead_time_periods"]), terms_of(items), space_periods=(0,),
        tuning=Tuning(unmet=unmet),
    )  # fmt: skip
    inside = np.diff(options.item) == 0
    assert np.all(np.diff(options.quantity)[inside] > 0)
    assert np.all(np.diff(options.lost_units)[inside] <= 1e-4)
    assert np.all(np.diff(options.stockout)[inside] <= 1e-9)
    assert np.all(np.diff(options.space[:, 0])[inside] >= -1e-4)


def at_every_stock(seed: int, pack: float, n_paths: int = 200) -> OrderDecision:
    """Decide for one product with every stock from none to more than enough; one item each."""
    rng = np.random.default_rng(seed)
    mean = float(rng.choice([0.05, 0.2, 1.0, 4.0, 12.0]))
    paths = rng.poisson(mean * rng.gamma(2, 0.5, (1, n_paths, 1)), (1, n_paths, 8))
    stocks = np.arange(0, 7 * np.ceil(mean) + 4)
    n, due = len(stocks), rng.choice([0, 0, 3], 8)
    ids = [f"s{k}" for k in range(n)]
    items = {
        "unique_id": ids, "on_hand": stocks, "lead_time_periods": [int(rng.integers(0, 4))] * n, "pack": [pack] * n,
        "review_periods": [int(rng.integers(1, 4))] * n, "holding_cost": [rng.uniform(0.005, 0.4)] * n,
        "unit_cost": [1.0] * n, "shortage_cost": [1.0] * n,
    }  # fmt: skip
    inbound = {"unique_id": np.repeat(ids, 8), "period": np.tile(np.arange(1, 9), n), "quantity": np.tile(due, n)}
    return optimise(items, np.repeat(paths, n, axis=0), inbound)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_more_on_hand_never_orders_more(seed: int) -> None:
    """Single units, no minimum, no cost of an order, and the 200 paths that forecasts draw by default."""
    decision = at_every_stock(seed, 1.0)
    assert np.all(np.diff(decision.quantity) <= 0)
    assert decision.quantity[-1] == 0


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.sampled_from([1.0, 2.5, 6.0]), st.sampled_from([20, 200]))
def test_packs_or_few_paths_let_an_order_rise_only_between_quantities_that_cost_the_same(
    seed: int, pack: float, n_paths: int
) -> None:
    decision = at_every_stock(seed, pack, n_paths)
    options, rows = decision.options, decision.chosen
    for i in np.flatnonzero(np.diff(decision.quantity) > 0).tolist():
        own = slice(options.offsets[i + 1], options.offsets[i + 2])
        same = options.quantity[own] <= decision.quantity[i] + 1e-9
        assert options.cost[own][same].min() <= options.cost[rows[i + 1]] * 1.02


def test_with_a_minimum_even_the_best_order_rises_with_the_stock() -> None:
    """Two are asked for in each of two periods, at least two are ordered, a unit left costs 1 a period, a lost sale 9.

    What is left in the end is held for one period more.

    With none on hand two now and two later cost nothing. With one on hand the three that are lacking are best ordered
    at once: after two now one is lacking, which cannot be ordered alone. So a minimum has no
    property "never rising with the stock" that a right answer could keep.
    """

    def cost(on_hand: int, first: int, second: int) -> int:
        left = on_hand + first - 2
        after = max(left, 0) + second - 2
        return max(left, 0) + 2 * max(after, 0) + 9 * (max(-left, 0) + max(-after, 0))

    allowed = (0, 2, 3, 4, 5)
    best = {stock: min((cost(stock, a, b), a) for a in allowed for b in allowed) for stock in (0, 1)}
    assert best == {0: (0, 2), 1: (2, 3)}
    assert min(cost(1, first, b) for first in (0, 2) for b in allowed) == 3


def terms_of(items: dict[str, Any]) -> OrderTerms:
    column = {name: np.array(cells) for name, cells in items.items() if name not in ("unique_id", "largest_quantity")}
    n = len(column["pack"])
    return OrderTerms(
        on_hand=np.maximum(column["on_hand"], 0), review=column["review_periods"], pack=column["pack"],
        moq=column["moq"], largest=np.array([np.inf if q is None else q for q in items["largest_quantity"]]),
        unit_cost=column["unit_cost"], shortage_cost=column["shortage_cost"], holding_cost=column["holding_cost"],
        order_cost=column["order_cost"], volume=np.full(n, 0.5),
    )  # fmt: skip


def assert_same(one: OrderOptions, two: OrderOptions) -> None:
    for field in fields(one):
        assert_array_equal(getattr(one, field.name), getattr(two, field.name), err_msg=field.name)


def test_options_of_two_chunks_choose_as_one() -> None:
    paths, items = any_items(np.random.default_rng(1), 10)
    options, _ = cost_table(
        ArrayDemand(paths), np.zeros((10, 8)), np.array(items["lead_time_periods"]), terms_of(items)
    )
    halves = [
        cost_table(
            ArrayDemand(paths), np.zeros((10, 8)), np.array(items["lead_time_periods"]), terms_of(items), rows=rows
        )[0]
        for rows in (np.arange(5), np.arange(5, 10))
    ]
    joined = OrderOptions.joined(halves)
    budget = Limit("budget", None, None, 50.0, np.ones(10, dtype=np.bool_))
    assert choose(joined, [budget]).cost == pytest.approx(choose(options, [budget]).cost)
    assert_same(replace(joined), options)
