"""Backups: all tables and models of a shop in one file, while it is at work, and a shop made of such a file again.

A backup sees one state of the database, however long it takes, and waits for nobody. It holds rows as portable values,
so it can be restored into any kind of database: this is also how a shop moves from a file to a server.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from shelfwise.app import App
from shelfwise.domain.addresses import Address
from shelfwise.domain.errors import ConflictError, StorageError
from shelfwise.services import encryption
from shelfwise.settings import Settings, load_settings
from shelfwise.storage import artefacts, backup_files, jobs, migrations, registry, sqlite_files, table_copies, workers
from shelfwise.storage.backup_files import BackupReader, BackupWriter, Head, Model, Part
from shelfwise.storage.database import Database
from shelfwise.storage.jobs import Job

Progress = Callable[[str, int, int], None]

SUFFIX: Final = ".tar.gz"
SEALED: Final = ".sealed"
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_OURS: Final = re.compile(r"(?P<shop>.+)-(?P<made>\d{8}T\d{6}Z)\.tar\.gz(?:\.sealed)?")


@dataclass(frozen=True)
class Made:
    """A backup that was made.

    Parameters
    ----------
    models
        Models whose files are in it.
    missing_models
        Models whose file was gone, damaged, or under a key that is not given.
    removed
        Older backups that were deleted.
    """

    path: Path
    size: int
    is_encrypted: bool
    head: Head
    rows: int
    models: int
    missing_models: tuple[str, ...]
    seconds: float
    removed: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Checked:
    """A backup that was read to its end and found whole."""

    path: Path
    is_encrypted: bool
    head: Head
    rows: int
    models: int
    missing_models: tuple[str, ...]


@dataclass(frozen=True)
class Restored:
    """A shop that was made of a backup.

    Parameters
    ----------
    address
        Of its database.
    kept_aside
        The file that the database was before; None for a server, and where there was nothing.
    jobs
        Jobs that were running when the backup was made, and wait again.
    """

    checked: Checked
    address: Address
    kept_aside: Path | None
    jobs: int
    models_folder: Path


@dataclass(frozen=True)
class Found:
    """A backup in a folder."""

    path: Path
    made_at: dt.datetime
    size: int
    is_encrypted: bool


# --- making


def make(app: App, path: Path, *, force: bool = False, progress: Progress | None = None) -> Made:
    """Write a backup to a file, which is there whole or not at all.

    Raises
    ------
    StorageError
        The file is there already and ``force`` is false; it cannot be written; the disk is full.
    """
    began, keys = time.perf_counter(), encryption.keys_of(app.settings)
    folder = artefacts.folder_of(app.settings.address(), app.settings.models_folder)
    told = progress or _silent
    missing: list[str] = []
    path = path.expanduser()
    backup_files.tidy(path.parent)
    with backup_files.new_file(path, force=force) as file, app.database.read() as connection:
        made_at = dt.datetime.now(tz=dt.UTC).replace(microsecond=0)
        rows = table_copies.counts(connection)
        head = Head(
            program_version(), migrations.HEAD, made_at, app.settings.database.kind, table_copies.forms(), rows
        )  # fmt: skip
        names = sorted(registry.hashes(connection))
        writer = BackupWriter(file, head, keys)
        for done, name in enumerate(names):
            told("copying models", done, len(names))
            try:
                writer.model(name, artefacts.load(folder, name, keys))
            except StorageError:  # what is said of the models that are in it is true; the others are named
                missing.append(name)
        done, total = 0, sum(rows.values())
        for form in head.tables:
            for part in table_copies.parts(connection, form):
                writer.rows(form, part)
                done += len(part)
                told("copying rows", done, total)
        writer.finish(missing)
    return Made(
        path, path.stat().st_size, keys.present is not None, head, total, len(names) - len(missing), tuple(missing),
        time.perf_counter() - began,
    )  # fmt: skip


def make_in(app: App, folder: Path, *, keep: int, progress: Progress | None = None) -> Made:
    """Write a backup under a name of its moment into a folder, and delete all but the newest ``keep`` of this shop."""
    folder = folder.expanduser()
    made = make(app, folder / file_name(app.settings), progress=progress)
    old = [one.path for one in listed(app.settings, folder)[keep:] if one.path != made.path]
    for path in old:
        path.unlink(missing_ok=True)
    return Made(**{**vars(made), "removed": tuple(old)})


def ask(app: App, *, request_id: str | None = None) -> Job:
    """Queue a backup into the settings' folder and return its job.

    Raises
    ------
    ConflictError
        The settings name no folder.
    """
    from shelfwise.services import job_kinds
    from shelfwise.services import jobs as asked

    if app.settings.backup_folder is None:
        raise ConflictError("no folder for backups is set; name one in SHELFWISE_BACKUP_FOLDER")
    return asked.ask(app, job_kinds.BACKUP, request_id=request_id)


def file_name(settings: Settings) -> str:
    """Return the name of a backup that is made now."""
    moment = dt.datetime.now(tz=dt.UTC).strftime(_STAMP)
    sealed = SEALED if encryption.keys_of(settings).present is not None else ""
    return f"{_shop(settings)}-{moment}{SUFFIX}{sealed}"


def listed(settings: Settings, folder: Path) -> list[Found]:
    """Return the backups of this shop in a folder, the newest first; by their names, none is opened."""
    found: list[Found] = []
    with contextlib.suppress(OSError):  # a folder that is gone or may not be read holds no backup that could be used
        for path in folder.expanduser().iterdir():
            name = _OURS.fullmatch(path.name)
            if name is not None and name["shop"] == _shop(settings):
                made_at = dt.datetime.strptime(name["made"], _STAMP).replace(tzinfo=dt.UTC)
                found.append(Found(path, made_at, path.stat().st_size, path.name.endswith(SEALED)))
    return sorted(found, key=lambda one: one.path.name, reverse=True)


def newest_age(settings: Settings) -> dt.timedelta | None:
    """Return how old the newest backup in the settings' folder is; None where there is no folder, or none in it."""
    found = [] if settings.backup_folder is None else listed(settings, settings.backup_folder)
    return dt.datetime.now(tz=dt.UTC) - found[0].made_at if found else None


