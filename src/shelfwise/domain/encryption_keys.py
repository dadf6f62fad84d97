"""The keys under which files are encrypted, as people write them: 32 random bytes in a text that says what it is.

A key is no password: nothing here makes a guessable word slow to try, so only what `new_key` makes is taken.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import Final

from shelfwise.domain.errors import ParameterError

PREFIX: Final = "swk_"
KEY_BYTES: Final = 32
MAKE_ONE: Final = "make one with: shelfwise config new-key"


def new_key() -> str:
    """Return a new key, of the system's own randomness.

    >>> len(parse_key(new_key()))
    32
    """
    return PREFIX + _text(secrets.token_bytes(KEY_BYTES))


def parse_key(text: str) -> bytes:
    """Return the bytes of a key; a refused one is never repeated in the message.

    >>> parse_key("open sesame")
    Traceback (most recent call last):
    shelfwise.domain.errors.ParameterError: an encryption key is swk_ and 43 letters, digits, - or _, and this is not;
    make one with: shelfwise config new-key
    """
    body = text.strip().removeprefix(PREFIX)
    try:
        found = base64.b64decode(body + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        found = b""
    # What decodes to the same bytes and is spelled otherwise was changed by somebody.
    if len(found) != KEY_BYTES or text.strip() != PREFIX + _text(found):
        raise ParameterError(
            f"an encryption key is {PREFIX} and 43 letters, digits, - or _, and this is not; {MAKE_ONE}"
        )
    return found


def _text(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode("ascii").rstrip("=")
