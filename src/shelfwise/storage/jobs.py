"""Jobs: work that was promised in one transaction and is done in another, by whoever holds it.

========== ==========================================================================================
state      meaning
========== ==========================================================================================
queued     waits for ``run_after`` and for a worker
running    a worker holds it until ``lease_until``, which it moves on while it lives
done       finished; ``result`` says what came of it
parked     failed for good, or too often; waits for a person, who reads ``error`` and retries or drops it
cancelled  a person dropped it, or it was merged into a later job of its kind and subject
========== ==========================================================================================

Who may write what, on each kind of database:

* **Whatever makes a job queued holds the writers' turn** (`Database.write`): `enqueue`, `retry`, `fail`, `put_back`,
  `park`. The turn is what makes merging exact: nobody else can queue a job between the look and the insert.
* **Whatever a holder does to what it holds, and claiming, locks single rows** (`Database.write_beside`): `claim`,
  `begin`, `renew`, `tell`, `finish`. Claimers pass over rows that another one has locked (SKIP LOCKED), so they neither
  wait for each other nor for a large import; on SQLite, the file's one lock does the same.
* **A holder that was silent for longer than its lease has lost the job.** Every write of a holder names it, and changes
  nothing once another worker has the job. So a job may be worked on twice, and each handler must bear that; it is
  finished once.

All times are those of the database's host, so that the clocks of the workers' machines do not matter.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, exists, func, insert, select, update

from shelfwise.domain.errors import ConflictError, NotFound, ParameterError
from shelfwise.storage.database import clock, insert_one
from shelfwise.storage.tables import CODE_LENGTH, jobs

STATES: Final = ("queued", "running", "done", "parked", "cancelled")
LONGEST_ERROR: Final = 4_000
_AT_ONCE: Final = 500
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Wanted:
    """A job to be queued.

    Parameters
    ----------
    kind
        What is to be done.
    subject
        What it is about; queued jobs of one kind and subject are merged into one.
    payload
        Anything JSON can hold; of two that are merged, lists are joined and other values are the later one's.
    priority
        The lower ones run first.
    most_attempts
        How often it is tried before it is parked.
    delay_seconds
        How long it waits at least.
    request_id
        Of the request that asks for it.
    """

    kind: str
    subject: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)
    priority: int = 50
    most_attempts: int = 5
    delay_seconds: float = 0.0
    request_id: str | None = None

    def __post_init__(self) -> None:
        if len(self.subject) > CODE_LENGTH:
            raise ParameterError(f"a job's subject has at most {CODE_LENGTH} characters, got {len(self.subject)}")
        if self.most_attempts < 1:
            raise ParameterError(f"a job is tried at least once, got most_attempts {self.most_attempts}")


@dataclass(frozen=True)
class Job:
    """A job as it stands; moments are in UTC, by the clock of the database's host."""

    id: int
    kind: str
    subject: str
    payload: Mapping[str, Any]
    state: str
    priority: int
    run_after: datetime
    attempts: int
    most_attempts: int
    lease_until: datetime | None
    holder: str | None
    step: str | None
    done: int
    total: int
    result: Any
    error: str | None
    request_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def over(self) -> bool:
        """Whether nothing will happen to it by itself."""
        return self.state in ("done", "parked", "cancelled")


def now(connection: Connection) -> datetime:
    """Return the moment by the clock of the database's host."""
    return _EPOCH + timedelta(microseconds=clock(connection))


