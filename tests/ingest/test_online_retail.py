"""The two Online Retail files read to their published figures, as Parquet and as CSV."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from shelfwise.ingest import Batch, read

pytestmark = [pytest.mark.data("online_retail"), pytest.mark.slow]

YEARS = ("2009_2010", "2010_2011")


@pytest.fixture(scope="module")
def files(data_folder: Path) -> list[Path]:
    return [data_folder / "online_retail" / f"online_retail_{years}.parquet" for years in YEARS]


@pytest.fixture(scope="module")
def batch(files: list[Path]) -> Batch:
    return read(files)


def test_each_file_holds_the_published_figures(batch: Batch) -> None:
    first, second = batch.receipt.files
    assert (first.rows_read, second.rows_read) == (525_461, 541_909)
    assert [second.facts[name] for name in ("invoices", "codes as written", "cancellation lines", "units net")] == [
        25_900, 4_070, 9_288, 5_176_450,
    ]  # fmt: skip
    assert [first.facts[name] for name in ("invoices", "codes as written", "cancellation lines")] == [
        28_816,
        4_632,
        10_206,
    ]


def test_the_overlap_is_dropped_once_and_said(batch: Batch) -> None:
    overlap = [tally for tally in batch.receipt.files[1].dropped if "earlier file" in tally.reason]
    assert [tally.rows for tally in overlap] == [22_523]


def test_every_row_has_one_fate(batch: Batch) -> None:
    assert batch.rejects.height == batch.receipt.rows_rejected == 0
    for file in batch.receipt.files:
        assert file.rows_read == file.rows_used + sum(tally.rows for tally in file.dropped)
    assert batch.receipt.rows_used == batch.frames["movements"].height


def test_the_two_famous_orders_cancelled_within_minutes_are_no_demand(batch: Batch) -> None:
    big = batch.frames["movements"].filter(pl.col("quantity").abs().is_in([74_215.0, 80_995.0]))
    assert big["kind"].unique().to_list() == ["adjustment"]
    assert (big.height, big["quantity"].sum()) == (4, 0)


def test_only_goods_are_left(batch: Batch) -> None:
    codes = set(batch.frames["products"]["product"])
    assert not codes & {"POST", "D", "M", "BANK CHARGES", "AMAZONFEE", "DOT", "CRUK", "S", "TEST001", "GIFT_0001_20"}
    assert {"85123A", "DCGSSGIRL", "PADS"} <= codes
    assert all(code == code.upper() for code in codes)
    name = dict(batch.frames["products"].select("product", "name").iter_rows())["85123A"]
    assert name == "WHITE HANGING HEART T-LIGHT HOLDER"


def test_the_range_is_read_and_the_last_day_is_seen_to_be_cut_short(batch: Batch) -> None:
    receipt = batch.receipt
    assert (receipt.first_day, receipt.last_day) == (date(2009, 12, 1), date(2011, 12, 9))
    assert receipt.incomplete_last_day == date(2011, 12, 9)


def test_the_order_of_the_files_changes_no_line(batch: Batch, files: list[Path]) -> None:
    swapped = read(files[::-1]).frames["movements"].sort("line_id")
    assert swapped.equals(batch.frames["movements"].sort("line_id"))


def test_the_same_lines_as_csv_give_the_same_movements(batch: Batch, files: list[Path], tmp_path: Path) -> None:
    copies = []
    for path in files:
        moment = pl.col("InvoiceDate").dt.strftime("%m/%d/%Y %H:%M")
        copies.append(tmp_path / f"{path.stem}.csv")
        pl.read_parquet(path).with_columns(moment).write_csv(copies[-1])
    again = read(copies)
    assert again.frames["movements"].equals(batch.frames["movements"])
    assert "month first" in str(again.receipt)
