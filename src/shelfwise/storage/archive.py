"""Published forecasts, kept in the compact form from which their very paths can be drawn again.

The store keeps bytes and their fingerprint and knows nothing of what they mean: the caller packs and unpacks them
(never with pickle, which runs code when it is read).
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from sqlalchemy import Connection, delete, insert, select

from shelfwise.domain.errors import NotFound, StorageError
from shelfwise.storage.tables import forecast_archive


def save_chunk(connection: Connection, run_id: int, chunk: int, payload: bytes) -> str:
    """Keep one chunk of a run's forecasts, replacing an earlier one of the same number; return its SHA-256."""
    fingerprint = sha256(payload).hexdigest()
    t = forecast_archive
    connection.execute(delete(t).where(t.c.run_id == run_id, t.c.chunk == chunk))
    connection.execute(insert(t).values(run_id=run_id, chunk=chunk, sha256=fingerprint, payload=payload))
    return fingerprint


def load_chunk(connection: Connection, run_id: int, chunk: int) -> bytes:
    """Return one chunk.

    Raises
    ------
    NotFound
        The run has no such chunk.
    StorageError
        The bytes are not those that were saved.
    """
    t = forecast_archive
    row = connection.execute(select(t.c.payload, t.c.sha256).where(t.c.run_id == run_id, t.c.chunk == chunk)).first()
    if row is None:
        raise NotFound(
            f"run {run_id} has no forecast chunk {chunk}; its chunks are {chunk_numbers(connection, run_id)}"
        )
    payload, fingerprint = bytes(row[0]), row[1]
    if sha256(payload).hexdigest() != fingerprint:
        raise StorageError(
            f"forecast chunk {chunk} of run {run_id} is not what was saved (its SHA-256 differs); "
            "restore the database from a backup or plan again"
        )
    return payload


def chunks(connection: Connection, run_id: int) -> Iterator[bytes]:
    """Give a run's chunks in order, one at a time."""
    for chunk in chunk_numbers(connection, run_id):
        yield load_chunk(connection, run_id, chunk)


def chunk_numbers(connection: Connection, run_id: int) -> list[int]:
    """Return the numbers of a run's chunks, in order."""
    t = forecast_archive
    return list(connection.scalars(select(t.c.chunk).where(t.c.run_id == run_id).order_by(t.c.chunk)))
