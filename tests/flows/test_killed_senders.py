"""A worker killed between sending a message and writing that down: it is sent again, under the same id."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.receivers import receiver

from shelfwise.app import open_app
from shelfwise.domain.events import ImportFinished
from shelfwise.services import webhooks
from shelfwise.storage import outbox

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.kill, pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")]


@contextmanager
def worker(folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.flows.sending_worker", str(folder / "shop.db"), str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def test_what_was_sent_and_not_acknowledged_is_sent_again_under_its_id(tmp_path: Path) -> None:
    answers = threading.Event()
    with (
        open_app(tmp_path / "shop.db", folder=tmp_path, webhook_private_addresses=True) as app,
        receiver(lambda *_: (answers.wait(20), (200, {}, b""))[1]) as there,
    ):
        made = webhooks.add(app, there.url, ["import.finished"])
        with app.database.write() as connection:
            outbox.append(connection, app.now(), ImportFinished(7, ("till.csv",)))
        with worker(tmp_path) as process:
            there.wait(1)  # it is sent, and the receiver has not answered
            process.kill()
        answers.set()
        assert [one.state for one in webhooks.deliveries(app, 1).deliveries] == ["waiting"]
        with worker(tmp_path):
            first, second = there.wait(2)
            end = time.monotonic() + 20
            while webhooks.waiting(app) and time.monotonic() < end:
                time.sleep(0.05)
        [delivery] = webhooks.deliveries(app, 1).deliveries
    assert (first.id, first.body) == (second.id, second.body)
    assert made.secret is not None
    assert second.is_signed_by(made.secret)
    assert (delivery.state, delivery.attempts, delivery.message_id) == ("delivered", 2, first.id)
