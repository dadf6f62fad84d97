"""Invoice lines become sales, returns and adjustments by stated rules, and every line has one stable id."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from shelfwise.domain.errors import AmbiguousDates
from shelfwise.ingest import Batch, read

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


def written(folder: Path, *lines: str, name: str = "invoices.csv", header: str = HEADER) -> Path:
    path = folder / name
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def kinds(batch: Batch) -> dict[str, tuple[str, float]]:
    rows = batch.frames["movements"].select("line_id", "kind", "quantity").iter_rows()
    return {line_id: (kind, quantity) for line_id, kind, quantity in rows}


def test_lines_become_sales_with_product_warehouse_moment_and_price(tmp_path: Path) -> None:
    batch = read([written(tmp_path, "1001,A1,RED MUG,6,2010-12-01 08:26:00,2.55,17850,United Kingdom")])
    row = batch.frames["movements"].row(0, named=True)
    assert (row["source"], row["line_id"], row["kind"]) == ("invoices", "1001/A1/6@2.55", "sale")
    assert (row["product"], row["warehouse"], row["quantity"], row["unit_price"]) == ("A1", "main", 6.0, 2.55)
    assert row["occurred_at"].isoformat() == "2010-12-01T08:26:00"
    assert batch.frames["products"].row(0, named=True)["name"] == "RED MUG"
    assert batch.receipt.rows_used == batch.receipt.rows_read == 1


def test_headers_of_the_second_publication_are_known_too(tmp_path: Path) -> None:
    header = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country"
    path = written(tmp_path, "489434,85048,GLASS BALL,12,2009-12-01 07:45:00,6.95,13085.0,UK", header=header)
    batch = read([path])
    assert batch.receipt.files[0].profile == "invoices"
    assert batch.receipt.files[0].personal == ("Customer ID",)


def test_a_cancellation_is_a_return(tmp_path: Path) -> None:
    batch = read([written(tmp_path, "1,A1,MUG,6,2010-12-01 08:00,2.5,1,UK", "C2,A1,MUG,-4,2010-12-01 09:00,2.5,1,UK")])
    assert kinds(batch) == {"1/A1/6@2.5": ("sale", 6.0), "C2/A1/-4@2.5": ("return", 4.0)}


def test_a_sale_cancelled_minutes_later_counts_as_no_demand_and_moves_no_stock(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "541431,23166,JAR,74215,2011-01-18 10:01,1.04,12346,UK",
        "C541433,23166,JAR,-74215,2011-01-18 10:17,1.04,12346,UK",
        "541500,23166,JAR,3,2011-01-18 11:00,1.04,99,UK",
    )
    batch = read([path])
    assert [kind for kind, _ in kinds(batch).values()] == ["adjustment", "adjustment", "sale"]
    assert sum(quantity for kind, quantity in kinds(batch).values() if kind == "adjustment") == 0
    assert batch.receipt.files[0].booked == {"sale": 1, "cancelled sale": 2}


def test_a_cancellation_undoes_only_one_earlier_sale_of_the_same_price_within_three_days(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "1,A,X,5,2011-01-01 09:00,2,1,UK", "2,A,X,5,2011-01-03 09:00,2,1,UK", "C3,A,X,-5,2011-01-04 09:00,2,1,UK",
        "4,B,X,5,2011-01-01 09:00,2,1,UK", "C5,B,X,-5,2011-01-04 09:01,2,1,UK",
        "6,D1,X,5,2011-01-01 09:00,2,1,UK", "C7,D1,X,-5,2011-01-01 10:00,3,1,UK",
        "C8,E,X,-5,2011-01-01 10:00,3,1,UK", "9,E,X,5,2011-01-01 11:00,3,1,UK",
    )  # fmt: skip
    found = {line.split("/")[0]: kind for line, (kind, _) in kinds(read([path])).items()}
    assert found["1"] == "sale"
    assert found["2"] == found["C3"] == "adjustment", "the latest open sale is the one undone"
    assert found["C7"] == "return", "another price"
    assert (found["C8"], found["9"]) == ("return", "sale"), "a cancellation cannot undo a later sale"
    assert "4" not in found, "B alone is a bad debt code, not a product"


def test_two_cancellations_never_undo_the_same_sale(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "1,A,X,5,2011-01-01 09:00,2,1,UK",
        "C2,A,X,-5,2011-01-01 10:00,2,1,UK",
        "C3,A,X,-5,2011-01-01 11:00,2,1,UK",
    )
    found = {line.split("/")[0]: kind for line, (kind, _) in kinds(read([path])).items()}
    assert found == {"1": "adjustment", "C2": "adjustment", "C3": "return"}


@pytest.mark.parametrize(
    "code",
    [
        "POST",
        "DOT",
        "M",
        "m",
        "D",
        "S",
        "C2",
        "BANK CHARGES",
        "AMAZONFEE",
        "CRUK",
        "gift_0001_20",
        "TEST001",
        "ADJUST2",
    ],
)
def test_codes_that_are_no_goods_are_dropped_and_listed(tmp_path: Path, code: str) -> None:
    path = written(tmp_path, f"1,{code},FEE,1,2011-01-01 09:00,9,1,UK", "1,A1,MUG,1,2011-01-01 09:00,9,1,UK")
    batch = read([path])
    assert batch.frames["movements"]["product"].to_list() == ["A1"]
    assert code.upper() in str(batch.receipt)
    assert batch.receipt.files[0].dropped[0].lines == (2,)


@pytest.mark.parametrize("code", ["DCGSSGIRL", "PADS", "85123A", "15056BL", "SP1002", "47503J "])
def test_codes_of_goods_are_kept(tmp_path: Path, code: str) -> None:
    batch = read([written(tmp_path, f"1,{code},THING,1,2011-01-01 09:00,9,1,UK")])
    assert batch.frames["movements"]["product"].to_list() == [code.strip()]


def test_write_offs_finds_and_free_goods_move_stock_and_are_no_sales(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "1,A,MUG,6,2011-01-01 09:00,2.5,1,UK",
        "2,A,damaged,-3,2011-01-01 09:00,0,,UK",
        "3,A,found,4,2011-01-01 09:00,0,,UK",
        "4,A,MUG,2,2011-01-01 09:00,0,1,UK",
        "5,A,?,-1,2011-01-01 09:00,0,,UK",
        "6,A,,-2,2011-01-01 09:00,0,,UK",
    )
    rows = {line.split("/")[0]: row for line, row in kinds(read([path])).items()}
    assert rows == {
        "1": ("sale", 6.0), "2": ("adjustment", -3.0), "3": ("adjustment", 4.0), "4": ("adjustment", -2.0),
        "5": ("adjustment", -1.0), "6": ("adjustment", -2.0),
    }  # fmt: skip


def test_codes_that_differ_by_case_are_one_product_named_by_its_commonest_description(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "1,85123a,WHITE HEART,1,2011-01-01 09:00,2,1,UK",
        "2,85123A,WHITE HEART,1,2011-01-01 09:00,4,1,UK",
        "3,85123A,CREAM HEART,1,2011-01-01 09:00,6,1,UK",
    )
    products = read([path]).frames["products"]
    assert products.select("product", "name", "price").rows() == [("85123A", "WHITE HEART", 4.0)]


def test_equal_lines_of_one_invoice_are_two_sales(tmp_path: Path) -> None:
    line = "1,A,MUG,6,2011-01-01 09:00,2.5,1,UK"
    batch = read([written(tmp_path, line, line)])
    assert list(kinds(batch)) == ["1/A/6@2.5", "1/A/6@2.5#2"]


def test_overlapping_files_count_once_in_whatever_order_and_grouping(tmp_path: Path) -> None:
    a, b, c = (f"{n},A,MUG,{n},2011-01-0{n} 09:00,2.5,1,UK" for n in (1, 2, 3))
    first = written(tmp_path, a, b, b, name="first.csv")
    second = written(tmp_path, b, b, c, name="second.csv")
    whole = written(tmp_path, a, b, b, c, name="whole.csv")
    expected = set(kinds(read([whole])))
    assert len(expected) == 4
    together = read([first, second])
    assert set(kinds(together)) == set(kinds(read([second, first]))) == expected
    assert set(kinds(read([first]))) | set(kinds(read([second]))) == expected
    assert together.receipt.files[1].dropped[0].rows == 2
    assert "earlier file" in together.receipt.files[1].dropped[0].reason


def test_bad_lines_are_rejected_with_line_column_value_and_reason(tmp_path: Path) -> None:
    good = [f"{n},A,MUG,1,2011-01-15 09:00,2.5,1,UK" for n in range(40)]
    bad = ["90,A,MUG,many,2011-01-15 09:00,2.5,1,UK", "91,,MUG,1,2011-01-15 09:00,2.5,1,UK", "92,A,MUG,1,soon,2.5,1,UK"]
    batch = read([written(tmp_path, *good, *bad)])
    assert batch.rejects.rows() == [
        ("invoices.csv", 42, "Quantity", "many", "is not a number"),
        ("invoices.csv", 43, "StockCode", None, "is empty; every row needs a code"),
        ("invoices.csv", 44, "InvoiceDate", "soon", "is not a date"),
    ]
    file = batch.receipt.files[0]
    assert file.rows_read == 43 == file.rows_used + 3
    assert [str(tally) for tally in file.rejected][0] == "1 row: 'Quantity' is not a number (line 42)"


def test_today_is_left_out_and_the_future_rejected(tmp_path: Path) -> None:
    lines = [f"{n},A,MUG,1,2011-01-{n:02} 09:00,2.5,1,UK" for n in range(10, 31)]
    batch = read([written(tmp_path, *lines)], today=date(2011, 1, 29))
    assert batch.receipt.last_day == date(2011, 1, 28)
    assert batch.rejects["reason"].to_list() == ["lies in the future (today is 2011-01-29)"]
    assert "today" in batch.receipt.files[0].dropped[0].reason


def test_ambiguous_invoice_dates_are_asked_about_and_can_be_told(tmp_path: Path) -> None:
    path = written(tmp_path, "1,A,MUG,1,03/04/2011 09:00,2.5,1,UK", "2,A,MUG,1,02/01/2011 09:00,2.5,1,UK")
    with pytest.raises(AmbiguousDates) as caught:
        read([path])
    assert caught.value.place.line == 2
    assert "3 Apr 2011" in str(caught.value)
    assert "4 Mar 2011" in str(caught.value)
    assert read([path], date_order="mdy").receipt.last_day == date(2011, 3, 4)


def test_parquet_and_csv_give_the_same_movements(tmp_path: Path) -> None:
    path = written(
        tmp_path, "1,A,MUG,6,2010-12-13 08:26:00,2.55,17850,UK", "C2,A,MUG,-1,2010-12-13 09:26:00,2.55,17850,UK"
    )
    stored = pl.read_csv(path, try_parse_dates=True, schema_overrides={"InvoiceNo": pl.String})
    stored.write_parquet(tmp_path / "invoices.parquet")
    assert read([tmp_path / "invoices.parquet"]).frames["movements"].equals(read([path]).frames["movements"])
