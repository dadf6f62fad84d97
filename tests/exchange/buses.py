"""The kinds of bus that tests run over, on real servers, each test under names of its own."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from tests.redis_door import RedisDoor

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


def door_before(kind: str) -> RedisDoor:
    """A door through which one test reaches the server, to be shut for that test alone."""
    return RedisDoor(url_of(kind))


@contextmanager
def buses(kind: str, url: str | None = None, **options: Any) -> Iterator[tuple[Bus, Bus]]:
    """Two buses: what goes out of the first comes in by the second; both are removed at the end."""
    name = f"sw-test-{uuid.uuid4().hex[:12]}"
    there = open_bus(url or url_of(kind), Names(f"{name}-there", **options))
    here = there.read_back()
    try:
        yield there, here
    finally:
        here.remove()
        apart(here).remove()


def apart(here: Bus) -> Bus:
    """The bus that reads there and publishes elsewhere."""
    return type(here)(here.url, replace(here.names, outgoing=f"{here.names.outgoing}-out"))
