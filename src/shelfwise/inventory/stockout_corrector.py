"""What the paths miss about stockouts, learnt from replayed and recorded ones: boosted trees on top of the paths' odds.

The paths give each product-warehouse its chance to run out, for free and with its reasons. Trees are fitted on what
they leave over (``base_margin = ln(p / (1 - p))``: without a single tree the answer is the paths' own), then
recalibrated on the most recent weeks, which the trees have not seen::

    logit(corrected) = a + b (logit(paths) + trees(features))

a and b are drawn towards 0 and 1 as if `PRIOR_MOMENTS` more weeks had said so, because the level of a few weeks is
half chance. The same held-out weeks judge: each is corrected with an a and b of the others, and unless that beats the
paths there the correction is not used, and says so.

Letters: M rows, F features, N product-warehouses.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shelfwise.domain.errors import ModelError, ParameterError
from shelfwise.inventory.probability_scores import brier_score, brier_skill, calibration_error, roc_auc
from shelfwise.inventory.risk_features import FEATURES, logit

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

PRIOR_MOMENTS: Final = 4.0
"""Moments that recalibration counts for "leave it as it is"."""
DISAGREE: Final = 0.2
"""Both probabilities are shown where they are at least so far apart."""
TREES: Final = {
    "objective": "binary:logistic",
    "eta": 0.08,
    "max_depth": 4,
    "min_child_weight": 50,
    "subsample": 0.8,
    "colsample_bytree": 0.7,
    "reg_lambda": 5.0,
    "tree_method": "hist",
    "nthread": 1,  # sums of several threads depend on their number
}


@dataclass(frozen=True)
class CorrectorRules:
    """How a corrector is fitted, and when there is too little to fit one.

    held_out
        The most recent moments, for recalibration and judgement.
    least_moments, least_rows, least_held_out, least_stockouts
        Fewer moments in all, rows to learn from, rows to judge on, or stockouts in either are too few.
    most_rows
        Trees are fitted on so many rows at most, drawn evenly.
    rounds
        Trees.
    """

    held_out: int = 4
    least_moments: int = 8
    least_rows: int = 2000
    least_held_out: int = 500
    least_stockouts: int = 100
    most_rows: int = 60_000
    rounds: int = 120

    def __post_init__(self) -> None:
        if self.held_out < 2 or self.least_moments <= self.held_out:
            raise ParameterError(
                f"held_out must be at least 2 and below least_moments, got {self.held_out} and {self.least_moments}"
            )
        if min(self.least_rows, self.least_held_out, self.least_stockouts, self.most_rows, self.rounds) < 1:
            raise ParameterError("least_rows, least_held_out, least_stockouts, most_rows and rounds must be at least 1")


@dataclass(frozen=True, eq=False)
class RiskRows:
    """Product-warehouses at past moments, and whether they ran out in the window after them.

    features
        [M, F] in the order of `FEATURES`.
    probability
        [M] what the paths said then.
    moment
        [M] the first period of the window, counted from anywhere.
    happened
        [M] 1 or 0; rows with nan are dropped.
    """

    features: NDArray[np.float32]
    probability: Floats
    moment: NDArray[np.int64]
    happened: Floats

    def __post_init__(self) -> None:
        known = ~np.isnan(np.asarray(self.happened, dtype=np.float64))
        sizes = {len(self.features), len(self.probability), len(self.moment), len(known)}
        if len(sizes) > 1 or np.ndim(self.features) != 2 or np.shape(self.features)[1] != len(FEATURES):
            raise ParameterError(
                f"rows must have {len(FEATURES)} features and one probability, moment and outcome each, got "
                f"{np.shape(self.features)}, {len(self.probability)}, {len(self.moment)} and {len(known)}"
            )
        for name in ("features", "probability", "moment", "happened"):
            object.__setattr__(self, name, np.asarray(getattr(self, name))[known])

    @classmethod
    def joined(cls, parts: Iterable[RiskRows]) -> RiskRows:
        """Return the rows of several as one."""
        some = list(parts)
        if not some:
            nothing = np.empty(0)
            return cls(np.empty((0, len(FEATURES)), dtype=np.float32), nothing, nothing.astype(np.int64), nothing)
        return cls(
            np.concatenate([part.features for part in some]),
            np.concatenate([part.probability for part in some]),
            np.concatenate([part.moment for part in some]),
            np.concatenate([part.happened for part in some]),
        )

    def at(self, rows: NDArray[Any]) -> RiskRows:
        """Return the rows at flags or positions."""
        return RiskRows(self.features[rows], self.probability[rows], self.moment[rows], self.happened[rows])

    def __len__(self) -> int:
        """Return M."""
        return len(self.happened)


@dataclass(frozen=True, eq=False)
class CorrectedRisk:
    """Both probabilities of N product-warehouses.

    paths
        [N] what the paths say.
    corrected
        [N] what is left of it after the correction; nan where none is used.
    """

    paths: Floats
    corrected: Floats

    @property
    def best(self) -> Floats:
        """[N] the corrected probability where there is one, else the paths'."""
        return np.where(np.isnan(self.corrected), self.paths, self.corrected)

    @property
    def disagree(self) -> Flags:
        """[N] whether the two are at least `DISAGREE` apart: look at both."""
        return np.nan_to_num(np.abs(self.corrected - self.paths)) >= DISAGREE - 1e-12


