"""Wide tables of the M5 competition: one row per product and store, one column per day, dates in ``calendar.csv``.

Given together: the sales table (``item_id, store_id, d_1 ... d_1941``), ``calendar.csv`` (which date each ``d_n`` is,
and the events) and, if wanted, ``sell_prices.csv`` (weekly prices). Only cells other than zero become movements. A
zero is a day on sale from the first week in which the product has a price (without prices: from its first filled
cell); that day is ``launched_on`` where it lies after the table's first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl

from shelfwise.domain.errors import FileRefused
from shelfwise.domain.frames import MOVEMENTS
from shelfwise.ingest.profiles.base import Options, Part, Role, column, movements_frame
from shelfwise.ingest.profiles.daily import from_sieve, sale_or_return
from shelfwise.ingest.profiles.long import price_changes
from shelfwise.ingest.quality import Sieve

DAYS: Final = r"d_\d+"
BLOCK: Final = 2_000  # rows melted in one go, so that memory stays bounded

SALES: Final = Role(
    "daily columns",
    (
        column("product", "item_id, product, sku", required=True),
        column("warehouse", "store_id, store, warehouse, location"),
        column("category", "cat_id, category"),
        column("brand", "dept_id, department"),
    ),
    many=DAYS,
)
CALENDAR: Final = Role(
    "calendar",
    (
        column("date", "date", required=True),
        column("d", "d", required=True),
        column("week", "wm_yr_wk"),
        column("event_1", "event_name_1"),
        column("event_2", "event_name_2"),
    ),
)
PRICES: Final = Role(
    "sell prices",
    (
        column("product", "item_id", required=True),
        column("warehouse", "store_id"),
        column("week", "wm_yr_wk", required=True),
        column("unit_price", "sell_price", required=True),
    ),
)


class Wide:
    """Reads M5-style wide tables with their calendar and prices."""

    name = "wide"
    roles = (SALES, CALENDAR, PRICES)

    def read(self, tables: Mapping[str, Sequence[Sieve]], options: Options) -> Part:
        """Turn the three tables into movements, products, prices and events."""
        sales, calendars = tables.get(SALES.name, ()), tables.get(CALENDAR.name, ())
        prices = tables.get(PRICES.name, ())
        _refuse_without(sales, calendars, prices)
        calendar, events = _calendar(calendars[0])
        receipts = [calendars[0].receipt(self.name, CALENDAR.name)]
        frames: dict[str, pl.DataFrame] = {"calendar_events": events}
        priced = _no_prices()
        for sieve in prices:
            priced = pl.concat([priced, _prices(sieve, calendar, options)])
            receipts.append(sieve.receipt(self.name, PRICES.name))
        rows, begun = _no_rows(), []
        for number, sieve in enumerate(sales):
            cells, began = _melted(sieve, number, calendar, priced, options)
            if rows.height:
                # The evaluation table of the M5 repeats the validation table and goes on: a cell counts once.
                cells = cells.join(rows.select("line_id"), on="line_id", how="anti", maintain_order="left")
            sieve.facts["cells that become movements"] = cells.height
            receipts.append(sieve.receipt(self.name, SALES.name))
            rows = pl.concat([rows, cells])
            begun.append(began)
        begins = pl.concat(begun)
        if prices:
            frames["prices"] = price_changes(priced)
            begins = begins.join(
                priced.group_by("product").agg(pl.col("occurred_at").dt.date().min().alias("priced_on")),
                on="product", how="left",
            ).with_columns(pl.max_horizontal("launched_on", "priced_on").alias("launched_on"))  # fmt: skip
        first = calendar["date"].min()
        late = pl.when(pl.col("launched_on") > pl.lit(first)).then(pl.col("launched_on"))
        products = begins.group_by("product", maintain_order=True).agg(
            pl.col("category").first(), pl.col("brand").first(), late.min().alias("launched_on")
        )
        frames |= {
            "movements": movements_frame(rows, self.name),
            "products": products,
            "warehouses": begins.select("warehouse").unique().sort("warehouse"),
        }
        return Part(frames, tuple(receipts))


def _no_prices() -> pl.DataFrame:
    text, money = pl.String, pl.Float64
    return pl.DataFrame(
        schema={"product": text, "warehouse": text, "unit_price": money, "occurred_at": pl.Datetime("us")}
    )


def _no_rows() -> pl.DataFrame:
    columns = ("kind", "occurred_at", "product", "warehouse", "quantity", "unit_price")
    return pl.DataFrame(schema={"line_id": pl.String, **{name: MOVEMENTS.columns[name].dtype for name in columns}})


def _refuse_without(sales: Sequence[Sieve], calendars: Sequence[Sieve], prices: Sequence[Sieve]) -> None:
    if not sales:
        lonely = (*calendars, *prices)[0]
        raise FileRefused(
            lonely.table.place(), "", "belongs to a table with columns d_1, d_2, ... which was not given",
            "give the files together",
        )  # fmt: skip
    if len(calendars) != 1:
        raise FileRefused(
            sales[0].table.place("d_1"), "'d_1'",
            f"is a day whose date only calendar.csv knows, and {len(calendars)} calendars were given",
            "give the sales table and its calendar.csv (columns date, d) together",
        )  # fmt: skip


def _calendar(sieve: Sieve) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (d, date, week) and the events as calendar events of the whole shop."""
    day = sieve.code("d")
    date = sieve.moment("date", required=True).values.dt.date()
    week = (
        sieve.code("week", required=False)
        if sieve.has("week")
        else pl.repeat(None, len(day), dtype=pl.String, eager=True)
    )
    named = [sieve.text(name) for name in ("event_1", "event_2") if sieve.has(name)]
    sieve.refuse_if_mostly_bad()
    calendar = pl.DataFrame({"d": day, "date": date, "week": week}).filter(sieve.kept)
    if calendar["d"].is_duplicated().any():
        twice = calendar.filter(calendar["d"].is_duplicated())["d"][0]
        raise FileRefused(sieve.table.place("d"), repr(twice), "stands there twice", "give one date per day")
    rows = [
        pl.DataFrame({"name": names, "starts_on": date}).filter(sieve.kept & names.is_not_null()) for names in named
    ]
    empty = pl.DataFrame(schema={"name": pl.String, "starts_on": pl.Date})
    events = pl.concat([empty, *rows]).unique(maintain_order=True)
    shop = {"kind": "holiday", "scope_kind": "shop"}
    return calendar, events.with_columns(
        pl.col("starts_on").alias("ends_on"), *(pl.lit(value).alias(name) for name, value in shop.items())
    )


