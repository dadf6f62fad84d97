"""The one tree of errors a caller can meet; every message gives the value, the rule and the way out.

```
ShelfwiseError                  exit 1
├── ParameterError              exit 2   a parameter breaks its rule (also a ValueError)
├── DataError                   exit 3   what was given cannot be used
│   ├── FileRefused             exit 3   a file is refused as a whole; names file, line, column
│   ├── AmbiguousDates          exit 3   a date column reads two ways
│   ├── PanelError              exit 3   histories do not form a panel
│   └── NotFound                exit 3   a product, supplier, order ... is not in the store
├── ModelError                  exit 1   a model cannot fit or predict
├── ExportError                 exit 1   a file cannot be written
├── OutOfMemory                 exit 1   the machine had too little memory free (also a MemoryError)
├── NotSignedIn                 exit 1   nobody proved who asks, or the proof is refused
├── AccessDenied                exit 1   who asks is known, and may not do that
├── TooManyAttempts             exit 1   it was tried too often; says when to try again
└── StorageError                exit 1   the database cannot do what was asked
    ├── MigrationNeeded         exit 1   the schema is older or newer than the program
    └── ConflictError           exit 1   the record changed, or its state forbids the step
```

HTTP status codes are given in ``api/`` and exit codes in ``cli/``; ``exit_code`` is the only hint kept here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class ShelfwiseError(Exception):
    """Base of all errors that a person can act on."""

    exit_code: ClassVar[int] = 1


class ParameterError(ShelfwiseError, ValueError):
    """A parameter breaks its rule, for example ``season must be at least 1 period, got 0``."""

    exit_code = 2


class DataError(ShelfwiseError):
    """Data that was given cannot be used as it stands."""

    exit_code = 3


@dataclass(frozen=True)
class Place:
    """Where in a file something is wrong. Lines count from 1 and include the header."""

    file: str
    line: int | None = None
    column: str | None = None

    def __str__(self) -> str:
        """Read as ``orders.csv, line 17, column 'Quantity'``."""
        parts = [self.file]
        if self.line is not None:
            parts.append(f"line {self.line:,}")
        if self.column is not None:
            parts.append(f"column {self.column!r}")
        return ", ".join(parts)


class FileRefused(DataError):
    """A file is refused as a whole: place, value, rule and way out, in that order.

    >>> print(FileRefused(Place("a.csv", 3, "Quantity"), "'x1'", "is not a number", "correct the cell"))
    a.csv, line 3, column 'Quantity': 'x1' is not a number; correct the cell
    """

    def __init__(self, place: Place, value: str, rule: str, way_out: str) -> None:
        self.place, self.value, self.rule, self.way_out = place, value, rule, way_out
        what = f"{value} {rule}" if value else rule
        super().__init__(f"{place}: {what}; {way_out}")


class AmbiguousDates(DataError):
    """A date column can be read as day-month and as month-day, and nothing in it decides."""

    def __init__(self, place: Place, readings: list[tuple[str, str, str]]) -> None:
        self.place, self.readings = place, readings
        lines = "\n".join(f"    {raw:<22} day first: {dmy}    month first: {mdy}" for raw, dmy, mdy in readings)
        super().__init__(
            f"{place}: dates read two ways and no row decides between them; "
            f"say which with --date-order dmy or --date-order mdy\n{lines}"
        )


class PanelError(DataError):
    """Histories do not form a panel: wrong shape, duplicate dates, off-grid dates."""


class NotFound(DataError):
    """Something named by the caller is not in the store; the message lists near names."""


class NotSignedIn(ShelfwiseError):
    """Nobody proved who asks, or the proof (password, token, session, link) is refused."""


class AccessDenied(ShelfwiseError):
    """Who asks is known, and may not do that."""


class TooManyAttempts(ShelfwiseError):
    """It was tried too often; ``retry_after_seconds`` says when to try again."""

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class ModelError(ShelfwiseError):
    """A model cannot fit or predict on what it was given."""


class ExportError(ShelfwiseError):
    """A file cannot be written where it was asked for; the message gives the path, the reason and the way out."""


class OutOfMemory(ShelfwiseError, MemoryError):
    """The machine had too little memory free; nothing that was not finished is kept."""

    @classmethod
    def during(cls, what: str, cause: MemoryError) -> OutOfMemory:
        """Return the error of a step, with what numpy says of the array that did not fit, where it says anything.

        >>> str(OutOfMemory.during("a plan", MemoryError("Unable to allocate 9.31 GiB"))).partition(";")[0]
        'a plan needs more memory than is free (Unable to allocate 9.31 GiB)'
        """
        detail = f" ({cause})" if str(cause) else ""
        return cls(
            f"{what} needs more memory than is free{detail}; close other programs, or take fewer products or paths "
            "(SHELFWISE_N_PATHS), or a machine with more memory"
        )


class StorageError(ShelfwiseError):
    """The database cannot do what was asked."""


class MigrationNeeded(StorageError):
    """The schema on disk and the program's differ; ``shelfwise db migrate`` is the way out."""


class ConflictError(StorageError):
    """The record's state forbids the step, for example receiving a cancelled purchase order."""
