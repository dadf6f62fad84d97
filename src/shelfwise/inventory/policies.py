"""When to order and how much: four replenishment policies behind one protocol.

A policy looks at the inventory position, what is on hand plus what is on order [units], and answers with a quantity.
Promises of every policy, tested for each on the list: never negative, whole packs, never more for a higher position.

Letters: N product-warehouses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.lot_sizing import whole_packs

Floats = NDArray[np.float64]


@runtime_checkable
class Policy(Protocol):
    """A rule that turns inventory positions [N] into order quantities [N]."""

    name: ClassVar[str]

    def order_quantity(self, position: ArrayLike, period: int = 0) -> Floats:
        """Return the units [N] to order at the start of ``period`` (0 is now) with this position [N]."""
        ...


def _finite(name: str, value: ArrayLike) -> Floats:
    array = np.asarray(value, dtype=np.float64)
    if not np.all(np.isfinite(array)):
        raise ParameterError(f"{name} must be a finite number of units, got {array[~np.isfinite(array)].flat[0]}")
    return array


def _pack(value: ArrayLike) -> Floats:
    pack = _finite("pack", value)
    if np.any(pack <= 0):
        raise ParameterError(f"pack must be above zero units, got {pack.min():g}")
    return pack


@dataclass(frozen=True, eq=False)
class BaseStock:
    """Order at every review what brings the position up to a level.

    >>> BaseStock(order_up_to=50.0, pack=12.0).order_quantity([20.0, 50.0, 70.0]).tolist()
    [36.0, 0.0, 0.0]
    """

    name: ClassVar[str] = "base_stock"
    order_up_to: ArrayLike  # [N] units
    pack: ArrayLike = 1.0  # [N] units per pack

    def __post_init__(self) -> None:
        _finite("order_up_to", self.order_up_to)
        _pack(self.pack)

    def order_quantity(self, position: ArrayLike, period: int = 0) -> Floats:
        """Return the gap to the level, in whole packs."""
        return whole_packs(np.asarray(self.order_up_to, dtype=np.float64) - _finite("position", position), self.pack)


@dataclass(frozen=True, eq=False)
class ReorderPointQuantity:
    """(s, Q): at or below the reorder point, order as many lots of Q as lift the position above it.

    Source: Silver, Pyke and Thomas, 4th ed., chapter 6.

    >>> ReorderPointQuantity(reorder_point=20.0, quantity=24.0, pack=12.0).order_quantity([21.0, 20.0, -10.0]).tolist()
    [0.0, 24.0, 48.0]
    """

    name: ClassVar[str] = "s_q"
    reorder_point: ArrayLike  # [N] units
    quantity: ArrayLike  # [N] units per lot
    pack: ArrayLike = 1.0  # [N] units per pack

    def __post_init__(self) -> None:
        _finite("reorder_point", self.reorder_point)
        lot, pack = _finite("quantity", self.quantity), _pack(self.pack)
        if np.any(lot <= 0):
            raise ParameterError(f"quantity must be above zero units, got {lot.min():g}")
        packs = lot / pack
        if np.any(np.abs(packs - np.rint(packs)) > 1e-9):
            raise ParameterError("quantity must be whole packs; round it up with whole_packs(quantity, pack)")

    def order_quantity(self, position: ArrayLike, period: int = 0) -> Floats:
        """Return whole lots, none above the reorder point."""
        lot = np.asarray(self.quantity, dtype=np.float64)
        gap = np.asarray(self.reorder_point, dtype=np.float64) - _finite("position", position)
        lots = np.floor(gap / lot + 1e-9) + 1
        return np.where(gap >= 0, lots * lot, 0.0)


@dataclass(frozen=True, eq=False)
class ReorderPointOrderUpTo:
    """(s, S): at or below the reorder point s, order up to S. Source: Scarf 1960.

    >>> ReorderPointOrderUpTo(reorder_point=20.0, order_up_to=50.0).order_quantity([21.0, 20.0, 5.0]).tolist()
    [0.0, 30.0, 45.0]
    """

    name: ClassVar[str] = "s_S"
    reorder_point: ArrayLike  # [N] units
    order_up_to: ArrayLike  # [N] units
    pack: ArrayLike = 1.0  # [N] units per pack

    def __post_init__(self) -> None:
        low, high = _finite("reorder_point", self.reorder_point), _finite("order_up_to", self.order_up_to)
        _pack(self.pack)
        if np.any(high < low):
            raise ParameterError("order_up_to must not be below the reorder point; raise it or lower the reorder point")

    def order_quantity(self, position: ArrayLike, period: int = 0) -> Floats:
        """Return the gap to S in whole packs where the position is at or below s."""
        here = _finite("position", position)
        gap = whole_packs(np.asarray(self.order_up_to, dtype=np.float64) - here, self.pack)
        return np.where(here <= np.asarray(self.reorder_point, dtype=np.float64), gap, 0.0)


@dataclass(frozen=True, eq=False)
class PeriodicReview:
    """(R, S): every R periods, order up to S. Source: Silver, Pyke and Thomas, 4th ed., chapter 6.

    >>> policy = PeriodicReview(review_periods=7, order_up_to=50.0)
    >>> policy.order_quantity([20.0], period=7).tolist(), policy.order_quantity([20.0], period=8).tolist()
    ([30.0], [0.0])
    """

    name: ClassVar[str] = "r_S"
    review_periods: ArrayLike  # [N] whole periods
    order_up_to: ArrayLike  # [N] units
    pack: ArrayLike = 1.0  # [N] units per pack

    def __post_init__(self) -> None:
        review = np.asarray(self.review_periods)
        if np.any(review < 1) or np.any(review != np.floor(review)):
            raise ParameterError(f"review time must be whole periods and at least 1, got {review.min():g}")
        _finite("order_up_to", self.order_up_to)
        _pack(self.pack)

    def order_quantity(self, position: ArrayLike, period: int = 0) -> Floats:
        """Return the gap to S in whole packs in a review period, else nothing."""
        gap = whole_packs(np.asarray(self.order_up_to, dtype=np.float64) - _finite("position", position), self.pack)
        return np.where(period % np.asarray(self.review_periods, dtype=np.int64) == 0, gap, 0.0)


POLICIES: Final[dict[str, type[Policy]]] = {
    policy.name: policy for policy in (BaseStock, ReorderPointQuantity, ReorderPointOrderUpTo, PeriodicReview)
}
"""Every policy there is. A new one is a class above and its name here."""
