"""Models that fit each series by itself: what happens around the fit of one history.

Such a model brings a function from one history to the expected demand of the coming periods, and perhaps to its
variance. Here are the rest: which form a short history gets, what a failure and an explosion lead to, noise where the
model has none, how errors hang together, and what the reader is told. A series is never fitted beside another, so
chunks and their order change nothing, and whoever has more processors may spread chunks over processes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.errors import ModelError, ParameterError
from shelfwise.domain.forecast import Forecast, Provenance
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.panel import Panel
from shelfwise.domain.paths import Dependence
from shelfwise.forecasting.contract import check_horizon
from shelfwise.forecasting.held_out import sample_of
from shelfwise.forecasting.histories import at_least, expected, filled
from shelfwise.forecasting.level_season import DEFAULT_LEVEL_SHARE, Groups

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

CEILING: Final = 2.0  # neither mean nor deviation of a period goes beyond so many times the largest value in history
SMALLEST: Final = 1e-6  # of a history's mean: below it nothing is expected, and surely so
DECIMALS: Final = 10  # of scaled histories, so that grams and kilograms lead an optimiser to one and the same answer
NOISE_PERIODS: Final = 20.0  # periods of history that the noise of a series' category is worth
ENOUGH: Final = 8  # seen periods below which a series shows no noise
UNKNOWN_NOISE: Final = 0.25  # of the level, where no series shows its noise: a deviation of half the mean
SAMPLE: Final = 1000  # series that noise and dependence are measured on
NAMED: Final = 5  # ids that one note names


@dataclass(frozen=True, eq=False)
class Outlook:
    """What a model makes of one history.

    Parameters
    ----------
    mean
        [H] expected demand.
    variance
        [H]; None where the model gives no distribution, and the noise is measured around ``fitted``.
    fitted
        [T] what the model expected of each past period one step ahead, NaN where it could not; needed without variance.
    """

    mean: Floats
    variance: Floats | None = None
    fitted: Floats | None = None


FitOne = Callable[[Floats, int, int], Outlook]  # history [T] of mean 1, season in periods, horizon


@dataclass(frozen=True)
class LocalModel:
    """An estimator that fits each series by itself.

    Parameters
    ----------
    name, version
        Name in the catalog and version of the method.
    fit_one
        From one history, scaled to mean 1, a season and a horizon to an `Outlook`.
    load
        Imports the library behind ``fit_one``, or raises `ModelError` where its extra is not installed.
    longest
        Latest periods of a history that are read, at least 8; None reads all.
    longest_season
        A longer season is left out: the model is too slow or not made for it.
    least
        Seen periods below which a history gets its mean.
    gaps
        ``fill`` puts level and season in place of periods not seen, ``drop`` leaves them out.

    >>> LocalModel("m", "1", lambda history, season, horizon: Outlook(history[:horizon]), lambda: None, longest=7)
    Traceback (most recent call last):
    shelfwise.domain.errors.ParameterError: longest must be at least 8 periods, got 7
    """

    name: str
    version: str
    fit_one: FitOne
    load: Callable[[], object]
    longest: int | None = None
    longest_season: int = 24
    least: int = 8
    gaps: Literal["fill", "drop"] = "fill"

    def __post_init__(self) -> None:
        if self.longest is not None and self.longest < 8:
            raise ParameterError(f"longest must be at least 8 periods, got {self.longest}")

    def fit(self, panel: Panel) -> LocalPredictor:
        """Return a predictor that remembers the frequency and what the series have in common.

        Nothing of a single series is remembered: `LocalPredictor.predict` fits each series on the history it is given.
        """
        self.load()
        return LocalPredictor(self, Common.measure(panel))

    def restore(self, arrays: dict[str, npt.NDArray[Any]]) -> LocalPredictor:
        """Return the predictor that `LocalPredictor.to_arrays` described."""
        return LocalPredictor(self, Common.from_arrays(arrays))


@dataclass(frozen=True, eq=False)
class Common:
    """What series have in common, measured on the panel a model was fitted on.

    The plain expectation here is each series' local level and own season, the same for every local model.
    """

    freq: Frequency
    is_count: bool
    groups: Groups
    level: Floats  # [G] mean units per period
    noise: Floats  # [G] variance over mean, around the plain expectation
    dependence: Dependence  # of errors beyond the last season but one, against the plain expectation before

    @classmethod
    def measure(cls, panel: Panel) -> Common:
        pool = sample_of(panel, SAMPLE)
        groups, season = Groups.of(pool), pool.freq.season
        codes = groups.codes(pool)
        held = _held_back(pool)
        level, noise = np.full(pool.n_series, np.nan), np.full(pool.n_series, np.nan)
        errors = np.full((pool.n_series, held), np.nan)  # [n, held] in deviations
        for row in range(pool.n_series):
            values, seen, _ = history_of(pool, row, None)
            if not seen.any():
                continue
            level[row] = values[seen].mean()
            if level[row] > 0 and seen.sum() >= ENOUGH:
                lean = NOISE_PERIODS if pool.is_count else 0.0  # noise of counts is about 1, of other units anything
                noise[row] = _noise(values[seen], expected(values, seen, season)[seen], 1.0, lean)
                errors[row] = _late_errors(values, seen, season, held)
        known = level[~np.isnan(level)]
        unknown = float(pool.is_count) + UNKNOWN_NOISE * (float(known.mean()) if known.size else 0.0)
        return cls(
            freq=pool.freq,
            is_count=pool.is_count,
            groups=groups,
            level=_by_group(level, codes, len(groups), np.mean, 0.0),
            noise=np.maximum(_by_group(noise, codes, len(groups), np.median, unknown), 1.0 if pool.is_count else 1e-9),
            dependence=_dependence(errors),
        )

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {
            "freq": np.array([self.freq.count, self.freq.unit, self.freq.anchor], dtype=np.str_),
            "groups": np.array([self.groups.column, *self.groups.names], dtype=np.str_),
            "scalars": np.array([self.is_count, self.dependence.world, self.dependence.level]),
            "level": self.level,
            "noise": self.noise,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> Common:
        try:
            count, unit, anchor = arrays["freq"].tolist()
            column, *names = arrays["groups"].tolist()
            is_count, world, level = arrays["scalars"].tolist()
            return cls(
                freq=Frequency(int(count), unit, int(anchor)),
                is_count=bool(is_count),
                groups=Groups(column, tuple(names)),
                level=arrays["level"],
                noise=arrays["noise"],
                dependence=Dependence(float(world), float(level)),
            )
        except (KeyError, ValueError) as error:
            raise ModelError(f"stored model cannot be read: {error}; fit it again") from error


@dataclass(frozen=True, eq=False)
class LocalPredictor:
    """A model of single series, with what the series have in common known."""

    model: LocalModel
    common: Common

    @property
    def name(self) -> str:
        """Name in the catalog."""
        return self.model.name

    @property
    def version(self) -> str:
        """Version of the method."""
        return self.model.version

    def predict(self, panel: Panel, horizon: int, *, n_paths: int = 200, seed: int = 0) -> Forecast:
        """Return the forecast of the next ``horizon`` periods; see `contract.Predictor.predict`.

        Every series is fitted anew on the history in ``panel``, so new sales need no new fit.
        """
        check_horizon(horizon)
        if panel.freq != self.common.freq:
            raise ModelError(f"fitted on periods of {self.common.freq}, asked for {panel.freq}; fit on such a panel")
        self.model.load()
        mean = np.empty((panel.n_series, horizon))
        variance = np.empty((panel.n_series, horizon))
        told = _Told()
        codes = self.common.groups.codes(panel)
        for row, unique_id in enumerate(panel.ids.to_list()):
            level, noise = float(self.common.level[codes[row]]), float(self.common.noise[codes[row]])
            values, seen, sold = history_of(panel, row, self.model.longest)
            values = at_least(values, seen, sold, self.common.freq.season, noise, is_count=self.common.is_count)
            seen = seen | (sold > 0)
            mean[row], variance[row] = self._one(values, seen, horizon, level, noise, str(unique_id), told)
        if "open" in panel.known_future:
            opened = panel.known_future["open"].at(panel.ends, horizon)
            share = np.clip(np.where(np.isnan(opened), 1.0, opened), 0.0, 1.0)  # [N, H] of the period
            mean, variance = mean * share, variance * share
        return Forecast(
            series=panel.series,
            starts=panel.ends,
            freq=panel.freq,
            provenance=Provenance(self.name, self.version, panel.data_until, seed, (*told.notes(), *_unused(panel))),
            n_paths=n_paths,
            marginals=Marginals(mean, variance, self.common.is_count),
            dependence=self.common.dependence,
        )

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the frequency, and level, noise and dependence of the panel fitted on."""
        return self.common.to_arrays()

    def _one(
        self, values: Floats, seen: Flags, horizon: int, level: float, noise: float, unique_id: str, told: _Told
    ) -> tuple[Floats, Floats]:
        """Return mean and variance [H] in units for one history [T] of zero or more."""
        known = values[seen]
        if not known.size:
            told.unknown.append(unique_id)
            return np.full(horizon, level), np.full(horizon, noise * level + level * level)
        scale = float(known.mean())
        if known.size < self.model.least or not np.ptp(known):
            if np.ptp(known):
                told.short.append(unique_id)
            return self._flat(known, scale, horizon, noise)
        season = self.common.freq.season
        history = known if self.model.gaps == "drop" else filled(values, seen, season)
        history = np.round(history / scale, DECIMALS)
        outlook = self._fit(history, season if known.size >= 2 * season else 1, horizon, unique_id, told)
        if outlook is None:
            return self._flat(known, scale, horizon, noise)
        highest = CEILING * float(known.max())
        mean = np.where(outlook.mean > SMALLEST, outlook.mean, 0.0) * scale
        if outlook.variance is not None:
            variance = np.where(mean > 0, outlook.variance, 0.0) * scale * scale
        else:
            assert outlook.fitted is not None  # noqa: S101 - an outlook has the one or the other
            past = np.isfinite(outlook.fitted)
            own = _noise(history[past] * scale, outlook.fitted[past] * scale, noise, NOISE_PERIODS)
            variance = own * mean
        if mean.max() > highest or variance.max() > highest * highest:
            told.clipped.append(unique_id)
        return np.minimum(mean, highest), np.minimum(variance, highest * highest)

    def _flat(self, known: Floats, scale: float, horizon: int, noise: float) -> tuple[Floats, Floats]:
        """Return the mean of what was seen, with noise around it and what so few periods leave unknown of a mean."""
        own = _noise(known, np.full(known.size, scale), noise, NOISE_PERIODS)
        variance = own * scale * (1.0 + 1.0 / known.size)
        if known.size < ENOUGH:
            variance += UNKNOWN_NOISE * scale * scale / known.size
        return np.full(horizon, scale), np.full(horizon, variance)

    def _fit(self, history: Floats, season: int, horizon: int, unique_id: str, told: _Told) -> Outlook | None:
        """Return the outlook of the seasonal form, else of the one without, else None."""
        forms = [1] if not 1 < season <= self.model.longest_season else [season, 1]
        reason = ""
        for form in forms:
            try:
                with warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")  # about optimisers; what comes out is checked below
                    outlook = self.model.fit_one(history, form, horizon)
            except MemoryError:  # the machine's fault: a forecast must not depend on how much was free
                raise
            except Exception as error:  # one series must not take the others' forecasts with it
                reason = f"{type(error).__name__}: {error}"
                continue
            numbers = [outlook.mean] if outlook.variance is None else [outlook.mean, outlook.variance]
            if all(x.shape == (horizon,) and np.isfinite(x).all() for x in numbers):
                return outlook
            reason = "gave no finite number"
        told.failed[unique_id] = reason
        return None


