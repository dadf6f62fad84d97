"""What the service counts, and how it is doing: every metric in one list, in Prometheus' form.

What happens in this process is counted as it happens, each in a microsecond or two; what the database knows (jobs,
plans, model versions) is read when somebody asks. A registry belongs to one application, so that two in one process,
as in tests, do not add up.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Final, Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from shelfwise.app import App
from shelfwise.domain.errors import ShelfwiseError
from shelfwise.services import backups, connecting
from shelfwise.storage import connectors, event_bus, jobs, observing, sales, webhooks
from shelfwise.storage.connectors import Place, Standing

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
WORKER_SILENT_SECONDS: Final = 60.0
"""A worker of which nothing was heard for so long counts as gone."""
UNMATCHED: Final = "unmatched"
"""The route of a request for a path that there is none at; a raw path would make a new series for each guess."""
METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})

# Else each counter and histogram brings a second series with the moment it was made, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library names no types here

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True)
class Metric:
    """One metric as it is exposed; histograms and counters add their own endings to the name.

    Parameters
    ----------
    labels
        Names of its labels.
    buckets
        Upper ends, for a histogram.
    stored
        Whether it is read from the database when it is asked for, and missing where that cannot be read.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    stored: bool = False


_LATENCY: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
METRICS: Final = (
    Metric("shelfwise_build_info", "gauge", "Always 1; what runs.", ("version", "python", "database")),
    Metric(
        "shelfwise_http_request_duration_seconds", "histogram",
        "From the first byte of a request's head to the last of its answer, by route template.",
        ("method", "route"), _LATENCY,
    ),
    Metric("shelfwise_http_requests_total", "counter", "Requests answered.", ("method", "route", "status")),
    Metric("shelfwise_http_errors_total", "counter", "Requests answered with a problem, by its type.", ("type",)),
    Metric("shelfwise_http_requests_in_flight", "gauge", "Requests that are being answered."),
    Metric("shelfwise_cache_hits_total", "counter", "Reads that a cache answered.", ("cache",)),
    Metric("shelfwise_cache_misses_total", "counter", "Reads that a cache could not answer.", ("cache",)),
    Metric(
        "shelfwise_write_batch_size", "histogram", "Requests that shared one transaction.",
        (), (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0),
    ),
    Metric(
        "shelfwise_prediction_duration_seconds", "histogram", "Making a forecast, by the model that answered.",
        ("model",), _LATENCY,
    ),
    Metric(
        "shelfwise_prediction_fallbacks_total", "counter",
        "Forecasts that the base model made because the one asked for was late or died.", ("model",),
    ),
    Metric("shelfwise_inference_processes", "gauge", "Processes that make forecasts, as they should be."),
    Metric("shelfwise_inference_processes_alive", "gauge", "Processes that make forecasts, as they are."),
    Metric("shelfwise_database_ready", "gauge", "1 where the database answers, else 0."),
    Metric("shelfwise_jobs_waiting", "gauge", "Jobs that wait for a worker.", ("kind",), stored=True),
    Metric(
        "shelfwise_job_oldest_waiting_seconds", "gauge", "For how long the longest waiting job has been due.",
        ("kind",), stored=True,
    ),
    Metric("shelfwise_jobs_parked", "gauge", "Jobs that failed and wait for a person.", ("kind",), stored=True),
    Metric(
        "shelfwise_webhook_deliveries", "gauge", "Messages to webhooks in the log of the last 30 days, by outcome.",
        ("state",), stored=True,
    ),
    Metric(
        "shelfwise_webhook_oldest_undelivered_seconds", "gauge", "For how long the oldest message has not been taken.",
        stored=True,
    ),
    Metric("shelfwise_webhooks_off", "gauge", "Webhooks that were switched off because they failed.", stored=True),
    Metric("shelfwise_workers_alive", "gauge", "Workers heard of in the last minute.", stored=True),
    Metric("shelfwise_model_info", "gauge", "Always 1; the model that answers.", ("model", "version"), stored=True),
    Metric("shelfwise_model_age_seconds", "gauge", "Since that version was fitted.", ("model",), stored=True),
    Metric(
        "shelfwise_forecast_error", "gauge",
        "Newest score of that version on days it did not know, as they came true.", ("model", "metric"), stored=True,
    ),
    Metric(
        "shelfwise_backtest_error", "gauge", "WQL of the best model in the newest finished backtest.",
        ("model",), stored=True,
    ),
    Metric("shelfwise_plan_age_seconds", "gauge", "Since the newest plan was made.", stored=True),
    Metric(
        "shelfwise_event_bus_messages_total", "counter",
        "What went over the event bus: messages published, refused and redelivered, movements consumed and duplicates.",
        ("what",), stored=True,
    ),
    Metric("shelfwise_event_bus_lag_events", "gauge", "Events that wait to be published.", stored=True),
    Metric("shelfwise_data_age_days", "gauge", "Days from the last day with a sale to today.", stored=True),
    Metric(
        "shelfwise_backup_age_seconds", "gauge", "Since the newest backup in the backup folder was made.", stored=True
    ),
    Metric(
        "shelfwise_connector_breaker", "gauge", "0 closed, 1 half-open, 2 open: that service is not asked for now.",
        ("connector",), stored=True,
    ),
    Metric(
        "shelfwise_connector_failures", "gauge", "Requests to that service that failed since the last answered one.",
        ("connector",), stored=True,
    ),
    Metric(
        "shelfwise_connector_success_age_seconds", "gauge", "Since a whole run of that connector went well.",
        ("connector",), stored=True,
    ),
    Metric(
        "shelfwise_connector_rows", "gauge", "Rows of that feed so far, by what came of them.",
        ("connector", "feed", "outcome"), stored=True,
    ),
)  # fmt: skip
PROCESS_METRICS: Final = (
    "process_virtual_memory_bytes", "process_resident_memory_bytes", "process_start_time_seconds",
    "process_cpu_seconds_total", "process_open_fds", "process_max_fds",
)  # fmt: skip
"""Of the operating system, where it tells: Linux."""

