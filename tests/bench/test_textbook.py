"""Ours and stockpyl give the same answers, to cases in closed form and to the same demand simulated."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

pytest.importorskip("stockpyl", reason="the extra 'bench' is not installed")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from bench.textbook import cases, ours, simulated


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", list(cases()))
def test_a_textbook_case_has_one_answer(name: str) -> None:
    mine, theirs = cases()[name]
    assert [float(value) for value in mine()] == pytest.approx([float(value) for value in theirs()], rel=1e-6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["base stock", "(s, S)", "(r, Q)"])
def test_the_same_demand_under_the_same_policy_costs_the_same(kind: str) -> None:
    demand = np.random.default_rng(4).poisson(20.0, (2, 60)).astype(float)
    costs, _ = ours(kind, demand)
    assert costs[1] == pytest.approx(simulated(kind, demand[1])[0], rel=1e-6)
