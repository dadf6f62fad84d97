"""``shelfwise backup`` and ``shelfwise restore``: a shop in one file, and a shop of such a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shelfwise.cli.options import DatabaseOption, JsonOption, open_shop
from shelfwise.cli.output import say, write_json
from shelfwise.cli.progress import Progress

ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is there.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("backup", short_help="Write the whole shop into one file.")(backup)
    app.command("restore", no_args_is_help=True, short_help="Make a shop of a backup.")(restore)


def backup(
    file: Annotated[
        Path | None, typer.Argument(help="File to write; by default one named after shop and moment.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Write into this folder of the shop's backups (SHELFWISE_BACKUP_FOLDER).",
                     show_default=False),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=1, help="Newest backups to keep in the folder (SHELFWISE_BACKUP_KEEP).",
                     show_default=False),
    ] = None,
    force: ForceOption = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Write all tables and models of the shop into one file, while it is at work; encrypted where a key is set."""
    if file is not None and (folder is not None or keep is not None):
        raise typer.BadParameter("give FILE, or --folder and --keep")
    with open_shop(database) as shop, Progress() as progress:
        from shelfwise.services import backups

        place = folder or (shop.settings.backup_folder if file is None else None)
        if place is not None:
            made = backups.make_in(shop, place, keep=keep or shop.settings.backup_keep, progress=progress)
        elif keep is not None:
            raise typer.BadParameter("--keep needs --folder, or SHELFWISE_BACKUP_FOLDER")
        else:
            path = file or Path(backups.file_name(shop.settings))
            made = backups.make(shop, path, force=force, progress=progress)
    if as_json:
        write_json({
            "path": str(made.path), "bytes": made.size, "encrypted": made.is_encrypted, "rows": made.rows,
            "models": made.models, "missing_models": made.missing_models, "removed": [str(one) for one in made.removed],
            **backups.described(made.head),
        })  # fmt: skip
    else:
        say(f"{made.path}: {made.rows:,} rows and {made.models:,} models, {made.size:,} bytes, {made.seconds:.1f} s")
    if made.missing_models:
        say(f"{len(made.missing_models):,} models are not in it: their files are gone, damaged or under another key")
    if made.removed:
        say(f"{len(made.removed):,} older backups were deleted")
    if not made.is_encrypted:
        say("it is NOT encrypted: who reads the file reads the shop; a key for the next: shelfwise config new-key")


def restore(
    file: Annotated[Path, typer.Argument(help="The backup.", show_default=False)],
    into: Annotated[
        str | None,
        typer.Option("--into", "-d", metavar="FILE|URL", help="The database to make; by default the shop's own.",
                     show_default=False),
    ] = None,
    only_check: Annotated[
        bool, typer.Option("--check", help="Read it to its end and write nothing.", show_default=False)
    ] = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Make a shop of a backup, in any kind of database: whole, or as it was before."""
    from shelfwise.services import backups

    with Progress() as progress:
        if only_check:
            checked, done = backups.check(file, progress=progress), None
        else:
            done = backups.restore(file, into, force=force, progress=progress)
            checked = done.checked
    told = {
        "path": str(file), "encrypted": checked.is_encrypted, "rows": checked.rows, "models": checked.models,
        "missing_models": checked.missing_models, **backups.described(checked.head),
    }  # fmt: skip
    if as_json:
        after = {} if done is None else {
            "database_made": str(done.address), "kept_aside": done.kept_aside and str(done.kept_aside),
            "jobs_waiting_again": done.jobs,
        }  # fmt: skip
        write_json({**told, **after})
        return
    head = checked.head
    what = f"{checked.rows:,} rows and {checked.models:,} models of {head.made_at:%Y-%m-%d %H:%M} UTC"
    if done is None:
        say(f"{file} is whole: {what}, made by Shelfwise {head.program} from {head.database}")
        return
    say(f"{done.address} holds {what}")
    if checked.missing_models:
        say(f"{len(checked.missing_models):,} models had no file in the backup: train them anew")
    if done.kept_aside is not None:
        say(f"the file that was there is {done.kept_aside}; put it back to undo this, or delete it")
    say("everybody signs in anew; passwords and API tokens are as they were then, those revoked since included")
