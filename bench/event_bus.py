"""Movements in and events out over a bus: ``python bench/event_bus.py [--url redis://...] [--messages 20000]``.

Puts ``--messages`` sales, one in each message, on the bus, and measures how fast they are booked by the very thread
that a worker has for it, in a database of its own; then how fast a quarter as many events go out, and how long one
event takes from its commit to the bus. Without ``--url`` it goes over the bus within the process, which is what
Shelfwise alone can do. Processor time is that of this process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import uuid
from pathlib import Path

from shelfwise.app import App, open_app
from shelfwise.domain.events import MovementsRecorded
from shelfwise.exchange.transports import open_bus, shown
from shelfwise.exchange.transports.contract import Bus, Message, Names
from shelfwise.services import event_bus
from shelfwise.services.event_bus import EventBus
from shelfwise.storage import outbox

PRODUCTS = 5000
SINGLE_EVENTS = 50
PART = 1000


def filled(bus: Bus, count: int) -> None:
    """Put sales on the bus."""
    outlet = bus.outlet()
    for first in range(0, count, PART):
        outlet.publish([
            Message(f"m-{n}", "sale", json.dumps({
                "productId": f"P{n % PRODUCTS:05}", "transactionType": "SALE", "quantity": 1, "id": f"till-{n}",
            }).encode())
            for n in range(first, min(first + PART, count))
        ])  # fmt: skip
    outlet.close()


def counted(app: App, name: str) -> int:
    """Return a count of the bus."""
    found = event_bus.status(app).counts.get(name)
    return 0 if found is None else found.total


def told(what: str, count: int, wall: float, cpu: float) -> None:
    each = f"{cpu / count * 1000:.2f} ms of processor time each"
    print(f"{what}: {count:,} in {wall:.1f} s, {count / wall:,.0f} a second, {each}")


def incoming(app: App, bus: Bus, count: int) -> None:
    """Measure how fast what waits on the bus is booked."""
    cpu, began = time.process_time(), time.perf_counter()
    running = EventBus(app, bus, "bench", lambda _: None)
    while counted(app, "consumed") < count:
        time.sleep(0.05)
    told("booked", count, time.perf_counter() - began, time.process_time() - cpu)
    running.close()
    if counted(app, "refused") or counted(app, "duplicates"):
        raise SystemExit(f"something went wrong: {event_bus.status(app)}")


def outgoing(app: App, bus: Bus, count: int) -> None:
    """Measure how fast events go out, and how soon one does."""
    before = counted(app, "published")
    with app.database.write() as connection:
        outbox.append(connection, app.now(), *(MovementsRecorded("bench", 1, (f"P{n}",)) for n in range(count)))
    cpu, began = time.process_time(), time.perf_counter()
    running = EventBus(app, bus, "bench", lambda _: None)
    while event_bus.status(app).waiting:
        time.sleep(0.02)
    told("published", counted(app, "published") - before, time.perf_counter() - began, time.process_time() - cpu)
    waited = []
    for n in range(SINGLE_EVENTS):
        with app.database.write() as connection:
            outbox.append(connection, app.now(), MovementsRecorded("bench", 1, (f"P{n}",)))
        began = time.perf_counter()
        while event_bus.status(app).waiting:
            time.sleep(0.001)
        waited.append((time.perf_counter() - began) * 1000)
    print(
        f"one event from its commit to the bus: {statistics.median(waited):.0f} ms median, {max(waited):.0f} ms at most"
    )
    running.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="in-process://bench", help="of the bus")
    parser.add_argument("--messages", type=int, default=20_000)
    given = parser.parse_args()
    name = f"shelfwise-bench-{uuid.uuid4().hex[:8]}"
    sales = open_bus(given.url, Names(f"{name}-sales", keep=10 * given.messages)).read_back()
    events = open_bus(given.url, Names(f"{name}-events", sales.names.incoming, keep=10 * given.messages))
    quiet = open_bus(given.url, Names(f"{name}-events", keep=10 * given.messages))
    print(shown(given.url))
    with tempfile.TemporaryDirectory() as folder, open_app(Path(folder) / "shop.db", folder=Path(folder)) as app:
        try:
            filled(sales, given.messages)
            incoming(app, events, given.messages)
            outgoing(app, quiet, given.messages // 4)
        finally:
            sales.remove()
            quiet.remove()


if __name__ == "__main__":
    main()
