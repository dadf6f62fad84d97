"""What series have in common: shapes, lifts of flags, noise and prior levels by category, measured on a panel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.domain.panel import Panel
from shelfwise.forecasting.calendar_model import Calendar
from shelfwise.forecasting.level_season import Block, Fitted, iterate_blocks, noise_of, noise_span, year_factors
from shelfwise.forecasting.seasonality import (
    FLOOR,
    bin_sums,
    cycle_sums,
    moving_level,
    pooled_ratio,
    pooled_year_shape,
    read,
    short_cycles,
    year_bins,
    year_index,
)

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]

ENOUGH: Final = 8  # seen periods below which a series shows no noise
UNKNOWN_NOISE: Final = 0.25  # of the level, where no series shows its noise: a deviation of half the mean
GIANT: Final = 10.0  # times the level that three in four series stay below
LIFT_ROUNDS: Final = 4  # of measuring flags that are up together, each beside the others
FLAGS_AT_ONCE: Final = 100_000  # values of a covariate looked at together
LONGEST_YEARS: Final = 5  # a yearly shape is read off the last five


def measure(panel: Panel, start: Fitted, strength: float = 0.0) -> Fitted:
    """Return ``start`` with the pooled shapes, lifts, priors and noise of ``panel``."""
    blocks = [block for _, block in iterate_blocks(panel, start, 0)]
    fitted = pooled(blocks, start)
    if strength:
        fitted = replace(fitted, year_shape=pooled_year(panel, fitted), year_strength=strength)
    return priors(blocks, fitted)


def pooled(blocks: list[Block], start: Fitted) -> Fitted:
    """Return ``start`` with the shapes of the short cycles, noise and lifts of flags, and without a year."""
    fitted = replace(
        start,
        year_strength=0.0,
        lifts=np.ones((len(start.groups), len(start.flags))),
        cycle_shapes=tuple(np.ones((len(start.groups), c.length)) for c in short_cycles(start.freq)),
    )
    fitted = replace(fitted, cycle_shapes=_pooled_cycles(blocks, fitted), noise=_pooled_noise(blocks, fitted))
    if fitted.flags:
        fitted = replace(fitted, lifts=_pooled_lifts(blocks, fitted))
        fitted = replace(fitted, cycle_shapes=_pooled_cycles(blocks, fitted))
    return fitted


def season_so_far(block: Block, fitted: Fitted, *, cycles: bool = True, lifts: bool = True) -> Floats:
    """Return [n, T] the pooled factors of a block's past."""
    season = np.ones(block.values.shape)
    if block.open is not None:
        season *= np.maximum(block.open[:, : block.periods], FLOOR)
    if lifts:
        for i, name in enumerate(fitted.flags):
            if name in block.flags:
                raised = block.flags[name][:, : block.periods]
                season *= 1.0 + raised * (fitted.lifts[block.groups, i] - 1.0)[:, None]
    if cycles:
        for cycle, shape in zip(short_cycles(fitted.freq), fitted.cycle_shapes, strict=True):
            season *= _of_groups(shape, block, cycle.index(fitted.freq, block.ordinals))
    if block.calendar is not None:
        season *= block.calendar[:, : block.periods]
    if fitted.year_strength and fitted.freq.is_daily_or_longer:
        season *= year_factors(fitted, block.groups, block.ordinals)
    return np.maximum(season, FLOOR, out=season)


def _of_groups(shape: Floats, block: Block, index: Integers) -> Floats:
    """Return [n, T] the shape [G, L] of each series' group at the places ``index`` [1 or n, T]."""
    return read(shape, index)[block.groups] if len(index) == 1 else read(shape[block.groups], index)


def _pooled_cycles(blocks: list[Block], fitted: Fitted) -> tuple[Floats, ...]:
    """Return the shapes of the short cycles by group, each measured on what the ones before it leave."""
    shapes: list[Floats] = []
    for cycle in short_cycles(fitted.freq):
        tops = np.zeros((len(fitted.groups), cycle.length))
        weight = np.zeros((len(fitted.groups), 1))
        for block in blocks:
            top, bottom = np.empty((2, len(block.groups), cycle.length))
            for rows, some in block.slices():
                season = season_so_far(some, fitted, cycles=False)
                for done, shape in zip(short_cycles(fitted.freq), shapes, strict=False):
                    season *= _of_groups(shape, some, done.index(fitted.freq, some.ordinals))
                index = cycle.index(fitted.freq, some.ordinals)
                np.maximum(season, FLOOR, out=season)
                top[rows], bottom[rows] = cycle_sums(
                    some.values, some.seen, season, index, cycle.periods(fitted.freq), cycle.length
                )
            found = pooled_ratio(top, bottom, block.groups, len(fitted.groups))
            size = np.bincount(block.groups, weights=block.seen.sum(axis=1), minlength=len(fitted.groups))[:, None]
            tops += found * size
            weight += size
        overall = tops.sum(axis=0) / max(float(weight.sum()), 1e-9)
        shapes.append(np.where(weight > 0, tops / np.maximum(weight, 1e-9), overall))
    return tuple(shapes)


