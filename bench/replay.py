"""What our orders would have cost beside others: ``python bench/replay.py [--save FOLDER] [PANEL ...]``.

Real demand, replayed: in each round every policy sees the history until then, its own stock and what it has on order,
and orders; the demand that came is then served or lost. Lead time 2 periods, an order every period, 0.2 a period for
each unit left and 1.0 for each unit asked for in vain. Costs count from the first period that an order can reach. All
policies open with the stock that the textbook base stock (normal demand, mean and standard deviation of the last 26
periods) would have left on the shelf and on its way, unless ``--opening`` names another policy.

``ours`` is what the library does by default: ``shelfwise.forecast``, then ``shelfwise.optimise``. The tables give the
cost over that of the moving average and over each other policy with its standard error and 90 % range, resampled over
series, and the same for the fast and the slow half of the series (by sales in the half year before the replay).

With ``--save`` every round's forecast is kept in that folder, so that a second run needs only the decisions.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _panels import carparts, retail_weekly, rossmann, spareparts
from _retail_chain import START, RetailChain

import shelfwise
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.panel import Panel
from shelfwise.inventory.replay_rules import RULES
from shelfwise.inventory.replay_scores import Replay, difference
from shelfwise.services import replaying

POLICIES = {
    "moving_average": "moving_average", "min_max": "min_max", "s_q": "s_q", "base_stock_normal": "base_stock_normal",
    "service_level_95": "today", "base_stock": "base_stock", "ours": "optimise",
}  # fmt: skip
HALF_A_YEAR = {"w": 26, "mo": 6, "d": 182}


def rossmann_weekly() -> Panel:
    """Rossmann's 1,115 stores by week of seven days; days without a row, mostly closed ones, sold nothing."""
    daily = rossmann()
    weeks = int(daily.lengths.max()) // 7
    sold = np.nan_to_num(daily.window(7 * weeks)).reshape(len(daily), weeks, 7).sum(axis=2)
    return Panel.from_wide(sold, start="2013-01-07", freq="1w", series={"unique_id": daily.ids})


def chain_weekly() -> Panel:
    """1,500 series of the made-up chain of the M5's shape by week; its prices and events are not told."""
    chain = RetailChain.made(1500)
    weeks = chain.units.shape[1] // 7
    sold = chain.units[:, : 7 * weeks].reshape(len(chain.units), weeks, 7).sum(axis=2).astype(np.float64)
    return Panel.from_wide(sold, start=str(START), freq="1w", series=chain.series)


PANELS: dict[str, Callable[[], Panel]] = {
    "retail_weekly": retail_weekly, "rossmann_weekly": rossmann_weekly, "spareparts": spareparts, "carparts": carparts,
    "chain_weekly": chain_weekly,
}  # fmt: skip


def kept(folder: Path | None, panel: str, model: str, n_paths: int, seed: int) -> replaying.Forecaster:
    """Return what forecasts a history as `shelfwise.forecast` does, from the folder where it has done so before."""

    def make(history: Panel, horizon: int) -> Forecast:
        end, n = int(history.ends.max()), history.n_series
        name = f"{panel}-{model}-{shelfwise.__version__}-{n}-{end}-{horizon}-{n_paths}-{seed}.forecast"
        if folder is not None and (folder / name).exists():
            return Forecast.from_bytes((folder / name).read_bytes())
        began = time.process_time()
        made = shelfwise.forecast(history, horizon, model=model, n_paths=n_paths, seed=seed)
        print(f"  forecast from {end}: {time.process_time() - began:.1f} s of CPU", file=sys.stderr)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(made.to_bytes())
        return made

    return make


def tables(done: Replay, volume: np.ndarray) -> str:
    """Return the costs of all policies, then ours beside each, over all series and by half."""
    lines = [
        "| policy | cost | holding | shortage | fill rate | stock | over moving average | error | 90 % range |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in done.summary().iter_rows(named=True):
        beside = "-" if row["difference"] is None else f"{100 * row['difference']:+.1f} %"
        error = "-" if row["error"] is None else f"{100 * row['error']:.1f}"
        band = "-" if row["low"] is None else f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f}"
        lines.append(
            f"| {row['policy']} | {row['cost']:,.0f} | {row['holding']:,.0f} | {row['shortage']:,.0f} | "
            f"{row['fill_rate']:.3f} | {row['stock']:,.0f} | {beside} | {error} | {band} |"
        )
    if "ours" not in done.ledgers:
        return "\n".join(lines)
    ours = done.ledgers["ours"].cost
    fast = np.argsort(np.argsort(-volume)) < len(volume) // 2
    groups = {"all": np.ones(len(volume), dtype=bool), "fast half": fast, "slow half": ~fast}
    lines += ["", "| ours over | " + " | ".join(f"{name} ({rows.sum():,})" for name, rows in groups.items()) + " |"]
    lines += ["|---|" + "---|" * len(groups)]
    for name, ledger in done.ledgers.items():
        if name == "ours":
            continue
        cells = []
        for rows in groups.values():
            found = difference(ours[rows], ledger.cost[rows])
            cells.append(f"{100 * found.value:+.1f} % ({100 * found.low:+.1f} to {100 * found.high:+.1f})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Replay the panels that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("panels", nargs="*", help=f"of {', '.join(PANELS)}; none takes all")
    parser.add_argument("--rounds", type=int, default=8, help="decisions in a window")
    parser.add_argument("--windows", type=int, default=1, help="windows, one before the other")
    parser.add_argument("--lead", type=int, default=2, help="periods from an order to the shelf")
    parser.add_argument("--horizon", type=int, default=8, help="periods forecast in each round")
    parser.add_argument("--holding", type=float, default=0.2)
    parser.add_argument("--shortage", type=float, default=1.0)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--paths", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--policies", default=",".join(POLICIES), help="names, the first to compare with")
    parser.add_argument("--opening", choices=list(RULES), help="policy that ran the shop before")
    parser.add_argument("--save", type=Path, help="folder that keeps the forecasts")
    options = parser.parse_args()

    for name in options.panels or PANELS:
        panel = PANELS[name]()
        for window in range(options.windows):
            world = replaying.world(
                panel,
                rounds=options.rounds,
                forecaster=kept(options.save, name, options.model, options.paths, options.seed),
                back=window * options.rounds,
                horizon=options.horizon,
                lead_time_periods=options.lead,
                holding_cost=options.holding,
                shortage_cost=options.shortage,
                **({} if options.opening is None else {"opening": RULES[options.opening]}),
            )
            rules = replaying.named({p: POLICIES.get(p, p) for p in options.policies.split(",")})
            began = time.process_time()
            done = world.run(rules)
            past = world.rounds[0].history
            volume = np.nansum(past.window(HALF_A_YEAR[past.freq.unit]), axis=1)
            first, last = (str(done.moments[i])[:10] for i in (0, -1))
            print(f"\n**{name}**: {len(world.panel):,} series, {options.rounds} rounds, {first} to {last}, "
                  f"{time.process_time() - began:.0f} s of CPU for {len(rules)} policies\n")  # fmt: skip
            print(tables(done, volume), flush=True)


if __name__ == "__main__":
    main()
