"""``shelfwise order``: the proposal, and what a person decides about it."""

from __future__ import annotations

import datetime as dt
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shelfwise.cli import proposal
from shelfwise.cli.options import (
    CsvOption,
    DatabaseOption,
    JsonOption,
    ModelOption,
    SupplierOption,
    database_flag,
    open_shop,
)
from shelfwise.cli.output import Form, form, say, write_frame, write_json
from shelfwise.cli.progress import Progress
from shelfwise.domain import words

if TYPE_CHECKING:
    import polars as pl

    from shelfwise.app import App
    from shelfwise.services.planning import Plan

ACTION_NEEDED = 4
SNOOZE_DAYS = 7
LINES_ON_A_TERMINAL = 12
OVERDUE_SHOWN = 5

LineNames = list[str] | None


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("order", short_help="Propose orders; approve, edit, reject.")(order)


def order(
    supplier: SupplierOption = None,
    service: Annotated[
        str | None,
        typer.Option("--service", help="Service level: 95, 95% or 0.95 (SHELFWISE_SERVICE_LEVEL).", show_default=False),
    ] = None,
    lead_time: Annotated[
        float | None,
        typer.Option("--lead-time", help="Days to delivery where no supplier states them.", min=0, show_default=False),
    ] = None,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            "--budget", metavar="[SUPPLIER=]AMOUNT", help="Spend at most this, on what prevents most loss; repeatable."
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show levels, safety stock and what the last unit saves, line by line.")
    ] = False,
    approve: Annotated[
        LineNames,
        typer.Option("--approve", metavar="WHAT", help="Approve a line, a supplier or `all`: drafts purchase orders."),
    ] = None,
    edit: Annotated[
        LineNames, typer.Option("--edit", metavar="LINE=QTY", help="Order another quantity; needs --reason.")
    ] = None,
    snooze: Annotated[
        LineNames,
        typer.Option(
            "--snooze", metavar="LINE[=DATE]", help=f"Put a line away, {SNOOZE_DAYS} days unless a day is given."
        ),
    ] = None,
    reject: Annotated[
        LineNames, typer.Option("--reject", metavar="LINE", help="Reject a line; needs --reason.")
    ] = None,
    undo: Annotated[LineNames, typer.Option("--undo", metavar="LINE", help="Take the last decision back.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for --edit, --reject and --snooze.")] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export",
            metavar="FOLDER",
            help="Write the orders as XLSX, and CSV per supplier; with --approve those it drafts.",
        ),
    ] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Show every line on a terminal, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan without keeping the plan.")] = False,
    model: ModelOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """Propose what to order from each supplier, by when, and why. Exit code 4 if something must be ordered today.

    A LINE is a product, or product@warehouse where it stands in several. Decisions are kept; the next proposal
    respects them. What is approved counts as on its way at once.
    """
    to = form(as_json, as_csv)
    deciding = bool(approve or edit or snooze or reject or undo)
    if explain and dry_run:
        raise typer.BadParameter("--explain reads the plan that was kept, and --dry-run keeps none; leave one out")
    budgets = dict(_budget(text) for text in budget or [])
    if deciding and dry_run:
        raise typer.BadParameter("--dry-run keeps nothing, so there is nothing to decide on; leave one of them out")
    with open_shop(database, service_level=service, default_lead_time_days=lead_time, model=model) as shop:
        undoing = bool(undo) and not (approve or edit or snooze or reject)
        plan = _plan(shop, budgets, latest=undoing, save=not dry_run)
        drafted: list[str] = []
        if deciding:
            drafted = _decide(shop, plan, approve, edit, snooze, reject, undo, reason)
            plan = _again(shop, plan)
        if supplier is not None:
            plan = _of_supplier(shop, plan, supplier)
        if export is not None:
            _export(shop, plan, drafted, export)
        _show(shop, plan, to, show_all, explained=explain)
        pressing = plan.due_by(max(plan.as_of, shop.today())).height > 0
    return ACTION_NEEDED if pressing and not deciding else 0


def _budget(text: str) -> tuple[str, float]:
    """Read ``5000`` as a budget for everything and ``S-BRIN=2000`` as one for a supplier."""
    name, amount = _pair(text, "SUPPLIER=AMOUNT, for example S-BRIN=2000") if "=" in text else ("all", text)
    try:
        return name, float(amount.replace(",", ""))
    except ValueError:
        raise typer.BadParameter(
            f"a budget must be an amount of money, like 5000 or S-BRIN=2000, got {text!r}"
        ) from None


def _plan(shop: App, budgets: dict[str, float], *, latest: bool, save: bool) -> Plan:
    from shelfwise.services import planning

    if latest:
        made = planning.latest(shop)
        if made is not None:
            return made
    with Progress() as progress:
        return planning.make_plan(shop, budgets=budgets, save=save, progress=progress)


def _again(shop: App, plan: Plan) -> Plan:
    """Return the plan as it stands after decisions."""
    from shelfwise.services import planning

    made = planning.latest(shop)
    return plan if made is None else made


def _of_supplier(shop: App, plan: Plan, wanted: str) -> Plan:
    from shelfwise.services import catalogue

    return plan.of_supplier(catalogue.supplier(shop, wanted))


