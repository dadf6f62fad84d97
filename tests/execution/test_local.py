"""Workers under a deadline: answers and errors come back, the late and the dead are replaced, nothing is mixed up."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shelfwise.domain.errors import NotFound, ParameterError
from shelfwise.execution.local import OutOfTime, WorkerLost, Workers

PATIENT = 60.0


def sleepy(path: str, seconds: float) -> str:
    Path(path).write_text(str(os.getpid()))
    time.sleep(seconds)
    return "awake"


def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def not_found(what: str) -> None:
    raise NotFound(f"there is no {what}")


def unsendable() -> object:
    return threading.Lock()


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2) as some:
        yield some


def test_an_answer_comes_back(workers: Workers):
    assert workers.call(max, 2, 7, timeout_seconds=PATIENT) == 7


def test_an_error_comes_back_as_itself(workers: Workers):
    with pytest.raises(NotFound, match="there is no tea"):
        workers.call(not_found, "tea", timeout_seconds=PATIENT)


def test_an_answer_that_cannot_be_sent_is_an_error_and_the_worker_lives_on(workers: Workers):
    with pytest.raises(RuntimeError, match="lock"):
        workers.call(unsendable, timeout_seconds=PATIENT)
    assert workers.call(max, 1, 2, timeout_seconds=PATIENT) == 2


def test_a_late_worker_is_ended_and_replaced(workers: Workers, tmp_path: Path):
    note = tmp_path / "process"
    assert workers.call(max, 1, 2, timeout_seconds=PATIENT) == 2  # somebody is awake already
    with pytest.raises(OutOfTime, match="no answer within 5 s"):
        workers.call(sleepy, str(note), 600.0, timeout_seconds=5)
    late = int(note.read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(late, 0)
    assert workers.call(os.getpid, timeout_seconds=PATIENT) != late


def test_a_worker_that_dies_is_told_and_replaced(workers: Workers):
    for _ in range(3):
        with pytest.raises(WorkerLost, match="killed, or out of memory"):
            workers.call(dies, timeout_seconds=PATIENT)
    assert workers.call(max, 1, 2, timeout_seconds=PATIENT) == 2


def test_many_threads_each_get_their_own_answer(workers: Workers):
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda n: workers.call(divmod, n, 7, timeout_seconds=PATIENT), range(200)))
    assert answers == [divmod(n, 7) for n in range(200)]


def test_waiting_for_a_busy_worker_counts_against_the_deadline(tmp_path: Path):
    with Workers(1) as one, ThreadPoolExecutor(1) as threads:
        one.call(max, 1, 2, timeout_seconds=PATIENT)
        first = threads.submit(one.call, sleepy, str(tmp_path / "process"), 3.0, timeout_seconds=PATIENT)
        while not (tmp_path / "process").exists():
            time.sleep(0.01)
        with pytest.raises(OutOfTime, match="every worker was busy for 0.1 s"):
            one.call(max, 1, 2, timeout_seconds=0.2)
        assert first.result() == "awake"


def test_a_worker_that_starts_is_not_ended_by_those_who_cannot_wait():
    with Workers(1) as one:
        with pytest.raises(OutOfTime, match="had not started within 0.01 s"):
            one.call(max, 1, 2, timeout_seconds=0.01)
        first = {worker.process.pid for worker in one._alive}
        assert one.call(os.getpid, timeout_seconds=PATIENT) in first


def test_more_calls_than_can_be_answered_do_not_keep_all_from_being_answered():
    with Workers(1) as one, ThreadPoolExecutor(30) as threads:
        process = one.call(os.getpid, timeout_seconds=PATIENT)

        def ask(_: int) -> bool:
            try:
                one.call(time.sleep, 0.2, timeout_seconds=2.0)
            except OutOfTime:
                return False
            return True

        answered = sum(threads.map(ask, range(30)))
        assert answered >= 3, "the one second of waiting is enough for some of them"
        assert one.call(os.getpid, timeout_seconds=PATIENT) == process, "and none was ended at its work"


def test_no_worker_outlives_its_owner():
    with Workers(1) as one:
        process = one.call(os.getpid, timeout_seconds=PATIENT)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_closing_ends_those_at_work_and_tells_their_callers(tmp_path: Path):
    one = Workers(1)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(one.call, sleepy, str(tmp_path / "process"), 600.0, timeout_seconds=PATIENT)
        while not (tmp_path / "process").exists():
            time.sleep(0.01)
        one.close()
        with pytest.raises(WorkerLost):
            first.result()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "process").read_text()), 0)


def test_less_than_one_process_is_refused():
    with pytest.raises(ParameterError, match="at least 1, got 0"):
        Workers(0)
