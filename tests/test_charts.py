"""Charts: what is drawn is what was scored, can be read in light and dark and on a telephone, and is told in words."""

from __future__ import annotations

import itertools
import re
import shutil
import struct
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import polars as pl
import pytest

from shelfwise import charts
from shelfwise.domain.errors import DataError, ParameterError

SVG = "{http://www.w3.org/2000/svg}"
CLASSES = (("all", 1, 28), ("short", 1, 7), ("medium", 8, 14), ("long", 15, 28))
LEVELS = {"good": 0.7, "middling": 0.75, "seasonal_naive": 1.1}


def scores(models=LEVELS, cutoffs=4, change=None) -> pl.DataFrame:
    """Scores that differ by model, cutoff and class in a way that can be worked out."""
    rows = [
        (model, f"2026-0{c + 1}-14", name, first, last, level + 0.01 * c + 0.1 * k)
        for model, level in models.items()
        for c in range(cutoffs)
        for k, (name, first, last) in enumerate(CLASSES)
    ]
    columns = ["model", "cutoff", "horizon_class", "first_period", "last_period", "score"]
    frame = pl.DataFrame(rows, schema=columns, orient="row")
    return frame if change is None else frame.with_columns(change)


def draw(frame: pl.DataFrame) -> ET.Element:
    return ET.fromstring(charts.scores(frame, "wql", title="Loss & gain <by> model"))


def texts(root: ET.Element) -> list[str]:
    return [each.text or "" for each in root.iter(f"{SVG}text")]


def tips(root: ET.Element, tag: str) -> list[str]:
    return [each.findtext(f"{SVG}title", "") for each in root.iter(SVG + tag) if each.find(f"{SVG}title") is not None]


def test_every_model_cutoff_and_horizon_class_has_its_dot() -> None:
    root = draw(scores())
    assert len(tips(root, "circle")) == 3 * 4 * 4
    assert "good, cutoff 2026-02-14: 0.710" in tips(root, "circle")
    assert [text for text in texts(root) if text.startswith(("All", "Short", "Medium", "Long"))] == [
        "All 28 days", "Short: days 1 to 7", "Medium: days 8 to 14", "Long: days 15 to 28",
    ]  # fmt: skip


def test_dots_stand_where_their_scores_are_and_cutoffs_run_downwards() -> None:
    dots = list(draw(scores()).iter(f"{SVG}circle"))
    found = []
    for dot in dots:
        tip = dot.findtext(f"{SVG}title", "")
        value = float(tip.rsplit(": ")[1])
        found.append((value, float(dot.attrib["cx"])))
    (low, left), (high, right) = min(found), max(found)
    slope = (right - left) / (high - low)
    for value, x in found:
        assert x == pytest.approx(left + slope * (value - low), abs=0.2)
    assert left - slope * low == pytest.approx(charts._LEFT, abs=0.5), "the scale begins at 0"
    for one, other in itertools.pairwise(dots[:4]):
        assert float(one.attrib["cy"]) < float(other.attrib["cy"])


def test_the_bar_and_the_number_are_the_mean_of_the_cutoffs() -> None:
    root = draw(scores())
    assert "good: 0.715" in tips(root, "line")
    assert "0.715" in texts(root)


def test_the_best_of_each_block_is_in_bold_and_not_only_in_colour() -> None:
    better_later = (
        pl.when((pl.col("model") == "middling") & (pl.col("horizon_class") == "long"))
        .then(pl.col("score") - 0.2)
        .otherwise(pl.col("score"))
        .alias("score")
    )
    bold = [each.text for each in draw(scores(change=better_later)).iter(f"{SVG}text") if each.get("class") == "best"]
    assert bold == ["good", "good", "good", "middling"]


def test_a_model_without_a_score_is_named_and_stands_last() -> None:
    lost = pl.when(pl.col("model") == "good").then(None).otherwise(pl.col("score")).alias("score")
    root = draw(scores(change=lost))
    assert texts(root).count("no score") == 4
    names = [text for text in texts(root) if text in LEVELS]
    assert names[:3] == ["middling", "seasonal_naive", "good"]


