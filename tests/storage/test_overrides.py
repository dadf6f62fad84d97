"""Overrides: kept with who, when and why, and never changed."""

from __future__ import annotations

from datetime import date

import pytest
from tests.storage.worlds import moment

from shelfwise.domain.errors import ConflictError, NotFound, ParameterError
from shelfwise.storage import overrides
from shelfwise.storage.database import Database

NOW = moment("2026-01-05 09:00")


def test_overrides_hold_from_their_first_day_to_their_last_until_reverted(database: Database) -> None:
    common = {"reason": "trade fair", "created_by": "Mia", "created_at": NOW}
    with database.write() as connection:
        always = overrides.add_override(
            connection, setting="service_level", value=0.98, scope_kind="shop", scope=None, **common
        )
        fair = overrides.add_override(
            connection,
            setting="uplift",
            value={"percent": 20},
            scope_kind="product",
            scope="tea",
            starts_on=date(2026, 3, 1),
            expires_on=date(2026, 3, 5),
            **common,
        )

        def active(day: str) -> list[int]:
            return [one.id for one in overrides.active_overrides(connection, date.fromisoformat(day))]

        assert active("2026-02-28") == active("2026-03-06") == [always]
        assert active("2026-03-01") == active("2026-03-05") == [always, fair]
        overrides.revert_override(connection, always, reverted_by="Ben", reverted_at=NOW)
        assert active("2026-03-05") == [fair]
        first, second = overrides.all_overrides(connection)
        assert (first.reverted_by, first.scope, second.value, second.scope) == ("Ben", None, {"percent": 20}, "tea")
        with pytest.raises(ConflictError, match="reverted by Ben already"):
            overrides.revert_override(connection, always, reverted_by="Mia", reverted_at=NOW)
        with pytest.raises(NotFound, match="no override 77"):
            overrides.revert_override(connection, 77, reverted_by="Mia", reverted_at=NOW)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"reason": ""}, "needs a reason"),
        ({"starts_on": date(2026, 2, 2), "expires_on": date(2026, 2, 1)}, "cannot expire on 2026-02-01"),
    ],
)
def test_an_override_must_make_sense(database: Database, given: dict[str, object], words: str) -> None:
    whole = {"setting": "s", "value": 1, "scope_kind": "shop", "scope": None, "reason": "r"} | given
    with database.write() as connection, pytest.raises(ParameterError, match=words):
        overrides.add_override(connection, created_by="Mia", created_at=NOW, **whole)


def test_overrides_that_begin_later_stand_but_do_not_hold_yet(database: Database) -> None:
    common = {"scope_kind": "shop", "scope": None, "reason": "r", "created_by": "Mia", "created_at": NOW}
    with database.write() as connection:
        later = overrides.add_override(
            connection, setting="forecast", value={"factor": 2}, starts_on=date(2026, 3, 1), **common
        )
        overrides.add_override(connection, setting="order", value={"quantity": 2}, **common)
        assert overrides.active_overrides(connection, date(2026, 2, 1), "forecast") == []
        assert [one.id for one in overrides.standing_overrides(connection, date(2026, 2, 1), "forecast")] == [later]
