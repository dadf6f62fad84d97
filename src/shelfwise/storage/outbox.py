"""The outbox: events in the order they happened, written in the same transaction as the state they tell of.

Rows are only ever added. Whoever reacts to events reads on from the number it saw last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, insert, select

from shelfwise.domain.errors import DataError, NotFound
from shelfwise.domain.events import Event, Unreadable, read_event
from shelfwise.storage.tables import outbox


@dataclass(frozen=True)
class Happened:
    """An event with its number in the outbox and when it was written, shop time.

    What another version of the program wrote and this one cannot read comes as `Unreadable`, so that it keeps nobody
    from the events around it.
    """

    number: int
    at: datetime
    event: Event


def append(connection: Connection, at: datetime, *events: Event) -> None:
    """Write events in the caller's transaction: they are there if, and only if, what they tell of is."""
    rows = [{"name": event.name, "payload": event.to_json(), "happened_at": at} for event in events]
    if rows:
        connection.execute(insert(outbox), rows)


def since(connection: Connection, number: int = 0, limit: int = 1000) -> list[Happened]:
    """Return events after ``number``, oldest first, at most ``limit``."""
    t = outbox
    rows = connection.execute(
        select(t.c.id, t.c.happened_at, t.c.name, t.c.payload).where(t.c.id > number).order_by(t.c.id).limit(limit)
    )
    return [_happened(row) for row in rows]


def latest(connection: Connection, limit: int) -> list[Happened]:
    """Return the newest ``limit`` events, newest first."""
    t = outbox
    rows = connection.execute(
        select(t.c.id, t.c.happened_at, t.c.name, t.c.payload).order_by(t.c.id.desc()).limit(limit)
    )
    return [_happened(row) for row in rows]


def numbered(connection: Connection, number: int) -> Happened:
    """Return the event of that number.

    Raises
    ------
    NotFound
        There is none.
    """
    t = outbox
    row = connection.execute(select(t.c.id, t.c.happened_at, t.c.name, t.c.payload).where(t.c.id == number)).first()
    if row is None:
        raise NotFound(f"there is no event {number}: `shelfwise history` shows the newest ones")
    return _happened(row)


def _happened(row: Row[int, datetime, str, str]) -> Happened:
    try:
        return Happened(row[0], row[1], read_event(row[2], row[3]))
    except DataError as error:
        return Happened(row[0], row[1], Unreadable(row[2], str(error)))
