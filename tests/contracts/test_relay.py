"""Events become jobs exactly once on every kind of database, however many write and relay at the same time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from shelfwise.app import App, open_app
from shelfwise.domain.addresses import Address
from shelfwise.domain.events import Event, MovementsRecorded
from shelfwise.services import background
from shelfwise.services.background import READER, relay
from shelfwise.services.jobs import Wanted
from shelfwise.storage import jobs, outbox, workers

WRITERS = 6
EVENTS_EACH = 15


@pytest.fixture
def app(address: Address, tmp_path: Path) -> Iterator[App]:
    with open_app(address, folder=tmp_path) as opened:
        yield opened


def say(app: App, *products: str) -> None:
    with app.database.write() as connection:
        outbox.append(connection, app.now(), *(MovementsRecorded("till", 1, (code,)) for code in products))


def test_no_event_is_lost_or_doubled_under_many_writers_and_two_relays(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: Counter[str] = Counter()

    def one_job_each(_: object, event: Event) -> list[Wanted]:
        assert isinstance(event, MovementsRecorded)
        seen[event.products[0]] += 1
        return [Wanted("refresh_series", event.products[0])]

    monkeypatch.setattr(background, "jobs_after", one_job_each)
    monkeypatch.setattr(background, "EVENTS_AT_ONCE", 7)
    written = threading.Event()

    def write(writer: int) -> None:
        for n in range(EVENTS_EACH):
            say(app, f"{writer}-{n}-a", f"{writer}-{n}-b")

    def relay_until_written() -> None:
        while True:
            last = written.is_set()  # asked before the look: what is written after it is the next look's
            if relay(app) == 0 and last:
                return

    with ThreadPoolExecutor(WRITERS + 2) as pool:
        relays = [pool.submit(relay_until_written) for _ in range(2)]
        writers = [pool.submit(write, writer) for writer in range(WRITERS)]
        wait(writers)
        written.set()
        for done in [*writers, *relays]:
            done.result()
    expected = {f"{w}-{n}-{end}" for w in range(WRITERS) for n in range(EVENTS_EACH) for end in "ab"}
    assert seen == Counter(expected), "each event is read in one relay's kept transaction and in no other"
    with app.database.read() as connection:
        assert {job.subject for job in jobs.page(connection, limit=1000)} == expected
        assert workers.read_until(connection, READER) == outbox.latest(connection, 1)[0].number


def test_a_relay_that_fails_leaves_its_events_to_the_next(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    say(app, "tea")

    def broken(*_: object) -> None:
        raise OSError("killed before the commit")

    with monkeypatch.context() as patched:
        patched.setattr(workers, "set_read_until", broken)
        with pytest.raises(OSError, match="killed"):
            relay(app)
    with app.database.read() as connection:
        assert jobs.page(connection) == []
    assert relay(app) == 1
    with app.database.read() as connection:
        assert [job.subject for job in jobs.page(connection)] == ["tea"]
    assert relay(app) == 0
