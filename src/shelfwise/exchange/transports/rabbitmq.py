"""RabbitMQ: a topic exchange for events, a queue for movements.

Events go to the exchange with their topic as routing key, each with a publisher confirm. A queue of the exchange's name
is bound to it and keeps the newest ones, so that nothing is lost before somebody binds a queue of their own. RabbitMQ
knows no repetition of a message: who reads tells by ``message_id``.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker, ReentrancyError

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

_LOST: Final = (AMQPError, ReentrancyError, OSError)
_AHEAD: Final = 2000
"""How many messages come ahead of being settled."""
_NOT_FOUND: Final = 404
_KEPT: Final = 2  # delivery mode: on disk
_HEARTBEAT_SECONDS: Final = 30

# It logs each lost connection several times; what that means is said once by who uses the bus.
logging.getLogger("pika").setLevel(logging.CRITICAL)


class RabbitBus(Bus):
    """See the module."""

    def outlet(self) -> Outlet:
        """Connect to publish."""
        return _Outlet(self)

    def inlet(self, member: str) -> Inlet:
        """Connect to receive."""
        return _Inlet(self, member)

    def remove(self) -> None:
        """Delete the queues and the exchange."""
        with told(*_LOST), contextlib.closing(self.connection()) as connection:
            channel = connection.channel()
            for name in {self.names.outgoing, self.names.incoming, self.names.refused} - {""}:
                channel.queue_delete(name)
            channel.exchange_delete(self.names.outgoing)

    def connection(self) -> Any:
        """Return an open connection."""
        parameters = self.parameters()
        with told(*_LOST):
            return pika.BlockingConnection(parameters)

    def parameters(self) -> Any:
        """Return how to connect."""
        try:
            parameters = pika.URLParameters(self.url)
        except (ValueError, TypeError) as error:
            raise ParameterError(
                f"event_bus_url is no address of a RabbitMQ ({error}); write amqp://user:password@host:5672/"
            ) from None
        parameters.heartbeat = _HEARTBEAT_SECONDS
        parameters.blocked_connection_timeout = CONNECT_SECONDS
        parameters.socket_timeout = parameters.stack_timeout = CONNECT_SECONDS
        parameters.client_properties = {"connection_name": f"shelfwise {self.names.outgoing or self.names.incoming}"}
        return parameters


open_bus = RabbitBus


def _queue(connection: Any, name: str, keep: int | None = None) -> None:
    """Make a durable queue where there is none; one that is there stays as its owner made it."""
    try:
        channel = connection.channel()
        channel.queue_declare(name, passive=True)
    except ChannelClosedByBroker as error:
        if error.reply_code != _NOT_FOUND:
            raise
        channel = connection.channel()
        channel.queue_declare(name, durable=True, arguments={"x-max-length": keep} if keep else None)
    channel.close()


class _Outlet(Outlet):
    """Publishes over a connection that a thread tends: each message is confirmed, and none waits for the one before."""

    def __init__(self, bus: RabbitBus) -> None:
        names = bus.names
        self._exchange = names.outgoing
        with told(*_LOST), contextlib.closing(bus.connection()) as connection:
            _queue(connection, names.outgoing, names.keep)
            channel = connection.channel()
            channel.exchange_declare(names.outgoing, "topic", durable=True)
            channel.queue_bind(names.outgoing, names.outgoing, "#")
        self._changed = threading.Condition()
        self._ready, self._failed = False, ""
        self._sent = 0
        self._unconfirmed: set[int] = set()
        self._channel: Any = None
        self._connection: Any = pika.SelectConnection(
            bus.parameters(), on_open_callback=self._opened, on_open_error_callback=self._ended,
            on_close_callback=self._ended,
        )  # fmt: skip
        self._thread = threading.Thread(target=self._connection.ioloop.start, name="rabbitmq", daemon=True)
        self._thread.start()
        try:
            self._wait(lambda: self._ready)
        except BaseException:
            self.close()
            raise

    def publish(self, messages: Sequence[Message]) -> None:
        self.tend()
        if not messages:
            return
        with self._changed:
            first = self._sent + 1
            self._sent += len(messages)
            self._unconfirmed.update(range(first, self._sent + 1))
        self._connection.ioloop.add_callback_threadsafe(functools.partial(self._send, messages))
        self._wait(lambda: not self._unconfirmed)

    def tend(self) -> None:
        with self._changed:
            failed = self._failed
        if failed:
            raise BusError(f"the event bus fails: {failed}")

    def close(self) -> None:
        def end() -> None:
            if self._connection.is_open:
                self._connection.close()  # which ends the loop when it is done
            elif not self._connection.is_closing:
                self._connection.ioloop.stop()

        if self._thread.is_alive():
            self._connection.ioloop.add_callback_threadsafe(end)
            self._thread.join(CONNECT_SECONDS)
        if not self._thread.is_alive() and self._connection.ioloop is not None:
            self._connection.ioloop.close()

    def _wait(self, good: Callable[[], bool]) -> None:
        """Wait until it is so, or the connection fails, or nothing at all happens for long."""
        with self._changed:
            while not self._failed and not good():
                before = len(self._unconfirmed)
                if not self._changed.wait(_HEARTBEAT_SECONDS) and before == len(self._unconfirmed):
                    self._failed = f"RabbitMQ has confirmed nothing for {_HEARTBEAT_SECONDS} s"
        self.tend()

    def _fail(self, why: object) -> None:
        with self._changed:
            self._failed = self._failed or (str(why) or type(why).__name__).splitlines()[0][:300]
            self._changed.notify_all()

    # --- called by the thread that tends the connection

    def _opened(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._channel_opened)

    def _channel_opened(self, channel: Any) -> None:
        self._channel = channel
        channel.add_on_close_callback(lambda _, why: self._fail(why))
        channel.add_on_return_callback(
            lambda _, method, __, ___: self._fail(f"no queue takes what goes to exchange {method.exchange}")
        )
        channel.confirm_delivery(self._confirmed, callback=self._confirming)

    def _confirming(self, _: Any) -> None:
        with self._changed:
            self._ready = True
            self._changed.notify_all()

    def _send(self, messages: Sequence[Message]) -> None:
        try:
            for one in messages:
                properties = pika.BasicProperties(
                    content_type="application/cloudevents+json", delivery_mode=_KEPT, message_id=one.id
                )
                self._channel.basic_publish(self._exchange, one.topic, one.body, properties, mandatory=True)
        except _LOST as error:
            self._fail(error)

    def _confirmed(self, frame: Any) -> None:
        said = frame.method
        if isinstance(said, pika.spec.Basic.Nack):
            self._fail("RabbitMQ could not keep a message")
        with self._changed:
            if said.multiple:
                self._unconfirmed = {tag for tag in self._unconfirmed if tag > said.delivery_tag}
            else:
                self._unconfirmed.discard(said.delivery_tag)
            self._changed.notify_all()

    def _ended(self, connection: Any, why: Any) -> None:
        self._fail(why)
        connection.ioloop.stop()


class _Inlet(Inlet):
    def __init__(self, bus: RabbitBus, member: str) -> None:
        self._names = bus.names
        self._connection = bus.connection()
        with told(*_LOST):
            _queue(self._connection, self._names.incoming)
            self._channel = self._connection.channel()
            self._channel.basic_qos(prefetch_count=_AHEAD)
            self._member = member
            self._refusing: Any = None

    def receive(self, most: int, seconds: float) -> list[Delivery]:
        found: list[Delivery] = []
        with told(*_LOST):
            coming = self._channel.consume(self._names.incoming, inactivity_timeout=seconds, consumer_tag=self._member)
            for method, properties, body in coming:
                if method is None:
                    return found
                found.append(_delivery(method, properties, body))
                if len(found) >= most or not self._more():
                    return found
        raise BusError(f"RabbitMQ has ended the delivery from queue {self._names.incoming}, which may be gone")

    def settle(self, taken: Sequence[Delivery], refused: Sequence[Refused] = ()) -> None:
        if not taken:
            return
        with told(*_LOST):
            if refused:
                self._put_aside(refused)
            self._channel.basic_ack(max(one.ticket for one in taken), multiple=True)

    def close(self) -> None:
        _close(self._connection)

    def _more(self) -> bool:
        """Whether more messages are here already."""
        if not self._channel.get_waiting_message_count():
            self._connection.process_data_events(time_limit=0)
        return bool(self._channel.get_waiting_message_count())

    def _put_aside(self, refused: Sequence[Refused]) -> None:
        if self._refusing is None:
            _queue(self._connection, self._names.refused, self._names.keep)
            self._refusing = self._connection.channel()
            self._refusing.confirm_delivery()
        for one in refused:
            properties = pika.BasicProperties(
                delivery_mode=_KEPT, message_id=one.delivery.key, headers={"x-reason": one.reason}
            )
            self._refusing.basic_publish("", self._names.refused, one.delivery.body, properties, mandatory=True)


def _delivery(method: Any, properties: Any, body: bytes) -> Delivery:
    return Delivery(properties.message_id or None, body, bool(method.redelivered), method.delivery_tag)


def _close(connection: Any) -> None:
    with contextlib.suppress(*_LOST):
        connection.close()
