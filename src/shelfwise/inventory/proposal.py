"""The order proposal: one line per product-warehouse with its arithmetic, and one order per supplier.

The arithmetic is the decision. Each part is made a whole number first, against us (the order-up-to level up, stock
and incoming down), then subtracted, so the numbers that are printed are the numbers that were computed::

    412 demand + 96 safety - 214 on hand - 160 due = 134 -> packs of 12 -> 144

What is not known is assumed, and every line says what was: lead time 14 days varying by a fifth, review every 7 days,
95 % cycle service, packs of 1, no minimum. A stock that was never counted is taken as 0, which orders the whole
demand; such a line is marked (``stock_known`` false, a warning) and claims no stockout.

This file is one thing from items to suppliers' orders: it fills the gaps, asks the other files of this floor, and
lays their answers out in the declared frames PROPOSAL_LINES and SUPPLIER_ORDERS.

Letters: N product-warehouses, S sample paths, H periods. Period 1 starts now.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.domain.frames import PLANNING_ITEMS, PROPOSAL_LINES, SUPPLIER_ORDERS, SUPPLIERS
from shelfwise.inventory.arithmetic import Arithmetic
from shelfwise.inventory.lead_time_demand import (
    ASSUMED_VARIATION,
    LeadTime,
    checked_paths,
    demand_over,
    protection_demand,
    required_horizon,
    series_slices,
)
from shelfwise.inventory.lot_sizing import LEAST_DEMAND, orderable_quantity, top_up, whole_packs
from shelfwise.inventory.order_calendar import OrderCalendar
from shelfwise.inventory.policies import BaseStock, ReorderPointOrderUpTo, ReorderPointQuantity
from shelfwise.inventory.safety_stock import SERVICE_KINDS, stock_target
from shelfwise.inventory.stockout_risk import stockout_risk

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ASSUMED_LEAD_TIME_DAYS: Final = 14.0
ASSUMED_REVIEW_DAYS: Final = 7.0
LOT_POLICIES: Final = (ReorderPointQuantity.name, ReorderPointOrderUpTo.name)


@dataclass(frozen=True)
class ProposalRules:
    """What a line that says nothing gets, and when a line is odd enough to warn about.

    >>> ProposalRules(service_level=1.0)
    Traceback (most recent call last):
    ...
    shelfwise.domain.errors.ParameterError: service_level must be above 0 and below 1, got 1.0; for example 0.95
    """

    service_level: float = 0.95
    service_kind: str = "cycle"
    lead_time_days: float = ASSUMED_LEAD_TIME_DAYS
    review_days: float = ASSUMED_REVIEW_DAYS
    most_cover_days: float = 180.0
    most_usual_orders: float = 3.0

    def __post_init__(self) -> None:
        if not 0 < self.service_level < 1:
            raise ParameterError(
                f"service_level must be above 0 and below 1, got {self.service_level}; for example 0.95"
            )
        if self.service_kind not in SERVICE_KINDS:
            raise ParameterError(f"service_kind must be one of {', '.join(SERVICE_KINDS)}, got {self.service_kind!r}")
        if not (self.lead_time_days >= 0 and self.review_days >= 1):
            raise ParameterError(
                "lead_time_days must be zero or more and review_days at least 1, "
                f"got {self.lead_time_days} and {self.review_days}"
            )
        if not (self.most_cover_days > 0 and self.most_usual_orders > 0):
            raise ParameterError("most_cover_days and most_usual_orders must be above zero")


@dataclass(frozen=True, eq=False)
class _Terms:
    """The items' numbers with every gap filled, each [N], and a text column of what was assumed."""

    lead_time: LeadTime
    review: Integers
    level: Floats
    kind: list[str]
    pack: Floats
    minimum: Floats
    wait: Integers
    policy: list[str]
    lot: Floats  # nan: not given
    assumptions: pl.Series

    @property
    def lead_periods(self) -> Integers:
        return np.ceil(self.lead_time.mean - 1e-9).astype(np.int64)


