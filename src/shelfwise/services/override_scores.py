"""What overrides were worth: each against what would have stood without it, on what came true.

**Forecasts.** For each day that an override changed, the forecast is the first one that was made with it, so later
news helps neither side. Over the days that have passed, and whose demand is known, units are summed by series; the
error is the distance of that sum from what sold. Value is the error without the override less the error with it, in
units and at the selling price. Days on which a stockout may have hidden demand do not count.

**Orders.** An edited quantity and the proposed one are replayed from the stock of the plan's day, with the deliveries
that really came, by the lost-sales recursion, until the order after it could have come. Each costs the margin of the
units lost, plus holding: a quarter of the unit cost a year on what is left at the end of each day, and on what remains
at the end until it has sold, at most a year. Value is the cost of the proposed quantity less that of the edited one.
Where a stockout may have hidden demand, demand is the larger of what sold and what the plan expected. An edit that
carried over from plan to plan counts once: on the plan on which it was approved, else on the last.

Letters: n series, H days.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.app import App
from shelfwise.domain import words
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.panel import Panel
from shelfwise.inventory.stockout_risk import NOTHING, projected_stock, stockout_risk
from shelfwise.services import adjusting, demand, planning
from shelfwise.services.decisions import APPROVED_ON
from shelfwise.services.demand import DAILY, Demand
from shelfwise.storage import overrides, plans, purchasing
from shelfwise.storage.overrides import Override
from shelfwise.storage.plans import Edited, PlanRun

Progress = Callable[[str, int, int], None]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

HOLDING_SHARE: Final = 0.25
"""Of the unit cost, for holding a unit for a year."""
COST_OF_PRICE: Final = 0.6
"""Unit cost over price, where one of the two is not known."""
LONGEST_HOLDING: Final = 365.0
"""Days for which what does not sell is held at most."""

FORECASTS: Final = {
    "override": pl.Int64(), "about": pl.String(), "change": pl.String(), "reason": pl.String(), "by": pl.String(),
    "first_day": pl.Date(), "last_day": pl.Date(), "days": pl.Int64(), "hidden_days": pl.Int64(), "sold": pl.Float64(),
    "with": pl.Float64(), "without": pl.Float64(), "error_with": pl.Float64(), "error_without": pl.Float64(),
    "value_units": pl.Float64(), "value": pl.Float64(),
}  # fmt: skip
ORDERS: Final = {
    "override": pl.Int64(), "about": pl.String(), "change": pl.String(), "reason": pl.String(), "by": pl.String(),
    "first_day": pl.Date(), "last_day": pl.Date(), "days": pl.Int64(), "hidden_days": pl.Int64(), "sold": pl.Float64(),
    "with": pl.Float64(), "without": pl.Float64(), "lost_with": pl.Float64(), "lost_without": pl.Float64(),
    "left_with": pl.Float64(), "left_without": pl.Float64(), "cost_with": pl.Float64(), "cost_without": pl.Float64(),
    "value_units": pl.Float64(), "value": pl.Float64(), "approved": pl.Boolean(),
}  # fmt: skip
SUMMARY: Final = {
    "of": pl.String(), "by": pl.String(), "reason": pl.String(), "made": pl.Int64(), "scored": pl.Int64(),
    "better": pl.Int64(), "worse": pl.Int64(), "value_units": pl.Float64(), "value": pl.Float64(),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class OverrideScores:
    """What overrides and edits were worth.

    Parameters
    ----------
    forecasts
        One row for each override and series that can be scored: units forecast ``with`` and ``without`` it over the
        days scored, what sold, the errors, and the value in units and in money (null: no price is known).
    orders
        One row for each edit that can be scored: units ordered ``with`` and ``without`` it, units lost and left, the
        costs, and the value in units lost and in money.
    summary
        By kind, person and reason: how many were made and scored, how many did better and worse, and their value.
    notes
        What could not be scored, and why.
    """

    forecasts: pl.DataFrame
    orders: pl.DataFrame
    summary: pl.DataFrame
    notes: tuple[str, ...]


def score(app: App, *, progress: Progress | None = None) -> OverrideScores:
    """Score all forecast overrides and order edits ever made against what came true."""
    tell = progress or _silent
    tell("reading what sold", 0, 3)
    known = demand.load(app)
    with app.database.read() as connection:
        every = overrides.all_overrides(connection)
        runs = plans.all_runs(connection)
        edits = _once(plans.edited_lines(connection))
        receipts = purchasing.receipts(connection)
    tell("scoring forecasts", 1, 3)
    changed = [one for one in every if one.setting == adjusting.FORECAST]
    forecasts = _forecasts(app, changed, runs, known)
    tell("scoring orders", 2, 3)
    reasons = {one.recommendation: _reason(one, every) for one in edits}
    orders, notes = _orders(app, edits, reasons, known, receipts)
    waiting = len(changed) - forecasts["override"].n_unique()
    if waiting:
        notes.insert(
            0,
            f"{words.count(waiting, 'forecast override')} cannot be scored yet: no plan was made with it, or none of "
            "its days has passed with demand known",
        )
    summary = pl.concat(
        [
            _summed(
                [("forecast", one.created_by, one.reason, one.id) for one in changed],
                forecasts.select("value_units", "value", key="override"),
            ),
            _summed(
                [("order", one.edit.decided_by, reasons[one.recommendation], one.recommendation) for one in edits],
                orders.select("value_units", "value", key="recommendation"),
            ),
        ]
    ).sort("of", "value", "value_units", "by", "reason", descending=[False, True, True, False, False], nulls_last=True)
    return OverrideScores(forecasts, orders.drop("recommendation"), summary, tuple(notes))


def _summed(made: list[tuple[str, str, str, int]], scored: pl.DataFrame) -> pl.DataFrame:
    """Return SUMMARY from what was made (of, by, reason, key) and what came of it (key, value_units, value)."""
    known = pl.col("value").is_not_null().any()
    sums = scored.group_by("key").agg(pl.col("value_units").sum(), value=pl.when(known).then(pl.col("value").sum()))
    schema = {"of": pl.String(), "by": pl.String(), "reason": pl.String(), "key": pl.Int64()}
    judged = pl.coalesce("value", "value_units")
    return (
        pl.DataFrame(made, schema=schema, orient="row")
        .join(sums, on="key", how="left")
        .group_by("of", "by", "reason", maintain_order=True)
        .agg(
            made=pl.len().cast(pl.Int64),
            scored=pl.col("value_units").is_not_null().sum().cast(pl.Int64),
            better=(judged > NOTHING).sum().cast(pl.Int64),
            worse=(judged < -NOTHING).sum().cast(pl.Int64),
            value_units=pl.when(pl.col("value_units").is_not_null().any()).then(pl.col("value_units").sum()),
            value=pl.when(known).then(pl.col("value").sum()),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in SUMMARY.items())
    )


# ---------------------------------------------------------------------- forecasts


def _forecasts(app: App, changed: Sequence[Override], runs: Sequence[PlanRun], known: Demand) -> pl.DataFrame:
    """Return FORECASTS: each override's days from the first run that was made with it and reaches them."""
    by_id = {one.id: one for one in changed}
    reached: dict[int, dt.date] = {}
    parts: list[dict[str, Any]] = []
    for run in runs:
        ids = [one for one in run.parameters.get("overrides", []) if one in by_id]
        first = dt.date.fromisoformat(run.parameters.get("as_of", "9999-12-31"))
        last = min(first + dt.timedelta(days=run.horizon - 1), known.data_until)
        since = {one: max(first, reached.get(one, dt.date.min) + dt.timedelta(days=1)) for one in ids}
        fresh = {one: since[one] for one in ids if since[one] <= last and _lasts(by_id[one], since[one])}
        if not fresh:
            continue
        untouched = planning.untouched_forecast(app, run.id)
        if untouched is None:
            continue
        published = planning.published_forecast(app, run.id)
        parts += _compared(published, untouched, [by_id[one] for one in ids], fresh, known.panel)
        reached |= dict.fromkeys(fresh, last)
    if not parts:
        return pl.DataFrame(schema=FORECASTS)
    some = pl.DataFrame(parts, schema={**FORECASTS, "price": pl.Float64()}, orient="row")
    sums = some.group_by("override", "about", "change", "reason", "by", maintain_order=True).agg(
        pl.col("first_day").min(),
        pl.col("last_day").max(),
        pl.col("days", "hidden_days", "sold", "with", "without").sum(),
        pl.col("price").last(),
    )
    scored = sums.filter(pl.col("days") > 0).with_columns(
        error_with=(pl.col("with") - pl.col("sold")).abs(), error_without=(pl.col("without") - pl.col("sold")).abs()
    )
    valued = scored.with_columns(value_units=pl.col("error_without") - pl.col("error_with"))
    return valued.with_columns(value=pl.col("value_units") * pl.col("price")).select(list(FORECASTS))


