"""Questions about demand: one product, one horizon, one granularity; what the caller knows better wins, for that call.

Two ways lead to an answer. By day, and without a history of the caller's own, the model that was fitted on all of the
store's series answers: the registry's champion where there is one, else the one fitted on the data as it stands. Prices
and events of the caller then stand in place of the stored ones in what that model is asked. Otherwise a model is fitted
on this one series: the caller's history, or the store's summed (by week and month) or counted (within the day).

Letters: N series, S sample paths, H periods.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.app import App
from shelfwise.domain.errors import DataError, ParameterError, ShelfwiseError
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.panel import Panel
from shelfwise.execution.local import Workers
from shelfwise.forecasting.catalog import estimator
from shelfwise.forecasting.contract import Predictor
from shelfwise.services import actor, adjusting, classing, kept_demand, measuring, planning, registry, supply
from shelfwise.services.demand import Demand
from shelfwise.services.demand_histories import (
    LONGEST_BY_DAY,
    LONGEST_WITHIN_DAY,
    Event,
    Features,
    Known,
    edited,
    frequency,
    given_panel,
    stored_panel,
)
from shelfwise.services.fitting import fitted
from shelfwise.services.kept_demand import Kept, worked_out
from shelfwise.services.measuring import Measured
from shelfwise.services.names import product_code
from shelfwise.services.shop_processes import Late, ask
from shelfwise.services.stateless import BASE_MODEL
from shelfwise.services.supply import Supply
from shelfwise.storage import plans
from shelfwise.storage.overrides import Override

__all__ = ["Answer", "Event", "Features", "Outcome", "Question", "answer", "answer_all"]

Floats = npt.NDArray[np.floating[Any]]

SHARE_OF_TIME: Final = 0.5
"""Share of the time limit after which nothing more is measured, and of many questions the rest gets the base model."""
MOST_QUESTIONS: Final = 1000


@dataclass(frozen=True)
class Question:
    """What is asked.

    Parameters
    ----------
    product
        Code or name in the store; any name where the history comes with the question.
    warehouse
        Code; None for all warehouses together.
    horizon
        Periods H, at most a year of days or longer periods, at most `LONGEST_WITHIN_DAY` of shorter ones.
    granularity
        ``5min`` to ``1mo``.
    features
        What the caller knows better than the store.
    model
        Name of a model; ``auto`` takes the champion.
    confidence
        Share of outcomes that the interval is to hold.
    with_metrics
        False: nothing is measured.
    """

    product: str
    horizon: int
    warehouse: str | None = None
    granularity: str = "1d"
    features: Features = field(default_factory=Features)
    model: str = "auto"
    confidence: float = 0.8
    with_metrics: bool = True

    def __post_init__(self) -> None:
        freq = frequency(self.granularity)
        most = LONGEST_BY_DAY if freq.is_daily_or_longer else LONGEST_WITHIN_DAY
        if not 1 <= self.horizon <= most:
            raise ParameterError(f"horizon must be from 1 to {most} periods of {freq}, got {self.horizon}")
        if not 0 < self.confidence < 1:
            raise ParameterError(f"confidence must be above 0 and below 1, got {self.confidence:g}; for example 0.8")
        estimator(self.model)

    @property
    def of_store(self) -> bool:
        """Whether the model of the whole shop is asked."""
        return self.features.sales is None and self.granularity == "1d"


@dataclass(frozen=True)
class Answer:
    """What was answered.

    Parameters
    ----------
    product, warehouse
        Codes; warehouse None: all of them together.
    timestamps
        [H] labels of the periods, shop time.
    mean, lower, upper
        [H] units: expected demand, and the interval of each period by itself.
    model_version
        What answered: name and number of a version in the registry, else name and version of the method.
    fitted_on
        ``whole shop`` or ``this series``.
    metrics
        As `measuring.Measured.metrics` returns them.
    late
        Why this is not what was asked for; empty where it is.
    """

    product: str
    warehouse: str | None
    granularity: str
    confidence: float
    timestamps: tuple[dt.datetime, ...]
    mean: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    model: str
    model_version: str
    fitted_on: str
    data_until: dt.datetime | None
    metrics: dict[str, Any]
    notes: tuple[str, ...]
    late: str = ""


@dataclass(frozen=True)
class Outcome:
    """The answer to one of many questions, or why there is none."""

    answer: Answer | None
    error: ShelfwiseError | None = None


@dataclass(frozen=True, eq=False)
class Asked:
    """A predictor, the label it goes by, what was measured of it, and the version it is, where it is one."""

    predictor: Predictor
    label: str
    measured: Measured | None = None


@dataclass(frozen=True, eq=False)
class Made:
    """A forecast, what it goes by, and what it is measured by: its own series, a model's name, or sums kept before."""

    forecast: Forecast
    label: str
    fitted_on: str
    notes: tuple[str, ...]
    panel: Panel
    model: str
    measured: Measured | None = None


