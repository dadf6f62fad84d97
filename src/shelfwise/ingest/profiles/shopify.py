"""Shopify's exports; this file reads the orders, `shopify_stock` the products and the stock.

The rules, which docs/sources/shopify.md explains:

* **An order stands in several rows**; only the first says when, where and in which state. Those cells are taken over
  by the order's name, wherever its rows stand and in whichever of the files.
* **A line is known by order, product, price and its occurrence among such lines**, never by its quantity or its place:
  orders may be exported again in another order of rows, and an edited quantity does not become a second sale.
* **Refunds are money**: how many units came back is not in the export, so none do. The receipt says how much it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from shelfwise.ingest.profiles import shopify_stock as stock
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
from shelfwise.ingest.profiles.daily import booked, drop_repeats, mark, optional_number, sale_or_return, turn_away
from shelfwise.ingest.profiles.goods import NO_GOODS
from shelfwise.ingest.profiles.snapshots import home
from shelfwise.ingest.quality import Sieve
from shelfwise.ingest.receipt import some

CENT: Final = 0.011  # sums of money are equal within it
NEVER_PAID: Final = ("voided", "expired")

ORDERS: Final = Role(
    "orders",
    (
        column("order", "Name", required=True),
        column("occurred_at", "Created at", required=True),
        column("quantity", "Lineitem quantity", required=True),
        column("name", "Lineitem name", required=True),
        column("product", "Lineitem sku"),
        column("unit_price", "Lineitem price"),
        column("discount", "Lineitem discount"),
        column("ships", "Lineitem requires shipping"),
        column("status", "Financial Status"),
        column("cancelled", "Cancelled at, Canceled at"),
        column("payment", "Payment Method"),
        column("warehouse", "Location"),
        column("currency", "Currency"),
        column("refunded", "Refunded Amount"),
        column("subtotal", "Subtotal"),
        column("shipping", "Shipping"),
        column("taxes", "Taxes"),
        column("total", "Total"),
    ),
)
NO_LINES: Final = pl.DataFrame(
    schema={
        "file": pl.Int32, "row": pl.Int64, "order": pl.String, "occurred_at": pl.Datetime("us"), "product": pl.String,
        "name": pl.String, "quantity": pl.Float64, "nameless": pl.Boolean, "unit_price": pl.Float64,
        "discount": pl.Float64, "ships": pl.String, "status": pl.String, "cancelled": pl.String, "payment": pl.String,
        "currency": pl.String, "warehouse": pl.String, "refunded": pl.Float64, "subtotal": pl.Float64,
        "shipping": pl.Float64, "taxes": pl.Float64, "total": pl.Float64, "kept": pl.Boolean, "head": pl.Boolean,
    }
)  # fmt: skip


class Shopify:
    """Reads what a Shopify admin exports."""

    name = "shopify"
    roles = (ORDERS, stock.INVENTORY, stock.INVENTORY_BY_LOCATION, stock.PRODUCTS, stock.MONTH_END)

    def read(self, tables: Mapping[str, Sequence[Sieve]], options: Options) -> Part:
        """Turn the exports into movements, stock levels and products."""
        orders, rows, by_location, listed, months = (tables.get(role.name, ()) for role in self.roles)
        lines = pl.concat([NO_LINES, *(_order_lines(sieve, number) for number, sieve in enumerate(orders))])
        levels = [*map(stock.inventory, rows), *map(stock.by_location, by_location)]
        places = [part["warehouse"].drop_nulls().unique() for part in (lines, *levels)]
        where, others = home(options, pl.concat(places).to_list())
        sold, cancelled, notes = _sales(orders, lines, where, others)
        last = sold.group_by("product").agg(pl.col("occurred_at").max().dt.date().alias("last"))
        products = []
        for sieve in listed:
            products.append(stock.products(sieve, last))
            levels.append(stock.stock_of_products(sieve, where, known=bool(levels or others)))
        levels += [stock.month_end(sieve, where, known=bool(levels)) for sieve in months]
        known = _latest(pl.concat([stock.LEVELS.to_frame(), *levels]))
        if not orders and known["warehouse"].n_unique() == 1 and options.known_warehouses == (where,):
            # The only location there is goes by the name that its sales were booked under.
            known = known.with_columns(pl.lit(where).alias("warehouse"))
        products.append(sold.sort("occurred_at").group_by("product").agg(pl.col("name").last()).sort("product"))
        products.append(known.select("product", "name"))
        frames = {
            "movements": movements_frame(sold.sort("occurred_at", maintain_order=True), self.name),
            "stock_levels": known.drop("name"),
            "products": pl.concat(products, how="diagonal_relaxed").group_by("product", maintain_order=True)
            .agg(pl.exclude("product").drop_nulls().first()),
            "warehouses": pl.concat([sold.select("warehouse"), known.select("warehouse")]).unique().sort("warehouse"),
        }  # fmt: skip
        receipts = tuple(
            sieve.receipt(self.name, role.name, booked=booked(sold, number) if role is ORDERS else None)
            for role in self.roles
            for number, sieve in enumerate(tables.get(role.name, ()))
        )
        filled = {name: frame for name, frame in frames.items() if frame.height}
        gone = cancelled.to_frame("line_id").select(pl.lit(self.name).alias("source"), "line_id")
        return Part(filled, receipts, tuple(notes), gone)


def _latest(levels: pl.DataFrame) -> pl.DataFrame:
    """Return the latest level of each product and warehouse."""
    place = ["product", "warehouse"]
    newest = levels.sort("as_of", descending=True, maintain_order=True)
    return newest.unique(place, keep="first", maintain_order=True).sort(place)


def _order_lines(sieve: Sieve, file: int) -> pl.DataFrame:
    """Return every row of a file of orders, rejected ones too: the first row of an order speaks for the others."""
    count = sieve.frame.height
    order = sieve.code("order")
    moment = sieve.moment("occurred_at").values
    name, code = sieve.text("name"), stock.codes(sieve)
    quantity = sieve.number("quantity")
    sieve.drop(quantity.is_null() & name.is_null() & code.is_null(), "has no line of goods")
    sieve.reject(quantity.is_null(), "quantity", "is empty; every row needs a number")
    sieve.reject(code.is_null() & name.is_null(), "name", "is empty, and so is the SKU: nothing says what was sold")
    key = code.fill_null(name)
    sieve.reject(key.str.len_chars() > CODE_LENGTH, "name", TOO_LONG)
    columns = {
        "order": order, "occurred_at": moment, "product": key, "name": name, "quantity": quantity,
        "nameless": code.is_null(),
        **{field: optional_number(sieve, field) for field in ("unit_price", "discount")},
        **{field: _words(sieve, field) for field in ("ships", "status", "cancelled", "payment", "currency")},
        "warehouse": sieve.code("warehouse", required=False) if sieve.has("warehouse") else stock.nothing(sieve),
        **{field: optional_number(sieve, field) for field in ("refunded", "subtotal", "shipping", "taxes", "total")},
    }  # fmt: skip
    sieve.refuse_if_mostly_bad()
    index = {"file": pl.repeat(file, count, dtype=pl.Int32, eager=True), "row": pl.int_range(count, eager=True)}
    rows = pl.DataFrame({**index, **columns, "kept": sieve.kept})
    heads = [field for field in ("status", "total", "subtotal", "currency") if sieve.has(field)] or ["occurred_at"]
    return rows.with_columns(pl.any_horizontal(pl.col(heads).is_not_null()).alias("head"))


def _words(sieve: Sieve, field: str) -> pl.Series:
    return sieve.text(field).str.to_lowercase() if sieve.has(field) else stock.nothing(sieve)


def _sales(
    sieves: Sequence[Sieve], rows: pl.DataFrame, where: str, others: tuple[str, ...]
) -> tuple[pl.DataFrame, pl.Series, list[str]]:
    """Return the lines that are sales, the ids of those that are none or no more, and what to say about them."""
    of_order = ("occurred_at", "status", "cancelled", "payment", "currency", "warehouse")
    heads = rows.group_by("order").agg(pl.col(of_order).drop_nulls().first())
    lines = rows.drop(of_order).join(heads, on="order", how="left", maintain_order="left").join(
        _copies(rows), on=["order", "file"], how="left", maintain_order="left"
    )  # fmt: skip
    lines = lines.filter(pl.col("kept"))
    no_goods = pl.col("name").str.contains(NO_GOODS) & (pl.col("ships") != "true").fill_null(value=True)
    names = lines.filter(no_goods.fill_null(value=False))["name"].unique().sort()
    cancelled = _cancelled(lines)
    for mask, rule in (
        (pl.col("cancelled").is_not_null(), "is of a cancelled order"),
        (pl.col("status").is_in(NEVER_PAID), "is of an order that was voided or whose payment expired"),
        (pl.col("payment").str.contains("bogus", literal=True), "is of a test order"),
        (no_goods, "is no goods (gift card, tip, shipping, insurance)"),
        (pl.col("quantity") == 0, "has quantity 0"),
    ):
        hit = mask.fill_null(value=False)
        mark(sieves, lines.filter(hit), rule)
        lines = lines.filter(~hit)
    lines = _dated(sieves, lines)
    lines = drop_repeats(
        sieves,
        lines.with_columns(_line_ids(lines)),
        equal="is in an earlier file of this import too",
        different="is a second, different quantity for the same line of an order; the first one counts",
    )
    main, notes = _currency(lines)
    notes += [f"taken as no goods: {some(names)}"] if len(names) else []
    notes += [*_discounts(lines), *_taxes(rows), *_refunds(lines, rows), *_nameless(lines)]
    notes += _placeless(lines, where, others)
    off = pl.col("discount").fill_null(0.0) / pl.col("quantity").abs()
    priced = (pl.col("currency") == main).fill_null(value=True) if main else pl.lit(value=True)
    paid = pl.when(priced).then((pl.col("unit_price") - off).clip(0))
    lines = lines.with_columns(paid.alias("unit_price"), pl.col("warehouse").fill_null(where))
    for number, sieve in enumerate(sieves):
        mine = lines.filter(pl.col("file") == number)
        sieve.facts = {"orders": mine["order"].n_unique(), "units": float(mine["quantity"].sum())}
    return sale_or_return(lines), cancelled, notes


def _cancelled(lines: pl.DataFrame) -> pl.Series:
    """Return the ids under which an earlier export may have brought lines that are cancelled by now.

    An order is cancelled as a whole; a single line that was taken off has quantity 0, and is numbered behind the others
    like it.
    """
    gone = pl.col("cancelled").is_not_null() | pl.col("status").is_in(NEVER_PAID) | (pl.col("quantity") == 0)
    return lines.with_columns(_line_ids(lines)).filter(gone.fill_null(value=False))["line_id"].unique().sort()


def _copies(rows: pl.DataFrame) -> pl.DataFrame:
    """Return order, file, copy: which copy of an order a file holds.

    Exports overlap, and then each file has the whole order with its first row; and one export may be cut in the middle
    of an order, and then only one of the files has it.
    """
    found = rows.group_by("order", "file").agg(pl.col("head").any()).sort("order", "file")
    return found.select("order", "file", pl.col("head").cum_sum().over("order").clip(1).alias("copy"))


def _dated(sieves: Sequence[Sieve], lines: pl.DataFrame) -> pl.DataFrame:
    """Return lines of days that are over; those without a date or of the future are rejected."""
    lost = pl.col("occurred_at").is_null()
    reason = "is empty, and no given file has the first row of its order; give the files of one export together"
    turn_away(sieves, lines.filter(lost), "occurred_at", reason)
    for sieve in sieves:
        sieve.refuse_if_mostly_bad()
    lines = lines.filter(~lost)
    today = sieves[0].today if sieves else None
    if today is None:
        return lines
    day = pl.col("occurred_at").dt.date()
    turn_away(sieves, lines.filter(day > today), "occurred_at", f"lies in the future (today is {today})")
    mark(sieves, lines.filter(day == today), "is of today, which is not over; import it tomorrow")
    return lines.filter(day < today)


def _line_ids(lines: pl.DataFrame) -> pl.Series:
    """Return order/product@price, with ``#2`` ... for further such lines of the same copy."""
    price = number_text(pl.col("unit_price")).fill_null("")
    key = pl.concat_str("order", pl.lit("/"), short_codes(lines["product"]), pl.lit("@"), price)
    return numbered_by_size(lines.select(key.alias("key"), "quantity", "copy")).alias("line_id")


