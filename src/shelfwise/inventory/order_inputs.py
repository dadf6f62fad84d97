"""What the table of costs is made from: choices, terms of the items, and where the paths of demand come from.

Letters: N product-warehouses, S sample paths, H periods.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.lot_sizing import orderable_quantity

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FOLLOW_ON: Final = ("base_stock", "none")
UNMET: Final = ("lost", "backorder")

MOST_UNITS: Final = 1e12
"""No quantity or price is beyond: its squares and sums would leave what float32 can hold."""


@dataclass(frozen=True)
class Tuning:
    """What a shop's own past may choose about the decision, by `replay`; the defaults need no past.

    Parameters
    ----------
    critical_ratio_factor
        Factor on the critical ratio p / (p + h R); the shortage cost that decides is the one that gives this ratio.
    widening
        Factor on each path's distance from the mean demand; 1 takes the paths as they are.
    follow_on
        ``base_stock``: later orders fill up to a level. ``none``: there are none.
    unmet
        ``lost``: who finds nothing goes away. ``backorder``: waits, at the shortage cost for each unit and period.
    reviews_ahead
        Follow-on orders that are simulated, as far as the horizon allows.

    >>> Tuning(widening=-1.0)
    Traceback (most recent call last):
    shelfwise.domain.errors.ParameterError: widening must be zero or more, got -1.0
    """

    critical_ratio_factor: float = 1.0
    widening: float = 1.0
    follow_on: str = "base_stock"
    unmet: str = "lost"
    reviews_ahead: int = 2

    def __post_init__(self) -> None:
        if not (np.isfinite(self.critical_ratio_factor) and self.critical_ratio_factor > 0):
            raise ParameterError(f"critical_ratio_factor must be above zero, got {self.critical_ratio_factor}")
        if not (np.isfinite(self.widening) and self.widening >= 0):
            raise ParameterError(f"widening must be zero or more, got {self.widening}")
        if self.follow_on not in FOLLOW_ON:
            raise ParameterError(f"follow_on must be one of {', '.join(FOLLOW_ON)}, got {self.follow_on!r}")
        if self.unmet not in UNMET:
            raise ParameterError(f"unmet must be one of {', '.join(UNMET)}, got {self.unmet!r}")
        if self.reviews_ahead < 0:
            raise ParameterError(f"reviews_ahead must be zero or more, got {self.reviews_ahead}")


@dataclass(frozen=True, eq=False)
class OrderTerms:
    """Stock, costs and rules of N product-warehouses, each [N] and complete: no defaults here.

    ``review`` is whole periods; ``largest`` may be infinite; money per unit, holding cost per unit and period.
    """

    on_hand: Floats
    review: Integers
    pack: Floats
    moq: Floats
    largest: Floats
    unit_cost: Floats
    shortage_cost: Floats
    holding_cost: Floats
    order_cost: Floats
    volume: Floats

    def __post_init__(self) -> None:
        n = len(self.on_hand)
        for column in fields(self):
            values = getattr(self, column.name)
            if len(values) != n:
                raise ParameterError(f"{column.name} has {len(values)} numbers for {n} items; give one for each")
            bad = ~(values >= 0) if column.name == "largest" else ~(np.isfinite(values) & (values >= 0))
            beyond = (values > MOST_UNITS) & (column.name != "largest")
            if beyond.any():
                raise ParameterError(
                    f"{column.name} of {values[beyond][0]:g} (item {beyond.argmax()}) is beyond {MOST_UNITS:g}; "
                    "give it in larger units"
                )
            if bad.any():
                raise ParameterError(f"{column.name} must be zero or more, got {values[bad][0]} (item {bad.argmax()})")
        if np.any(self.pack <= 0) or np.any(self.review < 1):
            raise ParameterError("pack must be above zero units and review at least 1 period")

    def select(self, rows: Integers) -> OrderTerms:
        """Return the terms of some items."""
        return OrderTerms(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @property
    def smallest(self) -> Floats:
        """[N] the smallest quantity that can be ordered, units."""
        return orderable_quantity(self.pack, self.pack, self.moq)


class Demand(Protocol):
    """Where the paths come from: N items of S paths over H periods, drawn for some items at a time."""

    @property
    def n_paths(self) -> int:
        """Paths S."""
        ...

    @property
    def horizon(self) -> int:
        """Periods H."""
        ...

    def draw(self, rows: Integers) -> NDArray[Any]:
        """Return [n, S, H] units of the items at ``rows``."""
        ...


@dataclass(frozen=True, eq=False)
class ArrayDemand:
    """Paths [N, S, H] that are there already."""

    paths: NDArray[Any]

    @property
    def n_paths(self) -> int:
        """Paths S."""
        return int(self.paths.shape[1])

    @property
    def horizon(self) -> int:
        """Periods H."""
        return int(self.paths.shape[2])

    def draw(self, rows: Integers) -> NDArray[Any]:
        """Return [n, S, H] units."""
        if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
            return self.paths[rows[0] : rows[-1] + 1]
        return self.paths[rows]
