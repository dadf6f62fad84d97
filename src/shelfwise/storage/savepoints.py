"""Many steps in one transaction, each of which may fail alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, InternalError, OperationalError

from shelfwise.domain.errors import ShelfwiseError, StorageError

_MYSQL_NO_SUCH_COLUMN: Final = 1054

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
    made = _halved(connection, items, act, _of_the_item)
    return [_known(one) if isinstance(one, Exception) else one for one in made]


def each_whatever_fails(
    connection: Connection, items: Sequence[Item], act: Callable[[Sequence[Item]], Sequence[Result]]
) -> list[Result | Exception]:
    """As `each_alone`, for items that this program made itself: a fault of the program is the item's own, too.

    Raises
    ------
    Exception
        The database is gone, busy or full, or the machine is: the same items may do well later.
    """
    return _halved(connection, items, act, lambda error: not _of_the_machine(error))


def _halved(
    connection: Connection, items: Sequence[Item], act: Callable[[Sequence[Item]], Sequence[Result]],
    blamed: Callable[[Exception], bool],
) -> list[Result | Exception]:  # fmt: skip
    if not items:
        return []
    try:
        with connection.begin_nested():
            return list(act(items))
    except Exception as error:
        if not blamed(error):
            raise
        if len(items) == 1:
            return [error]
    middle = len(items) // 2
    return [
        *_halved(connection, items[:middle], act, blamed),
        *_halved(connection, items[middle:], act, blamed),
    ]


def _of_the_item(error: Exception) -> bool:
    return isinstance(error, DataError | IntegrityError | ShelfwiseError | ValueError | OverflowError)


def _of_the_machine(error: Exception) -> bool:
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(error, OperationalError):  # two drivers call some wrong statements operational, too
        number = next(iter(getattr(error.orig, "args", ())), None)
        return getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR and number != _MYSQL_NO_SUCH_COLUMN
    return isinstance(error, InterfaceError | InternalError | OSError | MemoryError)


def _known(error: Exception) -> ShelfwiseError:
    if isinstance(error, ShelfwiseError):
        return error
    return StorageError(f"the database refuses it: {error}; nothing of it was kept")
