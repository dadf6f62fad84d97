"""A bus within this process: for a program that runs the service itself, and for trying things out.

A bus is known by the name in its address, ``in-process://shop``, to all of the process, and gone with it.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from shelfwise.exchange.transports.contract import Bus, Delivery, Inlet, Message, Names, Outlet, Refused


@dataclass
class _Held:
    by: str
    until: float


@dataclass
class _Group:
    read_until: int = 0
    held: dict[int, _Held] = field(default_factory=dict)


@dataclass(frozen=True)
class Kept:
    """A message of a stream: its number, and why it was refused where it was."""

    number: int
    message: Message
    reason: str | None = None


class Streams:
    """The streams of one bus; safe to share between threads."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._streams: dict[str, deque[Kept]] = {}
        self._groups: dict[tuple[str, str], _Group] = {}
        self._numbers = itertools.count(1)

    def put(self, name: str, keep: int, messages: Sequence[Message], reasons: Sequence[str] = ()) -> None:
        """Add messages, and forget the oldest."""
        with self.changed:
            stream = self._streams.setdefault(name, deque())
            for n, message in enumerate(messages):
                stream.append(Kept(next(self._numbers), message, reasons[n] if reasons else None))
            while len(stream) > keep:
                stream.popleft()
            self.changed.notify_all()

    def kept(self, name: str) -> list[Kept]:
        """Return what is in a stream, oldest first."""
        with self.changed:
            return list(self._streams.get(name, ()))

    def take(self, names: Names, member: str, most: int, seconds: float) -> list[tuple[Kept, bool]]:
        """Return messages for a member of a group, and of each whether it was taken before."""
        end = time.monotonic() + seconds
        with self.changed:
            while not (found := self._ready(names, member, most)):
                left = end - time.monotonic()
                if left <= 0:
                    return []
                self.changed.wait(left)
            return found

    def _ready(self, names: Names, member: str, most: int) -> list[tuple[Kept, bool]]:
        group = self._groups.setdefault((names.incoming, names.group), _Group())
        now = time.monotonic()
        stream = self._streams.get(names.incoming, ())
        there = {one.number for one in stream}
        group.held = {number: held for number, held in group.held.items() if number in there}
        found: list[tuple[Kept, bool]] = []
        for one in stream:
            held = group.held.get(one.number)
            again = held is not None and held.until <= now
            if len(found) < most and (again or one.number > group.read_until):
                group.held[one.number] = _Held(member, now + names.lease_seconds)
                group.read_until = max(group.read_until, one.number)
                found.append((one, again))
        return found

    def settle(self, names: Names, numbers: Sequence[int]) -> None:
        """Note that messages need not come again."""
        with self.changed:
            group = self._groups.setdefault((names.incoming, names.group), _Group())
            for number in numbers:
                group.held.pop(number, None)

    def give_back(self, names: Names, member: str) -> None:
        """Let what a member holds come again at once."""
        with self.changed:
            for held in self._groups.get((names.incoming, names.group), _Group()).held.values():
                if held.by == member:
                    held.until = 0.0
            self.changed.notify_all()

    def remove(self, names: Names) -> None:
        """Forget streams and their groups."""
        gone = {names.outgoing, names.incoming, names.refused}
        with self.changed:
            self._streams = {name: kept for name, kept in self._streams.items() if name not in gone}
            self._groups = {key: group for key, group in self._groups.items() if key[0] not in gone}


_LOCK: Final = threading.Lock()
_BUSES: Final[dict[str, Streams]] = {}


def streams_of(url: str) -> Streams:
    """Return the streams of the bus of that address; the same for all who ask."""
    with _LOCK:
        return _BUSES.setdefault(url, Streams())


class InProcessBus(Bus):
    """See the module."""

    def outlet(self) -> Outlet:
        """Return what publishes."""
        return _Outlet(streams_of(self.url), self.names)

    def inlet(self, member: str) -> Inlet:
        """Return what receives."""
        return _Inlet(streams_of(self.url), self.names, member)

    def remove(self) -> None:
        """Forget the streams."""
        streams_of(self.url).remove(self.names)


open_bus = InProcessBus


class _Outlet(Outlet):
    def __init__(self, streams: Streams, names: Names) -> None:
        self._streams, self._names = streams, names

    def publish(self, messages: Sequence[Message]) -> None:
        self._streams.put(self._names.outgoing, self._names.keep, messages)

    def close(self) -> None:
        return


class _Inlet(Inlet):
    def __init__(self, streams: Streams, names: Names, member: str) -> None:
        self._streams, self._names, self._member = streams, names, member

    def receive(self, most: int, seconds: float) -> list[Delivery]:
        taken = self._streams.take(self._names, self._member, most, seconds)
        return [Delivery(one.message.id, one.message.body, again, one) for one, again in taken]

    def settle(self, taken: Sequence[Delivery], refused: Sequence[Refused] = ()) -> None:
        if refused:
            messages = [one.delivery.ticket.message for one in refused]
            self._streams.put(self._names.refused, self._names.keep, messages, [one.reason for one in refused])
        self._streams.settle(self._names, [one.ticket.number for one in taken])

    def close(self) -> None:
        self._streams.give_back(self._names, self._member)
