"""The commands on backtests: plain words first, then the table with each part of the horizon; all of it in JSON."""

from __future__ import annotations

import csv
import io
import re
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import MONDAY, Said

from shelfwise.cli.backtests import _beside
from shelfwise.domain.errors import ModelError
from shelfwise.forecasting import catalog
from shelfwise.forecasting.backtest import METRICS
from shelfwise.services import backtests
from shelfwise.services.demo import open_demo

QUICK = ("--cutoffs", "2", "--horizon", "12")
PAIR = (*QUICK, "--model", "base_level", "--model", "seasonal_naive")


@pytest.fixture(scope="module")
def compared_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up shop with one comparison saved."""
    path = tmp_path_factory.mktemp("compared") / "shelfwise.db"
    with open_demo(path, today=MONDAY, folder=path.parent) as app:
        backtests.run(app, models=["base_level", "seasonal_naive"], horizon=12, cutoffs=2)
    return path


@pytest.fixture
def saved(compared_shop: Path, tmp_path: Path, cli: Callable[..., Said]) -> Callable[..., Said]:
    """The command line in a folder with that shop, in which no model can be fitted once more."""
    shutil.copy(compared_shop, tmp_path / "shelfwise.db")
    return cli


class Broken:
    name = "broken"

    def fit(self, panel):
        raise ModelError("it is broken; mend it")

    def __repr__(self) -> str:
        return "Broken()"


@pytest.fixture
def no_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any fit would fail."""
    for name in ("base_level", "seasonal_naive"):
        monkeypatch.setattr(catalog.MODELS[name], "fit", Broken.fit)


def test_the_winner_and_whether_it_is_chance_are_said_in_words_before_the_table(saved, no_fits) -> None:
    said = saved("compare", *PAIR)
    assert said.code == 0
    assert "4 of 4 scores were saved already (backtest 1); --fresh works them out anew" in said.err
    assert re.search(r"^base_level forecasts best: its error .* is 0\.\d{3} for each unit sold", said.err, re.MULTILINE)
    assert re.search(
        r"^seasonal_naive is \d+ % further off \(\d+ % to \d+ %: more than chance\); "
        r"base_level is closer on \d+ % of \d+ series$",
        said.err,
        re.MULTILINE,
    )
    assert "base_level is best at every part of the horizon" in said.err
    assert re.search(r"MAPE leaves out [\d,]+ days on which nothing sold, \d+ % of those scored", said.err)
    assert "`shelfwise backtests show 1` shows it again" in said.err


def test_the_table_has_a_row_for_each_part_of_the_horizon_and_model(saved, no_fits) -> None:
    lines = saved("compare", *PAIR).out.splitlines()
    assert lines[0].split()[:3] == ["horizon", "model", "wql"]
    assert "mape left out" in lines[0]
    assert [line.split()[:3] for line in lines[1:]] == [
        [name, span, model]
        for name, span in (("all", "1-12"), ("short", "1-3"), ("medium", "4-6"), ("long", "7-12"))
        for model in ("base_level", "seasonal_naive")
    ]
    assert max(map(len, lines)) <= 120
    assert all(re.fullmatch(r"0\.\d{3}", line.split()[3]) for line in lines[1:])
    assert all(re.search(r"\d{1,3} %", line) for line in lines[1:])


def test_json_has_scores_comparison_and_what_mape_leaves_out(saved, no_fits) -> None:
    document = saved("compare", *PAIR, "--json").data
    assert (document["backtest"], document["models"], document["horizon"]) == (1, ["base_level", "seasonal_naive"], 12)
    assert len(document["summary"]) == 8
    assert len(document["scores"]) == 16
    assert {row["cutoff"] for row in document["scores"]} == {"2024-10-24", "2024-11-05"}
    for row in document["scores"]:
        assert {*METRICS, "mape_left_out", "mape_left_out_share", "series", "cells"} <= set(row)
        assert row["mape_left_out"] == round(row["mape_left_out_share"] * row["cells"])
        assert row["mape_left_out"] > 0
    verdicts = {(row["horizon_class"], row["model"]): row["verdict"] for row in document["comparison"]}
    assert verdicts["all", "base_level"] == "best"
    assert verdicts["short", "seasonal_naive"] == "worse"
    assert document["failures"] == []


def test_the_whole_horizon_is_its_parts_put_together(saved, no_fits) -> None:
    rows = saved("compare", *PAIR, "--json").data["scores"]
    for model in ("base_level", "seasonal_naive"):
        mine = [row for row in rows if (row["model"], row["cutoff"]) == (model, "2024-11-05")]
        whole, *parts = mine
        assert [row["horizon_class"] for row in mine] == ["all", "short", "medium", "long"]
        for count in ("cells", "mape_left_out"):
            assert whole[count] == sum(row[count] for row in parts)
        for mean in ("pinball", "crps", "coverage"):
            assert whole[mean] == pytest.approx(sum(row[mean] * row["cells"] for row in parts) / whole["cells"])


