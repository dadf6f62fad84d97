"""Fitted models, kept as bytes under a fingerprint of what they were fitted on, so that none is fitted twice.

As with published forecasts, the store knows nothing of what the bytes mean: the caller packs plain arrays.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from shelfwise.storage.tables import fitted_models

KEPT: Final = 4
"""Newest fitted models that stay; a day's work needs one or two."""


def save(
    connection: Connection, fingerprint: str, *, model: str, version: str, payload: bytes, created_at: datetime
) -> None:
    """Keep a fitted model in place of an earlier one of the same fingerprint, and let the oldest go."""
    t = fitted_models
    connection.execute(delete(t).where(t.c.fingerprint == fingerprint))
    connection.execute(
        insert(t).values(
            fingerprint=fingerprint,
            model=model,
            version=version,
            created_at=created_at,
            sha256=sha256(payload).hexdigest(),
            payload=payload,
        )
    )
    newest = list(connection.scalars(select(t.c.id).order_by(t.c.id.desc()).limit(KEPT)))
    connection.execute(delete(t).where(t.c.id.not_in(newest)))


def load(connection: Connection, fingerprint: str) -> bytes | None:
    """Return a fitted model, or None where there is none or its bytes are not those that were saved: fit anew."""
    t = fitted_models
    row = connection.execute(select(t.c.payload, t.c.sha256).where(t.c.fingerprint == fingerprint)).first()
    if row is None or sha256(bytes(row[0])).hexdigest() != row[1]:
        return None
    return bytes(row[0])