def _lasts(one: Override, day: dt.date) -> bool:
    """Say whether an override still holds on a day."""
    ended = None if one.reverted_at is None else one.reverted_at.date()
    return (one.expires_on is None or one.expires_on >= day) and (ended is None or ended > day)


def _compared(
    published: Forecast,
    untouched: Forecast,
    some: Sequence[Override],
    fresh: Mapping[int, dt.date],
    panel: Panel,
) -> list[dict[str, Any]]:
    """Return one row for each override and series of a run: sums over the days from ``fresh`` on that are known."""
    days = untouched.moments()[0].astype("datetime64[D]")
    held = adjusting.holding(untouched.series, days, some)  # [n, H]
    after = _means(published, untouched.ids.to_list())
    before = untouched.mean()
    rows_of = {name: row for row, name in enumerate(panel.ids.to_list())}
    prices = dict(panel.series.select("unique_id", "price").iter_rows())
    rows = []
    for one in some:
        if one.id not in fresh:
            continue
        ended = dt.date.max if one.reverted_at is None else one.reverted_at.date()
        mine = (held == one.id) & (days >= np.datetime64(fresh[one.id])) & (days < np.datetime64(ended))
        for row in np.flatnonzero(mine.any(axis=1)):
            name = untouched.ids[int(row)]
            if name not in rows_of:
                continue
            sold, seen = _happened(panel, rows_of[name], int(untouched.starts[row]), untouched.horizon)
            usable = mine[row] & seen & ~np.isnan(sold)
            hidden = mine[row] & ~seen & ~np.isnan(sold)
            scored = np.flatnonzero(usable)
            rows.append(
                {
                    "override": one.id, "about": name, "change": adjusting.change_words(one), "reason": one.reason,
                    "by": one.created_by,
                    "first_day": days[scored[0]].item() if len(scored) else None,
                    "last_day": days[scored[-1]].item() if len(scored) else None,
                    "days": len(scored), "hidden_days": int(hidden.sum()), "sold": float(sold[usable].sum()),
                    "with": float(after[row, usable].sum()), "without": float(before[row, usable].sum()),
                    "price": prices.get(name),
                }
            )  # fmt: skip
    return rows


