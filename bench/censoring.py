"""What forecasts lose to stockouts, and what is won back: ``python bench/censoring.py [WORLD ...]``.

Where no stockout is recorded the truth is not known, so stockouts are made: real sales are taken as demand, and a shop
with a periodic order-up-to rule and lost sales sells them from its shelf, which runs out when demand is high. ``demo``
is the made-up shop, read from its store with stockouts found as they are for any shop; its true demand is drawn with
it. The others need SHELFWISE_DATA. Every treatment is forecast from the same cutoff and scored on true demand:

- ``true demand``: nothing was hidden; what the model can do at best
- ``sales``: sales are read as demand
- ``left out``: censored periods are left out, those that sold as well as those that did not
- ``ours``: periods that sold out are demand of at least what sold, those without stock are left out
"""

from __future__ import annotations

import argparse
import datetime as dt
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from _panels import PANELS

from shelfwise.demo import make_shop_with_truth
from shelfwise.domain.forecast import DEFAULT_LEVELS
from shelfwise.domain.panel import Panel
from shelfwise.forecasting import metrics
from shelfwise.forecasting.catalog import estimator
from shelfwise.forecasting.censoring import hidden, lost_units
from shelfwise.forecasting.held_out import sample_of
from shelfwise.services import demand
from shelfwise.services.demo import open_demo

Floats = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]

TODAY = dt.date(2026, 11, 21)
COVERS = (2.0, 1.4, 1.0, 0.7)  # what is ordered up to, in times the mean demand until the next order arrives
TREATMENTS = ("true demand", "sales", "left out", "ours")
SUPPLY = {"1d": (7, 5), "1w": (1, 1)}  # review and lead time in periods


@dataclass(frozen=True)
class World:
    """Histories [F] in one layout, as they sold and as they were wanted, and the demand that came after them."""

    name: str
    sold: Panel  # with available
    wanted: Panel
    coming: Floats  # [N, H] true demand
    scored: Flags  # [N, H]


def sold_from_stock(wanted: Floats, review: int, lead: int, cover: float) -> tuple[Floats, Flags]:
    """Return sales and empty shelves at the end of each period [N, T]; what is not on the shelf is lost.

    Every ``review`` periods the buyer, who knows the demand of the last 56 (a kind buyer: one who only sees sales runs
    out more often), orders up to ``cover`` times its mean over review and lead time, and one unit.
    """
    n, periods = wanted.shape
    rate = wanted.mean(axis=1)
    shelf = np.ceil(rate * (review + lead) * cover + 1.0)
    coming = np.zeros((n, periods + lead + 1))
    sales, empty = np.zeros(wanted.shape), np.zeros(wanted.shape, dtype=np.bool_)
    for t in range(periods):
        shelf += coming[:, t]
        sales[:, t] = np.minimum(wanted[:, t], shelf)
        shelf -= sales[:, t]
        empty[:, t] = shelf <= 0
        if t >= 28:
            rate = wanted[:, max(0, t - 55) : t + 1].mean(axis=1)
        missing = np.ceil(rate * (review + lead) * cover + 1.0) - shelf - coming[:, t + 1 :].sum(axis=1)
        coming[:, t + lead] += np.where((t + np.arange(n)) % review == 0, np.maximum(missing, 0.0), 0.0)
    return sales, empty


def real(name: str, sample: int) -> Iterator[World]:
    """Yield a real panel's demand sold from shelves that are filled less and less well."""
    make, horizon, _ = PANELS[name]
    panel = sample_of(make(), sample)
    length = int(panel.lengths.max())
    grid = panel.window(length).astype(np.float64)
    begun = ~np.isnan(grid)
    units = np.where(begun, np.maximum(np.nan_to_num(grid), 0.0), 0.0)
    start = panel.freq.moments([int(panel.ends.max()) - length])[0].astype("datetime64[D]").astype(object)
    for cover in COVERS:
        sales, empty = sold_from_stock(units, *SUPPLY[str(panel.freq)], cover)
        shape = {"start": start, "freq": panel.freq, "series": panel.series}
        sold = Panel.from_wide(np.where(begun, sales, np.nan), available=~(empty & begun), **shape)
        wanted = Panel.from_wide(np.where(begun, units, np.nan), **shape)
        yield from cut(f"{name}, cover {cover:g}", sold, wanted, horizon, 2)