@functools.lru_cache(maxsize=16)
def _terms_of(days_per_period: float, rules: ProposalRules) -> dict[str, pl.Expr]:
    """Return what is read from items: a sale asks for one line, and to build it anew takes longer than to use it."""
    lead = (pl.lit(rules.lead_time_days) / days_per_period).ceil()
    review = (pl.lit(rules.review_days) / days_per_period).ceil().clip(1)
    no_lead, no_sd = pl.col("lead_time_periods").is_null(), pl.col("lead_time_sd_periods").is_null()
    said = [
        (no_lead, f"no lead time: assumed {rules.lead_time_days:g} d"),
        (
            no_sd & (pl.col("lead_time_periods").fill_null(1) > 0),
            f"lead time assumed to vary by {ASSUMED_VARIATION:.0%}",
        ),
        (pl.col("review_periods").is_null(), f"no review time: assumed {rules.review_days:g} d"),
        (pl.col("pack_size").is_null(), "no pack size: assumed 1"),
        (
            pl.col("policy").is_in(LOT_POLICIES) & pl.col("lot_size").is_null(),
            "no lot size: assumed the demand of one review",
        ),
        (pl.col("unit_cost").is_null(), "no unit cost: cost not known"),
    ]
    return {
        "lead": pl.col("lead_time_periods").fill_null(lead),
        "sd": pl.col("lead_time_sd_periods").fill_null(pl.col("lead_time_periods").fill_null(lead) * ASSUMED_VARIATION),
        "review": pl.col("review_periods").fill_null(review).ceil().cast(pl.Int64),
        "level": pl.col("service_level").fill_null(rules.service_level),
        "kind": pl.col("service_kind").fill_null(rules.service_kind),
        "pack": pl.col("pack_size").fill_null(1.0),
        "minimum": pl.col("minimum_order_quantity").fill_null(0.0),
        "wait": pl.col("wait_periods").fill_null(0),
        "policy": pl.col("policy").fill_null(BaseStock.name),
        "lot": pl.col("lot_size"),
        "assumptions": _joined([*(pl.when(gap).then(pl.lit(text)) for gap, text in said), _by_class()]),
    }


def _terms(items: pl.DataFrame, days_per_period: float, rules: ProposalRules) -> _Terms:
    filled = items.select_seq(**_terms_of(days_per_period, rules))
    return _Terms(
        lead_time=LeadTime(filled["lead"].to_numpy(), filled["sd"].to_numpy()),
        review=filled["review"].to_numpy(),
        level=filled["level"].to_numpy(),
        kind=filled["kind"].to_list(),
        pack=filled["pack"].to_numpy(),
        minimum=filled["minimum"].to_numpy(),
        wait=filled["wait"].to_numpy(),
        policy=filled["policy"].to_list(),
        lot=filled["lot"].to_numpy(),
        assumptions=filled["assumptions"],
    )


def _by_class() -> pl.Expr:
    """Say where the class of a line set its service level."""
    percent = (pl.col("service_level") * 100).round(1).cast(pl.String).str.strip_suffix(".0")
    return pl.when(pl.col("service_class").is_not_null()).then(
        pl.format("service level {} % of class {}", percent, "service_class")
    )


def _joined(notes: list[pl.Expr]) -> pl.Expr:
    text = pl.concat_str(notes, separator="; ", ignore_nulls=True)
    return pl.when(text != "").then(text)


def planning_horizon(items: pl.DataFrame, *, days_per_period: float = 1.0, rules: ProposalRules | None = None) -> int:
    """Return how many periods to forecast so that every line's protection time fits, long lead times included.

    >>> items = pl.DataFrame({"unique_id": ["a"], "product": ["a"], "warehouse": ["m"], "lead_time_periods": [10.0],
    ...                       "lead_time_sd_periods": [0.0], "review_periods": [7.0]})
    >>> planning_horizon(items)
    17
    """  # fmt: skip
    terms = _terms(PLANNING_ITEMS.check(items), days_per_period, rules or ProposalRules())
    return required_horizon(terms.lead_time, terms.wait + terms.review)


