"""Where each connector stands: how far its feeds are read, how its service behaved, and which rows were refused.

The place of a feed is moved by whoever books its rows, in the same transaction, and only from where that one began:
two who read the same feed at the same time cannot both book a page, and none who is killed has booked half of one.
Moments are in UTC, by the clock of the database's host.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, delete, func, insert, select, update

from shelfwise.domain.errors import ConflictError
from shelfwise.storage.jobs import now
from shelfwise.storage.tables import connector_feeds, connector_refusals, connector_runs, connectors

LONGEST_ERROR: Final = 4_000
RUNS_KEPT: Final = 50
REFUSALS_KEPT: Final = 1_000
_AT_ONCE: Final = 500


class Overtaken(ConflictError):
    """Another run of the same connector has read the feed further meanwhile."""


@dataclass(frozen=True)
class Standing:
    """How the service of a connector has behaved.

    Parameters
    ----------
    failures
        Requests that failed since the last one that was answered.
    retry_at
        While the breaker is open: when it may be tried again. None: it is closed.
    pause_seconds
        How long that pause is; 0 while it is closed.
    asked_at
        The moment at which this was read.
    """

    failures: int
    retry_at: datetime | None
    pause_seconds: float
    tried_at: datetime | None
    succeeded_at: datetime | None
    error: str | None
    asked_at: datetime

    @property
    def breaker(self) -> str:
        """``closed``, ``open``, or ``half-open``: the next request is a probe."""
        if self.retry_at is None:
            return "closed"
        return "open" if self.asked_at < self.retry_at else "half-open"

    @property
    def ails(self) -> bool:
        """Whether the last run did not go well."""
        return self.error is not None or self.retry_at is not None


@dataclass(frozen=True)
class Place:
    """How far a feed is read: the service's cursor, and what came of all rows so far."""

    feed: str
    origin: str
    read_until: str | None
    read_at: datetime
    booked: int
    duplicates: int
    refused: int


@dataclass(frozen=True)
class Run:
    """What one run met; ``outcome`` is done, failed, paused (by the breaker) or overtaken (by another run)."""

    started_at: datetime
    finished_at: datetime
    outcome: str
    requests: int
    pages: int
    booked: int
    duplicates: int
    refused: int
    error: str | None


@dataclass(frozen=True)
class Refusal:
    """A row that could not be booked: what it says, as JSON, and why."""

    feed: str
    content: str
    reason: str
    seen_at: datetime
    id: int = 0


def standing(connection: Connection, name: str) -> Standing:
    """Return how a service has behaved; one that was never asked has no failures."""
    row = connection.execute(select(connectors).where(connectors.c.name == name)).first()
    moment = now(connection)
    if row is None:
        return Standing(0, None, 0.0, None, None, None, moment)
    return Standing(row.failures, row.retry_at, row.pause_seconds, row.tried_at, row.succeeded_at, row.error, moment)


def answered(connection: Connection, name: str) -> None:
    """Note that a service has answered: its breaker is closed."""
    moment = now(connection)
    _say(connection, name, failures=0, retry_at=None, pause_seconds=0.0, tried_at=moment)


def failed(connection: Connection, name: str, failures: int, error: str, pause_seconds: float = 0.0) -> None:
    """Note that the last request failed, and how many have in a row; a pause above 0 opens the breaker for so long."""
    moment = now(connection)
    retry_at = moment + timedelta(seconds=pause_seconds) if pause_seconds else None
    _say(
        connection, name, failures=failures, retry_at=retry_at, pause_seconds=pause_seconds, tried_at=moment,
        error=error[:LONGEST_ERROR],
    )  # fmt: skip


def succeeded(connection: Connection, name: str) -> None:
    """Note that a whole run went well."""
    _say(connection, name, succeeded_at=now(connection), error=None)


def place(connection: Connection, name: str, feed: str) -> Place | None:
    """Return how far a feed is read; None before its first page."""
    found = [one for one in places(connection, name) if one.feed == feed]
    return found[0] if found else None


def places(connection: Connection, name: str) -> list[Place]:
    """Return how far each feed of a connector is read."""
    t = connector_feeds.c
    columns = (t.feed, t.origin, t.read_until, t.read_at, t.booked, t.duplicates, t.refused)
    rows = connection.execute(select(*columns).where(t.connector == name).order_by(t.feed))
    return [Place(*row) for row in rows]


