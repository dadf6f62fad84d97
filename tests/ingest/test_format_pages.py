"""Every example on the pages about formats can be imported as it stands."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from shelfwise.ingest import batch, profiles, read
from shelfwise.ingest.profiles.base import Profile

DOCS = Path(__file__).parents[2] / "docs"
TODAY = date(2024, 6, 1)


def examples(text: str, folder: Path) -> list[Path]:
    paths = []
    for name, content in re.findall(r"```csv file=(\S+)\n(.*?)```", text, flags=re.S):
        paths.append(folder / name)
        paths[-1].write_text(content, encoding="utf-8")
    return paths


def test_every_example_of_a_format_can_be_imported(tmp_path: Path) -> None:
    pages = [DOCS / "formats.md", *sorted((DOCS / "sources").glob("*.md"))]
    sections = [section for page in pages for section in page.read_text(encoding="utf-8").split("\n## ")]
    profiles_seen, tables_seen = set(), set()
    for section in sections:
        paths = examples(section, tmp_path)
        if paths:
            result = read(paths, today=TODAY)
            assert result.rejects.is_empty()
            profiles_seen |= {file.profile for file in result.receipt.files}
            tables_seen |= {file.table for file in result.receipt.files}
    assert profiles_seen == {profile.name for profile in profiles.PROFILES}
    assert tables_seen == {role.name for profile in profiles.PROFILES for role in profile.roles}


def test_the_profile_on_the_page_about_adding_a_source_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (DOCS / "adding-a-source.md").read_text(encoding="utf-8")
    scope: dict[str, type[Profile]] = {}
    exec(re.search(r"```python\n(.*?)```", page, flags=re.S).group(1), scope)  # type: ignore[union-attr]
    monkeypatch.setattr(batch, "PROFILES", (scope["Till"](), *profiles.PROFILES))
    result = read(examples(page, tmp_path))
    assert result.receipt.files[0].profile == "till"
    assert result.receipt.files[0].personal == ("Cashier",)
    assert result.frames["movements"].select("product", "kind", "quantity", "unit_price").rows() == [
        ("0012", "sale", 2.0, 1.2), ("0013", "return", 1.0, 3.5),
    ]  # fmt: skip
