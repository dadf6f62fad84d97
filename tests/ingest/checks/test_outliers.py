"""Outlying sales stand out of their own product's lines, and nothing that merely varies does."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwise.ingest.checks.outliers import FEWEST_LINES, outlying_lines

START = dt.datetime.combine(dt.date(2026, 1, 1), dt.time())


def lines_of(units: list[float], product: str = "A") -> pl.DataFrame:
    days = [START + dt.timedelta(days=n) for n in range(len(units))]
    return pl.DataFrame(
        {"product": product, "warehouse": "m", "file": 1, "occurred_at": days, "quantity": units, "unit_price": 5.0},
        schema_overrides={"product": pl.String, "occurred_at": pl.Datetime("us"), "quantity": pl.Float64},
    )


def test_one_line_of_a_thousand_times_the_usual_is_told_with_what_is_usual() -> None:
    found = outlying_lines(lines_of([1.0, 2.0, 3.0] * 30 + [2000.0]))
    assert found.select("quantity", "usual", "times").rows() == [(2000.0, 2.0, 1000.0)]


def test_two_slips_do_not_hide_each_other() -> None:
    assert outlying_lines(lines_of([1.0, 2.0, 3.0] * 50 + [2000.0, 3000.0])).height == 2


def test_each_product_is_measured_by_itself() -> None:
    wholesale = lines_of([500.0, 1000.0, 2000.0] * 30, "B")
    found = outlying_lines(pl.concat([wholesale, lines_of([1.0, 2.0] * 45 + [1500.0])]))
    assert found["product"].to_list() == ["A"]


def test_what_the_product_sells_in_a_month_anyway_is_not_told() -> None:
    assert outlying_lines(lines_of([1.0] * 100 + [27.0])).is_empty()
    assert outlying_lines(lines_of([1.0] * 100 + [28.0])).height == 1  # in 101 days: 27.7 in 28 of them


@pytest.mark.parametrize("units", [[], [5000.0], [1.0] * (FEWEST_LINES - 2) + [5000.0]])
def test_of_few_lines_nothing_is_said(units: list[float]) -> None:
    assert outlying_lines(lines_of(units)).is_empty()


def test_returns_are_no_sales() -> None:
    assert outlying_lines(lines_of([1.0, 2.0] * 40 + [-5000.0])).is_empty()


@pytest.mark.parametrize("spread", [0.3, 0.8, 1.2])
def test_varied_sales_are_left_alone(spread: float) -> None:
    units = np.ceil(np.random.default_rng(1).lognormal(1.0, spread, size=(200, 300)))
    frames = [lines_of(row.tolist(), f"P{i}") for i, row in enumerate(units)]
    assert outlying_lines(pl.concat(frames))["product"].n_unique() <= 1  # of 200


@given(st.lists(st.integers(1, 9), min_size=40, max_size=80), st.permutations(range(5)))
def test_the_order_of_lines_says_nothing(units: list[int], order: list[int]) -> None:
    lines = lines_of([*map(float, units), 4000.0])
    chosen = [row % lines.height for row in order]
    turned = pl.concat([lines[chosen], lines.with_row_index().filter(~pl.col("index").is_in(chosen)).drop("index")])
    assert outlying_lines(turned).equals(outlying_lines(lines))