def move(
    connection: Connection, name: str, feed: str, origin: str, before: str | None, until: str | None, *,
    booked: int = 0, duplicates: int = 0, refused: int = 0,
) -> None:  # fmt: skip
    """Move the place of a feed on from ``before`` to ``until``, and count rows; needs the writers' turn.

    Raises
    ------
    Overtaken
        The feed does not stand at ``before`` any more.
    """
    found = place(connection, name, feed)
    known = found is not None and found.origin == origin
    if (found.read_until if found is not None and known else None) != before:
        raise Overtaken(f"another run of the connector {name} has read {feed} further; what this one got is left to it")
    values: dict[str, Any] = {"origin": origin, "read_until": until, "read_at": now(connection)}
    counted = {"booked": booked, "duplicates": duplicates, "refused": refused}
    if found is None:
        connection.execute(insert(connector_feeds).values(connector=name, feed=feed, **values, **counted))
        return
    t = connector_feeds
    added = {column: t.c[column] + count for column, count in counted.items()}
    where = t.c.connector == name, t.c.feed == feed
    connection.execute(update(t).where(*where).values(**values, **added))


def keep_run(connection: Connection, name: str, run: Run) -> None:
    """Keep what a run met, and forget the oldest beyond `RUNS_KEPT`."""
    values = {**run.__dict__, "error": None if run.error is None else run.error[:LONGEST_ERROR]}
    connection.execute(insert(connector_runs).values(connector=name, **values))
    _forget(connection, connector_runs, RUNS_KEPT, connector_runs.c.connector == name)


def runs(connection: Connection, name: str, limit: int) -> list[Run]:
    """Return what the last runs met, the newest first."""
    t = connector_runs.c
    columns = [t[field] for field in Run.__dataclass_fields__]
    rows = connection.execute(select(*columns).where(t.connector == name).order_by(t.id.desc()).limit(limit))
    return [Run(*row) for row in rows]


def refuse(connection: Connection, name: str, feed: str, rows: Sequence[tuple[str, str]]) -> None:
    """Keep rows that cannot be booked (content, reason), each once; beyond `REFUSALS_KEPT` the oldest are forgotten.

    Needs the writers' turn.
    """
    t, moment = connector_refusals, now(connection)
    told = {hashlib.sha256(content.encode()).hexdigest(): (content, reason) for content, reason in rows}
    of_feed = t.c.connector == name, t.c.feed == feed
    hashes = list(told)
    for start in range(0, len(hashes), _AT_ONCE):
        connection.execute(delete(t).where(*of_feed, t.c.sha256.in_(hashes[start : start + _AT_ONCE])))
    if told:
        connection.execute(
            insert(t),
            [
                {"connector": name, "feed": feed, "sha256": key, "content": content, "reason": reason[:LONGEST_ERROR],
                 "seen_at": moment}
                for key, (content, reason) in told.items()
            ],
        )  # fmt: skip
        _forget(connection, t, REFUSALS_KEPT, *of_feed)


def refusals(connection: Connection, name: str, limit: int, feed: str | None = None) -> list[Refusal]:
    """Return rows that were refused and not booked since, the newest first."""
    t = connector_refusals.c
    query = select(t.feed, t.content, t.reason, t.seen_at, t.id).where(t.connector == name)
    if feed is not None:
        query = query.where(t.feed == feed)
    return [Refusal(*row) for row in connection.execute(query.order_by(t.id.desc()).limit(limit))]


def count_refusals(connection: Connection, name: str) -> int:
    """Return how many rows are refused and not booked since."""
    t = connector_refusals.c
    return int(connection.scalar(select(func.count()).where(t.connector == name)) or 0)


def settle(connection: Connection, ids: Collection[int]) -> None:
    """Forget refusals whose rows were booked after all."""
    if ids:
        connection.execute(delete(connector_refusals).where(connector_refusals.c.id.in_(list(ids))))


def _say(connection: Connection, name: str, **values: Any) -> None:
    where = connectors.c.name == name
    if not connection.scalar(select(func.count()).select_from(connectors).where(where)):
        blank = {"failures": 0, "pause_seconds": 0.0}
        connection.execute(insert(connectors).values(name=name, **{**blank, **values}))
    else:
        connection.execute(update(connectors).where(where).values(values))


def _forget(connection: Connection, target: Table, kept: int, *of: ColumnElement[bool]) -> None:
    """Delete the rows behind the newest ``kept`` of those."""
    last = connection.scalar(select(target.c.id).where(*of).order_by(target.c.id.desc()).offset(kept - 1).limit(1))
    if last is not None:
        connection.execute(delete(target).where(*of, target.c.id < last))
