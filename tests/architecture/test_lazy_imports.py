"""Starting the program, and looking up a name of the package, must not load the libraries that compute.

polars, numpy, scipy and SQLAlchemy take from 0.1 to 2 s each to import on a small machine; a person who asks
for `--help` waits for none of them.
"""

import subprocess
import sys

import pytest

HEAVY = {
    "adbc_driver_manager", "adbc_driver_sqlite", "alembic", "lightgbm", "numpy", "pandas", "polars",
    "prophet", "pyarrow", "ray", "scipy", "sklearn", "sqlalchemy", "statsforecast", "torch",
    "xgboost", "xlsxwriter",
}  # fmt: skip
OUTSIDE_CORE = {
    "lightgbm",
    "pandas",
    "prophet",
    "pyarrow",
    "ray",
    "sklearn",
    "statsforecast",
    "torch",
    "xgboost",
}


def modules_after(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after `code`."""
    report = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint('LOADED', *sys.modules)"
    result = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    line = result.stdout.splitlines()[-1].split()
    assert line[0] == "LOADED", result.stdout
    return set(line[1:])


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after `code`."""
    return {name.partition(".")[0] for name in modules_after(code)}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_asking_for_help_or_the_version_loads_no_heavy_library(arguments: list[str]) -> None:
    loaded = loaded_by(f"sys.argv = ['shelfwise', *{arguments}]; from shelfwise.cli.main import main; main()")
    assert not loaded & HEAVY
    assert "shelfwise" in loaded


def test_importing_the_package_loads_no_heavy_library() -> None:
    assert not loaded_by("import shelfwise") & HEAVY


@pytest.mark.parametrize(
    "module",
    [
        "shelfwise.services",
        "shelfwise.storage",
        "shelfwise.ingest",
        "shelfwise.exchange",
        "shelfwise.inventory",
    ],
)
def test_the_core_needs_none_of_the_extras(module: str) -> None:
    assert not loaded_by(f"import {module}") & OUTSIDE_CORE


def test_a_forecast_does_not_wait_for_libraries_it_does_not_use() -> None:
    loaded = modules_after("from shelfwise.library import forecast, optimise")
    assert not loaded & {"scipy.stats", "highspy", "lightgbm", "pandas", "xgboost", "shelfwise.library.store"}
    # `import scipy`, and `scipy.special.ndtri(...)` where it is used; `from scipy import special` costs 0.3 s.
    assert not loaded & {"scipy.special", "scipy.optimize", "scipy.sparse"}


def test_reading_files_in_loads_no_engine() -> None:
    loaded = modules_after("import shelfwise.cli.imports; from shelfwise.services import importing")
    assert not [name for name in loaded if name.startswith(("shelfwise.forecasting.", "shelfwise.inventory."))]
