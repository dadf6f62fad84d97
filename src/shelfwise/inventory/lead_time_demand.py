"""Demand over the protection time, drawn path by path, with a lead time that is itself uncertain.

The clock used by the whole floor: now is the start of period 1, the first period of the forecast. An order placed
now with a lead time of ``L`` periods is on the shelf at the start of period ``L + 1``. The next order can be placed
``R`` periods from now (the review time), so what is ordered now has to last through periods ``1 .. L + R``, the
protection time. Quantiles do not add, so demand over the protection time is summed along each path first.

Letters: N product-warehouses, S sample paths, H periods of the horizon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
import scipy
from numpy.typing import ArrayLike, NDArray

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.frames import RECEIPTS, SUPPLIERS
from shelfwise.domain.paths import keyed_generator

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CHUNK_BYTES: Final = 64 * 2**20
"""Transient memory of one step over paths; larger inputs are worked through in slices of series."""

LONGEST_QUANTILE: Final = 0.995
ASSUMED_VARIATION: Final = 0.2
"""Standard deviation over mean of a lead time about which nothing else is known."""


def series_slices(n_series: int, n_paths: int, horizon: int) -> list[slice]:
    """Cut N series into slices whose paths, as float64, fit into `CHUNK_BYTES`.

    >>> series_slices(3, n_paths=10, horizon=5)
    [slice(0, 3, None)]
    """
    step = max(1, CHUNK_BYTES // max(1, n_paths * horizon * 8))
    return [slice(start, min(start + step, n_series)) for start in range(0, n_series, step)]


def checked_paths(paths: NDArray[Any]) -> NDArray[Any]:
    """Return ``paths`` if they are [N, S, H] with at least one path and one period."""
    paths = np.asarray(paths)
    if paths.ndim != 3 or paths.shape[1] < 1 or paths.shape[2] < 1:
        raise ParameterError(
            f"paths must have the shape [series, paths, periods] with at least one path and period, got {paths.shape}"
        )
    return paths


@dataclass(frozen=True, eq=False)
class LeadTime:
    """How long deliveries take, for N product-warehouses, in periods.

    A series with measured samples draws from them. Any other is lognormal with the given mean and standard
    deviation, the usual right-skewed form of a lead time: ``sigma^2 = ln(1 + sd^2 / mean^2)``,
    ``mu = ln(mean) - sigma^2 / 2``. A standard deviation of zero is a lead time that never varies.

    Draws are whole periods. A fractional value is rounded up in that fraction of the paths, so the mean is kept
    (a lead time of 2.4 weeks is 3 weeks in 40 % of the paths). The lognormal has no end, a horizon has one: draws
    above ``longest_quantile`` are set to it, so about one delivery in 200 is later than planned for. Forecast at
    least `required_horizon` periods.

    Parameters
    ----------
    mean_periods, sd_periods
        [N] mean and standard deviation.
    samples
        Per series the measured lead times in periods, or None where there are too few to draw from.

    >>> lead_time = LeadTime([2.0, 2.4], [0.0, 0.0])
    >>> draws = lead_time.draw(["a", "b"], n_paths=1000, seed=0)
    >>> draws.mean(axis=1).round(1).tolist()
    [2.0, 2.4]
    """

    mean_periods: ArrayLike
    sd_periods: ArrayLike
    samples: Sequence[ArrayLike | None] | None = None
    longest_quantile: float = LONGEST_QUANTILE

    def __post_init__(self) -> None:
        mean = np.atleast_1d(np.asarray(self.mean_periods, dtype=np.float64))
        sd = np.broadcast_to(np.asarray(self.sd_periods, dtype=np.float64), mean.shape)
        if mean.ndim != 1:
            raise ParameterError(f"lead times must be one number per series, got the shape {mean.shape}")
        for name, values in (("mean lead time", mean), ("lead-time standard deviation", sd)):
            bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
            if bad.size:
                raise ParameterError(f"{name} must be zero or more periods, got {values[bad[0]]:g} (series {bad[0]})")
        if np.any((mean == 0) & (sd > 0)):
            raise ParameterError("a lead time of 0 periods cannot vary; give a mean above 0 or a deviation of 0")
        if not 0.5 <= self.longest_quantile < 1:
            raise ParameterError(f"longest_quantile must be at least 0.5 and below 1, got {self.longest_quantile}")
        object.__setattr__(self, "mean_periods", mean)
        object.__setattr__(self, "sd_periods", sd)
        if self.samples is not None:
            object.__setattr__(self, "samples", _checked_samples(self.samples, len(mean)))

    @property
    def mean(self) -> Floats:
        """Return the mean [N] in periods."""
        return np.asarray(self.mean_periods, dtype=np.float64)

    @property
    def longest_periods(self) -> Integers:
        """Return [N] the longest lead time that `draw` can give.

        >>> LeadTime([14.0], [3.0]).longest_periods.tolist()
        [24]
        """
        longest = self._lognormal(np.full((len(self.mean), 1), self.longest_quantile))[:, 0]
        for row, sample in enumerate(self.samples or ()):
            if sample is not None:
                longest[row] = np.max(np.asarray(sample))
        return np.ceil(longest - 1e-9).astype(np.int64)

    def draw(self, unique_ids: Sequence[str], n_paths: int, seed: int = 0) -> Integers:
        """Draw whole lead times [N, S], the same for a (seed, unique_id) wherever it stands in a chunk.

        Draws are stratified: path by path they look random, together they fill the distribution evenly.
        Give the supplier's code as ``unique_ids`` to let one late ship delay all its products in the same path.
        """
        if len(unique_ids) != len(self.mean):
            raise ParameterError(f"{len(unique_ids)} unique_ids for {len(self.mean)} lead times; give one for each")
        if n_paths < 1:
            raise ParameterError(f"n_paths must be at least 1, got {n_paths}")
        raw = np.empty((len(unique_ids), 3, n_paths))
        for row, name in enumerate(unique_ids):
            keyed_generator(seed, name, "lead time").random(out=raw[row])
        order, inside, rounding = raw[:, 0], raw[:, 1], raw[:, 2]  # each [N, S]
        level = (np.argsort(order, axis=1) + inside) / n_paths
        values = self._lognormal(np.minimum(level, self.longest_quantile))  # [N, S] periods
        for row, sample in enumerate(self.samples or ()):
            if sample is not None:
                known = np.asarray(sample)
                values[row] = known[np.minimum((level[row] * len(known)).astype(np.int64), len(known) - 1)]
        whole = np.floor(values + 1e-9)
        return (whole + (rounding < values - whole)).astype(np.int64)

    def _lognormal(self, level: Floats) -> Floats:
        """Return the quantile of each series at ``level`` [N, S], as [N, S] periods."""
        mean = self.mean[:, None]
        sd = np.asarray(self.sd_periods, dtype=np.float64)[:, None]
        moving = (sd > 0).astype(np.float64)
        safe = np.where(mean > 0, mean, 1.0)
        sigma = np.sqrt(np.log1p((sd / safe) ** 2)) * moving
        return np.asarray(mean * np.exp(sigma * scipy.special.ndtri(level) - sigma**2 / 2), dtype=np.float64)


def _checked_samples(samples: Sequence[ArrayLike | None], n_series: int) -> tuple[Floats | None, ...]:
    if len(samples) != n_series:
        raise ParameterError(f"{len(samples)} sets of measured lead times for {n_series} series; give one for each")
    checked: list[Floats | None] = []
    for sample in samples:
        if sample is None:
            checked.append(None)
            continue
        values = np.sort(np.asarray(sample, dtype=np.float64).ravel())
        if not values.size or not np.all(np.isfinite(values)) or values[0] < 0:
            raise ParameterError("measured lead times must be one or more numbers of zero or more periods")
        checked.append(values)
    return tuple(checked)


def required_horizon(lead_time: LeadTime, review_periods: ArrayLike) -> int:
    """Return the number of periods a forecast needs so that every drawn protection time fits.

    >>> required_horizon(LeadTime([14.0, 3.0], [0.0, 0.0]), review_periods=[7, 1])
    21
    """
    review = _checked_review(review_periods, len(lead_time.mean))
    return int(np.max(lead_time.longest_periods + review, initial=1))


def demand_over(paths: NDArray[Any], periods: ArrayLike) -> Floats:
    """Sum each path over its first ``periods`` periods.

    Parameters
    ----------
    paths
        [N, S, H] units per period.
    periods
        [N, S] or [N] whole periods, 0 or more.

    Returns
    -------
    [N, S] units.

    >>> demand_over(np.array([[[1.0, 2.0, 4.0], [0.0, 5.0, 1.0]]]), [[3, 1]]).tolist()
    [[7.0, 0.0]]
    """
    paths = checked_paths(paths)
    n_series, n_paths, horizon = paths.shape
    counts = np.asarray(periods, dtype=np.int64)
    counts = np.broadcast_to(counts[:, None] if counts.ndim == 1 else counts, (n_series, n_paths))  # [N, S]
    if n_series and counts.min() < 0:
        raise ParameterError(f"periods to sum over must be 0 or more, got {counts.min()}")
    longest = int(counts.max(initial=0))
    if longest > horizon:
        raise ParameterError(
            f"protection time {longest} is longer than the horizon {horizon}; forecast at least {longest} periods"
        )
    total = np.zeros((n_series, n_paths))
    for part in series_slices(n_series, n_paths, max(longest, 1)):
        ends = counts[part]
        last = int(ends.max(initial=0))
        if not last:
            continue
        if int(ends.min()) == last:
            total[part] = paths[part, :, :last].sum(axis=2, dtype=np.float64)
            continue
        running = paths[part, :, :last].cumsum(axis=2, dtype=np.float64)  # [n, S, last]
        picked = np.take_along_axis(running, np.maximum(ends - 1, 0)[:, :, None], axis=2)[:, :, 0]
        total[part] = np.where(ends > 0, picked, 0.0)
    return total


def protection_demand(paths: NDArray[Any], lead_time_periods: ArrayLike, review_periods: ArrayLike) -> Floats:
    """Return demand over the protection time, lead time plus review time, on each path.

    Symbols: ``D_s = sum of y_{s,h} over h = 1 .. L_s + R`` [units], with y the demand of path s in period h, L the
    lead time of that path and R the review time [periods]. Source: Silver, Pyke and Thomas, Inventory and Production
    Management in Supply Chains, 4th ed., chapter 6 (periodic review has to protect over R + L).

    Parameters
    ----------
    paths
        [N, S, H] units per period.
    lead_time_periods
        [N, S] (or [N]) whole periods.
    review_periods
        [N] whole periods, at least 1.

    Returns
    -------
    [N, S] units.

    >>> paths = np.array([[[5, 5, 5, 5], [1, 2, 3, 4]]])
    >>> protection_demand(paths, [[1, 2]], [2]).tolist()
    [[15.0, 10.0]]
    >>> protection_demand(np.ones((1, 2, 14)), [14], [7])
    Traceback (most recent call last):
    ...
    shelfwise.domain.errors.ParameterError: protection time 21 is longer than the horizon 14; forecast at least 21 periods
    """  # noqa: E501
    paths = checked_paths(paths)
    lead = np.asarray(lead_time_periods, dtype=np.int64)
    review = _checked_review(review_periods, paths.shape[0])
    return demand_over(paths, lead + (review if lead.ndim == 1 else review[:, None]))


def _checked_review(review_periods: ArrayLike, n_series: int) -> Integers:
    review = np.broadcast_to(np.asarray(review_periods), (n_series,)).astype(np.int64)
    if n_series and review.min() < 1:
        raise ParameterError(f"review time must be at least 1 period, got {review.min()}")
    return review


def measured_lead_times(
    receipts: pl.DataFrame,
    suppliers: pl.DataFrame | None = None,
    *,
    stated_weight: float = 5.0,
    least_samples: int = 20,
) -> pl.DataFrame:
    """Measure each supplier's lead time from what was received, shrunk to what the supplier states.

    One purchase order arriving on one day is one observation, however many lines it had. With n observations of
    mean m and variance v, a stated mean M and standard deviation D, and k = ``stated_weight``::

        mean_days = (n m + k M) / (n + k)                                       [days]
        sd_days^2 = ((n - 1) v + k D^2) / (n - 1 + k)       (D^2 alone if n < 2) [days^2]

    so the stated lead time counts as k deliveries (shrinkage to a prior mean; Gelman et al., Bayesian Data Analysis,
    3rd ed., section 2.5). An unstated D is taken as 0.2 of the mean; without a stated mean the measured one stands.
    ``samples`` holds the measured days where there are at least ``least_samples`` of them, to be drawn from as they
    are; with fewer, mean and standard deviation are the better guide.

    Returns
    -------
    Columns supplier, deliveries, measured_mean_days, measured_sd_days, stated_days, mean_days, sd_days, samples;
    one row per supplier that is in either frame; mean_days is null where nothing is stated or measured.

    >>> from datetime import date
    >>> receipts = pl.DataFrame(
    ...     {
    ...         "purchase_order": ["P1", "P2"],
    ...         "supplier": ["Hario", "Hario"],
    ...         "product": ["V60", "V60"],
    ...         "warehouse": ["main", "main"],
    ...         "quantity": [10.0, 10.0],
    ...         "ordered_on": [date(2026, 1, 1), date(2026, 2, 1)],
    ...         "received_on": [date(2026, 1, 15), date(2026, 2, 22)],
    ...     }
    ... )
    >>> suppliers = pl.DataFrame({"supplier": ["Hario"], "lead_time_days": [10.5]})
    >>> measured_lead_times(receipts, suppliers).select("deliveries", "measured_mean_days", "mean_days").row(0)
    (2, 17.5, 12.5)
    """
    if stated_weight < 0:
        raise ParameterError(f"stated_weight must be zero or more deliveries, got {stated_weight}")
    observed = (
        RECEIPTS.check(receipts)
        .filter(pl.col("ordered_on").is_not_null() & (pl.col("quantity") > 0))
        .with_columns(days=(pl.col("received_on") - pl.col("ordered_on")).dt.total_days().cast(pl.Float64))
        .filter(pl.col("days") >= 0)
        .unique(["supplier", "purchase_order", "received_on"], keep="first", maintain_order=True)
        .group_by("supplier")
        .agg(
            deliveries=pl.len().cast(pl.Int64),
            measured_mean_days=pl.col("days").mean(),
            measured_sd_days=pl.col("days").std(),
            samples=pl.col("days").sort(),
        )
    )
    stated = SUPPLIERS.check(suppliers if suppliers is not None else SUPPLIERS.empty()).select(
        "supplier", stated_days="lead_time_days", stated_sd="lead_time_sd_days"
    )
    n, k = pl.col("deliveries"), pl.lit(stated_weight)
    mean, variance = pl.col("measured_mean_days"), pl.col("measured_sd_days") ** 2
    prior_mean = pl.coalesce("stated_days", "measured_mean_days")
    prior_sd = pl.coalesce("stated_sd", prior_mean * ASSUMED_VARIATION)
    return (
        stated.join(observed, on="supplier", how="full", coalesce=True)
        .with_columns(pl.col("deliveries").fill_null(0))
        .with_columns(
            mean_days=pl.when(n > 0).then((n * mean + k * prior_mean) / (n + k)).otherwise(prior_mean),
            sd_days=pl.when(n > 1)
            .then((((n - 1) * variance + k * prior_sd**2) / (n - 1 + k)).sqrt())
            .otherwise(prior_sd),
            samples=pl.when(n >= least_samples).then("samples"),
        )
        .select(
            "supplier", "deliveries", "measured_mean_days", "measured_sd_days", "stated_days", "mean_days",
            "sd_days", "samples",
        )
        .sort("supplier")
    )  # fmt: skip
