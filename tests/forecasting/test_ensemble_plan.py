"""An ensemble's plan: who answers for which class where the rehearsal can tell, and where it cannot."""

from __future__ import annotations

import numpy as np
import polars as pl

from shelfwise.domain.panel import Panel
from shelfwise.forecasting.ensemble import Ensemble
from shelfwise.forecasting.ensemble_plan import Plan, part_of_steps, parts_of, rehearsed_without_a_year


def weeks(n):
    wave = 20 * (1 + 0.5 * np.sin(np.arange(n) * 2 * np.pi / 52))
    values = np.random.default_rng(0).poisson(np.tile(wave, (40, 1))).astype(float)
    return Panel.from_wide(values, start="2024-01-01", freq="1w")


def test_a_rehearsal_of_weeks_needs_more_than_a_year_before_it():
    assert rehearsed_without_a_year(weeks(70))
    assert not rehearsed_without_a_year(weeks(160))
    assert not rehearsed_without_a_year(weeks(70).select([]))


def test_members_that_know_no_year_carry_nothing_where_the_rehearsal_knew_none():
    weights = Ensemble().fit(weeks(70)).weights
    following = weights.filter(pl.col("member").is_in(["theta", "seasonal_naive"]))["weight"]
    assert len(following)
    assert following.sum() == 0


def test_what_is_kept_among_some_keeps_their_proportions_and_a_class_without_them_gets_the_first():
    plan = Plan.alone(["a", "b", "c"])
    plan.shares[0] = [0.5, 0.3, 0.2]
    plan.shares[1] = [1.0, 0.0, 0.0]
    kept = plan.among(["b", "c"]).shares
    np.testing.assert_allclose(kept[0], [0.0, 0.6, 0.4])
    np.testing.assert_allclose(kept[1], [0.0, 1.0, 0.0])
    assert plan.among(["nobody"]) is plan


def test_steps_beyond_the_last_part_of_the_horizon_belong_to_it():
    np.testing.assert_array_equal(part_of_steps(parts_of(4), 6), [0, 1, 2, 2, 2, 2])


def test_the_reference_alone_keeps_its_own_noise_and_others_take_that_of_the_blend():
    plan = Plan.alone(["a", "b", "c"])
    plan.factors[:] = 0.7
    assert (plan.among(["a"]).factors == 1.0).all()
    assert (plan.among(["a", "b"]).factors == 0.7).all()
    assert (plan.among(["b"]).factors == 0.7).all()
