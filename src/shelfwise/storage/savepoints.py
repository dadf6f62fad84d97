"""Many steps in one transaction, each of which may fail alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, IntegrityError

from shelfwise.domain.errors import ShelfwiseError, StorageError

Item = TypeVar("Item")
Result = TypeVar("Result")


def each_alone(
    connection: Connection, items: Sequence[Item], act: Callable[[Sequence[Item]], Sequence[Result | ShelfwiseError]]
) -> list[Result | ShelfwiseError]:
    """Return what ``act`` returns for each item, or the error that the item alone is the cause of.

    All items are tried at once behind one savepoint; where that fails, each half behind its own, down to one. So good
    ones cost nothing more for standing together, and one bad among n costs about log2(n) repeats.

    Raises
    ------
    Exception
        What no single item is the cause of, such as a full disk: the transaction is over, nothing of it is kept.
    """
    if not items:
        return []
    try:
        with connection.begin_nested():
            return list(act(items))
    except (DataError, IntegrityError, ShelfwiseError, ValueError, OverflowError) as error:
        if len(items) == 1:
            return [_known(error)]
    middle = len(items) // 2
    return [*each_alone(connection, items[:middle], act), *each_alone(connection, items[middle:], act)]


def _known(error: Exception) -> ShelfwiseError:
    if isinstance(error, ShelfwiseError):
        return error
    return StorageError(f"the database refuses it: {error}; nothing of it was kept")
