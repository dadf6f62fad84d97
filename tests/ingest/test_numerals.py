"""Numbers are read one way per column, decided from all rows."""

from __future__ import annotations

import polars as pl
import pytest

from shelfwise.ingest.numerals import read_numbers


def values(*cells: str | None, prefer: str = "plain") -> list[float | None]:
    return read_numbers(pl.Series(cells, dtype=pl.String), prefer=prefer).values.to_list()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("12", 12.0), (" 12 ", 12.0), ("1,234.56", 1234.56), ("$8.00", 8.0), ("£1,234.50", 1234.5), ("(5)", -5.0),
        ("(1,234.50)", -1234.5), ("5-", -5.0), ("-5", -5.0), ("−5", -5.0), ("+5", 5.0), ("1'234.56", 1234.56),
        ("8.00 USD", 8.0), ("1e3", 1000.0), (".5", 0.5), ("1,234,567", 1234567.0), ("€ 0.50", 0.5), ("- 7", -7.0),
        ("8,00 €", 8.0), ("1\u202f234,50 €", 1234.5), ("1\u00a0234,5", 1234.5), ("R$ 8,50", 8.5), ("8.00 zł", 8.0),
        ("CHF 1’234.50", 1234.5), ("₺5.25", 5.25), ("12,34,567.00", 1234567.0), ("SEK 5.25", 5.25), ("1.0", 1.0),
        ("12.5 %", 0.125), ("25%", 0.25),
    ],
)  # fmt: skip
def test_a_number_is_read_however_it_is_dressed(cell: str, number: float) -> None:
    assert values(cell) == [number]


@pytest.mark.parametrize(
    "cell",
    [
        "abc",
        "=cmd|' /C calc'!A0",
        "1.2.3",
        "12 pieces",
        "5-5",
        "1,2,3",
        "1e999",
        "inf",
        "1 2",
        "12 34",
        "5%",
        "9" * 400,
    ],
)
def test_what_is_no_number_is_marked_bad(cell: str) -> None:
    read = read_numbers(pl.Series([cell, "1"]))
    assert read.values.to_list() == [None, 1.0]
    assert read.bad.to_list() == [True, False]


def test_blank_cells_are_missing_and_not_bad() -> None:
    read = read_numbers(pl.Series(["", None, "n/a", "-", "4"]))
    assert read.values.to_list() == [None, None, None, None, 4.0]
    assert not read.bad.any()


def test_a_decimal_comma_is_recognised_and_groups_by_dots_are_thousands() -> None:
    assert values("1.234,56", "2.000", "3") == [1234.56, 2000.0, 3.0]
    assert values("1 234,5", "1 000") == [1234.5, 1000.0]


def test_one_late_row_decides_for_the_whole_column() -> None:
    assert values("1,234", "5,678", "0,5") == [1.234, 5.678, 0.5]
    assert values("1,234", "5,678", "0.5") == [1234.0, 5678.0, 0.5]


def test_ungrouped_thousands_show_that_a_comma_is_decimal() -> None:
    assert values("1,234", "12345") == [1.234, 12345.0]


def test_a_column_that_proves_both_ways_says_so() -> None:
    assert set(read_numbers(pl.Series(["1.5", "2,5"])).proofs) == {"point", "comma"}


def test_an_undecided_column_follows_the_rest_of_the_file_and_names_an_example() -> None:
    assert values("1.234", "2.000") == [1.234, 2.0]
    assert values("1.234", "2.000", prefer="comma") == [1234.0, 2000.0]
    assert read_numbers(pl.Series(["1.234", "2.000"])).unsure in {"1.234", "2.000"}


def test_stored_numbers_are_not_parsed() -> None:
    assert read_numbers(pl.Series([1, None, 3])).values.to_list() == [1.0, None, 3.0]
    wild = read_numbers(pl.Series([1.0, float("inf"), float("nan"), 1e300]))
    assert wild.values.to_list() == [1.0, None, None, None]
    assert wild.bad.to_list() == [False, True, False, True]
