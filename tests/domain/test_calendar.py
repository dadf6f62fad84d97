"""Frequencies, their grids and the shop's calendar."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from shelfwise.domain.calendar import Frequency, ShopCalendar
from shelfwise.domain.errors import PanelError, ParameterError


@pytest.mark.parametrize(
    ("text", "house"),
    [
        ("5min", "5min"), ("5m", "5min"), ("15T", "15min"), ("30 min", "30min"), ("h", "1h"), ("1H", "1h"), ("D", "1d"),
        ("1d", "1d"), ("W", "1w"), ("W-SUN", "1w"), ("2W", "2w"), ("1mo", "1mo"), ("M", "1mo"), ("MS", "1mo"),
        ("ME", "1mo"), ("Q", "3mo"), ("QE-DEC", "3mo"), ("QS", "3mo"), ("1q", "3mo"),
    ],
)  # fmt: skip
def test_aliases_of_polars_and_pandas_become_the_house_spelling(text, house):
    assert str(Frequency.parse(text)) == house


@pytest.mark.parametrize("text", ["", "fortnight", "B", "W-XYZ", "30s", "1d1h", "Y", "-1d", "1.5h"])
def test_an_unknown_frequency_is_refused_with_its_text_and_the_known_ones(text):
    with pytest.raises(ParameterError, match=r"use .*(5min|W-MON)") as caught:
        Frequency.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["0d", "0h", "3min", "1min"])
def test_a_period_has_a_smallest_size(text):
    with pytest.raises(ParameterError, match="at least 1, got 0|finest frequency is 5min"):
        Frequency.parse(text)


@pytest.mark.parametrize("given", [None, 7, dt.timedelta(days=1)])
def test_a_frequency_is_given_as_text(given):
    with pytest.raises(ParameterError, match="is not known; use 5min"):
        Frequency.parse(given)


@pytest.mark.parametrize("count", [0, -1, 1.5])
def test_a_period_is_a_whole_number_of_units(count):
    with pytest.raises(ParameterError, match=f"whole number of d, at least 1, got {count}"):
        Frequency(count, "d")


def test_a_month_has_two_labels_and_no_third():
    with pytest.raises(ParameterError, match="got anchor 3"):
        Frequency(1, "mo", 3)


@pytest.mark.parametrize("text", ["5min", "15min", "1h", "6h", "1d", "2d", "1w", "W-WED", "MS", "ME", "QS", "QE"])
def test_moments_and_ordinals_are_each_others_inverse_before_and_after_1970(text):
    freq = Frequency.parse(text)
    ordinals = np.arange(-700, 700, 7)
    assert np.array_equal(freq.ordinals(freq.moments(ordinals)), ordinals)


@pytest.mark.parametrize("text", ["5min", "1h", "1d", "W-SUN", "MS"])
def test_labels_rise_with_the_ordinal_and_a_moment_belongs_to_the_period_that_began_last(text):
    freq = Frequency.parse(text)
    labels = freq.moments(np.arange(-60, 60))
    assert (np.diff(labels) > np.timedelta64(0, "us")).all()
    just_before = labels[1:] - np.timedelta64(1, "s")
    assert np.array_equal(freq.ordinals(just_before), np.arange(-60, 59))


@pytest.mark.parametrize("weekday", range(7))
def test_a_weekly_grid_starts_on_its_weekday(weekday):
    name = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[weekday]
    freq = Frequency.parse(f"W-{name}")
    labels = freq.moments(np.arange(2900, 2960))
    assert set(freq.weekday(np.arange(2900, 2960)).tolist()) == {weekday}
    assert labels[0].astype(object).weekday() == weekday


def test_month_ends_follow_short_months_and_leap_years():
    freq = Frequency.parse("ME")
    first = freq.ordinal("2024-01-31")
    shown = freq.moments(first + np.arange(4)).astype("datetime64[D]").astype(str).tolist()
    assert shown == ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"]
    assert freq.moments([freq.ordinal("2023-02-28")]).astype("datetime64[D]").astype(str).tolist() == ["2023-02-28"]


def test_quarters_are_labelled_by_their_first_or_last_day():
    for text, label in (("QS", "2026-04-01"), ("QE", "2026-06-30")):
        freq = Frequency.parse(text)
        assert str(freq.moments([freq.ordinal("2026-05-17")])[0].astype("datetime64[D]")) == label


def test_a_leap_day_is_a_day_like_any_other():
    freq = Frequency.parse("1d")
    assert freq.ordinal("2024-03-01") - freq.ordinal("2024-02-28") == 2
    assert freq.ordinal("2023-03-01") - freq.ordinal("2023-02-28") == 1


def test_hours_are_evenly_spaced_over_a_change_of_the_clocks():
    freq = Frequency.parse("1h")  # shop time is naive: 2026-03-29 has 24 hours in Berlin's books, too
    assert freq.ordinal("2026-03-30") - freq.ordinal("2026-03-29") == 24
    assert freq.ordinal("2026-10-26") - freq.ordinal("2026-10-25") == 24


@pytest.mark.parametrize(
    ("text", "labels", "anchor"),
    [
        ("1d", ["2026-01-01", "2026-01-02"], 0),
        ("1d", ["2026-01-01T06:00", "2026-01-02T06:00"], 360),
        ("1w", ["2026-01-04", "2026-01-11"], Frequency.parse("W-SUN").anchor),
        ("1mo", ["2026-01-31", "2026-02-28"], -1),
        ("1mo", ["2026-02-01"], 0),
        ("1h", ["2026-01-01T00:30"], 30),
    ],
)
def test_the_anchor_is_read_off_the_labels(text, labels, anchor):
    assert Frequency.parse(text).anchored(np.array(labels, dtype="datetime64[us]")).anchor == anchor


@pytest.mark.parametrize(
    ("text", "labels", "bad"),
    [
        ("1d", ["2026-01-01", "2026-01-02T12:00"], "2026-01-02T12:00:00"),
        ("1w", ["2026-01-01", "2026-01-09"], "2026-01-09"),
        ("1mo", ["2026-01-01", "2026-02-02"], "2026-01-01|2026-02-02"),
        ("1mo", ["2026-01-15"], "2026-01-15"),
        ("3mo", ["2026-02-01"], "2026-02-01"),
        ("5min", ["2026-01-01T00:00:30"], "00:00:30"),
    ],
)
def test_labels_off_the_grid_are_refused_with_the_label_and_the_way_out(text, labels, bad):
    with pytest.raises(PanelError, match=bad) as caught:
        Frequency.parse(text).anchored(np.array(labels, dtype="datetime64[us]"))
    assert "give the right freq" in str(caught.value)


def test_no_labels_leave_the_frequency_as_it_is():
    freq = Frequency.parse("1w")
    assert freq.anchored(np.array([], dtype="datetime64[us]")) == freq


@pytest.mark.parametrize(
    ("text", "season"),
    [("5min", 288), ("15min", 96), ("1h", 24), ("1d", 7), ("2d", 183), ("1w", 52), ("1mo", 12), ("1q", 4), ("6mo", 2)],
)
def test_each_frequency_has_the_shortest_season_of_a_shop(text, season):
    assert Frequency.parse(text).season == season


def test_the_place_in_the_season_counts_from_monday_midnight_and_january():
    for text, label, place in (
        ("1d", "2026-11-16", 0), ("1d", "2026-11-22", 6), ("1h", "2026-11-16T05:00", 5), ("1mo", "2026-03-01", 2),
        ("15min", "2026-11-16T00:45", 3),
    ):  # fmt: skip
        freq = Frequency.parse(text)
        assert int(freq.season_index([freq.ordinal(label)])[0]) == place


def test_the_year_runs_from_zero_to_one_in_leap_years_too():
    freq = Frequency.parse("1d")
    days = np.arange(freq.ordinal("2023-01-01"), freq.ordinal("2025-01-01"))
    fraction = freq.year_fraction(days)
    assert fraction[0] == 0.0
    assert fraction.max() < 1.0
    assert float(freq.year_fraction([freq.ordinal("2024-12-31")])[0]) == pytest.approx(365 / 366)


def test_days_convert_to_periods():
    assert Frequency.parse("1d").periods(3.5) == 3.5
    assert Frequency.parse("1h").periods(2) == 48
    assert Frequency.parse("1mo").periods(365.25) == pytest.approx(12)


def test_months_have_no_minutes():
    with pytest.raises(ParameterError, match="month has no fixed number"):
        _ = Frequency.parse("1mo").minutes


def test_days_and_longer_are_labelled_by_dates():
    assert [Frequency.parse(t).is_daily_or_longer for t in ("12h", "24h", "1d", "1w", "1mo")] == [
        False, True, True, True, True,
    ]  # fmt: skip
    assert not Frequency(1, "d", 360).is_daily_or_longer


def test_shop_time_follows_the_clocks_of_the_shop():
    berlin = ShopCalendar("Europe/Berlin")
    utc = dt.UTC
    assert berlin.shop_time(dt.datetime(2026, 7, 1, 22, 30, tzinfo=utc)) == dt.datetime(2026, 7, 2, 0, 30)  # noqa: DTZ001
    assert berlin.shop_time(dt.datetime(2026, 12, 1, 23, 30, tzinfo=utc)) == dt.datetime(2026, 12, 2, 0, 30)  # noqa: DTZ001
    naive = dt.datetime(2026, 3, 29, 2, 30)  # noqa: DTZ001 - shop time is naive
    assert berlin.shop_time(naive) is naive


def test_closed_weekdays_and_closed_days_are_closed():
    shop = ShopCalendar(closed_weekdays=frozenset({6}), closed_days=frozenset({dt.date(2026, 12, 25)}))
    days = np.arange("2026-12-24", "2026-12-29", dtype="datetime64[D]")  # Thursday to Monday
    assert shop.is_open(days).tolist() == [True, False, True, False, True]
    assert ShopCalendar().is_open(days).all()


def test_an_unknown_zone_and_an_eighth_weekday_are_refused():
    with pytest.raises(ParameterError, match=r"'Mars/Olympus' is not known; use an IANA name"):
        ShopCalendar("Mars/Olympus")
    with pytest.raises(ParameterError, match=r"0 \(Monday\) to 6 \(Sunday\), got 7"):
        ShopCalendar(closed_weekdays=frozenset({7}))
