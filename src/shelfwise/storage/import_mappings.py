"""Mappings of files that a person explained once, by name; found again by a file's headers."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from shelfwise.domain.errors import NotFound
from shelfwise.storage.tables import import_mappings


@dataclass(frozen=True)
class KeptMapping:
    """How files with these headers are read: our field -> their header, of which table, dates in which order."""

    name: str
    headers_hash: str
    table_name: str
    mapping: dict[str, str]
    date_order: str | None
    warehouse: str | None
    created_at: datetime


def keep(connection: Connection, mapping: KeptMapping) -> None:
    """Keep a mapping, in place of one of the same name."""
    t = import_mappings
    connection.execute(delete(t).where(t.c.name == mapping.name))
    values: Mapping[str, Any] = {name: getattr(mapping, name) for name in KeptMapping.__dataclass_fields__}
    connection.execute(insert(t).values(values))


def all_mappings(connection: Connection) -> list[KeptMapping]:
    """Return the mappings, the latest first."""
    t = import_mappings
    return [_mapping(row) for row in connection.execute(select(t).order_by(t.c.created_at.desc(), t.c.id.desc()))]


def forget(connection: Connection, name: str) -> None:
    """Forget a mapping; imports it was used for stay as they are.

    Raises
    ------
    NotFound
        There is none of that name.
    """
    t = import_mappings
    if connection.execute(delete(t).where(t.c.name == name)).rowcount:
        return
    known = connection.scalars(select(t.c.name).order_by(t.c.name)).all()
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}" if known else "none was saved yet"
    raise NotFound(f"there is no import profile {name!r}; {hint}")


def _mapping(row: Row[*tuple[Any, ...]]) -> KeptMapping:
    return KeptMapping(**{name: row._mapping[name] for name in KeptMapping.__dataclass_fields__})
