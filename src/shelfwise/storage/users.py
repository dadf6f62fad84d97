"""Users, their API tokens, sessions and one-time links, and the keys that sign sessions.

All moments here are UTC, without a zone. Tokens, refresh tokens and links come in as SHA-256, in hexadecimal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from shelfwise.domain.errors import ConflictError, NotFound
from shelfwise.storage.database import insert_one
from shelfwise.storage.tables import api_tokens, sessions, sign_in_links, signing_keys, users


@dataclass(frozen=True)
class User:
    """Someone, or something, that may use the service.

    Parameters
    ----------
    password_hash
        Argon2id in its own notation; None for a user who signs in by link or token alone.
    password_is_weak
        The password is too short, or known, to be used from other machines.
    models
        Names of the models the user may ask; None for all.
    """

    id: int
    name: str
    role: str
    password_hash: str | None
    password_is_weak: bool
    models: tuple[str, ...] | None
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True)
class ApiToken:
    """An API token without its secret; ``scopes`` are words between spaces, ``models`` as of a user."""

    id: int
    user_id: int
    name: str
    scopes: str
    models: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True)
class Session:
    """A session; ``expires_at`` is when even its refresh token no longer renews it."""

    id: str
    user_id: int
    refresh_hash: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class SigningKey:
    """A key that signs sessions: PEM for ES256 and EdDSA, text for HS256; until ``expires_at`` it verifies."""

    kid: str
    algorithm: str
    private_key: str
    created_at: datetime
    expires_at: datetime


def add_user(connection: Connection, name: str, role: str, created_at: datetime, **given: Any) -> User:
    """Add a user; ``given`` are more columns.

    Raises
    ------
    ConflictError
        There is one of that name.
    """
    if user_named(connection, name) is not None:
        raise ConflictError(f"there is a user {name} already; choose another name")
    values = {"name": name, "role": role, "created_at": created_at, "password_is_weak": False, **given}
    insert_one(connection, users, values)
    return user(connection, name)


def user(connection: Connection, name: str) -> User:
    """Return the user of that name.

    Raises
    ------
    NotFound
        There is none.
    """
    found = user_named(connection, name)
    if found is None:
        raise NotFound(f"there is no user {name}; `shelfwise user list` lists them")
    return found


def user_named(connection: Connection, name: str) -> User | None:
    """Return the user of that name, None if there is none."""
    row = connection.execute(select(users).where(users.c.name == name)).first()
    return None if row is None else _user(row)


def all_users(connection: Connection) -> list[User]:
    """Return all users by name."""
    return [_user(row) for row in connection.execute(select(users).order_by(users.c.name))]


def change_user(connection: Connection, user_id: int, **values: Any) -> None:
    """Change columns of a user."""
    connection.execute(update(users).where(users.c.id == user_id).values(**values))


def add_token(connection: Connection, user_id: int, *, hash: str, created_at: datetime, **given: Any) -> int:
    """Add an API token, ``given`` its other columns; return its number."""
    return insert_one(connection, api_tokens, {"user_id": user_id, "hash": hash, "created_at": created_at, **given})


def token_of(connection: Connection, hash: str) -> tuple[ApiToken, User] | None:
    """Return the token with that hash and its user, None if there is none."""
    row = connection.execute(select(api_tokens).where(api_tokens.c.hash == hash)).first()
    return None if row is None else (_token(row), _user_of(connection, row.user_id))


def all_tokens(connection: Connection) -> list[tuple[ApiToken, str]]:
    """Return all tokens, revoked ones too, with the names of their users, the newest first."""
    query = select(api_tokens, users.c.name.label("user_name")).join_from(api_tokens, users)
    return [(_token(row), row.user_name) for row in connection.execute(query.order_by(api_tokens.c.id.desc()))]


def revoke_token(connection: Connection, number: int, at: datetime) -> ApiToken:
    """Revoke a token, and return it; one that is revoked stays as it is.

    Raises
    ------
    NotFound
        There is none of that number.
    """
    row = connection.execute(select(api_tokens).where(api_tokens.c.id == number)).first()
    if row is None:
        raise NotFound(f"there is no API token {number}; `shelfwise token list` lists them")
    connection.execute(
        update(api_tokens).where(api_tokens.c.id == number, api_tokens.c.revoked_at.is_(None)).values(revoked_at=at)
    )
    return _token(row)


def touch_token(connection: Connection, number: int, at: datetime) -> None:
    """Write down that a token was used."""
    connection.execute(update(api_tokens).where(api_tokens.c.id == number).values(last_used_at=at))


def add_session(connection: Connection, session: Session) -> None:
    """Add a session, and forget those that expired before it began."""
    connection.execute(delete(sessions).where(sessions.c.expires_at < session.created_at))
    connection.execute(insert(sessions), session.__dict__)


def session_of(connection: Connection, session_id: str) -> tuple[Session, User] | None:
    """Return a session and its user, None if there is none."""
    row = connection.execute(select(sessions).where(sessions.c.id == session_id)).first()
    return None if row is None else (Session(**row._mapping), _user_of(connection, row.user_id))


def renew_session(connection: Connection, session_id: str, *, old: str, new: str) -> bool:
    """Put a new refresh token in the place of the old one; False if the old one is not the session's."""
    t = sessions
    done = connection.execute(update(t).where(t.c.id == session_id, t.c.refresh_hash == old).values(refresh_hash=new))
    return done.rowcount == 1


