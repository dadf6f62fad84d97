"""The locks are what a stranger installs from: they must match pyproject.toml and name no machine."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import shelfwise

ROOT = Path(__file__).parents[2]
LOCKS = {
    "core": [],
    "test": ["classic", "test"],
    "bench": ["classic", "test", "bench"],
    "full": ["classic", "test", "bench", "scale"],
}
PINNED = re.compile(r"^(?P<requirement>[A-Za-z0-9][^\\]*?) \\$")
PLATFORMS = [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("darwin", "x86_64")]


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def pins(lock: str, environment: dict[str, str]) -> dict[str, str]:
    """Name and version of all that the lock installs in that environment."""
    found = {}
    for line in (ROOT / "requirements" / f"{lock}.lock").read_text("utf-8").splitlines():
        if match := PINNED.match(line):
            requirement = Requirement(match["requirement"])
            if requirement.marker is None or requirement.marker.evaluate(environment):
                (specifier,) = requirement.specifier
                found[canonicalize_name(requirement.name)] = specifier.version
    return found


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize(("system", "machine"), PLATFORMS)
@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_holds_every_dependency_within_its_range(lock: str, system: str, machine: str, python: str) -> None:
    environment = dict(default_environment()) | {
        "python_version": python, "python_full_version": f"{python}.0", "sys_platform": system,
        "platform_machine": machine, "platform_system": {"linux": "Linux", "darwin": "Darwin"}[system],
    }  # fmt: skip
    pinned = pins(lock, environment)
    declared = [*project()["dependencies"]]
    for extra in LOCKS[lock]:
        declared += project()["optional-dependencies"][extra]
    for requirement in map(Requirement, declared):
        if requirement.marker is None or requirement.marker.evaluate(environment):
            version = pinned.get(canonicalize_name(requirement.name))
            assert version is not None, f"{requirement} is not in {lock}.lock; run `make lock`"
            assert version in requirement.specifier, f"{requirement}, but {lock}.lock has {version}; run `make lock`"


@pytest.mark.parametrize("lock", [*LOCKS, "tools"])
def test_the_lock_names_no_host_and_no_folder_and_hashes_everything(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.lock").read_text("utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*(-|/|\.)(?!-hash)", text, re.MULTILINE)
    packages = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert packages
    assert all("--hash=sha256:" in package for package in packages)


def test_one_set_holds_the_pins_of_the_smaller() -> None:
    environment = dict(default_environment())
    core, test, bench, full = (pins(lock, environment) for lock in LOCKS)
    assert core.items() <= test.items() <= bench.items() <= full.items()


def test_the_core_is_without_the_libraries_that_only_extras_need() -> None:
    heavy = {
        "pyarrow",
        "pandas",
        "duckdb",
        "torch",
        "ray",
        "scikit-learn",
        "statsforecast",
        "mlforecast",
        "prophet",
    }
    assert not heavy & pins("core", dict(default_environment())).keys()


def test_the_package_and_its_metadata_state_one_version() -> None:
    assert shelfwise.__version__ == project()["version"]
