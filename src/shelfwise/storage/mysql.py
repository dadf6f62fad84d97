"""MariaDB 10.6 and newer and MySQL 8.0.19 and newer, through PyMySQL.

**The turn** is a lock of the connection (``GET_LOCK``), taken before the transaction begins and let go after it has
ended; it goes with the connection where the process is killed. Each server has its own, so all writers of a shop must
use the same one of a cluster. Readers are ``REPEATABLE READ`` with a snapshot from the start.

**Bulk frames** are loaded with ``LOAD DATA LOCAL`` into temporary tables, which the server drops with the connection;
with inserts of many rows where the server does not allow it. Rows get their keys from their place in the frame, because
a line that is there already would use a number up, and an import repeated each hour would run out of them.

**Texts** compare and sort by their bytes, blanks at the end included, in a collation that the two servers name
differently. JSON is kept as the text it was given as: MySQL's own type sorts keys and knows no NaN.

**A change of the schema** commits by itself here. The step under way is noted in `STEP_TABLE`; a step that was cut off
is run again from its start, passing over what is there already, and its end and its note are one transaction.

Above 400 lines because the numbers of the server's errors and the way out of each stand beside what raises them.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any, Final

import polars as pl
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    LargeBinary,
    MetaData,
    Select,
    Table,
    create_engine,
    func,
    literal,
    select,
    text,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.mysql import insert as mysql_insert
from sqlalchemy.dialects.mysql.base import MySQLDDLCompiler, MySQLTypeCompiler
from sqlalchemy.dialects.mysql.mysqldb import MySQLExecutionContext_mysqldb
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.pool import QueuePool
from sqlalchemy.types import JSON

from shelfwise.domain.addresses import Address
from shelfwise.domain.errors import ParameterError, StorageError
from shelfwise.storage.dialects import GAVE_WAY, STREAM, NoTurn, rows_of
from shelfwise.storage.json_text import JsonText
from shelfwise.storage.staging import Encoded, Staged

try:
    import pymysql
    from pymysql.constants import CLIENT
except ImportError as error:  # pragma: no cover  (tested in a process that lacks it)
    raise StorageError(
        "a MySQL or MariaDB database needs its driver, PyMySQL; install it: pip install 'shelfwise[mysql]'"
    ) from error

OLDEST_MARIADB: Final = (10, 6, 0)
OLDEST_MYSQL: Final = (8, 0, 19)
STEP_TABLE: Final = "schema_step"
_COLLATIONS: Final = {True: "utf8mb4_nopad_bin", False: "utf8mb4_0900_bin"}  # by whether it is MariaDB
_RESUMING: Final = "shelfwise_resuming"
_ROW: Final = "row_number_"
_KEY_DIGITS: Final = 10
_ROWS_A_CHUNK: Final = 50_000
_ROWS_AN_INSERT: Final = 5_000
_CONNECT_SECONDS: Final = 10
_LONGEST_CONNECT_SECONDS: Final = 3_600
_LONGEST_PAUSE_SECONDS: Final = 600  # between two statements of a transaction
_TURN_SECONDS: Final = 10  # one wait for the turn; short against the time after which a server drops idle connections

# What a step that is run again meets: tables, columns, indexes and references that are there, or gone, already.
_DONE_ALREADY: Final = frozenset({1022, 1050, 1051, 1054, 1060, 1061, 1091, 1146, 1826})
_NO_LOCAL_FILES: Final = frozenset({1148, 3948, 4166})
_LOST: Final = frozenset({0, 2006, 2013, 2014, 2055, 1053, 1927, 4031})

_GRANT: Final = "this user may not do that; let an administrator grant it: GRANT ALL ON NAME.* TO USER"
_ENDED: Final = frozenset({1020, 1213})

_WAYS_OUT: Final = {
    1045: "the server does not let this user in; check user and password, which SHELFWISE_DATABASE_PASSWORD or the "
    "file of SHELFWISE_DATABASE_PASSWORD_FILE can give",
    1698: "the server does not let this user in without being that user of its own machine; name another user",
    1044: "this user may not use that database; let an administrator grant it: GRANT ALL ON NAME.* TO USER",
    1049: "there is no such database on the server; make it first: CREATE DATABASE NAME",
    1142: f"{_GRANT}; `shelfwise order`, `risk` and `excess` keep the plan they show, so they write, too",
    1143: f"{_GRANT}",
    1227: "this user may not do that; let an administrator grant it",
    1021: "the server's disk is full; free some space and repeat, nothing of this step was kept",
    1114: "the server's disk or a table is full; free some space and repeat, nothing of this step was kept",
    1026: "the server cannot write; check its disk and repeat, nothing of this step was kept",
    1040: "the server has no free connection; close some, or raise its max_connections",
    1203: "this user has no free connection; close some, or raise max_user_connections",
    1153: "one value is larger than the server takes at once; raise it there: SET GLOBAL max_allowed_packet = 67108864",
    1205: "another program has locked what this step needs; nothing of it was kept, run it again",
    1213: GAVE_WAY,
    1020: GAVE_WAY,
    1290: "the server may only be read; name the primary, not a replica",
    1792: "the server may only be read; name the primary, not a replica",
    1836: "the server may only be read; name the primary, not a replica",
    2002: "the server cannot be reached; check that it runs, and host and port of the address",
    2003: "the server cannot be reached; check that it runs, and host and port of the address",
    2005: "the server cannot be reached; check host and port of the address",
}


class _Types(MySQLTypeCompiler):
    def visit_TEXT(self, type_: Any, **kw: Any) -> str:
        return "LONGTEXT"  # a plain TEXT ends at 64 KiB

    def visit_JSON(self, type_: Any, **kw: Any) -> str:
        return "LONGTEXT"


class _Definitions(MySQLDDLCompiler):
    def post_create_table(self, table: Table) -> str:
        collation = _COLLATIONS[bool(self.dialect.is_mariadb)]
        return f" ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE={collation}"


class _Context(MySQLExecutionContext_mysqldb):
    def create_default_cursor(self) -> Any:
        if self.execution_options.get(STREAM):
            return self._dbapi_connection.cursor(pymysql.cursors.SSCursor)
        return super().create_default_cursor()


class StoreDialect(MySQLDialect_pymysql):
    """SQLAlchemy's dialect, with the store's spelling of types and steps of the schema that can be repeated."""

    supports_statement_cache = True
    ddl_compiler = _Definitions
    type_compiler_cls = _Types
    execution_ctx_cls = _Context
    colspecs = {**MySQLDialect_pymysql.colspecs, JSON: JsonText}

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Execute; while a step is resumed, pass over what was done before it was cut off."""
        try:
            super().do_execute(cursor, statement, parameters, context)  # type: ignore[no-untyped-call]
        except pymysql.err.MySQLError as error:
            resuming = context is not None and context.execution_options.get(_RESUMING)
            if not resuming or _number(error) not in _DONE_ALREADY:
                raise


