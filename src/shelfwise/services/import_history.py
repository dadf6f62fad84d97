"""What was imported, with its receipts; imports taken back and put back whole, each in one transaction."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from shelfwise.app import App
from shelfwise.domain.events import Event, ImportRedone, ImportUndone, MovementsRecorded
from shelfwise.ingest import Receipt
from shelfwise.storage import imports, outbox
from shelfwise.storage.imports import Import
from shelfwise.storage.imports import Undone as Undone  # what `undo` returns

_log = logging.getLogger(__name__)

LISTED = {
    "import": pl.Int64(), "imported_at": pl.Datetime("us"), "files": pl.String(), "format": pl.String(),
    "rows": pl.Int64(), "rejected": pl.Int64(), "new_lines": pl.Int64(), "known_lines": pl.Int64(),
    "undone_at": pl.Datetime("us"),
}  # fmt: skip


class _OnlyATrial(Exception):
    """Rolls a trial back."""


@dataclass(frozen=True)
class Shown:
    """One import: its receipt as it was written at the import (None: it has none that can be read), and what is kept.

    ``raw`` is the receipt as JSON.
    """

    number: int
    imported_at: datetime
    undone_at: datetime | None
    files: str
    format: str
    new_lines: int | None
    known_lines: int | None
    receipt: Receipt | None
    raw: dict[str, Any]


def listed(app: App) -> pl.DataFrame:
    """Return the imports, the latest first: number, when, files, format, rows read and rejected, lines, undone when."""
    with app.database.read() as connection:
        found = imports.all_imports(connection)
    rows = []
    for one in found:
        files = one.receipt.get("files", [])
        rows.append(
            {
                "import": one.id,
                "imported_at": one.imported_at,
                "files": one.file_name,
                "format": one.profile,
                "rows": sum(file["rows_read"] for file in files) if files else None,
                "rejected": sum(t["rows"] for file in files for t in file["rejected"]) if files else None,
                "new_lines": one.new_lines,
                "known_lines": one.known_lines,
                "undone_at": one.undone_at,
            }
        )
    return pl.DataFrame(rows, schema=LISTED)


def shown(app: App, number: int) -> Shown:
    """Return an import with its receipt.

    Raises
    ------
    NotFound
        There is no such import.
    """
    with app.database.read() as connection:
        one = imports.one(connection, number)
    receipt = Receipt.from_dict(one.receipt) if "files" in one.receipt else None
    return Shown(
        one.id, one.imported_at, one.undone_at, one.file_name, one.profile, one.new_lines, one.known_lines, receipt,
        one.receipt,
    )  # fmt: skip


def undo(app: App, number: int, *, dry_run: bool = False) -> Undone:
    """Take an import back, so that the store is as if it had never been, and say what that did.

    Parameters
    ----------
    dry_run
        Find out what it would do and leave everything as it is.

    Raises
    ------
    NotFound, ConflictError
        There is no such import, or it is undone already.
    """
    with contextlib.suppress(_OnlyATrial), app.database.write() as connection:
        one = imports.one(connection, number)
        done = imports.undo_import(connection, number, app.now())
        outbox.append(connection, app.now(), ImportUndone(number, _files(one)))
        if dry_run:
            raise _OnlyATrial
        _log.info("import %d undone: %d movements taken out", number, done.lines)
    return done


def redo(app: App, number: int) -> Undone:
    """Put an undone import back, without its files, and say what that did.

    Raises
    ------
    NotFound, ConflictError
        There is no such import, or it is not undone.
    """
    with app.database.read() as connection:
        lines = imports.undone_lines(connection, number)
    stage = None if lines is None else {"movements": lines}
    with app.database.write(stage=stage) as connection:
        one = imports.one(connection, number)
        done = imports.redo_import(connection, number, lines=lines is not None)
        happened: list[Event] = [ImportRedone(number, _files(one))]
        if done.lines:
            happened.append(MovementsRecorded(one.profile, done.lines))
        outbox.append(connection, app.now(), *happened)
    _log.info("import %d put back: %d movements", number, done.lines)
    return done


def _files(one: Import) -> tuple[str, ...]:
    return tuple(one.file_name.split(", "))
