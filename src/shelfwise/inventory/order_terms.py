"""From the frame of items to the complete terms of an order decision: what is given, and what is assumed in its place.

Every assumption is a note that says what was assumed and for how many items; nothing is filled in silently.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.errors import DataError
from shelfwise.domain.frames import Frame
from shelfwise.domain.order_frames import INBOUND, ITEMS
from shelfwise.domain.tables import to_polars
from shelfwise.inventory.lead_time_demand import LeadTime
from shelfwise.inventory.order_inputs import MOST_UNITS, OrderTerms

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ASSUMED_COST_SHARE: Final = 0.6
"""Unit cost over price, where only one of them is known."""

ASSUMED_HOLDING_SHARE: Final = 0.25
"""Holding cost a year over unit cost, where none is given."""

_ATTRIBUTES: Final = {"warehouse": "warehouse", "product": "product", "group": "category", "supplier": "supplier"}


@dataclass(frozen=True, eq=False)
class ItemTerms:
    """N items in the order of the demand: the checked frame, its terms, lead times and what was assumed.

    ``lead_times`` is [N] whole periods where none varies, else [N, S]; ``lead_mean`` [N]; ``priced`` [N] margin lost
    with a unit that is not sold, where price and cost are known, else the shortage cost.
    """

    frame: pl.DataFrame
    terms: OrderTerms
    lead_mean: Floats
    lead_times: Integers
    margin: Floats
    notes: tuple[str, ...]


def checked_frame(given: Any, frame: Frame) -> pl.DataFrame:
    """Return a caller's table as the declared frame; in optional columns NaN is a cell that was not given.

    >>> checked_frame({"unique_id": ["a"], "on_hand": [3], "lead_time_periods": [2]}, ITEMS)["on_hand"].to_list()
    [3.0]
    """
    table = to_polars(given, frame.name)
    if "unique_id" in table.columns:
        table = table.with_columns(pl.col("unique_id").cast(pl.String))
    blank = [
        name
        for name, dtype in table.schema.items()
        if dtype.is_float() and name in frame.columns and frame.columns[name].nullable
    ]
    return frame.check(table.with_columns(pl.col(blank).fill_nan(None)))


def item_terms(
    given: Any,
    ids: pl.Series | None,
    table: pl.DataFrame | None,
    freq: Frequency | None,
    *,
    n_paths: int,
    horizon: int,
    seed: int = 0,
) -> ItemTerms:
    """Return the terms of all items, in the order of the demand's series.

    Parameters
    ----------
    given
        Frame of items.
    ids
        [N] series of the demand; None takes the items as they stand.
    table, freq
        Attributes of the series and length of a period, where they are known.
    n_paths, horizon, seed
        Of the demand; the seed of the lead times.

    Raises
    ------
    DataError
        The frame breaks a rule, or its ids are not those of the demand, or nothing says what a lost unit costs.
    """
    frame = checked_frame(given, ITEMS)
    if not frame.height:
        raise DataError("items has no rows; give one for each series of the demand")
    if ids is not None:
        frame = _in_order(frame, ids)
    notes: list[str] = []
    frame = _with_attributes(frame, table)
    pack = _filled(frame, "pack", 1.0)
    cost, price = _money(frame, notes)
    shortage = _shortage_cost(frame, cost, price, notes)
    holding = _holding_cost(frame, cost, freq, notes)
    review = np.ceil(_filled(frame, "review_periods", 1.0)).astype(np.int64)
    on_hand = _filled(frame, "on_hand", 0.0)
    below = on_hand < 0
    if below.any():
        notes.append(f"on_hand is below zero in {_count(below, frame)}: taken as 0")
    whole = np.mod(_filled(frame, "review_periods", 1.0), 1) != 0
    if whole.any():
        notes.append(f"review_periods is rounded up to whole periods in {_count(whole, frame)}")
    terms = OrderTerms(
        on_hand=np.maximum(on_hand, 0.0),
        review=review,
        pack=pack,
        moq=_filled(frame, "moq", 0.0),
        largest=_filled(frame, "largest_quantity", np.inf),
        unit_cost=cost,
        shortage_cost=shortage,
        holding_cost=holding,
        order_cost=_filled(frame, "order_cost", 0.0),
        volume=_filled(frame, "volume", 0.0),
    )
    mean, sd = _filled(frame, "lead_time_periods", 0.0), _filled(frame, "lead_time_sd_periods", 0.0)
    if np.any((mean == 0) & (sd > 0)):
        row = int(np.flatnonzero((mean == 0) & (sd > 0))[0])
        raise DataError(
            f"item {frame['unique_id'][row]!r} has a lead time of 0 periods that varies; "
            "give its mean, or a deviation of 0"
        )
    lead = _lead_times(frame, mean, sd, n_paths, seed)
    _refuse_beyond(frame, lead, review, horizon)
    margin = np.where(np.isnan(price), shortage, np.maximum(price - cost, 0.0))
    return ItemTerms(frame, terms, mean, lead, margin, tuple(notes))


def arrivals(given: Any, ids: pl.Series, horizon: int) -> tuple[Floats, Floats]:
    """Return what is on order: [N, H] units on the shelf from the start of each period, and [N] what comes later.

    >>> arrivals({"unique_id": ["a", "a"], "period": [2, 9], "quantity": [5, 7]}, pl.Series(["a"]), 3)
    (array([[0., 5., 0.]]), array([7.]))
    """
    inside, later = np.zeros((len(ids), horizon)), np.zeros(len(ids))
    if given is None:
        return inside, later
    frame = checked_frame(given, INBOUND)
    rows = frame.select("unique_id").join(
        pl.DataFrame({"unique_id": ids}).with_row_index("row"), on="unique_id", how="left", maintain_order="left"
    )["row"]
    if rows.null_count():
        lost = frame["unique_id"][int(rows.is_null().arg_true()[0])]
        raise DataError(f"inbound has unique_id {lost!r}, which is no item; leave the row out or add the item")
    period, units = frame["period"].to_numpy(), frame["quantity"].to_numpy()
    if units.max(initial=0.0) > MOST_UNITS:
        row = int(units.argmax())
        raise DataError(
            f"inbound has {units[row]:g} units of {frame['unique_id'][row]!r}, beyond {MOST_UNITS:g}; "
            "give them in larger units"
        )
    soon = period <= horizon
    place = rows.to_numpy().astype(np.int64)
    np.add.at(inside, (place[soon], period[soon] - 1), units[soon])
    np.add.at(later, place[~soon], units[~soon])
    return inside, later


def _in_order(frame: pl.DataFrame, ids: pl.Series) -> pl.DataFrame:
    """Return the items in the order of the demand's series, or say which is missing where."""
    wanted = pl.DataFrame({"unique_id": ids.cast(pl.String)})
    for left, right, text in (
        (
            wanted,
            frame,
            "items lacks unique_id {}, which the demand has; add a row for it, or leave it out of the demand",
        ),
        (frame, wanted, "items has unique_id {}, which the demand lacks; forecast it too, or leave the row out"),
    ):
        lost = left.join(right, on="unique_id", how="anti", maintain_order="left")
        if lost.height:
            more = f" (and {lost.height - 1:,} more)" if lost.height > 1 else ""
            raise DataError(text.format(repr(lost["unique_id"][0]) + more))
    return wanted.join(frame, on="unique_id", how="left", maintain_order="left")


