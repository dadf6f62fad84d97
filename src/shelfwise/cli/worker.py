"""``shelfwise worker``: a process that works on jobs."""

from __future__ import annotations

from typing import Annotated

import typer

from shelfwise.cli.options import DatabaseOption, open_shop
from shelfwise.cli.output import say
from shelfwise.domain import words


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("worker", short_help="Work on jobs: forecasts, plans and tidying in the background.")(worker)


def worker(
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="Do what is due now, then end.", show_default=False)
    ] = False,
    database: DatabaseOption = None,
) -> None:
    """Work on jobs until Ctrl-C; any number of workers share them. What there is to do: `shelfwise jobs list`.

    `shelfwise serve` has a worker inside (SHELFWISE_EMBEDDED_WORKER).
    """
    with open_shop(database) as shop:
        from shelfwise import logs
        from shelfwise import worker as door

        level = "INFO" if shop.origins["log_level"] == "default" else shop.settings.log_level
        logs.configure(level, shop.settings.log_format)
        if until_idle:
            say(f"{words.count(door.drain(shop), 'job')} done")
        else:
            door.work(shop, ready=lambda name: say(f"worker {name} works on {shop.settings.database}, Ctrl-C ends it"))
