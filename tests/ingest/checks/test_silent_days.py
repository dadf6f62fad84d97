"""Runs of days without any sale are told where the warehouse's own past makes them implausible."""

from __future__ import annotations

import datetime as dt

import polars as pl

from shelfwise.ingest.checks.silent_days import silent_runs

START = dt.date(2026, 1, 5)  # a Monday


def days_of(sold: list[bool], warehouse: str = "m") -> pl.DataFrame:
    days = [START + dt.timedelta(days=n) for n in range(len(sold))]
    return pl.DataFrame({"warehouse": warehouse, "day": days, "sold": sold})


def test_a_week_lost_out_of_a_year_is_told_with_its_days() -> None:
    sold = [True] * 364
    sold[100:107] = [False] * 7
    (run,) = silent_runs(days_of(sold)).rows()
    assert run == ("m", START + dt.timedelta(days=100), START + dt.timedelta(days=106), 7)


def test_closed_sundays_and_short_holidays_are_not_told() -> None:
    sold = [day % 7 != 6 for day in range(364)]
    sold[150:152] = [False, False]
    assert silent_runs(days_of(sold)).is_empty()


def test_a_warehouse_that_sells_now_and_then_may_be_silent_for_a_week() -> None:
    seldom = [day % 3 == 0 for day in range(364)]
    seldom[102:109] = [False] * 7
    often = [True] * 364
    often[102:109] = [False] * 7
    found = silent_runs(pl.concat([days_of(seldom, "seldom"), days_of(often, "often")]))
    assert found["warehouse"].to_list() == ["often"]


def test_days_left_out_as_closed_break_no_run() -> None:
    sold = [True] * 364
    sold[100:104] = [False] * 4
    known = days_of(sold).filter(~pl.col("day").is_in([START + dt.timedelta(days=n) for n in (101, 102)]))
    assert silent_runs(known).is_empty()  # two of them are explained, two are left
    sold[104:106] = [False] * 2
    known = days_of(sold).filter(~pl.col("day").is_in([START + dt.timedelta(days=n) for n in (101, 102)]))
    assert silent_runs(known)["days"].to_list() == [4]
