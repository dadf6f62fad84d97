"""WooCommerce: order lines of export plug-ins, Analytics > Orders and > Products, and the product exporter.

1. Completed and processing orders are sales, on the day of the order. Cancelled, refunded, failed and draft ones are
   dropped, and so are unpaid ones, which a later export brings when they are paid.
2. A line is known by order, product and its place among the order's lines of that product, most units first: the same
   in every kind of export, so orders that come in two of them count once.
3. Units refunded on a line are a return, on the day of the order: exports do not say when they came back.
4. A product is its SKU, or its name where it has none. Texts like ``2× Mug, 1× Tray`` have names only and are read
   with the product list of the same import (`packed`).
5. Of the catalogue simple products and variations are products; variable and grouped ones are only their frame.
6. Analytics > Products sums up a period: it is a list of products and no sales.

Longer than most files because it is one short reader per export, and nothing else.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from shelfwise.domain.errors import FileRefused
from shelfwise.ingest.profiles import woocommerce_words as words
from shelfwise.ingest.profiles.base import (
    Options,
    Part,
    Role,
    column,
    movements_frame,
    no_cancelled,
    numbered_by_size,
    short_codes,
)
from shelfwise.ingest.profiles.daily import booked, from_sieve, mark, optional_number
from shelfwise.ingest.profiles.filled import fill_orders
from shelfwise.ingest.profiles.goods import NO_GOODS
from shelfwise.ingest.profiles.packed import Names, plain_name
from shelfwise.ingest.profiles.snapshots import exported_at, home, not_below_zero
from shelfwise.ingest.quality import Sieve
from shelfwise.ingest.receipt import some

LINES: Final = Role(
    "order lines",
    (
        column("order", "order_number, Order Number, order_id, Order ID, Order Id", required=True),
        column("occurred_at", "order_date, Order Date, date, date_created, Date Created", required=True),
        column("status", words.STATUS, required=True),
        column("name", "item_name, Item Name, line_item_name", required=True),
        column("sku", "item_sku, Item SKU, line_item_sku, Product SKU, product_sku, sku"),
        column("quantity", "item_quantity, Item Quantity, line_item_quantity, Quantity, Qty"),
        column("kept", "Quantity (- Refund)"),
        column("refunded", "item_refunded_qty, Item Refunded Quantity, Refunded Quantity, Quantity Refunded"),
        column("unit_price", "item_price, Item Price, Item Cost"),
        column("total", "item_total, Item Total, line_item_total, Order Line (w/o tax)"),
    ),
    at_least=6,
)
ORDERS: Final = Role(
    "orders report",
    (
        column("order", words.ORDER_NUMBER, required=True),
        column("occurred_at", words.DATE, required=True),
        column("status", words.STATUS, required=True),
        column("products", words.PACKED, required=True),
        column("sold", words.ITEMS_SOLD),
    ),
)
REPORT: Final = Role(
    "products report",
    (
        column("name", words.TITLE, required=True),
        column("sold", words.ITEMS_SOLD, required=True),
        column("sku", words.SKU),
        column("category", words.CATEGORY),
        column("stock", words.STOCK),
    ),
    at_least=3,
)
CATALOGUE: Final = Role(
    "catalogue",
    (
        column("type", words.TYPE, required=True),
        column("name", words.NAME, required=True),
        column("published", words.PUBLISHED, required=True),
        column("sku", words.SKU),
        column("stock", words.STOCK),
        column("price", words.PRICE),
        column("unit_cost", words.COST),
        column("category", words.CATEGORY),
        column("brand", words.BRAND),
    ),
    at_least=4,
)

NO_STOCK: Final = ("virtual", "downloadable")
BACK: Final = "/back"  # ends the id of what came back of a line
MANAGED_ABOVE: Final = "parent"  # stock of a variation that its parent keeps


class WooCommerce:
    """Reads the exports of WooCommerce and of its order export plug-ins."""

    name = "woocommerce"
    roles = (LINES, ORDERS, REPORT, CATALOGUE)

    def read(self, tables: Mapping[str, Sequence[Sieve]], options: Options) -> Part:
        """Turn the tables into movements, products and stock."""
        lines, orders, reports, catalogues = (tables.get(role.name, ()) for role in self.roles)
        warehouse, others = home(options, [])
        listed = _catalogue(catalogues)
        reported = _report(reports, counted=listed.height > 0)
        known = pl.concat([frame for frame in (listed, reported) if frame.height] or [_no_products()], how="diagonal")
        gone: list[pl.DataFrame] = []
        sold = _lines(lines, known, gone)
        packed = _orders(orders, known, gone)
        rows = _with_ids([*lines, *orders], sold, packed, len(lines), warehouse)
        if others and rows.height:
            [*lines, *orders][0].notes.append(f"orders do not say from which of {some(others)}; taken as {warehouse!r}")
        frames: dict[str, pl.DataFrame] = {}
        if rows.height:
            frames["movements"] = movements_frame(rows, self.name)
            frames["warehouses"] = pl.DataFrame({"warehouse": [warehouse]})
        goods = known.filter(pl.col("stocked"))
        names = [goods.drop("stocked", "on_hand", "as_of"), *([rows.select("product", "name")] if rows.height else [])]
        if any(frame.height for frame in names):
            merged = pl.concat(names, how="diagonal_relaxed").group_by("product", maintain_order=True)
            frames["products"] = merged.agg(pl.all().drop_nulls().first())
        levels = goods.filter(pl.col("on_hand").is_not_null()).with_columns(pl.lit(warehouse).alias("warehouse"))
        if levels.height:
            first = levels.unique("product", keep="first", maintain_order=True)
            frames["stock_levels"] = first.select("product", "warehouse", "on_hand", "as_of")
        receipts = [
            sieve.receipt(self.name, role.name, booked=booked(rows, number) if rows.height else None)
            for role, sieves, start in ((LINES, lines, 0), (ORDERS, orders, len(lines)))
            for number, sieve in enumerate(sieves, start=start)
        ]
        for role, sieves in ((REPORT, reports), (CATALOGUE, catalogues)):
            receipts += [sieve.receipt(self.name, role.name) for sieve in sieves]
        return Part(frames, tuple(receipts), cancelled=_cancelled(gone, self.name))


def _no_products() -> pl.DataFrame:
    return pl.DataFrame(
        schema={"product": pl.String, "name": pl.String, "category": pl.String, "brand": pl.String,
                "unit_cost": pl.Float64, "price": pl.Float64, "on_hand": pl.Float64, "as_of": pl.Datetime("us"),
                "stocked": pl.Boolean}
    )  # fmt: skip


def _catalogue(sieves: Sequence[Sieve]) -> pl.DataFrame:
    """Return the products of the exporter; those that are virtual are known and not ``stocked``."""
    parts = []
    for number, sieve in enumerate(sieves):
        kinds = sieve.text("type", required=True).str.to_lowercase().str.split(",")
        kinds = kinds.list.eval(pl.element().str.strip_chars())
        for kind, why in (("variable", "is the frame of its variations, which are the products"),
                          ("grouped", "is a page that shows other products; what is sold are those"),
                          ("external", "is sold elsewhere")):  # fmt: skip
            sieve.drop(kinds.list.contains(kind), why)
        name = _unescaped(sieve.text("name"))
        product = _code(sieve, name)
        virtual = kinds.list.eval(pl.element().is_in(NO_STOCK)).list.any()
        columns = {
            "product": product, "name": name,
            "category": _leaf(sieve), "brand": sieve.text("brand") if sieve.has("brand") else _nothing(sieve),
            "unit_cost": _money(sieve, "unit_cost"), "price": _money(sieve, "price"),
            "on_hand": _stock(sieve), "stocked": ~virtual,
        }  # fmt: skip
        sieve.refuse_if_mostly_bad()
        parts.append(_dated(sieve, from_sieve(sieve, number, columns)))
    if not parts:
        return _no_products()
    rows = pl.concat(parts)
    again = rows.filter(rows.select(pl.struct("product", "name").is_first_distinct()).to_series().not_())
    mark(sieves, again, "repeats a product; the first line counts")
    unstocked = rows.filter(~pl.col("stocked")).height
    if unstocked:
        sieves[0].notes.append(f"{unstocked:,} product(s) are virtual, and their order lines are left out")
    return rows.join(again.select("file", "row"), on=["file", "row"], how="anti").drop("file", "row")


def _nothing(sieve: Sieve) -> pl.Series:
    return pl.repeat(None, sieve.frame.height, dtype=pl.String, eager=True)


def _unescaped(names: pl.Series) -> pl.Series:
    """Return names with characters for the entities that WordPress writes (``Salt &amp; Pepper``)."""
    escaped = names.filter(names.str.contains("&", literal=True)).unique().to_list()
    return names.replace({name: html.unescape(name) for name in escaped}) if escaped else names


def _code(sieve: Sieve, name: pl.Series) -> pl.Series:
    """Return SKUs, and names where there are none."""
    sku = sieve.code("sku", required=False) if sieve.has("sku") else _nothing(sieve)
    without = int((sku.is_null() & name.is_not_null() & sieve.kept).sum())
    if without:
        sieve.notes.append(f"{without:,} row(s) have no SKU; their product goes by its name")
    product = sku.fill_null(name)
    sieve.reject(product.is_null(), "name", "is empty, and so is the SKU")
    return product.alias("product")


def _leaf(sieve: Sieve) -> pl.Series:
    """Return the first category, and of a path its last part: ``Shop > Coffee, Sale`` is Coffee."""
    if not sieve.has("category"):
        return _nothing(sieve)
    first = _unescaped(sieve.text("category")).str.extract(r"^((?:\\.|[^,])+)").str.replace_all("\\", "", literal=True)
    return first.str.split(">").list.last().str.strip_chars()


def _money(sieve: Sieve, field: str) -> pl.Series:
    value = optional_number(sieve, field)
    return pl.select(pl.when(value > 0).then(value)).to_series()


def _stock(sieve: Sieve) -> pl.Series:
    """Return units on hand; null where WooCommerce does not count, or counts at the parent of a variation."""
    if not sieve.has("stock"):
        return pl.repeat(None, sieve.frame.height, dtype=pl.Float64, eager=True)
    cells = sieve.frame["stock"].cast(pl.String).str.strip_chars()
    above = (cells.str.to_lowercase() == MANAGED_ABOVE).fill_null(value=False)
    if (above & sieve.kept).any():
        sieve.notes.append(
            f"{int((above & sieve.kept).sum()):,} variation(s) share the stock of their parent: how much there is of "
            "each is not known; let each manage its own stock, or count them"
        )
    sieve.frame = sieve.frame.with_columns(pl.when(~above).then(cells).alias("stock"))
    return not_below_zero(sieve, sieve.number("stock"))


def _dated(sieve: Sieve, rows: pl.DataFrame) -> pl.DataFrame:
    """Add when the stock was so, where there is any."""
    moment = exported_at(sieve) if rows["on_hand"].is_not_null().any() else None
    return rows.with_columns(pl.lit(moment, pl.Datetime("us")).alias("as_of"))


def _report(sieves: Sequence[Sieve], *, counted: bool) -> pl.DataFrame:
    """Return the products of Analytics > Products; the units they sold are of a period and no sales."""
    parts = []
    for number, sieve in enumerate(sieves):
        name = _unescaped(sieve.text("name"))
        columns = {"product": _code(sieve, name), "name": name, "category": _leaf(sieve)}
        units = sieve.number("sold")
        sieve.facts["units sold in the period"] = float(units.sum())
        sieve.notes.append(
            "units sold are the sum of a period and belong to no day: nothing is booked of them; export order lines "
            "(docs/sources/woocommerce.md says how), or Analytics > Orders"
        )
        nothing = pl.repeat(None, len(name), dtype=pl.Float64, eager=True)
        columns |= {"on_hand": nothing if counted else _stock(sieve), "stocked": nothing.is_null()}
        sieve.refuse_if_mostly_bad()
        parts.append(_dated(sieve, from_sieve(sieve, number, columns)).drop("file", "row"))
    return pl.concat(parts) if parts else _no_products()


def _by_name(known: pl.DataFrame) -> Names:
    codes: dict[str, frozenset[str]] = {}
    for product, name in known.select("product", "name").drop_nulls().iter_rows():
        codes[plain_name(name)] = codes.get(plain_name(name), frozenset()) | {product}
    return Names(codes)


def _drop_by_status(sieve: Sieve) -> pl.Series:
    """Leave out the rows of orders that are no sales, and reject those whose status nobody knows.

    Returns which rows are of orders that are off for good.
    """
    cells = sieve.text("status")
    plain = {word: words.status(word) for word in cells.unique().drop_nulls().to_list()}
    said = cells.replace_strict(plain, default=None, return_dtype=pl.String)
    for why, names in words.OTHER_STATUSES.items():
        sieve.drop(said.is_in(names), why)
    sieve.reject(said.is_null(), "status", "is empty; every order needs a status")
    sieve.reject(
        ~said.is_in(words.SOLD_STATUSES), "status", "is no status we know: completed or processing would count"
    )
    return said.is_in(words.OFF_STATUSES).fill_null(value=False)


def _cancelled(gone: Sequence[pl.DataFrame], source: str) -> pl.DataFrame:
    """Return the ids under which an earlier export may have brought lines that are cancelled by now.

    ``gone`` has file, order, product, quantity and back, as in the lines that are sold, one frame for each file.
    """
    if not gone:
        return no_cancelled()
    lines = pl.concat(gone).drop_nulls(["order", "product"])
    ids = _ids(lines.with_columns(pl.col("quantity", "back").fill_null(0.0)))
    both = pl.concat([ids, ids + BACK]).unique().sort()
    return both.to_frame("line_id").select(pl.lit(source).alias("source"), "line_id")


def _ids(lines: pl.DataFrame) -> pl.Series:
    """Return order/product, with ``#2`` ... for further such lines of the same file."""
    key = pl.concat_str("order", pl.lit("/"), short_codes(lines["product"]))
    # Of equal lines the one with more units back comes first, so that a refund hangs on the same line in every file.
    size = (pl.col("quantity") + pl.col("back") * 1e-6).alias("quantity")
    return numbered_by_size(lines.select(key.alias("key"), size, pl.col("file").alias("copy")))


