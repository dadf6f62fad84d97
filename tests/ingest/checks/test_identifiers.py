"""Codes that are damaged or written in several ways, and products that go on under another code."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwise.ingest.checks.identifiers import dead_codes, same_codes, same_names

DAY = dt.date(2026, 1, 1)


@pytest.mark.parametrize("code", ["1.23E+11", "4E+12", "1,5e+10", "100.0"])
def test_numbers_of_a_spreadsheet_are_dead(code: str) -> None:
    assert dead_codes(pl.Series([code])).to_list() == [code]


@pytest.mark.parametrize("code", ["12E4", "1.5", "E+11", "10.05", "SKU-1.0", "1E+1", "4006381333931", ""])
def test_what_a_shop_may_call_a_product_is_alive(code: str) -> None:
    assert dead_codes(pl.Series([code])).is_empty()


@given(st.lists(st.text("aA0b ", min_size=1, max_size=4), unique=True, max_size=30))
def test_codes_are_grouped_just_as_by_hand(codes: list[str]) -> None:
    def plain(code: str) -> str:
        text = "".join(code.lower().split())
        return text.lstrip("0") or text[-1:]

    groups: dict[str, set[str]] = {}
    for code in codes:
        groups.setdefault(plain(code), set()).add(code)
    expected = {frozenset(group) for group in groups.values() if len(group) > 1}
    found = same_codes(pl.Series(codes, dtype=pl.String)).group_by("same").agg("code")
    assert {frozenset(group) for group in found["code"].to_list()} == expected


def products(*rows: tuple[str, str | None, int | None, int | None]) -> pl.DataFrame:
    def day(offset: int | None) -> dt.date | None:
        return None if offset is None else DAY + dt.timedelta(days=offset)

    dated = [(code, name, day(first), day(last)) for code, name, first, last in rows]
    schema = {"product": pl.String, "name": pl.String, "first_sale": pl.Date, "last_sale": pl.Date}
    return pl.DataFrame(dated, schema=schema, orient="row")


def test_a_name_that_goes_on_under_another_code_is_told_with_the_nearest_before_it() -> None:
    table = products(
        ("old", "Green  Tea", 0, 100), ("new", "green tea ", 105, 300), ("newest", "GREEN TEA", 310, 400),
        ("other", "Cup", 0, 400),
    )  # fmt: skip
    assert same_names(table).select("old", "new").rows() == [("old", "new"), ("new", "newest")]


@pytest.mark.parametrize(
    ("first", "last"),
    [(20, 300), (400, 500), (0, 300), (100, 100)],  # side by side; a year later; both at once; over before the old one
)
def test_two_products_of_one_name_are_otherwise_two(first: int, last: int) -> None:
    assert same_names(products(("old", "Tea", 0, 100), ("new", "Tea", first, last))).is_empty()


def test_what_has_no_name_or_no_sale_goes_on_under_none() -> None:
    assert same_names(products(("a", None, 0, 10), ("b", None, 12, 40), ("c", "", 0, 9), ("d", "", 12, 40))).is_empty()
    assert same_names(products(("a", "Tea", 0, 10), ("b", "Tea", None, None))).is_empty()
