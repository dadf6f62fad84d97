"""``shelfwise config``: every setting, its value and where that came from; what is wrong with them; a new key."""

from __future__ import annotations

import typer

from shelfwise.cli.doctor import PROBLEM_FOUND, report
from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption
from shelfwise.cli.output import form, write, write_frame, write_json

group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(group, name="config", help="Look at the settings.")


@group.callback()
def _group() -> None:
    """Look at the settings."""


@group.command("show")
def show(database: DatabaseOption = None, as_json: JsonOption = False, as_csv: CsvOption = False) -> None:
    """Show every setting, its value, and where the value came from: flag, env, .env, shelfwise.toml or default."""
    import polars as pl

    from shelfwise.settings import PREFIX, load_settings, shown

    loaded = load_settings({"database": database})
    rows = [
        {
            "setting": name,
            "value": shown(name, getattr(loaded.settings, name)),
            "from": loaded.origins[name],
            "variable": f"{PREFIX}{name.upper()}",
            "meaning": field.description,
        }
        for name, field in type(loaded.settings).model_fields.items()
    ]
    write_frame(pl.DataFrame(rows), form(as_json, as_csv), shown=["setting", "value", "from", "meaning"])


@group.command("check")
def check(database: DatabaseOption = None, as_json: JsonOption = False) -> int:
    """Say what is set and from where, what other programs' names give, and what is wrong: unknown names, a database or
    Redis that cannot be reached, a port that is taken, a folder that cannot be written. Exit code 3 if something is.
    """
    from dataclasses import asdict

    from shelfwise.services import doctor

    found = doctor.configuration({"database": database})
    if as_json:
        checks = [asdict(one) for one in found.checks]
        settings = [{"setting": name, "value": value, "from": origin} for name, value, origin in found.values]
        others = [{"name": name, "from": where, "effect": effect} for name, where, effect in found.others]
        write_json({"settings": settings, "aliases": others, "checks": checks})
        return PROBLEM_FOUND if any(one.state == "problem" for one in found.checks) else 0
    for name, value, origin in found.values:
        write(f"{'set':<8} {name} = {value} ({origin})")
    for name, where, effect in found.others:
        write(f"{'alias':<8} {name} ({where}): {effect}")
    return report(found.checks, as_json=False)


@group.command("new-key")
def new_key() -> None:
    """Make a key for SHELFWISE_ENCRYPTION_KEY, under which files of models and backups are encrypted, and print it.

    It is kept nowhere: without it, what was encrypted under it cannot be read by anybody.
    """
    from shelfwise.domain.encryption_keys import new_key as make

    write(make())
