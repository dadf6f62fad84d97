"""The plan: from the store's demand to an order proposal, saved as a run that people decide on.

A plan is made for the day after the data ends. Its lines are the live series (`shelfwise.services.plan_lines`); each
carries its own arithmetic. A plan that still holds is shown again rather than made again: same day, same data, same
settings. When something has changed a new plan is made, and a person's decisions carry over
(`shelfwise.services.plan_decisions`).

An approved line is on a purchase order, and so counts as on its way at once.

Making a plan, keeping it and reading it back stand in one file, because what is read must be what was made.

Letters: N series, S sample paths, H days.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.app import App
from shelfwise.domain.errors import ParameterError
from shelfwise.domain.events import ForecastRefreshed, PlanPublished, RecommendationDecided
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.frames import PROPOSAL_LINES
from shelfwise.inventory.bundles import exploded, without_bundles
from shelfwise.inventory.incoming import incoming
from shelfwise.inventory.optimise import OrderDecision
from shelfwise.inventory.proposal import ProposalRules, by_supplier, planning_horizon
from shelfwise.services import adjusting, budgeting, classing, demand, plan_decisions, plan_lines, supply
from shelfwise.services.adjusting import Adjusted
from shelfwise.services.budgeting import Budget
from shelfwise.services.demand import Demand
from shelfwise.services.fitting import fitted
from shelfwise.services.supply import Supply
from shelfwise.storage import archive, catalogue, outbox, plans, sales
from shelfwise.storage.overrides import Override

_log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
Floats = NDArray[np.float64]

DAYS_LAID_OUT: Final = 400
"""Days ahead for which closed days and promotions are laid out: longer than any usual protection time."""
PUBLISHED: Final = 0
"""Number in a run's archive of the forecast it was made on."""
UNTOUCHED: Final = 1
"""Number of what the model said of the series that overrides changed."""
LOOKED_BACK: Final = 1000
"""Events among which `standing` looks for its plan; after more decisions than that it reads the demand."""

_OPEN: Final = ("proposed", "edited")


@dataclass(frozen=True, eq=False)
class Plan:
    """An order proposal.

    Parameters
    ----------
    run_id
        Its number in the store; None where it was not saved.
    as_of
        The day it was made for: the first day forecast.
    lines
        PROPOSAL_LINES and ``name``, ``category``, ``mean_per_day``, ``low_per_day``, ``high_per_day`` (mean and 80 %
        range of daily demand over 28 days), ``recommendation`` (its number), ``status``, ``proposed`` (units before
        a person's edit), ``decision_reason`` and ``snoozed_until``.
    orders
        SUPPLIER_ORDERS of the open lines: neither snoozed, rejected nor approved.
    overdue
        Open purchase order lines so late that they do not count, with the reason.
    budget
        What a budget made of the proposal; None where none was given.
    """

    run_id: int | None
    as_of: dt.date
    data_until: dt.date
    horizon: int
    model: str
    rules: ProposalRules
    lines: pl.DataFrame
    orders: pl.DataFrame
    overdue: pl.DataFrame
    notes: tuple[str, ...] = ()
    budget: Budget | None = None

    @property
    def open_lines(self) -> pl.DataFrame:
        """Lines with a quantity that wait for a decision, the most urgent first."""
        return _by_urgency(self.lines.filter((pl.col("quantity") > 0) & pl.col("status").is_in(_OPEN)))

    @property
    def due_now(self) -> pl.DataFrame:
        """The suppliers' orders that must be placed on the day of the plan."""
        return self.due_by(self.as_of)

    def due_by(self, day: dt.date) -> pl.DataFrame:
        """Return the suppliers' orders that must be placed by ``day``; unknown stock presses nobody."""
        pressing = self.open_lines.filter(pl.col("order_by").is_not_null())["supplier"]
        return self.orders.filter(
            (pl.col("order_by") <= day) & pl.col("supplier").is_in(pressing.implode(), nulls_equal=True)
        )

    def of_supplier(self, code: str) -> Plan:
        """Return the lines and the order of one supplier alone."""
        return replace(
            self,
            lines=self.lines.filter(pl.col("supplier") == code),
            orders=self.orders.filter(pl.col("supplier") == code),
            overdue=self.overdue.filter(pl.col("supplier") == code),
        )


def _by_urgency(lines: pl.DataFrame) -> pl.DataFrame:
    """Sort by the day to order by, the day the stock runs out, the money at risk, and the demand."""
    keys = ["order_by", "stockout_on", "margin_at_risk", "demand_per_day", "unique_id"]
    return lines.sort(keys, descending=[False, False, True, True, False], nulls_last=True)


