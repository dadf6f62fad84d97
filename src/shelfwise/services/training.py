"""Training: a model is fitted on the store's demand, measured on its past, and kept as a version of the registry."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from shelfwise.app import App
from shelfwise.domain.errors import ModelError, ParameterError
from shelfwise.domain.panel import Panel
from shelfwise.execution.local import Workers
from shelfwise.forecasting.catalog import estimator
from shelfwise.forecasting.contract import Predictor
from shelfwise.services import actor, demand, jobs, measuring, registry
from shelfwise.services.challenging import Judged, judged
from shelfwise.services.demand import Demand
from shelfwise.services.fitting import described, panel_fingerprint
from shelfwise.services.jobs import Job
from shelfwise.services.names import product_code
from shelfwise.services.registry import CHALLENGER, CHAMPION, PRODUCT, SHOP, Described, Version
from shelfwise.services.shop_processes import Late, ask_alone
from shelfwise.services.waiting import waited
from shelfwise.storage import catalogue

_log: Final = logging.getLogger(__name__)

JOB: Final = "train_model"
LONGEST_SUBJECT: Final = 255
FEWEST_DAYS: Final = 7
"""Days of history that a model of one product needs; with fewer, that of the whole shop answers for it."""
Then = Literal["champion", "challenger", "nothing", "not_worse"]


@dataclass(frozen=True)
class Training:
    """What is to be trained.

    Parameters
    ----------
    model
        Name of a model, or ``auto``.
    scope
        ``shop`` for all series, or ``product:CODE`` for one product alone.
    then
        What becomes of the version: it answers from now on, stands beside the one that does, or neither; or it answers
        where it is not worse than the one that does (`shelfwise.services.challenging`), and else stands beside it.
        Where nobody answers yet, it does.
    made_by
        Who asked for it.

    >>> Training(scope="warehouse:North")
    Traceback (most recent call last):
    shelfwise.domain.errors.ParameterError: scope must be shop, or product: and a code, got 'warehouse:North'
    """

    model: str = "auto"
    scope: str = SHOP
    then: Then = "challenger"
    made_by: str = ""

    def __post_init__(self) -> None:
        registry.check_scope(self.scope)
        estimator(self.model)


def train(app: App, wanted: Training, progress: Callable[[str, int, int], None] | None = None) -> Version:
    """Fit, measure and register a model; return its version.

    Raises
    ------
    ParameterError
        The model needs a library that is not installed, or the product has too short a history.
    NotFound, DataError
        There is no such product, or nothing to learn from.
    """
    tell, began = progress or _silent, time.perf_counter()
    steps = 4 if wanted.then == "not_worse" else 3
    tell("reading the demand", 0, steps)
    known = demand.load(app)
    scope, panel = panel_of(known, wanted.scope)
    tell(f"fitting {wanted.model} on {panel.n_series:,} series", 1, steps)
    predictor = _fitted(wanted.model, panel)
    tell("measuring it on the past", 2, steps)
    settings = app.settings
    measured = measuring.measure(panel, wanted.model, measuring.LONGEST, n_paths=settings.n_paths, seed=settings.seed)
    version = registry.register(
        app, predictor, scope=scope, data_until=known.data_until, data_fingerprint=panel_fingerprint(panel),
        parameters={
            "model": wanted.model, "method_version": predictor.version,
            "description": described(estimator(wanted.model)),
            "series": panel.n_series, "periods": len(panel.values), "n_paths": settings.n_paths, "seed": settings.seed,
            "notes": list(getattr(predictor, "notes", ())),
        },
        metrics=measured.metrics(), beside=measured.to_arrays(), made_by=wanted.made_by,
    )  # fmt: skip
    champion = registry.champion(app, scope)
    if champion is None:
        put_to = Judged(True, "the first of its scope")
    elif wanted.then == "not_worse":
        tell("comparing it with the champion", 3, 4)
        put_to = judged(app, wanted.model, panel, champion, (known.data_until - champion.data_until).days)
    else:
        put_to = Judged(wanted.then == "champion", "deployed by its training")
    if champion is None or wanted.then != "nothing":
        alias = CHAMPION if put_to.takes_over else CHALLENGER
        registry.deploy(app, str(version.id), alias=alias, reason=put_to.reason, made_by=wanted.made_by)
    _log.info("model %s trained for %s in %.1f s", version.label, scope, time.perf_counter() - began)
    return version


def job_of(app: App, wanted: Training) -> Job | None:
    """Queue a training for a worker; None where no worker is there to take it.

    Who asks again while it waits or runs gets the same job.
    """
    if not jobs.alive(app):
        return None
    return under_way(app, wanted, "running") or put(app, wanted)


def under_way(app: App, wanted: Training, *states: str) -> Job | None:
    """Return the job that trains the same model for the same scope, waiting or running; None where there is none."""
    subject = _subject(wanted)
    found = (job for state in states or ("running", "queued") for job in jobs.listed(app, state=state, kind=JOB).jobs)
    return next((job for job in found if job.subject == subject), None)


def put(app: App, wanted: Training) -> Job:
    """Queue a training, whether or not a worker is there to take it now; no two of one subject run at once."""
    return jobs.ask(app, JOB, {**asdict(wanted), "asked_at": app.now().isoformat()}, _subject(wanted))


def _subject(wanted: Training) -> str:
    return f"{wanted.scope} {wanted.model}"[:LONGEST_SUBJECT]


def start(app: App, wanted: Training, workers: Workers | None = None, *, wait_seconds: float = 0.0) -> Described | Job:
    """Train: by a background worker, whose job is returned where it has not ended in time, or in a process of its own.

    Parameters
    ----------
    workers
        None: here, with no deadline.

    Raises
    ------
    ParameterError
        As `train` does, or the training did not end well.
    NotFound, DataError
        There is no such product, or nothing to learn from.
    """
    actor.check_model(wanted.model)
    if wanted.scope != SHOP:  # a product that is not there is told now and not by a job
        with app.database.read() as connection:
            product_code(catalogue.products(connection), wanted.scope.removeprefix(PRODUCT))
    if workers is None:
        return registry.find(app, str(train(app, wanted).id))
    job = job_of(app, wanted)
    if job is None:
        try:
            made = ask_alone(app, app.settings.training_timeout_seconds, train, wanted)
        except Late as late:
            raise ParameterError(
                f"the training was ended: {late}; SHELFWISE_TRAINING_TIMEOUT_SECONDS gives it more"
            ) from late
        return registry.find(app, str(made.id))
    job = waited(app, job, wait_seconds)
    if not job.over:
        return job
    if job.state != "done":
        raise ParameterError(f"the model was not trained: {job.error or job.state}")
    return registry.find(app, str(job.result["id"]))


def run_job(app: App, payload: Mapping[str, Any], progress: Callable[[str, int, int], None]) -> dict[str, Any]:
    """Train what a job asks for; where that was done already, and only the job's end was lost, name what was made."""
    given = dict(payload)
    asked_at = dt.datetime.fromisoformat(given.pop("asked_at"))
    wanted = Training(**given)
    name = estimator(wanted.model).name
    for one in registry.listed(app, scope=wanted.scope, name=name, limit=1):
        if one.version.created_at >= asked_at:
            return {"model": one.version.label, "id": one.version.id}
    version = train(app, wanted, progress)
    return {"model": version.label, "id": version.id}


def panel_of(known: Demand, scope: str) -> tuple[str, Panel]:
    """Return a scope as the registry has it, and the series that belong to it.

    Raises
    ------
    ParameterError
        The product has too short a history.
    NotFound, DataError
        There is no such product, or it never sold.
    """
    if scope == SHOP:
        return scope, known.panel
    code = product_code(known.products, scope.removeprefix(PRODUCT))
    panel = known.only([code]).panel
    days = int(panel.lengths.max())
    if days < FEWEST_DAYS:
        raise ParameterError(
            f"{code} has {days} days of history, and a model of its own needs {FEWEST_DAYS}; the model of the whole "
            "shop forecasts it: name no model"
        )
    return registry.product_scope(code), panel


def _fitted(model: str, panel: Panel) -> Predictor:
    try:
        predictor = estimator(model).fit(panel)
        predictor.predict(panel.select([0]), 1, n_paths=2)  # some meet a missing library only when they are asked
    except ModelError as error:
        if isinstance(error.__cause__, ImportError):
            raise ParameterError(str(error)) from error
        raise
    return predictor


def _silent(_step: str, _done: int, _total: int) -> None:
    return None
