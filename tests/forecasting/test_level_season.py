"""Groups: which series lend each other their shapes; blocks, and what forecasts are made of."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest

from shelfwise.domain.panel import Panel
from shelfwise.forecasting import level_season
from shelfwise.forecasting.level_season import Fitted, Groups, decompose, iterate_blocks
from shelfwise.forecasting.pooling import measure


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


@pytest.fixture
def shop() -> Panel:
    """12 series of 80 days with a promotion, a price that begins late, and days on which some are closed."""
    rng = np.random.default_rng(5)
    price = np.full((12, 90), 2.0)
    price[3, :30] = np.nan
    price[4, 10:20] = np.nan
    opened = np.ones((12, 90))
    opened[2, 6::7] = 0.0
    values = rng.poisson(np.linspace(0.5, 6.0, 12)[:, None], (12, 80)).astype(float)
    values[5, :33] = np.nan
    values[6, 40] = np.nan
    return Panel.from_wide(
        values,
        start="2026-01-01",
        series={"unique_id": [f"s{i}" for i in range(12)], "category": ["a", "b"] * 6},
        known_future={"promotion": (rng.random((12, 90)) < 0.2).astype(float), "price": price, "open": opened},
    )


@pytest.mark.parametrize("rows", [1, 5, 12])
def test_how_many_series_are_worked_on_at_once_changes_nothing(shop, rows, monkeypatch):
    def parts():
        start = Fitted.default(shop, (3.0, 14.0), 60, Groups.of(shop))
        fitted = measure(shop, dataclasses.replace(start, flags=("promotion",)))
        ((_, block),) = iterate_blocks(shop, fitted, 7)
        found = decompose(block, fitted, 7)
        pooled = (*fitted.cycle_shapes, fitted.lifts, fitted.noise, fitted.prior_level, fitted.prior_periods)
        return [*pooled, found.means, found.season, found.noise, found.known, *found.factors.values()]

    whole = parts()
    monkeypatch.setattr(level_season, "ROWS_PER_SLICE", rows)
    for one, other in zip(whole, parts(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_block_sees_what_was_recorded_while_the_series_had_a_price_and_was_open(shop):
    start = Fitted.default(shop, (3.0, 14.0), 60, Groups.of(shop))
    ((_, block),) = iterate_blocks(shop, dataclasses.replace(start, window=80), 0)
    by_hand = ~np.isnan(shop.window(80))
    by_hand[3, :30] = False  # not yet on sale; a price that is missing later hides nothing
    by_hand[2, 6::7] = False
    np.testing.assert_array_equal(block.seen, by_hand)
    np.testing.assert_array_equal(block.values, np.where(by_hand, np.nan_to_num(shop.window(80)), 0.0))
