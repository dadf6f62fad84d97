"""The shops of the tests of the interface, which the pages show."""

from __future__ import annotations

from tests.api.conftest import planned_file, served, shop

__all__ = ["planned_file", "served", "shop"]
