"""Forecasts: views of one set of paths, kept and read back."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from shelfwise.domain import forecast as forecast_module
from shelfwise.domain.calendar import Frequency
from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.domain.forecast import Forecast, Provenance
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.paths import Dependence

DAILY = Frequency.parse("1d")
START = DAILY.ordinal("2026-11-21")


def forecast(n=3, horizon=5, is_count=True, freq=DAILY, **given):
    rng = np.random.default_rng(n)
    mean = rng.gamma(2.0, 3.0, (n, horizon))
    series = {"unique_id": [f"p{i}" for i in range(n)], "category": [["x", "y"][i % 2] for i in range(n)]}
    until = dt.datetime(2026, 11, 20)  # noqa: DTZ001 - shop time is naive
    base = {
        "series": pl.DataFrame(series),
        "starts": np.full(n, freq.ordinal("2026-11-21")),
        "freq": freq,
        "provenance": Provenance("made_up", "1", until, 7, ("a note",)),
        "n_paths": 60,
        "marginals": Marginals(mean, mean * 1.7, is_count),
        "dependence": Dependence(0.2, 0.3),
    }
    return Forecast(**(base | given))


def drawn():
    compact = forecast()
    return forecast(marginals=None, drawn=compact.paths)


@pytest.fixture(params=["compact", "measured", "drawn"])
def each_form(request):
    return {"compact": forecast, "measured": lambda: forecast(is_count=False), "drawn": drawn}[request.param]()


def test_views_have_the_shapes_they_promise(each_form):
    assert each_form.paths.shape == (3, 60, 5)
    assert each_form.mean().shape == (3, 5)
    assert each_form.quantiles([0.1, 0.5]).shape == (3, 5, 2)
    assert each_form.total().shape == (3, 60)
    assert each_form.moments().shape == (3, 5)
    assert (len(each_form), each_form.horizon) == (3, 5)
    assert repr(each_form) == "Forecast(3 series x 5 periods of 1d, 60 paths, model made_up 1)"


def test_a_frame_has_one_row_for_each_series_and_period(each_form):
    frame = each_form.to_frame([0.1, 0.5, 0.975])
    assert frame.columns == ["unique_id", "ds", "mean", "q0.1", "q0.5", "q0.975"]
    assert frame.height == 15
    assert frame["ds"].dtype == pl.Date
    assert frame["ds"][:5].to_list() == [dt.date(2026, 11, 21 + i) for i in range(5)]
    assert frame["unique_id"].to_list() == [f"p{i}" for i in range(3) for _ in range(5)]
    np.testing.assert_allclose(frame["q0.975"].to_numpy(), each_form.quantiles([0.975]).reshape(-1))


def test_hours_are_labelled_by_moments():
    frame = forecast(freq=Frequency.parse("1h")).to_frame()
    assert frame["ds"].dtype == pl.Datetime("us")
    assert frame["ds"][1] == dt.datetime(2026, 11, 21, 1)  # noqa: DTZ001 - shop time is naive


def test_a_total_sums_the_paths_and_not_the_quantiles(each_form):
    np.testing.assert_allclose(each_form.total(3), each_form.paths[:, :, :3].sum(axis=2))
    np.testing.assert_allclose(each_form.total(), each_form.paths.sum(axis=2))
    np.testing.assert_allclose(each_form.total(slice(1, 4)), each_form.paths[:, :, 1:4].sum(axis=2))
    np.testing.assert_allclose(each_form.total(np.int64(2)), each_form.total(2))


@pytest.mark.parametrize("periods", [0, 6, -1])
def test_a_total_over_more_than_the_horizon_is_refused_with_the_way_out(each_form, periods):
    with pytest.raises(ParameterError, match=f"total over {periods} periods needs 1 to 5; forecast at least"):
        each_form.total(periods)


def test_selected_series_keep_their_paths(each_form):
    chosen = each_form.select([2, 0])
    np.testing.assert_array_equal(chosen.paths, each_form.paths[[2, 0]])
    np.testing.assert_array_equal(chosen.quantiles(), each_form.quantiles()[[2, 0]])
    assert chosen.ids.to_list() == ["p2", "p0"]
    assert each_form.select(np.array([False, True, False])).ids.to_list() == ["p1"]


def test_chunks_draw_the_paths_of_the_whole(each_form):
    for n in (1, 2, 3, 9):
        np.testing.assert_array_equal(np.concatenate([c.paths for c in each_form.chunks(n)]), each_form.paths)
    with pytest.raises(ParameterError, match="at least 1 chunk, got 0"):
        list(each_form.chunks(0))


def test_more_paths_of_a_compact_forecast_hold_the_tail():
    more = forecast().with_paths(2000)
    assert more.paths.shape == (3, 2000, 5)
    np.testing.assert_array_equal(more.mean(), forecast().mean())
    np.testing.assert_allclose(np.quantile(more.paths, 0.99, axis=1), more.quantiles([0.99])[:, :, 0], atol=1)


def test_a_model_that_drew_its_paths_cannot_give_more():
    np.testing.assert_array_equal(drawn().with_paths(20).paths, drawn().paths[:, :20])
    with pytest.raises(ParameterError, match="drew 60 paths, 61 were asked for; forecast again with n_paths=61"):
        drawn().with_paths(61)


def test_fewer_than_two_paths_are_refused_when_asked_for(each_form):
    with pytest.raises(ParameterError, match="n_paths must be at least 2, got 1"):
        each_form.with_paths(1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"marginals": None}, "either marginals or drawn paths"),
        ({"starts": np.zeros(2, dtype=np.int64)}, "3 forecasts do not fit 3 rows of series and 2 starts"),
        ({"series": pl.DataFrame({"unique_id": ["a"]})}, "3 forecasts do not fit 1 rows"),
        ({"marginals": None, "drawn": np.zeros((3, 9, 5), dtype=np.float32)}, r"must be \[N, 60, H\], got \[3, 9, 5\]"),
        ({"n_paths": 1}, "n_paths must be at least 2, got 1"),
    ],
)
def test_parts_that_do_not_fit_are_refused(given, words):
    with pytest.raises(ParameterError, match=words):
        forecast(**given)


def test_stored_bytes_draw_the_very_same_paths(each_form):
    read = Forecast.from_bytes(each_form.to_bytes())
    np.testing.assert_array_equal(read.paths, each_form.paths)
    np.testing.assert_array_equal(read.mean(), each_form.mean())
    np.testing.assert_array_equal(read.quantiles(), each_form.quantiles())
    np.testing.assert_array_equal(read.moments(), each_form.moments())
    assert (read.provenance, read.freq, read.dependence) == (
        each_form.provenance,
        each_form.freq,
        each_form.dependence,
    )
    assert read.series.equals(each_form.series)


def test_paths_read_back_are_the_same_on_a_grid_with_an_anchor_and_without_dates():
    weekly = forecast(freq=Frequency.parse("W-SUN"), provenance=Provenance("m", "2"))
    read = Forecast.from_bytes(weekly.to_bytes())
    assert read.freq == weekly.freq
    assert read.provenance == weekly.provenance


def test_bytes_that_were_cut_or_changed_are_refused_as_data(each_form):
    whole = each_form.to_bytes()
    rng = np.random.default_rng(0)
    spoilt = [whole[:cut] for cut in (0, 1, 10, 100, len(whole) // 2, len(whole) - 1)]
    spoilt += [b"junk" * 100, b"PK\x03\x04" + b"\0" * 60]
    for _ in range(150):
        bent = bytearray(whole)
        bent[rng.integers(len(bent))] ^= 1 << rng.integers(8)
        spoilt.append(bytes(bent))
    refused = [words for words in map(refusal, spoilt) if words]
    assert all("publish the plan again" in words for words in refused)
    assert len(refused) > len(spoilt) / 2  # some single bits of a zip archive are not read


def refusal(payload):
    try:
        Forecast.from_bytes(payload)
    except DataError as error:
        return str(error)
    return ""


# ------------------------------------------------------------------------ sums of series


def shop(n=24, horizon=5, **given):
    """A forecast of products in two categories of three stores, with every kind of dependence."""
    table = pl.DataFrame(
        {
            "unique_id": [f"p{i}" for i in range(n)],
            "store": [["north", "south", None][i % 3] for i in range(n)],
            "category": [["x", "y"][i // 3 % 2] for i in range(n)],
            "shelf": [i // 6 for i in range(n)],
        }
    )
    shares = Dependence(0.1, 0.2, 0.1, 0.2, 0.1, ("store", "category"))
    return forecast(n=n, horizon=horizon, **({"series": table, "dependence": shares} | given))


@pytest.mark.parametrize("is_count", [True, False])
def test_every_level_of_sums_adds_up_path_by_path(is_count):
    ahead = shop(is_count=is_count)
    total = ahead.paths.astype(np.float64).sum(axis=0)
    for by in ((), ("store",), ("category",), ("store", "category"), ("category", "shelf"), ("unique_id",)):
        found = ahead.aggregate(by)
        assert found.paths.shape[1:] == (60, 5)
        np.testing.assert_allclose(found.paths.sum(axis=0), total, rtol=0 if is_count else 1e-6)
    stores, cells = ahead.aggregate(["store"]), ahead.aggregate(["store", "category"])
    for row, name in enumerate(stores.series["store"]):
        mine = (cells.series["store"] == name).to_numpy()
        np.testing.assert_allclose(cells.paths[mine].sum(axis=0), stores.paths[row], rtol=0 if is_count else 1e-6)


def test_a_sum_of_series_is_named_after_its_group():
    found = shop().aggregate(["store", "category"])
    assert found.ids.to_list() == ["/x", "/y", "north/x", "north/y", "south/x", "south/y"]
    assert found.series.columns == ["unique_id", "store", "category"]
    assert shop().aggregate().ids.to_list() == ["total"]
    assert shop().aggregate(["shelf"]).ids.to_list() == ["0", "1", "2", "3"]
    assert found.provenance == shop().provenance
    np.testing.assert_array_equal(found.moments()[0], shop().moments()[0])


def test_series_summed_by_themselves_are_as_they_were():
    ahead = shop()
    found = ahead.aggregate(["unique_id"])
    order = [ahead.ids.to_list().index(name) for name in found.ids]
    np.testing.assert_array_equal(found.paths, ahead.paths[order])


def test_sums_know_their_mean_and_their_quantiles_from_the_paths():
    ahead = shop()
    found = ahead.aggregate(["category"])
    assert found.quantiles([0.1, 0.9]).shape == (2, 5, 2)
    np.testing.assert_allclose(found.mean().sum(axis=0), ahead.paths.mean(axis=1).sum(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found.mean().sum(axis=0), ahead.mean().sum(axis=0), rtol=0.02)


def test_the_order_of_series_and_blocks_change_no_sum(monkeypatch):
    ahead = shop()
    order = np.random.default_rng(0).permutation(24)
    found = ahead.aggregate(["store"])
    np.testing.assert_array_equal(ahead.select(order).aggregate(["store"]).paths, found.paths)
    monkeypatch.setattr(forecast_module, "_CELLS_AT_ONCE", 60 * 5 * 7)
    np.testing.assert_array_equal(shop().aggregate(["store"]).paths, found.paths)


def test_drawn_paths_are_summed_as_they_are(each_form):
    found = each_form.aggregate(["category"])
    np.testing.assert_allclose(found.paths[0], each_form.paths[[0, 2]].sum(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.paths[1], each_form.paths[1])
    read = Forecast.from_bytes(found.to_bytes())
    np.testing.assert_array_equal(read.paths, found.paths)


def test_names_that_would_be_joined_alike_stay_apart():
    table = pl.DataFrame({"unique_id": ["p0", "p1", "p2"], "a": ["x/y", "x", "x"], "b": ["z", "y/z", "w"]})
    found = forecast(series=table).aggregate(["a", "b"])
    assert len(found) == 3
    assert found.ids.n_unique() == 3


def test_sums_by_what_is_no_attribute_are_refused(each_form):
    with pytest.raises(ParameterError, match="'brand' is no attribute of the series; attributes are unique_id, cat"):
        each_form.aggregate(["category", "brand"])
    with pytest.raises(ParameterError, match=r"by takes a list of attributes, got 'category'; write \['category'\]"):
        each_form.aggregate("category")


def test_series_forecast_from_different_periods_on_are_not_summed():
    apart = forecast(starts=np.array([START, START, START + 1]))
    with pytest.raises(ParameterError, match="select those with one start"):
        apart.aggregate()
    assert len(apart.select([0, 1]).aggregate()) == 1


def test_an_empty_forecast_has_a_total_of_nothing():
    none = forecast().select(np.zeros(3, dtype=bool))
    assert len(none.aggregate(["category"])) == 0
    assert len(none.aggregate()) == 0


def test_stored_shares_of_groups_draw_the_very_same_paths():
    ahead = shop()
    read = Forecast.from_bytes(ahead.to_bytes())
    assert read.dependence == ahead.dependence
    np.testing.assert_array_equal(read.paths, ahead.paths)
    np.testing.assert_array_equal(read.aggregate(["store"]).paths, ahead.aggregate(["store"]).paths)


def test_shared_shocks_widen_the_band_of_a_sum_and_of_no_series():
    narrow, wide = shop(dependence=Dependence()), shop()
    np.testing.assert_array_equal(np.sort(narrow.paths, axis=1), np.sort(wide.paths, axis=1))
    assert wide.aggregate().total().std() > 1.5 * narrow.aggregate().total().std()


def test_other_means_scale_every_path_and_leave_the_worlds_as_they_are(each_form):
    factor = np.ones((3, 5))
    factor[0, 1:3] = 2.0
    factor[1] = 0.5
    scaled = each_form.with_mean(each_form.mean() * factor)
    assert scaled.mean() == pytest.approx(each_form.mean() * factor)
    was, now = each_form.paths, scaled.paths
    assert np.array_equal(now[2], was[2])
    assert np.array_equal(now[0, :, [0, 3, 4]], was[0, :, [0, 3, 4]])
    for row, period in ((0, 1), (0, 2), (1, 0), (1, 4)):
        order = np.lexsort((now[row, :, period], was[row, :, period]))
        assert (np.diff(now[row, order, period]) >= 0).all()  # a world that asked for more still does
        assert now[row, :, period].mean() == pytest.approx(factor[row, period] * was[row, :, period].mean(), rel=0.1)


def test_scaled_counts_stay_whole():
    compact = forecast()
    paths = compact.with_mean(compact.mean() * 1.3).paths
    assert np.array_equal(paths, np.rint(paths))


def test_other_means_where_there_were_none_are_poisson_counts():
    nothing = forecast(marginals=Marginals(np.zeros((3, 5)), np.zeros((3, 5))))
    for one in (nothing, forecast(marginals=None, drawn=nothing.paths)):
        made = one.with_mean(np.full((3, 5), 4.0)).paths
        assert made.mean() == pytest.approx(4.0, rel=0.05)
        assert made.var(axis=1).mean() == pytest.approx(4.0, rel=0.1)


@pytest.mark.parametrize("wanted", [np.ones((3, 4)), np.full((3, 5), -1.0), np.full((3, 5), np.nan)])
def test_means_that_are_no_demand_are_refused(wanted):
    with pytest.raises(ParameterError, match="means must be"):
        forecast().with_mean(wanted)
