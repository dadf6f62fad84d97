"""Who asks: API tokens and sessions proved, sign-in by password or one-time link, renewal, and signing out.

What was proved is remembered for `REMEMBERED_SECONDS`, so that most requests cost no look into the database; that is
also how long a token revoked by another process goes on being taken. In this process `Access.forget` ends that at once.
"""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final

from shelfwise.app import App
from shelfwise.domain.errors import AccessDenied, NotSignedIn, ParameterError, TooManyAttempts
from shelfwise.services import actor, auditing, passwords
from shelfwise.services.actor import ROLES, Principal, Scope
from shelfwise.services.auditing import AuditLog
from shelfwise.services.passwords import Passwords
from shelfwise.services.session_tokens import SessionTokens, utc_now
from shelfwise.storage import users
from shelfwise.storage.users import Session, User

TOKEN_PREFIX: Final = "sw_"  # noqa: S105  (so that a leaked one is seen to be one)
REFRESH_PREFIX: Final = "sr_"
REMEMBERED_SECONDS: Final = 3.0
MOST_REMEMBERED: Final = 20_000
TOUCHED_SECONDS: Final = 60
LONGEST_CREDENTIAL: Final = 4096
ATTEMPTS_PER_NAME: Final = 10
ATTEMPTS_SECONDS: Final = 60.0
MOST_NAMES: Final = 10_000
_WRONG: Final = "name and password do not fit, or the user may not sign in; ask an admin of this shop"
_UNKNOWN: Final = "this API token is not known, has expired, or was revoked; make one with: shelfwise token create"


@dataclass(frozen=True)
class SignedIn:
    """A session that has begun or was renewed.

    Parameters
    ----------
    token, expires_in
        The session token, and the seconds for which it is valid.
    refresh_token
        What renews it, once.
    """

    user: User
    token: str
    expires_in: int
    refresh_token: str


def digest(secret: str) -> str:
    """Return what is stored of a token: its SHA-256. 32 random bytes need no slow hash, nobody guesses them."""
    return sha256(secret.encode()).hexdigest()


