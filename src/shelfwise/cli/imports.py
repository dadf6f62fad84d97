"""``shelfwise import`` and ``shelfwise check``: bringing data in, and looking at its health."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption, open_shop
from shelfwise.cli.output import Form, form, say, write, write_frame, write_json
from shelfwise.cli.progress import Progress
from shelfwise.domain import words
from shelfwise.domain.errors import AmbiguousDates

if TYPE_CHECKING:
    from shelfwise.app import App
    from shelfwise.services.importing import Imported

DATA_PROBLEM = 3


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("import", no_args_is_help=True, short_help="Read sales, stock, products and more.")(import_)
    app.command("check", short_help="List what is missing or odd in the data.")(check)


def import_(
    files: Annotated[list[Path], typer.Argument(help="CSV, TSV or Parquet files.", show_default=False)],
    date_order: Annotated[
        str | None, typer.Option("--date-order", help="dmy, mdy or ymd, where the dates do not tell.")
    ] = None,
    warehouse: Annotated[
        str | None, typer.Option("--warehouse", "-w", help="Warehouse of lines that name none.", show_default="main")
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option("--rejects", help="Where bad lines go.", show_default="FILE.rejects.csv")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check, book nothing.")] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> int:
    """Read sales, stock, products, suppliers, prices, events or orders from files. The format is recognised.

    Importing the same file twice changes nothing. Bad lines are put aside with their reason; a file that cannot be
    trusted is refused as a whole.
    """
    with open_shop(database, create=True) as shop:
        try:
            done = _import(shop, files, date_order, warehouse, dry_run)
        except AmbiguousDates as error:
            if not (sys.stdin.isatty() and sys.stderr.isatty()):
                raise
            done = _import(shop, files, _ask_date_order(error), warehouse, dry_run)
        bad_lines = _keep_rejects(done, files[0], rejects, dry_run)
    if as_json:
        write_json(_summary(done, bad_lines))
    else:
        _show(done, bad_lines)
    return 0


def _import(shop: App, files: list[Path], date_order: str | None, warehouse: str | None, dry_run: bool) -> Imported:
    from shelfwise.services import importing

    with Progress() as progress:
        return importing.import_files(
            shop, files, date_order=date_order, warehouse=warehouse, dry_run=dry_run, progress=progress
        )


def _ask_date_order(error: AmbiguousDates) -> str:
    """Show both readings and ask which is meant."""
    say(f"{error.place}: these dates can be read in two ways:")
    for raw, day_first, month_first in error.readings:
        say(f"  {raw:<22}  (d) day first: {day_first}    (m) month first: {month_first}")
    answer = typer.prompt("Which is meant, d or m?", err=True).strip().lower()
    if answer not in ("d", "m"):
        raise typer.BadParameter(f"answer d or m, got {answer!r}; or say --date-order dmy, --date-order mdy")
    return "dmy" if answer == "d" else "mdy"


def _keep_rejects(done: Imported, first: Path, wanted: Path | None, dry_run: bool) -> Path | None:
    if done.rejects.height == 0 or done.repeated or (dry_run and wanted is None):
        return None
    from shelfwise.services import importing

    return importing.write_rejects(done.rejects, wanted or Path(f"{first.stem}.rejects.csv"))


def _show(done: Imported, bad_lines: Path | None) -> None:
    if done.repeated:
        say("these files were imported before, with the same choices: nothing to do")
        return
    for line in done.receipt.lines():
        write(line)
    if not done.written:
        say("a trial: nothing was booked")
        return
    if bad_lines is not None:
        say(f"bad lines are in {bad_lines}; correct them there and import that file's lines again")
    if done.known_lines:
        say(f"{words.count(done.known_lines, 'line')} had been booked before and changed nothing")
    say(f"{words.count(done.new_lines, 'movement')} booked")


def _summary(done: Imported, bad_lines: Path | None) -> dict[str, object]:
    import json

    return {
        "import_id": done.import_id,
        "repeated": done.repeated,
        "written": done.written,
        "new_lines": done.new_lines,
        "known_lines": done.known_lines,
        "rejects": None if bad_lines is None else str(bad_lines),
        "receipt": json.loads(done.receipt.to_json()),
    }


def check(database: DatabaseOption = None, as_json: JsonOption = False, as_csv: CsvOption = False) -> int:
    """List what is missing or odd in the data, the most costly first. Exit code 3 if something should be corrected."""
    to = form(as_json, as_csv)
    with open_shop(database) as shop, Progress() as progress:
        from shelfwise.services import health

        found = health.check(shop, progress=progress)
        currency = shop.settings.currency
    if to is not Form.TEXT:
        write_frame(found.to_frame(), to)
    else:
        for finding in found.findings:
            effect = f"  ({words.money(finding.money, currency)} of the last 28 days' sales)" if finding.money else ""
            write(f"{finding.severity:<8} {finding.what}{effect}")
            if finding.examples:
                write(f"         for example {words.listed(list(finding.examples))}")
            if finding.way_out:
                write(f"         {finding.way_out}")
        say(found.summary())
    return DATA_PROBLEM if found.problems else 0
