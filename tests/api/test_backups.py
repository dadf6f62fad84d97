"""Backups over HTTP: one that is asked for is a job, and is listed when it was made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests.api.conftest import over_http

from shelfwise.app import App, open_app
from shelfwise.services import backups, job_kinds
from shelfwise.services.background import Background


@pytest.fixture
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[App]:
    folder = tmp_path / "kept" if request.param else None
    with open_app(
        tmp_path / "shop.db", folder=tmp_path, backup_folder=folder, embedded_worker=False, inference_processes=1
    ) as opened:
        yield opened


@pytest.fixture
def client(app: App) -> Iterator[TestClient]:
    yield from over_http(app)


@pytest.mark.parametrize("app", [True], indirect=True)
def test_a_backup_that_is_asked_for_is_made_in_the_background(client: TestClient, app: App) -> None:
    assert client.get("/api/v1/backups").json() == {"items": []}
    answer = client.post("/api/v1/backups")
    assert answer.status_code == 202
    assert client.post("/api/v1/backups").json() == answer.json(), "queued once"
    # In this thread: a process of its own takes seconds to start.
    here = job_kinds.Kind(job_kinds.BACKUP, job_kinds.backup)
    Background(app, kinds={here.name: here}, schedule=()).drain()
    done = client.get(answer.headers["location"]).json()
    assert done["state"] == "done"
    [found] = client.get("/api/v1/backups").json()["items"]
    assert found["file"] == done["result"]["file"]
    assert found["encrypted"] is False
    folder = app.settings.backup_folder
    assert folder is not None
    assert backups.check(folder / found["file"]).rows == done["result"]["rows"]


@pytest.mark.parametrize("app", [False], indirect=True)
def test_without_a_folder_there_is_nowhere_to_put_one(client: TestClient) -> None:
    assert client.get("/api/v1/backups").json() == {"items": []}
    answer = client.post("/api/v1/backups")
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    assert "SHELFWISE_BACKUP_FOLDER" in answer.json()["detail"]
