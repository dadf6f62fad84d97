"""Users, API tokens, limits and the audit log over HTTP, as those who may use them see them."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from shelfwise.api.rate_limits import PREFIX, RateLimits
from shelfwise.app import App, open_app
from shelfwise.domain.errors import ParameterError, StorageError
from shelfwise.server import asgi
from shelfwise.services import actor, auditing, users
from shelfwise.services.actor import ROLES, Principal
from shelfwise.services.auditing import AuditLog
from shelfwise.services.decisions import decider

Served = tuple[TestClient, App, dict[str, str]]
MIA = Principal("mia", "planner", ROLES["planner"], None, "session", "session:1", "1")


@contextmanager
def served_in(folder: Path, **settings: Any) -> Iterator[Served]:
    """A shop that asks who it is of, and the headers of its owner."""
    with open_app(folder / "shop.db", folder=folder, **settings) as shop:
        start = users.start_on_loopback(shop)
        assert start is not None
        application = asgi(shop, authentication=True)
        with TestClient(application, base_url="http://localhost", raise_server_exceptions=False) as client:
            yield client, shop, {"Authorization": f"Bearer {start.token}"}


@pytest.fixture(autouse=True)
def one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold the clock of the limits, so that no test crosses from one minute's window into the next."""
    now = time.time() // 60 * 60 + 10
    monkeypatch.setattr("time.time", lambda: now)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_in(tmp_path_factory.mktemp("served")) as made:
        yield made


@pytest.fixture
def serve(tmp_path: Path) -> Callable[..., AbstractContextManager[Served]]:
    return lambda **settings: served_in(tmp_path, **settings)


def test_a_user_is_added_listed_and_changed(served: Served):
    client, _, owner = served
    made = client.post("/api/v1/users", headers=owner, json={"name": "Ann", "role": "viewer", "models": ["trees"]})
    assert made.status_code == 201
    assert made.json() | {"created_at": ""} == {
        "name": "ann", "role": "viewer", "models": ["trees"], "has_password": False, "disabled": False,
        "created_at": "",
    }  # fmt: skip
    assert made.json()["created_at"].endswith("Z")
    assert client.post("/api/v1/users", headers=owner, json={"name": "ann", "role": "viewer"}).status_code == 409

    def change(**changes: Any) -> dict[str, Any]:
        answer = client.patch("/api/v1/users/ann", headers=owner, json=changes)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    assert change(role="planner")["models"] == ["trees"]  # what is not named stays
    assert change(models=None)["models"] is None
    assert change(disabled=True)["disabled"]
    assert not change(disabled=False)["disabled"]
    assert client.patch("/api/v1/users/nobody", headers=owner, json={"role": "viewer"}).status_code == 404
    assert client.patch("/api/v1/users/ann", headers=owner, json={"role": "king"}).status_code == 422
    assert [one["name"] for one in client.get("/api/v1/users", headers=owner).json()] == ["ann", "owner"]


def test_a_token_is_told_once_works_and_is_revoked(served: Served):
    client, _, owner = served
    client.post("/api/v1/users", headers=owner, json={"name": "till", "role": "service"})
    body = {"user": "till", "name": "front till", "scopes": ["write"], "days": 7}
    made = client.post("/api/v1/tokens", headers=owner, json=body).json()
    headers = {"Authorization": f"Bearer {made['secret']}"}
    assert client.post("/inventory", headers=headers, json={}).status_code == 422
    refused = client.get("/api/v1/me", headers=headers)
    assert refused.status_code == 403
    assert "has no scope read" in refused.json()["detail"]
    listed = client.get("/api/v1/tokens", headers=owner).json()
    assert [(one["user"], one["name"], one["scopes"]) for one in listed] == [
        ("till", "front till", ["write"]), ("owner", "first start", ["admin", "read", "write"]),
    ]  # fmt: skip
    assert "secret" not in listed[0]
    for _ in range(2):
        assert client.delete(f"/api/v1/tokens/{made['id']}", headers=owner).status_code == 204
    assert client.post("/inventory", headers=headers, json={}).status_code == 401
    assert client.delete("/api/v1/tokens/99", headers=owner).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"user": "owner", "name": "x", "scopes": []},
        {"user": "owner", "name": "x", "scopes": ["everything"]},
        {"user": "owner", "name": "x", "days": 0},
        {"user": "owner", "name": ""},
        {"user": "owner"},
    ],
)
def test_a_token_must_make_sense(served: Served, body: dict[str, Any]):
    client, _, owner = served
    assert client.post("/api/v1/tokens", headers=owner, json=body).status_code == 422


def test_a_token_gets_no_scope_that_its_users_role_has_not(served: Served):
    client, shop, owner = served
    users.add(shop, "vera", "viewer")
    answer = client.post("/api/v1/tokens", headers=owner, json={"user": "vera", "name": "x", "scopes": ["write"]})
    assert answer.status_code == 422
    assert "scopes of vera, in the role viewer, are some of read" in answer.json()["detail"]


