"""Panels: made from wide and long tables, cut at a cutoff, split, selected."""

from __future__ import annotations

import datetime as dt
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.errors import PanelError, ParameterError
from shelfwise.domain.panel import Panel

NAN = float("nan")


def long(**columns):
    """Two days of product a, three of product b."""
    base = {
        "unique_id": ["a", "a", "b", "b", "b"],
        "ds": [dt.date(2026, 11, day) for day in (2, 3, 1, 2, 3)],
        "y": [1.0, 2.0, 3.0, 4.0, 5.0],
    }
    return pl.DataFrame(base | columns)


def three_products(**given):
    """A long-running, a young and a not yet begun product."""
    grid = np.array([[1.0, 2, 3, 4], [NAN, NAN, 5, NAN], [NAN] * 4])
    return Panel.from_wide(grid, start="2026-11-01", series={"unique_id": ["old", "young", "new"]}, **given)


# ---------------------------------------------------------------------- wide


def test_leading_gaps_are_no_history_and_inner_ones_are_unrecorded():
    panel = three_products()
    assert panel.lengths.tolist() == [4, 2, 0]
    assert panel.window(2).tolist()[0] == [3.0, 4.0]
    np.testing.assert_array_equal(panel.window(2)[1], [5.0, NAN])
    assert np.isnan(panel.window(2)[2]).all()
    assert (panel.ends == panel.ends[0]).all()
    assert panel.data_until == dt.datetime(2026, 11, 4)  # noqa: DTZ001 - shop time is naive


def test_series_get_numbers_for_names_where_none_are_given():
    assert Panel.from_wide([[1.0], [2.0]], start="2026-11-01").ids.to_list() == ["0", "1"]


@pytest.mark.parametrize("shape", [(2, 0), (0, 3), (0, 0)])
def test_empty_arrays_make_empty_panels(shape):
    panel = Panel.from_wide(np.zeros(shape), start="2026-11-01")
    assert len(panel) == shape[0]
    assert panel.data_until is None


def test_the_type_of_the_values_is_kept_where_it_holds_them():
    assert Panel.from_wide(np.ones((1, 2), dtype=np.float32), start="2026-11-01").values.dtype == np.float32
    for dtype in (np.int16, np.bool_, np.uint8, np.float64):
        assert Panel.from_wide(np.ones((1, 2), dtype=dtype), start="2026-11-01").values.dtype == np.float64


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1.0, 2.0], r"must be \[N, T\].*values\[None, :\]"),
        ([["x"]], "must be numbers"),
        ([[1.0, 2.0], [1.0]], "must be numbers"),
        ([[np.inf]], "infinite.*NaN"),
        (np.array([[1j]]), "complex"),
        (np.array([["2026-11-01"]], dtype="datetime64[D]"), "datetime64"),
    ],
)
def test_values_that_are_no_array_of_numbers_are_refused(values, words):
    with pytest.raises(PanelError, match=words):
        Panel.from_wide(values, start="2026-11-01")


@pytest.mark.parametrize(
    ("start", "freq", "words"),
    [
        ("foo", "1d", "start 'foo' is no date"),
        (dt.datetime(2026, 11, 1, tzinfo=dt.UTC), "1d", "time zone; give naive shop time"),
        ("2026-11-15", "1mo", "2026-11-15.*does not lie on a grid of 1mo"),
        (np.datetime64("NaT"), "1d", "NaT"),
    ],
)
def test_a_start_that_is_no_label_is_refused(start, freq, words):
    with pytest.raises(PanelError, match=words):
        Panel.from_wide([[1.0]], start=start, freq=freq)


@pytest.mark.parametrize(
    ("series", "words"),
    [
        ({"unique_id": ["a"]}, "series has 1 rows for 2 series"),
        ({"unique_id": ["a", "a"]}, "'a' names more than one series"),
        ({"unique_id": ["a", None]}, "empty unique_id"),
        (3, "series must be a polars or pandas frame, got int"),
    ],
)
def test_a_table_of_series_has_one_row_for_each(series, words):
    with pytest.raises(PanelError, match=words):
        Panel.from_wide([[1.0], [2.0]], start="2026-11-01", series=series)


