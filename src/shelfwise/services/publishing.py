"""Events on their way out: what is in the outbox goes to the bus, in its order, as CloudEvents.

One process publishes at a time, under a lease in the database. The place up to which the bus has everything moves on
after the bus has said so: what was put there and not noted, because a process was killed or the bus was lost, is put
there again under the same ids. So nothing is lost, and whoever reads meets a repetition by its id.

A changed forecast is a message of its own, with what it says now. Between two looks at the outbox a forecast may have
changed several times: the newest state goes out, once.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final
from zoneinfo import ZoneInfo

from shelfwise.app import App
from shelfwise.domain.events import EVENTS, Event, ForecastRefreshed
from shelfwise.exchange.transports.contract import Bus, Message, Outlet
from shelfwise.storage import event_bus, outbox, workers
from shelfwise.storage.event_bus import Place
from shelfwise.storage.live_forecasts import LiveRow
from shelfwise.storage.outbox import Happened

LEASE: Final = "event bus"
AT_ONCE: Final = 200
TYPE_PREFIX: Final = "shelfwise."


class Publisher:
    """Publishes what is due; used by one thread.

    Parameters
    ----------
    app, bus
        From where to where.
    holder
        Name of the worker that publishes.
    """

    def __init__(self, app: App, bus: Bus, holder: str) -> None:
        self._app, self._bus, self._holder = app, bus, holder
        self._outlet: Outlet | None = None
        self._renew_at = 0.0
        self._begun = False

    def publish_due(self) -> int:
        """Publish the next events, if nobody else does; return how many messages that were.

        Raises
        ------
        BusError
            The bus cannot take them now. The connection is ended, and the same is published again next time.
        """
        if not self._begun:
            self.begin()
        try:
            return self._publish_due()
        except BaseException:
            self.end_connection()
            raise

    def begin(self) -> None:
        """Note from which event on is published, if that was never noted."""
        with self._app.database.write() as connection:
            event_bus.begin(connection)
        self._begun = True

    def close(self) -> None:
        """End, and let another process publish at once."""
        self.end_connection()
        with self._app.database.write_beside() as connection:
            event_bus.let_go(connection, LEASE, self._holder)

    def end_connection(self) -> None:
        """Forget the connection to the bus; the next message makes a new one."""
        outlet, self._outlet = self._outlet, None
        if outlet is not None:
            outlet.close()

    def _publish_due(self) -> int:
        with self._app.database.read() as connection:
            place = workers.read_until(connection, event_bus.EVENTS)
            due = bool(outbox.since(connection, place, limit=1)) and event_bus.is_free(connection, LEASE, self._holder)
        if not due or not self._held():
            if self._outlet is not None:
                self._outlet.tend()
            return 0
        if self._outlet is None:
            self._outlet = self._bus.outlet()
        with self._app.database.read() as connection:  # another may have published since
            place = workers.read_until(connection, event_bus.EVENTS)
            version = workers.read_until(connection, event_bus.FORECASTS)
            events = outbox.since(connection, place, limit=AT_ONCE)
        count, reached = 0, version
        for messages, upto in self._batches(events, version):
            if time.monotonic() > self._renew_at and not self._held():
                return count  # another publishes now, from the place that is noted on
            self._outlet.publish(messages)
            count, reached = count + len(messages), upto
        with self._app.database.write_beside() as connection:
            if events and event_bus.hold(connection, LEASE, self._holder, self._seconds):
                workers.set_read_until(connection, event_bus.EVENTS, events[-1].number)
                if reached != version:
                    workers.set_read_until(connection, event_bus.FORECASTS, reached)
                event_bus.count(connection, "published", count)
        return count

    @property
    def _seconds(self) -> float:
        return self._app.settings.job_lease_seconds

    def _held(self) -> bool:
        """Take the lease, or keep it on."""
        with self._app.database.write_beside() as connection:
            held = event_bus.hold(connection, LEASE, self._holder, self._seconds)
        self._renew_at = time.monotonic() + self._seconds / 3
        return held

    def _batches(self, events: Sequence[Happened], version: int) -> Iterator[tuple[list[Message], int]]:
        """Yield the messages of events in their order, and the version up to which forecasts are among them then.

        Of that version some may not be among them yet: only the last one's counts.
        """
        messages: list[Message] = []
        place: Place = (version + 1, "", "")
        reached = version
        for happened in events:
            if isinstance(happened.event, ForecastRefreshed):
                for rows in self._changed_after(place):
                    reached, place = rows[-1].version, (rows[-1].version, rows[-1].product, rows[-1].warehouse)
                    yield [*messages, *map(self._forecast, rows)], reached
                    messages = []
            elif happened.event.name in EVENTS:
                messages.append(self._event(happened))
        yield messages, reached

    def _changed_after(self, place: Place) -> Iterator[list[LiveRow]]:
        """Yield forecasts that changed after a place, some at a time."""
        while True:
            with self._app.database.read() as connection:
                rows = event_bus.changed_after(connection, place, AT_ONCE)
            if not rows:
                return
            yield rows
            place = (rows[-1].version, rows[-1].product, rows[-1].warehouse)

    # --- messages

    def _event(self, happened: Happened) -> Message:
        event = happened.event
        return self._message(
            f"event-{happened.number}-{happened.at:%Y%m%dT%H%M%S}", event.name, happened.at, _only_product(event),
            asdict(event),
        )  # fmt: skip

    def _forecast(self, row: LiveRow) -> Message:
        series = hashlib.sha256(f"{row.product}\0{row.warehouse}".encode()).hexdigest()[:16]
        number = f"forecast-{row.version}-{row.computed_at:%Y%m%dT%H%M%S}-{series}"
        return self._message(number, ForecastRefreshed.name, row.computed_at, row.product, short_forecast(row))

    def _message(
        self, number: str, name: str, at: dt.datetime, product: str | None, data: Mapping[str, Any]
    ) -> Message:
        source = self._app.settings.event_bus_source
        told = {
            "specversion": "1.0", "type": f"{TYPE_PREFIX}{name}", "source": source, "id": number,
            "time": at.replace(tzinfo=ZoneInfo(self._app.calendar.timezone)).isoformat(),
            "datacontenttype": "application/json",
        }  # fmt: skip
        if product is not None:
            told["subject"] = product
        body = json.dumps({**told, "data": data}, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return Message(f"{source}#{number}", name, body.encode())


def short_forecast(row: LiveRow) -> dict[str, Any]:
    """Return what is published of a forecast: demand by day and in all, order and risk."""
    told = json.loads(row.payload)
    return {
        "product": row.product,
        "warehouse": row.warehouse,
        "version": row.version,
        "model": row.model,
        "model_version": row.model_version,
        "first_day": told["first_day"],
        "data_until": told["data_until"],
        "days": row.horizon,
        "demand": told["demand"],
        "total": {level: values[-1] for level, values in told["cumulative"].items() if values},
        "order": told["order"],
        "risk": told["risk"],
    }


def _only_product(event: Event) -> str | None:
    """Return the product that an event is about, where it names one alone."""
    products: Sequence[str] = getattr(event, "products", ())
    return products[0] if len(products) == 1 else None
