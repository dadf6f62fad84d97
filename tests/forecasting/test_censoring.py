"""Demand that stockouts hid: made-up demand, stock that runs out, and what each treatment makes of the sales."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats

from shelfwise.domain.panel import Panel
from shelfwise.forecasting import censoring
from shelfwise.forecasting.catalog import MODELS, estimator
from shelfwise.forecasting.models.base_level import BaseLevel
from shelfwise.forecasting.scores import score
from shelfwise.forecasting.windows import windows
from shelfwise.ingest.availability import infer

HORIZON = 28
WEEK = np.array([0.7, 0.7, 0.8, 0.9, 1.2, 1.6, 1.1])


def demand_of(n=80, periods=280, seed=0):
    """Return counts [n, T] with a weekly season and twice the noise of Poisson."""
    rng = np.random.default_rng(seed)
    mean = rng.gamma(2.0, 2.0, (n, 1)) * WEEK[np.arange(periods) % 7]
    return rng.poisson(mean * rng.gamma(2.0, 0.5, mean.shape) + 1e-9).astype(float)


def sold_from_stock(demand, cover):
    """Return sales and empty evenings [n, T] of a shop that orders once a week, delivered in three days.

    It orders up to ``cover`` times what it needs on average until the order after, so the busy weeks run out.
    """
    n, periods = demand.shape
    wanted = np.ceil(demand.mean(axis=1) * 10 * cover)
    shelf, coming = wanted.copy(), np.zeros((n, periods + 3))
    sales, empty = np.zeros(demand.shape), np.zeros(demand.shape, dtype=bool)
    for day in range(periods):
        shelf += coming[:, day]
        sales[:, day] = np.minimum(demand[:, day], shelf)
        shelf -= sales[:, day]
        empty[:, day] = shelf <= 0
        mine = (day + np.arange(n)) % 7 == 0
        coming[:, day + 3] += np.where(mine, np.maximum(wanted - shelf - coming[:, day + 1 :].sum(axis=1), 0.0), 0.0)
    return sales, empty


def panel_of(values, available=None, **given):
    return Panel.from_wide(values, start="2026-01-05", available=available, **given)


def bias(panel, truth, model="base_level"):
    """Return the bias of the forecast of ``panel``, in units of the true demand [n, H] to come."""
    found = estimator(model).fit(panel).predict(panel, HORIZON, n_paths=2).mean()
    return float((found.sum() - truth.sum()) / truth.sum())


# ---------------------------------------------------------------------- demand above a bound


@pytest.mark.parametrize(
    ("mean", "noise", "least"), [(2.0, 1.0, 3.0), (2.0, 3.0, 1.0), (0.3, 1.5, 2.0), (40.0, 6.0, 60.0)]
)
def test_counts_above_a_bound_are_those_of_the_negative_binomial(mean, noise, least):
    size = mean / max(noise - 1.0, 1e-6)
    k = np.arange(int(least), 4000)
    chance = stats.nbinom.pmf(k, size, size / (size + mean))
    above, square = censoring.mean_above(np.array([mean]), np.array([noise]), np.array([least]), is_count=True)
    assert above[0] == pytest.approx((k * chance).sum() / chance.sum(), rel=1e-4)
    assert square[0] == pytest.approx((k**2 * chance).sum() / chance.sum(), rel=1e-4)


@pytest.mark.parametrize(("mean", "noise", "least"), [(2.0, 0.5, 3.0), (2.0, 5.0, 1.0), (900.0, 40.0, 1100.0)])
def test_measured_demand_above_a_bound_is_that_of_the_gamma(mean, noise, least):
    gamma = stats.gamma(mean / noise, scale=noise)
    top = integrate.quad(lambda x: x * gamma.pdf(x), least, mean + 60 * np.sqrt(mean * noise), limit=400)[0]
    above, _ = censoring.mean_above(np.array([mean]), np.array([noise]), np.array([least]), is_count=False)
    assert above[0] == pytest.approx(top / gamma.sf(least), rel=1e-4)


def test_sales_beyond_anything_likely_are_taken_for_demand_and_a_little_more():
    above, square = censoring.mean_above(np.array([1.0]), np.array([2.0]), np.array([1e9]), is_count=True)
    assert 1e9 <= above[0] < 1e9 + 10
    assert square[0] >= above[0] ** 2


# ---------------------------------------------------------------------- repair


@pytest.fixture(scope="module")
def world():
    truth = demand_of()
    sales, empty = sold_from_stock(truth, 1.0)
    return truth, panel_of(sales, ~empty)


def test_repaired_demand_is_whole_never_below_sales_and_near_the_truth(world):
    truth, panel = world
    fixed = censoring.repaired(panel)
    hidden = ~panel.available
    assert (fixed.values >= panel.values).all()
    assert np.array_equal(fixed.values, np.rint(fixed.values))
    assert np.array_equal(fixed.values[~hidden], panel.values[~hidden])
    lost = truth.reshape(-1)[hidden].sum() - panel.values[hidden].sum()
    assert (fixed.values - panel.values).sum() == pytest.approx(lost, rel=0.15)
    assert censoring.lost_units(panel).sum() == pytest.approx((fixed.values - panel.values).sum(), rel=0.01)


def test_lost_units_of_the_latest_periods_are_a_part_of_all(world):
    _, panel = world
    everything, month = censoring.lost_units(panel), censoring.lost_units(panel, periods=28)
    assert (month <= everything + 1e-9).all()
    assert 0 < month.sum() < everything.sum()
    np.testing.assert_allclose(censoring.lost_units(panel, periods=10_000), everything)


def test_a_repair_keeps_the_flags_so_that_nothing_is_scored_on_it(world):
    _, panel = world
    assert censoring.repaired(panel).available is panel.available


def test_series_without_stockouts_stay_as_they_are(world):
    truth, panel = world
    assert censoring.repaired(panel_of(truth)).values is not None
    untouched = panel_of(truth, np.ones(truth.shape, dtype=bool))
    assert censoring.repaired(untouched) is untouched
    assert censoring.bounded(untouched) is untouched
    mixed = replace(
        panel, available=np.where(np.arange(80)[:, None] < 40, True, panel.available.reshape(80, -1)).reshape(-1)
    )
    np.testing.assert_array_equal(censoring.repaired(mixed).window(280)[:40], mixed.window(280)[:40])


def test_neither_a_closed_day_nor_one_never_recorded_is_repaired():
    values = np.tile([5.0, 6.0, 4.0, 5.0, 7.0, 9.0, 0.0], (3, 20))
    values[:, 30] = np.nan
    flags = np.ones(values.shape, dtype=bool)
    flags[:, [30, 34, 41]] = False  # the last two are Sundays
    opened = np.tile([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0], 24)
    fixed = censoring.repaired(panel_of(values, flags, known_future={"open": opened})).window(140)
    np.testing.assert_array_equal(fixed, values)


def test_measured_demand_is_repaired_without_rounding():
    truth = demand_of() * 0.37
    sales, empty = sold_from_stock(truth, 1.0)
    panel = panel_of(sales, ~empty)
    fixed = censoring.repaired(panel)
    lost = (truth - sales)[empty].sum()
    assert (fixed.values - panel.values).sum() == pytest.approx(lost, rel=0.15)
    np.testing.assert_array_equal(fixed.values, censoring.expected_demand(panel))


def test_a_repair_does_not_depend_on_the_company_a_series_is_in(world):
    _, panel = world
    panel = panel.until(panel.ends - np.arange(80) % 3 * 50)
    fitted = censoring.shapes_of(panel)
    for treat in (censoring.bounded, lambda p, f: censoring.repaired(p, BaseLevel().restore(f.to_arrays()))):
        whole = treat(panel, fitted)
        for part, chunk in zip(whole.chunks(7), panel.chunks(7), strict=True):
            np.testing.assert_array_equal(treat(chunk, fitted).values, part.values)
        order = np.random.default_rng(0).permutation(80)
        np.testing.assert_array_equal(treat(panel.select(order), fitted).values, whole.select(order).values)


def test_a_level_that_changes_is_followed_on_both_sides_of_a_stockout():
    rng = np.random.default_rng(0)
    mean = np.where(np.arange(400) < 200, 20.0, 60.0)
    values = rng.poisson(mean, (20, 400)).astype(float)
    flags = np.ones(values.shape, dtype=bool)
    flags[:, 60:75], flags[:, 320:335] = False, False
    values[~flags] = 0.0
    fixed = censoring.repaired(panel_of(values, flags)).window(400)
    assert fixed[:, 60:75].mean() == pytest.approx(20.0, rel=0.1)
    assert fixed[:, 320:335].mean() == pytest.approx(60.0, rel=0.1)


def test_a_stockout_longer_than_any_memory_is_bridged():
    values = np.full((3, 600), 8.0)
    flags = np.ones(values.shape, dtype=bool)
    flags[:, 100:500] = False
    values[~flags] = 0.0
    assert censoring.repaired(panel_of(values, flags)).window(600).mean() == pytest.approx(8.0, rel=0.05)


@pytest.mark.parametrize("freq", ["1h", "1d", "1w", "1mo"])
def test_every_frequency_is_repaired(freq):
    truth = demand_of(20, 150)
    flags = np.random.default_rng(1).random(truth.shape) > 0.1
    fixed = censoring.repaired(
        Panel.from_wide(np.where(flags, truth, 0.0), start="2026-01-01", freq=freq, available=flags)
    )
    assert fixed.values.sum() == pytest.approx(truth.sum(), rel=0.05)


def test_a_panel_censored_throughout_is_repaired_without_an_error():
    fixed = censoring.repaired(panel_of(np.ones((2, 30)), np.zeros((2, 30), dtype=bool)))
    assert np.isfinite(fixed.values).all()
    assert (fixed.values >= 1.0).all()


def test_a_repair_reads_the_shapes_of_a_model_that_is_wrapped_or_a_member(world):
    class Wrapped:
        def __init__(self, **parts):
            self.__dict__ |= parts

    _, panel = world
    base = BaseLevel(history_days=60, cutoffs=1).fit(panel.select(np.arange(20)))
    known = censoring.expected_demand(panel, base)
    assert not np.array_equal(known, censoring.expected_demand(panel))
    for predictor in (Wrapped(inner=base), Wrapped(inner=Wrapped(members={"base_level": base}))):
        np.testing.assert_array_equal(censoring.expected_demand(panel, predictor), known)


def test_errors_are_not_scaled_by_changes_that_stockouts_made():
    values = demand_of(6, 120) + 1.0
    flags = np.ones(values.shape, dtype=bool)
    flags[:, 20:60] = False
    found = []
    for unseen in (0.0, np.nan):
        values[~flags] = unseen
        window = next(windows(panel_of(values, flags), 7, 1))
        made = MODELS["seasonal_naive"]().fit(window.past).predict(window.past, 7)
        found.append([score(window, made, 7)[name] for name in ("mase", "rmsse")])
    assert found[0] == found[1]


# ---------------------------------------------------------------------- what it is worth


@pytest.mark.parametrize(("cover", "least_removed"), [(1.2, 0.01), (1.0, 0.04), (0.8, 0.10)])
def test_forecasts_of_a_shop_that_runs_out_are_several_points_less_biased(cover, least_removed):
    """More stockouts, more bias removed; what is left is small beside it."""
    truth = demand_of(150, 280 + HORIZON)
    sales, empty = sold_from_stock(truth[:, :280], cover)
    honest = panel_of(sales, ~empty)
    told = abs(bias(honest, truth[:, 280:]))
    naive = abs(bias(replace(honest, available=None), truth[:, 280:]))
    assert naive - told > least_removed
    assert told < 0.4 * naive + 0.01


def test_the_automatic_forecast_of_a_shop_that_runs_out_is_several_points_less_biased():
    truth = demand_of(60, 280 + HORIZON)
    sales, empty = sold_from_stock(truth[:, :280], 0.9)
    honest = panel_of(sales, ~empty)
    told, naive = (bias(panel, truth[:, 280:], "auto") for panel in (honest, replace(honest, available=None)))
    assert abs(told) < abs(naive) - 0.04


def test_sold_out_days_left_out_bias_a_forecast_more_than_days_counted_as_demand_at_least():
    """Days that sell out are the busy ones: without them a shop looks quieter than it is."""
    truth = demand_of(150, 280 + HORIZON)
    sales, empty = sold_from_stock(truth[:, :280], 1.0)
    left_out = np.where(empty, 0.0, sales)  # nothing is known of a censored day that sold nothing
    told, without = (bias(panel_of(values, ~empty), truth[:, 280:]) for values in (sales, left_out))
    assert without < told - 0.02
    assert abs(told) < abs(without)


def test_stockouts_that_nobody_recorded_are_found_and_repaired():
    """With stock counts, and with none but long silences: what is inferred goes straight into the forecast."""
    truth = demand_of(100, 280 + HORIZON, seed=3) + 2.0
    sales, empty = sold_from_stock(truth[:, :280], 0.7)
    offsets = np.arange(101) * 280
    by_stock = infer(sales.reshape(-1), offsets, on_hand=np.where(empty, 0.0, 1.0).reshape(-1))
    assert np.array_equal(by_stock, empty.reshape(-1))
    gone = truth[:, :280].copy()
    for series in range(100):  # not all at once: that would be a closed shop
        gone[series, 190 + series % 70 :][:18] = 0.0
    by_silence = infer(gone.reshape(-1), offsets)
    naive, told = (bias(panel_of(gone, flags), truth[:, 280:]) for flags in (None, ~by_silence.reshape(gone.shape)))
    assert abs(told) < abs(naive) - 0.02
