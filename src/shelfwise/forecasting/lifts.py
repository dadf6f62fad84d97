"""Lifts: by which factor promotions, events and price changes move demand, in the past and in the forecast.

In the past, a lift is what sold while an event was up over what level and season explain there, summed over series
(a ratio estimator). Its range takes weeks as the independent draws, because what is special about a week is special
for all series; source: Cochran, 1977, Sampling Techniques, section 6.4. A category leans on all series together. In
the forecast, a lift is what the whole model says with the event over what it says without.

Letters: N series, T past periods, H horizon, G groups, C clusters of periods.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.domain.frames import LIFTS
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.censoring import bounded
from shelfwise.forecasting.contract import Predictor, check_horizon
from shelfwise.forecasting.explain import composed, fitted_of, kind_of
from shelfwise.forecasting.held_out import sample_of
from shelfwise.forecasting.level_season import Fitted, decompose, iterate_blocks, noise_span
from shelfwise.forecasting.models.base_level import BaseLevel
from shelfwise.forecasting.seasonality import FLOOR, moving_level
from shelfwise.forecasting.usual import NOT_EVENTS, as_usual, drivers_of, is_flag, laid_ahead, usual_of

Floats = npt.NDArray[np.floating[Any]]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

MEASURED_ON: Final = 1000  # series
ASKED: Final = 200  # series whose forecasts are made with and without
MOST_WORDS: Final = 20  # words of one text covariate that are measured
PRICE_STEP: Final = 0.1  # of the usual price: what the forecast is asked about
PRICE_MOVED: Final = 0.05  # of the usual price: less is no change
MOSTLY_CUT: Final = 0.5  # of the periods with a promotion have another price: that price is part of the promotion
LEAN: Final = 10.0  # units of noise that the lift of all series is worth to a category
SWEEPS: Final = 6  # rounds in which factors of events that come together are told apart
EIGHTY: Final = 1.2816  # standard deviations to either end of an 80 % range
SEEN_FIRST: Final = 1000  # series looked at before all are


@dataclass(frozen=True, eq=False)
class _Effect:
    """One event: where it was up in the past, and what it would be ahead."""

    kind: str
    name: str
    covariate: str
    raised: Flags  # [N, T]
    ahead: Floats  # [N, 1] value of the covariate while it is up


def lifts(predictor: Predictor, panel: Panel, horizon: int) -> pl.DataFrame:
    """Return LIFTS: for each promotion, event and price change one row for all series and one for each category.

    Parameters
    ----------
    predictor
        A fitted model; one that reads no covariates has no ``forecast_lift``.
    panel
        N series with their covariates; a sample of them is measured.
    horizon
        Periods H over which the forecasts with and without are compared, at least 1.
    """
    check_horizon(horizon)
    if not panel.known_future or not panel.n_series or not panel.lengths.any():
        return LIFTS.empty()
    pool = sample_of(panel, MEASURED_ON)
    fitted = fitted_of(predictor)
    if fitted is None or fitted.freq != pool.freq:
        fitted = BaseLevel().fit(pool).fitted
    pool = bounded(pool, fitted)  # promotions sell out: without those days they would seem to lift less
    length = int(min(fitted.window, pool.lengths.max()))
    effects = _effects(pool, fitted, length)
    if not effects:
        return LIFTS.empty()
    season = _past_season(pool, fitted, length)
    asked = sample_of(pool, ASKED)
    down = _means(predictor, asked, horizon)
    rows: list[dict[str, Any]] = []
    values, seen = _seen(pool, length)
    calm = seen & ~np.any([effect.raised for effect in effects], axis=0)
    level = moving_level(values * calm, calm * season, min(noise_span(fitted.freq), length))
    explained = _others(effects, values, seen, level * season)
    for effect, expected in zip(effects, explained, strict=True):
        up = None if down is None else _means(predictor, asked, horizon, effect, pool)
        rows += _rows(effect, pool, fitted, values, seen, expected, asked, up, down)
    return LIFTS.check(pl.DataFrame(rows, schema={name: c.dtype for name, c in LIFTS.columns.items()}))


def _seen(pool: Panel, length: int) -> tuple[Floats, Flags]:
    """Return units [N, T] and where they are demand of an open period."""
    seen = pool.available_window(length)
    if "open" in pool.known_future:
        seen = seen & ~(pool.known_future["open"].at(pool.ends - length, length) <= 0)
    return np.where(seen, np.maximum(np.nan_to_num(pool.window(length)), 0.0), 0.0), seen


def _effects(pool: Panel, fitted: Fitted, length: int) -> list[_Effect]:
    found: list[_Effect] = []
    for name in sorted(pool.known_future):
        covariate = pool.known_future[name]
        if name in NOT_EVENTS:
            continue
        past = covariate.at(pool.ends - length, length)
        flag = not covariate.categories and (name in fitted.flags or is_flag(covariate))
        usual = usual_of(pool, covariate, flag=flag)
        kind = kind_of(name, is_event=flag or bool(covariate.categories))
        if covariate.categories:
            codes, counts = np.unique(past[~np.isnan(past) & (past != usual)], return_counts=True)
            for code in codes[np.argsort(-counts, kind="stable")][:MOST_WORDS]:
                word = covariate.categories[int(code)]
                wanted = np.full((pool.n_series, 1), code)
                found.append(_Effect(kind, f"{name} {word}", name, (past == code) & (past != usual), wanted))
        elif flag:
            found.append(_Effect(kind, name, name, past > 0.5, np.ones((pool.n_series, 1))))
        elif kind == "price":
            with np.errstate(invalid="ignore"):
                low, high = past <= (1 - PRICE_MOVED) * usual, past >= (1 + PRICE_MOVED) * usual
            found.append(_Effect(kind, f"{name} down", name, low, usual * (1 - PRICE_STEP)))
            found.append(_Effect(kind, f"{name} up", name, high, usual * (1 + PRICE_STEP)))
    promoted = np.zeros((pool.n_series, length), dtype=np.bool_)
    for effect in found:
        if effect.kind == "promotion":
            promoted |= effect.raised
    return [replace(effect, raised=_beside(effect, promoted)) for effect in found]


def _beside(effect: _Effect, promoted: Flags) -> Flags:
    """Return where [N, T] an effect was up for itself: prices that promotions mostly cut are part of them there.

    Two factors for the same periods could not be told apart.
    """
    together = effect.raised & promoted
    if effect.kind != "price" or together.sum() <= MOSTLY_CUT * promoted.sum():
        return effect.raised
    return effect.raised & ~promoted


def _others(effects: list[_Effect], values: Floats, seen: Flags, calm: Floats) -> list[Floats]:
    """Return what was expected [N, T] of each effect's periods without it, the others that were up included.

    Events come together (a holiday in a week of promotions), so their factors are found in turns, each given the rest.
    """
    factors = np.ones(len(effects))
    expected = [calm] * len(effects)
    for _ in range(SWEEPS if len(effects) > 1 else 1):
        for i, effect in enumerate(effects):
            rest = calm.copy()
            for j, other in enumerate(effects):
                if j != i:
                    rest[other.raised] *= factors[j]
            expected[i] = rest
            up = effect.raised & seen
            bottom = float(rest[up].sum())
            factors[i] = np.clip(float(values[up].sum()) / bottom, 0.05, 20.0) if bottom > 0 else 1.0
    return expected


def _past_season(pool: Panel, fitted: Fitted, length: int) -> Floats:
    """Return [N, T] what season explains of the past, events left out: the shapes as they were before it."""
    season = np.ones((pool.n_series, length))
    before = pool.until(pool.ends - length)
    for rows, block in iterate_blocks(before, fitted, length):
        for name, factor in decompose(block, fitted, length).factors.items():
            if name not in fitted.flags and name != "calendar":
                season[rows] *= factor
    return np.maximum(season, FLOOR)


def _means(
    predictor: Predictor, asked: Panel, horizon: int, effect: _Effect | None = None, pool: Panel | None = None
) -> Floats | None:
    """Return means [n, H] with everything as usual but ``effect``; None where the model reads no covariates."""
    if composed(predictor) is None:
        return None
    plain = as_usual(asked, drivers_of(asked, horizon), horizon)
    if effect is not None and pool is not None:
        place = {name: i for i, name in enumerate(pool.ids.to_list())}
        rows = np.array([place[name] for name in asked.ids.to_list()], dtype=np.int64)
        ahead = np.broadcast_to(effect.ahead[rows], (asked.n_series, horizon)).astype(np.float64)
        raised = laid_ahead(plain.known_future[effect.covariate], plain.ends, ahead)
        plain = replace(plain, known_future={**plain.known_future, effect.covariate: raised})
    return predictor.predict(plain, horizon).mean()


def _rows(
    effect: _Effect,
    pool: Panel,
    fitted: Fitted,
    values: Floats,
    seen: Flags,
    expected: Floats,
    asked: Panel,
    up: Floats | None,
    down: Floats | None,
) -> list[dict[str, Any]]:
    groups, n_groups = fitted.groups.codes(pool), len(fitted.groups)
    row, column = np.nonzero(effect.raised & seen & (expected > 0))
    period = (pool.ends - values.shape[1])[row] + column
    cluster = period // max(1, round(pool.freq.periods(7)))
    top, bottom = values[row, column], expected[row, column]
    noise = np.append(fitted.noise, np.median(fitted.noise))
    whole = _ratio(top, bottom, cluster, float(noise[-1]))
    asked_groups = fitted.groups.codes(asked)
    rows = []
    members: list[tuple[str | None, Flags, Flags]] = [
        (None, np.ones(len(row), dtype=np.bool_), np.ones(asked.n_series, dtype=np.bool_))
    ]
    if n_groups > 2:
        names = enumerate(fitted.groups.names)
        members += [(name, groups[row] == g, asked_groups == g) for g, name in names if (groups == g).any()]
    for name, mine, ours in members:
        factor, spread = whole
        if name is not None and whole[0] is not None:
            factor, spread = _leaning(top[mine], bottom[mine], cluster[mine], float(noise[-1]), whole)
        low = high = None
        if factor is not None:
            reach = EIGHTY * spread / max(factor, 1e-9)
            low, high = factor * float(np.exp(-reach)), factor * float(np.exp(reach))
        ahead = None
        if up is not None and down is not None and ours.any() and down[ours].sum() > 0:
            ahead = float(up[ours].sum() / down[ours].sum())
        rows.append(
            {
                "kind": effect.kind, "name": effect.name, "category": name, "lift": factor, "low": low, "high": high,
                "periods": int(mine.sum()), "dates": len(np.unique(period[mine])), "series": len(np.unique(row[mine])),
                "forecast_lift": ahead, "note": _note(effect.kind, name, int(mine.sum()), whole[0], cluster[mine]),
            }
        )  # fmt: skip
    return rows


def _ratio(top: Floats, bottom: Floats, cluster: Integers, noise: float) -> tuple[float | None, float]:
    """Return what sold over what was expected, and its standard deviation; None where it was never seen.

    Var R = C / (C - 1) sum of (top_c - R bottom_c)^2 / (sum of bottom)^2 over C clusters, at least noise x R / bottom.

    >>> _ratio(np.array([4.0, 8.0]), np.array([2.0, 4.0]), np.array([0, 1]), 1.0)[0]
    2.0
    """
    total = float(bottom.sum())
    if total <= 0:
        return None, 0.0
    factor = float(top.sum()) / total
    counted = noise * max(factor, 1.0 / total) / total
    _, place = np.unique(cluster, return_inverse=True)
    n = int(place.max()) + 1
    if n < 2:
        return factor, float(np.sqrt(counted))
    left = np.bincount(place, weights=top - factor * bottom)
    spread = n / (n - 1) * float((left**2).sum()) / total**2
    return factor, float(np.sqrt(max(spread, counted)))


def _leaning(
    top: Floats, bottom: Floats, cluster: Integers, noise: float, whole: tuple[float | None, float]
) -> tuple[float | None, float]:
    """Return a category's factor and its standard deviation, leaning on those of all series by `LEAN` of noise."""
    own, spread = _ratio(top, bottom, cluster, noise)
    if own is None or whole[0] is None:
        return whole
    share = float(bottom.sum()) / (float(bottom.sum()) + LEAN * noise)
    factor = share * own + (1 - share) * whole[0]
    return factor, float(np.hypot(share * spread, (1 - share) * whole[1]))


