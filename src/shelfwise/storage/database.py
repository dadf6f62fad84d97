"""The database file: opening it, one writer at a time, many readers, bulk frames, and all SQL that is SQLite's own.

Another dialect is added here and nowhere else, which is why the locks, the staging of frames and the upsert share a
file. The modules beside this one speak portable SQLAlchemy Core.

**Locks.** The file is in WAL mode: readers see the state at which they began and never wait. A write takes its turn
first in this process (a lock), then among all processes (``BEGIN IMMEDIATE``, repeated patiently), so nobody ever sees
``database is locked``. Every commit reaches the disk before `Database.write` returns (``synchronous = FULL``).

**Bulk frames.** ``write(stage={"movements": frame})`` writes the frame with ADBC into a temporary database file beside
the live one, attaches it and lets one ``INSERT ... SELECT`` do the rest. ADBC must never open the live file, nor may
anything else in this process but the ``sqlite3`` module: POSIX drops all locks a process holds on a file as soon as
any of its descriptors for it is closed, and ADBC's wheel brings a second copy of SQLite that does not know the locks
of the first. Even reading a few bytes with `open` would do it. A test holds a write open around a bulk load and lets
another process try.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import polars as pl
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    FromClause,
    ScalarSelect,
    Select,
    Table,
    TableClause,
    column,
    create_engine,
    event,
    insert,
    literal,
    table,
    true,
)
from sqlalchemy import select as select_
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql.elements import ColumnElement

from shelfwise.domain.errors import DataError, MigrationNeeded, ParameterError, StorageError
from shelfwise.domain.frames import ALL_FRAMES, MOVEMENTS, Frame
from shelfwise.storage import migrations
from shelfwise.storage.tables import CODE_LENGTH

PATIENCE_SECONDS: Final = 300.0

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

_STAGE: Final = "stage"
_STALE_AFTER_SECONDS: Final = 24 * 3600.0
_ROWS_AT_ONCE: Final = 10_000
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
_Rule = Callable[[ColumnElement[Any], ColumnElement[Any]], ColumnElement[Any]]
Merge = _Rule | Mapping[str, _Rule] | None


@dataclass(frozen=True)
class Staged:
    """Rows of one frame where SQL can reach them, in ``table``.

    ``columns`` are the frame's columns as they are stored (moments, days and keyed codes as integers), and beside each
    moment its day, named ``<moment>_day``. A column whose cells are all alike is a literal there and nowhere in the
    table: most imports have one source, one warehouse and one kind, and writing those takes a fifth of the time.
    ``codes`` are the distinct codes that a keyed column counts into.
    """

    name: str
    table: FromClause
    columns: dict[str, ColumnElement[Any]]
    codes: dict[str, list[str]]
    rows: int


@dataclass(eq=False)
class Database:
    """A Shelfwise database file; made by `Database.open`. Safe to share between threads, not across a fork."""

    path: Path
    patience_seconds: float
    _engine: Engine
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _writer: int | None = None
    _process: int = field(default_factory=os.getpid)

    @classmethod
    def open(cls, path: str | Path, *, patience_seconds: float = PATIENCE_SECONDS) -> Database:
        """Open a database, creating the file and its tables where there are none yet.

        Parameters
        ----------
        path
            The file. Its folder is made if it is missing.
        patience_seconds
            How long a write waits for its turn before it gives up.

        Raises
        ------
        MigrationNeeded
            The file's schema is older or newer than this program's.
        StorageError
            The file is no SQLite database, belongs to another program, or cannot be written.
        """
        database = cls._connect(path, patience_seconds)
        try:
            with database._explained():
                if database._revision() is None:
                    database._migrate(migrations.HEAD, only_if_new=True)
                revision = database._revision()
        except BaseException:
            database.close()
            raise
        if revision != migrations.HEAD:
            database.close()
            raise MigrationNeeded(_mismatch(database.path, revision))
        database._remove_stale_stages()
        return database

    @classmethod
    def unmigrated(cls, path: str | Path, *, patience_seconds: float = PATIENCE_SECONDS) -> Database:
        """Open a database whatever its schema, for `migrate` and nothing else."""
        return cls._connect(path, patience_seconds)

    @classmethod
    def _connect(cls, path: str | Path, patience_seconds: float) -> Database:
        path = Path(path).expanduser().absolute()
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
        database = cls(path, patience_seconds, engine)
        event.listen(engine, "connect", lambda raw, _: database._patiently(lambda: _prepare(raw)))
        return database

    def close(self) -> None:
        """Close all idle connections; the object can be used again and reopens them."""
        self._engine.dispose()

    def __enter__(self) -> Database:
        """Return the database itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one state of the database for as long as it is open, and never waits."""
        self._check_process()
        with self._explained(), self._engine.connect() as connection:
            raw = _raw(connection)
            self._patiently(lambda: _begin_reading(raw))
            with connection.begin():
                yield connection

    @contextlib.contextmanager
    def write(self, stage: Mapping[str, pl.DataFrame] | None = None) -> Iterator[Connection]:
        """Give a connection for one transaction: all of it is on disk at the end, or none of it after an exception.

        Parameters
        ----------
        stage
            Declared frames by name, for example ``{"movements": frame}``, to be loaded in bulk. They are written to a
            temporary file before the write takes its turn, so nobody waits for that part of a large import. The
            function that takes the frame is then called without it.

        Raises
        ------
        StorageError
            The disk is full, the file damaged, or no turn came within ``patience_seconds``.
        """
        self._check_process()
        if self._writer == threading.get_ident():
            raise StorageError("a write is already open in this thread; pass its connection on")
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._explained())
            file = stack.enter_context(self._stage_file(stage)) if stage else None
            stack.enter_context(self._my_turn())
            connection = stack.enter_context(self._engine.connect())
            raw = _raw(connection)
            if file is not None:
                stack.enter_context(_attached(connection, raw, file[0]))
                connection.info[_STAGE] = file[1]
                stack.callback(connection.info.pop, _STAGE, None)
            self._patiently(lambda: raw.execute("BEGIN IMMEDIATE"))
            with connection.begin():
                yield connection

    def migrate(self, to: str = "head") -> tuple[str | None, str | None]:
        """Bring the schema to revision ``to`` in one transaction; return the revisions before and after."""
        return self._migrate(migrations.HEAD if to == "head" else to, only_if_new=False)

    def _migrate(self, to: str, *, only_if_new: bool) -> tuple[str | None, str | None]:
        with self._explained(), self._my_turn(), self._engine.connect() as connection:
            raw = _raw(connection)
            self._patiently(lambda: self._revision_on(raw))  # leaves the file of another program as it is
            self._patiently(lambda: _use_wal(raw))
            # A rebuilt table is dropped for a moment, which must not count as deleting what refers to it.
            raw.execute("PRAGMA foreign_keys = OFF")
            try:
                self._patiently(lambda: raw.execute("BEGIN IMMEDIATE"))
                with connection.begin():
                    before = self._revision_on(raw)
                    # Of several processes that start together, the first one here makes the tables.
                    if before is None or not only_if_new:
                        migrations.run(connection, before, to)
                    after = self._revision_on(raw)
                    broken = raw.execute("PRAGMA foreign_key_check").fetchone()
                    if broken:
                        raise StorageError(f"{self.path}: migration to {to} would break {broken[0]}; nothing changed")
            finally:
                raw.execute("PRAGMA foreign_keys = ON")
        return before, after

    def _revision(self) -> str | None:
        with self._engine.connect() as connection:
            raw = _raw(connection)
            return self._patiently(lambda: self._revision_on(raw))

    def _revision_on(self, raw: sqlite3.Connection) -> str | None:
        names = {name for (name,) in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if not names - {migrations.TABLE}:
            return None
        if migrations.TABLE not in names:
            raise StorageError(
                f"{self.path}: it is the SQLite database of another program (it has a table {min(names)!r}); "
                "name another file, this one was left as it was"
            )
        row = raw.execute(f"SELECT version_num FROM {migrations.TABLE}").fetchone()  # noqa: S608  (a constant)
        return str(row[0]) if row else None

    @contextlib.contextmanager
    def _my_turn(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=self.patience_seconds):
            raise StorageError(self._no_turn())
        self._writer = threading.get_ident()
        try:
            yield
        finally:
            self._writer = None
            self._turn.release()

    def _patiently(self, step: Callable[[], Result]) -> Result:
        deadline = time.monotonic() + self.patience_seconds
        while True:
            try:
                return step()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _TRY_AGAIN:
                    raise
                if time.monotonic() > deadline:
                    raise StorageError(self._no_turn()) from error
                time.sleep(0.001)

    def _no_turn(self) -> str:
        return (
            f"{self.path}: another write has held the database for over {self.patience_seconds:g} s; "
            "wait for it to end, or look for a Shelfwise process that hangs"
        )

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise StorageError(f"{self.path}: opened before this process was forked; open it again in the new process")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            code = getattr(cause, "sqlite_errorcode", None) or 0
            way_out = _WAYS_OUT.get(code & 0xFF, f"the database refuses: {cause}; nothing of this step was kept")
            raise StorageError(f"{self.path}: {way_out}") from error

    @contextlib.contextmanager
    def _stage_file(self, frames: Mapping[str, pl.DataFrame]) -> Iterator[tuple[Path, dict[str, Staged]]]:
        staged: dict[str, Staged] = {}
        token = f"{_host()}-{os.getpid()}-{uuid.uuid4().hex}"
        path = self.path.with_name(f".{self.path.name}.{_STAGE}-{token}")
        try:
            encoded = {name: _without_constants(*_encoded(name, frame)) for name, frame in frames.items()}
            try:
                _write_with_adbc(path, {name: frame for name, (frame, _, _) in encoded.items()})
            except Exception as error:  # the driver's own classes say no more than its text does
                raise StorageError(
                    f"{path}: the temporary file of a bulk load cannot be written ({error}); "
                    "check free space and rights in this folder, nothing was loaded"
                ) from error
            for name, (frame, codes, alike) in encoded.items():
                where = table(name, *map(column, frame.columns), schema=_STAGE)
                staged[name] = Staged(name, where, {**alike, **where.c}, codes, frames[name].height)
            yield path, staged
        finally:
            path.unlink(missing_ok=True)

    def _remove_stale_stages(self) -> None:
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


def staged(connection: Connection, name: str, frame: pl.DataFrame | None) -> contextlib.AbstractContextManager[Staged]:
    """Give the staged rows of ``frame``, or of the frame that `Database.write` was given under ``name``."""
    if frame is not None:
        return _temporary(connection, name, frame)
    bulk: dict[str, Staged] = connection.info.get(_STAGE, {})
    if name not in bulk:
        raise ParameterError(f"no frame {name!r} was given, and none is staged; write(stage={{{name!r}: frame}})")
    return contextlib.nullcontext(bulk[name])


@contextlib.contextmanager
def _temporary(connection: Connection, name: str, frame: pl.DataFrame) -> Iterator[Staged]:
    rows, codes = _encoded(name, frame)
    columns = [(column_name, _sql_type(dtype)) for column_name, dtype in rows.schema.items()]
    with temporary_table(connection, f"staged_{name}", columns, rows.iter_rows()) as where:
        yield Staged(name, where, dict(where.c), codes, rows.height)


@contextlib.contextmanager
def temporary_table(
    connection: Connection,
    name: str,
    columns: Sequence[tuple[str, str]],
    rows: Iterable[Sequence[Any]] = (),
    primary_key: Sequence[str] = (),
) -> Iterator[TableClause]:
    """Make a table of these columns (name, SQL type) that only this connection sees, until the block ends."""
    parts = [f"{column_name} {kind}" for column_name, kind in columns]
    if primary_key:
        parts.append(f"PRIMARY KEY ({', '.join(primary_key)})")
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE {name} ({', '.join(parts)})")
    try:
        places = ", ".join("?" * len(columns))
        _raw(connection).executemany(f"INSERT INTO temp.{name} VALUES ({places})", rows)  # noqa: S608  (our own names)
        yield table(name, *(column(column_name) for column_name, _ in columns))
    finally:
        with contextlib.suppress(DBAPIError):  # gone already where the error rolled the transaction back
            connection.exec_driver_sql(f"DROP TABLE temp.{name}")


@contextlib.contextmanager
def keys(connection: Connection, batch: Staged, code_column: str, ids: Sequence[int]) -> Iterator[ScalarSelect[int]]:
    """Give the expression that turns the staged positions of ``code_column`` into ``ids`` (one for each code)."""
    name = f"key_{batch.name}_{code_column}"
    columns = [("position", "INTEGER"), ("id", "INTEGER")]
    with temporary_table(connection, name, columns, enumerate(ids), primary_key=["position"]) as found:
        yield select_(found.c.id).where(found.c.position == batch.columns[code_column]).scalar_subquery()


def insert_one(connection: Connection, target: Table, values: Mapping[str, Any]) -> int:
    """Insert one row and return its key."""
    key = connection.execute(insert(target), dict(values)).inserted_primary_key
    if key is None:  # pragma: no cover  (every dialect tells the key of a single row)
        raise StorageError(f"the database did not tell the key of the new row in {target.name}")
    return int(key[0])


def insert_new(connection: Connection, target: Table, values: Mapping[str, Any], source: FromClause) -> int:
    """Insert a row of ``values`` (column name: expression over ``source``) for each row of ``source``.

    Rows that break a uniqueness rule are left out; return how many went in.
    """
    query = select_(*values.values()).select_from(source).where(true())
    statement = sqlite_insert(target).from_select(list(values), query).on_conflict_do_nothing()
    return connection.execute(statement).rowcount


def upsert(
    connection: Connection, target: Table, source: Select[Any] | pl.DataFrame, key: Sequence[str], merge: Merge = None
) -> None:
    """Insert rows, from a query or a frame with columns named as in ``target``; on an equal ``key`` update the others.

    ``merge(new, old)`` says what a column becomes, for all columns alike or by column name; by default the new value.
    """
    if isinstance(source, Select):
        names = [str(c.name) for c in source.selected_columns]
        # SQLite reads ON CONFLICT behind a bare FROM as the condition of a join; any WHERE ends the doubt.
        statement = sqlite_insert(target).from_select(names, source.where(true()))
    else:
        names = source.columns
        statement = sqlite_insert(target)
    changes: dict[str, Any] = {}
    for name in names:
        if name not in key:
            rule = merge.get(name) if isinstance(merge, Mapping) else merge
            new = statement.excluded[name]
            changes[name] = rule(new, target.c[name]) if rule else new
    statement = statement.on_conflict_do_update(index_elements=list(key), set_=changes)
    if isinstance(source, Select):
        connection.execute(statement)
    elif source.height:
        connection.execute(statement, source.to_dicts())


def fetch(connection: Connection, query: Select[Any], schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Read a query into a frame with the names and types of ``schema``, in the order of the query's columns.

    Rows come straight from the driver as the numbers they are stored as; whole columns become dates and moments.
    """
    stored = {name: _stored_type(dtype) for name, dtype in schema.items()}
    parts = [pl.DataFrame(schema=stored)]
    result = connection.execute(query)
    cursor = result.cursor
    if cursor is not None:
        # In parts, so that a million rows never stand in memory as Python objects.
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            parts.append(pl.DataFrame(rows, schema=stored, orient="row"))
    result.close()
    frame = pl.concat(parts)
    return frame.with_columns(pl.col(n).cast(d) for n, d in schema.items() if stored[n] != d)


