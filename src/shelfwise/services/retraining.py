"""Retraining by the clock: each night it is looked at which champions are due, and a training of each is queued.

A champion is due once there are at least `FEWEST_DAYS` of sales that the newest version of its scope does not know,
and one of these holds:

* that version is older than ``model_retrain_interval_days``;
* the history has grown by a quarter since it (a young shop);
* the champion's error over the last `WEEKS` weeks that were scored is over `WORSE` times that of its backtest.

Where nobody has trained a model there is no champion, and nothing is trained.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from shelfwise.app import App
from shelfwise.domain.errors import DataError, NotFound, ParameterError
from shelfwise.services import demand, model_performance, training
from shelfwise.services.challenging import FEWEST_DAYS
from shelfwise.services.demand import Demand
from shelfwise.services.registry import Version
from shelfwise.services.training import Training
from shelfwise.storage import registry as kept
from shelfwise.storage.registry import Score

GROWN: Final = 0.25
WEEKS: Final = 4
WORSE: Final = 1.25
MADE_BY: Final = "schedule"


@dataclass(frozen=True)
class Due:
    """A champion that is to be challenged, and why."""

    champion: Version
    why: str


def queue(app: App, progress: Callable[[str, int, int], None]) -> dict[str, Any]:
    """Queue a training for each champion that is due; return the jobs and why, by scope.

    A scope for which a training waits or runs gets no second one.
    """
    found = due(app, progress)
    queued = {}
    for one in found:
        wanted = Training(_model(one.champion), one.champion.scope, "not_worse", MADE_BY)
        if training.under_way(app, wanted) is None:
            queued[one.champion.scope] = {"job": training.put(app, wanted).id, "why": one.why}
    return {"queued": queued}


def due(app: App, progress: Callable[[str, int, int], None]) -> list[Due]:
    """Return the champions that are due; see the module's text for the rule."""
    interval = app.settings.model_retrain_interval_days
    with app.database.read() as connection:
        champions = kept.champions(connection) if interval else []
    if not champions:
        return []
    progress("reading the demand", 0, len(champions))
    try:
        known = demand.load(app)
    except DataError:  # a shop whose sales were all taken back
        return []
    made = []
    for number, champion in enumerate(champions, 1):
        progress("looking at champions", number, len(champions))
        with app.database.read() as connection:
            [newest] = kept.versions(connection, scope=champion.scope, limit=1)
        if not _may(known, newest):
            continue
        model_performance.score_here(app, champion.scope)
        with app.database.read() as connection:
            scores = kept.scores(connection, champion.id)
        why = _why(app, known, champion, newest, scores, dt.timedelta(days=interval))
        if why:
            made.append(Due(champion, why))
    return made


def _may(known: Demand, newest: Version) -> bool:
    """Return whether there is enough since a version, of something that still sells."""
    if (known.data_until - newest.data_until).days < FEWEST_DAYS:
        return False
    try:
        training.panel_of(known, newest.scope)
    except (NotFound, DataError, ParameterError):  # the product is gone, or its history was taken back
        return False
    return True


def _why(
    app: App, known: Demand, champion: Version, newest: Version, scores: Sequence[Score], interval: dt.timedelta
) -> str:
    age = app.now() - newest.created_at
    if age >= interval:
        return f"{newest.label} is {age.days} days old, the interval is {interval.days}"
    fresh = (known.data_until - newest.data_until).days
    before = int(training.panel_of(known, newest.scope)[1].lengths.max()) - fresh
    if fresh >= GROWN * before:
        return f"{fresh} days have come to the {max(before, 0)} that {newest.label} was trained on"
    trained = champion.metrics.get("wape")
    late = [float(score.metrics["wape"]) for score in scores[-WEEKS:] if score.metrics.get("wape") is not None]
    if trained and len(late) == WEEKS and (now := float(np.mean(late))) > WORSE * trained:
        return (
            f"{champion.label} was off by {now:.0%} of the units in the last {WEEKS} weeks, {trained:.0%} when trained"
        )
    return ""


def _model(champion: Version) -> str:
    return str(champion.parameters.get("model", champion.name))
