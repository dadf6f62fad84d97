"""Recommendations and the planner's decisions: kept, never overwritten."""

from __future__ import annotations

import json
from datetime import date

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.storage.worlds import moment

from shelfwise.domain.errors import ConflictError, DataError, NotFound, ParameterError
from shelfwise.domain.frames import RECOMMENDATIONS
from shelfwise.storage import plans
from shelfwise.storage.database import Database
from shelfwise.storage.plans import Standing

NOW = moment("2026-01-05 09:00")
WHO = {"decided_by": "Mia", "decided_at": NOW}
ARITHMETIC = {"demand": 412, "safety": 96, "on_hand": 214, "due": 160, "net": 134, "pack_size": 12, "note": "🫖"}
TWO = pl.DataFrame(
    {
        "product": ["tea", "milk"],
        "warehouse": ["main", "main"],
        "supplier": ["north", None],
        "quantity": [144.0, 6.0],
        "order_by": [None, date(2026, 1, 7)],
        "stockout_on": [None, date(2026, 1, 9)],
        "stockout_probability": [0.25, None],
        "unit_cost": [1.5, None],
        "cost": [216.0, None],
        "arithmetic": [json.dumps(ARITHMETIC, ensure_ascii=False), "{}"],
        "reason": ["412 demand + 96 safety", None],
    }
)


def save_run(database: Database) -> int:
    with database.write() as connection:
        run = plans.save_run(
            connection,
            created_at=NOW,
            data_until=date(2026, 1, 4),
            horizon=28,
            model="base",
            seed=2**40,
            parameters={"service_level": 0.95},
        )
        assert plans.save_recommendations(connection, run, TWO) == 2
    return run


def test_a_run_comes_back_and_the_latest_is_found(database: Database) -> None:
    with database.read() as connection:
        assert plans.latest_run(connection) is None
        assert_frame_equal(plans.recommendations(connection), RECOMMENDATIONS.empty())
    first, second = save_run(database), save_run(database)
    with database.read() as connection:
        latest = plans.latest_run(connection)
        assert latest == plans.PlanRun(second, NOW, date(2026, 1, 4), 28, "base", 2**40, {"service_level": 0.95})
        assert plans.plan_run(connection, first).id == first
        with pytest.raises(NotFound, match="no plan run 9; the latest is 2"):
            plans.plan_run(connection, 9)


def test_recommendations_come_back_as_proposed_the_most_urgent_first(database: Database) -> None:
    save_run(database)
    with database.read() as connection:
        read = plans.recommendations(connection)
    expected = RECOMMENDATIONS.check(TWO.with_columns(status=pl.lit("proposed"), recommendation=pl.Series([1, 2])))
    assert_frame_equal(read, expected.reverse())
    assert json.loads(read["arithmetic"][1]) == ARITHMETIC


def test_a_product_is_recommended_once_a_run(database: Database) -> None:
    run = save_run(database)
    with database.write() as connection:
        with pytest.raises(DataError, match="more than once"):
            plans.save_recommendations(connection, run, pl.concat([TWO, TWO]))
        assert plans.save_recommendations(connection, run, TWO.clear()) == 0


@pytest.mark.parametrize("text", ["not json", "[1, 2]"])
def test_arithmetic_that_is_no_json_object_is_refused(database: Database, text: str) -> None:
    run = save_run(database)
    with database.write() as connection, pytest.raises(DataError, match="arithmetic of 'tea' is"):
        plans.save_recommendations(connection, run, TWO.with_columns(arithmetic=pl.lit(text)))


def test_decisions_are_kept_with_who_when_and_why(database: Database) -> None:
    save_run(database)
    with database.write() as connection:
        edited = plans.decide(connection, 1, "edit", quantity=120.0, reason="shelf is full", **WHO)
        approved = plans.decide(connection, 1, "approve", **WHO)
        read = plans.recommendations(connection, status="approved")
        history = plans.history(connection, 1)
    assert (edited.status, edited.quantity) == ("edited", 120.0)
    assert (approved.status, approved.quantity) == ("approved", 120.0)
    row = read.row(0, named=True)
    assert (row["quantity"], row["decided_quantity"], row["decided_by"]) == (144.0, 120.0, "Mia")
    assert [(d.action, d.quantity, d.reason) for d in history] == [
        ("edit", 120.0, "shelf is full"),
        ("approve", 120.0, None),
    ]


def test_approving_as_proposed_takes_the_proposed_quantity(database: Database) -> None:
    save_run(database)
    with database.write() as connection:
        assert plans.decide(connection, 1, "approve", **WHO).quantity == 144.0
        assert plans.decide(connection, 2, "approve", quantity=0.0, **WHO).quantity == 0.0


