"""Questions about demand: the store's model by day, one of its own otherwise, and what the caller knows better."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.services.worlds import MONDAY, sales

from shelfwise.app import App
from shelfwise.domain.errors import ConflictError, DataError, NotFound, ParameterError
from shelfwise.domain.frames import PRODUCTS
from shelfwise.execution.local import Workers
from shelfwise.services import demand_questions, planning, predictions, training
from shelfwise.services.demand_questions import Event, Features, Question, answer, answer_all
from shelfwise.services.training import Training
from shelfwise.storage import catalogue

FIRST = MONDAY - dt.timedelta(days=112)  # a Monday
WEEK = [4.0, 3.0, 5.0, 4.0, 6.0, 9.0, 2.0]
UNTIL = FIRST + dt.timedelta(days=111)


@pytest.fixture
def filled(quick: App, fill) -> App:
    fill(
        movements=[
            *sales("TEA", FIRST, WEEK * 16), *sales("TEA", FIRST, [2.0] * 112, warehouse="web"),
            *sales("MUG", FIRST, [1.0, 0.0, 2.0] * 37),
        ],
        calendar_events=[
            {"kind": "promotion", "name": "autumn", "starts_on": FIRST + dt.timedelta(days=d),
             "ends_on": FIRST + dt.timedelta(days=d + 1), "scope_kind": "shop", "scope": None}
            for d in (20, 50, 80)
        ],
    )  # fmt: skip
    return quick


def history(days: int = 70, first: dt.date = FIRST, **changes: Any) -> Features:
    at = dt.datetime.combine(first, dt.time())
    return Features(sales=tuple((at + dt.timedelta(days=n), WEEK[n % 7]) for n in range(days)), **changes)


def test_by_day_the_stores_own_forecast_answers(filled: App):
    found = answer(filled, Question("tea", 14, "main"))
    made = predictions.forecast(filled, horizon=14, products=["TEA"]).forecast
    row = made.series["warehouse"].to_list().index("main")
    assert found.mean == pytest.approx(made.mean()[row].tolist())
    assert found.lower == tuple(made.quantiles([0.1])[row, :, 0].tolist())
    assert (found.product, found.warehouse, found.fitted_on) == ("TEA", "main", "whole shop")
    assert found.timestamps[0] == dt.datetime.combine(UNTIL + dt.timedelta(days=1), dt.time())


def test_all_warehouses_together_are_the_sum_of_each(filled: App):
    both, main, web = (answer(filled, Question("TEA", 7, place)).mean for place in (None, "main", "web"))
    np.testing.assert_allclose(both, np.add(main, web))


def test_the_champion_answers_where_there_is_one_and_a_changed_one_is_refused(filled: App):
    assert answer(filled, Question("TEA", 7)).model_version == "base_level 1"
    version = training.train(filled, Training("seasonal_naive"))
    found = answer(filled, Question("TEA", 7, "main"))
    assert (found.model_version, found.model) == ("seasonal_naive@1", "seasonal_naive")
    assert found.metrics["series"] == 1
    path = filled.settings.address().path
    assert path is not None
    (path.with_suffix(".models") / f"{version.sha256}.npz").write_bytes(b"other")
    with pytest.raises(ConflictError, match="not what was saved"):
        answer(filled, Question("TEA", 7))
    assert answer(filled, Question("TEA", 7, model="base_level")).model_version == "base_level 1"


def test_the_callers_history_stands_in_place_of_the_stored_one_for_that_call_only(filled: App):
    before = answer(filled, Question("TEA", 7))
    own = answer(filled, Question("TEA", 7, features=history(first=FIRST - dt.timedelta(days=700))))
    assert own.fitted_on == "this series"
    assert own.timestamps[0].date() == FIRST - dt.timedelta(days=630)
    assert own.mean == pytest.approx(WEEK, abs=0.6)
    assert answer(filled, Question("TEA", 7)) == before


def test_a_product_nobody_knows_can_bring_its_history(filled: App):
    assert answer(filled, Question("NEW", 7, features=history())).product == "NEW"
    with pytest.raises(NotFound, match="no product 'NEW'"):
        answer(filled, Question("NEW", 7))
    with pytest.raises(DataError, match="it sells in main, web"):
        answer(filled, Question("TEA", 7, "nowhere"))


def test_an_event_of_the_caller_moves_the_days_it_covers_and_no_other(filled: App, fill):
    start = UNTIL + dt.timedelta(days=1)
    fill(movements=sales("TEA", FIRST, [15.0 if d in (20, 21, 50, 51, 80, 81) else 0.0 for d in range(112)],
                         warehouse="third"))  # fmt: skip
    plain = answer(filled, Question("TEA", 5, "main"))
    event = Event("promotion", start + dt.timedelta(days=1), start + dt.timedelta(days=2))
    moved = answer(filled, Question("TEA", 5, "main", features=Features(events=(event,))))
    differs = [a != b for a, b in zip(plain.mean, moved.mean, strict=True)]
    assert differs == [False, True, True, False, False]
    stored = calendar_event(start)
    fill(calendar_events=[stored])
    assert answer(filled, Question("TEA", 5, "main")).mean == moved.mean
    assert answer(filled, Question("TEA", 5, "main", features=Features(events=()))).mean == plain.mean


def calendar_event(start: dt.date) -> dict[str, Any]:
    return {
        "kind": "promotion", "name": "now", "starts_on": start + dt.timedelta(days=1),
        "ends_on": start + dt.timedelta(days=2), "scope_kind": "shop", "scope": None,
    }  # fmt: skip


def test_what_the_store_never_saw_is_not_used_and_that_is_said(filled: App):
    price = ((dt.datetime.combine(UNTIL, dt.time()), 1.0),)
    found = answer(filled, Question("TEA", 3, features=Features(prices=price)))
    assert any("price is not used" in note for note in found.notes)
    assert found.mean == answer(filled, Question("TEA", 3)).mean


@pytest.mark.parametrize(
    ("granularity", "horizon", "first", "per_period"),
    [("1w", 4, UNTIL + dt.timedelta(days=1), 47.0), ("1h", 24, UNTIL + dt.timedelta(days=1), 47.0 / 168)],
)
def test_other_granularities_keep_the_units(
    filled: App, granularity: str, horizon: int, first: dt.date, per_period: float
):
    found = answer(filled, Question("TEA", horizon, granularity=granularity, with_metrics=False))
    assert found.timestamps[0] == dt.datetime.combine(first, dt.time())
    assert np.mean(found.mean) == pytest.approx(per_period, rel=0.4)


def test_months_begin_with_the_first_one_that_is_not_whole(filled: App):
    with pytest.raises(DataError, match="at least 7 periods, got 3"):
        answer(filled, Question("TEA", 2, granularity="1mo"))
    found = answer(filled, Question("X", 2, granularity="1mo", features=history(300)))
    assert [at.day for at in found.timestamps] == [1, 1]
    assert np.mean(found.mean) == pytest.approx(33 * 30.4 / 7, rel=0.25)


def test_metrics_are_null_with_a_reason_where_the_history_is_too_short(filled: App):
    found = answer(filled, Question("X", 7, features=history(12)))
    assert (found.metrics["rmse"], found.metrics["mape"]) == (None, None)
    assert "12 periods of history are too few" in found.metrics["reason"]
    assert answer(filled, Question("TEA", 7, with_metrics=False)).metrics["reason"] == "it was not asked for"


def test_metrics_of_a_flawless_model_are_zero(filled: App):
    found = answer(filled, Question("X", 7, model="seasonal_naive", features=history()))
    assert (found.metrics["rmse"], found.metrics["mape"]) == (pytest.approx(0.0), pytest.approx(0.0))
    assert (found.metrics["cells"], found.metrics["horizon"], len(found.metrics["cutoffs"])) == (14, 7, 2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"horizon": 0}, "from 1 to 365"), ({"horizon": 366}, "from 1 to 365"),
        ({"horizon": 2017, "granularity": "5min"}, "from 1 to 2016"), ({"granularity": "3d"}, "granularity"),
        ({"confidence": 1.0}, "confidence"), ({"model": "oracle"}, "not known"),
    ],
)  # fmt: skip
def test_a_question_that_breaks_a_rule_is_refused(changes: dict[str, Any], words: str):
    with pytest.raises(ParameterError, match=words):
        Question(**{"product": "TEA", "horizon": 7, **changes})


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1.0])
def test_sales_and_prices_are_numbers_of_zero_or_more(number: float):
    moment = dt.datetime.combine(MONDAY, dt.time())
    with pytest.raises(DataError, match="historical_sales at position 0"):
        Features(sales=((moment, number),))
    with pytest.raises(DataError, match="price_data at position 0"):
        Features(prices=((moment, number),))


def test_what_does_not_fit_together_is_refused(filled: App):
    late = Event("promotion", MONDAY + dt.timedelta(days=400), MONDAY + dt.timedelta(days=401))
    with pytest.raises(DataError, match="lies outside of history and horizon"):
        answer(filled, Question("TEA", 7, features=history(events=(late,))))
    with pytest.raises(DataError, match="lies outside of history and horizon"):
        answer(filled, Question("TEA", 7, features=Features(events=(late,))))
    with pytest.raises(DataError, match="given by day, which says nothing about 1h"):
        answer(filled, Question("TEA", 7, granularity="1h", features=history()))
    with pytest.raises(DataError, match="at least 7 periods, got 3"):
        answer(filled, Question("TEA", 7, features=history(3)))
    years_apart = tuple((dt.datetime.combine(dt.date(year, 1, 1), dt.time()), 1.0) for year in (1970, 2026))
    with pytest.raises(DataError, match="is one of its moments wrong"):
        answer(filled, Question("T", 7, granularity="5min", features=Features(sales=years_apart)))
    with pytest.raises(DataError, match="cannot end before it begins"):
        Event("holiday", MONDAY, FIRST)


def test_many_questions_are_answered_as_each_alone_and_fail_alone(filled: App):
    asked = [
        Question("TEA", 7),
        Question("NEW", 7),
        Question("MUG", 3, model="theta"),
        Question("X", 7, features=history()),
    ]
    found = answer_all(filled, asked)
    assert [one.error is None for one in found] == [True, False, True, True]
    assert isinstance(found[1].error, NotFound)
    assert [found[n].answer for n in (0, 2, 3)] == [answer(filled, asked[n]) for n in (0, 2, 3)]
    with pytest.raises(ParameterError, match="at most 1,000"):
        answer_all(filled, asked[:1] * 1001)


def test_who_is_late_is_answered_by_the_stored_forecast_or_else_the_base_model(filled: App):
    planning.make_plan(filled)
    hasty = replace(filled, settings=filled.settings.model_copy(update={"inference_timeout_seconds": 0.05}))
    with Workers(1) as workers:  # which needs seconds to start
        stored = answer(hasty, Question("TEA", 7, "main"), workers)
        base = answer(hasty, Question("X", 7, model="theta", features=history()), workers)
        many = answer_all(hasty, [Question("MUG", 7), Question("NEW", 7)], workers)
    assert stored.model_version == "base_level 1 of plan 1"
    assert "auto was asked for: the process that works on this had not started within 0.05 s" in stored.late
    assert (base.model, "theta was asked for" in base.late, base.metrics["rmse"]) == ("base_level", True, None)
    assert many[0].answer is not None
    assert isinstance(many[1].error, NotFound)


def test_what_a_worker_keeps_is_read_anew_when_something_changes(filled: App, fill):
    question = Question("TEA", 3, "main", with_metrics=False)
    with Workers(1) as workers:
        before = answer(filled, question, workers)
        assert answer(filled, question, workers) == before == demand_questions.answer_here(filled, question)
        fill(movements=sales("TEA", UNTIL + dt.timedelta(days=1), [80.0]))
        after = answer(filled, question, workers)
        assert after == demand_questions.answer_here(filled, question) != before
        with filled.database.write() as connection:  # which tells nobody by an event
            catalogue.upsert_products(
                connection, PRODUCTS.check(pl.DataFrame([{"product": "TEA", "discontinued_on": UNTIL}]))
            )
        assert answer(filled, question, workers) == demand_questions.answer_here(filled, question)


def test_a_worker_answers_what_is_answered_here(filled: App):
    question = Question("TEA", 14, "main")
    with Workers(1) as workers:
        assert answer(filled, question, workers) == demand_questions.answer_here(filled, question)
        with pytest.raises(NotFound):
            answer(filled, Question("NEW", 7), workers)