def _prices(sieve: Sieve, calendar: pl.DataFrame, options: Options) -> pl.DataFrame:
    """Return product, warehouse, occurred_at (first day of the week), unit_price."""
    product, week = sieve.code("product"), sieve.code("week")
    price = sieve.number("unit_price", required=True, least=0)
    store = sieve.code("warehouse") if sieve.has("warehouse") else pl.repeat(
        options.warehouse, len(product), dtype=pl.String, eager=True
    )  # fmt: skip
    known = calendar["week"].drop_nulls().unique()
    sieve.drop(~week.is_in(known.implode()), "is of a week the calendar does not have")
    sieve.refuse_if_mostly_bad()
    starts = calendar.group_by("week").agg(pl.col("date").min().cast(pl.Datetime("us")).alias("occurred_at"))
    rows = pl.DataFrame({"product": product, "warehouse": store, "week": week, "unit_price": price})
    return rows.filter(sieve.kept).join(starts, on="week", how="inner").drop("week")


def _melted(
    sieve: Sieve, file: int, calendar: pl.DataFrame, prices: pl.DataFrame, options: Options
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the cells other than zero as movements, and per row of the table its product and first filled day."""
    product = sieve.code("product")
    days = [name for name in sieve.frame.columns if name.startswith("d_")]
    dates = dict(calendar.select("d", "date").iter_rows())
    unknown = [day for day in days if day not in dates]
    if unknown:
        raise FileRefused(
            sieve.table.place(unknown[0]),
            repr(unknown[0]),
            "has no date in the calendar",
            "give the calendar of this table",
        )
    sieve.refuse_if_mostly_bad()
    values = {name: _day_column(sieve, name) for name in days}
    sieve.refuse_if_mostly_bad()
    columns = {
        "product": product,
        "warehouse": _text_or(sieve, "warehouse", options.warehouse),
        "category": _text_or(sieve, "category", None),
        "brand": _text_or(sieve, "brand", None),
    }
    place = pl.DataFrame({"product": product, "warehouse": columns["warehouse"]})
    again = ~place.select(pl.struct("product", "warehouse").is_first_distinct()).to_series()
    sieve.reject(again, "product", "is a second row for the same product and store; the first one counts")
    rows = from_sieve(sieve, file, {**columns, **values})
    when = pl.Series([dates[day] for day in days]).cast(pl.Datetime("us"))
    blocks, filled = [_no_rows()], []
    for start in range(0, rows.height, BLOCK):
        block = rows.slice(start, BLOCK)
        cells = block.select(days).to_numpy()  # [rows of the block, days]
        given = ~np.isnan(cells)
        filled.append(np.where(given.any(axis=1), np.argmax(given, axis=1), -1))
        at, day = np.nonzero(np.nan_to_num(cells))
        sold = block.select("product", "warehouse")[at].with_columns(
            when.gather(day).alias("occurred_at"), pl.Series("quantity", cells[at, day]).cast(pl.Float64)
        )
        here = prices.join(block.select("product", "warehouse"), on=["product", "warehouse"], how="semi")
        blocks.append(_movements(sold, here))
    first = np.concatenate(filled) if filled else np.zeros(0, dtype=np.int64)
    begun = rows.select("product", "warehouse", "category", "brand").with_columns(
        when.dt.date().gather(np.maximum(first, 0)).alias("launched_on")
    )
    return pl.concat(blocks), begun.filter(pl.Series(first >= 0))


def _movements(sold: pl.DataFrame, prices: pl.DataFrame) -> pl.DataFrame:
    """Return the cells of one block with id, kind and the price of their week."""
    priced = sold.sort("occurred_at").join_asof(
        prices.sort("occurred_at"), on="occurred_at", by=["product", "warehouse"], strategy="backward",
        check_sortedness=False,
    )  # fmt: skip
    day = pl.col("occurred_at").dt.strftime("%Y-%m-%d")
    key = pl.concat_str("product", "warehouse", day, separator="|").alias("line_id")
    return sale_or_return(priced.with_columns(key)).select(_no_rows().columns)


def _day_column(sieve: Sieve, name: str) -> pl.Series:
    cells = sieve.frame[name]
    if cells.dtype != pl.Float32:
        return sieve.number(name).cast(pl.Float32)
    sieve.reject(cells.is_infinite(), name, "is not a number")
    return cells


def _text_or(sieve: Sieve, field: str, default: str | None) -> pl.Series:
    if sieve.has(field):
        cells = sieve.text(field)
        return cells if default is None else cells.fill_null(default)
    return pl.repeat(default, sieve.frame.height, dtype=pl.String, eager=True)
