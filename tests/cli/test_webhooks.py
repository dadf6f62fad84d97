"""`shelfwise webhooks`: adding, trying, looking at what was sent, and switching off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Said
from tests.receivers import Receiver, receiver, status

from shelfwise.app import open_app


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def test_a_webhook_from_its_first_message_to_its_removal(
    cli: Callable[..., Said], there: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_app(tmp_path / "shelfwise.db", folder=tmp_path).close()
    assert "there are no webhooks" in cli("webhooks", "list").err
    refused = cli("webhooks", "add", there.url, "--event", "import.finished")
    assert refused.code == 2
    assert "SHELFWISE_WEBHOOK_PRIVATE_ADDRESSES=true" in refused.err
    monkeypatch.setenv("SHELFWISE_WEBHOOK_PRIVATE_ADDRESSES", "true")
    made = cli("webhooks", "add", there.url, "--event", "import.finished", "--name", "books")
    assert made.code == 0
    secret = made.out.strip()
    assert secret.startswith("whsec_")
    assert "to try it: shelfwise webhooks test 1" in made.err
    assert "webhook 1 took it: 204" in cli("webhooks", "test", "1").err
    assert there.got[0].is_signed_by(secret)
    there.answer = status(404, b"no such hook")
    failed = cli("webhooks", "test", "1")
    assert failed.code == 1
    assert "did not take it: answered 404; it said: no such hook" in failed.err
    listed = cli("webhooks", "deliveries", "1")
    assert [line.split()[:3] for line in listed.out.splitlines()[1:]] == [
        ["2", "webhook.test", "failed"], ["1", "webhook.test", "delivered"],
    ]  # fmt: skip
    assert "shelfwise webhooks resend 1 2" in listed.err
    assert "is sent to webhook 1 again" in cli("webhooks", "resend", "1", "2").err
    [row] = cli("webhooks", "list", "--json").data
    assert (row["name"], row["state"], row["waiting"]) == ("books", "on", 1)
    assert "webhook 1 is off" in cli("webhooks", "disable", "1").err
    assert cli("webhooks", "list", "--json").data[0]["state"] == "off"
    assert "webhook 1 is on" in cli("webhooks", "enable", "1").err
    rotated = cli("webhooks", "rotate", "1", "--overlap", "0").out.strip()
    assert rotated.startswith("whsec_")
    assert rotated != secret
    assert "webhook 1 is removed" in cli("webhooks", "remove", "1").err
    assert "there is no webhook 1" in cli("webhooks", "test", "1").err
