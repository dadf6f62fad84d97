"""Aggregates: the sums of a panel over its hierarchy, with everything seen of them over the whole history.

The levels of a hierarchy form chains (state > store, category > department); a cell is one combination of the finest
groups that still hold enough series, and every cell has a line of ancestors up to the whole. One file, because sums,
closed days and covariates are read off the same cells. Letters: N series, M nodes (cells and their ancestors), C cells,
T past periods, L periods laid out (past and some future).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.covariates import Covariate
from shelfwise.domain.panel import Panel
from shelfwise.domain.tables import joined_text

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

SERIES_PER_CELL: Final = 30  # fewer series to a cell have no total steady enough to be modelled by itself
UNITS_PER_CELL: Final = 8.0  # nor have fewer units a period
MOST_CELLS: Final = 200
LONGEST_YEARS: Final = 8  # history looked at
AHEAD_YEARS: Final = 1.1  # periods laid out beyond the last one
LEAST_SHARE: Final = 0.3  # of a cell's usual sales recorded in a period for its total to be known
CLOSED_SHARE: Final = 0.1  # of the usual total: less was sold by a shop that was closed
HABIT_DAYS: Final = 182  # a weekday closed for so long stays closed
ROWS_AT_ONCE: Final = 1024
ASKED_PER_CELL: Final = 12  # series of a cell whose covariates are read
RARE: Final = 0.06  # a flag that is up less often than this marks events
SEPARATOR: Final = "\x1f"


@dataclass(frozen=True)
class Chains:
    """Columns of the hierarchy that nest in each other, coarse to fine, in one chain for each dimension.

    >>> Chains((("state", "store"), ("department",))).columns
    ('store', 'department')
    """

    chains: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def of(cls, panel: Panel) -> Chains:
        """Return the chains of the attributes of a panel whose groups are large enough to be modelled.

        Where there are too many combinations, attributes outside ``panel.hierarchy`` are given up first.
        """
        names = panel.attributes
        table = panel.series.select(pl.col(list(names)).cast(pl.String).fill_null(""))
        counts = {name: table[name].n_unique() for name in names}
        usable = [name for name in names if 1 < counts[name] <= panel.n_series / SERIES_PER_CELL]
        chains: list[list[str]] = []
        for name in sorted(usable, key=lambda name: (counts[name], name)):
            for chain in chains:
                pairs = table.select(chain[-1], name).n_unique()
                if pairs == counts[name]:  # each group lies in one group of the coarser level
                    if counts[name] > counts[chain[-1]]:  # and is not the same level by another name
                        chain.append(name)
                    break
            else:
                chains.append([name])
        while chains:
            cells = table.select(pl.concat_str([chain[-1] for chain in chains], separator=SEPARATOR).n_unique()).item()
            if cells <= MOST_CELLS and cells * SERIES_PER_CELL <= panel.n_series:
                break
            finest = max(chains, key=lambda chain: (chain[-1] not in panel.hierarchy, counts[chain[-1]]))
            finest.pop()
            chains = [chain for chain in chains if chain]
        # the dimension with most groups is given up first on the way to the whole: a store's department leans on its
        # state's department, and that on the department of all
        chains.sort(key=lambda chain: -counts[chain[-1]])
        return cls(tuple(tuple(chain) for chain in chains))

    @property
    def columns(self) -> tuple[str, ...]:
        """The finest column of each chain: together they name a cell."""
        return tuple(chain[-1] for chain in self.chains)

    def names(self, series: pl.DataFrame) -> pl.Series:
        """Return the name [N] of each series' cell; empty without chains, that of no cell where a level is lost."""
        if any(name not in series.columns for name in self.columns):
            return pl.Series("cell", [SEPARATOR * len(self.columns)] * series.height, dtype=pl.String)
        if not self.chains:
            return pl.Series("cell", [""] * series.height, dtype=pl.String)
        return joined_text(series, self.columns, SEPARATOR).alias("cell")


