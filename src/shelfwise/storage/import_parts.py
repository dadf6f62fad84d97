"""Frames kept with an import for its undo and redo: compressed Arrow, with a fingerprint, never pickled."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Literal

import polars as pl
from sqlalchemy import Connection, delete, func, insert, select

from shelfwise.domain.errors import StorageError
from shelfwise.storage.tables import import_parts, imports

Kind = Literal["changes", "repeats", "lines"]


def keep(connection: Connection, import_id: int, kind: Kind, name: str, frame: pl.DataFrame, chunk: int = 0) -> None:
    """Keep a frame, in place of an earlier one of the same kind, name and chunk."""
    buffer = io.BytesIO()
    frame.write_ipc(buffer, compression="zstd")
    payload = buffer.getvalue()
    forget(connection, import_id, kind, name, chunk)
    values = {"import_id": import_id, "kind": kind, "name": name, "chunk": chunk, "payload": payload}
    connection.execute(insert(import_parts).values(**values, sha256=sha256(payload).hexdigest()))


def forget(
    connection: Connection, import_id: int, kind: Kind, name: str | None = None, chunk: int | None = None
) -> None:
    """Remove an import's parts of a kind, all of them or those named."""
    t = import_parts.c
    where = [t.import_id == import_id, t.kind == kind]
    where += [] if name is None else [t.name == name]
    where += [] if chunk is None else [t.chunk == chunk]
    connection.execute(delete(import_parts).where(*where))


def find(connection: Connection, import_id: int, kind: Kind, name: str) -> pl.DataFrame | None:
    """Return a part of an import, its chunks one after another; None if it has none."""
    found = [frame for _, frame in _frames(connection, kind, name, [import_id])]
    return pl.concat(found) if found else None


def next_chunk(connection: Connection, import_id: int, kind: Kind, name: str) -> int:
    """Return the number of the chunk after the last one kept of a part."""
    t = import_parts.c
    last = select(func.max(t.chunk)).where(t.import_id == import_id, t.kind == kind, t.name == name)
    found = connection.scalar(last)
    return 0 if found is None else int(found) + 1


def of_imports(
    connection: Connection, kind: Kind, name: str, *, live: bool, after: int = 0
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Give (import, part) of all imports above ``after`` that are live, or of those that are undone, oldest first."""
    state = imports.c.undone_at.is_(None) if live else imports.c.undone_at.is_not(None)
    ids = connection.scalars(select(imports.c.id).where(state, imports.c.id > after)).all()
    yield from _frames(connection, kind, name, ids)


def _frames(
    connection: Connection, kind: Kind, name: str, import_ids: Sequence[int]
) -> Iterator[tuple[int, pl.DataFrame]]:
    t = import_parts.c
    wanted = set(import_ids)
    query = select(t.id, t.import_id).where(t.kind == kind, t.name == name).order_by(t.import_id, t.chunk)
    if len(wanted) == 1:
        query = query.where(t.import_id == import_ids[0])
    for part_id, import_id in connection.execute(query).all():
        if import_id in wanted:
            payload, fingerprint = connection.execute(select(t.payload, t.sha256).where(t.id == part_id)).one()
            yield import_id, _read(bytes(payload), fingerprint, import_id)


def _read(payload: bytes, fingerprint: str, import_id: int) -> pl.DataFrame:
    if sha256(payload).hexdigest() != fingerprint:
        raise StorageError(
            f"what was kept of import {import_id} is not what was saved (its SHA-256 differs); "
            "restore the database from a backup"
        )
    return pl.read_ipc(io.BytesIO(payload))
