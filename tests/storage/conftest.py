"""A real database for each test, of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.storage.databases import EVERY, Pool

from shelfwise.domain.addresses import Address
from shelfwise.storage.database import Database


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """The databases on servers that this worker keeps between tests."""
    made = Pool()
    yield made
    made.close()


@pytest.fixture(params=EVERY)
def address(request: pytest.FixtureRequest, tmp_path: Path, pool: Pool) -> Address:
    """The address of an empty database: once for each kind there is."""
    return Address.parse(tmp_path / "shop.db") if request.param == "sqlite" else pool.address(request.param)


@pytest.fixture
def database(address: Address) -> Iterator[Database]:
    """An empty database, open: once for each kind there is."""
    with Database.open(address) as opened:
        yield opened
