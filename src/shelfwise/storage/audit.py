"""Who wrote what, when and from where: rows are only ever added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from shelfwise.storage.tables import audit_log


@dataclass(frozen=True)
class Entry:
    """One write, or one attempt at it.

    Parameters
    ----------
    happened_at
        UTC, without a zone.
    who, via
        The user, and what proved it: ``token 7 (till)``, ``session``, ``password``, ``link``, ``command line`` or
        ``none``.
    action, subject
        What was asked for, like ``POST /api/v1/users``, and what it was about.
    status
        The HTTP status of the answer; None where the command line did it.
    """

    happened_at: datetime
    who: str
    via: str
    action: str
    subject: str = ""
    status: int | None = None
    request_id: str = ""
    address: str = ""


@dataclass(frozen=True)
class Numbered(Entry):
    """An entry with its number, which grows from entry to entry."""

    id: int = 0


def append(connection: Connection, entries: Sequence[Entry]) -> None:
    """Add entries in the caller's transaction."""
    if entries:
        connection.execute(insert(audit_log), [asdict(one) for one in entries])


def latest(connection: Connection, before: int | None = None, limit: int = 100) -> list[Numbered]:
    """Return the newest entries, of those with a number below ``before``; the newest first."""
    query = select(audit_log).order_by(audit_log.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(audit_log.c.id < before)
    return [Numbered(**row._mapping) for row in connection.execute(query)]
