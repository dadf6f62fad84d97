"""Shelfwise's own tables are known in six languages and become the frames of the same meaning."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest

from shelfwise.domain.errors import FileRefused
from shelfwise.ingest import Batch, read

at = datetime.fromisoformat  # shop time has no zone

TODAY = date(2024, 6, 1)


def written(folder: Path, name: str, *lines: str, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def one(folder: Path, *lines: str) -> Batch:
    return read([written(folder, "table.csv", *lines)], today=TODAY)


@pytest.mark.parametrize(
    "header",
    [
        "date,sku,units,location", "Datum,Artikelnummer,Menge,Lager", "date,référence,quantité,magasin",
        "fecha,código,cantidad,tienda", "data,codice,quantità,negozio", "datum,artikelcode,aantal,magazijn",
    ],
)  # fmt: skip
def test_sales_headers_are_known_in_six_languages(tmp_path: Path, header: str) -> None:
    movements = one(tmp_path, header, "2024-05-01,A,3,North").frames["movements"]
    assert movements.row(0) == (
        "sales", "A|North|2024-05-01", "sale", at("2024-05-01"), "A", "North", 3.0, None,
    )  # fmt: skip


def test_a_german_spreadsheet_reads_with_decimal_comma_and_cp1252(tmp_path: Path) -> None:
    path = written(
        tmp_path, "a.csv", "Verkäufe Mai;;;", "Datum;Artikel;Stück;Preis", "31.05.2024;Käse;1,5;12,90",
        "30.05.2024;0012;1.200;3,00", encoding="cp1252",
    )  # fmt: skip
    batch = read([path])
    assert batch.frames["movements"].select("product", "quantity", "unit_price").rows() == [
        ("Käse", 1.5, 12.9), ("0012", 1200.0, 3.0),
    ]  # fmt: skip
    assert batch.receipt.files[0].layout == "CSV with ;, cp1252, header on line 2"


def test_a_daily_table_imported_again_has_the_same_ids_even_if_a_quantity_was_corrected(tmp_path: Path) -> None:
    ids = [
        one(tmp_path, "date,sku,units", f"2024-05-01,A,{units}", "2024-05-02,A,3")
        .frames["movements"]["line_id"]
        .to_list()
        for units in (5, 6)
    ]
    assert ids[0] == ids[1] == ["A|main|2024-05-01", "A|main|2024-05-02"]


def test_two_files_that_contradict_each_other_keep_the_first_and_reject_the_second(tmp_path: Path) -> None:
    lines = [f"2024-05-{n:02},A,5" for n in range(1, 29)]
    first = written(tmp_path, "a.csv", "date,sku,units", *lines)
    second = written(tmp_path, "b.csv", "date,sku,units", "2024-05-01,A,6", *lines[1:])
    batch = read([first, second])
    assert batch.frames["movements"].height == 28
    assert batch.rejects.select("file", "line", "value").rows() == [("b.csv", 2, "6")]
    assert batch.receipt.files[1].dropped[0].rows == 27


def test_single_sales_with_a_time_of_day_are_known_by_content_and_repeats_count(tmp_path: Path) -> None:
    lines = ["2024-05-01 10:00,A,1", "2024-05-01 10:00,A,1", "2024-05-01 11:00,A,2"]
    once = one(tmp_path, "date,sku,units", *lines).frames["movements"]
    again = one(tmp_path, "date,sku,units", *reversed(lines)).frames["movements"]
    assert once.height == 3
    assert set(once["line_id"]) == set(again["line_id"])


def test_own_ids_of_lines_are_kept(tmp_path: Path) -> None:
    batch = one(tmp_path, "line id,date,sku,units", "x1,2024-05-01,A,1", "x2,2024-05-01,A,1", "x1,2024-05-01,A,1")
    assert batch.frames["movements"]["line_id"].to_list() == ["x1", "x2"]
    assert batch.receipt.files[0].dropped[0].rows == 1


def test_negative_units_are_returns_and_zero_days_make_no_movement(tmp_path: Path) -> None:
    batch = one(tmp_path, "date,sku,units,revenue", "2024-05-01,A,4,10", "2024-05-02,A,0,0", "2024-05-03,A,-1,-2.5")
    rows = batch.frames["movements"].select("kind", "quantity", "unit_price").rows()
    assert rows == [("sale", 4.0, 2.5), ("return", 1.0, 2.5)]
    assert "0 units" in batch.receipt.files[0].dropped[0].reason


def test_the_latest_count_is_stock_on_hand_at_the_close_of_its_day(tmp_path: Path) -> None:
    batch = one(tmp_path, "sku,on_hand,as_of", "A,5,2024-05-01", "A,3,2024-05-03", "B,-1,2024-05-03", "B,7,2024-06-01")
    assert batch.frames["stock_levels"].rows() == [
        ("A", "main", 3.0, at("2024-05-03T23:59:59")), ("B", "main", 7.0, at("2024-06-01")),
    ]  # fmt: skip
    assert batch.receipt.files[0].dropped[0].rows == 2


def test_stock_without_a_date_is_of_today_or_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "stock.csv", "sku,on_hand", "A,5")
    assert read([path], today=TODAY).frames["stock_levels"]["as_of"].to_list() == [at("2024-06-01")]
    with pytest.raises(FileRefused, match="add a column as_of"):
        read([path])


def test_products_carry_their_attributes(tmp_path: Path) -> None:
    batch = one(
        tmp_path,
        "sku,name,category,supplier,cost,price,pack_size,moq,launch_date,end_date,replaces",
        "0012,Green tea,Tea,Northbean,2.10,4.50,12,24,2024-01-15,,0011",
        "0013,=cmd,Tea,Northbean,,4.50,0,,,,",
        "0012,Green tea again,Tea,Northbean,2.10,4.50,12,24,2024-01-15,,0011",
    )
    first, second = batch.frames["products"].rows(named=True)
    assert (first["product"], first["unit_cost"], first["pack_size"], first["minimum_order_quantity"]) == (
        "0012",
        2.1,
        12,
        24,
    )
    assert (first["launched_on"], first["replaces"]) == (date(2024, 1, 15), "0011")
    assert (second["name"], second["pack_size"], second["unit_cost"]) == ("=cmd", None, None)
    assert batch.receipt.files[0].dropped[0].reason.startswith("repeats a product")


def test_suppliers_have_lead_times_order_days_and_closures(tmp_path: Path) -> None:
    batch = one(
        tmp_path,
        "supplier,lead_time_days,lead_time_sd,order_weekdays,min_order_value,currency,closed_from,closed_to",
        'Northbean,12,2,"Monday, Do",250,EUR,2024-08-01,2024-08-21',
        "Tinsmith,5,,1;4,,,,",
    )
    first, second = batch.frames["suppliers"].rows(named=True)
    assert (first["lead_time_days"], first["lead_time_sd_days"], first["order_weekdays"]) == (12, 2, "mon,thu")
    assert second["order_weekdays"] == "mon,thu"
    assert batch.frames["calendar_events"].rows() == [
        ("closure", "Northbean closed", date(2024, 8, 1), date(2024, 8, 21), "supplier", "Northbean")
    ]


def test_open_orders_take_their_supplier_from_the_products_given_along(tmp_path: Path) -> None:
    orders = written(
        tmp_path, "orders.csv", "po,sku,location,qty,expected", "P1,A,North,24,2024-06-10", "P1,A,North,12,2024-06-10"
    )
    products = written(tmp_path, "products.csv", "sku,name,supplier", "A,Tea,Northbean")
    lines = read([orders, products]).frames["purchase_order_lines"]
    assert lines.select("purchase_order", "supplier", "product", "warehouse", "quantity", "status").rows() == [
        ("P1", "Northbean", "A", "North", 36.0, "sent")
    ]
    assert lines["expected_on"].to_list() == [date(2024, 6, 10)]
    with pytest.raises(FileRefused, match="has no supplier"):
        read([orders])


def test_events_apply_to_the_shop_or_to_what_they_name(tmp_path: Path) -> None:
    batch = one(
        tmp_path, "name,from,to,scope,expected_lift", "Spring,2024-04-01,2024-04-07,,1.5",
        "Tea week,2024-05-01,2024-05-07,category:Tea,2",
    )  # fmt: skip
    assert batch.frames["calendar_events"].select("kind", "name", "scope_kind", "scope").rows() == [
        ("promotion", "Spring", "shop", None), ("promotion", "Tea week", "category", "Tea"),
    ]  # fmt: skip
    assert batch.receipt.files[0].not_imported == ("expected_lift",)


def test_files_given_together_are_checked_against_each_other(tmp_path: Path) -> None:
    sales = written(tmp_path, "sales.csv", "date,sku,units", "2024-05-01,A1,3", "2024-05-01,b2,3")
    products = written(tmp_path, "products.csv", "sku,name", "A1,Tea", "B2,Coffee")
    notes = " ".join(read([sales, products]).receipt.notes)
    assert "1 product code(s) of movements not in the products table: b2" in notes
    assert "by case only" in notes


def test_a_product_recorded_later_than_the_table_began_was_launched_then(tmp_path: Path) -> None:
    days = [f"2024-05-{n:02}" for n in range(1, 31)]
    lines = [f"{day},A,{n % 3}" for n, day in enumerate(days)] + [f"{day},B,{n % 2}" for n, day in enumerate(days[10:])]
    products = one(tmp_path, "date,sku,units", *lines).frames["products"]
    assert products.select("product", "launched_on").rows() == [("B", date(2024, 5, 11))]


def test_stock_below_zero_is_none_on_hand_and_the_receipt_says_so(tmp_path: Path) -> None:
    batch = one(tmp_path, "sku,on_hand,as_of", "A,-5,2024-05-31", "B,4,2024-05-31")
    assert dict(batch.frames["stock_levels"].select("product", "on_hand").iter_rows()) == {"A": 0.0, "B": 4.0}
    assert any("below zero" in note and "lines 2)" in note for note in batch.receipt.files[0].notes)


@pytest.mark.parametrize(
    ("kind", "scope"),
    [
        ("Aktion", "Kategorie:Tee"), ("promotion", "catégorie: Tee"), ("Promoción", "categoría:Tee"),
        ("actie", "categorie:Tee"),
    ],
)  # fmt: skip
def test_kinds_and_scopes_of_events_are_known_in_other_languages(tmp_path: Path, kind: str, scope: str) -> None:
    batch = one(tmp_path, "Name,Von,Bis,Art,Geltungsbereich", f"Teewoche,2024-06-13,2024-06-19,{kind},{scope}")
    assert batch.frames["calendar_events"].select("kind", "scope_kind", "scope").row(0) == (
        "promotion",
        "category",
        "Tee",
    )


def test_german_end_dates_and_days_of_a_count_are_read(tmp_path: Path) -> None:
    ended = one(tmp_path, "Artikelnummer,Bezeichnung,Enddatum", "A,Tee,2024-04-30")
    assert ended.frames["products"]["discontinued_on"].to_list() == [date(2024, 4, 30)]
    counted = one(tmp_path, "Artikelnummer,Bestand,Stand", "A,3,2024-05-30")
    assert counted.frames["stock_levels"]["as_of"].to_list() == [at("2024-05-30T23:59:59")]
