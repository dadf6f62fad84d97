"""Entity tags: a reader that has an answer already is told that it still holds, and gets no second copy."""

from __future__ import annotations

from hashlib import blake2b
from importlib.metadata import version
from typing import Final

from fastapi import Request, Response

_VERSION: Final = version("shelfwise")
REVALIDATE = "private, no-cache"
"""A browser may keep the answer, and has to ask whether it still holds each time."""


def etag(*parts: object) -> str:
    """Return the tag of an answer that is made of nothing but these parts and this version of the program.

    >>> etag("forecast", 7) == etag("forecast", 7), etag("forecast", 7) == etag("forecast", 8)
    (True, False)
    """
    return f'"{blake2b(repr((_VERSION, parts)).encode(), digest_size=16).hexdigest()}"'


def matches(request: Request, tag: str) -> bool:
    """Whether the reader has the answer of this tag already (``If-None-Match``)."""
    return holds(request.headers.get("if-none-match", ""), tag)


def holds(given: str, tag: str) -> bool:
    """Whether an ``If-None-Match`` names a tag.

    >>> holds('"a", W/"b"', '"b"'), holds("*", '"b"'), holds('"a"', '"b"'), holds("", '"b"')
    (True, True, False, False)
    """
    return given.strip() == "*" or tag in {one.strip().removeprefix("W/") for one in given.split(",")}


def headers(tag: str) -> dict[str, str]:
    """Return the headers of an answer that may be asked about again."""
    return {"ETag": tag, "Cache-Control": REVALIDATE}


def not_modified(tag: str) -> Response:
    """Return the answer to a reader that has it already."""
    return Response(status_code=304, headers=headers(tag))
