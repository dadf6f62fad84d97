"""Users and API tokens: added, changed, listed; the owner of a new shop; and whether other machines may be let in."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from shelfwise.app import App
from shelfwise.domain.addresses import is_loopback
from shelfwise.domain.errors import ConflictError, ParameterError
from shelfwise.services import actor, auditing, passwords
from shelfwise.services.access import TOKEN_PREFIX, digest
from shelfwise.services.actor import ROLES
from shelfwise.services.session_tokens import utc_now
from shelfwise.storage import users as stored
from shelfwise.storage.users import ApiToken as ApiToken
from shelfwise.storage.users import User as User

OWNER: Final = "owner"
LINK_MINUTES: Final = 10
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_TOKEN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@/-]{0,99}")
_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class NewToken:
    """An API token, with its secret, which is told this once and kept nowhere."""

    token: ApiToken
    user: str
    secret: str


@dataclass(frozen=True)
class Start:
    """What the person who starts the service is told: the code of a one-time link, and the first start's API token."""

    user: str
    code: str
    token: str | None


def listed(app: App) -> list[User]:
    """Return all users by name."""
    with app.database.read() as connection:
        return stored.all_users(connection)


def add(app: App, name: str, role: str, *, password: str | None = None, models: Sequence[str] | None = None) -> User:
    """Add a user.

    Parameters
    ----------
    role
        viewer, planner, admin or service.
    password
        None for one who signs in by link or token alone.
    models
        Names of the models the user may ask; None for all.

    Raises
    ------
    ParameterError
        Name, role or password break their rule.
    ConflictError
        There is a user of that name.
    """
    named = user_name(name)
    given = _hashed(app, named, password) if password is not None else {}
    with app.database.write() as connection:
        known = actor.role(role)
        user = stored.add_user(connection, named, known, utc_now(), models=_models(models), **given)
        auditing.by_hand(connection, "user add", f"{named} as {known}")
    return user


def change(
    app: App,
    name: str,
    *,
    role: str | None = None,
    password: str | None = None,
    disabled: bool | None = None,
    models: Sequence[str] | None = None,
    every_model: bool = False,
) -> User:
    """Change a user; None leaves a thing as it is. A new password and disabling end the user's sessions.

    Parameters
    ----------
    every_model
        Lift the limit to named models.

    Raises
    ------
    ParameterError
        Role or password break their rule.
    ConflictError
        It would leave the shop without an admin.
    """
    named, now = user_name(name), utc_now()
    values = _hashed(app, named, password) if password is not None else {}
    if role is not None:
        values["role"] = actor.role(role)
    if models is not None or every_model:
        values["models"] = None if every_model else _models(models)
    with app.database.write() as connection:
        user = stored.user(connection, named)
        if disabled is not None and disabled != (user.disabled_at is not None):
            values["disabled_at"] = now if disabled else None
        if user.role == "admin" and (values.get("role", "admin") != "admin" or values.get("disabled_at")):
            _keep_an_admin(connection, user)
        if values:
            stored.change_user(connection, user.id, **values)
        if password is not None or values.get("disabled_at"):
            stored.end_sessions_of(connection, user.id, now)
        what = ", ".join(sorted({"password" if name.startswith("password") else name for name in values}))
        auditing.by_hand(connection, "user change", f"{named}: {what}")
        return stored.user(connection, named)


def tokens(app: App) -> list[tuple[ApiToken, str]]:
    """Return all API tokens with their users, revoked ones too, the newest first."""
    with app.database.read() as connection:
        return stored.all_tokens(connection)


def create_token(
    app: App,
    user: str,
    name: str,
    *,
    scopes: Iterable[str] | None = None,
    days: int | None = None,
    models: Sequence[str] | None = None,
) -> NewToken:
    """Make an API token for a user; its secret is in the answer and nowhere else.

    Parameters
    ----------
    name
        What it is for.
    scopes
        Of read, write, admin; None for all that the user's role allows.
    days
        Days for which it is valid; None until it is revoked.
    models
        Models it may ask, of those the user may; None for all of them.

    Raises
    ------
    ParameterError
        Name, scopes or days break their rule.
    NotFound
        There is no such user.
    """
    if not _TOKEN_NAME.fullmatch(name):
        raise ParameterError(
            f"an API token is named by letters, digits, spaces and ._@/-, at most 100, got {name!r}; say what it is for"
        )
    if days is not None and not 1 <= days <= 3650:
        raise ParameterError(f"an API token is valid for 1 to 3,650 days, got {days:,}")
    with app.database.write() as connection:
        owner = stored.user(connection, user_name(user))
        return _new_token(connection, owner, name, _scopes(owner, scopes), days, _models(models))


def revoke_token(app: App, number: int) -> ApiToken:
    """Revoke an API token; a second time changes nothing.

    Raises
    ------
    NotFound
        There is none of that number.
    """
    with app.database.write() as connection:
        token = stored.revoke_token(connection, number, utc_now())
        auditing.by_hand(connection, "token revoke", f"{number} ({token.name})")
    return token