def _lines(sieves: Sequence[Sieve], known: pl.DataFrame, gone: list[pl.DataFrame]) -> pl.DataFrame:
    """Return order lines of export plug-ins; those of orders that are off are added to ``gone``."""
    names = _by_name(known).codes
    virtual = known.filter(~pl.col("stocked"))["product"].unique()
    parts = []
    for number, sieve in enumerate(sieves):
        fill_orders(sieve, ("occurred_at", "status"))
        off = _drop_by_status(sieve)
        order = sieve.code("order").str.strip_prefix("#")
        name = _unescaped(sieve.text("name"))
        sku = sieve.code("sku", required=False) if sieve.has("sku") else _nothing(sieve)
        only = {text: next(iter(codes)) for text, codes in names.items() if len(codes) == 1}
        plain = {text: plain_name(text) for text in name.unique().drop_nulls().to_list()}
        listed = name.replace_strict({text: only.get(key) for text, key in plain.items()}, default=None,
                                     return_dtype=pl.String) if plain else _nothing(sieve)  # fmt: skip
        without = int((sku.is_null() & sieve.kept).sum())
        if without:
            sieve.notes.append(f"{without:,} line(s) have no SKU; their product goes by its name")
        product = sku.fill_null(listed).fill_null(name)
        units, back = _units(sieve)
        sieve.reject(product.is_null(), "name", "is empty, and so is the SKU")
        sieve.drop(name.str.contains(NO_GOODS), "is no goods (gift card, tip, shipping)")
        sieve.drop(product.is_in(virtual.implode()), "is a virtual product")
        sieve.drop(units == 0, "has quantity 0")
        sieve.reject(units < 0, "quantity" if sieve.has("quantity") else "kept", "is below 0")
        columns = {
            "order": order, "product": product, "name": name, "quantity": units, "back": back,
            "unit_price": _price(sieve, units),
            "occurred_at": sieve.moment("occurred_at", required=True, past=True).values,
        }  # fmt: skip
        sieve.refuse_if_mostly_bad()
        if back.filter(sieve.kept).sum():
            sieve.notes.append("exports do not say when refunded units came back; they return on the day of the order")
        parts.append(from_sieve(sieve, number, columns))
        told = {name: columns[name] for name in ("order", "product", "quantity", "back")}
        gone.append(pl.DataFrame(told).with_columns(pl.lit(number, pl.Int32).alias("file")).filter(off))
    return pl.concat(parts) if parts else pl.DataFrame()