_BY_NAME: Final = {metric.name: metric for metric in METRICS}


class Metrics:
    """The metrics of one application; safe to share between threads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.in_flight = 0
        """Counted by the one thread of the event loop."""
        self._requests = self._counter("shelfwise_http_requests_total")
        self._latency = self._histogram("shelfwise_http_request_duration_seconds")
        self._seen: dict[tuple[str, str, int], tuple[Callable[[float], None], Callable[[], None]]] = {}
        self._errors = self._counter("shelfwise_http_errors_total")
        self._gauge("shelfwise_http_requests_in_flight").set_function(lambda: self.in_flight)
        self._hits = self._counter("shelfwise_cache_hits_total")
        self._misses = self._counter("shelfwise_cache_misses_total")
        self._batches = self._histogram("shelfwise_write_batch_size")
        self._predictions = self._histogram("shelfwise_prediction_duration_seconds")
        self._fallbacks = self._counter("shelfwise_prediction_fallbacks_total")
        self._build = self._gauge("shelfwise_build_info")
        self._processes = self._gauge("shelfwise_inference_processes")
        self._alive = self._gauge("shelfwise_inference_processes_alive")
        self._stored = _Stored()
        self.registry.register(self._stored)
        ProcessCollector(registry=self.registry)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered.

        Parameters
        ----------
        route
            The template, like ``/products/{product}/model``, or `UNMATCHED`.
        """
        observe_and_count = self._seen.get((method, route, status))
        if observe_and_count is None:
            known = method if method in METHODS else "other"
            observe_and_count = (
                self._latency.labels(known, route).observe,
                self._requests.labels(known, route, str(status)).inc,
            )
            if known == method:  # a client may make up any number of methods
                self._seen[method, route, status] = observe_and_count
        observe, count = observe_and_count
        observe(seconds)
        count()

    def problem(self, name: str) -> None:
        """Count an answer that told of a problem, by the last word of its type."""
        self._errors.labels(name).inc()

    def cache(self, name: str) -> tuple[Callable[[], None], Callable[[], None]]:
        """Return what to call for each hit and for each miss of a cache."""
        return self._hits.labels(name).inc, self._misses.labels(name).inc

    def write_batch(self, size: int) -> None:
        """Count a transaction that ``size`` requests shared."""
        self._batches.observe(size)

    def prediction(self, model: str, seconds: float, *, instead_of: str | None = None) -> None:
        """Count a forecast by the model that made it, and the model in whose place it stood."""
        self._predictions.labels(model).observe(seconds)
        if instead_of is not None:
            self._fallbacks.labels(instead_of).inc()

    def watch(self, shop: App, processes: int, alive: Callable[[], int]) -> None:
        """Tell of a shop and the processes that make its forecasts, too; asked for anew at each scrape."""
        self._build.labels(version("shelfwise"), platform.python_version(), shop.settings.database.kind).set(1)
        self._processes.set(processes)
        self._alive.set_function(alive)
        self._stored.shop = shop

    def exposition(self) -> bytes:
        """Return all metrics as Prometheus reads them (`CONTENT_TYPE`); it reads the database, some milliseconds."""
        return generate_latest(self.registry)

    def _counter(self, name: str) -> Counter:
        metric = _BY_NAME[name]
        return Counter(name, metric.help, metric.labels, registry=self.registry)

    def _gauge(self, name: str) -> Gauge:
        metric = _BY_NAME[name]
        return Gauge(name, metric.help, metric.labels, registry=self.registry)

    def _histogram(self, name: str) -> Histogram:
        metric = _BY_NAME[name]
        return Histogram(name, metric.help, metric.labels, buckets=metric.buckets, registry=self.registry)


