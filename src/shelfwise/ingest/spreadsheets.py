"""Read the sheets of a workbook (XLSX, also with macros, and ODS) as tables of text.

Cells come as what they are worth: a formula as the value last computed, a date as ``2024-05-31`` however it is shown,
a number with its digits, a text with its leading zeros. An error like ``#REF!`` stays visible as such.

A workbook is looked through before the reader gets it. The reader lays every sheet out as a full rectangle, so a file
of a few bytes with one cell in the far corner would take hundreds of gigabytes, and so would one long text that a
million cells refer to. Both are counted from the XML first (of ODS in `opendocument`). The old XLS format cannot be
looked through like that, and damaged ones were seen to end the whole process, so it is refused.
"""

from __future__ import annotations

import io
import logging
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from shelfwise.domain.errors import FileRefused, Place
from shelfwise.ingest import archives, opendocument
from shelfwise.ingest.archives import File, LeftAlone
from shelfwise.ingest.detect import Ints, NoTable
from shelfwise.ingest.personal import masked

MOST_CELLS: Final = 40_000_000  # of a sheet's rectangle; the reader takes 32 bytes for each
MOST_TEXT: Final = 2 << 30  # characters in all cells of a sheet
LARGEST_XML: Final = 1 << 30  # bytes of all parts of a workbook, unpacked
LONGEST_TAG: Final = 16 << 20  # bytes without the end of a tag, beyond which it is no XML of a workbook
_OLD: Final = b"\xd0\xcf\x11\xe0"
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
EXCEL, OPENDOCUMENT = "Excel", "OpenDocument"
_SAVE: Final = "save the sheet as CSV and give that"
_CELL: Final = re.compile(rb"""<(?:\w+:)?c\s(?:[^>]*?\s)?r=["']([A-Z]{1,3})([0-9]{1,7})["']""")
_ROW: Final = re.compile(rb"""<(?:\w+:)?row\s[^>]*?\br=["']([0-9]{1,7})["']""")
_TEXT_CELL: Final = re.compile(rb"""\bt=["']s["'][^>]*>\s*<(?:\w+:)?v>([0-9]{1,9})<""")
_ERROR_CELL: Final = re.compile(rb"""(<(?:\w+:)?c\b[^>]*?\bt=)(["'])e\2""")
_MIDNIGHT: Final = " 00:00:00"


@dataclass(frozen=True)
class Sheet:
    """One sheet: ``cells`` has all its rows, from the first of the sheet, and text columns named by position.

    ``program`` is whose kind of workbook it is: Excel or OpenDocument.
    """

    name: str
    cells: pl.DataFrame
    program: str


def is_workbook(data: bytes) -> bool:
    """Whether the bytes begin like a workbook or another document packed as ZIP, or like one with a password."""
    return data.startswith(b"PK\x03\x04") or (data.startswith(_OLD) and _ENCRYPTED in data)


def sheets(file: File) -> Iterator[Sheet | LeftAlone]:
    """Yield the sheets of a workbook in their order; hidden and empty ones are left alone.

    Raises
    ------
    FileRefused
        It is protected, damaged, another kind of document, or too large when unpacked.
    """
    data = file.data
    if data.startswith(_OLD):
        raise FileRefused(Place(file.name), "", "is protected with a password", "save it without one")
    data, program = _checked(data, file.name)
    import fastexcel

    logging.getLogger("calamine").setLevel(logging.ERROR)  # what it warns of, like a chart, the receipt says
    try:
        book = fastexcel.read_excel(data)
        names = book.sheet_names
    except BaseException as error:
        raise _explained(error, file.name) from error
    for position, name in enumerate(names):
        label = f"{file.name}, sheet {masked(name)}"
        try:
            sheet = book.load_sheet(position, header_row=None, skip_rows=0, dtypes="string")
            cells = sheet.to_polars() if sheet.height else pl.DataFrame()
        except BaseException as error:
            if "not a valid worksheet" in str(error):
                yield LeftAlone(label, "is a chart")
                continue
            raise _explained(error, label) from error
        if sheet.visible != "visible":
            yield LeftAlone(label, "is hidden; show it in the workbook to have it read")
        elif not cells.height:
            yield LeftAlone(label, "is empty")
        else:
            cells.columns = [f"c{number}" for number in range(cells.width)]
            if program == OPENDOCUMENT:
                cells = cells.with_columns(opendocument.as_in_a_workbook(column) for column in cells.iter_columns())
            yield Sheet(name, cells.with_columns(_day_alone(column) for column in cells.iter_columns()), program)


def _day_alone(cells: pl.Series) -> pl.Series:
    """Return a column of dates without the midnight that every date has in a workbook."""
    dated = cells.str.ends_with(_MIDNIGHT) & cells.str.contains(r"^\d{4}-\d{2}-\d{2} ")
    moments = cells.str.contains(r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}")
    if not dated.any() or (moments & ~dated).any():
        return cells
    return (
        pl.select(pl.when(dated).then(cells.str.strip_suffix(_MIDNIGHT)).otherwise(cells)).to_series().alias(cells.name)
    )


def _explained(error: BaseException, name: str) -> BaseException:
    """Return the refusal for what the reader raises, which for a fault of its own is no `Exception`."""
    return error if isinstance(error, (KeyboardInterrupt, SystemExit, MemoryError)) else _damaged(name)