def made_up(horizon: int = 28) -> Iterator[World]:
    """Yield the made-up shop as its store is read: stockouts by stock on hand where it is known, else by silence."""
    _, truth = make_shop_with_truth(today=TODAY)
    with tempfile.TemporaryDirectory() as folder:
        app = open_demo(Path(folder) / "demo.db", today=TODAY, folder=Path(folder))
        panel = demand.load(app).panel
        app.close()
    panel = panel.select(panel.ends == panel.ends.max())
    key = truth.select(
        pl.format("{}@{}", "product", "warehouse").alias("unique_id"),
        pl.col("day").to_physical().cast(pl.Int64).alias("at"),
        "demand",
    )
    row = np.repeat(np.arange(panel.n_series), panel.lengths)
    at = np.arange(len(panel.values)) + np.repeat(panel.starts - panel.offsets[:-1], panel.lengths)
    cells = pl.DataFrame({"unique_id": panel.ids.gather(row), "at": at})
    wanted = cells.join(key, on=["unique_id", "at"], how="left", maintain_order="left")["demand"]
    values = np.where(np.isnan(panel.values), np.nan, wanted.fill_null(float("nan")).to_numpy())
    values = np.where(np.isnan(values), panel.values, values)  # days before the truth begins, inherited ones
    true = replace(panel, values=values, available=None)
    yield from cut("demo", panel, true, horizon, 4)


def cut(name: str, sold: Panel, wanted: Panel, horizon: int, cutoffs: int) -> Iterator[World]:
    """Yield what was known at each cutoff and what demand came after it; series with a month of history alone."""
    for back in range(0, horizon * cutoffs, horizon):
        past, coming, scored = wanted.until(wanted.ends - back).split(horizon)
        keep = past.lengths >= 28
        before = sold.until(sold.ends - back - horizon).select(keep)
        yield World(name, before, past.select(keep), coming[keep], scored[keep])


def measure(world: World, model: str) -> dict[str, float]:
    """Return how much was hidden, and bias and WQL of each treatment against true demand."""
    censored = hidden(world.sold)
    assert world.sold.available is not None
    known = ~np.isnan(world.sold.values)
    lost = np.nansum(np.where(censored, world.wanted.values - world.sold.values, 0.0))
    silent = replace(world.sold, values=np.where(censored, 0.0, world.sold.values))
    treatments = {
        "true demand": world.wanted,
        "sales": replace(world.sold, available=None),
        "left out": silent,
        "ours": world.sold,
    }
    found = {
        "censored": float(censored[known].mean()),
        "lost": float(lost / np.nansum(world.wanted.values)),
        "lost, estimated": float(lost_units(world.sold).sum() / np.nansum(world.wanted.values)),
    }
    levels = np.asarray(DEFAULT_LEVELS)
    actual = np.where(world.scored, world.coming, 0.0)
    for name, panel in treatments.items():
        made = estimator(model).fit(panel).predict(panel, actual.shape[1], n_paths=2)
        found[f"bias, {name}"] = metrics.bias(actual, made.mean(), world.scored)
        found[f"WQL, {name}"] = metrics.wql(actual, made.quantiles(levels), levels, world.scored)
    return found


def main(names: list[str], model: str, sample: int) -> None:
    """Print one row for each world and stockout rate."""
    print(
        "| world | censored | units lost | estimated | bias: true demand | sales | left out | ours | points removed |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    losses = []
    worlds = [world for name in names for world in (made_up() if name == "demo" else real(name, sample))]
    for name, group in groupby(worlds, key=lambda world: world.name):
        each = [measure(world, model) for world in group]
        found = {key: float(np.mean([one[key] for one in each])) for key in each[0]}
        away = {t: abs(found[f"bias, {t}"] - found["bias, true demand"]) for t in ("sales", "ours")}
        shares = [f"{found[k]:.1%}" for k in ("censored", "lost", "lost, estimated")]
        biases = [f"{found[f'bias, {t}']:+.1%}" for t in TREATMENTS]
        removed = f"{100 * (away['sales'] - away['ours']):.1f}"
        print(f"| {' | '.join([name, *shares, *biases, removed])} |", flush=True)
        losses.append((name, [found[f"WQL, {t}"] for t in TREATMENTS]))
    print("\n| world | WQL: true demand | sales | left out | ours |\n|---|---|---|---|---|")
    for name, values in losses:
        print(f"| {' | '.join([name, *(f'{v:.4f}' for v in values)])} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("worlds", nargs="*", default=["demo", "retail_daily", "retail_weekly"], metavar="WORLD")
    parser.add_argument("--model", default="auto", help="name of the catalog")
    parser.add_argument("--sample", type=int, default=500, help="series of each real panel, at most")
    given = parser.parse_args()
    main(given.worlds, given.model, given.sample)