Sample = tuple[str, tuple[str, ...], float]
Family = CounterMetricFamily | GaugeMetricFamily


class _Stored(Collector):
    """What the database knows, read when it is asked for; nothing but ``shelfwise_database_ready 0`` where it fails."""

    def __init__(self) -> None:
        self.shop: App | None = None

    def describe(self) -> Iterable[Family]:
        """Return the metrics without values, so that registering does not read the database."""
        return [_family(metric) for metric in METRICS if metric.stored or metric.name == "shelfwise_database_ready"]

    def collect(self) -> Iterator[Family]:
        """Read them; there are none before there is a shop."""
        if self.shop is None:
            return
        samples: list[Sample]
        try:
            samples = [("shelfwise_database_ready", (), 1.0), *_samples(self.shop)]
        except ShelfwiseError:  # /health says why
            samples = [("shelfwise_database_ready", (), 0.0)]
        families: dict[str, Family] = {}
        for name, labels, value in samples:
            family = families.setdefault(name, _family(_BY_NAME[name]))
            family.add_metric(labels, value)
        yield from families.values()


def _family(metric: Metric) -> Family:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    return kind(metric.name, metric.help, labels=metric.labels)


def _backup(shop: App) -> Iterator[Sample]:
    age = backups.newest_age(shop.settings)
    if age is not None:
        yield "shelfwise_backup_age_seconds", (), age.total_seconds()


def _samples(shop: App) -> Iterator[Sample]:
    now = shop.now()
    with shop.database.read() as connection:
        utc = jobs.now(connection)
        bus = event_bus.counts(connection), event_bus.unpublished(connection)
        queues, seen = observing.queues(connection), observing.last_seen_of_workers(connection)
        champion, tested = observing.champion(connection), observing.backtest_error(connection)
        plan, span = observing.last_plan(connection), sales.sales_span(connection)
        told = webhooks.backlog(connection)
        pulled = {
            one.name: (connectors.standing(connection, one.name), connectors.places(connection, one.name))
            for one in connecting.configured(shop)
        }
    for queue in queues:
        due = 0.0 if queue.oldest is None else max(0.0, (utc - queue.oldest).total_seconds())
        yield "shelfwise_jobs_waiting", (queue.kind,), queue.waiting
        yield "shelfwise_job_oldest_waiting_seconds", (queue.kind,), due
        yield "shelfwise_jobs_parked", (queue.kind,), queue.parked
    alive = sum((utc - moment).total_seconds() <= WORKER_SILENT_SECONDS for moment in seen.values())
    yield "shelfwise_workers_alive", (), alive
    yield from _of_webhooks(told)
    if champion is not None:
        yield "shelfwise_model_info", (champion.model, str(champion.number)), 1
        yield "shelfwise_model_age_seconds", (champion.model,), (now - champion.created_at).total_seconds()
        for metric, value in champion.scores.items():
            yield "shelfwise_forecast_error", (champion.model, metric), value
    if tested is not None:
        yield "shelfwise_backtest_error", (tested[0],), tested[1]
    if plan is not None:
        yield "shelfwise_plan_age_seconds", (), (now - plan[0]).total_seconds()
    yield from _of_the_bus(*bus)
    if span is not None:
        yield "shelfwise_data_age_days", (), (now.date() - span[1]).days
    yield from _backup(shop)
    for name, (standing, places) in pulled.items():
        yield from _pulled(name, standing, places, utc)


def _pulled(name: str, standing: Standing, places: Sequence[Place], utc: datetime) -> Iterator[Sample]:
    yield "shelfwise_connector_breaker", (name,), ("closed", "half-open", "open").index(standing.breaker)
    yield "shelfwise_connector_failures", (name,), standing.failures
    if standing.succeeded_at is not None:
        age = (utc - standing.succeeded_at).total_seconds()
        yield "shelfwise_connector_success_age_seconds", (name,), max(age, 0.0)
    for place in places:
        for outcome in ("booked", "duplicates", "refused"):
            yield "shelfwise_connector_rows", (name, place.feed, outcome), getattr(place, outcome)


def _of_webhooks(told: webhooks.Backlog) -> Iterator[Sample]:
    for state, count in told.by_state.items():
        yield "shelfwise_webhook_deliveries", (state,), count
    if told.by_state:
        yield "shelfwise_webhook_oldest_undelivered_seconds", (), told.oldest_waiting_seconds
        yield "shelfwise_webhooks_off", (), told.switched_off


def _of_the_bus(counts: Mapping[str, event_bus.Counted], unpublished: int | None) -> Iterator[Sample]:
    for what, count in counts.items():
        yield "shelfwise_event_bus_messages_total", (what,), count.total
    if unpublished is not None:
        yield "shelfwise_event_bus_lag_events", (), unpublished
