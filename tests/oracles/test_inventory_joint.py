"""The joint choice beside slow twins: every combination tried out, and another way to write the program."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import highspy
import numpy as np
import pytest
from tests.inventory.joint_worlds import KINDS, some_limits, some_options, supplier_world

from shelfwise.inventory.joint_order import SERVICE_CAP, choose
from shelfwise.inventory.order_options import Limit, OrderOptions


def lost_unit(options: OrderOptions, members: np.ndarray) -> float:
    """Median over lost units of cost per lost unit where nothing is ordered, by hand."""
    pairs = sorted(
        (options.cost[row] / options.lost_units[row], options.lost_units[row])
        for row in options.offsets[:-1][members]
        if options.lost_units[row] > 0
    )
    half, so_far = sum(weight for _, weight in pairs) / 2, 0.0
    for ratio, weight in pairs:
        so_far += weight
        if so_far >= half:
            return float(ratio)
    return 0.0


def total(options: OrderOptions, limits: Sequence[Limit], rows: np.ndarray) -> float:
    """Cost of a choice with what missing a service target costs; infinite where it breaks another limit."""
    cost = float(options.cost[rows].sum())
    for limit in limits:
        chosen, nothing = rows[limit.members], options.offsets[:-1][limit.members]
        spend = options.spend[chosen].sum()
        if limit.kind == "budget" and spend > limit.value + 1e-6:
            return np.inf
        if limit.kind == "space":
            there = options.space[nothing, limit.column].sum()
            if options.space[chosen, limit.column].sum() > max(limit.value, there) + 1e-6:
                return np.inf
        if limit.kind == "supplier_min" and 0 < spend < limit.value - 1e-6:
            return np.inf
        if limit.kind == "service":
            lost = options.lost_units[chosen].sum() - (1 - limit.value) * options.demand_units[limit.members].sum()
            cost += SERVICE_CAP * lost_unit(options, limit.members) * max(0.0, float(lost))
    return cost


def least_of_all(options: OrderOptions, limits: Sequence[Limit]) -> float:
    """Try every combination of options."""
    each = [range(start, stop) for start, stop in itertools.pairwise(options.offsets)]
    return min(total(options, limits, np.array(rows)) for rows in itertools.product(*each))


class Steps:
    """The program in quantities: an order's size as a sum of steps, each only after the one before."""

    def __init__(self, options: OrderOptions) -> None:
        self.options = options
        self.solver = highspy.Highs()
        self.solver.setOptionValue("output_flag", False)
        self.solver.setOptionValue("mip_rel_gap", 0.0)
        self.step: dict[int, object] = {}
        for start, stop in itertools.pairwise(options.offsets.tolist()):
            for row in range(start + 1, stop):
                self.step[row] = self.solver.addBinary()
                if row > start + 1:
                    self.solver.addConstr(self.step[row] <= self.step[row - 1])

    def amount(self, values: np.ndarray, members: np.ndarray) -> highspy.highs.highs_linear_expression:
        """Sum ``values`` over the members' chosen options."""
        expression = highspy.highs.highs_linear_expression()
        for start, stop in itertools.pairwise(self.options.offsets.tolist()):
            if members[np.searchsorted(self.options.offsets, start)]:
                expression += float(values[start])
                for row in range(start + 1, stop):
                    expression += float(values[row] - values[row - 1]) * self.step[row]
        return expression

    def add(self, limit: Limit) -> highspy.highs.highs_linear_expression:
        """Add a limit and return what missing it costs."""
        options, free = self.options, highspy.highs.highs_linear_expression()
        spend = self.amount(options.spend, limit.members)
        if limit.kind == "budget":
            self.solver.addConstr(spend <= limit.value)
        elif limit.kind == "space":
            values = options.space[:, limit.column]
            there = values[options.offsets[:-1][limit.members]].sum()
            self.solver.addConstr(self.amount(values, limit.members) <= float(max(limit.value, there)))
        elif limit.kind == "supplier_min":
            anything = self.solver.addBinary()
            self.solver.addConstr(spend >= limit.value * anything)
            for row in options.offsets[:-1][limit.members].tolist():
                if row + 1 in self.step and row + 1 not in options.offsets:
                    self.solver.addConstr(self.step[row + 1] <= anything)
        else:
            most = (1 - limit.value) * options.demand_units[limit.members].sum()
            excess = self.solver.addVariable(lb=0.0)
            self.solver.addConstr(self.amount(options.lost_units, limit.members) - excess <= float(most))
            return free + SERVICE_CAP * lost_unit(options, limit.members) * excess
        return free


def least_by_steps(options: OrderOptions, limits: Sequence[Limit]) -> float:
    program = Steps(options)
    objective = program.amount(options.cost, np.ones(options.n_items, dtype=bool))
    for limit in limits:
        objective += program.add(limit)
    objective += program.solver.addBinary()  # HiGHS calls a model without columns empty, not solved
    program.solver.minimize(objective)
    assert program.solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return float(program.solver.getInfo().objective_function_value)


def some_world(seed: int) -> tuple[OrderOptions, list[Limit]]:
    rng = np.random.default_rng([seed, 2])
    options = some_options(int(rng.integers(1, 6)), seed, most=5, periods=2)
    kinds = [kind for kind in KINDS if rng.random() < 0.6] or ["budget"]
    return options, some_limits(options, seed, kinds, tight=rng.uniform(0.1, 1.1))


@pytest.mark.parametrize("seed", range(30))
def test_no_combination_of_options_is_better_than_bound_or_choice(seed: int) -> None:
    options, limits = some_world(seed)
    least = least_of_all(options, limits)
    for mode in ("lagrangian", "exact", "auto"):
        choice = choose(options, limits, mode=mode, gap=0.0)
        reached = total(options, limits, choice.rows)
        slack = 1e-6 * max(1.0, abs(least))
        missed = reached - choice.cost  # what missing the service targets costs
        assert choice.cost == pytest.approx(options.cost[choice.rows].sum())
        assert choice.bound <= choice.cost
        assert choice.bound + missed <= least + slack
        assert reached >= least - slack
        if mode != "lagrangian":
            assert reached == pytest.approx(least, rel=1e-6)


@pytest.mark.parametrize("seed", range(0, 40, 3))
def test_program_in_steps_gives_the_same_least_cost(seed: int) -> None:
    options, limits = some_world(seed)
    choice = choose(options, limits, mode="exact", gap=0.0)
    assert total(options, limits, choice.rows) == pytest.approx(least_by_steps(options, limits), rel=1e-6)


@pytest.mark.parametrize("seed", range(24))
def test_no_combination_is_better_where_suppliers_minima_do_not_fit_the_budget(seed: int) -> None:
    options, limits = supplier_world(6, 2 + seed % 2, seed, budget=(0.2, 0.4, 0.7)[seed % 3])
    least = least_of_all(options, limits)
    choice = choose(options, limits, mode="lagrangian", gap=0.0)
    reached = total(options, limits, choice.rows)
    slack = 1e-6 * max(1.0, abs(least))
    assert least - slack <= reached <= least * 1.05 + slack
    assert choice.bound + reached - choice.cost <= least + slack
    exact = choose(options, limits, mode="auto", gap=0.0)
    assert total(options, limits, exact.rows) == pytest.approx(least, rel=1e-6)