def end_session(connection: Connection, session_id: str, at: datetime) -> None:
    """End one session."""
    t = sessions
    connection.execute(update(t).where(t.c.id == session_id, t.c.ended_at.is_(None)).values(ended_at=at))


def end_sessions_of(connection: Connection, user_id: int, at: datetime, *, but: str = "") -> None:
    """End all sessions of a user, ``but`` the one of that id, and take back the links they have not used."""
    t = sessions
    theirs = (t.c.user_id == user_id, t.c.ended_at.is_(None), t.c.id != but)
    connection.execute(update(t).where(*theirs).values(ended_at=at))
    connection.execute(delete(sign_in_links).where(sign_in_links.c.user_id == user_id))


def add_link(connection: Connection, user_id: int, hash: str, *, now: datetime, expires_at: datetime) -> None:
    """Add a one-time link in the place of the user's earlier ones."""
    expired = sign_in_links.c.expires_at < now
    connection.execute(delete(sign_in_links).where(expired | (sign_in_links.c.user_id == user_id)))
    connection.execute(insert(sign_in_links), {"user_id": user_id, "hash": hash, "expires_at": expires_at})


def take_link(connection: Connection, hash: str, now: datetime) -> User | None:
    """Use a link up, and return its user; None if there is none, or no longer."""
    row = connection.execute(select(sign_in_links).where(sign_in_links.c.hash == hash)).first()
    if row is None:
        return None
    taken = connection.execute(delete(sign_in_links).where(sign_in_links.c.id == row.id)).rowcount
    return _user_of(connection, row.user_id) if taken == 1 and row.expires_at > now else None


def keys_valid_at(connection: Connection, now: datetime) -> list[SigningKey]:
    """Return the keys that still verify, the newest first."""
    t = signing_keys
    rows = connection.execute(select(t).where(t.c.expires_at > now).order_by(t.c.id.desc()))
    return [SigningKey(r.kid, r.algorithm, r.private_key, r.created_at, r.expires_at) for r in rows]


def add_key(connection: Connection, key: SigningKey) -> None:
    """Add a key, and forget those that expired before it was made."""
    connection.execute(delete(signing_keys).where(signing_keys.c.expires_at < key.created_at))
    connection.execute(insert(signing_keys), key.__dict__)


def _user_of(connection: Connection, user_id: int) -> User:
    return _user(connection.execute(select(users).where(users.c.id == user_id)).one())


def _user(row: Row[*tuple[Any, ...]]) -> User:
    return User(**{**row._mapping, "models": _models(row.models)})


def _token(row: Row[*tuple[Any, ...]]) -> ApiToken:
    names = ApiToken.__dataclass_fields__
    return ApiToken(**{name: row._mapping[name] for name in names if name != "models"}, models=_models(row.models))


def _models(stored: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if stored is None else tuple(stored)
