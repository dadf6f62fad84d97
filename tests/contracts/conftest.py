"""Databases of each kind, as in the tests of the storage modules."""

from tests.storage.conftest import address, database, pool

__all__ = ["address", "database", "pool"]
