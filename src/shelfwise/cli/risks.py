"""``shelfwise risk``: what will run out, when, at what cost, and the last day an order still helps."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption, ModelOption, ProductsOption, open_shop
from shelfwise.cli.output import Form, form, say, width, write, write_frame, write_json
from shelfwise.cli.progress import Progress
from shelfwise.domain import words

if TYPE_CHECKING:
    from shelfwise.app import App
    from shelfwise.services.risks import Risks

ACTION_NEEDED = 4
SHOWN_ON_A_TERMINAL = 12
GRADES = ("critical", "high", "medium", "low")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("risk", short_help="Say what will run out, when and at what cost.")(risk)


def risk(
    product: ProductsOption = None,
    days: Annotated[
        int | None,
        typer.Option(
            "--days", help="Days ahead that chance and loss are about (SHELFWISE_HORIZON).", show_default=False
        ),
    ] = None,
    paths_only: Annotated[
        bool, typer.Option("--paths-only", help="Learn nothing from past stockouts; the demand paths alone.")
    ] = False,
    show_all: Annotated[bool, typer.Option("--all", help="Show every line, also those at no risk.")] = False,
    model: ModelOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """Say what will run out if nothing more is ordered, the most money first. Exit code 4 if today is the last day.

    That is: an order placed today saves sales, and one placed later more likely comes after the shelf is empty. Where
    what past stockouts teach disagrees with the demand paths, both chances are shown.
    """
    to = form(as_json, as_csv)
    with open_shop(database, model=model) as shop:
        from shelfwise.services import risks

        with Progress() as progress:
            found = risks.assess(shop, products=product or None, days=days, correct=not paths_only, progress=progress)
        pressing = found.pressing(max(found.as_of, shop.today()))
        _show(shop, found, to, show_all or bool(product))
    return ACTION_NEEDED if pressing.height else 0


def _show(shop: App, found: Risks, to: Form, show_all: bool) -> None:
    currency = shop.settings.currency
    table = found.table if show_all else found.shown
    if to is Form.JSON:
        write_json(as_document(found, currency, show_all))
        return
    if to is Form.CSV:
        write_frame(table, to)
        return
    _tell(found)
    say(summary(found, currency))
    limit = SHOWN_ON_A_TERMINAL if sys.stdout.isatty() and not show_all else table.height
    for row in table.head(limit).iter_rows(named=True):
        _write_risk(row, found, currency)
    if table.height > limit:
        write(f"... {words.count(table.height - limit, 'more line')}: --all shows them")


def _write_risk(row: dict[str, Any], found: Risks, currency: str) -> None:
    from shelfwise.services.risks import sentence

    grade = row["severity"] if row["stock_known"] else "not known"
    room = width() - len(row["unique_id"]) - len(grade) - 4
    write()
    write(f"{row['unique_id']}  {grade}  {words.shortened(row['name'] or '', room)}".rstrip())
    write(f"  {sentence(row, found, currency)}")


def _tell(found: Risks) -> None:
    """Say what the risks rest on."""
    say(f"Risks from {words.day(found.as_of)} on, from data until {words.day(found.data_until)}")
    used = "past stockouts are learnt from" if found.corrected else "the demand paths alone"
    say(f"chances: {used}: {found.corrector}")
    for note in found.notes:
        say(f"note: {note}")


def summary(found: Risks, currency: str) -> str:
    """Say in one sentence how much is at risk."""
    shown = found.shown
    if shown.height == 0:
        return f"Nothing is likely to run out within {found.days} days."
    counts = dict(shown["severity"].value_counts().iter_rows())
    grades = ", ".join(f"{counts[grade]} {grade}" for grade in GRADES if grade in counts)
    money = float(shown["lost_margin"].sum())
    return (
        f"{words.count(shown.height, 'line')} of {found.table.height:,} may run out within {found.days} days "
        f"if nothing more is ordered ({grades}); expected loss {words.money(money, currency)} of margin."
    )


def as_document(found: Risks, currency: str, show_all: bool = False) -> dict[str, Any]:
    """Return the risks as one JSON document; ``chance_by_day`` is the paths' chance to have run out by each day."""
    keep = [True] * found.table.height if show_all else (found.table["severity"] != "none").to_list()
    lines = [
        {**row, "chance_by_day": curve}
        for row, curve, kept in zip(found.table.to_dicts(), found.by_day.round(4).tolist(), keep, strict=True)
        if kept
    ]
    return {
        "as_of": found.as_of,
        "data_until": found.data_until,
        "days": found.days,
        "currency": currency,
        "corrected": found.corrected,
        "corrector": found.corrector,
        "notes": list(found.notes),
        "risks": lines,
    }
