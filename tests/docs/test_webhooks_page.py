"""The page on webhooks names every type of message, and its receiver verifies what is sent."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from tests.docs.pages import ROOT, text_of

from shelfwise.services import webhook_messages, webhook_signatures

PAGE = text_of(ROOT / "docs" / "webhooks.md")


@pytest.fixture
def verify() -> Any:
    found = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    scope: dict[str, Any] = {}
    exec(found[1], scope)
    return scope["is_from_the_shop"]


def test_the_types_on_the_page_are_those_that_are_sent() -> None:
    told = PAGE.split("\n## What is told")[1].split("\n## ")[0]
    assert re.findall(r"^\| `([\w.]+)` \|", told, re.MULTILINE) == list(webhook_messages.KINDS)


def test_the_receiver_on_the_page_knows_the_shop_from_others(verify: Any) -> None:
    secret, before = webhook_signatures.new_secret(), webhook_signatures.new_secret()
    body, now = b'{"type": "import.finished"}', int(time.time())
    headers = webhook_signatures.headers([secret, before], "msg_1", now, body)
    assert verify(secret, headers, body)
    assert verify(before, headers, body)
    assert not verify(webhook_signatures.new_secret(), headers, body)
    assert not verify(secret, headers, body + b" ")
    assert not verify(secret, headers | {"webhook-id": "msg_2"}, body)
    assert not verify(secret, webhook_signatures.headers([secret], "msg_1", now - 600, body), body)


def test_the_receiver_on_the_page_takes_the_vector_of_the_convention(
    verify: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1614265330)
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }  # fmt: skip
    assert verify("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", headers, b'{"test": 2432232314}')
    assert (
        webhook_signatures.headers(
            ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], headers["webhook-id"], 1614265330, b'{"test": 2432232314}'
        )
        == headers
    )
