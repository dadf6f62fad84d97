"""Odoo's done moves become sales, returns, receipts and transfers in one unit per product and in shop time."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from tests.ingest.exports import odoo
from tests.ingest.exports.made_up import SURNAMES, MadeUp, made_up_shop

from shelfwise.domain.errors import FileRefused
from shelfwise.ingest import Batch, read

TODAY = dt.date(2024, 11, 18)
MOVES = "date,product_id,quantity,product_uom,location_id,location_dest_id,state"


@pytest.fixture(scope="module")
def shop() -> MadeUp:
    return made_up_shop(seed=6, today=TODAY, n_products=12, n_days=60)


def written(folder: Path, *lines: str, header: str = MOVES, name: str = "moves.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def exported(table: pl.DataFrame, folder: Path, name: str = "export.csv") -> Path:
    table.write_csv(folder / name)
    return folder / name


def imported(*paths: Path, timezone: str | None = odoo.ZONE) -> Batch:
    return read(list(paths), today=TODAY, timezone=timezone)


def told(batch: Batch, *columns: str) -> list[tuple[object, ...]]:
    return batch.frames["movements"].select(*columns).rows()


def sold(batch: Batch) -> pl.DataFrame:
    day = pl.col("occurred_at").dt.date().alias("day")
    sales = batch.frames["movements"].filter(pl.col("kind") == "sale")
    return sales.group_by("product", "warehouse", day).agg(pl.col("quantity").sum()).sort("product", "warehouse", "day")


def test_demand_ties_out_by_product_and_shop_day_and_stock_by_warehouse(shop: MadeUp, tmp_path: Path) -> None:
    batch = imported(*odoo.write(shop, tmp_path))
    assert batch.rejects.is_empty()
    assert sold(batch).equals(shop.sold())
    assert batch.frames["stock_levels"].select("product", "warehouse", "on_hand").equals(shop.on_hand())
    net = pl.when(pl.col("kind") == "sale").then(-pl.col("quantity")).otherwise("quantity").sum()
    assert batch.frames["movements"].select(net).item() == shop.on_hand()["on_hand"].sum()


@pytest.mark.parametrize("language", sorted(odoo.LABELS))
def test_labels_of_each_language_say_what_technical_names_say(shop: MadeUp, tmp_path: Path, language: str) -> None:
    moves = odoo.stock_moves(shop)
    technical = imported(exported(moves, tmp_path, "technical.csv"))
    labelled = imported(exported(odoo.in_words_of(moves, language), tmp_path, "labelled.csv"))
    assert labelled.receipt.files[0].table == "stock moves"
    assert labelled.frames["movements"].equals(technical.frames["movements"])


def test_where_goods_went_says_what_happened(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "2024-05-02 09:00:00,[A] Mug,3,Units,WH/Stock,Partners/Customers,done",
        "2024-05-02 10:00:00,[A] Mug,1,Units,Partners/Customers,WH/Stock,done",
        "2024-05-02 11:00:00,[A] Mug,20,Units,Partners/Vendors,WH/Stock,done",
        "2024-05-02 12:00:00,[A] Mug,2,Units,WH/Stock,Partners/Vendors,done",
        "2024-05-02 13:00:00,[A] Mug,4,Units,Virtual Locations/Inventory adjustment,WH/Stock,done",
        "2024-05-02 14:00:00,[A] Mug,5,Units,WH/Stock,Virtual Locations/Production,done",
        "2024-05-02 15:00:00,[A] Mug,6,Units,WH/Stock,WH2/Stock,done",
        "2024-05-02 16:00:00,[A] Mug,7,Units,WH/Stock,Physical Locations/Inter-warehouse transit,done",
        "2024-05-02 17:00:00,[A] Mug,8,Units,WH/Stock,WH/Output,done",
        "2024-05-02 18:00:00,[A] Mug,9,Units,Partners/Vendors,Partners/Customers,done",
    )
    batch = imported(path)
    assert told(batch, "kind", "warehouse", "quantity") == [
        ("sale", "WH", 3.0), ("return", "WH", 1.0), ("receipt", "WH", 20.0), ("adjustment", "WH", -2.0),
        ("adjustment", "WH", 4.0), ("adjustment", "WH", -5.0), ("transfer", "WH2", 6.0), ("transfer", "WH", -6.0),
        ("transfer", "WH", -7.0),
    ]  # fmt: skip
    reasons = [tally.reason for tally in batch.receipt.files[0].dropped]
    assert reasons == ["stays in one warehouse", "never lay in a warehouse of the shop (drop-shipped, in transit)"]


def test_the_kind_of_a_location_wins_over_its_name(tmp_path: Path) -> None:
    header = MOVES + ",location_usage,location_dest_usage"
    path = written(
        tmp_path, "2024-05-02 09:00:00,A,3,Units,Main/Stock,Webshop/Buyers,done,internal,customer",
        "2024-05-02 09:00:00,B,3,Units,Lager/Regal,Kundschaft/Web,done,Interner Lagerort,Kundenlagerort", header=header,
    )  # fmt: skip
    assert told(imported(path), "kind", "warehouse") == [("sale", "Main"), ("sale", "Lager")]


def test_a_location_of_no_known_kind_is_rejected_with_the_way_out(tmp_path: Path) -> None:
    good = [f"2024-05-{n:02} 09:00:00,A,1,Units,WH/Stock,Partners/Customers,done" for n in range(1, 13)]
    batch = imported(written(tmp_path, *good, "2024-05-20 09:00:00,A,1,Units,WH/Stock,Partners/Lodgers,done"))
    assert batch.rejects["line"].to_list() == [14]
    assert "location_usage" in batch.rejects["reason"][0]


def test_only_done_moves_count_and_a_file_without_any_is_refused(tmp_path: Path) -> None:
    line = "2024-05-02 09:00:00,A,3,Units,WH/Stock,Partners/Customers,"
    batch = imported(written(tmp_path, *(line + state for state in ("done", "cancel", "draft", "waiting"))))
    assert told(batch, "quantity") == [(3.0,)]
    assert {tally.reason: tally.rows for tally in batch.receipt.files[0].dropped} == {
        "is cancelled": 1, "is not done yet (draft, waiting, ready)": 2,
    }  # fmt: skip
    with pytest.raises(FileRefused, match="holds no move that is done"):
        imported(written(tmp_path, line + "draft", line + "Prepared"))


def test_moments_are_utc_and_a_sale_late_in_the_evening_is_of_the_shops_day(tmp_path: Path) -> None:
    path = written(tmp_path, "2024-05-02 22:30:00,A,3,Units,WH/Stock,Partners/Customers,done",
                   "2024-12-31 23:30:00,A,1,Units,WH/Stock,Partners/Customers,done")  # fmt: skip
    batch = read([path], today=dt.date(2025, 6, 1), timezone="Europe/Berlin")
    assert [str(moment) for (moment,) in told(batch, "occurred_at")] == ["2024-05-03 00:30:00", "2025-01-01 00:30:00"]
    without = read([path], today=dt.date(2025, 6, 1))
    assert "SHELFWISE_TIMEZONE" in str(without.receipt)
    assert str(without.frames["movements"]["occurred_at"][0]) == "2024-05-02 22:30:00"


def test_todays_moves_wait_by_the_shops_clock(tmp_path: Path) -> None:
    good = [f"2024-11-{n:02} 09:00:00,A,1,Units,WH/Stock,Partners/Customers,done" for n in range(1, 15)]
    late = "2024-11-17 23:30:00,A,5,Units,WH/Stock,Partners/Customers,done"
    assert imported(written(tmp_path, *good, late)).receipt.rows_used == 14
    assert imported(written(tmp_path, *good, late), timezone=None).receipt.rows_used == 15


@pytest.mark.parametrize(
    ("cell", "product", "name"),
    [
        ("[TEA-1] Green tea", "TEA-1", "Green tea"),
        ("Green tea", "Green tea", "Green tea"),
        ("[0012] Mug [blue]", "0012", "Mug [blue]"),
        ("[A B/C] Mug (Red, L)", "A B/C", "Mug (Red, L)"),
        ("Mug [blue]", "Mug [blue]", "Mug [blue]"),
    ],
)
def test_a_product_is_the_code_in_brackets_or_its_name(tmp_path: Path, cell: str, product: str, name: str) -> None:
    path = written(tmp_path, f'2024-05-02 09:00:00,"{cell}",3,Units,WH/Stock,Partners/Customers,done')
    batch = imported(path)
    assert told(batch, "product") == [(product,)]
    assert batch.frames["products"].select("product", "name").rows() == [(product, name)]


def test_units_of_a_product_become_one_unit(tmp_path: Path) -> None:
    line = "2024-05-02 {}:00:00,{},{},{},WH/Stock,Partners/Customers,done"
    path = written(
        tmp_path, line.format("08", "A", 2, "Dozens"), line.format("09", "A", 3, "Units"),
        line.format("10", "B", 500, "g"), line.format("11", "B", 1.5, "kg"), line.format("12", "C", 4, "Crate"),
        line.format("13", "D", 2, "Pack of 6"), line.format("14", "E", 1, "Dutzend"),
    )  # fmt: skip
    batch = imported(path)
    assert told(batch, "product", "quantity") == [
        ("A", 24.0), ("A", 3.0), ("B", 0.5), ("B", 1.5), ("C", 4.0), ("D", 12.0), ("E", 12.0),
    ]  # fmt: skip
    assert "Dozens (1 rows)" in str(batch.receipt)


def test_an_unknown_unit_beside_others_is_rejected_unless_the_file_says_how_much_it_is(tmp_path: Path) -> None:
    line = "2024-05-{:02} 09:00:00,A,{},{},WH/Stock,Partners/Customers,done"
    rows = [line.format(n, 1, "Units") for n in range(1, 13)]
    batch = imported(written(tmp_path, *rows, line.format(20, 2, "Crate")))
    assert batch.rejects.select("line", "value").rows() == [(14, "Crate")]
    assert "Real Quantity" in batch.rejects["reason"][0]
    header = MOVES + ",product_uom_qty,product_qty"
    rows = [*(f"{row},1,1" for row in rows), line.format(20, 2, "Crate") + ",2,16"]
    assert told(imported(written(tmp_path, *rows, header=header)), "quantity")[-1] == (16.0,)


def test_a_workbook_with_typed_cells_says_what_text_says(shop: MadeUp, tmp_path: Path) -> None:
    moves = odoo.in_words_of(odoo.stock_moves(shop), "en")
    text = imported(exported(moves, tmp_path))
    typed = moves.with_columns(pl.col("Date Scheduled").str.to_datetime("%Y-%m-%d %H:%M:%S"))
    typed.write_excel(tmp_path / "stock.move.xlsx")
    orders = odoo.sale_orders(shop)
    orders.with_columns(pl.col("Order Date").str.to_datetime("%Y-%m-%d %H:%M:%S")).write_excel(tmp_path / "orders.xlsx")
    assert imported(tmp_path / "stock.move.xlsx").frames["movements"].equals(text.frames["movements"])
    lines = imported(exported(orders, tmp_path, "orders.csv")).frames["movements"]
    assert imported(tmp_path / "orders.xlsx").frames["movements"].equals(lines)


def test_overlapping_exports_book_each_move_once(shop: MadeUp, tmp_path: Path) -> None:
    moves = odoo.stock_moves(shop)
    half = moves.height // 2
    early = exported(moves.head(half + 300), tmp_path, "early.csv")
    late = exported(moves.slice(half - 300), tmp_path, "late.csv")
    whole = imported(exported(moves, tmp_path))
    ids = [set(imported(path).frames["movements"]["line_id"]) for path in (early, late)]
    assert ids[0] | ids[1] == set(whole.frames["movements"]["line_id"])
    both = imported(early, late)
    assert both.frames["movements"].sort("line_id").equals(whole.frames["movements"].sort("line_id"))


def test_older_exports_have_other_names_for_what_was_done(tmp_path: Path) -> None:
    header = "Date,Product,Quantity Done,Unit of Measure,Source Location,Destination Location,Status"
    path = written(tmp_path, "2024-05-02 09:00:00,[A] Mug,3,Units,WH/Stock,Partners/Customers,Done", header=header)
    assert told(imported(path), "quantity") == [(3.0,)]
    header = "Date,Product,Demand,Source Location,Destination Location,Status"
    path = written(tmp_path, "2024-05-02 09:00:00,[A] Mug,4,WH/Stock,Partners/Customers,Done", header=header)
    assert told(imported(path), "quantity") == [(4.0,)]


def test_order_fields_are_filled_down_and_quotations_left_out(shop: MadeUp, tmp_path: Path) -> None:
    orders = odoo.sale_orders(shop)
    batch = imported(exported(orders, tmp_path))
    confirmed = orders.with_columns(pl.col("Status").forward_fill()).filter(pl.col("Status") == "Sales Order")
    sales = batch.frames["movements"]
    assert sales["quantity"].sum() == confirmed["Order Lines/Quantity"].sum()
    assert set(sales["source"]) == {"odoo orders"}
    assert "quotation nobody has confirmed" in str(batch.receipt)
    assert batch.receipt.files[0].personal == ("Customer",)
    per_day = sales.group_by(pl.col("occurred_at").dt.date().alias("day")).agg(pl.col("quantity").sum())
    assert per_day.join(shop.sold().select("day").unique(), on="day", how="anti").is_empty()


def test_what_was_ordered_is_demand_whatever_was_delivered(tmp_path: Path) -> None:
    header = (
        "order_id,order_id/date_order,product_id,product_uom_qty,qty_delivered,price_unit,discount,state,product_uom"
    )
    path = written(
        tmp_path, "S1,2024-05-02 09:00:00,[A] Mug,5,2,10,20,sale,Units",
        "S1,2024-05-02 09:00:00,[A] Mug,1,0,10,0,sale,Dozens",
        "S2,2024-05-03 09:00:00,[A] Mug,9,0,10,0,cancel,Units",
        "S3,2024-05-04 09:00:00,[A] Mug,-1,-1,10,0,done,Units",
        "S3,2024-05-04 09:00:00,,0,0,0,0,done,", header=header,
    )  # fmt: skip
    batch = imported(path)
    assert told(batch, "line_id", "kind", "quantity") == [
        ("S1/A", "sale", 5.0), ("S1/A#2", "sale", 12.0), ("S3/A", "return", 1.0),
    ]  # fmt: skip
    assert told(batch, "unit_price")[:2] == [(8.0,), (10 / 12,)]
    assert batch.receipt.files[0].facts["units ordered and not delivered"] == 4
    assert "heading or a note" in str(batch.receipt)


def test_moves_and_order_lines_together_count_demand_once_and_keep_the_prices(shop: MadeUp, tmp_path: Path) -> None:
    moves = exported(odoo.in_words_of(odoo.stock_moves(shop), "en"), tmp_path, "moves.csv")
    orders = exported(odoo.sale_orders(shop), tmp_path, "orders.csv")
    batch = imported(moves, orders)
    assert sold(batch).equals(shop.sold())
    prices = batch.frames["products"].select("product", "price").sort("product")
    assert prices.equals(shop.products.select("product", "price").sort("product"))
    assert "would count twice" in str(batch.receipt)


def test_stock_is_the_sum_of_a_warehouses_shelves_and_lots(tmp_path: Path) -> None:
    header = "Product,Location,Lot/Serial Number,Quantity,Reserved Quantity,Unit of Measure"
    path = written(
        tmp_path, "[A] Mug,WH/Stock/A,L1,5,0,Units", "[A] Mug,WH/Stock/B,L2,1,0,Dozens", "[A] Mug,WH2/Stock,,4,0,Units",
        "[B] Cup,WH/Stock,,-3,0,Units", "[A] Mug,Partners/Customers,,50,0,Units", header=header,
    )  # fmt: skip
    batch = imported(path)
    levels = batch.frames["stock_levels"].select("product", "warehouse", "on_hand").rows()
    assert levels == [("A", "WH", 17.0), ("A", "WH2", 4.0), ("B", "WH", 0.0)]
    assert "below zero" in str(batch.receipt)


def test_a_pricelist_brings_lead_time_minimum_cost_and_currency(tmp_path: Path) -> None:
    header = "Vendor,Product Template,Quantity,Price,Currency,Start Date,End Date,Lead Time"
    path = written(
        tmp_path, "Northbean,[A] Mug,100,1.5,USD,,,12", "Northbean,[A] Mug,10,2,USD,,,12",
        "Second,[A] Mug,1,9,EUR,,,3", "Northbean,[B] Cup,0,4,USD,2020-01-01,2021-01-01,12",
        "Northbean,[B] Cup,5,5,USD,2024-01-01,,30", "Northbean,[C] Jar,1,6,USD,2030-01-01,,12",
        "Northbean,[D] Pot,1,7,USD,,,12", header=header,
    )  # fmt: skip
    batch = imported(path)
    products = batch.frames["products"].select("product", "supplier", "minimum_order_quantity", "unit_cost").rows()
    assert sorted(products) == [
        ("A", "Northbean", 10.0, 2.0), ("B", "Northbean", 5.0, 5.0), ("D", "Northbean", 1.0, 7.0),
    ]  # fmt: skip
    assert batch.frames["suppliers"].select("supplier", "lead_time_days", "currency").rows() == [
        ("Northbean", 12.0, "USD")
    ]
    text = str(batch.receipt)
    for part in ("no longer valid", "not valid yet", "second vendor", "larger quantity", "from 30 to 30 days"):
        assert part in text


def test_reordering_rules_give_packs_and_stock_where_no_list_of_stock_is_given(shop: MadeUp, tmp_path: Path) -> None:
    rules = exported(odoo.reordering_rules(shop), tmp_path, "rules.csv")
    batch = imported(rules)
    assert batch.frames["stock_levels"].select("product", "warehouse", "on_hand").equals(shop.on_hand())
    packs = batch.frames["products"].select("product", "pack_size").sort("product")
    assert packs.equals(shop.products.select("product", "pack_size").sort("product"))
    assert "today's rule in Odoo; they are not used" in str(batch.receipt)
    counted = exported(odoo.quants(shop).with_columns(pl.lit(1.0).alias("Quantity")), tmp_path, "quants.csv")
    both = imported(rules, counted)
    assert set(both.frames["stock_levels"]["on_hand"]) == {2.0}, "the list of stock wins"


def test_no_customer_enters_a_frame_a_reject_or_the_receipt(shop: MadeUp, tmp_path: Path) -> None:
    tables = {"moves.csv": odoo.in_words_of(odoo.stock_moves(shop), "de"), "orders.csv": odoo.sale_orders(shop)}
    for name, table in tables.items():
        assert any(surname in table.write_csv() for surname in SURNAMES)
        batch = imported(exported(table, tmp_path, name))
        frames = [frame.write_csv() for frame in (*batch.frames.values(), batch.rejects)]
        text = "\n".join([*frames, str(batch.receipt), batch.receipt.to_json()])
        assert not [surname for surname in SURNAMES if surname in text]


def test_tables_that_only_look_alike_are_left_to_the_other_formats(tmp_path: Path) -> None:
    header = "order_id,order_date,product,quantity,price,status"
    sales = imported(written(tmp_path, "1,2024-05-02,A,3,10,paid", header=header))
    assert sales.receipt.files[0].profile == "canonical"
    header = "product,supplier,lead time,price"
    assert imported(written(tmp_path, "A,Northbean,12,4.5", header=header)).receipt.files[0].profile == "canonical"
