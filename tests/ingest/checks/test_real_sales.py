"""On real sales the checks say little, and what they say is there to be seen."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from shelfwise.ingest import read
from shelfwise.ingest.checks.clock import night_sales
from shelfwise.ingest.checks.doubled import doubled_days
from shelfwise.ingest.checks.identifiers import dead_codes, same_codes
from shelfwise.ingest.checks.outliers import outlying_lines
from shelfwise.ingest.checks.prices import common_change, price_slips, price_steps, scale_changes, unit_changes
from shelfwise.ingest.checks.returned import unusual_returns

pytestmark = [pytest.mark.data("online_retail"), pytest.mark.slow]


@pytest.fixture(scope="module")
def lines(data_folder: Path) -> pl.DataFrame:
    """Two years of Online Retail: a million sales and returns of 5,106 products."""
    folder = data_folder / "online_retail"
    batch = read([folder / f"online_retail_{years}.parquet" for years in ("2009_2010", "2010_2011")])
    sign = pl.when(pl.col("kind") == "return").then(-1.0).otherwise(1.0)
    moved = batch.frames["movements"].filter(pl.col("kind").is_in(["sale", "return"]))
    return moved.with_columns(quantity=pl.col("quantity") * sign, file=pl.lit(1))


def test_lots_of_a_clearance_are_told_and_hardly_more(lines: pl.DataFrame) -> None:
    found = outlying_lines(lines)
    assert found["product"].n_unique() < 0.05 * lines["product"].n_unique()
    (top,) = found.head(1).to_dicts()
    assert (top["product"], top["quantity"], top["unit_price"]) == ("20777", 3200.0, 0.15)


def test_the_basket_at_649_50_is_told_and_hardly_more(lines: pl.DataFrame) -> None:
    found = price_slips(lines)
    assert ("22502", 649.5) in found.select("product", "unit_price").rows()
    assert found["product"].n_unique() <= 10


def test_no_change_of_scale_or_currency_and_but_one_of_units(lines: pl.DataFrame) -> None:
    steps = price_steps(lines)
    assert scale_changes(steps).is_empty()
    assert common_change(steps, lines["product"].n_unique()).is_empty()
    assert unit_changes(steps).height <= 1  # a clearance at very nearly a tenth


def test_nothing_is_doubled_dead_or_sold_at_night_and_few_products_come_back(lines: pl.DataFrame) -> None:
    codes = lines["product"].unique()
    assert dead_codes(codes).is_empty()
    assert same_codes(codes).is_empty()
    assert night_sales(lines["occurred_at"]) is None
    assert unusual_returns(lines).height < 0.01 * len(codes)


def test_the_days_that_both_files_have_are_found_where_they_are_booked_under_other_ids(lines: pl.DataFrame) -> None:
    week = lines.filter(pl.col("occurred_at").dt.date().is_between(pl.date(2010, 12, 1), pl.date(2010, 12, 9)))
    found = doubled_days(pl.concat([lines, week.with_columns(file=pl.lit(2))]))
    sold = week.filter(pl.col("quantity") > 0)
    assert found.height == sold.select("product", pl.col("occurred_at").dt.date()).unique().height
    assert doubled_days(lines).is_empty()
