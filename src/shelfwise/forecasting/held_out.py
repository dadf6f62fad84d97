"""Choices made on held-out windows: the mix of means, the strength of the year, widths, dependence over time.

Windows are cut off the end of the panel being fitted; shapes and priors are measured again at each cutoff, so that
nothing of a window is known to what is judged on it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.errors import ModelError
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.panel import Panel
from shelfwise.domain.paths import Dependence, paths_under
from shelfwise.forecasting.calendar_model import Calendar, Calendars
from shelfwise.forecasting.level_season import (
    DEFAULT_LEVEL_SHARE,
    Fitted,
    Groups,
    Parts,
    classes_of,
    decompose,
    iterate_blocks,
    moments_of,
)
from shelfwise.forecasting.pooling import flags_of, measure, pooled, pooled_year, priors

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]

YEAR_TOLD: Final = 1.15  # years of history that tell the shape of the year
YEAR_STRENGTHS: Final = (0.0, 0.5, 1.0)
WIDTHS: Final = (0.3, 0.45, 0.6, 0.75, 0.9, 1.1, 1.4, 1.8, 2.4, 3.4, 5.0, 8.0)
WIDTH_ROWS, TOTAL_ROWS = 1000, 900  # held-out windows that widths, and the dependence over time, are chosen on
OPTIMISM: Final = 0.08  # widths are chosen on the windows the mix was fitted to, so they come out this much narrow
SUM_ROWS: Final = 0.3  # how firmly the weights of a mix sum to 1, as a share of the data's own pull
CLASSES: Final = 5  # classes of level with a width of their own
LEVELS: Final = np.array([0.1, 0.3, 0.5, 0.7, 0.9])  # quantiles a width is judged by
TOTAL_LEVELS: Final = np.array([0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95])  # of the horizon's total: orders live above 1/2
SHARES: Final = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)  # candidates for Dependence.level


def sample_of(panel: Panel, size: int, back: int = 0) -> Panel:
    """Return at most ``size`` series of more than ``back`` periods.

    They are chosen by a hash of their ids so that their order does not matter.
    """
    with_history = np.flatnonzero(panel.lengths > back)
    if not len(with_history):
        raise ModelError("no series has any history; give at least one observation")
    if len(with_history) <= size:
        return panel.select(with_history)
    keys = panel.ids.gather(with_history).hash(seed=1).to_numpy()
    return panel.select(np.sort(with_history[np.argsort(keys)[:size]]))


def choose(pool: Panel, groups: Groups, start: Fitted, cutoffs: int, whole: Panel | None = None) -> Fitted:
    """Return the fitted quantities: everything that has a choice is chosen on held-out windows of ``pool``.

    ``whole`` is the panel that ``pool`` is a sample of: whether the calendar of its sums is used is chosen, too.
    Cutoffs and shapes are worked on side by side, which changes nothing in what is found.
    """
    horizon = reference_horizon(pool)
    windows = _windows(pool, horizon, cutoffs)
    if not windows:
        return measure(pool, _begin(start, pool, None))
    with ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as workers:
        found = _Shapes(replace(start, buckets=_buckets(pool.freq, horizon)), horizon, windows, workers).tried(
            pool, whole
        )
        best = found[0]
        for other in found[1:]:
            if other.loss < best.loss * 0.998:  # the simpler shape unless it is beaten
                best = other
        chosen = best.tuned
        outcomes = [held.outcome(chosen) for held in best.held]
        dependence = workers.submit(dependence_of, outcomes, is_count=chosen.is_count)
        calendar = None if best.calendars is None else best.calendars.at(0)
        final = measure(pool, _begin(start, pool, calendar), chosen.year_strength)
        return replace(
            final,
            year_strength=chosen.year_strength,
            buckets=chosen.buckets,
            mix=chosen.mix,
            class_edges=chosen.class_edges,
            widths=chosen.widths,
            dependence=dependence.result(),
        )


@dataclass(frozen=True, eq=False)
class _Window:
    """A cutoff: how many periods it lies back, what was known, and what came [n, H] and is demand [n, H]."""

    back: int
    past: Panel
    actual: Floats
    scored: npt.NDArray[np.bool_]

    def held(
        self, start: Fitted, strengths: Sequence[float], horizon: int, calendars: Calendars | None
    ) -> list[list[Held]]:
        """Return, for each strength of the year, the parts of the forecasts made at this cutoff beside what came."""
        begin = _begin(start, self.past, None if calendars is None else calendars.at(self.back))
        blocks = list(iterate_blocks(self.past, begin, horizon))
        shapes = pooled([block for _, block in blocks], begin)
        if any(strengths):
            shapes = replace(shapes, year_shape=pooled_year(self.past, shapes))
        found = []
        for strength in strengths:
            fitted = priors([block for _, block in blocks], replace(shapes, year_strength=strength))
            held = []
            for rows, block in blocks:
                sold = self.actual[rows]
                if block.open is not None:  # on closed days no demand is expected or counted
                    sold = np.where(block.open[:, block.periods : block.periods + horizon] > 0, sold, 0.0)
                held.append(Held(decompose(block, fitted, horizon), sold, self.scored[rows], fitted))
            found.append(held)
        return found


@dataclass(frozen=True, eq=False)
class _Tried:
    """A shape of the year: what it loses, what was tuned with it and on what."""

    loss: float
    tuned: Fitted
    held: list[Held]
    calendars: Calendars | None  # where the calendar of the sums stands for the year


@dataclass(frozen=True, eq=False)
class _Shapes:
    """What shapes of the year are tried from and on, and by whom."""

    start: Fitted
    horizon: int
    windows: list[_Window]
    workers: ThreadPoolExecutor

    def tried(self, pool: Panel, whole: Panel | None) -> list[_Tried]:
        """Return each shape with its loss: pooled years of rising strength, then the calendar of the sums."""
        has_year = pool.freq.is_daily_or_longer and pool.lengths.max() >= YEAR_TOLD * pool.freq.periods_per_year
        strengths = YEAR_STRENGTHS if has_year else (0.0,)
        if whole is None or not Calendars.told(whole):
            return self._tuned(self._begun(strengths), strengths)
        asked = self.workers.submit(Calendars.of, whole)  # takes as long as the plain shapes
        ends = (0.0, 1.0) if has_year else (0.0,)
        plain = self._begun(ends)
        calendars = asked.result()
        if calendars is None or calendars.at(self.windows[-1].back) is None:
            between = [strength for strength in strengths if strength not in ends]
            found = self._tuned(plain, ends)
            return [found[0], *self._tuned(self._begun(between), between), *found[1:]]
        by_calendar = self._begun((0.0,), calendars)
        return [*self._tuned(plain, ends), *self._tuned(by_calendar, (0.0,), calendars)]

    def _begun(self, strengths: Sequence[float], calendars: Calendars | None = None) -> list[Future[list[list[Held]]]]:
        """Set the workers to every cutoff."""
        return [
            self.workers.submit(window.held, self.start, strengths, self.horizon, calendars) for window in self.windows
        ]

    def _tuned(
        self,
        begun: list[Future[list[list[Held]]]],
        strengths: Sequence[float],
        calendars: Calendars | None = None,
    ) -> list[_Tried]:
        """Return what comes of every strength once all cutoffs are there."""

        def one(strength: float, held: list[Held]) -> _Tried:
            tuned = _tune(held, replace(self.start, year_strength=strength))
            return _Tried(loss_of(held, tuned), tuned, held, calendars)

        windows = [future.result() for future in begun]
        held = [[each for window in windows for each in window[i]] for i in range(len(strengths))]
        return list(self.workers.map(one, strengths, held))


def _windows(pool: Panel, horizon: int, cutoffs: int) -> list[_Window]:
    """Return each cutoff that leaves enough history."""
    longest = int(pool.lengths.max())
    found = []
    for back in (horizon * (i + 1) for i in range(cutoffs)):
        if longest - back < max(3, horizon):
            break
        past = pool.until(pool.ends - back)
        keep = past.lengths > 0
        past = past.select(keep)
        if past.n_series:
            found.append(_Window(back, past, *cells_after(pool.select(keep), past.ends, horizon)))
    return found


def _begin(start: Fitted, panel: Panel, calendar: Calendar | None) -> Fitted:
    """Return ``start`` with a calendar, or without one, and the flags that are left to measure."""
    return replace(start, calendar=calendar, flags=flags_of(panel, calendar))


def reference_horizon(pool: Panel) -> int:
    """Return the periods held out while fitting: four weeks, a quarter or a year, at most a fifth of the history."""
    wanted = {"min": 1440, "h": 48, "d": 28, "w": 13, "mo": 12}[pool.freq.unit] // pool.freq.count
    return int(max(1, min(wanted, pool.lengths.max() // 5)))


def _buckets(freq: Frequency, horizon: int) -> Integers:
    """Return the last step of the early, middle and late part of the horizon."""
    return np.unique(np.maximum(1, np.array([horizon // 4, horizon // 2, horizon]))).astype(np.int64)


def cells_after(panel: Panel, starts: Integers, length: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return what came [N, length] from each start on, and which cells are demand."""
    back = panel.ends - starts
    longest = int(back.max())
    values, usable = panel.window(longest), panel.available_window(longest)
    columns = (longest - back)[:, None] + np.arange(length)
    inside = columns < longest
    columns = np.minimum(columns, longest - 1)
    return np.take_along_axis(values, columns, axis=1), np.take_along_axis(usable, columns, axis=1) & inside


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a model said of a past window, in units and units squared, beside what came; all [n, H]."""

    mean: Floats
    variance: Floats
    actual: Floats
    scored: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Held:
    """Forecast parts of a block at a past cutoff, beside what came."""

    parts: Parts
    actual: Floats  # [n, H]
    scored: npt.NDArray[np.bool_]  # [n, H]
    fitted: Fitted  # shapes and priors as measured at that cutoff
    factor: Floats | None = None  # [n, H] what another model multiplies the mean by

    def under(self, tuned: Fitted) -> tuple[Floats, Floats]:
        """Return mean and variance [n, H] with the mix and widths of ``tuned``."""
        mine = replace(
            self.fitted,
            buckets=tuned.buckets,
            mix=tuned.mix,
            class_edges=tuned.class_edges,
            widths=tuned.widths,
        )
        return moments_of(self.parts, mine, self.factor)

    def only(self, rows: Integers) -> Held:
        """Return some rows."""
        factor = None if self.factor is None else self.factor[rows]
        return Held(self.parts.only(rows), self.actual[rows], self.scored[rows], self.fitted, factor)

    def outcome(self, tuned: Fitted) -> Outcome:
        """Return what is said with the mix and widths of ``tuned``, beside what came."""
        return Outcome(*self.under(tuned), self.actual, self.scored)


def _tune(held: list[Held], start: Fitted) -> Fitted:
    """Return ``start`` with mix, widths and dependence chosen on the held-out windows."""
    means = np.concatenate([h.parts.means for h in held])
    overall = means.mean(axis=1)
    live = overall[overall > 0]
    edges = np.unique(np.quantile(live, np.linspace(0, 1, CLASSES + 1)[1:-1])) if len(live) >= 200 else np.zeros(0)
    n_classes = len(edges) + 1
    shape = (len(start.buckets), n_classes, means.shape[1])
    tuned = replace(
        start,
        class_edges=edges,
        mix=np.broadcast_to(start.mix[0, 0], shape).copy(),
        widths=np.ones(shape[:2]),
    )
    tuned = replace(tuned, mix=_mix(held, tuned))
    return replace(tuned, widths=widths_of(held, tuned))


def _mix(held: list[Held], tuned: Fitted) -> Floats:
    """Return weights [C, classes, K + 1] by non-negative least squares of what came on the decayed means.

    Each class leans on the mix of all, and that on the default, by as much as 200 and 50 rows of the data.
    """
    low = np.concatenate([[0], tuned.buckets[:-1]])
    mix = tuned.mix.copy()
    for bucket, (first, last) in enumerate(zip(low, tuned.buckets, strict=True)):
        rows, targets, classes = [], [], []
        for h in held:
            cells = h.scored[:, first:last]
            weight = (cells * h.parts.season[:, first:last]).sum(axis=1)
            total = np.where(cells, h.actual[:, first:last], 0.0).sum(axis=1)
            keep = weight > 0.25
            level = h.parts.means.mean(axis=1)
            spread = h.parts.noise * np.maximum(level, 1e-6) / np.maximum(weight, 1e-6) + (0.15 * level) ** 2
            scale = 1.0 / np.sqrt(np.maximum(spread, 1e-9))
            # sqrt(level): money and units are lost on what sells, so a row counts with what it sells
            scale *= np.sqrt(np.minimum(spread, level + 1e-6))
            rows.append((h.parts.means * scale[:, None])[keep])
            targets.append((np.maximum(total, 0.0) / np.maximum(weight, 1e-9) * scale)[keep])
            classes.append(classes_of(h.parts, tuned)[keep])
        x, y, group = np.concatenate(rows), np.concatenate(targets), np.concatenate(classes)
        default = tuned.mix[bucket, 0]
        overall = _leaning_nnls(x, y, default, 50.0)
        for k in range(mix.shape[1]):
            mine = group == k
            mix[bucket, k] = _leaning_nnls(x[mine], y[mine], overall, 200.0)
    return mix


def _leaning_nnls(x: Floats, y: Floats, prior: Floats, rows: float) -> Floats:
    """Return non-negative weights w minimising |x w - y|^2 + rows x mean(x^2) |w - prior|^2."""
    if len(x) < 3:
        return prior
    size = np.sqrt(rows * np.mean(x * x) + 1e-12)
    whole = np.full((1, x.shape[1]), SUM_ROWS * np.sqrt(np.sum(x * x)))
    found, _ = scipy.optimize.nnls(
        np.concatenate([x, size * np.eye(x.shape[1]), whole]),
        np.concatenate([y, size * prior, whole[0, :1]]),
        maxiter=500,
    )
    return np.asarray(found)


def widths_of(held: list[Held], tuned: Fitted, candidates: tuple[float, ...] = WIDTHS) -> Floats:
    """Return [C, classes] factors on the noise, of the candidates, that lose least by quantile loss."""
    low = np.concatenate([[0], tuned.buckets[:-1]])
    losses = np.zeros((*tuned.widths.shape, len(candidates)))
    for h in held:
        some = h.only(_some(np.flatnonzero(h.scored.any(axis=1)), WIDTH_ROWS // len(held)))
        classes = classes_of(some.parts, tuned)
        told = [some.under(replace(tuned, widths=np.full(tuned.widths.shape, width))) for width in candidates]
        mean, variance = (np.concatenate(side) for side in zip(*told, strict=True))  # [candidates x n, H]
        quantiles = Marginals(mean, variance, tuned.is_count).quantiles(LEVELS)
        actual = np.where(some.scored, some.actual, 0.0)
        shape = (len(candidates), *actual.shape, len(LEVELS))
        loss = _pinball(actual, quantiles.reshape(shape), LEVELS) * some.scored  # [candidates, n, H]
        for bucket, (first, last) in enumerate(zip(low, tuned.buckets, strict=True)):
            np.add.at(losses[bucket], classes, loss[:, :, first:last].sum(axis=2).T)
    together = losses.sum(axis=(0, 1))
    if together.max() <= 0:
        return tuned.widths
    size = np.maximum(losses.mean(axis=2, keepdims=True), 1e-12)
    leaning = losses / size + 0.25 * together / together.mean()  # each class leans a quarter on what fits all
    chosen: Floats = np.asarray(candidates)[leaning.argmin(axis=2)] * (1.0 + OPTIMISM)
    return chosen


def _pinball(actual: Floats, quantiles: Floats, levels: Floats) -> Floats:
    """Return the quantile loss of cells [...] summed over levels [Q], from quantiles [..., Q], in units."""
    loss = np.zeros(np.broadcast_shapes(actual.shape, quantiles.shape[:-1]))
    for i, level in enumerate(levels.tolist()):  # long runs of cells, not short ones of levels
        gap = actual - quantiles[..., i]
        loss += np.maximum(level * gap, (level - 1.0) * gap)
    return loss


def _some(rows: Integers, most: int) -> Integers:
    """Return at most about ``most`` of the rows, evenly spread: no more are needed to tell neighbours apart."""
    return rows[:: max(1, len(rows) // max(1, most))]


def loss_of(held: list[Held], tuned: Fitted) -> float:
    """Return the quantile loss per unit sold over the held-out windows."""
    total, units = 0.0, 0.0
    for h in held:
        mean, variance = h.under(tuned)
        quantiles = Marginals(mean, variance, tuned.is_count).quantiles(LEVELS)
        actual = np.where(h.scored, h.actual, 0.0)
        total += float((_pinball(actual, quantiles, LEVELS) * h.scored).sum())
        units += float(np.abs(actual).sum())
    return total / max(units, 1e-9)


def dependence_of(outcomes: Sequence[Outcome], *, is_count: bool) -> Dependence:
    """Return how errors hang together: over one series' horizon (level) and between series in a period (world).

    ``world`` is the mean product of two series' standardised errors in a period, errors beyond four deviations cut to
    that. ``level`` is the share under which the paths' totals over the held-out windows lose least by quantile loss:
    it is the totals that orders are made on.
    """
    top = pairs = 0.0
    for one in outcomes:
        error = (one.actual - one.mean) / np.sqrt(np.maximum(one.variance, 1e-9))
        here = one.scored & (one.mean > 1e-6)
        z = np.where(here, np.clip(np.nan_to_num(error), -4.0, 4.0), 0.0)
        count = here.sum(axis=0).astype(np.float64)
        top += float((z.sum(axis=0) ** 2 - (z * z).sum(axis=0)).sum())
        pairs += float((count * (count - 1.0)).sum())
    world = float(np.clip(top / pairs, 0.0, 0.4)) if pairs > 500 else 0.0
    losses = np.zeros(len(SHARES))
    for one in outcomes:
        rows = _some(np.flatnonzero(2 * one.scored.sum(axis=1) >= one.scored.shape[1]), TOTAL_ROWS // len(outcomes))
        if not len(rows):
            continue
        marginals = Marginals(one.mean[rows], one.variance[rows], is_count)
        cells = one.scored[rows]  # what was closed or hidden counts on neither side
        total = np.where(cells, one.actual[rows], 0.0).sum(axis=1)
        dependences = [Dependence(world, min(share, 1.0 - world)) for share in SHARES]
        drawn = paths_under(marginals, dependences, [str(row) for row in rows], 64, 0)
        for i, paths in enumerate(drawn):
            totals = np.einsum("nsh,nh->ns", paths, cells.astype(np.float32))
            losses[i] += _pinball(total, np.quantile(totals, TOTAL_LEVELS, axis=1).T, TOTAL_LEVELS).sum()
    level = DEFAULT_LEVEL_SHARE
    if (
        losses.any()
    ):  # the mix was fitted to these very windows, so their level errors are too small: lean on the default
        level = 0.5 * (SHARES[int(losses.argmin())] + DEFAULT_LEVEL_SHARE)
    return Dependence(world=world, level=min(level, 1.0 - world))
