"""A file is used as a whole or refused as a whole, and personal data goes nowhere."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from shelfwise.domain.errors import DataError, FileRefused, ParameterError
from shelfwise.domain.frames import ALL_FRAMES
from shelfwise.ingest import Batch, read, tables

MAIL = "jane.doe@example.com"
DAYS = [f"2024-05-{n:02}" for n in range(1, 31)]


def written(folder: Path, content: str | bytes, name: str = "sales.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def everything(batch: Batch) -> str:
    frames = [frame.write_csv() for frame in (*batch.frames.values(), batch.rejects)]
    return "\n".join([*frames, str(batch.receipt), batch.receipt.to_json()])


def test_every_frame_of_a_batch_is_a_declared_frame(tmp_path: Path) -> None:
    batch = read([written(tmp_path, "date,sku,units\n2024-05-01,A,1\n")])
    for name, frame in batch.frames.items():
        assert frame.equals(ALL_FRAMES[name].check(frame))


def test_the_receipt_adds_up_and_names_range_products_and_next_step(tmp_path: Path) -> None:
    lines = [f"{day},A,2" for day in DAYS] + ["2024-05-01,B,x", "2024-05-02,B,0"]
    receipt = read([written(tmp_path, "date,sku,units\n" + "\n".join(lines) + "\n")]).receipt
    assert (receipt.rows_read, receipt.rows_used, receipt.rows_rejected) == (32, 30, 1)
    assert (receipt.first_day, receipt.last_day, receipt.products) == (date(2024, 5, 1), date(2024, 5, 30), 2)
    text = str(receipt)
    for part in ("32 read = 30 used + 1 dropped + 1 rejected", "line 32", "line 33", "sku = ", "next ", "2024-05-30"):
        assert part.replace("sku = ", "product = 'sku'") in text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("date,sku,units\n", "nothing below it"),
        ("date,sku,units\n,,\n\n", "no line below it"),
        (bytes(range(256)) * 50, "sales.csv"),
        ("PAR1 but not really", "cannot be read as such"),
        ("date,sku,unitz\n2024-05-01,A,1\n", r"lacks 'quantity' \(nearest header: 'unitz'\)"),
        ("colour,weight\nred,3\n", "recognised formats: .*invoices"),
        ("date,sku,units\n" + "2024-05-01,A,x\n" * 5 + "2024-05-01,A,1\n" * 20,
         "5 of 25 lines are bad; .*'units' 'x' is not a number"),
        ("date,sku,units\n" + "2024-05-01,A\n" * 5 + "2024-05-01,A,1\n" * 20, "has 2 fields where the header has 3"),
        ("date,sku,units\nsoon,A,1\nlater,A,1\n", "'soon' is no date we can read"),
        ("date;sku;units\n2024-05-01;A;1,5\n2024-05-02;A;2.5\n", r"line 2.*'1,5' has a decimal comma.*line 3"),
        ("date,sku,units\n25/05/2024,A,1\n05/26/2024,A,1\n", "line 3.*is month first"),
        ("date,sku,units\n2024-05-01,1.23E+11,1\n", "spreadsheet turned into a number"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_what_it_should_be_is_refused_with_rule_and_way_out(
    tmp_path: Path, content: str | bytes, says: str
) -> None:
    with pytest.raises(FileRefused, match=f"(?s){says}") as caught:
        read([written(tmp_path, content)])
    assert caught.value.place.file == "sales.csv"
    assert caught.value.way_out


def test_one_refused_file_refuses_the_import(tmp_path: Path) -> None:
    good = written(tmp_path, "date,sku,units\n2024-05-01,A,1\n", "good.csv")
    with pytest.raises(FileRefused):
        read([good, written(tmp_path, "date,sku,units\n", "bad.csv")])


def test_wrong_parameters_are_named() -> None:
    with pytest.raises(ParameterError, match="no file"):
        read([])
    with pytest.raises(ParameterError, match="'ydm'"):
        read([Path("a.csv")], date_order="ydm")  # type: ignore[arg-type]


def test_personal_columns_never_reach_a_frame_a_reject_or_the_receipt(tmp_path: Path) -> None:
    header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,Customer Name,E-Mail,Phone,Country"
    personal = f"Jane Doe,{MAIL},0555 123456,UK"
    lines = [f"{n},A{n},MUG,1,2011-01-15 09:00,2.5,{personal}" for n in range(60)]
    lines += [
        f"90,A,MUG,{MAIL},2011-01-15 09:00,2.5,{personal}",  # shifted into the quantity
        f"91,{MAIL},MUG,1,2011-01-15 09:00,2.5,{personal}",  # shifted into the code
        f"92,A,for {MAIL},1,2011-01-15 09:00,2.5,{personal}",  # in a free text
        f"93,A,MUG,1,{MAIL},2.5,{personal}",
        f"94,A,MUG,1,2011-01-15 09:00,2.5,{personal},{MAIL}",  # one field too many
        f'95,A,MU"G,1,2011-01-15 09:00,2.5,{personal}',
    ]
    batch = read([written(tmp_path, "\n".join([header, *lines]))])
    text = everything(batch)
    assert batch.rejects.height >= 4
    for secret in (MAIL, "Jane", "0555"):
        assert secret not in text
    assert batch.receipt.files[0].personal == ("Customer Name", "E-Mail", "Phone")


def test_refusals_do_not_quote_personal_data(tmp_path: Path) -> None:
    for content in (f"{MAIL},sku\n1,2\n", f"date,sku,units\n{MAIL},A,1\n", f"date,sku,units\n2024-05-01,{MAIL},1\n"):
        with pytest.raises(DataError) as caught:
            read([written(tmp_path, content)])
        assert MAIL not in str(caught.value)


def test_cells_that_look_like_formulas_stay_text(tmp_path: Path) -> None:
    content = "sku,name,price\nA,=HYPERLINK(1),2\n+B,@SUM(1),3\n"
    products = read([written(tmp_path, content)]).frames["products"]
    assert products.select("product", "name").rows() == [("A", "=HYPERLINK(1)"), ("+B", "@SUM(1)")]


def test_leading_zeros_of_codes_are_kept(tmp_path: Path) -> None:
    batch = read([written(tmp_path, "date,sku,units\n2024-05-01,0012,1\n2024-05-01,12,1\n")])
    assert batch.frames["movements"]["product"].to_list() == ["0012", "12"]


def test_progress_counts_up_to_the_end(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    read([written(tmp_path, "date,sku,units\n2024-05-01,A,1\n")], progress=lambda *step: seen.append(step))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert seen[-1][1] == seen[-1][2]
    assert "sales.csv" in seen[0][0]


def test_sales_before_stock_are_told_what_comes_next(tmp_path: Path) -> None:
    sales = written(tmp_path, "date,sku,units\n2024-05-01,A,1\n")
    stock = written(tmp_path, "sku,on_hand,as_of\nA,1,2024-05-01\n", "stock.csv")
    assert "stock on hand" in read([sales]).receipt.next_step
    assert "shelfwise order" in read([sales, stock]).receipt.next_step
    assert "sales" in read([stock]).receipt.next_step


def test_reading_leaves_the_files_as_they_are_and_gives_the_same_again(tmp_path: Path) -> None:
    path = written(tmp_path, "date,sku,units\n2024-05-01,A,1\n2024-05-01,A,2\n2024-05-02,B,x\n")
    before = path.read_bytes()
    first, second = read([path]), read([path])
    assert path.read_bytes() == before
    assert first.receipt == second.receipt
    assert all(frame.equals(second.frames[name]) for name, frame in first.frames.items())


def test_a_column_named_like_one_of_ours_is_not_taken_twice(tmp_path: Path) -> None:
    batch = read([written(tmp_path, "date,sku,units,units\n2024-05-01,A,1,9\n")])
    assert batch.frames["movements"]["quantity"].to_list() == [1.0]
    assert batch.receipt.files[0].not_imported == ("units (2)",)


def test_a_parquet_file_with_nested_or_no_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sales.parquet"
    pl.DataFrame({"date": [date(2024, 5, 1)], "sku": [["A"]], "units": [1]}).write_parquet(path)
    with pytest.raises(FileRefused, match="not a plain column"):
        read([path])
    pl.DataFrame({"date": [], "sku": [], "units": []}).write_parquet(path)
    with pytest.raises(FileRefused, match="no rows"):
        read([path])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FileRefused, match="export it again"):
        read([path])


def test_a_parquet_file_that_stands_for_more_rows_than_are_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal rows take no room in such a file, so its size says nothing of what it would take in memory."""
    pl.DataFrame({"date": DAYS, "sku": "A", "units": 1}).write_parquet(tmp_path / "sales.parquet")
    assert read([tmp_path / "sales.parquet"]).receipt.rows_used == len(DAYS)
    monkeypatch.setattr(tables, "MOST_ROWS", 9)
    with pytest.raises(FileRefused, match="30 rows are more than 9; split the file"):
        read([tmp_path / "sales.parquet"])
