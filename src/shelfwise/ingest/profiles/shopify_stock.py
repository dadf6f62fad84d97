"""Shopify's exports of products and stock: a row or a column per location, product list, stock at the end of a month.

A product is its SKU, or without one its title and options as orders write them: ``Title - Option / Option``. Stock is
what can be sold: available, that is on hand less what is committed to orders (booked as sold already) and what is
unavailable (damaged, held back).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import polars as pl

from shelfwise.domain.errors import FileRefused
from shelfwise.ingest.profiles.base import CODE_LENGTH, TOO_LONG, Role, column
from shelfwise.ingest.profiles.daily import optional_number
from shelfwise.ingest.profiles.snapshots import ended, exported_at, not_below_zero
from shelfwise.ingest.quality import Sieve
from shelfwise.ingest.receipt import some

NOT_STOCKED: Final = "not stocked"
NO_VARIANT: Final = "default title"

_OPTIONS: Final = tuple(column(f"option_{n}", f"Option{n} Value, Option {n} Value") for n in (1, 2, 3))
_AS_OF: Final = column("as_of", "As of, Exported at, Snapshot date")

INVENTORY: Final = Role(
    "inventory",
    (
        column("handle", "Handle, URL handle", required=True),
        column("title", "Title", required=True),
        *_OPTIONS,
        column("product", "SKU", required=True),
        column("warehouse", "Location", required=True),
        column("available", "Available (not editable), Available"),
        column("on_hand", "On hand (current), On hand"),
        column("committed", "Committed (not editable), Committed"),
        column("unavailable", "Unavailable (not editable), Unavailable"),
        column("incoming", "Incoming (not editable), Incoming"),
        _AS_OF,
    ),
)
# Every header that is none of these is a location; a street or a pick-up point for customers may be one.
_NO_LOCATION: Final = (
    r"handle|title|option ?\d (?:name|value)|sku|barcode|hs code|coo|country of origin|location|bin name|incoming"
    r"|unavailable|committed|available|on hand|as of|exported at|snapshot date|vendor|type|tags|status|variant .*"
    r"|.*e-?mail.*|.*phone.*|customer (?:name|id|address)"
)
INVENTORY_BY_LOCATION: Final = Role(
    "inventory by location",
    (
        column("handle", "Handle", required=True),
        column("title", "Title", required=True),
        *_OPTIONS,
        column("product", "SKU", required=True),
        column("hs_code", "HS Code", required=True),
        _AS_OF,
    ),
    many=rf"(?i)(?!(?:{_NO_LOCATION})(?: \(.*\))?$).+",
)
PRODUCTS: Final = Role(
    "variants",
    (
        column("handle", "Handle, URL handle", required=True),
        column("title", "Title", required=True),
        column("supplier", "Vendor", required=True),
        column("product", "Variant SKU, SKU", required=True),
        *_OPTIONS,
        column("category", "Type"),
        column("standard_category", "Product Category, Standard Product Type"),
        column("price", "Variant Price, Price"),
        column("unit_cost", "Cost per item"),
        column("tracker", "Variant Inventory Tracker, Inventory tracker"),
        column("on_hand", "Variant Inventory Qty, Inventory quantity"),
        column("status", "Status"),
        _AS_OF,
    ),
    at_least=6,
)
MONTH_END: Final = Role(
    "month-end stock",
    (
        column("title", "Product title", required=True),
        column("variant", "Variant title, Product variant title"),
        column("product", "Variant SKU, Product variant SKU", required=True),
        column("on_hand", "Ending quantity, Ending inventory units", required=True),
        column("warehouse", "Location name, Inventory location name, Location"),
        column("month", "Month, Day, Month end"),
    ),
)

LEVELS: Final = pl.Schema(
    {
        "product": pl.String(), "name": pl.String(), "warehouse": pl.String(), "on_hand": pl.Float64(),
        "as_of": pl.Datetime("us"),
    }
)  # fmt: skip


def nothing(sieve: Sieve) -> pl.Series:
    """Return a text column without any text."""
    return pl.repeat(None, sieve.frame.height, dtype=pl.String, eager=True)


def codes(sieve: Sieve) -> pl.Series:
    """Return the SKUs, null where there are none."""
    return sieve.code("product", required=False) if sieve.has("product") else nothing(sieve)


def inventory(sieve: Sieve) -> pl.DataFrame:
    """Return what can be sold of each product at each location (`LEVELS`)."""
    product, name = _key_and_name(sieve)
    given = [field for field in ("available", "on_hand", "committed", "unavailable") if sieve.has(field)]
    if not {"available", "on_hand"} & set(given):
        raise FileRefused(
            sieve.table.place(), "", "has neither a column Available nor On hand", "export all quantity types"
        )
    read, absent = {}, pl.repeat(value=False, n=len(product), eager=True)
    for field in given:
        read[field], away = _units(sieve, field)
        absent = absent | away
    sieve.drop(absent, "is not stocked at its location")
    held = [read[field].fill_null(0.0) for field in ("committed", "unavailable") if field in read]
    units = read.get("available", pl.repeat(None, len(product), dtype=pl.Float64, eager=True))
    if "on_hand" in read:
        free = read["on_hand"]
        for kept_back in held:
            free = free - kept_back
        units = units.fill_null(free)
    column_read = "available" if sieve.has("available") else "on_hand"
    sieve.reject(units.is_null(), column_read, "is empty; write a number or not stocked")
    if held:
        withheld = sum(float(values.filter(sieve.kept).sum()) for values in held)
        sieve.notes.append(f"stock is what can be sold: {withheld:,g} units committed or unavailable are not in it")
    elif "available" not in read:
        sieve.notes.append("units on hand count in full: what orders have committed of them is not in the file")
    _say_incoming(sieve)
    columns = {
        "product": product, "name": name, "warehouse": sieve.code("warehouse"),
        "on_hand": not_below_zero(sieve, units), "as_of": _as_of(sieve),
    }  # fmt: skip
    sieve.refuse_if_mostly_bad()
    return _added_up(sieve, pl.DataFrame(columns, schema=LEVELS).filter(sieve.kept))


def by_location(sieve: Sieve) -> pl.DataFrame:
    """Return what is at each location (`LEVELS`), from a table with a column for each."""
    product, name = _key_and_name(sieve)
    columns = {place: sieve.frame[place].cast(pl.String, strict=False) for place in sieve.table.numeric}
    cell = rf"(?i)^\s*(?:-?[\d,.]+|{NOT_STOCKED})?\s*$"
    places = [place for place, cells in columns.items() if cells.str.contains(cell).fill_null(value=True).all()]
    if not places:
        way_out = "export the inventory again"
        raise FileRefused(sieve.table.place(), "", "has no column with the stock of a location", way_out)
    if len(places) < len(columns):
        sieve.notes.append(f"no stock of a location: {some(map(repr, (c for c in columns if c not in places)))}")
    units = {place: _units(sieve, place)[0].cast(pl.Float64) for place in places}
    sieve.drop(pl.DataFrame(list(units.values())).select(pl.all_horizontal(pl.all().is_null())).to_series(),
               "is not stocked anywhere")  # fmt: skip
    sieve.notes.append("stock is what the columns say; whether orders have committed some of it is not in the file")
    as_of = _as_of(sieve)
    sieve.refuse_if_mostly_bad()
    parts = [
        pl.DataFrame({"product": product, "name": name, "on_hand": not_below_zero(sieve, held), "as_of": as_of})
        .filter(sieve.kept)
        .with_columns(pl.lit(place).alias("warehouse"))
        for place, held in units.items()
    ]
    return _added_up(sieve, pl.concat(parts).drop_nulls("on_hand").select(LEVELS.names()))


def products(sieve: Sieve, last_sales: pl.DataFrame) -> pl.DataFrame:
    """Return the variants as products; archived ones end with their last sale in this import, or yesterday.

    Parameters
    ----------
    last_sales
        product, last: the last day each sold.
    """
    texts = {
        field: sieve.text(field) if sieve.has(field) else nothing(sieve)
        for field in ("supplier", "category", "standard_category", "status", "option_1")
    }
    numbers = {field: optional_number(sieve, field) for field in ("price", "unit_cost")}
    code = codes(sieve)
    bare = code.is_null() & numbers["price"].is_null() & texts["option_1"].is_null()
    sieve.drop(bare, "holds a picture and no variant")
    product, name = _key_and_name(sieve)
    leaf = texts["standard_category"].str.split(">").list.last().str.strip_chars()
    own = ("supplier", "category", "status")  # stand on a product's first row alone
    rows = pl.DataFrame(
        {
            "handle": sieve.code("handle", required=False), "product": product, "name": name,
            "supplier": texts["supplier"], "category": texts["category"].fill_null(leaf),
            "status": texts["status"].str.to_lowercase(), **numbers,
        }
    ).with_columns(
        pl.col(field).fill_null(pl.col(field).drop_nulls().first().over("handle")) for field in own
    )  # fmt: skip
    sieve.refuse_if_mostly_bad()
    rows = rows.filter(sieve.kept)
    shared = rows.height - rows["product"].n_unique()
    if shared:
        sieve.notes.append(f"{shared:,} variant(s) share the SKU of another; the first one's cells count")
    rows = rows.unique("product", keep="first", maintain_order=True)
    return ended(sieve, rows, rows["status"] == "archived", last_sales).drop("handle", "status")


def stock_of_products(sieve: Sieve, where: str, *, known: bool) -> pl.DataFrame:
    """Return the stock (`LEVELS`) in a list of products, which only shops with one location have.

    Parameters
    ----------
    known
        The stock is known better, or which location is meant is not known: it is not read.
    """
    if not sieve.has("on_hand"):
        return LEVELS.to_frame()
    if known:
        sieve.notes.append("the stock in this file is not read: it names no location; an inventory export does")
        return LEVELS.to_frame()
    product, name = _key_and_name(sieve)
    units, _ = _units(sieve, "on_hand")
    tracked = sieve.text("tracker").is_not_null() if sieve.has("tracker") else units.is_not_null()
    units = pl.select(pl.when(tracked & sieve.kept).then(units)).to_series()
    if not units.is_not_null().any():
        return LEVELS.to_frame()
    columns = {"product": product, "name": name, "on_hand": not_below_zero(sieve, units), "as_of": _as_of(sieve)}
    rows = pl.DataFrame(columns).with_columns(pl.lit(where).alias("warehouse")).filter(sieve.kept)
    return _added_up(sieve, rows.drop_nulls("on_hand").select(LEVELS.names()))


def month_end(sieve: Sieve, where: str, *, known: bool) -> pl.DataFrame:
    """Return the latest month's closing stock (`LEVELS`); nothing where the stock is ``known`` from a later export."""
    code, title = codes(sieve), sieve.text("title")
    variant = sieve.text("variant") if sieve.has("variant") else nothing(sieve)
    proper = (variant.str.to_lowercase() != NO_VARIANT).fill_null(value=False)
    name = pl.select(pl.when(proper).then(title + " - " + variant).otherwise(title)).to_series()
    product = code.fill_null(name)
    sieve.reject(product.is_null(), "product", "is empty, and so is the title")
    sieve.reject(product.str.len_chars() > CODE_LENGTH, "title", TOO_LONG)
    units, absent = _units(sieve, "on_hand")
    sieve.drop(absent | units.is_null(), "is not stocked")
    as_of = _month_closes(sieve)
    place = sieve.code("warehouse", required=False) if sieve.has("warehouse") else nothing(sieve)
    if known:
        sieve.drop(sieve.kept, "is of a month that is over; the stock is known from another file of this import")
        return LEVELS.to_frame()
    last = pl.col("at").filter(pl.col("kept")).max()
    earlier = pl.DataFrame({"at": as_of, "kept": sieve.kept}).select(pl.col("at") < last).to_series()
    sieve.drop(earlier, "is of an earlier month: deliveries since are not known, so it says nothing of single days")
    sieve.notes.append("stock is that of the end of the month; days sold out before are found by days without sales")
    columns = {"product": product, "name": name, "warehouse": place.fill_null(where),
               "on_hand": not_below_zero(sieve, units), "as_of": as_of}  # fmt: skip
    sieve.refuse_if_mostly_bad()
    return _added_up(sieve, pl.DataFrame(columns, schema=LEVELS).filter(sieve.kept))


