"""A shop goes on through what it stands on failing: Redis, the database's connections and server, the disks.

What was acknowledged is there once; what cannot be done now is refused with what is wrong and when to ask again (503,
`Retry-After`); and when it is back, so is the shop, by itself.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from tests.flows.own_servers import Server, fill, own_mariadb, own_postgresql, own_redis, small_disk
from tests.flows.selling import Shop, selling_shop, until
from tests.storage.databases import Pool, on_server, server

from shelfwise.domain.addresses import Address
from shelfwise.storage.dialects import dialect_at

pytestmark = [pytest.mark.kill, pytest.mark.skipif(sys.platform == "win32", reason="needs signals")]
RESTARTS = 10
EMBEDDED = {"SHELFWISE_EMBEDDED_WORKER": "true"}


def refuses(shop: Shop, words: str) -> None:
    """Wait until a sale is refused in these words."""

    def refused() -> bool:
        shop.service.check()
        assert shop.tills.wrong == []
        return any(words in said for said in shop.tills.refused)

    until(refused, f"a sale is refused: {words}; so far {shop.tills.refused[-1:]}")


def settled(shop: Shop) -> None:
    """End: all that was ever sent is there once, and every job gets done."""
    shop.acknowledges()
    shop.tills.close()
    shop.check()
    assert shop.tills.told().keys() == shop.tills.sent
    shop.check_jobs()


def answer(shop: Shop, method: str, path: str, body: object = None) -> tuple[int, dict[str, str], Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{shop.tills.port}{path}", data, {"Content-Type": "application/json"}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as came:
            return came.status, dict(came.headers), json.load(came)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, dict(refused.headers), json.load(refused)


def sells_for(shop: Shop, seconds: float) -> None:
    end = time.monotonic() + seconds
    shop.acknowledges()
    while time.monotonic() < end:
        shop.acknowledges()


@dataclass(eq=False)
class Fragile:
    """A shop with a Redis that can be stopped, and small disks for its database and its models."""

    shop: Shop
    redis: Server
    disk: Path
    models: Path


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fragile]:
    """One for all that happens to it; in the end nothing is lost or doubled, and every job is done."""
    folder = tmp_path_factory.mktemp("fragile")
    with own_redis() as redis, small_disk(folder / "disk", 16) as disk, small_disk(folder / "models", 4) as models:
        settings = EMBEDDED | {
            "SHELFWISE_REDIS_URL": f"redis://127.0.0.1:{redis.port}/0", "SHELFWISE_MODELS_FOLDER": str(models),
        }  # fmt: skip
        with selling_shop(folder, Address.parse(disk / "shop.db"), settings=settings) as shop:
            yield Fragile(shop, redis, disk, models)
            settled(shop)


def redis_fails(fragile: Fragile, seconds: float) -> None:
    """Stop Redis, start it again, and let it hang and go on: no sale is refused or waits for it."""
    shop, redis = fragile.shop, fragile.redis
    shop.tills.refused.clear()
    redis.stop()
    sells_for(shop, seconds)
    redis.start()
    sells_for(shop, seconds)
    assert redis.running is not None
    redis.running.send_signal(signal.SIGSTOP)
    sells_for(shop, seconds)
    redis.running.send_signal(signal.SIGCONT)
    sells_for(shop, seconds)
    assert shop.tills.refused == []
    shop.check()


def disk_fills(fragile: Fragile, seconds: float) -> None:
    """Fill the disk that holds the database, and free it: what is there can still be read."""
    shop = fragile.shop
    filler = fill(fragile.disk)
    shop.tills.refused.clear()
    refuses(shop, "the disk is full")
    time.sleep(seconds)
    status, _, said = answer(shop, "GET", "/api/v1/products")
    assert status == 200, said
    shop.check()
    filler.unlink()
    shop.acknowledges()
    shop.check()


def models_fill(fragile: Fragile, seconds: float) -> None:
    """Fill the disk of the models: a training says so, and is done once there is space."""
    shop = fragile.shop
    filler = fill(fragile.models)
    before = len(answer(shop, "GET", "/api/v1/models")[2]["items"])
    status, _, said = answer(shop, "POST", "/api/v1/models/train", {"model": "base_level"})
    assert status == 202, said
    job = f"/api/v1/jobs/{said['job']}"
    until(lambda: "free some space" in str(answer(shop, "GET", job)[2]["error"]), "the training says what is full")
    time.sleep(seconds)
    filler.unlink()
    until(lambda: answer(shop, "GET", job)[2]["state"] == "done", "the model is trained")
    assert len(answer(shop, "GET", "/api/v1/models")[2]["items"]) == before + 1, "once"
    assert {path.suffix for path in fragile.models.iterdir()} == {".npz"}, "and nothing half-written is left"


def test_sales_go_on_without_redis(fragile: Fragile) -> None:
    redis_fails(fragile, 0.5)


def test_a_full_disk_refuses_sales_until_there_is_space(fragile: Fragile) -> None:
    disk_fills(fragile, 0.0)


@pytest.mark.nightly
def test_sales_go_on_without_redis_for_long(fragile: Fragile) -> None:
    redis_fails(fragile, 20.0)


@pytest.mark.nightly
def test_a_disk_that_fills_again_and_again_loses_nothing(fragile: Fragile) -> None:
    for _ in range(10):
        disk_fills(fragile, 5.0)


@pytest.mark.nightly
def test_a_training_waits_for_long_for_space_on_the_disk_of_the_models(fragile: Fragile) -> None:
    models_fill(fragile, 30.0)


@pytest.fixture
def servers() -> Iterator[Pool]:
    made = Pool()
    yield made
    made.close()


def cut_connections(address: Address) -> None:
    """End every connection to a database on its server."""
    if address.kind == "postgresql":
        query = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{address.name}'"
        on_server("postgresql", query)
        return
    engine = dialect_at(server("mysql"), 10).engine()
    with engine.connect() as connection:
        query = "SELECT id FROM information_schema.processlist WHERE db = :name"
        for number in connection.scalars(text(query), {"name": address.name}).all():
            with contextlib.suppress(DBAPIError):  # it has ended meanwhile
                connection.execute(text(f"KILL {int(number)}"))
    engine.dispose()


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("postgresql", marks=pytest.mark.service("postgresql")),
        pytest.param("mysql", marks=[pytest.mark.service("mysql"), pytest.mark.nightly]),
    ],
)
def test_cut_connections_lose_no_acknowledged_sale(kind: str, tmp_path: Path, servers: Pool) -> None:
    address = servers.address(kind)
    with selling_shop(tmp_path, address, settings=EMBEDDED) as shop:
        for _ in range(5):
            cut_connections(address)
            shop.acknowledges()
        settled(shop)


def restarts(folder: Path, own: Server, address: Address, crash: Callable[[Server], None], times: int) -> None:
    """Let the server end in order and crash by turns, and stay away for some seconds."""
    with selling_shop(folder, address, a_second=20) as shop:
        for turn in range(times):
            if turn % 2:
                crash(own)
            else:
                own.stop(signal.SIGINT if address.kind == "postgresql" else signal.SIGTERM)
            shop.tills.refused.clear()
            refuses(shop, "server")
            own.start()
            shop.acknowledges()
            shop.check()
        settled(shop)


@pytest.mark.nightly
def test_a_postgresql_that_restarts_loses_no_acknowledged_sale(tmp_path: Path) -> None:
    with own_postgresql() as (own, address):
        restarts(tmp_path, own, address, lambda one: one.stop(signal.SIGQUIT), RESTARTS)


@pytest.mark.nightly
def test_a_mariadb_that_restarts_loses_no_acknowledged_sale(tmp_path: Path) -> None:
    with own_mariadb() as (own, address):
        restarts(tmp_path, own, address, lambda one: one.stop(signal.SIGKILL), RESTARTS)
