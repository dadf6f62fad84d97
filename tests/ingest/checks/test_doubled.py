"""Files that bring the same sales under other ids are found; tills that merely sell the same products are not."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl

from shelfwise.ingest.checks.doubled import doubled_days

START = dt.datetime.combine(dt.date(2026, 1, 1), dt.time(10))


def sales_of(file: int, seed: int, days: int = 60, first: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [
        (product, "m", file, START + dt.timedelta(days=day, hours=hour), float(rng.integers(1, 9)))
        for day in range(first, first + days)
        for product in ("A", "B", "C")
        for hour in (0, 3)
    ]
    names = ["product", "warehouse", "file", "occurred_at", "quantity"]
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(unit_price=5.0)


def test_the_same_sales_as_daily_totals_are_found_where_they_overlap() -> None:
    lines = sales_of(1, 1)
    totals = (
        lines.filter(pl.col("occurred_at") >= START + dt.timedelta(days=30))
        .group_by("product", "warehouse", pl.col("occurred_at").dt.truncate("1d"), maintain_order=True)
        .agg(pl.col("quantity").sum(), pl.col("unit_price").first(), file=pl.lit(2))
        .select(lines.columns)
    )
    found = doubled_days(pl.concat([lines, totals], how="vertical_relaxed"))
    assert found.height == 30 * 3
    assert set(found.select("file", "again").unique().rows()) == {(1, 2)}
    assert found["quantity"].sum() == totals["quantity"].sum()


def test_two_tills_and_a_file_that_goes_on_are_fine() -> None:
    assert doubled_days(pl.concat([sales_of(1, 1), sales_of(2, 2)])).is_empty()
    assert doubled_days(pl.concat([sales_of(1, 1), sales_of(2, 1, first=60)])).is_empty()


def test_one_file_and_no_file_cannot_be_doubled() -> None:
    assert doubled_days(sales_of(1, 1)).is_empty()
    assert doubled_days(sales_of(1, 1).clear()).is_empty()


def test_the_same_sales_in_another_warehouse_are_others() -> None:
    other = sales_of(2, 1).with_columns(warehouse=pl.lit("n"))
    assert doubled_days(pl.concat([sales_of(1, 1), other])).is_empty()
