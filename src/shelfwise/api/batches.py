"""Many questions in one request: each is answered or refused by itself, in the order they came.

The items of a batch are read one by one, so that one that is not as the interface describes it fails alone; the
published description says of them what it says of a single question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, Field, SkipValidation, ValidationError

from shelfwise.api.problems import INVALID, KINDS, PREFIX, FieldError
from shelfwise.domain.errors import ShelfwiseError

MOST_QUESTIONS: Final = 1000

Item = TypeVar("Item", bound=BaseModel)
Asked = TypeVar("Asked")

Questions = Annotated[
    list[SkipValidation[Item]],
    Field(min_length=1, max_length=MOST_QUESTIONS, description="Questions as they are asked one by one."),
]
"""``Questions[DemandRequest]``: not read yet."""


class ItemProblem(BaseModel):
    """Why one question of many has no answer."""

    type: str = Field(description="Which error it is, as in a problem.", examples=[f"{PREFIX}not-found"])
    title: str
    status: int = Field(description="The status that the question would have got by itself.", examples=[404])
    detail: str = Field(description="The value, the rule and the way out.")
    errors: list[FieldError] = Field([], description="What is wrong, field by field; empty where no field is.")


class BatchItem(BaseModel):
    """What became of one question; a class of each kind of answer adds ``answer``."""

    index: int = Field(description="Place of the question in the request, from 0.")
    line: int | None = Field(None, description="Its line in an NDJSON body, from 1; null where it came otherwise.")
    status: Literal["answered", "failed"]
    problem: ItemProblem | None = Field(None, description="Why there is no answer; null where there is one.")


def failure(error: ShelfwiseError | ValidationError) -> ItemProblem:
    """Return an error as the problem of one item."""
    if isinstance(error, ValidationError):
        status, name, title = INVALID
        found = [FieldError(field=".".join(map(str, one["loc"])), message=str(one["msg"])) for one in error.errors()]
        words = "; ".join(f"{one.field}: {one.message}" for one in found[:3])
        return ItemProblem(type=PREFIX + name, title=title, status=status, detail=words, errors=found[:100])
    status, name, title = next((s, n, t) for kind, s, n, t in KINDS if isinstance(error, kind))
    return ItemProblem(type=PREFIX + name, title=title, status=status, detail=str(error))


def read_each(
    items: Sequence[Any], model: type[Item], question: Callable[[Item], Asked]
) -> tuple[list[tuple[int, Item, Asked]], dict[int, ItemProblem]]:
    """Return the questions of the items that can be read, with their places, and the problems of the others."""
    good: list[tuple[int, Item, Asked]] = []
    bad: dict[int, ItemProblem] = {}
    for index, raw in enumerate(items):
        try:
            item = raw if isinstance(raw, model) else model.model_validate(raw)
            good.append((index, item, question(item)))
        except (ValidationError, ShelfwiseError) as error:
            bad[index] = failure(error)
    return good, bad