def _pooled_noise(blocks: list[Block], fitted: Fitted) -> Floats:
    """Return [G] variance over mean: the middle series of each group, since a few wild ones would rule a mean."""
    noise, groups = [], []
    unshrunk = replace(fitted, noise=np.ones(len(fitted.groups)))
    lean = 20.0 if fitted.is_count else 0.0  # the noise of counts is about 1; that of kilograms or money is anything
    for block in (some for whole in blocks for _, some in whole.slices()):
        live = (block.values.sum(axis=1) > 0) & (block.seen.sum(axis=1) >= ENOUGH)
        noise.append(noise_of(block, season_so_far(block, fitted), unshrunk, lean)[live])
        groups.append(block.groups[live])
    units, seen = (sum(float(getattr(b, side).sum()) for b in blocks) for side in ("values", "seen"))
    unknown = float(fitted.is_count) + UNKNOWN_NOISE * units / max(seen, 1.0)
    return _by_group(np.concatenate(noise), np.concatenate(groups), len(fitted.groups), np.median, unknown)


def _by_group(values: Floats, groups: Integers, n_groups: int, statistic: Any, empty: float) -> Floats:
    overall = float(statistic(values)) if len(values) else empty
    found = np.full(n_groups, overall)
    for group in range(n_groups):
        mine = values[groups == group]
        if len(mine) >= 5:
            found[group] = float(statistic(mine))
    return found


def _pooled_lifts(blocks: list[Block], fitted: Fitted) -> Floats:
    """Return [G, flags] factors: sales while a flag is up over what the level explains, shrunk to all groups'.

    Flags that are often up together share what they lift: each is measured again with the others' factors in place.
    """
    n_groups, n_flags = len(fitted.groups), len(fitted.flags)
    slices = [some for block in blocks for _, some in block.slices()]
    usual: list[Floats] = []  # [n, T] units expected while all flags are down
    for block in slices:
        season = season_so_far(block, fitted, lifts=False)
        down = block.seen.copy()
        for name in block.flags:
            down *= 1.0 - block.flags[name][:, : block.periods]
        calm = block.values * down
        down *= season
        level = moving_level(calm, down, noise_span(fitted.freq))
        level *= season
        level *= block.seen
        usual.append(level)
    lean = 10.0 * np.maximum(fitted.noise.mean(), 1e-6)
    lifts: Floats = np.ones((n_groups, n_flags))
    for _ in range(LIFT_ROUNDS if n_flags > 1 else 1):
        top, bottom = np.zeros((n_groups, n_flags)), np.zeros((n_groups, n_flags))
        for block, expected in zip(slices, usual, strict=True):
            up = {name: block.flags[name][:, : block.periods] for name in fitted.flags if name in block.flags}
            factors = {
                name: 1.0 + up[name] * (lifts[block.groups, i] - 1.0)[:, None]
                for i, name in enumerate(fitted.flags)
                if name in up
            }
            for i, name in enumerate(fitted.flags):
                if name not in up:
                    continue
                others = expected * up[name]
                for other, factor in factors.items():
                    if other != name:
                        others *= factor
                np.add.at(top[:, i], block.groups, (block.values * block.seen * up[name]).sum(axis=1))
                np.add.at(bottom[:, i], block.groups, others.sum(axis=1))
        overall = (top.sum(axis=0) + 5.0) / (bottom.sum(axis=0) + 5.0)
        lifts = np.clip((top + lean * overall) / (bottom + lean), 0.05, 20.0)
    return lifts


