"""``shelfwise excess`` and ``shelfwise abc``: what lies too long, and what matters."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption, open_shop
from shelfwise.cli.output import Form, form, say, width, write, write_frame, write_json
from shelfwise.cli.progress import Progress
from shelfwise.domain import words

if TYPE_CHECKING:
    import polars as pl

    from shelfwise.services.excess import ExcessStock

SHOWN_ON_A_TERMINAL = 12


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("excess", short_help="Show dead and excess stock, and what to do about it.")(excess)
    app.command("abc", short_help="Show what matters and what sells steadily (ABC-XYZ).")(abc)


def excess(
    cover: Annotated[
        int,
        typer.Option("--cover", min=1, help="Days of demand, beyond the protection time, stock may be held for."),
    ] = 90,
    dead: Annotated[int, typer.Option("--dead", min=1, help="Days without a sale after which stock is dead.")] = 180,
    show_all: Annotated[bool, typer.Option("--all", help="Show every line on a terminal, too.")] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Show stock that demand will hardly use, the money in it and what to do about it, the most money first."""
    to = form(as_json, as_csv)
    with open_shop(database) as shop:
        from shelfwise.services.excess import find

        with Progress() as progress:
            found = find(shop, cover_days=cover, dead_days=dead, progress=progress)
        currency = shop.settings.currency
    if to is not Form.TEXT:
        write_frame(found.lines, to)
        return
    for note in found.notes:
        say(f"note: {note}")
    say(_summary(found, currency))
    limit = SHOWN_ON_A_TERMINAL if sys.stdout.isatty() and not show_all else found.lines.height
    for row in found.lines.head(limit).iter_rows(named=True):
        write()
        head = f"{row['unique_id']}  {row['kind']}  {words.money(row['value'], currency)}"
        write(f"{head}  {words.shortened(row['name'] or '', max(12, width() - len(head) - 2))}".rstrip())
        sells = "does not sell" if row["days_to_sell"] is None else f"lasts {words.units(row['days_to_sell'])} days"
        due = f" and {words.units(row['due'])} on order" if row["due"] else ""
        stock = words.units(row["on_hand"])
        write(f"  {words.units(row['units'])} too many: {stock} on hand{due}; what is on hand {sells}")
        write(f"  {row['advice']}")
    if found.lines.height > limit:
        write(f"... {words.count(found.lines.height - limit, 'more line')}: --all shows them")


def _summary(found: ExcessStock, currency: str) -> str:
    if found.lines.height == 0:
        return "No stock lies too long."
    dead = int((found.lines["kind"] == "dead").sum())
    holding = float(found.lines["holding_a_year"].sum())
    whole = f" of {words.money(found.stock_value, currency)} in stock" if found.stock_value else ""
    return (
        f"{words.count(found.lines.height, 'line')} have more than demand will use ({dead} of them dead): "
        f"{words.money(found.value, currency)}{whole}, about {words.money(holding, currency)} a year to hold."
    )


def abc(
    lines: Annotated[bool, typer.Option("--lines", help="Show the lines instead of the classes.")] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Show how much each line matters (A to C, by money sold) and how steadily it sells (X to Z).

    The class sets the service level of lines where nobody set one; `shelfwise config` shows the setting.
    """
    to = form(as_json, as_csv)
    with open_shop(database) as shop:
        from shelfwise.services.classing import classify

        found = classify(shop)
    if to is Form.JSON:
        write_json({"classes": found.cells, "lines": found.lines, "notes": list(found.notes)})
        return
    if to is Form.CSV:
        write_frame(found.lines, to)
        return
    for note in found.notes:
        say(f"note: {note}")
    if lines:
        columns = ["unique_id", "name", "value", "share", "variation", "class", "demand_class", "service_level"]
        write_frame(_readable(found.lines).select(columns), to)
        return
    write_frame(_readable(found.cells), to)


def _readable(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with shares and service levels written as percentages."""
    import polars as pl

    return frame.with_columns(
        pl.Series(name, [words.share(value) for value in frame[name]]) for name in ("share", "service_level")
    )
