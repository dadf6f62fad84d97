"""What if: the plan again with something changed, on its own paths, against the plan as it was proposed.

Demand, lead times, a supplier that is closed, a budget, a service level, a promotion or a price may be changed. The
answer is made of the stored forecast and by the plan's own rules; nothing of the plan changes. A scenario is a question
that was given a name; promoted, its quantities become edits of the plan's lines, which can be undone like any edit.

Asking and playing out stand here; what a question says is in `what_if_questions`, what scenarios became in `scenarios`.

Letters: N lines, S sample paths, H days.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.app import App
from shelfwise.domain import words
from shelfwise.domain.errors import ParameterError
from shelfwise.domain.forecast import Forecast
from shelfwise.inventory.incoming import Incoming, incoming
from shelfwise.inventory.lead_time_demand import ASSUMED_VARIATION, LeadTime
from shelfwise.inventory.order_calendar import Closure
from shelfwise.inventory.proposal import planning_horizon, propose, top_up_to_minimum
from shelfwise.inventory.what_if import (
    EVERYTHING,
    MEASURES,
    OrderThenBaseStock,
    compared,
    concerned,
    played_out,
    told,
    totals,
)
from shelfwise.services import budgeting, plan_lifts, planning, supply
from shelfwise.services.plan_lines import CELLS_PER_CHUNK
from shelfwise.services.planning import Plan
from shelfwise.services.supply import Supply
from shelfwise.services.what_if_questions import Question, elasticity_of, in_words, lift_of, resolved
from shelfwise.storage import catalogue

Progress = Callable[[str, int, int], None]
Floats = NDArray[np.float64]

TILED_DAYS: Final = 28
"""Days at the end of the forecast that are repeated where a longer lead time asks for more days than it has."""

NAMES: Final = {"stockout_periods": "stockout_days"}  # days are the periods of a shop's plan
SHOP_MEASURES: Final = tuple(NAMES.get(name, name) for name in MEASURES)


@dataclass(frozen=True, eq=False)
class Answer:
    """What a change would do.

    Parameters
    ----------
    question
        What was asked, with the codes of what it names.
    asked
        The same in words.
    run_id, as_of, days
        The plan it was asked of, its day, and the days played out.
    totals
        ``measure, base, scenario, difference`` for all lines together: ``quantity`` and ``spend`` now,
        ``spend_later``, ``demand``, ``lost_units``, ``fill_rate``, ``stockout`` (mean chance of a line),
        ``stockout_days``, ``stock_units`` and ``stock_value`` (on average), ``lost_margin``, ``margin``.
    lines
        ``unique_id, product, warehouse, name, supplier`` and each measure twice, ``base_...`` as it is.
    notes
        What was assumed or left out.
    """

    question: Question
    asked: tuple[str, ...]
    run_id: int
    as_of: dt.date
    days: int
    totals: pl.DataFrame
    lines: pl.DataFrame
    notes: tuple[str, ...] = ()

    def total(self, measure: str) -> tuple[float, float, float]:
        """Return one measure as it is, as it would be, and the difference."""
        row = self.totals.row(by_predicate=pl.col("measure") == measure, named=True)
        return row["base"], row["scenario"], row["difference"]

    @property
    def changed(self) -> pl.DataFrame:
        """The lines that change, those with the most money (or units, where costs are not known) in it first."""
        money = sum(
            (pl.col(name) - pl.col(f"base_{name}")).abs().fill_null(0.0)
            for name in ("spend", "lost_margin", "stock_value")
        )
        units = sum(
            (pl.col(name) - pl.col(f"base_{name}")).abs().fill_null(0.0)
            for name in ("quantity", "lost_units", "stock_units", "demand")
        )
        return (
            self.lines.with_columns(money=money, units=units)
            .filter(pl.col("units") > 1e-6)
            .sort(["money", "units", "unique_id"], descending=[True, True, False])
            .drop("money", "units")
        )


def ask(app: App, question: Question, *, progress: Progress | None = None) -> Answer:
    """Answer a what-if on the plan that holds.

    Raises
    ------
    NotFound
        The question names something that is not in the store.
    ParameterError
        It breaks a rule, or asks for an effect that nobody knows.
    DataError
        The store has no sales, or no live product.
    """
    tell = progress or _silent
    side = supply.load(app)
    plan = planning.standing(app, side) or _renewed(app, side, progress)
    if plan.run_id is None:
        raise ParameterError("the plan was not saved, so that its forecast is not there")
    question = resolved(app, question, plan)
    tell("playing out the plan", 3, 5)
    world = _world(app, plan, side)
    base = world.base()
    tell("playing out the change", 4, 5)
    changed, notes = world.changed(app, question)
    frame = pl.concat(
        [
            base.lines.select("unique_id", "product", "warehouse", "name", "supplier"),
            base.measures.rename({name: f"base_{name}" for name in SHOP_MEASURES}),
            changed.measures,
        ],
        how="horizontal",
    )
    return Answer(
        question=question,
        asked=in_words(question, app.settings.currency),
        run_id=plan.run_id,
        as_of=plan.as_of,
        days=world.forecast.horizon,
        totals=compared(_summed(base.measures), _summed(changed.measures)),
        lines=frame,
        notes=(*notes, *_standing_notes(base.lines)),
    )


def _renewed(app: App, side: Supply, progress: Progress | None) -> Plan:
    """Return the plan that holds, made as the last one was asked for; who has no open line needs no budget."""
    before = planning.latest(app)
    waiting = set() if before is None else {budgeting.ALL_SUPPLIERS, *before.open_lines["supplier"].drop_nulls()}
    budgets = {name: money for name, money in (_budgets(before) or {}).items() if name in waiting}
    return planning.make_plan(
        app, service_level=_asked_level(app, before), budgets=budgets or None, side=side, progress=progress
    )


def _asked_level(app: App, plan: Plan | None) -> float | None:
    """Return the service level that the plan was asked for, where it is not the setting's."""
    if plan is None or plan.rules.service_level == app.settings.service_level:
        return None
    return plan.rules.service_level