def make_plan(
    app: App,
    *,
    service_level: float | None = None,
    lead_time_days: float | None = None,
    model: str | None = None,
    budgets: Mapping[str, float] | None = None,
    save: bool = True,
    known: Demand | None = None,
    side: Supply | None = None,
    progress: Progress | None = None,
) -> Plan:
    """Return the plan that holds, or make a new one.

    Parameters
    ----------
    service_level
        Fraction; None takes the setting, or where nobody set it the level of each line's ABC-XYZ class.
    lead_time_days
        Lead time of suppliers that state none and have delivered nothing yet; None takes the setting.
    model
        Forecasting model; None takes the setting.
    budgets
        Money to spend at most, by supplier code; `budgeting.ALL_SUPPLIERS` is for everything together.
    save
        Keep the plan and its forecast in the store; False for a trial.
    known, side
        Demand (laid out `DAYS_LAID_OUT` days ahead) and supply of the store, where they have been read already.

    Raises
    ------
    DataError
        The store has no sales, or no live product.
    """
    tell = progress or _silent
    settings = app.settings
    rules = rules_of(app, service_level, lead_time_days)
    tell("reading demand and stock", 0, 4)
    known = demand.load(app, days_ahead=DAYS_LAID_OUT) if known is None else known
    side = supply.load(app) if side is None else side
    chosen = settings.model if model is None else model
    words_against = adjusting.standing(app, known.planning_day, adjusting.FORECAST)
    by_class = service_level is None and class_decides(app)
    mark = _mark(app, known, side, rules, chosen, words_against, budgets, by_class=by_class)
    held = _held(app, mark, side)
    if held is not None:
        return held
    live = known.live(settings.live_days)
    tell("learning levels and seasons", 1, 4)
    predictor = fitted(app, known.panel, chosen)
    stocked = without_bundles(live.panel.series, side.bundles, known.products)
    items = supply.planning_items(stocked, side, live.planning_day, rules)
    if by_class:
        items = classing.with_service_levels(items, live.panel)
    horizon = max(settings.horizon, plan_lines.RATE_DAYS, planning_horizon(items, rules=rules))
    tell(f"forecasting {len(live.panel):,} series", 2, 4)
    made = predictor.predict(live.panel, horizon, n_paths=settings.n_paths, seed=settings.seed)
    adjusted = adjusting.adjust(made, live.panel, words_against)
    forecast = exploded(adjusted.forecast, stocked, side.bundles)
    coming = incoming(
        side.open_orders, live.planning_day, lead_times=side.lead_times, assumed_lead_time_days=rules.lead_time_days
    )
    tell("working out orders", 3, 4)
    lines = plan_lines.lines_in_chunks(forecast, items, coming, live.planning_day, rules, settings.seed)
    lines = plan_lines.topped_up(lines, side, rules)
    budget = None
    if budgets:
        inbound = plan_lines.due_units(coming, items, live.planning_day, horizon)
        cut, budget = budgeting.within(
            lines.select(plan_lines.COLUMNS), items, forecast, inbound, budgets, side.suppliers,
            settled=plan_decisions.settled(app, lines, live.planning_day), seed=settings.seed,
        )  # fmt: skip
        lines = cut.with_columns(lines.select(plan_lines.TOLD))
    plan = _assembled(
        Plan(
            run_id=None,
            as_of=live.planning_day,
            data_until=live.data_until,
            horizon=horizon,
            model=f"{forecast.provenance.model} {forecast.provenance.version}",
            rules=rules,
            lines=_undecided(lines, stocked),
            orders=lines,
            overdue=coming.left_out,
            notes=(
                *known.notes,
                *forecast.provenance.notes,
                *plan_lines.notes_of(lines, live, side, rules),
            ),
            budget=budget,
        ),
        side,
    )
    with app.database.read() as connection:
        marks = {"mark": mark, "quick_mark": _quick_mark(app, connection, side)}
    if not save:
        return _on_trial(app, plan, side)
    return _saved(app, plan, replace(adjusted, forecast=forecast), marks, side)


def holding(
    app: App,
    *,
    service_level: float | None = None,
    lead_time_days: float | None = None,
    model: str | None = None,
    budgets: Mapping[str, float] | None = None,
) -> Plan | None:
    """Return the plan that `make_plan` would return without making one; None where it would make one."""
    known, side = demand.load(app, days_ahead=DAYS_LAID_OUT), supply.load(app)
    rules = rules_of(app, service_level, lead_time_days)
    words_against = adjusting.standing(app, known.planning_day, adjusting.FORECAST)
    by_class = service_level is None and class_decides(app)
    chosen = app.settings.model if model is None else model
    return _held(app, _mark(app, known, side, rules, chosen, words_against, budgets, by_class=by_class), side)


