"""Movements on their way in: messages of the bus are booked as ``POST /inventory`` books them, many in one transaction.

A message is settled after the commit: one that was booked and not settled comes again, and is then booked already under
its id, which is a success. One that cannot be booked is put where the refused go, with the reason, and keeps nobody up;
where the database cannot do it now, nothing is settled and it is tried until it can.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shelfwise.app import App
from shelfwise.domain import words
from shelfwise.domain.errors import ShelfwiseError, StorageError
from shelfwise.exchange.transports.contract import LONGEST_WAIT_SECONDS, Bus, Delivery, Inlet, Refused
from shelfwise.services.movement_messages import read_message
from shelfwise.services.recording import Recorded, Request, record
from shelfwise.storage import event_bus
from shelfwise.storage.savepoints import each_whatever_fails

_log: Final = logging.getLogger(__name__)

AT_ONCE: Final = 1000
MOST_OF_A_REASON: Final = 500


@dataclass(frozen=True)
class Booked:
    """What became of messages.

    Parameters
    ----------
    products
        Whose movements were booked now, each once.
    refused
        Messages of which something could not be booked.
    """

    products: tuple[str, ...]
    refused: tuple[Refused, ...]


def book(app: App, deliveries: Sequence[Delivery]) -> Booked:
    """Book the movements of messages in one transaction.

    Of a message that holds several, those that can be are booked, and the message is refused for the others: corrected
    and sent again, what is booked of it is a success.

    Raises
    ------
    StorageError
        The database cannot do it now; nothing is booked.
    """
    read = [read_message(one.body, one.key) for one in deliveries]
    asked = [(n, Request(movement)) for n, found in enumerate(read) for movement in found.movements]
    wrong: dict[int, list[str]] = {n: list(found.wrong) for n, found in enumerate(read) if found.wrong}
    products: dict[str, None] = {}
    fresh = duplicates = 0
    with app.database.write() as connection:

        def act(some: Sequence[Request]) -> list[Recorded | ShelfwiseError]:
            return record(app, connection, some)

        made: list[Any] = each_whatever_fails(connection, [request for _, request in asked], act)
        for (n, request), one in zip(asked, made, strict=True):
            if isinstance(one, Recorded):
                fresh += one.fresh
                duplicates += not one.fresh
                if one.fresh:
                    products[one.product] = None
            else:
                wrong.setdefault(n, []).append(_reason(one, request, alone=len(read[n].movements) == 1))
        reasons = {n: "; ".join(whys)[:MOST_OF_A_REASON] for n, whys in sorted(wrong.items())}
        event_bus.count(connection, "consumed", fresh)
        event_bus.count(connection, "duplicates", duplicates)
        event_bus.count(connection, "redelivered", sum(one.redelivered for one in deliveries))
        if reasons:
            event_bus.count(connection, "refused", len(reasons), list(reasons.values())[-1])
    if reasons:
        _log.warning(
            "%s of the event bus refused, the last because: %s", words.count(len(reasons), "message"),
            list(reasons.values())[-1],
        )  # fmt: skip
    return Booked(tuple(products), tuple(Refused(deliveries[n], why) for n, why in reasons.items()))


def _reason(error: Exception, request: Request, *, alone: bool) -> str:
    if not isinstance(error, ShelfwiseError):
        _log.error("a movement of the event bus could not be booked", exc_info=error)
    why = str(error) if isinstance(error, ShelfwiseError) else f"{type(error).__name__}: {error}"
    return why if alone else f"{request.movement.id}: {why}"


class Subscriber:
    """Takes messages and books them; used by one thread.

    Parameters
    ----------
    member
        Name of the worker within the group.
    felt
        Called with the products of fresh movements after their commit.
    wait
        Called while the database cannot book, with the error; returns whether to try again.
    """

    def __init__(
        self, app: App, bus: Bus, member: str, felt: Callable[[Iterable[str]], object],
        wait: Callable[[ShelfwiseError], bool],
    ) -> None:  # fmt: skip
        self._app, self._bus, self._member, self._felt, self._wait = app, bus, member, felt, wait
        self._inlet: Inlet | None = None

    def take(self) -> int:
        """Book what comes within a second; return how many messages that were.

        Raises
        ------
        BusError
            The bus is lost. The connection is ended; what was not settled comes again.
        """
        try:
            if self._inlet is None:
                self._inlet = self._bus.inlet(self._member)
            taken = self._inlet.receive(AT_ONCE, LONGEST_WAIT_SECONDS)
            booked = self._booked(taken) if taken else None
            if booked is None:
                return 0
            if booked.products:
                self._felt(booked.products)
            self._inlet.settle(taken, booked.refused)
        except BaseException:
            self.close()
            raise
        return len(taken)

    def close(self) -> None:
        """End the connection; the next message makes a new one."""
        inlet, self._inlet = self._inlet, None
        if inlet is not None:
            inlet.close()

    def _booked(self, taken: Sequence[Delivery]) -> Booked | None:
        """Book until it works; None where the worker ends before."""
        while True:
            try:
                return book(self._app, taken)
            except StorageError as error:
                if not self._wait(error):
                    self.close()
                    return None