@dataclass(eq=False)
class Store:
    """What many questions about one store share; each part is read when it is first needed."""

    app: App
    days_ahead: int
    _asked: dict[str, Asked] = field(default_factory=dict)

    @cached_property
    def _kept(self) -> Kept:
        return kept_demand.read(self.app, self.days_ahead)

    @property
    def known(self) -> Demand:
        """The store's demand."""
        return self._kept.demand

    @cached_property
    def side(self) -> Supply:
        """The supply side of the store."""
        return supply.load(self.app)

    @cached_property
    def classes(self) -> pl.DataFrame:
        """``unique_id, level, service_class``: the service level of each live line's ABC-XYZ class."""
        lines = classing.of_panel(self.known.live(self.app.settings.live_days).panel).lines
        return lines.select("unique_id", level="service_level", service_class="class")

    @cached_property
    def overrides(self) -> Sequence[Override]:
        """What people said of demand that holds on the day after the data."""
        return adjusting.standing(self.app, self.known.planning_day, adjusting.FORECAST)

    def named(self, model: str) -> str:
        """Return the model that ``auto`` is by the settings, or the one that was named."""
        return self.app.settings.model if model == "auto" else model

    def asked(self, model: str) -> Asked:
        """Return the model that answers about the whole shop."""
        if model not in self._asked:
            self._asked[model] = self._found(model)
        return self._asked[model]

    def _found(self, model: str) -> Asked:
        version = registry.champion(self.app, registry.SHOP) if model == "auto" else None
        if version is not None:
            loaded = registry.load(self.app, version)
            return Asked(loaded.predictor, version.label, Measured.from_arrays(loaded.beside))
        name = self.named(model)
        predictor = worked_out(self._kept, name, lambda: fitted(self.app, self.known.panel, name))
        return Asked(predictor, f"{predictor.name} {predictor.version}")

    def rows(self, product: str, warehouse: str | None) -> npt.NDArray[np.int64]:
        """Return the places of a product's series in the panel.

        Raises
        ------
        NotFound
            There is no such product.
        DataError
            It never sold there.
        """
        code = product_code(self.known.products, product)
        series = self.known.panel.series
        of_product = (series["product"] == code).to_numpy()
        there = of_product if warehouse is None else of_product & (series["warehouse"] == warehouse).to_numpy()
        if not there.any():
            places = series.filter(pl.Series(of_product))["warehouse"].to_list()
            where = f"it sells in {', '.join(places)}" if places else "it never sold"
            at = "" if warehouse is None else f" in warehouse {warehouse!r}"
            raise DataError(f"{code}{at}: no sale in the data, so there is nothing to forecast from; {where}")
        return np.flatnonzero(there)

    def forecast(self, model: str, horizon: int, rows: npt.NDArray[np.int64], edits: Features | None) -> Forecast:
        """Return the forecast of some series, with the overrides that hold."""
        panel = self.known.panel.select(rows)
        if edits is not None:
            panel = edited(panel, edits, horizon)
        return self._predicted(self.asked(model).predictor, panel, horizon)

    def forecast_of_rows(
        self, model: str, horizon: int, rows: npt.NDArray[np.int64], *, base: bool = False
    ) -> tuple[Forecast, str]:
        """Return the same and what it goes by; ``base`` takes the base model, fitted on these series alone."""
        panel = self.known.panel.select(rows)
        if not base:
            asked = self.asked(model)
            return self._predicted(asked.predictor, panel, horizon), asked.label
        predictor = estimator(BASE_MODEL).fit(panel)
        return self._predicted(predictor, panel, horizon), f"{predictor.name} {predictor.version}"

    def _predicted(self, predictor: Predictor, panel: Panel, horizon: int) -> Forecast:
        settings = self.app.settings
        made = predictor.predict(panel, horizon, n_paths=settings.n_paths, seed=settings.seed)
        return adjusting.adjust(made, panel, self.overrides).forecast


