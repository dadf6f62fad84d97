"""Steps from one schema to the next, run by Alembic inside one transaction; nothing outside the package is needed.

A step is a file in ``versions``, named by its number, and one more entry in `REVISIONS`; a test compares the two, and
compares the schema that the steps build with `shelfwise.storage.tables`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from shelfwise.domain.errors import ParameterError, StorageError

# Written down here so that opening a database need not import Alembic.
REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")
HEAD: Final = REVISIONS[-1]
BASE: Final = "base"
TABLE: Final = "schema_revision"


def run(connection: Connection, before: str | None, to: str) -> None:
    """Move the schema from revision ``before`` (None: no tables) up or down to ``to``, in the open transaction."""
    from alembic import command
    from alembic.config import Config

    if to not in (*REVISIONS, BASE):
        raise ParameterError(f"there is no schema revision {to!r}; the revisions are {BASE}, {', '.join(REVISIONS)}")
    if before is not None and before not in REVISIONS:
        raise StorageError(
            f"schema {before} is unknown to this program, whose newest is {HEAD}; migrate with the newer version"
        )
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    steps = (BASE, *REVISIONS)
    if steps.index(to) < steps.index(before or BASE):
        command.downgrade(config, to)
    else:
        command.upgrade(config, to)
