"""Questions and answers in bulk, as NDJSON or Arrow, at the addresses that take them as JSON.

Which of the two it is, the headers decide: a request whose body is of one of these kinds, or that accepts nothing but
them, is taken by a `BulkRoute`. Questions are answered in parts, each sent as soon as it is done, so the status is that
of the first part; what goes wrong later is told with the questions that it hinders.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from shelfwise.api.arrow_answers import ArrowAnswers
from shelfwise.api.batches import BatchItem, failure
from shelfwise.api.bodies import unpacked_body
from shelfwise.domain.errors import DataError, ShelfwiseError
from shelfwise.services.bulk_questions import ARROW, MEDIA_TYPES, MOST_QUESTIONS, NDJSON, Told, read
from shelfwise.services.serving import Serving

JSON: Final = "application/json"
LARGEST_JSON: Final = 16 << 20
PART: Final = 100
LARGEST_PART: Final = 16 << 20
"""Questions that are answered together, and from how many bytes of them on no more are."""
_BINARY: Final = {"type": "string", "format": "binary"}
_KINDS: Final = {NDJSON: {"schema": _BINARY}, ARROW: {"schema": _BINARY}}
QUESTIONS: Final[dict[str, Any]] = {"requestBody": {"content": _KINDS}}
"""What a route's description says beside its own body."""
ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The answer; of questions as NDJSON or Arrow an item each, in their order, with `index`, "
        "`line`, `status`, `problem` and `answer`, in the kind that `Accept` names or the questions came in",
        "content": _KINDS,
    }
}

Each = Callable[[Serving, Sequence[Any]], Sequence[BatchItem]]


@dataclass(frozen=True)
class Kind:
    """A kind of question: what its items are, and how many are answered, in their order."""

    item: type[BatchItem]
    each: Each


class BulkRoute(APIRoute):
    """Takes the requests of its path that come as, or ask for, NDJSON or Arrow."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match as any route does, where the headers speak of these kinds."""
        if scope["type"] != "http" or not _speaks_of_bulk(scope):
            return Match.NONE, {}
        return super().matches(scope)


def _speaks_of_bulk(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"content-type" and _kind(value.decode("latin-1")) in MEDIA_TYPES:
            return True
        if name == b"accept" and _accepted(value.decode("latin-1")) in MEDIA_TYPES:
            return True
    return False


def _kind(header: str) -> str:
    return header.partition(";")[0].strip().lower()


def _accepted(header: str) -> str | None:
    """Return the first kind of answer that is accepted; None where all are, or none of ours.

    >>> _accepted("text/html, application/x-ndjson;q=0.9"), _accepted("*/*"), _accepted("application/json, */*")
    ('application/x-ndjson', None, 'application/json')
    """
    found = (_kind(one) for one in header.split(","))
    return next((one for one in found if one in (*MEDIA_TYPES, JSON)), None)


async def answered(request: Request, serving: Serving, kind: Kind) -> StreamingResponse:
    """Answer the questions of a request, part by part.

    Raises
    ------
    HTTPException
        415: the body is of no kind that is taken here. 400: it is no JSON. 413: it is too large.
    DataError
        There is no question, there are too many, or the body is damaged.
    """
    came = _kind(request.headers.get("content-type", ""))
    if came not in (*MEDIA_TYPES, JSON):
        raise HTTPException(415, f"{came[:60]!r} is no kind of questions; send {JSON}, {NDJSON} or {ARROW}")
    body = await unpacked_body(request)
    goes = _accepted(request.headers.get("accept", "")) or came
    questions = await run_in_threadpool(_objects if came == JSON else read, came, body)
    parts = _parts(serving, kind, questions)
    # The first part is waited for, so that what is wrong with all of it is an answer of its own.
    first = await run_in_threadpool(next, parts)
    return StreamingResponse(_written(kind, goes, chain([first], parts)), media_type=goes)


def _objects(_: str, body: bytes) -> Iterator[Told]:
    """Return the questions of a JSON body: one, or those of a batch."""
    if len(body) > LARGEST_JSON:
        raise HTTPException(413, f"a JSON body has at most {LARGEST_JSON >> 20} MiB; send {NDJSON} or {ARROW}")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the body is no JSON ({str(error)[:100]})") from None
    questions = found["questions"] if isinstance(found, dict) and isinstance(found.get("questions"), list) else [found]
    if not 1 <= len(questions) <= MOST_QUESTIONS:
        raise DataError(f"one request has 1 to {MOST_QUESTIONS:,} questions, got {len(questions):,}")
    return (Told(None, one) for one in questions)


def _parts(serving: Serving, kind: Kind, questions: Iterator[Told]) -> Iterator[list[BatchItem]]:
    begins = 0
    while told := _next_part(questions):
        good = [at for at, one in enumerate(told) if not one.wrong]
        items: dict[int, BatchItem] = {
            at: kind.item(index=at, status="failed", problem=failure(DataError(one.wrong)))
            for at, one in enumerate(told) if one.wrong
        }  # fmt: skip
        try:
            items |= zip(good, kind.each(serving, [told[at].value for at in good]) if good else (), strict=True)
        except ShelfwiseError as error:
            if not begins:
                raise
            said = failure(error)
            items |= {at: kind.item(index=at, status="failed", problem=said) for at in good}
        for at, item in items.items():
            item.index, item.line = begins + at, told[at].line
        yield [items[at] for at in range(len(told))]
        begins += len(told)


def _next_part(questions: Iterator[Told]) -> list[Told]:
    part: list[Told] = []
    size = 0
    for one in questions:
        part.append(one)
        size += one.size
        if len(part) == PART or size >= LARGEST_PART:
            break
    return part


def _written(kind: Kind, media_type: str, parts: Iterable[Sequence[BatchItem]]) -> Iterator[bytes]:
    if media_type == ARROW:
        arrow = ArrowAnswers(kind.item)
        yield arrow.head()
        for items in parts:
            yield arrow.part(items)
        yield arrow.tail()
    elif media_type == NDJSON:
        for items in parts:
            yield b"".join(item.model_dump_json().encode() + b"\n" for item in items)
    else:
        between = b'{"results":['
        for items in parts:
            for item in items:
                yield between + item.model_dump_json().encode()
                between = b","
        yield b"]}"
