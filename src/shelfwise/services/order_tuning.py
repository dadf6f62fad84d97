"""Which decision suits a shop: critical ratio, widening and follow-on rule, chosen on its own past windows.

Every candidate is replayed on windows of the past, each `rounds` decisions long, one before the other. The last window
is never chosen on: it is held out, and what the choice would have cost there stands beside the defaults. Forecasts are
made once a round and serve every candidate, so a further candidate costs only its decisions. A candidate has to beat
the defaults by more than chance (the 90 % range of the difference, resampled over series, lies below zero), because a
few windows cannot tell a lucky candidate from a good one.

Letters: W windows chosen on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.app import App
from shelfwise.domain.errors import ParameterError
from shelfwise.domain.panel import Panel
from shelfwise.inventory.cost_table import Tuning
from shelfwise.inventory.replay_rules import Optimised
from shelfwise.inventory.replay_scores import Replay, difference
from shelfwise.services.replaying import Forecaster, ReplayWorld, shop_past, world

Floats = NDArray[np.float64]
Progress = Callable[[str, int, int], None]

CANDIDATES: Final = (
    Tuning(),
    *(Tuning(critical_ratio_factor=factor) for factor in (0.9, 0.95, 1.05, 1.1)),
    *(Tuning(widening=factor) for factor in (0.8, 1.25)),
    Tuning(follow_on="none"),
)
"""The defaults first, then one choice changed at a time; the best two of the first two kinds are tried together too."""


@dataclass(frozen=True, eq=False)
class TunedOrders:
    """What a shop's past chose for its orders, and what that would have cost on the window held out.

    Parameters
    ----------
    tuning
        The choice; the defaults where no candidate beat them by more than chance.
    candidates
        One row a candidate: its parameters, ``cost`` over the windows chosen on, ``difference`` to the defaults with
        ``error``, ``low`` and ``high``, and ``chosen``.
    held_out
        The defaults and the choice on the last window, which chose nothing.
    """

    tuning: Tuning
    candidates: pl.DataFrame
    held_out: Replay


def tune_orders(
    panel: Panel,
    *,
    windows: int = 2,
    rounds: int = 4,
    candidates: Sequence[Tuning] = CANDIDATES,
    forecaster: Forecaster,
    seed: int = 0,
    progress: Progress | None = None,
    **given: Any,
) -> TunedOrders:
    """Choose the parameters of `shelfwise.optimise` on windows of a panel's past before the last one.

    Parameters
    ----------
    windows
        Windows W to choose on; one more is held out at the end.
    rounds
        Decisions in each window.
    candidates
        What is tried; the first is what the others have to beat.
    forecaster, given
        As in `world`.
    seed
        Of the resamples.
    progress
        Called with what is being done, replays done and replays in all.
    """
    if windows < 1:
        raise ParameterError(f"windows must be at least 1, got {windows}")
    if not candidates:
        raise ParameterError("no candidate was given; leave them out for the usual ones")
    step = rounds * int(given.get("review_periods", 1))
    past = [
        world(panel, rounds=rounds, forecaster=forecaster, back=step * (number + 1), **given)
        for number in range(windows)
    ]
    tried, costs = list(candidates), []  # costs: of each candidate, a cost for every series of every window
    work = (len(tried) + 1) * windows + 2
    for number, tuning in enumerate(tried):
        if progress is not None:
            progress("trying decisions on the past", number * windows, work)
        costs.append(_costs(past, tuning))
    both = _together(tried, costs)
    if both is not None:
        tried.append(both)
        costs.append(_costs(past, both))
    rows, chosen, least = [], 0, float(costs[0].sum())
    for number, (tuning, cost) in enumerate(zip(tried, costs, strict=True)):
        beside = difference(cost, costs[0], seed=seed)
        if number and beside.high < 0 and cost.sum() < least:
            chosen, least = number, float(cost.sum())
        rows.append(
            {
                "critical_ratio_factor": tuning.critical_ratio_factor, "widening": tuning.widening,
                "follow_on": tuning.follow_on, "cost": float(cost.sum()), "difference": beside.value,
                "error": beside.error, "low": beside.low, "high": beside.high,
            }
        )  # fmt: skip
    table = pl.DataFrame(rows).with_row_index("place").with_columns(chosen=pl.col("place") == chosen).drop("place")
    if progress is not None:
        progress("looking at the window held out", work - 2, work)
    last = world(panel, rounds=rounds, forecaster=forecaster, **given)
    held_out = last.run({"default": Optimised(tried[0]), "tuned": Optimised(tried[chosen])}, seed=seed)
    return TunedOrders(tried[chosen], table, held_out)


def _costs(past: Sequence[ReplayWorld], tuning: Tuning) -> Floats:
    """Return what a candidate cost, series by series, window after window."""
    return np.concatenate([laid.run({"tried": Optimised(tuning)}).ledgers["tried"].cost for laid in past])


def _together(tried: Sequence[Tuning], costs: Sequence[Floats]) -> Tuning | None:
    """Return the best critical ratio and the best widening in one candidate, where both beat the defaults."""
    default = float(costs[0].sum())
    best: dict[str, tuple[float, float]] = {}
    for tuning, cost in zip(tried[1:], costs[1:], strict=True):
        for name in ("critical_ratio_factor", "widening"):
            value = getattr(tuning, name)
            if value != getattr(tried[0], name) and cost.sum() < min(default, best.get(name, (default, 0.0))[0]):
                best[name] = (float(cost.sum()), value)
    if len(best) < 2:
        return None
    return Tuning(critical_ratio_factor=best["critical_ratio_factor"][1], widening=best["widening"][1])


def of_shop(
    app: App,
    *,
    before_rounds: int = 0,
    windows: int = 1,
    rounds: int = 4,
    model: str | None = None,
    products: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> TunedOrders:
    """Choose how orders are decided on the store's own past, in its own money.

    Parameters
    ----------
    before_rounds
        Leave out the periods that a replay of so many rounds takes, so that it has chosen nothing.
    windows, rounds, progress
        As in `tune_orders`.
    model, products
        As in `shelfwise.services.replaying.shop_past`.
    """
    past = shop_past(app, model=model, products=products)
    panel = past.before(before_rounds) if before_rounds else past.panel
    return tune_orders(panel, windows=windows, rounds=rounds, seed=app.settings.seed, progress=progress, **past.given)
