"""The program runs with the core's dependencies alone.

The environment of the tests also holds pandas, pyarrow and more, and polars and ADBC use them where they find them; a
fresh `make setup` has none of them. So the whole demo runs here with every import refused that only an extra brings.
"""

import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import sys
for name in (
    "fastexcel", "numba", "openpyxl", "pandas", "prophet", "pyarrow", "ray", "sklearn",
    "statsforecast", "torch", "xgboost",
):
    sys.modules[name] = None
from shelfwise.cli.main import main
sys.argv = ["shelfwise", *sys.argv[1:]]
main()
"""


@pytest.mark.slow
def test_the_demo_needs_nothing_but_the_core(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN, "demo"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert list((tmp_path / "orders").rglob("*.xlsx"))
