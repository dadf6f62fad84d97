"""The audit log: who wrote what, when, from where, and what came of it.

A request that writes is answered only once its entry is on disk, so no acknowledged write is missing from the log; one
that was refused does not wait for it. The entries of requests that come together share one transaction, and those of
stock movements are in the movements' own. What cannot be known is a change whose answer was never
given because the process died between the two commits. If the log itself cannot be written, the entry goes to the
program's log, whole, and the answer is given: the change has been made and saying otherwise would be a lie.
"""

from __future__ import annotations

import logging
import queue
import threading
from concurrent.futures import Future
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

from shelfwise.app import App
from shelfwise.domain.errors import ParameterError, ShelfwiseError
from shelfwise.services import actor
from shelfwise.services.session_tokens import utc_now
from shelfwise.storage import audit, users
from shelfwise.storage.audit import Entry
from shelfwise.storage.audit import Numbered as Numbered

_log: Final = logging.getLogger(__name__)
MOST_AT_ONCE: Final = 1000
MOST_LISTED: Final = 1000
_LONGEST: Final = {"who": 255, "via": 160, "action": 255, "subject": 2000, "request_id": 64, "address": 64}


class AuditLog:
    """Writes entries in a thread of its own, those that wait together in one transaction."""

    def __init__(self, shop: App) -> None:
        self._shop = shop
        self._waiting: queue.SimpleQueue[tuple[Entry, Future[None]] | tuple[int, datetime] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def record(self, entry: Entry) -> Future[None]:
        """Write an entry; the result is there once it is on disk, or has gone to the program's log instead."""
        done: Future[None] = Future()
        self._put((entry, done))
        return done

    def touch(self, token: int, at: datetime) -> None:
        """Write down some time soon that an API token was used."""
        self._put((token, at))

    def close(self) -> None:
        """Write what waits, and end."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._waiting.put(None)
            thread.join()

    def _put(self, item: tuple[Entry, Future[None]] | tuple[int, datetime]) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="shelfwise-audit", daemon=True)
                self._thread.start()
            self._waiting.put(item)

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch, last = [first], False
            while len(batch) < MOST_AT_ONCE and not self._waiting.empty():
                item = self._waiting.get()
                if item is None:
                    last = True
                    break
                batch.append(item)
            self._write(batch)
            if last:
                return

    def _write(self, batch: list[tuple[Entry, Future[None]] | tuple[int, datetime]]) -> None:
        entries = [one for one, _ in batch if isinstance(one, Entry)]
        try:
            with self._shop.database.write() as connection:
                append(connection, entries)
                for token, at in batch:
                    if isinstance(token, int) and isinstance(at, datetime):
                        users.touch_token(connection, token, at)
        except ShelfwiseError as error:
            for entry in entries:
                _log.error("the audit log cannot be written (%s); its entry: %s", error, asdict(entry))
        except Exception:  # a fault of ours: this thread must live, or nothing would be written down any more
            _log.exception("the audit log cannot be written; its entries: %s", [asdict(entry) for entry in entries])
        finally:
            for _, done in batch:
                if isinstance(done, Future):
                    done.set_result(None)


def entry(action: str, subject: str = "", *, status: int | None = None, who: str = "", via: str = "") -> Entry:
    """Return an entry on who is acting now; ``who`` and ``via`` where that is not known yet."""
    acting = actor.current()
    if acting is None:
        return Entry(utc_now(), who or actor.computer_user(), via or "command line", action, subject, status)
    user = acting.principal
    return Entry(
        utc_now(), who or ("" if user is None else user.name), via or ("" if user is None else user.via), action,
        subject, status, acting.request_id, acting.address,
    )  # fmt: skip


def append(connection: Any, entries: list[Entry]) -> None:
    """Write entries in the caller's transaction, with texts cut to what their columns hold."""
    audit.append(connection, [_cut(one) for one in entries])


def by_hand(connection: Any, action: str, subject: str) -> None:
    """Write that a command did something; a request is written down by the door that answers it."""
    if actor.current() is None:
        append(connection, [entry(action, subject)])


def listed(app: App, *, before: int | None = None, limit: int = 100) -> list[Numbered]:
    """Return the newest entries, of those with a number below ``before``.

    Raises
    ------
    ParameterError
        ``limit`` is not from 1 to 1,000.
    """
    if not 1 <= limit <= MOST_LISTED:
        raise ParameterError(f"limit must be from 1 to {MOST_LISTED:,} entries, got {limit:,}")
    with app.database.read() as connection:
        return audit.latest(connection, before, limit)


def _cut(one: Entry) -> Entry:
    # NUL is the one character that PostgreSQL keeps in no text.
    texts = {name: getattr(one, name).replace("\0", "")[:longest] for name, longest in _LONGEST.items()}
    return replace(one, **texts)
