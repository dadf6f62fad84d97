"""A shop under load in which something fails: who sells, what they were told, and what is there.

Tills send sales under ids of their own and go on through every failure, as a shop does: what was not answered, or was
refused for now (503), they send again. In the end every sale that was acknowledged must be there once, and nothing
that nobody sent.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import select
from tests.storage.worlds import movements

from shelfwise.app import App, open_app
from shelfwise.domain.addresses import Address
from shelfwise.domain.errors import ShelfwiseError
from shelfwise.storage import jobs, stock, tables
from shelfwise.storage.sales import append_movements

SHELFWISE = [sys.executable, "-c", "from shelfwise.cli.main import main; main()"]
PRODUCTS = ("tea", "milk", "007")
COUNTED = 1_000_000.0
LEASE_SECONDS = 5.0
PAST_DAYS = 40
PATIENCE_SECONDS = 120.0
"""Until something must have happened, on a machine that does much else."""
WORKS = re.compile(r"worker \S+ works")
SETTINGS = {
    "SHELFWISE_EMBEDDED_WORKER": "false",
    "SHELFWISE_JOB_LEASE_SECONDS": f"{LEASE_SECONDS:g}",
    "SHELFWISE_MODEL": "base_level",
    "SHELFWISE_RATE_LIMIT_ADDRESS": "0",
    "SHELFWISE_RATE_LIMIT_ADMIN": "0",
}


def until(good: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> float:
    """Wait for something, and return how long that took."""
    began = time.monotonic()
    while not good():
        assert time.monotonic() - began < seconds, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - began


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def named(address: Address) -> str:
    """Return an address with its password, as a setting gives it."""
    given = str(address)
    return given if address.password is None else given.replace("@", f":{quote(address.password)}@", 1)


@dataclass(eq=False)
class Process:
    """A command of the program that is killed and started again, with its log in a file."""

    words: list[str]
    folder: Path
    settings: Mapping[str, str]
    name: str = ""
    running: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """Everything it said since it was started last."""
        return (self.folder / f"{self.name}.log").read_text()

    def start(self) -> None:
        with (self.folder / f"{self.name}.log").open("wb") as log:  # no pipe, which would be full when nobody reads it
            self.running = subprocess.Popen(
                [*SHELFWISE, *self.words], cwd=self.folder, env=os.environ | dict(self.settings), stderr=log, stdout=log
            )

    def kill(self) -> None:
        if self.running is not None:
            self.running.send_signal(signal.SIGKILL)
            self.running.wait()

    def check(self) -> None:
        """It did not end by itself."""
        assert self.running is not None
        assert self.running.poll() is None, self.log


@dataclass(eq=False)
class Tills:
    """Clients that sell, and what they were told."""

    port: int
    a_second: float
    clients: int = 4
    acknowledged: dict[str, int] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    answered_at: float = 0.0
    slowest: float = 0.0
    _fresh: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closing: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def open(self) -> None:
        self._threads = [threading.Thread(target=self._client, args=(n,), daemon=True) for n in range(self.clients)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Let every till settle what is open, and end."""
        self._closing.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        assert not any(thread.is_alive() for thread in self._threads), "a till could not settle its last sale"

    def told(self) -> dict[str, int]:
        """Return what was acknowledged so far."""
        with self._lock:
            return dict(self.acknowledged)

    def _client(self, number: int) -> None:
        draw = random.Random(number)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        for n in range(10**9):
            if self._closing.is_set():
                break
            line = f"till-{number}-{n}"
            body = {
                "productId": draw.choice(PRODUCTS), "transactionType": "SALE", "quantity": draw.randrange(1, 5),
                "id": line,
            }  # fmt: skip
            self.sent.add(line)
            while not self._settled(connection, line, body):
                time.sleep(0.05)
            time.sleep(draw.uniform(0, 2) * self.clients / self.a_second)
        connection.close()

    def _settled(self, connection: http.client.HTTPConnection, line: str, body: dict[str, object]) -> bool:
        """Send a sale once; return whether it was acknowledged, or cannot be helped."""
        began = time.monotonic()
        try:
            connection.request("POST", "/inventory", json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return False
        with self._lock:
            self.slowest = max(self.slowest, time.monotonic() - began)
            if answer.status == 503:
                kind, later = answer.headers["Content-Type"], answer.headers["Retry-After"]
                if kind != "application/problem+json" or not str(later).isdecimal():
                    self.wrong.append(f"{kind}, Retry-After {later}: {said.decode()}")
                self.refused.append(json.loads(said)["detail"])
                return False
            if answer.status not in (200, 201):
                self.wrong.append(f"{answer.status} {said.decode()}")
                return True
            if answer.status == 201 and line in self._fresh:
                self.wrong.append(f"{line} was booked twice")
            if answer.status == 201:
                self._fresh.add(line)
            self.acknowledged[line] = int(str(body["quantity"]))
            self.answered_at = max(self.answered_at, began)
            return True


@dataclass(eq=False)
class Shop:
    """A shop with a service, a worker and tills; made by `selling_shop`."""

    folder: Path
    address: Address
    service: Process
    worker: Process
    tills: Tills

    def acknowledges(self) -> float:
        """Wait until a sale that is sent from now on is acknowledged; return how long that took."""
        began = time.monotonic()

        def answered() -> bool:
            self.service.check()
            assert self.tills.wrong == []
            return self.tills.answered_at > began

        return until(answered, "a sale is acknowledged")

    def check(self) -> None:
        """Every acknowledged sale is there once, and the stock is what was counted less all sales."""
        assert self.tills.wrong == []
        told = self.tills.told()  # before the look: the tills go on
        m = tables.stock_movements.c
        with open_app(named(self.address), folder=self.folder) as app, app.database.read() as connection:
            rows = connection.execute(select(m.line_id, m.quantity).where(m.line_id.like("till-%"))).all()
            levels = stock.stock_levels(connection)
        sold = {line: int(units) for line, units in rows}
        assert len(sold) == len(rows), "none is there twice"
        assert {line: sold.get(line) for line in told} == told, "none is lost"
        assert sold.keys() <= self.tills.sent, "and nothing is there that nobody sent"
        assert levels["on_hand"].sum() == COUNTED * len(PRODUCTS) - sum(sold.values())

    def check_jobs(self) -> None:
        """No job is left to the dead, or failed for good, and what was asked for gets done."""
        with open_app(named(self.address), folder=self.folder) as app:
            until(lambda: self._open_jobs(app) == [], "every job is done")
            with app.database.read() as connection:
                parked = jobs.page(connection, state="parked", limit=100)
            assert [(job.kind, job.error) for job in parked] == []

    def _open_jobs(self, app: App) -> list[jobs.Job]:
        with app.database.read() as connection:
            return [job for state in ("queued", "running") for job in jobs.page(connection, state=state, limit=100)]


class Watch:
    """Looks how long jobs stay with workers that were killed, while there is a worker that could take them."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.longest = shop, 0.0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> float:
        """Return the longest time, seconds."""
        self._ending.set()
        self._thread.join()
        return self.longest

    def _run(self) -> None:
        with open_app(named(self.shop.address), folder=self.shop.folder) as app:
            stuck: dict[tuple[int, str], float] = {}
            before = time.monotonic()
            while not self._ending.wait(0.25):
                living = self.shop.worker.running
                able = living is not None and living.poll() is None and WORKS.search(self.shop.worker.log) is not None
                with contextlib.suppress(ShelfwiseError), app.database.read() as connection:
                    held = [(job.id, str(job.holder)) for job in jobs.page(connection, state="running", limit=1000)]
                    moment = time.monotonic()
                    passed = moment - before if able else 0.0
                    before = moment
                    dead = [job for job in held if living is None or f"-{living.pid}-" not in job[1]]
                    stuck = {job: stuck.get(job, 0.0) + passed for job in dead}
                    self.longest = max([self.longest, *stuck.values()])


@contextlib.contextmanager
def selling_shop(
    folder: Path, address: Address, *, a_second: float = 40.0, settings: Mapping[str, str] | None = None
) -> Iterator[Shop]:
    """Give a shop that sells, with a service and a worker; what still runs in the end is killed."""
    _make_shop(folder, address)
    port = free_port()
    every = SETTINGS | {"SHELFWISE_DATABASE": named(address)} | dict(settings or {})
    service = Process(["serve", "--port", str(port), "--no-authentication"], folder, every, "service")
    worker = Process(["worker"], folder, every, "worker")
    shop = Shop(folder, address, service, worker, Tills(port, a_second))
    try:
        service.start()
        worker.start()
        shop.tills.open()
        shop.acknowledges()
        yield shop
    finally:
        service.kill()
        worker.kill()


def _make_shop(folder: Path, address: Address) -> None:
    """Book some weeks of sales, so that there is something to forecast, and count what is there after them."""
    with open_app(named(address), folder=folder) as app, app.database.write() as connection:
        days = [app.today() - dt.timedelta(days=ago) for ago in range(PAST_DAYS, 0, -1)]
        sales = [("sale", f"{day} 12:00", product, 3 + day.weekday()) for day in days for product in PRODUCTS]
        counts = [("count", f"{days[-1]} 23:00", product, COUNTED) for product in PRODUCTS]
        append_movements(connection, movements(*sales, *counts))


def works(worker: Process) -> bool:
    """Whether a worker says that it works."""
    worker.check()
    return WORKS.search(worker.log) is not None
