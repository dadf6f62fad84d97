"""A fresh database of each kind for a test, quickly made and wholly gone afterwards.

A server gets one database for each worker of the test run, with the tables made once; each test finds them empty. The
server's address is in SHELFWISE_TEST_POSTGRESQL_URL or SHELFWISE_TEST_MYSQL_URL and names any database on it, from
which others can be made.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from shelfwise.domain.addresses import Address
from shelfwise.storage import migrations
from shelfwise.storage.database import Database
from shelfwise.storage.dialects import dialect_at
from shelfwise.storage.tables import metadata

SERVERS = ("postgresql", "mysql")
EVERY = ("sqlite", *(pytest.param(kind, marks=pytest.mark.service(kind)) for kind in SERVERS))
"""For ``@pytest.mark.parametrize("kind", EVERY)``, or the parameters of a fixture."""


def server(kind: str) -> Address:
    """Return the address of the test server of that kind; only in tests marked with it."""
    return Address.parse(os.environ[f"SHELFWISE_TEST_{kind.upper()}_URL"])


def on_server(kind: str, *statements: str) -> None:
    """Run statements outside of any shop."""
    engine = dialect_at(server(kind), 10).engine()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


@contextlib.contextmanager
def empty_address(kind: str, folder: Path) -> Iterator[Address]:
    """Give the address of a database without tables, and remove it afterwards."""
    if kind == "sqlite":
        yield Address.parse(folder / "shop.db")
        return
    name = f"shelfwise_test_{os.getpid()}_{uuid.uuid4().hex[:12]}"
    on_server(kind, f"CREATE DATABASE {name}")
    try:
        yield replace(server(kind), name=name)
    finally:
        on_server(kind, f"DROP DATABASE {name}{' WITH (FORCE)' if kind == 'postgresql' else ''}")


class Pool:
    """The worker's database on each server, made at its first use, and anew after a test that spoiled its schema."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[Address, contextlib.ExitStack]] = {}

    def address(self, kind: str) -> Address:
        """Return the address of the worker's database, with tables of the newest schema and nothing in them."""
        if kind in self._made and not _as_made(self._made[kind][0]):
            self._made.pop(kind)[1].close()
        if kind not in self._made:
            stack = contextlib.ExitStack()
            address = stack.enter_context(empty_address(kind, Path()))
            Database.open(address).close()
            self._made[kind] = address, stack
        address = self._made[kind][0]
        with Database.open(address) as database, database.write() as connection:
            _empty(kind, connection)
        return address

    def close(self) -> None:
        """Remove all databases."""
        for _, stack in self._made.values():
            stack.close()


def _as_made(address: Address) -> bool:
    with Database.unmigrated(address) as database, database.read() as connection:
        names = database._dialect.table_names(connection)
        return names == {*metadata.tables, migrations.TABLE} and migrations.revision(connection) == migrations.HEAD


def empty_all(connection: Connection) -> None:
    """Delete all rows, of tables before those they refer to, and of a table that refers to itself as well."""
    for table in reversed(metadata.sorted_tables):
        own = [key.parent for key in table.foreign_keys if key.column.table is table]
        if own:  # MariaDB and MySQL look at each row as it goes
            connection.execute(table.update().values({column: None for column in own}))
        connection.execute(table.delete())


def _empty(kind: str, connection: Connection) -> None:
    """Delete all rows and let keys begin with 1 again; on small tables far quicker than TRUNCATE."""
    empty_all(connection)
    if kind == "postgresql":
        keyed = [table.name for table in metadata.sorted_tables if "id" in table.c]
        again = (f"setval(pg_get_serial_sequence('{name}', 'id'), 1, false)" for name in keyed)
        connection.execute(text(f"SELECT {', '.join(again)}"))
    else:
        query = (
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND auto_increment > 1"
        )
        for name in connection.scalars(text(query)).all():
            connection.execute(text(f"ALTER TABLE {name} AUTO_INCREMENT = 1"))
