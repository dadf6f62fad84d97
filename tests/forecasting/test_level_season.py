"""Groups: which series lend each other their shapes."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from shelfwise.domain.panel import Panel
from shelfwise.forecasting.level_season import Groups


def panel(hierarchy: tuple[str, ...], **attributes: list[str]) -> Panel:
    n = len(next(iter(attributes.values())))
    series = pl.DataFrame({"unique_id": [str(i) for i in range(n)], **attributes})
    return Panel.from_wide(np.ones((n, 10)), start="2026-01-01", series=series, hierarchy=hierarchy)


@pytest.fixture
def levels() -> dict[str, list[str]]:
    """240 items of 4 departments in 2 states."""
    return {
        "item": [f"item {i}" for i in range(240)],
        "department": [f"d{i % 4}" for i in range(240)],
        "state": [f"s{i % 2}" for i in range(240)],
    }


def test_groups_are_the_finest_level_that_keeps_thirty_series_together(levels):
    found = Groups.of(panel(("item", "department", "state"), **levels))
    assert (found.column, found.names) == ("department", ("d0", "d1", "d2", "d3"))


def test_a_category_comes_before_every_level(levels):
    found = Groups.of(panel(("state",), **levels, category=["a", "b", "c"] * 80))
    assert (found.column, len(found)) == ("category", 4)


def test_levels_too_fine_to_share_leave_one_group(levels):
    assert Groups.of(panel(("item",), item=levels["item"])).names == ()


def test_a_group_never_seen_while_fitting_falls_to_the_last(levels):
    groups = Groups.of(panel(("department",), **levels))
    other = panel(("department",), department=["d1", "d9"])
    assert groups.codes(other).tolist() == [1, 4]
