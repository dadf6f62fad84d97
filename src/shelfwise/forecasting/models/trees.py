"""Global gradient-boosted trees on top of the base model: one LightGBM for all series, direct in the horizon.

The trees learn a multiplier on the base model's mean from features that are ratios to each series' own level, so that
what one product shows about promotions, prices and seasons serves the others. Rows come from several past cutoffs;
nothing after a cutoff is in its rows. How far the multiplier is trusted, and how wide the noise is, are chosen on the
latest windows with trees that have not seen them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.domain.errors import ModelError, ParameterError
from shelfwise.domain.forecast import Forecast, Provenance
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.calendar_model import Calendar, Calendars
from shelfwise.forecasting.censoring import bounded
from shelfwise.forecasting.contract import check_horizon
from shelfwise.forecasting.features import FeatureNames, build
from shelfwise.forecasting.held_out import (
    WIDTHS,
    Held,
    cells_after,
    choose,
    dependence_of,
    loss_of,
    reference_horizon,
    sample_of,
    widths_of,
)
from shelfwise.forecasting.level_season import (
    Block,
    Fitted,
    Groups,
    Parts,
    decompose,
    iterate_blocks,
    level_of,
    moments_of,
)
from shelfwise.forecasting.pooling import flags_of, measure
from shelfwise.forecasting.processors import one_thread_each

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]

VERSION: Final = "1"
NARROWER: Final = (0.05, 0.1, 0.2, *WIDTHS)  # trees may explain most of what is noise to the base model
TRUSTS: Final = (0.0, 0.5, 0.75, 1.0)
FEWEST_CUTOFFS, MOST_CUTOFFS = 5, 26  # that rows come from
WORTH_IT: Final = 0.998  # a higher trust must lose this much less: the simpler model unless it is beaten
THREADS: Final = 1  # its threads spin while they wait: on a busy machine two took ten times as long as one
SHORT: Final = "history too short or without sales: the base model stands alone"
FEWEST_ROWS: Final = 2000  # fewer rows teach a tree nothing that holds


@dataclass(frozen=True)
class Trees:
    """Parameters of the tree model.

    Parameters
    ----------
    rounds, learning_rate, leaves
        Size of the boosted ensemble, at least 1 round and 2 leaves.
    rows
        Training rows (series x period) at most, at least 10,000.
    clip
        Lowest and highest multiplier, around 1: unclipped, a few series explode.
    trust
        Power of the learnt multiplier, 0 to 1; None chooses it on held-out windows the trees have not seen.
    half_lives, history_days, sample
        As in the base model.

    >>> Trees(leaves=1)
    Traceback (most recent call last):
    shelfwise.domain.errors.ParameterError: leaves must be at least 2, got 1
    """

    name: str = field(default="trees", init=False)
    rounds: int = 150
    learning_rate: float = 0.08
    leaves: int = 31
    rows: int = 400_000
    clip: tuple[float, float] = (0.2, 4.0)
    trust: float | None = None
    half_lives: tuple[float, ...] = (1.0, 3.0, 7.0, 14.0, 30.0, 90.0)
    history_days: int = 400
    sample: int = 2000

    def __post_init__(self) -> None:
        if not self.half_lives or min(self.half_lives) <= 0:
            raise ParameterError(f"half_lives must be above 0 periods, got {self.half_lives}")
        if not 0 < self.clip[0] <= 1 <= self.clip[1]:
            raise ParameterError(f"clip must be a lowest above 0 up to 1 and a highest from 1 on, got {self.clip}")
        if self.trust is not None and not 0 <= self.trust <= 1:
            raise ParameterError(f"trust must be from 0 to 1, got {self.trust}")
        for name, low in (("rounds", 1), ("leaves", 2), ("rows", 10_000), ("history_days", 28), ("sample", 50)):
            if getattr(self, name) < low:
                raise ParameterError(f"{name} must be at least {low:,}, got {getattr(self, name)}")
        if not 0 < self.learning_rate <= 1:
            raise ParameterError(f"learning_rate must be above 0 and at most 1, got {self.learning_rate}")

    def fit(self, panel: Panel) -> TreesPredictor:
        """Return a predictor with the base model's quantities and the trees fitted on ``panel``.

        Where LightGBM cannot be loaded, the history is too short, or the trees do not help on windows they have not
        seen, the predictor is the base model alone and its notes say so.
        """
        with one_thread_each():
            return self._fit(panel)

    def _fit(self, panel: Panel) -> TreesPredictor:
        panel = bounded(panel)
        pool = sample_of(panel, self.sample)
        groups = Groups.of(pool)
        calendars = Calendars.of(panel)
        fitted = choose(pool, groups, Fitted.default(pool, self.half_lives, self.history_days, groups), 3, panel)
        learner = _Learner(self, fitted, FeatureNames.of(panel), reference_horizon(pool), calendars)
        try:
            booster, trust, tuned, note = learner.learn(panel)
        except ModelError as error:  # LightGBM cannot be loaded: an answer still comes
            booster, trust, tuned, note = None, 0.0, fitted, str(error)
        return TreesPredictor(tuned, learner.names, booster, trust, self.clip, (note,) if note else ())

    def restore(self, arrays: dict[str, npt.NDArray[Any]]) -> TreesPredictor:
        """Return the predictor that `TreesPredictor.to_arrays` described."""
        fitted = Fitted.from_arrays(arrays)
        try:
            header = json.loads(arrays["trees_header"].tobytes())
            return TreesPredictor(
                fitted=fitted,
                names=FeatureNames.from_json(header["names"]),
                booster=_booster_of(arrays["trees"].tobytes(), header["sha256"]),
                trust=float(header["trust"]),
                clip=(float(header["clip"][0]), float(header["clip"][1])),
                notes=tuple(header["notes"]),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise ModelError(f"stored tree model cannot be read: {error}; fit it again") from error


@dataclass(frozen=True, eq=False)
class TreesPredictor:
    """The tree model, fitted."""

    fitted: Fitted
    names: FeatureNames
    booster: Any  # lightgbm.Booster, or None where the base model stands alone
    trust: float  # power of the multiplier, 0 to 1
    clip: tuple[float, float]
    notes: tuple[str, ...]
    name: str = field(default="trees", init=False)
    version: str = field(default=VERSION, init=False)

    def predict(self, panel: Panel, horizon: int, *, n_paths: int = 200, seed: int = 0) -> Forecast:
        """Return the forecast of the next ``horizon`` periods; see `contract.Predictor.predict`."""
        check_horizon(horizon)
        if panel.freq != self.fitted.freq:
            raise ModelError(f"fitted on periods of {self.fitted.freq}, asked for {panel.freq}; fit on such a panel")
        panel = bounded(panel, self.fitted)
        mean = np.empty((panel.n_series, horizon))
        variance = np.empty((panel.n_series, horizon))
        for rows, block in iterate_blocks(panel, self.fitted, horizon):
            parts = decompose(block, self.fitted, horizon)
            factor = self._factor(panel.select(rows), block, parts, horizon)
            mean[rows], variance[rows] = moments_of(parts, self.fitted, factor)
        return Forecast(
            series=panel.series,
            starts=panel.ends,
            freq=panel.freq,
            provenance=Provenance(self.name, self.version, panel.data_until, seed, self.notes),
            n_paths=n_paths,
            marginals=Marginals(mean, variance, self.fitted.is_count),
            dependence=self.fitted.dependence,
        )

    def components(self, panel: Panel, horizon: int) -> dict[str, Floats]:
        """Return what each forecast is made of: factors [N, H] whose product is the mean.

        ``level`` is in units per period, the others are factors around 1; ``learnt`` is what the trees multiply by.
        """
        check_horizon(horizon)
        panel = bounded(panel, self.fitted)
        factors: dict[str, Floats] = {}
        for rows, block in iterate_blocks(panel, self.fitted, horizon):
            parts = decompose(block, self.fitted, horizon)
            found = {"level": level_of(parts, self.fitted), **parts.factors}
            factor = self._factor(panel.select(rows), block, parts, horizon)
            if factor is not None:
                found["learnt"] = factor
            for name, values in found.items():
                factors.setdefault(name, np.ones((panel.n_series, horizon)))[rows] = values
        return factors

    def shap_values(self, panel: Panel, horizon: int) -> Iterator[tuple[Integers, tuple[str, ...], Floats]]:
        """Yield blocks of rows [n], feature names [F] and TreeSHAP values [n, H, F + 1]; nothing without trees.

        Values are on the log scale, before clipping and trust; the last is what the trees say on average, and the sum
        of all is their raw score. Source: Lundberg and others, 2020, Nature Machine Intelligence 2.
        """
        if self.booster is None:
            return
        for rows, block in iterate_blocks(panel, self.fitted, check_horizon(horizon)):
            parts = decompose(block, self.fitted, horizon)
            features = build(panel.select(rows), block, parts, self.fitted, self.names, horizon)
            flat = features.values.reshape(-1, len(features.names))
            found = self.booster.predict(flat, pred_contrib=True, num_threads=THREADS)
            yield rows, features.names, found.reshape(len(rows), horizon, -1)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return everything fitted as named arrays; the trees as LightGBM's own text."""
        text = b"" if self.booster is None else self.booster.model_to_string().encode()
        header = {
            "names": self.names.to_json(),
            "trust": self.trust,
            "clip": self.clip,
            "notes": self.notes,
            "sha256": hashlib.sha256(text).hexdigest(),
        }
        return self.fitted.to_arrays() | {
            "trees_header": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8),
            "trees": np.frombuffer(text, dtype=np.uint8),
        }

    def _factor(self, panel: Panel, block: Block, parts: Parts, horizon: int) -> Floats | None:
        """Return the multipliers [n, H] of a block, or None where the base model stands alone."""
        if self.booster is None:
            return None
        features = build(panel, block, parts, self.fitted, self.names, horizon)
        return _multiplier(self.booster, features.values, self.trust, self.clip)


