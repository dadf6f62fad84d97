"""Many questions as they come in the body of a request: one JSON object a line, or a row of an Arrow IPC stream each.

They come from anyone. Lines are parsed as they are asked for, so that a long body never stands in memory as objects
all at once; of a stream, whose lists and texts may stand for more than its bytes, the cells are counted first.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from shelfwise.domain.errors import DataError
from shelfwise.ingest.movement_bodies import ARROW, MOST_TEXT_BYTES, NDJSON, read_stream

MOST_LINE_BYTES: Final = 16 << 20
MOST_CELLS: Final = 4_000_000
_ROWS_AT_ONCE: Final = 50
_KINDS: Final = (
    pl.String, pl.Boolean, pl.Date, pl.Datetime, pl.Null, pl.Categorical, pl.Enum,
)  # fmt: skip


@dataclass(frozen=True)
class Told:
    """One question as it was sent.

    Parameters
    ----------
    line
        Of an NDJSON body, from 1; None for a row of a stream.
    value
        What stands there; None where that is no JSON.
    wrong
        Why it is none; empty where it is.
    size
        Bytes that it was sent as; 0 where that is not known.
    """

    line: int | None
    value: Any
    wrong: str = ""
    size: int = 0


def read(media_type: str, body: bytes, most: int) -> Iterator[Told]:
    """Return the questions of a body, in order; the body as a whole is looked at before the first.

    Parameters
    ----------
    media_type
        `NDJSON` or `ARROW`.
    most
        Questions that a body may have.

    Raises
    ------
    DataError
        There is none, there are too many, or a stream is damaged or stands for too much.
    """
    if media_type == ARROW:
        return _rows(_table(body, most))
    if media_type != NDJSON:
        raise ValueError(f"questions come as {NDJSON} or {ARROW}, not as {media_type!r}")
    lines = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]
    _check_count(len(lines), most)
    return (_line(number, line) for number, line in lines)


def _check_count(found: int, most: int) -> None:
    if not found:
        raise DataError("the body has no question; send one JSON object a line, or one row for each")
    if found > most:
        raise DataError(f"one request has at most {most:,} questions, got {found:,}; send them in parts")


def _line(number: int, line: bytes) -> Told:
    if len(line) > MOST_LINE_BYTES:
        return Told(number, None, f"line {number} is longer than {MOST_LINE_BYTES >> 20} MiB; send less history")
    try:
        return Told(number, json.loads(line), size=len(line))
    except (ValueError, RecursionError) as error:
        said = str(error)[:100]
        return Told(number, None, f"line {number} is no JSON ({said}); a question is one object in one line")


def _table(body: bytes, most: int) -> pl.DataFrame:
    table = read_stream(body)
    _check_count(table.height, most)
    left = MOST_CELLS
    for column in table.iter_columns():
        left -= _cells(column.name, column, left)
    return table


def _cells(path: str, cells: pl.Series, left: int) -> int:
    """Return how many cells a column has, those within others counted; raises where they are more than are left."""
    count = cells.len()
    if count > left:
        raise DataError(f"the stream has more than {MOST_CELLS:,} cells; send it in parts")
    kind = cells.dtype
    if isinstance(kind, pl.List):
        count += _cells(path, cells.drop_nulls().explode(empty_as_null=False), left - count)
    elif isinstance(kind, pl.Struct):
        for field in kind.fields:
            count += _cells(f"{path}.{field.name}", cells.struct.field(field.name), left - count)
    elif not kind.is_numeric() and not isinstance(kind, _KINDS):
        raise DataError(f"column {path} is {kind}; questions are numbers, texts, dates, lists and structures of these")
    elif isinstance(kind, pl.String | pl.Categorical | pl.Enum) and _has_long_text(cells):
        raise DataError(f"column {path}: a text is longer than {MOST_TEXT_BYTES} bytes; shorten it")
    return count


def _has_long_text(cells: pl.Series) -> bool:
    """Whether a text is longer than any of ours: many cells may point at the same one."""
    return (cells.cast(pl.String).str.len_bytes() > MOST_TEXT_BYTES).any()


def _rows(table: pl.DataFrame) -> Iterator[Told]:
    for rows in table.iter_slices(_ROWS_AT_ONCE):
        for row in rows.iter_rows(named=True):
            yield Told(None, _without_nulls(row))


def _without_nulls(value: Any) -> Any:
    """Leave out fields that are null, which every row of a table has; a moment with a zone keeps its offset."""
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_without_nulls(one) for one in value]
    return value.isoformat() if isinstance(value, dt.date) else value
