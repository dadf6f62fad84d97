"""``shelfwise whatif``: the plan with something changed, and scenarios that were given a name."""

from __future__ import annotations

import datetime as dt
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption, database_flag, open_shop
from shelfwise.cli.output import Form, form, say, write, write_frame, write_json, write_table
from shelfwise.cli.progress import Progress
from shelfwise.domain import words

if TYPE_CHECKING:
    import polars as pl

    from shelfwise.services.what_if import Answer
    from shelfwise.services.what_if_questions import LeadTimeChange, Price, Promotion, Question

LINES_SHOWN = 8
LISTED = ["scenario", "asked", "as_of", "spend", "lost_units", "stock_value", "by", "at"]

MEASURES = {
    "quantity": ("units in this order", "units"),
    "spend": ("money in this order", "money"),
    "spend_later": ("money in later orders", "money"),
    "demand": ("units asked for", "units"),
    "lost_units": ("units lost", "units"),
    "fill_rate": ("served of what is asked for", "share"),
    "stockout": ("chance of a line to run out", "share"),
    "stockout_days": ("line-days with an empty shelf", "units"),
    "stock_value": ("money in stock, on average", "money"),
    "lost_margin": ("margin lost", "money"),
    "margin": ("margin earned", "money"),
}
"""How a measure is called in a table, and in which unit it is written."""

Texts = list[str] | None
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="As listed.", show_default=False)]

