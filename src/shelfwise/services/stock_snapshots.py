"""Stock at the end of past shop days: kept each night, and shown as of a day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final

import polars as pl

from shelfwise.app import App
from shelfwise.domain.errors import ParameterError
from shelfwise.services.names import product_code, warehouse_code
from shelfwise.storage import catalogue, stock_snapshots

_DAY: Final = dt.timedelta(days=1)


def take(app: App, progress: Callable[[str, int, int], None]) -> dict[str, Any]:
    """Keep the stock of yesterday and of the days before it that were missed; a day that is kept already is left so.

    The first time it is yesterday alone.
    """
    yesterday = app.today() - _DAY
    oldest = app.today() - app.settings.keep_stock_days * _DAY
    progress("working out the stock", 0, 2)
    with app.database.read() as connection:
        last = stock_snapshots.last_day(connection)
        first = yesterday if last is None else max(last + _DAY, oldest)
        days = [first + n * _DAY for n in range((yesterday - first).days + 1)]
        found = stock_snapshots.worked_out(connection, days, just_ended=yesterday)
    progress("keeping it", 1, 2)
    kept = 0
    for _, part in found.group_by("day", maintain_order=True):  # a day at a time, so that nobody waits for a year
        with app.database.write() as connection:
            kept += stock_snapshots.keep(connection, part, app.now())
    with app.database.write() as connection:
        forgotten = stock_snapshots.forget(connection, oldest)
    return {"days": [day.isoformat() for day in days], "rows": kept, "forgotten": forgotten}


def as_of(app: App, day: dt.date, product: str | None = None, warehouse: str | None = None) -> pl.DataFrame:
    """Return stock at the end of a day: ``product, name, warehouse, on_hand, on_order, kept``.

    ``on_hand`` is what the movements say today, corrections included; ``on_order`` what that night's snapshot says, or
    else the orders, empty where they do not tell; ``kept`` is what the snapshot says was on hand, empty without one.

    Raises
    ------
    ParameterError
        The day is not over.
    NotFound
        There is no such product or warehouse; the message lists the nearest.
    """
    if day >= app.today():
        raise ParameterError(f"{day} is not over yet; without a day, what is on hand now is shown")
    with app.database.read() as connection:
        table = catalogue.products(connection)
        found = stock_snapshots.worked_out(connection, [day], just_ended=app.today() - _DAY)
        seen = stock_snapshots.of_day(connection, day)
        if product is not None:
            found = found.filter(pl.col("product") == product_code(table, product))
        if warehouse is not None:
            code = warehouse_code(catalogue.warehouses(connection), warehouse)
            found = found.filter(pl.col("warehouse") == code)
    key = ["day", "product", "warehouse"]
    joined = found.join(
        seen.rename({"on_hand": "kept", "on_order": "noted"}), on=key, how="left", maintain_order="left"
    )
    named = joined.join(table.select("product", "name"), on="product", how="left", maintain_order="left")
    on_order = pl.coalesce("noted", "on_order").alias("on_order")
    return named.select("product", "name", "warehouse", "on_hand", on_order, "kept")
