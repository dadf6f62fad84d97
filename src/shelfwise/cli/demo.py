"""``shelfwise demo``: the made-up shop, from its sales to its orders, in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shelfwise.cli import proposal
from shelfwise.cli.options import JsonOption
from shelfwise.cli.output import say, write, write_json
from shelfwise.cli.progress import Progress
from shelfwise.domain import words

DATABASE = "shelfwise-demo.db"
FOLDER = Path("orders") / "demo"
LINES_SHOWN = 4
URGENT_SHOWN = 3


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("demo", short_help="Make up a shop and show its orders.")(demo)


def demo(
    database: Annotated[
        str, typer.Option("--database", "-d", help="The demo's own database; never that of your shop.")
    ] = DATABASE,
    seed: Annotated[int, typer.Option("--seed", help="Another seed makes another shop.", min=0)] = 0,
    export: Annotated[Path, typer.Option("--export", metavar="FOLDER", help="Where the orders are written.")] = FOLDER,
    as_json: JsonOption = False,
) -> int:
    """Make up a shop, forecast it, and propose its orders. Nothing in it is real."""
    import shlex

    from shelfwise.cli.orders import as_document

    with Progress() as progress:
        from shelfwise.services import demo as made_up
        from shelfwise.services import ordering, planning

        progress("making up a shop", 0, 4)
        shop = made_up.open_demo(database, seed=seed)
        with shop:
            plan = planning.make_plan(shop, progress=progress)
            saved = ordering.export_plan(plan, export, replace=True)
            facts = made_up.facts(shop)
    currency = shop.settings.currency
    where = str(shop.settings.database)  # without the password that the option may hold
    if as_json:
        write_json({"made_up": True, **as_document(plan, currency)})
        return 0
    say(
        f"A made-up coffee shop, kept in {where}: {facts.products} products, {facts.warehouses} warehouses, "
        f"{facts.suppliers} suppliers, {facts.movements:,} movements over {facts.days:,} days. Nothing in it is real."
    )
    write(f"Plan for {words.day(plan.as_of)}, from sales until {words.day(plan.data_until)}; model {plan.model}")
    write(proposal.summary(plan, currency))
    flag = f" --database {shlex.quote(where)}"
    proposal.write_proposal(plan, currency, per_supplier=LINES_SHOWN, more=f": shelfwise order --all{flag}")
    urgent = plan.open_lines.head(URGENT_SHOWN).to_dicts()
    if urgent:
        write(f"\nThe {URGENT_SHOWN} most urgent lines")
        for rank, line in enumerate(urgent, start=1):
            write()
            for text in proposal.urgent_line(rank, line, plan):
                write(text)
    write(f"\nSaved {saved[0]} and {words.count(len(saved) - 1, 'CSV file')}, one for each supplier.")
    _next(plan.orders["supplier"].to_list(), urgent, flag)
    return 0


def _next(suppliers: list[str | None], urgent: list[dict[str, object]], flag: str) -> None:
    """Name the next commands; each can be pasted as it stands."""
    write("\nNext")
    if urgent:
        write(f"  shelfwise why {urgent[0]['unique_id']}{flag}")
    if suppliers and suppliers[0]:
        write(f"  shelfwise order --approve {suppliers[0]}{flag}")
    write(f"  shelfwise purchase-orders --status draft{flag}")
    write(f"  shelfwise forecast{flag}")
    write(f"  shelfwise backtest{flag}")
    write(f"  shelfwise check{flag}")
    write("Your own shop: shelfwise import FILE...   then   shelfwise order")
