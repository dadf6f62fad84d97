"""What order policies would have cost on past periods, each deciding with only what was known then.

Every policy opens with the same stock and the same units on their way, decides in every round with the history until
then, and then the true demand of the period comes. Unmet demand is lost. A round goes by the clock of this floor: units
due in a period are on the shelf at its start, orders are placed at its start too, knowing all periods before, and with
a lead time of L periods are there L periods later; what is left at the period's end costs holding, what was asked for
and not there costs a shortage.

Costs count from the first period an order of the replay can reach, so what the opening stock does before is nobody's
merit, up to the last period that the last order has to cover. Periods whose true demand is not known, because a
stockout may have hidden it or because nothing was recorded, take what was sold off the shelf and count for nothing.

Every policy sees the recorded history, also of periods in which its own shelf was empty: one forecast serves them all.

Letters: N product-warehouses, T periods replayed, K rounds, L lead time, R review time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.panel import Panel
from shelfwise.inventory.lot_sizing import orderable_quantity

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ReplayTerms:
    """Lead times and costs of N product-warehouses, in periods and money.

    Parameters
    ----------
    lead_time_periods
        [N] whole periods from placing an order until it is on the shelf.
    review_periods
        Periods between rounds.
    holding_cost
        [N] money per unit left at the end of a period.
    shortage_cost
        [N] money per unit asked for and not there.
    order_cost
        [N] money per order line placed.
    unit_value
        [N] money that a unit in stock is worth.
    pack, moq
        [N] units only ordered together, and the smallest order.

    >>> terms = ReplayTerms.of(2, lead_time_periods=2, holding_cost=0.2, shortage_cost=1.0)
    >>> terms.critical_ratio.round(3).tolist(), terms.periods(n_rounds=8)
    ([0.833, 0.833], 10)
    """

    lead_time_periods: Integers
    review_periods: int
    holding_cost: Floats
    shortage_cost: Floats
    order_cost: Floats
    unit_value: Floats
    pack: Floats
    moq: Floats

    @classmethod
    def of(
        cls,
        n_series: int,
        *,
        lead_time_periods: ArrayLike = 2,
        review_periods: int = 1,
        holding_cost: ArrayLike = 0.2,
        shortage_cost: ArrayLike = 1.0,
        order_cost: ArrayLike = 0.0,
        unit_value: ArrayLike = 1.0,
        pack: ArrayLike = 1.0,
        moq: ArrayLike = 0.0,
    ) -> ReplayTerms:
        """Give each of N product-warehouses its own number, or one number to all."""
        lead = np.asarray(lead_time_periods, dtype=np.float64)
        if np.any(~(lead >= 0)) or np.any(lead != np.floor(lead)):
            raise ParameterError(f"lead time must be whole periods, zero or more, got {lead.tolist()}")

        def each(value: ArrayLike) -> Floats:
            return np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), (n_series,)))

        return cls(
            lead_time_periods=np.array(np.broadcast_to(lead.astype(np.int64), (n_series,))),
            review_periods=review_periods,
            holding_cost=each(holding_cost),
            shortage_cost=each(shortage_cost),
            order_cost=each(order_cost),
            unit_value=each(unit_value),
            pack=each(pack),
            moq=each(moq),
        )

    def __post_init__(self) -> None:
        if self.review_periods < 1 or self.review_periods != int(self.review_periods):
            raise ParameterError(f"review time must be whole periods and at least 1, got {self.review_periods}")
        n = len(self.lead_time_periods)
        for name in ("holding_cost", "shortage_cost", "order_cost", "unit_value", "moq", "pack"):
            values = getattr(self, name)
            least = "above zero" if name in ("pack", "shortage_cost") else "zero or more"
            wrong = ~(np.isfinite(values) & (values > 0 if least == "above zero" else values >= 0))
            if len(values) != n or wrong.any():
                raise ParameterError(f"{name} must be {least} for each of {n} series, got {values[wrong][:1].tolist()}")

    @property
    def n_series(self) -> int:
        """Number of product-warehouses N."""
        return len(self.lead_time_periods)

    @property
    def longest_lead(self) -> int:
        """The longest lead time, in periods."""
        return int(self.lead_time_periods.max(initial=0))

    @property
    def protection_periods(self) -> Integers:
        """[N] periods an order has to cover: lead time and review time."""
        return self.lead_time_periods + self.review_periods

    @property
    def critical_ratio(self) -> Floats:
        """[N] the service level that costs least: ``shortage / (shortage + holding x review)``."""
        holding = self.holding_cost * self.review_periods
        return np.asarray(self.shortage_cost / (self.shortage_cost + holding), dtype=np.float64)

    def periods(self, n_rounds: int) -> int:
        """Return the periods T that so many rounds take, until the last order's time is over."""
        return n_rounds * self.review_periods + self.longest_lead

    def select(self, positions: NDArray[Any]) -> ReplayTerms:
        """Return the terms of the product-warehouses at ``positions``."""
        return ReplayTerms(
            self.lead_time_periods[positions], self.review_periods, self.holding_cost[positions],
            self.shortage_cost[positions], self.order_cost[positions], self.unit_value[positions],
            self.pack[positions], self.moq[positions],
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Stock:
    """What is on the shelf and on its way just before a decision, in units.

    Parameters
    ----------
    on_hand
        [N] on the shelf, arrivals of the coming period not counted.
    pipeline
        [N, L + 1] on order by arrival: column 0 comes at the start of the coming period.
    """

    on_hand: Floats
    pipeline: Floats

    def __post_init__(self) -> None:
        if self.pipeline.ndim != 2 or len(self.pipeline) != len(self.on_hand):
            raise ParameterError(
                f"the pipeline must be [series, periods] for {len(self.on_hand)} series, got {self.pipeline.shape}"
            )
        for name in ("on_hand", "pipeline"):
            values = getattr(self, name)
            if not np.all(np.isfinite(values) & (values >= 0)):
                raise ParameterError(f"{name} must be finite and zero or more units, got {values.min():g}")

    @property
    def position(self) -> Floats:
        """[N] on hand and on order together."""
        return np.asarray(self.on_hand + self.pipeline.sum(axis=1), dtype=np.float64)


@dataclass(eq=False)
class Round:
    """What all policies are told alike in one round: the history until now, and a forecast on first use."""

    number: int
    history: Panel
    horizon: int
    forecaster: Callable[[Panel, int], Forecast]
    _made: Forecast | None = field(default=None, repr=False)

    @property
    def forecast(self) -> Forecast:
        """The forecast of the coming ``horizon`` periods, made once a round for all policies."""
        if self._made is None:
            self._made = self.forecaster(self.history, self.horizon)
        return self._made


@dataclass(frozen=True, eq=False)
class Situation:
    """What a policy knows when it decides.

    Parameters
    ----------
    round
        Its number from 0, the history until now and the forecast.
    stock
        On hand and on order.
    terms
        Lead times and costs.
    """

    round: Round
    stock: Stock
    terms: ReplayTerms

    @property
    def history(self) -> Panel:
        """The recorded history, which ends with the last period before now."""
        return self.round.history

    @property
    def forecast(self) -> Forecast:
        """The forecast made for this round."""
        return self.round.forecast

    @property
    def on_hand(self) -> Floats:
        """[N] units on the shelf."""
        return self.stock.on_hand

    @property
    def pipeline(self) -> Floats:
        """[N, L + 1] units on order; column 0 comes at the start of the coming period."""
        return self.stock.pipeline

    @property
    def position(self) -> Floats:
        """[N] units on hand and on order together."""
        return self.stock.position


OrderRule = Callable[[Situation], ArrayLike]
"""A policy in a replay: from what is known to units [N] to order now."""


@dataclass(frozen=True, eq=False)
class Ledger:
    """What one policy did and what came of it, in units, [N, T] each.

    Parameters
    ----------
    ordered, arrived, sold, lost, left
        Units ordered at the start of a period, on the shelf from its start, sold, asked for in vain, and left at its
        end. Units are conserved: left before + arrived - sold = left.
    counted
        Where costs count: the orders of this replay can matter, and true demand is known.
    terms
        The costs.
    """

    ordered: Floats
    arrived: Floats
    sold: Floats
    lost: Floats
    left: Floats
    counted: Flags
    terms: ReplayTerms

    @property
    def holding(self) -> Floats:
        """[N] money for units left at the end of counted periods."""
        return np.asarray(self.terms.holding_cost * (self.left * self.counted).sum(axis=1), dtype=np.float64)

    @property
    def shortage(self) -> Floats:
        """[N] money for units asked for in vain in counted periods."""
        return np.asarray(self.terms.shortage_cost * (self.lost * self.counted).sum(axis=1), dtype=np.float64)

    @property
    def ordering(self) -> Floats:
        """[N] money for the order lines placed."""
        return np.asarray(self.terms.order_cost * (self.ordered > 0).sum(axis=1), dtype=np.float64)

    @property
    def cost(self) -> Floats:
        """[N] money in all."""
        return self.holding + self.shortage + self.ordering

    @property
    def period_cost(self) -> Floats:
        """[N, T] money by period; over the periods it adds up to ``cost``."""
        terms = self.terms
        left, lost = self.left * terms.holding_cost[:, None], self.lost * terms.shortage_cost[:, None]
        lines = (self.ordered > 0) * terms.order_cost[:, None]
        return np.asarray((left + lost) * self.counted + lines, dtype=np.float64)


def replay_ledger(
    rule: OrderRule, rounds: Sequence[Round], demand: Floats, known: Flags, opening: Stock, terms: ReplayTerms
) -> Ledger:
    """Let one policy decide in every round and return what it did.

    Parameters
    ----------
    rule
        From what is known to units [N] to order now; packs and minima are applied to its answer.
    rounds
        K rounds, R periods apart, the first at the start of period 1.
    demand
        [N, T] units asked for; where it is not known, what was sold.
    known
        [N, T] where it is true demand.
    opening
        The stock before the first decision.
    terms
        Lead times and costs.

    A product of which two are on the shelf and two are asked for in each period, and a rule that orders two each time:

    >>> terms = ReplayTerms.of(1, lead_time_periods=1, holding_cost=1.0, shortage_cost=5.0)
    >>> panel = Panel.from_wide(np.array([[2.0, 2.0]]), start="2026-01-05", freq="1w")
    >>> rounds = [Round(number, panel, 1, lambda history, horizon: None) for number in range(2)]
    >>> ledger = replay_ledger(
    ...     lambda now: [2.0], rounds, np.full((1, 3), 2.0), np.ones((1, 3), dtype=bool),
    ...     Stock(np.array([2.0]), np.zeros((1, 2))), terms,
    ... )
    >>> ledger.sold.tolist(), ledger.left.tolist(), ledger.cost.tolist()
    ([[2.0, 2.0, 2.0]], [[0.0, 0.0, 0.0]], [0.0])
    """  # fmt: skip
    n, periods = demand.shape
    if periods < terms.periods(len(rounds)) or known.shape != demand.shape:
        raise ParameterError(
            f"{len(rounds)} rounds need {terms.periods(len(rounds))} periods of demand and of flags, got {periods}"
        )
    periods = terms.periods(len(rounds))
    made = {name: np.zeros((n, periods)) for name in ("ordered", "arrived", "sold", "lost", "left")}
    stock, lead, everyone = opening, terms.lead_time_periods, np.arange(n)
    pipeline = np.zeros((n, max(terms.longest_lead + 1, opening.pipeline.shape[1])))
    pipeline[:, : opening.pipeline.shape[1]] = opening.pipeline
    on_hand = opening.on_hand.copy()
    for period in range(periods):
        if period % terms.review_periods == 0 and period // terms.review_periods < len(rounds):
            stock = Stock(on_hand.copy(), pipeline.copy())
            asked = rule(Situation(rounds[period // terms.review_periods], stock, terms))
            ordered = orderable_quantity(checked_orders(asked, n), terms.pack, terms.moq)
            pipeline[everyone, lead] += ordered
            made["ordered"][:, period] = ordered
        arrived = pipeline[:, 0].copy()
        pipeline[:, :-1] = pipeline[:, 1:]
        pipeline[:, -1] = 0.0
        there = on_hand + arrived
        sold = np.minimum(there, demand[:, period])
        on_hand = there - sold
        made["arrived"][:, period] = arrived
        made["sold"][:, period] = sold
        made["lost"][:, period] = demand[:, period] - sold
        made["left"][:, period] = on_hand
    steps = np.arange(periods)
    reached = (steps >= lead[:, None]) & (steps < lead[:, None] + len(rounds) * terms.review_periods)
    return Ledger(**made, counted=reached & known[:, :periods], terms=terms)


def checked_orders(asked: ArrayLike, n_series: int) -> Floats:
    """Return the answer of a policy as units [N], or say what is wrong with it."""
    try:
        given = np.asarray(asked)
        if given.dtype.kind in "USmM":
            raise TypeError
        orders = given.astype(np.float64)
    except (TypeError, ValueError):
        raise ParameterError(
            f"a policy must return units to order as numbers, one for each series, got {type(asked).__name__} "
            f"{str(asked)[:60]!r}"
        ) from None
    if orders.shape != (n_series,):
        raise ParameterError(f"a policy must return one quantity for each of {n_series} series, got {orders.shape}")
    wrong = np.flatnonzero(~(np.isfinite(orders) & (orders >= 0)))
    if wrong.size:
        raise ParameterError(
            f"a policy must order zero or more units, got {orders[wrong[0]]:g} (series {wrong[0]}); "
            "use np.maximum(quantity, 0)"
        )
    return orders
