"""Odd histories and odd calls: each gives an answer that a planner could believe, or says what is wrong and what to do.

Believable is a matter of numbers here: a level near the recent one, bands in order and about as wide as what is known
allows, and neighbours in the panel that are left in peace.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

import shelfwise as sw
from shelfwise.domain.errors import PanelError, ParameterError
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.catalog import MODELS

NAN = float("nan")
HORIZON = 28
LAST = date(2026, 10, 31)
GLOBAL = ("auto", "base_level", "seasonal_naive")  # a local model fits each series by itself, so alone it is as beside


@dataclass(frozen=True)
class Odd:
    """One odd history and the bounds of what may be believed of the coming periods."""

    y: np.ndarray  # [T] units, NaN where there is no row
    low: float  # units per period, of the mean over the horizon
    high: float
    narrowest: float = 0.0  # units, between the 10 % and the 90 % quantile of a period, on average over the horizon
    widest: float = np.inf
    last: date = LAST


def poisson(mean, periods=150, seed=0):
    return np.random.default_rng(seed).poisson(mean, periods).astype(float)


def measured(mean, periods=150, seed=0):
    return np.random.default_rng(seed).gamma(4.0, mean / 4.0, periods)


HISTORIES = {
    "nothing ever sold": Odd(np.zeros(150), 0.0, 0.05, widest=0.5),
    "only returns": Odd(-poisson(5.0) - 1.0, 0.0, 0.05, widest=0.5),
    "one observation": Odd(np.array([5.0]), 2.5, 10.0, narrowest=5.0, widest=40.0),
    "one large observation": Odd(np.array([4000.0]), 2000.0, 8000.0, narrowest=800.0, widest=20_000.0),
    "two observations": Odd(np.array([4.0, 6.0]), 2.5, 10.0, narrowest=4.0, widest=30.0),
    "a new product": Odd(poisson(6.0, 9), 3.0, 10.0, narrowest=3.0, widest=30.0),
    "constant": Odd(np.full(150, 5.0), 4.5, 5.5, widest=8.0),
    "constant and large": Odd(np.full(150, 1000.0), 950.0, 1050.0, widest=250.0),
    "constant and measured": Odd(np.full(150, 2.5), 2.4, 2.6, widest=2.5),
    "billions": Odd(np.rint(measured(1e9)), 6e8, 1.6e9, narrowest=2e8, widest=4e9),
    "a constant billion": Odd(np.full(150, 1e9), 9.5e8, 1.05e9, widest=3e8),
    "with returns": Odd(poisson(6.0) - 2.0, 3.0, 7.0, narrowest=2.0, widest=16.0),
    "with gaps": Odd(np.where(np.random.default_rng(1).random(150) < 0.5, NAN, poisson(6.0)), 4.0, 9.0, 3.0, 16.0),
    "one spike long ago": Odd(np.where(np.arange(150) == 40, 900.0, 0.0), 0.0, 40.0),
    "a jump": Odd(np.repeat([5.0, 50.0], [100, 50]), 25.0, 75.0, widest=90.0),
    "hardly ever": Odd((np.arange(150) % 37 == 5).astype(float), 0.0, 0.15, widest=1.5),
    "ended three years ago": Odd(poisson(6.0), 4.0, 9.0, 3.0, 16.0, last=date(2023, 10, 31)),
    "ended on a leap day": Odd(poisson(6.0), 4.0, 9.0, 3.0, 16.0, last=date(2024, 2, 29)),
}


def rows(unique_id, y, last=LAST):
    days = [last - timedelta(days=len(y) - 1 - i) for i in range(len(y))]
    frame = pl.DataFrame({"unique_id": [unique_id] * len(y), "ds": days, "y": np.asarray(y, dtype=float)})
    return frame.filter(pl.col("y").is_not_nan())


def ordinary(n=12):
    return pl.concat([rows(f"ordinary {i}", poisson(3.0 + 2 * i, seed=10 + i)) for i in range(n)])


def panel_of(frame, **given):
    return Panel.from_long(frame, freq="1d", gaps="missing", **given)


def believable(forecast, position, odd):
    mean, paths = forecast.mean()[position], forecast.paths[position]
    quantiles = forecast.quantiles([0.05, 0.1, 0.5, 0.9, 0.95])[position]
    for numbers in (mean, quantiles, paths):
        assert np.isfinite(numbers).all()
        assert (numbers >= 0).all()
    assert (np.diff(quantiles, axis=1) >= 0).all()
    assert odd.low <= mean.mean() <= odd.high
    width = float((quantiles[:, 3] - quantiles[:, 1]).mean())
    assert odd.narrowest <= width <= odd.widest
    total = forecast.total(HORIZON)[position].astype(np.float64)
    if quantiles[:, 4].sum() > mean.sum():  # of what comes less than once in twenty, few paths tell too little
        by_chance = 10.0 * float(total.std()) / len(total) ** 0.5 + 1.0
        assert abs(total.mean() - mean.sum()) <= by_chance + 0.02 * mean.sum()
    assert total.std() <= np.sqrt(HORIZON) * HORIZON * (odd.high + 1.0)


@pytest.mark.parametrize("model", GLOBAL)
@pytest.mark.parametrize("kind", list(HISTORIES))
def test_an_odd_history_alone_gets_a_believable_forecast(model, kind):
    odd = HISTORIES[kind]
    believable(sw.forecast(panel_of(rows("odd", odd.y, odd.last)), HORIZON, model=model), 0, odd)


@pytest.fixture(scope="module")
def together():
    """All odd histories in one panel with ordinary ones, each odd one the only member of its category."""
    odd = [rows(name, odd.y, odd.last) for name, odd in HISTORIES.items()]
    frame = pl.concat([ordinary(), *odd])
    ids = frame["unique_id"].unique(maintain_order=True)
    static = pl.DataFrame({"unique_id": ids, "category": [i if i in HISTORIES else "ordinary" for i in ids]})
    return panel_of(frame, static=static)


@pytest.mark.parametrize("model", ["auto", *MODELS])
def test_odd_histories_beside_ordinary_ones_get_believable_forecasts_and_leave_the_others_in_peace(model, together):
    forecast = sw.forecast(together, HORIZON, model=model)
    place = {name: i for i, name in enumerate(forecast.ids.to_list())}
    wrong = []
    for name, odd in HISTORIES.items():
        try:
            believable(forecast, place[name], odd)
        except AssertionError as error:
            wrong.append(f"{name}: {str(error).splitlines()[0]}")
    assert not wrong, "\n".join(wrong)
    alone = sw.forecast(panel_of(ordinary()), HORIZON, model=model)
    beside = np.array([place[name] for name in alone.ids])
    np.testing.assert_allclose(forecast.mean()[beside].sum(axis=1), alone.mean().sum(axis=1), rtol=0.3)
    ends = forecast.quantiles([0.1, 0.9])[beside].mean(axis=1), alone.quantiles([0.1, 0.9]).mean(axis=1)
    wider = np.divide(*(q[:, 1] - q[:, 0] for q in ends))  # how wide noise is, is chosen for all series together
    assert 0.5 < wider.min() <= wider.max() < 2.0


def test_odd_histories_take_no_more_than_ten_times_as_long_as_ordinary_ones(together):
    def seconds(panel):
        started = time.process_time()
        sw.forecast(panel, HORIZON)
        return time.process_time() - started

    plain = panel_of(ordinary(together.n_series))
    assert min(seconds(together) for _ in range(2)) < 10 * min(seconds(plain) for _ in range(2)) + 0.5


@pytest.mark.parametrize("model", ["auto", "seasonal_naive"])
@pytest.mark.parametrize("freq", ["1d", "1w", "1mo", "1h", "15min", "5min"])
def test_odd_histories_are_forecast_at_every_frequency(model, freq):
    values = np.full((5, 330), NAN)
    values[0], values[1], values[2, -1], values[3] = poisson(6.0, 330), 0.0, 5.0, 5.0
    values[4, -20:] = poisson(6.0, 20)
    forecast = sw.forecast(Panel.from_wide(values, start="2024-01-01", freq=freq), HORIZON, model=model)
    bounds = [(3.0, 11.0), (0.0, 0.3), (1.5, 12.0), (4.0, 6.0), (2.5, 12.0)]
    for position, (low, high) in enumerate(bounds):
        believable(forecast, position, Odd(values[position], low, high))


def test_a_category_of_one_is_no_worse_off_than_one_of_many():
    frame = ordinary()
    ids = frame["unique_id"].unique(maintain_order=True)
    lonely, shared = (
        sw.forecast(panel_of(frame, static=pl.DataFrame({"unique_id": ids, "category": names})), HORIZON)
        for names in ([f"🍵 {i}" for i in range(len(ids))], ["🍵"] * len(ids))
    )
    np.testing.assert_allclose(lonely.mean().sum(axis=1), shared.mean().sum(axis=1), rtol=0.25)


def test_thousands_of_categories_do_no_harm():
    values = np.random.default_rng(0).poisson(4.0, (1000, 60)).astype(float)
    series = {"unique_id": [str(i) for i in range(1000)], "category": [f"c{i}" for i in range(1000)]}
    mean = sw.forecast(Panel.from_wide(values, start="2026-01-01", series=series), 7).mean()
    assert mean.mean() == pytest.approx(4.0, rel=0.05)
    assert mean.max() < 10


@pytest.mark.parametrize("horizon", [300, 10_000])
def test_a_horizon_far_beyond_the_history_stays_at_the_level(horizon):
    forecast = sw.forecast(ordinary(3), horizon, n_paths=2)
    np.testing.assert_allclose(forecast.mean()[:, -100:].mean(axis=1), [3.0, 5.0, 7.0], rtol=0.5)
    assert forecast.horizon == horizon


# ---------------------------------------------------------------------- tables


HISTORY = ordinary(2)


def with_y(value, row=5):
    return HISTORY.with_columns(y=pl.when(pl.int_range(pl.len()) == row).then(pl.lit(value)).otherwise("y"))


def shifted(hours):
    moved = pl.col("ds").cast(pl.Datetime) + pl.duration(
        hours=pl.when(pl.int_range(pl.len()) == 5).then(hours).otherwise(0)
    )
    return HISTORY.with_columns(ds=moved)


def hourly(drop=False, twice=False):
    hours = pl.datetime_range(pl.datetime(2026, 3, 20), pl.datetime(2026, 3, 31), "1h", eager=True)
    frame = pl.DataFrame({"unique_id": "shop", "ds": hours, "y": poisson(6.0, len(hours))})
    changed = pl.col("ds") == CHANGE
    return pl.concat([frame.filter(~changed) if drop else frame, frame.filter(changed) if twice else frame.head(0)])


CHANGE = pl.datetime(2026, 3, 29, 2)  # the hour that summer time skips

REFUSED = {
    "no rows": (HISTORY.head(0), "history has no rows; give at least one observation"),
    "infinity": (with_y(float("inf")), "y in row 5 is infinite; give a number"),
    "beyond all units": (with_y(1e300), r"y in row 5 is 1e\+300, beyond 1e\+30; give it in larger units"),
    "words for units": (HISTORY.with_columns(y=pl.lit("many")), "y in row 0 is 'many', which is no number"),
    "lists for units": (HISTORY.with_columns(y=pl.lit([1.0])), "y is of type List.*one number in each row"),
    "a repeated date": (pl.concat([HISTORY, HISTORY.head(1)]), "more than once .*one row per series and period"),
    "a date off the grid": (shifted(5), "does not lie on a grid of 1d"),
    "a time zone": (
        HISTORY.with_columns(pl.col("ds").cast(pl.Datetime).dt.replace_time_zone("Europe/Amsterdam")),
        "ds in zone Europe/Amsterdam; give naive shop time",
    ),
    "no id": (HISTORY.drop("unique_id"), "history lacks the column 'unique_id'"),
    "an empty id": (HISTORY.with_columns(unique_id=pl.lit(None, dtype=pl.String)), "no unique_id in row 0"),
    "numbers for dates": (HISTORY.with_columns(ds=pl.int_range(pl.len())), "give dates or datetimes"),
    "lists for a covariate": (HISTORY.with_columns(z=pl.lit([1.0])), "'z' is of type List"),
    "words for availability": (HISTORY.with_columns(available=pl.lit("yes")), "available in row 0 is 'yes'"),
    "a file name": ("sales.csv", "must be a polars or pandas frame, got str"),
}


@pytest.mark.parametrize("what", list(REFUSED))
def test_a_table_that_is_no_history_is_refused_with_the_reason(what):
    table, reason = REFUSED[what]
    with pytest.raises(PanelError, match=reason):
        sw.forecast(table, 7)


def test_dates_that_a_slip_set_centuries_apart_are_refused_before_memory_is_full():
    slip = pl.DataFrame({"unique_id": "a", "ds": [date(26, 11, 1), date(2026, 11, 1)], "y": [1.0, 2.0]})
    with pytest.raises(PanelError, match="2 rows span 210,.* periods; check the dates, or give a coarser freq"):
        sw.forecast(slip, 7, freq="5min")


ACCEPTED = {
    "an unknown unit": with_y(None),
    "a unit that is no number": with_y(NAN),
    "numbers as text": HISTORY.with_columns(pl.col("y").cast(pl.String)),
    "dates as text": HISTORY.with_columns(pl.col("ds").cast(pl.String)),
    "another order": HISTORY.sample(fraction=1.0, shuffle=True, seed=3),
    "a constant covariate": HISTORY.with_columns(z=pl.lit(1.0)),
    "a covariate of nothing": HISTORY.with_columns(z=pl.lit(None)),
    "a covariate that is no number": HISTORY.with_columns(z=pl.lit(NAN)),
    "a huge covariate": HISTORY.with_columns(z=pl.Series(np.linspace(0, 1e300, HISTORY.height))),
    "no word on availability": HISTORY.with_columns(available=pl.lit(None)),
}


@pytest.mark.parametrize("what", list(ACCEPTED))
def test_a_table_that_only_looks_odd_is_read_as_what_it_means(what):
    found, plain = (
        pl.DataFrame({"id": made.ids, "mean": made.mean().sum(axis=1)}).sort("id")["mean"].to_numpy()
        for made in (sw.forecast(table, 7, n_paths=2) for table in (ACCEPTED[what], HISTORY))
    )
    np.testing.assert_allclose(found, plain, rtol=0.1)


@pytest.mark.parametrize("model", GLOBAL[:2])
def test_a_shop_that_never_had_stock_is_thought_to_sell_what_it_did(model):
    sold_out = HISTORY.with_columns(available=pl.lit(value=False))
    found, plain = (sw.forecast(table, 7, n_paths=2, model=model).mean().sum(axis=1) for table in (sold_out, HISTORY))
    np.testing.assert_allclose(found, plain, rtol=0.25)


def test_the_hour_that_summer_time_skips_is_no_error_and_the_one_it_repeats_is_named():
    mean = sw.forecast(hourly(drop=True), 24, freq="1h", n_paths=2).mean().mean()
    assert mean == pytest.approx(sw.forecast(hourly(), 24, freq="1h", n_paths=2).mean().mean(), rel=0.15)
    with pytest.raises(PanelError, match="2026-03-29T02:00:00 more than once .*summing y"):
        sw.forecast(hourly(twice=True), 24, freq="1h")


# ---------------------------------------------------------------------- what is known ahead


def ahead(values, days=7):
    return pl.DataFrame({"ds": [LAST + timedelta(days=i + 1) for i in range(days)], "promotion": values})


PROMOTED = HISTORY.with_columns(promotion=(pl.int_range(pl.len()) % 11 == 0).cast(pl.Int64))
KNOWN = {
    "for fewer days": (ahead([0, 1, 0], 3), "is missing in 57% of the coming periods"),
    "for no day": (
        ahead([], 0).cast({"ds": pl.Date, "promotion": pl.Int64}),
        "is given for none of the 7 coming periods",
    ),
    "for other products": (ahead([0] * 7).with_columns(unique_id=pl.lit("z")), "is given for none of the 7"),
    "for the past": (ahead([0] * 7).with_columns(pl.col("ds") - pl.duration(days=30)), "is given for none of the 7"),
    "as nothing": (ahead([None] * 7), "is given for none of the 7 coming periods"),
}


@pytest.mark.parametrize("what", list(KNOWN))
@pytest.mark.parametrize("model", GLOBAL)
def test_a_covariate_missing_ahead_is_told_and_changes_little(what, model):
    table, note = KNOWN[what]
    found = sw.forecast(PROMOTED, 7, known_future=table, model=model)
    assert any(note in told for told in found.provenance.notes)
    plain = sw.forecast(HISTORY, 7, model=model).mean().sum(axis=1)
    np.testing.assert_allclose(found.mean().sum(axis=1), plain, rtol=0.2)


@pytest.mark.parametrize("model", GLOBAL)
@pytest.mark.parametrize("values", [["yes"] * 7, ["0", "1"] * 3 + ["0"], [float("inf")] * 7])
def test_words_and_infinities_where_the_past_had_numbers_change_little(values, model):
    found = sw.forecast(PROMOTED, 7, known_future=ahead(values), model=model).mean().sum(axis=1)
    np.testing.assert_allclose(found, sw.forecast(HISTORY, 7, model=model).mean().sum(axis=1), rtol=0.2)


def test_a_covariate_given_twice_for_a_day_is_refused():
    with pytest.raises(PanelError, match="known_future has ds 2026-11-01 00:00:00 more than once"):
        sw.forecast(PROMOTED, 7, known_future=pl.concat([ahead([0] * 7)] * 2))


@pytest.mark.parametrize(
    ("category", "reason"),
    [(["tea"], "static lacks unique_id 'ordinary 1'"), ([["tea"], ["cup"]], "static 'category' is of type List")],
)
def test_attributes_that_do_not_fit_the_series_are_refused(category, reason):
    ids = ["ordinary 0", "ordinary 1"][: len(category)]
    with pytest.raises(PanelError, match=reason):
        sw.forecast(HISTORY, 7, static=pl.DataFrame({"unique_id": ids, "category": category}))


# ---------------------------------------------------------------------- calls


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"horizon": 2.5}, "horizon must be a whole number of periods, got 2.5"),
        ({"horizon": "28"}, "horizon must be a whole number of periods, got '28'"),
        ({"horizon": None}, "horizon must be a whole number of periods, got None"),
        ({"horizon": True}, "horizon must be a whole number of periods, got True"),
        ({"horizon": 0}, "horizon must be at least 1 period, got 0"),
        ({"horizon": -1}, "horizon must be at least 1 period, got -1"),
        ({"horizon": 10**9}, "horizon must be at most 1,000,000 periods, got 1,000,000,000; use a coarser freq"),
        ({"n_paths": 1}, "n_paths must be at least 2, got 1"),
        ({"n_paths": 2.5}, "n_paths must be a whole number, got 2.5"),
        ({"seed": None}, "seed must be a whole number, got None"),
        ({"seed": "x"}, "seed must be a whole number, got 'x'"),
        ({"model": "autoo"}, "model 'autoo' is not known; models are auto"),
        ({"model": None}, "model None is not known; models are auto"),
        ({"freq": "fortnight"}, "frequency 'fortnight' is not known"),
        ({"freq": 3}, "frequency 3 is not known"),
    ],
)
def test_a_parameter_that_breaks_its_rule_is_refused_with_the_value_and_the_rule(given, reason):
    with pytest.raises(ParameterError, match=reason):
        sw.forecast(HISTORY, **given)


def test_whole_numbers_of_numpy_and_seeds_below_zero_are_whole_numbers():
    assert sw.forecast(HISTORY, np.int64(3), n_paths=np.int32(4), seed=-1).paths.shape == (2, 4, 3)


def test_a_name_where_a_list_of_names_belongs_is_refused():
    with pytest.raises(PanelError, match=r"past_only takes a list of names, got 'promotion'; write \['promotion'\]"):
        sw.forecast(PROMOTED, 7, past_only="promotion")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"horizon": 2.5}, "horizon must be a whole number of periods, got 2.5"),
        ({"n_cutoffs": 2.5}, "n_cutoffs must be a whole number, got 2.5"),
        ({"step": 1.5}, "step must be a whole number of periods, got 1.5"),
        ({"seed": None}, "seed must be a whole number, got None"),
        ({"models": "auto"}, r"models takes a list of names, got 'auto'; write \['auto'\]"),
    ],
)
def test_a_parameter_of_a_backtest_that_breaks_its_rule_is_refused_too(given, reason):
    with pytest.raises(ParameterError, match=reason):
        sw.backtest(HISTORY, **({"models": ["seasonal_naive"], "horizon": 7} | given))


def test_a_series_that_ended_long_before_the_others_is_named():
    ended = rows("gone", poisson(6.0), date(2023, 10, 31))
    found = sw.forecast(panel_of(pl.concat([HISTORY, ended])), 7, model="seasonal_naive")
    told = "1 series end more than 7 periods before others and are forecast from their own last period on: gone"
    assert told in found.provenance.notes
    assert found.moments()[2, 0].astype("datetime64[D]") == np.datetime64("2023-11-01")
    assert not any("before others" in note for note in sw.forecast(HISTORY, 7, model="seasonal_naive").provenance.notes)
