"""Lead-time draws, protection demand and measured lead times."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.lead_time_demand import (
    LeadTime,
    demand_over,
    measured_lead_times,
    protection_demand,
    required_horizon,
)


def deliveries(supplier: str, days: list[int], lines: int = 1) -> pl.DataFrame:
    start = date(2026, 1, 1)
    return pl.DataFrame(
        [
            {
                "purchase_order": f"{supplier}-{n}", "supplier": supplier, "product": f"p{line}", "warehouse": "main",
                "quantity": 5.0, "ordered_on": start, "received_on": start + timedelta(days=wait),
            }
            for n, wait in enumerate(days)
            for line in range(lines)
        ]
    )  # fmt: skip


def test_draws_depend_on_seed_and_id_and_not_on_the_place_in_a_chunk() -> None:
    names, mean, sd = ["a", "b", "c"], np.array([5.0, 9.0, 14.0]), np.array([2.0, 0.5, 4.0])
    whole = LeadTime(mean, sd).draw(names, 100, seed=1)
    for row in (2, 0, 1):
        alone = LeadTime(mean[[row]], sd[[row]]).draw([names[row]], 100, seed=1)
        assert_array_equal(alone[0], whole[row])
    assert not np.array_equal(LeadTime(mean, sd).draw(names, 100, seed=2), whole)
    same = LeadTime([9.0, 9.0], [2.0, 2.0])
    draws = same.draw(["x", "y"], 100)
    assert not np.array_equal(draws[0], draws[1])


def test_draws_have_the_mean_and_spread_asked_for() -> None:
    draws = LeadTime([14.0], [4.0]).draw(["a"], 4000)
    assert draws.mean() == pytest.approx(14, rel=0.01)
    assert draws.std() == pytest.approx(4, rel=0.05)


def test_a_lead_time_that_never_varies_is_itself_on_every_path() -> None:
    assert_array_equal(LeadTime([0.0, 3.0], [0.0, 0.0]).draw(["a", "b"], 50), [[0] * 50, [3] * 50])


def test_measured_samples_are_drawn_from_as_they_are() -> None:
    draws = LeadTime([9.0], [1.0], samples=[[4, 4, 4, 20]]).draw(["a"], 400)
    values, counts = np.unique(draws, return_counts=True)
    assert (values.tolist(), counts.tolist()) == ([4, 20], [300, 100])


def test_the_longest_lead_time_bounds_the_draws_and_the_horizon() -> None:
    lead_time = LeadTime([10.0, 4.0], [6.0, 0.0], samples=[None, [2, 30]])
    longest = lead_time.longest_periods
    assert np.all(lead_time.draw(["a", "b"], 2000).max(axis=1) <= longest)
    assert required_horizon(lead_time, [1, 7]) == max(longest[0] + 1, 37)


@pytest.mark.parametrize(
    ("mean", "sd", "message"),
    [
        ([-1.0], [0.0], "mean lead time must be zero or more periods, got -1"),
        ([3.0], [float("nan")], "lead-time standard deviation must be zero or more periods, got nan"),
        ([0.0], [2.0], "a lead time of 0 periods cannot vary"),
    ],
)
def test_impossible_lead_times_are_refused(mean: list[float], sd: list[float], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        LeadTime(mean, sd)


def test_measured_lead_times_must_hold_numbers() -> None:
    with pytest.raises(ParameterError, match="one or more numbers"):
        LeadTime([3.0], [1.0], samples=[[]])


def test_demand_starts_now_and_lasts_lead_time_plus_review() -> None:
    paths = np.array([[[1.0, 10.0, 100.0, 1000.0]]])
    assert protection_demand(paths, [0], [1])[0, 0] == 1.0
    assert protection_demand(paths, [2], [1])[0, 0] == 111.0
    assert protection_demand(paths, [2], [2])[0, 0] == 1111.0
    assert demand_over(paths, [0])[0, 0] == 0.0


def test_a_short_horizon_is_an_error_that_says_how_long_it_must_be() -> None:
    message = "protection time 21 is longer than the horizon 14; forecast at least 21 periods"
    with pytest.raises(ParameterError, match=message):
        protection_demand(np.ones((1, 2, 14)), [[3, 14]], [7])


def test_a_review_time_of_nothing_is_refused() -> None:
    with pytest.raises(ParameterError, match="review time must be at least 1 period, got 0"):
        protection_demand(np.ones((1, 1, 5)), [1], [0])


def test_quantiles_do_not_add_so_sums_are_taken_first() -> None:
    """Seven daily 95 % points add up to far more than the 95 % point of the seven-day sum."""
    paths = np.random.default_rng(0).poisson(1.0, (1, 4000, 7)).astype(float)
    summed = np.quantile(paths[0], 0.95, axis=0).sum()
    assert summed > 1.5 * np.quantile(protection_demand(paths, [6], [1])[0], 0.95)


def test_many_deliveries_outweigh_what_the_supplier_states() -> None:
    suppliers = pl.DataFrame({"supplier": ["few", "many"], "lead_time_days": [10.0, 10.0]})
    receipts = pl.concat([deliveries("few", [20, 20]), deliveries("many", [20] * 95)])
    rows = {row["supplier"]: row for row in measured_lead_times(receipts, suppliers).iter_rows(named=True)}
    assert rows["few"]["mean_days"] == pytest.approx((2 * 20 + 5 * 10) / 7)
    assert rows["many"]["mean_days"] == pytest.approx(19.5)
    assert rows["few"]["samples"] is None
    assert rows["many"]["samples"] == [20.0] * 95


def test_the_measured_spread_is_shrunk_to_the_stated_one() -> None:
    suppliers = pl.DataFrame({"supplier": ["s"], "lead_time_days": [10.0], "lead_time_sd_days": [1.0]})
    row = measured_lead_times(deliveries("s", [6, 10, 14]), suppliers).row(0, named=True)
    assert row["sd_days"] == pytest.approx(((2 * 16 + 5 * 1) / 7) ** 0.5)


def test_lines_of_one_delivery_count_once() -> None:
    assert measured_lead_times(deliveries("s", [7, 9], lines=30))["deliveries"].to_list() == [2]


def test_a_supplier_never_delivered_keeps_its_stated_lead_time_and_an_unstated_one_its_measured() -> None:
    suppliers = pl.DataFrame({"supplier": ["new", "silent"], "lead_time_days": [12.0, None]})
    frame = measured_lead_times(deliveries("unstated", [5, 7]), suppliers)
    rows = {row["supplier"]: row for row in frame.iter_rows(named=True)}
    assert (rows["new"]["mean_days"], rows["new"]["deliveries"]) == (12.0, 0)
    assert rows["new"]["sd_days"] == pytest.approx(2.4)
    assert rows["unstated"]["mean_days"] == 6.0
    assert rows["silent"]["mean_days"] is None


def test_receipts_without_an_order_day_or_before_it_measure_nothing() -> None:
    odd = deliveries("s", [4]).with_columns(received_on=pl.lit(date(2025, 12, 1)))
    none = deliveries("t", [4]).with_columns(ordered_on=pl.lit(None, dtype=pl.Date))
    assert measured_lead_times(pl.concat([odd, none])).is_empty()
