"""How good the chances of a stockout are: ``python bench/stockout_risk.py [retail|backorders] [--save FOLDER]``.

``retail``: weekly Online Retail, stock replayed over its sales by base-stock policies of mixed generosity (0.5 to 1.4)
that miss 15 % of their orders, lead time 2 weeks; the label is whether the demand of the next 3 weeks exceeded stock
and open orders in any of them. ``sw.forecast`` is made at a cutoff every three weeks with what was known then. At
each of the last cutoffs everything is fitted anew on earlier cutoffs whose three weeks were over: the trees up to
three weeks before the four cutoffs that recalibrate and judge. Climatology is the rate of the rows learnt from.

``backorders``: one snapshot of 37,105 products without a time axis: a ranking test by five-fold cross-validation.

- ``rule``: 1 where expected demand leaves less than a week's expected demand in stock
- ``paths``: what `stockout_risk` says, nothing fitted
- ``trees``: XGBoost on the features alone, not recalibrated
- ``corrected``: what is shipped, trees on the paths' odds, recalibrated; the paths where that does not beat them
- ``mean``: of paths and trees
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import xgboost
from _panels import data_folder, retail_weekly

import shelfwise as sw
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.panel import Panel
from shelfwise.inventory import probability_scores as scored
from shelfwise.inventory.lead_time_demand import LeadTime
from shelfwise.inventory.risk_features import FEATURES
from shelfwise.inventory.risk_rows import PastForecast, WindowErrors, replayed_rows
from shelfwise.inventory.stockout_corrector import TREES, RiskRows, fit_corrector
from shelfwise.inventory.stockout_labels import Replenishment, replay_stock
from shelfwise.inventory.stockout_risk import stockout_risk

Floats = npt.NDArray[np.float64]

WINDOW, LEAD = 3, 2.0
FIRST_CUTOFF, STEP, TESTS = 30, 3, 7
LIVE, YOUNGEST = 26, 13  # weeks without a sale after which a product is dead; weeks of history a product needs
ROUNDS = 120
FOLDS = 5


@dataclass(frozen=True)
class Retail:
    """The panel as a grid, and its forecasts."""

    panel: Panel
    demand: Floats  # [N, T]
    cutoffs: list[int]
    folder: Path | None
    model: str

    def forecast(self, cutoff: int) -> Forecast:
        """Return the forecast from ``cutoff`` on, kept where a folder was named."""
        path = None if self.folder is None else self.folder / f"retail_weekly-{self.model}-{cutoff}.forecast"
        if path is not None and path.exists():
            return Forecast.from_bytes(path.read_bytes())
        first = int(self.panel.starts.min())
        begun = self.panel.select(self.panel.starts < first + cutoff)
        made = sw.forecast(begun.until(np.minimum(begun.ends, first + cutoff)), horizon=6, model=self.model)
        print(f"forecast from week {cutoff}: {len(made):,} series", flush=True)
        if path is not None:
            path.write_bytes(made.to_bytes())
        return made

    def live(self) -> Iterator[PastForecast]:
        """Yield the forecasts of what was live at each cutoff."""
        at = {name: row for row, name in enumerate(self.panel.ids.to_list())}
        for cutoff in self.cutoffs:
            made = self.forecast(cutoff)
            rows = np.array([at[name] for name in made.ids.to_list()], dtype=np.int64)
            past = self.demand[rows, :cutoff]
            keep = (np.nan_to_num(past[:, -LIVE:]).sum(axis=1) > 0) & ((~np.isnan(past)).sum(axis=1) >= YOUNGEST)
            yield PastForecast(cutoff, rows[keep], made.select(keep).paths)


def retail(folder: Path | None, model: str, late: float) -> None:
    """Score the chances on replayed stock."""
    panel = retail_weekly()
    length = int(panel.lengths.max())
    demand = panel.window(length).astype(np.float64)
    cutoffs = list(range(FIRST_CUTOFF, length - WINDOW + 1, STEP))
    world = Retail(panel, demand, cutoffs, folder, model)
    ids = panel.ids.to_list()
    lead_time = LeadTime(np.full(len(ids), LEAD), late)
    errors = WindowErrors(demand, WINDOW)
    rows = replayed_rows(demand, ids, lead_time, world.live(), cutoffs, errors)
    print(f"{len(rows):,} rows at {len(cutoffs)} cutoffs, weeks {cutoffs[0]} to {cutoffs[-1]}")
    said: dict[str, list[Floats]] = {}
    happened, rate = [], []
    for cutoff in cutoffs[-TESTS:]:
        test, known = rows.at(rows.moment == cutoff), rows.at(rows.moment + WINDOW <= cutoff)
        corrector = fit_corrector(known, WINDOW)
        print(f"week {cutoff}: {corrector.reason}", flush=True)
        alone = trees_alone(known, test, cutoff)
        corrected = corrector.correct(test.probability, test.features)
        rules = np.exp(test.features[:, list(FEATURES).index("window_cover")]) < 1 + 1 / WINDOW
        for name, chance in {
            "rule": rules.astype(np.float64),
            "paths": test.probability,
            "trees": alone,
            "corrected": corrected.best,
            "mean": (alone + test.probability) / 2,
        }.items():
            said.setdefault(name, []).append(chance)
        happened.append(test.happened)
        rate.append(np.full(len(test), known.happened.mean()))
        print(f"  both shown for {corrected.disagree.mean():.1%} of the rows")
    report(said, happened, rate)
    time_to_stockout(world, lead_time, ids)


def trees_alone(known: RiskRows, test: RiskRows, cutoff: int) -> Floats:
    """Return what trees say that do not begin at the paths' odds and are not recalibrated."""
    early = known.at(known.moment + 2 * WINDOW <= cutoff)
    use = [i for i, name in enumerate(FEATURES) if name != "path_logit"]
    table = xgboost.DMatrix(early.features[:, use], label=early.happened, nthread=1)
    trees = xgboost.train({**TREES, "seed": 0}, table, ROUNDS)
    return np.asarray(trees.predict(xgboost.DMatrix(test.features[:, use], nthread=1)), dtype=np.float64)


