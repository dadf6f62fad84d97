"""Requests that name a key are done once: the same request again gets the answer that the first one got.

A key belongs to its owner and to one request: method, path, query and body, as a fingerprint. Under it the store keeps
what was answered until `idempotency_hours` have passed, over restarts too.

There are two ways to it. A service that owns its transaction calls `replayed` and `keep` within it, so that what was
written and what was answered are there together or not at all. Any other write is put between `begin` and `finish`:
the key is claimed, the write done, its answer kept. A process that dies in between leaves the claim, which runs out
after `CLAIM_SECONDS`; then the request is done again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from shelfwise.app import App
from shelfwise.domain.errors import ConflictError, ParameterError
from shelfwise.storage import idempotency

MOST_OF_A_KEY: Final = 255
MESSAGE: Final = "message/http"
"""Media type of what is kept where headers belong to it."""
CLAIM_SECONDS: Final = 600
"""Longer than any request is answered for; work of minutes is a job and answers at once."""


@dataclass(frozen=True)
class Keyed:
    """A request under a key.

    Parameters
    ----------
    owner
        Whose key it is; two owners never meet.
    key
        1 to 255 visible ASCII characters.
    fingerprint
        Of the request.
    """

    owner: str
    key: str
    fingerprint: str

    def __post_init__(self) -> None:
        """Check the key."""
        if not 0 < len(self.key) <= MOST_OF_A_KEY or not all("!" <= letter <= "~" for letter in self.key):
            raise ParameterError(
                f"an Idempotency-Key is 1 to {MOST_OF_A_KEY} visible ASCII characters, got {self.key[:40]!r}; "
                "a random UUID is a good one"
            )

    @classmethod
    def of(cls, owner: str, key: str, *request: str | bytes) -> Keyed:
        """Return the key of a request, given in parts: method, path, query, body."""
        found = sha256()
        for part in request:
            raw = part.encode() if isinstance(part, str) else part
            found.update(len(raw).to_bytes(8) + raw)
        return cls(sha256(owner.encode()).hexdigest() if owner else "", key, found.hexdigest())


@dataclass(frozen=True)
class Answer:
    """An answer as it is kept.

    Parameters
    ----------
    headers
        Names and values of those that belong to the answer beside its media type, such as where the made thing is.
    """

    status: int
    media_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()

    def stored(self) -> tuple[str, bytes]:
        """Return media type and bytes under which it is kept: with headers the message that they and the body are."""
        if not self.headers:
            return self.media_type, self.body
        named = (("content-type", self.media_type), *self.headers)
        lines = "".join(f"{name}: {value}\r\n" for name, value in named)
        return MESSAGE, f"{lines}\r\n".encode("latin-1") + self.body

    @classmethod
    def from_stored(cls, status: int, media_type: str, raw: bytes) -> Answer:
        """Return what was kept.

        >>> told = Answer(202, "application/json", b"{}", (("location", "/jobs/7"),))
        >>> Answer.from_stored(202, *told.stored()) == told
        True
        """
        if media_type != MESSAGE:
            return cls(status, media_type, raw)
        lines, _, body = raw.partition(b"\r\n\r\n")
        named = [line.partition(": ") for line in lines.decode("latin-1").split("\r\n")]
        (_, _, its_type), *others = named
        return cls(status, its_type, body, tuple((name, value) for name, _, value in others))


def replayed(connection: Any, *asked: Keyed) -> dict[Keyed, Answer | ParameterError | ConflictError]:
    """Return, of requests that came before under their keys, the answer or why there is none.

    The values that are errors are not raised, since they belong to one request of many: `ParameterError` where another
    request came under the key, `ConflictError` where that very one is still being answered.
    """
    kept = idempotency.kept(connection, [(one.owner, one.key) for one in asked], time.time())
    found: dict[Keyed, Answer | ParameterError | ConflictError] = {}
    for one in asked:
        before = kept.get((one.owner, one.key))
        if before is None:
            continue
        if before.fingerprint != one.fingerprint:
            found[one] = ParameterError(
                f"Idempotency-Key {one.key!r} came with another request before; a key is of one request, choose a new "
                "one for this"
            )
        elif before.status is None:
            found[one] = in_flight(one)
        else:
            found[one] = Answer.from_stored(before.status, before.media_type or "", before.answer or b"")
    return found


def keep(app: App, connection: Any, answers: dict[Keyed, Answer]) -> None:
    """Keep answers in the transaction of what was written for them."""
    until = int(time.time() + app.settings.idempotency_hours * 3600)
    idempotency.keep(
        connection,
        [
            idempotency.Kept(
                one.owner, one.key, one.fingerprint, until, answer.status, *answer.stored()
            )
            for one, answer in answers.items()
        ],
    )  # fmt: skip


def begin(app: App, asked: Keyed) -> Answer | None:
    """Claim a key for a request; return the answer that it got before, if it did.

    Raises
    ------
    ParameterError
        Another request came under this key.
    ConflictError
        The very request is being answered now.
    """
    with app.database.write() as connection:
        before = replayed(connection, asked).get(asked)
        if before is None:
            until = int(time.time()) + CLAIM_SECONDS
            idempotency.keep(connection, [idempotency.Kept(asked.owner, asked.key, asked.fingerprint, until)])
    if isinstance(before, Exception):
        raise before
    return before


def finish(app: App, asked: Keyed, answer: Answer) -> None:
    """Keep the answer to a request that `begin` let through."""
    with app.database.write() as connection:
        keep(app, connection, {asked: answer})


def give_up(app: App, asked: Keyed) -> None:
    """Free the key of a request that failed: nothing was written for it, and it may come again."""
    with app.database.write() as connection:
        idempotency.forget(connection, asked.owner, asked.key)


def tidy(app: App) -> int:
    """Remove keys that have expired; return how many."""
    with app.database.write() as connection:
        return idempotency.forget_expired(connection, time.time())


def in_flight(asked: Keyed) -> ConflictError:
    """Return the error of a request whose key is being answered."""
    return ConflictError(
        f"the request of Idempotency-Key {asked.key!r} is still being answered; send it again in a second"
    )
