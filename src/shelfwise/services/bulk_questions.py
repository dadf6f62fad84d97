"""Many questions in one body: which kinds of bodies there are, and what stands in one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shelfwise.ingest import movement_bodies, question_bodies
from shelfwise.ingest.question_bodies import Told

NDJSON: Final = movement_bodies.NDJSON
ARROW: Final = movement_bodies.ARROW
MEDIA_TYPES: Final = (NDJSON, ARROW)
MOST_QUESTIONS: Final = 10_000

__all__ = ["ARROW", "MEDIA_TYPES", "MOST_QUESTIONS", "NDJSON", "Told", "read"]


def read(media_type: str, body: bytes) -> Iterator[Told]:
    """Return the questions of a body of one of `MEDIA_TYPES`, in order.

    Raises
    ------
    DataError
        There is none, there are more than `MOST_QUESTIONS`, or the body is damaged.
    """
    return question_bodies.read(media_type, body, MOST_QUESTIONS)
