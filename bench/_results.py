"""Results of the accuracy benchmark: JSON lines in a folder, and the Markdown tables made from them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Result = dict[str, Any]

COLUMNS = {  # name in the results: (title, format)
    "wql": ("WQL", "{:.4f}"),
    "mase": ("MASE", "{:.3f}"),
    "bias": ("bias", "{:+.3f}"),
    "coverage": ("10-90 band", "{:.3f}"),
    "total_coverage": ("of totals", "{:.3f}"),
}


class Results:
    """One file of JSON lines for each panel; the newest line of a model and cutoff counts.

    Parameters
    ----------
    folder
        Where they are kept; None keeps them in memory.
    again
        Count nothing as done, so that everything asked for is run anew.
    """

    def __init__(self, folder: Path | None, again: bool = False) -> None:
        self.folder = folder
        self.found: dict[tuple[str, str, str], Result] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for path in sorted(folder.glob("accuracy-*.jsonl")):
                for line in path.read_text().splitlines():
                    self._take(json.loads(line))
        self.done = set() if again else set(self.found)

    def _take(self, result: Result) -> None:
        self.found[result["panel"], result["model"], result["cutoff"]] = result

    def has(self, panel: str, model: str, cutoff: str) -> bool:
        """Return whether that is there already."""
        return (panel, model, cutoff) in self.done

    def add(self, result: Result) -> None:
        """Keep a result."""
        self._take(result)
        if self.folder is not None:
            with (self.folder / f"accuracy-{result['panel']}.jsonl").open("a") as file:
                file.write(json.dumps(result) + "\n")

    def newest(self) -> list[Result]:
        """Return the newest result of each panel, model and cutoff."""
        return list(self.found.values())


def tables(results: Iterable[Result], panels: Iterable[str]) -> str:
    """Return one Markdown table for each panel and scope, the best WQL first; figures are means over cutoffs.

    The first scope holds the models that answered for every series. A sample's table is given where a slow peer
    answered for no more. Seconds are wall seconds of one cutoff, fitting to quantiles.
    """
    made: list[str] = []
    for panel in panels:
        own = [result for result in results if result["panel"] == panel]
        if not own:
            continue
        cutoffs = sorted({result["cutoff"] for result in own})
        models = list(dict.fromkeys(result["model"] for result in own))
        shown: set[str] = set()
        scopes = sorted({scope for result in own for scope in result["scores"]}, key=_size, reverse=True)
        for scope in scopes:
            here = {
                model: [r for r in own if r["model"] == model and scope in r["scores"]]
                for model in models
                if any(r["model"] == model and scope in r["scores"] for r in own)
            }
            if set(here) <= shown:  # a smaller sample that no slower peer needs
                continue
            shown |= set(here)
            made.append(_table(panel, scope, here, cutoffs))
    return "\n".join(made)


def _size(scope: str) -> float:
    return float("inf") if scope == "all" else float(scope)


def _table(panel: str, scope: str, here: dict[str, list[Result]], cutoffs: list[str]) -> str:
    any_one = next(iter(here.values()))[0]
    series = max(result["scores"][scope]["series"] for results in here.values() for result in results)
    which = f"{series:,} series" + ("" if scope == "all" else " (fixed sample)")
    lines = [
        f"\n**{panel}**, {which}, {len(cutoffs)} x {any_one['horizon']} periods\n",
        "| model | " + " | ".join(title for title, _ in COLUMNS.values()) + " | seconds | refused |",
        "|---|" + "---|" * (len(COLUMNS) + 2),
    ]
    rows = []
    for model, results in here.items():
        values = {name: _mean([r["scores"][scope][name] for r in results]) for name in COLUMNS}
        cells = ["-" if values[n] is None else form.format(values[n]) for n, (_, form) in COLUMNS.items()]
        whole = len(results) == len(cutoffs)
        title = f"{model}{'' if whole else f' ({len(results)} of {len(cutoffs)} cutoffs)'}"
        refused = sum(r["refused"] for r in results) / sum(r["asked"] for r in results)
        seconds = _mean([r["wall"] for r in results])
        row = f"| {title} | {' | '.join(cells)} | {seconds:.1f} | {f'{refused:.0%}' if refused else '-'} |"
        rows.append((values["wql"] if values["wql"] is not None else float("inf"), row))
    return "\n".join([*lines, *(row for _, row in sorted(rows))])


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
