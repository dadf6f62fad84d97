"""Aggregates: which sums are looked at, whether they are the sums, and when the shop is closed."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.panel import Panel
from shelfwise.forecasting import aggregates
from shelfwise.forecasting.aggregates import LEAST_SHARE, Aggregates, Chains, Nodes

DAILY = Frequency.parse("1d")


def panel_of(values, start="2022-01-01", attributes=None, hierarchy=(), **given):
    ids = [f"p{i:04}" for i in range(len(values))]
    return Panel.from_wide(
        values, start=start, series={"unique_id": ids} | (attributes or {}), hierarchy=hierarchy, **given
    )


def shelves(n=240, states=2, stores=4, departments=2, **more):
    """Attributes of ``n`` series: stores that lie in states, and departments of every store."""
    place = np.arange(n)
    store = place % stores
    return {
        "state": [f"S{s % states}" for s in store],
        "store": [f"s{s}" for s in store],
        "department": [f"d{d}" for d in place // stores % departments],
    } | more


def only(attributes, *names):
    return {name: attributes[name] for name in names}


def flat(n, periods=60, rate=3.0, seed=0):
    return np.random.default_rng(seed).poisson(rate, (n, periods)).astype(float)


# ---------------------------------------------------------------------- chains


@pytest.mark.parametrize(
    "order", [("state", "store", "department"), ("department", "store", "state"), ("store", "state", "department")]
)
def test_levels_that_nest_form_a_chain_whatever_their_order(order):
    panel = panel_of(flat(240), attributes=shelves(), hierarchy=order)
    found = Chains.of(panel)
    assert found.chains == (("state", "store"), ("department",))
    assert found.columns == ("store", "department")


def test_a_level_by_a_second_name_is_left_out():
    given = only(shelves(), "store", "department")
    given["shop_number"] = [f"{int(name[1:]) + 100}" for name in given["store"]]
    found = Chains.of(panel_of(flat(240), attributes=given, hierarchy=("store", "shop_number", "department")))
    assert sorted(map(len, found.chains)) == [1, 1]
    assert set(found.columns) in ({"store", "department"}, {"shop_number", "department"})


def test_groups_of_few_series_are_no_cells():
    given = only(shelves(n=240, stores=4), "store") | {"brand": [f"b{i % 9}" for i in range(240)]}  # 27 series each
    panel = panel_of(flat(240), attributes=given, hierarchy=("store", "brand"))
    assert Chains.of(panel).columns == ("store",)
    assert Chains.of(panel_of(flat(29), attributes=only(shelves(29), "store"), hierarchy=("store",))).columns == ()


def test_cells_that_get_too_small_together_are_coarsened():
    given = shelves(n=240, states=2, stores=4, departments=3)  # 12 cells of 20 series
    found = Chains.of(panel_of(flat(240), attributes=given, hierarchy=("state", "store", "department")))
    assert found.columns in (("state", "department"), ("department", "state"))


def test_more_cells_than_can_be_modelled_are_coarsened(monkeypatch):
    monkeypatch.setattr(aggregates, "MOST_CELLS", 5)
    found = Chains.of(panel_of(flat(240), attributes=shelves(), hierarchy=("state", "store", "department")))
    assert found.chains == (("state",), ("department",)) or found.chains == (("department",), ("state",))


def test_a_level_of_one_group_says_nothing():
    given = only(shelves(), "store") | {"country": ["X"] * 240}
    assert Chains.of(panel_of(flat(240), attributes=given, hierarchy=("country", "store"))).columns == ("store",)


def test_without_a_hierarchy_there_is_one_whole():
    values = flat(50)
    found = Aggregates.of(panel_of(values))
    assert (len(found.nodes), found.nodes.cells, found.nodes.parents.tolist()) == (1, ("",), [-1])
    np.testing.assert_allclose(found.values, values.sum(axis=0)[None])


def test_series_that_sell_too_little_together_are_one_whole():
    given = only(shelves(), "store")
    found = Aggregates.of(panel_of(flat(240, rate=0.05), attributes=given, hierarchy=("store",)))
    assert found.nodes.chains.columns == ()


def test_missing_values_of_an_attribute_are_a_group_of_their_own():
    given = only(shelves(120, stores=2), "store") | {"department": [None if i % 4 < 2 else "d" for i in range(120)]}
    found = Nodes.of(
        panel := panel_of(flat(120), attributes=given, hierarchy=("store", "department")), Chains.of(panel)
    )
    assert len(found.cells) == 4
    assert (found.cell_of(panel.series) >= 0).all()


@pytest.mark.parametrize("values", [(1, 2), (1.5, 2.5), (True, False), ("a=b", "a"), ("a/b", "a"), ("ä", "")])
def test_attributes_of_any_kind_and_spelling_tell_cells_apart(values):
    column = [values[i % 2] for i in range(120)]
    panel = panel_of(flat(120), attributes={"line": column}, hierarchy=("line",))
    nodes = Nodes.of(panel, Chains.of(panel))
    cells = nodes.cell_of(panel.series)
    assert len(nodes.cells) == 2
    assert len(set(cells[::2])) == len(set(cells[1::2])) == 1
    assert cells[0] != cells[1]


def test_series_of_an_unknown_cell_or_without_the_attribute_have_none():
    given = {"store": ["" if i % 2 else "s" for i in range(120)]}
    panel = panel_of(flat(120), attributes=given, hierarchy=("store",))
    nodes = Nodes.of(panel, Chains.of(panel))
    other = pl.DataFrame({"unique_id": ["x", "y"], "store": ["new", "s"]})
    assert nodes.cell_of(other).tolist() == [-1, nodes.cells.index("s")]
    assert nodes.cell_of(other.drop("store")).tolist() == [-1, -1]


# ----------------------------------------------------------------------- nodes


@pytest.fixture(scope="module")
def deep():
    given = shelves(n=480, states=2, stores=4, departments=4)
    given["category"] = [f"c{int(name[1:]) % 2}" for name in given["department"]]
    order = ("department", "state", "category", "store")
    return panel_of(flat(480, 40), attributes=given, hierarchy=order)


def test_parents_form_a_tree_whose_root_is_the_last_node(deep):
    nodes = Nodes.of(deep, Chains.of(deep))
    assert len(nodes.cells) == 16
    assert nodes.parents[-1] == -1
    assert (nodes.parents[:-1] >= 0).all()
    ranks = {node: i for i, node in enumerate(nodes.top_down())}
    assert sorted(ranks) == list(range(len(nodes)))
    assert all(ranks[int(parent)] < ranks[node] for node, parent in enumerate(nodes.parents[:-1]))
    assert nodes.top_down()[0] == len(nodes) - 1


def test_sums_over_the_nodes_are_sums_over_their_series(deep):
    nodes = Nodes.of(deep, Chains.of(deep))
    sums = nodes.summed(np.stack([deep.window(40)[nodes.cell_of(deep.series) == c].sum(axis=0) for c in range(16)]))
    table, values = deep.series, deep.window(40)
    np.testing.assert_allclose(sums[-1], values.sum(axis=0))
    every = [
        values[table.select(mask).to_series().to_numpy()].sum(axis=0)
        for level in (["store", "department"], ["store"], ["department"], ["state"], ["category"],
                      ["store", "category"], ["state", "department"], ["state", "category"])
        for mask in [
            pl.all_horizontal([pl.col(name) == row[name] for name in level])
            for row in table.select(level).unique().iter_rows(named=True)
        ]
    ]  # fmt: skip
    for node in range(len(nodes)):
        assert node == len(nodes) - 1 or any(np.allclose(sums[node], one) for one in every)


def test_codes_tell_the_cells_apart_and_the_whole_has_one_of_its_own(deep):
    nodes = Nodes.of(deep, Chains.of(deep))
    assert len({tuple(row) for row in nodes.codes.tolist()}) == len(nodes)


def test_the_order_of_series_changes_no_sum(deep):
    other = deep.select(np.random.default_rng(1).permutation(deep.n_series))
    one, two = Aggregates.of(deep), Aggregates.of(other)
    assert one.nodes.cells == two.nodes.cells
    np.testing.assert_array_equal(one.nodes.parents, two.nodes.parents)
    np.testing.assert_allclose(one.values, two.values)


# ------------------------------------------------------------------------ sums


def by_hand(values, usable, living):
    """Return sums [T] of what was sold over the share of usual sales that was seen, and that share, in plain loops."""
    found, shares = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    usual = [values[i][usable[i]].sum() / max(1, usable[i].sum()) for i in range(len(values))]
    for t in range(values.shape[1]):
        here = [i for i in range(len(values)) if living[i, t]]
        seen = [i for i in here if usable[i, t]]
        share = sum(usual[i] for i in seen) / sum(usual[i] for i in here)
        found[t], shares[t] = sum(values[i, t] for i in seen) / share, share
    return found, shares


def ragged(n=80, periods=50, seed=3):
    """Series that begin and end at different times, with gaps and periods that sold out."""
    rng = np.random.default_rng(seed)
    values = rng.poisson(4.0, (n, periods)).astype(float)
    first, last = rng.integers(0, 20, n), rng.integers(35, periods + 1, n)
    first[0], last[0] = 0, periods
    columns = np.arange(periods)
    living = (columns >= first[:, None]) & (columns < last[:, None])
    hole = rng.random((n, periods)) < 0.1
    hole[np.arange(n), first] = False  # a series begins with what was seen of it
    empty = rng.random((n, periods)) < 0.1
    gaps = np.where(living & ~hole, values, np.nan)
    panel = panel_of(np.where(columns < last[:, None], gaps, np.nan), available=~empty)
    cut = panel.until(DAILY.ordinal("2022-01-01") + last)
    going = (last > periods - 7)[:, None] & (columns >= first[:, None])  # their last days are only not recorded
    return cut, values, living & ~hole & ~empty, living | going


def test_sums_of_ragged_series_with_gaps_are_those_by_hand():
    panel, values, usable, living = ragged()
    found = Aggregates.of(panel)
    sums, shares = by_hand(values, usable, living)
    np.testing.assert_array_equal(found.known[-1], shares >= LEAST_SHARE)
    np.testing.assert_allclose(found.values[-1], np.where(found.known[-1], sums, 0.0))
    assert 40 < found.known.sum() < 50


def test_days_for_which_few_series_are_recorded_yet_are_no_slump():
    values = flat(60, 60, rate=20.0)
    panel = panel_of(values)
    late = panel.until(panel.ends - np.where(np.arange(60) < 50, 2, 0))
    found = Aggregates.of(late)
    assert found.periods == 60
    assert np.flatnonzero(~found.known[-1]).tolist() == [58, 59]
    gone = Aggregates.of(panel.until(panel.ends - np.where(np.arange(60) < 50, 7, 0)))
    assert gone.known.all()
    np.testing.assert_allclose(gone.values[-1, 53:], values[50:, 53:].sum(axis=0))


def test_sums_of_blocks_are_those_of_all_at_once(monkeypatch):
    panel, *_ = ragged(n=200)
    table = panel.series.with_columns(store=pl.Series([f"s{i % 3}" for i in range(200)]))
    panel = Panel(panel.values, panel.offsets, panel.starts, panel.freq, table, panel.available, hierarchy=("store",))
    at_once = Aggregates.of(panel)
    monkeypatch.setattr(aggregates, "ROWS_AT_ONCE", 7)
    np.testing.assert_allclose(Aggregates.of(panel).values, at_once.values)


def test_sums_of_whole_series_in_blocks_are_plain_sums():
    values = flat(1500, 30)
    panel = panel_of(values, attributes={"store": [f"s{i % 4}" for i in range(1500)]}, hierarchy=("store",))
    found = Aggregates.of(panel)
    for c, name in enumerate(found.nodes.cells):
        np.testing.assert_allclose(found.values[c], values[[f"s{i % 4}" == name for i in range(1500)]].sum(axis=0))
    np.testing.assert_allclose(found.values[-1], values.sum(axis=0))


def test_stores_that_are_closed_count_as_if_they_were_open():
    rng = np.random.default_rng(5)
    values = rng.poisson(20.0, (60, 100)).astype(float)
    opened = np.ones((60, 100))
    opened[:20, 30:40] = 0.0
    found = Aggregates.of(panel_of(values * opened, known_future={"open": opened}))
    np.testing.assert_allclose(found.values[-1, 30:40], values[20:, 30:40].sum(axis=0) * 1.5, rtol=0.03)
    assert found.known.all()


def test_a_period_of_which_little_was_recorded_is_unknown():
    values = flat(60, 40)
    values[:50, 10] = np.nan
    values[:10, 12] = np.nan
    found = Aggregates.of(panel_of(values))
    assert np.flatnonzero(~found.known[-1]).tolist() == [10]


def test_a_store_that_was_not_recorded_leaves_no_dent_in_the_total():
    values = flat(120, 60, rate=20.0)
    values[60:, 30:40] = np.nan
    panel = panel_of(values, attributes={"store": ["a"] * 60 + ["b"] * 60}, hierarchy=("store",))
    found = Aggregates.of(panel)
    assert found.nodes.cells == ("a", "b")
    np.testing.assert_array_equal(found.known[1], (np.arange(60) < 30) | (np.arange(60) >= 40))
    usual = found.values[-1, :30].mean()
    np.testing.assert_allclose(found.values[-1, 30:40], usual, rtol=0.1)


def test_returns_are_no_demand_whether_or_not_the_histories_are_whole():
    values = flat(40, 60)
    values[3, 20] = -50.0
    whole = Aggregates.of(panel_of(values)).values[-1]
    gappy = values.copy()
    gappy[0, 5] = np.nan
    some = Aggregates.of(panel_of(gappy)).values[-1]
    np.testing.assert_allclose(whole[20], some[20])
    assert whole[20] == np.maximum(values[:, 20], 0).sum()


@pytest.mark.parametrize("values", [np.zeros((40, 60)), np.full((3, 5), np.nan), np.zeros((0, 5))])
def test_a_shop_that_never_sold_has_no_sums(values):
    assert Aggregates.of(panel_of(values)) is None


def test_hours_have_no_sums():
    assert Aggregates.of(panel_of(flat(40), freq="1h")) is None


def test_what_was_known_earlier_is_the_beginning_of_what_is_known_now():
    panel, *_ = ragged()
    now = Aggregates.of(panel)
    then = now.until(now.end - 13)
    np.testing.assert_array_equal(then.values, now.values[:, :-13])
    assert (then.periods, then.end, len(then.closes)) == (now.periods - 13, now.end - 13, len(now.closes))


# ----------------------------------------------------------------- closed days


def shop(start, periods, closed, seed=0, n=30, **given):
    """Thirty series of a shop that sells nothing on some days."""
    values = flat(n, periods, rate=10.0, seed=seed)
    days = np.datetime64(start, "D") + np.arange(periods)
    values[:, [closed(day.astype(object)) for day in days]] = 0.0
    return Aggregates.of(panel_of(values, start=start, **given))


def closes_on(found, date):
    place = DAILY.ordinal(date) - found.first
    assert found.periods <= place < len(found.closes)
    return bool(found.closes[place])


def is_christmas(day):
    return (day.month, day.day) == (12, 25)


def test_a_date_on_which_the_shop_was_closed_twice_is_closed_again():
    found = shop("2021-03-01", 900, is_christmas)  # to August 2023
    assert closes_on(found, "2023-12-25")
    assert found.closes[found.periods :].sum() == 1


def test_a_date_on_which_the_shop_was_closed_once_tells_nothing():
    found = shop("2022-03-01", 500, is_christmas)
    assert found.closed.sum() == 1
    assert not found.closes[found.periods :].any()


def test_a_date_on_which_the_shop_was_open_once_is_open():
    found = shop("2020-03-01", 1200, lambda day: is_christmas(day) and day.year != 2021)
    assert found.closed.sum() == 2
    assert not found.closes[found.periods :].any()


def test_a_weekday_closed_all_the_last_half_year_stays_closed():
    found = shop("2022-03-01", 500, lambda day: day.weekday() == 6)
    ahead = found.laid_out[found.periods :]
    np.testing.assert_array_equal(found.closes[found.periods :], DAILY.weekday(ahead) == 6)


def test_a_weekday_that_opened_again_lately_is_open():
    found = shop("2022-03-01", 500, lambda day: day.weekday() == 6 and (day.year, day.month) < (2023, 5))
    assert not found.closes[found.periods :].any()


def test_a_weekday_that_is_mostly_closed_is_a_quiet_weekday():
    found = shop("2022-03-01", 500, lambda day: day.weekday() == 6 and day.day > 7)  # open on first Sundays
    assert not found.closed.any()
    assert not found.closes[found.periods :].any()


def test_a_holiday_is_closed_even_if_it_once_fell_on_a_day_that_is_closed_anyway():
    # Christmas 2022 was a Sunday: the shop would have been closed anyway, and that tells nothing either way
    found = shop("2020-03-01", 1300, lambda day: is_christmas(day) or day.weekday() == 6)  # to September 2023
    assert closes_on(found, "2023-12-25")
    ahead = found.laid_out[found.periods :]
    assert found.closes[found.periods :].sum() == (DAILY.weekday(ahead) == 6).sum() + 1


def test_dates_that_fell_on_closed_weekdays_alone_are_no_holidays():
    found = shop("2019-03-01", 1300, lambda day: day.weekday() == 6)
    ahead = found.laid_out[found.periods :]
    np.testing.assert_array_equal(found.closes[found.periods :], DAILY.weekday(ahead) == 6)


def test_a_holiday_that_moves_is_closed_by_its_name():
    easters = ("2021-04-04", "2022-04-17", "2023-04-09", "2024-03-31")
    start, periods = "2021-03-01", 900
    days = [str(day) for day in np.datetime64(start, "D") + np.arange(periods + 400)]
    words = np.array(["easter" if day in easters else "fair" if day[5:] == "06-01" else "none" for day in days])
    found = shop(start, periods, lambda day: str(day) in easters, known_future={"event": words})
    assert closes_on(found, "2024-03-31")
    assert not closes_on(found, "2024-04-09")
    assert found.closes[found.periods :].sum() == 1


def test_days_that_opening_days_explain_are_unknown_and_not_closed():
    periods, start = 400, "2022-03-01"
    opened = (DAILY.weekday(DAILY.ordinal(start) + np.arange(periods + 30)) != 6).astype(float)
    found = shop(start, periods, lambda day: day.weekday() == 6, known_future={"open": opened})
    np.testing.assert_array_equal(found.known[-1], opened[:periods] > 0)
    assert not found.closed.any()
    assert not found.closes.any()


def test_closed_days_after_the_origin_are_not_known_at_it():
    found = shop("2021-03-01", 900, is_christmas)
    early = found.until(DAILY.ordinal("2022-12-01"))
    assert not early.closes[early.periods :].any()


def test_weeks_and_months_have_no_closed_days():
    values = flat(40, 80)
    values[:, 30] = 0.0
    found = Aggregates.of(panel_of(values, start="2022-01-03", freq="1w"))
    assert not found.closed.any()
    assert not found.closes.any()


# ------------------------------------------------------------------ regressors


def regressors(panel):
    return {regressor.name: regressor for regressor in Aggregates.of(panel).regressors}


def two_stores(known_future, n=80, periods=420):
    attributes = {"store": ["a", "b"] * (n // 2)}
    return panel_of(flat(n, periods), attributes=attributes, hierarchy=("store",), known_future=known_future)


def test_a_flag_of_a_whole_cell_is_common_and_one_of_single_series_is_not():
    n, periods = 80, 420
    rng = np.random.default_rng(1)
    store = np.zeros((n, periods))
    store[::2] = np.arange(periods) % 10 < 3
    single = (rng.random((n, periods)) < 0.2).astype(float)
    found = regressors(two_stores({"sale": store, "promo": single, "fair": (np.arange(periods) % 50 < 2) * 1.0}))
    assert {name: each.common for name, each in found.items()} == {"sale": True, "promo": False, "fair": True}
    assert {name: each.rare for name, each in found.items()} == {"sale": False, "promo": False, "fair": True}
    np.testing.assert_array_equal(found["sale"].values[0, :periods], store[0])
    assert not found["sale"].values[1].any()


def test_a_flag_that_few_of_a_cells_series_have_belongs_to_them():
    n, periods = 400, 420
    few = np.zeros((n, periods))
    few[::2] = np.arange(periods) % 10 < 3  # all of store a
    few[1:100:32] = np.arange(periods) % 10 < 5  # and some of store b, not all of which are asked
    assert not regressors(two_stores({"promo": few}, n))["promo"].common


def test_a_flag_of_series_that_begin_later_is_still_common():
    n, periods = 80, 420
    shared = np.tile((np.arange(periods) % 10 < 3).astype(float), (n, 1))
    shared[40:, :100] = np.nan  # not known before a series begins
    found = regressors(two_stores({"sale": shared}, n))
    assert found["sale"].common
    np.testing.assert_array_equal(found["sale"].values[-1, :periods], shared[0])


def test_amounts_opening_days_and_the_word_of_ordinary_days_are_no_flags():
    periods = 420
    words = np.where(np.arange(periods) % 30 == 0, "fair", "none")
    given = {"price": np.linspace(1, 2, periods), "open": np.ones(periods), "event": words}
    assert set(regressors(two_stores(given))) == {"event fair"}


def test_words_of_a_column_that_is_empty_on_ordinary_days_are_flags():
    periods = 420
    words = np.array(["fair" if day % 30 == 0 else "sale" if day % 30 < 18 else None for day in range(periods)])
    found = regressors(two_stores({"event": words}))
    assert set(found) == {"event fair"}  # the other word is the ordinary state
    np.testing.assert_array_equal(found["event fair"].values[0, :periods], np.arange(periods) % 30 == 0)
