"""Load one file as a table of the columns a format asks for; nothing else of the file is kept.

Columns are chosen before parsing, so a customer's name or e-mail address never enters a frame.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import polars as pl

from shelfwise.domain.errors import FileRefused, Place
from shelfwise.ingest import archives, detect, spreadsheets
from shelfwise.ingest.archives import File, LeftAlone
from shelfwise.ingest.personal import is_personal as is_personal
from shelfwise.ingest.personal import masked as masked
from shelfwise.ingest.personal import masked_cells as masked_cells

LINE: Final = "__line"  # line a row starts on (text), its row number (Parquet) or the sheet's row (Excel)
MOST_ROWS: Final = 100_000_000  # of a Parquet file; a few bytes can stand for any number of equal rows


@dataclass(frozen=True)
class Text:
    """A text file, decoded to UTF-8, and how it is laid out."""

    layout: detect.Layout
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Cells:
    """The cells of a sheet from its first row on, all as text; ``header_row`` counts from 1."""

    frame: pl.DataFrame = field(repr=False)
    header_row: int


@dataclass(frozen=True)
class Parquet:
    """The bytes of a Parquet file."""

    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Source:
    """A file or sheet as far as its header: enough to recognise it.

    Parameters
    ----------
    file
        Name as shown: ``orders.csv``, ``exports.zip/orders.csv``, ``book.xlsx, sheet Orders``.
    sha256
        Hash of the content, by which the same file is known again.
    body
        What the rows are read from; None once they are.
    changed
        When the file was last changed, in seconds since 1970.
    alone
        The file was named by itself: it is refused, not left alone, where no format fits.
    """

    file: str
    sha256: str
    headers: tuple[str, ...]
    body: Text | Cells | Parquet | None
    layout_words: str
    changed: float
    header_line: int | None = None
    alone: bool = True


@dataclass(frozen=True)
class Table:
    """A loaded file: columns under our field names, plus the line each row came from.

    ``torn`` lists records that could not be split into fields: (line, reason). ``numeric`` names the columns kept under
    their own headers and read as numbers.
    """

    source: Source
    frame: pl.DataFrame
    mapping: dict[str, str]
    torn: tuple[tuple[int, str], ...]
    numeric: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """Name of the file as shown."""
        return self.source.file

    def place(self, column: str | None = None, line: int | None = None) -> Place:
        """Return where one of our fields stands in the file, in the file's own words."""
        return Place(self.file, line, masked(self.mapping.get(column, column)) if column else None)


def open_sources(path: Path, known: Callable[[str], bool]) -> Iterator[Source | LeftAlone]:
    """Read what ``path`` stands for, each file and sheet as far as its header.

    Parameters
    ----------
    path
        A file, an archive or a folder.
    known
        Tells whether a normalised header is one that some format has.

    Raises
    ------
    FileRefused
        Something cannot be read, or is damaged. What is no table at all is left alone where it was not named itself.
    """
    for file in archives.files(path):
        if isinstance(file, LeftAlone):
            yield file
            continue
        try:
            yield from _opened(file, known)
        except detect.NoTable as error:
            if file.alone:
                raise
            yield LeftAlone(file.name, error.rule)


def _opened(file: File, known: Callable[[str], bool]) -> Iterator[Source | LeftAlone]:
    sha256 = hashlib.sha256(file.data).hexdigest()
    if spreadsheets.is_workbook(file.data):
        yield from _sheets(file, sha256, known)
        return
    if file.data.startswith(b"PAR1"):
        try:
            schema = pl.read_parquet_schema(io.BytesIO(file.data))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise _damaged(file.name) from error
        yield Source(file.name, sha256, tuple(schema), Parquet(file.data), "Parquet", file.changed, alone=file.alone)
        return
    text, encoding = detect.to_utf8(file.data, file.name)
    found = detect.layout(text, encoding, file.name, known)
    if not _lines_after(text, found.header_line):
        raise detect.NoTable(
            Place(file.name), "", "has a header row and nothing below it", "export it again with its lines"
        )
    kind = {",": "CSV", ";": "CSV with ;", "\t": "TSV", "|": "text with |"}[found.delimiter]
    words = f"{kind}, {found.encoding}, header on line {found.header_line}"
    yield Source(
        file.name, sha256, found.headers, Text(found, text), words, file.changed, found.header_line, file.alone
    )