def test_undo_steps_back_one_decision_at_a_time_and_keeps_the_history(database: Database) -> None:
    save_run(database)
    with database.write() as connection:
        plans.decide(connection, 1, "edit", quantity=120.0, reason="full", **WHO)
        plans.decide(connection, 1, "approve", **WHO)
        assert plans.decide(connection, 1, "undo", **WHO).status == "edited"
        assert plans.decide(connection, 1, "reject", reason="no budget", **WHO).status == "rejected"
        assert plans.decide(connection, 1, "undo", **WHO).quantity == 120.0
        assert plans.decide(connection, 1, "undo", **WHO) == Standing()
        with pytest.raises(ConflictError, match="nothing to undo"):
            plans.decide(connection, 1, "undo", **WHO)
        actions = [decision.action for decision in plans.history(connection, 1)]
        assert actions == ["edit", "approve", "undo", "reject", "undo", "undo"]
        assert plans.recommendations(connection)["decided_quantity"].to_list() == [None, None]
        assert plans.recommendations(connection, status=["proposed", "edited"]).height == 2


@pytest.mark.parametrize("final", ["approve", "reject"])
@pytest.mark.parametrize("then", ["approve", "edit", "snooze", "reject"])
def test_what_is_approved_or_rejected_must_be_undone_first(database: Database, final: str, then: str) -> None:
    needs: dict[str, dict[str, object]] = {
        "approve": {},
        "edit": {"quantity": 1.0, "reason": "r"},
        "snooze": {"snoozed_until": date(2026, 2, 1)},
        "reject": {"reason": "r"},
    }
    save_run(database)
    with database.write() as connection:
        plans.decide(connection, 1, final, **WHO, **needs[final])
        with pytest.raises(ConflictError, match="undo that first"):
            plans.decide(connection, 1, then, **WHO, **needs[then])


def test_a_snoozed_recommendation_sleeps_until_its_day_over_later_runs(database: Database) -> None:
    save_run(database)
    with database.write() as connection:
        plans.decide(connection, 1, "snooze", snoozed_until=date(2026, 2, 1), **WHO)
    save_run(database)
    with database.read() as connection:
        assert plans.snoozed(connection, date(2026, 1, 31)).rows() == [("tea", "main", date(2026, 2, 1))]
        assert plans.snoozed(connection, date(2026, 2, 1)).is_empty()
        assert plans.recommendations(connection, 1, "snoozed")["snoozed_until"].to_list() == [date(2026, 2, 1)]


@pytest.mark.parametrize(
    ("action", "given", "words"),
    [
        ("accept", {}, "there is no decision 'accept'"),
        ("edit", {"reason": "r"}, "needs a quantity"),
        ("edit", {"quantity": -1.0, "reason": "r"}, "zero or more units, got -1"),
        ("edit", {"quantity": 1.0, "reason": " "}, "needs a reason"),
        ("reject", {}, "needs a reason"),
        ("snooze", {}, "needs the day"),
        ("approve", {"snoozed_until": date(2026, 2, 1)}, "needs the day"),
        ("reject", {"quantity": 1.0, "reason": "r"}, "takes no quantity"),
    ],
)
def test_a_decision_without_what_it_needs_is_refused(
    database: Database, action: str, given: dict[str, object], words: str
) -> None:
    save_run(database)
    with database.write() as connection:
        with pytest.raises(ParameterError, match=words):
            plans.decide(connection, 1, action, **WHO, **given)
        assert plans.history(connection, 1) == []


def test_a_decision_on_nothing_is_answered(database: Database) -> None:
    with database.write() as connection, pytest.raises(NotFound, match="no recommendation 5"):
        plans.decide(connection, 5, "approve", **WHO)


def test_the_last_approval_of_each_line_is_known_unless_it_was_undone(database: Database) -> None:
    save_run(database)
    with database.write() as connection:
        plans.decide(connection, 1, "approve", **WHO)
        plans.decide(connection, 2, "approve", **WHO)
        plans.decide(connection, 2, "undo", **WHO)
    save_run(database)
    later = {"decided_by": "Ben", "decided_at": moment("2026-01-06 09:00")}
    with database.write() as connection:
        assert plans.last_approvals(connection) == {("tea", "main"): NOW}
        plans.decide(connection, 3, "approve", **later)
        assert plans.last_approvals(connection) == {("tea", "main"): later["decided_at"]}


def test_edited_lines_are_told_with_the_quantity_that_stood_and_the_words_behind_it(database: Database) -> None:
    first = save_run(database)
    with database.write() as connection:
        plans.decide(connection, 1, "edit", quantity=120.0, reason="full", **WHO)
        plans.decide(connection, 1, "edit", quantity=100.0, reason="fuller", **WHO)
        plans.decide(connection, 1, "approve", reason="on PO-1", **WHO)
        plans.decide(connection, 2, "edit", quantity=9.0, reason="slip", **WHO)
        plans.decide(connection, 2, "undo", **WHO)
    second = save_run(database)
    with database.write() as connection:
        plans.decide(connection, 3, "approve", **WHO)  # as proposed: nobody edited it
        plans.decide(connection, 4, "edit", quantity=8.0, reason="more", **WHO)
        tea, milk = plans.edited_lines(connection)
        assert [run.id for run in plans.all_runs(connection)] == [first, second]
    assert (tea.run.id, tea.product, tea.proposed, tea.quantity, tea.edit.reason, tea.order) == (
        first, "tea", 144.0, 100.0, "fuller", "on PO-1",
    )  # fmt: skip
    assert (tea.unit_cost, tea.arithmetic) == (1.5, ARITHMETIC)
    assert (milk.run.id, milk.warehouse, milk.quantity, milk.order) == (second, "main", 8.0, None)
