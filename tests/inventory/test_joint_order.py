"""What is ordered of everything together, and what the limits are worth."""

from __future__ import annotations

import numpy as np
import pytest
from tests.inventory.joint_worlds import some_limits, some_options, supplier_world

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.joint_order import choose
from shelfwise.inventory.order_options import Limit, OrderOptions

ALL = np.ones(3, dtype=bool)


def three_items(space: float = 0.1) -> OrderOptions:
    """Three items, each 0, 10 or 20 units at 2, 3 and 5 a unit; half of demand is lost without an order."""
    quantity = np.tile([0.0, 10.0, 20.0], 3)
    return OrderOptions(
        offsets=np.array([0, 3, 6, 9]), quantity=quantity,
        cost=np.array([100.0, 40.0, 30.0, 90.0, 30.0, 35.0, 50.0, 20.0, 10.0]),
        spend=quantity * np.repeat([2.0, 3.0, 5.0], 3), lost_units=np.tile([20.0, 8.0, 2.0], 3),
        stockout=np.tile([0.9, 0.4, 0.1], 3), space=(space * (5 + quantity))[:, None],
        demand_units=np.array([40.0, 40.0, 40.0]),
    )  # fmt: skip


def test_without_limits_everybody_takes_the_cheapest() -> None:
    choice = choose(three_items(), [])
    assert choice.rows.tolist() == [2, 4, 8]
    assert (choice.cost, choice.bound, choice.gap, choice.mode) == (70.0, 70.0, 0.0, "unconstrained")
    assert choice.unmet == ()


def test_limits_that_do_not_bind_cost_nothing() -> None:
    limits = [Limit("budget", None, None, 170.0, ALL), Limit("service", "g", None, 0.9, ALL)]
    choice = choose(three_items(), limits)
    assert choice.rows.tolist() == [2, 4, 8]
    assert choice.prices.tolist() == [0.0, 0.0]
    assert choice.used.tolist() == [170.0, 0.9]


def test_budget_goes_where_it_saves_most() -> None:
    choice = choose(three_items(), [Limit("budget", None, None, 50.0, ALL)])
    assert choice.rows.tolist() == [1, 4, 6]  # 60 for 20 and 60 for 30 before 30 for 50
    assert choice.used.tolist() == [50.0]
    assert choice.cost == 120.0


@pytest.mark.parametrize("mode", ["auto", "lagrangian", "exact"])
def test_no_budget_at_all_orders_nothing(mode: str) -> None:
    choice = choose(three_items(), [Limit("budget", None, None, 0.0, ALL)], mode=mode)
    assert choice.rows.tolist() == [0, 3, 6]
    assert choice.gap == pytest.approx(0.0, abs=1e-9)
    assert choice.prices[0] > 0


def test_price_is_what_one_unit_more_saves() -> None:
    options = some_options(3_000, seed=3)
    budget = some_limits(options, 3, ["budget"])[0]
    less, more = (
        choose(options, [Limit("budget", None, None, budget.value * part, budget.members)], gap=1e-6)
        for part in (1.0, 1.02)
    )
    saved_per_unit = (less.cost - more.cost) / (0.02 * budget.value)
    assert more.prices[0] * 0.99 <= saved_per_unit <= less.prices[0] * 1.01


def test_smallest_order_above_the_budget_stays_nothing_and_is_said() -> None:
    choice = choose(three_items(), [Limit("budget", "S1", None, 40.0, np.array([False, False, True]))])
    assert choice.rows.tolist() == [2, 4, 6]
    assert choice.unmet == (
        "budget of S1: 40.00 is less than the smallest order of 1 product-warehouses (from 50.00); "
        "nothing is ordered of them",
    )


def test_stock_beyond_the_space_adds_nothing_and_is_said() -> None:
    members = np.array([True, True, False])
    choice = choose(three_items(), [Limit("space", "W1", 2, 0.4, members)])
    assert choice.rows.tolist() == [0, 3, 8]
    assert choice.used == pytest.approx([1.0])
    assert choice.unmet == (
        "space of W1 in period 2: 0.4 m3 allowed, 1 m3 used; stock that is there or on its way takes 1 m3 without "
        "any order, so nothing may be added",
    )


