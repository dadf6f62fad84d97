"""``shelfwise imports``: what was imported, its receipts, and taking an import back or putting it back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption, open_shop
from shelfwise.cli.output import form, say, write, write_frame, write_json
from shelfwise.domain import words

if TYPE_CHECKING:
    from shelfwise.services.import_history import Shown, Undone

LISTED = ["import", "imported_at", "files", "format", "rows", "rejected", "new_lines", "undone_at"]
LEFT_SHOWN = 10

Number = Annotated[int, typer.Argument(metavar="NUMBER", help="The import's number.", show_default=False)]

group = typer.Typer(rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(group, name="imports", short_help="List imports, show receipts, undo and redo.")


@group.callback(invoke_without_command=True)
def imports(
    context: typer.Context, database: DatabaseOption = None, as_json: JsonOption = False, as_csv: CsvOption = False
) -> None:
    """List what was imported; `imports show` has the receipt, `imports undo` takes an import back."""
    if context.invoked_subcommand is None:
        list_(database, as_json, as_csv)


@group.command("list")
def list_(database: DatabaseOption = None, as_json: JsonOption = False, as_csv: CsvOption = False) -> None:
    """List the imports, the latest first."""
    to = form(as_json, as_csv)
    with open_shop(database) as shop:
        from shelfwise.services import import_history

        found = import_history.listed(shop)
    write_frame(found, to, shown=LISTED, empty="nothing was imported yet; `shelfwise import FILE...` does it")


@group.command("show", no_args_is_help=True)
def show(number: Number, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Show an import's receipt as it was written."""
    with open_shop(database) as shop:
        from shelfwise.services import import_history

        found = import_history.shown(shop, number)
    if as_json:
        write_json(
            {
                "import": found.number,
                "imported_at": found.imported_at,
                "undone_at": found.undone_at,
                "files": found.files,
                "format": found.format,
                "new_lines": found.new_lines,
                "known_lines": found.known_lines,
                "receipt": found.raw,
            }
        )
    else:
        _show_receipt(found)


def _show_receipt(found: Shown) -> None:
    state = "" if found.undone_at is None else f", undone on {found.undone_at:%Y-%m-%d %H:%M}"
    write(f"import {found.number} of {found.imported_at:%Y-%m-%d %H:%M}{state}")
    if found.receipt is None:
        write(f"{found.files}: {found.format}; it has no receipt of files")
    else:
        for line in found.receipt.lines():
            write(line)
    if found.new_lines is not None:
        write(f"booked    {found.new_lines:,} movements new, {found.known_lines or 0:,} known before")


@group.command("undo", no_args_is_help=True)
def undo(
    number: Number,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.", show_default=False)] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would do.", show_default=False)] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take an import back: all is as if it had never been, but for what someone else set since."""
    with open_shop(database) as shop:
        from shelfwise.services import import_history

        asks = not yes and not dry_run and sys.stdin.isatty() and sys.stderr.isatty()
        if dry_run or asks:
            would = import_history.undo(shop, number, dry_run=True)
            if dry_run and as_json:
                write_json(_summary(would, written=False))
                return
            _tell(would, "would be taken out", say if asks else write)
            if dry_run:
                say("a trial: nothing was changed")
                return
            if not typer.confirm(f"Undo import {number}?", err=True):
                say("nothing was changed")
                return
        done = import_history.undo(shop, number)
    if as_json:
        write_json(_summary(done, written=True))
    else:
        _tell(done, "taken out", write)
        say(f"import {number} is undone; `shelfwise imports redo {number}` puts it back")


@group.command("redo", no_args_is_help=True)
def redo(number: Number, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Put an undone import back; its files are not needed."""
    with open_shop(database) as shop:
        from shelfwise.services import import_history

        done = import_history.redo(shop, number)
    if as_json:
        write_json(_summary(done, written=True))
    else:
        _tell(done, "put back", write)
        say(f"import {number} is back")


@group.command("profiles")
def profiles(database: DatabaseOption = None, as_json: JsonOption = False, as_csv: CsvOption = False) -> None:
    """List the import profiles: how files with certain headers are read, saved with `import --save-as`."""
    to = form(as_json, as_csv)
    with open_shop(database) as shop:
        from shelfwise.services import import_profiles

        found = import_profiles.listed(shop)
    write_frame(found, to, empty="no profile was saved yet; `shelfwise import FILE --map ... --save-as NAME` does it")


@group.command("forget", no_args_is_help=True)
def forget(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The profile's name.", show_default=False)],
    database: DatabaseOption = None,
) -> None:
    """Forget an import profile; what was imported by it stays."""
    with open_shop(database) as shop:
        from shelfwise.services import import_profiles

        import_profiles.forget(shop, name)
    say(f"import profile {name!r} is forgotten")


def _tell(done: Undone, did: str, put: Callable[[str], None]) -> None:
    """Say what an undo or a redo did, and what stays otherwise than one might expect."""
    put(f"{words.count(done.lines, 'movement')} {did}")
    if done.handed_on:
        put(f"{words.count(done.handed_on, 'movement')} kept: a later import has them too, and owns them now")
    if done.known:
        put(f"{words.count(done.known, 'movement')} there already")
    for what, counts in (
        ("removed", done.changes.removed), ("added", done.changes.added), ("set back", done.changes.restored)
    ):  # fmt: skip
        for kind, count in counts.items():
            put(f"{kind} {what}: {count:,}{' cells' if what == 'set back' else ''}")
    left = done.changes.left
    for row in left.head(LEFT_SHOWN).iter_rows(named=True):
        column = f"{row['column'].replace('_', ' ')} of " if row["column"] else ""
        put(f"left: {column}{row['what']} {row['key']} {row['reason']}")
    if left.height > LEFT_SHOWN:
        put(f"left: {left.height - LEFT_SHOWN:,} more; --json has them all")


def _summary(done: Undone, *, written: bool) -> dict[str, object]:
    return {
        "import": done.import_id,
        "written": written,
        "movements": done.lines,
        "handed_on": done.handed_on,
        "known": done.known,
        "removed": done.changes.removed,
        "added": done.changes.added,
        "restored": done.changes.restored,
        "left": done.changes.left.to_dicts(),
    }
