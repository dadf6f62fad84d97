"""Coherence: one forecast from product to company, with the totals that models of the totals expect.

A wrapper around any model. The sums of its forecasts over the cells of the hierarchy are held against models of the
cells' own totals over the whole history (`calendar_model`, `aggregate_trees`), and every series of a cell is multiplied
by what they differ by. The answer stays joint sample paths, so that the paths of a department are the sum of those of
its products whatever is summed; series share shocks, so that the spread of a sum is that of the errors of sums. One
file, because strength and shocks are measured on the very correction that forecasts.

Letters as in `aggregates`; H steps that a correction is laid out for.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from shelfwise.domain.errors import ModelError, ParameterError
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.panel import Panel
from shelfwise.domain.paths import Dependence
from shelfwise.forecasting.aggregate_trees import AggregateTrees, combined, train
from shelfwise.forecasting.aggregates import Aggregates, Chains, still_sold
from shelfwise.forecasting.calendar_model import Calendars
from shelfwise.forecasting.censoring import bounded
from shelfwise.forecasting.contract import Estimator, Predictor, check_horizon
from shelfwise.forecasting.held_out import LEVELS, cells_after, reference_horizon, sample_of
from shelfwise.forecasting.processors import one_thread_each

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

VERSION: Final = "1"
STRENGTHS: Final = (0.0, 0.5, 0.75, 1.0)  # how much of the difference is taken over
WORTH_IT: Final = 0.995  # a correction must lose this much less on windows it has not seen
LARGEST: Final = 1.6  # factor on a series, and its inverse
MOST_CELLS: Final = 1_000_000  # series x steps a correction beyond the reference horizon is laid out for
JUDGED_CELLS: Final = 300_000  # series x steps up to which the wrapped model itself is tried on held-out windows
JUDGED_WINDOWS: Final = 2
LEVEL_WINDOWS: Final = 4  # where only the totals are tried, which costs little
SHOCK_WINDOWS: Final = 6
SHOCK_SAMPLE: Final = 2000
SMALLEST_ERROR_RATIO: Final = 0.5
LARGEST_SHARE: Final = 0.4  # of the variance of a draw that series share


@dataclass(frozen=True)
class Coherent:
    """A model whose sums are held against models of the sums.

    Parameters
    ----------
    inner
        The model of the series.
    name
        Name in the catalog.
    strength
        How much of the difference between the two is taken over, 0 to 1; None chooses it on held-out windows.
    judged
        The model whose sums are corrected there, where fitting ``inner`` again costs too much; None takes ``inner``.

    >>> from shelfwise.forecasting.models.base_level import BaseLevel
    >>> Coherent(BaseLevel(), strength=2.0)
    Traceback (most recent call last):
    shelfwise.domain.errors.ParameterError: strength must be from 0 to 1, got 2.0
    """

    inner: Estimator
    name: str = "coherent"
    strength: float | None = None
    judged: Estimator | None = None

    def __post_init__(self) -> None:
        if self.strength is not None and not 0 <= self.strength <= 1:
            raise ParameterError(f"strength must be from 0 to 1, got {self.strength}")

    def fit(self, panel: Panel) -> CoherentPredictor:
        """Return the inner model fitted on ``panel``, with the correction of its sums over the next periods."""
        with one_thread_each():
            return self._fit(panel)

    def _fit(self, panel: Panel) -> CoherentPredictor:
        panel = bounded(panel)
        calendars = Calendars.of(panel)
        if calendars is None:
            return CoherentPredictor(self.name, self.inner.fit(panel), None, None)
        horizon = reference_horizon(panel)
        steps = int(np.clip(MOST_CELLS // max(1, panel.n_series), horizon, 3 * horizon))
        with ThreadPoolExecutor(max_workers=1) as beside:  # the totals need the processor that boosting leaves idle
            totals = beside.submit(lambda: combined(calendars.fit(0), train(calendars.fit(0), horizon), steps))
            judging = beside.submit(_strength, self.judged or self.inner, panel, calendars, horizon)
            shocks = beside.submit(_past_errors, calendars, horizon)
            inner = self.inner.fit(panel)
            expected, (strength, error_ratio), errors = totals.result(), judging.result(), shocks.result()
        made = inner.predict(panel, steps, n_paths=2)
        if made.marginals is None:  # paths that a model drew itself are not ours to change
            return CoherentPredictor(self.name, inner, None, None)
        if self.strength is not None:
            strength = self.strength
        aggregates = calendars.aggregates
        open_share = _open_share(panel, aggregates, steps)
        factors = _factors(expected, _sums(panel, aggregates, made.marginals.mean), open_share) ** strength
        closes = aggregates.closes[aggregates.periods :]
        factors[:, closes[:steps]] = 0.0
        correction = Correction(aggregates.nodes.chains, aggregates.nodes.cells, aggregates.end, factors, closes)
        dependence = _dependence(panel, aggregates, made, errors, error_ratio)
        return CoherentPredictor(self.name, inner, correction, dependence, WeakKeyDictionary({panel: made}))

    def restore(self, arrays: dict[str, npt.NDArray[Any]]) -> CoherentPredictor:
        """Return the predictor that `CoherentPredictor.to_arrays` described."""
        inner = self.inner.restore({k.removeprefix("inner "): v for k, v in arrays.items() if k.startswith("inner ")})
        correction, dependence = None, None
        if "correction_factors" in arrays:
            chains = [tuple(text.split("\x1f")) for text in arrays["correction_chains"].tolist()]
            correction = Correction(
                Chains(tuple(chains)),
                tuple(arrays["correction_cells"].tolist()),
                int(arrays["correction_first"]),
                arrays["correction_factors"],
                arrays["correction_closes"],
            )
        if "shares" in arrays:
            world, level, world_level, group, group_level = arrays["shares"].tolist()
            columns = tuple(arrays["share_columns"].tolist())
            dependence = Dependence(world, level, world_level, group, group_level, columns)
        return CoherentPredictor(self.name, inner, correction, dependence)


@dataclass(frozen=True, eq=False)
class Correction:
    """What the series of each cell are multiplied by.

    Parameters
    ----------
    chains, cells
        How a series finds its cell.
    first
        Ordinal of the first factor.
    factors
        [C, H]; beyond them the mean of the last week's (or last period's) holds, before them none.
    closes
        [P] periods from ``first`` on, a year and more, in which the whole shop is closed; P may be any.
    """

    chains: Chains
    cells: tuple[str, ...]
    first: int
    factors: Floats
    closes: Flags

    def at(self, forecast: Forecast) -> Floats:
        """Return the factor [N, H] of each series and period; 1 for a cell never seen."""
        place = {name: i for i, name in enumerate(self.cells)}
        codes = [place.get(name, len(self.cells)) for name in self.chains.names(forecast.series).to_list()]
        length = self.factors.shape[1]
        steps = (forecast.starts - self.first)[:, None] + np.arange(forecast.horizon)
        last = self.factors[:, -min(7, length) :]
        held = last > 0
        tail = np.where(held.any(axis=1), (last * held).sum(axis=1) / np.maximum(held.sum(axis=1), 1), 1.0)
        padded = np.concatenate([np.ones((len(self.cells), 1)), self.factors, tail[:, None]], axis=1)
        padded = np.concatenate([padded, np.ones((1, padded.shape[1]))])
        found: Floats = padded[np.array(codes, dtype=np.int64)[:, None], np.clip(steps, -1, length) + 1]
        closes = np.concatenate([[False], self.closes, [False]])
        found[closes[np.clip(steps, -1, len(self.closes)) + 1]] = 0.0
        return found


@dataclass(frozen=True, eq=False)
class CoherentPredictor:
    """The wrapped model, fitted, with the correction of its sums."""

    name: str
    inner: Predictor
    correction: Correction | None
    dependence: Dependence | None
    said: WeakKeyDictionary[Panel, Forecast] = field(default_factory=WeakKeyDictionary)  # what the fit asked already
    version: str = field(default=VERSION, init=False)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the wrapped model."""
        found: tuple[str, ...] = getattr(self.inner, "notes", ())
        return found

    def predict(self, panel: Panel, horizon: int, *, n_paths: int = 200, seed: int = 0) -> Forecast:
        """Return the forecast of the next ``horizon`` periods; see `contract.Predictor.predict`."""
        made = self._of_inner(panel, check_horizon(horizon), n_paths, seed)
        made = replace(made, provenance=replace(made.provenance, model=self.name, version=self.version))
        if made.marginals is None or self.correction is None:
            return made
        factor = self.correction.at(made)
        marginals = Marginals(
            made.marginals.mean * factor, made.marginals.variance * factor, made.marginals.is_count
        )  # variance over mean stays what it is
        dependence = made.dependence
        if self.dependence is not None:
            lasting = self.dependence.world_level + self.dependence.group_level  # is in the series' own share already
            room = 1.0 - sum(self.dependence.shares.values())
            dependence = replace(self.dependence, level=float(np.clip(dependence.level - lasting, 0.0, room)))
        return replace(made, marginals=marginals, dependence=dependence)

    def __getstate__(self) -> dict[str, Any]:
        """Travel to another process without what the fit has said of its own panel."""
        return {name: value for name, value in vars(self).items() if name != "said"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arrive."""
        vars(self).update(state, said=WeakKeyDictionary())

    def _of_inner(self, panel: Panel, horizon: int, n_paths: int, seed: int) -> Forecast:
        """Return the wrapped model's forecast; that of the panel it was fitted on is known from the fit."""
        said = self.said.get(panel)
        if said is None or said.horizon != horizon:
            return self.inner.predict(panel, horizon, n_paths=n_paths, seed=seed)
        return replace(said, n_paths=n_paths, provenance=replace(said.provenance, seed=seed))

    def components(self, panel: Panel, horizon: int) -> dict[str, Floats]:
        """Return what each forecast is made of: those of the wrapped model, and ``aggregates``, the correction."""
        found: dict[str, Floats] = dict(getattr(self.inner, "components")(panel, horizon))  # noqa: B009
        if self.correction is not None:
            bare = self.inner.predict(panel, horizon, n_paths=2)
            found["aggregates"] = self.correction.at(bare)
        return found

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return everything fitted as named arrays."""
        arrays = {f"inner {name}": values for name, values in self.inner.to_arrays().items()}
        if self.correction is not None:
            arrays |= {
                "correction_factors": self.correction.factors,
                "correction_closes": self.correction.closes,
                "correction_first": np.array(self.correction.first),
                "correction_cells": np.array(self.correction.cells, dtype=np.str_),
                "correction_chains": np.array(
                    ["\x1f".join(chain) for chain in self.correction.chains.chains], dtype=np.str_
                ),
            }
        if self.dependence is not None:
            arrays["shares"] = np.array(list(self.dependence.shares.values()))
            arrays["share_columns"] = np.array(self.dependence.columns, dtype=np.str_)
        return arrays


def _sums(panel: Panel, aggregates: Aggregates, mean: Floats) -> Floats:
    """Return [C, H] sums over the series that are still sold of ``mean`` [N, H], from the end of the panel on.

    Of a series that ends some days earlier, the last days are those of the week before.
    """
    season, horizon = aggregates.freq.season, mean.shape[1]
    living = still_sold(panel, aggregates.end)
    place = np.arange(horizon) + (aggregates.end - panel.ends[living])[:, None]
    place -= season * np.maximum(0, -((horizon - 1 - place) // season))
    cells = np.zeros((len(aggregates.nodes.cells), horizon))
    code = aggregates.nodes.cell_of(panel.series)[living]
    np.add.at(cells, code, np.take_along_axis(mean[living], np.maximum(place, 0), axis=1))
    return cells


def _open_share(panel: Panel, aggregates: Aggregates, steps: int) -> Floats:
    """Return [C, H] share of the usual sales of a cell whose series are open, 1 where nothing is said of it."""
    cells = len(aggregates.nodes.cells)
    if "open" not in panel.known_future:
        return np.ones((cells, steps))
    chosen = panel.select(still_sold(panel, aggregates.end))
    start = np.full(chosen.n_series, aggregates.end, dtype=np.int64)
    opened = np.nan_to_num(chosen.known_future["open"].at(start, steps), nan=1.0) > 0
    length = int(min(chosen.lengths.max(), 4 * aggregates.freq.season * 4))
    usable = chosen.available_window(length)
    sold = np.where(usable, np.maximum(np.nan_to_num(chosen.window(length)), 0.0), 0.0)
    size = sold.sum(axis=1) / np.maximum(usable.sum(axis=1), 1)
    code = aggregates.nodes.cell_of(chosen.series)
    whole, there = np.zeros((cells, 1)), np.zeros((cells, steps))
    np.add.at(whole, code, size[:, None])
    np.add.at(there, code, size[:, None] * opened)
    return np.where(whole > 0, there / np.maximum(whole, 1e-12), 1.0)


def _factors(expected: Floats, bottom: Floats, open_share: Floats) -> Floats:
    """Return [C, H] what the series of a cell are to be multiplied by; 1 where one of the two says nothing."""
    told = (expected > 1e-9) & (bottom > 1e-9) & (open_share > 0.05)
    ratio = np.where(told, expected * open_share / np.where(told, bottom, 1.0), 1.0)
    return np.clip(ratio, 1.0 / LARGEST, LARGEST)


def _strength(judged: Estimator, panel: Panel, calendars: Calendars, horizon: int) -> tuple[float, float]:
    """Return how much of the correction pays on the latest windows, and the error of sums then left.

    On a panel that is small enough a model of the series is corrected, as fitted before those windows; on a large one
    the models of the totals must beat what the calendar makes of the cells' recent levels. The error is that of the
    whole over that of the calendar model alone.
    """
    small = panel.n_series * horizon <= JUDGED_CELLS
    windows = JUDGED_WINDOWS if small else LEVEL_WINDOWS
    backs = [horizon * (windows - i) for i in range(windows)]
    if calendars.at(backs[0]) is None:
        return 0.0, 1.0
    trees = train(calendars.fit(backs[0]), horizon, seasons=4)
    losses = _losses_of_series(judged, panel, calendars, backs, trees, horizon) if small else None
    if losses is None:
        losses = np.sum([_losses_of_levels(calendars, back, trees, horizon) for back in backs], axis=0)
    relative = losses / np.maximum(losses[:1], 1e-12)
    mean = relative.mean(axis=1)
    best = int(np.argmin(mean + 1e-9 * np.arange(len(mean))))
    if not (mean[best] < WORTH_IT and relative[best, 0] < 2 - WORTH_IT):
        best = 0
    alone = sum(_calendar_error(calendars, back, horizon) for back in backs)
    return STRENGTHS[best], float(np.clip(losses[best, 2] / max(alone, 1e-12), SMALLEST_ERROR_RATIO, 1.0))


def _losses_of_series(
    judged: Estimator, panel: Panel, calendars: Calendars, backs: list[int], trees: AggregateTrees | None, horizon: int
) -> Floats | None:
    """Return [strengths, 3] the losses of a model of the series; None where it cannot be fitted or draws its paths."""
    losses = np.zeros((len(STRENGTHS), 3))
    living = still_sold(panel, calendars.aggregates.end)
    try:
        early = judged.fit(panel.until(panel.ends - backs[0]))
        for back in backs:
            past = panel.until(panel.ends - back)
            keep = living & (past.lengths > 0)
            past, future = past.select(keep), panel.select(keep)
            if not past.n_series:
                return None
            made = early.predict(past, horizon, n_paths=2)
            if made.marginals is None:
                return None
            losses += _losses_of(made, past, *cells_after(future, past.ends, horizon), calendars, back, trees)
    except ModelError:  # such as a library that is not there: the wrapped model may well do without
        return None
    return losses


def _calendar_error(calendars: Calendars, back: int, horizon: int) -> float:
    """Return the absolute error of the whole when the calendar model forecasts it alone, in units."""
    fit, whole = calendars.fit(back), calendars.aggregates
    cells = len(fit.aggregates.nodes.cells)
    window = slice(fit.aggregates.periods, fit.aggregates.periods + horizon)
    usable = whole.known[:cells, window] & ~whole.closed[window]
    error = np.where(usable, fit.ahead(horizon)[:cells] - whole.values[:cells, window], 0.0)
    return float(np.abs(error.sum(axis=0)).sum())


def _losses_of(
    made: Forecast, past: Panel, actual: Floats, scored: Flags, calendars: Calendars, back: int,
    trees: AggregateTrees | None,
) -> Floats:  # fmt: skip
    """Return [strengths, 3]: quantile loss of the series, absolute errors of cells and of the whole."""
    known = calendars.aggregates.until(calendars.aggregates.end - back)
    horizon = made.horizon
    assert made.marginals is not None  # noqa: S101 - callers have checked
    mean, variance = made.marginals.mean, made.marginals.variance
    expected = combined(calendars.fit(back), trees, horizon)
    factors = _factors(expected, _sums(past, known, mean), _open_share(past, known, horizon))
    none = np.zeros(0, dtype=np.bool_)  # strengths are told apart on open days
    correction = Correction(known.nodes.chains, known.nodes.cells, known.end, factors, none)
    each = correction.at(made)
    came = np.where(scored, np.nan_to_num(actual), 0.0)
    code = known.nodes.cell_of(past.series)
    rows = np.argsort(past.ids.hash(seed=1).to_numpy())[:SHOCK_SAMPLE]
    found = np.zeros((len(STRENGTHS), 3))
    for i, strength in enumerate(STRENGTHS):
        factor = each**strength
        told = np.where(scored, mean * factor, 0.0)
        quantiles = Marginals(mean[rows] * factor[rows], variance[rows] * factor[rows], made.marginals.is_count)
        gap = came[rows][:, :, None] - quantiles.quantiles(LEVELS)
        found[i, 0] = float((np.maximum(LEVELS * gap, (LEVELS - 1.0) * gap).sum(axis=2) * scored[rows]).sum())
        error = np.zeros((len(known.nodes.cells), horizon))
        np.add.at(error, code, told - came)
        found[i, 1] = np.abs(error).sum()
        found[i, 2] = np.abs(error.sum(axis=0)).sum()
    return found


def _losses_of_levels(calendars: Calendars, back: int, trees: AggregateTrees | None, horizon: int) -> Floats:
    """Return [strengths, 3] the same for the cells alone: their recent level under the calendar, corrected or not."""
    fit = calendars.fit(back)
    known, whole = fit.aggregates, calendars.aggregates
    cells, start = len(known.nodes.cells), known.periods
    came = whole.values[:cells, start : start + horizon]
    usable = whole.known[:cells, start : start + horizon] & ~whole.closed[start : start + horizon]
    shape = np.exp(fit.explained[:cells])
    seen = (known.known[:cells] & ~known.closed).astype(np.float64)
    level = np.zeros(cells)
    for life, share in ((3.0, 0.2), (7.0, 0.1), (14.0, 0.35), (30.0, 0.2), (90.0, 0.15)):
        weight = seen * 0.5 ** (np.arange(start - 1, -1, -1) / life)
        explained = np.maximum((weight * shape[:, :start]).sum(axis=1), 1e-12)  # nothing of a cell may be known
        level += share * (weight * known.values[:cells]).sum(axis=1) / explained
    base = level[:, None] * shape[:, start : start + horizon]
    expected = combined(fit, trees, horizon)
    found = np.zeros((len(STRENGTHS), 3))
    for i, strength in enumerate(STRENGTHS):
        told = base ** (1.0 - strength) * np.maximum(expected, 1e-9) ** strength
        error = np.where(usable, told - came, 0.0)
        found[i] = np.abs(error).sum(), np.abs(error).sum(), np.abs(error.sum(axis=0)).sum()
    return found


def _past_errors(calendars: Calendars, horizon: int) -> list[Floats]:
    """Return how wrong the calendar model was on each of the latest windows, [M, H] logs."""
    errors = []
    for back in range(horizon, (SHOCK_WINDOWS + 1) * horizon, horizon):
        if calendars.at(back) is None:
            break
        errors.append(_log_errors(calendars, back, horizon))
    return errors


def _dependence(
    panel: Panel, aggregates: Aggregates, made: Forecast, errors: list[Floats], error_ratio: float
) -> Dependence | None:
    """Return the shocks that series share, from how wrong the calendar model of the totals was on past windows.

    ``error_ratio`` is the error of the forecast's sums over that of the calendar model.
    """
    if len(errors) < 2:
        return None
    horizon = errors[0].shape[1]
    nodes = aggregates.nodes
    cells = len(nodes.cells)
    size = aggregates.values[:cells, -horizon:].mean(axis=1)
    error = np.stack(errors)  # [windows, M, H], NaN where not usable
    whole = error[:, -1]
    apart = error[:, :cells] - whole[:, None, :]
    lasting, passing = _variances(whole[:, None, :], np.ones(1))
    slope, noise, level_noise = _slopes(panel, aggregates, made, size)
    group_lasting, group_passing = _variances(apart, size)
    passing, lasting = passing * error_ratio**2, lasting * error_ratio**2
    shares = np.array([passing, lasting, group_passing - noise, group_lasting - level_noise]) / slope**2
    if cells == 1:
        shares[2:] = 0.0
    shares = np.clip(shares, 0.0, None)
    shares *= min(1.0, LARGEST_SHARE / max(float(shares.sum()), 1e-12))
    return Dependence(
        world=float(shares[0]),
        world_level=float(shares[1]),
        group=float(shares[2]),
        group_level=float(shares[3]),
        columns=nodes.chains.columns if cells > 1 else (),
    )


def _log_errors(calendars: Calendars, back: int, horizon: int) -> Floats:
    """Return [M, H] log of what came over what the calendar model expected."""
    fit = calendars.fit(back)
    start = fit.aggregates.periods
    came = calendars.aggregates.values[:, start : start + horizon]
    usable = (
        calendars.aggregates.known[:, start : start + horizon] & ~calendars.aggregates.closed[start : start + horizon]
    )
    expected = fit.ahead(horizon)
    usable = usable & (came > 0) & (expected > 0)
    log = np.log(np.where(usable, came, 1.0)) - np.log(np.where(usable, expected, 1.0))
    return np.where(usable, np.clip(log, -1.0, 1.0), np.nan)


def _variances(error: Floats, size: Floats) -> tuple[float, float]:
    """Return the variance of errors [windows, G, H] that last over a window, and of those of single periods."""
    weight = size / max(float(size.sum()), 1e-12)
    count = np.maximum((~np.isnan(error)).sum(axis=2), 1)
    mean = np.nansum(error, axis=2) / count  # [windows, G]
    rest = np.nansum((error - mean[:, :, None]) ** 2, axis=2) / np.maximum(count - 1, 1)
    passing = (rest.mean(axis=0) * weight).sum()
    lasting = ((mean**2 - rest / count).mean(axis=0) * weight).sum()
    return max(float(lasting), 0.0), float(passing)


def _slopes(panel: Panel, aggregates: Aggregates, made: Forecast, size: Floats) -> tuple[float, float, float]:
    """Return how a sum moves with a shared draw, and the variance of a cell's sum when nothing is shared.

    The first is the sum of the series' covariances with the draw behind them over the sum of their means; the second
    and third are squared coefficients of variation, of one period and of what lasts.
    """
    some = sample_of(panel, SHOCK_SAMPLE)
    chosen = np.isin(panel.ids.to_numpy(), some.ids.to_numpy())
    assert made.marginals is not None  # noqa: S101 - callers have checked
    first = slice(0, min(7, made.horizon))
    mean, variance = made.marginals.mean[:, first], made.marginals.variance[:, first]
    samples = Marginals(mean[chosen], variance[chosen], made.marginals.is_count).stratified(64)  # [n, H, 64]
    draws = _normal_scores(64)
    covariance = (samples * draws).mean(axis=2)
    slope = float(covariance.sum() / max(float(mean[chosen].sum()), 1e-12))
    units, spread = _sums(panel, aggregates, mean), _sums(panel, aggregates, variance)
    relative = np.where(units > 0, spread / np.maximum(units**2, 1e-12), 0.0).mean(axis=1)  # [C]
    alone = float((relative * size).sum() / max(float(size.sum()), 1e-12))
    return max(slope, 1e-6), alone * (1.0 - made.dependence.level), alone * made.dependence.level


def _normal_scores(n: int) -> Floats:
    from scipy import special

    scores: Floats = special.ndtri((np.arange(n) + 0.5) / n)
    return scores
