"""Stock by hand: what is on hand, and counts, adjustments and transfers booked by a person."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import polars as pl

from shelfwise.app import App
from shelfwise.domain import words
from shelfwise.domain.errors import ConflictError, NotFound, ParameterError
from shelfwise.domain.events import MovementsRecorded, named
from shelfwise.services.decisions import decider
from shelfwise.services.names import product_code, warehouse_code
from shelfwise.storage import catalogue, corrections, movement_history, outbox, sales, stock
from shelfwise.storage.movement_notes import Note, add_notes

SOURCE: Final = "by hand"
MOST_OF_AN_ID: Final = 200
OUT, IN = "/out", "/in"

Moment = dt.date | dt.datetime


@dataclass(frozen=True, eq=False)
class Booked:
    """What was booked by hand.

    Parameters
    ----------
    id
        The movement's own id; the same id is booked once.
    lines
        The lines (``MOVEMENTS``).
    repeated
        The very same was booked before under this id: nothing was done, and that is a success.
    notes
        What a person should know of it, in sentences.
    """

    id: str
    lines: pl.DataFrame
    repeated: bool
    notes: tuple[str, ...]


def levels(app: App, product: str | None = None, warehouse: str | None = None) -> pl.DataFrame:
    """Return what is on hand: ``product, name, warehouse, on_hand, as_of``.

    Raises
    ------
    NotFound
        There is no such product or warehouse; the message lists the nearest.
    """
    with app.database.read() as connection:
        table = catalogue.products(connection)
        found = stock.stock_levels(connection)
        if product is not None:
            found = found.filter(pl.col("product") == product_code(table, product))
        if warehouse is not None:
            found = found.filter(pl.col("warehouse") == warehouse_code(catalogue.warehouses(connection), warehouse))
    named = found.join(table.select("product", "name"), on="product", how="left", maintain_order="left")
    return named.select("product", "name", "warehouse", "on_hand", "as_of")


def history(
    app: App,
    product: str,
    warehouse: str | None = None,
    limit: int = 30,
    after: tuple[dt.datetime, int] | None = None,
) -> pl.DataFrame:
    """Return a product's newest lines with their corrections (``movement_history.SCHEMA``).

    ``after`` names a line by its moment and number: those booked for earlier are given.

    Raises
    ------
    NotFound
        There is no such product or warehouse; the message lists the nearest.
    ParameterError
        ``limit`` is below 1.
    """
    if limit < 1:
        raise ParameterError(f"limit must be at least 1 line, got {limit}")
    with app.database.read() as connection:
        code = product_code(catalogue.products(connection), product)
        place = None if warehouse is None else warehouse_code(catalogue.warehouses(connection), warehouse)
        return movement_history.movement_history(connection, code, place, limit, after)


def count(
    app: App,
    product: str,
    quantity: float,
    *,
    warehouse: str | None = None,
    at: Moment | None = None,
    reason: str | None = None,
    new_warehouse: bool = False,
    id: str | None = None,
) -> Booked:
    """Book what was counted on the shelf.

    Parameters
    ----------
    product
        Code, or whole name.
    warehouse
        None where the shop has only one.
    at
        When it was counted; None is now. A day alone is its opening stock: what sold on that day is taken off it.
    new_warehouse
        The warehouse is not in the store yet.
    id
        The count's own id, so that it can be sent twice and is booked once.

    Raises
    ------
    NotFound
        There is no such product or warehouse; the message lists the nearest.
    ParameterError
        The quantity is below zero, or the moment has not come yet.
    ConflictError
        Something else is booked under this id.
    """
    if not (math.isfinite(quantity) and quantity >= 0):
        raise ParameterError(
            f"what is counted is zero or more units, got {quantity:g}; what is missing is an adjustment"
        )
    moment = None if at is None else past(app, at)
    with app.database.write() as connection:
        code = product_code(catalogue.products(connection), product)
        place = (
            warehouse if new_warehouse and warehouse else warehouse_code(catalogue.warehouses(connection), warehouse)
        )
        before = stock.level_of(connection, code, place)
        booked = _book(app, connection, "count", [(code, place, quantity)], moment, reason, id)
        notes = list(booked.notes)
        if before is not None and not booked.repeated and (moment is None or before.as_of <= moment):
            notes.insert(0, _against_the_book(before.on_hand, quantity, code, place))
    return replace(booked, notes=tuple(notes))


def adjust(
    app: App,
    product: str,
    change: float,
    *,
    reason: str,
    warehouse: str | None = None,
    at: Moment | None = None,
    id: str | None = None,
) -> Booked:
    """Book units found (above zero) or lost (below) since the last count; arguments and errors as for `count`."""
    if not math.isfinite(change) or change == 0:
        raise ParameterError(f"an adjustment is of some units, like -3 or +2, got {change:g}")
    moment = None if at is None else past(app, at)
    with app.database.write() as connection:
        code = product_code(catalogue.products(connection), product)
        place = warehouse_code(catalogue.warehouses(connection), warehouse)
        return _book(app, connection, "adjustment", [(code, place, change)], moment, said(reason), id)


def transfer(
    app: App,
    product: str,
    quantity: float,
    *,
    origin: str,
    destination: str,
    at: Moment | None = None,
    reason: str | None = None,
    id: str | None = None,
) -> Booked:
    """Book stock moved from one warehouse to another: two lines, both or none; other arguments and errors as `count`.

    Raises
    ------
    ParameterError
        Origin and destination are the same, or the quantity is not above zero.
    """
    if not (math.isfinite(quantity) and quantity > 0):
        raise ParameterError(f"a transfer moves more than zero units, got {quantity:g}; turn --from and --to instead")
    moment = None if at is None else past(app, at)
    with app.database.write() as connection:
        code = product_code(catalogue.products(connection), product)
        start, end = (
            warehouse_code(catalogue.warehouses(connection), origin),
            warehouse_code(catalogue.warehouses(connection), destination),
        )
        if start == end:
            raise ParameterError(f"{code} cannot be moved from {start} to itself; name two warehouses")
        legs = [(code, start, -quantity), (code, end, quantity)]
        return _book(app, connection, "transfer", legs, moment, reason, id)


def _book(
    app: App,
    connection: Any,
    kind: str,
    legs: Sequence[tuple[str, str, float]],
    at: dt.datetime | None,
    reason: str | None,
    id: str | None,
) -> Booked:
    """Book the legs (product, warehouse, quantity) of one movement, now or ``at`` a moment, with who, when and why."""
    key = uuid.uuid4().hex if id is None else id.strip()
    if not 0 < len(key) <= MOST_OF_AN_ID:
        raise ParameterError(f"an id has 1 to {MOST_OF_AN_ID} characters, got {len(key)}")
    ends = ("",) if len(legs) == 1 else (OUT, IN)
    # Without a moment of its own, what is sent again is of the moment at which it came first.
    moment = at or _booked_at(connection, f"{kind} {key}{ends[0]}") or app.now()
    lines = pl.DataFrame(
        [
            {
                "source": SOURCE, "line_id": f"{kind} {key}{end}", "kind": kind, "occurred_at": moment,
                "product": product, "warehouse": warehouse, "quantity": float(quantity),
            }
            for end, (product, warehouse, quantity) in zip(ends, legs, strict=True)
        ]
    )  # fmt: skip
    if corrections.differing(connection, lines).lines:
        raise ConflictError(
            f"something else is booked as {kind} {key!r}; choose another id, or correct that line: "
            f"`shelfwise history {legs[0][0]}` shows it"
        )
    done = sales.append_movements(connection, lines)
    if done.inserted:
        add_notes(connection, SOURCE, lines["line_id"].to_list(), Note(decider(), app.now(), reason or None))
        outbox.append(connection, app.now(), MovementsRecorded(SOURCE, done.inserted, named(lines["product"])))
    moments = {(product, warehouse): moment for product, warehouse, _ in legs}
    notes = stock_notes(connection, moments) if done.inserted else []
    return Booked(key, lines, not done.inserted, tuple(notes))


def _booked_at(connection: Any, line_id: str) -> dt.datetime | None:
    try:
        return corrections.line_of(connection, SOURCE, line_id).booked.occurred_at
    except NotFound:
        return None


def stock_notes(connection: Any, moments: Mapping[tuple[str, str], dt.datetime]) -> list[str]:
    """Return what the stock of products in warehouses is, now that something was booked there at these moments."""
    notes = []
    for (product, warehouse), moment in moments.items():
        level = stock.level_of(connection, product, warehouse)
        if level is None:
            notes.append(f"{product} was never counted in {warehouse}: its stock stays unknown until it is")
            continue
        on_hand = words.units(level.on_hand)
        if moment < level.counted_at:
            counted = f"{level.counted_at:%Y-%m-%d %H:%M}"
            notes.append(
                f"{product} was counted in {warehouse} since, {counted}: history changes, the {on_hand} on hand stay"
            )
        elif level.on_hand < 0:
            notes.append(
                f"{product} in {warehouse} is at {on_hand}: more left than was there by the book; a count puts it right"
            )
        else:
            notes.append(f"{product} in {warehouse}: {on_hand} on hand")
    return notes


def _against_the_book(before: float, counted: float, product: str, warehouse: str) -> str:
    where = f"the book had {words.units(before)} of {product} in {warehouse}"
    if counted == before:
        return f"{where}: it agrees"
    return f"{where}: {words.units(abs(counted - before))} {'missing' if counted < before else 'more'}"


def past(app: App, at: Moment) -> dt.datetime:
    """Return the moment, a day alone being its start; raise for one that has not come yet."""
    moment = at if isinstance(at, dt.datetime) else dt.datetime.combine(at, dt.time())
    if moment > app.now():
        raise ParameterError(f"{moment:%Y-%m-%d %H:%M} has not come yet; it is {app.now():%Y-%m-%d %H:%M} in the shop")
    return moment


def said(reason: str) -> str:
    """Return the reason; raise where none is given."""
    if not reason.strip():
        raise ParameterError("give a reason; the next reader will ask")
    return reason.strip()
