"""Rows in every table there is, of values that are easily spoiled on their way."""

from __future__ import annotations

import datetime as dt
import json
import random
import re
from typing import Any

from sqlalchemy import CheckConstraint, Column, Connection, Table, TypeDecorator, insert, select

from shelfwise.storage.database import Database
from shelfwise.storage.table_copies import LEFT_OUT, counts, forms, parts
from shelfwise.storage.tables import metadata

TEXTS = ("", " tea ", "Tëa 🍵👩‍👧", "a\tb\nc\\d", "'\"%;,", "\u202eeet", "null", "0012", "x" * 60)
REALS = (0.1, 1 / 3, 1e-308, 1.7976931348623157e308, -2.5, 12.0, 123456789.123456789, 5e-324)
JSONS: tuple[Any, ...] = ({"z": 1, "a": [1.5, None, "🍵"]}, [], "text", True, None, 3, 0.95)
BLOBS = (b"", b"\x00\xff\\x'\"\n", bytes(range(256)) * 40)
MOMENT = dt.datetime.fromisoformat("2026-02-28T23:59:59.999999")


def fill(database: Database, rows: int = 8) -> None:
    """Write rows into every table; a column that may be null is null in some."""
    chance = random.Random(7)
    keys: dict[str, list[Any]] = {}
    with database.write() as connection:
        for table in metadata.sorted_tables:
            made = [_row(table, number, keys, chance) for number in range(rows)]
            connection.execute(insert(table), made)
            key = next(iter(table.primary_key))
            keys[table.name] = list(connection.scalars(select(key).order_by(key)))


def _row(table: Table, number: int, keys: dict[str, list[Any]], chance: random.Random) -> dict[str, Any]:
    allowed = dict(_allowed(rule) for rule in table.constraints if isinstance(rule, CheckConstraint))
    row: dict[str, Any] = {}
    for column in table.columns:
        if column.primary_key and column.name == "id" and table.autoincrement_column is not None:
            continue
        if column.name in allowed:
            row[column.name] = allowed[column.name][number % len(allowed[column.name])]
        elif column.foreign_keys:
            [key] = column.foreign_keys
            known = keys.get(key.column.table.name, [])
            row[column.name] = known[number % len(known)] if known and not (column.nullable and number == 2) else None
        elif column.nullable and number % 3 == 2:
            row[column.name] = None
        else:
            row[column.name] = _value(column, number)
    return row


def _allowed(rule: CheckConstraint) -> tuple[str, list[str]]:
    """The column of a rule like ``status IN ('draft', 'sent')`` and its words."""
    text = str(rule.sqltext)
    found = re.fullmatch(r"(\w+) IN \(('\w+'(?:, '\w+')*)\)", text)
    assert found is not None, f"a rule of another form, which these rows may break: {text}"
    return found[1], re.findall(r"\w+", found[2])


def _value(column: Column[Any], number: int) -> Any:
    kind = type(column.type).__name__
    if isinstance(column.type, TypeDecorator):
        moment = MOMENT - dt.timedelta(days=number, microseconds=number)
        return {"Day": moment.date(), "Instant": moment.replace(tzinfo=dt.UTC)}.get(kind, moment)
    if kind == "JSON":
        return JSONS[number % len(JSONS)]
    if kind == "Double":
        return REALS[number % len(REALS)]
    if kind == "LargeBinary":
        return BLOBS[number % len(BLOBS)]
    if kind == "Boolean":
        return number % 2 == 0
    if kind == "String":
        longest = column.type.length or 255
        return f"{number}{TEXTS[number % len(TEXTS)]}"[: min(longest, 40)]
    if kind == "Text":
        return TEXTS[number % len(TEXTS)]
    most = 2**63 - 1 if kind == "BigInteger" else 2**31 - 1
    return number + 1 if column.primary_key else (0, 1, most, -most, -5, 7, most - 1, 10)[number % 8]


def stored(connection: Connection, *, but: frozenset[str] = frozenset()) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every copied table, as portable values; JSON as what it says."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for form in forms():
        if form.name in but:
            continue
        rows = [row for part in parts(connection, form) for row in part]
        kinds = [kind for _, kind in form.columns]
        found[form.name] = [
            tuple(
                json.loads(value) if kind == "json" and isinstance(value, str)
                else bytes(value) if kind == "blob" and value is not None
                else bool(value) if kind == "boolean" and value is not None
                else value
                for kind, value in zip(kinds, row, strict=True)
            )
            for row in rows
        ]  # fmt: skip
    assert {name: len(rows) for name, rows in found.items()}.items() <= counts(connection).items()
    assert not LEFT_OUT & found.keys()
    return found
