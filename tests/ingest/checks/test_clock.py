"""The middle of the sales tells of another time zone where they are made together, at night."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from shelfwise.ingest.checks.clock import FEWEST_LINES, night_sales


def moments(hours: range, n: int = 100, shift: int = 0) -> pl.Series:
    start = dt.datetime.combine(dt.date(2026, 1, 5), dt.time())
    every = [start + dt.timedelta(days=day, hours=hour + shift, minutes=7) for day in range(n) for hour in hours]
    return pl.Series(every, dtype=pl.Datetime("us"))


@pytest.mark.parametrize("shift", [10, 12, -12])
def test_a_shop_whose_clock_is_half_a_day_off_sells_at_night(shift: int) -> None:
    assert night_sales(moments(range(9, 18), shift=shift)) is not None


@pytest.mark.parametrize(
    "at",
    [
        moments(range(9, 18)),
        moments(range(17, 25)),  # a bar
        moments(range(24)),  # a web shop that never sleeps
        moments(range(1, 4), n=FEWEST_LINES // 3),  # too few
        pl.Series(
            [dt.datetime.combine(dt.date(2026, 1, 1), dt.time())] * 1000, dtype=pl.Datetime("us")
        ),  # days without times
    ],
)
def test_other_shops_keep_their_hours(at: pl.Series) -> None:
    assert night_sales(at) is None