@dataclass(frozen=True, eq=False)
class Nodes:
    """Cells and their ancestors.

    Parameters
    ----------
    chains
        What they are made of.
    cells
        [C] names of the cells; node c is cell c.
    parents
        [M] node that a node leans on; -1 for the whole, the last node.
    codes
        [M, dimensions] code of a node's group in each chain at its own depth, for models that tell nodes apart.
    """

    chains: Chains
    cells: tuple[str, ...]
    parents: Integers
    codes: Integers

    @classmethod
    def of(cls, panel: Panel, chains: Chains) -> Nodes:
        """Return the nodes of a panel."""
        names = chains.names(panel.series)
        cells = tuple(names.unique().sort())
        if not chains.chains:
            return cls(chains, cells, np.array([-1], dtype=np.int64), np.zeros((1, 0), dtype=np.int64))
        first = panel.series.select(pl.col([c for chain in chains.chains for c in chain]).cast(pl.String).fill_null(""))
        first = first.with_columns(names).unique("cell").sort("cell")
        index: dict[tuple[str, ...], int] = {}
        parents: list[int] = []

        def key_of(row: dict[str, str], depths: tuple[int, ...]) -> tuple[str, ...]:
            return tuple(
                f"{chain[depth - 1]}={row[chain[depth - 1]]}" if depth else ""
                for chain, depth in zip(chains.chains, depths, strict=True)
            )

        deepest = tuple(len(chain) for chain in chains.chains)
        rows = list(first.iter_rows(named=True))
        for row in rows:
            index[key_of(row, deepest)] = len(index)
        parents = [-1] * len(index)
        for row in rows:
            depths, node = deepest, index[key_of(row, deepest)]
            while any(depths):
                at = next(i for i, depth in enumerate(depths) if depth)
                depths = (*depths[:at], depths[at] - 1, *depths[at + 1 :])
                key = key_of(row, depths)
                if key not in index:
                    index[key] = len(index)
                    parents.append(-1)
                parents[node] = index[key]
                node = index[key]
        whole = parents.index(-1)  # moved behind all others
        order = [node for node in range(len(parents)) if node != whole] + [whole]
        place = {node: i for i, node in enumerate(order)} | {-1: -1}
        keys, parents = [list(index)[node] for node in order], [place[parents[node]] for node in order]
        codes = np.zeros((len(keys), len(chains.chains)), dtype=np.int64)
        for i in range(len(chains.chains)):
            words = {word: code for code, word in enumerate(sorted({key[i] for key in keys}))}
            codes[:, i] = [words[key[i]] for key in keys]
        return cls(chains, cells, np.array(parents, dtype=np.int64), codes)

    def __len__(self) -> int:
        return len(self.parents)

    def cell_of(self, series: pl.DataFrame) -> Integers:
        """Return the cell [N] of each series; -1 for a cell never seen."""
        place = {name: i for i, name in enumerate(self.cells)}
        return np.array([place.get(name, -1) for name in self.chains.names(series).to_list()], dtype=np.int64)

    def top_down(self) -> list[int]:
        """Return the nodes, each after its parent."""
        depth = np.zeros(len(self.parents), dtype=np.int64)
        for node in range(len(self.parents)):
            at = node
            while self.parents[at] >= 0:
                at = int(self.parents[at])
                depth[node] += 1
        return [int(node) for node in np.argsort(depth, kind="stable")]

    def summed(self, cells: Floats) -> Floats:
        """Return [M, ...] sums over all nodes of what is given for the cells [C, ...]."""
        found = np.zeros((len(self), *cells.shape[1:]))
        for cell in range(len(self.cells)):
            node = cell
            while node >= 0:
                found[node] += cells[cell]
                node = int(self.parents[node])
        return found


@dataclass(frozen=True, eq=False)
class Regressor:
    """A covariate as the nodes see it.

    Parameters
    ----------
    name
        Name of the covariate, with the word of a text covariate behind it.
    values
        [M, L] or [1, L] share of the node's series for which it holds.
    common
        True where all series of each cell see the same, so that its effect belongs to the calendar of the cell rather
        than to single series.
    """

    name: str
    values: Floats
    common: bool

    @property
    def rare(self) -> bool:
        """True where it marks events rather than a state that is often up."""
        return bool(self.values.mean() < RARE)