def test_by_cutoff_every_cutoff_has_its_rows(saved, no_fits) -> None:
    rows = list(csv.DictReader(io.StringIO(saved("compare", *PAIR, "--by-cutoff", "--csv").out)))
    assert len(rows) == 2 * 2 * 4
    text = saved("compare", *PAIR, "--by-cutoff").out
    assert text.splitlines()[0].split()[0] == "cutoff"
    assert text.count("2024-10-24") == 8


def test_the_chart_is_drawn_from_what_is_saved(saved, no_fits, tmp_path: Path) -> None:
    said = saved("compare", *PAIR, "--chart", "scores.svg")
    assert "drawn: scores.svg" in said.err
    root = ET.parse(tmp_path / "scores.svg").getroot()
    circles = list(root.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == 2 * 2 * 4, "a dot for each model, cutoff and part of the horizon"
    again = saved("backtests", "show", "1", "--chart", "again.svg")
    assert again.code == 0
    assert (tmp_path / "again.svg").read_text() == (tmp_path / "scores.svg").read_text()


@pytest.mark.parametrize(("name", "code", "words"), [("scores.png", 2, ".svg"), ("no/scores.svg", 1, "no folder 'no'")])
def test_a_chart_that_cannot_be_written_is_refused_before_the_work(saved, no_fits, name, code, words) -> None:
    said = saved("compare", *QUICK, "--model", "trees", "--chart", name)
    assert (said.code, said.out) == (code, "")
    assert words in said.err


def test_saved_backtests_are_listed_shown_and_deleted(saved, no_fits) -> None:
    (row,) = saved("backtests", "--json").data
    assert (row["backtest"], row["scores"], row["of"], row["best"], row["finished"]) == (1, 4, 4, "base_level", True)
    shown = saved("backtests", "show", "1")
    assert shown.code == 0
    assert "base_level, seasonal_naive" in shown.err
    assert shown.out == saved("compare", *PAIR).out
    assert saved("backtests", "delete", "1").code == 0
    gone = saved("backtests", "show", "1")
    assert (gone.code, gone.out) == (3, "")
    assert "no backtest 1; `shelfwise backtests` lists" in gone.err
    assert "no backtests yet" in saved("backtests").err


def test_a_backtest_sets_a_model_beside_seasonal_naive(saved, no_fits) -> None:
    said = saved("backtest", *QUICK, "--model", "base_level", "--json")
    assert said.data["models"] == ["base_level", "seasonal_naive"]
    assert "4 of 4 scores were saved already" in said.err, "it shares the scores of the comparison"


def test_a_model_that_fails_is_named_and_the_others_stand(saved, monkeypatch) -> None:
    monkeypatch.setitem(catalog.MODELS, "broken", Broken)
    said = saved("compare", *PAIR, "--model", "broken")
    assert said.code == 0
    assert "broken is left out, it failed at 2 cutoffs: it is broken; mend it" in said.err
    assert "broken" not in said.out
    assert "seasonal_naive" in said.out
    assert "broken is left out" in saved("backtests", "show", "2").err


def test_where_every_model_fails_the_reason_is_the_error(saved, monkeypatch) -> None:
    monkeypatch.setitem(catalog.MODELS, "broken", Broken)
    said = saved("compare", *QUICK, "--model", "broken")
    assert (said.code, said.out) == (1, "")
    assert "no model could be scored; broken: it is broken; mend it" in said.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["compare", "--all", "--model", "auto"], 2, "give --all or --model, not both"),
        (["compare", "--model", "crystal_ball"], 2, "'crystal_ball' is not known"),
        (["compare", *PAIR, "--cutoffs", "400"], 2, "history"),
        (["compare", *PAIR, "--product", "no such thing"], 3, "no such thing"),
        (["backtests", "show", "x"], 2, "'number'"),
    ],
)
def test_what_cannot_be_compared_is_one_message(saved, arguments, code, words) -> None:
    said = saved(*arguments)
    assert (said.code, said.out) == (code, "")
    assert words in said.err
    assert "Traceback" not in said.err


def test_some_products_can_be_compared_by_themselves(saved) -> None:
    document = saved("compare", *PAIR, "--product", "CF-1007", "--json").data
    assert document["products"] == ["CF-1007"]
    assert document["series"] == 2
    said = saved("compare", *PAIR, "--product", "CF-1007").err
    assert "too few to say whether that is chance" in said


@pytest.mark.parametrize(
    ("low", "high", "verdict", "words"),
    [
        (
            0.001,
            0.04,
            "worse",
            "b is 2.0 % further off (0.1 % to 4.0 %: more than chance); a is closer on 60 % of 50 series",
        ),
        (
            -0.01,
            0.05,
            "no clear difference",
            "b is 2.0 % further off (-1.0 % to 5.0 %: no clear difference); a is closer",
        ),
        (
            None,
            None,
            "too few series",
            "b is 2.0 % further off; a is closer on 60 % of 50 series, too few to say whether",
        ),
    ],
)
def test_a_difference_is_said_with_its_interval(low, high, verdict, words) -> None:
    row = {"model": "b", "difference": 0.02, "low": low, "high": high, "series": 50, "closer_share": 0.4}
    assert words in _beside("a", {**row, "verdict": verdict})