def _units(sieve: Sieve) -> tuple[pl.Series, pl.Series]:
    """Return units sold and units of them that came back, from what the plug-in writes of the two."""
    if not (sieve.has("quantity") or sieve.has("kept")):
        raise FileRefused(
            sieve.table.place(), "", "does not say how many units a line has",
            "switch on one row per item and the columns item name, SKU and quantity in the plug-in",
        )  # fmt: skip
    units = sieve.number("quantity" if sieve.has("quantity") else "kept", required=True)
    back = optional_number(sieve, "refunded").fill_null(0.0).abs()  # plug-ins differ in the sign
    if sieve.has("quantity") and sieve.has("kept"):
        back = pl.select(pl.max_horizontal(back, units - sieve.number("kept"))).to_series()
    elif not sieve.has("quantity"):
        sieve.notes.append(
            "the only quantity is after refunds, so demand is too low where goods came back; export Quantity"
        )
    return units, pl.select(pl.min_horizontal(back, units)).to_series()


def _price(sieve: Sieve, units: pl.Series) -> pl.Series:
    price = optional_number(sieve, "unit_price")
    total = optional_number(sieve, "total")
    per_unit = pl.select(pl.when(units > 0).then(total / units)).to_series()
    price = price.fill_null(per_unit)
    return pl.select(pl.when(price >= 0).then(price)).to_series()


