"""Frequencies and the shop's calendar.

A `Frequency` turns moments into whole-number period ordinals and back, so that all arithmetic on time inside the
program is arithmetic on ``int64``. Moments are shop time: naive, in the shop's own time zone. `ShopCalendar` holds
that zone and the days on which the shop is closed.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from shelfwise.domain.errors import PanelError, ParameterError

Unit = Literal["min", "h", "d", "w", "mo"]
Ordinals = npt.NDArray[np.int64]
Moments = npt.NDArray[np.datetime64]

_MINUTES: Final[dict[str, int]] = {"min": 1, "h": 60, "d": 1440, "w": 10_080}
_ALIASES: Final[dict[str, Unit]] = {
    "min": "min", "t": "min", "m": "min", "minute": "min", "h": "h", "hour": "h", "d": "d", "day": "d",
    "w": "w", "week": "w", "mo": "mo", "ms": "mo", "me": "mo", "month": "mo", "q": "mo", "qs": "mo", "qe": "mo",
}  # fmt: skip
_PER_YEAR: Final[dict[str, float]] = {"min": 525_960.0, "h": 8766.0, "d": 365.25, "w": 52.18, "mo": 12.0}
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Frequency:
    """A regular grid of periods, from 5 minutes to months.

    Parameters
    ----------
    count
        Units per period, at least 1.
    unit
        ``min``, ``h``, ``d``, ``w`` or ``mo``.
    anchor
        Where a period begins. For ``min``, ``h``, ``d`` and ``w``: minutes after the grid that starts at
        1970-01-01 00:00, in ``0 .. period length - 1``. For ``mo``: 0 labels a month by its first day, -1 by its last.

    >>> weekly = Frequency.parse("W-SUN")
    >>> str(weekly), weekly.moments(weekly.ordinals(["2026-11-22"])).astype(str).tolist()
    ('1w', ['2026-11-22T00:00:00.000000'])
    """

    count: int
    unit: Unit
    anchor: int = 0

    def __post_init__(self) -> None:
        if self.count < 1 or self.count != int(self.count):
            raise ParameterError(f"a period must be a whole number of {self.unit}, at least 1, got {self.count}")
        if self.unit == "min" and self.count < 5:
            raise ParameterError(f"the finest frequency is 5min, got {self.count}min; aggregate first")
        if self.unit == "mo" and self.anchor not in (0, -1):
            raise ParameterError(f"months are labelled by first day (0) or last day (-1), got anchor {self.anchor}")

    @classmethod
    def parse(cls, text: str | Frequency) -> Frequency:
        """Read ``5min`` .. ``1mo``; polars (``1d``, ``5m``) and pandas (``D``, ``W-SUN``, ``MS``) aliases too.

        Raises
        ------
        ParameterError
            The text names no regular frequency between 5 minutes and months.

        >>> [str(Frequency.parse(t)) for t in ("5T", "15m", "H", "D", "W", "ME", "QS")]
        ['5min', '15min', '1h', '1d', '1w', '1mo', '3mo']
        """
        if isinstance(text, Frequency):
            return text
        match = re.fullmatch(r"(\d*)\s*([A-Za-z]+)(?:-([A-Za-z]{3}))?", text.strip()) if isinstance(text, str) else None
        unit = _ALIASES.get(match[2].lower()) if match else None
        if match is None or unit is None:
            raise ParameterError(
                f"frequency {text!r} is not known; use 5min, 15min, 30min, 1h, 1d, 1w or 1mo (any whole multiple works)"
            )
        name, count = match[2].lower(), int(match[1] or 1)
        if name == "m" and text.strip().endswith("M"):  # old pandas: M is a month, polars: m is a minute
            unit, name = "mo", "me"
        anchor = 0
        if name in ("q", "qs", "qe"):
            count *= 3
        if unit == "mo" and name in ("me", "q", "qe"):
            anchor = -1
        if unit == "w":
            day = (match[3] or "mon").lower()
            if day not in WEEKDAYS:
                raise ParameterError(f"frequency {text!r} names no weekday; use W-MON .. W-SUN")
            anchor = (WEEKDAYS.index(day) + 4) % 7 * 1440  # 1970-01-01 was a Thursday
        return cls(count, unit, anchor)

    def __str__(self) -> str:
        """Return the house spelling, such as ``1d``."""
        return f"{self.count}{self.unit}"

    @property
    def minutes(self) -> int:
        """Minutes per period; months have none and raise."""
        if self.unit == "mo":
            raise ParameterError("a month has no fixed number of minutes")
        return self.count * _MINUTES[self.unit]

    @property
    def periods_per_year(self) -> float:
        """Mean number of periods in a year.

        >>> Frequency.parse("1w").periods_per_year
        52.18
        """
        return _PER_YEAR[self.unit] / self.count

    @property
    def season(self) -> int:
        """The shortest season a shop shows at this frequency, in periods: day, week or year.

        >>> [Frequency.parse(t).season for t in ("5min", "1h", "1d", "1w", "1mo", "1q")]
        [288, 24, 7, 52, 12, 4]
        """
        if self.unit in ("min", "h"):
            return max(1, 1440 // self.minutes)
        if self.unit == "d":
            return 7 if self.count == 1 else max(1, round(365.25 / self.count))
        return max(1, round({"w": 52, "mo": 12}[self.unit] / self.count))

    @cached_property
    def is_daily_or_longer(self) -> bool:
        """True where a period is labelled by a date rather than by a moment."""
        return self.unit == "mo" or (self.minutes % 1440 == 0 and self.anchor % 1440 == 0)

    def anchored(self, moments: Any) -> Frequency:
        """Return this frequency with the anchor that the given labels show.

        Raises
        ------
        PanelError
            The labels do not lie on one grid of this frequency.
        """
        times = np.asarray(moments, dtype="datetime64[us]")
        if times.size == 0:
            return self
        if self.unit == "mo":
            days = times.astype("datetime64[D]")
            first = (days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) == 0
            found = replace(self, anchor=0 if first.all() else -1)
        else:
            minute = times.reshape(-1)[:1].astype("datetime64[m]").astype(np.int64)[0]
            found = replace(self, anchor=int(minute % self.minutes))
        off = found.moments(found.ordinals(times)) != times
        if off.any():
            where = int(np.flatnonzero(off.reshape(-1))[0])
            shown = times.reshape(-1)[where].astype("datetime64[s]")
            raise PanelError(
                f"{shown} does not lie on a grid of {self}; give the right freq, or aggregate to {self} first"
            )
        return found

    def ordinals(self, moments: Any) -> Ordinals:
        """Return the ordinal of the period that holds each moment.

        Parameters
        ----------
        moments
            Array-like of datetime64, datetimes, dates or ISO texts, any shape.
        """
        times = np.asarray(moments, dtype="datetime64[us]")
        if self.unit == "mo":
            return times.astype("datetime64[M]").astype(np.int64) // self.count
        minutes = times.astype("datetime64[m]").astype(np.int64)
        return (minutes - self.anchor) // self.minutes

    def ordinal(self, moment: dt.date | dt.datetime | str | np.datetime64) -> int:
        """Return the ordinal of the period that holds one moment."""
        return int(self.ordinals(np.asarray([moment], dtype="datetime64[us]"))[0])

    def moments(self, ordinals: npt.ArrayLike) -> Moments:
        """Return the label of each period as ``datetime64[us]``, the inverse of `ordinals`."""
        numbers = np.asarray(ordinals, dtype=np.int64)
        if self.unit == "mo":
            months = (numbers * self.count).astype("datetime64[M]")
            if self.anchor == -1:
                last = (months + self.count).astype("datetime64[D]") - np.timedelta64(1, "D")
                return last.astype("datetime64[us]")
            return months.astype("datetime64[us]")
        return (numbers * self.minutes + self.anchor).astype("datetime64[m]").astype("datetime64[us]")

    def season_index(self, ordinals: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the position of each period within `season`: Monday is 0 for days, midnight is 0 within a day.

        >>> int(Frequency.parse("1d").season_index(Frequency.parse("1d").ordinals(["2026-11-21"]))[0])  # a Saturday
        5
        """
        numbers = np.asarray(ordinals, dtype=np.int64)
        shift = 3 if self.unit == "d" and self.count == 1 else 0
        return (numbers + shift) % self.season

    def weekday(self, ordinals: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return 0 (Monday) .. 6 (Sunday) of the label of each period."""
        days = self.moments(ordinals).astype("datetime64[D]").astype(np.int64)
        return (days + 3) % 7

    def year_fraction(self, ordinals: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return where in its year each period's label lies, 0 (1 January) up to 1."""
        days = self.moments(ordinals).astype("datetime64[D]")
        years = days.astype("datetime64[Y]")
        length = ((years + 1).astype("datetime64[D]") - years.astype("datetime64[D]")).astype(np.float64)
        fraction: npt.NDArray[np.float64] = (days - years.astype("datetime64[D]")).astype(np.float64) / length
        return fraction

    def periods(self, days: float) -> float:
        """Convert a number of days into periods of this frequency.

        >>> Frequency.parse("1w").periods(14)
        2.0
        """
        if self.unit == "mo":
            return days / (30.4375 * self.count)
        return days * 1440 / self.minutes


@dataclass(frozen=True)
class ShopCalendar:
    """The shop's time zone and the days on which it does not sell.

    Parameters
    ----------
    timezone
        IANA name, such as ``Europe/Berlin``.
    closed_weekdays
        Weekdays without sales, 0 is Monday.
    closed_days
        Single closed days.
    """

    timezone: str = "UTC"
    closed_weekdays: frozenset[int] = frozenset()
    closed_days: frozenset[dt.date] = frozenset()

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ParameterError(
                f"time zone {self.timezone!r} is not known; use an IANA name such as Europe/Berlin"
            ) from None
        bad = [day for day in self.closed_weekdays if day not in range(7)]
        if bad:
            raise ParameterError(f"weekdays are 0 (Monday) to 6 (Sunday), got {bad[0]}")

    def shop_time(self, moment: dt.datetime) -> dt.datetime:
        """Return the naive shop time of an aware moment; a naive one is shop time already.

        >>> utc = dt.datetime(2026, 11, 21, 23, 30, tzinfo=dt.timezone.utc)
        >>> ShopCalendar("Europe/Berlin").shop_time(utc).isoformat()
        '2026-11-22T00:30:00'
        """
        if moment.tzinfo is None:
            return moment
        return moment.astimezone(ZoneInfo(self.timezone)).replace(tzinfo=None)

    def today(self) -> dt.date:
        """Return the current shop day."""
        return dt.datetime.now(tz=ZoneInfo(self.timezone)).date()

    def is_open(self, days: Moments) -> npt.NDArray[np.bool_]:
        """Return which days the shop sells on.

        Parameters
        ----------
        days
            ``datetime64`` array of any shape.
        """
        dates = days.astype("datetime64[D]")
        weekday = (dates.astype(np.int64) + 3) % 7
        closed = np.isin(weekday, sorted(self.closed_weekdays))
        if self.closed_days:
            closed |= np.isin(dates, np.array(sorted(self.closed_days), dtype="datetime64[D]"))
        return ~closed
