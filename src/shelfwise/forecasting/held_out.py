"""Choices made on held-out windows: the mix of means, the strength of the year, widths, dependence over time.

Windows are cut off the end of the panel being fitted; shapes and priors are measured again at each cutoff, so that
nothing of a window is known to what is judged on it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import optimize

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.errors import ModelError
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.panel import Panel
from shelfwise.domain.paths import Dependence, draw_paths
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
from shelfwise.forecasting.pooling import flags_of, measure

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


def choose(pool: Panel, groups: Groups, start: Fitted, cutoffs: int, calendars: Calendars | None = None) -> Fitted:
    """Return the fitted quantities: everything that has a choice is chosen on held-out windows of ``pool``.

    ``calendars`` are those of the whole panel that ``pool`` is a sample of; whether they are used is chosen, too.
    """
    horizon = reference_horizon(pool)
    plain = replace(start, flags=flags_of(pool))
    now = measure(pool, plain)
    windows = _windows(pool, horizon, cutoffs)
    if not windows:
        return now
    buckets = _buckets(pool.freq, horizon)
    has_year = pool.freq.is_daily_or_longer and pool.lengths.max() >= YEAR_TOLD * pool.freq.periods_per_year
    shapes = [(strength, False) for strength in (YEAR_STRENGTHS if has_year else (0.0,))]
    if calendars is not None and calendars.at(windows[-1][0]) is not None:
        shapes = [(0.0, False), (1.0, False), (0.0, True)] if has_year else [(0.0, False), (0.0, True)]

    def tried(shape: tuple[float, bool]) -> tuple[float, Fitted, list[Held], bool]:
        """Return the loss of a shape, what was tuned with it and on what."""
        strength, with_calendar = shape
        held = []
        for back, past, actual, scored in windows:
            begin = _begin(start, past, calendars.at(back) if with_calendar and calendars is not None else None)
            fitted = replace(measure(past, begin, strength), year_strength=strength)
            for rows, block in iterate_blocks(past, fitted, horizon):
                parts = decompose(block, fitted, horizon)
                sold = actual[rows]
                if block.open is not None:  # on closed days no demand is expected or counted
                    sold = np.where(block.open[:, block.periods : block.periods + horizon] > 0, sold, 0.0)
                held.append(Held(parts, sold, scored[rows], fitted))
        tuned = _tune(held, replace(now, year_strength=strength, buckets=buckets))
        return loss_of(held, tuned), tuned, held, with_calendar

    with ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as workers:
        found = list(workers.map(tried, shapes))
    best = found[0]
    for other in found[1:]:
        if other[0] < best[0] * 0.998:  # the simpler shape unless it is beaten
            best = other
    chosen = best[1]
    begin = _begin(start, pool, calendars.at(0) if best[3] and calendars is not None else None)
    final = measure(pool, begin, chosen.year_strength)
    return replace(
        final,
        year_strength=chosen.year_strength,
        buckets=chosen.buckets,
        mix=chosen.mix,
        class_edges=chosen.class_edges,
        widths=chosen.widths,
        dependence=dependence_of([h.outcome(chosen) for h in best[2]], is_count=chosen.is_count),
    )


def _windows(pool: Panel, horizon: int, cutoffs: int) -> list[tuple[int, Panel, Floats, npt.NDArray[np.bool_]]]:
    """Return, for each cutoff that leaves enough history, how far back it lies, what was known and what came."""
    longest = int(pool.lengths.max())
    found = []
    for back in (horizon * (i + 1) for i in range(cutoffs)):
        if longest - back < max(3, horizon):
            break
        past = pool.until(pool.ends - back)
        keep = past.lengths > 0
        past = past.select(keep)
        if past.n_series:
            found.append((back, past, *cells_after(pool.select(keep), past.ends, horizon)))
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
    found, _ = optimize.nnls(
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
        rows = _some(np.flatnonzero(h.scored.any(axis=1)), WIDTH_ROWS // len(held))
        classes = classes_of(h.parts, tuned)[rows]
        for i, width in enumerate(candidates):
            mean, variance = h.under(replace(tuned, widths=np.full(tuned.widths.shape, width)))
            quantiles = Marginals(mean[rows], variance[rows], tuned.is_count).quantiles(LEVELS)  # [n, H, Q]
            gap = np.where(h.scored[rows], h.actual[rows], 0.0)[:, :, None] - quantiles
            loss = np.maximum(LEVELS * gap, (LEVELS - 1.0) * gap).sum(axis=2) * h.scored[rows]  # [n, H]
            for bucket, (first, last) in enumerate(zip(low, tuned.buckets, strict=True)):
                np.add.at(losses[bucket, :, i], classes, loss[:, first:last].sum(axis=1))
    pooled = losses.sum(axis=(0, 1))
    if pooled.max() <= 0:
        return tuned.widths
    size = np.maximum(losses.mean(axis=2, keepdims=True), 1e-12)
    leaning = losses / size + 0.25 * pooled / pooled.mean()  # each class leans a quarter on what fits all
    chosen: Floats = np.asarray(candidates)[leaning.argmin(axis=2)] * (1.0 + OPTIMISM)
    return chosen


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
        gap = actual[:, :, None] - quantiles
        total += float((np.maximum(LEVELS * gap, (LEVELS - 1.0) * gap).sum(axis=2) * h.scored).sum())
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
        for i, share in enumerate(SHARES):
            share = min(share, 1.0 - world)
            paths = draw_paths(marginals, Dependence(world, share), [str(row) for row in rows], 64, 0)
            totals = np.einsum("nsh,nh->ns", paths, cells.astype(np.float32))
            quantiles = np.quantile(totals, TOTAL_LEVELS, axis=1).T  # [rows, Q]
            gap = total[:, None] - quantiles
            losses[i] += np.maximum(TOTAL_LEVELS * gap, (TOTAL_LEVELS - 1.0) * gap).sum()
    level = DEFAULT_LEVEL_SHARE
    if (
        losses.any()
    ):  # the mix was fitted to these very windows, so their level errors are too small: lean on the default
        level = 0.5 * (SHARES[int(losses.argmin())] + DEFAULT_LEVEL_SHARE)
    return Dependence(world=world, level=min(level, 1.0 - world))
