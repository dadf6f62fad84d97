"""Passwords: the rule they must keep, and argon2id, which makes guessing them dear."""

from __future__ import annotations

import threading
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from shelfwise.domain.errors import ParameterError, TooManyAttempts

SHORTEST: Final = 12
LONGEST: Final = 1024
AT_ONCE: Final = 2  # each takes 64 MiB and a core for tens of milliseconds
WAITING: Final = 8
# Argon2id, with the parameters of RFC 9106 for little memory.
_HASHER: Final = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4)
NOBODYS: Final = "$argon2id$v=19$m=65536,t=3,p=4$VzB/O1MkwEt6Ul1jt93Hzg$f+BGEBLPRP8DTQaRrt6FB3mSM/rJoaYnsy+YulikhkU"
"""A hash of random bytes that nobody kept: what is verified where there is no user, so that it takes as long."""
KNOWN: Final = frozenset({
    "admin", "administrator", "password", "passw0rd", "changeme", "changeit", "change-me", "secret", "letmein",
    "welcome", "default", "test", "guest", "root", "toor", "owner", "shop", "shelfwise", "demo", "qwerty", "iloveyou",
    "12345678", "123456789", "1234567890", "123456789012", "qwertyuiop", "qwertyuiop12", "administrator1",
    "password1234", "passwordpassword", "changemechangeme", "shelfwiseshelfwise", "adminadminadmin", "shelfwise1234",
    "password12345", "welcome12345", "letmein12345", "administrator123", "correcthorsebatterystaple",
})  # fmt: skip
"""Passwords of shipped configurations and tutorials, in lower case."""


def weakness(name: str, password: str) -> str | None:
    """Say why a password may not be used from other machines; None where it may.

    >>> weakness("mia", "changeme")
    'is one that everybody knows'
    >>> weakness("mia", "tulips in may")
    """
    if password.lower() in KNOWN:
        return "is one that everybody knows"
    if len(password) < SHORTEST:
        return f"has {len(password)} characters and needs at least {SHORTEST}"
    if name.lower() in password.lower() and len(password) - len(name) < SHORTEST // 2:
        return "is little more than the user's name"
    return "repeats itself" if len(set(password)) < 4 else None


def hash_of(password: str) -> str:
    """Return a hash of a password.

    Raises
    ------
    ParameterError
        The password is empty or longer than `LONGEST`.
    """
    if not 1 <= len(password) <= LONGEST:
        raise ParameterError(f"a password has 1 to {LONGEST} characters, this one has {len(password)}; choose another")
    return _HASHER.hash(password)


def outdated(hashed: str) -> bool:
    """Whether a hash was made with other parameters than those of today."""
    return _HASHER.check_needs_rehash(hashed)


class Passwords:
    """Verifies a few at a time, so that guesses cannot take the machine from those who work."""

    def __init__(self) -> None:
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._places = threading.BoundedSemaphore(AT_ONCE + WAITING)

    def verify(self, password: str, hashed: str | None) -> bool:
        """Whether a password is the one that was hashed; without a hash it takes as long and is False.

        Raises
        ------
        TooManyAttempts
            Too many others are being verified.
        """
        if not self._places.acquire(blocking=False):
            raise TooManyAttempts("too many people sign in at this moment; try again in a few seconds", 5)
        try:
            with self._turns:
                same = _HASHER.verify(hashed or NOBODYS, password)
        except (VerificationError, InvalidHashError):
            return False
        finally:
            self._places.release()
        return same and hashed is not None
