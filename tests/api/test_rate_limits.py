"""How often who may ask: exactly the limit, however fast the requests come."""

from __future__ import annotations

import asyncio
import time
import uuid

import pytest
from pydantic import SecretStr
from tests.redis_door import RedisDoor

from shelfwise.api import rate_limits
from shelfwise.api.rate_limits import Allowance, RateLimits
from shelfwise.services.actor import ROLES, Principal
from shelfwise.settings import Settings

ANNA = Principal("anna", "viewer", ROLES["viewer"], None, via="session", key="anna")
BEN = Principal("ben", "viewer", ROLES["viewer"], None, via="session", key="ben")


def ask(limits: RateLimits, who: Principal, times: int):
    async def asked():
        return [await limits.of(who) for _ in range(times)]

    return asyncio.run(asked())


def test_a_burst_gets_the_limit_to_the_last_request_and_leaves_others_alone():
    limits = RateLimits(Settings(rate_limit_viewer=1000))
    answers = ask(limits, ANNA, 1100)
    allowed = [one.allowed for one in answers]
    assert allowed == [True] * 1000 + [False] * 100
    assert [one.remaining for one in answers[:1000]] == list(range(999, -1, -1))
    assert all(one.reset_seconds > 0 for one in answers)
    assert ask(limits, BEN, 1)[0].remaining == 999


def test_who_asks_slowly_loses_nothing(monkeypatch):
    monkeypatch.setattr(rate_limits, "MOMENT_SECONDS", 0.0)
    limits = RateLimits(Settings(rate_limit_viewer=1000))
    assert [one.remaining for one in ask(limits, ANNA, 50)] == list(range(999, 949, -1))


def test_what_was_taken_in_advance_and_not_used_is_a_hundredth_of_the_limit_at_most(monkeypatch):
    monkeypatch.setattr(rate_limits, "MOMENT_SECONDS", 0.05)
    limits = RateLimits(Settings(rate_limit_viewer=1000))
    before = ask(limits, ANNA, 30)[-1].remaining
    time.sleep(0.06)
    after = ask(limits, ANNA, 1)[0].remaining
    assert before - 1 - 1000 * rate_limits.MOST_SHARE <= after <= before - 1


def test_a_role_without_a_limit_is_not_counted():
    assert ask(RateLimits(Settings(rate_limit_viewer=0)), ANNA, 3) == [None] * 3


@pytest.mark.service("redis")
@pytest.mark.parametrize("ending", ["shut", "stick"])
def test_a_redis_that_is_lost_leaves_each_process_to_count_for_itself(ending: str):
    door = RedisDoor()
    limits = RateLimits(Settings(redis_url=SecretStr(door.url), rate_limit_viewer=1000))

    async def asked() -> list[Allowance | None]:
        try:
            shared = await limits.of_address("address", f"test-{uuid.uuid4().hex}")
            getattr(door, ending)()
            return [shared, *[await limits.of_address("address", "test") for _ in range(3)]]
        finally:
            await limits.close()
            door.shut()

    began = time.monotonic()
    found = asyncio.run(asked())
    assert time.monotonic() - began < 3 * rate_limits.REDIS_TIMEOUT_SECONDS + 2.0
    assert all(one is not None and one.allowed for one in found)
    assert [one.remaining for one in found[1:] if one is not None] == [119, 118, 117]
