"""What to order in each of the next periods: frames in, a plan out, with its proof and its prices by period.

The orders of `optimise` are for now; a plan shows what they lead to: how much money each of the next weeks needs, where
space runs short, and what more of either is worth then. Only its first period is to be ordered; next period, plan anew.

Letters: N product-warehouses, S paths, H periods, T periods that orders are planned for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl

from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.order_frames import LIMIT_PRICES, PLANNED_ORDERS
from shelfwise.inventory.demand_source import demand_source
from shelfwise.inventory.network_plan import NetworkPlan, plan_network
from shelfwise.inventory.order_limits import order_limits
from shelfwise.inventory.order_terms import ItemTerms, arrivals, item_terms
from shelfwise.inventory.plan_pricing import MOST_ORDER_PERIODS

PLAN_PATHS: Final = 50
"""Paths a plan is made on where there are more: its time grows with them."""


@dataclass(frozen=True, eq=False)
class OrderPlan:
    """Orders of the next T periods, and what they rest on.

    Parameters
    ----------
    network
        The plan as arrays, with rounds, plans made, seconds and what ended the search.
    terms
        Items as they were understood.
    notes
        What was assumed because it was not given, and what was relaxed.
    """

    network: NetworkPlan
    terms: ItemTerms
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Name size, money and proof, not the arrays."""
        items, periods = self.network.quantity.shape
        return (
            f"OrderPlan({self.orders.height:,} orders of {items:,} items over {periods} periods, expected cost "
            f"{self.cost:,.2f}, gap {self.gap:.3%})"
        )

    @property
    def cost(self) -> float:
        """Expected cost over the horizon: holding, shortage, ordering, and running down what is left; money."""
        return self.network.cost

    @property
    def bound(self) -> float:
        """No plan within the limits costs less; money."""
        return self.network.bound

    @property
    def gap(self) -> float:
        """``(cost - bound) / cost``."""
        return self.network.gap

    @property
    def infeasible(self) -> Sequence[str]:
        """Which limits not even ordering nothing meets, and what they were raised to."""
        return self.network.infeasible

    @cached_property
    def orders(self) -> pl.DataFrame:
        """One line for each order, by period; columns as in ``PLANNED_ORDERS``."""
        period, item = np.nonzero(self.network.quantity.T)
        quantity = self.network.quantity[item, period]
        items = self.terms.frame.select("unique_id", "supplier")[item.tolist()]
        return PLANNED_ORDERS.check(
            items.with_columns(
                period=pl.Series(period + 1, dtype=pl.Int64),
                quantity=quantity,
                arrives=pl.Series(period + 1 + np.ceil(self.terms.lead_mean[item] - 1e-9), dtype=pl.Int64),
                spend=quantity * self.terms.terms.unit_cost[item],
            )
        )

    @cached_property
    def prices(self) -> pl.DataFrame:
        """What one unit more of each limit would save in each period; columns as in ``LIMIT_PRICES``."""
        rows = {
            "kind": [row.kind for row in self.network.rows],
            "scope": [row.scope for row in self.network.rows],
            "period": [row.period for row in self.network.rows],
            "value": self.network.allowed,
            "used": self.network.used,
            "price": self.network.prices,
        }
        return LIMIT_PRICES.check(pl.DataFrame(rows, schema={n: c.dtype for n, c in LIMIT_PRICES.columns.items()}))


def plan_orders(
    items: Any,
    demand: Any,
    inbound: Any = None,
    limits: Any = None,
    periods: int | None = None,
    gap: float = 1e-2,
    time_limit: float = 60.0,
    seed: int = 0,
    *,
    n_paths: int = PLAN_PATHS,
    unmet: str = "lost",
) -> OrderPlan:
    """Plan the orders of the next periods together, so that the expected cost is least within weekly limits.

    Parameters
    ----------
    items, demand, inbound
        As `optimise` takes them.
    limits
        Frame ``kind, scope, period, value`` of kinds ``budget`` (of a supplier; period of the order) and ``space`` (of
        a warehouse; period of the stock). A limit without a period holds in each.
    periods
        T, periods to plan orders for; None: as many as the horizon has and a plan can hold. The forecast should reach
        beyond them by the lead time and a review, for the last orders to see what they are for.
    gap, time_limit
        Wanted proof, as a share of the cost, and seconds.
    seed
        Of lead times that vary and of paths drawn from a table of means.
    n_paths
        Paths the plan is made on, at most.
    unmet
        ``lost`` or ``backorder``.

    Raises
    ------
    DataError
        A frame breaks its rules, or frames do not fit each other; the message names the item.
    ParameterError
        A parameter breaks its rule, or a limit is of a kind that a plan cannot keep.

    >>> demand = {"unique_id": ["beans"] * 6, "period": range(1, 7), "mean": [20.0] * 6}
    >>> items = {"unique_id": ["beans"], "on_hand": [25], "lead_time_periods": [1], "price": [9.0], "pack": [12]}
    >>> plan = plan_orders(items, demand, limits={"kind": ["budget"], "value": [160.0]}, periods=4)
    >>> plan.orders.select("period", "quantity", "arrives", "spend").row(0)
    (1, 24.0, 2, 129.6)
    """
    if n_paths < 1:
        raise ParameterError(f"n_paths must be at least 1, got {n_paths}")
    source = demand_source(_with_paths(demand, n_paths), n_paths=n_paths, seed=seed)
    drawn, horizon = source.demand, source.demand.horizon
    terms = item_terms(items, source.ids, source.table, source.freq, n_paths=drawn.n_paths, horizon=horizon, seed=seed)
    n = terms.frame.height
    paths = drawn.draw(np.arange(n))
    if len(paths) != n:
        raise DataError(f"demand has paths of {len(paths):,} items, items has {n:,} rows; give one each, in one order")
    due, later = arrivals(inbound, terms.frame["unique_id"], horizon)
    if periods is None:
        periods = min(horizon, MOST_ORDER_PERIODS * int(terms.terms.review.min()))
    shared, _ = order_limits(limits, terms.frame, horizon, planned_periods=periods)
    plan = plan_network(
        paths, due, terms.lead_times, terms.terms, shared, periods=periods, gap=gap, time_limit=time_limit, unmet=unmet
    )
    notes = [*source.notes, *terms.notes]
    if later.any():
        notes.append(f"{later.sum():,.0f} units due after the horizon of {horizon} periods play no part in the plan")
    return OrderPlan(plan, terms, tuple(notes))


def _with_paths(demand: Any, n_paths: int) -> Any:
    """Return demand with no more paths than asked for."""
    if isinstance(demand, Forecast) and demand.n_paths > max(n_paths, 2):
        return demand.with_paths(max(n_paths, 2))
    if isinstance(demand, np.ndarray) and demand.ndim == 3:
        return demand[:, :n_paths]
    return demand