@dataclass
class _Told:
    """What a reader of the forecast must know, collected series by series."""

    unknown: list[str] = field(default_factory=list)
    short: list[str] = field(default_factory=list)
    clipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def notes(self) -> tuple[str, ...]:
        notes = []
        if self.failed:
            reason = next(iter(self.failed.values()))
            notes.append(f"could not be fitted and take their mean: {named(list(self.failed))} ({reason})")
        if self.clipped:
            notes.append(f"held to {CEILING:g} times the largest value in history: {named(self.clipped)}")
        if self.short:
            notes.append(f"too short for the model and take their mean: {named(self.short)}")
        if self.unknown:
            notes.append(f"without history, take the mean of their category: {named(self.unknown)}")
        return tuple(notes)


def named(ids: Sequence[str]) -> str:
    """Return ids for a note: the first few, and how many more.

    >>> named([*"abcdefg"])
    'a, b, c, d, e and 2 more'
    """
    more = f" and {len(ids) - NAMED:,} more" if len(ids) > NAMED else ""
    return ", ".join(ids[:NAMED]) + more


def _unused(panel: Panel) -> tuple[str, ...]:
    unused = sorted({*panel.known_future, *panel.past_only} - {"open"})
    return (f"covariates not used by this model: {', '.join(unused)}",) if unused else ()