def propose(
    items: pl.DataFrame,
    paths: NDArray[Any],
    inbound: ArrayLike,
    period_starts: Sequence[date],
    *,
    seed: int = 0,
    rules: ProposalRules | None = None,
    lead_time_samples: Sequence[ArrayLike | None] | None = None,
) -> pl.DataFrame:
    """Propose an order quantity for each product-warehouse, with its reasons.

    Each line orders up to ``mean + safety stock`` of demand over the protection time, less what is on hand and what is
    on order and comes within the mean protection time; what comes later helps nobody in that time and is not counted.
    A line with the policy ``s_q`` orders whole lots instead, with ``s_S`` a lot more; none orders while its level is
    met. The protection time begins now: it is the wait until the order day, the lead time and the review time.
    Risk is what happens if nothing more is ordered at all.

    Parameters
    ----------
    items
        PLANNING_ITEMS, rows in the order of the arrays.
    paths
        [N, S, H] demand, units per period.
    inbound
        [N, H] units on order, on the shelf from the start of each period (`Incoming.by_period`).
    period_starts
        H + 1 dates: the first day of each period, and the day after the last. The first is the day of decision.
    seed
        Of the lead-time draws, which depend on (seed, unique_id) alone.
    lead_time_samples
        Per series measured lead times in periods to draw from, or None.

    Returns
    -------
    PROPOSAL_LINES, in the order of the items.

    >>> items = pl.DataFrame({"unique_id": ["mug"], "product": ["mug"], "warehouse": ["main"], "on_hand": [20.0],
    ...     "pack_size": [12.0], "unit_cost": [2.0], "lead_time_periods": [3.0], "lead_time_sd_periods": [0.0],
    ...     "review_periods": [7.0]})
    >>> paths = np.full((1, 100, 14), 4.0)
    >>> from datetime import timedelta
    >>> days = [date(2026, 11, 21) + timedelta(days=day) for day in range(15)]
    >>> lines = propose(items, paths, np.zeros((1, 14)), days)
    >>> print(lines["arithmetic"][0])
    40 demand + 0 safety - 20 on hand - 0 due = 20 -> packs of 12 -> 24
    >>> lines.select("quantity", "cost", "order_by", "stockout_on", "days_of_cover").row(0)
    (24.0, 48.0, datetime.date(2026, 11, 23), datetime.date(2026, 11, 26), 5.0)
    """  # fmt: skip
    rules = rules or ProposalRules()
    items = PLANNING_ITEMS.check(items)
    paths = checked_paths(paths)
    n_series, n_paths, horizon = paths.shape
    if items.height != n_series:
        raise ParameterError(f"{items.height} planning items for paths of {n_series} series; give one row for each")
    if len(period_starts) != horizon + 1:
        raise ParameterError(
            f"period_starts must be {horizon + 1} dates for a horizon of {horizon} (the day after the last period "
            f"too), got {len(period_starts)}"
        )
    days_per_period = (period_starts[-1] - period_starts[0]).days / horizon
    if days_per_period <= 0:
        raise ParameterError("period starts must be rising dates")
    arriving = np.asarray(inbound, dtype=np.float64)  # [N, H]
    terms = _terms(items, days_per_period, rules)
    if lead_time_samples is not None:
        terms = _with_samples(terms, lead_time_samples)

    ids = items["unique_id"].to_list()
    lead_draws = terms.wait[:, None] + terms.lead_time.draw(ids, n_paths, seed)  # [N, S] periods from now
    asked = protection_demand(paths, lead_draws, terms.review)  # [N, S]
    in_lead_time = demand_over(paths, lead_draws).mean(axis=1)  # [N]
    target = stock_target(asked, asked.mean(axis=1) - in_lead_time, terms.level, terms.kind)

    counted = items["on_hand"].to_numpy()  # [N] units, nan where never counted
    known = ~np.isnan(counted)
    books = np.where(known, counted, 0.0)
    stock = np.maximum(books, 0.0)
    risk = stockout_risk(stock, arriving, paths)
    window = np.minimum(
        terms.wait + terms.lead_periods + terms.review, horizon
    )  # [N] periods of the mean protection time
    due = (arriving * (np.arange(horizon)[None, :] < window[:, None])).sum(axis=1)
    demand = np.rint(target.mean).astype(np.int64)
    level = np.ceil(target.order_up_to - 1e-9).astype(np.int64)
    on_hand = np.floor(stock + 1e-9).astype(np.int64)
    due_units = np.floor(due + 1e-9).astype(np.int64)
    position = on_hand + due_units
    lot = _lots(terms, asked.mean(axis=1) - in_lead_time)
    needed = _needed(terms, level, lot, position)
    quantity = orderable_quantity(needed, terms.pack, terms.minimum)

    order_by = risk.order_by(terms.lead_periods, terms.level)
    median = risk.median_period()
    daily = _mean_demand(paths) / days_per_period  # [N]
    cost = items["unit_cost"].to_numpy()
    lost = risk.lost_within(window)
    told: dict[str, pl.Series] = {
        **{name: items[name] for name in ("unique_id", "product", "warehouse", "supplier")},
        "mean_demand": pl.Series(target.mean),
        "demand": pl.Series(demand),
        "safety": pl.Series(level - demand),
        "on_hand": pl.Series(on_hand),
        "due": pl.Series(due_units),
        "net": pl.Series(level - position),
        "pack_size": pl.Series(terms.pack),
        "minimum_order_quantity": pl.Series(terms.minimum),
        "policy": pl.Series(terms.policy),
        "lot_size": pl.Series(lot),
        "rounded": pl.Series(quantity),
        "top_up": pl.Series(np.zeros(n_series)),
        "cut": pl.Series([None] * n_series, dtype=pl.Float64),
        "quantity": pl.Series(quantity),
        "unit_cost": items["unit_cost"],
        "cost": pl.Series(quantity * cost, nan_to_null=True),
        "order_by": _dates(np.maximum(order_by, terms.wait), known, period_starts),
        "late": pl.Series(known & (order_by < terms.wait)),
        "stockout_on": _dates(median - 1, known, period_starts),
        "stockout_probability": _where(known, risk.by_period(window)),
        "lost_units": _where(known, lost),
        "margin_at_risk": _where(known, lost * (items["price"].to_numpy() - cost)),
        "demand_per_day": pl.Series(daily),
        "days_of_cover": _cover(position, daily),
        "days_of_cover_after": _cover(position + quantity, daily),
        "stock_known": pl.Series(known),
        "lead_time_periods": pl.Series(terms.lead_time.mean),
        "wait_periods": pl.Series(terms.wait),
        "review_periods": pl.Series(terms.review.astype(np.float64)),
        "service_level": pl.Series(terms.level),
        "service_kind": pl.Series(terms.kind),
        "assumptions": terms.assumptions,
        "books": pl.Series(books),
        "usual_order": items["usual_order"],
    }
    frame = pl.DataFrame([values.alias(name) for name, values in told.items()])
    warnings = frame.select_seq(warnings=_warnings(rules))
    for name in ("books", "usual_order"):  # what only the warnings look at
        frame.drop_in_place(name)
    return PROPOSAL_LINES.check(_with_arithmetic(frame.hstack(warnings)))


