"""Odoo: stock moves, sale order lines, stock on hand, products, vendor pricelists and reordering rules.

1. Only moves that are done count. What went from a warehouse to a customer is a sale, back a return; from a vendor a
   receipt (to one an adjustment); to or from inventory loss, scrap and production an adjustment; between warehouses a
   transfer. Moves within a warehouse and drop-shipped ones move no stock of the shop and are dropped.
2. A warehouse is the first part of a location: ``WH/Stock/Shelf 1`` lies in ``WH``.
3. Moves and sale order lines tell of the same goods twice. Given together the moves are booked and the lines give
   prices only; a store that has the sales of one refuses those of the other.
4. Of order lines the quantity ordered is the demand, on the day of the order.
5. Moments are UTC in every export, and are turned into the shop's time zone where one is set.
6. Quantities are turned into one unit per product (see `units`).
7. A product is the code in ``[CODE] Name``, or without one its name.

Longer than most files because it is one short reader per document type, and nothing else; words are in `odoo_words`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from shelfwise.domain.errors import FileRefused
from shelfwise.ingest.detect import normalised
from shelfwise.ingest.profiles import odoo_words as words
from shelfwise.ingest.profiles.base import Options, Part, Role, column, movements_frame, number_text, numbered
from shelfwise.ingest.profiles.daily import from_sieve, mark, optional_number, turn_away
from shelfwise.ingest.profiles.filled import fill_orders
from shelfwise.ingest.profiles.lead_times import lead_time_of_suppliers
from shelfwise.ingest.profiles.rivals import ODOO_MOVES, ODOO_ORDERS
from shelfwise.ingest.profiles.snapshots import exported_at, home, not_below_zero
from shelfwise.ingest.profiles.units import unit_factors
from shelfwise.ingest.quality import Sieve
from shelfwise.ingest.receipt import some

MOVES: Final = Role(
    "stock moves",
    (
        column("product", words.PRODUCT, required=True),
        column("occurred_at", words.DATE, required=True),
        column("from", words.FROM, required=True),
        column("to", words.TO, required=True),
        column("state", words.STATE, required=True),
        column("code", words.CODE),
        column("quantity", words.DONE),
        column("demand", words.DEMAND),
        column("real", words.REAL),
        column("unit", words.UNIT),
        column("from_usage", words.FROM_USAGE),
        column("to_usage", words.TO_USAGE),
    ),
    at_least=6,
)
SALE_LINES: Final = Role(
    "sale order lines",
    (
        column("order", words.LINE_ORDER, required=True),
        column("occurred_at", words.LINE_DATE, required=True),
        column("product", words.PRODUCT, required=True),
        column("quantity", words.ORDERED, required=True),
        column("state", words.ORDER_STATE + ", " + words.STATE, required=True),
        column("code", words.CODE),
        column("delivered", words.DELIVERED),
        column("unit", words.UNIT),
        column("price", words.PRICE),
        column("discount", words.DISCOUNT),
        column("line_type", words.LINE_TYPE),
    ),
)
SALE_ORDERS: Final = Role(
    "sale orders",
    (
        column("order", words.ORDER, required=True),
        column("occurred_at", words.ORDER_DATE, required=True),
        column("product", words.of_order(words.PRODUCT), required=True),
        column("quantity", words.of_order(words.ORDERED), required=True),
        column("state", words.STATE, required=True),
        column("code", words.of_order(words.CODE)),
        column("delivered", words.of_order(words.DELIVERED)),
        column("unit", words.of_order(words.UNIT)),
        column("price", words.of_order(words.PRICE)),
        column("discount", words.of_order(words.DISCOUNT)),
        column("line_type", words.of_order(words.LINE_TYPE)),
    ),
)
QUANTS: Final = Role(
    "stock on hand",
    (
        column("product", words.PRODUCT, required=True),
        column("location", words.LOCATION, required=True),
        column("quantity", "quantity, Menge, Quantité, Cantidad, Quantità, Hoeveelheid, Quantidade, Antal, Kvantitet, "
               "inventory_quantity_auto_apply, Inventoried Quantity, On Hand Quantity", required=True),
        column("code", words.CODE),
        column("unit", words.UNIT),
        column("reserved", "reserved_quantity, Reserved Quantity, Reservierte Menge, Quantité réservée"),
        column("available", "available_quantity, Available Quantity, Verfügbare Menge, Quantité disponible"),
        column("lot", "lot_id, Lot/Serial Number, Los-/Seriennummer"),
        column("package", "package_id, Package, Paket"),
    ),
    at_least=5,  # a product, a place and a quantity alone may be anything
)  # fmt: skip
PRODUCTS: Final = Role(
    "products",
    (
        column("code", "default_code, Internal Reference, Interne Referenz, Référence interne, Referencia interna, "
               "Riferimento interno, Interne referentie, Referência interna, Intern referens", required=True),
        column("name", "name, Name, Nom, Nombre, Nome, Naam, Namn", required=True),
        column("category", "categ_id, Product Category, Produktkategorie, Catégorie de produits, Catégorie d'articles, "
               "Categoría de producto, Categoría del producto, Categoria prodotto, Productcategorie, "
               "Categoria do produto, Produktkategori"),
        column("price", "list_price, lst_price, Sales Price, Public Price, Verkaufspreis, Prix de vente, "
               "Precio de venta, Prezzo di vendita, Verkoopprijs, Preço de venda, Försäljningspris"),
        column("unit_cost", "standard_price, Cost, Kosten, Coût, Coste, Costo, Costo, Kostprijs, Custo, Kostnad"),
        column("kind", "detailed_type, type, Product Type, Produktart, Type de produit, Tipo de producto"),
    ),
    at_least=3,
)  # fmt: skip
PRICELIST: Final = Role(
    "vendor pricelist",
    (
        column("supplier", words.VENDOR, required=True),
        column("product", words.TEMPLATE, required=True),
        column("lead_time_days", words.LEAD, required=True),
        column("variant", words.VARIANT),
        column("minimum_order_quantity", words.LEAST),
        column("unit_cost", words.COST),
        column("currency", words.CURRENCY),
        column("unit", words.UNIT),
        column("starts_on", words.STARTS),
        column("ends_on", words.ENDS),
    ),
    at_least=4,
)
RULES: Final = Role(
    "reordering rules",
    (
        column("product", words.PRODUCT, required=True),
        column("location", words.LOCATION, required=True),
        column("minimum", words.MINIMUM, required=True),
        column("maximum", words.MAXIMUM),
        column("multiple", words.MULTIPLE),
        column("on_hand", words.ON_HAND),
        column("code", words.CODE),
        column("unit", words.UNIT),
    ),
)

_CELL: Final = r"^\s*\[([^\]]+)\]\s*(.*)$"
_PLACE: Final = ("product", "warehouse")


class Odoo:
    """Reads the exports of Odoo."""

    name = ODOO_MOVES
    roles = (MOVES, SALE_LINES, SALE_ORDERS, QUANTS, PRODUCTS, PRICELIST, RULES)

    def read(self, tables: Mapping[str, Sequence[Sieve]], options: Options) -> Part:
        """Turn the tables into movements, stock, products and suppliers."""
        moves, *sold, quants, products, pricelist, rules = (tables.get(role.name, ()) for role in self.roles)
        lines = [sieve for sieves in sold for sieve in sieves]
        moved = _moves(moves)
        levels = _quants(quants)
        packs, seen = _rules(rules, counted=bool(quants))
        levels = pl.concat([levels, seen]) if seen.height else levels
        places = [frame["warehouse"] for frame in (moved, levels) if frame.height]
        ordered, prices = _sale_lines(lines, moves, options, pl.concat(places).unique().to_list() if places else [])
        listed = _products(products)
        bought, suppliers = _pricelist(pricelist)
        movements = [movements_frame(moved, self.name)] if moved.height else []
        movements += [movements_frame(ordered, ODOO_ORDERS)] if ordered.height else []
        named = [frame.select("product", "name") for frame in (moved, ordered, levels) if frame.height]
        known = [frame for frame in (listed, bought, packs, prices, *named) if frame.height]
        frames: dict[str, pl.DataFrame] = {}
        if movements:
            frames["movements"] = pl.concat(movements)
        if levels.height:
            frames["stock_levels"] = levels.select(*_PLACE, "on_hand", "as_of")
        if known:
            merged = pl.concat(known, how="diagonal_relaxed").group_by("product", maintain_order=True)
            frames["products"] = merged.agg(pl.all().drop_nulls().first())
        if suppliers.height:
            frames["suppliers"] = suppliers
        at = [frame.select("warehouse") for frame in (moved, ordered, levels) if frame.height]
        if at:
            frames["warehouses"] = pl.concat(at).unique().sort("warehouse")
        told = [(sieve, moved, number) for number, sieve in enumerate(moves)]
        told += [(sieve, ordered, number) for number, sieve in enumerate(lines)]
        counts = {id(sieve): _booked(rows, number) for sieve, rows, number in told}
        receipts = tuple(
            sieve.receipt(self.name, role.name, booked=counts.get(id(sieve)))
            for role in self.roles
            for sieve in tables.get(role.name, ())
        )
        return Part(frames, receipts)


def _booked(rows: pl.DataFrame, file: int) -> dict[str, int]:
    if not rows.height:
        return {}
    counts = dict(rows.filter(pl.col("file") == file).group_by("kind").len().iter_rows())
    return {kind: counts[kind] for kind in ("sale", "return", "receipt", "transfer", "adjustment") if kind in counts}


def _product(sieve: Sieve, field: str = "product", *, required: bool = True) -> tuple[pl.Series, pl.Series]:
    """Return code and name of a product cell: ``[CODE] Name``, or a name alone, which is the code then."""
    cells = sieve.code(field, required=required)
    parts = cells.str.extract_groups(_CELL).struct.rename_fields(["code", "name"]).struct.unnest()
    given = sieve.code("code", required=False) if sieve.has("code") else parts["code"]
    names = (
        parts["name"].replace("", None).fill_null(pl.select(pl.when(parts["code"].is_null()).then(cells)).to_series())
    )
    return given.fill_null(parts["code"]).fill_null(cells).alias("product"), names.alias("name")


def _in_shop_time(sieve: Sieve, field: str) -> pl.Series:
    """Return moments that Odoo writes in UTC as shop time; today's rows are left out by the shop's clock."""
    moment = sieve.moment(field, required=True)
    values = moment.values
    if moment.has_time and sieve.timezone is not None:
        local = values.dt.replace_time_zone("UTC").dt.convert_time_zone(sieve.timezone)
        values = local.dt.replace_time_zone(None)
        sieve.readings["times"] = f"UTC, turned into {sieve.timezone}"
    elif moment.has_time:
        sieve.notes.append(
            "Odoo writes times in UTC and the shop has no time zone set, so days begin at midnight UTC: set "
            "SHELFWISE_TIMEZONE, like Europe/Berlin, before importing"
        )
    sieve.leave_out_today(field, values)
    return values


def _said(sieve: Sieve, field: str) -> pl.Series:
    """Return a column of state words as they are compared."""
    cells = sieve.text(field)
    plain = {word: normalised(word) for word in cells.unique().drop_nulls().to_list()}
    return cells.replace_strict(plain, default=None, return_dtype=pl.String)


def _moves(sieves: Sequence[Sieve]) -> pl.DataFrame:
    """Return done moves as movements in one unit per product; transfers between warehouses are two rows."""
    if not sieves:
        return pl.DataFrame()
    rows = pl.concat([_done_moves(sieve, number) for number, sieve in enumerate(sieves)])
    rows = _in_one_unit(sieves, rows)
    rows = _without_repeats(sieves, rows, ("from", "to"))
    shop = (pl.col("from_usage") == "internal") | (pl.col("to_usage") == "internal")
    inside = (pl.col("from_usage") == "internal") & (pl.col("to_usage") == "internal")
    same = inside & (pl.col("from_warehouse") == pl.col("to_warehouse"))
    mark(sieves, rows.filter(same), "stays in one warehouse")
    mark(sieves, rows.filter(~shop), "never lay in a warehouse of the shop (drop-shipped, in transit)")
    rows = rows.filter(shop & ~same)
    sides = []
    for here, there, sign, end in (("from", "to", -1.0, "/out"), ("to", "from", 1.0, "/in")):
        # A transfer has two ends, each of which needs an id of its own.
        ending = pl.when(inside).then(pl.lit(end)).otherwise(pl.lit(""))
        side = rows.filter(pl.col(f"{here}_usage") == "internal")
        sides.append(
            side.with_columns(
                pl.col(f"{here}_warehouse").alias("warehouse"),
                pl.col(f"{there}_usage").alias("other"),
                (sign * pl.col("quantity")).alias("change"),
                (pl.col("line_id") + ending).alias("line_id"),
            )
        )
    change, other = pl.col("change"), pl.col("other")
    kind = (
        pl.when(other.is_in(["internal", "transit"])).then(pl.lit("transfer"))
        .when((other == "customer") & (change < 0)).then(pl.lit("sale"))
        .when(other == "customer").then(pl.lit("return"))
        .when((other == "supplier") & (change > 0)).then(pl.lit("receipt"))
        .otherwise(pl.lit("adjustment"))
    )  # fmt: skip
    signed = pl.col("kind").is_in(["transfer", "adjustment"])
    return (
        pl.concat(sides)
        .with_columns(kind.alias("kind"))
        .with_columns(
            pl.when(signed).then("change").otherwise(change.abs()).alias("quantity"),
            pl.lit(None, pl.Float64).alias("unit_price"),
        )
        .sort("occurred_at", "line_id")
    )


def _done_moves(sieve: Sieve, file: int) -> pl.DataFrame:
    state = _said(sieve, "state")
    sieve.reject(state.is_null(), "state", "is empty; every row needs a state")
    if not state.is_in(words.DONE_WORDS).any():
        raise FileRefused(
            sieve.table.place("state"), some(sorted(sieve.text("state").unique().drop_nulls().to_list()), limit=4),
            "holds no move that is done", "export done moves too, with the column Status as Odoo writes it",
        )  # fmt: skip
    sieve.drop(state.is_in(words.CANCELLED_WORDS), "is cancelled")
    sieve.drop(~state.is_in(words.DONE_WORDS), "is not done yet (draft, waiting, ready)")
    product, name = _product(sieve)
    moved = next((field for field in ("quantity", "demand") if sieve.has(field)), None)
    if moved is None:
        raise FileRefused(sieve.table.place(), "", "says of no move how much it moved",
                          "export the column Quantity (quantity; before Odoo 17 quantity_done) too")  # fmt: skip
    quantity = sieve.number(moved, required=True, least=0)
    sieve.drop(quantity == 0, "moved nothing")
    columns = {
        "product": product, "name": name, "quantity": quantity,
        "unit": _unit(sieve), "ratio": _ratio(sieve),
        "occurred_at": _in_shop_time(sieve, "occurred_at"),
    }  # fmt: skip
    for side in ("from", "to"):
        location = sieve.code(side)
        usage = words.usages(location, sieve.text(f"{side}_usage") if sieve.has(f"{side}_usage") else None)
        sieve.reject(usage.is_null(), side, "is a location of no known kind; export the location types too "
                     "(location_usage, location_dest_usage)")  # fmt: skip
        columns |= {
            side: location,
            f"{side}_usage": usage,
            f"{side}_warehouse": location.str.extract(r"^\s*([^/]+?)\s*(?:/|$)"),
        }
    if not (sieve.has("from_usage") and sieve.has("to_usage")):
        both = {"at": ("from", "to"), "usage": ("from_usage", "to_usage")}
        _say_locations(sieve, pl.DataFrame({key: pl.concat([columns[side] for side in sides])
                                            for key, sides in both.items()}))  # fmt: skip
    sieve.refuse_if_mostly_bad()
    return from_sieve(sieve, file, columns)


def _say_locations(sieve: Sieve, locations: pl.DataFrame) -> None:
    """Say which locations were taken for the shop's and which for customers, where the export does not say it."""
    for usage, label in (("internal", "warehouses of the shop"), ("customer", "customers")):
        names = locations.filter(pl.col("usage") == usage)["at"].unique().sort().to_list()
        if names:
            sieve.notes.append(f"taken for {label} by their names: {some(names)}")


