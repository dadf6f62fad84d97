"""Which decision suits a shop: critical ratio, widening and follow-on rule, chosen on its own past windows.

Every candidate is replayed on windows of the past, each `rounds` decisions long, one before the other. The last window
is never chosen on: it is held out, and what the choice would have cost there stands beside the defaults. Forecasts are
made once a round and serve every candidate, so a further candidate costs only its decisions. A candidate has to beat
the defaults by more than chance (the 90 % range of the difference, resampled over series, lies below zero), because a
few windows cannot tell a lucky candidate from a good one. `AsItGoes` chooses by the same rule inside a replay, anew in
every round.

Letters: W windows chosen on, C candidates, N series, T periods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.app import App
from shelfwise.domain.errors import ParameterError
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.panel import Panel
from shelfwise.inventory.order_inputs import Tuning
from shelfwise.inventory.replay import OrderRule, Situation
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


LEARNING: Final = 8
"""Rounds before a replay over which candidates have run the shop when the first round of `AsItGoes` chooses."""


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


@dataclass(eq=False)
class AsItGoes:
    """Ours, with the choice made anew in every round of a replay, from what each candidate has cost by then.

    Every candidate has run the shop since `LEARNING` rounds before the replay, with its own stock; a round takes the
    cheapest so far that beats the first by more than chance. A period's cost counts when it is over, not before.

    Parameters
    ----------
    candidates
        The first is taken until another has beaten it.
    costs
        [C, N, T] money by candidate, series and period, from the first round of learning on.
    first
        Period of the replay's first round within them.
    review_periods
        Periods between rounds.
    chosen
        The candidate taken in each round so far.
    """

    candidates: Sequence[Tuning]
    costs: Floats
    first: int
    review_periods: int
    seed: int = 0
    chosen: dict[int, int] = field(default_factory=dict)

    def __call__(self, now: Situation) -> Floats:
        """Return the units [N] to order."""
        number = now.round.number
        if number not in self.chosen:
            self.chosen[number] = self.choice(self.first + number * self.review_periods)
        return Optimised(self.candidates[self.chosen[number]])(now)

    def choice(self, known: int) -> int:
        """Return which candidate is taken when so many periods are over."""
        so_far = self.costs[:, :, :known].sum(axis=2)  # [C, N]
        place, least = 0, float(so_far[0].sum())
        if least <= 0:
            return place
        for number in range(1, len(so_far)):
            beside = difference(so_far[number], so_far[0], seed=self.seed)
            if beside.high < 0 and so_far[number].sum() < least:
                place, least = number, float(so_far[number].sum())
        return place

    def said(self) -> str:
        """Say what was taken in which round."""
        parts: list[tuple[int, str]] = []
        for number in sorted(self.chosen):
            tuning = self.candidates[self.chosen[number]]
            words = (
                "the defaults"
                if tuning == Tuning()
                else f"critical ratio x {tuning.critical_ratio_factor:g}, paths x {tuning.widening:g}, follow-on "
                f"{tuning.follow_on}"
            )
            if not parts or parts[-1][1] != words:
                parts.append((number + 1, words))
        return "tuned took " + "; ".join(f"from round {number} on {words}" for number, words in parts)


def tuned_as_it_goes(
    panel: Panel,
    laid: ReplayWorld,
    *,
    candidates: Sequence[Tuning] = CANDIDATES,
    forecaster: Forecaster,
    seed: int = 0,
    progress: Progress | None = None,
    **given: Any,
) -> AsItGoes:
    """Return the policy that tunes itself in every round of a replay with what was known then.

    Parameters
    ----------
    panel, forecaster, given
        As in `world`, of the replay; ``rounds`` is that of the replay.
    laid
        The replay's world; its forecasts are used again.

    Raises
    ------
    DataError
        No series has a history before the rounds that are learnt from.
    """
    if not candidates:
        raise ParameterError("no candidate was given; leave them out for the usual ones")
    rounds, review = len(laid.rounds), laid.terms.review_periods
    made = {int(one.history.ends.max()): one for one in laid.rounds}

    def again(history: Panel, horizon: int) -> Forecast:
        """Return the forecast of a round that the replay has, without the series too young to learn from."""
        one = made.get(int(history.ends.max()))
        if one is None:
            return forecaster(history, horizon)
        places = pl.DataFrame({"unique_id": one.history.ids}).with_row_index("place")
        wanted = pl.DataFrame({"unique_id": history.ids})
        rows = wanted.join(places, on="unique_id", how="left", maintain_order="left")["place"].to_numpy()
        return one.forecast if len(rows) == len(one.forecast) else one.forecast.select(rows.astype(np.int64))

    before = world(panel, **{**given, "rounds": rounds + LEARNING, "opening": None, "forecaster": again})
    costs = []
    for number, tuning in enumerate(candidates):
        if progress is not None:
            progress("trying decisions on the past", number, len(candidates))
        costs.append(before.run({"tried": Optimised(tuning)}).ledgers["tried"].period_cost)
    return AsItGoes(candidates, np.stack(costs), LEARNING * review, review, seed)


def run_tuned(
    panel: Panel,
    laid: ReplayWorld,
    policies: Mapping[str, OrderRule],
    *,
    seed: int = 0,
    progress: Progress | None = None,
    **given: Any,
) -> Replay:
    """Run policies in a replay's world, and ``tuned`` beside them; parameters as in `tuned_as_it_goes`."""
    if "tuned" in policies:
        raise ParameterError("a policy is called 'tuned' already; give it another name, or leave tune out")
    own = tuned_as_it_goes(panel, laid, seed=seed, progress=progress, **given)
    done = laid.run({**policies, "tuned": own}, seed=seed, progress=progress)
    return replace(done, notes=(*done.notes, own.said()))


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
