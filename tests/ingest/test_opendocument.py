"""A spreadsheet in OpenDocument form is read by the rules of an Excel workbook, and swells no further."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from tests.ingest.opendocument_files import Clock, Error, Money, Percent, cell, opendocument, row, sheet

from shelfwise.domain.errors import FileRefused
from shelfwise.ingest import Batch, read
from shelfwise.ingest.archives import File
from shelfwise.ingest.spreadsheets import Sheet, sheets

HEADER = ("Date", "SKU", "Units", "Price")
NEW_YEAR = date(2024, 1, 1)


def orders(rows: int = 12) -> list[str]:
    lines = [(NEW_YEAR + timedelta(days=n), f"00{n % 3}", n + 1, 1234.5) for n in range(rows)]
    return [row(*HEADER), *(row(*line) for line in lines)]


def given(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "b.ods"
    path.write_bytes(data)
    return path


def read_ods(tmp_path: Path, *made: str) -> Batch:
    return read([given(tmp_path, opendocument(*made))])


def cells_of(*rows: str) -> list[tuple[str | None, ...]]:
    (found,) = sheets(File("b.ods", opendocument(sheet("Orders", *rows)), 0.0))
    assert isinstance(found, Sheet)
    return found.cells.rows()


def test_the_same_lines_as_csv_and_as_opendocument_have_the_same_ids(tmp_path: Path) -> None:
    """Twelve days up to the twelfth: the CSV file says them as ISO, the sheet shows them as 01.01.24."""
    text = tmp_path / "b.csv"
    lines = [f"{NEW_YEAR + timedelta(days=n)},00{n % 3},{n + 1},1234.5" for n in range(12)]
    text.write_text("\n".join([",".join(HEADER), *lines]))
    batch = read_ods(tmp_path, sheet("Orders", *orders()))
    assert batch.frames["movements"].equals(read([text]).frames["movements"])
    assert batch.receipt.files[0].file == "b.ods, sheet Orders"
    assert batch.receipt.files[0].layout == "OpenDocument, header on row 1"


def test_cells_come_as_what_they_are_worth_and_not_as_they_are_shown() -> None:
    moment = datetime.fromisoformat("2024-05-31T13:45:00")
    found = cells_of(
        row("007", 1234.5, Percent(0.19), Money(4.5), True, NEW_YEAR, moment, Clock("09:05:00")),
        row("a\nb", cell(42, formula="20+22"), Error("#REF!"), cell(7, note="seven"), False, NEW_YEAR, moment, None),
    )
    assert found == [
        ("007", "1234.5", "0.19", "4.5", "true", "2024-01-01", "2024-05-31 13:45:00", "09:05:00"),
        ("a\nb", "42", "#REF!", "7", "false", "2024-01-01", "2024-05-31 13:45:00", None),
    ]


def test_a_midnight_among_moments_is_a_moment_and_parts_of_a_second_are_rounded() -> None:
    almost = datetime.fromisoformat("2024-05-31T13:44:59.999999")
    assert cells_of(row(NEW_YEAR), row(almost)) == [("2024-01-01 00:00:00",), ("2024-05-31 13:45:00",)]


def test_repeated_cells_and_rows_stand_as_often_as_they_are_repeated() -> None:
    found = cells_of(row(cell("x", repeated=2), None, "y"), row(None, repeated=2), row(7, repeated=2))
    empty = (None, None, None, None)
    assert found == [("x", "x", None, "y"), empty, empty, ("7", None, None, None), ("7", None, None, None)]


def test_each_sheet_that_fits_is_read_and_the_others_are_named(tmp_path: Path) -> None:
    stock = sheet("Stock", row("sku", "on hand", "as of"), row("000", 5, NEW_YEAR))
    others = [sheet("Notes", row("hello"), row("world")), sheet("Empty"), sheet("Old", *orders(), hidden=True)]
    batch = read_ods(tmp_path, sheet("Orders", *orders()), stock, *others)
    assert sorted(file.file for file in batch.receipt.files) == ["b.ods, sheet Orders", "b.ods, sheet Stock"]
    notes = "\n".join(batch.receipt.notes)
    for name, reason in (("Notes", "fits no format"), ("Empty", "is empty"), ("Old", "is hidden")):
        assert f"b.ods, sheet {name} was left alone" in notes
        assert reason in notes


def test_an_error_is_rejected_with_its_row(tmp_path: Path) -> None:
    made = orders(20)
    made[3] = row(NEW_YEAR, "001", Error("#DIV/0!"), 2.0)
    batch = read_ods(tmp_path, sheet("Orders", *made))
    assert batch.rejects.select("file", "line", "column", "value").rows() == [
        ("b.ods, sheet Orders", 4, "Units", "#DIV/0!")
    ]


@pytest.mark.parametrize(
    "far",
    [
        row("x", repeated=1_048_576) + row(cell("y", repeated=16_384)),
        row(None, repeated=1_048_575) + row(cell(None, repeated=16_383), "x"),
        row("x", repeated=10**9),
        row(cell("x", repeated=10**9)),
        row(cell("x", repeated=10**12)),
    ],
)
def test_what_is_repeated_into_the_far_corner_is_refused_before_it_is_laid_out(tmp_path: Path, far: str) -> None:
    with pytest.raises(FileRefused, match=r"rows by .* columns are more than 40,000,000 cells"):
        read_ods(tmp_path, sheet("Orders", *orders(), far))


def test_a_long_text_that_is_repeated_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="of text stand in one sheet"):
        read_ods(tmp_path, sheet("Orders", *orders(), row("x" * 32_000, repeated=80_000)))


@pytest.mark.parametrize(
    "inside",
    [
        f"<table:table-cell>{sheet('Inner', row('x'))}</table:table-cell>",
        "<table:table-cell><table:table-cell/></table:table-cell>",
        row("x"),
    ],
)
def test_a_table_inside_of_a_table_is_refused(tmp_path: Path, inside: str) -> None:
    with pytest.raises(FileRefused, match="cannot be read as a workbook"):
        read_ods(tmp_path, sheet("Orders", *orders(), f"<table:table-row>{inside}</table:table-row>"))


def test_entities_are_not_expanded(tmp_path: Path) -> None:
    swells = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
    path = given(tmp_path, opendocument(sheet("Orders", *orders()), before=swells))
    with pytest.raises(FileRefused, match="cannot be read as a workbook"):
        read([path])


def test_a_tag_without_an_end_is_given_up(tmp_path: Path) -> None:
    path = given(tmp_path, opendocument(sheet("Orders", *orders(), f'<table:table-row a="{"x" * (18 << 20)}">')))
    with pytest.raises(FileRefused, match="cannot be read as a workbook"):
        read([path])


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (opendocument(sheet("A", *orders()), manifest="<manifest:encryption-data/>"), "protected with a password"),
        (opendocument(mimetype="application/vnd.oasis.opendocument.text"), "OpenDocument file, and no spreadsheet"),
        (opendocument(sheet("A", *orders()) + "<table:table"), "cannot be read as a workbook"),
        (opendocument(sheet("A"), sheet("B", row("hello"))), "holds nothing that fits"),
    ],
)
def test_what_is_no_open_spreadsheet_is_refused_by_what_it_is(tmp_path: Path, made: bytes, says: str) -> None:
    with pytest.raises(FileRefused, match=says):
        read([given(tmp_path, made)])


def test_a_file_that_is_protected_as_a_whole_is_no_archive_of_tables(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("encrypted-package", b"\0" * 500)
    with pytest.raises(FileRefused, match="protected with a password"):
        read([given(tmp_path, buffer.getvalue())])


@pytest.mark.parametrize("keep", [0.2, 0.6, 0.95])
def test_a_file_cut_short_is_refused(tmp_path: Path, keep: float) -> None:
    data = opendocument(sheet("Orders", *orders(200)))
    with pytest.raises(FileRefused, match=r"damaged|cannot be read"):
        read([given(tmp_path, data[: int(len(data) * keep)])])
