"""Connectors over HTTP: how they stand, a run that is asked for, and what health and metrics say of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests.api.conftest import over_http
from tests.exchange import connector_service as faults
from tests.exchange.connector_service import Service, serving
from tests.services.test_connecting import level, sale

from shelfwise.app import App, open_app
from shelfwise.server import asgi
from shelfwise.services import connecting, job_kinds
from shelfwise.services.background import Background


@pytest.fixture
def inventory() -> Iterator[Service]:
    with serving(Service({"movements": [sale(1), {"id": "s-2"}], "stock-levels": [level(10)]})) as found:
        yield found


@pytest.fixture
def pulling(inventory: Service, tmp_path: Path) -> Iterator[App]:
    with open_app(
        tmp_path / "shop.db", folder=tmp_path, inventory_sync_url=inventory.url, inventory_sync_token="open-sesame",
        embedded_worker=False, sync_minutes=0, inference_processes=1,
    ) as app:  # fmt: skip
        yield app


@pytest.fixture
def asked(pulling: App) -> Iterator[TestClient]:
    yield from over_http(pulling)


def test_a_run_that_is_asked_for_is_a_job_and_then_seen(asked: TestClient, pulling: App) -> None:
    before = asked.get("/api/v1/connectors").json()["items"]
    assert [(one["name"], one["state"]) for one in before] == [("inventory", "ready"), ("logistics", "not configured")]
    answer = asked.post("/api/v1/connectors/inventory/sync")
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/api/v1/jobs/{answer.json()['job']}"
    assert asked.post("/api/v1/connectors/inventory/sync").json() == answer.json(), "queued once"
    Background(pulling, kinds={job_kinds.SYNC: job_kinds.KINDS[job_kinds.SYNC]}, schedule=()).drain()
    done = asked.get(answer.headers["location"]).json()
    assert done["result"] == {"outcome": "done", "booked": 2, "duplicates": 0, "refused": 1}
    assert done["request_id"] == answer.headers["x-request-id"]
    [found] = [one for one in asked.get("/api/v1/connectors").json()["items"] if one["name"] == "inventory"]
    assert (found["state"], found["breaker"], found["refused"]) == ("ready", "closed", 1)
    assert [(feed["feed"], feed["booked"]) for feed in found["feeds"]] == [("movements", 1), ("stock-levels", 1)]
    assert found["refusals"][0]["reason"] == "productId: Field required"
    assert "open-sesame" not in str(found)
    assert asked.get("/products/tea/model").status_code in (200, 404)


def test_what_is_not_there_or_not_configured_cannot_be_asked(asked: TestClient) -> None:
    answer = asked.post("/api/v1/connectors/weather/sync")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    answer = asked.post("/api/v1/connectors/logistics/sync")
    assert answer.status_code == 409
    assert "SHELFWISE_LOGISTICS_ENGINE_URL" in answer.json()["detail"]


def test_a_service_that_fails_degrades_health_and_does_not_end_it(pulling: App, inventory: Service) -> None:
    inventory.always = faults.status(403)
    with TestClient(asgi(pulling), base_url="http://localhost") as client:
        assert client.get("/health").json()["connectors"] == "ready"
        for _ in range(connecting.FAILURES):
            connecting.sync(pulling, "inventory")
        told = client.get("/health").json()
        assert told["connectors"] == "degraded"
        assert any("the connector inventory did not go well" in reason for reason in told["reasons"])
        assert inventory.url not in str(told), "whoever asks for this need not say who they are"
        measured = client.get("/metrics").text
    for line in (
        'shelfwise_connector_breaker{connector="inventory"} 2.0',
        'shelfwise_connector_failures{connector="inventory"} 5.0',
    ):
        assert line in measured
    assert "shelfwise_connector_success_age_seconds{" not in measured


def test_rows_and_age_are_measured(pulling: App) -> None:
    connecting.sync(pulling, "inventory")
    with TestClient(asgi(pulling), base_url="http://localhost") as client:
        measured = client.get("/metrics").text
    for line in (
        'shelfwise_connector_breaker{connector="inventory"} 0.0',
        'shelfwise_connector_rows{connector="inventory",feed="movements",outcome="booked"} 1.0',
        'shelfwise_connector_rows{connector="inventory",feed="movements",outcome="refused"} 1.0',
        'shelfwise_connector_success_age_seconds{connector="inventory"} ',
    ):
        assert line in measured
