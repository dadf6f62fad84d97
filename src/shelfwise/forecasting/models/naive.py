"""Seasonal naive: the last season again, with the changes seen from season to season as its spread."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.forecast import Forecast, Provenance
from shelfwise.domain.panel import Panel
from shelfwise.domain.paths import keyed_generator
from shelfwise.forecasting.contract import check_horizon

Floats = npt.NDArray[np.floating[Any]]
VERSION: Final = "1"


@dataclass(frozen=True)
class SeasonalNaive:
    """Seasonal naive's one parameter.

    Parameters
    ----------
    season
        Periods after which the pattern repeats; None takes the frequency's own (a week of days, a year of weeks).
    changes
        Latest season-to-season changes that spread the paths, at least 1 season's worth.

    >>> SeasonalNaive(season=0)
    Traceback (most recent call last):
    shelfwise.domain.errors.ParameterError: season must be at least 1 period, got 0
    """

    name: str = field(default="seasonal_naive", init=False)
    season: int | None = None
    changes: int = 8

    def __post_init__(self) -> None:
        if self.season is not None and self.season < 1:
            raise ParameterError(f"season must be at least 1 period, got {self.season}")
        if self.changes < 1:
            raise ParameterError(f"changes must be at least 1 season's worth, got {self.changes}")

    def fit(self, panel: Panel) -> SeasonalNaivePredictor:
        """Return the predictor; nothing is estimated but the season's length."""
        return SeasonalNaivePredictor(self.season or panel.freq.season, self.changes)

    def restore(self, arrays: dict[str, npt.NDArray[Any]]) -> SeasonalNaivePredictor:
        """Return the predictor that `SeasonalNaivePredictor.to_arrays` described."""
        season, changes = arrays["season"].tolist()
        return SeasonalNaivePredictor(int(season), int(changes))


@dataclass(frozen=True)
class SeasonalNaivePredictor:
    """Seasonal naive with its season known."""

    season: int
    changes: int
    name: str = field(default="seasonal_naive", init=False)
    version: str = field(default=VERSION, init=False)

    def predict(self, panel: Panel, horizon: int, *, n_paths: int = 200, seed: int = 0) -> Forecast:
        """Return the last season repeated; see `contract.Predictor.predict`.

        Each path adds, season by season, changes drawn from the series' own, up or down: after k seasons the spread is
        that of k changes. A place of the season never seen takes one of the series' own values, drawn for each path.
        """
        check_horizon(horizon)
        if n_paths < 2:
            raise ParameterError(f"n_paths must be at least 2, got {n_paths}")
        season = self.season
        seasons = -(-horizon // season)
        past = panel.window((self.changes + 1) * season)  # [N, (changes + 1) x season]
        past = np.where(panel.available_window(past.shape[1]), np.maximum(past, 0.0), np.nan)
        last = _latest(past, season)  # [N, season]
        change = past[:, season:] - past[:, :-season]  # [N, changes x season]
        paths = np.empty((panel.n_series, n_paths, horizon), dtype=np.float32)
        for row, unique_id in enumerate(panel.ids.to_list()):
            own = past[row][~np.isnan(past[row])]
            known = change[row][~np.isnan(change[row])]
            if not len(known):  # under a season of history: neighbours, or one value that may as well be none or two
                known = np.diff(own) if len(own) > 1 else own if len(own) else np.array([0.0])
            generator = keyed_generator(seed, "seasonal_naive", unique_id)
            drawn = generator.choice(known, size=(n_paths, seasons, season))
            drawn *= generator.choice([-1.0, 1.0], size=drawn.shape)  # up as likely as down: no drift, it is naive
            level = np.broadcast_to(last[row], (n_paths, 1, season)).copy()
            unseen = np.isnan(last[row])
            level[:, 0, unseen] = generator.choice(own if len(own) else [0.0], size=(n_paths, int(unseen.sum())))
            grown = (level + np.cumsum(drawn, axis=1)).reshape(n_paths, seasons * season)[:, :horizon]
            paths[row] = np.maximum(grown, 0.0)
        return Forecast(
            series=panel.series,
            starts=panel.ends,
            freq=panel.freq,
            provenance=Provenance(self.name, self.version, panel.data_until, seed),
            n_paths=n_paths,
            drawn=paths,
        )

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the season's length and the number of changes."""
        return {"season": np.array([self.season, self.changes])}


def _latest(past: Floats, season: int) -> Floats:
    """Return the latest value [N, season] of each place of the season in ``past``, NaN where it was never seen."""
    seasons = past.reshape(len(past), past.shape[1] // season, season)  # [N, changes + 1, season]
    last = np.full((len(past), season), np.nan)
    for k in range(seasons.shape[1] - 1, -1, -1):
        last = np.where(np.isnan(last), seasons[:, k], last)
    return last
