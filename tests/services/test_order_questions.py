"""Questions about orders: those of the store, those of the caller's items, and the chain on one set of paths."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from tests.services.worlds import MONDAY, count, sales

import shelfwise as sw
from shelfwise.app import App
from shelfwise.domain.errors import DataError, NotFound, ParameterError
from shelfwise.execution.local import Workers
from shelfwise.services import demand_questions, planning, stockout_questions
from shelfwise.services.order_questions import ChainQuestion, ItemsQuestion, StoreQuestion, chain, decide, decide_all

FIRST = MONDAY - dt.timedelta(days=112)
NOON = dt.datetime.combine(MONDAY - dt.timedelta(days=1), dt.time(20))
ITEMS = ({"unique_id": "beans", "on_hand": 25.0, "lead_time_periods": 1.0, "price": 9.0, "pack": 12.0},)
DEMAND = tuple({"unique_id": "beans", "period": period, "mean": 20.0} for period in range(1, 7))


@pytest.fixture
def filled(quick: App, fill) -> App:
    fill(
        suppliers=[{"supplier": "S1", "lead_time_days": 3.0, "review_days": 7.0}],
        products=[
            {"product": code, "supplier": "S1", "price": 9.0, "unit_cost": 5.0, "pack_size": 6.0}
            for code in ("TEA", "MUG")
        ],
        movements=[
            *sales("TEA", FIRST, [4.0, 6.0] * 56), count("TEA", NOON, 20.0),
            *sales("MUG", FIRST, [1.0] * 112), count("MUG", NOON, 500.0),
            *sales("TEA", FIRST, [1.0] * 112, warehouse="web"),
        ],
    )  # fmt: skip
    return quick


def test_items_of_the_caller_are_decided_as_the_library_decides(filled: App):
    found = decide(filled, ItemsQuestion(ITEMS, DEMAND))
    made = sw.optimise(pl.DataFrame(ITEMS), pl.DataFrame(DEMAND))
    assert found.lines[0]["quantity"] == made.quantity[0] > 0
    assert (found.cost, found.bound, found.spend) == (made.cost, made.bound, made.spend)
    assert found.lines[0]["safety_stock"] == made.policy["safety_stock"][0]
    assert found.as_of is None


def test_lines_of_the_store_are_weighed_as_those_of_its_plan(filled: App):
    found = decide(filled, StoreQuestion((("TEA", "main"), ("MUG", None))))
    plan = planning.make_plan(filled)
    of_plan = dict(zip(*(planning.weighed(filled, plan).orders.select(c).to_series().to_list()
                         for c in ("unique_id", "quantity")), strict=True))  # fmt: skip
    assert {row["unique_id"]: row["quantity"] for row in found.lines} == {
        name: of_plan[name] for name in ("TEA@main", "MUG@main")
    }
    assert found.as_of == MONDAY
    assert all(row["quantity"] % 6 == 0 for row in found.lines)
    assert next(row for row in found.lines if row["product"] == "MUG")["quantity"] == 0


def test_a_budget_is_kept_and_its_price_told(filled: App):
    free = decide(filled, StoreQuestion((("TEA", None),)))
    budget = free.spend / 2
    held = decide(filled, StoreQuestion((("TEA", None),), ({"kind": "budget", "scope": None, "value": budget},)))
    assert held.spend <= budget < free.spend
    assert held.cost >= held.bound >= free.cost - 1e-9
    assert held.prices[0]["price"] > 0


def test_the_chain_tells_the_same_as_its_parts_on_one_set_of_paths(filled: App):
    places = (("MUG", None), ("TEA", "main"))
    found = chain(filled, ChainQuestion(StoreQuestion(places), 14))
    orders = decide(filled, StoreQuestion(places))
    assert found.orders == orders
    for place, line in enumerate(found.demand):
        demand = demand_questions.answer(filled, demand_questions.Question(line.product, 14, line.warehouse))
        np.testing.assert_allclose(line.mean, demand.mean)
        risk = stockout_questions.answer(
            filled, stockout_questions.Question(demand_questions.Question(line.product, 14, line.warehouse))
        )
        told = found.risk[place]
        assert told is not None
        assert told.probability == pytest.approx(risk.probability, abs=0.1)  # another horizon draws other paths
    assert set(found.versions) == {"demand", "risk", "orders"}
    assert len(found.paths) == 64
    assert chain(filled, ChainQuestion(StoreQuestion(places), 14)) == found


def test_a_line_that_was_never_counted_has_orders_and_no_risk(filled: App):
    found = chain(filled, ChainQuestion(StoreQuestion((("TEA", "web"),)), 7))
    assert found.risk == (None,)
    assert any("TEA@web has no stock count" in note for note in found.orders.notes)


def test_what_is_wrong_with_one_question_hinders_no_other(filled: App):
    asked = [
        ItemsQuestion(ITEMS, DEMAND), StoreQuestion((("NOPE", None),)), ItemsQuestion(ITEMS * 2, DEMAND),
        StoreQuestion((("MUG", None),)),
    ]  # fmt: skip
    found = decide_all(filled, asked)
    assert [type(one.error) for one in found] == [type(None), NotFound, DataError, type(None)]
    assert [found[0].answer, found[3].answer] == [decide(filled, asked[0]), decide(filled, asked[3])]


def test_questions_that_break_a_rule_are_refused():
    with pytest.raises(ParameterError, match="1 to 1,000 products, got 0"):
        StoreQuestion(())
    with pytest.raises(ParameterError, match="horizon must be from 1 to 365"):
        ChainQuestion(StoreQuestion((("TEA", None),)), 366)


def test_who_is_late_is_answered_on_the_base_model_and_told_so(filled: App):
    hasty = replace(filled, settings=filled.settings.model_copy(update={"inference_timeout_seconds": 0.05}))
    with Workers(1) as workers:
        found = decide(hasty, StoreQuestion((("TEA", None),)), workers)
        linked = chain(hasty, ChainQuestion(StoreQuestion((("TEA", None),)), 7), workers)
        with pytest.raises(ParameterError, match="1 items were not decided in time"):
            decide(hasty, ItemsQuestion(ITEMS, DEMAND), workers)
    assert "auto was asked for: the process that works on this had not started within 0.05 s" in found.late
    assert found.versions["demand"] == linked.versions["demand"] == "base_level 1"
