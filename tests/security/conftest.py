"""A served shop that asks who it is of, with a user and an API token of each role."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from fastapi.testclient import TestClient

from shelfwise.api.security import Gate
from shelfwise.app import App, open_app
from shelfwise.server import asgi
from shelfwise.services import passwords, users
from shelfwise.services.access import Access
from shelfwise.services.actor import ROLES

PASSWORD = "tulips in may"


@dataclass(frozen=True)
class Served:
    """A shop that is served, and a way into it."""

    shop: App
    client: TestClient
    tokens: dict[str, str]
    gate: Gate

    @property
    def access(self) -> Access:
        """What proves who asks."""
        return self.gate.access

    def as_(self, role: str) -> dict[str, str]:
        """Headers of a request by the user of that role."""
        return bearer(self.tokens[role])

    def token(self, role: str, **limits: Any) -> str:
        """A new API token of the user of that role."""
        return users.create_token(self.shop, role, "test", **limits).secret

    def sign_in(self, name: str = "mia", password: str = PASSWORD) -> Any:
        return self.client.post("/api/v1/sessions", json={"name": name, "password": password})


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@contextmanager
def served_in(folder: Path, **settings: Any) -> Iterator[Served]:
    with open_app(folder / "shop.db", folder=folder, **settings) as shop:
        for role in ROLES:
            users.add(shop, role, role)
        tokens = {role: users.create_token(shop, role, "test").secret for role in ROLES}
        application: Any = asgi(shop, authentication=True)
        with TestClient(application, base_url="http://localhost", raise_server_exceptions=False) as client:
            yield Served(shop, client, tokens, application.app.app)


@pytest.fixture(autouse=True)
def one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold the clock of the limits, so that no test crosses from one minute's window into the next."""
    now = time.time() // 60 * 60 + 10
    monkeypatch.setattr("time.time", lambda: now)


@pytest.fixture(autouse=True, scope="module")
def quick_passwords() -> Iterator[None]:
    """Hash as the service does, at a thousandth of the price."""
    quick = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", quick)
        patch.setattr(passwords, "NOBODYS", quick.hash("nobody's"))
        yield


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_in(tmp_path_factory.mktemp("served")) as made:
        for kind in ("refused", "sign-in", "address"):  # the attacks of a module come from one address
            del made.gate.limits._limits[kind]
        yield made


@pytest.fixture
def serve(tmp_path: Path) -> Callable[..., AbstractContextManager[Served]]:
    """Serve a shop of a test's own, under settings of its own."""
    return lambda **settings: served_in(tmp_path, **settings)
