"""Numbers, days and lists as people read them."""

from __future__ import annotations

import datetime as dt
import math

import pytest

from shelfwise.domain import words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (-0.0, "0"), (0.34, "0.3"), (-0.34, "-0.3"), (-0.04, "0.0"), (0.04, "0.0"), (9.94, "9.9"),
        (9.96, "10"), (3.0, "3"), (-3.0, "-3"), (1234567.8, "1,234,568"), (-1234.4, "-1,234"), (None, "-"),
        (math.nan, "-"), (math.inf, "-"),
    ],
)  # fmt: skip
def test_units_lose_their_decimals_from_ten_on_and_zero_has_no_sign(value, text):
    assert words.units(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "EUR 0"), (3.5, "EUR 3.50"), (9.994, "EUR 9.99"), (9.996, "EUR 10"), (2124.4, "EUR 2,124"),
        (-3.5, "EUR -3.50"), (-0.001, "EUR 0.00"), (None, "-"), (math.nan, "-"),
    ],
)  # fmt: skip
def test_money_names_its_currency(value, text):
    assert words.money(value, "EUR") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 %"), (1e-9, "< 1 %"), (0.01, "1 %"), (0.5, "50 %"), (0.99, "99 %"), (0.9901, "> 99 %"), (1.0, "100 %"),
        (None, "-"), (math.nan, "-"),
    ],
)  # fmt: skip
def test_only_what_is_certain_is_said_to_be(value, text):
    assert words.share(value) == text


def test_a_day_of_another_year_names_it():
    monday = dt.date(2026, 11, 23)
    assert words.day(monday) == "Mon 23 Nov 2026"
    assert words.day(monday, today=dt.date(2026, 1, 1)) == "Mon 23 Nov"
    assert words.day(monday, today=dt.date(2025, 12, 31)) == "Mon 23 Nov 2026"
    assert words.day(None) == "-"


def test_counts_lists_and_long_texts():
    assert words.count(0, "line") == "0 lines"
    assert words.count(1000, "line") == "1,000 lines"
    assert words.shortened("abcdef", 6) == "abcdef"
    assert len(words.shortened("abcdefghij", 6)) <= 6
    assert words.listed(["a", "b"]) == "a, b"
    assert words.listed([]) == ""
