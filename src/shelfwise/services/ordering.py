"""Purchase orders from draft to received, and their export."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from shelfwise.app import App
from shelfwise.domain.errors import ConflictError, ParameterError
from shelfwise.domain.events import PurchaseOrderChanged
from shelfwise.domain.frames import PURCHASE_ORDER_EXPORT
from shelfwise.exchange import purchase_orders as export_files
from shelfwise.services.decisions import decider
from shelfwise.services.names import not_found
from shelfwise.services.planning import Plan
from shelfwise.storage import catalogue, outbox, purchasing
from shelfwise.storage.movement_notes import Note
from shelfwise.storage.purchasing import Received

NO_SUPPLIER = "no supplier"


def purchase_orders(app: App, *, status: str | None = None, number: str | None = None) -> pl.DataFrame:
    """Read order lines (PURCHASE_ORDER_LINES), of all orders, of those in one state, or of one order.

    Raises
    ------
    NotFound
        There is no order of that number; the message lists the nearest.
    """
    with app.database.read() as connection:
        lines = purchasing.purchase_orders(connection, status)
        if number is None:
            return lines
        every = purchasing.purchase_orders(connection)
    wanted = _number(every, number)
    return every.filter(pl.col("purchase_order") == wanted)


def order_list(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one row per order from PURCHASE_ORDER_LINES, open ones first, the latest of them first."""
    due = (pl.col("quantity") - pl.col("quantity_received").fill_null(0)).clip(0)
    return (
        lines.group_by("purchase_order", maintain_order=True)
        .agg(
            pl.col("supplier", "status", "ordered_on").first(),
            pl.col("expected_on").max(),
            lines=pl.len(),
            units=pl.col("quantity").sum(),
            units_due=pl.when(pl.col("status").first().is_in(["received", "cancelled"])).then(0.0).otherwise(due.sum()),
            value=(pl.col("quantity") * pl.col("unit_cost")).sum(),
        )
        .with_columns(open=pl.col("status").is_in(["draft", "sent", "part_received"]))
        .sort(["open", "ordered_on", "purchase_order"], descending=True, nulls_last=[False, False, False])
        .drop("open")
    )


def send(app: App, number: str, sent_on: dt.date | None = None) -> str:
    """Mark a draft as sent, today unless another day is given; return its number.

    Raises
    ------
    ParameterError
        The day has not come yet.
    """
    _not_ahead(app, "placed", number, sent_on)
    with app.database.write() as connection:
        found = _number(purchasing.purchase_orders(connection), number)
        purchasing.send(connection, found, sent_on or app.today())
        outbox.append(connection, app.now(), PurchaseOrderChanged(found, "sent"))
    return found


def cancel(app: App, number: str) -> str:
    """Cancel what has not come of an order; return its number."""
    with app.database.write() as connection:
        found = _number(purchasing.purchase_orders(connection), number)
        purchasing.cancel(connection, found)
        outbox.append(connection, app.now(), PurchaseOrderChanged(found, "cancelled"))
    return found


def receive(
    app: App,
    number: str,
    quantities: Mapping[str, float] | None = None,
    received_on: dt.date | None = None,
    delivery: str | None = None,
) -> Received:
    """Book a delivery of an order that was sent.

    Parameters
    ----------
    quantities
        Units by product, or by ``product@warehouse``; None receives everything that is open.
    received_on
        Day on which it came; None is now.
    delivery
        The delivery's own number, so that the same one is booked once.

    Raises
    ------
    ParameterError
        The day has not come yet, or is before the order was placed: one wrong year would make a lead time of years.
    """
    _not_ahead(app, "received", number, received_on)
    with app.database.write() as connection:
        lines = purchasing.purchase_orders(connection)
        found = _number(lines, number)
        own = lines.filter(pl.col("purchase_order") == found)
        when: dt.date | dt.datetime = app.now() if received_on is None else received_on
        if own["status"][0] == "draft":
            raise ConflictError(
                f"{found} is a draft, and lead times are measured from the day it was placed; say so first: "
                f"`shelfwise purchase-orders --send {found}`, with --on DAY if that was not today"
            )
        placed = own["ordered_on"][0]
        if received_on is not None and placed is not None and received_on < placed:
            raise ParameterError(f"{found} was placed on {placed}, so it cannot have come on {received_on}")
        delivered = None if quantities is None else _delivered(own, quantities)
        note = Note(decider(), app.now(), found if delivery is None else f"{found}, delivery {delivery}")
        received = purchasing.receive(connection, found, delivered, received_on=when, delivery=delivery, note=note)
        if not received.repeated:
            outbox.append(connection, app.now(), PurchaseOrderChanged(found, received.status))
    return received


