"""Slipped prices, changed units and changed currencies are told apart from sales, rises and clearances."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from shelfwise.ingest.checks.prices import common_change, price_slips, price_steps, scale_changes, unit_changes

START = dt.datetime.combine(dt.date(2026, 1, 1), dt.time())


def lines_of(prices: list[float], units: list[float] | None = None, product: str = "A") -> pl.DataFrame:
    days = [START + dt.timedelta(days=n) for n in range(len(prices))]
    return pl.DataFrame(
        {"product": product, "warehouse": "m", "file": 1, "occurred_at": days,
         "quantity": units or [4.0] * len(prices), "unit_price": prices},
        schema_overrides={
            "product": pl.String, "occurred_at": pl.Datetime("us"), "quantity": pl.Float64, "unit_price": pl.Float64,
        },
    )  # fmt: skip


@pytest.mark.parametrize("price", [45.0, 450.0, 4500.0, 0.45, 0.045])
def test_a_decimal_mark_in_the_wrong_place_is_told(price: float) -> None:
    found = price_slips(lines_of([4.5, 4.4, 4.6] * 20 + [price]))
    assert found["unit_price"].to_list() == [price]


def test_a_price_of_another_order_is_told_whatever_its_digits() -> None:
    assert price_slips(lines_of([4.5] * 40 + [649.99])).height == 1


@pytest.mark.parametrize(
    "prices",
    [
        [4.5] * 40 + [2.25, 9.0, 1.0],  # discounts, double
        [4.5] * 30 + [45.0] * 12,  # sold by the box of ten, often
        [4.5] * 5 + [450.0],  # too few to say
        [4.5] * 40 + [0.0],  # a gift
        [None] * 40,
    ],
)
def test_other_prices_are_no_slips(prices: list[float]) -> None:
    assert price_slips(lines_of(prices)).is_empty()


def test_by_the_dozen_since_a_day_is_another_unit() -> None:
    pieces = np.random.default_rng(2).integers(12, 60, 60).astype(float).tolist()
    dozens = np.random.default_rng(3).integers(1, 6, 60).astype(float).tolist()
    steps = price_steps(lines_of([1.0] * 60 + [11.5] * 60, pieces + dozens))
    (found,) = unit_changes(steps).to_dicts()
    assert found["since"] == START + dt.timedelta(days=60)
    assert found["factor"] == pytest.approx(11.5)
    assert found["units_factor"] == pytest.approx(1 / 12, rel=0.3)
    assert scale_changes(steps).is_empty()


def test_by_the_piece_again_is_one_too_and_a_clearance_is_none() -> None:
    rng = np.random.default_rng(4)
    dozens = rng.integers(1, 6, 60).astype(float)
    back = lines_of([12.0] * 60 + [1.0] * 60, [*dozens, *(12 * dozens)])
    cleared = lines_of([1.45] * 60 + [0.39] * 60, [*dozens, *(4 * dozens)], "B")
    assert unit_changes(price_steps(pl.concat([back, cleared])))["product"].to_list() == ["A"]


def test_a_price_ten_times_as_high_with_the_same_units_is_another_scale() -> None:
    steps = price_steps(lines_of([4.5] * 60 + [45.0] * 60))
    assert scale_changes(steps)["product"].to_list() == ["A"]
    assert unit_changes(steps).is_empty()


def test_a_rise_is_neither_and_prices_that_wander_have_no_step() -> None:
    risen = price_steps(lines_of([4.0] * 60 + [5.0] * 60))
    assert risen["factor"].to_list() == [pytest.approx(1.25)]
    assert unit_changes(risen).is_empty()
    assert scale_changes(risen).is_empty()
    assert price_steps(lines_of([4.0, 5.0] * 60)).is_empty()
    assert price_steps(lines_of([4.0] * 120)).is_empty()
    assert price_steps(lines_of([])).is_empty()


def test_all_prices_by_one_factor_are_another_currency_and_a_round_of_rises_is_not() -> None:
    usual = np.random.default_rng(5).uniform(2, 40, 30).round(2)
    switched = pl.concat(
        [lines_of([p] * 40 + [round(p * 1.17, 2)] * 40, product=f"P{i:02d}") for i, p in enumerate(usual)]
    )
    assert common_change(price_steps(switched), 30).height == 30
    rises = 1 + np.random.default_rng(6).uniform(0.02, 0.30, 30)
    raised = pl.concat(
        [
            lines_of([p] * 40 + [round(p * rise, 2)] * 40, product=f"P{i:02d}")
            for i, (p, rise) in enumerate(zip(usual, rises, strict=True))
        ]
    )
    assert common_change(price_steps(raised), 30).is_empty()
    assert common_change(price_steps(switched), 61).is_empty()  # of 61 products 30 are not most