def answer(app: App, question: Question, workers: Workers | None = None) -> Answer:
    """Answer one question under the time limit of the settings.

    Raises
    ------
    NotFound
        There is no such product.
    DataError
        What came with the question, or the store, cannot be used.
    """
    actor.check_model(question.model)
    try:
        return ask(app, workers, answer_here, question)
    except Late as late:
        return _instead(app, question, f"{question.model} was asked for: {late}")


def answer_all(app: App, questions: Sequence[Question], workers: Workers | None = None) -> list[Outcome]:
    """Answer many questions; what is wrong with one is told with it and hinders no other.

    Raises
    ------
    ParameterError
        There are more than `MOST_QUESTIONS`.
    """
    if len(questions) > MOST_QUESTIONS:
        raise ParameterError(
            f"at most {MOST_QUESTIONS:,} questions at once, got {len(questions):,}; send them in parts"
        )
    for model in {one.model for one in questions}:
        actor.check_model(model)
    try:
        return ask(app, workers, answer_all_here, tuple(questions))
    except Late as late:
        reason = str(late)
        return [
            _outcome(lambda one=one: _instead(app, one, f"{one.model} was asked for: {reason}")) for one in questions
        ]


def answer_here(app: App, question: Question) -> Answer:
    """Answer one question in this process."""
    return _answered(Store(app, _days_ahead([question])), question, _Clock(app))


def answer_all_here(app: App, questions: Sequence[Question]) -> list[Outcome]:
    """Answer many questions in this process, those about the same store reading it once."""
    store, clock = Store(app, _days_ahead(questions)), _Clock(app)
    found = []
    for question in questions:
        if clock.in_time():
            found.append(_outcome(lambda question=question: _answered(store, question, clock)))
        else:
            late = f"{question.model} was asked for: the questions before it took the time limit's share"
            found.append(_outcome(lambda question=question, late=late: _base(store, question, late)))
    return found


class _Clock:
    """Whether there is time left for what need not be."""

    def __init__(self, app: App) -> None:
        self._until = time.monotonic() + SHARE_OF_TIME * app.settings.inference_timeout_seconds

    def in_time(self) -> bool:
        return time.monotonic() < self._until


def _outcome(made: Any) -> Outcome:
    try:
        return Outcome(made())
    except ShelfwiseError as error:
        return Outcome(None, error)


def _days_ahead(questions: Sequence[Question]) -> int:
    """Return for how many days covariates are laid out: as far as any question looks."""
    days = [one.horizon / max(frequency(one.granularity).periods(1.0), 1e-9) for one in questions]
    return min(int(max(days, default=1.0)) + 31, 12_000)


def _answered(store: Store, question: Question, clock: _Clock, late: str = "") -> Answer:
    made, settings = made_of(store, question, base=bool(late)), store.app.settings
    measured = Measured(reason=late or "it was not asked for")
    if question.with_metrics and not late:
        measured = made.measured or measuring.measure(
            made.panel, made.model, question.horizon, n_paths=settings.n_paths, seed=settings.seed,
            in_time=clock.in_time,
        )  # fmt: skip
    ids = tuple(made.panel.ids.to_list())
    return replace(
        _told(question, made.forecast, made.label, made.fitted_on, measured.metrics(ids), made.notes), late=late
    )


def made_of(store: Store, question: Question, *, base: bool = False) -> Made:
    """Return the forecast that answers a question: of one series, or of all warehouses one each.

    Parameters
    ----------
    base
        The base model answers, fitted on the one series, which takes milliseconds.

    Raises
    ------
    NotFound, DataError
        See `answer`.
    """
    if question.of_store and not base:
        rows = store.rows(question.product, question.warehouse)
        asked = store.asked(question.model)
        edits = None if question.features.is_empty else question.features
        made = store.forecast(question.model, question.horizon, rows, edits)
        notes = (*store.known.notes, *_unlearnt(store.known.panel, question.features))
        panel = store.known.panel.select(rows)
        return Made(made, asked.label, "whole shop", notes, panel, asked.predictor.name, asked.measured)
    known = _history(store, question)
    settings, model = store.app.settings, BASE_MODEL if base else store.named(question.model)
    predictor = estimator(model).fit(known.panel)
    made = predictor.predict(known.panel, question.horizon, n_paths=settings.n_paths, seed=settings.seed)
    return Made(made, f"{predictor.name} {predictor.version}", "this series", known.notes, known.panel, model)


