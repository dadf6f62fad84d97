"""From the frame of limits to limits on the items it names: what is shared, by whom, and whether that can be read."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl

from shelfwise.domain.errors import DataError
from shelfwise.domain.order_frames import LIMITS
from shelfwise.inventory.order_options import Limit
from shelfwise.inventory.order_terms import checked_frame

_SCOPED_BY: Final = {"budget": "supplier", "supplier_min": "supplier", "space": "warehouse", "service": "group"}


def order_limits(
    given: Any, items: pl.DataFrame, horizon: int, planned_periods: int = 1
) -> tuple[list[Limit], tuple[int, ...]]:
    """Return the limits with the items they cover, and the periods whose space is limited (0: the order's arrival).

    Parameters
    ----------
    given
        Frame of limits, or None.
    items
        The checked frame of items.
    horizon
        Periods H of the demand.
    planned_periods
        Periods whose orders are decided; 1: only what is ordered now.

    Raises
    ------
    DataError
        A scope that no item has, a period that is not decided here, or a value out of range.

    >>> from shelfwise.domain.order_frames import ITEMS
    >>> items = checked_frame({"unique_id": ["a"], "on_hand": [3], "lead_time_periods": [2]}, ITEMS)
    >>> limits, periods = order_limits({"kind": ["budget", "space"], "value": [100, 5]}, items, 8)
    >>> [limit.name for limit in limits], periods
    (['budget', 'space'], (0,))
    """
    if given is None:
        return [], ()
    frame = checked_frame(given, LIMITS)
    periods = sorted({(period or 0) for kind, period in frame.select("kind", "period").iter_rows() if kind == "space"})
    limits = []
    for kind, scope, period, value in frame.select("kind", "scope", "period", "value").iter_rows():
        members = _members(kind, scope, items)
        _check_period(kind, period, horizon, planned_periods)
        if kind == "service" and value > 1:
            raise DataError(
                f"a service target is a fraction of demand, got {value:g}; write {value / 100:g} for {value:g} %"
            )
        if kind == "supplier_min" and scope is None and items["supplier"].n_unique() > 1:
            raise DataError("a supplier minimum needs the supplier as its scope; add one row for each supplier")
        column = periods.index(period or 0) if kind == "space" else 0
        limits.append(Limit(kind, scope, period, float(value), members, column))
    return limits, tuple(periods)


def _members(kind: str, scope: str | None, items: pl.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    if scope is None:
        return np.ones(items.height, dtype=np.bool_)
    name = _SCOPED_BY[kind]
    members = (items[name] == scope).fill_null(value=False).to_numpy()
    if not members.any():
        known = items[name].drop_nulls().unique().sort().head(5).to_list()
        there = f"items have {name} {', '.join(known)}" if known else f"items have no {name}"
        raise DataError(f"a limit of kind {kind!r} has scope {scope!r}, which is the {name} of no item; {there}")
    return members


def _check_period(kind: str, period: int | None, horizon: int, planned_periods: int) -> None:
    if period is None or (kind == "space" and period <= horizon):
        return
    if kind == "space":
        raise DataError(
            f"a space limit is for period {period}, beyond the horizon of {horizon}; forecast further ahead"
        )
    if period > planned_periods:
        decided = (
            "only the order placed now, in period 1, is decided here; leave the period empty, or plan several periods "
            "with plan_orders"
            if planned_periods == 1
            else f"orders of periods 1 to {planned_periods} are planned; leave it out, or plan more periods"
        )
        raise DataError(f"a limit of kind {kind!r} is for period {period}, but {decided}")
