"""The supply side: what a supplier states, and what is assumed where it does not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from tests.services.worlds import MONDAY, sales

from shelfwise.app import App
from shelfwise.services.planning import make_plan


@pytest.fixture
def line(shop: App, book: Callable[..., None]) -> Callable[..., dict[str, Any]]:
    """Plan one product that sells three a day, ordered from a supplier with the given terms; return its line."""

    def plan(**terms: Any) -> dict[str, Any]:
        book(
            suppliers=[{"supplier": "S", "lead_time_days": 5.0, **terms}],
            products=[{"product": "A", "supplier": "S", "unit_cost": 2.0}],
            movements=sales("A", MONDAY - dt.timedelta(days=60), [3.0] * 60),
        )
        return make_plan(shop, model="base_level", save=False).lines.row(0, named=True)

    return plan


def test_a_supplier_with_two_order_days_a_week_is_ordered_from_on_both(line):
    found = line(order_weekdays="mon,thu")  # planned on a Monday: the next chance is Thursday
    assert (found["wait_periods"], found["review_periods"]) == (0, 3.0)
    assert "review" not in (found["assumptions"] or "")


def test_without_order_days_or_a_review_time_a_week_is_assumed_and_said(line):
    found = line()
    assert found["review_periods"] == 7.0
    assert "no review time: assumed 7 d" in found["assumptions"]


def test_a_spread_of_lead_times_nobody_stated_or_measured_is_said_to_be_assumed(line):
    assert "lead time assumed to vary by 20%" in line()["assumptions"]


def test_a_stated_spread_is_no_assumption(line):
    assert "vary" not in (line(lead_time_sd_days=1.5)["assumptions"] or "")
