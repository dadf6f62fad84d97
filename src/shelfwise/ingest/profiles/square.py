"""Square's exports: the detail of items sold, in all its widths, and the item library with stock per location.

The rules, which docs/sources/square.md explains:

* **Columns are found by name**: the detail had 24, 30, 32 and 35 of them over the years.
* **A product is its SKU**, or without one its item and price point (variation); ``Regular`` is no variation.
* **A refund of an item is a return** of its units, however the quantity is signed.
* **A line is known by transaction, product, price and its occurrence among such lines**; without a transaction by what
  it says.
* **The day is the one of the location**: date and time are written in its own time zone and stay so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from shelfwise.ingest.profiles.base import (
    CODE_LENGTH,
    TOO_LONG,
    Options,
    Part,
    Role,
    column,
    movements_frame,
    number_text,
    numbered_by_size,
    short_codes,
)
from shelfwise.ingest.profiles.daily import booked, default_text, drop_repeats, from_sieve, mark, optional_number
from shelfwise.ingest.profiles.goods import NO_GOODS
from shelfwise.ingest.profiles.snapshots import ended, exported_at, not_below_zero
from shelfwise.ingest.quality import Sieve
from shelfwise.ingest.receipt import FileReceipt, some

QUANTITY_AT: Final = "current quantity "
NO_VARIATION: Final = "regular"
NO_CATEGORY: Final = ("uncategorized", "uncategorised", "none")
NO_ITEM: Final = r"^custom amount$"
NO_GOODS_TYPES: Final = r"^(?:custom amount|gift card.*|.*service|donation|membership)$"

ITEMS: Final = Role(
    "items detail",
    (
        column("occurred_at", "Date", required=True),
        column("clock", "Time"),
        column("zone", "Time Zone"),
        column("item", "Item", required=True),
        column("quantity", "Qty", required=True),
        column("variation", "Price Point Name", required=True),
        column("product", "SKU"),
        column("category", "Category"),
        column("net", "Net Sales"),
        column("gross", "Gross Sales, Product Sales"),
        column("order", "Transaction ID"),
        column("event", "Event Type"),
        column("warehouse", "Location"),
        column("unit", "Unit"),
        column("type", "Itemization Type"),
    ),
)
LIBRARY: Final = Role(
    "item library",
    (
        column("token", "Token", required=True),
        column("item", "Item Name", required=True),
        column("variation", "Variation Name", required=True),
        column("product", "SKU", required=True),
        column("category", "Reporting Category, Category, Categories"),
        column("price", "Price"),
        column("unit_cost", "Default Unit Cost, Unit Cost"),
        column("supplier", "Default Vendor Name, Vendor Name, Default Vendor"),
        column("archived", "Archived"),
        column("as_of", "As of, Exported at"),
    ),
    many=rf"(?i){QUANTITY_AT}.+",
    needs_many=False,
)

LEVELS: Final = pl.Schema(
    {"product": pl.String(), "warehouse": pl.String(), "on_hand": pl.Float64(), "as_of": pl.Datetime("us")}
)


class Square:
    """Reads what a Square dashboard exports."""

    name = "square"
    roles = (ITEMS, LIBRARY)

    def read(self, tables: Mapping[str, Sequence[Sieve]], options: Options) -> Part:
        """Turn the exports into movements, products and stock levels."""
        sieves, libraries = tables.get(ITEMS.name, ()), tables.get(LIBRARY.name, ())
        frames: dict[str, pl.DataFrame] = {}
        products, last = [], pl.DataFrame(schema={"product": pl.String, "last": pl.Date})
        receipts: list[FileReceipt] = []
        notes: list[str] = []
        if sieves:
            rows, notes = _sold(sieves, options)
            last = rows.group_by("product").agg(pl.col("occurred_at").max().dt.date().alias("last"))
            latest = rows.sort("occurred_at", maintain_order=True).group_by("product")
            products.append(latest.agg(pl.col("name", "category").drop_nulls().last()).sort("product"))
            frames["movements"] = movements_frame(rows.sort("occurred_at", maintain_order=True), self.name)
            receipts = [
                sieve.receipt(self.name, ITEMS.name, booked=booked(rows, number)) for number, sieve in enumerate(sieves)
            ]
        levels = []
        for sieve in libraries:
            listed, held = _library(sieve, last)
            products.insert(0, listed)
            levels.append(held)
            receipts.append(sieve.receipt(self.name, LIBRARY.name))
        merged = pl.concat(products, how="diagonal_relaxed").group_by("product", maintain_order=True)
        frames["products"] = merged.agg(pl.exclude("product").drop_nulls().first())
        if levels:
            stock = pl.concat(levels).sort("as_of", descending=True, maintain_order=True)
            frames["stock_levels"] = stock.unique(["product", "warehouse"], keep="first", maintain_order=True)
        places = [frame.select("warehouse") for name, frame in frames.items() if name != "products"]
        frames["warehouses"] = pl.concat(places).unique().sort("warehouse")
        return Part({name: frame for name, frame in frames.items() if frame.height}, tuple(receipts), tuple(notes))


def _sold(sieves: Sequence[Sieve], options: Options) -> tuple[pl.DataFrame, list[str]]:
    """Return sales and returns, and what to say about them."""
    parsed = pl.concat([_lines(sieve, number, options) for number, sieve in enumerate(sieves)])
    mark(sieves, parsed.filter(pl.col("quantity") == 0), "has quantity 0")
    rows = drop_repeats(
        sieves,
        parsed.filter(pl.col("quantity") != 0),
        equal="is in an earlier file of this import too",
        different="is a second, different quantity for the same line of a transaction; the first one counts",
    )
    for number, sieve in enumerate(sieves):
        mine = rows.filter(pl.col("file") == number)
        back = pl.col("kind") == "return"
        sieve.facts = {
            "units sold": float(mine.filter(~back)["quantity"].sum()),
            "units returned": float(mine.filter(back)["quantity"].sum()),
        }
    notes = []
    bare = rows.filter(pl.col("nameless"))["product"]
    if len(bare):
        notes.append(
            f"{len(bare):,} line(s) have no SKU and are known by name, {bare.n_unique():,} product(s):"
            f" {some(bare.unique().sort(), 5)}; renamed, they start anew: give them SKUs"
        )
    weighed = rows.drop_nulls("unit").group_by("product").agg(pl.col("unit").unique().sort()).sort("product")
    mixed = weighed.filter(pl.col("unit").list.len() > 1)
    if mixed.height:
        shown = some(f"{product} ({', '.join(units)})" for product, units in mixed.iter_rows())
        notes.append(f"{mixed.height:,} product(s) are sold in several units, which are added up as written: {shown}")
    return rows, notes


def _lines(sieve: Sieve, file: int, options: Options) -> pl.DataFrame:
    """Return the readable lines of one file with their ids."""
    sieve.drop(_is_no_goods(sieve), "is no goods (custom amount, gift card, tip, service, donation)")
    clock = "clock" if sieve.has("clock") else None
    moment = sieve.moment("occurred_at", clock=clock, required=True, past=True).values
    quantity = sieve.number("quantity", required=True)
    paid = "net" if sieve.has("net") else "gross"
    code, name = _code(sieve), _name(sieve)
    product = code.fill_null(name)
    sieve.reject(product.is_null(), "item", "is empty, and so is the SKU: nothing says what was sold")
    sieve.reject(product.str.len_chars() > CODE_LENGTH, "item", TOO_LONG)
    event = sieve.text("event").str.to_lowercase() if sieve.has("event") else _nothing(sieve)
    back = (event.str.contains("refund", literal=True).fill_null(value=False)) | (quantity < 0).fill_null(value=False)
    category = sieve.text("category") if sieve.has("category") else _nothing(sieve)
    columns = {
        "product": product, "name": name, "nameless": code.is_null(), "occurred_at": moment, "quantity": quantity.abs(),
        "unit_price": optional_number(sieve, paid), "kind": back,
        "category": category.set(category.str.to_lowercase().is_in(NO_CATEGORY).fill_null(value=False), None),
        "order": sieve.code("order", required=False) if sieve.has("order") else _nothing(sieve),
        "unit": sieve.text("unit") if sieve.has("unit") else _nothing(sieve),
        "warehouse": default_text(sieve, "warehouse", options.warehouse),
    }  # fmt: skip
    sieve.refuse_if_mostly_bad()
    if sieve.has("zone"):
        zones = sieve.text("zone").filter(sieve.kept).drop_nulls().unique().sort()
        if len(zones) > 1:
            sieve.notes.append(f"times are those of each location, as written: {some(zones)}")
    if sieve.has(paid):
        what = "net sales per unit: after discounts," if paid == "net" else "gross sales per unit: before discounts,"
        sieve.notes.append(f"prices are {what} without tax")
    rows = from_sieve(sieve, file, columns).with_columns(
        pl.when(pl.col("quantity") != 0).then((pl.col("unit_price") / pl.col("quantity")).abs()).alias("unit_price"),
        pl.when("kind").then(pl.lit("return")).otherwise(pl.lit("sale")).alias("kind"),
    )
    return rows.with_columns(_ids(rows))


def _ids(rows: pl.DataFrame) -> pl.Series:
    """Return transaction/product@price, ``-`` before it for a return; without a transaction what the line says."""
    product, price = short_codes(rows["product"]), number_text(pl.col("unit_price").round(4)).fill_null("")
    sign = pl.when(pl.col("kind") == "return").then(pl.lit("-")).otherwise(pl.lit(""))
    known = pl.concat_str("order", pl.lit("/"), sign, product, pl.lit("@"), price)
    at = pl.col("occurred_at").dt.strftime("%Y-%m-%dT%H:%M:%S")
    said = pl.concat_str(
        product, short_codes(rows["warehouse"]), at, sign + number_text(pl.col("quantity")), price, separator="|"
    )
    key = pl.when(pl.col("order").is_null()).then(said).otherwise(known).alias("key")
    return numbered_by_size(rows.select(key, "quantity", pl.col("file").alias("copy"))).alias("line_id")


def _is_no_goods(sieve: Sieve) -> pl.Series:
    name = sieve.text("item")
    mask = name.str.contains(NO_GOODS) | name.str.to_lowercase().str.contains(NO_ITEM)
    if sieve.has("type"):
        kind = sieve.text("type").str.to_lowercase().str.replace_all("_", " ")
        # A physical good may be called a gift card holder.
        physical = (kind == "physical good").fill_null(value=False)
        mask = (mask.fill_null(value=False) & ~physical) | kind.str.contains(NO_GOODS_TYPES).fill_null(value=False)
    return mask


def _code(sieve: Sieve) -> pl.Series:
    return sieve.code("product", required=False) if sieve.has("product") else _nothing(sieve)


def _nothing(sieve: Sieve) -> pl.Series:
    return pl.repeat(None, sieve.frame.height, dtype=pl.String, eager=True)


def _name(sieve: Sieve) -> pl.Series:
    """Return ``Item - Variation``; an item without variations goes by its own name."""
    item, variation = sieve.text("item"), sieve.text("variation")
    several = (variation.str.to_lowercase() != NO_VARIATION).fill_null(value=False)
    return pl.select(pl.when(several).then(item + " - " + variation).otherwise(item)).to_series()


def _library(sieve: Sieve, last_sales: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the variations as products, and their stock at each location that has a column."""
    code, name = _code(sieve), _name(sieve)
    product = code.fill_null(name)
    sieve.reject(product.is_null(), "item", "is empty, and so is the SKU")
    sieve.reject(product.str.len_chars() > CODE_LENGTH, "item", TOO_LONG)
    texts = {field: sieve.text(field) if sieve.has(field) else _nothing(sieve) for field in ("category", "supplier")}
    archived = sieve.text("archived") if sieve.has("archived") else _nothing(sieve)
    over = archived.str.to_lowercase().is_in(["y", "yes", "true"]).fill_null(value=False)
    if sieve.has("price"):  # a price that is asked for at the till
        asked = pl.col("price").cast(pl.String).str.strip_chars().str.to_lowercase() == "variable"
        sieve.frame = sieve.frame.with_columns(pl.when(~asked.fill_null(value=False)).then("price").alias("price"))
    numbers = {field: optional_number(sieve, field) for field in ("price", "unit_cost")}
    stock = _stock(sieve, product)
    sieve.refuse_if_mostly_bad()
    rows = pl.DataFrame({"product": product, "name": name, **texts, **numbers, "archived": over}).filter(sieve.kept)
    shared = rows.height - rows["product"].n_unique()
    if shared:
        sieve.notes.append(f"{shared:,} variation(s) share the SKU of another; the first one's cells count")
    rows = rows.unique("product", keep="first", maintain_order=True)
    return ended(sieve, rows, rows["archived"], last_sales).drop("archived"), stock


def _stock(sieve: Sieve, product: pl.Series) -> pl.DataFrame:
    places = sieve.table.numeric
    if not places:
        sieve.notes.append("the file has no column 'Current Quantity LOCATION': no stock is tracked in it")
        return LEVELS.to_frame()
    if sieve.has("as_of"):
        as_of = sieve.moment("as_of", required=True).values
    else:
        as_of = pl.repeat(exported_at(sieve), sieve.frame.height, dtype=pl.Datetime("us"), eager=True)
    parts = []
    for place in places:
        units = not_below_zero(sieve, sieve.number(place).cast(pl.Float64))
        rows = pl.DataFrame({"product": product, "on_hand": units, "as_of": as_of}).filter(sieve.kept)
        where = pl.lit(place[len(QUANTITY_AT) :].strip()).alias("warehouse")
        parts.append(rows.drop_nulls("on_hand").with_columns(where))
    both = ["product", "warehouse"]
    summed = pl.concat(parts).group_by(both, maintain_order=True).agg(pl.col("on_hand").sum(), pl.col("as_of").first())
    sieve.facts = {"locations": len(places), "units": float(summed["on_hand"].sum())}
    return summed.select(LEVELS.names())
