"""What holds for every route: problems, request ids, safe headers, known hosts, limits, the published description."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from shelfwise import server
from shelfwise.app import open_app
from shelfwise.domain.errors import ParameterError

PROBLEM = {"type", "title", "status", "detail", "instance", "request_id", "errors"}


def test_health_tells_how_each_part_is(client: TestClient):
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "healthy", "model_ready": True, "gpu_available": False, "device": "cpu", "database": "ready",
        "cache": "not configured", "worker": "ready", "connectors": "not configured", "reasons": [],
    }  # fmt: skip


def test_health_is_503_when_the_database_is_gone(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with (
        open_app(tmp_path / "shop.db", folder=tmp_path) as shop,
        TestClient(server.asgi(shop), base_url="http://localhost") as client,
    ):
        shop.database.close()
        for file in tmp_path.glob("shop.db*"):
            file.unlink()
        (tmp_path / "shop.db").write_text("this is no database " * 100)
        answer = client.get("/health")
    assert answer.status_code == 503
    assert answer.json()["database"] == "failed"
    # Whoever asks for this need not say who they are: the log has the address, the answer does not.
    assert answer.json()["reasons"][0].startswith("the database does not answer; the log says why")
    assert str(tmp_path) not in answer.text
    assert "not a SQLite database" in caplog.text


def test_an_unknown_path_and_a_wrong_method_are_problems(client: TestClient):
    for answer, status in ((client.get("/nowhere"), 404), (client.get("/predict"), 405)):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert set(answer.json()) == PROBLEM
        assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_a_request_id_is_kept_if_it_is_one_and_made_if_not(client: TestClient):
    assert client.get("/health", headers={"X-Request-Id": "till-7.42"}).headers["x-request-id"] == "till-7.42"
    made = client.get("/health", headers={"X-Request-Id": "x" * 65}).headers["x-request-id"]
    assert len(made) == 32
    assert client.get("/health", headers={"X-Request-Id": "a b<script>"}).headers["x-request-id"] != "a b<script>"


def test_every_answer_carries_the_safe_headers(client: TestClient):
    for answer in (client.get("/health"), client.get("/nowhere"), client.post("/predict", content=b"{")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert "server" not in answer.headers


@pytest.mark.parametrize("name", ["shop.example", "127.0.0.1.shop.example", "", "[::1", "localhost:80:80"])
def test_a_name_that_is_not_this_machines_is_refused(client: TestClient, name: str):
    answer = client.get("/health", headers={"Host": name})
    assert answer.status_code == 421
    assert set(answer.json()) == PROBLEM


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000"])
def test_this_machines_own_names_are_served(client: TestClient, name: str):
    assert client.get("/health", headers={"Host": name}).status_code == 200


def test_a_body_that_is_no_json_is_a_problem(client: TestClient):
    answer = client.post("/predict", content=b'{"dates": [', headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:shelfwise:problem:unreadable-request"


def test_a_form_from_a_web_page_elsewhere_is_not_read_as_json(client: TestClient):
    raw = json.dumps({"product_id": 1, "dates": [], "quantities": []})
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        assert client.post("/predict", content=raw, headers={"Content-Type": kind}).status_code == 422


def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(client: TestClient):
    large = b"[" + b"1," * (server.LARGEST_BODY // 2 + 1) + b"1]"
    said = client.post("/predict", content=large, headers={"Content-Type": "application/json"})
    parts = (large[n : n + 65_536] for n in range(0, len(large), 65_536))
    unsaid = client.post("/predict", content=parts, headers={"Content-Type": "application/json"})
    for answer in (said, unsaid):
        assert answer.status_code == 413
        assert set(answer.json()) == PROBLEM


@pytest.mark.parametrize(
    "raw", [b"[" * 200_000, b'{"dates":' * 50_000, b"\xff\xfe", b'{"dates": NaN}', b"null", b"1e999999"]
)
def test_a_hostile_body_is_a_problem_and_no_fault(client: TestClient, raw: bytes):
    answer = client.post("/predict", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert set(answer.json()) == PROBLEM


def test_a_fault_tells_nothing_of_the_inside_and_is_logged_once(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    # A fault cannot be asked for from outside, so one is put in: the service loses its readiness.
    monkeypatch.setattr("shelfwise.services.serving.Serving.readiness", lambda _: 1 / 0)
    with caplog.at_level(logging.ERROR):
        answer = client.get("/health")
    assert answer.status_code == 500
    assert set(answer.json()) == PROBLEM
    assert "division" not in answer.text
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert [record.name for record in caplog.records] == ["shelfwise.api.problems"]


def test_only_this_machine_is_served_while_there_are_no_users(tmp_path: Path):
    with open_app(tmp_path / "shop.db", folder=tmp_path) as shop:
        for host in ("0.0.0.0", "::", "192.168.1.5", "shop.example"):
            with pytest.raises(ParameterError, match="can be reached from other machines"):
                server.serve(shop, host, 8000)


def test_the_description_is_the_published_one(openapi_file: Path):
    made = json.dumps(server.api().openapi(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    assert made == openapi_file.read_text(encoding="utf-8"), (
        "the interface changed; if that is meant, write the new description: "
        "python -m shelfwise.server > docs/openapi.json"
    )


def _examples() -> list[tuple[str, str, Any]]:
    described = server.api().openapi()
    found = []
    for path, methods in described["paths"].items():
        if path.startswith(("/api/v1/", "/products/", "/inventory")):  # these need a shop: see test_every_route.py
            continue
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is None:
                if path != "/sign-in":  # its code works once: see test_access.py
                    found.append((method, path, None))
                continue
            name = content["schema"]["$ref"].rsplit("/", 1)[1]
            found += [(method, path, example) for example in described["components"]["schemas"][name]["examples"]]
    return found


@pytest.mark.parametrize(("method", "path", "example"), _examples())
def test_every_example_of_the_description_works(client: TestClient, method: str, path: str, example: Any):
    answer = client.request(method, path, json=example)
    assert answer.status_code == 200, answer.text
