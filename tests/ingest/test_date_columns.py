"""Dates of a file are read one way for the whole column, with what the rest of the file tells, or asked about."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

from shelfwise.domain.errors import AmbiguousDates, FileRefused
from shelfwise.ingest import read
from shelfwise.ingest.quality import Sieve
from shelfwise.ingest.tables import Source, Table


def given(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "sales.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_days_up_to_the_twelfth_are_asked_about_with_file_line_and_column(tmp_path: Path) -> None:
    path = given(tmp_path, "date,sku,units\n03/04/2024,A,1\n01/02/2024,A,1\n05/03/2024,A,1\n")
    with pytest.raises(AmbiguousDates, match=r"sales\.csv, line 2, column 'date'.*--date-order dmy or") as caught:
        read([path])
    assert caught.value.readings[0] == ("03/04/2024", "3 Apr 2024", "4 Mar 2024")
    assert read([path], date_order="mdy").receipt.first_day == date(2024, 1, 2)


def test_one_thirteenth_at_the_end_of_a_long_file_decides_every_row(tmp_path: Path) -> None:
    rows = [f"{1 + n % 12:02}/{1 + n // 12 % 12:02}/2023,A{n},1" for n in range(5_000)]
    path = given(tmp_path, "\n".join(["date,sku,units", *reversed(rows), "13/01/2023,Z,1"]))
    days = read([path]).frames["movements"].filter(pl.col("product") == "A1")["occurred_at"]
    assert days.to_list() == [datetime.fromisoformat("2023-01-02")]


def test_prices_with_a_decimal_comma_tell_that_the_day_stands_first(tmp_path: Path) -> None:
    path = given(
        tmp_path, "Datum;Artikelnummer;Menge;Preis\n03/04/2024;A;1;4,50\n01/02/2024;A;1;1.204,50\n05/03/2024;B;;\n"
    )
    batch = read([path])
    assert batch.receipt.last_day == date(2024, 4, 3)
    assert "decimal comma" in batch.receipt.files[0].readings["Datum"]


def test_dates_that_a_spreadsheet_half_turned_are_refused(tmp_path: Path) -> None:
    turned = ["2024-03-04", "2024-05-04", "2024-11-04", "13/04/2024", "25/04/2024", "30/04/2024"]
    with pytest.raises(FileRefused, match=r"line 5, column 'date': '13/04/2024' is text while '2024-03-04' \(line 2\)"):
        read([given(tmp_path, "\n".join(["date,sku,units", *(f"{day},A,1" for day in turned)]))])


def test_a_clock_in_a_column_of_its_own_joins_the_day() -> None:
    frame = pl.DataFrame(
        {"day": ["25/04/2024", "26/04/2024", "27/04/2024"], "clock": ["9:50 AM", "late", ""], "__line": [2, 3, 4]}
    )
    source = Source("s.csv", "", ("day", "clock"), None, "CSV", 0.0)
    sieve = Sieve(
        Table(source, frame, {"day": "Date", "clock": "Time"}, ()), date_order=None, today=None, timezone=None
    )
    read_so = sieve.moment("day", clock="clock", required=True)
    assert read_so.has_time
    assert [None if m is None else m.isoformat() for m in read_so.values][::2] == [
        "2024-04-25T09:50:00",
        "2024-04-27T00:00:00",
    ]
    assert sieve.rejects.select("line", "column", "value", "reason").rows() == [
        (3, "Time", "late", "is not a time of day")
    ]
