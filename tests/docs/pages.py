"""The documents, what stands on them in code, and the command line as it reads its arguments."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from shelfwise.cli.main import command_line

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCED = re.compile(r"^```[^\n]*\n(.*?)^```|(?:^ {4}[^\n]*\n)+", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`{1,2}([^`\n]+)`{1,2}(?!`)")
# What stands two spaces or more behind a command is talk.
COMMAND = re.compile(r"^\s*(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?((?:shelfwise|make|python) .*?)(?:  .*)?$")
STANDS_FOR = re.compile(r"^[A-Z]+(\.\.\.)?$")  # FILE..., PRODUCT: what a reader puts something in place of


def text_of(page: Path) -> str:
    """What stands on a page."""
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    """What stands on a page without its code blocks."""
    return FENCED.sub("\n", text_of(page))


def inline_code(page: Path) -> list[str]:
    """What stands between backticks in a page's prose."""
    return INLINE.findall(prose_of(page))


def commands(page: Path, program: str) -> list[list[str]]:
    """The arguments of every command of that program on a page, in blocks and in prose."""
    lines = [line for block in FENCED.finditer(text_of(page)) for line in block[0].splitlines()]
    found = []
    for line in (*lines, *inline_code(page)):
        if match := COMMAND.match(line):
            name, *arguments = shlex.split(match[1], comments=True)
            if name == program:
                found.append(arguments)
    return found


def read_arguments(arguments: list[str]) -> None:
    """Let the command line read arguments without running them; it refuses what it does not know.

    Commands named without any argument need only exist; what a shell writes to a file (``> FILE``) is no argument.
    """
    arguments = arguments[: arguments.index(">")] if ">" in arguments else arguments
    words = ["7" if STANDS_FOR.match(word) else word for word in arguments]
    command: Any = command_line()
    context = command.make_context("shelfwise", words)
    while hasattr(command, "resolve_command"):
        words = [*context._protected_args, *context.args]
        if not words:
            return
        name, command, rest = command.resolve_command(context, words)
        if not rest:
            return
        context = command.make_context(name, rest, parent=context)


def options() -> set[str]:
    """Every option of every command."""
    found, waiting = set(), [command_line()]
    while waiting:
        command: Any = waiting.pop()
        found |= {name for parameter in command.params for name in parameter.opts}
        waiting += getattr(command, "commands", {}).values()
    return found