def history_of(panel: Panel, row: int, longest: int | None) -> tuple[Floats, Flags, Floats]:
    """Return values [T] of zero or more, which were seen, and what sold where it sold out, from the first known on."""
    cells = slice(int(panel.offsets[row]), int(panel.offsets[row + 1]))
    values = panel.values[cells].astype(np.float64)
    recorded = ~np.isnan(values)
    if "open" in panel.known_future:
        opened = panel.known_future["open"].select(np.array([row])).at(panel.starts[row : row + 1], len(values))[0]
        recorded &= ~(opened <= 0)
    values = np.where(recorded, np.maximum(np.nan_to_num(values), 0.0), 0.0)
    seen = recorded if panel.available is None else recorded & panel.available[cells]
    sold = np.where(recorded & ~seen, values, 0.0)
    if longest is not None:
        values, seen, sold = values[-longest:], seen[-longest:], sold[-longest:]
    known = seen | (sold > 0)
    first = int(known.argmax()) if known.any() else len(known)
    values, seen, sold = values[first:], seen[first:], sold[first:]
    return np.where(seen, values, 0.0), seen, sold


def _noise(values: Floats, means: Floats, prior: float, lean: float) -> float:
    """Return variance over mean, shrunk to ``prior`` by ``lean`` periods of average demand.

    phi = (sum (y - m)^2 + k phi_0 sum m / T) / (sum m + k sum m / T), the moment estimate of Wedderburn, 1974,
    Biometrika 61(3), leaning on phi_0.

    >>> _noise(np.array([0.0, 4.0]), np.array([2.0, 2.0]), 1.0, 0.0)
    2.0
    """
    total = float(means.sum())
    if total <= 0:
        return prior
    weight = lean * total / len(means)
    return (float(((values - means) ** 2).sum()) + weight * prior) / (total + weight)


