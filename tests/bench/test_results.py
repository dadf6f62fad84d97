from pathlib import Path
from typing import Any

from bench._results import Results, overview, tables


def result(model: str, wql: float, scopes: tuple[str, ...] = ("all", "300"), cutoff: str = "2026-01-01") -> Any:
    score = {"series": 5, "cells": 9, "wql": wql, "mase": 1.0, "bias": 0.1, "coverage": 0.8, "total_coverage": None}
    return {
        "panel": "shop", "model": model, "peer": model == "slow", "cutoff": cutoff,
        "horizon": 7, "asked": 5, "refused": 1, "wall": 2.0, "cpu": 1.5,
        "scores": {scope: score for scope in scopes},
    }  # fmt: skip


def test_what_is_kept_is_not_run_again_and_the_newest_counts(tmp_path: Path):
    kept = Results(tmp_path)
    kept.add(result("a", 0.5))
    kept.add(result("a", 0.4))
    again = Results(tmp_path)
    assert again.has("shop", "a", "2026-01-01")
    assert not again.has("shop", "b", "2026-01-01")
    assert [one["scores"]["all"]["wql"] for one in again.newest()] == [0.4]
    assert not Results(tmp_path, again=True).has("shop", "a", "2026-01-01")


def test_the_table_puts_the_best_first_and_sets_slow_models_beside_the_others_on_their_sample():
    text = tables([result("a", 0.5), result("b", 0.4), result("slow", 0.3, ("300",))], ["shop"])
    everything, sample = text.split("(fixed sample)")
    assert "slow" not in everything
    assert everything.index("| b |") < everything.index("| a |")
    assert sample.index("| slow |") < sample.index("| b |") < sample.index("| a |")
    assert "| 0.4000 | 1.000 | +0.100 | 0.800 | - | 2.0 | 300.0 | 20% |" in everything


def test_a_sample_that_no_slow_model_needs_has_no_table():
    assert "fixed sample" not in tables([result("a", 0.5)], ["shop"])


def test_a_model_that_lacks_cutoffs_says_so():
    results = [result("a", 0.5), result("b", 0.4), result("b", 0.6, cutoff="2026-02-01")]
    text = tables(results, ["shop"])
    assert "a (1 of 2 cutoffs)" in text
    assert "| b | 0.5000" in text


def test_the_overview_sets_every_model_beside_auto_on_the_same_series():
    results = [result("auto", 0.5), result("naive", 0.6), result("slow", 0.3, ("300",)), result("naive", 9.0)]
    results[0]["scores"]["300"] = results[0]["scores"]["300"] | {"wql": 0.25}
    results[2]["scores"]["300"] = results[2]["scores"]["300"] | {"wql": 0.2}
    results[3] = result("naive", 9.0, cutoff="2026-02-01")  # a cutoff that auto does not have counts on neither side
    row = overview(results, ["shop"]).splitlines()[-1]
    assert row == "| shop | 5 | 1 x 7 | 0.5000 | 0.80 | - | 2.0 | 1.20 | **0.80**\\* |"


def test_without_auto_there_is_nothing_to_set_others_beside():
    assert overview([result("naive", 0.5)], ["shop"]) == ""
