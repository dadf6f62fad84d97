"""Answers as an Arrow IPC stream: the same fields as in JSON, nested the same way, one schema for all of a kind.

Money is text, as in JSON; an object whose names are not known beforehand is a list of ``key`` and ``value``.
"""

from __future__ import annotations

import datetime as dt
import io
import struct
import types
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import polars as pl
from pydantic import BaseModel

Converter = Callable[[Any], Any]

_PLAIN: Final[dict[Any, pl.DataType]] = {
    bool: pl.Boolean(), int: pl.Int64(), float: pl.Float64(), str: pl.String(), Decimal: pl.String(),
    dt.date: pl.Date(), dt.datetime: pl.Datetime("us"),
}  # fmt: skip
_END: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"


class ArrowAnswers:
    """Writes items of one kind.

    Parameters
    ----------
    item
        The kind.
    """

    def __init__(self, item: type[BaseModel]) -> None:
        self._schema, self._convert = _fields(item)

    def head(self) -> bytes:
        """Return how every stream begins: its schema."""
        whole = self._written([])
        return whole[: _first_message(whole)]

    def part(self, items: Sequence[BaseModel]) -> bytes:
        """Return items as record batches, without the schema before them and the end behind them."""
        whole = self._written([self._convert(one.model_dump()) for one in items])
        return whole[_first_message(whole) : -len(_END)]

    @staticmethod
    def tail() -> bytes:
        """Return how every stream ends."""
        return _END

    def _written(self, rows: list[dict[str, Any]]) -> bytes:
        target = io.BytesIO()
        frame = pl.DataFrame(rows, schema=self._schema, orient="row")
        # The oldest form of texts and lists, which every reader of Arrow knows.
        frame.write_ipc_stream(target, compat_level=pl.CompatLevel.oldest())
        return target.getvalue()


def _first_message(stream: bytes) -> int:
    """Return where the first message of a stream ends: the schema, which has no body."""
    (length,) = struct.unpack_from("<i", stream, 4)
    return 8 + int(length)


def _column(told: Any) -> tuple[pl.DataType, Converter]:
    """Return the type of a column for what is told of a field, and what makes a cell of a value."""
    if told in _PLAIN:
        return _PLAIN[told], _as_it_is
    origin, arguments = get_origin(told), [one for one in get_args(told) if one is not type(None)]
    if origin is Annotated:
        return _column(arguments[0])
    if origin is Literal:
        return pl.String(), _as_it_is
    if origin in (Union, types.UnionType):
        if len(arguments) == 1:
            dtype, convert = _column(arguments[0])
            return dtype, lambda value: None if value is None else convert(value)
        return pl.String(), lambda value: None if value is None else str(value)  # a code: a number, or text
    if origin is list:
        dtype, convert = _column(arguments[0])
        return pl.List(dtype), lambda value: [convert(one) for one in value]
    if origin is dict:
        dtype, convert = _column(arguments[1])
        pairs = pl.List(pl.Struct({"key": pl.String(), "value": dtype}))
        return pairs, lambda value: [{"key": key, "value": convert(one)} for key, one in value.items()]
    if isinstance(told, type) and issubclass(told, BaseModel):
        fields, convert = _fields(told)
        return pl.Struct(fields), convert
    raise TypeError(f"{told!r} has no column in Arrow; give it one here")


def _fields(told: type[BaseModel]) -> tuple[pl.Schema, Converter]:
    columns = {name: _column(field.annotation) for name, field in told.model_fields.items()}
    schema = pl.Schema({name: dtype for name, (dtype, _) in columns.items()})
    return schema, lambda value: {name: convert(value[name]) for name, (_, convert) in columns.items()}


def _as_it_is(value: Any) -> Any:
    return value
