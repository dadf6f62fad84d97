"""The kinds of bus that tests run over, on real servers, each test under names of its own."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from shelfwise.exchange.transports import open_bus
from shelfwise.exchange.transports.contract import Bus, Names

SERVERS = {"redis_streams": "redis", "nats_jetstream": "nats", "rabbitmq": "rabbitmq"}
EVERY: list[Any] = [
    "in_process",
    *(pytest.param(kind, marks=pytest.mark.service(name)) for kind, name in SERVERS.items()),
]
SERVED: list[Any] = EVERY[1:]
"""The kinds that more than one process can reach."""


def url_of(kind: str) -> str:
    if kind == "in_process":
        return f"in-process://{uuid.uuid4().hex}"
    return os.environ[f"SHELFWISE_TEST_{SERVERS[kind].upper()}_URL"]


@contextmanager
def buses(kind: str, **options: Any) -> Iterator[tuple[Bus, Bus]]:
    """Two buses: what goes out of the first comes in by the second; both are removed at the end."""
    name = f"sw-test-{uuid.uuid4().hex[:12]}"
    there = open_bus(url_of(kind), Names(f"{name}-there", **options))
    here = there.read_back()
    try:
        yield there, here
    finally:
        here.remove()


def cut(kind: str, held: Any) -> None:
    """Cut the connection of an outlet or an inlet off, under its feet."""
    if kind == "redis_streams":
        for connection in [*held._client.connection_pool._available_connections]:
            connection._sock.shutdown(2)
    elif kind == "rabbitmq":
        held._connection._impl._transport._sock.shutdown(2)
    elif kind == "nats_jetstream":
        loop, transport = held._client._loop, held._client.nats._transport
        loop.call_soon_threadsafe(transport._io_writer.transport.abort)
