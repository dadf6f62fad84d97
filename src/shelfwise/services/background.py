"""The background worker: it turns events and the clock into jobs, and works on jobs until it is told to end.

Four threads:

* **beat** moves on the leases of the jobs that this worker holds, says that it lives, and stops what was taken from it;
* **here** relays the outbox, looks at the schedule, and runs the short kinds of jobs one after the other;
* **apart** runs the long kinds, each in a process that is killed at its deadline or when its job is cancelled;
* **beside** tells webhooks of events, and starts a thread for each job that waits for somebody else.

Every event becomes its jobs exactly once: the events are read, their jobs queued and the reader's place moved on in one
transaction that holds the writers' turn. Events are written within the same turn, so their numbers become visible in
their order on every kind of database, and none can appear behind the place. Any number of workers may relay. An event
whose reaction fails is kept as a parked job, in that transaction too, and the events after it go on.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import reduce
from types import TracebackType
from typing import Any, Final

from shelfwise import logs
from shelfwise.app import App
from shelfwise.domain.calendar import ShopCalendar
from shelfwise.domain.errors import ConflictError, DataError, ParameterError, ShelfwiseError, StorageError
from shelfwise.execution.local import OutOfTime, WorkerLost, Workers
from shelfwise.services import webhooks
from shelfwise.services.job_kinds import KINDS, REACT, Kind, Lane, Payload
from shelfwise.services.jobs import wanted as job_of
from shelfwise.services.reactions import SCHEDULE, Scheduled, first_time, jobs_after, next_time, rule_of
from shelfwise.services.wake import RedisBell, Wake, channel_of
from shelfwise.settings import Settings
from shelfwise.storage import jobs, outbox, workers
from shelfwise.storage.database import Database
from shelfwise.storage.jobs import Job, Wanted, merged
from shelfwise.storage.outbox import Happened
from shelfwise.storage.savepoints import each_whatever_fails
from shelfwise.storage.workers import Due

_log: Final = logging.getLogger(__name__)

READER: Final = "jobs"
AT_ONCE: Final[Mapping[Lane, int]] = {"here": 50, "apart": 1, "beside": 50}
"""Jobs that are claimed together, and of those that run beside all others, how many run at a time."""
EVENTS_AT_ONCE: Final = 200
POLL_SECONDS: Final = 1.0
FIRST_BACK_OFF_SECONDS: Final = 2.0
LONGEST_BACK_OFF_SECONDS: Final = 900.0
STORAGE_PAUSE_SECONDS: Final = 10.0
STORAGE_PATIENCE: Final = dt.timedelta(days=1)
"""After a full disk or a restart of the database, which no job is to blame for; and how long that counts as no try."""
_TOLD_EVERY_SECONDS: Final = 0.5
_BEATS_A_LEASE: Final = 5
_END_SECONDS: Final = 10.0
_GATHER_SECONDS: Final = 0.2
_SAME_WARNING_SECONDS: Final = 60.0
_NO_USE: Final = (ParameterError, DataError, ConflictError)
"""Errors of what was asked for: the next attempt would meet the same."""


class JobLost(ShelfwiseError):
    """The job was cancelled, or another worker has it: this one must not go on."""


def back_off_seconds(attempts: int) -> float:
    """Return how long to wait after so many attempts, without the chance that spreads them.

    >>> [back_off_seconds(n) for n in (1, 2, 3, 4, 5, 9)]
    [2.0, 8.0, 32.0, 128.0, 512.0, 900.0]
    """
    return float(min(FIRST_BACK_OFF_SECONDS * 4 ** (attempts - 1), LONGEST_BACK_OFF_SECONDS))


def relay(app: App) -> int:
    """Turn the events since the last time into jobs; return how many events. Safe to run beside itself."""
    with app.database.read() as connection:
        if not outbox.since(connection, workers.read_until(connection, READER), limit=1):
            return 0
    with app.database.write() as connection:
        events = outbox.since(connection, workers.read_until(connection, READER), limit=EVENTS_AT_ONCE)
        reacted = each_whatever_fails(connection, events, lambda some: _react(connection, some))
        failed = [(event, error) for event, error in zip(events, reacted, strict=True) if error is not None]
        parked = [_park(connection, event, error) for event, error in failed]
        if events:
            workers.set_read_until(connection, READER, events[-1].number)
    for number, (event, error) in zip(parked, failed, strict=True):
        _log.error(
            "what follows from event %d (%s) could not be told: %s; the events after it go on, it waits as job %d: "
            "shelfwise jobs show %d", event.number, event.event.name, _said(error), number, number,
            exc_info=_fault(error),
        )  # fmt: skip
    return len(events)


def _react(connection: Any, events: Sequence[Happened]) -> list[None]:
    """Queue what follows from events, in their order."""
    wanted = [job for each in events for job in jobs_after(connection, each.event)]
    if wanted:
        jobs.enqueue(connection, wanted)
    return [None] * len(events)


def _park(connection: Any, happened: Happened, error: Exception) -> int:
    """Keep an event whose reaction fails as a parked job, so that it holds nobody up and is not forgotten."""
    payload = {"event": happened.number, "name": happened.event.name}
    wanted = job_of(REACT, payload, str(happened.number))
    return jobs.park(connection, wanted, f"event {happened.number} ({happened.event.name}): {_said(error)}")


def queue_scheduled(app: App, schedule: Sequence[Scheduled] = SCHEDULE, kinds: Mapping[str, Kind] = KINDS) -> int:
    """Queue what is due by the clock, once for all workers, and return how much that was.

    What was missed while nobody worked is done once, however often it was due.
    """
    with app.database.read() as connection:
        if not _overdue(app, connection, schedule):
            return 0
    count = 0
    with app.database.write() as connection:
        known, moment = workers.next_times(connection), jobs.now(connection)
        for one, rule in _overdue(app, connection, schedule):
            before = known.get(one.name)
            if before is None:
                following = first_time(app, one, moment)
            else:
                following = next_time(app, one, moment)
                if before.rule == rule:
                    kind = kinds[one.kind]
                    wanted = Wanted(kind.name, one.subject, one.payload, kind.priority, kind.most_attempts)
                    jobs.enqueue(connection, [wanted])
                    count += 1
            workers.set_next(connection, one.name, Due(rule, following))
    return count


def _overdue(app: App, connection: Any, schedule: Sequence[Scheduled]) -> list[tuple[Scheduled, str]]:
    """Return what is due, and what was never planned, or by another rule; each with its rule."""
    known, moment = workers.next_times(connection), jobs.now(connection)
    ruled = [(one, rule) for one in schedule if (rule := rule_of(app, one)) is not None]
    return [
        (one, rule)
        for one, rule in ruled
        if (due := known.get(one.name)) is None or due.rule != rule or due.next_at <= moment
    ]


class Background:
    """A worker; `start` it, or `drain` what is due.

    Parameters
    ----------
    app
        The open shop; it stays open.
    kinds, schedule
        What it can do, and when what is due.
    lease_seconds
        How long it may be silent before another worker takes its jobs; None takes the setting.
    poll_seconds
        How often it looks for jobs when nobody wakes it.
    """

    def __init__(
        self,
        app: App,
        *,
        kinds: Mapping[str, Kind] = KINDS,
        schedule: Sequence[Scheduled] = SCHEDULE,
        lease_seconds: float | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self.app, self.kinds, self.schedule = app, kinds, schedule
        self.lease_seconds = app.settings.job_lease_seconds if lease_seconds is None else lease_seconds
        self.poll_seconds = poll_seconds
        self.host = socket.gethostname()[:255]
        self.name = f"{self.host[:32]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.wake = Wake()
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._lost: set[int] = set()
        self._running: set[int] = set()
        self._process: Workers | None = None
        self._process_of: int | None = None
        self._warned: tuple[str, float] = ("", 0.0)
        self._threads: list[threading.Thread] = []
        self._beside_threads: set[threading.Thread] = set()
        self._bell: RedisBell | None = None
        self._unlisten: list[Any] = []

    # --- life

    def start(self) -> None:
        """Start working, in threads of this process."""
        database = self.app.database
        self._unlisten.append(database.listen(self.wake.ring))
        if self.app.settings.redis_url is not None:
            self._bell = RedisBell(self.app.settings.redis_url.get_secret_value(), channel_of(self.app), self.wake)
            self._unlisten.append(database.listen(self._bell.committed))
        for name, step in (
            ("beat", self._beat), ("here", self._here), ("apart", self._apart), ("beside", self._beside),
        ):  # fmt: skip
            thread = threading.Thread(target=step, name=f"jobs-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)
        _log.info("worker %s works", self.name)

    def close(self) -> None:
        """End: jobs in processes are ended and queued again, those in threads may finish for some seconds."""
        self._ending.set()
        self.wake.ring()
        self._end_process()
        deadline = time.monotonic() + _END_SECONDS
        for thread in (*self._threads, *self._beside_now()):
            thread.join(max(deadline - time.monotonic(), 0.1))
        for end in self._unlisten:
            end()
        if self._bell is not None:
            self._bell.close()
        self._end_process()
        try:
            with self.app.database.write_beside() as connection:
                workers.gone(connection, self.name)
        except ShelfwiseError as error:
            _log.warning("worker %s could not say that it ends: %s", self.name, error)

    def __enter__(self) -> Background:
        """Return the worker itself, started."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    @property
    def is_alive(self) -> bool:
        """Whether all its threads run."""
        return bool(self._threads) and all(thread.is_alive() for thread in self._threads)

    def drain(self) -> int:
        """Do in this thread what is due, and what follows from it; return how many jobs were run.

        A long job's lease is moved on meanwhile. Jobs that wait for a later attempt are left waiting.
        """
        beat = threading.Thread(target=self._beat, name="jobs-beat", daemon=True)
        beat.start()
        count = 0
        try:
            while not self._ending.is_set():
                relay(self.app)
                queue_scheduled(self.app, self.schedule, self.kinds)
                webhooks.relay(self.app)
                ran = self.work("here") + self.work("beside") + self.work("apart")
                for thread in self._beside_now():
                    thread.join()
                count += ran
                if not ran and not relay(self.app) and not webhooks.relay(self.app):
                    return count
        finally:
            self.close()
            beat.join()
        return count

    # --- the four threads

    def _beat(self) -> None:
        while not self._ending.wait(self._beat_once()):
            pass

    def _beat_once(self) -> float:
        """Say that this worker lives; return in how many seconds to say so again."""
        try:
            with self._lock:
                running = set(self._running)
            with self.app.database.write_beside() as connection:
                held = jobs.renew(connection, running, self.name, self.lease_seconds)
                workers.seen(connection, self.name, self.host, os.getpid())
            with self._lock:
                self._lost |= (running & self._running) - held
                ended = self._process_of in self._lost
            if ended:
                self._end_process()
        except ShelfwiseError as error:
            _log.warning("worker %s could not move on its leases: %s", self.name, error)
        return self.lease_seconds / _BEATS_A_LEASE

    def _here(self) -> None:
        def step() -> int:
            relayed = relay(self.app)
            return relayed + queue_scheduled(self.app, self.schedule, self.kinds) + self.work("here")

        self._again_and_again(step)

    def _apart(self) -> None:
        self._again_and_again(lambda: self.work("apart"))

    def _beside(self) -> None:
        self._again_and_again(lambda: webhooks.relay(self.app) + self.work("beside"))

    def _again_and_again(self, step: Callable[[], int]) -> None:
        seen = 0
        while not self._ending.is_set():
            if not self._guarded(step):
                seen = self.wake.wait(seen, self.poll_seconds)
                self._ending.wait(_GATHER_SECONDS)  # what is committed together is done together

    def _guarded(self, step: Any) -> int:
        """Take a step; what goes wrong with the database or in this program must not end the worker."""
        try:
            return int(step())
        except Exception as error:
            if self._ending.is_set():
                return 0
            said, moment = f"{type(error).__name__}: {error}", time.monotonic()
            if said != self._warned[0] or moment - self._warned[1] > _SAME_WARNING_SECONDS:
                self._warned = said, moment
                _log.warning("worker %s: %s", self.name, said, exc_info=_fault(error))
            self._ending.wait(self.poll_seconds)
            return 0

    # --- working

    def work(self, lane: Lane) -> int:
        """Claim due jobs of the kinds of a lane and run them, or start those that run beside; return how many."""
        kinds = [kind.name for kind in self.kinds.values() if kind.lane == lane]
        limit = AT_ONCE[lane] - (len(self._beside_now()) if lane == "beside" else 0)
        if not kinds or limit <= 0:
            return 0
        with self.app.database.read() as connection:
            if not jobs.anything_due(connection, kinds):
                return 0
        with self.app.database.write_beside() as connection:
            claimed = jobs.claim(connection, self.name, kinds, limit=limit, lease_seconds=self.lease_seconds)
        if not claimed:
            return 0
        with self._lock:
            self._running |= {job.id for job in claimed}
        if lane == "beside":
            for job in claimed:
                thread = threading.Thread(target=self._alone, args=(job,), name=f"job-{job.id}", daemon=True)
                with self._lock:
                    self._beside_threads.add(thread)
                thread.start()
            return len(claimed)
        left = self._groups(claimed)
        try:
            while left and not self._ending.is_set():
                group = left.pop(0)
                with logs.following(job=group[0].id, request_id=group[0].request_id):
                    self._run(group)
        finally:
            with self._lock:
                self._running -= {job.id for job in claimed}
                self._lost -= {job.id for job in claimed}
            if left:
                self._put_back([job for group in left for job in group], begun=False)
        return len(claimed)

    def _alone(self, job: Job) -> None:
        """Run a job in a thread of its own."""
        try:
            with logs.following(job=job.id, request_id=job.request_id):
                self._guarded(lambda: self._run([job]))
        finally:
            with self._lock:
                self._running.discard(job.id)
                self._lost.discard(job.id)
                self._beside_threads.discard(threading.current_thread())

    def _beside_now(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._beside_threads)

    def _groups(self, claimed: Sequence[Job]) -> list[list[Job]]:
        """Put jobs together that one run may take; those that failed before run by themselves."""
        groups: list[list[Job]] = []
        for job in claimed:
            last = groups[-1] if groups else []
            fits = last and last[0].kind == job.kind and len(last) < self.kinds[job.kind].together
            if fits and not job.attempts and not last[-1].attempts:
                last.append(job)
            else:
                groups.append([job])
        return groups

    def _run(self, group: Sequence[Job]) -> int:
        """Run jobs as one; return how many of them were still this worker's."""
        kind = self.kinds[group[0].kind]
        with self.app.database.write_beside() as connection:
            mine = jobs.begin(connection, [job.id for job in group], self.name)
        group = [job for job in group if job.id in mine]
        if not group:
            return 0
        ids = [job.id for job in group]
        payload: Payload = reduce(merged, [job.payload for job in group[1:]], dict(group[0].payload))
        began = time.perf_counter()
        try:
            result = self._in_process(kind, group[0]) if kind.apart else self._in_thread(kind, ids, payload)
            json.dumps(result)  # what cannot be kept is the handler's fault
        except Exception as error:
            self._failed(group, error)
            return len(ids)
        with self.app.database.write_beside() as connection:
            kept = jobs.finish(connection, ids, self.name, result)
        seconds = round(time.perf_counter() - began, 4)
        _log.info("job_completed", extra={"kind": kind.name, "jobs": len(ids), "seconds": seconds, "kept": bool(kept)})
        return len(ids)

    def _in_thread(self, kind: Kind, ids: Sequence[int], payload: Mapping[str, Any]) -> Any:
        deadline = time.monotonic() + kind.seconds(self.app.settings)
        told = Told(self.app.database, ids, self.name, deadline, self._is_lost)
        return kind.run(self.app, payload, told)

    def _in_process(self, kind: Kind, job: Job) -> Any:
        app = self.app
        with self._lock:
            if self._ending.is_set():
                raise JobLost("the worker ends")
            process = self._process = Workers(1, modules=("shelfwise.services.background",))
            self._process_of = job.id
        try:
            return process.call(
                _run_apart, app.settings, dict(app.origins), app.calendar, kind, job.id, self.name, dict(job.payload),
                timeout_seconds=kind.seconds(app.settings),
            )  # fmt: skip
        finally:
            self._end_process()  # with all the memory that it took

    def _is_lost(self, ids: Collection[int]) -> bool:
        with self._lock:
            return self._ending.is_set() or set(ids) <= self._lost

    def _failed(self, group: Sequence[Job], error: Exception) -> None:
        """Queue again, park or give back what did not work."""
        if self._ending.is_set() and isinstance(error, JobLost | WorkerLost):
            self._put_back(group, begun=True)
            return
        if isinstance(error, JobLost) or self._is_lost([job.id for job in group]):
            _log.info("job %d was cancelled, or taken by another worker", group[0].id)
            return
        useless = isinstance(error, _NO_USE) and len(group) == 1
        with self.app.database.write() as connection:
            moment = jobs.now(connection)
            for job in sorted(group, key=lambda one: one.id):  # in the order in which all lock rows
                # Of several in one run it is not known which one it was: each is tried by itself, and at once.
                # The particular storage errors, such as a missing key, stay until a person does something.
                away = type(error) is StorageError and moment - job.created_at < STORAGE_PATIENCE
                wait = 0.0 if len(group) > 1 else back_off_seconds(job.attempts + 1)
                wait = (STORAGE_PAUSE_SECONDS if away else wait) * random.uniform(0.8, 1.2)  # noqa: S311  (it only spreads tries)
                after = jobs.fail(
                    connection, job.id, self.name, _said(error), None if useless else wait, counted=not away
                )
                if after is not None and after.state == "parked":
                    _log.error(
                        "job %d (%s) is parked after %d attempts: %s; look at it: shelfwise jobs show %d", job.id,
                        job.kind, after.attempts, error, job.id, exc_info=_fault(error),
                    )  # fmt: skip
                else:
                    _log.warning("job %d (%s) failed and is tried again: %s", job.id, job.kind, error)

    def _put_back(self, group: Sequence[Job], *, begun: bool) -> None:
        with self.app.database.write() as connection:
            jobs.put_back(connection, [job.id for job in group], self.name, begun=begun)

    def _end_process(self) -> None:
        with self._lock:
            process, self._process, self._process_of = self._process, None, None
        if process is not None:
            process.close()


