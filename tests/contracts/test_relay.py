"""Events become jobs exactly once on every kind of database, however many write and relay at the same time."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import OperationalError

from shelfwise.app import App, open_app
from shelfwise.domain.addresses import Address
from shelfwise.domain.errors import StorageError
from shelfwise.domain.events import Event, MovementsRecorded
from shelfwise.services import background
from shelfwise.services import jobs as asked
from shelfwise.services.background import READER, Background, relay
from shelfwise.services.changed_forecasts import changed_since
from shelfwise.services.history import history
from shelfwise.services.job_kinds import KINDS, REACT
from shelfwise.services.jobs import Wanted
from shelfwise.storage import jobs, observing, outbox, tables, workers

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


def jobs_of(app: App) -> list[tuple[str, str, str]]:
    with app.database.read() as connection:
        return [(job.kind, job.subject, job.state) for job in reversed(jobs.page(connection))]


def test_an_event_whose_reaction_fails_is_set_aside_and_the_others_go_on(
    app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fragile(connection: Any, event: Event) -> list[Wanted]:
        assert isinstance(event, MovementsRecorded)
        if event.products == ("salt",):
            # A query that the database refuses must not take the transaction with it, as it does on PostgreSQL.
            connection.execute(text("SELECT nothing FROM nowhere"))
        if event.products == ("rye",):
            raise KeyError("rye")
        return [Wanted("refresh_series", code) for code in event.products]

    monkeypatch.setattr(background, "jobs_after", fragile)
    say(app, "tea", "salt", "mug", "rye", "cup")
    with caplog.at_level(logging.ERROR):
        assert relay(app) == 5
    assert relay(app) == 0
    assert jobs_of(app) == [
        ("refresh_series", "tea", "queued"), ("refresh_series", "mug", "queued"), ("refresh_series", "cup", "queued"),
        ("react_to_event", "2", "parked"), ("react_to_event", "4", "parked"),
    ]  # fmt: skip
    with app.database.read() as connection:
        second, first = jobs.page(connection, state="parked")
        assert workers.read_until(connection, READER) == 5
        assert {queue.kind: queue.parked for queue in observing.queues(connection)}["react_to_event"] == 2
    assert (first.payload, second.error) == (
        {"event": 2, "name": "movements_recorded"}, "event 4 (movements_recorded): KeyError: 'rye'",
    )  # fmt: skip
    assert f"shelfwise jobs show {second.id}" in caplog.text

    monkeypatch.undo()
    asked.retry(app, second.id)
    assert Background(app, kinds={REACT: KINDS[REACT]}, schedule=()).drain() == 1
    assert jobs_of(app)[-1] == ("refresh_series", "rye", "queued")
    assert asked.look(app, second.id).result == {"jobs": [second.id + 1]}


def test_an_event_that_only_a_newer_program_can_read_holds_nobody_up(app: App) -> None:
    with app.database.write() as connection:
        connection.execute(insert(tables.outbox).values(name="moon_landed", payload="{}", happened_at=app.now()))
    say(app, "tea")
    assert relay(app) == 2
    assert jobs_of(app) == [("refresh_series", "tea", "queued"), ("react_to_event", "1", "parked")]
    with app.database.read() as connection:
        [parked] = jobs.page(connection, state="parked")
    assert "'moon_landed' is not known" in str(parked.error)
    assert history(app)["event"].to_list() == ["movements_recorded", "unreadable"]
    assert changed_since(app, 0).products is None, "nobody knows what it changed"


def test_a_database_that_fails_is_no_fault_of_an_event(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, OSError("connection reset"))

    say(app, "tea")
    with monkeypatch.context() as patched:
        patched.setattr(background, "jobs_after", lost)
        with pytest.raises(StorageError, match="connection reset"):
            relay(app)
    assert jobs_of(app) == []
    assert relay(app) == 1
    assert jobs_of(app) == [("refresh_series", "tea", "queued")]
