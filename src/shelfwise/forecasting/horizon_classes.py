"""Horizon classes: the near, the middle and the far part of a horizon, which are scored by themselves.

An average over the whole horizon hides that the first week is known better than the fourth, and an order for next week
hangs on the first alone. The classes follow from the horizon, so that every frequency has them: **short** is its first
quarter, **medium** its second quarter, **long** its second half. Four weeks of days are the first week, the second,
and the two after them; twelve months are 1-3, 4-6 and 7-12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shelfwise.domain.errors import ParameterError

ALL: Final = "all"
SHORT: Final = "short"
MEDIUM: Final = "medium"
LONG: Final = "long"


@dataclass(frozen=True)
class HorizonClass:
    """Periods ``first`` to ``last`` of a horizon, both counted from 1 and both in it."""

    name: str
    first: int
    last: int

    def __post_init__(self) -> None:
        if not 1 <= self.first <= self.last:
            raise ParameterError(f"a horizon class needs 1 <= first <= last, got {self.first} to {self.last}")

    @property
    def columns(self) -> slice:
        """Where the class lies in an array [N, H]."""
        return slice(self.first - 1, self.last)


def horizon_classes(horizon: int) -> tuple[HorizonClass, ...]:
    """Return the classes of a horizon of H periods, nearest first; one that would be empty is left out.

    Parameters
    ----------
    horizon
        Periods H, at least 1. Below 3 not every class has a period.

    >>> [(c.name, c.first, c.last) for c in horizon_classes(28)]
    [('short', 1, 7), ('medium', 8, 14), ('long', 15, 28)]
    >>> [(c.name, c.first, c.last) for c in horizon_classes(2)]
    [('short', 1, 1), ('long', 2, 2)]
    """
    if horizon < 1:
        raise ParameterError(f"horizon must be at least 1 period, got {horizon}")
    quarter, half = -(-horizon // 4), -(-horizon // 2)  # rounded up: the near part is never empty
    bounds = ((SHORT, 1, quarter), (MEDIUM, quarter + 1, half), (LONG, half + 1, horizon))
    return tuple(HorizonClass(name, first, last) for name, first, last in bounds if first <= last)
