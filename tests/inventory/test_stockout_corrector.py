"""The corrector: learns what paths miss, leaves good paths alone, and comes back from its arrays as it was."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from shelfwise.domain.errors import ModelError, ParameterError
from shelfwise.inventory.probability_scores import brier_score, calibration_error
from shelfwise.inventory.risk_features import FEATURES, logit
from shelfwise.inventory.stockout_corrector import CorrectedRisk, CorrectorRules, RiskRows, fit_corrector

pytest.importorskip("xgboost", reason="needs the extra 'classic'")

WINDOW = 2
RULES = CorrectorRules(rounds=40)


def rows(missed: float, moments: int = 14, each: int = 700, seed: int = 0) -> RiskRows:
    """Stockouts whose log odds are those of the paths and, by ``missed``, the supplier's late share."""
    rng = np.random.default_rng(seed)
    m = moments * each
    features = rng.normal(size=(m, len(FEATURES))).astype(np.float32)
    late = features[:, list(FEATURES).index("late_share")]
    said = 1 / (1 + np.exp(-rng.normal(-0.5, 1.2, m)))
    true = 1 / (1 + np.exp(-(logit(said) + missed * late)))
    moment = np.repeat(np.arange(0, moments * WINDOW, WINDOW), each)
    return RiskRows(features, said, moment, (rng.random(m) < true).astype(float))


@pytest.fixture(scope="module")
def learnt():
    return fit_corrector(rows(missed=1.5), WINDOW, RULES)


def test_what_the_paths_miss_is_learnt(learnt) -> None:
    fresh = rows(missed=1.5, moments=2, seed=9)
    told = learnt.correct(fresh.probability, fresh.features)
    assert learnt.used
    assert "better than the paths alone" in learnt.reason
    assert brier_score(told.best, fresh.happened) < 0.95 * brier_score(fresh.probability, fresh.happened)
    assert calibration_error(told.best, fresh.happened) < 0.06
    assert told.disagree.any()
    assert_array_equal(told.disagree, np.abs(told.corrected - told.paths) >= 0.2)


def test_paths_that_miss_nothing_are_left_alone() -> None:
    fitted = fit_corrector(rows(missed=0.0), WINDOW, RULES)
    assert not fitted.used
    assert "not used: it is no better than the paths" in fitted.reason
    told = fitted.correct([0.3], np.zeros((1, len(FEATURES))))
    assert told.best.tolist() == [0.3]
    assert np.isnan(told.corrected).all()
    assert not told.disagree.any()


def test_the_same_rows_give_the_same_corrector(learnt) -> None:
    again = fit_corrector(rows(missed=1.5), WINDOW, RULES)
    assert again.booster == learnt.booster
    assert (again.level, again.slope) == (learnt.level, learnt.slope)


def test_rows_after_the_gap_do_not_move_the_trees() -> None:
    """The trees see nothing whose window reaches the held-out moments, or a window before them."""
    known = rows(missed=1.5)
    changed = RiskRows(
        known.features,
        known.probability,
        known.moment,
        np.where(known.moment >= 18, 1 - known.happened, known.happened),
    )
    first_held_out = np.unique(known.moment)[-RULES.held_out]
    assert first_held_out == 20
    assert fit_corrector(changed, WINDOW, RULES).booster == fit_corrector(known, WINDOW, RULES).booster


def test_it_survives_saving_and_loading(learnt) -> None:
    again = type(learnt).from_arrays(learnt.to_arrays())
    fresh = rows(missed=1.5, moments=1, seed=3)
    assert_allclose(
        again.correct(fresh.probability, fresh.features).corrected,
        learnt.correct(fresh.probability, fresh.features).corrected,
    )
    assert again.judgement == learnt.judgement
    with pytest.raises(ModelError, match="cannot be read"):
        type(learnt).from_arrays({"header": np.frombuffer(b"{", dtype=np.uint8)})
    broken = {**learnt.to_arrays(), "booster": np.frombuffer(b"nothing", dtype=np.uint8)}
    with pytest.raises(ModelError, match="cannot be read; fit it again"):
        type(learnt).from_arrays(broken).correct([0.5], np.zeros((1, len(FEATURES))))


def test_too_little_history_is_said_in_numbers() -> None:
    few = fit_corrector(rows(missed=1.5, moments=5), WINDOW, RULES)
    assert (few.used, few.reason) == (False, "only 5 past moments to learn from, at least 8 are needed")
    small = fit_corrector(rows(missed=1.5, each=50), WINDOW, RULES)
    assert not small.used
    assert "at least 2,000 are needed" in small.reason


def test_rows_without_a_known_outcome_are_dropped() -> None:
    known = rows(missed=0.0, moments=1, each=4)
    some = RiskRows(known.features, known.probability, known.moment, np.array([1.0, np.nan, 0.0, np.nan]))
    assert len(some) == 2
    assert some.features.shape == (2, len(FEATURES))
    assert len(RiskRows.joined([])) == 0


def test_without_xgboost_the_extra_is_named(monkeypatch) -> None:
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "xgboost":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModelError, match=r"extra 'classic'; pip install 'shelfwise\[classic\]'"):
        fit_corrector(rows(missed=1.5), WINDOW, RULES)


def test_rules_and_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ParameterError, match="held_out must be at least 2 and below least_moments, got 8 and 8"):
        CorrectorRules(held_out=8)
    with pytest.raises(ParameterError, match="window must be at least 1 period, got 0"):
        fit_corrector(rows(0.0, moments=1, each=4), 0)
    with pytest.raises(ParameterError, match=f"must have {len(FEATURES)} features"):
        RiskRows(np.zeros((2, 3), dtype=np.float32), np.zeros(2), np.zeros(2, dtype=np.int64), np.zeros(2))


def test_probabilities_twenty_points_apart_disagree() -> None:
    assert CorrectedRisk(np.array([0.5, 0.5, 0.5]), np.array([0.7, 0.65, 0.3])).disagree.tolist() == [True, False, True]
