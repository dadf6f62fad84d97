"""The quantities of each item that are looked at: nothing, the smallest order, then whole packs in even steps.

Letters: n items, C options of one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shelfwise.inventory.follow_on_rule import FollowOnRule
from shelfwise.inventory.item_group import ItemGroup
from shelfwise.inventory.lot_sizing import orderable_quantity

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MOST_OPTIONS: Final = 24
"""Options of one product-warehouse; a longer lattice is looked at in coarse steps first."""


@dataclass(eq=False)
class QuantityLattice:
    """The quantities of n items above nothing: the first, packs between two, how many; or those that were given."""

    smallest: Floats
    pack: Floats
    stride: Floats  # packs
    steps: Floats  # quantities above nothing, were they all laid out
    counts: Integers  # quantities laid out, nothing among them
    given: list[Floats] | None = None

    def quantities(self, items: Integers) -> Floats:
        """Return [n, C] quantities of some items; those with fewer than the widest repeat their last."""
        width = int(self.counts[items].max())
        if self.given is not None:
            found = np.empty((len(items), width))
            for place, item in enumerate(items.tolist()):
                one = self.given[item]
                found[place, : len(one)] = one
                found[place, len(one) :] = one[-1]
            return found
        packs = np.minimum(np.arange(width - 1) * self.stride[items, None], self.steps[items, None] - 1)
        above = np.maximum(packs, 0) * self.pack[items, None] + self.smallest[items, None]
        above[self.steps[items] == 0] = 0.0
        return np.concatenate([np.zeros((len(items), 1)), above], axis=1)


def quantity_lattice(group: ItemGroup, needed: Floats, extra: Floats, rule: FollowOnRule) -> QuantityLattice:
    """Lay out the quantities of each item: up to what any path could use, a lot more where lots are wide."""
    terms = group.terms
    smallest = terms.smallest
    lots = np.where(rule.lot > terms.pack, rule.lot.astype(np.float64), 0.0)
    most = orderable_quantity(needed + np.where(needed > 0, lots, 0.0) + extra, terms.pack, terms.moq)
    most = np.minimum(most, np.floor(terms.largest / terms.pack + 1e-9) * terms.pack)
    steps = np.where(most >= smallest - 1e-9, np.floor((most - smallest) / terms.pack + 1e-6) + 1, 0)
    stride = np.maximum(np.ceil((steps - 1) / (MOST_OPTIONS - 2)), 1)
    counts = 1 + np.where(steps > 0, np.ceil((steps - 1) / stride) + 1, 0).astype(np.int64)
    return QuantityLattice(smallest, terms.pack, stride, steps, counts)
