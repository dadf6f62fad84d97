"""The words beside each quantity say what really made it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shelfwise.domain.errors import DataError
from shelfwise.inventory.optimise import optimise

PATHS = np.random.default_rng(0).poisson(10.0, (1, 100, 6))


def reason(**columns: Any) -> str:
    item = {"unique_id": ["a"], "on_hand": [5], "lead_time_periods": [1], "price": [9.0]}
    return str(optimise(item | {name: [cell] for name, cell in columns.items()}, PATHS).orders["reason"][0])


def test_a_bound_on_the_quantity_is_named_where_it_binds() -> None:
    assert "no more than 7 may be ordered" in reason(largest_quantity=7)
    assert "may be ordered" not in reason(largest_quantity=70)
    assert "may be ordered" not in reason()


def test_a_pack_larger_than_what_may_be_ordered_is_why_nothing_is() -> None:
    assert "no more than 3 may be ordered, less than the smallest order of 12" in reason(largest_quantity=3, pack=12)


def test_an_order_that_costs_more_than_it_saves_is_why_nothing_is() -> None:
    assert "placing an order costs 1,000,000.00, more than it would save" in reason(order_cost=1e6)
    assert "more to hold than the sales it saves" in reason(order_cost=0.5, shortage_cost=0.0)


def test_units_due_that_cannot_be_added_up_are_refused() -> None:
    item = {"unique_id": ["a"], "on_hand": [5], "lead_time_periods": [1], "price": [9.0]}
    with pytest.raises(DataError, match="inbound has 1e\\+300 units of 'a'"):
        optimise(item, PATHS, inbound={"unique_id": ["a"], "period": [1], "quantity": [1e300]})


def test_an_order_that_comes_too_late_to_change_the_chance_says_what_it_does_change() -> None:
    said = reason(on_hand=0)
    assert "the order takes the units lost from 20.3 to " in said
    assert "and the chance of running out stays 100%" in said
    assert "the order takes the chance of running out from" in reason(on_hand=15)