class Told:
    """How a handler says how far it is: kept at most twice a second, and the moment at which it is stopped.

    Raises `JobLost` where the job is not this worker's any more, and `OutOfTime` after the deadline.
    """

    def __init__(
        self, database: Database, ids: Sequence[int], holder: str, deadline: float, is_lost: Any = None
    ) -> None:
        self._database, self._ids, self._holder, self._deadline = database, list(ids), holder, deadline
        self._is_lost = is_lost
        self._kept_at, self._step = 0.0, ""

    def __call__(self, step: str, done: int = 0, total: int = 0) -> None:
        """Say that ``done`` of ``total`` parts of ``step`` are finished; a total of 0 is not known."""
        moment = time.monotonic()
        if self._is_lost is not None and self._is_lost(self._ids):
            raise JobLost("the job was cancelled, or another worker has it")
        if moment > self._deadline:
            raise OutOfTime("the job took longer than it may")
        if step == self._step and moment - self._kept_at < _TOLD_EVERY_SECONDS:
            return
        self._kept_at, self._step = moment, step
        with self._database.write_beside() as connection:
            if not jobs.tell(connection, self._ids, self._holder, step, done, total):
                raise JobLost("the job was cancelled, or another worker has it")


def _run_apart(
    settings: Settings, origins: Mapping[str, str], calendar: ShopCalendar, kind: Kind, number: int, holder: str,
    payload: Mapping[str, Any],
) -> Any:  # fmt: skip
    """Run in a process of its own, which gets the address of the database and never a connection."""
    with App(settings, origins, calendar, Database.open(settings.address(), create=False)) as app:
        deadline = time.monotonic() + kind.seconds(settings)
        return kind.run(app, payload, Told(app.database, [number], holder, deadline))


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, ShelfwiseError) else f"{type(error).__name__}: {error}"


def _fault(error: Exception) -> Exception | None:
    """Return an error whose trace is worth the log: a fault of the program."""
    return None if isinstance(error, ShelfwiseError) else error
