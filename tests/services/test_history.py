"""History tells what was done, and only what was done."""

from __future__ import annotations

import pytest

from shelfwise.domain.errors import ConflictError, ParameterError
from shelfwise.services import decisions, ordering, planning, stock_movements
from shelfwise.services.history import history
from shelfwise.storage import purchasing


def events(app):
    return history(app, 100)["event"].to_list()[::-1]


def test_each_step_from_import_to_receipt_is_told_once(demo):
    before = len(events(demo))
    plan = planning.make_plan(demo)
    supplier = plan.open_lines["supplier"][0]
    [drafted] = decisions.approve(demo, plan, [supplier])
    ordering.send(demo, drafted.number)
    received = ordering.receive(demo, drafted.number)
    told = history(demo, 100).head(len(events(demo)) - before)["what"].to_list()[::-1]
    assert told[-3:] == [f"{drafted.number} is draft", f"{drafted.number} is sent", f"{drafted.number} is received"]
    assert sum("approve" in what for what in told) == drafted.lines
    assert received.status == "received"


def test_a_refused_step_is_not_told(demo):
    plan = planning.make_plan(demo)
    [drafted] = decisions.approve(demo, plan, [plan.open_lines["supplier"][0]])
    before = events(demo)
    with pytest.raises(ConflictError):
        ordering.receive(demo, drafted.number)
    assert events(demo) == before
    with demo.database.read() as connection:
        assert purchasing.purchase_orders(connection, "draft").height


def test_an_import_is_told_with_its_files_and_movements(demo):
    assert {"import_finished", "movements_recorded", "plan_published"} <= set(events(demo))


def test_a_count_by_hand_is_one_movement(demo):
    place = stock_movements.levels(demo).row(0, named=True)
    stock_movements.count(demo, place["product"], 3.0, warehouse=place["warehouse"])
    assert history(demo, 1)["what"].to_list() == ["1 movement booked by hand"]


def test_nothing_below_one_event_can_be_asked_for(demo):
    with pytest.raises(ParameterError, match="at least 1"):
        history(demo, 0)
