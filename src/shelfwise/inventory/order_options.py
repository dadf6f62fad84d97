"""What could be ordered now and what each choice would cost: the table that a joint choice is made from.

Each product-warehouse has a few options, ordering nothing among them; the numbers of an option are expectations over
the paths of its own demand. Limits are what ties product-warehouses together.

Letters: N product-warehouses, C options of all of them together, P periods whose space is limited.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.order_frames import LIMIT_KINDS

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

_PER_OPTION: Final = ("quantity", "cost", "spend", "lost_units", "stockout", "space")


@dataclass(frozen=True, eq=False)
class OrderOptions:
    """The options of N product-warehouses, flat: those of item i are rows ``offsets[i]`` to ``offsets[i + 1]``.

    Parameters
    ----------
    offsets
        [N + 1] first row of each item, and C.
    quantity
        [C] units ordered now, rising within an item; the first of each item is 0.
    cost
        [C] expected cost of holding, shortage and ordering over the periods looked at, money. What is bought is not
        a cost: stock that is left is worth what was paid for it.
    spend
        [C] money: quantity times unit cost.
    lost_units
        [C] expected units of demand not served from the shelf over those periods.
    stockout
        [C] probability of running out before the next order can arrive.
    space
        [C, P] expected cubic metres on hand at the start of each limited period, arrivals included.
    demand_units
        [N] expected demand over the same periods as ``lost_units``.

    >>> options = OrderOptions(
    ...     offsets=np.array([0, 2]), quantity=np.array([0.0, 12.0]), cost=np.array([30.0, 9.0]),
    ...     spend=np.array([0.0, 24.0]), lost_units=np.array([6.0, 1.0]), stockout=np.array([0.9, 0.1]),
    ...     space=np.zeros((2, 0)), demand_units=np.array([10.0]),
    ... )
    >>> options.n_items, options.cheapest().tolist()
    (1, [1])
    """  # fmt: skip

    offsets: Integers
    quantity: Floats
    cost: Floats
    spend: Floats
    lost_units: Floats
    stockout: Floats
    space: Floats
    demand_units: Floats

    def __post_init__(self) -> None:
        counts = np.diff(self.offsets)
        if len(self.offsets) < 1 or self.offsets[0] != 0 or np.any(counts < 1):
            raise ParameterError("every product-warehouse needs at least one option, ordering nothing")
        for name in _PER_OPTION:
            rows = len(getattr(self, name))
            if rows != self.offsets[-1]:
                raise ParameterError(f"{name} has {rows} rows for {self.offsets[-1]} options; give one for each")
        if len(self.demand_units) != self.n_items:
            raise ParameterError(f"demand_units has {len(self.demand_units)} numbers for {self.n_items} items")
        for name in (*_PER_OPTION, "demand_units"):
            if not np.all(np.isfinite(getattr(self, name))):
                raise ParameterError(f"{name} must be finite in every option")
        if np.any(self.quantity[self.offsets[:-1]] != 0):
            raise ParameterError("the first option of each product-warehouse must be to order nothing")

    @property
    def n_items(self) -> int:
        """Number of product-warehouses N."""
        return len(self.offsets) - 1

    @property
    def item(self) -> Integers:
        """[C] the item that each option belongs to."""
        return np.repeat(np.arange(self.n_items), np.diff(self.offsets))

    def cheapest(self) -> Integers:
        """Return [N] the row of each item's option of least expected cost; of equals the smallest quantity."""
        return self.least(self.cost)

    def least(self, value: Floats) -> Integers:
        """Return [N] the row of each item where ``value`` [C] is least; of equals the first."""
        if not self.n_items:
            return np.zeros(0, dtype=np.int64)
        lowest = np.minimum.reduceat(value, self.offsets[:-1])  # [N]
        rows = np.flatnonzero(value <= np.repeat(lowest, np.diff(self.offsets)))
        items = np.searchsorted(self.offsets, rows, side="right") - 1
        first = np.concatenate([[True], items[1:] != items[:-1]])
        return np.asarray(rows[first], dtype=np.int64)

    @classmethod
    def joined(cls, parts: Sequence[OrderOptions]) -> OrderOptions:
        """Put the options of several chunks of items, in their order, into one table."""
        starts = np.cumsum([0, *(part.offsets[-1] for part in parts)])
        offsets = [part.offsets[:-1] + start for part, start in zip(parts, starts[:-1], strict=True)]
        columns = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(cls)
            if field.name != "offsets"
        }
        return cls(offsets=np.concatenate([*offsets, starts[-1:]]).astype(np.int64), **columns)


@dataclass(frozen=True, eq=False)
class Limit:
    """One limit shared by the items it covers.

    Parameters
    ----------
    kind
        ``budget``: money spent now at most. ``space``: cubic metres at the start of a period at most.
        ``supplier_min``: money ordered from a supplier at least, or nothing at all. ``service``: fraction of the
        group's demand served at least, as far as it can be.
    scope
        Supplier, warehouse or group; None for everything.
    period
        Period it holds for; None where there is only one.
    value
        Money, cubic metres or a fraction.
    members
        [N] the items it covers.
    column
        Of a space limit, its column of `OrderOptions.space`.
    """

    kind: str
    scope: str | None
    period: int | None
    value: float
    members: Flags
    column: int = 0

    def __post_init__(self) -> None:
        if self.kind not in LIMIT_KINDS:
            raise ParameterError(f"a limit is one of {', '.join(LIMIT_KINDS)}, got {self.kind!r}")
        if not (np.isfinite(self.value) and self.value >= 0):
            raise ParameterError(f"the {self.name} must be zero or more, got {self.value}")
        if self.kind == "service" and self.value > 1:
            raise ParameterError(f"the {self.name} is a fraction of demand, at most 1, got {self.value}")

    @property
    def name(self) -> str:
        """What it is called in messages, such as ``budget of S-BRIN``."""
        words = {"supplier_min": "supplier minimum", "service": "service target"}.get(self.kind, self.kind)
        return words + (f" of {self.scope}" if self.scope is not None else "")
