"""What a replay showed: costs of the policies side by side, and whether a difference is more than chance.

Letters: N product-warehouses, T periods replayed, B resamples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise import charts
from shelfwise.domain.calendar import Frequency
from shelfwise.domain.paths import keyed_generator
from shelfwise.inventory.replay import Ledger

Floats = NDArray[np.float64]

RESAMPLES: Final = 1000
RANGE: Final = (0.05, 0.95)
"""The range of a difference holds 90 % of the resamples."""
_RESAMPLES_AT_ONCE: Final = 100


@dataclass(frozen=True)
class Difference:
    """What one policy costs over another, as a fraction of the other's cost: resampled over series.

    ``value = sum_i (c_i - r_i) / sum_i r_i`` with c and r the costs of series i; ``error`` is the standard deviation
    of the same figure over resamples of the series, ``low`` to ``high`` holds 90 % of them. Source: Efron and
    Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """

    value: float
    error: float
    low: float
    high: float


def difference(cost: Floats, reference: Floats, *, seed: int = 0, resamples: int = RESAMPLES) -> Difference:
    """Return how much more than ``reference`` [N] a policy cost [N]; below zero it cost less.

    >>> same = difference(np.array([9.0, 18.0]), np.array([10.0, 20.0]))
    >>> round(same.value, 6), round(same.low, 6), round(same.high, 6)
    (-0.1, -0.1, -0.1)
    """
    total = float(reference.sum())
    if not total > 0:
        return Difference(float("nan"), float("nan"), float("nan"), float("nan"))
    generator = keyed_generator(seed, "replay difference")
    n = len(cost)
    drawn = []
    for low in range(0, resamples, _RESAMPLES_AT_ONCE):
        size = min(_RESAMPLES_AT_ONCE, resamples - low)
        times = generator.multinomial(n, np.full(n, 1.0 / n), size=size).astype(np.float64)  # [b, N]
        sums = times @ np.stack([cost - reference, reference], axis=1)  # [b, 2]
        drawn.append(sums[:, 0] / np.where(sums[:, 1] > 0, sums[:, 1], np.nan))
    found = np.concatenate(drawn)  # [B]
    low_end, high_end = np.nanquantile(found, RANGE)
    value = float((cost - reference).sum() / total)
    return Difference(value, float(np.nanstd(found)), float(low_end), float(high_end))


def summary(ledgers: Mapping[str, Ledger], periods_per_year: float, *, seed: int = 0) -> pl.DataFrame:
    """Return one row a policy, in their order, beside the first.

    Returns
    -------
    DataFrame
        ``policy``; ``cost`` and its parts ``holding``, ``shortage``, ``ordering``, money over the counted periods;
        ``fill_rate``, units sold over units asked for; ``stockout_periods``, the share of counted periods with unmet
        demand; ``stock`` and ``stock_value``, mean units and money on the shelf at the end of a period, all products
        together; ``turns``, units sold in a year over ``stock``; ``orders``, lines placed; ``ordered``, units;
        ``difference``, cost over the first policy's less 1, with its standard ``error`` and its 90 % range ``low`` to
        ``high`` over resamples of the series.
    """
    rows: list[dict[str, object]] = []
    first = next(iter(ledgers.values()), None)
    for name, ledger in ledgers.items():
        counted = ledger.counted
        sold, lost = float((ledger.sold * counted).sum()), float((ledger.lost * counted).sum())
        cells, per_series = int(counted.sum()), np.maximum(counted.sum(axis=1), 1)
        stock = (ledger.left * counted).sum(axis=1) / per_series  # [N]
        of_year = (ledger.sold * counted).sum(axis=1) / per_series * periods_per_year
        beside = None if first is None or ledger is first else difference(ledger.cost, first.cost, seed=seed)
        rows.append(
            {
                "policy": name,
                "cost": float(ledger.cost.sum()),
                "holding": float(ledger.holding.sum()),
                "shortage": float(ledger.shortage.sum()),
                "ordering": float(ledger.ordering.sum()),
                "fill_rate": sold / (sold + lost) if sold + lost > 0 else None,
                "stockout_periods": float((counted & (ledger.lost > 1e-9)).sum() / cells) if cells else None,
                "stock": float(stock.sum()),
                "stock_value": float((stock * ledger.terms.unit_value).sum()),
                "turns": float(of_year.sum() / stock.sum()) if stock.sum() > 0 else None,
                "orders": int((ledger.ordered > 0).sum()),
                "ordered": float(ledger.ordered.sum()),
                "difference": None if beside is None else beside.value,
                "error": None if beside is None else beside.error,
                "low": None if beside is None else beside.low,
                "high": None if beside is None else beside.high,
            }
        )
    numbers = ("difference", "error", "low", "high", "fill_rate", "stockout_periods", "turns")
    return pl.DataFrame(rows, infer_schema_length=None).with_columns(
        pl.col(name).cast(pl.Float64).fill_nan(None) for name in numbers
    )


def rows(ledgers: Mapping[str, Ledger], ids: pl.Series, moments: NDArray[Any]) -> pl.DataFrame:
    """Return one row a policy, series and period: ``policy, unique_id, ds``, units, and ``counted``.

    Parameters
    ----------
    ids
        [N] series.
    moments
        [T] labels of the periods.
    """
    n, periods = len(ids), len(moments)
    parts = []
    for name, ledger in ledgers.items():
        columns = {
            key: getattr(ledger, key).reshape(-1) for key in ("ordered", "arrived", "sold", "lost", "left", "counted")
        }
        parts.append(
            pl.DataFrame(
                [
                    pl.Series("policy", [name]).new_from_index(0, n * periods),
                    pl.Series("unique_id", np.repeat(ids.to_numpy(), periods), dtype=pl.String),
                    pl.Series("ds", np.tile(moments, n)),
                    pl.Series("period", np.tile(np.arange(1, periods + 1), n)),
                    *(pl.Series(key, values) for key, values in columns.items()),
                ]
            )
        )
    return pl.concat(parts) if parts else pl.DataFrame()


@dataclass(frozen=True, eq=False)
class Replay:
    """What each policy would have cost on the same past periods.

    Parameters
    ----------
    ledgers
        What each policy did, by its name; the first is the one the others are compared with.
    ids
        [N] series.
    moments
        [T] labels of the periods replayed.
    freq
        Their frequency.
    notes
        What a reader must know: what was assumed, left out, and not known.
    seed
        Seed of the resamples.
    """

    ledgers: Mapping[str, Ledger]
    ids: pl.Series
    moments: NDArray[Any]
    freq: Frequency
    notes: tuple[str, ...] = ()
    seed: int = 0

    def summary(self) -> pl.DataFrame:
        """Return one row a policy: cost and its parts, fill rate, stock, and the difference to the first; `summary`."""
        return summary(self.ledgers, self.freq.periods_per_year, seed=self.seed)

    @property
    def rows(self) -> pl.DataFrame:
        """One row a policy, series and period: units ordered, arrived, sold, lost and left, and whether it counts."""
        found = rows(self.ledgers, self.ids, self.moments)
        return found.with_columns(pl.col("ds").cast(pl.Date)) if self.freq.is_daily_or_longer else found

    def chart(self) -> str:
        """Return an SVG of the costs of every policy, holding beside shortage."""
        return charts.policy_costs(self.summary())
