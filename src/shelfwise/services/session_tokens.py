"""Signed session tokens (JWT): which key signs, which keys verify, and what a token must say.

A token names its key (``kid``), and the key alone decides the algorithm; what the token says of it is never believed.
Keys are made in the database and followed by new ones; the older verify for as long as what they signed is valid.
Where the settings name a secret, that alone signs and verifies, and nothing secret is in the database.
"""

from __future__ import annotations

import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import jwt

from shelfwise.app import App
from shelfwise.domain.errors import NotSignedIn
from shelfwise.storage import users
from shelfwise.storage.users import SigningKey

ISSUER: Final = "shelfwise"
AUDIENCE: Final = "shelfwise-service"
LEEWAY_SECONDS: Final = 10
LONGEST: Final = 2048
RELOAD_SECONDS: Final = 5.0
_REQUIRED: Final = ["iss", "aud", "sub", "sid", "iat", "nbf", "exp"]
_ALWAYS: Final = (datetime(1970, 1, 1), datetime(9999, 1, 1))  # noqa: DTZ001  (UTC)
_REFUSED: Final = "this session is not valid, or no longer; sign in again"


def utc_now() -> datetime:
    """Return the moment in UTC, without a zone."""
    return datetime.now(tz=UTC).replace(tzinfo=None)


class SessionTokens:
    """Makes and reads the session tokens of a shop."""

    def __init__(self, shop: App) -> None:
        settings = shop.settings
        self._shop = shop
        self._algorithm = settings.jwt_algorithm
        self._rotation = timedelta(days=settings.jwt_rotation_days)
        self._lifetime = timedelta(minutes=settings.session_minutes)
        self._keys: dict[str, tuple[SigningKey, Any]] = {}
        self._read_at = -RELOAD_SECONDS
        self._lock = threading.Lock()
        secret = settings.session_secret()
        self._fixed = None if secret is None else _of_secret(secret)

    def issue(self, user: str, session: str) -> tuple[str, int]:
        """Return a token for a session, and for how many seconds it is valid."""
        now = utc_now()
        key = self._signing_key(now)
        issued = int(now.replace(tzinfo=UTC).timestamp())
        seconds = int(self._lifetime.total_seconds())
        claims = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": user, "sid": session, "iat": issued, "nbf": issued,
            "exp": issued + seconds,
        }  # fmt: skip
        return jwt.encode(claims, key.private_key, key.algorithm, headers={"kid": key.kid}), seconds

    def session(self, token: str) -> str:
        """Return the id of the session that a token is of.

        Raises
        ------
        NotSignedIn
            The token is forged, expired, of another service, or no token.
        """
        if len(token) > LONGEST:
            raise NotSignedIn(_REFUSED)
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            found = self._verifying_key(kid) if isinstance(kid, str) else None
            if found is None:
                raise NotSignedIn(_REFUSED)
            key, public = found
            claims = jwt.decode(
                token, public, algorithms=[key.algorithm], audience=AUDIENCE, issuer=ISSUER, leeway=LEEWAY_SECONDS,
                options={"require": _REQUIRED, "strict_aud": True},
            )  # fmt: skip
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise NotSignedIn(_REFUSED) from None
        return str(claims["sid"])

    def _signing_key(self, now: datetime) -> SigningKey:
        if self._fixed is not None:
            return self._fixed
        with self._lock:
            newest = self._newest(now)
            if newest is None:
                self._load()
                newest = self._newest(now)
            if newest is not None:
                return newest
            with self._shop.database.write() as connection:
                # Another process may have made one since.
                self._take(users.keys_valid_at(connection, now))
                newest = self._newest(now)
                if newest is None:
                    lasts = self._rotation + self._lifetime + timedelta(seconds=LEEWAY_SECONDS)
                    newest = _new_key(self._algorithm, now, now + lasts)
                    users.add_key(connection, newest)
            self._keys[newest.kid] = newest, _public(newest)
            return newest

    def _newest(self, now: datetime) -> SigningKey | None:
        usable = [
            key
            for key, _ in self._keys.values()
            if key.algorithm == self._algorithm and key.created_at > now - self._rotation
        ]
        return max(usable, key=lambda key: key.created_at, default=None)

    def _verifying_key(self, kid: str) -> tuple[SigningKey, Any] | None:
        if self._fixed is not None:
            return (self._fixed, self._fixed.private_key) if kid == self._fixed.kid else None
        if kid not in self._keys:
            with self._lock:
                # Another process may have made it; a made-up one must not make us look each time.
                if kid not in self._keys and time.monotonic() - self._read_at > RELOAD_SECONDS:
                    self._load()
        found = self._keys.get(kid)
        return None if found is None or found[0].expires_at <= utc_now() else found

    def _load(self) -> None:
        with self._shop.database.read() as connection:
            self._take(users.keys_valid_at(connection, utc_now()))
        self._read_at = time.monotonic()

    def _take(self, keys: list[SigningKey]) -> None:
        self._keys = {key.kid: self._keys.get(key.kid) or (key, _public(key)) for key in keys}


def _new_key(algorithm: str, created_at: datetime, expires_at: datetime) -> SigningKey:
    import secrets

    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if algorithm == "HS256":
        text = secrets.token_urlsafe(48)
    else:
        made = ed25519.Ed25519PrivateKey.generate() if algorithm == "EdDSA" else ec.generate_private_key(ec.SECP256R1())
        text = made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
    return SigningKey(uuid.uuid4().hex, algorithm, text, created_at, expires_at)


def _of_secret(secret: str) -> SigningKey:
    """Return the key of the settings; its name tells one secret from the next, and nothing of either."""
    kid = sha256(b"shelfwise kid:" + secret.encode()).hexdigest()[:16]
    return SigningKey(kid, "HS256", secret, *_ALWAYS)


def _public(key: SigningKey) -> Any:
    """Return what verifies: the secret itself, or the public half, read once."""
    if key.algorithm == "HS256":
        return key.private_key
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key(key.private_key.encode(), None).public_key()
