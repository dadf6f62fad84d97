"""RabbitMQ: a topic exchange for events, a queue for movements.

Events go to the exchange with their topic as routing key, each with a publisher confirm. A queue of the exchange's name
is bound to it and keeps the newest ones, so that nothing is lost before somebody binds a queue of their own. RabbitMQ
knows no repetition of a message: who reads tells by ``message_id``.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
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
        with told(*_LOST):
            return pika.BlockingConnection(parameters)


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
    def __init__(self, bus: RabbitBus) -> None:
        names = bus.names
        self._exchange = names.outgoing
        self._connection = bus.connection()
        with told(*_LOST):
            _queue(self._connection, names.outgoing, names.keep)
            self._channel = self._connection.channel()
            self._channel.exchange_declare(names.outgoing, "topic", durable=True)
            self._channel.queue_bind(names.outgoing, names.outgoing, "#")
            self._channel.confirm_delivery()

    def publish(self, messages: Sequence[Message]) -> None:
        with told(*_LOST):
            for one in messages:
                properties = pika.BasicProperties(
                    content_type="application/cloudevents+json", delivery_mode=_KEPT, message_id=one.id
                )
                self._channel.basic_publish(self._exchange, one.topic, one.body, properties, mandatory=True)

    def tend(self) -> None:
        with told(*_LOST):
            self._connection.process_data_events(time_limit=0)

    def close(self) -> None:
        _close(self._connection)


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