def _sheets(file: File, sha256: str, known: Callable[[str], bool]) -> Iterator[Source | LeftAlone]:
    """Yield the sheets of a workbook. None of them is alone: what fits no format beside one that does is left alone."""
    for sheet in spreadsheets.sheets(file):
        if isinstance(sheet, LeftAlone):
            yield sheet
            continue
        label = f"{file.name}, sheet {masked(sheet.name)}"
        top = [["" if cell is None else cell for cell in row] for row in sheet.cells.head(detect.HEADER_WITHIN).rows()]
        filled = [row[: max((n + 1 for n, cell in enumerate(row) if cell.strip()), default=0)] for row in top]
        index = detect.header_row(filled, max(map(len, filled)), known)
        if sheet.cells.height == index + 1:
            yield LeftAlone(label, "has a header row and nothing below it")
            continue
        own = hashlib.sha256(f"{sha256}:{sheet.name}".encode()).hexdigest()
        words = f"{sheet.program}, header on row {index + 1}"
        headers = detect.named(top[index])
        yield Source(label, own, headers, Cells(sheet.cells, index + 1), words, file.changed, index + 1, alone=False)


def _damaged(file: str) -> FileRefused:
    return FileRefused(Place(file), "", "begins like Parquet and cannot be read as such", "export it again")


def _lines_after(text: bytes, header_line: int) -> bool:
    position = 0
    for _ in range(header_line):
        position = text.find(b"\n", position) + 1
        if position == 0:
            return False
    return re.compile(rb"\S").search(text, position) is not None


def load(source: Source, mapping: dict[str, str], numeric: Sequence[str] = ()) -> Table:
    """Load the columns in ``mapping`` (our field -> header).

    Parameters
    ----------
    numeric
        Headers kept under their own names and read as numbers at once, for tables with thousands of columns.
    """
    body = source.body
    if isinstance(body, Parquet):
        return _load_parquet(source, body, mapping, numeric)
    if isinstance(body, Cells):
        return _load_cells(source, body, mapping, numeric)
    if isinstance(body, Text):
        return _load_text(source, body, mapping, numeric)
    raise ValueError(f"{source.file} was loaded before; a source is loaded once")


def _load_cells(source: Source, body: Cells, mapping: dict[str, str], numeric: Sequence[str]) -> Table:
    names = dict(zip(source.headers, body.frame.columns, strict=True))
    rows = body.frame.with_row_index(LINE, offset=1).slice(body.header_row)
    filled = pl.any_horizontal(pl.col(name).str.contains(r"\S").fill_null(value=False) for name in body.frame.columns)
    frame = rows.filter(filled).select(
        *(pl.col(names[header]).alias(ours) for ours, header in mapping.items()),
        *(pl.col(names[header]).alias(header) for header in numeric),
        pl.col(LINE).cast(pl.Int64),
    )
    if not frame.height:
        raise FileRefused(Place(source.file), "", "has a header row and no row below it that holds data",
                          "export it again with its lines")  # fmt: skip
    return Table(replace(source, body=None), frame, mapping, (), tuple(numeric))


