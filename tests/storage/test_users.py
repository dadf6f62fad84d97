"""Users, tokens, sessions, links, keys and the audit log, on every database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.storage.worlds import moment

from shelfwise.domain.errors import ConflictError, NotFound
from shelfwise.storage import audit, users
from shelfwise.storage.audit import Entry
from shelfwise.storage.database import Database
from shelfwise.storage.users import Session, SigningKey

NOW = moment("2026-01-05 09:00")
LATER = NOW + timedelta(days=1)


def test_a_user_is_added_once_changed_and_found(database: Database) -> None:
    with database.write() as connection:
        mia = users.add_user(connection, "mia", "planner", NOW, models=["trees"])
        ben = users.add_user(connection, "ben", "viewer", NOW)
        assert (mia.models, mia.password_is_weak, ben.models) == (("trees",), False, None)
        with pytest.raises(ConflictError, match="a user mia already"):
            users.add_user(connection, "mia", "viewer", NOW)
        users.change_user(connection, mia.id, role="admin", models=None, disabled_at=LATER, password_is_weak=True)
    with database.read() as connection:
        changed = users.user(connection, "mia")
        assert changed == replace(mia, role="admin", models=None, disabled_at=LATER, password_is_weak=True)
        assert [one.name for one in users.all_users(connection)] == ["ben", "mia"]
        assert users.user_named(connection, "eve") is None
        with pytest.raises(NotFound, match="no user eve"):
            users.user(connection, "eve")


def test_a_token_is_found_by_its_hash_touched_and_revoked_once(database: Database) -> None:
    with database.write() as connection:
        mia = users.add_user(connection, "mia", "planner", NOW)
        number = users.add_token(connection, mia.id, hash="a" * 64, created_at=NOW, name="till", scopes="read write")
        assert users.token_of(connection, "b" * 64) is None
        users.touch_token(connection, number, LATER)
        assert users.revoke_token(connection, number, LATER).revoked_at is None
        users.revoke_token(connection, number, LATER + timedelta(days=1))
        with pytest.raises(NotFound, match="no API token 77"):
            users.revoke_token(connection, 77, NOW)
    with database.read() as connection:
        found = users.token_of(connection, "a" * 64)
        assert found is not None
        token, owner = found
        assert owner == mia
        assert (token.id, token.scopes, token.models, token.expires_at) == (number, "read write", None, None)
        assert (token.last_used_at, token.revoked_at) == (LATER, LATER)
        assert users.all_tokens(connection) == [(token, "mia")]


def test_a_session_is_renewed_by_its_own_refresh_token_only_and_ends_once(database: Database) -> None:
    with database.write() as connection:
        mia = users.add_user(connection, "mia", "planner", NOW)
        first = Session("1" * 32, mia.id, "a", NOW, LATER, None)
        users.add_session(connection, first)
        assert users.session_of(connection, "1" * 32) == (first, mia)
        assert users.session_of(connection, "2" * 32) is None
        assert users.renew_session(connection, "1" * 32, old="a", new="b")
        assert not users.renew_session(connection, "1" * 32, old="a", new="c")
        users.end_session(connection, "1" * 32, NOW)
        users.end_session(connection, "1" * 32, LATER)
        found = users.session_of(connection, "1" * 32)
        assert found is not None
        assert (found[0].refresh_hash, found[0].ended_at) == ("b", NOW)
        # What has expired is forgotten when the next session begins.
        users.add_session(connection, Session("3" * 32, mia.id, "a", LATER + timedelta(1), LATER + timedelta(2), None))
        assert users.session_of(connection, "1" * 32) is None


def test_all_sessions_and_links_of_a_user_end_and_no_others(database: Database) -> None:
    with database.write() as connection:
        mia, ben = (users.add_user(connection, name, "planner", NOW) for name in ("mia", "ben"))
        for number, one in enumerate((mia, mia, ben)):
            users.add_session(connection, Session(str(number) * 32, one.id, "a", NOW, LATER, None))
        for one in (mia, ben):
            users.add_link(connection, one.id, one.name, now=NOW, expires_at=LATER)
        users.end_sessions_of(connection, mia.id, NOW)
        ended = [users.session_of(connection, str(number) * 32) for number in range(3)]
        assert [one[0].ended_at for one in ended if one] == [NOW, NOW, None]
        assert users.take_link(connection, "mia", NOW) is None
        assert users.take_link(connection, "ben", NOW) == ben


def test_a_link_is_taken_once_and_in_time(database: Database) -> None:
    with database.write() as connection:
        mia = users.add_user(connection, "mia", "planner", NOW)
        users.add_link(connection, mia.id, "first", now=NOW, expires_at=LATER)
        users.add_link(connection, mia.id, "second", now=NOW, expires_at=LATER)
        assert users.take_link(connection, "first", NOW) is None
        assert users.take_link(connection, "second", NOW) == mia
        assert users.take_link(connection, "second", NOW) is None
        users.add_link(connection, mia.id, "third", now=NOW, expires_at=LATER)
        assert users.take_link(connection, "third", LATER) is None


def test_keys_come_newest_first_until_they_expire(database: Database) -> None:
    keys = [SigningKey(f"k{n}", "EdDSA", "pem", NOW + timedelta(n), NOW + timedelta(n + 2)) for n in range(2)]
    with database.write() as connection:
        for key in keys:
            users.add_key(connection, key)
        assert users.keys_valid_at(connection, NOW) == keys[::-1]
        assert users.keys_valid_at(connection, NOW + timedelta(2)) == keys[1:]
        third = SigningKey("k2", "HS256", "s", NOW + timedelta(9), NOW + timedelta(10))
        users.add_key(connection, third)
        assert users.keys_valid_at(connection, NOW) == [third]


def test_the_audit_log_keeps_every_text_and_pages_from_the_newest(database: Database) -> None:
    odd = Entry(NOW, "mia", "token 7 (till)", "POST /x", "Käse 🧀 '; DROP", 201, "r1", "2001:db8::1")
    with database.write() as connection:
        audit.append(connection, [])
        audit.append(connection, [odd, *(replace(odd, subject=str(n), status=None) for n in range(4))])
    with database.read() as connection:
        found = audit.latest(connection, limit=2)
        assert [one.subject for one in found] == ["3", "2"]
        rest = audit.latest(connection, before=found[-1].id)
        assert [one.subject for one in rest] == ["1", "0", odd.subject]
        assert {**rest[-1].__dict__, "id": 0} == {**odd.__dict__, "id": 0}