def report(said: dict[str, list[Floats]], happened: list[Floats], rate: list[Floats]) -> None:
    """Print the scores over all test weeks, and the range of the skill over weeks."""
    came, climate = np.concatenate(happened), np.concatenate(rate)
    reference = float(((climate - came) ** 2).mean())
    print(f"\n{len(came):,} rows at {len(happened)} cutoffs, {came.mean():.3f} ran out\n")
    print("| chance by | Brier | skill | skill, by cutoff | AUC | calibration error | by cutoff |")
    print("|---|---|---|---|---|---|---|")
    for name, parts in said.items():
        found = scored.scores(np.concatenate(parts), came)
        own = [
            1 - scored.brier_score(p, y) / float(((r - y) ** 2).mean())
            for p, y, r in zip(parts, happened, rate, strict=True)
        ]
        wrong = [scored.calibration_error(p, y) for p, y in zip(parts, happened, strict=True)]
        print(
            f"| {name} | {found.brier:.4f} | {1 - found.brier / reference:.3f} | {min(own):.3f} to {max(own):.3f} | "
            f"{found.auc:.3f} | {found.calibration_error:.3f} | {min(wrong):.3f} to {max(wrong):.3f} |"
        )


def time_to_stockout(world: Retail, lead_time: LeadTime, ids: list[str]) -> None:
    """Print the ranked probability score of the week of the first stockout, of paths and of climatology."""
    tests = world.cutoffs[-TESTS:]
    states = {s.period: s for s in replay_stock(world.demand, ids, lead_time, tests, 6, rules=Replenishment())}
    paths, climate = [], []
    for made in world.live():
        if made.moment not in tests or made.moment + 6 > world.demand.shape[1]:
            continue
        stock, rows = states[made.moment], made.positions
        inbound = stock.inbound[rows]
        after = world.demand[rows, made.moment : made.moment + 6]
        said = stockout_risk(stock.on_hand[rows], inbound, made.paths).probability
        came = stockout_risk(stock.on_hand[rows], stock.came[rows], np.nan_to_num(after)[:, None, :])
        first = came.first_period(0.5)
        paths.append(scored.ranked_probability_score(said, first))
        climate.append(scored.ranked_probability_score(np.tile(came.probability.mean(axis=0), (len(rows), 1)), first))
    ours, theirs = float(np.concatenate(paths).mean()), float(np.concatenate(climate).mean())
    print(
        f"\ntime of the first stockout within 6 weeks, nothing more ordered: RPS {ours:.4f} by paths, {theirs:.4f} by "
        f"the share of each week (skill {1 - ours / theirs:.3f})"
    )


