"""Scenarios in the store: kept under a name, never replaced unasked, gone when removed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from tests.storage.worlds import moment

from shelfwise.domain.errors import ConflictError, NotFound, ParameterError
from shelfwise.storage import plans, scenarios
from shelfwise.storage.database import Database
from shelfwise.storage.scenarios import Scenario

NOON = moment("2026-11-21T12:00:00")


def a_scenario(connection, name="warm winter"):
    run = plans.save_run(
        connection, created_at=NOON, data_until=date(2026, 11, 20), horizon=28, model="m 1", seed=0, parameters={}
    )
    lines = [{"unique_id": "tea@shop", "quantity": 12.0}]
    return Scenario(name, run, {"demand": 1.1}, {"spend": [10.0, 11.5]}, lines, "Ada", NOON)


def test_a_scenario_comes_back_as_it_was_saved(database: Database) -> None:
    with database.write() as connection:
        saved = a_scenario(connection)
        scenarios.save(connection, saved)
    with database.read() as connection:
        assert scenarios.scenario(connection, "warm winter") == saved
        assert scenarios.every(connection) == [saved]


def test_a_name_that_is_taken_is_replaced_only_where_that_is_said(database: Database) -> None:
    with database.write() as connection:
        saved = a_scenario(connection)
        scenarios.save(connection, saved)
        other = replace(saved, edits={"demand": 0.9})
        with pytest.raises(ConflictError, match="'warm winter' already"):
            scenarios.save(connection, other)
        scenarios.save(connection, other, replace=True)
        assert scenarios.every(connection) == [other]


def test_a_scenario_nobody_saved_is_told_with_those_there_are(database: Database) -> None:
    with database.write() as connection:
        with pytest.raises(NotFound, match="none is saved"):
            scenarios.remove(connection, "cold winter")
        scenarios.save(connection, a_scenario(connection))
        with pytest.raises(NotFound, match="saved are: warm winter"):
            scenarios.scenario(connection, "cold winter")
        scenarios.remove(connection, "warm winter")
        assert scenarios.every(connection) == []


def test_a_scenario_has_a_name(database: Database) -> None:
    with database.write() as connection, pytest.raises(ParameterError, match="1 to 255 characters, got 0"):
        scenarios.save(connection, a_scenario(connection, name=""))
