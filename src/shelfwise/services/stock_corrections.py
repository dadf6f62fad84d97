"""Corrections of booked lines by a person: made and taken back, each one more record."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from shelfwise.app import App
from shelfwise.domain.errors import ParameterError
from shelfwise.domain.events import MovementsCorrected
from shelfwise.services.decisions import decider
from shelfwise.services.names import product_code, warehouse_code
from shelfwise.services.stock_movements import IN, OUT, SOURCE, Moment, past, said, stock_notes
from shelfwise.storage import catalogue, corrections, outbox, purchasing
from shelfwise.storage.corrections import BookedLine as BookedLine
from shelfwise.storage.corrections import Content

MOST_NOTES: Final = 6


@dataclass(frozen=True)
class Corrected:
    """What a correction did, or taking one back: its number, and what each line said before and says now."""

    number: int
    lines: tuple[tuple[BookedLine, BookedLine], ...]
    notes: tuple[str, ...]


def correct(
    app: App,
    line: int,
    *,
    reason: str,
    quantity: float | None = None,
    product: str | None = None,
    warehouse: str | None = None,
    at: Moment | None = None,
    unit_price: float | None = None,
    counts: bool = True,
) -> Corrected:
    """Correct a booked line by a record beside it: the line stays, and demand and stock read what it is to say.

    Both lines of a transfer are corrected together. Where the line is a receipt, its purchase order follows.

    Parameters
    ----------
    line
        Its number in `stock_movements.history`.
    quantity, product, warehouse, at, unit_price
        What it is to say; None leaves that. A day alone keeps the time of day; the quantity of a transfer is the units
        moved.
    counts
        False: the line is to count no more.

    Raises
    ------
    NotFound
        There is no such line, product or warehouse.
    ParameterError
        Nothing is to change, or what is to change cannot be.
    ConflictError
        The line says so already.
    """
    asked = {"quantity": quantity, "product": product, "warehouse": warehouse, "at": at, "price": unit_price}
    given = [name for name, value in asked.items() if value is not None]
    if counts and not given:
        raise ParameterError(
            "say what the line should say: --quantity, --product, --warehouse, --at, --price or --remove"
        )
    if not counts and given:
        raise ParameterError(
            f"a line that counts no more has no other {given[0]}; give --remove alone, or leave it out"
        )
    with app.database.write() as connection:
        wanted = corrections.booked_line(connection, line)
        both = [wanted, *_other_leg(connection, wanted)]
        if wanted.source == purchasing.MOVEMENT_SOURCE and (product is not None or warehouse is not None):
            raise ParameterError(
                f"line {line} is a receipt of a purchase order, which says product and warehouse; take the receipt off "
                "with --remove, and receive what came"
            )
        changes: dict[int, Content | None] = {}
        for one in both:
            old = one.now or one.booked
            changes[one.number] = None
            if counts:
                moved = warehouse is not None and one is wanted  # of a transfer, the side that was named
                changes[one.number] = replace(
                    old,
                    quantity=_quantity(old, quantity, moves=len(both) > 1),
                    product=old.product if product is None else product_code(catalogue.products(connection), product),
                    warehouse=warehouse_code(catalogue.warehouses(connection), warehouse) if moved else old.warehouse,
                    occurred_at=old.occurred_at if at is None else _kept_time(app, at, old.occurred_at),
                    unit_price=old.unit_price if unit_price is None else unit_price,
                )
        _check_legs(changes)
        done = corrections.correct(connection, changes, reason=said(reason), made_by=decider(), made_at=app.now())
        outbox.append(connection, app.now(), MovementsCorrected(done, "made"))
        return _done(connection, done, both)


def revert(app: App, number: int, *, reason: str) -> Corrected:
    """Take a correction back; what held before it holds again.

    Raises
    ------
    NotFound
        There is no such correction.
    ConflictError
        It was taken back already.
    """
    with app.database.write() as connection:
        numbers = corrections.lines_of(connection, number)
        before = [corrections.booked_line(connection, one) for one in numbers]
        done = corrections.revert(connection, number, reason=said(reason), made_by=decider(), made_at=app.now())
        outbox.append(connection, app.now(), MovementsCorrected(number, "reverted"))
        return _done(connection, done, before)


def _done(connection: Any, number: int, before: Sequence[BookedLine]) -> Corrected:
    lines = [(one, corrections.booked_line(connection, one.number)) for one in before]
    moments: dict[tuple[str, str], dt.datetime] = {}
    for pair in lines:
        for content in (one.now for one in pair if one.now is not None):
            place = content.product, content.warehouse
            moments[place] = max(content.occurred_at, moments.get(place, content.occurred_at))
    notes = stock_notes(connection, moments) if len(moments) <= MOST_NOTES else []
    return Corrected(number, tuple(lines), tuple(notes))


def _other_leg(connection: Any, line: BookedLine) -> list[BookedLine]:
    """Return the other line of a transfer that was booked by hand."""
    if line.source != SOURCE or line.booked.kind != "transfer":
        return []
    for end, other in ((OUT, IN), (IN, OUT)):
        if line.line_id.endswith(end):
            return [corrections.line_of(connection, SOURCE, line.line_id.removesuffix(end) + other)]
    return []


def _quantity(old: Content, quantity: float | None, *, moves: bool) -> float:
    if quantity is None:
        return old.quantity
    if moves:
        if not quantity > 0:
            raise ParameterError(f"a transfer moves more than zero units, got {quantity:g}; --remove takes it off")
        return math.copysign(quantity, old.quantity)
    if quantity < 0 and old.kind not in corrections.SIGNED:
        raise ParameterError(f"a {old.kind} has zero or more units, got {quantity:g}; --remove takes the line off")
    return float(quantity)


def _check_legs(changes: dict[int, Content | None]) -> None:
    places = [content.warehouse for content in changes.values() if content is not None]
    if len(places) == 2 and len(set(places)) == 1:
        raise ParameterError(f"both sides of the transfer would be {places[0]}; name another warehouse")


def _kept_time(app: App, at: Moment, old: dt.datetime) -> dt.datetime:
    """Return the moment a line is moved to; a day alone keeps its time of day."""
    return past(app, at if isinstance(at, dt.datetime) else dt.datetime.combine(at, old.time()))
