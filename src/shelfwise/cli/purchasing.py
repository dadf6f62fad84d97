"""``shelfwise purchase-orders`` and ``shelfwise receive``: orders on their way, and deliveries."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption, open_shop
from shelfwise.cli.output import Form, form, say, write_frame
from shelfwise.domain import words


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("purchase-orders", short_help="List, place and cancel orders.")(purchase_orders)
    app.command("receive", no_args_is_help=True, short_help="Book a delivery.")(receive)


def purchase_orders(
    number: Annotated[str | None, typer.Argument(help="Show the lines of this order.", show_default=False)] = None,
    status: Annotated[
        str | None, typer.Option("--status", help="draft, sent, part_received, received or cancelled.")
    ] = None,
    send: Annotated[list[str] | None, typer.Option("--send", metavar="NUMBER", help="Mark a draft as placed.")] = None,
    on: Annotated[
        dt.datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="Day it was placed, for --send.")
    ] = None,
    cancel: Annotated[
        list[str] | None, typer.Option("--cancel", metavar="NUMBER", help="Cancel what has not come.")
    ] = None,
    export: Annotated[
        Path | None, typer.Option("--export", metavar="FOLDER", help="Write the shown orders as XLSX and CSV.")
    ] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """List purchase orders, or the lines of one; place and cancel them."""
    to = form(as_json, as_csv)
    with open_shop(database) as shop:
        from shelfwise.services import ordering

        for one in send or []:
            say(f"{ordering.send(shop, one, None if on is None else on.date())} is sent")
        for one in cancel or []:
            say(f"{ordering.cancel(shop, one)} is cancelled")
        lines = ordering.purchase_orders(shop, status=status, number=number)
        if export is not None:
            shown = lines["purchase_order"].unique(maintain_order=True).to_list()
            for path in ordering.export_orders(shop, shown, export):
                say(f"saved {path}")
        frame = lines if number is not None else ordering.order_list(lines)
    write_frame(frame, to, empty="no purchase orders yet; `shelfwise order --approve all` drafts them")
    return 0


def receive(
    number: Annotated[str, typer.Argument(help="The purchase order.", show_default=False)],
    lines: Annotated[
        list[str] | None,
        typer.Option("--lines", metavar="PRODUCT=QTY", help="What came, where it is not all that is open; repeat."),
    ] = None,
    on: Annotated[
        dt.datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="Day it came. Default: now.")
    ] = None,
    delivery: Annotated[
        str | None,
        typer.Option("--delivery", metavar="NUMBER", help="The delivery's own number; the same one is booked once."),
    ] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """Book a delivery: stock goes up, and the supplier's lead time is measured."""
    to = form(as_json, as_csv)
    quantities = None if not lines else dict(_quantity(text) for text in lines)
    with open_shop(database) as shop:
        from shelfwise.services import ordering

        done = ordering.receive(shop, number, quantities, None if on is None else on.date(), delivery)
    if done.repeated:
        say(f"delivery {delivery} of {done.purchase_order} was booked before: nothing to do")
        return 0
    write_frame(done.booked, to, shown=["product", "warehouse", "quantity", "received_on"])
    if to is Form.TEXT:
        say(f"{done.purchase_order} is {done.status.replace('_', ' ')}")
        for row in done.over.iter_rows(named=True):
            say(
                f"note: {words.units(row['excess'])} more of {row['product']} than ordered came "
                f"({words.units(row['received'])} for {words.units(row['ordered'])}); booked as it came"
            )
    return 0


def _quantity(text: str) -> tuple[str, float]:
    name, sign, value = text.rpartition("=")
    try:
        units = float(value)
    except ValueError:
        units = -1.0
    if not sign or not name or not units > 0:
        raise typer.BadParameter(f"give PRODUCT=QTY with a quantity above zero, for example CF-1042=24, got {text!r}")
    return name, units
