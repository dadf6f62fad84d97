"""Imports: what file was read when and what became of its lines; taken back and put back whole.

What an import said besides movements is in `shelfwise.storage.import_changes`, its lines in
`shelfwise.storage.import_movements`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
from sqlalchemy import Connection, Row, select, update

from shelfwise.domain.errors import ConflictError, NotFound
from shelfwise.storage import corrections, import_changes, import_movements, levels
from shelfwise.storage.database import insert_one
from shelfwise.storage.import_changes import LEFT, Restored
from shelfwise.storage.sales import Appended, append_movements
from shelfwise.storage.tables import imports


@dataclass(frozen=True)
class Import:
    """One import as it is kept. ``receipt`` is what was shown to the person who ran it.

    ``new_lines`` and ``known_lines`` are movements booked, and ones that were there already; both are None for an
    import of before Shelfwise kept what an import changed, of which only the movements can be taken back.
    """

    id: int
    file_name: str
    content_hash: str
    profile: str
    receipt: dict[str, Any]
    imported_at: datetime
    undone_at: datetime | None
    new_lines: int | None = None
    known_lines: int | None = None


@dataclass(frozen=True)
class Undone:
    """What an undo or a redo did.

    ``lines`` are movements taken out or put back; ``handed_on`` of an undo the ones that stay because a later import
    has them too, ``known`` of a redo the ones that are there already. ``changes`` tells of everything else.
    """

    import_id: int
    lines: int
    handed_on: int = 0
    known: int = 0
    changes: Restored = Restored({}, {}, {}, pl.DataFrame(schema=LEFT))


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


def count_lines(connection: Connection, import_id: int, booked: Appended) -> None:
    """Keep how many movements an import booked and how many were there."""
    counts = {"new_lines": booked.inserted, "known_lines": booked.duplicates}
    connection.execute(update(imports).where(imports.c.id == import_id).values(counts))


def undo_import(connection: Connection, import_id: int, undone_at: datetime) -> Undone:
    """Take an import back, so that the store is as if it had never been; stock levels are worked out anew.

    Raises
    ------
    NotFound
        There is no such import.
    ConflictError
        It is undone already.
    """
    found = one(connection, import_id)
    if found.undone_at is not None:
        raise ConflictError(
            f"import {import_id} was undone on {found.undone_at:%Y-%m-%d %H:%M}; nothing is left of it, "
            f"and `shelfwise imports redo {import_id}` puts it back"
        )
    taken = import_movements.take_out(connection, import_id)
    connection.execute(update(imports).where(imports.c.id == import_id).values(undone_at=undone_at))
    levels.rebuild(connection)
    changes = import_changes.take_back(connection, import_id)
    return Undone(import_id, taken.removed, handed_on=taken.handed_on, changes=changes)


def undone_lines(connection: Connection, import_id: int) -> pl.DataFrame | None:
    """Return the lines (``MOVEMENTS``) that a redo will bring back, to be staged for it; None if there are none.

    Raises
    ------
    NotFound
        There is no such import.
    ConflictError
        It is not undone.
    """
    if one(connection, import_id).undone_at is None:
        raise ConflictError(f"import {import_id} was not undone; there is nothing to put back")
    return import_movements.kept_lines(connection, import_id)


def redo_import(connection: Connection, import_id: int, lines: bool, frame: pl.DataFrame | None = None) -> Undone:
    """Put an undone import back.

    Parameters
    ----------
    lines
        Whether it has lines; they are ``frame``, or the staged ``movements``.
    """
    if one(connection, import_id).undone_at is None:
        raise ConflictError(f"import {import_id} was put back already; there is nothing more to put back")
    connection.execute(update(imports).where(imports.c.id == import_id).values(undone_at=None))
    changes = import_changes.put_back(connection, import_id)
    booked = append_lines(connection, import_id, frame) if lines else Appended(0, 0)
    corrections.hold_again(connection, import_id)
    import_movements.forget_kept_lines(connection, import_id)
    return Undone(import_id, booked.inserted, known=booked.duplicates, changes=changes)


def append_lines(
    connection: Connection, import_id: int, frame: pl.DataFrame | None = None, *, part: int = 0
) -> Appended:
    """Book an import's movements (None: the staged ones) and keep which of them were there already.

    ``part`` tells apart several frames of one import.
    """
    last_id = import_movements.last_movement(connection)
    booked = append_movements(connection, frame, import_id)
    if booked.duplicates:
        import_movements.keep_repeats(connection, import_id, frame, last_id, chunk=part)
    return booked


def one(connection: Connection, import_id: int) -> Import:
    """Return an import by its number.

    Raises
    ------
    NotFound
        There is none; the message says which there are.
    """
    row = connection.execute(select(imports).where(imports.c.id == import_id)).first()
    if row is None:
        last = connection.scalar(select(imports.c.id).order_by(imports.c.id.desc()).limit(1))
        known = (
            "nothing was imported yet" if last is None else f"the last one is {last}; `shelfwise imports list` has them"
        )
        raise NotFound(f"there is no import {import_id}; {known}")
    return _import(row)


def _import(row: Row[*tuple[Any, ...]]) -> Import:
    return Import(**row._mapping)
