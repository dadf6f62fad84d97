"""Whether a version that was just trained takes the champion's place: both asked for days that neither had seen.

The windows lie after the last day that the champion was trained on. There the champion says what it says in daily use,
and the challenger's model is fitted anew at each cutoff on what was known then, as the challenger was fitted on all of
it. Series by series their losses are compared as those of a backtest (`shelfwise.forecasting.comparison`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from shelfwise.app import App
from shelfwise.domain.errors import ConflictError
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.catalog import estimator
from shelfwise.forecasting.comparison import SeriesLosses, beside_the_best
from shelfwise.forecasting.contract import Predictor
from shelfwise.forecasting.scores import part_of
from shelfwise.forecasting.windows import Window, windows
from shelfwise.services import registry
from shelfwise.services.registry import Version

FEWEST_DAYS: Final = 7
"""Days after the champion's last that a comparison needs."""
LONGEST: Final = 28
CUTOFFS: Final = 2
CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"


@dataclass(frozen=True)
class Judged:
    """Whether the challenger is to answer from now on, and why, in a sentence."""

    takes_over: bool
    reason: str


def judged(app: App, model: str, panel: Panel, champion: Version, days: int) -> Judged:
    """Compare a model with the champion on the last ``days`` of a panel, none of which the champion was trained on."""
    if days < FEWEST_DAYS:
        return Judged(False, f"{days} days after {champion.label} was trained are too few to compare on")
    try:
        stands = registry.load(app, champion).predictor
    except ConflictError as error:
        return Judged(True, f"{champion.label} cannot answer any more: {error}")
    n_cutoffs = CUTOFFS if days >= CUTOFFS * FEWEST_DAYS else 1
    horizon = min(days // n_cutoffs, LONGEST)
    losses: list[SeriesLosses] = []
    for window in windows(panel, horizon, n_cutoffs):
        losses.append(_losses(app, CHAMPION, stands, window))
        losses.append(_losses(app, CHALLENGER, estimator(model).fit(window.past), window))
    if not losses:
        return Judged(False, f"nothing was recorded on the days after {champion.label} was trained")
    found = {row["model"]: row for row in beside_the_best(losses, seed=app.settings.seed).to_dicts()}
    return _verdict(found[CHAMPION], found[CHALLENGER], champion, f"{n_cutoffs} x {horizon} days it had not seen")


def _losses(app: App, name: str, predictor: Predictor, window: Window) -> SeriesLosses:
    settings = app.settings
    horizon = window.actual.shape[1]
    ahead = predictor.predict(window.past, horizon, n_paths=settings.n_paths, seed=settings.seed)
    part = part_of(name, window, ahead, window.past.freq.season, 0.0)
    return SeriesLosses(name, part.cutoff, part.ids, part.losses.sum(axis=1), part.units.sum(axis=1))


def _verdict(before: dict[str, Any], after: dict[str, Any], champion: Version, where: str) -> Judged:
    if before["wql"] is None or after["wql"] is None:
        return Judged(False, f"nothing was sold on the {where}, so there is nothing to compare")
    said = (
        f"WQL {after['wql']:.3f} beside {before['wql']:.3f} of {champion.label} on {where}, {after['series']:,} series"
    )
    if after["verdict"] == "worse":
        return Judged(False, f"{said}: worse by more than chance")
    # Without an interval, mostly for want of series, only what is no worse at all takes over.
    if after["verdict"] == "too few series":
        return Judged(False, f"{said}: worse, and whether by chance cannot be said")
    better = after["wql"] < before["wql"] and before["verdict"] == "worse"
    return Judged(True, f"{said}: {'better by more than chance' if better else 'not worse beyond chance'}")
