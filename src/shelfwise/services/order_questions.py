"""Questions about orders: what to order now under shared limits, with stock levels, reorder points, bound and gap.

Either the store's lines are asked about, by product, or the caller brings items and demand; then nothing of the store
is read. `chain` asks demand, risk and orders of the same lines on the same sample paths.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any, Final

import polars as pl

from shelfwise.app import App
from shelfwise.domain.errors import ParameterError, ShelfwiseError
from shelfwise.domain.order_frames import LIMITS
from shelfwise.execution.local import Workers
from shelfwise.inventory.optimise import OrderDecision, optimise
from shelfwise.inventory.proposal import propose
from shelfwise.services import actor, budgeting, stockout_questions
from shelfwise.services.demand_questions import MOST_QUESTIONS, Store
from shelfwise.services.shop_processes import Late, ask
from shelfwise.services.store_lines import Lines, Place, lines_of

Rows = tuple[Mapping[str, Any], ...]

MOST_PRODUCTS: Final = 1000
DEFAULT_DAYS: Final = 28
LEVELS: Final = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class StoreQuestion:
    """What to order of products of the store.

    Parameters
    ----------
    places
        Products, and a warehouse each, or None for all in which it sells.
    limits
        LIMITS rows: kind, scope, period, value.
    service_level
        Of each line; None takes its class's, or the setting.
    model
        Name of a model; ``auto`` takes the champion.
    """

    places: tuple[Place, ...]
    limits: Rows = ()
    service_level: float | None = None
    model: str = "auto"

    def __post_init__(self) -> None:
        if not 1 <= len(self.places) <= MOST_PRODUCTS:
            raise ParameterError(f"name 1 to {MOST_PRODUCTS:,} products, got {len(self.places):,}")


@dataclass(frozen=True)
class ItemsQuestion:
    """What to order of items that come with the question: rows as `shelfwise.optimise` takes them."""

    items: Rows
    demand: Rows
    inbound: Rows = ()
    limits: Rows = ()
    lanes: Rows = ()
    gap: float = 1e-3
    time_limit: float = 30.0
    seed: int = 0


OrderQuestion = StoreQuestion | ItemsQuestion


@dataclass(frozen=True)
class Decision:
    """What to order now, line by line, and what it rests on.

    Parameters
    ----------
    lines
        A row each with ``quantity``, ``spend``, ``arrives``, the stock levels, the policy and the reason.
    cost, bound, gap
        Expected cost of the orders; what no orders under these limits can cost less than; how far the two are apart.
    prices
        What one unit more of each limit would save.
    as_of
        The day of the order; None where periods are counted.
    versions
        What forecast, and what decided.
    late
        Why the base model answered; empty where it did not.
    """

    lines: Rows
    cost: float
    bound: float
    gap: float
    spend: float
    mode: str
    prices: Rows
    transfers: Rows
    infeasible: tuple[str, ...]
    notes: tuple[str, ...]
    as_of: dt.date | None
    versions: Mapping[str, str]
    late: str = ""


@dataclass(frozen=True)
class Outcome:
    """The answer to one of many questions, or why there is none."""

    answer: Decision | None
    error: ShelfwiseError | None = None


@dataclass(frozen=True)
class ChainQuestion:
    """Demand, risk and orders of some lines in one.

    Parameters
    ----------
    orders
        Of which lines, under which limits.
    horizon
        Days H that demand and risk are told for.
    """

    orders: StoreQuestion
    horizon: int = DEFAULT_DAYS

    def __post_init__(self) -> None:
        if not 1 <= self.horizon <= 365:
            raise ParameterError(f"horizon must be from 1 to 365 days, got {self.horizon}")


@dataclass(frozen=True)
class LineDemand:
    """Demand of one line: [H] days, expected units, and by level the quantiles of each day."""

    product: str
    warehouse: str
    dates: tuple[dt.date, ...]
    mean: tuple[float, ...]
    quantiles: Mapping[float, tuple[float, ...]]


@dataclass(frozen=True)
class Chain:
    """What sells, what runs out and what to order, all of the same worlds.

    Parameters
    ----------
    risk
        None for a line whose stock was never counted.
    paths
        Hash of the sample paths that all of it was worked out on.
    """

    demand: tuple[LineDemand, ...]
    risk: tuple[stockout_questions.Answer | None, ...]
    orders: Decision
    versions: Mapping[str, str]
    paths: str
    n_paths: int
    seed: int
    late: str = ""
    notes: tuple[str, ...] = field(default=())


def decide(app: App, question: OrderQuestion, workers: Workers | None = None) -> Decision:
    """Answer one question about orders under the time limit of the settings.

    Raises
    ------
    NotFound, DataError
        Products or rows cannot be used; the message names the item.
    ParameterError
        A parameter breaks its rule, or the items are too many for the time limit.
    """
    _check_model(question)
    try:
        return ask(app, workers, decide_here, question)
    except Late as late:
        return _in_base(app, question, str(late))


def decide_all(app: App, questions: Sequence[OrderQuestion], workers: Workers | None = None) -> list[Outcome]:
    """Answer many questions, each with limits of its own; what is wrong with one hinders no other."""
    if len(questions) > MOST_QUESTIONS:
        raise ParameterError(
            f"at most {MOST_QUESTIONS:,} questions at once, got {len(questions):,}; send them in parts"
        )
    for one in questions:
        _check_model(one)
    try:
        return ask(app, workers, decide_all_here, tuple(questions))
    except Late as late:
        return [_outcome(None, app, one, late=str(late)) for one in questions]


def chain(app: App, question: ChainQuestion, workers: Workers | None = None) -> Chain:
    """Answer what sells, what runs out and what to order, on the same sample paths; raises as `decide` does."""
    _check_model(question.orders)
    try:
        return ask(app, workers, chain_here, question)
    except Late as late:
        return chain_here(app, question, f"{question.orders.model} was asked for: {late}")


def decide_here(app: App, question: OrderQuestion, late: str = "") -> Decision:
    """Answer one question in this process; ``late`` says why the base model is to answer."""
    return _decided(_store(app), question, late)


def decide_all_here(app: App, questions: Sequence[OrderQuestion]) -> list[Outcome]:
    """Answer many questions in this process, which read the store once."""
    store = _store(app)
    return [_outcome(store, app, one) for one in questions]


def chain_here(app: App, question: ChainQuestion, late: str = "") -> Chain:
    """Answer a chained question in this process."""
    asked = question.orders
    days = max(question.horizon, DEFAULT_DAYS)  # so that a short look ahead decides the same orders
    lines = _lines(_store(app, days), asked, days, late)
    shown = lines.shown(question.horizon)
    decision = _of_lines(app, asked, lines, late)
    dates = tuple(lines.as_of + dt.timedelta(days=day) for day in range(question.horizon))
    bands = shown.forecast.quantiles(LEVELS)  # [N, H, 3] units
    mean = lines.forecast.mean()[:, : question.horizon]
    demand = tuple(
        LineDemand(
            row["product"], row["warehouse"], dates, tuple(mean[place].tolist()),
            {level: tuple(bands[place, :, at].tolist()) for at, level in enumerate(LEVELS)},
        )
        for place, row in enumerate(lines.items.iter_rows(named=True))
    )  # fmt: skip
    counted = lines.items["on_hand"].is_not_null().to_list()
    risk = tuple(
        stockout_questions.told_of(app, shown, place) if known else None for place, known in enumerate(counted)
    )
    return Chain(
        demand=demand,
        risk=risk,
        orders=decision,
        versions={**decision.versions, "risk": f"stockout walk of {version('shelfwise')}"},
        paths=lines.paths_fingerprint,
        n_paths=lines.forecast.n_paths,
        seed=app.settings.seed,
        late=late,
        notes=lines.notes,
    )


def _check_model(question: OrderQuestion) -> None:
    if isinstance(question, StoreQuestion):
        actor.check_model(question.model)


def _store(app: App, days: int = DEFAULT_DAYS) -> Store:
    return Store(app, days + 400)  # past any usual lead and review time


def _outcome(store: Store | None, app: App, question: OrderQuestion, late: str = "") -> Outcome:
    try:
        return Outcome(_decided(store, question) if store is not None else _in_base(app, question, late))
    except ShelfwiseError as error:
        return Outcome(None, error)


def _in_base(app: App, question: OrderQuestion, late: str) -> Decision:
    if isinstance(question, ItemsQuestion):
        raise ParameterError(
            f"{len(question.items):,} items were not decided in time: {late}; send fewer items or periods, or accept a "
            "larger gap"
        )
    return decide_here(app, question, f"{question.model} was asked for: {late}")


def _decided(store: Store, question: OrderQuestion, late: str = "") -> Decision:
    if isinstance(question, ItemsQuestion):
        return _of_items(question)
    return _of_lines(store.app, question, _lines(store, question, DEFAULT_DAYS, late), late)


def _lines(store: Store, question: StoreQuestion, days: int, late: str) -> Lines:
    return lines_of(
        store, question.places, days, model=question.model, service_level=question.service_level, base=bool(late)
    )


def _of_lines(app: App, question: StoreQuestion, lines: Lines, late: str) -> Decision:
    starts = [lines.as_of + dt.timedelta(days=day) for day in range(lines.forecast.horizon + 1)]
    proposed = propose(
        lines.items, lines.forecast.paths, lines.inbound, starts, seed=app.settings.seed, rules=lines.rules
    )
    limits = LIMITS.check(_frame(question.limits)) if question.limits else None
    decision = budgeting.weigh(
        proposed, lines.items, lines.forecast, lines.inbound, limits=limits, seed=app.settings.seed
    )
    uncounted = lines.items.filter(pl.col("on_hand").is_null())["unique_id"].to_list()
    notes = [f"{one} has no stock count: its order covers the whole demand" for one in uncounted]
    told = _told(decision, lines.items, lines.as_of, [*lines.notes, *notes])
    return replace(told, versions={"demand": lines.label, **told.versions}, late=late)


def _of_items(question: ItemsQuestion) -> Decision:
    items = _frame(question.items)
    decision = optimise(
        items, _frame(question.demand), _frame(question.inbound) if question.inbound else None,
        _frame(question.limits) if question.limits else None,
        _frame(question.lanes).rename({"source": "from", "target": "to"}) if question.lanes else None,
        question.gap, question.time_limit, seed=question.seed,
    )  # fmt: skip
    return _told(decision, decision.terms.frame, None, [])


def _frame(rows: Rows) -> pl.DataFrame:
    return pl.DataFrame([dict(row) for row in rows], infer_schema_length=None)


def _told(decision: OrderDecision, items: pl.DataFrame, as_of: dt.date | None, notes: Sequence[str]) -> Decision:
    named = items.select("unique_id", "product", "warehouse")
    lines = (
        decision.orders.join(decision.policy, on="unique_id", how="left", maintain_order="left")
        .join(named, on="unique_id", how="left", maintain_order="left")
        .with_columns(pl.col(pl.Float64).fill_nan(None))
    )
    return Decision(
        lines=tuple(lines.to_dicts()),
        cost=decision.cost,
        bound=decision.bound,
        gap=decision.gap,
        spend=decision.spend,
        mode=decision.mode,
        prices=tuple(decision.prices.to_dicts()),
        transfers=tuple(decision.transfers.to_dicts()),
        infeasible=tuple(decision.infeasible),
        notes=tuple(dict.fromkeys((*notes, *decision.notes))),
        as_of=as_of,
        versions={"orders": f"joint order of {version('shelfwise')}"},
    )
