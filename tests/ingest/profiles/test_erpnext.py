"""ERPNext's stock ledger becomes sales, returns, receipts, transfers and counts, and its levels are kept to the day."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ingest.exports import erpnext
from tests.ingest.exports.made_up import SURNAMES, MadeUp, made_up_shop

from shelfwise.domain.errors import FileRefused
from shelfwise.ingest import Batch, read
from shelfwise.storage.database import Database
from shelfwise.storage.sales import append_movements, daily_demand
from shelfwise.storage.stock import daily_on_hand, stock_levels

TODAY = dt.date(2024, 11, 18)
HEADER = "Posting Date,Posting Time,Item Code,Warehouse,Qty Change,Qty After Transaction,Voucher Type,Voucher No"


@pytest.fixture(scope="module")
def shop() -> MadeUp:
    return made_up_shop(seed=4, today=TODAY, n_products=12, n_days=90)


def written(folder: Path, *lines: str, header: str = HEADER, name: str = "ledger.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def exported(table: pl.DataFrame, folder: Path, name: str = "export.csv") -> Path:
    table.write_csv(folder / name)
    return folder / name


def moved(batch: Batch) -> dict[str, tuple[str, float]]:
    """Return kind and quantity by voucher; counts of the level before an entry go by ``level``."""
    rows = batch.frames["movements"].select("line_id", "kind", "quantity").iter_rows()
    return {line.split("/")[0]: (kind, quantity) for line, kind, quantity in rows}


def ledger_in_store(batches: list[Batch], folder: Path) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return stock of each day, stock now and demand of a store into which the batches were booked one by one."""
    with Database.open(folder / "shop.db") as database:
        for batch in batches:
            with database.write() as connection:
                append_movements(connection, batch.frames["movements"])
        with database.read() as connection:
            return daily_on_hand(connection), stock_levels(connection), daily_demand(connection)


def as_in_erpnext(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("warehouse") + " - KM")


def test_stock_of_each_day_and_demand_are_the_ledgers(shop: MadeUp, tmp_path: Path) -> None:
    batch = read([exported(erpnext.labelled(erpnext.stock_ledger(shop)).reverse(), tmp_path)], today=TODAY)
    assert batch.rejects.is_empty()
    daily, now, demand = ledger_in_store([batch], tmp_path)
    columns = ["product", "warehouse", "day"]
    assert daily.sort(columns).equals(as_in_erpnext(shop.closing()).select(daily.columns).sort(columns))
    assert now.select("product", "warehouse", "on_hand").equals(as_in_erpnext(shop.on_hand()))
    assert demand.select(*columns, "quantity").sort(columns).equals(as_in_erpnext(shop.sold()).sort(columns))
    assert (daily["on_hand"] <= 0).any(), "the made-up shop runs out now and then"


def test_overlapping_exports_in_any_order_book_every_entry_once_and_keep_the_levels(
    shop: MadeUp, tmp_path: Path
) -> None:
    days = [TODAY - dt.timedelta(days=n) for n in (60, 30)]
    late = exported(erpnext.stock_ledger(shop, since=days[0]), tmp_path, "late.csv")
    early = exported(erpnext.stock_ledger(shop, until=days[1]), tmp_path, "early.csv")
    batches = [read([path], today=TODAY) for path in (late, early, late)]
    daily, now, demand = ledger_in_store(batches, tmp_path)
    columns = ["product", "warehouse", "day"]
    assert daily.sort(columns).equals(as_in_erpnext(shop.closing()).select(daily.columns).sort(columns))
    assert now.select("product", "warehouse", "on_hand").equals(as_in_erpnext(shop.on_hand()))
    assert demand["quantity"].sum() == shop.sold()["quantity"].sum()
    together = read([late, early], today=TODAY)
    kinds = together.frames["movements"].filter(pl.col("kind") == "sale")
    assert kinds["quantity"].sum() == shop.sold()["quantity"].sum()


