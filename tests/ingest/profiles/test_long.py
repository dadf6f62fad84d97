"""Long tables have one value per series and date."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from shelfwise.ingest import read


def written(folder: Path, *lines: str) -> Path:
    path = folder / "long.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_series_become_products_and_values_sales(tmp_path: Path) -> None:
    batch = read([written(tmp_path, "unique_id,ds,y", "A,2024-01-01,3", "A,2024-01-02,0", "B,2024-01-01,-2")])
    rows = batch.frames["movements"].select("source", "line_id", "kind", "quantity").rows()
    assert rows == [("long", "A|main|2024-01-01", "sale", 3.0), ("long", "B|main|2024-01-01", "return", 2.0)]


def test_the_retail_form_with_location_and_price_gives_warehouses_and_price_changes(tmp_path: Path) -> None:
    batch = read([
        written(
            tmp_path, "item_id,timestamp,demand,location,price,promotion_applied", "A,2024-01-01,3,N,2.5,0",
            "A,2024-01-02,0,N,2.5,1", "A,2024-01-03,4,N,2,1", "A,2024-01-03,1,S,3,0",
        )
    ])  # fmt: skip
    assert batch.frames["prices"].rows() == [
        ("A", "N", date(2024, 1, 1), 2.5), ("A", "N", date(2024, 1, 3), 2.0), ("A", "S", date(2024, 1, 3), 3.0),
    ]  # fmt: skip
    assert batch.receipt.files[0].not_imported == ("promotion_applied",)


def test_what_no_table_takes_is_named_in_the_receipt(tmp_path: Path) -> None:
    batch = read([written(tmp_path, "unique_id,ds,y,available,temperature", "A,2024-01-01,3,1,20")])
    assert "ignored   no table takes 'available', 'temperature'" in str(batch.receipt)


def test_a_second_value_for_a_date_is_rejected_if_it_differs(tmp_path: Path) -> None:
    lines = [f"A,2024-01-{n:02},1" for n in range(1, 31)]
    batch = read([written(tmp_path, "unique_id,ds,y", *lines, "A,2024-01-05,1", "A,2024-01-06,9")])
    assert batch.frames["movements"].height == 30
    assert batch.rejects.select("line", "value").rows() == [(33, "9")]
    assert batch.receipt.files[0].dropped[0].lines == (32,)


@pytest.mark.parametrize("typed", [pl.Date, pl.Datetime("ns"), pl.String])
def test_parquet_is_read_by_its_types(tmp_path: Path, typed: pl.DataType) -> None:
    frame = pl.DataFrame({"unique_id": [7.0, 8.0], "ds": ["2024-03-04", "2024-05-06"], "y": [1, 2]})
    if typed != pl.String:
        frame = frame.with_columns(pl.col("ds").str.to_date().cast(typed))
    frame.write_parquet(tmp_path / "long.parquet")
    movements = read([tmp_path / "long.parquet"]).frames["movements"]
    assert movements["product"].to_list() == ["7", "8"]
    assert movements["occurred_at"].dt.date().to_list() == [date(2024, 3, 4), date(2024, 5, 6)]


def test_a_series_that_begins_later_than_the_table_was_launched_then(tmp_path: Path) -> None:
    lines = [f"A,2024-01-{n:02},{n % 2}" for n in range(1, 31)] + [f"B,2024-01-{n:02},{n % 2}" for n in range(9, 31)]
    products = read([written(tmp_path, "unique_id,ds,y", *lines)]).frames["products"]
    assert products.select("product", "launched_on").rows() == [("A", None), ("B", date(2024, 1, 9))]


def test_a_date_without_a_value_is_not_recorded_and_not_zero(tmp_path: Path) -> None:
    batch = read([written(tmp_path, "unique_id,ds,y", "A,2024-01-01,3", "A,2024-01-02,", "A,2024-01-03,nan")])
    assert batch.rejects.is_empty()
    assert [(tally.rows, tally.lines) for tally in batch.receipt.files[0].dropped] == [(2, (3, 4))]
