"""Processes of this machine that work under a deadline: who is late is ended, and another takes the place.

A thread cannot be stopped and Python's process pools do not stop one job without breaking for all, so a model that
hangs would hold its worker for good. Here each worker is a process with a pipe of its own. A call takes an idle worker,
waits for the answer until its deadline, and kills the worker otherwise. Workers are started anew (``spawn``), never
forked: a fork of a process with threads may inherit a lock that nobody will ever release.

More calls than can be answered must not end in none being answered. So a call waits for a worker no longer than half of
its time: were it all, every call that waited would get a worker when hardly any time is left, and kill it. And a worker
that still starts is left to start, whoever runs out of time meanwhile.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import queue
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Final, TypeVar, cast

from shelfwise.domain.errors import ParameterError, ShelfwiseError

Result = TypeVar("Result")

_READY: Final = "ready"
_WAITING_SHARE: Final = 0.5


class OutOfTime(ShelfwiseError):
    """No answer came before the deadline; the work was ended."""


class WorkerLost(ShelfwiseError):
    """The process that did the work died, for example because the machine ran out of memory."""


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    pipe: Connection
    ready: bool = False

    def gets_ready(self, deadline: float) -> bool:
        """Wait until it has started, and return whether it has; raises `EOFError` or `OSError` where it died."""
        if not self.ready and self.pipe.poll(max(deadline - time.monotonic(), 0.0)):
            self.ready = self.pipe.recv() == _READY
        return self.ready

    def end(self) -> None:
        # Killed before the pipe is closed: a caller that waits on the pipe then meets its end, not a closed handle.
        self.process.kill()
        self.process.join()


class Workers:
    """A fixed number of worker processes; safe to share between threads.

    Parameters
    ----------
    processes
        How many calls run at the same time; further ones wait for their turn.
    modules
        What each worker imports before its first call.

    >>> with Workers(1) as workers:
    ...     workers.call(max, 3, 5, timeout_seconds=60)
    5
    """

    def __init__(self, processes: int, modules: Sequence[str] = ()) -> None:
        if processes < 1:
            raise ParameterError(f"processes must be at least 1, got {processes}")
        self._modules = tuple(modules)
        self._context = multiprocessing.get_context("spawn")
        self._lock = threading.Lock()
        self._closed = False
        self._alive: set[_Worker] = set()
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        with self._lock:
            for _ in range(processes):
                self._idle.put(self._started())

    def call(self, function: Callable[..., Result], *arguments: Any, timeout_seconds: float) -> Result:
        """Run ``function`` in a worker and return its answer, or raise what it raised.

        Parameters
        ----------
        function, arguments
            A function of a module, by name, and what can be sent to another process.
        timeout_seconds
            Time for waiting and for the work together; at most half of it is spent on waiting.

        Raises
        ------
        OutOfTime
            It took longer.
        WorkerLost
            The worker died.
        """
        deadline = time.monotonic() + timeout_seconds
        patience = timeout_seconds * _WAITING_SHARE
        try:
            worker = self._idle.get(timeout=patience)
        except queue.Empty:
            raise OutOfTime(f"every worker was busy for {patience:g} s") from None
        whole = False
        try:
            if not worker.gets_ready(deadline):
                whole = True
                raise OutOfTime(f"the process that works on this had not started within {timeout_seconds:g} s")
            worker.pipe.send((function, arguments))
            if not worker.pipe.poll(max(deadline - time.monotonic(), 0.0)):
                raise OutOfTime(f"no answer within {timeout_seconds:g} s; the work was ended")
            good, answer = worker.pipe.recv()
            whole = True
        except (EOFError, OSError):
            raise WorkerLost(
                "the process that worked on this died (killed, or out of memory); another has taken its place"
            ) from None
        finally:
            # Whatever came between, Ctrl-C too: a worker whose answer was not read must not answer the next call.
            self._idle.put(worker if whole else self._instead_of(worker))
        if not good:
            raise answer
        return cast("Result", answer)

    def alive(self) -> int:
        """Return how many workers are running, idle and at work."""
        with self._lock:
            return sum(worker.process.is_alive() for worker in self._alive)

    def close(self) -> None:
        """End all workers, those at work as well: their callers get `WorkerLost`."""
        with self._lock:
            self._closed = True
            for worker in self._alive:
                worker.end()
            self._alive.clear()

    def __enter__(self) -> Workers:
        """Return the workers themselves."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End them."""
        self.close()

    def _instead_of(self, worker: _Worker) -> _Worker:
        with self._lock:
            worker.end()
            self._alive.discard(worker)
            return worker if self._closed else self._started()

    def _started(self) -> _Worker:
        """Start a worker; the caller holds the lock."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, self._modules), name="shelfwise-work", daemon=True)
        process.start()
        theirs.close()  # so that the death of the worker ends the pipe
        worker = _Worker(process, ours)
        self._alive.add(worker)
        return worker


def _work(pipe: Connection, modules: Sequence[str]) -> None:
    """Answer calls until the pipe ends, which it does when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    for module in modules:
        importlib.import_module(module)
    with contextlib.suppress(EOFError, OSError):
        pipe.send(_READY)
        while True:
            function, arguments = pipe.recv()
            try:
                answer = (True, function(*arguments))
            except Exception as error:  # whatever it is, it is raised where the function was called from
                answer = (False, error)
            try:
                pipe.send(answer)
            except (TypeError, AttributeError, ValueError) as error:  # it cannot be sent to another process
                pipe.send((False, RuntimeError(f"{type(answer[1]).__name__} {answer[1]}: {error}")))