def _load_parquet(source: Source, body: Parquet, mapping: dict[str, str], numeric: Sequence[str]) -> Table:
    try:
        lazy = pl.scan_parquet(io.BytesIO(body.data))
        count = lazy.select(pl.len()).collect().item()
        if count > MOST_ROWS:
            raise FileRefused(Place(source.file), f"{count:,} rows", f"are more than {MOST_ROWS:,}", "split the file")
        columns = [pl.col(header).alias(ours) for ours, header in mapping.items()]
        frame = lazy.select(*columns, *(pl.col(n).cast(pl.Float32, strict=False) for n in numeric)).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise _damaged(source.file) from error
    nested = [ours for ours in mapping if frame.schema[ours].is_nested() or frame.schema[ours] == pl.Binary]
    if nested:
        raise FileRefused(
            Place(source.file, column=mapping[nested[0]]), str(frame.schema[nested[0]]), "is not a plain column",
            "store it as text, number or date",
        )  # fmt: skip
    if not frame.height:
        raise FileRefused(Place(source.file), "", "has columns and no rows", "export it again with its lines")
    frame = frame.with_row_index(LINE, offset=1).with_columns(pl.col(LINE).cast(pl.Int64))
    return Table(replace(source, body=None), frame, mapping, (), tuple(numeric))


def _load_text(source: Source, body: Text, mapping: dict[str, str], numeric: Sequence[str]) -> Table:
    layout = body.layout
    found = detect.records(body.data, layout, source.file)
    if not len(found.starts) and found.bad:
        line, reason = found.bad[0]
        raise FileRefused(Place(source.file, line), "", f"no line can be used; the first {reason}", "export it again")
    if not len(found.starts):
        raise FileRefused(Place(source.file), "", "has a header row and no line below it that holds data",
                          "export it again with its lines")  # fmt: skip
    wanted = [layout.headers.index(header) for header in mapping.values()]
    numbers = [layout.headers.index(header) for header in numeric]
    text = _joined(body.data, found)
    try:
        frame = _parsed(text, layout, wanted, numbers)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise FileRefused(
            Place(source.file), "", "cannot be read as a table", "open it in a spreadsheet and save it as CSV"
        ) from error
    if frame.height != len(found.starts):
        raise FileRefused(
            Place(source.file), "", "has quotes that can be read two ways", "save it again from a spreadsheet as CSV"
        )
    frame = frame.select(
        *(pl.col(f"f{position}").alias(ours) for ours, position in zip(mapping, wanted, strict=True)),
        *(pl.col(f"f{position}").alias(header) for header, position in zip(numeric, numbers, strict=True)),
        pl.Series(LINE, found.lines),
    )
    return Table(replace(source, body=None), frame, mapping, found.bad, tuple(numeric))


def _joined(data: bytes, found: detect.Records) -> bytes:
    """Return the good records as one text, copying nothing where they are all that follows the header."""
    breaks = (found.starts[1:] != found.ends[:-1] + 1).nonzero()[0] + 1
    if not len(breaks) and found.ends[-1] >= len(data) - 1:
        return data[found.starts[0] :]
    firsts = [0, *breaks.tolist()]
    lasts = [*(b - 1 for b in breaks.tolist()), len(found.starts) - 1]
    pieces = (data[found.starts[a] : found.ends[b]] for a, b in zip(firsts, lasts, strict=True))
    return b"\n".join([*pieces, b""])


def _parsed(text: bytes, layout: detect.Layout, wanted: list[int], numbers: list[int]) -> pl.DataFrame:
    names = [f"f{i}" for i in range(len(layout.headers))]
    schema: dict[str, type[pl.DataType]] = {name: pl.String for name in names}
    typed = schema | {names[i]: pl.Float32 for i in numbers}
    columns = sorted({*wanted, *numbers})

    def parse(types: dict[str, type[pl.DataType]]) -> pl.DataFrame:
        return pl.read_csv(
            text, has_header=False, separator=layout.delimiter, quote_char='"' if layout.quoted else None,
            schema=types, columns=columns, infer_schema=False, raise_if_empty=False, truncate_ragged_lines=True,
            low_memory=False,
        )  # fmt: skip

    if not numbers:
        return parse(schema)
    try:
        return parse(typed)
    except pl.exceptions.ComputeError:
        return parse(schema)  # some cell is no number; the profile says which
