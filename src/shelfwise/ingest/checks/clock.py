"""Sales whose times of day show a clock that runs elsewhere: they are made around the middle of the night.

The middle of the sales is the direction of the mean of their hours on a circle, and R (0 to 1) how much they lie
together (Mardia and Jupp, Directional Statistics, section 2.2); a shop open from 9 to 18 has R = 0.78.
"""

from __future__ import annotations

import math
from datetime import time
from typing import Final

import polars as pl

FEWEST_LINES: Final = 500
TOGETHER: Final = 0.3
"""R below which sales are spread over the whole day and have no middle."""
NIGHT: Final = (23.0, 6.0)


def night_sales(moments: pl.Series) -> float | None:
    """Return the hour around which sales are made if that is in the night; else None.

    Moments at midnight are days without a time and do not count.

    >>> import datetime as dt
    >>> at = pl.Series([dt.datetime(2026, 1, 1, hour) for hour in range(9, 18)] * 100)
    >>> night_sales(at), round(night_sales(at + dt.timedelta(hours=12)))
    (None, 1)
    """
    timed = moments.filter(moments.dt.time() != time(0))
    if len(timed) < FEWEST_LINES:
        return None
    angle = (timed.dt.hour() + timed.dt.minute() / 60) * (math.tau / 24)
    east, north = float(angle.sin().sum()), float(angle.cos().sum())
    hour = math.atan2(east, north) * 24 / math.tau % 24
    if math.hypot(east, north) < TOGETHER * len(timed) or NIGHT[1] <= hour < NIGHT[0]:
        return None
    return hour
