"""Answers that several processes of the service share in a Redis: the second level, behind each process's own memory.

What an answer is made of stands in its key, so an answer is never wrong and never deleted: what has changed has another
key, and nobody asks for the old one until it runs out. Reading waits for Redis `PATIENCE_SECONDS` at most to connect
and again to answer; who had to wait that long, or was refused, says so to the others, and nobody asks again before a
thread of its own has found Redis well. Writing is that thread's business and is waited for by nobody.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from shelfwise.domain.errors import ParameterError

_log: Final = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 0.1
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 15.0
KEPT_SECONDS: Final = 3600
LARGEST: Final = 1 << 20
MOST_WAITING: Final = 256
"""Answers that wait to be written; more of them are made again by whoever needs them."""


class SharedAnswers:
    """A second level of a cache; safe to share between threads.

    Parameters
    ----------
    url
        Of the Redis, such as ``redis://127.0.0.1:6379/0``.
    prefix
        Of all keys; another shop has another.
    counts
        What to call for each hit, and for each miss.

    Raises
    ------
    ParameterError
        The driver of Redis is not installed, or the address is none.
    """

    def __init__(self, url: str, prefix: str, counts: tuple[Callable[[], None], Callable[[], None]]) -> None:
        try:
            redis = importlib.import_module("redis")
            retry, backoff = importlib.import_module("redis.retry"), importlib.import_module("redis.backoff")
        except ImportError:
            raise ParameterError(
                "redis_url is set and the driver of Redis is not installed; install it (pip install "
                "'shelfwise[redis]'), or leave redis_url empty: each process then keeps answers for itself"
            ) from None
        try:
            self._client: Any = redis.Redis.from_url(
                url, socket_timeout=PATIENCE_SECONDS, socket_connect_timeout=PATIENCE_SECONDS,
                retry=retry.Retry(backoff.NoBackoff(), 0),
            )  # fmt: skip
        except ValueError as error:
            raise ParameterError(f"redis_url is no address of a Redis ({error}); write redis://host:6379/0") from None
        self._prefix = prefix
        self._hit, self._miss = counts
        self._wrong: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        self._well, self._told = False, False
        self._waiting: deque[tuple[str, bytes]] = deque(maxlen=MOST_WAITING)
        self._something, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._write, name="redis-answers", daemon=True)
        self._thread.start()

    @property
    def well(self) -> bool:
        """Whether Redis answered when it was last asked."""
        return self._well

    def get(self, parts: object) -> bytes | None:
        """Return the answer that is made of these parts; None where there is none, or Redis is not asked."""
        found: bytes | None = None
        if self._well:
            try:
                found = self._client.get(self._key(parts))
            except self._wrong as error:
                self._lost(error)
        (self._miss if found is None else self._hit)()
        return found

    def put(self, parts: object, answer: bytes) -> None:
        """Keep an answer under what it is made of, soon; returns at once."""
        if self._well and len(answer) <= LARGEST:
            self._waiting.append((self._key(parts), answer))
            self._something.set()

    def close(self) -> None:
        """End; what was not written yet is not written."""
        self._ending.set()
        self._something.set()
        self._thread.join()
        self._client.close()

    def _key(self, parts: object) -> str:
        return f"{self._prefix}:{hashlib.blake2b(repr(parts).encode(), digest_size=20).hexdigest()}"

    def _write(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._ending.is_set():
            try:
                if not self._well:
                    self._client.ping()
                    self._found()
                    pause = FIRST_PAUSE_SECONDS
                self._something.wait(FIRST_PAUSE_SECONDS)
                self._something.clear()
                while self._waiting and self._well and not self._ending.is_set():
                    key, answer = self._waiting.popleft()
                    self._client.set(key, answer, ex=KEPT_SECONDS)
            except self._wrong as error:
                self._lost(error)
                self._ending.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _found(self) -> None:
        self._well = True
        if self._told:
            self._told = False
            _log.warning("Redis answers again; answers are shared there")

    def _lost(self, error: Exception) -> None:
        self._well = False
        self._waiting.clear()
        if not self._told:
            self._told = True
            _log.warning(
                "Redis does not answer (%s); each process keeps answers for itself until it does", type(error).__name__
            )
