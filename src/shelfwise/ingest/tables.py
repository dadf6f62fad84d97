"""Load one file as a table of the columns a format asks for; nothing else of the file is kept.

Columns are chosen before parsing, so a customer's name or e-mail address never enters a frame.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import polars as pl

from shelfwise.domain.errors import FileRefused, Place
from shelfwise.ingest import detect

LINE: Final = "__line"  # line a row starts on (text), or its row number (Parquet)

_PERSONAL: Final = (
    "customer", "client", "kunde", "cliente", "klant", "buyer", "email", "mail", "phone", "telefon", "telephone",
    "mobile", "address", "adresse", "street", "firstname", "lastname", "surname", "fullname", "contact", "birth",
    "zip", "postcode", "postalcode", "iban", "card", "employee", "cashier", "username", "ipaddress", "passport",
)  # fmt: skip
_MAIL: Final = r"[^\s@<>,;:\"']+@[^\s@<>,;:\"']+\.[A-Za-z]{2,}"


def is_personal(header: str) -> bool:
    """Whether a header names data about a person.

    >>> is_personal("Customer ID"), is_personal("Billing Phone"), is_personal("Quantity")
    (True, True, False)
    """
    plain = detect.normalised(header)
    return any(word in plain for word in _PERSONAL) or re.search(_MAIL, header) is not None


def masked(text: str) -> str:
    """Return ``text`` short enough to show and with e-mail addresses blotted out.

    >>> masked("ask jane@example.com")
    'ask [e-mail]'
    """
    plain = re.sub(_MAIL, "[e-mail]", text.replace("\0", " ")[:400]).replace("\n", " ").replace("\r", " ")
    return plain if len(plain) <= 60 else plain[:57] + "..."


def masked_cells(cells: pl.Expr) -> pl.Expr:
    """Return text cells with e-mail addresses blotted out."""
    return (
        pl.when(cells.str.contains("@", literal=True)).then(cells.str.replace_all(_MAIL, "[e-mail]")).otherwise(cells)
    )


@dataclass(frozen=True)
class Source:
    """A file as far as its header: enough to recognise it."""

    path: Path
    sha256: str
    headers: tuple[str, ...]
    layout: detect.Layout | None  # None: Parquet
    data: bytes = field(repr=False)

    @property
    def file(self) -> str:
        """Name of the file without its folders."""
        return masked(self.path.name)

    @property
    def layout_words(self) -> str:
        """Read as ``CSV, utf-8, header on line 1``."""
        if self.layout is None:
            return "Parquet"
        name = {",": "CSV", ";": "CSV with ;", "\t": "TSV", "|": "text with |"}[self.layout.delimiter]
        return f"{name}, {self.layout.encoding}, header on line {self.layout.header_line}"


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
        """Name of the file without its folders."""
        return self.source.file

    def place(self, column: str | None = None, line: int | None = None) -> Place:
        """Return where one of our fields stands in the file, in the file's own words."""
        return Place(self.file, line, masked(self.mapping.get(column, column)) if column else None)


def open_source(path: Path, known: Callable[[str], bool]) -> Source:
    """Read ``path`` as far as its header."""
    data = detect.read_bytes(path)
    file = masked(path.name)
    sha256 = hashlib.sha256(data).hexdigest()
    if data.startswith(b"PAR1"):
        try:
            schema = pl.read_parquet_schema(path)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise _damaged(file) from error
        return Source(path, sha256, tuple(schema), None, b"")
    text, encoding = detect.to_utf8(data, file)
    found = detect.layout(text, encoding, file, known)
    if not _lines_after(text, found.header_line):
        raise FileRefused(Place(file), "", "has a header row and nothing below it", "export it again with its lines")
    return Source(path, sha256, found.headers, found, text)


def _damaged(file: str) -> FileRefused:
    return FileRefused(Place(file), "", "begins like Parquet and cannot be read as such", "export it again")


def _lines_after(text: bytes, header_line: int) -> bool:
    position = 0
    for _ in range(header_line):
        position = text.find(b"\n", position) + 1
        if position == 0:
            return False
    return bool(text[position:].strip())


def load(source: Source, mapping: dict[str, str], numeric: Sequence[str] = ()) -> Table:
    """Load the columns in ``mapping`` (our field -> header).

    Parameters
    ----------
    numeric
        Headers kept under their own names and read as numbers at once, for tables with thousands of columns.
    """
    if source.layout is None:
        return _load_parquet(source, mapping, numeric)
    return _load_text(source, source.layout, mapping, numeric)


def _load_parquet(source: Source, mapping: dict[str, str], numeric: Sequence[str]) -> Table:
    try:
        frame = pl.read_parquet(source.path, columns=[*dict.fromkeys(mapping.values()), *numeric])
        columns = [pl.col(header).alias(ours) for ours, header in mapping.items()]
        frame = frame.select(*columns, *(pl.col(n).cast(pl.Float32, strict=False) for n in numeric))
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
    return Table(
        source,
        frame.with_row_index(LINE, offset=1).with_columns(pl.col(LINE).cast(pl.Int64)),
        mapping,
        (),
        tuple(numeric),
    )


def _load_text(source: Source, layout: detect.Layout, mapping: dict[str, str], numeric: Sequence[str]) -> Table:
    found = detect.records(source.data, layout, source.file)
    if not len(found.starts):
        raise FileRefused(Place(source.file), "", "has a header row and no line below it that holds data",
                          "export it again with its lines")  # fmt: skip
    wanted = [layout.headers.index(header) for header in mapping.values()]
    numbers = [layout.headers.index(header) for header in numeric]
    text = _joined(source.data, found)
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
    loaded = replace(source, data=b"")  # the text has served
    return Table(loaded, frame, mapping, found.bad, tuple(numeric))


def _joined(data: bytes, found: detect.Records) -> bytes:
    """Return the good records as one text, sharing the buffer where nothing lies between them."""
    breaks = (found.starts[1:] != found.ends[:-1] + 1).nonzero()[0] + 1
    firsts = [0, *breaks.tolist()]
    lasts = [*(b - 1 for b in breaks.tolist()), len(found.starts) - 1]
    return b"\n".join(data[found.starts[a] : found.ends[b]] for a, b in zip(firsts, lasts, strict=True)) + b"\n"


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
