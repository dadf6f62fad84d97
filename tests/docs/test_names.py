"""What the program knows by a name is explained on a page under that name; what is gone is not."""

from __future__ import annotations

import ast
import re

import pytest
from tests.docs.pages import ROOT, text_of

from shelfwise.domain.events import EVENTS
from shelfwise.domain.frames import ALL_FRAMES
from shelfwise.forecasting.backtest import METRICS
from shelfwise.forecasting.catalog import AUTOMATIC, MODELS
from shelfwise.ingest.profiles import PROFILES
from shelfwise.inventory.policies import POLICIES

DOCS = ROOT / "docs"
METHODS = {"item"}  # of numpy's numbers, asked for by name
FORBIDDEN = [
    word.strip()
    for words in re.findall(r"^\| .*\*([^*]+)\* \|$", text_of(DOCS / "glossary.md"), re.MULTILINE)
    for word in words.split(",")
]


def rows(text: str) -> list[str]:
    """The names in the first column of the tables."""
    return re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)


def test_every_model_has_a_paragraph_and_every_paragraph_a_model() -> None:
    assert re.findall(r"^## `(\w+)`$", text_of(DOCS / "models.md"), re.MULTILINE) == list(MODELS)


def test_every_paragraph_on_a_model_states_its_cost_and_its_source() -> None:
    for paragraph in text_of(DOCS / "models.md").split("\n## ")[1:]:
        assert "Cost" in paragraph
        assert "Source:" in paragraph


def test_the_page_on_models_says_what_auto_stands_for() -> None:
    assert f"`auto` stands for `{AUTOMATIC}`" in text_of(DOCS / "models.md")


def test_every_metric_has_a_formula_and_a_source() -> None:
    meaning, sources = text_of(DOCS / "metrics.md").split("\n## Sources")
    assert rows(meaning) == list(METRICS)
    assert set(rows(sources)) == set(METRICS)


def test_every_replenishment_policy_is_explained() -> None:
    assert rows(text_of(DOCS / "policies.md")) == list(POLICIES)


def test_every_event_is_listed_with_the_word_it_is_stored_under() -> None:
    page = text_of(DOCS / "architecture.md").split("\n## Events")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", page, re.MULTILINE)
    assert listed == [(kind.__name__, name) for name, kind in EVENTS.items()]


def test_every_import_format_is_named() -> None:
    named = set(re.findall(r"`(\w+)`", text_of(DOCS / "formats.md").split("\n## ")[0]))
    assert {profile.name for profile in PROFILES} <= named


def test_the_glossary_is_in_order() -> None:
    words = re.findall(r"^\| ([^|]+?) \| ", text_of(DOCS / "glossary.md"), re.MULTILINE)[2:]
    assert words == sorted(words, key=lambda word: word.lower().replace("-", " "))


def test_the_glossary_names_the_words_not_to_use() -> None:
    assert {"SKU", "vendor", "location"} <= set(FORBIDDEN)


@pytest.mark.parametrize("word", FORBIDDEN)
def test_no_word_that_the_glossary_forbids_is_in_the_command_line_or_heads_a_column(word: str) -> None:
    pattern = re.compile(rf"\b{word}s?\b", re.IGNORECASE)
    for source in sorted((ROOT / "src" / "shelfwise" / "cli").glob("*.py")):
        for node in ast.walk(ast.parse(text_of(source))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in METHODS:
                assert not pattern.search(node.value), f"{source.name}: {node.value!r}"
    for name, frame in ALL_FRAMES.items():
        assert not [column for column in frame.columns if pattern.search(column.replace("_", " "))], name
