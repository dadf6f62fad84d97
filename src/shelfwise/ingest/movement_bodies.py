"""Tables of movements as they come in the body of a request: a JSON array, NDJSON, or an Arrow IPC stream.

They come from anyone, so what a few bytes can stand for is bounded: rows, and in an Arrow stream buffers that are
compressed, which are refused (compress the whole body with gzip instead, whose size is watched while it grows).
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from shelfwise.domain.errors import DataError

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
ARROW: Final = "application/vnd.apache.arrow.stream"
MOST_ROWS: Final = 1_000_000
MOST_JSON_ROWS: Final = 10_000
MOST_TEXT_BYTES: Final = 1024  # of a cell; longer ones are refused by their rules whatever they say

INDEX: Final = "index"
COLUMNS: Final[dict[str, type[pl.DataType]]] = {
    "productId": pl.String,
    "transactionType": pl.String,
    "quantity": pl.Float64,
    "createdAt": pl.String,
    "warehouseId": pl.String,
    "toWarehouseId": pl.String,
    "id": pl.String,
    "unitPrice": pl.Float64,
}
REJECTED: Final = {INDEX: pl.Int64, "field": pl.String, "reason": pl.String}


def read(media_type: str, body: bytes) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of a body, and those of which a value cannot be read.

    Parameters
    ----------
    media_type
        `JSON`, `NDJSON` or `ARROW`.

    Returns
    -------
    tuple
        ``index`` (from 0) and `COLUMNS`, where a moment that was one stays one; and `REJECTED`.

    Raises
    ------
    DataError
        It is no table of movements, or has too many rows.
    """
    if media_type == ARROW:
        return _arrow(body), pl.DataFrame(schema=REJECTED)
    if media_type == NDJSON:
        return _ndjson(body)
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DataError(f"the body is no JSON ({error}); send an array of movements") from None
    if not isinstance(found, list):
        raise DataError("the body must be a JSON array of movements; one alone goes to POST /inventory")
    if len(found) > MOST_JSON_ROWS:
        raise DataError(
            f"a JSON array has at most {MOST_JSON_ROWS:,} movements, got {len(found):,}; "
            f"send more as {NDJSON} or {ARROW}"
        )
    return _from_objects(found)


def _ndjson(body: bytes) -> tuple[pl.DataFrame, pl.DataFrame]:
    if body.count(b"\n") > MOST_ROWS:
        raise _too_many(body.count(b"\n"))
    if not body.strip():
        return _laid_out(pl.DataFrame(schema=COLUMNS)), pl.DataFrame(schema=REJECTED)
    first = body[: body.find(b"\n") + 1 or len(body)]
    try:
        _check_names(json.loads(first))
        table = pl.read_ndjson(body, schema=COLUMNS)
    except (pl.exceptions.PolarsError, ValueError, RecursionError):
        # Some line is not as it should be: read one by one, 20 times slower, they say which.
        return _from_objects(_lines(body))
    return _laid_out(table), pl.DataFrame(schema=REJECTED)


def _lines(body: bytes) -> Iterator[object]:
    for line in body.split(b"\n"):
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                yield None


