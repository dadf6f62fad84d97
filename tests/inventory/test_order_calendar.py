"""Order days, closures, arrivals, and dates as periods."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.order_calendar import Closure, OrderCalendar, closures, parse_weekdays, periods_until

SATURDAY = date(2026, 11, 21)
MONDAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("text", "days"),
    [("mon,thu", {0, 3}), ("Monday; friday", {0, 4}), (None, set(range(7))), ("  ", set(range(7))), ("sun", {6})],
)
def test_weekdays_are_read_from_names(text: str | None, days: set[int]) -> None:
    assert parse_weekdays(text) == days


def test_a_word_that_is_no_weekday_is_named() -> None:
    with pytest.raises(ParameterError, match="got 'every' in 'mon,every'"):
        parse_weekdays("mon,every")


def test_today_is_an_order_day_if_it_is_one() -> None:
    assert OrderCalendar(parse_weekdays("mon")).next_order_date(MONDAY) == MONDAY
    assert OrderCalendar(parse_weekdays("mon")).next_order_date(SATURDAY) == MONDAY


def test_no_order_is_placed_while_either_side_is_closed() -> None:
    week = Closure(MONDAY, MONDAY + timedelta(days=6))
    for calendar in (
        OrderCalendar(parse_weekdays("mon"), supplier_closures=(week,)),
        OrderCalendar(parse_weekdays("mon"), shop_closures=(week,)),
    ):
        assert calendar.next_order_date(SATURDAY) == MONDAY + timedelta(days=7)


def test_goods_that_would_come_on_a_closed_day_come_on_the_next_open_one() -> None:
    calendar = OrderCalendar(closed_weekdays=frozenset({5, 6}), shop_closures=(Closure(MONDAY, MONDAY),))
    assert calendar.arrival_date(date(2026, 11, 18), 3) == date(2026, 11, 24)
    assert calendar.arrival_date(date(2026, 11, 18), 2) == date(2026, 11, 20)
    assert calendar.arrival_date(date(2026, 11, 18), 1.2) == date(2026, 11, 20)


def test_the_order_after_next_is_at_least_the_review_time_later() -> None:
    calendar = OrderCalendar(parse_weekdays("mon,thu"))
    assert calendar.timing(MONDAY, 3).next_order_on == MONDAY + timedelta(days=3)
    assert calendar.timing(MONDAY, 3, review_days=5).next_order_on == MONDAY + timedelta(days=7)
    assert calendar.timing(MONDAY, 3, review_days=14).review_days == 14


def test_a_closure_ahead_makes_the_protection_time_longer() -> None:
    """Ordering before a supplier's holiday has to last through it."""
    holiday = Closure(MONDAY + timedelta(days=4), MONDAY + timedelta(days=20))
    starts = [MONDAY + timedelta(days=day) for day in range(60)]
    usual = OrderCalendar(parse_weekdays("mon")).timing(MONDAY, 2).periods(starts)
    before = OrderCalendar(parse_weekdays("mon"), supplier_closures=(holiday,)).timing(MONDAY, 2).periods(starts)
    assert usual == (0, 2, 7)
    assert before == (0, 2, 21)


def test_timing_beyond_the_periods_given_is_refused() -> None:
    starts = [MONDAY + timedelta(days=day) for day in range(9)]
    with pytest.raises(ParameterError, match="give more period starts"):
        OrderCalendar(parse_weekdays("mon")).timing(MONDAY, 2).periods(starts)


def test_the_last_order_day_is_not_before_the_first_possible_one() -> None:
    calendar = OrderCalendar(parse_weekdays("mon,thu"))
    thursday = MONDAY + timedelta(days=3)
    assert calendar.last_order_date(MONDAY + timedelta(days=6), MONDAY) == thursday
    assert calendar.last_order_date(SATURDAY, SATURDAY) == MONDAY


def test_calendars_in_which_nothing_can_be_ordered_are_refused() -> None:
    with pytest.raises(ParameterError, match="orders are taken on sun and the shop is closed on sun"):
        OrderCalendar(frozenset({6}), closed_weekdays=frozenset({6}))
    with pytest.raises(ParameterError, match="must end on or after its first day"):
        Closure(MONDAY, SATURDAY)
    forever = OrderCalendar(shop_closures=(Closure(SATURDAY, date(2040, 1, 1)),))
    with pytest.raises(ParameterError, match="no order day within 730 days of 2026-11-21; shorten the closures"):
        forever.next_order_date(SATURDAY)
    with pytest.raises(ParameterError, match="lead time must be zero or more days, got -1"):
        OrderCalendar().arrival_date(MONDAY, -1)
    with pytest.raises(ParameterError, match="review time must be at least 1 day, got 0"):
        OrderCalendar().timing(MONDAY, 1, review_days=0)


def test_only_closures_of_the_one_asked_for_are_picked() -> None:
    events = pl.DataFrame(
        [
            ("closure", "a", MONDAY, MONDAY, "supplier", "Hario"),
            ("closure", "b", MONDAY, MONDAY, "supplier", "Other"),
            ("closure", "c", SATURDAY, MONDAY, "shop", None),
            ("holiday", "d", MONDAY, MONDAY, "shop", None),
        ],
        schema=["kind", "name", "starts_on", "ends_on", "scope_kind", "scope"],
        orient="row",
    )
    assert closures(events, "supplier", "Hario") == (Closure(MONDAY, MONDAY),)
    assert closures(events, "shop") == (Closure(SATURDAY, MONDAY),)


def test_goods_on_the_first_day_of_a_period_serve_it_and_later_ones_the_next() -> None:
    weeks = [MONDAY + timedelta(weeks=week) for week in range(4)]
    days = [MONDAY, MONDAY + timedelta(days=1), MONDAY + timedelta(days=7), MONDAY - timedelta(days=30)]
    assert periods_until(days, weeks).tolist() == [0, 1, 1, 0]
    with pytest.raises(ParameterError, match="rising dates"):
        periods_until(days, [MONDAY, MONDAY])
