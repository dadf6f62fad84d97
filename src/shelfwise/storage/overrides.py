"""The planner's overrides: what a person said against the plan, with reason, scope, first and last day.

An override is never changed and never deleted; reverting it writes who ended it and when.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from shelfwise.domain.errors import ConflictError, NotFound, ParameterError
from shelfwise.storage import tables
from shelfwise.storage.database import insert_one


@dataclass(frozen=True)
class Override:
    """A person's word against the plan: ``setting`` (for example ``forecast``) is ``value`` within its scope.

    ``scope`` is the code of what it applies to, None for all of the shop; days are both included, None for no limit.
    """

    id: int
    setting: str
    value: Any
    scope_kind: str
    scope: str | None
    reason: str
    starts_on: date | None
    expires_on: date | None
    created_by: str
    created_at: datetime
    reverted_by: str | None = None
    reverted_at: datetime | None = None


def add_override(
    connection: Connection,
    *,
    setting: str,
    value: Any,
    scope_kind: str,
    scope: str | None,
    reason: str,
    created_by: str,
    created_at: datetime,
    starts_on: date | None = None,
    expires_on: date | None = None,
) -> int:
    """Keep an override and return its number.

    Parameters
    ----------
    value
        Anything JSON can hold.
    scope_kind, scope
        What it applies to, for example ``product`` and its code; scope None for all of the shop.
    starts_on, expires_on
        First and last day, both included; None for no limit.
    """
    if not reason.strip():
        raise ParameterError("an override needs a reason; say why, the next reader will ask")
    if starts_on and expires_on and expires_on < starts_on:
        raise ParameterError(f"an override cannot expire on {expires_on}, before it starts on {starts_on}")
    values = {
        "setting": setting,
        "value": value,
        "scope_kind": scope_kind,
        "scope": scope or "",
        "reason": reason,
        "starts_on": starts_on,
        "expires_on": expires_on,
        "created_by": created_by,
        "created_at": created_at,
    }
    return insert_one(connection, tables.overrides, values)


def revert_override(connection: Connection, override_id: int, *, reverted_by: str, reverted_at: datetime) -> Override:
    """End an override; it stays in the history. Return it as it was."""
    t = tables.overrides
    row = connection.execute(select(t).where(t.c.id == override_id)).first()
    if row is None:
        raise NotFound(f"there is no override {override_id}; list them to see their numbers")
    if row.reverted_at is not None:
        raise ConflictError(f"override {override_id} was reverted by {row.reverted_by} already")
    connection.execute(update(t).where(t.c.id == override_id).values(reverted_by=reverted_by, reverted_at=reverted_at))
    return _override(row)


def active_overrides(connection: Connection, as_of: date, setting: str | None = None) -> list[Override]:
    """Return the overrides that hold on that day, the oldest first.

    Parameters
    ----------
    setting
        One kind; None for all.
    """
    standing = standing_overrides(connection, as_of, setting)
    return [one for one in standing if one.starts_on is None or one.starts_on <= as_of]


def standing_overrides(connection: Connection, since: date, setting: str | None = None) -> list[Override]:
    """Return the overrides that hold on some day from ``since`` on, the oldest first: neither expired nor reverted."""
    t = tables.overrides
    query = select(t).where(t.c.reverted_at.is_(None), t.c.expires_on.is_(None) | (t.c.expires_on >= since))
    if setting is not None:
        query = query.where(t.c.setting == setting)
    return [_override(row) for row in connection.execute(query.order_by(t.c.id))]


def all_overrides(connection: Connection) -> list[Override]:
    """Return all overrides ever made, the oldest first."""
    t = tables.overrides
    return [_override(row) for row in connection.execute(select(t).order_by(t.c.id))]


def _override(row: Row[*tuple[Any, ...]]) -> Override:
    return Override(**{**row._mapping, "scope": row.scope or None})
