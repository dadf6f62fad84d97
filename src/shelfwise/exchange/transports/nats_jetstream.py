"""NATS JetStream: a stream for events under a subject each, a durable consumer for movements.

Events go to ``<outgoing>.<topic>`` with their id as ``Nats-Msg-Id``: what is published again within `DUPLICATE_SECONDS`
is dropped by the bus. Where no stream holds the subject of the movements yet, one is made.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

import nats
from nats.errors import Error as NatsError
from nats.errors import NoServersError
from nats.js.api import AckPolicy, ConsumerConfig, StreamConfig
from nats.js.errors import NotFoundError

from shelfwise.domain.errors import ParameterError
from shelfwise.exchange.transports.contract import (
    CONNECT_SECONDS,
    Bus,
    BusError,
    Delivery,
    Inlet,
    Message,
    Outlet,
    Refused,
    told,
)

DUPLICATE_SECONDS: Final = 600.0
_AHEAD: Final = 20_000
"""How many messages a group may hold that are not settled."""
_LOST: Final = (NatsError, OSError, asyncio.TimeoutError, TimeoutError)
_PATIENCE_SECONDS: Final = 30.0

Answer = TypeVar("Answer")


class _Client:
    """A connection, whose driver needs a loop of its own, in a thread."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nats", daemon=True)
        self._thread.start()
        try:
            self.nats: Any = self.run(_connected(url))
        except BaseException:
            self.close()
            raise
        self.stream: Any = self.nats.jetstream(timeout=CONNECT_SECONDS)

    def run(self, step: Coroutine[Any, Any, Answer], seconds: float = _PATIENCE_SECONDS) -> Answer:
        with told(*_LOST):
            waiting = asyncio.run_coroutine_threadsafe(step, self._loop)
            try:
                return waiting.result(seconds)
            except BaseException:
                waiting.cancel()
                raise

    def close(self) -> None:
        if hasattr(self, "nats"):
            with contextlib.suppress(BusError):
                self.run(self.nats.close(), CONNECT_SECONDS)
        with contextlib.suppress(BusError):
            self.run(self._cancel_rest(), CONNECT_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _cancel_rest(self) -> None:
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


async def _connected(url: str) -> Any:
    met: list[Exception] = []

    async def keep(error: Exception) -> None:
        met.append(error)  # what comes later is met by the next call

    try:
        return await nats.connect(
            url.split(","), allow_reconnect=False, connect_timeout=int(CONNECT_SECONDS), max_reconnect_attempts=1,
            reconnect_time_wait=0.1, error_cb=keep, name="shelfwise",
        )  # fmt: skip
    except NoServersError:
        why = f" ({met[-1]})" if met and str(met[-1]) else ""
        raise BusError(f"the event bus fails: no NATS server lets this program in at that address{why}") from None


class NatsBus(Bus):
    """See the module."""

    def outlet(self) -> Outlet:
        """Connect to publish."""
        return _Outlet(self._client(), self)

    def inlet(self, member: str) -> Inlet:
        """Connect to receive; members of one durable consumer have no names."""
        return _Inlet(self._client(), self)

    def remove(self) -> None:
        """Delete the streams."""
        client = self._client()
        try:
            for name in {self.names.outgoing, self.names.incoming.removesuffix(".>"), self.names.refused} - {""}:
                with contextlib.suppress(NotFoundError):
                    client.run(_gone(client, _word(name)))
        finally:
            client.close()

    def read_back(self) -> Bus:
        """Return the bus on which what goes out here comes in."""
        return NatsBus(self.url, replace(self.names, incoming=f"{self.names.outgoing}.>"))

    def _client(self) -> _Client:
        try:
            return _Client(self.url)
        except (ValueError, TypeError) as error:
            raise ParameterError(
                f"event_bus_url is no address of a NATS server ({error}); write nats://host:4222"
            ) from None


open_bus = NatsBus


def _word(name: str) -> str:
    """Return a name as streams and consumers may have it.

    >>> _word("shop.sales")
    'shop_sales'
    """
    return re.sub(r"[^\w-]", "_", name)


async def _gone(client: _Client, stream: str) -> None:
    with contextlib.suppress(NotFoundError):
        await client.stream.delete_stream(stream)


async def _stream_of(client: _Client, subject: str, keep: int) -> str:
    """Return the stream that holds a subject; make one where none does."""
    try:
        return str(await client.stream.find_stream_name_by_subject(subject))
    except NotFoundError:
        name = _word(subject.removesuffix(".>"))
        config = StreamConfig(name=name, subjects=[subject], max_msgs=keep, duplicate_window=DUPLICATE_SECONDS)
        await client.stream.add_stream(config)
        return name


class _Outlet(Outlet):
    def __init__(self, client: _Client, bus: Bus) -> None:
        self._client, self._names = client, bus.names
        try:
            client.run(_stream_of(client, f"{self._names.outgoing}.>", self._names.keep))
        except BaseException:
            client.close()
            raise

    def publish(self, messages: Sequence[Message]) -> None:
        self._client.run(self._publish(messages))

    async def _publish(self, messages: Sequence[Message]) -> None:
        # All go over one connection in their order, and none waits until the one before is confirmed.
        stream = self._client.stream
        waiting = []
        for one in messages:
            subject, headers = f"{self._names.outgoing}.{one.topic}", {"Nats-Msg-Id": one.id}
            waiting.append(await stream.publish_async(subject, one.body, headers=headers))
        left: set[Any] = set(waiting)
        while left:
            done, left = await asyncio.wait(left, timeout=CONNECT_SECONDS / 10)
            for each in done:
                each.result()
            if left and self._client.nats.is_closed:
                raise BusError("the event bus fails: NATS has ended the connection")

    def tend(self) -> None:
        if self._client.nats.is_closed:
            raise BusError("the event bus fails: NATS has ended the connection")

    def close(self) -> None:
        self._client.close()


class _Inlet(Inlet):
    def __init__(self, client: _Client, bus: Bus) -> None:
        self._client, self._names = client, bus.names
        self._held: list[Any] = []
        try:
            self._taking: Any = client.run(self._subscribe())
        except BaseException:
            client.close()
            raise
        self._refusing = False

    async def _subscribe(self) -> Any:
        names = self._names
        stream = await _stream_of(self._client, names.incoming, names.keep)
        config = ConsumerConfig(
            durable_name=_word(names.group), ack_policy=AckPolicy.EXPLICIT, ack_wait=names.lease_seconds,
            max_ack_pending=_AHEAD, filter_subject=names.incoming,
        )  # fmt: skip
        return await self._client.stream.pull_subscribe(
            names.incoming, durable=_word(names.group), stream=stream, config=config
        )

    def receive(self, most: int, seconds: float) -> list[Delivery]:
        return self._client.run(self._receive(most, seconds))

    async def _receive(self, most: int, seconds: float) -> list[Delivery]:
        try:
            found = await self._taking.fetch(most, timeout=seconds)
        except TimeoutError:
            if self._client.nats.is_closed:
                raise BusError("the event bus fails: NATS has ended the connection") from None
            return []
        self._held = found
        return [_delivery(one) for one in found]

    def settle(self, taken: Sequence[Delivery], refused: Sequence[Refused] = ()) -> None:
        self._client.run(self._settle(taken, refused))

    async def _settle(self, taken: Sequence[Delivery], refused: Sequence[Refused]) -> None:
        if refused and not self._refusing:
            await _stream_of(self._client, self._names.refused, self._names.keep)
            self._refusing = True
        for one in refused:
            # A header is one line of letters that all programs read.
            headers = {"Reason": " ".join(one.reason.encode("ascii", "replace").decode().split())}
            if one.delivery.key:
                headers["Nats-Msg-Id"] = one.delivery.key
            await self._client.stream.publish(self._names.refused, one.delivery.body, headers=headers)
        for each in taken:
            await each.ticket.ack()
        await self._client.nats.flush(int(CONNECT_SECONDS))
        self._held = []

    def close(self) -> None:
        with contextlib.suppress(BusError):
            self._client.run(self._give_back(), CONNECT_SECONDS)
        self._client.close()

    async def _give_back(self) -> None:
        for each in self._held:
            await each.nak()
        await self._client.nats.flush(int(CONNECT_SECONDS))


def _delivery(message: Any) -> Delivery:
    about = message.metadata
    given = (message.headers or {}).get("Nats-Msg-Id")
    # The time belongs to the key: a stream that is made anew counts from 1 again.
    key = given or f"nats-{about.stream}-{about.sequence.stream}-{about.timestamp.timestamp():.6f}"
    return Delivery(key, message.data, about.num_delivered > 1, message)
