"""Which request something belongs to, across processes and services: the W3C trace context, version 00.

https://www.w3.org/TR/trace-context/ . A request that brings no ``traceparent`` begins a trace. Jobs and events that a
request causes carry its `Trace.header`, and whoever works on them goes on with `Trace.parse(header).child()`, so that
one id finds every line of the log about one cause.
"""

from __future__ import annotations

import os
import random
import re
from dataclasses import dataclass
from typing import Final

# Ids name things and guard nothing. To ask the system for randomness lets go of the interpreter's lock, and the thread
# that answers requests would wait for its turn behind every busy one, for each request.
_RANDOM: Final = random.Random(int.from_bytes(os.urandom(32)))  # noqa: S311  (no secret is made of it)
os.register_at_fork(after_in_child=lambda: _RANDOM.seed(int.from_bytes(os.urandom(32))))
_HEADER: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def new_id(digits: int) -> str:
    """Return so many random hexadecimal digits, to name something.

    >>> len(new_id(32)), new_id(32) == new_id(32)
    (32, False)
    """
    return f"{_RANDOM.getrandbits(4 * digits):0{digits}x}"


@dataclass(frozen=True)
class Trace:
    """One span of a trace.

    Parameters
    ----------
    trace_id
        32 hexadecimal digits, the same for all that one cause brought about.
    span_id
        16 hexadecimal digits: this piece of work.
    parent_id
        The span that caused it; empty where the trace begins here.
    sampled
        Whether the caller records the trace.
    """

    trace_id: str
    span_id: str
    parent_id: str = ""
    sampled: bool = True

    @classmethod
    def begin(cls) -> Trace:
        """Return the first span of a new trace."""
        return cls(new_id(32), new_id(16))

    @classmethod
    def parse(cls, header: str) -> Trace | None:
        """Return the span that a ``traceparent`` header names, or None where it is no such header.

        >>> Trace.parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").trace_id
        '0af7651916cd43dd8448eb211c80319c'
        >>> Trace.parse("00-00000000000000000000000000000000-b7ad6b7169203331-01") is None
        True
        """
        found = _HEADER.fullmatch(header.strip())
        # A later version may append fields, this one may not; ff is no version; ids of zeros are none.
        if found is None or found[1] == "ff" or (found[1] == "00" and found[5] is not None):
            return None
        if not found[2].strip("0") or not found[3].strip("0"):
            return None
        return cls(found[2], found[3], sampled=bool(int(found[4], 16) & 1))

    @classmethod
    def following(cls, header: str) -> Trace:
        """Return a new span below the one that a header names, or of a new trace where it names none."""
        found = cls.parse(header) if header else None
        return cls.begin() if found is None else found.child()

    def child(self) -> Trace:
        """Return a new span that this one causes."""
        return Trace(self.trace_id, new_id(16), self.span_id, self.sampled)

    @property
    def header(self) -> str:
        """Return the value of ``traceparent`` that hands this span on."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"
