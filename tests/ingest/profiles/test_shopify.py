"""Shopify's exports become sales, stock and products, and nothing of a customer is kept."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from tests.ingest.exports.shopify import (
    INVENTORY_HEADERS,
    ORDER_HEADERS,
    PRODUCT_HEADERS,
    line,
    make_shop,
    order,
    write_csv,
)

from shelfwise.domain.errors import AmbiguousDates, FileRefused
from shelfwise.ingest import Batch, read
from shelfwise.ingest.profiles.shopify import Shopify

at = dt.datetime.fromisoformat  # shop time has no zone

AT = "2025-10-07 09:50:26 +0200"
DAY = dt.date(2025, 10, 7)
MUG, CUP = line(2, "Mug", 8, "M-1"), line(1, "Cup - Red / L", 5, "C-1")
Rows = list[dict[str, object]]


def orders(folder: Path, *groups: Rows, name: str = "orders.csv") -> Path:
    return write_csv(folder / name, ORDER_HEADERS, [row for rows in groups for row in rows])


def inventory(folder: Path, *rows: dict[str, object], headers: tuple[str, ...] = INVENTORY_HEADERS) -> Path:
    return write_csv(folder / "inventory.csv", headers, rows)


def stocked(sku: str, available: object = 5, place: str = "Hall", **cells: object) -> dict[str, object]:
    known = {"Handle": sku.lower(), "Title": sku, "Option1 Value": "Default Title", "SKU": sku, "Location": place}
    return {**known, "Available (not editable)": str(available), **cells}


def units(batch: Batch) -> dict[str, float]:
    rows = batch.frames["movements"].group_by("product").agg(pl.col("quantity").sum())
    return dict(rows.iter_rows())


def on_hand(batch: Batch) -> dict[tuple[str, str], float]:
    rows = batch.frames["stock_levels"].select("product", "warehouse", "on_hand")
    return {(product, warehouse): held for product, warehouse, held in rows.iter_rows()}


def dropped(batch: Batch, file: int = 0) -> dict[str, int]:
    return {tally.reason: tally.rows for tally in batch.receipt.files[file].dropped}


def said(batch: Batch) -> str:
    return "\n".join(batch.receipt.lines())


def test_a_line_of_an_order_is_a_sale_at_the_price_after_its_discount(tmp_path: Path) -> None:
    row = line(2, "Mug", 8, "M-1", Lineitem_discount="3.00")
    batch = read([orders(tmp_path, order("#1001", AT, row, Location="Hall"))])
    sale = batch.frames["movements"].row(0, named=True)
    assert (sale["source"], sale["line_id"], sale["kind"]) == ("shopify", "#1001/M-1@8", "sale")
    assert (sale["product"], sale["warehouse"], sale["quantity"], sale["unit_price"]) == ("M-1", "Hall", 2.0, 6.5)
    assert "after the discount of their line (1 lines)" in said(batch)


def test_headers_are_known_in_the_spelling_of_the_documentation_too(tmp_path: Path) -> None:
    spelt = {"Lineitem sku": "Lineitem SKU", "Cancelled at": "Canceled at", "Lineitem quantity": "LINEITEM  QUANTITY"}
    path = orders(tmp_path, order("#1", AT, MUG), order("#2", AT, CUP, Cancelled_at=AT))
    text = path.read_text()
    for written, documented in spelt.items():
        text = text.replace(written, documented, 1)
    path.write_text(text)
    batch = read([path])
    assert units(batch) == {"M-1": 2.0}
    assert dropped(batch) == {"is of a cancelled order": 1}


def test_what_the_first_row_of_an_order_says_holds_for_its_rows_wherever_they_stand(tmp_path: Path) -> None:
    first, second = order("#1", AT, MUG, CUP, Location="Hall"), order("#2", "2025-10-08 10:00:00 +0200", MUG, CUP)
    scattered = [second[1], first[1], second[0], first[0]]
    batch = read([write_csv(tmp_path / "orders.csv", ORDER_HEADERS, scattered)])
    rows = batch.frames["movements"].sort("line_id").select("line_id", pl.col("occurred_at").dt.date(), "warehouse")
    assert rows.rows() == [
        ("#1/C-1@5", DAY, "Hall"), ("#1/M-1@8", DAY, "Hall"),
        ("#2/C-1@5", dt.date(2025, 10, 8), "Hall"), ("#2/M-1@8", dt.date(2025, 10, 8), "Hall"),
    ]  # fmt: skip


def test_an_order_cut_in_two_by_the_end_of_a_file_is_one_order(tmp_path: Path) -> None:
    whole = order("#1", AT, MUG, CUP, MUG)
    head = orders(tmp_path, whole[:1], name="part_1.csv")
    tail = orders(tmp_path, whole[1:], order("#2", AT, MUG), name="part_2.csv")
    for files in ([head, tail], [tail, head]):
        batch = read(files)
        assert units(batch) == {"M-1": 6.0, "C-1": 1.0}
        assert set(batch.frames["movements"]["line_id"]) == {"#1/M-1@8", "#1/M-1@8#2", "#1/C-1@5", "#2/M-1@8"}
    alone = read([tail])
    assert units(alone) == {"M-1": 2.0}
    assert "no given file has the first row of its order" in alone.rejects["reason"][0]
    long_tail = orders(tmp_path, order("#1", AT, MUG, CUP, MUG, CUP)[1:], order("#2", AT, MUG), name="part_3.csv")
    with pytest.raises(FileRefused, match="give the files of one export together"):
        read([long_tail])


def test_the_day_of_an_order_is_the_written_one_and_not_that_of_utc(tmp_path: Path) -> None:
    path = orders(tmp_path, order("#1", "2025-10-07 00:30:00 +0200", MUG))
    assert read([path]).frames["movements"]["occurred_at"].dt.date().to_list() == [DAY]
    told = read([path], timezone="America/New_York")
    assert told.frames["movements"]["occurred_at"].dt.date().to_list() == [dt.date(2025, 10, 6)]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"Cancelled at": AT}, "is of a cancelled order"),
        ({"Financial Status": "voided"}, "is of an order that was voided or whose payment expired"),
        ({"Financial Status": "expired"}, "is of an order that was voided or whose payment expired"),
        ({"Payment Method": "(for testing) Bogus Gateway"}, "is of a test order"),
    ],
)
def test_orders_that_were_none_are_dropped_with_all_their_rows(
    tmp_path: Path, cells: dict[str, object], reason: str
) -> None:
    batch = read([orders(tmp_path, order("#1", AT, MUG, CUP, **cells), order("#2", AT, MUG))])
    assert units(batch) == {"M-1": 2.0}
    assert dropped(batch) == {reason: 2}


@pytest.mark.parametrize(
    "status", ["paid", "pending", "authorized", "partially_paid", "refunded", "partially_refunded"]
)
def test_every_other_state_of_payment_is_a_sale(tmp_path: Path, status: str) -> None:
    assert units(read([orders(tmp_path, order("#1", AT, MUG, Financial_Status=status))])) == {"M-1": 2.0}


def test_refunds_are_told_as_money_and_never_become_returns(tmp_path: Path) -> None:
    back = order("#1", AT, MUG, CUP, Financial_Status="partially_refunded", Refunded_Amount="8.50")
    batch = read([orders(tmp_path, back, order("#2", AT, MUG, Refunded_Amount="1.50"), order("#3", AT, MUG))])
    assert set(batch.frames["movements"]["kind"]) == {"sale"}
    assert units(batch) == {"M-1": 6.0, "C-1": 1.0}
    assert "2 order(s) were refunded 10.00 in all" in said(batch)


@pytest.mark.parametrize("name", ["Gift Card - 25.00", "Geschenkgutschein", "Tip", "Trinkgeld", "Shipping protection"])
def test_gift_cards_tips_and_insurance_are_no_goods(tmp_path: Path, name: str) -> None:
    extra = line(1, name, 25, Lineitem_requires_shipping="false")
    batch = read([orders(tmp_path, order("#1", AT, MUG, extra))])
    assert units(batch) == {"M-1": 2.0}
    assert f"taken as no goods: {name}" in said(batch)


def test_goods_named_like_a_gift_card_that_are_shipped_are_goods(tmp_path: Path) -> None:
    holder = line(1, "Gift card holder", 9, "GH")
    download = line(1, "Pattern, download", 4, "PD", Lineitem_requires_shipping="false")
    assert units(read([orders(tmp_path, order("#1", AT, holder, download))])) == {"GH": 1.0, "PD": 1.0}


def test_a_line_without_a_sku_is_known_by_its_name_and_flagged(tmp_path: Path) -> None:
    batch = read([orders(tmp_path, order("#1", AT, line(3, "Scarf - S / Red", 20)))])
    assert units(batch) == {"Scarf - S / Red": 3.0}
    assert "1 line(s) have no SKU and are known by name, 1 product(s): Scarf - S / Red" in said(batch)


def test_a_very_long_name_still_makes_an_id_that_fits(tmp_path: Path) -> None:
    name = "Long scarf " * 20
    batch = read([orders(tmp_path, order("#1", AT, line(1, name, 20), line(1, name + "x", 20)))])
    ids = batch.frames["movements"]["line_id"]
    assert ids.n_unique() == 2
    assert ids.str.len_chars().max() < 100  # type: ignore[operator]


def test_a_name_longer_than_a_code_may_be_is_rejected(tmp_path: Path) -> None:
    batch = read([orders(tmp_path, order("#1", AT, MUG, line(1, "x" * 256, 20)))])
    assert units(batch) == {"M-1": 2.0}
    assert batch.rejects["reason"].to_list() == ["is longer than 255 characters, which is as long as a code may be"]


def test_equal_lines_of_an_order_are_two_sales_and_an_overlapping_export_adds_none(tmp_path: Path) -> None:
    one, two, three = (order(f"#{n}", AT, MUG, MUG, CUP) for n in (1, 2, 3))
    first = orders(tmp_path, one, two, name="first.csv")
    second = orders(tmp_path, two, three, name="second.csv")
    whole = set(read([orders(tmp_path, one, two, three, name="whole.csv")]).frames["movements"]["line_id"])
    assert len(whole) == 9
    together = read([first, second])
    assert set(together.frames["movements"]["line_id"]) == whole
    assert dropped(together, 1) == {"is in an earlier file of this import too": 3}
    separately = [set(read([path]).frames["movements"]["line_id"]) for path in (first, second)]
    assert separately[0] | separately[1] == whole


@given(st.permutations(range(6)))
def test_ids_do_not_depend_on_the_order_of_rows(tmp_path_factory: pytest.TempPathFactory, places: list[int]) -> None:
    folder = tmp_path_factory.mktemp("rows")
    lines = [line(n, "Mug", 8, "M-1") for n in (1, 2, 2)] + [line(4, "Mug", 7, "M-1"), CUP, CUP]
    rows = order("#1", AT, *lines)
    made = read([write_csv(folder / "orders.csv", ORDER_HEADERS, [rows[n] for n in places])]).frames["movements"]
    wanted = {
        "#1/M-1@8": 2.0, "#1/M-1@8#2": 2.0, "#1/M-1@8#3": 1.0, "#1/M-1@7": 4.0, "#1/C-1@5": 1.0, "#1/C-1@5#2": 1.0,
    }  # fmt: skip
    assert dict(made.select("line_id", "quantity").iter_rows()) == wanted


def test_an_edited_quantity_keeps_the_lines_id(tmp_path: Path) -> None:
    before = read([orders(tmp_path, order("#1", AT, MUG))]).frames["movements"]
    after = read([orders(tmp_path, order("#1", AT, line(5, "Mug", 8, "M-1")))]).frames["movements"]
    assert before["line_id"].to_list() == after["line_id"].to_list()
    edited = [order("#1", AT, line(5, "Mug", 8, "M-1")), *(order(f"#{n}", AT, CUP) for n in range(2, 9))]
    both = read([orders(tmp_path, order("#1", AT, MUG), name="first.csv"), orders(tmp_path, *edited, name="later.csv")])
    assert units(both)["M-1"] == 2.0
    assert both.rejects["reason"].to_list() == [
        "is a second, different quantity for the same line of an order; the first one counts"
    ]


def test_several_currencies_count_as_units_and_only_the_main_one_as_prices(tmp_path: Path) -> None:
    rows = [order("#1", AT, MUG), order("#2", AT, CUP, MUG), order("#3", AT, CUP, Currency="USD")]
    batch = read([orders(tmp_path, *rows)])
    assert units(batch) == {"M-1": 4.0, "C-1": 2.0}
    assert batch.frames["movements"].filter(pl.col("line_id").str.starts_with("#3"))["unit_price"].to_list() == [None]
    assert "several currencies: prices are in EUR; lines in others (USD 1)" in said(batch)


@pytest.mark.parametrize(("total", "words"), [("24.00", "include tax"), ("27.83", "are without tax")])
def test_whether_prices_include_tax_is_read_from_the_totals(tmp_path: Path, total: str, words: str) -> None:
    sums = {"Subtotal": "20.00", "Shipping": "4.00", "Taxes": "3.83", "Total": total}
    assert f"prices {words}" in said(read([orders(tmp_path, order("#1", AT, MUG, **sums))]))


def test_online_orders_belong_to_the_only_location_there_is(tmp_path: Path) -> None:
    path = orders(tmp_path, order("#1", AT, MUG))
    assert read([path]).frames["movements"]["warehouse"].to_list() == ["main"]
    together = read([path, inventory(tmp_path, stocked("M-1"))])
    assert together.frames["movements"]["warehouse"].to_list() == ["Hall"]
    later = read([path], known_warehouses=["Hall"])
    assert later.frames["movements"]["warehouse"].to_list() == ["Hall"]
    asked = read([path, inventory(tmp_path, stocked("M-1"))], warehouse="Web")
    assert asked.frames["movements"]["warehouse"].to_list() == ["Web"]


def test_with_several_locations_online_orders_are_not_guessed_to_one(tmp_path: Path) -> None:
    stock = inventory(tmp_path, stocked("M-1", place="Hall"), stocked("M-1", place="Shop"))
    batch = read([orders(tmp_path, order("#1", AT, MUG), order("#2", AT, MUG, Location="Shop")), stock])
    assert sorted(batch.frames["movements"]["warehouse"]) == ["Shop", "main"]
    assert "though there are 'Hall', 'Shop': --warehouse says which one ships them" in said(batch)


def test_stock_imported_after_the_sales_goes_where_they_are(tmp_path: Path) -> None:
    path = inventory(tmp_path, stocked("M-1", 4))
    assert on_hand(read([path], known_warehouses=["main"])) == {("M-1", "main"): 4.0}
    assert on_hand(read([path], known_warehouses=["Hall", "main"])) == {("M-1", "Hall"): 4.0}


def test_orders_of_today_are_left_out_and_of_the_future_rejected(tmp_path: Path) -> None:
    days = [order(f"#{n}", f"2025-10-{n:02} 10:00:00 +0200", MUG, CUP) for n in range(1, 16)]
    batch = read([orders(tmp_path, *days)], today=dt.date(2025, 10, 14))
    assert batch.receipt.last_day == dt.date(2025, 10, 13)
    assert dropped(batch) == {"is of today, which is not over; import it tomorrow": 2}
    assert batch.rejects["reason"].to_list() == ["lies in the future (today is 2025-10-14)"] * 2


def test_stock_is_what_can_be_sold(tmp_path: Path) -> None:
    held = {"Committed (not editable)": "3", "Unavailable (not editable)": "2", "On hand (current)": "10",
            "Incoming (not editable)": "40", "On hand (new)": ""}  # fmt: skip
    batch = read([inventory(tmp_path, stocked("M-1", 5, **held), stocked("C-1", "", **held))])
    assert on_hand(batch) == {("M-1", "Hall"): 5.0, ("C-1", "Hall"): 5.0}
    assert "10 units committed or unavailable are not in it" in said(batch)
    assert "80 units incoming are not read as orders" in said(batch)


def test_cells_that_are_not_stocked_are_no_zeros_and_negative_ones_are_none_on_hand(tmp_path: Path) -> None:
    rows = [stocked("A", "Not stocked"), stocked("B", -3), stocked("C", 0), stocked("A", 7, "Shop")]
    batch = read([inventory(tmp_path, *rows)])
    assert on_hand(batch) == {("A", "Shop"): 7.0, ("B", "Hall"): 0.0, ("C", "Hall"): 0.0}
    assert dropped(batch) == {"is not stocked at its location": 1}
    assert "1 row(s) have stock below zero" in said(batch)
    assert "3 units are promised that are not there" in said(batch)


def test_the_older_inventory_without_the_suffixes_is_read_too(tmp_path: Path) -> None:
    old = tuple(header.split(" (")[0] for header in INVENTORY_HEADERS if header != "On hand (new)")
    row = {"Handle": "mug", "Title": "Mug", "SKU": "M-1", "Location": "Hall", "On hand": "9", "Committed": "2"}
    assert on_hand(read([inventory(tmp_path, row, headers=old)])) == {("M-1", "Hall"): 7.0}
    bare = inventory(tmp_path, {"Handle": "mug", "Title": "Mug", "SKU": "M-1", "Location": "Hall"},
                     headers=("Handle", "Title", "SKU", "Location", "Incoming"))  # fmt: skip
    with pytest.raises(FileRefused, match="neither a column Available nor On hand"):
        read([bare])


def test_one_column_per_location_is_read_as_so_many_warehouses(tmp_path: Path) -> None:
    headers = (
        "Handle",
        "Title",
        "Option1 Name",
        "Option1 Value",
        "SKU",
        "HS Code",
        "COO",
        "Hall 3",
        "Zoo & Co",
        "Rack",
    )
    rows = [
        {"Handle": "mug", "Title": "Mug", "Option1 Value": "Red", "SKU": "M-1", "Hall 3": "4", "Zoo & Co": "-1",
         "Rack": "B7"},
        {"Handle": "mug", "Option1 Value": "Blue", "Hall 3": "not stocked", "Zoo & Co": "6"},
        {"Handle": "cup", "Title": "Cup", "SKU": "C-1", "Hall 3": "not stocked", "Zoo & Co": "not stocked"},
    ]  # fmt: skip
    batch = read([inventory(tmp_path, *rows, headers=headers)])
    assert on_hand(batch) == {("M-1", "Hall 3"): 4.0, ("M-1", "Zoo & Co"): 0.0, ("Mug - Blue", "Zoo & Co"): 6.0}
    assert dropped(batch) == {"is not stocked anywhere": 1}
    assert "no stock of a location: 'Rack'" in said(batch)


def test_variants_without_a_sku_have_the_same_key_in_orders_inventory_and_products(tmp_path: Path) -> None:
    options = {"Option1 Value": "S", "Option2 Value": "Red"}
    stock = inventory(tmp_path, {"Handle": "scarf", "Title": "Scarf", "SKU": "", "Location": "Hall",
                                 "Available (not editable)": "4", **options})  # fmt: skip
    top = {"Handle": "scarf", "Title": "Scarf", "Vendor": "Weavers", "Type": "Textiles", "Status": "active"}
    listed = write_csv(tmp_path / "products.csv", PRODUCT_HEADERS, [
        {**top, "Option1 Value": "M", "Variant Price": "20"},
        {"Handle": "scarf", **options, "Variant Price": "21", "Cost per item": "9"},
        {"Handle": "scarf", "Image Src": "https://example.test/scarf.jpg"},
    ])  # fmt: skip
    batch = read([orders(tmp_path, order("#1", AT, line(1, "Scarf - S / Red", 20))), stock, listed])
    assert set(units(batch)) == {"Scarf - S / Red"}
    assert on_hand(batch) == {("Scarf - S / Red", "Hall"): 4.0}
    product = batch.frames["products"].filter(pl.col("product") == "Scarf - S / Red").row(0, named=True)
    assert (product["supplier"], product["category"], product["price"], product["unit_cost"]) == (
        "Weavers", "Textiles", 21.0, 9.0,
    )  # fmt: skip
    assert dropped(batch, 2) == {"holds a picture and no variant": 1}


def test_variants_that_share_a_sku_are_one_product_with_the_sum_of_their_stock(tmp_path: Path) -> None:
    twins = [{**stocked("M-1", n), "Option1 Value": colour} for n, colour in ((2, "Red"), (3, "Blue"))]
    batch = read([inventory(tmp_path, *twins)])
    assert on_hand(batch) == {("M-1", "Hall"): 5.0}
    assert "1 row(s) share SKU and location with another" in said(batch)


def test_the_newer_product_headers_are_known_and_archived_products_end(tmp_path: Path) -> None:
    headers = ("Title", "URL handle", "Vendor", "Product category", "Type", "Status", "SKU", "Barcode", "Option1 name",
               "Option1 value", "Price", "Cost per item", "Inventory tracker", "Inventory quantity")  # fmt: skip
    row = {"Title": "Mug", "URL handle": "mug", "Vendor": "Northbean", "Product category": "Home > Kitchen > Mugs",
           "Status": "Active", "SKU": "M-1", "Price": "8", "Inventory tracker": "shopify",
           "Inventory quantity": "6"}  # fmt: skip
    gone = {**row, "Title": "Jug", "URL handle": "jug", "SKU": "J-1", "Status": "Archived"}
    path = write_csv(tmp_path / "products.csv", headers, [row, gone])
    batch = read([path], today=dt.date(2025, 10, 10))
    products = batch.frames["products"].select("product", "category", "discontinued_on").sort("product").rows()
    assert products == [("J-1", "Mugs", dt.date(2025, 10, 9)), ("M-1", "Mugs", None)]
    assert "1 archived product(s) are taken as discontinued" in said(batch)
    assert on_hand(batch) == {("M-1", "main"): 6.0, ("J-1", "main"): 6.0}
    sold = orders(tmp_path, order("#1", AT, line(1, "Jug", 8, "J-1")))
    ended = read([path, sold], today=dt.date(2025, 10, 10)).frames["products"]
    assert ended.filter(pl.col("product") == "J-1")["discontinued_on"].to_list() == [DAY]


def test_stock_of_the_product_list_is_not_read_beside_an_inventory(tmp_path: Path) -> None:
    headers = ("Handle", "Title", "Vendor", "Variant SKU", "Variant Price", "Cost per item", "Variant Inventory Qty")
    row = {"Handle": "mug", "Title": "Mug", "Vendor": "V", "Variant SKU": "M-1", "Variant Price": "8",
           "Variant Inventory Qty": "99"}  # fmt: skip
    batch = read([inventory(tmp_path, stocked("M-1", 4)), write_csv(tmp_path / "products.csv", headers, [row])])
    assert on_hand(batch) == {("M-1", "Hall"): 4.0}
    assert "the stock in this file is not read" in said(batch)


def test_stock_without_a_date_is_that_of_the_moment_the_file_was_last_changed(tmp_path: Path) -> None:
    path = inventory(tmp_path, stocked("M-1"))
    exported = dt.datetime(2025, 10, 7, 22, 30, tzinfo=dt.UTC)
    os.utime(path, (exported.timestamp(), exported.timestamp()))
    batch = read([path], timezone="Europe/Berlin", today=dt.date(2025, 10, 9))
    assert batch.frames["stock_levels"]["as_of"].to_list() == [at("2025-10-08 00:30")]
    assert "taken as 2025-10-08 00:30" in said(batch)
    earlier = read([path], timezone="Europe/Berlin", today=dt.date(2025, 10, 1))
    assert earlier.frames["stock_levels"]["as_of"].to_list() == [at("2025-10-01")]
    dated = inventory(tmp_path, {**stocked("M-1"), "As of": "2025-09-30"}, headers=(*INVENTORY_HEADERS, "As of"))
    assert read([dated]).frames["stock_levels"]["as_of"].to_list() == [at("2025-09-30")]


def test_month_end_stock_is_the_latest_months_and_yields_to_an_inventory(tmp_path: Path) -> None:
    headers = ("Month", "Product title", "Variant title", "Variant SKU", "Ending quantity")
    path = write_csv(tmp_path / "month_end.csv", headers, [
        {"Month": "2025-08-01", "Product title": "Mug", "Variant SKU": "M-1", "Ending quantity": "9"},
        {"Month": "2025-09-01", "Product title": "Mug", "Variant SKU": "M-1", "Ending quantity": "4"},
        {"Month": "2025-09-01", "Product title": "Cup", "Variant title": "Red / L", "Ending quantity": "-2"},
        {"Month": "2025-09-01", "Product title": "Jug", "Variant title": "Default Title", "Ending quantity": "0"},
    ])  # fmt: skip
    batch = read([path])
    assert on_hand(batch) == {("M-1", "main"): 4.0, ("Cup - Red / L", "main"): 0.0, ("Jug", "main"): 0.0}
    assert set(batch.frames["stock_levels"]["as_of"]) == {at("2025-09-30 23:59:59")}
    assert list(dropped(batch).values()) == [1]
    assert on_hand(read([path, inventory(tmp_path, stocked("M-1", 7))])) == {("M-1", "Hall"): 7.0}


def test_month_end_stock_without_a_month_is_of_the_month_before_its_export(tmp_path: Path) -> None:
    headers = ("Product title", "Variant title", "Variant SKU", "Ending quantity")
    row = {"Product title": "Mug", "Variant SKU": "M-1", "Ending quantity": "4"}
    path = write_csv(tmp_path / "month_end.csv", headers, [row])
    exported = dt.datetime(2025, 10, 7, 12, tzinfo=dt.UTC).timestamp()
    os.utime(path, (exported, exported))
    assert read([path]).frames["stock_levels"]["as_of"].to_list() == [at("2025-09-30 23:59:59")]


def test_codes_that_a_spreadsheet_damaged_are_rejected(tmp_path: Path) -> None:
    rows = [order(f"#{n}", AT, MUG) for n in range(30)]
    batch = read([orders(tmp_path, *rows, order("#99", AT, line(1, "Jar", 3, "1.23E+11")))])
    assert batch.rejects["value"].to_list() == ["1.23E+11"]


@pytest.mark.parametrize("location", ["Hall 3", "Customer pickup"])
def test_a_made_up_shop_comes_out_as_it_was_made_and_without_its_customers(tmp_path: Path, location: str) -> None:
    shop = make_shop(7, products=40, days=60, until=dt.date(2025, 6, 30), location=location)
    batch = read(shop.write(tmp_path), today=dt.date(2025, 7, 1))
    sold = (
        batch.frames["movements"].group_by("product", pl.col("occurred_at").dt.date().alias("day"))
        .agg(pl.col("quantity").sum()).sort("product", "day")
    )  # fmt: skip
    assert_frame_equal(sold, shop.sold)
    assert on_hand(batch) == {(product, location): held for product, held in shop.on_hand.items()}
    for file in batch.receipt.files:
        parts = file.rows_used + sum(t.rows for t in (*file.dropped, *file.rejected))
        assert file.rows_read == parts
    assert f"refunded {shop.refunded:,.2f} in all" in said(batch)
    everything = said(batch) + batch.rejects.write_csv() + "".join(f.write_csv() for f in batch.frames.values())
    assert not [word for word in shop.personal if word.lower() in everything.lower()]


CELLS = st.sampled_from([
    "", " ", "0", "1", "-3", "2.5", "1,234.50", "$8.00", "not stocked", "Not Stocked", "nan", "1e309", "1.23E+11", "#1",
    "#2", "M-1", "Mug", "Default Title", "true", "voided", "archived", AT, "2025-10-07", "07/10/2025", "31/31/2025",
    "=1+1", "Gift card", "ä\u0000b", "someone@example.test", "x" * 300, "Tip", "EUR", "usd",
])  # fmt: skip
SHEETS = tuple(
    tuple(dict.fromkeys(field.headers[0] for field in role.fields)) + extra
    for role, extra in zip(Shopify.roles, ((), (), ("Hall", "Shop"), (), ()), strict=True)
)


@settings(max_examples=60)
@given(st.data())
def test_whatever_stands_in_the_cells_there_is_a_receipt_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder, paths = tmp_path_factory.mktemp("junk"), []
    for number in data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=3)):
        headers = SHEETS[number]
        row = st.lists(CELLS, min_size=len(headers), max_size=len(headers))
        rows = [dict(zip(headers, cells, strict=True)) for cells in data.draw(st.lists(row, min_size=1, max_size=4))]
        paths.append(write_csv(folder / f"{len(paths)}.csv", headers, rows))
    try:
        batch = read(paths, today=dt.date(2025, 10, 10))
    except (FileRefused, AmbiguousDates):
        return
    for file in batch.receipt.files:
        assert file.rows_read == file.rows_used + sum(t.rows for t in (*file.dropped, *file.rejected))
