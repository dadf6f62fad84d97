"""Pages of a list by keyset: a page ends with a cursor that says after which row the next one begins.

The cursor holds the sorting values of the last row shown, so rows that come in between neither repeat nor hide others,
which counting rows would. It is opaque and checks itself: one that was cut, changed or made for another list is refused
with the way out.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Annotated, Any, Final

import polars as pl
from fastapi import Query
from pydantic import BaseModel, Field

from shelfwise.api.values import records
from shelfwise.domain.errors import ParameterError

LARGEST_PAGE: Final = 500
_CHECK: Final = 8  # bytes

Cursor = Annotated[
    str | None,
    Query(description="The `next` of the page before; none begins at the first row.", max_length=2000),
]
Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Rows on a page.")]


class Page(BaseModel):
    """A part of a list."""

    next: str | None = Field(None, description="Cursor of the next page; null on the last one.")


@dataclass(frozen=True)
class Listing:
    """A list with a fixed order.

    Parameters
    ----------
    name
        What the list is of; a cursor of one list is refused by another.
    by
        Columns it is sorted by; together they tell every row from every other. Nulls come last.
    descending
        Which of them fall; all rise where none is given.
    """

    name: str
    by: tuple[str, ...]
    descending: tuple[bool, ...] = ()

    def page(self, frame: pl.DataFrame, cursor: str | None, limit: int) -> tuple[list[dict[str, Any]], str | None]:
        """Return the rows after a cursor, at most ``limit``, and the cursor of the rows after those.

        Raises
        ------
        ParameterError
            The cursor is none of this list.
        """
        floats = [name for name in self.by if frame.schema[name].is_float()]
        rows = self._sorted(frame.with_columns(pl.col(floats).fill_nan(None)))
        if cursor is not None:
            rows = rows[self._place(rows, cursor) :]
        shown = rows.head(limit)
        more = rows.height > limit
        return records(shown), self.cursor(shown.select(self.by).row(-1)) if more else None

    def _sorted(self, frame: pl.DataFrame) -> pl.DataFrame:
        falling = list(self.descending or [False] * len(self.by))
        return frame.sort(list(self.by), descending=falling, nulls_last=True, maintain_order=True)

    def _place(self, rows: pl.DataFrame, cursor: str) -> int:
        """Return how many rows stand before the end of the page that a cursor closed."""
        keys = rows.select(self.by)
        last = pl.DataFrame([self.read(cursor, keys.schema)], schema=keys.schema, orient="row")
        marked = pl.concat([keys.with_columns(last=pl.lit(value=False)), last.with_columns(last=pl.lit(value=True))])
        # Equal rows keep their order, so the row that was shown last stands before its mark.
        return int(self._sorted(marked)["last"].arg_true()[0])

    def cursor(self, values: Sequence[object]) -> str:
        """Return the cursor of the rows after the one with these sorting values."""
        payload = json.dumps([_text(value) for value in values], ensure_ascii=False).encode()
        return base64.urlsafe_b64encode(_check(self.name, payload) + payload).decode().rstrip("=")

    def read(self, cursor: str, schema: Mapping[str, pl.DataType]) -> tuple[Any, ...]:
        """Return the sorting values that a cursor holds, of the types that ``schema`` says.

        Raises
        ------
        ParameterError
            The cursor is none of this list.
        """
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            if _check(self.name, raw[_CHECK:]) != raw[:_CHECK]:
                raise ValueError("it was made for another list, or changed")
            return tuple(_value(t, schema[name]) for name, t in zip(self.by, json.loads(raw[_CHECK:]), strict=True))
        except (ValueError, TypeError, binascii.Error):
            raise ParameterError(
                f"{cursor[:40]!r} is no cursor of {self.name}; give the `next` of the page before, or none"
            ) from None


def _check(name: str, payload: bytes) -> bytes:
    return blake2b(payload, digest_size=_CHECK, person=name.encode()[:16]).digest()


def _text(value: object) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, dt.date) else repr(value) if isinstance(value, float) else str(value)


def _value(text: str | None, dtype: pl.DataType) -> object:
    if text is None:
        return None
    if dtype == pl.Date:
        return dt.date.fromisoformat(text)
    if isinstance(dtype, pl.Datetime):
        return dt.datetime.fromisoformat(text)
    return float(text) if dtype.is_float() else int(text) if dtype.is_integer() else text