def _with_samples(terms: _Terms, samples: Sequence[ArrayLike | None]) -> _Terms:
    """Use measured lead times where there are any: their mean is the mean of the line too."""
    mean = terms.lead_time.mean.copy()
    for row, sample in enumerate(samples):
        if sample is not None:
            mean[row] = np.mean(np.asarray(sample, dtype=np.float64))
    sd = np.where(mean > 0, np.asarray(terms.lead_time.sd_periods), 0.0)
    return replace(terms, lead_time=LeadTime(mean, sd, samples))


def _lots(terms: _Terms, cycle_demand: Floats) -> Floats:
    """Return the lot of each line [N] that orders in lots, in whole packs and at least the minimum; else 0."""
    wished = np.where(np.isnan(terms.lot), np.maximum(np.ceil(cycle_demand), 1.0), terms.lot)
    in_lots = np.isin(terms.policy, LOT_POLICIES)
    fixed = np.isin(terms.policy, [ReorderPointQuantity.name])
    wished = np.where(fixed, whole_packs(np.maximum(wished, terms.minimum), terms.pack), wished)
    return np.where(in_lots, wished, 0.0)


def _needed(terms: _Terms, level: Integers, lot: Floats, position: Integers) -> Floats:
    """Ask each line's policy for its order [N], before packs and minima.

    The level of a line covers its protection time; a line at its level is served, so the reorder point of the two
    policies that have one lies a unit below it (units are whole here). (R, S) is base stock looked at every R periods,
    and a proposal is made on the day of the look.
    """
    fixed = np.isin(terms.policy, [ReorderPointQuantity.name])
    raised = np.isin(terms.policy, [ReorderPointOrderUpTo.name])
    needed = BaseStock(level).order_quantity(position)
    if fixed.any():
        lots = ReorderPointQuantity(level[fixed] - 1, lot[fixed], terms.pack[fixed])
        needed[fixed] = lots.order_quantity(position[fixed])
    if raised.any():
        up_to = ReorderPointOrderUpTo(level[raised] - 1, level[raised] + lot[raised])
        needed[raised] = up_to.order_quantity(position[raised])
    return needed


