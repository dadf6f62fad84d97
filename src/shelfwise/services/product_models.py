"""The model of one product in a few numbers: its line, its weekdays, and how far its forecasts can be trusted.

The numbers describe the product's own history, all warehouses together, of at most 365 days. The forecast itself comes
from the shop's model, which learns from all products; ``type`` names it.

Confidence is measured, never counted. The base model is fitted on what was known `HELD_OUT` days ago and forecasts each
of the weeks since from its eve. Over those weeks, with a the units sold and m those expected,

    error       = sum |a - m| over weeks / max(sum a, sum m)          share, cut at 1
    coverage    = share of days that fell into the 80 % range; *expected*: the share that the forecast itself gives it
    confidence  = (1 - error) x (1 - |coverage - expected|)           0 to 1

Expected coverage is more than 0.8 for what sells in ones and twos, because whole numbers are coarse; comparing with it
and not with 0.8 keeps slow products from looking badly calibrated.

Letters: N series, S sample paths, H days.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.app import App
from shelfwise.domain.errors import ModelError
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.catalog import estimator
from shelfwise.forecasting.series_summary import FEWEST_DAYS, LONGEST_DAYS, summarise
from shelfwise.services.names import not_found
from shelfwise.storage import catalogue, live_forecasts, sales
from shelfwise.storage.live_forecasts import LiveRow

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

BASE: Final = "base_level"
WEEK: Final = 7
HELD_OUT: Final = 28
"""Days of which forecasts are held against what came true."""
PATHS: Final = 100
ROWS_AT_ONCE: Final = 1024

HIGH_CONFIDENCE: Final = 0.7
MEDIUM_CONFIDENCE: Final = 0.4
GOOD_DATA: Final = 0.95
FAIR_DATA: Final = 0.8
RELIABLE_GAP: Final = 0.1
FAIR_GAP: Final = 0.2
UNKNOWN: Final = "unknown"


@dataclass(frozen=True)
class Calibration:
    """How forecasts of a product's last weeks came out.

    Parameters
    ----------
    error
        Of weekly totals, 0 to 1.
    coverage, expected
        Share of days within the 80 % range, and the share that the forecasts gave it.
    days
        Days it was measured on.
    """

    error: float
    coverage: float
    expected: float
    days: int

    @property
    def confidence(self) -> float:
        """From 0 to 1.

        >>> Calibration(error=0.2, coverage=0.75, expected=0.85, days=28).confidence
        0.72
        """
        return round((1 - self.error) * (1 - abs(self.coverage - self.expected)), 4)


def calibrations(panel: Panel) -> dict[str, Calibration]:
    """Return by product how the base model's forecasts of the last weeks came out; none where nothing was scored.

    Parameters
    ----------
    panel
        Daily series that all end on the same day.
    """
    long_enough = np.flatnonzero(panel.lengths >= HELD_OUT + FEWEST_DAYS)
    if not len(long_enough):
        return {}
    sums: dict[str, Floats] = {}
    try:
        predictor = estimator(BASE).fit(panel.until(panel.ends - HELD_OUT))
    except ModelError:  # too little to fit anything on
        return {}
    for low in range(0, len(long_enough), ROWS_AT_ONCE):
        some = panel.select(long_enough[low : low + ROWS_AT_ONCE])
        names = some.series["product"].to_list()
        for back in range(HELD_OUT, 0, -WEEK):
            actual = np.nan_to_num(some.window(back)[:, :WEEK]).astype(np.float64)  # [n, 7]
            scored = some.available_window(back)[:, :WEEK]
            made = predictor.predict(some.until(some.ends - back), WEEK, n_paths=PATHS)
            for name, row in zip(names, _week(actual, scored, made.mean(), made.paths), strict=True):
                sums[name] = sums[name] + row if name in sums else row
    return {name: _calibration(row) for name, row in sums.items() if row[5] > 0}


def _week(actual: Floats, scored: Flags, mean: npt.NDArray[Any], paths: npt.NDArray[Any]) -> Floats:
    """Return [n, 6]: |a - m|, a, m of the week's scored days; days within the range, expected within it, scored."""
    low, high = np.quantile(paths, [0.1, 0.9], axis=1, method="inverted_cdf")  # [n, 7]
    inside = (actual >= low) & (actual <= high) & scored
    expected = ((paths >= low[:, None]) & (paths <= high[:, None])).mean(axis=1) * scored
    sold, thought = (actual * scored).sum(axis=1), (mean * scored).sum(axis=1)
    return np.stack(
        [np.abs(sold - thought), sold, thought, inside.sum(axis=1), expected.sum(axis=1), scored.sum(axis=1)], axis=1
    )


def _calibration(row: Floats) -> Calibration:
    most = max(row[1], row[2])
    error = min(row[0] / most, 1.0) if most > 0 else 0.0
    return Calibration(round(error, 4), round(row[3] / row[5], 4), round(row[4] / row[5], 4), int(row[5]))


