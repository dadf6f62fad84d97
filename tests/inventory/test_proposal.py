"""The order proposal: quantities, dates, warnings, assumptions, orders by supplier."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.arithmetic import Arithmetic
from shelfwise.inventory.order_calendar import OrderCalendar, parse_weekdays
from shelfwise.inventory.proposal import (
    ProposalRules,
    by_supplier,
    planning_horizon,
    propose,
    top_up_to_minimum,
)

TODAY = date(2026, 11, 21)  # a Saturday
HORIZON = 30
DAYS = [TODAY + timedelta(days=day) for day in range(HORIZON + 1)]


def item(**changes: object) -> dict[str, object]:
    """A mug: 4 a day, 3 days to come, ordered every week, so 40 units protect it."""
    usual: dict[str, object] = {
        "unique_id": "mug", "product": "mug", "warehouse": "main", "supplier": "Hario", "on_hand": 20.0,
        "pack_size": 12.0, "minimum_order_quantity": 0.0, "unit_cost": 2.0, "price": 5.0, "lead_time_periods": 3.0,
        "lead_time_sd_periods": 0.0, "review_periods": 7.0, "service_level": 0.95, "service_kind": "cycle",
    }  # fmt: skip
    return usual | changes


def proposal(*items: dict[str, object], inbound: dict[int, float] | None = None, **options: object) -> pl.DataFrame:
    arriving = np.zeros((len(items), HORIZON))
    for period, units in (inbound or {}).items():
        arriving[:, period] = units
    frame = pl.DataFrame(list(items), infer_schema_length=None)
    return propose(frame, np.full((len(items), 50, HORIZON), 4.0), arriving, DAYS, **options)


def line(inbound: dict[int, float] | None = None, **changes: object) -> dict[str, object]:
    return proposal(item(**changes), inbound=inbound).row(0, named=True)


def test_a_line_orders_what_the_protection_time_needs_in_whole_packs() -> None:
    mug = line()
    assert mug["arithmetic"] == "40 demand + 0 safety - 20 on hand - 0 due = 20 -> packs of 12 -> 24"
    assert (mug["quantity"], mug["cost"], mug["days_of_cover"], mug["days_of_cover_after"]) == (24, 48, 5, 11)
    assert mug["warnings"] is mug["assumptions"] is None


def test_dates_follow_the_stock() -> None:
    # 20 units are 5 days: the sixth day is short, goods need 3 days, so the order can wait 2.
    mug = line()
    assert (mug["stockout_on"], mug["order_by"], mug["late"]) == (DAYS[5], DAYS[2], False)
    assert (mug["stockout_probability"], mug["lost_units"], mug["margin_at_risk"]) == (1.0, 20.0, 60.0)


def test_enough_stock_orders_nothing_and_shows_why() -> None:
    mug = line(on_hand=52.0, minimum_order_quantity=100.0)
    assert mug["quantity"] == mug["cost"] == 0
    assert mug["arithmetic"] == "40 demand + 0 safety - 52 on hand - 0 due = -12 -> 0"


def test_what_is_on_order_counts_only_if_it_comes_within_the_protection_time() -> None:
    assert line(inbound={9: 20.0})["quantity"] == 0
    assert line(inbound={10: 20.0})["due"] == 0
    assert line(inbound={10: 20.0})["quantity"] == 24


def test_an_approved_order_is_not_proposed_again() -> None:
    first = line()
    again = line(inbound={3: first["quantity"]})
    assert again["quantity"] == 0
    assert again["due"] == 24


def test_the_wait_for_an_order_day_is_protected_too_and_delays_no_order_by_date() -> None:
    mug = line(wait_periods=2)
    assert mug["demand"] == 48
    assert [line(wait_periods=2, inbound={period: 20.0})["due"] for period in (11, 12)] == [20, 0]
    assert (mug["order_by"], mug["late"]) == (DAYS[2], False)
    assert line(wait_periods=3)["late"]
    assert line(wait_periods=3)["order_by"] == DAYS[3]


def test_a_shortage_no_order_can_prevent_is_called_late() -> None:
    mug = line(on_hand=4.0)
    assert (mug["late"], mug["order_by"]) == (True, TODAY)
    assert mug["warnings"] == "may run short before an order can arrive"


def test_an_unknown_stock_is_loud_orders_the_whole_demand_and_claims_no_stockout() -> None:
    mug = line(on_hand=None)
    assert mug["quantity"] == 48
    assert not mug["stock_known"]
    assert mug["warnings"] == "stock not known: assumed 0; count it before ordering"
    assert "- 0 on hand (not known) -" in mug["arithmetic"]
    claims = ("stockout_on", "stockout_probability", "order_by", "lost_units", "margin_at_risk")
    assert [mug[claim] for claim in claims] == [None] * 5
    assert not mug["late"]


def test_books_below_zero_count_as_nothing_and_are_named() -> None:
    mug = line(on_hand=-7.0)
    assert mug["on_hand"] == 0
    assert "the books show -7 on hand: counted as 0" in mug["warnings"]


def test_everything_that_was_assumed_is_said() -> None:
    bare = {"unique_id": "x", "product": "x", "warehouse": "main", "on_hand": 1.0}
    row = proposal(bare, rules=ProposalRules(lead_time_days=10)).row(0, named=True)
    assert row["assumptions"] == (
        "no lead time: assumed 10 d; lead time assumed to vary by 20%; no review time: assumed 7 d; "
        "no pack size: assumed 1; no unit cost: cost not known"
    )
    assert (row["lead_time_periods"], row["review_periods"], row["service_level"]) == (10, 7, 0.95)
    assert row["cost"] is None


def test_assumed_days_become_periods_of_the_forecast() -> None:
    weeks = [TODAY + timedelta(weeks=week) for week in range(HORIZON + 1)]
    frame = pl.DataFrame({"unique_id": ["x"], "product": ["x"], "warehouse": ["m"], "on_hand": [0.0]})
    row = propose(frame, np.ones((1, 50, HORIZON)), np.zeros((1, HORIZON)), weeks).row(0, named=True)
    assert (row["lead_time_periods"], row["review_periods"]) == (2, 1)
    assert row["demand_per_day"] == pytest.approx(1 / 7)


def test_odd_quantities_are_warned_about() -> None:
    assert "lasts 257 days, more than 180" in line(minimum_order_quantity=1000.0)["warnings"]
    assert line(usual_order=5.0)["warnings"] == "4.8 times the usual order of 5"
    assert line(usual_order=8.0)["warnings"] is None


def test_lots_follow_the_lines_policy() -> None:
    texts = {
        "s_q": "= 20 -> lots of 60 -> 60",
        "s_S": "= 20 -> + 60 lot = 80 -> packs of 12 -> 84",
        "r_S": "= 20 -> packs of 12 -> 24",
    }
    for policy, text in texts.items():
        assert line(policy=policy, lot_size=60.0)["arithmetic"].endswith(text)
        assert line(policy=policy, lot_size=60.0, on_hand=40.0)["quantity"] == 0
    missing = line(policy="s_q")
    assert (missing["lot_size"], missing["assumptions"]) == (36, "no lot size: assumed the demand of one review")


def test_longer_uncertain_lead_times_need_more_safety() -> None:
    steady, shaky = line(lead_time_periods=8.0), line(lead_time_periods=8.0, lead_time_sd_periods=3.0)
    assert shaky["safety"] > steady["safety"] == 0


def test_lines_do_not_depend_on_their_neighbours() -> None:
    rng = np.random.default_rng(5)
    frame = pl.DataFrame([item(unique_id=f"p{i}", product=f"p{i}", lead_time_sd_periods=1.0) for i in range(5)])
    paths, arriving = rng.poisson(4, (5, 80, HORIZON)), np.zeros((5, HORIZON))
    whole = propose(frame, paths, arriving, DAYS, seed=9)
    order = [3, 0, 4, 2, 1]
    shuffled = propose(frame[order], paths[order], arriving, DAYS, seed=9)
    assert shuffled.equals(whole[order])
    assert propose(frame[2:3], paths[2:3], arriving[2:3], DAYS, seed=9).equals(whole[2:3])


def test_measured_lead_times_replace_the_stated_one() -> None:
    measured = proposal(item(), lead_time_samples=[[10.0]]).row(0, named=True)
    assert (measured["demand"], measured["lead_time_periods"]) == (68, 10)


def test_the_planning_horizon_is_just_long_enough() -> None:
    frame = pl.DataFrame([item(lead_time_periods=9.0, lead_time_sd_periods=3.0, wait_periods=2)])
    horizon = planning_horizon(frame)
    days = [TODAY + timedelta(days=day) for day in range(horizon + 1)]
    lines = propose(frame, np.ones((1, 400, horizon)), np.zeros((1, horizon)), days)
    assert lines.height == 1
    with pytest.raises(ParameterError, match=f"protection time {horizon} is longer than the horizon {horizon - 1}"):
        propose(frame, np.ones((1, 400, horizon - 1)), np.zeros((1, horizon - 1)), days[:-1])


def test_no_items_are_no_lines() -> None:
    empty = propose(pl.DataFrame([item()]).clear(), np.ones((0, 5, HORIZON)), np.zeros((0, HORIZON)), DAYS)
    assert empty.is_empty()
    assert by_supplier(empty, pl.DataFrame({"supplier": ["Hario"]}), TODAY).is_empty()


def test_arrays_that_do_not_fit_the_items_are_refused() -> None:
    frame = pl.DataFrame([item()])
    with pytest.raises(ParameterError, match="1 planning items for paths of 2 series"):
        propose(frame, np.ones((2, 5, HORIZON)), np.zeros((2, HORIZON)), DAYS)
    with pytest.raises(ParameterError, match=r"inbound must have the shape \(1, 30\), got \(1, 29\)"):
        propose(frame, np.ones((1, 5, HORIZON)), np.zeros((1, HORIZON - 1)), DAYS)
    with pytest.raises(ParameterError, match="inbound must be finite"):
        propose(frame, np.ones((1, 5, HORIZON)), np.full((1, HORIZON), np.nan), DAYS)
    with pytest.raises(ParameterError, match="period_starts must be 31 dates for a horizon of 30"):
        propose(frame, np.ones((1, 5, HORIZON)), np.zeros((1, HORIZON)), DAYS[:-1])


def test_the_arithmetic_can_be_read_back_from_a_line() -> None:
    mug = line()
    read = Arithmetic.of(mug)
    assert (read.net, read.quantity, str(read)) == (mug["net"], mug["quantity"], mug["arithmetic"])


SUPPLIERS = pl.DataFrame(
    {
        "supplier": ["Hario", "Northbean"],
        "name": ["Hario Co", None],
        "lead_time_days": [3.0, 5.0],
        "minimum_order_value": [100.0, None],
    }
)


def test_orders_are_grouped_by_supplier_with_dates_and_totals() -> None:
    lines = proposal(
        item(unique_id="a"),
        item(unique_id="b", on_hand=8.0),
        item(unique_id="c", supplier="Northbean", unit_cost=None),
        item(unique_id="d", on_hand=100.0),
    )
    calendars = {"Hario": OrderCalendar(parse_weekdays("mon,thu"))}
    orders = by_supplier(lines, SUPPLIERS, TODAY, calendars=calendars)
    hario, northbean = (orders.filter(pl.col("supplier") == s).row(0, named=True) for s in ("Hario", "Northbean"))
    monday = date(2026, 11, 23)
    assert (hario["lines"], hario["units"], hario["value"]) == (2, 60.0, 120.0)
    assert (hario["order_by"], hario["next_order_on"], hario["arrives_on"]) == (monday, monday, date(2026, 11, 26))
    assert (hario["minimum"], hario["late"]) == ("met", True)
    assert (northbean["order_by"], northbean["next_order_on"]) == (DAYS[2], TODAY)
    assert (northbean["lines_without_cost"], northbean["value"], northbean["minimum"]) == (1, 0.0, "none")


def test_lines_without_a_supplier_form_an_order_of_their_own() -> None:
    orders = by_supplier(proposal(item(supplier=None)), SUPPLIERS, TODAY)
    assert orders["supplier"].to_list() == [None]
    assert orders["arrives_on"].to_list() == [DAYS[2] + timedelta(days=14)]


def test_an_order_below_the_minimum_is_marked_and_can_be_topped_up() -> None:
    lines = proposal(item(unique_id="a"), item(unique_id="b", on_hand=100.0))
    marked = by_supplier(lines, SUPPLIERS, TODAY).row(0, named=True)
    assert (marked["minimum"], marked["missing_value"]) == ("below minimum", 52.0)
    raised = top_up_to_minimum(lines, SUPPLIERS)
    assert raised["quantity"].to_list() == [60.0, 0.0]
    assert raised["arithmetic"][0].endswith("= 20 -> packs of 12 -> 24 + 36 for the supplier's minimum -> 60")
    assert (raised["cost"][0], raised["days_of_cover_after"][0]) == (120.0, 20.0)
    assert by_supplier(raised, SUPPLIERS, TODAY)["minimum"].to_list() == ["topped up"]
    assert top_up_to_minimum(raised, SUPPLIERS).equals(raised)


def test_a_minimum_out_of_reach_leaves_the_order_as_it_is() -> None:
    lines = proposal(item())
    dear = SUPPLIERS.with_columns(minimum_order_value=pl.lit(1e6))
    assert top_up_to_minimum(lines, dear).equals(lines)
    assert by_supplier(lines, dear, TODAY)["minimum"].to_list() == ["below minimum"]
