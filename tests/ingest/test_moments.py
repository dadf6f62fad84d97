"""Dates are read one way per column, decided from all rows, and asked about when nothing decides."""

from __future__ import annotations

from datetime import date, datetime

import polars as pl
import pytest

from shelfwise.domain.errors import ParameterError
from shelfwise.ingest.moments import read_moments

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
        ("1 août 2024", at("2024-08-01")), ("2025-10-07 09:50:26 +0200", at("2025-10-07T09:50:26")),
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
