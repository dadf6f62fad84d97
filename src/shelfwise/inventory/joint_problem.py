"""Orders under shared limits as a problem in arrays: items with options, what they cost and use, and the limits.

Letters: N items, C options, D columns of use, K priced limits, B suppliers with a minimum, G groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shelfwise.inventory.order_options import Floats, Integers

MOST_GROUPS: Final = 256
MOST_SUPPLIERS: Final = 1_000
"""Suppliers with a minimum that are a group each; the others share what is left of the groups, a few at least."""


@dataclass(frozen=True, eq=False)
class PricedLimit:
    """A limit as ``sum over members of use <= most``; a soft one may be missed at ``cap`` per unit.

    Parameters
    ----------
    column
        Which column of use it adds up, 0 to D - 1.
    members
        [m] the items it covers.
    most
        Right side, in units of the column.
    cap
        Largest price, money per unit; infinite for a limit that must be kept.
    """

    column: int
    members: Integers
    most: float
    cap: float = np.inf


@dataclass(frozen=True, eq=False)
class SupplierMinimum:
    """Members' spend is at least ``least`` money, or zero."""

    members: Integers
    least: float


@dataclass(frozen=True, eq=False)
class JointProblem:
    """Items with options, what they cost and use, and the limits they share.

    Parameters
    ----------
    offsets
        [N + 1] first option of each item.
    cost
        [C] money.
    use
        D arrays [C]: what each option uses; column 0 is spend.
    limits, minima
        K priced limits and B supplier minima; no item has two minima.
    """

    offsets: Integers
    cost: Floats
    use: tuple[Floats, ...]
    limits: tuple[PricedLimit, ...]
    minima: tuple[SupplierMinimum, ...] = ()

    @property
    def n_items(self) -> int:
        """Number of items N."""
        return len(self.offsets) - 1

    def used(self, rows: Integers) -> Floats:
        """Return [K] what the options ``rows`` [N] use of each priced limit."""
        return np.array([self.use[limit.column][rows[limit.members]].sum() for limit in self.limits])

    def penalty(self, used: Floats) -> float:
        """Return what missing the soft limits costs, money."""
        return float(
            sum(
                limit.cap * max(0.0, float(u) - limit.most)
                for limit, u in zip(self.limits, used, strict=True)
                if np.isfinite(limit.cap)
            )
        )


@dataclass(frozen=True, eq=False)
class Layer:
    """Limits on one column that share no item: each item's limit, or -1."""

    column: int
    labels: NDArray[np.int32]  # [n]


def least_rows(offsets: Integers, value: Floats) -> Integers:
    """Return [N] the first row of each item where ``value`` [C] is least."""
    if len(offsets) < 2:
        return np.zeros(0, dtype=np.int64)
    counts = np.diff(offsets)
    if counts.min() == counts.max():
        return np.asarray(offsets[:-1] + value.reshape(len(counts), -1).argmin(axis=1), dtype=np.int64)
    lowest = np.minimum.reduceat(value, offsets[:-1])
    rows = np.flatnonzero(value <= np.repeat(lowest, counts))
    items = np.searchsorted(offsets, rows, side="right") - 1
    first = np.concatenate([[True], items[1:] != items[:-1]])
    return np.asarray(rows[first], dtype=np.int64)


def in_layers(problem: JointProblem) -> list[Layer]:
    """Put limits that share no item into one layer, first fit."""
    layers: list[Layer] = []
    for number, limit in enumerate(problem.limits):
        for layer in layers:
            if layer.column == limit.column and np.all(layer.labels[limit.members] < 0):
                break
        else:
            layer = Layer(limit.column, np.full(problem.n_items, -1, dtype=np.int32))
            layers.append(layer)
        layer.labels[limit.members] = number
    return layers


def canonical(
    problem: JointProblem, layers: list[Layer], bundle: NDArray[np.int32], counts: Integers
) -> Integers:  # fmt: skip
    """Return the items that a limit touches and that have a choice, in an order that depends on their numbers only."""
    touched = bundle >= 0
    for layer in layers:
        touched |= layer.labels >= 0
    items = np.flatnonzero(touched & (counts > 1))
    first, last = problem.offsets[items], problem.offsets[items + 1] - 1
    # Ties are broken by one number made of everything else an item is known by; twins are all the same to the choice.
    ties = problem.cost[last].copy()
    for number, use in enumerate(problem.use):
        ties += np.sqrt(number + 3.0) * use[last]
    for number, layer in enumerate(layers):
        ties += np.sqrt(number + 0.3) * (layer.labels[items] + 1)
    return np.asarray(items[np.lexsort((ties, problem.cost[first], bundle[items], counts[items]))], dtype=np.int64)


def grouped(layers: list[Layer], bundle: NDArray[np.int32], n_minima: int) -> tuple[NDArray[np.int64], int]:
    """Number the sets of limits items are under, about `MOST_GROUPS`; a supplier with a minimum is one of its own.

    Where there are more suppliers than `MOST_SUPPLIERS`, several share a group.
    """
    code = np.zeros(len(bundle), dtype=np.int64)
    for layer in layers:
        _, code = np.unique(code * (int(layer.labels.max(initial=-1)) + 2) + layer.labels + 1, return_inverse=True)
    if n_minima:
        n_codes = int(code.max(initial=-1)) + 1
        alone = n_minima <= MOST_SUPPLIERS
        if alone:
            rest = max(MOST_GROUPS - n_minima, 32)
            code, n_codes = code % rest, min(n_codes, rest)
        _, code = np.unique(np.where(bundle >= 0, n_codes + bundle, code), return_inverse=True)
        if alone:
            return code, int(code.max(initial=-1)) + 1
    code = code % MOST_GROUPS
    return code, int(code.max(initial=-1)) + 1
