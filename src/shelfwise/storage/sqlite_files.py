"""A finished database file in the place of another one, which is kept aside.

SQLite finds the log of a file by its name (``shop.db-wal``), and would apply a log that belongs to another file. So the
old file takes its log in before it goes, nobody else may have it open meanwhile, and the change of names is one step:
whatever is killed, there is the old file or the new one.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import stat
import time
import uuid
from pathlib import Path
from typing import Final

from shelfwise.domain.errors import ConflictError, StorageError
from shelfwise.storage.backup_files import sync_folder

_LOGS: Final = ("-wal", "-shm", "-journal")
_WAIT_SECONDS: Final = 2.0
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_STALE_SECONDS: Final = 86_400.0


def beside(live: Path) -> Path:
    """Return the name of a new file in the same folder, and remove such files that killed processes left."""
    for left in live.parent.glob(f".{live.name}.restore-*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                left.unlink()
    return live.with_name(f".{live.name}.restore-{uuid.uuid4().hex}")


def remove(path: Path) -> None:
    """Delete a database file with its logs."""
    for name in ("", *_LOGS):
        with contextlib.suppress(OSError):
            path.with_name(path.name + name).unlink(missing_ok=True)


def free_name(wanted: Path) -> Path:
    """Return a name that no file has, ``wanted`` or one with a number: a restore may be repeated within a second."""
    names = (wanted if n == 1 else wanted.with_name(f"{wanted.name}-{n}") for n in itertools.count(1))
    return next(name for name in names if not name.exists())


def put_in_place(new: Path, live: Path, aside: Path | None) -> None:
    """Let ``new``, which nobody has open, be ``live``; what was there is ``aside`` afterwards, or gone.

    Raises
    ------
    ConflictError
        Another process has ``live`` open; nothing was changed.
    """
    handle = os.open(new, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    old = _alone(live)
    try:
        if live.exists():  # who could not read the old file cannot read the new one
            new.chmod(stat.S_IMODE(live.stat().st_mode))
        if aside is not None and live.exists():
            _name_too(live, aside)
        for name in _LOGS:  # of a file that was damaged, or is gone: never for the new one
            log = live.with_name(live.name + name)
            if log.exists():
                log.replace((aside or new).with_name((aside or new).name + name))
        new.replace(live)
        sync_folder(live.parent)
    except OSError as error:
        raise StorageError(f"{live}: the new file cannot take its place ({error.strerror or error})") from error
    finally:
        if old is not None:
            old.close()
    if aside is not None and old is not None:
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(aside)) as kept:
            kept.execute("PRAGMA journal_mode = WAL")  # as it was, for whoever puts it back


def _alone(live: Path) -> sqlite3.Connection | None:
    """Take a file for this process alone, with its log taken in; None where it is gone or no database any more."""
    if not live.exists():
        return None
    found = sqlite3.connect(live, timeout=_WAIT_SECONDS, isolation_level=None)
    try:
        found.execute("PRAGMA journal_mode = DELETE").fetchone()  # granted to the only connection, and to no other
        found.execute("BEGIN EXCLUSIVE")
    except sqlite3.DatabaseError as error:
        found.close()
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY:
            raise ConflictError(
                f"{live}: another process has it open; end the service, its workers and other programs that use it, "
                "then restore again; nothing was changed"
            ) from error
        return None
    return found


def _name_too(live: Path, aside: Path) -> None:
    try:
        os.link(live, aside)
    except FileExistsError:
        raise
    except OSError:  # a file system without second names
        live.replace(aside)
