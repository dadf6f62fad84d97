"""PostgreSQL 13 and newer, through psycopg.

**The turn** is an advisory lock of the transaction: it is let go at the commit, after everybody can see what was
written, and with the connection where the process is killed. Readers are ``REPEATABLE READ READ ONLY``.

**Bulk frames** are copied (``COPY``) into temporary tables, which the server drops with the connection.

**Texts** compare and sort by their bytes (``COLLATE "C"``), as on every other database here, whatever the language of
the server. JSON is kept as the text it was given as: the server's own type knows no NaN.

**Keys** come from sequences, which are set back to the highest key after a bulk write: a line that is there already
uses a number up, and an import repeated each hour would otherwise run out of them.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Final, cast

import polars as pl
from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    Integer,
    Select,
    Table,
    create_engine,
    func,
    select,
    text,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.postgresql.base import PGDDLCompiler, PGTypeCompiler
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg, PGExecutionContext_psycopg
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql.elements import Grouping
from sqlalchemy.types import JSON, String, TypeDecorator

from shelfwise.domain.addresses import Address
from shelfwise.domain.errors import StorageError
from shelfwise.storage.dialects import GAVE_WAY, STREAM, NoTurn, rows_of
from shelfwise.storage.json_text import JsonText
from shelfwise.storage.staging import Encoded, Staged

try:
    import psycopg
except ImportError as error:  # pragma: no cover  (tested in a process that lacks it)
    raise StorageError(
        "a PostgreSQL database needs its driver, psycopg; install it: pip install 'shelfwise[postgresql]'"
    ) from error

OLDEST: Final = 130_000
# The turn's number: "shelf" as bytes, so that no other program of the same database uses it by chance.
_TURN: Final = int.from_bytes(b"shelf", "big")
_ROWS_A_CHUNK: Final = 50_000
_CONNECT_SECONDS: Final = 10

# By SQLSTATE, or by its first two characters, its class; appendix A of the manual of PostgreSQL lists them.
_WAYS_OUT: Final = {
    "28P01": "the password is wrong; give it in SHELFWISE_DATABASE_PASSWORD or the file of "
    "SHELFWISE_DATABASE_PASSWORD_FILE",
    "28": "the server does not let this user in; check user and password, and the server's pg_hba.conf",
    "3D000": "there is no such database on the server; make it first: createdb NAME",
    "53100": "the server's disk is full; free some space and repeat, nothing of this step was kept",
    "53300": "the server has no free connection; close some, or raise its max_connections",
    "53": "the server is out of memory or another resource; nothing of this step was kept",
    "25006": "the server may only be read; name the primary, not a standby",
    "57P01": "the server shut this connection; nothing of this step was kept, run it again",
    "57P03": "the server is starting or stopping; try again in a moment",
    "57014": "the step was cancelled on the server; nothing of it was kept",
    "40": GAVE_WAY,
    "55P03": "another program has locked what this step needs; nothing of it was kept, run it again",
    "08": "the connection to the server was lost; run the step again, what was kept already counts once",
}

# What the server says it denies (42501), and the right that is missing; {0} is the name it gives.
_RIGHTS: Final = (
    (r"permission denied for database (\S+)", "GRANT CONNECT, TEMPORARY ON DATABASE {0} TO USER"),
    (r"create temporary tables in database (\S+)", "GRANT TEMPORARY ON DATABASE {0} TO USER"),
    (r"permission denied for schema (\S+)", "GRANT USAGE, CREATE ON SCHEMA {0} TO USER"),
    (
        r"permission denied for (?:table|relation|view) (\S+)",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO USER; "
        "`shelfwise order`, `risk` and `excess` keep the plan they show, so they write, too",
    ),
    (r"permission denied for sequence (\S+)", "GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO USER"),
)


class _Types(PGTypeCompiler):
    def visit_JSON(self, type_: JSON, **kw: Any) -> str:
        return "TEXT"


class _Definitions(PGDDLCompiler):
    def get_column_specification(self, column: Column[Any], **kwargs: Any) -> str:
        spelled = str(super().get_column_specification(column, **kwargs))  # type: ignore[no-untyped-call]
        kind = column.type.impl if isinstance(column.type, TypeDecorator) else column.type
        return f'{spelled} COLLATE "C"' if isinstance(kind, String) and not kind.collation else spelled


class _Context(PGExecutionContext_psycopg):
    _names = count()

    def create_default_cursor(self) -> Any:
        if self.execution_options.get(STREAM):
            return self._dbapi_connection.cursor(f"stream_{next(self._names)}")
        return super().create_default_cursor()


class StoreDialect(PGDialect_psycopg):
    """SQLAlchemy's dialect, with the store's spelling of types."""

    supports_statement_cache = True
    ddl_compiler = _Definitions
    type_compiler_cls = _Types
    execution_ctx_cls = _Context
    colspecs = {**PGDialect_psycopg.colspecs, JSON: JsonText}


registry.register("postgresql.shelfwise", __name__, "StoreDialect")


class PostgreSQL:
    """A database of a PostgreSQL server."""

    driver_errors: tuple[type[Exception], ...] = (psycopg.Error,)
    shares = True

    def __init__(self, address: Address, patience_seconds: float) -> None:
        """Name the database; nothing is connected yet."""
        self.address = address
        self.patience_seconds = patience_seconds

    def engine(self) -> Engine:
        """Return a pool of connections that are tried before they are used again."""
        return create_engine(
            "postgresql+shelfwise://",
            creator=self._connect,
            poolclass=QueuePool,
            pool_size=8,
            max_overflow=-1,
            pool_pre_ping=True,
        )

    def _connect(self) -> psycopg.Connection[Any]:
        address = self.address
        named = {"host": address.host, "port": address.port, "user": address.user, "password": address.password}
        given: dict[str, Any] = {name: value for name, value in named.items() if value}
        defaults: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS, "application_name": "shelfwise"}
        raw = psycopg.connect(**{**defaults, **dict(address.options), **given, "dbname": address.name})
        if raw.info.server_version < OLDEST:
            version = raw.info.server_version // 10_000
            raw.close()
            raise StorageError(f"{address}: the server is PostgreSQL {version}; Shelfwise needs {OLDEST // 10_000}")
        # A query that is read in parts is read to its end. A machine that lost its power ends no connection: the server
        # asks after it, so that its turn is free within two minutes.
        raw.execute(
            "SELECT set_config('cursor_tuple_fraction', '1', false), set_config('client_encoding', 'UTF8', false), "
            "set_config('tcp_keepalives_idle', '60', false), set_config('tcp_keepalives_interval', '15', false), "
            "set_config('tcp_keepalives_count', '4', false)"
        )
        raw.commit()
        return raw

    def exists(self) -> bool:
        """Return True: only the server can tell."""
        return True

    @contextlib.contextmanager
    def reading(self, connection: Connection) -> Iterator[None]:
        """Begin, and choose the state by a first look at it."""
        connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with connection.begin():
            connection.execute(select(1))
            yield

    @contextlib.contextmanager
    def writing(self, connection: Connection) -> Iterator[None]:
        """Begin, and wait for the turn."""
        connection.execution_options(isolation_level="READ COMMITTED", postgresql_readonly=False)
        with connection.begin():
            connection.execute(
                text("SELECT set_config('lock_timeout', :wait, true)"),
                {"wait": str(max(1, round(self.patience_seconds * 1000)))},
            )
            try:
                _raw(connection).execute("SELECT pg_advisory_xact_lock(%s)", [_TURN])
            except psycopg.errors.LockNotAvailable as error:
                raise NoTurn from error
            yield

    @contextlib.contextmanager
    def beside(self, connection: Connection) -> Iterator[None]:
        """Begin; each statement sees what was committed before it."""
        connection.execution_options(isolation_level="READ COMMITTED", postgresql_readonly=False)
        with connection.begin():
            yield

    def clock(self, connection: Connection) -> int:
        """Ask the server, in UTC and whatever the session's zone."""
        return int(connection.scalar(text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")))

    def migrating(self, connection: Connection) -> contextlib.AbstractContextManager[None]:
        """Write: a change of the schema is a transaction like others."""
        return self.writing(connection)

    def step(self, connection: Connection, revision: str) -> contextlib.AbstractContextManager[None]:
        """Do nothing: a migration is one transaction."""
        return contextlib.nullcontext()

    def unfinished(self, connection: Connection) -> str | None:
        """Return None: a migration is one transaction."""
        return None

    def table_names(self, connection: Connection) -> set[str]:
        """Return the names of the tables in the schema that is written to."""
        query = "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = current_schema()"
        return set(connection.scalars(text(query)))

    @contextlib.contextmanager
    def staging(self, connection: Connection, frames: Mapping[str, Encoded]) -> Iterator[Mapping[str, FromClause]]:
        """Copy the frames into temporary tables, which outlive the transactions of this connection."""
        tables = {name: encoded.table(f"bulk_{name}") for name, encoded in frames.items()}
        try:
            with connection.begin():
                for name, target in tables.items():
                    target.create(connection, checkfirst=False)
                    _copy(connection, target, frames[name].rows)
            yield tables
        finally:
            try:
                with connection.begin():
                    for target in tables.values():
                        connection.execute(text(f"DROP TABLE IF EXISTS pg_temp.{target.name}"))
            except Exception:  # whatever became of it: this connection is not used again, and its tables go with it
                connection.invalidate()

    def fill(self, connection: Connection, target: Table, rows: Iterable[Sequence[Any]]) -> None:
        """Copy the rows."""
        with _raw(connection).cursor() as cursor, cursor.copy(_copy_statement(target)[0]) as copy:
            for row in rows:
                copy.write_row(row)

    def load(self, connection: Connection, target: Table, rows: Iterable[Sequence[Any]]) -> None:
        """Copy the rows, and set the sequence of the key."""
        self.fill(connection, target, rows)
        _set_back(connection, target)

    def drop_temporary(self, connection: Connection, name: str) -> None:
        """Drop the table, never one that stays."""
        connection.execute(text(f"DROP TABLE pg_temp.{name}"))

    @contextlib.contextmanager
    def keys(
        self, connection: Connection, batch: Staged, code_column: str, ids: Sequence[int]
    ) -> Iterator[ColumnElement[int]]:
        """Pick from an array: as quick as a sum, and rows stay in their order, which a join could change."""
        array = Grouping(sql_cast(list(ids), ARRAY(Integer)))
        yield cast(ColumnElement[int], array[batch.columns[code_column] + 1])

    def insert_new(self, connection: Connection, target: Table, values: Mapping[str, Any], source: FromClause) -> int:
        """Leave rows that break a uniqueness rule out."""
        statement = postgresql_insert(target).from_select(list(values), rows_of(values, source))
        statement = statement.on_conflict_do_nothing()
        inserted = connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount
        _set_back(connection, target)
        return inserted

    def upsert(
        self,
        connection: Connection,
        target: Table,
        source: Select[Any] | pl.DataFrame,
        key: Sequence[str],
        rules: Mapping[str, Any],
    ) -> None:
        """Insert, and update on a conflict of the key."""
        statement = postgresql_insert(target)
        if isinstance(source, Select):
            statement = statement.from_select([str(c.name) for c in source.selected_columns], source)
        changes = {name: rule(statement.excluded[name], target.c[name]) for name, rule in rules.items()}
        statement = statement.on_conflict_do_update(index_elements=list(key), set_=changes)
        if isinstance(source, Select):
            connection.execute(statement)
        else:
            connection.execute(statement, source.to_dicts())
        _set_back(connection, target)

    def way_out(self, error: BaseException) -> str:
        """Read the code of the server's error; without one there was no connection."""
        code = getattr(error, "sqlstate", None) or ""
        said = " ".join(str(error).split())
        way_out = _denied(said) if code == "42501" else _WAYS_OUT.get(code) or _WAYS_OUT.get(code[:2])
        if way_out:
            return way_out if code.startswith(("28", "3D")) else f"{way_out} ({said})"
        if not code and isinstance(error, psycopg.OperationalError):
            return _no_connection(said)
        return f"the database refuses: {said}; nothing of this step was kept"

    def gave_way(self, error: BaseException) -> bool:
        """Read the code of the server's error."""
        return (getattr(error, "sqlstate", None) or "").startswith("40")

    def clean(self) -> None:
        """Do nothing: the server drops temporary tables with their connection."""


def _denied(said: str) -> str:
    """Name the right that is missing.

    >>> _denied("permission denied for schema shop")
    "this user may not do that; let the database's owner grant it: GRANT USAGE, CREATE ON SCHEMA shop TO USER"
    """
    for pattern, grant in _RIGHTS:
        found = re.search(pattern, said)
        if found:
            named = grant.format(found.group(1).strip('"'))
            return f"this user may not do that; let the database's owner grant it: {named}"
    if "must be owner" in said:
        return (
            "this user may not do that: only the owner of the tables may change their form; run `shelfwise db migrate` "
            "as that user, or let it GRANT OWNER TO USER"
        )
    return "this user may not do that; let the database's owner grant it"


def _no_connection(said: str) -> str:
    """Read the driver's words where no server gave a code."""
    for words, way_out in (
        ("password authentication failed", _WAYS_OUT["28P01"]),
        ("no password supplied", _WAYS_OUT["28P01"]),
        ("pg_hba.conf", _WAYS_OUT["28"]),
        ('FATAL: role "', _WAYS_OUT["28"]),
        ("does not exist", _WAYS_OUT["3D000"]),
        ("too many clients", _WAYS_OUT["53300"]),
        ("remaining connection slots", _WAYS_OUT["53300"]),
        ("starting up", _WAYS_OUT["57P03"]),
        ("shutting down", _WAYS_OUT["57P03"]),
    ):
        if words in said:
            return way_out
    if any(words in said for words in ("connection failed", "could not translate", "resolve", "timeout expired")):
        return f"the server cannot be reached ({said}); check that it runs, and host and port of the address"
    return f"{_WAYS_OUT['08']} ({said})"


def _raw(connection: Connection) -> psycopg.Connection[Any]:
    raw = connection.connection.driver_connection
    if not isinstance(raw, psycopg.Connection):  # pragma: no cover  (the engine is made above, for psycopg)
        raise StorageError("no psycopg connection")
    return raw


def _copy_statement(target: Table) -> tuple[str, str]:
    name = f"{target.name} ({', '.join(target.columns.keys())})"
    return f"COPY {name} FROM STDIN", f"COPY {name} FROM STDIN (FORMAT csv)"


def _copy(connection: Connection, target: Table, rows: pl.DataFrame) -> None:
    with _raw(connection).cursor() as cursor, cursor.copy(_copy_statement(target)[1]) as copy:
        for part in rows.iter_slices(_ROWS_A_CHUNK):
            # Texts in quotes, nulls without: so the empty text and null are two things.
            copy.write(part.write_csv(include_header=False, quote_style="non_numeric", null_value=""))


def _set_back(connection: Connection, target: Table) -> None:
    """Let the next key be the highest one plus 1."""
    key = target.autoincrement_column
    if key is not None:
        highest = func.max(key)
        connection.execute(
            select(
                func.setval(
                    func.pg_get_serial_sequence(target.name, key.name), func.coalesce(highest, 1), highest.is_not(None)
                )
            ).select_from(target)
        )
