"""Import profiles: how a kind of file is read, said once and used by itself for the next file with those headers."""

from __future__ import annotations

import re
from typing import cast

import polars as pl

from shelfwise import ingest
from shelfwise.app import App
from shelfwise.domain.errors import ParameterError
from shelfwise.ingest.mapping import called
from shelfwise.ingest.moments import DateOrder
from shelfwise.storage import import_mappings
from shelfwise.storage.import_mappings import KeptMapping

LISTED = {
    "profile": pl.String(), "table": pl.String(), "columns": pl.String(), "date_order": pl.String(),
    "warehouse": pl.String(), "saved_at": pl.Datetime("us"),
}  # fmt: skip


def remembered(app: App) -> list[ingest.SaidMapping]:
    """Return the saved profiles as mappings, the latest first."""
    with app.database.read() as connection:
        kept = import_mappings.all_mappings(connection)
    return [
        ingest.SaidMapping(
            one.mapping, one.table_name, cast("DateOrder | None", one.date_order), one.warehouse, one.name,
            one.headers_hash,
        )
        for one in kept
    ]  # fmt: skip


def check_name(name: str) -> str:
    """Return the name of a profile, without spaces around it.

    Raises
    ------
    ParameterError
        It is empty, too long, or has a line break in it.
    """
    plain = name.strip()
    if not plain or len(plain) > 100 or re.search(r"[\x00-\x1f]", plain):
        raise ParameterError(f"the name of an import profile has 1 to 100 characters on one line, got {name!r}")
    return plain


def save(
    app: App, name: str, used: tuple[ingest.UsedMapping, ...], date_order: str | None, warehouse: str | None
) -> None:
    """Keep how the file of an import was read.

    Raises
    ------
    ParameterError
        There were several kinds of file, or the file is of a format that needs no profile.
    """
    kinds = {(ingest.headers_hash(one.headers), one.table) for one in used}
    if len(kinds) != 1:
        raise ParameterError(f"a profile is of one kind of file, got {len(kinds)} kinds; import them one by one")
    if used[0].profile != "canonical":
        raise ParameterError(f"{used[0].file} is recognised as {used[0].profile} and needs no profile")
    said = used[0].said
    kept = KeptMapping(
        name=check_name(name),
        headers_hash=ingest.headers_hash(used[0].headers),
        table_name=used[0].table,
        mapping=used[0].mapping,
        date_order=date_order or used[0].date_order or (said.date_order if said else None),
        warehouse=warehouse or (said.warehouse if said else None),
        created_at=app.now(),
    )
    with app.database.write() as connection:
        import_mappings.keep(connection, kept)


def listed(app: App) -> pl.DataFrame:
    """Return the saved profiles, the latest first: profile, table, columns, date order, warehouse, when."""
    with app.database.read() as connection:
        kept = import_mappings.all_mappings(connection)
    rows = [
        {
            "profile": one.name,
            "table": one.table_name,
            "columns": ", ".join(f"{called(ours)}={theirs}" for ours, theirs in one.mapping.items()),
            "date_order": one.date_order,
            "warehouse": one.warehouse,
            "saved_at": one.created_at,
        }
        for one in kept
    ]
    return pl.DataFrame(rows, schema=LISTED)


def forget(app: App, name: str) -> None:
    """Forget a profile; what was imported by it stays.

    Raises
    ------
    NotFound
        There is none of that name.
    """
    with app.database.write() as connection:
        import_mappings.forget(connection, name)