def _unit(sieve: Sieve) -> pl.Series:
    return sieve.text("unit") if sieve.has("unit") else pl.repeat(None, sieve.frame.height, dtype=pl.String, eager=True)


def _ratio(sieve: Sieve) -> pl.Series:
    """Return how much of the product's own unit one of the row's is: Real Quantity over Demand."""
    if not (sieve.has("real") and sieve.has("demand")):
        return pl.repeat(None, sieve.frame.height, dtype=pl.Float64, eager=True)
    real, demand = sieve.number("real"), sieve.number("demand")
    return pl.select(pl.when((demand > 0) & (real > 0)).then(real / demand)).to_series()


def _in_one_unit(sieves: Sequence[Sieve], rows: pl.DataFrame, *scaled: str) -> pl.DataFrame:
    """Return rows with quantities (and ``scaled``) in the unit of their product; rows that have none are rejected."""
    rows = unit_factors(rows)
    lost = rows.filter(pl.col("factor").is_null())
    turn_away(sieves, lost, "unit", "stands beside other units of the product and nothing says how much it is; export "
              "Real Quantity and Demand too, or change the unit in Odoo")  # fmt: skip
    for sieve in sieves:
        sieve.refuse_if_mostly_bad()
    rows = rows.filter(pl.col("factor").is_not_null())
    other = rows.filter(pl.col("factor") != 1)
    if other.height:
        listed = some(other.group_by("unit").len().sort("unit").select(pl.format("{} ({} rows)", "unit", "len"))
                      .to_series().to_list())  # fmt: skip
        sieves[0].notes.append(f"quantities turned into the product's unit: {listed}")
    return rows.with_columns(pl.col("quantity") * pl.col("factor"))