def _currency(lines: pl.DataFrame) -> tuple[str | None, list[str]]:
    """Return the currency of most lines where there are several, and a note on it."""
    counts = lines.drop_nulls("currency").group_by("currency").len().sort("len", "currency", descending=[True, False])
    if counts.height < 2:
        return None, []
    main = counts["currency"][0]
    rest = some(f"{name.upper()} {rows:,}" for name, rows in counts.tail(-1).iter_rows())
    return main, [
        f"several currencies: prices are in {main.upper()}; lines in others ({rest}) count as units without a price"
    ]


def _discounts(lines: pl.DataFrame) -> list[str]:
    cut = int((lines["discount"] > 0).sum())
    return [f"prices are after the discount of their line ({cut:,} lines); one on a whole order is not spread"] * (
        cut > 0
    )


def _taxes(rows: pl.DataFrame) -> list[str]:
    """Say whether prices include tax, from the orders whose total tells."""
    taxed = rows.filter((pl.col("taxes") > 0) & pl.col("total").is_not_null()).unique("order")
    goods = pl.col("subtotal") + pl.col("shipping").fill_null(0.0)
    within, on_top = (
        int(taxed.select(((pl.col("total") - sums).abs() < CENT).sum()).item())
        for sums in (goods, goods + pl.col("taxes"))
    )
    if within and on_top:
        return [f"prices include tax in {within:,} orders and not in {on_top:,}; they are taken as written"]
    return [f"prices {'include' if within else 'are without'} tax, as the orders' totals show"] * bool(within or on_top)


def _refunds(lines: pl.DataFrame, rows: pl.DataFrame) -> list[str]:
    back = rows.filter(pl.col("refunded") > 0).unique("order").join(lines, on="order", how="semi")
    if not back.height:
        return []
    return [
        f"{back.height:,} order(s) were refunded {back['refunded'].sum():,.2f} in all: that is money, and nothing says"
        " which units came back; they count as sold, and the next stock count puts the stock right"
    ]


def _nameless(lines: pl.DataFrame) -> list[str]:
    bare = lines.filter(pl.col("nameless"))["product"]
    if not len(bare):
        return []
    return [
        f"{len(bare):,} line(s) have no SKU and are known by name, {bare.n_unique():,} product(s):"
        f" {some(bare.unique().sort(), 5)}; renamed, they start anew: give them SKUs"
    ]


def _placeless(lines: pl.DataFrame, where: str, others: tuple[str, ...]) -> list[str]:
    away = lines["warehouse"].null_count()
    if not away:
        return []
    more = f", though there are {some(map(repr, others))}: --warehouse says which one ships them" if others else ""
    return [f"{away:,} line(s) name no location (online orders); booked in {where!r}{more}"]
