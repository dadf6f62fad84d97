"""Stockout risks of a store: what will run out, when, at what cost, and the last day an order still helps.

All of it is walked down the plan's own forecast paths, with nothing more ordered than what is already on its way. The
stored forecast is used where the plan still holds. Where the store's past is long enough, a corrector learnt from it
gives a second probability; where the two disagree, both are shown.

Letters: N series, S sample paths, H days.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.app import App
from shelfwise.domain import words
from shelfwise.domain.errors import ModelError, ParameterError
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.tables import numbers_of
from shelfwise.forecasting.catalog import MODELS
from shelfwise.inventory.bundles import without_bundles
from shelfwise.inventory.incoming import incoming
from shelfwise.inventory.lead_time_demand import ASSUMED_VARIATION, LeadTime
from shelfwise.inventory.order_calendar import OrderCalendar
from shelfwise.inventory.proposal import ProposalRules
from shelfwise.inventory.risk_features import risk_features
from shelfwise.inventory.risk_rows import late_share, situation
from shelfwise.inventory.stockout_corrector import CorrectedRisk, StockoutCorrector
from shelfwise.inventory.stockout_risk import StockoutRisk, severity, stockout_risk
from shelfwise.services import demand, plan_lines, planning, supply
from shelfwise.services.demand import Demand
from shelfwise.services.names import product_code
from shelfwise.services.planning import Plan
from shelfwise.services.risk_learning import MEMORY, Learnt, day_of, demand_grid, learn, ran_out_grid
from shelfwise.services.supply import Supply

Progress = Callable[[str, int, int], None]
Floats = NDArray[np.float64]

LITTLE: Final = 0.05
"""Units below this are not worth a word."""

COLUMNS: Final = (
    "unique_id", "product", "warehouse", "name", "supplier", "severity", "chance", "chance_paths", "chance_corrected",
    "disagree", "on_hand", "due", "stockout_on", "lost_units", "lost_margin", "at_stake", "order_by", "last_order_on",
    "last_order_on_without_due", "next_order_on", "arrives_on", "saved_units", "saved_margin", "lead_time_days",
    "stock_known",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Risks:
    """Risks within ``days`` days from ``as_of`` on if nothing more is ordered, the greatest first.

    table
        A row for each live product in each warehouse. ``chance`` is the corrected probability where there is one, else
        the paths'; ``stockout_on`` the day by which half of the paths have run out; ``lost_units`` and ``lost_margin``
        expectations; ``at_stake`` is lost margin times chance, by which the table is sorted. ``order_by`` is the last
        day to order that keeps the service level, ``last_order_on`` the last on which an order still comes before the
        shelf is empty in half of the cases that run out, ``last_order_on_without_due`` the same had nothing been on its
        way. ``next_order_on`` is the next day the supplier takes orders; an order then arrives on ``arrives_on`` and
        can save ``saved_units``. Null: not known, or not within the forecast.
    by_day
        [N, H] the paths' chance to have run out by the end of each day, in the order of the table.
    corrector
        Why there are second probabilities, or why not.
    """

    as_of: dt.date
    data_until: dt.date
    days: int
    table: pl.DataFrame
    by_day: Floats
    corrector: str
    corrected: bool
    notes: tuple[str, ...] = ()

    @property
    def shown(self) -> pl.DataFrame:
        """The risks of a grade above ``none``; products without a stock count are not among them."""
        return self.table.filter(pl.col("severity") != "none")

    def pressing(self, day: dt.date) -> pl.DataFrame:
        """Return the risks of which an order placed on ``day`` saves something, and one on a later day comes late."""
        return self.shown.filter(
            (pl.col("last_order_on") <= day) & (pl.col("next_order_on") <= day) & (pl.col("saved_units") >= LITTLE)
        )


def assess(
    app: App,
    *,
    products: Sequence[str] | None = None,
    days: int | None = None,
    correct: bool = True,
    progress: Progress | None = None,
) -> Risks:
    """Return the store's stockout risks.

    Parameters
    ----------
    products
        Codes or names; None for every live product.
    days
        Days ahead that chance and loss are about; None takes the setting ``horizon``.
    correct
        Learn from the store's past what paths miss; False for the paths alone.

    Raises
    ------
    NotFound
        A product is not in the store.
    ParameterError
        ``days`` is below 1 or beyond the plan's forecast.
    """
    tell = progress or _silent
    known, side = demand.load(app, days_ahead=planning.DAYS_LAID_OUT), supply.load(app)
    wanted = None if products is None else [product_code(known.products, name) for name in products]
    plan = planning.make_plan(app, known=known, side=side, progress=progress)
    if plan.run_id is None:
        raise ParameterError("the plan was not saved, so its forecast is not there; plan without a trial")
    forecast = planning.published_forecast(app, plan.run_id)
    window = min(app.settings.horizon, forecast.horizon) if days is None else days
    if not 1 <= window <= forecast.horizon:
        raise ParameterError(
            f"days must be from 1 to the {forecast.horizon} that the plan forecasts, got {window}; "
            "a longer horizon setting forecasts more"
        )
    live = known.live(app.settings.live_days)
    items = _items(live.panel.series, live, side, plan)
    lead_time = lead_time_of(items, plan.rules)
    learnt = Learnt(StockoutCorrector(window, "not asked for"))
    if correct:
        tell("learning from past stockouts", 3, 4)
        review = float(np.median(items["review_periods"].fill_null(plan.rules.review_days).to_numpy()))
        try:
            learnt = learn(app, live.panel, lead_time, review, window, _model(plan, app))
        except ModelError as error:
            learnt = Learnt(StockoutCorrector(window, str(error)))
    # a bundle has no line, and what sells in bundles alone has one
    stocked = _items(without_bundles(live.panel.series, side.bundles, known.products), live, side, plan)
    table, by_day = _table(app, forecast, stocked, lead_time_of(stocked, plan.rules), live, side, plan, window, learnt)
    if wanted is not None:
        keep = table["product"].is_in(wanted).to_numpy()
        table, by_day = table.filter(pl.Series(keep)), by_day[keep]
    unknown = int((~table["stock_known"]).sum())
    notes = (
        [f"{words.count(unknown, 'line has', 'lines have')} no stock count, so no risk can be told: count them"]
        if unknown
        else []
    )
    return Risks(
        as_of=plan.as_of,
        data_until=plan.data_until,
        days=window,
        table=table,
        by_day=by_day,
        corrector=learnt.corrector.reason,
        corrected=learnt.corrector.used,
        notes=tuple(notes),
    )


def _model(plan: Plan, app: App) -> str:
    """Return the name of the model the plan was made with, the setting's where the catalog has it no more."""
    name = plan.model.rpartition(" ")[0]
    return name if name in MODELS else app.settings.model


