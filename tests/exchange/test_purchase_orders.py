"""Export of purchase orders: cells are data, files are whole, nothing is overwritten."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from shelfwise.domain.errors import DataError, ExportError, ParameterError
from shelfwise.exchange.purchase_orders import distinct_names, formula_safe, write_csv, write_xlsx

ATTACKS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1"]


@pytest.fixture
def two_suppliers() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "supplier": ["Northbean", "Hario", "Hario"],
            "product": ["BEAN-1", "007", "V60"],
            "name": ["Beans, dark", "Mug", "Dripper"],
            "warehouse": ["main", "main", "shop"],
            "quantity": [30.0, 144.0, 12.5],
            "pack_size": [6.0, 12.0, None],
            "unit_cost": [4.25, 2.0, 8.0],
            "order_on": [date(2026, 11, 23)] * 3,
            "expected_on": [date(2026, 11, 30), None, None],
            "note": ["412 demand + 96 safety - 214 on hand - 160 due = 134", None, "=cmd|' /C calc'!A0"],
        }
    )


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def one_line(**changes: object) -> pl.DataFrame:
    return pl.DataFrame(
        [{"supplier": "S", "product": "P", "warehouse": "W", "quantity": 1.0, "unit_cost": 1.0} | changes]
    )


def test_csv_has_one_file_per_supplier_with_its_own_lines_only(two_suppliers: pl.DataFrame, tmp_path: Path) -> None:
    paths = write_csv(two_suppliers, tmp_path / "orders")
    assert [path.name for path in paths] == ["Hario.csv", "Northbean.csv"]
    hario, northbean = (read(path) for path in paths)
    assert [row["Product"] for row in hario] == ["007", "V60"]
    assert [(row["Quantity"], row["Packs"], row["Value"]) for row in hario] == [
        ("144", "12", "288"),
        ("12.5", "", "100"),
    ]
    assert northbean[0]["Expected on"] == "2026-11-30"


@pytest.mark.parametrize("attack", ATTACKS)
def test_text_that_looks_like_a_formula_is_quoted_in_csv(attack: str, tmp_path: Path) -> None:
    (path,) = write_csv(one_line(name=attack, note=attack, product=attack), tmp_path)
    row = read(path)[0]
    assert row["Name"] == row["Note"] == row["Product"] == "'" + attack


def test_numbers_and_plain_text_are_left_alone_in_csv() -> None:
    assert formula_safe("5 - 3 = 2") == "5 - 3 = 2"
    assert formula_safe("") == ""


@pytest.mark.parametrize("attack", ["=1+1", "@SUM(A1)", "+1", "-1", "http://example.org", "=HYPERLINK(1)"])
def test_text_that_looks_like_a_formula_is_stored_as_text_in_xlsx(attack: str, tmp_path: Path) -> None:
    path = write_xlsx(one_line(name=attack, supplier=attack), tmp_path / "orders.xlsx")
    sheet = openpyxl.load_workbook(path).worksheets[0]
    cell = sheet["C4"]
    assert (cell.value, cell.data_type, cell.hyperlink) == (attack, "s", None)


def test_workbook_has_a_sheet_per_supplier_with_numbers_dates_and_totals(
    two_suppliers: pl.DataFrame, tmp_path: Path
) -> None:
    path = write_xlsx(two_suppliers, tmp_path / "orders.xlsx")
    shown = openpyxl.load_workbook(path, data_only=True)
    assert shown.sheetnames == ["Hario", "Northbean"]
    sheet = shown["Hario"]
    headers = [cell.value for cell in sheet[3]]
    first, second, total = (dict(zip(headers, (c.value for c in sheet[r]), strict=True)) for r in (4, 5, 6))
    assert first["Product"] == "007"  # an identifier is text: its zeros stay
    assert first["Order on"].date() == date(2026, 11, 23)
    assert second["Note"] == "=cmd|' /C calc'!A0"
    assert (total["Quantity"], total["Value"]) == (156.5, 388.0)
    formulas = openpyxl.load_workbook(path)["Hario"]
    assert formulas["I4"].value == "=E4*H4"
    assert formulas["I6"].value == "=SUM(I4:I5)"
    assert formulas["H4"].number_format == "#,##0.00"


def test_lines_without_a_cost_are_named_below_the_total(tmp_path: Path) -> None:
    lines = pl.concat([one_line(), one_line(product="Q", unit_cost=None)])
    sheet = openpyxl.load_workbook(write_xlsx(lines, tmp_path / "o.xlsx"), data_only=True)["S"]
    assert sheet["I6"].value == 1.0
    assert sheet["A7"].value == "1 of 2 lines have no cost and are not in the value."


def test_sheet_names_are_legal_and_differ_even_where_case_does_not_count(tmp_path: Path) -> None:
    names = ["a/b:c", "A b C", "History", "'quoted'", "x" * 40, "x" * 41, "[]*?"]
    lines = pl.concat([one_line(supplier=name) for name in names])
    sheets = openpyxl.load_workbook(write_xlsx(lines, tmp_path / "o.xlsx")).sheetnames
    assert len(sheets) == len({name.lower() for name in sheets}) == len(names)
    assert all(0 < len(name) <= 31 and not set(name) & set("[]:*?/\\") for name in sheets)
    assert not any(name.startswith("'") or name.endswith("'") or name.lower() == "history" for name in sheets)


def test_file_names_cannot_leave_the_folder(tmp_path: Path) -> None:
    lines = pl.concat([one_line(supplier=name) for name in ("../../etc/passwd", "..", "C:\\x", "Bohne & Söhne")])
    paths = write_csv(lines, tmp_path / "in")
    assert all(path.resolve().parent == (tmp_path / "in").resolve() for path in paths)
    assert len({path.name.lower() for path in paths}) == 4
    assert "Bohne-Söhne.csv" in {path.name for path in paths}


def test_an_existing_file_is_kept_and_the_new_one_gets_the_next_number(tmp_path: Path) -> None:
    target = tmp_path / "orders.xlsx"
    target.write_bytes(b"mine")
    assert [write_xlsx(one_line(), target).name for _ in range(2)] == ["orders-2.xlsx", "orders-3.xlsx"]
    assert target.read_bytes() == b"mine"


def test_an_existing_file_is_replaced_when_asked(tmp_path: Path) -> None:
    (tmp_path / "S.csv").write_bytes(b"old")
    (path,) = write_csv(one_line(), tmp_path, replace=True)
    assert path.name == "S.csv"
    assert read(path)[0]["Product"] == "P"


def test_nothing_but_the_files_is_left_in_the_folder(two_suppliers: pl.DataFrame, tmp_path: Path) -> None:
    paths = write_csv(two_suppliers, tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_a_file_gets_the_permissions_of_any_other_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    (path,) = write_csv(one_line(), tmp_path)
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_that_cannot_be_written_is_named_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ExportError, match=r"file.S\.csv cannot be written: .*; free some space or choose a folder"):
        write_csv(one_line(), tmp_path / "file")


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX file-size limits")
def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path: Path) -> None:
    """A file-size limit makes the operating system refuse the write half-way, as a full disk does."""
    script = f"""
