"""What overrides do to a forecast and to an order: which one holds where, and the sums behind it."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.covariates import Covariate
from shelfwise.domain.errors import ParameterError
from shelfwise.domain.forecast import Forecast, Provenance
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.panel import Panel
from shelfwise.services import adjusting
from shelfwise.services.adjusting import Change, adjust, edits, holding
from shelfwise.storage.overrides import Override

DAILY = Frequency.parse("1d")
MONDAY = dt.date(2024, 11, 18)
DAY = dt.timedelta(days=1)
NOW = dt.datetime.fromisoformat("2024-11-18T09:00")
SERIES = pl.DataFrame(
    {
        "unique_id": ["A@main", "A@web", "B@main"],
        "product": ["A", "A", "B"],
        "warehouse": ["main", "web", "main"],
        "category": ["tea", "tea", None],
        "supplier": ["north", "north", "south"],
    }
)


def override(number, scope_kind, scope, *, first=None, last=MONDAY + 60 * DAY, at=NOW, **value):
    setting = "order" if "quantity" in value else "forecast"
    return Override(number, setting, value, scope_kind, scope, "fair", first, last, "Mia", at)


def world(mean):
    mean = np.asarray(mean, dtype=np.float64)
    start = DAILY.ordinal(MONDAY)
    starts = np.full(3, start - 1)
    opened = Covariate(np.ones(60, dtype=np.float32), None, np.array([start - 20]))
    panel = Panel(np.ones(3), np.arange(4), starts, DAILY, SERIES, known_future={"open": opened})
    made = Forecast(SERIES, np.full(3, start), DAILY, Provenance("m", "1"), 100, Marginals(mean, 1.5 * mean))
    return made, panel


def days(n=10):
    return np.datetime64(MONDAY, "D") + np.arange(n)


def test_the_narrowest_override_holds_and_of_equal_ones_the_latest():
    some = [
        override(1, "line", "A@web", factor=2.0),
        override(2, "shop", None, factor=1.1),
        override(3, "product", "A", factor=1.2),
        override(4, "product", "A", factor=1.3),
        override(5, "category", "tea", factor=9.0),
    ]
    assert holding(SERIES, days(2), some).tolist() == [[4, 4], [1, 1], [2, 2]]


def test_an_override_holds_on_its_first_and_last_day_and_not_beside_them():
    some = [override(7, "supplier", "north", first=MONDAY + 2 * DAY, last=MONDAY + 4 * DAY, factor=2.0)]
    assert holding(SERIES, days(6), some).tolist() == [[0, 0, 7, 7, 7, 0], [0, 0, 7, 7, 7, 0], [0] * 6]


def test_a_factor_scales_every_path_of_its_scope_and_nothing_else():
    made, panel = world(np.full((3, 10), 4.0))
    changed = adjust(made, panel, [override(1, "product", "A", last=MONDAY + 4 * DAY, factor=1.5)])
    assert changed.forecast.mean()[:2, :5] == pytest.approx(6.0)
    assert changed.forecast.mean()[:2, 5:] == pytest.approx(4.0)
    assert np.array_equal(changed.forecast.paths[2], made.paths[2])
    assert changed.forecast.paths[0, :, 0].mean() == pytest.approx(6.0, rel=0.02)
    assert changed.untouched is not None
    assert changed.untouched.ids.to_list() == ["A@main", "A@web"]
    assert changed.forecast.provenance.notes == (
        "override 1 changes the forecast of A by hand: +50 % until 2024-11-22 (fair; Mia)",
    )


def test_units_a_day_are_those_of_the_scope_and_keep_shares_and_weekdays():
    mean = np.array([[1.0, 3.0, 0.0], [3.0, 5.0, 0.0], [2.0, 2.0, 2.0]])
    made, panel = world(mean)
    changed = adjust(made, panel, [override(1, "product", "A", per_day=12.0)]).forecast.mean()
    assert changed[:2].sum() == pytest.approx(24.0)  # two days on sale; the closed one stays closed
    assert changed[:2] == pytest.approx(2.0 * mean[:2])
    assert changed[2] == pytest.approx(mean[2])


def test_units_a_day_bring_to_life_what_had_no_forecast():
    made, panel = world(np.zeros((3, 10)))
    changed = adjust(made, panel, [override(1, "line", "B@main", per_day=5.0)]).forecast
    assert changed.mean()[2] == pytest.approx(5.0)
    assert changed.paths[2].mean() == pytest.approx(5.0, rel=0.05)
    assert changed.paths[:2].sum() == 0


def test_an_override_that_touches_no_day_leaves_the_very_forecast():
    made, panel = world(np.full((3, 10), 4.0))
    expired = override(1, "shop", None, last=MONDAY - DAY, factor=2.0)
    elsewhere = override(2, "category", "coffee", factor=2.0)
    changed = adjust(made, panel, [expired, elsewhere])
    assert changed.forecast is made
    assert (changed.untouched, changed.used) == (None, ())


@pytest.mark.parametrize(
    ("text", "change", "written"),
    [
        ("+20%", Change(factor=1.2), "+20 %"),
        ("-15 %", Change(factor=0.85), "-15 %"),
        ("-100%", Change(factor=0.0), "-100 %"),
        ("x2.5", Change(factor=2.5), "x2.5"),
        ("12/day", Change(per_day=12.0), "12 a day"),
    ],
)
def test_a_change_is_read_and_written(text, change, written):
    assert Change.parse(text) == change
    assert str(change) == written


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("20%", "is written"), ("more", "is written"), ("+x%", "is written"), ("-120%", "from 0 to 100"),
        ("x1000", "from 0 to 100"), ("-3/day", "zero or more"), ("xnan", "from 0 to 100"), ("inf/day", "zero or more"),
    ],
)  # fmt: skip
def test_a_change_that_is_none_is_refused(text, words):
    with pytest.raises(ParameterError, match=words):
        Change.parse(text)


@pytest.mark.parametrize(
    ("rule", "proposed", "ordered"),
    [("exactly", 30.0, 24.0), ("at least", 30.0, 30.0), ("at least", 6.0, 24.0), ("at most", 30.0, 24.0)],
)
def test_an_order_override_says_exactly_at_least_or_at_most(rule, proposed, ordered):
    assert adjusting.ordered(override(1, "line", "A@main", quantity=24.0, rule=rule), proposed) == ordered


def test_of_two_order_overrides_the_later_one_edits_the_line():
    some = [
        override(1, "line", "A@main", quantity=24.0, rule="exactly"),
        override(2, "line", "A@main", quantity=50.0, rule="at most"),
        override(3, "line", "gone@main", quantity=1.0, rule="exactly"),
        override(4, "line", "B@main", first=MONDAY + DAY, quantity=1.0, rule="exactly"),
    ]
    assert edits(some, {"A@main": 60.0, "B@main": 8.0}, {}, MONDAY) == {"A@main": (some[1], 50.0)}
    assert edits(some, {"A@main": 40.0, "B@main": 8.0}, {}, MONDAY) == {}  # no more than 50 already


def test_an_order_override_is_spent_by_an_approval_unless_it_says_at_most():
    exact = override(1, "line", "A@main", quantity=24.0, rule="exactly")
    cap = override(2, "line", "B@main", quantity=5.0, rule="at most")
    later, before = NOW + dt.timedelta(hours=1), NOW - dt.timedelta(hours=1)
    proposed = {"A@main": 60.0, "B@main": 8.0}
    assert set(edits([exact, cap], proposed, {"A@main": before}, MONDAY)) == {"A@main", "B@main"}
    assert set(edits([exact, cap], proposed, {"A@main": later, "B@main": later}, MONDAY)) == {"B@main"}