def _damaged(name: str) -> FileRefused:
    return FileRefused(
        Place(name), "", "cannot be read as a workbook", "open it in a spreadsheet and save it again, or as CSV"
    )


def _checked(data: bytes, name: str) -> tuple[bytes, str]:
    """Return the workbook once it was found to be one that can be laid out, with its errors as text, and its kind."""
    stream = io.BytesIO(data)
    members = {member.filename: member for member in archives.entries(stream, name)}
    open_document = opendocument.is_opendocument(members)
    if "xl/workbook.xml" not in members and not open_document:
        raise NoTable(Place(name), "", _other_kind(set(members)), _SAVE)
    whole = sum(member.file_size for member in members.values())
    if whole > LARGEST_XML:
        raise FileRefused(Place(name), f"{whole:,} bytes of XML", f"are more than {LARGEST_XML:,}", _SAVE)
    if open_document:
        checked = opendocument.checked(
            stream, members, name, most_cells=MOST_CELLS, most_text=MOST_TEXT, damaged=_damaged
        )
        return checked, OPENDOCUMENT
    lengths = np.zeros(0, dtype=np.int64)
    has_errors = []
    # Shared texts first: sheets refer to them by number.
    for member in sorted(members.values(), key=lambda m: not m.filename.lower().endswith("sharedstrings.xml")):
        pieces = archives.pieces(stream, member, name)
        if member.filename.lower().endswith("sharedstrings.xml"):
            lengths = _text_lengths(pieces, name)
        elif member.filename.startswith("xl/worksheets/") and member.filename.endswith(".xml"):
            if _measured(pieces, name, lengths):
                has_errors.append(member.filename)
        else:
            for _ in pieces:  # counted and checked
                pass
    return _with_errors_as_text(stream, members, has_errors, name) if has_errors else data, EXCEL


def _other_kind(members: set[str]) -> str:
    if "xl/workbook.bin" in members:
        return "is a binary Excel workbook (XLSB)"
    return "is a document, and no workbook"


def _tags(pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield XML in parts that end with a whole tag."""
    rest = b""
    for piece in pieces:
        text = rest + piece
        end = text.rfind(b">") + 1
        rest = text[end:]
        if len(rest) > LONGEST_TAG:
            raise _damaged(name)
        if end:
            yield text[:end]
    yield rest


def _text_lengths(pieces: Iterator[bytes], name: str) -> Ints:
    """Return the bytes of each shared text, tags included."""
    lengths: list[int] = []
    open_length = 0
    for text in _tags(pieces, name):
        parts = re.split(rb"</(?:\w+:)?si>", text)
        for part in parts[:-1]:
            lengths.append(open_length + len(part))
            open_length = 0
        open_length += len(parts[-1])
    return np.array([*lengths, open_length], dtype=np.int64)


def _measured(pieces: Iterator[bytes], name: str, lengths: Ints) -> bool:
    """Check a sheet's rectangle and the text in its cells; return whether it holds errors."""
    row = column = text_bytes = rows_seen = in_row = 0
    errors = False
    for text in _tags(pieces, name):
        found = _CELL.findall(text)
        if found:
            names, numbers = zip(*found, strict=True)
            row = max(row, max(map(int, set(numbers))))
            column = max(column, max(map(_position, set(names))))
        row = max([row, *map(int, _ROW.findall(text))])
        # Cells may stand without a reference; then their number in the row is their column.
        if _cells(text) > len(found):
            for number, part in enumerate(re.split(rb"</(?:\w+:)?row>", text)):
                in_row = (in_row if number == 0 else 0) + _cells(part)
                column = max(column, in_row)
        rows_seen += text.count(b"<row") + text.count(b":row")
        if max(row, rows_seen) * column > MOST_CELLS:
            raise FileRefused(
                Place(name), f"{max(row, rows_seen):,} rows by {column:,} columns",
                f"are more than {MOST_CELLS:,} cells, empty ones included",
                "delete the cells far below or beside the table, or save the sheet as CSV",
            )  # fmt: skip
        if len(lengths):
            cells = np.array(_TEXT_CELL.findall(text), dtype="S9").astype(np.int64)
            text_bytes += int(lengths[cells[cells < len(lengths)]].sum())
            if text_bytes > MOST_TEXT:
                raise FileRefused(Place(name), f"more than {MOST_TEXT:,} bytes", "of text stand in one sheet", _SAVE)
        errors = errors or ((b't="e"' in text or b"t='e'" in text) and _ERROR_CELL.search(text) is not None)
    return errors


def _cells(xml: bytes) -> int:
    return xml.count(b"<c ") + xml.count(b"<c>") + xml.count(b":c ") + xml.count(b":c>")


def _position(letters: bytes) -> int:
    """Return the number of a column by its letters.

    >>> _position(b"A"), _position(b"AA")
    (1, 27)
    """
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _with_errors_as_text(
    stream: io.BytesIO, members: dict[str, zipfile.ZipInfo], sheets_with_errors: list[str], name: str
) -> bytes:
    """Return the workbook with cells like ``#REF!`` as texts, which the reader would else leave empty."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for filename, member in members.items():
            data = archives.unpacked(stream, member, name)
            if filename in sheets_with_errors:
                data = _ERROR_CELL.sub(rb"\1\2str\2", data)
            archive.writestr(filename, data)
    return packed.getvalue()
