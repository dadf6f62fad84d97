"""The floors of the house, checked by import-linter; its contracts are in pyproject.toml."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "shelfwise"
DOORS = {"cli", "server", "api", "web", "worker", "assistant"}
CAPABILITIES = {
    "ingest", "storage", "forecasting", "inventory", "patterns", "recommender", "lifecycle", "exchange",
    "demo", "execution",
}  # fmt: skip


def contract(identifier: str) -> dict[str, list[str]]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    return next(each for each in contracts if each["id"] == identifier)


def present(names: set[str]) -> set[str]:
    return {name for name in names if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()}


def test_imports_go_down_and_never_sideways() -> None:
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as run; run()",
        "--no-cache",
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_door_that_exists_is_kept_from_capabilities() -> None:
    assert {f"shelfwise.{name}" for name in present(DOORS)} == set(contract("doors")["source_modules"])


def test_every_capability_that_exists_is_kept_from_doors() -> None:
    assert {f"shelfwise.{name}" for name in present(CAPABILITIES)} == set(contract("doors")["forbidden_modules"])