@dataclass(frozen=True, eq=False)
class Aggregates:
    """Sums over the nodes of a panel.

    Parameters
    ----------
    freq, nodes
        Frequency and nodes.
    first, end
        Ordinals of the first period and after the last one.
    values
        [M, T] units, as if every series that had begun and not ended had been recorded, on sale and open.
    known
        [M, T] where that can be told.
    closed
        [T] periods in which the whole shop sold next to nothing.
    regressors
        Covariates known ahead.
    closes
        [L] periods laid out in which a shop that keeps its habits is closed.
    words
        [L] when each word of the text covariates shared by all holds.
    """

    freq: Frequency
    nodes: Nodes
    first: int
    end: int
    values: Floats
    known: Flags
    closed: Flags
    regressors: tuple[Regressor, ...]
    closes: Flags
    words: dict[str, Flags]

    @property
    def periods(self) -> int:
        """Past periods T."""
        return self.end - self.first

    @property
    def laid_out(self) -> Integers:
        """[L] ordinals laid out."""
        return self.first + np.arange(len(self.closes))

    @classmethod
    def of(cls, panel: Panel) -> Aggregates | None:
        """Return the sums of a panel; None where its periods are shorter than a day, or nothing was ever sold."""
        if not panel.freq.is_daily_or_longer or not panel.n_series or not len(panel.values):
            return None
        chains = Chains.of(panel)
        while True:
            nodes = Nodes.of(panel, chains)
            end = int(panel.ends[panel.lengths > 0].max())
            longest = int(min(end - int(panel.starts.min()), LONGEST_YEARS * panel.freq.periods_per_year))
            first = end - longest
            cells, known, usual = _sums(panel, nodes, first, end)
            steady = np.median(cells[:, -min(longest, int(panel.freq.periods_per_year)) :].mean(axis=1))
            if not chains.chains or steady >= UNITS_PER_CELL:
                break
            chains = _coarser(chains)
        if not (cells > 0).any():
            return None
        # a cell that is unknown counts with what its siblings sold against their usual sales
        share = nodes.summed(usual * known) / np.maximum(nodes.summed(usual), 1e-12)
        share[nodes.summed((~known).astype(np.float64)) == 0] = 1.0
        counted = share >= LEAST_SHARE
        values = np.where(counted, nodes.summed(cells) / np.maximum(share, LEAST_SHARE), 0.0)
        ahead = int(np.ceil(AHEAD_YEARS * panel.freq.periods_per_year))
        found = cls(
            panel.freq, nodes, first, end, values, counted, np.zeros(longest, dtype=np.bool_), (),
            np.zeros(longest + ahead, dtype=np.bool_), {},
        )  # fmt: skip
        found = replace(
            found,
            regressors=_regressors(panel, nodes, found.laid_out),
            words=_words_on(panel, found.laid_out),
        )
        return found.until(end)

    def until(self, end: int) -> Aggregates:
        """Return the sums as they were known before the ordinal ``end``; what is known ahead stays."""
        keep = max(0, end - self.first)
        closed = _closed(self.values[-1, :keep], self.known[-1, :keep], self.freq)
        weekdays = _closed_weekdays(self.freq, self.laid_out, closed)
        if closed.any():  # a weekday that is mostly, not always, closed is a quiet weekday
            quiet = closed & ~weekdays[:keep]
            for day in range(7):
                mine = self.freq.weekday(self.laid_out[:keep]) == day
                if (quiet & mine).sum() > 0.3 * mine.sum():
                    closed = closed & ~(quiet & mine)
        return replace(
            self,
            end=self.first + keep,
            values=self.values[:, :keep],
            known=self.known[:, :keep],
            closed=closed,
            closes=weekdays | _closes(self.freq, self.laid_out, closed, weekdays, self.words),
        )


def _coarser(chains: Chains) -> Chains:
    """Return the chains without the finest level of the first one, which has the most groups."""
    first, *rest = chains.chains
    return Chains(tuple(chain for chain in (first[:-1], *rest) if chain))


def _sums(panel: Panel, nodes: Nodes, first: int, end: int) -> tuple[Floats, Flags, Floats]:
    """Return [C, T] sums of the cells, where they are known, and what the series that lived then usually sell."""
    cells, periods = len(nodes.cells), end - first
    bare = replace(panel, known_future={k: v for k, v in panel.known_future.items() if k == "open"}, past_only={})
    code = nodes.cell_of(panel.series)
    order = np.argsort(code, kind="stable")
    order = order[panel.lengths[order] > 0]
    whole = panel.available is None and "open" not in panel.known_future and bool((panel.ends == end).all())
    whole = whole and not bool(np.isnan(panel.values).any())
    top, seen, begun = np.zeros((cells, periods)), np.zeros((cells, periods)), np.zeros((cells, periods))
    columns = np.arange(first, end)
    for low in range(0, len(order), ROWS_AT_ONCE):
        rows = order[low : low + ROWS_AT_ONCE]
        block = bare.select(rows)
        mine = code[rows]
        edges = np.flatnonzero(np.r_[True, mine[1:] != mine[:-1]])
        if whole:
            sold = np.fmax(block.window(periods), 0.0)  # NaN only before a series begins
            top[mine[edges]] += np.add.reduceat(sold, edges, axis=0, dtype=np.float64)
            continue
        if (block.ends == end).all():
            values, usable = block.window(periods), block.available_window(periods)
        else:
            longest = int(max(periods, end - block.starts.min()))
            values, usable = _aligned(block, first, end, longest)
        if "open" in block.known_future:
            opened = block.known_future["open"].at(np.full(len(rows), first, dtype=np.int64), periods)
            usable = usable & ~(opened <= 0)
        sold = np.where(usable, np.fmax(values, 0.0), 0.0).astype(np.float64)
        size = sold.sum(axis=1, keepdims=True) / np.maximum(usable.sum(axis=1, keepdims=True), 1)  # usual sales
        ends = np.where(still_sold(block, end), end, block.ends)
        living = (columns >= block.starts[:, None]) & (columns < ends[:, None])
        for into, what in ((top, sold), (seen, usable * size), (begun, living * size)):
            into[mine[edges]] += np.add.reduceat(what, edges, axis=0)
    if whole:
        return np.maximum(top, 0.0), np.ones(top.shape, dtype=np.bool_), np.ones(top.shape)
    share = np.where(begun > 0, seen / np.maximum(begun, 1e-12), 1.0)
    known = share >= LEAST_SHARE
    return np.where(known, top / np.maximum(share, LEAST_SHARE), 0.0), known, begun