def _month_closes(sieve: Sieve) -> pl.Series:
    """Return the close of each row's month; of the month before the export where no column names it."""
    if sieve.has("month"):
        day = sieve.moment("month", required=True).values
    else:
        before = exported_at(sieve).replace(day=1) - timedelta(days=1)
        day = pl.repeat(before, sieve.frame.height, dtype=pl.Datetime("us"), eager=True)
    return day.dt.month_end().dt.truncate("1d") + timedelta(hours=23, minutes=59, seconds=59)


def _key_and_name(sieve: Sieve) -> tuple[pl.Series, pl.Series]:
    """Return each row's product and its name as orders write it; a title stands on a product's first row alone."""
    options = [f"option_{n}" for n in (1, 2, 3) if sieve.has(f"option_{n}")]
    table = pl.DataFrame(
        [sieve.code("handle", required=False), *(sieve.text(field).alias(field) for field in ("title", *options))]
    )
    title = pl.col("title").fill_null(pl.col("title").drop_nulls().first().over("handle"))
    proper = [pl.when(pl.col(field).str.to_lowercase() != NO_VARIANT).then(pl.col(field)) for field in options]
    variant = pl.concat_str([pl.lit(""), *proper], separator=" / ", ignore_nulls=True).str.strip_prefix(" / ")
    name = table.select(pl.when(variant != "").then(title + " - " + variant).otherwise(title).alias("name")).to_series()
    code = codes(sieve)
    sieve.reject(code.is_null() & name.is_null(), "product", "is empty, and no row of its handle has a title")
    product = code.fill_null(name)
    sieve.reject(product.str.len_chars() > CODE_LENGTH, "title", TOO_LONG)
    return product, name