def link(app: App, name: str) -> str:
    """Return the code of a one-time link that signs a user in, for `LINK_MINUTES`; earlier links are taken back.

    Raises
    ------
    NotFound
        There is no such user.
    ConflictError
        The user is disabled.
    """
    with app.database.write() as connection:
        user = stored.user(connection, user_name(name))
        if user.disabled_at is not None:
            raise ConflictError(f"{user.name} is disabled; enable the user first")
        auditing.by_hand(connection, "user link", user.name)
        return _new_link(connection, user)


def start_on_loopback(app: App) -> Start | None:
    """Return a one-time link for the shop's first admin, and make the owner, with an API token, where there is no user.

    Whoever starts the service can read the database file, so this gives nothing that was not there before.
    """
    with app.database.write() as connection:
        every = stored.all_users(connection)
        admins = [user for user in every if user.role == "admin" and user.disabled_at is None]
        if every and not admins:
            return None
        if admins:
            first = min(admins, key=lambda user: user.id)
            return Start(first.name, _new_link(connection, first), None)
        owner = stored.add_user(connection, OWNER, "admin", utc_now())
        auditing.by_hand(connection, "user add", f"{OWNER} as admin, by the first start")
        made = _new_token(connection, owner, "first start", _scopes(owner, None), None, None)
        return Start(OWNER, _new_link(connection, owner), made.secret)


def check_reachable(app: App, host: str) -> None:
    """Refuse to let other machines in where nobody could prove who asks, or anybody could guess how.

    Raises
    ------
    ParameterError
        No user has a password or an API token, or one has a password that is short or known.
    """
    if app.settings.authentication == "none":
        raise ParameterError(
            f"host {host} can be reached from other machines, and nobody is asked who they are there; serve on "
            "127.0.0.1, or without --no-authentication"
        )
    with app.database.read() as connection:
        usable = [user for user in stored.all_users(connection) if user.disabled_at is None]
        held = {token.user_id for token, _ in stored.all_tokens(connection) if token.revoked_at is None}
    if not any(user.password_hash is not None or user.id in held for user in usable):
        raise ParameterError(
            f"host {host} can be reached from other machines, and no user has a password or an API token; add one "
            "first: shelfwise user add NAME --role admin"
        )
    weak = [user.name for user in usable if user.password_is_weak]
    if weak:
        raise ParameterError(
            f"host {host} can be reached from other machines, and the password of {weak[0]} is short or known to "
            f"everybody; give another: shelfwise user password {weak[0]}"
        )


def user_name(name: str) -> str:
    """Return a user's name as it is stored.

    >>> user_name(" Mia ")
    'mia'
    """
    found = name.strip().casefold()
    if not _NAME.fullmatch(found):
        raise ParameterError(
            f"a user's name has 1 to 64 of a-z, 0-9 and ._@-, and begins with a letter or digit, got {name!r}"
        )
    return found


def _hashed(app: App, name: str, password: str) -> dict[str, object]:
    weak = passwords.weakness(name, password)
    if weak is not None and not is_loopback(app.settings.host):
        raise ParameterError(f"this password {weak}; choose a longer one that nobody else uses")
    return {"password_hash": passwords.hash_of(password), "password_is_weak": weak is not None}


def _keep_an_admin(connection: Any, leaving: User) -> None:
    others = [u for u in stored.all_users(connection) if u.role == "admin" and u.disabled_at is None]
    if [user.name for user in others] == [leaving.name]:
        raise ConflictError(f"{leaving.name} is the only admin; make another user admin first")


def _new_token(
    connection: Any, owner: User, name: str, scopes: str, days: int | None, models: list[str] | None
) -> NewToken:
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    now = utc_now()
    expires: datetime | None = None if days is None else now + timedelta(days=days)
    number = stored.add_token(
        connection, owner.id, hash=digest(secret), created_at=now, name=name, scopes=scopes, models=models,
        expires_at=expires,
    )  # fmt: skip
    auditing.by_hand(connection, "token create", f"{number} ({name}) of {owner.name}: {scopes}")
    kept = None if models is None else tuple(models)
    return NewToken(ApiToken(number, owner.id, name, scopes, kept, now, expires, None, None), owner.name, secret)


def _new_link(connection: Any, user: User) -> str:
    code, now = secrets.token_urlsafe(32), utc_now()
    stored.add_link(connection, user.id, digest(code), now=now, expires_at=now + timedelta(minutes=LINK_MINUTES))
    return code


def _scopes(owner: User, wanted: Iterable[str] | None) -> str:
    allowed = ROLES[actor.role(owner.role)]
    given = set(allowed) if wanted is None else set(wanted)
    if not given or given - allowed:
        raise ParameterError(
            f"scopes of {owner.name}, in the role {owner.role}, are some of {', '.join(sorted(allowed))}, "
            f"got {', '.join(sorted(given)) or 'none'}"
        )
    return " ".join(sorted(given))


def _models(names: Sequence[str] | None) -> list[str] | None:
    for name in names or ():
        if not _MODEL.fullmatch(name):
            raise ParameterError(f"a model is named by letters, digits and ._-, at most 64, got {name!r}")
    return None if names is None else sorted(set(names))
