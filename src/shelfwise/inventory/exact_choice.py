"""The joint choice as a mixed-integer program, solved by HiGHS: one binary for each option that could still be chosen.

    minimise    sum cost_c x_c + sum cap_k e_k
    subject to  sum over the options of an item  x_c = 1
                sum over members  use_kc x_c - e_k <= most_k         (e_k only where the limit is soft)
                sum over members  spend_c x_c >= least_b y_b,  sum over an item's orders  x_c <= y_b

Multiple-choice knapsack; Kellerer, Pferschy and Pisinger, Knapsack Problems (2004), chapter 11.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shelfwise.domain.errors import ModelError
from shelfwise.inventory.joint_problem import JointProblem
from shelfwise.inventory.order_options import Floats, Integers

MOST_ITEMS: Final = 10_000
"""Beyond about so many product-warehouses branch and bound takes minutes."""


@dataclass(frozen=True, eq=False)
class ExactChoice:
    """What HiGHS found: [N] option rows or None, its lower bound, and whether it had the time to finish."""

    rows: Integers | None
    bound: float
    finished: bool


class _Program:
    """The arrays of the program: X binaries of options, then the soft limits' excess, then the suppliers' switches."""

    def __init__(self, problem: JointProblem, possible: NDArray[np.bool_] | None) -> None:
        n_options = len(problem.cost)
        self.problem = problem
        self.kept = np.arange(n_options) if possible is None else np.flatnonzero(possible)
        self.position = np.full(n_options, -1, dtype=np.int64)
        self.position[self.kept] = np.arange(len(self.kept))
        self.item = np.repeat(np.arange(problem.n_items), np.diff(problem.offsets))[self.kept]  # [X]
        self.first = np.searchsorted(self.item, np.arange(problem.n_items))
        self.soft = [number for number, limit in enumerate(problem.limits) if np.isfinite(limit.cap)]
        self.n_x = len(self.kept)
        self.columns: list[Integers] = []  # of each row that ties items
        self.values: list[Floats] = []
        self.lower: list[float] = []
        self.upper: list[float] = []
        self._limit_rows()
        self._minimum_rows()

    def _row(self, columns: Integers, values: Floats, lower: float, upper: float) -> None:
        self.columns.append(columns)
        self.values.append(values)
        self.lower.append(lower)
        self.upper.append(upper)

    def _under(self, members: Integers) -> Integers:
        member = np.zeros(self.problem.n_items, dtype=bool)
        member[members] = True
        return np.asarray(np.flatnonzero(member[self.item]), dtype=np.int64)

    def _limit_rows(self) -> None:
        for number, limit in enumerate(self.problem.limits):
            columns = self._under(limit.members)
            values = self.problem.use[limit.column][self.kept[columns]]
            if number in self.soft:
                columns = np.append(columns, self.n_x + self.soft.index(number))
                values = np.append(values, -1.0)
            self._row(columns, values, -np.inf, limit.most)

    def _minimum_rows(self) -> None:
        orders = self.kept != self.problem.offsets[:-1][self.item]
        for number, minimum in enumerate(self.problem.minima):
            switch = self.n_x + len(self.soft) + number
            columns = self._under(minimum.members)
            spend = self.problem.use[0][self.kept[columns]]
            self._row(np.append(columns, switch), np.append(spend, -minimum.least), 0.0, np.inf)
            columns = columns[orders[columns]]
            starts = np.flatnonzero(np.diff(self.item[columns], prepend=-1))
            for part in np.split(columns, starts[1:]) if len(columns) else []:
                self._row(np.append(part, switch), np.append(np.ones(len(part)), -1.0), -np.inf, 0.0)

    def model(self) -> Any:
        """Return it as HiGHS takes it."""
        import highspy

        problem, n_soft, n_minima = self.problem, len(self.soft), len(self.problem.minima)
        n_items = problem.n_items
        counts = np.append(np.diff(np.append(self.first, self.n_x)), [len(columns) for columns in self.columns])
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = self.n_x + n_soft + n_minima, n_items + len(self.columns)
        caps = [problem.limits[number].cap for number in self.soft]
        lp.col_cost_ = np.concatenate([problem.cost[self.kept], caps, np.zeros(n_minima)])
        lp.col_lower_ = np.zeros(lp.num_col_)
        lp.col_upper_ = np.concatenate([np.ones(self.n_x), np.full(n_soft, np.inf), np.ones(n_minima)])
        lp.row_lower_ = np.concatenate([np.ones(n_items), self.lower])
        lp.row_upper_ = np.concatenate([np.ones(n_items), self.upper])
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        lp.a_matrix_.index_ = np.concatenate([np.arange(self.n_x), *self.columns]).astype(np.int32)
        lp.a_matrix_.value_ = np.concatenate([np.ones(self.n_x), *self.values])
        whole, real = highspy.HighsVarType.kInteger, highspy.HighsVarType.kContinuous
        lp.integrality_ = [whole] * self.n_x + [real] * n_soft + [whole] * n_minima
        return lp

    def point(self, rows: Integers) -> list[float] | None:
        """Return the columns' values of a plan [N], or None if it holds an option that is left out."""
        if np.any(self.position[rows] < 0):
            return None
        problem, n_soft = self.problem, len(self.soft)
        values = np.zeros(self.n_x + n_soft + len(problem.minima))
        values[self.position[rows]] = 1.0
        used = problem.used(rows)
        for place, number in enumerate(self.soft):
            values[self.n_x + place] = max(0.0, float(used[number]) - problem.limits[number].most)
        for number, minimum in enumerate(problem.minima):
            values[self.n_x + n_soft + number] = float(np.any(problem.use[0][rows[minimum.members]] > 0))
        return [float(value) for value in values]

    def rows(self, values: Floats) -> Integers:
        """Return the plan [N] that the columns' values stand for."""
        chosen = values[: self.n_x]
        best = np.maximum.reduceat(chosen, self.first)
        picked = np.flatnonzero(chosen >= best[self.item])
        _, one_each = np.unique(self.item[picked], return_index=True)
        return np.asarray(self.kept[picked[one_each]], dtype=np.int64)


