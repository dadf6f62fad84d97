"""The database of a shop: opening it, one writer at a time, many readers, bulk frames, on each kind of database.

What differs between kinds is in `shelfwise.storage.dialects` and the file of each kind; the modules beside this one
speak portable SQLAlchemy Core and use the functions below.

A write takes its turn first in this process (a lock), then among all processes (the dialect's). ``write(stage={...})``
puts whole frames where the write can reach them before the turn is taken, so nobody waits for that part of a large
import; one ``INSERT ... SELECT`` does the rest.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Double,
    Engine,
    FromClause,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Text,
    event,
    insert,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from shelfwise.domain.addresses import Address
from shelfwise.domain.errors import MigrationNeeded, ParameterError, StorageError
from shelfwise.storage import migrations, table_copies
from shelfwise.storage.dialects import STREAM, Dialect, NoTurn, dialect_at, dialect_of, mark
from shelfwise.storage.staging import Staged, encode, stored_type
from shelfwise.storage.tables import CODE_LENGTH

PATIENCE_SECONDS: Final = 300.0

_STAGED: Final = "shelfwise.staged"
_ROWS_AT_ONCE: Final = 10_000
_MIGRATION_TRIES: Final = 5

_TYPES: Final[dict[str, Callable[[], TypeEngine[Any]]]] = {
    "INTEGER": Integer,
    "BIGINT": BigInteger,
    "DOUBLE PRECISION": Double,
    "CODE": lambda: String(CODE_LENGTH),
    "TEXT": Text,
}

_Rule = Callable[[ColumnElement[Any], ColumnElement[Any]], ColumnElement[Any]]
Merge = _Rule | Mapping[str, _Rule] | None


@dataclass(eq=False)
class Database:
    """A shop's database; made by `Database.open`. Safe to share between threads, not across a fork."""

    address: Address
    _dialect: Dialect
    _engine: Engine
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _writer: int | None = None
    _process: int = field(default_factory=os.getpid)
    _listeners: tuple[Callable[[], None], ...] = ()

    @classmethod
    def open(
        cls, address: str | Path | Address, *, create: bool = True, patience_seconds: float = PATIENCE_SECONDS
    ) -> Database:
        """Open a database, creating its tables (and the file and its folder) where there are none yet.

        Parameters
        ----------
        address
            A file, or a server's database such as ``postgresql://user@host:5432/name``.
        create
            False: refuse where there is no shop yet.
        patience_seconds
            How long a write waits for its turn before it gives up.

        Raises
        ------
        MigrationNeeded
            Its schema is older or newer than this program's.
        StorageError
            It belongs to another program, cannot be reached or cannot be written, or there is none.
        """
        database = cls._connect(address, patience_seconds, create=create)
        try:
            with database.read() as connection:
                unfinished = database._dialect.unfinished(connection)
                revision = database._revision(connection)
            if revision is None:
                if not create and not isinstance(database.address.path, Path):
                    raise _nothing_at(database.address)
                database._migrate(migrations.HEAD, only_if_new=True)
                revision, unfinished = migrations.HEAD, None
            if revision != migrations.HEAD or unfinished is not None:
                raise MigrationNeeded(_mismatch(database.address, revision, unfinished))
        except BaseException:
            database.close()
            raise
        database._dialect.clean()
        return database

    @classmethod
    def unmigrated(
        cls, address: str | Path | Address, *, create: bool = True, patience_seconds: float = PATIENCE_SECONDS
    ) -> Database:
        """Open a database whatever its schema, for `migrate` and nothing else."""
        return cls._connect(address, patience_seconds, create=create)

    @classmethod
    def _connect(cls, address: str | Path | Address, patience_seconds: float, *, create: bool) -> Database:
        address = Address.parse(address)
        dialect = dialect_at(address, patience_seconds)
        if not create and not dialect.exists():
            raise _nothing_at(address)
        engine = dialect.engine()
        event.listen(engine, "connect", lambda _, record: mark(dialect, record.info))
        return cls(address, dialect, engine)

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
        with self._explained(), self._engine.connect() as connection, self._dialect.reading(connection):
            yield connection

    @contextlib.contextmanager
    def write(self, stage: Mapping[str, pl.DataFrame] | None = None) -> Iterator[Connection]:
        """Give a connection for one transaction: all of it is on disk at the end, or none of it after an exception.

        Parameters
        ----------
        stage
            Declared frames by name, for example ``{"movements": frame}``, to be loaded in bulk. They are put where only
            this write sees them before it takes its turn, so nobody waits for that part of a large import. The function
            that takes the frame is then called without it.

        Raises
        ------
        StorageError
            The disk is full, the database damaged or gone, or no turn came in time.
        """
        self._check_process()
        if self._writer == threading.get_ident():
            raise StorageError("a write is already open in this thread; pass its connection on")
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._explained())
            frames = {name: encode(name, frame) for name, frame in (stage or {}).items()}
            connection = stack.enter_context(self._engine.connect())
            if frames:
                places = stack.enter_context(self._dialect.staging(connection, frames))
                connection.info[_STAGED] = {n: Staged.at(n, places[n], encoded) for n, encoded in frames.items()}
                stack.callback(connection.info.pop, _STAGED, None)
                frames.clear()  # the rows are in the database now
            stack.enter_context(self._my_turn())
            stack.enter_context(self._dialect.writing(connection))
            yield connection
        for tell in self._listeners:
            tell()

    @contextlib.contextmanager
    def write_beside(self) -> Iterator[Connection]:
        """Give a connection for a short transaction that changes single rows and waits for no large write.

        It takes no turn, where the database can write other rows meanwhile: for tables whose rows are claimed with a
        lock on each (`shelfwise.storage.jobs`), and for no others. What it writes is told to no listener.
        """
        self._check_process()
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._explained())
            connection = stack.enter_context(self._engine.connect())
            if not self._dialect.shares:
                stack.enter_context(self._my_turn())
            stack.enter_context(self._dialect.beside(connection))
            yield connection

    def listen(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Call ``tell`` after each write of this process that was kept; return what ends that.

        It is called in the writer's thread, so it must be quick and must not fail.
        """
        self._listeners = (*self._listeners, tell)

        def end() -> None:
            self._listeners = tuple(one for one in self._listeners if one is not tell)

        return end

    def first_with_rows(self) -> str | None:
        """Return the name of a table that has rows; None where there are none, or no tables yet.

        Raises
        ------
        MigrationNeeded, StorageError
            The database has an older or newer schema than this program; it belongs to another program.
        """
        with self.read() as connection:
            unfinished, revision = self._dialect.unfinished(connection), self._revision(connection)
            if revision is None:
                return None
            if revision != migrations.HEAD or unfinished is not None:
                raise MigrationNeeded(_mismatch(self.address, revision, unfinished))
            return table_copies.first_with_rows(connection)

    def fill_anew(
        self, revision: str, fill: Callable[[Connection], None], finish: Callable[[Connection], None]
    ) -> None:
        """Empty the database, let ``fill`` write rows of the schema ``revision``, and bring it up to date.

        All is one transaction where the database can change its schema in one. Elsewhere (MySQL) what ``fill`` writes
        is one, so a database whose process is killed is as it was, or empty, or whole with an older schema, which
        `migrate` finishes; and where ``revision`` is this program's, it is emptied in the same transaction.

        Parameters
        ----------
        finish
            Called with the schema of this program.

        Raises
        ------
        MigrationNeeded
            The database has an older or newer schema than this program.
        """
        self._check_process()
        with (
            self._explained(),
            self._my_turn(),
            self._engine.connect() as connection,
            self._dialect.migrating(connection),
        ):
            now, cut_off = self._revision(connection), self._dialect.unfinished(connection)
            if cut_off is not None and now is None:  # its first tables were being made
                self._step(connection, now, cut_off)
                now, cut_off = self._revision(connection), None
            if now not in (None, migrations.HEAD) or cut_off is not None:
                raise MigrationNeeded(_mismatch(self.address, now, cut_off))
            if now is not None:
                table_copies.empty(connection)
            for step in migrations.steps(now, revision):
                self._step(connection, now, step)
                now = step
            fill(connection)
            for step in migrations.steps(revision, migrations.HEAD):
                self._step(connection, now, step)
                now = step
            finish(connection)

    def migrate(self, to: str = "head") -> tuple[str | None, str | None]:
        """Bring the schema to revision ``to``; return the revisions before and after."""
        return self._migrate(migrations.HEAD if to == "head" else to, only_if_new=False)

    def _migrate(self, to: str, *, only_if_new: bool) -> tuple[str | None, str | None]:
        self._check_process()
        with self.read() as connection:
            self._revision(connection)  # leaves the database of another program as it is
        with self._explained():
            left = _MIGRATION_TRIES
            while True:
                left -= 1
                try:
                    return self._migrated(to, only_if_new=only_if_new)
                except DBAPIError as error:
                    # A migration needs whole tables, a reader may hold them in another order: the one write to which a
                    # deadlock can happen. What it did is undone, or is passed over by the next try.
                    if not left or error.orig is None or not self._dialect.gave_way(error.orig):
                        raise

    def _migrated(self, to: str, *, only_if_new: bool) -> tuple[str | None, str | None]:
        with (
            self._my_turn(),
            self._engine.connect() as connection,
            self._dialect.migrating(connection),
        ):
            before = self._revision(connection)
            cut_off = self._dialect.unfinished(connection)
            if cut_off is not None:
                self._step(connection, before, cut_off)
            # Of several processes that start together, the first one here makes the tables.
            if before is None or not only_if_new:
                now = self._revision(connection)
                for step in migrations.steps(now, to):
                    self._step(connection, now, step)
                    now = None if step == migrations.BASE else step
            after = self._revision(connection)
        return before, after

    def _step(self, connection: Connection, now: str | None, to: str) -> None:
        with self._dialect.step(connection, to):
            migrations.run(connection, to, down=to == migrations.BASE or to < (now or ""))

    def _revision(self, connection: Connection) -> str | None:
        names = self._dialect.table_names(connection)
        if not names:
            return None
        if migrations.TABLE not in names:
            raise StorageError(
                f"{self.address}: it is the database of another program (it has a table {min(names)!r}); "
                "name another one, this one was left as it was"
            )
        return migrations.revision(connection)

    @contextlib.contextmanager
    def _my_turn(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=self._dialect.patience_seconds):
            raise NoTurn
        self._writer = threading.get_ident()
        try:
            yield
        finally:
            self._writer = None
            self._turn.release()

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise StorageError(
                f"{self.address}: opened before this process was forked; open it again in the new process"
            )

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except NoTurn as error:
            raise StorageError(
                f"{self.address}: another write has held the database for over {self._dialect.patience_seconds:g} s; "
                "wait for it to end, or look for a Shelfwise process that hangs"
            ) from error
        except DBAPIError as error:
            raise StorageError(f"{self.address}: {self._dialect.way_out(error.orig or error)}") from error
        except self._dialect.driver_errors as error:  # of what goes past SQLAlchemy, such as bulk loads
            raise StorageError(f"{self.address}: {self._dialect.way_out(error)}") from error


def staged(connection: Connection, name: str, frame: pl.DataFrame | None) -> contextlib.AbstractContextManager[Staged]:
    """Give the staged rows of ``frame``, or of the frame that `Database.write` was given under ``name``."""
    if frame is not None:
        return _staged_here(connection, name, frame)
    bulk: dict[str, Staged] = connection.info.get(_STAGED, {})
    if name not in bulk:
        raise ParameterError(f"no frame {name!r} was given, and none is staged; write(stage={{{name!r}: frame}})")
    return contextlib.nullcontext(bulk[name])


@contextlib.contextmanager
def _staged_here(connection: Connection, name: str, frame: pl.DataFrame) -> Iterator[Staged]:
    encoded = encode(name, frame, constants=False)
    target = encoded.table(f"staged_{name}")
    with _made(connection, target, encoded.rows.iter_rows()):
        yield Staged.at(name, target, encoded)


@contextlib.contextmanager
def temporary_table(
    connection: Connection,
    name: str,
    columns: Sequence[tuple[str, str]],
    rows: Iterable[Sequence[Any]] = (),
    primary_key: Sequence[str] = (),
) -> Iterator[Table]:
    """Make a table that only this connection sees, until the block ends.

    Parameters
    ----------
    columns
        Name and type: INTEGER, BIGINT, DOUBLE PRECISION, CODE (a text of `CODE_LENGTH`, which may be in the key) or
        TEXT.
    """
    made = [
        Column(column_name, _TYPES[kind](), primary_key=column_name in primary_key, autoincrement=False)
        for column_name, kind in columns
    ]
    target = Table(name, MetaData(), *made, prefixes=["TEMPORARY"])
    with _made(connection, target, rows):
        yield target


@contextlib.contextmanager
def _made(connection: Connection, target: Table, rows: Iterable[Sequence[Any]]) -> Iterator[None]:
    dialect = dialect_of(connection)
    target.create(connection, checkfirst=False)
    try:
        dialect.fill(connection, target, rows)
        yield
    finally:
        with contextlib.suppress(DBAPIError):  # gone already where the error rolled the transaction back
            dialect.drop_temporary(connection, target.name)


def keys(
    connection: Connection, batch: Staged, code_column: str, ids: Sequence[int]
) -> contextlib.AbstractContextManager[ColumnElement[int]]:
    """Give the expression that turns the staged positions of ``code_column`` into ``ids`` (one for each code)."""
    return dialect_of(connection).keys(connection, batch, code_column, ids)


def insert_one(connection: Connection, target: Table, values: Mapping[str, Any]) -> int:
    """Insert one row and return its key."""
    key = connection.execute(insert(target), dict(values)).inserted_primary_key
    if key is None:  # pragma: no cover  (every dialect tells the key of a single row)
        raise StorageError(f"the database did not tell the key of the new row in {target.name}")
    return int(key[0])


def insert_new(connection: Connection, target: Table, values: Mapping[str, Any], source: FromClause) -> int:
    """Insert a row of ``values`` (column name: expression over ``source``) for each row of ``source``, in its order.

    Rows that break a uniqueness rule are left out, of several that are alike in ``source`` all but the first; return
    how many went in.
    """
    return dialect_of(connection).insert_new(connection, target, values, source)


def upsert(
    connection: Connection, target: Table, source: Select[Any] | pl.DataFrame, key: Sequence[str], merge: Merge = None
) -> None:
    """Insert rows, from a query or a frame with columns named as in ``target``; on an equal ``key`` update the others.

    ``merge(new, old)`` says what a column becomes, for all columns alike or by column name; by default the new value.
    """
    names = [str(c.name) for c in source.selected_columns] if isinstance(source, Select) else source.columns
    rules: dict[str, _Rule] = {}
    for name in names:
        if name not in key:
            rule = merge.get(name) if isinstance(merge, Mapping) else merge
            rules[name] = rule or _take_the_new
    if isinstance(source, Select) or source.height:
        dialect_of(connection).upsert(connection, target, source, key, rules)


def clock(connection: Connection) -> int:
    """Return the time of the database's host, microseconds since 1970 in UTC: one clock for all who use it."""
    return dialect_of(connection).clock(connection)


def _take_the_new(new: ColumnElement[Any], _: ColumnElement[Any]) -> ColumnElement[Any]:
    return new


def fetch(connection: Connection, query: Select[Any], schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Read a query into a frame with the names and types of ``schema``, in the order of the query's columns.

    Rows come straight from the driver as the numbers they are stored as; whole columns become dates and moments.
    """
    stored = {name: stored_type(dtype) for name, dtype in schema.items()}
    parts = [pl.DataFrame(schema=stored)]
    # In parts, also between server and driver, so that a million rows never stand in memory as Python objects.
    result = connection.execute(query, execution_options={STREAM: True})
    cursor = result.cursor
    if cursor is not None:
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            parts.append(pl.DataFrame(rows, schema=stored, orient="row"))
    result.close()
    frame = pl.concat(parts)
    return frame.with_columns(pl.col(n).cast(d) for n, d in schema.items() if stored[n] != d)


def _nothing_at(address: Address) -> StorageError:
    return StorageError(
        f"there is no database {address} yet; `shelfwise import FILE...` makes it from your files, "
        "`shelfwise demo` makes a shop to try, --database names another one"
    )


def _mismatch(address: Address, revision: str | None, unfinished: str | None) -> str:
    if unfinished is not None:
        return f"{address}: a change of its schema was cut off at {unfinished}; to finish it run: shelfwise db migrate"
    if revision in migrations.REVISIONS:
        return f"{address}: its schema is {revision}, this program needs {migrations.HEAD}; run: shelfwise db migrate"
    return (
        f"{address}: its schema is {revision}, newer than this program's {migrations.HEAD}; "
        "update Shelfwise (shelfwise db migrate of the newer version can also bring it back)"
    )
