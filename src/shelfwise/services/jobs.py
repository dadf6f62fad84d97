"""Jobs as people and services see them: ask for one, look at it, try it again, end it.

What a job is and who may write what is in `shelfwise.storage.jobs`; what it does in `shelfwise.services.job_kinds`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from shelfwise import logs
from shelfwise.app import App
from shelfwise.domain.errors import NotFound, ParameterError
from shelfwise.services.job_kinds import kind_of
from shelfwise.storage import jobs, workers
from shelfwise.storage.jobs import STATES, Depth, Job, Wanted
from shelfwise.storage.workers import Seen

MOST_LISTED: Final = 1000
SILENT_SECONDS: Final = 60.0
"""A worker of which nothing was heard for so long counts as gone."""

FOLLOWED_SECONDS: Final = 600.0
_LOOKED_EVERY_SECONDS: Final = 0.3

__all__ = [
    "STATES", "Depth", "Job", "Page", "Wanted", "alive", "ask", "cancel", "drop", "end", "follow", "listed", "look",
    "queue_length", "retry", "subject_of", "wanted",
]  # fmt: skip


@dataclass(frozen=True)
class Page:
    """Some jobs, the newest first, and where the next page begins: None after the last."""

    jobs: Sequence[Job]
    before: int | None


def wanted(
    kind: str, payload: Mapping[str, Any] | None = None, subject: str = "", *, delay_seconds: float = 0.0,
    request_id: str | None = None,
) -> Wanted:  # fmt: skip
    """Return a job to be queued with `storage.jobs.enqueue`, in the transaction of what makes it necessary.

    It is of the request that is being answered, where ``request_id`` names none.

    Raises
    ------
    ParameterError
        There is no such kind.
    """
    of, cause = kind_of(kind), request_id or logs.current_fact("request_id")
    return Wanted(kind, subject, payload or {}, of.priority, of.most_attempts, delay_seconds, cause)


def ask(
    app: App, kind: str, payload: Mapping[str, Any] | None = None, subject: str = "", *, request_id: str | None = None
) -> Job:
    """Queue a job and return it, or the queued one of its kind and subject with which it was merged.

    Raises
    ------
    ParameterError
        There is no such kind.
    """
    with app.database.write() as connection:
        [number] = jobs.enqueue(connection, [wanted(kind, payload, subject, request_id=request_id)])
        return jobs.get(connection, number)


def subject_of(payload: Mapping[str, Any]) -> str:
    """Return the subject of a job that is only the same as one with the very same payload."""
    return hashlib.sha256(json.dumps(payload, sort_keys=True, default=str).encode()).hexdigest()


def look(app: App, number: int) -> Job:
    """Return a job.

    Raises
    ------
    NotFound
        There is no such job.
    """
    with app.database.read() as connection:
        return jobs.get(connection, number)


async def follow(app: App, job: Job) -> AsyncIterator[Job]:
    """Give a job at once and whenever something about it has changed, until it is over or gone.

    A follower takes no thread while it waits. It ends after `FOLLOWED_SECONDS` in any case: whoever still wants to know
    asks again, so that no follower is forgotten by both sides.
    """
    until = time.monotonic() + FOLLOWED_SECONDS
    yield job
    with contextlib.suppress(NotFound):
        while not job.over and time.monotonic() < until:
            await asyncio.sleep(_LOOKED_EVERY_SECONDS)
            found = await asyncio.to_thread(look, app, job.id)
            # The lease is moved on every few seconds, which says nothing to anybody else.
            if replace(found, lease_until=job.lease_until) != job:
                job = found
                yield job


def listed(
    app: App, *, state: str | None = None, kind: str | None = None, before: int | None = None, limit: int = 100
) -> Page:
    """Return jobs, the newest first.

    Parameters
    ----------
    state, kind
        Only such jobs.
    before
        Only jobs with a lower number: what `Page.before` said.
    limit
        At most so many, up to `MOST_LISTED`.

    Raises
    ------
    ParameterError
        There is no such state, or the limit is out of range.
    """
    if state is not None and state not in STATES:
        raise ParameterError(f"there is no state {state!r} of a job; the states are {', '.join(STATES)}")
    if not 1 <= limit <= MOST_LISTED:
        raise ParameterError(f"limit must be from 1 to {MOST_LISTED} jobs, got {limit}")
    with app.database.read() as connection:
        found = jobs.page(connection, state=state, kind=kind, before=before, limit=limit + 1)
    return Page(found[:limit], found[limit - 1].id if len(found) > limit else None)


def retry(app: App, number: int) -> Job:
    """Queue a parked or cancelled job anew; return it, or the queued one it was merged into.

    Raises
    ------
    NotFound, ConflictError
        There is no such job; it is queued, running or done.
    """
    with app.database.write() as connection:
        return jobs.retry(connection, number)


def cancel(app: App, number: int) -> Job:
    """End a queued or running job; what a running one has kept so far stays.

    Raises
    ------
    NotFound, ConflictError
        There is no such job; it is over.
    """
    return _ended(app, number, "queued", "running")


def drop(app: App, number: int) -> Job:
    """Give a parked job up.

    Raises
    ------
    NotFound, ConflictError
        There is no such job; it is not parked.
    """
    return _ended(app, number, "parked")


def end(app: App, number: int) -> Job:
    """Cancel or drop a job, whichever its state allows.

    Raises
    ------
    NotFound, ConflictError
        There is no such job; it is done or cancelled.
    """
    return _ended(app, number, "queued", "running", "parked")


def queue_length(app: App) -> Depth:
    """Return how many jobs there are by state, and how long the oldest due one has waited."""
    with app.database.read() as connection:
        return jobs.depth(connection)


def alive(app: App) -> list[Seen]:
    """Return the workers that were heard of in the last `SILENT_SECONDS`."""
    with app.database.read() as connection:
        return [one for one in workers.all_seen(connection) if one.silent_seconds <= SILENT_SECONDS]


def _ended(app: App, number: int, *states: str) -> Job:
    with app.database.write() as connection:
        return jobs.cancel(connection, number, *states)