def _prepare(raw: sqlite3.Connection) -> None:
    # The driver's own transactions are off: BEGIN is said here, so that it is the right one and DDL is inside it.
    raw.isolation_level = None
    for setting in ("foreign_keys = ON", "synchronous = FULL", "temp_store = MEMORY", "cache_size = -65536"):
        raw.execute(f"PRAGMA {setting}")


def _raw(connection: Connection) -> sqlite3.Connection:
    raw = connection.connection.driver_connection
    if not isinstance(raw, sqlite3.Connection):  # pragma: no cover  (the engine is made above, for SQLite)
        raise StorageError("no SQLite connection")
    return raw


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
def _attached(connection: Connection, raw: sqlite3.Connection, path: Path) -> Iterator[None]:
    raw.execute(f"ATTACH DATABASE ? AS {_STAGE}", (str(path),))
    try:
        yield
    finally:
        try:
            raw.execute(f"DETACH DATABASE {_STAGE}")
        except sqlite3.OperationalError:
            # Somebody left a result half read. The write is over all the same; only this connection is of no more use.
            connection.invalidate()


def _mismatch(path: Path, revision: str | None) -> str:
    if revision in migrations.REVISIONS:
        return f"{path}: its schema is {revision}, this program needs {migrations.HEAD}; run: shelfwise db migrate"
    return (
        f"{path}: its schema is {revision}, newer than this program's {migrations.HEAD}; "
        "update Shelfwise (shelfwise db migrate of the newer version can also bring the file back)"
    )


