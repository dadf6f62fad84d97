"""``shelfwise risk``: rows in the form asked for, plain sentences, and what the exit code means."""

from __future__ import annotations

import csv
import io


def test_risks_in_plain_sentences_with_the_money_at_risk(shop) -> None:
    said = shop("risk", "--paths-only")
    assert said.code == 4
    assert "may run out within 28 days if nothing more is ordered" in said.err
    assert "chances: the demand paths alone: not asked for" in said.err
    assert "chance to run out within 28 days" in said.out
    assert "expected loss" in said.out


def test_json_carries_the_chance_by_day_and_csv_one_row_a_line(shop) -> None:
    document = shop("risk", "--paths-only", "--json", "--days", "14").data
    assert (document["as_of"], document["days"], document["corrected"]) == ("2024-11-18", 14, False)
    first = document["risks"][0]
    assert first["chance"] == first["chance_paths"]
    assert abs(first["chance_by_day"][13] - first["chance"]) < 1e-4
    rows = list(csv.DictReader(io.StringIO(shop("risk", "--paths-only", "--csv", "--days", "14").out)))
    assert [row["unique_id"] for row in rows] == [line["unique_id"] for line in document["risks"]]
    every = shop("risk", "--paths-only", "--json", "--all", "--days", "14").data["risks"]
    assert len(every) > len(rows)


def test_one_product_is_shown_whatever_its_grade(shop) -> None:
    lines = shop("risk", "--paths-only", "--json", "--all").data["risks"]
    safe = next(line["product"] for line in lines if line["severity"] == "none")
    said = shop("risk", "--paths-only", "--product", safe)
    assert f"{safe}@" in said.out
    assert said.code == 0


def test_a_product_that_is_not_there_is_a_problem_of_the_data(shop) -> None:
    assert shop("risk", "--product", "nonesuch").code == 3
    assert shop("risk", "--paths-only", "--days", "4000").code == 2
