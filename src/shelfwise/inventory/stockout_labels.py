"""What would have run out: stock replayed over sales, to learn and to judge probabilities of a stockout on.

Recorded stockouts are few, and biased by what the planner did about the alarm. A sales history holds many more: over
it, stock is replayed under base-stock policies of mixed generosity that miss some of their orders. At a moment the
replayed shelf and what is due are known, as a shop knows them; the label is whether the demand that really came
exceeded them, had nothing more been ordered. It asks exactly what `stockout_risk` answers on paths.

A label stands only on demand that is known: where a stockout may have hidden demand in the window there is none.

The clock is that of the floor: arrivals at the start of a period, then demand; orders are placed at the start of a
period, knowing all before; one with lead time L placed at the start of period t is there at the start of t + L.

Letters: N product-warehouses, T past periods, H periods ahead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.paths import keyed_generator
from shelfwise.inventory.lead_time_demand import LeadTime
from shelfwise.inventory.stockout_risk import stockout_risk

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Replenishment:
    """The policies that stock is replayed under: order up to ``generosity`` times the mean demand of a cover.

    The cover is lead time plus two reviews: the protection time and one review for safety. With 1 a product runs out
    now and then, with 0.5 often, with 1.4 seldom.

    Parameters
    ----------
    generosity
        Least and most; each series draws its own.
    missed
        Chance that an order is not placed when it should be.
    review_periods
        Periods between orders; series take turns.
    memory
        Periods of which the policy takes the mean.
    seed
        Same seed, same policies and same missed orders, for each series whatever stands beside it.

    >>> Replenishment(missed=1.5)
    Traceback (most recent call last):
    ...
    shelfwise.domain.errors.ParameterError: missed must be at least 0 and below 1, got 1.5
    """

    generosity: tuple[float, float] = (0.5, 1.4)
    missed: float = 0.15
    review_periods: int = 1
    memory: int = 13
    seed: int = 0

    def __post_init__(self) -> None:
        low, high = self.generosity
        if not 0 < low <= high:
            raise ParameterError(f"generosity must be two rising numbers above 0, got {low:g} and {high:g}")
        if not 0 <= self.missed < 1:
            raise ParameterError(f"missed must be at least 0 and below 1, got {self.missed:g}")
        if self.review_periods < 1 or self.memory < 1:
            raise ParameterError(
                f"review_periods and memory must be at least 1, got {self.review_periods} and {self.memory}"
            )


@dataclass(frozen=True, eq=False)
class StockMoment:
    """What a shop knows of its stock at the start of a period, today's orders placed.

    period
        Position of the first period ahead in the history.
    on_hand
        [N] units left at the end of the period before.
    inbound
        [N, H] units due at the start of each period ahead, as they are expected.
    came
        [N, H] the same units as they really came, which nobody knew then: for the label alone.
    ran_out
        [N, period] whether each period before ran out.
    """

    period: int
    on_hand: Floats
    inbound: Floats
    came: Floats
    ran_out: Flags


def replay_stock(
    demand: ArrayLike,
    unique_ids: Sequence[str],
    lead_time: LeadTime,
    moments: Sequence[int],
    horizon: int,
    *,
    rules: Replenishment | None = None,
) -> Iterator[StockMoment]:
    """Yield the replayed stock at each of ``moments``, in their order of time.

    Orders take the drawn lead time of `lead_time`; what is expected is its mean, rounded up, so a late delivery shows
    in ``came`` and not in ``inbound``. What should have come and has not is expected next.

    Parameters
    ----------
    demand
        [N, T] units; nan where nothing is known: then nothing is taken from the shelf.
    moments
        Positions from 1 to T of first periods ahead.
    horizon
        Periods H of ``inbound``.

    >>> rules = Replenishment(generosity=(1.0, 1.0), missed=0.0, memory=4)
    >>> last = list(replay_stock(np.full((1, 9), 5.0), ["beans"], LeadTime([1.0], 0.0), [9], 3, rules=rules))[-1]
    >>> last.on_hand.tolist(), last.inbound.tolist()  # up to 15 units: lead time 1 and two reviews of 5 a period
    ([5.0], [[5.0, 5.0, 0.0]])
    """
    rules = rules or Replenishment()
    asked, moments = _checked(demand, unique_ids, lead_time, moments, horizon)
    n_series, last = asked.shape[0], max(moments, default=0)
    known = ~np.isnan(asked)
    taken = np.where(known, np.maximum(np.nan_to_num(asked), 0.0), 0.0)
    expected_wait = np.ceil(lead_time.mean - 1e-9).astype(np.int64)  # [N]
    true_wait = lead_time.draw(unique_ids, last + 1, rules.seed)  # [N, last + 1]
    generous, placed, phase = _habits(unique_ids, last + 1, rules)
    longest = int(max(true_wait.max(initial=0), expected_wait.max(initial=0)))
    arriving = np.zeros((n_series, last + longest + 2))
    ordered = np.zeros((n_series, last + 1))
    sums = np.concatenate([np.zeros((n_series, 1)), np.cumsum(taken, axis=1)], axis=1)
    counts = np.concatenate([np.zeros((n_series, 1)), np.cumsum(known, axis=1)], axis=1)
    cover = generous * (expected_wait + 2 * rules.review_periods)
    shelf = cover * _rate(sums, counts, min(rules.memory, asked.shape[1]), rules.memory)
    due = np.zeros(n_series)
    ran_out = np.zeros((n_series, last), dtype=np.bool_)
    rows = np.arange(n_series)
    for period in range(last + 1):
        if period >= rules.memory:
            looks = placed[:, period] & ((period + phase) % rules.review_periods == 0)
            level = np.ceil(cover * _rate(sums, counts, period, rules.memory) - 1e-9)
            ordered[:, period] = np.where(looks, np.maximum(level - shelf - due, 0.0), 0.0)
            np.add.at(arriving, (rows, period + true_wait[:, period]), ordered[:, period])
            due += ordered[:, period]
        if period in moments:
            inbound, came = _open_orders(ordered, expected_wait, true_wait, period, horizon, longest)
            yield StockMoment(period, shelf.copy(), inbound, came, ran_out[:, :period].copy())
        if period < last:
            shelf = shelf + arriving[:, period]
            due -= arriving[:, period]
            ran_out[:, period] = taken[:, period] > shelf + 1e-9
            shelf = np.maximum(shelf - taken[:, period], 0.0)


def window_labels(on_hand: ArrayLike, inbound: ArrayLike, demand: ArrayLike) -> Floats:
    """Return [N, H] 1 where demand exceeded the stock in period h or before, else 0; nan from unknown demand on.

    Parameters
    ----------
    on_hand, inbound
        [N] and [N, H] units: the stock as known at the moment, and what was open then as it came.
    demand
        [N, H] the units that were asked for afterwards; nan where they are not known. A label stands only where all
        periods up to its own are known: keeping those that ran out before would keep the bad ones alone.

    >>> window_labels([5.0, 5.0], np.zeros((2, 3)), [[3.0, 3.0, 0.0], [3.0, np.nan, 3.0]]).tolist()
    [[0.0, 1.0, 1.0], [0.0, nan, nan]]
    """
    asked = np.asarray(demand, dtype=np.float64)
    if asked.ndim != 2:
        raise ParameterError(f"demand must be [series, periods], got the shape {asked.shape}")
    known = np.logical_and.accumulate(~np.isnan(asked), axis=1)
    walked = stockout_risk(on_hand, inbound, np.nan_to_num(asked)[:, None, :]).probability
    return np.where(known, walked, np.nan)


def _checked(
    demand: ArrayLike, unique_ids: Sequence[str], lead_time: LeadTime, moments: Sequence[int], horizon: int
) -> tuple[Floats, list[int]]:
    asked = np.asarray(demand, dtype=np.float64)
    if asked.ndim != 2 or len(unique_ids) != len(asked) or len(lead_time.mean) != len(asked):
        raise ParameterError(
            f"demand must be [series, periods] with one unique_id and one lead time each, got {asked.shape}, "
            f"{len(unique_ids)} ids and {len(lead_time.mean)} lead times"
        )
    wanted = sorted(set(moments))
    if wanted and not 1 <= wanted[0] <= wanted[-1] <= asked.shape[1]:
        raise ParameterError(f"moments must be from 1 to {asked.shape[1]}, got {wanted[0]} to {wanted[-1]}")
    if horizon < 1:
        raise ParameterError(f"horizon must be at least 1 period, got {horizon}")
    return asked, wanted


def _habits(unique_ids: Sequence[str], periods: int, rules: Replenishment) -> tuple[Floats, Flags, Integers]:
    """Draw each series' generosity [N], the periods in which it would place an order [N, periods], and its turn [N]."""
    low, high = rules.generosity
    generous = np.empty(len(unique_ids))
    placed = np.empty((len(unique_ids), periods), dtype=np.bool_)
    phase = np.empty(len(unique_ids), dtype=np.int64)
    for row, name in enumerate(unique_ids):
        draw = keyed_generator(rules.seed, name, "replenishment")
        generous[row] = draw.uniform(low, high)
        phase[row] = draw.integers(rules.review_periods)
        placed[row] = draw.random(periods) >= rules.missed
    return generous, placed, phase


def _rate(sums: Floats, counts: Floats, period: int, memory: int) -> Floats:
    """Return the mean demand [N] of the known periods among the ``memory`` ones before ``period``."""
    first = max(period - memory, 0)
    units = sums[:, period] - sums[:, first]
    return np.asarray(units / np.maximum(counts[:, period] - counts[:, first], 1.0), dtype=np.float64)


def _open_orders(
    ordered: Floats, expected_wait: Integers, true_wait: Integers, period: int, horizon: int, longest: int
) -> tuple[Floats, Floats]:
    """Return what is still to come by the period in which it is expected, and in which it comes, each [N, H] units."""
    inbound, came = (np.zeros((len(ordered), horizon)) for _ in range(2))
    rows = np.arange(len(ordered))
    for placed in range(max(period - longest, 0), period + 1):
        true = placed + true_wait[:, placed] - period
        said = np.maximum(placed + expected_wait - period, 0)
        for units, ahead in ((inbound, said), (came, true)):
            inside = (true >= 0) & (ahead < horizon)
            np.add.at(units, (rows, np.clip(ahead, 0, horizon - 1)), np.where(inside, ordered[:, placed], 0.0))
    return inbound, came