def test_product_category_and_warehouse_form_levels_where_present():
    table = {"unique_id": ["a", "b"], "warehouse": ["x", "y"], "colour": ["r", "g"], "category": ["c", "c"]}
    panel = Panel.from_wide([[1.0], [2.0]], start="2026-11-01", series=table)
    assert panel.hierarchy == ("category", "warehouse")
    assert Panel.from_wide([[1.0], [2.0]], start="2026-11-01", series=table, hierarchy=["colour"]).hierarchy == (
        "colour",
    )
    with pytest.raises(PanelError, match="'brand'.*attributes are unique_id, warehouse"):
        Panel.from_wide([[1.0], [2.0]], start="2026-11-01", series=table, hierarchy=["brand"])


def test_availability_follows_the_values():
    flags = np.ones((3, 4), dtype=bool)
    flags[0, 3] = flags[1, 2] = False
    panel = three_products(available=flags)
    assert panel.available_window(4).tolist() == [[True, True, True, False], [False] * 4, [False] * 4]
    with pytest.raises(PanelError, match="available has shape"):
        three_products(available=flags[:, 1:])


@pytest.mark.parametrize("shape", [(), (3,), (2, 4), (3, 3), (1, 3, 4)])
def test_a_covariate_of_another_shape_is_refused_with_the_right_one(shape):
    with pytest.raises(PanelError, match=r"'price' has shape .*give \[3, 4 \+ H\] or \[4 \+ H\]"):
        three_products(known_future={"price": np.zeros(shape)})
    with pytest.raises(PanelError, match=r"past_only 'visits' has shape .*give \[3, 4\] or \[4\]"):
        three_products(past_only={"visits": np.zeros((*shape, 9))})


def test_covariates_may_be_numbers_flags_or_words_and_shared_or_not():
    panel = three_products(
        known_future={
            "holiday": [0, 0, 1, 0, 1, 0],
            "price": np.arange(18.0).reshape(3, 6),
            "weather": np.array(["sun", "rain", "sun", None, "snow", "sun"], dtype=object),
        },
        past_only={"visits": [9, 8, 7, 6]},
    )
    holiday, price, weather = (panel.known_future[k] for k in ("holiday", "price", "weather"))
    assert holiday.shared
    assert not price.shared
    ends = panel.ends
    assert holiday.at(ends, 2).tolist() == [[1, 0]] * 3
    assert price.at(ends, 2).tolist() == [[4, 5], [10, 11], [16, 17]]
    np.testing.assert_array_equal(price.at(ends, 3)[:, 2], [NAN] * 3)
    assert weather.categories == ("rain", "snow", "sun")
    np.testing.assert_array_equal(weather.at(ends[:1] - 4, 6), [[2, 0, 2, NAN, 1, 2]])
    assert panel.past_only["visits"].at(panel.ends - 1, 1).tolist() == [[6]] * 3


def test_a_covariate_is_known_ahead_or_not_but_never_both():
    with pytest.raises(PanelError, match="'x' is both past_only and known_future"):
        three_products(past_only={"x": [0] * 4}, known_future={"x": [0] * 5})


# ---------------------------------------------------------------------- long


def test_rows_in_any_order_make_the_same_series():
    panel = Panel.from_long(long())
    mixed = Panel.from_long(long()[[4, 0, 3, 1, 2]])
    assert mixed.ids.to_list() == ["b", "a"]
    np.testing.assert_array_equal(mixed.select([1, 0]).window(3), panel.window(3))


def test_pandas_and_polars_and_mappings_make_the_same_panel():
    frame = long(weather=["sun", None, "rain", "sun", "sun"], available=[True, False, True, True, None])
    columns = frame.to_dict(as_series=False)
    pandas = pd.DataFrame(columns)
    whole = Panel.from_long(frame)
    for other in (pandas, pandas.assign(ds=pd.to_datetime(pandas["ds"])), columns, dict(pandas), frame.lazy()):
        panel = Panel.from_long(other)
        np.testing.assert_array_equal(panel.values, whole.values)
        np.testing.assert_array_equal(panel.available, whole.available)
        np.testing.assert_array_equal(panel.past_only["weather"].values, whole.past_only["weather"].values)
        assert panel.series.equals(whole.series)
        assert panel.freq == whole.freq