def _budgets(plan: Plan | None) -> dict[str, float] | None:
    """Return the budgets a plan was made with."""
    if plan is None or plan.budget is None:
        return None
    return {row["scope"] or budgeting.ALL_SUPPLIERS: float(row["value"]) for row in plan.budget.limits}


def _summed(measures: pl.DataFrame) -> dict[str, float]:
    back = {new: old for old, new in NAMES.items()}
    found = totals(measures.rename(back))
    return {NAMES.get(name, name): value for name, value in found.items()}


def _standing_notes(lines: pl.DataFrame) -> list[str]:
    notes = []
    unknown = int((~lines["stock_known"]).sum())
    if unknown:
        notes.append(
            f"{words.count(unknown, 'line has', 'lines have')} no stock count: their orders are counted, their "
            "service and stock are not"
        )
    uncosted = lines["unit_cost"].null_count()
    if uncosted:
        notes.append(f"{words.count(uncosted, 'line has', 'lines have')} no unit cost: their money is not counted")
    return notes


# ---------------------------------------------------------------------- playing out


@dataclass(frozen=True, eq=False)
class _Played:
    """Lines with their quantities, and what becomes of them."""

    lines: pl.DataFrame
    measures: pl.DataFrame


@dataclass(frozen=True, eq=False)
class _World:
    """The plan, and everything it was made from, its rows in one order."""

    plan: Plan
    lines: pl.DataFrame  # of the plan, with price
    forecast: Forecast
    side: Supply
    seed: int

    def base(self) -> _Played:
        """Play out the plan as it was proposed."""
        lines = self.lines.with_columns(quantity=pl.col("proposed"))
        items = self._items(self.side, self.lines)
        return self._played(lines, items, self.forecast, self._coming({}), self.forecast.horizon)

    def changed(self, app: App, question: Question) -> tuple[_Played, list[str]]:
        """Propose anew in the changed world, and play that out."""
        plan, rules, horizon = self.plan, self.plan.rules, self.forecast.horizon
        factors, prices, notes = self._effects(app, question)
        lines = self.lines.with_columns(price=pl.col("price") * pl.Series(prices))
        if question.service_level is not None:
            lines = lines.with_columns(service_level=pl.lit(question.service_level))
            rules = replace(rules, service_level=question.service_level)
        side = _changed_side(self.side, question, plan)
        items = self._items(side, lines)
        forecast = self.forecast
        if (factors != 1).any():
            forecast = forecast.with_mean(np.asarray(forecast.mean(), dtype=np.float64) * factors)
        needed = planning_horizon(items, rules=rules)
        if needed > horizon:
            forecast = _longer(forecast, needed)
            notes.append(
                f"orders in this scenario cover up to {needed} days, and {horizon} are forecast: the days beyond are "
                f"taken to be like the last {min(TILED_DAYS, horizon)}; a longer horizon setting forecasts them"
            )
        coming = self._coming(question.closed)
        days = [plan.as_of + dt.timedelta(days=day) for day in range(forecast.horizon + 1)]
        due = coming.by_period(items["product"].to_list(), items["warehouse"].to_list(), days, forecast.horizon)
        parts = []
        for rows, chunk in _parts(forecast):
            parts.append(propose(items[rows], chunk.paths, due[rows], days, seed=self.seed, rules=rules))
        proposed = top_up_to_minimum(pl.concat(parts), side.suppliers_as_measured, rules=rules)
        budgets = {**(_budgets(plan) or {}), **question.budget}
        if budgets:
            there = set(proposed.filter(pl.col("quantity") > 0)["supplier"].drop_nulls())
            some = {code: money for code, money in budgets.items() if code == budgeting.ALL_SUPPLIERS or code in there}
            proposed, budget = budgeting.within(
                proposed, items, _in_hand(forecast), due, some, side.suppliers, seed=self.seed
            )  # fmt: skip
            notes += budget.notes
        told_too = lines.select("name", "category", "price")
        return self._played(proposed.with_columns(told_too), items, forecast, coming, horizon), notes

    def _items(self, side: Supply, lines: pl.DataFrame) -> pl.DataFrame:
        """Return PLANNING_ITEMS of the lines, with the service levels that the lines have."""
        items = supply.planning_items(lines, side, self.plan.as_of, self.plan.rules)
        return items.with_columns(lines.select("service_level", "service_kind"))

    def _coming(self, closed: Mapping[str, dt.date]) -> Incoming:
        """Return what is on order; what is due from a closed supplier comes when it opens again."""
        coming = incoming(
            self.side.open_orders,
            self.plan.as_of,
            lead_times=self.side.lead_times,
            assumed_lead_time_days=self.plan.rules.lead_time_days,
        )
        if not closed:
            return coming
        opens = pl.col("supplier").replace_strict(
            {code: until + dt.timedelta(days=1) for code, until in closed.items()}, default=None, return_dtype=pl.Date
        )
        return replace(coming, counted=coming.counted.with_columns(arrives_on=pl.max_horizontal("arrives_on", opens)))

    def _effects(self, app: App, question: Question) -> tuple[Floats, Floats, list[str]]:
        """Return [N, H] factors on demand, [N] factors on prices, and notes."""
        horizon, lines = self.forecast.horizon, self.lines
        factors, prices = np.ones((lines.height, horizon)), np.ones(lines.height)
        notes: list[str] = []
        for scope, factor in question.demand.items():
            factors[concerned(scope, lines)] *= factor
        known = None
        if any(one.factor is None for one in question.promotions) or any(
            one.demand is None and question.elasticity is None for one in question.prices
        ):
            known = plan_lifts.lifts(app, self.plan)
        for promotion in question.promotions:
            rows = np.flatnonzero(concerned(promotion.scope, lines))
            first = max((promotion.first - self.plan.as_of).days, 0)
            last = (promotion.last - self.plan.as_of).days + 1
            if first >= horizon or last <= 0:
                raise ParameterError(
                    f"the promotion of {promotion.scope} from {promotion.first} to {promotion.last} is not within the "
                    f"{horizon} days from {self.plan.as_of} on that are forecast; a longer horizon setting forecasts "
                    "more"
                )
            raised = np.array([lift_of(promotion, known, category) for category in lines["category"].gather(rows)])
            planned = self._promoted(rows, horizon)[:, first:last]
            factors[rows, first:last] *= np.where(planned, 1.0, raised[:, None])
            if planned.any():
                notes.append(
                    f"the forecast knows of a promotion of {promotion.scope} on {int(planned.any(axis=0).sum())} of "
                    "these days already: those days of it stay as they are"
                )
            if promotion.factor is None:
                notes.append(
                    f"the promotion of {promotion.scope} is taken to lift demand {_span(raised)}, as the model expects"
                )
        for price in question.prices:
            rows = np.flatnonzero(concerned(price.scope, lines))
            prices[rows] *= price.factor
            if price.demand is not None:
                factors[rows] *= price.demand
                continue
            power = np.array([elasticity_of(price, question, known, name) for name in lines["category"].gather(rows)])
            factors[rows] *= (price.factor**power)[:, None]
            if question.elasticity is None:
                notes.append(
                    f"the price of {price.scope} is taken to move demand {_span(price.factor**power)}, as the model "
                    "expects"
                )
        return factors, prices, notes

    def _promoted(self, rows: NDArray[np.int64], horizon: int) -> NDArray[np.bool_]:
        """Return [n, H] the days on which a promotion of the lines is in the calendar, and so in the forecast."""
        found = np.zeros((self.lines.height, horizon), dtype=np.bool_)
        for event in self.side.events.filter(pl.col("kind") == "promotion").iter_rows(named=True):
            kind = event["scope_kind"]
            if kind == "shop":
                hit = np.ones(len(found), dtype=np.bool_)
            elif kind in ("product", "category", "warehouse"):
                hit = (self.lines[kind] == event["scope"]).fill_null(value=False).to_numpy()
            else:
                continue
            first, last = ((event[name] - self.plan.as_of).days for name in ("starts_on", "ends_on"))
            found[hit, max(first, 0) : max(last + 1, 0)] = True
        return found[rows]

    def _played(
        self, lines: pl.DataFrame, items: pl.DataFrame, forecast: Forecast, coming: Incoming, horizon: int
    ) -> _Played:
        """Walk the lines' orders, and orders up to their levels after them, down the first ``horizon`` days."""
        days = [self.plan.as_of + dt.timedelta(days=day) for day in range(horizon + 1)]
        due = coming.by_period(items["product"].to_list(), items["warehouse"].to_list(), days, horizon)
        lead = lines["lead_time_periods"].to_numpy()
        spread = items["lead_time_sd_periods"].fill_null(lines["lead_time_periods"] * ASSUMED_VARIATION).to_numpy()
        lead_time = LeadTime(lead, np.where(lead > 0, spread, 0.0))
        drawn = lead_time.draw(lines["unique_id"].to_list(), forecast.n_paths, self.seed)
        policy = {
            "quantity": lines["quantity"].to_numpy(),
            "level": (lines["demand"] + lines["safety"]).cast(pl.Float64).to_numpy(),
            "wait": lines["wait_periods"].to_numpy().astype(np.int64),
            "review": np.maximum(np.ceil(lines["review_periods"].to_numpy()), 1).astype(np.int64),
            "pack": lines["pack_size"].to_numpy(),
            "minimum": lines["minimum_order_quantity"].to_numpy(),
        }
        on_hand = np.maximum(items["on_hand"].fill_null(0.0).to_numpy(), 0.0)
        cost, price = (
            lines[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in ("unit_cost", "price")
        )
        parts = []
        for rows, chunk in _parts(forecast):
            own = OrderThenBaseStock(**{name: values[rows] for name, values in policy.items()})
            done = played_out(
                own,
                chunk.paths[:, :, :horizon],
                on_hand=on_hand[rows],
                inbound=due[rows],
                lead_time_periods=drawn[rows],
            )
            parts.append(told(done, own.quantity, cost[rows], price[rows]))
        measures = pl.concat(parts).rename(NAMES)
        seen = lines["stock_known"]
        hidden = [name for name in SHOP_MEASURES if name not in ("quantity", "spend")]
        return _Played(lines, measures.with_columns(pl.when(seen).then(pl.col(name)).alias(name) for name in hidden))


def _world(app: App, plan: Plan, side: Supply) -> _World:
    """Return the plan's world, with the lines in the order of its forecast."""
    forecast = planning.published_forecast(app, plan.run_id or 0)
    places = pl.DataFrame({"unique_id": forecast.ids}).with_row_index("place")
    rows = places.join(plan.lines.select("unique_id"), on="unique_id", how="semi", maintain_order="left")
    with app.database.read() as connection:
        prices = catalogue.products(connection).select("product", "price")
    lines = rows.join(plan.lines, on="unique_id", how="left", maintain_order="left").drop("place")
    lines = lines.join(prices, on="product", how="left", maintain_order="left")
    if rows.height < len(forecast):
        forecast = forecast.select(rows["place"].to_numpy())
    return _World(plan, lines, forecast, side, app.settings.seed)


def _parts(forecast: Forecast) -> Iterator[tuple[slice, Forecast]]:
    """Yield rows and their forecast, in parts that fit into memory; a single part keeps its paths for the next use."""
    n = -(-len(forecast) * forecast.n_paths * forecast.horizon // CELLS_PER_CHUNK)
    low = 0
    for chunk in [forecast] if n <= 1 else forecast.chunks(n):
        yield slice(low, low + len(chunk)), chunk
        low += len(chunk)


def _in_hand(forecast: Forecast) -> Forecast:
    """Return the forecast with its paths, so that they are not drawn again, where they fit into memory."""
    if len(forecast) * forecast.n_paths * forecast.horizon > CELLS_PER_CHUNK:
        return forecast
    return replace(forecast.alone(), marginals=None, drawn=forecast.paths)


def _longer(forecast: Forecast, horizon: int) -> Forecast:
    """Return paths of ``horizon`` days: whole weeks at the end of the forecast are repeated on each path."""
    cycle = min(TILED_DAYS, forecast.horizon)
    cycle = cycle // 7 * 7 or cycle
    days = np.arange(horizon)
    over = days >= forecast.horizon
    days[over] = forecast.horizon - cycle + (days[over] - forecast.horizon) % cycle
    return replace(forecast.alone(), marginals=None, drawn=forecast.paths[:, :, days])


def _changed_side(side: Supply, question: Question, plan: Plan) -> Supply:
    """Return the supply with other lead times and closures."""
    if not question.lead_time and not question.closed:
        return side
    lead_times = side.lead_times
    for code, change in question.lead_time.items():
        everyone = code in EVERYTHING
        mine = pl.lit(value=True) if everyone else pl.col("supplier") == code
        mean = pl.col("mean_days").fill_null(plan.rules.lead_time_days)
        slower = (mean * change.factor + change.added).clip(0.0)
        lead_times = lead_times.with_columns(
            mean_days=pl.when(mine).then(slower).otherwise("mean_days"),
            sd_days=pl.when(mine & (slower <= 0)).then(0.0).otherwise("sd_days"),
        )
    calendars = {
        code: replace(calendar, supplier_closures=(*calendar.supplier_closures, Closure(plan.as_of, closed)))
        if (closed := question.closed.get(code)) is not None
        else calendar
        for code, calendar in side.calendars.items()
    }
    return replace(side, lead_times=lead_times, calendars=calendars)


def _span(values: NDArray[Any]) -> str:
    """Write factors as a change in per cent, or as a range of them."""
    low, high = (f"{100 * (value - 1):+.0f} %" for value in (values.min(), values.max()))
    return f"by {low}" if low == high else f"by {low} to {high}"


def _silent(_step: str, _done: int, _total: int) -> None:
    return None
