"""What the database knows, as Prometheus gets it, and what is counted of forecasts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, select
from tests.services.worlds import sales

from shelfwise.app import App
from shelfwise.domain.events import MovementsRecorded
from shelfwise.services.metrics import WORKER_SILENT_SECONDS, Metrics
from shelfwise.storage import backtests, event_bus, jobs, outbox, plans
from shelfwise.storage.tables import jobs as jobs_table
from shelfwise.storage.tables import model_aliases, model_scores, model_versions, workers

Samples = dict[tuple[str, ...], float]


def told(metrics: Metrics) -> Samples:
    """Every value by the name of its metric and the values of its labels in their names' order."""
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
    }


def watching(app: App) -> Metrics:
    metrics = Metrics()
    metrics.watch(app, 2, lambda: 1)
    return metrics


def test_before_there_is_a_shop_nothing_of_one_is_told() -> None:
    names = {name for name, *_ in told(Metrics())}
    assert "shelfwise_database_ready" not in names
    assert "shelfwise_http_requests_in_flight" in names


def test_an_empty_shop_tells_that_it_is_ready_and_nothing_that_it_does_not_know(quick: App) -> None:
    found = told(watching(quick))
    assert found["shelfwise_database_ready",] == 1
    assert found["shelfwise_workers_alive",] == 0
    assert (found["shelfwise_inference_processes",], found["shelfwise_inference_processes_alive",]) == (2, 1)
    assert not [name for name, *_ in found if "plan_age" in name or "data_age" in name or "model" in name]


def test_jobs_workers_models_plans_and_sales_are_told(quick: App, fill: Callable[..., None]) -> None:
    today = quick.today()
    fill(movements=sales("CUP", today - dt.timedelta(days=11), [1.0] * 10))
    made_at = quick.now() - dt.timedelta(hours=3)
    with quick.database.write() as connection:
        now = jobs.now(connection)
        rows = [("queued", 120), ("queued", 30), ("queued", -600), ("parked", 9), ("done", 9)]
        connection.execute(
            insert(jobs_table),
            [
                {
                    "kind": "plan", "subject": str(n), "payload": {}, "state": state, "priority": 0, "attempts": 0,
                    "most_attempts": 3, "run_after": now - dt.timedelta(seconds=ago), "done": 0, "total": 0,
                    "created_at": now,
                }
                for n, (state, ago) in enumerate(rows)
            ],
        )  # fmt: skip
        connection.execute(
            insert(workers),
            [
                {
                    "name": str(ago),
                    "host": "h",
                    "pid": 1,
                    "started_at": now,
                    "last_seen": now - dt.timedelta(seconds=ago),
                }
                for ago in (1, 2 * WORKER_SILENT_SECONDS)
            ],
        )
        connection.execute(
            insert(model_versions).values(
                name="coherent", number=3, scope="shop", created_at=made_at, state="ready", parameters={}, metrics={},
                data_until=today, data_fingerprint="", sha256="", size=1, made_by="anna",
            )
        )  # fmt: skip
        version = connection.scalar(select(model_versions.c.id))
        connection.execute(
            insert(model_aliases).values(scope="shop", alias="champion", version_id=version, since=made_at)
        )
        connection.execute(
            insert(model_scores).values(
                version_id=version, cutoff=today, periods=7, metrics={"wql": 0.25, "mape": None}, measured_at=made_at
            )
        )
        run = backtests.begin(connection, "f", parameters={}, created_at=made_at)
        backtests.finish(connection, run, {"best": "theta", "wql": 0.5})
        plans.save_run(connection, created_at=made_at, data_until=today, horizon=28, model="auto")
    found = told(watching(quick))
    assert found["shelfwise_jobs_waiting", "plan"] == 3
    assert 120 <= found["shelfwise_job_oldest_waiting_seconds", "plan"] < 180
    assert found["shelfwise_jobs_parked", "plan"] == 1
    assert found["shelfwise_workers_alive",] == 1
    assert found["shelfwise_model_info", "coherent", "3"] == 1
    assert 3 * 3600 <= found["shelfwise_model_age_seconds", "coherent"] < 3 * 3600 + 60
    assert found["shelfwise_forecast_error", "wql", "coherent"] == 0.25
    assert found["shelfwise_backtest_error", "theta"] == 0.5
    assert 3 * 3600 <= found["shelfwise_plan_age_seconds",] < 3 * 3600 + 60
    assert found["shelfwise_data_age_days",] == 2


def test_a_forecast_in_anothers_place_is_counted_for_both() -> None:
    metrics = Metrics()
    metrics.prediction("coherent", 0.1)
    metrics.prediction("base_level", 120.0, instead_of="coherent")
    found = told(metrics)
    assert found["shelfwise_prediction_duration_seconds_count", "coherent"] == 1
    assert found["shelfwise_prediction_duration_seconds_sum", "base_level"] == 120
    assert found["shelfwise_prediction_fallbacks_total", "coherent"] == 1


def test_hits_and_misses_of_a_cache_are_counted_apart() -> None:
    metrics = Metrics()
    hit, miss = metrics.cache("forecasts")
    hit()
    hit()
    miss()
    found = told(metrics)
    assert (found["shelfwise_cache_hits_total", "forecasts"], found["shelfwise_cache_misses_total", "forecasts"]) == (
        2,
        1,
    )


def test_what_went_over_the_event_bus_and_what_waits_is_told(quick: App) -> None:
    assert not [name for name, *_ in told(watching(quick)) if "event_bus" in name]
    with quick.database.write() as connection:
        event_bus.begin(connection)
        event_bus.count(connection, "published", 3)
        event_bus.count(connection, "refused", 1, "why")
        event_bus.count(connection, "refused", 1, "why not")
        outbox.append(connection, quick.now(), MovementsRecorded("till", 1, ("CUP",)))
    found = told(watching(quick))
    assert found["shelfwise_event_bus_messages_total", "published"] == 3
    assert found["shelfwise_event_bus_messages_total", "refused"] == 2
    assert found["shelfwise_event_bus_lag_events",] == 1
