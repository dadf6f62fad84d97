"""Declared frames let through what fits and refuse the rest by column, row and value."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from shelfwise.domain import frames
from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.domain.frames import COUNT, DAY, FLAG, MOMENT, TEXT, UNITS, Column, Frame, parse_service_level

VISITS = Frame(
    "visits",
    {
        "shop": Column(TEXT, rule=lambda c: c.str.len_chars() > 0, rule_text="must not be empty"),
        "day": Column(DAY),
        "visitors": Column(COUNT, rule=lambda c: c >= 0, rule_text="must be zero or more"),
        "seen_at": Column(MOMENT, required=False, nullable=True),
        "raining": Column(FLAG, required=False, nullable=True),
        "litres": Column(UNITS, required=False, nullable=True),
    },
    key=("shop", "day"),
)


def visits(**cells):
    row = {"shop": ["north"], "day": [dt.date(2026, 11, 21)], "visitors": [3], **cells}
    return pl.DataFrame(row)


def test_columns_are_ordered_and_optional_ones_added_as_nulls():
    checked = VISITS.check(visits().select("visitors", "day", "shop"))
    assert checked.columns == list(VISITS.columns)
    assert checked.schema["litres"] == pl.Float64
    assert checked["litres"].null_count() == 1
    assert VISITS.check(checked).equals(checked)


def test_an_empty_frame_passes_its_own_check():
    for frame in (value for value in vars(frames).values() if isinstance(value, Frame)):
        assert frame.check(frame.empty()).schema == frame.empty().schema


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"shop": [7]}, None),
        ({"visitors": [3.0]}, None),
        ({"visitors": ["3"]}, None),
        ({"litres": [2]}, None),
        ({"raining": [1]}, None),
        ({"day": [dt.datetime(2026, 11, 21)]}, None),  # noqa: DTZ001 - shop time is naive
        ({"seen_at": [dt.date(2026, 11, 21)]}, None),
        ({"litres": [None]}, None),
        ({"visitors": [3.5]}, ("visitors", "row 0", "3.5", "Int64")),
        ({"visitors": ["x"]}, ("visitors", "row 0", "'x'")),
        ({"visitors": [float("nan")]}, ("visitors", "nan")),
        ({"visitors": [-1]}, ("visitors", "row 0", "-1", "must be zero or more")),
        ({"visitors": [None]}, ("visitors", "row 0", "every row needs a value")),
        ({"day": [dt.datetime(2026, 11, 21, 15)]}, ("day", "15", "without loss")),  # noqa: DTZ001
        ({"day": [5]}, ("day", "row 0", "5")),
        ({"day": ["21.11.2026"]}, ("day", "row 0", "21.11.2026")),
        ({"raining": [2]}, ("raining", "2")),
        ({"raining": ["yes"]}, ("raining", "yes")),
        ({"shop": [""]}, ("shop", "must not be empty")),
        ({"weather": ["dry"]}, ("'weather'", "its columns are")),
    ],
)
def test_a_cell_is_cast_without_loss_or_refused_by_name(cells, words):
    if words is None:
        assert VISITS.check(visits(**cells)).schema == VISITS.empty().schema
        return
    with pytest.raises(DataError) as caught:
        VISITS.check(visits(**cells))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_moment_in_a_time_zone_is_not_taken_for_shop_time():
    berlin = pl.Series([dt.datetime(2026, 1, 1)]).dt.replace_time_zone("Europe/Berlin")  # noqa: DTZ001
    with pytest.raises(DataError, match="seen_at.*Europe/Berlin"):
        VISITS.check(visits(seen_at=berlin))


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match="'visits' lacks the required column 'day'; add it"):
        VISITS.check(visits().drop("day"))


def test_the_first_bad_row_is_named():
    frame = pl.concat([visits(), visits(shop=["south"], visitors=[-4]), visits(shop=["west"], visitors=[-5])])
    with pytest.raises(DataError, match="row 1: -4"):
        VISITS.check(frame)


def test_a_key_names_one_row_even_where_part_of_it_is_null():
    with pytest.raises(DataError, match="shop 'north'.*more than once"):
        VISITS.check(pl.concat([visits(), visits(visitors=[9])]))
    price = pl.DataFrame({"product": ["a", "a"], "starts_on": [dt.date(2026, 1, 1)] * 2, "price": [1.0, 2.0]})
    with pytest.raises(DataError, match="warehouse None.*more than once"):
        frames.PRICES.check(price)


@pytest.mark.parametrize(
    ("text", "level"), [("0.95", 0.95), ("95%", 0.95), ("95", 0.95), (0.9, 0.9), (" 99.5 % ", 0.995)]
)
def test_a_service_level_is_a_fraction_or_a_percentage(text, level):
    assert parse_service_level(text) == pytest.approx(level)


@pytest.mark.parametrize("text", ["0", "1", "100%", "-0.5", "nan", "high", ""])
def test_a_service_level_outside_zero_and_one_is_refused(text):
    with pytest.raises(ParameterError, match="service level must be"):
        parse_service_level(text)
