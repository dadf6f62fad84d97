"""``shelfwise webhooks``: addresses that hear of what happens in the shop, and what was sent to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption, database_flag, open_shop
from shelfwise.cli.output import Form, form, say, write, write_frame

if TYPE_CHECKING:
    from shelfwise.app import App
    from shelfwise.services.webhooks import Delivery, Webhook

group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
SHOWN = ["webhook", "name", "url", "format", "events", "state", "waiting"]
DELIVERY = ["delivery", "type", "state", "tries", "made", "next", "answer", "error"]
NumberArgument = Annotated[
    int, typer.Argument(metavar="NUMBER", min=1, help="The webhook's, as listed.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(group, name="webhooks", short_help="Tell programs and channels elsewhere what happens.")


@group.callback()
def _group() -> None:
    """Tell programs and channels elsewhere what happens: signed messages, tried again until they are taken."""


@group.command("list")
def listed(database: DatabaseOption = None, as_json: JsonOption = False, as_csv: CsvOption = False) -> int:
    """List webhooks, and whether their receivers take what is sent."""
    to = form(as_json, as_csv)
    with open_shop(database) as shop:
        import polars as pl

        from shelfwise.services import webhooks

        waiting = webhooks.waiting(shop)
        rows = [_row(one, waiting.get(one.id, 0)) for one in webhooks.every(shop)]
    schema = dict.fromkeys(SHOWN, pl.String()) | {"webhook": pl.Int64(), "waiting": pl.Int64()}
    empty = "there are no webhooks; `shelfwise webhooks add URL --event order_proposal.ready` adds one"
    write_frame(pl.DataFrame(rows, schema=schema, orient="row"), to, empty=empty)
    return 0


@group.command("add", no_args_is_help=True)
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where messages go, by https.", show_default=False)],
    events: Annotated[
        list[str],
        typer.Option("--event", help="What it hears of, like stockout_risk.raised; repeat.", show_default=False),
    ],
    name: Annotated[str, typer.Option("--name", help="What it is for.", show_default=False)] = "",
    slack: Annotated[
        bool, typer.Option("--slack", help="Send sentences for a channel; Slack's own addresses get them anyway.")
    ] = False,
    database: DatabaseOption = None,
) -> int:
    """Add a webhook, and print its secret, this once."""
    with open_shop(database, create=True) as shop:
        from shelfwise.services import webhooks

        made = webhooks.add(shop, url, events, name=name, format="slack" if slack else None)
        flag = database_flag(shop)
    say(f"webhook {made.webhook.id} hears of {', '.join(made.webhook.events)}")
    if made.secret is not None:
        say("its messages are signed under this secret, shown this once:")
        write(made.secret)
    say(f"to try it: shelfwise webhooks test {made.webhook.id}{flag}")
    return 0


@group.command("remove", no_args_is_help=True)
def remove(number: NumberArgument, database: DatabaseOption = None) -> int:
    """Remove a webhook with its log."""
    with open_shop(database) as shop:
        from shelfwise.services import webhooks

        webhooks.remove(shop, number)
    say(f"webhook {number} is removed")
    return 0


@group.command("enable", no_args_is_help=True)
def enable(number: NumberArgument, database: DatabaseOption = None) -> int:
    """Switch a webhook on; it hears of what happens from now on."""
    return _switched(number, database, enabled=True)


@group.command("disable", no_args_is_help=True)
def disable(number: NumberArgument, database: DatabaseOption = None) -> int:
    """Switch a webhook off; what waits for it is dropped."""
    return _switched(number, database, enabled=False)


@group.command("rotate", no_args_is_help=True)
def rotate(
    number: NumberArgument,
    overlap: Annotated[
        float, typer.Option("--overlap", min=0, max=720, help="Hours for which the secret before signs, too.")
    ] = 24.0,
    database: DatabaseOption = None,
) -> int:
    """Give a webhook another secret, and print it, this once."""
    with open_shop(database) as shop:
        from shelfwise.services import webhooks

        made = webhooks.rotate(shop, number, overlap_hours=overlap)
    say(f"webhook {number} signs under this secret, shown this once; for {overlap:g} hours under the one before, too:")
    write(str(made.secret))
    return 0


@group.command("test", no_args_is_help=True)
def try_out(number: NumberArgument, database: DatabaseOption = None) -> int:
    """Send a message that means nothing, now and once, and tell what came of it."""
    with open_shop(database) as shop:
        from shelfwise.services import webhooks

        tried = webhooks.try_out(shop, number)
    if tried.error is None:
        say(f"webhook {number} took it: {tried.status} after {tried.seconds:.2f} s")
        return 0
    said = "" if tried.answer is None else f"; it said: {tried.answer[:200]}"
    say(f"webhook {number} did not take it: {tried.error}{said}")
    return 1


@group.command("deliveries", no_args_is_help=True)
def deliveries(
    number: NumberArgument,
    state: Annotated[
        str | None, typer.Option("--state", help="waiting, delivered, failed or dropped.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="Most deliveries to show.")] = 50,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """List what was and is to be sent to a webhook, the newest first."""
    to = form(as_json, as_csv)
    with open_shop(database) as shop:
        import polars as pl

        from shelfwise.services import webhooks

        page = webhooks.deliveries(shop, number, state=state, limit=limit)
        rows = [_delivery(shop, one) for one in page.deliveries]
        flag = database_flag(shop)
    times = dict.fromkeys(("made", "next"), pl.Datetime())
    schema = dict.fromkeys(DELIVERY, pl.String()) | times | {"delivery": pl.Int64(), "tries": pl.Int64()}
    write_frame(pl.DataFrame(rows, schema=schema), to, empty=f"nothing was sent to webhook {number} yet")
    if to is Form.TEXT and any(row["state"] in ("failed", "dropped") for row in rows):
        say(f"to send one again: shelfwise webhooks resend {number} {rows[0]['delivery']}{flag}")
    return 0


@group.command("resend", no_args_is_help=True)
def resend(
    number: NumberArgument,
    numbers: Annotated[list[int], typer.Argument(metavar="DELIVERY...", min=1, help="As listed.", show_default=False)],
    database: DatabaseOption = None,
) -> int:
    """Send deliveries again, each under its own id."""
    with open_shop(database) as shop:
        from shelfwise.services import webhooks

        for one in numbers:
            again = webhooks.resend(shop, number, one)
            say(f"delivery {one} ({again.type}) is sent to webhook {number} again")
    return 0


def _switched(number: int, database: str | None, *, enabled: bool) -> int:
    with open_shop(database) as shop:
        from shelfwise.services import webhooks
        from shelfwise.services.webhooks import Changes

        webhooks.change(shop, number, Changes(enabled=enabled))
    say(f"webhook {number} is {'on' if enabled else 'off'}")
    return 0


def _row(one: Webhook, waiting: int) -> list[Any]:
    off = "off" if one.off_reason is None else f"off: {one.off_reason}"
    failing = "on" if one.failing_since is None else f"fails since {one.failing_since:%Y-%m-%d %H:%M}Z"
    state = failing if one.enabled else off
    return [one.id, one.name or None, one.url, one.format, " ".join(one.events), state, waiting]


def _delivery(shop: App, one: Delivery) -> dict[str, Any]:
    following = shop.calendar.shop_time(one.next_at) if one.state == "waiting" else None
    answer = None if one.status is None else str(one.status)
    return {
        "delivery": one.id, "type": one.type, "state": one.state, "tries": one.attempts,
        "made": shop.calendar.shop_time(one.created_at), "next": following, "answer": answer, "error": one.error,
    }  # fmt: skip