def _not_ahead(app: App, what: str, number: str, day: dt.date | None) -> None:
    if day is not None and day > app.today():
        raise ParameterError(f"{number} cannot have been {what} on {day}; today is {app.today()}")


def _delivered(own: pl.DataFrame, quantities: Mapping[str, float]) -> pl.DataFrame:
    rows = []
    for name, units in quantities.items():
        product, _, warehouse = name.partition("@")
        some = own.filter(pl.col("product").str.to_lowercase() == product.casefold())
        if warehouse:
            some = some.filter(pl.col("warehouse").str.to_lowercase() == warehouse.casefold())
        if some.height == 0:
            raise not_found("line of this order", name, own["product"].to_list())
        if some.height > 1:
            places = ", ".join(f"{product}@{w}" for w in some["warehouse"])
            raise ParameterError(f"the order has {product} for {some.height} warehouses; name one: {places}")
        rows.append({"product": some["product"][0], "warehouse": some["warehouse"][0], "quantity": units})
    return pl.DataFrame(rows, schema_overrides={"quantity": pl.Float64})


def _number(lines: pl.DataFrame, wanted: str) -> str:
    numbers = lines["purchase_order"].unique(maintain_order=True).to_list()
    same = [number for number in numbers if number.casefold() == wanted.casefold()]
    if not same:
        raise not_found("purchase order", wanted, numbers)
    return str(same[0])


def export_plan(plan: Plan, folder: Path, *, replace: bool = False) -> list[Path]:
    """Write the open lines of a plan into ``folder``: a workbook with a sheet per supplier, and a CSV per supplier."""
    orders = plan.orders.select("supplier", "next_order_on", "arrives_on")
    lines = plan.open_lines.join(orders, on="supplier", how="left", nulls_equal=True)
    return _written(
        lines.select(
            pl.col("supplier").fill_null(NO_SUPPLIER), pl.lit(None, dtype=pl.String).alias("purchase_order"),
            "product", "name", "warehouse", "quantity", "pack_size", "unit_cost",
            order_on="next_order_on", expected_on="arrives_on", note="arithmetic",
        ),
        folder, f"orders-{plan.as_of}", replace=replace,
    )  # fmt: skip


def export_orders(app: App, numbers: list[str], folder: Path, *, replace: bool = False) -> list[Path]:
    """Write purchase orders into ``folder``, in the same form as `export_plan`."""
    with app.database.read() as connection:
        every = purchasing.purchase_orders(connection)
        products = catalogue.products(connection)
    wanted = [_number(every, number) for number in numbers]
    lines = every.filter(pl.col("purchase_order").is_in(wanted)).join(
        products.select("product", "name", "pack_size"), on="product", how="left"
    )
    due = pl.col("quantity") - pl.col("quantity_received").fill_null(0)
    return _written(
        lines.select(
            "supplier", "purchase_order", "product", "name", "warehouse", pl.col("pack_size").fill_null(1.0),
            "unit_cost", "expected_on", quantity=due.clip(0), order_on="ordered_on",
        ),
        folder, "-".join(wanted[:3]), replace=replace,
    )  # fmt: skip


def _written(lines: pl.DataFrame, folder: Path, stem: str, *, replace: bool) -> list[Path]:
    checked = PURCHASE_ORDER_EXPORT.check(lines)
    book = export_files.write_xlsx(checked, folder / f"{stem}.xlsx", replace=replace)
    return [book, *export_files.write_csv(checked, folder, replace=replace)]
