"""`shelfwise doctor` and `shelfwise config check`: each thing that is wrong is named with the way out."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shelfwise.storage.database import Database

Cli = Callable[..., Any]


@pytest.fixture(autouse=True)
def any_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """What else runs on the tests' machine is no matter."""
    monkeypatch.setenv("SHELFWISE_PORT", "0")


def found(said: Any) -> dict[str, tuple[str, str]]:
    checks = said.data["checks"] if isinstance(said.data, dict) else said.data
    return {check["name"]: (check["state"], check["found"] + "; " + check["way_out"]) for check in checks}


def test_nothing_is_wrong_with_an_empty_folder_but_that_there_is_no_shop(cli: Cli) -> None:
    assert cli("config", "check").code == 0
    said = cli("doctor", "--json")
    assert said.code == 3
    assert [name for name, (state, _) in found(said).items() if state == "problem"] == ["database"]
    assert "shelfwise demo" in found(said)["database"][1]


def test_every_part_of_a_shop_is_looked_at(shop: Cli) -> None:
    said = shop("doctor", "--json")
    checks = found(said)
    assert said.code == 0
    assert list(checks) == [
        "program", "memory", "disk", "extras", "port", "redis", "event bus", "models folder", "gpu", "database",
        "write turn",
        "time zone", "clock", "workers", "jobs", "data", "plan", "connectors",
        "encryption", "backups",
    ]  # fmt: skip
    assert checks["write turn"][0] == "ok"
    assert checks["data"][0] == "note"  # the made-up shop of this test is of 2024
    assert "shelfwise import FILE..." in checks["data"][1]
    text = shop("doctor")
    assert text.out.startswith("ok       program: Shelfwise")
    assert text.err == "nothing to put right\n"


def test_a_turn_to_write_that_another_holds_is_found(shop: Cli) -> None:
    with Database.open(Path("shelfwise.db")) as other, other.write():
        said = shop("doctor", "--json")
    assert said.code == 3
    state, text = found(said)["write turn"]
    assert state == "problem"
    assert "another write has held the database" in text


def test_a_database_of_another_program_is_left_alone_and_named(cli: Cli) -> None:
    Path("shelfwise.db").write_text("this is no database " * 100)
    for command in (["doctor", "--json"], ["config", "check", "--json"]):
        said = cli(*command)
        assert said.code == 3
        assert "not a SQLite database" in found(said)["database"][1]


def test_what_is_set_is_shown_with_its_source_and_no_secret(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("SHELFWISE_HORIZON=14\nSHELFWISE_DATABASE_PASSWORD=s3cret\nNODE_ENV=production\n")
    monkeypatch.setenv("NUM_SAMPLES", "50")
    monkeypatch.setenv("DEFAULT_PREDICTION_LENGTH", "30")
    monkeypatch.setenv("DB_PASSWORD", "s3cret too")
    said = cli("config", "check", "--json")
    assert said.code == 0
    assert "s3cret" not in said.out
    assert {row["setting"]: (row["value"], row["from"]) for row in said.data["settings"]} == {
        "port": ("0", "env"), "horizon": ("14", ".env"), "database_password": ("**********", ".env"),
        "n_paths": ("50", "env NUM_SAMPLES"),
    }  # fmt: skip
    effects = {row["name"]: (row["from"], row["effect"]) for row in said.data["aliases"]}
    assert effects["NUM_SAMPLES"] == ("env", "gives n_paths")
    assert effects["DEFAULT_PREDICTION_LENGTH"] == ("env", "no effect here: horizon is set by .env")
    assert effects["DB_PASSWORD"] == ("env", "no effect here: database_password is set by .env")
    assert effects["NODE_ENV"][1].startswith("known, no effect: there is one mode")
    text = cli("config", "check").out
    assert "set      horizon = 14 (.env)" in text
    assert "alias    NUM_SAMPLES (env): gives n_paths" in text


def test_a_name_that_is_no_setting_is_found_and_the_nearest_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELFWISE_HORISON", "14")
    for command in ("doctor", "config check"):
        said = cli(*command.split(), "--json")
        assert said.code == 3
        checks = said.data if command == "doctor" else said.data["checks"]
        (unknown,) = [check for check in checks if "HORISON" in check["found"]]
        assert unknown["way_out"] == "did you mean SHELFWISE_HORIZON?"


def test_a_refused_value_is_the_first_thing_to_put_right(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "8000")
    monkeypatch.delenv("SHELFWISE_PORT")
    monkeypatch.setenv("NUM_SAMPLES", "lots")
    for command in (["doctor", "--json"], ["config", "check", "--json"]):
        said = cli(*command)
        assert said.code == 3
        assert "n_paths from env NUM_SAMPLES: 'lots' is refused" in found(said)["settings"][1]


def test_a_port_that_is_taken_is_found(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("SHELFWISE_PORT", str(taken.getsockname()[1]))
        taken.settimeout(0)
        said = cli("config", "check", "--json")
    assert said.code == 3
    assert "cannot be listened on (Address already in use)" in found(said)["port"][1]


def test_a_redis_and_a_database_that_cannot_be_reached_are_found(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("SHELFWISE_REDIS_URL", f"redis://:s3cret@127.0.0.1:{port}/0")
    monkeypatch.setenv("SHELFWISE_DATABASE", f"postgresql://anna:s3cret@127.0.0.1:{port}/shop")
    said = cli("config", "check", "--json")
    assert said.code == 3
    assert "s3cret" not in said.out
    problems = {name for name, (state, _) in found(said).items() if state == "problem"}
    assert problems == {"redis", "database"}


def test_an_extra_that_a_setting_needs_and_is_not_there_is_found(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shelfwise.services.doctor.find_spec", lambda _: None)  # as on a machine with the core alone
    monkeypatch.setenv("SHELFWISE_TRACING_ENDPOINT", "http://localhost:4318/v1/traces")
    monkeypatch.setenv("SHELFWISE_DATABASE", "mysql://anna@localhost:1/shop")
    state, text = found(cli("doctor", "--json"))["extras"]
    assert state == "problem"
    assert "pip install 'shelfwise[mysql,tracing]'" in text


def test_a_folder_that_is_a_file_is_found(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").write_text("")
    monkeypatch.setenv("SHELFWISE_MODELS_FOLDER", str(tmp_path / "models" / "here"))
    said = cli("config", "check", "--json")
    assert said.code == 3
    assert found(said)["models folder"][0] == "problem"
