"""Tables of causes: rows add up as shown, and what moves little or has no room stands together."""

from __future__ import annotations

import pytest

from shelfwise.cli.causes import cause_table

WEEK = {"level": 50.4, "trend": -3.3, "season": 0.2, "promotion": 12.4, "weekday": 1.6}


def shown(rows: list[list[str]]) -> list[float]:
    return [float(cell.replace(",", "")) for cell in rows[0][1:]]


def test_rows_add_up_as_they_are_shown() -> None:
    headers, rows, numeric = cause_table(["until"], [(["Fri"], WEEK)], alike=True)
    assert headers == ["until", "usual", "of late", "promotion", "weekday", "rest", "sells"]
    *parts, total = shown(rows)
    assert sum(parts) == total == 61
    assert numeric == [False, *[True] * 6]


def test_what_has_no_room_stands_under_the_rest_the_smallest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    headers, rows, _ = cause_table(["name"], [(["x" * 20], WEEK)], alike=True)
    assert headers == ["name", "usual", "promotion", "rest", "sells"]
    *parts, total = shown(rows)
    assert sum(parts) == total


def test_a_small_row_keeps_a_decimal_beside_a_large_one_unless_rows_are_alike() -> None:
    small = {name: value / 100 for name, value in WEEK.items()}
    rows = [(["large"], WEEK), (["small"], small)]
    assert cause_table(["name"], rows, alike=False)[1][1][1:] == ["0.5", "0", "+0.1", "0", "0", "0.6"]
    assert cause_table(["name"], rows, alike=True)[1][1][1] == "1"