def _mean_demand(paths: NDArray[Any]) -> Floats:
    """Return mean demand per period [N] over paths and horizon."""
    mean = np.empty(paths.shape[0])
    for part in series_slices(*paths.shape):
        mean[part] = paths[part].mean(axis=(1, 2), dtype=np.float64)
    return mean


def _where(known: NDArray[np.bool_], values: Floats) -> pl.Series:
    return pl.Series(np.where(known, values, np.nan), nan_to_null=True)


def _cover(units: NDArray[Any], daily: Floats) -> pl.Series:
    some = daily > LEAST_DEMAND
    return pl.Series(np.where(some, units / np.where(some, daily, 1.0), np.nan), nan_to_null=True)


def _dates(period: Floats, known: NDArray[np.bool_], period_starts: Sequence[date]) -> pl.Series:
    """Return the first day of each period counted from 0 [N]; null where it is nan or the stock is not known."""
    starts = np.array(period_starts, dtype="datetime64[D]")
    there = known & np.isfinite(period)
    index = np.where(there, period, 0).astype(np.int64)
    return pl.Series(np.where(there, starts[index], np.datetime64("NaT")).astype("datetime64[us]")).cast(pl.Date)


@functools.lru_cache(maxsize=16)
def _warnings(rules: ProposalRules) -> pl.Expr:
    """Return what is odd about a line, built once for the same reason as `_terms_of`."""
    ordered = pl.col("quantity") > 0
    too_long = ordered & (pl.col("days_of_cover_after") > rules.most_cover_days)
    unusual = ordered & (pl.col("usual_order") > 0) & (
        pl.col("quantity") > rules.most_usual_orders * pl.col("usual_order")
    )  # fmt: skip
    return _joined(
        [
            pl.when(~pl.col("stock_known")).then(pl.lit("stock not known: assumed 0; count it before ordering")),
            pl.when(pl.col("books") < 0).then(pl.format("the books show {} on hand: counted as 0", _plain("books"))),
            pl.when(pl.col("late")).then(pl.lit("may run short before an order can arrive")),
            pl.when(too_long).then(
                pl.format(
                    "lasts {} days, more than {}",
                    pl.col("days_of_cover_after").round(0).cast(pl.Int64),
                    pl.lit(f"{rules.most_cover_days:g}"),
                )
            ),
            pl.when(unusual).then(
                pl.format(
                    "{} times the usual order of {}",
                    (pl.col("quantity") / pl.col("usual_order")).round(1),
                    _plain("usual_order"),
                )
            ),
        ]
    )


def _plain(column: str) -> pl.Expr:
    """Write a number as text, whole ones without a point."""
    return pl.col(column).cast(pl.String).str.strip_suffix(".0")


def _with_arithmetic(lines: pl.DataFrame) -> pl.DataFrame:
    texts = [str(Arithmetic.of(line)) for line in lines.iter_rows(named=True)]
    told = pl.Series("arithmetic", texts, dtype=pl.String())
    return lines.with_columns(told) if "arithmetic" in lines.columns else lines.hstack([told])


def top_up_to_minimum(
    lines: pl.DataFrame, suppliers: pl.DataFrame, *, rules: ProposalRules | None = None
) -> pl.DataFrame:
    """Raise orders that are below their supplier's minimum value, pack by pack where the stock would end first.

    No line is raised beyond ``rules.most_cover_days`` of cover. Where that is not enough nothing is added: the
    order stays as it is and `by_supplier` marks it "below minimum", because buying more than half a year of stock, or
    waiting for more need, is a person's decision.
    """
    rules = rules or ProposalRules()
    lines = PROPOSAL_LINES.check(lines)
    minima = SUPPLIERS.check(suppliers).filter(pl.col("minimum_order_value") > 0)
    added = np.zeros(lines.height)
    for supplier, minimum in minima.select("supplier", "minimum_order_value").iter_rows():
        rows = (lines["supplier"] == supplier).fill_null(value=False).arg_true().to_numpy()
        some = lines[rows]
        added[rows] = top_up(
            some["quantity"].to_numpy(),
            position=(some["on_hand"] + some["due"]).cast(pl.Float64).to_numpy(),
            demand_per_period=some["demand_per_day"].to_numpy(),
            pack=some["pack_size"].to_numpy(),
            minimum=some["minimum_order_quantity"].to_numpy(),
            unit_cost=some["unit_cost"].fill_null(0.0).to_numpy(),
            minimum_value=minimum,
            most_cover_periods=rules.most_cover_days,
        )
    raised = lines.with_columns(top_up=pl.col("top_up") + pl.Series(added)).with_columns(
        quantity=pl.col("rounded") + pl.col("top_up")
    )
    return _summed_up(raised)