def _with_attributes(frame: pl.DataFrame, table: pl.DataFrame | None) -> pl.DataFrame:
    """Fill empty scopes from the attributes of the forecast's series."""
    if table is None:
        return frame
    known = {name: column for name, column in _ATTRIBUTES.items() if column in table.columns}
    return frame.with_columns(
        frame[name].fill_null(table[column].cast(pl.String)).alias(name) for name, column in known.items()
    )


def _filled(frame: pl.DataFrame, name: str, default: float) -> Floats:
    return frame[name].fill_null(default).to_numpy().astype(np.float64)


def _count(which: NDArray[np.bool_], frame: pl.DataFrame) -> str:
    rows = np.flatnonzero(which)
    if len(rows) == 1:
        return f"item {frame['unique_id'][int(rows[0])]!r}"
    return f"{len(rows):,} items"


def _money(frame: pl.DataFrame, notes: list[str]) -> tuple[Floats, Floats]:
    """Return unit cost [N] and price [N]; the price is NaN where neither is known."""
    cost, price = _filled(frame, "unit_cost", np.nan), _filled(frame, "price", np.nan)
    from_price, neither = np.isnan(cost) & ~np.isnan(price), np.isnan(cost) & np.isnan(price)
    from_cost = ~np.isnan(cost) & np.isnan(price) & frame["shortage_cost"].is_null().to_numpy()
    if from_price.any():
        notes.append(f"unit_cost is not given for {_count(from_price, frame)}: taken as {ASSUMED_COST_SHARE:g} x price")
    if neither.any():
        notes.append(f"unit_cost and price are not given for {_count(neither, frame)}: unit_cost is taken as 1")
    if from_cost.any():
        notes.append(f"price is not given for {_count(from_cost, frame)}: taken as unit_cost / {ASSUMED_COST_SHARE:g}")
    cost = np.where(from_price, price * ASSUMED_COST_SHARE, np.where(neither, 1.0, cost))
    return cost, np.where(from_cost, cost / ASSUMED_COST_SHARE, price)


