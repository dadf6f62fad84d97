"""Steps from one schema to the next, run by Alembic; nothing outside the package is needed.

A step is a file in ``versions``, named by its number, and one more entry in `REVISIONS`; a test compares the two, and
compares the schema that the steps build with `shelfwise.storage.tables`, on each kind of database.

A migration is one transaction where the database can change its schema in one. Where it cannot (MySQL), a step that was
cut off is run again from its start, and what is done already is passed over: so a step must bear being repeated, and
its statements on data (not those on the schema) must not depend on what they themselves changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from shelfwise.domain.errors import ParameterError, StorageError

# Written down here so that opening a database need not import Alembic.
REVISIONS: Final = (
    "0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008",
    "0009", "0010", "0011", "0012", "0013", "0014", "0015", "0016",
    "0017", "0018", "0019",
)  # fmt: skip
HEAD: Final = REVISIONS[-1]
BASE: Final = "base"
TABLE: Final = "schema_revision"


def revision(connection: Connection) -> str | None:
    """Return the schema's revision, as its own table tells it; None where that is empty."""
    found: str | None = connection.scalar(text(f"SELECT version_num FROM {TABLE}"))  # noqa: S608  (a constant)
    return found


def steps(before: str | None, to: str) -> list[str]:
    """Return the revisions to go through, one after another, from ``before`` (None: no tables) up or down to ``to``."""
    if to not in (*REVISIONS, BASE):
        raise ParameterError(f"there is no schema revision {to!r}; the revisions are {BASE}, {', '.join(REVISIONS)}")
    if before is not None and before not in REVISIONS:
        raise StorageError(
            f"schema {before} is unknown to this program, whose newest is {HEAD}; migrate with the newer version"
        )
    all_steps = (BASE, *REVISIONS)
    start, end = all_steps.index(before or BASE), all_steps.index(to)
    return list(all_steps[start + 1 : end + 1]) if start <= end else list(all_steps[end:start][::-1])


def run(connection: Connection, to: str, *, down: bool) -> None:
    """Take one step, to the revision ``to``, in the open transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    if down:
        command.downgrade(config, to)
    else:
        command.upgrade(config, to)