def test_a_browser_without_a_session_is_told_how_to_sign_in_and_a_program_as_ever(served: Served):
    client, _, owner = served
    page = client.get("/", headers={"Accept": "text/html,*/*;q=0.8"})
    assert (page.status_code, page.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert "shelfwise user link owner" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    style = re.search(r'href="(/static/site.css[^"]*)"', page.text)
    assert style is not None
    assert client.get(style[1]).status_code == 200
    assert client.get("/").headers["content-type"] == "application/problem+json"
    assert client.get("/api/v1/me", headers={"Accept": "text/html"}).headers["content-type"] != "text/html"
    assert "You are not signed in" not in client.get("/", headers={**owner, "Accept": "text/html"}).text


def test_a_sale_is_in_the_audit_log_once_with_what_it_was(served: Served):
    client, shop, owner = served
    body = {"productId": "audited", "transactionType": "SALE", "quantity": 1, "id": "audit-1"}
    before = auditing.listed(shop, limit=1)[0].id
    assert client.post("/inventory", headers=owner, json=body).status_code == 201
    assert client.post("/inventory", headers=owner, json=body).status_code == 200
    since = [one for one in auditing.listed(shop) if one.id > before]
    assert [(one.who, one.action, one.subject, one.status) for one in reversed(since)] == [
        ("owner", "POST /inventory", "sale audit-1 of audited", status) for status in (201, 200)
    ]


def test_a_write_is_in_the_audit_log_by_the_time_it_is_answered(served: Served):
    client, _, owner = served
    made = client.post(
        "/api/v1/users", headers=owner | {"X-Request-Id": "req-1"}, json={"name": "cy", "role": "viewer"}
    )
    assert made.status_code == 201
    (entry,) = client.get("/api/v1/audit?limit=1", headers=owner).json()["entries"]
    assert entry | {"id": 0, "happened_at": ""} == {
        "id": 0, "happened_at": "", "who": "owner", "via": "token 1 (first start)", "action": "POST /api/v1/users",
        "subject": "cy as viewer", "status": 201, "request_id": "req-1", "address": "testclient",
    }  # fmt: skip


def test_refused_and_failed_writes_are_in_the_audit_log_and_reads_are_not(served: Served):
    client, shop, owner = served
    users.add(shop, "rob", "viewer")
    rob = {"Authorization": f"Bearer {users.create_token(shop, 'rob', 'x').secret}"}
    before = auditing.listed(shop, limit=1)[0].id
    client.get("/api/v1/users", headers=rob)
    client.get("/api/v1/me", headers=rob)
    client.delete("/api/v1/tokens/1", headers=rob)
    client.delete("/api/v1/tokens/99", headers=owner)
    client.post("/api/v1/users", headers=owner, content=b"{")
    # What was refused is answered before its entry is on disk: entries are written in their order.
    until = time.monotonic() + 30.0
    while len(since := [one for one in auditing.listed(shop) if one.id > before]) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    assert [(one.who, one.action, one.subject, one.status) for one in reversed(since)] == [
        ("rob", "DELETE /api/v1/tokens/1", "", 403),
        ("owner", "DELETE /api/v1/tokens/{id}", "id 99", 404),
        ("owner", "POST /api/v1/users", "", 422),
    ]


def test_the_audit_log_is_read_page_by_page(served: Served):
    client, shop, owner = served
    for number in range(5):
        users.revoke_token(shop, users.create_token(shop, "owner", f"t{number}").token.id)
    seen, before = [], None
    while True:
        page = client.get("/api/v1/audit", headers=owner, params={"limit": 3} | ({"before": before} if before else {}))
        seen += [one["id"] for one in page.json()["entries"]]
        before = page.json()["next_before"]
        if before is None:
            break
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == len(auditing.listed(shop, limit=1000))
    assert client.get("/api/v1/audit?limit=1001", headers=owner).status_code == 422


def test_an_answer_waits_for_its_entry_and_entries_share_a_transaction(tmp_path: Path):
    with open_app(tmp_path / "shop.db", folder=tmp_path) as shop:
        audit, before = AuditLog(shop), threading.enumerate()
        with shop.database.write():  # somebody else writes
            waiting = [audit.record(auditing.entry(f"write {number}")) for number in range(20)]
            time.sleep(0.05)
            assert not any(one.done() for one in waiting)
        for one in waiting:
            one.result(timeout=30)
        found = auditing.listed(shop)
        assert [one.action for one in reversed(found)] == [f"write {number}" for number in range(20)]
        audit.close()
        assert not [one for one in threading.enumerate() if one.name == "shelfwise-audit" and one not in before]


def test_an_entry_that_cannot_be_written_is_in_the_log_and_the_answer_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def full(*_: Any) -> None:
        raise StorageError("the disk is full")

    with open_app(tmp_path / "shop.db", folder=tmp_path) as shop:
        audit = AuditLog(shop)
        monkeypatch.setattr(auditing.audit, "append", full)
        with caplog.at_level(logging.ERROR):
            audit.record(auditing.entry("write", "tea")).result(timeout=30)
        audit.close()
    assert "the disk is full" in caplog.text
    assert "'subject': 'tea'" in caplog.text


def test_what_is_done_for_a_user_is_decided_by_that_user_also_in_threads():
    computer = decider()
    with actor.acting_as(MIA, "192.0.2.1", "r1"):
        assert decider() == "mia"
        entry = auditing.entry("write")
        assert (entry.who, entry.via, entry.address, entry.request_id) == ("mia", "session", "192.0.2.1", "r1")
    assert decider() == computer == actor.computer_user()


def test_a_decision_over_http_is_of_the_user_who_made_it(served: Served):
    client, shop, owner = served
    users.add(shop, "pia", "planner")
    pia = {"Authorization": f"Bearer {users.create_token(shop, 'pia', 'x').secret}"}
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(users, "listed", lambda _: seen.append(decider()) or [])
        patch.setattr("shelfwise.services.overrides.listed", lambda *_, **__: seen.append(decider()) or 1 / 0)
        client.get("/api/v1/overrides", headers=pia)
        client.get("/api/v1/users", headers=owner)
    assert seen == ["pia", "owner"]


def test_without_authentication_every_request_is_of_this_computers_user(tmp_path: Path):
    with (
        open_app(tmp_path / "shop.db", folder=tmp_path) as shop,
        TestClient(asgi(shop), base_url="http://localhost") as client,
    ):
        me = client.get("/api/v1/me").json()
        assert (me["name"], me["role"], me["via"]) == (actor.computer_user(), "admin", "none")
        assert client.post("/api/v1/users", json={"name": "ann", "role": "viewer"}).status_code == 201
        assert client.get("/api/v1/audit").json()["entries"][0]["who"] == actor.computer_user()
        elsewhere = {"Sec-Fetch-Site": "cross-site"}
        refused = client.post("/api/v1/users", json={"name": "eve", "role": "admin"}, headers=elsewhere)
        assert refused.status_code == 403


def test_limits_are_told_and_kept_for_each_token_alone(serve: Callable[..., Any]):
    with serve(rate_limit_viewer=3, rate_limit_admin=0) as (client, shop, owner):
        users.add(shop, "ann", "viewer")
        one, two = (
            {"Authorization": f"Bearer {users.create_token(shop, 'ann', name).secret}"} for name in ("one", "two")
        )
        answers = [client.get("/api/v1/me", headers=one) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0", "0"]
        assert answers[0].headers["ratelimit-limit"] == "3"
        assert 1 <= int(answers[3].headers["retry-after"]) <= 60
        assert answers[3].json()["type"] == "urn:shelfwise:problem:too-many-requests"
        assert "retry-after" not in answers[0].headers
        assert client.get("/api/v1/me", headers=two).status_code == 200
        unlimited = client.get("/api/v1/me", headers=owner)
        assert unlimited.status_code == 200
        assert "ratelimit-limit" not in unlimited.headers


def redis_url() -> str:
    return os.environ.get("SHELFWISE_TEST_REDIS_URL", "redis://127.0.0.1:6379/11")


@pytest.mark.service("redis")
def test_two_processes_share_their_counts_in_redis(tmp_path: Path):
    import asyncio

    with open_app(tmp_path / "shop.db", folder=tmp_path, redis_url=redis_url(), rate_limit_planner=5) as shop:
        limits = [RateLimits(shop.settings) for _ in range(2)]
        who = Principal("mia", "planner", ROLES["planner"], None, "session", f"session:{uuid.uuid4().hex}")

        async def ask() -> list[bool]:
            answers = [await limits[number % 2].of(who) for number in range(8)]
            for one in limits:
                await one.close()
            return [answer is not None and answer.allowed for answer in answers]

        assert asyncio.run(ask()) == [True] * 5 + [False] * 3
    import redis

    with redis.Redis.from_url(redis_url()) as there:
        kept = [key for key in there.scan_iter(f"{PREFIX}*") if who.key.encode() in key]
        assert kept
        assert all(0 < there.ttl(key) <= 180 for key in kept)
        there.delete(*kept)


def test_a_redis_that_is_gone_costs_one_line_and_no_request(
    serve: Callable[..., Any], caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.WARNING), serve(redis_url="redis://127.0.0.1:1/0") as (client, _, owner):
        answers = [client.get("/api/v1/me", headers=owner) for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200}
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["1199", "1198", "1197", "1196", "1195"]
    assert sum("each process counts requests for itself" in record.getMessage() for record in caplog.records) == 1


def test_a_redis_address_that_is_none_is_refused_at_the_start(tmp_path: Path):
    with (
        open_app(tmp_path / "shop.db", folder=tmp_path, redis_url="http://redis.example") as shop,
        pytest.raises(ParameterError, match="SHELFWISE_REDIS_URL cannot be used"),
    ):
        asgi(shop)
