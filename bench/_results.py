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


SHORT = ("wql", "coverage", "total_coverage")


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
    answered for no more. Seconds are those of one cutoff, fitting to quantiles, for all the series that were asked for.
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


def overview(results: Iterable[Result], panels: Iterable[str], first: str = "auto") -> str:
    """Return one Markdown row for each panel: what ``first`` scored, and what every other model lost beside it.

    A model's figure is its WQL over that of ``first`` on the same series, the largest set that both answered for, and
    the cutoffs that both have: 1.08 is 8 % worse, below 1 (bold) is better. An asterisk marks a sample of the series.
    """
    known = [result for result in results if result["panel"] in panels]
    if not any(result["model"] == first for result in known):
        return ""
    models = [m for m in dict.fromkeys(result["model"] for result in known) if m != first]
    models.sort(key=lambda model: next(result["peer"] for result in known if result["model"] == model))
    titles = ["data", "series", "windows", f"{first}: WQL", "10-90 band", "of totals", "seconds", *models]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for panel in panels:
        own = {r["cutoff"]: r for r in known if (r["panel"], r["model"]) == (panel, first)}
        if not own:
            continue
        score = {name: _mean([r["scores"]["all"][name] for r in own.values()]) for name in COLUMNS}
        one = next(iter(own.values()))
        cells = [
            panel,
            f"{max(r['scores']['all']['series'] for r in own.values()):,}",
            f"{len(own)} x {one['horizon']}",
            *("-" if score[n] is None else f"{score[n]:.{4 if n == 'wql' else 2}f}" for n in SHORT),
            f"{_mean([r['wall'] for r in own.values()]):.1f}",
        ]
        for model in models:
            theirs = {r["cutoff"]: r for r in known if (r["panel"], r["model"]) == (panel, model)}
            cells.append(_beside(theirs, own))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _beside(theirs: dict[str, Result], own: dict[str, Result]) -> str:
    """Return the WQL of a model over ours on what both answered for, as a cell of the overview."""
    both = sorted(theirs.keys() & own.keys())
    if not both:
        return "-"
    scope = max((s for s in theirs[both[0]]["scores"] if s in own[both[0]]["scores"]), key=_size)
    mine = _mean([own[cutoff]["scores"][scope]["wql"] for cutoff in both])
    other = _mean([theirs[cutoff]["scores"][scope]["wql"] for cutoff in both])
    if not mine or other is None:
        return "-"
    ratio = f"**{other / mine:.2f}**" if other < mine else f"{other / mine:.2f}"
    return ratio if scope == "all" else ratio + "\\*"


def _size(scope: str) -> float:
    return float("inf") if scope == "all" else float(scope)


def _table(panel: str, scope: str, here: dict[str, list[Result]], cutoffs: list[str]) -> str:
    any_one = next(iter(here.values()))[0]
    series = max(result["scores"][scope]["series"] for results in here.values() for result in results)
    which = f"{series:,} series" + ("" if scope == "all" else " (fixed sample)")
    lines = [
        f"\n**{panel}**, {which}, {len(cutoffs)} x {any_one['horizon']} periods\n",
        "| model | " + " | ".join(title for title, _ in COLUMNS.values()) + " | seconds | CPU ms a series | refused |",
        "|---|" + "---|" * (len(COLUMNS) + 3),
    ]
    rows = []
    for model, results in here.items():
        values = {name: _mean([r["scores"][scope][name] for r in results]) for name in COLUMNS}
        cells = ["-" if values[n] is None else form.format(values[n]) for n, (_, form) in COLUMNS.items()]
        whole = len(results) == len(cutoffs)
        title = f"{model}{'' if whole else f' ({len(results)} of {len(cutoffs)} cutoffs)'}"
        refused = sum(r["refused"] for r in results) / sum(r["asked"] for r in results)
        seconds = _mean([r["wall"] for r in results])
        each = 1000.0 * sum(r["cpu"] for r in results) / sum(r["asked"] for r in results)
        row = f"| {title} | {' | '.join(cells)} | {seconds:.1f} | {each:.1f} | {f'{refused:.0%}' if refused else '-'} |"
        rows.append((values["wql"] if values["wql"] is not None else float("inf"), row))
    return "\n".join([*lines, *(row for _, row in sorted(rows))])


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
