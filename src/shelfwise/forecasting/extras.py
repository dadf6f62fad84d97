"""Models that need an optional extra: what a reader is told where it is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shelfwise.domain.errors import ModelError


@contextmanager
def extra_needed(model: str, extra: str) -> Iterator[None]:
    """Turn a failed import inside the block into a `ModelError` that names the extra.

    >>> with extra_needed("auto_ets", "classic"):
    ...     import no_such_library
    Traceback (most recent call last):
    shelfwise.domain.errors.ModelError: model auto_ets needs the extra 'classic'; pip install 'shelfwise[classic]'
    """
    try:
        yield
    except ImportError as error:
        message = f"model {model} needs the extra {extra!r}; pip install 'shelfwise[{extra}]'"
        raise ModelError(message) from error
