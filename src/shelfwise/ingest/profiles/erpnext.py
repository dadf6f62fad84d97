"""ERPNext: Stock Ledger Entry (or the Stock Ledger report), Bin, and Item with its suppliers.

The ledger is the best history a shop can bring: every change of stock with the level after it. How it is booked:

1. What left on a delivery note, a sales invoice or a POS invoice is a sale, what came back on one a return.
2. What came in on a purchase receipt or purchase invoice is a receipt; what went back on one is an adjustment.
3. Stock entries that move as much of an item out of one warehouse as into others are transfers; all other entries
   (issues, material for manufacture, its products) are adjustments: the ledger does not say the purpose.
4. A stock reconciliation is a count of what the ledger says after it.
5. The first entry of an item in a warehouse also books the level before it as a count, and so does every entry whose
   level before it is not the level after the one before: lines that are missing in the export are bridged, and the
   stock of every day is the ledger's.

A line is known by voucher, item, warehouse and change, with its occurrence among equal ones; the name of an entry is
not used, because ERPNext renames new entries later on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from shelfwise.domain.errors import FileRefused
from shelfwise.ingest.profiles.base import Options, Part, Role, column, movements_frame, number_text, numbered
from shelfwise.ingest.profiles.daily import from_sieve, mark, optional_number
from shelfwise.ingest.profiles.lead_times import lead_time_of_suppliers
from shelfwise.ingest.profiles.snapshots import exported_at, not_below_zero
from shelfwise.ingest.quality import Sieve
from shelfwise.ingest.receipt import FileReceipt, some

LEDGER: Final = Role(
    "stock ledger",
    (
        column("product", "item_code, Item Code, Item", required=True),
        column("warehouse", "warehouse", required=True),
        column("occurred_at", "posting_datetime, Posting Datetime, posting_date, Posting Date, date", required=True),
        column("time", "posting_time, Posting Time"),
        column("after", "qty_after_transaction, Qty After Transaction, Actual Qty After Transaction, Balance Qty",
               required=True),
        column("voucher_type", "voucher_type, Voucher Type", required=True),
        column("voucher", "voucher_no, Voucher No, Voucher #", required=True),
        column("change", "actual_qty, Qty Change, Actual Quantity, Actual Qty"),
        column("incoming", "in_qty, In Qty"),
        column("outgoing", "out_qty, Out Qty"),
        column("cancelled", "is_cancelled, Is Cancelled"),
        column("unit_cost", "valuation_rate, Valuation Rate"),
        column("name", "item_name, Item Name"),
        column("category", "item_group, Item Group"),
        column("brand", "brand"),
    ),
)  # fmt: skip
BINS: Final = Role(
    "bins",
    (
        column("product", "item_code, Item Code, Item", required=True),
        column("warehouse", "warehouse", required=True),
        column("on_hand", "actual_qty, Actual Quantity, Actual Qty", required=True),
        column("ordered", "ordered_qty, Ordered Quantity, Ordered Qty"),
        column("reserved", "reserved_qty, Reserved Quantity, Reserved Qty"),
        column("projected", "projected_qty, Projected Qty, Projected Quantity"),
        column("unit_cost", "valuation_rate, Valuation Rate"),
    ),
    at_least=4,
)
ITEMS: Final = Role(
    "items",
    (
        column("product", "item_code, Item Code, ID", required=True),
        column("category", "item_group, Item Group", required=True),
        column("name", "item_name, Item Name", required=True),
        column("brand", "brand"),
        column("supplier", "Supplier (Supplier Items), Default Supplier (Item Defaults), default_supplier, "
               "Default Supplier, supplier"),
        column("unit_cost", "last_purchase_rate, Last Purchase Rate, valuation_rate, Valuation Rate"),
        column("price", "standard_rate, Standard Selling Rate"),
        column("minimum_order_quantity", "min_order_qty, Minimum Order Qty"),
        column("lead_time_days", "lead_time_days, Lead Time in days"),
        column("discontinued_on", "end_of_life, End of Life"),
        column("disabled", "disabled"),
        column("stocked", "is_stock_item, Maintain Stock"),
        column("template", "has_variants, Has Variants"),
        column("reorder_level", "Re-order Level (Reorder level based on Warehouse), warehouse_reorder_level, "
               "Re-order Level"),
    ),
)  # fmt: skip

SALES_VOUCHERS: Final = ("Delivery Note", "Sales Invoice", "POS Invoice")
PURCHASE_VOUCHERS: Final = ("Purchase Receipt", "Purchase Invoice", "Subcontracting Receipt")
COUNT_VOUCHER: Final = "Stock Reconciliation"
NO_ITEM: Final = ("'Opening'", "Opening", "'Total'", "Total")  # rows of the report that are no entries
UNTIL_DISCARDED: Final = 2090  # ERPNext writes 2099-12-31 for items whose life has no end
_YES: Final = ("1", "yes", "true", "ja", "oui", "si", "sí")
_PLACE: Final = ("product", "warehouse")


class ErpNext:
    """Reads the exports of ERPNext."""

    name = "erpnext"
    roles = (LEDGER, BINS, ITEMS)

    def read(self, tables: Mapping[str, Sequence[Sieve]], options: Options) -> Part:
        """Turn ledger, bins and items into movements, stock, products and suppliers."""
        ledgers, bins, items = (tables.get(role.name, ()) for role in self.roles)
        entries = _ledger(ledgers)
        levels, costs = _bins(bins, entries)
        products, suppliers = _items(items)
        described = [frame for frame in (products, _described(entries), costs) if frame.height]
        frames: dict[str, pl.DataFrame] = {}
        if described:
            known = pl.concat(described, how="diagonal_relaxed")
            frames["products"] = known.group_by("product", maintain_order=True).agg(pl.all().drop_nulls().first())
        if suppliers.height:
            frames["suppliers"] = suppliers
        places = [frame.select("warehouse") for frame in (entries, levels) if frame.height]
        if places:
            frames["warehouses"] = pl.concat(places).unique().sort("warehouse")
        if levels.height:
            frames["stock_levels"] = levels
        if entries.height:
            frames["movements"] = movements_frame(_movements(entries), self.name)
        receipts: list[FileReceipt] = [
            sieve.receipt(self.name, LEDGER.name, booked=_booked(entries, number))
            for number, sieve in enumerate(ledgers)
        ]
        for role, sieves in ((BINS, bins), (ITEMS, items)):
            receipts += [sieve.receipt(self.name, role.name) for sieve in sieves]
        return Part(frames, tuple(receipts))


def _ledger(sieves: Sequence[Sieve]) -> pl.DataFrame:
    """Return the entries of all files once each, with kind, place in the day and the level before and after."""
    if not sieves:
        return pl.DataFrame(schema={"product": pl.String, "warehouse": pl.String})
    parts = []
    for number, sieve in enumerate(sieves):
        rows = _entries(sieve, number)
        key = pl.concat_str("voucher", "product", "warehouse", number_text(pl.col("change")), separator="/")
        parts.append(rows.with_columns(numbered(rows.select(key.alias("line_id")).to_series())))
    rows = pl.concat(parts, how="diagonal_relaxed")
    fresh = rows["line_id"].is_first_distinct()
    mark(sieves, rows.filter(~fresh), "is in an earlier file of this import too")
    return _with_kinds(rows.filter(fresh))


def _entries(sieve: Sieve, file: int) -> pl.DataFrame:
    product = sieve.code("product", required=False)
    sieve.drop(product.is_in(NO_ITEM) | (product.is_null() & _blank(sieve, "voucher")), "is a total, not an entry")
    sieve.reject(product.is_null(), "product", "is empty; every row needs a code")
    if sieve.has("cancelled"):
        sieve.drop(_yes(sieve, "cancelled"), "is cancelled: another entry takes it back")
    warehouse, voucher = sieve.code("warehouse"), sieve.code("voucher")
    kind = sieve.text("voucher_type", required=True)
    after = sieve.number("after", required=True)
    change = _change(sieve)
    sieve.drop((change == 0) & (kind != COUNT_VOUCHER), "changes no stock (a new valuation)")
    moment = sieve.moment("occurred_at", clock="time", required=True, past=True)
    if not moment.has_time:
        sieve.notes.append("no column tells the time of day (posting_time): entries of a day count in file order")
    columns = {
        "product": product, "warehouse": warehouse, "voucher": voucher, "voucher_type": kind,
        "occurred_at": moment.values, "change": change, "after": after,
        "unit_cost": optional_number(sieve, "unit_cost"),
        **{field: sieve.text(field) for field in ("name", "category", "brand") if sieve.has(field)},
    }  # fmt: skip
    sieve.refuse_if_mostly_bad()
    rows = from_sieve(sieve, file, columns)
    # Lists are exported newest first, the report oldest first: entries of one moment need their true order.
    steps = rows.select(pl.col("occurred_at").cast(pl.Int64).diff().sign().sum()).item()
    order = pl.col("row") if (steps or 0) >= 0 else -pl.col("row")
    return rows.with_columns(order.alias("order"))


def _blank(sieve: Sieve, field: str) -> pl.Series:
    return sieve.text(field).is_null()


def _yes(sieve: Sieve, field: str) -> pl.Series:
    """Return where a check field is set."""
    return sieve.code(field, required=False).str.to_lowercase().is_in(_YES)


def _change(sieve: Sieve) -> pl.Series:
    """Return the signed change of stock; the report has what came in and what went out apart."""
    if sieve.has("change"):
        return sieve.number("change", required=True)
    if not (sieve.has("incoming") and sieve.has("outgoing")):
        raise FileRefused(
            sieve.table.place(), "", "does not say by how much each entry changed the stock",
            "export the column Qty Change (actual_qty) too, or In Qty and Out Qty of the report",
        )  # fmt: skip
    # Out Qty is written as a negative number.
    return sieve.number("incoming").fill_null(0.0) - sieve.number("outgoing").fill_null(0.0).abs()


def _with_kinds(rows: pl.DataFrame) -> pl.DataFrame:
    """Say of each entry what happened, by its voucher and sign."""
    type_, change = pl.col("voucher_type"), pl.col("change")
    moved = ["voucher", "product"]
    apart = (change.sum().over(moved).abs() < 1e-6) & (pl.col("warehouse").n_unique().over(moved) > 1)
    sold = type_.is_in(SALES_VOUCHERS)
    bought = type_.is_in(PURCHASE_VOUCHERS)
    kind = (
        pl.when(type_ == COUNT_VOUCHER).then(pl.lit("count"))
        .when(sold & (change < 0)).then(pl.lit("sale"))
        .when(sold).then(pl.lit("return"))
        .when(bought & (change > 0)).then(pl.lit("receipt"))
        .when((type_ == "Stock Entry") & apart).then(pl.lit("transfer"))
        .otherwise(pl.lit("adjustment"))
    )  # fmt: skip
    return rows.with_columns(kind.alias("kind"))


def _movements(entries: pl.DataFrame) -> pl.DataFrame:
    """Return the entries and the counts that tie them to the ledger's levels, as movements."""
    signed = pl.col("kind").is_in(["adjustment", "transfer"])
    booked = entries.filter(pl.col("kind") != "count").with_columns(
        pl.when(signed).then("change").otherwise(pl.col("change").abs()).alias("quantity")
    )
    columns = ["line_id", "kind", "occurred_at", "product", "warehouse", "quantity"]
    rows = pl.concat([booked.select(columns), *(frame.select(columns) for frame in _counts(entries))])
    # A count comes before what happened at its moment, whatever the order; sorted so that a file is read as one story.
    return rows.sort("occurred_at", maintain_order=True).with_columns(pl.lit(None, pl.Float64).alias("unit_price"))


