"""Every link and every path on a page leads to a file of the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.docs.pages import PAGES, ROOT, inline_code, prose_of

LINK = re.compile(r"\[[^\]]*\]\(([^)\s#]*)(#[^)\s]*)?\)")
PATH = re.compile(r"(?:[\w.-]+/)+[\w.-]+\.(?:py|md|toml|sh|lock|csv)")
BASES = (ROOT, ROOT / "src" / "shelfwise", ROOT / "src" / "shelfwise" / "forecasting")


def anchors(page: Path) -> set[str]:
    """The names under which a page's headings can be linked to."""
    headings = re.findall(r"^#+ (.*)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_and_path_leads_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(prose_of(page)):
        if "://" in target:
            continue
        linked = page if not target else page.parent / target
        assert linked.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor[1:] in anchors(linked), f"{page.name} links to {target}{anchor}"
    for text in inline_code(page):
        if PATH.fullmatch(text):
            assert any((base / text).exists() for base in BASES), f"{page.name} names {text}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        linked = {(page.parent / target).resolve() for target, _ in LINK.findall(prose_of(page)) if "://" not in target}
        waiting += [path for path in linked if path.suffix == ".md"]
        waiting += [path for folder in linked if folder.is_dir() for path in folder.glob("*.md")]
    assert set(PAGES) <= reached