def _units(sieve: Sieve, field: str) -> tuple[pl.Series, pl.Series]:
    """Return a column's units, and which of its cells say ``not stocked``."""
    cells = sieve.frame[field]
    if cells.dtype != pl.String:
        return sieve.number(field), pl.repeat(value=False, n=len(cells), eager=True)
    absent = (cells.str.strip_chars().str.to_lowercase() == NOT_STOCKED).fill_null(value=False)
    sieve.frame = sieve.frame.with_columns(pl.when(~absent).then(pl.col(field)).alias(field))
    return sieve.number(field), absent


def _as_of(sieve: Sieve) -> pl.Series:
    if sieve.has("as_of"):
        return sieve.moment("as_of", required=True).values
    return pl.repeat(exported_at(sieve), sieve.frame.height, dtype=pl.Datetime("us"), eager=True)


def _say_incoming(sieve: Sieve) -> None:
    due = float(_units(sieve, "incoming")[0].filter(sieve.kept).sum() or 0.0) if sieve.has("incoming") else 0.0
    if due:
        sieve.notes.append(f"{due:,g} units incoming are not read as orders: the file says neither number nor date;"
                           " import a table of open orders")  # fmt: skip


def _added_up(sieve: Sieve, rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row per product and location: variants that share a SKU are one product, here as in orders."""
    place = ["product", "warehouse"]
    summed = rows.group_by(place, maintain_order=True).agg(
        pl.col("name", "as_of").first(), pl.col("on_hand").sum()
    )  # fmt: skip
    if summed.height < rows.height:
        shared = rows.height - summed.height
        sieve.notes.append(f"{shared:,} row(s) share SKU and location with another; their stock is added up")
    sieve.facts = {"locations": summed["warehouse"].n_unique(), "units": float(summed["on_hand"].sum())}
    return summed.select(LEVELS.names())
