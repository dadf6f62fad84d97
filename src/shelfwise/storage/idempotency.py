"""Answers kept under the keys of the requests that got them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from shelfwise.storage.tables import idempotency_keys


@dataclass(frozen=True)
class Kept:
    """What is kept under a key.

    Parameters
    ----------
    owner, key
        Whose key it is, and the key.
    fingerprint
        Of the request that came first under it.
    expires_at
        Seconds since 1970, UTC; from then on nothing is kept.
    status, media_type, answer
        The answer; ``status`` is None while it is being made.
    """

    owner: str
    key: str
    fingerprint: str
    expires_at: int
    status: int | None = None
    media_type: str | None = None
    answer: bytes | None = None


def kept(connection: Connection, keys: Iterable[tuple[str, str]], now: float) -> dict[tuple[str, str], Kept]:
    """Return what is kept under each of these (owner, key) at ``now``, seconds since 1970; those of nothing are left
    out.
    """
    wanted = set(keys)
    if not wanted:
        return {}
    t = idempotency_keys.c
    query = select(t.owner, t.key, t.fingerprint, t.expires_at, t.status, t.media_type, t.answer).where(
        t.owner.in_({owner for owner, _ in wanted}), t.key.in_({key for _, key in wanted}), t.expires_at > int(now)
    )
    found = (Kept(*row) for row in connection.execute(query))
    return {(one.owner, one.key): one for one in found if (one.owner, one.key) in wanted}


def keep(connection: Connection, answers: Iterable[Kept]) -> None:
    """Keep these, each in the place of what its key had before."""
    rows = [
        {
            "owner": one.owner, "key": one.key, "fingerprint": one.fingerprint, "status": one.status,
            "media_type": one.media_type, "answer": one.answer, "expires_at": one.expires_at,
        }
        for one in answers
    ]  # fmt: skip
    if rows:
        for owner in {row["owner"] for row in rows}:
            forget(connection, str(owner), *(str(row["key"]) for row in rows if row["owner"] == owner))
        connection.execute(insert(idempotency_keys), rows)


def forget(connection: Connection, owner: str, *keys: str) -> None:
    """Make keys free again."""
    t = idempotency_keys
    connection.execute(delete(t).where(t.c.owner == owner, t.c.key.in_(keys)))


def forget_expired(connection: Connection, now: float) -> int:
    """Remove what has expired by ``now``, seconds since 1970; return how many keys that were."""
    t = idempotency_keys
    return connection.execute(delete(t).where(t.c.expires_at <= int(now))).rowcount
