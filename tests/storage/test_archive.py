"""Published forecasts come back byte for byte, or not at all."""

from __future__ import annotations

from datetime import date
from hashlib import sha256

import pytest
from sqlalchemy import update
from tests.storage.worlds import moment

from shelfwise.domain.errors import NotFound, StorageError
from shelfwise.storage import archive, plans
from shelfwise.storage.database import Database
from shelfwise.storage.tables import forecast_archive


@pytest.fixture
def run(database: Database) -> int:
    with database.write() as connection:
        return plans.save_run(
            connection, created_at=moment("2026-01-05"), data_until=date(2026, 1, 4), horizon=28, model="base"
        )


def test_chunks_come_back_in_order_and_byte_for_byte(database: Database, run: int) -> None:
    payloads = [b"", bytes(range(256)) * 4_000, "🫖".encode()]
    with database.write() as connection:
        for chunk in (2, 0, 1):
            assert archive.save_chunk(connection, run, chunk, payloads[chunk]) == sha256(payloads[chunk]).hexdigest()
    with database.read() as connection:
        assert list(archive.chunks(connection, run)) == payloads
        assert archive.chunk_numbers(connection, run) == [0, 1, 2]


def test_a_chunk_saved_again_replaces_the_first(database: Database, run: int) -> None:
    with database.write() as connection:
        archive.save_chunk(connection, run, 0, b"one")
        archive.save_chunk(connection, run, 0, b"two")
        assert list(archive.chunks(connection, run)) == [b"two"]


def test_bytes_that_changed_on_disk_are_refused(database: Database, run: int) -> None:
    with database.write() as connection:
        archive.save_chunk(connection, run, 0, b"as saved")
        connection.execute(update(forecast_archive).values(payload=b"as altered"))
        with pytest.raises(StorageError, match="chunk 0 of run 1 is not what was saved"):
            archive.load_chunk(connection, run, 0)


def test_a_missing_chunk_is_answered_with_those_there_are(database: Database, run: int) -> None:
    with database.write() as connection:
        archive.save_chunk(connection, run, 3, b"x")
        with pytest.raises(NotFound, match=r"no forecast chunk 0; its chunks are \[3\]"):
            archive.load_chunk(connection, run, 0)


def test_a_forecast_needs_a_run(database: Database) -> None:
    with pytest.raises(StorageError, match="(?i)foreign key"), database.write() as connection:
        archive.save_chunk(connection, 99, 0, b"x")
