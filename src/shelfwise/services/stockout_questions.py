"""Questions about running out: how likely by which day, how soon, and what it costs in units and margin.

The stock is walked down the demand paths of one product in one warehouse with nothing more ordered than what is on its
way, as `services.risks` does for the whole shop. What the caller says of stock, arrivals, prices and lead time stands
in place of what the store knows, for that call only. Letters: S sample paths, H days.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import polars as pl

from shelfwise.app import App
from shelfwise.domain.errors import DataError, ParameterError, ShelfwiseError
from shelfwise.domain.forecast import Forecast
from shelfwise.execution.local import Workers
from shelfwise.inventory.incoming import incoming
from shelfwise.inventory.stockout_risk import StockoutRisk, severity, stockout_risk
from shelfwise.services import actor, demand_questions, supply
from shelfwise.services.demand_questions import MOST_QUESTIONS, Store, made_of
from shelfwise.services.shop_processes import Late, ask
from shelfwise.services.store_lines import Lines, lines_of, rules_of
from shelfwise.storage import catalogue

TIMES: Final = (0.1, 0.5, 0.9)
"""Shares of the paths that have run out, of which the days are told."""
COLUMNS: Final = ("supplier", "pack_size", "minimum_order_quantity", "unit_cost", "price")


@dataclass(frozen=True)
class Question:
    """What is asked; None takes what the store knows.

    Parameters
    ----------
    demand
        Of which product, where and how far; by day. Its metrics are not asked for.
    on_hand
        Units on the shelf before the first day.
    inbound
        Days on which units come, and how many; in place of all the store knows of.
    lead_time_days, service_level
        Of the supplier, and the share of cycles without a stockout that ``order_by`` is to keep.
    price, unit_cost
        Money per unit.
    """

    demand: demand_questions.Question
    on_hand: float | None = None
    inbound: tuple[tuple[dt.date, float], ...] | None = None
    lead_time_days: float | None = None
    service_level: float | None = None
    price: float | None = None
    unit_cost: float | None = None

    def __post_init__(self) -> None:
        if self.demand.granularity != "1d":
            raise ParameterError(f"a stockout is told by day; granularity must be 1d, got {self.demand.granularity}")
        for name in ("on_hand", "lead_time_days", "price", "unit_cost"):
            number = getattr(self, name)
            if number is not None and not (np.isfinite(number) and (number >= 0 or name == "on_hand")):
                raise ParameterError(f"{name} must be a number of zero or more, got {number:g}")
        for day, units in self.inbound or ():
            if not np.isfinite(units) or units < 0:
                raise ParameterError(f"inbound of {day} must be zero or more units, got {units:g}")


@dataclass(frozen=True)
class Answer:
    """When and how surely one line runs out.

    Parameters
    ----------
    as_of
        First day, before which ``on_hand`` was on the shelf.
    dates, probability, lost_units
        [H] days; the chance to have run out by the end of each, and the units that are asked for in vain on each.
    days_until
        Days until the stock has run out on a tenth, half and nine tenths of the paths: 0 is the first day; None where
        that is beyond the horizon.
    unit_margin, lost_margin
        Money; None where price or cost is not known.
    order_by, last_helpful_order
        The last day to order that keeps the service level, and the last on which an order still helps in half of the
        cases that run out; None where none is needed within the horizon.
    late
        Why the base model answered; empty where it did not.
    """

    product: str
    warehouse: str
    as_of: dt.date
    on_hand: float
    inbound_units: float
    dates: tuple[dt.date, ...]
    probability: tuple[float, ...]
    lost_units: tuple[float, ...]
    days_until: dict[float, int | None]
    unit_margin: float | None
    lost_margin: float | None
    severity: str
    lead_time_days: float
    service_level: float
    order_by: dt.date | None
    last_helpful_order: dt.date | None
    model_version: str
    notes: tuple[str, ...]
    late: str = ""


@dataclass(frozen=True)
class Outcome:
    """The answer to one of many questions, or why there is none."""

    answer: Answer | None
    error: ShelfwiseError | None = None


@dataclass(frozen=True)
class Terms:
    """What one line's stockout depends on beside its demand."""

    product: str
    warehouse: str
    on_hand: float | None
    price: float | None
    unit_cost: float | None
    lead_time_days: float
    service_level: float