def _note(kind: str, category: str | None, periods: int, whole: float | None, cluster: Integers) -> str | None:
    if whole is None:
        return "never seen, so its effect cannot be learnt" + " and none is assumed" * (kind != "price")
    if not periods and category is not None:
        return "never seen in this category: the factor of all"
    if len(np.unique(cluster)) == 1:
        return "seen in a single week: how much weeks differ is not known"
    return None


# ---------------------------------------------------------------------- what cannot be learnt


def unseen(panel: Panel, horizon: int, name: str) -> list[str]:
    """Say what a known-ahead covariate says of the next ``horizon`` periods that no history of the panel has.

    Nothing can be learnt of such an event; a flag is then forecast as if it were down.
    """
    covariate = panel.known_future[name]
    ahead = covariate.at(panel.ends, horizon)
    if name in NOT_EVENTS:
        return []
    if covariate.categories:
        codes = np.unique(ahead[~np.isnan(ahead)]).astype(np.int64)
        return [
            f"known_future {name!r} says {covariate.categories[code]!r} ahead, which no history has: its effect "
            "cannot be learnt"
            for code in codes
            if not _ever(panel, name, float(code))
        ]
    if is_flag(covariate) and (ahead == 1).any() and not _ever(panel, name, 1.0):
        return [
            f"known_future {name!r} is up in coming periods and never was in any history: its effect cannot be learnt, "
            "so none is assumed"
        ]
    return []


def _ever(panel: Panel, name: str, value: float) -> bool:
    """Return whether a covariate had a value in any past period of any series; most often a few will show."""
    for low in range(0, panel.n_series, SEEN_FIRST):
        some = panel.select(np.arange(low, min(low + SEEN_FIRST, panel.n_series)))
        length = int(max(1, some.lengths.max(initial=1)))
        past = some.known_future[name].at(some.ends - length, length)
        known = np.arange(length) >= length - some.lengths[:, None]  # before a series begins nothing can be learnt
        if ((past == value) & known).any():
            return True
    return False
