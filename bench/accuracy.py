"""Accuracy on held-out windows of real data: ``python bench/accuracy.py [PANEL ...]``, with SHELFWISE_DATA set.

Every model sees only what was known at each cutoff. Windows do not overlap and end with the data. ``--models`` names
the models, ``--sample`` takes so many series of each panel, chosen by a hash of their ids: the same for every model.
"""

from __future__ import annotations

import argparse
import time

import polars as pl
from _panels import PANELS

from shelfwise.forecasting.backtest import backtest
from shelfwise.forecasting.held_out import sample_of

COLUMNS = ("model", "cutoffs", "wql", "mase", "wape", "bias", "coverage", "total_coverage", "seconds")


def main(names: list[str], models: list[str], sample: int | None) -> None:
    """Print one table for each panel."""
    for name in names or list(PANELS):
        make, horizon, cutoffs = PANELS[name]
        panel = make()
        if sample is not None:
            panel = sample_of(panel, sample)
        started = time.perf_counter()
        result = backtest(panel, models, horizon=horizon, n_cutoffs=cutoffs)
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("panels", nargs="*", metavar="PANEL", help=f"of {', '.join(PANELS)}; all by default")
    parser.add_argument(
        "--models", default="base_level,seasonal_naive", help="names of the catalog, separated by commas"
    )
    parser.add_argument("--sample", type=int, help="series of each panel, at most")
    given = parser.parse_args()
    main(given.panels, given.models.split(","), given.sample)
