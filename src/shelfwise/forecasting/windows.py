"""Rolling windows over a panel's past.

A window is a type: `Window.past` may be given to a model, `Window.actual` never.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.panel import Panel

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Window:
    """One cutoff: what was known, and what came.

    Parameters
    ----------
    cutoff
        Label of the last known period.
    past
        The panel up to the cutoff.
    actual
        [N, H] what came. Never give it to a model.
    scored
        [N, H] where ``actual`` is demand: recorded and on sale. Censored periods are never scored.
    """

    cutoff: str
    past: Panel
    actual: Floats
    scored: npt.NDArray[np.bool_]


def windows(panel: Panel, horizon: int, n_cutoffs: int, step: int | None = None) -> Iterator[Window]:
    """Yield rolling windows, oldest cutoff first.

    Parameters
    ----------
    panel
        N series; those not begun at a cutoff are left out of its window.
    horizon
        Periods H after each cutoff.
    n_cutoffs
        Number of cutoffs.
    step
        Periods between cutoffs; None takes the horizon, so that windows do not overlap.

    Raises
    ------
    ParameterError
        The history is too short for so many cutoffs.
    """
    step = horizon if step is None else step
    if horizon < 1 or n_cutoffs < 1 or step < 1:
        raise ParameterError(f"horizon, cutoffs and step must be at least 1, got {horizon}, {n_cutoffs}, {step}")
    longest = int(panel.lengths.max(initial=0))
    needed = horizon + step * (n_cutoffs - 1) + 1
    if longest < needed:
        raise ParameterError(
            f"{n_cutoffs} cutoffs of {horizon} periods need {needed} periods of history, the longest series has "
            f"{longest}; use fewer cutoffs or a shorter horizon"
        )
    for back in range(step * (n_cutoffs - 1), -1, -step):
        known = panel.until(panel.ends - back)
        past, actual, scored = known.split(horizon)
        keep = past.lengths > 0  # and not only those with something to score: at the cutoff nobody knew which those are
        if scored[keep].any():
            label = past.freq.moments([int(past.ends[keep].max()) - 1])[0]
            text = str(label.astype("datetime64[D]") if past.freq.is_daily_or_longer else label.astype("datetime64[m]"))
            yield Window(text, past.select(keep), actual[keep], scored[keep])
