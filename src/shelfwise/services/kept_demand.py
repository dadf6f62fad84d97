"""The store's demand, read once and kept while nothing that it is made of has changed.

Reading it takes seconds in a large shop, and a process that answers questions is asked many about the same state. What
is kept is looked at before each use: the newest event, the line booked last, the day, and all the small tables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, TypeVar, cast
from weakref import WeakKeyDictionary

from shelfwise.app import App
from shelfwise.services import demand, planning
from shelfwise.services.demand import Demand
from shelfwise.services.shop_processes import stays_open
from shelfwise.storage import bundles, catalogue, live_forecasts, sales

Made = TypeVar("Made")

DAYS_AHEAD: Final = planning.DAYS_LAID_OUT + 31
"""Days laid out where fewer are asked for, so that most questions share one reading."""


@dataclass(eq=False)
class Kept:
    """Demand as it was read, of which state of the store, and what was worked out from it by name."""

    mark: str
    days_ahead: int
    demand: Demand
    beside: dict[str, object] = field(default_factory=dict)


_kept: Final[WeakKeyDictionary[App, Kept]] = WeakKeyDictionary()


def read(app: App, days_ahead: int) -> Kept:
    """Return the store's demand with covariates laid out for at least so many days.

    Raises
    ------
    DataError
        The store has no sales, or none that count.
    """
    wanted = max(days_ahead, DAYS_AHEAD)
    if not stays_open(app):
        return Kept("", wanted, demand.load(app, days_ahead=wanted))
    mark = mark_of(app)  # before the reading: what changes while it goes on is seen the next time
    known = _kept.get(app)
    if known is None or known.mark != mark or known.days_ahead < wanted:
        known = _kept[app] = Kept(mark, wanted, demand.load(app, days_ahead=wanted))
    return known


def worked_out(kept: Kept, name: str, make: Callable[[], Made]) -> Made:
    """Return what was worked out from demand before under a name, or work it out; a name is always of one kind."""
    if name not in kept.beside:
        kept.beside[name] = make()
    return cast("Made", kept.beside[name])


def mark_of(app: App) -> str:
    """Return a hash that is another one whenever demand could be, or anything that an event tells of."""
    with app.database.read() as connection:
        newest, booked = live_forecasts.newest_event(connection), sales.last_booking(connection)
        tables = (
            catalogue.products(connection), catalogue.prices(connection), catalogue.calendar_events(connection),
            bundles.bundles(connection),
        )  # fmt: skip
    parts = [f"{newest} {booked} {app.today()}", *(table.write_csv() for table in tables)]
    return sha256("\0".join(parts).encode()).hexdigest()
