"""``shelfwise override``: a person's change to a forecast or an order, and what it was worth."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption, database_flag, open_shop
from shelfwise.cli.output import Form, form, say, write_frame, write_json
from shelfwise.cli.progress import Progress
from shelfwise.domain import words

if TYPE_CHECKING:
    import polars as pl

    from shelfwise.services.override_scores import OverrideScores

SHOWN = ["override", "of", "about", "change", "from", "until", "state", "reason", "by"]
FORECAST_SHOWN = ["override", "about", "reason", "days", "sold", "with", "without", "value_units", "value"]
ORDER_SHOWN = [
    "about", "reason", "first_day", "sold", "with", "without", "lost_with", "lost_without", "left_with", "left_without",
    "value",
]  # fmt: skip
DAY = ["%Y-%m-%d"]

ReasonOption = Annotated[str, typer.Option("--reason", help="Why; the next reader will ask.", show_default=False)]

group = typer.Typer(rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(group, name="override", short_help="Change a forecast or an order.")


@group.callback(invoke_without_command=True)
def override(
    context: typer.Context, database: DatabaseOption = None, as_json: JsonOption = False, as_csv: CsvOption = False
) -> None:
    """List the overrides that hold; `override forecast` and `override order` set one, `override revert` ends it."""
    if context.invoked_subcommand is None:
        listed(False, database, as_json, as_csv)


@group.command("forecast", no_args_is_help=True, context_settings={"ignore_unknown_options": True})
def forecast(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="A product, product@warehouse, category:NAME, supplier:NAME, warehouse:NAME or shop.",
            show_default=False,
        ),
    ],
    change: Annotated[str, typer.Argument(metavar="CHANGE", help="+20%, -15%, x1.5, or 12/day.", show_default=False)],
    until: Annotated[dt.datetime, typer.Option("--until", formats=DAY, help="Last day.", show_default=False)],
    reason: ReasonOption,
    since: Annotated[
        dt.datetime | None, typer.Option("--from", formats=DAY, help="First day. Default: now.", show_default=False)
    ] = None,
    database: DatabaseOption = None,
) -> int:
    """Change the forecast by hand for some days; plans and reasons follow it, and it is scored against what sells."""
    with open_shop(database) as shop:
        from shelfwise.services import overrides
        from shelfwise.services.adjusting import Change

        made = overrides.set_forecast(
            shop,
            what,
            Change.parse(change),
            until=until.date(),
            reason=reason,
            since=None if since is None else since.date(),
        )
        say(overrides.told(made, shop.today()))
        say(f"  to end it: shelfwise override revert {made.id}{database_flag(shop)}")
    return 0


@group.command("order", no_args_is_help=True)
def order(
    line: Annotated[str, typer.Argument(metavar="LINE", help="A product, or product@warehouse.", show_default=False)],
    quantity: Annotated[float, typer.Argument(metavar="QUANTITY", help="Units.", min=0, show_default=False)],
    reason: ReasonOption,
    at_least: Annotated[bool, typer.Option("--at-least", help="Order no less than that.", show_default=False)] = False,
    at_most: Annotated[bool, typer.Option("--at-most", help="Never order more at once.", show_default=False)] = False,
    until: Annotated[
        dt.datetime | None,
        typer.Option("--until", formats=DAY, help="Last day. Default: a week from the plan's.", show_default=False),
    ] = None,
    database: DatabaseOption = None,
) -> int:
    """Say what a line orders on every plan until a day, whatever is proposed; approving the line ends it.

    With --at-most it stays after an approval, until its day.
    """
    if at_least and at_most:
        raise typer.BadParameter("give --at-least or --at-most, not both")
    rule = "at least" if at_least else "at most" if at_most else "exactly"
    with open_shop(database) as shop, Progress() as progress:
        from shelfwise.services import decisions, overrides, planning

        plan = planning.make_plan(shop, progress=progress)
        made, units = overrides.set_order(
            shop, plan, line, quantity, reason=reason, rule=rule, until=None if until is None else until.date()
        )
        flag = database_flag(shop)
    say(overrides.told(made, plan.as_of))
    say(f"{made.scope} orders {words.units(units)} units now; to end it: shelfwise override revert {made.id}{flag}")
    for odd in decisions.odd_quantities(plan, {str(made.scope): units}):
        say(f"note: {odd}")
    return 0


@group.command("list")
def listed(
    every: Annotated[bool, typer.Option("--all", help="With those that are over.", show_default=False)] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """List overrides, the newest first."""
    to = form(as_json, as_csv)
    with open_shop(database) as shop:
        from shelfwise.services import overrides

        frame = overrides.listed(shop, every=every)
    write_frame(
        frame,
        to,
        shown=SHOWN,
        empty="no override holds; --all shows those that are over, `shelfwise override forecast` sets one",
    )
    return 0


@group.command("revert", no_args_is_help=True)
def revert(
    numbers: Annotated[list[int], typer.Argument(metavar="NUMBER...", help="As listed.", show_default=False)],
    database: DatabaseOption = None,
) -> int:
    """End overrides; they stay in the list."""
    with open_shop(database) as shop:
        from shelfwise.services import overrides

        for number in numbers:
            ended = overrides.revert(shop, number)
            say(f"{overrides.told(ended, shop.today())}: reverted")
    return 0


@group.command("score")
def score(
    details: Annotated[
        bool, typer.Option("--details", help="A row for each override and line.", show_default=False)
    ] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """Say what overrides and edits were worth against what came true, by person and reason."""
    to = form(as_json, as_csv)
    with open_shop(database) as shop, Progress() as progress:
        from shelfwise.services import override_scores

        scores = override_scores.score(shop, progress=progress)
        currency = shop.settings.currency
    if to is Form.JSON:
        write_json(
            {
                "currency": currency,
                "summary": scores.summary,
                "forecasts": scores.forecasts,
                "orders": scores.orders,
                "notes": list(scores.notes),
            }
        )
        return 0
    if to is Form.CSV:
        write_frame(_detailed(scores) if details else scores.summary, to)
        return 0
    for note in scores.notes:
        say(f"note: {note}")
    if details and scores.forecasts.height + scores.orders.height:
        for frame, columns in ((scores.forecasts, FORECAST_SHOWN), (scores.orders, ORDER_SHOWN)):
            if frame.height:
                write_frame(frame, to, shown=columns)
    else:
        write_frame(scores.summary, to, empty="nothing can be scored yet")
    if scores.summary.height:
        say(f"value above zero: the override did better than what it changed; money in {currency}")
    return 0


def _detailed(scores: OverrideScores) -> pl.DataFrame:
    import polars as pl

    return pl.concat([scores.forecasts, scores.orders], how="diagonal_relaxed")