def answer(app: App, question: Question, workers: Workers | None = None) -> Answer:
    """Answer one question under the time limit of the settings.

    Raises
    ------
    NotFound, DataError
        There is no such product; it never sold there; its stock was never counted and none is given.
    ParameterError
        The product sells in several warehouses and none is named.
    """
    actor.check_model(question.demand.model)
    try:
        return ask(app, workers, answer_here, question)
    except Late as late:
        return _in_base(app, question, str(late))


def answer_all(app: App, questions: Sequence[Question], workers: Workers | None = None) -> list[Outcome]:
    """Answer many questions; what is wrong with one is told with it and hinders no other."""
    if len(questions) > MOST_QUESTIONS:
        raise ParameterError(
            f"at most {MOST_QUESTIONS:,} questions at once, got {len(questions):,}; send them in parts"
        )
    for model in {one.demand.model for one in questions}:
        actor.check_model(model)
    try:
        return ask(app, workers, answer_all_here, tuple(questions))
    except Late as late:
        reason, store = str(late), _store(app, questions)
        return [_outcome(store, one, late=reason) for one in questions]


def answer_here(app: App, question: Question) -> Answer:
    """Answer one question in this process."""
    return _answered(_store(app, [question]), question)


def answer_all_here(app: App, questions: Sequence[Question]) -> list[Outcome]:
    """Answer many questions in this process, which read the store once."""
    store = _store(app, questions)
    return [_outcome(store, one) for one in questions]


def _store(app: App, questions: Sequence[Question]) -> Store:
    return Store(app, max((one.demand.horizon for one in questions), default=1) + 1)


def _outcome(store: Store, question: Question, late: str = "") -> Outcome:
    try:
        return Outcome(_answered(store, question, late))
    except ShelfwiseError as error:
        return Outcome(None, error)


def _in_base(app: App, question: Question, late: str) -> Answer:
    return _answered(_store(app, [question]), question, f"{question.demand.model} was asked for: {late}")


def _answered(store: Store, question: Question, late: str = "") -> Answer:
    asked = question.demand
    if asked.of_store and asked.features.is_empty:
        lines = lines_of(
            store, [(asked.product, asked.warehouse)], asked.horizon, model=asked.model,
            service_level=question.service_level, base=bool(late),
        )  # fmt: skip
        _one_warehouse(asked.product, lines.items["warehouse"].to_list())
        shown = lines.shown(asked.horizon)
        told = told_of(store.app, shown, 0, question)
        return replace(told, late=late)
    made = made_of(store, asked, base=bool(late))
    _one_warehouse(asked.product, made.panel.series["warehouse"].to_list())
    as_of = made.forecast.freq.moments(made.forecast.starts[:1])[0].astype("datetime64[D]").astype(dt.date)
    terms, inbound = _stored_terms(store.app, question, as_of)
    return replace(
        _walked(store.app, made.forecast, terms, _given(question, as_of, inbound), as_of, made.label, made.notes),
        late=late,
    )


def _one_warehouse(product: str, warehouses: Sequence[str]) -> None:
    if len(warehouses) > 1:
        raise ParameterError(
            f"{product} sells in {', '.join(warehouses)}, each with stock of its own; name one of them"
        )


def told_of(app: App, lines: Lines, row: int, question: Question | None = None) -> Answer:
    """Return the risk of one of some lines; what a question says stands in place of what the store knows."""
    item = lines.items.row(row, named=True)
    said = question or Question(demand_questions.Question(item["product"], lines.forecast.horizon))
    level = item["service_level"]
    lead = item["lead_time_periods"]
    terms = Terms(
        product=item["product"],
        warehouse=item["warehouse"],
        on_hand=item["on_hand"] if said.on_hand is None else said.on_hand,
        price=_float(item["price"]) if said.price is None else said.price,
        unit_cost=_float(item["unit_cost"]) if said.unit_cost is None else said.unit_cost,
        lead_time_days=_chosen(said.lead_time_days, lead, lines.rules.lead_time_days),
        service_level=_chosen(said.service_level, level, lines.rules.service_level),
    )
    inbound = _given(said, lines.as_of, lines.inbound[row])
    one = lines.forecast.select(np.array([row]))
    return _walked(app, one, terms, inbound, lines.as_of, lines.label, lines.notes)


