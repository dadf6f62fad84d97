"""A running service: the open shop, the processes that make forecasts, and how well both are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import perf_counter
from types import TracebackType
from typing import Final, Literal

from shelfwise.app import App
from shelfwise.domain.errors import ShelfwiseError
from shelfwise.execution.local import Workers
from shelfwise.services import actor, connecting, jobs, stateless
from shelfwise.services.background import Background
from shelfwise.services.event_bus import EventBus, bus_of
from shelfwise.services.metrics import Metrics
from shelfwise.services.reacting import Reacting
from shelfwise.services.recording import Recorder
from shelfwise.services.shared_answers import SharedAnswers
from shelfwise.services.wake import name_in_redis

_log: Final = logging.getLogger(__name__)

State = Literal["ready", "failed"]
SHARED: Final = "shared forecasts"
"""The name of the cache in the metrics that several processes share."""


@dataclass(frozen=True)
class Readiness:
    """How a service is.

    Parameters
    ----------
    database, model, worker
        Whether the database answers, whether a forecast can be made, and whether somebody works on jobs.
    cache
        Whether the Redis that answers are shared in answers; None where there is none.
    connectors
        Whether the services that data are pulled from do well; None where there are none. The service answers without.
    reasons
        What is wrong, in words that anyone may read; empty where nothing is.
    """

    database: State
    model: State
    worker: State
    cache: State | None = None
    connectors: Literal["ready", "degraded"] | None = None
    reasons: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether all that answers need is ready; they are the same without a cache."""
        return self.database == self.model == self.worker == "ready"


@dataclass(eq=False)
class Serving:
    """A shop that is being served; made by `start`.

    Parameters
    ----------
    shop
        The shop; it stays open, it belongs to whoever opened it.
    workers
        The processes that make forecasts.
    reacting
        What brings forecast, risk and orders up to date after movements; None where nothing does.
    metrics
        What it counts in.
    background
        The worker in this process; None where others work.
    bus
        What publishes and takes movements in this process; None where there is no bus, or others do.
    followed
        Called, from any thread, once forecasts of this process follow movements.
    answers
        Forecasts that other processes made, too; None where there is no Redis to share them in.
    """

    shop: App
    workers: Workers = field(repr=False)
    reacting: Reacting | None = field(default=None, repr=False)
    metrics: Metrics = field(default_factory=Metrics, repr=False)
    background: Background | None = field(default=None, repr=False)
    bus: EventBus | None = field(default=None, repr=False)
    followed: Callable[[], None] = field(default=lambda: None, repr=False)
    answers: SharedAnswers | None = field(default=None, repr=False)
    recorder: Recorder = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Start the writer of movements."""
        self.recorder = Recorder(self.shop, self.felt, self.metrics.write_batch)

    @classmethod
    def start(cls, shop: App, metrics: Metrics | None = None) -> Serving:
        """Start the worker processes; they load the models while the service already answers.

        Parameters
        ----------
        metrics
            Where to count; None counts where nobody looks.
        """
        metrics = metrics or Metrics()
        if shop.settings.embedded_worker:
            bus_of(shop.settings)  # before anything runs, since an address that is none ends the start
        answers = None
        if shop.settings.redis_url is not None:  # first, since an address that is none ends the start
            url = shop.settings.redis_url.get_secret_value()
            answers = SharedAnswers(url, name_in_redis(shop, "forecasts"), metrics.cache(SHARED))
        processes = shop.settings.inference_processes
        workers = Workers(processes, modules=("shelfwise.services.stateless",))
        serving = cls(shop, workers, Reacting.to_movements(shop), metrics, answers=answers)
        metrics.watch(shop, processes, workers.alive)
        if shop.settings.embedded_worker:
            serving.background = Background(shop)
            serving.background.start()
            serving.bus = EventBus.start(shop, serving.background.name, serving.felt)
        return serving

    def close(self) -> None:
        """Book the movements that wait, then end all that runs."""
        self.recorder.close()
        if self.bus is not None:
            self.bus.close()
        if self.reacting is not None:
            self.reacting.close()
        if self.background is not None:
            self.background.close()
        if self.answers is not None:
            self.answers.close()
        self.workers.close()

    def __enter__(self) -> Serving:
        """Return the service itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def felt(self, products: Iterable[str]) -> Future[bool] | None:
        """Say that movements of these products were committed; the future is done once forecast and orders follow.

        None where nothing follows from them in this process.
        """
        if self.reacting is None:
            return None
        done = self.reacting.felt(products)
        done.add_done_callback(lambda _: self.followed())
        return done

    def predict(self, question: stateless.Question) -> stateless.Answer:
        """Answer a question under the time limit of the settings, if who asks may ask that model."""
        actor.check_model(question.model)
        began = perf_counter()
        answer = stateless.predict(question, self.workers, self.shop.settings.inference_timeout_seconds)
        instead_of = question.model if answer.note else None
        self.metrics.prediction(answer.model, perf_counter() - began, instead_of=instead_of)
        return answer

    def readiness(self) -> Readiness:
        """Look at the database and the models, which takes milliseconds."""
        reasons: list[str] = []
        try:
            with self.shop.database.read():
                pass  # opening a read looks at the database
        except ShelfwiseError as error:
            # Whoever asks need not have proved who they are, and the error names the database's address.
            _log.warning("the service is not ready: %s", error)
            reasons.append("the database does not answer; the log says why, and so does `shelfwise doctor`")
        database: State = "failed" if reasons else "ready"
        alive = self.workers.alive()
        if not alive:
            reasons.append("no process that makes forecasts is running; restart the service")
        worker = self._worker(reasons) if database == "ready" else "failed"
        cache: State | None = None
        if self.answers is not None:
            cache = "ready" if self.answers.well else "failed"
            if cache == "failed":
                reasons.append("Redis does not answer, so each process keeps answers for itself; they are the same")
        pulled = self._connectors(reasons) if database == "ready" else None
        return Readiness(database, "ready" if alive else "failed", worker, cache, pulled, tuple(reasons))

    def _connectors(self, reasons: list[str]) -> Literal["ready", "degraded"] | None:
        """Look how the services do that data are pulled from; what they said stays with those who may ask for it."""
        if not connecting.configured(self.shop):
            return None
        degraded = connecting.degraded(self.shop)
        reasons += [
            f"the last run of the connector {name} did not go well; `shelfwise sync {name} --show` says why"
            for name in degraded
        ]
        return "degraded" if degraded else "ready"

    def _worker(self, reasons: list[str]) -> State:
        """Look whether anybody works on jobs; a worker of this process does from the moment it is started."""
        if self.background is not None and self.background.is_alive:
            return "ready"
        if jobs.alive(self.shop):
            return "ready"
        reasons.append("no worker was heard of in the last minute, so jobs wait; run `shelfwise worker`")
        return "failed"
