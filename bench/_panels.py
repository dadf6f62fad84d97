"""Panels of real data for the benchmarks, read from the folder that ``SHELFWISE_DATA`` names."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from shelfwise.domain.panel import Panel


def data_folder() -> Path:
    """Return the folder of real data, or end with a word on how to name it."""
    folder = os.environ.get("SHELFWISE_DATA", "")
    if not folder or not Path(folder).is_dir():
        sys.exit("set SHELFWISE_DATA to the folder that holds the data sets (carparts, online_retail, ...)")
    return Path(folder)


def carparts() -> Panel:
    """2,509 complete monthly histories of car parts."""
    frame = pl.read_parquet(data_folder() / "carparts" / "carparts.parquet")
    grid = frame.drop("Part").cast(pl.Float64).fill_null(float("nan")).to_numpy()
    keep = ~np.isnan(grid).any(axis=1)
    ids = frame["Part"].cast(pl.String).filter(pl.Series(keep))
    return Panel.from_wide(grid[keep], start="1998-01-01", freq="1mo", series={"unique_id": ids})


def spareparts() -> Panel:
    """5,000 monthly histories of aircraft spares."""
    frame = pl.read_parquet(data_folder() / "spareparts" / "raf.parquet")
    months = [c for c in frame.columns if c[:2] in ("19", "20")]
    grid = frame.select(months).cast(pl.Float64).fill_null(float("nan")).to_numpy()
    ids = frame["item"].cast(pl.String)
    return Panel.from_wide(grid, start=f"{months[0]}-01", freq="1mo", series={"unique_id": ids})


def _sold() -> pl.DataFrame:
    """Units sold by product and day: lines at a price, without the files' overlap and cancelled bulk orders."""
    folder = data_folder() / "online_retail"
    first = pl.read_parquet(folder / "online_retail_2009_2010.parquet")
    second = pl.read_parquet(folder / "online_retail_2010_2011.parquet")
    first = first.filter(pl.col("InvoiceDate") < second["InvoiceDate"].min())
    lines = pl.concat([first, second], how="vertical_relaxed").with_columns(pl.col("StockCode").str.to_uppercase())
    returned = (
        lines.filter(pl.col("InvoiceNo").str.starts_with("C"))
        .select("StockCode", (-pl.col("Quantity")).alias("Quantity"), "UnitPrice")
        .filter(pl.col("Quantity") >= 1000)
        .unique()
    )
    return (
        lines.filter(
            ~pl.col("InvoiceNo").str.starts_with("C"),
            pl.col("Quantity") > 0,
            pl.col("UnitPrice") > 0,
            pl.col("StockCode").str.contains(r"^\d{5}"),
        )
        .join(returned, on=["StockCode", "Quantity", "UnitPrice"], how="anti")
        .group_by(pl.col("StockCode").alias("unique_id"), pl.col("InvoiceDate").dt.date().alias("ds"))
        .agg(pl.col("Quantity").sum().cast(pl.Float64).alias("y"))
        .sort("unique_id", "ds")
    )


def retail_daily() -> Panel:
    """The 500 best-selling products of Online Retail, by day."""
    sold = _sold()
    best = sold.group_by("unique_id").agg(pl.col("y").sum()).sort("y", "unique_id", descending=True).head(500)
    return Panel.from_long(sold.join(best.select("unique_id"), on="unique_id", how="semi"), freq="1d", gaps="zero")


def retail_weekly() -> Panel:
    """All products of Online Retail, by week; the last, unfinished week left out."""
    sold = _sold().with_columns(pl.col("ds").dt.truncate("1w"))
    weekly = sold.group_by("unique_id", "ds").agg(pl.col("y").sum()).sort("unique_id", "ds")
    return Panel.from_long(weekly.filter(pl.col("ds") < weekly["ds"].max()), freq="1w", gaps="zero")


def retail_all_daily() -> Panel:
    """All products of Online Retail, by day."""
    return Panel.from_long(_sold(), freq="1d", gaps="zero")


def rossmann() -> Panel:
    """Daily sales of 1,115 stores with promotions, holidays and opening days known ahead."""
    frame = pl.read_parquet(data_folder() / "rossmann" / "train_open_days.parquet").sort("Store", "Date")
    stores, days = frame["Store"].unique().sort(), pl.date_range(frame["Date"].min(), frame["Date"].max(), eager=True)
    row = frame["Store"].cast(pl.Int64).to_numpy() - 1
    column = (frame["Date"].to_numpy() - days.to_numpy()[0]).astype("timedelta64[D]").astype(int)
    sales = np.full((len(stores), len(days)), np.nan)
    promotion, opened, school = (np.zeros(sales.shape) for _ in range(3))
    sales[row, column] = frame["Sales"].to_numpy()
    promotion[row, column] = frame["Promo"].to_numpy()
    school[row, column] = frame["SchoolHoliday"].to_numpy()
    opened[row, column] = 1.0
    return Panel.from_wide(
        sales,
        start=str(days[0]),
        series={"unique_id": stores.cast(pl.String)},
        known_future={"promotion": promotion, "open": opened, "school_holiday": school},
    )


def _m4(name: str, freq: str, start: str) -> Panel:
    frame = pl.read_parquet(data_folder() / "m4_m3" / f"m4_{name}.parquet").sort("series", "t")
    steps = frame["t"].to_numpy().astype(np.int64)
    moments = np.datetime64(start) + steps * (np.timedelta64(7, "D") if freq == "1w" else np.timedelta64(1, "h"))
    long = pl.DataFrame({"unique_id": frame["series"], "ds": moments.astype("datetime64[us]"), "y": frame["y"]})
    return Panel.from_long(long, freq=freq, gaps="missing")


def m4_weekly() -> Panel:
    """359 weekly series of many kinds; their dates are not known and begin on one day here."""
    return _m4("weekly", "1w", "1950-01-02T00")


def m4_hourly() -> Panel:
    """414 hourly series; their dates are not known and begin on one day here."""
    return _m4("hourly", "1h", "2000-01-03T00")


PANELS: dict[str, tuple[Callable[[], Panel], int, int]] = {  # name: (panel, horizon, cutoffs)
    "carparts": (carparts, 12, 1),
    "spareparts": (spareparts, 12, 2),
    "retail_weekly": (retail_weekly, 13, 4),
    "retail_daily": (retail_daily, 28, 4),
    "rossmann": (rossmann, 42, 3),
    "m4_weekly": (m4_weekly, 13, 1),
    "m4_hourly": (m4_hourly, 48, 1),
}

ASKED: dict[str, dict[str, int]] = {  # panel: {peer: series it is asked for} where that is not the peer's usual number
    "retail_daily": {"AutoARIMA": 0},  # seconds a series
    "rossmann": {"Theta": 300, "AutoARIMA": 0},
    "m4_hourly": {"AutoETS": 40, "AutoARIMA": 0},
}


def fixed_sample(panel: Panel, size: int) -> np.ndarray:
    """Return positions of ``size`` series, or of all: those whose hashed ids come first, whatever their order."""
    keys = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in panel.ids.cast(pl.String)]
    return np.array(sorted(sorted(range(len(keys)), key=keys.__getitem__)[:size]), dtype=np.int64)
