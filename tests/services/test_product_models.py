"""The model of a product: confidence from what came true, and words from documented thresholds."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest

from shelfwise.domain.panel import Panel
from shelfwise.services.product_models import HELD_OUT, Calibration, ProductModel, calibrations, summary_of


def panel_of(values: Any, **more: Any) -> Panel:
    """Daily series of products, from Monday 1 September 2025 on."""
    n = len(values)
    table = pl.DataFrame(
        {
            "unique_id": [f"P{i}@m" for i in range(n)],
            "product": more.pop("products", [f"P{i}" for i in range(n)]),
            "warehouse": [f"m{i}" for i in range(n)],
        }
    )
    return Panel.from_wide(np.asarray(values, dtype=float), start="2025-09-01", series=table, **more)


def test_confidence_falls_where_the_last_weeks_were_not_what_the_ones_before_had_said() -> None:
    rng = np.random.default_rng(3)
    steady = rng.poisson(20, 200)
    broken = steady.copy()
    broken[-HELD_OUT:] = 2
    found = calibrations(panel_of([steady, broken]))
    assert found["P0"].confidence > 0.8
    assert found["P1"].confidence < 0.5
    assert found["P1"].error > 0.4
    assert found["P0"].days == HELD_OUT


def test_more_days_of_noise_make_no_confidence() -> None:
    rng = np.random.default_rng(3)
    lumpy = rng.poisson(1, 360) * rng.poisson(0.3, 360) * 12.0
    steady = np.full(80, 9.0)
    long, short = calibrations(panel_of([lumpy]))["P0"], calibrations(panel_of([steady]))["P0"]
    assert long.confidence < short.confidence


def test_hidden_days_are_not_scored() -> None:
    values = np.full((1, 100), 6.0)
    values[0, -7:] = 0.0
    hidden = np.ones((1, 100))
    hidden[0, -7:] = 0
    found = calibrations(panel_of(values, available=hidden))["P0"]
    assert found.days == HELD_OUT - 7
    assert found.error < 0.2


def test_a_product_without_enough_history_has_no_calibration() -> None:
    assert calibrations(panel_of([np.full(20, 3.0)])) == {}


def test_the_summary_adds_warehouses_up_and_reads_closed_days_as_their_weekday() -> None:
    week = np.array([4.0, 4, 4, 4, 8, 12, np.nan] * 10)  # closed on Sundays
    found = summary_of(panel_of([week, week / 2], products=["A", "A"]), "base_level 1", None)
    assert found is not None
    assert found["training_count"] == 60
    assert found["weekly_factors"][6] == pytest.approx(0.0, abs=0.05)
    assert found["mean"] == pytest.approx(54 / 7, abs=0.01)
    assert (found["trend"], found["has_seasonality"], found["confidence"]) == ("stable", True, 0.0)


def test_a_year_is_looked_at_and_no_more() -> None:
    found = summary_of(panel_of([np.arange(500.0)]), "m 1", None)
    assert found is not None
    assert (found["days"], found["training_count"]) == (365, 365)
    assert (found["slope"], found["intercept"]) == (1.0, 135.0)


def test_six_observations_make_no_summary() -> None:
    assert summary_of(panel_of([[1.0, 2, 3, 4, 5, 6]]), "m 1", None) is None
    assert summary_of(panel_of([[1.0, np.nan, 2, 3, 4, np.nan, 5, 6]]), "m 1", None) is None


@pytest.mark.parametrize(
    ("calibration", "usable", "words"),
    [
        (Calibration(0.1, 0.8, 0.8, 28), 1.0, ("high", "good", "reliable")),
        (Calibration(0.5, 0.65, 0.8, 28), 0.9, ("medium", "fair", "fair")),
        (Calibration(0.8, 0.4, 0.8, 28), 0.5, ("low", "poor", "unreliable")),
    ],
)
def test_words_follow_the_documented_thresholds(
    calibration: Calibration, usable: float, words: tuple[str, str, str]
) -> None:
    summary = {
        "confidence": calibration.confidence, "usable": usable, "scored_days": calibration.days,
        "coverage": calibration.coverage, "expected_coverage": calibration.expected,
    }  # fmt: skip
    found = ProductModel("A", None, summary, 0, None, dt.datetime.combine(dt.date(2026, 1, 1), dt.time()))
    assert (found.confidence_level, found.data_quality, found.reliability) == words