def _encoded(name: str, frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, list[str]]]:
    """Check a frame and turn it into what is staged: numbers, and positions in lists of codes."""
    if name not in _FRAMES:
        raise ParameterError(f"there is no frame {name!r}; the frames are {', '.join(_FRAMES)}")
    checked = _FRAMES[name].check(frame)
    codes: dict[str, list[str]] = {}
    encoded: list[pl.Series] = []
    for cells in checked:
        if cells.name in _CODES:
            _check_length(name, cells)
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
            encoded.append(cells.cast(_stored_type(cells.dtype)))
    return pl.DataFrame(encoded), codes


def _without_constants(
    frame: pl.DataFrame, codes: dict[str, list[str]]
) -> tuple[pl.DataFrame, dict[str, list[str]], dict[str, ColumnElement[Any]]]:
    """Take the columns whose cells are all alike out of an encoded frame, and return them as literals."""
    alike: dict[str, ColumnElement[Any]] = {}
    for cells in frame.iter_columns():
        last_one_left = len(alike) == frame.width - 1
        if frame.height and not last_one_left and cells.eq_missing(cells[0]).all():
            alike[cells.name] = literal(cells[0])
    return frame.drop(alike), codes, alike


def _check_length(name: str, cells: pl.Series) -> None:
    long = cells.str.len_chars() > CODE_LENGTH
    if long.any():
        row = int(long.arg_true()[0])
        raise DataError(
            f"frame {name!r}, column {cells.name!r}, row {row:,}: {cells[row][:40]!r}... has "
            f"{len(cells[row]):,} characters; a code has at most {CODE_LENGTH}"
        )


def _stored_type(dtype: pl.DataType) -> pl.DataType:
    if isinstance(dtype, pl.Datetime):
        return pl.Int64()
    return pl.Int32() if isinstance(dtype, pl.Date) else dtype


def _sql_type(dtype: pl.DataType) -> str:
    if dtype.is_integer():
        return "INTEGER"
    return "DOUBLE PRECISION" if dtype.is_float() else "TEXT"


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
