"""Receipts of imports: what file was read when, what became of its lines, and the way to take it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from shelfwise.domain.errors import ConflictError, NotFound
from shelfwise.storage import levels
from shelfwise.storage.database import insert_one
from shelfwise.storage.tables import imports, stock_movements


@dataclass(frozen=True)
class Import:
    """One import as it is kept. ``receipt`` is what was shown to the person who ran it."""

    id: int
    file_name: str
    content_hash: str
    profile: str
    receipt: dict[str, Any]
    imported_at: datetime
    undone_at: datetime | None


def record_import(
    connection: Connection,
    *,
    file_name: str,
    content_hash: str,
    profile: str,
    receipt: Mapping[str, Any],
    imported_at: datetime,
) -> int:
    """Keep the receipt of an import and return its number, to be given to the movements it brings."""
    values = {
        "file_name": file_name,
        "content_hash": content_hash,
        "profile": profile,
        "receipt": dict(receipt),
        "imported_at": imported_at,
    }
    return insert_one(connection, imports, values)


def all_imports(connection: Connection) -> list[Import]:
    """Read all imports, the latest first."""
    return [_import(row) for row in connection.execute(select(imports).order_by(imports.c.id.desc()))]


def find_import(connection: Connection, content_hash: str) -> Import | None:
    """Return the latest import of a file with this content that was not undone."""
    query = (
        select(imports)
        .where(imports.c.content_hash == content_hash, imports.c.undone_at.is_(None))
        .order_by(imports.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else _import(row)


def undo_import(connection: Connection, import_id: int, undone_at: datetime) -> int:
    """Take back the movements an import brought, put stock levels right and return how many movements went.

    Products, prices and other things it mentioned stay: something else may have used them since.

    Raises
    ------
    NotFound
        There is no such import.
    ConflictError
        It is undone already.
    """
    found = _one(connection, import_id)
    if found.undone_at is not None:
        raise ConflictError(f"import {import_id} was undone on {found.undone_at:%Y-%m-%d %H:%M}; nothing is left of it")
    removed = connection.execute(delete(stock_movements).where(stock_movements.c.import_id == import_id)).rowcount
    connection.execute(update(imports).where(imports.c.id == import_id).values(undone_at=undone_at))
    levels.rebuild(connection)
    return removed


def _one(connection: Connection, import_id: int) -> Import:
    row = connection.execute(select(imports).where(imports.c.id == import_id)).first()
    if row is None:
        raise NotFound(f"there is no import {import_id}; list them to see their numbers")
    return _import(row)


def _import(row: Row[*tuple[Any, ...]]) -> Import:
    return Import(**row._mapping)
