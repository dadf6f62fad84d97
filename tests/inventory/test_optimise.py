"""Orders from frames: what is decided, what is assumed, and what is refused with which words."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import shelfwise as sw
from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.domain.order_frames import LIMIT_PRICES, NEXT_UNITS, ORDERS, STOCK_POLICIES
from shelfwise.inventory.optimise import OrderDecision, optimise
from shelfwise.inventory.order_inputs import Tuning

PERIODS = 8


@pytest.fixture(scope="module")
def paths() -> np.ndarray:
    """Return [6, 100, 8] counts, from once in twenty periods to 400 a period."""
    mean = np.array([0.05, 0.3, 1.0, 5.0, 30.0, 400.0])
    return np.random.default_rng(0).poisson(mean[:, None, None], (6, 100, PERIODS))


def six_items(**columns: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "unique_id": list("abcdef"),
        "on_hand": [0, 1, 2, 5, 60, 900],
        "lead_time_periods": [2] * 6,
        "holding_cost": [0.2] * 6,
        "shortage_cost": [1.0] * 6,
        "unit_cost": [1.0] * 6,
    }
    return given | columns


def by_id(decision: OrderDecision) -> dict[str, dict[str, Any]]:
    return {row["unique_id"]: row for row in decision.orders.iter_rows(named=True)}


def test_a_forecast_and_two_columns_are_enough() -> None:
    days = [date(2026, 1, 5) + timedelta(weeks=n) for n in range(60)]
    rng = np.random.default_rng(3)
    history = pl.DataFrame({"unique_id": ["x"] * 60, "ds": days, "y": rng.poisson(9, 60).astype(float)})
    ahead = sw.forecast(history, horizon=6, freq="1w", model="base_level")
    decision = sw.optimise({"unique_id": ["x"], "on_hand": [4], "lead_time_periods": [2]}, ahead)
    assert decision.quantity[0] > 9
    assert any("shortage_cost is not given" in note for note in decision.notes)
    assert any("0.48% for a period of 1w" in note for note in decision.notes)
    assert decision.source.freq is not None


def test_results_are_declared_frames(paths: np.ndarray) -> None:
    limits = {"kind": ["budget"], "value": [150.0]}
    decision = optimise(six_items(), paths, limits=limits)
    for frame, declared in (
        (decision.orders, ORDERS),
        (decision.policy, STOCK_POLICIES),
        (decision.prices, LIMIT_PRICES),
        (decision.next_units, NEXT_UNITS),
    ):
        assert declared.check(frame).equals(frame)
        assert frame.height
    assert decision.transfers.height == 0
    assert decision.risk["by_period"].list.len().unique().to_list() == [PERIODS]


def test_a_unit_that_would_lie_for_twenty_periods_is_not_ordered(paths: np.ndarray) -> None:
    decision = optimise(six_items(), paths)
    line = by_id(decision)["a"]
    assert line["quantity"] == 0
    assert line["reason"].startswith("nothing:")
    cheap = optimise(six_items(holding_cost=[0.002] * 6), paths)
    assert by_id(cheap)["a"]["quantity"] >= 1


def test_what_is_due_is_not_ordered_again(paths: np.ndarray) -> None:
    alone = optimise(six_items(), paths)
    inbound = {"unique_id": ["f", "f"], "period": [2, 40], "quantity": [100, 50]}
    with_due = optimise(six_items(), paths, inbound=inbound)
    assert by_id(alone)["f"]["quantity"] - by_id(with_due)["f"]["quantity"] == pytest.approx(100, abs=3)
    assert "50 due later" in by_id(with_due)["f"]["arithmetic"]


def test_what_comes_too_late_does_not_serve_what_is_asked_before() -> None:
    """Ten a period, nothing on hand, 30 due in period 4: periods 1 to 3 are lost, whatever the position says."""
    paths = np.full((1, 4, 6), 10.0)
    items = {
        "unique_id": ["a"],
        "on_hand": [0],
        "lead_time_periods": [0],
        "holding_cost": [0.1],
        "shortage_cost": [5.0],
    }
    inbound = {"unique_id": ["a"], "period": [4], "quantity": [30]}
    assert optimise(items, paths, inbound=inbound).quantity.tolist() == [10.0]


def test_a_lead_time_of_nothing_orders_for_the_review_alone() -> None:
    paths = np.full((2, 4, 6), 10.0)
    items = {
        "unique_id": ["a", "b"],
        "on_hand": [0, 0],
        "lead_time_periods": [0, 0],
        "review_periods": [1, 2],
        "holding_cost": [0.1, 0.1],
        "shortage_cost": [5.0, 5.0],
    }
    decision = optimise(items, paths)
    assert decision.quantity.tolist() == [10.0, 20.0]
    assert by_id(decision)["a"]["arrives"] == 1


def test_order_costs_make_lots() -> None:
    paths = np.full((1, 4, 12), 10.0)
    items = {
        "unique_id": ["a"],
        "on_hand": [0],
        "lead_time_periods": [1],
        "holding_cost": [0.1],
        "shortage_cost": [5.0],
    }
    small = optimise(items, paths).quantity[0]
    lots = optimise(items | {"order_cost": [20.0]}, paths).quantity[0]
    economic = np.sqrt(2 * 10 * 20 / 0.1)
    assert small == 10
    assert 0.7 * economic < lots < 1.3 * economic


def test_packs_and_minimum_are_kept_on_the_finest_step(paths: np.ndarray) -> None:
    decision = optimise(six_items(pack=[1, 1, 6, 6, 6, 7], moq=[1, 4, 0, 10, 0, 0]), paths)
    quantity = dict(zip(decision.ids, decision.quantity.tolist(), strict=True))
    assert quantity["f"] % 7 == 0
    assert quantity["e"] % 6 == 0
    assert quantity["d"] in (0, 12, 18)
    fine = optimise(six_items(), paths)
    assert by_id(fine)["f"]["quantity"] == pytest.approx(quantity["f"], abs=7)


def test_a_long_lattice_ends_on_the_best_single_unit(paths: np.ndarray) -> None:
    decision = optimise(six_items(), paths)
    assert any("single packs near the chosen" in note for note in decision.notes)
    rows = slice(decision.options.offsets[5], decision.options.offsets[6])
    quantity = decision.options.quantity[rows]
    best = decision.quantity[5]
    assert {best - 1, best + 1} <= set(quantity.tolist())


def test_a_budget_is_kept_and_its_price_and_cut_are_told(paths: np.ndarray) -> None:
    free = optimise(six_items(), paths)
    tight = optimise(six_items(), paths, limits={"kind": ["budget"], "value": [0.6 * free.spend]})
    assert tight.spend <= 0.6 * free.spend + 1e-9
    assert tight.cost > free.cost
    assert tight.bound <= tight.cost
    assert tight.prices["price"][0] > 0
    cut = [row for row in tight.orders.iter_rows(named=True) if row["quantity"] < row["unconstrained"]]
    assert cut
    assert all("budget" in row["reason"] for row in cut)


def test_space_is_that_of_the_order_s_own_arrival_unless_a_period_is_given(paths: np.ndarray) -> None:
    items = six_items(volume=[0.1] * 6, warehouse=["w"] * 6)
    used = optimise(items, paths, limits={"kind": ["space"], "scope": ["w"], "value": [1e6]})
    same = optimise(items, paths, limits={"kind": ["space"], "scope": ["w"], "period": [3], "value": [1e6]})
    assert used.prices["used"][0] == pytest.approx(same.prices["used"][0])
    tight = optimise(items, paths, limits={"kind": ["space"], "scope": ["w"], "value": [0.9 * used.prices["used"][0]]})
    assert tight.prices["used"][0] <= 0.9 * used.prices["used"][0] + 1e-9


def test_a_supplier_minimum_is_reached_or_nothing_is_ordered(paths: np.ndarray) -> None:
    items = six_items(supplier=["s", "s", "s", "t", "t", "t"])
    free = optimise(items, paths)
    wanted = sum(row["spend"] for row in free.orders.iter_rows(named=True) if row["supplier"] == "s")
    decision = optimise(items, paths, limits={"kind": ["supplier_min"], "scope": ["s"], "value": [wanted + 2]})
    spent = sum(row["spend"] for row in decision.orders.iter_rows(named=True) if row["supplier"] == "s")
    assert spent == 0 or spent >= wanted + 2


def test_a_target_that_cannot_be_met_is_reported(paths: np.ndarray) -> None:
    items = six_items(group=["g"] * 6)
    decision = optimise(items, paths, limits={"kind": ["service"], "scope": ["g"], "value": [0.999]})
    assert any("cannot be changed within the lead time" in text for text in decision.infeasible)


def test_a_minimum_above_the_budget_is_reported(paths: np.ndarray) -> None:
    decision = optimise(six_items(moq=[0, 0, 0, 0, 0, 500]), paths, limits={"kind": ["budget"], "value": [100.0]})
    assert by_id(decision)["f"]["quantity"] == 0
    assert any("less than the smallest order" in text for text in decision.infeasible)


def test_next_units_fill_any_budget_as_well_as_the_optimum(paths: np.ndarray) -> None:
    decision = optimise(six_items(), paths)
    ranked = decision.next_units
    ratio = ranked["value_per_money"].to_numpy()
    assert np.all(np.diff(ratio) <= 1e-9)
    assert ranked["chosen"].all()
    assert ranked["total_spend"][-1] == pytest.approx(decision.spend)
    budget = float(ranked["total_spend"][ranked.height // 2])
    saved = float(ranked["saving"][: ranked.height // 2 + 1].sum())
    nothing = float(decision.options.cost[decision.options.offsets[:-1]].sum())
    best = optimise(six_items(), paths, limits={"kind": ["budget"], "value": [budget]}, gap=1e-6)
    assert nothing - saved == pytest.approx(best.cost, rel=0.01)


def test_policy_fills_up_to_what_the_order_fills_up_to(paths: np.ndarray) -> None:
    decision = optimise(six_items(), paths)
    levels = {row["unique_id"]: row for row in decision.policy.iter_rows(named=True)}
    assert levels["f"]["order_up_to"] == 900 + by_id(decision)["f"]["quantity"]
    assert levels["f"]["safety_stock"] == pytest.approx(levels["f"]["order_up_to"] - 1200, abs=20)


def test_risk_is_that_of_ordering_nothing_and_of_the_order(paths: np.ndarray) -> None:
    decision = optimise(six_items(), paths)
    nothing = decision.options.offsets[:-1]
    risk = decision.risk
    assert risk["p_stockout"].to_numpy() == pytest.approx(decision.options.stockout[nothing])
    assert risk["lost_units"].to_numpy() == pytest.approx(decision.options.lost_units[nothing], rel=1e-5)
    assert (risk["p_stockout_after"] <= risk["p_stockout"]).all()
    assert risk["severity"].to_list()[0] != "critical"
    assert risk["order_can_wait_periods"].to_list()[5] == 0


def test_pandas_polars_and_mappings_give_the_same_orders(paths: np.ndarray) -> None:
    one = optimise(six_items(), paths)
    two = optimise(pl.DataFrame(six_items()), paths)
    three = optimise(pd.DataFrame(six_items(price=[np.nan] * 6)), paths)
    assert one.orders.equals(two.orders)
    assert one.quantity.tolist() == three.quantity.tolist()


def test_a_table_of_means_is_widened_and_says_so() -> None:
    demand = {"unique_id": ["a"] * 5, "period": [1, 2, 3, 4, 5], "mean": [20.0] * 5}
    items = {"unique_id": ["a"], "on_hand": [10], "lead_time_periods": [1], "price": [5.0]}
    plain = optimise(items, demand)
    wide = optimise(items, demand | {"q0.1": [2.0] * 5, "q0.9": [50.0] * 5})
    assert any("assumed" in note for note in plain.notes)
    assert wide.quantity[0] > plain.quantity[0]


def test_same_seed_same_orders_whatever_threads(paths: np.ndarray) -> None:
    varying = six_items(lead_time_sd_periods=[0.7] * 6)
    one, two = (optimise(varying, paths, seed=4, threads=threads) for threads in (1, 2))
    assert one.orders.equals(two.orders)
    other = optimise(varying, paths, seed=5)
    assert not np.array_equal(other.options.cost, one.options.cost)


def test_tuning_moves_the_orders(paths: np.ndarray) -> None:
    less, usual, more = (
        optimise(six_items(), paths, tuning=Tuning(critical_ratio_factor=factor)).quantity[5]
        for factor in (0.7, 1, 1.1)
    )
    assert less < usual < more
    assert optimise(six_items(), paths, tuning=Tuning(widening=2.0)).quantity[5] > usual


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"on_hand": [0, 1, 2, 5, 60, float("nan")]}, "on_hand"),
        ({"on_hand": [0, 1, 2, 5, 60, None]}, "is empty"),
        ({"unique_id": list("abcdea")}, "more than once"),
        ({"lead_time_periods": [2] * 5 + [9]}, "forecast at least 10 periods"),
        ({"lead_time_periods": [2] * 5 + [-1]}, "zero or more"),
        ({"review_periods": [0.5] * 6}, "at least 1 period"),
        ({"pack": [0.0] * 6}, "above zero"),
        ({"shortage_cost": [None] * 6, "price": [0.5] * 6}, "would cost nothing"),
        ({"lead_time_periods": [0] * 6, "lead_time_sd_periods": [1] * 6}, "lead time of 0 periods that varies"),
        ({"colour": ["red"] * 6}, "no column"),
        ({"pack": [float("inf")] * 6}, "above zero"),
    ],
)
def test_items_that_cannot_be_used_are_refused(paths: np.ndarray, change: dict[str, Any], text: str) -> None:
    with pytest.raises(DataError, match=text):
        optimise(six_items(**change), paths)


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"kind": ["budget"], "scope": ["nobody"], "value": [5.0]}, "is the supplier of no item"),
        ({"kind": ["budget"], "period": [3], "value": [5.0]}, "only the order placed now"),
        ({"kind": ["space"], "period": [99], "value": [5.0]}, "beyond the horizon"),
        ({"kind": ["service"], "value": [95.0]}, "write 0.95"),
        ({"kind": ["budget"], "value": [float("nan")]}, "zero or more"),
        ({"kind": ["budjet"], "value": [5.0]}, "must be one of"),
    ],
)
def test_limits_that_cannot_be_read_are_refused(paths: np.ndarray, limits: dict[str, Any], text: str) -> None:
    with pytest.raises(DataError, match=text):
        optimise(six_items(), paths, limits=limits)


def test_demand_that_is_no_demand_is_refused(paths: np.ndarray) -> None:
    broken = paths.astype(float)
    broken[2, 3, 4] = np.nan
    with pytest.raises(DataError, match="finite"):
        optimise(six_items(), broken)
    with pytest.raises(DataError, match="zero or more"):
        optimise(six_items(), -paths)
    with pytest.raises(DataError, match="5 items"):
        optimise(six_items(), paths[:5])
    with pytest.raises(ParameterError, match="items, paths, periods"):
        optimise(six_items(), paths[:, 0])
    with pytest.raises(DataError, match="no item"):
        optimise(six_items(), paths, inbound={"unique_id": ["z"], "period": [1], "quantity": [1]})
    with pytest.raises(DataError, match="no rows"):
        optimise({"unique_id": [], "on_hand": [], "lead_time_periods": []}, paths)


def test_items_and_forecast_must_be_the_same_series() -> None:
    demand = {"unique_id": ["a", "a", "b", "b"], "period": [1, 2, 1, 2], "mean": [3.0] * 4}
    one = {"unique_id": ["a"], "on_hand": [1], "lead_time_periods": [1], "price": [2.0]}
    with pytest.raises(DataError, match="items lacks unique_id 'b'"):
        optimise(one, demand)
    three = {"unique_id": ["b", "a", "z"], "on_hand": [1, 2, 3], "lead_time_periods": [1] * 3, "price": [2.0] * 3}
    with pytest.raises(DataError, match="'z', which the demand lacks"):
        optimise(three, demand)


def test_quantities_beyond_what_can_be_added_up_are_refused(paths: np.ndarray) -> None:
    with pytest.raises(ParameterError, match="on_hand of 1e\\+300"):
        optimise(six_items(on_hand=[1e300] * 6), paths)
    with pytest.raises(DataError, match="at most 1e\\+12"):
        optimise(six_items(), paths * 1e13)


def test_space_that_no_walk_reaches_is_refused(paths: np.ndarray) -> None:
    items = six_items(volume=[1.0] * 6, review_periods=[5] * 6)
    with pytest.raises(ParameterError, match="forecast at least 12 periods"):
        optimise(items, paths, limits={"kind": ["space"], "period": [8], "value": [1.0]})


def test_order_of_items_changes_nothing() -> None:
    demand = {"unique_id": ["a", "a", "b", "b"], "period": [1, 2, 1, 2], "mean": [3.0, 3.0, 30.0, 30.0]}
    items = {"unique_id": ["b", "a"], "on_hand": [1, 2], "lead_time_periods": [1, 1], "price": [2.0, 3.0]}
    turned = {name: cells[::-1] for name, cells in items.items()}
    assert optimise(items, demand).orders.equals(optimise(turned, demand).orders)


def test_negative_stock_counts_as_none_and_is_noted(paths: np.ndarray) -> None:
    below = optimise(six_items(on_hand=[-5, 1, 2, 5, 60, 900]), paths)
    zero = optimise(six_items(on_hand=[0, 1, 2, 5, 60, 900]), paths)
    assert below.quantity.tolist() == zero.quantity.tolist()
    assert any("below zero" in note for note in below.notes)


def test_nothing_known_of_money_still_decides_and_says_how(paths: np.ndarray) -> None:
    bare = {name: cells for name, cells in six_items().items() if not name.endswith("cost")}
    decision = optimise(bare, paths)
    assert any("nothing says what a lost unit" in note for note in decision.notes)
    assert any("a week (the demand does not say" in note for note in decision.notes)
    assert decision.quantity[5] > 300


def test_no_demand_orders_nothing() -> None:
    decision = optimise(six_items(), np.zeros((6, 10, 5), dtype=np.uint8))
    assert decision.quantity.tolist() == [0.0] * 6
    assert decision.next_units.height == 0
    assert decision.risk["median_periods_to_stockout"].null_count() == 6


def test_a_search_that_runs_out_of_time_keeps_the_budget_and_ends_on_single_units(paths: np.ndarray) -> None:
    limits = {"kind": ["budget"], "value": [200.0]}
    decision = optimise(six_items(), paths, limits=limits, time_limit=1e-3, mode="lagrangian")
    assert decision.spend <= 200.0
    assert decision.bound <= decision.cost
    rows = slice(decision.options.offsets[5], decision.options.offsets[6])
    assert np.diff(decision.options.quantity[rows]).min() == 1


def test_a_lane_to_a_warehouse_nobody_knows_is_noted(paths: np.ndarray) -> None:
    items = six_items(product=["tea"] * 6, warehouse=list("UVWXYZ"))
    lanes = {"from": ["U", "U"], "to": ["V", "Sout"], "lead_time_periods": [1, 1], "cost": [0.1, 0.1]}
    assert any("in warehouse Sout:" in note for note in optimise(items, paths, lanes=lanes).notes)
    only = {name: cells[:1] for name, cells in lanes.items()}
    assert not any("in warehouse" in note for note in optimise(items, paths, lanes=only).notes)
