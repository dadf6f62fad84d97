"""``shelfwise suppliers``: who delivers, how fast by their word and by experience, and correcting that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from shelfwise.cli.listing import lists
from shelfwise.cli.options import DatabaseOption, open_shop
from shelfwise.cli.output import say

if TYPE_CHECKING:
    import polars as pl

    from shelfwise.app import App

group = typer.Typer(rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(group, name="suppliers", short_help="List and edit suppliers.")


def _suppliers(shop: App) -> pl.DataFrame:
    from shelfwise.services import catalogue

    return catalogue.suppliers(shop)


lists(
    group,
    _suppliers,
    about="List the suppliers with stated and measured lead times; `suppliers edit` corrects them.",
    shown=[
        "supplier", "name", "products", "lead_time_days", "measured_days", "deliveries", "used_days", "order_weekdays",
        "minimum_order_value",
    ],
    headers={
        "lead_time_days": "states", "measured_days": "took", "used_days": "used", "order_weekdays": "orders",
        "minimum_order_value": "minimum",
    },
    empty="no suppliers yet; `shelfwise suppliers edit NAME --new --lead-time DAYS` adds one",
)  # fmt: skip


@group.command("edit", no_args_is_help=True)
def edit(
    supplier: Annotated[str, typer.Argument(help="Its code or name.", show_default=False)],
    name: Annotated[str | None, typer.Option("--name")] = None,
    lead_time: Annotated[float | None, typer.Option("--lead-time", help="Days from order to delivery.", min=0)] = None,
    lead_time_sd: Annotated[
        float | None, typer.Option("--lead-time-sd", help="How much that varies: standard deviation, days.", min=0)
    ] = None,
    review: Annotated[float | None, typer.Option("--review", help="Days between two orders.", min=1)] = None,
    order_days: Annotated[str | None, typer.Option("--order-days", help="Days it takes orders, like mon,thu.")] = None,
    minimum: Annotated[float | None, typer.Option("--minimum", help="Smallest order value it takes.", min=0)] = None,
    new: Annotated[bool, typer.Option("--new", help="Make the supplier if there is none of that code.")] = False,
    database: DatabaseOption = None,
) -> int:
    """Set what is known of a supplier; what is not given stays as it is."""
    given = {
        "name": name, "lead_time_days": lead_time, "lead_time_sd_days": lead_time_sd, "review_days": review,
        "order_weekdays": order_days, "minimum_order_value": minimum,
    }  # fmt: skip
    changes = {key: value for key, value in given.items() if value is not None}
    if not changes and not new:
        raise typer.BadParameter("nothing to change; give --lead-time, --review, --order-days, --minimum or --name")
    with open_shop(database) as shop:
        from shelfwise.services import catalogue

        code = catalogue.edit_supplier(shop, supplier, changes, create=new)
    say(f"{code}: {', '.join(f'{key} {value}' for key, value in changes.items()) or 'added'}")
    return 0
