"""Questions about a file that fits no format: which of its columns is which, proposed with reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from shelfwise.cli.output import say

if TYPE_CHECKING:
    from shelfwise.services.importing import SaidMapping, UnknownTable

WIDEST = 18
NONE = "-"


def ask_mapping(error: UnknownTable) -> SaidMapping:
    """Show the first rows of the file and what its columns may be, and ask about each."""
    proposal = error.proposal
    say(f"{proposal.file} fits no known format. Its first rows:")
    for row in (proposal.headers, *proposal.rows):
        say("  " + "  ".join(f"{cell[:WIDEST]:<{WIDEST}}" for cell in row).rstrip())
    say(f"It looks like {proposal.table} (another table: stop with Ctrl-C and say --as).")
    say(f"For each field: Enter takes the proposal, a header takes that column, {NONE} leaves the field out.")
    columns: dict[str, str] = {}
    for one in proposal.columns:
        values = f", like {', '.join(one.values)}" if one.values else ""
        say(f"{one.field}: {one.reason}{values}")
        header = _ask(one.field, one.header, one.required, proposal.headers)
        if header is not None:
            columns[one.field] = header
    return type(proposal.said)(columns, proposal.table)


def _ask(field: str, proposed: str | None, required: bool, headers: tuple[str, ...]) -> str | None:
    while True:
        default = proposed or ("" if required else NONE)
        answer = str(typer.prompt(f"  {field} =", default=default, err=True)).strip()
        if answer == NONE and not required:
            return None
        if answer in headers:
            return answer
        same = [header for header in headers if header.casefold() == answer.casefold()]
        if same:
            return same[0]
        say(f"  {field} is needed; choose a column" if answer in ("", NONE) else f"  there is no column {answer!r}")
        say(f"  the columns are {', '.join(headers)}")
