"""What is odd in a whole table is said in words: a last day cut short, days without a line, codes nobody knows."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl

from shelfwise.ingest.quality import day_gaps, incomplete_last_day, orphans

at = datetime.fromisoformat  # shop time has no zone

FIRST = at("2024-01-01")


def moments(days: int, *hours: int) -> list[datetime]:
    return [FIRST + timedelta(days=n, hours=h) for n in range(days) for h in hours]


def test_a_last_day_that_ends_hours_early_looks_cut_short() -> None:
    times = [*moments(40, 9, 12, 17), FIRST + timedelta(days=40, hours=12)]
    assert incomplete_last_day(pl.Series(times), pl.Series([1.0] * len(times))) == date(2024, 2, 10)
    times = moments(41, 9, 12, 17)
    assert incomplete_last_day(pl.Series(times), pl.Series([1.0] * len(times))) is None


def test_a_last_day_with_a_fraction_of_the_usual_units_looks_cut_short() -> None:
    days = pl.Series(moments(36, 0))
    assert incomplete_last_day(days, pl.Series([90.0] * 35 + [20.0])) == date(2024, 2, 5)
    assert incomplete_last_day(days, pl.Series([90.0] * 35 + [60.0])) is None


def test_a_short_history_has_no_usual_day_to_compare_with() -> None:
    days = pl.Series(moments(10, 0))
    assert incomplete_last_day(days, pl.Series([90.0] * 9 + [1.0])) is None
    assert incomplete_last_day(pl.Series([], dtype=pl.Datetime), pl.Series([], dtype=pl.Float64)) is None


def test_closed_weekdays_and_other_gaps_are_told_apart() -> None:
    days = [FIRST.date() + timedelta(days=n) for n in range(60)]
    open_days = [day for day in days if day.weekday() != 6 and day != date(2024, 1, 17)]
    assert day_gaps(pl.Series(open_days)) == (
        "days without any line: never on a Sunday; nothing on 1 other day(s): 2024-01-17"
    )
    assert day_gaps(pl.Series(days)) is None


def test_codes_that_nobody_knows_are_listed() -> None:
    known = pl.Series(["A1", "B2"])
    assert orphans(pl.Series(["A1", "B2"]), known, "sales") is None
    assert orphans(pl.Series(["A1", "X", "Y"]), known, "sales") == (
        "2 product code(s) of sales not in the products table: X, Y"
    )