def _held(app: App, mark: str, side: Supply) -> Plan | None:
    with app.database.read() as connection:
        last = plans.latest_run(connection)
    return _restored(app, last, side) if last is not None and last.parameters.get("mark") == mark else None


def rules_of(app: App, service_level: float | None = None, lead_time_days: float | None = None) -> ProposalRules:
    """Return the rules of a plan; what is not given is taken from the settings."""
    settings = app.settings
    return ProposalRules(
        service_level=settings.service_level if service_level is None else service_level,
        service_kind=settings.service_kind,
        lead_time_days=settings.default_lead_time_days if lead_time_days is None else lead_time_days,
        review_days=settings.review_days,
    )


def class_decides(app: App) -> bool:
    """Say whether the ABC-XYZ class of a line sets its service level: nobody has set one for all."""
    return app.settings.class_service_levels and app.origins["service_level"] == "default"


def standing(app: App, side: Supply) -> Plan | None:
    """Return the plan made last if nothing has been booked or changed since; None where `make_plan` has to look.

    Unlike `make_plan` it need not read the demand: what is booked is written into the outbox, and the rest is small.
    """
    with app.database.read() as connection:
        run = plans.latest_run(connection)
        if run is None or not _nothing_booked_since(connection, run, app.today()):
            return None
        if run.parameters.get("quick_mark") != _quick_mark(app, connection, side):
            return None
    return _restored(app, run, side)


def _nothing_booked_since(connection: Any, run: plans.PlanRun, today: dt.date) -> bool:
    """Say whether only decisions were made since a run, and no day has become complete."""
    for happened in outbox.latest(connection, LOOKED_BACK):
        if happened.event == PlanPublished(run.id):
            span = sales.sales_span(connection)
            return span is not None and not run.data_until < span[1] < today
        if not isinstance(happened.event, RecommendationDecided | ForecastRefreshed):
            return False
    return False


# ---------------------------------------------------------------------- making


def _undecided(lines: pl.DataFrame, series: pl.DataFrame) -> pl.DataFrame:
    return lines.join(series.select("unique_id", "name", "category"), on="unique_id", how="left").with_columns(
        recommendation=pl.lit(None, dtype=pl.Int64),
        status=pl.lit("proposed"),
        proposed=pl.col("quantity"),
        decision_reason=pl.lit(None, dtype=pl.String),
        snoozed_until=pl.lit(None, dtype=pl.Date),
    )


def _assembled(plan: Plan, side: Supply) -> Plan:
    """Return the plan with its open lines grouped by supplier."""
    lines = plan.lines.filter(pl.col("status").is_in(_OPEN)).select(plan_lines.COLUMNS)
    orders = by_supplier(lines, side.suppliers_as_measured, plan.as_of, calendars=side.calendars, rules=plan.rules)
    return replace(plan, orders=orders)


# ---------------------------------------------------------------------- keeping


def _mark(
    app: App,
    known: Demand,
    side: Supply,
    rules: ProposalRules,
    model: str,
    words_against: Sequence[Override],
    budgets: Mapping[str, float] | None,
    *,
    by_class: bool,
) -> str:
    """Return a fingerprint of everything a plan depends on; an override never changes, so its number stands for it."""
    settings = app.settings
    choices = [
        asdict(rules), model, settings.horizon, settings.n_paths, settings.seed, settings.live_days,
        str(known.planning_day), known.panel.n_series, known.censored_by_stock, known.censored_by_silence,
        [one.id for one in words_against], sorted((budgets or {}).items()),
        by_class,
    ]  # fmt: skip
    digest = hashlib.sha256(_digest(choices, known.products, side))
    digest.update(known.panel.values.tobytes())
    for name, covariate in sorted(known.panel.known_future.items()):
        digest.update(name.encode())
        digest.update(covariate.values.tobytes())
    return digest.hexdigest()


def _quick_mark(app: App, connection: Any, side: Supply) -> str:
    """Return a fingerprint of the settings and of everything but demand that a plan depends on."""
    settings = app.settings
    choices: list[Any] = [
        settings.service_level, settings.service_kind, settings.default_lead_time_days, settings.review_days,
        settings.class_service_levels, settings.model, settings.horizon, settings.n_paths, settings.seed,
        settings.live_days,
    ]  # fmt: skip
    choices.append(catalogue.prices(connection).write_csv())
    return _digest(choices, catalogue.products(connection), side).hex()


