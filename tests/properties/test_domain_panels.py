"""What holds for any panel: tables round-trip, cuts agree with slices, labels with ordinals, bytes with forecasts."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.forecast import Forecast, Provenance
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.panel import Panel
from shelfwise.domain.paths import Dependence

FREQUENCIES = st.sampled_from(["5min", "15min", "1h", "6h", "1d", "2d", "1w", "W-SAT", "1mo", "QS"])
CELLS = st.one_of(st.just(float("nan")), st.integers(0, 9).map(float), st.floats(0, 1e6))
GRIDS = arrays.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 9)), elements=CELLS)


def panel_of(grid, freq="1d", **given):
    freq = Frequency.parse(freq)
    start = freq.moments([freq.ordinal("2026-11-02")])[0]
    return Panel.from_wide(grid, start=start.astype(object), freq=freq, **given)


def begun(grid):
    """Return the grid from each row's first value on, as the panel keeps it: a list of rows."""
    seen = ~np.isnan(grid)
    return [row[flags.argmax() :] if flags.any() else row[:0] for row, flags in zip(grid, seen, strict=True)]


@given(GRIDS, FREQUENCIES, st.randoms())
@settings(max_examples=60)
def test_a_wide_array_and_its_long_table_make_the_same_panel(grid, freq, random):
    wide = panel_of(grid, freq)
    kept = np.flatnonzero(wide.lengths > 0)
    if not len(kept):
        return
    wide = wide.select(kept)
    long = pl.DataFrame(
        {
            "unique_id": np.repeat(wide.ids.to_numpy().astype(str), wide.lengths),
            "ds": np.concatenate([wide.moments(i) for i in range(len(wide))]),
            "y": wide.values,
        }
    )
    order = list(range(long.height))
    random.shuffle(order)
    read = Panel.from_long(long[order], freq=freq, gaps="missing")
    place = {name: i for i, name in enumerate(read.ids)}
    read = read.select([place[name] for name in wide.ids])
    np.testing.assert_array_equal(read.values, wide.values)
    np.testing.assert_array_equal(read.offsets, wide.offsets)
    np.testing.assert_array_equal(read.starts, wide.starts)
    assert read.freq == wide.freq


@given(GRIDS, st.integers(1, 12))
@settings(max_examples=60)
def test_a_window_is_the_end_of_each_row(grid, length):
    panel = panel_of(grid)
    padded = np.concatenate([np.full((len(grid), length), np.nan), grid], axis=1)[:, -length:]
    np.testing.assert_array_equal(panel.window(length), padded)
    np.testing.assert_array_equal(panel.available_window(length), ~np.isnan(padded))


@given(GRIDS, st.data())
@settings(max_examples=60)
def test_a_cut_is_a_slice_of_each_row(grid, data):
    periods = grid.shape[1]
    panel = panel_of(grid, past_only={"x": grid * 2}, known_future={"k": np.arange(float(periods + 3))})
    first = int(panel.ends.max()) - periods
    cuts = data.draw(arrays.arrays(np.int64, len(grid), elements=st.integers(-2, periods + 2)))
    past = panel.until(first + cuts)
    for row, cut in enumerate(cuts):
        lead = periods - len(begun(grid)[row])
        known = grid[row, lead : max(lead, cut)]
        np.testing.assert_array_equal(past.values[past.offsets[row] : past.offsets[row + 1]], known)
        assert past.ends[row] == first + min(cut, periods)
        x = past.past_only["x"].at(past.starts * 0 + first, periods)[row]
        np.testing.assert_array_equal(x, np.where(np.arange(periods) < cut, grid[row] * 2, np.nan))
    k = past.known_future["k"].at(np.full(len(grid), first), periods + 3)
    np.testing.assert_array_equal(k, np.broadcast_to(np.arange(periods + 3.0), k.shape))


@given(GRIDS, st.integers(1, 9))
@settings(max_examples=40)
def test_a_split_puts_every_value_on_one_side(grid, holdout):
    panel = panel_of(grid)
    past, actual, scored = panel.split(holdout)
    both = np.concatenate([past.window(grid.shape[1]), actual], axis=1)
    np.testing.assert_array_equal(both[:, -grid.shape[1] :], panel.window(grid.shape[1]))
    np.testing.assert_array_equal(scored, ~np.isnan(actual))


@given(GRIDS, st.data())
@settings(max_examples=40)
def test_selecting_and_cutting_may_change_places(grid, data):
    panel = panel_of(grid, past_only={"x": grid})
    order = data.draw(st.permutations(range(len(grid))))
    cut = int(panel.ends.max()) - data.draw(st.integers(0, grid.shape[1]))
    one, other = panel.select(order).until(cut), panel.until(cut).select(order)
    for name in ("values", "offsets", "starts"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.past_only["x"].values, other.past_only["x"].values)


@given(FREQUENCIES, st.datetimes())
@settings(max_examples=100)
def test_a_moment_lies_in_the_period_of_its_ordinal(text, moment):
    freq = Frequency.parse(text)
    ordinal = freq.ordinal(moment)
    first, following = freq.moments([ordinal, ordinal + 1])
    assert first <= np.datetime64(moment, "us") < following


MOMENTS = arrays.arrays(np.float64, (2, 3), elements=st.floats(0, 1e5))


@given(MOMENTS, MOMENTS, st.booleans(), st.integers(2, 40), st.integers(0, 2**31))
@settings(max_examples=40)
def test_any_forecast_is_read_back_with_its_paths(mean, variance, is_count, n_paths, seed):
    forecast = Forecast(
        series=pl.DataFrame({"unique_id": ["a", "b"]}),
        starts=np.array([3, 5]),
        freq=Frequency.parse("1d"),
        provenance=Provenance("m", "1", seed=seed),
        n_paths=n_paths,
        marginals=Marginals(mean, variance, is_count),
        dependence=Dependence(0.1, 0.2),
    )
    np.testing.assert_array_equal(Forecast.from_bytes(forecast.to_bytes()).paths, forecast.paths)
    assert np.isfinite(forecast.paths).all()
    assert (forecast.paths >= 0).all()
    assert (np.diff(forecast.quantiles([0.05, 0.3, 0.95]), axis=2) >= 0).all()
