"""What a forecast is made of: signed units per period for each cause, which add up to the forecast's mean.

A cause is a `Part` of a fixed list of kinds. Units are measured from the series' usual level, its long-run mean with
season taken out. A known-ahead covariate is measured against its usual state (a flag down, its commonest word, its
median amount), by asking the same model what it would say then; so a period without a promotion owes nothing to
promotions. What the trees learnt is split among their features by TreeSHAP.

Models multiply, and people add. Of mean = usual x f1 x f2 x ... each factor gets L(mean, usual) log f units, where
L(a, b) = (a - b) / log(a / b) is the logarithmic mean: exact, and no factor comes first.
Source: Ang, 2004, Energy Policy 32(9), the logarithmic mean Divisia index.

All of it stands in one file, because parts only add up if each takes what the others leave.

Letters: N series (n of a chunk), H horizon, P parts, F features.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.frames import CONTRIBUTIONS
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.contract import Composed, Predictor, check_horizon
from shelfwise.forecasting.features import FeatureNames
from shelfwise.forecasting.level_season import Fitted, decompose, iterate_blocks
from shelfwise.forecasting.usual import Driver, as_usual, drivers_of

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]

SERIES_AT_ONCE: Final = 128  # a chunk's arrays [n, H, F] stay small, and chunks are worked on side by side
SINGLE: Final = 8  # covariates measured one by one; a panel with more has them measured together
SMALLEST: Final = 1e-12  # units and factors below are none
LEAST_FACTOR: Final = 0.02  # as the features read factors

PROMOTION_WORDS: Final = ("promo", "promotion", "promotions", "promotional", "campaign", "discount", "offer", "aktion")
PRICE_WORDS: Final = ("price", "prices", "preis", "prix", "precio")


@dataclass(frozen=True, order=True)
class Part:
    """One cause: its kind, and which one where a kind has several.

    Parameters
    ----------
    kind
        ``level`` (the usual level), ``trend`` (recent sales against it), ``season``, ``weekday`` (and time of day),
        ``opening``, ``promotion``, ``price``, ``event``, ``covariate``, ``company`` (what models of the aggregate
        levels change), ``models`` (other members of an ensemble), ``learnt`` (what the trees say on average and for
        products of its kind), ``model`` (a model that does not say what it is made of).
    name
        The covariate, with the word where it is text; the kind itself elsewhere.
    """

    kind: str
    name: str


KINDS: Final = (
    "level", "trend", "season", "weekday", "opening", "promotion", "price", "event", "covariate", "company", "models",
    "learnt", "model",
)  # fmt: skip
LEVEL, TREND, SEASON, WEEKDAY, OPENING, COMPANY, MODELS, LEARNT, MODEL = (
    Part(kind, kind) for kind in KINDS if kind not in ("promotion", "price", "event", "covariate")
)
TOGETHER: Final = Part("covariate", "covariates together")

_COMPONENTS: Final = {
    "open": OPENING, "year": SEASON, "own_year": SEASON, "calendar": SEASON, "weekday": WEEKDAY,
    "time_of_day": WEEKDAY, "time_of_week": WEEKDAY, "aggregates": COMPANY, "other_models": MODELS, "learnt": LEARNT,
}  # fmt: skip
_FEATURES: Final = {
    "level": LEARNT, "noise": LEARNT, "age": TREND, "step": TREND, "periods since last sale": TREND,
    "last year": SEASON, "day of month": SEASON, "weekday": WEEKDAY, "time_of_day": WEEKDAY, "time_of_week": WEEKDAY,
}  # fmt: skip
_OF_COVARIATES: Final = (" over usual", " over latest", " over highest", " before", " next")  # how such features end
_RECENT: Final = ("mean ", "share of periods with sales", "largest period over level")  # how such features begin


@runtime_checkable
class Trees(Protocol):
    """A predictor whose ``learnt`` component comes from trees."""

    names: FeatureNames

    def shap_values(self, panel: Panel, horizon: int) -> Iterator[tuple[Integers, tuple[str, ...], Floats]]:
        """Yield rows [n], feature names [F] and TreeSHAP values [n, H, F + 1]."""
        ...


@dataclass(frozen=True, eq=False)
class Contributions:
    """What forecasts are made of.

    Parameters
    ----------
    series
        N rows, as in the panel.
    starts
        [N] ordinal of each series' first forecast period.
    freq
        Frequency of the periods.
    parts
        [P], in the order of the kinds; a part that is nowhere anything is left out.
    units
        [N, H, P] signed units per period; summed over the parts they are the mean.
    notes
        What a reader must know, in sentences.
    """

    series: pl.DataFrame
    starts: Integers
    freq: Frequency
    parts: tuple[Part, ...]
    units: Floats
    notes: tuple[str, ...] = ()

    def mean(self) -> Floats:
        """Return the mean [N, H] in units."""
        total: Floats = self.units.sum(axis=2)
        return total

    def of_kind(self, kind: str) -> Floats:
        """Return [N, H] units of all parts of one kind; zero where there are none."""
        chosen = [i for i, part in enumerate(self.parts) if part.kind == kind]
        units: Floats = self.units[:, :, chosen].sum(axis=2)
        return units

    def to_frame(self) -> pl.DataFrame:
        """Return CONTRIBUTIONS: one row for each series, period and part."""
        n, horizon, parts = self.units.shape
        ordinals = np.repeat(self.starts[:, None] + np.arange(horizon), parts)
        names, kinds = [part.name for part in self.parts], [part.kind for part in self.parts]
        moments = pl.Series(self.freq.moments(ordinals)).cast(pl.Datetime("us"))
        return CONTRIBUTIONS.check(
            pl.DataFrame(
                {
                    "unique_id": self.series["unique_id"].gather(np.repeat(np.arange(n), horizon * parts)),
                    "ds": moments,
                    "kind": pl.Series(kinds * (n * horizon), dtype=pl.String),
                    "part": pl.Series(names * (n * horizon), dtype=pl.String),
                    "units": self.units.reshape(-1),
                }
            )
        )


def explain(predictor: Predictor, panel: Panel, horizon: int) -> Contributions:
    """Return what the predictor's forecasts of the next ``horizon`` periods are made of.

    Parameters
    ----------
    predictor
        A fitted model. One that does not say what its means are made of (the statistical family) has its usual level,
        its closed periods and one part ``model``; a note says so.
    panel
        N series with what is known of the coming periods, as for `Predictor.predict`.
    horizon
        Periods H, at least 1.
    """
    check_horizon(horizon)
    chunks = list(panel.chunks(-(-panel.n_series // SERIES_AT_ONCE))) if panel.n_series else []
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        found = list(pool.map(lambda chunk: _explained(predictor, chunk, horizon), chunks))
    parts = sorted({LEVEL}.union(*found), key=lambda part: (KINDS.index(part.kind), part.name))
    units = np.zeros((panel.n_series, horizon, len(parts)))
    low = 0
    for chunk, pieces in zip(chunks, found, strict=True):
        for part, values in pieces.items():
            units[low : low + chunk.n_series, :, parts.index(part)] = values
        low += chunk.n_series
    return Contributions(panel.series, panel.ends, panel.freq, tuple(parts), units, _notes(predictor))


def _notes(predictor: Predictor) -> tuple[str, ...]:
    if composed(predictor) is None:
        return (
            f"{predictor.name} does not say what its forecasts are made of: what its mean differs from the usual level "
            "on open periods is one part, `model`",
        )
    return ()


def kind_of(name: str, *, is_event: bool) -> str:
    """Return the kind of a known-ahead covariate, by its name; other flags and words are events.

    >>> kind_of("on_promotion", is_event=True), kind_of("sell_price", is_event=False), kind_of("fair", is_event=True)
    ('promotion', 'price', 'event')
    """
    words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())
    if any(word in PROMOTION_WORDS for word in words):
        return "promotion"
    if any(word in PRICE_WORDS for word in words):
        return "price"
    return "event" if is_event else "covariate"


def fitted_of(predictor: object) -> Fitted | None:
    """Return the level and season that a predictor, or a member of it, stands on; None where there are none."""
    for one in _within(predictor):
        found = getattr(one, "fitted", None)
        if isinstance(found, Fitted):
            return found
    return None


def _within(predictor: object) -> list[object]:
    """Return a predictor, what it wraps, and the members of an ensemble, trees first: it explains itself by them."""
    found = [predictor]
    if hasattr(predictor, "inner"):
        found += _within(predictor.inner)
    members = getattr(predictor, "members", None)
    if isinstance(members, Mapping):
        for member in sorted(members.values(), key=lambda one: not isinstance(one, Trees)):
            found += _within(member)
    return found


def composed(predictor: object) -> Composed | None:
    """Return the predictor if it says what its means are made of; a wrapper can if what it wraps can."""
    if not isinstance(predictor, Composed) or (hasattr(predictor, "inner") and composed(predictor.inner) is None):
        return None
    return predictor


# ---------------------------------------------------------------------- one chunk


def _explained(predictor: Predictor, panel: Panel, horizon: int) -> dict[Part, Floats]:
    """Return units [n, H] by part of one chunk."""
    usual = _usual_level(predictor, panel, horizon)
    telling = composed(predictor)
    if telling is None:
        mean = predictor.predict(panel, horizon).mean()
        return _in_units(usual, mean, _undivided(panel, usual, mean))
    fitted = fitted_of(predictor)
    drivers = drivers_of(panel, horizon, flags=() if fitted is None else fitted.flags)
    plain = as_usual(panel, drivers, horizon)
    factors = telling.components(plain, horizon)
    logs = _logs(predictor, plain, usual, factors, horizon)
    mean = _product(factors)
    if drivers:
        actual = _product(telling.components(panel, horizon))
        for part, values in _driven(telling, panel, drivers, actual, mean).items():
            logs[part] = logs.get(part, 0.0) + values
        mean = actual
    return _in_units(usual, mean, logs)


def _product(factors: dict[str, Floats]) -> Floats:
    mean: Floats = np.prod(np.stack(list(factors.values())), axis=0)
    return mean


def _usual_level(predictor: Predictor, panel: Panel, horizon: int) -> Floats:
    """Return [n] units per period: the long-run mean with season taken out, or the plain mean of the last year."""
    fitted = fitted_of(predictor)
    usual = np.zeros(panel.n_series)
    if fitted is not None and fitted.freq == panel.freq:
        for rows, block in iterate_blocks(panel, fitted, horizon):
            usual[rows] = decompose(block, fitted, horizon).means[:, -1]
        return usual
    length = max(1, int(min(panel.freq.periods_per_year, panel.lengths.max(initial=1))))
    seen = panel.available_window(length)
    if "open" in panel.known_future:
        seen = seen & ~(panel.known_future["open"].at(panel.ends - length, length) <= 0)
    values = np.where(seen, np.nan_to_num(panel.window(length)), 0.0)
    plain: Floats = np.maximum(values.sum(axis=1), 0.0) / np.maximum(seen.sum(axis=1), 1)
    return plain


def _undivided(panel: Panel, usual: Floats, mean: Floats) -> dict[Part, Floats]:
    """Return logs [n, H] of a mean of which nothing more is known: opening, and the model."""
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = np.where((mean > SMALLEST) & (usual > SMALLEST)[:, None], np.log(mean / usual[:, None]), 0.0)
        whole = np.where((mean <= SMALLEST) & (usual > SMALLEST)[:, None], -np.inf, whole)
        whole = np.where((mean > SMALLEST) & (usual <= SMALLEST)[:, None], np.inf, whole)
    if "open" not in panel.known_future:
        return {MODEL: whole}
    closed = panel.known_future["open"].at(panel.ends, mean.shape[1]) <= 0
    closed &= mean <= SMALLEST
    return {OPENING: np.where(closed, whole, 0.0), MODEL: np.where(closed, 0.0, whole)}


def _log(values: Floats) -> Floats:
    """Return logs, minus infinity for what is as good as zero."""
    found: Floats = np.log(np.maximum(values, SMALLEST))
    return np.where(values > SMALLEST, found, -np.inf)


def _logs(
    predictor: Predictor, panel: Panel, usual: Floats, factors: dict[str, Floats], horizon: int
) -> dict[Part, Floats]:
    """Return logs [n, H] by part of the factors on the usual level."""
    logs: dict[Part, Floats] = {}

    def add(part: Part, values: Floats) -> None:
        logs[part] = logs.get(part, 0.0) + values

    level = factors["level"]
    known = (usual > SMALLEST)[:, None]
    with np.errstate(invalid="ignore"):
        add(TREND, np.where(known, _log(level) - np.log(np.maximum(usual, SMALLEST))[:, None], 0.0))
    add(TREND, np.where(~known & (level > SMALLEST), np.inf, 0.0))
    for name, factor in factors.items():
        if name not in ("level", "learnt"):
            add(_part_of_component(name), _log(factor))
    if "learnt" in factors:
        for part, values in _split(predictor, panel, factors, horizon).items():
            add(part, values)
    return logs


def _part_of_component(name: str) -> Part:
    """Return the part of a component; a known-ahead flag has its own name."""
    return _COMPONENTS.get(name) or Part(kind_of(name, is_event=True), name)


def _split(predictor: Predictor, panel: Panel, factors: dict[str, Floats], horizon: int) -> dict[Part, Floats]:
    """Return the log of the ``learnt`` factor [n, H] by part, after its clipping and trust."""
    learnt = np.log(np.maximum(factors["learnt"], SMALLEST))
    trees = next((one for one in _within(predictor) if isinstance(one, Trees)), None)
    found: dict[Part, Floats] = {LEARNT: learnt.copy()}
    if trees is None:
        return found
    base = {name: factor for name, factor in factors.items() if name not in ("level", "learnt")}
    for rows, names, values in trees.shap_values(panel, horizon):
        raw = values.sum(axis=2)
        # clipping and trust only shrink the raw score; what they leave is shared as the whole was
        scale = np.divide(learnt[rows], raw, out=np.zeros_like(raw), where=np.abs(raw) > SMALLEST)
        scale = np.clip(scale, 0.0, 1.0)
        for i, name in enumerate(names):
            mine = values[:, :, i] * scale
            for part, share in _shares_of(name, trees.names, base, rows):
                found.setdefault(part, np.zeros_like(learnt))[rows] += mine * share
                found[LEARNT][rows] -= mine * share
    return found


def _shares_of(
    feature: str, names: FeatureNames, base: dict[str, Floats], rows: Integers
) -> list[tuple[Part, Floats | float]]:
    """Return the parts that a feature speaks of, with their shares.

    ``season`` is the product of the base model's factors and is shared among them by the size of their logs.
    """
    part = part_of_feature(feature, names)
    if feature != "season" or part is not None:
        return [(part or LEARNT, 1.0)]
    sizes = {name: np.abs(np.log(np.maximum(factor[rows], LEAST_FACTOR))) for name, factor in base.items()}
    total = sum(sizes.values(), np.zeros((len(rows), 1)))
    return [
        (_part_of_component(name), np.divide(size, total, out=np.zeros_like(size), where=total > SMALLEST))
        for name, size in sizes.items()
    ]


def part_of_feature(feature: str, names: FeatureNames) -> Part | None:
    """Return the part that a feature of the trees speaks of; None for ``season`` and for a feature not known here.

    Known-ahead covariates stand at their usual when features are read, so what they say is no event but learnt; closed
    periods are forecast as nothing without the trees.
    """
    ending = next((end for end in _OF_COVARIATES if feature.endswith(end)), "")
    plain = feature.removesuffix(ending)
    if plain in names.past_only:
        return Part("covariate", plain)
    if plain in names.known_future or feature in names.static:
        return LEARNT
    if feature.startswith("factor "):
        return _part_of_component(feature.removeprefix("factor "))
    if feature.startswith(_RECENT):
        return TREND
    return _FEATURES.get(feature)


def _driven(
    predictor: Composed, panel: Panel, drivers: tuple[Driver, ...], actual: Floats, plain: Floats
) -> dict[Part, Floats]:
    """Return what each covariate adds [n, H], in logs, when it is not as usual.

    One covariate alone has the whole difference. Of several each has what its own return to the usual would take
    away, and what is left over (they strengthen or weaken each other) is shared by the size of that.
    """
    with np.errstate(invalid="ignore"):
        whole = np.where((actual > SMALLEST) | (plain > SMALLEST), _log(actual) - _log(plain), 0.0)
    if len(drivers) > SINGLE:
        return {TOGETHER: whole}
    departs = np.stack([driver.departs.any(axis=1) for driver in drivers])  # [drivers, n]
    several = np.flatnonzero(departs.sum(axis=0) > 1)
    single = np.where(departs[:, :, None], whole, 0.0)  # [drivers, n, H]
    if len(several):
        some, horizon = panel.select(several), actual.shape[1]
        own = np.zeros((len(drivers), len(several), horizon))
        for i, driver in enumerate(drivers):
            one = driver.select(several)
            if one.departs.any():
                without = _product(predictor.components(as_usual(some, (one,), horizon), horizon))
                both = (actual[several] > SMALLEST) & (without > SMALLEST)
                own[i] = np.where(
                    both, np.log(np.maximum(actual[several], SMALLEST) / np.maximum(without, SMALLEST)), 0
                )
        size = np.abs(own)
        even = departs[:, several, None] / departs[:, several, None].sum(axis=0)
        total = size.sum(axis=0)
        share = np.where(total > SMALLEST, size / np.maximum(total, SMALLEST), even)
        left = whole[several] - own.sum(axis=0)
        with np.errstate(invalid="ignore"):
            single[:, several] = np.where(share > 0, own + share * left, 0.0)
    found: dict[Part, Floats] = {}
    for driver, values in zip(drivers, single, strict=True):
        for part, mine in _named(driver, values).items():
            found[part] = found.get(part, 0.0) + mine
    return found


def _named(driver: Driver, values: Floats) -> dict[Part, Floats]:
    """Return the values by part: a text covariate has one for each word, others a single one."""
    kind = kind_of(driver.name, is_event=driver.is_event)
    if not driver.words:
        return {Part(kind, driver.name): values}
    found = {Part(kind, driver.name): np.where(driver.departs & (driver.ahead >= 0), 0.0, values)}
    for code in np.unique(driver.ahead[driver.departs & (driver.ahead >= 0)]).astype(int):
        mine = np.where(driver.departs & (driver.ahead == code), values, 0.0)
        found[Part(kind, f"{driver.name} {driver.words[code]}")] = mine
    return found


def _in_units(usual: Floats, mean: Floats, logs: dict[Part, Floats]) -> dict[Part, Floats]:
    """Return units [n, H] by part, which sum to the mean: the usual level, and each log's share of what differs."""
    start = np.broadcast_to(usual[:, None], mean.shape)
    both = (start > SMALLEST) & (mean > SMALLEST)
    total = np.zeros(mean.shape)
    infinite = np.zeros(mean.shape)
    for values in logs.values():
        total += np.where(np.isfinite(values), values, 0.0)
        infinite += np.isinf(values)
    mild = np.where(both & (infinite == 0), total, 0.0)
    flat = np.abs(mild) < 1e-9
    # the logarithmic mean: start (e^d - 1) / d for a sum of logs d
    rate = np.where(flat, start, start * np.expm1(mild) / np.where(flat, 1.0, mild))
    units: dict[Part, Floats] = {LEVEL: start.copy()}
    for part, values in logs.items():
        finite = np.where(infinite > 0, 0.0, rate * np.where(np.isfinite(values), values, 0.0))
        # a factor of zero leaves nothing to the others: it alone takes the level away, with its like in equal shares
        share = np.where(np.isinf(values), (mean - start) / np.maximum(infinite, 1.0), 0.0)
        units[part] = np.where(infinite > 0, share, finite)
    found = {part: values for part, values in units.items() if part == LEVEL or values.any()}
    left = mean - sum(found.values())
    if np.abs(left).max(initial=0.0) > 1e-9 * max(1.0, float(mean.max(initial=0.0))):
        found[MODEL] = found.get(MODEL, 0.0) + left
    return found


def with_residual(contributions: Contributions, mean: Floats) -> Contributions:
    """Return the contributions with ``mean`` [N, H] as their sum: what differs, such as a correction, is `model`."""
    left = mean - contributions.mean()
    if np.abs(left).max(initial=0.0) <= 1e-6 * max(1e-9, float(np.abs(mean).max(initial=0.0))):
        return contributions
    parts = (*(part for part in contributions.parts if part != MODEL), MODEL)
    kept = [contributions.parts.index(part) for part in parts[:-1]]
    units = np.concatenate(
        [contributions.units[:, :, kept], (left + contributions.of_kind("model"))[:, :, None]], axis=2
    )
    return replace(contributions, parts=parts, units=units)
