"""What goes to stdout, and in which form: data only. Everything said to a person about it goes to stderr.

A frame is a table on a terminal, plain aligned text in a pipe, or JSON or CSV where asked for.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

import typer

from shelfwise.domain import words

if TYPE_CHECKING:
    import polars as pl

NARROWEST = 60
MONEY = ("unit_cost", "price", "value", "minimum", "minimum_order_value")
NARROWEST_TEXT = 12
"""A text column is not cut below this; most codes are shorter."""


class Form(Enum):
    """The form of what is written to stdout."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"


def form(as_json: bool, as_csv: bool) -> Form:
    """Return the form that the two flags ask for."""
    if as_json and as_csv:
        raise typer.BadParameter("give --json or --csv, not both")
    return Form.JSON if as_json else Form.CSV if as_csv else Form.TEXT


def say(text: str = "") -> None:
    """Tell the person something that is not data."""
    typer.echo(text, err=True)


class ReaderGone(Exception):
    """Whoever read stdout, like ``head``, has closed it."""


def write(text: str = "", *, end: bool = True) -> None:
    """Write one piece of data to stdout, and end its line."""
    try:
        typer.echo(text, nl=end)
    except BrokenPipeError:
        raise ReaderGone from None


def width() -> int:
    """Return the columns to write in: the terminal's, or 120 in a pipe, where nobody wraps."""
    if "COLUMNS" not in os.environ and not sys.stdout.isatty():
        return 120
    return max(NARROWEST, shutil.get_terminal_size().columns)


def write_json(value: object) -> None:
    """Write one JSON document; a day is ``2026-11-21``, what is not known is null."""
    write(json.dumps(_plain(value), ensure_ascii=False, indent=2))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, bool) or value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "to_dicts"):
        return _plain(value.to_dicts())
    return _plain(value.item()) if hasattr(value, "item") else str(value)


def write_frame(frame: pl.DataFrame, to: Form, *, shown: Sequence[str] | None = None, empty: str = "") -> None:
    """Write a frame.

    Parameters
    ----------
    frame
        The data; JSON and CSV get every column of it.
    shown
        Columns of the text form, all by default.
    empty
        What to say, on stderr, if there are no rows and the form is text.
    """
    if to is Form.JSON:
        write_json(frame.to_dicts())
    elif to is Form.CSV:
        write(frame.write_csv(), end=False)
    elif frame.height == 0:
        say(empty or "nothing to show")
    else:
        picked = frame if shown is None else frame.select([name for name in shown if name in frame.columns])
        numeric = [dtype.is_numeric() for dtype in picked.dtypes]
        rows = [
            [money(value) if name in MONEY else cell(value) for name, value in zip(picked.columns, row, strict=True)]
            for row in picked.iter_rows()
        ]
        write_table(picked.columns, rows, numeric)


def cell(value: Any) -> str:
    """Return a value as the text of a table's cell."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dt.datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, float):
        return words.units(value) if abs(value) >= 9.95 or value == round(value) else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def money(value: float | str | None) -> str:
    """Return money without its currency as the text of a table's cell.

    >>> money(5.7), money(None)
    ('5.70', '-')
    """
    # A setting's value stands in a column of that name, too, and is a text.
    return cell(value) if value is None or isinstance(value, str) else f"{value:,.2f}"


def write_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    numeric: Sequence[bool],
    *,
    indent: int = 0,
    wide: bool = False,
) -> None:
    """Write rows of text as a table. On a terminal the longest texts give way; codes and numbers are never cut.

    Parameters
    ----------
    numeric
        Which columns stand to the right.
    indent
        Spaces in front of each row.
    wide
        Cut nothing on a terminal either.
    """
    titles = [header.replace("_", " ") for header in headers]
    sizes = [max([len(title), *(len(row[i]) for row in rows)]) for i, title in enumerate(titles)]
    on_terminal = sys.stdout.isatty()
    if on_terminal and not wide:
        _narrow(sizes, numeric, width() - indent - 2 * (len(sizes) - 1))
    for number, row in enumerate((titles, *rows)):
        texts = [
            text.rjust(size) if right else words.shortened(text, size).ljust(size)
            for text, size, right in zip(row, sizes, numeric, strict=True)
        ]
        text = (" " * indent + "  ".join(texts)).rstrip()
        write(_bold(text) if on_terminal and number == 0 else text)


def _narrow(sizes: list[int], numeric: Sequence[bool], room: int) -> None:
    """Make the widest text columns narrower until the row fits, none below `NARROWEST_TEXT`."""
    while sum(sizes) > room:
        texts = [i for i, right in enumerate(numeric) if not right and sizes[i] > NARROWEST_TEXT]
        if not texts:
            return
        widest = max(texts, key=lambda i: sizes[i])
        sizes[widest] -= 1


def _bold(text: str) -> str:
    """Return the text in bold, unless the person asked for none of that (NO_COLOR)."""
    return text if os.environ.get("NO_COLOR") else f"\x1b[1m{text}\x1b[0m"