def _orders(sieves: Sequence[Sieve], known: pl.DataFrame, gone: list[pl.DataFrame]) -> pl.DataFrame:
    """Return the lines packed into the texts of Analytics > Orders; those of orders that are off go to ``gone``."""
    parts = []
    for number, sieve in enumerate(sieves):
        if not known.height:
            raise FileRefused(
                sieve.table.place("products"), "", "names its products only, and which product a name is nobody says",
                "give the product export along (Products > Export), or export order lines with a plug-in",
            )  # fmt: skip
        off = _drop_by_status(sieve)
        texts = sieve.text("products")
        sold = optional_number(sieve, "sold")
        order = sieve.code("order").str.strip_prefix("#")
        moment = sieve.moment("occurred_at", required=True, past=True).values
        sieve.drop(texts.is_null() & (sold.fill_null(0.0) == 0), "has no products")
        sieve.drop((sold < 0) & texts.is_not_null(), "is a refund: its order is told by its own row")
        items = _unpacked(sieve, _by_name(known), texts, sold)
        sieve.refuse_if_mostly_bad()
        base = {"order": order, "occurred_at": moment, "text": texts, "sold": sold}
        rows = from_sieve(sieve, number, base).join(items, on=["text", "sold"], how="inner", nulls_equal=True)
        parts.append(rows.drop("text", "sold"))
        lost = pl.DataFrame({"order": order, "text": texts, "sold": sold}).filter(off).drop_nulls("text")
        items = _items(_by_name(known), lost.select("text", "sold").unique(maintain_order=True))[0]
        found = lost.join(items, on=["text", "sold"], how="inner", nulls_equal=True, maintain_order="left")
        place = pl.lit(number, pl.Int32).alias("file")
        gone.append(found.select("order", "product", "quantity", pl.lit(0.0).alias("back"), place))
    if not parts:
        return pl.DataFrame()
    rows = pl.concat(parts).join(known.select("product", "name", "stocked").unique("product"), on="product", how="left")
    return rows.filter(pl.col("stocked")).with_columns(
        pl.lit(0.0).alias("back"), pl.lit(None, pl.Float64).alias("unit_price")
    ).drop("stocked")  # fmt: skip


