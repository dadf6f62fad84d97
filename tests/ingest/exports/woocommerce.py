"""Make the exports of WooCommerce from a made-up shop: plug-in order lines, Analytics reports, the product exporter.

Columns are those of Customer/Order/Coupon Export (one row per item), of Advanced Order Export, of the product exporter
in the woocommerce/woocommerce repository and of the Analytics reports. Nothing in it is real.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl
from tests.ingest.exports.made_up import MadeUp

WAREHOUSE: Final = "main"
STATUSES: Final = ("completed", "processing", "completed", "completed")
LOST: Final = ("cancelled", "refunded", "failed", "pending", "on-hold", "checkout-draft")
FRENCH: Final = {
    "Order #": "Commande n°", "Status": "État", "Customer": "Client", "Customer type": "Type de client",
    "Product(s)": "Produit(s)", "Items sold": "Articles vendus", "Coupon(s)": "Code(s) promo",
    "Net Sales": "Ventes nettes",
}  # fmt: skip


def _sold(shop: MadeUp) -> pl.DataFrame:
    """Return order lines with order number, name and status; every 23rd order is also there as one that was lost."""
    names = shop.products.select("product", "name")
    lines = shop.ledger.filter(pl.col("kind") == "sale").join(names, on="product", how="left", maintain_order="left")
    number = pl.col("document").str.split("-").list.first().cast(pl.Int64)
    lines = lines.with_columns(order=number, units=-pl.col("change")).with_columns(
        status=pl.col("order").mod(len(STATUSES)).replace_strict(dict(enumerate(STATUSES)))
    )
    lost = lines.filter(pl.col("order") % 23 == 0).with_columns(
        order=pl.col("order") + 1_000_000,
        status=pl.col("order").mod(len(LOST)).replace_strict(dict(enumerate(LOST))),
    )
    return pl.concat([lines, lost]).sort("moment", "order", maintain_order=True)


def order_lines(shop: MadeUp) -> pl.DataFrame:
    """Return Customer/Order/Coupon Export, one row per item; one unit of every 40th line was refunded."""
    lines = _sold(shop).with_row_index("n")
    return lines.select(
        order_id=pl.col("order") + 5000,
        order_number="order",
        order_date=pl.col("moment").dt.strftime("%Y-%m-%d %H:%M:%S"),
        status="status",
        order_total=(pl.col("units") * pl.col("price")).round(2),
        order_currency=pl.lit("EUR"),
        billing_full_name="customer",
        billing_email=pl.col("customer").str.to_lowercase().str.replace(" ", ".") + "@example.com",
        billing_address_1=pl.lit("7 Nowhere Lane"),
        customer_note=pl.format("please ring {}", "customer"),
        item_id=pl.col("n") + 90_000,
        item_name="name",
        item_sku="product",
        item_quantity="units",
        item_total=(pl.col("units") * pl.col("price")).round(2),
        item_refunded_qty=pl.when(pl.col("n") % 40 == 7).then(-1).otherwise(0),
    )


def refunded(shop: MadeUp) -> float:
    """Return how many units of counted orders came back in `order_lines`."""
    lines = order_lines(shop).filter(pl.col("status").is_in(["completed", "processing"]))
    return -float(lines["item_refunded_qty"].sum())


def advanced_lines(shop: MadeUp) -> pl.DataFrame:
    """Return Advanced Order Export with its labels, order fields on the first row of an order only, prices in EUR."""
    lines = _sold(shop)
    first = pl.col("order").is_first_distinct()
    return lines.select(
        pl.when(first).then("order").alias("Order Number"),
        pl.when(first).then(pl.col("status").str.to_titlecase()).alias("Order Status"),
        pl.when(first).then(pl.col("moment").dt.strftime("%Y-%m-%d %H:%M")).alias("Order Date"),
        pl.when(first).then(pl.col("customer").str.split(" ").list.first()).alias("First Name (Billing)"),
        pl.when(first).then(pl.col("customer").str.split(" ").list.last()).alias("Last Name (Billing)"),
        pl.col("product").alias("SKU"),
        pl.int_range(pl.len()).alias("Item #"),
        pl.col("name").alias("Item Name"),
        pl.col("units").alias("Quantity"),
        pl.col("units").alias("Quantity (- Refund)"),
        (pl.lit("€") + pl.col("price").round(2).cast(pl.String).str.replace(".", ",", literal=True)).alias("Item Cost"),
    )


def orders_report(shop: MadeUp) -> pl.DataFrame:
    """Return Analytics > Orders: products packed into one text."""
    lines = _sold(shop)
    item = pl.format("{}× {}", pl.col("units").cast(pl.Int64), "name")
    orders = lines.group_by("order", maintain_order=True).agg(
        pl.col("moment").first(), pl.col("status").first(), pl.col("customer").first(),
        item.str.join(", ").alias("text"),
        pl.col("units").sum(), (pl.col("units") * pl.col("price")).sum().alias("value"),
    )  # fmt: skip
    return orders.select(
        pl.col("moment").dt.strftime("%Y-%m-%d %H:%M:%S").alias("Date"),
        pl.format("#{}", "order").alias("Order #"),
        pl.col("status").str.to_titlecase().alias("Status"),
        pl.col("customer").alias("Customer"),
        pl.lit("New").alias("Customer type"),
        pl.col("text").alias("Product(s)"),
        pl.col("units").cast(pl.Int64).alias("Items sold"),
        pl.lit("").alias("Coupon(s)"),
        (pl.lit("€") + pl.col("value").round(2).cast(pl.String).str.replace(".", ",", literal=True)).alias("Net Sales"),
    )


def products_report(shop: MadeUp) -> pl.DataFrame:
    """Return Analytics > Products: what each product sold in a period."""
    units = _sold(shop).group_by("product").agg(pl.col("units").sum())
    rows = shop.products.join(units, on="product", how="left", maintain_order="left")
    return rows.select(
        pl.col("name").alias("Product title"),
        pl.col("product").alias("SKU"),
        pl.col("units").fill_null(0).alias("Items sold"),
        pl.lit("€12,00").alias("N. Revenue"),
        pl.lit(3).alias("Orders"),
        pl.col("category").alias("Category"),
        pl.lit(0).alias("Variations"),
        pl.lit("In stock").alias("Status"),
    )


def catalogue(shop: MadeUp) -> pl.DataFrame:
    """Return the product exporter's file: every third product is a variation of one parent."""
    stock = shop.on_hand().filter(pl.col("warehouse") == WAREHOUSE)
    rows = shop.products.join(stock, on="product", how="left", maintain_order="left").with_row_index("n")
    variation = pl.col("n") % 3 == 2
    own = rows.select(
        pl.col("n").cast(pl.Int64).alias("ID"),
        pl.when(variation).then(pl.lit("variation")).otherwise(pl.lit("simple")).alias("Type"),
        pl.col("product").alias("SKU"),
        pl.col("name").str.replace("&", "&amp;", literal=True).alias("Name"),
        pl.lit(1).alias("Published"),
        pl.lit(1).alias("In stock?"),
        pl.col("on_hand").cast(pl.Int64).cast(pl.String).alias("Stock"),
        pl.lit("").alias("Low stock amount"),
        pl.lit("").alias("Sale price"),
        pl.col("price").alias("Regular price"),
        (pl.lit("Shop > ") + pl.col("category")).alias("Categories"),
        pl.when(variation).then(pl.lit("PARENT")).otherwise(pl.lit("")).alias("Parent"),
        pl.lit("").alias("Grouped products"),
        pl.col("unit_cost").alias("Cost of goods"),
    )
    frames = [
        {"ID": 9001, "Type": "variable", "SKU": "PARENT", "Name": "Range", "Published": 1},
        {"ID": 9002, "Type": "grouped", "SKU": "SET", "Name": "Set of all", "Published": 1,
         "Grouped products": "CF-1000"},
    ]  # fmt: skip
    return pl.concat([pl.DataFrame(frames, schema_overrides={"ID": pl.Int64, "Published": pl.Int32}), own],
                     how="diagonal_relaxed").select(own.columns)  # fmt: skip


def write(shop: MadeUp, folder: Path) -> list[Path]:
    """Write the whole shop as a WooCommerce site would export it, and return the files."""
    paths = []
    for name, table in (("orders-export", order_lines(shop)), ("wc-product-export", catalogue(shop))):
        paths.append(folder / f"{name}.csv")
        table.write_csv(paths[-1])
    return paths