class Access:
    """Proves who asks, for one served shop.

    Parameters
    ----------
    reachable
        Whether other machines can reach the service, so that weak passwords are not taken.
    """

    def __init__(self, shop: App, audit: AuditLog, *, reachable: bool = False):
        self._shop, self._audit, self._reachable = shop, audit, reachable
        self._passwords = Passwords()
        self._tokens = SessionTokens(shop)
        self._remembered: dict[bytes, tuple[Principal, float]] = {}
        self._known: dict[bytes, None] = {}
        self._generation = 0
        self._attempts: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def remembered(self, credential: bytes) -> Principal | None:
        """Return whom a token was of when it was proved lately; in 2 microseconds, and never wrong about a forgery."""
        found = self._remembered.get(sha256(credential).digest())
        return found[0] if found is not None and found[1] > time.monotonic() else None

    def known(self, credential: bytes) -> bool:
        """Whether a token was good when it was proved last, however long ago."""
        return sha256(credential).digest() in self._known

    def prove(self, credential: bytes) -> Principal:
        """Return whom a token, of either kind, is of; it reads the database.

        Raises
        ------
        NotSignedIn
            The token is unknown, forged, expired or revoked, or its user is disabled.
        """
        generation = self._generation
        try:
            text = credential.decode("ascii")
        except UnicodeDecodeError:
            raise NotSignedIn(_UNKNOWN) from None
        if len(text) > LONGEST_CREDENTIAL:
            raise NotSignedIn(_UNKNOWN)
        key = sha256(credential).digest()
        try:
            found = self._of_token(text) if text.startswith(TOKEN_PREFIX) else self._of_session(text)
        except NotSignedIn:
            self._known.pop(key, None)
            raise
        with self._lock:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
                self._remembered.clear()
            self._known[key] = None
            # What was looked up before a change must not be remembered after it.
            if generation == self._generation:
                self._remembered[key] = found, time.monotonic() + REMEMBERED_SECONDS
        return found

    def forget(self) -> None:
        """Prove every token anew from now on: a user, a token or a session has changed."""
        with self._lock:
            self._generation += 1
            self._remembered.clear()

    def sign_in(self, name: str, password: str) -> SignedIn:
        """Begin a session by password.

        An unknown name, a disabled user, one without a password and a wrong password get the same answer after the
        same work.

        Raises
        ------
        NotSignedIn
            Name and password do not fit.
        AccessDenied
            They fit, but the password is too weak for a service that other machines can reach.
        TooManyAttempts
            This name was tried too often within a minute.
        """
        name = name.strip().casefold()
        self._count_attempt(name)
        with self._shop.database.read() as connection:
            user = users.user_named(connection, name)
        hashed = None if user is None or user.disabled_at is not None else user.password_hash
        fits = self._passwords.verify(password, hashed)
        if not fits or user is None or hashed is None:
            # The same work for a name that is not known, whose text may be a password typed into the wrong field.
            who = "unknown" if user is None else user.name
            with self._shop.database.write() as connection:
                auditing.append(connection, [auditing.entry("sign in", status=401, who=who, via="password")])
            raise NotSignedIn(_WRONG)
        if user.password_is_weak and self._reachable:
            raise AccessDenied(
                "this password is too weak for a service that other machines can reach; have it changed with: "
                f"shelfwise user password {user.name}"
            )
        renewed = passwords.hash_of(password) if passwords.outdated(hashed) else None
        with self._shop.database.write() as connection:
            if renewed is not None:
                users.change_user(connection, user.id, password_hash=renewed)
            begun = self._begin(connection, user, "password")
        return self._signed(user, *begun)

    def follow_link(self, code: str) -> SignedIn:
        """Begin a session by a one-time link, and use the link up.

        Raises
        ------
        NotSignedIn
            There is no such link, it was used, or its time is over.
        """
        with self._shop.database.write() as connection:
            user = users.take_link(connection, digest(code), utc_now())
            begun = None if user is None or user.disabled_at is not None else self._begin(connection, user, "link")
        if user is None or begun is None:
            raise NotSignedIn(
                "this link was used, its time is over, or it never was one; make another with: shelfwise user link"
            )
        return self._signed(user, *begun)

    def refresh(self, refresh_token: str) -> SignedIn:
        """Renew a session; the refresh token is used up and the answer holds the next.

        One that comes twice was copied, so the session it belongs to is ended.

        Raises
        ------
        NotSignedIn
            The refresh token is unknown, used, or its session is over.
        """
        refused = NotSignedIn("this session cannot be renewed; sign in again")
        session_id = refresh_token.removeprefix(REFRESH_PREFIX).partition("_")[0]
        fresh = _refresh_token(session_id)
        now = utc_now()
        with self._shop.database.write() as connection:
            found = users.session_of(connection, session_id)
            if found is None or not _is_open(*found):
                raise refused
            user = found[1]
            renewed = users.renew_session(connection, session_id, old=digest(refresh_token), new=digest(fresh))
            if not renewed:
                users.end_session(connection, session_id, now)
                auditing.append(
                    connection, [auditing.entry("session ended: refresh token reused", who=user.name, via="refresh")]
                )
        if not renewed:
            self.forget()
            raise refused
        return self._signed(user, session_id, fresh)

    def sign_out(self, who: Principal, *, everywhere: bool = False) -> None:
        """End the session that ``who`` asks with; ``everywhere`` ends all of the user's sessions.

        Raises
        ------
        AccessDenied
            It is no session but an API token.
        """
        if who.session is None:
            raise AccessDenied(f"this request was made with {who.via}, not in a session; revoke a token by its number")
        with self._shop.database.write() as connection:
            if everywhere:
                users.end_sessions_of(connection, users.user(connection, who.name).id, utc_now())
            else:
                users.end_session(connection, who.session, utc_now())
        self.forget()

    def change_password(self, who: Principal, old: str, new: str) -> None:
        """Give the user that asks another password; their other sessions end, and this one goes on.

        Raises
        ------
        AccessDenied
            It is no session, the user has no password, or the old one does not fit.
        ParameterError
            The new password breaks its rule, or is the old one.
        TooManyAttempts
            This name was tried too often within a minute.
        """
        if who.session is None:
            raise AccessDenied(f"this request was made with {who.via}; a password is changed by who has signed in")
        self._count_attempt(who.name)
        with self._shop.database.read() as connection:
            user = users.user(connection, who.name)
        if not self._passwords.verify(old, user.password_hash):
            raise AccessDenied(
                "the old password does not fit; where there is none, or it is lost, an admin gives another: "
                f"shelfwise user password {user.name}"
            )
        if old == new:
            raise ParameterError("the new password is the old one; choose another")
        weak = passwords.weakness(user.name, new)
        if weak is not None and self._reachable:
            raise ParameterError(f"this password {weak}; choose a longer one that nobody else uses")
        values = {"password_hash": passwords.hash_of(new), "password_is_weak": weak is not None}
        with self._shop.database.write() as connection:
            users.change_user(connection, user.id, **values)
            users.end_sessions_of(connection, user.id, utc_now(), but=who.session)
        self.forget()

    def _begin(self, connection: Any, user: User, via: str) -> tuple[str, str]:
        """Begin a session under an id of its own: none that a request brought is ever taken over.

        Return the id and the refresh token.
        """
        now, session_id = utc_now(), uuid.uuid4().hex
        refresh = _refresh_token(session_id)
        ends = now + timedelta(days=self._shop.settings.session_days)
        users.add_session(connection, Session(session_id, user.id, digest(refresh), now, ends, None))
        auditing.append(connection, [auditing.entry("sign in", status=201, who=user.name, via=via)])
        return session_id, refresh

    def _signed(self, user: User, session_id: str, refresh: str) -> SignedIn:
        """Return a session's tokens; outside of any transaction, as a key may have to be made first."""
        token, seconds = self._tokens.issue(user.name, session_id)
        return SignedIn(user, token, seconds, refresh)

    def _of_token(self, text: str) -> Principal:
        with self._shop.database.read() as connection:
            found = users.token_of(connection, digest(text))
        now = utc_now()
        if found is None:
            raise NotSignedIn(_UNKNOWN)
        token, user = found
        over = token.revoked_at is not None or (token.expires_at is not None and token.expires_at <= now)
        if over or user.disabled_at is not None:
            raise NotSignedIn(_UNKNOWN)
        if token.last_used_at is None or now - token.last_used_at > timedelta(seconds=TOUCHED_SECONDS):
            self._audit.touch(token.id, now)
        allowed = frozenset[Scope](scope for scope in ROLES[_role(user)] if scope in token.scopes.split())
        models = [frozenset(some) for some in (user.models, token.models) if some is not None]
        return Principal(
            user.name, _role(user), allowed, frozenset.intersection(*models) if models else None,
            via=f"token {token.id} ({token.name})", key=f"token:{token.id}",
        )  # fmt: skip

    def _of_session(self, text: str) -> Principal:
        session_id = self._tokens.session(text)
        with self._shop.database.read() as connection:
            found = users.session_of(connection, session_id)
        if found is None or not _is_open(*found):
            raise NotSignedIn("this session is over; sign in again")
        user = found[1]
        return Principal(
            user.name, _role(user), ROLES[_role(user)], None if user.models is None else frozenset(user.models),
            via="session", key=f"session:{session_id}", session=session_id,
        )  # fmt: skip

    def _count_attempt(self, name: str) -> None:
        now = time.monotonic()
        with self._lock:
            if len(self._attempts) >= MOST_NAMES:
                self._attempts = {n: times for n, times in self._attempts.items() if times[-1] > now - ATTEMPTS_SECONDS}
            times = self._attempts.setdefault(name[:64], deque(maxlen=ATTEMPTS_PER_NAME))
            if len(times) == ATTEMPTS_PER_NAME and times[0] > now - ATTEMPTS_SECONDS:
                wait = int(times[0] + ATTEMPTS_SECONDS - now) + 1
                raise TooManyAttempts(f"this name was tried {ATTEMPTS_PER_NAME} times within a minute; wait", wait)
            times.append(now)


def _refresh_token(session_id: str) -> str:
    return f"{REFRESH_PREFIX}{session_id}_{secrets.token_urlsafe(32)}"


def _is_open(session: Session, user: User) -> bool:
    return session.ended_at is None and session.expires_at > utc_now() and user.disabled_at is None


def _role(user: User) -> actor.Role:
    return actor.role(user.role)
