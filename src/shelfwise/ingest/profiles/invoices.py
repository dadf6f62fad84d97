"""Invoice lines: one row per product on an invoice, cancellations as invoices that start with ``C``.

The rules, in this order; the receipt counts the rows of each:

1. The same line in two files counts once. A line is known by invoice, product, quantity, price and its occurrence
   among equal lines, so genuine repeats within an invoice stay and overlapping files collapse in whatever order.
2. Codes that are no goods (postage, fees, discounts, vouchers, tests) are dropped.
3. Lines without a ``C`` that have a negative quantity, no price, or a description which is a stock remark
   (``damaged``, ``lost``, ``?``) are adjustments: stock moves, demand does not.
4. A cancellation that equals an earlier sale line (product, quantity, price) of the last `CANCEL_WITHIN_DAYS` days
   undoes it: both are booked as adjustments that cancel out, and neither counts as demand. Pairs are formed
   backwards, each cancellation with the latest sale that is still open.
5. Every other cancellation is a return.

Product codes that differ only by case are one product. Its name is its most frequent description on sales, its
price the median sale price.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from shelfwise.ingest.profiles.base import Options, Part, Role, column, movements_frame, number_text, numbered
from shelfwise.ingest.profiles.daily import mark
from shelfwise.ingest.quality import Sieve
from shelfwise.ingest.receipt import some

# An entry is corrected within a long weekend; later it is goods coming back. Small quantities often match a
# stranger's sale by chance, but they weigh little: on the Online Retail files pairs below 12 units are 77 % of the
# pairs and 4 % of the units.
CANCEL_WITHIN_DAYS: Final = 3

NON_PRODUCT: Final = (
    r"^(?:POST|POSTAGE|DOT|C2|C3|M|D|S|B|CRUK|CARRIAGE|DISCOUNT|MANUAL|SAMPLES?|SHIPPING|DELIVERY|FREIGHT|VERSAND|PORTO"
    r"|BANK ?CHARGES|AMAZON ?FEE|.* FEE|TEST\d*|ADJUST\d*|GIFT(?:_.*)?|GIFT ?(?:CARD|VOUCHER).*)$"
)
REMARK: Final = (
    r"(?i)^(?:\?+|.*\b(?:damag\w*|lost|missing|mouldy|smashed|crushed|rusty|destroyed|thrown away|stock ?check|"
    r"write ?off|written off|unsaleable|wrongly (?:marked|coded|sold)|faulty|found|check|adjust\w*)\b.*)$"
)

INVOICE_LINES: Final = Role(
    "invoice lines",
    (
        column("invoice", "InvoiceNo, Invoice, Invoice Number, Invoice No", required=True),
        column("product", "StockCode, Stock Code", required=True),
        column("description", "Description, Product Description"),
        column("quantity", "Quantity, Qty", required=True),
        column("occurred_at", "InvoiceDate, Invoice Date", required=True),
        column("unit_price", "UnitPrice, Unit Price, Price", required=True),
    ),
)


class Invoices:
    """Reads invoice lines as published in the Online Retail data sets."""

    name = "invoices"
    roles = (INVOICE_LINES,)

    def read(self, tables: Mapping[str, Sequence[Sieve]], options: Options) -> Part:
        """Turn invoice lines into movements and products."""
        sieves = tables[INVOICE_LINES.name]
        lines = pl.concat([_parsed(sieve, number) for number, sieve in enumerate(sieves)])
        repeated = lines["line_id"].is_first_distinct().not_()
        mark(sieves, lines.filter(repeated), "is in an earlier file of this import too")
        lines = lines.filter(~repeated)
        no_goods = lines["product"].str.contains(NON_PRODUCT)
        notes = _no_goods_note(lines.filter(no_goods))
        mark(sieves, lines.filter(no_goods), "is no product (postage, fee, discount, voucher, test)")
        lines = lines.filter(~no_goods)
        mark(sieves, lines.filter(pl.col("quantity") == 0), "has quantity 0")
        lines = lines.filter(pl.col("quantity") != 0)
        products = _products(lines)
        lines = _kinds(lines.join(products.select("product", "name"), on="product", how="left"))
        lines = lines.with_columns(pl.lit(options.warehouse).alias("warehouse"))
        receipts = tuple(
            sieve.receipt(self.name, INVOICE_LINES.name, booked=_booked(lines.filter(pl.col("file") == number)))
            for number, sieve in enumerate(sieves)
        )
        frames = {
            "movements": movements_frame(lines.sort("occurred_at", maintain_order=True), self.name),
            "products": products,
            "warehouses": pl.DataFrame({"warehouse": [options.warehouse]}),
        }
        return Part(frames, receipts, notes)


def _parsed(sieve: Sieve, file: int) -> pl.DataFrame:
    """Return the readable lines of one file with their ids."""
    invoice = sieve.code("invoice")
    written = sieve.code("product")
    quantity = sieve.number("quantity", required=True)
    moment = sieve.moment("occurred_at", required=True, past=True)
    price = sieve.number("unit_price", required=True)
    description = sieve.text("description") if sieve.has("description") else None
    sieve.refuse_if_mostly_bad()
    cancelled = invoice.str.contains("^[cC]")
    lines = pl.DataFrame(
        {
            "file": pl.repeat(file, len(invoice), dtype=pl.Int32, eager=True),
            "row": pl.int_range(len(invoice), eager=True),
            "invoice": invoice,
            "product": written.str.to_uppercase(),
            "description": description
            if description is not None
            else pl.repeat(None, len(invoice), dtype=pl.String, eager=True),
            "quantity": quantity,
            "occurred_at": moment.values,
            "unit_price": price,
            "cancels": cancelled,
        }
    ).filter(sieve.kept)
    sieve.facts = {
        "invoices": lines["invoice"].n_unique(),
        "codes as written": sieve.frame["product"].filter(sieve.kept).n_unique(),
        "cancellation lines": int(lines["cancels"].sum()),
        "units net": float(lines["quantity"].sum()),
    }
    amount = number_text(pl.col("quantity")) + "@" + number_text(pl.col("unit_price"))
    key = pl.col("invoice") + "/" + pl.col("product") + "/" + amount
    return lines.with_columns(numbered(lines.select(key.alias("line_id")).to_series()))


def _no_goods_note(lines: pl.DataFrame) -> tuple[str, ...]:
    if not lines.height:
        return ()
    codes = lines.group_by("product").len().sort("len", "product", descending=[True, False])
    listed = some((f"{code} {rows:,}" for code, rows in codes.iter_rows()), limit=40)
    return (f"codes taken as no products, with their lines: {listed}",)


def _products(lines: pl.DataFrame) -> pl.DataFrame:
    """Return each product with its most frequent description and median price on ordinary sale lines."""
    sales = (~pl.col("cancels")) & (pl.col("quantity") > 0) & (pl.col("unit_price") > 0)
    named = (
        lines.lazy()
        .filter(sales & pl.col("description").is_not_null())
        .group_by("product", "description")
        .len()
        .sort("len", "description", descending=[True, False])
        .group_by("product", maintain_order=True)
        .agg(pl.col("description").first().alias("name"))
    )
    priced = lines.lazy().filter(sales).group_by("product").agg(pl.col("unit_price").median().alias("price"))
    codes = lines.lazy().select("product").unique()
    return codes.join(named, on="product", how="left").join(priced, on="product", how="left").sort("product").collect()


def _kinds(lines: pl.DataFrame) -> pl.DataFrame:
    """Say of each line what happened: sale, return or adjustment; ``undone`` marks a sale and its cancellation."""
    remark = pl.col("description").str.contains(REMARK) & (pl.col("description") != pl.col("name")).fill_null(
        value=True
    )
    odd = (pl.col("quantity") < 0) | (pl.col("unit_price") <= 0) | remark.fill_null(value=False)
    lines = lines.with_columns(
        pl.when(pl.col("cancels")).then(pl.lit("return")).when(odd).then(pl.lit("adjustment")).otherwise(pl.lit("sale"))
        .alias("kind")
    )  # fmt: skip
    undone = _undone(lines)
    lines = lines.with_columns(pl.col("line_id").is_in(undone.implode()).alias("undone"))
    # Free goods carry the product's own name and leave the shelf; a remark's sign is already that of the stock.
    free = (pl.col("quantity") > 0) & (pl.col("description") == pl.col("name")).fill_null(value=False)
    size = pl.col("quantity").abs()
    signed = (
        pl.when(pl.col("undone") & pl.col("cancels")).then(size)
        .when(pl.col("undone") | ((pl.col("kind") == "adjustment") & free)).then(-size)
        .when(pl.col("kind") == "adjustment").then(pl.col("quantity"))
        .otherwise(size)
    )  # fmt: skip
    kind = pl.when(pl.col("undone")).then(pl.lit("adjustment")).otherwise(pl.col("kind"))
    price = pl.when(pl.col("unit_price") > 0).then(pl.col("unit_price"))
    return lines.with_columns(signed.alias("quantity"), kind.alias("kind"), price.alias("unit_price"))


def _undone(lines: pl.DataFrame) -> pl.Series:
    """Return the ids of sales that were cancelled soon after, and of their cancellations.

    Sales and cancellations of one (product, quantity, price) are brackets in time: each cancellation closes the
    latest open sale. At a given depth they alternate, so a pair is two neighbours at one depth.
    """
    what = ["product", "size", "unit_price"]
    events = (
        lines.lazy()
        .filter(pl.col("kind").is_in(["sale", "return"]))
        .select("product", pl.col("quantity").abs().alias("size"), "unit_price", "occurred_at", "line_id", "cancels")
    )
    keys = events.filter(pl.col("cancels")).select(what).unique().sort(what).with_row_index("key")
    step = pl.when(pl.col("cancels")).then(-1).otherwise(1)
    within = pl.duration(days=CANCEL_WITHIN_DAYS)
    paired = (
        events.join(keys, on=what)
        .sort("key", "occurred_at", "cancels", "line_id")
        .with_columns(step.cum_sum().over("key").alias("net"))
        .with_columns(pl.min_horizontal(pl.col("net").cum_min().over("key"), 0).alias("lowest"))
        # a cancellation that closes nothing sets a new low; taking the low away makes it invisible to the others
        .filter(~(pl.col("cancels") & (pl.col("lowest") < pl.col("lowest").shift(1).over("key").fill_null(0))))
        .with_columns((pl.col("net") - pl.col("lowest") + pl.col("cancels").cast(pl.Int32)).alias("depth"))
        .with_columns(
            pl.col("occurred_at").shift(1).over("key", "depth").alias("sold_at"),
            pl.col("line_id").shift(1).over("key", "depth").alias("sale"),
        )
        .filter(pl.col("cancels") & (pl.col("occurred_at") - pl.col("sold_at") <= within))
        .select("line_id", "sale")
        .collect()
    )
    return pl.concat([paired["line_id"], paired["sale"]])


def _booked(lines: pl.DataFrame) -> dict[str, int]:
    label = pl.when(pl.col("undone")).then(pl.lit("cancelled sale")).otherwise(pl.col("kind")).alias("label")
    counts = dict(lines.group_by(label).len().iter_rows())
    order = ("sale", "return", "adjustment", "cancelled sale")
    return {name: counts[name] for name in order if name in counts}