def merged(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload of two jobs in one.

    >>> merged({"products": ["tea", "mug"], "day": 1}, {"products": ["mug", "cup"], "day": 2})
    {'products': ['tea', 'mug', 'cup'], 'day': 2}
    """
    joined = dict(earlier)
    for name, value in later.items():
        before = joined.get(name)
        if isinstance(before, list | tuple) and isinstance(value, list | tuple):
            value = list(dict.fromkeys([*before, *value]))
        joined[name] = value
    return joined


def enqueue(connection: Connection, wanted: Sequence[Wanted]) -> list[int]:
    """Queue jobs in the caller's transaction, and return the number of each; needs the writers' turn.

    One whose kind and subject a queued job has is merged into that: it runs no later than either would have.
    """
    moment = now(connection)
    together: dict[tuple[str, str], Wanted] = {}
    for one in wanted:
        key = (one.kind, one.subject)
        together[key] = _joined(together[key], one) if key in together else one
    waiting = _waiting(connection, together)
    ids: dict[tuple[str, str], int] = {}
    fresh = []
    for key, one in together.items():
        run_after = moment + timedelta(seconds=one.delay_seconds)
        if key in waiting:
            ids[key] = _merge(connection, waiting[key], one, run_after)
        else:
            fresh.append(_row(one, moment, run_after))
    if fresh:
        highest = connection.scalar(select(func.max(jobs.c.id))) or 0
        connection.execute(insert(jobs), fresh)
        made = select(jobs.c.kind, jobs.c.subject, jobs.c.id).where(jobs.c.id > highest)
        ids |= {(kind, subject): number for kind, subject, number in connection.execute(made)}
    return [ids[one.kind, one.subject] for one in wanted]


def park(connection: Connection, wanted: Wanted, error: str) -> int:
    """Keep a job that failed before it could be queued, for a person to look at; return its number.

    Needs the writers' turn. ``shelfwise jobs retry`` queues it like any other.
    """
    moment = now(connection)
    row = _row(wanted, moment, moment) | {"state": "parked", "error": error[:LONGEST_ERROR], "finished_at": moment}
    return insert_one(connection, jobs, row)


def claim(connection: Connection, holder: str, kinds: Iterable[str], *, limit: int, lease_seconds: float) -> list[Job]:
    """Take due jobs for ``holder``, those first whose holder fell silent; no two claimers get the same one.

    A job does not run beside another one of its kind and subject. One whose holders fell silent as often as it may be
    tried is parked: it probably killed them.
    """
    names, moment = list(kinds), now(connection)
    lost = jobs.c.state == "running", jobs.c.lease_until < moment, jobs.c.kind.in_(names)
    expired = connection.execute(
        select(jobs).where(*lost).order_by(jobs.c.lease_until).limit(limit).with_for_update(skip_locked=True)
    ).all()
    hopeless = [row.id for row in expired if row.attempts >= row.most_attempts]
    if hopeless:
        told = (
            "its worker fell silent each time it was tried (killed, out of memory, or cut off from the database); "
            "look at the worker's log, then `shelfwise jobs retry` or `drop`"
        )
        values = {"state": "parked", "error": told, "holder": None, "lease_until": None, "finished_at": moment}
        connection.execute(update(jobs).where(jobs.c.id.in_(hopeless)).values(values))
    rows = [row for row in expired if row.attempts < row.most_attempts]
    if len(rows) < limit:
        running = jobs.alias("running")
        same = running.c.kind == jobs.c.kind, running.c.subject == jobs.c.subject
        due = jobs.c.state == "queued", jobs.c.run_after <= moment, jobs.c.kind.in_(names)
        rows += connection.execute(
            select(jobs)
            .where(*due, ~exists().where(running.c.state == "running", *same))
            .order_by(jobs.c.priority, jobs.c.run_after, jobs.c.id)
            .limit(limit - len(rows))
            .with_for_update(skip_locked=True)
        ).all()
    if not rows:
        return []
    until = moment + timedelta(seconds=lease_seconds)
    taken: dict[str, Any] = {
        "state": "running",
        "holder": holder,
        "lease_until": until,
        "step": None,
        "done": 0,
        "total": 0,
    }
    connection.execute(update(jobs).where(jobs.c.id.in_([row.id for row in rows])).values(taken))
    return [Job(**{**row._mapping, **taken}) for row in rows]


def begin(connection: Connection, ids: Sequence[int], holder: str) -> set[int]:
    """Count an attempt at jobs that are begun now; return those that ``holder`` still has."""
    values = {"attempts": jobs.c.attempts + 1, "started_at": now(connection)}
    return _written(connection, ids, holder, values)


def renew(connection: Connection, ids: Collection[int], holder: str, lease_seconds: float) -> set[int]:
    """Move on the leases of jobs that ``holder`` works on, and return those that it still has."""
    if not ids:
        return set()
    return _written(connection, ids, holder, {"lease_until": now(connection) + timedelta(seconds=lease_seconds)})


def tell(connection: Connection, ids: Sequence[int], holder: str, step: str, done: int, total: int) -> bool:
    """Keep how far jobs are; return whether ``holder`` still has one of them."""
    return bool(_written(connection, ids, holder, {"step": step[:CODE_LENGTH], "done": done, "total": total}))


def finish(connection: Connection, ids: Sequence[int], holder: str, result: Any) -> int:
    """Mark jobs as done with what came of them; return how many ``holder`` still had."""
    values = {
        "state": "done", "result": result, "error": None, "holder": None, "lease_until": None,
        "finished_at": now(connection),
    }  # fmt: skip
    return len(_written(connection, ids, holder, values))


def fail(
    connection: Connection, number: int, holder: str, error: str, retry_in_seconds: float | None, *,
    counted: bool = True,
) -> Job | None:  # fmt: skip
    """Queue a job again after what went wrong, or park it; return it, or None if ``holder`` has lost it.

    Needs the writers' turn. If a job of its kind and subject was queued meanwhile, the two are merged.

    Parameters
    ----------
    retry_in_seconds
        None: no further attempt would help.
    counted
        Whether the attempt counts; where it was not the job's fault it does not, and the job is never parked for it.
    """
    row = _locked(connection, number)
    if row is None or row.state != "running" or row.holder != holder:
        return None
    moment, said = now(connection), error[:LONGEST_ERROR]
    if retry_in_seconds is None or (counted and row.attempts >= row.most_attempts):
        _close(connection, number, "parked", moment, error=said)
    else:
        run_after = moment + timedelta(seconds=retry_in_seconds)
        _queue_again(connection, row, run_after, row.attempts - (not counted), said)
    return get(connection, number)


def put_back(connection: Connection, ids: Iterable[int], holder: str, *, begun: bool) -> None:
    """Queue jobs again that ``holder`` has and will not finish, because it ends; needs the writers' turn.

    Parameters
    ----------
    begun
        Whether an attempt was counted, which is then taken back.
    """
    moment = now(connection)
    for number in sorted(ids):
        row = _locked(connection, number)
        if row is not None and row.state == "running" and row.holder == holder:
            _queue_again(connection, row, moment, row.attempts - begun, row.error)


def put_all_back(connection: Connection) -> int:
    """Queue every running job again, in a database that no worker uses; return how many. Needs the writers' turn."""
    moment = now(connection)
    running = connection.execute(select(jobs).where(jobs.c.state == "running").order_by(jobs.c.id)).all()
    for row in running:
        _queue_again(connection, row, moment, max(row.attempts - 1, 0), row.error)
    return len(running)


def retry(connection: Connection, number: int) -> Job:
    """Queue a parked or cancelled job anew; return it, or the queued one it was merged into. Needs the writers' turn.

    Raises
    ------
    NotFound, ConflictError
        There is no such job; it is queued, running or done.
    """
    row = _locked(connection, number)
    if row is None:
        raise _missing(number)
    if row.state not in ("parked", "cancelled"):
        raise ConflictError(f"job {number} is {row.state}; only a parked or cancelled job is tried again")
    into = _queue_again(connection, row, now(connection), 0, None)
    return get(connection, into)


def cancel(connection: Connection, number: int, *states: str) -> Job:
    """End a job that is in one of ``states``, for good; needs the writers' turn.

    A running one is taken from its holder, who notices at its next word.

    Raises
    ------
    NotFound, ConflictError
        There is no such job; it is in another state.
    """
    row = _locked(connection, number)
    if row is None:
        raise _missing(number)
    if row.state not in states:
        raise ConflictError(f"job {number} is {row.state}; it can be ended while it is {' or '.join(states)}")
    _close(connection, number, "cancelled", now(connection))
    return get(connection, number)


def get(connection: Connection, number: int) -> Job:
    """Return a job by its number."""
    row = connection.execute(select(jobs).where(jobs.c.id == number)).first()
    if row is None:
        raise _missing(number)
    return _job(row)


def page(
    connection: Connection, *, state: str | None = None, kind: str | None = None, before: int | None = None,
    limit: int = 100,
) -> list[Job]:  # fmt: skip
    """Return jobs, the newest first: at most ``limit``, with numbers below ``before``."""
    query = select(jobs).order_by(jobs.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(jobs.c.state == state)
    if kind is not None:
        query = query.where(jobs.c.kind == kind)
    if before is not None:
        query = query.where(jobs.c.id < before)
    return [_job(row) for row in connection.execute(query)]


@dataclass(frozen=True)
class Depth:
    """How much waits: jobs by state, and for how many seconds the oldest due one has waited."""

    by_state: Mapping[str, int]
    oldest_due_seconds: float


def depth(connection: Connection) -> Depth:
    """Return how long the queue is."""
    counted = connection.execute(select(jobs.c.state, func.count()).group_by(jobs.c.state)).all()
    oldest = connection.scalar(select(func.min(jobs.c.run_after)).where(jobs.c.state == "queued"))
    waited = 0.0 if oldest is None else (now(connection) - oldest).total_seconds()
    return Depth({**dict.fromkeys(STATES, 0), **{state: int(n) for state, n in counted}}, max(waited, 0.0))


def anything_due(connection: Connection, kinds: Iterable[str]) -> bool:
    """Return whether `claim` would look at something: due jobs, and jobs whose holder fell silent."""
    moment, names = now(connection), list(kinds)
    queued = select(jobs.c.id).where(jobs.c.state == "queued", jobs.c.run_after <= moment, jobs.c.kind.in_(names))
    lost = select(jobs.c.id).where(jobs.c.state == "running", jobs.c.lease_until < moment, jobs.c.kind.in_(names))
    return any(connection.execute(query.limit(1)).first() is not None for query in (queued, lost))


def forget(connection: Connection, *, days: float) -> int:
    """Delete jobs that were done or cancelled over so many days ago, parked ones never; return how many.

    The newest job stays, so that no number is given twice.
    """
    newest = connection.scalar(select(func.max(jobs.c.id))) or 0
    old = jobs.c.finished_at < now(connection) - timedelta(days=days)
    return connection.execute(
        delete(jobs).where(jobs.c.state.in_(("done", "cancelled")), old, jobs.c.id < newest)
    ).rowcount


def _joined(earlier: Wanted, later: Wanted) -> Wanted:
    return replace(
        later,
        payload=merged(earlier.payload, later.payload),
        priority=min(earlier.priority, later.priority),
        delay_seconds=min(earlier.delay_seconds, later.delay_seconds),
    )


def _row(one: Wanted, moment: datetime, run_after: datetime) -> dict[str, Any]:
    return {
        "kind": one.kind, "subject": one.subject, "payload": dict(one.payload), "state": "queued",
        "priority": one.priority, "run_after": run_after, "attempts": 0, "most_attempts": one.most_attempts,
        "done": 0, "total": 0, "request_id": one.request_id, "created_at": moment,
    }  # fmt: skip


def _merge(connection: Connection, row: Row[Any], one: Wanted, run_after: datetime) -> int:
    """Take a wish into a queued job, whose row is locked."""
    values = {
        "payload": merged(row.payload, one.payload),
        "priority": min(row.priority, one.priority),
        "run_after": min(row.run_after, run_after),
    }
    changed = {name: value for name, value in values.items() if value != getattr(row, name)}
    if changed:
        connection.execute(update(jobs).where(jobs.c.id == row.id).values(changed))
    return int(row.id)


def _waiting(connection: Connection, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Row[Any]]:
    """Return the queued jobs of kinds and subjects, with their rows locked against claimers."""
    by_kind: dict[str, list[str]] = {}
    for kind, subject in keys:
        by_kind.setdefault(kind, []).append(subject)
    seen: list[int] = []
    for kind, subjects in by_kind.items():
        for start in range(0, len(subjects), _AT_ONCE):
            part = subjects[start : start + _AT_ONCE]
            where = jobs.c.state == "queued", jobs.c.kind == kind, jobs.c.subject.in_(part)
            seen += connection.scalars(select(jobs.c.id).where(*where))
    found: dict[tuple[str, str], Row[Any]] = {}
    seen.sort()
    for start in range(0, len(seen), _AT_ONCE):
        # By their keys and in a second look, because one may have been claimed since, and so that a server locks these
        # rows alone: by the other columns it would lock what lies between them, too.
        part_of_ids = jobs.c.id.in_(seen[start : start + _AT_ONCE])
        locked = connection.execute(select(jobs).where(part_of_ids).order_by(jobs.c.id).with_for_update())
        found |= {(row.kind, row.subject): row for row in locked if row.state == "queued"}
    return found


def _queue_again(connection: Connection, row: Row[Any], run_after: datetime, attempts: int, error: str | None) -> int:
    """Queue a job again, or merge it into the one that is queued in its place; return the number of that."""
    other = _waiting(connection, [(row.kind, row.subject)]).get((row.kind, row.subject))
    if other is None:
        again = {
            "state": "queued", "run_after": run_after, "attempts": attempts, "error": error, "holder": None,
            "lease_until": None, "finished_at": None, "result": None, "step": None, "done": 0, "total": 0,
        }  # fmt: skip
        connection.execute(update(jobs).where(jobs.c.id == row.id).values(again))
        return int(row.id)
    joined = {
        "payload": merged(row.payload, other.payload), "priority": min(row.priority, other.priority),
        "attempts": max(attempts, other.attempts), "error": error,
    }  # fmt: skip
    connection.execute(update(jobs).where(jobs.c.id == other.id).values(joined))
    _close(connection, row.id, "cancelled", now(connection), error=error, result={"merged_into": other.id})
    return int(other.id)


def _close(connection: Connection, number: int, state: str, moment: datetime, **more: Any) -> None:
    values = {"state": state, "holder": None, "lease_until": None, "finished_at": moment, **more}
    connection.execute(update(jobs).where(jobs.c.id == number).values(values))


def _locked(connection: Connection, number: int) -> Row[Any] | None:
    return connection.execute(select(jobs).where(jobs.c.id == number).with_for_update()).first()


def _written(connection: Connection, ids: Collection[int], holder: str, values: Mapping[str, Any]) -> set[int]:
    """Write to those of the jobs that ``holder`` still has, and return which those are."""
    # Locked first and in one order by whoever locks several, so that a worker's threads never wait in a circle.
    held = jobs.c.state == "running", jobs.c.holder == holder, jobs.c.id.in_(sorted(ids))
    mine = list(connection.scalars(select(jobs.c.id).where(*held).order_by(jobs.c.id).with_for_update()))
    if mine:
        connection.execute(update(jobs).where(jobs.c.id.in_(mine)).values(dict(values)))
    return set(mine)


def _job(row: Row[Any]) -> Job:
    return Job(**row._mapping)


def _missing(number: int) -> NotFound:
    return NotFound(
        f"there is no job {number}; it never was, or it was over for some days and is deleted: "
        "`shelfwise jobs list` shows those there are"
    )
