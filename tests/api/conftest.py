"""A served shop, reached through the real application, its middleware and its worker processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from shelfwise.app import open_app
from shelfwise.server import asgi


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
