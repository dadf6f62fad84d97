"""Accuracy on held-out windows of real data: ``python bench/accuracy.py [PANEL ...]``, with SHELFWISE_DATA set.

Every model sees only what was known at each cutoff. Windows do not overlap and end with the data.
"""

from __future__ import annotations

import sys
import time

import polars as pl
from _panels import PANELS

from shelfwise.forecasting.backtest import backtest

COLUMNS = ("model", "cutoffs", "wql", "mase", "wape", "bias", "coverage", "total_coverage", "seconds")


def main(names: list[str]) -> None:
    """Print one table for each panel."""
    for name in names or list(PANELS):
        make, horizon, cutoffs = PANELS[name]
        panel = make()
        started = time.perf_counter()
        result = backtest(panel, ("base_level", "seasonal_naive"), horizon=horizon, n_cutoffs=cutoffs)
        took = time.perf_counter() - started
        print(f"\n{name}: {panel.n_series:,} series of {panel.freq}, {cutoffs} cutoffs of {horizon} ({took:.1f} s)")
        with pl.Config(
            tbl_hide_dataframe_shape=True,
            tbl_hide_column_data_types=True,
            float_precision=4,
            tbl_cols=20,
            tbl_width_chars=160,
        ):
            print(result.summary().select(COLUMNS))


if __name__ == "__main__":
    main(sys.argv[1:])