def test_service_beyond_reach_is_missed_with_the_reason() -> None:
    choice = choose(three_items(), [Limit("service", "fresh", None, 0.99, ALL)])
    assert choice.rows.tolist() == [2, 5, 8]
    assert choice.used == pytest.approx([0.95])
    assert choice.unmet == (
        "service target of fresh: 0.99 asked, 0.95 reached; opening stock cannot be changed within the lead time: at "
        "most 0.95 can be reached",
    )
    assert choice.bound <= choice.cost
    assert choice.gap == pytest.approx(0.0, abs=1e-9)


def test_service_within_reach_is_met_and_priced_per_hundredth() -> None:
    choice = choose(three_items(), [Limit("service", "fresh", None, 0.95, ALL)])
    assert choice.used == pytest.approx([0.95])
    assert choice.unmet == ()
    assert choice.prices[0] == pytest.approx(5.0 / 6 * 0.01 * 120, rel=1e-4)  # the last 6 units served cost 5 more


@pytest.mark.parametrize(
    ("least", "rows", "spend"),
    [(60.0, [2, 4, 8], 70.0), (80.0, [2, 5, 8], 100.0), (101.0, [0, 3, 8], 0.0)],
    ids=["more than that anyway", "worth filling up", "out of reach"],
)
def test_supplier_gets_its_minimum_or_nothing(least: float, rows: list[int], spend: float) -> None:
    first_two = np.array([True, True, False])
    choice = choose(three_items(), [Limit("supplier_min", "S1", None, least, first_two)])
    assert choice.rows.tolist() == rows
    assert choice.used.tolist() == [spend]
    assert (choice.unmet != ()) == (spend == 0.0)


def test_supplier_is_left_out_where_its_minimum_costs_more_than_it_saves() -> None:
    options = OrderOptions(
        offsets=np.array([0, 3]), quantity=np.array([0.0, 10.0, 50.0]), cost=np.array([30.0, 20.0, 31.0]),
        spend=np.array([0.0, 10.0, 50.0]), lost_units=np.zeros(3), stockout=np.zeros(3), space=np.zeros((3, 0)),
        demand_units=np.ones(1),
    )  # fmt: skip
    choice = choose(options, [Limit("supplier_min", "S1", None, 40.0, np.array([True]))])
    assert choice.rows.tolist() == [0]
    assert "asked, orders that pay for themselves come to 10.00; nothing is ordered" in choice.unmet[0]


@pytest.mark.parametrize("mode", ["auto", "lagrangian", "exact"])
def test_of_two_suppliers_whose_minima_do_not_fit_the_budget_the_more_valuable_gets_its_own(mode: str) -> None:
    suppliers = [np.array([True, True, False]), np.array([False, False, True])]
    limits = [Limit("supplier_min", name, None, 70.0, own) for name, own in zip("AB", suppliers, strict=True)]
    choice = choose(three_items(), [Limit("budget", None, None, 110.0, ALL), *limits], mode=mode)
    assert choice.rows.tolist() == [2, 4, 6]  # A saves 130 for 70; B saves 40 for 100
    assert choice.used.tolist() == [70.0, 70.0, 0.0]
    assert choice.unmet == ("supplier minimum of B: 70.00 does not pay under the other limits; nothing is ordered",)


def test_two_items_move_together_where_a_supplier_stands_just_at_its_minimum() -> None:
    options = OrderOptions(
        offsets=np.array([0, 2, 4, 6]), quantity=np.tile([0.0, 10.0], 3),
        cost=np.array([50.0, 10.0, 50.0, 11.0, 50.0, 30.0]), spend=np.tile([0.0, 100.0], 3),
        lost_units=np.zeros(6), stockout=np.zeros(6), space=np.array([[0.0], [9.0], [0.0], [9.0], [0.0], [1.0]]),
        demand_units=np.ones(3),
    )  # fmt: skip
    limits = [
        Limit("supplier_min", "S1", None, 200.0, ALL),
        Limit("budget", None, None, 200.0, ALL),
        Limit("space", "W1", None, 12.0, ALL),
    ]
    choice = choose(options, limits, mode="lagrangian")
    assert choice.rows.tolist() == [1, 2, 5]


