"""What holds for any stock, demand and rule: orders, service levels, units that neither appear nor vanish."""

from __future__ import annotations

import re
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.testing import assert_allclose

from shelfwise.inventory.lead_time_demand import LeadTime
from shelfwise.inventory.lot_sizing import orderable_quantity, top_up
from shelfwise.inventory.order_calendar import Closure, OrderCalendar
from shelfwise.inventory.policies import (
    POLICIES,
    BaseStock,
    PeriodicReview,
    Policy,
    ReorderPointOrderUpTo,
    ReorderPointQuantity,
)
from shelfwise.inventory.proposal import propose
from shelfwise.inventory.safety_stock import cycle_service_stock, fill_rate_stock
from shelfwise.inventory.stockout_risk import projected_stock, stockout_risk

PACKS = st.sampled_from([1.0, 6.0, 12.0, 0.5])
UNITS = st.floats(0, 500)
POSITIONS = arrays.arrays(np.float64, 8, elements=st.floats(-300, 800))
DEMAND = arrays.arrays(np.float64, (2, 9), elements=st.integers(0, 60).map(float))
LEVELS = st.floats(0.02, 0.995)


@st.composite
def policies(draw: st.DrawFn) -> tuple[Policy, float]:
    pack, low, gap = draw(PACKS), draw(UNITS), draw(UNITS)
    made: dict[str, Policy] = {
        BaseStock.name: BaseStock(low, pack),
        ReorderPointQuantity.name: ReorderPointQuantity(low, pack * draw(st.integers(1, 20)), pack),
        ReorderPointOrderUpTo.name: ReorderPointOrderUpTo(low, low + gap, pack),
        PeriodicReview.name: PeriodicReview(draw(st.integers(1, 14)), low, pack),
    }
    assert set(made) == set(POLICIES), "a new policy joins the list by joining this test"
    return made[draw(st.sampled_from(sorted(made)))], pack


@given(policies(), POSITIONS, st.integers(0, 30))
def test_orders_are_never_negative_and_whole_packs(
    made: tuple[Policy, float], position: np.ndarray, period: int
) -> None:
    policy, pack = made
    quantity = policy.order_quantity(position, period)
    assert isinstance(policy, Policy)
    assert np.all(quantity >= 0)
    assert_allclose(quantity / pack, np.rint(quantity / pack), atol=1e-6)


@given(policies(), POSITIONS, st.integers(0, 30))
def test_a_higher_position_never_orders_more(made: tuple[Policy, float], position: np.ndarray, period: int) -> None:
    quantity = made[0].order_quantity(np.sort(position), period)
    assert np.all(np.diff(quantity) <= 1e-6)


@given(policies(), POSITIONS)
def test_an_order_lifts_the_position_to_the_reorder_point(made: tuple[Policy, float], position: np.ndarray) -> None:
    policy = made[0]
    level = np.asarray(getattr(policy, "reorder_point", getattr(policy, "order_up_to", None)))
    assert np.all(position + policy.order_quantity(position) >= level - 1e-6)


@given(st.floats(-100, 500), PACKS, st.floats(0, 200))
def test_rounding_covers_the_need_by_less_than_a_pack_more(need: float, pack: float, minimum: float) -> None:
    quantity = float(orderable_quantity(need, pack, minimum))
    if need <= 1e-9:
        assert quantity == 0
    else:
        assert max(need, minimum) - 1e-6 <= quantity < max(need, minimum) + pack + 1e-6


@given(DEMAND, LEVELS, LEVELS)
def test_more_service_never_means_less_stock(demand: np.ndarray, one: float, other: float) -> None:
    low, high = sorted((one, other))
    cycle = demand.mean(axis=1)
    assert np.all(cycle_service_stock(demand, low) <= cycle_service_stock(demand, high) + 1e-9)
    assert np.all(fill_rate_stock(demand, cycle, low) <= fill_rate_stock(demand, cycle, high) + 1e-6)


@given(DEMAND, LEVELS)
def test_the_promised_service_is_kept_on_the_paths_themselves(demand: np.ndarray, level: float) -> None:
    cycle = demand.mean(axis=1)
    stock = cycle_service_stock(demand, level)
    assert np.all((demand <= stock[:, None] + 1e-9).mean(axis=1) >= level - 1e-9)
    filled = fill_rate_stock(demand, cycle, level)
    assert np.all(np.maximum(demand - filled[:, None], 0).mean(axis=1) <= (1 - level) * cycle + 1e-6)


@given(
    arrays.arrays(np.float64, (2, 4, 10), elements=st.floats(0, 50)),
    arrays.arrays(np.float64, (2, 10), elements=st.floats(0, 50)),
    arrays.arrays(np.float64, 2, elements=st.floats(0, 200)),
)
def test_units_neither_appear_nor_vanish(paths: np.ndarray, inbound: np.ndarray, on_hand: np.ndarray) -> None:
    """Opening stock + arrivals + lost = demand + closing stock, on average over the paths."""
    risk = stockout_risk(on_hand, inbound, paths)
    closing = projected_stock(on_hand, inbound, paths)[:, :, -1].mean(axis=1)
    asked = paths.sum(axis=2).mean(axis=1)
    assert_allclose(on_hand + inbound.sum(axis=1) + risk.lost_units.sum(axis=1), asked + closing, atol=1e-6)
    assert np.all(np.diff(risk.probability, axis=1) >= 0)
    assert np.all((risk.probability >= 0) & (risk.probability <= 1))


