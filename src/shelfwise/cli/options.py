"""The options that many commands share, and the step from them to an open `App`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from shelfwise.app import App

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        "-d",
        metavar="FILE|URL",
        help="The shop's database: a file, or a server's, like postgresql://user@host/name (SHELFWISE_DATABASE).",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON to stdout.", show_default=False)]
CsvOption = Annotated[bool, typer.Option("--csv", help="Write CSV to stdout.", show_default=False)]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="Forecasting model (SHELFWISE_MODEL).", show_default=False)
]
SupplierOption = Annotated[
    str | None, typer.Option("--supplier", "-s", help="Only this supplier's lines.", show_default=False)
]
ProductsOption = Annotated[
    list[str] | None, typer.Option("--product", "-p", help="Only this product; repeat for more.", show_default=False)
]


def open_shop(database: str | None, *, create: bool = False, **flags: Any) -> App:
    """Open the shop that the flags, the environment and the files name.

    Parameters
    ----------
    create
        Make the database if there is none; otherwise its absence is an error that names the first commands.
    """
    import logging

    from shelfwise.app import open_app

    shop = open_app(database=database, create=create, **flags)
    logging.getLogger("shelfwise").setLevel(shop.settings.log_level)
    if shop.settings.log_level in ("DEBUG", "INFO"):  # Python itself writes warnings and errors to stderr
        from shelfwise import logs

        logs.configure(shop.settings.log_level, shop.settings.log_format)
    return shop


def database_flag(app: App) -> str:
    """Return what a command must be followed by to use this database, with a space in front; nothing if it is the
    default one.
    """
    import shlex

    if app.origins["database"] != "flag":
        return ""
    return f" --database {shlex.quote(str(app.settings.database))}"
