"""Choosing the decision on the past: never on the last window, and only what is better by more than chance."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.panel import Panel
from shelfwise.inventory.cost_table import Tuning
from shelfwise.services import replaying
from shelfwise.services.order_tuning import TunedOrders, tune_orders

BASE = replaying.forecaster("base_level", 50, 0)


def many_products(n: int = 40, weeks: int = 70) -> Panel:
    values = np.random.default_rng(5).poisson(6.0, (n, weeks)).astype(float)
    return Panel.from_wide(
        values, start="2025-01-06", freq="1w", series=pl.DataFrame({"unique_id": [f"p{i}" for i in range(n)]})
    )


def tuned(panel: Panel, **more: object) -> TunedOrders:
    few = [Tuning(critical_ratio_factor=0.6), Tuning()]  # the first is bad on purpose: it orders far too little
    return tune_orders(panel, windows=1, rounds=3, candidates=few, forecaster=BASE, **more)  # type: ignore[arg-type]


def test_a_candidate_that_is_clearly_better_is_chosen() -> None:
    done = tuned(many_products())
    assert done.tuning == Tuning()
    assert done.candidates["chosen"].to_list() == [False, True]
    assert done.candidates["high"][1] < 0
    assert list(done.held_out.ledgers) == ["default", "tuned"]


def test_what_happens_in_the_last_window_chooses_nothing() -> None:
    panel = many_products()
    values = panel.window(70).copy()
    values[:, -3:] = 300.0  # what the three orders of the last window have to cover
    other = Panel.from_wide(values, start="2025-01-06", freq="1w", series=panel.series)
    assert tuned(panel).candidates.equals(tuned(other).candidates)


def test_the_defaults_stay_where_no_candidate_beats_them_by_more_than_chance() -> None:
    near = [Tuning(), Tuning(critical_ratio_factor=1.0001)]
    done = tune_orders(many_products(12), windows=1, rounds=2, candidates=near, forecaster=BASE)
    assert done.tuning == Tuning()
    assert done.candidates["chosen"].to_list() == [True, False]


def test_a_forecast_is_made_once_a_round_whatever_the_number_of_candidates() -> None:
    made: list[int] = []

    def counting(history: Panel, horizon: int) -> Forecast:
        made.append(int(history.ends.max()))
        return BASE(history, horizon)

    few = [Tuning(), Tuning(widening=1.2), Tuning(critical_ratio_factor=0.9)]
    tune_orders(many_products(6), windows=2, rounds=2, candidates=few, forecaster=counting)
    assert len(made) == len(set(made)) == 6


def test_nothing_to_choose_from_is_refused() -> None:
    with pytest.raises(ParameterError, match="windows must be at least 1, got 0"):
        tune_orders(many_products(3), windows=0, forecaster=BASE)
    with pytest.raises(ParameterError, match="no candidate was given"):
        tune_orders(many_products(3), candidates=[], forecaster=BASE)