@given(st.floats(0.5, 40), st.floats(0, 15), st.integers(0, 5))
def test_lead_time_draws_are_whole_not_negative_and_within_the_longest(mean: float, sd: float, seed: int) -> None:
    lead_time = LeadTime([mean], [sd])
    draws = lead_time.draw(["a"], 200, seed)
    assert draws.min() >= 0
    assert draws.max() <= lead_time.longest_periods[0]


@given(st.integers(0, 600), st.floats(0, 40), st.sets(st.integers(0, 6), min_size=1), st.integers(0, 30))
def test_orders_and_arrivals_fall_on_open_days(start: int, lead_time: float, weekdays: set[int], closed: int) -> None:
    today = date(2026, 1, 1) + timedelta(days=start)
    holiday = Closure(date(2026, 6, 1), date(2026, 6, 1) + timedelta(days=closed))
    shut = frozenset({6}) if weekdays != {6} else frozenset()
    calendar = OrderCalendar(frozenset(weekdays), shop_closures=(holiday,), closed_weekdays=shut)
    timing = calendar.timing(today, lead_time, review_days=3)
    assert today <= timing.order_on <= timing.next_order_on - timedelta(days=3)
    assert calendar.takes_orders(timing.order_on)
    assert calendar.takes_orders(timing.next_order_on)
    assert calendar.is_open(timing.arrives_on)
    assert (timing.arrives_on - timing.order_on).days >= lead_time - 1e-9
    assert timing.arrives_on <= timing.next_arrives_on


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 100), st.floats(0, 5), st.floats(0, 9)), min_size=1, max_size=5
    ),
    st.floats(0, 2000),
)
def test_topping_up_reaches_the_minimum_or_adds_nothing(
    rows: list[tuple[int, int, float, float]], minimum_value: float
) -> None:
    packs, position, demand, cost = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    quantity = packs * 6
    added = top_up(
        quantity, position=position, demand_per_period=demand, pack=np.full(len(rows), 6.0),
        minimum=np.zeros(len(rows)), unit_cost=cost, minimum_value=minimum_value, most_cover_periods=90.0,
    )  # fmt: skip
    assert np.all(added >= 0)
    assert_allclose(added % 6, 0)
    value = ((quantity + added) * cost).sum()
    assert not added.any() or value >= minimum_value - 1e-6
    assert np.all(((position + quantity + added)[added > 0] / demand[added > 0]) <= 90 + 1e-6)


@pytest.mark.parametrize("kind", ["cycle", "fill"])
@given(
    arrays.arrays(np.float64, (2, 6, 12), elements=st.floats(0, 30)),
    arrays.arrays(np.float64, (2, 12), elements=st.floats(0, 20)),
    st.lists(st.one_of(st.none(), st.floats(-20, 300)), min_size=2, max_size=2),
    LEVELS,
    PACKS,
    st.floats(0, 60),
)
def test_the_printed_sum_adds_up_exactly(
    kind: str, paths: np.ndarray, inbound: np.ndarray, stock: list[float | None], level: float, pack: float, moq: float
) -> None:
    items = pl.DataFrame(
        {
            "unique_id": ["a", "b"], "product": ["a", "b"], "warehouse": ["m", "m"],
            "on_hand": pl.Series(stock, dtype=pl.Float64), "pack_size": [pack] * 2,
            "minimum_order_quantity": [moq] * 2, "lead_time_periods": [4.0, 2.5], "lead_time_sd_periods": [0.0] * 2,
            "review_periods": [3.0, 5.0], "service_level": [level] * 2, "service_kind": [kind] * 2,
        }
    )  # fmt: skip
    days = [date(2026, 11, 21) + timedelta(days=d) for d in range(13)]
    for line in propose(items, paths, inbound, days).iter_rows(named=True):
        text = line["arithmetic"].replace(" (not known)", "")
        found = re.match(r"(\d+) demand ([+-]) (\d+) safety - (\d+) on hand - (\d+) due = (-?\d+) -> (.*)", text)
        assert found, text
        demand, sign, safety, on_hand, due, net, rest = found.groups()
        assert int(demand) + int(sign + safety) - int(on_hand) - int(due) == int(net) == line["net"]
        assert float(rest.split(" -> ")[-1]) == pytest.approx(line["quantity"], abs=1e-6)
        if line["net"] <= 0:
            assert line["quantity"] == 0
        else:
            assert max(line["net"], moq) - 1e-6 <= line["quantity"] < max(line["net"], moq) + pack + 1e-6
