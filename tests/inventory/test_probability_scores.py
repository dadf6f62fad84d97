"""What a score of probabilities is told to refuse, and what it says where there is nothing to say."""

from __future__ import annotations

import numpy as np
import pytest

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory import probability_scores as scored


def test_the_base_rate_has_no_skill() -> None:
    happened = [1, 0, 0, 0]
    assert scored.brier_skill([0.25] * 4, happened) == 0
    assert scored.brier_skill([0.5] * 4, happened, climatology=0.5) == 0
    assert scored.calibration_error([0.25] * 4, happened) == 0


def test_rows_of_one_kind_rank_nothing() -> None:
    assert np.isnan(scored.roc_auc([0.2, 0.4], [1, 1]))
    assert np.isnan(scored.average_precision([0.2, 0.4], [0, 0]))
    assert np.isnan(scored.brier_skill([0.2, 0.4], [0, 0]))


def test_a_stockout_said_too_late_costs_more_the_later_it_is_said() -> None:
    surely = np.triu(np.ones((4, 4)))  # row i: out in period i + 1
    cost = scored.ranked_probability_score(surely, np.ones(4))
    assert cost.tolist() == [0, 0.25, 0.5, 0.75]


@pytest.mark.parametrize(
    ("probability", "happened", "rule"),
    [
        ([0.5], [1, 0], "one number each for the same rows"),
        ([], [], "at least one"),
        ([1.2], [1], "from 0 to 1"),
        ([np.nan], [1], "from 0 to 1"),
        ([0.2], [np.nan], "must be 0 or 1"),
    ],
)
def test_what_is_no_probability_or_no_outcome_is_refused(probability, happened, rule) -> None:
    with pytest.raises(ParameterError, match=rule):
        scored.brier_score(probability, happened)


def test_bins_and_periods_have_to_fit() -> None:
    with pytest.raises(ParameterError, match="bins must be at least 1, got 0"):
        scored.reliability([0.5], [1], bins=0)
    with pytest.raises(ParameterError, match="one first period for each row"):
        scored.ranked_probability_score([[0.5]], [1, 2])