def pooled_year(panel: Panel, fitted: Fitted) -> Floats:
    """Return [G, B] yearly shapes from the groups' totals by week or month, over what the other shapes explain."""
    freq = fitted.freq
    years = int(min(LONGEST_YEARS * freq.periods_per_year, panel.lengths.max()))
    blocks = [block for _, block in iterate_blocks(panel, replace(fitted, window=years), 0)]
    bins = year_bins(freq)
    step = max(1, round(freq.periods_per_year / bins))  # periods per bin
    first = min(int(block.ordinals.min()) for block in blocks)
    last = max(int(block.ordinals.max()) for block in blocks)
    n_steps = min((last - first + 1) // step, LONGEST_YEARS * bins)
    start = last + 1 - n_steps * step
    sums = np.zeros((2, len(fitted.groups) + 1, n_steps + 1))  # slot 0 takes what lies before the first whole step
    for block in (some for whole in blocks for _, some in whole.slices()):
        season = season_so_far(block, fitted)
        slot = np.maximum((block.ordinals - start) // step, -1) + 1
        usual = block.values.sum(axis=1, keepdims=True) / np.maximum(block.seen.sum(axis=1, keepdims=True), 1.0)
        scale = np.sqrt(np.maximum(usual, 1e-9))  # large series count, not rule
        for side, values in enumerate((block.values / scale, block.seen * season * scale)):
            mine = bin_sums(values, slot, n_steps + 1)
            np.add.at(sums[side], block.groups, mine)
            sums[side, -1] += mine.sum(axis=0)
    top, bottom = sums[:, :, 1:]
    ratio = np.where(bottom > 1e-9, top / np.maximum(bottom, 1e-9), np.nan)
    middles = start + step * np.arange(n_steps) + (step - 1) // 2
    shape = pooled_year_shape(ratio, year_index(freq, middles), bins, level_stiffness=5.0, smoothness=1.0)
    return np.asarray(shape[:-1])


def priors(blocks: list[Block], fitted: Fitted) -> Fitted:
    """Return ``fitted`` with each group's prior level and what it is worth.

    Levels vary within a group with squared coefficient of variation c2; a gamma prior of that spread is worth
    noise / (c2 x level) periods of history (the gamma-Poisson posterior mean, noise counted in its units).
    """
    levels, groups = [], []
    for block in (some for whole in blocks for _, some in whole.slices()):
        known = (block.seen * season_so_far(block, fitted)).sum(axis=1)
        keep = known > 0
        levels.append(block.values.sum(axis=1)[keep] / known[keep])
        groups.append(block.groups[keep])
    level, group = np.concatenate(levels), np.concatenate(groups)
    mean = _by_group(level, group, len(fitted.groups), lambda levels: _without_giants(levels).mean(), 0.0)
    spread = _by_group(level, group, len(fitted.groups), _squared_variation, 1.0)
    periods = np.clip(fitted.noise / np.maximum(spread * mean, 1e-9), 0.05, 60.0)
    return replace(fitted, prior_level=mean, prior_spread=np.clip(spread, 0.05, 10.0), prior_periods=periods)


def _without_giants(levels: Floats) -> Floats:
    """Return levels cut to ten times what three in four of those that sell stay below: a giant is no prior for dwarfs.

    >>> _without_giants(np.array([0.0, 2.0, 3.0, 1e9])).tolist()
    [0.0, 2.0, 3.0, 30.0]
    """
    live = levels[levels > 0]
    if not len(live):
        return levels
    found: Floats = np.minimum(levels, GIANT * float(np.quantile(live, 0.75, method="lower")))
    return found


def _squared_variation(values: Floats) -> float:
    values = _without_giants(values)
    mean = float(values.mean())
    return float(np.clip(values.var() / max(mean * mean, 1e-12), 0.05, 10.0)) if mean > 0 else 1.0


def flags_of(panel: Panel, calendar: Calendar | None = None) -> tuple[str, ...]:
    """Return the known-ahead numbers that are only ever 0 or 1 and are sometimes up in the past.

    Those whose effect is in the calendar already are left out.
    """
    names = []
    for name, covariate in panel.known_future.items():
        if calendar is not None and name in calendar.covers:
            continue
        if name != "open" and not covariate.categories and _is_sometimes_up(covariate.values):
            names.append(name)
    return tuple(sorted(names))


def _is_sometimes_up(values: Floats) -> bool:
    """Return whether numbers [F] are only ever 0, 1 or unknown, and 1 somewhere; amounts show it at once."""
    up = False
    for low in range(0, len(values), FLAGS_AT_ONCE):
        some = values[low : low + FLAGS_AT_ONCE]
        raised = some == 1.0
        if not (raised | (some == 0.0) | np.isnan(some)).all():
            return False
        up = up or bool(raised.any())
    return up
