"""``shelfwise serve``: the answers over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from shelfwise.cli.options import DatabaseOption, open_shop
from shelfwise.cli.output import say


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("serve", short_help="Answer over HTTP.")(serve)


def serve(
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on (SHELFWISE_HOST).")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on (SHELFWISE_PORT).")] = None,
    database: DatabaseOption = None,
) -> None:
    """Serve forecasts over HTTP on this machine, until Ctrl-C. What can be asked is in docs/api.md."""
    with open_shop(database, create=True, host=host, port=port) as shop:
        from shelfwise import server

        server.serve(
            shop, shop.settings.host, shop.settings.port, ready=lambda url: say(f"serving on {url}, Ctrl-C ends it")
        )
