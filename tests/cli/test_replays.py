"""`shelfwise replay`: one sentence, one table, the notes, and the same in JSON, CSV and a drawing."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Said

from shelfwise.services import replaying

QUICK = ("replay", "--rounds", "2", "--model", "base_level", "--policy", "today", "--policy", "min_max")


def test_the_costs_of_both_rules_are_told_with_a_sentence_and_the_notes(shop: Callable[..., Said]) -> None:
    said = shop(*QUICK)
    assert said.code == 0
    assert said.out.splitlines()[0].split()[:3] == ["rule", "cost", "holding"]
    assert "2 orders of" in said.err
    assert "would have cost" in said.err
    assert "note: the stock at the beginning is what the textbook base stock" in said.err


def test_json_holds_the_same_figures_as_csv(shop: Callable[..., Said]) -> None:
    document = shop(*QUICK, "--json").data
    rows = list(csv.DictReader(io.StringIO(shop(*QUICK, "--csv").out)))
    assert [row["policy"] for row in rows] == ["today", "min_max"]
    assert [float(row["cost"]) for row in rows] == [row["cost"] for row in document["policies"]]
    assert document["rounds"] == 2


def test_the_drawing_is_an_svg_that_names_the_rules(shop: Callable[..., Said], tmp_path: Path) -> None:
    assert shop(*QUICK, "--chart", "costs.svg").code == 0
    assert "min_max" in "".join(ET.parse(tmp_path / "costs.svg").getroot().itertext())


def test_a_rule_that_is_not_known_is_refused_with_the_names_there_are(shop: Callable[..., Said]) -> None:
    said = shop("replay", "--policy", "best")
    assert said.code == 2
    assert "policy 'best' is not known; policies are today" in said.err


def test_ctrl_c_ends_a_replay_with_130_and_no_trace(shop: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(replaying.ReplayWorld, "run", interrupted)
    said = shop(*QUICK)
    assert said.code == 130
    assert "Traceback" not in said.err


def test_ours_can_be_tuned_on_the_time_before_the_replay(shop: Callable[..., Said]) -> None:
    said = shop(*QUICK, "--policy", "optimise", "--product", "FL-1013", "--tune", "--json")
    assert said.code == 0
    assert [row["policy"] for row in said.data["policies"]] == ["today", "min_max", "optimise", "tuned"]
