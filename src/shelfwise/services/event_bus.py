"""The event bus of a worker: one thread publishes what happened, one takes the movements that others report.

Neither holds a job up, and a bus that is dead stops neither the worker nor the service: each thread tries again after a
pause that grows, says so once a minute, and goes on where it was.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from shelfwise.app import App
from shelfwise.domain.errors import ParameterError, ShelfwiseError
from shelfwise.exchange.transports import EXTRAS, kind_of, open_bus, shown
from shelfwise.exchange.transports.contract import Bus, BusError, Message, Names
from shelfwise.services.publishing import Publisher
from shelfwise.services.subscribing import Subscriber
from shelfwise.services.wake import Wake
from shelfwise.settings import Settings
from shelfwise.storage import event_bus

_log: Final = logging.getLogger(__name__)

POLL_SECONDS: Final = 1.0
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 15.0
SAY_EVERY_SECONDS: Final = 60.0
_END_SECONDS: Final = 10.0
_MEMBER_LENGTH: Final = 64


def bus_of(settings: Settings) -> Bus | None:
    """Return the bus of the settings; None where there is none. Nothing is connected to yet.

    Raises
    ------
    ParameterError
        Its address is none, or its driver is not installed.
    """
    if settings.event_bus_url is None:
        return None
    if settings.event_bus_movements == settings.event_bus_events:
        raise ParameterError(
            f"event_bus_movements and event_bus_events are both {settings.event_bus_events!r}; events are no "
            "movements, give them two names"
        )
    names = Names(
        settings.event_bus_events, settings.event_bus_movements, settings.event_bus_group, settings.event_bus_keep,
        settings.job_lease_seconds,
    )  # fmt: skip
    return open_bus(settings.event_bus_url.get_secret_value(), names)


def extra_of(settings: Settings) -> set[str]:
    """Return which optional parts of the installation the bus needs, if there is one and its address is of any."""
    if settings.event_bus_url is None:
        return set()
    try:
        kind = kind_of(settings.event_bus_url.get_secret_value())
    except ParameterError:  # `bus_of` says it
        return set()
    return {EXTRAS[kind]} if kind in EXTRAS else set()


class EventBus:
    """The two threads; `start` them where the settings name a bus.

    Parameters
    ----------
    worker
        Name of the worker they belong to.
    felt
        Called with the products of movements that came in, after their commit.
    """

    def __init__(self, app: App, bus: Bus, worker: str, felt: Callable[[Iterable[str]], object]) -> None:
        self._app, self._ending = app, threading.Event()
        self.wake = Wake()
        self._out, self._in = _Patience("publishing to"), _Patience("taking movements from")
        member = worker[-_MEMBER_LENGTH:]
        self._publisher = Publisher(app, bus, member)
        self._subscriber = Subscriber(app, bus, member, felt, self._wait_for_database)
        self._threads = [threading.Thread(target=self._publish, name="bus-out", daemon=True)]
        if bus.names.incoming:
            self._threads.append(threading.Thread(target=self._take, name="bus-in", daemon=True))
        self._unlisten = app.database.listen(self.wake.ring)
        for thread in self._threads:
            thread.start()

    @classmethod
    def start(
        cls, app: App, worker: str, felt: Callable[[Iterable[str]], object] = lambda _: None
    ) -> EventBus | None:  # fmt: skip
        """Start where the settings name a bus; None where they name none.

        Raises
        ------
        ParameterError
            The address of the bus is none, or its driver is not installed.
        """
        bus = bus_of(app.settings)
        return None if bus is None else cls(app, bus, worker, felt)

    def close(self) -> None:
        """End; what is under way is finished or comes again."""
        self._ending.set()
        self.wake.ring()
        deadline = time.monotonic() + _END_SECONDS
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0.1))
        self._unlisten()

    @property
    def is_alive(self) -> bool:
        """Whether its threads run."""
        return all(thread.is_alive() for thread in self._threads)

    def _publish(self) -> None:
        seen = 0
        while not self._ending.is_set():
            try:
                if not self._publisher.publish_due():
                    seen = self.wake.wait(seen, POLL_SECONDS)
                self._out.went_well()
            except Exception as error:  # whatever it is, events stay in the outbox and the thread must go on
                self._ending.wait(self._out.went_wrong(error))
        try:
            self._publisher.close()
        except ShelfwiseError as error:
            _log.warning("the place of who publishes could not be given up, and is free in a while: %s", error)

    def _take(self) -> None:
        while not self._ending.is_set():
            try:
                self._subscriber.take()
                self._in.went_well()
            except Exception as error:  # whatever it is, messages stay on the bus and the thread must go on
                self._ending.wait(self._in.went_wrong(error))
        self._subscriber.close()

    def _wait_for_database(self, error: ShelfwiseError) -> bool:
        return not self._ending.wait(self._in.went_wrong(error))


class _Patience:
    """How long to wait after another failure, and whether to say it."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._pause = 0.0
        self._said_at = -SAY_EVERY_SECONDS
        self._said = False

    def went_well(self) -> None:
        if self._said:
            _log.warning("%s the event bus works again", self._doing)
        self._pause, self._said = 0.0, False
        self._said_at = -SAY_EVERY_SECONDS

    def went_wrong(self, error: Exception) -> float:
        """Return how many seconds to wait."""
        moment = time.monotonic()
        if moment - self._said_at >= SAY_EVERY_SECONDS:
            self._said_at, self._said = moment, True
            fault = None if isinstance(error, ShelfwiseError) else error
            _log.warning("%s the event bus fails, and is tried again: %s", self._doing, error, exc_info=fault)
        self._pause = min(max(self._pause * 2, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        return self._pause


def publish_all(app: App, worker: str) -> int:
    """Publish what is due in this thread, where the settings name a bus; return how many messages that were.

    Where the bus cannot take them, that is said and they are left to the next time.
    """
    bus = bus_of(app.settings)
    if bus is None:
        return 0
    publisher, count = Publisher(app, bus, worker[-_MEMBER_LENGTH:]), 0
    try:
        while more := publisher.publish_due():
            count += more
    except BusError as error:
        _log.warning("publishing to the event bus fails, and is left to the next worker: %s", error)
    finally:
        publisher.close()
    return count


@dataclass(frozen=True)
class Probed:
    """A message went to the bus and came back.

    Parameters
    ----------
    kind, address
        Of the bus; the address without user and password.
    refused_to
        Where messages go that cannot be booked; None where none are taken.
    seconds
        How long it took, with connecting and with making and removing what it went over.
    """

    kind: str
    address: str
    refused_to: str | None
    seconds: float


def probe(settings: Settings) -> Probed:
    """Send a message over the bus under names of its own, read it back, and remove them.

    Raises
    ------
    ParameterError
        No bus is set, its address is none, or its driver is not installed.
    BusError
        It cannot be reached, or does not carry the message.
    """
    if settings.event_bus_url is None or (bus := bus_of(settings)) is None:
        raise ParameterError("no event bus is set; name one in SHELFWISE_EVENT_BUS_URL (docs/events.md)")
    began = time.monotonic()
    name = f"{settings.event_bus_events}-probe-{uuid.uuid4().hex[:12]}"
    probing = type(bus)(bus.url, replace(bus.names, outgoing=name, incoming="", group="probe")).read_back()
    body = uuid.uuid4().hex.encode()
    outlet = probing.outlet()
    try:
        inlet = probing.inlet("probe")
        try:
            outlet.publish([Message(name, "probe", body)])
            found = inlet.receive(1, POLL_SECONDS) or inlet.receive(1, POLL_SECONDS)
            inlet.settle(found)
        finally:
            inlet.close()
    finally:
        outlet.close()
        probing.remove()
    if [one.body for one in found] != [body]:
        raise BusError("the event bus took a message and did not give it back; look at its log")
    return Probed(kind_of(bus.url), shown(bus.url), refused_to(settings), time.monotonic() - began)


def refused_to(settings: Settings) -> str | None:
    """Return where messages go that cannot be booked; None where none are taken."""
    taken = settings.event_bus_movements
    return Names(settings.event_bus_events, taken).refused if taken else None


@dataclass(frozen=True)
class Status:
    """How far the bus is, over all processes.

    Parameters
    ----------
    waiting
        Events that are not published yet; None where nothing was ever to be.
    counts
        What went over it, by word: how often, when last, and why last where it was refused.
    """

    waiting: int | None
    counts: dict[str, event_bus.Counted]


def status(app: App) -> Status:
    """Return how far the bus is."""
    with app.database.read() as connection:
        return Status(event_bus.unpublished(connection), event_bus.counts(connection))
