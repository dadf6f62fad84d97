"""Where a service is, and with how much patience it is asked."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Patience:
    """How often one request is tried, and how long is waited in between.

    Parameters
    ----------
    attempts
        In all.
    first_seconds, longest_seconds
        The waits double from the one to the other, each spread by chance by a fifth, so that many who were cut off
        together do not come back together.
    longest_asked_seconds
        A service that asks for a longer wait (``Retry-After``) than this is left alone for now.
    """

    attempts: int = 4
    first_seconds: float = 1.0
    longest_seconds: float = 30.0
    longest_asked_seconds: float = 60.0

    def seconds(self, attempt: int, asked: float | None = None) -> float:
        """Return how long to wait after an attempt, without the chance.

        >>> [Patience().seconds(n) for n in (1, 2, 3, 7)], Patience().seconds(1, asked=9)
        ([1.0, 2.0, 4.0, 30.0], 9)
        """
        return max(min(self.first_seconds * 2.0 ** (attempt - 1), self.longest_seconds), asked or 0.0)


@dataclass(frozen=True)
class Endpoint:
    """Where a service is, and what proves who asks."""

    url: str
    token: str | None = field(default=None, repr=False)
    timeout_seconds: float = 30.0