@pytest.mark.parametrize(("n_items", "n_suppliers"), [(300, 3), (2_000, 5)])
def test_suppliers_minima_that_bind_with_everything_else_are_proven_from_prices(n_items: int, n_suppliers: int) -> None:
    options, limits = supplier_world(n_items, n_suppliers, seed=1)
    choice = choose(options, limits, mode="lagrangian", gap=1e-3)
    assert choice.gap <= 1e-3
    for limit, used in zip(limits, choice.used, strict=True):
        if limit.kind == "supplier_min":
            assert used == 0 or used >= limit.value * (1 - 1e-9)
        elif limit.kind == "budget":
            assert used <= limit.value * (1 + 1e-9)


def test_more_suppliers_than_are_branched_on_still_get_their_minimum_or_nothing() -> None:
    options, limits = supplier_world(2_004, 1_002, seed=4)
    choice = choose(options, limits, mode="lagrangian")
    for limit, used in zip(limits, choice.used, strict=True):
        assert limit.kind != "supplier_min" or used == 0 or used >= limit.value * (1 - 1e-9)
    assert choice.bound <= choice.cost


def test_many_items_come_within_a_hundredth_of_a_percent() -> None:
    options = some_options(70_000, seed=5, most=5)
    limits = some_limits(options, 5, ["budget", "space"])
    choice = choose(options, limits, gap=1e-4)
    assert choice.mode == "lagrangian"
    assert choice.gap <= 1e-4
    assert choice.used[0] <= limits[0].value * (1 + 1e-9)


def test_exact_and_lagrangian_bounds_enclose_the_same_cost() -> None:
    options = some_options(200, seed=8)
    limits = some_limits(options, 8, ["budget", "space", "supplier_min"])
    prices, exact = (choose(options, limits, mode=mode, gap=1e-4) for mode in ("lagrangian", "exact"))
    assert prices.bound <= exact.cost + 1e-9 <= prices.cost + 1e-6
    assert exact.bound <= prices.cost


def test_time_that_is_up_still_gives_orders_within_the_limits_and_a_bound() -> None:
    options = some_options(2_000, seed=9)
    limits = some_limits(options, 9, ["budget", "space"])
    choice = choose(options, limits, time_limit=1e-9)
    assert choice.used[0] <= limits[0].value * (1 + 1e-9)
    assert choice.bound <= choice.cost


def test_no_items_is_no_order() -> None:
    none = np.zeros(0)
    options = OrderOptions(
        offsets=np.array([0]), quantity=none, cost=none, spend=none, lost_units=none, stockout=none,
        space=np.zeros((0, 0)), demand_units=none,
    )  # fmt: skip
    choice = choose(options, [Limit("budget", None, None, 10.0, np.zeros(0, dtype=bool))])
    assert (len(choice.rows), choice.cost, choice.gap) == (0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("limits", "arguments", "message"),
    [
        ([Limit("budget", None, None, 1.0, np.ones(2, dtype=bool))], {}, "the budget has 2 members for 3 items"),
        ([Limit("space", "W", 1, 1.0, ALL, 1)], {}, "the space of W names column 1 of 1 columns of space"),
        (
            [Limit("supplier_min", scope, None, 1.0, ALL) for scope in ("A", "B")],
            {},
            "the supplier minimum of B covers a product-warehouse that another supplier minimum covers",
        ),
        ([], {"gap": -0.1}, "gap must be a fraction of zero or more, got -0.1"),
        ([], {"time_limit": 0.0}, "time_limit must be above 0 seconds, got 0.0"),
        ([], {"mode": "best"}, "mode is one of auto, lagrangian, exact, got 'best'"),
    ],
    ids=["members", "column", "two suppliers", "gap", "time", "mode"],
)
def test_what_cannot_be_meant_is_refused(limits: list[Limit], arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        choose(three_items(), limits, **arguments)


def test_exact_mode_refuses_more_items_than_it_can_prove() -> None:
    options = some_options(10_001, seed=1, most=1)
    with pytest.raises(ParameterError, match="mode 'exact' takes up to 10,000 product-warehouses, got 10,001"):
        choose(options, [], mode="exact")
