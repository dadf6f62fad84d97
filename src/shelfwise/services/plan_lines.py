"""The lines of a plan: what each is to order, and what has to be said of all of them.

Letters: n series, S sample paths, H days.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.domain import words
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.frames import PROPOSAL_LINES
from shelfwise.inventory.incoming import Incoming
from shelfwise.inventory.proposal import ProposalRules, propose, top_up_to_minimum
from shelfwise.services.demand import Demand
from shelfwise.services.supply import Supply

Floats = NDArray[np.float64]

CELLS_PER_CHUNK: Final = 12_000_000
"""Path cells [n, S, H] worked on at once, about 50 MB; memory stays flat however many series there are."""
RATE_DAYS: Final = 28
"""Days over which "sells so many a day" and its 80 % range are told."""
COLUMNS: Final = tuple(PROPOSAL_LINES.columns)
TOLD: Final = ("mean_per_day", "low_per_day", "high_per_day")
"""What is told of a line beside PROPOSAL_LINES: mean and 80 % range of its daily demand, units."""


def lines_in_chunks(
    forecast: Forecast, items: pl.DataFrame, coming: Incoming, as_of: dt.date, rules: ProposalRules, seed: int
) -> pl.DataFrame:
    """Propose chunk by chunk, so that memory stays flat; PROPOSAL_LINES and the 80 % range of daily demand."""
    days = [as_of + dt.timedelta(days=day) for day in range(forecast.horizon + 1)]
    inbound = due_units(coming, items, as_of, forecast.horizon)
    n_chunks = -(-len(forecast) * forecast.n_paths * forecast.horizon // CELLS_PER_CHUNK)
    parts, low = [], 0
    for chunk in forecast.chunks(n_chunks):
        rows = slice(low, low + len(chunk))
        low = rows.stop
        parts.append(lines_of(items[rows], chunk.paths, chunk.mean(), inbound[rows], days, rules, seed))
    return pl.concat(parts)


def lines_of(
    items: pl.DataFrame,
    paths: NDArray[Any],
    mean: NDArray[np.floating[Any]],
    inbound: Floats,
    days: Sequence[dt.date],
    rules: ProposalRules,
    seed: int,
) -> pl.DataFrame:
    """Return PROPOSAL_LINES and the mean and 80 % range of daily demand over 28 days.

    Parameters
    ----------
    paths, mean
        [n, S, H] and [n, H] units.
    inbound
        [n, H] units.
    days
        H + 1 days.
    """
    lines = propose(items, paths, inbound, days, seed=seed, rules=rules)
    rate = np.quantile(paths[:, :, :RATE_DAYS].sum(axis=2), [0.1, 0.9], axis=1) / RATE_DAYS  # [2, n] units per day
    told = {"mean_per_day": mean[:, :RATE_DAYS].mean(axis=1), "low_per_day": rate[0], "high_per_day": rate[1]}
    return lines.hstack([pl.Series(name, values) for name, values in told.items()])


def due_units(coming: Incoming, items: pl.DataFrame, as_of: dt.date, horizon: int) -> Floats:
    """Return [N, H] units on order, on the shelf from the start of each day."""
    days = [as_of + dt.timedelta(days=day) for day in range(horizon + 1)]
    return coming.by_period(items["product"].to_list(), items["warehouse"].to_list(), days, horizon)


def topped_up(lines: pl.DataFrame, side: Supply, rules: ProposalRules) -> pl.DataFrame:
    """Return the lines raised to their suppliers' minima."""
    raised = top_up_to_minimum(lines.select(COLUMNS), side.suppliers_as_measured, rules=rules)
    return raised.with_columns(lines.select(TOLD))


def notes_of(lines: pl.DataFrame, live: Demand, side: Supply, rules: ProposalRules) -> list[str]:
    """Return what a person has to know of a plan's lines as a whole."""
    return [*_stock_ahead(side, live), *_bundle_notes(side, live), *_assumed(lines, rules)]


def _stock_ahead(side: Supply, live: Demand) -> list[str]:
    """Say that stock was counted later than the sales end: what sold in between is off the shelf and ordered again."""
    counted = side.stock["as_of"].max()
    if not isinstance(counted, dt.datetime) or counted.date() <= live.planning_day:
        return []
    days = (counted.date() - live.planning_day).days
    return [
        f"stock was counted on {counted.date()}, but sales are known until {live.data_until} only: the demand of "
        f"{days:,} days in between is ordered again; import the newer sales first"
    ]


def _bundle_notes(side: Supply, live: Demand) -> list[str]:
    """Say which live products are bundles, since they have no line."""
    made = side.bundles["bundle"].unique()
    names = live.panel.series.filter(pl.col("product").is_in(made.implode()))["product"].unique().sort().to_list()
    if not names:
        return []
    return [
        f"{words.count(len(names), 'product is a bundle', 'products are bundles')} ({words.listed(names, 3)}) and not "
        "ordered: their demand is that of their components"
    ]


def _assumed(lines: pl.DataFrame, rules: ProposalRules) -> list[str]:
    """Say loudly what the proposal as a whole rests on."""
    notes = []
    unknown = int((~lines["stock_known"]).sum())
    if unknown == lines.height:
        notes.append(
            "no stock on hand is known: each order covers the whole demand of its protection time; "
            "import a stock file (columns sku, on_hand) before ordering"
        )
    elif unknown:
        notes.append(f"{unknown:,} lines have no stock count: their orders cover the whole demand; count them first")
    assumed = lines.filter(pl.col("assumptions").str.contains("no lead time").fill_null(value=False)).height
    if assumed:
        notes.append(
            f"{assumed:,} lines have no lead time: assumed {rules.lead_time_days:g} days; "
            "`shelfwise suppliers edit SUPPLIER --lead-time DAYS` sets it"
        )
    return notes