def test_technical_names_labels_and_the_report_say_the_same(shop: MadeUp, tmp_path: Path) -> None:
    entries = erpnext.stock_ledger(shop)
    tables = (entries, erpnext.labelled(entries), erpnext.stock_ledger_report(shop))
    batches = [read([exported(table, tmp_path, f"{n}.csv")], today=TODAY) for n, table in enumerate(tables)]
    frames = [batch.frames["movements"].sort("line_id") for batch in batches]
    assert frames[0].equals(frames[1])
    assert frames[0].equals(frames[2])
    assert "is a total, not an entry" in str(batches[2].receipt)
    assert batches[2].frames["products"].filter(pl.col("product") == "CF-1000")["name"].to_list() == ["Mug Blue"]


def test_a_workbook_with_typed_cells_says_what_text_says(shop: MadeUp, tmp_path: Path) -> None:
    entries = erpnext.labelled(erpnext.stock_ledger(shop))
    entries.write_excel(tmp_path / "ledger.xlsx")
    workbook = read([tmp_path / "ledger.xlsx"], today=TODAY)
    assert workbook.frames["movements"].equals(read([exported(entries, tmp_path)], today=TODAY).frames["movements"])


def test_vouchers_say_what_happened(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "2024-05-01,9:00:00,A,Stores,0,50,Stock Reconciliation,RECO-1",
        "2024-05-02,9:00:00,A,Stores,-3,47,Delivery Note,DN-1",
        "2024-05-02,10:00:00,A,Stores,-2,45,Sales Invoice,SI-1",
        "2024-05-02,11:00:00,A,Stores,-1,44,POS Invoice,POS-1",
        "2024-05-03,9:00:00,A,Stores,1,45,Delivery Note,DN-2",
        "2024-05-03,10:00:00,A,Stores,20,65,Purchase Receipt,PR-1",
        "2024-05-03,11:00:00,A,Stores,-4,61,Purchase Receipt,PR-2",
        "2024-05-04,9:00:00,A,Stores,-5,56,Stock Entry,STE-1",
        "2024-05-05,9:00:00,A,Stores,40,96,Stock Reconciliation,RECO-2",
    )
    found = moved(read([path], today=TODAY))
    assert found == {
        "level": ("count", 96.0),  # the last of two; below
        "DN-1": ("sale", 3.0), "SI-1": ("sale", 2.0), "POS-1": ("sale", 1.0), "DN-2": ("return", 1.0),
        "PR-1": ("receipt", 20.0), "PR-2": ("adjustment", -4.0), "STE-1": ("adjustment", -5.0),
    }  # fmt: skip
    counts = read([path], today=TODAY).frames["movements"].filter(pl.col("kind") == "count")
    assert counts.select("quantity", pl.col("occurred_at").dt.day()).rows() == [(50.0, 1), (96.0, 5)]


def test_a_transfer_takes_from_one_warehouse_and_gives_to_another(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "2024-05-02,9:00:00,A,Stores,-3,47,Stock Entry,STE-1",
        "2024-05-02,9:00:00,A,Shop,3,5,Stock Entry,STE-1",
        "2024-05-02,9:00:00,B,Shop,4,9,Stock Entry,STE-1",
    )
    rows = read([path], today=TODAY).frames["movements"].filter(pl.col("kind") != "count")
    assert set(rows.select("kind", "product", "warehouse", "quantity").rows()) == {
        ("transfer", "A", "Stores", -3.0), ("transfer", "A", "Shop", 3.0), ("adjustment", "B", "Shop", 4.0),
    }  # fmt: skip


def test_cancelled_entries_and_new_valuations_are_dropped(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "2024-05-02,9:00:00,A,Stores,-3,47,Delivery Note,DN-1,1",
        "2024-05-02,9:00:00,A,Stores,3,50,Delivery Note,DN-1,1",
        "2024-05-03,9:00:00,A,Stores,-2,48,Delivery Note,DN-1-1,0",
        "2024-05-03,9:30:00,A,Stores,0,48,Landed Cost Voucher,LCV-1,0",
        header=HEADER + ",Is Cancelled",
    )
    batch = read([path], today=TODAY)
    assert moved(batch) == {"level": ("count", 50.0), "DN-1-1": ("sale", 2.0)}
    assert [tally.rows for tally in batch.receipt.files[0].dropped] == [2, 1]


