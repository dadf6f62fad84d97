"""Time what forecasts are made of, and how much TreeSHAP takes of it.

    SHELFWISE_DATA=folder .venv/bin/python bench/explain.py
    SHELFWISE_DATA=folder .venv/bin/python bench/explain.py --panel rossmann --series 200 --model trees

Prints the time to fit, to forecast and to explain, and how far the parts are from the forecast's mean.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from _panels import PANELS

from shelfwise.forecasting.catalog import estimator
from shelfwise.forecasting.explain import explain
from shelfwise.forecasting.lifts import lifts


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return a result with wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--panel", choices=sorted(PANELS), default="retail_daily")
    parser.add_argument("--series", type=int, default=500, help="how many series, the first of the panel")
    parser.add_argument("--model", default="trees")
    arguments = parser.parse_args()
    make, horizon, _ = PANELS[arguments.panel]
    panel = make()
    panel = panel.select(np.arange(min(arguments.series, panel.n_series)))
    panel = panel.until(panel.ends - horizon)
    print(f"load {os.getloadavg()[0]:.1f}; {panel.n_series} series of {arguments.panel}, {horizon} periods ahead")
    predictor, wall, cpu = timed(lambda: estimator(arguments.model).fit(panel))
    notes = "; ".join(getattr(predictor, "notes", ()))
    print(f"fit       {wall:7.2f} s wall {cpu:7.2f} s CPU   {arguments.model} {notes}".rstrip())
    forecast, wall, cpu = timed(lambda: predictor.predict(panel, horizon).mean())
    print(f"forecast  {wall:7.2f} s wall {cpu:7.2f} s CPU")
    made, wall, cpu = timed(lambda: explain(predictor, panel, horizon))
    print(f"explain   {wall:7.2f} s wall {cpu:7.2f} s CPU   {1000 * wall / panel.n_series:.1f} ms a series")
    shap = getattr(predictor, "shap_values", None)
    if shap is not None:
        _, wall, cpu = timed(lambda: list(shap(panel, horizon)))
        print(f"of which TreeSHAP alone, on one core: {wall:.2f} s wall {cpu:.2f} s CPU")
    off = np.abs(made.mean() - forecast) / np.maximum(forecast, 1e-9)
    print(f"parts: {', '.join(part.name for part in made.parts)}; furthest from the mean: {off.max():.1e} of it")
    rows, wall, cpu = timed(lambda: lifts(predictor, panel, horizon))
    print(f"lifts     {wall:7.2f} s wall {cpu:7.2f} s CPU   {rows.height} rows")
    for row in rows.filter(rows["category"].is_null()).iter_rows(named=True):
        ahead = "-" if row["forecast_lift"] is None else f"{row['forecast_lift']:.2f}"
        past = "-" if row["lift"] is None else f"{row['lift']:.2f} ({row['low']:.2f}-{row['high']:.2f})"
        print(f"  {row['name']}: {past} in the past, {ahead} in the forecast, seen on {row['dates']} dates")


if __name__ == "__main__":
    main()
