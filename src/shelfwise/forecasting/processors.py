"""The processors a fit uses: matrix libraries are held to one thread, because theirs spin while they wait.

On a busy machine a small matrix product on two spinning threads takes ten times as long as on one; the fits of this
package work side by side by themselves.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any


def one_thread_each() -> AbstractContextManager[Any]:
    """Return a context in which each matrix product runs on one thread.

    The limit is the process's: enter it around a whole fit, not inside the threads of one.

    >>> with one_thread_each():
    ...     pass
    """
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(limits=1, user_api="blas")
    return limits
