"""``shelfwise jobs``: what is to be done in the background, what was done, and what failed and waits for a person."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption, database_flag, open_shop
from shelfwise.cli.output import Form, cell, form, say, write, write_frame, write_json

if TYPE_CHECKING:
    from shelfwise.app import App
    from shelfwise.services.jobs import Job

group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
SHOWN = ["job", "kind", "about", "state", "progress", "attempts", "asked", "error"]
NumbersArgument = Annotated[list[int], typer.Argument(metavar="NUMBER...", help="As listed.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(group, name="jobs", help="Look at work in the background; retry, drop or cancel it.")


@group.callback()
def _group() -> None:
    """Look at work in the background; retry, drop or cancel it."""


@group.command("list")
def listed(
    state: Annotated[
        str | None,
        typer.Option("--state", help="queued, running, done, parked or cancelled.", show_default=False),
    ] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only this kind.", show_default=False)] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="Most jobs to show.")] = 50,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """List jobs, the newest first; parked ones failed for good or too often, and wait for a person."""
    to = form(as_json, as_csv)
    with open_shop(database) as shop:
        import polars as pl

        from shelfwise.services import jobs

        found = jobs.listed(shop, state=state, kind=kind, limit=limit).jobs
        rows = [_row(shop, job) for job in found]
        parked = jobs.queue_length(shop).by_state["parked"]
        working = jobs.alive(shop)
        flag = database_flag(shop)
    schema = dict.fromkeys(SHOWN, pl.String()) | {"job": pl.Int64(), "attempts": pl.Int64(), "asked": pl.Datetime()}
    frame = pl.DataFrame(rows, schema=schema)
    write_frame(frame, to, empty="no such job" if state or kind else "no job was ever asked for, or all are long over")
    if to is Form.TEXT:
        if parked and state != "parked":
            say(f"{parked} parked: shelfwise jobs list --state parked{flag}")
        if not working:
            say(f"no worker is alive, so jobs wait: shelfwise serve{flag}, or shelfwise worker{flag}")
    return 0


@group.command("show", no_args_is_help=True)
def show(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="As listed.", show_default=False)],
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> int:
    """Show a job with all that is known of it, and the way out where it failed."""
    with open_shop(database) as shop:
        from shelfwise.services import jobs

        job = jobs.look(shop, number)
        told = _told(shop, job)
        flag = database_flag(shop)
    if as_json:
        write_json(told)
        return 0
    for name, value in told.items():
        if value not in (None, "", {}):
            write(f"{name.replace('_', ' '):<14}{cell(value)}")
    if job.state == "parked":
        say(f"to try it again: shelfwise jobs retry {number}{flag}; to give it up: shelfwise jobs drop {number}{flag}")
    return 0


@group.command("retry", no_args_is_help=True)
def retry(numbers: NumbersArgument, database: DatabaseOption = None) -> int:
    """Queue parked or cancelled jobs anew."""
    return _each("retry", numbers, database)


@group.command("drop", no_args_is_help=True)
def drop(numbers: NumbersArgument, database: DatabaseOption = None) -> int:
    """Give parked jobs up."""
    return _each("drop", numbers, database)


@group.command("cancel", no_args_is_help=True)
def cancel(numbers: NumbersArgument, database: DatabaseOption = None) -> int:
    """End queued or running jobs; what they have kept so far stays."""
    return _each("cancel", numbers, database)


def _each(verb: str, numbers: list[int], database: str | None) -> int:
    with open_shop(database) as shop:
        from shelfwise.services import jobs

        step = {"retry": jobs.retry, "drop": jobs.drop, "cancel": jobs.cancel}[verb]
        for number in numbers:
            job = step(shop, number)
            merged = f", merged into job {job.id}" if job.id != number else ""
            say(f"job {number} ({job.kind}) is {job.state}{merged}")
    return 0


def _row(shop: App, job: Job) -> dict[str, Any]:
    return {
        "job": job.id, "kind": job.kind, "about": job.subject or None, "state": _state(job),
        "progress": _progress(job), "attempts": job.attempts, "asked": shop.calendar.shop_time(job.created_at),
        "error": job.error,
    }  # fmt: skip


def _told(shop: App, job: Job) -> dict[str, Any]:
    def moment(value: dt.datetime | None) -> dt.datetime | None:
        return None if value is None else shop.calendar.shop_time(value)

    return {
        "job": job.id, "kind": job.kind, "about": job.subject, "state": job.state, "progress": _progress(job),
        "attempts": f"{job.attempts} of {job.most_attempts}", "asked": moment(job.created_at),
        "not_before": moment(job.run_after) if job.state == "queued" else None, "started": moment(job.started_at),
        "finished": moment(job.finished_at), "worker": job.holder, "request": job.request_id,
        "payload": dict(job.payload), "result": job.result, "error": job.error,
    }  # fmt: skip


def _state(job: Job) -> str:
    return "waits to retry" if job.state == "queued" and job.attempts else job.state


def _progress(job: Job) -> str | None:
    if job.step is None:
        return None
    return f"{job.step} ({job.done:,} of {job.total:,})" if job.total else job.step