def _without_repeats(sieves: Sequence[Sieve], rows: pl.DataFrame, also: tuple[str, ...]) -> pl.DataFrame:
    """Add ``line_id`` from what a move is made of, with its occurrence in its file, and leave out repeats of files."""
    moment = pl.col("occurred_at").dt.strftime("%Y-%m-%dT%H:%M:%S")
    key = pl.concat_str("product", *also, moment, number_text(pl.col("quantity")), separator="|").alias("line_id")
    parts = [
        part.with_columns(numbered(part.select(key).to_series()))
        for part in rows.partition_by("file", maintain_order=True)
    ]
    rows = pl.concat(parts) if parts else rows.with_columns(key)
    fresh = rows["line_id"].is_first_distinct()
    mark(sieves, rows.filter(~fresh), "is in an earlier file of this import too")
    return rows.filter(fresh)


def _sale_lines(
    sieves: Sequence[Sieve], moves: Sequence[Sieve], options: Options, places: list[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return order lines as sales, none where the moves are given, and the usual price of each product."""
    if not sieves:
        return pl.DataFrame(), pl.DataFrame()
    warehouse, others = home(options, places)
    rows = pl.concat([_order_lines(sieve, number) for number, sieve in enumerate(sieves)])
    rows = _in_one_unit(sieves, rows).with_columns(
        (pl.col("unit_price") / pl.col("factor")).alias("unit_price"), pl.lit(warehouse).alias("warehouse")
    )
    key = pl.concat_str("order", "product", separator="/").alias("line_id")
    parts = [
        part.with_columns(numbered(part.select(key).to_series()))
        for part in rows.partition_by("file", maintain_order=True)
    ]
    rows = pl.concat(parts) if parts else rows.with_columns(key)
    fresh = rows["line_id"].is_first_distinct()
    mark(sieves, rows.filter(~fresh), "is in an earlier file of this import too")
    rows = rows.filter(fresh)
    prices = (
        rows.filter((pl.col("quantity") > 0) & (pl.col("unit_price") > 0))
        .group_by("product", maintain_order=True).agg(pl.col("unit_price").median().alias("price"))
    )  # fmt: skip
    if moves:
        mark(sieves, rows, "is told by the stock moves of this import; its price is used, its units would count twice")
        return pl.DataFrame(), prices
    if others:
        sieves[0].notes.append(
            f"order lines do not say from which of {some(others)} they leave; taken as {warehouse!r}"
        )
    kind = pl.when(pl.col("quantity") < 0).then(pl.lit("return")).otherwise(pl.lit("sale"))
    return rows.with_columns(kind.alias("kind"), pl.col("quantity").abs()).sort("occurred_at", "line_id"), prices


def _order_lines(sieve: Sieve, file: int) -> pl.DataFrame:
    fill_orders(sieve, ("occurred_at", "state"))
    order = sieve.code("order")
    state = _said(sieve, "state")
    sieve.drop(state.is_in(words.CANCELLED_WORDS), "is of a cancelled order")
    sieve.drop(state.is_in(words.OFFER_WORDS), "is of a quotation nobody has confirmed")
    sieve.reject(~state.is_in(words.SOLD_WORDS) | state.is_null(), "state", "is no state of an order we know")
    product, name = _product(sieve, required=False)
    quantity = sieve.number("quantity")
    blank = product.is_null() & (quantity.fill_null(0.0) == 0)
    if sieve.has("line_type"):
        blank = blank | sieve.text("line_type").is_not_null()
    sieve.drop(blank, "is a heading or a note, not a product")
    sieve.reject(product.is_null(), "product", "is empty; every row needs a product")
    sieve.reject(quantity.is_null(), "quantity", "is empty; every row needs a number")
    sieve.drop(quantity == 0, "orders nothing")
    price = optional_number(sieve, "price") * (1 - optional_number(sieve, "discount").fill_null(0.0) / 100)
    if sieve.has("delivered"):
        short = (quantity - sieve.number("delivered").fill_null(0.0)).clip(0)
        sieve.facts["units ordered and not delivered"] = float(short.filter(sieve.kept).sum())
    columns = {
        "order": order, "product": product, "name": name, "quantity": quantity, "unit": _unit(sieve),
        "ratio": pl.repeat(None, len(order), dtype=pl.Float64, eager=True),
        "unit_price": pl.select(pl.when(price >= 0).then(price)).to_series(),
        "occurred_at": _in_shop_time(sieve, "occurred_at"),
    }  # fmt: skip
    sieve.refuse_if_mostly_bad()
    return from_sieve(sieve, file, columns)


def _quants(sieves: Sequence[Sieve]) -> pl.DataFrame:
    """Return stock on hand by product and warehouse: the sum over its locations, lots and packages."""
    parts = []
    for number, sieve in enumerate(sieves):
        product, name = _product(sieve)
        location = sieve.code("location")
        sieve.drop(words.usages(location, None) != "internal", "lies at a customer, a vendor or a virtual location")
        columns = {
            "product": product, "name": name, "unit": _unit(sieve),
            "warehouse": location.str.extract(r"^\s*([^/]+?)\s*(?:/|$)"),
            "quantity": sieve.number("quantity", required=True),
            "as_of": pl.repeat(exported_at(sieve), len(product), dtype=pl.Datetime("us"), eager=True),
        }  # fmt: skip
        sieve.refuse_if_mostly_bad()
        parts.append(from_sieve(sieve, number, columns))
    if not parts:
        return _no_levels()
    rows = _in_one_unit(sieves, pl.concat(parts))
    summed = rows.group_by(_PLACE, maintain_order=True).agg(
        pl.col("name").drop_nulls().first(), pl.col("quantity").sum().alias("on_hand"), pl.col("as_of").max()
    )
    below = summed.filter(pl.col("on_hand") < 0).height
    if below:
        sieves[0].notes.append(f"{below:,} product(s) in a warehouse have stock below zero, read as none on hand")
    return summed.with_columns(pl.col("on_hand").clip(0)).sort(_PLACE).select(_no_levels().columns)


def _no_levels() -> pl.DataFrame:
    return pl.DataFrame(schema={"product": pl.String, "warehouse": pl.String, "name": pl.String,
                                "on_hand": pl.Float64, "as_of": pl.Datetime("us")})  # fmt: skip


def _rules(sieves: Sequence[Sieve], *, counted: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return pack sizes, and the stock on hand that the rules show where no list of stock is given."""
    packs, levels = [], []
    for number, sieve in enumerate(sieves):
        product, name = _product(sieve)
        location = sieve.code("location")
        least = sieve.number("minimum")
        most = optional_number(sieve, "maximum")
        multiple = optional_number(sieve, "multiple")
        on_hand = optional_number(sieve, "on_hand")
        sieve.facts["rules with a minimum"] = int(((least > 0) | (most > 0)).sum())
        sieve.notes.append("minimum and maximum are today's rule in Odoo; they are not used, levels come from demand")
        sieve.refuse_if_mostly_bad()
        pack = pl.select(pl.when(multiple > 1).then(multiple)).to_series()
        packs.append(from_sieve(sieve, number, {"product": product, "name": name, "pack_size": pack}))
        if sieve.has("on_hand") and not counted:
            columns = {
                "product": product, "name": name, "on_hand": not_below_zero(sieve, on_hand),
                "warehouse": location.str.extract(r"^\s*([^/]+?)\s*(?:/|$)"),
                "as_of": pl.repeat(exported_at(sieve), len(product), dtype=pl.Datetime("us"), eager=True),
            }  # fmt: skip
            levels.append(from_sieve(sieve, number, columns).drop_nulls("on_hand"))
    if not packs:
        return pl.DataFrame(), _no_levels()
    seen = pl.concat(levels).unique(_PLACE, keep="first", maintain_order=True) if levels else _no_levels()
    several = pl.concat(packs).group_by("product", maintain_order=True).agg(
        pl.col("name").drop_nulls().first(), pl.col("pack_size").max()
    )  # fmt: skip
    return several, seen.select(_no_levels().columns).sort(_PLACE)


def _products(sieves: Sequence[Sieve]) -> pl.DataFrame:
    parts = []
    for number, sieve in enumerate(sieves):
        name = sieve.text("name")
        code = sieve.code("code", required=False).fill_null(name)
        sieve.reject(code.is_null(), "name", "is empty, and so is the internal reference")
        if sieve.has("kind"):
            service = _said(sieve, "kind").is_in(["service", "services", "dienstleistung", "servicio", "servizio"])
            sieve.drop(service, "is a service")
        columns = {"product": code, "name": name}
        if sieve.has("category"):
            columns["category"] = sieve.text("category").str.replace(r"^(?:All|Alle|Tous|Todos|Tutti|Alla)\s*/\s*", "")
        for field in ("price", "unit_cost"):
            if sieve.has(field):
                value = sieve.number(field, least=0)
                columns[field] = pl.select(pl.when(value > 0).then(value)).to_series()
        sieve.refuse_if_mostly_bad()
        parts.append(from_sieve(sieve, number, columns))
    if not parts:
        return pl.DataFrame()
    rows = pl.concat(parts, how="diagonal_relaxed")
    first = rows.select(pl.col("product").is_first_distinct()).to_series()
    mark(sieves, rows.filter(~first), "repeats a product; the first line counts")
    return rows.filter(first).drop("file", "row")


def _pricelist(sieves: Sequence[Sieve]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return products with supplier, minimum and cost, and the suppliers with lead time and currency."""
    if not sieves:
        return pl.DataFrame(), pl.DataFrame()
    rows = pl.concat([_prices(sieve, number) for number, sieve in enumerate(sieves)])
    own = rows["supplier"] == rows.select(pl.col("supplier").first().over("product")).to_series()
    mark(sieves, rows.filter(~own), "is of a second vendor; the first one of a product counts")
    rows = rows.filter(own).sort("minimum_order_quantity", nulls_last=False, maintain_order=True)
    first = rows.select(pl.col("product").is_first_distinct()).to_series()
    mark(sieves, rows.filter(~first), "is a price from a larger quantity on; the smallest one counts")
    rows = rows.filter(first)
    suppliers, note = lead_time_of_suppliers(rows)
    sieves[0].notes += [note] if note else []
    money = rows.drop_nulls("currency").group_by("supplier", "currency").len().sort(
        "len", "currency", descending=[True, False]
    ).group_by("supplier", maintain_order=True).agg(pl.col("currency").first(), pl.len().alias("several"))  # fmt: skip
    mixed = money.filter(pl.col("several") > 1)["supplier"].to_list()
    if mixed:
        sieves[0].notes.append(f"vendors with prices in several currencies, taken as their commonest: {some(mixed)}")
    if money["currency"].n_unique() > 1:
        sieves[0].notes.append(f"costs are in {some(money['currency'].unique().sort().to_list())} as the vendors write "
                               "them; nothing is exchanged")  # fmt: skip
    names = rows.select(pl.col("supplier").unique().sort())
    found = names.join(suppliers, on="supplier", how="left").join(money.drop("several"), on="supplier", how="left")
    columns = ["product", "name", "supplier", "minimum_order_quantity", "unit_cost"]
    return rows.select(columns), found


def _prices(sieve: Sieve, file: int) -> pl.DataFrame:
    template, name = _product(sieve)
    if sieve.has("variant"):
        variant, variant_name = _product(sieve, "variant", required=False)
        template, name = variant.fill_null(template), variant_name.fill_null(name)
    supplier = sieve.text("supplier", required=True)
    today = sieve.today
    for field, rule in (("starts_on", "is a price that is not valid yet"), ("ends_on", "is a price no longer valid")):
        if today is not None and sieve.has(field) and sieve.text(field).is_not_null().any():
            day = sieve.moment(field).values.dt.date()
            sieve.drop(day > today if field == "starts_on" else day < today, rule)
    factor = unit_factors(pl.DataFrame({"product": template, "unit": _unit(sieve)}))["factor"].fill_null(1.0)
    least = optional_number(sieve, "minimum_order_quantity") * factor
    cost = optional_number(sieve, "unit_cost") / factor
    columns = {
        "product": template, "name": name, "supplier": supplier,
        "lead_time_days": sieve.number("lead_time_days", least=0),
        "minimum_order_quantity": pl.select(pl.when(least > 0).then(least)).to_series(),
        "unit_cost": pl.select(pl.when(cost > 0).then(cost)).to_series(),
        "currency": sieve.text("currency") if sieve.has("currency") else pl.repeat(
            None, len(template), dtype=pl.String, eager=True
        ),
    }  # fmt: skip
    sieve.refuse_if_mostly_bad()
    return from_sieve(sieve, file, columns)
