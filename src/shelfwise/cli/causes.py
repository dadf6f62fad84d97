"""Tables of what demand is made of: a row for each week or product, a column for each cause, rows that add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from shelfwise.cli.output import width
from shelfwise.domain import words

SMALL_SHARE: Final = 0.02
"""Causes that move no row by so much of the largest demand stand together as the rest."""
PART_NAMES: Final = {
    "level": "usual",
    "trend": "of late",
    "opening": "closed",
    "company": "whole shop",
    "learnt": "similar",
    "model": "not split",
}
_MARGIN: Final = 8


def cause_table(
    labels: Sequence[str], rows: Sequence[tuple[Sequence[str], Mapping[str, float]]], *, alike: bool
) -> tuple[list[str], list[list[str]], list[bool]]:
    """Return headers, rows, and which columns are numbers: labels, the usual level, what moves it, and what sells.

    Causes that move little stand together as the rest, and so do the smaller ones where the line has no room.

    Parameters
    ----------
    labels
        Headers of what a row begins with.
    rows
        At least one: its labels, and units by cause, the same causes in each.
    alike
        True for rows of one size, such as weeks, that take the same number of decimals.

    >>> units = {"level": 10.0, "weekday": 2.4, "season": -0.1}
    >>> cause_table(["until"], [(["Friday"], units)], alike=True)[:2]
    (['until', 'usual', 'weekday', 'rest', 'sells'], [['Friday', '10', '+2', '0', '12']])
    """
    parts = [each for _, each in rows]
    names = [name for name in parts[0] if name != "level"]
    titles = {name: PART_NAMES.get(name, name.replace("_", " ")) for name in ("level", *names)}
    largest = max(sum(each.values()) for each in parts)
    moves = {name: max(abs(each[name]) for each in parts) for name in names}
    kept = [name for name in names if moves[name] >= SMALL_SHARE * largest]
    taken = [max(len(label), *(len(texts[i]) for texts, _ in rows)) + 2 for i, label in enumerate(labels)]
    room = width() - sum(taken) - len("usual  rest  sells") - _MARGIN
    while kept and sum(max(len(titles[name]), 6) + 2 for name in kept) > room:
        kept.remove(min(kept, key=lambda name: moves[name]))
    rest = [name for name in names if name not in kept]
    table = []
    for texts, units in rows:
        places = 0 if (largest if alike else sum(units.values())) >= 9.95 else 1
        cells = [units["level"], *(units[name] for name in kept)]
        shown = words.rounded_to_sum([*cells, sum(units[name] for name in rest)] if rest else cells, places)
        table.append(
            [*texts, f"{shown[0]:,.{places}f}"]
            + [f"{value:+,.{places}f}" if value else "0" for value in shown[1:]]
            + [f"{sum(shown):,.{places}f}"]
        )
    headers = [*labels, titles["level"], *(titles[name] for name in kept), *(["rest"] if rest else []), "sells"]
    return headers, table, [False] * len(labels) + [True] * (len(headers) - len(labels))
