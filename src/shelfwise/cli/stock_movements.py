"""``shelfwise stock``: what is on hand, and counts, adjustments, transfers and corrections by hand."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption, database_flag, open_shop
from shelfwise.cli.output import form, say, write_frame
from shelfwise.domain import words

if TYPE_CHECKING:
    from shelfwise.app import App
    from shelfwise.services.stock_corrections import BookedLine, Corrected
    from shelfwise.services.stock_movements import Booked

MOMENTS = ("%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S")

ProductArgument = Annotated[str, typer.Argument(metavar="PRODUCT", help="Code or name.", show_default=False)]
WarehouseOption = Annotated[
    str | None,
    typer.Option("--warehouse", "-w", help="The warehouse. Default: the only one.", show_default=False),
]
AtOption = Annotated[
    str | None,
    typer.Option("--at", metavar="DAY [TIME]", help="When, like 2026-11-21 or '2026-11-21 18:30'. Default: now."),
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; the next reader will ask.", show_default=False)]
WhyOption = Annotated[str | None, typer.Option("--reason", help="Why.", show_default=False)]
IdOption = Annotated[
    str | None, typer.Option("--id", help="Its own id; the same id is booked once.", show_default=False)
]

group = typer.Typer(rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(group, name="stock", short_help="Show stock; count, adjust, move and correct it.")


@group.callback(invoke_without_command=True)
def stock(
    context: typer.Context,
    product: Annotated[
        str | None, typer.Option("--product", "-p", help="Only this product.", show_default=False)
    ] = None,
    warehouse: Annotated[
        str | None, typer.Option("--warehouse", "-w", help="Only this warehouse.", show_default=False)
    ] = None,
    as_of: Annotated[
        dt.datetime | None,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="Show the end of that day.", show_default=False),
    ] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Show what is on hand; `stock count`, `adjust`, `transfer`, `correct` and `revert` change what the book says.

    With --as-of also what was on order, and what that night's snapshot kept.
    """
    if context.invoked_subcommand is not None:
        return
    to = form(as_json, as_csv)
    with open_shop(database) as shop:
        if as_of is not None:
            from shelfwise.services import stock_snapshots

            past = stock_snapshots.as_of(shop, as_of.date(), product, warehouse)
            write_frame(past, to, empty=f"nothing had been counted or ordered by {as_of.date()}")
            return
        from shelfwise.services import stock_movements

        frame = stock_movements.levels(shop, product, warehouse)
    write_frame(frame, to, empty="nothing was counted yet; `shelfwise stock count PRODUCT 12` or a stock file says it")


@group.command("count", no_args_is_help=True, context_settings={"ignore_unknown_options": True})
def count(
    product: ProductArgument,
    quantity: Annotated[float, typer.Argument(metavar="QUANTITY", help="Units on the shelf.", show_default=False)],
    warehouse: WarehouseOption = None,
    at: AtOption = None,
    reason: WhyOption = None,
    new_warehouse: Annotated[
        bool, typer.Option("--new-warehouse", help="The warehouse is not known yet.", show_default=False)
    ] = False,
    id: IdOption = None,
    database: DatabaseOption = None,
) -> int:
    """Book what is on the shelf. A day alone is its opening stock; without --at it is now."""
    moment = _moment(at)
    with open_shop(database) as shop:
        from shelfwise.services import stock_movements

        done = stock_movements.count(
            shop, product, quantity,
            warehouse=warehouse, at=moment, reason=reason, new_warehouse=new_warehouse, id=id,
        )  # fmt: skip
        _tell(shop, done)
    return 0


@group.command("adjust", no_args_is_help=True, context_settings={"ignore_unknown_options": True})
def adjust(
    product: ProductArgument,
    change: Annotated[float, typer.Argument(metavar="CHANGE", help="Units: -3 lost, +2 found.", show_default=False)],
    reason: ReasonOption,
    warehouse: WarehouseOption = None,
    at: AtOption = None,
    id: IdOption = None,
    database: DatabaseOption = None,
) -> int:
    """Book units that were lost or found: broken, stolen, used, turned up."""
    moment = _moment(at)
    with open_shop(database) as shop:
        from shelfwise.services import stock_movements

        done = stock_movements.adjust(shop, product, change, reason=reason, warehouse=warehouse, at=moment, id=id)
        _tell(shop, done)
    return 0


