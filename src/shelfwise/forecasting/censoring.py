"""Demand that stockouts hid: what sold in a censored period is the least that was wanted, and the rest is expected.

A period that sold and ended empty tells something: demand was *at least* what sold, and such periods are the busy ones.
Leaving them out takes busy periods away and leaves the quiet ones, which can be worse than reading sales as demand; so
they count with E[D | D >= sold]. A period without stock from its start says nothing; models leave it out, and a report
that needs every period gets E[D].

What is expected of a past period is level x season, as in the forecast (`level_season`), but around the period: the
level is a decayed mean of both sides, the season is measured on the very history, and both are measured again with the
expected demand in place (expectation-maximisation for a censored sample). Source: Dempster, Laird and Rubin, 1977,
Journal of the Royal Statistical Society B 39(1), section 4.2. Of other series a repair knows only the shapes, noise and
prior level of its category.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy

from shelfwise.domain.panel import Panel
from shelfwise.forecasting.contract import Predictor
from shelfwise.forecasting.held_out import sample_of
from shelfwise.forecasting.level_season import Block, Fitted, Groups, noise_of, noise_span, read_block
from shelfwise.forecasting.pooling import flags_of, measure, season_so_far
from shelfwise.forecasting.seasonality import FLOOR, cycle_shape, read, short_cycles

Floats = npt.NDArray[np.floating[Any]]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

ROUNDS: Final = 6  # times that noise is measured with expected demand in place; half-way also the season
STEPS: Final = 2  # times in each round that the level is
LEAN: Final = 0.5  # periods of the long-run level that a local level leans on
NOISE_LEAN: Final = 20.0  # periods that the noise of the category is worth, as in the forecast
UNLIKELY: Final = 1e-12  # below this chance of selling as much, demand is what sold and one unit of noise
MOST_CELLS: Final = 2_000_000  # of the arrays of a block, to hold memory
POOL: Final = 2500  # series that shapes are measured on where no model brings them
HALF_LIVES: Final = (1.0, 3.0, 7.0, 14.0, 30.0, 90.0)


def hidden(panel: Panel) -> Flags:
    """Return [F], in the layout of ``panel.values``, where a stockout may have hidden demand.

    A period that was not recorded (NaN) or in which the shop was closed has nothing to hide.
    """
    if panel.available is None:
        return np.zeros(panel.values.shape, dtype=np.bool_)
    found: Flags = ~panel.available & ~np.isnan(panel.values)
    if "open" in panel.known_future:
        opened = panel.known_future["open"]
        for part in _portions(panel, found):
            length = part.cells.shape[1]
            share = opened.select(part.rows).at(panel.ends[part.rows] - length, length)
            found[part.cells[part.inside & (share <= 0)]] = False
    return found


def expected_demand(panel: Panel, predictor: Predictor | None = None) -> Floats:
    """Return [F] units of demand: what sold, and in censored periods what is expected to have been wanted.

    Parameters
    ----------
    panel
        N series with ``available``.
    predictor
        A fitted model whose shapes are used, where it has those of the base model (``fitted``); None measures them on
        ``panel``.

    Returns
    -------
    Never below what sold; NaN where nothing was recorded. Expectations are no whole numbers.

    >>> sold = [[4.0, 6.0] * 20 + [0.0, 5.0]]
    >>> flags = [[True] * 40 + [False, False]]
    >>> panel = Panel.from_wide(sold, start="2026-01-05", available=flags)
    >>> expected_demand(panel)[-2:].round(0).tolist()  # nothing known of the one, at least 5 of the other
    [5.0, 7.0]
    """
    return _expected(panel, hidden(panel), _fitted_of(panel, predictor))


def repaired(panel: Panel, predictor: Predictor | None = None) -> Panel:
    """Return the panel with expected demand in its censored periods, for reports, aggregates and other libraries.

    Where all sales are whole numbers so are the repaired ones: what rounding takes from one period of a series goes to
    its next. The flags stay, so nothing is scored on a repaired period, and models of this package, which read the
    flags, forecast what they did before. Series without censored periods stay as they are to the last bit.

    Parameters
    ----------
    panel, predictor
        As in `expected_demand`.
    """
    censored = hidden(panel)
    if not censored.any():
        return panel
    return replace(panel, values=_filled(panel, censored, censored, _fitted_of(panel, predictor)))


def bounded(panel: Panel, fitted: Fitted | None = None) -> Panel:
    """Return the panel as a model should learn from it: periods that sold out count with E[D | D >= sold].

    Periods that sold nothing stay censored, since they tell nothing. A panel without censored sales is returned as it
    is. Each series is read by itself and ``fitted``, so chunks and the order of series change nothing.

    Parameters
    ----------
    fitted
        Shapes, noise and prior level of a model that is about to predict and reads no more than its window: older
        periods stay censored. None measures them on ``panel`` and reads all of it.
    """
    if panel.available is None:
        return panel
    censored = hidden(panel)
    sold_out = censored & (panel.values > 0)
    longest = None if fitted is None else fitted.window + 2 * noise_span(fitted.freq)
    if longest is not None:
        sold_out &= _to_the_end(panel) <= longest
    if not sold_out.any():
        return panel
    values = _filled(panel, censored, sold_out, shapes_of(panel) if fitted is None else fitted, longest)
    return replace(panel, values=values, available=panel.available | sold_out)


def lost_units(panel: Panel, predictor: Predictor | None = None, periods: int | None = None) -> Floats:
    """Return [N] units that are expected to have been wanted and not sold, in the last ``periods`` of each series.

    Parameters
    ----------
    panel, predictor
        As in `expected_demand`.
    periods
        Latest periods of each series that count; None takes all.
    """
    missed = np.nan_to_num(expected_demand(panel, predictor) - np.maximum(panel.values, 0.0))
    missed = np.where(hidden(panel), missed, 0.0)
    if periods is not None:
        missed = np.where(_to_the_end(panel) <= periods, missed, 0.0)
    total = np.concatenate([[0.0], np.cumsum(missed)])
    found: Floats = total[panel.offsets[1:]] - total[panel.offsets[:-1]]
    return found


def _to_the_end(panel: Panel) -> Integers:
    """Return [F] how many periods each one lies before the end of its series, 1 for the last."""
    found: Integers = np.repeat(panel.offsets[1:], panel.lengths) - np.arange(len(panel.values))
    return found


def shapes_of(panel: Panel) -> Fitted:
    """Return shapes, noise and prior levels measured on ``panel``, without what only forecasts need."""
    pool = sample_of(panel, POOL)
    start = Fitted.default(pool, HALF_LIVES, 400, Groups.of(pool))
    return measure(pool, replace(start, flags=flags_of(pool)))


def mean_above(mean: Floats, noise: Floats, least: Floats, is_count: bool) -> tuple[Floats, Floats]:
    """Return E[D | D >= s] and E[D^2 | D >= s] of demand with the given mean and noise (variance over mean).

    Counts are negative binomial with size r = m / (phi - 1): E[D; D >= s] = m P(D' >= s - 1) with D' of size r + 1, and
    E[D (D - 1); D >= s] = r (r + 1) (phi - 1)^2 P(D'' >= s - 2) with size r + 2. Measured demand is gamma, alike.
    Source: the size-biased form, Johnson, Kemp and Kotz, Univariate Discrete Distributions, 3rd ed., section 5.

    Parameters
    ----------
    mean, noise, least
        [C] units, variance over mean, and the bound s >= 0 in units.

    >>> above, _ = mean_above(np.array([2.0, 2.0]), np.array([1.0, 3.0]), np.array([3.0, 3.0]), True)
    >>> above.round(2).tolist()  # the noisier, the more may have been wanted
    [3.67, 5.0]
    """
    m = np.maximum(mean, 1e-9)
    if is_count:
        phi = np.maximum(noise, 1.0 + 1e-6)
        size, odds = m / (phi - 1.0), phi - 1.0
        chance, first, second = (_count_tail(size + k, 1.0 - 1.0 / phi, least - k) for k in (0, 1, 2))
        first = m * first
        second = size * (size + 1.0) * odds * odds * second + first
    else:
        shape, cut = m / noise, least / noise
        chance, first, second = (scipy.special.gammaincc(shape + k, cut) for k in (0.0, 1.0, 2.0))
        first = m * first
        second = m * (m + noise) * second
    far = chance < UNLIKELY
    safe = np.where(far, 1.0, chance)
    above = np.maximum(np.where(far, least + noise, first / safe), least)
    square = np.maximum(np.where(far, (least + noise) ** 2 + noise**2, second / safe), above**2)
    return above, square


def trust(seen: Floats, sold_out: Floats) -> Floats:
    """Return how far periods that sold out are believed to have hidden demand, from how many did and did not.

    All of it up to half of the periods, then ever less: where everything sold out always, it is the book that says zero
    of a stock that nobody keeps, and nothing is known of what more was wanted.

    >>> trust(np.array([9.0, 5.0, 1.0, 0.0]), np.array([1.0, 5.0, 3.0, 7.0])).tolist()
    [1.0, 1.0, 0.5, 0.0]
    """
    found: Floats = np.minimum(1.0, 2.0 * seen / np.maximum(seen + sold_out, 1.0))
    return found


def _count_tail(size: Floats, q: Floats, least: Floats) -> Floats:
    """Return P(D >= s) of negative binomials: the regularised incomplete beta function I_q(s, r)."""
    return np.where(least <= 0, 1.0, scipy.special.betainc(np.maximum(np.ceil(least), 1e-9), size, q))


def _fitted_of(panel: Panel, predictor: Predictor | None) -> Fitted:
    """Return the shapes of a predictor, of the one it wraps or of one of its members; else those of the panel."""
    asked: list[Any] = [predictor]
    for one in asked:  # grows while it is read: wrappers may wrap ensembles
        found = getattr(one, "fitted", None)
        if isinstance(found, Fitted) and found.freq == panel.freq:
            return found
        members = getattr(one, "members", None)
        asked += [getattr(one, "inner", None)] if hasattr(one, "inner") else []
        asked += members.values() if isinstance(members, Mapping) else []
    return shapes_of(panel)


def _filled(panel: Panel, censored: Flags, wanted: Flags, fitted: Fitted, longest: int | None = None) -> Floats:
    """Return [F] values with expected demand at ``wanted`` [F], in whole numbers where all are.

    Those are the steps of the rounded running total: none falls below a whole bound, and a series' total is off by at
    most half a unit.
    """
    expected = _expected(panel, censored, fitted, longest)
    if panel.is_count:
        for part in _portions(panel, wanted, longest):
            here = part.inside & wanted[part.cells]
            running = np.rint(np.cumsum(np.where(here, expected[part.cells], 0.0), axis=1))
            expected[part.cells[here]] = np.diff(running, axis=1, prepend=0.0)[here]
    values: Floats = np.where(wanted, expected, panel.values).astype(panel.values.dtype)
    return values


def _expected(panel: Panel, censored: Flags, fitted: Fitted, longest: int | None = None) -> Floats:
    """Return [F] values with the unrounded expectation where ``censored``, in the latest ``longest`` periods."""
    values = panel.values.astype(np.float64)
    for part in _portions(panel, censored, longest):
        wide = replace(fitted, window=part.cells.shape[1])
        _, block = read_block(panel.select(part.rows), wide, 0, 0)
        here = part.inside & censored[part.cells]
        sold = np.where(here, np.maximum(values[part.cells], 0.0), 0.0)
        found = _Repair(block, here, sold, wide).expected()
        values[part.cells[here]] = np.maximum(found[here], sold[here])
    return values


@dataclass(frozen=True, eq=False)
class _Portion:
    """Series of about one length, side by side over their last T periods."""

    rows: Integers  # [n]
    cells: Integers  # [n, T] positions in the panel's flat arrays, 0 before a series begins
    inside: Flags  # [n, T] whether the series had begun


def _portions(panel: Panel, wanted: Flags, longest: int | None = None) -> Iterator[_Portion]:
    """Yield the series with any of the ``wanted`` cells [F], at most a thousand and `MOST_CELLS` cells at once.

    T follows from a series' own length alone: sums must not depend on the company it is in.
    """
    rows = np.unique(np.searchsorted(panel.offsets, np.flatnonzero(wanted), side="right") - 1)
    lengths = panel.lengths[rows]
    periods = np.ceil(2.0 ** (np.ceil(2.0 * np.log2(np.maximum(lengths, 64))) / 2.0)).astype(np.int64)
    if longest is not None:
        periods = np.minimum(periods, longest)
    for length in np.unique(periods).tolist():
        some = rows[periods == length]
        size = max(1, min(1024, MOST_CELLS // length))
        for low in range(0, len(some), size):
            chosen = some[low : low + size]
            column = np.arange(length) - (length - panel.lengths[chosen][:, None])  # [n, T] period of the series
            cells = np.where(column >= 0, panel.offsets[:-1][chosen][:, None] + column, 0)
            yield _Portion(chosen, cells, column >= 0)


@dataclass(frozen=True, eq=False)
class _Repair:
    """A block of series over T past periods, with what stockouts left of demand."""

    block: Block
    censored: Flags  # [n, T]
    sold: Floats  # [n, T] units in censored periods, zero elsewhere
    fitted: Fitted

    def expected(self) -> Floats:
        """Return [n, T] units expected in each period, given what sold where it was censored."""
        block, fitted = self.block, self.fitted
        bound = self.censored & (self.sold > 0)
        at = np.nonzero(bound)
        weight = np.where(bound, 1.0, block.seen)  # [n, T] 1 where a period tells something
        demand = np.where(bound, self.sold, block.values)  # [n, T] what sold, then what is expected
        trusted = trust(block.seen.sum(axis=1), bound.sum(axis=1))[at[0]]
        season = self._season(demand, weight)
        noise = noise_of(block, season, fitted)
        for again in range(ROUNDS if len(at[0]) else 0):
            if again == ROUNDS // 2:
                season = self._season(demand, weight)
            explained = weight * season
            for _ in range(STEPS):
                level = self._level(demand, explained)
                above, square = mean_above(level[at] * season[at], noise[at[0]], self.sold[at], fitted.is_count)
                demand[at] = self.sold[at] + trusted * (above - self.sold[at])
            mean = level * season
            error = block.seen * (demand - mean) ** 2
            error[at] = (demand[at] - mean[at]) ** 2 + trusted * (square - above**2)
            noise = self._noise(error, weight * mean)
        return np.where(bound, demand, self._level(demand, weight * season) * season)

    def _season(self, demand: Floats, weight: Floats) -> Floats:
        """Return [n, T] factors: the category's, with each series' own short cycles shrunk to them."""
        block, fitted = self.block, self.fitted
        season = season_so_far(block, fitted, cycles=False)
        noise = fitted.noise[block.groups]
        for cycle, shape in zip(short_cycles(fitted.freq), fitted.cycle_shapes, strict=True):
            index = cycle.index(fitted.freq, block.ordinals)
            own = cycle_shape(
                demand, weight, season, index, cycle.periods(fitted.freq), cycle.length, noise, shape[block.groups]
            )
            season = np.maximum(season * read(own, index), FLOOR)
        return season

    def _level(self, demand: Floats, explained: Floats) -> Floats:
        """Return [n, T] decayed means of both sides, in units per period of season 1, leaning on the long-run one.

        They are steady over an eighth of the time that noise is measured over, a week of days, which saves the time.
        """
        prior = self.fitted.prior_periods[self.block.groups]
        own = demand.sum(axis=1) + prior * self.fitted.prior_level[self.block.groups]
        long_run = own / (explained.sum(axis=1) + prior)
        step = max(1, noise_span(self.fitted.freq) // 8)
        keep = 0.5 ** (step / (0.5 * noise_span(self.fitted.freq)))
        top, bottom = (_both_sides(_step_sums(x, step), keep) for x in (demand, explained))
        level = (top + LEAN * long_run[:, None]) / (bottom + LEAN)
        found: Floats = np.repeat(level, step, axis=1)[:, -demand.shape[1] :]
        return found

    def _noise(self, error: Floats, mean: Floats) -> Floats:
        """Return [n] variance over mean, from expected squared errors and means [n, T] of what tells something."""
        total = mean.sum(axis=1)
        lean = NOISE_LEAN * total / np.maximum((mean > 0).sum(axis=1), 1)
        noise: Floats = (error.sum(axis=1) + lean * self.fitted.noise[self.block.groups]) / np.maximum(
            total + lean, 1e-9
        )
        return np.maximum(noise, 1.0 if self.fitted.is_count else 1e-6)


def _step_sums(values: Floats, step: int) -> Floats:
    """Return [n, ceil(T / step)] sums of ``step`` periods each, the first of what is left."""
    n, periods = values.shape
    lead = -periods % step
    padded = values if not lead else np.concatenate([np.zeros((n, lead)), values], axis=1)
    sums: Floats = padded.reshape(n, -1, step).sum(axis=2)
    return sums


def _both_sides(values: Floats, keep: float) -> Floats:
    """Return [n, T] sums over all periods, each weighing ``keep`` to the power of its distance.

    >>> _both_sides(np.array([[0.0, 8.0, 0.0, 0.0]]), 0.5).tolist()
    [[4.0, 8.0, 4.0, 2.0]]
    """
    columns = np.ascontiguousarray(values.T)  # a loop over columns: scipy.signal takes a second to load
    before, after = columns.copy(), columns.copy()
    for t in range(1, len(columns)):
        before[t] += keep * before[t - 1]
        after[-1 - t] += keep * after[-t]
    found: Floats = (before + after - columns).T
    return found
