"""What every table promises, so that other databases can follow."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import BigInteger, Integer, LargeBinary, PrimaryKeyConstraint, String, Text, inspect
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.schema import CreateTable

from shelfwise.storage.database import Database
from shelfwise.storage.migrations import TABLE
from shelfwise.storage.mysql import STEP_TABLE
from shelfwise.storage.tables import Day, Moment, metadata


def same_size(context: Any, column: Any, declared: Any, found: Any, wanted: Any) -> bool | None:
    """MySQL makes a bytes column of 4 GiB a LONGBLOB, whose length it does not tell."""
    return False if isinstance(wanted, LargeBinary) and isinstance(found, mysql.LONGBLOB) else None


def test_the_migrations_build_the_declared_schema(database: Database) -> None:
    options = {
        "version_table": TABLE,
        "compare_type": same_size,
        "include_name": lambda name, kind, _: kind != "table" or name != STEP_TABLE,
    }
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_constraints_carry_the_same_names_in_migrations_and_declarations(database: Database) -> None:
    with database.read() as connection:
        there = inspect(connection)
        for table in metadata.tables.values():
            built = {found["name"] for found in there.get_unique_constraints(table.name)}
            built |= {found["name"] for found in there.get_foreign_keys(table.name)}
            built |= {found["name"] for found in there.get_check_constraints(table.name)}
            for constraint in table.constraints:
                assert isinstance(constraint, PrimaryKeyConstraint) or str(constraint.name) in built


@pytest.mark.parametrize("dialect", [postgresql.dialect(), mysql.dialect()], ids=["postgresql", "mysql"])
def test_every_table_can_be_spelled_for_the_other_databases(dialect: postgresql.dialect | mysql.dialect) -> None:
    for table in metadata.tables.values():
        assert table.name in str(CreateTable(table).compile(dialect=dialect))


def test_no_key_or_index_holds_text_without_a_length() -> None:
    for table in metadata.tables.values():
        indexed = [column for index in table.indexes for column in index.columns]
        unique = [column for rule in table.constraints for column in getattr(rule, "columns", [])]
        for column in indexed + unique:
            assert not isinstance(column.type, Text) or not column.unique, column
            if isinstance(column.type, String) and not isinstance(column.type, Text):
                assert column.type.length is not None, column


@pytest.mark.parametrize(
    "value", [datetime.fromisoformat("1969-12-31T23:59:59.999999"), datetime.fromisoformat("2026-02-28T01:02:03"), None]
)
def test_moments_come_back_to_the_microsecond(value: datetime | None) -> None:
    kept = Moment()
    assert isinstance(kept.impl, BigInteger)
    assert kept.process_result_value(kept.process_bind_param(value, None), None) == value


@pytest.mark.parametrize("value", [date(1969, 12, 31), date(2028, 2, 29), None])
def test_days_come_back(value: date | None) -> None:
    kept = Day()
    assert isinstance(kept.impl, Integer)
    assert kept.process_result_value(kept.process_bind_param(value, None), None) == value
