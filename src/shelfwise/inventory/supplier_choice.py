"""Which suppliers with a minimum to order from: branch and bound over suppliers, with prices found at each node.

"Nothing, or at least the minimum" is no matter of price. At the prices of a node each supplier that is still open takes
the cheaper of both, and where limits bind together the best mix has some suppliers half on: no plan costs as little.
Such a supplier is fixed to on in one branch and to off in the other, and prices are sought anew from the cuts known so
far; a branch whose bound is above the best plan is closed. Plans come from the cuts too: a small program takes whole
suppliers from the answers so far (what each spends, uses and saves), and the items' own choice follows in a core.

Source: Fisher (1981), as in `lagrangian.py`; branching on the mix that the cuts stand for: Barnhart, Johnson,
Nemhauser, Savelsbergh and Vance, Branch-and-price, Operations Research 46 (1998).

Letters: n items in canonical order, K priced limits, B supplier minima, G groups.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import scipy
from numpy.typing import NDArray

from shelfwise.inventory.core_choice import chosen_in_core
from shelfwise.inventory.joint_repair import Repair, walked
from shelfwise.inventory.lagrangian import Dual, solve_node
from shelfwise.inventory.order_options import Floats
from shelfwise.inventory.priced_items import Cut, PricedItems

MOST_BRANCHED: Final = 150
"""Nodes looked at."""
MOST_TURNED: Final = 32
"""Other sets of suppliers that are tried last."""
MOST_SWITCHED: Final = 500
"""Nodes of the small program of whole suppliers."""
WHOLE: Final = 1e-3
"""A supplier on to less than this, or off to less than this, counts as decided."""

_Force = NDArray[np.int8]


@dataclass(order=True)
class _Node:
    """A branch that is open: what it costs at least, and what is known of it."""

    bound: float
    number: int
    force: _Force = field(compare=False)
    prices: Floats = field(compare=False)


class SupplierChoice:
    """The search for the suppliers to order from, starting at the prices of all branches together.

    Parameters
    ----------
    priced
        The items; suppliers with a minimum are at most `MOST_SUPPLIERS`.
    dual
        The best prices with every supplier open.
    plan
        A plan that keeps the limits; the best plan so far from then on.
    gap
        Stop when the plan is proven to be within this fraction of its cost.
    deadline
        Time on the monotonic clock when the search ends.
    """

    def __init__(self, priced: PricedItems, dual: Dual, plan: Repair, gap: float, deadline: float) -> None:
        self.priced, self.root, self.plan, self.gap, self.deadline = priced, dual, plan, gap, deadline
        self.cuts: list[Cut] = list(dual.cuts)
        self.closed = np.inf  # least bound of the closed branches
        self.tried: set[bytes] = set()
        self.rounds = 0

    @property
    def slack(self) -> float:
        """Money that the plan may be above the bound."""
        return self.gap * abs(float(self.plan.cost.sum() + self.priced.others[0]))

    @property
    def enough(self) -> float:
        """A branch whose bound is that high is closed."""
        return self.plan.objective - self.slack

    def run(self) -> float:
        """Search until the plan is near enough to the bound, and return the bound."""
        priced, open_all = self.priced, np.zeros(len(self.priced.least), dtype=np.int8)
        for force in (open_all + 1, open_all - 1):  # what each supplier would be with and without orders
            self.cuts.append(priced.answer(self.root.prices, force.astype(np.int8)).cut)
        nodes = [_Node(self.root.point.value, 0, open_all, self.root.prices)]
        count = 0
        while nodes and count < MOST_BRANCHED and time.monotonic() < self.deadline:
            node = heapq.heappop(nodes)
            if node.bound >= self.enough:
                self.closed = min(self.closed, node.bound)
                continue
            count += 1
            for bound, force, prices in self._branches(node):
                heapq.heappush(nodes, _Node(bound, count, force, prices))
        bound = min([self.closed, self.plan.objective, *(node.bound for node in nodes)])
        self._turn(bound)
        return bound

    def _turn(self, bound: float) -> None:
        """Try other suppliers: all combinations of a few, else one the other way round, the cheapest turn first."""
        point, n_minima = self.root.point, len(self.priced.least)
        order = np.argsort(np.maximum(point.rise_on, point.rise_off), kind="stable")
        few = 2**n_minima <= MOST_TURNED
        for number in range(2**n_minima) if few else order[:MOST_TURNED].tolist():
            if bound >= self.enough or time.monotonic() > self.deadline:
                return
            if few:
                turned = np.array([1 if number >> place & 1 else -1 for place in range(n_minima)], dtype=np.int8)
            else:
                turned = np.where(self.plan.on, 1, -1).astype(np.int8)
                turned[number] = -turned[number]
            self._planned(turned, self.root.prices)

    def _branches(self, node: _Node) -> list[tuple[float, _Force, Floats]]:
        """Look at a branch; return the branches it falls into, none where it is closed."""
        dual, shares = self._solved(node.force, node.prices, self.enough)
        point = dual.point
        if np.any((node.force > 0) & ~point.on):
            return []  # a supplier that cannot get its minimum
        bound = max(node.bound, point.value)
        if bound >= self.enough:
            self.closed = min(self.closed, bound)
            return []
        force = self._decided(node.force, dual)
        if not self._planned(self._whole_suppliers(force), dual.prices):
            rounded = np.where(force != 0, force, np.where(shares > 0.5, 1, -1))
            self._planned(rounded.astype(np.int8), dual.prices)
        half = np.where(force == 0, np.minimum(shares, 1 - shares), -1.0)
        supplier = int(np.argmax(half)) if len(half) else -1
        if supplier < 0 or half[supplier] < WHOLE:
            self.closed = min(self.closed, bound)
            return []
        children = []
        for side in (1, -1):
            child = force.copy()
            child[supplier] = side
            children.append((bound, child, dual.prices))
        return children

    def _solved(self, force: _Force, prices: Floats, enough: float) -> tuple[Dual, Floats]:
        dual, shares = solve_node(
            self.priced, self.cuts, force, prices, tolerance=max(0.01 * self.gap, 1e-6), deadline=self.deadline,
            enough=enough,
        )  # fmt: skip
        self.cuts.extend(dual.cuts)
        self.rounds += dual.rounds
        return dual, shares

    def _decided(self, force: _Force, dual: Dual) -> _Force:
        """Fix the suppliers whose other side would lift the bound above the plan in hand."""
        point = self.priced.answer(dual.prices, np.where(force == 0, 1, force).astype(np.int8))
        self.cuts.append(point.cut)
        room = self.enough - dual.point.value
        decided = force.copy()
        for side, rise in ((1, point.rise_off), (-1, point.rise_on)):
            fixed = (decided == 0) & (rise >= room)
            decided[fixed] = side
            if fixed.any():
                self.closed = min(self.closed, dual.point.value + float(rise[fixed].min()))
        return decided

    def _planned(self, force: _Force, prices: Floats) -> bool:
        """Plan with these suppliers on and the others off; True where that was not tried before and gives a plan."""
        if force.tobytes() in self.tried:
            return False
        self.tried.add(force.tobytes())
        dual, _ = self._solved(force, prices, self.plan.objective)
        if np.any((force > 0) & ~dual.point.on) or dual.point.value >= self.plan.objective:
            return False
        near = dual.point.value + self.slack
        plan = walked(self.priced, dual.prices, dual.point)
        if not plan.kept or plan.objective > near:
            core = chosen_in_core(
                self.priced, dual.prices, dual.point, slack=0.5 * self.slack, enough=near, deadline=self.deadline
            )
            if core is not None and (not plan.kept or core.objective < plan.objective):
                plan = core
        if plan.kept and plan.objective < self.plan.objective:
            self.plan = plan
        return plan.kept

    def _whole_suppliers(self, force: _Force) -> _Force:
        """Return [B] 1 or -1: whole suppliers from the answers so far, at the least cost under the limits."""
        return whole_suppliers(
            self.priced, self.cuts, force, gap=0.1 * self.gap, time_limit=max(self.deadline - time.monotonic(), 0.01)
        )


def whole_suppliers(
    priced: PricedItems, cuts: Sequence[Cut], force: _Force, *, gap: float, time_limit: float
) -> _Force:  # fmt: skip
    """Return [B] 1 or -1: which suppliers to order from if each does what it did in a mix of its answers so far.

    A small program: least cost of the mixes under the limits, with a switch for each supplier that ``force`` [B] leaves
    open.
    """
    import highspy

    n_limits, n_minima, n_groups = len(priced.most), len(priced.least), priced.n_groups + 1
    bundle_of = np.full(n_groups, -1, dtype=np.int64)
    there = np.flatnonzero(priced.group_of >= 0)
    bundle_of[priced.group_of[there]] = there
    columns: dict[tuple[int, bool, bytes], tuple[float, Floats]] = {}
    for cut in cuts:
        for group in range(n_groups):
            on = bundle_of[group] < 0 or bool(cut.on[bundle_of[group]])
            columns.setdefault((group, on, cut.use[group].tobytes()), (float(cut.cost[group]), cut.use[group]))
    # Rows: limits, one for each group, and one for each group that has a supplier: its answers without orders.
    soft = np.flatnonzero(np.isfinite(priced.cap))
    n_mixed, n_columns = len(columns), len(columns) + len(soft) + n_minima
    matrix = scipy.sparse.lil_array((n_limits + 2 * n_groups, n_columns))
    cost = np.zeros(n_columns)
    for place, ((group, on, _), (value, use)) in enumerate(columns.items()):
        cost[place] = value
        for limit in np.flatnonzero(use).tolist():
            matrix[limit, place] = use[limit]
        matrix[n_limits + group + (0 if on else n_groups), place] = 1.0
    for place, limit in enumerate(soft.tolist(), start=n_mixed):
        cost[place] = priced.cap[limit]
        matrix[limit, place] = -1.0
    lower = np.append(np.full(n_limits, -np.inf), np.zeros(2 * n_groups))
    upper = np.append(priced.most, np.zeros(2 * n_groups))
    for group, bundle in enumerate(bundle_of.tolist()):
        # What is on adds up to the switch and what is off to one less it; where there is no supplier it is on.
        lower[n_limits + group] = upper[n_limits + group] = 1.0 if bundle < 0 else 0.0
        if bundle >= 0:
            lower[n_limits + n_groups + group] = upper[n_limits + n_groups + group] = 1.0
            matrix[n_limits + group, n_mixed + len(soft) + bundle] = -1.0
            matrix[n_limits + n_groups + group, n_mixed + len(soft) + bundle] = 1.0
    sparse = scipy.sparse.csc_array(matrix)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = n_columns, n_limits + 2 * n_groups
    lp.col_cost_ = cost
    lp.col_lower_ = np.append(np.zeros(n_mixed + len(soft)), force > 0)
    lp.col_upper_ = np.concatenate([np.ones(n_mixed), np.full(len(soft), np.inf), force >= 0])
    lp.row_lower_, lp.row_upper_ = lower, upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = sparse.indptr.astype(np.int32)
    lp.a_matrix_.index_ = sparse.indices.astype(np.int32)
    lp.a_matrix_.value_ = sparse.data
    real, whole = highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger
    lp.integrality_ = [real] * (n_mixed + len(soft)) + [whole] * n_minima
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("time_limit", float(time_limit))
    solver.setOptionValue("mip_rel_gap", float(gap))
    solver.setOptionValue("mip_max_nodes", MOST_SWITCHED)
    solver.passModel(lp)
    solver.run()
    if solver.getInfo().primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        return np.where(force > 0, 1, -1).astype(np.int8)
    switches = np.array(solver.getSolution().col_value)[n_mixed + len(soft) :]
    return np.where(switches > 0.5, 1, -1).astype(np.int8)
