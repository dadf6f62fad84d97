"""SQLite: a file, one writer at a time among all processes, bulk frames through a second file.

**Locks.** The file is in WAL mode: readers see the state at which they began and never wait. A write takes its turn
among all processes with ``BEGIN IMMEDIATE``, repeated patiently, so nobody ever sees ``database is locked``. Every
commit reaches the disk before it returns (``synchronous = FULL``).

**Bulk frames** are written with ADBC into a temporary database file beside the live one, which is attached so that one
``INSERT ... SELECT`` does the rest. ADBC must never open the live file, nor may anything else in this process but the
``sqlite3`` module: POSIX drops all locks a process holds on a file as soon as any of its descriptors for it is closed,
and ADBC's wheel brings a second copy of SQLite that does not know the locks of the first. Even reading a few bytes with
`open` would do it. A test holds a write open around a bulk load and lets another process try.

Above 400 lines because locks, temporary files and what keeps the two apart can only be read together.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import polars as pl
from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    Integer,
    MetaData,
    Select,
    Table,
    column,
    create_engine,
    event,
    select,
    table,
    true,
)
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from shelfwise.domain.addresses import Address
from shelfwise.domain.errors import StorageError
from shelfwise.storage.dialects import NoTurn, rows_of
from shelfwise.storage.staging import Encoded, Staged

_STAGE: Final = "stage"
_STALE_AFTER_SECONDS: Final = 24 * 3600.0
_CACHE_KIB: Final = 16 << 10  # of each connection; the system keeps the file in memory for all of them
_CACHE_FOR_LARGE_KIB: Final = 512 << 10
_LARGE: Final = 100_000  # rows
_WAIT_MILLISECONDS: Final = 250  # SQLite's own wait; short, so that Ctrl-C is heard between two of them

# PROTOCOL is the race of many connections for the same slot of the shared memory.
_TRY_AGAIN: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_WAYS_OUT: Final[dict[int, str]] = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space and repeat, nothing of this step was kept",
    sqlite3.SQLITE_NOTADB: "it is not a SQLite database; name another file, this one was left as it was",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restore it from a backup and keep the damaged copy aside",
    sqlite3.SQLITE_READONLY: "it may only be read; make the file and its folder writable for this user",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that its folder exists and is writable for this user",
    sqlite3.SQLITE_IOERR: "the disk reports an error; check the disk and its free space, then repeat",
    sqlite3.SQLITE_PERM: "it cannot be opened; make the file and its folder writable for this user",
}

Result = TypeVar("Result")


class SQLite:
    """A database file."""

    driver_errors: tuple[type[Exception], ...] = (sqlite3.Error,)
    shares = False

    def __init__(self, address: Address, patience_seconds: float) -> None:
        """Name the file; its folder is made by `engine`."""
        self.address = address
        self.patience_seconds = patience_seconds
        self.path = (address.path or Path()).expanduser().absolute()

    def engine(self) -> Engine:
        """Return a pool of connections to the file."""
        path = self.path
        if path.is_dir():
            raise StorageError(f"{path}: it is a folder; name a file in it, for example {path / 'shop.db'}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{path}: its folder cannot be made ({error.strerror}); name another") from error
        engine = create_engine(
            URL.create("sqlite", database=str(path)),
            poolclass=QueuePool,
            pool_size=8,
            max_overflow=-1,
            connect_args={"check_same_thread": False, "timeout": _WAIT_MILLISECONDS / 1000},
        )
        event.listen(engine, "connect", lambda raw, _: self._patiently(lambda: _prepare(raw)))
        return engine

    def exists(self) -> bool:
        """Return whether the file is there."""
        return self.path.exists()

    @contextlib.contextmanager
    def reading(self, connection: Connection) -> Iterator[None]:
        """Begin, and choose the state by a first look at it."""
        raw = _raw(connection)
        self._patiently(lambda: _begin_reading(raw))
        with connection.begin():
            yield

    @contextlib.contextmanager
    def writing(self, connection: Connection) -> Iterator[None]:
        """Begin with the file's write lock."""
        raw = _raw(connection)
        self._patiently(lambda: raw.execute("BEGIN IMMEDIATE"))
        with connection.begin():
            yield

    def beside(self, connection: Connection) -> contextlib.AbstractContextManager[None]:
        """Write: the file has one lock for all of it."""
        return self.writing(connection)

    def clock(self, connection: Connection) -> int:
        """Return this machine's time: the file is on it."""
        return time.time_ns() // 1000

    @contextlib.contextmanager
    def migrating(self, connection: Connection) -> Iterator[None]:
        """Write, with references checked at the end instead of at each statement."""
        raw = _raw(connection)
        self._patiently(lambda: _use_wal(raw))
        # A rebuilt table is dropped for a moment, which must not count as deleting what refers to it.
        raw.execute("PRAGMA foreign_keys = OFF")
        try:
            with self.writing(connection):
                yield
                broken = raw.execute("PRAGMA foreign_key_check").fetchone()
                if broken:
                    raise StorageError(f"{self.path}: the migration would break {broken[0]}; nothing changed")
        finally:
            raw.execute("PRAGMA foreign_keys = ON")

    def step(self, connection: Connection, revision: str) -> contextlib.AbstractContextManager[None]:
        """Do nothing: a migration is one transaction."""
        return contextlib.nullcontext()

    def unfinished(self, connection: Connection) -> str | None:
        """Return None: a migration is one transaction."""
        return None

    def table_names(self, connection: Connection) -> set[str]:
        """Return the names of the file's tables."""
        return {name for (name,) in _raw(connection).execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}

    @contextlib.contextmanager
    def staging(self, connection: Connection, frames: Mapping[str, Encoded]) -> Iterator[Mapping[str, FromClause]]:
        """Write the frames into a temporary file and attach it."""
        with self._stage_file(frames) as path, _attached(connection, path):
            yield {
                name: table(name, *map(column, encoded.rows.columns), schema=_STAGE) for name, encoded in frames.items()
            }

    def fill(self, connection: Connection, target: Table, rows: Iterable[Sequence[Any]]) -> None:
        """Insert row by row, in C."""
        places = ", ".join("?" * len(target.columns))
        _raw(connection).executemany(f"INSERT INTO temp.{target.name} VALUES ({places})", rows)  # noqa: S608  (ours)

    def load(self, connection: Connection, target: Table, rows: Iterable[Sequence[Any]]) -> None:
        """Insert row by row, in C, and make the indices afterwards where they are all that the table asks for."""
        raw = _raw(connection)
        names = ", ".join(f'"{name}"' for name in target.columns.keys())  # noqa: SIM118  (a collection of columns)
        places = ", ".join("?" * len(target.columns))
        statement = f'INSERT INTO main."{target.name}" ({names}) VALUES ({places})'  # noqa: S608  (checked names)
        try:
            with _much_cache(raw), _indexed_afterwards(raw, _indices_of_empty(raw, target.name)):
                raw.executemany(statement, rows)
        except _Repeated as error:
            raise StorageError(f"rows of {target.name} break a rule of the table ({error.__cause__})") from error

    def drop_temporary(self, connection: Connection, name: str) -> None:
        """Drop the table, never one of the file."""
        connection.exec_driver_sql(f"DROP TABLE temp.{name}")

    @contextlib.contextmanager
    def keys(
        self, connection: Connection, batch: Staged, code_column: str, ids: Sequence[int]
    ) -> Iterator[ColumnElement[int]]:
        """Look positions up in a temporary table, whose key is SQLite's own row number."""
        name = f"key_{batch.name}_{code_column}"
        columns = [Column("position", Integer, primary_key=True), Column("id", BigInteger)]
        found = Table(name, MetaData(), *columns, prefixes=["TEMPORARY"])
        found.create(connection, checkfirst=False)
        try:
            self.fill(connection, found, enumerate(ids))
            yield select(found.c.id).where(found.c.position == batch.columns[code_column]).scalar_subquery()
        finally:
            with contextlib.suppress(DBAPIError):  # gone already where the error rolled the transaction back
                self.drop_temporary(connection, name)

    def insert_new(self, connection: Connection, target: Table, values: Mapping[str, Any], source: FromClause) -> int:
        """Leave rows that break a uniqueness rule out."""
        statement = sqlite_insert(target).from_select(list(values), rows_of(values, source)).on_conflict_do_nothing()
        raw = _raw(connection)
        if not _is_large(raw, source):
            return connection.execute(statement).rowcount
        indices = _indices_of_empty(raw, target.name)
        if indices:
            with contextlib.suppress(_Repeated), _indexed_afterwards(raw, indices):
                return connection.execute(statement).rowcount
        with _much_cache(raw):
            return connection.execute(statement).rowcount

    def upsert(
        self,
        connection: Connection,
        target: Table,
        source: Select[Any] | pl.DataFrame,
        key: Sequence[str],
        rules: Mapping[str, Any],
    ) -> None:
        """Insert, and update on a conflict of the key."""
        statement = sqlite_insert(target)
        if isinstance(source, Select):
            names = [str(c.name) for c in source.selected_columns]
            # SQLite reads ON CONFLICT behind a bare FROM as the condition of a join; any WHERE ends the doubt.
            statement = statement.from_select(names, source.where(true()))
        changes = {name: rule(statement.excluded[name], target.c[name]) for name, rule in rules.items()}
        statement = statement.on_conflict_do_update(index_elements=list(key), set_=changes)
        if isinstance(source, Select):
            connection.execute(statement)
        else:
            connection.execute(statement, source.to_dicts())

    def way_out(self, error: BaseException) -> str:
        """Read the code of SQLite's error."""
        code = getattr(error, "sqlite_errorcode", None) or 0
        return _WAYS_OUT.get(code & 0xFF, f"the database refuses: {error}; nothing of this step was kept")

    def gave_way(self, error: BaseException) -> bool:
        """Return False: one lock covers the whole file, so nobody waits in a circle."""
        return False

    def clean(self) -> None:
        """Remove temporary files whose process was killed: gone on this host, or over a day old on another."""
        pattern = re.compile(rf"\.{re.escape(self.path.name)}\.{_STAGE}-(.+)-(\d+)-[0-9a-f]{{32}}")
        for path in self.path.parent.glob(f".*.{_STAGE}-*"):
            match = pattern.fullmatch(path.name)
            if match is None:
                continue
            with contextlib.suppress(OSError):
                here = match[1] == _host()
                if (here and not _alive(int(match[2]))) or time.time() - path.stat().st_mtime > _STALE_AFTER_SECONDS:
                    path.unlink()

    def _patiently(self, step: Callable[[], Result]) -> Result:
        deadline = time.monotonic() + self.patience_seconds
        while True:
            try:
                return step()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _TRY_AGAIN:
                    raise
                if time.monotonic() > deadline:
                    raise NoTurn from error
                time.sleep(0.001)

    @contextlib.contextmanager
    def _stage_file(self, frames: Mapping[str, Encoded]) -> Iterator[Path]:
        token = f"{_host()}-{os.getpid()}-{uuid.uuid4().hex}"
        path = self.path.with_name(f".{self.path.name}.{_STAGE}-{token}")
        try:
            try:
                _write_with_adbc(path, {name: encoded.rows for name, encoded in frames.items()})
            except Exception as error:  # the driver's own classes say no more than its text does
                raise StorageError(f"{path.parent}: {_why_not_staged(str(error))}; nothing was loaded") from error
            yield path
        finally:
            path.unlink(missing_ok=True)


