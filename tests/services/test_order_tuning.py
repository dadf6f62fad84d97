"""Choosing the decision on the past: never on the last window, and only what is better by more than chance."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.panel import Panel
from shelfwise.inventory.order_inputs import Tuning
from shelfwise.services import replaying
from shelfwise.services.order_tuning import AsItGoes, TunedOrders, run_tuned, tune_orders, tuned_as_it_goes

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


FEW = [Tuning(critical_ratio_factor=0.6), Tuning()]  # the first is bad on purpose


def as_it_goes(panel: Panel, rounds: int = 4, **more: object) -> AsItGoes:
    given = {"rounds": rounds, "forecaster": BASE, **more}
    laid = replaying.world(panel, **given)  # type: ignore[arg-type]
    own = tuned_as_it_goes(panel, laid, candidates=FEW, **given)  # type: ignore[arg-type]
    laid.run({"tuned": own})
    return own


def test_a_policy_that_tunes_itself_leaves_a_bad_start() -> None:
    own = as_it_goes(many_products())
    assert own.chosen == {0: 1, 1: 1, 2: 1, 3: 1}
    assert own.said() == "tuned took from round 1 on the defaults"


def test_a_round_is_tuned_by_nothing_that_came_after_it() -> None:
    panel = many_products()
    values = panel.window(70).copy()
    values[:, -3:] = 300.0  # from the last round on
    other = Panel.from_wide(values, start="2025-01-06", freq="1w", series=panel.series)
    one, two = as_it_goes(panel), as_it_goes(other)
    known = one.first + 3
    np.testing.assert_array_equal(one.costs[:, :, :known], two.costs[:, :, :known])
    assert (one.costs[:, :, known:] != two.costs[:, :, known:]).any()
    assert one.chosen == two.chosen


def test_before_any_cost_is_known_the_first_candidate_is_taken() -> None:
    own = as_it_goes(many_products(6))
    assert own.choice(2) == 0  # with a lead time of two periods no order of the past has arrived yet


def test_series_too_young_to_learn_from_are_still_replayed() -> None:
    values = many_products(8).window(70).copy()
    values[5:, :60] = np.nan
    panel = Panel.from_wide(values, start="2025-01-06", freq="1w")
    given = {"rounds": 4, "forecaster": BASE}
    laid = replaying.world(panel, **given)  # type: ignore[arg-type]
    done = run_tuned(panel, laid, replaying.named(["optimise"]), **given)  # type: ignore[arg-type]
    assert list(done.ledgers) == ["optimise", "tuned"]
    assert done.ledgers["tuned"].ordered.shape[0] == 8
    assert done.notes[-1].startswith("tuned took from round 1 on")
    with pytest.raises(ParameterError, match="'tuned' already"):
        run_tuned(panel, laid, {"tuned": replaying.RULES["optimise"]}, **given)  # type: ignore[arg-type]
