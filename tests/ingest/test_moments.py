"""Dates are read one way per column, decided from all rows, and asked about when nothing decides."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shelfwise.domain.errors import ParameterError
from shelfwise.ingest import moments
from shelfwise.ingest.moments import read_clock, read_moments

at = datetime.fromisoformat  # shop time has no zone


def days(*cells: str, **options: object) -> list[str | None]:
    read = read_moments(pl.Series(cells), **options)  # type: ignore[arg-type]
    return [None if v is None else v.isoformat()[:10] for v in read.values]


@pytest.mark.parametrize(
    ("cell", "moment"),
    [
        ("2024-05-31", at("2024-05-31")), ("2024/05/31", at("2024-05-31")),
        ("20240531", at("2024-05-31")), ("2024-05", at("2024-05-01")),
        ("31.05.2024", at("2024-05-31")), ("31-05-24", at("2024-05-31")),
        ("2024-05-31 09:50:26", at("2024-05-31T09:50:26")),
        ("2024-05-31T09:50", at("2024-05-31T09:50")), ("5/31/2024 1:05 PM", at("2024-05-31T13:05")),
        ("5/31/2024 12:05 am", at("2024-05-31T00:05")), ("31 May 2024", at("2024-05-31")),
        ("May 31, 2024", at("2024-05-31")), ("31. Mai 2024", at("2024-05-31")),
        ("1 août 2024", at("2024-08-01")), ("3 de enero de 2024", at("2024-01-03")), ("3 gen 2024", at("2024-01-03")),
        ("3 maart 2024", at("2024-03-03")), ("3 dezembro 2024", at("2024-12-03")), ("3 maj 2024", at("2024-05-03")),
        ("Fri, 31 May 2024 09:50", at("2024-05-31T09:50")), ("2025-10-07T09:50:26+02", at("2025-10-07T09:50:26")),
        ("2025-10-07 09:50:26 +0200", at("2025-10-07T09:50:26")),
    ],
)  # fmt: skip
def test_a_date_is_read_however_it_is_written(cell: str, moment: datetime) -> None:
    assert read_moments(pl.Series([cell])).values.to_list() == [moment]


def test_one_value_above_twelve_settles_the_order_of_the_whole_column() -> None:
    assert days("03/04/2024", "05/06/2024", "25/06/2024") == ["2024-04-03", "2024-06-05", "2024-06-25"]
    assert days("03/04/2024", "05/06/2024", "06/25/2024") == ["2024-03-04", "2024-05-06", "2024-06-25"]


def test_the_thirteenth_day_may_come_after_any_number_of_rows() -> None:
    cells = ["01/02/2024", "02/01/2024"] * 30_000 + ["13/02/2024"]
    assert days(*cells)[0] == "2024-02-01"


def test_an_undecided_column_shows_both_readings_of_three_rows() -> None:
    read = read_moments(pl.Series(["03/04/2024", "02/01/2024", "05/06/2024", "01/02/2024"]))
    assert len(read.readings) == 3
    assert read.readings[0] == ("03/04/2024", "3 Apr 2024", "4 Mar 2024")


def test_being_told_the_order_ends_the_doubt() -> None:
    cells = ("03/04/2024", "02/01/2024", "05/06/2024")
    assert days(*cells, date_order="mdy")[0] == "2024-03-04"
    assert days(*cells, date_order="dmy")[0] == "2024-04-03"
    assert days("10-12-01", date_order="ymd") == ["2010-12-01"]


def test_rows_in_time_order_under_one_reading_only_decide() -> None:
    cells = [f"{d:02}/{m:02}/2024" for m in (1, 2, 3) for d in (2, 5, 9)]
    read = read_moments(pl.Series(cells))
    assert (read.order, read.readings) == ("dmy", ())
    assert "order" in read.how


def test_evenly_spaced_dates_under_one_reading_only_decide() -> None:
    cells = [f"{m:02}/01/2024" for m in (5, 2, 9, 1, 12, 7, 3, 10, 4, 8, 11, 6)]
    weekly = ["01/08/2024", "02/05/2024", "01/01/2024", "04/01/2024", "03/11/2024", "03/04/2024", "02/12/2024"]
    assert read_moments(pl.Series(cells)).readings  # twelve days or twelve months: both even, so ask
    assert read_moments(pl.Series(weekly)).readings


def test_a_reading_in_the_future_is_ruled_out_for_things_that_happened() -> None:
    cells = ("03/04/2024", "01/12/2024", "05/02/2024")
    assert days(*cells, past=True, today=date(2024, 5, 20)) == ["2024-03-04", "2024-01-12", "2024-05-02"]
    assert read_moments(pl.Series(cells), past=False, today=date(2024, 5, 20)).readings


def test_rows_that_prove_both_orders_are_named() -> None:
    assert read_moments(pl.Series(["25/01/2024", "01/26/2024"])).mixed == ("25/01/2024", "01/26/2024")


def test_days_that_do_not_exist_are_bad() -> None:
    read = read_moments(pl.Series(["2024-02-30", "31/04/2024", "2024-13-01", "yesterday", "", "2024-01-01"]))
    assert read.values.null_count() == 5
    assert read.bad.to_list() == [True, True, True, True, False, False]


def test_a_written_offset_keeps_the_shop_day_and_utc_is_turned_into_it() -> None:
    cells = ["2025-10-07 23:50:26 +0200", "2025-10-07T23:50:26Z"]
    assert days(*cells) == ["2025-10-07", "2025-10-07"]
    assert days(*cells, timezone="Europe/Berlin") == ["2025-10-07", "2025-10-08"]
    with pytest.raises(ParameterError, match="Mars/Base"):
        days(*cells, timezone="Mars/Base")


def test_stored_dates_are_not_parsed() -> None:
    assert read_moments(pl.Series([date(2024, 1, 2)])).values.to_list() == [at("2024-01-02")]
    utc = pl.Series([at("2024-01-02T23:30")]).dt.replace_time_zone("UTC")
    assert read_moments(utc, timezone="Europe/Berlin").values.to_list() == [at("2024-01-03T00:30")]


def test_midnight_in_every_row_is_no_time_of_day() -> None:
    assert not read_moments(pl.Series(["2024-05-01 00:00:00", "2024-05-02 00:00:00"])).has_time
    assert read_moments(pl.Series(["2024-05-01 00:00:00", "2024-05-02 00:00:01"])).has_time


def test_a_column_of_day_numbers_of_a_spreadsheet_is_read_as_such() -> None:
    read = read_moments(pl.Series(["45567.4", " 45292 ", "", None]))
    assert read.values.to_list() == [at("2024-10-02T09:36"), at("2024-01-01"), None, None]
    assert not read.bad.any()
    assert "45292" in read.how


def test_day_numbers_among_dates_are_bad() -> None:
    assert read_moments(pl.Series(["2024-01-01", "45292"])).bad.to_list() == [False, True]


def test_rows_nearly_in_time_order_under_one_reading_decide() -> None:
    cells = [f"{d:02}/{m:02}/2024" for m in range(1, 11) for d in range(1, 13)]
    cells[50], cells[51] = cells[51], cells[50]
    read = read_moments(pl.Series(cells))
    assert (read.order, read.how) == ("dmy", "day first (nearly all rows are in this order)")


def test_a_decimal_comma_beside_undecided_dates_means_day_first() -> None:
    cells = pl.Series(["03/04/2024", "02/01/2024", "05/06/2024"])
    assert read_moments(cells).readings
    read = read_moments(cells, decimal_comma=True)
    assert (read.order, read.readings) == ("dmy", ())


def test_a_proof_in_the_dates_counts_more_than_the_decimal_comma() -> None:
    assert read_moments(pl.Series(["03/04/2024", "02/13/2024"]), decimal_comma=True).order == "mdy"


def test_dates_of_which_a_spreadsheet_turned_those_up_to_the_twelfth_are_told() -> None:
    turned = ["2024-03-04", "2024-05-04", "2024-11-04", "13/04/2024", "25/04/2024", "30/04/2024"]
    assert read_moments(pl.Series(turned)).damaged == ("13/04/2024", "2024-03-04")
    assert read_moments(pl.Series([*turned, "2024-03-14"])).damaged is None


def test_a_clock_of_its_own_is_read_with_halves_of_the_day() -> None:
    cells = pl.Series(["9:50 AM", "12:05 a.m.", "12:05 PM", "21:05:30", "1899-12-31 09:50:00", "", "25:00", "13:00 PM"])
    times, bad = read_clock(cells)
    minutes = [9 * 60 + 50, 5, 12 * 60 + 5, 21 * 60 + 5, 9 * 60 + 50, None, None, None]
    assert times.dt.total_minutes().to_list() == minutes
    assert bad.to_list() == [False] * 6 + [True, True]


CLOCKS = [
    "",
    " 09:50",
    " 9:50 PM",
    " 23:59:59",
    " 10:00:00.123",
    " 10:00 +0200",
    " 25:00",
    " noon",
    "T10:00:00Z",
    "T08:00:00.000000",
]
DAYS = ["2024-05-31", "31/05/2024", "03/04/2024", "05/31/2024", "2024-02-30", "31 May 2024", "", "x", "20240531"]


@given(
    st.lists(st.tuples(st.sampled_from(DAYS), st.sampled_from(CLOCKS)), min_size=1, max_size=8),
    st.sampled_from([None, "dmy", "mdy"]),
    st.sampled_from([None, "Europe/Berlin"]),
)
@settings(deadline=None)
def test_days_and_times_read_apart_are_what_whole_cells_are(
    written: Sequence[tuple[str, str]], date_order: str | None, timezone: str | None
) -> None:
    cells = pl.Series([day + clock for day, clock in written])
    options = moments._Options(date_order, False, None, timezone, False)  # type: ignore[arg-type]
    apart = moments._day_and_clock(cells, options)
    if apart is None:
        return
    whole = read_moments(cells, date_order=date_order, timezone=timezone)  # type: ignore[arg-type]
    assert apart.values.to_list() == whole.values.to_list()
    assert apart.bad.to_list() == whole.bad.to_list()
    assert (apart.order, apart.readings, apart.has_time) == (whole.order, whole.readings, whole.has_time)
