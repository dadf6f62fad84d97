"""Days on which demand was hidden are marked; nothing is ever filled in, and doubt leaves a day as it is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.ingest.availability import StockoutRule, infer

STEADY = [5, 6, 4, 5, 7, 5, 6] * 8


def flagged(values: list[float], **options: object) -> list[int]:
    return infer(values, [0, len(values)], **options).nonzero()[0].tolist()  # type: ignore[arg-type]


def test_a_run_of_zeros_in_a_steady_seller_is_a_stockout() -> None:
    assert flagged([*STEADY, 0, 0, 0, 0, *STEADY]) == [56, 57, 58, 59]


def test_a_slow_mover_may_sell_nothing_for_a_week() -> None:
    slow = [1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 0] * 10
    assert flagged(slow) == []


def test_days_before_the_first_sale_are_never_flagged() -> None:
    assert flagged([0] * 20 + STEADY) == []


def test_a_silent_end_may_be_a_discontinuation_and_is_left_alone_unless_asked() -> None:
    assert flagged([*STEADY, 0, 0, 0, 0, 0]) == []
    assert flagged([*STEADY, 0, 0, 0, 0, 0], rule=StockoutRule(tail_days=7)) == [56, 57, 58, 59, 60]
    assert flagged([*STEADY] + [0] * 8, rule=StockoutRule(tail_days=7)) == []


def test_a_season_that_is_over_is_no_stockout() -> None:
    assert flagged([*STEADY] + [0] * 90 + STEADY) == []


def test_a_run_after_which_sales_stay_low_is_judged_by_the_lower_rate() -> None:
    dying = [*STEADY, *([0] * 6), *([0, 0, 0, 0, 0, 0, 1] * 8)]
    assert flagged(dying) == []


def test_weekdays_on_which_the_product_never_sells_prove_nothing() -> None:
    weekends_closed = [8, 7, 9, 8, 7, 0, 0] * 20
    assert flagged(weekends_closed) == []


def test_days_on_which_the_whole_shop_sold_nothing_are_closures() -> None:
    series = [[*STEADY, 0, 0, 0, 0, *STEADY] for _ in range(12)]
    flat = np.concatenate(series)
    offsets = np.arange(13) * len(series[0])
    assert not infer(flat, offsets).any()
    flat[offsets[11] : offsets[12]] = 5  # one product sold: the shop was open
    assert infer(flat, offsets)[: offsets[1]].nonzero()[0].tolist() == [56, 57, 58, 59]


def test_no_stock_at_closing_is_censored_even_on_a_day_that_sold() -> None:
    sold = [0, 0, 3, 2, 4, 0, 0, 1]
    stock = [0, 0, 9, 7, 0, 0, math.nan, 4]
    assert flagged(sold, on_hand=stock) == [4, 5], "from its first sale or stock on"


def test_a_zero_day_that_closed_with_stock_is_a_real_zero() -> None:
    sold = [*STEADY, 0, 0, 0, 0, *STEADY]
    stock = np.full(len(sold), math.nan)
    stock[57] = 12
    assert flagged(sold, on_hand=stock) == [56, 58, 59]


def test_days_that_were_not_recorded_are_not_flagged_and_end_a_run() -> None:
    sold = [*STEADY, 0, math.nan, 0, *STEADY]
    assert flagged(sold) == []


def test_series_of_different_lengths_and_starts_do_not_touch_each_other() -> None:
    parts = [[*STEADY, 0, 0, 0, 0, *STEADY], [0, 0, 0], [], [4.0], [0, 0, *STEADY, 0, 0, 0, 0, *STEADY]]
    offsets = np.concatenate(([0], np.cumsum([len(part) for part in parts])))
    together = infer(np.concatenate([np.asarray(p, dtype=float) for p in parts]), offsets, starts=[9, 0, 3, 70, 2])
    alone = [infer(np.asarray(p, dtype=float), [0, len(p)]) for p in parts]
    assert together.tolist() == np.concatenate(alone).tolist()
    assert together.sum() == 8


def test_almost_no_false_alarm_on_demand_that_was_always_served() -> None:
    rng = np.random.default_rng(0)
    means = np.exp(rng.normal(0, 1.5, 300))[:, None] * np.ones(400)
    sold = rng.poisson(rng.gamma(1.0, means)).astype(float)  # [N, T] overdispersed
    flags = infer(sold.ravel(), np.arange(301) * 400)
    assert flags.sum() < 0.001 * sold.size


def test_most_stockouts_of_fast_movers_are_found() -> None:
    rng = np.random.default_rng(1)
    sold = rng.poisson(rng.gamma(2.0, 4.0, (200, 300))).astype(float)  # [N, T] mean 8 a day
    true = np.zeros(sold.shape, dtype=bool)
    for series in range(200):
        start = rng.integers(80, 200)
        true[series, start : start + 10] = True
    sold[true] = 0
    flags = infer(sold.ravel(), np.arange(201) * 300).reshape(sold.shape)
    assert flags[true].mean() > 0.9
    assert true[flags].mean() > 0.9


def test_nothing_is_filled_in() -> None:
    values = np.asarray([*STEADY, 0, 0, 0, 0, *STEADY], dtype=float)
    before = values.copy()
    infer(values, [0, len(values)])
    assert (values == before).all()


@pytest.mark.parametrize(
    "wrong", [{"threshold": 0.0}, {"window_days": 3}, {"shortest_days": 9, "longest_days": 8}, {"tail_days": -1}]
)
def test_a_rule_checks_itself_at_birth(wrong: dict[str, float]) -> None:
    with pytest.raises(ParameterError):
        StockoutRule(**wrong)  # type: ignore[arg-type]


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="offsets"):
        infer([1.0, 2.0], [0, 3])
    with pytest.raises(DataError, match="starts"):
        infer([1.0, 2.0], [0, 2], starts=[0, 1])
    with pytest.raises(DataError, match="on_hand"):
        infer([1.0, 2.0], [0, 2], on_hand=[1.0])
    assert infer([], [0]).tolist() == []
