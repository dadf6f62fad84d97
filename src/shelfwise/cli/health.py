"""``shelfwise check``: the health of the data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption, database_flag, open_shop
from shelfwise.cli.output import Form, form, say, write, write_frame
from shelfwise.cli.progress import Progress
from shelfwise.domain import words

if TYPE_CHECKING:
    from shelfwise.services.findings import Finding
    from shelfwise.services.health import Health

DATA_PROBLEM = 3
_COMMAND = re.compile(r"`(shelfwise [^`>]*?)( >[^`]*)?`")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("check", short_help="List what is missing or odd in the data.")(check)


def check(
    kind: Annotated[
        str | None, typer.Argument(help="A kind of finding, to list all it touches.", show_default=False)
    ] = None,
    fix_list: Annotated[
        str | None,
        typer.Option("--fix-list", metavar="KIND", help="Write the table to fill in and import.", show_default=False),
    ] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """List what is missing or odd in the data, ranked by the orders it touches. Exit code 3 if something should be
    corrected. With a KIND, list all that it touches; --fix-list writes, as CSV, what is to be filled in.
    """
    to = form(as_json, as_csv)
    if kind is not None and fix_list is not None:
        raise typer.BadParameter("give a KIND to list it, or --fix-list KIND to put it right, not both")
    from shelfwise.services import fix_lists
    from shelfwise.services.findings import KINDS

    for name, kinds in ((kind, tuple(KINDS)), (fix_list, fix_lists.FIXABLE)):
        if name is not None and name not in kinds:
            raise typer.BadParameter(f"there is no {name!r} here; there are {', '.join(kinds)}")
    with open_shop(database) as shop, Progress() as progress:
        from shelfwise.services import health

        found = health.check(shop, progress=progress)
        currency, flag = shop.settings.currency, database_flag(shop)
    if fix_list is not None:
        table = fix_lists.fix_list(fix_list, found.of_kind(fix_list))
        if table.is_empty():
            say(f"nothing found: {KINDS[fix_list]}")
        else:
            write_frame(table, Form.JSON if to is Form.JSON else Form.CSV)
        return 0
    if kind is not None:
        _list(found.of_kind(kind), to, currency, flag, KINDS[kind])
        return 0
    if to is not Form.TEXT:
        write_frame(found.to_frame(), to)
    else:
        _show(found, currency, flag)
    return DATA_PROBLEM if found.problems else 0


def _show(found: Health, currency: str, flag: str) -> None:
    for finding in found.findings:
        effect = finding.effect(currency)
        write(f"{finding.severity:<8} {finding.what}{'; ' if effect else ''}{effect}")
        more = f" (all: shelfwise check {finding.kind}{flag})" if finding.rows.height > len(finding.examples) else ""
        if finding.examples:
            write(f"         for example {words.listed(list(finding.examples))}{more}")
        if finding.way_out:
            write(f"         {_flagged(finding.way_out, flag)}")
    say(found.summary())


def _list(findings: tuple[Finding, ...], to: Form, currency: str, flag: str, about: str) -> None:
    import polars as pl

    rows = pl.concat([one.rows for one in findings], how="diagonal_relaxed") if findings else pl.DataFrame()
    if to is Form.TEXT:
        for finding in findings:
            effect = finding.effect(currency)
            say(f"{finding.what}{'; ' if effect else ''}{effect}")
            if finding.way_out:
                say(_flagged(finding.way_out, flag))
        if findings and rows.is_empty():
            return
    write_frame(rows, to, empty=f"nothing found: {about}")


def _flagged(way_out: str, flag: str) -> str:
    """Return a way out whose commands name the database that was asked about."""
    return _COMMAND.sub(lambda found: f"`{found[1]}{flag}{found[2] or ''}`", way_out)
