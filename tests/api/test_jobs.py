"""Jobs over HTTP: pages, one job, retry and end; and followed as it goes, over a real connection."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi.testclient import TestClient
from tests.api.conftest import over_http

from shelfwise.app import App, open_app
from shelfwise.server import asgi
from shelfwise.services.jobs import Wanted
from shelfwise.storage import jobs as stored
from shelfwise.storage import workers

PROBLEM = "application/problem+json"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[App]:
    """A shop in which nobody works."""
    with open_app(tmp_path / "shop.db", folder=tmp_path, embedded_worker=False, authentication="none") as opened:
        yield opened


@pytest.fixture
def client(shop: App) -> Iterator[TestClient]:
    yield from over_http(shop)


def queue(shop: App, *subjects: str) -> list[int]:
    with shop.database.write() as connection:
        return stored.enqueue(
            connection, [Wanted("refresh_series", code, {"products": [code]}, request_id="till-7") for code in subjects]
        )


def claim(shop: App) -> list[int]:
    with shop.database.write_beside() as connection:
        claimed = stored.claim(connection, "anna", ["refresh_series"], limit=1, lease_seconds=60)
        ids = [job.id for job in claimed]
        stored.begin(connection, ids, "anna")
    return ids


def park(shop: App) -> int:
    [number] = claim(shop)
    with shop.database.write() as connection:
        stored.fail(connection, number, "anna", "the model fell over", None)
    return number


def test_jobs_are_listed_in_pages_from_the_newest(client: TestClient, shop: App) -> None:
    numbers = queue(shop, *"abcde")
    first = client.get("/api/v1/jobs", params={"limit": 2}).json()
    assert [job["id"] for job in first["items"]] == numbers[:2:-1]
    queue(shop, "f")  # what comes in between neither repeats nor hides another
    second = client.get("/api/v1/jobs", params={"limit": 9, "cursor": first["next"]}).json()
    assert [job["id"] for job in second["items"]] == numbers[2::-1]
    assert second["next"] is None
    park(shop)
    parked = client.get("/api/v1/jobs", params={"state": "parked"}).json()["items"]
    assert [job["error"] for job in parked] == ["the model fell over"]
    assert client.get("/api/v1/jobs", params={"kind": "plan"}).json()["items"] == []


@pytest.mark.parametrize("wrong", [{"state": "broken"}, {"limit": 0}, {"cursor": "x"}, {"cursor": "MTc"}])
def test_a_wrong_question_is_a_problem(client: TestClient, wrong: dict[str, Any]) -> None:
    answer = client.get("/api/v1/jobs", params=wrong)
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)


def test_a_job_is_shown_with_its_moments_in_utc(client: TestClient, shop: App) -> None:
    [number] = queue(shop, "tea")
    found = client.get(f"/api/v1/jobs/{number}").json()
    assert (found["kind"], found["subject"], found["state"], found["request_id"]) == (
        "refresh_series", "tea", "queued", "till-7",
    )  # fmt: skip
    assert found["created_at"].endswith("Z")
    for path in ("", "/events"):
        answer = client.get(f"/api/v1/jobs/999{path}")
        assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM)
    assert client.get("/api/v1/jobs/0").status_code == 422


def test_a_parked_job_is_retried_and_dropped_and_a_queued_one_cancelled(client: TestClient, shop: App) -> None:
    queue(shop, "tea", "mug")
    tea = park(shop)
    again = client.post(f"/api/v1/jobs/{tea}/retry")
    assert (again.status_code, again.json()["state"], again.json()["attempts"]) == (200, "queued", 0)
    refused = client.post(f"/api/v1/jobs/{tea}/retry")
    assert refused.status_code == 409
    assert "only a parked or cancelled job is tried again" in refused.json()["detail"]
    parked = park(shop)
    assert client.delete(f"/api/v1/jobs/{parked}").json()["state"] == "cancelled"
    [running] = claim(shop)
    assert client.delete(f"/api/v1/jobs/{running}").json()["state"] == "cancelled"
    assert client.delete(f"/api/v1/jobs/{running}").status_code == 409
    assert client.delete("/api/v1/jobs/999").status_code == 404


def test_health_says_that_nobody_works_and_that_another_process_does(shop: App) -> None:
    with TestClient(asgi(shop), base_url="http://localhost") as client:
        answer = client.get("/health")
        assert (answer.status_code, answer.json()["worker"]) == (503, "failed")
        assert any("run `shelfwise worker`" in reason for reason in answer.json()["reasons"])
        with shop.database.write_beside() as connection:
            workers.seen(connection, "anna", "elsewhere", 17)
        answer = client.get("/health")
        assert (answer.status_code, answer.json()["worker"]) == (200, "ready")


# --- followed over a real connection


@pytest.fixture
def url(shop: App) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(asgi(shop), port=0, log_config=None, timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        end = time.monotonic() + 60
        while not server.started and time.monotonic() < end:
            time.sleep(0.02)
        yield f"http://localhost:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def events(answer: httpx2.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    name = ""
    for line in answer.iter_lines():
        if line.startswith("event:"):
            name = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            yield name, json.loads(line.removeprefix("data:"))


def test_a_job_is_followed_until_it_is_over(url: str, shop: App) -> None:
    [number] = queue(shop, "tea")
    with (
        httpx2.Client(timeout=30) as client,
        client.stream("GET", f"{url}/api/v1/jobs/{number}/events") as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        heard = events(answer)
        assert next(heard)[1]["state"] == "queued"
        claim(shop)
        name, job = next(heard)
        assert (name, job["state"], job["attempts"]) == ("progress", "running", 1)
        with shop.database.write_beside() as connection:
            stored.tell(connection, [number], "anna", "forecasting", 3, 7)
        name, job = next(heard)
        assert (name, job["step"], job["done"], job["total"]) == ("progress", "forecasting", 3, 7)
        with shop.database.write_beside() as connection:
            stored.renew(connection, [number], "anna", 90)
            stored.finish(connection, [number], "anna", {"series": 1})
        name, job = next(heard)
        assert (name, job["state"], job["result"]) == ("end", "done", {"series": 1})
        assert list(heard) == []
