"""Frames on their way into the database: checked, codes turned into positions, whatever database they go to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import polars as pl
from sqlalchemy import BigInteger, Column, Double, FromClause, Integer, MetaData, String, Table, Text, literal
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import TypeEngine

from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.domain.frames import ALL_FRAMES, MOVEMENTS, Frame
from shelfwise.storage.tables import CODE_LENGTH

# A line that comes twice in one batch is no mistake here: it is booked once and counted as a duplicate.
_FRAMES: Final[dict[str, Frame]] = {**ALL_FRAMES, "movements": replace(MOVEMENTS, key=())}

# Columns of codes that become integer keys. They are staged as positions in a short list of distinct codes, which is
# faster to write than a million texts and faster to join than a text index.
_KEYED: Final[dict[str, tuple[str, ...]]] = {
    "movements": ("source", "product", "warehouse"),
    "products": ("supplier",),
    "prices": ("product", "warehouse"),
    "purchase_order_lines": ("purchase_order", "supplier", "product", "warehouse"),
    "receipts": ("purchase_order", "supplier", "product", "warehouse"),
}
# Columns of codes that are stored as text in a key, and so have the same limit.
_CODES: Final = ("line_id", "product", "warehouse", "supplier", "source", "purchase_order", "scope", "replaces")


@dataclass(frozen=True)
class Encoded:
    """A checked frame as it is staged.

    ``rows`` holds numbers and texts only: moments and days as integers, beside each moment its day, named
    ``<moment>_day``, and keyed codes as positions in ``codes``. Columns whose cells are all alike are left out of
    ``rows`` and stand in ``alike``: most imports have one source, one warehouse and one kind, and writing those takes a
    fifth of the time.
    """

    rows: pl.DataFrame
    codes: dict[str, list[str]]
    alike: dict[str, ColumnElement[Any]]

    def table(self, name: str, *, temporary: bool = True) -> Table:
        """Return the table that takes ``rows``."""
        columns = [Column(cells.name, _sql_type(cells)) for cells in self.rows]
        return Table(name, MetaData(), *columns, prefixes=["TEMPORARY"] if temporary else [])


@dataclass(frozen=True)
class Staged:
    """Rows of one frame where SQL can reach them, in ``table``.

    ``columns`` are the columns of `Encoded`, in the table or as literals. ``codes`` are the distinct codes that a keyed
    column counts into.
    """

    name: str
    table: FromClause
    columns: dict[str, ColumnElement[Any]]
    codes: dict[str, list[str]]
    rows: int

    @classmethod
    def at(cls, name: str, where: FromClause, encoded: Encoded) -> Staged:
        """Return an encoded frame that was put into the table ``where``."""
        return cls(name, where, {**encoded.alike, **where.c}, encoded.codes, encoded.rows.height)


def encode(name: str, frame: pl.DataFrame, *, constants: bool = True) -> Encoded:
    """Check a frame and turn it into what is staged.

    Parameters
    ----------
    name
        One of the declared frames.
    constants
        Take out the columns whose cells are all alike.
    """
    if name not in _FRAMES:
        raise ParameterError(f"there is no frame {name!r}; the frames are {', '.join(_FRAMES)}")
    checked = _FRAMES[name].check(frame)
    codes: dict[str, list[str]] = {}
    encoded: list[pl.Series] = []
    for cells in checked:
        if cells.dtype == pl.String:
            _check_text(name, cells)
        if cells.name in _KEYED.get(name, ()):
            distinct = cells.drop_nulls().unique(maintain_order=True)
            codes[cells.name] = distinct.to_list()
            positions = pl.Series(range(len(distinct)), dtype=pl.Int64)
            encoded.append(cells.replace_strict(distinct, positions, default=None, return_dtype=pl.Int64))
        elif cells.dtype.is_float():
            encoded.append(cells.fill_nan(None))
        elif isinstance(cells.dtype, pl.Datetime):
            encoded += [cells.cast(pl.Int64), cells.dt.date().cast(pl.Int32).alias(f"{cells.name}_day")]
        else:
            encoded.append(cells.cast(stored_type(cells.dtype)))
    alike: dict[str, ColumnElement[Any]] = {}
    for cells in encoded if constants else ():
        last_one_left = len(alike) == len(encoded) - 1
        if len(cells) and not last_one_left and cells.eq_missing(cells[0]).all():
            alike[cells.name] = literal(cells[0], _sql_type(cells))
    return Encoded(pl.DataFrame([cells for cells in encoded if cells.name not in alike]), codes, alike)


def stored_type(dtype: pl.DataType) -> pl.DataType:
    """Return the type of a column as it is stored: moments and days are integers."""
    if isinstance(dtype, pl.Datetime):
        return pl.Int64()
    return pl.Int32() if isinstance(dtype, pl.Date) else dtype


def _check_text(name: str, cells: pl.Series) -> None:
    if cells.name in _CODES:
        _refuse(name, cells, cells.str.len_chars() > CODE_LENGTH, f"a code has at most {CODE_LENGTH}")
    _refuse(
        name, cells, cells.str.contains("\0", literal=True), "a NUL among them, which no text may hold; take it out"
    )


def _refuse(name: str, cells: pl.Series, wrong: pl.Series, rule: str) -> None:
    if wrong.any():
        row = int(wrong.arg_true()[0])
        raise DataError(
            f"frame {name!r}, column {cells.name!r}, row {row:,}: {cells[row][:40]!r}... has "
            f"{len(cells[row]):,} characters; {rule}"
        )


def _sql_type(cells: pl.Series) -> TypeEngine[Any]:
    if cells.dtype.is_integer():
        return Integer() if cells.dtype == pl.Int32 else BigInteger()
    if cells.dtype.is_float():
        return Double()
    return String(CODE_LENGTH) if cells.name in _CODES else Text()
