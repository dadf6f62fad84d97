"""`shelfwise serve` killed under load: what it acknowledged is there, once; what it did not can be sent again."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import select
from tests.storage.databases import EVERY, Pool
from tests.storage.worlds import movements

from shelfwise.app import open_app
from shelfwise.domain.addresses import Address
from shelfwise.storage import stock, tables
from shelfwise.storage.sales import append_movements

pytestmark = [
    pytest.mark.kill,
    pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL"),
]
SHELFWISE = [sys.executable, "-c", "from shelfwise.cli.main import main; main()"]
CLIENTS = 8
COUNTED = 1_000_000.0
PRODUCTS = ("tea", "milk", "007")


@dataclass
class Load:
    """Sales that clients send, and what they were told."""

    acknowledged: dict[str, int] = field(default_factory=dict)
    unanswered: dict[str, dict[str, object]] = field(default_factory=dict)
    fresh: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, connection: http.client.HTTPConnection, body: dict[str, object]) -> None:
        """Send a sale; raise where no answer comes."""
        line = str(body["id"])
        with self._lock:
            self.unanswered[line] = body
        connection.request("POST", "/inventory", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
        with self._lock:
            if answer.status not in (200, 201):
                self.wrong.append(f"{answer.status} {said.decode()}")
                return
            del self.unanswered[line]
            if answer.status == 201 and line in self.fresh:
                self.wrong.append(f"{line} was booked twice")
            if answer.status == 201:
                self.fresh.add(line)
            self.acknowledged[line] = int(str(body["quantity"]))

    def client(self, port: int, number: int, round_: int, repeats: list[dict[str, object]]) -> None:
        """Send what was not answered before, and then new sales until the service is gone."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        draw = random.Random(round_ * CLIENTS + number)
        try:
            for body in repeats:
                self.send(connection, body)
            for n in range(100_000):
                self.send(connection, sale(f"{round_}-{number}-{n}", draw))
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()


def sale(line: str, draw: random.Random) -> dict[str, object]:
    return {
        "productId": draw.choice(PRODUCTS), "transactionType": "SALE", "quantity": draw.randrange(1, 5), "id": line,
    }  # fmt: skip


def started(folder: Path, address: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start the service; return its process and port once it takes requests."""
    log = folder / "log"
    with log.open("wb") as written:  # a file and no pipe, which would be full when nobody reads it
        process = subprocess.Popen(
            [*SHELFWISE, "serve", "--port", "0", "--no-authentication"], cwd=folder, stderr=written,
            stdout=subprocess.DEVNULL, env=os.environ | {"SHELFWISE_DATABASE": address},
        )  # fmt: skip
    wait = threading.Event()
    for _ in range(3000):
        found = re.search(r"http://[\d.]+:(\d+)", log.read_text())
        if found is not None:
            return process, int(found[1])
        assert process.poll() is None, log.read_text()
        wait.wait(0.02)
    process.kill()
    raise AssertionError(log.read_text())


def killed_while_selling(folder: Path, address: str, load: Load, round_: int) -> None:
    """Let clients sell and kill the service in the midst of it."""
    process, port = started(folder, address)
    try:
        repeats = list(load.unanswered.values())
        clients = [
            threading.Thread(target=load.client, args=(port, n, round_, repeats[n::CLIENTS])) for n in range(CLIENTS)
        ]
        before = len(load.acknowledged)
        for client in clients:
            client.start()
        wait = threading.Event()
        for _ in range(1000):
            wait.wait(0.02)
            if len(load.acknowledged) > before + 20 + 40 * (round_ % 3):
                break
        wait.wait(random.Random(round_).random() / 10)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    for client in clients:
        client.join(60)
    assert len(load.acknowledged) > before, "some were answered"
    assert load.wrong == []


def check(folder: Path, address: str, load: Load) -> None:
    """Every acknowledged sale is there once, and the stock is what was counted less all sales."""
    m = tables.stock_movements.c
    with open_app(address, folder=folder) as app, app.database.read() as connection:
        rows = connection.execute(select(m.line_id, m.kind, m.quantity)).all()
        levels = stock.stock_levels(connection)
    sold = {line: units for line, kind, units in rows if kind == "sale"}
    assert len(sold) == sum(kind == "sale" for _, kind, _ in rows), "none is there twice"
    assert {line: sold.get(line) for line in load.acknowledged} == load.acknowledged
    assert sold.keys() <= load.acknowledged.keys() | load.unanswered.keys(), "and nothing that nobody sent"
    assert levels["on_hand"].sum() == COUNTED * len(PRODUCTS) - sum(sold.values())


def sell_and_kill(folder: Path, address: str, kills: int) -> None:
    with open_app(address, folder=folder) as app, app.database.write() as connection:
        counts = movements(*[("count", "2026-01-05 12:00", product, COUNTED) for product in PRODUCTS])
        append_movements(connection, counts)
    load = Load()
    for round_ in range(kills):
        killed_while_selling(folder, address, load, round_)
        check(folder, address, load)


@pytest.fixture(scope="module")
def servers() -> Iterator[Pool]:
    """The databases on servers."""
    made = Pool()
    yield made
    made.close()


def test_a_service_killed_under_load_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    sell_and_kill(tmp_path, str(tmp_path / "shop.db"), 2)


@pytest.mark.nightly
@pytest.mark.parametrize("kind", EVERY)
def test_a_service_killed_30_times_keeps_what_it_acknowledged(kind: str, tmp_path: Path, servers: Pool) -> None:
    address = Address.parse(tmp_path / "shop.db") if kind == "sqlite" else servers.address(kind)
    named = str(address)
    if address.password is not None:
        named = named.replace("@", f":{quote(address.password)}@", 1)
    sell_and_kill(tmp_path, named, 30)