import resource, polars as pl
from shelfwise.domain.errors import ExportError
from shelfwise.exchange.purchase_orders import write_csv
lines = pl.DataFrame([dict(supplier=s, product=str(i), warehouse="W", quantity=1.0) for s in "AB" for i in range(
    500 if s == "B" else 1)])
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    write_csv(lines, {str(tmp_path)!r})
except ExportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ)
    assert "B.csv cannot be written" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_order_is_a_workbook_that_says_so_and_no_csv(tmp_path: Path) -> None:
    lines = one_line(quantity=0.0)
    sheet = openpyxl.load_workbook(write_xlsx(lines, tmp_path / "o.xlsx")).worksheets[0]
    assert sheet["A1"].value == "Nothing to order."
    assert write_csv(lines, tmp_path / "csv") == []


def test_wrong_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"must end in \.xlsx, got 'orders\.xls'"):
        write_xlsx(one_line(), tmp_path / "orders.xls")
    with pytest.raises(DataError, match="quantity"):
        write_csv(one_line(quantity=-1.0), tmp_path)


def test_names_are_cut_to_leave_room_for_the_number() -> None:
    names = distinct_names(["aaaa", "aaab"], lambda text: text[:3], longest=3)
    assert names == {"aaaa": "aaa", "aaab": "a-2"}
