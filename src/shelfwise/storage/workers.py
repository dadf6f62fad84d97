"""Who works: workers that were seen lately, when what happens by the clock is due, how far the outbox is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from shelfwise.storage.jobs import now
from shelfwise.storage.tables import outbox_readers, schedule, workers


@dataclass(frozen=True)
class Seen:
    """A worker, and how many seconds ago it was last heard of."""

    name: str
    host: str
    pid: int
    started_at: datetime
    silent_seconds: float


def seen(connection: Connection, name: str, host: str, pid: int) -> None:
    """Note that a worker lives."""
    moment = now(connection)
    if not connection.execute(update(workers).where(workers.c.name == name).values(last_seen=moment)).rowcount:
        row = {"name": name, "host": host, "pid": pid, "started_at": moment, "last_seen": moment}
        connection.execute(insert(workers).values(row))


def gone(connection: Connection, name: str) -> None:
    """Note that a worker has ended."""
    connection.execute(delete(workers).where(workers.c.name == name))


def all_seen(connection: Connection) -> list[Seen]:
    """Return the workers that have not said they ended, the one heard of last first."""
    moment = now(connection)
    rows = connection.execute(select(workers).order_by(workers.c.last_seen.desc()))
    return [
        Seen(row.name, row.host, row.pid, row.started_at, max((moment - row.last_seen).total_seconds(), 0.0))
        for row in rows
    ]


def forget_silent(connection: Connection, *, days: float) -> int:
    """Delete workers that were not heard of for so many days; return how many."""
    old = workers.c.last_seen < now(connection) - timedelta(days=days)
    return connection.execute(delete(workers).where(old)).rowcount


@dataclass(frozen=True)
class Due:
    """When something of the schedule happens next, and the rule that was worked out of."""

    rule: str
    next_at: datetime


def next_times(connection: Connection) -> Mapping[str, Due]:
    """Return the schedule by name."""
    rows = connection.execute(select(schedule.c.name, schedule.c.rule, schedule.c.next_at))
    return {row.name: Due(row.rule, row.next_at) for row in rows}


def set_next(connection: Connection, name: str, due: Due) -> None:
    """Say when something happens next; needs the writers' turn."""
    values = {"rule": due.rule, "next_at": due.next_at}
    if not connection.execute(update(schedule).where(schedule.c.name == name).values(values)).rowcount:
        connection.execute(insert(schedule).values(name=name, **values))


def read_until(connection: Connection, reader: str) -> int:
    """Return the number of the last event of the outbox that a reader has dealt with; 0 before its first."""
    which = outbox_readers.c.name == reader
    return connection.scalar(select(outbox_readers.c.last_event).where(which)) or 0


def set_read_until(connection: Connection, reader: str, number: int) -> None:
    """Note that a reader has dealt with the events up to a number; needs the writers' turn."""
    which = outbox_readers.c.name == reader
    if not connection.execute(update(outbox_readers).where(which).values(last_event=number)).rowcount:
        connection.execute(insert(outbox_readers).values(name=reader, last_event=number))
