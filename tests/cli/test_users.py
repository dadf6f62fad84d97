"""The commands on users and API tokens."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from shelfwise.app import open_app
from shelfwise.services import auditing
from shelfwise.services.actor import computer_user


def test_users_are_added_listed_changed_and_disabled(cli: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("tulips in may\nroses\n"))
    assert cli("user", "add", "Mia", "--role", "admin", "--password").err == "user mia added as admin\n"
    assert "user ben added as viewer" in cli("user", "add", "ben", "--model", "trees").err
    mia, ben = sorted(cli("user", "list", "--json").data, key=lambda one: one["role"])
    assert (mia["name"], mia["password"], mia["models"]) == ("mia", True, None)
    assert (ben["name"], ben["password"], ben["models"]) == ("ben", False, "trees")
    assert "user ben is planner" in cli("user", "role", "ben", "planner").err
    said = cli("user", "password", "ben")
    assert "signed out everywhere" in said.err
    assert "taken on this machine alone" in said.err
    assert "ben is disabled" in cli("user", "disable", "ben").err
    assert cli("user", "link", "ben").code == 1
    assert "ben is enabled" in cli("user", "disable", "ben", "--undo").err
    link = cli("user", "link", "ben").out
    assert link.startswith("http://127.0.0.1:8000/sign-in?code=")
    text = cli("user", "list").out
    assert "tulips" not in text
    assert "argon2" not in text


def test_tokens_are_printed_once_listed_and_revoked(cli: Callable, tmp_path: Path) -> None:
    cli("user", "add", "till", "--role", "service")
    made = cli("token", "create", "till", "--name", "front till", "--scope", "read", "--days", "30")
    assert made.out.startswith("sw_")
    assert "API token 1 (front till) of till: read" in made.err
    (row,) = cli("token", "list", "--json").data
    assert (row["number"], row["user"], row["scopes"], row["revoked"]) == (1, "till", "read", None)
    assert made.out.strip() not in cli("token", "list").out
    assert "is revoked" in cli("token", "revoke", "1").err
    assert cli("token", "list", "--csv").out.splitlines()[1].startswith("1,front till,till,read,")
    with open_app(tmp_path / "shelfwise.db") as shop:
        entries = auditing.listed(shop)
    assert [(one.action, one.subject) for one in reversed(entries)] == [
        ("user add", "till as service"), ("token create", "1 (front till) of till: read"),
        ("token revoke", "1 (front till)"),
    ]  # fmt: skip
    assert {(one.who, one.via, one.status) for one in entries} == {(computer_user(), "command line", None)}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["user", "role", "nobody", "viewer"], 3, "there is no user nobody"),
        (["user", "role", "mia", "king"], 2, "role must be one of viewer, planner, admin, service"),
        (["user", "role", "mia", "viewer"], 1, "mia is the only admin"),
        (["user", "add", "mia"], 1, "a user mia already"),
        (["user", "add", "=mia"], 2, "begins with a letter or digit"),
        (["token", "create", "mia", "--name", "x", "--scope", "all"], 2, "scopes of mia, in the role admin, are"),
        (["token", "create", "mia", "--name", "x", "--days", "0"], 2, "valid for 1 to 3,650 days"),
        (["token", "revoke", "9"], 3, "no API token 9"),
        (["serve", "--host", "0.0.0.0", "--no-authentication"], 2, "nobody is asked who they are"),
    ],
)
def test_a_mistake_is_said_with_its_rule(cli: Callable, arguments: list[str], code: int, told: str) -> None:
    cli("user", "add", "mia", "--role", "admin")
    said = cli(*arguments)
    assert (said.code, told in said.err) == (code, True), said.err