def _means(published: Forecast, ids: Sequence[str]) -> Floats:
    """Return [n, H] means of series as they sell: bundles among a plan's parts, components without their bundles."""
    found: dict[str, Any] = {}
    for one in (published.alone(), *(() if published.parts is None else (published.parts,))):
        found |= dict(zip(one.ids.to_list(), one.mean(), strict=True))
    return np.array([found[name] for name in ids], dtype=np.float64)


def _happened(panel: Panel, row: int, start: int, horizon: int) -> tuple[Floats, Flags]:
    """Return what one series sold in H periods from an ordinal on (nan: closed, or not known yet), and what is seen."""
    sold, seen = np.full(horizon, np.nan), np.zeros(horizon, dtype=np.bool_)
    begin, end = int(panel.starts[row]), int(panel.ends[row])
    low, high = max(start, begin), min(start + horizon, end)
    if low < high:
        inside = slice(int(panel.offsets[row]) + low - begin, int(panel.offsets[row]) + high - begin)
        sold[low - start : high - start] = panel.values[inside]
        seen[low - start : high - start] = True if panel.available is None else panel.available[inside]
    return sold, seen


# ---------------------------------------------------------------------- orders


def _once(edits: Sequence[Edited]) -> list[Edited]:
    """Return each edit once, though it may have carried over: where it was approved, else on the last plan."""
    kept: list[Edited] = []
    waiting: dict[tuple[Any, ...], Edited] = {}
    for one in edits:
        key = (one.product, one.warehouse, one.quantity, one.edit.reason, one.edit.decided_by)
        if one.order is None:
            waiting[key] = one
        else:
            waiting.pop(key, None)
            kept.append(one)
    return sorted([*kept, *waiting.values()], key=lambda one: one.recommendation)


