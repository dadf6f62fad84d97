"""Every kind of job: what it does, where it runs, how long it may take and how often it is tried.

A handler gets the app, the job's payload and a function to tell how far it is, and returns what came of it. **It may
run twice**: a worker that falls silent loses its job to another one, and may yet live. So a handler brings something up
to date and never adds to it.

Kinds that take long run in a process of their own, which opens the database by its address and is killed at its
deadline. Kinds that wait for somebody else, who may be slow or gone, run beside all others, each job in a thread of its
own. The rest run in the worker's thread. A handler leaves a thread at its next word of progress after the deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

from shelfwise.app import App
from shelfwise.domain.errors import ConflictError, DataError, ParameterError
from shelfwise.settings import Settings

Payload = Mapping[str, Any]
Progress = Callable[[str, int, int], None]
Handler = Callable[[App, Payload, Progress], Any]
Lane = Literal["here", "apart", "beside"]

FORGOTTEN_AFTER_DAYS: Final = 7.0
DELIVERIES_KEPT_DAYS: Final = 30.0


@dataclass(frozen=True)
class Kind:
    """A kind of job.

    Parameters
    ----------
    name, run
        The word it is stored under, and its handler, whose answer JSON can hold.
    apart
        Whether it runs in a process of its own.
    beside
        Whether each of its jobs runs in a thread of its own, so that none waits for another's partner.
    timeout_seconds, most_attempts, priority
        Time for one attempt; how often it is tried before it is parked; the lower ones run first.
    timeout_setting
        The setting that gives the time instead.
    together
        How many queued jobs of this kind one run may take, with their payloads merged.
    """

    name: str
    run: Handler
    apart: bool = False
    timeout_seconds: float = 300.0
    most_attempts: int = 5
    priority: int = 50
    timeout_setting: str = ""
    together: int = 1
    beside: bool = False

    def seconds(self, settings: Settings) -> float:
        """Return the time for one attempt."""
        return float(getattr(settings, self.timeout_setting)) if self.timeout_setting else self.timeout_seconds

    def __post_init__(self) -> None:
        if self.timeout_seconds <= 0:
            raise ParameterError(f"{self.name}: timeout_seconds must be above 0, got {self.timeout_seconds:g}")
        if self.together > 1 and (self.apart or self.beside):
            raise ParameterError(f"{self.name}: jobs of a process or thread of their own run one by one")
        if self.apart and self.beside:
            raise ParameterError(f"{self.name}: a job runs in a process of its own or in a thread, not in both")

    @property
    def lane(self) -> Lane:
        """Where it runs."""
        return "apart" if self.apart else "beside" if self.beside else "here"


def refresh_series(app: App, payload: Payload, progress: Progress) -> dict[str, Any]:
    """Roll the forecasts of ``products`` forward, without training, and bring their orders and risks up to date."""
    from shelfwise.services import jobs, live

    products = list(payload.get("products", ()))
    progress(f"refreshing {len(products):,} products", 0, len(products))
    if not live.live_shop(app).warm():  # nothing was published yet: that takes training, and so a process of its own
        return {"left_to": jobs.ask(app, PUBLISH).id}
    return {"changed": len(live.live_shop(app).follow(products))}


def react(app: App, payload: Payload, progress: Progress) -> dict[str, Any]:
    """Queue what follows from an ``event`` of the outbox whose reaction failed when its turn came."""
    from shelfwise.services import reactions
    from shelfwise.storage import jobs, outbox

    with app.database.write() as connection:
        happened = outbox.numbered(connection, int(payload["event"]))
        wanted = reactions.jobs_after(connection, happened.event)
        return {"jobs": sorted(set(jobs.enqueue(connection, wanted)))}


def publish_forecasts(app: App, payload: Payload, progress: Progress) -> dict[str, Any]:
    """Work out the forecast, order and risk of every live series anew."""
    from shelfwise.services import live

    try:
        return {"version": live.publish(app, progress).version}
    except DataError as error:
        return {"skipped": str(error)}


def plan(app: App, payload: Payload, progress: Progress) -> dict[str, Any]:
    """Make and publish the plan of all lines, by the choices of the payload: those that `make_plan` takes."""
    from shelfwise.services import planning

    known = ("service_level", "lead_time_days", "model", "budgets")
    wrong = set(payload) - set(known)
    if wrong:
        raise ParameterError(f"a plan knows no {min(wrong)!r}; it knows {', '.join(known)}")
    try:
        made = planning.make_plan(app, **payload, progress=progress)
    except DataError as error:  # a shop without sales has no plan, which is no fault
        return {"skipped": str(error)}
    return {"plan": made.run_id, "as_of": made.as_of.isoformat(), "lines": made.lines.height}


def backtest(app: App, payload: Payload, progress: Progress) -> dict[str, Any]:
    """Score models on the shop's past; parts that were scored before are read, so a cut off one goes on."""
    from shelfwise.services import backtests

    known = ("models", "horizon", "cutoffs", "step", "products", "fresh")
    wrong = set(payload) - set(known)
    if wrong:
        raise ParameterError(f"a backtest knows no {min(wrong)!r}; it knows {', '.join(known)}")
    done = backtests.run(app, **payload, progress=progress)
    return {"backtest": done.number}


