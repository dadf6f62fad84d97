"""Every error a person can act on is one message; every fault of the program is kept in a file."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from shelfwise import __version__
from shelfwise.cli.main import app, command_line, run
from shelfwise.domain.errors import ConflictError

COMMANDS = ("demo", "import", "check", "order", "purchase-orders", "receive", "why", "forecast", "backtest", "compare",
            "backtests", "products", "suppliers", "db", "config")  # fmt: skip


@pytest.fixture
def failing() -> Iterator[Callable[[BaseException], list[str]]]:
    """A command that fails as it is told; gone after the test."""
    error: list[BaseException] = []

    def fail() -> None:
        raise error[0]

    app.command("fail")(fail)
    command_line.cache_clear()

    def with_error(wanted: BaseException) -> list[str]:
        error.append(wanted)
        return ["fail"]

    yield with_error
    app.registered_commands.pop()
    command_line.cache_clear()


def test_help_names_every_command(cli) -> None:
    said = cli("--help")
    assert said.code == 0
    assert all(name in said.out for name in COMMANDS)
    assert said.err == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(cli, command: str) -> None:
    said = cli(command, "--help")
    assert said.code == 0
    assert "Usage: shelfwise" in said.out


def test_the_version_is_the_packages(cli) -> None:
    assert cli("--version").out == f"shelfwise {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["ordr"], ["order", "--nonsense"], ["order", "--json", "--csv"], ["forecast", "-H", "x"]]
)
def test_a_command_written_wrongly_exits_2_and_says_where_help_is(cli, arguments: list[str]) -> None:
    said = cli(*arguments)
    assert said.code == 2
    assert said.out == ""
    assert "shelfwise: " in said.err
    assert "--help" in said.err


def test_no_database_is_one_message_that_names_the_first_commands(cli) -> None:
    said = cli("order")
    assert said.code == 1
    assert said.out == ""
    assert "shelfwise.db" in said.err
    assert "shelfwise import" in said.err
    assert "shelfwise demo" in said.err
    assert "Traceback" not in said.err


def test_a_setting_that_breaks_its_rule_exits_2(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELFWISE_SERVICE_LEVEL", "1.5%%")
    said = cli("config", "show")
    assert said.code == 2
    assert "SHELFWISE_SERVICE_LEVEL" in said.err


def test_an_error_has_the_exit_code_of_its_kind(failing, cli) -> None:
    said = cli(*failing(ConflictError("it is sent already; cancel it first")))
    assert (said.code, said.err) == (1, "shelfwise: it is sent already; cancel it first\n")


def test_debug_shows_the_trace_wherever_it_stands(failing) -> None:
    words = failing(ConflictError("no"))
    with pytest.raises(ConflictError):
        run([*words, "--debug"])
    with pytest.raises(ConflictError):
        run(["--debug", *words])


def test_a_fault_of_the_program_is_one_message_and_a_file_with_the_trace(failing, cli, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    said = cli(*failing(KeyError("lost")))
    assert said.code == 1
    assert "Traceback" not in said.err
    assert "report" in said.err
    (kept,) = tmp_path.glob("shelfwise-fault-*.txt")
    assert str(kept) in said.err
    assert "KeyError: 'lost'" in kept.read_text()


def test_a_machine_that_is_too_small_is_no_fault_of_the_program(failing, cli, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    said = cli(*failing(MemoryError("Unable to allocate 9.31 GiB for an array")))
    assert said.code == 1
    assert said.err.startswith(
        "shelfwise: `shelfwise fail` needs more memory than is free (Unable to allocate 9.31 GiB"
    )
    assert "take fewer products or paths (SHELFWISE_N_PATHS)" in said.err
    assert not list(tmp_path.glob("shelfwise-fault-*"))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()])
def test_an_interruption_is_no_fault(failing, cli, error: BaseException) -> None:
    said = cli(*failing(error))
    assert said.code == 130
    assert "interrupted" in said.err


def test_a_reader_that_stops_early_is_no_error(planned_demo: Path, tmp_path: Path) -> None:
    shutil.copy(planned_demo, tmp_path / "shelfwise.db")
    command = [sys.executable, "-c", "from shelfwise.cli.main import main; main()", "order", "--json"]
    child = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ)
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.close()
    error = child.stderr.read().decode()
    child.stderr.close()
    assert "Traceback" not in error
    assert "BrokenPipe" not in error
    assert child.wait(timeout=60) in (0, 4)