@pytest.mark.parametrize(
    ("column", "dtype"),
    [("y", "Int64"), ("y", "Float32"), ("y", "int16"), ("unique_id", "category"), ("unique_id", "string")],
)
def test_pandas_own_types_are_read(column, dtype):
    frame = pd.DataFrame(long().to_dict(as_series=False))
    panel = Panel.from_long(frame.assign(**{column: frame[column].astype(dtype)}))
    assert panel.ids.to_list() == ["a", "b"]
    assert panel.values.tolist() == [1, 2, 3, 4, 5]


def test_pandas_missing_values_are_unrecorded():
    frame = pd.DataFrame(long().to_dict(as_series=False))
    for missing in (frame.assign(y=pd.array([1, None, 3, 4, 5], dtype="Int64")), frame.assign(y=[1, NAN, 3, 4, 5])):
        np.testing.assert_array_equal(Panel.from_long(missing).values, [1, NAN, 3, 4, 5])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns", "D"])
def test_dates_of_any_resolution_are_read(unit):
    days = np.array(["2026-11-02", "2026-11-03"], dtype=f"datetime64[{unit}]")
    panel = Panel.from_long({"unique_id": ["a", "a"], "ds": days, "y": [1, 2]})
    assert panel.moments(0).astype("datetime64[D]").astype(str).tolist() == ["2026-11-02", "2026-11-03"]


@pytest.mark.parametrize(
    ("texts", "freq"),
    [
        (["2026-11-02", "2026-11-03"], "1d"),
        (["2026-11-02 09:00", "2026-11-02 10:00"], "1h"),
        (["2026-11-02T09:00:00", "2026-11-02T09:15:00"], "15min"),
        (["2026-11-02", "2026-11-02T12:00:00.000"], "12h"),
    ],
)
def test_iso_text_is_read_as_dates(texts, freq):
    panel = Panel.from_long({"unique_id": ["a", "a"], "ds": texts, "y": [1, 2]})
    assert str(panel.freq) == freq
    assert panel.values.tolist() == [1, 2]


@pytest.mark.parametrize(
    "text", ["01/02/2026", "1.2.2026", "2026-11-03T09:00:00Z", "2026-11-03T09:00:00+01:00", "soon"]
)
def test_text_that_is_no_iso_date_is_refused_with_its_row(text):
    table = {"unique_id": ["a", "a"], "ds": ["2026-11-02", text], "y": [1, 2]}
    with pytest.raises(PanelError) as caught:
        Panel.from_long(table)
    assert repr(text) in str(caught.value)
    assert "row 1" in str(caught.value)
    assert "such as 2026-11-21" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ds": [1, 2, 3, 4, 5]}, "ds of type Int64; give dates"),
        ({"ds": [dt.time(9)] * 5}, "ds of type Time; give dates"),
        ({"ds": [None, *long()["ds"][1:]]}, "no ds in row 0; every row needs a date"),
        ({"unique_id": ["a", None, "b", "b", "b"]}, "no unique_id in row 1; every row needs one"),
        ({"y": ["1", "2", "x", "4", "5"]}, "y in row 2 is 'x', which is no number"),
        ({"y": [1.0, 2.0, float("inf"), 4.0, 5.0]}, "y in row 2 is infinite; give a number"),
        ({"available": ["yes", "no", "yes", "yes", "no"]}, "available in row 0 is 'yes', which is no number"),
        ({"ds": [dt.date(2026, 11, 2)] * 2 + list(long()["ds"][2:])}, "'a' has ds 2026-11-02.* more than once.*sum"),
    ],
)  # fmt: skip
def test_bad_rows_are_refused_with_row_value_and_way_out(change, words):
    with pytest.raises(PanelError, match=words):
        Panel.from_long(long(**change))


def test_a_time_zone_is_refused_rather_than_guessed():
    zoned = long().with_columns(pl.col("ds").cast(pl.Datetime("us")).dt.replace_time_zone("Europe/Berlin"))
    with pytest.raises(PanelError, match="zone Europe/Berlin; give naive shop time"):
        Panel.from_long(zoned)
    frame = pd.DataFrame(long().to_dict(as_series=False))
    with pytest.raises(PanelError, match="zone"):
        Panel.from_long(frame.assign(ds=pd.to_datetime(frame["ds"]).dt.tz_localize("Europe/Berlin")))


