"""Joint sample paths: how marginal distributions are tied together over time and between series.

Each series' path is a rearrangement of stratified samples of its marginals, in the order of a Gaussian draw
``z = sqrt(w) world + sqrt(l) level + sqrt(1 - w - l) noise``: ``world`` is one draw for all series (path s is the same
world for every series), ``level`` one draw a series for the whole horizon (a level misjudged stays misjudged),
``noise`` is new every period. Draws are keyed by (seed, series id), never by position, so chunks change nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.tables import joined_text

Floats = npt.NDArray[np.floating[Any]]

_CELLS_PER_BLOCK: Final = 2_000_000  # sample cells [series, H, S] worked on at once: about 40 MB


@dataclass(frozen=True)
class Dependence:
    """Shares of the variance of the Gaussian draw behind each path.

    Parameters
    ----------
    world
        Share common to all series, new every period: the correlation between two series in one period.
    level
        Share kept by one series over the whole horizon: the correlation between two of its periods.
    world_level
        Share common to all series and kept over the whole horizon: the total misjudged stays misjudged.
    group, group_level
        The same two for the series of one group, such as a department of a store.
    columns
        Attributes of the series whose values name its group; empty where there are no groups.

    >>> Dependence(world=0.7, level=0.6)
    Traceback (most recent call last):
    shelfwise.domain.errors.ParameterError: shares must be at least 0, together at most 1, got world=0.7, level=0.6
    """

    world: float = 0.0
    level: float = 0.0
    world_level: float = 0.0
    group: float = 0.0
    group_level: float = 0.0
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (min(self.shares.values()) >= 0 and sum(self.shares.values()) <= 1 + 1e-12):
            given = ", ".join(f"{name}={share:g}" for name, share in self.shares.items() if share)
            raise ParameterError(f"shares must be at least 0, together at most 1, got {given}")

    @property
    def shares(self) -> dict[str, float]:
        """The shares by name; what they leave is new for every series and period."""
        names = ("world", "level", "world_level", "group", "group_level")
        return {name: float(getattr(self, name)) for name in names}

    def groups(self, series: pl.DataFrame) -> list[str] | None:
        """Return the group [N] of each series, None where groups share nothing."""
        if not (self.group or self.group_level) or any(name not in series.columns for name in self.columns):
            return None
        if not self.columns:
            return [""] * series.height
        return joined_text(series, self.columns, "\x1f").to_list()


def keyed_generator(seed: int, *key: str) -> np.random.Generator:
    """Return a random generator that depends on the seed and the words of the key alone.

    >>> float(keyed_generator(0, "a").random()) == float(keyed_generator(0, "a").random())
    True
    """
    digest = hashlib.blake2b("\x1f".join((str(seed), *key)).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def draw_paths(
    marginals: Marginals,
    dependence: Dependence,
    ids: Sequence[str],
    n_paths: int,
    seed: int,
    groups: Sequence[str] | None = None,
) -> npt.NDArray[np.float32]:
    """Return joint sample paths [N, S, H] in units.

    Every period of every series holds exactly the stratified samples of its marginal; only their order is drawn.

    Parameters
    ----------
    marginals
        Distributions [N, H].
    dependence
        How the order is tied over time and between series.
    ids
        [N] series ids, the keys of the draws.
    n_paths
        Number of paths S, at least 2.
    seed
        Same seed, same paths.
    groups
        [N] names of the series' groups, the keys of what groups share; None where they share nothing.
    """
    if n_paths < 2:
        raise ParameterError(f"n_paths must be at least 2, got {n_paths}")
    n, horizon = marginals.mean.shape
    paths = np.empty((n, horizon, n_paths), dtype=np.float32)
    shocks = _Shocks(dependence, horizon, n_paths, seed)
    step = max(1, _CELLS_PER_BLOCK // (horizon * n_paths))

    def fill(low: int) -> None:
        rows = slice(low, min(low + step, n))
        block = Marginals(marginals.mean[rows], marginals.variance[rows], marginals.is_count)
        draws = shocks.draws(ids[rows], None if groups is None else groups[rows])
        order = _order(draws)
        order += np.arange(0, order.size, n_paths).reshape(*order.shape[:2], 1)
        paths[rows].reshape(-1)[order.reshape(-1)] = block.stratified(n_paths).reshape(-1)

    if n <= step:  # a single block needs no threads, which cost more than the paths of one series
        if n:
            fill(0)
        return paths.transpose(0, 2, 1)
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        list(pool.map(fill, range(0, n, step)))
    return paths.transpose(0, 2, 1)


def paths_under(
    marginals: Marginals, dependences: Sequence[Dependence], ids: Sequence[str], n_paths: int, seed: int
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the paths [N, S, H] that `draw_paths` draws under each dependence, for the work of little more than one.

    All are ordered by the same draws, so that they tell dependences apart that differ little. For few series at a time,
    and dependences without groups.
    """
    samples = marginals.stratified(n_paths)
    level = np.empty((len(ids), 1, n_paths), dtype=np.float32)
    own = np.empty(samples.shape, dtype=np.float32)
    _Shocks.draw(ids, seed, level, own)
    for dependence in dependences:
        shocks = _Shocks(dependence, samples.shape[1], n_paths, seed)
        paths = np.empty(samples.shape, dtype=np.float32)
        np.put_along_axis(paths, _order(shocks.mixed(level, own.copy())), samples, axis=-1)
        yield paths.transpose(0, 2, 1)


