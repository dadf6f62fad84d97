"""Group commit: many small writes in one transaction, so that they share the one wait for the disk.

Who asks gets a future. A thread takes what waits, up to `MOST` at once, does it in one transaction and answers after
the commit: an answer means durable. While it writes, the next ones gather, so the groups grow by themselves as more is
asked; only where several came last time does it wait up to `LINGER_SECONDS` for more, and a lone write is never held
up. It takes what waits after its turn has come: what was given up while another program held the database is left out.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final, Generic, TypeVar

from shelfwise.domain.errors import ShelfwiseError, StorageError
from shelfwise.storage.database import Database
from shelfwise.storage.savepoints import each_alone

_log: Final = logging.getLogger(__name__)

MOST: Final = 500
MOST_WAITING: Final = 20_000
LINGER_SECONDS: Final = 0.005
PATIENCE_SECONDS: Final = 20.0

Asked = TypeVar("Asked")
Made = TypeVar("Made")
Answer = TypeVar("Answer")


class GroupCommit(Generic[Asked, Made, Answer]):
    """The writer.

    Parameters
    ----------
    database
        Where it writes.
    act
        Does a group within the connection's transaction and returns, for each that is asked, what was made of it or
        the error of that one alone. It may be called again for parts of a group, behind savepoints.
    after
        Called after the commit with all that was made; returns the answers.
    counted
        Told after each commit how many requests shared it.
    """

    def __init__(
        self,
        database: Database,
        act: Callable[[Any, Sequence[Asked]], Sequence[Made | ShelfwiseError]],
        after: Callable[[Sequence[Made]], Sequence[Answer]],
        counted: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._database, self._act, self._after, self._counted = database, act, after, counted
        self._waiting: deque[tuple[Asked, Future[Answer]]] = deque()
        self._changed = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._thread.start()

    def submit(self, asked: Asked) -> Future[Answer]:
        """Ask for a write; the future is done once it is on disk.

        Raises
        ------
        StorageError
            So many wait already that this one would be answered too late, or the writer was closed.
        """
        future: Future[Answer] = Future()
        with self._changed:
            if self._ending:
                raise StorageError("the service is ending; send it again when it is back")
            if len(self._waiting) >= MOST_WAITING:
                raise StorageError(f"{MOST_WAITING:,} writes wait already; send it again in some seconds")
            self._waiting.append((asked, future))
            if len(self._waiting) == 1:
                self._changed.notify()
        return future

    async def answer(self, future: Future[Answer], patience_seconds: float = PATIENCE_SECONDS) -> Answer:
        """Wait for a write without holding a thread.

        Raises
        ------
        StorageError
            Its turn has not come in time; it was taken back and is not written.
        """
        waiting = asyncio.wrap_future(future)
        await asyncio.wait({waiting}, timeout=patience_seconds)
        if not waiting.done() and future.cancel():
            raise StorageError(
                f"the database was busy for {patience_seconds:g} s and nothing was written; send it again later"
            )
        return await waiting

    def close(self) -> None:
        """Write what waits, and end."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        several = False
        while self._some(LINGER_SECONDS if several else 0.0):
            group: list[tuple[Asked, Future[Answer]]] = []
            try:
                with self._database.write() as connection:
                    group = self._taken()
                    made = each_alone(
                        connection, [asked for asked, _ in group], lambda part: self._act(connection, part)
                    )
            except Exception as error:  # whatever it was, those who wait must hear of it and the writer go on
                self._fail(group or self._taken(), error)
                several = False
                continue
            several = len(group) > 1
            self._counted(len(group))
            self._answer([future for _, future in group], made)

    def _some(self, linger: float) -> bool:
        """Wait until something is asked; return False once the writer is closed and nothing waits."""
        with self._changed:
            while not self._waiting:
                if self._ending:
                    return False
                self._changed.wait()
        if linger and len(self._waiting) < MOST and not self._ending:
            time.sleep(linger)
        return True

    def _taken(self) -> list[tuple[Asked, Future[Answer]]]:
        with self._changed:
            found = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
        return [(asked, future) for asked, future in found if future.set_running_or_notify_cancel()]

    def _answer(self, futures: Sequence[Future[Answer]], made: Sequence[Made | ShelfwiseError]) -> None:
        try:
            answers = iter(self._after([one for one in made if not isinstance(one, ShelfwiseError)]))
        except Exception as error:
            self._fail([(None, future) for future in futures], error)
            return
        for future, one in zip(futures, made, strict=True):
            if isinstance(one, ShelfwiseError):
                future.set_exception(one)
            else:
                future.set_result(next(answers))

    def _fail(self, group: Sequence[tuple[object, Future[Answer]]], error: Exception) -> None:
        _log.error("a group of %d writes failed: %s", len(group), error, exc_info=not isinstance(error, ShelfwiseError))
        for _, future in group:
            # One error for each: a traceback grows with every place that raises it.
            future.set_exception(StorageError(str(error)) if isinstance(error, StorageError) else error)
