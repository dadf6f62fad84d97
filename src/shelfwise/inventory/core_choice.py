"""Orders from prices by a small exact choice: items nearly indifferent at the prices are chosen for by HiGHS.

At good prices all but a few items choose what they also choose in the best joint plan: the program without whole
choices leaves at most as many items undecided as there are limits. Those are among the items whose second choice loses
least. They, the core, are chosen for together by HiGHS with what the rest leaves of each limit, so that several items
may move at once where one alone breaks a limit: two of a supplier that stands just at its minimum, say.

Source: the core of a knapsack problem, Balas and Zemel, An algorithm for large zero-one knapsack problems, Operations
Research 28 (1980); Kellerer, Pferschy and Pisinger, Knapsack Problems (2004), section 5.4.

Letters: n items in canonical order, K priced limits, B supplier minima, X options in the core.
"""

from __future__ import annotations

import time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shelfwise.domain.errors import ModelError
from shelfwise.inventory.exact_choice import solve_exactly
from shelfwise.inventory.joint_problem import JointProblem, PricedLimit
from shelfwise.inventory.joint_repair import Repair
from shelfwise.inventory.order_options import Floats
from shelfwise.inventory.priced_items import Point, PricedItems

CORE_OPTIONS: Final = 1_500
PER_LIMIT: Final = 10
"""Options of least loss in the core, and how many more for each limit and minimum; four times that in a second try."""
MOST_NODES: Final = 200
"""Of the branch and bound in the core."""


def chosen_in_core(
    priced: PricedItems, prices: Floats, point: Point, *, slack: float, enough: float, deadline: float
) -> Repair | None:
    """Return the best plan found that orders from the suppliers that are on at ``point``, or None.

    Parameters
    ----------
    slack
        Money by which the plan may be above the best of the core.
    enough
        A plan of no more than that ends the search.
    """
    best: Repair | None = None
    n_limits = len(priced.most) + int(point.on.sum())
    for n_options in np.array([1, 4]) * (CORE_OPTIONS + PER_LIMIT * n_limits):
        left = deadline - time.monotonic()
        if left <= 0 or (best is not None and best.objective <= enough):
            break
        plan = Repair(priced, prices, point, most_moves=int(n_options))
        option = _from_core(plan, point, slack, enough, left / 3)
        if option is not None:
            plan.set_options(option)
            if plan.kept and (best is None or plan.objective < best.objective):
                best = plan
        if len(plan.moves.item) >= sum(chunk.cost.size for chunk in priced.chunks):
            break  # there is nothing to add
    return best


def _from_core(
    plan: Repair, point: Point, slack: float, enough: float, time_limit: float
) -> NDArray[np.int64] | None:  # fmt: skip
    """Return [n] the options of ``point`` with those of the core chosen anew, or None where nothing fits."""
    moves = plan.moves
    order = np.lexsort((moves.option, moves.item))
    items, first = np.unique(moves.item[order], return_index=True)
    if not len(items):
        return point.option
    plan.set_options(point.option)
    offsets = np.append(first, len(order)).astype(np.int64)
    use = [np.append(sign * moves.use[layer.column][order], 0.0) for layer, sign in plan.signed_layers]
    limits = []
    tied = np.zeros(len(plan.most), dtype=bool)
    for column, (layer, sign) in enumerate(plan.signed_layers):
        labels = layer.labels[items]
        own = sign * plan.use[layer.column][items]
        for number in np.unique(labels[labels >= 0]).tolist():
            tied[number] = True
            if np.isposinf(plan.most[number]):
                continue
            members = np.flatnonzero(labels == number)
            most = float(plan.most[number] - (plan.used[number] - own[members].sum()))
            limits.append(PricedLimit(column, members, most, float(plan.cap[number])))
    # One item more, with one option, carries what the rest costs: the objective is then that of the whole plan.
    soft = ~tied & np.isfinite(plan.cap)
    missed = float(plan.cap[soft] @ np.maximum(plan.used - plan.most, 0.0)[soft])
    rest = float(plan.cost.sum() - plan.cost[items].sum()) + plan.priced.others[0] + missed
    offsets = np.append(offsets, offsets[-1] + 1)
    cost = np.append(moves.cost[order], rest)
    problem = JointProblem(offsets, cost, tuple(use), tuple(limits))
    try:
        found = solve_exactly(
            problem,
            gap=slack / max(abs(plan.objective), 1e-9),
            time_limit=time_limit,
            most_nodes=MOST_NODES,
            target=enough,
        )
    except ModelError:
        return None  # what is left of the limits is not enough for any choice
    if found.rows is None:
        return None
    option = point.option.copy()
    option[items] = moves.option[order][found.rows[:-1]]
    return option
