"""Seasonal naive: the last season again, with the changes seen from season to season as its spread.

Of periods shorter than a day the season is the day, and days of a week differ: on request, the last day is repeated
with half the changes that the same places of the week usually bring, as far as they have brought them. Weekends and
growth are in those changes.
"""

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
WEEKS: Final = 3  # that the usual change of a place of the week is the mean of
TAKEN: Final = 0.5  # of the usual change: half, as theta takes half of the trend; the other half is the last season's
TRIED: Final = 2  # latest weeks over which it shows how much of it comes true


@dataclass(frozen=True)
class SeasonalNaive:
    """Seasonal naive's parameters.

    Parameters
    ----------
    season
        Periods after which the pattern repeats; None takes the frequency's own (a week of days, a year of weeks).
    changes
        Latest season-to-season changes that spread the paths, at least 1 season's worth.
    weekly
        Add half the changes usual at each place of the week, where a day is a season; other frequencies are forecast as
        without it.

    >>> SeasonalNaive(season=0)
    Traceback (most recent call last):
    shelfwise.domain.errors.ParameterError: season must be at least 1 period, got 0
    """

    name: str = field(default="seasonal_naive", init=False)
    season: int | None = None
    changes: int = 8
    weekly: bool = False

    def __post_init__(self) -> None:
        if self.season is not None and self.season < 1:
            raise ParameterError(f"season must be at least 1 period, got {self.season}")
        if self.changes < 1:
            raise ParameterError(f"changes must be at least 1 season's worth, got {self.changes}")

    def fit(self, panel: Panel) -> SeasonalNaivePredictor:
        """Return the predictor; nothing is estimated but the season's length."""
        season = self.season or panel.freq.season
        by_week = self.weekly and panel.freq.unit in ("min", "h") and season * panel.freq.minutes == 1440
        return SeasonalNaivePredictor(season, self.changes, 7 * season if by_week else 0)

    def restore(self, arrays: dict[str, npt.NDArray[Any]]) -> SeasonalNaivePredictor:
        """Return the predictor that `SeasonalNaivePredictor.to_arrays` described."""
        season, changes, *week = arrays["season"].tolist()
        return SeasonalNaivePredictor(int(season), int(changes), int(week[0]) if week else 0)


@dataclass(frozen=True)
class SeasonalNaivePredictor:
    """Seasonal naive with its season known; ``week`` periods after which changes come again, 0 for none."""

    season: int
    changes: int
    week: int = 0
    name: str = field(default="seasonal_naive", init=False)
    version: str = field(default=VERSION, init=False)

    def predict(self, panel: Panel, horizon: int, *, n_paths: int = 200, seed: int = 0) -> Forecast:
        """Return the last season repeated; see `contract.Predictor.predict`.

        Each path adds, season by season, changes drawn from the series' own, up or down: after k seasons the spread is
        that of k changes. A place of the season never seen takes one of the series' own values, drawn for each path.
        Where changes come again by the week, half the usual ones are added to the last season, and paths draw from what
        that left unexplained.
        """
        check_horizon(horizon)
        if n_paths < 2:
            raise ParameterError(f"n_paths must be at least 2, got {n_paths}")
        season = self.season
        seasons = -(-horizon // season)
        past = panel.window((self.changes + 1) * season)  # [N, (changes + 1) x season]
        past = np.where(panel.available_window(past.shape[1]), np.maximum(past, 0.0), np.nan)
        change = past[:, season:] - past[:, :-season]  # [N, changes x season]
        explained: Floats = np.zeros(change.shape)
        grown: Floats = np.zeros((panel.n_series, seasons, season))
        if self.week:
            explained, ahead = self._usual(panel, change.shape[1], seasons * season)
            change, grown = change - explained, np.cumsum(ahead.reshape(grown.shape), axis=1)
        last = _latest(past, explained, season)  # [N, season]
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
            walked = level + np.cumsum(drawn, axis=1) + grown[row]  # [S, seasons, season]
            paths[row] = np.maximum(walked, 0.0).reshape(n_paths, seasons * season)[:, :horizon]
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
        return {"season": np.array([self.season, self.changes, self.week])}

    def _usual(self, panel: Panel, back: int, ahead: int) -> tuple[Floats, Floats]:
        """Return what is taken of the usual change from day to day at each place of the week, past and to come.

        c(t) = `TAKEN` x b x mean over k = 1 .. `WEEKS` of y(t - kW) - y(t - kW - s), with season s and week W;
        0 <= b <= 1 by least squares of what changed in the last `TRIED` weeks, so that a series whose weeks are not
        alike gets none. Growth is carried on for a week; after it, the days of a week differ and nothing grows.

        Returns
        -------
        [N, back] for the latest periods, [N, ahead] for those to come; units.
        """
        season, week = self.season, self.week
        tried = max(back, TRIED * week)
        length = tried + WEEKS * week + season
        values = panel.window(length)
        values = np.where(panel.available_window(length), np.maximum(values, 0.0), np.nan).astype(np.float64)
        change = values[:, season:] - values[:, :-season]  # [N, tried + WEEKS x week]
        weeks = [change[:, (WEEKS - k) * week :][:, : tried + week] for k in range(1, WEEKS + 1)]  # up to a week ahead
        seen = np.sum([~np.isnan(one) for one in weeks], axis=0)
        mean = np.sum([np.nan_to_num(one) for one in weeks], axis=0) / np.maximum(seen, 1)  # [N, tried + week]
        came = change[:, -TRIED * week :]
        told = mean[:, tried - TRIED * week : tried]
        use = ~np.isnan(came) & (seen[:, tried - TRIED * week : tried] > 0)
        top, bottom = np.where(use, came * told, 0.0).sum(axis=1), np.where(use, told * told, 0.0).sum(axis=1)
        share = np.clip(np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0), 0.0, 1.0)
        usual = TAKEN * share[:, None] * mean
        first = usual[:, tried:]
        days = first.reshape(len(first), 7, season)
        later = (days - days.mean(axis=1, keepdims=True)).reshape(first.shape)
        coming = np.concatenate([first, np.tile(later, -(-ahead // week))], axis=1)[:, :ahead]
        return usual[:, tried - back : tried], coming


def _latest(past: Floats, usual: Floats, season: int) -> Floats:
    """Return the latest value [N, season] of each place of the season in ``past``, NaN where it was never seen.

    To one that lies seasons back the ``usual`` changes [N, changes x season] since then are added.
    """
    last = past[:, :season]
    for low in range(season, past.shape[1], season):
        again = past[:, low : low + season]
        last = np.where(np.isnan(again), last + usual[:, low - season : low], again)
    return last
