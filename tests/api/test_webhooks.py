"""`/api/v1/webhooks`: what an admin sees and may do, and what nobody sees twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from fastapi.testclient import TestClient
from tests.api.conftest import over_http
from tests.receivers import Receiver, receiver, status

from shelfwise.api.routes.webhooks import Events
from shelfwise.app import App, open_app
from shelfwise.services import webhook_messages

HOOKS = "/api/v1/webhooks"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with open_app(tmp_path / "shop.db", folder=tmp_path, webhook_private_addresses=True) as made:
        yield made


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
def hooks(app: App) -> Iterator[TestClient]:
    yield from over_http(app)


def add(hooks: TestClient, url: str, **more: Any) -> dict[str, Any]:
    answer = hooks.post(HOOKS, json={"url": url, "events": ["import.finished"]} | more)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_the_events_of_the_interface_are_those_that_are_sent() -> None:
    assert list(get_args(Events)) == list(webhook_messages.KINDS)


def test_the_secret_is_told_once(hooks: TestClient, there: Receiver) -> None:
    made = add(hooks, there.url, name="accounts")
    assert made["secret"].startswith("whsec_")
    assert (made["number"], made["format"], made["enabled"], made["waiting"]) == (1, "standard", True, 0)
    changed = hooks.post(f"{HOOKS}/1/rotate", json={"overlap_hours": 1}).json()
    assert changed["secret"].startswith("whsec_")
    assert changed["secret"] != made["secret"]
    assert changed["previous_secret_until"] is not None
    for answer in (hooks.get(HOOKS), hooks.get(f"{HOOKS}/1"), hooks.patch(f"{HOOKS}/1", json={"name": "books"})):
        assert answer.status_code == 200
        assert "whsec_" not in answer.text
        assert '"secret"' not in answer.text


def test_the_test_button_the_log_and_sending_again(hooks: TestClient, there: Receiver) -> None:
    made = add(hooks, there.url)
    there.answer = status(500, b"no disk")
    tested = hooks.post(f"{HOOKS}/1/test").json()
    assert (tested["state"], tested["status"], tested["answer"]) == ("failed", 500, "no disk")
    assert there.got[0].is_signed_by(made["secret"])
    hooks.post(f"{HOOKS}/1/test")
    page = hooks.get(f"{HOOKS}/1/deliveries", params={"limit": 1}).json()
    assert [one["number"] for one in page["items"]] == [2]
    rest = hooks.get(f"{HOOKS}/1/deliveries", params={"cursor": page["next"], "state": "failed"}).json()
    assert [one["number"] for one in rest["items"]] == [1]
    shown = hooks.get(f"{HOOKS}/1/deliveries/1").json()
    assert shown["body"]["type"] == "webhook.test"
    assert shown["message_id"] == there.got[0].id
    again = hooks.post(f"{HOOKS}/1/deliveries/1/resend")
    assert (again.status_code, again.json()["state"]) == (202, "waiting")
    assert hooks.get(HOOKS).json()[0]["waiting"] == 1
    assert hooks.post(f"{HOOKS}/1/deliveries/1/resend").status_code == 409
    assert hooks.patch(f"{HOOKS}/1", json={"enabled": False}).json()["enabled"] is False
    assert hooks.get(f"{HOOKS}/1/deliveries/1").json()["state"] == "dropped"
    assert hooks.delete(f"{HOOKS}/1").status_code == 204
    assert hooks.get(f"{HOOKS}/1/deliveries").status_code == 404


def test_an_address_that_must_not_be_sent_to_is_refused(tmp_path: Path) -> None:
    with open_app(tmp_path / "strict.db", folder=tmp_path) as strict:
        for hooks in over_http(strict):
            for host in ("127.0.0.1", "[::ffff:10.0.0.1]", "169.254.169.254", "2130706433", "u:p@example.com"):
                answer = hooks.post(HOOKS, json={"url": f"https://{host}/x", "events": ["import.finished"]})
                assert (answer.status_code, answer.json()["type"][-17:]) == (422, "invalid-parameter"), host
            assert hooks.get(HOOKS).json() == []
            add(hooks, "https://hooks.example.com/x")
            inside = "10.0.0.1"
            moved = hooks.patch(f"{HOOKS}/1", json={"url": f"https://{inside}/x"})
            assert moved.status_code == 422
            assert hooks.get(f"{HOOKS}/1").json()["url"] == "https://hooks.example.com/x"
