"""Costs side by side: what a difference is, and what its range says."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import polars as pl
import pytest

from shelfwise import charts
from shelfwise.domain.calendar import Frequency
from shelfwise.domain.errors import DataError
from shelfwise.inventory.replay import Ledger, ReplayTerms
from shelfwise.inventory.replay_scores import Replay, difference


def ledger(left: np.ndarray, lost: np.ndarray, **terms: float) -> Ledger:
    sold = np.full(left.shape, 4.0)
    return Ledger(
        sold * 0, sold * 0, sold, lost, left, np.ones(left.shape, dtype=bool), ReplayTerms.of(len(left), **terms)
    )


def two_policies() -> Replay:
    shape = (3, 2)
    ledgers = {
        "today": ledger(np.full(shape, 10.0), np.zeros(shape), unit_value=3.0),
        "ours": ledger(np.full(shape, 4.0), np.full(shape, 0.5), unit_value=3.0),
    }
    freq = Frequency.parse("1w")
    return Replay(ledgers, pl.Series("unique_id", ["a", "b", "c"]), freq.moments([2900, 2901]), freq)


def test_a_summary_adds_up_by_hand() -> None:
    today, ours = two_policies().summary().to_dicts()
    assert today["cost"] == pytest.approx(6 * 10 * 0.2)
    assert ours["cost"] == pytest.approx(6 * 4 * 0.2 + 6 * 0.5)
    assert ours["fill_rate"] == pytest.approx(4 / 4.5)
    assert (ours["stock"], ours["stock_value"]) == pytest.approx((12.0, 36.0))
    assert ours["turns"] == pytest.approx(3 * 4 * 52.18 / 12)
    assert ours["difference"] == pytest.approx(7.8 / 12 - 1)
    assert ours["stockout_periods"] == 1.0
    assert today["difference"] is None


def test_rows_hold_every_policy_series_and_period_and_add_up_to_the_summary() -> None:
    done = two_policies()
    rows = done.rows
    assert rows.height == 2 * 3 * 2
    assert rows["ds"].dtype == pl.Date
    assert rows.filter(pl.col("policy") == "ours")["lost"].sum() == pytest.approx(3.0)


def test_the_range_widens_with_the_spread_between_series_and_holds_the_truth_nine_times_in_ten() -> None:
    random = np.random.default_rng(2)
    hits = 0
    for seed in range(60):
        reference = random.gamma(4.0, 5.0, 300)
        found = difference(reference * random.normal(0.9, 0.3, 300), reference, seed=seed, resamples=300)
        hits += found.low <= -0.1 <= found.high
    assert 47 <= hits <= 60
    wide = difference(reference * random.normal(0.9, 0.9, 300), reference)
    assert wide.high - wide.low > 2 * (found.high - found.low)


def test_nothing_lost_by_the_first_policy_leaves_no_difference() -> None:
    assert np.isnan(difference(np.ones(3), np.zeros(3)).value)


def test_the_drawing_names_every_policy_with_its_cost() -> None:
    text = "".join(ET.fromstring(two_policies().chart()).itertext())
    assert "today: 12.0 in all, 12.0 of it for holding" in text
    with pytest.raises(DataError, match="no policy was replayed"):
        charts.policy_costs(two_policies().summary().clear())
