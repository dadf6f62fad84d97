"""Service and worker killed under load: what was acknowledged is there, once, and no job is left to the dead."""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.flows.selling import LEASE_SECONDS, PATIENCE_SECONDS, Shop, Watch, selling_shop, until, works
from tests.storage.databases import EVERY, Pool

from shelfwise.domain.addresses import Address

SLACK_SECONDS = 20.0
"""For what else the machine does."""

pytestmark = [pytest.mark.kill, pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")]


@dataclass
class Told:
    """Seconds from a start to serving again, and the longest that a job stayed with the dead."""

    served: list[float] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)
    held: float = 0.0

    def __str__(self) -> str:
        """Say it in a line."""
        parts = [
            f"{what} again after {statistics.median(took):.1f} s (median), {max(took):.1f} s (slowest of {len(took)})"
            for what, took in (("serving", self.served), ("working", self.worked))
            if took
        ]
        return "; ".join(
            [*parts, f"no job stayed longer than {self.held:.1f} s with a dead worker while another worked"]
        )


@pytest.fixture(scope="module")
def servers() -> Iterator[Pool]:
    """The databases on servers."""
    made = Pool()
    yield made
    made.close()


def kill_and_start(shop: Shop, chance: random.Random, told: Told) -> int:
    """Kill the service, the worker or both at a random moment, start them again, and return how many that were.

    One in five is killed while it still starts.
    """
    time.sleep(chance.uniform(0.0, 0.5))
    victims = chance.choice(((shop.service,), (shop.worker,), (shop.service, shop.worker)))
    for one in victims:
        one.check()
        one.kill()
    for one in victims:
        one.start()
    if chance.random() < 0.2:
        return len(victims)
    began, left = time.monotonic(), set(victims)
    up = {shop.service: lambda: shop.tills.answered_at > began, shop.worker: lambda: works(shop.worker)}
    while left:
        for one in [one for one in left if up[one]()]:
            (told.served if one is shop.service else told.worked).append(time.monotonic() - began)
            left.discard(one)
        for one in left:
            one.check()
        assert time.monotonic() - began < PATIENCE_SECONDS, f"{[one.name for one in left]} did not come back"
        time.sleep(0.01)
    return len(victims)


def kill_again_and_again(folder: Path, address: Address, kills: int, a_second: float) -> Told:
    told, chance, killed = Told(), random.Random(1), 0
    with selling_shop(folder, address, a_second=a_second) as shop:
        watch = Watch(shop)
        while killed < kills:
            killed += kill_and_start(shop, chance, told)
            shop.acknowledges()
            if killed % 20 < 2:
                shop.check()
        until(lambda: works(shop.worker), "the worker works")
        shop.tills.close()
        shop.check()
        assert shop.tills.told().keys() == shop.tills.sent, "and what was not at first was settled by asking again"
        shop.check_jobs()
        told.held = watch.close()
    assert told.held < LEASE_SECONDS + SLACK_SECONDS
    return told


def test_ten_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, Address.parse(tmp_path / "shop.db"), 10, a_second=40)


@pytest.mark.nightly
@pytest.mark.parametrize("kind", EVERY)
def test_200_kills_lose_nothing_that_was_acknowledged(
    kind: str, tmp_path: Path, servers: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    address = Address.parse(tmp_path / "shop.db") if kind == "sqlite" else servers.address(kind)
    told = kill_again_and_again(tmp_path, address, 200, a_second=20)
    with capsys.disabled():
        print(f"\n{kind}: {told}")  # noqa: T201  (the figures are what the night is for)
