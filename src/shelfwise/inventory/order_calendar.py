"""On which days a supplier takes orders and goods can arrive, in dates.

A day is open when neither the shop nor the supplier is closed on it. Orders are placed on open days that are among
the supplier's order weekdays; goods arrive on open days only, and what would arrive on a closed day arrives on the
next open one. Closed days do not stretch the lead time itself: they only move its end.

`periods_until` is the one place where dates become periods.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.frames import CALENDAR_EVENTS

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FURTHEST_DAYS: Final = 730
DAY: Final = timedelta(days=1)


def parse_weekdays(text: str | None) -> frozenset[int]:
    """Read ``'mon,thu'`` as weekday numbers, Monday 0; nothing means every day. Full names are read too.

    >>> sorted(parse_weekdays("mon, Thursday"))
    [0, 3]
    """
    if text is None or not text.strip():
        return frozenset(range(7))
    found = set()
    for word in text.replace(";", ",").replace(" ", ",").split(","):
        if not word:
            continue
        if word.strip().lower()[:3] not in WEEKDAYS:
            raise ParameterError(f"order weekdays must be names like 'mon,thu', got {word!r} in {text!r}")
        found.add(WEEKDAYS.index(word.strip().lower()[:3]))
    return frozenset(found)


@dataclass(frozen=True)
class Closure:
    """Days from ``starts_on`` to ``ends_on``, both included, on which nothing is ordered and nothing arrives."""

    starts_on: date
    ends_on: date

    def __post_init__(self) -> None:
        if self.ends_on < self.starts_on:
            raise ParameterError(f"a closure must end on or after its first day {self.starts_on}, got {self.ends_on}")


def closures(events: pl.DataFrame, scope_kind: str, scope: str | None = None) -> tuple[Closure, ...]:
    """Pick the closures of the shop, a supplier or a warehouse from declared calendar events.

    >>> events = pl.DataFrame(
    ...     {
    ...         "kind": ["closure"],
    ...         "name": ["New Year"],
    ...         "starts_on": [date(2026, 2, 14)],
    ...         "ends_on": [date(2026, 2, 28)],
    ...         "scope_kind": ["supplier"],
    ...         "scope": ["Hario"],
    ...     }
    ... )
    >>> closures(events, "supplier", "Hario")
    (Closure(starts_on=datetime.date(2026, 2, 14), ends_on=datetime.date(2026, 2, 28)),)
    """
    named = pl.col("scope") == scope if scope is not None else pl.lit(value=True)
    picked = CALENDAR_EVENTS.check(events).filter(
        (pl.col("kind") == "closure") & (pl.col("scope_kind") == scope_kind) & named
    )
    rows = picked.sort("starts_on", "ends_on").select("starts_on", "ends_on").iter_rows()
    return tuple(Closure(starts_on, ends_on) for starts_on, ends_on in rows)


@dataclass(frozen=True)
class OrderTiming:
    """The next order and the one after it: when they are placed and when their goods arrive."""

    order_on: date
    arrives_on: date
    next_order_on: date
    next_arrives_on: date

    @property
    def review_days(self) -> int:
        """Return days between the two orders."""
        return (self.next_order_on - self.order_on).days

    def periods(self, period_starts: Sequence[date]) -> tuple[int, int, int]:
        """Return the wait until the order, its lead time and the review time, in periods of a forecast.

        They add up to the protection time: from now until the goods of the order after this one are on the shelf.

        >>> from datetime import timedelta
        >>> timing = OrderCalendar(parse_weekdays("mon")).timing(date(2026, 11, 21), lead_time_days=3)
        >>> timing.periods([date(2026, 11, 21) + timedelta(days=day) for day in range(28)])
        (2, 3, 7)
        """
        wait, first, second = periods_until([self.order_on, self.arrives_on, self.next_arrives_on], period_starts)
        if second >= len(period_starts) and self.next_arrives_on > period_starts[-1]:
            raise ParameterError(
                f"goods ordered on {self.next_order_on} arrive on {self.next_arrives_on}, after the last period starts "
                f"({period_starts[-1]}); give more period starts"
            )
        return int(wait), int(first - wait), max(int(second - first), 1)


@dataclass(frozen=True)
class OrderCalendar:
    """When one supplier takes orders from one shop, and when its goods can arrive there.

    >>> calendar = OrderCalendar(parse_weekdays("mon,thu"), closed_weekdays=frozenset({6}))
    >>> calendar.next_order_date(date(2026, 11, 21)).isoformat()  # a Saturday
    '2026-11-23'
    >>> calendar.arrival_date(date(2026, 11, 23), 6).isoformat()  # would be a Sunday
    '2026-11-30'
    """

    order_weekdays: frozenset[int] = frozenset(range(7))
    supplier_closures: tuple[Closure, ...] = ()
    shop_closures: tuple[Closure, ...] = ()
    closed_weekdays: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        for name, days in (("order weekdays", self.order_weekdays), ("closed weekdays", self.closed_weekdays)):
            if not days <= frozenset(range(7)):
                raise ParameterError(f"{name} must be numbers from 0 (Monday) to 6, got {sorted(days)}")
        if not self.order_weekdays - self.closed_weekdays:
            taken = ",".join(WEEKDAYS[day] for day in sorted(self.order_weekdays)) or "no day"
            closed = ",".join(WEEKDAYS[day] for day in sorted(self.closed_weekdays)) or "no day"
            raise ParameterError(
                f"orders are taken on {taken} and the shop is closed on {closed}; leave one open order weekday"
            )

    def is_open(self, day: date) -> bool:
        """Say whether goods can arrive on ``day``."""
        if day.weekday() in self.closed_weekdays:
            return False
        return not any(c.starts_on <= day <= c.ends_on for c in (*self.supplier_closures, *self.shop_closures))

    def takes_orders(self, day: date) -> bool:
        """Say whether an order can be placed on ``day``."""
        return day.weekday() in self.order_weekdays and self.is_open(day)

    def next_order_date(self, on_or_after: date) -> date:
        """Return the first day from ``on_or_after`` on which an order can be placed."""
        for ahead in range(FURTHEST_DAYS):
            day = on_or_after + ahead * DAY
            if self.takes_orders(day):
                return day
        raise ParameterError(f"no order day within {FURTHEST_DAYS} days of {on_or_after}; shorten the closures")

    def last_order_date(self, on_or_before: date, not_before: date) -> date:
        """Return the last order day up to ``on_or_before``; if there is none from ``not_before`` on, the next one."""
        day = on_or_before
        while day >= not_before:
            if self.takes_orders(day):
                return day
            day -= DAY
        return self.next_order_date(not_before)

    def arrival_date(self, order_on: date, lead_time_days: float) -> date:
        """Return the first open day on which goods ordered on ``order_on`` can be there; part days round up."""
        if not (math.isfinite(lead_time_days) and lead_time_days >= 0):
            raise ParameterError(f"lead time must be zero or more days, got {lead_time_days}")
        due = order_on + math.ceil(lead_time_days - 1e-9) * DAY
        for ahead in range(FURTHEST_DAYS):
            if self.is_open(due + ahead * DAY):
                return due + ahead * DAY
        raise ParameterError(f"no open day within {FURTHEST_DAYS} days of {due}; shorten the closures")

    def timing(self, today: date, lead_time_days: float, review_days: float | None = None) -> OrderTiming:
        """Return the next order from ``today`` and the one after it, at least ``review_days`` (or 1) later.

        The protection time ends when the second order arrives, so a closure that delays it makes the first larger.

        >>> calendar = OrderCalendar(parse_weekdays("mon"))
        >>> timing = calendar.timing(date(2026, 11, 21), lead_time_days=3)
        >>> timing.order_on.isoformat(), timing.next_arrives_on.isoformat(), timing.review_days
        ('2026-11-23', '2026-12-03', 7)
        """
        gap = 1.0 if review_days is None else review_days
        if not gap >= 1:
            raise ParameterError(f"review time must be at least 1 day, got {gap:g}")
        order_on = self.next_order_date(today)
        next_order_on = self.next_order_date(order_on + math.ceil(gap - 1e-9) * DAY)
        return OrderTiming(
            order_on,
            self.arrival_date(order_on, lead_time_days),
            next_order_on,
            self.arrival_date(next_order_on, lead_time_days),
        )


def periods_until(days: Sequence[date], period_starts: Sequence[date]) -> NDArray[np.int64]:
    """Return how many whole or part periods pass before goods arriving on each day are on the shelf.

    Goods that arrive on the first day of a period serve that period; goods that arrive within it count from the
    next one. An arrival before the first period counts from the first; one after the last start gives their number.

    >>> weeks = [date(2026, 11, 23), date(2026, 11, 30), date(2026, 12, 7)]
    >>> periods_until([date(2026, 11, 20), date(2026, 11, 30), date(2026, 12, 1), date(2027, 1, 1)], weeks).tolist()
    [0, 1, 2, 3]
    """
    starts = np.array(period_starts, dtype="datetime64[D]")
    if not starts.size or np.any(np.diff(starts) <= np.timedelta64(0, "D")):
        raise ParameterError("period starts must be one or more rising dates")
    return np.searchsorted(starts, np.array(days, dtype="datetime64[D]"), side="left").astype(np.int64)
