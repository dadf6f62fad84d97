"""Scenarios: what-if questions that were given a name, and what came of them.

A scenario stays with the plan run it was asked of, because its answer was drawn from that run's forecast. Names are
unique; saving under a name that is taken replaces what it stood for only where the caller says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from shelfwise.domain.errors import ConflictError, NotFound, ParameterError
from shelfwise.storage.database import insert_one
from shelfwise.storage.tables import CODE_LENGTH, scenarios


@dataclass(frozen=True)
class Scenario:
    """A saved what-if.

    Parameters
    ----------
    name
        What the planner calls it.
    run_id
        The plan run it was asked of.
    edits
        What was changed.
    summary
        The totals as they are, as they would be, and the difference.
    lines
        The same line by line.
    created_by, created_at
        Who saved it, and when in shop time.
    """

    name: str
    run_id: int
    edits: dict[str, Any]
    summary: dict[str, Any]
    lines: list[dict[str, Any]]
    created_by: str
    created_at: datetime


def save(connection: Connection, scenario: Scenario, *, replace: bool = False) -> None:
    """Keep a scenario under its name.

    Raises
    ------
    ParameterError
        The name is empty or too long.
    ConflictError
        The name is taken and ``replace`` was not said.
    """
    if not 0 < len(scenario.name) <= CODE_LENGTH:
        raise ParameterError(f"a scenario's name has 1 to {CODE_LENGTH} characters, got {len(scenario.name)}")
    t = scenarios
    if connection.scalar(select(t.c.id).where(t.c.name == scenario.name)) is not None:
        if not replace:
            raise ConflictError(f"there is a scenario {scenario.name!r} already; take another name or replace it")
        connection.execute(delete(t).where(t.c.name == scenario.name))
    insert_one(connection, t, vars(scenario))


def scenario(connection: Connection, name: str) -> Scenario:
    """Return the scenario of that name.

    Raises
    ------
    NotFound
        There is none; the message lists those there are.
    """
    row = connection.execute(select(scenarios).where(scenarios.c.name == name)).one_or_none()
    if row is None:
        there = ", ".join(known.name for known in every(connection)) or "none is saved"
        raise NotFound(f"there is no scenario {name!r}; saved are: {there}")
    return _scenario(row)


def every(connection: Connection) -> Sequence[Scenario]:
    """Return all scenarios, the newest first."""
    rows = connection.execute(select(scenarios).order_by(scenarios.c.created_at.desc(), scenarios.c.id.desc()))
    return [_scenario(row) for row in rows]


def remove(connection: Connection, name: str) -> None:
    """Delete the scenario of that name; `NotFound` where there is none."""
    scenario(connection, name)
    connection.execute(delete(scenarios).where(scenarios.c.name == name))


def _scenario(row: Row[Any]) -> Scenario:
    return Scenario(row.name, row.run_id, row.edits, row.summary, row.lines, row.created_by, row.created_at)
