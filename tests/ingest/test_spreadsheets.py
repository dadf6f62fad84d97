"""Sheets of a workbook are tables: dates are dates, texts keep their zeros, and nothing swells beyond its bounds."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter

from shelfwise.domain.errors import FileRefused
from shelfwise.ingest import Batch, read

HEADER = ["Date", "SKU", "Units", "Price"]
NEW_YEAR = datetime.fromisoformat("2024-01-01")


def workbook(path: Path, fill: Callable[[Any, dict[str, Any]], None]) -> Path:
    book = xlsxwriter.Workbook(str(path))
    forms = {"day": "dd/mm/yy", "moment": "d.m.yy h:mm", "time": "h:mm AM/PM", "percent": "0 %"}
    fill(book, {name: book.add_format({"num_format": shown}) for name, shown in forms.items()})
    book.close()
    return path


def orders(sheet: Any, forms: dict[str, Any], rows: int = 12, top: int = 0) -> None:
    sheet.write_row(top, 0, HEADER)
    for row in range(rows):
        sheet.write_datetime(top + 1 + row, 0, NEW_YEAR + timedelta(days=row), forms["day"])
        sheet.write_string(top + 1 + row, 1, f"00{row % 3}")
        sheet.write_number(top + 1 + row, 2, row + 1)
        sheet.write_number(top + 1 + row, 3, 1234.5)


def edited(path: Path, member: str, change: Callable[[bytes], bytes]) -> Path:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[member] = change(parts[member])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


def names(batch: Batch) -> list[str]:
    return sorted(file.file for file in batch.receipt.files)


def test_a_sheet_is_read_with_its_dates_texts_and_numbers_as_they_are(tmp_path: Path) -> None:
    path = workbook(tmp_path / "b.xlsx", lambda book, forms: orders(book.add_worksheet("Orders"), forms))
    batch = read([path])
    sales = batch.frames["movements"]
    assert batch.receipt.files[0].file == "b.xlsx, sheet Orders"
    assert batch.receipt.files[0].layout == "Excel, header on row 1"
    assert sales["product"].unique().sort().to_list() == ["000", "001", "002"]
    assert sales["occurred_at"].to_list() == [NEW_YEAR + timedelta(days=row) for row in range(12)]
    assert sales["unit_price"].unique().to_list() == [1234.5]


def test_dates_of_a_workbook_are_never_asked_about(tmp_path: Path) -> None:
    """Twelve days up to the twelfth, shown as dd/mm/yy: a CSV file of them would read two ways."""
    path = workbook(tmp_path / "b.xlsx", lambda book, forms: orders(book.add_worksheet(), forms))
    assert read([path]).receipt.first_day == NEW_YEAR.date()


def test_dates_written_as_text_in_a_workbook_are_asked_about_like_any_text(tmp_path: Path) -> None:
    def fill(book: Any, forms: dict[str, Any]) -> None:
        sheet = book.add_worksheet("Orders")
        sheet.write_row(0, 0, HEADER[:3])
        sheet.write_row(1, 0, ["03/04/2024", "A", 1])
        sheet.write_row(2, 0, ["05/02/2024", "A", 1])

    with pytest.raises(Exception, match=r"b\.xlsx, sheet Orders, line 2, column 'Date': dates read two ways"):
        read([workbook(tmp_path / "b.xlsx", fill)])


def test_merged_titles_and_blank_rows_are_stepped_over_and_lines_are_rows_of_the_sheet(tmp_path: Path) -> None:
    def fill(book: Any, forms: dict[str, Any]) -> None:
        sheet = book.add_worksheet("Orders")
        sheet.merge_range("A2:D2", "Sales of the shop")
        orders(sheet, forms, top=4)
        sheet.write_string(8, 2, "many")
        sheet.write_blank(30, 2, None, forms["day"])

    batch = read([workbook(tmp_path / "b.xlsx", fill)])
    assert batch.receipt.files[0].layout == "Excel, header on row 5"
    assert batch.rejects.select("file", "line", "column", "value").rows() == [
        ("b.xlsx, sheet Orders", 9, "Units", "many")
    ]
    assert batch.receipt.rows_read == 12


def test_formulas_count_by_their_last_value_and_errors_are_shown(tmp_path: Path) -> None:
    def fill(book: Any, forms: dict[str, Any]) -> None:
        sheet = book.add_worksheet("Orders")
        orders(sheet, forms, rows=20)
        sheet.write_formula(1, 2, "=20+22", None, 42)
        sheet.write_formula(2, 2, "=A1/0", None, "#DIV/0!")
        sheet.write_formula(3, 1, "=lost", None, "#REF!")

    batch = read([workbook(tmp_path / "b.xlsx", fill)])
    assert 42.0 in batch.frames["movements"]["quantity"].to_list()
    assert ("Units", "#DIV/0!") in batch.rejects.select("column", "value").rows()


def test_each_sheet_that_fits_is_read_and_the_others_are_named(tmp_path: Path) -> None:
    def fill(book: Any, forms: dict[str, Any]) -> None:
        orders(book.add_worksheet("Orders"), forms)
        stock = book.add_worksheet("Stock")
        stock.write_row(0, 0, ["sku", "on hand", "as of"])
        stock.write_row(1, 0, ["000", 5])
        stock.write_datetime(1, 2, NEW_YEAR, forms["day"])
        book.add_worksheet("Notes").write_column(0, 0, ["hello", "world"])
        book.add_worksheet("Empty")
        hidden = book.add_worksheet("Old")
        orders(hidden, forms)
        hidden.hide()
        chart = book.add_chart({"type": "line"})
        chart.add_series({"values": "=Orders!$C$2:$C$9"})
        book.add_chartsheet("Chart").set_chart(chart)

    batch = read([workbook(tmp_path / "b.xlsx", fill)])
    assert names(batch) == ["b.xlsx, sheet Orders", "b.xlsx, sheet Stock"]
    notes = "\n".join(batch.receipt.notes)
    for sheet, reason in (("Notes", "fits no format"), ("Empty", "is empty"), ("Old", "is hidden")):
        assert re.search(rf"b\.xlsx, sheet {sheet} was left alone: .*{reason}", notes), sheet


def test_a_workbook_of_which_no_sheet_fits_is_refused_by_its_sheets(tmp_path: Path) -> None:
    def fill(book: Any, forms: dict[str, Any]) -> None:
        book.add_worksheet("One").write_column(0, 0, ["hello", "world"])
        book.add_worksheet("Two")

    with pytest.raises(FileRefused, match=r"b\.xlsx: holds nothing that fits.*sheet Two: is empty"):
        read([workbook(tmp_path / "b.xlsx", fill)])


def test_moments_keep_their_time_and_days_have_none(tmp_path: Path) -> None:
    def fill(book: Any, forms: dict[str, Any]) -> None:
        sheet = book.add_worksheet("Orders")
        sheet.write_row(0, 0, HEADER[:3])
        for row in range(3):
            sheet.write_datetime(row + 1, 0, NEW_YEAR + timedelta(hours=12 * row), forms["moment"])
            sheet.write_row(row + 1, 1, ["A", 1])

    sales = read([workbook(tmp_path / "b.xlsx", fill)]).frames["movements"]
    assert sales["occurred_at"].to_list() == [NEW_YEAR + timedelta(hours=12 * row) for row in range(3)]
    assert time(12) in sales["occurred_at"].dt.time().to_list()


def test_the_same_lines_as_csv_and_as_workbook_have_the_same_ids(tmp_path: Path) -> None:
    path = workbook(tmp_path / "b.xlsx", lambda book, forms: orders(book.add_worksheet(), forms))
    text = tmp_path / "b.csv"
    lines = [f"{(NEW_YEAR + timedelta(days=row)).date()},00{row % 3},{row + 1},1234.5" for row in range(12)]
    text.write_text("\n".join([",".join(HEADER), *lines]))
    assert read([path]).frames["movements"].equals(read([text]).frames["movements"])


def test_an_old_workbook_is_refused_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "old.xls").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 2_000)
    with pytest.raises(FileRefused, match="is an old Office document; save the sheet as XLSX or CSV"):
        read([tmp_path / "old.xls"])


def test_formula_like_text_stays_text(tmp_path: Path) -> None:
    def fill(book: Any, forms: dict[str, Any]) -> None:
        sheet = book.add_worksheet("Orders")
        orders(sheet, forms, rows=20)
        sheet.write_string(1, 1, "=cmd|' /C calc'!A0")

    assert "=cmd|' /C calc'!A0" in read([workbook(tmp_path / "b.xlsx", fill)]).frames["movements"]["product"].to_list()


def test_a_workbook_of_another_program_is_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Ventes d’été"
    sheet.append(["Datum", "Artikelnummer", "Menge"])
    for row in range(5):
        sheet.append([NEW_YEAR + timedelta(days=row), "007", row + 1])
    book.save(tmp_path / "b.xlsx")
    assert read([tmp_path / "b.xlsx"]).frames["movements"].height == 5


def test_cells_without_a_reference_are_counted_by_their_place(tmp_path: Path) -> None:
    path = workbook(tmp_path / "b.xlsx", lambda book, forms: orders(book.add_worksheet(), forms))
    edited(path, "xl/worksheets/sheet1.xml", lambda xml: re.sub(rb'(<c|<row) r="[A-Z]*\d+"', rb"\1", xml))
    assert read([path]).frames["movements"].height == 12


def test_a_cell_in_the_far_corner_is_refused_before_the_rectangle_is_laid_out(tmp_path: Path) -> None:
    def fill(book: Any, forms: dict[str, Any]) -> None:
        sheet = book.add_worksheet("Orders")
        orders(sheet, forms)
        sheet.write_number(1_048_575, 16_383, 1)

    with pytest.raises(FileRefused, match=r"1,048,576 rows by 16,384 columns are more than"):
        read([workbook(tmp_path / "b.xlsx", fill)])


def test_a_long_text_that_many_cells_refer_to_is_refused(tmp_path: Path) -> None:
    def fill(book: Any, forms: dict[str, Any]) -> None:
        sheet = book.add_worksheet("Orders")
        for row in range(80_000):
            sheet.write_string(row, 0, "x" * 32_000)

    with pytest.raises(FileRefused, match="of text stand in one sheet"):
        read([workbook(tmp_path / "b.xlsx", fill)])


def test_a_workbook_that_swells_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "b.xlsx", lambda book, forms: orders(book.add_worksheet(), forms))
    edited(path, "xl/worksheets/sheet1.xml", lambda xml: xml + b" " * (100 << 20))
    with pytest.raises(FileRefused, match="times as many"):
        read([path])


def test_a_workbook_with_a_password_is_refused(tmp_path: Path) -> None:
    protected = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 2_000 + "EncryptedPackage".encode("utf-16-le")
    (tmp_path / "b.xlsx").write_bytes(protected)
    with pytest.raises(FileRefused, match="protected with a password; save it without one"):
        read([tmp_path / "b.xlsx"])


@pytest.mark.parametrize("keep", [0.2, 0.6, 0.95])
def test_a_workbook_cut_short_or_overwritten_is_refused(tmp_path: Path, keep: float) -> None:
    path = workbook(tmp_path / "b.xlsx", lambda book, forms: orders(book.add_worksheet(), forms))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(FileRefused, match="damaged or cut short"):
        read([path])
    middle = int(len(data) * keep)
    path.write_bytes(data[:middle] + b"\x55" * 9 + data[middle + 9 :])
    with pytest.raises(FileRefused, match=r"damaged|cannot be read as a workbook"):
        read([path])


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"[Content_Types].xml": b"x", "word/document.xml": b"x"}, "no workbook"),
        ({"[Content_Types].xml": b"x", "xl/workbook.bin": b"x"}, "XLSB"),
        ({"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": b"x"}, "OpenDocument"),
        ({"[Content_Types].xml": b"x", "xl/workbook.xml": b"<workbook"}, "cannot be read as a workbook"),
    ],
)
def test_other_documents_are_refused_by_their_kind(tmp_path: Path, members: dict[str, bytes], says: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    (tmp_path / "b.xlsx").write_bytes(buffer.getvalue())
    with pytest.raises(FileRefused, match=says):
        read([tmp_path / "b.xlsx"])
