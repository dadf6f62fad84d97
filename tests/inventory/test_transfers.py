"""Stock moves between warehouses where that saves money, and only then."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.optimise import optimise
from shelfwise.inventory.transfers import Lane, StockValue, best_transfers

BOTH = (Lane("S", "E", 1, 0.2), Lane("E", "S", 1, 0.2))


def lost_sales(demand: np.ndarray, holding: float = 0.1, shortage: float = 2.0) -> StockValue:
    """Return the cost of running down stocks that are never ordered again, on one path [N, H] of demand."""

    def value(rows: np.ndarray, on_hand: np.ndarray, due: np.ndarray) -> np.ndarray:
        stock, cost = on_hand.copy(), np.zeros(len(rows))
        for h in range(due.shape[1]):
            stock = stock + due[:, h] - demand[rows, h]
            cost += shortage * np.maximum(-stock, 0) + holding * np.maximum(stock, 0)
            stock = np.maximum(stock, 0)
        return cost

    return value


def test_nothing_moves_where_no_lane_leads() -> None:
    value = lost_sales(np.full((2, 3), 4.0))
    assert len(best_transfers(value, np.array([30.0, 0.0]), np.zeros((2, 3)), ["a", "a"], ["S", "E"], [])) == 0
    assert len(best_transfers(value, np.array([30.0, 0.0]), np.zeros((2, 3)), ["a", "b"], ["S", "E"], BOTH)) == 0
    assert len(best_transfers(value, np.array([30.0, 0.0]), np.zeros((2, 3)), [None, None], ["S", "E"], BOTH)) == 0


def test_nothing_moves_that_costs_more_than_it_saves_or_comes_too_late() -> None:
    value, stock = lost_sales(np.full((2, 3), 4.0)), np.array([30.0, 0.0])
    for lane in (Lane("S", "E", 1, 5.0), Lane("S", "E", 3, 0.0)):
        assert len(best_transfers(value, stock, np.zeros((2, 3)), ["a", "a"], ["S", "E"], [lane])) == 0


def test_a_broken_unit_stays_where_it_is() -> None:
    value = lost_sales(np.full((2, 3), 4.0))
    moves = best_transfers(value, np.array([6.7, 0.0]), np.zeros((2, 3)), ["a", "a"], ["S", "E"], BOTH[:1])
    assert_allclose(moves.quantity, np.rint(moves.quantity))
    moves = best_transfers(value, np.array([0.9, 0.0]), np.zeros((2, 3)), ["a", "a"], ["S", "E"], BOTH[:1])
    assert len(moves) == 0


def test_the_frame_names_product_warehouses_and_money() -> None:
    value = lost_sales(np.full((2, 3), 4.0))
    moves = best_transfers(value, np.array([30.0, 0.0]), np.zeros((2, 3)), ["a", "a"], ["S", "E"], BOTH)
    row = moves.frame(["a", "a"], ["S", "E"]).row(0, named=True)
    assert (row["product"], row["from"], row["to"], row["quantity"], row["arrives"]) == ("a", "S", "E", 8.0, 2)
    assert row["cost"] == pytest.approx(1.6)
    assert row["saving"] > 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_moves_keep_units_and_save_what_they_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    demand = rng.integers(0, 9, (6, 4)).astype(float)
    on_hand, due = rng.integers(0, 40, 6).astype(float), rng.choice([0.0, 0.0, 6.0], (6, 4))
    products, warehouses = ["a", "a", "a", "b", "b", "b"], ["S", "E", "N"] * 2
    lanes = [Lane(w, v, int(rng.integers(0, 3)), float(rng.uniform(0, 1))) for w, v in itertools.permutations("SEN", 2)]
    value = lost_sales(demand)
    moves = best_transfers(value, on_hand, due, products, warehouses, lanes)
    left, coming = moves.applied(on_hand, due)
    assert np.all(left >= 0)
    assert_allclose(left.sum() + coming.sum(), on_hand.sum() + due.sum())
    assert not set(moves.giver.tolist()) & set(moves.taker.tolist())
    rows = np.arange(6)
    before, after = value(rows, on_hand, due).sum(), value(rows, left, coming).sum()
    assert_allclose(before - after - moves.cost.sum(), moves.saving.sum(), atol=1e-9)
    assert np.all(moves.saving > 0)


@pytest.mark.parametrize("seed", range(12))
def test_two_warehouses_move_what_trying_every_quantity_finds_best(seed: int) -> None:
    rng = np.random.default_rng(seed)
    demand = rng.integers(0, 30, (2, 4)).astype(float)
    on_hand, due = rng.integers(0, 90, 2).astype(float), np.zeros((2, 4))
    value, rows = lost_sales(demand), np.arange(2)
    best = value(rows, on_hand, due).sum()
    for giver, lane in enumerate(BOTH):
        for units in range(int(on_hand[giver]) + 1):
            stock, coming = on_hand.copy(), due.copy()
            stock[giver] -= units
            coming[1 - giver, lane.arrives - 1] += units
            best = min(best, value(rows, stock, coming).sum() + lane.cost * units)
    moves = best_transfers(value, on_hand, due, ["a", "a"], ["S", "E"], BOTH)
    left, coming = moves.applied(on_hand, due)
    assert_allclose(value(rows, left, coming).sum() + moves.cost.sum(), best)


def three_warehouses(seed: int) -> tuple[pl.DataFrame, np.ndarray, pl.DataFrame]:
    rng = np.random.default_rng(seed)
    n = 12
    mean = rng.lognormal(2.0, 0.5, n)
    items = pl.DataFrame(
        {
            "unique_id": [f"item {k}" for k in range(n)],
            "product": [f"P{k // 3}" for k in range(n)],
            "warehouse": [f"W{k % 3}" for k in range(n)],
            "on_hand": np.rint(mean * rng.uniform(0, 6, n)),
            "lead_time_periods": rng.integers(2, 5, n).astype(float),
            "unit_cost": rng.uniform(2, 20, n),
            "order_cost": np.full(n, 4.0),
        }
    )
    lanes = pl.DataFrame(
        {"from": ["W0", "W1"], "to": ["W2", "W0"], "lead_time_periods": [1.0, 0.5], "cost": [0.3, 0.2]}
    )
    return items, rng.poisson(mean[:, None, None], (n, 40, 8)).astype(np.float32), lanes


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("budget", [None, 300.0])
def test_a_decision_with_lanes_is_never_dearer_than_without(seed: int, budget: float | None) -> None:
    items, paths, lanes = three_warehouses(seed)
    limits = None if budget is None else pl.DataFrame({"kind": ["budget"], "value": [budget]})
    without, having = optimise(items, paths, limits=limits), optimise(items, paths, limits=limits, lanes=lanes)
    assert having.bound <= having.cost <= without.cost + 1e-9
    assert having.spend <= (np.inf if budget is None else budget + 1e-9)
    moved = having.transfers
    assert moved.height
    assert set(moved["from"]) <= {"W0", "W1"}
    given = moved.group_by("product", "from").agg(pl.col("quantity").sum())
    stock = given.join(items, left_on=["product", "from"], right_on=["product", "warehouse"])
    assert stock.height == given.height
    assert (stock["quantity"] <= stock["on_hand"]).all()
    assert having.cost == pytest.approx(having.choice.cost + moved["cost"].sum())


def test_lanes_that_are_too_dear_leave_the_decision_as_it_was() -> None:
    items, paths, lanes = three_warehouses(0)
    without, having = optimise(items, paths), optimise(items, paths, lanes=lanes.with_columns(cost=pl.lit(1e3)))
    assert having.cost == without.cost
    assert having.transfers.height == 0


def test_wrong_lanes_and_stocks_are_refused() -> None:
    with pytest.raises(ParameterError, match="leads from 'S' to itself"):
        Lane("S", "S", 1, 0.0)
    with pytest.raises(ParameterError, match="lead_time_periods of a lane must be zero or more, got nan"):
        Lane("S", "E", np.nan, 0.0)
    with pytest.raises(ParameterError, match="on_hand and due must be finite"):
        best_transfers(lost_sales(np.ones((1, 2))), np.array([np.nan]), np.zeros((1, 2)), ["a"], ["S"], BOTH)
