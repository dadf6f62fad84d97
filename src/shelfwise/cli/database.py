"""``shelfwise db``: care for the database file."""

from __future__ import annotations

import typer

from shelfwise.cli.options import DatabaseOption
from shelfwise.cli.output import say

group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(group, name="db", help="Care for the database file.")


@group.callback()
def _group() -> None:
    """Care for the database file."""


@group.command("migrate")
def migrate(database: DatabaseOption = None) -> None:
    """Bring the database to the form this version of the program needs; what is in it stays."""
    from shelfwise.app import migrate as bring_up_to_date

    path, before, after = bring_up_to_date(database)
    if before == after:
        say(f"{path}: already at revision {after}")
    else:
        say(f"{path}: revision {before or 'none'} -> {after}")
