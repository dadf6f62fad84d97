"""Look an OpenDocument spreadsheet (ODS) through before the reader lays it out, and say its cells as a workbook does.

Such a file says of a row or a cell how often it is repeated, so a few bytes can stand for a million rows of 16,384
cells. Rows and columns are counted from the first to the last that holds something, as the reader lays them out; what
stands empty behind them costs nothing and is in every file.

The reader leaves a time of day and an error like ``#REF!`` empty; both become texts beforehand, and moments are written
as in a workbook afterwards.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Final
from xml.parsers import expat

import polars as pl

from shelfwise.domain.errors import FileRefused, Place
from shelfwise.ingest import archives
from shelfwise.ingest.detect import NoTable

CONTENT: Final = "content.xml"
ENCRYPTED: Final = "encrypted-package"
_KIND: Final = b"application/vnd.oasis.opendocument.spreadsheet"
_MANIFEST: Final = "META-INF/manifest.xml"
_LONGEST_TAG: Final = 16 << 20  # bytes without the end of a tag, beyond which it is no spreadsheet
_ROW: Final = "table:table-row"
_CELLS: Final = ("table:table-cell", "table:covered-table-cell")
_TABLE: Final = "table:table"
_REPEATED_ROWS, _REPEATED_COLUMNS = "table:number-rows-repeated", "table:number-columns-repeated"
_ERROR: Final = ("calcext:value-type", "error")
_CELL_TAG: Final = re.compile(rb"""<table:table-cell\b(?:[^>"']|"[^"]*"|'[^']*')*>""")
_TIME: Final = re.compile(
    rb"""\boffice:value-type=(["'])time\1|\boffice:time-value=(["'])-?PT(\d+)H(\d+)M(\d+)(?:[.,]\d+)?S\2"""
)
_ERROR_VALUE: Final = re.compile(rb"""\boffice:(?:string-)?value=(["'])[^"']*\1""")
_MOMENT: Final = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?$"


class _TooLarge(Exception):
    """A sheet is larger than it may be; the message is the value and the rule."""


class _Counter:
    """Counts what the reader would lay out of each sheet, from the events of an XML parser."""

    def __init__(self, most_cells: int, most_text: int) -> None:
        self.rewrite = False
        self._most_cells, self._most_text = most_cells, most_text
        self._inside: list[str] = []  # of table, row and cell, those that are open
        self._rows = self._filled_rows = self._columns = self._text = 0
        self._row_repeated = self._column = self._filled_columns = self._row_text = 0
        self._cell_repeated = self._cell_text = 0
        self._filled = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take the start of an element."""
        if name in _CELLS and self._inside[-1:] == [_ROW]:
            self._inside.append(name)
            self._cell_repeated = _count(attributes.get(_REPEATED_COLUMNS))
            self._cell_text = sum(len(value) for key, value in attributes.items() if key.startswith("office:"))
            self._filled = "office:value-type" in attributes
            kind, error = _ERROR
            self.rewrite |= attributes.get("office:value-type") == "time" or attributes.get(kind) == error
        elif name == _ROW and self._inside == [_TABLE]:
            self._inside.append(name)
            self._row_repeated = _count(attributes.get(_REPEATED_ROWS))
            self._column = self._filled_columns = self._row_text = 0
        elif name == _TABLE and not self._inside:
            self._inside.append(name)
            self._rows = self._filled_rows = self._columns = self._text = 0
        elif self._inside and (name in _CELLS or name in (_ROW, _TABLE)):
            raise expat.ExpatError("tables inside of tables, which the reader would see in another way")

    def text(self, text: str) -> None:
        """Take characters."""
        self._cell_text += len(text)
        self._filled |= not text.isspace()

    def end(self, name: str) -> None:
        """Take the end of an element."""
        if self._inside[-1:] != [name]:
            return
        self._inside.pop()
        if name in _CELLS:
            self._column += self._cell_repeated
            if self._filled:
                self._filled_columns = self._column
                self._row_text += self._cell_text * self._cell_repeated
        elif name == _ROW:
            self._rows += self._row_repeated
            if self._filled_columns:
                self._filled_rows = self._rows
                self._columns = max(self._columns, self._filled_columns)
                self._text += self._row_text * self._row_repeated
                self._check()

    def _check(self) -> None:
        if self._filled_rows * self._columns > self._most_cells:
            raise _TooLarge(
                f"{self._filled_rows:,} rows by {self._columns:,} columns",
                f"are more than {self._most_cells:,} cells, empty ones included",
                "delete the cells far below or beside the table, or save the sheet as CSV",
            )
        if self._text > self._most_text:
            raise _TooLarge(
                f"more than {self._most_text:,} characters", "of text stand in one sheet",
                "save the sheet as CSV and give that",
            )  # fmt: skip


def _count(said: str | None) -> int:
    return int(said) if said is not None and said.isdecimal() and len(said) < 10 else 1 if said is None else 10**10


def is_opendocument(members: Mapping[str, zipfile.ZipInfo]) -> bool:
    """Whether the members of an archive are those of an OpenDocument file."""
    return "mimetype" in members and (CONTENT in members or ENCRYPTED in members)


def checked(
    stream: io.BytesIO,
    members: Mapping[str, zipfile.ZipInfo],
    name: str,
    *,
    most_cells: int,
    most_text: int,
    damaged: Callable[[str], FileRefused],
) -> bytes:
    """Return the file once it was found to be a spreadsheet that can be laid out, with times and errors as texts.

    Parameters
    ----------
    most_cells, most_text
        Of a sheet: cells of its rectangle, and characters in all of them.
    damaged
        Makes the refusal of a file that cannot be read.

    Raises
    ------
    FileRefused
        It is protected, damaged or too large when laid out.
    NoTable
        It is an OpenDocument file of another kind.
    """
    locked = ENCRYPTED in members or (
        _MANIFEST in members and b"encryption-data" in archives.unpacked(stream, members[_MANIFEST], name)
    )
    if locked:
        raise FileRefused(Place(name), "", "is protected with a password", "save it without one")
    if not archives.unpacked(stream, members["mimetype"], name).strip().startswith(_KIND):
        raise NoTable(
            Place(name), "", "is an OpenDocument file, and no spreadsheet", "save the table as a spreadsheet or CSV"
        )
    counter = _Counter(most_cells, most_text)
    try:
        _parse(counter, archives.pieces(stream, members[CONTENT], name))
    except expat.ExpatError as error:
        raise damaged(name) from error
    except _TooLarge as error:
        raise FileRefused(Place(name), *error.args) from None
    return _rewritten(stream, members, name) if counter.rewrite else stream.getvalue()


def _parse(counter: _Counter, pieces: Iterator[bytes]) -> None:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = counter.start
    parser.EndElementHandler = counter.end
    parser.CharacterDataHandler = counter.text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    given = 0
    for piece in pieces:
        parser.Parse(piece, False)
        given += len(piece)
        if given - parser.CurrentByteIndex > _LONGEST_TAG:
            raise expat.ExpatError("a tag without an end")
    parser.Parse(b"", True)


def _refuse_doctype(*_: object) -> None:
    raise expat.ExpatError("a document type, which could define entities that swell")


def _rewritten(stream: io.BytesIO, members: Mapping[str, zipfile.ZipInfo], name: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for filename in ("mimetype", _MANIFEST, CONTENT):
            if filename in members:
                data = archives.unpacked(stream, members[filename], name)
                archive.writestr(filename, _CELL_TAG.sub(_as_text, data) if filename == CONTENT else data)
    return packed.getvalue()


def _as_text(found: re.Match[bytes]) -> bytes:
    """Return a cell's tag, with a time of day as the text ``13:45:00`` and an error as the text it is shown by.

    >>> _as_text(_CELL_TAG.match(b'<table:table-cell office:value-type="time" office:time-value="PT09H05M00S">'))
    b'<table:table-cell office:value-type="string" office:string-value="09:05:00">'
    """
    tag = found.group()
    if b"office:time-value" in tag:
        return _TIME.sub(_clock, tag)
    if b'calcext:value-type="error"' in tag or b"calcext:value-type='error'" in tag:
        return _ERROR_VALUE.sub(b"", tag).replace(b'office:value-type="float"', b'office:value-type="string"')
    return tag


def _clock(found: re.Match[bytes]) -> bytes:
    if found.group(3) is None:
        return b'office:value-type="string"'
    hours, minutes, seconds = (int(part) for part in found.group(3, 4, 5))
    return b'office:string-value="%02d:%02d:%02d"' % (hours, minutes, seconds)


def as_in_a_workbook(cells: pl.Series) -> pl.Series:
    """Return a column with moments like ``2024-05-31 13:45:00``, to the second, days among them with their midnight.

    >>> as_in_a_workbook(pl.Series(["2024-05-31T13:44:59.999999", "2024-06-01", "tea"])).to_list()
    ['2024-05-31 13:45:00', '2024-06-01 00:00:00', 'tea']
    """
    moments = cells.str.contains(_MOMENT)
    if not moments.any():
        return cells
    read = cells.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", strict=False).dt.round("1s").dt.strftime("%Y-%m-%d %H:%M:%S")
    days = cells.str.contains(r"^\d{4}-\d{2}-\d{2}$")
    return (
        pl.select(
            pl.when(moments & read.is_not_null()).then(read).when(days).then(cells + " 00:00:00").otherwise(cells)
        )
        .to_series()
        .alias(cells.name)
    )
