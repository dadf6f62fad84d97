"""Which stock to move between warehouses now, before anything is ordered.

A unit moved is worth what it saves on the shelf it goes to, less what it was worth on the shelf it leaves and the cost
of the lane. Both are differences of expected costs, with the best order for each stock chosen anew, so a move that only
spares an order is weighed against that order. Moves are taken one by one, for each product the pair and the quantity
that save most; each next move is weighed at the stock that the ones before it left.

Limits shared by several product-warehouses enter as their prices. Prices hold for small changes, so whoever moves stock
decides the orders once more and drops the moves if that comes out dearer (`optimise.py` does).

Letters: N product-warehouses, H periods, M moves, V stocks to be valued.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.order_frames import LANES, TRANSFERS
from shelfwise.inventory.order_terms import checked_frame

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_SIZES: Final = 10  # quantities of one pair that are valued at once; then as many between the neighbours of the best
_NEARLY: Final = 0.8  # of the most that a pair of the product saves: less is not looked at more finely
_MOST_ROUNDS: Final = 40  # moves of one product at most
_STOCKS_AT_ONCE: Final = 4_000


class StockValue(Protocol):
    """What product-warehouses cost, at best, from a stock and arrivals that could be theirs."""

    def __call__(self, rows: Integers, on_hand: Floats, due: Floats) -> Floats:
        """Return [V] least expected costs of the items ``rows`` [V] with ``on_hand`` [V] and ``due`` [V, H] units."""
        ...


@dataclass(frozen=True)
class Lane:
    """A way from one warehouse to another: periods it takes, rounded up to whole ones, and money per unit moved."""

    source: str
    target: str
    lead_time_periods: float
    cost: float

    def __post_init__(self) -> None:
        if self.source == self.target:
            raise ParameterError(f"a lane leads from {self.source!r} to itself; leave it out")
        for name in ("lead_time_periods", "cost"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ParameterError(f"{name} of a lane must be zero or more, got {getattr(self, name)}")

    @property
    def arrives(self) -> int:
        """Period from whose start what leaves now is on the other shelf."""
        return int(np.ceil(self.lead_time_periods - 1e-9)) + 1


def read_lanes(given: Any) -> list[Lane]:
    """Return the lanes of a caller's frame ``lanes``.

    >>> read_lanes({"from": ["S"], "to": ["E"], "lead_time_periods": [0.5], "cost": [0.2]})[0].arrives
    2
    """
    frame = checked_frame(given, LANES)
    return [Lane(*row) for row in frame.select("from", "to", "lead_time_periods", "cost").iter_rows()]


@dataclass(frozen=True, eq=False)
class Moves:
    """Stock to move now.

    giver, taker
        [M] items.
    quantity
        [M] units.
    arrives
        [M] period from whose start the units are on the taker's shelf.
    cost
        [M] money for moving them.
    saving
        [M] expected cost saved, the cost of moving taken off.
    """

    giver: Integers
    taker: Integers
    quantity: Floats
    arrives: Integers
    cost: Floats
    saving: Floats

    def __len__(self) -> int:
        """Return M."""
        return len(self.quantity)

    def applied(self, on_hand: Floats, due: Floats) -> tuple[Floats, Floats]:
        """Return what is on hand [N] and due [N, H] after the moves.

        >>> one = Moves(*(np.array([v]) for v in (0, 1, 3.0, 2, 0.6, 5.0)))
        >>> on_hand, due = one.applied(np.array([10.0, 0.0]), np.zeros((2, 3)))
        >>> on_hand.tolist(), due.tolist()
        ([7.0, 0.0], [[0.0, 0.0, 0.0], [0.0, 3.0, 0.0]])
        """
        on_hand, due = on_hand.copy(), due.copy()
        np.subtract.at(on_hand, self.giver, self.quantity)
        np.add.at(due, (self.taker, self.arrives - 1), self.quantity)
        return on_hand, due

    def frame(self, products: Sequence[str | None], warehouses: Sequence[str | None]) -> pl.DataFrame:
        """Return them as a frame ``transfers``, those that save most first."""
        names = {
            "product": [products[i] for i in self.giver.tolist()],
            "from": [warehouses[i] for i in self.giver.tolist()],
            "to": [warehouses[i] for i in self.taker.tolist()],
        }
        rows = pl.DataFrame(names, schema=dict.fromkeys(names, pl.String)).with_columns(
            quantity=self.quantity, arrives=self.arrives, cost=self.cost, saving=self.saving
        )
        return TRANSFERS.check(rows.sort("saving", descending=True, maintain_order=True))


def best_transfers(
    value: StockValue,
    on_hand: Floats,
    due: Floats,
    products: Sequence[str | None],
    warehouses: Sequence[str | None],
    lanes: Sequence[Lane],
) -> Moves:
    """Return the moves of whole units that save most, net of what moving costs; none where nothing is saved.

    Parameters
    ----------
    value
        Least expected cost of items from a stock that could be theirs.
    on_hand, due
        [N] units now and [N, H] units that arrive at the start of each period.
    products, warehouses
        [N] codes; stock moves between items of one product. An item without both neither gives nor takes.
    lanes
        The ways there are. What would arrive after the horizon is not moved.

    A product-warehouse gives only what is on hand now, and what has given does not take.

    >>> def value(rows, on_hand, due):  # four units are asked for in each of three periods, a unit lost costs 2
    ...     stock, lost = on_hand.copy(), np.zeros(len(rows))
    ...     for h in range(3):
    ...         stock = stock + due[:, h] - 4
    ...         lost, stock = lost - 2 * np.minimum(stock, 0), np.maximum(stock, 0)
    ...     return lost + 0.1 * stock
    >>> ways = [Lane("S", "E", 1, 0.5), Lane("E", "S", 1, 0.5)]
    >>> moves = best_transfers(value, np.array([30.0, 0.0]), np.zeros((2, 3)), ["tea", "tea"], ["S", "E"], ways)
    >>> moves.quantity.tolist(), moves.cost.tolist(), moves.saving.round(6).tolist()
    ([8.0], [4.0], [12.8])
    """
    on_hand, due = np.asarray(on_hand, dtype=np.float64), np.asarray(due, dtype=np.float64)
    if not np.all(np.isfinite(on_hand)) or not np.all(np.isfinite(due) & (due >= 0)):
        raise ParameterError("on_hand and due must be finite numbers of units, due zero or more")
    search = _Moving(value, on_hand, due, _paired(on_hand, due.shape[1], products, warehouses, lanes))
    for _ in range(_MOST_ROUNDS):
        if not search.step():
            break
    return search.moves()


def _paired(
    on_hand: Floats,
    horizon: int,
    products: Sequence[str | None],
    warehouses: Sequence[str | None],
    lanes: Sequence[Lane],
) -> _Pairs:
    """Return the pairs of items of one product that a lane joins, with stock to give."""
    at = {(p, w): i for i, (p, w) in enumerate(zip(products, warehouses, strict=True)) if p is not None}
    codes = {product: code for code, product in enumerate(dict.fromkeys(products))}
    ways: dict[str, list[Lane]] = {}
    for lane in lanes:
        if lane.arrives <= horizon:
            ways.setdefault(lane.source, []).append(lane)
    found = [
        (i, at[p, lane.target], lane.arrives, codes[p], lane.cost)
        for (p, w), i in at.items()
        if w in ways and on_hand[i] >= 1
        for lane in ways[w]
        if (p, lane.target) in at
    ]
    numbers = np.array(found, dtype=np.float64).reshape(-1, 5)
    giver, taker, arrives, product = numbers[:, :4].astype(np.int64).T
    return _Pairs(giver, taker, arrives, product, numbers[:, 4])


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Who may give to whom, [pairs]: items, period of arrival, product, and money per unit moved."""

    giver: Integers
    taker: Integers
    arrives: Integers
    product: Integers
    each: Floats

    def where(self, which: NDArray[np.bool_]) -> _Pairs:
        """Return some of them."""
        return _Pairs(self.giver[which], self.taker[which], self.arrives[which], self.product[which], self.each[which])