def summary_of(panel: Panel, model: str, calibration: Calibration | None) -> dict[str, Any] | None:
    """Return the summary of one product as it is kept; None below `FEWEST_DAYS` days with an observation.

    Parameters
    ----------
    panel
        The daily series of one product, one for each warehouse, which all end on the same day.
    model
        Name and version of the model that forecasts it.
    """
    length = min(int(panel.lengths.max(initial=0)), LONGEST_DAYS)
    if length < FEWEST_DAYS:
        return None
    values = panel.window(length)  # [warehouses, T]
    known: Flags = panel.available_window(length).max(axis=0)  # [T] sold somewhere unhidden
    if int(known.sum()) < FEWEST_DAYS:
        return None
    recorded = ~np.isnan(values).all(axis=0)
    units = np.where(recorded, np.nansum(values, axis=0), np.nan)
    first_weekday = (int(panel.ends.max()) - length + 3) % 7  # ordinal 0 is a Thursday
    found = summarise(_filled(units, known, first_weekday), first_weekday)
    return {
        "type": model, "slope": round(found.slope, 6), "intercept": round(found.intercept, 4),
        "mean": round(found.mean, 4), "trend": found.trend, "trend_strength": round(found.trend_strength, 4),
        "has_seasonality": found.has_seasonality,
        "weekly_factors": [round(factor, 4) for factor in found.weekly_factors],
        "volatility": round(found.volatility, 4), "training_count": int(known.sum()), "days": length,
        "usable": round(float(known[recorded].mean()), 4) if recorded.any() else 0.0,
        "confidence": 0.0 if calibration is None else calibration.confidence,
        "error": None if calibration is None else calibration.error,
        "coverage": None if calibration is None else calibration.coverage,
        "expected_coverage": None if calibration is None else calibration.expected,
        "scored_days": 0 if calibration is None else calibration.days,
    }  # fmt: skip


def _filled(units: Floats, known: Flags, first_weekday: int) -> Floats:
    """Return [T] units with closed and hidden days at the mean of their weekday; 0 where that was never seen."""
    weekday = (first_weekday + np.arange(len(units))) % 7
    filled = units.copy()
    for day in range(7):
        theirs = weekday == day
        seen = theirs & known
        filled[theirs & ~known] = float(units[seen].mean()) if seen.any() else 0.0
    return filled


@dataclass(frozen=True)
class ProductModel:
    """A product with its model, or why it has none.

    Parameters
    ----------
    summary
        As `summary_of` gives it; None where there is none yet.
    missing
        Observations missing until there can be one; 0 where there is one, or where it is not for lack of them.
    note
        Why there is none.
    updated_at
        When it changed last.
    """

    product: str
    name: str | None
    summary: Mapping[str, Any] | None
    missing: int
    note: str | None
    updated_at: dt.datetime | None

    @property
    def confidence_level(self) -> str:
        """``high``, ``medium``, ``low``, or ``unknown`` where nothing could be measured."""
        if self.summary is None or not self.summary["scored_days"]:
            return UNKNOWN
        return graded(self.summary["confidence"], HIGH_CONFIDENCE, MEDIUM_CONFIDENCE, ("high", "medium", "low"))

    @property
    def data_quality(self) -> str:
        """``good``, ``fair`` or ``poor``: the share of recorded days on which no stockout hid demand."""
        if self.summary is None:
            return UNKNOWN
        return graded(self.summary["usable"], GOOD_DATA, FAIR_DATA, ("good", "fair", "poor"))

    @property
    def reliability(self) -> str:
        """``reliable``, ``fair`` or ``unreliable``: how near the range holds what it promises."""
        if self.summary is None or not self.summary["scored_days"]:
            return UNKNOWN
        gap = abs(self.summary["coverage"] - self.summary["expected_coverage"])
        return graded(-gap, -RELIABLE_GAP, -FAIR_GAP, ("reliable", "fair", "unreliable"))


def graded(value: float, first: float, second: float, names: tuple[str, str, str]) -> str:
    """Return the first name from ``first`` on, the second from ``second`` on, else the third.

    >>> graded(0.5, 0.7, 0.4, ("high", "medium", "low"))
    'medium'
    """
    if value >= first:
        return names[0]
    return names[1] if value >= second else names[2]


def stored(app: App, product: str) -> ProductModel:
    """Return a product's model as it was worked out last.

    Parameters
    ----------
    product
        Code, whatever its case, or the whole name.

    Raises
    ------
    NotFound
        There is no such product; the message lists the nearest.
    """
    with app.database.read() as connection:
        code, name = find(connection, product)
        return _kept(connection, code, name)


def _kept(connection: Any, code: str, name: str | None) -> ProductModel:
    rows = live_forecasts.of_product(connection, code)
    published = live_forecasts.publication(connection) is not None
    seen = 0 if _summarised(rows) else sales.daily_demand(connection, products=[code])["day"].n_unique()
    return of_rows(code, name, rows, seen, published=published)


def of_rows(product: str, name: str | None, rows: list[LiveRow], seen: int, *, published: bool) -> ProductModel:
    """Return the model that stands in a product's rows; ``seen`` are its days with a sale where it has none."""
    summarised = _summarised(rows)
    if summarised:
        summary = json.loads(summarised[0].payload)["model"]
        return ProductModel(product, name, summary, 0, None, max(row.computed_at for row in rows))
    missing = max(FEWEST_DAYS - seen, 0)
    if missing:
        note = f"{seen} days with a sale are known, {FEWEST_DAYS} observations are needed: {missing} are missing"
    elif published and not rows:
        note = "it has not sold of late, so it is not forecast"
    else:
        note = "its forecast has not been worked out yet"
    return ProductModel(product, name, None, missing, note, None)


def _summarised(rows: list[LiveRow]) -> list[LiveRow]:
    return [row for row in rows if json.loads(row.payload)["model"] is not None]


def find(connection: Any, wanted: str) -> tuple[str, str | None]:
    """Return code and name of a product named by its code, whatever its case, or by its whole name.

    Raises
    ------
    NotFound
        There is no such product; the message lists the nearest.
    """
    table = catalogue.products(connection)
    codes, names = table["product"].to_list(), table["name"].to_list()
    known = dict(zip(codes, names, strict=True))
    if wanted in known:
        return wanted, known[wanted]
    asked = wanted.casefold().strip()
    same = [code for code, name in known.items() if asked in (code.casefold(), (name or "").casefold())]
    if len(same) == 1:
        return same[0], known[same[0]]
    raise not_found("product", wanted, codes, names)