def solve_exactly(
    problem: JointProblem,
    *,
    gap: float,
    time_limit: float,
    possible: NDArray[np.bool_] | None = None,
    start: Integers | None = None,
    most_nodes: int | None = None,
    target: float | None = None,
) -> ExactChoice:
    """Choose one option for each item, to within ``gap`` (a fraction of the cost) or until the time is up.

    Parameters
    ----------
    possible
        [C] False for options that are known not to be chosen; at least one of each item is True.
    start
        [N] option rows of a plan that keeps the limits, if one is known.
    most_nodes
        Nodes of the tree after which the best choice so far is returned.
    target
        A choice that costs no more than that, with what missing soft limits costs, ends the search.
    """
    import highspy

    program = _Program(problem, possible)
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("time_limit", float(max(time_limit, 0.01)))
    solver.setOptionValue("mip_rel_gap", float(gap))
    solver.setOptionValue("mip_abs_gap", 1e-9)
    if most_nodes is not None:
        solver.setOptionValue("mip_max_nodes", most_nodes)
    if target is not None:
        solver.setOptionValue("objective_target", float(target))
    solver.passModel(program.model())
    known = None if start is None else program.point(start)
    if known is not None:
        solution = highspy.HighsSolution()
        solution.col_value = known
        solver.setSolution(solution)
    solver.run()
    if solver.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
        raise ModelError(
            "no choice keeps the limits, not even ordering nothing; check that costs and limits are finite"
        )
    info = solver.getInfo()
    finished = solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    bound = float(info.mip_dual_bound) if np.isfinite(info.mip_dual_bound) else -np.inf
    if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        return ExactChoice(None, bound, finished)
    return ExactChoice(program.rows(np.array(solver.getSolution().col_value)), bound, finished)
