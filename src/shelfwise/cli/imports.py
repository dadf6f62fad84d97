"""``shelfwise import``: bringing data in."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shelfwise.cli.column_questions import ask_mapping
from shelfwise.cli.options import DatabaseOption, JsonOption, open_shop
from shelfwise.cli.output import say, write, write_json
from shelfwise.cli.progress import Progress
from shelfwise.domain import words
from shelfwise.domain.errors import AmbiguousDates

if TYPE_CHECKING:
    from shelfwise.app import App
    from shelfwise.services.importing import Imported, Rejects, SaidMapping


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("import", no_args_is_help=True, short_help="Read sales, stock, products and more.")(import_)


def import_(
    files: Annotated[
        list[Path], typer.Argument(help="CSV, Excel, ODS, Parquet, ZIP files or folders.", show_default=False)
    ],
    date_order: Annotated[
        str | None, typer.Option("--date-order", help="dmy, mdy or ymd, where the dates do not tell.")
    ] = None,
    warehouse: Annotated[
        str | None, typer.Option("--warehouse", "-w", help="Warehouse of lines that name none.", show_default="main")
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option("--rejects", help="Where bad lines go.", show_default="FILE.rejects.csv")
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="FIELD=HEADER", help="Which column is which, like product=Artikel.", show_default=False
        ),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(
            "--as",
            help="What it is: sales, stock, products, bundles, suppliers, open_orders or events.",
            show_default=False,
        ),
    ] = None,
    save_as: Annotated[
        str | None,
        typer.Option("--save-as", metavar="NAME", help="Read files with these headers so from now on."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check, book nothing.")] = False,
    correct: Annotated[
        bool, typer.Option("--correct", help="Correct booked lines to what the files say.", show_default=False)
    ] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> int:
    """Read sales, stock, products, suppliers, prices, events or orders from files. The format is recognised.

    Importing the same file twice changes nothing. Bad lines are put aside with their reason; a file that cannot be
    trusted is refused as a whole.
    """
    how = How(date_order, warehouse, _said(columns, table), save_as, dry_run, correct)
    with open_shop(database, create=True) as shop:
        done = _import_asking(shop, files, how)
        bad_lines = _keep_rejects(done, files, rejects, dry_run)
    if as_json:
        write_json(_summary(done, bad_lines))
    else:
        _show(done, bad_lines)
    return 0


@dataclass(frozen=True)
class How:
    """How files are to be read, as far as it was said."""

    date_order: str | None
    warehouse: str | None
    said: SaidMapping | None
    save_as: str | None
    dry_run: bool
    correct: bool = False


def _import_asking(shop: App, files: list[Path], how: How) -> Imported:
    """Import, and on a terminal ask what the files do not tell."""
    from shelfwise.services import importing

    while True:
        try:
            with Progress() as progress:
                return importing.import_files(
                    shop, files, date_order=how.date_order, warehouse=how.warehouse, said=how.said,
                    save_as=how.save_as, dry_run=how.dry_run, correct=how.correct, progress=progress,
                )  # fmt: skip
        except AmbiguousDates as error:
            if not _can_ask() or how.date_order is not None:
                raise
            how = replace(how, date_order=_ask_date_order(error))
        except importing.UnknownTable as error:
            if not _can_ask():
                raise
            said = ask_mapping(error)
            name = how.save_as or typer.prompt(
                "Read files with these headers so from now on? A name for that, or Enter for no", default="",
                show_default=False, err=True,
            ).strip()  # fmt: skip
            how = replace(how, said=said, save_as=name or None)


def _can_ask() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _said(columns: list[str] | None, table: str | None) -> SaidMapping | None:
    """Return the mapping that --map and --as say."""
    if not columns and table is None:
        return None
    from shelfwise.services.importing import SaidMapping

    said: dict[str, str] = {}
    for text in columns or []:
        name, sign, header = text.partition("=")
        if not sign or not name.strip() or not header.strip():
            raise typer.BadParameter(f"--map takes FIELD=HEADER, like product=Artikel, got {text!r}")
        if name.strip() in said:
            raise typer.BadParameter(
                f"{name.strip()!r} is mapped twice, to {said[name.strip()]!r} and {header.strip()!r}; keep one of them"
            )
        said[name.strip()] = header.strip()
    return SaidMapping(said, table)


def _ask_date_order(error: AmbiguousDates) -> str:
    """Show both readings and ask which is meant."""
    say(f"{error.place}: these dates can be read in two ways:")
    for raw, day_first, month_first in error.readings:
        say(f"  {raw:<22}  (d) day first: {day_first}    (m) month first: {month_first}")
    answer = typer.prompt("Which is meant, d or m?", err=True).strip().lower()
    if answer not in ("d", "m"):
        raise typer.BadParameter(f"answer d or m, got {answer!r}; or say --date-order dmy, --date-order mdy")
    return "dmy" if answer == "d" else "mdy"


def _keep_rejects(done: Imported, files: list[Path], wanted: Path | None, dry_run: bool) -> list[Rejects]:
    if done.rejects.height == 0 or done.repeated or (dry_run and wanted is None):
        return []
    from shelfwise.services import importing

    return importing.write_rejects(done, files, wanted)


def _show(done: Imported, bad_lines: list[Rejects]) -> None:
    if done.repeated:
        say("these files were imported before, with the same choices: nothing to do")
        return
    for line in done.receipt.lines():
        write(line)
    if not done.written:
        say("a trial: nothing was booked")
        return
    for bad in bad_lines:
        say(f"bad lines are in {bad.path}; correct them there, then: {bad.again}")
    if done.known_lines > done.differing:
        say(f"{words.count(done.known_lines - done.differing, 'line')} had been booked before and changed nothing")
    if done.differing:
        became = "now corrected" if done.corrected else "which still counts"
        say(f"{words.count(done.differing, 'line')} had been booked before with something else, {became}:")
        for example in done.examples:
            say(f"  {example}")
        if not done.corrected:
            say("  if the files are right: the same command again with --correct")
    _show_cancelled(done)
    say(f"{words.count(done.new_lines, 'movement')} booked")


def _show_cancelled(done: Imported) -> None:
    if done.cancelled:
        became = "now count no more" if done.taken_off else "still count"
        say(f"{words.count(done.cancelled, 'line')} that had been booked before and are cancelled by now {became}")
        if not done.taken_off:
            say("  to take them off: the same command again with --correct")


def _summary(done: Imported, bad_lines: list[Rejects]) -> dict[str, object]:
    import json

    return {
        "import_id": done.import_id,
        "repeated": done.repeated,
        "written": done.written,
        "new_lines": done.new_lines,
        "known_lines": done.known_lines,
        "differing_lines": done.differing,
        "corrected_lines": done.corrected,
        "cancelled_lines": done.cancelled,
        "taken_off_lines": done.taken_off,
        "rejects": [{"file": str(bad.path), "again": bad.again} for bad in bad_lines],
        "receipt": json.loads(done.receipt.to_json()),
    }
