"""The outbox: events in the transaction of the state they tell of."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from shelfwise.domain.events import ImportFinished, PlanPublished
from shelfwise.storage import outbox
from shelfwise.storage.database import Database

NOON = datetime(2026, 11, 21, 12)  # noqa: DTZ001 - shop time has no zone


@pytest.fixture
def database(tmp_path: Path):
    with Database.open(tmp_path / "shop.db") as opened:
        yield opened


def test_events_come_back_in_their_order_with_number_and_time(database):
    with database.write() as connection:
        outbox.append(connection, NOON, ImportFinished(1, ("a.csv", "b.csv")), PlanPublished(1))
    with database.read() as connection:
        first, second = outbox.since(connection)
        assert (first.at, first.event, second.event) == (NOON, ImportFinished(1, ("a.csv", "b.csv")), PlanPublished(1))
        assert outbox.since(connection, first.number) == [second]
        assert outbox.latest(connection, 1) == [second]


def fail_after_writing(database):
    with database.write() as connection:
        outbox.append(connection, NOON, PlanPublished(1))
        raise RuntimeError("the state could not be written")


def test_a_transaction_that_fails_leaves_no_event(database):
    with pytest.raises(RuntimeError):
        fail_after_writing(database)
    with database.read() as connection:
        assert outbox.since(connection) == []