def still_sold(panel: Panel, end: int) -> Flags:
    """Return [N] the series that go on at ordinal ``end``: of days, those that end in the week before.

    What was not recorded of their last days is unknown; a series that ended earlier has left the shop.
    """
    days = 7 if panel.freq.unit == "d" and panel.freq.count == 1 else 1
    going: Flags = (panel.ends > end - days) & (panel.lengths > 0)
    return going


def _aligned(block: Panel, first: int, end: int, length: int) -> tuple[Floats, Flags]:
    """Return [n, T] values and flags of series that end at different times, on common columns."""
    back = end - block.ends
    values, usable = block.window(length), block.available_window(length)
    columns = np.arange(length - (end - first), length)[None, :] + back[:, None]
    inside = columns < length
    columns = np.minimum(columns, length - 1)
    return np.take_along_axis(values, columns, axis=1), np.take_along_axis(usable, columns, axis=1) & inside


def _closed(total: Floats, known: Flags, freq: Frequency) -> Flags:
    """Return [T] days on which the whole shop sold under a tenth of its median over four weeks."""
    if freq.unit != "d" or len(total) < 28:
        return np.zeros(len(total), dtype=np.bool_)
    padded = np.concatenate([np.full(14, np.nan), np.where(known, total, np.nan), np.full(13, np.nan)])
    views = np.lib.stride_tricks.sliding_window_view(padded, 28)
    holds = (~np.isnan(views)).any(axis=1)
    usual = np.zeros(len(total))
    usual[holds] = np.nanmedian(views[holds], axis=1)
    closed: Flags = known & (total < CLOSED_SHARE * usual)
    return closed


def _words_on(panel: Panel, ordinals: Integers) -> dict[str, Flags]:
    """Return [L] when each word of the text covariates that all series share holds."""
    found: dict[str, Flags] = {}
    for name, covariate in panel.known_future.items():
        if covariate.categories and covariate.shared:
            codes = covariate.at(ordinals[:1], len(ordinals))[0]
            found |= {f"{name} {word}": codes == i for i, word in enumerate(covariate.categories)}
    return found


def _closed_weekdays(freq: Frequency, ordinals: Integers, closed: Flags) -> Flags:
    """Return [L] the weekdays on which the shop has been closed all the last half year."""
    found = np.zeros(len(ordinals), dtype=np.bool_)
    if freq.unit != "d" or not closed.any():
        return found
    weekday = freq.weekday(ordinals)
    recent = weekday[: len(closed)][-HABIT_DAYS:]
    for day in range(7):
        mine = closed[-HABIT_DAYS:][recent == day]
        if len(mine) >= 8 and mine.all():
            found |= weekday == day
    return found


def _closes(freq: Frequency, ordinals: Integers, closed: Flags, weekdays: Flags, words: dict[str, Flags]) -> Flags:
    """Return [L] dates on which a shop that keeps its habits is closed.

    A day of the year, or a day that a word such as a holiday's name marks, on which the shop was closed every time it
    came round, at least twice. A date that fell on one of the ``weekdays`` [L] that are closed anyway tells nothing.
    """
    found = np.zeros(len(ordinals), dtype=np.bool_)
    if freq.unit != "d" or not closed.any():
        return found
    past = len(closed)
    tells = ~weekdays[:past]
    days = freq.moments(ordinals).astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    date = (months.astype(np.int64) % 12) * 32 + (days - months.astype("datetime64[D]")).astype(np.int64)
    dates = [date == value for value in np.unique(date[:past][closed & tells])]
    for came in (*dates, *words.values()):
        before = came[:past] & tells
        if before.sum() >= 2 and closed[before].all():
            found |= came
    return found