@dataclass(frozen=True)
class Judgement:
    """How paths and correction did on the held-out rows, the correction as if each week were not known yet."""

    rows: int
    moments: int
    paths_brier: float
    corrected_brier: float
    paths_skill: float
    corrected_skill: float
    paths_calibration_error: float
    corrected_calibration_error: float
    paths_auc: float
    corrected_auc: float
    moments_won: int

    @property
    def better(self) -> bool:
        """Whether the correction has the lower Brier score, over all and in more than half of the weeks."""
        return self.corrected_brier < self.paths_brier and 2 * self.moments_won > self.moments


@dataclass(frozen=True, eq=False)
class StockoutCorrector:
    """A fitted correction, or the reason why there is none.

    window
        Periods K that its probabilities are about.
    reason
        Why it is used, or why not, in a sentence.
    used
        Whether `correct` changes anything.
    level, slope
        a and b of the recalibration.
    judgement
        On held-out weeks; None where there was too little to judge.
    booster
        XGBoost's own binary form (UBJ); empty where there is none.
    """

    window: int
    reason: str
    used: bool = False
    level: float = 0.0
    slope: float = 1.0
    judgement: Judgement | None = None
    booster: bytes = b""

    def correct(self, probability: ArrayLike, features: ArrayLike) -> CorrectedRisk:
        """Return both probabilities for paths' ``probability`` [N] and ``features`` [N, F].

        >>> nothing = StockoutCorrector(window=3, reason="no history")
        >>> told = nothing.correct([0.2], np.zeros((1, len(FEATURES))))
        >>> told.best.tolist(), told.disagree.tolist()
        ([0.2], [False])
        """
        paths = np.asarray(probability, dtype=np.float64)
        if not self.used:
            return CorrectedRisk(paths, np.full(paths.shape, np.nan))
        margin = _margin(self.booster, logit(paths), np.asarray(features, dtype=np.float32))
        return CorrectedRisk(paths, _sigmoid(self.level + self.slope * margin))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the fitted numbers as arrays, from which `from_arrays` makes it again; no code in them."""
        told = {
            "window": self.window, "reason": self.reason, "used": self.used, "level": self.level, "slope": self.slope,
            "judgement": None if self.judgement is None else asdict(self.judgement), "features": list(FEATURES),
        }  # fmt: skip
        return {
            "header": np.frombuffer(json.dumps(told).encode(), dtype=np.uint8),
            "booster": np.frombuffer(self.booster, dtype=np.uint8),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> StockoutCorrector:
        """Read what `to_arrays` gave.

        Raises
        ------
        ModelError
            It is no stored corrector, or one of other features.
        """
        try:
            told = json.loads(arrays["header"].tobytes())
            if told.pop("features") != list(FEATURES):
                raise ModelError("the stored stockout corrector looks at other features; fit it again")
            judged = told.pop("judgement")
            return cls(
                **told,
                judgement=None if judged is None else Judgement(**judged),
                booster=arrays["booster"].tobytes(),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"the stored stockout corrector cannot be read: {error}; fit it again") from error


def fit_corrector(
    rows: RiskRows, window: int, rules: CorrectorRules | None = None, *, seed: int = 0
) -> StockoutCorrector:
    """Fit the correction on the earlier moments, recalibrate and judge it on the latest.

    A window is left between the labels learnt from and the first held-out moment.

    Returns
    -------
    StockoutCorrector
        With ``used`` false and the reason where there is too little to learn from, or where it does not beat the
        paths on the held-out moments.

    Raises
    ------
    ModelError
        XGBoost is not installed.
    """
    rules = rules or CorrectorRules()
    if window < 1:
        raise ParameterError(f"window must be at least 1 period, got {window}")
    moments = np.unique(rows.moment)
    if len(moments) < rules.least_moments:
        return StockoutCorrector(
            window, f"only {len(moments)} past moments to learn from, at least {rules.least_moments} are needed"
        )
    held = moments[-rules.held_out :]
    recent = rows.at(np.isin(rows.moment, held))
    early = rows.at(rows.moment + 2 * window <= held[0])
    for part, what, least in (
        (early, "to learn from", rules.least_rows),
        (recent, "to judge on", rules.least_held_out),
    ):
        stockouts = min(int(part.happened.sum()), len(part) - int(part.happened.sum()))
        if len(part) < least or stockouts < rules.least_stockouts:
            return StockoutCorrector(
                window,
                f"only {len(part):,} rows {what}, {int(part.happened.sum()):,} of them with a stockout; at least "
                f"{least:,} are needed and {rules.least_stockouts:,} of each kind",
            )
    booster = _boosted(early, rules, seed)
    margin = _margin(booster, logit(recent.probability), recent.features)
    judgement = _judged(recent, margin)
    level, slope = _recalibrated(margin, recent.happened, len(held))
    beside = f"Brier score {judgement.corrected_brier:.4f} against {judgement.paths_brier:.4f} of the paths"
    where = f"on {judgement.rows:,} rows of the {judgement.moments} most recent moments, which it had not seen"
    verdict = "it is better than the paths alone" if judgement.better else "not used: it is no better than the paths"
    return StockoutCorrector(
        window=window,
        reason=f"{verdict}: {beside} {where}",
        used=judgement.better,
        level=level,
        slope=slope,
        judgement=judgement,
        booster=booster,
    )


def _judged(recent: RiskRows, margin: Floats) -> Judgement:
    """Correct each held-out moment with the recalibration of the others, and compare."""
    moments = np.unique(recent.moment)
    corrected = np.empty(len(recent))
    won = 0
    for moment in moments:
        own = recent.moment == moment
        level, slope = _recalibrated(margin[~own], recent.happened[~own], len(moments) - 1)
        corrected[own] = _sigmoid(level + slope * margin[own])
        won += brier_score(corrected[own], recent.happened[own]) < brier_score(
            recent.probability[own], recent.happened[own]
        )
    both = (recent.probability, corrected)
    brier, skill, error, auc = (
        [score(said, recent.happened) for said in both]
        for score in (brier_score, brier_skill, calibration_error, roc_auc)
    )
    return Judgement(
        len(recent), len(moments), brier[0], brier[1], skill[0], skill[1], error[0], error[1], auc[0], auc[1], won
    )


def _recalibrated(margin: Floats, happened: Floats, moments: int) -> tuple[float, float]:
    """Return level a and slope b of ``logit(p) = a + b margin``, drawn towards 0 and 1, by Newton's method.

    The penalty is the information that the rows themselves hold, times `PRIOR_MOMENTS` over the number of moments: so
    an estimate on that many moments is believed half. Platt, 1999, with a prior that changes nothing.
    """
    design = np.column_stack([np.ones(len(margin)), margin])  # [M, 2]
    neutral = np.array([0.0, 1.0])
    said = _sigmoid(margin)
    prior = np.diag((design**2 * (said * (1.0 - said))[:, None]).sum(axis=0)) * PRIOR_MOMENTS / max(moments, 1)
    found = neutral.copy()
    for _ in range(50):
        said = _sigmoid(design @ found)
        slope = design.T @ (said - happened) + prior @ (found - neutral)
        curve = (design * (said * (1.0 - said))[:, None]).T @ design + prior + 1e-9 * np.eye(2)
        step = np.linalg.solve(curve, slope)
        found = found - step
        if np.abs(step).max() < 1e-9:
            break
    return float(found[0]), float(found[1])


def _boosted(rows: RiskRows, rules: CorrectorRules, seed: int) -> bytes:
    """Fit the trees on what the paths' odds leave over; return them in XGBoost's own binary form."""
    xgboost = check_installed()
    if len(rows) > rules.most_rows:
        rows = rows.at(np.sort(np.random.default_rng(seed).permutation(len(rows))[: rules.most_rows]))
    table = xgboost.DMatrix(
        rows.features, label=rows.happened, base_margin=logit(rows.probability), feature_names=list(FEATURES), nthread=1
    )
    return bytes(xgboost.train({**TREES, "seed": seed}, table, rules.rounds).save_raw(raw_format="ubj"))


def _margin(booster: bytes, odds: Floats, features: NDArray[np.float32]) -> Floats:
    """Return log odds [M] after the trees."""
    xgboost = check_installed()
    trees = xgboost.Booster({"nthread": 1})
    try:
        trees.load_model(bytearray(booster))
    except xgboost.core.XGBoostError as error:
        raise ModelError("the stored stockout corrector cannot be read; fit it again") from error
    table = xgboost.DMatrix(features, base_margin=odds, feature_names=list(FEATURES), nthread=1)
    return np.asarray(trees.predict(table, output_margin=True), dtype=np.float64)


def _sigmoid(odds: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-odds)), dtype=np.float64)


def check_installed() -> Any:
    """Return XGBoost, imported when it is first needed because that takes a while.

    Raises
    ------
    ModelError
        It is not installed; the message names the extra that brings it.
    """
    try:
        import xgboost
    except ImportError as error:
        raise ModelError(
            "the stockout corrector needs the extra 'classic'; pip install 'shelfwise[classic]'"
        ) from error
    return xgboost