def _multiplier(booster: Any, features: npt.NDArray[np.float32], trust: float, clip: tuple[float, float]) -> Floats:
    """Return [n, H] multipliers on the base mean."""
    n, horizon, width = features.shape
    raw = booster.predict(features.reshape(n * horizon, width), raw_score=True, num_threads=THREADS).reshape(n, horizon)
    factor: Floats = np.clip(np.exp(raw), *clip) ** trust
    return factor


def _cutoffs(panel: Panel, horizon: int, rows: int) -> list[int]:
    """Return how many periods before the end each cutoff lies that rows are taken from.

    Three times as many cutoffs as the rows would fill: other times teach more than other series.
    """
    longest = int(panel.lengths.max(initial=0))
    wanted = int(np.clip(3 * rows // max(1, panel.n_series * horizon), FEWEST_CUTOFFS, MOST_CUTOFFS))
    backs = [horizon, horizon + horizon // 2, *range(2 * horizon, (wanted + 1) * horizon, horizon)]
    least = 2 * horizon + max(2 * panel.freq.season if panel.freq.unit == "d" else 0, 6)
    return [back for back in dict.fromkeys(backs) if longest - back >= least][:wanted]


@dataclass(frozen=True, eq=False)
class _Learner:
    """Everything that turns past cutoffs into trained trees."""

    parameters: Trees
    fitted: Fitted
    names: FeatureNames
    horizon: int
    calendars: Calendars | None = None

    def learn(self, panel: Panel) -> tuple[Any, float, Fitted, str]:
        """Return trees, how far to trust them, the widths to use with them, and a note where they stay out."""
        _lightgbm()
        backs = _cutoffs(panel, self.horizon, self.parameters.rows)
        if self.fitted.calendar is not None:  # rows of one training have one set of features
            backs = [back for back in backs if self.calendar(back) is not None]
        if self.parameters.trust is not None:
            rows = self.rows(panel, backs) if backs else None
            if rows is None:
                return None, 0.0, self.fitted, SHORT
            return self.train(rows), self.parameters.trust, self.fitted, ""
        held = [back for back in (self.horizon, 2 * self.horizon) if back + self.horizon < max(backs, default=0)]
        early = [back for back in backs if held and back >= max(held) + self.horizon]
        rows = self.rows(panel, early) if early else None
        if rows is None:
            return None, 0.0, self.fitted, SHORT
        trust, tuned = self.judge(self.train(rows), panel, held)
        if not trust:
            return None, 0.0, self.fitted, "trees did not help on held-out windows: the base model stands alone"
        rows = self.rows(panel, backs)
        assert rows is not None  # noqa: S101 - more cutoffs than the early ones, which had rows enough
        return self.train(rows), trust, tuned, ""

    def calendar(self, back: int) -> Calendar | None:
        """Return the calendar as known at a cutoff, where the base model uses one."""
        if self.fitted.calendar is None or self.calendars is None:
            return None
        older = -(-back // (2 * self.horizon)) * 2 * self.horizon  # one regression serves two cutoffs
        return self.calendars.at(older) or self.calendars.at(back)

    def at(self, panel: Panel, back: int, size: int) -> tuple[Panel, Fitted, Floats, npt.NDArray[np.bool_]]:
        """Return at most ``size`` series that existed at a cutoff, what is measured there, and what came."""
        future = sample_of(panel, size, back)
        past = future.until(future.ends - back)
        calendar = self.calendar(back)
        start = replace(self.fitted, calendar=calendar, flags=flags_of(future, calendar))
        measured = measure(sample_of(past, 2000), start, self.fitted.year_strength)
        actual, scored = cells_after(future, past.ends, self.horizon)
        return past, measured, actual, scored

    def rows(self, panel: Panel, backs: list[int]) -> _Rows | None:
        """Return the training rows of the cutoffs, or None where there are too few or nothing was sold in any."""
        each = self.parameters.rows // max(1, len(backs))
        found: list[_Rows] = []
        for back in backs:
            past, measured, actual, scored = self.at(panel, back, max(50, each // self.horizon))
            for rows, block in iterate_blocks(past, measured, self.horizon):
                parts = decompose(block, measured, self.horizon)
                base = level_of(parts, measured) * parts.season
                features = build(past.select(rows), block, parts, measured, self.names, self.horizon)
                use = scored[rows] & (base > 1e-12)
                noise = np.broadcast_to(parts.noise[:, None], base.shape)[use]
                label = np.maximum(actual[rows][use], 0.0) / noise  # in units of noise all series are near Poisson
                found.append(_Rows(features.values[use], label, np.log(base[use] / noise), features.categorical))
        if sum(len(rows.labels) for rows in found) < FEWEST_ROWS or not any(rows.labels.any() for rows in found):
            return None
        return _Rows(
            np.concatenate([rows.features for rows in found]),
            np.concatenate([rows.labels for rows in found]),
            np.concatenate([rows.offsets for rows in found]),
            found[0].categorical,
        )

    def train(self, rows: _Rows) -> Any:
        """Return the boosted trees; the same rows give the same trees on one machine."""
        lightgbm = _lightgbm()
        data = lightgbm.Dataset(
            rows.features,
            label=rows.labels,
            init_score=rows.offsets,
            categorical_feature=list(rows.categorical),
            params={"max_bin": 63, "verbosity": -1},
        )
        parameters = {
            "objective": "poisson",
            "learning_rate": self.parameters.learning_rate,
            "num_leaves": self.parameters.leaves,
            "min_data_in_leaf": int(np.clip(len(rows.labels) // 1000, 20, 500)),
            "feature_fraction": 0.7,
            "bagging_fraction": 0.6,
            "bagging_freq": 1,
            "lambda_l2": 1.0,
            "poisson_max_delta_step": 0.3,
            # Without a bound a leaf of rows that sold much where next to nothing was expected (back on the shelf) steps
            # so far that the next round has to undo it, and all series end at the lowest multiplier.
            "max_delta_step": 2.0,
            "max_bin": 63,
            "num_threads": THREADS,
            "deterministic": True,
            "force_row_wise": True,
            "seed": 0,
            "verbosity": -1,
        }
        return lightgbm.train(parameters, data, num_boost_round=self.parameters.rounds)

    def judge(self, trees: Any, panel: Panel, backs: list[int]) -> tuple[float, Fitted]:
        """Return how far to trust the trees, with widths and dependence to suit, from windows they never saw."""
        held: list[Held] = []
        for back in backs:
            past, measured, actual, scored = self.at(panel, back, self.parameters.sample)
            for rows, block in iterate_blocks(past, measured, self.horizon):
                parts = decompose(block, measured, self.horizon)
                features = build(past.select(rows), block, parts, measured, self.names, self.horizon)
                factor = _multiplier(trees, features.values, 1.0, self.parameters.clip)
                held.append(Held(parts, actual[rows], scored[rows], measured, factor))
        best: tuple[float, float, Fitted, list[Held]] | None = None
        for trust in TRUSTS:
            scaled = [replace(h, factor=None if h.factor is None else h.factor**trust) for h in held]
            tuned = replace(self.fitted, widths=widths_of(scaled, self.fitted, NARROWER))
            loss = loss_of(scaled, tuned)
            if best is None or loss < best[0] * WORTH_IT:
                best = (loss, trust, tuned, scaled)
        assert best is not None  # noqa: S101 - TRUSTS is not empty
        outcomes = [h.outcome(best[2]) for h in best[3]]
        return best[1], replace(best[2], dependence=dependence_of(outcomes, is_count=best[2].is_count))


@dataclass(frozen=True, eq=False)
class _Rows:
    """Training rows: features [rows, F], labels and offsets [rows], positions of the codes among the features."""

    features: npt.NDArray[np.float32]
    labels: Floats
    offsets: Floats
    categorical: tuple[int, ...]


def _booster_of(text: bytes, sha256: str) -> Any:
    """Return the trees that LightGBM wrote as ``text``, None where there were none.

    The checksum comes first: text that was cut off ends the whole process inside LightGBM.
    """
    if hashlib.sha256(text).hexdigest() != sha256:
        raise ValueError("the trees are not those that were stored")
    return _lightgbm().Booster(model_str=text.decode()) if text else None


def _lightgbm() -> Any:
    """Return LightGBM, or raise `ModelError` with what is missing."""
    try:
        import lightgbm
    except (ImportError, OSError) as error:
        raise ModelError(
            f"LightGBM cannot be loaded ({error}): the base model stands alone; on Debian, install libgomp1"
        ) from error
    return lightgbm
