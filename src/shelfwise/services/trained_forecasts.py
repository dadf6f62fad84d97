"""Forecasts from trained models: trained and kept at the first question, answered from ever after.

Without a model's name the registry's champion of the whole shop answers, because a product learns from its category;
with one, a model of this product alone, which is trained in moments. Letters: N series of the product, H days, Q
levels.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from shelfwise.app import App
from shelfwise.domain.errors import ParameterError, ShelfwiseError
from shelfwise.domain.panel import Panel
from shelfwise.execution.local import Workers
from shelfwise.forecasting.catalog import AUTOMATIC, estimator
from shelfwise.forecasting.coherence import CoherentPredictor
from shelfwise.forecasting.contract import Predictor
from shelfwise.forecasting.demand_classes import classes_of
from shelfwise.forecasting.ensemble import EnsemblePredictor
from shelfwise.services import actor, adjusting, registry
from shelfwise.services.demand_questions import Store
from shelfwise.services.jobs import Job
from shelfwise.services.measuring import Measured
from shelfwise.services.names import product_code
from shelfwise.services.registry import CHAMPION, SHOP, Version
from shelfwise.services.shop_processes import Late, ask, ask_alone
from shelfwise.services.training import Training, job_of, train
from shelfwise.services.waiting import waited
from shelfwise.storage import catalogue

LONGEST: Final = 365
LEVELS: Final = (0.1, 0.25, 0.5, 0.75, 0.9)
Status = Literal["trained", "reused", "base"]


@dataclass(frozen=True)
class Question:
    """What is asked.

    Parameters
    ----------
    product
        Code or name.
    horizon
        Days H.
    model
        One model, fitted on this product alone; None or ``auto`` for the champion of the whole shop.
    force_retrain
        Train anew and let the new version answer from now on.
    """

    product: str
    horizon: int
    model: str | None = None
    force_retrain: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.horizon <= LONGEST:
            raise ParameterError(f"forecast_horizon must be from 1 to {LONGEST} days, got {self.horizon}")
        if self.model is not None:
            estimator(self.model)

    @property
    def of_product(self) -> bool:
        """Whether a model of this product alone is asked."""
        return self.model not in (None, "auto", AUTOMATIC)


@dataclass(frozen=True)
class Member:
    """What one model said.

    Parameters
    ----------
    weight
        Its share of the answer for a product of this kind; shares add up to 1 where the members are known.
    mean
        [H] units, all warehouses together; None where it is not part of the answer or could not say anything.
    note
        Why it has no weight; empty where it has some.
    """

    model: str
    version: str | None
    weight: float
    mean: tuple[float, ...] | None
    note: str = ""


@dataclass(frozen=True)
class Answer:
    """A forecast and the version it came from; ``version`` is None where the base model stood in, see ``late``."""

    product: str
    warehouses: tuple[str, ...]
    dates: tuple[dt.date, ...]
    mean: tuple[float, ...]
    quantiles: Mapping[float, tuple[float, ...]]
    members: tuple[Member, ...]
    model: str
    model_version: str
    version: Version | None
    metrics: Mapping[str, Any]
    data_until: dt.date
    status: Status
    notes: tuple[str, ...]
    late: str = ""


def forecast(
    app: App, question: Question, workers: Workers | None = None, *, wait_seconds: float | None = None
) -> Answer | Job:
    """Answer from a trained model; where there is none, train one first.

    Without ``workers`` all is done here, with no deadline. Otherwise training is a job where a background worker takes
    such: it is returned as soon as ``wait_seconds`` are over, and the same question again answers. Where there is none,
    a process of its own trains under the time limit of the settings, and the base model answers if it is not done in
    time.

    Raises
    ------
    NotFound, DataError
        There is no such product, or it never sold.
    ParameterError
        The model needs a library that is not installed, or more history than the product has.
    ConflictError
        The champion's file is gone or was changed.
    """
    actor.check_model(question.model or "auto")
    wanted = _training(app, question)
    try:
        if not question.force_retrain:
            found = ask(app, workers, answer_here, question, wanted.scope)
            if found is not None:
                return found
        job = None if workers is None else job_of(app, wanted)
        if job is not None:
            ended = waited(app, job, wait_seconds or 0.0)
            if not ended.over:
                return ended
            if ended.state != "done":
                raise ParameterError(f"the model was not trained: {ended.error or ended.state}")
        elif workers is None:
            train(app, wanted)
        else:
            ask_alone(app, app.settings.inference_timeout_seconds, train, wanted)
        found = ask(app, workers, answer_here, question, wanted.scope)
    except Late as late:
        return _in_base(app, question, f"the trained model did not answer: {late}; POST /api/v1/models/train trains it")
    if found is None:
        raise ParameterError("the model was trained and withdrawn meanwhile; ask again")
    return replace(found, status="trained")


def answer_here(app: App, question: Question, scope: str) -> Answer | None:
    """Answer from the champion of a scope in this process; None where there is none."""
    version = registry.champion(app, scope)
    if version is None or (question.of_product and version.name != estimator(question.model or "auto").name):
        return None
    loaded = registry.load(app, version)
    return _told(app, question, loaded.predictor, version.label, version, Measured.from_arrays(loaded.beside))


def _training(app: App, question: Question) -> Training:
    """Return the training that a question needs; a product that is not in the store is told here, before any wait."""
    with app.database.read() as connection:
        code = product_code(catalogue.products(connection), question.product)
    scope = registry.product_scope(code) if question.of_product else SHOP
    return Training(question.model or app.settings.model, scope, CHAMPION, actor.name())


def _told(
    app: App, question: Question, predictor: Predictor, label: str, version: Version | None, measured: Measured,
    status: Status = "reused",
) -> Answer:  # fmt: skip
    store = Store(app, question.horizon + 1)
    rows = store.rows(question.product, None)
    rows = rows[store.known.panel.ends[rows] == store.known.panel.ends[rows].max()]
    panel, settings = store.known.panel.select(rows), app.settings
    made = predictor.predict(panel, question.horizon, n_paths=settings.n_paths, seed=settings.seed)
    expected = made.mean().sum(axis=0)  # [H] units, before what people said
    made = adjusting.adjust(made, panel, store.overrides).forecast
    mean = made.mean().sum(axis=0)  # [H] units
    summed = made.aggregate(["product"]) if len(made) > 1 else made
    bands = summed.quantiles(LEVELS)[0]  # [H, Q] units
    days = made.freq.moments(np.arange(made.starts[0], made.starts[0] + made.horizon)).astype("datetime64[D]")
    return Answer(
        product=str(panel.series["product"][0]),
        warehouses=tuple(panel.series["warehouse"].to_list()),
        dates=tuple(days.tolist()),
        mean=tuple(mean.tolist()),
        quantiles={level: tuple(bands[:, at].tolist()) for at, level in enumerate(LEVELS)},
        members=tuple(members_of(predictor, panel, expected)),
        model=made.provenance.model,
        model_version=label,
        version=version,
        metrics=measured.metrics(tuple(panel.ids.to_list())),
        data_until=store.known.data_until,
        status=status,
        notes=tuple(dict.fromkeys((*store.known.notes, *made.provenance.notes))),
    )


def members_of(predictor: Predictor, panel: Panel, expected: npt.NDArray[Any]) -> list[Member]:
    """Return what each model of an ensemble says of some series together, and its weight; of another model, itself.

    ``expected`` [H] is what the predictor says of them.

    The weight is that of the series' classes of demand, by the units they sold of late.
    """
    inner = predictor.inner if isinstance(predictor, CoherentPredictor) else predictor
    if not isinstance(inner, EnsemblePredictor):
        return [Member(inner.name, inner.version, 1.0, tuple(expected.tolist()))]
    recent = np.nansum(panel.window(min(91, int(panel.lengths.max()))), axis=1) + 1e-9  # [N] units
    shares = np.average(inner.plan.shares[classes_of(panel)], axis=0, weights=recent)  # [M]
    found = []
    for name, weight in zip(inner.plan.names, shares.tolist(), strict=True):
        fitted = inner.members.get(name)
        note = "" if weight > 0 else "others forecast products of this kind better"
        if fitted is None:
            found.append(Member(name, None, weight, None, note or "it could not be fitted"))
            continue
        try:
            mean = fitted.predict(panel, len(expected), n_paths=2).mean().sum(axis=0)
            found.append(Member(name, fitted.version, weight, tuple(mean.tolist()), note))
        except ShelfwiseError as error:  # the ensemble answers without a member that fails, and so does this
            found.append(Member(name, fitted.version, weight, None, str(error)))
    return sorted(found, key=lambda one: -one.weight)


def _in_base(app: App, question: Question, late: str) -> Answer:
    """Answer from the base model, fitted on the product's series."""
    store = Store(app, question.horizon + 1)
    panel = store.known.panel.select(store.rows(question.product, None))
    predictor = estimator("base_level").fit(panel)
    label = f"{predictor.name} {predictor.version}"
    told = _told(app, question, predictor, label, None, Measured(reason=late), "base")
    return replace(told, late=late)
