"""Waking: at once in one process, through Redis between two, and by the clock where there is none."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from pathlib import Path

import pytest

from shelfwise.app import open_app
from shelfwise.domain.errors import ParameterError
from shelfwise.services.wake import RedisBell, Wake, channel_of


@pytest.fixture
def channel() -> str:
    return f"shelfwise-test:{uuid.uuid4().hex}"


@pytest.fixture
def redis_url() -> str:
    return os.environ["SHELFWISE_TEST_REDIS_URL"]


def heard(wake: Wake, seen: int, seconds: float = 10.0) -> bool:
    return wake.wait(seen, seconds) != seen


def test_a_ring_before_the_wait_is_not_missed() -> None:
    wake = Wake()
    seen = wake.wait(-1, 0)
    wake.ring()
    began = time.monotonic()
    assert heard(wake, seen)
    assert time.monotonic() - began < 5
    assert not heard(wake, seen + 1, 0.01)


def test_a_ring_wakes_all_that_wait() -> None:
    wake, woken = Wake(), []
    waiting = [threading.Thread(target=lambda: woken.append(heard(wake, 0))) for _ in range(3)]
    for thread in waiting:
        thread.start()
    wake.ring()
    for thread in waiting:
        thread.join()
    assert woken == [True] * 3


@pytest.mark.service("redis")
def test_a_commit_of_one_process_rings_in_another(redis_url: str, channel: str) -> None:
    here, there, elsewhere = Wake(), Wake(), Wake()
    bells = [RedisBell(redis_url, channel, wake) for wake in (here, there)]
    bells.append(RedisBell(redis_url, f"{channel}-another-shop", elsewhere))
    try:
        end = time.monotonic() + 20
        while not heard(there, 0, 0.2) and time.monotonic() < end:  # whoever subscribes later hears the next one
            bells[0].committed()
        assert heard(there, 0, 0)
        assert not heard(elsewhere, 0, 0.2)
    finally:
        for bell in bells:
            bell.close()


def test_a_dead_redis_is_told_once_and_stops_nothing(channel: str, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody answers there
        taken.bind(("127.0.0.1", 0))
        bell = RedisBell(f"redis://127.0.0.1:{taken.getsockname()[1]}/0", channel, Wake())
        end = time.monotonic() + 20
        while "Redis cannot be reached" not in caplog.text and time.monotonic() < end:
            bell.committed()
            time.sleep(0.05)
        time.sleep(1.5)  # the next try fails, too
        began = time.monotonic()
        bell.committed()
        assert time.monotonic() - began < 0.5, "a commit waits for no Redis"
        bell.close()
    assert [r.levelno for r in caplog.records if "Redis" in r.message] == [logging.WARNING]


@pytest.mark.parametrize("url", ["nonsense", "http://localhost:6379"])
def test_an_address_of_no_redis_is_refused(url: str, channel: str) -> None:
    with pytest.raises(ParameterError, match="redis_url is no address of a Redis"):
        RedisBell(url, channel, Wake())


def test_two_shops_have_two_channels(tmp_path: Path) -> None:
    with open_app(tmp_path / "a.db", folder=tmp_path) as one, open_app(tmp_path / "b.db", folder=tmp_path) as other:
        assert channel_of(one) != channel_of(other)
        assert channel_of(one) == channel_of(one)
