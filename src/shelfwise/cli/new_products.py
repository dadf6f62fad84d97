"""``shelfwise products like`` and ``products bundle``: products without sales of their own to learn from."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from shelfwise.cli.options import DatabaseOption, database_flag, open_shop
from shelfwise.cli.output import say
from shelfwise.cli.products import group

DAY = ["%Y-%m-%d"]


def register(_app: typer.Typer) -> None:
    """Add the commands to those of the products."""
    group.command("like", no_args_is_help=True)(like)


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
