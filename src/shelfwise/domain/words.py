"""How days, units, money and shares are written for people.

Numbers of ten or more carry no decimals, the minus is a hyphen (so that a terminal of any kind shows it), and a share
is followed by a space and the per cent sign.
"""

from __future__ import annotations

import datetime as dt
import math


def day(value: dt.date | None, *, today: dt.date | None = None) -> str:
    """Write a day with its weekday, and with its year unless it is the year of ``today``.

    >>> day(dt.date(2026, 11, 23), today=dt.date(2026, 11, 21)), day(dt.date(2027, 1, 4), today=dt.date(2026, 11, 21))
    ('Mon 23 Nov', 'Mon 4 Jan 2027')
    """
    if value is None:
        return "-"
    text = f"{value:%a} {value.day} {value:%b}"
    return text if today is not None and value.year == today.year else f"{text} {value.year}"


def short_day(value: dt.date | None) -> str:
    """Write a day of the coming months in as little room as it takes.

    >>> short_day(dt.date(2026, 11, 3)), short_day(None)
    ('3 Nov', '-')
    """
    return "-" if value is None else f"{value.day} {value:%b}"


def units(value: float | None) -> str:
    """Write units: whole where ten or more or whole already, else with one decimal.

    >>> units(1234.0), units(24.4), units(0.34), units(None)
    ('1,234', '24', '0.3', '-')
    """
    if value is None or not math.isfinite(value):
        return "-"
    places = 0 if abs(value) >= 9.95 or value == round(value) else 1
    return f"{round(value, places) + 0.0:,.{places}f}"  # adding zero takes the sign off a zero


def money(value: float | None, currency: str) -> str:
    """Write money with its currency in front, in whole units from ten on.

    >>> money(2124.4, "EUR"), money(3.5, "EUR"), money(None, "EUR")
    ('EUR 2,124', 'EUR 3.50', '-')
    """
    if value is None or not math.isfinite(value):
        return "-"
    places = 0 if abs(value) >= 9.995 or value == 0 else 2
    return f"{currency} {round(value, places) + 0.0:,.{places}f}"


def share(value: float | None) -> str:
    """Write a fraction as a percentage.

    >>> share(0.953), share(0.004), share(0.998)
    ('95 %', '< 1 %', '> 99 %')
    """
    if value is None or not math.isfinite(value):
        return "-"
    if 0 < value < 0.01:
        return "< 1 %"
    if 0.99 < value < 1:
        return "> 99 %"
    return f"{100 * value:.0f} %"


def rounded_to_sum(values: list[float], places: int) -> list[float]:
    """Round numbers so that what is shown adds up to their rounded sum: the least bent first, the first one last.

    >>> rounded_to_sum([1.4, 1.4, 1.4], 0), rounded_to_sum([10.0, -2.26, 0.13], 1)
    ([1.0, 2.0, 1.0], [10.0, -2.2, 0.1])
    """
    step = 10.0**-places
    shown = [round(value / step) for value in values]
    left = round(sum(values) / step) - sum(shown)
    sign = 1 if left > 0 else -1
    order = sorted(range(len(values)), key=lambda i: (i == 0, sign * (shown[i] - values[i] / step)))
    for i in order[: abs(left)]:
        shown[i] += sign
    return [round(number * step, places) for number in shown]


def count(number: int, one: str, many: str | None = None) -> str:
    """Write a number with its noun.

    >>> count(1, "line"), count(2, "line"), count(3, "company", "companies")
    ('1 line', '2 lines', '3 companies')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def shortened(text: str, width: int) -> str:
    """Return ``text`` in at most ``width`` characters, cut at the end.

    >>> shortened("Hand grinder, steel", 12)
    'Hand grin...'
    """
    return text if len(text) <= width else text[: max(0, width - 3)].rstrip() + "..."


def listed(items: list[str], limit: int = 5) -> str:
    """Write a list, with how many more there are.

    >>> listed(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    more = len(items) - limit
    return ", ".join(items[:limit]) + (f" and {more:,} more" if more > 0 else "")
