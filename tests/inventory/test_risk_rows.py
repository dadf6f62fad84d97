"""Rows at past moments: what stands in them was known then."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.lead_time_demand import LeadTime
from shelfwise.inventory.risk_features import FEATURES, StockSituation, risk_features
from shelfwise.inventory.risk_rows import (
    PastForecast,
    WindowErrors,
    late_share,
    recorded_labels,
    replayed_rows,
    situation,
)

WINDOW = 3
MOMENTS = [20, 24, 28, 32]
NAMES = [f"p{i}" for i in range(12)]
LEAD_TIME = LeadTime(np.full(12, 2.0), 0.5)
DEMAND = np.random.default_rng(0).poisson(4.0, (12, 36)).astype(float)


def made(demand=DEMAND, lead_time=LEAD_TIME, **changes):
    paths = np.random.default_rng(1).poisson(4.0, (12, 50, 4))
    forecasts = [PastForecast(moment, np.arange(12), paths) for moment in MOMENTS]
    return replayed_rows(demand, NAMES, lead_time, forecasts, MOMENTS, WindowErrors(demand, WINDOW), **changes)


def test_there_is_a_row_for_each_product_moment_and_world() -> None:
    rows = made()
    assert len(rows) == 12 * len(MOMENTS) * 2
    assert set(rows.happened) <= {0.0, 1.0}
    assert np.unique(rows.moment).tolist() == MOMENTS
    assert len(made(worlds=1)) == 12 * len(MOMENTS)


def test_a_late_delivery_shows_in_what_happened_and_not_in_what_was_known() -> None:
    """Orders expected within the window come after it: more stockouts than the paths, which trust the day, say."""
    surprise = [
        float((rows.happened - rows.probability).mean())
        for rows in (made(lead_time=LeadTime(np.full(12, 2.0), sd), worlds=4) for sd in (0.0, 3.0))
    ]
    assert surprise[1] > surprise[0] + 0.03


def test_nothing_after_a_moment_stands_in_its_features() -> None:
    later = DEMAND.copy()
    later[:, 28:] = 99.0
    before, after = made(), made(later)
    early = before.moment <= 28
    assert_array_equal(before.features[early], after.features[early])
    assert_array_equal(before.probability[early], after.probability[early])
    assert (after.happened[after.moment == 28] == 1).all()


def test_moments_whose_window_is_not_over_make_no_rows() -> None:
    assert 32 not in made(DEMAND[:, :34]).moment


def test_errors_are_those_of_windows_that_were_over() -> None:
    rows = made()
    bias = rows.features[:, list(FEATURES).index("error_bias")]
    assert np.isnan(bias[rows.moment == 20]).all()
    assert not np.isnan(bias[rows.moment > 20]).any()


def test_features_have_no_scale() -> None:
    """A hundred times the units is the same risk, but for the level and the half units that keep fractions finite."""

    def at(scale):
        history = DEMAND * 1000 * scale
        numbers = {"expected": 12e3 * scale, "spread": 4e3 * scale, "on_hand": 8e3 * scale, "due": 4e3 * scale}
        full = {name: np.full(12, value) for name, value in numbers.items()}
        return risk_features(StockSituation(history=history, probability=np.full(12, 0.3), window=3, **full))

    free = [i for i, name in enumerate(FEATURES) if name != "level"]
    np.testing.assert_allclose(at(1.0)[:, free], at(100.0)[:, free], atol=1e-3)


def test_a_history_without_a_known_period_gives_unknown_features_and_no_error() -> None:
    nothing = np.full(1, 0.0)
    row = risk_features(StockSituation(np.full((1, 5), np.nan), nothing, nothing, nothing, nothing, nothing, 3))
    assert row.shape == (1, len(FEATURES))
    assert np.isnan(row[0, list(FEATURES).index("volatility")])
    assert np.isfinite(row[0, list(FEATURES).index("window_cover")])


def test_a_supplier_that_varies_is_late_in_part() -> None:
    share = late_share(LeadTime([2.0, 2.0, 3.0], [0.0, 1.0, 1.0]), ["a", "b", "c"])
    assert share[0] == 0
    assert 0.1 < share[1] < 0.6


def test_an_empty_shelf_that_nobody_asks_of_is_no_recorded_stockout() -> None:
    assert recorded_labels(np.zeros((2, 3)), np.array([0.0, 2.0])).tolist() == [0.0, 1.0]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ParameterError, match="window must be from 1 to the horizon 4, got 5"):
        situation(DEMAND, np.ones((12, 5, 4)), np.ones(12), np.zeros((12, 4)), 5, 13)
    with pytest.raises(ParameterError, match="worlds must be at least 1, got 0"):
        made(worlds=0)
    with pytest.raises(ParameterError, match="expected must be one number for each of the 12 series"):
        StockSituation(DEMAND, np.ones(12), np.ones(3), np.ones(12), np.ones(12), np.ones(12), 3)
    with pytest.raises(ParameterError, match="memory at least 3 periods"):
        StockSituation(DEMAND, np.ones(12), np.ones(12), np.ones(12), np.ones(12), np.ones(12), 3, memory=2)
