"""A forecast of the size of the M5 data, timed by stage and scored at all levels: ``python bench/m5_size.py``.

The made-up chain of ``_retail_chain.py`` (30,490 series, 1,941 days, prices, events, five attributes) is made once
into ``--data``. Each model and cutoff then runs in a process of its own: load the library, read, panel, forecast
(``sw.forecast(panel, horizon=28, seed=0)``), quantiles of every series, quantiles of all twelve levels and of the
28-day totals from the joint paths. Wall and CPU seconds and the peak of memory after each stage are measured before
anything else is scored. Cutoff 0 ends 28 days before the data does, each further one 28 days earlier. ``--save`` keeps
each result as a JSON line and leaves out what is there already. ``--model truth`` scores what the days were drawn from.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from _level_scores import M5_LEVELS, Sums, calibration, wrmsse
from _retail_chain import HORIZON, VERSION, RetailChain

import shelfwise as sw
from shelfwise.domain.forecast import DEFAULT_LEVELS, Forecast, Provenance
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.panel import Panel
from shelfwise.forecasting import metrics

TRUTH = "truth"  # not a model: what the chain itself drew the days from
STAGES = ("load", "read", "panel", "forecast", "quantiles", "levels")


def measure(folder: Path, model: str, cutoff: int) -> dict[str, Any]:
    """Forecast one cutoff; return stages, sizes and scores."""
    clock = _Clock()
    ask = sw.forecast  # the library loads when its first name is asked for
    clock.lap("load")
    chain = RetailChain.load(folder)
    clock.lap("read")
    back = HORIZON * (cutoff + 1)
    past, actual = chain.panel(back)
    truth = Marginals(*chain.truth(back)) if model == TRUTH else None
    del chain
    clock.lap("panel")
    if truth is None:
        forecast = ask(past, horizon=HORIZON, model=model, seed=0)
    else:
        forecast = Forecast(past.series, past.ends, past.freq, Provenance(TRUTH, "1"), marginals=truth)
    clock.lap("forecast")
    forecast.quantiles(DEFAULT_LEVELS)
    clock.lap("quantiles")
    sums = Sums.of(forecast)
    sums.quantiles(DEFAULT_LEVELS)
    clock.lap("levels")
    say("scoring")
    exact = wrmsse(past, actual, forecast)
    levels = exact.join(calibration(actual, forecast, sums=sums), on=["level", "nodes"], maintain_order="left")
    return {
        "model": model,
        "cutoff": cutoff,
        "series": past.n_series,
        "stages": clock.stages,
        "wrmsse": float(exact["wrmsse"].mean()),
        "levels": levels.to_dicts(),
        "mase": mase_since_launch(past, actual, forecast),
        "notes": list(forecast.provenance.notes),
    }


def mase_since_launch(past: Panel, actual: np.ndarray, forecast: Forecast) -> float:
    """Return MASE of the series, scaled by seasonal naive's error since each one's first sale."""
    history = past.window(int(past.lengths.max()))
    scale = np.empty(past.n_series)
    for low in range(0, past.n_series, 2_000):
        some = np.nan_to_num(history[low : low + 2_000])
        sold = some > 0
        first = np.where(sold.any(axis=1), sold.argmax(axis=1), some.shape[1])
        some[np.arange(some.shape[1]) < first[:, None]] = np.nan
        scale[low : low + 2_000] = metrics.naive_scales(some, past.freq.season)[0]
    median = forecast.quantiles([0.5])[:, :, 0]
    return metrics.mase(actual, median, np.ones(actual.shape, dtype=np.bool_), scale)


class _Clock:
    """Wall and CPU seconds since the last lap, and the peak of memory so far in MB, by stage."""

    def __init__(self) -> None:
        self.stages: dict[str, dict[str, float]] = {}
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def lap(self, stage: str) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
        self.stages[stage] = {"wall": wall - self.wall, "cpu": cpu - self.cpu, "peak_mb": peak}
        say(f"{stage}: {wall - self.wall:.2f} s, {cpu - self.cpu:.2f} CPU s, peak {peak:,.0f} MB")
        self.wall, self.cpu = time.perf_counter(), time.process_time()


def say(text: str) -> None:
    """Tell progress on stderr."""
    print(text, file=sys.stderr, flush=True)


def show(results: list[dict[str, Any]]) -> None:
    """Print stages, and scores by level as means over cutoffs, for each model."""
    for model in dict.fromkeys(result["model"] for result in results):
        own = [result for result in results if result["model"] == model]
        print(f"\n{model}: {own[0]['series']:,} series, {len(own)} cutoffs of {HORIZON} days")
        print(f"  {'stage':<12}{'wall s':>9}{'CPU s':>9}{'peak MB':>10}   (medians)")
        for stage in STAGES:
            middle = {k: _median([result["stages"][stage][k] for result in own]) for k in ("wall", "cpu", "peak_mb")}
            print(f"  {stage:<12}{middle['wall']:9.2f}{middle['cpu']:9.2f}{middle['peak_mb']:10,.0f}")
        whole = _median([sum(result["stages"][stage]["wall"] for stage in STAGES) for result in own])
        print(f"  {'in all':<12}{whole:9.2f}")
        scores = pl.concat([pl.DataFrame(result["levels"]) for result in own])
        by_level = scores.group_by("level", maintain_order=True).agg(pl.col(scores.columns[1:]).mean())
        with pl.Config(
            tbl_hide_dataframe_shape=True,
            tbl_hide_column_data_types=True,
            tbl_rows=-1,
            tbl_cols=-1,
            tbl_width_chars=160,
            float_precision=4,
        ):
            print(by_level)
        each = ", ".join(f"{result['wrmsse']:.4f}" for result in own)
        items = by_level.row(by_level.height - 1, named=True)
        print(
            f"  WRMSSE over {len(M5_LEVELS)} levels {sum(r['wrmsse'] for r in own) / len(own):.4f} ({each}); "
            f"series: WQL {items['wql']:.4f}, MASE {sum(r['mase'] for r in own) / len(own):.4f}, "
            f"10-90 band holds {items['coverage']:.3f}"
        )
        for note in own[0]["notes"]:
            print(f"  note: {note}")


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def chain_in(folder: Path, n_series: int | None) -> Path:
    """Return the folder of the chain of that size, made in a process of its own where it is not there yet."""
    here = folder / f"retail-chain-{VERSION}-{n_series or 'all'}"
    if not (here / "series.csv").is_file():
        started = time.perf_counter()
        subprocess.run([sys.executable, __file__, "--make", str(here), *_size(n_series)], check=True)
        say(f"made the chain in {time.perf_counter() - started:.1f} s in {here}")
    return here


def _size(n_series: int | None) -> list[str]:
    return [] if n_series is None else ["--series", str(n_series)]


def main() -> None:
    """Run what is asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", default="auto,base_level", help="names of the catalog, by commas; truth for the bound"
    )
    parser.add_argument("--cutoffs", type=int, default=1, help="windows of 28 days, the last ones first")
    parser.add_argument("--series", type=int, help="whole items in all ten stores, about so many series")
    parser.add_argument("--data", type=Path, help="where the chain is kept; default: a temporary folder")
    parser.add_argument("--save", type=Path, help="folder for the results, JSON lines; what is there is not run again")
    parser.add_argument("--again", action="store_true", help="run even what is saved; the newest result counts")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--one", nargs=3, metavar=("FOLDER", "MODEL", "CUTOFF"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        RetailChain.made(options.series).save(options.make)
        return
    if options.one:
        folder, model, cutoff = options.one
        print(json.dumps(measure(Path(folder), model, int(cutoff))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        results = run(options, options.data or Path(scratch))
    show(results)


def run(options: argparse.Namespace, data: Path) -> list[dict[str, Any]]:
    """Return the results of all models and cutoffs, running those that are not saved yet."""
    folder = chain_in(data, options.series)
    kept: Path | None = None
    done: dict[tuple[str, int], dict[str, Any]] = {}
    if options.save:
        options.save.mkdir(parents=True, exist_ok=True)
        kept = options.save / f"m5_size-{options.series or 'all'}.jsonl"
        if kept.is_file() and not options.again:
            done = {(r["model"], r["cutoff"]): r for r in map(json.loads, kept.read_text().splitlines())}
    results = []
    for model in options.model.split(","):
        for cutoff in range(options.cutoffs):
            if (model, cutoff) not in done:
                say(f"{model}, cutoff {cutoff}, load {os.getloadavg()[0]:.1f}")
                command = [sys.executable, __file__, "--one", str(folder), model, str(cutoff)]
                line = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
                done[model, cutoff] = json.loads(line)
                if kept:
                    with kept.open("a") as file:
                        file.write(line + "\n")
            results.append(done[model, cutoff])
    return results


if __name__ == "__main__":
    main()