def _counts(entries: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return counts where the level is not that after the entry before, and what a count below zero cannot say."""
    moments = _levels_by_moment(entries).with_columns(
        pl.col("after").shift(1).over(_PLACE, order_by="occurred_at").alias("known")
    )
    broken = pl.col("known").is_null() | ((pl.col("before") - pl.col("known")).abs() > 1e-6)
    key = pl.concat_str("product", "warehouse", pl.col("occurred_at").dt.strftime("%Y-%m-%dT%H:%M:%S"),
                        number_text(pl.col("before")), separator="/")  # fmt: skip
    found = moments.filter(pl.col("counted") | broken).with_columns(("level/" + key).alias("line_id"))
    counts = found.with_columns(pl.lit("count").alias("kind"), pl.col("before").clip(0).alias("quantity"))
    below = found.filter(pl.col("before") < 0).with_columns(
        (pl.col("line_id") + "/below zero").alias("line_id"),
        pl.lit("adjustment").alias("kind"), pl.col("before").alias("quantity"),
    )  # fmt: skip
    return counts, below


def _levels_by_moment(entries: pl.DataFrame) -> pl.DataFrame:
    """Return product, warehouse, occurred_at, before, after, counted: one row for all entries of one moment.

    ``before`` is the level before the first of them (after a reconciliation: such that the others at its moment lead
    to the level after the last of them), ``after`` the level after the last. Among entries of one moment the first is
    the one whose level before it is after none of the others: files are not always in the true order.
    """
    moment = [*_PLACE, "occurred_at"]
    counted = pl.col("kind") == "count"
    moved = pl.when(~counted).then("change").otherwise(0.0)
    levels = (
        entries.sort("order", maintain_order=True)
        .with_columns((pl.col("after") - pl.col("change")).alias("before"))
        .group_by(moment, maintain_order=True)
        .agg(
            pl.col("before").first(), pl.col("after").last(), moved.sum().alias("net"), counted.any().alias("counted"),
            pl.len(), pl.col("before").alias("befores"), pl.col("after").alias("afters"),
        )
    )  # fmt: skip
    shared = levels.filter((pl.col("len") > 1) & ~pl.col("counted")).select(*moment, "befores", "afters")
    ends = pl.concat(
        [
            shared.select(*moment, pl.col(side).alias("level"), pl.lit(sign).alias("sign")).explode("level")
            for side, sign in (("befores", 1), ("afters", -1))
        ]
    )
    open_ends = (
        ends.with_columns(pl.col("level").round(6)).group_by(*moment, "level").agg(pl.col("sign").sum())
        .group_by(moment)
        .agg(
            pl.col("level").filter(pl.col("sign") > 0).alias("starts"),
            pl.col("level").filter(pl.col("sign") < 0).alias("stops"),
        )
        .filter((pl.col("starts").list.len() == 1) & (pl.col("stops").list.len() == 1))
        .select(*moment, pl.col("starts").list.first().alias("start"), pl.col("stops").list.first().alias("stop"))
    )  # fmt: skip
    levels = levels.join(open_ends, on=moment, how="left").with_columns(
        pl.coalesce("start", "before").alias("before"), pl.coalesce("stop", "after").alias("after")
    )
    tied = pl.when(pl.col("counted")).then(pl.col("after") - pl.col("net")).otherwise("before")
    return levels.select(*moment, tied.alias("before"), "after", "counted")


def _booked(entries: pl.DataFrame, file: int) -> dict[str, int]:
    kinds = dict(entries.filter(pl.col("file") == file).group_by("kind").len().iter_rows())
    order = ("sale", "return", "receipt", "transfer", "adjustment", "count")
    return {kind: kinds[kind] for kind in order if kind in kinds}


def _described(entries: pl.DataFrame) -> pl.DataFrame:
    """Return what the ledger says of each item: its last valuation rate is its cost."""
    if not entries.height:
        return pl.DataFrame(schema={"product": pl.String})
    fields = [name for name in ("name", "category", "brand") if name in entries.columns]
    cost = pl.col("unit_cost").filter(pl.col("unit_cost") > 0).last().alias("unit_cost")
    return (
        entries.sort("occurred_at", "order")
        .group_by("product", maintain_order=True)
        .agg(cost, *(pl.col(name).drop_nulls().last() for name in fields))
    )


def _bins(sieves: Sequence[Sieve], entries: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return stock levels of the bins that no ledger of this import knows, and the costs."""
    parts = []
    for number, sieve in enumerate(sieves):
        product, warehouse = sieve.code("product"), sieve.code("warehouse")
        on_hand = sieve.number("on_hand", required=True)
        cost = optional_number(sieve, "unit_cost")
        due = optional_number(sieve, "ordered").fill_null(0.0)
        sieve.refuse_if_mostly_bad()
        if due.sum() > 0:
            sieve.notes.append(
                f"{due.sum():,.10g} units are on order in {int((due > 0).sum()):,} row(s), and a bin does not say from "
                "whom nor when they come: give the open purchase orders too, as po, sku, qty, expected"
            )
        places = pl.DataFrame({"product": product, "warehouse": warehouse})
        told = places.join(entries.select(_PLACE).unique().with_columns(pl.lit(value=True).alias("told")),
                           on=list(_PLACE), how="left", maintain_order="left")["told"]  # fmt: skip
        sieve.drop(told, "is known from the stock ledger of this import")
        columns = {"product": product, "warehouse": warehouse, "on_hand": on_hand, "unit_cost": cost}
        if sieve.kept.any():
            columns["on_hand"] = not_below_zero(sieve, on_hand)
            at = pl.repeat(exported_at(sieve), len(product), dtype=pl.Datetime("us"), eager=True)
            parts.append(from_sieve(sieve, number, {**columns, "as_of": at}))
    if not parts:
        return pl.DataFrame(), pl.DataFrame()
    rows = pl.concat(parts)
    first = rows.select(pl.struct(_PLACE).is_first_distinct()).to_series()
    mark(sieves, rows.filter(~first), "repeats an item and warehouse; the first line counts")
    rows = rows.filter(first)
    costs = rows.filter(pl.col("unit_cost") > 0).select("product", "unit_cost").unique("product", maintain_order=True)
    return rows.select(*_PLACE, "on_hand", "as_of").sort(_PLACE), costs


def _items(sieves: Sequence[Sieve]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return products and suppliers. Rows of child tables stand below their item with its cells empty."""
    if not sieves:
        return pl.DataFrame(), pl.DataFrame()
    rows = pl.concat([_item_rows(sieve, number) for number, sieve in enumerate(sieves)], how="diagonal_relaxed")
    if "supplier" in rows.columns:
        counts = rows.drop_nulls("supplier").group_by("product").agg(pl.col("supplier").n_unique())
        several = counts.filter(pl.col("supplier") > 1).sort("product")["product"].to_list()
        if several:
            sieves[0].notes.append(
                f"{len(several):,} item(s) have several suppliers; the first counts: {some(several)}"
            )
    rows = rows.group_by("product", maintain_order=True).agg(pl.exclude("file", "row").drop_nulls().first())
    suppliers, note = lead_time_of_suppliers(rows)
    sieves[0].notes += [note] if note else []
    return rows.drop("lead_time_days", strict=False), suppliers


def _item_rows(sieve: Sieve, file: int) -> pl.DataFrame:
    product = sieve.code("product", required=False).fill_null(strategy="forward")
    sieve.reject(product.is_null(), "product", "is empty and no item stands above it")
    columns: dict[str, pl.Series] = {"product": product}
    columns |= {field: sieve.text(field) for field in ("name", "category", "brand", "supplier") if sieve.has(field)}
    for field in ("unit_cost", "price", "minimum_order_quantity", "lead_time_days"):
        if sieve.has(field):
            value = sieve.number(field, least=0)
            columns[field] = pl.select(pl.when(value > 0).then(value)).to_series()  # 0 is an empty field
    gone = _gone(sieve)
    if gone is not None:
        columns["discontinued_on"] = gone
    if sieve.has("stocked"):
        unstocked = sieve.code("stocked", required=False).str.to_lowercase().is_in(["0", "no", "false"])
        sieve.drop(unstocked, "is not kept in stock (Maintain Stock is off)")
    if sieve.has("template"):
        sieve.drop(_yes(sieve, "template"), "is a template; its variants are the products")
    if sieve.has("reorder_level") and sieve.number("reorder_level").sum():
        sieve.notes.append("re-order levels are today's rule in ERPNext; they are not used, levels come from demand")
    sieve.refuse_if_mostly_bad()
    return from_sieve(sieve, file, columns)


def _gone(sieve: Sieve) -> pl.Series | None:
    """Return the last day on sale: the end of life, and for a disabled item without one the day before today."""
    ends: pl.Series | None = None
    if sieve.has("discontinued_on") and sieve.text("discontinued_on").is_not_null().any():
        written = sieve.moment("discontinued_on").values.dt.date()
        ends = pl.select(pl.when(written.dt.year() < UNTIL_DISCARDED).then(written)).to_series()
    if sieve.has("disabled") and sieve.today is not None:
        off = _yes(sieve, "disabled")
        if off.any():
            sieve.notes.append(f"{int(off.sum()):,} item(s) are disabled and taken as no longer sold from today on")
            yesterday = pl.select(pl.when(off).then(pl.lit(sieve.today).dt.offset_by("-1d"))).to_series()
            ends = yesterday if ends is None else ends.fill_null(yesterday)
    return ends
