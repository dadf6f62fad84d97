"""What the documents and the program's own hints tell a person to type is what the program understands."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path

import pytest
import typer
from tests.docs.pages import INLINE, PAGES, ROOT, commands, inline_code, options, read_arguments, text_of

from shelfwise.forecasting.catalog import MODELS

# Whose commands have two words.
GROUPS = {"config", "db", "override", "products", "stock", "suppliers", "token", "user"}
SOURCES = sorted((ROOT / "src" / "shelfwise").rglob("*.py"))


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def pages_with(program: str) -> list[object]:
    return [pytest.param(page, id=named(page)) for page in PAGES if commands(page, program)]


def test_the_readme_begins_with_the_two_commands() -> None:
    first = re.search(r"```\n(.*?)```", text_of(ROOT / "README.md"), re.DOTALL)
    assert first is not None
    assert [line.partition("#")[0].strip() for line in first[1].splitlines()] == ["make demo", "make test"]


@pytest.mark.parametrize("page", pages_with("make"))
def test_every_make_command_on_a_page_is_a_target(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    wanted = {word for arguments in commands(page, "make") for word in arguments if "=" not in word}
    assert wanted
    assert wanted <= targets


@pytest.mark.parametrize("page", pages_with("shelfwise"))
def test_every_command_on_a_page_is_understood(page: Path) -> None:
    for arguments in commands(page, "shelfwise"):
        read_arguments(arguments)


@pytest.mark.parametrize("page", pages_with("python"))
def test_every_script_on_a_page_exists_and_has_the_options_named(page: Path) -> None:
    for script, *arguments in commands(page, "python"):
        source = text_of(ROOT / script)
        for option in (word for word in arguments if word.startswith("--")):
            assert f'"{option}"' in source, f"{script} has no {option}"
        if "--models" in arguments:
            assert set(arguments[arguments.index("--models") + 1].split(",")) <= {"auto", *MODELS}


@pytest.mark.parametrize("page", [p for p in PAGES if p.parent.name == "docs"], ids=named)
def test_every_option_named_alone_on_a_page_exists(page: Path) -> None:
    alone = {text.split()[0] for text in inline_code(page) if text.startswith("--")}
    assert alone <= options()


@pytest.mark.parametrize("arguments", [["oder"], ["order", "--servise", "95"], ["receive", "PO-1", "PO-2"]])
def test_a_command_written_wrongly_would_be_seen(arguments: list[str]) -> None:
    with pytest.raises(typer.TyperException):
        read_arguments(arguments)


def hints(source: str) -> list[str]:
    """The commands that the strings of a program text name, in backticks or as a sentence's part of their own."""
    found = []
    nodes = list(ast.walk(ast.parse(source)))
    inside = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            text = "".join(
                str(part.value) if isinstance(part, ast.Constant) else "" if "flag" in ast.unparse(part) else "7"
                for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            text = node.value
        else:
            continue
        parts = [re.sub(r"^(or|then) ", "", part) for part in re.split(r"[,:;()]\s|\s{2,}|\n", INLINE.sub("", text))]
        named_here = (*INLINE.findall(text), *map(without_talk, parts))
        found += [hint for hint in named_here if re.match(r"shelfwise [a-z]", hint)]
    return found


def without_talk(text: str) -> str:
    """A command that stands in a sentence without backticks, up to the first word that is neither option nor value."""
    words = text.split()
    for place, (before, word) in enumerate(itertools.pairwise(words[1:]), start=2):
        if re.fullmatch("[a-z]+", word) and before not in GROUPS and not before.startswith("--"):
            return " ".join(words[:place])
    return text


def test_every_command_the_program_names_is_understood() -> None:
    seen = 0
    for source in SOURCES:
        for hint in hints(text_of(source)):
            seen += 1
            try:
                read_arguments(hint.replace('"', "").split()[1:])
            except typer.TyperException as error:
                pytest.fail(f"{named(source)}: {hint!r}: {error.format_message()}")
    assert seen > 20