def _unpacked(sieve: Sieve, names: Names, texts: pl.Series, sold: pl.Series) -> pl.DataFrame:
    """Return text, sold, product, quantity for each text that can be told, and reject the rows of the others."""
    kept = pl.DataFrame({"text": texts, "sold": sold}).filter(sieve.kept & texts.is_not_null()).unique()
    items, wrong, unequal = _items(names, kept)
    sieve.reject(texts.is_null(), "products", "is empty; every order needs products")
    for reason in dict.fromkeys(wrong.values()):
        sieve.reject(texts.is_in([text for text, why in wrong.items() if why == reason]), "products", reason)
    if unequal:
        sieve.notes.append(
            f"{unequal:,} different text(s) hold another number of units than Items sold says; the text counts"
        )
    return items


def _items(names: Names, packed: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, str], int]:
    """Return text, sold, product, quantity of each text, why others cannot be told, and how many say another sum."""
    items, wrong = [], {}
    unequal = 0
    for text, count in packed.iter_rows():
        found = names.unpack(text, count)
        if found.wrong is not None:
            wrong[text] = found.wrong
            continue
        items += [(text, count, product, units) for units, product in found.items]
        unequal += count is not None and abs(sum(units for units, _ in found.items) - count) > 1e-9
    schema = {"text": pl.String, "sold": pl.Float64, "product": pl.String, "quantity": pl.Float64}
    return pl.DataFrame(items, schema=schema, orient="row"), wrong, unequal