class _Moving:
    """Stocks as they are after the moves so far, and the pairs that may still move."""

    def __init__(self, value: StockValue, on_hand: Floats, due: Floats, pairs: _Pairs) -> None:
        self.value, self.on_hand, self.due, self.pairs = value, on_hand.copy(), due.copy(), pairs
        self.best = np.full(len(on_hand), np.nan)  # [N] cost of each item as it stands; NaN where none moves
        items = np.unique(np.concatenate([pairs.giver, pairs.taker]))
        self.best[items] = self._valued(items, self.on_hand[items], self.due[items])
        self.taken: dict[tuple[int, int, int], list[float]] = {}  # (giver, taker, arrives): units, cost, saving

    def step(self) -> bool:
        """Take the best move of each product; keep the pairs of products that still had one; say if any had."""
        self.pairs = self.pairs.where(self.on_hand[self.pairs.giver] >= 1 - 1e-9)
        pairs = self.pairs
        if not len(pairs.giver):
            return False
        quantity, saving = self._best_quantities(pairs)
        least = 1e-6 * (1 + np.abs(self.best[pairs.giver]) + np.abs(self.best[pairs.taker]))
        order = np.lexsort((-saving, pairs.product))
        first = order[np.flatnonzero(np.diff(pairs.product[order], prepend=-1))]
        first = first[saving[first] > least[first]]
        self._take(first, quantity[first], saving[first])
        gave, took = np.zeros(len(self.on_hand), dtype=bool), np.zeros(len(self.on_hand), dtype=bool)
        gave[pairs.giver[first]], took[pairs.taker[first]] = True, True
        moved = np.isin(pairs.product, pairs.product[first])
        self.pairs = pairs.where(moved & ~gave[pairs.taker] & ~took[pairs.giver])
        return bool(len(first))

    def _best_quantities(self, pairs: _Pairs) -> tuple[Floats, Floats]:
        """Return [pairs] the quantity of each that saves most, and what it saves: a grid, then finer ones around it."""
        low, high = np.ones(len(pairs.giver)), np.floor(self.on_hand[pairs.giver] + 1e-9)
        quantity, saving = np.zeros(len(low)), np.full(len(low), -np.inf)
        wide = np.arange(len(low))
        while len(wide):
            span = high[wide] - low[wide]
            grid = np.rint(low[wide, None] + span[:, None] * np.linspace(0, 1, _SIZES))  # [wide, sizes]
            mask = np.zeros(len(low), dtype=bool)
            mask[wide] = True
            saved = self._savings(pairs.where(mask), grid)
            place = saved.argmax(axis=1)
            rows = np.arange(len(wide))
            better = saved[rows, place] > saving[wide]
            quantity[wide] = np.where(better, grid[rows, place], quantity[wide])
            saving[wide] = np.maximum(saving[wide], saved[rows, place])
            spacing = np.ceil(span / (_SIZES - 1))
            low[wide], high[wide] = (
                np.maximum(low[wide], quantity[wide] - spacing),
                np.minimum(high[wide], quantity[wide] + spacing),
            )
            wide = wide[(span > _SIZES - 1) & self._promising(pairs, saving)[wide]]
        return quantity, saving

    def _promising(self, pairs: _Pairs, saving: Floats) -> NDArray[np.bool_]:
        """Return [pairs] which of them save nearly as much as the best of their product, and not nothing."""
        most = np.full(int(pairs.product.max(initial=-1)) + 1, -np.inf)
        np.maximum.at(most, pairs.product, saving)
        return (saving > 0) & (saving >= _NEARLY * most[pairs.product])

    def _savings(self, pairs: _Pairs, grid: Floats) -> Floats:
        """Return [pairs, sizes] what moving so many units of each pair saves."""
        sizes = grid.shape[1]
        giver, taker = np.repeat(pairs.giver, sizes), np.repeat(pairs.taker, sizes)
        units = grid.ravel()
        left = np.stack([giver, self.on_hand[giver] - units], axis=1)
        stocks, place = np.unique(left, axis=0, return_inverse=True)  # several lanes may lead from one giver
        items = stocks[:, 0].astype(np.int64)
        without = self._valued(items, stocks[:, 1], self.due[items])[place.ravel()]
        due = self.due[taker]
        due[np.arange(len(units)), np.repeat(pairs.arrives, sizes) - 1] += units
        having = self._valued(taker, self.on_hand[taker], due)
        saved = self.best[giver] - without + self.best[taker] - having - np.repeat(pairs.each, sizes) * units
        return np.asarray(saved.reshape(grid.shape), dtype=np.float64)

    def _valued(self, rows: Integers, on_hand: Floats, due: Floats) -> Floats:
        parts = [slice(start, start + _STOCKS_AT_ONCE) for start in range(0, len(rows), _STOCKS_AT_ONCE)]
        return np.concatenate([np.zeros(0), *(self.value(rows[part], on_hand[part], due[part]) for part in parts)])

    def _take(self, pairs: Integers, quantity: Floats, saving: Floats) -> None:
        for pair, units, saved in zip(pairs.tolist(), quantity.tolist(), saving.tolist(), strict=True):
            key = (int(self.pairs.giver[pair]), int(self.pairs.taker[pair]), int(self.pairs.arrives[pair]))
            so_far = self.taken.setdefault(key, [0.0, 0.0, 0.0])
            self.taken[key] = [
                a + b for a, b in zip(so_far, (units, units * self.pairs.each[pair], saved), strict=True)
            ]
            self.on_hand[key[0]] -= units
            self.due[key[1], key[2] - 1] += units
        changed = np.unique(np.concatenate([self.pairs.giver[pairs], self.pairs.taker[pairs]]))
        self.best[changed] = self._valued(changed, self.on_hand[changed], self.due[changed])

    def moves(self) -> Moves:
        """Return what was taken."""
        keys = np.array(list(self.taken), dtype=np.int64).reshape(-1, 3)
        numbers = np.array(list(self.taken.values()), dtype=np.float64).reshape(-1, 3)
        return Moves(keys[:, 0], keys[:, 1], numbers[:, 0], keys[:, 2], numbers[:, 1], numbers[:, 2])
