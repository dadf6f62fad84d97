"""`shelfwise backup` and `shelfwise restore` on the made-up shop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


def test_a_shop_is_put_into_a_file_and_made_of_it_again(shop: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    said = shop("backup", "shop.tar.gz")
    assert said.code == 0
    assert "it is NOT encrypted" in said.err
    assert Path("shop.tar.gz").stat().st_mode & 0o777 == 0o600
    assert shop("backup", "shop.tar.gz").code == 1
    monkeypatch.setenv("SHELFWISE_ENCRYPTION_KEY", shop("config", "new-key").out.strip())
    said = shop("backup", "shop.tar.gz", "--force", "--json")
    assert said.data["encrypted"]
    assert said.err == ""
    checked = shop("restore", "shop.tar.gz", "--check", "--json")
    assert checked.data["rows"] == said.data["rows"] > 1000
    assert shop("restore", "shop.tar.gz").code == 1
    done = shop("restore", "shop.tar.gz", "--into", "other.db")
    assert "everybody signs in anew" in done.err
    assert shop("order", "--json", "-d", "other.db").data == shop("order", "--json").data
    done = shop("restore", "shop.tar.gz", "--force")
    assert "put it back to undo this" in done.err
    assert len(list(Path().glob("shelfwise.db.before-*"))) == 1


def test_backups_of_a_folder_are_kept_in_number(shop: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELFWISE_BACKUP_FOLDER", "kept")
    Path("kept").mkdir()
    old = Path("kept", "shelfwise-20200101T000000Z.tar.gz")
    old.write_bytes(b"")
    said = shop("backup", "--keep", "1", "--json")
    assert said.data["removed"] == [str(old)]
    assert [str(each) for each in Path("kept").iterdir()] == [said.data["path"]]
    assert shop("restore", said.data["path"], "--check").code == 0


def test_what_does_not_go_together_is_refused(shop: Cli) -> None:
    assert shop("backup", "a.tar.gz", "--folder", "b").code == 2
    assert shop("backup", "--keep", "3").code == 2
    assert shop("restore", "nothing.tar.gz").code == 1
    Path("text").write_text("no backup")
    assert "no whole backup" in shop("restore", "text", "--check").err
