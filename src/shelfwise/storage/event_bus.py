"""How far the event bus is: who publishes, up to where, and what went over it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy import Connection, and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from shelfwise.storage.jobs import now
from shelfwise.storage.live_forecasts import LiveRow
from shelfwise.storage.tables import event_bus_counts, leases, live_forecasts, live_publications, outbox, outbox_readers

Count = Literal["published", "consumed", "duplicates", "refused", "redelivered"]
EVENTS: Final = "event bus"
"""The reader of the outbox that publishes."""
FORECASTS: Final = "event bus forecasts"
"""Beside it: the newest version of the live forecasts that is published, kept like a reader's place."""
_COLUMNS: Final = tuple(column.name for column in live_forecasts.columns if column.name != "sha256")

Place = tuple[int, str, str]
"""Version, product and warehouse of a live forecast: forecasts go out in this order."""


@dataclass(frozen=True)
class Counted:
    """How often something happened, when last, and why last where it was refused."""

    total: int
    last_at: datetime
    last_reason: str | None


def hold(connection: Connection, name: str, holder: str, seconds: float) -> bool:
    """Take what one process at a time does, or keep it on; return whether it is this holder's now."""
    t, moment = leases.c, now(connection)
    until = moment + timedelta(seconds=seconds)
    mine = update(leases).where(t.name == name, or_(t.holder == holder, t.until <= moment))
    if connection.execute(mine.values(holder=holder, until=until)).rowcount:
        return True
    if connection.scalar(select(t.id).where(t.name == name)) is not None:
        return False
    try:
        with connection.begin_nested():
            connection.execute(insert(leases).values(name=name, holder=holder, until=until))
    except IntegrityError:  # another took it between the two
        return False
    return True


def is_free(connection: Connection, name: str, holder: str) -> bool:
    """Whether `hold` may do; a look that writes nothing."""
    t = leases.c
    row = connection.execute(select(t.holder, t.until).where(t.name == name)).first()
    return row is None or row[0] == holder or row[1] <= now(connection)


def let_go(connection: Connection, name: str, holder: str) -> None:
    """Let another process take it at once."""
    t = leases.c
    connection.execute(update(leases).where(t.name == name, t.holder == holder).values(until=now(connection)))


def begin(connection: Connection) -> None:
    """Note the places from which on events and forecasts are published, at the first time; needs the writers' turn.

    What happened before there was a bus is history and not news.
    """
    newest = int(connection.scalar(select(func.max(outbox.c.id))) or 0)
    version = int(connection.scalar(select(func.max(live_publications.c.version))) or 0)
    known = set(connection.scalars(select(outbox_readers.c.name)))
    fresh = [
        {"name": name, "last_event": place}
        for name, place in ((EVENTS, newest), (FORECASTS, version))
        if name not in known
    ]
    if fresh:
        connection.execute(insert(outbox_readers), fresh)


def changed_after(connection: Connection, place: Place, limit: int) -> list[LiveRow]:
    """Return live forecasts that changed after a place, at most ``limit``, in the order of `Place`."""
    t, (version, product, warehouse) = live_forecasts.c, place
    after = or_(
        t.version > version,
        and_(t.version == version, t.product > product),
        and_(t.version == version, t.product == product, t.warehouse > warehouse),
    )
    rows = connection.execute(
        select(live_forecasts).where(after).order_by(t.version, t.product, t.warehouse).limit(limit)
    ).mappings()
    return [
        LiveRow(**{name: row[name] for name in _COLUMNS if name != "payload"}, payload=bytes(row["payload"]))
        for row in rows
    ]


def count(connection: Connection, name: Count, more: int, reason: str | None = None) -> None:
    """Add to a count."""
    if not more:
        return
    t = event_bus_counts.c
    values = {"total": t.total + more, "last_at": now(connection)} | ({} if reason is None else {"last_reason": reason})
    if connection.execute(update(event_bus_counts).where(t.name == name).values(values)).rowcount:
        return
    try:
        with connection.begin_nested():
            row = {"name": name, "total": more, "last_at": now(connection), "last_reason": reason}
            connection.execute(insert(event_bus_counts).values(row))
    except IntegrityError:  # another process counted for the first time between the two
        connection.execute(update(event_bus_counts).where(t.name == name).values(values))


def counts(connection: Connection) -> dict[str, Counted]:
    """Return all counts by name."""
    t = event_bus_counts.c
    rows = connection.execute(select(t.name, t.total, t.last_at, t.last_reason))
    return {name: Counted(total, last_at, reason) for name, total, last_at, reason in rows}


def unpublished(connection: Connection) -> int | None:
    """Return how many events wait to be published; None where nothing was ever to be."""
    place = connection.scalar(select(outbox_readers.c.last_event).where(outbox_readers.c.name == EVENTS))
    if place is None:
        return None
    return int(connection.scalar(select(func.count()).select_from(outbox).where(outbox.c.id > place)) or 0)
