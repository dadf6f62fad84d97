"""Long tables of data science: ``unique_id, ds, y``, or ``item_id, timestamp, demand``.

``unique_id`` is the product; a location column, where there is one, is the warehouse. A ``price`` column becomes
prices by the day they change. Negative quantities are returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from shelfwise.ingest.profiles.base import Options, Part, Role, column, movements_frame
from shelfwise.ingest.profiles.daily import (
    booked,
    default_text,
    drop_repeats,
    drop_zeros,
    from_sieve,
    launches,
    optional_number,
    row_key,
    sale_or_return,
)
from shelfwise.ingest.quality import Sieve

SERIES: Final = Role(
    "series",
    (
        column("product", "unique_id, item_id, series_id", required=True),
        column("occurred_at", "ds, timestamp", required=True),
        column("quantity", "y, demand, target_value", required=True),
        column("warehouse", "location, warehouse, store, store_id"),
        column("unit_price", "price, unit_price, sell_price"),
    ),
)


class Long:
    """Reads long tables with one row per series and date."""

    name = "long"
    roles = (SERIES,)

    def read(self, tables: Mapping[str, Sequence[Sieve]], options: Options) -> Part:
        """Turn the rows into movements, launches and prices."""
        sieves = tables[SERIES.name]
        rows = pl.concat([_parsed(sieve, number, options) for number, sieve in enumerate(sieves)])
        # Unlike a list of sales, a series has one value per date: a repeat is never a second sale.
        key = pl.concat_str("product", "warehouse", pl.col("occurred_at").dt.strftime("%Y-%m-%dT%H:%M"), separator="|")
        rows = row_key(rows, exact=False).with_columns(key.str.strip_suffix("T00:00").alias("line_id"))
        rows = drop_repeats(sieves, rows)
        for sieve in sieves:
            sieve.refuse_if_mostly_bad()
        codes = rows.select("product").unique().sort("product")
        products = codes.join(launches(rows), on="product", how="left")
        prices = price_changes(rows)
        sold = sale_or_return(drop_zeros(sieves, rows))
        receipts = tuple(
            sieve.receipt(self.name, SERIES.name, booked=booked(sold, number)) for number, sieve in enumerate(sieves)
        )
        frames = {
            "movements": movements_frame(sold, self.name),
            "products": products,
            "warehouses": rows.select("warehouse").unique().sort("warehouse"),
            "prices": prices,
        }
        return Part(frames, receipts)


def _parsed(sieve: Sieve, file: int, options: Options) -> pl.DataFrame:
    product = sieve.code("product")
    moment = sieve.moment("occurred_at", required=True, past=True)
    quantity = sieve.number("quantity")
    sieve.drop(quantity.is_null(), "has no value: not recorded, which is not the same as 0")
    columns = {
        "product": product,
        "warehouse": default_text(sieve, "warehouse", options.warehouse),
        "occurred_at": moment.values,
        "quantity": quantity,
        "unit_price": optional_number(sieve, "unit_price"),
    }
    sieve.refuse_if_mostly_bad()
    return from_sieve(sieve, file, columns)


def price_changes(rows: pl.DataFrame) -> pl.DataFrame:
    """Return product, warehouse, starts_on, price: the first day of each price, from rows with a price each."""
    place = ["product", "warehouse"]
    return (
        rows.lazy()
        .filter(pl.col("unit_price") >= 0)
        .select(*place, pl.col("occurred_at").dt.date().alias("starts_on"), pl.col("unit_price").alias("price"))
        .unique([*place, "starts_on"], keep="first", maintain_order=True)
        .sort(*place, "starts_on")
        .filter((pl.col("price") != pl.col("price").shift(1).over(place)).fill_null(value=True))
        .collect()
    )
