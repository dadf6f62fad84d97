"""What every test gets: no settings from the machine it runs on, and guards for what a machine may lack.

A test that needs something from outside says so with a mark, and is skipped with a printed reason without it:

    @pytest.mark.data("carparts")        folders of the real data that SHELFWISE_DATA names
    @pytest.mark.service("postgresql")   a service whose address is in SHELFWISE_TEST_POSTGRESQL_URL
    @pytest.mark.browser                 a Chromium on the PATH

With SHELFWISE_CI=1 a missing data folder or service is a failure, so that no continuous-integration run is
green because it looked at nothing.
"""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from shelfwise.aliases import ALIASES

GUARDS = ("SHELFWISE_DATA", "SHELFWISE_CI")
TEST_SERVICES = "SHELFWISE_TEST_"

# A slow machine is no bug, and a run can be repeated: examples are drawn from the test's own name.
settings.register_profile("default", deadline=None, derandomize=True)
settings.register_profile("nightly", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def absent(reason: str) -> None:
    """Skips the test, or fails it where a missing thing is a fault of the machine."""
    if os.environ.get("SHELFWISE_CI") == "1":
        pytest.fail(f"{reason}; SHELFWISE_CI=1 makes this a failure", pytrace=False)
    pytest.skip(reason)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("data"):
        folder = os.environ.get("SHELFWISE_DATA")
        if not folder:
            absent("needs real data: SHELFWISE_DATA is not set")
        for name in mark.args:
            if not (Path(str(folder)) / name).is_dir():
                absent(f"needs real data: SHELFWISE_DATA has no folder {name!r}")
    for mark in item.iter_markers("service"):
        for name in mark.args:
            variable = f"{TEST_SERVICES}{name.upper()}_URL"
            if not os.environ.get(variable):
                absent(f"needs {name}: {variable} is not set")
    if item.get_closest_marker("browser") and not any(map(shutil.which, ("chromium", "google-chrome"))):
        pytest.skip("needs a browser: no chromium on the PATH")


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own SHELFWISE_* variables, and their aliases, must not decide whether a test passes."""
    others = {alias.name for alias in ALIASES}
    for name in os.environ:
        own = name.startswith("SHELFWISE_") and name not in GUARDS and not name.startswith(TEST_SERVICES)
        if own or name in others:
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data; use it in tests marked `data` only."""
    return Path(os.environ["SHELFWISE_DATA"])
