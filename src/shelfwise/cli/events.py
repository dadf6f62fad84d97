"""``shelfwise events``: the bus over which events go out and movements come in."""

from __future__ import annotations

import typer

from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption, open_shop
from shelfwise.cli.output import Form, form, say, write, write_frame, write_json

group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
SHOWN = ["what", "count", "last", "reason"]


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(group, name="events", help="Look at the bus over which events go out and movements come in.")


@group.callback()
def _group() -> None:
    """Look at the bus over which events go out and movements come in."""


@group.command("check")
def check(database: DatabaseOption = None, as_json: JsonOption = False) -> int:
    """Say which bus is set, send a message of a name of its own over it, and read that back."""
    with open_shop(database) as shop:
        from shelfwise.services import event_bus

        found = event_bus.probe(shop.settings)
        settings = shop.settings
    told = {
        "bus": found.kind, "address": found.address, "events_to": settings.event_bus_events,
        "movements_from": settings.event_bus_movements or None, "refused_to": found.refused_to,
        "group": settings.event_bus_group if settings.event_bus_movements else None,
        "round_trip_seconds": round(found.seconds, 3),
    }  # fmt: skip
    if as_json:
        write_json(told)
        return 0
    for name, value in told.items():
        write(f"{name.replace('_', ' '):<20}{'none' if value is None else value}")
    say("a message went to the bus and came back")
    return 0


@group.command("status")
def status(database: DatabaseOption = None, as_json: JsonOption = False, as_csv: CsvOption = False) -> int:
    """Show how many events wait to be published, and what went over the bus so far, by all workers together."""
    to = form(as_json, as_csv)
    with open_shop(database) as shop:
        import polars as pl

        from shelfwise.services import event_bus

        found = event_bus.status(shop)
        zone = shop.calendar
    rows = [
        {"what": name, "count": one.total, "last": zone.shop_time(one.last_at), "reason": one.last_reason}
        for name, one in sorted(found.counts.items())
    ]
    schema = {"what": pl.String(), "count": pl.Int64(), "last": pl.Datetime(), "reason": pl.String()}
    if found.waiting is not None:
        rows.append({"what": "waiting", "count": found.waiting, "last": None, "reason": None})
    write_frame(pl.DataFrame(rows, schema=schema), to, empty="nothing went over an event bus yet")
    if to is Form.TEXT and "refused" in found.counts:
        refused_to = event_bus.refused_to(shop.settings)
        if refused_to is not None:
            say(f"what was refused is on the bus in {refused_to}, each message with its reason")
    return 0