def cut_to(lines: pl.DataFrame, quantity: Floats) -> pl.DataFrame:
    """Return the lines with less to order, ``quantity`` [N] units, and a sum that says what was cut for a budget."""
    lines = PROPOSAL_LINES.check(lines)
    wanted = pl.col("rounded") + pl.col("top_up")
    less = lines.with_columns(quantity=pl.Series(quantity)).with_columns(cut=wanted - pl.col("quantity"))
    return _summed_up(less)


def _summed_up(lines: pl.DataFrame) -> pl.DataFrame:
    """Return the lines with cost, cover and sum of the quantities they have now."""
    position = (lines["on_hand"] + lines["due"]).cast(pl.Float64).to_numpy() + lines["quantity"].to_numpy()
    lines = lines.with_columns(
        cost=pl.col("quantity") * pl.col("unit_cost"),
        days_of_cover_after=_cover(position, lines["demand_per_day"].to_numpy()),
    )
    return PROPOSAL_LINES.check(_with_arithmetic(lines))


def by_supplier(
    lines: pl.DataFrame,
    suppliers: pl.DataFrame,
    today: date,
    *,
    calendars: Mapping[str, OrderCalendar] | None = None,
    rules: ProposalRules | None = None,
) -> pl.DataFrame:
    """Group the lines to be ordered into one order per supplier, with dates, totals and the minimum.

    An order is to be placed on the supplier's last order day on or before the earliest order-by date of its lines
    (those without one press nobody); if no order day is left by then, on the next one. It stands to the supplier's
    minimum order value as ``none`` (there is none), ``met``, ``topped up`` or ``below minimum``.

    Returns
    -------
    SUPPLIER_ORDERS, the most pressing first.
    """
    rules = rules or ProposalRules()
    known = {row["supplier"]: row for row in SUPPLIERS.check(suppliers).iter_rows(named=True)}
    ordered = PROPOSAL_LINES.check(lines).filter(pl.col("quantity") > 0)
    orders = []
    for (supplier,), some in ordered.group_by("supplier", maintain_order=True):
        facts = known.get(supplier, {})
        calendar = (calendars or {}).get(supplier, OrderCalendar()) if supplier else OrderCalendar()
        next_order_on = calendar.next_order_date(today)
        pressing = some["order_by"].min()
        if pressing is not None and not isinstance(pressing, date):
            raise DataError(f"order_by must hold dates, got {pressing!r}")
        order_by = next_order_on if pressing is None else calendar.last_order_date(pressing, next_order_on)
        lead_time = facts.get("lead_time_days")
        value = float(some["cost"].sum())
        minimum = facts.get("minimum_order_value")
        missing = max((minimum or 0.0) - value, 0.0)
        orders.append(
            {
                "supplier": supplier,
                "name": facts.get("name"),
                "order_by": order_by,
                "next_order_on": next_order_on,
                "arrives_on": calendar.arrival_date(order_by, rules.lead_time_days if lead_time is None else lead_time),
                "late": bool(some["late"].any()),
                "lines": some.height,
                "units": float(some["quantity"].sum()),
                "value": value,
                "lines_without_cost": some["cost"].null_count(),
                "minimum_order_value": minimum,
                "minimum": _standing(minimum, missing, topped_up=bool((some["top_up"] > 0).any())),
                "missing_value": missing,
                "margin_at_risk": float(some["margin_at_risk"].sum()),
            }
        )
    if not orders:
        return SUPPLIER_ORDERS.empty()
    schema = {name: column.dtype for name, column in SUPPLIER_ORDERS.columns.items()}
    frame = SUPPLIER_ORDERS.check(pl.DataFrame(orders, schema=schema))
    return frame.sort(["order_by", "margin_at_risk", "supplier"], descending=[False, True, False], nulls_last=True)


def _standing(minimum: float | None, missing: float, *, topped_up: bool) -> str:
    if not minimum:
        return "none"
    if missing > 1e-9:
        return "below minimum"
    return "topped up" if topped_up else "met"
