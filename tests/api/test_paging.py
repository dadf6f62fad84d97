"""Keyset pages: every row once whatever comes in between, nulls last, and no cursor that was not given out."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwise.api.paging import Listing
from shelfwise.domain.errors import ParameterError

ORDER = Listing("tests", ("day", "money", "code"), (False, True, False))
SCHEMA = {
    "day": pl.Date(), "money": pl.Float64(), "code": pl.String(), "number": pl.Int64(), "at": pl.Datetime("us"),
}  # fmt: skip


def frame(rows: list[tuple[dt.date | None, float | None, str]]) -> pl.DataFrame:
    noon = dt.datetime.combine(dt.date(2026, 1, 1), dt.time(12))
    told = [(*row, n, noon + dt.timedelta(microseconds=n)) for n, row in enumerate(rows)]
    return pl.DataFrame(told, schema=SCHEMA, orient="row")


def walk(listing: Listing, rows: pl.DataFrame, limit: int) -> list[str]:
    seen: list[str] = []
    cursor = None
    while True:
        page, cursor = listing.page(rows, cursor, limit)
        seen += [row["code"] for row in page]
        if cursor is None:
            return seen


days = st.none() | st.dates(dt.date(2026, 1, 1), dt.date(2026, 1, 4))
money = st.none() | st.sampled_from([0.1, 1 / 3, 1e-17, -2.5, 1e300, float("nan")])


@given(st.lists(st.tuples(days, money), max_size=30), st.integers(1, 7))
def test_pages_hold_every_row_once_and_in_one_order(keys: list[tuple[dt.date | None, float | None]], limit: int):
    rows = frame([(day, value, f"c{n}é") for n, (day, value) in enumerate(keys)])
    seen = walk(ORDER, rows, limit)
    assert seen == walk(ORDER, rows, 1000)
    assert sorted(seen) == sorted(rows["code"])


def test_rows_that_come_in_between_neither_repeat_nor_hide_others():
    rows = frame([(dt.date(2026, 1, n), 1.0, f"c{n}") for n in range(1, 7)])
    first, cursor = ORDER.page(rows, None, 3)
    more = pl.concat([rows, frame([(dt.date(2026, 1, 1), 2.0, "early"), (dt.date(2026, 1, 5), 9.0, "late")])])
    fewer = more.filter(pl.col("code") != first[-1]["code"])
    second, _ = ORDER.page(fewer, cursor, 10)
    assert [row["code"] for row in first + second] == ["c1", "c2", "c3", "c4", "late", "c5", "c6"]


def test_nulls_come_last_and_numbers_that_are_none_are_null():
    rows = frame([(None, 1.0, "a"), (dt.date(2026, 1, 1), float("nan"), "b"), (dt.date(2026, 1, 1), 1.0, "c")])
    assert walk(ORDER, rows, 1) == ["c", "b", "a"]
    page, _ = ORDER.page(rows, None, 3)
    assert [row["money"] for row in page] == [1.0, None, 1.0]


def test_moments_and_whole_numbers_are_read_back_as_they_were():
    listing = Listing("moments", ("at", "number"), (True, True))
    rows = frame([(None, None, f"c{n}") for n in range(5)])
    assert walk(listing, rows, 2) == ["c4", "c3", "c2", "c1", "c0"]


@pytest.mark.parametrize(
    "change", [lambda c: c[:-3], lambda c: "A" + c[1:], lambda c: "", lambda c: "{}", lambda c: "é"]
)
def test_a_cursor_that_was_changed_is_refused(change):
    rows = frame([(dt.date(2026, 1, n), 1.0, f"c{n}") for n in range(1, 7)])
    _, cursor = ORDER.page(rows, None, 3)
    with pytest.raises(ParameterError, match="is no cursor of tests; give the `next` of the page before"):
        ORDER.page(rows, change(cursor), 3)


def test_a_cursor_of_another_list_is_refused():
    rows = frame([(dt.date(2026, 1, n), 1.0, f"c{n}") for n in range(1, 7)])
    _, cursor = ORDER.page(rows, None, 3)
    with pytest.raises(ParameterError, match="no cursor of others"):
        Listing("others", ORDER.by, ORDER.descending).page(rows, cursor, 3)