def _digest(choices: list[Any], products: pl.DataFrame, side: Supply) -> bytes:
    digest = hashlib.sha256(json.dumps(choices).encode())
    for frame in (products, side.bundles, side.suppliers, side.stock.drop("as_of"), side.open_orders, side.events):
        digest.update(frame.write_csv().encode())
    digest.update(side.lead_times.drop("samples").write_csv().encode())
    return digest.digest()


def _saved(app: App, plan: Plan, adjusted: Adjusted, marks: Mapping[str, str], side: Supply) -> Plan:
    """Save the run, its forecast and its recommendations; carry decisions over; return the plan as it stands."""
    now = app.now()
    parameters = {
        **marks, "as_of": plan.as_of.isoformat(), "rules": asdict(plan.rules), "notes": list(plan.notes),
        "overrides": [one.id for one in adjusted.used],
        "budget": None if plan.budget is None else asdict(plan.budget),
    }  # fmt: skip
    with app.database.write() as connection:
        before = plans.recommendations(connection)
        run_id = plans.save_run(
            connection,
            created_at=now,
            data_until=plan.data_until,
            horizon=plan.horizon,
            model=plan.model,
            seed=app.settings.seed,
            parameters=parameters,
        )
        archive.save_chunk(connection, run_id, PUBLISHED, adjusted.forecast.to_bytes())
        if adjusted.untouched is not None:
            archive.save_chunk(connection, run_id, UNTOUCHED, adjusted.untouched.to_bytes())
        answered = plan_decisions.answered(before)
        plans.save_recommendations(connection, run_id, _recommended(plan.lines, answered))
        fresh = plans.recommendations(connection, run_id)
        plan_decisions.carry_over(connection, before, fresh, answered, plan.as_of, now)
        plan_decisions.apply_order_overrides(connection, run_id, plan.as_of, now)
        standing = plans.recommendations(connection, run_id)
        outbox.append(connection, now, PlanPublished(run_id))
    _log.info("plan %d for %s: %d lines, model %s", run_id, plan.as_of, plan.lines.height, plan.model)
    bare = plan.lines.drop("recommendation", "status", "decision_reason", "snoozed_until")
    lines = plan_decisions.decided(bare, standing)
    return _assembled(replace(plan, run_id=run_id, lines=lines), side)


_IN_COLUMNS: Final = (
    "product", "warehouse", "supplier", "quantity", "order_by", "stockout_on", "stockout_probability", "unit_cost",
    "cost",
)  # fmt: skip


def _recommended(lines: pl.DataFrame, answered: Mapping[tuple[str, str], float]) -> pl.DataFrame:
    """Return RECOMMENDATIONS: what has no column of its own goes into the arithmetic, as JSON."""
    numbers = lines.select(
        *[name for name in (*plan_lines.COLUMNS, *plan_lines.TOLD, "name", "category") if name not in _IN_COLUMNS]
    ).iter_rows(named=True)
    keys = lines.select("product", "warehouse").iter_rows()
    texts = []
    for key, row in zip(keys, numbers, strict=True):
        told = {name: value for name, value in row.items() if value is not None}
        if key in answered:
            told["answered"] = answered[key]
        texts.append(json.dumps(told, ensure_ascii=False))
    return lines.select(*_IN_COLUMNS, arithmetic=pl.Series(texts, dtype=pl.String), reason=pl.col("warnings"))


def _on_trial(app: App, plan: Plan, side: Supply) -> Plan:
    """Return a plan that is not kept as it would stand if it were: with decisions carried over and order overrides."""
    schema = {
        "product": pl.String(), "warehouse": pl.String(), "status": pl.String(), "decided_quantity": pl.Float64(),
        "decision_reason": pl.String(), "snoozed_until": pl.Date(),
    }  # fmt: skip
    foreseen = pl.DataFrame(plan_decisions.foreseen(app, plan.lines, plan.as_of), schema=schema)
    foreseen = foreseen.with_columns(recommendation=pl.lit(None, dtype=pl.Int64))
    bare = plan.lines.drop("recommendation", "status", "decision_reason", "snoozed_until")
    lines = plan_decisions.decided(bare, foreseen).with_columns(pl.col("status").fill_null("proposed"))
    lines = lines.select(plan.lines.columns)
    return _assembled(replace(plan, lines=lines), side)


