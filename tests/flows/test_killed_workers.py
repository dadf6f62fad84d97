"""Workers killed in the middle of their jobs: none is lost, none is done twice, none waits longer than a lease."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from tests.flows.killed_worker import LEASE_SECONDS
from tests.storage.databases import EVERY, Pool
from tests.storage.worlds import moment

from shelfwise.app import App, open_app
from shelfwise.domain.addresses import Address
from shelfwise.services import jobs
from shelfwise.services.jobs import Wanted
from shelfwise.storage import jobs as stored
from shelfwise.storage.stock import set_stock_levels, stock_levels

ROOT = Path(__file__).parents[2]
COUNTED = 100_000.0
SLACK_SECONDS = 20.0
"""For what else the machine does, and for the jobs that the next worker took before."""
SECONDS_FOR_ALL = 240.0

pytestmark = [pytest.mark.kill, pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")]


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    made = Pool()
    yield made
    made.close()


@contextmanager
def worker(address: Address, folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.flows.killed_worker", str(address), str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def queue(app: App, first: int, count: int) -> list[int]:
    """Queue sales, of which some are asked for twice and are one job, or one sale, all the same."""
    with app.database.write() as connection:
        wanted = [Wanted("sell", f"line-{n}", {"line": n}, most_attempts=100) for n in range(first, first + count)]
        return stored.enqueue(connection, [*wanted, *wanted[: count // 4]])


def held_by_the_dead(app: App, living: int) -> list[int]:
    """Return the jobs that are held by another worker than the one that lives, by its process."""
    with app.database.read() as connection:
        running = stored.page(connection, state="running", limit=10_000)
    return [job.id for job in running if f"-{living}-" not in str(job.holder)]


def until(good: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not good():
        assert time.monotonic() < end
        time.sleep(0.2)


def kill_again_and_again(address: Address, folder: Path, *, kills: int, seed: int, jobs_each: int) -> None:
    chance = random.Random(seed)
    numbers: list[int] = []
    with open_app(address, folder=folder) as app:
        with app.database.write() as connection:
            level = {"product": ["tea"], "warehouse": ["main"], "on_hand": [COUNTED], "as_of": [moment("2026-01-01")]}
            set_stock_levels(connection, pl.DataFrame(level))
        for kill in range(kills):
            with worker(address, folder) as process:
                numbers += queue(app, kill * jobs_each, jobs_each)
                time.sleep(chance.uniform(0.0, 0.4))
                process.kill()
        with worker(address, folder) as process:
            until(lambda: not held_by_the_dead(app, process.pid), LEASE_SECONDS + SLACK_SECONDS)
            until(lambda: jobs.queue_length(app).by_state["done"] == kills * jobs_each, SECONDS_FOR_ALL)
        assert {jobs.look(app, number).state for number in numbers} == {"done"}
        with app.database.read() as connection:
            assert stock_levels(connection)["on_hand"].to_list() == [COUNTED - kills * jobs_each]
        assert max(jobs.look(app, number).attempts for number in set(numbers)) <= kills + 1


def test_three_kills_lose_nothing_and_book_nothing_twice(tmp_path: Path) -> None:
    kill_again_and_again(Address.parse(tmp_path / "shop.db"), tmp_path, kills=3, seed=1, jobs_each=40)


@pytest.mark.nightly
@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("seed", range(3))
def test_many_kills_lose_nothing_and_book_nothing_twice(kind: str, seed: int, tmp_path: Path, pool: Pool) -> None:
    address = Address.parse(tmp_path / "shop.db") if kind == "sqlite" else pool.address(kind)
    kill_again_and_again(address, tmp_path, kills=20, seed=seed, jobs_each=30)
