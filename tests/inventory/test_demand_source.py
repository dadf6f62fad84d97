"""Demand as a table or an array: what is taken, and what is refused before it can shift or spoil an order."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest

from shelfwise.domain.errors import ShelfwiseError
from shelfwise.inventory.demand_source import demand_source


def two_series(**columns: Any) -> dict[str, Any]:
    return {"unique_id": ["a"] * 3 + ["b"] * 3, "period": [1, 2, 3] * 2, "mean": [4.0] * 6} | columns


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"period": [1, 2, 3, 2, 3, 4]}, "the same periods for every unique_id"),
        ({"period": [0, 1, 2] * 2}, "period 0 where 1 is due"),
        ({"period": [1, 2, 5] * 2}, "period 5 where 3 is due"),
        ({"period": [1, 1, 2] * 2}, "'a' more than once"),
        ({"period": [1.5, 2, 3] * 2}, "period 1.5 in row 0"),
        ({"period": [1, float("nan"), 3] * 2}, "period nan in row 1"),
        ({"period": [1, None, 3] * 2}, "period nan in row 1"),
        ({"period": ["x", "2", "3"] * 2}, "'x', which is no number"),
        ({"unique_id": ["a"] * 3 + [None] * 3}, "no unique_id in row 3"),
        ({"mean": [1e15] * 6}, "beyond 1e\\+12"),
        ({"q0.1": [1, 1, 1, 1, 5, 1], "q0.9": [3] * 6}, "'b' in its period 2 has q0.1 5 above q0.9 3"),
    ],
)
def test_a_table_that_would_shift_or_spoil_demand_is_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ShelfwiseError, match=text):
        demand_source(two_series(**change))


def test_series_of_other_days_are_refused() -> None:
    days = [date(2026, 1, day) for day in (1, 2, 3, 8, 9, 10)]
    with pytest.raises(ShelfwiseError, match="the same periods for every unique_id"):
        demand_source({"unique_id": ["a"] * 3 + ["b"] * 3, "ds": days, "mean": [4.0] * 6})


def test_rows_may_come_in_any_order_and_periods_as_decimals() -> None:
    straight = demand_source(two_series(mean=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    mixed = demand_source(
        {
            "unique_id": ["b", "a", "a", "b", "a", "b"],
            "period": [3.0, 2.0, 1.0, 1.0, 3.0, 2.0],
            "mean": [6.0, 2.0, 1.0, 4.0, 3.0, 5.0],
        }
    )
    rows = np.arange(2)
    assert np.array_equal(straight.demand.draw(rows), mixed.demand.draw(rows))


def test_half_precision_paths_are_taken() -> None:
    assert demand_source(np.ones((1, 2, 3), dtype=np.float16)).demand.horizon == 3
