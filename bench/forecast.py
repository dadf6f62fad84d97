"""Speed and memory of a forecast: ``python bench/forecast.py [--model base_level] [--series 30000] [--runs 3]``.

Made-up counts with a weekday shape, from a wide array to joint paths. Each run times the steps apart; the median of
the runs is printed, and the peak of the process's memory before and after the paths are drawn in chunks.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time

import numpy as np

from shelfwise.domain.panel import Panel
from shelfwise.forecasting.catalog import estimator


def made_up_counts(n_series: int, periods: int) -> np.ndarray:
    """Return [N, T] counts: levels from 0.1 to 30 a day, a weekday shape, late starts as NaN."""
    generator = np.random.default_rng(0)
    level = np.exp(generator.normal(0.3, 1.2, size=(n_series, 1)))
    weekday = np.array([0.8, 0.8, 0.9, 1.0, 1.3, 1.5, 0.7])[np.arange(periods) % 7]
    values = generator.poisson(level * weekday).astype(np.float32)
    late = generator.integers(0, periods - 60, size=n_series) * (generator.random(n_series) < 0.2)
    values[np.arange(periods) < late[:, None]] = np.nan
    return values


def peak_megabytes() -> float:
    """Return the largest resident size this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print seconds, series per second and memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="base_level", help="a name of the catalog")
    parser.add_argument("--series", type=int, default=30_000)
    parser.add_argument("--periods", type=int, default=400)
    parser.add_argument("--horizon", type=int, default=28)
    parser.add_argument("--paths", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--chunks", type=int, default=30)
    options = parser.parse_args()

    values = made_up_counts(options.series, options.periods)
    steps: dict[str, list[float]] = {"panel": [], "fit": [], "predict": [], "quantiles": [], "paths": []}
    before = after = 0.0
    for _ in range(options.runs):
        clock = [time.perf_counter()]

        def lap(step: str, clock: list[float] = clock) -> None:
            clock.append(time.perf_counter())
            steps[step].append(clock[-1] - clock[-2])

        panel = Panel.from_wide(values, start="2025-01-01", freq="1d")
        lap("panel")
        predictor = estimator(options.model).fit(panel)
        lap("fit")
        forecast = predictor.predict(panel, options.horizon, n_paths=options.paths, seed=0)
        lap("predict")
        forecast.quantiles()
        lap("quantiles")
        before = peak_megabytes()
        units = sum(float(part.paths.sum()) for part in forecast.chunks(options.chunks))
        lap("paths")
        after = peak_megabytes()

    print(
        f"{options.model}: {options.series:,} series x {options.periods} periods, "
        f"{options.paths} paths x {options.horizon} periods"
    )
    medians = {step: statistics.median(seconds) for step, seconds in steps.items()}
    for step, seconds in medians.items():
        print(f"  {step:<10} {seconds:7.2f} s")
    total = sum(medians.values())
    print(f"  {'in all':<10} {total:7.2f} s   {options.series / total:,.0f} series per second")
    print(f"  peak memory {before:,.0f} MB before the paths, {after:,.0f} MB after {options.chunks} chunks of them")
    print(f"  mean demand per path {units / options.paths:,.0f} units")


if __name__ == "__main__":
    main()
