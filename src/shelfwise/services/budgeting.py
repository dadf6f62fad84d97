"""A budget over the proposal: which units of it the money should buy, and what the next money would bring.

The proposal says how much each line should order by the service level. A budget below the sum of that does not
shorten every line alike: each unit is weighed by the loss it prevents, on the paths the proposal was made on, and the
money goes where it prevents most (`shelfwise.inventory.optimise`). No line gets more than was proposed for it.

A lost unit costs its margin, but at least what makes the line's service level worth its holding, p = h s / (1 - s)
(Silver, Pyke and Thomas, 4th ed., chapter 7): so that with money enough the choice is the proposal itself.

Letters: N lines, H periods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.order_frames import LIMITS
from shelfwise.inventory.optimise import OrderDecision, optimise
from shelfwise.inventory.order_terms import ASSUMED_HOLDING_SHARE
from shelfwise.inventory.proposal import cut_to

Floats = NDArray[np.float64]

ALL_SUPPLIERS: Final = "all"
DAYS_A_YEAR: Final = 365.25
NEXT_SHOWN: Final = 20


@dataclass(frozen=True)
class Budget:
    """What a budget made of a proposal.

    Parameters
    ----------
    limits
        LIMIT_PRICES as rows: each budget, what is spent of it, and what one unit of money more would save.
    next_units
        The next best steps that the money did not reach, NEXT_UNITS as rows.
    asked, spend
        Money of the proposal, and of what is left of it.
    cost, bound, gap
        Expected cost of the choice, what no choice can undercut, and the difference as a fraction.
    notes
        What was assumed and what could not be met.
    """

    limits: list[dict[str, Any]]
    next_units: list[dict[str, Any]]
    asked: float
    spend: float
    cost: float
    bound: float
    gap: float
    notes: tuple[str, ...]


def weigh(
    lines: pl.DataFrame,
    items: pl.DataFrame,
    forecast: Forecast,
    inbound: Floats,
    *,
    limits: pl.DataFrame | None = None,
    capped: bool = False,
    seed: int = 0,
) -> OrderDecision:
    """Decide the lines' orders by what each unit prevents and costs.

    Parameters
    ----------
    lines
        PROPOSAL_LINES.
    items
        PLANNING_ITEMS of the same lines, which know prices and how lead times vary.
    forecast
        Of the same lines, in their order.
    inbound
        [N, H] units on the shelf from the start of each period.
    limits
        LIMITS, or None.
    capped
        Order no more than the lines propose.
    seed
        Of the lead times.
    """
    known = lines.join(
        items.select("unique_id", "price", sd="lead_time_sd_periods", stock="on_hand"),
        on="unique_id",
        how="left",
        maintain_order="left",
    )
    unit_cost = known["unit_cost"].fill_null(1.0).to_numpy()
    holding = unit_cost * ASSUMED_HOLDING_SHARE / DAYS_A_YEAR  # money per unit and day: periods are days
    level = known["service_level"].to_numpy()
    margin = (known["price"] - known["unit_cost"]).fill_null(0.0).to_numpy()
    lead = known["lead_time_periods"] + known["wait_periods"]
    table = {
        "unique_id": known["unique_id"],
        "on_hand": known["stock"].fill_null(0.0).clip(0.0),
        "lead_time_periods": lead,
        "lead_time_sd_periods": known["sd"].fill_null(0.0) * (lead > 0).cast(pl.Float64),
        "review_periods": known["review_periods"],
        "unit_cost": unit_cost,
        "price": known["price"],
        "holding_cost": holding,
        "shortage_cost": np.maximum(margin, holding * known["review_periods"].to_numpy() * level / (1 - level)),
        "pack": known["pack_size"],
        "moq": known["minimum_order_quantity"],
        "supplier": known["supplier"],
        "warehouse": known["warehouse"],
        "product": known["product"],
        "largest_quantity": known["quantity"] if capped else None,
    }
    ids, periods = np.nonzero(inbound)
    due = pl.DataFrame(
        {
            "unique_id": lines["unique_id"].gather(ids),
            "period": periods + 1,
            "quantity": inbound[ids, periods],
        }
    )
    return optimise(pl.DataFrame(table), forecast, inbound=due, limits=limits, seed=seed)


def within(
    lines: pl.DataFrame,
    items: pl.DataFrame,
    forecast: Forecast,
    inbound: Floats,
    budgets: Mapping[str, float],
    suppliers: pl.DataFrame,
    *,
    settled: Mapping[str, float] | None = None,
    seed: int = 0,
) -> tuple[pl.DataFrame, Budget]:
    """Return the lines cut to the budgets, and what that came to.

    Parameters
    ----------
    lines, items, forecast, inbound, seed
        As in `weigh`.
    budgets
        Money by supplier code; `ALL_SUPPLIERS` is for everything together.
    suppliers
        SUPPLIERS, for their minimum order values.
    settled
        Units by ``unique_id`` of the lines that people have decided on: their money is spent first, and they are
        neither cut nor weighed.

    Raises
    ------
    ParameterError
        A budget is below zero, or for a supplier of whom nothing is proposed.
    """
    _check(budgets, lines)
    fixed = dict(settled or {})
    counted = _as_settled(lines, fixed)
    asked = float(counted["cost"].sum())
    notes = _without_cost(counted)
    over = {name: money for name, money in budgets.items() if _spend(counted, name) > money + 1e-9}
    kept = [_row(name, money, _spend(counted, name), 0.0) for name, money in budgets.items() if name not in over]
    if not over:
        return lines, Budget(kept, [], asked, asked, 0.0, 0.0, 0.0, tuple(notes))
    decided = pl.col("unique_id").is_in(list(fixed))
    spent = {name: _spend(counted.filter(decided), name) for name in (*budgets, *suppliers["supplier"])}
    notes += _overspent(budgets, spent)
    priced = (pl.col("quantity") > 0) & pl.col("unit_cost").is_not_null() & ~decided
    touched = pl.lit(value=True) if ALL_SUPPLIERS in over else pl.col("supplier").is_in(list(over))
    rows = lines.select((priced & touched).fill_null(value=False).alias("open"))["open"].arg_true().to_numpy()
    some = lines[rows]
    left = {name: max(money - spent[name], 0.0) for name, money in budgets.items()}
    wanted = left if ALL_SUPPLIERS in over else over
    limits = {name: left[name] for name in wanted if _covers(name, some)}
    quantity = lines["quantity"].to_numpy().copy()
    told: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    cost = bound = gap = 0.0
    if len(rows):
        decision = weigh(
            some,
            items.join(some.select("unique_id"), on="unique_id", how="semi", maintain_order="left"),
            forecast.select(rows),
            inbound[rows],
            limits=_limits(
                {name: money for name, money in limits.items() if _covers(name, some)}, some, suppliers, spent
            ),
            capped=True,
            seed=seed,
        )
        quantity[rows] = decision.quantity
        for row in decision.prices.filter(pl.col("kind") == "budget").iter_rows(named=True):
            name = row["scope"] or ALL_SUPPLIERS
            told.append(_row(name, budgets[name], row["used"] + spent[name], row["price"]))
        waiting = decision.next_units.filter(~pl.col("chosen")).head(NEXT_SHOWN).to_dicts()
        cost, bound, gap = decision.cost, decision.bound, decision.gap
        notes += decision.infeasible
    less = cut_to(lines, quantity)
    after = _as_settled(less, fixed)
    known = {row["scope"] or ALL_SUPPLIERS for row in told}
    told += [_row(name, money, _spend(after, name), 0.0) for name, money in budgets.items() if name not in known]
    return less, Budget(told, waiting, asked, float(after["cost"].sum()), cost, bound, gap, tuple(notes))


def _as_settled(lines: pl.DataFrame, settled: Mapping[str, float]) -> pl.DataFrame:
    """Return the lines with the quantities, and their cost, that people have decided on."""
    said = pl.DataFrame({"unique_id": list(settled), "said": list(settled.values())},
                        schema={"unique_id": pl.String, "said": pl.Float64})  # fmt: skip
    return (
        lines.join(said, on="unique_id", how="left", maintain_order="left")
        .with_columns(quantity=pl.coalesce("said", "quantity"))
        .with_columns(cost=pl.col("quantity") * pl.col("unit_cost"))
        .drop("said")
    )


def _overspent(budgets: Mapping[str, float], spent: Mapping[str, float]) -> list[str]:
    return [
        f"what people decided on takes {spent[name]:,.0f} already, more than the budget of {money:,.0f}"
        + ("" if name == ALL_SUPPLIERS else f" of {name}")
        for name, money in budgets.items()
        if spent[name] > money + 1e-9
    ]


def _covers(name: str, lines: pl.DataFrame) -> bool:
    return name == ALL_SUPPLIERS or bool((lines["supplier"] == name).any())


def _check(budgets: Mapping[str, float], lines: pl.DataFrame) -> None:
    known = set(lines.filter(pl.col("quantity") > 0)["supplier"].drop_nulls())
    for name, money in budgets.items():
        if not (np.isfinite(money) and money >= 0):
            raise ParameterError(f"a budget must be zero or more, got {money:g} for {name}")
        if name != ALL_SUPPLIERS and name not in known:
            there = ", ".join(sorted(known)) or "nobody"
            raise ParameterError(f"a budget was given for {name}, of whom nothing is proposed; lines are from {there}")


def _spend(lines: pl.DataFrame, name: str) -> float:
    some = lines if name == ALL_SUPPLIERS else lines.filter(pl.col("supplier") == name)
    return float(some["cost"].sum())


def _row(name: str, value: float, used: float, price: float) -> dict[str, Any]:
    scope = None if name == ALL_SUPPLIERS else name
    return {"kind": "budget", "scope": scope, "period": None, "value": value, "used": used, "price": price}


def _without_cost(lines: pl.DataFrame) -> list[str]:
    unknown = lines.filter((pl.col("quantity") > 0) & pl.col("unit_cost").is_null()).height
    if not unknown:
        return []
    word = "line has" if unknown == 1 else "lines have"
    return [f"{unknown:,} {word} no unit cost and cannot be held to a budget; they are proposed in full"]


def _limits(
    budgets: Mapping[str, float], lines: pl.DataFrame, suppliers: pl.DataFrame, spent: Mapping[str, float]
) -> pl.DataFrame:
    """Return LIMITS: the budgets, and what is missing to the minimum order values that the proposal reaches."""
    rows: list[tuple[str, str | None, float]] = [
        ("budget", None if name == ALL_SUPPLIERS else name, money) for name, money in budgets.items()
    ]
    minima = suppliers.filter(pl.col("minimum_order_value") > 0).select("supplier", "minimum_order_value")
    for supplier, minimum in minima.iter_rows():
        missing = minimum - spent[supplier]
        if missing > 1e-9 and _spend(lines, supplier) >= missing - 1e-9:
            rows.append(("supplier_min", supplier, missing))
    return LIMITS.check(pl.DataFrame(rows, schema=["kind", "scope", "value"], orient="row"))


def details(decision: OrderDecision, ids: Sequence[str]) -> pl.DataFrame:
    """Return what stands behind lines: levels, the chance each covers, and what the last unit saves.

    Columns: ``unique_id``, the policy's (``reorder_point, order_up_to, safety_stock, cycle_stock``) and the order's
    (``minimum_stock`` ... ``protected_stockout``, ``marginal_value``).
    """
    wanted = pl.DataFrame({"unique_id": list(ids)}, schema={"unique_id": pl.String})
    order = decision.orders.select(
        "unique_id", "minimum_stock", "regular_stock", "protected_stock", "minimum_stockout", "regular_stockout",
        "protected_stockout", "stockout", "marginal_value",
    )  # fmt: skip
    return wanted.join(decision.policy, on="unique_id", how="left", maintain_order="left").join(
        order, on="unique_id", how="left", maintain_order="left"
    )
