"""Exports that say what is so and not since when, and the warehouse of rows that do not say where.

A stock export without a date was true when it was exported. The time its file was last changed is that moment as long
as nobody has touched the file; the receipt says what was taken, and a date column (``as of``) in the file wins.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from shelfwise.ingest.profiles.base import DEFAULT_WAREHOUSE, Options
from shelfwise.ingest.quality import Sieve
from shelfwise.ingest.receipt import some
from shelfwise.ingest.tables import LINE


def exported_at(sieve: Sieve) -> datetime:
    """Return when a file was last changed, in shop time, and say so; the start of today if that lies ahead.

    Without a shop time zone the zone of this machine stands in: it is most likely where the export was made.
    """
    changed = datetime.fromtimestamp(sieve.table.source.changed, tz=UTC)
    local = changed.astimezone(ZoneInfo(sieve.timezone)) if sieve.timezone else changed.astimezone()
    moment = local.replace(tzinfo=None, microsecond=0)
    today = sieve.today
    # A day of grace, because the shop's day and the machine's may differ by some hours.
    if today is not None and moment.date() > today + timedelta(days=1):
        moment = datetime.combine(today, datetime.min.time())
        sieve.notes.append(f"the file was changed after {today}; its stock is taken as that of the start of that day")
        return moment
    sieve.notes.append(
        f"no column says when the stock was so; taken as {moment:%Y-%m-%d %H:%M}, when the file was last changed: give "
        "the file as it was exported, or add a column 'as of'"
    )
    return moment


def not_below_zero(sieve: Sieve, units: pl.Series) -> pl.Series:
    """Return units with those below zero as none on hand, and say how many were oversold."""
    below = (units < 0).fill_null(value=False) & sieve.kept
    if below.any():
        lines = some((str(line) for line in sieve.frame[LINE].filter(below)), limit=3)
        sieve.notes.append(
            f"{int(below.sum()):,} row(s) have stock below zero, read as none on hand; {-units.filter(below).sum():g} "
            f"units are promised that are not there (lines {lines})"
        )
    return units.clip(0)


def ended(sieve: Sieve, rows: pl.DataFrame, archived: pl.Series, last_sales: pl.DataFrame) -> pl.DataFrame:
    """Add ``discontinued_on`` for archived products: their last sale in this import, else yesterday.

    Parameters
    ----------
    archived
        Which of ``rows`` are.
    last_sales
        product, last: the last day each sold.
    """
    if sieve.today is None or not archived.any():
        return rows
    sieve.notes.append(f"{int(archived.sum()):,} archived product(s) are taken as discontinued and are not planned")
    yesterday = sieve.today - timedelta(days=1)
    last = rows.join(last_sales, on="product", how="left", maintain_order="left")["last"].fill_null(yesterday)
    return rows.with_columns(pl.when(archived).then(last).alias("discontinued_on"))


def home(options: Options, places: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """Return the warehouse of rows that name none, and the others it might have been.

    What was asked for wins; then the only warehouse there is, in these files or in the store.

    >>> home(Options(), ["Berlin"]), home(Options(known_warehouses=("Berlin", "Bonn")), [])
    (('Berlin', ()), ('main', ('Berlin', 'Bonn')))
    """
    if options.warehouse != DEFAULT_WAREHOUSE:
        return options.warehouse, ()
    known = sorted({*places, *options.known_warehouses})
    if len(known) == 1:
        return known[0], ()
    return DEFAULT_WAREHOUSE, tuple(known)
