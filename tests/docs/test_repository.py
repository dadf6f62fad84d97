"""The repository speaks of the software alone: no folder, host or index of the machine it was written on."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.docs.pages import ROOT

FOLDERS = re.compile(r"(?<![\w.~$}-])/(?:work|tmp|home|root|Users|mnt|opt)/")
INDEX = re.compile(
    r"--(?:(?:extra-)?index-url|find-links|trusted-host)[ =][\"']?[\w/]"
    r"|(?:INDEX_URL|DEFAULT_INDEX|TORCH_INDEX)=[\"']?[\w/]|tool\.uv\.index"
)
ADDRESS = re.compile(r"https?://([\w.-]+)")
# What pages refer to, and the name by which SVG is known; example.org and the like are reserved for examples, and a
# machine calls itself localhost.
PUBLIC = {"keepachangelog.com", "semver.org", "www.w3.org"}
RESERVED = re.compile(r"(?:.*\.)?example(?:\.\w+)?|.*\.(?:invalid|test)|x|localhost|127\.0\.0\.1")
ISSUE = re.compile(r"\bissues? #?\d|\b(?:see|fixes|closes|resolves) #\d", re.IGNORECASE)
OF_THE_MACHINE = {".ci/run"}  # it looks for data beside the repository


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    """Every text that git tracks."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so it is not known which files belong to it")
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    )
    paths = [Path(name) for name in listed.stdout.decode().split("\0") if name]
    found = {}
    for path in paths:
        if (ROOT / path).is_file() and path != Path(__file__).relative_to(ROOT):
            found[path.as_posix()] = (ROOT / path).read_text(encoding="utf-8", errors="replace")
    assert len(found) > 50
    return found


def test_no_file_names_a_folder_of_one_machine(files: dict[str, str]) -> None:
    assert not [name for name, text in files.items() if FOLDERS.search(text)]
    beside = [name for name, text in files.items() if "../shared" in text and name not in OF_THE_MACHINE]
    assert not beside


def test_no_file_names_a_package_index(files: dict[str, str]) -> None:
    assert not [name for name, text in files.items() if INDEX.search(text)]


def test_every_address_is_a_public_page_or_an_example(files: dict[str, str]) -> None:
    hosts = {(name, host.lower()) for name, text in files.items() for host in ADDRESS.findall(text)}
    assert hosts
    assert not [(name, host) for name, host in hosts if host not in PUBLIC and not RESERVED.fullmatch(host)]


def test_pages_and_sources_refer_to_no_issue_by_number(files: dict[str, str]) -> None:
    assert not [name for name, text in files.items() if name.endswith((".md", ".py")) and ISSUE.search(text)]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (FOLDERS, "open('/" + "tmp/x')"),
        (FOLDERS, "cd /" + "home/someone"),
        (INDEX, "--index-url" + " mirror/simple"),
        (INDEX, "PIP_INDEX_URL" + "=mirror.local/simple"),
        (ISSUE, "see #" + "12"),
    ],
)
def test_what_must_not_be_there_would_be_seen(pattern: re.Pattern[str], text: str) -> None:
    assert pattern.search(text)
