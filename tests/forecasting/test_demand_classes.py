"""Classes of demand: each from one series' own history."""

from __future__ import annotations

import numpy as np
import pytest

from shelfwise.domain.panel import Panel
from shelfwise.forecasting.demand_classes import CLASSES, classes_of

NAN = float("nan")
RNG = np.random.default_rng(0)
DAYS = 420
HISTORIES = {
    "smooth": RNG.poisson(40, DAYS).astype(float),
    "erratic": RNG.gamma(0.6, 20, DAYS) + 0.1,
    "intermittent": np.where(np.arange(DAYS) % 4 == 1, 5.0, 0.0),
    "lumpy": np.where(np.arange(DAYS) % 4 == 1, RNG.gamma(0.5, 20, DAYS) + 0.1, 0.0),
    "regular": np.tile([10.0, 20, 30, 40, 50, 60, 5], DAYS // 7) + RNG.normal(0, 0.1, DAYS),
    "short": np.where(np.arange(DAYS) < DAYS - 9, NAN, 3.0),
}


def panel_of(rows):
    return Panel.from_wide(rows, start="2026-01-01")


@pytest.mark.parametrize("name", CLASSES)
def test_a_history_is_told_by_how_it_sells(name):
    assert CLASSES[classes_of(panel_of([HISTORIES[name]]))[0]] == name


def test_a_class_is_the_series_own_whoever_stands_beside_it():
    whole = panel_of(list(HISTORIES.values()))
    assert [CLASSES[code] for code in classes_of(whole)] == list(HISTORIES)
    assert [int(classes_of(whole.select([i]))[0]) for i in range(6)] == classes_of(whole).tolist()


def test_what_was_hidden_by_a_stockout_tells_nothing():
    sold_out = np.where(np.arange(DAYS) % 3 > 0, 0.0, HISTORIES["smooth"])
    assert CLASSES[classes_of(panel_of([sold_out]))[0]] == "intermittent"
    there = (np.arange(DAYS) % 3 == 0)[None, :]
    hidden = Panel.from_wide([sold_out], start="2026-01-01", available=there)
    assert CLASSES[classes_of(hidden)[0]] == "smooth"


def test_a_series_that_never_or_once_sold_is_short_of_telling():
    once = np.where(np.arange(DAYS) == 200, 9.0, 0.0)
    assert [CLASSES[code] for code in classes_of(panel_of([np.zeros(DAYS), once]))] == ["short", "short"]
    assert classes_of(panel_of([once]).select([])).tolist() == []
