"""What if: the same demand paths with something changed, and what would become of stock, service and money.

A question is a set of edits. It is answered on the very paths that the orders were decided on (common random numbers),
so a difference comes from the edit and not from the draw. Orders are played out over the whole horizon: the order
decided now, and at every review after it one up to a level, as `simulation` walks them.

Letters: N product-warehouses, S sample paths, H periods. Period 1 starts now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.domain.order_frames import LIMITS
from shelfwise.inventory.lead_time_demand import checked_paths, series_slices
from shelfwise.inventory.lot_sizing import orderable_quantity
from shelfwise.inventory.order_inputs import Demand
from shelfwise.inventory.simulation import simulate

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]

EVERYTHING: Final = ("all", "shop")
LARGEST_FACTOR: Final = 100.0
MEASURES: Final = (
    "quantity", "spend", "spend_later", "demand", "lost_units", "fill_rate", "stockout", "stockout_periods",
    "stock_units", "stock_value", "lost_margin", "margin",
)  # fmt: skip
"""What is compared; see `told`."""

_COLUMNS: Final = {
    "product": "product", "warehouse": "warehouse", "supplier": "supplier", "category": "category",
    "group": "group", "line": "unique_id",
}  # fmt: skip


def _check_factor(what: str, factor: float) -> None:
    if not (np.isfinite(factor) and 0 <= factor <= LARGEST_FACTOR):
        raise ParameterError(f"{what} must be a factor from 0 to {LARGEST_FACTOR:g}, got {factor:g}; 1.1 is 10 % more")


@dataclass(frozen=True)
class DemandChange:
    """Demand of a scope times a factor, from one period to another, both included; None: to the end.

    >>> DemandChange("all", 1.2, first=9, last=3)
    Traceback (most recent call last):
    ...
    shelfwise.domain.errors.ParameterError: periods must rise from 1 on, got 9 to 3
    """

    scope: str
    factor: float
    first: int = 1
    last: int | None = None

    def __post_init__(self) -> None:
        _check_factor(f"a change of demand ({self.scope})", self.factor)
        if self.first < 1 or (self.last is not None and self.last < self.first):
            raise ParameterError(f"periods must rise from 1 on, got {self.first} to {self.last}")


@dataclass(frozen=True)
class PriceChange:
    """The price of a scope times a factor, and what demand becomes with it, a factor too.

    >>> PriceChange.with_elasticity("all", 0.9, -2.0)
    PriceChange(scope='all', factor=0.9, demand=1.2345679)
    """

    scope: str
    factor: float
    demand: float

    def __post_init__(self) -> None:
        _check_factor(f"a change of price ({self.scope})", self.factor)
        _check_factor(f"demand at the new price ({self.scope})", self.demand)
        if self.factor <= 0:
            raise ParameterError(f"a price must stay above zero, got the factor {self.factor:g} ({self.scope})")

    @classmethod
    def with_elasticity(cls, scope: str, factor: float, elasticity: float) -> PriceChange:
        """Return the change where demand is proportional to ``price ^ elasticity``.

        With constant elasticity e, ``D1 / D0 = (P1 / P0)^e``. Source: Talluri and van Ryzin, 2004, The Theory and
        Practice of Revenue Management, section 7.3.
        """
        if not (np.isfinite(elasticity) and elasticity <= 0):
            raise ParameterError(
                f"elasticity must be zero or less (a higher price sells no more), got {elasticity:g}; like -1.5"
            )
        if not factor > 0:
            raise ParameterError(f"a price must stay above zero, got the factor {factor:g} ({scope})")
        return cls(scope, factor, round(factor**elasticity, 7))


@dataclass(frozen=True)
class LeadTimeChange:
    """Lead times of a supplier, or of all, times a factor and so many periods more."""

    scope: str
    added: float = 0.0
    factor: float = 1.0

    def __post_init__(self) -> None:
        _check_factor(f"a change of lead time ({self.scope})", self.factor)
        if not np.isfinite(self.added):
            raise ParameterError(f"periods added to a lead time must be a number, got {self.added:g} ({self.scope})")

    def of(self, mean: Floats) -> Floats:
        """Return [n] the changed mean lead times; none falls below zero."""
        return np.maximum(mean * self.factor + self.added, 0.0)


@dataclass(frozen=True)
class Edits:
    """What is asked: each edit changes the world or the rules, none of them the draw.

    Scopes are ``all``, a product or a line by its id, or like ``category:Tea``, ``warehouse:North``, ``supplier:S7``.

    Parameters
    ----------
    demand
        Changes of demand, promotions among them; where several meet, factors multiply.
    price
        Changes of price with what they do to demand.
    lead_time
        Changes of lead times; scopes are supplier codes or ``all``.
    budget
        Money by supplier code or ``all``; a number alone is a factor on what may or would be spent.
    service_level
        Fraction of demand to be served.
    closed
        Periods from now on in which a supplier, or ``all``, takes no orders and delivers nothing.

    >>> Edits(service_level=95.0)
    Traceback (most recent call last):
    ...
    shelfwise.domain.errors.ParameterError: service_level must be above 0 and below 1, got 95; for example 0.95
    """

    demand: tuple[DemandChange, ...] = ()
    price: tuple[PriceChange, ...] = ()
    lead_time: tuple[LeadTimeChange, ...] = ()
    budget: Mapping[str, float] | float | None = None
    service_level: float | None = None
    closed: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.service_level is not None and not 0 < self.service_level < 1:
            raise ParameterError(
                f"service_level must be above 0 and below 1, got {self.service_level:g}; for example 0.95"
            )
        for name, periods in self.closed.items():
            if not (np.isfinite(periods) and periods >= 0 and periods == int(periods)):
                raise ParameterError(
                    f"a supplier is closed for whole periods from now on, got {periods:g} for {name}; like 2"
                )
        amounts = self.budget if isinstance(self.budget, Mapping) else {"all": self.budget}
        for name, money in amounts.items():
            if money is not None and not (np.isfinite(money) and money >= 0):
                raise ParameterError(f"a budget must be zero or more, got {money:g} for {name}")

    @classmethod
    def of(
        cls,
        *,
        demand: float | Mapping[str, float] | None = None,
        lead_time: float | Mapping[str, float] | None = None,
        budget: float | Mapping[str, float] | None = None,
        service_level: float | None = None,
        promotion: Sequence[tuple[str, float, int, int]] = (),
        price: Mapping[str, tuple[float, float]] | None = None,
        closed: float | Mapping[str, float] | None = None,
    ) -> Edits:
        """Return edits as they are written in a notebook; see `OrderDecision.what_if`.

        >>> Edits.of(demand=1.1, lead_time={"S7": 2}).lead_time
        (LeadTimeChange(scope='S7', added=2, factor=1.0),)
        """
        changes = [DemandChange(scope, factor) for scope, factor in _by_scope(demand).items()]
        changes += [DemandChange(*one) for one in promotion]
        return cls(
            demand=tuple(changes),
            price=tuple(PriceChange(scope, *factors) for scope, factors in (price or {}).items()),
            lead_time=tuple(LeadTimeChange(scope, added) for scope, added in _by_scope(lead_time).items()),
            budget=budget,
            service_level=service_level,
            closed=_by_scope(closed),
        )

    def waits(self, items: pl.DataFrame) -> Integers:
        """Return [N] periods until a closed supplier takes the order of each item of ITEMS.

        >>> table = pl.DataFrame({"unique_id": ["a", "b"], "supplier": ["S1", "S2"]})
        >>> Edits(closed={"S2": 3}).waits(table).tolist()
        [0, 3]
        """
        waits = np.zeros(items.height, dtype=np.int64)
        for name, periods in self.closed.items():
            rows = concerned(_supplier_scope(name), items)
            waits[rows] = np.maximum(waits[rows], int(periods))
        return waits

    def inbound(self, inbound: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
        """Return INBOUND where what a closed supplier should bring comes when it opens again."""
        opens = items.select("unique_id", opens=pl.Series(self.waits(items) + 1))
        later = inbound.join(opens, on="unique_id", how="left", maintain_order="left")
        return later.with_columns(period=pl.max_horizontal("period", "opens")).select(inbound.columns)

    def demand_factors(self, table: pl.DataFrame, horizon: int) -> Floats:
        """Return [N, H] what demand is multiplied by.

        Parameters
        ----------
        table
            N rows with ``unique_id`` and the attributes that scopes name.

        >>> table = pl.DataFrame({"unique_id": ["a", "b"]})
        >>> Edits(demand=(DemandChange("b", 1.5, 2), DemandChange("all", 2.0))).demand_factors(table, 3).tolist()
        [[2.0, 2.0, 2.0], [2.0, 3.0, 3.0]]
        """
        factors = np.ones((table.height, horizon))
        for change in self.demand:
            factors[concerned(change.scope, table), change.first - 1 : change.last] *= change.factor
        for one in self.price:
            factors[concerned(one.scope, table)] *= one.demand
        return factors

    def price_factors(self, table: pl.DataFrame) -> Floats:
        """Return [N] what prices are multiplied by."""
        factors = np.ones(table.height)
        for change in self.price:
            factors[concerned(change.scope, table)] *= change.factor
        return factors

    def items(self, items: pl.DataFrame) -> pl.DataFrame:
        """Return ITEMS with other lead times and prices; a given shortage cost moves with the price.

        Raises
        ------
        DataError
            A price is to change that is not known.
        """
        lead = items["lead_time_periods"].to_numpy().astype(np.float64)
        for change in self.lead_time:
            rows = concerned(_supplier_scope(change.scope), items)
            lead[rows] = change.of(lead[rows])
        lead = lead + self.waits(items)  # what is ordered from a closed supplier is on its way when it opens
        factor = pl.Series(self.price_factors(items))
        unknown = items.filter((factor != 1) & items["price"].is_null())
        if unknown.height:
            raise DataError(f"the price of item {unknown['unique_id'][0]!r} is not known, so it cannot change; give it")
        more = pl.col("price") * (factor - 1)
        return items.with_columns(
            lead_time_periods=pl.Series(lead),
            lead_time_sd_periods=pl.col("lead_time_sd_periods") * pl.Series((lead > 0).astype(np.float64)),
            price=pl.col("price") * factor,
            shortage_cost=(pl.col("shortage_cost") + more.fill_null(0.0)).clip(0.0),
        )

    def limits(self, limits: pl.DataFrame, spend: float) -> pl.DataFrame:
        """Return LIMITS with the budgets and the service level asked for in place of those there were.

        Parameters
        ----------
        spend
            Money spent before the question; a budget that is a factor takes it where there was no budget.
        """
        rows = limits
        if isinstance(self.budget, Mapping):
            rows = rows.filter(pl.col("kind") != "budget")
            asked = [(None if name in EVERYTHING else name, money) for name, money in self.budget.items()]
            rows = pl.concat([rows, _limits([("budget", scope, money) for scope, money in asked])])
        elif self.budget is not None:
            is_budget = pl.col("kind") == "budget"
            if rows.filter(is_budget).height:
                less = pl.when(is_budget).then(pl.col("value") * self.budget).otherwise("value")
                rows = rows.with_columns(value=less)
            else:
                rows = pl.concat([rows, _limits([("budget", None, self.budget * spend)])])
        if self.service_level is not None:
            rows = rows.filter(pl.col("kind") != "service")
            rows = pl.concat([rows, _limits([("service", None, self.service_level)])])
        return rows


def _supplier_scope(name: str) -> str:
    return name if name in EVERYTHING else f"supplier:{name}"


def _by_scope(given: float | Mapping[str, Any] | None) -> Mapping[str, Any]:
    return {} if given is None else given if isinstance(given, Mapping) else {"all": given}


def _limits(rows: list[tuple[str, str | None, float]]) -> pl.DataFrame:
    schema = {name: column.dtype for name, column in LIMITS.columns.items()}
    dicts = [{"kind": kind, "scope": scope, "period": None, "value": value} for kind, scope, value in rows]
    return pl.DataFrame(dicts, schema=schema)


def concerned(scope: str, table: pl.DataFrame) -> Flags:
    """Return [N] which rows of a table a scope is about.

    Raises
    ------
    ParameterError
        It is about none.

    >>> table = pl.DataFrame({"unique_id": ["a@x", "b@x"], "product": ["a", "b"], "category": ["Tea", "Mugs"]})
    >>> concerned("category:Tea", table).tolist(), concerned("b", table).tolist(), concerned("all", table).tolist()
    ([True, False], [False, True], [True, True])
    """
    if scope in EVERYTHING:
        return np.ones(table.height, dtype=np.bool_)
    kind, colon, name = scope.partition(":")
    wanted = {_COLUMNS[kind]: name} if colon and kind in _COLUMNS else {"unique_id": scope, "product": scope}
    found = np.zeros(table.height, dtype=np.bool_)
    for column, value in wanted.items():
        if column in table.columns:
            found |= (table[column].cast(pl.String) == value).fill_null(value=False).to_numpy()
    if not found.any():
        raise ParameterError(
            f"no line is about {scope!r}; name a product, a line, or a scope like category:Tea, warehouse:North, "
            "supplier:S7, or all"
        )
    return found


@dataclass(frozen=True, eq=False)
class EditedDemand:
    """The same paths, times a factor [N, H]."""

    demand: Demand
    factors: Floats

    @property
    def n_paths(self) -> int:
        """Paths S."""
        return self.demand.n_paths

    @property
    def horizon(self) -> int:
        """Periods H."""
        return self.demand.horizon

    def draw(self, rows: Integers) -> NDArray[Any]:
        """Return [n, S, H] units."""
        return np.asarray(self.demand.draw(rows) * self.factors[rows, None, :].astype(np.float32))


@dataclass(frozen=True, eq=False)
class OrderThenBaseStock:
    """One order decided already, then at every review an order up to a level.

    Parameters
    ----------
    quantity
        [N] units of the order decided.
    level
        [N] units that later orders bring the position up to; below zero: nothing is ordered again.
    wait, review
        [N] periods until the first order is placed, and from each to the next.
    pack, minimum
        [N] units.

    >>> policy = OrderThenBaseStock(*(np.array([v]) for v in (6.0, 10.0, 0, 2, 4.0, 0.0)))
    >>> [policy.order_quantity(np.array([7.0]), period).tolist() for period in range(3)]
    [[6.0], [0.0], [4.0]]
    """

    name: ClassVar[str] = "order_then_base_stock"
    quantity: Floats
    level: Floats
    wait: Integers
    review: Integers
    pack: Floats
    minimum: Floats

    def __post_init__(self) -> None:
        if np.any(self.quantity < 0) or np.any(self.wait < 0) or np.any(self.review < 1):
            raise ParameterError("quantities and waits must be zero or more, reviews at least 1 period")

    def order_quantity(self, position: ArrayLike, period: int = 0) -> Floats:
        """Return the units to order [..., N]."""
        units = np.asarray(position, dtype=np.float64)
        ordered = np.zeros(units.shape)
        first = np.flatnonzero(self.wait == period)
        ordered[..., first] = self.quantity[first]
        later = np.flatnonzero((period > self.wait) & ((period - self.wait) % self.review == 0) & (self.level >= 0))
        if len(later):
            ordered[..., later] = orderable_quantity(
                self.level[later] - units[..., later], self.pack[later], self.minimum[later]
            )
        return ordered


@dataclass(frozen=True, eq=False)
class Outcome:
    """What becomes of N product-warehouses over the horizon, [N] expectations over the paths.

    Parameters
    ----------
    demand, lost_units
        Units asked for and lost.
    stockout
        Chance that something is lost.
    stockout_periods
        Periods in which something is lost.
    stock_units
        Units on hand at the end of a period, on average.
    ordered_later
        Units ordered after the order decided now.
    """

    demand: Floats
    lost_units: Floats
    stockout: Floats
    stockout_periods: Floats
    stock_units: Floats
    ordered_later: Floats


def played_out(
    policy: OrderThenBaseStock,
    paths: NDArray[Any],
    *,
    on_hand: ArrayLike,
    inbound: ArrayLike,
    lead_time_periods: ArrayLike,
    unmet: str = "lost",
) -> Outcome:
    """Play orders out over all paths.

    Parameters
    ----------
    paths
        [N, S, H] units asked for.
    on_hand, inbound
        [N] units now; [N, H] units on order, on the shelf from the start of each period.
    lead_time_periods
        [N], or [N, S] where they vary: from placing an order to the shelf.

    >>> policy = OrderThenBaseStock(*(np.array([v]) for v in (4.0, 6.0, 0, 2, 1.0, 0.0)))
    >>> done = played_out(policy, np.full((1, 2, 4), 3.0), on_hand=[3.0], inbound=np.zeros((1, 4)),
    ...                   lead_time_periods=[1])
    >>> done.lost_units.tolist(), done.stockout_periods.tolist(), done.ordered_later.tolist()
    ([2.0], [1.0], [5.0])
    """  # fmt: skip
    paths = checked_paths(paths)
    n, n_paths, horizon = paths.shape
    stock, due, lead = (np.asarray(one, dtype=np.float64) for one in (on_hand, inbound, lead_time_periods))
    found = {name: np.zeros(n) for name in Outcome.__dataclass_fields__}
    for part in series_slices(n, n_paths, 4 * horizon):
        own = OrderThenBaseStock(
            policy.quantity[part], policy.level[part], policy.wait[part], policy.review[part], policy.pack[part],
            policy.minimum[part],
        )  # fmt: skip
        done = simulate(
            own, paths[part], on_hand=stock[part], lead_time_periods=lead[part], inbound=due[part], unmet=unmet
        )
        placed = np.where(own.wait < horizon, own.quantity, 0.0)
        found["demand"][part] = done.demand.mean(axis=1)
        found["lost_units"][part] = done.short.mean(axis=1)
        found["stockout"][part] = (done.short_periods > 0).mean(axis=1)
        found["stockout_periods"][part] = done.short_periods.mean(axis=1)
        found["stock_units"][part] = done.mean_stock.mean(axis=1)
        found["ordered_later"][part] = done.ordered.mean(axis=1) - placed
    return Outcome(**found)


def told(outcome: Outcome, quantity: Floats, unit_cost: Floats, price: Floats) -> pl.DataFrame:
    """Return `MEASURES` of each product-warehouse; money that cannot be told is null.

    ``quantity`` to order now and its ``spend``; ``spend_later`` on orders within the horizon; ``demand``,
    ``lost_units``, ``fill_rate``; ``stockout`` chance; ``stockout_periods``; ``stock_units`` on average and their
    ``stock_value``; ``lost_margin``, and the ``margin`` of what is sold, both price less cost.

    Parameters
    ----------
    quantity
        [N] units.
    unit_cost, price
        [N] money; nan: not known.
    """
    asked = outcome.demand
    served = asked - outcome.lost_units
    margin = price - unit_cost
    columns = {
        "quantity": quantity,
        "spend": quantity * unit_cost,
        "spend_later": outcome.ordered_later * unit_cost,
        "demand": asked,
        "lost_units": outcome.lost_units,
        "fill_rate": np.where(asked > 0, served / np.where(asked > 0, asked, 1.0), 1.0),
        "stockout": outcome.stockout,
        "stockout_periods": outcome.stockout_periods,
        "stock_units": outcome.stock_units,
        "stock_value": outcome.stock_units * unit_cost,
        "lost_margin": outcome.lost_units * margin,
        "margin": served * margin,
    }
    return pl.DataFrame({name: pl.Series(values, nan_to_null=True) for name, values in columns.items()})


def totals(lines: pl.DataFrame) -> dict[str, float]:
    """Return each measure for all lines together: sums, the fill rate of all demand, the mean chance of a stockout.

    >>> two = pl.DataFrame({name: [1.0, 3.0] for name in MEASURES})
    >>> totals(two)["fill_rate"], totals(two)["stockout"], totals(two)["spend"]
    (0.0, 2.0, 4.0)
    """
    summed = {name: float(lines[name].sum()) for name in MEASURES}
    summed["fill_rate"] = 1 - summed["lost_units"] / summed["demand"] if summed["demand"] > 0 else 1.0
    mean = lines["stockout"].drop_nulls().to_numpy()
    summed["stockout"] = float(mean.mean()) if len(mean) else 0.0
    return summed


def compared(base: Mapping[str, float], scenario: Mapping[str, float]) -> pl.DataFrame:
    """Return ``measure, base, scenario, difference``, a row for each measure."""
    rows = [(name, base[name], scenario[name], scenario[name] - base[name]) for name in base]
    return pl.DataFrame(rows, schema=["measure", "base", "scenario", "difference"], orient="row")


@dataclass(frozen=True, eq=False)
class WhatIf:
    """The answer to a what-if.

    Parameters
    ----------
    totals
        ``measure, base, scenario, difference`` of all lines together; measures as in `told`, and ``cost``, the
        expected cost that the decision is after.
    lines
        ``unique_id`` and each measure twice: ``base_...`` as it is, and as it would be.
    decision
        The decision made again in the changed world.
    """

    totals: pl.DataFrame
    lines: pl.DataFrame
    decision: Any = field(repr=False)

    def __repr__(self) -> str:
        """Show the totals."""
        return f"WhatIf\n{self.totals}"


def side_by_side(ids: pl.Series, base: pl.DataFrame, scenario: pl.DataFrame) -> pl.DataFrame:
    """Return the measures of each line twice, those of the base with ``base_`` in front."""
    return pl.DataFrame(
        [
            ids.alias("unique_id"),
            *(base[name].alias(f"base_{name}") for name in MEASURES),
            *(scenario[name].alias(name) for name in MEASURES),
        ]
    )