class _Shocks:
    """What series share, drawn once, and the draws [n, H, S] that order the samples of each."""

    def __init__(self, dependence: Dependence, horizon: int, n_paths: int, seed: int) -> None:
        self.dependence, self.horizon, self.n_paths, self.seed = dependence, horizon, n_paths, seed
        self.world = self._shared("world", dependence.world, dependence.world_level)

    def draws(self, ids: Sequence[str], groups: Sequence[str] | None) -> npt.NDArray[np.float32]:
        """Return the draws z [n, H, S] of some series."""
        level = np.empty((len(ids), 1, self.n_paths), dtype=np.float32)
        own = np.empty((len(ids), self.horizon, self.n_paths), dtype=np.float32)
        self.draw(ids, self.seed, level, own)
        return self.mixed(level, own, groups)

    @staticmethod
    def draw(ids: Sequence[str], seed: int, level: npt.NDArray[np.float32], own: npt.NDArray[np.float32]) -> None:
        """Draw what each series keeps over the horizon into ``level`` [n, 1, S], what is new into ``own`` [n, H, S]."""
        for row, unique_id in enumerate(ids):
            generator = keyed_generator(seed, "path", unique_id)
            generator.standard_normal(out=level[row, 0], dtype=np.float32)
            generator.standard_normal(out=own[row], dtype=np.float32)

    def mixed(
        self, level: npt.NDArray[np.float32], draws: npt.NDArray[np.float32], groups: Sequence[str] | None = None
    ) -> npt.NDArray[np.float32]:
        """Return the draws z [n, H, S], made in ``draws``, of what series draw by themselves and what they share."""
        shares = self.dependence.shares
        if groups is None:
            shares |= {"group": 0.0, "group_level": 0.0}
        draws *= np.float32(np.sqrt(max(0.0, 1.0 - sum(shares.values()))))
        if shares["level"]:
            draws += np.float32(np.sqrt(shares["level"])) * level
        if self.world is not None:
            draws += self.world
        if groups is not None:
            mine: dict[str, npt.NDArray[np.float32] | None] = {}
            for row, name in enumerate(groups):
                if name not in mine:
                    mine[name] = self._shared(f"group {name}", shares["group"], shares["group_level"])
                shared = mine[name]
                if shared is not None:
                    draws[row] += shared
        return draws

    def _shared(self, key: str, share: float, level_share: float) -> npt.NDArray[np.float32] | None:
        """Return [H, S] what all of one kind share: a new draw every period, and one for the whole horizon."""
        if not (share or level_share):
            return None
        generator = keyed_generator(self.seed, key)
        drawn = generator.standard_normal((self.horizon, self.n_paths), dtype=np.float32)
        drawn *= np.float32(np.sqrt(share))
        if level_share:
            lasting = keyed_generator(self.seed, key, "level").standard_normal(self.n_paths, dtype=np.float32)
            drawn += np.float32(np.sqrt(level_share)) * lasting
        return drawn


def _order(draws: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return the argsort of ``draws`` along the last axis.

    The float's bits, made to sort as a whole number, share one word with the position, so that one plain sort,
    several times faster than an argsort, carries the position along. Draws that agree in 32 - log2(S) bits tie.
    """
    n_paths = draws.shape[-1]
    bits = draws.view(np.int32)
    sortable = bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))
    width = int(n_paths - 1).bit_length()
    if width > 12:
        return np.argsort(sortable, axis=-1, kind="stable")
    mask = np.int32((1 << width) - 1)
    packed = (sortable & ~mask) | np.arange(n_paths, dtype=np.int32)
    packed.sort(axis=-1)
    return (packed & mask).astype(np.int64)
