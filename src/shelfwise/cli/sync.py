"""``shelfwise sync``: pull from the inventory and logistics services, or see how that stands."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shelfwise.cli.options import DatabaseOption, JsonOption, database_flag, open_shop
from shelfwise.cli.output import cell, say, write, write_json, write_table

if TYPE_CHECKING:
    from shelfwise.app import App
    from shelfwise.services.connecting import Shown

SHOWN_RUNS = 5
SHOWN_REFUSALS = 5
LONGEST_ROW = 100


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("sync", short_help="Pull stock, sales, lead times and shipments from other services.")(sync)


def sync(
    connector: Annotated[
        str | None,
        typer.Argument(metavar="inventory|logistics", help="Only this one; else each that is configured.",
                       show_default=False),
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Do it here and wait for it.", show_default=False)] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Show how each stands: places, last runs, refused rows.", show_default=False)
    ] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> int:  # fmt: skip
    """Pull from the services that SHELFWISE_INVENTORY_SYNC_URL and SHELFWISE_LOGISTICS_ENGINE_URL name.

    Workers do so every SHELFWISE_SYNC_MINUTES; this asks one to do it soon. The contract is in docs/connectors.md.
    """
    if now and show:
        raise typer.BadParameter("--now pulls and --show looks; give one of them")
    with open_shop(database) as shop:
        from shelfwise.services import connecting

        known = [one.name for one in connecting.CONNECTORS]
        if connector is not None and connector not in known:
            raise typer.BadParameter(f"{connector!r} is none of {' and '.join(known)}")
        if show:
            return _show(shop, connector, as_json=as_json)
        names = [one.name for one in connecting.configured(shop)] if connector is None else [connector]
        if not names:
            say("no service is configured; name one in SHELFWISE_INVENTORY_SYNC_URL or SHELFWISE_LOGISTICS_ENGINE_URL")
            return 1
        return _pull(shop, names, as_json=as_json) if now else _ask(shop, names, as_json=as_json)


def _ask(shop: App, names: list[str], *, as_json: bool) -> int:
    from shelfwise.services import connecting, jobs

    asked = {name: connecting.ask(shop, name) for name in names}
    if as_json:
        write_json({name: {"job": job.id, "state": job.state} for name, job in asked.items()})
        return 0
    flag = database_flag(shop)
    for name, job in asked.items():
        say(f"{name}: job {job.id}; look at it: shelfwise jobs show {job.id}{flag}")
    if not jobs.alive(shop):
        say(f"no worker is alive, so it waits: shelfwise serve{flag}, or shelfwise worker{flag}; --now does it here")
    return 0


def _pull(shop: App, names: list[str], *, as_json: bool) -> int:
    from shelfwise.cli.progress import Progress
    from shelfwise.services import connecting

    made = {}
    for name in names:
        with Progress() as progress:
            made[name] = connecting.sync(shop, name, asked=True, progress=progress).run
    if as_json:
        write_json({name: _told(shop, run) for name, run in made.items()})
    else:
        for name, run in made.items():
            counted = f"{run.booked:,} booked, {run.duplicates:,} known before, {run.refused:,} refused"
            write(f"{name}: {run.outcome}; {counted}")
            if run.error is not None:
                say(f"{name}: {run.error}")
            if run.refused:
                say(f"see them: shelfwise sync {name} --show{database_flag(shop)}")
    return 0 if all(run.outcome == "done" for run in made.values()) else 1


def _show(shop: App, name: str | None, *, as_json: bool) -> int:
    from shelfwise.services import connecting

    found = [one for one in connecting.shown(shop) if name is None or one.name == name]
    if as_json:
        write_json([_whole(shop, one) for one in found])
        return 0
    for n, one in enumerate(found):
        if n:
            write()
        _write(shop, one)
    return 0


def _write(shop: App, one: Shown) -> None:
    standing = one.standing
    write(f"{one.name}: {one.url or 'not configured'}")
    if standing.tried_at is None:
        write("  never asked")
        return
    breaker = standing.breaker
    if standing.retry_at is not None and breaker == "open":
        breaker = f"open until {cell(_moment(shop, standing.retry_at))}"
    failures = f", {standing.failures} failed requests in a row" if standing.failures else ""
    write(f"  breaker {breaker}{failures}; last went well: {cell(_moment(shop, standing.succeeded_at))}")
    if standing.error is not None:
        write(f"  last error: {standing.error}")
    write_table(
        ["feed", "read at", "booked", "known before", "refused"],
        [[p.feed, cell(_moment(shop, p.read_at)), f"{p.booked:,}", f"{p.duplicates:,}", f"{p.refused:,}"]
         for p in one.places],
        [False, False, True, True, True], indent=2,
    )  # fmt: skip
    write_table(
        ["run", "outcome", "requests", "booked", "known before", "refused"],
        [[cell(_moment(shop, r.started_at)), r.outcome, f"{r.requests:,}", f"{r.booked:,}", f"{r.duplicates:,}",
          f"{r.refused:,}"]
         for r in one.runs[:SHOWN_RUNS]],
        [False, False, True, True, True, True], indent=2,
    )  # fmt: skip
    if one.refused:
        write(f"  {one.refused:,} rows are refused and not booked since; the newest:")
        for row in one.refusals[:SHOWN_REFUSALS]:
            write(f"    {row.feed}: {row.content[:LONGEST_ROW]}")
            write(f"      {row.reason}")


def _whole(shop: App, one: Shown) -> dict[str, Any]:
    standing = _told(shop, one.standing)
    standing.pop("asked_at")
    return {
        "connector": one.name, "url": one.url, "breaker": one.standing.breaker, **standing,
        "feeds": [_told(shop, place) for place in one.places], "runs": [_told(shop, run) for run in one.runs],
        "refused": one.refused, "refusals": [_told(shop, row) for row in one.refusals],
    }  # fmt: skip


def _told(shop: App, values: Any) -> dict[str, Any]:
    """Return what is known, with its moments in shop time."""
    left_out = ("origin", "id")
    return {
        name: _moment(shop, value) if isinstance(value, dt.datetime) else value
        for name, value in vars(values).items()
        if name not in left_out
    }


def _moment(shop: App, value: dt.datetime | None) -> dt.datetime | None:
    return None if value is None else shop.calendar.shop_time(value)
