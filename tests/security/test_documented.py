"""The published list of attacks is the list of tests."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_attack_on_the_page_is_a_test():
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8").split("## Attacks that were tried")[1]
    rows = [line for line in page.splitlines() if line.startswith("| ")][2:]
    sources = "".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "tests").rglob("test_*.py")))
    tests = set(re.findall(r"^def (test_\w+)", sources, re.MULTILINE))
    named = [re.findall(r"`(test_\w+)`", row.rsplit("|", 2)[1]) for row in rows]
    assert len(rows) > 30
    assert all(named)
    assert {one for names in named for one in names} <= tests
