"""Rows of every table as portable values, out of one kind of database and into any other.

What is stored is taken as it is stored (whole numbers, doubles, texts, bytes, yes or no), never as this program reads
it, so an older schema can be filled again by a newer program. A part of a table is a JSON array of rows; bytes are in
base64, and a double that JSON has no word for (``NaN``, ``inf``) is a text.

Short-lived secrets and what is known of running processes are left out (`LEFT_OUT`): after a restore everybody signs in
anew, and a stolen copy holds nothing that signs sessions.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal, get_args

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    column,
    func,
    select,
    table,
)
from sqlalchemy.types import TypeEngine

from shelfwise.domain.errors import StorageError
from shelfwise.storage.dialects import STREAM, dialect_of
from shelfwise.storage.tables import metadata

LEFT_OUT: Final = frozenset({"sessions", "sign_in_links", "signing_keys", "workers"})
MOST_BYTES: Final = 256 << 20
"""Of one part; a part of more is neither written nor read."""

Kind = Literal["boolean", "integer", "real", "json", "text", "blob"]
Rows = Sequence[Sequence[Any]]

_ROWS_A_PART: Final = 2_000
_BLOB_BYTES_A_PART: Final = 4 << 20
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
# In this order: a JSON column is no text, and a yes or no is no number.
_KINDS: Final[tuple[tuple[type[TypeEngine[Any]], Kind], ...]] = (
    (Boolean, "boolean"), (Integer, "integer"), (Double, "real"), (JSON, "json"), (String, "text"),
    (LargeBinary, "blob"),
)  # fmt: skip
_TYPES: Final[Mapping[Kind, Callable[[], TypeEngine[Any]]]] = {
    "boolean": Boolean, "integer": BigInteger, "real": Double, "json": Text, "text": Text, "blob": LargeBinary,
}  # fmt: skip
_WRITTEN: Final[Mapping[Kind, frozenset[type]]] = {
    "boolean": frozenset({bool}), "integer": frozenset({int}), "real": frozenset({float, str}),
    "json": frozenset({str}), "text": frozenset({str}), "blob": frozenset({str}),
}  # fmt: skip
"""What JSON may hold in a column of a kind, besides null."""


@dataclass(frozen=True)
class Form:
    """The form of a table.

    Parameters
    ----------
    name
        Of the table.
    key
        Columns of its primary key.
    columns
        Name and kind of each.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[tuple[str, Kind], ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {"name": self.name, "key": list(self.key), "columns": [list(one) for one in self.columns]}

    @classmethod
    def from_json(cls, given: Any) -> Form:
        """Read what `to_json` returned; names that are no names of tables and columns are refused.

        >>> Form.from_json({"name": "x; drop", "key": ["id"], "columns": [["id", "integer"]]})
        Traceback (most recent call last):
        shelfwise.domain.errors.StorageError: 'x; drop' is no name of a table or column
        """
        try:
            form = cls(given["name"], tuple(given["key"]), tuple((name, kind) for name, kind in given["columns"]))
            names = [form.name, *(name for name, _ in form.columns)]
            wrong = [name for name in names if not isinstance(name, str) or not _NAME.fullmatch(name)]
            kinds = {kind for _, kind in form.columns} <= set(get_args(Kind))
        except (TypeError, KeyError, ValueError) as error:
            raise StorageError("the form of a table cannot be read") from error
        if wrong:
            raise StorageError(f"{wrong[0]!r} is no name of a table or column")
        if not kinds or len(set(names[1:])) != len(form.columns) or not set(form.key) <= set(names[1:]):
            raise StorageError(f"the form of the table {form.name} is not one")
        return form


@cache
def forms() -> tuple[Form, ...]:
    """Return the forms of all tables that are copied, each after those it refers to."""
    return tuple(_form(one) for one in metadata.sorted_tables if one.name not in LEFT_OUT)


def counts(connection: Connection) -> dict[str, int]:
    """Return how many rows each table has."""
    return {
        form.name: int(connection.scalar(select(func.count()).select_from(table(form.name))) or 0) for form in forms()
    }


def first_with_rows(connection: Connection) -> str | None:
    """Return the name of a table that has rows; None where the database is empty."""
    for form in forms():
        if connection.execute(select(column(form.key[0])).select_from(table(form.name)).limit(1)).first() is not None:
            return form.name
    return None


def parts(connection: Connection, form: Form) -> Iterator[Rows]:
    """Give the rows of a table in the order of its key, some at a time, so that any table fits into memory."""
    columns: list[Any] = [column(name) for name, _ in form.columns]
    query = select(*columns).select_from(table(form.name)).order_by(*(column(name) for name in form.key))
    result = connection.execute(query, execution_options={STREAM: True})
    cursor = result.cursor
    blobs = [place for place, (_, kind) in enumerate(form.columns) if kind == "blob"]
    if cursor is not None:
        if not blobs:
            while rows := cursor.fetchmany(_ROWS_A_PART):
                yield rows
        else:
            held: list[Sequence[Any]] = []
            size = 0
            while row := cursor.fetchone():
                held.append(row)
                size += sum(len(row[place] or b"") for place in blobs)
                if size >= _BLOB_BYTES_A_PART or len(held) >= _ROWS_A_PART:
                    yield held
                    held, size = [], 0
            if held:
                yield held
    result.close()


def encoded(form: Form, rows: Rows) -> bytes:
    """Return rows as the bytes of a part."""
    columns: list[list[Any]] = [list(values) for values in zip(*rows, strict=True)]
    for place, (_, kind) in enumerate(form.columns):
        turn = _TO_JSON.get(kind)
        if turn is not None:
            columns[place] = [None if value is None else turn(value) for value in columns[place]]
    payload = json.dumps(list(zip(*columns, strict=True)), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    made = payload.encode("utf-8")
    if len(made) > MOST_BYTES:
        raise StorageError(
            f"{form.name}: a row holds a value of over {MOST_BYTES >> 20} MiB, more than a backup can; nothing was kept"
        )
    return made


def decoded(form: Form, payload: bytes) -> list[tuple[Any, ...]]:
    """Return the rows of a part.

    Raises
    ------
    StorageError
        They are not of that form.
    """
    try:
        rows = json.loads(payload)
        if not isinstance(rows, list) or set(map(type, rows)) != {list} or {*map(len, rows)} != {len(form.columns)}:
            raise ValueError("rows have other columns")
        columns: list[tuple[Any, ...]] = list(zip(*rows, strict=True))
        for place, (name, kind) in enumerate(form.columns):
            if not set(map(type, columns[place])) <= {*_WRITTEN[kind], type(None)}:
                raise ValueError(f"{name} holds other values than {kind}")
            turn = _FROM_JSON.get(kind)
            if turn is not None:
                columns[place] = tuple(None if value is None else turn(value) for value in columns[place])
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise StorageError(f"a part of the table {form.name} cannot be read ({error})") from error
    return list(zip(*columns, strict=True))


def fill(connection: Connection, form: Form, rows: Iterable[Sequence[Any]]) -> None:
    """Write rows into an empty table; one that breaks a rule of the table ends it all.

    Raises
    ------
    StorageError
        The schema has no such table.
    """
    dialect = dialect_of(connection)
    if form.name not in dialect.table_names(connection):
        raise StorageError(f"this schema has no table {form.name}")
    columns: list[Column[Any]] = [
        Column(name, _TYPES[kind](), primary_key=name in form.key) for name, kind in form.columns
    ]
    dialect.load(connection, Table(form.name, MetaData(), *columns), rows)


def empty(connection: Connection) -> None:
    """Delete all rows of a schema that is this program's, of tables before those they refer to."""
    for one in reversed(metadata.sorted_tables):
        own = [key.parent for key in one.foreign_keys if key.column.table is one]
        if own:  # MariaDB and MySQL look at each row as it goes
            connection.execute(one.update().values({each: None for each in own}))
        connection.execute(one.delete())


def _form(one: Table) -> Form:
    return Form(
        one.name, tuple(each.name for each in one.primary_key), tuple((each.name, _kind(each)) for each in one.columns)
    )


def _kind(one: Column[Any]) -> Kind:
    stored: Any = one.type.impl if isinstance(one.type, TypeDecorator) else one.type
    for of, kind in _KINDS:
        if isinstance(stored, of):
            return kind
    raise StorageError(f"{one.table.name}.{one.name}: no backup knows columns of type {one.type!r}")


def _real(value: Any) -> float | str:
    number = float(value)
    return number if math.isfinite(number) else repr(number)


def _json(value: Any) -> str:
    """SQLite turns JSON that is a bare number into that number."""
    return value if isinstance(value, str) else json.dumps(value)


_TO_JSON: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    "boolean": bool, "real": _real, "json": _json, "blob": lambda value: base64.b64encode(value).decode("ascii"),
}  # fmt: skip
_FROM_JSON: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    "real": float, "blob": lambda value: base64.b64decode(value, validate=True)
}  # fmt: skip
