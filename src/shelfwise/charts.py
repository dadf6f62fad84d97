"""Charts as SVG text, from declared frames and nothing else: for a file, a page, a mail or a notebook.

A chart is one column 480 units wide that scales with its place (``viewBox``), so that it is read on a telephone and
does not grow beyond 720 pixels. Text and lines take the colour of the text around them (``currentColor``), and a file
by itself follows the reader's light or dark scheme. Inside a page, whose scheme is not known here, the two colours of
marks keep a contrast of at least 3 on white and on black. No meaning hangs on colour alone. A title and a description
say in words what is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape, quoteattr

import polars as pl

from shelfwise.domain import words
from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.domain.frames import BACKTEST_SCORES

WIDTH: Final = 480
_NAMES: Final = 132  # room for the names at the left
_MARGIN: Final = 10
_VALUES: Final = 56  # room for the values at the right
_LEFT, _RIGHT = _NAMES + 8, WIDTH - _VALUES - 8
_LONGEST_NAME: Final = 17
_ROW: Final = 30
_TALLEST_ROW: Final = 72
_DOT_STEP: Final = 7

_MEANINGS: Final = {"wql": "Error for each unit sold (weighted quantile loss)"}

BEST_COLOUR: Final = "#0b7d74"
OTHER_COLOUR: Final = "#8a6d1f"
BEST_IN_THE_DARK: Final = "#3cc8bc"
OTHER_IN_THE_DARK: Final = "#d0a94a"

_STYLE = """
svg:root { color-scheme: light dark; }
.shelfwise-chart { display: block; width: 100%; max-width: 720px; height: auto; margin: 0 auto; }
.shelfwise-chart text { fill: currentColor; font: 14px system-ui, "Segoe UI", "DejaVu Sans", Arial, sans-serif; }
.shelfwise-chart .title { font-size: 17px; font-weight: 600; }
.shelfwise-chart .head { font-weight: 600; }
.shelfwise-chart .note { font-size: 13px; }
.shelfwise-chart .value { font-variant-numeric: tabular-nums; }
.shelfwise-chart .line { stroke: currentColor; stroke-width: 1; fill: none; opacity: .28; }
.shelfwise-chart .trail { stroke-width: 1.2; fill: none; opacity: .65; }
.shelfwise-chart .mean { stroke-width: 3.5; stroke-linecap: round; }
.shelfwise-chart .best { fill: COLOUR_BEST; stroke: COLOUR_BEST; }
.shelfwise-chart .other { fill: COLOUR_OTHER; stroke: COLOUR_OTHER; }
.shelfwise-chart text.best { stroke: none; font-weight: 600; fill: currentColor; }
@media (prefers-color-scheme: dark) {
  svg:root .best { fill: DARK_BEST; stroke: DARK_BEST; }
  svg:root .other { fill: DARK_OTHER; stroke: DARK_OTHER; }
  svg:root text.best { stroke: none; fill: currentColor; }
}
"""
for _word, _colour in (
    ("COLOUR_BEST", BEST_COLOUR), ("COLOUR_OTHER", OTHER_COLOUR),
    ("DARK_BEST", BEST_IN_THE_DARK), ("DARK_OTHER", OTHER_IN_THE_DARK),
):  # fmt: skip
    _STYLE = _STYLE.replace(_word, _colour)


@dataclass(frozen=True)
class _Scale:
    """Values from 0 to ``top`` as places from `_LEFT` to `_RIGHT`."""

    top: float

    def at(self, value: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * value / self.top

    @property
    def ticks(self) -> list[float]:
        step = _step(self.top)
        return [step * n for n in range(int(self.top / step + 1e-9) + 1)]


def scores(rows: pl.DataFrame, metric: str, *, title: str, period: str = "day") -> str:
    """Draw a metric of a backtest: a block for the whole horizon and each horizon class, a row for each model.

    In a row every cutoff is a dot, the oldest on top and the newest below, and the bar is their mean. The models stand
    in the order of their mean over the whole horizon, the best first; the best of each block is in bold. All blocks
    share one scale that begins at 0.

    Parameters
    ----------
    rows
        BACKTEST_SCORES.
    metric
        Name of the metric; smaller is better, and nothing is below 0.
    title
        What stands above the drawing.
    period
        What one period of the horizon is called.

    Returns
    -------
    str
        An SVG document, which may stand in a file or inside an HTML page.

    Raises
    ------
    DataError
        Nothing was scored.
    ParameterError
        A score is below 0.
    """
    rows = BACKTEST_SCORES.check(rows)
    scored = rows.filter(pl.col("score").is_not_null())
    if scored.height == 0:
        raise DataError(f"no model has a score for {metric}, so there is nothing to draw")
    if (scored["score"] < 0).any():
        raise ParameterError(f"metric {metric!r} has values below 0, and this chart begins at 0; draw 'wql' or 'mase'")
    cutoffs = sorted(rows["cutoff"].unique())
    models = _in_order(rows)
    scale = _Scale(_nice_top(float(scored["score"].to_numpy().max())))
    blocks = rows.select("horizon_class", "first_period", "last_period").unique(maintain_order=True).rows()
    row_height = min(_TALLEST_ROW, max(_ROW, _DOT_STEP * (len(cutoffs) - 1) + 16))
    parts, y = _heading(title, metric, cutoffs)
    for name, first, last in blocks:
        block = scored.filter(pl.col("horizon_class") == name)
        parts += [_text(0, y + 14, _heads(name, first, last, period), "head")]
        first_here = _in_order(block)[:1]
        top = y + 24
        bottom = top + row_height * len(models)
        parts += [_line(scale.at(tick), top, scale.at(tick), bottom) for tick in scale.ticks]
        for number, model in enumerate(models):
            cells = dict(block.filter(pl.col("model") == model).select("cutoff", "score").iter_rows())
            kind = "best" if model in first_here else "other"
            parts += _row(model, cells, cutoffs, scale, top + row_height * number, row_height, kind)
        parts += [_text(scale.at(tick), bottom + 16, f"{tick:g}", "note value", "middle") for tick in scale.ticks]
        y = bottom + 34
    return _document(parts, y - 8, title, _description(rows, metric, models, cutoffs, period))


def _in_order(rows: pl.DataFrame) -> list[str]:
    """Return the models, those with every cutoff first, by their mean over the whole horizon."""
    whole = rows.filter(pl.col("horizon_class") == "all") if (rows["horizon_class"] == "all").any() else rows
    whole = whole.filter(pl.col("score").is_not_null())
    means = whole.group_by("model").agg(pl.col("score").mean(), missing=-pl.col("score").count().cast(pl.Int64))
    lost = [model for model in rows["model"].unique(maintain_order=True) if model not in means["model"]]
    return [*means.sort("missing", "score", "model", nulls_last=True)["model"], *lost]


def _heading(title: str, metric: str, cutoffs: list[str]) -> tuple[list[str], float]:
    """Return title and key, and where the first block begins."""
    lines = [f"{_MEANINGS.get(metric, metric)}; smaller is better."]
    if len(cutoffs) == 1:
        lines.append(f"In bold the best. The last day that was known: {cutoffs[0]}.")
    else:
        lines += [
            "In bold the best. Bar and number: the mean of the dots.",
            f"Dots: by last known day, {cutoffs[0]} on top to {cutoffs[-1]} below.",
        ]
    parts = [_text(0, 22, title, "title")]
    parts += [_text(0, 43 + 17 * number, line, "note") for number, line in enumerate(lines)]
    return parts, 43 + 17 * len(lines)


def _row(
    model: str, cells: dict[str, float], cutoffs: list[str], scale: _Scale, top: float, height: float, kind: str
) -> list[str]:
    """Return the marks of one model in one block; ``kind`` is ``best`` or ``other``."""
    middle = top + height / 2
    shown = words.shortened(model, _LONGEST_NAME)
    parts = [_text(_NAMES, middle + 4.5, shown, "best" if kind == "best" else "", "end")]
    if not cells:
        return [*parts, _text(_LEFT, middle + 4.5, "no score", "note")]
    room = min(_DOT_STEP * (len(cutoffs) - 1), height - 16)
    step = room / (len(cutoffs) - 1) if len(cutoffs) > 1 else 0.0
    places = [
        (scale.at(cells[cutoff]), middle - room / 2 + step * n, cutoff)
        for n, cutoff in enumerate(cutoffs)
        if cutoff in cells
    ]
    mean = sum(cells.values()) / len(cells)
    if len(cutoffs) > 1:
        trail = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
        parts += [f'<polyline class="trail {kind}" style="fill:none" points="{trail}"/>'] if len(places) > 1 else []
        parts += [_dot(x, y, kind, f"{model}, cutoff {cutoff}: {_number(cells[cutoff])}") for x, y, cutoff in places]
    x = scale.at(mean)
    parts += [
        f'<line class="mean {kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top + 4:.1f}" y2="{top + height - 4:.1f}">'
        f"<title>{escape(f'{model}: {_number(mean)}')}</title></line>",
        _text(WIDTH - 2, middle + 4.5, _number(mean), "value best" if kind == "best" else "value", "end"),
    ]
    return parts


def _heads(name: str, first: int, last: int, period: str) -> str:
    """Return the words above a block.

    >>> _heads("short", 1, 7, "day"), _heads("all", 1, 28, "day"), _heads("long", 2, 2, "week")
    ('Short: days 1 to 7', 'All 28 days', 'Long: week 2')
    """
    if name == "all":
        return f"All {words.count(last, period)}" if last > 1 else f"The one {period}"
    span = f"{period} {first}" if first == last else f"{period}s {first} to {last}"
    return f"{name.capitalize()}: {span}"


def _description(rows: pl.DataFrame, metric: str, models: list[str], cutoffs: list[str], period: str) -> str:
    """Say the drawing in words, for those who do not see it."""
    means = rows.group_by("horizon_class", "first_period", "last_period", "model", maintain_order=True).agg(
        pl.col("score").mean()
    )
    sentences = [f"{metric}, mean of {words.count(len(cutoffs), 'cutoff')}, smaller is better."]
    for (name, first, last), block in means.group_by(
        "horizon_class", "first_period", "last_period", maintain_order=True
    ):
        found = dict(block.select("model", "score").iter_rows())
        told = ", ".join(f"{model} {_number(found.get(model))}" for model in models)
        sentences.append(f"{_heads(str(name), int(str(first)), int(str(last)), period)}: {told}.")
    return " ".join(sentences)


def _document(parts: list[str], height: float, title: str, description: str) -> str:
    body = "\n".join(parts)
    box = f"{-_MARGIN} 0 {WIDTH + 2 * _MARGIN} {height:.0f}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="shelfwise-chart" viewBox="{box}" '
        f'role="img" aria-label={quoteattr(title)}>\n<title>{escape(title)}</title>\n'
        f"<desc>{escape(description)}</desc>\n<style>{_STYLE}</style>\n{body}\n</svg>\n"
    )


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    of_kind = f' class="{kind}"' if kind else ""
    return f'<text{of_kind} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="line" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _dot(x: float, y: float, kind: str, title: str) -> str:
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="2.8"><title>{escape(title)}</title></circle>'


def _nice_top(largest: float) -> float:
    """Return where a scale from 0 ends: the first tick at or above the largest value, 1 where all are 0."""
    if largest <= 0:
        return 1.0
    step = _step(largest)
    return step * math.ceil(largest / step - 1e-9)


def _step(top: float) -> float:
    """Return the distance of ticks, 1, 2 or 5 times a power of ten, of which 3 to 6 fit.

    >>> [_step(top) for top in (0.9, 1.3, 40.0)]
    [0.2, 0.5, 10.0]
    """
    size = 10.0 ** math.floor(math.log10(top))
    return next(size * part for part in (0.1, 0.2, 0.5, 1.0, 2.0) if top / (size * part) <= 5.0 + 1e-9)


def _number(value: float | None) -> str:
    """Write a score with three digits.

    >>> _number(0.7184), _number(12.34), _number(0.2), _number(None)
    ('0.718', '12.3', '0.200', 'no score')
    """
    if value is None:
        return "no score"
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:#.3g}"


def policy_costs(rows: pl.DataFrame, *, title: str = "What each policy would have cost") -> str:
    """Draw the cost of order policies in a replay: a bar each, holding and shortage in it, the cheapest in bold.

    Parameters
    ----------
    rows
        One row a policy with ``policy, cost, holding, shortage, ordering``, money.
    title
        What stands above the drawing.

    Raises
    ------
    DataError
        There is no policy.

    >>> row = {"policy": ["mine"], "cost": [3.0], "holding": [1.0], "shortage": [2.0], "ordering": [0.0]}
    >>> "mine: 3.00 in all, 1.00 of it for holding" in policy_costs(pl.DataFrame(row))
    True
    """
    if rows.height == 0:
        raise DataError("no policy was replayed, so there is nothing to draw")
    top = 62.0
    scale = _Scale(_nice_top(float(rows["cost"].to_numpy().max())))
    bottom = top + _ROW * rows.height
    parts = [_text(0, 22, title, "title")]
    parts.append(_text(0, 43, "Cost, smaller is better, the best in bold. Thick: holding; thin: shortage, ordering."))
    parts += [_line(scale.at(tick), top, scale.at(tick), bottom) for tick in scale.ticks]
    parts += [_text(scale.at(tick), bottom + 16, f"{tick:,.12g}", "note value", "middle") for tick in scale.ticks]
    told, best = [], rows["cost"].min()
    for number, row in enumerate(rows.iter_rows(named=True)):
        middle, kind = top + _ROW * (number + 0.5), "best" if row["cost"] == best else "other"
        words_of = f"{row['policy']}: {_number(row['cost'])} in all, {_number(row['holding'])} of it for holding"
        told.append(f"{words_of}.")
        x = scale.at(row["holding"])
        bold = "best" if kind == "best" else ""
        parts += [
            _text(_NAMES, middle + 4.5, words.shortened(row["policy"], _LONGEST_NAME), bold, "end"),
            f'<rect class="{kind}" style="stroke:none" x="{_LEFT}" y="{middle - 8:.1f}" width="{x - _LEFT:.1f}" '
            f'height="16"><title>{escape(words_of)}</title></rect>',
            f'<rect class="{kind}" style="stroke:none" x="{x:.1f}" y="{middle - 3:.1f}" '
            f'width="{max(scale.at(row["cost"]) - x, 0.0):.1f}" height="6"/>',
            _text(WIDTH - 2, middle + 4.5, _number(row["cost"]), f"value {bold}".strip(), "end"),
        ]
    return _document(parts, bottom + 26, title, " ".join(told))
