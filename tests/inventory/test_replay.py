"""The engine of a replay: the clock, the stock's sums, and what counts."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.panel import Panel
from shelfwise.inventory.replay import Ledger, ReplayTerms, Round, Situation, Stock, replay_ledger


def no_forecast(history: Panel, horizon: int) -> Forecast:
    raise AssertionError("this policy needs no forecast")


def rounds_of(demand: np.ndarray, count: int, review: int = 1) -> list[Round]:
    """Return rounds whose history is what came before each of them; ten periods of nothing before the first."""
    whole = np.concatenate([np.zeros((len(demand), 10)), demand], axis=1)
    panel = Panel.from_wide(whole, start="2025-01-06", freq="1w")
    return [Round(k, panel.until(int(panel.starts[0]) + 10 + k * review), 4, no_forecast) for k in range(count)]


def run(
    demand: np.ndarray,
    rule: object,
    *,
    count: int,
    on_hand: float = 0.0,
    known: np.ndarray | None = None,
    **terms: object,
) -> Ledger:
    own = ReplayTerms.of(len(demand), **terms)  # type: ignore[arg-type]
    flags = np.ones(demand.shape, dtype=bool) if known is None else known
    opening = Stock(np.full(len(demand), on_hand), np.zeros((len(demand), own.longest_lead + 1)))
    return replay_ledger(rule, rounds_of(demand, count, own.review_periods), demand, flags, opening, own)  # type: ignore[arg-type]


@pytest.mark.parametrize("lead", [0, 1, 3])
def test_an_order_with_lead_time_l_is_on_the_shelf_at_the_start_of_period_l_plus_1(lead: int) -> None:
    ledger = run(np.zeros((1, 2 + lead)), lambda now: [5.0 * (now.round.number == 0)], count=2, lead_time_periods=lead)
    assert_array_equal(np.flatnonzero(ledger.arrived[0]), [lead])


def test_sales_never_exceed_stock_and_the_rest_is_lost_not_owed() -> None:
    ledger = run(np.full((1, 4), 3.0), lambda now: [4.0], count=3, on_hand=1.0, lead_time_periods=1)
    assert_array_equal(ledger.sold, [[1.0, 3.0, 3.0, 3.0]])
    assert_array_equal(ledger.lost, [[2.0, 0.0, 0.0, 0.0]])
    assert_array_equal(ledger.left, [[0.0, 1.0, 2.0, 3.0]])


def test_what_the_opening_stock_does_before_the_first_arrival_costs_nobody() -> None:
    ledger = run(np.full((1, 4), 3.0), lambda now: [3.0], count=2, lead_time_periods=2, holding_cost=1.0)
    assert_array_equal(ledger.lost, [[3.0, 3.0, 0.0, 0.0]])
    assert ledger.cost[0] == 0.0


def test_a_policy_sees_nothing_of_the_period_it_decides_for() -> None:
    seen: list[list[float]] = []

    def look(now: Situation) -> list[float]:
        seen.append(now.history.window(2)[0].tolist())
        return [0.0]

    run(np.array([[7.0, 8.0, 9.0, 1.0]]), look, count=3, lead_time_periods=1)
    assert seen == [[0.0, 0.0], [0.0, 7.0], [7.0, 8.0]]


def test_a_policy_is_told_its_own_stock_and_pipeline() -> None:
    told: list[tuple[float, list[float]]] = []

    def look(now: Situation) -> list[float]:
        told.append((float(now.on_hand[0]), now.pipeline[0].tolist()))
        return [2.0]

    run(np.ones((1, 5)), look, count=3, on_hand=4.0, lead_time_periods=2)
    assert told == [(4.0, [0.0, 0.0, 0.0]), (3.0, [0.0, 2.0, 0.0]), (2.0, [2.0, 2.0, 0.0])]


def test_orders_are_placed_every_review_only() -> None:
    ledger = run(np.ones((1, 6)), lambda now: [1.0], count=2, lead_time_periods=0, review_periods=3)
    assert_array_equal(np.flatnonzero(ledger.ordered[0]), [0, 3])


def test_packs_and_minimum_are_applied_to_every_answer() -> None:
    ledger = run(np.ones((1, 2)), lambda now: [5.0], count=1, lead_time_periods=1, pack=4.0, moq=10.0)
    assert ledger.ordered[0, 0] == 12.0


def test_each_product_has_its_own_lead_time() -> None:
    ledger = run(np.zeros((2, 4)), lambda now: [1.0, 1.0], count=1, lead_time_periods=[1, 3])
    assert_array_equal(np.nonzero(ledger.arrived), [[0, 1], [1, 3]])
    assert_array_equal(ledger.counted, [[False, True, False, False], [False, False, False, True]])


def test_a_period_of_unknown_demand_takes_what_was_sold_and_costs_nothing() -> None:
    known = np.array([[True, False, True]])
    demand = np.array([[2.0, 2.0, 2.0]])
    ledger = run(demand, lambda now: [0.0], count=3, on_hand=5.0, known=known, lead_time_periods=0, holding_cost=1.0)
    assert_array_equal(ledger.left, [[3.0, 1.0, 0.0]])
    assert_allclose(ledger.cost, 1.0 * 3.0 + 1.0 * 1.0)  # 3 left in the first period, 1 lost in the last


def test_every_order_line_costs_its_order_cost() -> None:
    ledger = run(
        np.ones((1, 3)), lambda now: [float(now.round.number != 1)], count=3, lead_time_periods=0, order_cost=7
    )
    assert ledger.ordering[0] == 14.0


def test_the_costs_of_the_periods_add_up_to_the_cost() -> None:
    demand = np.random.default_rng(0).poisson(3.0, (4, 8)).astype(float)
    known = np.random.default_rng(1).random((4, 8)) < 0.8
    ledger = run(demand, lambda now: np.full(4, 2.0), count=5, on_hand=4.0, known=known, order_cost=[1, 2, 3, 4.0])
    assert_allclose(ledger.period_cost.sum(axis=1), ledger.cost)


def test_answers_that_are_no_orders_are_refused() -> None:
    demand = np.ones((2, 2))
    with pytest.raises(ParameterError, match=r"one quantity for each of 2 series, got \(1,\)"):
        run(demand, lambda now: [1.0], count=1, lead_time_periods=1)
    with pytest.raises(ParameterError, match=r"order zero or more units, got -1 \(series 1\)"):
        run(demand, lambda now: [1.0, -1.0], count=1, lead_time_periods=1)
    with pytest.raises(ParameterError, match="order zero or more units, got nan"):
        run(demand, lambda now: [np.nan, 1.0], count=1, lead_time_periods=1)


def test_terms_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ParameterError, match="lead time must be whole periods"):
        ReplayTerms.of(1, lead_time_periods=1.5)
    with pytest.raises(ParameterError, match="review time must be whole periods and at least 1, got 0"):
        ReplayTerms.of(1, review_periods=0)
    with pytest.raises(ParameterError, match="shortage_cost must be above zero"):
        ReplayTerms.of(1, shortage_cost=0.0)
    with pytest.raises(ParameterError, match="holding_cost must be zero or more"):
        ReplayTerms.of(1, holding_cost=float("nan"))
    with pytest.raises(ParameterError, match="on_hand must be finite and zero or more units"):
        Stock(np.array([-1.0]), np.zeros((1, 1)))


def test_text_is_no_order() -> None:
    demand = np.ones((2, 2))
    with pytest.raises(ParameterError, match="as numbers, one for each series, got str 'a'"):
        run(demand, lambda now: "a", count=1, lead_time_periods=1)
    with pytest.raises(ParameterError, match=r"as numbers, one for each series, got list"):
        run(demand, lambda now: [1.0, "many"], count=1, lead_time_periods=1)
    with pytest.raises(ParameterError, match=r"as numbers, one for each series, got list .*'5', '6'"):
        run(demand, lambda now: ["5", "6"], count=1, lead_time_periods=1)
    with pytest.raises(ParameterError, match=r"one quantity for each of 2 series, got \(\)"):
        run(demand, lambda now: None, count=1, lead_time_periods=1)
