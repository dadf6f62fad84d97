"""What is counted of requests: by route template, whoever asks and whatever is typed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from shelfwise import logs
from shelfwise.api.observed import PROBLEM, ROUTE, Observed
from shelfwise.app import open_app
from shelfwise.domain.trace import Trace
from shelfwise.server import asgi
from shelfwise.services.metrics import Metrics

BODY = {
    "product_id": "CUP-01",
    "dates": [f"2026-11-{day:02}" for day in range(1, 15)],
    "quantities": [4, 6, 5, 5, 7, 12, 9, 4, 5, 6, 4, 8, 13, 10],
    "model": "base_level",
}
JSON = {"Content-Type": "application/json"}
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("counted")
    with (
        open_app(folder / "shop.db", folder=folder) as shop,
        TestClient(asgi(shop), base_url="http://localhost", raise_server_exceptions=False) as client,
    ):
        yield client


def samples(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(client: TestClient, name: str, **labels: str) -> float:
    return samples(client.get("/metrics").text).get((name, frozenset(labels.items())), 0.0)


def test_a_request_is_counted_and_timed_under_its_route(counted: TestClient) -> None:
    labels = {"method": "GET", "route": "/health"}
    before = value(counted, "shelfwise_http_requests_total", status="200", **labels)
    assert counted.get("/health?secret=1").status_code == 200
    assert value(counted, "shelfwise_http_requests_total", status="200", **labels) == before + 1
    assert value(counted, "shelfwise_http_request_duration_seconds_count", **labels) == before + 1
    assert 0 < value(counted, "shelfwise_http_request_duration_seconds_sum", **labels) < 60


def test_no_number_of_made_up_paths_and_methods_makes_a_series_of_its_own(counted: TestClient) -> None:
    for number in range(5):
        counted.get(f"/nowhere/{number}")
        counted.request(f"MADE{number}", "/health")
    text = counted.get("/metrics").text
    assert "nowhere" not in text
    assert "MADE" not in text
    labels = {"route": "unmatched", "status": "404", "method": "GET"}
    assert samples(text)["shelfwise_http_requests_total", frozenset(labels.items())] >= 5


@pytest.mark.parametrize(
    ("kind", "ask"),
    [
        ("not-found", {"method": "GET", "url": "/nowhere"}),
        ("method-not-allowed", {"method": "GET", "url": "/predict"}),
        ("unreadable-request", {"method": "POST", "url": "/predict", "content": b"{", "headers": JSON}),
        ("invalid-request", {"method": "POST", "url": "/predict", "json": {}}),
        ("unusable-data", {"method": "POST", "url": "/predict", "json": BODY | {"dates": [], "quantities": []}}),
        ("misdirected-request", {"method": "GET", "url": "/health", "headers": {"Host": "shop.example"}}),
    ],
)
def test_an_error_is_counted_by_its_problem(kind: str, ask: dict[str, Any], counted: TestClient) -> None:
    before = value(counted, "shelfwise_http_errors_total", type=kind)
    answer = counted.request(**ask)
    assert answer.json()["type"] == f"urn:shelfwise:problem:{kind}"
    assert value(counted, "shelfwise_http_errors_total", type=kind) == before + 1


def test_a_forecast_is_counted_by_the_model_that_made_it(counted: TestClient) -> None:
    before = value(counted, "shelfwise_prediction_duration_seconds_count", model="base_level")
    assert counted.post("/predict", json=BODY).status_code == 200
    assert value(counted, "shelfwise_prediction_duration_seconds_count", model="base_level") == before + 1


def test_requests_that_share_a_transaction_are_counted_together(counted: TestClient) -> None:
    name = "shelfwise_write_batch_size"
    before = value(counted, f"{name}_count"), value(counted, f"{name}_sum")
    sale = {"productId": "CUP-01", "transactionType": "SALE", "quantity": 1}
    answer = counted.post("/inventory", json=sale)
    assert answer.status_code < 300, answer.text
    assert (value(counted, f"{name}_count"), value(counted, f"{name}_sum")) == (before[0] + 1, before[1] + 1)


def test_both_addresses_tell_the_same_in_the_form_of_prometheus(counted: TestClient) -> None:
    for path in ("/metrics", "/api/v1/metrics"):
        answer = counted.get(path)
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert samples(answer.text)["shelfwise_database_ready", frozenset()] == 1


def test_two_applications_do_not_add_up(counted: TestClient, tmp_path: Path) -> None:
    with (
        open_app(tmp_path / "shop.db", folder=tmp_path) as shop,
        TestClient(asgi(shop), base_url="http://localhost") as other,
    ):
        assert value(other, "shelfwise_http_requests_total", method="GET", route="/metrics", status="200") == 0
        assert value(other, "shelfwise_http_requests_total", method="GET", route="/metrics", status="200") == 1


def test_the_database_that_is_gone_is_told_of_and_hides_nothing_else(tmp_path: Path) -> None:
    with (
        open_app(tmp_path / "shop.db", folder=tmp_path) as shop,
        TestClient(asgi(shop), base_url="http://localhost") as client,
    ):
        shop.database.close()
        for file in tmp_path.glob("shop.db*"):
            file.unlink()
        (tmp_path / "shop.db").write_text("this is no database " * 100)
        found = samples(client.get("/metrics").text)
    assert found["shelfwise_database_ready", frozenset()] == 0
    assert found["shelfwise_inference_processes_alive", frozenset()] == 1
    assert not [name for name, _ in found if name.startswith("shelfwise_workers")]


async def _nothing() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _nowhere(_message: Any) -> None:
    return None


def scope(**more: Any) -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": "/x", "headers": [], **more}


def test_what_is_answered_before_routes_are_looked_at_names_its_route_itself() -> None:
    async def hot(scope: Any, _receive: Any, send: Any) -> None:
        scope.setdefault("state", {}).update({ROUTE: "/products/{product}/forecast", PROBLEM: "not-found"})
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    metrics = Metrics()
    asyncio.run(Observed(hot, metrics)(scope(), _nothing, _nowhere))
    found = samples(metrics.exposition().decode())
    labels = {"method": "GET", "route": "/products/{product}/forecast", "status": "404"}
    assert found["shelfwise_http_requests_total", frozenset(labels.items())] == 1
    assert found["shelfwise_http_errors_total", frozenset({("type", "not-found")})] == 1


def test_a_request_in_flight_is_seen_and_one_that_breaks_is_a_fault() -> None:
    metrics, seen = Metrics(), []

    async def broken(_scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(samples(metrics.exposition().decode())["shelfwise_http_requests_in_flight", frozenset()])
        raise RuntimeError

    with pytest.raises(RuntimeError):
        asyncio.run(Observed(broken, metrics)(scope(), _nothing, _nowhere))
    assert seen == [1]
    found = samples(metrics.exposition().decode())
    assert found["shelfwise_http_requests_in_flight", frozenset()] == 0
    labels = {"method": "GET", "route": "unmatched", "status": "500"}
    assert found["shelfwise_http_requests_total", frozenset(labels.items())] == 1


def test_a_request_goes_on_with_the_trace_it_brought() -> None:
    seen: list[Trace | None] = []

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(logs.current_trace())

    given = Trace.begin()
    headers = [(b"traceparent", given.header.encode())]
    asyncio.run(Observed(app, Metrics())(scope(headers=headers), _nothing, _nowhere))
    asyncio.run(Observed(app, Metrics())(scope(), _nothing, _nowhere))
    assert seen[0] is not None
    assert (seen[0].trace_id, seen[0].parent_id) == (given.trace_id, given.span_id)
    assert seen[1] is not None
    assert seen[1].trace_id != given.trace_id
    assert logs.current_trace() is None


def test_counting_a_request_takes_microseconds() -> None:
    metrics = Metrics()
    metrics.request("GET", "/health", 200, 0.001)
    best = min(_seconds(metrics, 2_000) for _ in range(5)) / 2_000
    assert best < 15e-6  # 2.2 us where nothing else runs; a shared machine takes its time


def _seconds(metrics: Metrics, times: int) -> float:
    began = time.thread_time()
    for _ in range(times):
        metrics.request("GET", "/health", 200, 0.001)
    return time.thread_time() - began
