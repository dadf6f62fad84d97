"""A served shop, reached through the real application, its middleware and its worker processes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.api import worlds

from shelfwise import server
from shelfwise.app import App, open_app
from shelfwise.server import asgi
from shelfwise.services.serving import Serving


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("served")
    with (
        open_app(folder / "shop.db", folder=folder, inference_timeout_seconds=60.0) as shop,
        TestClient(asgi(shop), base_url="http://localhost", raise_server_exceptions=False) as client,
    ):
        yield client


@pytest.fixture(scope="session")
def openapi_file() -> Path:
    return Path(__file__).parents[2] / "docs" / "openapi.json"


@pytest.fixture(scope="session")
def planned_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small planned shop, made once."""
    path = tmp_path_factory.mktemp("planned") / "shop.db"
    with worlds.open_quick(path) as shop:
        worlds.fill(shop)
    return path


@pytest.fixture
def shop(planned_file: Path, tmp_path: Path) -> Iterator[App]:
    """A copy of the small planned shop, to change at will."""
    shutil.copy(planned_file, tmp_path / "shop.db")
    with worlds.open_quick(tmp_path / "shop.db") as app:
        yield app


@pytest.fixture
def served(shop: App) -> Iterator[TestClient]:
    """That shop over the routes and the envelope, without the processes that make forecasts of what is sent."""
    yield from over_http(shop)


def over_http(shop: App) -> Iterator[TestClient]:
    nobody: Any = None
    made = server.api()
    made.state.serving = serving = Serving(shop, nobody)
    try:
        yield TestClient(server.Envelope(made, server.LOOPBACK_NAMES), base_url="http://localhost")
    finally:
        serving.recorder.close()
