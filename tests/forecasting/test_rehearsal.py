"""Rehearsals: one early fit, several cutoffs, nothing of what came later, and a reason for whoever is left out."""

from __future__ import annotations

import numpy as np
import pytest

from shelfwise.domain.errors import ModelError
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.models.base_level import BaseLevel
from shelfwise.forecasting.models.naive import SeasonalNaive
from shelfwise.forecasting.models.trees import Trees
from shelfwise.forecasting.rehearsal import backs_of, fit_all, highest_of, rehearse

NAN = float("nan")
MEMBERS = (BaseLevel(), SeasonalNaive())


def panel_of(values, **given):
    ids = [f"p{i}" for i in range(len(values))]
    return Panel.from_wide(values, start="2026-01-01", series={"unique_id": ids}, **given)


def counts(n=40, periods=200, seed=0):
    rng = np.random.default_rng(seed)
    return rng.poisson(rng.gamma(2.0, 3.0, (n, 1)) * (1.0 + 0.5 * np.sin(2 * np.pi * np.arange(periods) / 7)))


def test_windows_follow_each_other_up_to_the_end_and_leave_most_of_the_past_to_the_fit():
    for longest in (40, 60, 120, 400, 2000):
        for horizon in (1, 7, 28):
            backs = backs_of(longest, horizon)
            if backs:
                assert backs == sorted(backs, reverse=True)
                assert backs[-1] == horizon
                assert longest - backs[0] >= max(8, horizon)
    assert backs_of(10, 3) == backs_of(0, 1) == []


def test_rows_are_series_at_cutoffs_beside_what_came():
    panel = panel_of(counts(3))
    known = rehearse(panel, MEMBERS, 100)
    horizon, cutoffs = known.horizon, known.outcomes.n_windows
    assert (horizon, cutoffs) == (28, 2 + 1)  # a fifth of the history, at most 28 days; room for two: a third across
    assert known.mean.shape == known.variance.shape == (2, 3 * cutoffs, horizon)
    last = known.outcomes.actual[known.outcomes.windows == cutoffs - 1]
    np.testing.assert_array_equal(last, panel.window(horizon))


def test_members_see_nothing_after_a_cutoff():
    values = counts(12).astype(float)
    poisoned = values.copy()
    poisoned[:, -28:] *= 1000
    honest, other = (rehearse(panel_of(each), MEMBERS, 100) for each in (values, poisoned))
    np.testing.assert_array_equal(honest.mean, other.mean)
    np.testing.assert_array_equal(honest.variance, other.variance)


def test_what_was_hidden_or_not_recorded_is_not_scored():
    values, there = counts(4).astype(float), np.ones((4, 200), dtype=bool)
    values[0, -5:] = NAN
    there[1, -7:] = False
    known = rehearse(panel_of(values, available=there), MEMBERS, 100)
    last = known.outcomes.scored[known.outcomes.windows == known.outcomes.n_windows - 1]
    assert (~last).sum(axis=1).tolist() == [5, 7, 0, 0]


def test_a_history_too_short_is_not_rehearsed_and_members_that_all_fail_are_told_of():
    assert rehearse(panel_of(counts(4, 9)), MEMBERS, 100) is None
    with pytest.raises(ModelError, match="no member could be fitted on an early past"):
        rehearse(panel_of(counts(4)), (_Broken(),), 100)


def test_trees_that_learn_nothing_are_a_twin_of_the_base_model_and_say_why():
    known = rehearse(panel_of(counts(4, 60)), (BaseLevel(), Trees(trust=1.0)), 100)
    assert known.names == ("base_level",)
    assert "the base model stands alone" in known.twins["trees"][0]


def test_the_base_model_inside_the_trees_is_the_one_that_would_be_fitted_again():
    panel = panel_of(counts(60))
    both = dict(fit_all((BaseLevel(), Trees(trust=1.0)), panel, {}))
    alone = BaseLevel().fit(panel).to_arrays()
    assert [member.name for member in both] == ["base_level", "trees"]
    for name, array in both[BaseLevel()].to_arrays().items():
        np.testing.assert_array_equal(array, alone[name])
    other = BaseLevel(cutoffs=1)
    found = dict(fit_all((other, Trees(trust=1.0)), panel, {}))[other]
    assert not np.array_equal(found.to_arrays()["mix"], alone["mix"])


def test_the_largest_value_is_of_demand_that_was_seen():
    values = np.array([[1.0, 9.0, 2.0], [NAN, NAN, 4.0], [-3.0, -1.0, -2.0]])
    there = np.array([[True, False, True], [True] * 3, [True] * 3])
    assert highest_of(panel_of(values, available=there)).tolist() == [2.0, 4.0, 0.0]


class _Broken:
    name = "broken"

    def fit(self, panel):
        raise ValueError("singular matrix")
