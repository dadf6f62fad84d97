"""What is kept of a series' newest state: its forecast, its order, its risk and its summary, as JSON.

Letters: n series, S sample paths, H days, Q quantile levels.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.domain.forecast import Forecast
from shelfwise.services.running_day import Day

Floats = npt.NDArray[np.float64]

LEVELS: Final = (0.05, 0.1, 0.5, 0.9, 0.95)
DECIMALS: Final = 4
"""Decimals of units that are kept."""

_ORDER: Final = (
    "quantity", "order_by", "late", "demand", "safety", "on_hand", "due", "net", "pack_size",
    "minimum_order_quantity", "rounded", "unit_cost", "cost", "service_level", "service_kind", "lead_time_periods",
    "wait_periods", "review_periods", "days_of_cover", "days_of_cover_after", "stock_known", "mean_per_day",
    "low_per_day", "high_per_day", "assumptions", "warnings", "arithmetic",
)  # fmt: skip
_RISK: Final = (
    "severity", "chance", "stockout_on", "lost_units", "lost_margin", "at_stake", "order_by", "last_order_on",
    "last_order_on_without_due", "next_order_on", "arrives_on", "saved_units", "saved_margin", "stock_known",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Answers:
    """What was worked out for n series, in one order.

    Parameters
    ----------
    forecast
        From the first day on, before what has sold today is counted in; ``day`` has it counted in.
    sold
        [n] units that have left the shelf today.
    lines, risks
        PROPOSAL_LINES, and the rows of a table of risks.
    by_day
        [n, H] chance to have run out by the end of each day.
    """

    first_day: dt.date
    data_until: dt.date
    forecast: Forecast
    day: Day
    sold: Floats
    lines: pl.DataFrame
    risks: pl.DataFrame
    by_day: Floats
    window: int


def payloads(answers: Answers, summaries: Sequence[Mapping[str, Any] | None]) -> list[bytes]:
    """Return the JSON of each series; the same answers give the same bytes."""
    mean, quantiles, total_mean, totals = _demand(answers)
    orders, risks = answers.lines.to_dicts(), answers.risks.to_dicts()
    left = answers.day.left[:, :, 0].mean(axis=1, dtype=np.float64)
    made = []
    for row, (order, risk) in enumerate(zip(orders, risks, strict=True)):
        told = {
            "product": order["product"],
            "warehouse": order["warehouse"],
            "first_day": answers.first_day,
            "data_until": answers.data_until,
            "sold_today": _rounded(answers.sold[row]),
            "left_today": _rounded(left[row]),
            "demand": _by_level(mean[row], quantiles[row]),
            "cumulative": _by_level(total_mean[row], totals[row]),
            "order": {name: order[name] for name in _ORDER}
            | _points(order, mean[row])
            | {"arrives_on": risk["arrives_on"], "next_order_on": risk["next_order_on"]},
            "risk": {name: risk[name] for name in _RISK}
            | {"days": answers.window, "by_day": _rounded(answers.by_day[row])},
            "model": summaries[row],
        }
        made.append(json.dumps(_plain(told), separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode())
    return made


def _demand(answers: Answers) -> tuple[Floats, Floats, Floats, Floats]:
    """Return mean [n, H] and quantiles [n, H, Q] of each day, and of the sum until each day."""
    forecast, day = answers.forecast, answers.day
    quantiles = np.array(forecast.quantiles(LEVELS), dtype=np.float64)
    touched = np.flatnonzero(day.raised)
    if len(touched):
        today = np.quantile(day.demand[touched, :, 0], LEVELS, axis=1, method="inverted_cdf")  # [Q, touched]
        quantiles[touched, 0] = np.maximum(quantiles[touched, 0], today.T)
    summed = np.sort(day.demand.cumsum(axis=2, dtype=np.float64), axis=1)  # [n, S, H]
    place = np.ceil(np.array(LEVELS) * summed.shape[1] - 1e-9).astype(np.int64) - 1
    totals = np.moveaxis(summed[:, np.maximum(place, 0)], 1, 2)  # [n, H, Q]
    return day.mean, quantiles, day.mean.cumsum(axis=1), totals


def _by_level(mean: Floats, quantiles: Floats) -> dict[str, Any]:
    return {"mean": _rounded(mean)} | {f"q{q:g}": _rounded(quantiles[:, i]) for i, q in enumerate(LEVELS)}


def _points(order: Mapping[str, Any], mean: Floats) -> dict[str, float]:
    """Return the level to order up to, and the one at which to order: the former less what one review sells."""
    first = int(order["wait_periods"] + np.ceil(order["lead_time_periods"] - 1e-9))
    review = float(mean[first : first + int(order["review_periods"])].sum())
    up_to = float(order["demand"] + order["safety"])
    return {"order_up_to": up_to, "reorder_point": float(max(np.ceil(up_to - review - 1e-9), 0.0))}


def _rounded(values: Any) -> Any:
    return np.round(np.asarray(values, dtype=np.float64), DECIMALS).tolist()


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it: days as text, what is no finite number as null."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat()
    if isinstance(value, float):
        return round(value, DECIMALS) if np.isfinite(value) else None
    return value
