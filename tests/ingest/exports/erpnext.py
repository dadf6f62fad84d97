"""Make the exports of ERPNext from a made-up shop: Stock Ledger Entry, the Stock Ledger report, Bin and Item.

Columns and labels are those of the document types (fields of Stock Ledger Entry, Bin and Item in the frappe/erpnext
repository); the report's are those of ``stock_ledger.py`` there. Nothing in it is real.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl
from tests.ingest.exports.made_up import MadeUp

VOUCHERS: Final = {
    "sale": ("Delivery Note", "MAT-DN-"),
    "return": ("Delivery Note", "MAT-DN-"),
    "receipt": ("Purchase Receipt", "MAT-PRE-"),
    "shrinkage": ("Stock Entry", "MAT-STE-"),
    "transfer": ("Stock Entry", "MAT-STE-"),
    "opening": ("Stock Reconciliation", "MAT-RECO-"),
}
LABELS: Final = {
    "name": "ID", "posting_date": "Posting Date", "posting_time": "Posting Time", "item_code": "Item Code",
    "warehouse": "Warehouse", "actual_qty": "Qty Change", "qty_after_transaction": "Qty After Transaction",
    "voucher_type": "Voucher Type", "voucher_no": "Voucher No", "stock_uom": "Stock UOM",
    "valuation_rate": "Valuation Rate", "company": "Company", "is_cancelled": "Is Cancelled",
    "owner": "Created By", "customer": "Customer",
}  # fmt: skip


def stock_ledger(shop: MadeUp, *, since: object = None, until: object = None) -> pl.DataFrame:
    """Return Stock Ledger Entry by technical names, oldest first; ``since`` and ``until`` are days, both included."""
    cost = shop.products.select("product", "unit_cost")
    kind = pl.col("kind")
    rows = shop.ledger.join(cost, on="product", how="left", maintain_order="left").with_row_index("n")
    entries = rows.select(
        name=pl.format("MAT-SLE-{}", pl.col("n").cast(pl.String).str.zfill(7)),
        posting_date=pl.col("moment").dt.date(),
        posting_time=pl.col("moment").dt.strftime("%-H:%M:%S.120000"),  # the lines of a voucher share it
        item_code="product",
        warehouse=pl.col("warehouse") + " - KM",
        # A reconciliation writes the level and no change.
        actual_qty=pl.when(kind == "opening").then(0.0).otherwise("change"),
        qty_after_transaction="after",
        voucher_type=kind.replace_strict({key: value[0] for key, value in VOUCHERS.items()}),
        voucher_no=kind.replace_strict({key: value[1] for key, value in VOUCHERS.items()}) + pl.col("document"),
        stock_uom=pl.lit("Nos"),
        valuation_rate="unit_cost",
        company=pl.lit("Kiln & Mill"),
        is_cancelled=pl.lit(0),
        customer="customer",
    )
    if since is not None:
        entries = entries.filter(pl.col("posting_date") >= since)
    if until is not None:
        entries = entries.filter(pl.col("posting_date") <= until)
    return entries


def stock_ledger_report(shop: MadeUp) -> pl.DataFrame:
    """Return the Stock Ledger report with its labels and the opening row that is no entry."""
    entries = stock_ledger(shop)
    names = shop.products.select(item_code="product", item_name="name", item_group="category")
    rows = entries.join(names, on="item_code", how="left", maintain_order="left")
    # The report shows the change of a reconciliation nowhere but in the balance.
    report = rows.select(
        pl.format("{} {}", pl.col("posting_date").cast(pl.String), "posting_time").alias("Date"),
        pl.col("item_code").alias("Item"),
        pl.col("item_name").alias("Item Name"),
        pl.col("stock_uom").alias("Stock UOM"),
        pl.col("actual_qty").clip(0).alias("In Qty"),
        pl.col("actual_qty").clip(None, 0).alias("Out Qty"),
        pl.col("qty_after_transaction").alias("Balance Qty"),
        pl.col("voucher_no").alias("Voucher #"),
        pl.col("warehouse").alias("Warehouse"),
        pl.col("item_group").alias("Item Group"),
        pl.col("valuation_rate").alias("Valuation Rate"),
        pl.col("voucher_type").alias("Voucher Type"),
        pl.col("company").alias("Company"),
    )
    opening = pl.DataFrame({"Item": ["'Opening'"], "Balance Qty": [0.0]})
    return pl.concat([opening, report], how="diagonal_relaxed").select(report.columns)


def bins(shop: MadeUp) -> pl.DataFrame:
    """Return Bin by its labels."""
    return shop.on_hand().select(
        pl.col("product").alias("Item Code"),
        (pl.col("warehouse") + " - KM").alias("Warehouse"),
        pl.col("on_hand").alias("Actual Quantity"),
        pl.lit(0.0).alias("Reserved Quantity"),
        pl.lit(0.0).alias("Ordered Quantity"),
        pl.lit(0.0).alias("Requested Quantity"),
        pl.lit(0.0).alias("Planned Qty"),
        pl.col("on_hand").alias("Projected Qty"),
        pl.lit("Nos").alias("UOM"),
    )


def items(shop: MadeUp) -> pl.DataFrame:
    """Return Item with its supplier in a child table: the second supplier of every fifth stands on a row of its own."""
    rows = []
    for n, row in enumerate(shop.products.iter_rows(named=True)):
        item = {
            "ID": row["product"], "Item Name": row["name"], "Item Group": row["category"], "Disabled": 0,
            "Maintain Stock": 1, "Standard Selling Rate": row["price"], "Valuation Rate": row["unit_cost"],
            "Lead Time in days": row["lead_time_days"], "Minimum Order Qty": row["minimum_order_quantity"],
            "End of Life": "2099-12-31", "Has Variants": 0, "Supplier (Supplier Items)": row["supplier"],
        }  # fmt: skip
        rows.append(item)
        if n % 5 == 0:
            rows.append({"Supplier (Supplier Items)": "Second Source"})
    return pl.DataFrame(rows, infer_schema_length=None)


def labelled(entries: pl.DataFrame) -> pl.DataFrame:
    """Return ledger entries under the labels that the report view shows."""
    return entries.rename({name: LABELS[name] for name in entries.columns})


def write(shop: MadeUp, folder: Path) -> list[Path]:
    """Write the whole shop as ERPNext would export it, and return the files."""
    tables = {
        "Stock Ledger Entry": labelled(stock_ledger(shop)).reverse(),  # a list shows the newest first
        "Bin": bins(shop),
        "Item": items(shop),
    }
    paths = []
    for name, table in tables.items():
        paths.append(folder / f"{name}.csv")
        table.write_csv(paths[-1])
    return paths