def _items(series: pl.DataFrame, live: Demand, side: Supply, plan: Plan) -> pl.DataFrame:
    items = supply.planning_items(series, side, live.planning_day, plan.rules)
    return items.join(series.select("unique_id", "name"), on="unique_id", how="left", maintain_order="left")


def lead_time_of(items: pl.DataFrame, rules: ProposalRules) -> LeadTime:
    """Return the lead times of the lines, with what the plan assumes where none is known."""
    filled = items.select(
        mean=pl.col("lead_time_periods").fill_null(rules.lead_time_days),
        sd=pl.col("lead_time_sd_periods").fill_null(
            pl.col("lead_time_periods").fill_null(rules.lead_time_days) * ASSUMED_VARIATION
        ),
    )
    mean = filled["mean"].to_numpy()
    return LeadTime(mean, np.where(mean > 0, filled["sd"].to_numpy(), 0.0))


def _table(
    app: App,
    forecast: Forecast,
    items: pl.DataFrame,
    lead_time: LeadTime,
    live: Demand,
    side: Supply,
    plan: Plan,
    window: int,
    learnt: Learnt,
) -> tuple[pl.DataFrame, Floats]:
    """Walk the stock down the paths chunk by chunk; the greatest risk first."""
    at = {name: row for row, name in enumerate(items["unique_id"].to_list())}
    order = np.array([at[name] for name in forecast.ids.to_list()], dtype=np.int64)
    items = items[order]
    lead_time = LeadTime(lead_time.mean[order], np.asarray(lead_time.sd_periods, dtype=np.float64)[order])
    history, ran_out, has_past = _pasts(live, forecast.ids.to_list())
    days = [plan.as_of + dt.timedelta(days=day) for day in range(forecast.horizon + 1)]
    coming = incoming(
        side.open_orders, plan.as_of, lead_times=side.lead_times, assumed_lead_time_days=plan.rules.lead_time_days
    )
    inbound = coming.by_period(items["product"].to_list(), items["warehouse"].to_list(), days, forecast.horizon)
    cells = len(forecast) * forecast.n_paths * forecast.horizon
    parts, curves, low = [], [], 0
    for chunk in forecast.chunks(-(-cells // plan_lines.CELLS_PER_CHUNK)):
        rows = np.arange(low, low + len(chunk))
        low += len(chunk)
        some = items[rows]
        leads = LeadTime(lead_time.mean[rows], np.asarray(lead_time.sd_periods, dtype=np.float64)[rows])
        stock = np.maximum(some["on_hand"].fill_null(0.0).to_numpy(), 0.0)
        risk = stockout_risk(stock, inbound[rows], chunk.paths)
        alone = stockout_risk(stock, np.zeros_like(inbound[rows]), chunk.paths)
        both = _both(history[rows], ran_out[rows], chunk, stock, inbound[rows], leads, window, learnt)
        both = replace(both, corrected=np.where(has_past[rows], both.corrected, np.nan))
        parts.append(
            rows_of(app, some, risk, alone, both, leads, inbound[rows], plan.as_of, plan.rules, side.calendars, window)
        )
        curves.append(risk.probability)
    table, by_day = pl.concat(parts), np.concatenate(curves)
    place = (
        table.with_row_index("row")
        .sort(
            ["stock_known", "at_stake", "chance", "lost_units", "unique_id"],
            descending=[True, True, True, True, False],
            nulls_last=True,
        )["row"]
        .to_numpy()
    )
    return table[place], by_day[place]


def _pasts(live: Demand, ids: Sequence[str]) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return demand and run-outs [N, T] of the last days by series, and whether it sold by itself [N]; nan where not.

    What sells in bundles alone has no past that stockouts could be learnt from: its risk is that of the paths.
    """
    at = {name: row for row, name in enumerate(live.panel.ids.to_list())}
    place = np.array([at.get(name, -1) for name in ids], dtype=np.int64)
    has_past = place >= 0
    panel = live.panel.select(place[has_past])
    length = min(int(panel.ends.max() - panel.starts.min()), 4 * MEMORY) if has_past.any() else 1
    grids = np.full((2, len(ids), length), np.nan)
    if has_past.any():
        grids[0, has_past], grids[1, has_past] = demand_grid(panel, length), ran_out_grid(panel, length)
    return grids[0], grids[1], has_past


def _both(
    history: Floats,
    ran_out: Floats,
    chunk: Forecast,
    stock: Floats,
    inbound: Floats,
    leads: LeadTime,
    window: int,
    learnt: Learnt,
) -> CorrectedRisk:
    """Return the probabilities of paths and corrector [n] within the window."""
    now = situation(history, chunk.paths, stock, inbound, window, MEMORY)
    if not learnt.corrector.used:
        return CorrectedRisk(now.probability, np.full(len(stock), np.nan))
    ids = chunk.ids.to_list()
    bias, size = learnt.errors(ids)
    now = replace(
        now,
        ran_out=ran_out,
        error_bias=bias,
        error_size=size,
        lead_time=leads.mean,
        lead_time_variation=np.asarray(leads.sd_periods, dtype=np.float64) / np.maximum(leads.mean, 1e-9),
        late_share=late_share(leads, ids),
    )
    return learnt.corrector.correct(now.probability, risk_features(now))


def rows_of(
    app: App,
    items: pl.DataFrame,
    risk: StockoutRisk,
    alone: StockoutRisk,
    both: CorrectedRisk,
    leads: LeadTime,
    inbound: Floats,
    as_of: dt.date,
    rules: ProposalRules,
    calendars: Mapping[str, OrderCalendar],
    window: int,
) -> pl.DataFrame:
    """Return the rows of ``Risks.table`` of some lines, in their order.

    Parameters
    ----------
    items
        PLANNING_ITEMS of n lines, with ``name``.
    risk, alone
        What the paths say with what is on its way, and had nothing been.
    inbound
        [n, H] units.
    calendars
        When each supplier takes orders, by code.
    window
        Days that chance and loss are about.
    """
    draws = leads.draw(items["unique_id"].to_list(), app.settings.n_paths, app.settings.seed)  # [n, S] days
    wait = numbers_of(items["wait_periods"], 0.0)
    lead = np.ceil(leads.mean - 1e-9)
    counted = ~np.isnan(numbers_of(items["on_hand"], np.nan))
    margin = items["price"].cast(pl.Float64).to_numpy() - items["unit_cost"].cast(pl.Float64).to_numpy()
    margin = np.maximum(margin, 0.0)  # what sells below its cost loses no margin by not selling
    lost = risk.lost_within(window)
    money = risk.lost_margin(margin, window)
    saved = np.maximum(lost - risk.lost_within(wait + lead), 0.0)
    chance = both.best
    level = numbers_of(items["service_level"], rules.service_level)

    def days(periods: Floats) -> pl.Series:
        return pl.Series(
            [day_of(as_of, p) if c else None for p, c in zip(periods, counted, strict=True)], dtype=pl.Date
        )

    theirs = [calendars.get(code, OrderCalendar()) for code in items["supplier"].to_list()]
    upcoming = [as_of + dt.timedelta(days=int(days_off)) for days_off in wait]

    def order_days(periods: Floats) -> pl.Series:
        """Take a day on which the supplier takes no orders for the last one before it on which it does."""
        found = [
            calendar.last_order_date(last, first) if last is not None and last > first else last
            for calendar, last, first in zip(theirs, days(periods), upcoming, strict=True)
        ]
        return pl.Series(found, dtype=pl.Date)

    def numbers(values: Floats) -> pl.Series:
        return pl.Series(np.where(counted, values, np.nan), nan_to_null=True)

    grades = np.where(counted, np.array(severity(chance, money)), "none")
    told = {
        "severity": pl.Series(grades.tolist(), dtype=pl.String),
        "chance": numbers(chance),
        "chance_paths": numbers(both.paths),
        "chance_corrected": numbers(both.corrected),
        "disagree": pl.Series(both.disagree & counted),
        "on_hand": items["on_hand"],
        "due": pl.Series(inbound[:, :window].sum(axis=1)),
        "stockout_on": days(risk.median_period() - 1),
        "lost_units": numbers(lost),
        "lost_margin": numbers(money),
        "at_stake": numbers(money * chance),
        "order_by": order_days(risk.order_by(leads.mean, level)),
        "last_order_on": order_days(risk.last_helpful_order(draws)),
        "last_order_on_without_due": order_days(alone.last_helpful_order(draws)),
        "next_order_on": days(wait),
        "arrives_on": days(wait + lead),
        "saved_units": numbers(saved),
        "saved_margin": numbers(saved * margin),
        "lead_time_days": pl.Series(leads.mean),
        "stock_known": pl.Series(counted),
    }
    named = [items[name] for name in ("unique_id", "product", "warehouse", "name", "supplier")]
    return pl.DataFrame([*named, *(values.alias(name) for name, values in told.items())])


def sentence(row: dict[str, Any], risks: Risks, currency: str) -> str:
    """Say one risk in plain words.

    Parameters
    ----------
    row
        A row of ``Risks.table``.
    """

    def day(value: dt.date) -> str:
        return words.day(value, today=risks.as_of)

    if not row["stock_known"]:
        return "Its stock was never counted, so its risk is not known."
    said = f"{words.share(row['chance'])} chance to run out within {risks.days} days"
    if row["disagree"]:
        said += (
            f" (the demand paths say {words.share(row['chance_paths'])}, past stockouts "
            f"{words.share(row['chance_corrected'])}: look at it)"
        )
    if row["stockout_on"] is not None:
        said += f", in half of all cases by {day(row['stockout_on'])}"
    loss = f"{words.units(row['lost_units'])} units"
    if row["lost_margin"] is not None:
        loss += f" and {words.money(row['lost_margin'], currency)} of margin"
    said += f"; expected loss {loss}. "
    return said + _order_words(row, risks, day)


def _order_words(row: dict[str, Any], risks: Risks, day: Callable[[dt.date], str]) -> str:
    last, upcoming = row["last_order_on"], row["next_order_on"]
    if last is None:
        return "It does not run out on any path of the forecast."
    if last < upcoming:
        saves = (
            f"still saves {words.units(row['saved_units'])} of them" if row["saved_units"] >= LITTLE else "saves none"
        )
        return f"Any order comes late: placed on {day(upcoming)} it arrives about {day(row['arrives_on'])} and {saves}."
    text = f"An order helps until {day(last)}"
    without = row["last_order_on_without_due"]
    if row["due"] and without is not None and without < last:
        text += f" (until {day(without)} if what is on its way did not come)"
    by = None if row["order_by"] is None else max(row["order_by"], upcoming)
    if by is not None and by < last:
        text += f"; to keep the service level order by {day(by)}"
    return text + "."


def _silent(_step: str, _done: int, _total: int) -> None:
    return None
