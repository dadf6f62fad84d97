"""Joint sample paths: how marginal distributions are tied together over time and between series.

Each series' path is a rearrangement of stratified samples of its marginals, in the order of a Gaussian draw
``z = sqrt(w) world + sqrt(l) level + sqrt(1 - w - l) noise``: ``world`` is one draw for all series (path s is the same
world for every series), ``level`` one draw a series for the whole horizon (a level misjudged stays misjudged),
``noise`` is new every period. Draws are keyed by (seed, series id), never by position, so chunks change nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.marginals import Marginals

Floats = npt.NDArray[np.floating[Any]]

_CELLS_PER_BLOCK: Final = 2_000_000  # sample cells [series, H, S] worked on at once: about 40 MB


@dataclass(frozen=True)
class Dependence:
    """Shares of the variance of the Gaussian draw behind each path.

    Parameters
    ----------
    world
        Share common to all series: the correlation between two series in one period.
    level
        Share kept by one series over the whole horizon: the correlation between two of its periods.

    >>> Dependence(world=0.7, level=0.6)
    Traceback (most recent call last):
    shelfwise.domain.errors.ParameterError: world and level shares must be at least 0, together at most 1, got 0.7, 0.6
    """

    world: float = 0.0
    level: float = 0.0

    def __post_init__(self) -> None:
        if not (self.world >= 0 and self.level >= 0 and self.world + self.level <= 1):
            raise ParameterError(
                f"world and level shares must be at least 0, together at most 1, got {self.world:g}, {self.level:g}"
            )


def keyed_generator(seed: int, *key: str) -> np.random.Generator:
    """Return a random generator that depends on the seed and the words of the key alone.

    >>> float(keyed_generator(0, "a").random()) == float(keyed_generator(0, "a").random())
    True
    """
    digest = hashlib.blake2b("\x1f".join((str(seed), *key)).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def draw_paths(
    marginals: Marginals, dependence: Dependence, ids: Sequence[str], n_paths: int, seed: int
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
    """
    if n_paths < 2:
        raise ParameterError(f"n_paths must be at least 2, got {n_paths}")
    n, horizon = marginals.mean.shape
    paths = np.empty((n, horizon, n_paths), dtype=np.float32)
    world = keyed_generator(seed, "world").standard_normal((horizon, n_paths), dtype=np.float32)
    step = max(1, _CELLS_PER_BLOCK // (horizon * n_paths))

    def fill(low: int) -> None:
        rows = slice(low, min(low + step, n))
        block = Marginals(marginals.mean[rows], marginals.variance[rows], marginals.is_count)
        draws = _gaussian(dependence, ids[rows], world, seed)
        order = _order(draws)
        order += np.arange(0, order.size, n_paths).reshape(*order.shape[:2], 1)
        paths[rows].reshape(-1)[order.reshape(-1)] = block.stratified(n_paths).reshape(-1)

    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        list(pool.map(fill, range(0, n, step)))
    return paths.transpose(0, 2, 1)


def _gaussian(
    dependence: Dependence, ids: Sequence[str], world: npt.NDArray[np.float32], seed: int
) -> npt.NDArray[np.float32]:
    """Return the draws z [N, H, S] that order the samples."""
    horizon, n_paths = world.shape
    level = np.empty((len(ids), 1, n_paths), dtype=np.float32)
    draws = np.empty((len(ids), horizon, n_paths), dtype=np.float32)
    for row, unique_id in enumerate(ids):
        generator = keyed_generator(seed, "path", unique_id)
        generator.standard_normal(out=level[row, 0], dtype=np.float32)
        generator.standard_normal(out=draws[row], dtype=np.float32)
    draws *= np.float32(np.sqrt(1.0 - dependence.world - dependence.level))
    if dependence.level:
        draws += np.float32(np.sqrt(dependence.level)) * level
    if dependence.world:
        draws += np.float32(np.sqrt(dependence.world)) * world
    return draws


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
