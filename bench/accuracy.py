"""Accuracy on held-out windows of real data: ``python bench/accuracy.py [PANEL ...]``, with SHELFWISE_DATA set.

Every model sees only what was known at each cutoff. Windows do not overlap and end with the data, so those of the M4
data are its official test part. ``--models`` names our models and ``--peers`` those of other libraries (the extra
``bench``); ``--save`` keeps each result as a JSON line, leaves out what is there already, and ``--table`` prints the
saved results as Markdown. Slow peers are asked for a fixed sample of series, chosen by a hash of their ids; all others
are then scored on that very sample, too. ``--sample`` takes so many series of each panel to begin with, for a trial.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _panels import ASKED, PANELS, fixed_sample
from _peers import PEERS, Answer, Peer, probabilities_of, warm_up
from _results import Results, overview, tables

from shelfwise.domain.forecast import DEFAULT_LEVELS
from shelfwise.domain.panel import Panel
from shelfwise.forecasting import metrics
from shelfwise.forecasting.backtest import Window, windows
from shelfwise.forecasting.catalog import estimator

MODELS = ("auto", "ensemble", "trees", "base_level", "seasonal_naive")
SAMPLES = tuple(sorted({peer.most for peer in PEERS if peer.most is not None}, reverse=True))
SEED, N_PATHS = 0, 200


def scores(window: Window, answer: Answer, rows: np.ndarray, paths: np.ndarray | None) -> dict[str, Any]:
    """Return the metrics of an answer for the series at ``rows`` of the window.

    ``paths`` [N, S, H] where there are joint paths: coverage then comes from them, and that of the horizon's totals,
    which no set of quantiles says anything about.
    """
    scored = window.scored[rows]
    actual = np.where(scored, window.actual[rows], 0.0)
    levels, quantiles = np.asarray(DEFAULT_LEVELS), answer.quantiles[rows]
    history = window.past.window(int(window.past.lengths.max()))[rows]
    absolute, squared = metrics.naive_scales(history, window.past.freq.season)
    result: dict[str, Any] = {
        "series": int(scored.any(axis=1).sum()),
        "cells": int(scored.sum()),
        "wql": metrics.wql(actual, quantiles, levels, scored),
        "mase": metrics.mase(actual, quantiles[:, :, 4], scored, absolute),
        "rmsse": metrics.rmsse(actual, answer.mean[rows], scored, squared),
        "wape": metrics.wape(actual, answer.mean[rows], scored),
        "bias": metrics.bias(actual, answer.mean[rows], scored),
        "total_coverage": None,
    }
    if paths is None:
        below, up_to = probabilities_of(actual, quantiles)
        result["coverage"] = metrics.pit_share(below[scored], up_to[scored], 0.1, 0.9)
    else:
        result["coverage"] = metrics.coverage(actual, paths[rows], scored)
        drawn = np.einsum("nsh,nh->ns", paths[rows], scored.astype(np.float32))[:, :, None]
        told = scored.any(axis=1, keepdims=True)
        result["total_coverage"] = metrics.coverage(actual.sum(axis=1, keepdims=True), drawn, told)
    return {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in result.items()}


def ours(name: str, past: Panel, horizon: int) -> tuple[Answer, np.ndarray]:
    """Return quantiles and joint paths of a model of the catalog."""
    forecast = estimator(name).fit(past).predict(past, horizon, n_paths=N_PATHS, seed=SEED)
    return Answer(forecast.mean(), forecast.quantiles(DEFAULT_LEVELS)), forecast.paths


def most_of(name: str, peer: Peer | None) -> int | None:
    """Return how many series of the panel a peer is asked for; None for all, as our own models are."""
    return None if peer is None else ASKED.get(name, {}).get(peer.name, peer.most)


def run(name: str, models: list[str], peers: list[Peer], sample: int | None, kept: Results) -> None:
    """Forecast and score what is not kept yet of one panel."""
    make, horizon, cutoffs = PANELS[name]
    panel = make()
    if sample is not None:
        panel = panel.select(fixed_sample(panel, sample))
    for window in windows(panel, horizon, cutoffs):
        for model, one in [*((model, None) for model in models), *((peer.name, peer) for peer in peers)]:
            most = most_of(name, one)
            if most == 0 or kept.has(name, model, window.cutoff):
                continue
            load = os.getloadavg()[0]
            print(f"{name}, {model} at {window.cutoff}, load {load:.1f}", file=sys.stderr, flush=True)
            paths: np.ndarray | None = None
            wall, cpu = time.perf_counter(), time.process_time()
            try:
                if one is None:
                    rows = np.arange(window.past.n_series)
                    answer, paths = ours(model, window.past, horizon)
                else:
                    rows = fixed_sample(window.past, window.past.n_series if most is None else most)
                    answer = one.fit_predict(window.past.select(rows), horizon)
            except Exception:  # one model that fails must not cost the results of the others
                traceback.print_exc()
                print(f"{name}, {model} at {window.cutoff}: failed and left out", file=sys.stderr, flush=True)
                continue
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            seen = Window(window.cutoff, window.past.select(rows), window.actual[rows], window.scored[rows])
            kept.add(
                {
                    "panel": name,
                    "model": model,
                    "cutoff": window.cutoff,
                    "peer": one is not None,
                    "horizon": horizon,
                    "asked": len(rows),
                    "refused": answer.refused,
                    "wall": wall,
                    "cpu": cpu,
                    "load": load,
                    "scores": {scope: scores(seen, answer, some, paths) for scope, some in scopes(seen, most)},
                }
            )


def scopes(seen: Window, most: int | None) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and rows of what is scored: all series, and each fixed sample that the model has answered for."""
    if most is None:
        yield "all", np.arange(seen.past.n_series)
    for size in SAMPLES:
        if most is None or most >= size:
            yield str(size), fixed_sample(seen.past, size)


def main() -> None:
    """Run what is asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("panels", nargs="*", metavar="PANEL", help=f"of {', '.join(PANELS)}; all by default")
    parser.add_argument("--models", default=",".join(MODELS), help="names of the catalog, by commas; none for none")
    known = ", ".join(peer.name for peer in PEERS)
    parser.add_argument("--peers", default="none", help=f"all, none, or some of {known}, by commas")
    parser.add_argument("--sample", type=int, help="series of each panel, at most")
    parser.add_argument("--save", type=Path, help="folder for the results; what is there is not run again")
    parser.add_argument("--again", action="store_true", help="run even what is saved; the newest result counts")
    parser.add_argument("--table", action="store_true", help="run nothing; print the saved results as Markdown")
    given = parser.parse_args()
    wrong = [panel for panel in given.panels if panel not in PANELS]
    if wrong:
        parser.error(f"no panel {wrong[0]!r}; panels are {', '.join(PANELS)}")
    names = given.panels or list(PANELS)
    save = given.save
    if save is not None and given.sample is not None:  # a trial must not be taken for the whole
        save = save / f"sample-{given.sample}"
    kept = Results(save, again=given.again)
    if not given.table:
        models = [] if given.models == "none" else given.models.split(",")
        wanted = given.peers.split(",")
        peers = [peer for peer in PEERS if given.peers == "all" or peer.name in wanted]
        if given.peers not in ("all", "none") and len(peers) < len(wanted):
            parser.error(f"--peers {given.peers}: peers are {known}")
        if peers:
            warm_up()
        for name in names:
            run(name, models, peers, given.sample, kept)
    print(tables(kept.newest(), names))
    print("\n" + overview(kept.newest(), names))


if __name__ == "__main__":
    main()