def _shop(settings: Settings) -> str:
    """Return the database's name with nothing that a file's name may not have."""
    path = settings.database.path
    return re.sub(r"[^A-Za-z0-9_.]+", "_", settings.database.name if path is None else path.stem) or "shop"


# --- reading


def check(path: Path, *, progress: Progress | None = None) -> Checked:
    """Read a backup to its end, and write nothing.

    Raises
    ------
    StorageError
        It is damaged, cut off, changed, or under a key that is not given; it is of a newer program.
    """
    return _checked(path, load_settings().settings, progress or _silent)


def restore(path: Path, into: str | None = None, *, force: bool = False, progress: Progress | None = None) -> Restored:
    """Make a shop of a backup: whole, or as it was before.

    Parameters
    ----------
    into
        The database; None takes the setting.
    force
        Take the place of a database that has something in it. A file is kept aside; a server's rows are gone.

    Raises
    ------
    StorageError
        See `check`; the database has something in it and ``force`` is false, or cannot be written.
    ConflictError
        A service, a worker or another program uses the database.
    """
    settings, told = load_settings({"database": into}).settings, progress or _silent
    address = settings.address()
    held = _look_at(address, settings, force=force)
    checked = _checked(path, settings, told)
    live = None if address.path is None else address.path.expanduser().absolute()
    if live is None:
        count = _filled(address, path, settings, told)
        return Restored(checked, settings.database, None, count, _models_folder(settings))
    live.parent.mkdir(parents=True, exist_ok=True)
    fresh = sqlite_files.beside(live)
    stamp = f"{live.name}.before-{dt.datetime.now(tz=dt.UTC):{_STAMP}}"
    aside = sqlite_files.free_name(live.with_name(stamp)) if held else None
    try:
        count = _filled(Address.parse(fresh), path, settings, told)
        sqlite_files.put_in_place(fresh, live, aside)
    finally:
        sqlite_files.remove(fresh)
    return Restored(checked, settings.database, aside, count, _models_folder(settings))