@pytest.mark.parametrize("column", ["unique_id", "ds", "y"])
def test_a_missing_column_is_named_with_those_there_are(column):
    with pytest.raises(PanelError, match=f"history lacks the column '{column}'; it has"):
        Panel.from_long(long().drop(column))


def test_a_table_without_rows_is_refused():
    with pytest.raises(PanelError, match="no rows; give at least one observation"):
        Panel.from_long(long().clear())
    with pytest.raises(PanelError, match="history must be a polars or pandas frame, got list"):
        Panel.from_long([1, 2])


def test_a_date_off_the_grid_is_refused_with_the_frequency():
    with pytest.raises(PanelError, match="2026-11-03.*grid of 1w.*aggregate to 1w"):
        Panel.from_long(long(), freq="1w")


@pytest.mark.parametrize(
    ("labels", "freq"),
    [
        (["2026-11-02", "2026-11-09", "2026-11-16"], "1w"),
        (["2026-01-31", "2026-02-28", "2026-03-31"], "1mo"),
        (["2026-01-01", "2026-04-01", "2026-07-01"], "3mo"),
        (["2026-11-02T00:00", "2026-11-02T00:05", "2026-11-02T00:15"], "5min"),
        (["2026-11-02", "2026-11-03", "2026-11-09"], "1d"),
        (["2026-11-02"], "1d"),
    ],
)
def test_the_frequency_is_the_commonest_step(labels, freq):
    panel = Panel.from_long({"unique_id": ["a"] * len(labels), "ds": labels, "y": range(1, len(labels) + 1)})
    assert str(panel.freq) == freq


def gapped(y):
    days = [dt.date(2026, 11, day) for day in (1, 4, 2)]
    return pl.DataFrame({"unique_id": ["a", "a", "b"], "ds": days, "y": y})


def test_an_absent_row_is_a_zero_in_a_table_of_sales_lines():
    panel = Panel.from_long(gapped([1.0, 2.0, 3.0]), freq="1d")
    assert panel.values.tolist() == [1, 0, 0, 2, 3, 0, 0]
    assert (panel.ends == panel.ends[0]).all()


def test_an_absent_row_is_unrecorded_in_a_table_that_says_its_zeros():
    panel = Panel.from_long(gapped([1.0, 0.0, 3.0]), freq="1d")
    np.testing.assert_array_equal(panel.values, [1, NAN, NAN, 0, 3])
    assert panel.ends[0] - panel.ends[1] == 2


@pytest.mark.parametrize(("gaps", "total"), [("zero", 7), ("missing", 5)])
def test_what_an_absent_row_means_can_be_said(gaps, total):
    assert len(Panel.from_long(gapped([1.0, 0.0, 3.0]), freq="1d", gaps=gaps).values) == total
    with pytest.raises(ParameterError, match="gaps must be 'auto', 'zero' or 'missing', got 'none'"):
        Panel.from_long(gapped([1.0, 0.0, 3.0]), freq="1d", gaps="none")


def test_a_stockout_day_is_flagged_and_an_absent_one_was_on_sale():
    frame = gapped([1.0, 2.0, 3.0]).with_columns(available=pl.Series([True, False, None]))
    panel = Panel.from_long(frame, freq="1d")
    assert panel.available.tolist() == [True, True, True, False, True, True, True]


def test_other_columns_are_past_only_unless_named_otherwise():
    frame = long(visits=[1, 2, 3, 4, 5], noise=[0] * 5)
    assert set(Panel.from_long(frame).past_only) == {"visits", "noise"}
    assert set(Panel.from_long(frame, past_only=["visits"]).past_only) == {"visits"}
    with pytest.raises(PanelError, match="past_only names 'weather', which is no column of history"):
        Panel.from_long(frame, past_only=["weather"])


def test_what_is_known_ahead_joins_its_past():
    future = pl.DataFrame({"unique_id": ["a", "b"], "ds": [dt.date(2026, 11, 4)] * 2, "promotion": [1, 0]})
    panel = Panel.from_long(long(promotion=[0, 1, 1, 0, 0]), known_future=future)
    assert panel.past_only == {}
    np.testing.assert_array_equal(panel.known_future["promotion"].at(panel.ends - 3, 4), [[NAN, 0, 1, 1], [1, 0, 0, 0]])


