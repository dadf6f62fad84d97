"""What always holds of a played-out world, with the orders held as they are."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from shelfwise.inventory.what_if import OrderThenBaseStock, Outcome, played_out

SIZES = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 12))


class World:
    """A small random world of n products whose one order is decided already."""

    def __init__(self, sizes: tuple[int, int, int], seed: int) -> None:
        random = np.random.default_rng(seed)
        n, n_paths, horizon = sizes
        self.paths = random.poisson(4.0, size=sizes).astype(float)
        self.on_hand = random.integers(0, 12, n).astype(float)
        self.inbound = random.integers(0, 3, (n, horizon)).astype(float)
        self.lead = random.integers(0, 5, (n, n_paths))
        self.wait = random.integers(0, 3, n)
        self.quantity = random.integers(0, 20, n).astype(float)
        self.factor = 1 + random.random((n, 1, horizon))
        self.later = random.integers(0, 3, (n, n_paths))

    def played(self, level: float = -1.0, *, factor: bool = False, later: bool = False) -> Outcome:
        n = len(self.on_hand)
        policy = OrderThenBaseStock(
            self.quantity, np.full(n, level), self.wait, np.full(n, 2), np.full(n, 1.0), np.zeros(n)
        )
        return played_out(
            policy, self.paths * (self.factor if factor else 1.0), on_hand=self.on_hand, inbound=self.inbound,
            lead_time_periods=self.lead + (self.later if later else 0),
        )  # fmt: skip


@settings(max_examples=40)
@given(SIZES, st.integers(0, 2**31))
def test_more_demand_never_lowers_lost_units_with_the_same_orders(sizes: tuple[int, int, int], seed: int) -> None:
    world = World(sizes, seed)
    base, more = world.played(), world.played(factor=True)
    assert np.all(more.lost_units >= base.lost_units - 1e-9)
    assert np.all(more.stockout >= base.stockout)
    assert np.all(more.stock_units <= base.stock_units + 1e-9)


@settings(max_examples=40)
@given(SIZES, st.integers(0, 2**31))
def test_longer_lead_times_never_raise_service_with_the_same_orders(sizes: tuple[int, int, int], seed: int) -> None:
    world = World(sizes, seed)
    base, slower = world.played(), world.played(later=True)
    assert np.all(slower.lost_units >= base.lost_units - 1e-9)
    assert np.all(slower.stockout >= base.stockout)


@settings(max_examples=25)
@given(SIZES, st.integers(0, 2**31), st.integers(0, 30))
def test_a_line_is_played_out_alone_as_among_others(sizes: tuple[int, int, int], seed: int, level: int) -> None:
    world = World(sizes, seed)
    together = world.played(float(level))
    last = World(sizes, seed)
    for name in ("paths", "on_hand", "inbound", "lead", "wait", "quantity", "factor", "later"):
        setattr(last, name, getattr(world, name)[-1:])
    alone = last.played(float(level))
    for name in Outcome.__dataclass_fields__:
        assert_allclose(getattr(alone, name), getattr(together, name)[-1:])