def _restored(app: App, run: plans.PlanRun, side: Supply) -> Plan:
    """Return a saved plan as it stands now."""
    with app.database.read() as connection:
        standing = plans.recommendations(connection, run.id)
    rules = ProposalRules(**run.parameters["rules"])
    as_of = dt.date.fromisoformat(run.parameters["as_of"])
    overdue = incoming(
        side.open_orders, as_of, lead_times=side.lead_times, assumed_lead_time_days=rules.lead_time_days
    ).left_out
    plan = Plan(
        run_id=run.id,
        as_of=as_of,
        data_until=run.data_until,
        horizon=run.horizon,
        model=run.model,
        rules=rules,
        lines=plan_decisions.decided(_read_lines(standing), standing),
        orders=standing,
        overdue=overdue,
        notes=tuple(run.parameters["notes"]),
        budget=_read_budget(run.parameters.get("budget")),
    )
    return _assembled(plan, side)


def _read_budget(kept: dict[str, Any] | None) -> Budget | None:
    return None if kept is None else Budget(**{**kept, "notes": tuple(kept["notes"])})


def _read_lines(standing: pl.DataFrame) -> pl.DataFrame:
    """Return PROPOSAL_LINES and what is told beside them from stored RECOMMENDATIONS."""
    schema = {name: column.dtype for name, column in PROPOSAL_LINES.columns.items()}
    schema |= dict.fromkeys(plan_lines.TOLD, pl.Float64()) | {"name": pl.String(), "category": pl.String()}
    rows = [
        {**json.loads(row["arithmetic"]), **{name: row[name] for name in _IN_COLUMNS}}
        for row in standing.iter_rows(named=True)
    ]
    lines = pl.DataFrame(rows, schema=schema, orient="row").with_columns(proposed=pl.col("quantity"))
    return lines.sort("product", "warehouse")


def latest(app: App, side: Supply | None = None) -> Plan | None:
    """Return the plan made last, as it stands; None before the first. ``side`` is the supply where it was read."""
    with app.database.read() as connection:
        run = plans.latest_run(connection)
    return None if run is None else _restored(app, run, supply.load(app) if side is None else side)


def latest_day(app: App) -> dt.date | None:
    """Return the day that the plan made last is for; None before the first."""
    with app.database.read() as connection:
        run = plans.latest_run(connection)
    return None if run is None else dt.date.fromisoformat(run.parameters["as_of"])


def published_forecast(app: App, run_id: int) -> Forecast:
    """Return the forecast that a plan was made on, overrides included; its paths are drawn again as they were."""
    with app.database.read() as connection:
        return Forecast.from_bytes(archive.load_chunk(connection, run_id, PUBLISHED))


def untouched_forecast(app: App, run_id: int) -> Forecast | None:
    """Return what the model said of the series that overrides changed; None where they changed none."""
    with app.database.read() as connection:
        if UNTOUCHED not in archive.chunk_numbers(connection, run_id):
            return None
        return Forecast.from_bytes(archive.load_chunk(connection, run_id, UNTOUCHED))


def weighed(app: App, plan: Plan) -> OrderDecision:
    """Weigh each unit of the plan's lines by what it prevents and costs, on the plan's own paths and without limits.

    Raises
    ------
    ParameterError
        The plan was not saved, so that its forecast is not there.
    """
    if plan.run_id is None:
        raise ParameterError("the lines of a plan that was not saved cannot be explained; plan without --dry-run")
    side = supply.load(app)
    forecast = published_forecast(app, plan.run_id)
    places = pl.DataFrame({"unique_id": forecast.ids}).with_row_index("place")
    rows = places.join(plan.lines.select("unique_id"), on="unique_id", how="semi", maintain_order="left")
    lines = rows.join(plan.lines, on="unique_id", how="left", maintain_order="left")
    with app.database.read() as connection:
        prices = catalogue.products(connection).select("product", "price")
    series = lines.join(prices, on="product", how="left", maintain_order="left")
    items = supply.planning_items(series, side, plan.as_of, plan.rules)
    coming = incoming(
        side.open_orders, plan.as_of, lead_times=side.lead_times, assumed_lead_time_days=plan.rules.lead_time_days
    )
    due = plan_lines.due_units(coming, items, plan.as_of, forecast.horizon)
    chosen = forecast.select(rows["place"].to_numpy())
    return budgeting.weigh(lines.select(plan_lines.COLUMNS), items, chosen, due, seed=app.settings.seed)


def _silent(_step: str, _done: int, _total: int) -> None:
    return None
