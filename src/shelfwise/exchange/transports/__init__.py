"""Ways over which events go out and movements come in: one contract (`contract`), one file for each kind of bus.

The address of a bus says which kind it is. A file is loaded, and its driver with it, when such a bus is opened.
"""

from __future__ import annotations

import importlib
from typing import Final
from urllib.parse import urlsplit

from shelfwise.domain.errors import ParameterError
from shelfwise.exchange.transports.contract import Bus, Names

SCHEMES: Final = {
    "in-process": "in_process",
    "redis": "redis_streams",
    "rediss": "redis_streams",
    "nats": "nats_jetstream",
    "tls": "nats_jetstream",
    "amqp": "rabbitmq",
    "amqps": "rabbitmq",
}
EXTRAS: Final = {"redis_streams": "redis", "nats_jetstream": "nats", "rabbitmq": "rabbitmq"}
"""The optional part of the installation that holds the driver of each kind."""


def kind_of(url: str) -> str:
    """Return which kind of bus an address is of.

    Raises
    ------
    ParameterError
        It is of none.

    >>> kind_of("amqp://guest@shop:5672/")
    'rabbitmq'
    """
    scheme = url.partition("://")[0].lower()
    if scheme not in SCHEMES or "://" not in url:
        raise ParameterError(
            f"event_bus_url begins with {scheme[:20]!r}; it is an address like redis://host:6379/0, nats://host:4222, "
            "amqp://user:password@host:5672/ or in-process://shop"
        )
    return SCHEMES[scheme]


def shown(url: str) -> str:
    """Return an address as it may be shown: without user and password.

    >>> shown("amqp://user:s3cret@shop:5672/"), shown("redis://[::1]:6379/0")
    ('amqp://shop:5672', 'redis://[::1]:6379')
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def open_bus(url: str, names: Names) -> Bus:
    """Return the bus of an address; nothing is connected to yet.

    Raises
    ------
    ParameterError
        It is the address of none, or its driver is not installed.
    """
    kind = kind_of(url)
    try:
        module = importlib.import_module(f"{__name__}.{kind}")
    except ImportError as error:
        if kind not in EXTRAS or (error.name or "").startswith("shelfwise"):
            raise
        raise ParameterError(
            f"event_bus_url names {shown(url)} and the driver of that bus is not installed; install it "
            f"(pip install 'shelfwise[{EXTRAS[kind]}]'), or leave event_bus_url empty"
        ) from None
    bus: Bus = module.open_bus(url, names)
    return bus