def _unlearnt(panel: Panel, features: Features) -> list[str]:
    """Say what of the caller's the model cannot use, because the store's data never had it."""
    return [
        f"{name} is not used: nothing in the stored data shows what it does; send historical_sales, and it is learnt"
        for name in features.names()
        if name not in panel.known_future
    ]


def _history(store: Store, question: Question) -> Known:
    """Return the one series that a model is to be fitted on."""
    if question.features.sales is not None:
        return given_panel(question.product, question.warehouse, question.granularity, question.features,
                           question.horizon)  # fmt: skip
    rows = store.rows(question.product, question.warehouse)
    if question.of_store:
        panel = store.known.panel.select(rows)
        return Known(panel if question.features.is_empty else edited(panel, question.features, question.horizon))
    return stored_panel(store.app, store.known, rows, question.granularity, question.features, question.horizon)


def _told(
    question: Question, made: Forecast, label: str, fitted_on: str, metrics: dict[str, Any], notes: Sequence[str]
) -> Answer:
    """Return the answer that a forecast of one or, of all warehouses, more series gives."""
    product = str(made.series["product"][0]) if "product" in made.series.columns else question.product
    mean = made.mean().sum(axis=0)  # [H] units; those of summed paths would differ from it by chance
    if len(made) > 1:
        made = made.aggregate(["product"])
    tail = (1.0 - question.confidence) / 2
    band = made.quantiles([tail, 1.0 - tail])[0]  # [H, 2] units
    first = int(made.starts[0])
    labels = made.freq.moments(np.arange(first, first + made.horizon))
    return Answer(
        product=product,
        warehouse=question.warehouse,
        granularity=question.granularity,
        confidence=question.confidence,
        timestamps=tuple(labels.astype("datetime64[us]").tolist()),
        mean=tuple(mean.tolist()),
        lower=tuple(band[:, 0].tolist()),
        upper=tuple(band[:, 1].tolist()),
        model=made.provenance.model,
        model_version=label,
        fitted_on=fitted_on,
        data_until=made.provenance.data_until,
        metrics=metrics,
        notes=tuple(dict.fromkeys((*notes, *made.provenance.notes))),
    )


# ---------------------------------------------------------------------- when time is up


def _instead(app: App, question: Question, late: str) -> Answer:
    """Answer from the stored forecast, where it covers what was asked, else from the base model."""
    if question.of_store and question.features.is_empty:
        found = stored_forecast(app, question.product, question.warehouse, question.horizon)
        if found is not None:
            made, label = found
            metrics = Measured(reason=late).metrics()
            told = _told(question, made, label, "whole shop", metrics, ["this is the forecast of the latest plan"])
            return replace(told, late=late)
    return _base(Store(app, _days_ahead([question])), question, late)


def _base(store: Store, question: Question, late: str) -> Answer:
    """Answer from the base model fitted on the one series."""
    return _answered(store, question, _Clock(store.app), late)


def stored_forecast(app: App, product: str, warehouse: str | None, horizon: int) -> tuple[Forecast, str] | None:
    """Return what the latest plan forecast of a product, and the model's label; None where it does not cover that."""
    with app.database.read() as connection:
        run = plans.latest_run(connection)
    if run is None:
        return None
    made = planning.published_forecast(app, run.id).alone()
    there = (made.series["product"] == product).to_numpy()
    if warehouse is not None:
        there &= (made.series["warehouse"] == warehouse).to_numpy()
    if made.horizon < horizon or not there.any():
        return None
    return _first(made.select(np.flatnonzero(there)), horizon), f"{run.model} of plan {run.id}"


def _first(made: Forecast, horizon: int) -> Forecast:
    """Return the first periods of a forecast, path by path."""
    return replace(made, marginals=None, drawn=made.paths[:, :, :horizon])
