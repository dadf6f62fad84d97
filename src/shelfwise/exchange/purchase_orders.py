"""Purchase orders as files a supplier can be sent: CSV, one file per supplier, or XLSX, one sheet per supplier.

Three promises:

- **Cells are data.** A text that a spreadsheet would run as a formula (it begins with ``= + - @``, a tab or a line
  break) gets a leading ``'`` in CSV, and is stored as text in XLSX. Codes with leading zeros stay text in XLSX.
  Numbers are numbers.
- **A file is whole or not there.** It is written beside its final name and then renamed. A set of CSV files is
  written out in full before the first one gets its name.
- **Nothing is overwritten.** Where the name is taken, the new file is called ``name-2``, ``name-3`` and so on; the
  paths that were written are returned. ``replace=True`` replaces instead.
"""

from __future__ import annotations

import csv
import io
import itertools
import os
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import polars as pl

from shelfwise.domain.errors import ExportError, ParameterError
from shelfwise.domain.frames import PURCHASE_ORDER_EXPORT

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The last four are the full-width forms of ``= + - @``, which some spreadsheets read as the same."""
LONGEST_CELL: Final = 32_767
LONGEST_SHEET_NAME: Final = 31


@dataclass(frozen=True)
class ExportColumn:
    """One column of the export: where it comes from, its header, width in characters and number format."""

    source: str
    header: str
    width: int
    number_format: str = ""


COLUMNS: Final = (
    ExportColumn("purchase_order", "Purchase order", 16),
    ExportColumn("product", "Product", 16),
    ExportColumn("name", "Name", 34),
    ExportColumn("warehouse", "Deliver to", 14),
    ExportColumn("quantity", "Quantity", 10, "#,##0.##"),
    ExportColumn("pack_size", "Units per pack", 14, "#,##0.##"),
    ExportColumn("packs", "Packs", 8, "#,##0.##"),
    ExportColumn("unit_cost", "Unit cost", 10, "#,##0.00"),
    ExportColumn("value", "Value", 12, "#,##0.00"),
    ExportColumn("order_on", "Order on", 12, "yyyy-mm-dd"),
    ExportColumn("expected_on", "Expected on", 12, "yyyy-mm-dd"),
    ExportColumn("note", "Note", 60),
)


def formula_safe(text: str) -> str:
    """Make a text cell harmless to spreadsheets that open the CSV.

    Source: OWASP, CSV Injection.

    >>> formula_safe('=HYPERLINK("http://x")'), formula_safe("Cup, 12 oz")
    ('\\'=HYPERLINK("http://x")', 'Cup, 12 oz')
    """
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def write_csv(lines: pl.DataFrame, folder: Path | str, *, replace: bool = False) -> list[Path]:
    """Write one CSV file per supplier into ``folder`` (made if missing) and return the paths, by supplier code.

    UTF-8 with a byte-order mark, which Excel needs to read it; commas; ISO dates; points as decimal marks. No totals
    row: a CSV is for machines too.

    Parameters
    ----------
    lines
        PURCHASE_ORDER_EXPORT; lines with no quantity are left out.
    """
    by_supplier = _by_supplier(lines)
    names = distinct_names(list(by_supplier), _file_stem, longest=100)
    contents = {Path(folder) / f"{names[supplier]}.csv": _csv_bytes(some) for supplier, some in by_supplier.items()}
    return _publish(contents, replace=replace)


def write_xlsx(lines: pl.DataFrame, path: Path | str, *, replace: bool = False) -> Path:
    """Write one workbook with a sheet per supplier, totals below, and return the path it got.

    Value and totals are formulas, so that they follow when a quantity is changed; what they show is stored with them
    for programs that do not calculate.

    Parameters
    ----------
    lines
        PURCHASE_ORDER_EXPORT; lines with no quantity are left out. With none left the workbook says so.
    """
    path = Path(path)
    if path.suffix.lower() != ".xlsx":
        raise ParameterError(f"a workbook's name must end in .xlsx, got {path.name!r}")
    return _publish({path: _xlsx_bytes(_by_supplier(lines))}, replace=replace)[0]


def _by_supplier(lines: pl.DataFrame) -> dict[str, pl.DataFrame]:
    checked = (
        PURCHASE_ORDER_EXPORT.check(lines)
        .filter(pl.col("quantity") > 0)
        .with_columns(packs=pl.col("quantity") / pl.col("pack_size"), value=pl.col("quantity") * pl.col("unit_cost"))
        .sort("supplier", "product", "warehouse", maintain_order=True)
    )
    groups = checked.partition_by("supplier", as_dict=True, maintain_order=True)
    return {str(key[0]): some.select(column.source for column in COLUMNS) for key, some in groups.items()}


def _csv_bytes(lines: pl.DataFrame) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([column.header for column in COLUMNS])
    for row in lines.iter_rows():
        writer.writerow([_csv_cell(value) for value in row])
    return text.getvalue().encode("utf-8-sig")


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return formula_safe(str(value))


def _xlsx_bytes(by_supplier: dict[str, pl.DataFrame]) -> bytes:
    import xlsxwriter

    memory = io.BytesIO()
    settings = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(memory, settings) as workbook:
        bold = workbook.add_format({"bold": True})
        header = workbook.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
        plain = {f: workbook.add_format({"num_format": f}) for f in {c.number_format for c in COLUMNS} if f}
        total = {f: workbook.add_format({"num_format": f, "bold": True, "top": 1}) for f in plain}
        names = distinct_names(list(by_supplier), _sheet_stem, longest=LONGEST_SHEET_NAME)
        for supplier, lines in by_supplier.items():
            sheet = workbook.add_worksheet(names[supplier])
            sheet.write_string(0, 0, f"Purchase order to {supplier}"[:LONGEST_CELL], bold)
            for column, spec in enumerate(COLUMNS):
                sheet.set_column(column, column, spec.width)
                sheet.write_string(2, column, spec.header, header)
                _write_cells(sheet, column, spec, lines, plain)
            _write_totals(sheet, lines, bold, total)
            sheet.freeze_panes(3, 0)
            sheet.set_landscape()
            sheet.fit_to_pages(1, 0)
            sheet.repeat_rows(2)
        if not by_supplier:
            workbook.add_worksheet("Orders").write_string(0, 0, "Nothing to order.", bold)
    return memory.getvalue()


FIRST_ROW: Final = 3


def _letter(source: str) -> str:
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[[column.source for column in COLUMNS].index(source)]


def _write_cells(sheet: Any, column: int, spec: ExportColumn, lines: pl.DataFrame, formats: dict[str, Any]) -> None:
    for row, value in enumerate(lines[spec.source].to_list(), start=FIRST_ROW):
        if value is None:
            continue
        if spec.source == "value":
            formula = f"={_letter('quantity')}{row + 1}*{_letter('unit_cost')}{row + 1}"
            sheet.write_formula(row, column, formula, formats[spec.number_format], value)
        elif isinstance(value, date):
            sheet.write_datetime(row, column, value, formats[spec.number_format])
        elif isinstance(value, float):
            sheet.write_number(row, column, value, formats[spec.number_format])
        else:
            sheet.write_string(row, column, str(value)[:LONGEST_CELL])


def _write_totals(sheet: Any, lines: pl.DataFrame, bold: Any, formats: dict[str, Any]) -> None:
    last = FIRST_ROW + lines.height
    sheet.write_string(last, 0, "Total", bold)
    for column, spec in enumerate(COLUMNS):
        if spec.source in ("quantity", "value"):
            letter = _letter(spec.source)
            formula = f"=SUM({letter}{FIRST_ROW + 1}:{letter}{last})"
            sheet.write_formula(last, column, formula, formats[spec.number_format], float(lines[spec.source].sum()))
    missing = lines["unit_cost"].null_count()
    if missing:
        sheet.write_string(last + 1, 0, f"{missing} of {lines.height} lines have no cost and are not in the value.")


def _sheet_stem(text: str) -> str:
    """Make a text a sheet name Excel takes: none of ``[]:*?/\\``, no ``'`` at an end, not "History"."""
    name = re.sub(r"[\[\]:*?/\\\x00-\x1f]", " ", text)[:LONGEST_SHEET_NAME].strip().strip("'").strip()
    return f"{name} orders" if name.lower() == "history" else name


def _file_stem(text: str) -> str:
    """Make a text a file name every system takes: letters, digits and ``. _ -``, no dot or dash at an end."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-. _")[:100]


def distinct_names(texts: list[str], stem: Callable[[str], str], longest: int) -> dict[str, str]:
    """Give each text a name that differs from all others even where case does not count.

    >>> distinct_names(["A/B", "a b", "A B"], _sheet_stem, longest=31)
    {'A/B': 'A B', 'a b': 'a b-2', 'A B': 'A B-3'}
    """
    taken: set[str] = set()
    names = {}
    for text in texts:
        base = stem(text) or "supplier"
        for number in itertools.count(1):
            end = "" if number == 1 else f"-{number}"
            name = base[: longest - len(end)] + end
            if name.lower() not in taken:
                break
        taken.add(name.lower())
        names[text] = name
    return names


def _publish(contents: dict[Path, bytes], *, replace: bool) -> list[Path]:
    """Write all contents under temporary names, then give each its own; on failure leave nothing behind."""
    written: list[tuple[Path, Path]] = []
    path = Path()
    try:
        try:
            for path, content in contents.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                written.append((_write_beside(path, content), path))
            return [_rename(temporary, path, replace=replace) for temporary, path in written]
        finally:
            for temporary, _ in written:
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ExportError(
            f"{path} cannot be written: {error.strerror or error}; free some space or choose a folder you may write to"
        ) from error


def _write_beside(path: Path, content: bytes) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _rename(temporary: Path, path: Path, *, replace: bool) -> Path:
    if replace:
        temporary.replace(path)
        return path
    return next(target for target in _free_names(path) if _took_name(temporary, target))


def _took_name(temporary: Path, target: Path) -> bool:
    """Give the file its name unless that is taken; a hard link does both in one step where the disk knows links."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    except OSError:
        if target.exists():
            return False
        temporary.replace(target)
    return True


def _free_names(path: Path) -> Iterator[Path]:
    yield path
    for number in itertools.count(2):
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")
