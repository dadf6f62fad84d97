"""How versions of models do: what was measured when they were trained, and what came true since.

A version that was trained until some day is asked, week by week after it, for the next seven days, with the sales known
then and nothing later; what it says is held against what came. A week is scored once it is over, and its score is kept.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from shelfwise.app import App
from shelfwise.domain.errors import ConflictError, StorageError
from shelfwise.domain.panel import Panel
from shelfwise.execution.local import Workers
from shelfwise.services import demand, measuring, registry
from shelfwise.services.demand import DAILY, Demand
from shelfwise.services.names import product_code
from shelfwise.services.registry import PRODUCT, SHOP, Described, Version
from shelfwise.services.shop_processes import Late, ask
from shelfwise.storage import registry as kept
from shelfwise.storage.registry import Score

_log: Final = logging.getLogger(__name__)

WEEK: Final = 7
MOST_WEEKS: Final = 26
"""Latest weeks of a version that are looked at."""
MOST_VERSIONS: Final = 10


@dataclass(frozen=True)
class Performance:
    """A version and its scores on days that came after it was trained, the oldest first.

    Parameters
    ----------
    note
        Why there may be more than is told; empty where there is not.
    """

    described: Described
    scores: tuple[Score, ...]
    note: str = ""


def performance(app: App, scope: str = SHOP, workers: Workers | None = None) -> list[Performance]:
    """Return the newest versions of a scope with their scores; weeks that ended since are scored first.

    Raises
    ------
    ParameterError
        There is no such scope.
    """
    registry.check_scope(scope)
    note = ""
    try:
        ask(app, workers, score_here, scope)
    except Late as late:
        note = f"not every week was scored: {late}"
    found = registry.listed(app, scope=scope, limit=MOST_VERSIONS)
    with app.database.read() as connection:
        return [Performance(one, tuple(kept.scores(connection, one.version.id)), note) for one in found]


def score_here(app: App, scope: str) -> int:
    """Score every week that is over and was not scored yet, of the newest versions; return how many."""
    versions = [one.version for one in registry.listed(app, scope=scope, limit=MOST_VERSIONS)]
    with app.database.read() as connection:
        known = {one.id: {score.cutoff for score in kept.scores(connection, one.id)} for one in versions}
    if not versions:
        return 0
    shop = demand.load(app)
    done = 0
    for version in versions:
        missing = [day for day in _cutoffs(version, shop) if day not in known[version.id]]
        if missing and version.state == "ready":
            done += _score(app, version, _panel(shop, version), missing)
    return done


def _cutoffs(version: Version, shop: Demand) -> list[dt.date]:
    """Return the last known days of the weeks that are over since a version was trained."""
    weeks = (shop.data_until - version.data_until).days // WEEK
    return [version.data_until + dt.timedelta(days=WEEK * week) for week in range(max(weeks, 0))][-MOST_WEEKS:]


def _panel(shop: Demand, version: Version) -> Panel:
    if not version.scope.startswith(PRODUCT):
        return shop.panel
    return shop.only([product_code(shop.products, version.scope.removeprefix(PRODUCT))]).panel


def _score(app: App, version: Version, panel: Panel, cutoffs: Sequence[dt.date]) -> int:
    try:
        predictor = registry.load(app, version).predictor
    except ConflictError as error:
        _log.warning("%s is not scored: %s", version.label, error)
        return 0
    settings = app.settings
    for cutoff in cutoffs:
        after = DAILY.ordinal(cutoff) + 1 + WEEK
        some = panel.select(panel.ends >= after)
        past, actual, scored = some.until(after).split(WEEK)
        keep = past.lengths > 0
        told = measuring.scored(
            predictor, past.select(keep), actual[keep], scored[keep], str(cutoff), settings.n_paths, settings.seed
        )
        _save(app, Score(version.id, cutoff, WEEK, told.metrics(), app.now()))
    return len(cutoffs)


def _save(app: App, score: Score) -> None:
    try:
        with app.database.write() as connection:
            kept.save_score(connection, score)
    except StorageError as error:  # a full disk must not keep the scores that are known from the one who asked
        _log.warning("a score was not kept: %s", error)


def as_metrics(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return metrics as they were kept, with every name there is today."""
    return {**measuring.Measured(reason="it was not measured").metrics(), **metrics}
