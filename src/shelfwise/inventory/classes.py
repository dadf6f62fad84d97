"""ABC-XYZ classes: how much a product-warehouse matters, how steadily it sells, and the service level that follows.

ABC ranks by value (money sold, or margin), XYZ by the coefficient of variation of demand. What matters much and sells
steadily is cheap to serve well; what hardly matters and sells by fits is dear. Sources: Dickie 1951 (ABC analysis);
Silver, Pyke and Thomas, 4th ed., chapter 2; Scholz-Reiter et al. 2012 (ABC-XYZ for service levels).

Letters: N product-warehouses, T periods.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from shelfwise.domain.errors import ParameterError

Floats = NDArray[np.float64]

ABC_SHARES: Final = (0.8, 0.95)
"""Shares of the whole value at which A ends and B ends."""

XYZ_VARIATION: Final = (0.5, 1.0)
"""Coefficients of variation up to which demand is X and Y."""

SERVICE_LEVELS: Final[Mapping[str, float]] = {
    "AX": 0.98, "AY": 0.97, "AZ": 0.95,
    "BX": 0.97, "BY": 0.95, "BZ": 0.92,
    "CX": 0.95, "CY": 0.92, "CZ": 0.90,
}  # fmt: skip
"""Cycle service level of each class where nobody has set one."""


def abc(value: ArrayLike, shares: tuple[float, float] = ABC_SHARES) -> NDArray[np.str_]:
    """Return the ABC class [N] of each item by its value [N], money.

    Ranked from the highest value down, an item is A while those before it hold less than the first share of the whole,
    B while less than the second, else C; so the one that crosses a share still belongs to the better class. Without
    value an item is C. Of equal values the earlier comes first.

    >>> "".join(abc([70.0, 15.0, 9.0, 4.0, 2.0, 0.0]))
    'AABBCC'
    """
    money = np.asarray(value, dtype=np.float64)
    if money.ndim != 1 or not np.all(np.isfinite(money)):
        raise ParameterError("value must be one finite amount of money for each item")
    if not 0 < shares[0] <= shares[1] <= 1:
        raise ParameterError(f"the shares of A and B must rise from above 0 to at most 1, got {shares}")
    money = np.maximum(money, 0.0)
    total = money.sum()
    order = np.argsort(-money, kind="stable")
    before = np.zeros(len(money))
    before[order] = np.cumsum(money[order]) - money[order]
    share = before / total if total > 0 else np.ones(len(money))
    grade = np.where(share < shares[0] - 1e-12, "A", np.where(share < shares[1] - 1e-12, "B", "C"))
    return np.where(money > 0, grade, "C")


def variation(demand: NDArray[Any]) -> Floats:
    """Return the coefficient of variation [N] of demand [N, T], standard deviation over mean; nan cells are not seen.

    Without demand, or with fewer than two periods seen, it is infinite: nothing about such an item is steady.

    >>> variation(np.array([[4.0, 4.0, 4.0, 4.0], [0.0, 8.0, 0.0, 8.0], [0.0, 0.0, 0.0, 0.0]])).tolist()
    [0.0, 1.0, inf]
    """
    seen = np.isfinite(demand)
    count = np.maximum(seen.sum(axis=1), 1)
    units = np.where(seen, demand, 0.0)
    mean = units.sum(axis=1) / count
    spread = np.where(seen, demand - mean[:, None], 0.0)
    sd = np.sqrt((spread**2).sum(axis=1) / count)
    steady = (seen.sum(axis=1) >= 2) & (mean > 0)
    return np.where(steady, sd / np.where(mean > 0, mean, 1.0), np.inf)


def xyz(coefficient: ArrayLike, limits: tuple[float, float] = XYZ_VARIATION) -> NDArray[np.str_]:
    """Return the XYZ class [N] of each item by its coefficient of variation [N].

    >>> "".join(xyz([0.2, 0.5, 0.8, 3.0, np.inf]))
    'XXYZZ'
    """
    spread = np.asarray(coefficient, dtype=np.float64)
    if np.any(np.isnan(spread)) or np.any(spread < 0):
        raise ParameterError("a coefficient of variation must be zero or more")
    if not 0 < limits[0] <= limits[1]:
        raise ParameterError(f"the limits of X and Y must rise from above 0, got {limits}")
    return np.where(spread <= limits[0], "X", np.where(spread <= limits[1], "Y", "Z"))


def service_levels(classes: pl.Series, levels: Mapping[str, float] = SERVICE_LEVELS) -> pl.Series:
    """Return the service level [N] that each class, such as ``AX``, sets.

    >>> service_levels(pl.Series(["AX", "CZ"])).to_list()
    [0.98, 0.9]
    """
    unknown = set(classes.unique()) - set(levels)
    if unknown:
        raise ParameterError(f"{sorted(unknown)[0]!r} is no class; classes are {', '.join(levels)}")
    return classes.replace_strict(dict(levels), return_dtype=pl.Float64)