def _reason(one: Edited, every: Sequence[Override]) -> str:
    """Return the person's own words behind an edit, which an override's edit has its number in front of."""
    number = adjusting.made_by(one.edit.reason)
    return next((each.reason for each in every if each.id == number), one.edit.reason or "")


def _orders(
    app: App, edits: Sequence[Edited], reasons: Mapping[int, str], known: Demand, receipts: pl.DataFrame
) -> tuple[pl.DataFrame, list[str]]:
    """Return ORDERS with ``recommendation``, and notes on the edits that are not scored."""
    forecasts: dict[int, Forecast] = {}
    rows, early, uncounted = [], 0, 0
    prices = dict(known.products.select("product", "price").iter_rows())
    for one in edits:
        if not one.arithmetic.get("stock_known", False):
            uncounted += 1
            continue
        if one.run.id not in forecasts:
            forecasts[one.run.id] = planning.published_forecast(app, one.run.id)
        row = _replayed(one, known, receipts, forecasts[one.run.id], prices.get(one.product))
        if row is None:
            early += 1
        else:
            rows.append({**row, "reason": reasons[one.recommendation]})
    notes = []
    if early:
        notes.append(
            f"{words.count(early, 'edited order')} cannot be scored yet: the time until the order after it could come "
            "is not over, or its sales are not in the store"
        )
    if uncounted:
        notes.append(f"{words.count(uncounted, 'edited order')} cannot be scored: the stock was never counted")
    return pl.DataFrame(rows, schema={"recommendation": pl.Int64(), **ORDERS}, orient="row"), notes


def _replayed(
    one: Edited, known: Demand, receipts: pl.DataFrame, forecast: Forecast, price: float | None
) -> dict[str, Any] | None:
    """Return one row of ORDERS: both quantities on what came true; None where that is not over yet."""
    as_of = dt.date.fromisoformat(one.run.parameters["as_of"])
    line = f"{one.product}@{one.warehouse}"
    ids = known.panel.ids.to_list()
    if line not in ids or line not in forecast.ids:
        return None
    wait = int(one.arithmetic.get("wait_periods", 0))
    lead = math.ceil(float(one.arithmetic["lead_time_periods"]) - 1e-9)
    review = math.ceil(float(one.arithmetic["review_periods"]) - 1e-9)
    number = (one.order or "").removeprefix(APPROVED_ON)
    own = receipts.filter(
        (pl.col("purchase_order") == number)
        & (pl.col("product") == one.product)
        & (pl.col("warehouse") == one.warehouse)
    )
    came = own["received_on"].min()
    arrives = (came - as_of).days if isinstance(came, dt.date) and came >= as_of else wait + lead
    length = arrives + review
    row = ids.index(line)
    sold, seen = _happened(known.panel, row, DAILY.ordinal(as_of), length)
    if (known.data_until - as_of).days + 1 < length:
        return None
    expected = forecast.mean()[forecast.ids.to_list().index(line)]
    expected = np.concatenate([expected, np.zeros(max(0, length - len(expected)))])[:length]
    asked = np.where(np.isnan(sold), 0.0, np.where(seen, sold, np.maximum(sold, expected)))
    inbound = _delivered(receipts, one, number, as_of, length)
    costs = _costs(price, one.unit_cost)
    start = float(one.arithmetic["on_hand"])
    fates = [_fate(start, inbound, asked, units, arrives, costs) for units in (one.quantity, one.proposed)]
    (lost_with, left_with, cost_with), (lost_without, left_without, cost_without) = fates
    value = None if cost_with is None or cost_without is None else cost_without - cost_with
    return {
        "recommendation": one.recommendation, "override": adjusting.made_by(one.edit.reason), "about": line,
        "change": f"{words.units(one.proposed)} to {words.units(one.quantity)} units", 
        "by": one.edit.decided_by, "first_day": as_of, "last_day": as_of + dt.timedelta(days=length - 1),
        "days": length, "hidden_days": int((~seen & ~np.isnan(sold)).sum()), "sold": float(np.nansum(sold)),
        "with": one.quantity, "without": one.proposed, "lost_with": lost_with, "lost_without": lost_without,
        "left_with": left_with, "left_without": left_without, "cost_with": cost_with, "cost_without": cost_without,
        "value_units": lost_without - lost_with, "value": value, "approved": one.order is not None,
    }  # fmt: skip


