"""How far off a model is, measured by letting it forecast days that are known: never a figure that was not.

A rolling-origin backtest: at each cutoff the model is fitted on what was known then, and what it says of the next
periods is held against what came. Letters: N series, H periods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.domain.panel import Panel
from shelfwise.forecasting.catalog import estimator
from shelfwise.forecasting.contract import Predictor
from shelfwise.forecasting.windows import windows
from shelfwise.services.registry import numbers

Floats = npt.NDArray[np.floating[Any]]
Flags = npt.NDArray[np.bool_]

LONGEST: Final = 28
"""Periods after a cutoff that are scored at most."""
CUTOFFS: Final = 2
FEWEST: Final = 14
"""Periods of history that a model needs before the first cutoff, so that what is measured means something."""
_SUMS: Final = ("cells", "squared", "absolute", "units", "share", "sold", "covered")


@dataclass(frozen=True, eq=False)
class Measured:
    """Sums of errors by series, from which any part of the shop has its metrics.

    Parameters
    ----------
    ids
        [N] the series.
    sums
        Each [N]: scored ``cells``, sums of squared and absolute errors and of units, the sum of absolute errors as a
        ``share`` of what ``sold``, over the cells that sold, and the cells ``covered`` by the 80 % band.
    cutoffs, horizon
        Labels of the last known periods, and H.
    reason
        Why there is nothing; empty where there is.
    """

    ids: tuple[str, ...] = ()
    sums: Mapping[str, Floats] = field(default_factory=dict)
    cutoffs: tuple[str, ...] = ()
    horizon: int = 0
    reason: str = ""

    def metrics(self, ids: tuple[str, ...] | None = None) -> dict[str, Any]:
        """Return the metrics of some series, None for all: null with a ``reason`` where nothing was scored.

        ``rmse`` in units, ``mape`` over the periods that sold, ``wape``, the ``coverage`` of the 80 % band, and over
        what they were measured.
        """
        rows = np.array([ids is None or one in set(ids or ()) for one in self.ids], dtype=np.bool_)
        total = {name: float(self.sums[name][rows].sum()) if len(rows) else 0.0 for name in _SUMS}
        reason = self.reason or ("" if total["cells"] else "nothing of these series was recorded after a cutoff")
        with np.errstate(invalid="ignore", divide="ignore"):
            cells, sold, units = (np.float64(total[name]) for name in ("cells", "sold", "units"))
            found = numbers(
                {
                    "mape": total["share"] / sold, "rmse": np.sqrt(total["squared"] / cells),
                    "wape": total["absolute"] / units, "coverage": total["covered"] / cells,
                }
            )  # fmt: skip
        return {
            **found, "cells": int(total["cells"]), "series": int(rows.sum()), "cutoffs": list(self.cutoffs),
            "horizon": self.horizon, "reason": reason or None,
        }  # fmt: skip

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return it as named arrays, from which `from_arrays` makes it again."""
        return {
            "ids": np.array(self.ids, dtype=np.str_), "cutoffs": np.array(self.cutoffs, dtype=np.str_),
            "horizon": np.array(self.horizon), "reason": np.array(self.reason),
            **{name: np.asarray(values, dtype=np.float64) for name, values in self.sums.items()},
        }  # fmt: skip

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Measured:
        """Read what `to_arrays` returned."""
        return cls(
            tuple(arrays["ids"].tolist()), {name: arrays[name] for name in _SUMS if name in arrays},
            tuple(arrays["cutoffs"].tolist()), int(arrays["horizon"]), str(arrays["reason"]),
        )  # fmt: skip


def measure(
    panel: Panel, model: str, horizon: int, *, n_paths: int, seed: int, in_time: Callable[[], bool] = lambda: True
) -> Measured:
    """Backtest a model on a panel, fitted anew at each cutoff.

    Parameters
    ----------
    horizon
        Periods wanted; at most `LONGEST` are scored, and fewer where the history is short.
    in_time
        Asked before each cutoff; where it says no, nothing more is measured.
    """
    longest = int(panel.lengths.max(initial=0))
    wanted = min(horizon, LONGEST)
    n_cutoffs = next((n for n in range(CUTOFFS, 0, -1) if longest >= FEWEST + n * wanted), 0)
    if not n_cutoffs:
        return Measured(
            reason=f"{longest} periods of history are too few to try {wanted} periods ahead on them; "
            f"{FEWEST + wanted} are enough"
        )
    made: list[Measured] = []
    for window in windows(panel, wanted, n_cutoffs):
        if not in_time():
            break
        predictor = estimator(model).fit(window.past)
        made.append(scored(predictor, window.past, window.actual, window.scored, window.cutoff, n_paths, seed))
    if not made:
        return Measured(reason="it was not measured within the time limit")
    return _joined(made)


def scored(
    predictor: Predictor, past: Panel, actual: Floats, keep: Flags, cutoff: str, n_paths: int, seed: int
) -> Measured:
    """Return the sums of one cutoff: what a predictor says after ``past`` beside ``actual`` [N, H] where ``keep``."""
    horizon = actual.shape[1]
    ahead = predictor.predict(past, horizon, n_paths=n_paths, seed=seed)
    mean = ahead.mean()
    band = ahead.quantiles([0.1, 0.9])  # [N, H, 2]
    y = np.where(keep, actual, 0.0)
    error = np.where(keep, np.abs(y - mean), 0.0)
    sold = keep & (y > 0)
    sums = {
        "cells": keep.sum(axis=1), "squared": (error**2).sum(axis=1), "absolute": error.sum(axis=1),
        "units": y.sum(axis=1), "share": np.where(sold, error / np.where(sold, y, 1.0), 0.0).sum(axis=1),
        "sold": sold.sum(axis=1), "covered": (keep & (y >= band[..., 0]) & (y <= band[..., 1])).sum(axis=1),
    }  # fmt: skip
    floats = {name: np.asarray(values, dtype=np.float64) for name, values in sums.items()}
    return Measured(tuple(past.ids.to_list()), floats, (cutoff,), horizon)


def _joined(parts: list[Measured]) -> Measured:
    """Return the sums of all cutoffs; a series that had not begun at the first ones has those of the others."""
    ids = tuple(dict.fromkeys(one for part in parts for one in part.ids))
    place = {one: row for row, one in enumerate(ids)}
    sums = {name: np.zeros(len(ids)) for name in _SUMS}
    for part in parts:
        rows = [place[one] for one in part.ids]
        for name in _SUMS:
            sums[name][rows] += part.sums[name]
    return Measured(ids, sums, tuple(part.cutoffs[0] for part in parts), parts[0].horizon)
