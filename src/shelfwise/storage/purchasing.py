"""Purchase orders from draft to received, their receipts, and the lead times the receipts tell.

```
draft ──send──> sent ──receive──> part_received ──receive──> received
  └───────cancel──┴────────cancel──────┘────────────> cancelled
```

Every other step is a `ConflictError`. What is open on a draft or a sent order counts as incoming: an approved quantity
must not be proposed again while its order waits to be sent. More may be delivered than was ordered; it is booked as it
came and reported. What is cancelled or received counts no longer.

A receipt is booked once: by the number of its delivery where it has one, and once a day for a line where a file tells
it. Where the movement of a receipt is corrected (`shelfwise.storage.corrections`), the order follows: rows of what was
too much or too little are added to its receipts, and what is open, and the state, are worked out anew.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, Row, Table, case, func, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from shelfwise.domain.errors import ConflictError, DataError, NotFound, ParameterError
from shelfwise.domain.frames import PURCHASE_ORDER_LINES, RECEIPTS
from shelfwise.storage import tables
from shelfwise.storage.catalogue import code_ids
from shelfwise.storage.corrected import corrected_movements
from shelfwise.storage.database import Merge, fetch, insert_one, upsert
from shelfwise.storage.movement_notes import Note, add_notes
from shelfwise.storage.sales import append_movements

MOVEMENT_SOURCE: Final = "purchase order"
_CORRECTION: Final = "correction "  # the beginning of the delivery of a row that corrects a receipt
OPEN: Final = ("draft", "sent", "part_received")
_STATES: Final = (*OPEN, "received", "cancelled")
_STEPS: Final = {"send": ("draft",), "receive": ("sent", "part_received"), "cancel": OPEN}
_WAYS_OUT: Final = {
    "draft": "send it first",
    "sent": "it is on its way",
    "part_received": "receive or cancel the rest",
    "received": "all of it has come",
    "cancelled": "order anew",
}

_LINE_KEY: Final = ("purchase_order_id", "product_id", "warehouse_id")
_LINE_SCHEMA: Final = {name: pl.Int64() for name in ("line_id", *_LINE_KEY)}
_LINE_MERGE: Final[Merge] = {
    "quantity_received": lambda new, old: case((new > old, new), else_=old),
    "unit_cost": lambda new, old: func.coalesce(new, old),
    "expected_on": lambda new, old: func.coalesce(new, old),
}


@dataclass(frozen=True)
class Received:
    """What a delivery did.

    ``booked`` are the receipts; ``over`` lists the lines of which more came than was ordered (product, warehouse,
    ordered, received, excess: units); ``repeated`` says that this delivery was booked before, and nothing was done.
    """

    purchase_order: str
    status: str
    booked: pl.DataFrame
    over: pl.DataFrame
    repeated: bool = False


def create_purchase_order(
    connection: Connection,
    supplier: str,
    lines: pl.DataFrame,
    *,
    created_at: datetime,
    number: str | None = None,
    expected_on: date | None = None,
    note: str | None = None,
) -> str:
    """Create a draft and return its number.

    Parameters
    ----------
    lines
        Columns ``product``, ``warehouse``, ``quantity`` (units, above 0) and optionally ``unit_cost`` and
        ``expected_on``; one line for each product and warehouse.
    number
        None takes the next free one, like ``PO-000017``.
    expected_on
        Day the goods are expected, for lines that do not say it themselves.
    """
    if number is None:
        number = _next_number(connection)
    elif number in set(_known_orders(connection)["purchase_order"]):
        raise ConflictError(f"there is a purchase order {number!r} already; choose another number")
    whole = PURCHASE_ORDER_LINES.check(
        lines.with_columns(purchase_order=pl.lit(number), supplier=pl.lit(supplier), status=pl.lit("draft"))
    ).with_columns(pl.col("expected_on").fill_null(pl.lit(expected_on, dtype=pl.Date)), quantity_received=pl.lit(0.0))
    if whole.is_empty():
        raise DataError(f"purchase order {number!r} has no lines; give at least one")
    empty = whole.filter(pl.col("quantity") == 0)
    if empty.height:
        raise DataError(f"purchase order {number!r} orders 0 units of {empty['product'][0]!r}; leave the line out")
    load_order_lines(connection, whole)
    order = tables.purchase_orders
    connection.execute(update(order).where(order.c.number == number).values(created_at=created_at, note=note))
    return number


def send(connection: Connection, number: str, ordered_on: date) -> None:
    """Mark a draft as sent on that day; lead times are measured from it."""
    order = _step(connection, number, "send")
    t = tables.purchase_orders
    connection.execute(update(t).where(t.c.id == order.id).values(status="sent", ordered_on=ordered_on))


def cancel(connection: Connection, number: str) -> None:
    """Cancel what has not come yet; what has come stays booked."""
    order = _step(connection, number, "cancel")
    t = tables.purchase_orders
    connection.execute(update(t).where(t.c.id == order.id).values(status="cancelled"))


def receive(
    connection: Connection,
    number: str,
    lines: pl.DataFrame | None = None,
    *,
    received_on: date | datetime,
    delivery: str | None = None,
    note: Note | None = None,
    moves_stock: bool = True,
) -> Received:
    """Book a delivery: receipts, stock movements and the order's state, together.

    Parameters
    ----------
    lines
        Columns ``product``, ``quantity`` and, where the order has the product for several warehouses, ``warehouse``.
        None: everything that is still open.
    received_on
        When the goods came. A day alone is booked at its start; give the time where stock was counted on that day.
    delivery
        The delivery's own number; one that the order has already is not booked again.
    note
        Who books it, when and why.
    moves_stock
        False where somebody else reports what it did to stock.

    Raises
    ------
    ConflictError
        The order is a draft, cancelled, or received in full.
    NotFound
        A product is not on the order.
    """
    order = _order(connection, number)
    known = _lines(connection, order.id)
    line, receipt = tables.purchase_order_lines, tables.purchase_order_receipts
    deliveries = select(receipt.c.line_id, receipt.c.delivery).where(receipt.c.line_id.in_(known["id"].to_list()))
    taken = {(line_id, name) for line_id, name in connection.execute(deliveries)}
    if delivery is not None and delivery in {name for _, name in taken}:
        return Received(number, order.status, RECEIPTS.empty(), _over(known), repeated=True)
    _step(connection, number, "receive")
    moment = received_on if isinstance(received_on, datetime) else datetime.combine(received_on, time())
    delivered = _delivered(number, known, lines)
    if delivered.is_empty():
        raise DataError(f"nothing was received on purchase order {number!r}; give at least one line")
    ids = []
    for row in delivered.iter_rows(named=True):
        names = (f"delivery {n}" for n in itertools.count(1)) if delivery is None else iter([delivery])
        name = next(name for name in names if (row["id"], name) not in taken)
        values = {"line_id": row["id"], "quantity": row["delivered"], "received_on": moment.date(), "delivery": name}
        ids.append(insert_one(connection, receipt, values))
        total = line.c.quantity_received + row["delivered"]
        connection.execute(update(line).where(line.c.id == row["id"]).values(quantity_received=total))
    after = _lines(connection, order.id)
    status = _state(after)
    t = tables.purchase_orders
    connection.execute(update(t).where(t.c.id == order.id).values(status=status))
    booked = delivered.join(after, on="id", maintain_order="left").with_columns(
        line_id=pl.format("{}/{}", pl.Series(ids, dtype=pl.Int64), "id")
    )
    if moves_stock:
        append_movements(
            connection,
            booked.select(
                "line_id",
                source=pl.lit(MOVEMENT_SOURCE),
                kind=pl.lit("receipt"),
                occurred_at=pl.lit(moment, dtype=pl.Datetime("us")),
                product="product",
                warehouse="warehouse",
                quantity="delivered",
            ),
        )
    if moves_stock and note is not None:
        add_notes(connection, MOVEMENT_SOURCE, booked["line_id"].to_list(), note)
    return Received(
        number,
        status,
        RECEIPTS.check(
            booked.select(
                purchase_order=pl.lit(number),
                supplier=pl.lit(order.supplier),
                product="product",
                warehouse="warehouse",
                quantity="delivered",
                ordered_on=pl.lit(order.ordered_on, dtype=pl.Date),
                received_on=pl.lit(moment.date()),
            )
        ),
        _over(after),
    )


def follow_correction(connection: Connection, correction: int) -> None:
    """Bring orders into line with the movements of their receipts, of which this correction was made or taken back."""
    wanted = select(tables.correction_lines.c.line_id).where(
        tables.correction_lines.c.correction_id == correction,
        tables.correction_lines.c.source_id.in_(
            select(tables.sources.c.id).where(tables.sources.c.code == MOVEMENT_SOURCE)
        ),
    )
    names = connection.scalars(wanted).all()
    if not names:
        return
    m = corrected_movements(connection).c
    source = select(tables.sources.c.id).where(tables.sources.c.code == MOVEMENT_SOURCE).scalar_subquery()
    now = {
        name: {day: quantity}
        for name, day, quantity in connection.execute(
            select(m.line_id, m.day, m.quantity).where(m.source_id == source, m.line_id.in_(names))
        )
    }
    line = tables.purchase_order_lines
    for name in names:
        receipt_id, line_id = (int(part) for part in name.split("/"))
        change = _add_receipt_changes(connection, line_id, receipt_id, correction, now.get(name, {}))
        total = line.c.quantity_received + change
        connection.execute(update(line).where(line.c.id == line_id).values(quantity_received=total))
    touched = select(line.c.purchase_order_id).where(line.c.id.in_([int(name.split("/")[1]) for name in names]))
    order = tables.purchase_orders
    for order_id in connection.scalars(touched.distinct()).all():
        status = _state(_lines(connection, order_id))
        walked = order.c.status.in_(("sent", "part_received", "received"))
        connection.execute(update(order).where(order.c.id == order_id, walked).values(status=status))


def _add_receipt_changes(
    connection: Connection, line_id: int, receipt_id: int, correction: int, now: Mapping[date, float]
) -> float:
    """Add to the receipts of a line what makes one of them say ``now`` (units by day); return the units added."""
    receipt = tables.purchase_order_receipts
    # A delivery of several lines used to be booked under the number of its last receipt.
    own = select(func.max(receipt.c.id)).where(receipt.c.line_id == line_id, receipt.c.id <= receipt_id)
    mark = f": receipt {connection.scalar(own)}"
    said = select(receipt.c.received_on, receipt.c.quantity).where(
        receipt.c.line_id == line_id,
        (receipt.c.id == own.scalar_subquery()) | receipt.c.delivery.endswith(mark, autoescape=True),
    )
    before: dict[date, float] = {}
    for day, quantity in connection.execute(said):
        before[day] = before.get(day, 0.0) + quantity
    changes = {day: now.get(day, 0.0) - before.get(day, 0.0) for day in sorted({*before, *now})}
    step = connection.scalar(select(func.count()).select_from(receipt).where(receipt.c.line_id == line_id))
    for day, change in changes.items():
        if change:
            name = f"{_CORRECTION}{correction}.{step} of {day}{mark}"
            values = {"line_id": line_id, "delivery": name, "quantity": change, "received_on": day}
            connection.execute(insert(receipt).values(**values))
    return sum(changes.values())


def _state(lines: pl.DataFrame) -> str:
    """Return the state of an order that was sent, from what came of its lines."""
    if (lines["quantity_received"] >= lines["quantity"]).all():
        return "received"
    return "part_received" if (lines["quantity_received"] > 0).any() else "sent"


def _over(lines: pl.DataFrame) -> pl.DataFrame:
    return lines.filter(pl.col("quantity_received") > pl.col("quantity")).select(
        "product",
        "warehouse",
        ordered="quantity",
        received="quantity_received",
        excess=pl.col("quantity_received") - pl.col("quantity"),
    )


def load_order_lines(connection: Connection, frame: pl.DataFrame) -> int:
    """Insert or update orders as a file tells them (``PURCHASE_ORDER_LINES``); return the number of lines.

    Stock is not touched: what came in the past is in the counts and movements of the same shop. An order whose lines
    say nothing of its state keeps the one it has, or is sent. The largest quantity ever reported as received holds.
    """
    lines = PURCHASE_ORDER_LINES.check(frame)
    orders = lines.group_by("purchase_order", maintain_order=True).agg(
        pl.col("supplier").first(), pl.col("status").max(), pl.col("ordered_on").min()
    )
    known = _known_orders(connection)
    orders = orders.join(known.select("purchase_order", was="status"), on="purchase_order", how="left").with_columns(
        pl.coalesce("status", "was", pl.lit("sent")).alias("status")
    )
    order_ids = _upsert_orders(connection, orders)
    rows = lines.join(order_ids, on="purchase_order").select(
        "purchase_order_id",
        _ids(connection, tables.products, lines["product"]).alias("product_id"),
        _ids(connection, tables.warehouses, lines["warehouse"]).alias("warehouse_id"),
        "quantity",
        pl.col("quantity_received").fill_null(0.0),
        "unit_cost",
        "expected_on",
    )
    upsert(connection, tables.purchase_order_lines, rows, _LINE_KEY, _LINE_MERGE)
    return rows.height


def load_receipts(connection: Connection, frame: pl.DataFrame) -> int:
    """Add past receipts as a file tells them (``RECEIPTS``); return how many were new.

    They tell lead times and leave stock alone, like `load_order_lines`. A line of an order is received once a day:
    several rows of a day are summed, and a day that is there already, from a file or booked by a person, is left as it
    is. Unknown orders are made, as received.
    """
    day = ["purchase_order", "product", "warehouse", "received_on"]
    receipts_ = (
        RECEIPTS.check(frame)
        .group_by(day, maintain_order=True)
        .agg(pl.col("supplier").first(), pl.col("quantity").sum(), pl.col("ordered_on").min())
    )
    orders = receipts_.group_by("purchase_order", maintain_order=True).agg(
        pl.col("supplier").first(), pl.col("ordered_on").min()
    )
    known = _known_orders(connection)
    orders = orders.join(known.select("purchase_order", was="status"), on="purchase_order", how="left").with_columns(
        pl.col("was").fill_null("received").alias("status")
    )
    order_ids = _upsert_orders(connection, orders)
    rows = receipts_.join(order_ids, on="purchase_order").with_columns(
        _ids(connection, tables.products, receipts_["product"]).alias("product_id"),
        _ids(connection, tables.warehouses, receipts_["warehouse"]).alias("warehouse_id"),
    )
    # An order of which only receipts are known was for what came.
    whole = rows.group_by(_LINE_KEY, maintain_order=True).agg(pl.col("quantity").sum())
    line, receipt = tables.purchase_order_lines, tables.purchase_order_receipts
    upsert(
        connection,
        line,
        whole.with_columns(quantity_received=pl.lit(0.0)),
        _LINE_KEY,
        {"quantity": lambda _, old: old, "quantity_received": lambda _, old: old},
    )
    line_ids = fetch(connection, select(line.c.id, *(line.c[name] for name in _LINE_KEY)), _LINE_SCHEMA)
    new = rows.join(line_ids, on=_LINE_KEY).with_columns(pl.format("day {}", "received_on").alias("delivery"))
    there = fetch(
        connection, select(receipt.c.line_id, receipt.c.received_on), {"line_id": pl.Int64(), "received_on": pl.Date()}
    )
    new = new.join(there, on=["line_id", "received_on"], how="anti")
    upsert(connection, receipt, new.select("line_id", "delivery", "quantity", "received_on"), ("line_id", "delivery"))
    total = select(func.sum(receipt.c.quantity)).where(receipt.c.line_id == line.c.id).scalar_subquery()
    connection.execute(update(line).where(total > line.c.quantity_received).values(quantity_received=total))
    return new.height


def purchase_orders(connection: Connection, status: str | None = None) -> pl.DataFrame:
    """Read all order lines (``PURCHASE_ORDER_LINES``), of all orders or of those in one state, by number."""
    if status is not None and status not in _STATES:
        raise ParameterError(f"there is no order state {status!r}; the states are {', '.join(_STATES)}")
    states = _STATES if status is None else (status,)
    return _read_lines(connection, tables.purchase_orders.c.status.in_(states))


def order_lines(connection: Connection, number: str) -> pl.DataFrame:
    """Read the lines of one order (``PURCHASE_ORDER_LINES``); none where there is no such order."""
    return _read_lines(connection, tables.purchase_orders.c.number == number)


def open_order_lines(connection: Connection, as_of: date | None = None) -> pl.DataFrame:
    """Read the lines of which something is still to come (``PURCHASE_ORDER_LINES``): drafts, sent and part received.

    ``quantity - quantity_received`` is what is due. ``as_of`` leaves out orders sent after that day; drafts count.
    Which late lines still count is for the plan to say, by ``expected_on``.
    """
    order, line = tables.purchase_orders.c, tables.purchase_order_lines.c
    due = order.status.in_(OPEN) & (line.quantity > line.quantity_received)
    if as_of is not None:
        due &= order.ordered_on.is_(None) | (order.ordered_on <= as_of)
    return _read_lines(connection, due)


def receipts(connection: Connection) -> pl.DataFrame:
    """Read all receipts (``RECEIPTS``) as they stand after corrections, by day and order."""
    order, line, receipt = tables.purchase_orders, tables.purchase_order_lines, tables.purchase_order_receipts
    query = (
        select(
            order.c.number,
            tables.suppliers.c.code,
            tables.products.c.code,
            tables.warehouses.c.code,
            receipt.c.quantity,
            order.c.ordered_on,
            receipt.c.received_on,
            receipt.c.line_id,
            receipt.c.delivery,
        )
        .select_from(receipt.join(line).join(order).join(tables.suppliers))
        .join(tables.products, line.c.product_id == tables.products.c.id)
        .join(tables.warehouses)
        .order_by(receipt.c.received_on, order.c.number, receipt.c.id)
    )
    schema = {name: column.dtype for name, column in RECEIPTS.columns.items()}
    found = fetch(connection, query, {**schema, "line_id": pl.Int64(), "delivery": pl.String()})
    # Where receipts of a line were corrected, what the line got on a day is one row; where nothing is left, none.
    corrected = pl.col("delivery").str.starts_with(_CORRECTION)
    corrected_line = corrected.any().over("line_id")
    own = pl.when(corrected_line).then(pl.lit(-1)).otherwise(pl.int_range(pl.len()))
    rows = found.group_by("line_id", "received_on", own.alias("own"), maintain_order=True).agg(
        pl.col("quantity").sum(), pl.col(set(schema) - {"quantity", "received_on"}).first()
    )
    return RECEIPTS.check(rows.filter((pl.col("quantity") > 0) | (pl.col("own") >= 0)).select(list(schema)))


def _read_lines(connection: Connection, where: ColumnElement[bool]) -> pl.DataFrame:
    order, line = tables.purchase_orders, tables.purchase_order_lines
    query = (
        select(
            order.c.number,
            tables.suppliers.c.code,
            tables.products.c.code,
            tables.warehouses.c.code,
            line.c.quantity,
            line.c.quantity_received,
            line.c.unit_cost,
            order.c.ordered_on,
            line.c.expected_on,
            order.c.status,
        )
        .select_from(line.join(order).join(tables.suppliers))
        .join(tables.products, line.c.product_id == tables.products.c.id)
        .join(tables.warehouses)
        .where(where)
        .order_by(order.c.number, line.c.id)
    )
    schema = {name: c.dtype for name, c in PURCHASE_ORDER_LINES.columns.items()}
    return PURCHASE_ORDER_LINES.check(fetch(connection, query, schema))


def _upsert_orders(connection: Connection, orders: pl.DataFrame) -> pl.DataFrame:
    """Write orders (purchase_order, supplier, status, ordered_on) and return their keys beside their numbers."""
    rows = orders.select(
        number="purchase_order",
        supplier_id=_ids(connection, tables.suppliers, orders["supplier"]),
        status="status",
        ordered_on="ordered_on",
    )
    upsert(
        connection, tables.purchase_orders, rows, ("number",),
        {"ordered_on": lambda new, old: func.coalesce(new, old)},
    )  # fmt: skip
    return _known_orders(connection).select("purchase_order", "purchase_order_id")


def _known_orders(connection: Connection) -> pl.DataFrame:
    t = tables.purchase_orders.c
    schema = {"purchase_order": pl.String(), "purchase_order_id": pl.Int64(), "status": pl.String()}
    return fetch(connection, select(t.number, t.id, t.status), schema)


def _ids(connection: Connection, target: Table, codes: pl.Series) -> pl.Series:
    distinct = codes.unique(maintain_order=True)
    ids = pl.Series(code_ids(connection, target, distinct.to_list()), dtype=pl.Int64)
    return codes.replace_strict(distinct, ids, return_dtype=pl.Int64)


def _order(connection: Connection, number: str) -> Row[*tuple[Any, ...]]:
    t = tables.purchase_orders
    query = select(t.c.id, t.c.status, t.c.ordered_on, tables.suppliers.c.code.label("supplier"))
    row = connection.execute(query.select_from(t.join(tables.suppliers)).where(t.c.number == number)).first()
    if row is None:
        near = difflib.get_close_matches(number, connection.scalars(select(t.c.number)).all(), n=3)
        hint = f"near it: {', '.join(near)}" if near else "list the purchase orders to see their numbers"
        raise NotFound(f"there is no purchase order {number!r}; {hint}")
    return row


def _step(connection: Connection, number: str, step: str) -> Row[*tuple[Any, ...]]:
    order = _order(connection, number)
    if order.status not in _STEPS[step]:
        state = order.status.replace("_", " ")
        raise ConflictError(f"cannot {step} purchase order {number!r}: it is {state}; {_WAYS_OUT[order.status]}")
    return order


def _lines(connection: Connection, order_id: int) -> pl.DataFrame:
    line = tables.purchase_order_lines
    query = (
        select(line.c.id, tables.products.c.code, tables.warehouses.c.code, line.c.quantity, line.c.quantity_received)
        .select_from(line.join(tables.products).join(tables.warehouses))
        .where(line.c.purchase_order_id == order_id)
        .order_by(line.c.id)
    )
    schema = {
        "id": pl.Int64(), "product": pl.String(), "warehouse": pl.String(), "quantity": pl.Float64(),
        "quantity_received": pl.Float64(),
    }  # fmt: skip
    return fetch(connection, query, schema)


def _delivered(number: str, known: pl.DataFrame, lines: pl.DataFrame | None) -> pl.DataFrame:
    """Return what came (id of the line, delivered units): the given lines, or all that is open."""
    if lines is None:
        due = (pl.col("quantity") - pl.col("quantity_received")).alias("delivered")
        return known.select("id", due).filter(pl.col("delivered") > 0)
    rows: dict[int, float] = {}
    for line in lines.iter_rows(named=True):
        product, warehouse, quantity = line["product"], line.get("warehouse"), float(line["quantity"])
        if not quantity > 0:
            raise DataError(f"{quantity:g} units of {product!r} cannot be received; give a quantity above 0")
        found = known.filter(pl.col("product") == product)
        if warehouse is not None:
            found = found.filter(pl.col("warehouse") == warehouse)
        where = "" if warehouse is None else f" for {warehouse!r}"
        if found.is_empty():
            raise NotFound(
                f"{product!r}{where} is not on purchase order {number!r}; "
                f"on it are {', '.join(sorted(set(known['product'])))}"
            )
        if found.height > 1:
            raise DataError(
                f"{product!r} is on purchase order {number!r} for {', '.join(found['warehouse'])}; name the warehouse"
            )
        key = int(found["id"][0])
        rows[key] = rows.get(key, 0.0) + quantity
    return pl.DataFrame({"id": list(rows), "delivered": list(rows.values())}, {"id": pl.Int64, "delivered": pl.Float64})


def _next_number(connection: Connection) -> str:
    t = tables.purchase_orders
    taken = set(connection.scalars(select(t.c.number).where(t.c.number.like("PO-%"))))
    last = int(connection.scalar(select(func.max(t.c.id))) or 0)
    return next(number for n in itertools.count(last + 1) if (number := f"PO-{n:06}") not in taken)