def backorders() -> None:
    """Rank the products of one snapshot by what a classifier on such features says, in five folds."""
    frame = pl.read_parquet(data_folder() / "backorders" / "backorders_sample.parquet")
    came = frame["went_on_backorder"].to_numpy().astype(np.float64)
    features = backorder_features(frame)
    place = np.random.default_rng(0).permutation(len(came))
    fold = np.empty(len(came), dtype=np.int64)
    for kind in (0.0, 1.0):  # each fold has its share of the few
        own = place[came[place] == kind]
        fold[own] = np.arange(len(own)) % FOLDS
    found = []
    chance = np.empty(len(came))
    for number in range(FOLDS):
        test = fold == number
        table = xgboost.DMatrix(features.to_numpy()[~test], label=came[~test], missing=np.nan, nthread=1)
        trees = xgboost.train({**TREES, "min_child_weight": 3, "seed": 0}, table, 200)
        chance[test] = trees.predict(xgboost.DMatrix(features.to_numpy()[test], missing=np.nan, nthread=1))
        found.append((scored.roc_auc(chance[test], came[test]), scored.average_precision(chance[test], came[test])))
    rule = -features["window_cover"].to_numpy()
    odds = 1 / (1 + np.exp(-rule))
    print(f"\n{len(came):,} products, {int(came.sum())} went on backorder ({came.mean():.4f})\n")
    print("| ranked by | AUC | average precision | calibration error |\n|---|---|---|---|")
    print(f"| cover of 3 months' forecast | {scored.roc_auc(odds, came):.3f} | "
          f"{scored.average_precision(odds, came):.3f} | - |")  # fmt: skip
    auc, precision = (np.array(column) for column in zip(*found, strict=True))
    print(f"| trees, mean of {FOLDS} folds (deviation) | {auc.mean():.3f} ({auc.std():.3f}) | {precision.mean():.3f} "
          f"({precision.std():.3f}) | {scored.calibration_error(chance, came):.4f} |")  # fmt: skip


def backorder_features(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the snapshot in the classifier's terms: covers, changes, what is late, how the supplier performs."""
    column = {name: pl.col(name).cast(pl.Float64) for name in frame.columns}
    stock = pl.max_horizontal(column["national_inv"], 0.0)
    position = stock + column["in_transit_qty"]
    performance = {
        name: pl.when(pl.col(name) > -99).then(pl.col(name)).otherwise(float("nan"))
        for name in ("perf_6_month_avg", "perf_12_month_avg")
    }
    return frame.select(
        stock_cover=(stock / (column["forecast_3_month"] / 3 + 0.5)).log1p(),
        window_cover=((position + 0.5) / (column["forecast_3_month"] + 0.5)).log(),
        peak_cover=((position + 0.5) / (column["sales_3_month"] + 0.5)).log(),
        lead_cover=((position + 0.5) / (column["forecast_3_month"] / 13 * column["lead_time"] + 0.5)).log(),
        bank_cover=((position + 0.5) / (column["min_bank"] + 0.5)).log(),
        below_zero=column["national_inv"] < 0,
        due_share=column["in_transit_qty"] / pl.max_horizontal(position, 0.5),
        level=column["forecast_3_month"].log1p(),
        sold=column["sales_9_month"].log1p(),
        trend=((column["sales_1_month"] + 0.5) / (column["sales_9_month"] / 9 + 0.5)).log(),
        forecast_change=((column["forecast_3_month"] + 0.5) / (column["sales_3_month"] + 0.5)).log(),
        later=((column["forecast_9_month"] + 0.5) / (3 * column["forecast_3_month"] + 0.5)).log(),
        error_bias=((column["sales_6_month"] + 0.5) / (column["forecast_6_month"] + 0.5)).log(),
        past_due=(column["pieces_past_due"] / (column["forecast_3_month"] + 0.5)).log1p(),
        owed=(column["local_bo_qty"] / (column["forecast_3_month"] + 0.5)).log1p(),
        lead_time=column["lead_time"],
        **performance,
        **{name: column[name] for name in ("potential_issue", "deck_risk", "oe_constraint", "ppap_risk", "rev_stop")},
    ).select(pl.all().cast(pl.Float64).fill_null(float("nan")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("worlds", nargs="*", default=["retail", "backorders"], help="retail, backorders")
    parser.add_argument("--save", type=Path, help="folder that keeps the forecasts")
    parser.add_argument("--model", default="auto", help="forecasting model")
    parser.add_argument("--late", type=float, default=0.0, help="standard deviation of the lead time in weeks")
    chosen = parser.parse_args()
    if chosen.save is not None:
        chosen.save.mkdir(parents=True, exist_ok=True)
    if "retail" in chosen.worlds:
        retail(chosen.save, chosen.model, chosen.late)
    if "backorders" in chosen.worlds:
        backorders()


if __name__ == "__main__":
    main()