def test_a_model_that_failed_at_a_cutoff_is_not_the_best() -> None:
    frame = scores().filter((pl.col("model") != "good") | (pl.col("cutoff") != "2026-02-14"))
    names = [text for text in texts(draw(frame)) if text in LEVELS]
    assert names[:3] == ["middling", "seasonal_naive", "good"]


def test_the_drawing_is_told_in_words() -> None:
    root = draw(scores())
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == root.findtext(f"{SVG}title") == "Loss & gain <by> model"
    told = root.findtext(f"{SVG}desc", "")
    assert "Short: days 1 to 7: good 0.815, middling 0.865, seasonal_naive 1.22." in told


def test_nothing_is_loaded_and_nothing_runs() -> None:
    text = charts.scores(scores(), "wql", title="Loss")
    assert "<script" not in text
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("cutoffs", [1, 2, 9])
def test_nothing_leaves_the_box_and_no_row_runs_into_the_next(cutoffs: int) -> None:
    root = draw(scores({name: 1.0 for name in ("a", "a_model_of_a_long_name", "seasonal_naive")}, cutoffs))
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    for each in root.iter():
        xs = [float(each.attrib[name]) for name in ("x", "cx", "x1", "x2") if name in each.attrib]
        ys = [float(each.attrib[name]) for name in ("y", "cy", "y1", "y2") if name in each.attrib]
        assert all(left <= x <= left + width for x in xs)
        assert all(top < y < top + height for y in ys)
    notes = [
        each for each in root.iter(f"{SVG}text") if each.get("class") == "note" and each.get("text-anchor") == "start"
    ]
    widest = 6.2  # units of an average letter of 13 units in a wide font
    assert all(float(each.attrib["x"]) + widest * len(each.text or "") <= charts.WIDTH for each in notes)
    lines = sorted(float(each.attrib["y"]) for each in root.iter(f"{SVG}text") if each.get("text-anchor") != "middle")
    apart = [below - above for above, below in itertools.pairwise(sorted(set(lines)))]
    assert min(apart) >= 15, "two lines of text overlap"


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """As the Web Content Accessibility Guidelines 2.2 define it."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colour", [charts.BEST_COLOUR, charts.OTHER_COLOUR])
@pytest.mark.parametrize("ground", ["#ffffff", "#121212"])
def test_marks_can_be_told_from_a_light_and_from_a_dark_ground(colour: str, ground: str) -> None:
    assert contrast(colour, ground) >= 3


@pytest.mark.parametrize("colour", [charts.BEST_IN_THE_DARK, charts.OTHER_IN_THE_DARK])
def test_a_file_by_itself_has_brighter_marks_in_the_dark(colour: str) -> None:
    assert contrast(colour, "#121212") >= 7


def test_text_takes_the_colour_around_it_and_the_file_follows_the_readers_scheme() -> None:
    text = charts.scores(scores(), "wql", title="Loss")
    assert "fill: currentColor" in text
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"[^-]color:", text), "a colour set here would win over the page's"


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(DataError, match="no model has a score for wql"):
        draw(scores(change=pl.lit(None, dtype=pl.Float64).alias("score")))
    with pytest.raises(ParameterError, match="values below 0"):
        draw(scores(change=-pl.col("score").alias("score")))
    with pytest.raises(DataError, match="lacks the required column 'cutoff'"):
        draw(scores().drop("cutoff"))


def test_scores_of_nothing_but_zero_are_drawn() -> None:
    assert "0.00" in texts(draw(scores(change=pl.lit(0.0).alias("score"))))


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 820, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_draws_it_as_wide_as_its_window_and_in_the_readers_scheme(
    tmp_path: Path, width: int, dark: bool
) -> None:
    (tmp_path / "chart.svg").write_text(charts.scores(scores(), "wql", title="Loss"))
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    picture = tmp_path / "chart.png"
    subprocess.run(
        [
            str(browser), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--user-data-dir={tmp_path / 'profile'}", f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            f"--window-size={width},900", f"--screenshot={picture}", (tmp_path / "chart.svg").as_uri(),
        ],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    head = picture.read_bytes()[:24]
    assert struct.unpack(">II", head[16:24]) == (width, 900)
    assert picture.stat().st_size > 10_000, "the picture is empty"
