"""Redis Streams: a stream for events, a stream and a group of consumers for movements.

An entry holds the JSON in its field ``body``, and beside it ``id`` and ``topic``; of an entry without a ``body`` that
has one field, that one is read. Streams that this program writes are cut to about the length that is kept
(``MAXLEN ~``); a stream that the shop writes is the shop's to cut. Redis knows no repetition of a message: who reads
tells by ``id``.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

import redis

from shelfwise.domain.errors import ParameterError
from shelfwise.exchange.transports.contract import (
    CONNECT_SECONDS,
    LONGEST_WAIT_SECONDS,
    Bus,
    Delivery,
    Inlet,
    Message,
    Outlet,
    Refused,
    told,
)

_SILENT_MEMBER_SECONDS: Final = 3600.0
_LOST: Final = (redis.RedisError, OSError)


class RedisBus(Bus):
    """See the module."""

    def outlet(self) -> Outlet:
        """Connect to publish."""
        return _Outlet(self._client(), self)

    def inlet(self, member: str) -> Inlet:
        """Connect to receive."""
        return _Inlet(self._client(), self, member)

    def remove(self) -> None:
        """Delete the streams and their groups."""
        with told(*_LOST), contextlib.closing(self._client()) as client:
            client.delete(self.names.outgoing, self.names.incoming, self.names.refused)

    def _client(self) -> Any:
        try:
            client = redis.Redis.from_url(
                self.url, protocol=2, socket_connect_timeout=CONNECT_SECONDS,
                socket_timeout=CONNECT_SECONDS + LONGEST_WAIT_SECONDS, retry=None,
            )  # fmt: skip
        except ValueError as error:
            raise ParameterError(
                f"event_bus_url is no address of a Redis ({error}); write redis://host:6379/0"
            ) from None
        with told(*_LOST):
            client.ping()
        return client


open_bus = RedisBus


class _Outlet(Outlet):
    def __init__(self, client: Any, bus: Bus) -> None:
        self._client, self._names = client, bus.names

    def publish(self, messages: Sequence[Message]) -> None:
        with told(*_LOST):
            pipeline = self._client.pipeline(transaction=False)
            for one in messages:
                fields = {"id": one.id, "topic": one.topic, "body": one.body}
                pipeline.xadd(self._names.outgoing, fields, maxlen=self._names.keep, approximate=True)
            pipeline.execute()

    def close(self) -> None:
        self._client.close()


class _Inlet(Inlet):
    def __init__(self, client: Any, bus: Bus, member: str) -> None:
        self._client, self._names, self._member = client, bus.names, member
        self._held: list[bytes] = []
        self._resuming, self._claim_at = True, 0.0
        with told(*_LOST):
            try:
                client.xgroup_create(self._names.incoming, self._names.group, id="0", mkstream=True)
            except redis.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise
            self._forget_silent_members()

    def receive(self, most: int, seconds: float) -> list[Delivery]:
        with told(*_LOST):
            taken = self._resumed(most) or self._claimed(most) or self._fresh(most, seconds)
        self._held = [one.ticket for one in taken]
        return taken

    def settle(self, taken: Sequence[Delivery], refused: Sequence[Refused] = ()) -> None:
        names = self._names
        if not taken:
            return
        with told(*_LOST):
            pipeline = self._client.pipeline(transaction=bool(refused))
            for one in refused:
                fields = {"id": one.delivery.key or "", "reason": one.reason, "body": one.delivery.body}
                pipeline.xadd(names.refused, fields, maxlen=names.keep, approximate=True)
            pipeline.xack(names.incoming, names.group, *(one.ticket for one in taken))
            pipeline.execute()
        self._held = []

    def close(self) -> None:
        names = self._names
        with contextlib.suppress(*_LOST):
            if self._held:  # there is no giving back: it is said to be held for so long that others take it at once
                self._client.xclaim(
                    names.incoming, names.group, self._member, 0, self._held, idle=int(names.lease_seconds * 1000),
                    justid=True,
                )  # fmt: skip
            elif not self._client.xpending_range(names.incoming, names.group, "-", "+", 1, self._member):
                self._client.xgroup_delconsumer(names.incoming, names.group, self._member)
        self._client.close()

    def _fresh(self, most: int, seconds: float) -> list[Delivery]:
        return self._read(b">", most, max(int(seconds * 1000), 1))

    def _resumed(self, most: int) -> list[Delivery]:
        """Take again what this member took before its connection was cut."""
        found = self._read(b"0", most, None) if self._resuming else []
        self._resuming = bool(found)
        return found

    def _read(self, after: bytes, most: int, block: int | None) -> list[Delivery]:
        names = self._names
        found = self._client.xreadgroup(names.group, self._member, {names.incoming: after}, count=most, block=block)
        entries = [entry for _, entries in found or () for entry in entries]
        gone = [number for number, fields in entries if not fields]
        if gone:  # cut from the stream since they were taken
            self._client.xack(names.incoming, names.group, *gone)
        return _deliveries(entries, redelivered=after != b">")

    def _claimed(self, most: int) -> list[Delivery]:
        """Take over what others hold for longer than the lease."""
        names = self._names
        if time.monotonic() < self._claim_at:
            return []
        reply = self._client.xautoclaim(
            names.incoming, names.group, self._member, min_idle_time=int(names.lease_seconds * 1000), count=most
        )
        gone = reply[2] if len(reply) > 2 else []
        if gone:  # cut from the stream meanwhile
            self._client.xack(names.incoming, names.group, *gone)
        if not reply[1]:
            self._claim_at = time.monotonic() + min(names.lease_seconds / 2, 5.0)
        return _deliveries(reply[1], redelivered=True)

    def _forget_silent_members(self) -> None:
        """Take members off the group that hold nothing and have asked for nothing for long: killed processes."""
        for one in self._client.xinfo_consumers(self._names.incoming, self._names.group):
            if not one["pending"] and one["idle"] > _SILENT_MEMBER_SECONDS * 1000:
                self._client.xgroup_delconsumer(self._names.incoming, self._names.group, one["name"])


def _deliveries(entries: Iterable[Any], *, redelivered: bool) -> list[Delivery]:
    return [
        Delivery(fields.get(b"id", b"redis-" + number).decode("utf-8", "replace"), _body(fields), redelivered, number)
        for number, fields in entries
        if fields
    ]


def _body(fields: dict[bytes, bytes]) -> bytes:
    if b"body" in fields or len(fields) != 1:
        return fields.get(b"body", b"")
    return next(iter(fields.values()))
