"""Dead and excess stock of the shop, the money in it, and what to do about it.

Read off the paths of the plan that holds, and of everything that is in stock and not planned any more because it does
not sell. What to do is said in the order in which it saves most: an order that has not come can still be cancelled;
another warehouse may need what lies here; what will sell, only slowly, sells faster marked down; what sells no more
goes back to its supplier or is written off.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from shelfwise.app import App
from shelfwise.domain import words
from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.excess import USED_LEVEL, excess_stock
from shelfwise.inventory.order_terms import ASSUMED_HOLDING_SHARE
from shelfwise.services import demand, planning, supply
from shelfwise.services.planning import Plan
from shelfwise.storage import catalogue

COVER_DAYS: Final = 90
"""Days beyond the protection time whose demand stock may be held for."""
DEAD_DAYS: Final = 180
"""Days without a sale after which stock is dead, whatever is forecast."""
DAYS_A_YEAR: Final = 365.25
CELLS_PER_CHUNK: Final = 12_000_000

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class ExcessStock:
    """What lies too long.

    lines
        Of each product-warehouse with excess: ``unique_id, product, warehouse, name, supplier, on_hand, due``,
        ``units`` in excess and ``due_units`` of them still on order, ``kind`` (dead or excess), ``days_to_sell``
        (median; null: it does not sell), ``last_sold``, ``unit_cost``, ``value`` (money in the excess),
        ``holding_a_year``, ``advice``; the most money first.
    stock_value
        Money in all stock on hand whose cost is known.
    cover_days, dead_days
        What was asked.
    as_of
        Day it is true for.
    """

    lines: pl.DataFrame
    stock_value: float
    cover_days: int
    dead_days: int
    as_of: dt.date
    notes: tuple[str, ...]

    @property
    def value(self) -> float:
        """Money in the excess whose cost is known."""
        return float(self.lines["value"].sum())


def find(
    app: App,
    *,
    cover_days: int = COVER_DAYS,
    dead_days: int = DEAD_DAYS,
    known: demand.Demand | None = None,
    side: supply.Supply | None = None,
    plan: Plan | None = None,
    progress: Progress | None = None,
) -> ExcessStock:
    """Return the shop's dead and excess stock.

    Parameters
    ----------
    cover_days
        Days of demand beyond the protection time that stock may be held for.
    dead_days
        Days without a sale after which stock is dead.
    known, side, plan
        Demand (laid out `planning.DAYS_LAID_OUT` days ahead), supply and the plan that holds, where they were read.

    Raises
    ------
    ParameterError
        Either is below 1.
    DataError
        The store has no sales, or no live product.
    """
    if cover_days < 1 or dead_days < 1:
        raise ParameterError(f"cover_days and dead_days must be at least 1, got {cover_days} and {dead_days}")
    known = demand.load(app, days_ahead=planning.DAYS_LAID_OUT) if known is None else known
    side = supply.load(app) if side is None else side
    plan = planning.make_plan(app, known=known, side=side, progress=progress) if plan is None else plan
    sold = _last_sold(known)
    planned = _planned(app, plan, cover_days)
    with app.database.read() as connection:
        products = catalogue.products(connection)
    lines = _all_stock(side, plan, products).join(planned, on="unique_id", how="left", maintain_order="left")
    lines = lines.join(sold, on="unique_id", how="left", maintain_order="left")
    lines = _judged(lines, plan.as_of, dead_days)
    found = lines.filter(pl.col("units") > 0)
    needs = _needs(plan)
    advice = [_advice(row, needs, cover_days, plan.as_of) for row in found.iter_rows(named=True)]
    found = found.with_columns(advice=pl.Series(advice, dtype=pl.String))
    worth = float((lines["on_hand"].clip(0) * lines["unit_cost"]).sum())
    ordered = found.sort(["value", "units", "unique_id"], descending=[True, True, False], nulls_last=True)
    columns = (
        "unique_id", "product", "warehouse", "name", "supplier", "on_hand", "due", "units", "due_units", "kind",
        "days_to_sell", "last_sold", "unit_cost", "value", "holding_a_year", "advice",
    )  # fmt: skip
    return ExcessStock(ordered.select(columns), worth, cover_days, dead_days, plan.as_of, _notes(found, lines))


def _last_sold(known: demand.Demand) -> pl.DataFrame:
    """Return ``unique_id, last_sold``: the last day each series sold, null where it never did."""
    panel = known.panel
    position = np.arange(len(panel.values)) - np.repeat(panel.offsets[:-1], panel.lengths)  # within each series
    sold = np.nan_to_num(panel.values) > 0
    owner = np.repeat(np.arange(panel.n_series), panel.lengths)
    last = np.full(panel.n_series, -1, dtype=np.int64)
    np.maximum.at(last, owner[sold], position[sold])
    days = panel.freq.moments(panel.starts + np.maximum(last, 0))
    day = pl.Series(np.where(last >= 0, days.astype("datetime64[us]"), np.datetime64("NaT"))).cast(pl.Date)
    return pl.DataFrame({"unique_id": panel.ids, "last_sold": day})


def _planned(app: App, plan: Plan, cover_days: int) -> pl.DataFrame:
    """Return of each planned line what is in excess by its own paths."""
    if plan.run_id is None:
        raise ParameterError("the plan has no number: it was not saved")
    forecast = planning.published_forecast(app, plan.run_id)
    lines = pl.DataFrame({"unique_id": forecast.ids}).join(
        plan.lines, on="unique_id", how="inner", maintain_order="left"
    )
    place = {name: row for row, name in enumerate(forecast.ids)}
    forecast = forecast.select(np.array([place[name] for name in lines["unique_id"]], dtype=np.int64))
    cover = (
        lines["wait_periods"] + lines["lead_time_periods"].ceil() + lines["review_periods"]
    ).to_numpy() + cover_days
    parts, low = [], 0
    for chunk in forecast.chunks(-(-len(forecast) * forecast.n_paths * forecast.horizon // CELLS_PER_CHUNK)):
        rows = slice(low, low + len(chunk))
        low = rows.stop
        some = lines[rows]
        stock = np.where(some["stock_known"].to_numpy(), some["on_hand"].to_numpy(), 0.0)
        found = excess_stock(stock, some["due"].to_numpy(), chunk.paths, cover[rows])
        parts.append(
            some.select("unique_id", "due").with_columns(
                units=pl.Series(found.units),
                due_units=pl.Series(found.due_units),
                days_to_sell=pl.Series(found.periods_to_sell),
                expected=pl.Series(found.expected),
                used=pl.Series(found.used),
                dead=pl.Series(found.dead),
            )
        )
    return pl.concat(parts)


def _all_stock(side: supply.Supply, plan: Plan, products: pl.DataFrame) -> pl.DataFrame:
    """Return every product-warehouse with stock or a plan line, with what is known of the product."""
    levels = side.stock.select("product", "warehouse", "on_hand")
    places = pl.concat([levels.select("product", "warehouse"), plan.lines.select("product", "warehouse")]).unique()
    return (
        places.join(levels, on=["product", "warehouse"], how="left")
        .join(products.select("product", "name", "supplier", "unit_cost"), on="product", how="left")
        .with_columns(pl.col("on_hand").fill_null(0.0), unique_id=pl.format("{}@{}", "product", "warehouse"))
        .sort("unique_id")
    )


def _judged(lines: pl.DataFrame, as_of: dt.date, dead_days: int) -> pl.DataFrame:
    """Say of each line how many units are too many, and whether it is dead."""
    silent = (pl.lit(as_of) - pl.col("last_sold")).dt.total_days() > dead_days
    planned = pl.col("units").is_not_null()
    dead = pl.when(planned).then(pl.col("dead") | silent.fill_null(value=False)).otherwise(pl.lit(value=True))
    all_of_it = pl.col("on_hand").clip(0)
    return (
        lines.with_columns(is_dead=dead & (pl.col("on_hand") > 0))
        .with_columns(
            due=pl.col("due").fill_null(0),
            due_units=pl.when("is_dead").then(pl.col("due")).otherwise("due_units").fill_null(0.0),
            units=pl.when("is_dead").then(all_of_it + pl.col("due").fill_null(0)).otherwise("units").fill_null(0.0),
        )
        .with_columns(
            kind=pl.when("is_dead").then(pl.lit("dead")).otherwise(pl.lit("excess")),
            days_to_sell=pl.when(pl.col("days_to_sell").is_finite()).then("days_to_sell"),
            value=pl.col("units") * pl.col("unit_cost"),
        )
        .with_columns(holding_a_year=pl.col("value") * ASSUMED_HOLDING_SHARE)
    )


def _needs(plan: Plan) -> dict[str, list[tuple[str, float]]]:
    """Return by product the warehouses whose lines order, with their units, the largest first."""
    found: dict[str, list[tuple[str, float]]] = {}
    wanted = plan.lines.filter(pl.col("quantity") > 0).sort("quantity", descending=True)
    for product, warehouse, units in wanted.select("product", "warehouse", "quantity").iter_rows():
        found.setdefault(product, []).append((warehouse, units))
    return found


def _advice(row: dict[str, Any], needs: dict[str, list[tuple[str, float]]], cover_days: int, as_of: dt.date) -> str:
    """Say what to do about a line, the step that saves most first."""
    steps = []
    left = row["units"]
    if row["due_units"] > 0:
        steps.append(f"cancel or put off {words.units(row['due_units'])} of the {words.units(row['due'])} on order")
        left -= row["due_units"]
    for warehouse, units in needs.get(row["product"], []):
        moved = min(left, units)
        if warehouse != row["warehouse"] and moved >= 1:
            steps.append(f"move {words.units(moved)} to {warehouse}, which would order {words.units(units)}")
            left -= moved
    if left >= 1 and row["kind"] == "dead":
        since = (
            "it has never sold"
            if row["last_sold"] is None
            else f"nothing sold for {(as_of - row['last_sold']).days} days"
        )
        ended = ", and it is planned no more" if row["expected"] is None else ""
        steps.append(f"return or write off {words.units(left)}: {since}{ended}")
    elif left >= 1:
        faster = row["on_hand"] / max(row["expected"], 1e-9)
        pace = f"{faster:.1f} times as fast as expected" if faster > 1 else "a little faster than it may"
        steps.append(
            f"mark down {words.units(left)}, or order no more: to be gone in time the stock has to sell {pace}"
        )
    return "; ".join(steps)


def _notes(found: pl.DataFrame, lines: pl.DataFrame) -> tuple[str, ...]:
    notes = [
        f"stock beyond what demand uses in {USED_LEVEL:.0%} of cases; holding it is taken to cost "
        f"{ASSUMED_HOLDING_SHARE:.0%} of its value a year"
    ]
    unknown = found["unit_cost"].null_count()
    if unknown:
        notes.append(f"{unknown:,} of these lines have no unit cost: the money in them is not counted")
    if not (lines["on_hand"] != 0).any():
        notes.append("no stock on hand is known; import a stock file (columns sku, on_hand) first")
    return tuple(notes)