@group.command("transfer", no_args_is_help=True)
def transfer(
    product: ProductArgument,
    origin: Annotated[str, typer.Option("--from", metavar="WAREHOUSE", help="Where it leaves.", show_default=False)],
    destination: Annotated[str, typer.Option("--to", metavar="WAREHOUSE", help="Where it goes.", show_default=False)],
    quantity: Annotated[float, typer.Option("--quantity", "-q", help="Units.", show_default=False)],
    at: AtOption = None,
    reason: WhyOption = None,
    id: IdOption = None,
    database: DatabaseOption = None,
) -> int:
    """Move stock from one warehouse to another: both sides are booked, or none."""
    moment = _moment(at)
    with open_shop(database) as shop:
        from shelfwise.services import stock_movements

        done = stock_movements.transfer(
            shop, product, quantity, origin=origin, destination=destination, at=moment, reason=reason, id=id
        )
        _tell(shop, done)
    return 0


@group.command("correct", no_args_is_help=True)
def correct(
    line: Annotated[
        int, typer.Argument(metavar="LINE", help="Its number in `shelfwise history PRODUCT`.", show_default=False)
    ],
    reason: ReasonOption,
    quantity: Annotated[
        float | None, typer.Option("--quantity", "-q", help="The right units.", show_default=False)
    ] = None,
    product: Annotated[
        str | None, typer.Option("--product", "-p", help="The right product.", show_default=False)
    ] = None,
    warehouse: Annotated[
        str | None, typer.Option("--warehouse", "-w", help="The right warehouse.", show_default=False)
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="DAY [TIME]", help="When it was; a day alone keeps the time.", show_default=False),
    ] = None,
    price: Annotated[float | None, typer.Option("--price", min=0, help="The right price.", show_default=False)] = None,
    remove: Annotated[bool, typer.Option("--remove", help="It counts no more.", show_default=False)] = False,
    database: DatabaseOption = None,
) -> int:
    """Correct a booked line: it stays as it was, and a record beside it says what counts, who said so and why."""
    moment = _moment(at)
    with open_shop(database) as shop:
        from shelfwise.services import stock_corrections

        done = stock_corrections.correct(
            shop, line, reason=reason, quantity=quantity, product=product, warehouse=warehouse, at=moment,
            unit_price=price, counts=not remove,
        )  # fmt: skip
        _tell_correction(done)
        say(f"  to take it back: shelfwise stock revert {done.number} --reason WHY{database_flag(shop)}")
    return 0


@group.command("revert", no_args_is_help=True)
def revert(
    correction: Annotated[
        int, typer.Argument(metavar="CORRECTION", help="Its number in the history.", show_default=False)
    ],
    reason: ReasonOption,
    database: DatabaseOption = None,
) -> int:
    """Take a correction back; what held before holds again, and both stay in the history."""
    with open_shop(database) as shop:
        from shelfwise.services import stock_corrections

        done = stock_corrections.revert(shop, correction, reason=reason)
        say(f"correction {correction} is taken back")
        _tell_correction(done)
    return 0


def _moment(text: str | None) -> dt.date | dt.datetime | None:
    """Read a day, or a day with a time."""
    if text is None:
        return None
    asked = text.strip()
    for pattern in MOMENTS:
        try:
            return dt.datetime.strptime(asked, pattern)  # noqa: DTZ007  (shop time has no zone)
        except ValueError:
            continue
    try:
        return dt.date.fromisoformat(asked)
    except ValueError:
        raise typer.BadParameter(f"give a day like 2026-11-21, or '2026-11-21 18:30', got {text!r}") from None


def _tell(shop: App, done: Booked) -> None:
    if done.repeated:
        say(f"{done.id} was booked before: nothing to do")
        return
    for row in done.lines.iter_rows(named=True):
        sign = "" if row["kind"] == "count" or row["quantity"] < 0 else "+"
        say(
            f"{row['kind']}: {row['product']} in {row['warehouse']} {sign}{words.units(row['quantity'])}, "
            f"{row['occurred_at']:%Y-%m-%d %H:%M}"
        )
    for note in done.notes:
        say(f"  {note}")
    say(f"  wrong? shelfwise history {done.lines['product'][0]}{database_flag(shop)} shows its number to correct")


MOST_LINES = 6


def _tell_correction(done: Corrected) -> None:
    for before, after in done.lines[:MOST_LINES]:
        say(f"line {after.number}: {_content(before)} -> {_content(after)}")
    if len(done.lines) > MOST_LINES:
        say(f"and {words.count(len(done.lines) - MOST_LINES, 'more line')}")
    for note in done.notes:
        say(f"  {note}")


def _content(line: BookedLine) -> str:
    said = line.now
    if said is None:
        return "counts no more"
    price = "" if said.unit_price is None else f" at {said.unit_price:,.2f}"
    return (
        f"{said.kind} of {words.units(said.quantity)} {said.product} in {said.warehouse}{price}, "
        f"{said.occurred_at:%Y-%m-%d %H:%M}"
    )