def _regressors(panel: Panel, nodes: Nodes, ordinals: Integers) -> tuple[Regressor, ...]:
    """Return the covariates of the nodes: flags, and words of text, read off some series of each cell."""
    code = nodes.cell_of(panel.series)
    keys = panel.ids.hash(seed=2).to_numpy()
    order = np.lexsort((keys, code))
    edges = np.flatnonzero(np.r_[True, code[order][1:] != code[order][:-1], True])
    rows = np.concatenate(
        [order[low : min(low + ASKED_PER_CELL, high)] for low, high in zip(edges[:-1], edges[1:], strict=True)]
    )
    mine, starts = code[rows], np.full(len(rows), ordinals[0], dtype=np.int64)
    found: list[Regressor] = []

    def add(name: str, holds: Floats, known: Flags) -> Floats | None:
        """Add a covariate as seen by the asked series [n, L] or by all [1, L]; return the cells' if it looks common."""
        if len(holds) == 1:
            found.append(Regressor(name, holds, common=True))
            return None
        cells, count = np.zeros((len(nodes.cells), len(ordinals))), np.zeros((len(nodes.cells), len(ordinals)))
        np.add.at(cells, mine, holds)
        np.add.at(count, mine, known)
        cells /= np.maximum(count, 1.0)
        common = bool(np.isin(cells, (0.0, 1.0)).all())
        values = nodes.summed(cells) / nodes.summed(np.ones((len(nodes.cells), 1)))
        found.append(Regressor(name, values[:1] if (values == values[:1]).all() else values, common))
        return cells if common else None

    for name, covariate in sorted(panel.known_future.items()):
        if name == "open":
            continue
        read = covariate.select(rows)
        values = read.at(starts[:1] if read.shared else starts, len(ordinals))
        shared: dict[int, tuple[float, Floats]] = {}  # place of a regressor -> value of the covariate, [C, L]
        for what, mark in _marks(name, read, values, ordinals):
            cells = add(what, (values == mark).astype(np.float64), ~np.isnan(values))
            if cells is not None:
                shared[len(found) - 1] = (mark, cells)
        for place in _apart(covariate, code, ordinals, shared):
            found[place] = replace(found[place], common=False)
    return tuple(found)


def _marks(name: str, covariate: Covariate, values: Floats, ordinals: Integers) -> list[tuple[str, float]]:
    """Return names of what a covariate marks, and the value that marks it: a flag that is up, words but the usual one.

    ``values`` [n, L] are those of the covariate at ``ordinals``; of an amount nothing is marked.
    """
    given = values[~np.isnan(values)]
    if not covariate.categories:
        return [(name, 1.0)] if len(given) and np.isin(given, (0.0, 1.0)).all() and 0 < given.mean() < 1 else []
    lengths = np.array([len(covariate.values)]) if covariate.offsets is None else np.diff(covariate.offsets)
    first, last = covariate.starts[:, None], (covariate.starts + lengths)[:, None]
    told = int(((ordinals >= first) & (ordinals < last)).sum())  # periods with a word, or knowingly without one
    counts = np.bincount(given.astype(np.int64), minlength=len(covariate.categories))
    usual = counts >= 0.5 * told  # the word for an ordinary day marks nothing
    return [(f"{name} {word}", float(i)) for i, word in enumerate(covariate.categories) if counts[i] and not usual[i]]


def _apart(
    covariate: Covariate, code: Integers, ordinals: Integers, shared: dict[int, tuple[float, Floats]]
) -> set[int]:
    """Return those of ``shared`` that some series of a cell, of which few were asked, does not see as its cell does."""
    apart: set[int] = set()
    cells_up = {place: (value, cells > 0) for place, (value, cells) in shared.items()}
    for low in range(0, len(code), ROWS_AT_ONCE):
        if len(apart) == len(shared):
            break
        rows = np.arange(low, min(low + ROWS_AT_ONCE, len(code)))
        values = covariate.select(rows).at(np.full(len(rows), ordinals[0], dtype=np.int64), len(ordinals))
        known = ~np.isnan(values)
        for place in shared.keys() - apart:
            value, up = cells_up[place]
            if (known & ((values == value) != up[code[rows]])).any():
                apart.add(place)
    return apart
