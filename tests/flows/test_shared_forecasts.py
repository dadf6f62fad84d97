"""Two served processes that share a Redis answer what the routes alone would, also while Redis is lost and found."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.api import worlds
from tests.api.conftest import over_http
from tests.flows.test_served_over_http import served
from tests.redis_door import RedisDoor

from shelfwise.services import live

PATHS = [f"/api/v1/products/{product}/forecast" for product in ("CF-1033", "GR-1021", "SY%2F13%20%C3%A9")]
SETTINGS = {
    "SHELFWISE_DATABASE": "shop.db", "SHELFWISE_MODEL": "base_level", "SHELFWISE_N_PATHS": "50",
    "SHELFWISE_HORIZON": "21", "SHELFWISE_INFERENCE_PROCESSES": "1", "SHELFWISE_EMBEDDED_WORKER": "false",
}  # fmt: skip


class Process:
    """One served process."""

    def __init__(self, url: str) -> None:
        self.http = httpx2.Client(base_url=url, timeout=60)

    def shared(self, what: str) -> float:
        """How many reads Redis answered (``hits``) or could not answer (``misses``)."""
        name = f'shelfwise_cache_{what}_total{{cache="shared forecasts"}} '
        lines = self.http.get("/metrics").text.splitlines()
        return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))

    def cache(self) -> Any:
        return self.http.get("/health").json()["cache"]


def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


@pytest.mark.service("redis")
def test_two_processes_answer_what_the_routes_do_with_redis_without_it_and_with_it_again(tmp_path: Path):
    with ExitStack() as ending:
        shop = ending.enter_context(worlds.open_quick(tmp_path / "shop.db"))
        worlds.fill(shop)
        door = RedisDoor()
        ending.callback(door.shut)
        bare = ending.enter_context(contextmanager(over_http)(shop))
        settings = SETTINGS | {"SHELFWISE_REDIS_URL": door.url}
        (_, here), (_, there) = (
            ending.enter_context(served(tmp_path, "--no-authentication", **settings)) for _ in range(2)
        )
        one, other = Process(here), Process(there)
        ending.callback(one.http.close)
        ending.callback(other.http.close)

        def alike(query: str, *asked: Process) -> float:
            """Compare the answers of processes with the routes' own; return the longest time that one took."""
            took = 0.0
            for path in PATHS:
                told = bare.get(path + query)
                for process in asked:
                    began = time.monotonic()
                    found = process.http.get(path + query)
                    took = max(took, time.monotonic() - began)
                    assert found.content == told.content
                    assert found.headers["etag"] == told.headers["etag"]
            return took

        until(lambda: one.cache() == other.cache() == "ready")
        alike("", one)
        assert (one.shared("hits"), one.shared("misses")) == (0, 3)
        time.sleep(0.5)  # writing there is waited for by nobody
        alike("", other, other)  # the second time it is asked, it has them itself
        assert (other.shared("hits"), other.shared("misses")) == (3, 0)

        door.stick()
        assert alike("?horizon=5", one, other) < 2.0
        until(lambda: one.cache() == other.cache() == "failed")
        assert any("Redis does not answer" in reason for reason in one.http.get("/health").json()["reasons"])
        door.shut()
        live.publish(shop)  # every forecast is another one now, and nobody can tell Redis
        time.sleep(0.3)
        assert bare.get(PATHS[0]).json()["source"] == "live"
        alike("", one, other)
        assert (other.shared("hits"), other.shared("misses")) == (3, 6)

        door.open()
        until(lambda: one.cache() == other.cache() == "ready")
        alike("?horizon=6", one)
        time.sleep(0.5)
        alike("?horizon=6", other)
        alike("", one, other)
        assert other.shared("hits") == 6