def _by_group(values: Floats, codes: Integers, n_groups: int, statistic: Any, empty: float) -> Floats:
    """Return a statistic [G] of the known values [n]; of all of them for a group with fewer than five."""
    known = ~np.isnan(values)
    overall = float(statistic(values[known])) if known.any() else empty
    found = np.full(n_groups, overall)
    for group in range(n_groups):
        mine = known & (codes == group)
        if mine.sum() >= 5:
            found[group] = float(statistic(values[mine]))
    return found


def _held_back(pool: Panel) -> int:
    """Return the periods whose errors show how errors hang together: one to two seasons, a quarter of the history."""
    return int(max(2, min(4 * pool.freq.season, 28, pool.lengths.max() // 4)))


def _late_errors(values: Floats, seen: Flags, season: int, held: int) -> Floats:
    """Return [held] errors of the last periods in deviations, against level and season before them; NaN not seen."""
    errors = np.full(held, np.nan)
    before = len(values) - held
    if before < max(held, 8) or not values[:before].any():
        return errors
    ahead = np.append(seen[:before], np.zeros(held, dtype=np.bool_))  # what came is not seen
    means = expected(np.where(ahead, values, 0.0), ahead, season)
    noise = _noise(values[:before][seen[:before]], means[:before][seen[:before]], 1.0, 0.0)
    cut = np.clip((values - means)[before:] / np.sqrt(np.maximum(noise * means[before:], 1e-12)), -4.0, 4.0)
    late = seen[before:] & (means[before:] > 0)
    errors[late] = cut[late]
    return errors


def _dependence(errors: Floats) -> Dependence:
    """Return the correlation of errors [n, held] between two periods of a series and between two series of a period.

    Each is the mean product over pairs, over the mean square. Source: Fisher's intraclass correlation, Statistical
    Methods for Research Workers, 1925, section 38.
    """
    known = ~np.isnan(errors)
    if not known.any():
        return Dependence(0.0, DEFAULT_LEVEL_SHARE)
    z = np.where(known, errors, 0.0)
    power = float((z * z).sum()) / float(known.sum())
    shares = []
    for axis in (1, 0):
        count = known.sum(axis=axis).astype(np.float64)
        pairs = float((count * (count - 1.0)).sum())
        product = float((z.sum(axis=axis) ** 2 - (z * z).sum(axis=axis)).sum())
        shares.append(product / pairs / power if pairs >= 500 and power > 0 else np.nan)
    level = float(np.clip(shares[0], 0.0, 0.6)) if np.isfinite(shares[0]) else DEFAULT_LEVEL_SHARE
    world = float(np.clip(shares[1], 0.0, 0.4)) if np.isfinite(shares[1]) else 0.0
    return Dependence(world, level)