def _decide(
    shop: App, plan: Plan, approve: LineNames, edit: LineNames, snooze: LineNames, reject: LineNames, undo: LineNames,
    reason: str | None,
) -> list[str]:  # fmt: skip
    """Take the decisions; return the numbers of the purchase orders drafted."""
    from shelfwise.services import decisions

    drafted = []
    if undo:
        say(f"{words.count(decisions.undo(shop, plan, undo), 'line')} as before the last decision")
    if edit:
        quantities = dict(_pair(text, "LINE=QTY, for example CF-1042=24") for text in edit)
        numbers = {name: _number(text, name) for name, text in quantities.items()}
        say(f"{words.count(decisions.edit(shop, plan, numbers, reason), 'line')} changed")
        for odd in decisions.odd_quantities(plan, numbers):
            say(f"note: {odd}")
    if reject:
        say(f"{words.count(decisions.reject(shop, plan, reject, reason), 'line')} rejected")
    if snooze:
        until = dict(_snoozed(text, plan.as_of) for text in snooze)
        say(f"{words.count(decisions.snooze(shop, plan, until, reason), 'line')} put away")
    if approve:
        # after an edit in the same command the quantities are the edited ones
        for made in decisions.approve(shop, _again(shop, plan), approve):
            drafted.append(made.number)
            worth = "" if made.value is None else f", {words.money(made.value, shop.settings.currency)}"
            say(f"{made.number} drafted for {made.supplier}: {words.count(made.lines, 'line')}{worth}")
            say(f"  when it is placed: shelfwise purchase-orders --send {made.number}{database_flag(shop)}")
    return drafted


def _pair(text: str, form_of: str) -> tuple[str, str]:
    name, sign, value = text.rpartition("=")
    if not sign or not name or not value:
        raise typer.BadParameter(f"give {form_of}, got {text!r}")
    return name, value


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"the quantity of {name} must be a number of units, got {text!r}") from None


def _snoozed(text: str, as_of: dt.date) -> tuple[str, dt.date]:
    if "=" not in text:
        return text, as_of + dt.timedelta(days=SNOOZE_DAYS)
    name, value = _pair(text, "LINE=DATE, for example CF-1042=2026-12-01")
    try:
        return name, dt.date.fromisoformat(value)
    except ValueError:
        raise typer.BadParameter(f"the day of {name} must be written like 2026-12-01, got {value!r}") from None


def _export(shop: App, plan: Plan, drafted: list[str], folder: Path) -> None:
    """Write what was just drafted, else the lines that wait for a decision."""
    from shelfwise.services import ordering

    if drafted:
        written = ordering.export_orders(shop, drafted, folder)
    elif plan.open_lines.height:
        written = ordering.export_plan(plan, folder)
    else:
        say(
            "no line is open, so nothing was exported; "
            f"shelfwise purchase-orders --export {folder}{database_flag(shop)} writes the orders already made"
        )
        return
    for path in written:
        say(f"saved {path}")


def _show(shop: App, plan: Plan, to: Form, show_all: bool, *, explained: bool) -> None:
    currency = shop.settings.currency
    details = _details(shop, plan) if explained else None
    if to is Form.JSON:
        document = as_document(plan, currency, shop.today())
        if details is not None:
            document["details"] = details.to_dicts()
        write_json(document)
        return
    if to is Form.CSV:
        lines = plan.open_lines
        write_frame(lines if details is None else lines.join(details, on="unique_id", how="left"), to)
        return
    tell(shop, plan)
    say(proposal.summary(plan, currency, shop.today()))
    if plan.budget is not None:
        for text in proposal.budget_lines(plan.budget, currency):
            say(text)
    on_terminal = sys.stdout.isatty() and not show_all
    proposal.write_proposal(
        plan,
        currency,
        per_supplier=LINES_ON_A_TERMINAL if on_terminal else None,
        more=": --all shows them",
        details=details,
    )
    away = plan.lines.filter(plan.lines["status"].is_in(["snoozed", "rejected", "approved"]))
    if away.height:
        counts = ", ".join(f"{n} {status}" for status, n in away["status"].value_counts(sort=True).iter_rows())
        say(f"\nnot shown: {counts}")


def _details(shop: App, plan: Plan) -> pl.DataFrame:
    """Return what stands behind each open line."""
    from shelfwise.services import budgeting, planning

    return budgeting.details(planning.weighed(shop, plan), plan.open_lines["unique_id"].to_list())


def tell(shop: App, plan: Plan) -> None:
    """Say what the plan was made from, how old that is, and what is odd about it."""
    age = (shop.today() - plan.data_until).days
    old = f", {words.count(age, 'day')} old" if age > 1 else ""
    say(f"Plan for {words.day(plan.as_of)}, from data until {words.day(plan.data_until)}{old}; model {plan.model}")
    for note in plan.notes:
        say(f"note: {note}")
    for late in plan.overdue.head(OVERDUE_SHOWN).iter_rows(named=True):
        say(f"note: {late['purchase_order']} {late['product']}@{late['warehouse']}: {late['reason']}")
    if plan.overdue.height > OVERDUE_SHOWN:
        say(f"note: {words.count(plan.overdue.height - OVERDUE_SHOWN, 'more order line')} too late to count")


def as_document(plan: Plan, currency: str, today: dt.date | None = None) -> dict[str, Any]:
    """Return the plan as one JSON document; ``today`` is the day it is read, None the day of the plan."""
    return {
        "plan": plan.run_id,
        "as_of": plan.as_of,
        "data_until": plan.data_until,
        "currency": currency,
        "model": plan.model,
        "notes": list(plan.notes),
        "action_needed": plan.due_by(max(plan.as_of, today or plan.as_of)).height > 0,
        "orders": plan.orders.to_dicts(),
        "lines": plan.open_lines.to_dicts(),
        "overdue": plan.overdue.to_dicts(),
        "budget": None if plan.budget is None else asdict(plan.budget),
    }
