"""``shelfwise history``: what was imported, planned, decided, ordered and received, and when."""

from __future__ import annotations

from typing import Annotated

import typer

from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption, open_shop
from shelfwise.cli.output import form, write_frame


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("history", short_help="Show what was done, and when.")(history)


def history(
    limit: Annotated[int, typer.Option("--limit", min=1, help="Newest events to show.")] = 30,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """Show what was imported, planned, decided, ordered and received: the newest first."""
    to = form(as_json, as_csv)
    with open_shop(database) as shop:
        from shelfwise.services import history as told

        frame = told.history(shop, limit)
    write_frame(frame, to, empty="nothing has happened yet; `shelfwise import FILE...` begins")
    return 0
