"""Backtests: runs that were asked for, and parts, the scores of one model at one cutoff, kept as they come.

A part is kept under a fingerprint of the data, the window and the model, so two runs that ask the same of the same
model share it, and a run that was cut off goes on where it was. As with fitted models, the store knows nothing of what
the bytes mean: the caller packs and unpacks them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select, update

from shelfwise.domain.errors import NotFound
from shelfwise.storage.database import insert_one
from shelfwise.storage.tables import backtest_parts, backtest_runs

KEPT: Final = 50
"""Newest runs that stay; older ones go, with the parts no other run has."""
PARTS: Final = "parts"
"""Where the fingerprints of a run's parts stand in its parameters."""


@dataclass(frozen=True)
class Run:
    """A backtest that was asked for.

    Parameters
    ----------
    id
        Its number.
    created_at
        When it was first asked for, shop time.
    parameters
        What was asked; under `PARTS` the fingerprint of each model's parts.
    summary
        What came of it; None while it is not finished.
    """

    id: int
    created_at: datetime
    parameters: dict[str, Any]
    summary: dict[str, Any] | None


def begin(connection: Connection, fingerprint: str, *, parameters: Mapping[str, Any], created_at: datetime) -> int:
    """Return the number of the run with that fingerprint, made where there is none; let the oldest runs go."""
    t = backtest_runs
    known = connection.scalar(select(t.c.id).where(t.c.fingerprint == fingerprint))
    if known is not None:
        return int(known)
    values = {"fingerprint": fingerprint, "created_at": created_at, "parameters": dict(parameters)}
    number = insert_one(connection, t, values)
    newest = list(connection.scalars(select(t.c.id).order_by(t.c.id.desc()).limit(KEPT)))
    if connection.execute(delete(t).where(t.c.id.not_in(newest))).rowcount:
        _drop_parts_of_no_run(connection)
    return number


def finish(connection: Connection, number: int, summary: Mapping[str, Any]) -> None:
    """Keep what came of a run."""
    _row(connection, number)
    connection.execute(update(backtest_runs).where(backtest_runs.c.id == number).values(summary=dict(summary)))


def runs(connection: Connection) -> list[Run]:
    """Return all runs, the newest first."""
    return [_run(row) for row in connection.execute(select(backtest_runs).order_by(backtest_runs.c.id.desc()))]


def run(connection: Connection, number: int) -> Run:
    """Return one run.

    Raises
    ------
    NotFound
        There is no such run.
    """
    return _run(_row(connection, number))


def remove(connection: Connection, number: int) -> None:
    """Delete a run, and the parts that no other run has.

    Raises
    ------
    NotFound
        There is no such run.
    """
    _row(connection, number)
    connection.execute(delete(backtest_runs).where(backtest_runs.c.id == number))
    _drop_parts_of_no_run(connection)


def save_part(connection: Connection, fingerprint: str, cutoff: str, *, payload: bytes, created_at: datetime) -> None:
    """Keep the scores of one model at one cutoff in place of earlier ones."""
    t = backtest_parts
    connection.execute(delete(t).where(t.c.fingerprint == fingerprint, t.c.cutoff == cutoff))
    connection.execute(
        insert(t).values(
            fingerprint=fingerprint,
            cutoff=cutoff,
            created_at=created_at,
            sha256=sha256(payload).hexdigest(),
            payload=payload,
        )
    )


def parts(connection: Connection, fingerprints: Collection[str]) -> dict[tuple[str, str], bytes]:
    """Return parts by fingerprint and cutoff; one whose bytes are not what was saved is left out: score it anew."""
    t = backtest_parts
    rows = connection.execute(
        select(t.c.fingerprint, t.c.cutoff, t.c.sha256, t.c.payload)
        .where(t.c.fingerprint.in_(list(fingerprints)))
        .order_by(t.c.cutoff, t.c.id)
    )
    return {(row[0], row[1]): bytes(row[3]) for row in rows if sha256(bytes(row[3])).hexdigest() == row[2]}


def cutoffs_of_parts(connection: Connection) -> dict[str, int]:
    """Return at how many cutoffs each fingerprint has a part."""
    found: dict[str, int] = {}
    for fingerprint in connection.scalars(select(backtest_parts.c.fingerprint)):
        found[fingerprint] = found.get(fingerprint, 0) + 1
    return found


def forget_parts(connection: Connection, fingerprints: Collection[str]) -> None:
    """Delete parts, so that they are worked out anew."""
    connection.execute(delete(backtest_parts).where(backtest_parts.c.fingerprint.in_(list(fingerprints))))


def _drop_parts_of_no_run(connection: Connection) -> None:
    wanted = {each for one in runs(connection) for each in one.parameters.get(PARTS, {}).values()}
    forget_parts(connection, cutoffs_of_parts(connection).keys() - wanted)


def _row(connection: Connection, number: int) -> Row[Any]:
    row = connection.execute(select(backtest_runs).where(backtest_runs.c.id == number)).first()
    if row is None:
        raise NotFound(f"there is no backtest {number}; `shelfwise backtests` lists those there are")
    return row


def _run(row: Row[Any]) -> Run:
    return Run(row.id, row.created_at, row.parameters, row.summary)