def _why_not_staged(said: str) -> str:
    """Return in words why a temporary file could not be written; of the driver's text the query is left out.

    >>> _why_not_staged("INTERNAL: failed to execute: database or disk is full\\nquery was: COMMIT")
    'the disk is full, no temporary file of a bulk load fits; free some space in this folder and repeat'
    """
    if "disk is full" in said:
        return "the disk is full, no temporary file of a bulk load fits; free some space in this folder and repeat"
    reason = said.split("\n", 1)[0]
    return f"the temporary file of a bulk load cannot be written ({reason}); check free space and rights in this folder"


def _prepare(raw: sqlite3.Connection) -> None:
    # The driver's own transactions are off: BEGIN is said here, so that it is the right one and DDL is inside it.
    raw.isolation_level = None
    for setting in ("foreign_keys = ON", "synchronous = FULL", "temp_store = MEMORY", f"cache_size = {-_CACHE_KIB}"):
        raw.execute(f"PRAGMA {setting}")


def _raw(connection: Connection) -> sqlite3.Connection:
    raw = connection.connection.driver_connection
    if not isinstance(raw, sqlite3.Connection):  # pragma: no cover  (the engine is made above, for SQLite)
        raise StorageError("no SQLite connection")
    return raw


class _Repeated(Exception):
    """Rows of a bulk load repeat a key among themselves."""


