"""Files made to hurt: the command line refuses them in words, within bounded memory.

Each is imported by a process of its own, whose memory is limited by the operating system and measured at its peak. The
files are 16 MB here and 1 GB under the mark ``nightly``.
"""

from __future__ import annotations

import math
import os
import resource
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

MB = 1 << 20
# The process tells its own peak: what the operating system tells of it at its end counts the pages of the test runner
# it was forked from as well.
COMMAND = """
import atexit, pathlib

def tell():
    status = pathlib.Path("/proc/self/status").read_text().splitlines()
    pathlib.Path("peak").write_text(next(line.split()[1] for line in status if line.startswith("VmHWM")))

atexit.register(tell)
from shelfwise.cli.main import main
main()
"""
HEADER = b"date,sku,units\n"
BASE_MB = 450  # what a process that reads a file of three lines takes
TIMES = 4  # memory to size of file; the file is held once, and once more while it is split


@dataclass(frozen=True)
class Ended:
    """What a process left behind."""

    code: int
    said: str
    peak_mb: float


def imported(path: Path, limit_mb: int) -> Ended:
    """Run ``shelfwise import`` on a file, with its memory limited."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (limit_mb * MB, limit_mb * MB))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    said = path.with_suffix(".said")
    with said.open("wb") as talk:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "import", str(path), "--database", str(path.with_name("shop.db"))],
            stdout=talk, stderr=talk, stdin=subprocess.DEVNULL, cwd=path.parent, preexec_fn=limited,
            env={**os.environ, "POLARS_MAX_THREADS": "2"},
        )  # fmt: skip
        code = process.wait()
    peak = path.with_name("peak")
    return Ended(code, said.read_text(errors="replace"), int(peak.read_text()) / 1024 if peak.exists() else math.inf)


def repeated(text: bytes, size: int) -> Iterator[bytes]:
    block = text * (MB // len(text))
    for _ in range(size // MB):
        yield block


CASES = {
    "one line of a letter": (b"", b"x", "has a header row and nothing below it"),
    "a header and one line of a letter": (HEADER, b"x", "is longer than 8 MiB"),
    "a header and one line of commas": (HEADER, b",", "longer than 8 MiB"),
    "a header and one line of quotes": (HEADER, b'"', "is longer than 8 MiB"),
    "one line of quotes and commas": (b"", b'","', "columns are more than 20,000"),
    "line ends alone": (b"", b"\n", "is empty"),
    "a header and line ends": (HEADER, b"\n", "nothing below it"),
    "a header and lines of one letter": (HEADER, b"x\n", "too short for the 3 columns of the header"),
    "quotes that open on every line": (HEADER, b'"\n', "too short for the 3 columns"),
    "lines of bare delimiters": (HEADER, b",,\n", "no line below it that holds data"),
    "zeros": (b"", b"\0", "is not text"),
    "a line in UTF-16": (b"\xff\xfe", b"x\0", "has a header row and nothing below it"),
    "a header of many columns": (b"date,sku,units,", b"column,", "columns are more than 20,000"),
    "cp1252 without an end": (HEADER, b"\xe9", "is longer than 8 MiB"),
}


def check(tmp_path: Path, size: int, case: str) -> None:
    start, text, says = CASES[case]
    path = tmp_path / "sales.csv"
    with path.open("wb") as stream:
        stream.write(start)
        stream.writelines(repeated(text, size))
    most = BASE_MB + TIMES * size // MB
    ended = imported(path, 3 * most)
    assert ended.code == 3, ended.said[-2000:]
    assert "sales.csv" in ended.said
    assert "Traceback" not in ended.said
    assert "fault in the program" not in ended.said
    assert says in ended.said or "lines are more than" in ended.said, ended.said[-500:]
    assert len(ended.said) < 3_000
    assert ended.peak_mb < most, f"{ended.peak_mb:,.0f} MB"


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_hostile_file_is_refused_in_words_and_within_its_memory(tmp_path: Path, case: str) -> None:
    check(tmp_path, 16 * MB, case)


@pytest.mark.nightly
@pytest.mark.parametrize("case", CASES)
def test_a_hostile_file_of_a_gigabyte_is_refused_in_words_and_within_its_memory(tmp_path: Path, case: str) -> None:
    check(tmp_path, 1024 * MB, case)


@pytest.mark.slow
def test_an_archive_that_swells_to_a_gigabyte_is_refused_within_the_memory_of_a_small_file(tmp_path: Path) -> None:
    squeeze = zlib.compressobj(9, wbits=31)
    path = tmp_path / "sales.csv.gz"
    with path.open("wb") as stream:
        stream.writelines(squeeze.compress(piece) for piece in repeated(b"\0", 1024 * MB))
        stream.write(squeeze.flush())
    ended = imported(path, 4 * BASE_MB)
    assert (ended.code, ended.peak_mb < BASE_MB + 256) == (3, True), ended
    assert "more than 200 times as many" in ended.said
