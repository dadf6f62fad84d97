"""Answers in a Redis: found by what they are made of, waited for shortly and once, and never needed."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from tests.redis_door import RedisDoor

from shelfwise.domain.errors import ParameterError
from shelfwise.services import shared_answers
from shelfwise.services.shared_answers import SharedAnswers


class Counted:
    """One process's view of the answers, and what it counted."""

    def __init__(self, url: str, prefix: str) -> None:
        self.hits = self.misses = 0
        self.answers = SharedAnswers(url, prefix, (self._hit, self._miss))

    def _hit(self) -> None:
        self.hits += 1

    def _miss(self) -> None:
        self.misses += 1


@pytest.fixture
def door() -> Iterator[RedisDoor]:
    made = RedisDoor()
    yield made
    made.shut()


@pytest.fixture
def opened(door: RedisDoor, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Counted]]:
    monkeypatch.setattr(shared_answers, "KEPT_SECONDS", 60)  # what a test leaves behind is gone in a minute
    prefix, made = f"shelfwise-test:{uuid.uuid4().hex}", []

    def one() -> Counted:
        made.append(Counted(door.url, prefix))
        until(lambda: made[-1].answers.well)
        return made[-1]

    yield one
    for counted in made:
        counted.answers.close()


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


@pytest.mark.service("redis")
def test_an_answer_is_found_by_others_under_all_that_it_is_made_of_and_nothing_else(opened: Callable[[], Counted]):
    here, there = opened(), opened()
    assert there.answers.get(("tea", 7)) is None
    here.answers.put(("tea", 7), b"thirty")
    until(lambda: there.answers.get(("tea", 7)) == b"thirty")
    assert there.answers.get(("tea", 8)) is None
    assert there.hits == 1
    assert there.misses >= 2


@pytest.mark.service("redis")
@pytest.mark.parametrize("ending", ["stick", "shut"])
def test_a_redis_that_is_lost_is_waited_for_once_told_once_and_used_again(
    opened: Callable[[], Counted], door: RedisDoor, ending: str, caplog: pytest.LogCaptureFixture
):
    here = opened()
    here.answers.put("tea", b"thirty")
    until(lambda: here.answers.get("tea") is not None)
    getattr(door, ending)()
    began = time.monotonic()
    assert here.answers.get("tea") is None
    assert time.monotonic() - began < 2 * shared_answers.PATIENCE_SECONDS + 0.1
    assert not here.answers.well
    began = time.monotonic()
    for _ in range(1000):
        assert here.answers.get("tea") is None
        here.answers.put("tea", b"thirty")
    assert time.monotonic() - began < 0.1, "who knows that Redis is lost does not ask it"
    time.sleep(1.5)  # the thread asks meanwhile, in vain
    assert not here.answers.well
    door.shut()
    door.open()
    until(lambda: here.answers.well)
    assert here.answers.get("tea") == b"thirty"
    said = [record.message for record in caplog.records if record.name == shared_answers.__name__]
    assert [record.levelno for record in caplog.records if record.name == shared_answers.__name__] == [
        logging.WARNING, logging.WARNING,
    ]  # fmt: skip
    assert "each process keeps answers for itself" in said[0]
    assert "answers again" in said[1]


@pytest.mark.parametrize("url", ["nonsense", "http://localhost:6379"])
def test_an_address_of_no_redis_is_refused(url: str):
    with pytest.raises(ParameterError, match="redis_url is no address of a Redis"):
        Counted(url, "shelfwise-test")
