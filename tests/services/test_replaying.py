"""Replays over a panel: what is replayed, what every policy is told, and the stock they open with."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.panel import Panel
from shelfwise.inventory.replay import Situation, Stock
from shelfwise.services import replaying

made: list[int] = []


def counting(history: Panel, horizon: int) -> Forecast:
    """Forecast as the library does, and remember that it was asked."""
    made.append(int(history.ends.max()))
    return replaying.forecaster("base_level", 50, 0)(history, horizon)


@pytest.fixture
def three_products() -> Panel:
    values = np.random.default_rng(3).poisson([[9.0], [2.0], [0.3]], size=(3, 80)).astype(float)
    ids = pl.DataFrame({"unique_id": ["fast", "slow", "rare"]})
    return Panel.from_wide(values, start="2025-01-06", freq="1w", series=ids)


def test_the_last_order_reaches_the_last_period_of_the_history(three_products: Panel) -> None:
    world = replaying.world(three_products, rounds=4, forecaster=counting, lead_time_periods=2)
    assert world.demand.shape == (3, 6)
    assert_array_equal(world.demand, three_products.window(6))
    assert [int(r.history.ends.max()) for r in world.rounds] == [world.first + k for k in range(4)]


def test_one_forecast_a_round_serves_all_policies_and_none_is_made_for_those_that_need_none(
    three_products: Panel,
) -> None:
    made.clear()
    world = replaying.world(three_products, rounds=3, forecaster=counting)
    world.run(replaying.named(["moving_average", "min_max"]))
    assert made == []
    world.run(replaying.named(["base_stock", "today", "optimise"]))
    assert made == [world.first, world.first + 1, world.first + 2]


def test_every_policy_opens_with_the_same_stock(three_products: Panel) -> None:
    seen: list[np.ndarray] = []

    def look(now: Situation) -> np.ndarray:
        if now.round.number == 0:
            seen.append(np.column_stack([now.on_hand, now.pipeline]))
        return np.zeros(3)

    world = replaying.world(three_products, rounds=2, forecaster=counting)
    world.run({"one": look, "moving_average": replaying.RULES["moving_average"], "two": look})
    assert_array_equal(seen[0], seen[1])


def test_the_opening_stock_is_what_its_policy_would_have_left(three_products: Panel) -> None:
    def always_two(now: Situation) -> np.ndarray:
        return np.full(3, 2.0)

    world = replaying.world(three_products, rounds=2, forecaster=counting, opening=always_two, lead_time_periods=2)
    assert_array_equal(world.opening.pipeline, [[2.0, 2.0, 0.0]] * 3)


def test_series_that_begin_later_or_ended_are_left_out_and_said(three_products: Panel) -> None:
    values = np.full((2, 80), np.nan)
    values[0], values[1, 75:] = 4.0, 4.0
    panel = Panel.from_wide(values, start="2025-01-06", freq="1w", series=pl.DataFrame({"unique_id": ["old", "new"]}))
    world = replaying.world(panel, rounds=8, forecaster=counting)
    assert world.panel.ids.to_list() == ["old"]
    assert "1 of 2 series are left out" in world.notes[0]


def test_periods_of_unknown_demand_cost_nothing_and_are_counted_out_loud() -> None:
    available = np.ones((1, 60), dtype=bool)
    available[0, -2:] = False
    panel = Panel.from_wide(np.full((1, 60), 5.0), start="2025-01-06", freq="1w", available=available)
    world = replaying.world(panel, rounds=4, forecaster=counting)
    assert any(note.startswith("2 of 4 periods are left out of the costs") for note in world.notes)
    ledger = world.run({"none": lambda now: np.zeros(1)}).ledgers["none"]
    assert ledger.counted.sum() == 2


def test_a_censored_period_of_the_history_is_no_demand_of_zero() -> None:
    available = np.ones((1, 60), dtype=bool)
    values = np.full((1, 60), 6.0)
    values[0, 40:52], available[0, 40:52] = 0.0, False
    panel = Panel.from_wide(values, start="2025-01-06", freq="1w", available=available)
    world = replaying.world(panel, rounds=2, forecaster=counting, opening=Stock(np.zeros(1), np.zeros((1, 3))))
    ledger = world.run(replaying.named(["moving_average"])).ledgers["moving_average"]
    assert ledger.ordered[0, 0] == 24.0  # four weeks of six, not of the mean over weeks without stock


def test_terms_of_single_products_win_over_those_for_all(three_products: Panel) -> None:
    items = {
        "unique_id": ["rare", "fast"],
        "lead_time_periods": [4.0, None],
        "price": [10.0, 3.0],
        "unit_cost": [4.0, 2.0],
    }
    world = replaying.world(three_products, rounds=2, forecaster=counting, items=items, shortage_cost=0.5)
    assert_array_equal(world.terms.lead_time_periods, [2, 2, 4])
    assert_array_equal(world.terms.shortage_cost, [1.0, 0.5, 6.0])
    assert_array_equal(world.terms.unit_value, [2.0, 1.0, 4.0])


def test_what_cannot_be_replayed_is_refused_in_words(three_products: Panel) -> None:
    with pytest.raises(DataError, match="no series has a history before the 92 periods"):
        replaying.world(three_products, rounds=90, forecaster=counting)
    with pytest.raises(ParameterError, match="policy 'best' is not known; policies are today, moving_average"):
        replaying.named(["best"])
    with pytest.raises(ParameterError, match="write \\['today'\\]"):
        replaying.named("today")
    with pytest.raises(ParameterError, match="is there twice"):
        replaying.named(["today", "today"])
    with pytest.raises(ParameterError, match="no policy was given"):
        replaying.named([])
    with pytest.raises(DataError, match="opening has no on_hand for slow and 1 more"):
        replaying.world(three_products, forecaster=counting, opening={"unique_id": ["fast"], "on_hand": [3.0]})
    with pytest.raises(DataError, match="opening has a unique_id twice"):
        replaying.world(three_products, forecaster=counting, opening={"unique_id": ["fast"] * 2, "on_hand": [3.0, 4.0]})
    with pytest.raises(ParameterError, match="lead time must be whole periods, zero or more, got nan"):
        replaying.world(three_products, forecaster=counting, lead_time_periods=float("nan"))
    with pytest.raises(ParameterError, match="has a holding cost of 0, so textbook base stock"):
        replaying.world(three_products, forecaster=counting, holding_cost=0.0)
    with pytest.raises(ParameterError, match="horizon 2 is shorter than lead and review time; give at least 3"):
        replaying.world(three_products, forecaster=counting, horizon=2)
    with pytest.raises(ParameterError, match="must need no forecast"):
        replaying.world(three_products, forecaster=counting, opening=replaying.RULES["base_stock"])


def test_items_that_the_history_lacks_are_named_and_refused(three_products: Panel) -> None:
    for ids, named in ((["fast", "fsat"], "'fsat'"), (["a", "b", "fast"], r"'a' \(and 1 more\)")):
        items = {"unique_id": ids, "pack": [1.0] * len(ids)}
        with pytest.raises(DataError, match=f"items has unique_id {named}, which the history lacks; correct it"):
            replaying.world(three_products, rounds=2, forecaster=counting, items=items)


def test_items_of_series_that_are_left_out_are_no_mistake() -> None:
    values = np.full((2, 80), 4.0)
    values[1, :75] = np.nan
    panel = Panel.from_wide(values, start="2025-01-06", freq="1w", series=pl.DataFrame({"unique_id": ["old", "new"]}))
    items = {"unique_id": ["old", "new"], "pack": [2.0, 3.0]}
    world = replaying.world(panel, rounds=8, forecaster=counting, items=items)
    assert_array_equal(world.terms.pack, [2.0])


def test_demand_below_zero_is_refused_with_its_series_and_day(three_products: Panel) -> None:
    values = three_products.window(80).copy()
    values[1, 3] = -2.0
    panel = Panel.from_wide(values, start="2025-01-06", freq="1w", series=three_products.series)
    with pytest.raises(DataError, match=r"series 'slow' has a demand of -2 at 2025-01-27, and 1 period in all below"):
        replaying.world(panel, rounds=2, forecaster=counting)
