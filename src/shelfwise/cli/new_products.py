"""``shelfwise products like`` and ``products bundle``: products without sales of their own to learn from."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption, database_flag, open_shop
from shelfwise.cli.output import form, say, write_frame
from shelfwise.cli.products import group

DAY = ["%Y-%m-%d"]


def register(_app: typer.Typer) -> None:
    """Add the commands to those of the products."""
    group.command("like", no_args_is_help=True)(like)
    group.command("bundle")(bundle)


def like(
    new: Annotated[str, typer.Argument(metavar="NEW", help="The new product's code or name.", show_default=False)],
    old: Annotated[str, typer.Argument(metavar="OLD", help="The product it is like.", show_default=False)],
    times: Annotated[float, typer.Option("--times", help="Its demand over the other's.", min=0)] = 1.0,
    until: Annotated[
        dt.datetime | None,
        typer.Option("--until", formats=DAY, help="Last day. Default: it fades by itself.", show_default=False),
    ] = None,
    launch: Annotated[
        dt.datetime | None, typer.Option("--launch", formats=DAY, help="First day on sale.", show_default=False)
    ] = None,
    create: Annotated[
        bool, typer.Option("--new", help="Make the product, with the other's supplier, cost, price and packs.")
    ] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why.", show_default=False)] = None,
    database: DatabaseOption = None,
) -> int:
    """Let a new product copy the sales of a similar one; the copy fades as its own sales come."""
    with open_shop(database) as shop:
        from shelfwise.services import new_products, overrides

        made = new_products.set_like(
            shop,
            new,
            old,
            times=times,
            until=None if until is None else until.date(),
            launch=None if launch is None else launch.date(),
            create=create,
            reason=reason,
        )
        say(overrides.told(made, shop.today()))
        say(f"  to end it: shelfwise override revert {made.id}{database_flag(shop)}")
    return 0


def bundle(
    name: Annotated[
        str | None, typer.Argument(metavar="[BUNDLE]", help="The product that is sold as one.", show_default=False)
    ] = None,
    components: Annotated[
        list[str] | None,
        typer.Argument(metavar="[COMPONENT=QTY]...", help="Units of each product in it.", show_default=False),
    ] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """List bundles, or say what one is made of: it is not ordered, its demand is that of its components."""
    to = form(as_json, as_csv)
    with open_shop(database) as shop:
        from shelfwise.services import new_products

        if name is not None:
            parts = dict(_part(text) for text in components or [])
            code = new_products.set_bundle(shop, name, parts)
            say(f"{code} is made of {', '.join(f'{units:g} x {part}' for part, units in parts.items())}")
            return 0
        frame = new_products.bundle_list(shop)
    write_frame(frame, to, empty="no bundles; `shelfwise products bundle BUNDLE COMPONENT=QTY` makes one")
    return 0


def _part(text: str) -> tuple[str, float]:
    product, sign, value = text.rpartition("=")
    try:
        units = float(value)
    except ValueError:
        units = -1.0
    if not sign or not product or not units > 0:
        raise typer.BadParameter(f"give COMPONENT=QTY with a quantity above zero, for example TEA-100=2, got {text!r}")
    return product, units
