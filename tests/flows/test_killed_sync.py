"""A sync that is killed without warning, again and again: no row is lost, and none is booked twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.exchange.connector_service import Service, answer, serving
from tests.services.test_connecting import level, sale

from shelfwise.app import open_app
from shelfwise.storage import connectors, stock

ROWS = 160
KILLS = 2


def slowly(handler: Any, body: bytes) -> None:
    time.sleep(0.01)
    answer(handler, body)


def pull(folder: Path, url: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "INVENTORY_SYNC_URL": url}
    code = "from shelfwise.cli.main import main; main()"
    command = [sys.executable, "-c", code, "sync", "--now", "--database", str(folder / "shop.db")]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.kill
def test_a_sync_that_is_killed_again_and_again_books_every_row_once(tmp_path: Path) -> None:
    feeds = {"movements": [sale(n % 60, id=f"mv-{n}") for n in range(ROWS)], "stock-levels": [level(1000)]}
    with serving(Service(feeds, rows_a_page=4, always=slowly)) as service:
        open_app(tmp_path / "shop.db", folder=tmp_path).close()
        for n in range(KILLS):
            before = len(service.asked)
            process = pull(tmp_path, service.url)
            while len(service.asked) < before + 3 + 4 * n and process.poll() is None:
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            assert process.returncode == -signal.SIGKILL, "it was killed in the middle of it"
        assert service.asked[-1].cursor is not None, "it went on where it was"
        process = pull(tmp_path, service.url)
        out, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        assert out.startswith(b"inventory: done")
    with open_app(tmp_path / "shop.db", folder=tmp_path) as app, app.database.read() as connection:
        [level_now] = stock.stock_levels(connection)["on_hand"].to_list()
        booked = {one.feed: (one.booked, one.duplicates) for one in connectors.places(connection, "inventory")}
    assert level_now == 1000 - ROWS
    assert booked == {"movements": (ROWS, 0), "stock-levels": (1, 0)}, "not even a page was sent for twice and kept"