def _with_ids(
    sieves: Sequence[Sieve], sold: pl.DataFrame, packed: pl.DataFrame, first_packed: int, warehouse: str
) -> pl.DataFrame:
    """Return the movements of all lines with their ids; what two exports of this import tell is one line."""
    columns = ["file", "row", "order", "product", "name", "quantity", "back", "unit_price", "occurred_at"]
    frames = [sold] if sold.height else []
    if packed.height:
        frames.append(packed.with_columns((pl.col("file") + first_packed).cast(pl.Int32).alias("file")))
    if not frames:
        return pl.DataFrame()
    rows = pl.concat([frame.select(columns) for frame in frames])
    rows = rows.with_columns(_ids(rows).alias("line_id"))
    fresh = rows["line_id"].is_first_distinct()
    # A row of the report holds several lines: it is one that repeats only if all of its lines do.
    whole = rows.with_columns(fresh.alias("fresh")).group_by("file", "row").agg(pl.col("fresh").any())
    mark(sieves, whole.filter(~pl.col("fresh")), "is in an earlier file of this import too")
    rows = rows.filter(fresh).with_columns(pl.lit("sale").alias("kind"), pl.lit(warehouse).alias("warehouse"))
    returned = rows.filter(pl.col("back") > 0).with_columns(
        pl.lit("return").alias("kind"), pl.col("back").alias("quantity"), (pl.col("line_id") + BACK).alias("line_id")
    )
    return pl.concat([rows, returned]).sort("occurred_at", "line_id")
