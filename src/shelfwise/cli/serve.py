"""``shelfwise serve``: the answers over HTTP."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Annotated

import typer

from shelfwise.cli.options import DatabaseOption, open_shop
from shelfwise.cli.output import say

if TYPE_CHECKING:
    from shelfwise.services.users import Start


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("serve", short_help="Answer over HTTP.")(serve)


def serve(
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on (SHELFWISE_HOST).")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on (SHELFWISE_PORT).")] = None,
    no_authentication: Annotated[
        bool,
        typer.Option("--no-authentication", help="Ask nobody who they are; on this machine alone.", show_default=False),
    ] = False,
    database: DatabaseOption = None,
) -> None:
    """Serve forecasts over HTTP on this machine, until Ctrl-C. What can be asked is in docs/api.md.

    The first start makes the owner and an API token, and prints a link that signs a browser in.
    """
    asked = "none" if no_authentication else None
    with open_shop(database, create=True, host=host, port=port, authentication=asked) as shop:
        # What is imported stays: looking through it again and again takes a tenth of the time until the start.
        gc.disable()
        try:
            from shelfwise import logs, server
        finally:
            gc.enable()
        # What a service does is worth a line, what a command does is not.
        level = "INFO" if shop.origins["log_level"] == "default" else shop.settings.log_level
        logs.configure(level, shop.settings.log_format)
        server.serve(
            shop, shop.settings.host, shop.settings.port, invite=_invite,
            ready=lambda url: say(f"serving on {url}, Ctrl-C ends it"),
        )  # fmt: skip


def _invite(url: str, start: Start) -> None:
    from shelfwise.services.users import LINK_MINUTES

    say(f"{start.user} signs in, once and within {LINK_MINUTES} minutes, at {url}/sign-in?code={start.code}")
    if start.token is not None:
        say(f"API token of {start.user}, shown this once: {start.token}")
