"""``shelfwise whatif``: questions are read or refused in words, and scenarios go all the way to the plan and back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
import typer
from tests.cli.conftest import Said

from shelfwise.cli.what_if import _lead_time, _price, _promotion
from shelfwise.services.what_if_questions import LeadTimeChange, Price, Promotion

WEEK = dt.date(2026, 12, 1), dt.date(2026, 12, 7)


def test_an_answer_is_a_sentence_a_table_and_the_lines_that_change(shop: Callable[..., Said]) -> None:
    said = shop("whatif", "--demand", "+10%", "--lead-time", "S-BRIN=+5", "--save", "more")
    assert said.code == 0
    assert said.err.count("With demand +10 %, lead time of S-BRIN +5 days, this order would cost EUR ") == 1
    assert "shelfwise whatif promote more" in said.err
    rows = said.out.splitlines()
    assert rows[0].split() == ["as", "it", "is", "what", "if", "difference"]
    assert any(row.startswith("units lost ") and "+" in row for row in rows)
    assert "lines that change most (8 of 104):" in rows
    assert "demand +10 %; lead time of S-BRIN +5 days" in shop("whatif", "list").out
    assert shop("whatif", "show", "more").out == said.out
    shown = shop("whatif", "show", "more", "--json").data
    assert {row["measure"]: row["difference"] for row in shown["totals"]}["lost_units"] > 0
    assert shown["asked"] == ["demand +10 %", "lead time of S-BRIN +5 days"]
    compared = shop("whatif", "compare", "more", "more")
    assert compared.code == 0
    promoted = shop("whatif", "promote", "more")
    assert "lines edited" in promoted.err
    assert "the plan orders that already" in shop("whatif", "promote", "more").err
    assert shop("whatif", "delete", "more").code == 0
    gone = shop("whatif", "show", "more")
    assert gone.code == 3
    assert "there is no scenario 'more'" in gone.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "say what is to change, like --demand +10%"),
        (["--demand", "10"], "a change is written +10%, -15% or x1.5, got '10'"),
        (["--demand", "12/day"], "a change is written +10%, -15% or x1.5, got '12/day'"),
        (["--lead-time", "S-BRIN=soon"], "a lead time changes by days or by a factor, like S-BRIN=+5 or x1.5"),
        (["--closed", "S-BRIN"], "a day is written 2026-12-31, as in S-QANL=2026-12-31, got 'S-BRIN'"),
        (["--budget", "lots"], "a budget must be an amount of money"),
        (["--promotion", "CF-1002=1.8"], "a promotion is written like CF-1042=x1.8@2026-12-01..2026-12-07"),
        (["--service", "101"], "service level must be above 0 and below 1"),
        (["--price", "CF-1002=-10%", "--elasticity", "2"], "elasticity must be zero or less"),
        (["--demand", "+10%", "--replace"], "--replace goes with --save NAME"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(cli: Callable[..., Said], arguments: list[str], words: str) -> None:
    said = cli("whatif", *arguments)
    assert said.code in (1, 2)
    assert words in said.err


def test_edits_are_read_as_they_are_written() -> None:
    assert _lead_time("+5") == LeadTimeChange("all", 5.0)
    assert _lead_time("S-BRIN=-2") == LeadTimeChange("S-BRIN", -2.0)
    assert _lead_time("S-BRIN=x1.5") == LeadTimeChange("S-BRIN", factor=1.5)
    assert _promotion("CF-1002@SHOP=1.8@2026-12-01..2026-12-07") == Promotion("CF-1002@SHOP", *WEEK, 1.8)
    assert _promotion("category:Tea=+80%@2026-12-01..2026-12-07") == Promotion("category:Tea", *WEEK, 1.8)
    assert _promotion("CF-1002@2026-12-01..2026-12-07") == Promotion("CF-1002", *WEEK)
    assert _price("CF-1002=-10%,+20%") == Price("CF-1002", 0.9, 1.2)
    assert _price("CF-1002=-10%") == Price("CF-1002", 0.9)
    with pytest.raises(typer.BadParameter, match="a day is written"):
        _promotion("CF-1002@1 December..2026-12-07")
