"""What holds of a joint choice under any limits: its bound, its prices, and that more room never hurts."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inventory.joint_worlds import KINDS, some_limits, some_options

from shelfwise.inventory.joint_order import Choice, choose
from shelfwise.inventory.order_options import Limit, OrderOptions

SEEDS = st.integers(0, 10**6)
SETS_OF_KINDS = st.sets(st.sampled_from(KINDS), min_size=1)
few = settings(max_examples=25, deadline=None)


def a_world(seed: int, kinds: set[str], n_items: int) -> tuple[OrderOptions, list[Limit]]:
    options = some_options(n_items, seed, periods=2)
    return options, some_limits(options, seed, sorted(kinds))


def keeps(options: OrderOptions, limits: list[Limit], choice: Choice) -> bool:
    """Whether budgets, space and minima hold, with stock that is there let stand."""
    nothing = options.offsets[:-1]
    for limit, used in zip(limits, choice.used, strict=True):
        value = limit.value
        if limit.kind == "space":
            value = max(value, options.space[nothing[limit.members], limit.column].sum())
        if limit.kind in ("budget", "space") and used > value + 1e-6:
            return False
        if limit.kind == "supplier_min" and 0 < used < value - 1e-6:
            return False
    return True


@few
@given(SEEDS, SETS_OF_KINDS, st.integers(1, 120), st.sampled_from(["auto", "lagrangian"]))
def test_limits_are_kept_and_the_bound_is_below_the_cost(seed: int, kinds: set[str], n_items: int, mode: str) -> None:
    options, limits = a_world(seed, kinds, n_items)
    choice = choose(options, limits, mode=mode, time_limit=20)
    assert keeps(options, limits, choice)
    assert choice.bound <= choice.cost
    assert choice.gap >= 0
    assert np.all(choice.prices >= 0)
    assert np.all(np.isfinite(choice.prices))
    assert np.all((choice.rows >= options.offsets[:-1]) & (choice.rows < options.offsets[1:]))
    assert choice.cost == pytest.approx(options.cost[choice.rows].sum())


@few
@given(SEEDS, st.sets(st.sampled_from(["budget", "supplier_budget", "space", "supplier_min"]), min_size=1))
def test_exact_and_priced_choices_enclose_each_other(seed: int, kinds: set[str]) -> None:
    options, limits = a_world(seed, kinds, 30)
    priced = choose(options, limits, mode="lagrangian", gap=0.0)
    exact = choose(options, limits, mode="exact", gap=0.0)
    slack = 1e-6 * max(1.0, exact.cost)
    assert priced.bound <= exact.cost + slack
    assert exact.cost <= priced.cost + slack
    assert exact.bound <= priced.cost + slack


@few
@given(SEEDS, st.floats(0.0, 1.2), st.floats(0.0, 0.5))
def test_more_budget_never_costs_more(seed: int, tight: float, more: float) -> None:
    options = some_options(25, seed)
    limits = some_limits(options, seed, ["budget", "space", "supplier_min"], tight=0.7)
    small = replace(limits[0], value=limits[0].value * tight)
    large = replace(limits[0], value=limits[0].value * (tight + more))
    less, most = (choose(options, [budget, *limits[1:]], gap=0.0) for budget in (small, large))
    assert most.cost <= less.cost + 1e-6 * max(1.0, less.cost)


@few
@given(SEEDS, st.floats(0.1, 1.0), st.floats(0.0, 0.2))
def test_more_budget_never_costs_more_than_the_proven_gap_where_it_is_not_exact(
    seed: int, tight: float, more: float
) -> None:
    options = some_options(300, seed)
    budget = some_limits(options, seed, ["budget"], tight=tight)[0]
    less = choose(options, [budget], mode="lagrangian")
    most = choose(options, [replace(budget, value=budget.value * (1 + more))], mode="lagrangian")
    assert most.bound <= less.cost
    assert most.cost <= less.cost + most.gap * most.cost + 1e-9


@few
@given(SEEDS, st.integers(1, 80))
def test_limits_far_away_have_no_price_and_change_nothing(seed: int, n_items: int) -> None:
    options = some_options(n_items, seed)
    tight = some_limits(options, seed, ["budget"], tight=0.5)
    roomy = [
        replace(limit, value=limit.value * 1e3 + 1e3 if limit.kind in ("budget", "space") else 0.0)
        for limit in some_limits(options, seed, ["supplier_budget", "space", "service", "supplier_min"])
    ]
    choice = choose(options, [*tight, *roomy], mode="exact", gap=0.0)
    assert np.all(choice.prices[1:] == 0)
    assert choice.cost == pytest.approx(choose(options, tight, mode="exact", gap=0.0).cost)


@few
@given(SEEDS, SETS_OF_KINDS, st.integers(2, 60))
def test_order_of_items_changes_nothing_but_the_order(seed: int, kinds: set[str], n_items: int) -> None:
    options, limits = a_world(seed, kinds, n_items)
    shuffled = np.random.default_rng(seed).permutation(n_items)
    counts = np.diff(options.offsets)[shuffled]
    offsets = np.concatenate([[0], np.cumsum(counts)])
    rows = np.repeat(options.offsets[:-1][shuffled] - offsets[:-1], counts) + np.arange(offsets[-1])
    columns = {
        field.name: getattr(options, field.name)[rows]
        for field in fields(options)
        if field.name not in ("offsets", "demand_units")
    }
    other = OrderOptions(offsets=offsets, demand_units=options.demand_units[shuffled], **columns)
    moved = [replace(limit, members=limit.members[shuffled]) for limit in limits]
    here, there = (choose(o, w, mode="lagrangian") for o, w in ((options, limits), (other, moved)))
    assert (rows[there.rows]).tolist() == here.rows[shuffled].tolist()
    assert there.cost == pytest.approx(here.cost)
    assert there.bound == pytest.approx(here.bound)


@few
@given(SEEDS, SETS_OF_KINDS)
def test_same_question_same_answer(seed: int, kinds: set[str]) -> None:
    options, limits = a_world(seed, kinds, 40)
    one, two = (choose(options, limits, mode="lagrangian") for _ in range(2))
    assert one.rows.tolist() == two.rows.tolist()
    assert (one.bound, one.prices.tolist()) == (two.bound, two.prices.tolist())
