"""``shelfwise config show``: every setting, its value, and where the value came from."""

from __future__ import annotations

import typer

from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption
from shelfwise.cli.output import form, write_frame

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
