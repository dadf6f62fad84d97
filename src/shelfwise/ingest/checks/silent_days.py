"""Days on which a warehouse sold nothing at all, and its own past says that this was no chance: closed, or a lost file.

A day's chance of no sale is the share of that weekday's dates, before the first and after the last silent day, on which
nothing was sold, as a Beta(1, 1) prior has it: (silent + 1) / (dates + 2). Days in a run multiply; a run is told where
its chance is below `CHANCE` and it is at least `FEWEST_DAYS` open days long.
"""

from __future__ import annotations

from typing import Final

import polars as pl

CHANCE: Final = 1e-5
FEWEST_DAYS: Final = 3


def silent_runs(days: pl.DataFrame) -> pl.DataFrame:
    """Return runs of days without any sale: ``warehouse``, ``starts_on``, ``ends_on``, ``days`` (open ones).

    Parameters
    ----------
    days
        A row for each warehouse and day it should have been open, ``sold`` (whether anything was). Days known as closed
        are left out and break no run.
    """
    weekday = pl.col("day").dt.weekday()
    silent = ~pl.col("sold")
    chance = (silent.sum() + 1).over("warehouse", weekday) / (pl.len() + 2).over("warehouse", weekday)
    runs = (
        days.sort("warehouse", "day")
        .with_columns(run=pl.col("sold").rle_id().over("warehouse"), chance=chance)
        .filter(silent)
        .group_by("warehouse", "run", maintain_order=True)
        .agg(
            starts_on=pl.col("day").min(), ends_on=pl.col("day").max(), days=pl.len().cast(pl.Int64),
            chance=pl.col("chance").log().sum().exp(),
        )
    )  # fmt: skip
    told = runs.filter((pl.col("chance") < CHANCE) & (pl.col("days") >= FEWEST_DAYS))
    return told.select("warehouse", "starts_on", "ends_on", "days")
