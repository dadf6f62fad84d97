"""Signatures of the Standard Webhooks convention: who received a message can tell who sent it, and when.

HMAC-SHA256 over the message's id, the second in which it is sent and the body, with dots between, under a secret that
sender and receiver share. A message carries one signature for each secret that holds, so that a secret can be changed
while the receiver still knows the one before.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Iterable
from typing import Final

from shelfwise.domain.errors import ParameterError

PREFIX: Final = "whsec_"
_BYTES: Final = 32
_SHORTEST, _LONGEST = 24, 64


def new_secret() -> str:
    """Return a secret as it is shown to a person."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """Return the bytes that a secret stands for.

    Raises
    ------
    ParameterError
        It is no secret of the convention.
    """
    try:
        found = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        found = b""
    if not secret.startswith(PREFIX) or not _SHORTEST <= len(found) <= _LONGEST:
        raise ParameterError(
            f"a secret is {PREFIX} and the base64 of {_SHORTEST} to {_LONGEST} bytes; leave it away and one is made"
        )
    return found


def signature(secret: str, message: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a message under one secret.

    >>> signature(
    ...     "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ...     "msg_p5jXN8AQM9LWM0D4loKWxJek",
    ...     1614265330,
    ...     b'{"test": 2432232314}',
    ... )
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    signed = b".".join((message.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key_of(secret), signed, "sha256")).decode()


def headers(keys: Iterable[str], message: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of a message, signed under each of the secrets; not at all where there are none."""
    signed = " ".join(signature(secret, message, timestamp, body) for secret in keys)
    named = {"webhook-id": message, "webhook-timestamp": str(timestamp)}
    return named | {"webhook-signature": signed} if signed else named
