"""What the table of jobs promises on every kind of database, over real connections."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from shelfwise.domain.errors import ConflictError, NotFound, ParameterError
from shelfwise.storage import jobs, tables, workers
from shelfwise.storage.database import Database
from shelfwise.storage.jobs import Wanted

KINDS = ("refresh", "plan")


def queue(database: Database, *wanted: Wanted) -> list[int]:
    with database.write() as connection:
        return jobs.enqueue(connection, wanted)


def claim(database: Database, holder: str = "anna", limit: int = 50, lease_seconds: float = 60.0) -> list[jobs.Job]:
    with database.write_beside() as connection:
        return jobs.claim(connection, holder, KINDS, limit=limit, lease_seconds=lease_seconds)


def begin(database: Database, ids: Sequence[int], holder: str = "anna") -> set[int]:
    with database.write_beside() as connection:
        return jobs.begin(connection, ids, holder)


def finish(database: Database, ids: Sequence[int], holder: str = "anna") -> int:
    with database.write_beside() as connection:
        return jobs.finish(connection, ids, holder, {"good": True})


def fail(database: Database, number: int, holder: str = "anna", retry: float | None = 0.0) -> jobs.Job | None:
    with database.write() as connection:
        return jobs.fail(connection, number, holder, "it broke", retry)


def look(database: Database, number: int) -> jobs.Job:
    with database.read() as connection:
        return jobs.get(connection, number)


def silence(database: Database, number: int) -> None:
    """Let the lease of a job run out."""
    with database.write() as connection:
        past = jobs.now(connection) - timedelta(seconds=1)
        connection.execute(update(tables.jobs).where(tables.jobs.c.id == number).values(lease_until=past))


def in_threads(count: int, step: Callable[[int], None]) -> None:
    wrong: list[BaseException] = []

    def run(number: int) -> None:
        try:
            step(number)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# --- merging


def test_queued_jobs_of_one_kind_and_subject_are_one(database: Database) -> None:
    first = queue(
        database,
        Wanted("refresh", "tea", {"products": ["tea"]}),
        Wanted("refresh", "mug"),
        Wanted("refresh", "tea", {"products": ["cup"]}),
    )
    assert first[0] == first[2] != first[1]
    again = queue(database, Wanted("refresh", "tea", {"products": ["pot"]}, priority=10), Wanted("plan", "tea"))
    assert again[0] == first[0]
    assert len({*first, *again}) == 3
    found = look(database, first[0])
    assert (found.payload, found.priority, found.state) == ({"products": ["tea", "cup", "pot"]}, 10, "queued")


def test_codes_that_look_alike_are_two_subjects(database: Database) -> None:
    assert len(set(queue(database, *[Wanted("refresh", code) for code in ("tea", "Tea", "tea ", "te\u0301a")]))) == 4


def test_a_job_that_runs_takes_in_nothing_more_and_nothing_of_its_subject_runs_beside_it(database: Database) -> None:
    [first] = queue(database, Wanted("refresh", "tea"))
    assert [job.id for job in claim(database)] == [first]
    [second] = queue(database, Wanted("refresh", "tea"))
    assert second != first, "what happened since the job began is not in what it read"
    assert claim(database, "bert") == []
    assert finish(database, [first]) == 1
    assert [job.id for job in claim(database, "bert")] == [second]


def test_a_delayed_job_waits_and_a_wish_without_delay_ends_the_wait(database: Database) -> None:
    [number] = queue(database, Wanted("refresh", "tea", delay_seconds=3600))
    assert claim(database) == []
    queue(database, Wanted("refresh", "tea"))
    assert [job.id for job in claim(database)] == [number]


def test_eight_writers_queue_one_job_for_each_subject(database: Database) -> None:
    subjects = [f"p{n}" for n in range(5)]

    def ask(number: int) -> None:
        for _ in range(4):
            queue(
                database, *[Wanted("refresh", s, {"from": [number]}) for s in random.Random(number).sample(subjects, 5)]
            )

    in_threads(8, ask)
    with database.read() as connection:
        found = jobs.page(connection)
    assert sorted(job.subject for job in found) == subjects
    assert all(sorted(job.payload["from"]) == list(range(8)) for job in found)


# --- claiming


def test_a_job_is_claimed_once_by_eight_claimers_while_more_are_queued(database: Database) -> None:
    queue(database, *[Wanted("refresh", f"p{n}") for n in range(120)])
    claimed: Counter[int] = Counter()
    done: list[int] = []

    def work(number: int) -> None:
        if number == 8:
            for n in range(120, 160):
                queue(database, Wanted("refresh", f"p{n}"), Wanted("refresh", "p0"))
            return
        idle = 0
        while idle < 5:
            mine = [job.id for job in claim(database, f"w{number}", limit=7)]
            claimed.update(mine)
            idle = 0 if mine else idle + 1
            if mine:
                assert begin(database, mine, f"w{number}") == set(mine)
                done.append(finish(database, mine, f"w{number}"))
            else:
                time.sleep(0.02)

    in_threads(9, work)
    while left := claim(database):
        claimed.update(job.id for job in left)
        done.append(finish(database, [job.id for job in left]))
    assert set(claimed.values()) == {1}
    assert sum(done) == len(claimed) >= 160


def test_claims_pass_over_rows_that_another_one_has_locked(database: Database) -> None:
    """Two claims that are open at once get different jobs; on a file the second one waits for the first."""
    if database.address.kind == "sqlite":
        pytest.skip("a file has one lock: claims are one after the other")
    queue(database, *[Wanted("refresh", f"p{n}") for n in range(4)])
    with database.write_beside() as one, database.write_beside() as other:
        first = jobs.claim(one, "anna", KINDS, limit=2, lease_seconds=60)
        second = jobs.claim(other, "bert", KINDS, limit=4, lease_seconds=60)
    assert len({job.id for job in [*first, *second]}) == 4


def test_holders_do_not_wait_for_a_large_write(database: Database) -> None:
    """A lease that could not be moved on while an import runs would be lost to it."""
    if database.address.kind == "sqlite":
        pytest.skip("a file has one lock: while an import has it nobody can take the job either")
    [first, second] = queue(database, Wanted("refresh", "tea"), Wanted("refresh", "mug"))
    assert [job.id for job in claim(database, limit=1)] == [first]
    began = time.monotonic()
    with database.write() as connection:
        jobs.enqueue(connection, [Wanted("refresh", "cup")])
        with database.write_beside() as beside:
            assert jobs.renew(beside, [first, second], "anna", 60.0) == {first}
        assert finish(database, [first]) == 1
        assert [job.id for job in claim(database)] == [second], "what is not committed cannot be claimed"
    assert time.monotonic() - began < 5


def test_the_urgent_and_then_the_oldest_come_first(database: Database) -> None:
    numbers = queue(
        database, Wanted("refresh", "a"), Wanted("refresh", "b", priority=10), Wanted("plan", priority=90),
        Wanted("refresh", "c"),
    )  # fmt: skip
    assert [job.id for job in claim(database)] == [numbers[1], numbers[0], numbers[3], numbers[2]]


def test_only_kinds_that_a_worker_knows_are_claimed(database: Database) -> None:
    queue(database, Wanted("from_a_newer_version"))
    assert claim(database) == []
    with database.read() as connection:
        assert not jobs.anything_due(connection, KINDS)


# --- leases


def test_a_job_whose_holder_fell_silent_goes_to_another_and_is_finished_once(database: Database) -> None:
    [number] = queue(database, Wanted("refresh", "tea"))
    claim(database, "anna")
    begin(database, [number], "anna")
    assert claim(database, "bert") == [], "the lease holds"
    silence(database, number)
    with database.read() as connection:
        assert jobs.anything_due(connection, KINDS)
    [taken] = claim(database, "bert")
    assert (taken.id, taken.holder, taken.attempts) == (number, "bert", 1)
    assert begin(database, [number], "bert") == {number}
    assert finish(database, [number], "anna") == 0
    assert fail(database, number, "anna") is None
    with database.write_beside() as connection:
        assert not jobs.tell(connection, [number], "anna", "half", 1, 2)
        assert jobs.renew(connection, [number], "anna", 60) == set()
        assert jobs.tell(connection, [number], "bert", "half", 1, 2)
    assert finish(database, [number], "bert") == 1
    found = look(database, number)
    assert (found.state, found.result, found.attempts, found.holder) == ("done", {"good": True}, 2, None)


def test_a_lease_that_is_moved_on_is_not_lost(database: Database) -> None:
    [number] = queue(database, Wanted("refresh", "tea"))
    claim(database, "anna", lease_seconds=0.4)
    for _ in range(4):
        time.sleep(0.15)
        with database.write_beside() as connection:
            jobs.renew(connection, [number], "anna", 0.4)
        assert claim(database, "bert") == []
    time.sleep(0.5)
    assert len(claim(database, "bert")) == 1


def test_a_job_that_kills_its_workers_is_parked_and_its_neighbours_are_not(database: Database) -> None:
    poison, innocent = queue(database, Wanted("refresh", "a", most_attempts=2), Wanted("refresh", "b", most_attempts=2))
    for _ in range(2):
        assert {job.id for job in claim(database)} == {poison, innocent}
        begin(database, [poison])
        silence(database, poison)
        silence(database, innocent)
    assert [job.id for job in claim(database)] == [innocent]
    found = look(database, poison)
    assert (found.state, found.attempts) == ("parked", 2)
    assert found.error is not None
    assert "fell silent each time" in found.error


# --- failing, parking, and what a person does


def test_a_failed_job_waits_is_tried_again_and_is_parked_at_last(database: Database) -> None:
    [number] = queue(database, Wanted("refresh", "tea", most_attempts=2))
    claim(database)
    begin(database, [number])
    again = fail(database, number, retry=3600)
    assert again is not None
    assert (again.state, again.error, again.attempts) == ("queued", "it broke", 1)
    assert again.run_after - again.created_at > timedelta(minutes=59)
    assert claim(database) == []
    queue(database, Wanted("refresh", "tea"))  # something new happened: no reason to wait
    claim(database)
    begin(database, [number])
    last = fail(database, number, retry=0)
    assert last is not None
    assert (last.state, last.error, last.attempts) == ("parked", "it broke", 2)
    with database.read() as connection:
        assert [job.id for job in jobs.page(connection, state="parked")] == [number]


def test_what_no_further_attempt_would_help_is_parked_at_once(database: Database) -> None:
    [number] = queue(database, Wanted("refresh", "tea"))
    claim(database)
    begin(database, [number])
    parked = fail(database, number, retry=None)
    assert parked is not None
    assert parked.state == "parked"


def test_an_attempt_that_does_not_count_parks_nothing(database: Database) -> None:
    [number] = queue(database, Wanted("refresh", "tea", most_attempts=1))
    for _ in range(3):
        claim(database)
        begin(database, [number])
        with database.write() as connection:
            again = jobs.fail(connection, number, "anna", "the disk is full", 0.0, counted=False)
        assert again is not None
        assert (again.state, again.error, again.attempts) == ("queued", "the disk is full", 0)


def test_a_failed_job_is_merged_into_the_one_that_was_queued_meanwhile(database: Database) -> None:
    [first] = queue(database, Wanted("refresh", "tea", {"products": ["tea"]}, priority=5))
    claim(database)
    begin(database, [first])
    [second] = queue(database, Wanted("refresh", "tea", {"products": ["mug"]}))
    failed = fail(database, first)
    assert failed is not None
    assert (failed.state, failed.result) == ("cancelled", {"merged_into": second})
    found = look(database, second)
    assert (found.state, found.attempts, found.priority) == ("queued", 1, 5)
    assert found.payload == {"products": ["tea", "mug"]}


def test_a_worker_that_ends_gives_its_jobs_back_at_once(database: Database) -> None:
    numbers = queue(database, Wanted("refresh", "a"), Wanted("refresh", "b"))
    claim(database)
    begin(database, numbers[:1])
    with database.write() as connection:
        jobs.put_back(connection, numbers[:1], "anna", begun=True)
        jobs.put_back(connection, numbers[1:], "anna", begun=False)
        jobs.put_back(connection, numbers, "bert", begun=True)
    assert [(job.id, job.attempts) for job in claim(database, "bert")] == [(n, 0) for n in numbers]


def test_a_parked_job_is_retried_and_a_queued_running_or_parked_one_ended(database: Database) -> None:
    first, second, third = queue(database, *[Wanted("refresh", code, most_attempts=1) for code in "abc"])
    claim(database, limit=2)
    begin(database, [first, second])
    fail(database, first)
    with database.write() as connection:
        again = jobs.retry(connection, first)
        assert (again.state, again.attempts, again.error) == ("queued", 0, None)
        for number in (first, second, third):
            assert jobs.cancel(connection, number, "queued", "running", "parked").state == "cancelled"
        with pytest.raises(ConflictError, match=f"job {first} is cancelled; it can be ended while it is queued"):
            jobs.cancel(connection, first, "queued")
        with pytest.raises(NotFound, match="there is no job 999"):
            jobs.cancel(connection, 999, "queued")
        with pytest.raises(NotFound, match="there is no job 999"):
            jobs.retry(connection, 999)
    assert finish(database, [second]) == 0, "its holder has lost it"
    with database.write() as connection:
        jobs.retry(connection, second)
        with pytest.raises(ConflictError, match=f"job {second} is queued; only a parked or cancelled"):
            jobs.retry(connection, second)
    assert claim(database) != []


def test_a_retried_job_joins_the_one_that_waits(database: Database) -> None:
    [first] = queue(database, Wanted("refresh", "tea", {"products": ["tea"]}))
    claim(database)
    begin(database, [first])
    fail(database, first, retry=None)
    [second] = queue(database, Wanted("refresh", "tea", {"products": ["mug"]}))
    with database.write() as connection:
        assert jobs.retry(connection, first).id == second
    assert look(database, second).payload == {"products": ["tea", "mug"]}
    assert look(database, first).state == "cancelled"


# --- looking and forgetting


def test_pages_go_back_from_the_newest(database: Database) -> None:
    numbers = queue(database, *[Wanted("refresh" if n % 2 else "plan", f"p{n}") for n in range(7)])
    with database.read() as connection:
        first = jobs.page(connection, limit=3)
        second = jobs.page(connection, limit=9, before=first[-1].id)
        assert [job.id for job in [*first, *second]] == numbers[::-1]
        assert {job.kind for job in jobs.page(connection, kind="plan")} == {"plan"}
        depth = jobs.depth(connection)
    assert depth.by_state == {"queued": 7, "running": 0, "done": 0, "parked": 0, "cancelled": 0}
    assert 0 <= depth.oldest_due_seconds < 60


def test_old_jobs_are_forgotten_but_for_parked_ones_and_the_newest(database: Database) -> None:
    numbers = queue(database, *[Wanted("refresh", f"p{n}") for n in range(4)])
    claim(database)
    begin(database, numbers)
    finish(database, [numbers[0], numbers[1], numbers[3]])
    fail(database, numbers[2], retry=None)
    with database.write() as connection:
        assert jobs.forget(connection, days=7) == 0
        old = jobs.now(connection) - timedelta(days=8)
        connection.execute(update(tables.jobs).values(finished_at=old))
        assert jobs.forget(connection, days=7) == 2
        assert [job.id for job in jobs.page(connection)] == [numbers[3], numbers[2]]


def test_all_times_are_of_the_database_and_in_utc(database: Database) -> None:
    with database.write() as connection:
        told = jobs.now(connection)
    assert abs(told.timestamp() - time.time()) < 60
    assert told.utcoffset() == timedelta(0)


def test_listeners_hear_of_what_was_kept_and_of_nothing_else(database: Database) -> None:
    heard: list[str] = []
    end = database.listen(lambda: heard.append("kept"))

    def fail_in_the_middle() -> None:
        with database.write() as connection:
            jobs.enqueue(connection, [Wanted("refresh", "mug")])
            raise KeyError("mug")

    with pytest.raises(KeyError, match="mug"):
        fail_in_the_middle()
    assert heard == []
    queue(database, Wanted("refresh", "tea"))
    assert heard == ["kept"]
    assert len(claim(database)) == 1
    assert heard == ["kept"], "a worker does not wake itself"
    end()
    queue(database, Wanted("refresh", "tea"))
    assert heard == ["kept"]


@pytest.mark.parametrize("wrong", [{"subject": "x" * 256}, {"most_attempts": 0}])
def test_a_wish_that_cannot_be_kept_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ParameterError):
        Wanted("refresh", **wrong)  # type: ignore[arg-type]


# --- workers, schedule, readers


def test_workers_are_known_by_when_they_were_heard_of(database: Database) -> None:
    for name in ("anna", "bert", "anna"):
        with database.write_beside() as connection:
            workers.seen(connection, name, "here", 17)
    with database.read() as connection:
        assert [one.name for one in workers.all_seen(connection)] == ["anna", "bert"]
        assert all(one.silent_seconds < 60 for one in workers.all_seen(connection))
    with database.write() as connection:
        workers.gone(connection, "anna")
        connection.execute(update(tables.workers).values(last_seen=jobs.now(connection) - timedelta(days=2)))
        assert workers.forget_silent(connection, days=1) == 1
        assert connection.scalar(select(func.count()).select_from(tables.workers)) == 0


def test_the_schedule_and_readers_keep_what_they_are_told(database: Database) -> None:
    with database.write() as connection:
        soon = workers.Due("every day at 02:00", jobs.now(connection))
        assert workers.next_times(connection) == {}
        workers.set_next(connection, "plan", soon)
        later = workers.Due(soon.rule, soon.next_at + timedelta(days=1))
        workers.set_next(connection, "plan", later)
        assert workers.next_times(connection) == {"plan": later}
        assert workers.read_until(connection, "jobs") == 0
        for number in (3, 5):
            workers.set_read_until(connection, "jobs", number)
        assert workers.read_until(connection, "jobs") == 5
