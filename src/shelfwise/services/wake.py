"""Waking workers: at once by a commit of their own process, through Redis by one of another, by the clock in any case.

Waking saves waiting and is never relied on. What is to be done is in the database, and every worker looks there once a
second whether it was woken or not; without Redis, or with one that is dead, that second is all that is lost.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from shelfwise.app import App
from shelfwise.domain.errors import ParameterError

_log: Final = logging.getLogger(__name__)

_AT_MOST_EVERY_SECONDS: Final = 0.02
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
_SOCKET_SECONDS: Final = 2.0


class Wake:
    """What threads wait on until somebody rings. Each waiter gives the count it saw last, so that no ring is missed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0

    def ring(self) -> None:
        """Wake all that wait."""
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def wait(self, seen: int, seconds: float) -> int:
        """Wait until it was rung more often than ``seen``, at most so many seconds; return how often it was."""
        with self._changed:
            self._changed.wait_for(lambda: self._count != seen, timeout=seconds)
            return self._count


class RedisBell:
    """Rings a `Wake` when another process rang, and tells the others of this process's commits.

    Parameters
    ----------
    url
        Of the Redis, such as ``redis://127.0.0.1:6379/0``.
    channel
        What is rung on; other shops have others.
    wake
        What to ring here.

    Raises
    ------
    ParameterError
        The driver of Redis is not installed, or the address is none.
    """

    def __init__(self, url: str, channel: str, wake: Wake) -> None:
        try:
            redis = importlib.import_module("redis")
        except ImportError:
            raise ParameterError(
                "redis_url is set and the driver of Redis is not installed; install it (pip install "
                "'shelfwise[redis]'), or leave redis_url empty: workers then look once a second"
            ) from None
        try:
            self._client: Any = redis.Redis.from_url(
                url, socket_timeout=_SOCKET_SECONDS, socket_connect_timeout=_SOCKET_SECONDS
            )
        except ValueError as error:
            raise ParameterError(f"redis_url is no address of a Redis ({error}); write redis://host:6379/0") from None
        self._channel, self._wake = channel, wake
        self._wrong: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        self._committed, self._ending = threading.Event(), threading.Event()
        self._lock, self._broken = threading.Lock(), False
        self._threads = [
            threading.Thread(target=self._patiently, args=(step,), name=f"redis-{name}", daemon=True)
            for name, step in (("tell", self._tell), ("hear", self._hear))
        ]
        for thread in self._threads:
            thread.start()

    def committed(self) -> None:
        """Tell the others soon; returns at once."""
        self._committed.set()

    def close(self) -> None:
        """End."""
        self._ending.set()
        self._committed.set()
        for thread in self._threads:
            thread.join()
        self._client.close()

    def _patiently(self, step: Callable[[], None]) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._ending.is_set():
            try:
                step()
                pause = _FIRST_PAUSE_SECONDS
            except self._wrong as error:
                self._say(error)
                self._ending.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _tell(self) -> None:
        self._committed.wait()
        self._committed.clear()
        if not self._ending.is_set():
            self._client.publish(self._channel, b"")
            self._say(None)
            self._ending.wait(_AT_MOST_EVERY_SECONDS)  # a hundred commits are one message

    def _hear(self) -> None:
        with self._client.pubsub(ignore_subscribe_messages=True) as heard:
            heard.subscribe(self._channel)
            while not self._ending.is_set():
                if heard.get_message(timeout=0.5) is not None:
                    self._wake.ring()
                self._say(None)

    def _say(self, error: Exception | None) -> None:
        """Log once when Redis is lost, and once when it is back."""
        with self._lock:
            changed, self._broken = self._broken != (error is not None), error is not None
        if changed and error is not None:
            _log.warning("Redis cannot be reached (%s); workers look for jobs once a second until it is back", error)
        elif changed:
            _log.warning("Redis is back; it wakes workers again")


def channel_of(app: App) -> str:
    """Return the channel of a shop's database."""
    return name_in_redis(app, "wake")


def name_in_redis(app: App, what: str) -> str:
    """Return under which name something of a shop's database stands in a Redis that other shops may use, too."""
    address = app.database.address
    named = str(address.path.expanduser().absolute()) if address.path is not None else str(address)
    return f"shelfwise:{hashlib.sha256(named.encode()).hexdigest()[:32]}:{what}"