def _is_large(raw: sqlite3.Connection, source: FromClause) -> bool:
    """Whether a staged frame has so many rows that keeping the indices is most of the work."""
    name = getattr(source, "name", "")
    if getattr(source, "schema", None) != _STAGE:
        return False
    last = raw.execute(f'SELECT max(rowid) FROM {_STAGE}."{name}"').fetchone()[0]  # noqa: S608  (a name of ours)
    return (last or 0) >= _LARGE


def _indices_of_empty(raw: sqlite3.Connection, name: str) -> dict[str, str]:
    """Return name and definition of a table's indices if it has no rows and all its rules are indices; else nothing."""
    if raw.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone():  # noqa: S608  (a name of ours)
        return {}
    query = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ?"
    found: dict[str, str | None] = dict(raw.execute(query, (name,)).fetchall())
    made = {index: definition for index, definition in found.items() if definition is not None}
    return made if len(made) == len(found) else {}  # a rule without a definition belongs to the table itself


@contextlib.contextmanager
def _indexed_afterwards(raw: sqlite3.Connection, indices: Mapping[str, str]) -> Iterator[None]:
    """Make indices after the rows: sorted once they take a third of the time, and no page of them is written twice.

    Raises
    ------
    _Repeated
        The rows break one of them; all is as it was before.
    """
    raw.execute("SAVEPOINT unindexed")
    try:
        for index in indices:
            raw.execute(f'DROP INDEX "{index}"')
        yield
        raw.execute("PRAGMA threads = 1")  # one thread beside this one sorts the keys of an index
        for definition in indices.values():
            raw.execute(definition)
    except BaseException as error:
        with contextlib.suppress(sqlite3.Error):  # some errors have rolled the whole transaction back already
            raw.execute("ROLLBACK TO unindexed")
            raw.execute("RELEASE unindexed")
        if isinstance(error, sqlite3.IntegrityError):
            raise _Repeated from error
        raise
    finally:
        raw.execute("PRAGMA threads = 0")
    raw.execute("RELEASE unindexed")


