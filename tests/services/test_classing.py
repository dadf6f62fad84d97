"""Classes of a shop: they rank by money, tell steadiness by weeks, and set service levels where nobody else has."""

from __future__ import annotations

from pathlib import Path

import pytest

from shelfwise.app import App, open_app
from shelfwise.services import classing
from shelfwise.services.planning import make_plan


def test_every_live_line_has_a_class_and_the_shares_are_the_whole(demo: App) -> None:
    found = classing.classify(demo)
    assert found.lines["share"].sum() == pytest.approx(1.0)
    assert found.lines["value"].is_sorted(descending=True)
    assert found.cells["lines"].sum() == found.lines.height
    assert found.cells["share"].sum() == pytest.approx(1.0)
    best = found.lines.row(0, named=True)
    assert best["abc_class"] == "A"
    assert best["service_level"] == {"X": 0.98, "Y": 0.97, "Z": 0.95}[best["xyz_class"]]


def test_classes_set_the_service_levels_of_a_plan_and_say_so(demo: App) -> None:
    classes = dict(classing.classify(demo).lines.select("unique_id", "service_level").iter_rows())
    plan = make_plan(demo)
    for line in plan.lines.iter_rows(named=True):
        assert line["service_level"] == classes[line["unique_id"]]
        assert f"service level {line['service_level']:.0%} of class".replace("%", " %") in line["assumptions"]


def test_a_level_that_somebody_set_is_everybodys(demo: App) -> None:
    plan = make_plan(demo, service_level=0.9)
    assert set(plan.lines["service_level"]) == {0.9}
    assert not plan.lines["assumptions"].str.contains("of class").fill_null(value=False).any()


def test_the_setting_turns_classes_off(demo: App) -> None:
    with open_app(
        demo.settings.database, folder=Path(str(demo.settings.database)).parent, class_service_levels=False
    ) as app:
        assert set(make_plan(app).lines["service_level"]) == {0.95}


def test_without_prices_units_stand_for_money_and_it_is_said(demo: App) -> None:
    with demo.database.write() as connection:
        connection.exec_driver_sql("UPDATE products SET price = NULL, unit_cost = NULL")
    found = classing.classify(demo)
    assert (found.lines["value"] == found.lines["units"]).all()
    assert any("neither price nor unit cost" in note for note in found.notes)
