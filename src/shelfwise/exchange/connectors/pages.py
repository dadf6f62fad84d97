"""One page of a feed: what a service answers, read within limits."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from shelfwise.domain.errors import ShelfwiseError

MOST_BYTES: Final = 16 << 20
"""Of a page, unpacked."""
LONGEST_CURSOR: Final = 2_000
_SHOWN: Final = 80
_FIELDS: Final = ("items", "cursor", "more")


class Unanswered(ShelfwiseError):
    """A service did not answer, or not with what the contract says.

    Parameters
    ----------
    again
        Whether the very same request may do better in a moment.
    after_seconds
        Where the service said so: not before so long.
    alone
        Whether it is about this feed alone, so that the service's other feeds may do well.
    """

    def __init__(
        self, message: str, *, again: bool = False, after_seconds: float | None = None, alone: bool = False
    ) -> None:
        super().__init__(message)
        self.again, self.after_seconds, self.alone = again, after_seconds, alone


class Malformed(Unanswered):
    """What a service answered is no page as the contract describes it."""


@dataclass(frozen=True)
class Page:
    """Rows as they came, where the next page begins, and whether there is one already.

    ``cursor`` is None where the service named none: the feed's place stays as it is.
    """

    items: tuple[Any, ...]
    cursor: str | None
    more: bool


class Unpacking:
    """The body of an answer as it comes, plain or gzip, never more than a limit in memory."""

    def __init__(self, encoding: str, most_bytes: int = MOST_BYTES) -> None:
        if encoding not in ("", "identity", "gzip"):
            raise Malformed(
                f"the body is packed as {encoding[:_SHOWN]!r}, which was not asked for; send it plain or as gzip"
            )
        self._zip = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
        self._most = most_bytes
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, chunk: bytes) -> None:
        """Take the next part of the body."""
        if self._zip is None:
            self._keep(chunk)
            return
        try:
            while chunk and not self._zip.eof:
                # One byte more than there is room for tells a body that is too large from one that just fits.
                self._keep(self._zip.decompress(chunk, self._most - self._size + 1))
                chunk = self._zip.unconsumed_tail
        except zlib.error as error:
            raise Malformed(f"the body is no gzip ({error})", again=True) from None

    def body(self) -> bytes:
        """Return all of it."""
        if self._zip is not None and not self._zip.eof:
            raise Malformed("the body ends in the middle of its gzip data", again=True)
        return b"".join(self._parts)

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._most:
            raise Malformed(f"the page has more than {self._most:,} bytes; send fewer rows a page")
        self._parts.append(part)


def read_page(content_type: str, body: bytes, most_rows: int) -> Page:
    """Read a page.

    Raises
    ------
    Malformed
        It is no page as the contract describes it.

    >>> read_page("application/json", b'{"items": [], "cursor": "c7", "more": false}', 500)
    Page(items=(), cursor='c7', more=False)
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Malformed(f"the answer is {kind[:_SHOWN] or 'of no stated type'!r} and not application/json")
    try:
        found = json.loads(body.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:  # a body that was cut off may be whole the next time
        raise Malformed(f"the answer is no JSON ({str(error)[:_SHOWN]})", again=True) from None
    if not isinstance(found, dict) or any(name not in found for name in _FIELDS):
        raise Malformed(f"the answer is no object with {', '.join(_FIELDS)}")
    items, cursor, more = (found[name] for name in _FIELDS)
    if not isinstance(items, list) or not isinstance(more, bool):
        raise Malformed("items must be a list and more true or false")
    if len(items) > most_rows:
        raise Malformed(f"the page has {len(items):,} rows where at most {most_rows:,} were asked for")
    if cursor is not None and not (isinstance(cursor, str) and 0 < len(cursor) <= LONGEST_CURSOR and _plain(cursor)):
        raise Malformed(f"cursor must be null or a text of 1 to {LONGEST_CURSOR:,} characters")
    return Page(tuple(items), cursor, more)


def _plain(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