@contextlib.contextmanager
def _much_cache(raw: sqlite3.Connection) -> Iterator[None]:
    """Hold more of the file in memory: keys that come in no order touch pages all over an index."""
    raw.execute(f"PRAGMA cache_size = {-_CACHE_FOR_LARGE_KIB}")
    try:
        yield
    finally:
        raw.execute(f"PRAGMA cache_size = {-_CACHE_KIB}")
        raw.execute("PRAGMA shrink_memory")


def _begin_reading(raw: sqlite3.Connection) -> None:
    raw.execute("BEGIN")
    try:
        raw.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()  # the state is chosen by the first look at it
    except BaseException:
        raw.rollback()
        raise


def _use_wal(raw: sqlite3.Connection) -> None:
    mode = raw.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise StorageError("this file system has no shared memory for SQLite's WAL mode; use a folder on a local disk")


@contextlib.contextmanager
def _attached(connection: Connection, path: Path) -> Iterator[None]:
    raw = _raw(connection)
    raw.execute(f"ATTACH DATABASE ? AS {_STAGE}", (str(path),))
    try:
        yield
    finally:
        try:
            raw.execute(f"DETACH DATABASE {_STAGE}")
        except sqlite3.OperationalError:
            # Somebody left a result half read. The write is over all the same; only this connection is of no more use.
            connection.invalidate()


def _write_with_adbc(path: Path, frames: Mapping[str, pl.DataFrame]) -> None:
    """Write frames as tables of a new database file. Never the live one: see the top of this module."""
    import adbc_driver_sqlite
    from adbc_driver_manager import AdbcConnection, AdbcDatabase, AdbcStatement

    with AdbcDatabase(driver=adbc_driver_sqlite._driver_path(), uri=str(path)) as file, AdbcConnection(file) as link:
        # Nobody else sees this file and nobody needs it after a crash.
        for setting in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
            with AdbcStatement(link) as statement:
                statement.set_sql_query(f"PRAGMA {setting}")
                statement.execute_query()
        for name, frame in frames.items():
            with AdbcStatement(link) as statement:
                statement.set_options(
                    **{"adbc.ingest.target_table": name, "adbc.ingest.mode": "adbc.ingest.mode.create"}
                )
                statement.bind_stream(frame)
                statement.execute_update()


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]", "", socket.gethostname())[:40] or "host"


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