def _shortage_cost(frame: pl.DataFrame, cost: Floats, price: Floats, notes: list[str]) -> Floats:
    shortage = _filled(frame, "shortage_cost", np.nan)
    open_rows = np.isnan(shortage)
    unknown = open_rows & np.isnan(price)
    if unknown.any():
        price = np.where(unknown, cost / ASSUMED_COST_SHARE, price)
        notes.append(
            f"nothing says what a lost unit of {_count(unknown, frame)} costs: taken as "
            f"{1 / ASSUMED_COST_SHARE - 1:.2f} x unit_cost; give price and unit_cost, or shortage_cost"
        )
    margin = price - cost
    bad = open_rows & ~(margin > 0)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"item {frame['unique_id'][row]!r} has a price of {price[row]:g} and a unit cost of {cost[row]:g}, so a "
            "lost sale would cost nothing; correct them or give shortage_cost"
        )
    if open_rows.any():
        notes.append(f"shortage_cost is not given for {_count(open_rows, frame)}: taken as price - unit_cost")
    return np.where(open_rows, margin, shortage)


def _holding_cost(frame: pl.DataFrame, cost: Floats, freq: Frequency | None, notes: list[str]) -> Floats:
    holding = _filled(frame, "holding_cost", np.nan)
    open_rows = np.isnan(holding)
    if not open_rows.any():
        return holding
    per_year = (freq or Frequency.parse("1w")).periods_per_year
    length = f"a period of {freq}" if freq else "a week (the demand does not say how long a period is)"
    notes.append(
        f"holding_cost is not given for {_count(open_rows, frame)}: taken as {ASSUMED_HOLDING_SHARE:.0%} of unit_cost "
        f"a year, {ASSUMED_HOLDING_SHARE / per_year:.2%} for {length}"
    )
    return np.where(open_rows, cost * ASSUMED_HOLDING_SHARE / per_year, holding)


def _lead_times(frame: pl.DataFrame, mean: Floats, sd: Floats, n_paths: int, seed: int) -> Integers:
    """Return whole lead times, [N] where none varies, else [N, S]; a supplier's orders are late together."""
    moving = (sd > 0) | (np.mod(mean, 1) != 0)
    if not moving.any():
        return mean.astype(np.int64)
    drawn = np.repeat(np.rint(mean).astype(np.int64)[:, None], n_paths, axis=1)
    rows = np.flatnonzero(moving)
    names = frame["supplier"].fill_null(frame["unique_id"]).gather(rows.tolist())
    keys = pl.DataFrame({"name": names, "mean": mean[rows], "sd": sd[rows]})
    alike = keys.unique(maintain_order=True).with_row_index("place")
    draws = LeadTime(alike["mean"].to_numpy(), alike["sd"].to_numpy()).draw(alike["name"].to_list(), n_paths, seed)
    place = keys.join(alike, on=["name", "mean", "sd"], how="left", maintain_order="left")["place"].to_numpy()
    drawn[rows] = draws[place]
    return drawn


def _refuse_beyond(frame: pl.DataFrame, lead: Integers, review: Integers, horizon: int) -> None:
    longest = lead if lead.ndim == 1 else lead.max(axis=1)
    needed = longest + review
    if needed.max(initial=0) > horizon:
        row = int(needed.argmax())
        raise DataError(
            f"item {frame['unique_id'][row]!r} has a lead time of up to {longest[row]} periods and a review of "
            f"{review[row]}, longer than the horizon of {horizon}; forecast at least {needed[row]} periods"
        )
