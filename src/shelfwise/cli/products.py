"""``shelfwise products`` and ``shelfwise why``: the catalogue, and the reasons behind a product's line."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shelfwise.cli.causes import cause_table
from shelfwise.cli.listing import lists
from shelfwise.cli.options import DatabaseOption, JsonOption, database_flag, open_shop
from shelfwise.cli.output import money, say, width, write, write_json, write_table
from shelfwise.cli.progress import Progress
from shelfwise.domain import words

if TYPE_CHECKING:
    import polars as pl

    from shelfwise.app import App
    from shelfwise.services.explaining import Explanation

group = typer.Typer(rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(group, name="products", short_help="List and edit products.")
    app.command("why", no_args_is_help=True, short_help="Explain a product's order.")(why)


def _products(shop: App) -> pl.DataFrame:
    from shelfwise.services import catalogue

    return catalogue.products(shop)


lists(
    group,
    _products,
    about="List the products; `products edit` sets supplier, cost, pack and minimum, `products price` plans a price.",
    shown=["product", "name", "category", "supplier", "on_hand", "unit_cost", "price", "pack_size"],
    empty="no products yet; `shelfwise import FILE...` brings them",
)


@group.command("edit", no_args_is_help=True)
def edit(
    product: Annotated[str, typer.Argument(help="Its code or name.", show_default=False)],
    supplier: Annotated[str | None, typer.Option("--supplier", help="Code of the supplier it is ordered from.")] = None,
    cost: Annotated[float | None, typer.Option("--cost", help="Purchase price per unit.", min=0)] = None,
    price: Annotated[float | None, typer.Option("--price", help="Selling price per unit.", min=0)] = None,
    pack: Annotated[float | None, typer.Option("--pack", help="Units per pack.")] = None,
    minimum: Annotated[float | None, typer.Option("--minimum", help="Smallest order in units.", min=0)] = None,
    category: Annotated[str | None, typer.Option("--category")] = None,
    replaces: Annotated[
        str | None, typer.Option("--replaces", help="The product whose sales it continues; '' takes it back.")
    ] = None,
    database: DatabaseOption = None,
) -> int:
    """Set what is known of a product; what is not given stays as it is."""
    given = {
        "supplier": supplier, "unit_cost": cost, "price": price, "pack_size": pack, "minimum_order_quantity": minimum,
        "category": category, "replaces": replaces,
    }  # fmt: skip
    changes = {key: value for key, value in given.items() if value is not None}
    if not changes:
        raise typer.BadParameter(
            "nothing to change; give --supplier, --cost, --price, --pack, --minimum, --category or --replaces"
        )
    with open_shop(database) as shop:
        from shelfwise.services import catalogue

        code = catalogue.edit_product(shop, product, changes)
    say(f"{code}: {', '.join(f'{key} {value}' for key, value in changes.items())}")
    return 0


@group.command("price", no_args_is_help=True)
def price(
    product: Annotated[str, typer.Argument(help="Its code or name.", show_default=False)],
    amount: Annotated[float, typer.Argument(help="Selling price per unit.", min=0, show_default=False)],
    since: Annotated[dt.datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day of the price.")],
    until: Annotated[
        dt.datetime | None,
        typer.Option("--until", formats=["%Y-%m-%d"], help="Last day, after which the price before holds again."),
    ] = None,
    database: DatabaseOption = None,
) -> int:
    """Plan a price for all warehouses: forecasts know it ahead, and learn what prices do from those that changed."""
    last = None if until is None else until.date()
    with open_shop(database) as shop:
        from shelfwise.services import prices

        code = prices.plan_price(shop, product, amount, since.date(), last)
        today = shop.today()
    end = "on" if last is None else f"to {words.day(last, today=today)}"
    say(f"{code}: {money(amount)} from {words.day(since.date(), today=today)} {end}")
    return 0


def why(
    product: Annotated[str, typer.Argument(help="Code or name, or product@warehouse.", show_default=False)],
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> int:
    """Explain a product's order, or why there is none: the sum, the demand, the stock ahead, and what is assumed."""
    with open_shop(database) as shop, Progress() as progress:
        from shelfwise.services import explaining

        found = explaining.explain(shop, product, progress=progress)
        flag = database_flag(shop)
    if as_json:
        write_json([_document(one) for one in found])
        return 0
    for number, one in enumerate(found):
        if number:
            write()
        _show(one)
    lines = [one.line for one in found if one.line is not None and one.line["quantity"] > 0]
    if lines:
        say(f'\nnext: shelfwise order --edit {lines[0]["unique_id"]}=QTY --reason "..."{flag}')
    return 0


def _show(one: Explanation) -> None:
    import polars as pl

    place = f" in {one.warehouse}" if one.warehouse else ""
    write(f"{one.product}  {one.name or ''}{place}".rstrip())
    if one.line is not None:
        write(f"  {one.line['arithmetic']}")
    for sentence in one.sentences:
        for text in _wrapped(sentence):
            write(f"  {text}")
    if one.weeks.height:
        write("\n  the weeks ahead, if nothing is ordered; low to high is the 80 % range")
        weeks = one.weeks.select(
            pl.col("week_to")
            .map_elements(lambda d: words.day(d, today=one.as_of), return_dtype=pl.String)
            .alias("until"),
            sells=pl.struct("demand", "demand_low", "demand_high").map_elements(_range, return_dtype=pl.String),
            due="due",
            stock=pl.struct("stock", "stock_low", "stock_high").map_elements(_range, return_dtype=pl.String),
            run_out=pl.col("run_out").map_elements(words.share, return_dtype=pl.String, skip_nulls=False),
        )
        _table(weeks)
    if one.made_of.height:
        write("\n  what those weeks are made of, in units: the usual level and what moves it; rows add up")
        headers, rows = _made_of(one)
        write_table(headers, rows, [True] * len(headers), indent=2, wide=True)
    if one.recent.height:
        write("\n  the last weeks")
        _table(one.recent)
    if one.decisions.height:
        write("\n  decisions")
        _table(one.decisions)


def _made_of(one: Explanation) -> tuple[list[str], list[list[str]]]:
    """Return a table with a row for each week and a column for each cause."""
    weeks: dict[Any, dict[str, float]] = {}
    for row in one.made_of.iter_rows(named=True):
        weeks.setdefault(row["week_to"], {})[row["part"]] = row["units"]
    named = [([words.day(week, today=one.as_of)], parts) for week, parts in weeks.items()]
    headers, rows, _ = cause_table(["until"], named, alike=True)
    return headers, rows


def _range(cell: dict[str, Any]) -> str:
    middle, low, high = cell.values()
    return "?" if middle is None else f"{words.units(middle)} ({words.units(low)}-{words.units(high)})"


def _table(frame: Any) -> None:
    from shelfwise.cli.output import cell

    rows = [[cell(value) for value in row] for row in frame.iter_rows()]
    write_table(frame.columns, rows, [True] * frame.width, indent=2, wide=True)


def _wrapped(sentence: str) -> list[str]:
    import textwrap

    return textwrap.wrap(sentence, width() - 2, subsequent_indent="  ")


def _document(one: Explanation) -> dict[str, Any]:
    return {
        "product": one.product,
        "name": one.name,
        "warehouse": one.warehouse,
        "as_of": one.as_of,
        "line": one.line,
        "reasons": list(one.sentences),
        "weeks": one.weeks,
        "recent": one.recent,
        "weekdays": one.weekdays,
        "decisions": one.decisions,
        "made_of": one.made_of,
        "events": one.events,
        "contributions": one.contributions,
    }
