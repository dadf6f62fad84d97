"""``shelfwise doctor``: whether the machine, the settings and the shop are fit for work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from shelfwise.cli.options import DatabaseOption, JsonOption
from shelfwise.cli.output import say, write, write_json

if TYPE_CHECKING:
    from shelfwise.services.doctor import Check

PROBLEM_FOUND = 3


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("doctor", short_help="Look for what keeps Shelfwise from working.")(doctor)


def doctor(database: DatabaseOption = None, as_json: JsonOption = False) -> int:
    """Look at this machine, the settings and the shop, and say of each what is found and the way out. Exit code 3 if
    something must be put right. Nothing is changed.
    """
    from shelfwise.services import doctor as service

    return report(service.examine({"database": database}), as_json=as_json)


def report(checks: Iterable[Check], *, as_json: bool) -> int:
    """Write checks as they come, and return the exit code that follows from them."""
    seen = []
    for check in checks:
        seen.append(check)
        if not as_json:
            write(f"{check.state:<8} {check.name}: {check.found}")
            if check.way_out:
                write(f"{'':<8} {check.way_out}")
    if as_json:
        write_json([asdict(check) for check in seen])
    problems = sum(check.state == "problem" for check in seen)
    if not as_json:
        say(f"{problems} to put right" if problems else "nothing to put right")
    return PROBLEM_FOUND if problems else 0
