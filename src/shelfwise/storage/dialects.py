"""What differs between databases, behind one contract; the modules beside it speak portable SQLAlchemy Core.

A dialect is one file that implements `Dialect`, and one line in `DIALECTS`.

Three rules hold on each, and the storage modules are written against them:

* **One writer at a time.** Whoever writes holds the turn from its first look to its commit, so keys grow, and rows
  with a key above the highest one before are the fresh ones. The one exception are workers, which claim and lease
  single rows of the table of jobs beside the turn (`Database.write_beside`) and never wait for a row that is locked.
* **A reader sees one state** for as long as it is open and never waits for the writer.
* **A write is kept whole or not at all**, also when its process is killed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any, Final, Protocol

import polars as pl
from sqlalchemy import ColumnElement, Connection, Engine, FromClause, Select, Table, select, true

from shelfwise.domain.addresses import Address
from shelfwise.domain.errors import StorageError
from shelfwise.storage.staging import Encoded, Staged

# Kind of address: module and class. Loaded when such a database is opened, so that nobody needs another's driver.
DIALECTS: Final = {
    "sqlite": ("shelfwise.storage.sqlite", "SQLite"),
    "postgresql": ("shelfwise.storage.postgresql", "PostgreSQL"),
    "mysql": ("shelfwise.storage.mysql", "MySQL"),
}

STREAM: Final = "shelfwise_stream"
"""Option of a query whose rows are read from the driver's own cursor: the server must not send them all at once."""

GAVE_WAY: Final = (
    "the server ended this step because it and another one waited for each other; Shelfwise's own writes take turns, "
    "so the other was a migration of this shop or another program; nothing of this step was kept, run it again"
)
"""The way out of a deadlock."""

_INFO: Final = "shelfwise.dialect"


class NoTurn(Exception):
    """Another write held the database for longer than this one was ready to wait."""


class Dialect(Protocol):
    """One opened database, as its own kind needs it.

    ``patience_seconds`` is how long a step waits for others before it raises `NoTurn`.
    """

    address: Address
    patience_seconds: float
    driver_errors: tuple[type[Exception], ...]
    """What the driver raises where SQLAlchemy does not stand in between."""
    shares: bool
    """Whether a transaction beside the one that holds the writers' turn can write other rows."""

    def __init__(self, address: Address, patience_seconds: float) -> None: ...

    def engine(self) -> Engine:
        """Return the pool of connections, each ready for `reading` and `writing`."""

    def exists(self) -> bool:
        """Return whether there may be a shop at the address; only looks where no connection is needed."""

    def reading(self, connection: Connection) -> AbstractContextManager[None]:
        """Begin a transaction that sees one state, and end it."""

    def writing(self, connection: Connection) -> AbstractContextManager[None]:
        """Take the writers' turn, begin a transaction, and commit it; or roll it back after an exception."""

    def beside(self, connection: Connection) -> AbstractContextManager[None]:
        """Begin a transaction that locks single rows and takes no turn, and commit it, where ``shares`` is true."""

    def clock(self, connection: Connection) -> int:
        """Return the database host's time, microseconds since 1970 in UTC."""

    def migrating(self, connection: Connection) -> AbstractContextManager[None]:
        """As `writing`, for a change of the schema."""

    def step(self, connection: Connection, revision: str) -> AbstractContextManager[None]:
        """Hold one step of a migration, so that a later run knows if it was cut off in the middle."""

    def unfinished(self, connection: Connection) -> str | None:
        """Return the step of a migration that was cut off and has to be finished; None if there is none."""

    def table_names(self, connection: Connection) -> set[str]:
        """Return the names of all tables; asked outside and inside of transactions."""

    def staging(
        self, connection: Connection, frames: Mapping[str, Encoded]
    ) -> AbstractContextManager[Mapping[str, FromClause]]:
        """Put frames where only this connection sees them, before its write takes the turn."""

    def fill(self, connection: Connection, target: Table, rows: Iterable[Sequence[Any]]) -> None:
        """Write rows into a temporary table."""

    def load(self, connection: Connection, target: Table, rows: Iterable[Sequence[Any]]) -> None:
        """Write rows with their keys into an empty table that stays; keys go on from the highest of them."""

    def drop_temporary(self, connection: Connection, name: str) -> None:
        """Drop a temporary table."""

    def keys(
        self, connection: Connection, batch: Staged, code_column: str, ids: Sequence[int]
    ) -> AbstractContextManager[ColumnElement[int]]:
        """Give the expression that turns the staged positions of ``code_column`` into ``ids`` (one for each code)."""

    def insert_new(self, connection: Connection, target: Table, values: Mapping[str, Any], source: FromClause) -> int:
        """Insert a row of ``values`` for each row of ``source``, in its order; see `database.insert_new`."""

    def upsert(
        self,
        connection: Connection,
        target: Table,
        source: Select[Any] | pl.DataFrame,
        key: Sequence[str],
        rules: Mapping[str, Any],
    ) -> None:
        """Insert rows; on an equal ``key`` set each column of ``rules`` to ``rule(new, old)``."""

    def way_out(self, error: BaseException) -> str:
        """Return what the driver's error means and what to do."""

    def gave_way(self, error: BaseException) -> bool:
        """Return whether the server ended a transaction for another one's sake (a deadlock), so that it can be redone.

        It cannot happen among writes, which take turns, nor between a write and a reader, who takes no row locks: only
        to a migration, which needs whole tables that readers hold, and beside other programs.
        """

    def clean(self) -> None:
        """Remove what killed processes may have left; called once when a database is opened."""


def dialect_at(address: Address, patience_seconds: float) -> Dialect:
    """Return the dialect of an address."""
    module, name = DIALECTS[address.kind]
    made: Dialect = getattr(import_module(module), name)(address, patience_seconds)
    return made


def mark(dialect: Dialect, info: dict[Any, Any]) -> None:
    """Note on a connection which dialect it speaks."""
    info[_INFO] = dialect


def dialect_of(connection: Connection) -> Dialect:
    """Return the dialect that a connection speaks."""
    found: Dialect | None = connection.info.get(_INFO)
    if found is None:
        raise StorageError("this connection was not given by Database.read or Database.write; use one that was")
    return found


def rows_of(values: Mapping[str, Any], source: FromClause) -> Select[Any]:
    """Return the query that gives a row of ``values`` for each row of ``source``."""
    # SQLite reads ON CONFLICT behind a bare FROM as the condition of a join; any WHERE ends the doubt.
    return select(*values.values()).select_from(source).where(true())