group = typer.Typer(rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(group, name="whatif", short_help="Ask what a change would do; keep and compare scenarios.")


@group.callback(invoke_without_command=True)
def whatif(
    context: typer.Context,
    demand: Annotated[
        Texts, typer.Option("--demand", metavar="[WHAT=]CHANGE", help="Demand: +10%, -15%, CF-1042=x1.5; repeatable.")
    ] = None,
    lead_time: Annotated[
        Texts, typer.Option("--lead-time", metavar="[SUPPLIER=]CHANGE", help="Days more or less, or x1.5: S-BRIN=+5.")
    ] = None,
    closed: Annotated[
        Texts, typer.Option("--closed", metavar="SUPPLIER=DATE", help="The supplier is closed until that day.")
    ] = None,
    budget: Annotated[
        Texts, typer.Option("--budget", metavar="[SUPPLIER=]AMOUNT", help="Spend at most this on this order.")
    ] = None,
    service: Annotated[
        str | None, typer.Option("--service", help="Service level of all lines: 97, 97% or 0.97.", show_default=False)
    ] = None,
    promotion: Annotated[
        Texts,
        typer.Option(
            "--promotion", metavar="WHAT[=LIFT]@FROM..TO", help="CF-1042=x1.8@2026-12-01..2026-12-07; or as learnt."
        ),
    ] = None,
    price: Annotated[
        Texts, typer.Option("--price", metavar="WHAT=CHANGE[,DEMAND]", help="CF-1042=-10%, or CF-1042=-10%,+20%.")
    ] = None,
    elasticity: Annotated[
        float | None,
        typer.Option("--elasticity", help="Demand goes as price to this power, like -1.5.", show_default=False),
    ] = None,
    save: Annotated[str | None, typer.Option("--save", metavar="NAME", help="Keep the answer under a name.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="With --save: replace what has that name.")] = False,
    show_all: Annotated[bool, typer.Option("--all", help="Show every line that changes on a terminal, too.")] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Ask what a change would do to the plan: the same demand paths, with it and without it.

    WHAT is a product, product@warehouse, category:NAME, supplier:NAME, warehouse:NAME or shop. Nothing is changed;
    --save keeps the answer, and `whatif promote` makes it the plan's.
    """
    if context.invoked_subcommand is not None:
        return
    to = form(as_json, as_csv)
    from shelfwise.domain.frames import parse_service_level
    from shelfwise.services.what_if_questions import Question

    question = Question(
        demand=dict(_demand(text) for text in demand or []),
        lead_time={change.scope: change for change in map(_lead_time, lead_time or [])},
        closed=dict(_closed(text) for text in closed or []),
        budget=dict(_budget(text) for text in budget or []),
        service_level=None if service is None else parse_service_level(service),
        promotions=tuple(_promotion(text) for text in promotion or []),
        prices=tuple(_price(text) for text in price or []),
        elasticity=elasticity,
    )
    if question.is_empty:
        raise typer.BadParameter(
            "say what is to change, like --demand +10% or --lead-time S-BRIN=+5; `shelfwise whatif list` shows "
            "what was saved"
        )
    if replace and save is None:
        raise typer.BadParameter("--replace goes with --save NAME")
    _ask(question, to, save, replace=replace, show_all=show_all, database_option=database)


def _ask(
    question: Question, to: Form, save: str | None, *, replace: bool, show_all: bool, database_option: DatabaseOption
) -> None:
    with open_shop(database_option) as shop:
        from shelfwise.services import scenarios, what_if

        with Progress() as progress:
            answer = what_if.ask(shop, question, progress=progress)
        if save is not None:
            scenarios.save(shop, save, answer, replace=replace)
        currency, flag = shop.settings.currency, database_flag(shop)
    _show(answer, to, currency, show_all=show_all)
    if save is not None:
        say(f"saved as {save}; to make it the plan's: shelfwise whatif promote {save}{flag}")


@group.command("list")
def listed(database: DatabaseOption = None, as_json: JsonOption = False, as_csv: CsvOption = False) -> None:
    """List scenarios, the newest first, with the difference that each makes."""
    to = form(as_json, as_csv)
    with open_shop(database) as shop:
        from shelfwise.services import scenarios

        frame = scenarios.listed(shop)
    write_frame(
        frame, to, shown=LISTED, empty="no scenario is saved; `shelfwise whatif --demand +10% --save NAME` saves one"
    )


@group.command("show", no_args_is_help=True)
def show(
    name: NameArgument,
    show_all: Annotated[bool, typer.Option("--all", help="Show every line that changes on a terminal, too.")] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Show a saved scenario as it was answered."""
    to = form(as_json, as_csv)
    with open_shop(database) as shop:
        from shelfwise.services import scenarios

        answer = scenarios.shown(shop, name)
        currency = shop.settings.currency
    _show(answer, to, currency, show_all=show_all)


@group.command("compare", no_args_is_help=True)
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A scenario.", show_default=False)],
    second: Annotated[str, typer.Argument(metavar="B", help="Another.", show_default=False)],
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Show two scenarios side by side; the difference is B less A."""
    to = form(as_json, as_csv)
    with open_shop(database) as shop:
        from shelfwise.services import scenarios

        found = scenarios.compare(shop, first, second)
        currency = shop.settings.currency
    if to is Form.JSON:
        write_json({"currency": currency, "totals": found.totals, "lines": found.lines, "notes": list(found.notes)})
        return
    if to is Form.CSV:
        write_frame(found.totals, to)
        return
    for note in found.notes:
        say(f"note: {note}")
    _write_totals(found.totals, {"base": "as it is", "a": first, "b": second}, currency)
    if found.lines.height:
        write()
        write(f"ordered differently ({words.count(found.lines.height, 'line')}), units:")
        named = found.lines.head(LINES_SHOWN).rename({"unique_id": "line", "base_quantity": "as it is"})
        write_frame(named.rename({"a": first, "b": second}) if first != second else named, to)


@group.command("again", no_args_is_help=True)
def again(
    name: NameArgument,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Ask a saved scenario again, of the plan that holds now, and keep that answer in place of the old one."""
    to = form(as_json, as_csv)
    with open_shop(database) as shop, Progress() as progress:
        from shelfwise.services import scenarios

        answer = scenarios.again(shop, name, progress=progress)
        currency = shop.settings.currency
    _show(answer, to, currency, show_all=False)


@group.command("delete", no_args_is_help=True)
def delete(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="As listed.", show_default=False)],
    database: DatabaseOption = None,
) -> None:
    """Delete scenarios; edits that they have made stay."""
    with open_shop(database) as shop:
        from shelfwise.services import scenarios

        for name in names:
            scenarios.delete(shop, name)
            say(f"{name}: deleted")


@group.command("promote", no_args_is_help=True)
def promote(name: NameArgument, database: DatabaseOption = None) -> None:
    """Make a scenario's quantities those of the plan, as edits that can be undone."""
    with open_shop(database) as shop:
        from shelfwise.services import scenarios

        done = scenarios.promote(shop, name)
        flag = database_flag(shop)
    if done.left:
        say(f"note: decided already, and left as they are: {words.listed(list(done.left))}")
    if not done.edited:
        say(f"{name}: the plan orders that already")
        return
    say(
        f"{name}: {words.count(len(done.edited), 'line')} edited; `shelfwise order{flag}` shows the plan, and "
        f"`shelfwise order --undo {done.edited[0]}{flag}` takes one back (`--undo all`: every decision)"
    )


# ---------------------------------------------------------------------- writing


def _show(answer: Answer, to: Form, currency: str, *, show_all: bool) -> None:
    from shelfwise.services.scenarios import in_a_sentence

    sentence = in_a_sentence(answer, currency)
    if to is Form.JSON:
        write_json(
            {
                "asked": list(answer.asked), "sentence": sentence, "plan": answer.run_id, "as_of": answer.as_of,
                "days": answer.days, "currency": currency, "totals": answer.totals, "lines": answer.lines,
                "notes": list(answer.notes),
            }
        )  # fmt: skip
        return
    if to is Form.CSV:
        write_frame(answer.lines, to)
        return
    for note in answer.notes:
        say(f"note: {note}")
    say(sentence)
    _write_totals(answer.totals, {"base": "as it is", "scenario": "what if"}, currency)
    changed = answer.changed
    if not changed.height:
        return
    write()
    limit = changed.height if show_all else LINES_SHOWN
    write(f"lines that change most ({min(limit, changed.height):,} of {changed.height:,}):")
    rows = [
        [
            row["unique_id"],
            row["name"] or "",
            f"{words.units(row['base_quantity'])} -> {words.units(row['quantity'])}",
            f"{words.units(row['base_lost_units'])} -> {words.units(row['lost_units'])}",
            f"{_money(row['base_stock_value'])} -> {_money(row['stock_value'])}",
        ]
        for row in changed.head(limit).iter_rows(named=True)
    ]
    headers = ["line", "name", "orders", "loses", f"stock, {currency}"]
    write_table(headers, rows, [False, False, True, True, True])
    if changed.height > limit and sys.stdout.isatty():
        write(f"... {words.count(changed.height - limit, 'more line')}: --all shows them")


def _write_totals(totals: pl.DataFrame, columns: dict[str, str], currency: str) -> None:
    rows = []
    for row in totals.iter_rows(named=True):
        if row["measure"] not in MEASURES:
            continue
        label, unit = MEASURES[row["measure"]]
        label = f"{label}, {currency}" if unit == "money" else label
        numbers = [_number(row[name], unit) for name in columns]
        rows.append([label, *numbers, _number(row["difference"], unit, signed=True)])
    write_table(["", *columns.values(), "difference"], rows, [False, *(True for _ in columns), True])


def _number(value: float, unit: str, *, signed: bool = False) -> str:
    text = f"{100 * value:.1f} %" if unit == "share" else _money(value) if unit == "money" else words.units(value)
    return f"+{text}" if signed and value > 0 and text.strip("0.% ") else text


def _money(value: float | None) -> str:
    return words.money(value, "").strip()


# ---------------------------------------------------------------------- reading


def _scoped(text: str) -> tuple[str, str]:
    """Read ``WHAT=CHANGE``; a change alone is about everything."""
    what, equals, change = text.rpartition("=")
    return (what.strip(), change.strip()) if equals else ("all", text.strip())


def _factor(text: str) -> float:
    from shelfwise.domain.errors import ParameterError
    from shelfwise.services.adjusting import Change

    try:
        found = Change.parse(text).factor
    except ParameterError:
        found = None
    if found is None:
        raise typer.BadParameter(f"a change is written +10%, -15% or x1.5, got {text!r}")
    return found


def _demand(text: str) -> tuple[str, float]:
    what, change = _scoped(text)
    return what, _factor(change)


def _lead_time(text: str) -> LeadTimeChange:
    from shelfwise.services.what_if_questions import LeadTimeChange

    who, change = _scoped(text)
    if change.endswith("%") or change.casefold().startswith("x"):
        return LeadTimeChange(who, factor=_factor(change))
    try:
        return LeadTimeChange(who, added=float(change))
    except ValueError:
        raise typer.BadParameter(
            f"a lead time changes by days or by a factor, like S-BRIN=+5 or x1.5, got {text!r}"
        ) from None


def _day(text: str, whole: str, example: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(f"a day is written 2026-12-31, as in {example}, got {whole!r}") from None


def _closed(text: str) -> tuple[str, dt.date]:
    who, until = _scoped(text)
    return who, _day(until, text, "S-QANL=2026-12-31")


def _budget(text: str) -> tuple[str, float]:
    who, amount = _scoped(text)
    try:
        return who, float(amount.replace(",", ""))
    except ValueError:
        raise typer.BadParameter(
            f"a budget must be an amount of money, like 5000 or S-BRIN=2000, got {text!r}"
        ) from None


def _promotion(text: str) -> Promotion:
    from shelfwise.services.what_if_questions import Promotion

    example = "CF-1042=x1.8@2026-12-01..2026-12-07"
    what, at, days = text.rpartition("@")
    first, dots, last = days.partition("..")
    if not (at and dots):
        raise typer.BadParameter(f"a promotion is written like {example}, got {text!r}")
    scope, equals, lift = what.rpartition("=")
    factor = None
    if equals:
        try:
            factor = float(lift)
        except ValueError:
            factor = _factor(lift)
    return Promotion(scope if equals else what, _day(first, text, example), _day(last, text, example), factor)


def _price(text: str) -> Price:
    from shelfwise.services.what_if_questions import Price

    what, change = _scoped(text)
    price, comma, demand = change.partition(",")
    return Price(what, _factor(price), _factor(demand) if comma else None)
