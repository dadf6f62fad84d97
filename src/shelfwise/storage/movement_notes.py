"""Who booked movements by hand, when and why; the lines of an import have its receipt instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl
from sqlalchemy import Connection

from shelfwise.storage import tables
from shelfwise.storage.catalogue import code_ids
from shelfwise.storage.database import upsert


@dataclass(frozen=True)
class Note:
    """Who did something, when (shop time) and, where it was said, why."""

    made_by: str
    made_at: datetime
    reason: str | None = None


def add_notes(connection: Connection, source: str, line_ids: Sequence[str], note: Note) -> None:
    """Keep a note on each of these lines; a line that has one keeps it."""
    lines = pl.DataFrame({"line_id": line_ids}, {"line_id": pl.String}).with_columns(
        source_id=pl.lit(code_ids(connection, tables.sources, [source])[0]),
        reason=pl.lit(note.reason, dtype=pl.String),
        made_by=pl.lit(note.made_by),
        made_at=pl.lit(note.made_at, dtype=pl.Datetime("us")),
    )
    upsert(connection, tables.movement_notes, lines, ("source_id", "line_id"), lambda _, old: old)
