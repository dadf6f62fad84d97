"""The door of a worker process: it works on jobs until it is told to end."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable
from typing import Final

from shelfwise.app import App
from shelfwise.services.background import Background
from shelfwise.services.event_bus import EventBus, publish_all

_LOOK_SECONDS: Final = 0.2


def work(shop: App, ready: Callable[[str], None] = lambda _: None) -> None:
    """Work on the jobs of a shop until SIGINT or SIGTERM; what is under way then is queued again for another worker.

    Parameters
    ----------
    ready
        Called with the worker's name once it works.
    """
    told: list[int] = []
    before = {
        number: signal.signal(number, lambda met, _: told.append(met)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with Background(shop) as worker, contextlib.ExitStack() as beside:
            bus = EventBus.start(shop, worker.name)
            if bus is not None:
                beside.callback(bus.close)
            ready(worker.name)
            # No lock is waited on: a signal that comes just before would be noticed only with the next one, and its
            # handler must not take a lock that this very thread may hold.
            while not told:
                time.sleep(_LOOK_SECONDS)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def drain(shop: App) -> int:
    """Do what is due now and what follows from it, publish what happened, and return how many jobs that were."""
    worker = Background(shop)
    count = worker.drain()
    publish_all(shop, worker.name)
    return count
