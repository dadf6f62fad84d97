"""Make the exports of Odoo from a made-up shop: stock moves, order lines, stock, products, pricelist, rules.

Columns are fields of stock.move, sale.order(.line), stock.quant, product.product, product.supplierinfo and
stock.warehouse.orderpoint, under technical names or the labels of a language. Moments are UTC. Nothing in it is real.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl
from tests.ingest.exports.made_up import MadeUp

ZONE: Final = "Europe/Berlin"
CUSTOMERS: Final = "Partners/Customers"
_ENDS: Final = {  # kind: (from, to); None is the warehouse itself
    "opening": ("Virtual Locations/Inventory adjustment", None),
    "sale": (None, CUSTOMERS),
    "return": (CUSTOMERS, None),
    "receipt": ("Partners/Vendors", None),
    "shrinkage": (None, "Virtual Locations/Scrap"),
}
LABELS: Final = {
    "en": {"date": "Date Scheduled", "reference": "Reference", "product_id": "Product", "product_uom_qty": "Demand",
           "quantity": "Quantity", "product_uom": "Unit of Measure", "location_id": "Source Location",
           "location_dest_id": "Destination Location", "state": "Status", "partner_id": "Customer"},
    "de": {"date": "Datum", "reference": "Referenz", "product_id": "Produkt", "product_uom_qty": "Bedarf",
           "quantity": "Menge", "product_uom": "Maßeinheit", "location_id": "Lagerort (Quelle)",
           "location_dest_id": "Ziellagerort", "state": "Status", "partner_id": "Kunde"},
    "fr": {"date": "Date", "reference": "Référence", "product_id": "Produit", "product_uom_qty": "Demande",
           "quantity": "Quantité", "product_uom": "Unité de mesure", "location_id": "Emplacement d'origine",
           "location_dest_id": "Emplacement de destination", "state": "Statut", "partner_id": "Client"},
    "es": {"date": "Fecha", "reference": "Referencia", "product_id": "Producto", "product_uom_qty": "Demanda",
           "quantity": "Cantidad", "product_uom": "Unidad de medida", "location_id": "Ubicación de origen",
           "location_dest_id": "Ubicación destino", "state": "Estado", "partner_id": "Cliente"},
    "it": {"date": "Data", "reference": "Riferimento", "product_id": "Prodotto", "product_uom_qty": "Richiesto",
           "quantity": "Quantità", "product_uom": "Unità di misura", "location_id": "Ubicazione di origine",
           "location_dest_id": "Ubicazione di destinazione", "state": "Stato", "partner_id": "Cliente"},
    "nl": {"date": "Datum", "reference": "Referentie", "product_id": "Product", "product_uom_qty": "Gevraagd",
           "quantity": "Hoeveelheid", "product_uom": "Maateenheid", "location_id": "Bronlocatie",
           "location_dest_id": "Bestemmingslocatie", "state": "Status", "partner_id": "Klant"},
    "sv": {"date": "Datum", "reference": "Referens", "product_id": "Produkt", "product_uom_qty": "Efterfrågan",
           "quantity": "Kvantitet", "product_uom": "Enhet", "location_id": "Ursprungsplats",
           "location_dest_id": "Destinationsplats", "state": "Status", "partner_id": "Kund"},
    "pt": {"date": "Data", "reference": "Referência", "product_id": "Produto", "product_uom_qty": "Demanda",
           "quantity": "Quantidade", "product_uom": "Unidade de medida", "location_id": "Local de origem",
           "location_dest_id": "Local de destino", "state": "Situação", "partner_id": "Cliente"},
}  # fmt: skip
DONE: Final = {"en": "Done", "de": "Erledigt", "fr": "Fait", "es": "Hecho", "it": "Completato", "nl": "Gereed",
               "sv": "Klar", "pt": "Concluído"}  # fmt: skip


def _utc(moment: pl.Expr) -> pl.Expr:
    at = moment.dt.replace_time_zone(ZONE, ambiguous="earliest").dt.convert_time_zone("UTC")
    return at.dt.strftime("%Y-%m-%d %H:%M:%S")


def _product_cells(shop: MadeUp) -> pl.DataFrame:
    """Return product and its cell, ``[CODE] Name``."""
    return shop.products.select("product", cell=pl.format("[{}] {}", "product", "name"))


def stock_moves(shop: MadeUp) -> pl.DataFrame:
    """Return stock.move by technical names: everything the ledger has, and drafts and cancelled moves besides.

    Every seventh line whose quantity is a multiple of 12 is written in dozens.
    """
    ledger = shop.ledger.join(_product_cells(shop), on="product", how="left", maintain_order="left")
    transfers = ledger.filter((pl.col("kind") == "transfer") & (pl.col("change") > 0)).with_columns(
        origin=pl.lit(shop.ledger["warehouse"][0]) + "/Stock", target=pl.col("warehouse") + "/Stock"
    )
    here = pl.col("warehouse") + "/Stock"
    single = ledger.filter(pl.col("kind") != "transfer").with_columns(
        origin=pl.col("kind").replace_strict({k: v[0] for k, v in _ENDS.items()}).fill_null(here),
        target=pl.col("kind").replace_strict({k: v[1] for k, v in _ENDS.items()}).fill_null(here),
    )
    units = pl.col("change").abs()
    rows = pl.concat([single, transfers]).sort("moment", maintain_order=True).with_row_index("n")
    dozens = (units % 12 == 0) & (pl.col("n") % 7 < 4)
    done = rows.select(
        date=_utc(pl.col("moment")),
        reference="document",
        product_id="cell",
        product_uom_qty=pl.when(dozens).then(units / 12).otherwise(units),
        quantity=pl.when(dozens).then(units / 12).otherwise(units),
        product_uom=pl.when(dozens).then(pl.lit("Dozens")).otherwise(pl.lit("Units")),
        location_id="origin",
        location_dest_id="target",
        state=pl.lit("done"),
        partner_id="customer",
    )
    # What was never done, and what went from the shelf to the door of the same warehouse.
    never = done.filter(pl.col("location_dest_id") == CUSTOMERS).gather_every(9)
    inside = never.with_columns(location_dest_id=pl.col("location_id").str.replace("Stock", "Output"))
    states = [never.with_columns(state=pl.lit(state)) for state in ("cancel", "draft", "assigned")]
    return pl.concat([done, *states, inside])


def in_words_of(moves: pl.DataFrame, language: str) -> pl.DataFrame:
    """Return moves with the labels and states of a language."""
    state = pl.col("state").replace({"done": DONE[language]})
    return moves.with_columns(state).rename(LABELS[language])


def sale_orders(shop: MadeUp) -> pl.DataFrame:
    """Return sale.order with its lines as the export shows them: order fields on the first row only."""
    lines = shop.ledger.filter(pl.col("kind") == "sale").join(
        _product_cells(shop), on="product", how="left", maintain_order="left"
    )
    first = pl.col("document").is_first_distinct()
    quoted = pl.col("document").rank("dense") % 11 == 0
    state = pl.when(quoted).then(pl.lit("Quotation")).otherwise(pl.lit("Sales Order"))
    rows = lines.with_columns(ordered=-pl.col("change"), first=first, state=state)
    return rows.select(
        pl.when("first").then("document").alias("Order Reference"),
        pl.when("first").then(_utc(pl.col("moment"))).alias("Order Date"),
        pl.when("first").then("customer").alias("Customer"),
        pl.when("first").then("state").alias("Status"),
        pl.col("cell").alias("Order Lines/Product"),
        pl.col("ordered").alias("Order Lines/Quantity"),
        pl.col("ordered").alias("Order Lines/Delivery Quantity"),
        pl.lit("Units").alias("Order Lines/Unit of Measure"),
        pl.col("price").alias("Order Lines/Unit Price"),
    )


def quants(shop: MadeUp) -> pl.DataFrame:
    """Return stock.quant by labels: each stock on two shelves, and what lies at the customers."""
    stock = shop.on_hand().join(_product_cells(shop), on="product", how="left", maintain_order="left")
    half = (pl.col("on_hand") / 2).floor()
    shelves = [
        stock.select(
            pl.col("cell").alias("Product"),
            (pl.col("warehouse") + f"/Stock/{shelf}").alias("Location"),
            pl.lit(None, pl.String).alias("Lot/Serial Number"),
            units.alias("Quantity"),
            pl.lit(0.0).alias("Reserved Quantity"),
            pl.lit("Units").alias("Unit of Measure"),
        )
        for shelf, units in (("A", half), ("B", pl.col("on_hand") - half))
    ]
    away = shelves[0].with_columns(pl.lit(CUSTOMERS).alias("Location"), pl.lit(99.0).alias("Quantity")).head(3)
    return pl.concat([*shelves, away])


def products(shop: MadeUp) -> pl.DataFrame:
    """Return product.product by labels."""
    return shop.products.select(
        pl.col("product").alias("Internal Reference"),
        pl.col("name").alias("Name"),
        ("All / " + pl.col("category")).alias("Product Category"),
        pl.col("price").alias("Sales Price"),
        pl.col("unit_cost").alias("Cost"),
        pl.lit("Storable Product").alias("Product Type"),
    )


def pricelist(shop: MadeUp) -> pl.DataFrame:
    """Return product.supplierinfo by technical names, with a second vendor for every fifth product."""
    cells = shop.products.join(_product_cells(shop), on="product", how="left", maintain_order="left")
    own = cells.select(
        partner_id="supplier",
        product_tmpl_id="cell",
        product_code=pl.format("V-{}", "product"),
        min_qty="minimum_order_quantity",
        price="unit_cost",
        currency_id=pl.lit("EUR"),
        date_start=pl.lit(None, pl.String),
        date_end=pl.lit(None, pl.String),
        delay=pl.col("lead_time_days").cast(pl.Int64),
    )
    second = own.gather_every(5).with_columns(partner_id=pl.lit("Second Source"), price=pl.col("price") * 1.5)
    return pl.concat([own, second])


def reordering_rules(shop: MadeUp) -> pl.DataFrame:
    """Return stock.warehouse.orderpoint by technical names."""
    stock = shop.on_hand().join(_product_cells(shop), on="product", how="left", maintain_order="left")
    packs = shop.products.select("product", "pack_size")
    return stock.join(packs, on="product", how="left", maintain_order="left").select(
        product_id="cell",
        location_id=pl.col("warehouse") + "/Stock",
        product_min_qty=pl.lit(5.0),
        product_max_qty=pl.lit(30.0),
        qty_multiple="pack_size",
        trigger=pl.lit("auto"),
        qty_on_hand="on_hand",
    )


def write(shop: MadeUp, folder: Path) -> list[Path]:
    """Write the whole shop as Odoo would export it, and return the files."""
    tables = {
        "stock.move": in_words_of(stock_moves(shop), "en"),
        "stock.quant": quants(shop),
        "product.product": products(shop),
        "product.supplierinfo": pricelist(shop),
        "stock.warehouse.orderpoint": reordering_rules(shop),
    }
    paths = []
    for name, table in tables.items():
        paths.append(folder / f"{name}.csv")
        table.write_csv(paths[-1])
    return paths