registry.register("mysql.shelfwise", __name__, "StoreDialect")


class MySQL:
    """A database of a MariaDB or MySQL server."""

    driver_errors: tuple[type[Exception], ...] = (pymysql.err.MySQLError,)
    shares = True

    def __init__(self, address: Address, patience_seconds: float) -> None:
        """Name the database; nothing is connected yet."""
        self.address = address
        self.patience_seconds = patience_seconds
        self._lock = f"shelfwise:{sha256(address.name.encode()).hexdigest()[:40]}"

    def engine(self) -> Engine:
        """Return a pool of connections that are tried before they are used again."""
        return create_engine(
            "mysql+shelfwise://",
            creator=self._connect,
            poolclass=QueuePool,
            pool_size=8,
            max_overflow=-1,
            pool_pre_ping=True,
        )

    def _connect(self) -> pymysql.Connection[Any]:
        address = self.address
        options = dict(address.options)
        local_files = options.pop("local_infile", "1") != "0"
        said = options.pop("connect_timeout", str(_CONNECT_SECONDS))
        if not said.isdecimal() or not 1 <= int(said) <= _LONGEST_CONNECT_SECONDS:
            raise ParameterError(
                f"{address}: connect_timeout must be whole seconds from 1 to {_LONGEST_CONNECT_SECONDS}, got {said!r}"
            )
        connect_seconds = int(said)
        known = {"unix_socket", "ssl_ca", "ssl_cert", "ssl_key", "ssl_verify_cert", "ssl_verify_identity"}
        if not known.issuperset(options):
            wrong = min(set(options) - known)
            raise ParameterError(
                f"{address}: there is no option {wrong!r}; the options are connect_timeout, local_infile, "
                f"{', '.join(sorted(known))}"
            )
        given: dict[str, Any] = {name: value for name, value in options.items() if name in known}
        if address.user:
            given["user"] = address.user
        try:
            raw = pymysql.connect(
                host=address.host or "localhost",
                port=address.port or 3306,
                password=address.password or "",
                database=address.name,
                charset="utf8mb4",
                local_infile=local_files,
                connect_timeout=connect_seconds,
                read_timeout=connect_seconds,  # of the greeting: another program on that port may wait for us to speak
                client_flag=CLIENT.FOUND_ROWS,
                **given,
            )
            raw._read_timeout = None  # from here on a statement may take its time
        except pymysql.err.MySQLError as error:
            if _number(error) not in _LOST and "Packet sequence number" not in str(error):
                raise
            raise StorageError(
                f"{address}: no MariaDB or MySQL server answered there within {connect_seconds} s"
                f"{_in_brackets(error)}; check that it runs, and host and port of the address (a slow one: add "
                "?connect_timeout=60)"
            ) from error
        except OSError as error:  # what it says of the connection, PyMySQL puts into words of its own
            raise StorageError(
                f"{address}: the files of ssl_ca, ssl_cert and ssl_key cannot be used ({error}); name files of this "
                "machine in the form PEM"
            ) from error
        except RuntimeError as error:  # PyMySQL's word for a missing package
            raise StorageError(
                f"{address}: {error}; install it (pip install cryptography), or connect with TLS: "
                "add ?ssl_ca=FILE to the address"
            ) from error
        mariadb, version = _version(raw.get_server_info())
        if version < (OLDEST_MARIADB if mariadb else OLDEST_MYSQL):
            raw.close()
            raise StorageError(
                f"{address}: the server is {'MariaDB' if mariadb else 'MySQL'} {'.'.join(map(str, version))}; "
                "Shelfwise needs MariaDB 10.6 or MySQL 8.0.19"
            )
        seconds = max(1, round(self.patience_seconds))
        with raw.cursor() as cursor:
            cursor.execute(
                "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', "
                "time_zone = '+00:00', "
                f"innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds}"
                # A machine that lost its power ends no connection, and would keep the turn until the server noticed.
                f"{f', idle_transaction_timeout = {_LONGEST_PAUSE_SECONDS}' if mariadb else ''}"
            )
            cursor.execute(f"SET NAMES utf8mb4 COLLATE {_COLLATIONS[mariadb]}")
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return raw

    def exists(self) -> bool:
        """Return True: only the server can tell."""
        return True

    @contextlib.contextmanager
    def reading(self, connection: Connection) -> Iterator[None]:
        """Begin with a snapshot."""
        with connection.begin():
            _run(connection, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            yield

    @contextlib.contextmanager
    def writing(self, connection: Connection) -> Iterator[None]:
        """Wait for the turn, and begin."""
        with self._turn(connection), connection.begin():
            _run(connection, "START TRANSACTION")
            yield

    @contextlib.contextmanager
    def beside(self, connection: Connection) -> Iterator[None]:
        """Begin with locks on rows alone: the usual isolation also locks the gaps between them."""
        with connection.begin():
            _run(connection, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            _run(connection, "START TRANSACTION")
            yield

    def clock(self, connection: Connection) -> int:
        """Ask the server, in UTC and whatever the session's zone."""
        return int(_run(connection, "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))")[0][0])

    def migrating(self, connection: Connection) -> contextlib.AbstractContextManager[None]:
        """Write; each statement on the schema commits by itself."""
        return self.writing(connection)

    @contextlib.contextmanager
    def _turn(self, connection: Connection) -> Iterator[None]:
        deadline = time.monotonic() + self.patience_seconds
        wait = 0
        while not _run(connection, "SELECT GET_LOCK(%s, %s)", self._lock, wait)[0][0]:
            left = deadline - time.monotonic()
            if left <= 0:
                raise NoTurn
            wait = min(_TURN_SECONDS, int(left))
            if wait == 0:  # MySQL rounds parts of a second
                time.sleep(min(left, 0.02))
        try:
            yield
        finally:
            # Where the connection is lost, so is the lock.
            with contextlib.suppress(*self.driver_errors):
                _run(connection, "SELECT RELEASE_LOCK(%s)", self._lock)

    @contextlib.contextmanager
    def step(self, connection: Connection, revision: str) -> Iterator[None]:
        """Note the step before it begins; its end and the end of the note are one transaction."""
        cut_off = self.unfinished(connection)
        connection.execute(text(f"CREATE TABLE IF NOT EXISTS {STEP_TABLE} (step VARCHAR(32) NOT NULL PRIMARY KEY)"))
        connection.execute(text(f"REPLACE INTO {STEP_TABLE} VALUES (:step)"), {"step": revision})  # noqa: S608  (ours)
        _run(connection, "COMMIT")
        connection.execution_options(**{_RESUMING: cut_off == revision})
        yield
        connection.execution_options(**{_RESUMING: False})
        connection.execute(text(f"DELETE FROM {STEP_TABLE}"))  # noqa: S608  (ours)
        _run(connection, "COMMIT")

    def unfinished(self, connection: Connection) -> str | None:
        """Return the step that was noted and never ended."""
        if STEP_TABLE not in self._all_tables(connection):
            return None
        found: str | None = connection.scalar(text(f"SELECT step FROM {STEP_TABLE}"))  # noqa: S608  (ours)
        return found

    def table_names(self, connection: Connection) -> set[str]:
        """Return the names of all tables but the one that notes steps."""
        return self._all_tables(connection) - {STEP_TABLE}

    def _all_tables(self, connection: Connection) -> set[str]:
        query = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
        return set(connection.scalars(text(query)))

    @contextlib.contextmanager
    def staging(self, connection: Connection, frames: Mapping[str, Encoded]) -> Iterator[Mapping[str, FromClause]]:
        """Load the frames into temporary tables, which know the place of each row."""
        tables: dict[str, Table] = {}
        for name, encoded in frames.items():
            columns = [Column(_ROW, BigInteger, primary_key=True, autoincrement=True)]
            columns += [column._copy() for column in encoded.table(name).columns]
            tables[name] = Table(f"bulk_{name}", MetaData(), *columns, prefixes=["TEMPORARY"])
        try:
            with connection.begin():
                for name, target in tables.items():
                    target.create(connection, checkfirst=False)
                    self._load(connection, target, frames[name].rows)
            yield tables
        finally:
            try:
                for target in tables.values():
                    _run(connection, f"DROP TEMPORARY TABLE IF EXISTS {target.name}")
            except Exception:  # whatever became of it: this connection is not used again, and its tables go with it
                connection.invalidate()

    def _load(self, connection: Connection, target: Table, rows: pl.DataFrame) -> None:
        """Load rows from a file that has no name, so that nothing is left of it wherever the process ends."""
        if not rows.height:
            return
        with tempfile.TemporaryFile() as file:
            for part in rows.iter_slices(_ROWS_A_CHUNK):
                # Texts in quotes; the bare word NULL is null.
                file.write(part.write_csv(include_header=False, quote_style="non_numeric", null_value="NULL").encode())
            file.seek(0)
            columns = ", ".join(f"`{name}`" for name in rows.columns)
            statement = (
                f"LOAD DATA LOCAL INFILE '/dev/fd/{file.fileno()}' INTO TABLE {target.name} CHARACTER SET utf8mb4 "
                "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' LINES TERMINATED BY '\\n' "
                f"({columns})"
            )
            cursor = _raw(connection).cursor()
            try:
                loaded = cursor.execute(statement)
            except pymysql.err.MySQLError as error:
                if _number(error) not in _NO_LOCAL_FILES:
                    raise
                logging.getLogger("shelfwise").warning(
                    "%s: the server takes no LOAD DATA LOCAL, so rows are sent by inserts, which takes several times "
                    "as long; allow it there: SET GLOBAL local_infile = 1",
                    self.address,
                )
                self._insert(connection, target, rows.columns, rows.iter_rows())
                return
            # LOCAL turns what is wrong with a cell into a warning and stores something else.
            warned = _run(connection, "SHOW WARNINGS")
            if warned or loaded != rows.height:
                raise StorageError(
                    f"{self.address}: {loaded:,} of {rows.height:,} rows could be loaded as they are"
                    f"{f' ({warned[0][2]})' if warned else ''}; nothing of this step was kept"
                )

    def fill(self, connection: Connection, target: Table, rows: Iterable[Sequence[Any]]) -> None:
        """Insert many rows with each statement."""
        self._insert(connection, target, target.columns.keys(), rows)

    def _insert(
        self, connection: Connection, target: Table, columns: Iterable[str], rows: Iterable[Sequence[Any]]
    ) -> None:
        names = list(columns)
        statement = (
            f"INSERT INTO `{target.name}` ({', '.join(f'`{name}`' for name in names)}) "  # noqa: S608  (our own names)
            f"VALUES ({', '.join(['%s'] * len(names))})"
        )
        with _raw(connection).cursor() as cursor:
            left = iter(rows)
            while part := list(islice(left, _ROWS_AN_INSERT)):
                cursor.executemany(statement, part)

    def load(self, connection: Connection, target: Table, rows: Iterable[Sequence[Any]]) -> None:
        """Insert many rows with each statement; the server's own keys go on from the highest by themselves."""
        self.fill(connection, target, rows)

    def drop_temporary(self, connection: Connection, name: str) -> None:
        """Drop the table, never one that stays, and without the commit that a plain drop would bring."""
        connection.execute(text(f"DROP TEMPORARY TABLE {name}"))

    @contextlib.contextmanager
    def keys(
        self, connection: Connection, batch: Staged, code_column: str, ids: Sequence[int]
    ) -> Iterator[ColumnElement[int]]:
        """Pick digits from one long text of keys: MySQL has no arrays, and lets a query name a temporary table once."""
        packed = literal("".join(f"{key:0{_KEY_DIGITS}}" for key in ids).encode(), LargeBinary())
        place = batch.columns[code_column] * _KEY_DIGITS + 1
        yield sql_cast(func.substring(packed, place, _KEY_DIGITS), BigInteger)

    def insert_new(self, connection: Connection, target: Table, values: Mapping[str, Any], source: FromClause) -> int:
        """Leave rows that break a uniqueness rule out; count by keys, because the server counts what was left out."""
        key = target.autoincrement_column
        if key is None:
            raise ParameterError(f"{target.name} has no key that grows; upsert into it")
        last = int(connection.scalar(select(func.max(key))) or 0)
        # Keys are always given: the server's own go on from the highest it was ever shown, that of a duplicate, too.
        place = source.c[_ROW] if _ROW in source.c else func.row_number().over()
        columns = {key.name: place + last, **values}
        query = rows_of(columns, source)
        if _ROW in source.c:
            query = query.order_by(place)
        # A row that is there becomes what it was; IGNORE would pass over other errors, too.
        statement = mysql_insert(target).from_select(list(columns), query)
        connection.execute(statement.on_duplicate_key_update({key.name: target.c[key.name]}))
        return int(connection.scalar(select(func.count()).select_from(target).where(key > last)) or 0)

    def upsert(
        self,
        connection: Connection,
        target: Table,
        source: Select[Any] | pl.DataFrame,
        key: Sequence[str],
        rules: Mapping[str, Any],
    ) -> None:
        """Insert, and update on a conflict of the key, which is the only one such a table has."""
        statement = mysql_insert(target)
        if isinstance(source, Select):
            fresh = source.subquery("fresh")  # apart, so that its columns and those of the target are not mixed up
            statement = statement.from_select([c.name for c in fresh.c], select(*fresh.c))
        changes = {name: rule(statement.inserted[name], target.c[name]) for name, rule in rules.items()}
        statement = statement.on_duplicate_key_update(changes)
        if isinstance(source, Select):
            connection.execute(statement)
        else:
            connection.execute(statement, source.to_dicts())

    def way_out(self, error: BaseException) -> str:
        """Read the number of the server's or the driver's error."""
        number, said = _number(error), _said(error)
        if number in _WAYS_OUT:
            return f"{_WAYS_OUT[number]}{_in_brackets(error)}"
        if number in _LOST:
            return (
                "the connection to the server was lost; run the step again, what was kept already counts once "
                f"(a value larger than the server's max_allowed_packet looks like this, too){_in_brackets(error)}"
            )
        if "errno: 28" in said or "No space left" in said:
            return _WAYS_OUT[1021]
        return f"the database refuses: {said}; nothing of this step was kept"

    def gave_way(self, error: BaseException) -> bool:
        """Read the number of the server's error."""
        return _number(error) in _ENDED

    def clean(self) -> None:
        """Do nothing: the server drops temporary tables with their connection."""


def _said(error: BaseException) -> str:
    return " ".join(str(error.args[-1] if error.args else error).split())


def _in_brackets(error: BaseException) -> str:
    """Return what the server said; a connection that was killed says nothing."""
    said = _said(error)
    return f" ({said})" if said else ""


def _number(error: BaseException) -> int:
    return error.args[0] if error.args and isinstance(error.args[0], int) else -1


def _version(said: str) -> tuple[bool, tuple[int, ...]]:
    """Read a server's version.

    >>> _version("5.5.5-10.11.19-MariaDB-0+deb12u1"), _version("8.0.36-0ubuntu0.22.04.1")
    ((True, (10, 11, 19)), (False, (8, 0, 36)))
    """
    mariadb = "mariadb" in said.lower()
    numbers = said.removeprefix("5.5.5-") if mariadb else said
    return mariadb, tuple(int(part) for part in numbers.split("-")[0].split(".")[:3])


def _raw(connection: Connection) -> pymysql.Connection[Any]:
    raw = connection.connection.driver_connection
    if not isinstance(raw, pymysql.Connection):  # pragma: no cover  (the engine is made above, for PyMySQL)
        raise StorageError("no PyMySQL connection")
    return raw


def _run(connection: Connection, statement: str, *values: Any) -> Sequence[Sequence[Any]]:
    """Run a statement beside SQLAlchemy's transaction; a connection that was interrupted in it is of no more use."""
    try:
        with _raw(connection).cursor() as cursor:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall())
    except (KeyboardInterrupt, SystemExit):
        connection.invalidate()
        raise