def test_a_shared_future_keeps_each_series_own_past():
    future = pl.DataFrame({"ds": [dt.date(2026, 11, 4)], "promotion": [1]})
    panel = Panel.from_long(long(promotion=[0, 1, 1, 0, 0]), known_future=future)
    np.testing.assert_array_equal(panel.known_future["promotion"].at(panel.ends - 3, 4), [[NAN, 0, 1, 1], [1, 0, 0, 1]])
    same = Panel.from_long(long(promotion=[0, 1, 1, 0, 1]), known_future=future)
    assert same.known_future["promotion"].shared


def test_a_future_of_words_shares_its_codes_with_the_past():
    future = pl.DataFrame({"ds": [dt.date(2026, 11, 4)], "weather": ["snow"]})
    panel = Panel.from_long(long(weather=["sun", "rain", "sun", "sun", "rain"]), known_future=future)
    found = panel.known_future["weather"]
    words = [found.categories[int(code)] for code in found.at(panel.ends[:1] - 2, 3)[0]]
    assert words == ["sun", "rain", "snow"]


@pytest.mark.parametrize(
    ("future", "words"),
    [
        ({"promotion": [1]}, "known_future lacks the column 'ds'"),
        ({"ds": [dt.date(2026, 11, 4)] * 2, "promotion": [1, 0]}, "2026-11-04.* more than once"),
        ({"ds": [dt.datetime(2026, 11, 4, 7)], "promotion": [1]}, "2026-11-04T07:00:00 off the grid of 1d"),  # noqa: DTZ001
    ],
)
def test_a_bad_future_is_refused(future, words):
    with pytest.raises(PanelError, match=words):
        Panel.from_long(long(), known_future=pl.DataFrame(future))


def test_static_attributes_follow_the_order_of_the_series():
    static = pl.DataFrame({"unique_id": ["b", "a", "z"], "category": ["B", "A", "Z"]})
    assert Panel.from_long(long(), static=static).series["category"].to_list() == ["A", "B"]
    assert Panel.from_long(long(), static=static).hierarchy == ("category",)
    with pytest.raises(PanelError, match="static lacks unique_id 'b'; give one row for every series"):
        Panel.from_long(long(), static=static[1:])
    with pytest.raises(PanelError, match="static has more than one row"):
        Panel.from_long(long(), static=pl.concat([static, static[:1]]))


def test_numbers_and_words_name_the_same_series():
    static = pl.DataFrame({"unique_id": [1, 2], "category": ["A", "B"]})
    future = pl.DataFrame({"unique_id": [2, 1], "ds": [dt.date(2026, 11, 4)] * 2, "p": [1, 0]})
    panel = Panel.from_long(long(unique_id=[1, 1, 2, 2, 2]), static=static, known_future=future)
    assert panel.series["category"].to_list() == ["A", "B"]
    assert panel.known_future["p"].at(panel.ends, 1).tolist() == [[0], [1]]


# ---------------------------------------------------------------------- cutting


def covered():
    return three_products(
        available=np.array([[True] * 4] * 3),
        past_only={"visits": np.arange(12.0).reshape(3, 4), "tide": np.arange(4.0)},
        known_future={"price": np.arange(18.0).reshape(3, 6), "holiday": np.arange(6.0)},
    )


def test_before_a_cutoff_nothing_later_is_left_but_what_is_known_ahead():
    panel = covered()
    cutoff = int(panel.ends[0]) - 1
    past = panel.until(cutoff)
    assert (past.ends == cutoff).all()
    assert past.lengths.tolist() == [3, 1, 0]
    assert past.values.tolist() == [1, 2, 3, 5]
    assert np.isnan(past.past_only["visits"].at(past.ends, 1)).all()
    assert np.isnan(past.past_only["tide"].at(past.ends, 1)).all()
    assert past.past_only["visits"].at(past.ends - 1, 1).tolist() == [[2], [6], [10]]
    assert past.known_future["price"].at(past.ends, 3).tolist() == [[3, 4, 5], [9, 10, 11], [15, 16, 17]]
    assert past.data_until == dt.datetime(2026, 11, 3)  # noqa: DTZ001 - shop time is naive


def test_a_cutoff_before_a_series_begins_leaves_it_without_history_at_the_cutoff():
    panel = covered()
    past = panel.until(panel.starts[0] + 1)
    assert past.lengths.tolist() == [1, 0, 0]
    assert (past.ends == panel.starts[0] + 1).all()


