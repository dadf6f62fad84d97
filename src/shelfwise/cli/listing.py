"""What a group of commands does by itself: it lists what there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption, open_shop
from shelfwise.cli.output import Form, form, write_frame

if TYPE_CHECKING:
    import polars as pl

    from shelfwise.app import App


def lists(
    group: typer.Typer,
    read: Callable[[App], pl.DataFrame],
    *,
    about: str,
    shown: Sequence[str],
    empty: str,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Let the group list a frame when none of its commands is named.

    Parameters
    ----------
    read
        Reads the frame from the open shop.
    about
        What its help says.
    shown
        Columns of the text form.
    empty
        What is said where there is nothing to list.
    headers
        Other headers of the text form, by column; ``shown`` names the columns themselves.
    """

    @group.callback(invoke_without_command=True, help=about)
    def listed(
        context: typer.Context, database: DatabaseOption = None, as_json: JsonOption = False, as_csv: CsvOption = False
    ) -> None:
        if context.invoked_subcommand is not None:
            return
        to = form(as_json, as_csv)
        with open_shop(database) as shop:
            frame = read(shop)
        if to is Form.TEXT:
            frame = frame.select(shown).rename(headers or {})
        write_frame(frame, to, empty=empty)
