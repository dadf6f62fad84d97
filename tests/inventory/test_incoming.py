"""What on order counts, and when it arrives."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from numpy.testing import assert_array_equal

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.incoming import OverdueRule, incoming

TODAY = date(2026, 11, 21)


def line(**changes: object) -> pl.DataFrame:
    usual = {
        "purchase_order": "P1", "supplier": "Hario", "product": "V60", "warehouse": "main", "quantity": 10.0,
        "quantity_received": 0.0, "expected_on": TODAY + timedelta(days=2), "status": "sent",
    }  # fmt: skip
    return pl.DataFrame([usual | changes])


def lead_times(sd_days: float) -> pl.DataFrame:
    return pl.DataFrame({"supplier": ["Hario"], "mean_days": [10.0], "sd_days": [sd_days]})


@pytest.mark.parametrize("status", ["draft", "sent", "part_received"])
def test_approved_and_sent_orders_count_at_once(status: str) -> None:
    result = incoming(line(status=status, quantity_received=4.0), TODAY)
    assert result.counted["outstanding"].to_list() == [6.0]
    assert result.left_out.is_empty()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "cancelled"}, "the order is cancelled"),
        ({"status": "received"}, "the order is received"),
        ({"quantity_received": 12.0}, "everything ordered has been received"),
        (
            {"expected_on": TODAY - timedelta(days=15)},
            "15 days late, more than 14: no longer counted; receive or cancel it",
        ),
    ],
)
def test_lines_that_do_not_count_are_listed_with_the_reason(changes: dict[str, object], reason: str) -> None:
    result = incoming(line(**changes), TODAY)
    assert result.counted.is_empty()
    assert result.left_out["reason"].to_list() == [reason]


def test_a_late_line_is_believed_for_longer_where_the_supplier_varies_more() -> None:
    late = line(expected_on=TODAY - timedelta(days=20))
    assert incoming(late, TODAY, lead_times=lead_times(sd_days=10.0)).counted.height == 1
    assert incoming(late, TODAY, lead_times=lead_times(sd_days=9.0)).counted.height == 0
    assert incoming(late, TODAY, rule=OverdueRule(days=30)).counted.height == 1


def test_a_late_line_that_still_counts_is_expected_tomorrow() -> None:
    result = incoming(line(expected_on=TODAY - timedelta(days=3)), TODAY)
    assert result.counted.select("days_late", "arrives_on").row(0) == (3, TODAY + timedelta(days=1))


def test_a_line_without_an_expected_day_takes_the_suppliers_lead_time() -> None:
    open_line = line(expected_on=None, ordered_on=TODAY - timedelta(days=4))
    with_lead_time = incoming(open_line, TODAY, lead_times=lead_times(sd_days=1.0))
    assert with_lead_time.counted["arrives_on"].to_list() == [TODAY + timedelta(days=6)]
    assert incoming(open_line, TODAY).counted["arrives_on"].to_list() == [TODAY + timedelta(days=10)]
    draft = line(expected_on=None, ordered_on=None, status="draft")
    assert incoming(draft, TODAY).counted["arrives_on"].to_list() == [TODAY + timedelta(days=14)]


def test_arrivals_stand_in_the_period_they_can_be_sold_in() -> None:
    lines = pl.concat(
        [
            line(),
            line(purchase_order="P2", quantity=5.0),
            line(purchase_order="P3", product="mug", expected_on=TODAY),
            line(purchase_order="P4", product="not planned"),
            line(purchase_order="P5", expected_on=TODAY + timedelta(days=90)),
        ]
    )
    days = [TODAY + timedelta(days=day) for day in range(5)]
    inbound = incoming(lines, TODAY).by_period(["mug", "V60"], ["main", "main"], days, horizon=4)
    assert_array_equal(inbound, [[10.0, 0, 0, 0], [0, 0, 15.0, 0]])


def test_no_open_lines_are_no_arrivals() -> None:
    days = [TODAY + timedelta(days=day) for day in range(3)]
    assert incoming(line().clear(), TODAY).by_period(["a"], ["m"], days, horizon=3).sum() == 0


def test_a_rule_with_negative_patience_is_refused() -> None:
    with pytest.raises(ParameterError, match="zero or more"):
        OverdueRule(days=-1)