def _from_objects(found: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return objects as columns, and what in them is of the wrong kind."""
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    indices: list[int] = []
    rejected: list[tuple[int, str, str]] = []
    for index, row in enumerate(found):
        if not isinstance(row, dict):
            rejected.append((index, "", "is no JSON object; a movement is one"))
            continue
        wrong = [(index, name, _unknown(name)) for name in row if name not in COLUMNS]
        cells = {name: _cell(row.get(name), dtype) for name, dtype in COLUMNS.items()}
        wrong += [
            (
                index,
                name,
                f"{_short(row[name])} is {'no number' if COLUMNS[name] == pl.Float64 else 'no text or number'}",
            )
            for name, cell in cells.items()
            if cell is None and row.get(name) is not None
        ]
        if wrong:
            rejected += wrong[:1]
            continue
        indices.append(index)
        for name, cell in cells.items():
            columns[name].append(cell)
    table = pl.DataFrame({INDEX: indices, **columns}, schema={INDEX: pl.Int64, **COLUMNS})
    return table, pl.DataFrame(rejected, schema=REJECTED, orient="row")


def _cell(value: object, dtype: type[pl.DataType]) -> object:
    if dtype == pl.Float64:
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300:
            return float(value)
        return None
    if isinstance(value, str):
        return None if any("\ud800" <= letter <= "\udfff" for letter in value) else value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**30 else None


def _short(value: object) -> str:
    try:
        return json.dumps(value)[:40]
    except (ValueError, RecursionError):
        return "the value"


def _unknown(name: str) -> str:
    return f"{name[:40]!r} is no column of movements; they are {', '.join(COLUMNS)}"


def _check_names(row: object) -> None:
    if not isinstance(row, dict) or not row.keys() <= COLUMNS.keys():
        raise ValueError("a row has a column that movements do not have")


def _arrow(body: bytes) -> pl.DataFrame:
    table = read_stream(body)
    if table.height > MOST_ROWS:
        raise _too_many(table.height)
    for name in table.columns:
        if name not in COLUMNS:
            raise DataError(_unknown(name))
    table = table.select(_cast(name, dtype) for name, dtype in table.schema.items())
    for name in table.columns:
        # A dictionary lets each of a million rows point at one long text.
        if (
            table.schema[name] == pl.String
            and table.select((pl.col(name).str.len_bytes() > MOST_TEXT_BYTES).any()).item()
        ):
            raise DataError(f"column {name}: a text is longer than {MOST_TEXT_BYTES} bytes; shorten it")
    return _laid_out(table)


def _cast(name: str, dtype: pl.DataType) -> pl.Expr:
    """Return a column in the type that its rules are written for."""
    wanted = COLUMNS[name]
    if name == "createdAt" and isinstance(dtype, pl.Datetime | pl.Date):
        zone = dtype.time_zone if isinstance(dtype, pl.Datetime) else None
        moment = pl.col(name).cast(pl.Datetime("us", zone))
        return moment.dt.convert_time_zone("UTC") if zone else moment
    fits = dtype.is_numeric() if wanted == pl.Float64 else dtype.is_integer() or dtype == pl.String
    if dtype == pl.Null or fits and name != "createdAt" or dtype == pl.String and wanted == pl.String:
        return pl.col(name).cast(wanted)
    if isinstance(dtype, pl.Categorical | pl.Enum) and wanted == pl.String:
        return pl.col(name).cast(pl.String)
    raise DataError(f"column {name} is {dtype}; it must be {'numbers' if wanted == pl.Float64 else 'texts'}")


def _laid_out(table: pl.DataFrame) -> pl.DataFrame:
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in COLUMNS.items() if name not in table.columns]
    return table.with_columns(missing).with_row_index(INDEX).select(pl.col(INDEX).cast(pl.Int64), *COLUMNS)


def _too_many(rows: int) -> DataError:
    return DataError(f"one request has at most {MOST_ROWS:,} movements, got {rows:,}; send them in parts")


def _no_stream(why: str) -> DataError:
    return DataError(f"the body is no Arrow IPC stream ({why.splitlines()[0][:200] if why else 'unreadable'})")


def read_stream(body: bytes) -> pl.DataFrame:
    """Return the table of an Arrow stream from anyone; raises `DataError` where it is none, or stands for too much."""
    refuse_expanding(body)
    try:
        return pl.read_ipc_stream(io.BytesIO(body))
    except Exception as error:  # damaged bytes make the reader raise whatever it came to: PolarsError, OSError, ...
        raise _no_stream(str(error)) from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # what the reader throws at some damaged streams
            raise
        raise _no_stream("it is damaged") from None


def refuse_expanding(body: bytes) -> None:
    """Raise `DataError` for an Arrow stream that says it is more than its bytes: compressed, or longer than they are.

    Each message is a length, a flatbuffer that describes it, and a body. The reader of polars reserves what these say
    before it looks for it, and where that is more than the machine has it ends the process: so every length is looked
    at here, before any of them is believed.
    """
    at = rows = 0
    try:
        while at + 8 <= len(body):
            begins = at + 4
            (length,) = struct.unpack_from("<i", body, at)
            if length == -1:  # the marker that newer writers put before the length
                (length,) = struct.unpack_from("<i", body, at + 4)
                begins = at + 8
            if length == 0:
                return
            message = _Table.root(body, begins)
            size = message.number("<q", 3)
            if length < 0 or size < 0 or begins + length + size > len(body):
                raise _no_stream("a message ends behind the body")
            rows += _rows(message, size)
            if rows > MOST_ROWS:
                raise _too_many(rows)
            at = begins + length + size
    except struct.error:
        raise _no_stream("it ends in the middle of a message") from None


def _rows(message: _Table, size: int) -> int:
    """Return the rows of a message whose body has ``size`` bytes; 0 for one that has none."""
    kind, inner = message.number("<B", 1), message.table(2)
    if kind == _DICTIONARY and inner is not None:
        inner = inner.table(1)
    if kind not in (_DICTIONARY, _BATCH) or inner is None:
        return 0
    if inner.table(3) is not None:
        raise DataError("the buffers of the Arrow stream are compressed; compress the whole body with gzip")
    rows = inner.number("<q", 0)
    nodes, buffers = inner.pairs(1), inner.pairs(2)
    if not 0 <= rows <= MOST_ROWS:
        raise _too_many(rows)
    if any(not 0 <= missing <= cells <= MOST_ROWS for cells, missing in nodes):
        raise _no_stream("a column is longer than the table")
    if any(offset < 0 or length < 0 or offset + length > size for offset, length in buffers):
        raise _no_stream("a column ends behind its message")
    if any(not 0 <= count <= len(buffers) for count in inner.numbers(4)):
        raise _no_stream("a column has more parts than there are")
    return rows


_DICTIONARY: Final = 2
_BATCH: Final = 3
_MOST_PARTS: Final = 100_000


class _Table:
    """A table of a flatbuffer: fields are found through a list of offsets."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        self._fields = at - struct.unpack_from("<i", data, at)[0]
        if self._fields < 0:
            raise struct.error

    @classmethod
    def root(cls, data: bytes, at: int) -> _Table:
        """Return the table that a flatbuffer is."""
        return cls(data, at + struct.unpack_from("<I", data, at)[0])

    def number(self, layout: str, field: int) -> int:
        """Return a number; one that is left out is 0."""
        offset = self._offset(field)
        return int(struct.unpack_from(layout, self._data, self._at + offset)[0]) if offset else 0

    def table(self, field: int) -> _Table | None:
        """Return a table within; None where it is left out."""
        offset = self._offset(field)
        if not offset:
            return None
        place = self._at + offset
        return _Table(self._data, place + struct.unpack_from("<I", self._data, place)[0])

    def numbers(self, field: int) -> list[int]:
        """Return a list of whole numbers of 8 bytes; empty where it is left out."""
        return [number for (number,) in self._vector(field, "<q")]

    def pairs(self, field: int) -> list[tuple[int, int]]:
        """Return a list of pairs of whole numbers of 8 bytes; empty where it is left out."""
        return [(one, other) for one, other in self._vector(field, "<qq")]

    def _vector(self, field: int, layout: str) -> Iterator[tuple[int, ...]]:
        offset = self._offset(field)
        if not offset:
            return
        place = self._at + offset
        place += struct.unpack_from("<I", self._data, place)[0]
        (count,) = struct.unpack_from("<I", self._data, place)
        if count > _MOST_PARTS:
            raise struct.error
        for n in range(count):
            yield struct.unpack_from(layout, self._data, place + 4 + n * struct.calcsize(layout))

    def _offset(self, field: int) -> int:
        size = struct.unpack_from("<H", self._data, self._fields)[0]
        place = 4 + 2 * field
        return int(struct.unpack_from("<H", self._data, self._fields + place)[0]) if place + 2 <= size else 0
