"""What every kind of bus does, and nothing else is asked of one.

* An `Outlet` puts messages behind those it put there before, and returns when the bus has them; where it fails, any
  part of them may be there, so they are put again, in the same order and under the same ids.
* An `Inlet` takes messages as one of a group, of which each message goes to one. What was taken and not settled comes
  again, to any of the group: at once when the inlet that holds it ends in order, within ``lease_seconds`` when its
  process is killed.

Neither is shared between threads. Either raises `BusError` when the bus is lost, and is then closed and made anew.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from shelfwise.domain.errors import ShelfwiseError

CONNECT_SECONDS: Final = 5.0
"""How long a bus is waited for."""
LONGEST_WAIT_SECONDS: Final = 1.0
"""`Inlet.receive` is asked to wait no longer than this."""


class BusError(ShelfwiseError):
    """A bus cannot be reached, or refuses what it was asked; what it was to do is tried again later."""


@dataclass(frozen=True)
class Names:
    """Where on a bus, and how long.

    Parameters
    ----------
    outgoing
        Stream, subject or exchange of the events.
    incoming
        Stream, subject or queue of the movements.
    group
        Under which name those who take movements share them.
    keep
        How many messages the bus keeps of what this program makes there; the oldest go.
    lease_seconds
        After so long what a killed process took comes again.
    """

    outgoing: str
    incoming: str = ""
    group: str = "shelfwise"
    keep: int = 100_000
    lease_seconds: float = 30.0

    @property
    def refused(self) -> str:
        """Where messages go that cannot be used.

        >>> Names("events", "shop.sales").refused
        'shop.sales-refused'
        """
        return f"{self.incoming.removesuffix('.>')}-refused"


@dataclass(frozen=True)
class Message:
    """What goes out.

    Parameters
    ----------
    id
        The same for the same message: a bus, or who reads, tells repetitions by it.
    topic
        What it is about, in one word; who listens to a part of the events chooses by it.
    body
        JSON.
    """

    id: str
    topic: str
    body: bytes


@dataclass(frozen=True)
class Delivery:
    """What came in.

    Parameters
    ----------
    key
        The same each time this message comes; None where the bus knows no such thing of it.
    redelivered
        Whether it was taken before, as far as the bus knows.
    ticket
        By which the inlet finds it again.
    """

    key: str | None
    body: bytes
    redelivered: bool = False
    ticket: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Refused:
    """A message that cannot be used, and why."""

    delivery: Delivery
    reason: str


class Outlet(ABC):
    """A connection that messages go out by."""

    @abstractmethod
    def publish(self, messages: Sequence[Message]) -> None:
        """Put messages on the bus, in their order; return when it has them all."""

    def tend(self) -> None:
        """Keep the connection alive; called every second or so while there is nothing to publish."""
        return

    @abstractmethod
    def close(self) -> None:
        """End the connection; a broken one, too."""


class Inlet(ABC):
    """A connection that messages come in by."""

    @abstractmethod
    def receive(self, most: int, seconds: float) -> list[Delivery]:
        """Take up to so many messages; wait so long for a first one, and hardly at all for more."""

    @abstractmethod
    def settle(self, taken: Sequence[Delivery], refused: Sequence[Refused] = ()) -> None:
        """Say of all that `receive` returned last that they need not come again.

        Those of them that are refused are first put where the refused go, with the reason.
        """

    @abstractmethod
    def close(self) -> None:
        """End the connection; a broken one, too. What is not settled comes again."""


class Bus(ABC):
    """A bus; made by `open_bus`."""

    def __init__(self, url: str, names: Names) -> None:
        self.url, self.names = url, names

    @abstractmethod
    def outlet(self) -> Outlet:
        """Connect to publish; what is missing on the bus is made."""

    @abstractmethod
    def inlet(self, member: str) -> Inlet:
        """Connect to receive, as this member of the group; what is missing on the bus is made.

        A group that is made takes what is there already.
        """

    @abstractmethod
    def remove(self) -> None:
        """Take from the bus all that the names name, with the messages in it."""

    def read_back(self) -> Bus:
        """Return the bus on which what goes out here comes in."""
        return type(self)(self.url, replace(self.names, incoming=self.names.outgoing))


@contextmanager
def told(*errors: type[BaseException]) -> Iterator[None]:
    """Turn a driver's errors into `BusError`."""
    try:
        yield
    except BusError:
        raise
    except errors as error:
        said = str(error) or type(error).__name__
        raise BusError(f"the event bus fails: {said.splitlines()[0][:300]}") from error