def _chosen(said: float | None, known: float | None, assumed: float) -> float:
    return float(said if said is not None else known if known is not None else assumed)


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def _stored_terms(app: App, question: Question, as_of: dt.date) -> tuple[Terms, np.ndarray]:
    """Return the terms of a question that brings demand of its own, as far as the store knows the product."""
    asked, rules = question.demand, rules_of(app, question.service_level)
    with app.database.read() as connection:
        products = catalogue.products(connection)
    side = supply.load(app)
    row = products.filter(pl.col("product") == asked.product)
    warehouse = asked.warehouse or ""
    inbound = np.zeros(asked.horizon)
    item: dict[str, Any] = dict.fromkeys((*COLUMNS, "on_hand", "lead_time_periods", "service_level"))
    if row.height:
        series = row.with_columns(unique_id=pl.col("product"), warehouse=pl.lit(warehouse))
        item = supply.planning_items(series, side, as_of, rules).row(0, named=True)
        coming = incoming(
            side.open_orders, as_of, lead_times=side.lead_times, assumed_lead_time_days=rules.lead_time_days
        )
        days = [as_of + dt.timedelta(days=day) for day in range(asked.horizon + 1)]
        inbound = coming.by_period([asked.product], [warehouse], days, asked.horizon)[0]
    return Terms(
        product=asked.product,
        warehouse=warehouse,
        on_hand=item["on_hand"] if question.on_hand is None else question.on_hand,
        price=_float(item["price"]) if question.price is None else question.price,
        unit_cost=_float(item["unit_cost"]) if question.unit_cost is None else question.unit_cost,
        lead_time_days=_chosen(question.lead_time_days, item["lead_time_periods"], rules.lead_time_days),
        service_level=_chosen(question.service_level, None, rules.service_level),
    ), inbound


def _given(question: Question, as_of: dt.date, known: np.ndarray) -> np.ndarray:
    """Return [H] units that come: what the question says, else what is known; what was due before comes at once."""
    if question.inbound is None:
        return known
    found = np.zeros(len(known))
    for day, units in question.inbound:
        at = max((day - as_of).days, 0)
        if at < len(found):
            found[at] += units
    return found


def _walked(
    app: App, forecast: Forecast, terms: Terms, inbound: np.ndarray, as_of: dt.date, label: str, notes: Sequence[str]
) -> Answer:
    if terms.on_hand is None:
        raise DataError(
            f"the stock of {terms.product} in {terms.warehouse or 'its warehouse'} was never counted, so its risk is "
            "not known; count it, or give on_hand"
        )
    risk = stockout_risk([terms.on_hand], inbound[None, :], forecast.paths)
    lead, days = np.array([terms.lead_time_days]), forecast.horizon
    margin = None
    if terms.price is not None and terms.unit_cost is not None:
        margin = max(terms.price - terms.unit_cost, 0.0)  # what sells below its cost loses no margin by not selling
    lost = float(risk.lost_within(days)[0])
    money = None if margin is None else lost * margin
    chance = float(risk.probability[0, -1])
    grade = severity([chance], [np.nan if money is None else money])[0]
    return Answer(
        product=terms.product,
        warehouse=terms.warehouse,
        as_of=as_of,
        on_hand=float(terms.on_hand),
        inbound_units=float(inbound.sum()),
        dates=tuple(as_of + dt.timedelta(days=day) for day in range(days)),
        probability=tuple(risk.probability[0].tolist()),
        lost_units=tuple(risk.lost_units[0].tolist()),
        days_until={share: _days(_first(risk, share)) for share in TIMES},
        unit_margin=margin,
        lost_margin=money,
        severity=grade,
        lead_time_days=terms.lead_time_days,
        service_level=terms.service_level,
        order_by=_day(as_of, float(risk.order_by(lead, terms.service_level)[0])),
        last_helpful_order=_day(as_of, float(risk.last_helpful_order(lead)[0])),
        model_version=label,
        notes=tuple(dict.fromkeys(notes)),
    )


def _first(risk: StockoutRisk, share: float) -> float:
    """Return the first period by which at least that share of the paths has run out; nan: not in the horizon."""
    return float(risk.first_period(share - 2e-12)[0])


def _days(period: float) -> int | None:
    return int(period) - 1 if np.isfinite(period) else None


def _day(as_of: dt.date, periods: float) -> dt.date | None:
    return as_of + dt.timedelta(days=int(periods)) if np.isfinite(periods) else None
