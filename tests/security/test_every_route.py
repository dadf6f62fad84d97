"""Every route of the application, asked by every role and by nobody."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.responses import Response
from tests.security.conftest import Served, bearer

from shelfwise import server
from shelfwise.api.rate_limits import RateLimits
from shelfwise.api.security import RESOURCES, Gate, resource
from shelfwise.services.access import Access
from shelfwise.services.auditing import AuditLog

OPEN = {
    ("GET", "/health"), ("GET", "/openapi.json"), ("GET", "/sign-in"), ("POST", "/api/v1/sessions"),
    ("POST", "/api/v1/sessions/refresh"),
}  # fmt: skip
"""What anyone may ask. A route is added here only by a person who has thought about it."""
MAY_BE_OPEN = OPEN | {("GET", "/api/v1/health"), ("GET", "/static/{name}")}
OWN = {("POST", "/api/v1/users/me/password")}
QUESTIONS = {("POST", "/predict"), ("DELETE", "/api/v1/sessions")}
ADMINS = {"users", "tokens", "audit", "webhooks", "backups"}
ADMINS_WRITES = {("POST", "/api/v1/models/deploy"), ("POST", "/api/v1/models/rollback")}


def walked(routes: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Every route, also those that the description of the interface leaves out."""
    for route in routes:
        inside = getattr(route, "original_router", route)
        if hasattr(inside, "routes"):
            yield from walked(inside.routes)
        else:
            yield from ((method, re.sub(r":\w+}", "}", route.path)) for method in route.methods)


def routes() -> list[tuple[str, str]]:
    made = server.api()
    found = sorted(walked(made.routes))
    described = {(method.upper(), path) for path, methods in made.openapi()["paths"].items() for method in methods}
    assert set(found) > described
    return found


ROUTES = routes()


def may(role: str, method: str, path: str) -> bool:
    """Who may ask what, said a second time and in other words than the table of the gate."""
    if (method, path) in MAY_BE_OPEN:
        return True
    if (method, path) in OWN:
        return role != "nobody"
    if resource(path) in ADMINS or (method, path) in ADMINS_WRITES:
        return role == "admin"
    if method in ("GET", "HEAD") or (method, path) in QUESTIONS or path.startswith("/api/v1/predictions/"):
        return role != "nobody"
    return role in ("planner", "admin", "service")


@pytest.fixture(scope="module")
def gate(served: Served) -> Iterator[TestClient]:
    """The gate before an application that does nothing, so that what is let through changes nothing."""

    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        await Response(status_code=204)(scope, receive, send)

    audit = AuditLog(served.shop)
    settings = served.shop.settings.model_copy(update={"rate_limit_address": 0, "rate_limit_viewer": 0})
    limits = RateLimits(settings)
    limits._limits.clear()
    made = Gate(nothing, Access(served.shop, audit), audit, limits, required=True, on_loopback=True)
    yield TestClient(server.Envelope(made, server.LOOPBACK_NAMES), base_url="http://localhost")
    audit.close()


@pytest.mark.parametrize("role", ["viewer", "planner", "admin", "service", "nobody"])
def test_every_route_lets_in_whom_it_should_and_nobody_else(gate: TestClient, served: Served, role: str):
    headers = {} if role == "nobody" else served.as_(role)
    for method, path in ROUTES:
        answer = gate.request(method, re.sub(r"\{\w+\}", "1", path), headers=headers)
        wanted = 204 if may(role, method, path) else 401 if role == "nobody" else 403
        assert answer.status_code == wanted, (method, path)


@pytest.mark.parametrize("role", ["viewer", "planner", "admin", "service"])
def test_a_token_with_a_narrower_scope_than_its_role_may_only_read(gate: TestClient, served: Served, role: str):
    headers = bearer(served.token(role, scopes=["read"]))
    for method, path in ROUTES:
        answer = gate.request(method, re.sub(r"\{\w+\}", "1", path), headers=headers)
        assert answer.status_code == (204 if may("viewer", method, path) else 403), (method, path)


def test_the_gate_stands_before_every_route_of_the_served_application(serve: Any):
    with serve(rate_limit_address=0) as served:
        for method, path in ROUTES:
            if (method, path) not in MAY_BE_OPEN and resource(path) != "metrics":
                answer = served.client.request(method, re.sub(r"\{\w+\}", "1", path))
                assert answer.status_code == 401, (method, path)
                assert answer.headers["www-authenticate"] == 'Bearer realm="shelfwise"'


def test_every_route_has_a_rule():
    without = sorted({path for _, path in ROUTES if resource(path) not in RESOURCES and ("GET", path) not in OPEN})
    assert not without, f"say in RESOURCES of shelfwise.api.security who may ask {without}"


def test_the_exceptions_are_routes_that_exist():
    assert set(ROUTES) >= OPEN | QUESTIONS | OWN


@pytest.mark.parametrize(
    "path",
    ["/api/v1/users/", "//api/v1/users", "/api/v1//users", "/api/v1/products/../users", "/API/V1/USERS",
     "/api/v1/%75sers", "/api/v1/users%2f", "/api/v1/users;a=b", "/predict/../api/v1/users"],
)  # fmt: skip
def test_no_other_spelling_of_a_path_leads_a_viewer_to_what_is_an_admins(served: Served, path: str):
    for method in ("GET", "POST"):
        url = served.client.base_url.copy_with(raw_path=path.encode())
        answer = served.client.request(method, url, headers=served.as_("viewer"), follow_redirects=True, json={})
        assert answer.status_code in (403, 404, 405), answer.text


@pytest.mark.parametrize("method", ["PUT", "HEAD", "OPTIONS", "TRACE", "CONNECT", "get", "X"])
def test_an_unusual_method_opens_nothing(served: Served, method: str):
    answer = served.client.request(method, "/api/v1/users")
    assert answer.status_code == 401
    assert served.client.request(method, "/api/v1/users", headers=served.as_("viewer")).status_code == 403
