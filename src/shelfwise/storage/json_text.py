"""JSON kept as the text it was written as, in databases whose own type would change it.

PostgreSQL and MySQL refuse NaN in JSON, and MySQL's type sorts keys. As text it comes back as it does on SQLite.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import JSON, Dialect


class JsonText(JSON):
    """SQLAlchemy's type, with texts in the database."""

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str | None]:
        """Return what writes a value."""

        def write(value: Any) -> str | None:
            return None if value is None and self.none_as_null else json.dumps(value)

        return write

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Return what reads a value."""

        def read(stored: Any) -> Any:
            # The driver has read real JSON by itself: the server's own, in what it tells of its tables.
            return json.loads(stored) if isinstance(stored, str) else stored

        return read
