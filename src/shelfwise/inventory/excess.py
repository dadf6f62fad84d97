"""Dead and excess stock: units that demand will hardly use, the money in them, and how long they will lie.

Stock is excess beyond what demand uses up to the cover time in all but a few of the paths; the cover time is the
protection time and a while more, because stock for the next order cycle is not excess. It is dead where the paths
expect no demand at all, or nothing has sold for long. The same paths as everywhere, so that nothing is called excess
that the order proposal would buy again.

Letters: N product-warehouses, S sample paths, H periods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.lead_time_demand import checked_paths, series_slices

Floats = NDArray[np.float64]

USED_LEVEL: Final = 0.95
"""Share of the paths in which demand over the cover time uses no more than what is not excess."""

LEAST_EXPECTED: Final = 0.5
"""Units expected over the cover time below which stock is dead."""


@dataclass(frozen=True, eq=False)
class Excess:
    """Excess of N product-warehouses, each [N].

    used
        Units that demand uses over the cover time in `USED_LEVEL` of the paths.
    units
        Units on hand and due beyond that.
    due_units
        Those of them that are still on order.
    expected
        Mean demand over the cover time, units.
    periods_to_sell
        Median periods until what is on hand has sold; infinite where it does not.
    dead
        No demand to speak of is expected.
    """

    used: Floats
    units: Floats
    due_units: Floats
    expected: Floats
    periods_to_sell: Floats
    dead: NDArray[np.bool_]

    @property
    def on_hand_units(self) -> Floats:
        """[N] excess units that lie on the shelf already."""
        return self.units - self.due_units


def excess_stock(
    on_hand: ArrayLike, due: ArrayLike, paths: NDArray[Any], cover_periods: ArrayLike, *, level: float = USED_LEVEL
) -> Excess:
    """Return what is on hand and due beyond what demand will use.

    Demand beyond the horizon goes on at each path's own mean rate: ``D_s(W) = sum of y_{s,h}, h = 1 .. min(W, H)``,
    times ``W / H`` where W is longer than H.

    Parameters
    ----------
    on_hand, due
        [N] units on the shelf, and on order whenever they come.
    paths
        [N, S, H] demand, units per period.
    cover_periods
        [N] periods whose demand stock may be held for, at least 1.
    level
        Share of the paths that what is not excess must be enough for.

    >>> found = excess_stock([100.0, 5.0], [20.0, 0.0], np.full((2, 4, 10), [[[1.0]], [[0.0]]]), [30, 30])
    >>> found.units.tolist(), found.due_units.tolist(), found.periods_to_sell.tolist(), found.dead.tolist()
    ([90.0, 5.0], [20.0, 0.0], [100.0, inf], [False, True])
    """
    paths = checked_paths(paths)
    n, _, horizon = paths.shape
    shelf, coming = (np.asarray(units, dtype=np.float64) for units in (on_hand, due))
    cover = np.broadcast_to(np.asarray(cover_periods, dtype=np.float64), (n,))
    if shelf.shape != (n,) or coming.shape != (n,) or not np.all(np.isfinite(shelf) & np.isfinite(coming)):
        raise ParameterError(f"on_hand and due must be one finite number of units for each of the {n} series")
    if np.any(coming < 0):
        raise ParameterError(f"due must be zero or more units, got {coming.min():g}")
    if np.any(~(cover >= 1)):
        raise ParameterError(f"the cover time must be at least 1 period, got {np.nanmin(cover):g}")
    if not 0 < level < 1:
        raise ParameterError(f"level must be above 0 and below 1, got {level}")
    shelf = np.maximum(shelf, 0.0)
    used, expected, lasts = np.empty(n), np.empty(n), np.empty(n)
    for part in series_slices(*paths.shape):
        running = paths[part].cumsum(axis=2, dtype=np.float64)  # [n, S, H]
        within = np.minimum(np.floor(cover[part]), horizon).astype(np.int64)
        total = np.take_along_axis(running, (within - 1)[:, None, None], axis=2)[:, :, 0]  # [n, S]
        total = total * np.maximum(cover[part] / horizon, 1.0)[:, None]
        used[part] = np.quantile(total, level, axis=1, method="inverted_cdf")
        expected[part] = total.mean(axis=1)
        lasts[part] = np.median(_periods_to_sell(shelf[part], running), axis=1)
    beyond = np.maximum(np.floor(shelf + coming - used + 1e-9), 0.0)
    return Excess(
        used=used,
        units=beyond,
        due_units=np.minimum(beyond, coming),
        expected=expected,
        periods_to_sell=lasts,
        dead=(expected < LEAST_EXPECTED) & (shelf > 0),
    )


def _periods_to_sell(shelf: Floats, running: Floats) -> Floats:
    """Return [n, S] periods until each path has asked for what is on the shelf; beyond H at the path's mean rate."""
    horizon = running.shape[2]
    short = running < shelf[:, None, None] - 1e-9
    inside = short.sum(axis=2) + 1.0  # the period in which the last unit goes
    rate = running[:, :, -1] / horizon
    left = shelf[:, None] - running[:, :, -1]
    later = horizon + left / np.where(rate > 0, rate, np.nan)
    found = np.where(left > 1e-9, np.where(rate > 0, later, np.inf), inside)
    return np.where(shelf[:, None] > 0, found, 0.0)
