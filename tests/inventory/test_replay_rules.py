"""The named policies of a replay, each on numbers that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.errors import ParameterError
from shelfwise.domain.forecast import Forecast, Provenance
from shelfwise.domain.panel import Panel
from shelfwise.inventory.replay import ReplayTerms, Round, Situation, Stock
from shelfwise.inventory.replay_rules import (
    RULES,
    Optimised,
    ServiceLevelRule,
    base_stock,
    min_max,
    moving_average,
    normal_base_stock,
    reorder_point,
    seasonal_factors,
)


def situation(
    history: np.ndarray, *, on_hand: float = 0.0, paths: np.ndarray | None = None, **terms: object
) -> Situation:
    panel = Panel.from_wide(history, start="2025-01-06", freq="1w")
    own = ReplayTerms.of(len(panel), **terms)  # type: ignore[arg-type]

    def made(past: Panel, horizon: int) -> Forecast:
        assert paths is not None
        return Forecast(
            past.series, past.ends, Frequency.parse("1w"), Provenance("given", "1"), paths.shape[1],
            drawn=paths.astype(np.float32),
        )  # fmt: skip

    stock = Stock(np.full(len(panel), on_hand), np.zeros((len(panel), own.longest_lead + 1)))
    return Situation(Round(0, panel, 8, made), stock, own)


def test_the_moving_average_orders_four_weeks_of_the_last_thirteen() -> None:
    history = np.concatenate([np.full(20, 90.0), np.full(13, 5.0)])[None, :]
    assert moving_average(situation(history, on_hand=3.0))[0] == pytest.approx(4 * 5 - 3)


def test_the_moving_average_follows_the_shops_season() -> None:
    season = np.where(np.arange(52) < 26, 4.0, 8.0)
    history = np.tile(season, 2)[None, :]
    now = situation(history)  # the 13 weeks before are of the high half, the four ahead of the low one
    assert moving_average(now)[0] == pytest.approx(4 * 4.0)


def test_less_than_a_season_of_history_has_no_seasonal_factors() -> None:
    past, coming = seasonal_factors(Panel.from_wide(np.arange(30.0)[None, :], start="2025-01-06", freq="1w"), 4)
    assert_array_equal(past, np.ones(30))
    assert_array_equal(coming, np.ones(4))


def test_the_textbook_base_stock_is_mean_and_deviation_over_lead_and_review_time() -> None:
    history = np.tile([2.0, 6.0], 20)[None, :]
    deviation = history[0, -26:].std(ddof=1)
    z = 0.967422  # of 1 / 1.2
    level = np.ceil(3 * 4 + z * deviation * np.sqrt(3))
    assert normal_base_stock(situation(history, on_hand=1.0))[0] == level - 1
    assert min_max(situation(history, on_hand=level))[0] == 0.0
    assert min_max(situation(history, on_hand=level - 1))[0] == 1 + 4  # a review's demand above it
    assert reorder_point(situation(history, on_hand=level - 5))[0] == 8.0  # two lots of four


def test_a_censored_period_counts_in_no_mean() -> None:
    available = np.ones((1, 40), dtype=bool)
    available[0, 30:35] = False
    history = np.where(available, 7.0, 0.0)
    panel = Panel.from_wide(history, start="2025-01-06", freq="1w", available=available)
    known = situation(np.full((1, 40), 7.0))
    now = Situation(Round(0, panel, 8, known.round.forecaster), known.stock, known.terms)
    for rule in (moving_average, normal_base_stock, min_max, reorder_point):
        assert_allclose(rule(now), rule(known))


def test_base_stock_is_the_critical_ratio_quantile_of_protection_demand() -> None:
    paths = np.zeros((1, 12, 8))
    paths[0, :, 0] = np.arange(1, 13)  # ten of twelve paths are not above 10: 0.833
    assert base_stock(situation(np.ones((1, 40)), paths=paths))[0] == 10.0


def test_todays_rule_covers_its_service_level_whatever_it_costs() -> None:
    paths = np.zeros((1, 20, 8))
    paths[0, :, 0] = np.arange(1, 21)
    for holding in (0.01, 5.0):
        now = situation(np.ones((1, 40)), paths=paths, holding_cost=holding)
        assert ServiceLevelRule(0.95)(now)[0] == 19.0
    with pytest.raises(ParameterError, match="service_level must be above 0 and below 1, got 95"):
        ServiceLevelRule(95)


def test_ours_orders_less_where_holding_costs_more_and_nothing_where_stock_suffices() -> None:
    paths = np.random.default_rng(0).poisson(8.0, (1, 200, 8)).astype(float)
    dear, cheap = (
        Optimised()(situation(np.ones((1, 40)), paths=paths, on_hand=20.0, holding_cost=cost))[0]
        for cost in (2.0, 0.02)
    )
    assert 0 < dear < cheap
    assert Optimised()(situation(np.ones((1, 40)), paths=paths, on_hand=500.0))[0] == 0.0


def test_every_rule_has_a_name_and_the_first_is_todays() -> None:
    assert list(RULES) == [
        "today", "moving_average", "min_max", "s_q", "base_stock_normal", "base_stock", "optimise",
    ]  # fmt: skip