def _look_at(address: Address, settings: Settings, *, force: bool) -> bool:
    """Return whether there is something at an address, and refuse what must not be replaced."""
    if address.path is not None and not address.path.expanduser().exists():
        return False
    try:
        with Database.unmigrated(address) as database:
            name = database.first_with_rows()
            if name is None:
                return False
            with database.read() as connection:
                seen = workers.all_seen(connection)
    except StorageError as error:
        if address.path is None:
            raise
        if force:  # a damaged file is what backups are for; it is kept aside
            return True
        raise StorageError(f"{error} (restore into another database, or replace this file: --force)") from error
    here = socket.gethostname()
    for one in seen:
        alive = one.host != here[:255] or _is_running(one.pid)
        if one.silent_seconds <= settings.job_lease_seconds and alive:
            raise ConflictError(
                f"{address}: a service or worker on {one.host} (process {one.pid}) was at work "
                f"{one.silent_seconds:.0f} s ago; end it first, then restore again"
            )
    if not force:
        raise StorageError(
            f"{address}: it is not empty (its table {name} has rows) and was left as it was; restore into another "
            "database, or replace all that is in it: --force"
        )
    return True


def _checked(path: Path, settings: Settings, told: Progress) -> Checked:
    with _reader(path, settings) as reader:
        rows = models = 0
        total = sum(reader.head.rows.values())
        for one in reader.parts():
            if isinstance(one, Model):
                models += 1
            else:
                rows += len(one.rows)
            told("checking rows", rows, total)
        return Checked(path, reader.is_encrypted, reader.head, rows, models, reader.missing_models)


def _filled(address: Address, path: Path, settings: Settings, told: Progress) -> int:
    """Write models, then all rows in one write; return how many jobs wait again."""
    keys, folder = encryption.keys_of(settings), _models_folder(settings)
    waiting = 0
    with _reader(path, settings) as reader, Database.unmigrated(address) as database:

        def fill(connection: Any) -> None:
            total, done = sum(reader.head.rows.values()), 0

            def rows(parts: Iterator[Part]) -> Iterator[tuple[Any, ...]]:
                nonlocal done
                for part in parts:
                    yield from part.rows
                    done += len(part.rows)
                    told("writing rows", done, total)

            for form, parts in itertools.groupby(_parts(reader, lambda one: _keep(folder, one, keys)), _form_of):
                table_copies.fill(connection, form, rows(parts))

        def finish(connection: Any) -> None:
            nonlocal waiting
            waiting = jobs.put_all_back(connection)

        database.fill_anew(reader.head.schema, fill, finish)
    return waiting


def _parts(reader: BackupReader, keep: Callable[[Model], None]) -> Iterator[Part]:
    """Give the rows, and have the models kept, which come before them: a file without a row does no harm."""
    for one in reader.parts():
        if isinstance(one, Part):
            yield one
        else:
            keep(one)


def _form_of(part: Part) -> Any:
    return part.table


def _keep(folder: Path, model: Model, keys: Any) -> None:
    artefacts.save(folder, model.payload, keys)


@contextlib.contextmanager
def _reader(path: Path, settings: Settings) -> Iterator[BackupReader]:
    try:
        file = path.expanduser().open("rb")
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror or error}); name the file of a backup") from error
    with file:
        reader = BackupReader(file, encryption.keys_of(settings), str(path))
        if reader.head.schema not in migrations.REVISIONS:
            raise StorageError(
                f"{path}: its schema is {reader.head.schema}, newer than this program's {migrations.HEAD}; restore it "
                f"with Shelfwise {reader.head.program} or newer (this is {program_version()})"
            )
        yield reader


def program_version() -> str:
    """Return the version of this program."""
    return version("shelfwise")


def _models_folder(settings: Settings) -> Path:
    return artefacts.folder_of(settings.address(), settings.models_folder)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _silent(_: str, __: int, ___: int) -> None:
    """Tell nobody."""


def described(head: Head) -> Mapping[str, Any]:
    """Return what a person wants to know of a backup's head."""
    return {
        "made_at": head.made_at, "program": head.program, "schema": head.schema, "database": head.database,
        "tables": len(head.tables),
    }  # fmt: skip
