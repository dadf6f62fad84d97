"""Files that come over a connection: kept in a folder of their own for as long as they are read."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shelfwise.app import App
from shelfwise.domain.errors import ParameterError
from shelfwise.services import importing
from shelfwise.services.importing import Imported, SaidMapping


def safe_name(name: str) -> str:
    r"""Return the last part of a file's name, with nothing in it that a file system gives a meaning to.

    >>> safe_name("orders export.csv"), safe_name("../../etc/passwd.csv"), safe_name("C:\\shop\\stock.xlsx")
    ('orders export.csv', 'passwd.csv', 'stock.xlsx')
    """
    last = re.split(r"[/\\]", name)[-1]
    found = re.sub(r"[^\w. ()+,@-]", "-", last).strip(" .")[-150:].lstrip(" .")
    if not found:
        raise ParameterError(f"{name!r} is no name of a file; give one like orders.csv")
    return found


def import_bytes(app: App, content: bytes, name: str, **how: Any) -> Imported:
    """Import a file that is given by its content; see `importing.import_files` for ``how`` and the errors.

    The file's name tells its kind and goes into the receipt.
    """
    if not content:
        raise ParameterError(f"{name!r} is empty; send the file as the body of the request")
    with tempfile.TemporaryDirectory(prefix="shelfwise-") as folder:
        path = Path(folder) / safe_name(name)
        path.write_bytes(content)
        return importing.import_files(app, [path], **how)


def said(columns: Sequence[str], table: str | None) -> SaidMapping | None:
    """Return what was said about a file's columns, each like ``product=Artikel``; None where nothing was.

    >>> said(["product=Artikel"], "sales").columns
    {'product': 'Artikel'}
    """
    if not columns and table is None:
        return None
    found: dict[str, str] = {}
    for text in columns:
        name, sign, header = (part.strip() for part in text.partition("="))
        if not (sign and name and header):
            raise ParameterError(f"a column is mapped as FIELD=HEADER, like product=Artikel, got {text!r}")
        if name in found:
            raise ParameterError(f"{name!r} is mapped twice, to {found[name]!r} and {header!r}; keep one of them")
        found[name] = header
    return SaidMapping(found, table)
