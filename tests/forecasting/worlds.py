"""Shops under one calendar, for the tests of sums."""

from __future__ import annotations

import numpy as np

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.panel import Panel

DAILY = Frequency.parse("1d")
START, PERIODS = "2021-04-01", 620  # to 11 December: the peak begins before the end and goes on
WEEK = np.array([0.8, 0.8, 0.9, 1.0, 1.1, 1.5, 0.9])


def shape_of(days):
    ordinals = DAILY.ordinal(START) + days
    return WEEK[DAILY.weekday(ordinals)] * (1.0 + 1.2 * np.cos(2 * np.pi * (DAILY.year_fraction(ordinals) - 0.98)) ** 4)


def world(n=60, rate=0.6, periods=PERIODS, seed=1, factor=1.0, freq="1d", **given):
    """Slow sellers of two stores under one calendar; the peak of the year hardly shows in any one of them."""
    days = np.arange(periods)
    rng = np.random.default_rng(seed)
    shape = shape_of(days) if freq == "1d" else np.ones(periods)
    values = rng.poisson(rate * rng.gamma(4.0, 0.25, (n, 1)) * shape * factor).astype(float)
    table = {"unique_id": [f"p{i:03}" for i in range(n)], "store": [f"s{i % 2}" for i in range(n)]}
    return Panel.from_wide(values, start=START, freq=freq, series=table, hierarchy=("store",), **given)


def calm(periods=PERIODS):
    """Return factors [periods] that take the peak out of the world."""
    days = np.arange(periods)
    return WEEK[DAILY.weekday(DAILY.ordinal(START) + days)] / shape_of(days)