def train_model(app: App, payload: Payload, progress: Progress) -> dict[str, Any]:
    """Fit, measure and register a model; where the same job has done so already, name what it made."""
    from shelfwise.services import training

    return training.run_job(app, payload, progress)


def sync(app: App, payload: Payload, progress: Progress) -> dict[str, Any]:
    """Pull what a ``connector``'s service has to tell; what went wrong there is kept with the connector."""
    from shelfwise.services import connecting, jobs

    name, asked = str(payload["connector"]), bool(payload.get("asked", False))
    try:
        done = connecting.sync(app, name, asked=asked, progress=progress, most_seconds=connecting.RUN_SECONDS)
    except ConflictError as error:  # it was taken out of the settings since
        return {"skipped": str(error)}
    if done.unfinished:
        jobs.ask(app, SYNC, {"connector": name}, name)
    run = done.run
    told = {"outcome": run.outcome, "booked": run.booked, "duplicates": run.duplicates, "refused": run.refused}
    return told | ({} if run.error is None else {"error": run.error})


def retrain_models(app: App, payload: Payload, progress: Progress) -> dict[str, Any]:
    """Queue a training of each champion that is due for one."""
    from shelfwise.services import retraining

    return retraining.queue(app, progress)


def snapshot_stock(app: App, payload: Payload, progress: Progress) -> dict[str, Any]:
    """Keep what was on hand and on order at the end of yesterday, and of days that were missed."""
    from shelfwise.services import stock_snapshots

    return stock_snapshots.take(app, progress)


def tidy(app: App, payload: Payload, progress: Progress) -> dict[str, Any]:
    """Delete what nobody needs any more: jobs and deliveries that are over, answers kept for repeats, old plans."""
    from shelfwise.services import idempotent, planning
    from shelfwise.storage import jobs, old_plans, webhooks, workers

    plans, before = 0, app.now() - timedelta(days=app.settings.keep_plan_days)
    progress("old plans", 0, 3)
    while True:
        with app.database.write() as connection:
            some = old_plans.forget_plans(connection, before, {planning.UNTOUCHED})
        plans += some
        if not some:
            break
    progress("old jobs", 1, 3)
    with app.database.write() as connection:
        over = jobs.forget(connection, days=FORGOTTEN_AFTER_DAYS)
        workers.forget_silent(connection, days=1.0)
        sent = webhooks.forget(connection, days=DELIVERIES_KEPT_DAYS)
    return {"plans": plans, "jobs": over, "answers": idempotent.tidy(app), "deliveries": sent}


def backup(app: App, payload: Payload, progress: Progress) -> dict[str, Any]:
    """Write a backup into the settings' folder, and delete the oldest; a second one beside it does no harm."""
    from shelfwise.services import backups

    folder = app.settings.backup_folder
    if folder is None:
        return {"skipped": "no backup folder is set any more"}
    made = backups.make_in(app, folder, keep=app.settings.backup_keep, progress=progress)
    return {
        "file": made.path.name, "bytes": made.size, "rows": made.rows, "models": made.models,
        "encrypted": made.is_encrypted, "removed": len(made.removed),
    }  # fmt: skip


def deliver(app: App, payload: Payload, progress: Progress) -> dict[str, Any]:
    """Send what is due to one ``webhook``, until nothing is or its receiver does not take it."""
    from shelfwise.services import webhooks

    return webhooks.deliver(app, int(payload["webhook"]), progress)


REFRESH: Final = "refresh_series"
REACT: Final = "react_to_event"
PUBLISH: Final = "publish_forecasts"
PLAN: Final = "plan"
BACKTEST: Final = "backtest"
TRAIN: Final = "train_model"
RETRAIN: Final = "retrain_models"
SYNC: Final = "sync"
STOCK: Final = "snapshot_stock"
TIDY: Final = "tidy"
BACKUP: Final = "backup"
DELIVER: Final = "deliver_webhook"

KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind(REFRESH, refresh_series, priority=10, together=100),
        Kind(REACT, react, most_attempts=3, priority=10),
        Kind(PUBLISH, publish_forecasts, apart=True, timeout_seconds=3600, most_attempts=3, priority=30),
        Kind(PLAN, plan, apart=True, timeout_seconds=3600, most_attempts=3, priority=40),
        Kind(BACKTEST, backtest, apart=True, timeout_seconds=6 * 3600, most_attempts=3, priority=70),
        Kind(TRAIN, train_model, apart=True, timeout_setting="training_timeout_seconds", most_attempts=2, priority=60),
        Kind(RETRAIN, retrain_models, apart=True, timeout_seconds=3600, most_attempts=2, priority=65),
        Kind(DELIVER, deliver, beside=True, most_attempts=10, priority=20),
        Kind(SYNC, sync, beside=True, timeout_seconds=1800, most_attempts=3, priority=45),
        Kind(STOCK, snapshot_stock, apart=True, timeout_seconds=1800, most_attempts=3, priority=35),
        Kind(BACKUP, backup, apart=True, timeout_seconds=4 * 3600, most_attempts=3, priority=80),
        Kind(TIDY, tidy, most_attempts=3, priority=90),
    )
}


def kind_of(name: str) -> Kind:
    """Return a kind by its name.

    Raises
    ------
    ParameterError
        There is none.
    """
    if name not in KINDS:
        raise ParameterError(f"there is no kind of job {name!r}; the kinds are {', '.join(KINDS)}")
    return KINDS[name]