def _delivered(receipts: pl.DataFrame, one: Edited, number: str, as_of: dt.date, length: int) -> Floats:
    """Return [H] units that came of orders placed before the plan's day, its own order left out."""
    came = receipts.filter(
        (pl.col("product") == one.product)
        & (pl.col("warehouse") == one.warehouse)
        & (pl.col("purchase_order") != number)
        & (pl.col("ordered_on") <= as_of)
        & pl.col("received_on").is_between(as_of, as_of + dt.timedelta(days=length - 1))
    )
    inbound = np.zeros(length)
    for day, units in came.select("received_on", "quantity").iter_rows():
        inbound[(day - as_of).days] += units
    return inbound


def _costs(price: float | None, unit_cost: float | None) -> tuple[float, float] | None:
    """Return the margin of a unit and the cost of holding one for a day; None where neither price nor cost is known."""
    if price is None and unit_cost is None:
        return None
    cost = unit_cost if unit_cost is not None else COST_OF_PRICE * float(price or 0.0)
    sells = price if price is not None else cost / COST_OF_PRICE
    return max(sells - cost, 0.0), HOLDING_SHARE * cost / 365.0


def _fate(
    on_hand: float, inbound: Floats, asked: Floats, units: float, arrives: int, costs: tuple[float, float] | None
) -> tuple[float, float, float | None]:
    """Return units lost, units left and the cost of ordering ``units`` that arrive at the start of a day.

    With x the stock, a the arrivals and y the demand of a day, lost = max(y - x - a, 0) and x' = max(x + a - y, 0).
    What is left, z, sells at the mean rate r and so is held for z / (2 r) days on average, at most a year.

    >>> _fate(2.0, np.zeros(4), np.array([1.0, 2.0, 2.0, 1.0]), 5.0, 2, (10.0, 0.5))
    (1.0, 2.0, 13.666666666666666)
    """
    coming = inbound.copy()
    if arrives < len(coming):
        coming[arrives] += units
    paths = asked[None, None, :]
    lost = float(stockout_risk([on_hand], coming[None, :], paths).lost_units.sum())
    stock = projected_stock([on_hand], coming[None, :], paths)[0, 0]  # [H] units
    left = float(stock[-1])
    if costs is None:
        return lost, left, None
    margin, holding = costs
    rate = float(asked.mean())
    held_on = LONGEST_HOLDING if rate <= 0 else min(left / (2.0 * rate), LONGEST_HOLDING)
    return lost, left, margin * lost + holding * (float(stock.sum()) + left * held_on)


def _silent(_step: str, _done: int, _total: int) -> None:
    return None