def test_entries_that_the_export_lacks_are_bridged_by_a_count(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "2024-05-02,9:00:00,A,Stores,-3,47,Delivery Note,DN-1",
        "2024-05-09,9:00:00,A,Stores,-1,20,Delivery Note,DN-2",
    )
    daily, now, _ = ledger_in_store([read([path], today=TODAY)], tmp_path)
    assert daily["on_hand"].to_list() == [47.0] * 7 + [20.0]
    assert now["on_hand"].to_list() == [20.0]


def test_a_level_below_zero_is_kept_though_no_count_can_say_it(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "2024-05-02,9:00:00,A,Stores,-3,-5,Delivery Note,DN-1",
        "2024-05-03,9:00:00,A,Stores,10,5,Purchase Receipt,PR-1",
    )
    daily, now, _ = ledger_in_store([read([path], today=TODAY)], tmp_path)
    assert daily["on_hand"].to_list() == [-5.0, 5.0]
    assert now["on_hand"].to_list() == [5.0]


@given(order=st.permutations(range(5)), newest_first=st.booleans())
def test_entries_of_one_moment_may_stand_in_any_order(
    order: list[int], newest_first: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("ties")
    tied = [(-3, 47), (-2, 45), (10, 55), (-5, 50), (-1, 49)]
    rows = [
        "2024-05-01,9:00:00,A,Stores,0,50,Stock Reconciliation,RECO-1",
        *(f"2024-05-02,9:00:00,A,Stores,{tied[n][0]},{tied[n][1]},Delivery Note,DN-{n}" for n in order),
        "2024-05-03,9:00:00,A,Stores,-1,48,Delivery Note,DN-9",
    ]
    batch = read([written(folder, *(reversed(rows) if newest_first else rows))], today=TODAY)
    counts = batch.frames["movements"].filter(pl.col("kind") == "count")
    assert counts["quantity"].to_list() == [50.0], "nothing but the reconciliation needs a count"


def test_a_reconciliation_among_entries_of_its_moment_leads_to_the_level_after_them(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "2024-05-01,9:00:00,A,Stores,-1,9,Delivery Note,DN-1",
        "2024-05-02,9:00:00,A,Stores,0,50,Stock Reconciliation,RECO-1",
        "2024-05-02,9:00:00,A,Stores,-4,46,Delivery Note,DN-2",
    )
    daily, _, _ = ledger_in_store([read([path], today=TODAY)], tmp_path)
    assert daily["on_hand"].to_list() == [9.0, 46.0]


def test_todays_entries_wait_and_a_wrong_time_is_rejected(tmp_path: Path) -> None:
    lines = [f"2024-05-{n:02},9:00:00,A,Stores,-1,{50 - n},Delivery Note,DN-{n}" for n in range(1, 13)]
    path = written(tmp_path, *lines, "2024-05-20,9:00:00,A,Stores,-1,9,Delivery Note,DN-20",
                   "2024-05-13,25:99:00,A,Stores,-1,37,Delivery Note,DN-13")  # fmt: skip
    batch = read([path], today=dt.date(2024, 5, 20))
    assert batch.rejects.select("line", "reason").rows() == [(15, "is not a time of day")]
    assert batch.receipt.rows_used == 12


def test_a_ledger_without_the_change_is_refused_with_the_way_out(tmp_path: Path) -> None:
    header = "Posting Date,Item Code,Warehouse,Qty After Transaction,Voucher Type,Voucher No"
    path = written(tmp_path, "2024-05-02,A,Stores,47,Delivery Note,DN-1", header=header)
    with pytest.raises(FileRefused, match="Qty Change"):
        read([path], today=TODAY)


def test_a_bin_is_stock_on_hand_unless_the_ledger_is_given_too(shop: MadeUp, tmp_path: Path) -> None:
    path = exported(erpnext.bins(shop), tmp_path, "Bin.csv")
    alone = read([path], today=TODAY)
    levels = alone.frames["stock_levels"].select("product", "warehouse", "on_hand")
    assert levels.equals(as_in_erpnext(shop.on_hand()))
    both = read([path, exported(erpnext.stock_ledger(shop), tmp_path, "Ledger.csv")], today=TODAY)
    assert "stock_levels" not in both.frames
    assert "is known from the stock ledger" in str(both.receipt)


def test_what_a_bin_cannot_say_is_said(tmp_path: Path) -> None:
    header = "item_code,warehouse,actual_qty,ordered_qty,projected_qty,valuation_rate"
    path = written(tmp_path, "A,Stores,5,40,45,2.5", "B,Stores,-3,0,-3,0", header=header, name="Bin.csv")
    batch = read([path], today=TODAY)
    assert batch.frames["stock_levels"]["on_hand"].to_list() == [5.0, 0.0]
    assert batch.frames["products"].select("product", "unit_cost").rows() == [("A", 2.5)]
    text = str(batch.receipt)
    assert "40 units are on order in 1 row(s)" in text
    assert "below zero" in text


def test_items_bring_suppliers_lead_times_and_minima(shop: MadeUp, tmp_path: Path) -> None:
    batch = read([exported(erpnext.items(shop), tmp_path)], today=TODAY)
    columns = ["product", "name", "category", "supplier", "unit_cost", "price", "minimum_order_quantity"]
    assert batch.frames["products"].select(columns).equals(shop.products.select(columns))
    columns = ["supplier", "lead_time_days"]
    expected = shop.suppliers.sort("supplier").cast({"lead_time_days": pl.Float64})
    assert batch.frames["suppliers"].select(columns).sort("supplier").equals(expected)
    assert "several suppliers; the first counts" in str(batch.receipt)


def test_templates_unstocked_and_disabled_items_are_told_apart(tmp_path: Path) -> None:
    header = "Item Code,Item Name,Item Group,Maintain Stock,Has Variants,Disabled,End of Life,Supplier (Supplier Items)"
    path = written(
        tmp_path, "T,Shirt,Clothes,1,1,0,2099-12-31,", "T-S,Shirt S,Clothes,1,0,0,2099-12-31,Weaver",
        "F,Fee,Services,0,0,0,2099-12-31,", "O,Old,Clothes,1,0,1,2099-12-31,", "E,Ended,Clothes,1,0,0,2024-03-31,",
        header=header,
    )  # fmt: skip
    batch = read([path], today=TODAY)
    products = {row["product"]: row for row in batch.frames["products"].iter_rows(named=True)}
    assert sorted(products) == ["E", "O", "T-S"]
    assert products["T-S"]["discontinued_on"] is None
    assert products["O"]["discontinued_on"] == dt.date(2024, 11, 17)
    assert products["E"]["discontinued_on"] == dt.date(2024, 3, 31)


def test_lead_times_that_differ_within_a_supplier_become_the_middle_one_and_are_said(tmp_path: Path) -> None:
    header = "Item Code,Item Name,Item Group,Lead Time in days,Supplier (Supplier Items)"
    path = written(tmp_path, "A,a,g,7,S", "B,b,g,7,S", "C,c,g,30,S", "D,d,g,0,S", header=header)
    batch = read([path], today=TODAY)
    assert batch.frames["suppliers"].select("supplier", "lead_time_days").rows() == [("S", 7.0)]
    assert "1 product(s) of 1 supplier(s) state another, from 30 to 30 days" in str(batch.receipt)


def test_no_customer_enters_a_frame_a_reject_or_the_receipt(shop: MadeUp, tmp_path: Path) -> None:
    entries = erpnext.labelled(erpnext.stock_ledger(shop))
    assert any(name in entries.write_csv() for name in SURNAMES)
    batch = read([exported(entries, tmp_path)], today=TODAY)
    frames = [frame.write_csv() for frame in (*batch.frames.values(), batch.rejects)]
    text = "\n".join([*frames, str(batch.receipt), batch.receipt.to_json()])
    assert not [name for name in SURNAMES if name in text]
    assert batch.receipt.files[0].personal == ("Customer",)
