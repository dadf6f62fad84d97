"""Hostile requests of people who are signed in: what is in a path, a query, a header or a field is never believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.security.conftest import Served

from shelfwise.server import LARGEST_BODY
from shelfwise.services import users

INJECTIONS = [
    "' OR '1'='1", "'; DROP TABLE users; --", '" OR ""="', "1; SELECT pg_sleep(5)", "%27%20OR%201=1", "admin'/*", "\\'",
]  # fmt: skip
FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", '=cmd|" /C calc"!A0', '=HYPERLINK("http://evil.example")', "\t=1+1"]
TRAVERSALS = [
    "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "..\\..\\windows\\win.ini",
    "/etc/passwd", "....//....//etc/passwd", "file:///etc/passwd", "a%00.txt",
]  # fmt: skip


def body(**changes: Any) -> dict[str, Any]:
    dates = [f"2026-11-{day:02}" for day in range(1, 15)]
    return {"product_id": "CUP-01", "dates": dates, "quantities": [4.0] * 14, "model": "base_level"} | changes


@pytest.mark.parametrize("name", ["access_token", "token", "api_key", "TOKEN", "jwt", "password", "%74oken"])
@pytest.mark.parametrize("signed", [True, False])
def test_a_token_in_the_address_is_refused_and_never_taken(served: Served, name: str, signed: bool):
    secret = served.tokens["viewer"]
    headers = served.as_("viewer") if signed else {}
    answer = served.client.get(f"/api/v1/me?x=1&{name}={secret}", headers=headers)
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:shelfwise:problem:secret-in-address"
    assert secret not in answer.text


def test_words_that_only_look_like_secrets_may_stand_in_the_address(served: Served):
    answer = served.client.get("/api/v1/me?monkey=1&passage=2&tokens=3", headers=served.as_("viewer"))
    assert answer.status_code == 200


def test_two_proofs_of_two_users_are_refused(served: Served):
    two = [("Authorization", f"Bearer {served.tokens[role]}") for role in ("viewer", "admin")]
    assert served.client.get("/api/v1/me", headers=two).status_code == 400
    cookies = {"Cookie": "shelfwise_session=a; shelfwise_session=b"}
    assert served.client.get("/api/v1/me", headers=cookies).status_code == 400
    assert served.client.get("/health", headers=[("Host", "localhost"), ("Host", "evil.example")]).status_code == 421


def test_a_bad_token_is_not_made_good_by_a_cookie(served: Served):
    code = users.link(served.shop, "admin")
    cookie = served.client.get(f"/sign-in?code={code}", follow_redirects=False).cookies["shelfwise_session"]
    served.client.cookies.clear()
    headers = {"Authorization": "Bearer sw_x", "Cookie": f"shelfwise_session={cookie}"}
    assert served.client.get("/api/v1/me", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "localhost@evil.example", "evil.example:80"]
)
def test_a_name_that_was_pointed_at_this_machine_reaches_nothing(served: Served, host: str):
    for headers in ({}, served.as_("admin")):
        assert served.client.get("/api/v1/users", headers=headers | {"Host": host}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [{"X-Forwarded-For": "127.0.0.1"}, {"X-Forwarded-User": "owner"}, {"X-Original-URL": "/health"},
     {"X-HTTP-Method-Override": "GET"}, {"X-Rewrite-URL": "/health"}, {"Forwarded": "for=127.0.0.1"}],
)  # fmt: skip
def test_no_header_but_the_proof_says_who_asks_or_for_what(served: Served, headers: dict[str, str]):
    assert served.client.get("/api/v1/users", headers=headers).status_code == 401
    refused = served.client.post("/api/v1/users", headers=headers | served.as_("viewer"), json={})
    assert refused.status_code == 403


@pytest.mark.parametrize("text", INJECTIONS)
def test_sql_in_a_field_is_a_text_like_any_other(served: Served, text: str):
    admin, client = served.as_("admin"), served.client
    assert client.get(f"/api/v1/products/{text.replace('%', '%25')}", headers=admin).status_code == 404
    assert client.patch(f"/api/v1/users/{text}", json={"role": "admin"}, headers=admin).status_code in (404, 422)
    assert client.post("/api/v1/users", json={"name": text, "role": "admin"}, headers=admin).status_code == 422
    assert client.get("/api/v1/audit", params={"before": text}, headers=admin).status_code == 422
    told = client.post("/predict", json=body(product_id=text), headers=admin)
    assert (told.status_code, told.json()["product_id"]) == (200, text)
    assert len(client.get("/api/v1/users", headers=admin).json()) == 4


@pytest.mark.parametrize("text", [*FORMULAS, "\r\nX: y", "a\0b", "<script>", "a" * 65])
def test_a_name_that_a_spreadsheet_or_a_terminal_would_run_is_none(served: Served, text: str):
    admin, client = served.as_("admin"), served.client
    user = {"name": text, "role": "viewer"}
    token = {"user": "viewer", "name": text if len(text) < 65 else "=" * 65}
    model = {"name": "ann", "role": "viewer", "models": [text if len(text) < 65 else "="]}
    assert client.post("/api/v1/users", json=user, headers=admin).status_code == 422
    assert client.post("/api/v1/tokens", json=token, headers=admin).status_code == 422
    assert client.post("/api/v1/users", json=model, headers=admin).status_code == 422


@pytest.mark.parametrize("path", TRAVERSALS)
def test_a_path_in_the_place_of_a_name_is_a_name_that_nobody_has(served: Served, path: str):
    for place in ("products", "models", "scenarios", "imports", "purchase-orders", "users"):
        url = served.client.base_url.copy_with(raw_path=f"/api/v1/{place}/{path}".encode())
        answer = served.client.get(url, headers=served.as_("admin"))
        assert answer.status_code in (400, 404, 405, 422), (place, answer.text)
        assert "root:" not in answer.text
    answer = served.client.post("/predict", json=body(model=path), headers=served.as_("admin"))
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 100_000, b'{"name":' * 20_000, b'{"name": {"$gt": ""}, "password": {"$gt": ""}}', b"\xff\xfe", b"null",
        b"[]", b'{"name": "owner", "password": "x", "role": "admin"}', b'{"name": 1e999, "password": true}',
        b'{"name": "owner", "name": ["a"], "password": "x"}', b'{"name": "\\ud800", "password": "\\udfff"}',
    ],
)  # fmt: skip
def test_a_hostile_body_signs_nobody_in(served: Served, raw: bytes):
    headers = {"Content-Type": "application/json"}
    answer = served.client.post("/api/v1/sessions", content=raw, headers=headers)
    assert answer.status_code in (400, 401, 422), answer.text


def test_a_body_that_is_too_large_is_not_read_for_somebody_who_may_not_ask(served: Served):
    read = 0

    def parts() -> Any:
        nonlocal read
        for _ in range(LARGEST_BODY // 65_536 + 10):
            read += 65_536
            yield b" " * 65_536

    headers = {"Content-Type": "application/json"}
    assert served.client.post("/api/v1/sessions", content=parts(), headers=headers).status_code == 413
    assert served.client.post("/api/v1/users", content=b" " * 1000, headers=headers).status_code == 401


def test_a_password_of_any_length_costs_the_same_and_is_nowhere_repeated(served: Served):
    long = {"name": "owner", "password": "p4ss" * 300}
    answer = served.client.post("/api/v1/sessions", json=long)
    assert answer.status_code == 422
    assert "p4ss" not in answer.text
    short = {"name": "ann", "role": "viewer", "password": ""}
    assert served.client.post("/api/v1/users", json=short, headers=served.as_("admin")).status_code == 422


def test_no_answer_and_no_list_shows_a_hash_or_a_secret(served: Served):
    users.add(served.shop, "ben", "viewer", password="p4ssword of ben")
    for path in ("users", "tokens", "audit", "me"):
        text = served.client.get(f"/api/v1/{path}", headers=served.as_("admin")).text
        assert "argon2" not in text
        assert "p4ssword" not in text
        assert not any(secret in text for secret in served.tokens.values())
    users.change(served.shop, "ben", disabled=True)


@pytest.mark.parametrize(
    "spoofed", [{}, {"X-Forwarded-For": "203.0.113.9"}, {"X-Real-IP": "203.0.113.9"}, {"Forwarded": "for=203.0.113.9"}]
)
def test_an_address_that_a_request_gives_itself_is_not_believed(serve: Callable[..., Any], spoofed: dict[str, str]):
    with serve(rate_limit_address=3) as served:
        found = [served.client.get("/api/v1/me", headers=spoofed).status_code for _ in range(5)]
        assert found == [401, 401, 401, 429, 429]
        body = {"name": "ann", "role": "viewer"}
        made = served.client.post("/api/v1/users", json=body, headers=served.as_("admin") | spoofed)
        assert made.status_code == 201
        (entry, *_) = served.client.get("/api/v1/audit", headers=served.as_("admin")).json()["entries"]
        assert entry["address"] == "testclient"


def test_unproved_tokens_are_too_many_before_they_cost_much(serve: Callable[..., Any]):
    with serve() as served:
        assert served.client.get("/api/v1/me", headers=served.as_("planner")).status_code == 200
        proved = []
        prove = served.access.prove
        served.access.prove = lambda token: (proved.append(token), prove(token))[1]
        answers = [
            served.client.get("/api/v1/me", headers={"Authorization": f"Bearer sw_{number}"}).status_code
            for number in range(70)
        ]
        assert answers == [401] * 60 + [429] * 10
        assert len(proved) == 60
        # Who was proved before is not locked out by the others at the same address, even after a change.
        served.access.forget()
        assert served.client.get("/api/v1/me", headers=served.as_("planner")).status_code == 200
        answer = served.client.get("/api/v1/me", headers=served.as_("viewer"))
        assert (answer.status_code, answer.json()["type"]) == (429, "urn:shelfwise:problem:too-many-requests")


def test_metrics_are_read_on_this_machine_without_a_token_but_not_through_a_proxy(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    assert served.client.get("/metrics").status_code == 401  # this client is at no address
    monkeypatch.setattr("shelfwise.api.security.is_loopback", lambda _: True)
    assert served.client.get("/metrics").status_code == 200
    for name in ("Forwarded", "X-Forwarded-For", "Via"):
        assert served.client.get("/metrics", headers={name: "1.1 proxy"}).status_code == 401
    monkeypatch.setattr(served.gate, "on_loopback", False)
    assert served.client.get("/metrics").status_code == 401
    assert served.client.get("/metrics", headers=served.as_("viewer")).status_code == 200
