"""Wide tables need the calendar that dates their columns; only cells other than zero become movements."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from shelfwise.domain.errors import FileRefused
from shelfwise.ingest import read

CALENDAR = ["date,wm_yr_wk,d,event_name_1,event_name_2,snap_CA"] + [
    f"{date(2011, 1, 29) + timedelta(days=n)},{11101 + n // 7},d_{n + 1},{'SuperBowl' if n == 8 else ''},,0"
    for n in range(14)
]
HEAD = "id,item_id,dept_id,cat_id,store_id,state_id," + ",".join(f"d_{n}" for n in range(1, 15))


def written(folder: Path, name: str, *lines: str) -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def row(item: str, store: str, *values: object) -> str:
    cells = [*values, *[0] * (14 - len(values))]
    return f"{item}_{store},{item},FOODS_1,FOODS,{store},CA," + ",".join(map(str, cells))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    sales = written(
        tmp_path, "sales.csv", HEAD, row("F1", "CA_1", 0, 3, 0, 1), row("F2", "CA_1", *[0] * 8, 5), row("F1", "CA_2", 2)
    )
    return [sales, written(tmp_path, "calendar.csv", *CALENDAR)]


def test_cells_other_than_zero_become_sales_on_their_calendar_day(files: list[Path]) -> None:
    movements = read(files).frames["movements"].sort("line_id")
    assert movements.select("line_id", "quantity").rows() == [
        ("F1|CA_1|2011-01-30", 3.0), ("F1|CA_1|2011-02-01", 1.0), ("F1|CA_2|2011-01-29", 2.0),
        ("F2|CA_1|2011-02-06", 5.0),
    ]  # fmt: skip
    assert movements["source"].unique().to_list() == ["wide"]


def test_products_stores_and_events_come_along(files: list[Path]) -> None:
    frames = read(files).frames
    assert frames["products"].select("product", "category", "brand").rows() == [
        ("F1", "FOODS", "FOODS_1"), ("F2", "FOODS", "FOODS_1"),
    ]  # fmt: skip
    assert frames["warehouses"]["warehouse"].to_list() == ["CA_1", "CA_2"]
    assert frames["calendar_events"].select("kind", "name", "starts_on").rows() == [
        ("holiday", "SuperBowl", date(2011, 2, 6))
    ]


def test_prices_date_the_launch_and_price_the_sales(files: list[Path], tmp_path: Path) -> None:
    prices = written(
        tmp_path, "prices.csv", "store_id,item_id,wm_yr_wk,sell_price", "CA_1,F1,11101,2.5", "CA_1,F1,11102,2.5",
        "CA_1,F2,11102,9.9", "CA_2,F1,11101,2.6", "CA_2,F1,11199,2.6",
    )  # fmt: skip
    batch = read([*files, prices])
    assert batch.frames["products"].select("product", "launched_on").rows() == [("F1", None), ("F2", date(2011, 2, 5))]
    priced = batch.frames["movements"].filter(pl.col("product") == "F2")["unit_price"].to_list()
    assert priced == [pytest.approx(9.9)]
    assert batch.frames["prices"].height == 3, "a price that stays is one row"
    assert any(tally.rows == 1 for file in batch.receipt.files for tally in file.dropped)


def test_empty_cells_before_the_first_value_are_before_the_launch(tmp_path: Path) -> None:
    sales = written(tmp_path, "sales.csv", HEAD, row("F1", "CA_1", 1), row("F2", "CA_1", "", "", 0, 4))
    products = read([sales, written(tmp_path, "calendar.csv", *CALENDAR)]).frames["products"]
    assert products.select("product", "launched_on").rows() == [("F1", None), ("F2", date(2011, 1, 31))]


def test_without_the_calendar_the_table_is_refused_with_the_way_out(files: list[Path]) -> None:
    with pytest.raises(FileRefused, match=r"calendar\.csv.*together"):
        read(files[:1])
    with pytest.raises(FileRefused, match="give the files together"):
        read(files[1:])


def test_a_day_the_calendar_does_not_have_is_refused(files: list[Path], tmp_path: Path) -> None:
    short = written(tmp_path, "short.csv", *CALENDAR[:10])
    with pytest.raises(FileRefused, match="'d_10' has no date"):
        read([files[0], short])


def test_a_cell_that_is_no_number_costs_its_row(tmp_path: Path) -> None:
    rows = [row(f"F{n}", "CA_1", 1) for n in range(30)]
    sales = written(tmp_path, "sales.csv", HEAD, *rows, row("BAD", "CA_1", 1, "x"))
    batch = read([sales, written(tmp_path, "calendar.csv", *CALENDAR)])
    assert batch.frames["movements"].height == 30
    assert batch.rejects.rows() == [("sales.csv", 32, "d_2", "x", "is not a number")]


def test_parquet_gives_the_same_movements(files: list[Path], tmp_path: Path) -> None:
    pl.read_csv(files[0]).write_parquet(tmp_path / "sales.parquet")
    stored = read([tmp_path / "sales.parquet", files[1]]).frames["movements"]
    assert stored.equals(read(files).frames["movements"])