def test_a_shared_row_is_cut_for_each_series_at_its_own_cutoff():
    panel = covered()
    first = int(panel.ends[0]) - 4
    past = panel.until(first + np.array([1, 3, 2]))
    shown = past.past_only["tide"].at(np.full(3, first), 4)
    np.testing.assert_array_equal(shown, [[0, NAN, NAN, NAN], [0, 1, 2, NAN], [0, 1, NAN, NAN]])
    assert panel.until(first + 2).past_only["tide"].shared
    np.testing.assert_array_equal(past.select([2]).past_only["tide"].at(np.array([first]), 3), [[0, 1, NAN]])


def test_panels_travel_to_other_processes():
    panel = covered()
    read = pickle.loads(pickle.dumps(panel))
    np.testing.assert_array_equal(read.window(4), panel.window(4))
    assert read.series.equals(panel.series)
    assert read.freq == panel.freq


def test_a_cutoff_after_the_end_changes_nothing():
    panel = covered()
    later = panel.until(panel.ends + 10)
    assert later.ends.tolist() == panel.ends.tolist()
    np.testing.assert_array_equal(later.values, panel.values)


def test_a_split_holds_back_what_came():
    past, actual, scored = covered().split(2)
    assert past.lengths.tolist() == [2, 0, 0]
    np.testing.assert_array_equal(actual, [[3, 4], [5, NAN], [NAN, NAN]])
    assert scored.tolist() == [[True, True], [True, False], [False, False]]
    with pytest.raises(ParameterError, match="holdout must be at least 1 period, got 0"):
        covered().split(0)


def test_a_censored_period_is_held_back_but_not_scored():
    panel = Panel.from_wide([[1.0, 2.0]], start="2026-11-01", available=[[True, False]])
    _, actual, scored = panel.split(1)
    assert actual.tolist() == [[2.0]]
    assert scored.tolist() == [[False]]


def test_a_window_is_a_view_where_every_series_fills_it():
    panel = Panel.from_wide(np.arange(6.0).reshape(2, 3), start="2026-11-01")
    assert np.shares_memory(panel.window(3), panel.values)
    assert panel.window(5).shape == (2, 5)
    assert np.isnan(panel.window(5)[:, :2]).all()
    with pytest.raises(ParameterError, match="window must be at least 1 period, got 0"):
        panel.window(0)


def test_selected_series_bring_everything_of_theirs():
    panel = covered()
    chosen = panel.select([2, 0])
    assert chosen.ids.to_list() == ["new", "old"]
    assert chosen.lengths.tolist() == [0, 4]
    assert chosen.past_only["visits"].at(chosen.ends - 1, 1).tolist() == [[11], [3]]
    assert chosen.known_future["price"].at(chosen.ends, 1).tolist() == [[16], [4]]
    assert chosen.known_future["holiday"].at(chosen.ends, 1).tolist() == [[4], [4]]
    assert panel.select(np.array([False, True, False])).ids.to_list() == ["young"]
    assert len(panel.select([])) == 0


def test_chunks_are_views_that_make_up_the_panel():
    panel = Panel.from_wide(np.arange(35.0).reshape(7, 5), start="2026-11-01")
    for n in (1, 2, 3, 7, 50):
        chunks = list(panel.chunks(n))
        assert len(chunks) == min(n, 7)
        assert sum((c.ids.to_list() for c in chunks), []) == panel.ids.to_list()
        assert all(np.shares_memory(c.values, panel.values) for c in chunks)
        np.testing.assert_array_equal(np.concatenate([c.window(5) for c in chunks]), panel.window(5))
    with pytest.raises(ParameterError, match="at least 1 chunk, got 0"):
        list(panel.chunks(0))


def test_whole_numbers_are_counts_and_others_are_measured():
    assert three_products().is_count
    assert not Panel.from_wide([[1.0, 2.5]], start="2026-11-01").is_count
    assert Panel.from_wide([[NAN]], start="2026-11-01").is_count


def test_a_panel_whose_parts_do_not_fit_cannot_be_made():
    with pytest.raises(PanelError, match="offsets for 1 series over 3 values"):
        Panel(np.zeros(2), np.array([0, 3]), np.array([0]), Frequency(1, "d"), pl.DataFrame({"unique_id": ["a"]}))
