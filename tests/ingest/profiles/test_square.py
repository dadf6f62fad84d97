"""Square's exports become sales, returns, products and stock, in every width they had."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from tests.ingest.exports.shopify import write_csv
from tests.ingest.exports.square import (
    DETAIL_24,
    DETAIL_30,
    DETAIL_32,
    DETAIL_35,
    DETAIL_BARE,
    library_headers,
    make_seller,
    sold,
)

from shelfwise.domain.errors import AmbiguousDates, FileRefused
from shelfwise.ingest import Batch, read
from shelfwise.ingest.profiles.square import Square

at = dt.datetime.fromisoformat  # shop time has no zone


def detail(
    folder: Path, *rows: dict[str, object], name: str = "items.csv", columns: tuple[str, ...] = DETAIL_35
) -> Path:
    kept = [{header: cell for header, cell in row.items() if header in columns} for row in rows]
    return write_csv(folder / name, columns, kept)


def library(folder: Path, *rows: dict[str, object], places: tuple[str, ...] = ("Main Street", "Kiosk")) -> Path:
    base = {"Token": "T", "Item Name": "Tea", "Variation Name": "Regular", "Archived": "N"}
    return write_csv(folder / "library.csv", library_headers(places), [{**base, **row} for row in rows])


def units(batch: Batch) -> dict[tuple[str, str], float]:
    rows = batch.frames["movements"].group_by("product", "kind").agg(pl.col("quantity").sum())
    return {(product, kind): quantity for product, kind, quantity in rows.iter_rows()}


def on_hand(batch: Batch) -> dict[tuple[str, str], float]:
    rows = batch.frames["stock_levels"].select("product", "warehouse", "on_hand")
    return {(product, warehouse): held for product, warehouse, held in rows.iter_rows()}


def said(batch: Batch) -> str:
    return "\n".join(batch.receipt.lines())


@pytest.mark.parametrize("columns", [DETAIL_24, DETAIL_30, DETAIL_32, DETAIL_35], ids=len)
def test_a_line_is_a_sale_in_every_width_of_the_export(tmp_path: Path, columns: tuple[str, ...]) -> None:
    batch = read([detail(tmp_path, sold("Oolong", 2, 16, SKU="T-1"), columns=columns)])
    sale = batch.frames["movements"].row(0, named=True)
    assert (sale["source"], sale["line_id"], sale["kind"]) == ("square", "TX1/T-1@8", "sale")
    assert (sale["product"], sale["warehouse"], sale["quantity"]) == ("T-1", "Market Hall", 2.0)
    assert (sale["unit_price"], sale["occurred_at"]) == (8.0, at("2026-07-18 12:59:30"))
    assert batch.frames["products"].select("name", "category").rows() == [("Oolong", "Tea")]


def test_columns_are_found_by_name_wherever_they_stand(tmp_path: Path) -> None:
    batch = read([detail(tmp_path, sold("Oolong", 2, 16, SKU="T-1"), columns=tuple(reversed(DETAIL_35)))])
    assert units(batch) == {("T-1", "sale"): 2.0}


def test_an_older_width_without_times_and_transactions_is_read_by_what_its_lines_say(tmp_path: Path) -> None:
    rows = [sold("Oolong", 2, 16), sold("Oolong", 2, 16), sold("Oolong", -1, -8)]
    first = detail(tmp_path, *rows, columns=DETAIL_BARE)
    again = detail(tmp_path, *rows, name="again.csv", columns=(*DETAIL_BARE[::-1],))
    batch = read([first, again])
    assert units(batch) == {("Oolong", "sale"): 4.0, ("Oolong", "return"): 1.0}
    assert batch.frames["movements"]["line_id"].to_list()[0] == "Oolong|Market Hall|2026-07-18T00:00:00|2|8"


@pytest.mark.parametrize("quantity", [1, -1])
def test_a_refund_of_an_item_is_a_return_however_its_quantity_is_signed(tmp_path: Path, quantity: int) -> None:
    back = sold("Oolong", quantity, -8, Event_Type="Refund", Transaction_ID="RF1")
    batch = read([detail(tmp_path, sold("Oolong", 3, 24), back)])
    assert units(batch) == {("Oolong", "sale"): 3.0, ("Oolong", "return"): 1.0}
    assert set(batch.frames["movements"]["line_id"]) == {"TX1/Oolong@8", "RF1/-Oolong@8"}
    assert batch.frames["movements"]["unit_price"].to_list() == [8.0, 8.0]


def test_the_variation_stands_in_the_price_point_and_regular_is_none(tmp_path: Path) -> None:
    rows = [
        sold("Oolong", 1, 8),
        sold("Oolong", 1, 12, Price_Point_Name="Large"),
        sold("Chai", 1, 4, Price_Point_Name=""),
    ]
    batch = read([detail(tmp_path, *rows)])
    assert {product for product, _ in units(batch)} == {"Oolong", "Oolong - Large", "Chai"}
    assert "3 line(s) have no SKU and are known by name, 3 product(s)" in said(batch)


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        ("Custom Amount", "Custom Amount"), ("Custom Amount", ""), ("Hair cut", "Service"), ("Card", "Gift Card"),
        ("eGift Card", ""), ("For the shelter", "Donation"), ("Tip", ""),
    ],
)  # fmt: skip
def test_what_is_no_goods_is_dropped(tmp_path: Path, item: str, kind: str) -> None:
    batch = read([detail(tmp_path, sold("Oolong", 1, 8), sold(item, 1, 5, Itemization_Type=kind))])
    assert units(batch) == {("Oolong", "sale"): 1.0}
    assert batch.receipt.files[0].dropped[0].lines == (3,)


def test_a_physical_good_named_like_a_gift_card_is_goods(tmp_path: Path) -> None:
    assert units(read([detail(tmp_path, sold("Gift card holder", 1, 5))])) == {("Gift card holder", "sale"): 1.0}


def test_prices_are_net_sales_per_unit_in_any_writing_of_money(tmp_path: Path) -> None:
    rows = [sold("Oolong", 2, 1234.5), sold("Chai", 4, 10, Gross_Sales="$12.00", Discounts="-$2.00")]
    batch = read([detail(tmp_path, *rows)])
    assert dict(batch.frames["movements"].select("product", "unit_price").iter_rows()) == {
        "Oolong": 617.25,
        "Chai": 2.5,
    }
    assert "prices are net sales per unit: after discounts, without tax" in said(batch)


def test_the_day_is_the_one_of_the_location(tmp_path: Path) -> None:
    rows = [
        sold("Oolong", 1, 8, Time="23:30:00", Time_Zone="Pacific Time (US & Canada)", Location="West"),
        sold("Oolong", 1, 8, Time="12:30:00 AM", Transaction_ID="TX2"),
    ]
    batch = read([detail(tmp_path, *rows)], timezone="Europe/Berlin")
    assert batch.frames["movements"]["occurred_at"].dt.date().unique().to_list() == [dt.date(2026, 7, 18)]
    assert "times are those of each location, as written" in said(batch)


def test_overlapping_exports_count_once_and_equal_lines_of_a_payment_twice(tmp_path: Path) -> None:
    one, two, three = (
        [sold("Oolong", 1, 8, Transaction_ID=f"TX{n}"), sold("Oolong", 1, 8, Transaction_ID=f"TX{n}")]
        for n in (1, 2, 3)
    )
    first, second = detail(tmp_path, *one, *two, name="first.csv"), detail(tmp_path, *two, *three, name="second.csv")
    together = read([first, second])
    assert units(together) == {("Oolong", "sale"): 6.0}
    assert {t.reason: t.rows for t in together.receipt.files[1].dropped} == {
        "is in an earlier file of this import too": 2
    }
    apart = [set(read([path]).frames["movements"]["line_id"]) for path in (first, second)]
    assert apart[0] | apart[1] == set(together.frames["movements"]["line_id"])


@given(st.permutations(range(4)))
def test_ids_do_not_depend_on_the_order_of_rows(tmp_path_factory: pytest.TempPathFactory, places: list[int]) -> None:
    rows = [sold("Oolong", n, 8.0 * n) for n in (1, 2, 2)] + [sold("Oolong", 1, 9)]
    made = read([detail(tmp_path_factory.mktemp("rows"), *(rows[n] for n in places))]).frames["movements"]
    assert dict(made.select("line_id", "quantity").iter_rows()) == {
        "TX1/Oolong@8": 2.0, "TX1/Oolong@8#2": 2.0, "TX1/Oolong@8#3": 1.0, "TX1/Oolong@9": 1.0,
    }  # fmt: skip


def test_a_product_sold_in_several_units_is_said(tmp_path: Path) -> None:
    rows = [sold("Beans", 0.75, 9, Unit="kg"), sold("Beans", 1, 5, Unit="lb"), sold("Oolong", 1, 8)]
    batch = read([detail(tmp_path, *rows)])
    assert units(batch)["Beans", "sale"] == 1.75
    assert "1 product(s) are sold in several units, which are added up as written: Beans (kg, lb)" in said(batch)


def test_lines_of_quantity_zero_and_of_today_are_dropped(tmp_path: Path) -> None:
    rows = [sold("Oolong", 1, 8), sold("Oolong", 0, 0), sold("Oolong", 1, 8, Date="2026-07-19", Transaction_ID="TX2")]
    batch = read([detail(tmp_path, *rows)], today=dt.date(2026, 7, 19))
    assert units(batch) == {("Oolong", "sale"): 1.0}
    reasons = {tally.reason for tally in batch.receipt.files[0].dropped}
    assert reasons == {"has quantity 0", "is of today, which is not over; import it tomorrow"}


def test_the_library_gives_products_and_the_stock_of_each_location(tmp_path: Path) -> None:
    path = library(
        tmp_path,
        {"SKU": "T-1", "Reporting Category": "Tea", "Price": "8.00", "Default Unit Cost": "3.10",
         "Default Vendor Name": "Northbean", "Current Quantity Main Street": "14", "Current Quantity Kiosk": "0"},
        {"Variation Name": "Large", "Price": "variable", "Current Quantity Main Street": "-2"},
    )  # fmt: skip
    batch = read([path])
    products = batch.frames["products"].select("product", "name", "supplier", "category", "price", "unit_cost").rows()
    assert products == [
        ("T-1", "Tea", "Northbean", "Tea", 8.0, 3.1), ("Tea - Large", "Tea - Large", None, None, None, None),
    ]  # fmt: skip
    assert on_hand(batch) == {("T-1", "Main Street"): 14.0, ("T-1", "Kiosk"): 0.0, ("Tea - Large", "Main Street"): 0.0}
    assert "1 row(s) have stock below zero" in said(batch)


def test_sales_and_library_use_the_same_product_and_location(tmp_path: Path) -> None:
    path = library(tmp_path, {"Variation Name": "Large", "Current Quantity Kiosk": "3"})
    batch = read([detail(tmp_path, sold("Tea", 1, 8, Price_Point_Name="Large", Location="Kiosk")), path])
    place = ["product", "warehouse"]
    assert_frame_equal(batch.frames["movements"].select(place), batch.frames["stock_levels"].select(place))


def test_archived_items_end_with_their_last_sale(tmp_path: Path) -> None:
    path = library(tmp_path, {"SKU": "A", "Archived": "Y"}, {"SKU": "B", "Archived": "Y"}, {"SKU": "C"})
    batch = read([path, detail(tmp_path, sold("Tea", 1, 8, SKU="A"))], today=dt.date(2026, 7, 25))
    ends = dict(batch.frames["products"].select("product", "discontinued_on").iter_rows())
    assert ends == {"A": dt.date(2026, 7, 18), "B": dt.date(2026, 7, 24), "C": None}


def test_a_library_without_stock_columns_gives_products_alone(tmp_path: Path) -> None:
    batch = read([library(tmp_path, {"SKU": "A", "Price": "4"}, places=())])
    assert set(batch.frames) == {"products"}
    assert "no stock is tracked in it" in said(batch)


def test_stock_is_that_of_the_moment_the_library_was_last_changed(tmp_path: Path) -> None:
    path = library(tmp_path, {"SKU": "A", "Current Quantity Kiosk": "4"})
    exported = dt.datetime(2026, 7, 18, 22, 30, tzinfo=dt.UTC).timestamp()
    os.utime(path, (exported, exported))
    assert read([path], timezone="Europe/Berlin").frames["stock_levels"]["as_of"].to_list() == [at("2026-07-19 00:30")]


@pytest.mark.parametrize("columns", [DETAIL_24, DETAIL_35], ids=len)
def test_a_made_up_seller_comes_out_as_it_was_made_and_without_its_customers(
    tmp_path: Path, columns: tuple[str, ...]
) -> None:
    seller = make_seller(7, products=40, days=60, until=dt.date(2025, 6, 30))
    batch = read(seller.write(tmp_path, columns), today=dt.date(2025, 7, 1))
    sales = batch.frames["movements"].filter(pl.col("kind") == "sale")
    place = ["product", "warehouse", "day"]
    found = (
        sales.with_columns(pl.col("occurred_at").dt.date().alias("day")).group_by(place).agg(pl.col("quantity").sum())
    )
    assert_frame_equal(found.sort(place), seller.sold)
    assert batch.frames["movements"].filter(pl.col("kind") == "return")["quantity"].sum() == seller.returned > 0
    assert on_hand(batch) == seller.on_hand
    for file in batch.receipt.files:
        assert file.rows_read == file.rows_used + sum(t.rows for t in (*file.dropped, *file.rejected))
    everything = said(batch) + batch.rejects.write_csv() + "".join(f.write_csv() for f in batch.frames.values())
    assert not [word for word in seller.personal if word.lower() in everything.lower()]


CELLS = st.sampled_from([
    "", " ", "0", "1.0", "-1", "2.5", "-$1,234.50", "variable", "nan", "1e309", "1.23E+11", "T-1", "Oolong", "Regular",
    "Refund", "Gift Card", "Custom Amount", "Y", "2026-07-18", "07/10/2025", "31/31/2025", "23:59:59", "25:61",
    "12:30 PM", "=1+1", "ä\u0000b", "someone@example.test", "x" * 300, "kg", "uncategorized",
])  # fmt: skip
SHEETS = tuple(
    tuple(dict.fromkeys(field.headers[0] for field in role.fields)) + extra
    for role, extra in zip(Square.roles, ((), ("Current Quantity Hall", "Current Quantity Shop")), strict=True)
)


@settings(max_examples=60)
@given(st.data())
def test_whatever_stands_in_the_cells_there_is_a_receipt_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder, paths = tmp_path_factory.mktemp("junk"), []
    for number in data.draw(st.lists(st.integers(0, 1), min_size=1, max_size=3)):
        headers = SHEETS[number]
        row = st.lists(CELLS, min_size=len(headers), max_size=len(headers))
        rows = [dict(zip(headers, cells, strict=True)) for cells in data.draw(st.lists(row, min_size=1, max_size=4))]
        paths.append(write_csv(folder / f"{len(paths)}.csv", headers, rows))
    try:
        batch = read(paths, today=dt.date(2026, 7, 20))
    except (FileRefused, AmbiguousDates):
        return
    for file in batch.receipt.files:
        assert file.rows_read == file.rows_used + sum(t.rows for t in (*file.dropped, *file.rejected))
