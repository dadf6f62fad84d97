"""Scenarios: kept as they were answered, compared, promoted to the plan as edits that can be undone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from shelfwise.app import App, open_app
from shelfwise.domain.errors import ConflictError, NotFound, ParameterError
from shelfwise.services import decisions, planning, scenarios
from shelfwise.services.planning import Plan
from shelfwise.services.scenarios import in_a_sentence
from shelfwise.services.what_if import Answer, ask
from shelfwise.services.what_if_questions import Question


@pytest.fixture(scope="module")
def asked(demo_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answer]:
    """The made-up shop with a scenario: a tenth more demand, kept as ``more``."""
    path = tmp_path_factory.mktemp("asked") / "demo.db"
    shutil.copy(demo_file, path)
    with open_app(path, folder=path.parent) as app:
        answer = ask(app, Question(demand={"shop": 1.1}))
        scenarios.save(app, "more", answer)
    return path, answer


@pytest.fixture
def demo(asked: tuple[Path, Answer], tmp_path: Path) -> Iterator[App]:
    """A copy of it, to change at will."""
    shutil.copy(asked[0], tmp_path / "demo.db")
    with open_app(tmp_path / "demo.db", folder=tmp_path) as app:
        yield app


@pytest.fixture
def more(asked: tuple[Path, Answer]) -> Answer:
    """The answer that was kept."""
    return asked[1]


def plan_of(app: App) -> Plan:
    plan = planning.latest(app)
    assert plan is not None
    return plan


def test_a_scenario_is_shown_as_it_was_answered(demo: App, more: Answer) -> None:
    kept = scenarios.shown(demo, "more")
    assert_frame_equal(kept.lines, more.lines)
    assert_frame_equal(kept.totals, more.totals)
    assert (kept.question, kept.asked, kept.notes, kept.days) == (more.question, more.asked, more.notes, more.days)
    row = scenarios.listed(demo).row(0, named=True)
    assert (row["scenario"], row["asked"], row["plan"]) == ("more", "demand +10 %", more.run_id)
    assert row["spend"] == pytest.approx(more.total("spend")[2])


def test_a_name_is_not_taken_twice_unasked(demo: App, more: Answer) -> None:
    with pytest.raises(ConflictError, match="there is a scenario 'more' already"):
        scenarios.save(demo, "more", more)
    scenarios.save(demo, "more", more, replace=True)
    with pytest.raises(ParameterError, match="name has 1 to"):
        scenarios.save(demo, "  ", more)


def test_two_scenarios_stand_side_by_side(demo: App, more: Answer) -> None:
    cheap = ask(demo, Question(budget={"all": 3000.0}))
    scenarios.save(demo, "cheap", cheap)
    found = scenarios.compare(demo, "cheap", "more")
    spend = found.totals.row(by_predicate=pl.col("measure") == "spend", named=True)
    assert spend["difference"] == pytest.approx(more.total("spend")[1] - cheap.total("spend")[1])
    assert (found.lines["difference"] != 0).all()
    assert found.notes == ()
    assert scenarios.compare(demo, "more", "more").lines.is_empty()


def test_a_promoted_scenario_becomes_edits_that_can_be_undone(demo: App, more: Answer) -> None:
    before = plan_of(demo).lines
    done = scenarios.promote(demo, "more")
    after = plan_of(demo).lines
    wanted = after.select("unique_id").join(more.lines, on="unique_id", maintain_order="left")["quantity"]
    assert after["quantity"].to_list() == wanted.to_list()
    edited = after.filter(pl.col("status") == "edited")
    assert set(edited["unique_id"]) == set(done.edited)
    assert edited["decision_reason"].unique().to_list() == ["scenario more"]
    decisions.undo(demo, plan_of(demo), done.edited)
    assert_frame_equal(plan_of(demo).lines, before)


def test_lines_that_were_decided_already_stay(demo: App, more: Answer) -> None:
    name = more.changed.filter(pl.col("quantity") != pl.col("base_quantity"))["unique_id"][0]
    decisions.reject(demo, plan_of(demo), [name], "no room")
    done = scenarios.promote(demo, "more")
    assert done.left == (name,)
    assert name not in done.edited


def test_a_scenario_of_an_earlier_plan_is_asked_again_before_it_is_promoted(demo: App, more: Answer) -> None:
    planning.make_plan(demo, budgets={"all": 4000.0})
    with pytest.raises(ConflictError, match="ask it again with `shelfwise whatif again more`"):
        scenarios.promote(demo, "more")
    answer = scenarios.again(demo, "more")
    assert answer.run_id == plan_of(demo).run_id != more.run_id
    assert scenarios.promote(demo, "more").run_id == answer.run_id


def test_what_is_deleted_is_gone(demo: App, more: Answer) -> None:
    scenarios.delete(demo, "more")
    with pytest.raises(NotFound, match="there is no scenario 'more'; saved are: none is saved"):
        scenarios.shown(demo, "more")
    assert scenarios.listed(demo).is_empty()


def test_the_sentence_says_what_changes(demo: App, more: Answer) -> None:
    text = in_a_sentence(more, "EUR")
    assert text.startswith("With demand +10 %, this order would cost EUR ")
    assert "units more would be lost" in text
    assert "hardly anything would change" in in_a_sentence(ask(demo, Question()), "EUR")
