"""Scores of probabilities beside slow loops over pairs and bins, and figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from shelfwise.inventory import probability_scores as scored

SAID = [0.1, 0.1, 0.3, 0.3, 0.3, 0.6, 0.6, 0.9]
CAME = [0, 0, 0, 1, 0, 1, 0, 1]


@pytest.fixture
def drawn():
    """200 probabilities with ties and what happened."""
    rng = np.random.default_rng(1)
    said = rng.integers(0, 21, 200) / 20
    return said, (rng.random(200) < said).astype(float)


def test_a_table_worked_out_by_hand() -> None:
    found = scored.scores(SAID, CAME)
    assert found.rate == 3 / 8
    assert_allclose(found.brier, (0.01 + 0.01 + 0.09 + 0.49 + 0.09 + 0.16 + 0.36 + 0.01) / 8)
    assert_allclose(found.skill, 1 - found.brier / (3 / 8 * 5 / 8))
    # pairs: 0.3 against 0.1 0.1 0.3 0.3 0.6, 0.6 against all and itself, 0.9 against all
    assert_allclose(found.auc, ((2 + 2 * 0.5) + (4 + 0.5) + 5) / 15)
    assert_allclose(found.average_precision, (1 + 2 / 3 + 3 / 6) / 3)
    assert_allclose(found.calibration_error, (2 * 0.1 + 3 * (1 / 3 - 0.3) + 2 * 0.1 + 1 * 0.1) / 8)


def test_area_under_the_curve_is_the_share_of_pairs_in_order(drawn) -> None:
    said, came = drawn
    pairs = [
        1.0 if a > b else 0.5 if a == b else 0.0
        for a, yes in zip(said, came, strict=True)
        for b, no in zip(said, came, strict=True)
        if yes and not no
    ]
    assert_allclose(scored.roc_auc(said, came), np.mean(pairs))


def test_average_precision_steps_down_the_list(drawn) -> None:
    said, came = drawn
    total, recall_before = 0.0, 0.0
    for threshold in sorted(set(said), reverse=True):
        shown = came[said >= threshold]
        recall = shown.sum() / came.sum()
        total += (recall - recall_before) * shown.mean()
        recall_before = recall
    assert_allclose(scored.average_precision(said, came), total)


def test_calibration_error_bin_by_bin(drawn) -> None:
    said, came = drawn
    total = 0.0
    for low in range(10):
        inside = [i for i, p in enumerate(said) if low <= p * 10 < low + 1 or (low == 9 and p == 1)]
        if inside:
            total += len(inside) / len(said) * abs(np.mean(said[inside]) - np.mean(came[inside]))
    assert_allclose(scored.calibration_error(said, came), total)


def test_ranked_probability_score_period_by_period() -> None:
    chance, first = np.array([[0.1, 0.3, 0.9], [0.0, 0.0, 0.2]]), np.array([2.0, np.nan])
    by_hand = [(0.1**2 + 0.7**2 + 0.1**2) / 3, 0.2**2 / 3]
    assert_allclose(scored.ranked_probability_score(chance, first), by_hand)
