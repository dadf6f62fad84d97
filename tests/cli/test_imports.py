"""Imports are listed, shown, undone and redone; files of any shape are mapped, by options or by answers."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
TILL = "Belegtag;Ding;Stck;VK\n" + "".join(
    f"{day:02}.03.2024;T-{day % 3};{day % 5 + 1};{day % 3 + 4},99\n" for day in range(1, 29)
)
SALES = "date,sku,units\n" + "".join(f"2024-03-{day:02},tea,{day}\n" for day in range(1, 29))


@pytest.fixture
def till(tmp_path: Path) -> str:
    (tmp_path / "till.csv").write_text(TILL)
    return "till.csv"


@pytest.fixture
def sales(cli: Cli, tmp_path: Path) -> str:
    """A file of sales, imported."""
    (tmp_path / "sales.csv").write_text(SALES)
    assert cli("import", "sales.csv").code == 0
    return "sales.csv"


def test_an_import_is_listed_shown_undone_and_put_back(cli: Cli, sales: str) -> None:
    listed = cli("imports", "--json").data
    assert [(one["import"], one["files"], one["rows"], one["new_lines"]) for one in listed] == [(1, sales, 28, 28)]
    shown = cli("imports", "show", "1")
    assert "28 read = 28 used + 0 dropped + 0 rejected" in shown.out
    assert "booked    28 movements new, 0 known before" in shown.out
    undone = cli("imports", "undo", "1")
    assert undone.out.splitlines() == ["28 movements taken out", "products removed: 1", "warehouses removed: 1"]
    assert "imports redo 1" in undone.err
    assert cli("imports", "show", "1", "--json").data["undone_at"] is not None
    assert "undone on" in cli("imports", "show", "1").out
    assert cli("imports", "redo", "1", "--json").data["movements"] == 28
    assert cli("imports", "show", "1", "--json").data["undone_at"] is None


def test_a_trial_of_an_undo_changes_nothing(cli: Cli, sales: str) -> None:
    trial = cli("imports", "undo", "1", "--dry-run", "--json").data
    assert (trial["written"], trial["movements"], trial["removed"]) == (False, 28, {"products": 1, "warehouses": 1})
    assert cli("imports", "undo", "1", "--json").data["movements"] == 28


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("undo", "7"), 3, "there is no import 7; the last one is 1"),
        (("redo", "1"), 1, "import 1 was not undone"),
        (("show", "7"), 3, "there is no import 7"),
        (("forget", "till"), 3, "there is no import profile 'till'; none was saved yet"),
    ],
)
def test_what_cannot_be_done_is_said_with_a_way_out(
    cli: Cli, sales: str, words: tuple[str, ...], code: int, said: str
) -> None:
    answer = cli("imports", *words)
    assert answer.code == code
    assert said in answer.err


def test_an_empty_shop_says_how_to_begin(cli: Cli, sales: str) -> None:
    cli("imports", "undo", "1")
    assert "no profile was saved yet" in cli("imports", "profiles").err


def test_without_a_terminal_the_proposed_command_is_printed_and_works(cli: Cli, till: str) -> None:
    refused = cli("import", till)
    assert refused.code == 3
    command = next(line.strip() for line in refused.err.splitlines() if line.startswith("    shelfwise import"))
    said = "--map date=Belegtag --map sku=Ding --map quantity=Stck --map unit_price=VK"
    assert command == f"shelfwise import till.csv --as sales {said}"
    done = cli(*command.split()[1:], "--save-as", "till", "--json")
    assert (done.code, done.data["new_lines"]) == (0, 28)
    assert [one["profile"] for one in cli("imports", "profiles", "--json").data] == ["till"]
    assert cli("imports", "forget", "till").code == 0
    assert cli("imports", "profiles", "--json").data == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--map", "sku"), "--map takes FIELD=HEADER"),
        (("--map", "sku=Ding", "--map", "sku=VK"), "'sku' is mapped twice"),
        (("--as", "sale"), "there is no table 'sale'"),
        (("--as", "sales", "--map", "sku=Dng"), "did you mean 'Ding'?"),
        (("--as", "sales", "--map", "sku=Ding"), "has no column for date, quantity, which the table sales needs"),
        (("--save-as", " "), "the name of an import profile"),
    ],
)
def test_a_mapping_written_wrongly_is_refused_with_a_way_out(
    cli: Cli, till: str, options: tuple[str, ...], said: str
) -> None:
    answer = cli("import", till, *options)
    assert answer.code in (2, 3)
    assert said in answer.err


def on_a_terminal(folder: Path, words: list[str], answers: list[tuple[str, str]]) -> tuple[int, str]:
    """Run the program on a terminal of its own; type each answer once its question has come."""
    code = "import sys; from shelfwise.cli.main import run; sys.exit(run(sys.argv[1:]))"
    outer, inner = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], cwd=folder, stdin=inner, stdout=inner, stderr=inner, close_fds=True,
    )  # fmt: skip
    os.close(inner)
    shown, seen, deadline = "", 0, time.monotonic() + 120
    waiting = list(answers)
    while time.monotonic() < deadline:
        if select.select([outer], [], [], 0.2)[0]:
            try:
                shown += os.read(outer, 4096).decode()
            except OSError:  # the program has gone
                break
        elif process.poll() is not None:
            break
        if waiting and waiting[0][0] in shown[seen:]:
            seen = len(shown)
            os.write(outer, f"{waiting.pop(0)[1]}\n".encode())
    status = process.wait(30)
    os.close(outer)
    assert not waiting, shown
    return status, shown


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_each_column_is_asked_about_and_remembered(cli: Cli, till: str, tmp_path: Path) -> None:
    status, shown = on_a_terminal(
        tmp_path,
        ["import", till],
        [("date =", ""), ("sku =", "ding"), ("quantity =", "wrong"), ("quantity =", ""), ("unit_price =", "-"),
         ("so from now on?", "till")],
    )  # fmt: skip
    assert status == 0, shown
    assert "date: all 28 cells are dates, like 01.03.2024, 02.03.2024, 03.03.2024" in shown
    assert "there is no column 'wrong'" in shown
    assert "28 movements booked" in shown
    kept = cli("imports", "profiles", "--json").data[0]
    assert kept["columns"] == "date=Belegtag, sku=Ding, quantity=Stck"
    (tmp_path / "april.csv").write_text(TILL.replace(".03.2024", ".04.2024"))
    assert cli("import", "april.csv", "--json").data["new_lines"] == 28


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_an_undo_says_what_it_would_take_and_asks(cli: Cli, sales: str, tmp_path: Path) -> None:
    status, shown = on_a_terminal(tmp_path, ["imports", "undo", "1"], [("Undo import 1?", "n")])
    assert status == 0
    assert "28 movements would be taken out" in shown
    assert "nothing was changed" in shown
    assert cli("imports", "show", "1", "--json").data["undone_at"] is None
    on_a_terminal(tmp_path, ["imports", "undo", "1"], [("Undo import 1?", "y")])
    assert cli("imports", "show", "1", "--json").data["undone_at"] is not None
